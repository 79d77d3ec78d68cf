"""Kernels with the channels in the lanes: one example at a time, a cell is a number, and vectors are rows of cells.

Which cells stand side by side is seen from the tables of addresses; what is not a row of cells is done number by
number.  A contraction is the same form with the roles exchanged: numbers of the image times vectors of weights.
Weights whose result channels do not stand side by side are packed into rows of whole vectors once in a run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..contractions import beside
from ..instructions import Instruction, Registers, Rows, Weights
from ..kernel import Kernel
from ..native import instruction_set as isa
from ..spacing import at as chosen
from ..spacing import spacing
from .assemble import FEW, Assembled
from .vector_layout import VectorLayout

_SHORTEST = 64  # results that are worth the copy of a row
_REPEATS = 4  # how often a row that is copied has to be repeated
_OFTEN = 64  # places that read a row of weights, for which it is packed into panels
_MANY_ROWS = 64  # rows that are worth panels
_PANEL = 16  # numbers of a row in a panel, or a vector: in single precision they fill a line of the cache
_LONGEST = 1 << 13  # channels that are looked for in a flat instruction


@dataclass
class _Packed:
    """Weights in rows of whole vectors: number ``base[i] + k`` of array ``array`` for each k of ``rows``.

    The rows stand in panels, each of all rows with ``panel`` numbers of each: one after the other in a panel, so that
    what a tile reads fills whole lines of the cache and all of its sets.
    """

    array: int
    base: np.ndarray
    panel: int
    rows: dict[int, int] = field(default_factory=dict)
    begin: int = 0

    def of_vectors(self, starts: np.ndarray) -> np.ndarray:
        """Where vectors of the first row begin, which begin ``starts`` numbers after its first."""
        panel, inside = np.divmod(starts, self.panel)
        return self.begin + panel * len(self.rows) * self.panel + inside

    @property
    def size(self) -> int:
        return -(-len(self.base) // self.panel) * len(self.rows) * self.panel


def _first_change(tables: list[np.ndarray]) -> int:
    """After how many results any of these registers (results,) or (results, terms) first changes its step."""
    first = []
    for table in tables:
        apart = np.diff(table[:_LONGEST].reshape(min(len(table), _LONGEST), -1), axis=0)
        changes = np.flatnonzero((apart != apart[:1]).any(axis=1))
        first.append(int(changes[0]) + 1 if len(changes) else len(table))
    return min(first)


class ByChannels(Assembled):
    """A kernel whose vectors are rows of cells of one example."""

    def __init__(self, kernel: Kernel, layout: VectorLayout) -> None:
        self._packed: dict[tuple[int, bytes], _Packed] = {}
        super().__init__(kernel, layout)

    def rows(self, number: int, one: Instruction) -> Rows:
        return one.by_channels(self, number)

    def scratch_size(self, one: Instruction) -> int:
        return one.scratch_by_channels(self)

    def written_to(self, one: Instruction) -> np.ndarray:
        return one.written_by_channels(self)

    def copy(self, to: np.ndarray, source: np.ndarray) -> list[int]:
        """The words of an instruction that copies number by number, from addresses to addresses."""
        tables = {"single_out": self.table(to), "single_x": self.table(source)}
        tables |= {"single_y": tables["single_x"], "single_z": tables["single_x"]}
        return isa.MAP.row(operation=isa.OPERATIONS["copy"], singles=to.size, **tables)

    # ---- rows of cells

    def rows_of_cells(self, out: np.ndarray, reads: list[Registers], grows: bool) -> tuple[np.ndarray, np.ndarray]:
        """Where vectors begin (places in ``out``, ascending), and the places that are left to be done one by one.

        ``reads``: operands of the shape of ``out``, or with an axis of terms besides.  A row is a stretch in which
        results stand side by side, and each operand (term) does so too or repeats one number.  Vectors may overlap at a
        row's end unless the results grow (they are sums, which have room up to a whole vector); a short row is one
        vector if the registers after it are only gaps.
        """
        length = self._evenly(out, reads)
        if length is not None and not length % self.lanes:  # whole vectors all the way
            return np.arange(0, out.size, self.lanes), np.empty(0, int)
        begins = self._rows(out, reads) if length is None else np.arange(0, out.size, length)
        out = out.reshape(-1)
        ends = np.append(begins[1:], len(out))
        length = ends - begins
        whole = length // self.lanes
        first = np.repeat(begins, whole)
        vectors = first + (np.arange(len(first)) - np.repeat(np.cumsum(whole) - whole, whole)) * self.lanes
        rest = length % self.lanes
        if not rest.any():
            return vectors, np.empty(0, int)
        last = (ends == len(out)) & ((ends - rest) % self.lanes == 0)
        free = last if grows else self._free(chosen(out, ends - 1), self.lanes - rest)
        with_gap, lapped = (rest > 0) & free, (rest > 0) & ~free & (whole > 0) & (not grows)
        vectors = np.concatenate([vectors, (ends - rest)[with_gap], (ends - self.lanes)[lapped]])
        single = (rest > 0) & ~free & ~lapped
        before = np.cumsum(rest[single]) - rest[single]
        singles = np.repeat((ends - rest)[single] - before, rest[single])
        return np.sort(vectors), singles + np.arange(len(singles))

    def repeated_rows(self, out: Registers, reads: list[Registers]) -> list[Registers | None] | None:
        """Of each operand the row that it repeats all along the results, None if it goes along with them; None in all
        unless the results stand side by side, and every operand is one or the other, some in rows that would not fill
        whole vectors.
        """
        if out.size < max(self.lanes, _SHORTEST) or not out.flags.c_contiguous:
            return None
        if all([registers.flags.c_contiguous for registers in reads]) or not self._side_by_side(out):
            return None  # the first is soon seen, and most are so
        found: list[Registers | None] = []
        for registers in reads:
            one = spacing(registers)
            if one is None:
                return None
            outside = next((d for d in range(out.ndim) if one.steps[d]), out.ndim)
            row = registers[(0,) * outside].reshape(-1)
            if self.kernel.value(one.first) == 0 or one.first in self.kernel.repeated or not self._side_by_side(row):
                return None
            found.append(None if row.size == out.size else row)
        rows = [row.size for row in found if row is not None]
        ragged = any([size % self.lanes for size in rows])
        return found if ragged and out.size >= _REPEATS * max(rows) else None

    def _side_by_side(self, registers: Registers) -> bool:
        """Whether these are all cells of one value, one after the other."""
        one = spacing(registers)
        if one is None or not registers.flags.c_contiguous:
            return False
        return self.kernel.value(one.first) == self.kernel.value(one.first + registers.size - 1)

    def _rows(self, out: np.ndarray, reads: list[Registers]) -> np.ndarray:
        """Where rows begin, as all numbers tell."""
        begins = self._rows_of_rows(out, reads) if out.size > FEW else None
        if begins is not None:
            return begins
        out = out.reshape(-1)
        joined = np.diff(out) == 1
        for registers in reads if len(out) > 1 else []:
            table = registers.reshape(len(out), -1)
            repeats = (table[1:] == table[:-1]) & self._repeated[table[1:]]
            follows = np.diff(self.addresses_of(table), axis=0) == 1
            changes = (follows[1:] & repeats[:-1]) | (repeats[1:] & follows[:-1])
            joined &= (follows | repeats).all(axis=1)
            joined[1:] &= ~changes.any(axis=1)
            if not joined.any():
                break
        return np.flatnonzero(np.concatenate([[True], ~joined]))

    def _rows_of_rows(self, out: np.ndarray, reads: list[Registers]) -> np.ndarray | None:
        """Where rows begin, if the last axis is one in every row: then the ends of these are all there is to look at.

        A flat instruction has its channels last as well, up to where its terms first change their step.
        """
        length = out.shape[-1] if out.ndim > 1 else _first_change([out, *reads])
        if length < max(2, self.lanes) or out.size % length:
            return None
        joined = np.ones(out.size // length - 1, bool)
        for registers in (out, *reads):
            table = registers.reshape(-1, length, registers.shape[-1] if registers.ndim > out.ndim else 1)
            first, last = table[:, 0], table[:, -1]
            step = table[:, 1] - first
            known = spacing(registers)
            if known is None and not (table[:, 1:] - table[:, :-1] == step[:, None]).all():
                return None
            whole = self.addresses_of(last) - self.addresses_of(first) == length - 1
            if registers is out:
                if not (step == 1).all():
                    return None
                joined &= (first[1:, 0] - last[:-1, 0]) == 1
                continue
            repeats = (step == 0) & self._repeated[first]
            if not (((step == 1) & whole) | repeats).all():
                return None
            follows = self.addresses_of(first[1:]) - self.addresses_of(last[:-1]) == 1
            same = np.where(repeats[1:], repeats[:-1] & (first[1:] == last[:-1]), ~repeats[:-1] & follows)
            joined &= same.all(axis=1)
        return np.flatnonzero(np.concatenate([[True], ~joined])) * length

    def _evenly(self, out: np.ndarray, reads: list[Registers]) -> int | None:
        """The length of every row, where that is seen from how registers are spaced; else None."""
        found = [(spacing(x), x.ndim > out.ndim) for x in (out, *reads)]
        inside = next((d for d in reversed(range(out.ndim)) if out.shape[d] > 1), None)
        length = 1
        rows, same = [], []
        for k, (one, terms) in enumerate(found):
            if one is None:
                return None
            steps = one.steps[: out.ndim]
            if not any(steps):
                if terms or not self._repeats(one.first):
                    return None
            elif k and not terms and inside is not None and not steps[inside] and self._all_repeat(reads[k - 1]):
                same.append(steps)
            else:
                rows.append(steps)
        for d in reversed(range(out.ndim)):
            n = out.shape[d]
            if n > 1 and (any([steps[d] != length for steps in rows]) or any([steps[d] for steps in same])):
                break
            length *= n
        return length

    def _all_repeat(self, registers: Registers) -> bool:
        """Whether each of these registers is the first of a vector that holds its number in all lanes."""
        once = registers[tuple([slice(0, 1 if stride == 0 else None) for stride in registers.strides])]
        return int(once.flat[0]) in self.kernel.repeated and bool(self._repeated[once].all())

    def _repeats(self, register: int) -> bool:
        """Whether all registers of its vector hold its number."""
        return register == 0 or register in self.kernel.repeated

    @cached_property
    def _repeated(self) -> np.ndarray:
        """Of each register whether all of its vector hold its number."""
        repeated = np.zeros(self.kernel.end, bool)
        repeated[[0, *self.kernel.repeated]] = True
        return repeated

    def forget(self) -> None:
        super().forget()
        vars(self).pop("_repeated", None)

    def _free(self, last: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Whether ``wanted`` registers after each of these are gaps."""
        if not self.kernel.gaps:
            return np.zeros(len(last), bool)
        first, pitch, count, gap = self._gaps
        value = np.maximum(np.searchsorted(first, last + 1, side="right") - 1, 0)
        inside = last + 1 - first[value]
        row, place = np.divmod(inside, pitch[value])
        return (inside >= 0) & (row < count[value]) & (place + wanted <= gap[value])

    @cached_property
    def _gaps(self) -> np.ndarray:
        """Of each value with gaps: the first of them, from one row's to the next one's, how many rows, how many in a
        row."""
        found = []
        for registers in self.kernel.gaps:
            spaced = spacing(registers)
            assert spaced is not None
            count, gap = registers.shape
            found.append((spaced.first, spaced.steps[0] or gap, count, gap))
        return np.array(sorted(found)).T

    def run_or_table(self, registers: Registers) -> tuple[int, int]:
        """(address, 1) of registers (count,) that stand side by side, in order; else (their table of addresses, 0)."""
        addresses = self.addresses_of(registers)
        found = spacing(addresses)
        return (found.first, 1) if found is not None and found.steps == (1,) else (self.table(addresses), 0)

    def vector_starts(self, count: int) -> np.ndarray:
        """Where the vectors of a row of numbers begin: the last one ends with the row, if there is room for one."""
        starts = np.arange(0, count, self.lanes)
        return np.minimum(starts, max(0, count - self.lanes))

    def apart(self, count: int) -> int:
        """The flag of results in rows of so many numbers whose vectors share none."""
        return 0 if count % self.lanes else isa.APART

    # ---- weights in vectors

    def weights_in_rows(
        self, array: int, base: np.ndarray, steps: np.ndarray, starts: np.ndarray
    ) -> tuple[int, np.ndarray, np.ndarray]:
        """(place, where vectors that begin ``starts`` numbers after a row's first begin, step for each k) of weights in
        rows: as they stand in their array, or packed."""
        first = int(base[0])
        packed = self._packed.get((array, (base - first).tobytes()))
        if packed is None:
            return array, first + starts, steps
        step = np.array([packed.rows[k] for k in (steps + first).tolist()]) * packed.panel
        return isa.IN_PACKED, packed.of_vectors(starts), step

    def _in_rows(self, base: np.ndarray) -> bool:
        """Whether the numbers of a row stand side by side, and fill a vector."""
        return len(base) >= self.lanes and beside(base)

    def prepare(self) -> None:
        """Find what has to be packed, and what is better read so."""
        packable = [x for one in self.kernel.instructions for x in one.packable(self.lanes) if len(x.base)]
        keys = [(x.array, (x.base - x.base[0]).tobytes()) for x in packable]
        panels: dict[tuple[int, bytes], int] = {}
        for key, x in zip(keys, packable, strict=True):
            panels[key] = max(panels.get(key, 0), self._panel(x))
        for key, x in zip(keys, packable, strict=True):
            if panels[key] or not self._in_rows(x.base):
                fresh = _Packed(x.array, x.base - x.base[0], panels[key] or self.pitch(len(x.base)))
                rows = self._packed.setdefault(key, fresh).rows
                for k in (x.steps + x.base[0]).tolist():
                    rows.setdefault(k, len(rows))
        for packed in self._packed.values():
            packed.begin = self.packs
            self.packs += packed.size

    def _panel(self, x: Weights) -> int:
        """How many numbers of a row stand side by side in a panel; 0 where rows are as good: where there are few of
        them, or they are read too seldom to be copied for that."""
        panel = max(self.lanes, _PANEL)
        often = x.places >= _OFTEN or (x.places > 0 and not self._in_rows(x.base))
        whole = len(x.base) % self.lanes == 0 and len(x.base) > panel
        return panel if whole and often and len(x.steps) >= _MANY_ROWS else 0

    def finish(self) -> None:
        """Write down what is packed."""
        rows = []
        for x in self._packed.values():
            steps = np.array(list(x.rows))
            turns = np.argsort(steps)
            tables = {"step": self.table(steps[turns]), "row": self.table(turns)}
            for begin in range(0, len(x.base), x.panel):
                base = x.base[begin : begin + x.panel]
                sizes = {"rows": len(x.rows), "columns": len(base), "pitch": x.panel}
                first = x.begin + begin * len(x.rows)
                rows.append(isa.PACKING.row(array=x.array, first=first, base=self.table(base), **sizes, **tables))
        self.packing = np.array(rows, np.int64).reshape(-1, isa.PACKING.width).tobytes()
