"""Functions of one and two numbers that the table has no row for, composed of those it has.

Rounding has slope 0 everywhere, as the comparisons have: nothing is recorded that a gradient could go back through.
Truth values are arrays of bool; made from a Tensor they are lines of its tape, and hold for other inputs as well.
"""

from __future__ import annotations

from math import log, pi
from typing import Any

import numpy as np

from .. import primitives as p
from ..operands import found, real
from ..shapes import broadcast_shapes, whole_number
from ..tape import Tensor
from .composed import composed

__all__ = [
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "ceil",
    "cosh",
    "deg2rad",
    "exp2",
    "floor_divide",
    "fmax",
    "fmin",
    "fmod",
    "frac",
    "hypot",
    "isfinite",
    "isinf",
    "isnan",
    "lerp",
    "log2",
    "log10",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "masked_fill",
    "nan_to_num",
    "rad2deg",
    "round",
    "rsqrt",
    "sinh",
    "tan",
    "trunc",
]  # fmt: skip


def _floats(x: Any, name: str) -> Any:
    """Whole numbers and truth values as floating-point numbers.  TypeError for exact fractions, of which the result
    would be none."""
    if x.dtype == object:
        raise TypeError(f"{name}: not defined for exact fractions (dtype object); use floating-point numbers")
    return p.cast(x, dtype=np.dtype(float)) if x.dtype.kind in "iub" else x


def _whole(x: Any) -> Any:
    """Truth values as whole numbers."""
    return p.cast(x, dtype=np.dtype(int)) if x.dtype == bool else x


def _meet(x: Any, y: Any, name: str) -> None:
    """ValueError for shapes that do not broadcast, before a line is recorded."""
    broadcast_shapes(x.shape, y.shape, operation=name)


# ---- angles and hyperbolas


@composed("x")
def tan(x: Any) -> Tensor:
    """sin x / cos x; the slope is 1 + tan^2 x.

    >>> ac.tan([0.0, 0.5]).round(4)
    array([0.    , 0.5463])
    """
    x = _floats(x, "tan")
    result: Tensor = p.sin(x) / p.cos(x)
    return result


@composed("x")
def asin(x: Any) -> Tensor:
    """The angle in -pi/2 .. pi/2 whose sine is x: atan2(x, sqrt(1 - x) sqrt(1 + x)); the slope at -1 and 1 is infinite.

    >>> ac.asin([0.0, 0.5]).round(4)
    array([0.    , 0.5236])
    """
    x = _floats(x, "asin")
    return p.atan2(x, p.sqrt(1 - x) * p.sqrt(1 + x))


@composed("x")
def acos(x: Any) -> Tensor:
    """The angle in 0 .. pi whose cosine is x: atan2(sqrt(1 - x) sqrt(1 + x), x); the slope at -1 and 1 is -infinity.

    >>> ac.acos([1.0, 0.5]).round(4)
    array([0.    , 1.0472])
    """
    x = _floats(x, "acos")
    return p.atan2(p.sqrt(1 - x) * p.sqrt(1 + x), x)


@composed("x")
def atan(x: Any) -> Tensor:
    """The angle in -pi/2 .. pi/2 whose tangent is x: atan2(x, 1); the slope is 1 / (1 + x^2).

    >>> ac.atan([0.0, 1.0]).round(4)
    array([0.    , 0.7854])
    """
    return p.atan2(_floats(x, "atan"), 1.0)


@composed("x")
def sinh(x: Any) -> Tensor:
    """(e^x - e^-x) / 2, written 2 sinh(x/2) cosh(x/2) with expm1: the digits of small numbers are kept.

    >>> ac.sinh([0.0, 1.0]).round(4)
    array([0.    , 1.1752])
    """
    x = _floats(x, "sinh")
    far = _far(x)
    half = p.where(far, 0, x) / 2
    up, down = p.expm1(half), p.expm1(-half)
    return p.where(far, p.multiply_no_nan(np.inf, x), (up - down) * (1 + (up + down) / 2))


def _far(x: Any) -> Any:
    """Where e^|x| is beyond the range: an infinity stands there for what would be an infinity times a 0."""
    top = 1.5 * log(float(np.finfo(x.dtype).max)) if x.dtype.kind == "f" else np.inf
    return p.greater(p.abs_(x), top)


