"""PyTorch's operations (ATen), each a small function of autoconv's own: what a graph read by ``from_torch`` names.

``OPERATIONS`` maps ATen's names, where it matters with the overload ("max.dim"), to functions that take what the
operation takes, in the same order.  They compose rows of the table; none has a gradient of its own.
"""

from ..graph import Table
from . import elementwise, layers, losses, making, pooling, recurrent, reduce, shape, writing

OPERATIONS = Table(
    f"{__name__}:OPERATIONS",
    elementwise.OPERATIONS | shape.OPERATIONS | writing.OPERATIONS | making.OPERATIONS | reduce.OPERATIONS
    | layers.OPERATIONS | pooling.OPERATIONS | losses.OPERATIONS | recurrent.OPERATIONS,
)  # fmt: skip

__all__ = ["OPERATIONS"]
