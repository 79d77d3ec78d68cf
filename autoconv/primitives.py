"""THE TABLE: every primitive is one row, and Tensor's operators are bound to the rows.

A row gives name, forward (NumPy), one vjp per operand written in other primitives, LaTeX formula, traits where it
differs from its group (``Primitive.TRAITS``), and a point to test it on.  A rule is ``lambda g, y, *operands,
**params``: g the cotangent of the output, y the output.  Rules speak only primitives and operators, so the sweep of a
tape is a tape, and on plain arrays the same rules run without recording.

Four groups: *arithmetic* (one scalar operation per element; operands are first broadcast and cast, by lines of their
own), *wiring* (who reads whom; linear, in adjoint pairs), *sum*, and *contract* (multiply and sum over named axes).

A slope is selected, not multiplied: where a maximum, a clip, |.| or a choice passes nothing on, the cotangent is 0
even if an infinity or NaN comes down (sqrt(relu(x)) has slope 0 at -1, not 0 * inf).  Two rows do it: ``slope`` (a
cotangent times one of three numbers, by the order of two operands) and ``multiply_no_nan`` (x * y, but 0 where y is 0).

Kinks, where a derivative is chosen (each has a test):

    abs at 0            slope_at_zero: 0 (default), or +1
    maximum at a tie    ties="split": half to each operand; ties="first": all to the left one
    minimum at a tie    the same
    maximum, minimum    of a NaN and a number: the NaN is the result, and has the slope
    sign, order, comparisons      no gradient anywhere
    floor, argsort                the same
    atan2 of 0 and 0              no slope to either, as PyTorch has it
    remainder                     d/dx = 1 and d/dy = -floor(x / y), also where the remainder jumps
    relu, clip, relu6, hardtanh   0 at every bound; of a NaN the slope is 1
    sqrt, log, division at 0      the limit IEEE arithmetic gives (inf or nan)
    power               d/dx x**0 = 0 for every x, d/dy 0**y = 0 for y >= 0 (-inf below), as PyTorch has them
    logaddexp           of -inf and -inf: no slope to either; of inf and inf: half to each
    xlogy               0 log y = 0 for every number y; d/dx 0 log 0 = 0 and d/dy 0 log y = 0
    std                 of equal numbers: 0, as PyTorch has it
    logsumexp           all -inf: no slope; with one inf: all of it to that one
"""

from __future__ import annotations

from itertools import accumulate as _accumulate
from math import pi as _pi
from math import sqrt as _sqrt
from numbers import Number as _Number
from typing import Any as _Any

import numpy as _np

from . import arrays as _arrays
from .rows import TABLE as TABLE
from .rows import agree as _agree
from .rows import arithmetic as _arithmetic
from .rows import comparison as _comparison
from .rows import defined as _defined
from .rows import on as _on
from .rows import row as _row
from .rows import select as _select
from .rows import wiring as _wiring
from .shapes import keepdims_shape as _keepdims_shape
from .tape import Primitive as _Primitive
from .tape import Tensor as _Tensor
from .tape import elsewhere as _elsewhere

