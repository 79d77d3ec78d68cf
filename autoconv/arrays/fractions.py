"""Zeros and casts that keep exact fractions exact: in an object array every number is a Fraction."""

from __future__ import annotations

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
