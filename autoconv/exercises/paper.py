"""A sheet as Markdown, and as a notebook: its parts in cells, one cell to fill in, one that marks it with the key."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..render.latex import Expression
from ..render.text import clean
from .marking import Answer
from .picture import svg
from .sheet import Blanked, Cell, Equation, Grid, Listed, Part, Picture, Prose


def markdown(blanked: Blanked, answers: list[Answer], picture: str | None = None) -> str:
    """The whole sheet, with a place for each answer; ``picture``: where the graph was saved as SVG."""
    rows = [f"# {blanked.sheet.title}", *remarks(blanked)]
    rows += [part_markdown(part, blanked, picture) for part in blanked.parts]
    rows.append("## Answers")
    rows.append("Write each answer after its colon: a number, a fraction as 3/2, or arithmetic as 2*(9 - 1).")
    rows.append("\n".join(f"- {a.number} ({_plain(a.says)}):" for a in answers))
    return "\n\n".join(rows) + "\n"


def remarks(blanked: Blanked) -> list[str]:
    """What is said at the top: the task, how exact the numbers are, what a cover means."""
    exact = (
        "All numbers are exact." if blanked.sheet.exact else "Numbers are rounded to 4 digits; so may your answers be."
    )
    cover = ["▢ covers a number that would give an answer away; it is not asked for."] if blanked.covers else []
    return [blanked.sheet.task, " ".join([exact, *blanked.sheet.notes, *cover])]


def part_markdown(part: Part, blanked: Blanked, picture: str | None = None) -> str:
    """One part of the sheet."""
    if isinstance(part, Prose):
        return {"heading": "## {}", "code": "```text\n{}\n```"}.get(part.kind, "{}").format(part.text.replace("`", "'"))
    if isinstance(part, Equation):
        latex = equation_latex(part, blanked)
        return f"$$\n{latex}\n$$" if part.left.latex else f"{lead(part)} ${latex}$"
    if isinstance(part, Listed):
        return "\n".join(f"- ${name.latex} = {blanked.written(cell).latex}$" for name, cell in part.rows)
    if isinstance(part, Grid):
        return "\n\n".join(_table(part, table, blanked) for table in tables(part))
    drawing = [f"![The graph with its blanks]({picture})"] if picture else []
    return "\n\n".join([*drawing, _nodes(part, blanked)])


def equation_latex(part: Equation, blanked: Blanked) -> str:
    r"""left = symbols = numbers = result, as aligned lines, or one line for a sentence."""
    rows = [written(row, blanked).latex for row in part.rows]
    if not part.left.latex:
        return rows[0]
    lines = [f"{part.left.latex} &= {rows[0]}", *[f"&= {row}" for row in rows[1:]]]
    return r"\begin{aligned} " + r" \\ ".join(lines) + r" \end{aligned}"


def lead(part: Equation) -> str:
    """The word before what a symbol means."""
    sentence = part.rows[0][0]
    return "where" if isinstance(sentence, Expression) and " is the " in sentence.text else "with"


def written(row: list[Expression | Cell], blanked: Blanked) -> Expression:
    """A row of formulas and numbers."""
    pieces = [blanked.written(piece) if isinstance(piece, Cell) else piece for piece in row]
    return Expression("".join(x.latex for x in pieces), "".join(x.text for x in pieces))


class Table(NamedTuple):
    """An array as rows and columns of cells; ``counted``: the number of each, where they are counted from 1."""

    name: Expression
    cells: np.ndarray
    counted: np.ndarray | None


def tables(grid: Grid) -> Iterator[Table]:
    """The two longest axes of an array as rows and columns, for every index of the others."""
    cells = grid.cells_
    counted = np.arange(1, cells.size + 1).reshape(cells.shape) if grid.flat else None
    if cells.ndim <= 2:
        row = (1, -1) if cells.ndim < 2 else cells.shape
        yield Table(grid.name, cells.reshape(row), None if counted is None else counted.reshape(row))
        return
    axes = sorted(sorted(range(cells.ndim), key=lambda axis: -cells.shape[axis])[:2])
    rest = [axis for axis in range(cells.ndim) if axis not in axes]
    moved = cells.transpose(*rest, *axes)
    numbers = None if counted is None else counted.transpose(*rest, *axes)
    for index in np.ndindex(*moved.shape[:-2]):
        places = [":"] * cells.ndim
        for axis, k in zip(rest, index, strict=True):
            places[axis] = str(k)
        where = ",".join(places)
        name = Expression(rf"{grid.name.latex.strip()}[{where}]", f"{grid.name.text}[{where}]")
        yield Table(name, moved[index], None if numbers is None else numbers[index])


def _table(grid: Grid, table: Table, blanked: Blanked) -> str:
    """A table whose rows and columns are counted from 0; or in which each element has its number before it."""
    columns = range(table.cells.shape[1])
    if table.counted is not None:
        head = "| " + " | ".join(" " for _ in columns) + " |"
        show = lambda n, cell: f"<sub>{n}</sub> {blanked.written(cell).text}"
        rows = [
            f"| {' | '.join(show(n, cell) for n, cell in zip(numbers, row, strict=True))} |"
            for numbers, row in zip(table.counted, table.cells, strict=True)
        ]
        caption = f"${table.name.latex}$ (small: the number of each element):"
        return "\n".join([caption, "", head, "|" + " ---: |" * len(columns), *rows])
    head = "| " + " | ".join(["", *[f"**{c}**" for c in columns]]) + " |"
    rows = [
        f"| **{r}** | " + " | ".join(blanked.written(cell).text for cell in row) + " |"
        for r, row in enumerate(table.cells)
    ]
    if grid.cells_.ndim < 2:
        rows = ["| | " + " | ".join(blanked.written(cell).text for cell in table.cells[0]) + " |"]
    return "\n".join([f"${table.name.latex}$:", "", head, "|" + " --- |" * (len(columns) + 1), *rows])


def _nodes(part: Picture, blanked: Blanked) -> str:
    """The graph in words: every box with its numbers, and its edges with the local derivatives."""
    titles = {node.id: node.title for node in part.nodes}
    leads: dict[str, list[str]] = {}
    for n, edge in enumerate(part.edges):
        cell = part.slopes.get(n)
        if cell:
            leads.setdefault(edge.source, []).append(f"{_plain(titles[edge.target])} ({blanked.written(cell).text})")
    rows = ["| box | formula | value | gradient | read by (local derivative) |", "|" + " --- |" * 5]
    for node in part.nodes:
        value, gradient = [blanked.written(cell).text if cell else "" for cell in part.numbers[node.id]]
        read = ", ".join(leads.get(node.id, ()))
        rows.append(f"| {_plain(node.title)} | {_plain(node.formula)} | {value} | {gradient} | {read} |")
    return "\n".join(rows)


def picture_of(blanked: Blanked) -> str | None:
    """The sheet's graph as SVG, if it has one."""
    pictures = [part for part in blanked.parts if isinstance(part, Picture)]
    return svg(pictures[0], blanked) if pictures else None


