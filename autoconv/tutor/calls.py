"""Composed operations as single steps: a call with one input and one output, and its Jacobian, taken from its own lines."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from ..backward import Step, steps
from ..tape import Scope, Tape, Tensor

JACOBIAN = 400  # elements of an input up to which the diagonal of a full Jacobian is worked out


class Call:
    """One composed operation: ``y`` its output, ``x`` its one differentiable input, ``readers`` the (line, k) that read x."""

    def __init__(
        self, scope: Scope, x: Tensor, y: Tensor, readers: list[tuple[Tensor, int]], lines: list[Tensor]
    ) -> None:
        self.scope, self.x, self.y, self.readers, self.lines = scope, x, y, readers, lines

    @property
    def name(self) -> str:
        return self.scope.name

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

    def pull(self, g: Any, at: Any = None) -> Any:
        """The true cotangent of x for g at y (at another input, if given)."""
        leaf, y = self.alone if at is None else self.at(at)
        found = [s.cotangent for s in steps(y, [leaf], np.asarray(g)) if s.line is leaf]
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
            made.append(Call(scopes[serial], line.operands[k], next(iter(outputs.values())), readers, lines))
    return made
