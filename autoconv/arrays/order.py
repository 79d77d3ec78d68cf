"""The order of two numbers: maximum and minimum, sign, and which is the greater."""

from __future__ import annotations

from typing import Any

import numpy as np

from .fractions import Array, cast


def extreme(f: Any, x: Any, y: Any) -> Any:
    """np.maximum or np.minimum of x and y.

    NumPy has vector instructions for them where neighbours in both operands are neighbours in memory, so a number that
    stands for all cells is written out: into the result.
    """
    alike = isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and (x.shape, x.dtype) == (y.shape, y.dtype)
    if not alike or any(x.strides) == any(y.strides):
        return f(x, y)
    number, cells = (y, x) if any(x.strides) else (x, y)
    out = np.empty_like(cells)
    out[...] = number
    return f(x, out, out=out) if number is y else f(out, y, out=out)


def sign(x: Array, at_zero: int = 0) -> Array:
    x = np.asarray(x)
    above = np.greater_equal(x, 0) if at_zero > 0 else np.greater(x, 0)
    below = np.less_equal(x, 0) if at_zero < 0 else np.less(x, 0)
    s = difference(above, below, x.dtype)
    if x.dtype.kind == "f" and np.logical_or.reduce(nan := np.isnan(x), axis=None):
        np.copyto(s, x, where=nan)
    return s


def order(x: Array, y: Array) -> Array:
    """1 where x > y, -1 where x < y, 0 at a tie.  A NaN wins over a number, as it does in np.maximum."""
    x, y = np.asarray(x), np.asarray(y)
    above, below = np.greater(x, y), np.less(x, y)
    result = difference(above, below, x.dtype)
    if x.dtype.kind == "f" and not np.logical_and.reduce(above | below | np.equal(x, y), axis=None):
        result = result + difference(np.isnan(x), np.isnan(y), x.dtype)
    return result


def difference(x: Array, y: Array, dtype: Any) -> Array:
    """x - y of truth values, as numbers of ``dtype``."""
    return cast(np.asarray(x).view(np.int8) - np.asarray(y).view(np.int8), dtype)
