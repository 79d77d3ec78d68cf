"""An explanation written out: as text, LaTeX, MathML, Markdown and CSV, and as HTML for a notebook.

A statement is one derivative in three parts, symbols = numbers = result.  Long sums are folded: their pattern, the
first terms and the last; below the first statement stand those of its cotangents, down to the depth that was asked
for.  In a notebook there are three columns, and levels that open with a click: plain HTML with <details> and MathML, no
script, nothing from elsewhere, in the colours of the page around it.
"""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from html import escape
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

from ...render.broken import aligned
from ...render.latex import PRODUCT, SUM, Expression, escaped, number, symbol, value
from ...render.mathml import mathml
from ...render.notebook import gap
from ...render.svg import FONT, colour
from ...render.text import clean
from ...render.text import number as short_number
from ...render.theme import anywhere
from .terms import Steps, Sum, Term
from .zeros import zeros

if TYPE_CHECKING:
    from .explanation import Explanation

ORIGINS = 6  # tensors without a name that are said to come from one operation
WHOLE, FIRST, STATEMENTS = 12, 4, 24  # terms written in full, terms shown of a longer sum, statements in one equation
FEW = 2  # zeros that are written among the terms; more are left out, and their reason is said


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
        """What stands between ``left`` and ``result``; a single number alone would only repeat the result with fewer
        digits.
        """
        alone = len(self.whole.terms) == 1 and "·" not in self.numbers.text and self.whole.closed is None
        return [x for x in (self.pattern, self.symbols, None if alone else self.numbers) if x]


def shown(whole: Sum) -> tuple[list[Term], int]:
    """The terms that are written, and how many that are not 0 are left out.

    A short sum is written as it comes, without its zeros if there are more than a few; of a long one the largest terms.
    """
    terms = list(whole.terms)
    telling = [term for term in terms if term.product != 0] or terms
    if len(terms) <= WHOLE:
        return (telling if len(terms) - len(telling) > FEW else terms), 0
    chosen = largest(telling) if len(telling) > WHOLE else telling
    return chosen, len(telling) - len(chosen)


def largest(terms: Sequence[Any]) -> list[Any]:
    """The terms that a long sum is written with, by the size of their product."""
    return sorted(terms, key=weight, reverse=True)[:FIRST]


def statement(whole: Sum, left: Expression, inline: bool) -> Statement:
    """One derivative; ``inline``: cotangents that are chains to the end are written out."""
    terms, left_out = shown(whole)
    if not terms:
        zero = value(1 if whole.scalar == whole.context.analysis.output else 0)
        return Statement(whole, left, None, zero, zero, whole.total)
    if (closed := whole.closed) is not None:
        return Statement(whole, left, None, closed.symbols, closed.numbers, whole.total)
    symbols = [whole.inlined(t) if inline else t.written for t in terms]
    pattern = whole.pattern if len(whole.terms) > WHOLE else None
    return Statement(
        whole, left, pattern, added(symbols, left_out), added([digits(t) for t in terms], left_out), whole.total
    )


def digits(term: Term) -> Expression:
    """A term in numbers: local derivative times cotangent; a factor that is written nowhere is left out."""
    local, upstream = value(term.local).within(PRODUCT), value(term.upstream).within(PRODUCT)
    if term.delta is None:
        return local
    if term.local_symbol == "1":
        return upstream
    return Expression(rf"{local.latex} \cdot {upstream.latex}", f"{local.text}·{upstream.text}", PRODUCT)


def added(terms: Sequence[Expression], left_out: int) -> Expression:
    """A sum, with dots at its end where terms are left out; subtraction where a term has a sign."""
    latex, text = terms[0].latex, terms[0].text
    for x in terms[1:]:
        sign = "" if x.text.startswith("-") and x.binds <= SUM else "+ "
        latex += f" {sign}{x.latex}"
        text += f" {sign}{x.text}" if sign else f" - {x.text[1:]}"
    return Expression(latex + r" + \cdots" * bool(left_out), text + " + ..." * bool(left_out), SUM)


def derivative(whole: Sum) -> Expression:
    """d of / d scalar."""
    of, at = whole.context.of, whole.at
    return Expression(rf"\frac{{\partial {of.latex}}}{{\partial {at.latex}}}", f"d{of.text}/d{at.text}")


def statements(explanation: Explanation) -> tuple[list[Statement], list[tuple[Sum, Any]], bool]:
    """The statements of an explanation, its own first; the tensors whose cotangents they name; whether more follow."""
    root = explanation.sum
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
                opened, left = term.opened, term.delta
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


