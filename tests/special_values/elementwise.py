"""What functions of one and two numbers are: their definition, slope, limits at infinity, and choices at kinks.

A row is (how autoconv spells it, value, slope, special), value and slope in mpmath for finite numbers.  ``special`` has
the numbers where a definition says nothing: the limits at infinity (value and slope there, as one-sided limits), poles,
and the slopes chosen at kinks:

    relu, abs, sign at 0      slope 0              leaky_relu at 0    the negative slope
    elu, celu at 0            slope 1 (both sides) maximum, minimum   at a tie half to each
    clip, relu6, hardsigmoid  slope 0 at a bound   hardswish at 3     slope 1, at -3 slope 0
    selu at 0                 its left slope
    x**0                      slope 0 in x         0**y               slope 0 in y (y > 0), as PyTorch has it

``None`` is: not asked (a slope at NaN, outside the domain, or where two infinities tie).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

from mpmath import mp, mpf

import autoconv as ac

mp.dps = 60
inf, nan = mp.inf, mp.nan
Row = tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any], dict[Any, tuple[Any, ...]]]


def normal_density(x: Any) -> Any:
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def normal_below(x: Any) -> Any:
    """Phi(x), by the tail: 1 + erf cancels."""
    return mp.erfc(-x / mp.sqrt(2)) / 2


def sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x)) if x >= 0 else mp.exp(x) / (1 + mp.exp(x))


def softplus(x: Any) -> Any:
    """log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)."""
    small = mp.exp(-abs(x)) if abs(x) < 1e6 else mpf(0)
    return max(x, mpf(0)) + (mp.log1p(small) if small else 0)


def tail(f: Callable[[Any], Any], low: Any, high: Any) -> Callable[[Any], Any]:
    """``f`` where it can be computed; beyond +-1e6 what it is equal to in all the digits of any dtype."""
    return lambda x: high(x) if x > 10**6 else low(x) if x < -(10**6) else f(x)


def zero(x: Any) -> Any:
    return mpf(0)


def one(x: Any) -> Any:
    return mpf(1)


def same(x: Any) -> Any:
    return x


def tanh_of_cubic(x: Any) -> Any:
    return mp.sqrt(2 / mp.pi) * (x + mpf("0.044715") * x**3)


def slope_of_gelu_tanh(x: Any) -> Any:
    u = tanh_of_cubic(x)
    return (1 + mp.tanh(u)) / 2 + x / 2 * mp.sech(u) ** 2 * mp.sqrt(2 / mp.pi) * (1 + 3 * mpf("0.044715") * x * x)


def bce(t: float) -> Row:
    """softplus(z) - t z; at infinity -t log sigmoid(z) - (1 - t) log(1 - sigmoid(z)), in which 0 log 0 = 0."""
    limits = {inf: (0 if t == 1 else inf, 1 - t), -inf: (0 if t == 0 else inf, -t)}

    def value(z: Any) -> Any:
        small = mp.exp(-abs(z)) if abs(z) < 1e6 else mpf(0)
        return (max(z, mpf(0)) - t * z) + (mp.log1p(small) if small else 0)

    slope = tail(lambda z: sigmoid(z) - t if t != 1 else -sigmoid(-z), lambda z: mpf(-t), lambda z: mpf(1 - t))
    return (
        lambda z: ac.losses.bce_with_logits(z, t + 0 * ac.stop_gradient(finite(z)), reduction="none"),
        value,
        slope,
        limits,
    )


def finite(z: Any) -> Any:
    """Zeros of z's shape and dtype."""
    return ac.zeros_like(z)


SELU = (mpf("1.6732632423543772848170429916717"), mpf("1.0507009873554804934193349852946"))

