"""Hoist arithmetic above broadcasts: f(repeat(a), repeat(b)) = repeat(f(a, b)).

The sweep through a mean repeats a cotangent for every element and goes on calculating with it.  Where all operands of a
line are repeated (or plain numbers), it is enough to calculate with the few elements before they are repeated.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from ...primitives import TABLE
from ...shapes import Shape
from ..program import Line, Program, keep
from .rewrite import rewrite


@rewrite(exact=True, why="the same function of the same numbers, once instead of many times")
def hoist(program: Program) -> Program:
    """Every elementwise line of repeated numbers becomes a smaller one, and what repeats its result."""
    lines: list[Line] = []
    at: list[int] = []
    for old in program.lines:
        line = replace(old, operands=tuple([at[x] for x in old.operands]))
        shape = _before(lines, line)
        if shape is not None:
            operands = tuple([_narrow(lines, x, shape) for x in line.operands])
            lines.append(replace(line, shape=shape, operands=operands))
            line = _repeat(len(lines) - 1, line, line.shape)
        lines.append(line)
        at.append(len(lines) - 1)
    return keep(Program(lines, [at[y] for y in program.outputs]))


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