# fmt: off
#            name     forward       one vjp per operand                                                        latex, traits
add = _arithmetic("add", _np.add,         (lambda g, y, a, b: g,      lambda g, y, a, b: g),                     r"{0} + {1}", "affine", linear=(0, 1))
sub = _arithmetic("sub", _np.subtract,    (lambda g, y, a, b: g,      lambda g, y, a, b: -g),                    r"{0} - {1}", "affine", linear=(0, 1))
mul = _arithmetic("mul", _np.multiply,    (lambda g, y, a, b: g * b,  lambda g, y, a, b: g * a),                 r"{0} \cdot {1}", linear=(0, 1))
div = _arithmetic("div", _np.divide,      (lambda g, y, a, b: g / b,  lambda g, y, a, b: -(g * y) / b),          r"\frac{{{0}}}{{{1}}}", linear=(0,), low=0.5, cost=0.4)
neg = _arithmetic("neg", _np.negative,    (lambda g, y, a: -g,),                                                 r"-{0}", "affine", linear=(0,))
exp = _arithmetic("exp", _np.exp,         (lambda g, y, a: g * y,),                                              r"e^{{{0}}}", "irrational")
log = _arithmetic("log", _np.log,         (lambda g, y, a: g / a,),                                              r"\ln {0}", "irrational", low=0.5)
expm1 = _arithmetic("expm1", _np.expm1,   (lambda g, y, a: g * exp(a),),                                         r"e^{{{0}}} - 1", "irrational")
log1p = _arithmetic("log1p", _np.log1p,   (lambda g, y, a: g / (1 + a),),                                        r"\ln(1 + {0})", "irrational", low=-0.5)
sqrt = _arithmetic("sqrt", _np.sqrt,      (lambda g, y, a: g / (2 * y),),                                        r"\sqrt{{{0}}}", "irrational", low=0.5, cost=0.4)
tanh = _arithmetic("tanh", _np.tanh,      (lambda g, y, a: g * (1 - y * y),),                                    r"\tanh {0}", "irrational")
sin = _arithmetic("sin", _np.sin,         (lambda g, y, a: g * cos(a),),                                         r"\sin {0}", "irrational")
cos = _arithmetic("cos", _np.cos,         (lambda g, y, a: -g * sin(a),),                                        r"\cos {0}", "irrational")
erf = _arithmetic("erf", _arrays.erf,     (lambda g, y, a: g * exp(-a * a) * (2 / _sqrt(_pi)),),                  r"\operatorname{{erf}} {0}", "irrational")
erfc = _arithmetic("erfc", _arrays.erfc,  (lambda g, y, a: -g * exp(-a * a) * (2 / _sqrt(_pi)),),                r"\operatorname{{erfc}} {0}", "irrational")
softsign = _arithmetic("softsign", _arrays.softsign, (lambda g, y, a: g / (1 + abs_(a)) / (1 + abs_(a)),),     r"\operatorname{{softsign}} {0}", low=0.5)
atan2 = _arithmetic("atan2", _arrays.atan2, (lambda g, y, a, b: g * _turned(b, a, b),
                                         lambda g, y, a, b: -(g * _turned(a, a, b))),                  r"\operatorname{{atan2}}({0}, {1})", "irrational", ufunc=_np.arctan2, low=0.5)
floor = _arithmetic("floor", _np.floor,   (None,),                                                               r"\lfloor {0} \rfloor")
remainder = _arithmetic("remainder", _np.remainder, (lambda g, y, a, b: g,
                                         lambda g, y, a, b: -(g * ((a - y) / b))),                             r"{0} \bmod {1}", low=0.5)
power = _arithmetic("power", _np.power,   (lambda g, y, a, b: multiply_no_nan(multiply_no_nan(power(a, b - 1), b), g),
                                         lambda g, y, a, b: g * y * log(where(_begins(a, b), 1, a))),         r"{0}^{{{1}}}", "irrational selects", low=0.5)
xlogy = _arithmetic("xlogy", _arrays.xlogy, (lambda g, y, a, b: g * log(where(_nothing(a, b), 1, b)),
                                         lambda g, y, a, b: multiply_no_nan(g, where(_nothing(a, b), 0, a / where(_nothing(a, b), 1, b)))), r"{0} \, \ln {1}", "irrational selects", low=0.5)
multiply_no_nan = _arithmetic("multiply_no_nan", _arrays.multiply_no_nan, (lambda g, y, a, b: multiply_no_nan(g, b),
                                         lambda g, y, a, b: multiply_no_nan(a, g)),                            r"{0} \cdot {1}", "selects")
logaddexp = _arithmetic("logaddexp", _np.logaddexp, (lambda g, y, a, b: g * _logistic(_ahead(a, b)),
                                         lambda g, y, a, b: g * _logistic(_ahead(b, a))),                      r"\ln(e^{{{0}}} + e^{{{1}}})", "irrational")
abs_ = _arithmetic("abs", lambda a, slope_at_zero=0: _np.abs(a),
                  (lambda g, y, a, slope_at_zero=0: multiply_no_nan(g, sign(a, at_zero=slope_at_zero)),),      r"\left|{0}\right|", "masks selects", low=0.5, ufunc=_np.abs)
