"""The table's column for XLA: one function of JAX's arrays for each row.

``ROWS[name](*operands, **params)`` computes what the row's forward does to NumPy's arrays.  Operands are JAX's arrays
(or those of a trace); one that never changes is NumPy's, so that a row may look at its numbers.  Elementwise rows get
operands of one shape and dtype, as the table does.  float16 is added up in float32, and rounded once.

A row that refuses numbers (a place that is not there, a whole number to the power of -1) cannot raise here; it says so
by ``refuse(condition)``, and NumPy then runs the program and raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from ..shapes import Shape, broadcast_axes
from .library import jnp, lax

Row = Callable[..., Any]

# ---- what a row refuses

_refused: ContextVar[list[Any] | None] = ContextVar("autoconv_xla_refused", default=None)


def refuse(condition: Any) -> None:
    """Note that the numbers of this run are refused where ``condition`` (a truth value of the trace) holds."""
    noted = _refused.get()
    if noted is not None:
        noted.append(condition)


@contextmanager
def refusals() -> Iterator[list[Any]]:
    """The conditions that are noted inside."""
    noted: list[Any] = []
    token = _refused.set(noted)
    try:
        yield noted
    finally:
        _refused.reset(token)


# ---- elementwise


def _whole(x: Any) -> bool:
    return x.dtype.kind in "iub"


def _floor(x: Any) -> Any:
    return x if _whole(x) else jnp.floor(x)


def _remainder(a: Any, b: Any) -> Any:
    if _whole(a):
        return jnp.where(b == 0, 0, jnp.remainder(a, jnp.where(b == 0, 1, b))).astype(a.dtype)
    return jnp.remainder(a, b)


def _power(a: Any, b: Any) -> Any:
    if _whole(b):
        if b.dtype.kind == "i":
            refuse(jnp.any(b < 0))
        return jnp.power(a, b)
    return jnp.power(a, b)


def _xlogy(a: Any, b: Any) -> Any:
    nothing = (a == 0) & (b == b)
    return a * jnp.log(jnp.where(nothing, jnp.ones_like(b), b))


def _multiply_no_nan(a: Any, b: Any) -> Any:
    return jnp.where(b == 0, jnp.zeros_like(a), a * b)


def _softsign(a: Any) -> Any:
    beyond = jnp.isinf(a)
    return jnp.where(beyond, jnp.sign(a), a / (1 + jnp.abs(jnp.where(beyond, jnp.zeros_like(a), a))))


def _abs(a: Any, slope_at_zero: int = 0) -> Any:
    return jnp.abs(a)


def _sign(a: Any, at_zero: int = 0) -> Any:
    s = jnp.sign(a)
    return jnp.where(a == 0, jnp.full_like(a, at_zero), s) if at_zero else jnp.where(a == 0, jnp.zeros_like(a), s)


def _order(a: Any, b: Any) -> Any:
    above, below = a > b, a < b
    if a.dtype.kind == "f":
        above, below = above | ((a != a) & (b == b)), below | ((b != b) & (a == a))
    return above.astype(a.dtype) - below.astype(a.dtype)


def _slope(g: Any, a: Any, b: Any, less: float, tie: float, more: float, nan: str = "more") -> Any:
    """g times one of three numbers, selected: a NaN beside a number counts as more (or as less)."""
    above, below = a > b, a < b
    if a.dtype.kind == "f":  # "not at least b", where a is a number, takes a NaN of b in
        numbers = (a == a, b == b) if nan == "more" else (b == b, a == a)
        above, below = ~(a <= b) & numbers[1], ~(a >= b) & numbers[0]
    times = lambda c: jnp.zeros_like(g) if c == 0 else g if c == 1 else g * jnp.asarray(c, g.dtype)
    if less == tie:
        return jnp.where(above, times(more), times(less))
    if tie == more:
        return jnp.where(below, times(less), times(more))
    return jnp.where(above, times(more), jnp.where(below, times(less), times(tie)))


def _maximum(a: Any, b: Any, ties: str = "split") -> Any:
    return jnp.maximum(a, b)


def _minimum(a: Any, b: Any, ties: str = "split") -> Any:
    return jnp.minimum(a, b)


# fmt: off
ELEMENTWISE: dict[str, Row] = {
    "add": lambda a, b: a | b if a.dtype == bool else a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda a: -a,
    "exp": lambda a: jnp.exp(a),
    "log": lambda a: jnp.log(a),
    "expm1": lambda a: jnp.expm1(a),
    "log1p": lambda a: jnp.log1p(a),
    "sqrt": lambda a: jnp.sqrt(a),
    "tanh": lambda a: jnp.tanh(a),
    "sin": lambda a: jnp.sin(a),
    "cos": lambda a: jnp.cos(a),
    "erf": lambda a: lax.erf(a),
    "erfc": lambda a: lax.erfc(a),
    "softsign": _softsign,
    "atan2": lambda a, b: jnp.arctan2(a, b),
    "floor": _floor,
    "remainder": _remainder,
    "power": _power,
    "xlogy": _xlogy,
    "multiply_no_nan": _multiply_no_nan,
    "logaddexp": lambda a, b: jnp.logaddexp(a, b),
    "abs": _abs,
    "sign": _sign,
    "order": _order,
    "greater": lambda a, b: a > b,
    "less": lambda a, b: a < b,
    "greater_equal": lambda a, b: a >= b,
    "less_equal": lambda a, b: a <= b,
    "equal": lambda a, b: a == b,
    "not_equal": lambda a, b: a != b,
    "where": lambda c, a, b: jnp.where(c, a, b),
    "slope": _slope,
    "maximum": _maximum,
    "minimum": _minimum,
}
# fmt: on


# ---- wiring


def _flip(x: Any, axis: Any) -> Any:
    return jnp.flip(x, axis)


def _broadcast_to(x: Any, shape: Shape) -> Any:
    """Axes of 1 that become long are dropped first: as XLA has what a sum has left of them."""
    new = len(shape) - x.ndim
    kept = [d for d, n in enumerate(x.shape) if n == shape[new + d]]
    return lax.broadcast_in_dim(jnp.reshape(x, [x.shape[d] for d in kept]), shape, [new + d for d in kept])


def _pad(x: Any, width: Any) -> Any:
    return lax.pad(x, _zero(x), [(low, high, 0) for low, high in width])


def _crop(x: Any, width: Any) -> Any:
    ends = [n - high for n, (_, high) in zip(x.shape, width, strict=True)]
    return lax.slice(x, [low for low, _ in width], ends)


def _zero(x: Any) -> Any:
    return np.zeros((), x.dtype)


def _keys(key: Any, shape: Shape) -> list[Any] | None:
    """A key with one part for each axis (None for a new one), ellipsis spelled out; None if it holds arrays."""
    parts = list(key) if isinstance(key, tuple) else [key]
    if not all(x is None or x is Ellipsis or isinstance(x, slice | int | np.integer) for x in parts):
        return None
    if any(isinstance(x, bool) for x in parts):
        return None
    used = sum(x is not None and x is not Ellipsis for x in parts)
    spread = [slice(None)] * (len(shape) - used)
    at = next((i for i, x in enumerate(parts) if x is Ellipsis), len(parts))
    return [*parts[:at], *spread, *parts[at + 1 :]]


def _cuts(keys: list[Any], shape: Shape) -> tuple[list[int], list[int], list[int], list[int], Shape]:
    """Of a key without arrays: start, stop and step along each axis (steps made positive), the axes to be turned
    afterwards, and the shape that is left."""
    starts, stops, steps, turned, left = [], [], [], [], []
    axis = 0
    for part in keys:
        if part is None:
            left.append(1)
            continue
        n = shape[axis]
        if isinstance(part, slice):
            start, stop, step = part.indices(n)
            count = len(range(start, stop, step))
            if count == 0:
                start, stop, step = 0, 0, 1
            elif step < 0:
                start, stop, step = start + (count - 1) * step, start + 1, -step
                turned.append(axis)
            else:
                stop = start + (count - 1) * step + 1
            left.append(count)
        else:
            start = int(part) % n
            stop, step = start + 1, 1
        starts.append(start)
        stops.append(stop)
        steps.append(step)
        axis += 1
    return starts, stops, steps, turned, tuple(left)


def _index(x: Any, key: Any) -> Any:
    keys = _keys(key, x.shape)
    if keys is None:
        return jnp.asarray(x)[key]
    starts, stops, steps, turned, left = _cuts(keys, x.shape)
    y = lax.slice(x, starts, stops, steps)
    return jnp.reshape(lax.rev(y, turned) if turned else y, left)


def _scatter(x: Any, key: Any, shape: Shape) -> Any:
    """Zeros with x at ``key``: padding, between the cells as well, unless the key holds arrays."""
    keys = _keys(key, shape)
    if keys is None:
        return jnp.zeros(shape, x.dtype).at[key].set(x)
    if 0 in x.shape:
        return jnp.zeros(shape, x.dtype)
    starts, stops, steps, turned, _ = _cuts(keys, shape)
    cut = [len(range(*part)) for part in zip(starts, stops, steps, strict=True)]
    y = jnp.reshape(x, cut)
    y = lax.rev(y, turned) if turned else y
    widths = [(a, n - b, s - 1) for a, b, s, n in zip(starts, stops, steps, shape, strict=True)]
    return lax.pad(y, _zero(x), widths)


def _places(i: Any, size: int) -> Any:
    """Places along an axis, those that count from its end included; any other is refused."""
    if isinstance(i, np.ndarray):
        return np.where(i < 0, i + size, i)
    refuse(jnp.any((i < -size) | (i >= size)))
    return jnp.where(i < 0, i + size, i)


def _take(x: Any, i: Any, axis: int) -> Any:
    return jnp.take(x, _places(i, x.shape[axis]), axis=axis, mode="clip")


_OFTEN = 8  # times that a place is named, above which numbers are added one after the other


def _scatter_add(x: Any, i: Any, axis: int, size: int) -> Any:
    """Zeros with x added at places along an axis.  Of places that never change, each cell collects what it reads."""
    places, dtype = _places(i, size), x.dtype
    x = x.astype(added_in(dtype))
    shape = (*x.shape[:axis], size, *x.shape[axis + i.ndim :])
    if isinstance(places, np.ndarray) and places.size:
        counts = np.bincount(places.ravel(), minlength=size)
        if counts.max() <= _OFTEN:
            return _collected(x, places.ravel(), counts, axis, i.ndim, size).astype(dtype)
    key: Any = (*(slice(None),) * axis, places)
    return jnp.zeros(shape, x.dtype).at[key].add(x, mode="drop").astype(dtype)


def _collected(x: Any, places: np.ndarray, counts: np.ndarray, axis: int, ndim: int, size: int) -> Any:
    flat = jnp.reshape(x, (*x.shape[:axis], len(places), *x.shape[axis + ndim :]))
    widths = [(0, int(d == axis), 0) for d in range(flat.ndim)]
    flat = lax.pad(flat, _zero(x), widths)  # a zero for cells that nobody names so often
    order = np.argsort(places, kind="stable")
    rank = np.arange(len(places)) - (np.cumsum(counts) - counts)[places[order]]
    total = None
    for time in range(int(counts.max())):
        source = np.full(size, len(places))
        source[places[order][rank == time]] = order[rank == time]
        part = jnp.take(flat, source, axis=axis, mode="clip")
        total = part if total is None else total + part
    return total


_MOST_TAPS = 128  # cells of a window that are taken out one after the other; those of more are gathered


def _windows(x: Any, axes: Shape, window: Shape, stride: Shape, dilation: Shape) -> Any:
    """Axis by axis: the cells of each tap at all positions, side by side."""
    dims, first = len(axes), axes[0]
    for d in reversed(range(dims)):
        x = _framed(x, first + d, window[d], stride[d], dilation[d])
    # (pos_1, tap_1, pos_2, tap_2, ...) -> positions first
    taps = [first + 2 * d + 1 for d in range(dims)]
    positions = [first + 2 * d for d in range(dims)]
    rest = range(first + 2 * dims, x.ndim)
    return jnp.transpose(x, (*range(first), *positions, *taps, *rest))


def _framed(x: Any, axis: int, window: int, stride: int, dilation: int) -> Any:
    """x with ``axis`` parted into (positions, taps)."""
    n = x.shape[axis]
    count = (n - (window - 1) * dilation - 1) // stride + 1
    if stride == window and dilation == 1:
        cut = lax.slice_in_dim(x, 0, count * window, axis=axis) if n != count * window else x
        return jnp.reshape(cut, (*x.shape[:axis], count, window, *x.shape[axis + 1 :]))
    if window > _MOST_TAPS:
        places = np.arange(count)[:, None] * stride + np.arange(window) * dilation
        return jnp.take(x, places, axis=axis, mode="clip")
    end = (count - 1) * stride + 1
    each = [
        lax.slice_in_dim(x, t * dilation, t * dilation + (end if count else 0), stride, axis) for t in range(window)
    ]
    return jnp.stack(each, axis + 1)


def _overlap_add(frames: Any, axes: Shape, size: Shape, stride: Shape, dilation: Shape) -> Any:
    dims, first, dtype = len(axes), axes[0], frames.dtype
    x = frames.astype(added_in(dtype))
    order = [*range(first), *[first + d + k * dims for d in range(dims) for k in (0, 1)]]
    x = jnp.transpose(x, (*order, *range(first + 2 * dims, x.ndim)))
    for d in range(dims):
        x = _added(x, first + d, size[d], stride[d], dilation[d])
    return x.astype(dtype)


def _added(x: Any, axis: int, size: int, stride: int, dilation: int) -> Any:
    """x with (positions, taps) at ``axis`` added up on one axis of ``size`` cells."""
    count, window = x.shape[axis : axis + 2]
    shape = (*x.shape[:axis], size, *x.shape[axis + 2 :])
    if not count or 0 in x.shape:
        return jnp.zeros(shape, x.dtype)
    none = [(0, 0, 0)] * len(shape)
    if stride == window and dilation == 1:
        y = jnp.reshape(x, (*x.shape[:axis], count * window, *x.shape[axis + 2 :]))
        none[axis] = (0, size - count * window, 0)
        return lax.pad(y, _zero(x), none) if size != count * window else y
    if window > _MOST_TAPS:
        places = np.arange(count)[:, None] * stride + np.arange(window) * dilation
        key: Any = (*(slice(None),) * axis, places)
        return jnp.zeros(shape, x.dtype).at[key].add(x)
    end, total = (count - 1) * stride + 1, None
    for t in range(window):
        part = lax.index_in_dim(x, t, axis + 1, keepdims=False)
        none[axis] = (t * dilation, size - t * dilation - end, stride - 1)
        part = lax.pad(part, _zero(x), none)
        total = part if total is None else total + part
    return total


def _sum_to(x: Any, shape: Shape) -> Any:
    return jnp.reshape(_sum(x, tuple(broadcast_axes(shape, x.shape))), shape)


def _cast(x: Any, dtype: Any) -> Any:
    return x.astype(dtype)


# ---- sum and contract


def added_in(dtype: Any) -> Any:
    """The dtype in which numbers are added up: float32 for those of 16 bits."""
    return np.dtype(np.float32) if np.dtype(dtype).kind in "fV" and np.dtype(dtype).itemsize == 2 else dtype


def _sum(x: Any, axis: Any, keepdims: bool = False) -> Any:
    axis = tuple(axis) if isinstance(axis, list) else axis
    if axis == ():
        return x
    return jnp.sum(x.astype(added_in(x.dtype)), axis=axis, keepdims=keepdims).astype(_total(x.dtype))


def _total(dtype: Any) -> Any:
    """NumPy's: whole numbers are added up in 64 bits."""
    return {"b": np.int64, "i": np.int64, "u": np.uint64}.get(np.dtype(dtype).kind, dtype)


