"""ONNX files: models read as Modules (``load``); models, functions and their gradients written (``save``,
``save_gradient``).

In the order a file is read: tensors (its arrays), scopes (where its nodes come from), operators (what they do), reader
(the graph), and ``load``.  In the order it is written: sizes (which of them follow the batch), nodes (plain data),
cells (how a row of the table is written), patterns (rows that are one operator), graph, recording, ``save`` and
``save_gradient``.

>>> from autoconv.interop.onnx.operators import OPERATIONS
>>> OPERATIONS["Gemm"](np.ones((1, 2)), np.ones((3, 2)), transB=1)
array([[2., 2., 2.]])
"""

from .gradient import save_gradient
from .loading import load
from .writer import save

__all__ = ["load", "save", "save_gradient"]
