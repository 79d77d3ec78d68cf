"""ATen's operations on shapes: views, joining, cutting and indexing.

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
from ..places import numbers
from .types import FIRST, array, matched

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
        return getitem(x, tuple(slice(None) if i is None else numbers(i) for i in indices))
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


def index_select(x: Any, dim: int, index: Any) -> Any:
    return f.take(x, index, axis_of(dim, x.ndim))


def gather(x: Any, dim: int, index: Any, sparse_grad: bool = False) -> Any:
    """y[.., i, ..] = x[.., index[.., i, ..], ..]; the other sizes of index may be smaller than x's."""
    return f.gather(x, axis_of(dim, x.ndim), index)


def roll(x: Any, shifts: Any, dims: Any = ()) -> Any:
    """Elements moved round along axes."""
    return f.roll(x, shifts, dims if isinstance(dims, int) or len(dims) else None)


def flip(x: Any, dims: Sequence[int]) -> Any:
    return f.flip(x, tuple(axis_of(d, x.ndim) for d in dims)) if dims else x


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


def shuffled(function: Operation) -> Operation:
    """pixel_shuffle and its inverse, of images with any leading axes."""

    def operation(x: Any, factor: int) -> Any:
        y = function(f.reshape(x, (-1, *x.shape[-3:])), factor, layout=FIRST)
        return f.reshape(y, (*x.shape[:-3], *y.shape[1:]))

    return operation


def channel_shuffle(x: Any, groups: int) -> Any:
    """Channels (axis 1) dealt out among groups."""
    n, c, *rest = x.shape
    x = transpose(f.reshape(x, (n, groups, c // groups, *rest)), 1, 2)
    return f.reshape(x, (n, c, *rest))


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
    "pixel_shuffle": shuffled(f.pixel_shuffle),
    "pixel_unshuffle": shuffled(f.pixel_unshuffle),
    "channel_shuffle": channel_shuffle,
    "native_channel_shuffle": channel_shuffle,
    "unfold": unfold,
    "im2col": im2col,
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
    "_unsafe_index": index,
    "index_select": index_select,
    "gather": gather,
    "take_along_dim": lambda x, i, dim=None: gather(x, dim, i),
    "diagonal": diagonal,
    "tril": lambda x, diagonal=0: f.tril(x, diagonal),
    "triu": lambda x, diagonal=0: f.triu(x, diagonal),
    "pad": pad,
    "constant_pad_nd": constant_pad,
    **{
        f"{mode}_pad{n}d": padded(word)
        for mode, word in (("reflection", "reflect"), ("replication", "replicate"))
        for n in (1, 2, 3)
    },
}


def _turned(x: Any, k: int, dims: Sequence[int]) -> Any:
    a, b = dims
    k %= 4
    if k == 0:
        return x
    if k == 2:
        return flip(x, [a, b])
    return transpose(flip(x, [b]), a, b) if k == 1 else flip(transpose(x, a, b), [b])
