"""lax's operations that move numbers: shapes, slices, padding, joining, sorting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import functional as f
from ... import primitives as p
from ...tape import Tensor
from ..places import numbers

Operation = Callable[..., Any]
Ints = tuple[int, ...]


def broadcast_in_dim(x: Any, shape: Ints, broadcast_dimensions: Ints) -> Any:
    """x, whose axes become the ``broadcast_dimensions`` of ``shape``, repeated along the others."""
    sizes = [1] * len(shape)
    for axis, n in zip(broadcast_dimensions, x.shape, strict=True):
        sizes[axis] = n
    spread = x if x.shape == tuple(sizes) else p.reshape(x, shape=tuple(sizes))
    return spread if spread.shape == tuple(shape) else p.broadcast_to(spread, shape=tuple(shape))


def reshape(x: Any, new_sizes: Ints, dimensions: Ints | None = None) -> Any:
    moved = x if dimensions is None else p.permute_dims(x, axes=tuple(dimensions))
    return p.reshape(moved, shape=tuple(new_sizes))


def squeeze(x: Any, dimensions: Ints) -> Any:
    gone = {d % x.ndim for d in dimensions}
    return p.reshape(x, shape=tuple(n for k, n in enumerate(x.shape) if k not in gone))


def transpose(x: Any, permutation: Ints) -> Any:
    return p.permute_dims(x, axes=tuple(permutation))


def rev(x: Any, dimensions: Ints) -> Any:
    return p.flip(x, axis=tuple(dimensions)) if dimensions else x


def concatenate(*xs: Any, dimension: int) -> Any:
    return p.concat(*xs, axis=dimension)


def stack(*xs: Any, axis: int = 0) -> Any:
    return f.stack(list(xs), axis)


def tile(x: Any, reps: Ints) -> Any:
    return f.tile(x, tuple(reps))


def iota(dtype: Any, shape: Ints, dimension: int) -> Any:
    """The number of each cell along one axis."""
    along = np.arange(shape[dimension], dtype=dtype).reshape([-1 if k == dimension else 1 for k in range(len(shape))])
    return np.array(np.broadcast_to(along, shape))


def slice_(x: Any, start_indices: Ints, limit_indices: Ints, strides: Ints | None = None) -> Any:
    steps = strides or (1,) * x.ndim
    return p.index(x, key=tuple(slice(*part) for part in zip(start_indices, limit_indices, steps, strict=True)))


def dynamic_slice(x: Any, *starts: Any, slice_sizes: Ints) -> Any:
    """A block of ``slice_sizes`` that begins at ``starts``, moved so far that it lies inside."""
    first = _inside(starts, x.shape, slice_sizes)
    return p.index(x, key=tuple(slice(a, a + n) for a, n in zip(first, slice_sizes, strict=True)))


def dynamic_update_slice(x: Any, update: Any, *starts: Any) -> Any:
    """x with the block that begins at ``starts``, moved so far that it lies inside, replaced by ``update``."""
    first = _inside(starts, x.shape, update.shape)
    width = tuple((a, n - a - m) for a, n, m in zip(first, x.shape, update.shape, strict=True))
    covered = p.pad(np.ones(update.shape, np.int8), width=width) > 0
    return p.where(covered, p.pad(update, width=width), x)


def _inside(starts: tuple[Any, ...], shape: Ints, sizes: Ints) -> list[int]:
    return [min(max(int(numbers(a)), 0), n - m) for a, n, m in zip(starts, shape, sizes, strict=True)]


def dilated(x: Any, steps: Ints) -> Any:
    """x with ``step - 1`` cells of 0 between two neighbours along each axis."""
    if all(step == 1 for step in steps):
        return x
    shape = tuple(max(0, (n - 1) * step + 1) for n, step in zip(x.shape, steps, strict=True))
    return p.scatter(x, key=tuple(slice(None, None, step) for step in steps), shape=shape)


def edged(x: Any, pairs: tuple[tuple[int, int], ...]) -> Any:
    """x with so many cells of 0 at the low and the high end of each axis; a negative number takes cells away."""
    cut = tuple((max(0, -low), max(0, -high)) for low, high in pairs)
    added = tuple((max(0, low), max(0, high)) for low, high in pairs)
    if any(map(any, cut)):
        x = p.crop(x, width=cut)
    return p.pad(x, width=added) if any(map(any, added)) else x


def pad(x: Any, value: Any, padding_config: tuple[tuple[int, int, int], ...]) -> Any:
    """x with ``value`` before, behind and between its cells, as (low, high, interior) says for each axis."""
    steps, pairs = [c + 1 for _, _, c in padding_config], tuple((low, high) for low, high, _ in padding_config)
    made = edged(dilated(x, tuple(steps)), pairs)
    if not isinstance(value, Tensor) and numbers(value) == 0:
        return made
    kept = edged(dilated(np.ones(x.shape, np.int8), tuple(steps)), pairs) > 0
    return p.where(kept, made, value)


def split(x: Any, sizes: Ints, axis: int) -> list[Any]:
    ends = np.cumsum(sizes).tolist()
    before = (slice(None),) * axis
    return [p.index(x, key=(*before, slice(end - n, end))) for n, end in zip(sizes, ends, strict=True)]


def sort(*xs: Any, dimension: int, is_stable: bool = True, num_keys: int = 1) -> list[Any]:
    """Every operand in the order that sorts the first ``num_keys`` of them, the first before the others."""
    places = np.lexsort([numbers(x) for x in xs[:num_keys]][::-1], axis=dimension)
    return [f.take_along_axis(x, places, dimension) for x in xs]


def top_k(x: Any, k: int, axis: int = -1) -> list[Any]:
    """The k largest along an axis, the largest first, and where they were; the first of equals comes first."""
    value, axis = numbers(x), axis % x.ndim
    last = np.flip(value, axis)
    order = value.shape[axis] - 1 - np.flip(np.argsort(last, axis=axis, kind="stable"), axis)
    places = np.take(order, np.arange(k), axis)
    return [f.take_along_axis(x, places, axis), places.astype(np.int32)]


def item(x: Any, k: int) -> Any:
    """What round k of a scan reads."""
    return p.index(x, key=(k,))


def stacked(*xs: Any) -> Any:
    """What the rounds of a scan made."""
    return f.stack(list(xs), 0)


def output(results: Any, k: int) -> Any:
    """One of several results."""
    return results[k]


def barrier(*xs: Any) -> list[Any]:
    return list(xs)


OPERATIONS: dict[str, Operation] = {
    "broadcast_in_dim": broadcast_in_dim, "reshape": reshape, "squeeze": squeeze, "transpose": transpose, "rev": rev,
    "concatenate": concatenate, "stack": stack, "tile": tile, "iota": iota, "slice": slice_,
    "dynamic_slice": dynamic_slice, "dynamic_update_slice": dynamic_update_slice, "pad": pad, "split": split,
    "sort": sort, "top_k": top_k, "item": item, "stacked": stacked, "output": output, "optimization_barrier": barrier,
}  # fmt: skip