ONE: dict[str, Row] = {
    "neg": (ac.neg, lambda x: -x, lambda x: mpf(-1), {inf: (-inf, -1), -inf: (inf, -1)}),
    "abs": (ac.abs, abs, mp.sign, {0: (0, 0), inf: (inf, 1), -inf: (inf, -1)}),
    "sign": (ac.sign, mp.sign, zero, {0: (0, 0), inf: (1, 0), -inf: (-1, 0)}),
    "exp": (
        ac.exp,
        tail(mp.exp, zero, lambda x: inf),
        tail(mp.exp, zero, lambda x: inf),
        {inf: (inf, inf), -inf: (0, 0)},
    ),
    "log": (
        ac.log,
        lambda x: mp.log(x) if x > 0 else nan,
        lambda x: 1 / x if x > 0 else None,
        {0: (-inf, inf), inf: (inf, 0), -inf: (nan, None)},
    ),
    "log1p": (
        ac.log1p,
        lambda x: mp.log1p(x) if x > -1 else nan,
        lambda x: 1 / (1 + x) if x > -1 else None,
        {-1: (-inf, inf), inf: (inf, 0), -inf: (nan, None)},
    ),
    "sqrt": (
        ac.sqrt,
        lambda x: mp.sqrt(x) if x >= 0 else nan,
        lambda x: 1 / (2 * mp.sqrt(x)) if x > 0 else None,
        {0: (0, inf), inf: (inf, 0), -inf: (nan, None)},
    ),
    "tanh": (
        ac.tanh,
        tail(mp.tanh, lambda x: mpf(-1), one),
        tail(lambda x: mp.sech(x) ** 2, zero, zero),
        {inf: (1, 0), -inf: (-1, 0)},
    ),
    "sin": (ac.sin, mp.sin, mp.cos, {inf: (nan, nan), -inf: (nan, nan)}),
    "cos": (ac.cos, mp.cos, lambda x: -mp.sin(x), {inf: (nan, nan), -inf: (nan, nan)}),
    "erf": (
        ac.erf,
        tail(mp.erf, lambda x: mpf(-1), one),
        tail(lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x), zero, zero),
        {inf: (1, 0), -inf: (-1, 0)},
    ),
    "erfc": (
        ac.erfc,
        tail(mp.erfc, lambda x: mpf(2), zero),
        tail(lambda x: -2 / mp.sqrt(mp.pi) * mp.exp(-x * x), zero, zero),
        {inf: (0, 0), -inf: (2, 0)},
    ),
    "expm1": (
        ac.expm1,
        tail(mp.expm1, lambda x: mpf(-1), lambda x: inf),
        tail(mp.exp, zero, lambda x: inf),
        {inf: (inf, inf), -inf: (-1, 0)},
    ),
    "log_sigmoid": (
        ac.log_sigmoid,
        lambda x: -softplus(-x),
        tail(lambda x: sigmoid(-x), one, zero),
        {inf: (0, 0), -inf: (-inf, 1)},
    ),
    "square": (ac.square, lambda x: x * x, lambda x: 2 * x, {inf: (inf, inf), -inf: (inf, -inf)}),
    "reciprocal": (ac.reciprocal, lambda x: 1 / x, lambda x: -1 / (x * x), {0: (inf, -inf), inf: (0, 0), -inf: (0, 0)}),
    "relu": (ac.relu, lambda x: max(x, mpf(0)), lambda x: mpf(x > 0), {0: (0, 0), inf: (inf, 1), -inf: (0, 0)}),
    "leaky_relu": (
        lambda x: ac.leaky_relu(x, 0.25),
        lambda x: x if x > 0 else x / 4,
        lambda x: mpf(1 if x > 0 else 0.25),
        {inf: (inf, 1), -inf: (-inf, 0.25)},
    ),
    "elu": (
        ac.elu,
        lambda x: x if x > 0 else mp.expm1(max(x, mpf(-(10**6)))),
        lambda x: mpf(1) if x > 0 else mp.exp(max(x, mpf(-(10**6)))),
        {0: (0, 1), inf: (inf, 1), -inf: (-1, 0)},
    ),
    "sigmoid": (
        ac.sigmoid,
        tail(sigmoid, zero, one),
        tail(lambda x: sigmoid(x) * sigmoid(-x), zero, zero),
        {inf: (1, 0), -inf: (0, 0)},
    ),
    "silu": (
        ac.silu,
        tail(lambda x: x * sigmoid(x), zero, same),
        tail(lambda x: sigmoid(x) * (1 + x * sigmoid(-x)), zero, one),
        {inf: (inf, 1), -inf: (0, 0)},
    ),
    "softplus": (ac.softplus, softplus, tail(sigmoid, zero, one), {inf: (inf, 1), -inf: (0, 0)}),
    "softsign": (
        ac.softsign,
        lambda x: x / (1 + abs(x)),
        lambda x: 1 / (1 + abs(x)) ** 2,
        {inf: (1, 0), -inf: (-1, 0)},
    ),
    "gelu": (
        ac.gelu,
        tail(lambda x: x * normal_below(x), zero, same),
        tail(lambda x: normal_below(x) + x * normal_density(x), zero, one),
        {inf: (inf, 1), -inf: (0, 0)},
    ),
    "gelu tanh": (
        lambda x: ac.gelu(x, "tanh"),
        tail(lambda x: x * (1 + mp.tanh(tanh_of_cubic(x))) / 2, zero, same),
        tail(slope_of_gelu_tanh, zero, one),
        {inf: (inf, 1), -inf: (0, 0)},
    ),
    "x ** 2": (lambda x: x**2, lambda x: x * x, lambda x: 2 * x, {inf: (inf, inf), -inf: (inf, -inf)}),
    "x ** 0.5": (
        lambda x: x**0.5,
        lambda x: mp.sqrt(x) if x >= 0 else nan,
        lambda x: 1 / (2 * mp.sqrt(x)) if x > 0 else None,
        {0: (0, inf), inf: (inf, 0), -inf: (inf, None)},
    ),
    "x ** 0.0": (lambda x: x**0.0, one, zero, {inf: (1, 0), -inf: (1, 0), nan: (1, None)}),
    "x ** -1": (lambda x: x**-1, lambda x: 1 / x, lambda x: -1 / (x * x), {0: (inf, -inf), inf: (0, 0), -inf: (0, 0)}),
    "clip": (
        lambda x: ac.clip(x, -1.0, 1.0),
        lambda x: min(max(x, mpf(-1)), mpf(1)),
        lambda x: mpf(abs(x) < 1),
        {1: (1, 0), -1: (-1, 0), inf: (1, 0), -inf: (-1, 0)},
    ),
    "relu6": (
        ac.relu6,
        lambda x: min(max(x, mpf(0)), mpf(6)),
        lambda x: mpf(0 < x < 6),
        {0: (0, 0), 6: (6, 0), inf: (6, 0), -inf: (0, 0)},
    ),
    "hardsigmoid": (
        ac.hardsigmoid,
        lambda x: min(max(x + 3, mpf(0)), mpf(6)) / 6,
        lambda x: mpf(-3 < x < 3) / 6,
        {3: (1, 0), -3: (0, 0), inf: (1, 0), -inf: (0, 0)},
    ),
    "hardswish": (
        ac.hardswish,
        lambda x: x * min(max(x + 3, mpf(0)), mpf(6)) / 6,
        lambda x: x / 3 + mpf(1) / 2 if -3 < x < 3 else mpf(x > 0),
        {3: (3, 1), -3: (0, 0), inf: (inf, 1), -inf: (0, 0)},
    ),
    "mish": (
        ac.mish,
        tail(lambda x: x * mp.tanh(softplus(x)), zero, same),
        tail(lambda x: mp.tanh(softplus(x)) + x * sigmoid(x) * mp.sech(softplus(x)) ** 2, zero, one),
        {inf: (inf, 1), -inf: (0, 0)},
    ),
    "selu": (
        ac.selu,
        lambda x: SELU[1] * (x if x > 0 else SELU[0] * mp.expm1(max(x, mpf(-(10**6))))),
        lambda x: SELU[1] * (1 if x > 0 else SELU[0] * mp.exp(max(x, mpf(-(10**6))))),
        {inf: (inf, SELU[1]), -inf: (-SELU[0] * SELU[1], 0)},
    ),
    "celu": (
        lambda x: ac.celu(x, 2.0),
        lambda x: x if x > 0 else 2 * mp.expm1(max(x, mpf(-(10**6))) / 2),
        lambda x: mpf(1) if x > 0 else mp.exp(max(x, mpf(-(10**6))) / 2),
        {0: (0, 1), inf: (inf, 1), -inf: (-2, 0)},
    ),
    "asinh": (ac.asinh, mp.asinh, lambda x: 1 / mp.sqrt(1 + x * x), {inf: (inf, 0), -inf: (-inf, 0)}),
    "acosh": (
        ac.acosh,
        lambda x: mp.acosh(x) if x >= 1 else nan,
        lambda x: 1 / (mp.sqrt(x - 1) * mp.sqrt(x + 1)) if x > 1 else None,
        {1: (0, inf), inf: (inf, 0), -inf: (nan, None)},
    ),
    "atanh": (
        ac.atanh,
        lambda x: mp.atanh(x) if abs(x) < 1 else nan,
        lambda x: 1 / ((1 - x) * (1 + x)) if abs(x) < 1 else None,
        {1: (inf, inf), -1: (-inf, inf), inf: (nan, None), -inf: (nan, None)},
    ),
    "atan": (ac.atan, mp.atan, lambda x: 1 / (1 + x * x), {inf: (mp.pi / 2, 0), -inf: (-mp.pi / 2, 0)}),
    "sinh": (
        ac.sinh,
        tail(mp.sinh, lambda x: -inf, lambda x: inf),
        tail(mp.cosh, lambda x: inf, lambda x: inf),
        {inf: (inf, inf), -inf: (-inf, inf)},
    ),
    "cosh": (
        ac.cosh,
        tail(mp.cosh, lambda x: inf, lambda x: inf),
        tail(mp.sinh, lambda x: -inf, lambda x: inf),
        {inf: (inf, inf), -inf: (inf, -inf)},
    ),
    "exp2": (
        ac.exp2,
        tail(lambda x: mpf(2) ** x, zero, lambda x: inf),
        tail(lambda x: mpf(2) ** x * mp.log(2), zero, lambda x: inf),
        {inf: (inf, inf), -inf: (0, 0)},
    ),
    "asin": (
        ac.asin,
        lambda x: mp.asin(x) if abs(x) <= 1 else nan,
        lambda x: 1 / mp.sqrt((1 - x) * (1 + x)) if abs(x) < 1 else None,
        {1: (mp.pi / 2, inf), -1: (-mp.pi / 2, inf), inf: (nan, None), -inf: (nan, None)},
    ),
    "acos": (
        ac.acos,
        lambda x: mp.acos(x) if abs(x) <= 1 else nan,
        lambda x: -1 / mp.sqrt((1 - x) * (1 + x)) if abs(x) < 1 else None,
        {1: (0, -inf), -1: (mp.pi, -inf), inf: (nan, None), -inf: (nan, None)},
    ),
    "tan": (ac.tan, mp.tan, lambda x: mp.sec(x) ** 2, {inf: (nan, nan), -inf: (nan, nan)}),
    "log2": (
        ac.log2,
        lambda x: mp.log(x, 2) if x > 0 else nan,
        lambda x: 1 / (x * mp.log(2)) if x > 0 else None,
        {0: (-inf, inf), inf: (inf, 0), -inf: (nan, None)},
    ),
    "log10": (
        ac.log10,
        lambda x: mp.log(x, 10) if x > 0 else nan,
        lambda x: 1 / (x * mp.log(10)) if x > 0 else None,
        {0: (-inf, inf), inf: (inf, 0), -inf: (nan, None)},
    ),
    "rsqrt": (
        ac.rsqrt,
        lambda x: 1 / mp.sqrt(x) if x > 0 else nan,
        lambda x: -1 / (2 * x * mp.sqrt(x)) if x > 0 else None,
        {0: (inf, -inf), inf: (0, 0), -inf: (None, None)},
    ),
    "hardtanh": (
        lambda x: ac.hardtanh(x, -0.5, 3.0),
        lambda x: min(max(x, mpf(-0.5)), mpf(3)),
        lambda x: mpf(-0.5 < x < 3),
        {inf: (3, 0), -inf: (mpf(-0.5), 0)},
    ),
    "hardshrink": (
        ac.hardshrink,
        lambda x: x if abs(x) > 0.5 else mpf(0),
        lambda x: mpf(abs(x) > 0.5),
        {inf: (inf, 1), -inf: (-inf, 1)},
    ),
    "softshrink": (
        ac.softshrink,
        lambda x: max(x - 0.5, mpf(0)) + min(x + 0.5, mpf(0)),
        lambda x: mpf(abs(x) > 0.5),
        {inf: (inf, 1), -inf: (-inf, 1)},
    ),
    "threshold": (
        lambda x: ac.threshold(x, 0.5, -2.0),
        lambda x: x if x > 0.5 else mpf(-2),
        lambda x: mpf(x > 0.5),
        {inf: (inf, 1), -inf: (-2, 0)},
    ),
    "prelu": (
        lambda x: ac.prelu(x[:, None], ac.stop_gradient(0 * ac.zeros_like(x[:1]) + 0.25))[:, 0],
        lambda x: x if x > 0 else x / 4,
        lambda x: mpf(1 if x > 0 else 0.25),
        {inf: (inf, 1), -inf: (-inf, 0.25)},
    ),
    "trunc": (ac.trunc, lambda x: mp.sign(x) * mp.floor(abs(x)), zero, {inf: (inf, 0), -inf: (-inf, 0)}),
    "floor": (ac.floor, mp.floor, zero, {inf: (inf, 0), -inf: (-inf, 0)}),
    "ceil": (ac.ceil, mp.ceil, zero, {inf: (inf, 0), -inf: (-inf, 0)}),
    "round": (ac.round, mp.nint, zero, {inf: (inf, 0), -inf: (-inf, 0)}),
    "x + 1": (lambda x: x + 1, lambda x: x + 1, one, {inf: (inf, 1), -inf: (-inf, 1)}),
    "3 * x": (lambda x: 3 * x, lambda x: 3 * x, lambda x: mpf(3), {inf: (inf, 3), -inf: (-inf, 3)}),
    "x / 3": (
        lambda x: x / 3,
        lambda x: x / 3,
        lambda x: mpf(1) / 3,
        {inf: (inf, mpf(1) / 3), -inf: (-inf, mpf(1) / 3)},
    ),
    "astype": (lambda x: ac.astype(ac.astype(x, "float64"), x.dtype), same, one, {inf: (inf, 1), -inf: (-inf, 1)}),
    "where": (
        lambda x: ac.where(x > 0, x, 0.5 * x),
        lambda x: x if x > 0 else x / 2,
        lambda x: mpf(1 if x > 0 else 0.5),
        {inf: (inf, 1), -inf: (-inf, 0.5)},
    ),
    "bce, target 0": bce(0.0),
    "bce, target 1": bce(1.0),
    "bce, target 0.25": bce(0.25),
    # what is chosen must be all that counts: the side not taken has an infinite or undefined slope here
    "sqrt(relu)": (
        lambda x: ac.sqrt(ac.relu(x)),
        lambda x: mp.sqrt(max(x, mpf(0))),
        lambda x: 1 / (2 * mp.sqrt(x)) if x > 0 else mpf(0),
        {0: (0, None), inf: (inf, 0), -inf: (0, 0)},
    ),
    "sqrt(minimum)": (
        lambda x: ac.sqrt(-ac.minimum(x, 0.0)),
        lambda x: mp.sqrt(-min(x, mpf(0))),
        lambda x: -1 / (2 * mp.sqrt(-x)) if x < 0 else mpf(0),
        {0: (0, None), inf: (0, 0), -inf: (inf, 0)},
    ),
    "sqrt(max_pool2d)": (
        lambda x: ac.sqrt(ac.max_pool2d(ac.stack([x, ac.zeros_like(x)], -1)[:, None, :, None], (1, 2)))[:, 0, 0, 0],
        lambda x: mp.sqrt(max(x, mpf(0))),
        lambda x: 1 / (2 * mp.sqrt(x)) if x > 0 else mpf(0),
        {0: (0, None), inf: (inf, 0), -inf: (0, 0)},
    ),
    "log(abs)": (
        lambda x: ac.log(ac.abs(x)),
        lambda x: mp.log(abs(x)),
        lambda x: 1 / x,
        {0: (-inf, 0), inf: (inf, 0), -inf: (inf, 0)},
    ),
    "log(clip)": (
        lambda x: ac.log(ac.clip(x, 0.0, 1.0)),
        lambda x: -inf if x <= 0 else mp.log(min(x, mpf(1))),
        lambda x: 1 / x if 0 < x < 1 else mpf(0),
        {0: (-inf, None), 1: (0, None), inf: (0, 0), -inf: (-inf, 0)},
    ),
}


