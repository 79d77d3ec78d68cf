"""A step of training like the one before it: a single native call, with everything looked up already.

The first steps find out where parameters, gradients and slots stand (native_run.py, step.py).  As long as these are the same
arrays, held by nobody else, and the optimiser is the same and makes the same kind of update, the next ones only put the
batch in its place.  Whatever is otherwise, the step is made the long way, and may be repeated from there on.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from math import prod
from operator import is_
from typing import TYPE_CHECKING, Any

import numpy as np

from ...hooks import watcher
from ...tape import Tensor
from ..assemble.layout import machine
from ..lower.instructions import Input, Result
from .step import Step, described, in_order, padded

if TYPE_CHECKING:
    from ...program.program import Line
    from .native_run import NativeRun

_NO_MEMORY: nullcontext[Mapping[int, np.ndarray]] = nullcontext({})
_NUMBERS = slice(7, 15)  # among the machine's words for one parameter: the numbers of the update


def holders(params: Sequence[Tensor]) -> tuple[list[np.ndarray], list[int]]:
    """The parameters' arrays, and how many hold each."""
    values = [p._value for p in params]
    return values, list(map(sys.getrefcount, values))


ALONE = holders([Tensor(np.zeros(1))])[1][0]  # held by the Tensor and by the question


class Repeat:
    """Steps with ``step``'s optimiser; ``made`` gives the outputs, or None if the step has to be made the long way."""

    @staticmethod
    def possible(run: NativeRun, step: Step) -> bool:
        """Whether the step that was just made is one native call, after which nothing reads the parameters."""
        params, lines = {id(p) for p in step.optimizer.params}, run.program.lines
        return (
            len(run.calls) == 1
            and all(out.kept for stage in run.stages for out in stage.outputs)
            and not any(id(lines[i].tensor) in params for i in run.asked)
        )

    def fits(self, step: Step) -> bool:
        """Whether this repeats steps of that kind, if only the arrays are again held by nobody else."""
        return (
            self._optimizer() is step.optimizer
            and type(step.optimizer) is self._kind
            and set(self._names) == set(step.states[0]) - {"step"}
        )

    def __init__(self, run: NativeRun, step: Step, rows: bytes, unread: frozenset[int]) -> None:
        o, lines, (call,) = step.optimizer, run.program.lines, run.calls
        self._run, self._optimizer, self._kind, self._params = run, weakref.ref(o), type(o), list(o.params)
        self._machines = tuple(run.machines[k] for k in call)
        count = len(self._params)
        self._refs: list[weakref.ref[np.ndarray]] = []  # the parameters' arrays, without holding them
        self._alone = [ALONE] * count
        middle = run.turns.index(call)
        before, after = ([k for k in x if isinstance(k, int)] for x in (run.turns[:middle], run.turns[middle + 1 :]))
        after = [k for k in after if k not in unread]
        self._before, self._after = ([_turn(lines[k], k) for k in x] for x in (before, after))
        self._asked = run.program.outputs[: len(run.program.outputs) - count]
        read = {x for k in (*before, *after) for x in lines[k].operands} | set(self._asked)
        of_param = {id(p): i for i, p in enumerate(self._params)}
        places = run.places(call)
        self._arrays: list[Any] = [None] * len(places)  # of the next call: what changes from step to step is None
        self._values: list[tuple[int, int]] = []  # where parameters' arrays stand: (place, parameter)
        self._inputs = []  # what else is put in: where, how, and the line
        self._kept: list[tuple[int, int]] = []  # what stays with the machine: (place, line)
        self._results = []  # what it makes for others: (place, line, shape)
        of_line = {}
        for n, x in enumerate(places):
            if isinstance(x, Result):
                of_line[x.line] = n
            if x.line in run.kept:
                self._kept.append((n, x.line))
            elif isinstance(x, Result):
                if x.line not in unread:
                    self._results.append((n, x.line, lines[x.line].shape))
            elif isinstance(x, Input) and (constant := run.constants.get(id(x))) is not None:
                self._arrays[n] = constant
            elif isinstance(x, Input):
                i = of_param.get(id(lines[x.line].tensor), -1)
                if i >= 0 and x.part is None and not x.axis and not x.places:
                    self._values.append((n, i))
                else:
                    self._inputs.append((n, x))
                    read.add(x.line)
        self._fixed: dict[int, Any] = {i: lines[i].value for i in read if lines[i].value is not None}
        self._arguments = [(i, number) for i in read if (number := lines[i].argument) is not None]
        self._tensors = [(i, t) for i in read if (t := lines[i].tensor) is not None]
        at = {i: n for n, i in reversed(self._values)}
        for i in range(count):
            if i not in at:
                at[i] = len(self._arrays)
                self._values.append((at[i], i))
                self._arrays.append(None)
        self._names = [name for name in step.states[0] if name != "step"]
        self._slots: list[Any] = []
        words = np.frombuffer(rows, np.int64).reshape(count, -1).copy()
        words[:, 1] = [of_line[line] for line in run.gradient_lines(count)]
        words[:, 2] = words[:, 3] = [at[i] for i in range(count)]
        for n in range(len(self._names)):
            words[:, 4 + n] = len(self._arrays) + n + len(self._names) * np.arange(count)
        self._first, self._tested = len(self._arrays), of_line.get(_first_line(run, after), -1)
        self._arrays += [None] * (len(self._names) * count)
        self._rows = (tuple(words[0].view(np.float64)[_NUMBERS].tolist()), words.tobytes())

    def made(self, arguments: Sequence[np.ndarray], step: Step) -> list[Any] | None:
        """The outputs (None for the gradients) after one more step, which is then ``done``."""
        o: Any = step.optimizer
        run = self._run
        mine: bool = self._optimizer() is o and type(o) is self._kind
        if not mine or watcher.get():
            return None
        if step.careful and (not step.if_finite or self._tested < 0):
            return None
        held, counts = holders(self._params)
        if counts != self._alone:
            return None
        slots = [state.get(name) for state in o.state for name in self._names]
        same = self._refs and all(map(is_, [ref() for ref in self._refs], held)) and all(map(is_, slots, self._slots))
        if not same and not self._bind(held, slots):
            return None
        done = {state.get("step") for state in o.state}
        if len(done) != 1 or None in done:
            return None
        count = done.pop() + 1
        update = described(o, count)
        if update is None:
            return None
        rows = self._words(padded(update))
        values: dict[int, Any] = self._fixed.copy()
        for i, number in self._arguments:
            values[i] = arguments[number]
        for i, tensor in self._tensors:
            values[i] = tensor._value
        for k, forward, operands, params in self._before:
            values[k] = np.asarray(forward(*[values[x] for x in operands], **params))
        arrays = self._arrays.copy()
        for n, i in self._values:
            arrays[n] = held[i]
        own = {}
        for n, line, shape in self._results:
            arrays[n] = values[line] = own[line] = np.empty(shape, run.dtype)
        with run.memory() if self._kept else _NO_MEMORY as kept:
            for n, line in self._kept:
                arrays[n] = kept[line]
            for n, wanted in self._inputs:
                arrays[n] = run.as_read(wanted, values[wanted.line])
            tested = self._tested if step.careful else -1
            moved = machine().run(self._machines, arrays, run.examples, run.parts, rows, tested)
        if moved is False:
            return run.plain.run(arguments)
        if moved:
            step.done, step.repeated, step.count = True, True, count
        for k, forward, operands, params in self._after:
            values[k] = np.asarray(forward(*[values[x] for x in operands], **params))
        made = [own.pop(y) if y in own else np.array(values[y], order="C") for y in self._asked]
        return made + [None] * len(held)

    def _bind(self, values: list[np.ndarray], slots: list[Any]) -> bool:
        """Take these arrays for the next steps, if the machine may write them."""
        sound = [in_order(x, self._run.dtype) and x.flags.owndata for x in values]
        shapes = [self._run.program.lines[line].shape for line in self._run.gradient_lines(len(values))]
        fine = [isinstance(x, np.ndarray) and in_order(x, self._run.dtype) and x.flags.writeable for x in slots]
        sizes = [x.size for x in values]
        if not (all(sound) and all(fine) and sizes == [prod(shape) for shape in shapes]):
            return False
        if [x.size for x in slots] != [n for n in sizes for _ in self._names]:
            return False
        self._refs, self._slots = [weakref.ref(x) for x in values], slots
        self._arrays[self._first :] = slots
        return True

    def _words(self, now: tuple[float, ...]) -> bytes:
        """The machine's words for the update with these numbers, which a schedule (or Adam) changes with every step."""
        before, rows = self._rows
        if now != before:
            words = np.frombuffer(rows, np.int64).reshape(len(self._params), -1).copy()
            words.view(np.float64)[:, _NUMBERS] = now
            rows = words.tobytes()
            self._rows = now, rows
        return rows


def _turn(line: Line, k: int) -> tuple[int, Callable[..., Any], tuple[int, ...], Mapping[str, Any]]:
    """One of NumPy's turns, ready to be called."""
    assert line.primitive is not None
    return k, line.primitive.forward, tuple(line.operands), line.params


def _first_line(run: NativeRun, turns: Sequence[int]) -> int:
    """The line that is finite if and only if the first output is: the machine's own, which NumPy at most divides; else -1."""
    lines, line = run.program.lines, run.program.outputs[0]
    while line in turns:
        primitive, operands = lines[line].primitive, lines[line].operands
        assert primitive is not None
        by = lines[operands[1]].value if primitive.name == "div" else None
        if primitive.name != "reshape" and (by is None or not (np.isfinite(by).all() and (abs(by) >= 1).all())):
            return -1
        line = operands[0]
    return line
