"""The letters of a convolution's axes in its contraction, as in nxyijc,ijco->nxyo, and what each stands for.

The contraction of a convolution (``conv``) is written in these letters; whoever reads it back (``tutor``) reads them
from here.
"""

BATCH, GROUP = "n", "g"
POSITION, WINDOW = "xyz", "ijk"  # of one to three dimensions: where the window lies, and the cell within it
INNER, OUTER = "c", "o"  # the channels summed over, and those made: one for each filter

# letter -> role
AXIS_ROLES = {
    BATCH: "batch",
    **dict.fromkeys(POSITION, "positions"),
    **dict.fromkeys(WINDOW, "window"),
    INNER: "channels",
    OUTER: "filters",
    GROUP: "groups",
}
