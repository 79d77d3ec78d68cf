"""A layout for blocks of boxes: the elements of one tensor stand on their grid, and the blocks in ranks.

Pure geometry like ``layout``, whose boxes and routes it returns.  A block is what one line of a tape became; its boxes
have row and column keys, and rows or columns that nothing uses take no room.  Blocks get ranks, order and distances as
``layout`` gives them.  Inside a block every column has a channel on its left, with a lane for each source whose edge
passes the rows there; between blocks, edges run in the gap between two ranks or in the slots of ranks they pass.  So
no edge crosses a box.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, prod, sqrt
from typing import Any

from .layout import (
    ARROW,
    GAP_HIGH,
    GAP_LOW,
    MARGIN,
    Box,
    Layout,
    Net,
    Point,
    Route,
    order,
    place,
    ranks,
    route,
    separations,
)
from .straight import straighten

Edge = tuple[int, int]

LONGEST_ROW = 16  # elements of a vector in one row
LABEL = 18.0  # above each row of boxes, for what stands on the edges there
BEND = 24.0  # between the rows of a block, for curves
COLUMN, PANEL, LANE = 16.0, 34.0, 5.0
PAD = 14.0  # between a block's frame and its boxes
HEAD = 18.0  # the caption of a frame


@dataclass(frozen=True)
class Place:
    """Where a box stands: its block, and keys that order rows and columns; keys that differ in the first part stand
    further apart.
    """

    block: int
    row: tuple[int, ...] = (0,)
    column: tuple[int, ...] = (0,)


@dataclass
class _Block:
    """One block: the extent of its rows and columns, relative to its corner, and the lanes of its channels."""

    boxes: list[int] = field(default_factory=list)
    tops: list[float] = field(default_factory=list)
    bottoms: list[float] = field(default_factory=list)
    lefts: list[float] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0
    lanes: dict[tuple[int, int, bool], float] = field(default_factory=dict)  # (channel, source, leaving) -> x


class _Slots(Net):
    """The ranks of blocks, where what passes a rank takes as much room as it has lanes."""

    room: dict[int, float]

    def width(self, v: int) -> float:
        return self.sizes[v][0] if v < len(self.sizes) else self.room.get(v, 0.0)


class GridLayout:
    """Boxes of given ``sizes`` at their ``places``, with edges (from, to) between them.

    Blocks are numbered in an order in which edges run forward, boxes of one block by rows.  An edge from -1 comes from
    outside the picture: it gets a short stub at its target.  ``rank`` fixes the ranks of the blocks.  Equal arguments
    give equal layouts.
    """

    def __init__(
        self,
        sizes: Sequence[tuple[float, float]],
        places: Sequence[Place],
        edges: Sequence[Edge],
        rank: Sequence[int] | None = None,
        framed: bool = True,
    ) -> None:
        self.sizes, self.places, self.edges = sizes, places, edges
        self.framed = framed
        self.pad, self.head = (PAD, HEAD) if framed else (0.0, 0.0)
        self.blocks = [_Block() for _ in range(max((p.block for p in places), default=-1) + 1)]
        for v, p in enumerate(places):
            self.blocks[p.block].boxes.append(v)
        self.row, self.column = [0] * len(places), [0] * len(places)
        keys = [self._keys(block) for block in self.blocks]
        self.ports = self._ports()
        channels = self._channels()
        for number, block in enumerate(self.blocks):
            self._measure(block, keys[number], channels[number])
        self._rank(rank)

    # ---- inside the blocks

    def _keys(self, block: _Block) -> tuple[list[Any], list[Any]]:
        rows = sorted({self.places[v].row for v in block.boxes})
        columns = sorted({self.places[v].column for v in block.boxes})
        row, column = ({key: i for i, key in enumerate(found)} for found in (rows, columns))
        for v in block.boxes:
            self.row[v], self.column[v] = row[self.places[v].row], column[self.places[v].column]
        block.bottoms = [0.0] * len(rows)
        block.lefts = [0.0] * len(columns)
        return rows, columns

    def _ports(self) -> list[float]:
        """For each edge, how far from the middle of its target it enters: in the order of the edges."""
        reads = [0] * len(self.sizes)
        for _, b in self.edges:
            reads[b] += 1
        seen = [0] * len(self.sizes)
        found = []
        for _, b in self.edges:
            step = min(self.sizes[b][0] * 0.45, 0.86 * self.sizes[b][0] / reads[b])
            found.append(step * (seen[b] - (reads[b] - 1) / 2))
            seen[b] += 1
        return found

    def _channels(self) -> list[dict[tuple[int, int, bool], list[int]]]:
        """For each block: (channel, source, leaving) -> [first row passed, row reached]."""
        found: list[dict[tuple[int, int, bool], list[int]]] = [{} for _ in self.blocks]
        for a, b in self.edges:
            if a < 0:
                continue
            here, there = self.places[a].block, self.places[b].block
            reached = self.row[b] if here == there else len(self.blocks[here].bottoms)
            if reached > self.row[a] + 1:
                span = found[here].setdefault((self.column[a] + 1, a, True), [self.row[a] + 1, reached])
                span[1] = max(span[1], reached)
            if here != there and self.row[b]:
                span = found[there].setdefault((self.column[b], a, False), [0, self.row[b]])
                span[1] = max(span[1], self.row[b])
        return found

    def _measure(
        self, block: _Block, keys: tuple[list[Any], list[Any]], spans: dict[tuple[int, int, bool], list[int]]
    ) -> None:
        rows, columns = keys
        channels: dict[int, list[tuple[int, int, int, bool]]] = defaultdict(list)
        for (channel, source, leaving), (start, end) in spans.items():
            channels[channel].append((start, end, source, leaving))
        widths, heights = [0.0] * len(columns), [0.0] * len(rows)
        for v in block.boxes:
            widths[self.column[v]] = max(widths[self.column[v]], self.sizes[v][0])
            heights[self.row[v]] = max(heights[self.row[v]], self.sizes[v][1])
        x = self.pad
        for channel in range(len(columns) + 1):
            inner = 0 < channel < len(columns)
            apart = PANEL if inner and columns[channel][0] != columns[channel - 1][0] else COLUMN
            lanes = _lanes(channels.get(channel, []))
            count = max(lanes.values(), default=-1) + 1
            base = apart if inner else COLUMN * (count > 0)
            for (source, leaving), lane in lanes.items():
                block.lanes[channel, source, leaving] = x + base / 2 + lane * LANE
            x += base + LANE * max(0, count - 1)
            if channel < len(columns):
                block.lefts[channel] = x
                x += widths[channel]
        block.width = x + self.pad
        y = self.head
        for r, height in enumerate(heights):
            wide = r and rows[r][0] != rows[r - 1][0]
            y += LABEL + (BEND * (1.6 if wide else 1.0) if r else 0.0)
            block.tops.append(y)
            y += height
            block.bottoms[r] = y
        block.height = y + self.pad
        block.boxes.sort()

    # ---- between the blocks

    def _rank(self, rank: Sequence[int] | None) -> None:
        between: dict[tuple[int, int], None] = {}
        for a, b in self.edges:
            if a >= 0 and self.places[a].block != self.places[b].block:
                between[self.places[a].block, self.places[b].block] = None
        pairs = list(between)
        sizes = [(block.width, block.height) for block in self.blocks]
        self.rank = list(rank) if rank is not None else ranks(len(sizes), pairs)
        self.net = net = _Slots(sizes, pairs, self.rank)
        passing: dict[tuple[int, int], list[int]] = defaultdict(list)  # (block, rank) -> the sources that pass there
        far: dict[int, int] = {}
        for a, b in self.edges:
            if a >= 0:
                far[a] = max(far.get(a, 0), self.rank[self.places[b].block])
        for a in sorted(far):
            home = self.places[a].block
            for r in range(self.rank[home] + 1, far[a]):
                passing[home, r].append(a)
        self.passing = passing
        net.room = {v: LANE * len(passing[at]) for at, v in net.trunk.items() if v >= len(sizes)}
        order(net)
        if self.framed:
            place(net)
        else:
            straighten(net, [separations(net, row) for row in net.rows])
        shift = MARGIN - min((net.x[v] - net.width(v) / 2 for v in range(len(net.x))), default=0.0)
        self.x = [value + shift for value in net.x]
        self.right = max((self.x[v] + net.width(v) / 2 for v in range(len(self.x))), default=MARGIN)
        self.beside: dict[int, float] = {}
        for v in sorted(net.lanes):
            self.beside[v] = self.right + LANE
            self.right += LANE * (1 + max((len(s) for (home, _), s in passing.items() if home == v), default=0))
        self.heights = [0.0] * (max(self.rank, default=-1) + 1)
        for block, r in zip(self.blocks, self.rank, strict=True):
            self.heights[r] = max(self.heights[r], block.height)
        self.gaps = self._gaps()

    def _gaps(self) -> list[float]:
        """The room above each rank: more where edges travel far sideways."""
        travel = [0.0] * len(self.heights)
        for v, targets in enumerate(self.net.down):
            for w in targets:
                far = abs(self.x[v] - self.x[w]) + (self.net.width(v) + self.net.width(w)) / 4
                travel[self.net.rank[w]] = max(travel[self.net.rank[w]], far)
        return [min(GAP_HIGH, max(GAP_LOW, 0.2 * t)) if r else 0.0 for r, t in enumerate(travel)]

    def layout(self, heights: Sequence[float], gaps: Sequence[float]) -> Layout:
        """Boxes and routes for ranks of these heights with these gaps above them (at least its own)."""
        self.tops, self.bottoms, y = list[float](), list[float](), MARGIN
        for height, gap in zip(heights, gaps, strict=True):
            self.tops.append(y + gap)
            y += gap + height
            self.bottoms.append(y)
        boxes = []
        for v, (width, height) in enumerate(self.sizes):
            left, top = self._corner(self.places[v].block)
            block = self.blocks[self.places[v].block]
            boxes.append(Box(left + block.lefts[self.column[v]], top + block.tops[self.row[v]], width, height))
        routes = [self._edge(number, boxes) for number in range(len(self.edges))]
        return Layout(self.right + MARGIN, y + MARGIN, tuple(boxes), tuple(routes))

    def frames(self) -> list[Box]:
        """The extent of each block, after ``layout``."""
        return [Box(*self._corner(i), block.width, block.height) for i, block in enumerate(self.blocks)]

    def _corner(self, number: int) -> Point:
        return self.x[number] - self.blocks[number].width / 2, self.tops[self.rank[number]]

    def _edge(self, number: int, boxes: Sequence[Box]) -> Route:
        a, b = self.edges[number]
        target = boxes[b]
        end = target.left + target.width / 2 + self.ports[number], target.top
        if a < 0:
            return Route(((end[0], end[1] - LABEL),), end)
        home, there = self.places[a].block, self.places[b].block
        left, top = self._corner(home)
        block = self.blocks[home]
        x, y = boxes[a].left + boxes[a].width / 2, boxes[a].top + boxes[a].height
        stops: list[Point] = [(x, y)]
        own = top + block.bottoms[self.row[a]]
        stops.append((x, own))
        reached = self.row[b] if home == there else len(block.bottoms)
        if reached > self.row[a] + 1:
            x = left + block.lanes[self.column[a] + 1, a, True]
            stops.append((x, top + block.tops[self.row[a] + 1] - ARROW))
            if home == there:
                stops.append((x, top + block.bottoms[reached - 1]))
        if home != there:
            x = self._between(a, home, there, x, stops)
            left, top = self._corner(there)
            block = self.blocks[there]
            if self.row[b]:
                x = left + block.lanes[self.column[b], a, False]
                stops += [(x, self.tops[self.rank[there]]), (x, top + block.bottoms[self.row[b] - 1])]
            else:
                stops.append((end[0], top))
        stops += [(end[0], top + block.tops[self.row[b]] - ARROW), end]
        return route(stops)

    def _between(self, a: int, home: int, there: int, x: float, stops: list[Point]) -> float:
        """From the bottom of one block's rank to that above the other's, through the slots on the way."""
        for r in range(self.rank[home], self.rank[there]):
            if r > self.rank[home]:
                sources = self.passing[home, r]
                lane = bisect_left(sources, a) * LANE
                if home in self.beside:
                    x = self.beside[home] + lane
                else:
                    v = self.net.trunk[home, r]
                    x = self.x[v] - self.net.width(v) / 2 + LANE / 2 + lane
                stops.append((x, self.tops[r]))
            stops.append((x, self.bottoms[r]))
        return x


def _lanes(spans: list[tuple[int, int, int, bool]]) -> dict[tuple[int, bool], int]:
    """The lane of each (source, leaving) in one channel; spans in the same lane do not meet."""
    ends: list[int] = []
    found = {}
    for start, end, source, leaving in sorted(spans):
        lane = next((i for i, last in enumerate(ends) if last < start), len(ends))
        ends[lane : lane + 1] = [end]
        found[source, leaving] = lane
    return found


# ---- elements of a tensor on a grid


def on_grid(index: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, int]:
    """(row, column) of an element: axes of size 1 do not count, images (N, H, W, C) stand channel beside channel.

    Kernels (kH, kW, C_in, C_out) have a column of kernels for each output channel.  A long vector is broken into rows.
    """
    kept = [(i, n) for i, n in zip(index, shape, strict=True) if n != 1]
    if len(kept) <= 1:
        i, n = kept[0] if kept else (0, 1)
        width = n if n <= LONGEST_ROW else ceil(sqrt(2 * n))
        return i // width, i % width
    if len(kept) == 2:
        return kept[0][0], kept[1][0]
    if len(kept) == 3:
        (i, _), (j, width), (c, _) = kept
        return i, c * width + j
    first = kept[0]
    if len(shape) == 4 and shape[0] <= 11 and shape[1] <= 11 and shape[2] * shape[3] >= shape[0]:
        (i, height), (j, width), (c, _), (d, _) = kept[:4]
        return c * height + i, d * width + j
    rest = on_grid(tuple(i for i, _ in kept[1:]), tuple(n for _, n in kept[1:]))
    below = prod(n for _, n in kept[1:])
    return first[0] * below + rest[0], rest[1]