def precise() -> Any:
    """Products with all digits of the dtype, as everywhere else, unless the user has told JAX otherwise."""
    from .library import jax

    return None if jax.config.jax_default_matmul_precision is not None else lax.Precision.HIGHEST


def _contract(a: Any, b: Any, spec: str) -> Any:
    dtype = jnp.result_type(a.dtype, b.dtype)
    wide = added_in(dtype)
    made = jnp.einsum(spec, a, b, precision=precise(), preferred_element_type=wide if wide != dtype else None)
    return made.astype(dtype)


# fmt: off
FUNCTIONS: dict[str, Row] = {
    "identity": lambda a: a,
    "stop_gradient": lambda a: a,
    "cast": _cast,
    "reshape": lambda a, shape: jnp.reshape(a, shape),
    "permute_dims": lambda a, axes=None: jnp.transpose(a, axes),
    "flip": _flip,
    "broadcast_to": _broadcast_to,
    "sum_to": _sum_to,
    "pad": _pad,
    "crop": _crop,
    "index": _index,
    "scatter": _scatter,
    "take": _take,
    "scatter_add": _scatter_add,
    "windows": _windows,
    "overlap_add": _overlap_add,
    "argsort": lambda a, axis: jnp.argsort(a, axis=axis, stable=True),
    "concat": lambda *xs, axis: jnp.concatenate(xs, axis=axis),
    "sum": _sum,
    "contract": _contract,
}
# fmt: on
ROWS: dict[str, Row] = {**ELEMENTWISE, **FUNCTIONS}
