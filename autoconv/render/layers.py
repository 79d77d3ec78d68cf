"""The ranks of a layered layout, the order inside each rank, and the distances along it; without recursion.

Works on numbers alone.  ``layout`` says what the steps are for and turns their result into boxes and curves.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import pairwise

BETWEEN, LANE = 26.0, 14.0  # between boxes, between slots or lanes
STIFF = 1e6  # how much more a trunk keeps straight than a box keeps near its neighbours


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

    def __init__(self, sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]], rank: list[int]) -> None:
        self.sizes, self.edges = sizes, edges
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


def lanes(rank: list[int], far: list[int]) -> dict[int, int]:
    """The boxes whose trunks are too long for slots, each with the number of its lane; trunks in one lane do not overlap.

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

    Sweeps look up or down in turn; the last ones look both ways, and there a trunk goes on straight below where it began.
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
            right += net.width(v) / 2 + (BETWEEN, (BETWEEN + LANE) / 2, LANE)[slots]
        found.append(right)
        right += net.width(v) / 2
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
