"""Composed operations as single steps: one input, one output, and the Jacobian between them, taken from their own lines.

There are the calls that the tape names (softmax, layer_norm, ..), and the stretches that somebody wrote out, as 1 / (1 + exp(-x)).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from ..backward import Step, steps
from ..tape import Scope, Tape, Tensor

JACOBIAN = 400  # elements of an input up to which the diagonal of a full Jacobian is worked out
STRETCH, STRETCHES = 12, 60  # lines of a stretch, and how many are looked at
WRITTEN = "formula"
_ENTRY = ("reshape", "broadcast_to", "sum", "sum_to")
# Calls whose lines a reader thinks of one by one; any other is one step to them.
_OPEN = ("conv", "max_pool", "avg_pool", "lp_pool", "matmul", "einsum", "linear", "relu")


class Call:
    """One composed operation: ``y`` its output, ``x`` its one differentiable input, ``readers`` the (line, k) that read x."""

    def __init__(self, name: str, x: Tensor, y: Tensor, readers: list[tuple[Tensor, int]], lines: list[Tensor]) -> None:
        self.name, self.x, self.y, self.readers, self.lines = name, x, y, readers, lines
        self.members = frozenset(map(id, lines))

    @property
    def closed(self) -> bool:
        """Whether a reader thinks of it as one step, not of the lines inside."""
        return self.name != WRITTEN and not self.name.startswith(_OPEN)

    def within(self, other: Call) -> bool:
        """Whether this is a part of a larger one."""
        return self.members < other.members

    @cached_property
    def alone(self) -> tuple[Tensor, Tensor]:
        """The call by itself: its input as a leaf, and its output computed from that."""
        return self.at(self.x.value)

    def at(self, value: Any) -> tuple[Tensor, Tensor]:
        """The same lines run on another input."""
        leaf = Tensor(np.array(value, dtype=float))
        made = {id(self.x): leaf}
        for line in self.lines:
            operands = tuple(made[id(x)] if id(x) in made else Tensor(x.value, constant=True) for x in line.operands)
            assert line.primitive is not None
            value = np.asarray(line.primitive.forward(*[x.value for x in operands], **line.params))
            made[id(line)] = Tensor(value, line.primitive, operands, line.params, constant=line.constant)
        return leaf, made[id(self.y)]

    def pull(self, g: Any, at: Any = None, rules: Any = None) -> Any:
        """The cotangent of x for g at y (at another input, or by other rules, if given)."""
        leaf, y = self.alone if at is None else self.at(at)
        found = [s.cotangent for s in steps(y, [leaf], np.asarray(g), rules=rules) if s.line is leaf]
        return found[0] if found else np.zeros(leaf.shape)

    @cached_property
    def elementwise(self) -> bool:
        """Whether every output element depends on the input element in the same place alone."""
        if self.x.shape != self.y.shape:
            return False
        probe = np.random.default_rng(0).uniform(0.5, 1.5, self.y.shape)
        return bool(np.allclose(self.pull(probe), probe * self.pull(np.ones(self.y.shape)), rtol=1e-9, atol=1e-12))

    @cached_property
    def diagonal(self) -> Any:
        """dy_i / dx_i for every i, or None for a Jacobian too large to work out."""
        if self.elementwise:
            return self.pull(np.ones(self.y.shape))
        if self.x.shape != self.y.shape or self.x.size > JACOBIAN:
            return None
        made = np.zeros(self.x.size)
        for i in range(self.x.size):
            seed = np.zeros(self.x.size)
            seed[i] = 1
            made[i] = self.pull(seed.reshape(self.x.shape)).ravel()[i]
        return made.reshape(self.x.shape)


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
    made = []
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
            made.append(Call(scopes[serial].name, line.operands[k], next(iter(outputs.values())), readers, lines))
    named = {(id(c.x), id(c.y)) for c in made}
    whole = [c.members & on_the_way.keys() for c in made if c.closed]
    return made + [c for c in stretches(tape, walked, whole) if (id(c.x), id(c.y)) not in named]


def stretches(tape: Tape, walked: list[Step], whole: list[frozenset[int]]) -> list[Call]:
    """Stretches of single operations between two lines of one shape, x and y, through which everything passes.

    They are found from their end y: its operands are opened, latest first, until a single line x is left.  A stretch has
    to bend (a linear one is no step of its own), and takes in all or nothing of a call that is one step (``whole``).
    """
    position = {id(line): i for i, line in enumerate(tape)}
    swept = {id(s.line): s for s in walked}
    readers: dict[int, set[int]] = {}
    for step in walked:
        for k, *_ in step.contributions:
            readers.setdefault(id(step.line.operands[k]), set()).add(id(step.line))
    found: list[Call] = []
    for step in walked:
        y, opened = step.line, dict[int, Tensor]()
        front = {id(y): y}
        while front and len(opened) < STRETCH and len(found) < STRETCHES:
            line = max(front.values(), key=lambda x: position[id(x)])
            elsewhere = line is not y and not readers[id(line)] <= opened.keys()
            if id(line) not in swept or elsewhere or not _passable(line):
                break
            del front[id(line)]
            opened[id(line)] = line
            front |= {id(line.operands[k]): line.operands[k] for k, *_ in swept[id(line)].contributions}
            if len(front) == 1 and len(opened) > 1 and _bends(opened):
                (x,) = front.values()
                if x.shape == y.shape and all(m.isdisjoint(opened) or m <= opened.keys() for m in whole):
                    lines = sorted(opened.values(), key=lambda line: position[id(line)])
                    reads = [
                        (r, k) for r in reversed(lines) for k, *_ in swept[id(r)].contributions if r.operands[k] is x
                    ]
                    found.append(Call(WRITTEN, x, y, reads, lines))
    return found


def _passable(line: Tensor) -> bool:
    return line.primitive is not None and (line.primitive.group == "arithmetic" or line.primitive.name in _ENTRY)


def _bends(opened: dict[int, Tensor]) -> bool:
    """Whether a stretch is more than one operation with sums and constant factors around it."""

    def bent(line: Tensor) -> bool:
        if line.primitive is None or not line.primitive.bends:
            return False
        varying = [k for k, x in enumerate(line.operands) if not x.constant]
        return not (len(varying) == 1 and varying[0] in line.primitive.linear)  # a constant factor

    return sum(map(bent, opened.values())) > 1
