"""Where boxes and edges go: a layered layout (Sugiyama, Tagawa and Toda, 1981), in nearly linear time, without
recursion.

Pure geometry: sizes of boxes and pairs of numbers in, coordinates out; y points down.

1. Every box gets a rank, one more than the highest of what it reads; then it moves towards its readers while that
   shortens edges (parameters come to stand just above the line that reads them).
2. An edge over several ranks passes a slot in each rank between; all edges from one box share their slots (its trunk).
   When that would take too many slots, the longest trunks run in lanes beside the picture instead.
3. Boxes and slots are ordered inside each rank by barycentres, down and up, keeping the order with the fewest
   crossings.
4. The longest path runs straight down, with all else beside it (``straight``).  Blocks of scalars stand where least
   squares put them (``place``): each rank as near to its neighbours as its order allows.

No edge can cross a box: inside a rank it runs straight down in a slot of its own, and between ranks there are no boxes.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import pairwise

from .straight import straighten

Point = tuple[float, float]

ARROW = 8.0  # length of an arrowhead
MARGIN = 16.0
GAP_LOW, GAP_HIGH = 44.0, 110.0  # between ranks: more where edges travel far sideways
NARROW = 24.0  # between ranks, where edges go straight down
BETWEEN, LANE = 26.0, 14.0  # between boxes, between slots or lanes
STIFF = 1e6  # how much more a trunk keeps straight than a box keeps near its neighbours


@dataclass(frozen=True)
class Box:
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Route:
    """An edge: a start and cubic Bezier segments of three points each, up to the arrowhead's foot; then its tip."""

    curve: tuple[Point, ...]
    tip: Point


@dataclass(frozen=True)
class Layout:
    """One box for each size and one route for each edge, all inside width x height."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    routes: tuple[Route, ...]


@dataclass(frozen=True)
class Beside:
    """Room that a box needs around it for what belongs to it: left and right of it, and the height of it all."""

    left: float = 0.0
    right: float = 0.0
    height: float = 0.0


def layered(
    sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]], beside: Sequence[Beside] = ()
) -> Layout:
    """Lay out boxes of the given (width, height), with edges (from, to) between their numbers; ``beside``: the room
    that each needs besides (default: none).

    Boxes are numbered in an order in which edges run forward; one that runs backward is laid out as its reverse and
    drawn the right way round.  The same arguments give the same layout.  Raises ValueError for an edge from a box to
    itself.
    """
    if any(a == b for a, b in edges):
        raise ValueError("layered: an edge from a box to itself cannot be drawn; leave it out")
    forward = [(min(edge), max(edge)) for edge in edges]
    rank = ranks(len(sizes), forward)
    net = Net(sizes, forward, rank, beside)
    order(net)
    straighten(net, [separations(net, row) for row in net.rows])
    return draw(net, edges)


# ---- ranks


def ranks(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Longest path from the top; then everything moves down that makes edges shorter or keeps their total.

    What a box holds back are the boxes it reads, but not those that feed it alone, with all they read: they come along.
    """
    above: list[set[int]] = [set() for _ in range(count)]
    below: list[set[int]] = [set() for _ in range(count)]
    for a, b in edges:
        above[b].add(a)
        below[a].add(b)
    rank, held = [0] * count, [0] * count
    for v in range(count):
        rank[v] = max((rank[u] + 1 for u in above[v]), default=0)
        held[v] = sum(held[u] > 0 or len(below[u]) > 1 for u in above[v])
    for v in reversed(range(count)):
        if below[v] and len(below[v]) >= held[v]:
            rank[v] = min(rank[w] for w in below[v]) - 1
    return rank


