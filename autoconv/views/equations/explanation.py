"""An explanation as data: the sum that a gradient is, its terms and total, and why it is zero if it is.

``explain`` makes one; ``equation`` writes it out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

from ...files import save_as
from ...render.latex import Expression
from ...render.notebook import bundle
from ...render.page import html_page
from ...render.text import clean
from . import equation
from .terms import Context, Sum, Term
from .zeros import reason


def saved(
    equation: Any,
    title: str,
    path: str | os.PathLike[str],
    html: Callable[[], str],
    more: Mapping[str, Callable[[], str | bytes]] | None = None,
) -> Path:
    """Write what has ``markdown``, ``latex`` and ``text`` to a file, in the form that its ending says.

    html: what stands in the page, below the title.
    """
    heading = f"<h1>{escape(clean(title))}</h1>"
    formats: dict[str, Callable[[], str | bytes]] = {
        ".html": lambda: html_page(title, heading + html(), document=True),
        ".md": lambda: equation.markdown,
        ".tex": lambda: equation.latex + "\n",
        **(more or {}),
        ".txt": lambda: equation.text + "\n",
    }
    return save_as(path, formats, "explain")


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
        """Write the equation to a file: ``.html`` a page for light and dark screens, in which up to 2,000 terms can be
        opened, ``.md``, ``.tex``, ``.csv`` (all terms, all digits) or ``.txt``; returns the path.

        Raises ValueError for another ending.  The file is complete or not there (or still the old one).
        """
        title = f"The gradient of {self.context.of.text} with respect to {self.name}"
        return saved(self, title, path, lambda: equation.html(self, page=True), {".csv": lambda: self.csv})

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return bundle(self.text, html=self.html, latex=self.latex, markdown=self.markdown)

    def __repr__(self) -> str:
        return self.text
