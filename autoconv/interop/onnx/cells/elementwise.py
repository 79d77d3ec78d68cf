"""The ONNX column of the arithmetic rows: one scalar operation per element, in standard operators.

A cell gets the emitter, the row, and the names of the operands, which ONNX broadcasts itself; the operands have the
row's dtype, but for comparisons, ``where`` and ``slope``.  Where a standard operator loses digits or infinities that
the row keeps (expm1, log1p, erfc, logaddexp), the cell is a composition that keeps them.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log, pi, sqrt
from typing import Any

import numpy as np

from ..nodes import Emitter
from ..sizes import Row

Cell = Callable[..., str]
ELEMENTWISE: dict[str, Cell] = {}


def cell(function: Cell) -> Cell:
    """Enter a cell under the function's name, the row's."""
    ELEMENTWISE[function.__name__.rstrip("_")] = function
    return function


def _plain(row: str, op: str) -> None:
    ELEMENTWISE[row] = lambda e, row, *xs: e.node(op, *xs)


for _row, _op in {
    "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "neg": "Neg", "exp": "Exp", "log": "Log", "sqrt": "Sqrt",
    "tanh": "Tanh", "sin": "Sin", "cos": "Cos", "power": "Pow", "abs": "Abs", "maximum": "Max",
    "minimum": "Min", "greater": "Greater", "less": "Less", "greater_equal": "GreaterOrEqual",
    "less_equal": "LessOrEqual", "equal": "Equal", "floor": "Floor",
}.items():  # fmt: skip
    _plain(_row, _op)


def _number(e: Emitter, row: Row, value: float) -> str:
    """A number of the row's dtype."""
    return e.constant(np.array(value, row.dtype))


@cell
def not_equal(e: Emitter, row: Row, x: str, y: str) -> str:
    return e.node("Not", e.node("Equal", x, y))


@cell
def expm1(e: Emitter, row: Row, x: str) -> str:
    """tanh(x / 2) (e^x + 1), which is e^x - 1 without its cancellation at 0."""
    half = e.node("Tanh", e.node("Mul", x, _number(e, row, 0.5)))
    return e.node("Mul", half, e.node("Add", e.node("Exp", x), _number(e, row, 1)))


@cell
def log1p(e: Emitter, row: Row, x: str) -> str:
    """With u = 1 + x as it is rounded: log(u) x / (u - 1), which takes the rounding back (Kahan); x where u is 1, log u
    where x is so large that u = x."""
    one = _number(e, row, 1)
    u = e.node("Add", x, one)
    plain = e.node("Log", u)
    mended = e.node("Mul", plain, e.node("Div", x, e.node("Sub", u, one)))
    return e.node("Where", e.node("Equal", u, one), x, e.node("Where", e.node("Equal", u, x), plain, mended))


# W. J. Cody, "Rational Chebyshev approximations for the error function", 1969: relative errors below 1e-16.
_MIDDLE = (
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 66.1191906371416295, 298.635138197400131,
     881.952221241769090, 1712.04761263407058, 2051.07837782607147, 1230.33935479799725),
    (1.0, 15.7449261107098347, 117.693950891312499, 537.181101862009858, 1621.38957456669019, 3290.79923573345963,
     4362.61909014324716, 3439.36767414372164, 1230.33935480374942),
)  # fmt: skip
_TAIL = (
    (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
     1.60837851487422766e-2, 6.58749161529837803e-4),
    (1.0, 2.56852019228982242, 1.87295284992346725, 5.27905102951428412e-1, 6.05183413124413191e-2,
     2.33520497626869185e-3),
)  # fmt: skip
_CENTRE = (
    (1.85777706184603153e-1, 3.16112374387056560, 113.864154151050156, 377.485237685302021, 3209.37758913846947),
    (1.0, 23.6012909523441209, 244.024637934444173, 1282.61652607737228, 2844.23683343917062),
)


def _ratio(e: Emitter, row: Row, x: str, pair: tuple[tuple[float, ...], ...]) -> str:
    """The quotient of two polynomials, by Horner's rule."""
    made = []
    for first, *rest in pair:
        y = _number(e, row, first)
        for c in rest:
            y = e.node("Add", e.node("Mul", y, x), _number(e, row, c))
        made.append(y)
    return e.node("Div", *made)


