"""Rewrites: passes from program to program; those of this file are exact, with the same numbers bit by bit.

The rule for floating-point numbers: a rewrite is

- *exact*: every number that is left keeps its bits, infinities, zeros' signs and NaN included; or
- *guarded* by bounds that are known when planning: within them both forms differ by no more than the rounding of the
  same operations.  Where the numbers have to be seen first, the rewrite adds a line to ``Program.checks``, and an exit
  that finds it not finite runs the program from before the rewrite; or
- it is not done.

What may be rounded otherwise without any rewrite is the order in which a sum or a contraction adds up its terms: an
exit adds in the order that suits it, of examples, positions and channels, with the error bound of a sum of n terms,
n eps sum |term|, and in a contraction without rounding each product first (fused multiply-add, as BLAS does).  So where
products or partial sums leave the range of the dtype, one order may overflow and another not.

``drop`` (lines that nobody reads), ``skip`` (lines that change nothing), ``fold`` (what depends on constants alone is
computed now), ``share`` (equal lines are computed once), ``hoist`` (arithmetic above broadcasts, so that it is done
once).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import update_wrapper
from math import prod
from typing import Any

import numpy as np

from ..primitives import TABLE
from ..shapes import Shape
from .program import Line, Program, keep

_WHOLE = {int}
_LARGEST_CONSTANT = 1 << 24  # bytes: what is folded stays in memory as long as the program


@dataclass(eq=False)
class Rewrite:
    """A pass from program to program.  ``exact``, else guarded; ``why`` it is exact, or what guards it.

    Exact passes may be shared by all exits; a guarded one belongs to the exit that wants it and looks at the checks.
    """

    run: Callable[[Program], Program]
    exact: bool
    why: str

    def __call__(self, program: Program) -> Program:
        return self.run(program)


def rewrite(exact: bool, why: str) -> Callable[[Callable[[Program], Program]], Rewrite]:
    """Declare a function from program to program.

    >>> @rewrite(exact=True, why="nobody reads what is left out")
    ... def drop(program): ...
    """

    def declared(function: Callable[[Program], Program]) -> Rewrite:
        pass_ = Rewrite(function, exact, why)
        update_wrapper(pass_, function)
        return pass_

    return declared


# ---- one idea to a function


@rewrite(exact=True, why="nobody reads what is left out")
def drop(program: Program) -> Program:
    """Only the lines that the outputs depend on."""
    return keep(program)


@rewrite(exact=True, why="such a line has the numbers of its operand")
def skip(program: Program) -> Program:
    """Without the lines whose result is their operand: identity, stop_gradient, a reshape or broadcast to the same
    shape."""
    instead = {i: line.operands[0] for i, line in enumerate(program.lines) if _changes_nothing(program.lines, line)}
    return keep(program, instead)


def _changes_nothing(lines: Sequence[Line], line: Line) -> bool:
    if line.primitive is None or not line.operands:
        return False
    name, operand = line.primitive.name, lines[line.operands[0]]
    if name in ("identity", "stop_gradient"):
        return True
    if name in ("reshape", "broadcast_to", "sum_to"):
        return operand.shape == line.shape
    if name == "permute_dims":
        return tuple(line.params["axes"]) == tuple(range(len(line.shape)))
    if name == "cast":
        return operand.dtype == line.dtype
    return name == "sum" and line.params["axis"] == () and operand.shape == line.shape


@rewrite(exact=True, why="NumPy computes the same line from the same numbers, only earlier")
def fold(program: Program) -> Program:
    """Lines whose operands are all constants become constants."""
    lines: list[Line] = []
    for line in program.lines:
        lines.append(_folded(lines, line))
    return keep(replace(program, lines=lines))


def _folded(lines: Sequence[Line], line: Line) -> Line:
    """The line, as a constant if that is what it is; ``lines``: those before it."""
    if line.primitive is None or (line.operands and lines[line.operands[0]].value is None):
        return line  # most of them, at a glance
    operands = [lines[x].value for x in line.operands]
    if any([x is None for x in operands]) or line.nbytes > _LARGEST_CONSTANT:
        return line
    value = np.asarray(line.primitive.forward(*operands, **line.params))
    return Line(line.shape, line.dtype, value=_repeated(value), scope=line.scope)


def _repeated(value: np.ndarray) -> np.ndarray:
    """The same numbers, without their places where they are all one number: an exponent less one, for each element."""
    if value.size < 2 or value.dtype == object or value.tobytes() != value.flat[:1].tobytes() * value.size:
        return value
    return np.broadcast_to(value.flat[0], value.shape)


@rewrite(exact=True, why="equal lines of equal operands have equal numbers")
def share(program: Program) -> Program:
    """Lines with the same row, operands and params become one; so do equal constants, and a Tensor read twice."""
    first: dict[Hashable, int] = {}
    instead: dict[int, int] = {}
    for i, line in enumerate(program.lines):
        operands = tuple([instead.get(x, x) for x in line.operands])
        key = _identity(line.reading(operands))
        if key in first:
            instead[i] = first[key]
        else:
            first[key] = i
    return keep(program, instead)


def _identity(line: Line) -> Hashable:
    if line.primitive is not None:
        return (line.primitive.name, line.operands, _hashable(line.params) if line.params else ())
    if line.argument is not None:
        return ("argument", line.argument)
    if line.tensor is not None:
        return ("tensor", id(line.tensor))
    assert line.value is not None
    if line.value.size and not any(line.value.strides):
        return ("constant", line.shape, line.dtype.str, line.value.flat[:1].tobytes())
    if line.value.dtype == object:
        return ("constant", id(line.value))
    return ("constant", line.shape, line.dtype.str, line.value.tobytes())


def _hashable(x: Any) -> Hashable:
    kind = type(x)
    if kind is str or (kind is tuple and {*map(type, x)} <= _WHOLE):  # most of them, without the detour
        return x
    if isinstance(x, dict):
        return tuple([(k, _hashable(v)) for k, v in (sorted(x.items()) if len(x) > 1 else x.items())])
    if isinstance(x, tuple | list):
        return tuple(map(_hashable, x))
    if isinstance(x, slice):
        return ("slice", x.start, x.stop, x.step)
    return ("nan",) if isinstance(x, float) and x != x else (kind, x)


@rewrite(exact=True, why="each of its passes is")
def simplify(program: Program) -> Program:
    """``share(fold(skip(drop(program))))``: all of them, line by line, as each makes work for the next."""
    program = drop(program)
    lines: list[Line] = []
    at: list[int] = []  # where each of the program's lines is among those
    first: dict[Hashable, int] = {}
    for old in program.lines:
        line = old.reading(tuple([at[x] for x in old.operands])) if old.operands else old
        if _changes_nothing(lines, line):
            at.append(line.operands[0])
            continue
        line = _folded(lines, line)
        key = _identity(line)
        if (known := first.get(key)) is None:
            first[key] = known = len(lines)
            lines.append(line)
        at.append(known)
    return keep(Program(lines, [at[y] for y in program.outputs], [at[y] for y in program.checks]))


# ---- arithmetic above broadcasts


@rewrite(exact=True, why="the same function of the same numbers, once instead of many times")
def hoist(program: Program) -> Program:
    """Every elementwise line of repeated numbers becomes a smaller one, and what repeats its result."""
    lines: list[Line] = []
    at: list[int] = []
    for old in program.lines:
        line = old.reading(tuple([at[x] for x in old.operands]))
        shape = _before(lines, line)
        if shape is not None:
            operands = tuple([_narrow(lines, x, shape) for x in line.operands])
            lines.append(replace(line, shape=shape, operands=operands))
            line = _repeat(len(lines) - 1, line, line.shape)
        lines.append(line)
        at.append(len(lines) - 1)
    return keep(Program(lines, [at[y] for y in program.outputs], [at[y] for y in program.checks]))


def _before(lines: list[Line], line: Line) -> Shape | None:
    """The shape that holds all the different numbers of an elementwise line, if it is smaller than the line's own."""
    if line.primitive is None or line.primitive.group != "arithmetic":
        return None
    shapes = []
    for operand in [lines[x] for x in line.operands]:
        if operand.primitive is not None and operand.primitive.name == "broadcast_to":
            shapes.append(lines[operand.operands[0]].shape)
        elif operand.value is None or not operand.value.size or any(operand.value.strides):
            return None
    shape = np.broadcast_shapes(*shapes)
    return shape if shapes and prod(shape) < prod(line.shape) else None


def _narrow(lines: list[Line], x: int, shape: Shape) -> int:
    """The number of a line with the numbers that line x repeats, in this shape."""
    line = lines[x]
    if line.value is not None:
        lines.append(replace(line, shape=shape, value=np.broadcast_to(line.value.flat[0], shape)))
        return len(lines) - 1
    (source,) = line.operands
    if lines[source].shape == shape:
        return source
    lines.append(_repeat(source, line, shape))
    return len(lines) - 1


def _repeat(x: int, like: Line, shape: Shape) -> Line:
    row = TABLE["broadcast_to"]
    return Line(shape, like.dtype, primitive=row, operands=(x,), params={"shape": shape}, scope=like.scope)