sign = _arithmetic("sign", _arrays.sign,  (None,),                                                               r"\operatorname{{sign}} {0}")
order = _arithmetic("order", _arrays.order, (None, None),                                                        r"\operatorname{{sign}}({0} - {1})")
greater = _comparison("greater", _np.greater,                                                                    r"[{0} > {1}]")
less = _comparison("less", _np.less,                                                                             r"[{0} < {1}]")
greater_equal = _comparison("greater_equal", _np.greater_equal,                                                  r"[{0} \ge {1}]")
less_equal = _comparison("less_equal", _np.less_equal,                                                           r"[{0} \le {1}]")
equal = _comparison("equal", _np.equal,                                                                          r"[{0} = {1}]")
not_equal = _comparison("not_equal", _np.not_equal,                                                              r"[{0} \ne {1}]")
where = _row("where", _np.where,          (None, lambda g, y, c, a, b: where(c, g, 0),  lambda g, y, c, a, b: where(c, 0, g)),
            r"{1} \text{{ if }} {0} \text{{ else }} {2}", "arithmetic",
            lambda rng: ([rng.random((2, 3)) < 0.5, rng.normal(size=(2, 3)), rng.normal(size=(2, 3))], {}), align=_select, traits="masks selects")
slope = _row("slope", _arrays.slope, (lambda h, y, g, a, b, less, tie, more, nan="more": slope(h, a, b, less=less, tie=tie, more=more, nan=nan), None, None), r"{0} \cdot \operatorname{{slope}}({1}, {2})", "arithmetic",
            _on((2, 3), (2, 3), (2, 3), less=0.0, tie=0.5, more=1.0, nan="more"), align=_agree, traits="masks selects")

# ---- rows with a definition: the forward is exact, gradient, drawing and expansion are the definition's

_SLOPE = {"split": 0, "first": 1}     # the slope of |x - y| at x = y; for minimum it enters with the other sign

def _apart(x: _Any, y: _Any, ties: str = "split") -> _Any:
    """Only the order of x and y decides the slope: (sign of x against y, 0) has it without rounding or infinities."""
    return order(x, y), 0

def _apart_below(x: _Any, y: _Any, ties: str = "split") -> _Any:
    """The same, but a NaN is below every number, as it is in a minimum."""
    return -order(-x, -y), 0

maximum = _defined("maximum", lambda x, y, ties="split": _arrays.extreme(_np.maximum, x, y), r"\max({0}, {1})",
                  lambda x, y, ties="split": (x + y + abs_(x - y, slope_at_zero=_SLOPE[ties])) / 2, "masks", at=_apart, ufunc=_np.maximum)
minimum = _defined("minimum", lambda x, y, ties="split": _arrays.extreme(_np.minimum, x, y), r"\min({0}, {1})",
                  lambda x, y, ties="split": (x + y - abs_(x - y, slope_at_zero=-_SLOPE[ties])) / 2, "masks", at=_apart_below, ufunc=_np.minimum)
# ---- what rules have in common

def _logistic(x: _Any) -> _Any:
    """1 / (1 + e^-x) with exponents that are never positive; both sides have their digits, and meet smoothly at 0."""
    e = exp(-abs_(x, slope_at_zero=1))
    return where(less(x, 0), e, 1) / (1 + e)

def _ahead(a: _Any, b: _Any) -> _Any:
    """a - b, the argument of a's share of e^a + e^b; of equal infinities -inf (no share of nothing) or 0."""
    return where(equal(a, b), where(less(abs_(a), _np.inf), a - b, minimum(a, 0)), a - b)

def _begins(a: _Any, b: _Any) -> _Any:
    """Where a is 0 and b is not negative: there 0 to the b, and b log 0, are chosen not to change with b."""
    return where(equal(a, 0), greater_equal(b, 0), False)

def _nothing(a: _Any, b: _Any) -> _Any:
    """Where a is 0 and b has no logarithm: there a log b = 0 is chosen not to change with either."""
    return where(equal(a, 0), less_equal(b, 0), False)