def weight(term: Any) -> float:
    """How much a term says as an example: the size of its product; one that is not finite says most."""
    size = abs(float(term.product))
    return size if isfinite(size) else inf


def legend(legends: Sequence[tuple[Sum, Any]]) -> list[Expression]:
    """What the symbols of cotangents stand for: d_k = dC/do1_k; and where tensors without a name come from."""
    lines: list[Expression] = []
    origins: dict[str, list[str]] = {}
    for whole, x in legends:
        if all(i == whole.context.analysis.output for i in whole.ends.tolist()):
            continue
        of, name, delta = whole.context.of, symbol(whole.context.symbols.label(x)), whole.cotangent_of(x)
        if source(whole, x):
            origins.setdefault(source(whole, x), []).append(name.text)
        letter = whole.context.cotangent
        if delta.text != letter.text:  # the others have the name of their tensor with them
            name, delta = Expression("t", "t"), Expression(f"{letter.latex}^{{t}}", f"{letter.text}(t)")
            if any(line.text.startswith(f"{letter.text}(t)") for line in lines):
                continue
        flat = whole.context.symbols.subscripts(x) == "flat"
        index = (
            Expression("", "")
            if x.size == 1 and delta.text == letter.text
            else Expression("_{k}", "_k")
            if flat
            else Expression("", "[...]")
        )
        latex = rf"{delta.latex}{index.latex} = \frac{{\partial {of.latex}}}{{\partial {name.latex}{index.latex}}}"
        lines.append(Expression(latex, f"{delta.text}{index.text} = d{of.text}/d{name.text}{index.text}"))
    if origins:
        said = "; ".join(
            f"{'each of ' if len(made) > 1 else ''}{', '.join(made[:ORIGINS])}"
            f"{f' and {len(made) - ORIGINS} more' if len(made) > ORIGINS else ''} is the {what}"
            for what, made in origins.items()
        )
        lines.append(Expression(rf"\text{{{escaped(said, text=True)}}}", said))
    return lines


def source(whole: Sum, tensor: Any) -> str:
    """For a tensor without a name: the operation and layer that made it."""
    symbols = whole.context.symbols
    if tensor.name or id(tensor) in symbols.names or id(tensor) in symbols.layers or tensor.primitive is None:
        return ""
    path = tensor.scope.path if tensor.scope else ()
    call = whole.context.analysis.calls.get(id(tensor))
    layers = [s.name for s in path if s.kind == "layer"]
    made = call.name if call else tensor.primitive.name
    return clean(f"result of {made}" + (f" in {layers[-1]}" if layers else ""))


def text(explanation: Explanation) -> str:
    """The equation as plain text."""
    found, legends, more = statements(explanation)
    lines: list[str] = []
    root = explanation.sum
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
        if k == 0 and root is not None and all(t.product != 0 for t in shown(root)[0]) and (none := zeros(root)):
            lines.append(f"  {none}")
        if k == 0 and root is not None and root.closed is not None:
            lines += [f"  {words}: {x.text} = {short_number(v + 0.0)}" for words, x, v in root.closed.parts]
        told = [f"  with {x.text}" for x in s.whole.closed.where] if s.whole.closed is not None else []
        lines += [line for line in told if line not in lines]
        if k == 0:
            lines += [f"  {'where' if ' is the ' in x.text else 'with'} {x.text}" for x in legend(legends)]
    if not found:
        lines.append(f"d{explanation.context.of.text}/d{explanation.name} = 0")
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
        lines += aligned(s.left.latex, kept, apart=k == 0)
        if s.whole.closed is not None:
            ways = s.whole.closed.parts if k == 0 else ()
            lines += [rf"&\text{{{words}: }} {x.latex} = {number(v + 0.0)}" for words, x, v in ways]
            lines += [line for x in s.whole.closed.where if (line := "&" + x.latex) not in lines]
        if k == 0:
            lines += ["&" + x.latex for x in legend(legends)]
    if not found:
        of, at = explanation.context.of, explanation.at
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


ROWS, LEVELS = 10, 24  # terms of a sum that are shown unfolded; sums that can be opened
LEGENDS = 4  # cotangents whose symbols are explained
FOLDED = 60  # further terms, folded
# the same in a page of its own, where size counts less
PAGE_LEVELS, PAGE_FOLDED, PAGE_BELOW = 80, 2000, 10

