"""The flat tape of a Scalar: what it was computed from, gathered out of the segments of its recording."""

from __future__ import annotations

from typing import Any

import numpy as np

from .blocks import CONSTANT
from .recording import WIDTH, Segment
from .rules import LEAF, OLDER, OPERATIONS
from .scalar import Scalar
from .tape import FlatTape


def flatten(y: Scalar) -> FlatTape:
    """Only what ``y`` depends on, in recording order; inputs stand where they were first read, numbers are constants.

    A Scalar that was given a new value between two readings is two inputs of one name.
    """
    rows: list[Any] = [(LEAF, (), (), y._v)]
    leaves, names = {1: y}, dict[int, str]()
    if y._grad is None:
        rows, leaves, names = _gathered(_needed(y._home, y._i))
    rows = [(len(OPERATIONS), (), (), 0.0), *rows]
    ends = np.cumsum([0, *[len(operands) for _, operands, _, _ in rows]], dtype=np.int32)
    return FlatTape(
        operations=[*OPERATIONS, CONSTANT],
        operation=np.array([code for code, _, _, _ in rows], np.uint16),
        start=ends,
        operands=np.array([i for _, operands, _, _ in rows for i in operands], np.int32),
        slope=np.array([d for _, _, slopes, _ in rows for d in slopes], np.float64),
        value=np.array([value for _, _, _, value in rows], np.float64),
        output=np.array(len(rows) - 1),
        leaves=leaves,
        names=names,
    )


def _needed(home: Segment, i: int) -> list[tuple[Segment, list[int]]]:
    """The segments and their rows that row ``i`` of ``home`` depends on, oldest first."""
    asked: dict[int, tuple[Segment, set[int]]] = {home.serial: (home, {i})}
    done: list[tuple[Segment, list[int]]] = []
    while asked:
        segment, asked_rows = asked.pop(max(asked))
        marked = segment.ancestors(asked_rows)
        for row, older, j in segment.older:
            if row in marked:
                asked.setdefault(older.serial, (older, set()))[1].add(j)
        done.append((segment, sorted(marked)))
    return done[::-1]


def _gathered(needed: list[tuple[Segment, list[int]]]) -> tuple[list[Any], dict[int, Scalar], dict[int, str]]:
    """The rows as (operation, operands, slopes, value) with new numbers from 1, and the inputs and names by number."""
    made: list[Any] = []
    leaves: dict[int, Scalar] = {}
    names: dict[int, str] = {}
    places: dict[int, dict[int, int]] = {}
    inputs: dict[tuple[int, float], int] = {}
    for segment, rows in needed:
        number = places[segment.serial] = {}
        read = dict(segment.leaves)
        older = {
            row: places[home.serial][i]
            for row, home, i in segment.older
            if home.serial in places and i in places[home.serial]
        }
        for row in rows:
            code, a, b, da, db, value = segment.rows[WIDTH * row : WIDTH * (row + 1)]
            if code == OLDER:
                number[row] = older[row]
                continue
            if code == LEAF:
                key = (id(read[row]), value)
                if key not in inputs:
                    made.append((LEAF, (), (), value))
                    inputs[key] = len(made)
                    leaves[len(made)] = read[row]
                number[row] = inputs[key]
                continue
            operands = []
            for i, slope in ((a, da), (b, db))[: OPERATIONS[code].arity]:
                if not i:
                    made.append((len(OPERATIONS), (), (), slope))
                operands.append(number[i] if i else len(made))
            made.append((code, tuple(operands), (da if a else 0.0, db if b else 0.0)[: len(operands)], value))
            number[row] = len(made)
            if row in segment.names:
                names[len(made)] = segment.names[row]
    return made, leaves, names
