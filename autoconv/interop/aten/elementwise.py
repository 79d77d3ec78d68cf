"""ATen's elementwise operations: arithmetic, comparisons, choices, activations.

Each function takes what the operation of its name takes, in the same order.  The slopes at kinks are PyTorch's: clamp
has 1 at its bounds, relu6, hardtanh and hardsigmoid 0, abs and sign 0 at 0, maximum splits a tie evenly.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import functional as f
from ... import primitives as p
from ...tape import Tensor
from ..places import numbers
from .types import FIRST, array, cast, common, floating, matched

Operation = Callable[..., Any]


def _two(row: Operation) -> Operation:
    """A row of two operands, brought to one dtype first."""

    def operation(x: Any, y: Any) -> Any:
        return row(*matched(x, y))

    return operation


def _one(function: Operation) -> Operation:
    """A function of one operand in floating point."""

    def operation(x: Any) -> Any:
        return function(floating(x))

    return operation


def _logical(function: Operation) -> Operation:
    """A function of two operands as truth values, which may be Python's."""

    def operation(x: Any, y: Any) -> Any:
        return function(true(x), true(y))

    return operation


def add(x: Any, y: Any, alpha: float = 1) -> Any:
    """x + alpha y; of truth values their disjunction."""
    if common((x, y)) == bool:
        return f.logical_or(x, y)
    a, b = matched(x, y if alpha == 1 else mul(y, alpha))
    return p.add(a, b)


def sub(x: Any, y: Any, alpha: float = 1) -> Any:
    """x - alpha y."""
    a, b = matched(x, y if alpha == 1 else mul(y, alpha))
    return p.sub(a, b)


def rsub(x: Any, y: Any, alpha: float = 1) -> Any:
    """y - alpha x."""
    return sub(y, x, alpha)


def mul(x: Any, y: Any) -> Any:
    """x y; of truth values their conjunction."""
    a, b = matched(x, y)
    return f.logical_and(a, b) if a.dtype == bool else p.mul(a, b)


def div(x: Any, y: Any, rounding_mode: str | None = None) -> Any:
    """x / y in floating point; with a rounding mode the whole number below it ("floor") or towards 0 ("trunc")."""
    a, b = matched(x, y)
    if rounding_mode is None:
        return p.div(floating(a), floating(b))
    if a.dtype.kind in "iu":
        quotient = np.floor_divide(numbers(a), numbers(b))
        if rounding_mode == "floor":
            return quotient
        rest = numbers(a) - quotient * numbers(b)
        return quotient + ((rest != 0) & ((numbers(a) < 0) != (numbers(b) < 0)))
    return (f.floor if rounding_mode == "floor" else f.trunc)(p.div(a, b))


def floor_divide(x: Any, y: Any) -> Any:
    """The whole number below x / y."""
    return div(x, y, "floor")


def remainder(x: Any, y: Any) -> Any:
    """x - floor(x / y) y: the rest with y's sign."""
    a, b = matched(x, y)
    if a.dtype.kind in "iu":
        return np.remainder(numbers(a), numbers(b))
    return p.sub(a, p.mul(f.floor(p.div(a, b)), b))


def power(x: Any, y: Any) -> Any:
    """x to the y; a small whole power is a product, with slopes everywhere."""
    if isinstance(y, int | float) and not isinstance(x, int | float):
        x = x if isinstance(y, int) or x.dtype.kind == "f" else floating(x)
        if y == 2:
            return p.mul(x, x)
        if y == 0.5:
            return p.sqrt(x)
    if not isinstance(x, int | float) and not isinstance(y, int | float):
        return p.power(*matched(x, y))
    a, b = matched(x, y)
    return p.power(a, b)


def neg(x: Any) -> Any:
    return p.neg(array(x))


def abs_(x: Any) -> Any:
    return p.abs_(x)


def true(x: Any) -> Any:
    """Truth values: what is not 0."""
    x = array(x)
    return x if x.dtype == bool else p.not_equal(x, 0)


def bitwise(on_bools: Operation, on_integers: Operation) -> Operation:
    """An operation on bits: of truth values a logical one, of whole numbers computed at once, without a line."""

    def operation(x: Any, y: Any) -> Any:
        a, b = matched(x, y)
        return on_bools(a, b) if a.dtype == bool else on_integers(numbers(a), numbers(b))

    return operation


def bitwise_not(x: Any) -> Any:
    return f.logical_not(x) if x.dtype == bool else np.invert(numbers(x))


def nan_to_num(x: Any, nan: float | None = None, posinf: float | None = None, neginf: float | None = None) -> Any:
    """x with numbers in place of NaN (0) and the infinities (the largest of the dtype)."""
    return f.nan_to_num(x, 0.0 if nan is None else nan, posinf, neginf)


def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    """x where the condition holds, else y."""
    if x is None:
        raise NotImplementedError("where with one operand gives a result whose shape depends on the numbers")
    a, b = matched(x, y)
    return p.where(true(condition), a, b)


