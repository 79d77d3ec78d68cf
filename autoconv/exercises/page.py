"""A sheet as one HTML page: formulas as MathML, the graph as SVG, a field for each answer; nothing is loaded from
elsewhere.

The page does not know the answers: its button saves what was filled in as a file, which the key marks.
"""

from __future__ import annotations

import re
from html import escape

import numpy as np

from ..render.latex import Expression
from ..render.mathml import mathml
from ..render.notebook import picture
from ..render.page import html_page
from ..render.text import clean
from .marking import Answer
from .paper import equation_latex, lead, picture_of, remarks, tables
from .sheet import Blanked, Equation, Grid, Listed, Part, Prose, circled

STYLE = """
.wide{overflow-x:auto;padding:.35rem 0}math[display=block]{width:max-content;margin:0}
.grids{display:flex;flex-wrap:wrap;gap:1rem 2rem}
figure{margin:0;max-width:100%;overflow-x:auto}figcaption{margin-bottom:.25rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
td,th{border:1px solid var(--line);padding:.15rem .55rem;text-align:right;min-width:1.6rem}
th{font-weight:400;color:var(--soft);font-size:.85em;border:0}
.blank{background:var(--ask);border:1.5px solid var(--on);border-radius:4px;padding:0 .3em;font-weight:600}
td.blank{border:2px solid var(--on);text-align:center}
svg{max-width:none;height:auto}
.answers{display:grid;grid-template-columns:max-content minmax(6rem,16rem) 1fr;gap:.4rem .8rem;align-items:center}
.answers input{width:100%}
.answers output{color:var(--soft);overflow-wrap:anywhere}
button{margin-top:1rem}
@media (max-width:560px){.answers{grid-template-columns:max-content 1fr}
  .answers output{grid-column:1/-1;font-size:.85em;margin-top:-.3rem}}
@media print{button{display:none}}
"""

SCRIPT = """
document.getElementById("save").addEventListener("click", () => {
  const answers = {};
  for (const field of document.querySelectorAll("input[data-blank]")) answers[field.dataset.blank] = field.value.trim();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(answers, null, 1)], {type: "application/json"}));
  link.download = "answers.json";
  link.click();
  URL.revokeObjectURL(link.href);
});
"""


def page(blanked: Blanked, answers: list[Answer], key: str) -> str:
    """The sheet as a whole page; ``key`` is the name of the key file, for those who mark it."""
    title = escape(clean(blanked.sheet.title))
    task, exact = (escape(text) for text in remarks(blanked))
    fields = "".join(
        f'<span class="blank">{circled(a.number)}</span><input data-blank="{a.number}" autocomplete="off" '
        f'aria-label="answer {a.number}"><output>{escape(clean(a.says))}</output>'
        for a in answers
    )
    how = (
        "A number, a fraction as 3/2, or arithmetic as 2*(9 - 1). "
        "The button saves what you wrote as answers.json, which"
    )
    marked = f"<code>autoconv exercise --mark answers.json --key {escape(clean(key))}</code>"
    body = "\n".join(
        [
            f'<h1>{title}</h1>\n<p>{task}</p>\n<p class="note">{exact}</p>',
            *_parts(blanked),
            f'<h2>Your answers</h2>\n<div class="answers">{fields}</div>',
            f'<button id="save" type="button">Save answers.json</button>\n<p class="note">{how} {marked} marks.</p>\n',
        ]
    )
    return html_page(blanked.sheet.title, body, css=STYLE, script=SCRIPT, document=True)


def fragment(blanked: Blanked, answers: list[Answer]) -> str:
    """The sheet within a notebook: as in its page, the graph as an image, and a line for each answer."""
    task, exact = (escape(text) for text in remarks(blanked))
    places = "".join(f"<li>{circled(a.number)} {escape(clean(a.says))}</li>" for a in answers)
    head = f"<h1>{escape(clean(blanked.sheet.title))}</h1>\n<p>{task}</p>\n<p>{exact}</p>"
    drawing = picture(picture_of(blanked) or "", "the graph with its blanks")
    return "\n".join([head, *_parts(blanked, drawing), f"<h2>Answers</h2>\n<ul>{places}</ul>"])


def _parts(blanked: Blanked, drawing: str | None = None) -> list[str]:
    """The parts of the sheet; arrays that follow each other stand side by side.  drawing: its graph (None: as SVG)."""
    made: list[str] = []
    side: list[str] = []
    for part in [*blanked.parts, None]:
        if isinstance(part, Grid):
            side += [_table(part, name, cells, blanked) for name, cells in tables(part)]
            continue
        if side:
            made.append(f'<div class="grids">{"".join(side)}</div>')
            side = []
        if part is not None:
            made.append(_part(part, blanked, drawing))
    return made


def _part(part: Part, blanked: Blanked, drawing: str | None) -> str:
    if isinstance(part, Prose):
        tag = {"heading": "h2", "code": "pre"}.get(part.kind, "p")
        return f"<{tag}>{escape(clean_lines(part.text))}</{tag}>"
    if isinstance(part, Equation):
        if not part.left.latex:
            return f'<p class="note">{lead(part)} {formula(equation_latex(part, blanked))}</p>'
        return f'<div class="wide">{formula(equation_latex(part, blanked), True)}</div>'
    if isinstance(part, Listed):
        items = "".join(
            f"<li>{formula(f'{name.latex} = {blanked.written(cell).latex}')}</li>" for name, cell in part.rows
        )
        return f"<ul>{items}</ul>"
    return f'<div class="wide">{drawing or picture_of(blanked)}</div>'


def clean_lines(text: str) -> str:
    return "\n".join(clean(line) for line in text.split("\n"))


def _table(grid: Grid, name: Expression, cells: np.ndarray, blanked: Blanked) -> str:
    rows = []
    head = "".join(f"<th>{c}</th>" for c in range(cells.shape[1]))
    for r, row in enumerate(cells):
        columns = []
        for cell in row:
            mark = ' class="blank"' if cell.quantity in blanked.numbered else ""
            columns.append(f"<td{mark}>{escape(blanked.written(cell).text)}</td>")
        rows.append(f"<tr><th>{r if grid.cells_.ndim > 1 else ''}</th>{''.join(columns)}</tr>")
    counted = " (row by row, from 1)" if grid.flat and grid.cells_.ndim > 1 else ""
    caption = f"<figcaption>{formula(name.latex)}{counted}</figcaption>"
    return f"<figure>{caption}<table><tr><th></th>{head}</tr>{''.join(rows)}</table></figure>"


def formula(latex: str, display: bool = False) -> str:
    """A formula as MathML, its blanks marked."""
    plain = re.sub(r"\\boxed\{(\\text\{[^{}]*\})\}", r"\1", latex)
    made = mathml(plain, display=display, annotated=False)
    ask = re.sub(r"<mtext>([①-⑳]|\[\d+\])</mtext>", r'<mi class="blank" mathvariant="normal">\1</mi>', made)
    return ask.replace("<mtext>▢</mtext>", '<mi mathvariant="normal">▢</mi>')  # mtext would count as a space
