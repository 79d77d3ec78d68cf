"""``compile(f)``: a function that records f once for each signature and then runs the recording.

A call is sorted by its signature (shapes, dtypes, static arguments); the first of a kind records, rewrites and plans, the
others run.  What cannot be replayed is recorded anew at every call, so the numbers are always those of f itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backward import check_seed, sweep
from ..tape import Tape, Tensor
from ..transforms import _inside, flatten
from . import native_run, report
from .call import Call, Tensors
from .guards import Guards
from .native_run import NativeRun
from .numpy_run import NumpyRun
from .passes import simplify
from .program import Program, from_tape
from .step import Step
from .watch import Recorded, record

_PATIENCE = 3  # recordings after which a function that cannot be replayed is simply called
_KEPT = 64  # signatures, and times that one signature is recorded again before it is left to f


def compile(f: Callable[..., Any]) -> Compiled:
    """A function with the results of ``f`` (as plain arrays) that records f once and then runs the recording.

    >>> program = ac.compile(loss)            # loss(x, y), which may read model parameters
    >>> program(x, y)                         # the loss
    >>> program.value_and_grad(x, y)          # (the loss, [gradient for each parameter])
    >>> print(program.plan)

    f is recorded anew for other shapes, dtypes or static arguments (numbers, strings: part of the signature), and when
    something else that it reads has changed (a flag, a plain array, a setting).  Tensors that f closes over are read anew at
    each run.  A function that looks at numbers while it runs, draws random numbers or assigns to Tensors is recorded at every
    call.  Python side effects (prints, counters) happen only when it is recorded.
    """
    if not callable(f):
        raise TypeError(f"compile: {f!r} is not a function; pass the function itself, as in ac.compile(loss)")
    return Compiled(f)


@dataclass
class _Entry:
    """What is known about one signature: a runner, or the reason why f is recorded at every call."""

    guards: Guards
    reason: str | None = None
    first: Any = None
    planned: NumpyRun | NativeRun | None = None
    program: Program | None = None
    rebuild: Callable[[Sequence[Any]], Any] | None = None
    statics: list[Any] | None = None
    outputs: int = 0
    resolved: Any = None
    checks: tuple[tuple[int, int], ...] = ()
    observers: tuple[tuple[Callable[..., None], int], ...] = ()
    settled: bool = False
    wrt: tuple[Tensor, ...] = ()
    note: str = ""
    recordings: int = 1
    kept: Any = None

    @property
    def given_up(self) -> bool:
        """Whether f was looked at often enough to be left alone: it could not be replayed any of these times."""
        return self.reason is not None and self.recordings >= _PATIENCE


class Compiled:
    """A compiled function; ``plan`` says what was decided for the signature used last."""

    def __init__(self, f: Callable[..., Any]) -> None:
        self.function = f
        self._entries: dict[Any, _Entry] = {}
        self._last: _Entry | None = None
        self._lock = threading.RLock()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """f's result, with plain arrays in place of Tensors.

        Inside a derivative, or on Tensors that were computed, f itself is called, and recorded as always.
        """
        call = Call(args, kwargs)
        if _inside.get() or any(isinstance(x, Tensor) and x.primitive is not None for x in call.leaves):
            return self.function(*args, **kwargs)
        return self._run(call, None)

    def value_and_grad(self, *args: Any, wrt: int | Sequence[Any] | None = None, **kwargs: Any) -> tuple[Any, Any]:
        """(f's result, gradients): of a scalar f, or of the first of several results.

        wrt: a list of Tensors that f reads gives a list of gradients; an argument's number (or a tuple of them) its
        gradient, in the argument's structure.  None: every floating-point Tensor that f closes over, in the order of
        reading (``parameters``), or argument 0 if there are none.
        Raises TypeError for what cannot be differentiated, ValueError for a result that is not a scalar.
        """
        call = Call(args, kwargs)
        if wrt is None:
            asked: Any = "closed over"
        elif isinstance(wrt, int) or all(isinstance(i, int) for i in wrt):
            numbers = (wrt,) if isinstance(wrt, int) else tuple(wrt)
            if not all(-len(args) <= i < len(args) for i in numbers):
                raise ValueError(f"value_and_grad: wrt={wrt} but the function was called with {len(args)} arguments")
            asked = wrt if isinstance(wrt, int) else numbers
        elif all(isinstance(x, Tensor) for x in wrt):
            asked = Tensors(wrt)
        else:
            raise TypeError(
                f"value_and_grad: wrt={wrt!r}; give argument numbers, or a list of the Tensors that f reads"
            )
        return self._run(call, asked)

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """One step of training: f's result (whose first number is the loss), after ``optimizer`` has moved its parameters."""
        call = Call(args, kwargs)
        step = Step(optimizer)
        result, gradients = self._run(call, Tensors(optimizer.params), step)
        if not step.done:
            optimizer.step(gradients)
        return result

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """The Tensors that the last gradient was taken of."""
        return self._last.wrt if self._last else ()

    @property
    def plan(self) -> str:
        """What was decided for the last signature, line by line, with bytes and floating-point operations."""
        if self._last is None:
            return "nothing is planned before the first call: the shapes decide"
        if self._last.reason:
            return f"recorded anew at every call, because {self._last.reason}"
        assert self._last.planned is not None
        return self._last.note + report.describe(self._last.planned)

    def __repr__(self) -> str:
        return f"<compiled {getattr(self.function, '__name__', self.function)}, {len(self._entries)} signatures>"

    def _run(self, call: Call, asked: Any, step: Step | None = None) -> Any:
        key = (call.signature, asked)
        entry = self._entries.get(key)
        if entry is None or not (entry.given_up or entry.guards.hold()):
            with self._lock:
                recordings = entry.recordings + 1 if entry else 1
                entry = self._record(call, asked)
                entry.recordings = recordings
                if recordings > _KEPT and entry.reason is None:
                    entry.reason = "something it reads besides its arguments changes from call to call"
                    entry.planned = None
                while len(self._entries) >= _KEPT:
                    self._entries.pop(next(iter(self._entries)))
                self._entries[key] = entry
        self._last = entry
        if entry.first is not None:
            first, entry.first = entry.first, None
            return call.plain(asked, *first)
        arrays = call.arrays
        if entry.planned is None or not all(_fits(arrays[i], classes) for i, classes in entry.checks):
            try:
                return self._eager(call, asked)
            except Exception:
                if entry.planned is None:  # these arguments were refused; others of the same shapes may not be
                    self._entries.pop(key, None)
                raise
        if isinstance(entry.planned, NativeRun):
            made = entry.planned.run(arrays, step)
        else:
            made = entry.planned.run(arrays)
        if step is not None and step.done:
            step.put()
        assert entry.rebuild is not None and entry.statics is not None
        made = _told(entry, made)
        values = iter(made[: entry.outputs])
        result = entry.rebuild([next(values)[()] if x is _HOLE else x for x in entry.statics])
        return result if asked is None else (result, call.shaped(entry.resolved, made[entry.outputs :]))

    def _traced(self, call: Call, asked: Any) -> Callable[[], Any]:
        """A function that runs f on lines and returns (result, lines asked for, their recorded gradients)."""

        def traced() -> Any:
            result = self.function(*call.placed[0], **call.placed[1])
            if asked is None:
                return result, [], []
            y = _loss(result)
            wrt = call.wanted(asked, y)
            check_seed(y, None)
            return result, wrt, sweep(y, wrt, Tensor(np.ones(y.shape, y.dtype), constant=True))

        return traced

    def _record(self, call: Call, asked: Any) -> _Entry:
        call.lift()
        guards = Guards(self.function, call.statics)
        try:
            made = record(self._traced(call, asked), call.lines, guards.generators)
        except Exception as error:
            return _Entry(guards, reason=f"it could not be recorded: {error}", kept=call.statics)
        guards = Guards(self.function, call.statics)
        if made.reason:
            result, wrt, gradients = made.result
            return _Entry(guards, made.reason, first=(result, gradients), wrt=tuple(wrt), kept=call.statics)
        return _planned(made, call, guards, asked)

    def _eager(self, call: Call, asked: Any) -> Any:
        """What f gives by itself."""
        if asked is None:
            return call.plain(asked, self.function(*call.args, **call.kwargs), [])
        call.lift()
        result = self.function(*call.placed[0], **call.placed[1])
        y = _loss(result)
        return call.plain(asked, result, sweep(y, call.wanted(asked, y)))


_HOLE = object()  # where an output that is computed stands among those that are not


def _planned(made: Recorded, call: Call, guards: Guards, asked: Any) -> _Entry:
    result, wrt, gradients = made.result
    leaves, rebuild = flatten(result)
    outputs = [x for x in leaves if isinstance(x, Tensor)]
    statics = [_HOLE if isinstance(x, Tensor) else x for x in leaves]
    lines = {id(x): i for i, x in enumerate(call.lines)}
    checks = tuple({(lines[id(c.labels)], c.classes) for c in made.checks if id(c.labels) in lines})
    entry = _Entry(guards, rebuild=rebuild, statics=statics, outputs=len(outputs), checks=checks, wrt=tuple(wrt))
    entry.kept, entry.resolved = (call.statics, asked), call.resolved
    computed = [c for c in made.checks if id(c.labels) not in lines and not _still(c.labels, call.lines, made.start)]
    if computed or any(x.dtype == object for x in Tape(*outputs, *gradients)):
        entry.reason = "its labels are computed" if computed else "it calculates with exact fractions"
        return entry
    entry.observers = tuple((o.told, len(o.lines)) for o in made.observers)
    observed = [x for o in made.observers for x in o.lines]
    program = simplify(from_tape([*observed, *outputs, *gradients], call.lines, made.start))
    entry.program = program
    try:
        entry.planned = native_run.plan(program, call.arrays) or NumpyRun(program)
    except (ArithmeticError, AssertionError, LookupError, MemoryError, TypeError, ValueError) as error:
        # a gap in the planner must not refuse a function that NumPy can run
        entry.planned, entry.note = NumpyRun(program), f"the native machine was left out: {error!r}\n"
    return entry


def _told(entry: _Entry, made: list[np.ndarray]) -> list[np.ndarray]:
    """Tell the observers their numbers, which come first; the rest."""
    for told, count in entry.observers:
        told(*made[:count])
        made = made[count:]
    if entry.observers and not entry.settled:
        entry.settled = True
        entry.guards.release()
    return made


def _still(x: Tensor, arguments: list[Tensor], start: int) -> bool:
    """Whether x depends on constants alone."""
    known = {id(a) for a in arguments}
    return not any(id(line) in known or line.serial < start for line in Tape(x))


def _loss(result: Any) -> Tensor:
    y = flatten(result)[0][0]
    return y if isinstance(y, Tensor) else Tensor(np.array(y, dtype=float), constant=True)


def _fits(labels: np.ndarray, classes: int) -> bool:
    return not labels.size or bool(labels.min() >= 0 and labels.max() < classes)
