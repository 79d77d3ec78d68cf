"""Instructions with the channels in the lanes: one example at a time, a cell is a number, and vectors are rows of cells.

Which cells stand side by side is seen from the tables of addresses; what is not a row of cells is done number by number.
A contraction is the same form with the roles exchanged: numbers of the image times vectors of weights.  Weights whose result
channels do not stand side by side are packed into rows of whole vectors once in a run.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..lower.instructions import (
    CHOOSE,
    DOT,
    GATHER,
    GEMM,
    LOAD,
    MAP,
    OPERATIONS,
    PLACE,
    SPLAT,
    STORE,
    TOTAL,
    Instruction,
    Stage,
)
from .assemble import (
    ADDS,
    BIAS_OF_VECTORS,
    GROWS,
    IN_MEMORY,
    IN_PACKED,
    IN_SUMS,
    NOWHERE,
    POSITIVE_PART,
    ROWS_OUTSIDE,
    WIDTH,
    Assembled,
)
from .layout import Layout

_PACKING = 4  # numbers packed while a product of vectors is made
_SUM = 4  # products of vectors that last as long as the sum over a vector's lanes


@dataclass
class _Packed:
    """Weights in rows of whole vectors: number ``base[i] + k`` of array ``array`` for each k of ``rows``."""

    array: int
    base: np.ndarray
    pitch: int
    rows: dict[int, int] = field(default_factory=dict)
    begin: int = 0


class ByChannels(Assembled):
    """A stage whose vectors are rows of cells of one example."""

    def __init__(self, stage: Stage, layout: Layout) -> None:
        self._packed: dict[tuple[int, bytes], _Packed] = {}
        self._spread = np.zeros(stage.end, bool)
        self._spread[[0, *stage.spread]] = True
        gaps = np.zeros(stage.end + layout.lanes, bool)
        for names in stage.gaps:
            gaps[names] = True
        self._gaps = np.concatenate([[0], np.cumsum(gaps)])
        super().__init__(stage, layout)

    def spare_numbers(self, one: Instruction) -> int:
        """A dot product's last vector, of which the first lanes are zero."""
        if one.kind != GEMM or not self._as_dot(one) or not len(one.more["vk"]) % self.lanes:
            return 0
        return len(one.more["vb"]) * self.lanes

    def rows(self, number: int, one: Instruction) -> list[list[int]]:
        """One or two rows of words."""
        at, table = self.where, self.table
        w = [one.kind] + [0] * (WIDTH - 1)
        if one.kind == MAP:
            return [self._map(one.operation, one.numbers, one.writes[0], one.reads)]
        if one.kind in (GATHER, TOTAL):
            return [self._gather(one)]
        if one.kind == GEMM:
            return self._dot(number, one) if self._as_dot(one) else [self._gemm(one)]
        if one.kind == DOT:
            return [self._outer(one)]
        if one.kind in (LOAD, SPLAT):
            names = one.writes[0]
            single = one.kind == SPLAT and int(names.flat[0]) not in self.stage.spread
            w[2:6] = [
                names.size,
                table(at[names]),
                one.array,
                (1 if single else self.lanes) if one.kind == SPLAT else 0,
            ]
        elif one.kind == STORE:
            w[2:5] = [one.reads[0].size, table(at[one.reads[0]]), len(self.stage.inputs) + one.array]
        elif one.kind == CHOOSE:
            w[2:6] = [one.reads[0].size, table(at[one.reads[0]]), one.array, table(at[one.writes[0]])]
        elif one.kind == PLACE:
            w[2:6] = [one.writes[0].size, table(at[one.writes[0]]), one.array, table(at[one.reads[0]])]
        return [w]

    # ---- rows of cells

    def _runs(self, out: np.ndarray, reads: list[np.ndarray], grows: bool) -> tuple[np.ndarray, np.ndarray]:
        """Where vectors begin (places in ``out``, ascending), and the places that are left to be done one by one.

        A run is a stretch in which results stand side by side, and so do the operands, or else they are spread.  Vectors may
        overlap at a run's end unless the results grow (the sums, which have room up to a whole vector); a short run is one vector if
        the cells after it are only gaps.
        """
        joined = np.diff(out) == 1
        for names in reads:
            spread = (names[1:] == names[:-1]) & self._spread[names[1:]]
            beside = np.diff(self.where[names]) == 1
            changes = (beside[1:] & spread[:-1]) | (spread[1:] & beside[:-1])
            joined &= beside | spread
            joined[1:] &= ~changes
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
        """Whether ``wanted`` cells after each of these are gaps."""
        return self._gaps[last + 1 + wanted] - self._gaps[last + 1] == wanted

    def _map(self, operation: int, numbers: tuple[float, ...], out: np.ndarray, reads: list[np.ndarray]) -> list[int]:
        at, table = self.where, self.table
        vectors, singles = self._runs(out, reads, False)
        reads = [*reads, *reads[:1] * (3 - len(reads))]
        w = [MAP, operation, len(vectors), *[table(at[x[vectors]]) for x in (out, *reads)]]
        w += [len(singles), *[table(at[x[singles]]) for x in (out, *reads)]]
        w += struct.unpack("3q", struct.pack("3d", *numbers)) if numbers else (0, 0, 0)
        return w + [0] * (WIDTH - len(w))

    def _gather(self, one: Instruction) -> list[int]:
        at, table, names = self.where, self.table, one.reads[0]
        total = one.kind == TOTAL
        out: np.ndarray = np.arange(len(names)) if total else one.writes[0].ravel()
        order = np.argsort(out)
        out, names = out[order], names[order]
        vectors, singles = self._runs(out, list(names.T), total)
        to = self.sums[one.array] + out if total else at[out]
        w = [GATHER, 0, len(vectors), table(to[vectors]), table(at[names[vectors]]), names.shape[1]]
        w += [IN_SUMS if total else IN_MEMORY, len(singles), table(to[singles]), table(at[names[singles]])]
        return w + [0] * (WIDTH - len(w))

    # ---- contractions

    def written_to(self, one: Instruction) -> np.ndarray:
        """A contraction writes whole vectors: the next channels' cells get their numbers afterwards."""
        if one.kind != GEMM or self._as_dot(one):
            return super().written_to(one)
        first = self.where[one.writes[0]][0]
        return (first[:, None] + self._starts(one.writes[0].shape[0]))[..., None] + np.arange(self.lanes)

    def _starts(self, count: int) -> np.ndarray:
        """Where the vectors of a row of numbers begin: the last one ends with the row, if there is room for one."""
        starts = np.arange(0, count, self.lanes)
        return np.minimum(starts, max(0, count - self.lanes))

    def _gemm(self, one: Instruction) -> list[int]:
        at, more, names = self.where, one.more, one.writes[0]
        out, rows = at[names].T, at[np.asarray(more["vb"])]
        starts = self._starts(names.shape[0])
        bias = more["bias"]
        place, base, step = self._vectors(one.array, np.asarray(more["sb"]), np.asarray(more["sk"]))
        tables = [rows, more["vk"], base + starts, step, out[:, 0], starts]
        places, flags, b = [IN_MEMORY, place, IN_MEMORY, NOWHERE], ROWS_OUTSIDE, 0
        if bias is not None:
            places[3], b, zero = self._vectors(bias[0], np.asarray(bias[1]), np.zeros(1, int))
            b, flags = b + int(zero[0]), flags | BIAS_OF_VECTORS
        flags |= POSITIVE_PART if more.get("relu") else 0
        w = self.contraction(GEMM, len(more["sk"]), places, flags, [*tables, b + starts])
        self.tiles(w, len(rows), len(starts), 8, 4)
        return w

    def _vectors(self, array: int, sb: np.ndarray, sk: np.ndarray) -> tuple[int, int, np.ndarray]:
        """(place, base, step for each k) of weights in rows: as they stand in their array, or packed."""
        first = int(sb[0])
        if len(sb) >= self.lanes and bool((np.diff(sb) == 1).all()):
            return array, first, sk
        packed = self._packed[array, (sb - first).tobytes()]
        step = np.array([packed.rows[k] for k in (sk + first).tolist()]) * packed.pitch
        return IN_PACKED, packed.begin, step

    def prepare(self) -> None:
        """Find what has to be packed."""
        for one in self.stage.instructions:
            if one.kind == GEMM and not self._as_dot(one):
                bias: Any = one.more["bias"] or (0, [])
                for array, base, rows in ((one.array, one.more["sb"], one.more["sk"]), (bias[0], bias[1], [0])):
                    self._pack(array, np.asarray(base), np.asarray(rows))
        for packed in self._packed.values():
            packed.begin = self.packs
            self.packs += len(packed.rows) * packed.pitch

    def _pack(self, array: int, sb: np.ndarray, sk: np.ndarray) -> None:
        if len(sb) and not (len(sb) >= self.lanes and bool((np.diff(sb) == 1).all())):
            base = sb - sb[0]
            packed = self._packed.setdefault((array, base.tobytes()), _Packed(array, base, self.pitch(len(sb))))
            for k in (sk + sb[0]).tolist():
                packed.rows.setdefault(k, len(packed.rows))

    def finish(self) -> None:
        """Write down what is packed."""
        made = [
            [x.array, x.begin, len(x.rows), len(x.base), x.pitch, self.table(x.base), self.table(list(x.rows)), 0]
            for x in self._packed.values()
        ]
        self.packing = np.array(made, np.int64).reshape(-1, 8).tobytes()

    def _as_dot(self, one: Instruction) -> bool:
        """Whether a contraction is made by sums over the cells of a vector: their products are fewer, or nothing is packed."""
        more, lanes = one.more, self.lanes
        sb, sk, vk = (np.asarray(more[x]) for x in ("sb", "sk", "vk"))
        if len(vk) < lanes or more["bias"] is not None or more.get("relu"):
            return False
        if not all(bool((np.diff(x) == 1).all()) for x in (sk, vk)) and (
            len(vk) % lanes or not all(bool((np.diff(x.reshape(-1, lanes)) == 1).all()) for x in (sk, vk))
        ):
            return False
        direct = len(sb) >= lanes and bool((np.diff(sb) == 1).all())
        packed = 0 if direct else len(sb) * len(vk) / (_PACKING * len(more["vb"]))
        return len(sb) * (-(-len(vk) // lanes) + _SUM) < -(-len(sb) // lanes) * len(vk) + packed

    def _dot(self, number: int, one: Instruction) -> list[list[int]]:
        at, more, out, lanes = self.where, one.more, self.where[one.writes[0]], self.lanes
        sk, vk, positions = np.asarray(more["sk"]), np.asarray(more["vk"]), at[np.asarray(more["vb"])]
        count, made = len(vk), []
        starts, whole = self._starts(count), count // lanes
        parts = [(positions, sk[starts[:whole]] - sk[0], vk[starts[:whole]], 0)]
        if left := count % lanes:
            spare = self.spare(number) + np.arange(len(positions))[:, None] * lanes + np.arange(lanes)
            source = np.where(np.arange(lanes) < lanes - left, 0, positions[:, None] + count - lanes + np.arange(lanes))
            copy = [MAP, OPERATIONS["copy"], 0, 0, 0, 0, 0, spare.size, self.table(spare), *[self.table(source)] * 3]
            made.append(copy + [0] * (WIDTH - len(copy)))
            parts.append((spare[:, 0], starts[-1:], np.zeros(1, int), ADDS))
        rows = np.asarray(more["sb"]) + int(sk[0])
        for columns, of_weights, of_cells, flags in parts:
            tables = [rows, of_weights, columns, of_cells, out[:, 0], out[0] - out[0, 0]]
            places = [one.array, IN_MEMORY, IN_MEMORY, NOWHERE]
            w = self.contraction(DOT, len(of_cells), places, flags, tables)
            self.tiles(w, len(out), out.shape[1], 7, 4, loads=1)
            made.append(w)
        return made

    def _outer(self, one: Instruction) -> list[int]:
        """sum over k of numbers a[i, k] times vectors b[j, k], added to the sums over examples."""
        at, a, b = self.where, one.more["a"], one.more["b"]
        pitch = self.pitch(self.stage.results[one.array].columns)
        vectors = np.arange(0, len(b), self.lanes)
        rows = self.sums[one.array] + (one.more["row"] + np.arange(len(a))) * pitch
        tables = [at[a[:, 0]], at[a[0]] - at[a[0, 0]], at[b[0, 0]] + vectors, at[b[0]] - at[b[0, 0]], rows, vectors]
        w = self.contraction(GEMM, a.shape[1], [IN_MEMORY, IN_MEMORY, IN_SUMS, NOWHERE], GROWS, tables)
        self.tiles(w, len(a), len(vectors), 8, 4)
        return w
