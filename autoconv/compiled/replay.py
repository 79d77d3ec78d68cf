"""What a compiled function knows about one signature: a recording that is ready to run, or why it has none.

A replay reads what must be fresh (arguments, closed-over Tensors, random draws), tests what the function had tested,
runs the plan, and only when its results are accepted (``Outcome.accept``) tells the observers and moves the optimiser's
parameters.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..plan.run import native_run
from ..plan.run.native_run import NativeRun
from ..plan.run.optimizer_step import OptimizerStep
from ..program.numpy_run import NumpyRun
from ..program.program import Line, Program, from_tape
from ..program.record.guards import Guards
from ..program.record.watch import Move, Observer, Recorded, Source
from ..program.rewrite import simplify
from ..shapes import Shape
from ..tape import Tape, Tensor
from ..tree import flatten
from .arguments import Arguments

if TYPE_CHECKING:
    from ..xla.optimizer_step import XlaStep
    from ..xla.run import XlaRun

_TRIED = 8  # plans of other signatures that are looked at
_HOLE = object()  # where an output that is computed stands among those that are not


@dataclass
class Entry:
    """One signature: the state it was recorded in, and ``run``, or the ``reason`` why the function itself is called.

    ``kept`` holds what the signature names by identity, ``wrt`` the Tensors of the gradients; ``plain``: the function
    does not take Tensors, and is called with the arrays as they are.
    """

    guards: Guards
    kept: Any
    reason: str | None = None
    run: Replay | None = None
    wrt: tuple[Tensor, ...] = ()
    recordings: int = 1
    plain: bool = False

    @property
    def plan(self) -> str:
        """What was decided, in words."""
        if self.run is None:
            return f"recorded anew at every call, because {self.reason}"
        return self.run.note + self.run.planned.describe()


@dataclass
class Outcome:
    """What a call gave: the result and the gradients, as arrays (of a replay) or Tensors (of f itself).

    Nothing outside has changed yet: ``accept`` tells the observers and moves the optimiser's parameters.

    ``resolved`` says where the gradients stand, ``own`` that they share no memory with anything, ``sources`` what was
    drawn.
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


