"""What a compiled function knows about one signature: a recording that is ready to run, or why it has none.

A run reads what must be fresh (arguments, closed-over Tensors, random draws), tests what the function had tested, runs the
plan, and only when its results are accepted (``Made.accept``) tells the observers and moves the optimiser's parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from ..program.program import from_tape
from ..program.record.guards import Guards
from ..program.record.watch import Recorded
from ..program.rewrite.passes import simplify
from ..tape import Tape, Tensor
from ..tree import flatten
from . import report
from .call import Call
from .run import native_run
from .run.native_run import NativeRun
from .run.numpy_run import NumpyRun
from .run.step import Step

_HOLE = object()  # where an output that is computed stands among those that are not


@dataclass
class Entry:
    """One signature: the state it was recorded in, and ``run``, or the ``reason`` why the function itself is called.

    ``kept`` holds what the signature names by identity, ``wrt`` the Tensors of the gradients; ``plain``: the function does
    not take Tensors, and is called with the arrays as they are.
    """

    guards: Guards
    kept: Any
    reason: str | None = None
    run: Run | None = None
    wrt: tuple[Tensor, ...] = ()
    recordings: int = 1
    plain: bool = False

    @property
    def plan(self) -> str:
        """What was decided, in words."""
        if self.run is None:
            return f"recorded anew at every call, because {self.reason}"
        return self.run.note + report.describe(self.run.planned)


@dataclass
class Made:
    """What a call made: the result and the gradients, as arrays (of a run) or Tensors (of f itself); ``accept`` makes it count.

    ``resolved`` says where the gradients stand, ``own`` that they share no memory with anything, ``sources`` what was drawn.
    """

    result: Any
    gradients: list[Any] = field(default_factory=list)
    resolved: Any = None
    own: bool = False
    sources: list[np.ndarray] = field(default_factory=list)
    told: list[Callable[[], None]] = field(default_factory=list)

    def accept(self) -> None:
        """Tell the observers, and let the parameters have their new values."""
        for tell in self.told:
            tell()


class Run:
    """A recording that can be replayed: its plan, and what is done before and after the plan runs."""

    def __init__(self, made: Recorded, call: Call, asked: Any, guards: Guards) -> None:
        result, _, gradients = made.result
        leaves, self._rebuild = flatten(result)
        outputs = [x for x in leaves if isinstance(x, Tensor)]
        self._statics = [_HOLE if isinstance(x, Tensor) else x for x in leaves]
        self._outputs, self._resolved, self._asked = len(outputs), call.resolved, asked
        self._guards, self._settled = guards, False
        self.sources = [s.make for s in made.sources]
        self._observers = [(o.told, len(o.lines)) for o in made.observers]
        arguments = [*call.lines, *[s.line for s in made.sources]]
        places = {id(x): i for i, x in enumerate(arguments)}
        found = [(c, _place(c.x, places, made.start)) for c in made.checks]
        self._early = [(place, c.test) for c, place in found if place is not None]
        late = [c for c, place in found if place is None and not _still(c.x, arguments, made.start)]
        self._late = [c.test for c in late]
        observed = [x for o in made.observers for x in o.lines]
        lines = [*[c.x for c in late], *observed, *outputs, *gradients]
        self.program = simplify(from_tape(lines, arguments, made.start))
        self.planned: NumpyRun | NativeRun
        self.note = ""
        arrays = [x.value for x in arguments]
        try:
            self.planned = native_run.plan(self.program, arrays) or NumpyRun(self.program)
        except (ArithmeticError, AssertionError, LookupError, MemoryError, TypeError, ValueError) as error:
            # a gap in the planner must not refuse a function that NumPy can run
            self.planned = NumpyRun(self.program)
            self.note = f"the native machine was left out: {error!r}\n"

    def __call__(self, call: Call, step: Step | None = None, sources: list[np.ndarray] | None = None) -> Made:
        """The results for this call's arguments (and, right after the recording, for what this has drawn).

        Raises what the function raises for arguments that it refuses.
        """
        arrays = call.arrays
        for place, test in self._early:
            test(arrays[place] if isinstance(place, int) else place.value)
        sources = [make() for make in self.sources] if sources is None else sources
        arrays += sources
        if isinstance(self.planned, NativeRun):
            if step is not None and self._late:
                step.careful, step.if_finite = True, False
            made = self.planned.run(arrays, step)
        else:
            made = self.planned.run(arrays)
        for test in self._late:
            test(made.pop(0))
        told: list[Callable[[], None]] = []
        for tell, count in self._observers:
            told.append(partial(tell, *made[:count]))
            made = made[count:]
        if self._observers and not self._settled:
            told.append(self._settle)
        if step is not None and step.done:
            told.append(step.put)
        values = iter(made[: self._outputs])
        result = self._rebuild([next(values)[()] if x is _HOLE else x for x in self._statics])
        return Made(result, made[self._outputs :], self._resolved, True, sources, told)

    def _settle(self) -> None:
        """What observers change is their own; nothing else may have changed."""
        self._settled = True
        self._guards.settle()


def planned(made: Recorded, call: Call, guards: Guards, asked: Any) -> Entry:
    """The entry for a recording."""
    result, wrt, gradients = made.result
    entry = Entry(guards, (call.statics, asked), made.reason, wrt=tuple(wrt))
    outputs = [x for x in flatten(result)[0] if isinstance(x, Tensor)]
    if entry.reason is None and any(x.dtype == object for x in Tape(*outputs, *gradients)):
        entry.reason = "it calculates with exact fractions"
    if entry.reason is None:
        owned = {(id(vars(s.holder)), s.name) for s in made.sources if s.name}
        guards.release(lambda place, name, value: (id(place), name) in owned)
        entry.run = Run(made, call, asked, guards)
    return entry


def _place(x: Tensor, places: dict[int, int], start: int) -> int | Tensor | None:
    """Where the numbers of x can be read before the plan runs: an argument's number, or a closed-over Tensor."""
    while x.primitive is not None and x.primitive.name in ("reshape", "permute_dims", "flip", "identity"):
        x = x.operands[0]
    return places.get(id(x), x if x.serial < start and x.primitive is None else None)


def _still(x: Tensor, arguments: list[Tensor], start: int) -> bool:
    """Whether x depends on constants alone."""
    known = {id(a) for a in arguments}
    return not any(id(line) in known or line.serial < start for line in Tape(x))
