"""A row with a definition, opened: max(0, z) = (0 + z + |0 - z|) / 2, and its slope as the sum over the ways inside."""

from __future__ import annotations

from typing import Any

from ...render.latex import PRODUCT, SUM, Expression, call, value
from .symbols import Symbols


def opened(symbols: Symbols, end: int, operand: int) -> Expression:
    """The definition of the row whose result is scalar ``end``, and its slope in the scalar ``operand``, in numbers."""
    block = symbols.block(end)
    about: Any = block.opened
    position = end - block.first
    names = [int(o[position]) for o in about.operands]
    written = {id(x): symbols.expression(o) for x, o in zip(about.variables, names, strict=True)}
    for line in about.definition:
        if line.primitive is None:
            written.setdefault(id(line), value(line.item()))
        else:
            written[id(line)] = call(line.primitive, [written[id(x)] for x in line.operands])
    whole, row = (
        written[id(about.definition.outputs[0])],
        call(about.primitive, [written[id(x)] for x in about.variables]),
    )
    ways = _ways(symbols, end, operand)
    total = sum(_product(way) for way in ways)
    parts = [[value(x).within(PRODUCT) for x in way if x != 1] or [value(1)] for way in ways]
    latex = " + ".join(r" \cdot ".join(x.latex for x in way) for way in parts)
    text = " + ".join("·".join(x.text for x in way) for way in parts)
    by, result = symbols.element(operand), value(total)
    return Expression(
        rf"{row.latex} = {whole.latex}, \quad \frac{{\partial}}{{\partial {by.latex}}} = {latex} = {result.latex}",
        f"{row.text} = {whole.text}; d/d{by.text} = {text} = {result.text}",
        SUM,
    )


def _product(way: list[Any]) -> Any:
    made: Any = 1
    for slope in way:
        made = made * slope
    return made


def _ways(symbols: Symbols, end: int, operand: int) -> list[list[Any]]:
    """The slopes along each way from ``operand`` to ``end`` inside one definition."""
    flat, about = symbols.ground.flat, symbols.block(end).opened
    found: list[list[Any]] = []
    waiting: list[tuple[int, list[Any]]] = [(end, [])]
    while waiting:
        i, so_far = waiting.pop()
        if i == operand:
            found.append(so_far)
        elif symbols.block(i).opened is about:
            for k in range(flat.start[i], flat.start[i + 1]):
                waiting.append((int(flat.operands[k]), [*so_far, flat.slope.item(k)]))
    return found