def quotient(x: Any, y: Any) -> Any:
    """x / y; by zero an infinity (its sign that of the zero, so not asked), 0/0 and inf/inf NaN."""
    if y == 0:
        return nan if x == 0 else None
    if mp.isinf(y):
        return nan if mp.isinf(x) else mpf(0)
    return x / y


def larger(x: Any, y: Any) -> tuple[Any, ...]:
    return max(x, y), mpf(x > y) + mpf(x == y) / 2, mpf(y > x) + mpf(x == y) / 2


def logaddexp(x: Any, y: Any) -> tuple[Any, ...]:
    """log(e^x + e^y), slopes e^x / (e^x + e^y) and 1 minus it; of two -inf no slope leads anywhere."""
    if x == y == -inf:
        return -inf, mpf(0), mpf(0)
    if x == y == inf:
        return inf, None, None
    d = x - y
    share = tail(sigmoid, zero, one)
    return max(x, y) + (mp.log1p(mp.exp(-abs(d))) if abs(d) < 1e6 else 0), share(d), share(-d)


def power(x: Any, y: Any) -> tuple[Any, ...]:
    """x^y for x >= 0 and for whole y, with IEEE's x^0 = 1; slopes y x^(y-1) and x^y log x."""
    if mp.isnan(x) or mp.isnan(y):
        return (mpf(1) if y == 0 or x == 1 else nan), None, None
    if y == 0:
        return mpf(1), mpf(0), (mp.log(x) if 0 < x < inf else mpf(0) if x == 0 else None)
    if mp.isinf(x) or mp.isinf(y) or x < 0 or abs(y) > 1e4 or (x == 0 and y < 0):
        return None, None, None
    if x == 0:
        return mpf(0), (mpf(0) if y > 1 else mpf(1) if y == 1 else inf), mpf(0)
    steep = abs(mp.log(x, 2) * (y - 1)) > 14  # x^(y - 1) leaves the range, though y times it may not
    return x**y, (None if steep else y * x ** (y - 1)), x**y * mp.log(x)


