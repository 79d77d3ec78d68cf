"""ATen's operations on shapes: views, joining, cutting, indexing, and arrays made of nothing.

Sizes may be numbers that were worked out from the inputs; views, copies and expansions are all the same here, since
nothing is ever written into.  What says where (index arrays, masks to choose by) is read as numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ... import functional as f
from ... import primitives as p
from ...functional.array import getitem
from ...tape import Tensor
from .elementwise import true
from .types import DEFAULT, array, cast, matched

Operation = Callable[..., Any]


def axis_of(dim: int, ndim: int) -> int:
    """An axis counted from the front; PyTorch counts as if a number without axes had one."""
    return dim + max(ndim, 1) if dim < 0 else dim


def sym_size(x: Any, dim: int) -> int:
    return int(x.shape[dim])


def sym_numel(x: Any) -> int:
    return int(x.size)


def view(x: Any, size: Sequence[int]) -> Any:
    """The same elements in another shape; one size may be -1."""
    return f.reshape(x, tuple(size))


def view_as(x: Any, other: Any) -> Any:
    return f.reshape(x, other.shape)


def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """Axes start_dim .. end_dim as one."""
    begin, end = axis_of(start_dim, x.ndim), axis_of(end_dim, x.ndim)
    if x.ndim == 0:
        return f.reshape(x, (1,))
    return f.reshape(x, (*x.shape[:begin], math.prod(x.shape[begin : end + 1]), *x.shape[end + 1 :]))


def unflatten(x: Any, dim: int, sizes: Sequence[int]) -> Any:
    """One axis as several."""
    axis = axis_of(dim, x.ndim)
    known = math.prod(n for n in sizes if n != -1)
    sizes = [x.shape[axis] // known if n == -1 else n for n in sizes]
    return f.reshape(x, (*x.shape[:axis], *sizes, *x.shape[axis + 1 :]))


def permute(x: Any, dims: Sequence[int]) -> Any:
    axes = tuple(axis_of(d, x.ndim) for d in dims)
    return x if axes == tuple(range(x.ndim)) else p.permute_dims(x, axes=axes)


def transpose(x: Any, dim0: int, dim1: int) -> Any:
    a, b = axis_of(dim0, x.ndim), axis_of(dim1, x.ndim)
    axes = list(range(x.ndim))
    if axes:
        axes[a], axes[b] = b, a
    return permute(x, axes)


def t(x: Any) -> Any:
    return transpose(x, 0, 1) if x.ndim == 2 else x


def movedim(x: Any, source: Any, destination: Any) -> Any:
    return f.moveaxis(x, source if isinstance(source, int) else tuple(source),
                      destination if isinstance(destination, int) else tuple(destination))  # fmt: skip


def unsqueeze(x: Any, dim: int) -> Any:
    axis = dim + x.ndim + 1 if dim < 0 else dim
    return f.reshape(x, (*x.shape[:axis], 1, *x.shape[axis:]))


def squeeze(x: Any, dim: Any = None) -> Any:
    """Without axes of size 1: all, or those named that have it."""
    named = range(x.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    axes = {axis_of(d, x.ndim) for d in named}
    return f.reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in axes or n != 1))


def expand(x: Any, size: Sequence[int], implicit: bool = False) -> Any:
    """Broadcast to a shape, in which -1 is the size that there is."""
    added = len(size) - x.ndim
    shape = tuple(x.shape[i - added] if n == -1 else n for i, n in enumerate(size))
    return x if shape == x.shape else f.broadcast_to(x, shape)


def expand_as(x: Any, other: Any) -> Any:
    return expand(x, other.shape)


def repeat(x: Any, repeats: Sequence[int]) -> Any:
    """The whole array so many times along each axis; more counts than axes add axes in front."""
    x = f.reshape(x, ((1,) * (len(repeats) - x.ndim) + tuple(x.shape)))
    return x if all(n == 1 for n in repeats) else f.tile(x, tuple(repeats))


def repeat_interleave(x: Any, repeats: int, dim: int | None = None, output_size: int | None = None) -> Any:
    """Each element (slice) so many times in a row."""
    if not isinstance(repeats, int):
        raise NotImplementedError("repeat_interleave with a count for each element gives a shape that depends on it")
    return f.repeat(f.reshape(x, (-1,)), repeats, 0) if dim is None else f.repeat(x, repeats, axis_of(dim, x.ndim))


def cat(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Arrays joined along an axis; empty ones of one axis are left out, as PyTorch does."""
    parts = matched(*tensors)
    some = [x for x in parts if x.shape != (0,)] or parts[:1]
    return some[0] if len(some) == 1 else f.concat(some, axis_of(dim, some[0].ndim))


