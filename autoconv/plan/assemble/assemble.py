"""From a stage's instructions to the machine's own terms: cells get addresses, contractions get tiles, tables one pool.

Memory: each value lives from the instruction that writes it first to the one that reads it last; values that do not live at
the same time share addresses (first fit).  How an instruction is written down depends on what the lanes of a vector are:
``by_examples`` (a cell is a vector of examples) and ``by_channels`` (a cell is a number, vectors are rows of cells).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from ..lower.instructions import Instruction, Stage
from .layout import Layout
from .team import STORING, WORK, Rows, shared

WIDTH = 24
IN_MEMORY, IN_SUMS, IN_PACKED, NOWHERE = (
    -1,
    -2,
    -3,
    -4,
)  # where a contraction's operands stand, or the number of an array
GROWS, POSITIVE_PART, BIAS_OF_VECTORS, ROWS_OUTSIDE, ADDS = 1, 2, 4, 8, 16  # properties of a contraction
_SUMS_AT_HAND = 1 << 19  # numbers: what the sums of all chunks may take before they crowd the cache


class Assembled:
    """A stage in bytes: ``code``, ``tables``, ``results``, ``packing``, and ``phases`` and ``tasks`` for threads that share a block;
    and how many numbers its memory, sums and packed arrays take.
    """

    cell = 1  # how many numbers a cell has

    def __init__(self, stage: Stage, layout: Layout) -> None:
        self.stage, self.lanes, self.registers = stage, layout.lanes, layout.registers
        self.team = layout.team
        self._tables: list[np.ndarray] = []
        self._known: dict[bytes, int] = {}
        self._size = 0
        self.packs = 0
        self.packing = b""
        self.memory: dict[
            int, tuple[int, int]
        ] = {}  # (address, size) of values, and under -1 - i what instruction i needs for itself
        self.where = self._place()
        self.sums = self._results()
        self.prepare()
        rows, phases, tasks = self._shared() if self.team > 1 else (list(self.written()), [], [])
        self.code, self.phases, self.tasks = (np.array(x, np.int64).tobytes() for x in (rows, phases, tasks))
        self.finish()
        self.tables = np.concatenate([*self._tables, np.zeros(1, np.int32)]).tobytes()

    def machine(self, maker: Any, bytes_: int, parts: int) -> Any:
        """The program, ready to run on up to ``parts`` threads."""
        chunks = max(parts, min(4 * parts, _SUMS_AT_HAND // max(1, self.numbers)))
        stage = self.stage
        words = self.code, self.tables, self.results, self.packing, self.phases, self.tasks
        sizes = len(stage.inputs) + len(stage.outputs) + len(stage.results), self.cells, self.numbers, self.packs
        return maker(*words, *sizes, bytes_, self.lanes, self.cell, chunks)

    def _shared(self) -> tuple[Rows, Rows, Rows]:
        """The rows sorted into phases, for threads that share a block."""
        rows = [self.rows(number, one) for number, one in enumerate(self.stage.instructions)]
        written = [self.written_to(one) for one in self.stage.instructions]
        return shared(self.stage, rows, written, self.memory, self.team)

    def written_to(self, one: Instruction) -> np.ndarray:
        """The addresses of the cells that an instruction writes, and of others that it passes over on the way."""
        return self.where[np.concatenate([np.empty(0, np.int32), *[names.ravel() for names in one.writes]])]

    def together(self) -> list[tuple[int, int]]:
        """Stretches of instructions that run as one, so that all their cells are needed at the same time."""
        return []

    def spare(self, number: int) -> int:
        """Where the memory of instruction ``number``'s own begins."""
        return self.memory[-1 - number][0]

    def written(self) -> Iterator[list[int]]:
        """The words of all instructions, in the order in which they run."""
        for number, one in enumerate(self.stage.instructions):
            yield from self.rows(number, one)

    def rows(self, number: int, one: Instruction) -> list[list[int]]:
        """Instruction number ``number`` in words."""
        raise NotImplementedError

    def spare_numbers(self, one: Instruction) -> int:
        """How much memory an instruction needs for itself."""
        return 0

    def prepare(self) -> None:
        """What has to be known before rows are written."""

    def finish(self) -> None:
        """What is left to write down when all rows are known."""

    # ---- memory

    def _place(self) -> np.ndarray:
        """The address of every cell, in numbers."""
        stage, first, last = self.stage, {}, {}  # type: ignore[var-annotated]
        for number, one in enumerate(stage.instructions):
            for names in (*one.writes, *one.reads):
                for value in stage.values(names):
                    first.setdefault(value, number)
                    last[value] = number
        for begin, end in self.together():
            for value in first:
                first[value] = begin if begin < first[value] < end else first[value]
                last[value] = end - 1 if begin <= last[value] < end else last[value]
        ends = [*stage.starts[1:], stage.end]
        size = lambda v: -(-(ends[v] - stage.starts[v]) * self.cell // self.lanes) * self.lanes
        wanted = [(begin, last[v], size(v), v) for v, begin in first.items() if v]
        for number, one in enumerate(stage.instructions):
            if spare := self.spare_numbers(one):
                wanted.append((number, number, spare, -1 - number))
        where = np.zeros(stage.end, np.int32)
        taken: list[tuple[int, int, int]] = []  # (address, size, last use) of what lives, by address
        zero = max(self.lanes, self.cell)  # the zero cell stands first
        self.cells = zero
        for begin, end, length, value in sorted(wanted, key=lambda w: w[0]):
            taken = [t for t in taken if t[2] >= begin]
            at = zero
            for address, used, _ in taken:
                if at + length <= address:
                    break
                at = max(at, address + used)
            taken = sorted([*taken, (at, length, end)])
            self.cells = max(self.cells, at + length)
            self.memory[value] = at, length
            if value > 0:
                start, stop = stage.starts[value], ends[value]
                where[start:stop] = at + np.arange(stop - start, dtype=np.int32) * self.cell
        return where

    def pitch(self, columns: int) -> int:
        """So many numbers rounded up to whole vectors."""
        return -(-columns // self.lanes) * self.lanes

    def _results(self) -> list[int]:
        """Where in the sums each result begins."""
        starts, rows, end = [], [], 0
        arrays = len(self.stage.inputs) + len(self.stage.outputs)
        for number, r in enumerate(self.stage.results):
            pitch = self.pitch(r.columns) if r.padded else r.columns
            places = -1
            if r.places is not None:
                at = np.arange(r.rows)[:, None] * pitch + np.arange(r.columns)
                places = self.table(at.ravel()[np.argsort(r.places, axis=None)])
            starts.append(end)
            rows.append([arrays + number, end, r.rows, r.columns, pitch, places, 0, 0])
            end = -(-(end + r.rows * pitch) // 16) * 16
        self.numbers = end
        self.results = np.array(rows, np.int64).reshape(-1, 8).tobytes()
        return starts

    def table(self, values: Any) -> int:
        """Where in the pool this table begins; equal tables are there once."""
        table = np.ascontiguousarray(values, np.int32).ravel()
        key = table.tobytes()
        if key not in self._known:
            self._known[key] = self._size
            self._tables.append(table)
            self._size += table.size
        return self._known[key]

    def contraction(self, kind: int, k: int, places: Sequence[int], flags: int, tables: Sequence[Any]) -> list[int]:
        """The words of GEMM and DOT without their tiles: ``places`` of the operands, the result and the bias."""
        s, v, o, bias = places
        words = [kind, k, s, v, o, bias, flags, *map(self.table, tables)]
        return words + [0] * (WIDTH - len(words))

    def tiles(self, w: list[int], height: int, width: int, tallest: int, widest: int, loads: int = 0) -> None:
        """Write down which tiles cover height x width results."""
        tall, wide = tiles(height, width, tallest, widest, self.registers, loads)
        w[14:18] = [self.table(tall), len(tall), self.table(wide), len(wide)]
        w[WORK] = height * width * (w[1] + STORING)


@cache
def tiles(
    height: int, width: int, tallest: int, widest: int, registers: int, loads: int = 0
) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
    """How height x width results are cut into tiles that fit ``registers``: ((start, size), ...) for either side.

    A step of a tile of i x j costs i * j multiplications, at least 4 (partial sums hide most of their latency), and a little for each load.
    Besides the results, j operands stay in registers, and one more (``loads``) unless the processor multiplies from memory.
    """
    best: tuple[float, Any, Any] | None = None
    for j in range(1, min(widest, width) + 1):
        wide = _cut(width, j)
        for i in range(1, max(1, min(tallest, height, (registers - j - loads) // j)) + 1):
            tall = _cut(height, i)
            cost = sum(
                n * m * (max(h * v, 4) + 0.3 * v + 0.15 * h + 1) for h, n in _count(tall) for v, m in _count(wide)
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
