"""ONNX's elementwise operators: arithmetic, comparisons, truth values, choices, dtypes.

Each function takes the operator's inputs in order (None for one left out) and its attributes by name.  Whole numbers
that were computed from shapes come as plain arrays, and give plain arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .... import functional as f
from .... import primitives as p
from ....tape import Tensor
from .known import dtype_of

Operation = Callable[..., Any]


def cast_to(x: Any, dtype: Any) -> Any:
    """x in another dtype; what is beyond the range of an integer becomes any number, as the standard leaves open."""
    if x.dtype == dtype:
        return x
    with np.errstate(invalid="ignore", over="ignore"):
        return p.cast(x, dtype=np.dtype(dtype))


def cast(x: Any, *, to: int, saturate: int = 1, round_mode: str = "up") -> Any:
    """x in the dtype with this number."""
    return cast_to(x, dtype_of(to))


def cast_like(x: Any, target: Any, *, saturate: int = 1, round_mode: str = "up") -> Any:
    """x in the dtype of ``target``."""
    return cast_to(x, target.dtype)


def div(a: Any, b: Any) -> Any:
    """a / b; of whole numbers the quotient without its fraction."""
    if a.dtype.kind not in "iu" or b.dtype.kind not in "iu":
        return p.div(a, b)
    if not isinstance(a, Tensor) and not isinstance(b, Tensor):
        if not np.all(b):
            raise ValueError("a whole number is divided by 0")
        quotient = np.floor_divide(a, b)
        return quotient + ((quotient * b != a) & ((a < 0) != (b < 0))).astype(quotient.dtype)
    return cast_to(f.trunc(p.div(a, b)), np.result_type(a.dtype, b.dtype))


def mod(a: Any, b: Any, *, fmod: int = 0) -> Any:
    """The rest of a / b: with the sign of b, or with that of a (fmod)."""
    if not fmod:
        return p.remainder(a, b)
    if a.dtype.kind in "iu":
        return p.sub(a, p.mul(div(a, b), b))
    return f.fmod(a, b)


def pow_(x: Any, y: Any) -> Any:
    """x to the y, in the dtype of x; small whole powers are products, which have slopes everywhere."""
    dtype = x.dtype
    if isinstance(y, np.ndarray) and y.size == 1 and y.ndim <= x.ndim and dtype.kind == "f":
        exponent = float(y.reshape(())[()])
        if exponent == 1:
            return x
        if exponent == 2:
            return p.mul(x, x)
        if exponent == 3:
            return p.mul(p.mul(x, x), x)
        if exponent == 0.5:
            return p.sqrt(x)
    if x.dtype.kind in "iu" and y.dtype.kind == "f":
        x = cast_to(x, np.result_type(y.dtype, np.float32))
    if y.dtype != x.dtype and x.dtype.kind == "f":
        y = cast_to(y, x.dtype)
    return cast_to(p.power(x, y), dtype)


def several(row: Operation) -> Operation:
    """An operator of one or more operands, taken two at a time from the left."""

    def operation(*xs: Any) -> Any:
        result = xs[0]
        for x in xs[1:]:
            result = row(result, x)
        return result

    return operation


def mean(*xs: Any) -> Any:
    """The sum of the operands divided by their number."""
    return p.div(several(p.add)(*xs), len(xs))


def clip(x: Any, low: Any = None, high: Any = None, *, min: float | None = None, max: float | None = None) -> Any:
    """x between bounds, which are inputs, or attributes before opset 11."""
    low = min if low is None else low
    high = max if high is None else high
    return x if low is None and high is None else f.clip(x, low, high)


def is_inf(x: Any, *, detect_negative: int = 1, detect_positive: int = 1) -> Any:
    """Whether an element is an infinity of a sign that is asked for."""
    if detect_negative and detect_positive:
        return f.isinf(x)
    if detect_positive:
        return p.equal(x, np.inf)
    return p.equal(x, -np.inf) if detect_negative else np.zeros(x.shape, bool)


def where(condition: Any, a: Any, b: Any) -> Any:
    """a where the condition holds, else b."""
    return p.where(condition, a, b)


def reciprocal(x: Any) -> Any:
    """1 / x."""
    return p.div(1, x)


def asinh(x: Any) -> Any:
    """sign(x) ln(|x| + sqrt(x^2 + 1)), with the digits of small numbers."""
    size = p.abs_(x, slope_at_zero=1)
    more = p.div(p.mul(size, size), p.add(1, f.hypot(size, np.ones((), x.dtype))))
    return p.mul(p.sign(x, at_zero=1), p.log1p(p.add(size, more)))


def acosh(x: Any) -> Any:
    """ln(x + sqrt((x - 1) (x + 1)))."""
    return p.log(p.add(x, p.mul(p.sqrt(p.sub(x, 1)), p.sqrt(p.add(x, 1)))))


def atanh(x: Any) -> Any:
    """(ln(1 + x) - ln(1 - x)) / 2."""
    return p.div(p.sub(p.log1p(x), p.log1p(p.neg(x))), 2)


def one(function: Operation) -> Operation:
    """An operator of one operand."""

    def operation(x: Any) -> Any:
        return function(x)

    return operation


def two(function: Operation) -> Operation:
    """An operator of two operands."""

    def operation(a: Any, b: Any) -> Any:
        return function(a, b)

    return operation


def kept(function: Operation) -> Operation:
    """A function that leaves whole numbers as they are."""

    def operation(x: Any) -> Any:
        return function(x) if x.dtype.kind == "f" else x

    return operation


# fmt: off
OPERATIONS: dict[str, Operation] = {
    "Add": two(p.add), "Sub": two(p.sub), "Mul": two(p.mul), "Div": div, "Mod": mod, "Pow": pow_,
    "Neg": one(p.neg), "Abs": one(p.abs_), "Reciprocal": reciprocal, "Sqrt": one(p.sqrt), "Exp": one(p.exp),
    "Log": one(p.log), "Erf": one(p.erf), "Sign": one(p.sign), "Floor": kept(p.floor), "Ceil": kept(f.ceil),
    "Round": kept(f.round),
    "Sum": several(p.add), "Max": several(p.maximum), "Min": several(p.minimum), "Mean": mean, "Clip": clip,
    "Sin": one(p.sin), "Cos": one(p.cos), "Tan": one(f.tan), "Asin": one(f.asin), "Acos": one(f.acos),
    "Atan": one(f.atan), "Sinh": one(f.sinh), "Cosh": one(f.cosh), "Asinh": asinh, "Acosh": acosh,
    "Atanh": atanh,
    "Equal": two(p.equal), "Less": two(p.less), "Greater": two(p.greater), "LessOrEqual": two(p.less_equal),
    "GreaterOrEqual": two(p.greater_equal), "And": two(f.logical_and), "Or": two(f.logical_or),
    "Xor": two(f.logical_xor), "Not": one(f.logical_not), "Where": where, "IsNaN": one(f.isnan), "IsInf": is_inf,
    "Cast": cast, "CastLike": cast_like,
}
# fmt: on
