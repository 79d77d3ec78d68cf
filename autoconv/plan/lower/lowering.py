"""Where lines are: the cells of a stage, or whole arrays; and how one becomes the other.

A line is either *laned* (its cells, one example in each lane, live in a stage of the machine) or an *array* (a source, or
computed by NumPy).  Stages have odd numbers and NumPy's turns even ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ...program.program import Line, Program
from ...shapes import Shape
from .instructions import (
    CLEAR,
    GATHER,
    LOAD,
    MAP,
    OPERATIONS,
    STORE,
    Input,
    Instruction,
    Names,
    Output,
    Stage,
)
from .names import in_memory, one_example


@dataclass
class Lane:
    """A line in a stage: its cells for one example (size 1 along ``axis``)."""

    names: Names
    axis: int
    stage: int


class Cells:
    """The plan of a program for batches of ``examples``, numbers of one ``dtype``."""

    def __init__(self, program: Program, examples: int, dtype: np.dtype, row: int = 0) -> None:
        """``row``: 0 for examples in the lanes; otherwise the lanes of a vector that channels fill.

        ``whole``, ``parts``: the cells of arrays in a stage; ``derived``: what it does to have them (see ``alike``).
        """
        self.program, self.examples, self.dtype, self.row = program, examples, dtype, row
        self.lanes: dict[int, Lane] = {}
        self.pending: dict[int, Any] = {}
        self.merged: dict[int, int] = {}
        self.ready: dict[int, int] = {}
        self.axis: dict[int, int | None] = {}
        self.numpy: set[int] = set()
        self.stages: dict[int, Stage] = {}
        self.whole: dict[tuple[int, int], Names] = {}
        self.parts: dict[tuple[int, Any, int], Names] = {}
        self.derived: dict[int, int] = {}
        self._loaded: dict[tuple[int, int, int], Names] = {}
        self._stored: set[int] = set()
        self.readers: list[list[int]] = [[] for _ in program.lines]
        for i, line in enumerate(program.lines):
            for x in line.operands:
                self.readers[x].append(i)

    def array(self, i: int) -> int:
        """Have line i as a whole array; from which turn on it is there."""
        if i in self.merged:
            return self._merge(i)
        self.settle(i)
        if i in self.lanes and i not in self._stored:
            lane = self.lanes[i]
            stage = self.stages[lane.stage]
            self._stored.add(i)
            stage.outputs.append(Output(i, lane.axis))
            order = np.moveaxis(lane.names, lane.axis, 0).ravel()
            stage.instructions.append(Instruction(STORE, [], [order], i, array=len(stage.outputs) - 1))
            self.ready[i] = lane.stage + 1
            self.axis[i] = lane.axis
        return self.ready[i]

    def _merge(self, i: int) -> int:
        """A reshape that merged the examples with another axis is wanted as an array after all: NumPy makes it."""
        del self.merged[i]
        self.by_numpy(i, self.program.lines[i])
        return self.ready[i]

    def settle(self, i: int) -> None:
        """Have line i written down, if it waits for its reader."""

    def by_numpy(self, i: int, line: Line) -> None:
        ready = max((self.array(x) for x in line.operands), default=0)
        self.ready[i] = ready + ready % 2
        self.numpy.add(i)
        self.axis[i] = self._numpy_axis(i, line)

    def _numpy_axis(self, i: int, line: Line) -> int | None:
        known = [(x, a) for x in line.operands if (a := self.axis.get(x)) is not None]
        if not known or line.primitive is None:
            return None
        x, axis = known[0]
        shape = self.program.lines[x].shape
        if (line.shape == shape and line.primitive.group == "arithmetic") or line.primitive.name == "cast":
            return axis
        found = one_example(line, shape, axis, self.examples) if line.primitive.group == "wiring" else None
        return found[1] if found else None

    def stage(self, *operands: int) -> int:
        """The first stage in which these lines can be had."""
        least = 1
        for x in operands:
            at = (
                self.lanes[x].stage
                if x in self.lanes
                else self.pending[x].stage
                if x in self.pending
                else self.array(x) + 1
            )
            least = max(least, at)
        return self.open(least)

    def open(self, number: int) -> int:
        """Have a stage of this number."""
        self.stages.setdefault(number, Stage(number))
        return number

    def example_axis(self, *operands: int) -> int | None:
        """The axis that counts examples in the first operand for which that is known."""
        for x in operands:
            if x in self.pending:
                return self.pending[x].axis
            if x in self.lanes:
                return self.lanes[x].axis
        return next((a for x in operands if (a := self.axis.get(x)) is not None), None)

    def names(self, i: int, axis: int, stage: int) -> Names | None:
        """The cells of line i in a stage, with the examples along ``axis``; None if they cannot be had."""
        self.settle(i)
        if i in self.merged:
            return None
        if i in self.lanes and self.lanes[i].stage == stage:
            return self.lanes[i].names if self.lanes[i].axis == axis else None
        if (i, axis, stage) not in self._loaded:
            line = self.program.lines[i]
            if line.dtype not in (self.dtype, np.dtype(bool)):
                return None
            shared = self.shared(i, axis, stage)
            if shared is None:
                shared = self.again(i, axis, stage)
            if shared is None:
                if not line.shape or line.shape[axis] != self.examples:
                    return None
                self.array(i)
                shared = self._load(i, axis, stage)
            self._loaded[i, axis, stage] = shared
        return self._loaded[i, axis, stage]

    def shared(self, i: int, axis: int, stage: int) -> Names | None:
        """The cells of a line that is the same for every example; None if it is not."""
        raise NotImplementedError

    def again(self, i: int, axis: int, stage: int) -> Names | None:
        """The cells of a line of an earlier stage, derived anew; None if it is to be loaded."""
        raise NotImplementedError

    def has(self, i: int, stage: int) -> bool:
        """Whether line i has its cells in a stage."""
        lane = self.lanes.get(i)
        axis = self.example_axis(i)
        return (lane is not None and lane.stage == stage) or (i, axis, stage) in self._loaded

    def _load(self, i: int, axis: int, stage: int) -> Names:
        line, at = self.program.lines[i], self.stages[stage]
        count = prod(line.shape) // max(1, self.examples)
        first = at.cells(count)
        names = np.arange(first, first + count, dtype=np.int32)
        at.instructions.append(Instruction(LOAD, [names], [], i, array=at.input(Input(i, axis))))
        rest = tuple(n for d, n in enumerate(line.shape) if d != axis)
        return np.expand_dims(names.reshape(rest), axis)

    # ---- new cells, and what is written there

    def place(self, i: int, names: Names, axis: int, stage: int) -> bool:
        self.lanes[i] = Lane(names, axis, stage)
        return True

    def fresh(self, shape: Shape, stage: int, like: Names | None = None, channels: int = 0, free: int = 0) -> Names:
        """New cells for one example of this shape, their axes in memory in the order that ``like`` has them.

        ``channels``: how many axes at the end are channels, ``free`` of them in one group.  With examples in the lanes channels
        stand outside and positions inside; from one channel to the next it is an odd number of cells, because a power of two
        would put every channel in the same cache set.  With channels in the lanes they stand inside, in rows of whole vectors.
        """
        axes = list(range(len(shape)))
        turn = 0 if self.row else channels
        order = in_memory(like) if like is not None else [*axes[len(axes) - turn :], *axes[: len(axes) - turn]]
        sizes = [shape[d] for d in order]
        names = self._rows(sizes, stage, like, channels, free) if self.row else self._planes(sizes, stage)
        return names.transpose(np.argsort(order)) if sizes else names

    def _planes(self, sizes: list[int], stage: int) -> Names:
        outside = next((d for d, n in enumerate(sizes) if n > 1), 0)
        inside = prod(sizes[outside + 1 :])
        step = inside | 1 if inside > 1 else 1
        count = sizes[outside] if sizes else 1
        first = self.stages[stage].cells(step * count)
        inner = np.arange(inside, dtype=np.int32)
        return first + (np.arange(count, dtype=np.int32)[:, None] * step + inner).reshape(sizes)

    def _rows(self, sizes: list[int], stage: int, like: Names | None, channels: int, free: int) -> Names:
        """Rows of numbers, each with gaps up to a whole vector if it is shorter (or its last group is)."""
        at = self.stages[stage]
        dense = like is not None and prod(sizes) >= self.row and int(np.ptp(like)) + 1 == like.size and like.all()
        inside = channels or next((len(sizes) - d for d in range(len(sizes) - 1, -1, -1) if sizes[d] > 1), 0)
        length = prod(sizes) if dense else 1 if free and not channels else prod(sizes[len(sizes) - inside :])
        count = prod(sizes) // length
        gap = max(0, self.row - (free or length))
        first = at.cells(count * (length + gap))
        table = first + np.arange(count * (length + gap), dtype=np.int32).reshape(count, -1)
        if gap:
            at.gaps.append(table[:, length:].ravel())
        return table[:, :length].reshape(sizes)

    def one(self, shape: Shape, axis: int) -> Shape:
        return (*shape[:axis], 1, *shape[axis + 1 :])

    def copy(self, i: int, names: Names, stage: int, out: Names | None = None) -> Names:
        """The same numbers in cells of their own, in order."""
        if out is None:
            out = self.fresh(names.shape, stage, like=names if self.row else None)
        self.stages[stage].instructions.append(self.elementwise(i, "copy", out, [names], {}))
        return out

    def elementwise(self, i: int, name: str, out: Names, reads: list[Names], params: Mapping[str, Any]) -> Instruction:
        """One instruction for all cells, in the order in which the results stand in memory."""
        order = np.argsort(out, axis=None)
        numbers = (0.0, float(params.get("at_zero", 0)), 0.0)
        if name == "slope":
            numbers = (params["less"], params["tie"], params["more"])
        return Instruction(MAP, [out.ravel()[order]], [x.ravel()[order] for x in reads], i, OPERATIONS[name], numbers)

    def operand(self, i: int, line: Line) -> tuple[Names, int, int] | None:
        """The cells of a line's first operand, the axis of its examples, and the stage."""
        x = line.operands[0]
        axis = self.example_axis(x)
        if axis is None:
            return None
        stage = self.stage(x)
        names = self.names(x, axis, stage)
        return None if names is None else (names, axis, stage)

    def clear(self, i: int, names: Names, stage: int) -> None:
        """Lanes without an example must not count when lanes are added up."""
        at = self.stages[stage]
        todo = [v for v in at.values(names) if v and v not in at.cleared]
        if not todo or self.row:
            return
        at.cleared.update(todo)
        ends = [*at.starts[1:], at.end]
        cells = np.concatenate([np.arange(at.starts[v], ends[v], dtype=np.int32) for v in todo])
        at.instructions.append(Instruction(CLEAR, [cells], [cells], i))

    def collect(self, i: int, target: Names, source: Names, shape: Shape, axis: int, stage: int) -> bool:
        """Line i, of which cell ``target[e]`` is the sum of all ``source[e]``: other names if none has two."""
        order = np.argsort(target, kind="stable")
        target, source = target[order], source[order]
        number = np.arange(len(target)) - np.searchsorted(target, target)
        table = np.zeros((prod(shape), int(number.max(initial=0)) + 1), np.int32)
        table[target, number] = source
        if table.shape[1] == 1:
            return self.place(i, table.reshape(shape), axis, stage)
        out = self.fresh(shape, stage)
        self.stages[stage].instructions.append(Instruction(GATHER, [out.ravel()], [table], i))
        return self.place(i, out, axis, stage)
