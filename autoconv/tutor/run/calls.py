"""Composed operations as single steps: one input x, one output y, and the Jacobian dy/dx between them.

There are the calls that the tape names (softmax, layer_norm, ..), and those that somebody wrote out in single
operations, as 1 / (1 + exp(-x)); such a written-out stretch of the tape is found by its shape alone: everything enters
by x and leaves by y.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from ...backward import Step, steps
from ...tape import Scope, Tape, Tensor
from .forms import Softmax, Standardised, form_of

JACOBIAN = 400  # elements of an input up to which the diagonal of a full Jacobian is worked out
STRETCH, STRETCHES = 30, 60  # lines of a stretch, and how many are looked at
WRITTEN = "formula"
_ENTRY = ("reshape", "broadcast_to", "sum", "sum_to")
# Calls whose lines a reader thinks of one by one; any other is one step to them.
_OPEN = ("conv", "max_pool", "avg_pool", "lp_pool", "matmul", "einsum", "linear", "relu")


class Call:
    """One composed operation: ``x`` its one differentiable input, ``y`` its output, both Tensors of any shape.

    readers: the (line, operand number) in it that read x, in the order of the sweep; lines: all its lines, in the order
    of the tape; members: their ids.  name: as the tape has it, or WRITTEN for one that was written out.
    """

    def __init__(self, name: str, x: Tensor, y: Tensor, readers: list[tuple[Tensor, int]], lines: list[Tensor]) -> None:
        self.name, self.x, self.y, self.readers, self.lines = name, x, y, readers, lines
        self.members = frozenset(map(id, lines))
        self.scale: Any = None  # what the output is multiplied with by the line that reads it: a norm's gamma
        self.scaled: Any = None  # what becomes of the output by gamma and beta: the output of a norm's layer

    @property
    def single_step(self) -> bool:
        """Whether a reader thinks of it as one step (a softmax), not of the lines inside (a convolution)."""
        return self.name != WRITTEN and not self.name.startswith(_OPEN)

    def within(self, other: Call) -> bool:
        """Whether this is a part of a larger one."""
        return self.members < other.members

    @cached_property
    def isolated(self) -> tuple[Tensor, Tensor]:
        """(input, output) of the call on a tape of its own: the input is a leaf there."""
        return self.at(self.x.value)

    def at(self, value: Any) -> tuple[Tensor, Tensor]:
        """(input, output) of the same lines, run on another input."""
        leaf = Tensor(np.array(value, dtype=float))
        again = {id(self.x): leaf}
        for line in self.lines:
            operands = tuple(again[id(x)] if id(x) in again else Tensor(x.value, constant=True) for x in line.operands)
            assert line.primitive is not None
            value = np.asarray(line.primitive.forward(*[x.value for x in operands], **line.params))
            again[id(line)] = Tensor(value, line.primitive, operands, line.params, constant=line.constant)
        return leaf, again[id(self.y)]

    def pull(self, g: Any, at: Any = None, rules: Any = None) -> Any:
        """The cotangent of x for g at y (at another input, or by other rules, if given)."""
        leaf, y = self.isolated if at is None else self.at(at)
        arrived = [s.cotangent for s in steps(y, [leaf], np.asarray(g), rules=rules) if s.line is leaf]
        return arrived[0] if arrived else np.zeros(leaf.shape)

    @cached_property
    def elementwise(self) -> bool:
        """Whether every output element depends on the input element in the same place alone."""
        if self.x.shape != self.y.shape:
            return False
        probe = np.random.default_rng(0).uniform(0.5, 1.5, self.y.shape)
        return bool(np.allclose(self.pull(probe), probe * self.pull(np.ones(self.y.shape)), rtol=1e-9, atol=1e-12))

    @cached_property
    def form(self) -> Standardised | Softmax | None:
        """What the call computes, if that is a standardisation or a softmax."""
        return form_of(self.x.value, self.y.value, self.lines)

    @cached_property
    def probabilities(self) -> Any:
        """What the softmax or sigmoid inside a loss puts out, or None for any other call."""
        x = self.x.value
        if self.name == "bce_with_logits":
            return 1 / (1 + np.exp(-x))
        if self.name == "cross_entropy" and self.x.ndim > 1:
            e = np.exp(x - x.max(axis=-1, keepdims=True))
            return e / e.sum(axis=-1, keepdims=True)
        if isinstance(self.form, Softmax) and self.form.log:
            return self.form.y.reshape(x.shape)
        return None

    @cached_property
    def diagonal(self) -> Any:
        """dy_i / dx_i for every i, or None for a Jacobian too large to work out."""
        if self.elementwise:
            return self.pull(np.ones(self.y.shape))
        if isinstance(form := self.form, Standardised):
            return (form.scale * (1 - (1 + form.hat**2) / form.count) / form.std).reshape(self.x.shape)
        if isinstance(form, Softmax):
            return ((1 - form.y) * (1 if form.log else form.y)).reshape(self.x.shape)
        if self.x.shape != self.y.shape or self.x.size > JACOBIAN:
            return None
        diagonal = np.zeros(self.x.size)
        for i in range(self.x.size):
            seed = np.zeros(self.x.size)
            seed[i] = 1
            diagonal[i] = self.pull(seed.reshape(self.x.shape)).ravel()[i]
        return diagonal.reshape(self.x.shape)


def one_step(tape: Tape, calls: list[Call]) -> frozenset[int]:
    """The ids of lines inside of what a reader takes as one step: a layer that is not opened, a norm written out."""
    inside = set()
    for line in tape:
        names = [scope.name for scope in (line.scope.path if line.scope else ()) if scope.kind == "call"]
        if names and not names[0].startswith(_OPEN):
            inside.add(id(line))
    written = [c for c in calls if c.name == WRITTEN and c.form is not None]
    return frozenset(inside).union(*[c.members for c in written])


def calls_of(tape: Tape, walked: list[Step]) -> list[Call]:
    """The calls of a sweep with one input and one output, each with at least two lines on the way of the gradient."""
    inside: dict[int, list[Tensor]] = {}
    scopes: dict[int, Scope] = {}
    for line in tape:
        for scope in line.scope.path if line.scope else ():
            if scope.kind == "call":
                inside.setdefault(scope.serial, []).append(line)
                scopes[scope.serial] = scope
    on_the_way = {id(s.line): s for s in walked}
    calls = []
    for serial, lines in inside.items():
        members = {id(line) for line in lines}
        swept = [s for s in walked if id(s.line) in members]
        readers = [(s.line, k) for s in swept for k, *_ in s.contributions if id(s.line.operands[k]) not in members]
        inputs = {id(x) for line in lines for x in line.operands if not x.constant and id(x) not in members}
        outputs = {
            id(x): x
            for line in tape
            if id(line) not in members
            for x in line.operands
            if id(x) in members and id(x) in on_the_way
        }
        if not outputs and swept and swept[0].line is tape.outputs[0]:
            outputs = {id(swept[0].line): swept[0].line}
        if len(inputs) == 1 and len(outputs) == 1 and len(swept) > 1 and readers:
            line, k = readers[0]
            calls.append(Call(scopes[serial].name, line.operands[k], next(iter(outputs.values())), readers, lines))
    whole = [c.members & on_the_way.keys() for c in calls if c.single_step]
    calls = [_unscaled(c) for c in calls]
    named = {(id(c.x), id(c.y)) for c in calls}
    calls += [c for c in stretches(tape, walked, whole) if (id(c.x), id(c.y)) not in named]
    read_by: dict[int, list[tuple[Tensor, int]]] = {}
    for step in walked:
        for k, *_ in step.contributions:
            read_by.setdefault(id(step.line.operands[k]), []).append((step.line, k))
    for call in calls:
        line, passed = call.y, read_by.get(id(call.y), [])
        while len(passed) == 1 and (reader := passed[0])[0].primitive is not None and reader[0].size == call.y.size:
            line, k = reader
            passed = read_by.get(id(line), [])
            assert line.primitive is not None
            weighed = all(x is tape.outputs[0] for x, _ in passed)  # for the loss: what arrives, and no gamma
            if line.primitive.name not in ("mul", "add", "reshape") or weighed:
                break
            if line.primitive.name == "mul" and line.operands[k] is call.y:
                call.scale = line.operands[1 - k].value
            if line.primitive.name != "reshape":
                call.scaled = line.value
    return calls


def _unscaled(call: Call) -> Call:
    """A normalisation without what stands at its end if gamma and beta are constants: they are no part of its form."""
    y, tail = call.y, set[int]()
    while y.primitive is not None and y.primitive.name in ("mul", "add"):
        varying = [x for x in y.operands if not x.constant]
        if len(varying) != 1 or varying[0].shape != y.shape or id(varying[0]) not in call.members:
            break
        tail.add(id(y))
        y = varying[0]
    if not tail:
        return call
    inner = Call(call.name, call.x, y, call.readers, [x for x in call.lines if id(x) not in tail])
    return inner if isinstance(inner.form, Standardised) and not isinstance(call.form, Standardised) else call


def stretches(tape: Tape, walked: list[Step], whole: list[frozenset[int]]) -> list[Call]:
    """Written-out operations: the lines between x and y, of one shape, such that every path down from y meets x.

    They are found from their end y: lines are taken in, latest first, and replaced by their operands, until a single
    line x is left to take in.  Such a stretch must be nonlinear (a linear one is no step of its own), and takes in all
    or nothing of a call that is one step (``whole``: the ids of the lines of each).
    """
    position = {id(line): i for i, line in enumerate(tape)}
    swept = {id(s.line): s for s in walked}
    readers: dict[int, set[int]] = {}
    for step in walked:
        for k, *_ in step.contributions:
            readers.setdefault(id(step.line.operands[k]), set()).add(id(step.line))
    found_stretches: list[Call] = []
    for step in walked:
        y, opened = step.line, dict[int, Tensor]()
        front = {id(y): y}
        while front and len(opened) < STRETCH and len(found_stretches) < STRETCHES:
            line = max(front.values(), key=lambda x: position[id(x)])
            elsewhere = line is not y and not readers[id(line)] <= opened.keys()
            if id(line) not in swept or elsewhere or not _passable(line):
                break
            del front[id(line)]
            opened[id(line)] = line
            front |= {id(line.operands[k]): line.operands[k] for k, *_ in swept[id(line)].contributions}
            if len(front) == 1 and len(opened) > 1 and _nonlinear(opened):
                (x,) = front.values()
                if x.shape == y.shape and all(m.isdisjoint(opened) or m <= opened.keys() for m in whole):
                    lines = sorted(opened.values(), key=lambda line: position[id(line)])
                    reads = [
                        (r, k) for r in reversed(lines) for k, *_ in swept[id(r)].contributions if r.operands[k] is x
                    ]
                    found_stretches.append(Call(WRITTEN, x, y, reads, lines))
    return found_stretches


def _passable(line: Tensor) -> bool:
    return line.primitive is not None and (line.primitive.group == "arithmetic" or line.primitive.name in _ENTRY)


def _nonlinear(opened: dict[int, Tensor]) -> bool:
    """Whether at least two of these lines are nonlinear; with only one, that row itself is the step."""

    def bent(line: Tensor) -> bool:
        if line.primitive is None or not line.primitive.bends:
            return False
        varying = [k for k, x in enumerate(line.operands) if not x.constant]
        return not (len(varying) == 1 and varying[0] in line.primitive.linear)  # a constant factor

    return sum(map(bent, opened.values())) > 1
