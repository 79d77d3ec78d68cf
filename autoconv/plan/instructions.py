"""The planner's instructions: virtual registers by number, arrays by number; addresses come later.

A *virtual register* stands for one number of each example.  Lowering names as many as it likes; assembling gives each a
cell of memory.  Everything that the planner knows about a kind of instruction stands in its class: how much work it is,
how it is written in the machine's words (where the lanes of a vector are examples, and where they are channels), and
how a reader is told of it.  So a new instruction is a class here (contractions.py for products), its words in
native/instruction_set.py, its loop in native/block.h, and whatever in ``lower`` emits it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from .native import instruction_set as isa
from .spacing import ascending, in_a_row

if TYPE_CHECKING:
    from .assemble.by_channels import ByChannels
    from .assemble.by_examples import ByExamples
    from .assemble.vector_layout import VectorLayout

Registers = np.ndarray
"""Virtual registers by number, int32, in any shape.  Register 0 always holds zero."""
Rows = list[list[int]]
"""Instructions in the machine's words: one row of words each."""


class Weights(NamedTuple):
    """Numbers ``base[i] + steps[k]`` of input array ``array``, for each k a row that is read in vectors by ``places``
    rows of results (0: not each vector by itself)."""

    array: int
    base: np.ndarray
    steps: np.ndarray
    places: int = 0


@dataclass
class Instruction:
    """One instruction of line ``line``: the registers it ``writes`` and ``reads``, a list of arrays each."""

    line: int
    writes: list[Registers] = field(default_factory=list)
    reads: list[Registers] = field(default_factory=list)
    array: int = 0  # the number of an array of the kernel, among its inputs, its outputs, or its results

    words: ClassVar[str] = ""  # for a reader
    over_examples: ClassVar[bool] = False  # it adds to a result over all examples, number ``array``

    def products(self) -> int:
        """How many products (or elements) it makes for each example."""
        return self.writes[0].size if self.writes else 0

    def vectors(self, layout: VectorLayout) -> float:
        """How many products of vectors take as long, for a block of examples if a cell were one vector, or for one
        example."""
        if not self.writes:
            return 0
        return 1 + self.writes[0].size // 4 if layout.channels else self.writes[0].size

    def streams(self) -> int:
        """How many numbers of weights, and of sums over examples, a block of examples moves: read, or read and
        written."""
        return 0

    def by_examples(self, at: ByExamples, number: int) -> Rows:
        """The machine's rows of words, with examples in the lanes; ``number``: its place in the kernel."""
        raise NotImplementedError

    def by_channels(self, at: ByChannels, number: int) -> Rows:
        """The same with channels in the lanes: most instructions that move numbers are the same."""
        return self.by_examples(at, number)  # type: ignore[arg-type]

    def scratch_by_examples(self, at: ByExamples) -> int:
        """How many numbers of memory it needs for itself, with examples in the lanes."""
        return 0

    def scratch_by_channels(self, at: ByChannels) -> int:
        """The same with channels in the lanes."""
        return 0

    def packable(self, lanes: int) -> list[Weights]:
        """What it reads in vectors with channels in the lanes, and what has to be packed unless it stands so."""
        return []

    def written_by_channels(self, at: ByChannels) -> np.ndarray:
        """The addresses that it writes to, those that it only passes over among them."""
        return at.addresses(self.writes)

    def described(self, alike: Sequence[Instruction]) -> str:
        """The plan in words, of all the instructions ``alike`` (of this kind) that a line became in a kernel."""
        return self.words


def doubles(numbers: Sequence[float]) -> dict[str, int]:
    """Three doubles as words of MAP."""
    words = struct.unpack("3q", struct.pack("3d", *numbers)) if numbers else (0, 0, 0)
    return {f"number{k}": word for k, word in enumerate(words)}


