"""What stands on the edges of a picture, near their ends: local derivatives, numbers of operands, names of stubs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from .layout import Point, Route
from .node import Edge, Node
from .scene import Scene
from .svg import coordinate, rect, text, text_width
from .text import clean, cut


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


def _label(x: float, y: float, words: str, edge: Edge, stub: bool) -> str:
    width = text_width(words, 9) + 5
    if len(words) == 1 and not edge.slope:
        return f'<circle class="ac-page ac-edge" cx="{coordinate(x)}" cy="{coordinate(y)}" r="6.5"/>' + text(
            x, y + 3.2, words, "soft", 9, "middle"
        )
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
