"""The flat tape of a Scalar: what it was computed from, gathered out of the segments of its recording."""

from __future__ import annotations

from typing import Any

import numpy as np

from .blocks import CONSTANT, Array
from .recording import Segment
from .rules import LEAF, OLDER, OPERATIONS
from .scalar import Scalar
from .tape import FlatTape

ARITY = np.array([operation.arity for operation in OPERATIONS], np.int32)
COMPILED = np.dtype([("da", "f8"), ("db", "f8"), ("a", "u4"), ("b", "u4")])  # Row of native/scalar.h


def flatten(y: Scalar) -> FlatTape:
    """Only what ``y`` depends on, in recording order; inputs stand where they were first read, numbers are constants.

    A Scalar that was given a new value between two readings is two inputs of one name.
    """
    gathered = _Gathered()
    place = y._place
    if place is None:
        gathered.write(np.array([LEAF]), np.zeros(1, np.int32), np.zeros(0, np.int32), np.zeros(0), np.array([y._v]))
        gathered.leaves[1] = y
    else:
        for segment, marks in _needed(*place):
            gathered.add(segment, marks)
    return gathered.tape()


def _needed(home: Any, i: int) -> list[tuple[Any, Array]]:
    """The segments that row ``i`` of ``home`` depends on, oldest first, with a mark for each row it needs."""
    asked: dict[int, tuple[Any, set[int]]] = {home.serial: (home, {i})}
    done: list[tuple[Any, Array]] = []
    while asked:
        segment, rows = asked.pop(max(asked))
        marks = np.frombuffer(segment.needed(rows), np.bool_)
        for row, older, j in segment.older:
            if marks[row]:
                asked.setdefault(older.serial, (older, set()))[1].add(j)
        done.append((segment, marks))
    return done[::-1]


def _columns(segment: Any, rows: Array) -> tuple[Array, ...]:
    """Operation, operands, derivatives and value of the rows."""
    if isinstance(segment, Segment):
        return segment.columns(rows)
    table = np.frombuffer(segment.bytes(), COMPILED)[rows]
    code, b = table["b"] >> 24, table["b"] & 0xFFFFFF
    value = np.frombuffer(segment.values())[rows]
    return code.astype(np.intp), table["a"].astype(np.intp), b.astype(np.intp), table["da"], table["db"], value


class _Gathered:
    """The flat tape under construction, segment by segment, with new numbers from 1."""

    def __init__(self) -> None:
        self.codes, self.arity = [np.array([len(OPERATIONS)])], [np.zeros(1, np.int32)]
        self.operands, self.slopes, self.values = [np.zeros(0, np.int32)], [np.zeros(0)], [np.zeros(1)]
        self.count = 1
        self.leaves: dict[int, Scalar] = {}
        self.names: dict[int, str] = {}
        self.inputs: dict[tuple[int, float], int] = {}
        self.places: dict[int, Array] = {}

    def write(self, codes: Array, arity: Array, operands: Array, slopes: Array, values: Array) -> None:
        parts: tuple[list[Any], ...] = (self.codes, self.arity, self.operands, self.slopes, self.values)
        for whole, part in zip(parts, (codes, arity, operands, slopes, values), strict=True):
            whole.append(part)
        self.count += len(codes)

    def add(self, segment: Any, marks: Array) -> None:
        """The marked rows of one segment: constants stand before the operation that reads them."""
        rows = np.flatnonzero(marks)
        code, a, b, da, db, value = _columns(segment, rows)
        arity = ARITY[code]
        constant = np.stack([(arity > 0) & (a == 0), (arity > 1) & (b == 0)], axis=-1)
        read = dict(segment.leaves)
        keys = {k: (id(read[int(rows[k])]), float(value[k])) for k in np.flatnonzero(code == LEAF).tolist()}
        first = {key: k for k, key in reversed(keys.items()) if key not in self.inputs}
        made = np.where(code == OLDER, 0, 1 + constant.sum(axis=-1))
        made[[k for k, key in keys.items() if first.get(key) != k]] = 0
        last = self.count + np.cumsum(made) - 1
        for key, k in first.items():
            self.inputs[key] = int(last[k])
            self.leaves[int(last[k])] = read[int(rows[k])]
        place = self.places[segment.serial] = np.zeros(len(marks), np.int32)
        place[rows] = last
        for k, key in keys.items():
            place[rows[k]] = self.inputs[key]
        for row, home, i in segment.older:
            if marks[row]:
                place[row] = self.places[home.serial][i]
        self.names |= {int(place[row]): name for row, name in segment.names.items() if marks[row]}
        operands, slopes = np.stack([place[a], place[b]], axis=-1), np.stack([da, db], axis=-1)

        # scalar "last" of each row, and just before it the numbers that it reads
        size, kept = int(made.sum()), made > 0
        codes, count, values = np.full(size, len(OPERATIONS)), np.zeros(size, np.int32), np.zeros(size)
        at = last[kept] - self.count
        codes[at], count[at], values[at] = code[kept], arity[kept], value[kept]
        for side in (0, 1):
            here = constant[:, side]
            operands[here, side] = last[here] - constant[here, side:].sum(axis=-1)
            values[operands[here, side] - self.count] = slopes[here, side]
            slopes[here, side] = 0.0
        used = np.arange(2) < arity[:, None]
        self.write(codes, count, operands[used].astype(np.int32), slopes[used], values)

    def tape(self) -> FlatTape:
        return FlatTape(
            operations=[*OPERATIONS, CONSTANT],
            operation=np.concatenate(self.codes).astype(np.uint16),
            start=np.concatenate([[0], *self.arity]).cumsum(dtype=np.int32),
            operands=np.concatenate(self.operands),
            slope=np.concatenate(self.slopes),
            value=np.concatenate(self.values),
            output=np.array(self.count - 1),
            places=self.places,
            leaves=self.leaves,
            names=self.names,
        )
