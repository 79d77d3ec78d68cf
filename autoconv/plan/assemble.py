"""From a stage's instructions to the machine's own terms: cells get addresses, contractions get tiles, tables one pool.

Memory: each value lives from the instruction that writes it first to the one that reads it last; values that do not live at
the same time share addresses (first fit).
"""

from __future__ import annotations

import struct
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

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
    TOTAL,
    Instruction,
    Stage,
)

_WIDTH = 16


class Assembled:
    """A stage in bytes: ``code``, ``tables``, ``results``, and how many numbers its cells and its sums take."""

    def __init__(self, stage: Stage, lanes: int, registers: int) -> None:
        self.stage, self.lanes, self.registers = stage, lanes, registers
        self._tables: list[np.ndarray] = []
        self._known: dict[bytes, int] = {}
        self._size = 0
        self.spare: dict[int, int] = {}
        self._where = self._place()
        self._sums = self._results()
        rows = [self._row(number, one) for number, one in enumerate(stage.instructions)]
        self.code = np.array(rows, np.int64).reshape(-1, _WIDTH).tobytes()
        self.tables = np.concatenate([*self._tables, np.zeros(1, np.int32)]).tobytes()

    # ---- memory

    def _place(self) -> np.ndarray:
        """The address of every cell, in numbers."""
        stage, first, last = self.stage, {}, {}  # type: ignore[var-annotated]
        for number, one in enumerate(stage.instructions):
            for names in (*one.writes, *one.reads):
                for value in stage.values(names):
                    first.setdefault(value, number)
                    last[value] = number
        ends = [*stage.starts[1:], stage.end]
        wanted = [(begin, last[v], (ends[v] - stage.starts[v]) * self.lanes, v) for v, begin in first.items() if v]
        for number, one in enumerate(stage.instructions):
            if one.kind == OUTER:
                terms, columns = one.more["b"].shape
                wanted.append((number, number, terms * self.lanes * self._pitch(columns), -1 - number))
        where = np.zeros(stage.end, np.int32)
        taken: list[tuple[int, int, int]] = []  # (address, size, last use) of what lives, by address
        self.cells = self.lanes
        for begin, end, size, value in sorted(wanted, key=lambda w: w[0]):
            taken = [t for t in taken if t[2] >= begin]
            at = self.lanes
            for address, length, _ in taken:
                if at + size <= address:
                    break
                at = max(at, address + length)
            taken = sorted([*taken, (at, size, end)])
            self.cells = max(self.cells, at + size)
            if value < 0:
                self.spare[-1 - value] = at
            else:
                start, stop = stage.starts[value], ends[value]
                where[start:stop] = at + np.arange(stop - start, dtype=np.int32) * self.lanes
        return where

    def _pitch(self, columns: int) -> int:
        return -(-columns // self.lanes) * self.lanes

    def _results(self) -> list[int]:
        """Where in the sums each result begins."""
        starts, rows, end = [], [], 0
        arrays = len(self.stage.inputs) + len(self.stage.outputs)
        for number, r in enumerate(self.stage.results):
            pitch = self._pitch(r.columns) if r.padded else r.columns
            starts.append(end)
            rows.append([arrays + number, end, r.rows, r.columns, pitch, 0, 0, 0])
            end = -(-(end + r.rows * pitch) // 16) * 16
        self.numbers = end
        self.results = np.array(rows, np.int64).reshape(-1, 8).tobytes()
        return starts

    def _table(self, values: Any) -> int:
        """Where in the pool this table begins; equal tables are there once."""
        table = np.ascontiguousarray(values, np.int32).ravel()
        key = table.tobytes()
        if key not in self._known:
            self._known[key] = self._size
            self._tables.append(table)
            self._size += table.size
        return self._known[key]

    # ---- instructions

    def _row(self, number: int, one: Instruction) -> list[int]:
        at, table, lanes = self._where, self._table, self.lanes
        w = [one.kind] + [0] * (_WIDTH - 1)
        if one.kind == MAP:
            reads = [table(at[names]) for names in one.reads]
            reads += reads[:1] * (3 - len(reads))
            w[1:7] = [one.operation, one.writes[0].size, table(at[one.writes[0]]), *reads]
            w[7:10] = struct.unpack("3q", struct.pack("3d", *one.numbers))
        elif one.kind == GATHER:
            names = one.reads[0]
            w[2:6] = [len(names), table(at[one.writes[0]]), table(at[names]), names.shape[1]]
        elif one.kind in (LOAD, SPLAT):
            w[2:5] = [one.writes[0].size, table(at[one.writes[0]]), one.array]
        elif one.kind == STORE:
            w[2:5] = [one.reads[0].size, table(at[one.reads[0]]), len(self.stage.inputs) + one.array]
        elif one.kind == CHOOSE:
            w[2:6] = [one.reads[0].size, table(at[one.reads[0]]), one.array, table(at[one.writes[0]])]
        elif one.kind == PLACE:
            w[2:6] = [one.writes[0].size, table(at[one.writes[0]]), one.array, table(at[one.reads[0]])]
        elif one.kind == CLEAR:
            w[2:4] = [one.reads[0].size, table(at[one.reads[0]])]
        elif one.kind == TOTAL:
            names = one.reads[0]
            w[2:6] = [len(names), self._sums[one.array], table(at[names]), names.shape[1]]
        elif one.kind == GEMM:
            self._gemm(w, one)
        elif one.kind == DOT:
            a, b, o = (one.more[k] for k in "abo")
            w[1] = a.shape[1]
            w[4:8] = [
                table(at[a[:, 0]]),
                table((a[0] - a[0, 0]) * lanes),
                table(at[b[:, 0]]),
                table((b[0] - b[0, 0]) * lanes),
            ]
            w[8:10] = [table(self._sums[one.array] + o[:, 0]), table(o[0] - o[0, 0])]
            self._tiles(w, len(a), len(b), 7, 4)
        elif one.kind == OUTER:
            self._outer(w, number, one)
        return w

    def _gemm(self, w: list[int], one: Instruction) -> None:
        at, table, more, out = self._where, self._table, one.more, self._where[one.writes[0]]
        w[1:4] = [len(more["sk"]), one.array, -1]
        w[4:8] = [
            table(more["sb"]),
            table(more["sk"]),
            table(at[more["vb"]]),
            table(np.asarray(more["vk"]) * self.lanes),
        ]
        w[8:10] = [table(out[:, 0]), table(out[0] - out[0, 0])]
        if more["bias"] is not None:
            w[3], w[10] = more["bias"][0], table(more["bias"][1])
        self._tiles(w, out.shape[0], out.shape[1], 8, 4)

    def _outer(self, w: list[int], number: int, one: Instruction) -> None:
        at, table, lanes = self._where, self._table, self.lanes
        a, b = one.more["a"], one.more["b"]
        pitch, rows = self._pitch(b.shape[1]), np.arange(len(a))
        terms, vectors = a.shape[1] * lanes, pitch // lanes
        steps = ((a[0] - a[0, 0]) * lanes)[:, None] + np.arange(lanes)
        w[1:4] = [terms, b.shape[1], pitch]
        w[4:8] = [table(at[a[:, 0]]), table(steps), table(np.arange(vectors) * lanes), table(np.arange(terms) * pitch)]
        w[8:11] = [table(self._sums[one.array] + rows * pitch), table(np.arange(vectors) * lanes), table(at[b])]
        self._tiles(w, len(a), vectors, 8, 4)
        w[15] = self.spare[number]

    def _tiles(self, w: list[int], height: int, width: int, tallest: int, widest: int) -> None:
        tall, wide = tiles(height, width, tallest, widest, self.registers)
        w[11:15] = [self._table(tall), len(tall), self._table(wide), len(wide)]


@cache
def tiles(
    height: int, width: int, tallest: int, widest: int, registers: int
) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
    """How height x width results are cut into tiles of at most ``registers``: ((start, size), ...) for either side.

    A step of a tile of i x j costs i * j multiplications, at least 8 (what hides their latency), and a little for each load.
    """
    best: tuple[float, Any, Any] | None = None
    for j in range(1, min(widest, width) + 1):
        wide = _cut(width, j)
        for i in range(1, min(tallest, height, registers // j) + 1):
            tall = _cut(height, i)
            cost = sum(
                n * m * (max(h * v, 8) + 0.3 * v + 0.15 * h + 1) for h, n in _count(tall) for v, m in _count(wide)
            )
            if best is None or cost < best[0]:
                best = (cost, tall, wide)
    assert best is not None
    return best[1], best[2]


def _cut(length: int, size: int) -> tuple[tuple[int, int], ...]:
    """Parts of about ``size``, none larger, as even as can be."""
    count = -(-length // size)
    ends = [length * k // count for k in range(count + 1)]
    return tuple((a, b - a) for a, b in pairwise(ends))


def _count(parts: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
    sizes = [size for _, size in parts]
    return [(size, sizes.count(size)) for size in sorted(set(sizes))]