STYLE = f"""<style>
.ac-eq{{font:var(--text,14px)/1.45 var(--font,system-ui,sans-serif);max-width:72rem;overflow-x:auto;color:inherit}}
.ac-eq math{{font-size:1.08em}}
.ac-eq .ac-top{{padding:.3em 0 .5em;overflow-x:auto}}
.ac-eq>.ac-top math{{math-style:normal;font-size:1.2em}}
.ac-eq .ac-row{{display:grid;\
grid-template-columns:minmax(7em,1.2fr) minmax(9em,2fr) minmax(9em,2fr) minmax(5em,.8fr);\
gap:.3em 1em;padding:.15em .4em;align-items:center;\
border-top:1px solid color-mix(in srgb,currentColor 15%,transparent)}}
.ac-eq .ac-row>*{{min-width:0;overflow-wrap:anywhere;overflow:auto hidden;scrollbar-width:thin}}
.ac-eq .ac-row>:last-child{{text-align:right;font-variant-numeric:tabular-nums}}
.ac-eq .ac-head{{font-size:.85em;opacity:.75;border-top:0}}
.ac-eq .ac-total{{font-weight:600;border-top:2px solid color-mix(in srgb,currentColor 45%,transparent)}}
.ac-eq .ac-where{{font-family:{FONT};font-size:.85em}}
.ac-eq details{{margin:0}}
.ac-eq details>summary{{list-style:none;cursor:pointer;position:relative}}
.ac-eq details>summary::-webkit-details-marker{{display:none}}
.ac-eq details>summary .ac-where::before{{content:"\\25B8\\00A0"}}
.ac-eq details[open]>summary .ac-where::before{{content:"\\25BE\\00A0"}}
.ac-eq summary:hover,.ac-eq summary:focus-visible{{background:color-mix(in srgb,currentColor 8%,transparent)}}
.ac-eq .ac-level{{margin:.2em 0 .5em .7em;padding-left:.7em;\
border-left:3px solid {anywhere("plus")}}}
.ac-eq .ac-more{{padding:.25em .4em;opacity:.8}}
.ac-eq .ac-zero{{border-left:3px solid {anywhere("minus")};padding:.2em .6em;margin:.4em 0}}
.ac-eq .ac-dot{{display:inline-block;width:.7em;height:.7em;border-radius:50%;margin-right:.4em}}
@media (max-width:560px){{.ac-eq .ac-row{{grid-template-columns:1fr 1fr;gap:.1em .6em}}.ac-eq .ac-head{{display:none}}}}
</style>"""


def html(explanation: Explanation, page: bool = False) -> str:
    """The explanation as HTML, complete in itself; ``page``: for one of its own, in which more can be opened."""
    root = explanation.sum
    if root is None:
        words = f"d{explanation.context.of.text}/d{explanation.name} = 0: {explanation.reason}"
        return f'{STYLE}<div class="ac-eq"><div class="ac-zero">{escape(clean(words))}</div></div>'
    opened = levels(root, explanation.depth, PAGE_LEVELS if page else LEVELS)
    folded = (PAGE_FOLDED, PAGE_BELOW) if page else (FOLDED, 0)
    zero = f'<div class="ac-zero">Zero: {escape(clean(explanation.reason))}</div>' if explanation.reason else ""
    with_ = [mathml(x.latex, annotated=False) for x in legend([(root, x) for x in root.targets][:LEGENDS])]
    where = f'<div class="ac-more">with {", ".join(with_)}</div>' if with_ else ""
    ways = _ways(root)
    return f'{STYLE}<div class="ac-eq">{_top(root)}{ways}{where}{zero}{_table(root, opened, *folded)}</div>'


def _ways(root: Sum) -> str:
    """The contributions of a closed formula, and what its letters are."""
    if root.closed is None:
        return ""
    show = lambda x: mathml(x.latex, annotated=False)
    parts = [f"{escape(words)}: {show(x)} = {short_number(v + 0.0)}" for words, x, v in root.closed.parts]
    parts += [f"with {show(x)}" for x in root.closed.where]
    return "".join(f'<div class="ac-more">{part}</div>' for part in parts)


def levels(root: Sum, depth: int | None, most: int) -> set[int]:
    """The scalars whose sums can be opened: breadth first, each once, ``most`` in all."""
    found: set[int] = set()
    waiting: deque[tuple[Sum, int]] = deque([(root, 1)])
    while waiting and len(found) < most:
        whole, level = waiting.popleft()
        if depth is not None and level >= depth:
            continue
        for term in in_order(whole)[:ROWS]:
            below = term.opened
            if below is not None and below.scalar not in found and len(found) < most:
                found.add(below.scalar)
                waiting.append((below, level + 1))
    return found


