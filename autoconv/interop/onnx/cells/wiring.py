"""The ONNX column of the rows that move numbers: reshape to windows, and their adjoints.

Strided scatter is interleaving with zeros and Pad; the adjoints that collect (scatter_add, overlap_add) are
ScatterElements with the reduction "add", so an infinity stays where it is.  float16 is added up in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ....shapes import spanned
from ..nodes import INT64_MAX, Emitter, product
from ..sizes import Dim, Dims, Row, Size, known

Cell = Callable[[Emitter, Row, list[str]], str]
WIRING: dict[str, Cell] = {}


def cell(function: Cell) -> Cell:
    """Enter a cell under the function's name, the row's."""
    WIRING[function.__name__.rstrip("_")] = function
    return function


def wide(e: Emitter, x: str, dtype: np.dtype) -> tuple[str, np.dtype]:
    """x in the dtype in which its numbers are added up."""
    return (e.cast(x, np.float32), np.dtype(np.float32)) if dtype == np.float16 else (x, dtype)


def back(e: Emitter, x: str, dtype: np.dtype) -> str:
    """What was added up in another dtype, in ``dtype``."""
    return e.cast(x, dtype) if dtype == np.float16 else x


def shape_of(e: Emitter, row: Row, k: int = 0) -> Dims:
    return e.rows[row.operands[k]].shape


def static(row: Row, sizes: Any, what: str) -> tuple[int, ...]:
    """Sizes that have to be known when the file is written."""
    if any(isinstance(n, Size) for n in sizes):
        raise ValueError(f"onnx: {row.name} has {what} ({', '.join(map(str, sizes))}) that depend on the batch; "
                         "pass batch_axis=None for a file with the sizes of the example inputs")  # fmt: skip
    return tuple(int(n) for n in sizes)


# ---- the same elements


@cell
def identity(e: Emitter, row: Row, xs: list[str]) -> str:
    return xs[0]


@cell
def stop_gradient(e: Emitter, row: Row, xs: list[str]) -> str:
    return xs[0]


@cell
def cast(e: Emitter, row: Row, xs: list[str]) -> str:
    return xs[0] if e.rows[row.operands[0]].dtype == row.dtype else e.cast(xs[0], row.dtype)


@cell
def reshape(e: Emitter, row: Row, xs: list[str]) -> str:
    return e.reshape(xs[0], row.shape, shape_of(e, row))


@cell
def permute_dims(e: Emitter, row: Row, xs: list[str]) -> str:
    rank = len(row.shape)
    return e.node("Transpose", xs[0], perm=tuple(a % rank for a in row.params["axes"])) if rank else xs[0]


@cell
def flip(e: Emitter, row: Row, xs: list[str]) -> str:
    axis, rank = row.params["axis"], len(row.shape)
    axes = range(rank) if axis is None else (axis,) if isinstance(axis, int) else axis
    return flipped(e, xs[0], [a % rank for a in axes])


def flipped(e: Emitter, x: str, axes: list[int]) -> str:
    if not axes:
        return x
    starts, ends, steps = ([n] * len(axes) for n in (-1, -INT64_MAX, -1))
    return e.node("Slice", x, e.ints(starts), e.ints(ends), e.ints(axes), e.ints(steps))


@cell
def broadcast_to(e: Emitter, row: Row, xs: list[str]) -> str:
    return xs[0] if shape_of(e, row) == row.shape else e.expand(xs[0], row.shape)


@cell
def sum_to(e: Emitter, row: Row, xs: list[str]) -> str:
    before = shape_of(e, row)
    new = len(before) - len(row.shape)
    axes = [i for i, n in enumerate(before) if i < new or (row.shape[i - new] == 1 and n != 1)]
    return e.reshape(summed(e, xs[0], row.dtype, axes, keepdims=0), row.shape)if axes else e.reshape(
        xs[0], row.shape, before)  # fmt: skip


def summed(e: Emitter, x: str, dtype: np.dtype, axes: list[int], keepdims: int) -> str:
    """The sum over these axes."""
    x, _ = wide(e, x, dtype)
    return back(e, e.node("ReduceSum", x, e.ints(axes), keepdims=keepdims), dtype)


@cell
def sum_(e: Emitter, row: Row, xs: list[str]) -> str:
    operand = e.rows[row.operands[0]]
    rank, axis = len(operand.shape), row.params["axis"]
    axes = list(range(rank)) if axis is None else [a % rank for a in ((axis,) if isinstance(axis, int) else axis)]
    x = xs[0] if operand.dtype == row.dtype else e.cast(xs[0], row.dtype)
    return summed(e, x, row.dtype, axes, int(row.params.get("keepdims", False))) if axes else x


@cell
def concat(e: Emitter, row: Row, xs: list[str]) -> str:
    same = [x if e.rows[k].dtype == row.dtype else e.cast(x, row.dtype)
            for x, k in zip(xs, row.operands, strict=True)]  # fmt: skip
    return e.node("Concat", *same, axis=row.params["axis"] % len(row.shape))


# ---- parts, and zeros around


def padded(e: Emitter, x: str, width: list[tuple[Dim, Dim]]) -> str:
    """x with (low, high) zeros on each axis."""
    if not any(n for pair in width for n in pair):
        return x
    return e.node("Pad", x, e.sizes([low for low, _ in width] + [high for _, high in width]))


@cell
def pad(e: Emitter, row: Row, xs: list[str]) -> str:
    return padded(e, xs[0], list(row.params["width"]))


@cell
def crop(e: Emitter, row: Row, xs: list[str]) -> str:
    width = row.params["width"]
    before = shape_of(e, row)
    axes = [i for i, pair in enumerate(width) if any(pair)]
    if not axes:
        return xs[0]
    starts, ends = [width[i][0] for i in axes], [before[i] - width[i][1] for i in axes]
    return e.node("Slice", xs[0], e.sizes(starts), e.sizes(ends), e.ints(axes))


def _key(row: Row, shape: Dims) -> list[tuple[int | None, Any]]:
    """The key of ``index`` and ``scatter`` as (axis of the large array, int or slice), or (None, None) for a new
    axis."""
    key = row.params["key"]
    key = key if isinstance(key, tuple) else (key,)
    used = sum(k is not None and k is not Ellipsis for k in key)
    parts: list[Any] = []
    if not any(k is Ellipsis for k in key):
        key = (*key, Ellipsis)
    for k in key:
        parts += [slice(None)] * (len(shape) - used) if k is Ellipsis else [k]
    made: list[tuple[int | None, Any]] = []
    axis = 0
    for k in parts:
        if k is None:
            made.append((None, None))
        else:
            made.append((axis, k))
            axis += 1
    return made


def _whole(k: Any, n: Dim) -> bool:
    return k.start in (None, 0) and k.step in (None, 1) and (k.stop is None or k.stop == n)


@cell
def index(e: Emitter, row: Row, xs: list[str]) -> str:
    before = shape_of(e, row)
    rows: list[tuple[int, Dim, Dim, int]] = []
    for axis, k in _key(row, before):
        if axis is None:
            continue
        if not isinstance(k, slice):
            start: Dim = k if isinstance(k, Size) else int(k)
            stop = INT64_MAX if start == -1 else start + 1
            rows.append((axis, start, stop, 1))
        elif not _whole(k, before[axis]):
            step = 1 if k.step is None else int(k.step)
            start = (0 if step > 0 else INT64_MAX) if k.start is None else k.start
            stop = (INT64_MAX if step > 0 else -INT64_MAX) if k.stop is None else k.stop
            rows.append((axis, start, stop, step))
    x = xs[0]
    if rows:
        axes, starts, ends, steps = zip(*rows, strict=True)
        x = e.node("Slice", x, e.sizes(starts), e.sizes(ends), e.ints(axes), e.ints(steps))
    return e.reshape(x, row.shape) if _changes_axes(row, before) else x


def _changes_axes(row: Row, shape: Dims) -> bool:
    return any(axis is None or not isinstance(k, slice) for axis, k in _key(row, shape))


@cell
def scatter(e: Emitter, row: Row, xs: list[str]) -> str:
    """The large array has zeros between the elements (of a step), and around them."""
    shape, before = row.shape, shape_of(e, row)
    counts: list[Dim] = []
    width: list[tuple[Dim, Dim]] = []
    steps: list[int] = []
    back_: list[int] = []
    place = 0
    count: Dim
    for axis, k in _key(row, shape):
        if axis is None:
            place += 1
            continue
        n = shape[axis]
        if not isinstance(k, slice):
            low = k + n if not isinstance(k, Size) and k < 0 else k
            count, step = 1, 1
        else:
            count, step = before[place], 1 if k.step is None else int(k.step)
            place += 1
            low = _first(row, k, n, count, step)
            if step < 0:
                back_.append(axis)
        if count == 0:
            low, high = 0, n
        else:
            high = n - low - (count - 1) * abs(step) - 1
        counts.append(count)
        steps.append(abs(step))
        width.append((low, high))
    x = e.reshape(xs[0], counts, before)
    x = flipped(e, x, back_)
    if any(s > 1 for s in steps):
        split: list[Dim] = []
        between: list[tuple[Dim, Dim]] = []
        for n, s in zip(counts, steps, strict=True):
            split += [n, 1] if s > 1 else [n]
            between += [(0, 0), (0, s - 1)] if s > 1 else [(0, 0)]
        x = padded(e, e.reshape(x, split), between)
        x = e.reshape(x, [n * s for n, s in zip(counts, steps, strict=True)])
        width = [(low, high - (s - 1) if n != 0 else high) for (low, high), n, s in zip(width, counts, steps,
                                                                                        strict=True)]  # fmt: skip
    return padded(e, x, width)


def _first(row: Row, k: slice, n: Dim, count: Dim, step: int) -> Any:
    """The lowest place that a slice of n elements names."""
    if isinstance(n, int) and not isinstance(k.start, Size) and not isinstance(k.stop, Size):
        first, _, _ = k.indices(n)
        return first if step > 0 else first + (count - 1) * step
    start = k.start if k.start is not None else 0 if step > 0 else n - 1
    if isinstance(start, int) and start < 0:
        start = n + start
    return start if step > 0 else start + (count - 1) * step


# ---- by index


def _indices(e: Emitter, row: Row, x: str) -> str:
    return x if e.rows[row.operands[1]].dtype in (np.int64, np.int32) else e.cast(x, np.int64)


@cell
def take(e: Emitter, row: Row, xs: list[str]) -> str:
    return e.node("Gather", xs[0], _indices(e, row, xs[1]), axis=row.params["axis"] % len(shape_of(e, row)))


@cell
def scatter_add(e: Emitter, row: Row, xs: list[str]) -> str:
    before, places = shape_of(e, row), shape_of(e, row, 1)
    axis = row.params["axis"] % len(row.shape)
    count = product(places)
    x = e.reshape(xs[0], [*before[:axis], count, *before[axis + len(places) :]], before)
    number = e.reshape(_indices(e, row, xs[1]), [count, *(1,) * (len(row.shape) - axis - 1)])
    return collected(e, x, number, row.shape, axis, row.dtype)


def collected(e: Emitter, x: str, places: str, shape: Dims, axis: int, dtype: np.dtype) -> str:
    """Zeros of ``shape``, with x added at ``places`` along ``axis``; these broadcast to x."""
    x, summing = wide(e, x, dtype)
    places = e.node("Expand", places, e.node("Shape", x))
    zeros = e.expand(e.constant(np.zeros((), summing)), shape)
    return back(e, e.node("ScatterElements", zeros, places, x, axis=axis, reduction="add"), dtype)


# ---- windows


@cell
def windows(e: Emitter, row: Row, xs: list[str]) -> str:
    axes, window, stride, dilation = (row.params[k] for k in ("axes", "window", "stride", "dilation"))
    before = shape_of(e, row)
    first, dims = axes[0], len(axes)
    size = static(row, [before[a] for a in axes], "sizes along its window")
    counts = [(n - spanned(k, d)) // s + 1 for n, k, s, d in zip(size, window, stride, dilation, strict=True)]
    x, rank = xs[0], len(before)
    if _tiles(window, stride, dilation):
        x = _cut(e, x, axes, [n * k for n, k in zip(counts, window, strict=True)], size)
        split = [m for pair in zip(counts, window, strict=True) for m in pair]
        x = e.reshape(x, [*before[:first], *split, *before[first + dims :]])
    else:
        for j in reversed(range(dims)):
            cells = np.add.outer(np.arange(counts[j]) * stride[j], np.arange(window[j]) * dilation[j])
            x = e.node("Gather", x, e.constant(cells.astype(np.int64)), axis=first + j)
    order = [*range(first), *range(first, first + 2 * dims, 2), *range(first + 1, first + 2 * dims, 2)]
    return e.node("Transpose", x, perm=(*order, *range(first + 2 * dims, rank + dims)))


def _tiles(window: Any, stride: Any, dilation: Any) -> bool:
    """Whether windows lie side by side."""
    return all(s == k and d == 1 for k, s, d in zip(window, stride, dilation, strict=True))


def _cut(e: Emitter, x: str, axes: Any, ends: list[int], size: Any) -> str:
    short = [(a, end) for a, end, n in zip(axes, ends, size, strict=True) if end < n]
    if not short:
        return x
    kept, stops = zip(*short, strict=True)
    return e.node("Slice", x, e.ints([0] * len(kept)), e.ints(stops), e.ints(kept))


@cell
def overlap_add(e: Emitter, row: Row, xs: list[str]) -> str:
    axes, size, stride, dilation = (row.params[k] for k in ("axes", "size", "stride", "dilation"))
    before = shape_of(e, row)
    first, dims = axes[0], len(axes)
    size = static(row, size, "sizes along its window")
    counts, window = before[first : first + dims], before[first + dims : first + 2 * dims]
    rank = len(before)
    pairs = [a for j in range(dims) for a in (first + j, first + dims + j)]
    x = e.node("Transpose", xs[0], perm=(*range(first), *pairs, *range(first + 2 * dims, rank)))
    rest, merged = before[first + 2 * dims :], [n * k for n, k in zip(counts, window, strict=True)]
    shape: list[Dim] = [*before[:first], *merged, *rest]
    x = e.reshape(x, shape)
    if _tiles(window, stride, dilation):
        width: list[tuple[Dim, Dim]] = [(0, 0)] * len(shape)
        for j in range(dims):
            width[first + j] = (0, size[j] - merged[j])
        return padded(e, x, width)
    for j in range(dims):
        cells = np.add.outer(np.arange(known(counts[j])) * stride[j], np.arange(known(window[j])) * dilation[j])
        shape[first + j] = size[j]
        places = e.constant(cells.ravel().astype(np.int64).reshape((-1,) + (1,) * (len(shape) - first - j - 1)))
        x = collected(e, x, places, tuple(shape), first + j, row.dtype)
    return x


@cell
def argsort(e: Emitter, row: Row, xs: list[str]) -> str:
    """The order of the elements, equal ones as they stand: TopK of all, the smallest first."""
    axis = row.params["axis"] % len(row.shape)
    x = xs[0] if e.rows[row.operands[0]].dtype.kind != "b" else e.cast(xs[0], np.int32)
    return e.second("TopK", x, e.size(row.shape[axis]), axis=axis, largest=0, sorted=1)
