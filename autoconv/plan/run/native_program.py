"""A program assembled for the native machine: everything about it that stays the same from run to run.

``NativeRun`` runs it, ``OptimizerStep`` adds an optimiser's step to its last call, ``RepeatedStep`` makes a step like
the last one without looking anything up; all three only read it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set
from copy import copy
from functools import cached_property
from typing import Any

import numpy as np

from ...program.program import Program, report, size
from ..assemble.by_channels import ByChannels
from ..assemble.by_examples import ByExamples
from ..assemble.vector_layout import VectorLayout
from ..extension import machine
from ..instructions import Clear, Instruction
from ..kernel import Input, Kernel, Output, Result
from ..lower.lowering import Lowering
from .other_batch import axes_of
from .persistent import Persistent

_PLACES = np.dtype(np.int64)


class NativeProgram:
    """The kernels of a program in the machine's terms, and the order in which these and NumPy's lines run.

    ``parts``: the most threads.  ``left``: the lines that are left to NumPy.  ``schedule``:  NumPy's lines (numbers)
    and native calls (tuples of numbers of kernels), in order.  ``by_numpy``: the lines that NumPy computes; ``asked``:
    those that somebody besides the machine reads.  ``axes``: along which of their axes lines count examples.
    ``constants``: arrays that never change, by the id of the ``Input`` that reads them.
    """

    def __init__(self, lowering: Lowering, layout: VectorLayout, parts: int) -> None:
        self.lowering: Lowering | None = lowering
        self.layout, self.parts = layout, parts
        self.program: Program = lowering.program
        self.dtype = lowering.dtype
        self.kernels = sorted((k for k in lowering.kernels.values() if k.instructions), key=lambda k: k.number)
        self.whole = lowering.examples % layout.examples == 0  # no lane is without an example
        if self.whole:
            for kernel in self.kernels:
                kernel.instructions = [one for one in kernel.instructions if not isinstance(one, Clear)]
        outputs = [*self.program.outputs, *self.program.checks]
        self.left = lowering.numpy
        needed = self.needed(outputs)
        self.by_numpy = sorted(i for i in self.left if i in needed)
        self.asked = {*outputs, *[x for i in self.by_numpy for x in self.program.lines[i].operands]}
        self.persistent = Persistent(self.program, self.kernels, self.asked)  # which says how kernels pass lines on
        assemble = ByChannels if layout.channels else ByExamples
        self.assembled = [assemble(kernel, layout) for kernel in self.kernels]
        self.machines = [a.machine(machine().Machine, self.dtype.itemsize, parts) for a in self.assembled]
        self.schedule = schedule(lowering, self.kernels, self.by_numpy, self.needed([]))
        self.calls = [turn for turn in self.schedule if isinstance(turn, tuple)]
        self.axes = axes_of(lowering, self.kernels)
        self.guard = self.program.checks[0] if self.program.checks else -1
        self._gradient_lines: dict[int, list[int]] = {}  # by how many gradients there are
        self._only_for_gradients: dict[int, frozenset[int]] = {}
        self._bind(lowering.program, lowering.examples)
        self._said: tuple[int, int, list[list[str]]] | None = None

    def _bind(self, program: Program, examples: int) -> None:
        """What is different for another number of examples."""
        self.program, self.examples = program, examples
        self.constants = {
            id(x): self.as_read(x, value)
            for kernel in self.kernels
            for x in kernel.inputs
            if (value := self.program.lines[x.line].value) is not None
        }

    def for_batch(self, program: Program, examples: int) -> NativeProgram | None:
        """The same machine code for ``program``, which is this one with another number of examples (other_batch.py);
        None if the lanes without an example differ."""
        if self.whole and examples % self.layout.examples:
            return None
        if any(program.lines[x.line].shape != x.shape for kernel in self.kernels for x in kernel.results):
            return None
        other = copy(self)
        other.__dict__.pop("whole_blocks", None)
        other.persistent = self.persistent.for_batch()
        other._bind(program, examples)
        return other

    def settle(self) -> None:
        """Let go of what only making the program needed: a run reads nothing of it, and the plan in words is kept."""
        self._said = self.said()
        self.lowering, self.assembled = None, []
        for kernel in self.kernels:
            kernel.forget()

    def said(self) -> tuple[int, int, list[list[str]]]:
        """How much memory the kernels need, how many instructions there are, and what became of each line, in words."""
        return self._said or _said(self)

    @cached_property
    def whole_blocks(self) -> int:
        """The examples, rounded up to whole blocks."""
        block = self.layout.examples
        return -(-self.examples // block) * block

    def needed(self, outputs: list[int]) -> set[int]:
        """The lines that have to be arrays for the kernels and these outputs, and what NumPy computes them from."""
        needed = {*outputs, *[x.line for kernel in self.kernels for x in kernel.inputs]}
        for i in sorted(self.left, reverse=True):
            if i in needed:
                needed.update(self.program.lines[i].operands)
        return needed

    def only_for_gradients(self, count: int) -> frozenset[int]:
        """The lines that are needed for nothing but the last ``count`` outputs."""
        if count not in self._only_for_gradients:
            outputs = self.program.outputs
            needed = self.needed([*outputs[: len(outputs) - count], *self.program.checks])
            unread = frozenset(i for i in range(len(self.program.lines)) if i not in needed)
            self._only_for_gradients[count] = unread
        return self._only_for_gradients[count]

    def gradient_lines(self, count: int) -> list[int]:
        """For each of the last ``count`` outputs the line with the same numbers in the same order, under whatever
        shape."""
        if count not in self._gradient_lines:
            lines, found = self.program.lines, []
            for line in self.program.outputs[len(self.program.outputs) - count :]:
                while (primitive := lines[line].primitive) is not None and primitive.name == "reshape":
                    line = lines[line].operands[0]
                found.append(line)
            self._gradient_lines[count] = found
        return self._gradient_lines[count]

    def arrays_of(self, call: tuple[int, ...]) -> list[Input | Output | Result]:
        """What each array of a call is, in the machine's order."""
        arrays: list[Input | Output | Result] = []
        for kernel in [self.kernels[k] for k in call]:
            arrays += (*kernel.inputs, *kernel.outputs, *kernel.results)
        return arrays

    def as_read(self, wanted: Input, value: np.ndarray) -> np.ndarray:
        """An array as the machine reads it."""
        if wanted.part == "first":
            value = value.ravel()[:1] if value.flags.c_contiguous else value.flat[:1]
        elif wanted.part is not None:
            value = value.take(0, axis=wanted.part[1])
        if wanted.order:
            value = value.transpose(wanted.order)
        elif wanted.axis:
            value = np.moveaxis(value, wanted.axis, 0)
        dtype = _PLACES if wanted.places else self.dtype
        return value if in_order(value, dtype) else np.require(value, dtype, ["C", "ALIGNED"])

    def guard_of(self, places: Sequence[Input | Output | Result]) -> int:
        """Which array of a call tells whether the numbers may be used; -1 if none does."""
        return next((n for n, x in enumerate(places) if isinstance(x, Result) and x.line == self.guard), -1)

    def guarded(self) -> bool:
        """Whether the machine looks at all checks of the program before anything is changed: in its last call."""
        checks = self.program.checks
        return not checks or (
            len(checks) == 1 and bool(self.calls) and self.guard_of(self.arrays_of(self.calls[-1])) >= 0
        )

    def call(self, call: tuple[int, ...], arrays: list[Any], updates: bytes, guard: int = -1) -> bool:
        """Run the kernels of a call, then an optimiser's ``updates``; False, and no update, if a label was out of range
        or array number ``guard`` is not finite."""
        machines = tuple(self.machines[k] for k in call)
        return machine().run(machines, arrays, self.examples, self.parts, updates, -1, guard)