class Net:
    """Boxes and slots (together: vertices) in ranks, and the pieces of edges between neighbouring ranks."""

    def __init__(
        self,
        sizes: Sequence[tuple[float, float]],
        edges: Sequence[tuple[int, int]],
        rank: list[int],
        beside: Sequence[Beside] = (),
    ) -> None:
        self.sizes, self.edges, self.beside = sizes, edges, beside
        self.rank = list(rank)
        far = list(rank)  # the rank above the furthest target
        for a, b in edges:
            far[a] = max(far[a], rank[b] - 1)
        self.lanes = lanes(rank, far)
        self.up: list[list[int]] = [[] for _ in sizes]
        self.down: list[list[int]] = [[] for _ in sizes]
        self.trunk: dict[tuple[int, int], int] = {}  # (box, rank) -> the vertex its edges pass there
        for v in range(len(sizes)):
            self.trunk[v, rank[v]] = previous = v
            for r in range(rank[v] + 1, far[v] + 1 if v not in self.lanes else 0):
                self.rank.append(r)
                self.up.append([previous])
                self.down.append([])
                self.down[previous].append(len(self.rank) - 1)
                self.trunk[v, r] = previous = len(self.rank) - 1
        for a, b in edges:
            if a not in self.lanes or rank[b] == rank[a] + 1:
                self.up[b].append(self.trunk[a, rank[b] - 1])
                self.down[self.trunk[a, rank[b] - 1]].append(b)
        self.rows: list[list[int]] = [[] for _ in range(max(rank, default=-1) + 1)]
        self.x = [0.0] * len(self.rank)

    def width(self, v: int) -> float:
        return self.sizes[v][0] if v < len(self.sizes) else 0.0

    def left(self, v: int) -> float:
        """How far vertex ``v`` with all that belongs to it reaches to the left of its x."""
        return self.width(v) / 2 + (self.beside[v].left if v < len(self.beside) else 0.0)

    def right(self, v: int) -> float:
        return self.width(v) / 2 + (self.beside[v].right if v < len(self.beside) else 0.0)

    def height(self, v: int) -> float:
        return max(self.sizes[v][1], self.beside[v].height if v < len(self.beside) else 0.0)


def lanes(rank: list[int], far: list[int]) -> dict[int, int]:
    """The boxes whose trunks are too long for slots, each with the number of its lane; trunks in one lane do not
    overlap.

    There may be about as many slots as four times the boxes.
    """
    budget = 1000 + 4 * len(rank)
    spent = 0
    outside = []
    for v in sorted(range(len(rank)), key=lambda v: (far[v] - rank[v], v)):
        spent += far[v] - rank[v]
        if spent > budget and far[v] > rank[v]:
            outside.append(v)
    free: list[int] = []
    busy: list[tuple[int, int]] = []  # (last rank, lane)
    chosen: dict[int, int] = {}
    for v in sorted(outside, key=lambda v: (rank[v], v)):
        while busy and busy[0][0] < rank[v]:
            heappush(free, heappop(busy)[1])
        chosen[v] = heappop(free) if free else len(busy)
        heappush(busy, (far[v], chosen[v]))
    return chosen


# ---- order inside the ranks


def order(net: Net, sweeps: int = 12) -> None:
    """Order each rank: first as a walk back from the results meets the vertices, then by barycentres."""
    seen = [False] * len(net.rank)
    for sink in range(len(net.sizes)):
        waiting = [sink] if not net.down[sink] else []
        while waiting:
            v = waiting.pop()
            if not seen[v]:
                seen[v] = True
                net.rows[net.rank[v]].append(v)
                waiting.extend(reversed(net.up[v]))
    best, fewest, since = [list(row) for row in net.rows], crossings(net), 0
    for sweep in range(sweeps):
        if not fewest or since == 4:
            break
        falling = sweep % 2 == 0
        for row in net.rows if falling else reversed(net.rows):
            sort_row(net, row, net.up if falling else net.down)
        now = crossings(net)
        since += 1
        if now < fewest:
            best, fewest, since = [list(row) for row in net.rows], now, 0
    net.rows = best


def sort_row(net: Net, row: list[int], neighbours: list[list[int]]) -> None:
    """Sort by the mean position of the neighbours in the next rank; vertices without any keep their places."""
    movable = [v for v in row if neighbours[v]]
    if not movable:
        return
    beside = net.rows[net.rank[neighbours[movable[0]][0]]]
    position = {v: i for i, v in enumerate(beside)}
    centre = {v: sum(position[w] for w in neighbours[v]) / len(neighbours[v]) for v in movable}
    ordered = iter(sorted(movable, key=centre.__getitem__))
    row[:] = [next(ordered) if neighbours[v] else v for v in row]


def crossings(net: Net) -> int:
    """How many pairs of edge pieces cross, over all ranks: the inversions of their lower ends."""
    total = 0
    for upper, lower in pairwise(net.rows):
        position = {v: i for i, v in enumerate(lower)}
        ends: list[int] = []
        for v in upper:
            targets = [position[w] for w in net.down[v]]
            total += sum(len(ends) - bisect_right(ends, t) for t in targets)
            for t in targets:
                insort(ends, t)
    return total


# ---- places


