"""Rematerialisation: recompute a line of an earlier kernel where that costs less than loading it.

A line that only moves numbers is derived from the line that it moves, and cheap arithmetic is repeated where that costs
less than storing the result and loading it.  Only arithmetic that IEEE 754 rounds exactly is repeated, so the numbers
are the same, bit by bit.
"""

from __future__ import annotations

from math import prod

from ..instructions import Registers
from .lowering import Lowering

_DEEPEST = 24  # lines: what is further back is loaded


def rematerialise(low: Lowering, i: int, axis: int, kernel: int) -> Registers | None:
    """The registers of line i, computed again in ``kernel``; None if loading it is cheaper or it cannot be done."""
    lane = low.lanes.get(i)
    if lane is None or lane.axis != axis or _cost(low, i, kernel, {}, 0) > _moved(low, i):
        return None
    return _derive(low, i, kernel)


def _derive(low: Lowering, i: int, kernel: int) -> Registers | None:
    line, axis = low.program.lines[i], low.lanes[i].axis
    assert line.primitive is not None
    if line.primitive.cost is not None:
        return low.arithmetic(i, line, axis, kernel)
    at = low.example_axis(line.operands[0])
    assert at is not None
    registers = low.registers(line.operands[0], at, kernel)
    if registers is None or line.primitive.name == "cast":
        return registers
    return low.moved(i, line, registers, at, kernel)


def _moved(low: Lowering, i: int) -> float:
    """What loading line i costs, and storing it unless that is done anyway."""
    return _size(low, i) * (1 if i in low.ready else 2)


def _size(low: Lowering, i: int) -> int:
    return prod(low.program.lines[i].shape) // low.examples


def _cost(low: Lowering, i: int, kernel: int, known: dict[int, float], depth: int) -> float:
    """What computing line i in ``kernel`` costs; infinite if it cannot be done.  ``known``: lines that are there by
    then."""
    line, axis = low.program.lines[i], low.lanes[i].axis
    if line.primitive is None or depth > _DEEPEST:
        return float("inf")
    name = line.primitive.name
    if line.primitive.cost is not None:
        cost = line.primitive.cost * _size(low, i)
        if any(low.example_axis(x) not in (axis, None) for x in line.operands):
            return float("inf")
    elif (x := line.operands[0]) in low.merged or (at := low.example_axis(x)) is None:
        return float("inf")
    elif name == "cast" and low.program.lines[x].dtype == bool:
        cost = 0.0
    else:
        found = low.for_one(i, at)
        if line.primitive.group != "wiring" or found is None or found[1] != axis:
            return float("inf")
        cost = 0.0
    for x in line.operands:
        if x not in known:
            known[x] = 0.0
            cost += _cost_of_operand(low, x, axis, kernel, known, depth)
    return cost


def _cost_of_operand(low: Lowering, x: int, axis: int, kernel: int, known: dict[int, float], depth: int) -> float:
    line = low.program.lines[x]
    if x in low.merged or x in low.pending or line.dtype not in (low.dtype, bool):
        return float("inf")
    if x not in low.lanes:
        if x not in low.ready:
            return float("inf")
        spread = line.value is not None or (line.primitive is not None and line.primitive.name == "broadcast_to")
        return 0.0 if spread or low.has(x, kernel) or (x, kernel) in low.wanted else _size(low, x)
    if low.has(x, kernel) or (x, kernel) in low.wanted:
        return 0.0
    tried = dict(known)
    derived, moved = _cost(low, x, kernel, tried, depth + 1), _moved(low, x)
    if derived < moved:
        known.update(tried)
    return min(derived, moved)