class Replay:
    """A recording that can be replayed: its plan, and what is done before and after the plan runs."""

    def __init__(
        self,
        recorded: Recorded,
        call: Arguments,
        asked: Any,
        guards: Guards,
        known: Iterable[NativeRun] = (),
        backend: str = "native",
        placement: Any = None,
    ) -> None:
        """``known``: plans of the same function."""
        result, wrt, gradients = recorded.result
        leaves, self._rebuild = flatten(result)
        outputs = [x for x in leaves if isinstance(x, Tensor)]
        self._statics = [_HOLE if isinstance(x, Tensor) else x for x in leaves]
        self._outputs, self._resolved, self._asked = len(outputs), call.resolved, asked
        self._guards, self._settled = guards, False
        moves = [o for o in recorded.observers if isinstance(o, Move)] if backend == "xla" else []
        observers = [o for o in recorded.observers if backend != "xla" or not isinstance(o, Move)]
        self.sources = [*recorded.sources, *_first(moves)]
        self._drawn = len(recorded.sources)
        self._given, self._like = len(call.lines), [Line(x.shape, x.dtype) for x in call.lines]
        self._observed = sum([len(o.lines) for o in observers])
        self._moves = list({(id(m.holder), m.name): (m.holder, m.name) for m in moves}.values())
        moved = list({(id(m.holder), m.name): m.new for m in moves}.values())  # the last of each attribute's
        self._told = list(_in_order(recorded.observers, observers, list(self._moves)))
        self._moved_like = [Line(x.shape, x.dtype) for x in moved]
        arguments = [*call.lines, *[s.line for s in self.sources]]
        places = {id(x): i for i, x in enumerate(arguments)}
        found = [(c, _place(c.x, places, recorded.start)) for c in recorded.checks]
        self._early = [(place, c.test) for c, place in found if place is not None]
        late = [c for c, place in found if place is None and not _still(c.x, arguments, recorded.start)]
        self._late = [c.test for c in late]
        observed = [x for o in observers for x in o.lines]
        self.reached = [k for k, g in enumerate(gradients) if g is not None]
        self._absent = [(x.shape, x.dtype) if g is None else None for x, g in zip(wrt, gradients, strict=True)]
        lines = [*[c.x for c in late], *observed, *moved, *outputs, *[gradients[k] for k in self.reached]]
        self.program = simplify(from_tape(lines, arguments, recorded.start))
        self.planned, self.note = _planned(
            self.program,
            [x.value for x in arguments],
            known,
            backend,
            range(len(late) + len(observed), len(late) + len(observed) + len(moved)),
            len(call.lines),
            placement,
        )
        if isinstance(self.planned, NumpyRun | NativeRun):
            self._read: Callable[[Source], Any] = lambda s: s.make()
            self._untouched: Callable[[Any], bool] = lambda held: not held
            self._now: Callable[[Any, str], Any] = getattr
            self._put: Callable[..., None] = setattr
        else:
            self._read, self._now, self._put = self.planned.source, self.planned.now, self.planned.put
            self._untouched = self.planned.untouched

    def __call__(
        self, call: Arguments, step: OptimizerStep | XlaStep | None = None, sources: list[np.ndarray] | None = None
    ) -> Outcome:
        """The results for this call's arguments (and, right after the recording, for what this has drawn).

        Raises what the function raises for arguments that it refuses.
        """
        arrays = call.arrays
        for place, test in self._early:
            test(arrays[place] if isinstance(place, int) else place.value)
        given = sources or []
        sources = [*given, *[self._read(s) for s in self.sources[len(given) :]]]
        arrays += sources
        if isinstance(self.planned, NumpyRun):
            outputs: list[Any] = list(self.planned.run(arrays))
        else:
            if step is not None:
                step.only(self.reached)
            if step is not None and self._late:
                step.careful, step.if_finite = True, False
            outputs = self.planned.run(arrays, step)  # type: ignore[arg-type]
        for test in self._late:
            test(outputs.pop(0))
        told: list[Callable[[], None]] = [
            partial(tell or self._put, *to, *outputs[start:end]) for tell, to, start, end in self._told
        ]
        outputs = outputs[self._observed + len(self._moves) :]
        if self._observed and not self._settled:
            told.append(self._settle)
        if step is not None and step.done:
            told.append(step.put)
        values = iter(outputs[: self._outputs])
        result = self._rebuild([next(values)[()] if x is _HOLE else x for x in self._statics])
        gradients = outputs[self._outputs :]
        if len(self.reached) < len(self._absent):
            found = iter(gradients)
            gradients = [next(found) if like is None else absent(*like, step) for like in self._absent]
        return Outcome(result, gradients, self._resolved, True, sources[: self._drawn], told)

    def holds(self) -> bool:
        """Whether the attributes that the run moves are of the shapes and dtypes that they were recorded with."""
        if self._untouched(self._moves):
            return True
        for (holder, name), like in zip(self._moves, self._moved_like, strict=True):
            now = self._now(holder, name)
            if now.dtype != like.dtype or now.shape != like.shape:
                return False
        return True

    @property
    def keeps(self) -> bool:
        """Whether something is told numbers at each run, as a layer with running means."""
        return bool(self._told)

    def rebuild(self, values: Iterable[Any]) -> Any:
        """The function's result from the outputs that are its own."""
        values = iter(values)
        return self._rebuild([next(values) if x is _HOLE else x for x in self._statics])

    def exported(self, wrt: Sequence[Tensor]) -> dict[str, Any]:
        """What a file needs (``xla.export.Exported``); ValueError for draws, which no file can make."""
        from ..xla.lower import Lowered

        arguments: dict[int, Any] = {x.argument: x for x in self.program.lines if x.argument is not None}
        if not all([s.name for s in self.sources]):
            raise ValueError(
                "export: this function draws random numbers, which its generator would have to draw; export it without "
                "dropout, or in evaluation mode"
            )
        return {
            "lowered": Lowered(self.program),
            "skipped": len(self._late) + self._observed + len(self._moves),
            "count": self._outputs,
            "given": [arguments.get(k) or self._like[k] for k in range(self._given)],
            "kept": [s.make() for s in self.sources],
            "moved": [wrt[k] for k in self.reached],
        }

    def _settle(self) -> None:
        """What observers change is their own; nothing else may have changed."""
        self._settled = True
        self._guards.settle()


