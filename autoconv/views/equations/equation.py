"""An explanation written out: as text, LaTeX, MathML, Markdown and CSV.

A statement is one derivative in three parts, symbols = numbers = result.  Long sums are folded: their pattern, the first
terms and the last; below the first statement stand those of its cotangents, down to the depth that was asked for.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite
from typing import TYPE_CHECKING, Any

from ...render.latex import PRODUCT, SUM, Expression, escaped, number, symbol, value
from ...render.mathml import mathml
from ...render.text import clean
from ...render.text import number as short_number
from .terms import Sum, Term

if TYPE_CHECKING:
    from .explain import Explanation

WHOLE, FIRST, STATEMENTS = 12, 3, 24  # terms written in full, terms shown of a longer sum, statements in one equation


@dataclass(frozen=True)
class Statement:
    """``left`` = ``symbols`` = ``numbers`` = ``result``; ``pattern`` stands before the symbols of a folded sum."""

    whole: Sum
    left: Expression
    pattern: Expression | None
    symbols: Expression
    numbers: Expression
    result: Any

    @property
    def formulas(self) -> list[Expression]:
        """What stands between ``left`` and ``result``; a single number alone would only repeat the result with fewer digits."""
        alone = len(self.whole.terms) == 1 and "·" not in self.numbers.text
        return [x for x in (self.pattern, self.symbols, None if alone else self.numbers) if x]


def shown(whole: Sum) -> tuple[list[Term], int]:
    """The terms that are written, and how many are left out before the last of them."""
    terms = list(whole.terms)
    if len(terms) <= WHOLE:
        return terms, 0
    return [*terms[:FIRST], terms[-1]], len(terms) - FIRST - 1


def statement(whole: Sum, left: Expression, inline: bool) -> Statement:
    """One derivative; ``inline``: cotangents that are chains to the end are written out."""
    terms, left_out = shown(whole)
    if not terms:
        zero = value(1 if whole.scalar == whole.context.ground.output else 0)
        return Statement(whole, left, None, zero, zero, whole.total)
    symbols = [whole.inlined(t) if inline else t.written for t in terms]
    pattern = whole.pattern if left_out else None
    return Statement(
        whole, left, pattern, added(symbols, left_out), added([digits(t) for t in terms], left_out), whole.total
    )


def digits(term: Term) -> Expression:
    """A term in numbers: local derivative times cotangent; a factor that is written nowhere is left out."""
    local, upstream = value(term.local).within(PRODUCT), value(term.upstream).within(PRODUCT)
    if term._delta is None:
        return local
    if term.local_symbol == "1":
        return upstream
    return Expression(rf"{local.latex} \cdot {upstream.latex}", f"{local.text}·{upstream.text}", PRODUCT)


def added(terms: Sequence[Expression], left_out: int) -> Expression:
    """A sum, with dots before the last term where some are left out; subtraction where a term has a sign."""
    latex, text = terms[0].latex, terms[0].text
    for k, x in enumerate(terms[1:], 1):
        if left_out and k == len(terms) - 1:
            latex, text = latex + r" + \cdots", text + " + ..."
        sign = "" if x.text.startswith("-") and x.binds <= SUM else "+ "
        latex += f" {sign}{x.latex}"
        text += f" {sign}{x.text}" if sign else f" - {x.text[1:]}"
    return Expression(latex, text, SUM)


def derivative(whole: Sum) -> Expression:
    """d of / d scalar."""
    of, at = whole.context.of, whole.at
    return Expression(rf"\frac{{\partial {of.latex}}}{{\partial {at.latex}}}", f"d{of.text}/d{at.text}")


def statements(explanation: Explanation) -> tuple[list[Statement], list[tuple[Sum, Any]], bool]:
    """The statements of an explanation, first its own; the tensors whose cotangents they name; and whether more follow."""
    root = explanation._sum
    if root is None:
        return [], [], False
    found = [statement(root, derivative(root), inline=False)]
    legends: dict[int, tuple[Sum, Any]] = {id(x): (root, x) for x in root.targets}
    level: list[Sum] = [root]
    met = {root.scalar}
    depth = 1
    while level and (explanation.depth is None or depth < explanation.depth):
        following: list[Sum] = []
        examples: set[int] = set()
        for whole in level:
            terms = shown(whole)[0]
            for term in terms if depth == 1 else sorted(terms, key=weight, reverse=True):
                opened, left = term.opened, term._delta
                if opened is None or left is None or opened.scalar in met:
                    continue
                inlined = whole is not root and opened.chain is not None
                tensor = id(whole.context.symbols.place(opened.scalar)[0])
                if inlined or (depth > 1 and tensor in examples):
                    continue
                if len(found) == STATEMENTS:
                    return found, list(legends.values()), True
                examples.add(tensor)
                met.add(opened.scalar)
                found.append(statement(opened, left, inline=True))
                if opened.terms and not all(t.opened is None or t.opened.chain for t in shown(opened)[0]):
                    legends.update({id(x): (opened, x) for x in opened.targets if id(x) not in legends})
                following.append(opened)
        level, depth = following, depth + 1
    return found, list(legends.values()), False


def weight(term: Term) -> float:
    """How much a term says as an example: the size of its product."""
    size = abs(float(term.product))
    return size if isfinite(size) else 0.0


def legend(legends: Sequence[tuple[Sum, Any]]) -> list[Expression]:
    """What the symbols of cotangents stand for: d_k = dC/do1_k; and where tensors without a name come from."""
    lines: list[Expression] = []
    origins: list[str] = []
    for whole, x in legends:
        if all(i == whole.context.ground.output for i in whole.ends.tolist()):
            continue
        of, name, delta = whole.context.of, symbol(whole.context.symbols.label(x)), whole.cotangent_of(x)
        if source(whole, x):
            origins.append(f"{name.text} is the {source(whole, x)}")
        if delta.text != "d":  # the others have the name of their tensor with them
            name, delta = Expression("t", "t"), Expression(r"\delta^{t}", "d(t)")
            if any(line.text.startswith("d(t)") for line in lines):
                continue
        flat = x.subscripts == "flat"
        index = Expression("", "") if x.size == 1 and delta.text == "d" else Expression("_{k}", "_k") if flat else Expression("", "[...]")  # fmt: skip
        latex = rf"{delta.latex}{index.latex} = \frac{{\partial {of.latex}}}{{\partial {name.latex}{index.latex}}}"
        lines.append(Expression(latex, f"{delta.text}{index.text} = d{of.text}/d{name.text}{index.text}"))
    if origins:
        said = "; ".join(origins)
        lines.append(Expression(rf"\text{{{escaped(said, text=True)}}}", said))
    return lines


def source(whole: Sum, tensor: Any) -> str:
    """For a tensor without a name: the operation and layer that made it."""
    if tensor.name or id(tensor) in whole.context.symbols.names or tensor.primitive is None:
        return ""
    path = tensor.scope.path if tensor.scope else ()
    call = whole.context.ground.calls.get(id(tensor))
    layers = [s.name for s in path if s.kind == "layer"]
    made = call.name if call else tensor.primitive.name
    return clean(f"result of {made}" + (f" in {layers[-1]}" if layers else ""))


def text(explanation: Explanation) -> str:
    """The equation as plain text."""
    found, legends, more = statements(explanation)
    lines: list[str] = []
    for k, s in enumerate(found):
        indent = "" if k == 0 else "  "
        pad = indent + " " * len(s.left.text)
        parts = [*(x.text for x in s.formulas), result(s.result)]
        kept = [p for i, p in enumerate(parts) if i == 0 or p != parts[i - 1]]
        count = f"   ({len(s.whole.terms):,} terms)" if len(s.whole.terms) > WHOLE else ""
        if k == 0:
            lines.append(f"{s.left.text} = {kept[0]}{count}")
            lines += [f"{pad} = {p}" for p in kept[1:]]
        else:
            lines.append(f"{indent}{s.left.text} = {' = '.join(kept)}{count}")
        if k == 0:
            lines += [f"  {'where' if ' is the ' in x.text else 'with'} {x.text}" for x in legend(legends)]
    if not found:
        lines.append(f"d{explanation._context.of.text}/d{explanation.name} = 0")
    if explanation.reason:
        lines.append(f"  zero: {explanation.reason}")
    if more:
        lines.append("  ... deeper levels are left out: explain one of these elements")
    return "\n".join(lines)


def result(x: Any) -> str:
    """The last part of a statement: more digits than in the terms, and no sign before a zero."""
    return str(x) if isinstance(x, Fraction | int) else f"{x + 0.0:.6g}"


def result_latex(x: Any) -> str:
    return number(x, result)


def rows(explanation: Explanation) -> list[str]:
    """The equation's lines in LaTeX, aligned at the first equals sign."""
    found, legends, _ = statements(explanation)
    lines: list[str] = []
    for k, s in enumerate(found):
        parts = [*(x.latex for x in s.formulas), result_latex(s.result)]
        kept = [p for i, p in enumerate(parts) if i == 0 or p != parts[i - 1]]
        if k == 0:
            lines += [f"{s.left.latex} &= {kept[0]}", *[f"&= {p}" for p in kept[1:]]]
            lines += ["&" + x.latex for x in legend(legends)]
        else:
            lines.append(f"{s.left.latex} &= {' = '.join(kept)}")
    if not found:
        of, at = explanation._context.of, explanation._at
        lines.append(rf"\frac{{\partial {of.latex}}}{{\partial {at.latex}}} &= 0")
    return lines


