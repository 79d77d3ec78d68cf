"""A graph as an SVG picture: how large its boxes are, and how boxes, edges, frames and ties look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from .card import card_columns, card_size, card_text
from .layout import Box, Point, Route
from .node import Edge, Node
from .picture import document
from .scene import Frame, Scene, Tie, arrange
from .svg import coordinate, rect, text, text_width, tooltip
from .text import clean, cut, short

TITLE, BODY, ROW, PAD, KEY = 13.0, 11.0, 16.0, 10.0, 48.0
SMALL, SMALL_ROW, SMALL_PAD, SMALL_KEY = 11.0, 14.0, 7.0, 12.0  # scalars are many, so their boxes are small
SWATCH = 9.0
KINDS = {
    "input": "input or parameter",
    "constant": "constant",
    "line": "line of the tape",
    "call": "call or layer",
    "scalar": "scalar operation",
    "output": "output",
}


def head(node: Node) -> str:
    """The words on the first line of a box."""
    if not node.small:
        return short(node.title) if node.card else f"{short(node.title)}  {node.place}"
    return f"{short(node.title)}{f'  ×{node.count:,}' if node.count > 1 else ''}"


def body(node: Node) -> list[tuple[str, str]]:
    """(key, words) below the first line."""
    if not node.small:
        return node.rows
    sums = f"  Σ{node.paths}" if node.paths > 1 and node.gradient else ""
    rows = [("", node.formula), ("=", node.value), ("∂", f"{node.gradient}{sums}" if node.gradient else "")]
    return [(key, words) for key, words in rows if words]


def size(node: Node) -> tuple[float, float]:
    """The width and height that a node's text needs."""
    if node.card:
        return card_size([node])
    if node.small:
        widths = [text_width(short(words), SMALL - 1) + SMALL_KEY * bool(key) for key, words in body(node)]
        return max([52.0, text_width(head(node), SMALL), *widths]) + 2 * SMALL_PAD, 21.0 + SMALL_ROW * len(body(node))
    widths = [text_width(short(words), BODY) + KEY * bool(key) for key, words in body(node)]
    strip = SWATCH + 4 if node.colours else 0.0
    needed = max([60.0, text_width(head(node), TITLE), (SWATCH + 1) * len(node.colours), *widths])
    return needed + 2 * PAD, 28.0 + ROW * len(body(node)) + strip


def sizes(nodes: Sequence[Node], edges: Sequence[Edge]) -> list[tuple[float, float]]:
    """The sizes of all boxes: small ones at least as wide as what stands on the few edges into them."""
    by_id = {node.id: node for node in nodes}
    into: dict[str, list[float]] = {}
    for edge in edges:
        into.setdefault(edge.target, []).append(text_width(slope(edge, by_id[edge.target]), 9) + 9)
    found = []
    cards = [node for node in nodes if node.card and node.kind == "call"]
    widest = card_size(cards)[0] if cards else 0.0
    for node in nodes:
        width, height = size(node)
        width = max(width, widest) if node.card and node.kind == "call" else width
        labels = into.get(node.id, ())
        if node.small and 2 <= len(labels) <= 4:
            width = max(width, len(labels) * max(labels) / 0.86)
        found.append((width, height))
    return found


def draw(nodes: Sequence[Node], edges: Sequence[Edge], title: str, layout: str = "auto") -> str:
    """The picture of a graph; ``layout`` as in ``ac.graph``."""
    scene = arrange(nodes, edges, sizes(nodes, edges), layout)
    placed = scene.layout
    legend, width, height = _legend(nodes, scene)
    parts = [_frame(frame) for frame in scene.frames]
    parts += [_tie(tie) for tie in scene.ties]
    parts += [
        _edge(edge, route)
        for number, (edge, route) in enumerate(zip(edges, placed.routes, strict=True))
        if number not in scene.stubs and number not in scene.joined
    ]
    parts += [_caption(frame) for frame in scene.frames]
    columns = card_columns([node for node in nodes if node.card and node.kind == "call"])
    parts += [box_of(node, box, columns) for node, box in zip(nodes, placed.boxes, strict=True)]
    parts += labels(nodes, edges, scene)
    parts += [text(x, 22, words, "soft", TITLE, font_weight="bold") for x, words in scene.headings]
    return document(width, height, title, [*parts, *legend])


# ---- boxes


def box_of(node: Node, box: Box, columns: Sequence[float] = ()) -> str:
    """A box with its texts; ``columns`` as ``card_columns`` gives them."""
    look = "output" if node.output else node.kind
    frame = {"rx": "12" if node.kind == "input" and not node.small else "3", "stroke_width": "1.4"}
    if node.output:
        frame["stroke_width"] = "2.5"
    if node.kind == "constant":
        frame["stroke_dasharray"] = "4 3"
    if node.small and node.colours:
        frame |= {"style": f"stroke:{node.colours[0]}", "stroke_width": "2.5"}
    x, y, w, h = box.left, box.top, box.width, box.height
    whole = [f"{node.title}  {node.place}", *(f"{key} {words}".strip() for key, words in body(node)), node.note]
    parts = [tooltip(cut("\n".join(clean(line) for line in whole if line), 2000)), rect(x, y, w, h, look, **frame)]
    if node.kind == "call" and not node.card:  # a second frame: there is more inside
        parts.append(rect(x + 3, y + 3, w - 6, h - 6, look, fill_opacity="0", rx="2"))
    if node.small:
        parts += _small_text(node, box)
    elif node.card:
        parts += card_text(node, box, columns if node.kind == "call" else card_columns([node]))
    else:
        parts += _text(node, box)
    lines = " ".join(map(str, node.lines))
    return f'<g data-node="{node.id}" data-lines="{lines}">{"".join(parts)}</g>'


