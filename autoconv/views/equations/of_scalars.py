"""The analysis of a Scalar's program: what explanations read of it, with a line only for what they show.

Who reads whom is in arrays, whatever the number of scalars; a step ends where a scalar is read more than once, is
called by a name, or goes into a row that chooses (relu, maximum).  So the products and sums of a neuron are one step.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from ...scalar import KINDS, FlatTape, ScalarLines, expand
from ...tape import Tensor
from ..element import one_line
from .analysis import Array, Known, Way, analysed


def analysed_output(of: Any, operation: str) -> Known:
    """The analysis of an output: of a Scalar (or its ``ac.expand``), else as ``analysed`` makes it."""
    if isinstance(of, KINDS):
        return OfScalars(expand(of))
    if isinstance(of, FlatTape) and of.tape is None:
        return OfScalars(of)
    return analysed(of, operation)


class OfScalars(Known):
    """The analysis of the flat tape of a Scalar."""

    def __init__(self, flat: FlatTape) -> None:
        self.flat = flat
        self.graph: Any = ScalarLines(flat)
        super().__init__(self.graph.tape)
        self.output = self.graph.output

    @property
    def numbers(self) -> Mapping[int, int]:
        return self.graph.places

    def element_of(self, line: Tensor, index: tuple[int, ...]) -> int:
        return self.graph.scalar(line)

    def index_in(self, x: Tensor, i: int) -> int | None:
        return 0 if self.graph.scalar(x) == i else None

    def holders(self, tensors: Mapping[int, Tensor], i: int) -> list[Tensor]:
        line = self.graph.line(i)
        return [line] if id(line) in tensors else []

    def holds(self, x: Tensor, i: int) -> bool:
        return self.graph.scalar(x) == i

    def same_elements(self, x: Tensor, y: Tensor) -> bool:
        return x is y

    def cotangent_of(self, i: int) -> Any:
        return self.cotangent.item(i)

    @cached_property
    def cotangent(self) -> Array:
        """d of / d scalar for every scalar."""
        return self.flat.sweep()

    @cached_property
    def by(self) -> Array:
        """The scalar that reads each entry of ``flat.operands``."""
        return np.repeat(np.arange(len(self.flat), dtype=np.int32), np.diff(self.flat.start))

    @cached_property
    def chained(self) -> Array:
        """The scalars that one other reads, which goes on with their formula."""
        flat, size = self.flat, len(self.flat)
        first, last = np.full(size, -1, np.int32), np.full(size, -1, np.int32)
        last[flat.operands], first[flat.operands[::-1]] = self.by, self.by[::-1]
        chooses = np.array([o.primitive is not None and o.primitive.definition is not None for o in flat.operations])
        return (first == last) & (first >= 0) & ~chooses[flat.operation[last]]

    def marks(self, tensors: Mapping[int, Tensor]) -> tuple[Array, Array]:
        named = np.zeros(len(self.flat), bool)
        named[[self.graph.scalar(line) for line in tensors.values()]] = True
        stops = ~self.chained | named
        stops[self.output] = True
        return named, stops

    def forward(self, start: int, stops: Array) -> tuple[Array, Array, Array, Way]:
        flat, live = self.flat, {start: (1.0, 1.0)}  # by scalar: d / d start, and how many paths lead there
        ends: dict[int, tuple[float, float]] = {}
        waiting, met = [start], {start}
        while waiting:
            i = heapq.heappop(waiting)
            if i != start:
                read = [(live[o], s) for o, s in zip(flat.read(i), flat.slopes_at(i), strict=True) if o in live]
                arrived = sum([t * s for (t, _), s in read]), sum([n for (_, n), _ in read])
                if stops[i]:
                    ends[i] = arrived
                    continue
                live[i] = arrived
            for reader in flat.readers(i).tolist():
                if reader not in met:
                    met.add(reader)
                    heapq.heappush(waiting, reader)
        slopes, counts = [np.array([x[k] for x in ends.values()]) for k in (0, 1)]
        return np.array([*ends], np.int64), slopes, counts, _Live(set(live), flat)

    def scalar_of(self, thing: Any, operation: str) -> int | None:
        if isinstance(thing, KINDS) and not self.graph.lines_of(thing):
            return None
        return self.graph.scalar(one_line(thing, self.tape, operation))

    def scalar_at(self, place: int) -> int:
        """The scalar of line number ``place`` of the tape."""
        return self.graph.scalar(self.graph.line(place + 1))

    @property
    def edges(self) -> tuple[Array, Array, Array, list[int]]:
        """(source, target, slope) of every reading, and where groups of targets end that do not read each other."""
        flat = self.flat
        start, operands, level = flat.start.tolist(), flat.operands.tolist(), [0] * len(flat)
        for i in range(len(flat)):
            if start[i + 1] > start[i]:
                level[i] = 1 + max([level[o] for o in operands[start[i] : start[i + 1]]])
        fixed = np.array([o.name == "constant" for o in flat.operations])[flat.operation]
        kept = np.flatnonzero(~fixed[flat.operands])
        at = np.array(level, np.int32)[self.by[kept]]
        order = kept[np.argsort(at, kind="stable")]
        ends = np.cumsum(np.bincount(at, minlength=1)).tolist()
        return flat.operands[order], self.by[order], flat.slope[order], ends


class _Live:
    """The way: the scalars that were passed without a stop."""

    def __init__(self, passed: set[int], flat: FlatTape) -> None:
        self.passed, self.flat = passed, flat

    def read(self, i: int) -> list[tuple[int, int]]:
        return [(k, o) for k, o in enumerate(self.flat.read(i)) if o in self]

    def __contains__(self, i: int) -> bool:
        return i in self.passed
