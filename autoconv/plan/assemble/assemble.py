"""From a kernel's instructions to the machine's words: registers get addresses, contractions get tiles.

Memory: each value lives from the instruction that writes it first to the one that reads it last; values that do not
live at the same time share addresses (first fit).  How an instruction is written in words depends on what the lanes of
a vector are: ``by_examples`` (a cell is a vector of examples, or several) or ``by_channels`` (a cell is one number,
vectors are rows of cells); each instruction says how (instructions.py, contractions.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ..instructions import Instruction, Registers, Rows
from ..kernel import Kernel
from ..native import instruction_set as isa
from ..spacing import at as chosen
from ..spacing import bounds, in_a_row, least_of_others, reach, run, spaced, spacing
from .cooperative import phases_of
from .tiling import tiles
from .vector_layout import VectorLayout

FEW = 1 << 12  # registers that are soon gone through, one by one
_NUMBER = 4  # bytes of a number of a table
_SHORT = 1 << 12  # bytes of a table that is compared by them; of a longer one they would take as much memory again
_SEARCH = 4  # registers that are listed while one is looked for among the values
_STORING = 3  # products of vectors that take as long as beginning and storing a result
_SUMS_AT_HAND = 1 << 19  # numbers: what the sums of all chunks may take before they crowd the cache
_LARGEST_TILE = {
    isa.GEMM: (8, 4, 0),
    isa.DOT: (7, 4, 1),
    isa.LANEWISE: (8, 1, 0),
}  # rows, columns, operands loaded besides (contract.h)
_MULTIPLYING_FROM_MEMORY = 32  # vector registers: with fewer, a processor loads a number into all lanes of one first
Table = Any  # positions that become a table of int32
Operand = tuple[Table, Table]  # of a contraction: positions as base + step


class Assembled:
    """A kernel in the machine's terms: ``code``, ``tables``, ``results``, ``packing``, ``finite``, ``phases`` and
    ``tasks`` as bytes; and how many numbers its memory (``cells``), its sums (``numbers``) and its packed arrays
    (``packs``) take.
    """

    cell = 1  # how many numbers a cell has

    def __init__(self, kernel: Kernel, layout: VectorLayout) -> None:
        self.kernel, self.lanes, self.vector_registers = kernel, layout.lanes, layout.vector_registers
        self.threads = layout.threads
        self._tables: list[np.ndarray] = []
        self._known: dict[bytes | int, list[tuple[np.ndarray, int]]] = {}  # where each begins, by bytes or their hash
        self._size = 0
        self.packs = 0
        self.packing = b""
        finite = [isa.FINITE.row(array=array, count=count) for array, count in kernel.finite.items()]
        self.finite = np.array(finite, np.int64).tobytes()
        # (address, size) of each value, and of instruction i's scratch memory under the number -1 - i
        self.memory: dict[int, tuple[int, int]] = {}
        self.touched: list[tuple[set[int], set[int]]] = []  # the values that each instruction writes, and reads
        self._place()
        self.sums = self._results()
        self.prepare()
        rows, phases, tasks = self._cooperative() if self.threads > 1 else (list(self.written()), [], [])
        self.code, self.phases, self.tasks = (np.array(x, np.int64).tobytes() for x in (rows, phases, tasks))
        self.finish()
        self.tables = b"".join([*[x.data for x in self._tables], bytes(_NUMBER)])
        self.forget()

    def forget(self) -> None:
        """Let go of what only assembling needed: of every kernel it is as much again as the tables, or more."""
        self._tables, self._known = [], {}

    def machine(self, maker: Any, bytes_: int, parts: int) -> Any:
        """The program, ready to run on up to ``parts`` threads."""
        chunks = max(parts, min(4 * parts, _SUMS_AT_HAND // max(1, self.numbers)))
        kernel = self.kernel
        words = self.code, self.tables, self.results, self.packing, self.finite, self.phases, self.tasks
        sizes = len(kernel.inputs) + len(kernel.outputs) + len(kernel.results), self.cells, self.numbers, self.packs
        return maker(*words, *sizes, bytes_, self.lanes, self.cell, chunks)

    def _cooperative(self) -> tuple[Rows, Rows, Rows]:
        """The rows sorted into phases, for threads that share a block."""
        rows = [self.rows(number, one) for number, one in enumerate(self.kernel.instructions)]
        written = [run(addresses := self.written_to(one)) or addresses for one in self.kernel.instructions]
        return phases_of(self.kernel, rows, written, self.touched, self.memory, self.threads)

    def addresses(self, registers: Sequence[Registers]) -> np.ndarray:
        """The addresses of all these registers."""
        if len(registers) == 1:
            return self.addresses_of(registers[0])
        return np.concatenate([np.empty(0, np.int32), *[self.addresses_of(x).reshape(-1) for x in registers]])

    def addresses_of(self, registers: Registers) -> np.ndarray:
        """The address of each of these registers' cells: evenly spaced where the registers are, and of one value."""
        if not registers.size:
            return registers
        found = spacing(registers)
        least, most = bounds(registers) if found is None else reach(found, registers.shape)
        value = self.kernel.value(most)
        if not value:
            return spaced(0, registers.shape, [0] * registers.ndim)
        at = self.memory[value][0] - self.kernel.starts[value] * self.cell
        if not least and self.kernel.value(least_of_others(registers)) == value:
            return np.where(registers, at + registers * self.cell, 0)
        if self.kernel.value(least) != value:
            if registers.size * _SEARCH < self.kernel.end and "where" not in vars(self):
                found_in = np.searchsorted(self.kernel.starts, registers, side="right") - 1
                return np.asarray(registers * self.cell + self._offsets[found_in])
            return np.asarray(self.where[registers])
        if found is None:
            return np.asarray(at + registers * self.cell)
        return spaced(at + found.first * self.cell, registers.shape, [step * self.cell for step in found.steps])

    def addresses_at(self, registers: Registers, *places: np.ndarray) -> list[np.ndarray]:
        """The addresses of some of these registers, for each of several lists of places along their axes."""
        if registers.size > FEW and spacing(registers) is None:
            return [self.addresses_of(chosen(registers, some)) for some in places]
        addresses = self.addresses_of(registers)
        return [chosen(addresses, some) for some in places]

    @cached_property
    def _offsets(self) -> np.ndarray:
        """What is added to the registers of each value, in cells, to have their addresses; of value 0 nothing."""
        offsets = np.zeros(len(self.kernel.starts), np.int64)
        for value, (at, _) in self.memory.items():
            if value > 0:
                offsets[value] = at - self.kernel.starts[value] * self.cell
        return offsets

    @cached_property
    def where(self) -> np.ndarray:
        """The address of every register's cell, in numbers."""
        kernel = self.kernel
        where = np.zeros(kernel.end, np.int32)
        ends = [*kernel.starts[1:], kernel.end]
        for value, (at, _) in self.memory.items():
            if value > 0:
                start, stop = kernel.starts[value], ends[value]
                np.multiply(in_a_row(0, stop - start), self.cell, out=where[start:stop])
                where[start:stop] += at
        return where

    def written_to(self, one: Instruction) -> np.ndarray:
        """The addresses of the cells that an instruction writes, and of others that it passes over on the way."""
        return self.addresses(one.writes)

    def together(self) -> list[tuple[int, int]]:
        """Stretches of instructions that run as one, so that all their cells are needed at the same time."""
        return []

    def scratch(self, number: int) -> int:
        """Where the scratch memory of instruction ``number`` begins."""
        return self.memory[-1 - number][0]

    def written(self) -> Iterator[list[int]]:
        """The words of all instructions, in the order in which they run."""
        for number, one in enumerate(self.kernel.instructions):
            yield from self.rows(number, one)

    def rows(self, number: int, one: Instruction) -> Rows:
        """Instruction number ``number`` in words."""
        raise NotImplementedError

    def scratch_size(self, one: Instruction) -> int:
        """How many numbers of memory an instruction needs for itself."""
        return 0

    def prepare(self) -> None:
        """What has to be known before rows are written."""

    def finish(self) -> None:
        """What is left to write down when all rows are known."""

    # ---- memory

    def _place(self) -> None:
        """Find memory for all values, and for what instructions need for themselves."""
        kernel = self.kernel
        first: dict[int, int] = {}
        last: dict[int, int] = {}
        for number, one in enumerate(kernel.instructions):
            writes, reads = ({v for x in part for v in kernel.values(x)} for part in (one.writes, one.reads))
            for value in writes | reads:
                first.setdefault(value, number)
                last[value] = number
            self.touched.append((writes - {0}, reads - {0}))
        for begin, end in self.together():
            for value in first:
                first[value] = begin if begin < first[value] < end else first[value]
                last[value] = end - 1 if begin <= last[value] < end else last[value]
        ends = [*kernel.starts[1:], kernel.end]
        size = lambda v: self.pitch((ends[v] - kernel.starts[v]) * self.cell)
        wanted = [(begin, last[v], size(v), v) for v, begin in first.items() if v]
        for number, one in enumerate(kernel.instructions):
            if scratch := self.scratch_size(one):
                wanted.append((number, number, scratch, -1 - number))
        taken: list[tuple[int, int, int]] = []  # (address, size, last use) of what lives, by address
        zero = max(self.lanes, self.cell)  # the cell of register 0 stands first
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

    def pitch(self, columns: int) -> int:
        """So many numbers rounded up to whole vectors."""
        return -(-columns // self.lanes) * self.lanes

    def _results(self) -> list[int]:
        """Where in the sums each result begins."""
        starts, rows, end = [], [], 0
        arrays = len(self.kernel.inputs) + len(self.kernel.outputs)
        for number, r in enumerate(self.kernel.results):
            pitch = self.pitch(r.columns) if r.padded else r.columns
            order = isa.BY_ROWS
            if r.places is not None and _by_columns(r.places):
                order = isa.BY_COLUMNS
            elif r.places is not None:
                at = np.arange(r.rows)[:, None] * pitch + np.arange(r.columns)
                order = self.table(at.ravel()[np.argsort(r.places, axis=None)])
            starts.append(end)
            sizes = {"rows": r.rows, "columns": r.columns, "pitch": pitch}
            rows.append(isa.RESULT.row(array=arrays + number, first=end, **sizes, order=order, finite=int(r.finite)))
            end = -(-(end + r.rows * pitch) // 16) * 16
        self.numbers = end
        self.results = np.array(rows, np.int64).reshape(-1, isa.RESULT.width).tobytes()
        return starts

    def table(self, values: Any) -> int:
        """Where in the pool this table begins; equal tables are there once."""
        table = np.ascontiguousarray(values, np.int32).ravel()
        key = table.tobytes()
        known = self._known.setdefault(key if len(key) <= _SHORT else hash(key), [])
        for other, place in known:
            if len(key) <= _SHORT or np.array_equal(other, table):
                return place
        known.append((table, self._size))
        self._tables.append(table)
        self._size += table.size
        return self._size - table.size

    def relative(self, values: np.ndarray) -> tuple[int, int]:
        """Where in the pool a table of these numbers begins, counted from the first of them; and that one."""
        first = int(values.flat[0]) if values.size else 0
        return self.table(values - first), first

    def contraction(
        self,
        kind: isa.Words,
        terms: int,
        places: tuple[int, int, int],
        left: Operand,
        right: Operand,
        out: Operand,
        bias: tuple[int, Table] | None = None,
        flags: int = 0,
        vectors: Table | None = None,
    ) -> list[int]:
        """The words of GEMM, DOT or LANEWISE without its tiles.

        ``places``: of the left and right operands and the result; ``bias``: its place, and where in it each row begins;
        ``vectors``: of LANEWISE where each vector begins.
        """
        words = dict(zip(("left", "right", "out"), places, strict=True))
        words["bias"] = isa.NOWHERE if bias is None else bias[0]
        for name, positions in (("left_base", left[0]), ("left_step", left[1]), ("right_base", right[0]),
                                ("right_step", right[1]), ("out_row", out[0]), ("out_column", out[1])):  # fmt: skip
            words[name] = self.table(positions)
        if bias is not None:
            words["bias_base"] = self.table(bias[1])
        if vectors is not None:
            words["vectors"], words["vector_at"] = len(vectors), self.table(vectors)
        return kind.row(terms=terms, flags=flags, **words)

    def tiled(self, row: list[int], height: int, width: int) -> list[int]:
        """The row of a contraction with the tiles that cover its height x width results."""
        kind = isa.kind(row)
        tallest, widest, loads = _LARGEST_TILE[kind]
        if self.vector_registers < _MULTIPLYING_FROM_MEMORY:
            loads = 1
        tall, wide = tiles(height, width, tallest, widest, self.vector_registers, loads)
        row[kind.at["tall"]], row[kind.at["talls"]] = self.table(tall), len(tall)
        row[kind.at["wide"]], row[kind.at["wides"]] = self.table(wide), len(wide)
        vectors = row[kind.at["vectors"]] if kind is isa.LANEWISE else 1
        row[kind.at["work"]] = height * width * vectors * (row[kind.at["terms"]] + _STORING)
        return row


def _by_columns(places: np.ndarray) -> bool:
    """Whether places (rows, columns) follow one another down the columns."""
    rows, columns = places.shape
    return bool((places[0] == np.arange(columns) * rows).all() and (np.diff(places, axis=0) == 1).all())
