"""An explanation as data: the sum that a gradient is, its terms and total, and why it is zero if it is.

``explain`` makes one; ``equation`` writes it out.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from ...files import save_as
from ...primitives import TABLE
from ...render.latex import Expression
from ...render.page import html_page
from ...render.text import clean
from ...scalar.blocks import CONSTANT
from ...tape import Tensor
from . import equation
from .analysis import Array
from .terms import Context, Sum, Term

PAGE = "body{margin:1.5rem auto;padding:0 1rem;max-width:76rem;font-family:system-ui,sans-serif}h1{font-size:1.1rem}"
MOST = 64  # elements that are looked at
CHOICES = {"where": "not chosen by where"}


class Explanation:
    """The equation of one gradient.  ``terms`` and ``total`` are numbers; a notebook shows the equation, levels to
    open.

    ``terms``: each with upstream cotangent, local derivative, product and output position; ``total``: the gradient;
    ``reason``: why it is zero, or None; ``text``, ``latex``, ``mathml``, ``markdown``, ``csv``, ``html``: the equation.
    What these are made of: ``sum`` (None for a tensor that the output was not computed from), its ``context`` (output,
    names), ``at`` (the element, written) and ``depth``.
    """

    def __init__(self, context: Context, sum_: Sum | None, depth: int | None, at: Expression) -> None:
        self.context, self.sum, self.depth, self.at = context, sum_, depth, at

    @property
    def terms(self) -> tuple[Term, ...]:
        return self.sum.terms if self.sum else ()

    @property
    def total(self) -> Any:
        """The gradient d of / d thing."""
        return self.sum.total if self.sum else 0.0

    @property
    def name(self) -> str:
        """What is explained, as "w[0,0]"."""
        return self.at.text

    @property
    def pattern(self) -> str | None:
        """The sum with its index ranges, as "Σ(i=0..2, j=0..2) d[i,j] x[i+1,j]", if the terms follow one."""
        found = self.sum.pattern if self.sum else None
        return found.text if found else None

    @cached_property
    def reason(self) -> str | None:
        """Why the gradient is zero, or None if it is not."""
        if self.sum is None:
            return f"no path: {self.context.of.text} was not computed from it"
        return reason(self.sum)

    @cached_property
    def text(self) -> str:
        return equation.text(self)

    @cached_property
    def latex(self) -> str:
        return equation.latex(self)

    @cached_property
    def mathml(self) -> str:
        return equation.mathml_of(self)

    @cached_property
    def markdown(self) -> str:
        return equation.markdown(self)

    @cached_property
    def csv(self) -> str:
        return equation.csv_of(self)

    @cached_property
    def html(self) -> str:
        return equation.html(self)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the equation to a file: ``.html`` a page for light and dark screens, ``.md``, ``.tex``, ``.csv`` (all
        terms, all digits) or ``.txt``; returns the path.

        Raises ValueError for another ending.  The file is complete or not there (or still the old one).
        """
        title = f"The gradient of {self.context.of.text} with respect to {self.name}"
        heading = f"<h1>{escape(clean(title))}</h1>"
        formats: dict[str, Callable[[], str | bytes]] = {
            ".html": lambda: html_page(title, heading + self.html, css=PAGE),
            ".md": lambda: self.markdown,
            ".tex": lambda: self.latex + "\n",
            ".csv": lambda: self.csv,
            ".txt": lambda: self.text + "\n",
        }
        return save_as(path, formats, "explain")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {
            "text/html": self.html,
            "text/latex": f"$\\displaystyle {self.latex}$",
            "text/markdown": self.markdown,
            "text/plain": self.text,
        }

    def __repr__(self) -> str:
        return self.text


# ---- why a gradient is zero: what stands on every path from the scalar to the output


def reason(whole: Sum) -> str | None:
    """The reason of a zero gradient in words, or None for a gradient that is not zero."""
    products = np.array([t.product for t in whole.terms])
    cancels = products.size > 1 and products.dtype != object and _cancels(whole, products)
    if whole.total != 0 and not cancels:
        return None
    if not whole.terms:
        return unread(whole)
    if products.any():
        return (
            f"terms that cancel: the {np.count_nonzero(products)} that are not 0 sum to "
            f"{'0' if whole.total == 0 else '0 to rounding'}"
        )
    causes = follow(whole)
    parts = [f"{words} ({count:,}x)" if count > 1 else words for words, count in causes.most_common()]
    return "; ".join(parts) or "no path: every way to the output is cut"


