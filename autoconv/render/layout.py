"""Where boxes and edges go: a layered layout (Sugiyama, Tagawa and Toda, 1981), in nearly linear time.

Pure geometry: sizes of boxes and pairs of numbers in, coordinates out; y points down.

1. Every box gets a rank, one more than the highest of what it reads; then it moves towards its readers while that
   shortens edges (parameters come to stand just above the line that reads them).
2. An edge over several ranks passes a slot in each rank between; all edges from one box share their slots (its trunk).
   When that would take too many slots, the longest trunks run in lanes beside the picture instead.
3. Boxes and slots are ordered inside each rank by barycentres, down and up, keeping the order with the fewest crossings.
4. Each rank is placed at the least-squares distance from its neighbours that its order allows.

No edge can cross a box: inside a rank it runs straight down in a slot of its own, and between ranks there are no boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from .layers import LANE, Net, order, place, ranks

Point = tuple[float, float]

ARROW = 8.0  # length of an arrowhead
MARGIN = 16.0
GAP_LOW, GAP_HIGH = 44.0, 110.0  # between ranks: more where edges travel far sideways


@dataclass(frozen=True)
class Box:
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Route:
    """An edge: a start and cubic Bezier segments of three points each, up to the foot of the arrowhead; then its tip."""

    curve: tuple[Point, ...]
    tip: Point


@dataclass(frozen=True)
class Layout:
    """One box for each size and one route for each edge, all inside width x height."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    routes: tuple[Route, ...]


def layered(sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]]) -> Layout:
    """Lay out boxes of the given (width, height), with edges (from, to) between their numbers.

    Boxes are numbered in an order in which edges run forward; one that runs backward is laid out as its reverse and drawn
    the right way round.  The same arguments give the same layout.  Raises ValueError for an edge from a box to itself.
    """
    if any(a == b for a, b in edges):
        raise ValueError("layered: an edge from a box to itself cannot be drawn; leave it out")
    forward = [(min(edge), max(edge)) for edge in edges]
    rank = ranks(len(sizes), forward)
    net = Net(sizes, forward, rank)
    order(net)
    place(net)
    return draw(net, edges)


def draw(net: Net, edges: Sequence[tuple[int, int]]) -> Layout:
    """Turn ranks and x into boxes and routes."""
    if not net.sizes:
        return Layout(2 * MARGIN, 2 * MARGIN, (), ())
    shift = MARGIN - min(net.x[v] - net.width(v) / 2 for v in range(len(net.x)))
    x = [value + shift for value in net.x]
    right = max(x[v] + net.width(v) / 2 for v in range(len(x)))
    beside = {v: right + LANE * (lane + 1.5) for v, lane in net.lanes.items()}

    ends = [0.0] * len(edges)  # where each edge enters its target
    came = [[] for _ in net.sizes]  # type: list[list[tuple[float, int]]]
    for number, (a, b) in enumerate(net.edges):
        lane = a in beside and net.rank[b] > net.rank[a] + 1
        came[b].append((beside[a] if lane else x[net.trunk[a, net.rank[b] - 1]], number))
    for b, arriving in enumerate(came):
        step = min(22.0, 0.8 * net.sizes[b][0] / max(1, len(arriving)))
        for i, (_, number) in enumerate(sorted(arriving)):
            ends[number] = x[b] + step * (i - (len(arriving) - 1) / 2)

    travel = [0.0] * len(net.rows)
    for v, targets in enumerate(net.down):
        for w in targets:
            travel[net.rank[w]] = max(travel[net.rank[w]], abs(x[v] - x[w]))
    tops, bottoms, y = [], [], MARGIN
    for r, row in enumerate(net.rows):
        y += min(GAP_HIGH, max(GAP_LOW, 0.2 * travel[r])) if r else 0.0
        tops.append(y)
        y += max((net.sizes[v][1] for v in row if v < len(net.sizes)), default=0.0)
        bottoms.append(y)
    boxes = []
    for v, (width, height) in enumerate(net.sizes):
        middle = (tops[net.rank[v]] + bottoms[net.rank[v]]) / 2
        boxes.append(Box(x[v] - width / 2, middle - height / 2, width, height))

    bends = [_bends(net, x, beside, v) for v in range(len(boxes))]
    routes = []
    for number, (a, b) in enumerate(net.edges):
        final = net.rank[b]
        at = x[a]
        stops: list[Point] = [(at, boxes[a].top + boxes[a].height)]
        for r, after in bends[a]:
            if r < final:
                stops += [(at, bottoms[r - 1]), (after, tops[r] - ARROW)]
                at = after
        stops.append((at, bottoms[final - 1]))
        stops += [(ends[number], tops[final] - ARROW), (ends[number], boxes[b].top)]
        routes.append(route(stops if edges[number] == (a, b) else stops[::-1]))
    width = max([right, *(value for value in beside.values())]) + MARGIN
    return Layout(width, y + MARGIN, tuple(boxes), tuple(routes))


def _bends(net: Net, x: list[float], beside: dict[int, float], v: int) -> list[tuple[int, float]]:
    """(rank, x) wherever the trunk of box ``v`` goes on at another x than before (half a pixel does not count)."""
    at, r = x[v], net.rank[v] + 1
    if v in beside:
        return [(r, beside[v])]
    found = []
    while (v, r) in net.trunk:
        slot = x[net.trunk[v, r]]
        if abs(slot - at) > 0.5:
            found.append((r, slot))
            at = slot
        r += 1
    return found


def route(stops: list[Point]) -> Route:
    """A curve through the stops that leaves and enters each of them vertically."""
    tip = stops[-1]
    down = 1 if tip[1] > stops[0][1] else -1
    stops = [*stops[:-1], (tip[0], tip[1] - down * ARROW)]
    curve = [stops[0]]
    for (x0, y0), (x1, y1) in pairwise(stops):
        if (x0, y0) != (x1, y1):
            middle = (y0 + y1) / 2
            curve += [(x0, middle), (x1, middle), (x1, y1)]
    return Route(tuple(curve), tip)
