"""NumPy's ``linalg`` on Tensors: what can be composed exactly, under NumPy's names.

Norms, products, and what elimination gives.  Eigenvalues, singular values and factorisations are not here: they are no
compositions of rows.

>>> from autoconv import linalg
>>> linalg.norm([3.0, 4.0])
np.float64(5.0)
"""

from __future__ import annotations

from functools import reduce
from typing import Any

from .functional.array import swapaxes
from .functional.linalg import cross, matmul, outer, tensordot
from .functional.matrices import det, inv, matrix_power, solve
from .functional.norms import matrix_norm, norm
from .functional.pick import diag, trace
from .functional.reduce import norm as vector_norm
from .tape import Tensor

__all__ = [
    "cross", "det", "diagonal", "inv", "matmul", "matrix_norm", "matrix_power", "matrix_transpose", "multi_dot", "norm",
    "outer", "solve", "tensordot", "trace", "vector_norm",
]  # fmt: skip

diagonal = diag


def matrix_transpose(x: Any) -> Tensor:
    """The last two axes exchanged.

    >>> ac.linalg.matrix_transpose(np.ones((4, 2, 3))).shape
    (4, 3, 2)
    """
    return swapaxes(x, -1, -2)


def multi_dot(arrays: Any) -> Tensor:
    """The product of several matrices, from the left to the right.

    >>> ac.linalg.multi_dot([[[1.0, 2.0]], [[1.0], [1.0]], [[3.0]]])
    array([[9.]])
    """
    several = list(arrays)
    if len(several) < 2:
        raise ValueError(f"multi_dot: {len(several)} arrays; two or more are needed")
    return reduce(matmul, several)
