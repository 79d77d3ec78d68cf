"""The names of the Python array API standard (2024.12), for code that asks an array for its namespace.

``xp = t.__array_namespace__()`` is this module, so that a function written for any library of arrays computes, and is
differentiated, with Tensors.  A name is autoconv's own operation where an operand has a gradient, and NumPy's function
of that name where none has one (whole numbers, truth values, constants); the result is a Tensor in both cases.  What has
no gradient anywhere (bits, comparisons, indices) is a constant, and so is what these functions create, as in PyTorch:
inputs are made by ``ac.tensor``.  docs/array_api.md says what is not there, and why.

Source: https://data-apis.org/array-api/2024.12/
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import functional as ac
from . import primitives as p
from .dlpack import from_dlpack as from_dlpack
from .functional.methods import UFUNCS
from .operands import as_array, as_dtype, found
from .shapes import normalize_axis
from .tape import Tensor

__array_api_version__ = "2024.12"
VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12")

e, inf, nan, newaxis, pi = np.e, np.inf, np.nan, None, np.pi
bool = np.dtype(np.bool_)
int8, int16, int32, int64 = (np.dtype(f"int{n}") for n in (8, 16, 32, 64))
uint8, uint16, uint32, uint64 = (np.dtype(f"uint{n}") for n in (8, 16, 32, 64))
float32, float64 = np.dtype(np.float32), np.dtype(np.float64)

# ---- how a name is made of two functions


def _plain(x: Any) -> Any:
    return x.value if isinstance(x, Tensor) else x


def _constant(value: Any) -> Any:
    return Tensor(np.array(value), constant=True)


def _lifted(y: Any) -> Tensor:
    return y if isinstance(y, Tensor) else _constant(y)


def _trained(*xs: Any) -> Any:
    """Whether one of these has a gradient."""
    return builtins.any(isinstance(x, Tensor) and not x.constant for x in xs)


def _needs_tensors(name: str, *xs: Any) -> None:
    for x in xs:
        if not isinstance(x, Tensor | int | float | np.bool_):
            raise TypeError(f"{name}: the array API computes with Tensors, found {found(x)}; xp.asarray makes one")
    if not builtins.any(isinstance(x, Tensor) for x in xs):
        raise TypeError(f"{name}: one operand must be a Tensor, found {' and '.join(map(found, xs))}")


def _unary(name: str, numpys: Callable[..., Any], ours: Callable[..., Any] | None = None) -> Any:
    def function(x: Any, /) -> Tensor:
        _needs_tensors(name, x)
        return _lifted(ours(x)) if ours and not x.constant else _constant(numpys(x.value))

    return _named(function, name)


def _binary(name: str, numpys: Callable[..., Any], ours: Callable[..., Any] | None = None) -> Any:
    def function(x1: Any, x2: Any, /) -> Tensor:
        _needs_tensors(name, x1, x2)
        return _lifted(ours(x1, x2)) if ours and _trained(x1, x2) else _constant(numpys(_plain(x1), _plain(x2)))

    return _named(function, name)


def _named(function: Any, name: str) -> Any:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"``{name}``, element by element, as the array API standard has it."
    return function


def _acosh(x: Any) -> Any:
    """ln(x + sqrt(x^2 - 1)), by d = x - 1, which keeps its digits near 1."""
    d = x - 1
    return p.log1p(d + p.sqrt(d) * p.sqrt(d + 2))


def _asinh(x: Any) -> Any:
    """ln(x + sqrt(x^2 + 1)), of the number without its sign."""
    side = np.copysign(np.ones(x.shape, x.dtype), x.value)
    a = x * side
    finite = p.where(np.isfinite(a.value), a, 1)
    return p.log1p(a + a * (finite / (1 + ac.hypot(finite, 1)))) * side


def _atanh(x: Any) -> Any:
    return (p.log1p(x) - p.log1p(-x)) / 2


def _copysign(x: Any, y: Any) -> Any:
    """x, with the other sign where y's is the other one."""
    return p.where(np.signbit(_plain(x)) == np.signbit(_plain(y)), x, negative(_lifted(x))).astype(result_type(x, y))


def _nextafter(x: Any, y: Any) -> Any:
    """The next number, which moves as x does."""
    value = np.nextafter(_plain(x), _plain(y))
    return p.where(np.isfinite(_plain(x)), x - ac.stop_gradient(x), 0).astype(value.dtype) + _constant(value)