def _turned(x: _Any, a: _Any, b: _Any) -> _Any:
    """x / (a^2 + b^2), with squares that stay in the range; 0 at the origin (no direction) and at infinity."""
    size = stop_gradient(maximum(abs_(a), abs_(b)))
    size = where(where(less(size, _np.inf), greater(size, 0), False), size, 1)
    square = (a / size) * (a / size) + (b / size) * (b / size)
    still = where(equal(square, 0), True, equal(square, _np.inf))
    return where(still, 0, x / size / where(still, 1, square)) / size

# ---- wiring: no arithmetic, only who reads whom; linear, adjoints side by side

def _parts(g: _Any, sizes: list[int], axis: int) -> list[_Any]:
    """g cut along ``axis`` into parts of these sizes, each a slice that knows where it begins and ends."""
    ends = list(_accumulate(sizes))
    return [index(g, key=(*(slice(None),) * axis, slice(end - n, end))) for n, end in zip(sizes, ends, strict=True)]

def _indexed(*shape: int, **params: _Any) -> _Any:
    return lambda rng: ([rng.normal(size=shape), _np.array([[2, 0], [2, 1]])], params)

identity      = _wiring("identity", lambda a: a,                   lambda g, y, a: g,                                     r"{0}", _on((2, 3)), "rearranges")
stop_gradient = _row("stop_gradient", lambda a: a, (None,),                                                               r"{0}", "wiring", _on((2, 3)))
cast          = _wiring("cast", _arrays.cast,                       lambda g, y, a, dtype: cast(g, dtype=a.dtype),         r"{0}", _on((2, 3), dtype=_np.dtype(_np.float64)), "rearranges copies")
reshape       = _wiring("reshape", lambda a, shape: _np.reshape(a, shape), lambda g, y, a, shape: reshape(g, shape=a.shape),      r"\operatorname{{reshape}} {0}", _on((2, 3), shape=(3, 2)), "rearranges")
permute_dims  = _wiring("permute_dims", _np.transpose,              lambda g, y, a, axes: permute_dims(g, axes=tuple(map(int, _np.argsort(axes)))), r"{0}^{{\top}}", _on((2, 3, 1), axes=(1, 2, 0)), "rearranges")
flip          = _wiring("flip", _np.flip,                           lambda g, y, a, axis: flip(g, axis=axis),              r"\operatorname{{flip}} {0}", _on((2, 3), axis=(0, 1)), "rearranges")
broadcast_to  = _wiring("broadcast_to", _np.broadcast_to,           lambda g, y, a, shape: sum_to(g, shape=a.shape),       r"{0}", _on((2, 1), shape=(3, 2, 3)))
sum_to        = _wiring("sum_to", _arrays.sum_to,                   lambda g, y, a, shape: broadcast_to(g, shape=a.shape), r"\textstyle\sum {0}", _on((3, 2, 3), shape=(2, 1)), "adds")
pad           = _wiring("pad", _arrays.pad,                         lambda g, y, a, width: crop(g, width=width),           r"\operatorname{{pad}} {0}", _on((2, 3), width=((1, 0), (2, 1))), "copies")
crop          = _wiring("crop", _arrays.crop,                       lambda g, y, a, width: pad(g, width=width),            r"\operatorname{{crop}} {0}", _on((4, 5), width=((1, 0), (2, 1))))
index         = _wiring("index", lambda a, key: a[key],            lambda g, y, a, key: scatter(g, key=key, shape=a.shape), r"{0}_{{[\,]}}", _on((4, 5), key=(slice(None, None, 2), 3)))
scatter       = _wiring("scatter", _arrays.scatter,                 lambda g, y, a, key, shape: index(g, key=key),         r"\operatorname{{scatter}} {0}", _on((2,), key=(slice(None, None, 2), 3), shape=(4, 5)), "copies")
take          = _wiring("take", _np.take,                           lambda g, y, a, i, axis: scatter_add(g, i, axis=axis, size=a.shape[axis]), r"{0}_{{{1}}}", _indexed(3, 2, axis=0), "copies", (None,))
scatter_add   = _wiring("scatter_add", _arrays.scatter_add,         lambda g, y, a, i, axis, size: take(g, i, axis=axis),  r"\operatorname{{scatter}} {0}", _indexed(2, 2, 2, axis=0, size=3), "adds", (None,))
windows       = _wiring("windows", _arrays.windows,                 lambda g, y, a, axes, window, stride, dilation: overlap_add(g, axes=axes, size=tuple(a.shape[i] for i in axes), stride=stride, dilation=dilation),
                       r"\operatorname{{windows}} {0}", _on((1, 5, 6, 2), axes=(1, 2), window=(2, 3), stride=(2, 1), dilation=(1, 2)))