def in_order(x: np.ndarray, dtype: np.dtype) -> bool:
    """Whether the machine can take an array as it is: numbers of this dtype, in rows, where the processor wants
    them."""
    return x.dtype == dtype and x.flags.c_contiguous and x.flags.aligned


# ---- the order of a run
#
# Native calls are of one kernel or several, with NumPy's lines between them.  Kernels run in one call unless a later
# one reads what NumPy makes of an earlier one's results, or reads these in another order or dtype than they stand in.
# What no kernel needs NumPy does in the end.


def schedule(
    lowering: Lowering, kernels: Sequence[Kernel], by_numpy: Sequence[int], waited: Set[int]
) -> list[int | tuple[int, ...]]:
    """NumPy's lines ``by_numpy`` (numbers) and native calls (tuples of indices of ``kernels``), in the order in which
    they run.

    ``waited``: the lines that a kernel waits for; the others NumPy computes in the end.
    """
    steps = [(lowering.ready[i], False, i) for i in by_numpy if i in waited]
    steps += [(kernel.number, True, k) for k, kernel in enumerate(kernels)]
    order: list[int | tuple[int, ...]] = []
    call: list[int] = []
    made: dict[int, list[Output | Result]] = {}  # by the kernels of the last call
    for _, native, k in sorted(steps):
        if not native or not all(_at_hand(lowering, made.get(x.line, ()), x) for x in kernels[k].inputs):
            order += [tuple(call)] if call else []
            call, made = [], {}
        if not native:
            order.append(k)
            continue
        call.append(k)
        written: list[Output | Result] = [*kernels[k].outputs, *kernels[k].results]
        for one in written:
            made.setdefault(one.line, []).append(one)
    order += [tuple(call)] if call else []
    return [*order, *[i for i in by_numpy if i not in waited]]