def place(net: Net, sweeps: int = 12) -> None:
    """Give every vertex an x: rank by rank, as near to its neighbours as order and separations allow.

    Sweeps look up or down in turn; the last ones look both ways, and there a trunk goes on straight below where it
    began.
    """
    apart = [separations(net, row) for row in net.rows]
    for row, offsets in zip(net.rows, apart, strict=True):
        settle(row, offsets, [0.0] * len(row), [1.0] * len(row), net.x)
    boxes = len(net.sizes)
    for sweep in range(sweeps):
        final = sweep >= sweeps - 4
        falling = final or sweep % 2 == 0
        for r in range(len(net.rows)) if falling else reversed(range(len(net.rows))):
            wanted, weights = [], []
            for v in net.rows[r]:
                near = net.up[v] if falling else net.down[v]
                if v >= boxes:
                    near = [w for w in near if w >= boxes] or net.up[v] + net.down[v]
                elif final:
                    near = near + net.down[v]
                weights.append((STIFF if final else 8.0) if v >= boxes else len(near) or 0.01)
                wanted.append(sum([net.x[w] for w in near]) / len(near) if near else net.x[v])
            settle(net.rows[r], apart[r], wanted, weights, net.x)


def separations(net: Net, row: list[int]) -> list[float]:
    """How far each vertex must at least stand from the first of its row."""
    boxes = len(net.sizes)
    found, right = [], 0.0
    for i, v in enumerate(row):
        if i:
            slots = (v >= boxes) + (row[i - 1] >= boxes)
            right += net.left(v) + (BETWEEN, (BETWEEN + LANE) / 2, LANE)[slots]
        found.append(right)
        right += net.right(v)
    return found


def settle(row: list[int], offsets: list[float], wanted: list[float], weights: list[float], x: list[float]) -> None:
    """Write to ``x`` the places nearest to ``wanted`` (weighted least squares) that keep order and separations.

    With the separations taken off this is isotonic regression: neighbours that would overlap are pooled at their mean.
    """
    pools: list[tuple[float, float, int]] = []  # (mean, weight, how many)
    for target, weight, offset in zip(wanted, weights, offsets, strict=True):
        mean, count = target - offset, 1
        while pools and pools[-1][0] >= mean:
            before, heavy, many = pools.pop()
            mean = (before * heavy + mean * weight) / (heavy + weight)
            weight, count = heavy + weight, many + count
        pools.append((mean, weight, count))
    i = 0
    for mean, _, count in pools:
        for j in range(i, i + count):
            x[row[j]] = mean + offsets[j]
        i += count


# ---- coordinates


def draw(net: Net, edges: Sequence[tuple[int, int]]) -> Layout:
    """Turn ranks and x into boxes and routes."""
    if not net.sizes:
        return Layout(2 * MARGIN, 2 * MARGIN, (), ())
    shift = MARGIN - min(net.x[v] - net.left(v) for v in range(len(net.x)))
    x = [value + shift for value in net.x]
    right = max(x[v] + net.right(v) for v in range(len(x)))
    beside = {v: right + LANE * (lane + 1.5) for v, lane in net.lanes.items()}

    ends = [0.0] * len(edges)  # where each edge enters its target
    came = [[] for _ in net.sizes]  # type: list[list[tuple[float, int]]]
    for number, (a, b) in enumerate(net.edges):
        lane = a in beside and net.rank[b] > net.rank[a] + 1
        came[b].append((beside[a] if lane else x[net.trunk[a, net.rank[b] - 1]], number))
    for b, arriving in enumerate(came):
        arriving.sort()
        middle, room = (len(arriving) - 1) / 2, len(arriving)
        straight = [i for i, (at, _) in enumerate(arriving) if abs(at - x[b]) < 0.5]
        if len(straight) == 1:  # it goes on straight
            (middle,) = straight
            room = 2 * max(straight[0], len(arriving) - 1 - straight[0]) + 1
        step = min(22.0, 0.8 * net.sizes[b][0] / max(1, room))
        for i, (_, number) in enumerate(arriving):
            ends[number] = x[b] + step * (i - middle)

    travel = [0.0] * len(net.rows)
    for v, targets in enumerate(net.down):
        for w in targets:
            travel[net.rank[w]] = max(travel[net.rank[w]], abs(x[v] - x[w]))
    tops, bottoms, y = [], [], MARGIN
    for r, row in enumerate(net.rows):
        y += min(GAP_HIGH, NARROW + 0.12 * travel[r]) if r else 0.0
        tops.append(y)
        y += max((net.height(v) for v in row if v < len(net.sizes)), default=0.0)
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
