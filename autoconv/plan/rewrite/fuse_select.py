"""Fuse the derivative of max and min into one select: what the sweep writes as seven lines becomes one.

The definition (x + y + |x - y|) / 2 is differentiated into ``g / 2 + (g / 2) * sign(order(x, y))`` and the like: the
cotangent times a number that depends only on which operand is larger.  ``fuse_select`` finds every line of that form,
evaluates its number for the three cases (less, tie, more) and replaces it by one line, ``slope``, that selects among
them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ... import arrays
from ...program.program import Line, Program, keep
from ...program.rewrite import rewrite
from ...tape import Primitive

Cases = tuple[float, ...]  # less, tie, more


def _slope(g: Any, a: Any, b: Any, less: float, tie: float, more: float) -> Any:
    case = arrays.order(a, b)
    return g * np.where(
        case > 0, np.array(more, g.dtype), np.where(case < 0, np.array(less, g.dtype), np.array(tie, g.dtype))
    )


slope = Primitive("slope", _slope, (None, None, None), "", "arithmetic", lambda rng: ([], {}))
"""g times ``less``, ``tie`` or ``more``, as a < b, a = b or a > b: a row of plans alone, since no user writes it."""


@dataclass(frozen=True)
class _Known:
    """A line that is ``base`` (None: 1) times a number for each case of the order of two lines (None: a plain
    number)."""

    base: int | None
    order: tuple[int, int] | None
    cases: Cases


@rewrite(exact=False, why="a zero may get the other sign, and a subnormal cotangent is halved without rounding")
def fuse_select(program: Program) -> Program:
    """Every line that is a cotangent times a function of order(a, b) becomes one line ``slope``."""
    known: list[_Known] = []
    lines = list(program.lines)
    for i, line in enumerate(lines):
        found = _combine(program, i, known)
        known.append(found)
        if found.base not in (None, i) and found.order and line.dtype.kind == "f" and _same(lines, i, found):
            a, b = found.order
            less, tie, more = found.cases
            params = {"less": less, "tie": tie, "more": more}
            lines[i] = replace(line, primitive=slope, operands=(found.base, a, b), params=params)
    return keep(_of_results(Program(lines, program.outputs)))


def _of_results(program: Program) -> Program:
    """slope(g, a, b) where max(a, b) is known as well: the order of a and the maximum decides as well as that of a and
    b, if a tie counts like the other case in which a (or b) is the maximum.  So what went into a relu need not be kept
    for it."""
    results = {}
    for i, line in enumerate(program.lines):
        if line.primitive is not None and line.primitive.name == "maximum":
            a, b = line.operands
            results[a, b] = results[b, a] = i
    lines = list(program.lines)
    for i, line in enumerate(lines):
        if line.primitive is slope and line.operands[1:] in results:
            g, a, b = line.operands
            y = results[a, b]
            if y < i and line.params["tie"] == line.params["more"]:
                lines[i] = replace(line, operands=(g, a, y))
            elif y < i and line.params["tie"] == line.params["less"]:
                lines[i] = replace(line, operands=(g, y, b))
    return Program(lines, program.outputs)


def _same(lines: list[Line], i: int, found: _Known) -> bool:
    assert found.base is not None and found.order is not None
    return all(
        lines[x].shape == lines[i].shape and lines[x].dtype == lines[i].dtype for x in (found.base, *found.order)
    )


def _combine(program: Program, i: int, known: list[_Known]) -> _Known:
    line = program.lines[i]
    itself = _Known(i, None, (1.0, 1.0, 1.0))
    if line.value is not None and line.value.size and not any(line.value.strides) and line.dtype.kind == "f":
        return _Known(None, None, (float(line.value.flat[0]),) * 3)
    if line.primitive is None or line.primitive.group != "arithmetic" or line.dtype.kind != "f":
        return itself
    name = line.primitive.name
    if name == "order":
        return _Known(None, (line.operands[0], line.operands[1]), (-1.0, 0.0, 1.0))
    parts = [known[x] for x in line.operands]
    orders = {p.order for p in parts if p.order}
    if len(orders) > 1:  # the slope of a slope (of a clip, say): the inner one is a cotangent like any other
        parts = [
            p if p.base is None else _Known(x, None, (1.0,) * 3) for x, p in zip(line.operands, parts, strict=True)
        ]
        orders = {p.order for p in parts if p.order}
    if len(orders) > 1:
        return itself
    order = next(iter(orders), None)
    if all(p.base is None for p in parts) and order:
        cases = line.primitive.forward(*[np.array(p.cases) for p in parts], **line.params)
        return _Known(None, order, tuple(map(float, cases)))
    bases = {p.base for p in parts if p.base is not None}
    if len(bases) != 1:
        return itself
    base = next(iter(bases))
    numbers = [np.array(p.cases) for p in parts]
    if name == "neg":
        return _Known(base, order, tuple(-numbers[0]))
    if (
        name in ("mul", "div")
        and sum(p.base is not None for p in parts) == 1
        and (name == "mul" or parts[0].base is not None)
    ):
        if name == "div" and not numbers[1].all():
            return itself
        factor = numbers[0] * numbers[1] if name == "mul" else numbers[0] / numbers[1]
        return _Known(base, order, tuple(map(float, factor))) if _exact(numbers) else itself
    if name in ("add", "sub") and all(p.base is not None for p in parts):
        return _Known(
            base, order, tuple(map(float, numbers[0] + numbers[1] if name == "add" else numbers[0] - numbers[1]))
        )
    return itself


def _exact(numbers: list[np.ndarray]) -> bool:
    """Whether products with these numbers lose no digit: zeros and powers of two."""
    return all(np.isfinite(n).all() and bool((np.isin(np.abs(np.frexp(n)[0]), (0, 0.5))).all()) for n in numbers)
