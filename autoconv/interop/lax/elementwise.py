"""lax's elementwise operations: arithmetic, comparisons, choices.

JAX has brought operands to one dtype before; slopes at kinks are JAX's: maximum and minimum split a tie evenly, clamp
has 0 at its bounds, abs has 1 at 0, sign and relu 0.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from ... import functional as f
from ... import primitives as p
from ...tape import Tensor
from ..places import numbers

Operation = Callable[..., Any]


def _bits(on_bools: Operation, on_integers: Operation) -> Operation:
    """An operation on bits: of truth values a logical one, of whole numbers computed at once, without a line."""

    def operation(x: Any, y: Any) -> Any:
        return on_bools(x, y) if x.dtype == bool else on_integers(numbers(x), numbers(y))

    return operation


def abs_(x: Any) -> Any:
    return p.abs_(x, slope_at_zero=1)


def not_(x: Any) -> Any:
    return f.logical_not(x) if x.dtype == bool else np.invert(numbers(x))


def div(x: Any, y: Any) -> Any:
    """x / y; of whole numbers the part of the quotient without its fraction."""
    if x.dtype.kind not in "iu":
        return p.div(x, y)
    a, b = numbers(x), numbers(y)
    quotient = np.abs(a) // np.abs(np.where(b == 0, 1, b))
    return np.where(b == 0, -1, np.where((a < 0) != (b < 0), -quotient, quotient)).astype(x.dtype)


def rem(x: Any, y: Any) -> Any:
    """The rest of x / y with x's sign."""
    return np.fmod(numbers(x), numbers(y)) if x.dtype.kind in "iu" else f.fmod(x, y)


def integer_pow(x: Any, y: int) -> Any:
    """x to a whole power, small ones as products."""
    if y == 1:
        return x
    if y in (2, 3, 4):
        square = p.mul(x, x)
        return square if y == 2 else p.mul(square, x if y == 3 else square)
    return p.div(np.ones((), x.dtype), integer_pow(x, -y)) if y < 0 else p.power(x, np.array(y, x.dtype))


def pow_(x: Any, y: Any) -> Any:
    """x to the y, which may be whole numbers."""
    return p.power(x, y if y.dtype == x.dtype else p.cast(y, dtype=x.dtype))


def cbrt(x: Any) -> Any:
    return p.mul(p.sign(x), p.power(p.abs_(x), np.array(1 / 3, x.dtype)))


def round_(x: Any, rounding_method: int) -> Any:
    """The nearest whole number; halves go away from 0 (method 0) or to the even one (method 1)."""
    if rounding_method == 1:
        return f.rint(x)
    whole = f.floor(p.add(p.abs_(x), np.array(0.5, x.dtype)))
    return p.mul(p.sign(x), whole)


def clamp(low: Any, x: Any, high: Any) -> Any:
    """x between two bounds, with slope 0 for x at them; bounds that are recorded have slope 1 where they hold."""
    if not isinstance(low, Tensor) and not isinstance(high, Tensor):
        return f.clip(x, low, high)
    inside = f.logical_and(p.greater(x, low), p.less(x, high))
    held = p.where(inside, x, p.stop_gradient(x))
    return p.where(p.greater(low, x), low, p.where(p.less(high, x), high, held))


def select_n(which: Any, *cases: Any) -> Any:
    """The case with the number ``which``, element by element; of two, False chooses the first."""
    if which.dtype == bool:
        return p.where(which, cases[1], cases[0]) if len(cases) == 2 else cases[0]
    chosen = cases[-1]
    for k in reversed(range(len(cases) - 1)):
        chosen = p.where(p.less_equal(which, np.array(k, which.dtype)), cases[k], chosen)
    return chosen


def convert_element_type(x: Any, new_dtype: Any) -> Any:
    """x in another dtype; as a truth value whether it is not 0."""
    if x.dtype == new_dtype:
        return x
    return p.not_equal(x, np.zeros((), x.dtype)) if new_dtype == bool else p.cast(x, dtype=np.dtype(new_dtype))


