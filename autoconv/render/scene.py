"""Which layout a graph gets, and what is drawn apart from boxes and edges: frames of blocks, ties to the sweep.

Lines, calls and models: our layered layout of ``clusters`` (the ``dot`` program's where it is asked for).  Scalars:
blocks in a ``GridLayout``.  The recorded sweep: a second grid beside the first, upside down, so that each of its blocks
stands beside the forward box that it serves and cotangents flow upwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .cluster import clustered
from .dot import place_by_dot
from .grid import GridLayout, Place
from .layout import Box, Layout, Point, Route
from .node import Edge, Node

CORRIDOR = 70.0  # between the forward graph and the sweep
HEADING = 26.0


@dataclass(frozen=True)
class Frame:
    """The outline of a block, with what stands over it."""

    box: Box
    caption: str
    below: bool = False


@dataclass(frozen=True)
class Tie:
    """A line from a forward box or block to the block of the sweep that serves it."""

    points: tuple[Point, ...]
    number: int


@dataclass(frozen=True)
class Scene:
    """Everything with its place; ``stubs`` are edges that are only named at their target, because they cross the
    corridor; ``joined`` are edges between boxes that stand on each other, which are not drawn.
    """

    layout: Layout
    frames: tuple[Frame, ...] = ()
    ties: tuple[Tie, ...] = ()
    headings: tuple[tuple[float, str], ...] = ()
    stubs: frozenset[int] = frozenset()
    joined: frozenset[int] = frozenset()


def arrange(
    nodes: Sequence[Node], edges: Sequence[Edge], sizes: Sequence[tuple[float, float]], layout: str = "auto"
) -> Scene:
    """The places of all boxes and edges of a graph; ``layout`` as in ``ac.graph``."""
    number = {node.id: i for i, node in enumerate(nodes)}
    pairs = [(number[edge.source], number[edge.target]) for edge in edges]
    if any(node.part == "backward" for node in nodes):
        return beside(nodes, pairs, sizes)
    if nodes and all(node.cell is not None for node in nodes):
        grid = GridLayout(sizes, _dense([node.cell for node in nodes if node.cell]), pairs)
        found = grid.layout(grid.heights, grid.gaps)
        return Scene(found, _frames(grid, nodes, range(len(nodes))))
    if layout == "dot":
        return Scene(place_by_dot(sizes, pairs))
    found, joined = clustered(nodes, pairs, sizes)
    return Scene(found, joined=joined)


def _dense(places: Sequence[Place]) -> list[Place]:
    """The same places with the blocks numbered without gaps."""
    blocks = {block: i for i, block in enumerate(sorted({p.block for p in places}))}
    return [replace(p, block=blocks[p.block]) for p in places]


def _frames(grid: GridLayout, nodes: Sequence[Node], chosen: Sequence[int]) -> tuple[Frame, ...]:
    """A frame round each block of more than one box."""
    captions: dict[int, list[str]] = {}
    for place, i in zip(grid.places, chosen, strict=True):
        captions.setdefault(place.block, []).append(nodes[i].caption)
    return tuple(Frame(box, captions[b][0]) for b, box in enumerate(grid.frames()) if b in captions)


# ---- the sweep beside the forward graph


def beside(nodes: Sequence[Node], pairs: Sequence[tuple[int, int]], sizes: Sequence[tuple[float, float]]) -> Scene:
    """Forward at the left, the sweep at the right; what it reads of the forward numbers is only named at its reader."""
    left = [i for i, node in enumerate(nodes) if node.part == "forward"]
    right = [i for i, node in enumerate(nodes) if node.part != "forward"]
    scalar = all(node.cell is not None for node in nodes)
    forward_places = _dense([nodes[i].cell or Place(k) for k, i in enumerate(left)])
    forward = GridLayout([sizes[i] for i in left], forward_places, _inside(pairs, left), framed=scalar)
    block_of = {line: place.block for place, i in zip(forward_places, left, strict=True) for line in nodes[i].lines}
    served = [block_of.get(nodes[i].serves if nodes[i].serves is not None else -1, -1) for i in right]  # type: ignore[arg-type]
    count = max(forward.rank, default=-1) + 1
    order = sorted({(-forward.rank[b] if b >= 0 else -count, -b) for b in served})
    blocks = {-b: k for k, (_, b) in enumerate(order)}
    inner = _levels(nodes, pairs, right, served)
    backward_places = [
        Place(blocks[s], (level, *(nodes[i].cell.row if nodes[i].cell else ())), (slot, *_column(nodes[i])))  # type: ignore[union-attr]
        for i, s, (level, slot) in zip(right, served, inner, strict=True)
    ]
    own = {i: k for k, i in enumerate(right)}
    numbers = [e for e, (_, b) in enumerate(pairs) if b in own]
    into = [(own.get(pairs[e][0], -1), own[pairs[e][1]]) for e in numbers]
    rank = _ranked([count + rank for rank, _ in order], backward_places, into)
    if max(rank, default=0) > count:  # the sweep needs more ranks than the forward graph has: that begins further down
        further = max(rank) - count
        forward = GridLayout(
            [sizes[i] for i in left], forward_places, _inside(pairs, left), [r + further for r in forward.rank], scalar
        )
        count += further
    framed = any(served.count(s) > 1 for s in set(served))
    backward = GridLayout([sizes[i] for i in right], backward_places, into, rank, framed)

    heights = [*forward.heights, *[0.0] * (count + 1 - len(forward.heights))]
    gaps = [*forward.gaps, *[0.0] * (count + 1 - len(forward.gaps))]
    mirrored = [*backward.heights, *[0.0] * (count + 1 - len(backward.heights))][::-1]
    heights = [max(a, b) for a, b in zip(heights, mirrored, strict=True)]
    above = [
        *backward.gaps,
        *[0.0] * (count + 1 - len(backward.gaps)),
    ]  # the gap above its rank r is below rank count - r
    gaps = [0.0, *[max(gaps[r], above[count + 1 - r]) for r in range(1, count + 1)]]
    one = forward.layout(heights, gaps)
    two = backward.layout(heights[::-1], [0.0, *gaps[:0:-1]])
    shift = one.width + CORRIDOR
    height = max(one.height, two.height)

    def over(p: Point) -> Point:
        return p[0] + shift, height - p[1] + HEADING

    boxes: list[Box] = [Box(0, 0, 0, 0)] * len(nodes)
    for i, box in zip(left, one.boxes, strict=True):
        boxes[i] = replace(box, top=box.top + HEADING)
    for i, box in zip(right, two.boxes, strict=True):
        boxes[i] = replace(box, left=box.left + shift, top=height - box.top - box.height + HEADING)
    routes: list[Route] = [Route(((0.0, 0.0),), (0.0, 0.0))] * len(pairs)
    forward_numbers = [e for e, (_, b) in enumerate(pairs) if b not in own]
    for e, r in zip(forward_numbers, one.routes, strict=True):
        routes[e] = Route(tuple((x, y + HEADING) for x, y in r.curve), (r.tip[0], r.tip[1] + HEADING))
    for e, r in zip(numbers, two.routes, strict=True):
        routes[e] = Route(tuple(map(over, r.curve)), over(r.tip))
    frames = (
        [Frame(replace(f.box, top=f.box.top + HEADING), f.caption) for f in _frames(forward, nodes, left)]
        if scalar
        else []
    )
    outlines = {}
    for block, f in enumerate(backward.frames()):
        s = next(b for b, k in blocks.items() if k == block)
        box = Box(f.left + shift, height - f.top - f.height + HEADING, f.width, f.height)
        line = next((nodes[i] for place, i in zip(forward_places, left, strict=True) if place.block == s), None)
        words = f"backward of {(line.caption if scalar else f'{line.title}  {line.place}')}" if line else "start"
        if framed:
            frames.append(Frame(box, words, below=True))
        if s >= 0:
            outlines[s] = box
    own_frames = {b: replace(f, top=f.top + HEADING) for b, f in enumerate(forward.frames())}
    ties = _ties(own_frames, outlines, [b + HEADING for b in forward.bottoms], one.width + CORRIDOR / 2)
    return Scene(
        Layout(shift + two.width, height + HEADING, tuple(boxes), tuple(routes)),
        tuple(frames),
        tuple(ties),
        ((16.0, "forward"), (shift + 16.0, "backward: the recorded sweep, from the bottom up")),
        frozenset(e for e, (a, b) in zip(numbers, into, strict=True) if a < 0),
    )


def _ranked(rank: list[int], places: Sequence[Place], edges: Sequence[tuple[int, int]]) -> list[int]:
    """The ranks moved on where an edge would not run forward."""
    pairs = {(places[a].block, places[b].block) for a, b in edges if a >= 0} - {(b, b) for b in range(len(rank))}
    for _ in rank:
        late = [(a, b) for a, b in sorted(pairs) if rank[b] <= rank[a]]
        if not late:
            break
        for a, b in late:
            rank[b] = max(rank[b], rank[a] + 1)
    return rank


def _column(node: Node) -> tuple[int, ...]:
    return node.cell.column if node.cell else ()


def _inside(pairs: Sequence[tuple[int, int]], chosen: Sequence[int]) -> list[tuple[int, int]]:
    """The edges into the chosen boxes, with their own numbers."""
    own = {i: k for k, i in enumerate(chosen)}
    return [(own[a], own[b]) for a, b in pairs if b in own]


def _levels(
    nodes: Sequence[Node], pairs: Sequence[tuple[int, int]], right: Sequence[int], served: Sequence[int]
) -> list[tuple[int, int]]:
    """(level, slot) of each box of the sweep in its block: below the lines of the block it reads, side by side."""
    home = dict(zip(right, served, strict=True))
    line = {i: nodes[i].lines[-1] for i in right}
    above: dict[int, set[int]] = {}
    for a, b in pairs:
        if a in home and b in home and home[a] == home[b] and line[a] != line[b]:
            above.setdefault(line[b], set()).add(line[a])
    level: dict[int, int] = {}
    for number in sorted(set(line.values())):
        level[number] = max((level[x] + 1 for x in above.get(number, ()) if x in level), default=0)
    slots: dict[tuple[int, int], list[object]] = {}
    found = []
    for i in right:
        row = slots.setdefault((home[i], level[line[i]]), [])
        key: object = line[i] if nodes[i].cell else i
        if key not in row:
            row.append(key)
        found.append((level[line[i]], row.index(key)))
    return found


def _ties(left: dict[int, Box], right: dict[int, Box], bottoms: Sequence[float], corridor: float) -> list[Tie]:
    """From each forward block to the block that serves it; past what stands between them, in the gap below the rank."""
    found = []
    for number, (block, target) in enumerate(sorted(right.items())):
        source = left[block]
        y0, y1 = source.top + source.height / 2, target.top + target.height / 2
        x0, x1 = source.left + source.width, target.left
        points = [(x0, y0)]
        if any(b.left > x0 and b.top - 2 < y0 < b.top + b.height + 2 for b in left.values()):
            floor = _floor(bottoms, y0, number)
            points += [(x0 + 8, y0), (x0 + 8, floor)]
            y0 = floor
        points.append((corridor, y0))
        if any(b.left < x1 and b.top - 2 < y1 < b.top + b.height + 2 for b in right.values()):
            floor = _floor(bottoms, y1, number)
            points += [(corridor, floor), (x1 - 8, floor), (x1 - 8, y1)]
        else:
            points.append((corridor, y1))
        found.append(Tie((*points, (x1, y1)), number))
    return found


def _floor(bottoms: Sequence[float], y: float, number: int) -> float:
    """A height in the gap below the rank at ``y``; several ties have several."""
    return next(bottom for bottom in bottoms if bottom >= y - 1) + 8 + 3 * (number % 6)
