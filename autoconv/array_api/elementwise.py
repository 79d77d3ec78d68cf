"""One number after the other: the standard's name, NumPy's function, and what records it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import functional as ac
from .. import primitives as p
from ..tape import Tensor
from .common import constant, lifted, needs_tensors, plain, trained
from .dtypes import result_type

__all__ = [
    "abs",
    "acos",
    "acosh",
    "add",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "ceil",
    "clip",
    "conj",
    "copysign",
    "cos",
    "cosh",
    "divide",
    "equal",
    "exp",
    "expm1",
    "floor",
    "floor_divide",
    "greater",
    "greater_equal",
    "hypot",
    "isfinite",
    "isinf",
    "isnan",
    "less",
    "less_equal",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "nextafter",
    "not_equal",
    "positive",
    "pow",
    "real",
    "reciprocal",
    "remainder",
    "round",
    "sign",
    "signbit",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "subtract",
    "tan",
    "tanh",
    "trunc",
]  # fmt: skip


def _unary(name: str, numpys: Callable[..., Any], ours: Callable[..., Any] | None = None) -> Any:
    def function(x: Any, /) -> Tensor:
        needs_tensors(name, x)
        return lifted(ours(x)) if ours and not x.constant else constant(numpys(x.value))

    return _named(function, name)


def _binary(name: str, numpys: Callable[..., Any], ours: Callable[..., Any] | None = None) -> Any:
    def function(x1: Any, x2: Any, /) -> Tensor:
        needs_tensors(name, x1, x2)
        return lifted(ours(x1, x2)) if ours and trained(x1, x2) else constant(numpys(plain(x1), plain(x2)))

    return _named(function, name)


def _named(function: Any, name: str) -> Any:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"``{name}``, element by element, as the array API standard has it."
    return function


def _copysign(x: Any, y: Any) -> Any:
    """x, with the other sign where y's is the other one."""
    return p.where(np.signbit(plain(x)) == np.signbit(plain(y)), x, negative(lifted(x))).astype(result_type(x, y))


def _nextafter(x: Any, y: Any) -> Any:
    """The next number, which moves as x does."""
    value = np.nextafter(plain(x), plain(y))
    return p.where(np.isfinite(plain(x)), x - ac.stop_gradient(x), 0).astype(value.dtype) + constant(value)


# ---- elementwise: the standard's name, NumPy's function, and what records it (None: it has no gradient)

# fmt: off
abs          = _unary("abs",          np.abs,         ac.abs)
acos         = _unary("acos",         np.arccos,      ac.acos)
acosh        = _unary("acosh",        np.arccosh,     ac.acosh)
add          = _binary("add",         np.add,         p.add)
asin         = _unary("asin",         np.arcsin,      ac.asin)
asinh        = _unary("asinh",        np.arcsinh,     ac.asinh)
atan         = _unary("atan",         np.arctan,      ac.atan)
atan2        = _binary("atan2",       np.arctan2,     p.atan2)
atanh        = _unary("atanh",        np.arctanh,     ac.atanh)
bitwise_and  = _binary("bitwise_and", np.bitwise_and)
bitwise_invert = _unary("bitwise_invert", np.bitwise_not)
bitwise_left_shift = _binary("bitwise_left_shift", np.left_shift)
bitwise_or   = _binary("bitwise_or",  np.bitwise_or)
bitwise_right_shift = _binary("bitwise_right_shift", np.right_shift)
bitwise_xor  = _binary("bitwise_xor", np.bitwise_xor)
ceil         = _unary("ceil",         np.ceil)
conj         = _unary("conj",         np.conj,        lambda x: x)
copysign     = _binary("copysign",    np.copysign,    _copysign)
cos          = _unary("cos",          np.cos,         p.cos)
cosh         = _unary("cosh",         np.cosh,        ac.cosh)
divide       = _binary("divide",      np.divide,      p.div)
equal        = _binary("equal",       np.equal)
exp          = _unary("exp",          np.exp,         p.exp)
expm1        = _unary("expm1",        np.expm1,       p.expm1)
floor        = _unary("floor",        np.floor)
floor_divide = _binary("floor_divide", np.floor_divide)
greater      = _binary("greater",     np.greater)
greater_equal = _binary("greater_equal", np.greater_equal)
hypot        = _binary("hypot",       np.hypot,       ac.hypot)
isfinite     = _unary("isfinite",     np.isfinite)
isinf        = _unary("isinf",        np.isinf)
isnan        = _unary("isnan",        np.isnan)
less         = _binary("less",        np.less)
less_equal   = _binary("less_equal",  np.less_equal)
log          = _unary("log",          np.log,         p.log)
log10        = _unary("log10",        np.log10,       ac.log10)
log1p        = _unary("log1p",        np.log1p,       p.log1p)
log2         = _unary("log2",         np.log2,        ac.log2)
logaddexp    = _binary("logaddexp",   np.logaddexp,   p.logaddexp)
logical_and  = _binary("logical_and", np.logical_and)
logical_not  = _unary("logical_not",  np.logical_not)
logical_or   = _binary("logical_or",  np.logical_or)
logical_xor  = _binary("logical_xor", np.logical_xor)
maximum      = _binary("maximum",     np.maximum,     p.maximum)
minimum      = _binary("minimum",     np.minimum,     p.minimum)
multiply     = _binary("multiply",    np.multiply,    p.mul)
negative     = _unary("negative",     np.negative,    p.neg)
nextafter    = _binary("nextafter",   np.nextafter,   _nextafter)
not_equal    = _binary("not_equal",   np.not_equal)
positive     = _unary("positive",     np.positive,    lambda x: x)
pow          = _binary("pow",         np.power,       p.power)
real         = _unary("real",         np.real,        lambda x: x)
reciprocal   = _unary("reciprocal",   np.reciprocal,  ac.reciprocal)
remainder    = _binary("remainder",   np.remainder,   p.remainder)
round        = _unary("round",        np.round)
sign         = _unary("sign",         np.sign)
signbit      = _unary("signbit",      np.signbit)
sin          = _unary("sin",          np.sin,         p.sin)
sinh         = _unary("sinh",         np.sinh,        ac.sinh)
sqrt         = _unary("sqrt",         np.sqrt,        p.sqrt)
square       = _unary("square",       np.square,      ac.square)
subtract     = _binary("subtract",    np.subtract,    p.sub)
tan          = _unary("tan",          np.tan,         ac.tan)
tanh         = _unary("tanh",         np.tanh,        p.tanh)
trunc        = _unary("trunc",        np.trunc)
# fmt: on


def clip(x: Any, /, min: Any = None, max: Any = None) -> Tensor:
    """x within ``min`` and ``max``, in x's dtype: ``ac.clip``."""
    needs_tensors("clip", x)
    if trained(x, min, max):
        y: Tensor = ac.clip(x, min, max)
        return y.astype(x.dtype)
    if min is None and max is None:
        return x
    return constant(np.clip(x.value, plain(min), plain(max)).astype(x.dtype))
