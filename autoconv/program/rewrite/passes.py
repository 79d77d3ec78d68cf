"""The rewriting of a program, one idea to a function; each gives the same numbers as before.

``drop`` (lines that nobody reads), ``skip`` (lines that change nothing), ``fold`` (what depends on constants alone is
computed now), ``share`` (equal lines are computed once).
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import numpy as np

from ..program import Line, Program, keep
from .rewrite import rewrite

_LARGEST_CONSTANT = 1 << 24  # bytes: what is folded stays in memory as long as the program


@rewrite(exact=True, why="nobody reads what is left out")
def drop(program: Program) -> Program:
    """Only the lines that the outputs depend on."""
    return keep(program)


@rewrite(exact=True, why="such a line has the numbers of its operand")
def skip(program: Program) -> Program:
    """Without the lines whose result is their operand: identity, stop_gradient, a reshape or broadcast to the same
    shape."""
    instead = {i: line.operands[0] for i, line in enumerate(program.lines) if _changes_nothing(program, line)}
    return keep(program, instead)


def _changes_nothing(program: Program, line: Line) -> bool:
    if line.primitive is None or not line.operands:
        return False
    name, operand = line.primitive.name, program.lines[line.operands[0]]
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
    lines = list(program.lines)
    for i, line in enumerate(lines):
        operands = [lines[x].value for x in line.operands]
        if line.primitive is None or any(x is None for x in operands) or line.nbytes > _LARGEST_CONSTANT:
            continue
        value = np.asarray(line.primitive.forward(*operands, **line.params))
        lines[i] = Line(line.shape, line.dtype, value=value, scope=line.scope)
    return keep(Program(lines, program.outputs))


@rewrite(exact=True, why="equal lines of equal operands have equal numbers")
def share(program: Program) -> Program:
    """Lines with the same row, operands and params become one; so do equal constants, and a Tensor read twice."""
    first: dict[Hashable, int] = {}
    instead: dict[int, int] = {}
    for i, line in enumerate(program.lines):
        operands = tuple(instead.get(x, x) for x in line.operands)
        key = _identity(replace(line, operands=operands))
        if key in first:
            instead[i] = first[key]
        else:
            first[key] = i
    return keep(program, instead)


def _identity(line: Line) -> Hashable:
    if line.primitive is not None:
        return (line.primitive.name, line.operands, _hashable(line.params))
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
    if isinstance(x, dict):
        return tuple((k, _hashable(v)) for k, v in sorted(x.items()))
    if isinstance(x, tuple | list):
        return tuple(map(_hashable, x))
    if isinstance(x, slice):
        return ("slice", x.start, x.stop, x.step)
    return ("nan",) if isinstance(x, float) and x != x else (type(x), x)


@rewrite(exact=True, why="each of its passes is")
def simplify(program: Program) -> Program:
    """All of them, in the order in which each makes work for the next."""
    return share(fold(skip(drop(program))))
