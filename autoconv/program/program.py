"""A tape as plain data: numbered lines that name their operands by number, ready to be rewritten and run.

Four kinds of lines: an argument of the function, a Tensor that it closes over (read anew at each run), a constant, and
a calculation (a row of the table with operands and params).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, compress, count
from math import prod
from typing import Any

import numpy as np

from ..shapes import Shape
from ..tape import Primitive, Scope, Tape, Tensor, setting

_NONE: Mapping[str, Any] = {}  # the params of every line that has none


@dataclass(slots=True)
class Line:
    """``primitive`` of operands; or, without one, ``argument`` number so-and-so, a closed-over ``tensor`` or a
    ``value``."""

    shape: Shape
    dtype: np.dtype
    primitive: Primitive | None = None
    operands: tuple[int, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    argument: int | None = None
    tensor: Tensor | None = None
    value: np.ndarray | None = None
    scope: str = ""

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize

    def reading(self, operands: tuple[int, ...]) -> Line:
        """The line with other operands."""
        return self if operands == self.operands else Line(
            self.shape, self.dtype, self.primitive, operands, self.params, self.argument, self.tensor, self.value,
            self.scope)  # fmt: skip


@dataclass(slots=True)
class Program:
    """Lines in an order in which they can be run, and the numbers of those that are wanted.

    ``checks``: lines that a guarded rewrite added (``rewrite``).  If one of them is not finite, the numbers of this run
    are not to be used, and nothing may have been changed with them: the program from before the rewrite is run.
    """

    lines: list[Line]
    outputs: list[int]
    checks: list[int] = field(default_factory=list)

    def flops(self, number: int) -> int:
        """Floating-point operations of a line: one for each element it makes, two for each product that it adds up."""
        line = self.lines[number]
        if line.primitive is None or line.primitive.group == "wiring" or line.dtype.kind != "f":
            return self.additions(number) if line.primitive is not None and line.dtype.kind == "f" else 0
        if line.primitive.group == "sum":
            return prod(self.lines[line.operands[0]].shape)
        if line.primitive.group == "contract":
            operands, _ = line.params["spec"].split("->")
            shapes = sum((self.lines[x].shape for x in line.operands), ())
            return 2 * prod(dict(zip(operands.replace(",", ""), shapes, strict=True)).values())
        return prod(line.shape)

    def additions(self, number: int) -> int:
        """The additions hidden in the adjoint wiring rows that collect several cells in one."""
        line = self.lines[number]
        collects = line.primitive is not None and line.primitive.group == "wiring" and line.primitive.adds
        return prod(self.lines[line.operands[0]].shape) if collects else 0

    def text(self, number: int) -> str:
        """A line as the tape writes it."""
        line = self.lines[number]
        if line.primitive is not None:
            params = [f"{k}={setting(v)}" for k, v in line.params.items()]
            return f"{line.primitive.name}({', '.join([f'%{x}' for x in line.operands] + params)})"
        if line.argument is not None:
            return f"argument {line.argument}"
        if line.tensor is not None:
            return f"tensor {line.tensor.name or ''}".rstrip()
        assert line.value is not None
        plain = line.value.size and not any(line.value.strides)
        return f"constant {line.value.flat[0]}" if plain else "constant"


def from_tape(outputs: list[Tensor], arguments: list[Tensor], start: int) -> Program:
    """The lines that ``outputs`` need.  What is older than serial ``start`` is closed over; what is younger and has no
    primitive was written down while recording: a constant."""
    number: dict[int, int] = {}
    lines: list[Line] = []
    places = {id(x): i for i, x in enumerate(arguments)}
    scopes: dict[Scope | None, str] = {None: ""}
    shapes: dict[Shape, Shape] = {}  # each once
    for x in Tape(*outputs):
        number[id(x)] = len(lines)
        if (scope := scopes.get(x.scope)) is None:
            assert x.scope is not None
            scopes[x.scope] = scope = " > ".join([s.name for s in x.scope.path])
        shape, dtype = x.shape, x.dtype
        shape = shapes.setdefault(shape, shape)
        if (place := places.get(id(x))) is not None:
            line = Line(shape, dtype, params=_NONE, argument=place, scope=scope)
        elif x.serial < start:
            line = Line(shape, dtype, params=_NONE, tensor=x, scope=scope)
        elif x.primitive is None:
            line = Line(shape, dtype, params=_NONE, value=x.value, scope=scope)
        else:
            operands = tuple([number[id(o)] for o in x.operands])
            line = Line(shape, dtype, x.primitive, operands, x.params or _NONE, scope=scope)
        lines.append(line)
    return keep(Program(lines, [number[id(y)] for y in outputs]))


def keep(program: Program, instead: dict[int, int] | None = None) -> Program:
    """The program with every use of line a replaced by ``instead[a]``, and only the lines that are then still
    needed."""
    lines = program.lines
    at = list(range(len(lines)))
    for i in instead or ():
        while at[i] in instead:  # type: ignore[operator]
            at[i] = instead[at[i]]  # type: ignore[index]
    outputs, checks = [at[i] for i in program.outputs], [at[i] for i in program.checks]
    needed = bytearray(len(lines))
    for i in (*outputs, *checks):
        needed[i] = 1
    for i in range(len(lines) - 1, -1, -1):  # who reads a line comes after it
        if needed[i]:
            for x in lines[i].operands:
                needed[at[x]] = 1
    if not instead and 0 not in needed:
        return program
    order = [0, *accumulate(needed)]
    to = [order[x] for x in at]
    return Program(
        [lines[i].reading(tuple([to[x] for x in lines[i].operands])) for i in compress(count(), needed)],
        [order[y] for y in outputs],
        [order[y] for y in checks],
    )


# ---- a program in words


def size(count: float, unit: str) -> str:
    """A number with a prefix: ``size(1536, "B")`` is "1.54 KB"."""
    for prefix in ("", "K", "M", "G"):
        if count < 1000:
            return f"{count:.3g} {prefix}{unit}"
        count /= 1000
    return f"{count:.3g} T{unit}"


def report(program: Program, head: str, notes: Sequence[Sequence[str]]) -> str:
    """The lines of a program with ``notes`` on each, under a head line with the work of all."""
    rows = []
    for i, line in enumerate(program.lines):
        said = [*notes[i], *(["a result"] if i in program.outputs else [])]
        work = size(program.flops(i), "FLOP") if program.flops(i) else ""
        row = f"%{i:<4} {line.shape!s:24} {size(line.nbytes, 'B'):>8} {work:>11}  {program.text(i)}"
        rows.append(row + (f"   # {'; '.join(said)}" if said else ""))
    total = sum(program.flops(i) for i in range(len(program.lines)))
    return "\n".join([f"{len(program.lines)} lines, {size(total, 'FLOP')}; {head}", *rows])
