"""The chain rule at one scalar: its gradient as a sum of terms, each one an upstream cotangent times a local
derivative.

    d of / d x = sum over the steps T that read x of (d of / d T) (d T / d x)

``Sum`` is that sum for one scalar; each term's own cotangent is again a Sum, made when it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any
from weakref import WeakValueDictionary

from ...render.element import element_name
from ...render.latex import FACTOR, PRODUCT, SUM, Expression, element, symbol
from ...scalar.blocks import SUM as ADDED
from .analysis import Array, Known
from .closed import Closed, closed_gradient, closed_slope
from .pattern import pattern, tensors_of
from .symbols import Symbols, opened

PATTERN = 20_000  # terms of a sum beyond which no pattern is looked for
LETTERS = tuple(Expression(latex, text) for latex, text in ((r"\delta", "d"), ("g", "g"), ("D", "D")))  # of cotangents
INLINE = 3  # steps of a chain without branches that are written into the formula above


class Term:
    """One term of a gradient: ``product = upstream * local`` by way of one element, ``output`` at ``position`` of its
    tensor.

    upstream: d of / d output, a number (``upstream_symbol`` in text, ``upstream_latex``); local: d output / d scalar,
    likewise.  ``opened`` is the Sum that the upstream cotangent is, None at the end of the tape.
    """

    def __init__(self, whole: Steps, k: int) -> None:
        self.sum, self.scalar = whole, int(whole.ends[k])
        self.k = k
        self.local: Any = whole.locals.item(k)
        self.upstream: Any = whole.context.analysis.cotangent_of(self.scalar)
        self.product: Any = self.upstream * self.local

    @cached_property
    def local_derivative(self) -> Expression:
        whole = self.sum
        known = closed_slope(whole, self.scalar, self.local)
        return known or whole.context.symbols.local(whole.scalar, self.scalar, whole.paths.item(self.k), whole.way)

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

    @cached_property
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
    """One output with one set of names: all Sums of one explanation share it.

    It knows the Sums that are in use, but each belongs to the term that it opens, or to the explanation: nothing refers
    back to what owns it, so that all of it goes with the explanation.
    """

    def __init__(self, analysis: Known, names: Mapping[int, str]) -> None:
        self.analysis = analysis
        self.symbols = Symbols(analysis, names)
        self.of = self.symbols.element(analysis.output)
        self._sums: WeakValueDictionary[int, Sum] = WeakValueDictionary()

    @cached_property
    def cotangent(self) -> Expression:
        """The letter of cotangents: one that is no tensor's name."""
        taken = {self.symbols.label(x) for x in self.symbols.tensors.values()}
        free = [letter for letter in LETTERS if letter.text not in taken]
        return [*free, LETTERS[0]][0]

    def sum(self, scalar: int, plain: bool = False) -> Sum:
        known = self._sums.get(scalar)
        if known is None:
            known = self._sums[scalar] = Sum(self, scalar, plain)
        return known


class Steps:
    """The steps that read one scalar, and what the cotangents at their ends are called: all that a term must know."""

    def __init__(self, context: Context, scalar: int, plain: bool) -> None:
        self.context, self.scalar, self.plain = context, scalar, plain
        symbols = context.symbols
        self.ends: Array
        self.ends, self.locals, self.paths, self.way = context.analysis.forward(scalar, symbols.stops)
        self.at = symbols.element(scalar)
        self.total: Any = context.analysis.cotangent_of(scalar)

    @cached_property
    def targets(self) -> list[Any]:
        """The tensors that the terms go by, each once."""
        return tensors_of(self.context.symbols, self.ends)

    def cotangent_of(self, x: Any) -> Expression:
        """The symbol of the cotangent of tensor ``x``: d; with the tensor's name below the first level, or among
        several.
        """
        letter = self.context.cotangent
        if self.plain and len(self.targets) == 1:
            return letter
        name = symbol(self.context.symbols.label(x))
        return Expression(f"{letter.latex}^{{{name.latex}}}", f"{letter.text}({name.text})")

    def delta(self, i: int) -> Expression | None:
        """The symbol of the cotangent of scalar ``i``, with its index; None at the output, where it is 1."""
        if i == self.context.analysis.output:
            return None
        symbols = self.context.symbols
        x, index = symbols.place(i)
        base = self.cotangent_of(x)
        below = element("delta", index, x.shape, symbols.subscripts(x)).latex.removeprefix(r"\delta").strip()
        return Expression(base.latex + below, element_name(base.text, index, x.shape, symbols.subscripts(x)))


class Sum(Steps):
    """d of / d scalar as terms, one for each step that reads the scalar."""

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        steps = Steps.__new__(Steps)  # without the terms, which would own themselves
        vars(steps).update(vars(self))
        return tuple(Term(steps, k) for k in range(len(self.ends)))

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

    @cached_property
    def closed(self) -> Closed | None:
        """The textbook formula of the sum, where all terms go by a softmax, a normalisation or a cross-entropy."""
        return closed_gradient(self)

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
        return pattern(symbols, self.scalar, self.ends, self.way, self.cotangent_of(self.targets[0]))


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
