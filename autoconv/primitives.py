"""THE TABLE: every primitive is one row, and Tensor's operators are bound to the rows.

A row gives name, forward (NumPy), one vjp per operand written in other primitives, LaTeX formula, traits where it
differs from its group (``Primitive.TRAITS``), and a point to test it on.  A rule is ``lambda g, y, *operands,
**params``: g the cotangent of the output, y the output.  Rules speak only primitives and operators, so the sweep of a
tape is a tape, and on plain arrays the same rules run without recording.

Four groups: *arithmetic* (one scalar operation per element; operands are first broadcast and cast, by lines of their
own), *wiring* (who reads whom; linear, in adjoint pairs), *sum*, and *contract* (multiply and sum over named axes).

Kinks, where a derivative is chosen (each has a test):

    abs at 0            slope_at_zero: 0 (default), or +1
    maximum at a tie    ties="split": half to each operand; ties="first": all to the left one
    minimum at a tie    the same
    sign, order, comparisons      no gradient anywhere
    sqrt, log, division at 0      the limit IEEE arithmetic gives (inf or nan)
    power               d/dx x**0 = 0 and d/dy 0**y = 0, as PyTorch has them
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from math import pi
from math import sqrt as _sqrt
from numbers import Number
from typing import Any

import numpy as np

from . import arrays
from .operands import ARRAYS, KINDS, as_array, number_as, numbers
from .shapes import broadcast_shapes, keepdims_shape
from .tape import Primitive, Tensor

TABLE: dict[str, Primitive] = {}


def row(
    name: str, forward: Callable[..., Any], vjps: Any, latex: str, group: str, example: Any, **more: Any
) -> Primitive:
    """Enter a primitive into the table."""
    TABLE[name] = Primitive(name, forward, vjps, latex, group, example, **more)
    return TABLE[name]


def on(
    *shapes: tuple[int, ...], low: float = -2.0, high: float = 2.0, **params: Any
) -> Callable[..., tuple[list[Any], dict[str, Any]]]:
    """The point a row is tested on: one random operand of each shape between ``low`` and ``high``, and these params."""
    return lambda rng: ([rng.uniform(low, high, shape) for shape in shapes], params)


# ---- arithmetic: operands of one shape and dtype


def agree(name: str, operands: tuple[Any, ...]) -> tuple[Any, ...]:
    """Operands brought to a common shape and dtype: NumPy's rules, and a Python number never widens an array.

    A Tensor gets there by recorded ``cast`` and ``broadcast_to`` lines; a constant is simply written out.
    """
    lines = [x for x in operands if isinstance(x, Tensor)]
    if not lines:
        for x in operands:
            if type(x) not in (float, int) and not (isinstance(x, ARRAYS) and x.dtype.kind in KINDS):
                return _plain(name, operands)
        return operands
    first = lines[0]
    if len(lines) == len(operands):
        if all([x.shape == first.shape and x.dtype == first.dtype for x in lines]):
            return operands
    elif first.dtype.kind == "f" and all([x is first or type(x) in (int, float) for x in operands]):
        return tuple([x if x is first else number(x, first.shape, first.dtype, name) for x in operands])
    known = [x if isinstance(x, Tensor) or type(x) in (int, float) else as_array(x, what=name) for x in operands]
    dtype = common_dtype(known)
    shape = broadcast_shapes(*[() if isinstance(x, int | float) else x.shape for x in known], operation=name)
    return tuple([fit(x, shape, dtype, name) for x in known])


def _plain(name: str, operands: tuple[Any, ...]) -> tuple[Any, ...]:
    """Plain operands that are not all arrays or numbers: lists become arrays, and with one exact fraction all are."""
    known = [x if type(x) in (int, float) else numbers(x, name) for x in operands]
    some_exact = any([getattr(x, "dtype", None) == object for x in known])
    return tuple(arrays.exact(x) for x in known) if some_exact else tuple(known)


def common_dtype(xs: Sequence[Any]) -> Any:
    """NumPy's rule, by which a Python number is of the arrays' kind where it can be: it never widens them."""
    return np.result_type(*[(0 if isinstance(x, int) else 0.0) if type(x) in (int, float) else x.dtype for x in xs])


def comparable(name: str, operands: tuple[Any, ...]) -> tuple[Any, ...]:
    """For comparisons: a whole number beyond the range of the other operand's dtype is compared exactly all the same.

    It is as good as an infinity of its sign, so both are brought to float64 (to int64 where that holds both).
    """
    if len(operands) == 2 and (type(operands[0]) is int or type(operands[1]) is int):
        first = type(operands[0]) is int
        c, x = operands if first else operands[::-1]
        if not isinstance(x, Tensor | int | float):
            x = numbers(x, name)
        dtype = getattr(x, "dtype", None)
        if dtype is not None and dtype.kind in "iuf" and not _holds(dtype, c):
            small = dtype.kind in "iu" and dtype != np.uint64 and _holds(np.dtype(np.int64), c)
            if dtype.kind in "iu":
                x = cast(x, dtype=np.dtype(np.int64 if small else np.float64))
            c = c if small else float("inf") if c > 0 else float("-inf")
            operands = (c, x) if first else (x, c)
    elif any([isinstance(x, Tensor) and x.dtype.kind == "u" for x in operands]):
        known: list[Any] = [x if isinstance(x, Tensor | float) else as_array(x, what=name) for x in operands]
        kinds = "".join([x.dtype.kind for x in known if not isinstance(x, float)])
        if (
            kinds in ("iu", "ui") and common_dtype(known).kind == "f"
        ):  # no integer dtype holds both: NumPy compares them
            shape = broadcast_shapes(*[x.shape for x in known], operation=name)
            return tuple([fit(x, shape, x.dtype, name) for x in known])
    return agree(name, operands)


def _holds(dtype: Any, c: int) -> bool:
    """Whether a whole number is within the range of ``dtype``."""
    if dtype.kind in "iu":
        return bool(np.iinfo(dtype).min <= c <= np.iinfo(dtype).max)
    return abs(c) < 2**1023


def fit(x: Any, shape: tuple[int, ...], dtype: Any, name: str) -> Tensor:
    """One operand at the agreed shape and dtype."""
    if not isinstance(x, Tensor):
        return number(x, shape, dtype, name)
    if x.dtype != dtype:
        x = cast(x, dtype=dtype)
    return x if x.shape == shape else broadcast_to(x, shape=shape)


def number(x: Any, shape: tuple[int, ...], dtype: Any, name: str) -> Tensor:
    """A constant written out at ``shape``, without copies of its elements."""
    value = number_as(x, dtype, name)
    return Tensor(value if value.shape == shape else np.broadcast_to(value, shape), constant=True)


def select(name: str, operands: tuple[Any, ...]) -> tuple[Any, ...]:
    """For ``where``: the condition is broadcast as it is, the two choices agree in dtype."""
    condition, *choices = operands
    if not isinstance(condition, Tensor):
        condition = numbers(condition, f"{name}: condition")
    if not any(isinstance(x, Tensor) for x in operands):
        return (condition, *agree(name, tuple(choices)))
    known = [x if isinstance(x, Tensor) or type(x) in (int, float) else as_array(x, what=name) for x in choices]
    shape = broadcast_shapes(*[() if type(x) in (int, float) else x.shape for x in (condition, *known)], operation=name)
    dtype = common_dtype(known)
    return (fit(condition, shape, np.dtype(bool), name), *[fit(x, shape, dtype, name) for x in known])


def arithmetic(
    name: str, forward: Callable[..., Any], vjps: tuple[Any, ...], latex: str, traits: str = "", **more: Any
) -> Primitive:
    domain = {k: more.pop(k) for k in ("low", "high") if k in more}
    example = on(*[(2, 3)] * len(vjps), **domain)
    return row(name, forward, vjps, latex, "arithmetic", example, **{"align": agree, **more}, traits=traits)


def comparison(name: str, forward: Callable[..., Any], latex: str) -> Primitive:
    return arithmetic(name, forward, (None, None), latex, align=comparable)


# fmt: off
#            name     forward       one vjp per operand                                                        latex, traits
add = arithmetic("add", np.add,         (lambda g, y, a, b: g,      lambda g, y, a, b: g),                     r"{0} + {1}", "affine", linear=(0, 1))
sub = arithmetic("sub", np.subtract,    (lambda g, y, a, b: g,      lambda g, y, a, b: -g),                    r"{0} - {1}", "affine", linear=(0, 1))
mul = arithmetic("mul", np.multiply,    (lambda g, y, a, b: g * b,  lambda g, y, a, b: g * a),                 r"{0} \cdot {1}", linear=(0, 1))
div = arithmetic("div", np.divide,      (lambda g, y, a, b: g / b,  lambda g, y, a, b: -(g * y) / b),          r"\frac{{{0}}}{{{1}}}", linear=(0,), low=0.5, cost=0.4)
neg = arithmetic("neg", np.negative,    (lambda g, y, a: -g,),                                                 r"-{0}", "affine", linear=(0,))
exp = arithmetic("exp", np.exp,         (lambda g, y, a: g * y,),                                              r"e^{{{0}}}", "irrational")
log = arithmetic("log", np.log,         (lambda g, y, a: g / a,),                                              r"\ln {0}", "irrational", low=0.5)
expm1 = arithmetic("expm1", np.expm1,   (lambda g, y, a: g * exp(a),),                                         r"e^{{{0}}} - 1", "irrational")
log1p = arithmetic("log1p", np.log1p,   (lambda g, y, a: g / (1 + a),),                                        r"\ln(1 + {0})", "irrational", low=-0.5)
sqrt = arithmetic("sqrt", np.sqrt,      (lambda g, y, a: g / (2 * y),),                                        r"\sqrt{{{0}}}", "irrational", low=0.5, cost=0.4)
tanh = arithmetic("tanh", np.tanh,      (lambda g, y, a: g * (1 - y * y),),                                    r"\tanh {0}", "irrational")
sin = arithmetic("sin", np.sin,         (lambda g, y, a: g * cos(a),),                                         r"\sin {0}", "irrational")
cos = arithmetic("cos", np.cos,         (lambda g, y, a: -g * sin(a),),                                        r"\cos {0}", "irrational")
erf = arithmetic("erf", arrays.erf,     (lambda g, y, a: g * exp(-a * a) * (2 / _sqrt(pi)),),                  r"\operatorname{{erf}} {0}", "irrational")
power = arithmetic("power", np.power,   (lambda g, y, a, b: g * b * power(a, where(equal(b, 0), 1, b - 1)),
                                         lambda g, y, a, b: g * y * log(where(equal(a, 0), 1, a))),            r"{0}^{{{1}}}", "irrational", low=0.5)
abs_ = arithmetic("abs", lambda a, slope_at_zero=0: np.abs(a),
                  (lambda g, y, a, slope_at_zero=0: g * sign(a, at_zero=slope_at_zero),),                      r"\left|{0}\right|", "masks", low=0.5, ufunc=np.abs)
sign = arithmetic("sign", arrays.sign,  (None,),                                                               r"\operatorname{{sign}} {0}")
order = arithmetic("order", arrays.order, (None, None),                                                        r"\operatorname{{sign}}({0} - {1})")
greater = comparison("greater", np.greater,                                                                    r"[{0} > {1}]")
less = comparison("less", np.less,                                                                             r"[{0} < {1}]")
greater_equal = comparison("greater_equal", np.greater_equal,                                                  r"[{0} \ge {1}]")
less_equal = comparison("less_equal", np.less_equal,                                                           r"[{0} \le {1}]")
equal = comparison("equal", np.equal,                                                                          r"[{0} = {1}]")
not_equal = comparison("not_equal", np.not_equal,                                                              r"[{0} \ne {1}]")
where = row("where", np.where,          (None, lambda g, y, c, a, b: where(c, g, 0),  lambda g, y, c, a, b: where(c, 0, g)),
            r"{1} \text{{ if }} {0} \text{{ else }} {2}", "arithmetic",
            lambda rng: ([rng.random((2, 3)) < 0.5, rng.normal(size=(2, 3)), rng.normal(size=(2, 3))], {}), align=select, traits="masks")

# ---- rows with a definition: the forward is exact, gradient, drawing and expansion are the definition's

_SLOPE = {"split": 0, "first": 1}     # the slope of |x - y| at x = y; for minimum it enters with the other sign

def defined(name: str, forward: Callable[..., Any], latex: str, definition: Callable[..., Any], traits: str, **more: Any) -> Primitive:
    return row(name, forward, (), latex, "arithmetic", on((2, 3), (2, 3)), align=agree, definition=definition, traits=traits, **more)

def _apart(x: Any, y: Any, ties: str = "split") -> Any:
    """Only the order of x and y decides the slope: (sign of x against y, 0) has it without rounding or infinities."""
    return order(x, y), 0

def _greatest(x: Any, y: Any) -> Any:
    """log(e^x + e^y), shifted by the larger of the two so that nothing overflows; the shift cancels in every
    derivative."""
    m = stop_gradient(maximum(x, y))
    return m + log(exp(x - m) + exp(y - m))

maximum = defined("maximum", lambda x, y, ties="split": arrays.extreme(np.maximum, x, y), r"\max({0}, {1})",
                  lambda x, y, ties="split": (x + y + abs_(x - y, slope_at_zero=_SLOPE[ties])) / 2, "masks", at=_apart, ufunc=np.maximum)
minimum = defined("minimum", lambda x, y, ties="split": arrays.extreme(np.minimum, x, y), r"\min({0}, {1})",
                  lambda x, y, ties="split": (x + y - abs_(x - y, slope_at_zero=-_SLOPE[ties])) / 2, "masks", at=_apart, ufunc=np.minimum)
logaddexp = defined("logaddexp", np.logaddexp, r"\ln(e^{{{0}}} + e^{{{1}}})", _greatest, "irrational")

# ---- wiring: no arithmetic, only who reads whom; linear, adjoints side by side

def wiring(name: str, forward: Callable[..., Any], vjp: Callable[..., Any], latex: str, example: Any, traits: str = "", rest: tuple[None, ...] = ()) -> Primitive:
    return row(name, forward, (vjp, *rest), latex, "wiring", example, linear=(0,), traits=traits)

def _parts(g: Any, sizes: list[int], axis: int) -> list[Any]:
    """g cut along ``axis`` into parts of these sizes, each a slice that knows where it begins and ends."""
    ends = list(accumulate(sizes))
    return [index(g, key=(*(slice(None),) * axis, slice(end - n, end))) for n, end in zip(sizes, ends, strict=True)]

def _indexed(*shape: int, **params: Any) -> Any:
    return lambda rng: ([rng.normal(size=shape), np.array([[2, 0], [2, 1]])], params)

identity      = wiring("identity", lambda a: a,                   lambda g, y, a: g,                                     r"{0}", on((2, 3)), "rearranges")
stop_gradient = row("stop_gradient", lambda a: a, (None,),                                                               r"{0}", "wiring", on((2, 3)))
cast          = wiring("cast", arrays.cast,                       lambda g, y, a, dtype: cast(g, dtype=a.dtype),         r"{0}", on((2, 3), dtype=np.dtype(np.float64)), "rearranges copies")
reshape       = wiring("reshape", lambda a, shape: np.reshape(a, shape), lambda g, y, a, shape: reshape(g, shape=a.shape),      r"\operatorname{{reshape}} {0}", on((2, 3), shape=(3, 2)), "rearranges")
permute_dims  = wiring("permute_dims", np.transpose,              lambda g, y, a, axes: permute_dims(g, axes=tuple(map(int, np.argsort(axes)))), r"{0}^{{\top}}", on((2, 3, 1), axes=(1, 2, 0)), "rearranges")
flip          = wiring("flip", np.flip,                           lambda g, y, a, axis: flip(g, axis=axis),              r"\operatorname{{flip}} {0}", on((2, 3), axis=(0, 1)), "rearranges")
broadcast_to  = wiring("broadcast_to", np.broadcast_to,           lambda g, y, a, shape: sum_to(g, shape=a.shape),       r"{0}", on((2, 1), shape=(3, 2, 3)))
sum_to        = wiring("sum_to", arrays.sum_to,                   lambda g, y, a, shape: broadcast_to(g, shape=a.shape), r"\textstyle\sum {0}", on((3, 2, 3), shape=(2, 1)), "adds")
pad           = wiring("pad", arrays.pad,                         lambda g, y, a, width: crop(g, width=width),           r"\operatorname{{pad}} {0}", on((2, 3), width=((1, 0), (2, 1))), "copies")
crop          = wiring("crop", arrays.crop,                       lambda g, y, a, width: pad(g, width=width),            r"\operatorname{{crop}} {0}", on((4, 5), width=((1, 0), (2, 1))))
index         = wiring("index", lambda a, key: a[key],            lambda g, y, a, key: scatter(g, key=key, shape=a.shape), r"{0}_{{[\,]}}", on((4, 5), key=(slice(None, None, 2), 3)))
scatter       = wiring("scatter", arrays.scatter,                 lambda g, y, a, key, shape: index(g, key=key),         r"\operatorname{{scatter}} {0}", on((2,), key=(slice(None, None, 2), 3), shape=(4, 5)), "copies")
take          = wiring("take", np.take,                           lambda g, y, a, i, axis: scatter_add(g, i, axis=axis, size=a.shape[axis]), r"{0}_{{{1}}}", _indexed(3, 2, axis=0), "copies", (None,))
scatter_add   = wiring("scatter_add", arrays.scatter_add,         lambda g, y, a, i, axis, size: take(g, i, axis=axis),  r"\operatorname{{scatter}} {0}", _indexed(2, 2, 2, axis=0, size=3), "adds", (None,))
windows       = wiring("windows", arrays.windows,                 lambda g, y, a, axes, window, stride, dilation: overlap_add(g, axes=axes, size=tuple(a.shape[i] for i in axes), stride=stride, dilation=dilation),
                       r"\operatorname{{windows}} {0}", on((1, 5, 6, 2), axes=(1, 2), window=(2, 3), stride=(2, 1), dilation=(1, 2)))
overlap_add   = wiring("overlap_add", arrays.overlap_add,         lambda g, y, a, axes, size, stride, dilation: windows(g, axes=axes, window=a.shape[axes[-1] + 1:][:len(axes)], stride=stride, dilation=dilation),
                       r"\operatorname{{overlap\_add}} {0}", on((1, 2, 2, 2, 3, 2), axes=(1, 2), size=(5, 6), stride=(2, 1), dilation=(1, 2)), "adds")
concat        = row("concat", lambda *xs, axis: np.concatenate(xs, axis=axis),
                    lambda g, y, *xs, axis: _parts(g, [x.shape[axis] for x in xs], axis),
                    r"\operatorname{{concat}} {0}", "wiring", on((2, 3), (2, 1), axis=1), traits="copies")

# ---- sum and contract

sum_ = row("sum", lambda a, axis, keepdims=False: np.sum(a, axis=axis, keepdims=keepdims),
           (lambda g, y, a, axis, keepdims=False: broadcast_to(reshape(g, shape=keepdims_shape(a.shape, axis)), shape=a.shape),),
           r"\textstyle\sum {0}", "sum", on((2, 3, 2), axis=(0, 2)), linear=(0,), traits="adds")

def _transposed(spec: str, k: int) -> str:
    """The contraction that pulls a cotangent back to operand k: result with the other operand, onto k's letters."""
    operands, result = spec.split("->")
    letters = operands.split(",")
    return f"{result},{letters[1 - k]}->{letters[k]}"

