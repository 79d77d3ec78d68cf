"""JAX's operations (lax), each a small function of autoconv's own: what a graph read by ``from_jax`` names.

``OPERATIONS`` maps the names of jaxpr primitives to functions that take their operands in the same order and those of
their params that matter as keywords.  They compose rows of the table; none has a gradient of its own.
"""

from ..graph import Table
from . import elementwise, index, layers, reduce, wiring

OPERATIONS = Table(
    f"{__name__}:OPERATIONS",
    elementwise.OPERATIONS | wiring.OPERATIONS | reduce.OPERATIONS | layers.OPERATIONS | index.OPERATIONS,
)

__all__ = ["OPERATIONS"]