# ---- elementwise: the standard's name, NumPy's function, and what records it (None: it has no gradient)

# fmt: off
abs          = _unary("abs",          np.abs,         ac.abs)
acos         = _unary("acos",         np.arccos,      ac.acos)
acosh        = _unary("acosh",        np.arccosh,     _acosh)
add          = _binary("add",         np.add,         p.add)
asin         = _unary("asin",         np.arcsin,      ac.asin)
asinh        = _unary("asinh",        np.arcsinh,     _asinh)
atan         = _unary("atan",         np.arctan,      ac.atan)
atan2        = _binary("atan2",       np.arctan2,     p.atan2)
atanh        = _unary("atanh",        np.arctanh,     _atanh)
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
    _needs_tensors("clip", x)
    if _trained(x, min, max):
        y: Tensor = ac.clip(x, min, max)
        return y.astype(x.dtype)
    if min is None and max is None:
        return x  # type: ignore[no-any-return]
    return _constant(np.clip(x.value, _plain(min), _plain(max)).astype(x.dtype))


# ---- arrays of given shapes


def _known(dtype: Any, what: str) -> Any:
    return None if dtype is None else as_dtype(dtype, what)


def _here(device: Any, what: str) -> None:
    if device not in (None, "cpu"):
        raise ValueError(f"{what}: device={device!r}; a Tensor is in the memory of the 'cpu'")


def asarray(obj: Any, /, *, dtype: Any = None, device: Any = None, copy: Any = None) -> Tensor:
    """A constant of nested lists, numbers or an array; a Tensor as it is, with its gradient, unless ``copy`` or
    ``dtype`` ask for another one.

    Raises ValueError for copy=False of anything but a Tensor of that dtype: a Tensor owns its memory.
    """
    _here(device, "asarray")
    dtype = _known(dtype, "asarray: dtype")
    if isinstance(obj, Tensor):
        same = dtype is None or obj.dtype == dtype
        if copy is False and not same:
            raise ValueError(f"asarray: copy=False, but {obj.dtype} becomes {dtype} only by a copy")
        moved = obj if same else obj.astype(dtype)
        return p.identity(moved) if copy else moved
    if copy is False:
        raise ValueError("asarray: copy=False, but a Tensor owns its memory; leave copy out")
    return Tensor(as_array(obj, dtype, "asarray"), constant=True)


def _made(name: str, value: Any, device: Any) -> Tensor:
    _here(device, name)
    return _constant(value)