contract = row("contract", arrays.contract,
               (lambda g, y, a, b, spec: contract(g, b, spec=_transposed(spec, 0)),
                lambda g, y, a, b, spec: contract(g, a, spec=_transposed(spec, 1))),
               r"\textstyle\sum {0} \, {1}", "contract", on((2, 3, 4), (2, 4, 5), spec="bij,bjk->ibk"), linear=(0, 1))
# fmt: on


def _bind_operators() -> None:
    """Tensor's operators are rows of the table; the reflected form swaps the operands."""
    binary = {"add": add, "sub": sub, "mul": mul, "truediv": div, "pow": power}
    comparisons = {"gt": greater, "lt": less, "ge": greater_equal, "le": less_equal, "eq": equal, "ne": not_equal}
    for name, primitive in (binary | comparisons).items():
        setattr(Tensor, f"__{name}__", lambda a, b, op=primitive: op(a, b) if _is_operand(b) else NotImplemented)
    for name, primitive in binary.items():
        setattr(Tensor, f"__r{name}__", lambda a, b, op=primitive: op(b, a) if _is_operand(b) else NotImplemented)
    for name, unary in {"neg": neg, "abs": abs_, "pos": lambda a: a}.items():
        setattr(Tensor, f"__{name}__", lambda a, op=unary: op(a))


def _is_operand(x: Any) -> bool:
    return isinstance(x, Tensor | np.ndarray | np.generic | Number | list | tuple)


_bind_operators()
