"""Contractions as tables of positions: a convolution, its gradients, and every matrix product.

Letters of a contraction of x (with an example letter n) and an array w fall into groups g (both and the result), summed
k (both), free i of w and free j of x:

    out[g, i, j] = sum_k w[g, i, k] * x[g, j, k]            instruction Gemm, one for each g

When n is summed and both have it, the result is one array for all examples (Dot, or Outer when few terms are summed for
each example).  When both have it and the result as well, as in attention, each example has a product of its own
(Product), with channels in the lanes.
  A contraction waits for its reader, which may be a bias, a relu or an ``overlap_add`` that becomes part
of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from ...program.program import Line
from ...shapes import Shape
from ..channelwise import Channelwise
from ..contractions import FEW, Dot, Gemm, Outer, Product, Spaced, beside
from ..instructions import Registers
from ..kernel import Input, Kernel, Result
from . import channelwise, known_zeros
from .letters import by_groups, in_groups, in_order, one_value, split
from .lowering import Lowering

_WIDE = 8  # numbers in a row from which on a result over examples has rows of vectors, however many terms there are


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
    kernel: int
    bias: tuple[int, np.ndarray] | None = None
    relu: bool = False

    def emit(self, low: Lowering) -> None:
        """out[g, i, j] = bias[g, i] + sum_k w[g, i, k] x[g, j, k], one instruction for each g."""
        g, free, j, k = self.letters()
        each = self.channelwise(low, free, j, k)
        letters = [self.n, *j, *g, *free]
        shape = tuple(1 if c == self.n else self.sizes[c] for c in letters)
        row = prod([self.sizes[c] for c in (g if each else free)])
        out = low.fresh(shape, self.kernel, None, len(g) + len(free), row)
        out = out.transpose([letters.index(c) for c in self.result])
        table = by_groups(out, self.result, self.n, g, free, j, sizes=self.sizes)
        if each is not None:
            weights = in_groups(in_order(self.in_w, self.sizes), self.in_w, "", g + free, k)[0]
            by_channel(low, self, table[:, 0], weights, *each)
        else:
            x = registers_of(low, self, g, j, k)
            w = in_groups(in_order(self.in_w, self.sizes), self.in_w, g, free, k)
            for there in self.parts(low, j, k, table.shape[1]):
                for part in range(len(x)):
                    weights = known_zeros.split(w[part], (slice(None), there[1]))
                    gemm(low, self, table[part][:, there[0]], weights, known_zeros.split(x[part], there), part)
        low.place(self.line, out.reshape(low.one(self.shape, self.axis)), self.axis, self.kernel)

    def parts(self, low: Lowering, j: str, k: str, results: int) -> list[known_zeros.Part]:
        """The places and the terms that contractions are made of, one for each class of places with the same terms."""
        at, looked = low.kernels[self.kernel], prod(low.program.lines[self.w].shape)
        found = low.laned(self.x, self.in_x.index(self.n), self.kernel)
        made = known_zeros.parts(low, at, found, self.in_x, j, k, results, looked)
        if made is not known_zeros.WHOLE:
            at.finite[at.input(Input(self.w, None))] = looked
        return made

    def channelwise(self, low: Lowering, free: str, j: str, k: str) -> tuple[Spaced, np.ndarray] | None:
        """The registers of x by channels, where every group has one channel of results and they stand so."""
        g = self.letters()[0]
        if not channelwise.possible(g, free, self.sizes):
            return None
        found = low.laned(self.x, self.in_x.index(self.n), self.kernel)
        return channelwise.registers(low, self.line, self.kernel, found, self.in_x, (self.n, g, j, k), self.sizes)

    def letters(self) -> tuple[str, str, str, str]:
        """g, i, j, k."""
        x = self.in_x.replace(self.n, "")
        g = "".join(c for c in x if c in self.in_w and c in self.result)
        i = "".join(c for c in self.result if c in self.in_w and c not in x)
        j = "".join(c for c in self.result if c in x and c not in self.in_w)
        return g, i, j, "".join(c for c in x if c in self.in_w and c not in self.result)


def lower(low: Lowering, i: int, line: Line) -> bool:
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
    if of_a is not None and of_a == of_b:
        return low.each_alone and _of_each_example(low, i, line, in_a, in_b, result, of_a, sizes)
    for x, w, in_x, in_w, n in ((a, b, in_a, in_b, of_a), (b, a, in_b, in_a, of_b)):
        if n is None or n in in_w or n not in result:
            continue
        kernel = low.open(max(low.kernel_for(x), low.array(w) + 1))
        low.pending[i] = Pending(i, x, w, in_x, in_w, result, n, sizes, line.shape, result.index(n), kernel)
        return True
    return False


def reshaped(low: Lowering, i: int, x: int, line: Line, axis: int) -> bool:
    """Reshape line i of a waiting contraction: it goes on waiting under the new shape."""
    if len(low.readers[x]) != 1 or x in low.program.outputs:
        return False
    low.pending[i] = replace(low.pending.pop(x), line=i, shape=line.shape, axis=axis)
    return True


def with_bias(low: Lowering, i: int, line: Line) -> bool:
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
        if source in low.lanes or low.array(source) + 1 > p.kernel:
            continue
        if (
            source in low.numpy and low.ready[source]
        ):  # from sums of earlier kernels: ``batch_invariant`` computes it in registers
            continue
        places = np.broadcast_to(np.arange(prod(shape)).reshape(shape), line.shape)
        places = places.take([0], axis=p.axis).reshape([1 if c == p.n else p.sizes[c] for c in p.result])
        g, free, j, _ = p.letters()
        table = by_groups(places, p.result, p.n, g, free, j, sizes=p.sizes)
        if (table == table[:, :, :1]).all() and not _varies(other.shape, shape, p.axis):
            low.pending[i] = replace(low.pending.pop(x), line=i, bias=(source, table[:, :, 0]))
            return True
    return False


def with_relu(low: Lowering, i: int, line: Line) -> bool:
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


def registers_of(low: Lowering, p: Pending, g: str, j: str, k: str) -> list[Spaced]:
    """The registers of x by groups of letters, for each place of the letters g, all of one value."""
    found = low.laned(p.x, p.in_x.index(p.n), p.kernel)
    return spaced_registers(low, p.line, p.kernel, found, p.in_x, p.n, g, j, k, p.sizes)


def copied(low: Lowering, p: Pending, g: str, j: str, k: str) -> list[Spaced]:
    """The same of a copy, whose registers are evenly spaced along each letter."""
    found = low.laned(p.x, p.in_x.index(p.n), p.kernel)
    return in_groups(low.copy(p.line, found, p.kernel), p.in_x, g, j, k)


def spaced_registers(
    low: Lowering, i: int, kernel: int, found: Registers, letters: str, n: str, g: str, j: str, k: str,
    sizes: dict[str, int],
) -> list[Spaced]:  # fmt: skip
    """Registers by groups of letters; copied where they are not spaced so."""
    made = split(found, letters, n, g, j, k, sizes) if one_value(low, kernel, found) else None
    if made is None:
        made = split(low.copy(i, found, kernel), letters, n, g, j, k, sizes)
        assert made is not None, "a copy's registers are numbered in order"
    return made


def gemm(low: Lowering, p: Pending, out: Registers, weights: Spaced, x: Spaced, part: int) -> None:
    """One Gemm of group number ``part``: its results, and the positions of its weights and registers."""
    at = low.kernels[p.kernel]
    bias = None if p.bias is None else (at.input(Input(p.bias[0], None)), p.bias[1][part])
    (weight_base, weight_step), (x_base, x_step), array = weights, x, at.input(Input(p.w, None))
    at.instructions.append(
        Gemm(
            p.line,
            [out],
            [x.one],
            array,
            weight_base=weight_base,
            weight_step=weight_step,
            x_base=x_base,
            x_step=x_step,
            bias=bias,
            relu=p.relu,
        )
    )


def by_channel(low: Lowering, p: Pending, out: Registers, weights: Spaced, x: Spaced, apart: np.ndarray) -> None:
    """All groups in one instruction: results [channel, place], the positions of weights and registers."""
    at = low.kernels[p.kernel]
    bias = None if p.bias is None else (at.input(Input(p.bias[0], None)), p.bias[1][:, 0])
    array = at.input(Input(p.w, None))
    made = Channelwise(p.line, [out], [x.one], array, weights=weights, x=x, apart=apart, bias=bias, relu=p.relu)
    at.instructions.append(made)


# ---- results for all examples together


def _last_in_second(line: Line, in_a: str, in_b: str, result: str) -> tuple[int, int, str, str]:
    """The two operands with their letters, in the order in which the result's last letter is one of the second."""
    a, b = line.operands
    return (b, a, in_b, in_a) if result and result[-1] in in_a and result[-1] not in in_b else (a, b, in_a, in_b)


