"""lax's gather and scatter: blocks of an array taken from, or put at, places that are numbers.

The places are looked at: a recording holds for these alone.  Both directions use one table, the number in x of each
cell of the blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ... import primitives as p
from ...tape import Array
from ..places import numbers

Operation = Callable[..., Any]
Ints = tuple[int, ...]
CLIP = "CLIP"


def gather(
    x: Any,
    indices: Any,
    dimension_numbers: Mapping[str, Ints],
    slice_sizes: Ints,
    mode: str,
    fill_value: Any = None,
) -> Any:
    """Blocks of ``slice_sizes`` from x, one for each vector along the last axis of ``indices``.

    A block that leaves x is moved inside in mode CLIP; otherwise it is NaN (of integers the smallest, of unsigned ones
    the largest number), or ``fill_value``.
    """
    numbered = {k: dimension_numbers[k] for k in ("collapsed_slice_dims", "start_index_map", "operand_batching_dims",
                                                  "start_indices_batching_dims")}  # fmt: skip
    cells, within = _cells(x.shape, numbers(indices), slice_sizes, mode, **numbered)
    offset = dimension_numbers["offset_dims"]
    cells, within = _placed(cells, offset), _placed(within, offset)
    taken: Any
    if not cells.size or not x.size:
        taken = np.zeros(cells.shape, x.dtype)
    else:
        taken = p.take(p.reshape(x, shape=(x.size,)), cells, axis=0)
    if mode == CLIP or within.all():
        return taken
    if fill_value is None:
        kinds = {"f": lambda: np.nan, "i": lambda: np.iinfo(x.dtype).min, "u": lambda: np.iinfo(x.dtype).max}
        fill_value = kinds.get(x.dtype.kind, lambda: True)()
    return p.where(np.broadcast_to(within, cells.shape), taken, np.array(fill_value, x.dtype))


def _scattered(combine: Callable[[Any, Any, Array, Array], Any]) -> Operation:
    """x with blocks put in: ``combine(x, updates, cells, within)`` on flat x, flat updates and the cells they go to."""

    def operation(x: Any, indices: Any, updates: Any, dimension_numbers: Mapping[str, Ints], mode: str) -> Any:
        window = dimension_numbers["update_window_dims"]
        collapsed = dimension_numbers["inserted_window_dims"]
        batching = dimension_numbers["operand_batching_dims"]
        sizes = iter([updates.shape[k] for k in window])
        block = tuple(1 if k in (*collapsed, *batching) else next(sizes) for k in range(x.ndim))
        cells, within = _cells(
            x.shape, numbers(indices), block, mode, collapsed, dimension_numbers["scatter_dims_to_operand_dims"],
            batching, dimension_numbers["scatter_indices_batching_dims"],
        )  # fmt: skip
        cells, within = _placed(cells, window), _placed(within, window)
        within = np.array(np.broadcast_to(within, cells.shape)).reshape(-1)
        flat = combine(
            p.reshape(x, shape=(x.size,)), p.reshape(updates, shape=(updates.size,)), cells.reshape(-1), within
        )
        return p.reshape(flat, shape=x.shape)

    return operation


def _added(x: Any, updates: Any, cells: Array, within: Array) -> Any:
    kept = updates if within.all() else p.where(within, updates, np.zeros((), updates.dtype))
    return p.add(x, p.scatter_add(kept, cells, axis=0, size=x.size))


def _put(x: Any, updates: Any, cells: Array, within: Array) -> Any:
    """Where several updates name one cell, the last one is there."""
    source = np.full(x.size, -1)
    source[cells[within]] = np.arange(cells.size)[within]
    if not cells.size:
        return x
    return p.where(source >= 0, p.take(updates, np.maximum(source, 0), axis=0), x)


def _cells(
    shape: Ints,
    indices: Array,
    block: Ints,
    mode: str,
    collapsed_slice_dims: Ints,
    start_index_map: Ints,
    operand_batching_dims: Ints,
    start_indices_batching_dims: Ints,
) -> tuple[Array, Array]:
    """The number in an array of ``shape`` of every cell of every block, and which blocks lie inside.

    Both have the batch axes of ``indices`` (all but its last) and then the axes of a block that are not collapsed.
    """
    batch = indices.shape[:-1]
    own = [k for k in range(len(shape)) if k not in (*collapsed_slice_dims, *operand_batching_dims)]
    within = np.ones(batch, bool)
    cells = np.zeros((*batch, *[block[k] for k in own]), np.int64)
    strides = [int(np.prod(shape[k + 1 :], dtype=np.int64)) for k in range(len(shape))]
    for number, k in enumerate(start_index_map):
        start = indices[..., number].astype(np.int64)
        last = shape[k] - block[k]
        within &= (start >= 0) & (start <= last)
        cells += (np.clip(start, 0, max(last, 0)) * strides[k]).reshape((*batch, *[1] * len(own)))
    for k, axis in zip(operand_batching_dims, start_indices_batching_dims, strict=True):
        along = np.arange(shape[k]).reshape([-1 if i == axis else 1 for i in range(cells.ndim)])
        cells += along * strides[k]
    for place, k in enumerate(own):
        along = np.arange(block[k]).reshape([-1 if i == len(batch) + place else 1 for i in range(cells.ndim)])
        cells += along * strides[k]
    return cells, np.ones_like(within).reshape((*batch, *[1] * len(own))) if mode == CLIP else within.reshape(
        (*batch, *[1] * len(own))
    )


def _placed(x: Array, offset: Ints) -> Array:
    """The batch axes and then a block's, with the block's moved to where the result has them."""
    first = x.ndim - len(offset)
    return np.moveaxis(x, range(first, x.ndim), offset) if offset else x


OPERATIONS: dict[str, Operation] = {
    "gather": gather, "scatter": _scattered(_put), "scatter-add": _scattered(_added), "scatter_add": _scattered(_added),
}  # fmt: skip