@dataclass
class Map(Instruction):
    """out = operation(x, y, z) for each element; ``numbers``: what the operation needs besides (``sign`` and ``slope``:
    what is for less, a tie and more)."""

    operation: int = 0
    numbers: tuple[float, ...] = ()

    words: ClassVar[str] = "elementwise"

    def by_examples(self, at: ByExamples, number: int) -> Rows:
        out, *operands = (at.vectors(at.addresses_of(each).reshape(-1)) for each in self._operands())
        tables = {word: at.table(each) for word, each in zip("xyz", operands, strict=True)}
        tables["out"] = at.table(out)
        return [isa.MAP.row(operation=self.operation, count=out.size, **tables, **doubles(self.numbers))]

    def by_channels(self, at: ByChannels, number: int) -> Rows:
        repeated = at.repeated_rows(self.writes[0], self.reads)
        if repeated is not None:
            return self._beside_repeated_rows(at, number, repeated)
        vectors, singles = at.rows_of_cells(self.writes[0], self.reads, grows=False)
        tables, known = {}, {}
        for word, each in zip(("out", "x", "y", "z"), self._operands(), strict=True):
            if id(each) not in known:
                of_vectors, of_singles = at.addresses_at(each, vectors, singles)
                known[id(each)] = (*at.relative(of_vectors), at.table(of_singles))
            tables[word], tables[word + "_at"], tables["single_" + word] = known[id(each)]
        counts = {"count": len(vectors), "singles": len(singles)}
        return [isa.MAP.row(operation=self.operation, **counts, **tables, **doubles(self.numbers))]

    def scratch_by_channels(self, at: ByChannels) -> int:
        """Of each row that is repeated beside longer ones: a copy that goes on for a vector."""
        repeated = at.repeated_rows(self.writes[0], self.reads) or []
        return sum([at.pitch(row.size + at.lanes - 1) for row in repeated if row is not None])

    def _beside_repeated_rows(self, at: ByChannels, number: int, repeated: list[Registers | None]) -> Rows:
        """Whole vectors from one end to the other, whatever the length of the rows that are repeated: each of these is
        copied, with its beginning behind its end, and where a vector begins in it is its place modulo the length."""
        scratch, rows = at.scratch(number), []
        starts = at.vector_starts(self.writes[0].size)
        begins = [at.addresses_of(registers).flat[0] + starts for registers in self._operands()]
        for k, row in enumerate(repeated, start=1):
            if row is None:
                continue
            longer = in_a_row(scratch, row.size + at.lanes - 1)
            rows.append(at.copy(longer, at.addresses_of(row)[np.arange(len(longer)) % row.size]))
            begins[k] = scratch + starts % row.size
            scratch += at.pitch(len(longer))
        begins[len(repeated) + 1 :] = begins[1:2] * (3 - len(repeated))
        words = {}
        for word, each in zip(("out", "x", "y", "z"), begins, strict=True):
            words[word], words[word + "_at"] = at.relative(each)
        return [*rows, isa.MAP.row(operation=self.operation, count=len(starts), **words, **doubles(self.numbers))]

    def _operands(self) -> list[Registers]:
        """The result and three operands; the first one again where there are fewer."""
        return [self.writes[0], *self.reads, *self.reads[:1] * (3 - len(self.reads))]

    def described(self, alike: Sequence[Instruction]) -> str:
        return f"elementwise on {self.writes[0].size:,} cells"


@dataclass
class Fill(Instruction):
    """writes[0][c, lane] = reads[0][c]: a number in all lanes of a vector, with channels in the lanes."""

    words: ClassVar[str] = "spread numbers"

    def vectors(self, layout: VectorLayout) -> float:
        return len(self.writes[0])

    def by_examples(self, at: ByExamples, number: int) -> Rows:
        raise NotImplementedError("with examples in the lanes a number fills its cell as it is")

    def by_channels(self, at: ByChannels, number: int) -> Rows:
        out, out_at = at.relative(at.addresses_of(self.writes[0][:, 0]))
        x, x_at = at.relative(at.addresses_of(self.reads[0]))
        operands = dict.fromkeys("xyz", x) | {f"{word}_at": x_at for word in "xyz"}
        count = len(self.writes[0])
        return [isa.MAP.row(operation=isa.OPERATIONS["fill"], count=count, out=out, out_at=out_at, **operands)]


@dataclass
class Gather(Instruction):
    """out[c] = sum over k of reads[0][c, k]."""

    words: ClassVar[str] = "add up cells"

    def by_examples(self, at: ByExamples, number: int) -> Rows:
        out = at.vectors(at.addresses_of(self.writes[0]))
        tables = {"out": at.table(out), "x": at.table(at.terms(self.reads[0]))}
        terms = self.reads[0].shape[1]
        return [isa.GATHER.row(count=out.size, **tables, terms=terms, place=isa.IN_MEMORY)]

    def by_channels(self, at: ByChannels, number: int) -> Rows:
        out: Registers = self.writes[0].reshape(-1)
        if ascending(out) is not None:
            return [gather_by_channels(at, out, at.addresses_of(out), self.reads[0], isa.IN_MEMORY)]
        order = np.argsort(out)
        out = out[order]
        return [gather_by_channels(at, out, at.addresses_of(out), self.reads[0][order], isa.IN_MEMORY)]

    def described(self, alike: Sequence[Instruction]) -> str:
        rows, terms = self.reads[0].shape
        return f"{self.words}: {rows:,} results of {terms:,} cells"


@dataclass
class Total(Gather):
    """result[c] = sum over examples and k of reads[0][c, k], added to result ``array``."""

    words: ClassVar[str] = "sum over examples"
    over_examples: ClassVar[bool] = True

    def by_examples(self, at: ByExamples, number: int) -> Rows:
        x = at.vectors(at.addresses_of(self.reads[0]))
        return [isa.TOTAL.row(count=len(x), out=at.sums[self.array], x=at.table(x), terms=x.shape[1])]

    def by_channels(self, at: ByChannels, number: int) -> Rows:
        count = len(self.reads[0])
        return [
            gather_by_channels(at, in_a_row(0, count), in_a_row(at.sums[self.array], count), self.reads[0], isa.IN_SUMS)
        ]