def masked_fill(x: Any, mask: Any, value: Any) -> Any:
    """x with ``value`` where the mask holds."""
    value = value if isinstance(value, int | float) else cast(value, x.dtype)
    return p.where(true(mask), value, x)


def clamp(x: Any, min: Any = None, max: Any = None, slope_at_bounds: int = 1) -> Any:
    """x between bounds; the slope at both is 1 up to PyTorch 2.13, and 0 later: the reader asks the PyTorch that is
    there."""
    bounds = [b for b in (min, max) if b is not None]
    dtype = common((x, *bounds))
    low, high = [b if b is None or isinstance(b, int | float) else cast(b, dtype) for b in (min, max)]
    x = cast(x, dtype)
    for bound, row in ((low, p.maximum), (high, p.minimum)):
        if bound is not None:  # a tie goes to the first
            x = row(x, bound, ties="first") if slope_at_bounds else row(bound, x, ties="first")
    return x


def clamp_max(x: Any, max: Any, slope_at_bounds: int = 1) -> Any:
    return clamp(x, None, max, slope_at_bounds)


def lerp(x: Any, y: Any, weight: Any) -> Any:
    """x + weight (y - x)."""
    return add(x, mul(weight, sub(y, x)))


def addcmul(x: Any, a: Any, b: Any, value: float = 1) -> Any:
    """x + value a b."""
    return add(x, mul(a, b), value)


def addcdiv(x: Any, a: Any, b: Any, value: float = 1) -> Any:
    """x + value a / b."""
    return add(x, div(a, b), value)


