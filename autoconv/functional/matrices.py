"""Square matrices solved by elimination: solve, inv, det, and powers.

Gauss and Jordan's elimination with the largest pivot of each column (the first of equals): the order of the rows is a
line of its own (``argsort``), as in sorting, so that a recording holds for other matrices too.  The gradients fall out
of the chain rule.  Leading axes are batches.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .. import primitives as p
from ..hooks import check
from ..shapes import broadcast_shapes, whole_number
from ..tape import Array, Tensor
from .array import broadcast_to, expand_dims, flat_places, ravel
from .composed import composed
from .linalg import matmul
from .reduce import prod

__all__ = ["det", "inv", "matrix_power", "solve"]


def _square(x: Any, name: str) -> Any:
    """x as square matrices of floating-point numbers (or exact fractions)."""
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ValueError(f"{name}: the input has shape {x.shape}; a square matrix (.., n, n) is needed")
    return p.cast(x, dtype=np.dtype(float)) if x.dtype.kind in "iub" else x


def _not_zero(name: str, pivots: Array) -> None:
    if pivots.size and not np.all(pivots != 0):
        raise ValueError(f"{name}: the matrix is singular: a pivot is 0, so no row is left for that column")


def _eliminated(name: str, a: Any, b: Any) -> tuple[Any, list[Any], list[Any]]:
    """(x with a x = b, the pivots, and for each whether its row changed places), by Gauss and Jordan."""
    n, pivots, swapped = a.shape[-1], [], []
    work = p.concat(a, b, axis=a.ndim - 1)
    rows = np.arange(n)
    every = (slice(None),) * (a.ndim - 2)
    for k in range(n):
        below = p.index(work, key=(*every, slice(k, n), k))
        size = p.abs_(below)
        largest = p.index(p.argsort(-size, axis=size.ndim - 1), key=(..., slice(0, 1)))
        best = p.add(largest, k)  # (.., 1): the row of the pivot
        order = p.where(p.equal(rows, k), best, p.where(p.equal(rows, best), k, rows))
        order = broadcast_to(expand_dims(order, -1), work.shape)
        work = p.take(ravel(work), flat_places(work.shape, order, work.ndim - 2), axis=0)
        row = p.index(work, key=(*every, slice(k, k + 1), slice(None)))
        pivot = p.index(row, key=(..., slice(0, 1), slice(k, k + 1)))
        check(partial(_not_zero, name), pivot)
        row = row / pivot
        column = p.index(work, key=(*every, slice(None), slice(k, k + 1)))
        others = p.where(p.equal(rows[:, None], k), 0, column)
        kept = p.where(p.equal(rows[:, None], k), 0, work)
        work = p.add(kept - others * row, p.where(p.equal(rows[:, None], k), row, 0))
        pivots.append(pivot)
        swapped.append(p.not_equal(best, k))
    return p.index(work, key=(..., slice(n, None))), pivots, swapped


@composed("a", "b", statistics=True)
def solve(a: Any, b: Any) -> Tensor:
    """x with a x = b: (.., n, n) and (.., n, k), or (n,) for one vector.

    Raises ValueError for a singular matrix, or shapes that do not fit.

    >>> ac.solve([[2.0, 0.0], [1.0, 1.0]], [2.0, 3.0])
    array([1., 2.])
    """
    a = _square(a, "solve")
    vector = b.ndim == 1
    if not b.ndim or b.shape[-1 if vector else -2] != a.shape[-1]:
        raise ValueError(
            f"solve: the matrix has shape {a.shape}, the right side {b.shape}; it needs {a.shape[-1]} rows"
        )
    leading = broadcast_shapes(a.shape[:-2], () if vector else b.shape[:-2], operation="solve")
    if object in (a.dtype, b.dtype) and a.dtype != b.dtype:
        raise TypeError("solve: one of the two holds exact fractions (dtype object), the other does not")
    b = expand_dims(b, -1) if vector else b
    b = p.cast(b, dtype=a.dtype) if b.dtype.kind in "iub" else b
    if a.dtype != b.dtype:
        common = np.result_type(a.dtype, b.dtype)
        a, b = [z if z.dtype == common else p.cast(z, dtype=common) for z in (a, b)]
    a, b = [broadcast_to(z, (*leading, *z.shape[-2:])) for z in (a, b)]
    x = _eliminated("solve", a, b)[0]
    return p.index(x, key=(..., 0)) if vector else x


@composed("x", statistics=True)
def inv(x: Any) -> Tensor:
    """The inverse of square matrices (.., n, n).  Raises ValueError for a singular one.

    >>> ac.inv([[2.0, 0.0], [0.0, 4.0]])
    array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    x = _square(x, "inv")
    n = x.shape[-1]
    unit = p.cast(np.eye(n), dtype=x.dtype)
    return _eliminated("inv", x, broadcast_to(unit, x.shape))[0]  # type: ignore[no-any-return]


@composed("x", statistics=True)
def det(x: Any) -> Tensor:
    """The determinant of square matrices (.., n, n); up to n = 3 written out, beyond that the product of the pivots.

    Raises ValueError for a singular matrix of more than three rows, whose slope the pivots do not give.

    >>> float(ac.det([[1.0, 2.0], [3.0, 4.0]]))
    -2.0
    """
    x = _square(x, "det")
    n, every = x.shape[-1], (slice(None),) * (x.ndim - 2)

    def at(i: int, j: int) -> Any:
        return p.index(x, key=(*every, i, j))

    if n == 0:
        return prod(x, (-2, -1))
    if n == 1:
        return p.index(x, key=(*every, 0, 0))
    if n == 2:
        return p.sub(at(0, 0) * at(1, 1), at(0, 1) * at(1, 0))
    if n == 3:
        minors = [at(1, j) * at(2, k) - at(1, k) * at(2, j) for j, k in ((1, 2), (2, 0), (0, 1))]
        return p.add(p.add(at(0, 0) * minors[0], at(0, 1) * minors[1]), at(0, 2) * minors[2])
    none = p.index(x, key=(..., slice(0, 0)))
    _, pivots, swapped = _eliminated("det", x, none)
    y = prod(p.concat(*pivots, axis=x.ndim - 1), (-2, -1))
    for changed in swapped:
        y = p.where(p.index(changed, key=(..., 0)), -y, y)
    return y


@composed("x", statistics=True)
def matrix_power(x: Any, n: int) -> Tensor:
    """x @ x @ .. @ x, n times; n = 0 is the unit matrix, a negative n takes the inverse.

    >>> ac.matrix_power([[1.0, 1.0], [0.0, 1.0]], 3)
    array([[1., 3.],
           [0., 1.]])
    """
    x, power = _square(x, "matrix_power"), whole_number(n, "matrix_power: n")
    if abs(power) > 2**20:
        raise ValueError(f"matrix_power: n={power} is beyond a million products")
    base = inv(x) if power < 0 else x
    result: Any = None
    for digit in f"{abs(power):b}":
        result = None if result is None else matmul(result, result)
        if digit == "1":
            result = base if result is None else matmul(result, base)
    if result is None:
        return broadcast_to(p.cast(np.eye(x.shape[-1]), dtype=x.dtype), x.shape) + 0 * x  # type: ignore[no-any-return]
    return result  # type: ignore[no-any-return]
