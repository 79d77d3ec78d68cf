"""Running a program on the native machine, with NumPy for the lines that the machine does not do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from ...program.numpy_run import NumpyRun
from ...program.program import Program
from ...program.rewrite import hoist, simplify
from ...program.slope_of_result import slope_of_result
from ..assemble.vector_layout import Estimate, choose, estimate
from ..contractions import Product
from ..extension import available, threads
from ..kernel import Input, Output, Result
from ..lower.lower import kernels_of, lower
from ..once import known as known_once
from ..rewrite.factor_sums import factor_sums
from ..spacing import kept
from .native_program import NativeProgram, describe
from .optimizer_step import OptimizerStep
from .other_batch import Batches
from .repeated_step import ONE_HOLDER, RepeatedStep, holders

_WORTH_A_THREAD = 200_000  # floating-point operations below which waking a second thread costs more than it saves
_NOTHING: frozenset[int] = frozenset()
_WRONG: frozenset[int] = frozenset([-1])  # in place of lines: a label was out of range, or a guard did not hold


def plan(program: Program, arguments: Sequence[np.ndarray], known: Iterable[NativeRun] = ()) -> NativeRun | None:
    """The program for the machine; None if there is no machine, no batch, or nothing for it to do.

    ``known``: plans of the same function, of which one may be for another number of examples.  The first argument that
    is an array and not empty says how many examples there are.
    """
    if not available():
        return None
    examples = next((x.shape[0] for x in arguments if x.ndim and x.size), 0)
    work: dict[np.dtype, int] = {}
    for i, line in enumerate(program.lines):
        if line.dtype in (np.float32, np.float64):
            work[line.dtype] = work.get(line.dtype, 0) + program.flops(i)
    if examples < 1 or not work:
        return None
    dtype = max(work, key=lambda d: work[d])
    with kept(), known_once():
        return _made(program, examples, dtype, known)


def _made(program: Program, examples: int, dtype: np.dtype, known: Iterable[NativeRun]) -> NativeRun | None:
    written = hoist(slope_of_result(program))
    made = _planned(program, simplify(factor_sums(written)), examples, dtype, known)
    if made is not None and not made.native.guarded():
        made = _planned(program, simplify(written), examples, dtype, known)
    return made


def _planned(
    original: Program, rewritten: Program, examples: int, dtype: np.dtype, known: Iterable[NativeRun]
) -> NativeRun | None:
    flops = sum(rewritten.flops(i) for i in range(len(rewritten.lines)))
    parts = threads() if flops > _WORTH_A_THREAD else 1
    for run in known:
        if (found := run.for_batch(original, rewritten, examples, dtype, parts)) is not None:
            return found
    lowering = lower(rewritten, examples, dtype)
    if not any(kernel.instructions for kernel in lowering.kernels.values()):
        return None
    costs = estimate(lowering)
    chosen = choose(costs, parts)
    alone = any(isinstance(one, Product) for kernel in lowering.kernels.values() for one in kernel.instructions)
    if alone and not chosen.channels:
        lowering = lower(rewritten, examples, dtype, each_alone=False)
        if not any(kernel.instructions for kernel in lowering.kernels.values()):
            return None
    if chosen.channels or len(lowering.kernels) > 1:
        channel_lanes, known_kernels = chosen.lanes if chosen.channels else 0, kernels_of(lowering)
        del lowering  # its registers, before there are others
        lowering = lower(rewritten, examples, dtype, channel_lanes, known_kernels, chosen.channels)
    return NativeRun(original, NativeProgram(lowering, chosen, parts), costs)


class NativeRun:
    """The machine's kernels and NumPy's lines in their order: ``run(arguments)`` gives the outputs."""

    def __init__(self, original: Program, native: NativeProgram, costs: Estimate) -> None:
        """``original``: what NumPy runs where a label is out of range, for the error that it raises, and where numbers
        are beyond the bounds of a guarded rewrite.  ``costs``: by which the layout was chosen."""
        self.native, self._costs = native, costs
        self._original = original
        lines = self.native.program.lines
        self._arguments = [(i, line.argument) for i, line in enumerate(lines) if line.argument is not None]
        self._tensors = [(i, line.tensor) for i, line in enumerate(lines) if line.tensor is not None]
        self._fixed = {i: line.value for i, line in enumerate(lines) if line.value is not None}
        self._owned: set[int] = set()  # ids of arrays of Tensors that nobody else holds
        self._rows: dict[Any, bytes] = {}  # the words of the last optimiser's step
        self._repeated: RepeatedStep | None = None  # the last step, if the next one may be like it

    @cached_property
    def _plain(self) -> NumpyRun:
        return NumpyRun(self._original)

    def _run_plainly(self, arguments: Sequence[np.ndarray]) -> list[Any]:
        return self._plain.run(arguments)

    def for_batch(
        self, original: Program, rewritten: Program, examples: int, dtype: np.dtype, parts: int
    ) -> NativeRun | None:
        """The same plan for a program that differs in the number of examples alone; None if it does not, or if another
        layout is better then."""
        native = self.native
        if dtype != native.dtype or parts != native.parts:
            return None
        costs = replace(self._costs, examples=examples)
        if choose(costs, parts) != native.layout:
            return None
        same = Batches(native.examples, examples, native.axes).numbered_as(native.program, rewritten)
        if same is None:
            return None
        other = native.for_batch(same, examples)
        return None if other is None else NativeRun(original, other, costs)

    def describe(self) -> str:
        """What was decided, line by line."""
        return describe(self.native)

    def run(self, arguments: Sequence[np.ndarray], step: OptimizerStep | None = None) -> list[Any]:
        """The outputs; with ``step`` the parameters are moved as well, in the last native call where that is possible.

        Gradients that only the step needs are then None: they are never written down.
        """
        native = self.native
        if step is not None and self._repeated is not None:
            repeated = self._repeated.run(arguments, step)
            if repeated is not None:
                return repeated
        values: dict[int, Any] = dict(self._fixed)
        for i, number in self._arguments:
            values[i] = arguments[number]
        if step is not None:
            # what is read after the machine has moved the parameters must have the numbers from before
            free = [t for i, t in self._tensors if i not in native.asked and t.dtype == native.dtype]
            self._owned = {
                id(x)
                for x, n in zip(*holders(free), strict=True)
                if n <= ONE_HOLDER and x.flags.owndata and x.flags.c_contiguous
            }
        for i, tensor in self._tensors:
            values[i] = tensor.value
        own: set[int] = set()
        with native.persistent.memory(native.whole_blocks, native.dtype) as persistent:
            values.update(persistent)
            unread = self._run(values, own, step)
        if unread is _WRONG:
            return self._plain.run(arguments)
        outputs = []
        for y in native.program.outputs:
            if y in own:
                own.discard(y)
                outputs.append(values[y])
            else:
                outputs.append(None if y in unread else np.array(values[y], order="C"))
        return outputs

    def _run(self, values: dict[int, Any], own: set[int], step: OptimizerStep | None) -> frozenset[int]:
        """All that the schedule says; the lines that were left out, since only the step reads them."""
        lines, calls = self.native.program.lines, self.native.calls
        unread: frozenset[int] = frozenset()
        for turn in self.native.schedule:
            if isinstance(turn, tuple):
                unread = self._call(turn, values, own, step if turn is calls[-1] else None)
                if unread is _WRONG:
                    break
            elif turn not in unread:
                line = lines[turn]
                assert line.primitive is not None
                values[turn] = np.asarray(line.primitive.forward(*[values[x] for x in line.operands], **line.params))
        return unread

    def _call(
        self, call: tuple[int, ...], values: dict[int, Any], own: set[int], step: OptimizerStep | None
    ) -> frozenset[int]:
        """One native call; the lines that were left out, since only the step reads them."""
        native = self.native
        lines, places = native.program.lines, native.arrays_of(call)
        arrays: list[Any] = [None] * len(places)
        updates, unread = b"", _NOTHING
        if step is not None:
            results = {x.line: n for n, x in enumerate(places) if isinstance(x, Result)}
            updates = step.rows(native, results, arrays, self._owned, self._rows)
            if updates:
                unread = native.only_for_gradients(len(step.params))
        for n, x in enumerate(places):
            if isinstance(x, Input):
                array = native.constants.get(id(x))
                if array is None:
                    array = values[x.line] if x.persistent else native.as_read(x, values[x.line])
                arrays[n] = array
            elif x.line in native.persistent:
                arrays[n] = values[x.line]
            elif isinstance(x, Output):
                shape = lines[x.line].shape
                arrays[n] = np.empty([shape[d] for d in x.order], native.dtype)
                values[x.line] = arrays[n].transpose(np.argsort(x.order))
            elif x.line not in unread:
                arrays[n] = values[x.line] = np.empty(x.shape, native.dtype)
                own.add(x.line)
        if not native.call(call, arrays, updates, native.guard_of(places)):
            return _WRONG
        if step is not None and updates:
            step.done = True
            if RepeatedStep.possible(native, step) and not (self._repeated and self._repeated.fits(step)):
                self._repeated = RepeatedStep(native, self._run_plainly, step, updates, unread)
        for x in places:
            if isinstance(x, Output) and lines[x.line].dtype == bool and not x.persistent:
                values[x.line] = values[x.line].astype(bool)
        return unread
