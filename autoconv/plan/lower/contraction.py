"""Contractions as tables of positions: forward, kernel gradient and input gradient of a convolution, and every matrix product.

Letters of a contraction of x (with an example letter n) and an array w fall into groups g (both and the result), summed k
(both), free i of w and free j of x:

    out[g, i, j] = sum_k w[g, i, k] * x[g, j, k]            instruction GEMM, cells of x through names[j] + step[k]

When n is summed and both have it, the result is one array for all examples (DOT, or OUTER when few terms are summed for each
example).  A contraction whose frames go straight into ``overlap_add`` is turned round: each input cell gathers what reaches it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from ...program.program import Line
from ...shapes import Shape
from .cells import Cells
from .instructions import DOT, GEMM, OUTER, Input, Instruction, Names, Result

_FEW = 8  # terms for each example below which lanes are summed by transposition rather than one result at a time


@dataclass
class Pending:
    """A contraction that waits for its reader: operands, letters, and the shape and example axis of line ``line``."""

    line: int
    x: int
    w: int
    in_x: str
    in_w: str
    result: str
    n: str
    sizes: dict[str, int]
    shape: Shape
    axis: int
    stage: int
    bias: tuple[int, np.ndarray] | None = None
    relu: bool = False

    def letters(self) -> tuple[str, str, str, str]:
        """g, i, j, k."""
        x = self.in_x.replace(self.n, "")
        g = "".join(c for c in x if c in self.in_w and c in self.result)
        i = "".join(c for c in self.result if c in self.in_w and c not in x)
        j = "".join(c for c in self.result if c in x and c not in self.in_w)
        return g, i, j, "".join(c for c in x if c in self.in_w and c not in self.result)


def lower(low: Cells, i: int, line: Line) -> bool:
    """A ``contract`` line; False if the machine has no form for it."""
    a, b = line.operands
    operands, result = line.params["spec"].split("->")
    in_a, in_b = operands.split(",")
    shapes = low.program.lines[a].shape + low.program.lines[b].shape
    sizes = dict(zip(in_a + in_b, shapes, strict=True))
    axes = [low.example_axis(x) for x in (a, b)]
    of_a, of_b = [None if at is None else letters[at] for at, letters in zip(axes, (in_a, in_b), strict=True)]
    if of_a is not None and of_a == of_b and of_a not in result:
        return _over_examples(low, i, line, in_a, in_b, result, of_a, sizes)
    for x, w, in_x, in_w, n in ((a, b, in_a, in_b, of_a), (b, a, in_b, in_a, of_b)):
        if n is None or n in in_w or n not in result:
            continue
        stage = low.open(max(low.stage(x), low.array(w) + 1))
        low.pending[i] = Pending(i, x, w, in_x, in_w, result, n, sizes, line.shape, result.index(n), stage)
        return True
    return False


def reshaped(low: Cells, i: int, x: int, line: Line, axis: int) -> bool:
    """Reshape line i of a waiting contraction: it goes on waiting under the new shape."""
    if len(low.readers[x]) != 1 or x in low.program.outputs:
        return False
    low.pending[i] = replace(low.pending.pop(x), line=i, shape=line.shape, axis=axis)
    return True


def with_bias(low: Cells, i: int, line: Line) -> bool:
    """``contraction + b``, b the same along every position: the sum starts from b instead of 0."""
    for x, b in (line.operands, line.operands[::-1]):
        p, other = low.pending.get(x), low.program.lines[b]
        if p is None or p.bias or p.relu or len(low.readers[x]) != 1 or x in low.program.outputs or x == b:
            continue
        if b in low.lanes or b in low.pending or other.primitive is None or other.primitive.name != "broadcast_to":
            continue
        source = other.operands[0]
        shape = low.program.lines[source].shape
        while (row := low.program.lines[source].primitive) is not None and row.name == "reshape":
            source = low.program.lines[source].operands[0]  # the same numbers in the same order
        if source in low.lanes or low.array(source) + 1 > p.stage:
            continue
        if source in low.numpy and low.ready[source]:  # from sums of earlier stages: ``alike`` makes cells of it
            continue
        places = np.broadcast_to(np.arange(prod(shape)).reshape(shape), line.shape)
        places = places.take([0], axis=p.axis).reshape([1 if c == p.n else p.sizes[c] for c in p.result])
        g, free, j, _ = p.letters()
        table = by_groups(places, p.result, p.n, g, free, j, sizes=p.sizes)
        if (table == table[:, :, :1]).all() and not _varies(other.shape, shape, p.axis):
            low.pending[i] = replace(low.pending.pop(x), line=i, bias=(source, table[:, :, 0]))
            return True
    return False


def with_relu(low: Cells, i: int, line: Line) -> bool:
    """``maximum(contraction, 0)`` that nobody else reads: negative sums are stored as 0."""
    for x, c in (line.operands, line.operands[::-1]):
        p, value = low.pending.get(x), low.program.lines[c].value
        if p is None or p.relu or len(low.readers[x]) != 1 or x in low.program.outputs or value is None:
            continue
        if value.size and not any(value.strides) and value.flat[0] == 0 and low.program.lines[x].shape == line.shape:
            low.pending[i] = replace(low.pending.pop(x), line=i, relu=True)
            return True
    return False


def _varies(shape: Shape, source: Shape, axis: int) -> bool:
    q = axis - (len(shape) - len(source))
    return q >= 0 and source[q] != 1


def feeds(low: Cells, i: int) -> bool:
    """Whether a contraction reads line i, perhaps through reshapes."""
    waiting = list(low.readers[i])
    while waiting:
        r = waiting.pop()
        name = low.program.lines[r].primitive.name  # type: ignore[union-attr]
        if name == "contract":
            return True
        if name in ("reshape", "permute_dims"):
            waiting.extend(low.readers[r])
    return False


def by_groups(table: np.ndarray, letters: str, n: str, *groups: str, sizes: dict[str, int]) -> np.ndarray:
    """An array with one axis for each letter as one with an axis for each group of letters."""
    table = table.transpose([letters.index(c) for c in n + "".join(groups) if c in letters])
    return table.reshape([prod([sizes[c] for c in group]) for group in groups])


def cells_of(low: Cells, p: Pending, *groups: str) -> Names:
    """The cells of x by groups of letters, from one value and evenly enough spaced to be a[j] + b[k] for each g."""
    found = low.names(p.x, p.in_x.index(p.n), p.stage)
    assert found is not None, "x was laned when the contraction was written down"
    names = by_groups(found, p.in_x, p.n, *groups, sizes=p.sizes)
    at = low.stages[p.stage]
    if len(list(at.values(names))) > 1 or not names.all() or not all(_even(part) for part in names):
        names = by_groups(low.copy(p.line, np.ascontiguousarray(found), p.stage), p.in_x, p.n, *groups, sizes=p.sizes)
    return names


def _even(part: Names) -> bool:
    return bool(np.array_equal(part, part[:, :1] + part[:1] - part[:1, :1]))


def emit(low: Cells, p: Pending) -> None:
    """out[g, i, j] = bias[g, i] + sum_k w[g, i, k] x[g, j, k], one instruction for each g."""
    g, free, j, k = p.letters()
    x = cells_of(low, p, g, j, k)
    w = by_groups(
        np.arange(prod([p.sizes[c] for c in p.in_w])).reshape([p.sizes[c] for c in p.in_w]),
        p.in_w,
        "",
        g,
        free,
        k,
        sizes=p.sizes,
    )
    letters = [p.n, *j, *g, *free]
    shape = tuple(1 if c == p.n else p.sizes[c] for c in letters)
    out = low.fresh(shape, p.stage, None, len(g) + len(free), prod([p.sizes[c] for c in free]))
    out = out.transpose([letters.index(c) for c in p.result])
    table = by_groups(out, p.result, p.n, g, free, j, sizes=p.sizes)
    for part in range(len(x)):
        gemm(
            low,
            p,
            table[part],
            w[part][:, 0],
            w[part][0] - w[part][0, 0],
            x[part][:, 0],
            x[part][0] - x[part][0, 0],
            part,
        )
    low.place(p.line, out.reshape(low.one(p.shape, p.axis)), p.axis, p.stage)


def gemm(low: Cells, p: Pending, out: Names, sb: Any, sk: Any, vb: Names, vk: Any, part: int) -> None:
    at = low.stages[p.stage]
    more: dict[str, Any] = {"sb": sb, "sk": sk, "vb": vb, "vk": vk, "bias": None, "relu": p.relu}
    if p.bias is not None:
        more["bias"] = (at.input(Input(p.bias[0], None)), p.bias[1][part])
    reads = [(vb[:, None] + vk).ravel()] if vb.size * vk.size < 1 << 16 else [np.unique(vb)]
    at.instructions.append(Instruction(GEMM, [out], reads, p.line, array=at.input(Input(p.w, None)), more=more))


# ---- results for all examples together


def _over_examples(
    low: Cells, i: int, line: Line, in_a: str, in_b: str, result: str, n: str, sizes: dict[str, int]
) -> bool:
    """sum over n and k of a[n, g, i, k] * b[n, g, j, k]: an array, one for all examples."""
    a, b = line.operands
    if result and result[-1] in in_a and result[-1] not in in_b:
        a, b, in_a, in_b = b, a, in_b, in_a
    stage = low.stage(a, b)
    names = [low.names(x, letters.index(n), stage) for x, letters in ((a, in_a), (b, in_b))]
    if names[0] is None or names[1] is None:
        return False
    g = "".join(c for c in result if c in in_a and c in in_b)
    k = "".join(c for c in in_a if c in in_b and c not in result and c != n)
    rows, columns = [
        "".join(c for c in result if c in mine and c not in other) for mine, other in ((in_a, in_b), (in_b, in_a))
    ]
    if low.row:
        sides = [(names[0], in_a, rows), (names[1], in_b, columns)]
        return _rows_of_vectors(low, i, line, sides, (n, g, k, result), sizes, stage)
    terms = prod([sizes[c] for c in k])
    outer = terms < _FEW and not g and result == rows + columns
    tables = []
    for found, letters, free in ((names[0], in_a, rows), (names[1], in_b, columns)):
        low.clear(i, found, stage)
        table = by_groups(found, letters, n, g, free, k, sizes=sizes)
        one = len(list(low.stages[stage].values(table))) == 1
        if not (one and table.all() and all(_even(part) for part in table)) and not (outer and free == columns):
            table = by_groups(low.copy(i, np.ascontiguousarray(found), stage), letters, n, g, free, k, sizes=sizes)
        tables.append(table)
    at = low.stages[stage]
    height, width = (prod([sizes[c] for c in part]) for part in (rows, columns))
    at.results.append(
        Result(i, height, width, True, line.shape) if outer else Result(i, 1, prod(line.shape), False, line.shape)
    )
    number = len(at.results) - 1
    low.ready[i], low.axis[i] = stage + 1, None
    if outer:
        more = {"a": tables[0][0], "b": tables[1][0].T}
        at.instructions.append(
            Instruction(OUTER, [], [tables[0].ravel(), tables[1].ravel()], i, array=number, more=more)
        )
        return True
    places = np.arange(prod(line.shape)).reshape(line.shape)
    o = by_groups(places, result, "", g, rows, columns, sizes=sizes)
    for part in range(len(o)):
        more = {"a": tables[0][part], "b": tables[1][part], "o": o[part]}
        reads = [np.unique(tables[0][part]), np.unique(tables[1][part])]
        at.instructions.append(Instruction(DOT, [], reads, i, array=number, more=more))
    return True


def _rows_of_vectors(
    low: Cells,
    i: int,
    line: Line,
    sides: list[tuple[Names, str, str]],
    letters: tuple[str, str, str, str],
    sizes: dict[str, int],
    stage: int,
) -> bool:
    """The same with channels in the lanes: numbers of one side times vectors of the other, whose cells stand side by side."""
    n, g, k, result = letters
    tables = [by_groups(found, mine, n, g, free, k, sizes=sizes) for found, mine, free in sides]

    def vectors(side: int) -> float:
        """How many vector products it takes with this side in vectors; without end if its cells do not stand side by side.

        Results in another order than the line's are put in order one by one, once in a run.
        """
        terms, height, width = (prod([sizes[c] for c in x]) for x in (k, sides[1 - side][2], sides[side][2]))
        in_order = result == g + sides[1 - side][2] + sides[side][2]
        beside = bool((np.diff(tables[side], axis=1) == 1).all()) and bool(tables[side].all())
        beside = beside and len(list(low.stages[stage].values(tables[side]))) == 1
        products = terms * height * -(-width // low.row) + (0 if in_order else prod(line.shape) / low.examples)
        return products if beside else float("inf")

    side = 0 if vectors(0) < vectors(1) else 1
    if vectors(side) == float("inf"):
        found, mine, free = sides[side]
        outside = [d for d, c in enumerate(mine) if c not in free]
        order = [*outside, *[d for d in range(len(mine)) if d not in outside]]
        moved = np.ascontiguousarray(found.transpose(order))
        moved = low.copy(
            i, moved, stage, low.fresh(moved.shape, stage, None, len(free), prod(moved.shape[len(outside) :]))
        )
        tables[side] = by_groups(moved, "".join(mine[d] for d in order), n, g, free, k, sizes=sizes)
    found, mine, free = sides[1 - side]
    table = tables[1 - side]
    at = low.stages[stage]
    if not (len(list(at.values(table))) == 1 and table.all() and all(_even(part) for part in table)):
        tables[1 - side] = by_groups(low.copy(i, np.ascontiguousarray(found), stage), mine, n, g, free, k, sizes=sizes)
    a, b = tables[1 - side], tables[side]
    places = np.arange(prod(line.shape)).reshape(line.shape)
    o = by_groups(places, result, "", g, sides[1 - side][2], sides[side][2], sizes=sizes)
    o = o.reshape(-1, o.shape[2])
    at.results.append(Result(i, *o.shape, True, line.shape, None if (np.diff(o.ravel()) == 1).all() else o))
    low.ready[i], low.axis[i] = stage + 1, None
    for part in range(len(a)):
        more = {"a": a[part], "b": b[part], "row": part * a.shape[1]}
        reads = [np.unique(a[part]), np.unique(b[part])]
        at.instructions.append(Instruction(DOT, [], reads, i, array=len(at.results) - 1, more=more))
    return True
