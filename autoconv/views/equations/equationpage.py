"""An explanation for a notebook: three columns, symbols = numbers = result, and levels that open with a click.

Plain HTML with <details> and MathML: no script, nothing from elsewhere, in the colours of the page around it.
"""

from __future__ import annotations

from collections import deque
from html import escape
from typing import TYPE_CHECKING

from ...render.colour import colour
from ...render.mathml import mathml
from ...render.svg import FONT
from ...render.text import clean
from .equation import Statement, derivative, digits, result, result_latex, statement
from .terms import Sum, Term

if TYPE_CHECKING:
    from .explain import Explanation

ROWS, LEVELS = 10, 24  # terms of a sum that are shown unfolded; sums that can be opened
FOLDED = 60  # further terms, folded

STYLE = f"""<style>
.ac-eq{{font:14px/1.45 system-ui,sans-serif;max-width:72rem;overflow-x:auto;color:inherit}}
.ac-eq math{{font-size:1.08em}}
.ac-eq .ac-top{{padding:.3em 0 .5em;overflow-x:auto}}
.ac-eq .ac-row{{display:grid;grid-template-columns:minmax(7em,1.2fr) minmax(9em,2fr) minmax(9em,2fr) minmax(5em,.8fr);gap:.3em 1em;padding:.15em .4em;align-items:center;border-top:1px solid color-mix(in srgb,currentColor 15%,transparent)}}
.ac-eq .ac-row>*{{min-width:0;overflow-wrap:anywhere}}
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
.ac-eq .ac-level{{margin:.2em 0 .5em .7em;padding-left:.7em;border-left:3px solid color-mix(in srgb,#0072b2 60%,transparent)}}
.ac-eq .ac-more{{padding:.25em .4em;opacity:.8}}
.ac-eq .ac-zero{{border-left:3px solid #d55e00;padding:.2em .6em;margin:.4em 0}}
.ac-eq .ac-dot{{display:inline-block;width:.7em;height:.7em;border-radius:50%;margin-right:.4em}}
@media (max-width:560px){{.ac-eq .ac-row{{grid-template-columns:1fr 1fr;gap:.1em .6em}}.ac-eq .ac-head{{display:none}}}}
</style>"""


def page(explanation: Explanation) -> str:
    """The explanation as HTML, complete in itself."""
    root = explanation._sum
    if root is None:
        words = f"d{explanation._context.of.text}/d{explanation.name} = 0: {explanation.reason}"
        return f'{STYLE}<div class="ac-eq"><div class="ac-zero">{escape(clean(words))}</div></div>'
    opened = levels(root, explanation.depth)
    zero = f'<div class="ac-zero">Zero: {escape(clean(explanation.reason))}</div>' if explanation.reason else ""
    return f'{STYLE}<div class="ac-eq">{_top(root)}{zero}{_table(root, opened, FOLDED)}</div>'


def levels(root: Sum, depth: int | None) -> set[int]:
    """The scalars whose sums can be opened: breadth first, each once, so many in all."""
    found: set[int] = set()
    waiting: deque[tuple[Sum, int]] = deque([(root, 1)])
    while waiting and len(found) < LEVELS:
        whole, level = waiting.popleft()
        if depth is not None and level >= depth:
            continue
        for term in whole.terms[:ROWS]:
            below = term.opened
            if below is not None and below.scalar not in found and len(found) < LEVELS:
                found.add(below.scalar)
                waiting.append((below, level + 1))
    return found


def _top(whole: Sum) -> str:
    """The first line: the element with its colour, and the sum with its pattern or its first terms."""
    dot = _dot(whole, whole.scalar)
    s = statement(whole, derivative(whole), inline=False)
    return f'<div class="ac-top">{dot}{mathml(_line(s), display=False)}</div>'


def _dot(whole: Sum, scalar: int | None) -> str:
    """The colour that an element of a weight has in every view; nothing for other scalars."""
    symbols = whole.context.symbols
    if not scalar or id(symbols.place(scalar)[0]) not in symbols.coloured:
        return ""
    shade = colour(symbols.flat_index(scalar), symbols.place(scalar)[0].size)
    return f'<span class="ac-dot" style="background:{shade}"></span>'


def _line(s: Statement) -> str:
    symbols, end = s.pattern or s.symbols, result_latex(s.result)
    return f"{s.left.latex} = {end}" if symbols.latex == end else f"{s.left.latex} = {symbols.latex} = {end}"


def _table(whole: Sum, opened: set[int], folded: int = 0) -> str:
    if not whole.terms:
        return ""
    head = '<div class="ac-row ac-head"><span>by way of</span><span>symbols</span><span>= numbers</span><span>= result</span></div>'
    rows = [_row(term, opened) for term in whole.terms[:ROWS]]
    rest = whole.terms[ROWS:]
    beyond = len(rest) - folded
    note = f'<div class="ac-more">{beyond:,} more terms are in .terms and .csv</div>' if beyond > 0 else ""
    if rest and folded:
        inner = "".join(_row(term, opened) for term in rest[:folded])
        summary = f'<summary class="ac-more"><span class="ac-where">{len(rest):,} more terms</span></summary>'
        note = f"<details>{summary}{inner}{note}</details>"
    rows.append(note)
    if len(whole.terms) == 1:
        return head + "".join(rows)
    total = f'<div class="ac-row ac-total"><span>sum of {len(whole.terms):,} terms</span><span></span><span></span><span>{escape(result(whole.total))}</span></div>'
    return head + "".join(rows) + total


def _row(term: Term, opened: set[int]) -> str:
    cells = (
        f'<span class="ac-where">{escape(clean(term.output))}</span><span>{_dot(term._sum, term.partner)}{mathml(term.written.latex, annotated=False)}</span>'
        f"<span>{mathml(digits(term).latex, annotated=False)}</span><span>{escape(result(term.product))}</span>"
    )
    below = term.opened
    if below is None or below.scalar not in opened:
        return f'<div class="ac-row">{cells}</div>'
    opened.discard(below.scalar)  # once is enough
    note = mathml(rf"{term.upstream_latex} = {_line(statement(below, derivative(below), inline=False))}")
    inside = f'<div class="ac-top">{note}</div>{_definitions(term)}{_table(below, opened)}'
    return f'<details><summary class="ac-row">{cells}</summary><div class="ac-level">{inside}</div></details>'


def _definitions(term: Term) -> str:
    """What opens a maximum into its definition."""
    lines = "".join(f'<div class="ac-top">{mathml(x.latex, annotated=False)}</div>' for x in term.definitions)
    if not lines:
        return ""
    return f'<details><summary class="ac-more"><span class="ac-where">by definition</span></summary>{lines}</details>'
