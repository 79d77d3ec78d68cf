"""A program assembled for the native machine: everything about it that stays the same from run to run.

``NativeRun`` runs it, ``OptimizerStep`` adds an optimiser's step to its last call, ``RepeatedStep`` makes a step like
the last one without looking anything up; all three only read it.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from ...program.program import Program
from ..assemble.by_channels import ByChannels
from ..assemble.by_examples import ByExamples
from ..assemble.vector_layout import VectorLayout
from ..extension import machine
from ..instructions import Clear
from ..kernel import Input, Output, Result
from ..lower.lowering import Lowering
from .persistent import Persistent
from .schedule import schedule

_PLACES = np.dtype(np.int64)


class NativeProgram:
    """The kernels of a program in the machine's terms, and the order in which these and NumPy's lines run.

    ``parts``: the most threads.  ``schedule``:  NumPy's lines (numbers) and native calls (tuples of numbers of
    kernels), in order.  ``by_numpy``: the lines that NumPy computes; ``asked``: those that somebody besides the machine
    reads.  ``constants``: arrays that never change, by the id of the ``Input`` that reads them.
    """

    def __init__(self, lowering: Lowering, layout: VectorLayout, parts: int) -> None:
        self.lowering, self.layout, self.parts = lowering, layout, parts
        self.program: Program = lowering.program
        self.examples, self.dtype = lowering.examples, lowering.dtype
        self.kernels = sorted((k for k in lowering.kernels.values() if k.instructions), key=lambda k: k.number)
        if self.examples % layout.examples == 0:  # no lane is without an example
            for kernel in self.kernels:
                kernel.instructions = [one for one in kernel.instructions if not isinstance(one, Clear)]
        outputs = self.program.outputs
        needed = self.needed(outputs)
        self.by_numpy = sorted(i for i in lowering.numpy if i in needed)
        self.asked = {*outputs, *[x for i in self.by_numpy for x in self.program.lines[i].operands]}
        self.persistent = Persistent(self.program, self.kernels, self.asked)
        assemble = ByChannels if layout.channels else ByExamples
        self.assembled = [assemble(kernel, layout) for kernel in self.kernels]
        self.machines = [a.machine(machine().Machine, self.dtype.itemsize, parts) for a in self.assembled]
        self.schedule = schedule(lowering, self.kernels, self.by_numpy, self.needed([]))
        self.calls = [turn for turn in self.schedule if isinstance(turn, tuple)]
        self.constants = {
            id(x): self.as_read(x, value)
            for kernel in self.kernels
            for x in kernel.inputs
            if (value := self.program.lines[x.line].value) is not None
        }
        self._gradient_lines: dict[int, list[int]] = {}  # by how many gradients there are
        self._only_for_gradients: dict[int, frozenset[int]] = {}

    @cached_property
    def whole_blocks(self) -> int:
        """The examples, rounded up to whole blocks."""
        block = self.layout.examples
        return -(-self.examples // block) * block

    def needed(self, outputs: list[int]) -> set[int]:
        """The lines that have to be arrays for the kernels and these outputs, and what NumPy computes them from."""
        needed = {*outputs, *[x.line for kernel in self.kernels for x in kernel.inputs]}
        for i in sorted(self.lowering.numpy, reverse=True):
            if i in needed:
                needed.update(self.program.lines[i].operands)
        return needed

    def only_for_gradients(self, count: int) -> frozenset[int]:
        """The lines that are needed for nothing but the last ``count`` outputs."""
        if count not in self._only_for_gradients:
            outputs = self.program.outputs
            needed = self.needed(outputs[: len(outputs) - count])
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
        if wanted.axis:
            value = np.moveaxis(value, wanted.axis, 0)
        dtype = _PLACES if wanted.places else self.dtype
        return value if in_order(value, dtype) else np.require(value, dtype, ["C", "ALIGNED"])

    def call(self, call: tuple[int, ...], arrays: list[Any], updates: bytes) -> bool:
        """Run the kernels of a call, then an optimiser's ``updates``; False if a label was out of range."""
        machines = tuple(self.machines[k] for k in call)
        return machine().run(machines, arrays, self.examples, self.parts, updates)


def in_order(x: np.ndarray, dtype: np.dtype) -> bool:
    """Whether the machine can take an array as it is: numbers of this dtype, in rows, where the processor wants
    them."""
    return x.dtype == dtype and x.flags.c_contiguous and x.flags.aligned
