"""ONNX's operators, each a small function of autoconv's own: what a graph read by ``ac.onnx.load`` names.

``OPERATIONS`` maps the operators' names to functions that take their inputs in order (None for one left out) and their
attributes by name.  A function that asks for ``opset`` is told the version of the operator set; one that asks for
``outputs`` is told how many are read, and makes a tuple.  All compose rows of the table; none has a gradient of its
own.
"""

from ...graph import Table
from . import activation, attention, control, elementwise, index, layers, recurrent, reduce, resize, shape

OPERATIONS = Table(
    f"{__name__}:OPERATIONS",
    elementwise.OPERATIONS | activation.OPERATIONS | shape.OPERATIONS | index.OPERATIONS | reduce.OPERATIONS
    | layers.OPERATIONS | attention.OPERATIONS | resize.OPERATIONS | recurrent.OPERATIONS | control.OPERATIONS,
)  # fmt: skip

__all__ = ["OPERATIONS"]