@composed("x")
def cosh(x: Any) -> Tensor:
    """(e^x + e^-x) / 2, written 1 + 2 sinh^2(x/2).

    >>> ac.cosh([0.0, 1.0]).round(4)
    array([1.    , 1.5431])
    """
    x = _floats(x, "cosh")
    far = _far(x)
    half = p.where(far, 0, x) / 2
    s = p.expm1(half) - p.expm1(-half)
    return p.where(far, p.multiply_no_nan(np.inf, p.abs_(x)), 1 + s * s / 2)


@composed("x", statistics=True)
def asinh(x: Any) -> Tensor:
    """The number whose sinh is x: sign x log1p(|x| + x^2 / (1 + sqrt(1 + x^2))); the slope is 1 / sqrt(1 + x^2).

    >>> ac.asinh([0.0, 1.0]).round(4)
    array([0.    , 0.8814])
    """
    x = _floats(x, "asinh")
    size = p.abs_(x)
    large = p.greater(size, 1e8 if x.dtype == np.float64 else 1e4)  # where 1 is lost beside x^2
    near = p.where(large, 1, x)
    size = p.where(large, 0, size)
    small = p.log1p(size + near * near / (1 + p.sqrt(1 + near * near)))
    far = p.log(p.where(large, p.abs_(x), 1)) + log(2)
    # sign x times the size, but with the slope of the size at 0, where |x| has none
    return p.where(large, p.sign(x) * far, p.where(p.equal(x, 0), x, p.sign(x) * small))


@composed("x", statistics=True)
def acosh(x: Any) -> Tensor:
    """The number of at least 0 whose cosh is x: log1p(t + sqrt(t) sqrt(t + 2)), t = x - 1; NaN below 1.

    The slope at 1 is infinite.

    >>> ac.acosh([1.0, 2.0]).round(4)
    array([0.   , 1.317])
    """
    x = _floats(x, "acosh")
    large = p.greater(x, 1e8 if x.dtype == np.float64 else 1e4)  # where 1 is lost beside x^2
    t = p.where(large, 2, x) - 1  # not 0, where the root has no slope
    return p.where(large, p.log(p.where(large, x, 1)) + log(2), p.log1p(t + p.sqrt(t) * p.sqrt(t + 2)))


@composed("x")
def atanh(x: Any) -> Tensor:
    """The number whose tanh is x: (log1p(x) - log1p(-x)) / 2, infinite at -1 and 1, NaN beyond.

    >>> ac.atanh([0.0, 0.5]).round(4)
    array([0.    , 0.5493])
    """
    x = _floats(x, "atanh")
    result: Tensor = (p.log1p(x) - p.log1p(-x)) / 2
    return result


@composed("x")
def deg2rad(x: Any) -> Tensor:
    """Degrees as radians: x pi / 180.

    >>> ac.deg2rad([0.0, 180.0]).round(4)
    array([0.    , 3.1416])
    """
    return p.mul(_floats(x, "deg2rad"), pi / 180)


@composed("x")
def rad2deg(x: Any) -> Tensor:
    """Radians as degrees: x 180 / pi.

    >>> ac.rad2deg([0.0, np.pi])
    array([  0., 180.])
    """
    return p.mul(_floats(x, "rad2deg"), 180 / pi)


@composed("x", "y", statistics=True)
def hypot(x: Any, y: Any) -> Tensor:
    """sqrt(x^2 + y^2), also where the squares are out of range; the slope at (0, 0) is chosen as 0.

    >>> ac.hypot([3.0, 0.0], [4.0, 0.0])
    array([5., 0.])
    """
    _meet(x, y, "hypot")
    if object in (x.dtype, y.dtype):
        _floats(x if x.dtype == object else y, "hypot")
    x, y = _floats(x, "hypot"), _floats(y, "hypot")
    size = p.stop_gradient(p.maximum(p.abs_(x), p.abs_(y)))
    smallest = np.finfo(size.dtype).smallest_normal  # less than it has too few digits to carry a gradient
    size = p.where(p.less(size, np.inf), p.maximum(size, smallest), 1)
    a, b = x / size, y / size
    square = a * a + b * b
    none = p.equal(square, 0)
    result: Tensor = p.where(none, 0, p.sqrt(p.where(none, 1, square))) * size
    return result


# ---- powers and logarithms


@composed("x")
def log2(x: Any) -> Tensor:
    """The logarithm to base 2: ln x / ln 2.

    >>> ac.log2([1.0, 8.0])
    array([0., 3.])
    """
    result: Tensor = p.log(_floats(x, "log2")) / log(2)
    return result


@composed("x")
def log10(x: Any) -> Tensor:
    """The logarithm to base 10: ln x / ln 10.

    >>> ac.log10([1.0, 100.0])
    array([0., 2.])
    """
    result: Tensor = p.log(_floats(x, "log10")) / log(10)
    return result