def _cancels(whole: Sum, products: Array) -> bool:
    spread = float(np.abs(products).sum())
    eps = float(np.finfo(whole.context.analysis.of.dtype).eps) if whole.context.analysis.of.dtype.kind == "f" else 0.0
    return np.isfinite(spread) and spread > 0 and abs(float(whole.total)) <= eps * spread


def unread(whole: Sum) -> str:
    """Why no step reads a scalar: cut off on purpose, multiplied with padding only, or left out by stride or index."""
    known = whole.context.analysis
    read_by: set[Tensor] = set()
    wired: set[Tensor] = set()
    for line in known.tape:
        if line.primitive and any(known.holds(x, whole.scalar) for x in line.operands):
            (wired if line.primitive.group == "wiring" else read_by).add(line)
    cut = [line for line in wired | read_by if line.constant]
    if cut:
        names = sorted({line.primitive.name for line in cut if line.primitive})
        return f"no path: cut by {', '.join(names)}, which passes no gradient"
    if any("spec" in line.params for line in read_by):
        return "meets only padding: every product it is part of has a 0 from outside the input"
    if whole.scalar == whole.context.analysis.output:
        return "no path"
    skipped = any(line.primitive is TABLE["windows"] and not known.holds(line, whole.scalar) for line in wired)
    return "never read: the stride skips it" if skipped else "never read: no index, slice or window has it"


def follow(whole: Sum) -> Counter[str]:
    """What stops each way from the scalar on, counted; at most ``MOST`` elements are looked at."""
    causes: Counter[str] = Counter()
    waiting, met = [whole], {whole.scalar}
    while waiting and len(met) <= MOST:
        here = waiting.pop()
        products = [t.product for t in here.terms]
        if any(products):
            causes["terms that cancel"] += 1
        elif not here.terms and here.scalar != here.context.analysis.output:
            causes[unread(here)] += 1
        else:
            for term in here.terms:
                if term.local == 0:
                    causes[cause(here, term)] += 1
                elif term.opened is not None and term.scalar not in met and term.upstream == 0:
                    met.add(term.scalar)
                    waiting.append(term.opened)
    return causes


def cause(whole: Sum, term: Term) -> str:
    """Why one local derivative is zero, told by the rows on its way."""
    context = whole.context
    scope = context.analysis.calls.get(id(context.symbols.block(term.scalar).line))
    name = scope.name if scope else context.symbols.block(term.scalar).operation.name
    way = _between(whole, term)
    opened = [(block.opened, i - block.first, block.last) for i in way if (block := context.symbols.block(i)).opened]
    for definition, place, last in opened:
        rivals = (
            [int(names[place]) for names in definition.operands if int(names[place]) not in way] if definition else []
        )
        if last and any(context.symbols.block(o).operation is CONSTANT for o in rivals):
            row = name if scope else definition.primitive.name if definition else name
            return f"inactive {row}: its operand lies on the flat side"
    if opened:
        return f"lost every max: another element won in {name}"
    rows = {context.symbols.block(i).operation.primitive for i in way} - {None}
    chosen = [CHOICES[row.name] for row in rows if row and row.name in CHOICES]
    if chosen and len(rows) == len(chosen):
        return chosen[0]
    curved = [row for row in rows if row and row.differentiable and not row.linear]
    if curved:
        return f"saturated: the slope of {name} is 0 to rounding"
    return "terms that cancel" if whole.paths.item(term.k) > 1 else f"multiplied by 0 in {name}"


def _between(whole: Sum, term: Term) -> set[int]:
    """The scalars on the ways of one term, the start included."""
    found, waiting = {term.scalar}, [term.scalar]
    while waiting and len(found) < 10_000:
        i = waiting.pop()
        for _, o in whole.way.read(i):
            if o not in found:
                found.add(o)
                if o != whole.scalar:
                    waiting.append(o)
    return found
