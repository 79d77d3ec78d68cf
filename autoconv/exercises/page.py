"""A sheet as one HTML page: formulas as MathML, the graph as SVG, a field for each answer; nothing is loaded from
elsewhere.

The page marks itself, with the key sealed in it; or it does not know the answers, and its button saves what was filled
in as a file, which the key marks.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from ..render.mathml import mathml
from ..render.notebook import gap, picture
from ..render.page import html_page, inert
from ..render.text import clean
from .marking import Answer
from .paper import Table, equation_latex, lead, picture_of, remarks, tables
from .sealed import sealed
from .sheet import Blanked, Equation, Grid, Listed, Part, Prose, circled

STYLE = """
.sheet{display:grid;grid-template-columns:minmax(0,1fr) 20rem;gap:0 calc(4*var(--gap));align-items:start}
.document main{max-width:80rem}
.wide{overflow-x:auto;padding:.35rem 0}math[display=block]{width:max-content;margin:0}
.grids{display:flex;flex-wrap:wrap;gap:1rem 2rem}
figure{margin:0;max-width:100%;overflow-x:auto}figcaption{margin-bottom:.25rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
td,th{border:1px solid var(--line);padding:.15rem .55rem;text-align:right;min-width:1.6rem}
th,tr:first-child>td:empty{font-weight:400;color:var(--soft);font-size:.85em;border:0}
.blank{background:var(--ask);border:1.5px solid var(--on);border-radius:4px;padding:0 .3em;font-weight:600}
td.blank{border:2px solid var(--on);text-align:center}
.wide svg{max-width:none;height:auto}
aside{position:sticky;top:0;max-height:100vh;overflow-y:auto;background:var(--box);border:1px solid var(--line);
  border-radius:8px;padding:0 calc(2*var(--gap)) var(--gap)}
aside h2{margin-top:calc(2*var(--gap))}
.answers{display:grid;grid-template-columns:minmax(0,1fr) 8.5rem;gap:.3rem .8rem;align-items:center}
.answers label{overflow-wrap:anywhere}.answers .long{grid-column:1/-1}
.answers input{width:100%;background:var(--page)}
.answers output{grid-column:1/-1;font-size:var(--small);min-height:0}
.answers output:empty{display:none}
.answers .right,.answers .wrong{font-weight:600}
.answers .right{color:var(--plus)}.answers .wrong{color:var(--minusink)}
.buttons{display:flex;flex-wrap:wrap;gap:var(--gap)}
#marks{font-weight:600}#marks:empty{display:none}
@media (max-width:900px){.sheet{display:block}aside{position:static;max-height:none;margin-top:2rem}}
@media print{.sheet{display:block}button,aside .note{display:none}aside{position:static;border:0;padding:0}}
"""

# the number of an element in its cell, in a page and in a notebook
COUNTED = '<small style="float:left;margin:-.05rem .5rem 0 -.35rem;font-size:.68em;opacity:.75">{}{}</small>'

STATIC = Path(__file__).parent / "static"
BESIDE = 18  # characters of what a blank is of that stand beside its field; of more, above it


def page(blanked: Blanked, answers: list[Answer], key: str, marking: bool = True) -> str:
    """The sheet as a whole page; ``key`` is the name of the key file, for those who mark it.

    marking: whether the page itself says what is right (it has the key sealed, see ``sealed``).
    """
    title = escape(clean(blanked.sheet.title))
    task, exact = (escape(text) for text in remarks(blanked))
    fields = "".join(_field(answer) for answer in answers)
    check = '<button id="mark" type="button">Check</button>' if marking else ""
    how = "A number, a fraction as 3/2, or arithmetic as 2*(9 - 1)."
    marked = (
        f"The second button saves what you wrote as answers.json{', for your teacher' if marking else ''}: "
        f"<code>autoconv exercise --mark answers.json --key {escape(clean(key))}</code> marks it."
    )
    if not marking:
        marked = marked.replace("The second button", "The button")
    form = (
        f'<aside aria-labelledby="yours"><h2 id="yours">Your answers</h2><p class="note">{how}</p>'
        f'<div class="answers">{fields}</div><p class="buttons">{check}'
        '<button id="save" type="button">Save answers.json</button></p><p id="marks" role="status"></p>'
        f'<p class="note">{marked}</p></aside>'
    )
    scripts = ["saving.js"]
    if marking:
        form += f'<script type="application/json" id="key">{inert(sealed(answers, blanked.sheet.title))}</script>'
        scripts.append("marking.js")
    text = "\n".join([f'<h1>{title}</h1>\n<p>{task}</p>\n<p class="note">{exact}</p>', *_parts(blanked)])
    body = f'<div class="sheet"><div>{text}</div>\n{form}</div>'
    script = "\n".join((STATIC / name).read_text(encoding="utf-8") for name in [*scripts, "ready.js"])
    return html_page(blanked.sheet.title, body, css=STYLE, script=script, document=True)


def _field(answer: Answer) -> str:
    """A blank's number, what it is of, a place to write in, and one for what is said of it."""
    n = answer.number
    says = escape(clean(answer.says)).replace("/", "/<wbr>")
    long = ' class="long"' if len(answer.says) > BESIDE else ""
    return (
        f'<label for="answer{n}"{long}><span class="blank">{circled(n)}</span> {says}</label>'
        f'<input id="answer{n}"{long} data-blank="{n}" autocomplete="off" inputmode="text" aria-describedby="mark{n}">'
        f'<output id="mark{n}" for="answer{n}"></output>'
    )


def fragment(blanked: Blanked, answers: list[Answer]) -> str:
    """The sheet within a notebook: as in its page, the graph as an image, and a line for each answer."""
    task, exact = (escape(text) for text in remarks(blanked))
    places = "".join(f"<li>{circled(a.number)} {escape(clean(a.says))}</li>" for a in answers)
    # the page around has its own first heading
    head = f"<h2>{escape(clean(blanked.sheet.title))}</h2>\n<p>{task}</p>\n<p>{exact}</p>"
    drawing = picture(picture_of(blanked) or "", "the graph with its blanks")
    return "\n".join([head, *_parts(blanked, drawing, "h3"), f"<h3>Answers</h3>\n<ul>{places}</ul>"])


def _parts(blanked: Blanked, drawing: str | None = None, heading: str = "h2") -> list[str]:
    """The parts of the sheet; arrays that follow each other stand side by side.  drawing: its graph (None: as SVG);
    heading: the tag of theirs."""
    made: list[str] = []
    side: list[str] = []
    for part in [*blanked.parts, None]:
        if isinstance(part, Grid):
            side += [_table(part, table, blanked) for table in tables(part)]
            continue
        if side:
            made.append(f'<div class="grids">{"".join(side)}</div>')
            if any("<small" in table for table in side):
                made.append('<p class="note">Small: the number of an element, row by row.</p>')
            side = []
        if part is not None:
            made.append(_part(part, blanked, drawing, heading))
    return made


def _part(part: Part, blanked: Blanked, drawing: str | None, heading: str) -> str:
    if isinstance(part, Prose):
        tag = {"heading": heading, "code": "pre"}.get(part.kind, "p")
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
    return f'<div class="wide" tabindex="0" role="group" aria-label="the graph">{drawing or picture_of(blanked)}</div>'


def clean_lines(text: str) -> str:
    return "\n".join(clean(line) for line in text.split("\n"))


def _table(grid: Grid, table: Table, blanked: Blanked) -> str:
    """An array: counted by rows and columns from 0 where its elements are, as w[0,1]; or each with its number, w_2."""
    rows = []
    for r, row in enumerate(table.cells):
        columns = []
        for c, cell in enumerate(row):
            mark = ' class="blank"' if cell.quantity in blanked.numbered else ""
            at = "" if table.counted is None else COUNTED.format(table.counted[r, c], gap(": "))
            columns.append(f"<td{mark}>{at}{escape(blanked.written(cell).text)}</td>")
        head = f'<th scope="row">{r}</th>' if grid.cells_.ndim > 1 and table.counted is None else ""
        rows.append(f"<tr>{head}{''.join(columns)}</tr>")
    if table.counted is None:
        corner = "<td></td>" if grid.cells_.ndim > 1 else ""
        across = "".join(f'<th scope="col">{c}</th>' for c in range(table.cells.shape[1]))
        rows.insert(0, f"<tr>{corner}{across}</tr>")
    body = f"<table>{''.join(rows)}</table>"
    return f"<figure><figcaption>{formula(table.name.latex)}</figcaption>{body}</figure>"


def formula(latex: str, display: bool = False) -> str:
    """A formula as MathML, its blanks marked."""
    plain = re.sub(r"\\boxed\{(\\text\{[^{}]*\})\}", r"\1", latex)
    made = mathml(plain, display=display, annotated=False)
    ask = re.sub(r"<mtext>([①-⑳]|\[\d+\])</mtext>", r'<mi class="blank" mathvariant="normal">\1</mi>', made)
    return ask.replace("<mtext>▢</mtext>", '<mi mathvariant="normal">▢</mi>')  # mtext would count as a space
