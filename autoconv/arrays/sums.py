"""Sums that keep their digits, for any axes, dtype and layout: what every row that adds up calls.

float16 is added in float32 and rounded once.  NumPy adds neighbours in memory pairwise, but whole rows one after the
other (a bias's gradient, the statistics of channels that lie innermost), and an error then grows with their number.
Here the rows are folded: 64 of them, each made of many, are added, then what remains in the same way; so no number
takes part in more than some hundred additions.  Integers and exact fractions are exact in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ..shapes import Shape, broadcast_axes
from .fractions import Array
from .memory import memory_order

Key = Any

FOLD = 64  # rows added at a time
SHORT = 128  # terms: as many as NumPy adds one after the other where it adds pairwise


def wide(dtype: Any) -> np.dtype[Any]:
    """The dtype in which numbers of ``dtype`` are added up: float32 for float16, else itself."""
    return np.dtype(np.float32) if dtype == np.float16 else np.dtype(dtype)


def total(x: Array, axis: int | Sequence[int] | None, keepdims: bool = False) -> Any:
    """The sum of x over ``axis`` (None: all), as ``np.sum`` has it, with the digits described above."""
    x = np.asarray(x)
    if x.dtype.kind != "f" or (x.size <= SHORT and x.dtype != np.float16):
        return np.add.reduce(x, axis=tuple(axis) if isinstance(axis, list) else axis, keepdims=keepdims)
    axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    summed = {a % x.ndim for a in axes}
    result = _added(x.astype(wide(x.dtype), copy=False), summed).astype(x.dtype, copy=False)
    if keepdims:
        result = result.reshape([1 if a in summed else n for a, n in enumerate(x.shape)])
    return result[()]  # of no dimension: a number, as np.sum gives it


def sum_to(x: Array, shape: Shape) -> Any:
    """Sum x over the axes along which ``shape`` broadcasts to it."""
    return np.reshape(total(x, broadcast_axes(shape, x.shape)), shape)


def _added(x: Array, summed: set[int]) -> Array:
    """x summed over these axes, the others in their order."""
    terms = prod([x.shape[a] for a in summed])
    at_end = x.flags.c_contiguous and summed == set(range(x.ndim - len(summed), x.ndim))
    if terms <= SHORT or at_end:  # pairwise, as far as it matters
        return np.asarray(np.add.reduce(x, axis=tuple(summed)))
    order = memory_order(x)
    sizes: list[int] = []  # of neighbouring axes that can be one: all summed, or all kept
    sums: list[bool] = []
    step = 0  # bytes from one element to the next along the last of them
    for a in reversed(order):  # from the innermost outwards
        n = x.shape[a]
        if n == 1:
            continue
        if sizes and sums[-1] == (a in summed) and x.strides[a] == step * sizes[-1]:
            sizes[-1] *= n
        else:
            sizes.append(n)
            sums.append(a in summed)
            step = x.strides[a]
    y = x.transpose(order).reshape(sizes[::-1])
    sums.reverse()
    for axis in range(len(sums) - 1, -1, -1):
        if sums[axis]:
            y = np.add.reduce(y, axis=axis) if axis == y.ndim - 1 else _folded(y, axis)
    kept = [a for a in order if a not in summed]
    back = sorted(range(len(kept)), key=kept.__getitem__)
    return np.asarray(y).reshape([x.shape[a] for a in kept]).transpose(back)


def _folded(x: Array, axis: int) -> Array:
    """x summed over an axis that is not the innermost."""
    before = (slice(None),) * axis
    rest: Array | None = None
    while (n := x.shape[axis]) > SHORT:
        each = n // FOLD
        if n % FOLD:
            after: Key = (*before, slice(each * FOLD, None))
            last = np.add.reduce(x[after], axis=axis)
            rest = last if rest is None else rest + last
        whole: Key = (*before, slice(each * FOLD))
        x = np.add.reduce(x[whole].reshape(*x.shape[:axis], FOLD, each, *x.shape[axis + 1 :]), axis=axis)
    x = np.asarray(np.add.reduce(x, axis=axis))
    return x if rest is None else x + rest
