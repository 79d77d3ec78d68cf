"""Blanks in the equations of a run: those of ``ac.explain``, each derivative as symbols = numbers = result.

A result can be worked out from the terms before it, a cotangent from its own equation, a local derivative from the
values that are given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..render.latex import PRODUCT, Expression
from ..tape import Tensor
from ..tutor.bank.slips import slips_of
from ..views.equations.equation import added, derivative
from ..views.equations.terms import Sum, Term
from .given import meaning, needs, program, value_cell, values
from .run import ScalarRun
from .sheet import Candidate, Cell, Equation, Part, Prose, Quantity, Sheet

TERMS = (12, 40)  # terms of an equation: preferred, and at most
OPENED, MARGIN = 5, 3  # cotangents of one equation that get their own; numbers to choose from beyond those asked for
ROOTS, STATEMENTS = 400, 120

PLUS, DOT, EQUALS = Expression(" + ", " + "), Expression(r" \cdot ", "·"), Expression(" = ", " = ")


def equations(
    run: ScalarRun, wanted: Sequence[tuple[Tensor, np.ndarray]], count: int, rng: np.random.Generator
) -> Sheet:
    """A sheet of equations for elements of ``wanted`` (tensor, flat indices), until ``count`` blanks can be chosen."""
    writer = _Writer(run)
    sheet = Sheet(
        "Gradients by the chain rule",
        "Each equation is a gradient as a sum of terms: local derivative times the gradient that arrives. "
        "Fill in the numbered blanks.",
        [],
        writer.candidates,
        run.exact,
        complete=writer.around,
    )
    available = 0
    for most in TERMS:
        for scalar in _roots(run, wanted, rng):
            if len(writer.written) >= STATEMENTS or available >= count + MARGIN:
                break
            if writer.explain(scalar, most):
                sheet.parts = writer.parts
                available = len(sheet.available())
    return sheet


def _roots(run: ScalarRun, wanted: Sequence[tuple[Tensor, np.ndarray]], rng: np.random.Generator) -> Iterator[int]:
    """Elements in random order, one of each tensor in turn; those without a gradient are left out."""
    queues = []
    for k in rng.permutation(len(wanted)):
        x, places = wanted[int(k)]
        scalars = run.flat.scalars(x).ravel()[places]
        alive = scalars[run.gradient[scalars] != 0]
        queues.append([int(alive[i]) for i in rng.permutation(alive.size)])
    given = 0
    while any(queues) and given < ROOTS:
        for queue in queues:
            if queue:
                given += 1
                yield queue.pop()


class _Writer:
    """Writes equations one after the other; ``candidates`` are the numbers in them that can be asked for."""

    def __init__(self, run: ScalarRun) -> None:
        self.run = run
        self.candidates: dict[Quantity, Candidate] = {}
        self.written: dict[int, Sum] = {}  # scalar -> its sum
        self.parts: list[Part] = []  # in the order of the sweep: each follows from those before it
        self._about: dict[int, Sum] = {}  # id(part) -> its sum
        self._program = program(run)

    def around(self, parts: Sequence[Part]) -> list[Part]:
        """What is given with these equations, and what their symbols mean."""
        given = values(self.run, needs(parts))
        wholes = [self._about[id(part)] for part in parts if id(part) in self._about]
        head: list[Part] = [Prose("Given", "heading"), *given] if given else []
        return [*self._program, *head, Prose("Equations", "heading"), *meaning(wholes)]

    def explain(self, scalar: int, most: int) -> bool:
        """Write the equation of a scalar and those of its largest cotangents; False if it has too many terms."""
        root = self.run.context.sum(scalar)
        if scalar in self.written or not 0 < len(root.ends) <= most:
            return False
        self._write(root, derivative(root), False)
        level = [(root, False)]
        while level:
            whole, inline = level.pop(0)
            for term in sorted(whole.terms, key=lambda t: -abs(float(t.product)))[:OPENED]:
                below, left = term.opened, term.delta
                if below is None or left is None or below.scalar in self.written or not 0 < len(below.ends) <= most:
                    continue
                if (inline and below.chain is not None) or len(self.written) >= STATEMENTS:
                    continue
                self._write(below, left, True)
                if whole is root:
                    level.append((below, True))
        return True

    def _write(self, whole: Sum, left: Expression, inline: bool) -> None:
        """One derivative as an equation; its result and what else in it is calculated become candidates."""
        self.written[whole.scalar] = whole
        part = Equation(left, [], ("gradient", whole.scalar))
        row: list[Expression | Cell] = []
        for term in whole.terms:
            chained = inline and term.opened is not None and term.opened.chain is not None
            row += [PLUS] * bool(row) + self._digits(term, part, chained)
        symbols = added([whole.inlined(t) if inline else t.written for t in whole.terms], 0)
        total = Cell(("gradient", whole.scalar), whole.total)
        part.rows = [[symbols], row, [total]]
        if len(row) == 1 and isinstance(row[0], Cell) and row[0].value == total.value:
            part.rows.pop(1)
        self._about[id(part)] = whole
        self.parts = sorted([*self.parts, part], key=lambda p: -self._about[id(p)].scalar)
        local, upstream = [t.local for t in whole.terms], [t.upstream if t.delta else 1 for t in whole.terms]
        names = f"d{whole.context.of.text}/d{whole.at.text}"
        self.candidates[total.quantity] = Candidate(
            whole.total, names, spread(local, upstream), slips_of(whole.total, local, upstream)
        )

    def _digits(self, term: Term, part: Equation, chained: bool) -> list[Expression | Cell]:
        """A term in numbers; what the numbers follow from is noted."""
        scalar, row = term.scalar, list[Expression | Cell]()
        if term.local_symbol != "1" or term.delta is None:
            partner = term.partner
            if partner:
                part.needs["value", partner] = None
                row.append(value_cell(self.run, partner, PRODUCT))
            else:
                quantity = ("local", term.sum.scalar, scalar)
                row.append(Cell(quantity, term.local, PRODUCT))
                if (
                    self._follows(scalar, part)
                    and abs(term.local) != 1
                    and not re.fullmatch(r"-?[\d./e-]+", term.local_symbol)
                ):
                    says = f"d{self.run.symbols.element(scalar).text}/d{term.sum.at.text}"
                    self.candidates[quantity] = Candidate(term.local, says, 5e-3 * abs(float(term.local)))
        if term.delta is not None:
            row += [DOT] * bool(row) + [Cell(("gradient", scalar), term.upstream, PRODUCT)]
            if chained:
                self._chain(term, part)
        return row

    def _follows(self, end: int, part: Equation) -> bool:
        """Note which values the local derivatives of the step to ``end`` follow from; False if they are too many."""
        read = self.run.boundary(end)
        part.needs.update({("value", i): None for i in read or ()})
        return read is not None

    def _chain(self, term: Term, part: Equation) -> None:
        """Note what a cotangent follows from that is written out as a chain of factors up to the loss."""
        at: Any = term.opened
        scalar, fits = at.scalar, True
        while at is not None and len(at.ends) == 1:
            step = at.terms[0]
            if step.partner is None:
                fits &= self._follows(step.scalar, part)
            elif step.partner:
                part.needs[("value", step.partner)] = None
            at = step.opened
        if fits and at is None and not re.fullmatch(r"-?[\d./e-]+", term.opened.chain.text):  # type: ignore[union-attr]
            says = f"d{self.run.context.of.text}/d{self.run.symbols.element(scalar).text}"
            total = self.run.gradient[scalar]
            self.candidates.setdefault(("gradient", scalar), Candidate(total, says, 5e-3 * abs(float(total))))


def spread(local: Sequence[Any], upstream: Sequence[Any]) -> float:
    """By how much a sum of products moves if each factor is rounded to four digits."""
    return 1e-3 * sum(abs(float(a) * float(b)) for a, b in zip(local, upstream, strict=True))