def xlogy(x: Any, y: Any) -> tuple[Any, ...]:
    """x log y with 0 log y = 0; slopes log y (0 where both are 0, as PyTorch has it) and x / y (0 where x is 0)."""
    if mp.isnan(x) or mp.isnan(y):
        return nan, None, None
    if x == 0:
        return mpf(0), (mpf(0) if y <= 0 else inf if y == inf else mp.log(y)), mpf(0)
    if y < 0:
        return nan, None, None
    logarithm = -inf if y == 0 else inf if y == inf else mp.log(y)
    return (nan if y == 1 and mp.isinf(x) else x * logarithm), logarithm, (None if y == 0 else quotient(x, y))


def atan2(y: Any, x: Any) -> tuple[Any, ...]:
    """The angle of (x, y), with slopes x / r^2 and -y / r^2, and none at the origin; the sign of a zero is not seen."""
    if mp.isinf(x) or mp.isinf(y):
        corner = mp.pi / 4 if x > 0 else 3 * mp.pi / 4
        to_the_side = mp.sign(y) * (corner if mp.isinf(x) else mp.pi / 2)
        along = (mpf(0) if x > 0 else None) if y == 0 else mp.sign(y) * (mpf(0) if x > 0 else mp.pi)
        return (to_the_side if mp.isinf(y) else along), mpf(0), mpf(0)
    if x == 0 and y == 0:
        return None, mpf(0), mpf(0)
    square = x * x + y * y
    return (None if y == 0 and x < 0 else mp.atan2(y, x)), x / square, -y / square


