"""Special functions that NumPy does not have, and products in which a zero counts more than an infinity."""

from __future__ import annotations

from collections.abc import Callable
from math import erf as _erf
from math import erfc as _erfc
from typing import Any

import numpy as np

from .fractions import Array, zeros


def _by_element(f: Callable[[float], float], x: Array) -> Array:
    """f, the C library's, of each element."""
    x = np.asarray(x)
    if x.dtype == object:
        raise TypeError(f"{f.__name__} of exact fractions")
    return np.asarray(np.frompyfunc(f, 1, 1)(x)).astype(x.dtype)


def erf(x: Array) -> Array:
    """The error function, element by element through the C library's (NumPy has none)."""
    return _by_element(_erf, x)


def erfc(x: Array) -> Array:
    """1 - erf(x), with the digits of the small numbers on the right."""
    return _by_element(_erfc, x)


def multiply_no_nan(x: Any, y: Any) -> Any:
    """x * y, but 0 where y is 0, even if x is infinite or NaN there."""
    with np.errstate(invalid="ignore"):
        product = np.multiply(x, y)
    nothing = np.equal(y, 0)
    if not np.logical_or.reduce(nothing, axis=None):
        return product
    return np.where(nothing, zeros((), product.dtype), product)[()]


def xlogy(x: Any, y: Any) -> Any:
    """x log y, but 0 where x is 0 and y is not NaN."""
    if object in (np.asarray(x).dtype, np.asarray(y).dtype):
        raise TypeError("xlogy of exact fractions")
    dtype = np.result_type(x, y)  # by which a Python number beside an array has the array's
    nothing = np.equal(x, 0) & np.equal(y, y)
    return x * np.log(np.where(nothing, np.ones((), dtype), np.asarray(y, dtype)))


def atan2(y: Any, x: Any) -> Any:
    """The angle of the point (x, y), by NumPy's function; TypeError for exact fractions."""
    if object in (np.asarray(x).dtype, np.asarray(y).dtype):
        raise TypeError("atan2 of exact fractions")
    return np.arctan2(y, x)


def softsign(x: Any) -> Any:
    """x / (1 + |x|); its limits -1 and 1 at the infinities."""
    x = np.asarray(x)
    if x.dtype.kind != "f":
        return x / (1 + np.abs(x)) if x.dtype == object else x / (1.0 + np.abs(x))
    beyond = np.isinf(x)
    return np.where(beyond, np.sign(x), x / (1 + np.abs(np.where(beyond, np.zeros((), x.dtype), x))))[()]
