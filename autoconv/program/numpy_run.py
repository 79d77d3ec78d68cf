"""Running a program with NumPy, line by line, in as little memory as its lifetimes allow.

Each array is let go after the line that reads it (or a view of it) last, and an arithmetic line writes its result over
an operand that nobody needs any more.  Numbers are those of the tape: the same NumPy calls in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .program import Program, report, size


class NumpyRun:
    """A program with its memory planned: ``run(arguments)`` gives the outputs, arrays that the caller owns."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.owner = _owners(program)
        last: dict[int, int] = {}
        for i, line in enumerate(program.lines):
            for x in (*line.operands, i):
                for owner in self.owner[x]:
                    last[owner] = i
        for y in program.outputs:
            for owner in self.owner[y]:
                last[owner] = len(program.lines)
        self.last = last
        found = {i: self._overwritten(i) for i in range(len(program.lines))}
        self.over = {i: x for i, x in found.items() if x is not None}
        self.freed: list[list[int]] = [[] for _ in program.lines]
        for i in range(len(program.lines)):
            end = max(last[o] for o in self.owner[i])
            if end < len(program.lines):
                self.freed[end].append(i)

    def _overwritten(self, i: int) -> int | None:
        """The operand whose memory line i may take over: made by a calculation of its own, and read here last."""
        line = self.program.lines[i]
        if line.primitive is None or line.primitive.ufunc is None or line.dtype.kind != "f":
            return None
        for x in line.operands:
            operand = self.program.lines[x]
            mine = operand.primitive is not None and self.owner[x] == (x,) and self.last[x] == i
            if mine and operand.shape == line.shape and operand.dtype == line.dtype:
                return x
        return None

    def run(self, arguments: Sequence[np.ndarray]) -> list[np.ndarray]:
        lines = self.program.lines
        values: list[Any] = [None] * len(lines)
        for i, line in enumerate(lines):
            if line.primitive is None:
                values[i] = self.source(i, arguments)
            else:
                operands = [values[x] for x in line.operands]
                over = values[self.over[i]] if i in self.over else None
                ufunc = line.primitive.ufunc
                if ufunc and over is not None and over.ndim and over.flags.writeable:
                    values[i] = ufunc(*operands, out=over)
                else:
                    values[i] = np.asarray(line.primitive.forward(*operands, **line.params))
            for x in self.freed[i]:
                values[x] = None
        return [np.array(values[y], order="C") for y in self.program.outputs]

    def describe(self) -> str:
        """What was decided, line by line."""
        head = f"at most {size(_peak(self), 'B')} of memory at a time; NumPy runs them in this order"
        return report(self.program, head, _notes(self))

    def source(self, i: int, arguments: Sequence[np.ndarray]) -> np.ndarray:
        line = self.program.lines[i]
        if line.argument is not None:
            return arguments[line.argument]
        value = line.tensor.value if line.tensor is not None else line.value
        assert value is not None
        return value


def _owners(program: Program) -> list[tuple[int, ...]]:
    """For each line the lines whose memory its array may lie in: itself, or what it may be a view of."""
    owners: list[tuple[int, ...]] = []
    for i, line in enumerate(program.lines):
        if line.primitive is not None and line.primitive.view:
            owners.append(tuple(sorted({i, *[o for x in line.operands for o in owners[x]]})))
        else:
            owners.append((i,))
    return owners


# ---- the plan in words


def _notes(run: NumpyRun) -> list[list[str]]:
    """What a reader is told of each line."""
    notes: list[list[str]] = []
    for i, line in enumerate(run.program.lines):
        said = []
        if line.primitive is not None and run.owner[i] != (i,):
            said.append("a view where it can be one")
        elif i in run.over:
            said.append(f"written over %{run.over[i]}")
        if gone := _freed(run, i):
            said.append("then lets go of " + ", ".join(f"%{x}" for x in gone))
        notes.append(said)
    return notes


def _freed(run: NumpyRun, i: int) -> list[int]:
    """The lines whose own memory is let go after line i (not those that another line took over)."""
    taken = set(run.over.values())
    return [
        x
        for x in run.freed[i]
        if run.program.lines[x].primitive is not None and run.owner[x] == (x,) and x not in taken
    ]


def _peak(run: NumpyRun) -> int:
    """The most memory that results of lines need at a time."""
    live = most = 0
    for i, line in enumerate(run.program.lines):
        if line.primitive is not None and run.owner[i] == (i,) and i not in run.over:
            live += line.nbytes
        most = max(most, live)
        live -= sum(run.program.lines[x].nbytes for x in _freed(run, i))
    return most
