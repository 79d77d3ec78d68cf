"""The planner's contractions: products that are summed, in the three forms that the machine knows.

    Gemm   out[i, j] = bias[i] + sum_k weights[i, k] * x[j, k]            an array of weights; a result for each example
    Dot    result[i, j] = sum over examples and k of a[i, k] * b[j, k]    one result for all examples
    Outer  the same with a result in rows of vectors: lanes may be transposed first

and in channelwise.py those of channels that do not see each other.
With channels in the lanes a Gemm may become the machine's GEMM or DOT, and a Dot its GEMM, whichever has rows of cells
in its vectors.  Tables of registers or of positions in an array are kept as base + step: position [i, k] is base[i] +
step[k].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from .instructions import Instruction, Registers, Rows, Weights
from .native import instruction_set as isa

if TYPE_CHECKING:
    from .assemble.by_channels import ByChannels
    from .assemble.by_examples import ByExamples
    from .assemble.vector_layout import VectorLayout

_NARROW = (
    1.0  # what a vector of weights' products costs besides where weights meet one vector of examples, and not four
)
_PACKING = 4  # numbers packed while a product of vectors is made
_OF_NUMPY = 4  # products that NumPy makes while one of vectors is made
_SUM = 4  # products of vectors that take as long as the sum over a vector's lanes
FEW = 8  # terms of an example: for fewer, tiles wait for their additions, and sums over examples are in rows of vectors
_SUM_OF_LANES = 7  # the same where examples are in the lanes, in the time of two products, with all that ends a tile
_AT_A_TIME = 64  # terms after which lanes are added up (machine.c)
_TRANSPOSING = 3  # the time of two products that a vector takes which is transposed
_ONE_VECTOR = 1.3  # how much longer a product takes where each number meets one vector alone
_TRANSPOSED = 1 << 15  # numbers that are transposed at a time, so that they stay in a cache


class Spaced(NamedTuple):
    """Positions [i, k] that are base[i] + step[k]."""

    base: np.ndarray
    step: np.ndarray

    @property
    def one(self) -> np.ndarray:
        """One of the positions, for all: registers of one value stand for it by any of them."""
        return self.base[:1]


def _rows(count: int, layout: VectorLayout) -> int:
    """Vectors for so many channels: in the lanes, or one after the other."""
    return ceil(count / layout.lanes) if layout.channels else count


def waits(width: int, layout: VectorLayout) -> float:
    """How much longer a product takes where a tile is narrow and its additions wait for one another."""
    return 1.0 if layout.channels else 1 + _NARROW * (1 / min(4, width * layout.vectors) - 1 / 4)


def beside(positions: np.ndarray) -> bool:
    """Whether positions follow one another."""
    return bool((np.diff(positions) == 1).all())


@dataclass(kw_only=True)
class Gemm(Instruction):
    """writes[0][i, j] = bias[i] + sum over k of weights[i, k] * x[j, k]; negative results stored as 0 if ``relu``.

    Weight [i, k] is number ``weight_base[i] + weight_step[k]`` of input array ``array``, x [j, k] register
    ``x_base[j] + x_step[k]``; ``bias``: the number of an input array, and where in it each row's number stands.
    """

    weight_base: np.ndarray
    weight_step: np.ndarray
    x_base: Registers
    x_step: np.ndarray
    bias: tuple[int, np.ndarray] | None = None
    relu: bool = False

    words: ClassVar[str] = "contract"

    def products(self) -> int:
        return self.writes[0].size * len(self.weight_step)

    def streams(self) -> int:
        return len(self.weight_base) * len(self.weight_step)

    def vectors(self, layout: VectorLayout) -> float:
        height, width = self.writes[0].shape
        return _rows(height, layout) * width * len(self.weight_step) * waits(width, layout)

    def described(self, alike: Sequence[Instruction]) -> str:
        cells = sum(x.writes[0].size for x in alike)
        classes = f" in {len(alike)} classes or groups" if len(alike) > 1 else ""
        bias = ", starting from the bias" if self.bias is not None else ""
        relu = ", negative sums stored as 0" if self.relu else ""
        return f"contract: {cells:,} cells of {len(self.weight_step):,} products{classes}{bias}{relu}"

    def by_examples(self, at: ByExamples, number: int) -> Rows:
        out = at.addresses_of(self.writes[0])
        x_base = at.vectors(at.addresses_of(self.x_base))
        row = at.contraction(
            isa.GEMM,
            terms=len(self.weight_step),
            places=(self.array, isa.IN_MEMORY, isa.IN_MEMORY),
            left=(self.weight_base, self.weight_step),
            right=(x_base, self.x_step * at.cell),
            out=(out[:, 0], at.vectors(out[0] - out[0, 0])),
            bias=(isa.NOWHERE, [0]) if self.bias is None else self.bias,
            flags=isa.APART | (isa.POSITIVE_PART if self.relu else 0),
        )
        return [at.tiled(row, len(out), len(x_base))]

    # ---- with channels in the lanes: numbers of x times vectors of weights, or dot products over a vector's lanes

    def by_channels(self, at: ByChannels, number: int) -> Rows:
        return self._dots(at, number) if self.as_dots(at.lanes) else [self._gemm(at)]

    def packable(self, lanes: int) -> list[Weights]:
        if self.as_dots(lanes):
            left = len(self.weight_step) % lanes
            return [Weights(self.array, self.weight_step[-left:], self.weight_base)] if left else []
        weights = Weights(self.array, self.weight_base, self.weight_step, len(self.x_base))
        return [weights] if self.bias is None else [weights, Weights(*self.bias, np.zeros(1, int))]

    def as_dots(self, lanes: int) -> bool:
        """Whether it becomes dot products over the lanes: these are fewer, or nothing has to be packed for them."""
        weight_base, weight_step, x_step = self.weight_base, self.weight_step, self.x_step
        count = len(x_step)
        if count < lanes or self.bias is not None or self.relu:
            return False
        steps = (weight_step, x_step)
        if not all(map(beside, steps)) and (count % lanes or not all(beside(x.reshape(-1, lanes)) for x in steps)):
            return False
        packed = 0 if self._in_rows(lanes) else len(weight_base) * count / (_PACKING * len(self.x_base))
        return len(weight_base) * (-(-count // lanes) + _SUM) < -(-len(weight_base) // lanes) * count + packed

    def _in_rows(self, lanes: int) -> bool:
        return len(self.weight_base) >= lanes and beside(self.weight_base)

    def written_by_channels(self, at: ByChannels) -> np.ndarray:
        """Whole vectors: the cells of the channels that follow get their numbers afterwards."""
        if self.as_dots(at.lanes):
            return super().written_by_channels(at)
        first = at.addresses_of(self.writes[0][0])
        return (first[:, None] + at.vector_starts(len(self.writes[0])))[..., None] + np.arange(at.lanes)

    def scratch_by_channels(self, at: ByChannels) -> int:
        """Of dot products: their last vectors, of which the last lanes are zero."""
        if not self.as_dots(at.lanes) or not len(self.x_step) % at.lanes:
            return 0
        return len(self.x_base) * at.lanes

    def _gemm(self, at: ByChannels) -> list[int]:
        registers = self.writes[0]
        out, x_base = (at.addresses_of(x) for x in (registers[0], self.x_base))
        starts = at.vector_starts(len(registers))
        place, base, step = at.weights_in_rows(self.array, self.weight_base, self.weight_step, starts)
        bias, flags = (isa.NOWHERE, starts), isa.ROWS_OUTSIDE | at.apart(len(registers))
        if self.bias is not None:
            bias_place, bias_base, zero = at.weights_in_rows(*self.bias, np.zeros(1, int), starts)
            bias, flags = (bias_place, bias_base + int(zero[0])), flags | isa.BIAS_OF_VECTORS
        row = at.contraction(
            isa.GEMM,
            terms=len(self.weight_step),
            places=(isa.IN_MEMORY, place, isa.IN_MEMORY),
            left=(x_base, self.x_step),
            right=(base, step),
            out=(out, starts),
            bias=bias,
            flags=flags | (isa.POSITIVE_PART if self.relu else 0),
        )
        return at.tiled(row, len(x_base), len(starts))

    def _dots(self, at: ByChannels, number: int) -> Rows:
        lanes, out, x_base = at.lanes, at.addresses_of(self.writes[0]), at.addresses_of(self.x_base)
        weight_step, x_step, count = self.weight_step, self.x_step, len(self.x_step)
        rows: Rows = []
        starts, whole = np.arange(0, count, lanes), count // lanes
        base = self.weight_base + int(weight_step[0])
        parts = [(self.array, base, weight_step[starts[:whole]] - weight_step[0], x_base, x_step[starts[:whole]], 0)]
        if left := count % lanes:  # the last vectors are copied, both: a zero beyond what is left meets a zero
            scratch = at.scratch(number) + np.arange(len(x_base))[:, None] * lanes + np.arange(lanes)
            copied = x_base[:, None] + count - left + np.arange(lanes)
            rows.append(at.copy(scratch, np.where(np.arange(lanes) < left, copied, 0)))
            first = np.zeros(1, int)
            place, begin, step = at.weights_in_rows(self.array, weight_step[-left:], self.weight_base, first)
            parts.append((place, begin + step, np.zeros(1, int), scratch[:, 0], np.zeros(1, int), isa.ADDS))
        for place, of_rows, of_weights, columns, of_cells, flags in parts:
            row = at.contraction(
                isa.DOT,
                terms=len(of_cells),
                places=(place, isa.IN_MEMORY, isa.IN_MEMORY),
                left=(of_rows, of_weights),
                right=(columns, of_cells),
                out=(out[:, 0], out[0] - out[0, 0]),
                flags=flags,
            )
            rows.append(at.tiled(row, len(out), out.shape[1]))
        return rows


def _added_up(at: ByExamples, a: Spaced, b: Spaced, out: tuple[np.ndarray, np.ndarray]) -> list[int]:
    """The row of sums over examples and k of a[i, k] * b[j, k], whose lanes are added up in the end; ``out``: where in
    the sums each row and column is."""
    a_step, b_step = (at.vectors(x.step * at.cell) for x in (a, b))
    row = at.contraction(
        isa.DOT,
        terms=len(a_step),
        places=(isa.IN_MEMORY, isa.IN_MEMORY, isa.IN_SUMS),
        left=(at.addresses_of(a.base), a_step),
        right=(at.addresses_of(b.base), b_step),
        out=out,
        flags=isa.GROWS,
    )
    return at.tiled(row, len(a.base), len(b.base))


@dataclass(kw_only=True)
class Dot(Instruction):
    """result[i, j] = sum over examples and k of a[i, k] * b[j, k], added to result ``array``.

    a [i, k] is register ``a.base[i] + a.step[k]``, b likewise.
    ``places``: where in the result each [i, j] stands; with channels in the lanes i are the rows ``rows`` of it.
    """

    a: Spaced
    b: Spaced
    places: Spaced | None = None
    rows: np.ndarray | None = None

    words: ClassVar[str] = "contract over examples"
    over_examples: ClassVar[bool] = True

    def products(self) -> int:
        return len(self.a.base) * len(self.b.base) * len(self.a.step)

    def streams(self) -> int:
        return 2 * len(self.a.base) * len(self.b.base)

    def vectors(self, layout: VectorLayout) -> float:
        return len(self.a.base) * _rows(len(self.b.base), layout) * len(self.a.step) * 1.0

    def described(self, alike: Sequence[Instruction]) -> str:
        numbers = sum(len(x.a.base) * len(x.b.base) for x in alike if isinstance(x, Dot))
        return f"contract and sum over examples: {numbers:,} numbers of {len(self.a.step):,} products of cells"

    def by_examples(self, at: ByExamples, number: int) -> Rows:
        assert self.places is not None
        return [_added_up(at, self.a, self.b, (at.sums[self.array] + self.places.base, self.places.step))]

    def by_channels(self, at: ByChannels, number: int) -> Rows:
        """Numbers of a times vectors of b, whose cells stand side by side."""
        (a, a_step), (b, b_step) = self.a, self.b
        pitch = at.pitch(at.kernel.results[self.array].columns)
        vectors = np.arange(0, len(b), at.lanes)
        assert self.rows is not None
        rows = at.sums[self.array] + self.rows * pitch
        row = at.contraction(
            isa.GEMM,
            terms=len(a_step),
            places=(isa.IN_MEMORY, isa.IN_MEMORY, isa.IN_SUMS),
            left=(at.addresses_of(a), a_step),
            right=(at.addresses_of(b[:1]) + vectors, b_step),
            out=(rows, vectors),
            flags=isa.GROWS | isa.APART,
        )
        return [at.tiled(row, len(a), len(vectors))]


@dataclass(kw_only=True)
class Product(Instruction):
    """writes[0][i, j] = sum over k of a[i, k] * b[j, k], both of the same example; with channels in the lanes alone.

    a [i, k] is register ``a.base[i] + a.step[k]``, b likewise; b's of one k stand side by side.
    """

    a: Spaced
    b: Spaced

    words: ClassVar[str] = "contract each example"

    def products(self) -> int:
        return self.writes[0].size * len(self.a.step)

    def vectors(self, layout: VectorLayout) -> float:
        if not layout.channels:  # left to NumPy
            return self.products() * layout.lanes / _OF_NUMPY
        return len(self.a.base) * _rows(len(self.b.base), layout) * len(self.a.step) * 1.0

    def described(self, alike: Sequence[Instruction]) -> str:
        cells = sum(x.writes[0].size for x in alike)
        return f"contract each example: {cells:,} cells of {len(self.a.step):,} products of cells"

    def by_examples(self, at: ByExamples, number: int) -> Rows:
        raise NotImplementedError("with examples in the lanes a contraction of each example is left to NumPy")

    def written_by_channels(self, at: ByChannels) -> np.ndarray:
        first = at.addresses_of(self.writes[0][:, 0])
        return (first[:, None] + at.vector_starts(len(self.b.base)))[..., None] + np.arange(at.lanes)

    def by_channels(self, at: ByChannels, number: int) -> Rows:
        """Numbers of a times vectors of b."""
        starts = at.vector_starts(len(self.b.base))
        row = at.contraction(
            isa.GEMM,
            terms=len(self.a.step),
            places=(isa.IN_MEMORY, isa.IN_MEMORY, isa.IN_MEMORY),
            left=(at.addresses_of(self.a.base), self.a.step),
            right=(at.addresses_of(self.b.base[:1]) + starts, self.b.step),
            out=(at.addresses_of(self.writes[0][:, 0]), starts),
            flags=at.apart(len(self.b.base)),
        )
        return [at.tiled(row, len(self.a.base), len(starts))]


@dataclass(kw_only=True)
class Outer(Instruction):
    """result[i, j] = sum over examples and k of a[i, k] * b[j, k], in rows of whole vectors; examples in the lanes.

    A result may be added up vector by vector of a cell, and its lanes in the end; or the lanes of b become rows of
    numbers side by side first, and numbers of a meet vectors of these: whichever takes less.

    a [i, k] is register ``a.base[i] + a.step[k]``, b likewise.  ``parts``: (rows, columns, terms) of which the sums are
    made; a row stands in one part.
    """

    a: Spaced
    b: Spaced
    parts: Sequence[tuple[Any, Any, Any]]

    words: ClassVar[str] = "contract over examples, rows of vectors"
    over_examples: ClassVar[bool] = True

    def products(self) -> int:
        return sum(len(x.base) * len(y.base) * len(x.step) for x, y in self._sides())

    def streams(self) -> int:
        return 2 * len(self.a.base) * len(self.b.base)

    def vectors(self, layout: VectorLayout) -> float:
        made = sum(len(x.base) * _rows(len(y.base), layout) * len(x.step) for x, y in self._sides())
        return made * (waits(1, layout) if len(self.a.step) < FEW else 1.0)

    def described(self, alike: Sequence[Instruction]) -> str:
        return f"contract and sum over examples: {len(self.a.base)} x {len(self.b.base)} numbers in rows of vectors"

    def _sides(self) -> list[tuple[Spaced, Spaced]]:
        """Both operands of each part."""
        a, b = self.a, self.b
        return [(Spaced(a.base[i], a.step[k]), Spaced(b.base[j], b.step[k])) for i, j, k in self.parts]

    def _transposed(self, at: ByExamples) -> int:
        """How many terms are transposed at a time; 0 if lanes are added up in the end."""
        height, width, terms = len(self.a.base), len(self.b.base), len(self.a.step)
        if any(len(y.base) < width for _, y in self._sides()):
            return 0
        vectors, pitch = terms * at.cell // at.lanes, at.pitch(width)
        summed = vectors / 2 + _SUM_OF_LANES * ceil(vectors / _AT_A_TIME)
        wide = 1.0 if pitch > at.lanes else _ONE_VECTOR
        transposed = vectors / 2 * wide * pitch / width + _TRANSPOSING * vectors / height
        return min(terms, max(1, _TRANSPOSED // (at.cell * pitch))) if transposed < summed else 0

    def scratch_by_examples(self, at: ByExamples) -> int:
        return self._transposed(at) * at.cell * at.pitch(len(self.b.base))

    def by_examples(self, at: ByExamples, number: int) -> Rows:
        sums, pitch = at.sums[self.array], at.pitch(len(self.b.base))
        rows_of, columns = np.arange(len(self.a.base)) * pitch, np.arange(len(self.b.base))
        some = self._transposed(at)
        if some:
            return self._by_rows(at, at.scratch(number), some)
        return [
            _added_up(at, a, b, (sums + rows_of[i], columns[j]))
            for (i, j, _), (a, b) in zip(self.parts, self._sides(), strict=True)
        ]

    def _by_rows(self, at: ByExamples, scratch: int, some: int) -> Rows:
        """``some`` terms of b transposed at a time, and each part's products with them."""
        cell, pitch = at.cell, at.pitch(len(self.b.base))
        left, right = at.addresses_of(self.a.base), at.addresses_of(self.b.base)
        rows, vectors = at.sums[self.array] + np.arange(len(left)) * pitch, np.arange(0, pitch, at.lanes)
        numbers, begun, made = np.arange(cell), set(), []
        for first in range(0, len(self.b.step), some):
            steps = self.b.step[first : first + some] * cell
            of_b = (right + steps[:, None])[:, None, :] + at.beside[:, None]  # (terms, vectors of a cell, columns)
            words = {"x": at.table(of_b), "pitch": pitch, "out": scratch}
            made.append(isa.TRANSPOSE.row(count=of_b.size // len(right), columns=len(right), **words))
            for part, (i, _, k) in enumerate(self.parts):
                terms = np.arange(len(self.a.step))[k]
                terms = terms[(terms >= first) & (terms < first + some)]
                if not terms.size:
                    continue
                row = at.contraction(
                    isa.GEMM,
                    terms=terms.size * cell,
                    places=(isa.IN_MEMORY, isa.IN_MEMORY, isa.IN_SUMS),
                    left=(left[i], (self.a.step[terms] * cell)[:, None] + numbers),
                    right=(scratch + vectors, (((terms - first) * cell)[:, None] + numbers) * pitch),
                    out=(rows[i], vectors),
                    flags=isa.GROWS | isa.APART | (isa.ADDS if part in begun else 0),
                )
                begun.add(part)
                made.append(at.tiled(row, len(left[i]), len(vectors)))
        return made

    def by_channels(self, at: ByChannels, number: int) -> Rows:
        raise NotImplementedError("with channels in the lanes a contraction over examples is lowered to Dot")
