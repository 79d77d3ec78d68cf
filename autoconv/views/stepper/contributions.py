"""One contribution of the sweep: the rule that sends it to an operand as a formula, and the terms that one element gets
of it.

A rule is not written down a second time: the row's own vjp is recorded on Tensors, and the little tape that results is
read off in the formulas of its rows.  A contraction sends its operand one array, but each element of it is a sum over
positions: ``running`` follows one element through those terms, 0 -> 0.12 -> 0.31.  Lines that only move elements
(reshape, flip, ...) are looked through.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...backward import pull
from ...render.latex import Expression, matrix, number, symbol
from ...tape import Tape, Tensor
from ..lines import call, line_latex, operand
from .names import OUTPUT

if TYPE_CHECKING:
    from .stepper import Event

FEW, SMALL = 4, 9  # formulas with numbers: operands, and results, of up to so many elements


def forward_latex(line: Tensor, names: Mapping[int, str]) -> str:
    """name = formula = numbers = value, as far as they are short."""
    parts = [symbol(names[id(line)]).latex]
    if line.primitive is not None:
        parts.append(line_latex(line, names, False))
        if all(x.size <= FEW for x in line.operands):
            parts.append(line_latex(line, names, True))
    if small(line.value):
        parts.append(array_latex(line.value))
    return " = ".join(dict.fromkeys(parts))


def bar(line: Tensor, names: Mapping[int, str]) -> Expression:
    """The cotangent of a line, d output / d line; ``names`` knows the output's name by the key OUTPUT."""
    name, of = symbol(names[id(line)]), symbol(names[OUTPUT])
    return Expression(rf"\frac{{\partial {of.latex}}}{{\partial {name.latex}}}", f"d{of.text}/d{name.text}")


def gradient_symbol(target: Tensor, names: Mapping[int, str], value: np.ndarray | None) -> str:
    """The cotangent of ``target``, with its numbers if they are few."""
    left = bar(target, names).latex
    return left if value is None or not small(value) else f"{left} = {array_latex(value)}"


def contribution_latex(
    line: Tensor, k: int, names: Mapping[int, str], cotangent: Any, contribution: np.ndarray | None
) -> str:
    """What the line adds to the gradient of operand ``k``: the rule with names, with numbers, and the result."""
    target = bar(line.operands[k], names).latex
    parts = [rule(line, k, names, bar(line, names)).latex]
    if contribution is not None and small(contribution):
        if cotangent is not None and np.size(cotangent) == 1 and all(x.size <= 1 for x in line.operands):
            parts.append(rule(line, k, names, value_of(cotangent), numbers=True).latex)
        parts.append(array_latex(contribution))
    return rf"{target} \; \text{{+=}} \; {' = '.join(dict.fromkeys(parts))}"


def derivative_latex(line: Tensor, k: int, names: Mapping[int, str]) -> str:
    """The local derivative with respect to operand ``k`` of a row that works element by element; "" for other rows."""
    if line.primitive is None or line.primitive.group != "arithmetic":
        return ""
    left = rf"\frac{{\partial {symbol(names[id(line)]).latex}}}{{\partial {symbol(names[id(line.operands[k])]).latex}}}"
    if line.primitive.definition is not None:
        return left
    return f"{left} = {rule(line, k, names, Expression('1', '1')).latex}"


def rule(line: Tensor, k: int, names: Mapping[int, str], g: Expression, numbers: bool = False) -> Expression:
    """The row's rule for operand ``k`` as a formula of the cotangent ``g``, the operands and the result."""
    primitive = line.primitive
    if primitive is None:
        return g
    if primitive.definition is not None:  # its rule is the sweep of its definition, which the event opens into
        slope = (
            rf"\frac{{\partial}}{{\partial {symbol(names[id(line.operands[k])]).latex}}} "
            rf"{line_latex(line, names, numbers)}"
        )
        return Expression(rf"{g.latex} \cdot {slope}", f"{g.text} * slope")
    stand_ins = [Tensor(x.value, constant=x.constant) for x in line.operands]
    copy = Tensor(line.value, primitive, tuple(stand_ins), line.params, constant=line.constant)
    seed = Tensor(np.ones(line.shape, line.dtype))
    (made,) = pull(copy, seed, (k,), True)
    known = {id(x): operand(y, names, numbers) for x, y in zip(stand_ins, line.operands, strict=True)}
    known[id(copy)] = operand(line, names, numbers)
    known[id(seed)] = g
    return read_off(made, known, names)


