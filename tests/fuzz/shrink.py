"""The same mismatch in fewer lines: changes that make a program smaller are kept while the oracle still differs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

import autoconv as ac

from .generate import tidy
from .oracles import Mismatch, check
from .program import Program, Step


def shrink(mismatch: Mismatch, seconds: float = 10.0) -> Mismatch:
    """The smallest mismatch of the same oracle found in this time; greedy, so not always the smallest there is."""
    end = time.monotonic() + seconds
    smaller = True
    while smaller and time.monotonic() < end:
        smaller = False
        for candidate in candidates(mismatch.program):
            if time.monotonic() > end:
                break
            found = still(candidate, mismatch)
            if found is not None:
                mismatch, smaller = found, True
                break
    return mismatch


def still(program: Program, mismatch: Mismatch) -> Mismatch | None:
    """The mismatch on a smaller program.  One that raises now where it differed before is another fault."""
    try:
        found = check(program, mismatch.oracle)
    except Exception:
        return None
    raised = "raises " in mismatch.says
    return next((m for m in found if ("raises " in m.says) == raised), None)


def candidates(program: Program) -> Iterator[Program]:
    """Smaller programs, the boldest changes first."""
    yield from fewer_results(program)
    yield from cut(program)
    yield from without_a_step(program)
    yield from fewer_settings(program)
    yield from smaller_shapes(program)
    yield from fewer_gradients(program)
    yield from simpler_numbers(program)


def fewer_results(program: Program) -> Iterator[Program]:
    for i in range(len(program.outputs) - 1, 0, -1):
        yield tidy(replace(program, outputs=program.outputs[:i] + program.outputs[i + 1 :]))


def cut(program: Program) -> Iterator[Program]:
    """A step becomes an input that has its value."""
    names = {n: ac.tensor(x) if x.dtype.kind == "f" else x for n, x in program.inputs.items()}
    known = {"ac": ac, "np": np, **names}
    for i, step in enumerate(program.steps):
        try:
            y = eval(step.text(), known)
        except Exception:
            return
        known[step.result] = y
        value = np.asarray(y.value if isinstance(y, ac.Tensor) else y)
        if step.result in program.outputs or i == len(program.steps) - 1:
            continue
        wrt = (*program.wrt, step.result) if value.dtype.kind == "f" else program.wrt
        steps = program.steps[:i] + program.steps[i + 1 :]
        inputs = {**program.inputs, step.result: value}
        smaller = tidy(Program(inputs, steps, program.outputs, wrt))
        if len(smaller.steps) < len(program.steps):
            yield smaller


def without_a_step(program: Program) -> Iterator[Program]:
    """A step's result is one of its operands."""
    for i, step in enumerate(program.steps):
        for operand in step.operands:
            if operand not in program.inputs and not operand.startswith("v"):
                continue
            others = [renamed(s, step.result, operand) for j, s in enumerate(program.steps) if j != i]
            outputs = tuple(operand if n == step.result else n for n in program.outputs)
            if outputs[0] not in program.inputs:
                yield tidy(Program(program.inputs, tuple(others), outputs, program.wrt))


def renamed(step: Step, old: str, new: str) -> Step:
    return replace(step, operands=tuple(new if o == old else o for o in step.operands))


def fewer_settings(program: Program) -> Iterator[Program]:
    for i, step in enumerate(program.steps):
        for key in step.params:
            params = {k: v for k, v in step.params.items() if k != key}
            yield with_step(program, i, replace(step, params=params))
        if len(step.operands) > 2:
            yield with_step(program, i, replace(step, operands=step.operands[:-1]))


def with_step(program: Program, i: int, step: Step) -> Program:
    return tidy(replace(program, steps=(*program.steps[:i], step, *program.steps[i + 1 :])))


def smaller_shapes(program: Program) -> Iterator[Program]:
    """One axis shorter: of one input, or of all whose axes have this length."""
    sizes = sorted({n for x in program.inputs.values() for n in x.shape if n > 1}, reverse=True)
    for n in sizes:
        for m in {1, n // 2, n - 1}:
            for part in (slice(None, m), slice(n - m, None)):
                yield replace(program, inputs={k: shortened(x, n, part) for k, x in program.inputs.items()})
    for name, x in program.inputs.items():
        for axis, n in enumerate(x.shape):
            for m in sorted({1, n // 2, n - 1} - {0, n}):
                for part in (slice(None, m), slice(n - m, None)):
                    yield replace(program, inputs={**program.inputs, name: x[(slice(None),) * axis + (part,)]})


def shortened(x: np.ndarray, n: int, part: slice) -> np.ndarray:
    return x[tuple(part if size == n else slice(None) for size in x.shape)]


def fewer_gradients(program: Program) -> Iterator[Program]:
    for name in program.wrt:
        yield replace(program, wrt=tuple(n for n in program.wrt if n != name))


def simpler_numbers(program: Program) -> Iterator[Program]:
    for name, x in program.inputs.items():
        if x.dtype.kind != "f" or x.size == 0:
            continue
        for simple in (np.zeros_like(x), np.ones_like(x), np.asarray(np.round(x)), np.asarray(np.round(x, 2))):
            if not np.array_equal(simple, x, equal_nan=True):
                yield replace(program, inputs={**program.inputs, name: simple})
        for i, number in enumerate(x.ravel()[:32]):
            for simple_one in (0.0, 1.0, 2.0):
                if rank(number) > rank(simple_one):
                    changed = np.array(x)
                    changed[np.unravel_index(i, x.shape)] = simple_one
                    yield replace(program, inputs={**program.inputs, name: changed})


def rank(x: float) -> int:
    """How simple a number is to read: 0, 1, 2, then all others; so that shrinking ends."""
    return {0.0: 0, 1.0: 1, 2.0: 2}.get(float(x), 3)