def entry_for(
    recorded: Recorded,
    call: Arguments,
    guards: Guards,
    asked: Any,
    others: Iterable[Entry] = (),
    backend: str = "native",
    placement: Any = None,
) -> Entry:
    """The entry for a recording; ``others`` of the same function, whose plans may serve another size of the batch."""
    result, wrt, gradients = recorded.result
    entry = Entry(guards, (call.statics, asked), recorded.reason, wrt=tuple(wrt))
    outputs = [x for x in flatten(result)[0] if isinstance(x, Tensor)]
    if entry.reason is None and any(
        x.dtype == object for x in Tape(*outputs, *[g for g in gradients if g is not None])
    ):
        entry.reason = "it calculates with exact fractions"
    if entry.reason is None:
        several: list[Source | Move] = [*recorded.sources, *[o for o in recorded.observers if isinstance(o, Move)]]
        owned = {(id(vars(s.holder)), s.name) for s in several if s.name}
        guards.release(lambda place, name, value: (id(place), name) in owned)
        plans = [x.run.planned for x in others if x.run is not None]
        native = {id(x.native.machines): x for x in plans if isinstance(x, NativeRun)}  # of one plan the last size
        entry.run = Replay(recorded, call, asked, guards, list(native.values())[-_TRIED:], backend, placement)
    return entry


def absent(shape: Shape, dtype: np.dtype, step: OptimizerStep | XlaStep | None) -> np.ndarray | None:
    """The gradient of what the result does not depend on: none for an optimiser, zeros for everybody else."""
    return None if step is not None else np.zeros(shape, dtype)


def _planned(
    program: Program,
    arrays: list[np.ndarray],
    known: Iterable[NativeRun],
    backend: str,
    moved: range,
    given: int,
    placement: Any,
) -> tuple[NumpyRun | NativeRun | XlaRun, str]:
    """The program for the backend if that can run it, else for NumPy; and what there is to say about it.  ``moved``:
    which outputs are attributes' new values (what the function returns comes after them); ``given``: how many of the
    arguments are the caller's."""
    if backend == "xla":
        from ..xla import run

        return run.plan(program, moved, placement, given)
    if backend == "numpy":
        return NumpyRun(program), ""
    try:
        planned = native_run.plan(program, arrays, known)
        if planned is not None:
            planned.native.settle()  # a plan of another size's has let go of it already
        return planned or NumpyRun(program), ""
    except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError) as error:
        if os.environ.get("AUTOCONV_STRICT") == "1":  # in tests: a fault of the planner is a fault
            raise
        # for users: a gap in the planner must not refuse a function that NumPy can run; a MemoryError is no gap
        return NumpyRun(program), f"the native machine was left out: {error!r}\n"


def _in_order(
    all_: Iterable[Observer], told: Sequence[Observer], moves: list[tuple[Any, str]]
) -> Iterator[tuple[Callable[..., None] | None, tuple[Any, ...], int, int]]:
    """What is done after a run, in the function's order: (whom to tell, None for an attribute that takes its new value;
    what to tell besides, from which to which output).  The values of ``told`` come first, then those of ``moves``."""
    start, last = 0, {(id(m.holder), m.name): m for m in all_ if isinstance(m, Move)}
    count = sum([len(o.lines) for o in told])
    for o in all_:
        if any(o is x for x in told):
            yield o.told, (), start, start + len(o.lines)
            start += len(o.lines)
        elif isinstance(o, Move) and last[id(o.holder), o.name] is o:
            k = next(k for k, (holder, name) in enumerate(moves) if holder is o.holder and name == o.name)
            yield None, moves[k], count + k, count + k + 1


def _first(moves: Iterable[Move]) -> list[Source]:
    """What gives each attribute's array as it is before the run."""
    found: dict[tuple[int, str], Source] = {}
    for m in moves:
        found.setdefault((id(m.holder), m.name), Source(partial(getattr, m.holder, m.name), m.old, m.holder, m.name))
    return list(found.values())


def _place(x: Tensor, places: dict[int, int], start: int) -> int | Tensor | None:
    """Where the numbers of x can be read before the plan runs: an argument's number, or a closed-over Tensor."""
    while x.primitive is not None and x.primitive.rearranges and x.primitive.name != "cast":
        x = x.operands[0]
    return places.get(id(x), x if x.serial < start and x.primitive is None else None)


def _still(x: Tensor, arguments: list[Tensor], start: int) -> bool:
    """Whether x depends on constants alone."""
    known = {id(a) for a in arguments}
    return not any(id(line) in known or line.serial < start for line in Tape(x))
