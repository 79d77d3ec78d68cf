"""ONNX files as Modules: ``ac.onnx.load``.  In the order a file is read: tensors (its arrays), scopes (where its nodes
come from), operators (what they do), reader (the graph), and ``load``.

>>> from autoconv.interop.onnx.operators import OPERATIONS
>>> OPERATIONS["Gemm"](np.ones((1, 2)), np.ones((3, 2)), transB=1)
array([[2., 2., 2.]])
"""

from .loading import load

__all__ = ["load"]