def hypot(x: Any, y: Any) -> tuple[Any, ...]:
    """The length of (x, y), with slopes x / r and y / r."""
    if mp.isinf(x) or mp.isinf(y):
        return inf, None, None
    r = mp.sqrt(x * x + y * y)
    return (r, x / r, y / r) if r else (r, None, None)


def whole_quotient(x: Any, y: Any, rounded: Callable[[Fraction], int]) -> Any:
    """x / y to a whole number; as a fraction, since a quotient may have 600 digits."""
    a, b = (Fraction(*number.as_integer_ratio()) if number else Fraction(0) for number in (x, y))
    return rounded(a / b), a, b


def rest(rounded: Callable[[Fraction], int]) -> Callable[..., tuple[Any, ...]]:
    """x - n y with the whole number n = x / y, rounded; slopes 1 and -n."""

    def f(x: Any, y: Any) -> tuple[Any, ...]:
        if mp.isinf(y):
            return None, None, None
        if mp.isinf(x) or y == 0:
            return nan, None, None
        n, a, b = whole_quotient(float(x), float(y), rounded)
        left = a - n * b
        return mpf(left.numerator) / left.denominator, mpf(1), -mpf(n)

    return f


def no_nan(x: Any, y: Any) -> tuple[Any, ...]:
    """x y, and 0 where y is 0, whatever x is; slopes y and x."""
    if y == 0:
        return mpf(0), mpf(0), x if not mp.isnan(x) else None
    return (nan, None, None) if mp.isnan(x) or mp.isnan(y) else (x * y, y, None if mp.isinf(y) and x == 0 else x)


