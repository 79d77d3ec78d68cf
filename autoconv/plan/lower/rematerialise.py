"""Lines of an earlier stage in a later one: loaded, or derived anew from lines that are loaded anyway.

A line that is only other names for cells is derived from the line that it names, and cheap arithmetic is done once more where
that moves fewer numbers than storing the result and loading it.  Only arithmetic that IEEE 754 rounds exactly is repeated, so
the numbers are the same, bit by bit.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from .instructions import Names
from .names import one_example

if TYPE_CHECKING:
    from .lower import Lowering

_CHEAP = {
    **dict.fromkeys(["add", "sub", "mul", "neg", "abs", "sign", "maximum", "minimum", "where", "slope"], 0.2),
    **dict.fromkeys(["greater", "less", "greater_equal", "less_equal", "equal", "not_equal"], 0.2),
    **dict.fromkeys(["div", "sqrt"], 0.4),
}
"""What arithmetic costs for each cell; loading or storing one costs 1."""
_DEEPEST = 24  # lines: what is further back is loaded


def again(low: Lowering, i: int, axis: int, stage: int) -> Names | None:
    """The cells of line i, derived in ``stage`` from others; None if loading it is cheaper or it cannot be derived."""
    lane = low.lanes.get(i)
    if lane is None or lane.axis != axis or _cost(low, i, stage, {}, 0) > _moved(low, i):
        return None
    return _derive(low, i, stage)


def _derive(low: Lowering, i: int, stage: int) -> Names | None:
    line, axis = low.program.lines[i], low.lanes[i].axis
    assert line.primitive is not None
    if line.primitive.name in _CHEAP:
        return low.arithmetic(i, line, axis, stage)
    at = low.example_axis(line.operands[0])
    assert at is not None
    names = low.names(line.operands[0], at, stage)
    return names if names is None or line.primitive.name == "cast" else low.renamed(i, line, names, at, stage)


def _moved(low: Lowering, i: int) -> float:
    """What loading line i costs, and storing it unless that is done anyway."""
    return _cells(low, i) * (1 if i in low.ready else 2)


def _cells(low: Lowering, i: int) -> int:
    return prod(low.program.lines[i].shape) // max(1, low.examples)


def _cost(low: Lowering, i: int, stage: int, known: dict[int, float], depth: int) -> float:
    """What deriving line i in ``stage`` costs; without end if it cannot be.  ``known``: lines that are derived already."""
    line, axis = low.program.lines[i], low.lanes[i].axis
    if line.primitive is None or depth > _DEEPEST:
        return float("inf")
    name = line.primitive.name
    if name in _CHEAP:
        cost = _CHEAP[name] * _cells(low, i)
        if any(low.example_axis(x) not in (axis, None) for x in line.operands):
            return float("inf")
    elif (x := line.operands[0]) in low.merged or (at := low.example_axis(x)) is None:
        return float("inf")
    elif name == "cast" and low.program.lines[x].dtype == bool:
        cost = 0.0
    else:
        found = one_example(line, low.program.lines[x].shape, at, low.examples)
        if line.primitive.group != "wiring" or found is None or found[1] != axis:
            return float("inf")
        cost = 0.0
    for x in line.operands:
        if x not in known:
            known[x] = 0.0
            cost += _cost_of_operand(low, x, axis, stage, known, depth)
    return cost


def _cost_of_operand(low: Lowering, x: int, axis: int, stage: int, known: dict[int, float], depth: int) -> float:
    line = low.program.lines[x]
    if x in low.merged or x in low.pending or line.dtype not in (low.dtype, bool):
        return float("inf")
    if x not in low.lanes:
        if x not in low.ready:
            return float("inf")
        spread = line.value is not None or (line.primitive is not None and line.primitive.name == "broadcast_to")
        return 0.0 if spread or low.has(x, stage) or (x, stage) in low.wanted else _cells(low, x)
    if low.has(x, stage) or (x, stage) in low.wanted:
        return 0.0
    tried = dict(known)
    derived, moved = _cost(low, x, stage, tried, depth + 1), _moved(low, x)
    if derived < moved:
        known.update(tried)
    return min(derived, moved)
