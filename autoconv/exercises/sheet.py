"""A sheet: numbers in equations, grids and pictures, each known by what it is, and the choice of the blanks.

A quantity is what a number is ("gradient" of a scalar, its "value", a "local" derivative), so that one quantity at two
places is blanked at both.  A number that also stands elsewhere as another quantity is not asked for: it would be given
away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from ..render.latex import Expression, value
from ..render.node import Edge, Node
from ..render.text import number

Quantity = tuple[Any, ...]
SMALLEST = 1e-4  # of rounded numbers, next to the largest: a smaller one has vanished (a saturated tanh)
COVERED = Expression(r"\text{▢}", "▢")


class Cell(NamedTuple):
    """A number on the sheet; ``binds``: how tightly it must bind where it stands (see ``render.latex``)."""

    quantity: Quantity
    value: Any
    binds: int = 0


class Candidate(NamedTuple):
    """A number that can be worked out from the rest of the sheet.

    says: what it is, as "dC/dw[0,0]".  spread: by how much it moves if every number it is worked out from is rounded to
    four digits.  slips: (name of a classic slip, what it leads to).
    """

    value: Any
    says: str
    spread: float = 0.0
    slips: tuple[tuple[str, Any], ...] = ()


@dataclass
class Prose:
    """A heading or a paragraph, or lines of code."""

    text: str
    kind: str = "paragraph"  # "heading", "paragraph", "code"

    def cells(self) -> Iterator[Cell]:
        yield from ()


@dataclass
class Grid:
    """An array under its name; ``flat`` says whether its elements are counted from 1, row by row."""

    name: Expression
    cells_: np.ndarray
    flat: bool = False

    def cells(self) -> Iterator[Cell]:
        yield from self.cells_.ravel()


@dataclass
class Listed:
    """Single elements by name: x[0,3] = 2."""

    rows: list[tuple[Expression, Cell]]

    def cells(self) -> Iterator[Cell]:
        yield from (cell for _, cell in self.rows)


@dataclass
class Equation:
    """left = symbols = numbers = result, as ``rows`` of formulas and cells.

    result: the quantity that it is an equation of.  needs: the values that its symbols speak of.
    """

    left: Expression
    rows: list[list[Expression | Cell]]
    result: Quantity | None = None
    needs: dict[Quantity, None] = field(default_factory=dict)

    def cells(self) -> Iterator[Cell]:
        yield from (piece for row in self.rows for piece in row if isinstance(piece, Cell))


@dataclass
class Picture:
    """A graph: ``numbers`` has the cells of each node's (value, gradient), ``slopes`` those of the edges by number."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    numbers: dict[str, tuple[Cell | None, Cell | None]]
    slopes: dict[int, Cell]
    title: str

    def cells(self) -> Iterator[Cell]:
        yield from (cell for pair in self.numbers.values() for cell in pair if cell)
        yield from self.slopes.values()


Part = Prose | Grid | Listed | Equation | Picture


