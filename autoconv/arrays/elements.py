"""Numbers, exact fractions among them, and the arithmetic rows that NumPy does not have."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
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


Cases = tuple[float, float, float]  # numbers for less, tie and more

TRUE_IN = {  # the cases in which a comparison is true
    (True, False, False): np.less,
    (False, True, False): np.equal,
    (False, False, True): np.greater,
    (True, True, False): np.less_equal,
    (True, False, True): np.not_equal,
    (False, True, True): np.greater_equal,
}


def times_cases(g: Array, x: Array, y: Array, slopes: Sequence[Cases]) -> list[Array]:
    """For each of ``slopes``, g times its number for the order of x and y, in which a NaN wins as in ``order``.

    sum over the numbers c of c * g * [the order is a case with number c], the truth values taken as 0 and 1.
    """
    below, others = np.less(x, y), np.greater_equal(x, y)
    if not np.logical_and.reduce(np.not_equal(below, others), axis=None):  # a NaN is neither: its order decides
        case = order(x, y)
        return times_cases(g, case, np.zeros_like(case), slopes)
    known = {(True, False, False): below, (False, True, True): others}
    made = []
    for cases in slopes:
        parts = []
        for number in sorted({*cases} - {0}) or [0]:
            place = cases[0] == number, cases[1] == number, cases[2] == number
            if place not in known:
                known[place] = TRUE_IN[place](x, y) if place in TRUE_IN else below | others
            parts.append(cast(np.asarray(known[place]).view(np.int8), g.dtype))
            parts[-1] *= g if number == 1 else g * cast(np.asarray(number), g.dtype)
        made.append(reduce(np.add, parts)[()])  # of no dimension: a number, as NumPy's arithmetic has it
    return made


def difference(x: Array, y: Array, dtype: Any) -> Array:
    """x - y of truth values, as numbers of ``dtype``."""
    return cast(np.asarray(x).view(np.int8) - np.asarray(y).view(np.int8), dtype)


def erf(x: Array) -> Array:
    """The error function, element by element through the C library's (NumPy has none)."""
    x = np.asarray(x)
    if x.dtype == object:
        raise TypeError("erf of exact fractions")
    return np.asarray(np.frompyfunc(_erf, 1, 1)(x)).astype(x.dtype)
