"""Which line of one run has its numbers in the other: the same elements, whatever their shape and order.

Equal values are strong evidence: no two different steps of a network give the same thousand numbers by chance.  From
the
matched lines it follows where the runs part: a line is *open* if its numbers are not there and a path of such lines
leads
from it to an output that differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import permutations
from typing import Any

import numpy as np

from ..tape import Array
from .side import Side, largest

MOST_AXES = 6  # of which every order is tried


class Numbers:
    """The lines' values of a run, to be found by value: sums first, then the sorted elements."""

    def __init__(self, side: Side, moved: float) -> None:
        self.side = side
        self.bounds = side.rounding(moved)
        by_size: dict[int, list[int]] = {}
        for i, value in enumerate(side.values):
            by_size.setdefault(value.size, []).append(i)
        self.sorted = lru_cache(maxsize=256)(self._sorted)
        # by size: the lines, and their least, largest and mean elements beside how far these may be off
        self.groups = {
            size: (
                np.array(lines),
                np.array([_marks(side.values[i]) for i in lines]),
                np.array([self.bounds[i] for i in lines]),
            )
            for size, lines in by_size.items()
        }

    def _sorted(self, i: int) -> Array:
        return np.sort(np.asarray(self.side.values[i], float).ravel())

    def equal(self, value: Array, bound: float, among: Iterable[int] | None = None) -> Iterator[int]:
        """The lines (of ``among``, if given) with the elements of ``value``, which may be off by ``bound``."""
        if value.size not in self.groups:
            return
        wanted = None if among is None else set(among)
        lines, marks, bounds = self.groups[value.size]
        mark, ordered = np.array(_marks(value)), None
        with np.errstate(all="ignore"):
            near = (
                (np.abs(marks - mark) <= (bound + bounds)[:, None])
                | (marks == mark)
                | (np.isnan(marks) & np.isnan(mark))
            )
        for i in map(int, lines[near.all(1)]):
            if wanted is not None and i not in wanted:
                continue
            slack = bound + self.bounds[i]
            if ordered is None:
                ordered = np.sort(np.asarray(value, float).ravel())
            if same(ordered, self.sorted(i), slack):
                yield i


def _marks(value: Array) -> tuple[float, float, float]:
    flat = np.asarray(value, float).ravel()
    if not flat.size:
        return 0.0, 0.0, 0.0
    with np.errstate(all="ignore"):
        return float(np.min(flat)), float(np.max(flat)), float(np.mean(flat))


def same(p: Any, q: Any, slack: float) -> bool:
    """Elements equal but for ``slack``; infinities and NaN in the same places."""
    with np.errstate(all="ignore"):
        return bool(np.all((np.abs(p - q) <= slack) | (p == q) | (np.isnan(p) & np.isnan(q))))


def turned(value: Array, like: Array, slack: float) -> tuple[int, ...] | None:
    """An order of the axes of ``value`` in which it equals ``like``; None if there is none."""
    if value.ndim == like.ndim and value.ndim <= MOST_AXES:
        for axes in permutations(range(value.ndim)):
            if tuple(value.shape[a] for a in axes) == like.shape and same(value.transpose(axes), like, slack):
                return axes
    return None


class Match:
    """a's lines against b's: ``partner[i]`` is b's line with the numbers of a's line i, and so the other way round."""

    def __init__(self, a: Side, b: Side, moved: float) -> None:
        self.a, self.b, self.moved = a, b, moved
        self.numbers = Numbers(a, moved), Numbers(b, moved)
        self.partner = self._partners(a, 0), self._partners(b, 1)
        self.outputs = [self._agrees(i, k) for i, k in zip(a.outputs, b.outputs, strict=False)]

    def slack(self, i: int, k: int) -> float:
        return self.numbers[0].bounds[i] + self.numbers[1].bounds[k]

    def _partners(self, side: Side, which: int) -> dict[int, int]:
        other = self.numbers[1 - which]
        partner: dict[int, int] = {}
        for i, value in enumerate(side.values):
            candidates = list(other.equal(value, self.numbers[which].bounds[i]))
            if candidates:
                row, share = side.row(i), i / len(side.lines)
                total = len(other.side.lines)
                partner[i] = min(candidates, key=lambda k: (other.side.row(k) != row, abs(k / total - share)))
        return partner

    def _agrees(self, i: int, k: int) -> bool:
        """Whether two outputs are the same array, or one with its axes in another order."""
        return turned(self.a.values[i], self.b.values[k], self.slack(i, k)) is not None

    @property
    def agree(self) -> bool:
        return len(self.a.outputs) == len(self.b.outputs) and all(self.outputs)

    def open_lines(self, which: int) -> list[int]:
        """The open lines of a (0) or b (1), in order."""
        side = (self.a, self.b)[which]
        settled: list[bool] = []
        for i, operands in enumerate(side.operands):
            row = side.lines[i].primitive
            only_moved = row is not None and row.group == "wiring" and not row.adds
            settled.append(
                row is None or i in self.partner[which] or (only_moved and all(settled[k] for k in operands))
            )
        there = set()
        for j, i in enumerate(side.outputs):
            if j >= len(self.outputs) or not self.outputs[j]:
                there.add(i)
        reached = {i for i in there if not settled[i]}
        for i in range(len(side.lines) - 1, -1, -1):
            if i in reached:
                reached |= {k for k in side.operands[i] if not settled[k]}
        return sorted(reached)

    def frontier(self, which: int) -> list[int]:
        """The open lines that read no open line: here the runs part."""
        opened = set(self.open_lines(which))
        side = (self.a, self.b)[which]
        return [i for i in sorted(opened) if not opened & set(side.operands[i])]


def distance(p: Array, q: Array) -> float:
    """The largest difference of two arrays of one shape, in units of the largest element; 0 if there is none."""
    with np.errstate(all="ignore"):
        size = max(largest(p), largest(q))
        return largest(p - q) / size if size else 0.0
