"""Formulas: a row of the table filled with names or with numbers, as LaTeX and as plain text.

An ``Expression`` knows how tightly it binds, a row's template how tightly each operand must: parentheses follow from
the two, for every row there is or will be.  ``mathml`` turns the LaTeX written here into what a page can show.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Any, Protocol

import numpy as np

from .element import INDEXED, element_name
from .notation import ATOM, FACTOR, GREEK, OPEN, PRODUCT, SLOT, SUM, template
from .text import clean
from .text import number as short_number
from .text import written as written_number

ESCAPES = {
    "\\": r"\backslash ", "{": r"\{", "}": r"\}", "_": r"\_", "^": r"\wedge ", "#": r"\#", "$": r"\$", "%": r"\%",
    "&": r"\&", "~": r"\sim ", " ": r"\ ", "<": "{<}", ">": "{>}",
}  # fmt: skip
LONGEST_INNER = 26  # characters of a formula that is quoted inside another
# Params that say nothing the shapes do not say, and those that say something only if they are not as usual.
_SILENT = {"dtype", "spec", "shape", "keepdims", "size"}
_USUAL = {"ties": "split", "slope_at_zero": 0, "stride": 1, "dilation": 1}


class Row(Protocol):
    """What a formula takes from a row of the table: its name, its group, its LaTeX template ("{0} + {1}"), and by its
    derivatives (``vjps``, one for each operand, or one for all) whether it has any number of operands."""

    name: str
    group: str
    latex: str
    vjps: Any


@dataclass(frozen=True)
class Expression:
    """A formula in LaTeX and in text, and how tightly it binds (``OPEN`` .. ``ATOM``)."""

    latex: str
    text: str
    binds: int = ATOM

    def within(self, least: int) -> Expression:
        """This expression where at least ``least`` is needed: in parentheses if it binds less tightly."""
        if self.binds >= least:
            return self
        return Expression(rf"\left({self.latex}\right)", f"({self.text})")


def call(
    row: Row,
    operands: Sequence[Expression],
    params: Mapping[str, Any] | None = None,
    setting: Callable[[Any], str] = str,
) -> Expression:
    """The row's formula for these operands, in parentheses where they bind too loosely, with the params that matter.

    setting: how a param is written.
    """
    given = list(operands)
    if not isinstance(row.vjps, tuple):  # any number of operands: one slot for all of them
        given = [Expression(", ".join(x.latex for x in operands), ", ".join(x.text for x in operands), OPEN)]
    written = row.latex
    if written == "{0}" and row.group == "wiring":  # nothing in the formula says what the line does
        written = rf"\operatorname{{{{{escaped(row.name)}}}}} {{0}}"
    known = template(written, len(given))
    latex = written.format(*[x.within(least).latex for x, least in zip(given, known.needs, strict=True)])
    parts = [x.within(least).text for x, least in zip(given, known.spelled, strict=True)]
    text = known.text.translate(dict(enumerate(parts, SLOT)))
    noted = settings(params or {}, setting)
    if not noted:
        return Expression(latex, text, known.binds)
    if r"[\,]" in latex and params and "key" in params:  # the empty brackets are there for it
        key = setting(params["key"]).strip("[]()")
        indexed = latex.replace(r"[\,]", rf"\text{{[{escaped(key, text=True)}]}}")
        return Expression(indexed, text.replace("…", key), known.binds)
    noted_latex = rf"{latex}\;\text{{({escaped(noted, text=True)})}}"
    return Expression(noted_latex, f"{text} [{noted}]", min(known.binds, PRODUCT))


def settings(params: Mapping[str, Any], setting: Callable[[Any], str] = str) -> str:
    """The params a reader needs to follow a line, as text: not those that its operands or its shape tell."""
    told = {k: v for k, v in params.items() if k not in _SILENT and not _as_usual(k, v)}
    if "window" in told:
        told.pop("axes", None)
    return ", ".join(f"{k}={setting(v)}" for k, v in told.items())


def _as_usual(param: str, setting: Any) -> bool:
    every = setting if isinstance(setting, tuple) else (setting,)
    return param in _USUAL and all(x == _USUAL[param] for x in every)


def formula(row: Row, operands: Sequence[str]) -> str:
    """The row's formula as text for operands in text: ``add`` of a and b is "a + b", ``exp`` of a "e^a".

    A row that changes no number (its formula is its operand) is written as a call: "broadcast_to(a)".
    """
    given = list(operands) if isinstance(row.vjps, tuple) else [", ".join(operands)]
    if row.latex == "{0}":
        return f"{row.name}({', '.join(operands)})"
    text = template(row.latex, len(given)).text
    if text == f"|{chr(SLOT)}|" and re.fullmatch(r"\([^()]*\)", given[0]):
        given = [given[0][1:-1]]  # the bars are brackets enough
    return text.translate(dict(enumerate(map(parenthesised, given), SLOT)))


def inner(text: str) -> str:
    """The formula of a step as another formula quotes it: in brackets, or only hinted at if it is long."""
    if len(text) > LONGEST_INNER:
        return "(…)"
    return text if re.fullmatch(r"\|[^|]*\|", text) else f"({text})"


def parenthesised(operand: str) -> str:
    """Negative numbers and fractions in parentheses, so that "a - (-1)" and "(1/2) · a" read well."""
    return f"({operand})" if re.fullmatch(r"-[\w.].*|\d+/\d+", operand) else operand


# ---- names and numbers


def symbol(name: str) -> Expression:
    """A name as a symbol: one letter, or a Greek one, in italics, all else upright, special characters escaped.

    A name that ends in an index, as that of a Scalar in a list does, has it below: w[0,1] is w_{0,1}.
    """
    shown = clean(name)
    if indexed := INDEXED.fullmatch(shown):
        return Expression(rf"{symbol(indexed[1]).latex.strip()}_{{{indexed[2]}}}", shown)
    if shown in GREEK:
        return Expression(rf"\{shown} ", shown)
    if len(shown) == 1 and shown.isalpha():
        return Expression(shown, shown)
    return Expression(rf"\mathrm{{{escaped(shown)}}}", shown)


def element(name: str, index: Sequence[int], shape: Sequence[int], subscripts: str = "matrix") -> Expression:
    """One element of a named tensor: w_{0,1}, or with subscripts="flat" w_{2} (counted from 1); of a 0-d tensor its
    name.
    """
    base = symbol(name)
    text = element_name(base.text, index, shape, subscripts)
    if not shape:
        return base
    flat = subscripts == "flat"
    if flat and prod(shape) == 1:
        return base
    below = str(int(np.ravel_multi_index(tuple(index), tuple(shape))) + 1) if flat else ",".join(map(str, index))
    return Expression(f"{base.latex.strip()}_{{{below}}}", text)


def value(x: Any, digits: Callable[[Any], str] = short_number) -> Expression:
    """A number of the run, short (or by ``digits``), with the precedence it needs: negative numbers and fractions get
    parentheses."""
    text = digits(x)
    fraction = re.search(r"[/e]", text) and "inf" not in text
    return Expression(number(x, digits), text, SUM if text.startswith("-") else FACTOR if fraction else ATOM)


def written(x: Any) -> Expression:
    """A number of the program, not of the run: as it was written."""
    return value(x, written_number)


def number(x: Any, digits: Callable[[Any], str] = short_number) -> str:
    """One number as LaTeX: four significant digits (or ``digits``), powers of ten, fractions, infinities and nan."""
    if isinstance(x, Fraction) and x.denominator != 1:
        return rf"{'-' * (x < 0)}\frac{{{abs(x.numerator)}}}{{{x.denominator}}}"
    text = digits(x)
    if text in ("nan", "inf", "-inf"):
        return {"nan": r"\text{nan}", "inf": r"\infty ", "-inf": r"-\infty "}[text]
    if text in ("True", "False"):
        return rf"\text{{{text.lower()}}}"
    mantissa, _, exponent = text.partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa


def matrix(array: np.ndarray) -> str:
    """A small array of one or two dimensions as a matrix of short numbers."""
    rows = array.reshape(-1, array.shape[-1]) if array.ndim else array.reshape(1, 1)
    body = r" \\ ".join(" & ".join(number(x) for x in row) for row in rows.tolist() if row)
    return rf"\begin{{bmatrix}} {body} \end{{bmatrix}}"


def escaped(name: str, text: bool = False) -> str:
    """A name inside \\mathrm{..} (or \\text{..}): no character of it is a command."""
    table = ESCAPES | ({" ": " ", "\\": "/", "^": " ", "~": " "} if text else {})
    return "".join(table.get(c, c) for c in name)
