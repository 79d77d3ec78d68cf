"""The chain rule at one scalar: its gradient as a sum of terms, each one an upstream cotangent times a local
derivative.

    d of / d x = sum over the steps T that read x of (d of / d T) (d T / d x)

``Sum`` is that sum for one scalar; each term's own cotangent is again a Sum, made when it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from ...render.element import element_name
from ...render.latex import FACTOR, PRODUCT, SUM, Expression, element, symbol
from ...scalar.blocks import SUM as ADDED
from .analysis import Array, Known
from .symbols import Symbols, opened

PATTERN = 20_000  # terms of a sum beyond which no pattern is looked for
INLINE = 3  # steps of a chain without branches that are written into the formula above


class Term:
    """One term of a gradient: ``product = upstream * local`` by way of one element, ``output`` at ``position`` of its
    tensor.

    upstream: d of / d output, a number (``upstream_symbol`` in text, ``upstream_latex``); local: d output / d scalar,
    likewise.  ``opened`` is the Sum that the upstream cotangent is, None at the end of the tape.
    """

    def __init__(self, whole: Sum, k: int) -> None:
        self.sum, self.scalar = whole, int(whole.ends[k])
        self.k = k
        self.local: Any = whole.locals.item(k)
        self.upstream: Any = whole.context.analysis.cotangent_of(self.scalar)
        self.product: Any = self.upstream * self.local

    @cached_property
    def local_derivative(self) -> Expression:
        whole = self.sum
        return whole.context.symbols.local(whole.scalar, self.scalar, whole.paths.item(self.k), whole.way)

    @property
    def delta(self) -> Expression | None:
        return self.sum.delta(self.scalar)

    @property
    def output(self) -> str:
        """The element by way of which this term goes, as "o1[0,1]"."""
        return self.sum.context.symbols.element(self.scalar).text

    @property
    def position(self) -> tuple[int, ...]:
        """The index of ``output`` in its tensor."""
        return self.sum.context.symbols.place(self.scalar)[1]

    @property
    def local_symbol(self) -> str:
        return self.local_derivative.text

    @property
    def local_latex(self) -> str:
        return self.local_derivative.latex

    @property
    def upstream_symbol(self) -> str:
        """What the upstream cotangent is called in the equation: "d[0,1]", or 1 at the end of the tape."""
        return self.delta.text if self.delta else "1"

    @property
    def upstream_latex(self) -> str:
        return self.delta.latex if self.delta else "1"

    @property
    def derivative(self) -> str:
        """The upstream cotangent as a derivative, as "dC/do1[0,1]"."""
        return f"d{self.sum.context.of.text}/d{self.output}"

    @property
    def opened(self) -> Sum | None:
        """The upstream cotangent as a sum of terms itself."""
        return self.sum.context.sum(self.scalar) if self.delta else None

    @property
    def partner(self) -> int | None:
        """The scalar that the explained one is multiplied with, if the local derivative is just that."""
        whole = self.sum
        return whole.context.symbols.partner(whole.scalar, self.scalar, whole.way)

    @property
    def written(self) -> Expression:
        """The term in symbols: local derivative first, then the cotangent; ones are left out."""
        return beside(self.local_derivative, self.delta) if self.delta else self.local_derivative

    @property
    def definitions(self) -> tuple[Expression, ...]:
        """The rows with a definition on the way (a relu's maximum), opened, with their slopes in numbers; at most
        three.
        """
        symbols, graph = self.sum.context.symbols, self.sum.context.analysis.graph
        found: list[Expression] = []
        waiting, met = [self.scalar], {self.scalar}
        while waiting and len(found) < 3 and len(met) < 1000:
            i = waiting.pop()
            block = symbols.block(i)
            about = block.opened
            below = (
                [int(o[i - block.first]) for o in about.operands]
                if about
                else graph.read(i)
                if block.operation is not ADDED
                else [o for _, o in self.sum.way.read(i)]
            )
            for o in below:
                if o in self.sum.way:
                    if about:
                        found.append(opened(symbols, i, o))
                    if o not in met and o != self.sum.scalar:
                        waiting.append(o)
                    met.add(o)
        return tuple(found)

    def __repr__(self) -> str:
        return (
            f"Term({self.written.text} = {self.local:.6g} * {self.upstream:.6g} = {self.product:.6g} by {self.output})"
        )


class Context:
    """One output with one set of names: all Sums of one explanation share it."""

    def __init__(self, analysis: Known, names: Mapping[int, str]) -> None:
        self.analysis = analysis
        self.symbols = Symbols(analysis, names)
        self.of = self.symbols.element(analysis.output)
        self._sums: dict[int, Sum] = {}

    def sum(self, scalar: int, plain: bool = False) -> Sum:
        if scalar not in self._sums:
            self._sums[scalar] = Sum(self, scalar, plain)
        return self._sums[scalar]


class Sum:
    """d of / d scalar as terms, one for each step that reads the scalar."""

    def __init__(self, context: Context, scalar: int, plain: bool) -> None:
        self.context, self.scalar, self.plain = context, scalar, plain
        symbols = context.symbols
        self.ends: Array
        self.ends, self.locals, self.paths, self.way = context.analysis.forward(scalar, symbols.stops)
        self.at = symbols.element(scalar)
        self.total: Any = context.analysis.cotangent_of(scalar)

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        return tuple(Term(self, k) for k in range(len(self.ends)))

    @cached_property
    def targets(self) -> list[Any]:
        """The tensors that the terms go by, each once."""
        found = {id(x): x for x in (self.context.symbols.place(int(i))[0] for i in self.ends)}
        return list(found.values())

    def cotangent_of(self, x: Any) -> Expression:
        """The symbol of the cotangent of tensor ``x``: d; with the tensor's name below the first level, or among
        several.
        """
        if self.plain and len(self.targets) == 1:
            return Expression(r"\delta", "d")
        name = symbol(self.context.symbols.label(x))
        return Expression(rf"\delta^{{{name.latex}}}", f"d({name.text})")

    def delta(self, i: int) -> Expression | None:
        """The symbol of the cotangent of scalar ``i``, with its index; None at the output, where it is 1."""
        if i == self.context.analysis.output:
            return None
        symbols = self.context.symbols
        x, index = symbols.place(i)
        base = self.cotangent_of(x)
        below = element("delta", index, x.shape, symbols.subscripts(x)).latex.removeprefix(r"\delta").strip()
        return Expression(base.latex + below, element_name(base.text, index, x.shape, symbols.subscripts(x)))

    @cached_property
    def chain(self) -> Expression | None:
        """The whole derivative as one product, if its path to the end of the tape has no branches and few steps."""
        factors: list[Expression] = []
        at: Sum | None = self
        for _ in range(INLINE):
            if at is None or len(at.ends) != 1:
                return None
            term = at.terms[0]
            factors.append(term.local_derivative)
            if term.delta is None:
                whole = factors.pop()
                while factors:
                    whole = beside(factors.pop(), whole)
                return whole
            at = term.opened
        return None

    def inlined(self, term: Term) -> Expression:
        """A term with its cotangent written out where that is a chain to the end of the tape."""
        opened = term.opened
        rest = opened.chain if opened else None
        return term.written if rest is None else beside(term.local_derivative, rest)

    @cached_property
    def pattern(self) -> Expression | None:
        """The sum with its index ranges, if the terms are one tensor's cotangents times one tensor's elements (or
        alone).
        """
        symbols = self.context.symbols
        if len(self.ends) < 2 or len(self.targets) != 1 or self.delta(int(self.ends[0])) is None:
            return None
        if len(self.ends) > PATTERN:
            return None
        partners: list[int] = []
        for end in self.ends.tolist():
            partner = symbols.partner(self.scalar, end, self.way)
            if partner is None:
                return None
            partners.append(partner)
        target = self.targets[0]
        places = np.array([symbols.place(int(end))[1] for end in self.ends]).reshape(len(self.ends), -1)
        fitted = ranges(places)
        if fitted is None or symbols.subscripts(target) == "flat":
            return None
        letters, limits = fitted
        base = self.cotangent_of(target)
        parts = [indexed(base.latex, base.text, letters)]
        if any(partners):
            read = [symbols.place(p) for p in partners]
            if len({id(x) for x, _ in read}) != 1 or symbols.subscripts(read[0][0]) == "flat" or 0 in partners:
                return None
            indices = affine(np.array([index for _, index in read]).reshape(len(read), -1), places, letters)
            if indices is None:
                return None
            name = symbol(symbols.label(read[0][0]))
            parts.append(indexed(name.latex, name.text, indices))
        latex = "".join(rf"\sum_{{{c}={a}}}^{{{b}}} " for c, a, b in limits) + r" \, ".join(x.latex for x in parts)
        where = ", ".join(f"{c}={a}..{b}" for c, a, b in limits)
        return Expression(latex, f"Σ({where}) {' '.join(x.text for x in parts)}")


def beside(a: Expression, b: Expression) -> Expression:
    """The product of two expressions, a one left out: w 2(o - y)."""
    if "1" in (a.text, b.text):
        return b if a.text == "1" else a
    if a.text == "-1":
        right = b.within(PRODUCT)
        return Expression(f"-{right.latex}", f"-{right.text}", SUM)
    left, right = a.within(FACTOR), b.within(PRODUCT)
    dot = r" \cdot " if right.latex[:1].isdigit() else r" \, "
    return Expression(f"{left.latex}{dot}{right.latex}", f"{left.text} {right.text}", PRODUCT)


def ranges(places: Array) -> tuple[list[str], list[tuple[str, int, int]]] | None:
    """Letters for the axes along which ``places`` (n, axes) run, numbers for the others, if they fill a whole grid."""
    low, high = places.min(axis=0), places.max(axis=0)
    if np.prod(high - low + 1) != len(places) or len(np.unique(places, axis=0)) != len(places):
        return None
    free = iter("ijklmnpq")
    letters, limits = [], []
    for a, b in zip(low.tolist(), high.tolist(), strict=True):
        letters.append(str(a) if a == b else next(free))
        if a != b:
            limits.append((letters[-1], a, b))
    return letters, limits


def affine(read: Array, places: Array, letters: list[str]) -> list[str] | None:
    """Each column of ``read`` as a constant or as factor * letter + offset of one column of ``places``; None if one is
    not.
    """
    found: list[str] = []
    for column in read.T:
        if (column == column[0]).all():
            found.append(str(column[0]))
            continue
        for letter, other in zip(letters, places.T, strict=True):
            span = other.max() - other.min()
            if not span:
                continue
            low, high = column[np.argmin(other)], column[np.argmax(other)]
            factor, rest = divmod(int(high - low), int(span))
            offset = int(low - factor * other.min())
            if not rest and (column == factor * other + offset).all():
                found.append(_linear(factor, letter, offset))
                break
        else:
            return None
    return found


def _linear(factor: int, letter: str, offset: int) -> str:
    if factor == -1:
        return f"{offset}-{letter}" if offset else f"-{letter}"
    return f"{'' if factor == 1 else factor}{letter}" + (f"{offset:+d}" if offset else "")


def indexed(latex: str, text: str, indices: list[str]) -> Expression:
    joined = ",".join(indices)
    return Expression(f"{latex.strip()}_{{{joined}}}", f"{text}[{joined}]")
