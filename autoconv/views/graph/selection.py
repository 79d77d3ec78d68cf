"""Which scalars of a flat tape are drawn: slices (what a focus came from, or what came from it) and folds (equal structure).

All of it runs block by block in NumPy, so that it can count what a tape of a million scalars would show.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...render.roles import is_number
from ...scalar import FlatTape
from ...scalar.blocks import SUM, Operation

DIRECTIONS = ("up", "down", "both")


def stretches(flat: FlatTape) -> Iterator[tuple[int, int]]:
    """(first, end) of scalars that do not read each other, in order; block by block where there are blocks."""
    if flat.blocks:
        yield from ((block.first, block.first + block.count) for block in flat.blocks)
    else:
        yield from ((i, i + 1) for i in range(len(flat)))


def ancestors(flat: FlatTape, scalars: np.ndarray) -> np.ndarray:
    """A mask of ``scalars`` and all that they were computed from."""
    marked = np.zeros(len(flat), bool)
    marked[scalars] = True
    for first, end in reversed(list(stretches(flat))):
        low, high = flat.start[first], flat.start[end]
        if high > low and marked[first:end].any():
            reading = np.repeat(marked[first:end], np.diff(flat.start[first : end + 1]))
            marked[flat.operands[low:high][reading]] = True
    return marked


def descendants(flat: FlatTape, scalars: np.ndarray) -> np.ndarray:
    """A mask of ``scalars`` and all that was computed from them."""
    marked = np.zeros(len(flat), bool)
    marked[scalars] = True
    for first, end in stretches(flat):
        low, high = flat.start[first], flat.start[end]
        if high > low:
            marked[first:end] |= np.logical_or.reduceat(marked[flat.operands[low:high]], flat.start[first:end] - low)
    return marked


def slice_of(flat: FlatTape, scalars: np.ndarray, direction: str) -> np.ndarray:
    """The mask of a slice: "up" is what the focus was computed from, "down" what was computed from it."""
    up = ancestors(flat, scalars) if direction != "down" else False
    down = descendants(flat, scalars) if direction != "up" else False
    return np.asarray(up | down)


def written(flat: FlatTape) -> np.ndarray:
    """A mask of numbers that stand in the program (the 2 of ``x / 2``, the zero of padding): part of a formula, no node."""
    mask = np.zeros(len(flat), bool)
    mask[0] = True
    for block in flat.blocks:
        if block.operation.name == "constant":
            mask[block.first : block.first + block.count] = is_number(block.line)
    if not flat.blocks:
        codes = [k for k, o in enumerate(flat.operations) if o.name == "constant"]
        mask |= np.isin(flat.operation, codes)
    return mask


def classes(flat: FlatTape) -> np.ndarray:
    """The class of each scalar: same line, same operation, operands of the same classes; a number for each, from 0.

    All elements of an input are one class.  A sum is told by how many terms it has of each class.
    """
    found = np.zeros(len(flat), np.int64)
    known: dict[tuple[int, ...], int] = {}
    mix = np.random.default_rng(0).integers(1, 2**62, size=64, dtype=np.int64)
    for number, (first, end) in enumerate(stretches(flat)):
        operation = flat.operations[int(flat.operation[first])]
        low, high = flat.start[first], flat.start[end]
        block = number if flat.blocks else -int(flat.operation[first]) - 1
        if high == low:
            keys = np.zeros((end - first, 1), np.int64)
        else:
            keys = _keys(operation, found[flat.operands[low:high]], np.diff(flat.start[first : end + 1]), mix)
        first_of, back = _numbered(keys)
        codes = [known.setdefault((block, *key), len(known)) for key in keys[first_of].tolist()]
        found[first:end] = np.array(codes)[back]
    return found


def _numbered(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(a row of each kind, the kind of each row): what np.unique finds over rows, one column after the other."""
    number = np.zeros(len(keys), np.int64)
    first = number[:1]
    for column in keys.T:
        values = np.unique(column, return_inverse=True)[1].ravel()
        _, first, number = np.unique(number * (int(values.max()) + 1) + values, return_index=True, return_inverse=True)
    return first, number.ravel()


def _keys(operation: Operation, read: np.ndarray, arity: np.ndarray, mix: np.ndarray) -> np.ndarray:
    """What tells the scalars of one block apart: the classes they read, in order; of a sum, in any order."""
    if operation is not SUM:
        return read.reshape(len(arity), -1)
    with np.errstate(over="ignore"):
        spread = (read + 1) * mix[0]
        spread ^= spread >> 31
        spread *= mix[1]
        starts = np.concatenate([[0], np.cumsum(arity)[:-1]])
        return np.stack([arity.astype(np.int64), np.add.reduceat(spread, starts)], axis=-1)