def _text(node: Node, box: Box) -> list[str]:
    x, y, w = box.left, box.top, box.width
    parts = [text(x + PAD, y + 19, short(node.title), size=TITLE, font_weight="bold")]
    parts.append(text(x + w - PAD, y + 19, node.place, "soft", BODY, "end"))
    for i, (key, words) in enumerate(body(node)):
        line = y + 19 + ROW * (i + 1)
        if key:
            parts.append(text(x + PAD, line, key, "soft", BODY))
        parts.append(text(x + PAD + KEY * bool(key), line, short(words), "ink", BODY))
    below = y + box.height - SWATCH - 6
    for i, shade in enumerate(node.colours):  # the colours of its elements, as at the scalar zoom
        parts.append(rect(x + PAD + i * (SWATCH + 1), below, SWATCH, SWATCH, "page", style=f"fill:{shade}", rx="2"))
    return parts


def _small_text(node: Node, box: Box) -> list[str]:
    x, y = box.left + SMALL_PAD, box.top + 14
    parts = [text(x, y, head(node), size=SMALL, font_weight="bold")]
    for i, (key, words) in enumerate(body(node)):
        line = y + SMALL_ROW * (i + 1)
        if key:
            parts.append(text(x, line, key, "soft", SMALL - 1))
        look = "grad" if key == "∂" else "ink" if key else "soft"
        parts.append(text(x + SMALL_KEY * bool(key), line, short(words), look, SMALL - 1))
    return parts


# ---- edges, frames, ties


def _path(curve: Sequence[Point]) -> str:
    (x, y), *rest = curve
    path = f"M{coordinate(x)} {coordinate(y)}"
    for i in range(0, len(rest), 3):
        path += "C" + " ".join(f"{coordinate(px)} {coordinate(py)}" for px, py in rest[i : i + 3])
    return path


def _edge(edge: Edge, route: Route) -> str:
    (fx, fy), (tx, ty) = route.curve[-1], route.tip
    sx, sy = 0.45 * (fy - ty), 0.45 * (tx - fx)
    corners = " ".join(
        f"{coordinate(px)},{coordinate(py)}" for px, py in ((tx, ty), (fx + sx, fy + sy), (fx - sx, fy - sy))
    )
    words = f"operand {edge.operand + 1}" + (f", of shape {edge.shape}" if edge.shape else "")
    words += f", local derivative {edge.slope}" if edge.slope else ""
    stroke, fill = (f' style="{what}:{edge.colour}"' if edge.colour else "" for what in ("stroke", "fill"))
    weight = "2" if edge.colour else "1.4"
    return (
        f'<g data-edge="{edge.source} {edge.target}">{tooltip(words)}<path class="ac-edge"{stroke} fill="none" '
        f'stroke-width="{weight}" d="{_path(route.curve)}"/><polygon class="ac-tip"{fill} points="{corners}"/></g>'
    )


def _frame(frame: Frame) -> str:
    box = frame.box
    return rect(box.left, box.top, box.width, box.height, "frame", rx="8")


def _caption(frame: Frame) -> str:
    box = frame.box
    y = box.top + box.height - 6 if frame.below else box.top + 13
    room = max(4, int((box.width - 12) / 6.1))
    words = cut(clean(frame.caption), room)
    back = rect(box.left + 4, y - 10.5, text_width(words, 10) + 8, 14, "frame", rx="3", style="stroke:none")
    return back + text(box.left + 8, y, words, "soft", 10)  # on a ground of its own: edges run behind it


def _tie(tie: Tie) -> str:
    path = " ".join(f"{coordinate(x)},{coordinate(y)}" for x, y in tie.points)
    return (
        f'<g>{tooltip("serves")}<polyline class="ac-tie" fill="none" stroke-width="1.3" stroke-dasharray="2 3" '
        f'stroke-linejoin="round" points="{path}"/></g>'
    )


