"""A slope of a maximum reads its result: so what went into a relu need not be kept for the way back.

The sweep writes the derivative of a maximum as one line, ``slope``: the cotangent times a number that depends only on
which of two operands is larger.  Where the larger of the two is known as well, it stands in for one of them.
"""

from __future__ import annotations

from dataclasses import replace

from ..primitives import slope
from .program import Program, keep
from .rewrite import rewrite


@rewrite(exact=True, why="the order of an operand and the maximum is known from that of the two operands, NaN included")
def slope_of_result(program: Program) -> Program:
    """slope(g, a, b) where max(a, b) is known as well: the order of a and the maximum decides as well as that of a and
    b, if a tie counts like the other case in which a (or b) is the maximum."""
    results = {}
    for i, line in enumerate(program.lines):
        if line.primitive is not None and line.primitive.name == "maximum":
            a, b = line.operands
            results[a, b] = results[b, a] = i
    lines = list(program.lines)
    for i, line in enumerate(lines):
        if line.primitive is slope and line.operands[1:] in results and line.params.get("nan", "more") == "more":
            g, a, b = line.operands
            y = results[a, b]
            if y < i and line.params["tie"] == line.params["more"]:
                lines[i] = replace(line, operands=(g, a, y))
            elif y < i and line.params["tie"] == line.params["less"]:
                lines[i] = replace(line, operands=(g, y, b))
    return keep(replace(program, lines=lines))
