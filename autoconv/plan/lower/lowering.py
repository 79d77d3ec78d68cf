"""The state of a lowering: where each line is, in registers of a kernel or as a whole array.

A line is either *laned* (virtual registers of a kernel hold it, one example in each lane) or an *array* (a source, or
computed by NumPy).  Kernels have odd numbers and NumPy's turns even ones, in the order in which they run.

``lower`` goes through the lines; contraction.py, overlap.py and labels.py each lower some rows, and ``share`` and
``rematerialise`` (batch_invariant.py, rematerialise.py) say how a line comes into another kernel than its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ...program.program import Line, Program
from ...shapes import Shape
from ..instructions import Clear, Fill, Gather, Instruction, Load, Map, Registers, Store
from ..kernel import Input, Kernel, Output, Result
from ..native.instruction_set import OPERATIONS
from ..spacing import ascending, bounds, distinct, in_a_row, positive, spaced
from .movement import for_one_example, in_memory, steps

_FULL = 1 << 23  # registers: a kernel that has more of them ends, since what it writes is in no cache any more

# Line i in a kernel, with the examples along an axis: (lowering, i, axis, kernel) -> its registers, None if it cannot
# be had so.
Way = Callable[["Lowering", int, int, int], Registers | None]


@dataclass
class Laned:
    """A line in a kernel: its registers (of the line's shape, size 1 along ``axis``, which counts examples)."""

    registers: Registers
    axis: int
    kernel: int


class Lowering:
    """The kernels of a program for batches of ``examples``, numbers of one ``dtype``.

    ``channel_lanes``: 0 for examples in the lanes; otherwise the lanes of a vector that channels fill.  ``wanted``:
    (line, kernel) of what kernels load, and ``work``: the products that one makes for each example on average, both of
    an earlier lowering of the same program.  ``ways``: how a line comes into another kernel, other than by being
    loaded; the first that can is taken.  ``each_alone``: whether there is an instruction for products of two operands
    of each example (with channels in the lanes).

    ``lanes``: laned lines.  ``pending``: contractions that wait for their reader, of which they may become a part
    (``Pending``, contraction.py).  ``merged``: reshapes that merge the examples with another axis, and what they
    reshape.  ``ready``: of each array the turn from which on it is there, ``axis`` which of its axes counts examples.
    ``whole``, ``parts``: registers of arrays in a kernel, and ``derived`` the vectors that a kernel computes to have
    them (batch_invariant.py).  ``most``: the registers of the kernel that has most of them.
    """

    def __init__(
        self,
        program: Program,
        examples: int,
        dtype: np.dtype,
        channel_lanes: int,
        wanted: Set[tuple[int, int]],
        work: int,
        ways: tuple[Way, ...],
        each_alone: bool,
    ) -> None:
        self.program, self.examples, self.dtype, self.channel_lanes = program, examples, dtype, channel_lanes
        self.wanted, self.work, self._ways, self.each_alone = wanted, work, ways, each_alone
        self.lanes: dict[int, Laned] = {}
        self.pending: dict[int, Any] = {}
        self.merged: dict[int, int] = {}
        self.ready: dict[int, int] = {}
        self.axis: dict[int, int | None] = {}
        self.numpy: set[int] = set()
        self.kernels: dict[int, Kernel] = {}
        self.whole: dict[tuple[int, int], Registers] = {}
        self.parts: dict[tuple[int, Any, int], Registers] = {}
        self.derived: dict[int, int] = {}
        self.most = 0
        self._loaded: dict[tuple[int, int, int], Registers] = {}
        self._spreads: dict[tuple[int, Shape, bytes], Registers] = {}
        self._stored: set[int] = set()
        self._for_one: dict[tuple[int, int], tuple[Mapping[str, Any], int] | None] = {}
        self.readers: list[list[int]] = [[] for _ in program.lines]
        for i, line in enumerate(program.lines):
            for x in line.operands:
                self.readers[x].append(i)

    def array(self, i: int) -> int:
        """Have line i as a whole array; from which turn on it is there."""
        if i in self.merged:
            return self._merge(i)
        self.settle(i)
        if i in self.lanes and i not in self._stored:
            lane = self.lanes[i]
            kernel = self.kernels[lane.kernel]
            self._stored.add(i)
            order = self._order(i)
            kernel.outputs.append(Output(i, lane.axis, order=order))
            kernel.instructions.append(Store(i, [], [lane.registers.transpose(order)], len(kernel.outputs) - 1))
            self.ready[i] = lane.kernel + 1
            self.axis[i] = lane.axis
        return self.ready[i]

    def _merge(self, i: int) -> int:
        """A reshape that merged the examples with another axis is wanted as an array after all: NumPy makes it."""
        del self.merged[i]
        self.by_numpy(i, self.program.lines[i])
        return self.ready[i]

    def settle(self, i: int) -> None:
        """Have line i written down, if it waits for its reader."""
        if i in self.pending:
            self.pending.pop(i).emit(self)

    def by_numpy(self, i: int, line: Line) -> None:
        self.ready[i] = max((self.array(x) for x in line.operands), default=0)  # even: the numbers of kernels are odd
        self.numpy.add(i)
        self.axis[i] = self._numpy_axis(i, line)

    def _numpy_axis(self, i: int, line: Line) -> int | None:
        known = [(x, a) for x in line.operands if (a := self.axis.get(x)) is not None]
        if not known or line.primitive is None:
            return None
        x, axis = known[0]
        shape = self.program.lines[x].shape
        if (line.shape == shape and line.primitive.group == "arithmetic") or line.primitive.name == "cast":
            return axis
        found = for_one_example(line, shape, axis, self.examples) if line.primitive.group == "wiring" else None
        return found[1] if found else None

    def kernel_for(self, *operands: int) -> int:
        """The first kernel in which these lines can be had, and that is not full: then the next one loads them."""
        least = 1
        for x in operands:
            if x in self.lanes:
                first = self.lanes[x].kernel
            elif x in self.pending:
                first = self.pending[x].kernel
            else:
                first = self.array(x) + 1
            least = max(least, first)
        while least in self.kernels and self.kernels[least].end > _FULL:
            least += 2
        return self.open(least)

    def open(self, number: int) -> int:
        """Have a kernel of this number."""
        self.kernels.setdefault(number, Kernel(number))
        return number

    def example_axis(self, *operands: int) -> int | None:
        """The axis that counts examples in the first operand for which that is known."""
        for x in operands:
            if x in self.pending:
                return self.pending[x].axis
            if x in self.lanes:
                return self.lanes[x].axis
        return next((a for x in operands if (a := self.axis.get(x)) is not None), None)

    def registers(self, i: int, axis: int, kernel: int) -> Registers | None:
        """The registers of line i in a kernel, with the examples along ``axis``; None if they cannot be had."""
        self.settle(i)
        if i in self.merged:
            return None
        if i in self.lanes and self.lanes[i].kernel == kernel:
            return self.lanes[i].registers if self.lanes[i].axis == axis else None
        if (i, axis, kernel) not in self._loaded:
            line = self.program.lines[i]
            if line.dtype not in (self.dtype, np.dtype(bool)):
                return None
            found = next((x for way in self._ways if (x := way(self, i, axis, kernel)) is not None), None)
            if found is None:
                if line.shape[axis : axis + 1] != (self.examples,):
                    return None
                self.array(i)
                found = self._load(i, axis, kernel)
            self._loaded[i, axis, kernel] = found
        return self._loaded[i, axis, kernel]

    def laned(self, i: int, axis: int, kernel: int) -> Registers:
        """The same of a line that is known to count examples along ``axis``, and has numbers that a kernel takes."""
        found = self.registers(i, axis, kernel)
        assert found is not None, "such a line can be had in every kernel behind it"
        return found

    def has(self, i: int, kernel: int) -> bool:
        """Whether line i has its registers in a kernel."""
        lane = self.lanes.get(i)
        axis = self.example_axis(i)
        return (lane is not None and lane.kernel == kernel) or (i, axis, kernel) in self._loaded

    def _load(self, i: int, axis: int, kernel: int) -> Registers:
        line, at = self.program.lines[i], self.kernels[kernel]
        count = prod(line.shape) // self.examples
        first = at.new_value(count)
        registers = in_a_row(first, count)
        self.most = max(self.most, at.end)
        order = self._order(i) if i in self.lanes and self.lanes[i].axis == axis else ()
        at.instructions.append(Load(i, [registers], [], at.input(Input(i, axis, order=order))))
        axes = order or (axis, *[d for d in range(len(line.shape)) if d != axis])
        return registers.reshape([1 if d == axis else line.shape[d] for d in axes]).transpose(np.argsort(axes))

    def _order(self, i: int) -> tuple[int, ...]:
        """The axes of a laned line as its registers stand in memory, that of the examples first.

        An array between two kernels is kept in this order: so it is loaded as it was made, whatever the order of its
        axes is called.
        """
        lane = self.lanes[i]
        return (lane.axis, *[d for d in in_memory(lane.registers) if d != lane.axis])

    # ---- new registers, and what is written there

    def place(self, i: int, registers: Registers, axis: int, kernel: int) -> bool:
        self.lanes[i] = Laned(registers, axis, kernel)
        return True

    def fresh(
        self, shape: Shape, kernel: int, like: Registers | None = None, channels: int = 0, free: int = 0
    ) -> Registers:
        """New registers for one example of this shape, numbered along its axes in the order that ``like`` has.

        ``channels``: how many axes at the end are channels, ``free`` of them in one group.  With examples in the lanes
        channels stand outside and positions inside; from one channel to the next it is an odd number of registers,
        because a power of two would put every channel in the same cache set.  With channels in the lanes they stand
        inside, in rows of whole vectors.
        """
        axes = list(range(len(shape)))
        turn = 0 if self.channel_lanes else channels
        order = in_memory(like) if like is not None else [*axes[len(axes) - turn :], *axes[: len(axes) - turn]]
        sizes = [shape[d] for d in order]
        registers = (
            self._rows(sizes, kernel, like, channels, free) if self.channel_lanes else self._planes(sizes, kernel)
        )
        self.most = max(self.most, self.kernels[kernel].end)
        return registers.transpose(np.argsort(order)) if sizes else registers

    def _planes(self, sizes: list[int], kernel: int) -> Registers:
        outside = next((d for d, n in enumerate(sizes) if n > 1), 0)
        inside = prod(sizes[outside + 1 :])
        step = inside | 1 if inside > 1 else 1
        count = sizes[outside] if sizes else 1
        first = self.kernels[kernel].new_value(step * count)
        inner = [prod(sizes[d + 1 :]) for d in range(outside + 1, len(sizes))]
        return spaced(first, tuple(sizes), [*[0] * outside, step, *inner] if sizes else [])

    def _rows(self, sizes: list[int], kernel: int, like: Registers | None, channels: int, free: int) -> Registers:
        """Rows of numbers, each with gaps up to a whole vector if it is shorter (or its last group is)."""
        at = self.kernels[kernel]
        dense = like is not None and prod(sizes) >= self.channel_lanes and _dense(like)
        inside = channels or next((len(sizes) - d for d in range(len(sizes) - 1, -1, -1) if sizes[d] > 1), 0)
        length = prod(sizes) if dense else 1 if free and not channels else prod(sizes[len(sizes) - inside :])
        count = prod(sizes) // length
        gap = max(0, self.channel_lanes - (free or length))
        first = at.new_value(count * (length + gap))
        if gap:
            at.gaps.append(spaced(first + length, (count, gap), (length + gap, 1)))
        steps, step = [0] * len(sizes), 1
        for d in reversed(range(len(sizes))):
            if step == length:
                step += gap
            steps[d], step = step, step * sizes[d]
        return spaced(first, tuple(sizes), steps)

    def one(self, shape: Shape, axis: int) -> Shape:
        return (*shape[:axis], 1, *shape[axis + 1 :])

    def copy(self, i: int, registers: Registers, kernel: int, out: Registers | None = None) -> Registers:
        """The same numbers in registers of their own, in order."""
        if out is None:
            out = self.fresh(registers.shape, kernel, like=registers if self.channel_lanes else None)
        at = self.kernels[kernel]
        at.instructions.append(self.elementwise(i, "copy", out, [registers], {}))
        if not positive(registers):
            at.blank[at.value(bounds(out)[1])] = out, registers == 0
        return out

    def elementwise(
        self, i: int, name: str, out: Registers, reads: list[Registers], params: Mapping[str, Any]
    ) -> Instruction:
        """One instruction for all registers, in the order in which the results stand in memory."""
        numbers: tuple[float, ...] = ()
        if name == "sign":
            numbers = (-1.0, float(params.get("at_zero", 0)), 1.0)
        elif name == "slope":
            numbers = (params["less"], params["tie"], params["more"])
            name = "slope" if params.get("nan", "more") == "more" else "slope_below"
        axes = ascending(out)
        if axes is not None:
            whole = [x if x.shape == out.shape else np.broadcast_to(x, out.shape) for x in reads]
            ordered = [x.transpose(axes) for x in (out, *whole)]
        else:
            order = np.argsort(out, axis=None)
            ordered = [x.reshape(-1)[order] for x in (out, *reads)]
        return Map(i, ordered[:1], ordered[1:], operation=OPERATIONS[name], numbers=numbers)

    def operand(self, i: int, line: Line) -> tuple[Registers, int, int] | None:
        """The registers of a line's first operand, the axis of its examples, and the kernel."""
        x = line.operands[0]
        axis = self.example_axis(x)
        if axis is None:
            return None
        kernel = self.kernel_for(x)
        registers = self.registers(x, axis, kernel)
        return None if registers is None else (registers, axis, kernel)

    def over_examples(self, i: int, result: Result, kernel: int) -> int:
        """Have line i as a sum over all examples, which is there when the kernel is done; its number in the kernel."""
        at = self.kernels[kernel]
        at.results.append(result)
        self.ready[i], self.axis[i] = kernel + 1, None
        return len(at.results) - 1

    def clear(self, i: int, registers: Registers, kernel: int) -> None:
        """Lanes without an example must not count when lanes are added up."""
        at = self.kernels[kernel]
        todo = [v for v in at.values(registers) if v and v not in at.cleared]
        at.cleared.update(todo)
        ends = [*at.starts[1:], at.end]
        for v in todo:
            cleared = in_a_row(at.starts[v], ends[v] - at.starts[v])
            at.instructions.append(Clear(i, [cleared], [cleared]))

    def add_up(self, i: int, terms: list[Registers], axis: int, kernel: int) -> bool:
        """Line i, of which each register is the sum of those at its place in ``terms``; if each has one, it is that
        register."""
        table = np.stack(terms, axis=-1)
        most = max(1, int(sum([(x != 0).astype(np.int32) for x in terms]).max(initial=0)))
        if most < len(terms):  # nowhere are there so many: the zeros go last, and away
            order = np.argsort(table == 0, axis=-1, kind="stable")
            table = np.take_along_axis(table, order[..., :most], axis=-1)
        if table.shape[-1] == 1:
            return self.place(i, table[..., 0], axis, kernel)
        out = self.fresh(table.shape[:-1], kernel, like=terms[0] if self.channel_lanes else None)
        self.gather(i, out, table, kernel)
        return self.place(i, out, axis, kernel)

    def gather(self, i: int, out: Registers, table: Registers, kernel: int) -> None:
        """Have new registers as the sums along the last axis of ``table``, in the order in which they are numbered."""
        axes = ascending(out)
        assert axes is not None, "new registers are numbered in order"
        flat = table.transpose(*axes, -1).reshape(-1, table.shape[-1])
        self.kernels[kernel].instructions.append(Gather(i, [out.transpose(axes).reshape(-1)], [flat]))

    # ---- lines that are derived from others, in their own kernel or in a later one

    def arithmetic(self, i: int, line: Line, axis: int, kernel: int) -> Registers | None:
        """Write an elementwise line down in a kernel; its registers, None if an operand cannot be had there."""
        assert line.primitive is not None
        name = line.primitive.name
        found = [self.registers(x, axis, kernel) for x in line.operands]
        if any(x is None for x in found):
            return None
        reads: list[Registers] = [x for x in found if x is not None]
        if name == "add":
            a, b = reads
            apart = not (positive(a) and positive(b)) and not ((a != 0) & (b != 0)).any()
            if apart:  # each register of one meets the zero of the other: nothing to add
                return a + b
        like = reads[0] if len(reads) == 1 else max(reads, key=distinct)
        out = self.fresh(self.one(line.shape, axis), kernel, like)
        if self.channel_lanes:
            reads = [self._spread(i, x, out, kernel) for x in reads]
        self.kernels[kernel].instructions.append(self.elementwise(i, name, out, reads, line.params))
        return out

    def _spread(self, i: int, registers: Registers, out: Registers, kernel: int) -> Registers:
        """An operand of ``out`` as it is read in vectors: where one number stands for a whole row, as a row's maximum
        or sum does in softmax and a token's mean in a normalisation, it is first spread over the lanes of a vector.

        Only where a row fills a vector.
        """
        at, row = self.kernels[kernel], next((d for d in reversed(in_memory(out)) if out.shape[d] > 1), None)
        whole = np.broadcast_to(registers, out.shape)
        if row is None or whole.strides[row]:
            return registers
        once = whole[tuple([slice(0, 1 if stride == 0 else None) for stride in whole.strides])]
        first = int(once.flat[0])
        if once.size * self.channel_lanes > out.size or first in at.repeated or not positive(once):
            return registers
        key = kernel, once.shape, once.tobytes()
        if key not in self._spreads:
            count, lanes = once.size, self.channel_lanes
            begin = at.new_value(count * lanes)
            self.most = max(self.most, at.end)
            vectors = spaced(begin, (count, lanes), (lanes, 1))
            at.instructions.append(Fill(i, [vectors], [once.reshape(count)]))
            at.repeated.update(range(begin, begin + count * lanes, lanes))
            inside = [prod(once.shape[d + 1 :]) * lanes for d in range(once.ndim)]
            steps = [step if n > 1 else 0 for step, n in zip(inside, once.shape, strict=True)]
            self._spreads[key] = spaced(begin, once.shape, steps)
        return np.broadcast_to(self._spreads[key], out.shape)

    def moved(self, i: int, line: Line, registers: Registers, axis: int, kernel: int) -> Registers | None:
        """The registers of a line that only moves numbers: those of its operand in another order; None if examples
        mix."""
        assert line.primitive is not None
        found = self.for_one(i, axis)
        if found is None:
            return None
        if line.primitive.name == "windows" and steps(registers) is None and self._feeds_contraction(i):
            registers = self.copy(i, registers, kernel)
        return np.asarray(line.primitive.forward(registers, **found[0]))

    def for_one(self, i: int, axis: int) -> tuple[Mapping[str, Any], int] | None:
        """The params of movement op i for one example, whose operand counts examples along ``axis``, and where they are
        counted then; None if examples mix."""
        if (i, axis) not in self._for_one:
            line = self.program.lines[i]
            shape = self.program.lines[line.operands[0]].shape
            self._for_one[i, axis] = for_one_example(line, shape, axis, self.examples)
        return self._for_one[i, axis]

    def _feeds_contraction(self, i: int) -> bool:
        """Whether a contraction reads line i, perhaps through reshapes."""
        waiting = list(self.readers[i])
        while waiting:
            r = waiting.pop()
            name = self.program.lines[r].primitive.name  # type: ignore[union-attr]
            if name == "contract":
                return True
            if name in ("reshape", "permute_dims"):
                waiting.extend(self.readers[r])
        return False

    def loads(self) -> set[tuple[int, int]]:
        """(line, kernel) of all lines that a kernel loads."""
        return {(x.line, n) for n, kernel in self.kernels.items() for x in kernel.inputs if x.axis is not None}

    def along(self) -> set[tuple[int, int | None]]:
        """(line, axis) of every line that has registers in some kernel: along which axis it counts examples there, None
        if the kernel has all of it."""
        laned = {(i, lane.axis) for i, lane in self.lanes.items()}
        return {*laned, *[(i, axis) for i, axis, _ in self._loaded], *[(i, None) for i, _ in self.whole]}

    def in_registers(self) -> set[int]:
        """The lines that have registers in some kernel."""
        return {*self.lanes, *[i for i, _ in self.whole], *[i for i, *_ in self._loaded]}


def _dense(registers: Registers) -> bool:
    """Whether there is no other register between these, and none is the zero register."""
    least, most = bounds(registers)
    return most - least + 1 == registers.size and positive(registers)