def _over_examples(
    low: Lowering, i: int, line: Line, in_a: str, in_b: str, result: str, n: str, sizes: dict[str, int]
) -> bool:
    """sum over n and k of a[n, g, i, k] * b[n, g, j, k]: an array, one for all examples."""
    a, b, in_a, in_b = _last_in_second(line, in_a, in_b, result)
    kernel = low.kernel_for(a, b)
    registers = [low.laned(x, letters.index(n), kernel) for x, letters in ((a, in_a), (b, in_b))]
    g = "".join(c for c in result if c in in_a and c in in_b)
    k = "".join(c for c in in_a if c in in_b and c not in result and c != n)
    rows, columns = [
        "".join(c for c in result if c in mine and c not in other) for mine, other in ((in_a, in_b), (in_b, in_a))
    ]
    sides = [(registers[0], in_a, rows), (registers[1], in_b, columns)]
    if channelwise.over_examples(low, i, line, sides, (n, g, k, result), sizes, kernel):
        return True
    if low.channel_lanes:
        return _rows_of_vectors(low, i, line, sides, (n, g, k, result), sizes, kernel)
    at, few = low.kernels[kernel], prod([sizes[c] for c in k]) < FEW
    height, width = (prod([sizes[c] for c in part]) for part in (rows, columns))
    if width > height and not few:  # whatever the order of the result: few columns are soon transposed
        sides, rows, columns, height, width = sides[::-1], columns, rows, width, height
    spaced_sides: list[list[Spaced]] = []
    for found, letters, free in sides:
        low.clear(i, found, kernel)
        spaced_sides.append(spaced_registers(low, i, kernel, found, letters, n, g, free, k, sizes))
    places = in_groups(in_order(result, sizes), result, g, rows, columns)
    if not g and (few or width >= _WIDE):
        ((left,), (right,)), (there,) = spaced_sides, places
        of_line = None if result == rows + columns else there.base[:, None] + there.step
        made = Result(i, height, width, True, line.shape, of_line)
        number = low.over_examples(i, made, kernel)
        parts = _parts_of_sums(low, at, sides, k, made)
        at.instructions.append(Outer(i, [], [left.one, right.one], number, a=left, b=right, parts=parts))
        return True
    made = Result(i, 1, prod(line.shape), False, line.shape)
    number = low.over_examples(i, made, kernel)
    for at_a, at_b, at_k in _parts_of_sums(low, at, sides, k, made):
        for a, b, place in zip(*spaced_sides, places, strict=True):
            left, right = known_zeros.split(a, (at_a, at_k)), known_zeros.split(b, (at_b, at_k))
            there = Spaced(place.base[at_a], place.step[at_b])
            at.instructions.append(Dot(i, [], [left.one, right.one], number, a=left, b=right, places=there))
    return True