@cell
def erfc(e: Emitter, row: Row, x: str) -> str:
    """Cody's three ranges of |x|: up to 0.46875, up to 4, and beyond, where erfc has digits that 1 - erf has lost."""
    a = e.node("Abs", x)
    near = e.node("Min", a, _number(e, row, 0.46875))
    square = e.node("Mul", near, near)
    centre = e.node("Sub", _number(e, row, 1), e.node("Mul", near, _ratio(e, row, square, _CENTRE)))
    bell = e.node("Exp", e.node("Neg", e.node("Mul", a, a)))
    mid = e.node("Min", e.node("Max", a, _number(e, row, 0.46875)), _number(e, row, 4.0))
    middle = e.node("Mul", bell, _ratio(e, row, mid, _MIDDLE))
    far = e.node("Max", a, _number(e, row, 4.0))
    inverse = e.node("Div", _number(e, row, 1), e.node("Mul", far, far))
    series = e.node("Mul", inverse, _ratio(e, row, inverse, _TAIL))
    tail = e.node("Mul", bell, e.node("Div", e.node("Sub", _number(e, row, 1 / sqrt(pi)), series), far))
    right = e.node("Where", e.node("LessOrEqual", a, _number(e, row, 4.0)), middle, tail)
    right = e.node("Where", e.node("LessOrEqual", a, _number(e, row, 0.46875)), centre, right)
    mirrored = e.node("Sub", _number(e, row, 2), right)
    return e.node("Where", e.node("Less", x, _number(e, row, 0)), mirrored, right)


@cell
def erf(e: Emitter, row: Row, x: str) -> str:
    """Erf; in float64, for which runtimes have none, Cody's: x times a quotient up to 0.46875, then 1 - erfc."""
    if row.dtype != np.float64:
        return e.node("Erf", x)
    limit = _number(e, row, 0.46875)
    a = e.node("Abs", x)
    near = e.node("Max", e.node("Min", x, limit), e.node("Neg", limit))
    centre = e.node("Mul", near, _ratio(e, row, e.node("Mul", near, near), _CENTRE))
    outside = e.node("Mul", e.node("Sign", x), e.node("Sub", _number(e, row, 1), erfc(e, row, a)))
    return e.node("Where", e.node("LessOrEqual", a, limit), centre, outside)


@cell
def softsign(e: Emitter, row: Row, x: str) -> str:
    """x / (1 + |x|), and the limits -1 and 1 at the infinities."""
    y = e.node("Div", x, e.node("Add", e.node("Abs", x), _number(e, row, 1)))
    infinite = e.node("Equal", e.node("Abs", x), _number(e, row, np.inf))
    return e.node("Where", infinite, e.node("Sign", x), y)


@cell
def xlogy(e: Emitter, row: Row, x: str, y: str) -> str:
    """x log y, but 0 where x is 0 and y is not NaN."""
    nothing = e.node("And", e.node("Equal", x, _number(e, row, 0)), e.node("Equal", y, y))
    return e.node("Mul", x, e.node("Log", e.node("Where", nothing, _number(e, row, 1), y)))


@cell
def multiply_no_nan(e: Emitter, row: Row, x: str, y: str) -> str:
    """x y, but 0 where y is 0."""
    zero = _number(e, row, 0)
    return e.node("Where", e.node("Equal", y, zero), zero, e.node("Mul", x, y))


@cell
def logaddexp(e: Emitter, row: Row, x: str, y: str) -> str:
    """max + log(1 + e^-|x - y|); of equal numbers (infinities, too) x + log 2."""
    beside = e.node("Exp", e.node("Neg", e.node("Abs", e.node("Sub", x, y))))
    above = e.node("Add", e.node("Max", x, y), log1p(e, row, beside))
    return e.node("Where", e.node("Equal", x, y), e.node("Add", x, _number(e, row, log(2))), above)


@cell
def sign(e: Emitter, row: Row, x: str) -> str:
    """-1, 0 (or the number chosen for 0) or 1; NaN of NaN."""
    y = e.node("Sign", x)
    at_zero = row.params.get("at_zero", 0)
    if at_zero:
        y = e.node("Where", e.node("Equal", x, _number(e, row, 0)), _number(e, row, 1 if at_zero > 0 else -1), y)
    return e.node("Where", e.node("Equal", x, x), y, x) if row.dtype.kind == "f" else y


@cell
def order(e: Emitter, row: Row, x: str, y: str) -> str:
    """1 where x > y, -1 where x < y, 0 at a tie; a NaN is more than a number."""
    more, less = _ordered(e, row, x, y, "more")
    below = e.node("Where", less, _number(e, row, -1), _number(e, row, 0))
    return e.node("Where", more, _number(e, row, 1), below)


def _ordered(e: Emitter, row: Row, x: str, y: str, nan: str) -> tuple[str, str]:
    """(x > y, x < y), where a NaN counts as ``nan`` ("more" or "less") than a number; neither for two of them."""
    if row.dtype.kind != "f":
        return e.node("Greater", x, y), e.node("Less", x, y)
    not_below, not_above = e.node("Not", e.node("LessOrEqual", x, y)), e.node("Not", e.node("GreaterOrEqual", x, y))
    known_x, known_y = (_known(e, z) for z in (x, y))
    if nan == "less":
        known_x, known_y = known_y, known_x
    return (
        e.node("And", not_below, known_y) if known_y else not_below,
        e.node("And", not_above, known_x) if known_x else not_above,
    )


