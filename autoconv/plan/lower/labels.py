"""Indexing: places that never change only move numbers; a label for each example is an instruction.

A loss picks one number of each example by reshaping (N, C) to (N * C,) and taking N places; its sweep puts N numbers
back.
"""

from __future__ import annotations

import numpy as np

from ...program.program import Line
from ..instructions import Choose, Place
from ..kernel import Input
from .lowering import Lowering


def merges(low: Lowering, i: int, line: Line, x: int, axis: int) -> bool:
    """A reshape (N, C, ..) -> (N * C ..,): it waits for a ``take`` that picks one number of each example."""
    assert line.primitive is not None
    if line.primitive.name != "reshape" or axis != 0 or len(line.shape) != 1:
        return False
    if not all(low.program.lines[r].primitive.name == "take" for r in low.readers[i]):  # type: ignore[union-attr]
        return False
    low.merged[i] = x
    return True  # nothing is made of it here


def take(low: Lowering, i: int, line: Line) -> bool:
    x, places = line.operands
    fixed, shape = low.program.lines[places].value, low.program.lines[places].shape
    found = low.operand(i, line) if fixed is not None and x not in low.merged else None
    if found is not None:
        assert fixed is not None
        registers, axis, kernel = found
        if axis == line.params["axis"]:
            return False
        moved = axis if axis < line.params["axis"] else axis + len(shape) - 1
        return low.place(i, np.take(registers, fixed, axis=line.params["axis"]), moved, kernel)
    if x not in low.merged or shape != (low.examples,) or low.program.lines[places].dtype != np.int64:
        return False
    flat = low.merged[x]
    kernel = low.open(max(low.kernel_for(flat), low.array(places) + 1))
    of_flat = low.laned(flat, 0, kernel)
    out, at = low.fresh((1,), kernel), low.kernels[kernel]
    number = at.input(Input(places, 0, places=True))
    at.instructions.append(Choose(i, [out], [of_flat.reshape(-1)], number))
    return low.place(i, out, 0, kernel)


def _collects(low: Lowering, i: int, line: Line, fixed: np.ndarray) -> bool:
    """scatter_add at places that are known when the plan is made: which register adds to which is known too."""
    found = low.operand(i, line)
    along = line.params["axis"]
    if found is None or along <= found[1] < along + fixed.ndim:
        return False
    registers, axis, kernel = found
    moved = axis if axis < along else axis - fixed.ndim + 1
    taken = registers.reshape(*registers.shape[:along], fixed.size, *registers.shape[along + fixed.ndim :])
    turn = np.arange(taken.ndim) == along
    terms = []
    for sources in _by_place(fixed.ravel(), line.params["size"]):
        there = np.where(turn, len(sources), 1)
        terms.append(np.where((sources >= 0).reshape(there), np.take(taken, sources, axis=along), 0))
    return low.add_up(i, terms, moved, kernel)


def _by_place(places: np.ndarray, size: int) -> list[np.ndarray]:
    """Which numbers come to each of ``size`` places: the first ones, the second ones, ..; -1 where there are fewer."""
    places = places % size
    order = np.argsort(places, kind="stable")
    turn = np.arange(len(places)) - np.searchsorted(places[order], places[order])
    found = np.full((int(turn.max(initial=0)) + 1, size), -1)
    found[turn, places[order]] = order
    return list(found)


def scatter_add(low: Lowering, i: int, line: Line) -> bool:
    x, places = line.operands
    at_places = low.program.lines[places]
    if at_places.value is not None:
        return _collects(low, i, line, at_places.value)
    whole = line.params["size"] // low.examples
    readers = [low.program.lines[r] for r in low.readers[i]]
    back = all(r.primitive.name == "reshape" and r.shape[:1] == (low.examples,) for r in readers)  # type: ignore[union-attr]
    if (
        at_places.shape != (low.examples,)
        or at_places.dtype != np.int64
        or line.params["axis"] != 0
        or len(line.shape) != 1
    ):
        return False
    if whole * low.examples != line.params["size"] or not back or i in low.program.outputs or not readers:
        return False
    kernel = low.open(max(low.kernel_for(x), low.array(places) + 1))
    registers = low.laned(x, 0, kernel)
    out, at = low.fresh((1, whole), kernel), low.kernels[kernel]
    number = at.input(Input(places, 0, places=True))
    at.instructions.append(Place(i, [out.reshape(-1)], [registers.reshape(-1)], number))
    for r in low.readers[i]:
        low.place(r, out.reshape(low.one(low.program.lines[r].shape, 0)), 0, kernel)
    low.merged[i] = i
    return True
