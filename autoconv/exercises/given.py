"""What a sheet gives besides its blanks: the program, the values that formulas speak of, what symbols mean."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..render.latex import Expression, symbol
from ..render.text import clean
from ..tape import Tensor
from ..views.equations.equation import legend
from ..views.graph.graph import graph
from ..views.layers import settings
from ..views.lines import is_number
from .run import ScalarRun
from .sheet import Cell, Equation, Grid, Listed, Part, Prose, Quantity

WHOLE = 64  # arrays of up to so many elements are given whole, of larger ones the elements that are needed
STEPS = 60  # lines of a program that are listed


def value_cell(run: ScalarRun, i: int, binds: int = 0) -> Cell:
    return Cell(("value", i), run.flat.value[i], binds)


def gradient_cell(run: ScalarRun, i: int, binds: int = 0) -> Cell:
    return Cell(("gradient", i), run.gradient[i], binds)


def array(run: ScalarRun, x: Tensor, gradient: bool = False) -> Part:
    """The values of a tensor, or its gradient, as an array under its name."""
    name = symbol(run.symbols.label(x))
    if gradient:
        of = run.context.of
        name = Expression(rf"\frac{{\partial {of.latex}}}{{\partial {name.latex}}}", f"d{of.text}/d{name.text}")
    numbers = np.empty(x.shape, object)
    for index, i in np.ndenumerate(run.flat.scalars(x)):
        numbers[index] = (gradient_cell if gradient else value_cell)(run, int(i))
    return Grid(name, numbers, run.symbols.subscripts(x) == "flat") if x.size > 1 else Listed([(name, numbers.item())])


def values(run: ScalarRun, needed: Iterable[int]) -> list[Part]:
    """The values of these scalars: small tensors whole, of large ones the elements that are needed."""
    by: dict[int, tuple[Tensor, list[int]]] = {}
    for i in needed:
        x = run.symbols.place(i)[0]
        by.setdefault(id(x), (x, []))[1].append(i)
    arrays: list[Part] = []
    single: list[tuple[Expression, Cell]] = []
    for x, scalars in sorted(by.values(), key=lambda entry: entry[0].serial):
        if 1 < x.size <= WHOLE:
            arrays.append(array(run, x))
        else:
            single += [(run.symbols.element(i), value_cell(run, i)) for i in dict.fromkeys(scalars)]
    return [*arrays, *([Listed(single)] if single else [])]


def program(run: ScalarRun) -> list[Part]:
    """What was computed, call by call, without numbers; nothing for a program too long to read."""
    try:
        nodes = graph(run.loss, zoom="calls", names=run.names).nodes
    except ValueError:
        return []
    rows, told = [], set[int]()
    same: dict[str, str] = {}  # a line in another dtype -> the line whose numbers it has
    for node in nodes:
        if node.kind not in ("line", "call") or not node.formula:
            continue
        inside = [run.tape[i] for i in node.lines]
        name = run.symbols.label(inside[-1])
        data = [x for line in inside for x in line.operands if _plain_data(x)]
        spoken = {id(x) for x in data if _speaks(node.formula, run.symbols.label(x))}
        told |= spoken
        hidden = [x for x in data if x.dtype.kind == "f" and id(x) not in spoken]
        read = [f"with {run.symbols.label(x)}" for x in {id(x): x for x in hidden}.values()]
        formula = re.sub(r"%\d+", lambda found: same.get(found[0], found[0]), node.formula)
        if node.operation == "cast":
            source = run.symbols.label(inside[-1].operands[0])
            formula = same.get(source, source)
            if name == node.place:
                same[name] = formula
                continue
        more = ", ".join([*read, *(_settings(inside) if node.kind == "call" else [])])
        rows.append(clean(f"{name} = {formula}") + (f"   # {clean(more)}" if more else ""))
    whole = [x for x in run.tape if id(x) in told and x.dtype.kind in "iub" and x.size <= WHOLE]
    data_rows = [f"{run.symbols.label(x)} = {' '.join(str(x.value.tolist()).split())}" for x in whole]
    text = "\n".join([*data_rows, *rows])
    return [Prose("The program", "heading"), Prose(text, "code")] if 0 < len(rows) <= STEPS else []


def _speaks(formula: str, name: str) -> bool:
    """Whether a formula names ``name``: "%31" is not in "%319"."""
    return re.search(rf"(?<![\w.%]){re.escape(name)}(?![\w.])", formula) is not None


def _plain_data(x: Tensor) -> bool:
    """Whether a line is data that no gradient goes to: labels, targets."""
    return x.constant and x.primitive is None and not is_number(x)


def _settings(lines: Sequence[Tensor]) -> list[str]:
    """The window of the lines inside a call, its stride, padding and the like, and what is flipped."""
    flips = [x.params["axis"] for x in lines if x.primitive is not None and x.primitive.name == "flip"]
    window = settings(lines)
    return [*([f"window {window}"] if window else []), *dict.fromkeys(f"flipped along {axis}" for axis in flips)]


def needs(parts: Sequence[Part]) -> list[int]:
    """The scalars whose values the formulas of these parts speak of."""
    needed: dict[Quantity, None] = {}
    for part in parts:
        if isinstance(part, Equation):
            needed |= part.needs
    return [q[1] for q in needed]


def meaning(wholes: Sequence[Any]) -> list[Part]:
    """What the symbols of cotangents stand for."""
    pairs = {id(x): (whole, x) for whole in wholes for x in whole.targets}
    lines = legend(list(pairs.values()))
    return [Equation(Expression("", ""), [[line]]) for line in lines]