def _at_hand(lowering: Lowering, made: Sequence[Output | Result], wanted: Input) -> bool:
    """Whether an input can be read where the kernels before have written it, if they did (``made``)."""
    for one in made:
        if isinstance(one, Result):
            return wanted.axis is None and wanted.part in (None, "first") and not wanted.places
        if not one.persistent:
            whole = one.order == wanted.order and wanted.part is None and not wanted.places
            return whole and lowering.program.lines[one.line].dtype == lowering.dtype
    return True


# ---- the plan in words: what each line became


def describe(native: NativeProgram) -> str:
    """The plan of a program, line by line."""
    memory, count, notes = native.said()
    return report(native.program, _head(native, memory, count), notes)


def _said(native: NativeProgram) -> tuple[int, int, list[list[str]]]:
    numbers = max((a.cells for a in native.assembled), default=0) + sum(a.numbers + a.packs for a in native.assembled)
    return numbers * native.dtype.itemsize, sum(len(k.instructions) for k in native.kernels), _notes(native)


def _head(native: NativeProgram, memory: int, count: int) -> str:
    layout = native.layout
    blocks = -(-native.examples // layout.examples)
    threads = min(blocks, native.parts)
    if layout.channels:
        of = f"one example at a time, its channels in {layout.lanes} lanes"
    else:
        beside = f", {layout.vectors} vectors side by side" if layout.vectors > 1 else ""
        plural = "s" * (blocks > 1)
        of = f"{native.examples} examples in {blocks} block{plural} of {layout.examples}, {layout.lanes} lanes{beside}"
    if layout.threads > 1:
        shared = f"{layout.threads} threads that share {'an example' if layout.channels else 'a block'}"
    else:
        shared = f"{threads} thread{'s' * (threads > 1)}"
    kernels = len(native.kernels)
    return (
        f"{count} instructions of the native machine ({layout.set}) in {kernels} call{'s' * (kernels > 1)}, "
        f"{len(native.by_numpy)} lines left to NumPy; {of}, {shared}, "
        f"{size(memory, 'B')} of memory for {'all' if layout.threads > 1 else 'each'}"
    )


def _notes(native: NativeProgram) -> list[list[str]]:
    """What became of each line."""
    assert native.lowering is not None
    program, in_registers = native.program, native.lowering.in_registers()
    written = {one.line for kernel in native.kernels for one in kernel.instructions}
    notes: list[list[str]] = [[] for _ in program.lines]
    for i, line in enumerate(program.lines):
        if line.primitive is None:
            continue
        if i in native.by_numpy:
            notes[i].append("NumPy")
        elif i in in_registers and i not in written:
            notes[i].append("no instruction: other names for the same cells")
        elif i not in written:
            notes[i].append("part of the line that reads it")
    for kernel in native.kernels:
        alike: dict[tuple[int, type[Instruction]], list[Instruction]] = {}
        for one in kernel.instructions:
            if not isinstance(one, Clear):
                alike.setdefault((one.line, type(one)), []).append(one)
        for (line_number, _), many in alike.items():
            notes[line_number].append(many[0].described(many))
    return [_counted(many) for many in notes]


def _counted(notes: list[str]) -> list[str]:
    """Each note once, and how many calls it is true of."""
    if len(notes) < 2:
        return notes
    return [note + (f" ({n} calls)" if n > 1 else "") for note, n in Counter(notes).items()]
