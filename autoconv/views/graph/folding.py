"""Folding at the zooms above the scalars: boxes of equal structure are drawn once, with how many there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ...primitives import TABLE
from ...render.node import Edge, Node


def fold_nodes(nodes: Sequence[Node], edges: Sequence[Edge]) -> tuple[tuple[Node, ...], tuple[Edge, ...]]:
    """One node for each class: same kind, operation, params and shapes, reading the same classes, read by the same classes."""
    group = _classes(nodes, edges)
    members: dict[tuple[int, int], list[Node]] = defaultdict(list)
    for node in nodes:
        members[group[node.id]].append(node)
    first = {number: found[0] for number, found in members.items()}
    made = [
        replace(
            node,
            count=len(members[number]) if len(members[number]) > 1 else node.count,
            lines=tuple(i for member in members[number] for i in member.lines),
            title=f"{node.title} ×{len(members[number])}" if len(members[number]) > 1 else node.title,
            output=any(member.output for member in members[number]),
        )
        for number, node in first.items()
    ]
    joined: dict[tuple[str, str, int], int] = defaultdict(int)
    kept: dict[tuple[str, str, int], Edge] = {}
    for edge in edges:
        alone = len(members[group[edge.source]]) == 1
        key = first[group[edge.source]].id, first[group[edge.target]].id, edge.operand if alone else -1
        joined[key] += 1
        kept.setdefault(key, edge)
    folded = [replace(e, source=a, target=b, count=joined[a, b, k]) for (a, b, k), e in kept.items()]
    return tuple(made), tuple(folded)


def _classes(nodes: Sequence[Node], edges: Sequence[Edge]) -> dict[str, tuple[int, int]]:
    """Two numbers for each node: one for what it is computed from, one for what is computed from it."""
    key = {n.id: (n.kind, n.operation, n.note, n.shapes, n.part, n.output) for n in nodes}
    reads: dict[str, list[tuple[int, str]]] = defaultdict(list)
    readers: dict[str, list[tuple[int, str]]] = defaultdict(list)
    # The operands of concat are alike: equal branches fold, whichever of them they are.
    many = {n.id for n in nodes if n.operation in TABLE and not isinstance(TABLE[n.operation].vjps, tuple)}
    for edge in edges:
        reads[edge.target].append((edge.operand, edge.source))
        readers[edge.source].append((-1 if edge.target in many else edge.operand, edge.target))
    numbers: dict[Any, int] = {}
    up: dict[str, int] = {}
    for node in nodes:
        above = tuple((k, up[x]) for k, x in reads[node.id])
        up[node.id] = numbers.setdefault((key[node.id], above), len(numbers))
    down: dict[str, int] = {}
    for node in reversed(nodes):
        below = frozenset((k, down[x]) for k, x in readers[node.id])
        down[node.id] = numbers.setdefault((key[node.id], below), len(numbers))
    return {node.id: (up[node.id], down[node.id]) for node in nodes}
