"""Kernels with the channels in the lanes: one example at a time, a cell is a number, and vectors are rows of cells.

Which cells stand side by side is seen from the tables of addresses; what is not a row of cells is done number by
number.  A contraction is the same form with the roles exchanged: numbers of the image times vectors of weights.
Weights whose result channels do not stand side by side are packed into rows of whole vectors once in a run.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..contractions import Gemm, beside
from ..instructions import Instruction, Registers, Rows
from ..kernel import Kernel
from ..native import instruction_set as isa
from .assemble import Assembled
from .vector_layout import VectorLayout


@dataclass
class _Packed:
    """Weights in rows of whole vectors: number ``base[i] + k`` of array ``array`` for each k of ``rows``."""

    array: int
    base: np.ndarray
    pitch: int
    rows: dict[int, int] = field(default_factory=dict)
    begin: int = 0


class ByChannels(Assembled):
    """A kernel whose vectors are rows of cells of one example."""

    def __init__(self, kernel: Kernel, layout: VectorLayout) -> None:
        self._packed: dict[tuple[int, bytes], _Packed] = {}
        self._repeated = np.zeros(kernel.end, bool)
        self._repeated[[0, *kernel.repeated]] = True
        gaps = np.zeros(kernel.end + layout.lanes, bool)
        for registers in kernel.gaps:
            gaps[registers] = True
        self._gaps = np.concatenate([[0], np.cumsum(gaps)])  # how many there are before each register
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

        A row is a stretch in which results stand side by side, and each operand does so too or repeats one number.
        Vectors may overlap at a row's end unless the results grow (they are sums, which have room up to a whole
        vector); a short row is one vector if the registers after it are only gaps.
        """
        joined = np.diff(out) == 1
        for registers in reads if len(out) > 1 else []:  # a sum may have a million terms and one result
            repeats = (registers[1:] == registers[:-1]) & self._repeated[registers[1:]]
            follows = np.diff(self.where[registers]) == 1
            changes = (follows[1:] & repeats[:-1]) | (repeats[1:] & follows[:-1])
            joined &= follows | repeats
            joined[1:] &= ~changes
            if not joined.any():
                break
        begins = np.flatnonzero(np.concatenate([[True], ~joined]))
        ends = np.append(begins[1:], len(out))
        length = ends - begins
        whole = length // self.lanes
        first = np.repeat(begins, whole)
        vectors = first + (np.arange(len(first)) - np.repeat(np.cumsum(whole) - whole, whole)) * self.lanes
        rest = length % self.lanes
        last = (ends == len(out)) & ((ends - rest) % self.lanes == 0)
        free = last if grows else self._free(out[ends - 1], self.lanes - rest)
        with_gap, lapped = (rest > 0) & free, (rest > 0) & ~free & (whole > 0) & (not grows)
        vectors = np.concatenate([vectors, (ends - rest)[with_gap], (ends - self.lanes)[lapped]])
        single = (rest > 0) & ~free & ~lapped
        singles = [np.arange(a, b) for a, b in zip((ends - rest)[single], ends[single], strict=True)]
        return np.sort(vectors), np.concatenate([np.empty(0, int), *singles])

    def _free(self, last: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Whether ``wanted`` registers after each of these are gaps."""
        return self._gaps[last + 1 + wanted] - self._gaps[last + 1] == wanted

    def vector_starts(self, count: int) -> np.ndarray:
        """Where the vectors of a row of numbers begin: the last one ends with the row, if there is room for one."""
        starts = np.arange(0, count, self.lanes)
        return np.minimum(starts, max(0, count - self.lanes))

    # ---- weights in vectors

    def weights_in_rows(self, array: int, base: np.ndarray, steps: np.ndarray) -> tuple[int, int, np.ndarray]:
        """(place, base, step for each k) of weights in rows: as they stand in their array, or packed."""
        first = int(base[0])
        if self._in_rows(base):
            return array, first, steps
        packed = self._packed[array, (base - first).tobytes()]
        step = np.array([packed.rows[k] for k in (steps + first).tolist()]) * packed.pitch
        return isa.IN_PACKED, packed.begin, step

    def _in_rows(self, base: np.ndarray) -> bool:
        """Whether the numbers of a row stand side by side, and fill a vector."""
        return len(base) >= self.lanes and beside(base)

    def prepare(self) -> None:
        """Find what has to be packed."""
        for one in self.kernel.instructions:
            if isinstance(one, Gemm) and not one.as_dots(self.lanes):
                for array, base, steps in one.packable():
                    if len(base) and not self._in_rows(base):
                        self._pack(array, base, steps)
        for packed in self._packed.values():
            packed.begin = self.packs
            self.packs += len(packed.rows) * packed.pitch

    def _pack(self, array: int, base: np.ndarray, steps: np.ndarray) -> None:
        relative = base - base[0]
        fresh = _Packed(array, relative, self.pitch(len(base)))
        packed = self._packed.setdefault((array, relative.tobytes()), fresh)
        for k in (steps + base[0]).tolist():
            packed.rows.setdefault(k, len(packed.rows))

    def finish(self) -> None:
        """Write down what is packed."""
        rows = []
        for x in self._packed.values():
            sizes = {"rows": len(x.rows), "columns": len(x.base), "pitch": x.pitch}
            tables = {"base": self.table(x.base), "step": self.table(list(x.rows))}
            rows.append(isa.PACKING.row(array=x.array, first=x.begin, **sizes, **tables))
        self.packing = np.array(rows, np.int64).reshape(-1, isa.PACKING.width).tobytes()
