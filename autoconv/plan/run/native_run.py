"""Running a program on the native machine, with NumPy for the lines that the machine does not do."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from ...program.program import Program
from ...program.rewrite.early import early
from ...program.rewrite.passes import simplify
from ...program.rewrite.slopes import slopes
from ...program.rewrite.sums import sums
from ..assemble.by_channels import ByChannels
from ..assemble.by_examples import ByExamples
from ..assemble.layout import Layout, choose, machine
from ..lower.instructions import CLEAR, Input, Output, Result
from ..lower.lower import Lowering
from .kept import Kept
from .numpy_run import NumpyRun
from .repeat import ALONE, Repeat, holders
from .step import Step, in_order
from .turns import turns

_WORTH_A_THREAD = 200_000  # floating-point operations below which waking a second thread costs more than it saves
_PLACES = np.dtype(np.int64)
_NOTHING: frozenset[int] = frozenset()
_WRONG: frozenset[int] = frozenset([-1])  # in place of lines: a label was out of range


def available() -> bool:
    """Whether programs may run natively: the extension was built and is not switched off."""
    return machine() is not None and os.environ.get("AUTOCONV_NATIVE") != "0"


def floor() -> str:
    """Which floor compiled programs run on, and why, in words."""
    found = machine()
    if found is None:
        return "NumPy: the extension autoconv.plan._machine is not built (it needs a C compiler when the package is installed)"
    if not available():
        return "NumPy: AUTOCONV_NATIVE=0 turns the native machine off"
    kinds = sorted({set_ for set_, *_ in found.kernels()})
    return f"native machine, instruction sets {', '.join(kinds)}, {threads()} threads"


def threads() -> int:
    """How many threads a program may use: AUTOCONV_THREADS, or the processors this process may run on.

    A batch is cut into sums by their number: with another number of threads a sum may round otherwise in its last bits, with
    the same one it has the same bits, whichever thread makes what.
    """
    asked = os.environ.get("AUTOCONV_THREADS", "")
    if asked.isdigit() and int(asked):
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def plan(program: Program, arguments: Sequence[np.ndarray]) -> NativeRun | None:
    """The program for the machine; None if there is no machine, no batch, or nothing for it to do."""
    if not available():
        return None
    examples = next((x.shape[0] for x in arguments if x.ndim), 0)
    work: dict[np.dtype, int] = {}
    for i, line in enumerate(program.lines):
        if line.dtype in (np.float32, np.float64):
            work[line.dtype] = work.get(line.dtype, 0) + program.flops(i)
    if examples < 1 or not work:
        return None
    dtype = max(work, key=lambda d: work[d])
    rewritten = simplify(sums(early(slopes(program))))
    lowering = Lowering(rewritten, examples, dtype)
    if not any(s.instructions for s in lowering.stages.values()):
        return None
    flops = sum(rewritten.flops(i) for i in range(len(rewritten.lines)))
    parts = threads() if flops > _WORTH_A_THREAD else 1
    chosen = choose(lowering, parts)
    if chosen.channels or len(lowering.stages) > 1:
        row = chosen.lanes if chosen.channels else 0
        lowering = Lowering(rewritten, examples, dtype, row, lowering)
    return NativeRun(program, lowering, chosen, parts)


class NativeRun:
    """Stages of the machine and turns of NumPy: ``run(arguments)`` gives the outputs."""

    def __init__(self, original: Program, lowering: Lowering, layout: Layout, parts: int) -> None:
        self.lowering, self.program, self.layout = lowering, lowering.program, layout
        self.plain = NumpyRun(original)
        self.examples, self.dtype, self.parts = lowering.examples, lowering.dtype, parts
        self.set, self.lanes = layout.set, layout.lanes
        self.stages = sorted((s for s in lowering.stages.values() if s.instructions), key=lambda s: s.number)
        if self.examples % layout.examples == 0:  # no lane is without an example
            for stage in self.stages:
                stage.instructions = [one for one in stage.instructions if one.kind != CLEAR]
        wanted = self._needed(self.program.outputs)
        self.by_numpy = sorted(i for i in lowering.numpy if i in wanted)
        # the lines that somebody besides the machine reads
        self.asked = {*self.program.outputs, *[x for i in self.by_numpy for x in self.program.lines[i].operands]}
        self.kept = Kept(self.program, self.stages, self.asked)
        assemble = ByChannels if layout.channels else ByExamples
        self.assembled = [assemble(stage, layout) for stage in self.stages]
        self.machines = [a.machine(machine().Machine, self.dtype.itemsize, parts) for a in self.assembled]
        self.turns = turns(lowering, self.stages, self.by_numpy, self._needed([]))
        self.calls = [turn for turn in self.turns if isinstance(turn, tuple)]
        lines = self.program.lines
        self._arguments = [(i, line.argument) for i, line in enumerate(lines) if line.argument is not None]
        self._tensors = [(i, line.tensor) for i, line in enumerate(lines) if line.tensor is not None]
        self._fixed = {i: line.value for i, line in enumerate(lines) if line.value is not None}
        self.constants = {
            id(x): y for stage in self.stages for x in stage.inputs if (y := self._constant(x)) is not None
        }
        self._spared: dict[int, frozenset[int]] = {}
        self._gradients: dict[int, list[int]] = {}
        self.unshared: set[int] = set()  # arrays of Tensors that nobody else holds
        self.rows: dict[Any, bytes] = {}  # the words of the last optimiser's step
        self._repeat: Repeat | None = None  # the last step, if the next one may be made likewise

    def _needed(self, outputs: list[int]) -> set[int]:
        """The lines that have to be arrays for the stages and these outputs, and what NumPy computes them from."""
        needed = {*outputs, *[x.line for stage in self.stages for x in stage.inputs]}
        for i in sorted(self.lowering.numpy, reverse=True):
            if i in needed:
                needed.update(self.program.lines[i].operands)
        return needed

    def _unread(self, gradients: int) -> frozenset[int]:
        """The lines that are needed for nothing but the last ``gradients`` outputs."""
        if gradients not in self._spared:
            outputs = self.program.outputs
            needed = self._needed(outputs[: len(outputs) - gradients])
            self._spared[gradients] = frozenset(i for i in range(len(self.program.lines)) if i not in needed)
        return self._spared[gradients]

    def gradient_lines(self, count: int) -> list[int]:
        """For each of the last ``count`` outputs the line with the same numbers in the same order, under whatever shape."""
        if count not in self._gradients:
            lines, found = self.program.lines, []
            for line in self.program.outputs[len(self.program.outputs) - count :]:
                while (primitive := lines[line].primitive) is not None and primitive.name == "reshape":
                    line = lines[line].operands[0]
                found.append(line)
            self._gradients[count] = found
        return self._gradients[count]

    def _constant(self, wanted: Input) -> np.ndarray | None:
        value = self.program.lines[wanted.line].value
        return None if value is None else self.as_read(wanted, value)

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

    def run(self, arguments: Sequence[np.ndarray], step: Step | None = None) -> list[Any]:
        """The outputs; with ``step`` the parameters are moved as well, in the last native call where that can be.

        Gradients that are needed for the step alone are then None: they are never written down.
        """
        if step is not None and self._repeat is not None and (again := self._repeat.made(arguments, step)) is not None:
            return again
        values: dict[int, Any] = dict(self._fixed)
        for i, number in self._arguments:
            values[i] = arguments[number]
        if step is not None:
            # what is read after the machine has moved the parameters must have the numbers from before
            free = [t for i, t in self._tensors if i not in self.asked and t.dtype == self.dtype]
            self.unshared = {
                id(x)
                for x, n in zip(*holders(free), strict=True)
                if n <= ALONE and x.flags.owndata and x.flags.c_contiguous
            }
        for i, tensor in self._tensors:
            values[i] = tensor.value
        own: set[int] = set()
        with self.memory() as kept:
            values.update(kept)
            unread = self._run(values, own, step)
        if unread is _WRONG:
            return self.plain.run(arguments)
        made = []
        for y in self.program.outputs:
            if y in own:
                own.discard(y)
                made.append(values[y])
            else:
                made.append(None if y in unread else np.array(values[y], order="C"))
        return made

    def memory(self) -> AbstractContextManager[dict[int, np.ndarray]]:
        """Memory for what stays with the machine, for whole blocks."""
        block = self.layout.examples
        return self.kept.memory(-(-self.examples // block) * block, self.dtype)

    def _run(self, values: dict[int, Any], own: set[int], step: Step | None) -> frozenset[int]:
        """All turns; the lines that were spared."""
        lines = self.program.lines
        unread: frozenset[int] = frozenset()
        for turn in self.turns:
            if isinstance(turn, tuple):
                unread = self._call(turn, values, own, step if turn is self.calls[-1] else None)
                if unread is _WRONG:
                    break
            elif turn not in unread:
                line = lines[turn]
                assert line.primitive is not None
                values[turn] = np.asarray(line.primitive.forward(*[values[x] for x in line.operands], **line.params))
        return unread

    def places(self, call: tuple[int, ...]) -> list[Input | Output | Result]:
        """What the arrays of a call are, in the machine's order."""
        made: list[Input | Output | Result] = []
        for k in call:
            made += (*self.stages[k].inputs, *self.stages[k].outputs, *self.stages[k].results)
        return made

    def _call(self, call: tuple[int, ...], values: dict[int, Any], own: set[int], step: Step | None) -> frozenset[int]:
        """One native call; the lines that were spared, since only the step reads them."""
        lines, places = self.program.lines, self.places(call)
        arrays: list[Any] = [None] * len(places)
        updates, unread = b"", _NOTHING
        if step is not None:
            results = {x.line: n for n, x in enumerate(places) if isinstance(x, Result)}
            updates = step.rows(self, results, arrays)
            if updates:
                unread = self._unread(len(step.optimizer.params))
        for n, x in enumerate(places):
            if isinstance(x, Input):
                known = self.constants.get(id(x))
                arrays[n] = (
                    known if known is not None else values[x.line] if x.kept else self.as_read(x, values[x.line])
                )
            elif x.line in self.kept:
                arrays[n] = values[x.line]
            elif isinstance(x, Output):
                shape = lines[x.line].shape
                arrays[n] = np.empty((self.examples, *shape[: x.axis], *shape[x.axis + 1 :]), self.dtype)
                values[x.line] = np.moveaxis(arrays[n], 0, x.axis)
            elif x.line not in unread:
                arrays[n] = values[x.line] = np.empty(x.shape, self.dtype)
                own.add(x.line)
        if not machine().run(tuple(self.machines[k] for k in call), arrays, self.examples, self.parts, updates):
            return _WRONG
        if step is not None and updates:
            step.done = True
            if Repeat.possible(self, step) and not (self._repeat and self._repeat.fits(step)):
                self._repeat = Repeat(self, step, updates, unread)
        for x in places:
            if isinstance(x, Output) and lines[x.line].dtype == bool and not x.kept:
                values[x.line] = values[x.line].astype(bool)
        return unread