def elu(x: Any, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Any:
    """scale (x above 0, alpha (e^(input_scale x) - 1) below)."""
    if scale == input_scale == 1:
        return f.elu(x, alpha)
    above = p.maximum(0, x, ties="first")
    below = p.expm1(p.mul(p.minimum(x, 0, ties="first"), input_scale))
    return p.mul(p.add(above, p.mul(below, alpha)), scale)


def prelu(x: Any, weight: Any) -> Any:
    """max(0, x) + weight min(x, 0), one weight or one for each channel (axis 1)."""
    return f.prelu(x, weight, layout=FIRST)


def spread_prelu(x: Any, weight: Any) -> Any:
    """prelu with a weight that stands beside x already."""
    return p.add(p.maximum(0, x, ties="first"), p.mul(weight, p.minimum(x, 0, ties="first")))


def rrelu(x: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False) -> Any:
    if training:
        raise NotImplementedError("rrelu in training draws a slope for each element; use LeakyReLU")
    return f.leaky_relu(x, (lower + upper) / 2)


def gelu(x: Any, approximate: str = "none") -> Any:
    return f.gelu(x, approximate)


def hard(word: str) -> Operation:
    """relu6, hardtanh, hardswish and their like, as autoconv has them."""

    def operation(x: Any, *settings: Any) -> Any:
        return getattr(f, word)(x, *settings)

    return operation


def hardsigmoid(x: Any) -> Any:
    """max(0, min(6, x + 3)) / 6; in float64 with PyTorch's slope, which is 1/6 rounded to float32."""
    y = f.hardsigmoid(x)
    if x.dtype != np.float64 or not isinstance(x, Tensor):
        return y
    inside = p.where(p.less(p.abs_(x), 3), x, 0)
    return p.add(y, p.mul(p.sub(inside, p.stop_gradient(inside)), float(np.float32(1 / 6)) - 1 / 6))  # adds 0


def to_dtype(x: Any, dtype: Any = None, *_: Any, **__: Any) -> Any:
    """x in another dtype; the device, the layout and whether it is a copy do not matter."""
    return cast(array(x), dtype if isinstance(dtype, np.dtype) else None)


def to_other(x: Any, other: Any, *_: Any, **__: Any) -> Any:
    return cast(x, other.dtype)


def same(x: Any, *_: Any, **__: Any) -> Any:
    """x itself: copies and layouts are nobody's concern here."""
    return array(x)


def detach(x: Any) -> Any:
    return p.stop_gradient(x) if isinstance(x, Tensor) else x


OPERATIONS: dict[str, Operation] = {
    # arithmetic
    "add": add,
    "sub": sub,
    "subtract": sub,
    "rsub": rsub,
    "mul": mul,
    "multiply": mul,
    "div": div,
    "divide": div,
    "true_divide": div,
    "floor_divide": floor_divide,
    "remainder": remainder,
    "pow": power,
    "neg": neg,
    "negative": neg,
    "abs": abs_,
    "square": lambda x: p.mul(x, x),
    "reciprocal": _one(f.reciprocal),
    "rsqrt": _one(f.rsqrt),
    "lerp": lerp,
    "addcmul": addcmul,
    "addcdiv": addcdiv,
    "clamp": clamp,
    "clip": clamp,
    "clamp_min": clamp,
    "clamp_max": clamp_max,
    "maximum": _two(p.maximum),
    "minimum": _two(p.minimum),
    "max.other": _two(p.maximum),
    "min.other": _two(p.minimum),
    "positive": same,
    "nan_to_num": nan_to_num,
    "logaddexp": _two(p.logaddexp),
    "xlogy": _two(p.xlogy),
    # functions
    "exp": _one(p.exp),
    "exp2": _one(f.exp2),
    "expm1": _one(p.expm1),
    "log": _one(p.log),
    "log1p": _one(p.log1p),
    "log2": _one(f.log2),
    "log10": _one(f.log10),
    "sqrt": _one(p.sqrt),
    "sin": _one(p.sin),
    "cos": _one(p.cos),
    "tan": _one(f.tan),
    "tanh": _one(p.tanh),
    "erf": _one(p.erf),
    "erfc": _one(p.erfc),
    "sign": p.sign,
    "sgn": p.sign,
    # comparisons and choices
    "eq": _two(p.equal),
    "ne": _two(p.not_equal),
    "gt": _two(p.greater),
    "ge": _two(p.greater_equal),
    "lt": _two(p.less),
    "le": _two(p.less_equal),
    "logical_and": _logical(f.logical_and),
    "logical_or": _logical(f.logical_or),
    "logical_xor": _logical(f.logical_xor),
    "logical_not": f.logical_not,
    "isnan": f.isnan,
    "isinf": f.isinf,
    "isfinite": f.isfinite,
    "bitwise_and": bitwise(f.logical_and, np.bitwise_and),
    "bitwise_or": bitwise(f.logical_or, np.bitwise_or),
    "bitwise_xor": bitwise(f.logical_xor, np.bitwise_xor),
    "bitwise_not": bitwise_not,
    "__and__": bitwise(f.logical_and, np.bitwise_and),
    "__or__": bitwise(f.logical_or, np.bitwise_or),
    "where": where,
    "masked_fill": masked_fill,
    # activations
    "relu": lambda x: f.relu(x),
    "leaky_relu": lambda x, negative_slope=0.01: f.leaky_relu(x, negative_slope),
    "elu": elu,
    "selu": lambda x: f.selu(x),
    "celu": lambda x, alpha=1.0: f.celu(x, alpha),
    "prelu": prelu,
    "rrelu": rrelu,
    "_prelu_kernel": spread_prelu,
    "sigmoid": lambda x: f.sigmoid(floating(x)),
    "log_sigmoid": lambda x: f.log_sigmoid(x),
    "softplus": lambda x, beta=1, threshold=20: f.softplus(x, beta, threshold),
    "softsign": lambda x: p.softsign(x),
    "silu": lambda x: f.silu(x),
    "gelu": gelu,
    "glu": lambda x, dim=-1: f.glu(x, dim),
    "threshold": f.threshold,
    "hardsigmoid": hardsigmoid,
    "tanhshrink": f.tanhshrink,
    "logit": lambda x, eps=None: _logit(x, eps),
    # dtypes and copies
    "to.dtype": to_dtype,
    "_to_copy": to_dtype,
    "to.dtype_layout": to_dtype,
    "to.device": lambda x, _=None, dtype=None, *__, **___: to_dtype(x, dtype),
    "to.other": to_other,
    "type_as": to_other,
    "contiguous": same,
    "clone": same,
    "detach": detach,
    "detach_": detach,
    "alias": same,
    "lift_fresh_copy": same,
    "lift_fresh": same,
    "data": detach,
    "view.dtype": to_dtype,
    "cpu": same,
    # sizes
    "operator.add": operator.add,
    "operator.sub": operator.sub,
    "operator.mul": operator.mul,
    "operator.floordiv": operator.floordiv,
    "operator.truediv": operator.truediv,
    "operator.mod": operator.mod,
    "operator.neg": operator.neg,
    "operator.pow": operator.pow,
    "operator.eq": operator.eq,
    "operator.ne": operator.ne,
    "operator.lt": operator.lt,
    "operator.le": operator.le,
    "operator.gt": operator.gt,
    "operator.ge": operator.ge,
    "operator.getitem": operator.getitem,
    "operator.and_": operator.and_,
    "operator.or_": operator.or_,
    "operator.abs": operator.abs,
    "math.ceil": math.ceil,
    "math.floor": math.floor,
    "math.trunc": math.trunc,
    "sym.max": max,
    "sym.min": min,
    "sym.float": float,
    "sym.int": int,
    "sym.not": operator.not_,
    "sym.ite": lambda c, a, b: a if c else b,
    "sym.sqrt": math.sqrt,
    "operator.round": round,
    **{
        word: hard(word)
        for word in (
            "relu6",
            "hardtanh",
            "hardswish",
            "hardshrink",
            "softshrink",
            "mish",
            "sinh",
            "cosh",
            "asin",
            "acos",
            "atan",
            "asinh",
            "acosh",
            "atanh",
            "floor",
            "ceil",
            "round",
            "trunc",
            "fmax",
            "fmin",
        )
        if hasattr(f, word)
    },
}


def _logit(x: Any, eps: float | None) -> Any:
    x = x if eps is None else clamp(x, eps, 1 - eps)
    return p.log(p.div(x, p.sub(1, x)))
