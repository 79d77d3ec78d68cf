r"""The equation of a call, forward and backward, with index names: what its lines do together.

A convolution or pooling is read off its windows (``window_geometry``), a layer with one contraction off the letters of
that.  Of other calls the formulas of their lines are put into each other while that stays short.  Long names are
replaced by letters, with a legend.

    y_{p,q,m} = \sum_{u,v,k} x_{p+u, q+v, k} \, w_{u,v,k,m} + b_m
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...render.latex import Expression, escaped, symbol
from ...tape import Tensor
from ..lines import call, is_number, operand
from ..window_geometry import WindowGeometry
from .units import Unit

SHORT = 3  # characters of names that stand in equations themselves
IN_PLACE = ("reshape", "broadcast_to", "cast")  # after which a formula of elements still says the same
LINES, LONG = 6, 160  # of a call whose formulas are put into each other; characters of what that gives


@dataclass(frozen=True)
class Equation:
    """``latex`` of one equation, or "" where there is none; ``legend``: which letter stands for which name."""

    latex: tuple[str, ...] = ()
    legend: tuple[tuple[str, str], ...] = ()


def equation(unit: Unit, phase: str, names: Mapping[int, str], picture: WindowGeometry | None) -> Equation:
    """The equation of a unit in one phase."""
    backward = phase == "backward"
    if unit.kind == "input":
        return Equation()
    if picture is not None and picture.kind in ("conv", "max_pool", "avg_pool"):
        return _windows(unit, picture, backward, names)
    products = [x for x in unit.lines if x.primitive is not None and x.primitive.name == "contract"]
    if len(products) == 1 and _only_adds(unit, products[0]):
        return _contraction(unit, products[0], backward, names)
    return Equation() if backward else _composed(unit, names)


class _Letters:
    """Symbols for arrays: short names as they are, letters for long ones."""

    def __init__(self, names: Mapping[int, str]) -> None:
        self.names = names
        self.legend: list[tuple[str, str]] = []

    def __call__(self, x: Tensor, letter: str) -> str:
        name = self.names[id(x)]
        if len(name) <= SHORT:
            return symbol(name).latex.strip()
        if (letter, name) not in self.legend:
            self.legend.append((letter, name))
        return letter


def _at(base: str, *index: str) -> str:
    shown = [i for i in index if i]
    return f"{base}_{{{','.join(shown)}}}" if shown else base


def _bar(latex: str) -> str:
    return rf"\partial {latex}"


def _windows(unit: Unit, g: WindowGeometry, backward: bool, names: Mapping[int, str]) -> Equation:
    letters = _Letters(names)
    y, x = letters(g.output, "y"), letters(g.input, "x")
    real = [d for d in range(3) if g.window[d] > 1 or g.outputs[d] > 1]
    n = "n" if g.made["n"][0] > 1 else ""
    positions, taps = ["", "", ""], ["", "", ""]
    for d, p, u in zip(real, "pqr", "uvs", strict=False):
        positions[d], taps[d] = (p if g.outputs[d] > 1 else ""), (u if g.window[d] > 1 else "")
    reads = [_read(g, d, positions[d], taps[d]) if d in real else "" for d in range(3)]
    tap = ",".join(filter(None, taps))
    if g.kernel is None:
        c = "k" if g.read["c"][0] > 1 else ""
        made, cell = _at(y, n, *positions, c), _at(x, n, *reads, c)
        count = g.window[0] * g.window[1] * g.window[2]
        forward = rf"\max_{{{tap}}} {cell}" if g.kind == "max_pool" else rf"\frac{{1}}{{{count}}} \sum_{{{tap}}} {cell}"
        if backward:
            share = _at(_bar(y), n, *positions, c)
            share = share if g.kind == "max_pool" else rf"\frac{{1}}{{{count}}} {share}"
            where = r"\text{ at the winner of each window}" if g.kind == "max_pool" else r"\text{ in each window}"
            line = rf"{_at(_bar(x), n, *reads, c)} \; \text{{+=}} \; {share} {where}"
            return Equation((line,), (*letters.legend, _bars(y, g.output, names)))
        return Equation((f"{made} = {forward}",), tuple(letters.legend))
    w = letters(g.kernel, "w")
    o = "m" if g.made["o"][0] * g.made["g"][0] > 1 else ""
    c = "k" if g.read["c"][0] > 1 else ""
    grouped = "" if g.read["g"][0] == 1 else "g"
    value, kernel = _at(y, n, *positions, grouped, o), _at(w, *taps, c, grouped, o)
    cell = _at(x, n, *reads, grouped, c)
    bias = next((b for b in unit.given if b is not g.kernel and b is not g.input and b.ndim == 1), None)
    added = "" if bias is None else _at(letters(bias, "b"), grouped, o)
    if not backward:
        summed = ",".join(filter(None, [tap, c]))
        term = rf"{cell} \, {kernel}"
        line = f"{value} = " + (rf"\sum_{{{summed}}} {term}" if summed else term) + (f" + {added}" if added else "")
        return Equation((line,), tuple(letters.legend))
    share = _at(_bar(y), n, *positions, grouped, o)
    places = ",".join(filter(None, [n, *positions]))
    weight = rf"{_at(_bar(w), *taps, c, grouped, o)} \; \text{{+=}} \; \sum_{{{places}}} {cell} \, {share}"
    over = ",".join(filter(None, [tap, o]))
    pixel = rf"{_at(_bar(x), n, *reads, grouped, c)} \; \text{{+=}} \; \sum_{{{over}}} {kernel} \, {share}"
    more = [] if bias is None else [rf"{_at(_bar(letters(bias, 'b')), o)} \; \text{{+=}} \; \sum_{{{places}}} {share}"]
    return Equation((weight, pixel, *more), (*letters.legend, _bars(y, g.output, names)))


def _bars(y: str, x: Tensor, names: Mapping[int, str]) -> tuple[str, str]:
    return _bar(y), f"the gradient of {names[id(x)]}, and so for the others"


def _read(g: WindowGeometry, d: int, p: str, u: str) -> str:
    """The coordinate that window p reads at tap u: "2p + u - 1"."""
    before = next((k for k, cell in enumerate(g.cells[d]) if cell >= 0), 0)
    parts = [f"{g.stride[d]}{p}" if g.stride[d] > 1 else p] if p else []
    parts += [f"{g.dilation[d]}{u}" if g.dilation[d] > 1 else u] if u else []
    return "+".join(parts) + (f"-{before}" if before and parts else "")


def _only_adds(unit: Unit, product: Tensor) -> bool:
    rows = [x.primitive for x in unit.lines if x.primitive is not None and x is not product]
    return all(row.group == "wiring" or row.name == "add" for row in rows) and product.ndim == unit.output.ndim


def _contraction(unit: Unit, product: Tensor, backward: bool, names: Mapping[int, str]) -> Equation:
    letters = _Letters(names)
    spec, result = product.params["spec"].split("->")
    index = [list(part) for part in spec.split(",")]
    sizes = {c: n for part, x in zip(index, product.operands, strict=True) for c, n in zip(part, x.shape, strict=True)}
    sums = [c for c in sizes if c not in result]
    called = {c: "mnpq"[k] for k, c in enumerate(reversed(result[-4:]))} | dict(zip(sums, "klij", strict=False))
    long = lambda part: [called.get(c, c) for c in part if sizes[c] > 1]
    source = [_outside(x, unit) for x in product.operands]
    x, w = letters(source[0], "x"), letters(source[1], "w")
    y = letters(unit.output, "y")
    bias = next((b for b in unit.given if all(b is not s for s in source)), None)
    first, second, made = (long(part) for part in (index[0], index[1], list(result)))
    summed = ",".join(c for c in first if c not in made)
    if not backward:
        term = rf"{_at(x, *first)} \, {_at(w, *second)}"
        line = f"{_at(y, *made)} = " + (rf"\sum_{{{summed}}} {term}" if summed else term)
        line += f" + {_at(letters(bias, 'b'), *made[-1:])}" if bias is not None else ""
        return Equation((line,), tuple(letters.legend))
    rows = []
    for own, other, mine, theirs in ((w, x, second, first), (x, w, first, second)):
        over = ",".join(dict.fromkeys(c for c in [*made, *theirs] if c not in mine))
        term = rf"{_at(other, *theirs)} \, {_at(_bar(y), *made)}"
        rows.append(rf"{_at(_bar(own), *mine)} \; \text{{+=}} \; " + (rf"\sum_{{{over}}} {term}" if over else term))
    return Equation(tuple(rows), (*letters.legend, _bars(y, unit.output, names)))


def _outside(x: Tensor, unit: Unit) -> Tensor:
    """What a line inside the unit was moved from, outside of it."""
    inside = {id(line) for line in unit.lines}
    while id(x) in inside and x.primitive is not None and x.operands:
        x = x.operands[0]
    return x


def _composed(unit: Unit, names: Mapping[int, str]) -> Equation:
    """The formulas of the lines put into each other; "" where that is too long to read."""
    made = [x for x in unit.lines if x.primitive is not None]
    arithmetic = [x for x in made if x.primitive is not None and x.primitive.group != "wiring"]
    letters = _Letters(names)
    moved = [x for x in made if x.primitive is not None and x.primitive.group == "wiring"]
    plain = all(x.primitive.name in IN_PLACE for x in moved if x.primitive is not None)
    if len(arithmetic) <= LINES and plain and not any("spec" in x.params for x in arithmetic):
        known: dict[int, Expression] = {}
        inside = {id(x) for x in unit.lines}
        free = iter("xzst")
        for line in made:
            for x in line.operands:
                if id(x) not in known and id(x) not in inside and not is_number(x):
                    name = letters(x, next(free, "") or names[id(x)])
                    known[id(x)] = Expression(name, name)
                elif id(x) not in known and x.primitive is None:
                    known[id(x)] = operand(x, names)
            parts = [known[id(x)] for x in line.operands]
            row = line.primitive
            assert row is not None
            known[id(line)] = (
                parts[0] if row.group == "wiring" else call(row, parts, {} if row.elementwise else line.params)
            )
        latex = known[id(unit.output)].latex
        if len(latex) <= LONG:
            return Equation((f"{letters(unit.output, 'y')} = {latex}",), tuple(letters.legend))
    return Equation((named(unit, names),))


def named(unit: Unit, names: Mapping[int, str]) -> str:
    inside = {id(x) for x in unit.lines}
    read: Sequence[Tensor] = list(
        {id(x): x for line in unit.lines for x in line.operands if id(x) not in inside}.values()
    )
    shown = [symbol(names[id(x)]).latex for x in read if not is_number(x)]
    function = rf"\operatorname{{{escaped(unit.call)}}}"
    return f"{symbol(names[id(unit.output)]).latex} = {function}({', '.join(shown)})"
