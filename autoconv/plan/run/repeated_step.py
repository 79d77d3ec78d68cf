"""A step of training like the one before it: a single native call, with everything looked up already.

The first steps find out where parameters, gradients and slots stand (native_run.py, optimizer_step.py).  As long as
these are the same arrays, held by nobody else, and the optimiser is the same and its update of the same kind, the next
steps only put the batch in its place.  If anything has changed, native_run.py looks everything up again, and steps may
be repeated from there on.
"""

from __future__ import annotations

import sys
import sysconfig
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from math import prod
from operator import is_
from typing import Any

import numpy as np

from ...hooks import watcher
from ...program.program import Line
from ...tape import Tensor
from ..extension import machine
from ..kernel import Input, Result
from ..native import instruction_set as isa
from .native_program import NativeProgram, in_order
from .optimizer_step import OptimizerStep, described, padded

_NO_MEMORY: nullcontext[Mapping[int, np.ndarray]] = nullcontext({})
_NUMBERS = slice(isa.UPDATE.at["number0"], isa.UPDATE.at["number7"] + 1)  # among the words of UPDATE
# Without a global lock the count of holders is no exact number, and every array may be held by somebody else.
_COUNTED = not sysconfig.get_config_var("Py_GIL_DISABLED")


def holders(params: Sequence[Tensor]) -> tuple[list[np.ndarray], list[int]]:
    """The parameters' arrays, and how many hold each."""
    values = [p._value for p in params]
    return values, list(map(sys.getrefcount, values)) if _COUNTED else [1] * len(values)


ONE_HOLDER = holders([Tensor(np.zeros(1))])[1][0] if _COUNTED else 0
"""What ``holders`` counts for an array that only its Tensor holds (and ``holders`` itself): this differs between
Pythons."""


