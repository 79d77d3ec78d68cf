"""From lines to instructions: every line that treats the examples of a batch alike goes to the machine, the others to NumPy.

Lines are taken in order.  A line is either *laned* (its cells, one example in each lane, live in a stage of the machine) or
an *array* (a source, or computed by NumPy).  Stages have odd numbers and NumPy's turns even ones; a line goes to the first
stage in which its operands can be had: cells of the same stage as they are, what is cheap derived anew (``again``, ``alike``),
everything else through its array.
"""

from __future__ import annotations

from collections.abc import Set
from math import prod

import numpy as np

from ...program.program import Line, Program
from ...shapes import Shape, broadcast_axes, keepdims_shape
from . import contraction, labels, overlap
from .again import again
from .alike import shared, work
from .cells import Cells
from .instructions import (
    GATHER,
    OPERATIONS,
    TOTAL,
    Instruction,
    Names,
    Result,
)
from .names import one_example, steps

_MOST_CELLS = 1 << 25  # a larger plan would take longer to make than NumPy takes to run


class Lowering(Cells):
    """The plan of a program for batches of ``examples``, numbers of one ``dtype``."""

    def __init__(
        self, program: Program, examples: int, dtype: np.dtype, row: int = 0, before: Lowering | None = None
    ) -> None:
        """``before``: the plan of the same program made without knowing what its stages load and how much they do."""
        super().__init__(program, examples, dtype, row)
        self.wanted: Set[tuple[int, int]] = before.loads() if before else frozenset()
        self.work = work(before.stages.values()) if before else 0
        for i, line in enumerate(program.lines):
            if line.primitive is None:
                self.ready[i] = 0
                mine = line.argument is not None and bool(line.shape) and line.shape[0] == examples
                self.axis[i] = 0 if mine else None
            elif not self._lower(i, line):
                self.by_numpy(i, line)
        for y in program.outputs:
            self.array(y)

    def loads(self) -> set[tuple[int, int]]:
        """(line, stage) of all lines that a stage loads."""
        return {(x.line, n) for n, stage in self.stages.items() for x in stage.inputs if x.axis is not None}

    def named(self) -> set[int]:
        """The lines that have cells in some stage."""
        return {*self.lanes, *[i for i, _ in self.whole], *[i for i, *_ in self._loaded]}

    def settle(self, i: int) -> None:
        """Write down a contraction that waited for its reader."""
        if i in self.pending:
            contraction.emit(self, self.pending.pop(i))

    def _lower(self, i: int, line: Line) -> bool:
        """Write line i for the machine; False if NumPy has to do it."""
        assert line.primitive is not None
        name = line.primitive.name
        if line.dtype not in (self.dtype, np.dtype(bool)) or 0 in line.shape:
            return False
        if any(stage.end > _MOST_CELLS for stage in self.stages.values()):
            return False
        if name == "contract":
            return contraction.lower(self, i, line)
        if name == "overlap_add":
            return overlap.overlap(self, i, line)
        if name == "take":
            return labels.take(self, i, line)
        if name == "scatter_add":
            return labels.scatter_add(self, i, line)
        if name in ("sum", "sum_to"):
            return self._sum(i, line)
        if name in OPERATIONS:
            return self._map(i, line, name)
        if name == "cast" and self.program.lines[line.operands[0]].dtype == bool:
            return self._alias(i, line)
        return (name == "concat" and self._concat(i, line)) or (
            line.primitive.group == "wiring" and self._wiring(i, line)
        )

    def _map(self, i: int, line: Line, name: str) -> bool:
        axis = self.example_axis(*line.operands)
        if axis is None or line.shape[axis : axis + 1] != (self.examples,):
            return False
        if name == "add" and contraction.with_bias(self, i, line):
            return True
        if name == "maximum" and contraction.with_relu(self, i, line):
            return True
        stage = self.stage(*line.operands)
        names = self.arithmetic(i, line, axis, stage)
        return names is not None and self.place(i, names, axis, stage)

    def arithmetic(self, i: int, line: Line, axis: int, stage: int) -> Names | None:
        """Write an elementwise line down in a stage; its cells, None if an operand cannot be had there."""
        assert line.primitive is not None
        name = line.primitive.name
        found = [self.names(x, axis, stage) for x in line.operands]
        if any(x is None for x in found):
            return None
        reads: list[Names] = [x for x in found if x is not None]
        if name == "add":
            a, b = reads
            if not ((a != 0) & (b != 0)).any():  # each cell of one meets the zero cell of the other: nothing to add
                return np.where(a != 0, a, b)
        out = self.fresh(self.one(line.shape, axis), stage, like=max(reads, key=lambda x: len(np.unique(x))))
        self.stages[stage].instructions.append(self.elementwise(i, name, out, reads, line.params))
        return out

    def _alias(self, i: int, line: Line) -> bool:
        found = self.operand(i, line)
        return found is not None and self.place(i, *found)

    def _wiring(self, i: int, line: Line) -> bool:
        assert line.primitive is not None
        x = line.operands[0]
        if i in self.lanes:  # placed by the ``scatter_add`` that it reads
            return True
        axis = self.example_axis(x)
        if axis is None:
            return False
        shape = self.program.lines[x].shape
        moved = one_example(line, shape, axis, self.examples)
        if moved is None:
            return labels.merges(self, i, line, x, axis)
        if line.primitive.name == "reshape" and x in self.pending and contraction.reshaped(self, i, x, line, moved[1]):
            return True
        found = self.operand(i, line)
        if found is None:
            return False
        names, _, stage = found
        made = self.renamed(i, line, names, axis, stage)
        return made is not None and self.place(i, made, moved[1], stage)

    def renamed(self, i: int, line: Line, names: Names, axis: int, stage: int) -> Names | None:
        """The cells of a wiring line, which are those of its operand; None if examples mix."""
        assert line.primitive is not None
        found = one_example(line, self.program.lines[line.operands[0]].shape, axis, self.examples)
        if found is None:
            return None
        if line.primitive.name == "windows" and steps(names) is None and contraction.feeds(self, i):
            names = self.copy(i, names, stage)
        return np.asarray(line.primitive.forward(names, **found[0]))

    def again(self, i: int, axis: int, stage: int) -> Names | None:
        return again(self, i, axis, stage)

    def shared(self, i: int, axis: int, stage: int) -> Names | None:
        return shared(self, i, axis, stage)

    def _concat(self, i: int, line: Line) -> bool:
        axis = self.example_axis(*line.operands)
        if axis is None or line.params["axis"] == axis:
            return False
        stage = self.stage(*line.operands)
        found = [self.names(x, axis, stage) for x in line.operands]
        if any(x is None for x in found):
            return False
        return self.place(i, np.concatenate(found, axis=line.params["axis"]), axis, stage)  # type: ignore[arg-type]

    def _sum(self, i: int, line: Line) -> bool:
        assert line.primitive is not None
        x = line.operands[0]
        shape = self.program.lines[x].shape
        axes = tuple(line.params["axis"]) if line.primitive.name == "sum" else broadcast_axes(line.shape, shape)
        found = self.operand(i, line)
        if found is None:
            return False
        names, axis, stage = found
        rest = [d for d in range(len(shape)) if d not in axes and d != axis]
        table = names.transpose(*rest, *[d for d in range(len(shape)) if d not in rest])
        table = table.reshape(prod([shape[d] for d in rest]), -1)
        at = self.stages[stage]
        if axis in axes:
            self.clear(i, names, stage)
            at.results.append(Result(i, 1, len(table), False, line.shape))
            at.instructions.append(Instruction(TOTAL, [], [table], i, array=len(at.results) - 1))
            self.ready[i] = stage + 1
            self.axis[i] = None
            return True
        kept = keepdims_shape(shape, axes)
        made = self._summed(line, shape, axes, axis)
        out = self.fresh(self.one(kept, axis), stage)
        at.instructions.append(Instruction(GATHER, [out.ravel()], [table], i))
        return self.place(i, out.reshape(self.one(line.shape, made)), made, stage)

    def _summed(self, line: Line, shape: Shape, axes: Shape, axis: int) -> int:
        """Where the example axis is after a sum over other axes."""
        if len(line.shape) == len(shape):
            return axis
        return axis - sum(d < axis for d in axes)