@composed("x")
def exp2(x: Any) -> Tensor:
    """2^x.

    >>> ac.exp2([0.0, 3.0, -1.0])
    array([1. , 8. , 0.5])
    """
    return p.power(2.0, _floats(x, "exp2"))


@composed("x")
def rsqrt(x: Any) -> Tensor:
    """1 / sqrt(x).

    >>> ac.rsqrt([4.0, 0.25])
    array([0.5, 2. ])
    """
    return p.div(1, p.sqrt(_floats(x, "rsqrt")))


# ---- rounding: piecewise constant


@composed("x")
def ceil(x: Any) -> Tensor:
    """The smallest whole number that is not below x; the slope is 0 everywhere.

    >>> ac.ceil([-1.5, 0.5, 2.0])
    array([-1.,  1.,  2.])
    """
    return -p.floor(-_whole(x))


@composed("x")
def trunc(x: Any) -> Tensor:
    """x without its fraction, towards 0; the slope is 0 everywhere.

    >>> ac.trunc([-1.5, 0.5, 2.0])
    array([-1.,  0.,  2.])
    """
    x = _whole(x)
    return p.where(p.less(x, 0), -p.floor(-x), p.floor(x))


@composed("x")
def round(x: Any, decimals: int = 0) -> Tensor:
    """The nearest number with so many ``decimals``, of two equally near the one whose last digit is even (IEEE 754);
    the slope is 0 everywhere.

    >>> ac.round([0.5, 1.5, -2.6])
    array([ 0.,  2., -3.])
    """
    digits = whole_number(decimals, "round: decimals", -300)
    if digits > 300:
        raise ValueError(f"round: decimals={digits}; a floating-point number has fewer, use at most 300")
    x = p.stop_gradient(_floats(x, "round"))
    x = x if not digits else x * 10.0**digits
    below = p.floor(x)
    above = p.where(p.equal(below, x), below, below + 1)  # no 1 added to an infinity, or to what is whole
    fraction = x - p.where(p.less(p.abs_(x), np.inf), below, 0)
    even = p.equal(p.floor(below / 2) * 2, below)
    up = p.where(p.equal(fraction, 0.5), p.equal(even, False), p.greater(fraction, 0.5))
    whole = p.where(up, above, below)
    result: Tensor = whole if not digits else whole / 10.0**digits
    return result


@composed("x", "y")
def fmod(x: Any, y: Any) -> Tensor:
    """The remainder of x / y with the sign of x: x - y trunc(x / y); slopes 1 and -trunc(x / y).

    >>> ac.fmod([5.5, -5.5], 2.0)
    array([ 1.5, -1.5])
    """
    _meet(x, y, "fmod")
    x, size = _whole(x), p.abs_(_whole(y))
    side = p.where(p.less(x, 0), *np.array([-1, 1]).astype(x.dtype))
    return side * p.remainder(side * x, size)


@composed("x", "y")
def floor_divide(x: Any, y: Any) -> Tensor:
    """The largest whole number that is not above x / y: floor((x - (x mod y)) / y); the slope is 0 everywhere.

    >>> ac.floor_divide([5.5, -5.5], 2.0)
    array([ 2., -3.])
    """
    _meet(x, y, "floor_divide")
    x, y = p.stop_gradient(_whole(x)), p.stop_gradient(_whole(y))
    quotient = (x - p.remainder(x, y)) / y
    below = p.floor(quotient)
    whole = below + p.greater(quotient - below, 0.5)  # rounding may have left it a little below a whole number
    kind = np.result_type(x.dtype, y.dtype)
    return whole if kind.kind in "fO" else p.cast(whole, dtype=kind)


@composed("x")
def frac(x: Any) -> Tensor:
    """x without its whole part, with the sign of x: x - trunc x; the slope is 1.

    >>> ac.frac([1.5, -1.25])
    array([ 0.5 , -0.25])
    """
    result: Tensor = x - trunc(x)
    return result


@composed("x", "y")
def fmax(x: Any, y: Any) -> Tensor:
    """The larger of two numbers, and the number beside a NaN; a tie is split evenly.

    >>> ac.fmax([1.0, np.nan], 2.0)
    array([2., 2.])
    """
    return _beside_nan(p.maximum, x, y, "fmax")


@composed("x", "y")
def fmin(x: Any, y: Any) -> Tensor:
    """The smaller of two numbers, and the number beside a NaN; a tie is split evenly.

    >>> ac.fmin([1.0, np.nan], 2.0)
    array([1., 2.])
    """
    return _beside_nan(p.minimum, x, y, "fmin")


