"""Numbers, exact fractions among them, and the arithmetic rows that NumPy does not have."""

from __future__ import annotations

from math import erf as _erf
from typing import Any

import numpy as np

from ..shapes import Shape

Array = np.ndarray


def zeros(shape: Shape, dtype: Any) -> Array:
    """Zeros that stay exact: in an object array they are fractions."""
    return exact(np.zeros(shape, int)) if dtype == object else np.zeros(shape, dtype)


def exact(x: Any) -> Array:
    """An object array in which every Python number has become an exact Fraction (so that 1 / 2 stays 1/2)."""
    from fractions import Fraction  # here, because it takes longer to import than all of autoconv
    from numbers import Rational

    convert = np.frompyfunc(lambda v: Fraction(v) if isinstance(v, Rational | float) else v, 1, 1)
    return np.asarray(convert(np.asarray(x, object)), object)


def cast(x: Array, dtype: Any) -> Array:
    if dtype == object and x.dtype != object:
        return exact(x)
    return np.asarray(x).astype(dtype)


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


def erf(x: Array) -> Array:
    """The error function, element by element through the C library's (NumPy has none)."""
    x = np.asarray(x)
    if x.dtype == object:
        raise TypeError("erf of exact fractions")
    return np.asarray(np.frompyfunc(_erf, 1, 1)(x)).astype(x.dtype)
