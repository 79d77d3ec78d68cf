"""Formulas: a line's row of the table filled with names or with numbers, as LaTeX and as plain text.

An ``Expression`` knows how tightly it binds, a row's template how tightly each operand must: parentheses follow from the
two, for every row there is or will be.  ``mathml`` turns the LaTeX written here into what a page can show.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import prod
from typing import Any

import numpy as np

from ..tape import Primitive, Tensor, setting
from .text import clean, element_name, readable, uniform
from .text import number as short_number

OPEN, SUM, PRODUCT, APPLIED, FACTOR, ATOM = range(6)  # how tightly an expression binds; SUM includes a leading minus
ENTRIES = 16  # arrays of up to so many numbers are written out as a matrix
GREEK = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi", "pi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega"]  # fmt: skip
_SLOT = 0xE000  # private-use characters stand for the operands while a template is read
_LOOSE = {
    "-": PRODUCT, "+": SUM, r"\cdot": PRODUCT, r"\,": PRODUCT, r"\sum": PRODUCT, r"\ge": OPEN, r"\le": OPEN, r"\ne": OPEN,
}  # fmt: skip
ESCAPES = {
    "\\": r"\backslash ", "{": r"\{", "}": r"\}", "_": r"\_", "^": r"\wedge ", "#": r"\#", "$": r"\$", "%": r"\%",
    "&": r"\&", "~": r"\sim ", " ": r"\ ", "<": "{<}", ">": "{>}",
}  # fmt: skip
# Params that say nothing the shapes do not say, and those that say something only if they are not as usual.
_SILENT = {"dtype", "spec", "shape", "keepdims", "size"}
_USUAL = {"ties": "split", "slope_at_zero": 0, "stride": 1, "dilation": 1}


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


def line_latex(line: Tensor, names: Mapping[int, str], numbers: bool = False) -> str:
    """The formula of a line from its row: operands by name (``names`` maps id(tensor) to it), or the run's own numbers.

    An operand that has no name is a box.  Params are added where they matter.  A line without a primitive is its name or its number.
    """
    if line.primitive is None:
        return operand(line, names, numbers).latex
    return call(line.primitive, [operand(x, names, numbers) for x in line.operands], line.params).latex


def operand(x: Tensor, names: Mapping[int, str], numbers: bool = False) -> Expression:
    """One operand: its name, or its numbers; a constant that is one number is always that number."""
    known = names.get(id(x)) or x.name
    same = uniform(x.value) if x.primitive is None and x.constant and not x.name else None
    if same is not None:
        return value(x.value.flat[0])
    if numbers and x.size == 1:
        return value(x.value.flat[0])
    if numbers and x.ndim in (1, 2) and 0 < x.size <= ENTRIES:
        return Expression(matrix(x.value), " ".join(map(short_number, x.value.ravel())))
    return symbol(known) if known else Expression(r"\square ", "□")


def call(primitive: Primitive, operands: Sequence[Expression], params: Mapping[str, Any] | None = None) -> Expression:
    """The row's formula for these operands, in parentheses where they bind too loosely, with the params that matter."""
    given = list(operands)
    if not isinstance(primitive.vjps, tuple):  # any number of operands: one slot for all of them
        given = [Expression(", ".join(x.latex for x in operands), ", ".join(x.text for x in operands), OPEN)]
    template = primitive.latex
    if template == "{0}" and primitive.group == "wiring":  # nothing in the formula says what the line does
        template = rf"\operatorname{{{{{escaped(primitive.name)}}}}} {{0}}"
    needs, spelled, binds = demands(template, len(given))
    latex = template.format(*[x.within(least).latex for x, least in zip(given, needs, strict=True)])
    parts = [x.within(least).text for x, least in zip(given, spelled, strict=True)]
    text = readable(template, len(given)).translate(dict(enumerate(parts, _SLOT)))
    noted = settings(params or {})
    if not noted:
        return Expression(latex, text, binds)
    if r"[\,]" in latex and params and "key" in params:  # the empty brackets are there for it
        key = setting(params["key"]).strip("[]()")
        return Expression(
            latex.replace(r"[\,]", rf"\text{{[{escaped(key, text=True)}]}}"), text.replace("…", key), binds
        )
    return Expression(rf"{latex}\;\text{{({escaped(noted, text=True)})}}", f"{text} [{noted}]", min(binds, PRODUCT))


def settings(params: Mapping[str, Any]) -> str:
    """The params a reader needs to follow a line, as text: not those that its operands or its shape tell."""
    told = {k: v for k, v in params.items() if k not in _SILENT and not _as_usual(k, v)}
    if "window" in told:
        told.pop("axes", None)
    return ", ".join(f"{k}={setting(v)}" for k, v in told.items())