def _beside_nan(choose: Any, x: Any, y: Any, name: str) -> Tensor:
    _meet(x, y, name)
    return p.where(p.not_equal(x, x), y, p.where(p.not_equal(y, y), x, choose(x, y)))


@composed("x", "y", "weight")
def lerp(x: Any, y: Any, weight: Any) -> Tensor:
    """The point on the way from x to y: x + weight (y - x).

    >>> ac.lerp([0.0, 10.0], [10.0, 20.0], 0.5)
    array([ 5., 15.])
    """
    broadcast_shapes(x.shape, y.shape, weight.shape, operation="lerp")
    result: Tensor = x + weight * (y - x)
    return result


# ---- truth values


@composed("x")
def isnan(x: Any) -> Any:
    """Whether each number is NaN: x != x.

    >>> ac.isnan([1.0, np.nan])
    array([False,  True])
    """
    return p.not_equal(x, x)


@composed("x")
def isinf(x: Any) -> Any:
    """Whether each number is infinite: |x| = inf.

    >>> ac.isinf([1.0, -np.inf])
    array([False,  True])
    """
    return p.equal(p.abs_(_floats(x, "isinf")), np.inf)


@composed("x")
def isfinite(x: Any) -> Any:
    """Whether each number is neither infinite nor NaN: |x| < inf.

    >>> ac.isfinite([1.0, -np.inf, np.nan])
    array([ True, False, False])
    """
    return p.less(p.abs_(_floats(x, "isfinite")), np.inf)


def _truth(x: Any) -> Any:
    """Numbers as truth values: whether they are not 0."""
    return x if x.dtype == bool else p.not_equal(x, 0)


@composed("x")
def logical_not(x: Any) -> Any:
    """Whether x is 0 or False.

    >>> ac.logical_not([True, False])
    array([False,  True])
    """
    return p.equal(_truth(x), False)


@composed("x", "y")
def logical_and(x: Any, y: Any) -> Any:
    """Whether neither x nor y is 0.

    >>> ac.logical_and([True, True], [True, False])
    array([ True, False])
    """
    _meet(x, y, "logical_and")
    return p.where(_truth(x), _truth(y), False)


@composed("x", "y")
def logical_or(x: Any, y: Any) -> Any:
    """Whether x or y, or both, are not 0.

    >>> ac.logical_or([True, False], [True, False])
    array([ True, False])
    """
    _meet(x, y, "logical_or")
    return p.where(_truth(x), True, _truth(y))


@composed("x", "y")
def logical_xor(x: Any, y: Any) -> Any:
    """Whether one of x and y is 0, and the other is not.

    >>> ac.logical_xor([True, True], [True, False])
    array([False,  True])
    """
    _meet(x, y, "logical_xor")
    return p.not_equal(_truth(x), _truth(y))


@composed("x", "mask")
def masked_fill(x: Any, mask: Any, value: float) -> Tensor:
    """``value`` where ``mask`` is True, else x; what is filled in gets no gradient.

    mask: of a shape that broadcasts against x.  Raises TypeError for a mask that is not of truth values.

    >>> ac.masked_fill([1.0, 2.0], [True, False], -1.0)
    array([-1.,  2.])
    """
    real(value, "masked_fill: value")
    _meet(x, mask, "masked_fill")
    if mask.dtype != bool:
        raise TypeError(f"masked_fill: the mask must be of truth values, found {found(mask)}; compare, as in x > 0")
    result: Tensor = p.where(mask, value, x)
    return result


@composed("x")
def nan_to_num(x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """x with numbers in the place of NaN and of the infinities (None: the largest and smallest of the dtype).

    What was replaced gets no gradient.

    >>> ac.nan_to_num([np.nan, np.inf, 1.0], posinf=9.0)
    array([0., 9., 1.])
    """
    real(nan, "nan_to_num: nan")
    for k, number in {"posinf": posinf, "neginf": neginf}.items():
        if number is not None:
            real(number, f"nan_to_num: {k}")
    if x.dtype.kind != "f":  # whole numbers and fractions are finite
        return x  # type: ignore[no-any-return]
    top = float(np.finfo(x.dtype).max)
    x = p.where(p.equal(x, np.inf), top if posinf is None else float(posinf), x)
    x = p.where(p.equal(x, -np.inf), -top if neginf is None else float(neginf), x)
    result: Tensor = p.where(p.not_equal(x, x), float(nan), x)
    return result
