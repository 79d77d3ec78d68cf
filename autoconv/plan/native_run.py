"""Running a program on the native machine, with NumPy for the lines that the machine does not do."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from math import ceil
from time import perf_counter
from typing import Any

import numpy as np

from .assemble import Assembled
from .instructions import GEMM, Input, Instruction, Stage
from .lower import Lowering
from .numpy_run import NumpyRun
from .passes import simplify
from .program import Program
from .slopes import slopes
from .step import Step

_WORTH_A_THREAD = 200_000  # floating-point operations below which waking a second thread costs more than it saves


@cache
def machine() -> Any:
    """The compiled extension, or None if it was not built."""
    try:
        from . import _machine  # type: ignore[attr-defined]
    except ImportError:
        return None
    return _machine


def floor() -> str:
    """Which floor compiled programs run on, and why, in words."""
    found = machine()
    if found is None:
        return "NumPy: the extension autoconv.plan._machine is not built (it needs a C compiler when the package is installed)"
    if os.environ.get("AUTOCONV_NATIVE") == "0":
        return "NumPy: AUTOCONV_NATIVE=0 turns the native machine off"
    kinds = sorted({set_ for set_, *_ in found.kernels()})
    return f"native machine, instruction sets {', '.join(kinds)}, {threads()} threads"


def threads() -> int:
    """How many threads a program may use: AUTOCONV_THREADS, or the processors this process may run on."""
    asked = os.environ.get("AUTOCONV_THREADS", "")
    if asked.isdigit() and int(asked):
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def seconds_of_a_block(bytes_: int, lanes: int) -> float:
    """How long one block of so many lanes takes for a fixed contraction, measured once in a process (about a millisecond)."""
    stage = Stage(1)
    x = np.arange(stage.cells(256), 257, dtype=np.int32).reshape(16, 16)
    out = np.arange(stage.cells(128), 385, dtype=np.int32).reshape(8, 16)
    more = {"sb": np.zeros(8, int), "sk": np.arange(16), "vb": x[:, 0], "vk": np.arange(16), "bias": None}
    stage.inputs.append(Input(0, None))
    stage.instructions += [Instruction(GEMM, [out], [x.ravel()], 0, more=more)] * 20
    made = Assembled(stage, lanes, 12)
    run = machine().Machine(made.code, made.tables, made.results, made.cells, made.numbers, bytes_, lanes).run
    weights = [np.ones(64, np.float32 if bytes_ == 4 else np.float64)]
    times = []
    for _ in range(8):
        start = perf_counter()
        run(weights, lanes, 1, b"")
        times.append(perf_counter() - start)
    return min(times)


def plan(program: Program, arguments: Sequence[np.ndarray]) -> NativeRun | None:
    """The program for the machine; None if there is no machine, no batch, or nothing for it to do."""
    if machine() is None or os.environ.get("AUTOCONV_NATIVE") == "0":
        return None
    examples = next((x.shape[0] for x in arguments if x.ndim), 0)
    work: dict[np.dtype, int] = {}
    for i, line in enumerate(program.lines):
        if line.dtype in (np.float32, np.float64):
            work[line.dtype] = work.get(line.dtype, 0) + program.flops(i)
    if examples < 1 or not work:
        return None
    dtype = max(work, key=lambda d: work[d])
    rewritten = simplify(slopes(program))
    lowering = Lowering(rewritten, examples, dtype)
    stages = [s for s in lowering.stages.values() if s.instructions]
    return NativeRun(program, lowering, sorted(stages, key=lambda s: s.number)) if stages else None


class NativeRun:
    """Stages of the machine and turns of NumPy: ``run(arguments)`` gives the outputs."""

    def __init__(self, original: Program, lowering: Lowering, stages: list[Stage]) -> None:
        self.lowering, self.program = lowering, lowering.program
        self.plain = NumpyRun(original)
        self.examples, self.dtype = lowering.examples, lowering.dtype
        self.flops = sum(self.program.flops(i) for i in range(len(self.program.lines)))
        self.parts = threads() if self.flops > _WORTH_A_THREAD else 1
        self.set, self.lanes, registers = self._kernel()
        self.stages = stages
        self.assembled = [Assembled(stage, self.lanes, registers) for stage in stages]
        self.machines = [
            machine().Machine(a.code, a.tables, a.results, a.cells, a.numbers, self.dtype.itemsize, self.lanes)
            for a in self.assembled
        ]
        last = max(s.number for s in stages) + 2
        self.turns: dict[int, list[int]] = {t: [] for t in range(0, last + 1, 2)}
        for i in lowering.numpy:
            self.turns.setdefault(lowering.ready[i], []).append(i)
        self._constants = {
            (k, n): self._input(x, self.program.lines[x.line].value)  # type: ignore[arg-type]
            for k, stage in enumerate(stages)
            for n, x in enumerate(stage.inputs)
            if self.program.lines[x.line].value is not None
        }

    def _kernel(self) -> tuple[str, int, int]:
        """The kernel with the least time for its busiest thread: blocks times the measured time of a block."""
        kinds = [k for k in machine().kernels() if k[1] == self.dtype.itemsize]

        def time(lanes: int) -> float:
            return ceil(ceil(self.examples / lanes) / self.parts) * seconds_of_a_block(self.dtype.itemsize, lanes)

        set_, _, lanes, registers = min([k for k in kinds if k[0] == kinds[0][0]], key=lambda k: time(k[2]))
        return set_, lanes, registers

    def _input(self, wanted: Input, value: np.ndarray) -> np.ndarray:
        """An array as the machine reads it."""
        if wanted.part == "first":
            value = value.ravel()[:1] if value.flags.c_contiguous else value.flat[:1]
        elif wanted.part is not None:
            value = value.take(0, axis=wanted.part[1])
        if wanted.axis:
            value = np.moveaxis(value, wanted.axis, 0)
        return np.ascontiguousarray(value, np.int64 if wanted.places else self.dtype)

    def run(self, arguments: Sequence[np.ndarray], step: Step | None = None) -> list[np.ndarray]:
        """The outputs; with ``step`` the parameters are moved as well, in the last native call where that can be."""
        lines = self.program.lines
        values: dict[int, np.ndarray] = {}
        for i, line in enumerate(lines):
            if line.argument is not None:
                values[i] = arguments[line.argument]
            elif line.tensor is not None:
                values[i] = line.tensor.value
            elif line.value is not None:
                values[i] = line.value
        number = {stage.number: k for k, stage in enumerate(self.stages)}
        for turn in sorted({*self.turns, *number}):
            if turn in number:
                k = number[turn]
                if not self._stage(k, values, step if k == len(self.stages) - 1 else None):
                    return self.plain.run(arguments)
                continue
            for i in self.turns[turn]:
                line = lines[i]
                assert line.primitive is not None
                values[i] = np.asarray(line.primitive.forward(*[values[x] for x in line.operands], **line.params))
        return [np.array(values[y], order="C") for y in self.program.outputs]

    def _stage(self, k: int, values: dict[int, np.ndarray], step: Step | None) -> bool:
        stage = self.stages[k]
        lines = self.program.lines
        arrays = [
            self._constants[k, n] if (k, n) in self._constants else self._input(x, values[x.line])
            for n, x in enumerate(stage.inputs)
        ]
        for out in stage.outputs:
            shape = lines[out.line].shape
            rest = tuple(n for d, n in enumerate(shape) if d != out.axis)
            made = np.empty((self.examples, *rest), self.dtype)
            arrays.append(made)
            values[out.line] = np.moveaxis(made, 0, out.axis)
        for result in stage.results:
            arrays.append(np.empty(result.shape, self.dtype))
            values[result.line] = arrays[-1]
        first = len(arrays) - len(stage.results)
        updates = (
            b"" if step is None else step.rows(self, {r.line: first + n for n, r in enumerate(stage.results)}, arrays)
        )
        right = self.machines[k].run(arrays, self.examples, self.parts, updates)
        if step is not None and right and updates:
            step.done = True
        for out in stage.outputs:
            if lines[out.line].dtype == bool:
                values[out.line] = values[out.line].astype(bool)
        return right