def _parts_of_sums(
    low: Lowering, at: Kernel, sides: list[tuple[Registers, str, str]], k: str, made: Result
) -> list[tuple[Any, Any, Any]]:
    """The sums over k that result ``made`` is of: which rows (of the first side), columns (of the second) and terms."""
    whole = slice(None)
    sizes = [prod([x.shape[mine.index(c)] for c in free]) for x, mine, free in sides]
    for side, (x, mine, free) in enumerate(sides):
        found = known_zeros.parts(low, at, x, mine, free, k, sizes[1 - side], made.rows * made.columns, True)
        if found is not known_zeros.WHOLE:
            made.finite = True
            return [(whole, p, terms) if side else (p, whole, terms) for p, terms in found]
    return [(whole, whole, whole)]


def _rows_of(
    low: Lowering, i: int, kernel: int, found: Registers, letters: str, g: str, free: str, k: str
) -> list[Spaced]:
    """A copy of registers in which those of the letters ``free`` stand side by side, in the order of ``free``."""
    outside = [d for d, c in enumerate(letters) if c not in free]
    order = [*outside, *[letters.index(c) for c in free]]
    moved = found.transpose(order)
    row = prod(moved.shape[len(outside) :])
    moved = low.copy(i, moved, kernel, low.fresh(moved.shape, kernel, None, len(free), row))
    made = in_groups(moved, "".join(letters[d] for d in order), g, free, k)
    side_by_side = not low.channel_lanes or all(beside(part.base) for part in made)
    assert side_by_side, "a vector is read from registers that stand side by side"
    return made


