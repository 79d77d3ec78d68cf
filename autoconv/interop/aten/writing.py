"""ATen's operations that write into an array: here they give a copy with what was written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ... import functional as f
from ... import primitives as p
from ..places import numbers
from .elementwise import true
from .shape import axis_of, expand, slice_
from .types import array, cast

Operation = Callable[..., Any]


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
    key = tuple(slice(None) if i is None else numbers(i) for i in indices)
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
    places = numbers(index)
    grid: list[Any] = list(np.indices(places.shape, sparse=True))
    grid[axis_of(dim, x.ndim)] = places
    return grid


def _cut(src: Any, index: Any) -> Any:
    for axis, n in enumerate(numbers(index).shape):
        src = slice_(src, axis, 0, n)
    return src


def masked_scatter(x: Any, mask: Any, source: Any) -> Any:
    """x with the elements of ``source``, in their order, where the mask holds."""
    there = np.broadcast_to(numbers(true(mask)), x.shape)
    return index_put(x, list(np.nonzero(there)), slice_(f.reshape(source, (-1,)), 0, 0, int(there.sum())))


def index_add(x: Any, dim: int, index: Any, src: Any, alpha: float = 1) -> Any:
    axis = axis_of(dim, x.ndim)
    src = p.mul(src, alpha) if alpha != 1 else src
    return index_put(x, [*(None,) * axis, index], src, True)


OPERATIONS: dict[str, Operation] = {
    "slice_scatter": slice_scatter,
    "select_scatter": select_scatter,
    "copy": copy,
    "fill": fill,
    "zero": zero,
    "index_put": index_put,
    "_unsafe_index_put": index_put,
    "scatter": scatter,
    "scatter_add": scatter_add,
    "index_add": index_add,
    "masked_scatter": masked_scatter,
}