def distance(f: Callable[[Any], Any], slope: Callable[[Any], Any]) -> Callable[..., tuple[Any, ...]]:
    """A loss of x - y; of infinities that are equal nothing is asked."""

    def g(x: Any, y: Any) -> tuple[Any, ...]:
        if x == y and mp.isinf(x):
            return None, None, None
        return f(x - y), slope(x - y), -slope(x - y)

    return g


def undefined(f: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
    """NaN where an operand is NaN (its slopes are not asked there)."""
    return lambda x, y: (nan, None, None) if mp.isnan(x) or mp.isnan(y) else f(x, y)


# how it is spelled, (value, slope in x, slope in y)
TWO: dict[str, tuple[Callable[..., Any], Callable[..., tuple[Any, ...]]]] = {
    "add": (lambda x, y: x + y, undefined(lambda x, y: (x + y, mpf(1), mpf(1)))),
    "sub": (lambda x, y: x - y, undefined(lambda x, y: (x - y, mpf(1), mpf(-1)))),
    "mul": (lambda x, y: x * y, undefined(lambda x, y: (x * y, y, x))),
    "div": (lambda x, y: x / y, undefined(lambda x, y: (quotient(x, y), quotient(mpf(1), y), None))),
    "maximum": (ac.maximum, undefined(larger)),
    "minimum": (ac.minimum, undefined(lambda x, y: (-larger(-x, -y)[0], *larger(-x, -y)[1:]))),
    "logaddexp": (ac.logaddexp, undefined(logaddexp)),
    "xlogy": (ac.xlogy, xlogy),
    "power": (lambda x, y: x**y, power),
    "atan2": (ac.atan2, undefined(atan2)),
    "hypot": (ac.hypot, undefined(hypot)),
    "remainder": (ac.remainder, undefined(rest(math.floor))),
    "fmod": (ac.fmod, undefined(rest(math.trunc))),
    "multiply_no_nan": (ac.multiply_no_nan, no_nan),
    "l1": (partial(ac.losses.l1, reduction="none"), undefined(distance(abs, mp.sign))),
    "huber": (
        partial(ac.losses.huber, reduction="none"),
        undefined(distance(lambda d: d * d / 2 if abs(d) < 1 else abs(d) - 0.5, lambda d: min(max(d, -1), 1))),
    ),
    "smooth_l1": (
        partial(ac.losses.smooth_l1, beta=2.0, reduction="none"),
        undefined(distance(lambda d: d * d / 4 if abs(d) < 2 else abs(d) - 1, lambda d: min(max(d / 2, -1), 1))),
    ),
}

# A slope that is computed from the rounded result, as PyTorch and JAX do, has no more digits than 1 has: 1 - tanh(x)^2
# (in front of eps, at x)
FROM_THE_RESULT: dict[str, Callable[[Any], Any]] = {
    "tanh": one,
    "sigmoid": one,
    "silu": abs,
    "mish": lambda x: abs(x) + 1,
    "gelu tanh": lambda x: abs(x) + 1,
    "bce, target 1": one,
}