def shifted(shift: Operation, empty: Callable[[Any], Any]) -> Operation:
    """A shift of bits, of unsigned numbers as JAX counts them; by their number or more gives ``empty``."""

    def operation(x: Any, by: Any) -> Any:
        a, b = numbers(x), numbers(by)
        bits = a.dtype.itemsize * 8
        within = (b >= 0) & (b < bits)
        return np.where(within, shift(a, np.where(within, b, 0).astype(a.dtype)), empty(a)).astype(a.dtype)

    return operation


def _logical_right(a: Any, b: Any) -> Any:
    unsigned = np.dtype(f"u{a.dtype.itemsize}")
    return np.right_shift(a.view(unsigned), b.view(unsigned)).view(a.dtype)


def _signs(a: Any) -> Any:
    """What is left of whole numbers of which every bit was shifted out: -1 below 0, else 0."""
    return np.where(a < 0, -1, 0) if a.dtype.kind == "i" else np.zeros_like(a)


def custom(y: Any, *tangents: Any) -> Any:
    """y, which is held fixed, and its derivative by a rule that its author wrote: 0 with that slope."""
    return reduce(p.add, tangents, p.stop_gradient(y))


def at(x: Any) -> Any:
    """x as a number that has no gradient."""
    return p.stop_gradient(x)


def from_here(x: Any) -> Any:
    """0, with slope 1 in x."""
    value = numbers(x)
    if value.dtype.kind != "f":
        return np.zeros(value.shape, value.dtype)
    return p.where(f.isfinite(p.stop_gradient(x)), p.sub(x, p.stop_gradient(x)), np.zeros((), value.dtype))


OPERATIONS: dict[str, Operation] = {
    "add": p.add, "add_any": p.add, "sub": p.sub, "mul": p.mul, "div": div, "rem": rem, "max": p.maximum,
    "min": p.minimum, "neg": p.neg, "abs": abs_, "sign": p.sign, "floor": f.floor, "ceil": f.ceil, "round": round_,
    "exp": p.exp, "exp2": f.exp2, "log": p.log, "expm1": p.expm1, "log1p": p.log1p, "sqrt": p.sqrt, "rsqrt": f.rsqrt,
    "cbrt": cbrt, "tanh": p.tanh, "sin": p.sin, "cos": p.cos, "tan": f.tan, "asin": f.arcsin, "acos": f.arccos,
    "atan": f.arctan, "sinh": f.sinh, "cosh": f.cosh, "asinh": f.arcsinh, "acosh": f.arccosh, "atanh": f.arctanh,
    "atan2": p.atan2, "logistic": f.sigmoid, "erf": p.erf, "erfc": p.erfc, "pow": pow_, "integer_pow": integer_pow,
    "square": f.square, "is_finite": f.isfinite, "eq": p.equal, "ne": p.not_equal, "lt": p.less, "gt": p.greater,
    "le": p.less_equal, "ge": p.greater_equal, "and": _bits(f.logical_and, np.bitwise_and),
    "or": _bits(f.logical_or, np.bitwise_or), "xor": _bits(f.logical_xor, np.bitwise_xor), "not": not_,
    "shift_left": shifted(np.left_shift, np.zeros_like),
    "shift_right_logical": shifted(_logical_right, np.zeros_like),
    "shift_right_arithmetic": shifted(np.right_shift, _signs),
    "clamp": clamp, "select_n": select_n, "convert_element_type": convert_element_type, "copy": p.identity,
    "copy_p": p.identity, "stop_gradient": p.stop_gradient, "custom": custom, "at": at, "from_here": from_here,
    "relu": f.relu, "relu6": f.relu6, "logaddexp": p.logaddexp, "xlogy": p.xlogy,
}  # fmt: skip
