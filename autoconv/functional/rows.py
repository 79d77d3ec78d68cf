"""The rows of the table under their names, for users: what a printed tape calls ``exp`` or ``crop`` is ``ac.exp`` and ``ac.crop``.

A new row is here as soon as it stands in the table.  Where a composed function has a row's name (``reshape``, ``sum``), that
function is what users get; it works out the settings and calls the row.
"""

from typing import TYPE_CHECKING

from .. import row_pages
from ..primitives import TABLE

if TYPE_CHECKING:
    from ..primitives import *
    from ..primitives import abs_ as abs
else:
    __all__ = sorted(TABLE)
    globals().update(TABLE)
