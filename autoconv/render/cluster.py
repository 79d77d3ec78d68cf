"""What belongs together stands together: parameters and constants beside the box that reads them, and the activation
and the normalisation of a layer on it.

The layered layout then has one vertex for each cluster, so that a net is one straight line of layers, with their
parameters at the left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from .layout import ARROW, Beside, Box, Layout, Route, layered
from .node import Node

MOST = 6  # boxes beside one
APART, BELOW = 30.0, 8.0  # between a box and those beside it, and between these


@dataclass
class Cluster:
    """Boxes by number: those that stand on each other from top to bottom, and those at the left of the first."""

    stack: list[int]
    left: list[int] = field(default_factory=list)


def clustered(
    nodes: Sequence[Node], pairs: Sequence[tuple[int, int]], sizes: Sequence[tuple[float, float]]
) -> tuple[Layout, frozenset[int]]:
    """The layered layout of a graph's clusters, and the numbers of the edges inside stacks."""
    known = clusters(nodes, pairs)
    home = {i: k for k, cluster in enumerate(known) for i in (*cluster.stack, *cluster.left)}
    joined = frozenset(e for e, (a, b) in enumerate(pairs) if home[a] == home[b] and a in known[home[a]].stack)
    leaving = {a: e for e, (a, b) in enumerate(pairs) if home[a] == home[b] and e not in joined}
    between = [e for e, (a, b) in enumerate(pairs) if home[a] != home[b]]
    whole = [(max(sizes[i][0] for i in c.stack), sum(sizes[i][1] for i in c.stack)) for c in known]
    found = layered(
        whole, [(home[pairs[e][0]], home[pairs[e][1]]) for e in between], [_beside(c, sizes) for c in known]
    )
    boxes: list[Box] = [Box(0, 0, 0, 0)] * len(nodes)
    for cluster, outline in zip(known, found.boxes, strict=True):
        top = outline.top
        for i in cluster.stack:
            boxes[i] = Box(outline.left, top, outline.width, sizes[i][1])
            top += sizes[i][1]
        height = sum(sizes[i][1] + BELOW for i in cluster.left) - BELOW
        first = boxes[cluster.stack[0]]
        top = min(first.top + first.height / 2, outline.top + outline.height / 2) - height / 2
        top = max(top, outline.top + outline.height / 2 - max(outline.height, height) / 2)
        for i in cluster.left:
            boxes[i] = Box(outline.left - APART - sizes[i][0], top, *sizes[i])
            top += sizes[i][1] + BELOW
    routes: list[Route] = [Route(((0.0, 0.0),), (0.0, 0.0))] * len(pairs)
    for e, route in zip(between, found.routes, strict=True):
        routes[e] = route
    for cluster in known:
        target = boxes[cluster.stack[0]]
        for k, i in enumerate(cluster.left):
            high = target.top + target.height * (k + 1) / (len(cluster.left) + 1)
            routes[leaving[i]] = _across(boxes[i], target, high)
    for e in joined:
        b = pairs[e][1]
        at = boxes[b].left + boxes[b].width / 2, boxes[b].top
        routes[e] = Route((at,), at)
    return replace(found, boxes=tuple(boxes), routes=tuple(routes)), joined


def clusters(nodes: Sequence[Node], pairs: Sequence[tuple[int, int]]) -> list[Cluster]:
    """The clusters of a graph, in the order of their first boxes.

    Beside a box stands what it alone reads and what reads nothing itself, as long as something stands above it: of a
    box that reads nothing else, weights and constants give way to other inputs.
    """
    reads: list[list[int]] = [[] for _ in nodes]
    readers: list[list[int]] = [[] for _ in nodes]
    for a, b in pairs:
        reads[b].append(a)
        readers[a].append(b)
    left: dict[int, list[int]] = {}
    for b, sources in enumerate(reads):
        own = [a for a in dict.fromkeys(sources) if not reads[a] and len(readers[a]) == 1]
        if own and not any(reads[a] for a in sources):
            own = [a for a in own if nodes[a].weight or nodes[a].kind == "constant"]
            own = own if len(own) < len(set(sources)) else own[1:]
        if 0 < len(own) <= MOST:
            left[b] = own
    aside = {a for own in left.values() for a in own}
    found: list[Cluster] = []
    home: dict[int, Cluster] = {}
    for i, node in enumerate(nodes):
        if i in aside:
            continue
        (source,) = reads[i] if len(reads[i]) == 1 else (-1,)
        under = node.passes and source in home and readers[source] == [i] and nodes[source].card
        if under and home[source].stack[-1] == source:
            home[i] = home[source]
            home[i].stack.append(i)
        else:
            home[i] = Cluster([i], left.get(i, []))
            found.append(home[i])
    return found


def _beside(cluster: Cluster, sizes: Sequence[tuple[float, float]]) -> Beside:
    if not cluster.left:
        return Beside()
    widest = max(sizes[i][0] for i in cluster.left)
    return Beside(left=widest + APART, height=sum(sizes[i][1] + BELOW for i in cluster.left) - BELOW)


def _across(source: Box, target: Box, high: float) -> Route:
    """An edge from the right side of a box to the left side of the one beside it, at the height ``high``."""
    start = source.left + source.width, source.top + source.height / 2
    end = target.left - ARROW, high
    middle = (start[0] + end[0]) / 2
    return Route((start, (middle, start[1]), (middle, high), end), (target.left, high))