def latex(explanation: Explanation) -> str:
    r"""The equation in LaTeX, without dollar signs: \begin{aligned} .. \end{aligned}."""
    return r"\begin{aligned} " + r" \\ ".join(rows(explanation)) + r" \end{aligned}"


def mathml_of(explanation: Explanation) -> str:
    """The equation as one <math> element."""
    return mathml(latex(explanation), display=True)


def table(explanation: Explanation) -> list[tuple[str, str, str, Any, Any, Any]]:
    """(output, term in symbols, what its cotangent is, local derivative, upstream cotangent, product) of every term."""
    return [(t.output, t.written.text, t.derivative, t.local, t.upstream, t.product) for t in explanation.terms]


HEAD = ("output", "term", "upstream", "local value", "upstream value", "product")


def markdown(explanation: Explanation) -> str:
    """The equation between dollar signs, and its terms as a table (the first 50)."""
    lines = [f"$$\n{latex(explanation)}\n$$", ""]
    if explanation.reason:
        lines += [f"Zero: {_cell(explanation.reason)}", ""]
    given = table(explanation)
    if given:
        lines += ["| " + " | ".join(HEAD) + " |", "|" + " --- |" * 3 + " ---: |" * 3]
        for *words, a, b, c in given[:50]:
            lines.append("| " + " | ".join([*map(_cell, words), *map(short_number, (a, b, c))]) + " |")
        if len(given) > 50:
            lines.append(f"\n{len(given) - 50:,} more terms.")
    return "\n".join(lines) + "\n"


def _cell(words: str) -> str:
    """Text in a Markdown table: nothing in it is markup."""
    return "".join(f"&#{ord(c)};" if c in "|<>&`*_[]\\$~#" else c for c in clean(words))


def csv_of(explanation: Explanation) -> str:
    """All terms as comma-separated values with all digits, one line each, and a heading."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEAD)
    writer.writerows(table(explanation))
    return out.getvalue()