def _known(e: Emitter, x: str) -> str:
    """Where x is no NaN; "" if it nowhere is."""
    value = e.graph.initialisers.get(x)
    return "" if value is not None and not np.isnan(value).any() else e.node("Equal", x, x)


@cell
def slope(e: Emitter, row: Row, g: str, x: str, y: str) -> str:
    """g times ``less``, ``tie`` or ``more``, by the order of x and y; 0 where that number is 0."""
    p = row.params
    below, at_tie, above = (_times(e, row, g, p[k]) for k in ("less", "tie", "more"))
    more, less = _ordered(e, row, x, y, p.get("nan", "more"))
    if p["less"] == p["tie"]:
        return e.node("Where", more, above, below)
    if p["more"] == p["tie"]:
        return e.node("Where", less, below, above)
    return e.node("Where", more, above, e.node("Where", less, below, at_tie))


def _times(e: Emitter, row: Row, g: str, number: float) -> str:
    if number == 1:
        return g
    c = _number(e, row, number)
    return e.node("Mul", g, c) if number else c


@cell
def where(e: Emitter, row: Row, condition: str, x: str, y: str) -> str:
    """Where; of truth values its definition, since runtimes choose among numbers only."""
    if row.dtype.kind == "b":
        return e.node("Or", e.node("And", condition, x), e.node("And", e.node("Not", condition), y))
    return e.node("Where", condition, x, y)


@cell
def remainder(e: Emitter, row: Row, x: str, y: str) -> str:
    """x - floor(x / y) y with the sign of y: the remainder of the division that rounds to 0, moved where it has not."""
    if row.dtype.kind != "f":
        return e.node("Mod", x, y)
    rest = e.node("Mod", x, y, fmod=1)
    zero = _number(e, row, 0)
    wrong = e.node("And", e.node("Not", e.node("Equal", rest, zero)),
                   e.node("Xor", e.node("Less", rest, zero), e.node("Less", y, zero)))  # fmt: skip
    return e.node("Where", wrong, e.node("Add", rest, y), rest)


@cell
def atan2(e: Emitter, row: Row, y: str, x: str) -> str:
    """The arc tangent of the smaller of |x| and |y| over the larger, moved to the octant in which the point lies."""
    ax, ay = e.node("Abs", x), e.node("Abs", y)
    zero = _number(e, row, 0)
    small, large = e.node("Min", ax, ay), e.node("Max", ax, ay)
    alike = e.node("Equal", ax, ay)  # infinities, too: their angle is 45 degrees
    ratio = e.node("Where", alike, _number(e, row, 1), e.node("Div", small, large))
    ratio = e.node("Where", e.node("Equal", large, zero), zero, ratio)
    angle = e.node("Atan", ratio)
    angle = e.node("Where", e.node("Greater", ay, ax), e.node("Sub", _number(e, row, pi / 2), angle), angle)
    # the sign of a zero counts: 1 / -0 is negative
    left = e.node("Or", e.node("Less", x, zero), _negative_zero(e, row, x))
    angle = e.node("Where", left, e.node("Sub", _number(e, row, pi), angle), angle)
    below = e.node("Or", e.node("Less", y, zero), _negative_zero(e, row, y))
    angle = e.node("Where", below, e.node("Neg", angle), angle)
    unknown = e.node("Not", e.node("And", e.node("Equal", x, x), e.node("Equal", y, y)))
    return e.node("Where", unknown, e.node("Add", x, y), angle)


def _negative_zero(e: Emitter, row: Row, x: str) -> str:
    one, zero = _number(e, row, 1), _number(e, row, 0)
    return e.node("And", e.node("Equal", x, zero), e.node("Less", e.node("Div", one, x), zero))


def emit(e: Emitter, row: Row, xs: list[str], dtypes: list[Any]) -> str:
    """The row's cell on these operands, brought to the dtype that the cell is written for."""
    name = row.name
    if name in ("greater", "less", "greater_equal", "less_equal", "equal", "not_equal"):
        common = np.result_type(*dtypes)
        if common.kind == "b" and name not in ("equal", "not_equal"):
            common = np.dtype(np.int32)
        xs = [x if d == common else e.cast(x, common) for x, d in zip(xs, dtypes, strict=True)]
    else:
        wanted = [np.dtype(bool) if name == "where" and k == 0 else row.dtype for k in range(len(xs))]
        xs = [x if d == w else e.cast(x, w) for x, d, w in zip(xs, dtypes, wanted, strict=True)]
    if row.dtype.kind == "b" and name in ("add", "mul", "maximum", "minimum"):
        return e.node("Or" if name in ("add", "maximum") else "And", *xs)
    return ELEMENTWISE[name](e, row, *xs)