def gather_by_channels(at: ByChannels, out: np.ndarray, to: np.ndarray, reads: Registers, place: int) -> list[int]:
    """GATHER of rows of cells; ``to``: the addresses of the results ``out``, which ascend."""
    vectors, singles = at.rows_of_cells(out, [reads], grows=place == isa.IN_SUMS)
    table, first = at.relative(at.addresses_of(reads[vectors]))
    of_singles, terms = at.addresses_of(reads[singles]), reads.shape[1]
    return isa.GATHER.row(
        count=len(vectors),
        out=at.table(to[vectors]),
        x=table,
        x_at=first,
        terms=terms,
        place=place,
        singles=len(singles),
        single_out=at.table(to[singles]),
        single_x=at.table(of_singles),
        rows=int(terms >= at.lanes and (np.diff(of_singles, axis=1) == 1).all()),
    )


@dataclass
class Load(Instruction):
    """Numbers of each example from input array ``array``."""

    words: ClassVar[str] = "load examples"

    def by_examples(self, at: ByExamples, number: int) -> Rows:
        out, whole = at.addresses_of(self.writes[0]), int(at.kernel.inputs[self.array].persistent)
        return [isa.LOAD.row(count=out.size, out=at.table(out), array=self.array, whole=whole)]

    def by_channels(self, at: ByChannels, number: int) -> Rows:
        out, beside = at.run_or_table(self.writes[0])  # a cell is one number, which is the same whole or not
        return [isa.LOAD.row(count=self.writes[0].size, out=out, array=self.array, beside=beside)]


@dataclass
class Store(Instruction):
    """Numbers of each example to output array ``array``: registers in their order there, along as many axes as they
    have."""

    words: ClassVar[str] = "store examples"

    def by_examples(self, at: ByExamples, number: int) -> Rows:
        x, whole = at.addresses_of(self.reads[0]), int(at.kernel.outputs[self.array].persistent)
        return [isa.STORE.row(count=x.size, x=at.table(x), array=self._array(at), whole=whole)]

    def by_channels(self, at: ByChannels, number: int) -> Rows:
        x, beside = at.run_or_table(self.reads[0].reshape(-1))
        return [isa.STORE.row(count=self.reads[0].size, x=x, array=self._array(at), beside=beside)]

    def _array(self, at: Any) -> int:
        return len(at.kernel.inputs) + self.array


@dataclass
class Splat(Instruction):
    """Numbers of input array ``array``, the same for all examples, each in all lanes."""

    words: ClassVar[str] = "spread numbers"

    def by_examples(self, at: ByExamples, number: int) -> Rows:
        return [self._row(at, at.cell)]

    def by_channels(self, at: ByChannels, number: int) -> Rows:
        repeated = int(self.writes[0].flat[0]) in at.kernel.repeated
        return [self._row(at, at.lanes if repeated else 1)]

    def _row(self, at: Any, width: int) -> list[int]:
        out = at.addresses_of(self.writes[0])
        return isa.SPLAT.row(count=out.size, out=at.table(out), array=self.array, width=width)


@dataclass
class Choose(Instruction):
    """out = reads[0][label], the label of each example from input array ``array``."""

    words: ClassVar[str] = "choose by label"

    def by_examples(self, at: ByExamples, number: int) -> Rows:
        x, out = at.addresses_of(self.reads[0]), at.addresses_of(self.writes[0])
        return [isa.CHOOSE.row(count=x.size, x=at.table(x), array=self.array, out=at.table(out))]


@dataclass
class Place(Instruction):
    """writes[0] = 0, but the register at the example's label = x; the label from input array ``array``: the adjoint of
    Choose."""

    words: ClassVar[str] = "place by label"

    def by_examples(self, at: ByExamples, number: int) -> Rows:
        x, out = at.addresses_of(self.reads[0]), at.addresses_of(self.writes[0])
        return [isa.PLACE.row(count=out.size, out=at.table(out), array=self.array, x=at.table(x))]


@dataclass
class Clear(Instruction):
    """Zeros in the lanes that have no example, which must not count where lanes are added up."""

    words: ClassVar[str] = "clear unused lanes"

    def by_examples(self, at: ByExamples, number: int) -> Rows:
        cells = at.addresses_of(self.writes[0])
        return [isa.CLEAR.row(count=cells.size, out=at.table(cells))]

    def by_channels(self, at: ByChannels, number: int) -> Rows:
        return [isa.CLEAR.row()]  # one example at a time: no lane is without one