def stack(tensors: Sequence[Any], dim: int = 0) -> Any:
    parts = matched(*tensors)
    return cat([unsqueeze(x, axis_of(dim, parts[0].ndim + 1) if dim < 0 else dim) for x in parts], dim)


def split(x: Any, size: Any, dim: int = 0) -> list[Any]:
    """Pieces of one size (the last may be smaller), or of the sizes in a list."""
    axis = axis_of(dim, x.ndim)
    n = x.shape[axis]
    sizes = list(size) if isinstance(size, list | tuple) else [min(size, n - k) for k in range(0, n, size)] or [0]
    if sum(sizes) != n:
        raise ValueError(f"split: sizes {sizes} do not add up to {n}, the size of axis {axis} of shape {x.shape}")
    ends = np.cumsum(sizes)
    return [slice_(x, axis, int(end) - m, int(end)) for m, end in zip(sizes, ends, strict=True)]


def chunk(x: Any, chunks: int, dim: int = 0) -> list[Any]:
    """So many pieces of one size, but for the last, or fewer."""
    return split(x, max(-(-x.shape[axis_of(dim, x.ndim)] // chunks), 1), dim)


def tensor_split(x: Any, sections: Any, dim: int = 0) -> list[Any]:
    """So many pieces, the first ones larger by one, or pieces between the given places."""
    n = x.shape[axis_of(dim, x.ndim)]
    if isinstance(sections, int):
        return split(x, [n // sections + (i < n % sections) for i in range(sections)], dim)
    cuts = [0, *[min(c if c >= 0 else c + n, n) for c in sections], n]
    return split(x, [max(b - a, 0) for a, b in pairwise(cuts)], dim)


def unbind(x: Any, dim: int = 0) -> list[Any]:
    return [select(x, dim, i) for i in range(x.shape[axis_of(dim, x.ndim)])]


def slice_(x: Any, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Any:
    """x[.., start:end:step, ..]; bounds beyond the ends are cut, as in Python."""
    axis = axis_of(dim, x.ndim)
    n = x.shape[axis]
    begin, stop, _ = slice(start, end, step).indices(n)
    if (begin, stop, step) == (0, n, 1):
        return x
    return p.index(x, key=(*(slice(None),) * axis, slice(begin, max(begin, stop), step)))


def narrow(x: Any, dim: int, start: int, length: int) -> Any:
    start = start + x.shape[axis_of(dim, x.ndim)] if start < 0 else start
    return slice_(x, dim, start, start + length)


def select(x: Any, dim: int, index: int) -> Any:
    """x[.., index, ..], without the axis."""
    return p.index(x, key=(*(slice(None),) * axis_of(dim, x.ndim), int(index)))


def index(x: Any, indices: Sequence[Any]) -> Any:
    """x[i, j, ..] with index arrays or masks, None for a whole axis."""
    given = [k for k, i in enumerate(indices) if i is not None]
    if any(array(indices[k]).dtype == bool for k in given):
        return getitem(x, tuple(slice(None) if i is None else _places(i) for i in indices))
    first, last = given[0], given[-1]
    if given != list(range(first, last + 1)):  # apart from each other: their axes come first
        x = permute(x, [*given, *[k for k in range(x.ndim) if k not in given]])
        first, last = 0, len(given) - 1
    place: Any = 0
    for k, axis in zip(given, range(first, last + 1), strict=True):  # one number for the place on all these axes
        n, i = x.shape[axis], array(indices[k])
        i = np.where(i < 0, i + n, i) if isinstance(i, np.ndarray) else p.where(p.less(i, 0), p.add(i, n), i)
        place = i if axis == first else p.add(p.mul(place, n), i)
    x = f.reshape(x, (*x.shape[:first], math.prod(x.shape[first : last + 1]), *x.shape[last + 1 :]))
    return f.take(x, place, first)


def _places(i: Any) -> Any:
    """Index arrays stay on the tape as what is read; masks choose by their numbers."""
    return i.value if isinstance(i, Tensor) else np.asarray(i)


def index_select(x: Any, dim: int, index: Any) -> Any:
    return f.take(x, index, axis_of(dim, x.ndim))


def gather(x: Any, dim: int, index: Any, sparse_grad: bool = False) -> Any:
    """y[.., i, ..] = x[.., index[.., i, ..], ..]; the other sizes of index may be smaller than x's."""
    axis, places = axis_of(dim, x.ndim), _places(index)
    for k, (n, m) in enumerate(zip(x.shape, places.shape, strict=True)):
        if k != axis and m < n:
            x = slice_(x, k, 0, m)
    return f.take_along_axis(x, places, axis)


def roll(x: Any, shifts: Any, dims: Any = ()) -> Any:
    """Elements moved round along axes."""
    shifts = [shifts] if isinstance(shifts, int) else list(shifts)
    dims = [dims] if isinstance(dims, int) else list(dims)
    if not dims:
        return f.reshape(f.roll(f.reshape(x, (-1,)), shifts[0], 0), x.shape)
    for shift, dim in zip(shifts, dims, strict=True):
        x = f.roll(x, int(shift), axis_of(dim, x.ndim))
    return x


def flip(x: Any, dims: Sequence[int]) -> Any:
    return f.flip(x, tuple(axis_of(d, x.ndim) for d in dims)) if dims else x


def tril(x: Any, diagonal: int = 0) -> Any:
    """0 above a diagonal."""
    rows, columns = np.ogrid[: x.shape[-2], : x.shape[-1]]
    return p.where(np.broadcast_to(columns - rows <= diagonal, x.shape[-2:]), x, 0)


def triu(x: Any, diagonal: int = 0) -> Any:
    """0 below a diagonal."""
    rows, columns = np.ogrid[: x.shape[-2], : x.shape[-1]]
    return p.where(np.broadcast_to(columns - rows >= diagonal, x.shape[-2:]), x, 0)


def diagonal(x: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """The elements on a diagonal of two axes, on a last axis."""
    a, b = axis_of(dim1, x.ndim), axis_of(dim2, x.ndim)
    x = permute(x, [*[i for i in range(x.ndim) if i not in (a, b)], a, b])
    rows, columns = x.shape[-2:]
    n = max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)
    places = (np.arange(n) + max(-offset, 0)) * columns + np.arange(n) + max(offset, 0)
    return f.take(f.reshape(x, (*x.shape[:-2], rows * columns)), places, -1)


def pad(x: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """Cells added, or cut off where negative: pairs (before, after) from the last axis forwards."""
    pairs = [(int(pad[i]), int(pad[i + 1])) for i in range(0, len(pad), 2)]
    for k, (low, high) in enumerate(pairs):
        if low < 0 or high < 0:
            axis = x.ndim - 1 - k
            x = slice_(x, axis, max(-low, 0), x.shape[axis] - max(-high, 0))
    widths = [(0, 0)] * (x.ndim - len(pairs)) + [(max(a, 0), max(b, 0)) for a, b in reversed(pairs)]
    if not any(map(any, widths)):
        return x
    words = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    return f.pad(x, widths, words[mode], value or 0) if mode == "constant" else f.pad(x, widths, words[mode])


def padded(mode: str) -> Operation:
    def operation(x: Any, widths: Sequence[int]) -> Any:
        return pad(x, widths, mode)

    return operation


def constant_pad(x: Any, widths: Sequence[int], value: float = 0) -> Any:
    return pad(x, widths, "constant", value)


def unfold(x: Any, dimension: int, size: int, step: int) -> Any:
    """Windows along one axis; what they hold is the last axis."""
    axis = axis_of(dimension, x.ndim)
    seen = p.windows(x, axes=(axis,), window=(size,), stride=(step,), dilation=(1,))
    return permute(seen, [*[i for i in range(seen.ndim) if i != axis + 1], axis + 1])


def im2col(x: Any, kernel: Sequence[int], dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """nn.Unfold: (N, C, H, W) to (N, C kH kW, L), L the places of the window."""
    kernel, dilation, padding, stride = [
        [n, n] if isinstance(n, int) else list(n) for n in (kernel, dilation, padding, stride)
    ]
    x = pad(x, [padding[1], padding[1], padding[0], padding[0]])
    seen = p.windows(x, axes=(2, 3), window=tuple(kernel), stride=tuple(stride), dilation=tuple(dilation))
    seen = permute(seen, [0, 1, 4, 5, 2, 3])  # n c u v i j, of n c i j u v
    return f.reshape(seen, (x.shape[0], x.shape[1] * math.prod(kernel), -1))


def pixel_shuffle(x: Any, factor: int) -> Any:
    """(.., C r^2, H, W) to (.., C, H r, W r)."""
    *batch, c, h, w = x.shape
    k, r = len(batch), factor
    x = f.reshape(x, (*batch, c // (r * r), r, r, h, w))
    x = permute(x, [*range(k), k, k + 3, k + 1, k + 4, k + 2])
    return f.reshape(x, (*batch, c // (r * r), h * r, w * r))


def pixel_unshuffle(x: Any, factor: int) -> Any:
    """(.., C, H r, W r) to (.., C r^2, H, W)."""
    *batch, c, h, w = x.shape
    k, r = len(batch), factor
    x = f.reshape(x, (*batch, c, h // r, r, w // r, r))
    x = permute(x, [*range(k), k, k + 2, k + 4, k + 1, k + 3])
    return f.reshape(x, (*batch, c * r * r, h // r, w // r))


def channel_shuffle(x: Any, groups: int) -> Any:
    """Channels (axis 1) dealt out among groups."""
    n, c, *rest = x.shape
    x = transpose(f.reshape(x, (n, groups, c // groups, *rest)), 1, 2)
    return f.reshape(x, (n, c, *rest))


def meshgrid(tensors: Sequence[Any], indexing: str = "ij") -> list[Any]:
    """Each vector spread over the axes of all."""
    shape = [x.size for x in tensors]
    spread = [f.reshape(x, [n if i == k else 1 for i, n in enumerate(shape)]) for k, x in enumerate(tensors)]
    spread = [expand(x, shape) for x in spread]
    return [transpose(x, 0, 1) for x in spread] if indexing == "xy" and len(shape) > 1 else spread


# ---- what is written into a copy


def slice_scatter(
    x: Any, src: Any, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Any:
    """x with ``src`` in place of a slice."""
    axis = axis_of(dim, x.ndim)
    n = x.shape[axis]
    begin, stop, _ = slice(start, end, step).indices(n)
    if (begin, stop, step) == (0, n, 1):
        return expand(cast(src, x.dtype), x.shape)
    key = (*(slice(None),) * axis, slice(begin, max(begin, stop), step))
    return _written(x, src, key)


def select_scatter(x: Any, src: Any, dim: int, index: int) -> Any:
    """x with ``src`` at one place of an axis."""
    axis = axis_of(dim, x.ndim)
    return _written(x, src, (*(slice(None),) * axis, int(index) % x.shape[axis]))


def _written(x: Any, src: Any, key: Any) -> Any:
    there = np.zeros(x.shape, bool)
    there[key] = True
    shape = there[key].shape
    src = expand(cast(src, x.dtype), shape)
    return p.where(there, p.scatter(src, key=key, shape=tuple(x.shape)), x)


def copy(x: Any, src: Any, non_blocking: bool = False) -> Any:
    """What a copy into x gives: src at x's shape and dtype."""
    return expand(cast(array(src), x.dtype), x.shape)


def fill(x: Any, value: Any) -> Any:
    """x's shape, filled with one value."""
    return expand(cast(array(value), x.dtype), x.shape)


def zero(x: Any) -> Any:
    return np.zeros(x.shape, x.dtype)


def index_put(x: Any, indices: Sequence[Any], values: Any, accumulate: bool = False) -> Any:
    """x with ``values`` at places, or added there."""
    key = tuple(slice(None) if i is None else _places(i) for i in indices)
    names = np.arange(x.size).reshape(x.shape)[key]
    values = expand(cast(array(values), x.dtype), names.shape)
    flat: Any = f.reshape(values, (-1,))
    places: Any = names.ravel()
    if not accumulate:  # the last one written stays
        _, last = np.unique(places[::-1], return_index=True)
        kept = places.size - 1 - last
        flat, places = f.take(flat, kept, 0), places[kept]
    spread = f.reshape(p.scatter_add(flat, places, axis=0, size=x.size), x.shape)
    if accumulate:
        return p.add(x, spread)
    there: Any = np.zeros(x.size, bool)
    there[places] = True
    return p.where(there.reshape(x.shape), spread, x)


def scatter(x: Any, dim: int, index: Any, src: Any, reduce: str | None = None) -> Any:
    """x with src[..] at x[.., index[..], ..] (a number: everywhere there)."""
    if reduce is not None:
        raise NotImplementedError(f"scatter with reduce={reduce!r} is not covered; use scatter_add")
    return index_put(x, _along(x, dim, index), src if isinstance(src, int | float) else _cut(src, index))


def scatter_add(x: Any, dim: int, index: Any, src: Any) -> Any:
    """x with src[..] added at x[.., index[..], ..]."""
    return index_put(x, _along(x, dim, index), _cut(src, index), True)


def _along(x: Any, dim: int, index: Any) -> list[Any]:
    places = _places(index)
    grid: list[Any] = list(np.indices(places.shape, sparse=True))
    grid[axis_of(dim, x.ndim)] = places
    return grid


def _cut(src: Any, index: Any) -> Any:
    for axis, n in enumerate(_places(index).shape):
        src = slice_(src, axis, 0, n)
    return src


# ---- arrays made of nothing


def full(size: Sequence[int], value: Any, dtype: Any = None) -> Any:
    kind = dtype or (bool if isinstance(value, bool) else np.int64 if isinstance(value, int) else DEFAULT)
    return np.full(tuple(size), _places(value), kind)


def full_like(x: Any, value: Any, dtype: Any = None) -> Any:
    return np.full(x.shape, _places(value), dtype or x.dtype)


def made(value: float) -> Operation:
    def operation(size: Sequence[int], dtype: Any = None) -> Any:
        return np.full(tuple(size), value, dtype or DEFAULT)

    return operation


def like(value: float) -> Operation:
    def operation(x: Any, dtype: Any = None) -> Any:
        return np.full(x.shape, value, dtype or x.dtype)

    return operation


def new(value: float) -> Operation:
    def operation(x: Any, size: Sequence[int], dtype: Any = None) -> Any:
        return np.full(tuple(size), value, dtype or x.dtype)

    return operation


def new_full(x: Any, size: Sequence[int], value: Any, dtype: Any = None) -> Any:
    return np.full(tuple(size), value, dtype or x.dtype)


def arange(start: Any, end: Any = None, step: Any = 1, dtype: Any = None) -> Any:
    """start, start + step, .. below end."""
    start, end = (0, start) if end is None else (start, end)
    whole = all(isinstance(n, int) for n in (start, end, step))
    return np.arange(start, end, step, np.float64 if not whole else np.int64).astype(
        dtype or (np.int64 if whole else DEFAULT)
    )


def linspace(start: float, end: float, steps: int, dtype: Any = None) -> Any:
    """start .. end; each half is counted from its own end, and rounded as PyTorch does: the step, then the result."""
    kind = np.dtype(dtype or DEFAULT)
    rounded = kind if kind.kind == "f" else np.dtype(np.float64)
    a, b = [np.asarray(_places(x), rounded) for x in (start, end)]
    step = (b - a) / np.asarray(max(steps - 1, 1), rounded)
    k = np.arange(steps)
    wide = [x.astype(np.float64) for x in (a, b, step)]  # what is added is rounded once
    return np.where(k < max(steps // 2, 1), wide[0] + wide[2] * k, wide[1] - wide[2] * (steps - 1 - k)).astype(kind)


def eye(n: int, m: int | None = None, dtype: Any = None) -> Any:
    return np.eye(n, m, dtype=dtype or DEFAULT)


def scalar_tensor(value: Any, dtype: Any = None) -> Any:
    x = array(value)
    return x.astype(dtype) if dtype is not None else x


def one_hot(x: Any, num_classes: int = -1) -> Any:
    """Whole numbers as rows of a unit matrix; the number of classes must be given."""
    if num_classes < 0:
        raise NotImplementedError("one_hot without num_classes gives a shape that depends on the numbers")
    return p.cast(p.equal(unsqueeze(x, -1), np.arange(num_classes)), dtype=np.dtype(np.int64))


def masked_select(*_: Any) -> Any:
    raise NotImplementedError("masked_select gives a result whose shape depends on the numbers")


def masked_scatter(x: Any, mask: Any, source: Any) -> Any:
    """x with the elements of ``source``, in their order, where the mask holds."""
    there = np.broadcast_to(_places(true(mask)), x.shape)
    return index_put(x, list(np.nonzero(there)), slice_(f.reshape(source, (-1,)), 0, 0, int(there.sum())))


OPERATIONS: dict[str, Operation] = {
    "sym_size": sym_size,
    "sym_numel": sym_numel,
    # the same elements
    "view": view,
    "reshape": view,
    "_unsafe_view": view,
    "_reshape_copy": view,
    "view_copy": view,
    "view_as": view_as,
    "reshape_as": view_as,
    "flatten": flatten,
    "unflatten": unflatten,
    "permute": permute,
    "permute_copy": permute,
    "transpose": transpose,
    "transpose_copy": transpose,
    "swapaxes": transpose,
    "t": t,
    "numpy_T": lambda x: permute(x, range(x.ndim)[::-1]),
    "mT": lambda x: transpose(x, -1, -2),
    "matrix_H": lambda x: transpose(x, -1, -2),
    "adjoint": lambda x: transpose(x, -1, -2),
    "movedim": movedim,
    "unsqueeze": unsqueeze,
    "squeeze": squeeze,
    "squeeze_copy": squeeze,
    "unsqueeze_copy": unsqueeze,
    "expand": expand,
    "expand_copy": expand,
    "expand_as": expand_as,
    "broadcast_to": expand,
    "repeat": repeat,
    "tile": lambda x, dims: repeat(x, [*(1,) * (x.ndim - len(dims)), *dims]),
    "repeat_interleave": repeat_interleave,
    "roll": roll,
    "flip": flip,
    "rot90": lambda x, k=1, dims=(0, 1): _turned(x, k, dims),
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    "channel_shuffle": channel_shuffle,
    "native_channel_shuffle": channel_shuffle,
    "unfold": unfold,
    "im2col": im2col,
    "meshgrid": meshgrid,
    # joined and cut
    "cat": cat,
    "concat": cat,
    "concatenate": cat,
    "stack": stack,
    "split": split,
    "split_with_sizes": split,
    "chunk": chunk,
    "tensor_split": tensor_split,
    "unbind": unbind,
    "slice": slice_,
    "slice_copy": slice_,
    "narrow": narrow,
    "select": select,
    "select_copy": select,
    "index": index,
    "index_select": index_select,
    "gather": gather,
    "take_along_dim": lambda x, i, dim=None: gather(x, dim, i),
    "diagonal": diagonal,
    "tril": tril,
    "triu": triu,
    "pad": pad,
    "constant_pad_nd": constant_pad,
    **{
        f"{mode}_pad{n}d": padded(word)
        for mode, word in (("reflection", "reflect"), ("replication", "replicate"))
        for n in (1, 2, 3)
    },
    # written into a copy
    "slice_scatter": slice_scatter,
    "select_scatter": select_scatter,
    "copy": copy,
    "fill": fill,
    "zero": zero,
    "index_put": index_put,
    "_unsafe_index_put": index_put,
    "_unsafe_index": index,
    "scatter": scatter,
    "scatter_add": scatter_add,
    "index_add": lambda x, dim, i, src, alpha=1: _index_add(x, dim, i, src, alpha),
    "masked_scatter": masked_scatter,
    # made of nothing
    "full": full,
    "full_like": full_like,
    "new_full": new_full,
    "zeros": made(0),
    "ones": made(1),
    "empty": made(0),
    "zeros_like": like(0),
    "ones_like": like(1),
    "empty_like": like(0),
    "new_zeros": new(0),
    "new_ones": new(1),
    "new_empty": new(0),
    "arange": arange,
    "linspace": linspace,
    "eye": eye,
    "scalar_tensor": scalar_tensor,
    "one_hot": one_hot,
}


def _turned(x: Any, k: int, dims: Sequence[int]) -> Any:
    a, b = dims
    k %= 4
    if k == 0:
        return x
    if k == 2:
        return flip(x, [a, b])
    return transpose(flip(x, [b]), a, b) if k == 1 else flip(transpose(x, a, b), [b])


def _index_add(x: Any, dim: int, index: Any, src: Any, alpha: float = 1) -> Any:
    axis = axis_of(dim, x.ndim)
    src = p.mul(src, alpha) if alpha != 1 else src
    return index_put(x, [*(None,) * axis, index], src, True)
