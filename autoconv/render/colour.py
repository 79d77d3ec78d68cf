"""One colour for each element of a tensor, the same in every view: graph, grids, convolution matrix and equation.

The first six are near Okabe and Ito's; each further one is the colour furthest from all before it, in Lab, as seen with normal,
protanope and deuteranope vision.  All of them have a contrast of at least 2.6 to a white page and 3 to a dark one.
"""

from __future__ import annotations

from ..tape import Tensor

# fmt: off
PALETTE = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56a0e0", "#4848fc", "#5484fc", "#fc2460", "#cc00a8",
    "#546c3c", "#a83c78", "#4860f0", "#d89054", "#609cfc", "#f07884", "#f08400", "#8448cc", "#6c6c24", "#30a8b4",
    "#fc48d8", "#606c54", "#0c7884", "#309c30", "#0c84b4",
)
# fmt: on


def colour(index: int, count: int) -> str:
    """The CSS colour of element ``index`` of a tensor of ``count`` elements, by flat index; after 25 they repeat.

    Raises IndexError for an index that the tensor does not have.
    """
    if not 0 <= index < count:
        raise IndexError(f"colour: element {index} of a tensor with {count} elements; the flat index runs from 0")
    return PALETTE[index % len(PALETTE)]


def element_colours(tensor: Tensor) -> list[str]:
    """The colours of all elements of ``tensor``, by flat index."""
    return [colour(i, tensor.size) for i in range(tensor.size)]