def _plain(words: str) -> str:
    """Text in a Markdown table: nothing in it is markup."""
    return "".join(f"&#{ord(c)};" if c in "|<>&`*_[]\\$~#" else c for c in clean(words))


# ---- a notebook, written as JSON of format 4 without help of another package


def notebook(blanked: Blanked, answers: list[Answer], key: str) -> dict[str, Any]:
    """The notebook as a dict for ``json.dump``; ``key`` is the name of the key file beside it."""
    texts = ["\n\n".join([f"# {blanked.sheet.title}", *remarks(blanked)])]
    heading: list[str] = []
    for part in blanked.parts:
        if isinstance(part, Prose) and part.kind == "heading":
            heading = [part_markdown(part, blanked)]
            continue
        picture = None
        if isinstance(part, Picture):
            drawn = b64encode((picture_of(blanked) or "").encode()).decode()
            picture = f"data:image/svg+xml;base64,{drawn}"
        texts.append("\n\n".join([*heading, part_markdown(part, blanked, picture)]))
        heading = []
    how = 'A number, a fraction as "3/2", or arithmetic as "2*(9 - 1)"; None is not answered yet.'
    texts.append(f"## Your answers\n\n{how}")
    rows = [f"    {a.number}: None,  # {a.says}" for a in answers]
    fill = "\n".join(["answers = {", *rows, "}"])
    marks = f"import autoconv as ac\n\nac.check(answers, of=ac.exercise_key({key!r}))"
    cells: list[dict[str, Any]] = [_cell("markdown", n, text) for n, text in enumerate(texts)]
    for source in (fill, marks):
        cells.append(_cell("code", len(cells), source, execution_count=None, outputs=[]))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _cell(kind: str, number: int, source: str, **more: Any) -> dict[str, Any]:
    return {"cell_type": kind, "id": f"exercise-{number}", "metadata": {}, "source": source.splitlines(True), **more}