def _legend(nodes: Sequence[Node], scene: Scene) -> tuple[list[str], float, float]:
    """What the colours mean, for the kinds that are there, below the picture; and the width and height of it all."""
    used = {node.kind for node in nodes if not node.output} | {"output"}
    entries = [(kind, words) for kind, words in KINDS.items() if kind in used]
    if any(node.small for node in nodes):
        entries += [("", "= value"), ("", "∂ gradient (Σ of how many paths)"), ("", "on edges: local derivative")]
    if scene.ties:
        entries.append(("", "···· to the backward lines that serve it"))
    headings = [start + text_width(words, TITLE) + 16 for start, words in scene.headings]
    width = max([scene.layout.width, 330.0, *headings])
    x, y, parts = 16.0, scene.layout.height + 2, []
    for kind, words in entries:
        needed = text_width(words, 10) + 18 * bool(kind)
        if x > 16 and x + needed > width:
            x, y = 16.0, y + 18
        if kind:
            dashes = {"stroke_dasharray": "3 2"} if kind == "constant" else {}
            parts.append(rect(x, y, 12, 12, kind, rx="6" if kind == "input" else "2", **dashes))
        parts.append(text(x + 18 * bool(kind), y + 10, words, "soft", 10))
        x += needed + 18
    return parts, width, y + 24


def slope(edge: Edge, target: Node) -> str:
    """What stands on an edge: the local derivative, and how many edges it is if that is not as many as its target."""
    times = f"×{edge.count:,}" if edge.count > 1 and edge.count != target.count else ""
    return " ".join(part for part in (edge.slope, times) if part)


def labels(nodes: Sequence[Node], edges: Sequence[Edge], scene: Scene) -> list[str]:
    """What stands on the edges near their ends: the local derivative, else which operand it is; the names of stubs."""
    reads = Counter(edge.target for edge in edges)  # of more than ten, the formula and the tooltips tell the order
    by_id = {node.id: node for node in nodes}
    gridded = bool(scene.frames or scene.stubs)
    into: dict[str, list[int]] = {}
    for number, edge in enumerate(edges):
        into.setdefault(edge.target, []).append(number)
    crowded = _crowded(edges, scene, into)
    parts: list[str] = []
    taken: dict[str, list[Point]] = {}
    named: set[tuple[str, str]] = set()
    for number, (edge, route) in enumerate(zip(edges, scene.layout.routes, strict=True)):
        target = by_id[edge.target]
        if number in scene.stubs:
            words = cut(clean(by_id[edge.source].title if target.small else by_id[edge.source].place), 14)
        elif slope(edge, target):
            words = slope(edge, target)
        elif 2 <= reads[edge.target] <= 10 and not target.small:
            words = str(edge.operand + 1)
        else:
            continue
        if number in crowded or (number in scene.stubs and (edge.target, words) in named):
            continue
        named.add((edge.target, words))
        if crowded & set(into[edge.target]):
            words = f"each {words}"
        if number in scene.joined:
            continue
        if len(words) == 1 and not edge.slope and number not in scene.stubs:
            parts.append(_order(route, words, into[edge.target], scene))
            continue
        near = taken.setdefault(edge.target, [])
        points = along(route) if not gridded or len(route.curve) > 1 else [_stub(route)]
        if target.small and gridded:
            points = [_stub(route)]
        free = (p for p in points if all(abs(p[0] - q[0]) + abs(p[1] - q[1]) > 15 for q in near))
        x, y = next(free, points[0])
        near.append((x, y))
        parts.append(_label(x, y, words, edge, number in scene.stubs))
    return parts


def _crowded(edges: Sequence[Edge], scene: Scene, into: dict[str, list[int]]) -> set[int]:
    """The edges whose labels would cover each other: those of one box that all say the same keep one label."""
    found: set[int] = set()
    for numbers in into.values():
        tips = sorted(scene.layout.routes[e].tip[0] for e in numbers)
        needed = max(text_width(edges[e].slope, 9) + 6 for e in numbers)
        if not all(edges[e].slope for e in numbers):
            continue
        same = len({edges[e].slope for e in numbers}) == 1
        if len(numbers) > 1 and (min(b - a for a, b in pairwise(tips)) < needed or (same and len(numbers) > 2)):
            kept = numbers[len(numbers) // 2] if same else -1
            found.update(e for e in numbers if e != kept and (same or len(numbers) > 10))
    return found


def _stub(route: Route) -> Point:
    """Just before the end of an edge that enters its box straight."""
    down = 1 if route.tip[1] > route.curve[-1][1] else -1
    return route.tip[0], route.tip[1] - 11 * down


def _order(route: Route, words: str, numbers: Sequence[int], scene: Scene) -> str:
    """Which operand it is, beside the arrowhead: outside of the edges into its box."""
    (x, y), (fx, fy) = route.tip, route.curve[-1]
    halo = {"paint_order": "stroke", "stroke_width": "3", "stroke_linejoin": "round"}
    if abs(fy - y) < abs(fx - x):  # from the side
        return text(x - 12, y - 5, words, "soft ac-back", 9, "middle", **halo)
    first = x <= min(scene.layout.routes[e].tip[0] for e in numbers if scene.layout.routes[e].tip[1] == y)
    down = 1 if y > fy else -1
    return text(
        x + (-9 if first else 9), y - 4 * down + (0 if down > 0 else 6), words, "soft ac-back", 9, "middle", **halo
    )


def _label(x: float, y: float, words: str, edge: Edge, stub: bool) -> str:
    width = text_width(words, 9) + 5
    back = rect(x - width / 2, y - 6.5, width, 13, "constant" if stub else "page", rx="3", stroke="none")
    return back + text(x, y + 3.2, words, "soft", 9, "middle")


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