class RepeatedStep:
    """Steps with ``step``'s optimiser; ``run`` gives the outputs, or None if everything has to be looked up again."""

    @staticmethod
    def possible(native: NativeProgram, step: OptimizerStep) -> bool:
        """Whether the step that was just done is one native call, after which nothing reads the parameters."""
        params, lines = {id(p) for p in step.params}, native.program.lines
        return (
            len(native.calls) == 1
            and all(out.persistent for kernel in native.kernels for out in kernel.outputs)
            and not any(id(lines[i].tensor) in params for i in native.asked)
        )

    def fits(self, step: OptimizerStep) -> bool:
        """Whether this repeats steps of that kind, if the arrays are again held by nobody else."""
        return (
            self._optimizer() is step.optimizer
            and type(step.optimizer) is self._kind
            and set(self._names) == set(step.states[0]) - {"step"}
        )

    def __init__(
        self,
        native: NativeProgram,
        by_numpy: Callable[[Sequence[np.ndarray]], list[Any]],
        step: OptimizerStep,
        rows: bytes,
        unread: frozenset[int],
    ) -> None:
        """``rows`` and ``unread``: UPDATE rows and unread lines of the step just done.

        ``by_numpy``: the program as NumPy runs it, which raises for a label that is out of range.
        """
        o, lines, (call,) = step.optimizer, native.program.lines, native.calls
        self._native, self._by_numpy = native, by_numpy
        self._optimizer, self._kind, self._params = weakref.ref(o), type(o), list(step.params)
        self._machines = tuple(native.machines[k] for k in call)
        count = len(self._params)
        self._refs: list[weakref.ref[np.ndarray]] = []  # the parameters' arrays, without holding them
        self._one_holder = [ONE_HOLDER] * count
        middle = native.schedule.index(call)
        parts = native.schedule[:middle], native.schedule[middle + 1 :]
        before, after = ([k for k in part if isinstance(k, int)] for part in parts)
        after = [k for k in after if k not in unread]
        self._before, self._after = ([_turn(lines[k], k) for k in x] for x in (before, after))
        self._asked = native.program.outputs[: len(native.program.outputs) - count]
        read = {x for k in (*before, *after) for x in lines[k].operands} | set(self._asked)
        of_param = {id(p): i for i, p in enumerate(self._params)}
        places = native.arrays_of(call)
        self._arrays: list[Any] = [None] * len(places)  # of the next call: what changes from step to step is None
        self._values: list[tuple[int, int]] = []  # where parameters' arrays stand: (place, parameter)
        self._inputs = []  # what else is put in: where, how, and the line
        self._persistent: list[tuple[int, int]] = []  # what stays with the machine: (place, line)
        self._results = []  # what it makes for others: (place, line, shape)
        of_line = {}
        for n, x in enumerate(places):
            if isinstance(x, Result):
                of_line[x.line] = n
            if x.line in native.persistent:
                self._persistent.append((n, x.line))
            elif isinstance(x, Result):
                if x.line not in unread:
                    self._results.append((n, x.line, lines[x.line].shape))
            elif isinstance(x, Input) and (constant := native.constants.get(id(x))) is not None:
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
        at_word = isa.UPDATE.at
        words[:, at_word["gradient"]] = [of_line[line] for line in native.gradient_lines(count)]
        words[:, at_word["value"]] = words[:, at_word["new"]] = [at[i] for i in range(count)]
        for n in range(len(self._names)):
            words[:, at_word[f"slot{n}"]] = len(self._arrays) + n + len(self._names) * np.arange(count)
        self._first, self._tested = len(self._arrays), of_line.get(_first_line(native, after), -1)
        self._guard = native.guard_of(places)
        self._arrays += [None] * (len(self._names) * count)
        self._rows = (tuple(words[0].view(np.float64)[_NUMBERS].tolist()), words.tobytes())

    def run(self, arguments: Sequence[np.ndarray], step: OptimizerStep) -> list[Any] | None:
        """The outputs (None for the gradients) after one more step, which is then ``done``."""
        o: Any = step.optimizer
        native = self._native
        mine: bool = self._optimizer() is o and type(o) is self._kind
        if not mine or watcher.get():
            return None
        if step.careful and (not step.if_finite or self._tested < 0):
            return None
        held, counts = holders(self._params)
        if counts != self._one_holder:
            return None
        slots = [state.get(name) for state in step.state for name in self._names]
        same = self._refs and all(map(is_, [ref() for ref in self._refs], held)) and all(map(is_, slots, self._slots))
        if not same and not self._bind(held, slots):
            return None
        done: set[Any] = {state.get("step") for state in step.state}
        if len(done) != 1 or None in done:
            return None
        count = done.pop() + 1
        update = described(o, count, step.state)
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
            arrays[n] = values[line] = own[line] = np.empty(shape, native.dtype)
        memory = native.persistent.memory(native.whole_blocks, native.dtype) if self._persistent else _NO_MEMORY
        with memory as persistent:
            for n, line in self._persistent:
                arrays[n] = persistent[line]
            for n, wanted in self._inputs:
                arrays[n] = native.as_read(wanted, values[wanted.line])
            tested = self._tested if step.careful else -1
            moved = machine().run(self._machines, arrays, native.examples, native.parts, rows, tested, self._guard)
        if moved is False:
            return self._by_numpy(arguments)
        if moved:
            step.done, step.repeated, step.count = True, True, count
        for k, forward, operands, params in self._after:
            values[k] = np.asarray(forward(*[values[x] for x in operands], **params))
        outputs = [own.pop(y) if y in own else np.array(values[y], order="C") for y in self._asked]
        return outputs + [None] * len(held)

    def _bind(self, values: list[np.ndarray], slots: list[Any]) -> bool:
        """Take these arrays for the next steps, if the machine may write them."""
        sound = [in_order(x, self._native.dtype) and x.flags.owndata for x in values]
        shapes = [self._native.program.lines[line].shape for line in self._native.gradient_lines(len(values))]
        fine = [isinstance(x, np.ndarray) and in_order(x, self._native.dtype) and x.flags.writeable for x in slots]
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


def _first_line(native: NativeProgram, turns: Sequence[int]) -> int:
    """The line that is finite if and only if the first output is: the machine's own, which NumPy at most divides; else
    -1."""
    lines, line = native.program.lines, native.program.outputs[0]
    while line in turns:
        primitive, operands = lines[line].primitive, lines[line].operands
        assert primitive is not None
        by = lines[operands[1]].value if primitive.name == "div" else None
        if primitive.name != "reshape" and (by is None or not (np.isfinite(by).all() and (abs(by) >= 1).all())):
            return -1
        line = operands[0]
    return line
