"""Where the vertices of a layered layout stand sideways: the longest path runs straight down, all else beside it, each
branch and each edge that skips ranks as straight and as near as it can (after Brandes and Köpf, 2002).

1. The spine is the path of most boxes from an input to a result.
2. Vertices are joined to blocks that have one x: the spine; the slots of one trunk; a box and the one that reads it.
   Joined pairs never cross, so what stands left of what is an order among blocks.
3. The spine stands at 0; blocks right of it are packed from it outwards, and so are those left of it.
4. Each block then moves outwards as far as there is room, towards what it is joined to by edges.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .layout import Net

SWEEPS = 3


def straighten(net: Net, apart: Sequence[Sequence[float]]) -> None:
    """Give every vertex of ``net`` its x; ``apart[r][i]``: how far vertex i of rank r stands at least from the first of
    its rank."""
    backbone = spine(net)
    block = blocks(net, set(backbone))
    count = max(block, default=-1) + 1
    after: list[dict[int, float]] = [{} for _ in range(count)]  # block -> block right of it -> least distance
    before: list[dict[int, float]] = [{} for _ in range(count)]
    for row, offsets in zip(net.rows, apart, strict=True):
        for i in range(1, len(row)):
            a, b, gap = block[row[i - 1]], block[row[i]], offsets[i] - offsets[i - 1]
            after[a][b] = before[b][a] = max(gap, after[a].get(b, 0.0))
    near: list[list[int]] = [[] for _ in range(count)]  # the blocks at the other ends of a block's edges
    for v, uppers in enumerate(net.up):
        for u in uppers:
            if block[u] != block[v]:
                near[block[v]].append(block[u])
                near[block[u]].append(block[v])
    sequence = _sorted(after, before)
    x = _packed(sequence, after, before, near, block[backbone[0]] if backbone else -1)
    for v in range(len(net.rank)):
        net.x[v] = x[block[v]]


def spine(net: Net) -> list[int]:
    """The vertices of the path with the most boxes, from the top down; of equal ones that of the first operands."""
    boxes = len(net.sizes)
    found = [0] * len(net.rank)
    via = [-1] * len(net.rank)
    for row in net.rows:
        for v in row:
            for u in net.up[v]:
                if found[u] > found[v]:
                    found[v], via[v] = found[u], u
            found[v] += v < boxes
    end = max(range(boxes), key=lambda v: (found[v], v), default=-1)
    path = []
    while end >= 0:
        path.append(end)
        end = via[end]
    return path[::-1]


def blocks(net: Net, backbone: set[int]) -> list[int]:
    """The number of each vertex's block; the vertices of one stand in one column."""
    boxes = len(net.sizes)
    above, below = [-1] * len(net.rank), [-1] * len(net.rank)
    position = [0] * len(net.rank)
    for row in net.rows:
        for i, v in enumerate(row):
            position[v] = i

    def urgency(u: int, v: int) -> int:
        if u in backbone and v in backbone:
            return 0
        if u >= boxes and v >= boxes:
            return 1
        if u >= boxes or v >= boxes:
            return 3
        return 2 if len(net.down[u]) == 1 and len(net.up[v]) == 1 else 4

    for row in net.rows[1:]:
        pairs = sorted(
            (urgency(u, v), k, position[v], u, v) for v in row for k, u in _from_the_middle(net, v, position)
        )
        joined: list[tuple[int, int]] = []
        for _, _, _, u, v in pairs:
            if below[u] < 0 and above[v] < 0:
                pair = position[u], position[v]
                i = bisect_left(joined, pair)
                if (not i or joined[i - 1][1] < pair[1]) and (i == len(joined) or pair[1] < joined[i][1]):
                    insort(joined, pair)
                    below[u], above[v] = v, u
    block, count = [-1] * len(net.rank), 0
    for row in net.rows:
        for v in row:
            if above[v] < 0:
                count += 1
            block[v] = count - 1 if above[v] < 0 else block[above[v]]
    return block


def _from_the_middle(net: Net, v: int, position: Sequence[int]) -> list[tuple[int, int]]:
    """(how far from the middle one, vertex) for what stands above v."""
    uppers = sorted(set(net.up[v]), key=position.__getitem__)
    return [(abs(2 * i + 1 - len(uppers)), u) for i, u in enumerate(uppers)]


def _sorted(after: Sequence[dict[int, float]], before: Sequence[dict[int, float]]) -> list[int]:
    """The blocks from left to right: each after all that stand left of it."""
    waiting = [len(known) for known in before]
    ready = [b for b, many in enumerate(waiting) if not many]
    found = []
    while ready:
        b = ready.pop()
        found.append(b)
        for c in after[b]:
            waiting[c] -= 1
            if not waiting[c]:
                ready.append(c)
    return found


def _packed(
    sequence: Sequence[int],
    after: Sequence[dict[int, float]],
    before: Sequence[dict[int, float]],
    near: Sequence[Sequence[int]],
    middle: int,
) -> list[float]:
    """The x of each block: as near to the block ``middle`` as the distances allow, then outwards to what it is joined
    to."""
    x = [0.0] * len(sequence)
    left = {middle}
    for b in reversed(sequence):
        if b != middle and not left.isdisjoint(after[b]):
            left.add(b)
            x[b] = min(x[c] - gap for c, gap in after[b].items() if c in left)
    left.discard(middle)
    right = [b for b in sequence if b not in left and b != middle]
    placed = left | {middle}
    for b in right:
        known = [x[a] + gap for a, gap in before[b].items()]
        wanted = [x[c] for c in near[b] if c in placed]
        x[b] = max(known) if known else sum(wanted) / len(wanted) if wanted else 0.0
        placed.add(b)
    for _ in range(SWEEPS):
        for b in reversed(right):
            room = min((x[c] - gap for c, gap in after[b].items()), default=float("inf"))
            x[b] = max(x[b], min(room, _mean(near[b], x, x[b])))
        for b in sequence:
            if b in left:
                room = max((x[c] + gap for c, gap in before[b].items()), default=-float("inf"))
                x[b] = min(x[b], max(room, _mean(near[b], x, x[b])))
    return x


def _mean(blocks: Sequence[int], x: Sequence[float], default: float) -> float:
    return sum(x[b] for b in blocks) / len(blocks) if blocks else default