def arange(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Evenly spaced numbers from ``start`` (0, if there is no ``stop``) up to but without ``stop``."""
    start, stop = (0, start) if stop is None else (start, stop)
    return _made("arange", np.arange(start, stop, step, dtype=_known(dtype, "arange: dtype")), device)


def empty(shape: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """An array that is to be filled: of zeros, since nothing here is left undefined."""
    return _made("empty", np.zeros(shape, _known(dtype, "empty: dtype") or float), device)


def empty_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """``empty`` with the shape of x, and its dtype."""
    return _made("empty_like", np.zeros(x.shape, _known(dtype, "empty_like: dtype") or x.dtype), device)


def eye(n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Any = None, device: Any = None) -> Tensor:
    """Ones on the k-th diagonal, zeros elsewhere."""
    return _made("eye", np.eye(n_rows, n_cols, k, _known(dtype, "eye: dtype") or float), device)


def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """``fill_value`` everywhere, in its dtype unless another is given."""
    return _made("full", np.full(shape, fill_value, _known(dtype, "full: dtype")), device)


def full_like(x: Any, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """``full`` with the shape of x, and its dtype."""
    return _made("full_like", np.full(x.shape, fill_value, _known(dtype, "full_like: dtype") or x.dtype), device)


def linspace(
    start: Any, stop: Any, /, num: int, *, dtype: Any = None, device: Any = None, endpoint: Any = True
) -> Tensor:
    """``num`` evenly spaced numbers from ``start`` to ``stop``, which is one of them unless ``endpoint`` is False."""
    values = np.linspace(start, stop, num, endpoint=endpoint, dtype=_known(dtype, "linspace: dtype"))
    return _made("linspace", values, device)


def ones(shape: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Ones."""
    return _made("ones", np.ones(shape, _known(dtype, "ones: dtype") or float), device)


def ones_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """``ones`` with the shape of x, and its dtype."""
    return _made("ones_like", np.ones(x.shape, _known(dtype, "ones_like: dtype") or x.dtype), device)


def zeros(shape: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Zeros."""
    return _made("zeros", np.zeros(shape, _known(dtype, "zeros: dtype") or float), device)


def zeros_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """``zeros`` with the shape of x, and its dtype."""
    return _made("zeros_like", np.zeros(x.shape, _known(dtype, "zeros_like: dtype") or x.dtype), device)


def meshgrid(*arrays: Any, indexing: str = "xy") -> list[Tensor]:
    """Each of the vectors spread over the grid that all of them span; "xy": the first along axis 1, "ij": along axis 0."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing={indexing!r}; use 'xy' or 'ij'")
    n = len(arrays)
    places = [i if indexing == "ij" or n < 2 or i > 1 else 1 - i for i in range(n)]
    shape = [0] * n
    for x, place in zip(arrays, places, strict=True):
        shape[place] = x.size
    return [
        broadcast_to(ac.reshape(x, tuple(x.size if i == place else 1 for i in range(n))), tuple(shape))
        for x, place in zip(arrays, places, strict=True)
    ]


def tril(x: Any, /, *, k: int = 0) -> Tensor:
    """Zeros above the k-th diagonal."""
    return _lifted(ac.tril(x, k)) if _trained(x) else _constant(np.tril(x.value, k))


def triu(x: Any, /, *, k: int = 0) -> Tensor:
    """Zeros below the k-th diagonal."""
    return _lifted(ac.triu(x, k)) if _trained(x) else _constant(np.triu(x.value, k))


# ---- dtypes


def astype(x: Any, dtype: Any, /, *, copy: Any = True, device: Any = None) -> Tensor:
    """x in another dtype; a floating-point number becomes a whole one without a gradient."""
    _here(device, "astype")
    dtype = as_dtype(dtype, "astype: dtype")
    if x.dtype == dtype:
        return p.identity(x) if copy else x
    return ac.astype(x, dtype)


def can_cast(from_: Any, to: Any, /) -> Any:
    """Whether values of one dtype (or array) fit another dtype by the standard's promotion."""
    source = from_.dtype if isinstance(from_, Tensor) else from_
    return np.can_cast(source, to)


class finfo_object(NamedTuple):  # noqa: N801 (the standard's name)
    """The limits of a floating-point dtype."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: Any


class iinfo_object(NamedTuple):  # noqa: N801 (the standard's name)
    """The limits of a whole-number dtype."""

    bits: int
    max: int
    min: int
    dtype: Any


def _dtype_of(type: Any) -> Any:
    return type.dtype if isinstance(type, Tensor) else as_dtype(type, "dtype")


def finfo(type: Any, /) -> finfo_object:
    """bits, eps, max, min, smallest_normal and dtype of a floating-point dtype, or of an array's."""
    i = np.finfo(_dtype_of(type))
    return finfo_object(i.bits, float(i.eps), float(i.max), float(i.min), float(i.smallest_normal), i.dtype)


def iinfo(type: Any, /) -> iinfo_object:
    """bits, max, min and dtype of a whole-number dtype, or of an array's."""
    i = np.iinfo(_dtype_of(type))
    return iinfo_object(i.bits, int(i.max), int(i.min), i.dtype)


def isdtype(dtype: Any, kind: Any) -> Any:
    """Whether a dtype is of a kind: "bool", "signed integer", "unsigned integer", "integral", "real floating",
    "complex floating", "numeric", another dtype, or one of several."""
    return np.isdtype(dtype, kind)


def result_type(*arrays_and_dtypes: Any) -> Any:
    """The dtype to which these are promoted."""
    return np.result_type(*[x.dtype if isinstance(x, Tensor) else x for x in arrays_and_dtypes])


# ---- linear algebra


def matmul(x1: Any, x2: Any, /) -> Tensor:
    """The matrix product over the last two axes."""
    _needs_tensors("matmul", x1, x2)
    return _lifted(ac.matmul(x1, x2)) if _trained(x1, x2) else _constant(np.matmul(x1.value, x2.value))


def matrix_transpose(x: Any, /) -> Tensor:
    """The last two axes exchanged."""
    if x.ndim < 2:
        raise ValueError(f"matrix_transpose: shape {x.shape} has fewer than two axes")
    return ac.swapaxes(x, -1, -2)


def tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Tensor:
    """The sum of products over ``axes``, as many or as named."""
    if _trained(x1, x2):
        return _lifted(ac.tensordot(x1, x2, axes))
    return _constant(np.tensordot(x1.value, x2.value, axes))


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Tensor:
    """The sum of products along one axis."""
    if not -builtins.min(x1.ndim, x2.ndim) <= axis < 0:
        raise ValueError(f"vecdot: axis={axis}, counted from the end, for shapes {x1.shape} and {x2.shape}")
    if x1.shape[axis] != x2.shape[axis]:
        raise ValueError(f"vecdot: {x1.shape[axis]} and {x2.shape[axis]} numbers along axis {axis}; they must be as many")
    product = multiply(x1, x2)
    return sum(product, axis=axis, dtype=product.dtype)


# ---- shapes


def broadcast_arrays(*arrays: Any) -> list[Tensor]:
    """Each array repeated to the shape that all of them have together."""
    shape = np.broadcast_shapes(*[x.shape for x in arrays])
    return [broadcast_to(x, shape) for x in arrays]


def broadcast_to(x: Any, /, shape: Any) -> Tensor:
    """x repeated along axes of size 1 and new leading ones."""
    return ac.broadcast_to(x, tuple(shape))


def concat(arrays: Any, /, *, axis: int | None = 0) -> Tensor:
    """The arrays one after the other along ``axis``; None: flattened."""
    parts = list(arrays) if axis is not None else [ac.reshape(x, (-1,)) for x in arrays]
    return ac.concat(parts, 0 if axis is None else axis)


def expand_dims(x: Any, /, axis: int) -> Tensor:
    """x with a new axis of size 1."""
    if not isinstance(axis, tuple) and not -x.ndim - 1 <= axis <= x.ndim:
        raise IndexError(f"expand_dims: axis {axis} for {x.ndim} axes; use {-x.ndim - 1} .. {x.ndim}")
    return ac.expand_dims(x, axis)


def flip(x: Any, /, *, axis: Any = None) -> Tensor:
    """x in reverse order along ``axis``; None: along all."""
    return ac.flip(x, axis)


def moveaxis(x: Any, source: Any, destination: Any, /) -> Tensor:
    """Axes moved to other places, the rest in their order."""
    return ac.moveaxis(x, source, destination)


def permute_dims(x: Any, /, axes: Any) -> Tensor:
    """The axes in another order."""
    return ac.transpose(x, tuple(axes))


def repeat(x: Any, repeats: Any, /, *, axis: int | None = None) -> Tensor:
    """Each slice along ``axis`` so many times, one number for all or one for each; None: of the flattened x."""
    x = ac.reshape(x, (-1,)) if axis is None else x
    at = normalize_axis(0 if axis is None else axis, x.ndim, "repeat")
    counts = repeats.value if isinstance(repeats, Tensor) else repeats
    return ac.take(x, np.repeat(np.arange(x.shape[at]), counts), at)


def reshape(x: Any, /, shape: Any, *, copy: Any = None) -> Tensor:
    """The same elements in another shape; -1 for the size that follows from the others."""
    return ac.reshape(x, tuple(shape))


def roll(x: Any, /, shift: Any, *, axis: Any = None) -> Tensor:
    """Elements moved along ``axis``, from the end back to the beginning; None: of the flattened x."""
    if axis is None:
        return ac.reshape(_rolled(ac.reshape(x, (-1,)), shift, 0), x.shape)
    shifts, axes = (s if isinstance(s, Sequence) else (s,) for s in (shift, axis))
    for by, at in zip(shifts * (len(axes) // len(shifts)), axes, strict=True):
        x = _rolled(x, by, at)
    return x  # type: ignore[no-any-return]


def _rolled(x: Any, shift: int, axis: int) -> Tensor:
    return ac.take(x, np.roll(np.arange(x.shape[axis]), shift), normalize_axis(axis, x.ndim, "roll"))


def squeeze(x: Any, /, axis: Any) -> Tensor:
    """x without the axes of size 1 that are named."""
    return ac.squeeze(x, axis)


def stack(arrays: Any, /, *, axis: int = 0) -> Tensor:
    """The arrays side by side along a new axis."""
    return ac.stack(list(arrays), axis)


def tile(x: Any, repetitions: Any, /) -> Tensor:
    """Whole copies of x side by side."""
    return ac.tile(x, tuple(repetitions))


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices of x along ``axis``."""
    return tuple(ac.unbind(x, axis))


# ---- elements


def take(x: Any, indices: Any, /, *, axis: int | None = None) -> Tensor:
    """The slices of x at ``indices`` along ``axis``."""
    return ac.take(x, indices, axis)


def take_along_axis(x: Any, indices: Any, /, *, axis: int = -1) -> Tensor:
    """One choice of index along ``axis`` for each place."""
    return ac.take_along_axis(x, indices, axis)


def where(condition: Any, x1: Any, x2: Any, /) -> Tensor:
    """x1 where the condition holds, x2 elsewhere."""
    if _trained(x1, x2):
        return p.where(condition, x1, x2)
    return _constant(np.where(condition.value, _plain(x1), _plain(x2)))


def argmax(x: Any, /, *, axis: int | None = None, keepdims: Any = False) -> Tensor:
    """The index of the largest element."""
    return _constant(np.argmax(x.value, axis, keepdims=keepdims))


def argmin(x: Any, /, *, axis: int | None = None, keepdims: Any = False) -> Tensor:
    """The index of the smallest element."""
    return _constant(np.argmin(x.value, axis, keepdims=keepdims))


def count_nonzero(x: Any, /, *, axis: Any = None, keepdims: Any = False) -> Tensor:
    """How many elements are not 0."""
    return _constant(np.count_nonzero(x.value, axis, keepdims=keepdims))


def nonzero(x: Any, /) -> tuple[Tensor, ...]:
    """The indices of the elements that are not 0, one array for each axis."""
    if not x.ndim:
        raise ValueError("nonzero: a Tensor without axes has no indices; reshape it to (1,) first")
    return tuple(_constant(i) for i in np.nonzero(x.value))


def searchsorted(x1: Any, x2: Any, /, *, side: Any = "left", sorter: Any = None) -> Tensor:
    """Where the elements of x2 belong in the sorted x1."""
    return _constant(np.searchsorted(x1.value, _plain(x2), side, _plain(sorter)))


def argsort(x: Any, /, *, axis: int = -1, descending: Any = False, stable: Any = True) -> Tensor:
    """The indices that sort x along ``axis``; equal elements stay in their order."""
    return _lifted(ac.argsort(x, axis, descending))


def sort(x: Any, /, *, axis: int = -1, descending: Any = False, stable: Any = True) -> Tensor:
    """x in order along ``axis``."""
    return ac.sort(x, axis, descending)


class unique_all_result(NamedTuple):  # noqa: N801 (the standard's name)
    """What ``unique_all`` returns."""

    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


class unique_counts_result(NamedTuple):  # noqa: N801 (the standard's name)
    """What ``unique_counts`` returns."""

    values: Any
    counts: Any


class unique_inverse_result(NamedTuple):  # noqa: N801 (the standard's name)
    """What ``unique_inverse`` returns."""

    values: Any
    inverse_indices: Any


def unique_all(x: Any, /) -> unique_all_result:
    """The different elements in order, where each stands first, which of them every element is, and how often."""
    _, first, inverse, counts = np.unique(x.value, True, True, True, equal_nan=False)
    values = ac.take(x, first)
    return unique_all_result(values, _constant(first), _constant(inverse.reshape(x.shape)), _constant(counts))


def unique_counts(x: Any, /) -> unique_counts_result:
    """The different elements in order, and how often each is there."""
    every = unique_all(x)
    return unique_counts_result(every.values, every.counts)


def unique_inverse(x: Any, /) -> unique_inverse_result:
    """The different elements in order, and which of them every element is."""
    every = unique_all(x)
    return unique_inverse_result(every.values, every.inverse_indices)


def unique_values(x: Any, /) -> Tensor:
    """The different elements in order."""
    return unique_all(x).values  # type: ignore[no-any-return]


# ---- reductions


def _cast(x: Any, dtype: Any, what: str) -> Any:
    return x if dtype is None else ac.astype(x, _known(dtype, what))


def sum(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: Any = False) -> Tensor:
    """The sum along ``axis``; whole numbers are added in a wide dtype."""
    if not _trained(x):
        return _constant(np.sum(x.value, axis, _known(dtype, "sum: dtype"), keepdims=keepdims))
    return ac.sum(_cast(x, dtype, "sum: dtype"), axis, keepdims)


def prod(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: Any = False) -> Tensor:
    """The product along ``axis``; whole numbers are multiplied in a wide dtype."""
    if not _trained(x):
        return _constant(np.prod(x.value, axis, _known(dtype, "prod: dtype"), keepdims=keepdims))
    return ac.prod(_cast(x, dtype, "prod: dtype"), axis, keepdims)


def max(x: Any, /, *, axis: Any = None, keepdims: Any = False) -> Tensor:
    """The largest element along ``axis``."""
    return ac.max(x, axis, keepdims) if _trained(x) else _constant(np.max(x.value, axis, keepdims=keepdims))


def min(x: Any, /, *, axis: Any = None, keepdims: Any = False) -> Tensor:
    """The smallest element along ``axis``."""
    return ac.min(x, axis, keepdims) if _trained(x) else _constant(np.min(x.value, axis, keepdims=keepdims))


def mean(x: Any, /, *, axis: Any = None, keepdims: Any = False) -> Tensor:
    """The mean along ``axis``."""
    return ac.mean(x, axis, keepdims) if _trained(x) else _constant(np.mean(x.value, axis, keepdims=keepdims))


def var(x: Any, /, *, axis: Any = None, correction: float = 0.0, keepdims: Any = False) -> Tensor:
    """The mean of the squared distances from the mean, with n - correction in place of n."""
    if not _trained(x):
        return _constant(np.var(x.value, axis, ddof=correction, keepdims=keepdims))
    return ac.var(x, axis, keepdims) * _corrected(x, axis, correction)


def std(x: Any, /, *, axis: Any = None, correction: float = 0.0, keepdims: Any = False) -> Tensor:
    """The square root of ``var``."""
    if not _trained(x):
        return _constant(np.std(x.value, axis, ddof=correction, keepdims=keepdims))
    return ac.std(x, axis, keepdims) * np.sqrt(_corrected(x, axis, correction)).item()


def _corrected(x: Any, axis: Any, correction: float) -> float:
    """n / (n - correction), where n elements are taken together."""
    n = np.mean(np.ones(x.shape), axis).size
    n = x.size // n if n else 0
    return float(n / (n - correction)) if n != correction else float("nan")


def all(x: Any, /, *, axis: Any = None, keepdims: Any = False) -> Tensor:
    """Whether no element along ``axis`` is 0."""
    return _constant(np.all(x.value, axis, keepdims=keepdims))


def any(x: Any, /, *, axis: Any = None, keepdims: Any = False) -> Tensor:
    """Whether some element along ``axis`` is not 0."""
    return _constant(np.any(x.value, axis, keepdims=keepdims))


def cumulative_sum(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: Any = False) -> Tensor:
    """Running sums along ``axis``, with a 0 before them if ``include_initial``."""
    return _running("cumulative_sum", ac.cumsum, np.cumsum, x, axis, dtype, include_initial)


def cumulative_prod(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: Any = False) -> Tensor:
    """Running products along ``axis``, with a 1 before them if ``include_initial``."""
    return _running("cumulative_prod", ac.cumprod, np.cumprod, x, axis, dtype, include_initial)


def _running(name: str, ours: Any, numpys: Any, x: Any, axis: int | None, dtype: Any, initial: Any) -> Tensor:
    if axis is None and x.ndim != 1:
        raise ValueError(f"{name}: shape {x.shape} has {x.ndim} axes; name the one with axis=")
    at = normalize_axis(0 if axis is None else axis, x.ndim, name)
    dtype = _known(dtype, f"{name}: dtype")
    y: Tensor = ours(_cast(x, dtype, name), at) if _trained(x) else _constant(numpys(x.value, at, dtype))
    if not initial:
        return y
    first = np.full((*x.shape[:at], 1, *x.shape[at + 1 :]), name == "cumulative_prod", y.dtype)
    return ac.concat([first, y], at)


def diff(x: Any, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Tensor:
    """The differences of neighbours along ``axis``, n times over, with arrays put before and behind it first."""
    at = normalize_axis(axis, x.ndim, "diff")
    parts = [part for part in (prepend, x, append) if part is not None]
    x = ac.concat(parts, at) if len(parts) > 1 else x
    for _ in range(n):
        before, behind = ([slice(None)] * x.ndim for _ in range(2))
        before[at], behind[at] = slice(None, -1), slice(1, None)
        x = (not_equal if x.dtype == bool else subtract)(x[tuple(behind)], x[tuple(before)])
    return x  # type: ignore[no-any-return]


# ---- what there is


class _Info:
    """What the standard lets one ask of this namespace."""

    def capabilities(self) -> dict[str, Any]:
        """Masks as indices, and shapes that depend on numbers, are there; arrays have up to 64 axes."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """The memory of the processor."""
        return "cpu"

    def devices(self) -> list[str]:
        """The memory of the processor alone."""
        return ["cpu"]

    def default_dtypes(self, *, device: Any = None) -> dict[str, Any]:
        """The dtypes that functions choose by themselves."""
        _here(device, "default_dtypes")
        return {"real floating": float64, "integral": np.dtype(int), "indexing": np.dtype(np.intp)}

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, Any]:
        """The dtypes, or those of a kind, as of ``isdtype``."""
        _here(device, "dtypes")
        every = {d.name: d for d in (bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64)}
        return {name: d for name, d in every.items() if kind is None or isdtype(d, kind)}


def __array_namespace_info__() -> _Info:
    """What this namespace has: capabilities, devices, dtypes."""
    return _Info()


# ---- what an array has


def _array_namespace(x: Tensor, /, *, api_version: str | None = None) -> Any:
    """This module: the names of the array API standard; ValueError for a version that it does not follow."""
    if api_version is not None and api_version not in VERSIONS:
        raise ValueError(f"__array_namespace__: api_version={api_version!r}; use one of {', '.join(VERSIONS)}, or None")
    return sys.modules[__name__]


def _to_device(x: Tensor, device: Any, /, *, stream: Any = None) -> Tensor:
    """x itself: a Tensor is in the memory of the CPU.  Raises ValueError for another device."""
    _here(device, "to_device")
    if stream is not None:
        raise ValueError(f"to_device: stream={stream!r}; the CPU has no streams")
    return x


def _index(x: Tensor) -> int:
    """A whole number as an index; TypeError for anything else."""
    if x.ndim or x.dtype.kind not in "iu":
        raise TypeError(f"index: {found(x)} is no whole number; only a Tensor of shape () and an integer dtype is one")
    return int(x.value)


def _operator(operation: Callable[..., Any], kinds: str, *, reflected: builtins.bool = False) -> Any:
    """An operator between Tensors of these kinds of dtypes, arrays and Python numbers; it refuses others."""

    def of_two(x: Tensor, other: Any) -> Any:
        if not isinstance(other, Tensor | int | float | np.ndarray | np.generic):
            return NotImplemented
        second = _lifted(np.asarray(other)) if isinstance(other, np.ndarray | np.generic) else other
        for one in (x, second):
            if isinstance(one, Tensor) and one.dtype.kind not in kinds:
                raise TypeError(f"{operation.__name__}: not defined for {found(one)}")
        return operation(second, x) if reflected else operation(x, second)

    return of_two


def bind() -> None:
    """Attach to Tensor what the standard wants of an array and no other file gives it."""
    attributes: dict[str, Any] = {
        "__array_namespace__": _array_namespace, "to_device": _to_device, "device": property(lambda x: "cpu"),
        "mT": property(matrix_transpose), "__index__": _index, "__invert__": lambda x: bitwise_invert(x),
    }  # fmt: skip
    bits, numbers = "iub", "iuf"
    for name, ufunc, operation, kinds in (
        ("floordiv", np.floor_divide, floor_divide, numbers), ("mod", np.remainder, remainder, numbers),
        ("and", np.bitwise_and, bitwise_and, bits), ("or", np.bitwise_or, bitwise_or, bits),
        ("xor", np.bitwise_xor, bitwise_xor, bits), ("lshift", np.left_shift, bitwise_left_shift, "iu"),
        ("rshift", np.right_shift, bitwise_right_shift, "iu"),
    ):  # fmt: skip
        both = attributes[f"__{name}__"] = _operator(operation, kinds)
        back = attributes[f"__r{name}__"] = _operator(operation, kinds, reflected=True)
        UFUNCS.setdefault(
            ufunc, lambda x, y, both=both, back=back: both(x, y) if isinstance(x, Tensor) else back(y, x)
        )
    for name, attribute in attributes.items():
        setattr(Tensor, name, attribute)


bind()
