"""A sheet as a notebook: its parts in cells, one cell to fill in, one that marks it with the key file.

Written as JSON of format 4, without help of another package.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from .key import Answer
from .paper import part_markdown, picture_of, remarks
from .sheet import Blanked, Picture, Prose


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