def in_order(whole: Sum) -> list[Term]:
    """The terms as a table shows them: all as they come, or, where some are folded away, the largest first and no zeros
    (if there are others)."""
    if len(whole.terms) <= ROWS:
        return list(whole.terms)
    telling = [term for term in whole.terms if term.product != 0] or list(whole.terms)
    return sorted(telling, key=weight, reverse=True)


def _top(whole: Sum) -> str:
    """The first line: the element with its colour, and the sum with its pattern or its first terms."""
    dot = _dot(whole, whole.scalar)
    s = statement(whole, derivative(whole), inline=False)
    return f'<div class="ac-top" tabindex="0">{dot}{mathml(_line(s), display=False)}</div>'


def _dot(whole: Steps, scalar: int | None) -> str:
    """The colour that an element of a weight has in every view; nothing for other scalars."""
    symbols = whole.context.symbols
    if not scalar or id(symbols.place(scalar)[0]) not in symbols.coloured:
        return ""
    shade = colour(symbols.flat_index(scalar), symbols.place(scalar)[0].size)
    return f'<span class="ac-dot" style="background:{shade}"></span>'


def _line(s: Statement) -> str:
    symbols, end = s.pattern or s.symbols, result_latex(s.result)
    return f"{s.left.latex} = {end}" if symbols.latex == end else f"{s.left.latex} = {symbols.latex} = {end}"


def _table(whole: Sum, opened: set[int], folded: int = 0, below: int = 0) -> str:
    """The terms of a sum, row by row, so many of them ``folded``; ``below``: how many in the sums that open."""
    if not whole.terms:
        return ""
    head = (
        f'<div class="ac-row ac-head"><span>by way of{gap(": ")}</span><span>symbols{gap(" ")}</span>'
        f"<span>= numbers{gap(' ')}</span><span>= result</span></div>"
    )
    terms = in_order(whole)
    none = zeros(whole)
    rows = [_row(term, opened, below) for term in terms[:ROWS]]
    rest = terms[ROWS:]
    beyond = len(rest) - folded
    note = f'<div class="ac-more">{beyond:,} more terms are in .terms and .csv</div>' if beyond > 0 else ""
    if rest and folded:
        inner = "".join(_row(term, opened, below) for term in rest[:folded])
        summary = f'<summary class="ac-more"><span class="ac-where">{len(rest):,} more terms</span></summary>'
        note = f"<details>{summary}{inner}{note}</details>"
    rows.append(note)
    if none:
        rows.append(f'<div class="ac-more">{escape(clean(none))}</div>')
    if len(whole.terms) == 1:
        return head + "".join(rows)
    order = ", the largest first" if len(whole.terms) > ROWS else ""
    total = (
        f'<div class="ac-row ac-total"><span>sum of {len(whole.terms):,} terms{order}{gap(" = ")}</span>'
        "<span></span><span></span>"
        f"<span>{escape(result(whole.total))}</span></div>"
    )
    return head + "".join(rows) + total


def _row(term: Term, opened: set[int], folded: int) -> str:
    cells = (
        f'<span class="ac-where">{escape(clean(term.output))}{gap(": ")}</span>'
        f"<span>{_dot(term.sum, term.partner)}{mathml(term.written.latex, annotated=False)}{gap(' = ')}</span>"
        f"<span>{mathml(digits(term).latex, annotated=False)}{gap(' = ')}</span>"
        f"<span>{escape(result(term.product))}</span>"
    )
    # asked of the set first: to open a sum walks the tape
    below = term.opened if term.scalar in opened else None
    if below is None:
        return f'<div class="ac-row">{cells}</div>'
    opened.discard(below.scalar)  # once is enough
    note = mathml(rf"{term.upstream_latex} = {_line(statement(below, derivative(below), inline=False))}")
    inside = f'<div class="ac-top" tabindex="0">{note}</div>{_definitions(term)}{_table(below, opened, folded, folded)}'
    return f'<details><summary class="ac-row">{cells}</summary><div class="ac-level">{inside}</div></details>'


def _definitions(term: Term) -> str:
    """What opens a maximum into its definition."""
    lines = "".join(f'<div class="ac-top">{mathml(x.latex, annotated=False)}</div>' for x in term.definitions)
    if not lines:
        return ""
    return f'<details><summary class="ac-more"><span class="ac-where">by definition</span></summary>{lines}</details>'
