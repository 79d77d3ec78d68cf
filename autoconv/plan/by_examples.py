"""Instructions with the examples in the lanes: a cell is a vector that holds one number of each example of a block.

Stride, dilation, padding and groups cost nothing here, since every access is one whole vector, whatever its place.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from .assemble import GROWS, IN_MEMORY, IN_SUMS, NOWHERE, POSITIVE_PART, WIDTH, Assembled
from .instructions import (
    CHOOSE,
    CLEAR,
    DOT,
    GATHER,
    GEMM,
    LOAD,
    MAP,
    OUTER,
    PLACE,
    SPLAT,
    STORE,
    STRIPS,
    TOTAL,
    Instruction,
)
from .strips import groups, strips


class ByExamples(Assembled):
    """A stage whose vectors are examples."""

    @property
    def cell(self) -> int:  # type: ignore[override]
        """How many numbers a cell has."""
        return self.lanes

    def spare_numbers(self, one: Instruction) -> int:
        """OUTER turns the lanes of one operand into rows."""
        if one.kind != OUTER:
            return 0
        terms, columns = one.more["b"].shape
        return terms * self.lanes * self.pitch(columns)

    def together(self) -> list[tuple[int, int]]:
        """Elementwise instructions that are done strip by strip."""
        return groups(self.stage)

    def written(self) -> Iterator[list[int]]:
        """The words of all instructions, those of a group in strips."""
        begun = dict(self.together())
        number = 0
        while number < len(self.stage.instructions):
            end = begun.get(number, number + 1)
            if number in begun:
                group, ends = strips(self.stage, number, end)
                head = [STRIPS, len(group), ends.shape[1] - 1, self.table(ends)]
                yield head + [0] * (WIDTH - len(head))
                for one in group:
                    yield from self.rows(number, one)
            else:
                yield from self.rows(number, self.stage.instructions[number])
            number = end

    def rows(self, number: int, one: Instruction) -> list[list[int]]:
        """One row of words."""
        at, table = self.where, self.table
        if one.kind in (GEMM, DOT, OUTER):
            return [self._contraction(number, one)]
        w = [one.kind] + [0] * (WIDTH - 1)
        if one.kind == MAP:
            reads = [table(at[names]) for names in one.reads]
            reads += reads[:1] * (3 - len(reads))
            w[1:7] = [one.operation, one.writes[0].size, table(at[one.writes[0]]), *reads]
            w[12:15] = struct.unpack("3q", struct.pack("3d", *one.numbers))
        elif one.kind == GATHER:
            names = one.reads[0]
            w[2:7] = [len(names), table(at[one.writes[0]]), table(at[names]), names.shape[1], IN_MEMORY]
        elif one.kind in (LOAD, SPLAT):
            source = self.stage.inputs[one.array]
            w[2:6] = [one.writes[0].size, table(at[one.writes[0]]), one.array, int(source.kept)]
        elif one.kind == STORE:
            w[2:5] = [one.reads[0].size, table(at[one.reads[0]]), len(self.stage.inputs) + one.array]
            w[5] = int(self.stage.outputs[one.array].kept)
        elif one.kind == CHOOSE:
            w[2:6] = [one.reads[0].size, table(at[one.reads[0]]), one.array, table(at[one.writes[0]])]
        elif one.kind == PLACE:
            w[2:6] = [one.writes[0].size, table(at[one.writes[0]]), one.array, table(at[one.reads[0]])]
        elif one.kind == CLEAR:
            w[2:4] = [one.reads[0].size, table(at[one.reads[0]])]
        elif one.kind == TOTAL:
            names = one.reads[0]
            w[2:6] = [len(names), self.sums[one.array], table(at[names]), names.shape[1]]
        return [w]

    def _contraction(self, number: int, one: Instruction) -> list[int]:
        at, lanes, more = self.where, self.lanes, one.more
        if one.kind == GEMM:
            out, bias = at[one.writes[0]], more["bias"]
            tables = [
                more["sb"],
                more["sk"],
                at[more["vb"]],
                np.asarray(more["vk"]) * lanes,
                out[:, 0],
                out[0] - out[0, 0],
            ]
            places = [one.array, IN_MEMORY, IN_MEMORY, NOWHERE if bias is None else bias[0]]
            flags = POSITIVE_PART if more.get("relu") else 0
            w = self.contraction(GEMM, len(more["sk"]), places, flags, [*tables, [0] if bias is None else bias[1]])
            self.tiles(w, len(out), out.shape[1], 8, 4)
            return w
        a, b = more["a"], more["b"]
        if one.kind == DOT:
            steps = [(x[0] - x[0, 0]) * lanes for x in (a, b)]
            o = self.sums[one.array] + more["o"]
            tables = [at[a[:, 0]], steps[0], at[b[:, 0]], steps[1], o[:, 0], o[0] - o[0, 0]]
            w = self.contraction(DOT, a.shape[1], [IN_MEMORY, IN_MEMORY, IN_SUMS, NOWHERE], GROWS, tables)
            self.tiles(w, len(a), len(b), 7, 4, loads=1)
            return w
        pitch, rows = self.pitch(b.shape[1]), np.arange(len(a))
        terms, vectors = a.shape[1] * lanes, np.arange(pitch // lanes) * lanes
        steps = ((a[0] - a[0, 0]) * lanes)[:, None] + np.arange(lanes)
        spare, sums = self.spare[number], self.sums[one.array]
        tables = [at[a[:, 0]], steps, spare + vectors, np.arange(terms) * pitch, sums + rows * pitch, vectors, at[b]]
        w = self.contraction(OUTER, terms, [b.shape[1], IN_MEMORY, IN_SUMS, NOWHERE], GROWS, tables)
        self.tiles(w, len(a), len(vectors), 8, 4)
        w[18:21] = [pitch, spare, IN_MEMORY]
        return w