def read_off(y: Tensor, known: dict[int, Expression], names: Mapping[int, str]) -> Expression:
    """The formula of a recorded line in terms of the ``known`` ones, along the tape."""
    if id(y) in known:
        return known[id(y)]
    for line in Tape(y):
        if id(line) not in known:
            if line.primitive is None:
                known[id(line)] = operand(line, names)
            else:
                known[id(line)] = call(line.primitive, [known[id(x)] for x in line.operands], line.params)
    return known[id(y)]


def value_of(array: Any) -> Expression:
    """A number as an expression; negative ones bind as loosely as a sum."""
    shown = Tensor(np.array(array).reshape(()), constant=True)
    return operand(shown, {}, True)


def small(array: Any) -> bool:
    return 0 < np.size(array) <= SMALL and np.ndim(array) <= 2


def array_latex(array: np.ndarray) -> str:
    """A small array as a number or a matrix."""
    return number(array.item()) if array.size == 1 else matrix(np.asarray(array))


Index = tuple[int, ...]


def running(event: Event, index: Index) -> list[Any]:
    """The gradient of ``event.target[index]`` from 0 through every term up to this event; each event ends on its exact
    sum.
    """
    chain: list[Event] = []
    at: Event | None = event
    while at is not None:
        if at.kind in ("seed", "accumulate"):
            chain.append(at)
        at = at.previous
    sums: list[Any] = [0.0]
    for part in reversed(chain):
        so_far = sums[-1]
        for term in terms(part, index)[:-1]:
            so_far = so_far + term
            sums.append(so_far)
        if part.after is not None:
            sums.append(one(part.after, index))
    return sums


def terms(event: Event, index: Index) -> list[Any]:
    """What one event adds to ``event.target[index]``, term by term."""
    found: list[Any] = []
    waiting = [(event, index)]
    while waiting:
        e, i = waiting.pop()
        if e.contribution is None:
            if e.after is not None:
                found.append(one(e.after, i))
            continue
        if e.line.primitive is not None and e.line.primitive.group == "contract":
            found += products(e, i)
            continue
        came = origin(e, i)
        if came is None:
            found.append(one(e.contribution, i))
            continue
        at = e.arrived  # the events that made this line's cotangent, the last first: the stack turns them round
        while at is not None:
            if at.kind != "gradient":
                waiting.append((at, came))
            at = at.previous
    return found


def products(event: Event, index: Index) -> list[Any]:
    """The terms of a contraction's contribution to one element: cotangent times the other operand, in scan order."""
    operands, result = event.line.params["spec"].split("->")
    letters, k = operands.split(","), event.operand or 0
    fixed = dict(zip(letters[k], index, strict=True))
    summed = [c for c in dict.fromkeys(result + letters[1 - k]) if c not in fixed]

    def part(array: Any, spec: str) -> Any:
        cut = array[tuple(fixed.get(c, slice(None)) for c in spec)]
        free = [c for c in spec if c not in fixed]
        ordered = np.transpose(cut, [free.index(c) for c in summed if c in free])
        return ordered[tuple(slice(None) if c in free else None for c in summed)]

    both = part(event.cotangent, result) * part(event.line.operands[1 - k].value, letters[1 - k])
    return np.ravel(both).tolist()


def origin(event: Event, index: Index) -> Index | None:
    """The element of the line's cotangent that this element of the contribution is, if the line only moves elements."""
    line, g, k = event.line, event.cotangent, event.operand
    if line.primitive is None or line.primitive.group != "wiring" or g is None or k is None:
        return None
    if "dtype" in line.params:
        return index
    names = np.arange(1, g.size + 1, dtype=float).reshape(g.shape)
    (moved,) = pull(line, names, (k,), False)
    moved = np.asarray(moved)
    present = moved[moved > 0]
    if len(present) != g.size or not np.array_equal(np.sort(present), names.reshape(-1)) or not moved[index]:
        return None
    return tuple(int(n) for n in np.unravel_index(int(moved[index]) - 1, g.shape))


def one(array: np.ndarray, index: Index) -> Any:
    """One element as a Python number (or an exact fraction)."""
    found = array[index]
    return found.item() if isinstance(found, np.generic) else found
