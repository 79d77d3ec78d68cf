"""A graph as an SVG picture: what stands in each box, how large it is, and how boxes and edges look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from .dot import place_by_dot, worthwhile
from .layout import Box, Layout, Point, Route, layered
from .svg import coordinate, document, rect, text, text_width, tooltip
from .text import clean, cut, short
from .zoom import Edge, Node

TITLE, BODY, ROW, PAD = 13.0, 11.0, 16.0, 10.0
KINDS = {
    "input": "input or parameter",
    "constant": "constant",
    "line": "line of the tape",
    "call": "call or layer",
    "output": "output",
}


def size(node: Node) -> tuple[float, float]:
    """The width and height that a node's text needs."""
    head = text_width(f"{short(node.title)}  {node.place}", TITLE)
    body = [text_width(short(words), BODY) + (45.0 if key else 0.0) for key, words in node.rows]
    return max([60.0, head, *body]) + 2 * PAD, 28.0 + ROW * len(body)


def draw(nodes: Sequence[Node], edges: Sequence[Edge], title: str, layout: str = "auto") -> str:
    """The picture of a graph; ``layout`` as in ``ac.graph``."""
    number = {node.id: i for i, node in enumerate(nodes)}
    pairs = [(number[edge.source], number[edge.target]) for edge in edges]
    sizes = [size(node) for node in nodes]
    found = (
        place_by_dot(sizes, pairs) if layout == "dot" or (layout == "auto" and worthwhile(len(nodes), pairs)) else None
    )
    placed = found or layered(sizes, pairs)

    legend, width = _legend(nodes, placed)
    parts = [_edge(edge, route) for edge, route in zip(edges, placed.routes, strict=True)]
    parts += [_box(node, box) for node, box in zip(nodes, placed.boxes, strict=True)]
    parts += _badges(edges, placed)
    return document(width, placed.height + 26, title, [*parts, *legend])


def _edge(edge: Edge, route: Route) -> str:
    (x, y), *rest = route.curve
    path = f"M{coordinate(x)} {coordinate(y)}"
    for i in range(0, len(rest), 3):
        path += "C" + " ".join(f"{coordinate(px)} {coordinate(py)}" for px, py in rest[i : i + 3])
    (fx, fy), (tx, ty) = route.curve[-1], route.tip
    sx, sy = 0.45 * (fy - ty), 0.45 * (tx - fx)
    corners = " ".join(
        f"{coordinate(px)},{coordinate(py)}" for px, py in ((tx, ty), (fx + sx, fy + sy), (fx - sx, fy - sy))
    )
    title = tooltip(f"operand {edge.operand + 1}, of shape {edge.shape}")
    return f'<g>{title}<path class="ac-edge" fill="none" stroke-width="1.4" d="{path}"/><polygon class="ac-tip" points="{corners}"/></g>'


def _box(node: Node, box: Box) -> str:
    look = "output" if node.output else node.kind
    x, y, w, h = box.left, box.top, box.width, box.height
    frame = {"rx": "12" if node.kind == "input" else "3", "stroke_width": "2.5" if node.output else "1.4"}
    if node.kind == "constant":
        frame["stroke_dasharray"] = "4 3"
    body = node.rows
    whole = [f"{node.title}  {node.place}", *(f"{key} {words}".strip() for key, words in body), node.note]
    parts = [tooltip(cut("\n".join(clean(line) for line in whole if line), 2000)), rect(x, y, w, h, look, **frame)]
    if node.kind == "call":  # a second frame: there is more inside
        parts.append(rect(x + 3, y + 3, w - 6, h - 6, look, fill_opacity="0", rx="2"))
    parts.append(text(x + PAD, y + 19, short(node.title), size=TITLE, font_weight="bold"))
    parts.append(text(x + w - PAD, y + 19, node.place, "soft", BODY, "end"))
    for i, (key, words) in enumerate(body):
        line = y + 19 + ROW * (i + 1)
        if key:
            parts.append(text(x + PAD, line, key, "soft", BODY))
        parts.append(text(x + PAD + (45.0 if key else 0.0), line, short(words), "ink", BODY))
    return "<g>" + "".join(parts) + "</g>"


def _badges(edges: Sequence[Edge], layout: Layout) -> list[str]:
    """The number of the operand, counted from 1, on each edge into a node that reads several."""
    reads = Counter(edge.target for edge in edges)  # of more than ten, the formula and the tooltips tell the order
    parts: list[str] = []
    taken: dict[str, list[Point]] = {}
    for edge, route in zip(edges, layout.routes, strict=True):
        if not 2 <= reads[edge.target] <= 10:
            continue
        near = taken.setdefault(edge.target, [])
        points = along(route)
        free = (p for p in points if all(abs(p[0] - q[0]) + abs(p[1] - q[1]) > 15 for q in near))
        x, y = next(free, points[0])
        near.append((x, y))
        parts.append(f'<circle class="ac-page ac-edge" cx="{coordinate(x)}" cy="{coordinate(y)}" r="6.5"/>')
        parts.append(text(x, y + 3.2, str(edge.operand + 1), "soft", 9, "middle"))
    return parts


def along(route: Route) -> list[Point]:
    """Points of an edge's last segment that is not short, from its end backwards."""
    start = 0
    for i in range(len(route.curve) - 4, -1, -3):
        start = i
        if abs(route.curve[i][1] - route.curve[-1][1]) > 20:
            break
    return [bezier(route.curve[start : start + 4], 0.9 - 0.05 * k) for k in range(13)]


def bezier(curve: tuple[Point, ...], t: float) -> Point:
    """The point at ``t`` in 0 .. 1 of a cubic segment."""
    s = 1 - t
    weights = (s * s * s, 3 * s * s * t, 3 * s * t * t, t * t * t)
    x, y = (sum(w * p[axis] for w, p in zip(weights, curve, strict=True)) for axis in (0, 1))
    return x, y


def _legend(nodes: Sequence[Node], layout: Layout) -> tuple[list[str], float]:
    """What the colours mean, for the kinds that are there, below the picture; and the width that it all needs."""
    used = {node.kind for node in nodes if not node.output} | {"output"}
    x, y, parts = 16.0, layout.height + 2, []
    for kind, words in KINDS.items():
        if kind in used:
            dashes = {"stroke_dasharray": "3 2"} if kind == "constant" else {}
            parts.append(rect(x, y, 12, 12, kind, rx="6" if kind == "input" else "2", **dashes))
            parts.append(text(x + 18, y + 10, words, "soft", 10))
            x += text_width(words, 10) + 36
    return parts, max(layout.width, x)
