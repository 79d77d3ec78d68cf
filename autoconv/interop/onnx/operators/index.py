"""ONNX's operators that read and write by index, sort and count along an axis."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .... import functional as f
from .... import primitives as p
from ....tape import Array, Tensor
from ...places import numbers
from .known import axis_of, integer, known

Operation = Callable[..., Any]


def gather(x: Any, indices: Any, *, axis: int = 0) -> Any:
    """The slices of x at these places of an axis; negative ones count from its end."""
    axis = axis_of(axis, x.ndim, "axis")
    if isinstance(indices, Tensor):
        n = x.shape[axis]
        return f.take(x, p.where(p.less(indices, 0), p.add(indices, n), indices), axis)
    places = _places(indices, x.shape[axis])
    if places.ndim == 0:
        return p.index(x, key=(*(slice(None),) * axis, int(places)))
    return f.take(x, places, axis)


def _places(indices: Any, n: int) -> Array:
    """Indices counted from the front; ValueError for one that is not there."""
    places = numbers(indices)
    if places.dtype.kind not in "iu":
        raise ValueError(f"indices must be whole numbers, found dtype {places.dtype}")
    if places.size and not (-n <= int(places.min()) and int(places.max()) < n):
        raise ValueError(f"indices {places.min()} .. {places.max()} along an axis of size {n}")
    return np.where(places < 0, places + n, places).astype(np.intp)


def gather_elements(x: Any, indices: Any, *, axis: int = 0) -> Any:
    """y[.., i, ..] = x[.., indices[.., i, ..], ..]."""
    axis = axis_of(axis, x.ndim, "axis")
    return f.gather(x, axis, _places(indices, x.shape[axis]))


def _cells(x: Any, indices: Any, batch_dims: int = 0) -> Array:
    """The numbers, in the flattened x, of the cells that the rows of ``indices`` name."""
    places = numbers(indices)
    if not 0 <= batch_dims < max(min(x.ndim, places.ndim), 1) or not places.ndim or places.dtype.kind not in "iu":
        raise ValueError(f"indices of shape {places.shape} and dtype {places.dtype} with batch_dims={batch_dims}")
    width = places.shape[-1]
    if batch_dims + width > x.ndim or places.shape[:batch_dims] != x.shape[:batch_dims]:
        raise ValueError(f"indices of shape {places.shape} do not fit an input of shape {x.shape}")
    batch = x.shape[:batch_dims]
    parts = [np.broadcast_to(i.reshape(i.shape + (1,) * (places.ndim - 1 - batch_dims)), places.shape[:-1])
             for i in np.indices(batch, sparse=False)] if batch else []  # fmt: skip
    parts += [_places(places[..., k], x.shape[batch_dims + k]) for k in range(width)]
    return np.arange(x.size).reshape(x.shape)[tuple(parts)]


def gather_nd(x: Any, indices: Any, *, batch_dims: int = 0) -> Any:
    """y[i..] = x[indices[i.., :]], after batch_dims axes that both share."""
    return f.take(f.reshape(x, (-1,)), _cells(x, indices, batch_dims), 0)


def _written(x: Any, cells: Array, updates: Any, reduction: str) -> Any:
    """x with ``updates`` put into its cells, of several for one the last; or added, multiplied, compared."""
    rows = {"add": p.add, "mul": p.mul, "max": p.maximum, "min": p.minimum}
    if reduction != "none" and reduction not in rows:
        raise ValueError(f"reduction {reduction!r}; there are none, {', '.join(rows)}")
    if cells.shape != updates.shape:
        raise ValueError(f"updates of shape {updates.shape} for cells of shape {cells.shape}")
    if not cells.size:
        return x
    flat, news, shape = f.reshape(x, (-1,)), f.reshape(updates, (-1,)), x.shape
    cells = cells.reshape(-1)
    if reduction == "add" and x.dtype.kind == "f":
        return f.reshape(p.add(flat, p.scatter_add(news, cells, axis=0, size=flat.size)), shape)
    rounds = np.zeros(cells.size, int) if reduction == "none" else _rounds(cells)
    for k in range(int(rounds.max()) + 1):  # each cell once in a round
        source = np.full(flat.size, -1)
        source[cells[rounds == k]] = np.flatnonzero(rounds == k)
        new = f.take(news, np.maximum(source, 0), 0)
        flat = p.where(source >= 0, new if reduction == "none" else rows[reduction](flat, new), flat)
    return f.reshape(flat, shape)


def _rounds(cells: Array) -> Array:
    """For each place: how many earlier ones name the same cell."""
    order = np.argsort(cells, kind="stable")
    ranked = cells[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    counts = np.diff(np.append(starts, cells.size))
    rounds = np.empty(cells.size, int)
    rounds[order] = np.arange(cells.size) - np.repeat(starts, counts)
    return rounds


def scatter_elements(x: Any, indices: Any, updates: Any, *, axis: int = 0, reduction: str = "none") -> Any:
    """x with y[.., indices[.., i, ..], ..] = updates[.., i, ..]."""
    axis = axis_of(axis, x.ndim, "axis")
    places = _places(indices, x.shape[axis])
    sizes = zip(x.shape, places.shape, strict=False)
    if places.ndim != x.ndim or any(m > n for k, (n, m) in enumerate(sizes) if k != axis):
        raise ValueError(f"indices of shape {places.shape} do not fit an input of shape {x.shape}")
    parts = list(np.indices(places.shape, sparse=True))
    parts[axis] = places
    return _written(x, np.arange(x.size).reshape(x.shape)[tuple(parts)], updates, reduction)


def scatter_nd(x: Any, indices: Any, updates: Any, *, reduction: str = "none") -> Any:
    """x with y[indices[i.., :]] = updates[i..]."""
    return _written(x, _cells(x, indices), updates, reduction)


def cumsum(x: Any, axis: Any, *, exclusive: int = 0, reverse: int = 0) -> Any:
    """Running sums along an axis, from its end with ``reverse``, each without its own element with ``exclusive``."""
    place = axis_of(integer(axis, "the axis"), x.ndim, "axis")
    y = f.flip(x, place) if reverse else x
    y = f.cumsum(y, place)
    if exclusive:
        n = x.shape[place]
        y = f.pad(y, [(1, 0) if i == place else (0, 0) for i in range(x.ndim)])
        y = p.index(y, key=(*(slice(None),) * place, slice(0, n)))
    y = f.flip(y, place) if reverse else y
    return y if y.dtype == x.dtype else p.cast(y, dtype=x.dtype)


def top_k(x: Any, k: Any, *, axis: int = -1, largest: int = 1, sorted: int = 1, outputs: int) -> tuple[Any, Any]:
    """(values, places) of the k largest along an axis, the largest first and the first of equal ones."""
    place = axis_of(axis, x.ndim, "axis")
    n, count = x.shape[place], integer(k, "k")
    if not 0 <= count <= n:
        raise ValueError(f"k={count} of an axis of size {n}")
    values, chosen = f.topk(x, count, place, bool(largest))
    return values, numbers(chosen)


def arg(function: Operation) -> Operation:
    """ArgMax and ArgMin: the first place along an axis, or the last."""

    def operation(x: Any, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Array:
        place = axis_of(axis, x.ndim, "axis")
        if not x.shape[place]:
            raise ValueError(f"no element along axis {place} of shape {x.shape}")
        found = np.asarray(function(f.flip(x, place) if select_last_index else x, place), np.int64)
        found = x.shape[place] - 1 - found if select_last_index else found
        return np.expand_dims(found, place) if keepdims else found

    return operation


def nonzero(x: Any) -> Array:
    """The places of what is not 0, one row for each axis."""
    found = np.nonzero(np.atleast_1d(known(x, "how many elements are not 0")))
    return np.array(found if x.ndim else found[:0], np.int64).reshape(x.ndim, -1 if x.ndim else math.prod(x.shape))


OPERATIONS: dict[str, Operation] = {
    "Gather": gather, "GatherElements": gather_elements, "GatherND": gather_nd, "ScatterElements": scatter_elements,
    "Scatter": scatter_elements, "ScatterND": scatter_nd, "CumSum": cumsum, "TopK": top_k, "ArgMax": arg(f.argmax),
    "ArgMin": arg(f.argmin), "NonZero": nonzero,
}  # fmt: skip