@dataclass
class Sheet:
    """Parts with numbers, and which of them can be asked for.

    coverable: numbers that may be covered without being asked for.  complete: the parts that are given besides (values
    and names), for the parts that are kept.
    """

    title: str
    task: str
    parts: list[Part]
    candidates: dict[Quantity, Candidate]
    exact: bool
    complete: Callable[[Sequence[Part]], list[Part]] = lambda parts: []
    coverable: set[Quantity] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def available(self) -> list[Quantity]:
        """The candidates that can be asked for, in the order of the sheet: not zero, and nowhere given away."""
        kinds = self._same()
        sizes = [abs(float(c.value)) for c in self.candidates.values()]
        least = 0.0 if self.exact else SMALLEST * max([s for s in sizes if np.isfinite(s)], default=0.0)
        hideable = self.candidates.keys() | self.coverable
        there = []
        for cell in cells([*self.complete(self.parts), *self.parts]):
            known = self.candidates.get(cell.quantity)
            if known is None or not abs(cell.value) > least or not steady(known, self.exact):
                continue
            if np.isfinite(float(cell.value)) and all(q in hideable for q in kinds[shown(cell.value)]):
                there.append(cell.quantity)
        return list(dict.fromkeys(there))

    def alone(self) -> list[Quantity]:
        """Those of them whose number looks like no other on the sheet: nothing has to be covered for them."""
        same = self._same()
        return [q for q in self.available() if len(same[shown(self.candidates[q].value)]) == 1]

    def _same(self) -> dict[str, dict[Quantity, None]]:
        """The quantities that look alike, by what they look like."""
        alike: dict[str, dict[Quantity, None]] = {}
        for cell in cells([*self.complete(self.parts), *self.parts]):
            alike.setdefault(shown(cell.value), {})[cell.quantity] = None
        return alike

    def blanked(self, count: int, rng: np.random.Generator) -> Blanked:
        """``count`` blanks drawn at random, gradients before values, and first those whose number is alone of its kind.

        Parts without a blank are left out.
        """
        same, there = self._same(), self.available()
        order = [there[i] for i in rng.permutation(len(there))]
        turns: Counter[str] = Counter()
        turn: dict[Quantity, int] = {}  # two blanks of one number are dull
        for q in order:
            look = shown(self.candidates[q].value)
            turn[q] = turns[look]
            turns[look] += 1
        order.sort(key=lambda q: (turn[q], len(same[shown(self.candidates[q].value)])))
        gradients = [q for q in order if q[0] == "gradient"][: (2 * count + 2) // 3]
        chosen = set([*gradients, *(q for q in order if q not in gradients)][:count])
        covered = {q for c in chosen for q in same[shown(self.candidates[c].value)]} - chosen
        kept = self._told(chosen | covered, chosen)
        kept = [*self.complete(kept), *kept]
        numbered: dict[Quantity, int] = {}
        for cell in cells(kept):
            if cell.quantity in chosen:
                numbered.setdefault(cell.quantity, len(numbered) + 1)
        return Blanked(self, kept, numbered, covered)

    def _told(self, hidden: set[Quantity], chosen: set[Quantity]) -> list[Part]:
        """The parts that have a blank, and the equations of whatever is hidden in those."""
        wanted = set(chosen)
        while True:
            kept = [
                part
                for part in self.parts
                if not isinstance(part, Equation)
                or part.result in wanted
                or any(c.quantity in chosen for c in part.cells())
            ]
            more = {cell.quantity for cell in cells(kept)} & hidden
            if more <= wanted:
                return kept
            wanted |= more


@dataclass
class Blanked:
    """A sheet with its blanks numbered in reading order, and what is covered so that no blank is given away."""

    sheet: Sheet
    parts: list[Part]
    numbered: dict[Quantity, int]
    covered: set[Quantity]

    def written(self, cell: Cell) -> Expression:
        """A cell as the reader sees it: its number, the number of its blank, or a cover."""
        if cell.quantity in self.numbered:
            mark = circled(self.numbered[cell.quantity])
            return Expression(rf"\boxed{{\text{{{mark}}}}}", mark)
        return COVERED if cell.quantity in self.covered else value(plain(cell.value)).within(cell.binds)

    @property
    def covers(self) -> bool:
        """Whether a number on the paper is covered without being asked for."""
        return any(cell.quantity in self.covered for cell in cells(self.parts))


def cells(parts: Iterable[Part]) -> Iterator[Cell]:
    for part in parts:
        yield from part.cells()


def steady(candidate: Candidate, exact: bool) -> bool:
    """Whether the number can be worked out from rounded ones: not a small difference of large numbers."""
    return exact or candidate.spread <= 0.02 * abs(float(candidate.value))


def plain(x: Any) -> Any:
    """A number without a sign at zero; a fraction with denominator 1 is whole."""
    if isinstance(x, Fraction):
        return int(x) if x.denominator == 1 else x
    return 0.0 if x == 0 else x


def shown(x: Any) -> str:
    """A number as the sheet shows it."""
    return number(plain(x))


def circled(n: int) -> str:
    """① to ⑳, then [21] and on."""
    return chr(0x245F + n) if n <= 20 else f"[{n}]"
