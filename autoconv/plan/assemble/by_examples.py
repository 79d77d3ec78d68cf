"""Instructions with the examples in the lanes: a cell holds one number of each example of a block, in whole vectors.

Stride, dilation, padding and groups cost nothing here, since every access is one whole vector, whatever its place.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from ..lower.instructions import (
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
    Stage,
)
from .assemble import GROWS, IN_MEMORY, IN_SUMS, NOWHERE, POSITIVE_PART, WIDTH, Assembled
from .layout import Layout
from .strips import groups, strips


class ByExamples(Assembled):
    """A stage whose cells hold one number of each example of a block, in one vector or several side by side."""

    def __init__(self, stage: Stage, layout: Layout) -> None:
        self.cell = layout.lanes * layout.vectors
        self._beside = np.arange(layout.vectors) * layout.lanes
        super().__init__(stage, layout)

    def vectors(self, addresses: np.ndarray) -> np.ndarray:
        """The addresses of all vectors of cells at these addresses, those of a cell one after the other."""
        return (addresses[..., None] + self._beside).reshape(*addresses.shape[:-1], -1)

    def spare_numbers(self, one: Instruction) -> int:
        """OUTER turns the lanes of one operand into rows."""
        if one.kind != OUTER:
            return 0
        terms, columns = one.more["b"].shape
        return terms * self.cell * self.pitch(columns)

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
                head = [STRIPS, len(group), ends.shape[1] - 1, self.table(ends * len(self._beside))]
                yield head + [0] * (WIDTH - len(head))
                for one in group:
                    yield from self.rows(number, one)
            else:
                yield from self.rows(number, self.stage.instructions[number])
            number = end

    def rows(self, number: int, one: Instruction) -> list[list[int]]:
        """One or two rows of words."""
        at, table = self.where, self.table
        if one.kind in (GEMM, DOT, OUTER):
            return {GEMM: self._gemm, DOT: self._dot, OUTER: self._outer}[one.kind](number, one)
        w = [one.kind] + [0] * (WIDTH - 1)
        if one.kind == MAP:
            reads = [table(self.vectors(at[names])) for names in one.reads]
            reads += reads[:1] * (3 - len(reads))
            vectors = self.vectors(at[one.writes[0]])
            w[1:7] = [one.operation, vectors.size, table(vectors), *reads]
            w[12:15] = struct.unpack("3q", struct.pack("3d", *one.numbers))
        elif one.kind == GATHER:
            vectors, terms = self.vectors(at[one.writes[0]]), self._terms(one.reads[0])
            w[2:7] = [vectors.size, table(vectors), table(terms), one.reads[0].shape[1], IN_MEMORY]
        elif one.kind in (LOAD, SPLAT):
            kept = self.stage.inputs[one.array].kept
            w[2:6] = [one.writes[0].size, table(at[one.writes[0]]), one.array, int(kept)]
            if one.kind == SPLAT:
                w[5] = self.cell
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
            names = self.vectors(at[one.reads[0]])
            w[2:6] = [len(names), self.sums[one.array], table(names), names.shape[1]]
        return [w]

    def _terms(self, names: np.ndarray) -> np.ndarray:
        """What is added up for each vector of a result, of which ``names`` (results, terms) are the cells."""
        return (self.where[names][:, None, :] + self._beside[:, None]).reshape(-1, names.shape[1])

    def _gemm(self, number: int, one: Instruction) -> list[list[int]]:
        at, more = self.where, one.more
        out, bias = at[one.writes[0]], more["bias"]
        rows = [self.vectors(at[np.asarray(more["vb"])]), np.asarray(more["vk"]) * self.cell]
        tables = [more["sb"], more["sk"], *rows, out[:, 0], self.vectors(out[0] - out[0, 0])]
        places = [one.array, IN_MEMORY, IN_MEMORY, NOWHERE if bias is None else bias[0]]
        flags = POSITIVE_PART if more.get("relu") else 0
        w = self.contraction(GEMM, len(more["sk"]), places, flags, [*tables, [0] if bias is None else bias[1]])
        self.tiles(w, len(out), len(rows[0]), 8, 4)
        return [w]

    def _dot(self, number: int, one: Instruction) -> list[list[int]]:
        at, a, b = self.where, one.more["a"], one.more["b"]
        steps = [self.vectors((x[0] - x[0, 0]) * self.cell) for x in (a, b)]
        o = self.sums[one.array] + one.more["o"]
        tables = [at[a[:, 0]], steps[0], at[b[:, 0]], steps[1], o[:, 0], o[0] - o[0, 0]]
        w = self.contraction(DOT, len(steps[0]), [IN_MEMORY, IN_MEMORY, IN_SUMS, NOWHERE], GROWS, tables)
        self.tiles(w, len(a), len(b), 7, 4, loads=1)
        return [w]

    def _outer(self, number: int, one: Instruction) -> list[list[int]]:
        """The lanes of b become rows of numbers side by side; then numbers of a times vectors of these."""
        at, lanes, a, b = self.where, self.lanes, one.more["a"], one.more["b"]
        pitch, rows = self.pitch(b.shape[1]), np.arange(len(a))
        turned = at[b][:, None, :] + self._beside[:, None]  # (terms, vectors of a cell, columns)
        spare, sums = self.spare(number), self.sums[one.array]
        turn = [OUTER, turned.size // b.shape[1], b.shape[1], self.table(turned), pitch, spare]
        terms, vectors = a.shape[1] * self.cell, np.arange(pitch // lanes) * lanes
        steps = ((a[0] - a[0, 0]) * self.cell)[:, None] + np.arange(self.cell)
        tables = [at[a[:, 0]], steps, spare + vectors, np.arange(terms) * pitch, sums + rows * pitch, vectors]
        w = self.contraction(GEMM, terms, [IN_MEMORY, IN_MEMORY, IN_SUMS, NOWHERE], GROWS, [*tables, [0]])
        self.tiles(w, len(a), len(vectors), 8, 4)
        return [turn + [0] * (WIDTH - len(turn)), w]
