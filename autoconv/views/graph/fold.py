"""Equal structure drawn once, with how often it occurs: boxes of lines and calls, and classes of scalars."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...primitives import TABLE
from ...render.node import Edge, Node
from ...scalar import FlatTape
from ...scalar.blocks import SUM, Operation
from .selection import stretches

# ---- boxes of lines and calls


def fold_nodes(nodes: Sequence[Node], edges: Sequence[Edge]) -> tuple[tuple[Node, ...], tuple[Edge, ...]]:
    """One node for each class: same kind, operation, params and shapes, reading the same classes, read by the same
    classes.
    """
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


# ---- scalars


def classes(flat: FlatTape) -> np.ndarray:
    """The class of each scalar: same line, same operation, operands of the same classes; a number for each, from 0.

    All elements of an input are one class.  A sum is told by how many terms it has of each class.
    """
    found = np.zeros(len(flat), np.int64)
    known: dict[tuple[int, ...], int] = {}
    mix = np.random.default_rng(0).integers(1, 2**62, size=64, dtype=np.int64)
    for number, (first, end) in enumerate(stretches(flat)):
        operation = flat.operations[int(flat.operation[first])]
        low, high = flat.start[first], flat.start[end]
        block = number if flat.blocks else -int(flat.operation[first]) - 1
        if high == low:
            keys = np.zeros((end - first, 1), np.int64)
        else:
            keys = _keys(operation, found[flat.operands[low:high]], np.diff(flat.start[first : end + 1]), mix)
        first_of, back = _numbered(keys)
        codes = [known.setdefault((block, *key), len(known)) for key in keys[first_of].tolist()]
        found[first:end] = np.array(codes)[back]
    return found


def _numbered(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(a row of each kind, the kind of each row): what np.unique finds over rows, one column after the other."""
    number = np.zeros(len(keys), np.int64)
    first = number[:1]
    for column in keys.T:
        values = np.unique(column, return_inverse=True)[1].ravel()
        _, first, number = np.unique(number * (int(values.max()) + 1) + values, return_index=True, return_inverse=True)
    return first, number.ravel()


def _keys(operation: Operation, read: np.ndarray, arity: np.ndarray, mix: np.ndarray) -> np.ndarray:
    """What tells the scalars of one block apart: the classes they read, in order; of a sum, in any order."""
    if operation is not SUM:
        return read.reshape(len(arity), -1)
    with np.errstate(over="ignore"):
        spread = (read + 1) * mix[0]
        spread ^= spread >> 31
        spread *= mix[1]
        starts = np.concatenate([[0], np.cumsum(arity)[:-1]])
        return np.stack([arity.astype(np.int64), np.add.reduceat(spread, starts)], axis=-1)
