"""Models that were written for other libraries: read into graphs (``graph``), run as Modules (``imported``).

>>> from autoconv.interop import Graph, Input, Node, Value
>>> Graph((Input("x", (None, 3)),), (Node("relu", (Value(0),), {}, 1),), Value(1), (Value(0),)).outputs
Value(number=1)
"""

from . import onnx as onnx
from .graph import Constant, Graph, Input, Level, Node, State, UnsupportedError, Value
from .imported import Imported, on_model

__all__ = ["Constant", "Graph", "Imported", "Input", "Level", "Node", "State", "UnsupportedError", "Value", "on_model"]