def _as_usual(param: str, setting: Any) -> bool:
    every = setting if isinstance(setting, tuple) else (setting,)
    return param in _USUAL and all(x == _USUAL[param] for x in every)


@cache
def demands(template: str, count: int) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """How tightly each operand of a row's LaTeX template must bind, in LaTeX and in text, and how tightly the result does."""
    text = template.format(*[chr(_SLOT + k) for k in range(count)])
    needs, spelled = [], []
    for k in range(count):
        around = [(text[:i].rstrip(), text[i + 1 :].lstrip()) for i, c in enumerate(text) if c == chr(_SLOT + k)]
        needs.append(max((_needed(left, right) for left, right in around), default=OPEN))
        raised = any(re.search(r"(?<!_)\{$", left) and right[:1] == "}" for left, right in around)
        spelled.append(ATOM if raised else needs[-1])  # text has no fraction bars and no small print
    return tuple(needs), tuple(spelled), _binding(text)


def _needed(left: str, right: str) -> int:
    """How tightly an operand between these pieces of a template must bind."""
    if right[:1] in ("^", "_"):
        return ATOM
    if re.search(r"(?:[\[({|]|(?<!\\),)$", left):
        return OPEN
    before = re.search(r"(\\[A-Za-z]+(?:\{[^{}]*\})?|\\,|[-+=<>])$", left)
    after = re.match(r"\\cdot|\\,|[-+]", right)
    token = before[1] if before else ""
    beside = {"-": SUM, "+": SUM, r"\cdot": PRODUCT, r"\,": PRODUCT}[after[0]] if after else OPEN
    if token.startswith("\\") and token not in _LOOSE and not token.startswith(r"\text{"):
        return ATOM  # the argument of a function
    return max(_LOOSE.get(token, OPEN), beside)


def _binding(text: str) -> int:
    """How tightly a whole template binds, by what stands outside all brackets."""
    if len(text) == 1:
        return OPEN
    flat = re.sub(r"\\(left|right)\b", "", text)
    flat, before = re.sub(r"\|[^|]*\|", "A", flat), None
    while flat != before:  # innermost brackets first
        before = flat
        flat = re.sub(r"\\(operatorname|text)\s*\{[^{}]*\}", r"\\\1", flat)
        flat = re.sub(r"\{[^{}]*\}|\([^()]*\)|\[[^\[\]]*\]", "", flat)
    if r"\text" in flat.replace(r"\textstyle", ""):
        return OPEN
    if re.search(r"[-+]", flat):
        return SUM
    if r"\cdot" in flat or r"\," in flat or r"\sum" in flat:
        return PRODUCT
    slots = any(ord(c) >= _SLOT for c in flat)
    if "^" in flat or r"\frac" in flat:
        return FACTOR
    return APPLIED if slots and "\\" in flat else ATOM


# ---- names and numbers


def symbol(name: str) -> Expression:
    """A name as a symbol: a single letter or a Greek one in italics, anything else upright, special characters escaped."""
    shown = clean(name)
    if shown in GREEK:
        return Expression(rf"\{shown} ", shown)
    if len(shown) == 1 and shown.isalpha():
        return Expression(shown, shown)
    return Expression(rf"\mathrm{{{escaped(shown)}}}", shown)


def element(name: str, index: Sequence[int], shape: Sequence[int], subscripts: str = "matrix") -> Expression:
    """One element of a named tensor: w_{0,1}, or with subscripts="flat" w_{2} (counted from 1); of a 0-d tensor its name."""
    base = symbol(name)
    text = element_name(base.text, index, shape, subscripts)
    if not shape:
        return base
    flat = subscripts == "flat"
    if flat and prod(shape) == 1:
        return base
    below = str(int(np.ravel_multi_index(tuple(index), tuple(shape))) + 1) if flat else ",".join(map(str, index))
    return Expression(f"{base.latex.strip()}_{{{below}}}", text)


def value(x: Any) -> Expression:
    """A number of the run, short, with the precedence it needs: negative numbers and fractions get parentheses."""
    text = short_number(x)
    return Expression(number(x), text, SUM if text.startswith("-") else FACTOR if re.search(r"[/e]", text) and "inf" not in text else ATOM)  # fmt: skip


def number(x: Any, digits: Callable[[Any], str] = short_number) -> str:
    """One number as LaTeX: four significant digits (or ``digits``), powers of ten, exact fractions, infinities and nan."""
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
