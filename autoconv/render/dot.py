"""The DOT language, and the ``dot`` program (Graphviz) where it is installed: its layout and its file formats.

Nothing here is needed for SVG: without the program our own layout is used.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from typing import Any

from .layout import ARROW, MARGIN, Box, Layout, Point, Route
from .node import Edge, Node
from .program import ProgramError, run
from .svg import COLOURS
from .text import clean, short

PATIENCE = 120.0  # seconds
MOST_OUTPUT = 2**28  # bytes
_SHAPE = {
    "input": 'style="rounded,filled"',
    "constant": 'style="dashed,filled"',
    "line": 'style="filled"',
    "call": 'style="filled", peripheries=2',
    "scalar": 'style="filled"',
}


def available() -> bool:
    """Whether the ``dot`` program can be run: it and the Python package graphviz are there."""
    return dot_program() is not None


def dot_program() -> str | None:
    """The ``dot`` program, which the package graphviz names; it is called by us, because that has no limit of time."""
    try:
        from graphviz import DOT_BINARY
    except ImportError:
        return None
    return shutil.which(DOT_BINARY)


def source(nodes: Sequence[Node], edges: Sequence[Edge]) -> str:
    """The graph in the DOT language, with the same texts and colours as the SVG picture."""
    colour = {(name, what): light for name, what, light, _ in COLOURS}
    several = {edge.target for edge in edges if edge.operand > 0}
    out = [
        "digraph {",
        "  graph [dpi=144, ranksep=0.6]",
        '  node [shape=box, fontname="DejaVu Sans Mono", fontsize=10]',
        f'  edge [fontname="DejaVu Sans Mono", fontsize=9, fontcolor="{colour["soft", "fill"]}", '
        f'color="{colour["edge", "stroke"]}", arrowsize=0.7, '
        "labeldistance=2, labelangle=16]",
    ]
    for node in nodes:
        look = "output" if node.output else node.kind
        words = [
            f"{short(node.title)}  {node.place}",
            *(f"{key:<6}{' ' if len(key) > 5 else ''}{short(text)}".strip() for key, text in node.rows),
        ]
        colours = f'fillcolor="{colour[look, "fill"]}", color="{colour[look, "stroke"]}"'
        out.append(
            f"  {node.id} [label={quoted(words)}, {_SHAPE[node.kind]}, "
            f"{colours}{', penwidth=2.5' if node.output else ''}]"
        )
    for edge in edges:
        head = edge.slope or (str(edge.operand + 1) if edge.target in several else "")
        marks = [f'headlabel="{head}"'] * bool(head) + [f'color="{edge.colour}"'] * bool(edge.colour)
        label = f" [{', '.join(marks)}]" if marks else ""
        out.append(f"  {edge.source} -> {edge.target}{label}")
    return "\n".join([*out, "}\n"])


def quoted(lines: Sequence[str]) -> str:
    """A DOT string of left-aligned lines; quotes, backslashes and entities mean themselves."""
    escaped = [clean(line).replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;") for line in lines]
    return '"' + "".join(f"{line}\\l" for line in escaped) + '"'


def render(text: str, format: str, seconds: float = PATIENCE) -> bytes:
    """DOT text as an image by the ``dot`` program; RuntimeError if that is missing, fails or is too slow."""
    program = dot_program()
    if program is None:
        raise RuntimeError(
            f"graph: .{format} needs the dot program of Graphviz on the PATH (as in apt install graphviz) and the "
            "Python package graphviz; install them, or save as .svg, which needs nothing"
        )
    try:
        return run([program, f"-T{format}"], text.encode(), seconds, MOST_OUTPUT)
    except ProgramError as error:
        raise RuntimeError(f"graph: the dot program could not make .{format}: {error}; .svg does not need it") from None


def place_by_dot(
    sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]], seconds: float = PATIENCE
) -> Layout:
    """dot's layout of boxes of the given sizes; RuntimeError if there is no program, it fails or is too slow."""
    boxes = [f"  {v} [width={w / 72:.4f}, height={h / 72:.4f}]" for v, (w, h) in enumerate(sizes)]
    lines = [f'  {a} -> {b} [id="{number}"]' for number, (a, b) in enumerate(edges)]
    head = [
        "digraph {",
        "  graph [nodesep=0.35, ranksep=0.55, pad=0]",
        '  node [shape=box, fixedsize=true, label=""]',
        f"  edge [arrowsize={ARROW / 10}]",
    ]
    answer = render("\n".join([*head, *boxes, *lines, "}"]), "json0", seconds)
    try:
        return _read(json.loads(answer), sizes, len(edges))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise RuntimeError(f"graph: what the dot program answered cannot be read: {error!r}") from None


def _read(found: dict[str, Any], sizes: Sequence[tuple[float, float]], count: int) -> Layout:
    """dot's JSON, in points with y up, as a Layout with y down."""
    _, _, width, height = map(float, found["bb"].split(","))

    def point(text: str) -> Point:
        x, y = text.split(",")
        return MARGIN + float(x), MARGIN + height - float(y)

    boxes = {}
    for item in found.get("objects", []):
        v = int(item["name"])
        x, y = point(item["pos"])
        boxes[v] = Box(x - sizes[v][0] / 2, y - sizes[v][1] / 2, *sizes[v])
    routes = {}
    for item in found.get("edges", []):
        end, *curve = item["pos"].split()
        routes[int(item["id"])] = Route(tuple(map(point, curve)), point(end.removeprefix("e,")))
    return Layout(
        width + 2 * MARGIN,
        height + 2 * MARGIN,
        tuple(boxes[v] for v in range(len(sizes))),
        tuple(routes[number] for number in range(count)),
    )