def _of_each_example(
    low: Lowering, i: int, line: Line, in_a: str, in_b: str, result: str, n: str, sizes: dict[str, int]
) -> bool:
    """out[n, g, i, j] = sum_k a[n, g, i, k] * b[n, g, j, k]: each example has operands and a result of its own."""
    a, b, in_a, in_b = _last_in_second(line, in_a, in_b, result)
    letters = [c for c in result if c != n]
    g = "".join(c for c in letters if c in in_a and c in in_b)
    rows, columns = ["".join(c for c in letters if c in mine and c not in g) for mine in (in_a, in_b)]
    k = "".join(c for c in in_a if c in in_b and c not in result)
    if sorted(n + g + rows + k) != sorted(in_a) or sorted(n + g + columns + k) != sorted(in_b):
        return False
    kernel = low.kernel_for(a, b)
    of_a, of_b = [low.laned(x, mine.index(n), kernel) for x, mine in ((a, in_a), (b, in_b))]
    left = spaced_registers(low, i, kernel, of_a, in_a, n, g, rows, k, sizes)
    right = split(of_b, in_b, n, g, columns, k, sizes) if one_value(low, kernel, of_b) else None
    if right is None or not all(beside(part.base) for part in right):
        right = _rows_of(low, i, kernel, of_b, in_b, g, columns, k)
    order = n + g + rows + columns
    width = prod([sizes[c] for c in columns])
    out = low.fresh(tuple([1 if c == n else sizes[c] for c in order]), kernel, None, len(columns), width)
    out = out.transpose([order.index(c) for c in result])
    table = by_groups(out, result, n, g, rows, columns, sizes=sizes)
    for part, (x, y) in enumerate(zip(left, right, strict=True)):
        low.kernels[kernel].instructions.append(Product(i, [table[part]], [x.one, y.one], a=x, b=y))
    return low.place(i, out, result.index(n), kernel)


def _rows_of_vectors(
    low: Lowering,
    i: int,
    line: Line,
    sides: list[tuple[Registers, str, str]],
    letters: tuple[str, str, str, str],
    sizes: dict[str, int],
    kernel: int,
) -> bool:
    """The same with channels in the lanes: numbers of one side times vectors of the other, whose registers are numbered
    in order."""
    n, g, k, result = letters
    tables = [
        split(found, mine, n, g, free, k, sizes) if one_value(low, kernel, found) else None
        for found, mine, free in sides
    ]

    def vectors(side: int) -> float:
        """How many vector products it takes with this side in vectors; infinite if its registers are not numbered in
        order.

        Results in another order than the line's are put in order one by one, once in a run.
        """
        terms, height, width = (prod([sizes[c] for c in x]) for x in (k, sides[1 - side][2], sides[side][2]))
        in_order = result == g + sides[1 - side][2] + sides[side][2]
        table = tables[side]
        products = terms * height * -(-width // low.channel_lanes) + (
            0 if in_order else prod(line.shape) / low.examples
        )
        return products if table is not None and all(beside(part.base) for part in table) else float("inf")

    side = 0 if vectors(0) < vectors(1) else 1
    if vectors(side) == float("inf"):
        found, mine, free = sides[side]
        tables[side] = _rows_of(low, i, kernel, found, mine, g, free, k)
    found, mine, free = sides[1 - side]
    numbers = tables[1 - side] or spaced_registers(low, i, kernel, found, mine, n, g, free, k, sizes)
    at, (height, width) = low.kernels[kernel], (prod([sizes[c] for c in x]) for x in (free, sides[side][2]))
    places = None
    if result != g + free + sides[side][2]:
        o = by_groups(np.arange(prod(line.shape)).reshape(line.shape), result, "", g, free, sides[side][2], sizes=sizes)
        places = None if beside(o.reshape(-1)) else o.reshape(-1, width)
    in_vectors = tables[side]
    assert in_vectors is not None
    made = Result(i, len(in_vectors) * height, width, True, line.shape, places)
    number = low.over_examples(i, made, kernel)
    skipping = known_zeros.parts(low, at, found, mine, free, k, width, made.rows * width, True)
    made.finite = skipping is not known_zeros.WHOLE
    for there in skipping:
        for part, (numbers_of, vectors_of) in enumerate(zip(numbers, in_vectors, strict=True)):
            a, b = known_zeros.split(numbers_of, there), known_zeros.split(vectors_of, (slice(None), there[1]))
            rows = part * height + np.arange(height)[there[0]]
            at.instructions.append(Dot(i, [], [a.one, b.one], number, a=a, b=b, rows=rows))
    return True
