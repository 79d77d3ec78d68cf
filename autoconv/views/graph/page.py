"""The page of a graph: its boxes and edges as data, a style sheet and a script in one HTML file that needs no other.

What the script lays out when boxes open is what ``render.layout`` does, once more in JavaScript; the boxes themselves
are drawn here.  A graph without a tree (scalars, folds, the sweep) is its picture, which the page moves and searches.
"""

from __future__ import annotations

from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...render.card import card_columns
from ...render.drawing import box_of, sizes
from ...render.layout import Box
from ...render.node import Node
from ...render.page import html_page, inert
from ...render.svg import style
from ...render.text import clean, cut

if TYPE_CHECKING:
    from .graph import Graph

STATIC = Path(__file__).parent / "static"
LONGEST = 400  # characters of one text that is told of a box


def graph_page(graph: Graph) -> str:
    """The whole page of a graph."""
    made, picture = data(graph), ""
    if graph.tree is None:
        picture = str(graph.svg)
    told = escape(cut(graph.text, 4000))
    body = _static("page.html").replace("TITLE", escape(clean(made["title"]))).replace("PICTURE", picture)
    body += f'<script type="application/json" id="graph">{inert(made)}</script><noscript><pre>{told}</pre></noscript>'
    sheet = style().removeprefix("<style>").removesuffix("</style>")
    return html_page(made["title"], body, css=sheet + _static("page.css"), script=script())


def data(graph: Graph) -> dict[str, Any]:
    """What the script reads: boxes with their markup and what is told of them, and edges by the numbers of boxes."""
    results = [n.title for n in graph.nodes if n.output and n.part == "forward"]
    title = f"{', '.join(results[:3]) or 'a slice'}: graph at zoom {graph.zoom!r}"
    if graph.tree is None:
        return {"title": title, "boxes": [_told(node, "") for node in graph.nodes]}
    boxes = graph.tree.boxes
    nodes = [box.node for box in boxes]
    columns = card_columns([n for n in nodes if n.card and n.kind == "call"])
    made = []
    for box, (width, height) in zip(boxes, sizes(nodes, graph.tree.edges), strict=True):
        node = box.node
        path, around = [], box.parent
        while around >= 0:
            path.append(boxes[around].node.title)
            around = boxes[around].parent
        made.append(
            {
                **_told(node, " > ".join(reversed(path))),
                "parent": box.parent,
                "open": box.open,
                "holds": box.holds,
                "w": round(width, 2),
                "h": round(height, 2),
                "kind": node.kind,
                "weight": node.weight,
                "card": node.card,
                "passes": node.passes,
                "markup": box_of(node, Box(0, 0, width, height), columns),
            }
        )
    number = {node.id: i for i, node in enumerate(nodes)}
    edges = [[number[e.source], number[e.target], e.operand, e.slope] for e in graph.tree.edges]
    return {"title": title, "boxes": made, "tree": edges}


def _told(node: Node, path: str) -> dict[str, Any]:
    rows = [(key or "formula", words) for key, words in node.rows]
    if node.what and node.what != node.formula:
        rows.insert(0, ("does", node.what))
    if node.note:
        rows.append(("with", node.note))
    if node.place:
        rows.append(("line", node.place))
    return {
        "id": node.id,
        "title": clean(cut(node.title, LONGEST)),
        "path": clean(cut(path, LONGEST)),
        "operation": clean(cut(node.operation, LONGEST)),
        "rows": [[key, clean(cut(words, LONGEST))] for key, words in rows],
        "inside": [[clean(cut(words, LONGEST)) for words in row] for row in node.inside],
        "open": False,
        "holds": False,
    }


@cache
def _static(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


@cache
def script() -> str:
    """Layout, tree and page as one script, without the white space and comments that only their readers need."""
    whole = "\n".join(_static(name) for name in ("layout.js", "tree.js", "page.js"))
    lines = (line.strip() for line in whole.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))