overlap_add   = _wiring("overlap_add", _arrays.overlap_add,         lambda g, y, a, axes, size, stride, dilation: windows(g, axes=axes, window=a.shape[axes[-1] + 1:][:len(axes)], stride=stride, dilation=dilation),
                       r"\operatorname{{overlap\_add}} {0}", _on((1, 2, 2, 2, 3, 2), axes=(1, 2), size=(5, 6), stride=(2, 1), dilation=(1, 2)), "adds")
argsort       = _row("argsort", lambda a, axis: _np.argsort(a, axis=axis, kind="stable"), (None,),
                    r"\operatorname{{argsort}} {0}", "wiring", _on((2, 3), axis=1), traits="copies")
concat        = _row("concat", lambda *xs, axis: _np.concatenate(xs, axis=axis),
                    lambda g, y, *xs, axis: _parts(g, [x.shape[axis] for x in xs], axis),
                    r"\operatorname{{concat}} {0}", "wiring", _on((2, 3), (2, 1), axis=1), traits="copies")

# ---- sum and contract

sum_ = _row("sum", _arrays.total,
           (lambda g, y, a, axis, keepdims=False: broadcast_to(reshape(g, shape=_keepdims_shape(a.shape, axis)), shape=a.shape),),
           r"\textstyle\sum {0}", "sum", _on((2, 3, 2), axis=(0, 2)), linear=(0,), traits="adds")

def _transposed(spec: str, k: int) -> str:
    """The contraction that pulls a cotangent back to operand k: result with the other operand, onto k's letters."""
    operands, result = spec.split("->")
    letters = operands.split(",")
    return f"{result},{letters[1 - k]}->{letters[k]}"

contract = _row("contract", _arrays.contract,
               (lambda g, y, a, b, spec: contract(g, b, spec=_transposed(spec, 0)),
                lambda g, y, a, b, spec: contract(g, a, spec=_transposed(spec, 1))),
               r"\textstyle\sum {0} \, {1}", "contract", _on((2, 3, 4), (2, 4, 5), spec="bij,bjk->ibk"), linear=(0, 1))
# fmt: on


def _bind_operators() -> None:
    """Tensor's operators are rows of the table; the reflected form swaps the operands."""
    binary = {"add": add, "sub": sub, "mul": mul, "truediv": div, "pow": power}
    comparisons = {"gt": greater, "lt": less, "ge": greater_equal, "le": less_equal, "eq": equal, "ne": not_equal}
    for name, primitive in comparisons.items():
        setattr(_Tensor, f"__{name}__", lambda a, b, op=primitive: op(a, b) if _is_operand(b) else NotImplemented)
    for name, primitive in binary.items():
        setattr(_Tensor, f"__{name}__", lambda a, b, op=primitive: op(a, b) if _is_operand(b) else _refused(op, b))
        setattr(_Tensor, f"__r{name}__", lambda a, b, op=primitive: op(b, a) if _is_operand(b) else _refused(op, b))
    for name, unary in {"neg": neg, "abs": abs_, "pos": lambda a: a}.items():
        setattr(_Tensor, f"__{name}__", lambda a, op=unary: op(a))


def _is_operand(x: _Any) -> bool:
    return isinstance(x, _Tensor | _np.ndarray | _np.generic | _Number | list | tuple)


def _refused(primitive: _Primitive, x: _Any) -> _Any:
    """What is no operand: Python asks the other operand next, but what is recorded elsewhere (a Scalar) is refused."""
    if any(isinstance(x, kinds) for kinds, _ in _elsewhere):
        raise TypeError(
            f"{primitive.name}: a Tensor and a Scalar do not mix, for each records on a tape of its own; make both of "
            "Scalars (ac.Scalar), or both of Tensors (ac.tensor), or take the number alone, as in x.data"
        )
    return NotImplemented


_bind_operators()
