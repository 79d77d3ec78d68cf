"""Which lines or scalars are drawn: slices, that is, what a focus was computed from, or what was computed from it.

Masks of scalars are made block by block in NumPy, so that they can count what a tape of a million scalars would show.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...scalar import KINDS, FlatTape
from ...tape import Tape, Tensor
from ..element import resolve
from ..lines import is_number

DIRECTIONS = ("up", "down", "both")


# ---- lines


def slice_lines(tape: Tape, focus: list[Tensor], direction: str) -> set[int]:
    """The ids of ``focus`` and of the lines that it was computed from ("up"), that were computed from it ("down"), or
    both.
    """
    up = {id(x) for x in focus}
    down = set(up)
    for line in reversed(tape):
        if id(line) in up:
            up.update(id(x) for x in line.operands)
    for line in tape:
        if any(id(x) in down for x in line.operands):
            down.add(id(line))
    return {"up": up, "down": down, "both": up | down}[direction]


# ---- scalars


def focused(flat: FlatTape, tape: Tape | None, focus: tuple[Any, ...]) -> np.ndarray:
    """The scalars that the focus means."""
    found: list[int] = []
    for thing in focus:
        if tape is not None:
            line, elements = resolve(thing, tape)
            found += flat.scalars(line).ravel()[elements].tolist()
        else:
            if not isinstance(thing, KINDS):
                raise TypeError(f"focus: the graph is of a Scalar, so a Scalar is needed, found {type(thing).__name__}")
            mine = flat.numbers_of(thing)
            if not mine:
                raise ValueError(
                    f"focus: {thing!r} is not an input of this Scalar, nor on the way to it; give one that is"
                )
            found += mine
    return np.array([i for i in found if i], np.int64)


def slice_of(flat: FlatTape, scalars: np.ndarray, direction: str) -> np.ndarray:
    """The mask of a slice: "up" is what the focus was computed from, "down" what was computed from it."""
    up = ancestors(flat, scalars) if direction != "down" else False
    down = descendants(flat, scalars) if direction != "up" else False
    return np.asarray(up | down)


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


def stretches(flat: FlatTape) -> Iterator[tuple[int, int]]:
    """(first, end) of scalars that do not read each other, in order; block by block where there are blocks."""
    if flat.blocks:
        yield from ((block.first, block.first + block.count) for block in flat.blocks)
    else:
        yield from ((i, i + 1) for i in range(len(flat)))


def written(flat: FlatTape) -> np.ndarray:
    """A mask of numbers that stand in the program (the 2 of ``x / 2``, the zero of padding): part of a formula, no
    node.
    """
    mask = np.zeros(len(flat), bool)
    mask[0] = True
    for block in flat.blocks:
        if block.operation.name == "constant":
            mask[block.first : block.first + block.count] = is_number(block.line)
    if not flat.blocks:
        codes = [k for k, o in enumerate(flat.operations) if o.name == "constant"]
        mask |= np.isin(flat.operation, codes)
    return mask
