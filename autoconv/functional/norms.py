"""np.linalg.norm of vectors and matrices; ``ac.norm`` is PyTorch's, of all elements as one vector."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..primitives import abs_, reshape
from ..shapes import Ints, flag, keepdims_shape, listed, normalize_axes
from ..tape import Tensor
from .composed import composed
from .reduce import max as _max
from .reduce import min as _min
from .reduce import norm as vector_norm
from .reduce import sum as _sum

__all__ = ["matrix_norm", "norm"]


@composed("x")
def norm(x: Any, ord: Any = None, axis: Ints | None = None, keepdims: bool = False) -> Tensor:
    """np.linalg.norm: of a vector (sum |x|^ord)^(1 / ord), of a matrix "fro", 1, -1, inf or -inf.

    ord None: the root of the sum of all squares.  axis: one axis for vectors, two for matrices; None: x is one vector
    or matrix.  Raises ValueError for another ord (2, -2 and "nuc" of a matrix need singular values).

    >>> ac.linalg.norm([[1.0, -2.0], [3.0, 4.0]], 1)
    np.float64(6.0)
    """
    if ord is None and axis is None:
        return vector_norm(x, 2, None, keepdims)
    axes = normalize_axes(axis, x.ndim, "norm")
    if len(axes) == 1:
        return vector_norm(x, 2 if ord is None else ord, axes, keepdims)
    if len(axes) == 2:
        return matrix_norm(x, "fro" if ord is None else ord, axes, keepdims)
    raise ValueError(f"norm: axis={axis} of shape {x.shape} is neither a vector nor a matrix; give one axis or two")


@composed("x")
def matrix_norm(x: Any, ord: Any = "fro", axis: Ints = (-2, -1), keepdims: bool = False) -> Tensor:
    """The norm of a matrix: "fro", the root of the sum of squares; 1 (inf), the largest sum of |x| of a column (row).

    -1, -inf: the smallest.  Raises ValueError for another ord.

    >>> float(ac.linalg.matrix_norm([[1.0, -2.0], [3.0, 4.0]], np.inf))
    7.0
    """
    axes = normalize_axes(axis, x.ndim, "matrix_norm")
    if len(axes) != 2 or len(listed(axis)) != 2:
        raise ValueError(f"matrix_norm: axis={axis} of shape {x.shape} must be two axes")
    flag(keepdims, "matrix_norm: keepdims")
    if isinstance(ord, str) and ord == "fro":
        return vector_norm(x, 2, axes, keepdims)
    if not isinstance(ord, int | float) or ord not in (1, -1, np.inf, -np.inf):
        raise ValueError(
            f"matrix_norm: ord={ord!r}; use 'fro', 1, -1, inf or -inf (2, -2 and 'nuc' need singular values, which "
            "are no composition)"
        )
    along, other = axes if abs(ord) == 1 else axes[::-1]
    sums = _sum(abs_(x), along, keepdims=True)
    y = (_max if ord > 0 else _min)(sums, other, keepdims=True)
    shape = keepdims_shape(x.shape, axes)
    return reshape(y, shape=shape if keepdims else tuple(n for i, n in enumerate(shape) if i not in axes))
