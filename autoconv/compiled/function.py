"""``compile(f)``: a function that records f once for each signature and then runs the recording.

A call is sorted by its signature (shapes, dtypes, static arguments); the first of a kind records, rewrites and plans,
the others run.  What cannot be replayed is recorded anew at every call, so the numbers are always those of f itself.
"""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backward import check_cotangent, reached
from ..hooks import differentiating, watcher
from ..plan.run.optimizer_step import OptimizerStep
from ..program.record.guards import Guards
from ..program.record.watch import apart, record
from ..scalar.floors import KINDS
from ..shapes import shown
from ..tape import Tensor
from ..transforms import _inside, as_result
from ..tree import flatten
from .arguments import Arguments, Tensors
from .replay import Entry, Outcome, absent, entry_for
from .scalars import ScalarFunction

if TYPE_CHECKING:
    from ..xla.optimizer_step import XlaStep

_PATIENCE = 3  # recordings after which a function that cannot be replayed is simply called
_KEPT = 64  # signatures, and times that one signature is recorded again before it is left to f


BACKENDS = {
    "native": "the native machine where it is installed and can run a program, NumPy otherwise",
    "numpy": "NumPy, line by line",
    "xla": 'XLA through JAX (pip install "autoconv[xla]"): processors, GPUs, TPUs',
}


def compile(
    f: Callable[..., Any],
    backend: str | None = None,
    *,
    mesh: Any = None,
    shard: Mapping[str, int] | None = None,
) -> Compiled:
    """A function with the results of ``f`` (as plain arrays) that records f once and then runs the recording.

    backend: what runs it, "native" (the machine that was built at installation, else NumPy), "numpy" or "xla" (through
    JAX; on a GPU where there is one); None: what the environment variable AUTOCONV_BACKEND says, else "native".  All
    have the same numbers but for rounding, and what one of them cannot run NumPy runs.  mesh, for "xla": how many
    devices share the batch, the first axis of each argument; a pair, with how many share parameters; a list of JAX's
    devices, or a ``jax.sharding.Mesh``.  shard: pattern of Tensors' names -> the axis that is shared, as in
    {"*.weight": 0}; all others are whole on each device.

    >>> w = nn.Parameter([2.0, 3.0], dtype=float)
    >>> program = ac.compile(lambda x: ac.sum((w * x) ** 2))  # may read parameters
    >>> x = np.array([1.0, -1.0])
    >>> float(program(x))
    13.0
    >>> loss, gradients = program.value_and_grad(x)  # a gradient for each parameter
    >>> gradients
    [array([4., 6.])]
    >>> float(program.step(optim.SGD([w], lr=0.1), x))  # the loss before the step of training
    13.0
    >>> w.value
    array([1.6, 2.4])

    ``print(program.plan)`` says what was decided.

    Python side effects (prints, counters) happen only when f is recorded.  What f reads may change between two calls:

        what f reads                                             when it is another one
        shapes, dtypes, static arguments (numbers, strings)      recorded anew for each: they are its signature
        Tensors and parameters that it closes over               read at each run
        draws of dropout, running means of batch norm            drawn and read at each run
        settings, flags, globals, closures, defaults, modules    compared at each call, recorded anew when changed
          of the user's; attributes (in slots as well), lists,
          dicts, sets, deques; plain arrays, array.array,
          bytearray, memoryview, ctypes; ContextVar, weakref
        its own earlier calls (counters, caches, iterators)      recorded at every call
        numbers of its Tensors (if, float()), new values         recorded at every call
          that it assigns
        random, np.random, unseeded generators, os.urandom,      recorded at every call
          secrets, uuid; time, datetime.now
        files, folders, os.environ, input(), pipes, sockets      recorded at every call
        globals()[...], eval, sys.modules, weak proxies          recorded at every call
        more than 20,000 objects                                 recorded at every call
        objects of installed packages                            their own attributes are compared, nothing inside them
        functions of installed packages and Python's             not noticed: state of their own (decimal's context,
                                                                   sys.argv, a database of C) is read when recorded

    ``program.plan`` says which of these it was.  A package that is installed but uses autoconv counts as the user's.

    A function of numbers, called with floats, is recorded on Scalars; arrays in their places are then many inputs at
    once:

    >>> program = ac.compile(lambda x, y: x * y + x)
    >>> program(0.5, 2.0)  # a float
    1.5
    >>> program(np.linspace(0.0, 1.0, 3), 2.0)  # three of them, side by side in vector lanes
    array([0. , 1.5, 3. ])
    >>> program.value_and_grad(0.5, 2.0, wrt=(0, 1))  # the value and (df/dx, df/dy)
    (1.5, (3.0, 0.5))
    """
    if not callable(f):
        raise TypeError(f"compile: {f!r} is not a function; pass the function itself, as in ac.compile(loss)")
    name = chosen_backend(backend)
    if mesh is None and shard is None:
        return Compiled(f, name)
    if name != "xla":
        raise ValueError(f"compile: a mesh of devices is for backend='xla', found backend={name!r}")
    from ..xla.mesh import mesh_placement

    return Compiled(f, name, mesh_placement(mesh, shard))


def chosen_backend(asked: str | None) -> str:
    """The name of a backend that is there; ValueError for another name, ImportError for one that is not installed."""
    where = "compile: backend" if asked is not None else "compile: the environment variable AUTOCONV_BACKEND"
    name = os.environ.get("AUTOCONV_BACKEND") or "native" if asked is None else asked
    if not isinstance(name, str) or name not in BACKENDS:
        known = "; ".join(f"{key!r}: {text}" for key, text in BACKENDS.items())
        raise ValueError(f"{where}={shown(name)}; there are {known}")
    if name == "xla":
        from ..xla.library import need

        need(f"{where}='xla'")
    return name


class Compiled:
    """A compiled function; ``plan`` says what was decided for the signature used last."""

    def __init__(self, f: Callable[..., Any], backend: str = "native", placement: Any = None) -> None:
        self.function, self.backend, self.placement = f, backend, placement
        self._entries: dict[Any, Entry] = {}
        self._last: Entry | ScalarFunction | None = None
        self._recent: tuple[Any, Entry | None] = (None, None)  # the last signature: mostly the next one's as well
        self._wrt: tuple[Any, int, Any] = (None, 0, "closed over")  # what was asked last for so many arguments
        self._lock = threading.RLock()
        self._scalars = ScalarFunction(f)
        self._stepped: Any = None  # the optimiser of the last step, None after any other call

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """f's result, with plain arrays in place of Tensors.

        Inside a derivative or another compiled function, or on Tensors that were computed, f itself is called, and
        recorded as always.
        """
        if _inside.get() or watcher.get():
            return self.function(*args, **kwargs)
        if (found := self._scalars.call(args, kwargs)) is not None:
            self._last = self._scalars
            return found[0]
        call = Arguments(args, kwargs)
        if any(isinstance(x, Tensor) and x.primitive for x in call.leaves):
            return self.function(*args, **kwargs)
        return self._run(call, None)

    def __reduce__(self) -> Any:
        """A copy, and what is read from a pickle, is compiled anew: recordings stay where they were made."""
        return Compiled, (self.function, self.backend, self.placement)

    def value_and_grad(self, *args: Any, wrt: int | Sequence[Any] | None = None, **kwargs: Any) -> tuple[Any, Any]:
        """(f's result, gradients): of a scalar f, or of the first of several results.

        wrt: a list of Tensors that f reads gives a list of gradients; an argument's number (or a tuple of them) its
        gradient, in the argument's structure.  None: every floating-point Tensor that f closes over, in the order of
        reading (``parameters``), or argument 0 if there are none.  For a function of numbers, Scalars take the place of
        Tensors, and the gradient has one number for each input.
        What the result does not depend on gets zeros.
        Raises TypeError for what cannot be differentiated, ValueError for a result that is not a scalar.
        """
        known, count, asked = self._wrt
        if wrt is not known or len(args) != count:
            asked = _asked(wrt, args)
            if isinstance(wrt, (int, tuple, type(None))):  # which stays as it is
                self._wrt = wrt, len(args), asked
        found = None if isinstance(asked, Tensors) else self._scalars.call(args, kwargs, asked)
        if found is None:
            return self._run(Arguments(args, kwargs), asked)
        self._last = self._scalars
        return found

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """One step of training: f's result (whose first number is the loss), after ``optimizer`` has moved its
        parameters; one that the loss does not depend on is left alone, as by ``backward`` and ``optimizer.step``."""
        call, self._stepped = Arguments(args, kwargs), optimizer
        outcome = self._made(call, Tensors(optimizer.params), step := self._step(optimizer))
        outcome.accept()
        if not step.done:
            optimizer.step(outcome.gradients)
        return _plain(call, outcome)

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")  # a loss that is not finite is reported, no error
    def step_if_finite(self, optimizer: Any, *args: Any, **kwargs: Any) -> tuple[Any, Tensor | None]:
        """``step``, unless the loss is NaN or infinite: then no parameter and no state of the optimiser changes.

        Returns (f's result, None), or (f's result, the recorded line of a loss that is not finite).
        """
        call, self._stepped = Arguments(args, kwargs), optimizer
        outcome = self._made(call, Tensors(optimizer.params), step := self._step(optimizer, if_finite=True))
        loss = flatten(outcome.result)[0][0]
        if np.isfinite(loss.value if isinstance(loss, Tensor) else loss).all():
            outcome.accept()
            if not step.done:
                optimizer.step(outcome.gradients)
            return _plain(call, outcome), None
        return _plain(call, outcome), self._line(loss, call, outcome)

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def gradients_if_finite(self, params: Sequence[Tensor], *args: Any) -> tuple[Any, list[Any], Tensor | None]:
        """(f's result, a gradient for each of ``params``, None); nothing is moved.  A parameter that the loss does not
        depend on has None.  Of a loss that is not finite the third is its recorded line, and nothing is kept of it."""
        call = Arguments(args, {})
        outcome = self._made(call, asked := Tensors(params))
        loss = flatten(outcome.result)[0][0]
        if not np.isfinite(loss.value if isinstance(loss, Tensor) else loss).all():
            return _plain(call, outcome), [], self._line(loss, call, outcome)
        outcome.accept()
        entry = self._entries[call.signature, asked]
        reached = set(range(len(params)) if entry.run is None else entry.run.reached)
        gradients = [g if k in reached else None for k, g in enumerate(outcome.gradients)]
        return _plain(call, outcome), gradients, None

    def _line(self, loss: Any, call: Arguments, outcome: Outcome) -> Tensor:
        """The recorded line of a loss that a run has computed."""
        if not isinstance(loss, Tensor):
            call.lift()
            again = record(lambda: self._applied(call, None), call.lines, [], outcome.sources)
            again.late.settle()
            loss = _loss(again.result)
        line: Tensor = loss
        return line

    def _step(self, optimizer: Any, if_finite: bool = False) -> OptimizerStep | XlaStep:
        if self.backend != "xla":
            return OptimizerStep(optimizer, if_finite)
        from ..xla.optimizer_step import XlaStep

        return XlaStep(optimizer, if_finite)

    def export(self, path: Any, platforms: Any = ("cpu", "cuda", "tpu")) -> None:
        """Write what was called last as StableHLO, for JAX without autoconv, with what it closes over beside it (.npz).

        path: a file such as "step.stablehlo"; ``jax.export.deserialize`` reads it, and its ``call(state, *inputs)``
        takes the arrays of "step.npz" and the arguments, with shapes and dtypes as in the last call (64-bit integers as
        32-bit ones).  After a call it returns the result; after ``value_and_grad`` (the result, the gradients by name),
        after ``step`` (the result, the next state).  A function of float64 needs JAX's jax_enable_x64 there.
        Raises ValueError for what no file can hold: nothing was called yet, a recording that cannot be replayed, draws
        of random numbers, a step whose running means Python keeps, an optimiser of one's own.
        """
        from ..xla.export import Exported, check_platforms, plain
        from ..xla.lower import unfit

        several, entry = check_platforms(platforms), self._last
        if not isinstance(entry, Entry):
            raise ValueError("export: call the function (or value_and_grad, or step) once: the shapes decide")
        if entry.run is None:
            raise ValueError(f"export: this call is recorded anew each time, because {entry.reason}")
        run, stepped = entry.run, self._stepped if isinstance(entry.kept[1], Tensors) else None
        if reason := unfit(run.program):
            raise ValueError(f"export: XLA cannot run this program, because {reason}")
        if stepped is not None and run.keeps:
            raise ValueError(
                "export: this step keeps running means, which Python moves; export its gradients (value_and_grad), or "
                "the model in evaluation mode"
            )
        exported = Exported(**run.exported(entry.wrt), rebuild=plain(run.rebuild), optimizer=stepped)
        exported.write(path, several)

    @property
    def recording(self) -> Any:
        """What stands for the last signature; another object after it was recorded anew."""
        return self._last

    @property
    def on_xla(self) -> bool:
        """Whether XLA runs the last signature."""
        run = self._last.run if isinstance(self._last, Entry) else None
        return run is not None and getattr(run.planned, "works", False)

    @property
    def parameters(self) -> tuple[Any, ...]:
        """The Tensors (or Scalars) that f reads, of which the last gradient was taken."""
        return self._last.wrt if self._last else ()

    @property
    def plan(self) -> str:
        """What was decided for the last signature, line by line, with bytes and floating-point operations."""
        return self._last.plan if self._last else "nothing is planned before the first call: the shapes decide"

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(
            f"copy: {self!r} holds recordings of its function and programs in memory, which belong to this process; "
            "copy or pickle the function itself, and compile that: ac.compile(f)"
        )

    def __repr__(self) -> str:
        return f"<compiled {getattr(self.function, '__name__', self.function)}, {len(self._entries)} signatures>"

    def _run(self, call: Arguments, asked: Any) -> Any:
        self._stepped = None
        outcome = self._made(call, asked)
        outcome.accept()
        result = _plain(call, outcome)
        return result if asked is None else (result, call.shaped(outcome.resolved, outcome.gradients, outcome.own))

    def _made(self, call: Arguments, asked: Any, step: OptimizerStep | XlaStep | None = None) -> Outcome:
        """One call: by the recording of its signature, which is made if there is none that holds; or by f itself."""
        key, (known, entry) = (call.signature, asked), self._recent
        if known != key:
            entry = self._entries.get(key)
        if (
            entry is None
            or (entry.run is None and entry.recordings < _PATIENCE)
            or (entry.run and not (entry.guards.hold() and entry.run.holds()))
        ):
            with self._lock, _uncollected():
                entry, go = self._record(call, asked, entry.recordings + 1 if entry else 1)
                while len(self._entries) >= _KEPT:
                    self._entries.pop(next(iter(self._entries)))
                self._entries[key] = self._last = entry
                self._recent = key, entry
            return go(step)
        self._last = entry
        self._recent = key, entry
        return apart(lambda: self._eager(call, asked, entry, step)) if entry.run is None else entry.run(call, step)

    def _applied(self, call: Arguments, asked: Any) -> Any:
        """f of the lines of ``call``; where a gradient is asked for, all that f reads is being differentiated."""
        token = differentiating.set(0 if asked is None else 1)
        try:
            return self.function(*call.placed[0], **call.placed[1])
        finally:
            differentiating.reset(token)

    def _swept(self, result: Any, call: Arguments, asked: Any) -> Any:
        """(result, lines asked for, their recorded gradients)"""
        _returned(result)
        y = _loss(result)
        wrt = call.wanted(asked, y)
        _check_scalar(y)
        return result, wrt, reached(y, wrt, Tensor(np.ones(y.shape, y.dtype), constant=True))

    def _record(
        self, call: Arguments, asked: Any, recordings: int
    ) -> tuple[Entry, Callable[[OptimizerStep | XlaStep | None], Outcome]]:
        """A new entry, and what gives the results of this call."""
        before = Guards(self.function, call.statics)
        try:
            call.lift()
            swept = None if asked is None else lambda result: self._swept(result, call, asked)
            recorded = record(lambda: self._applied(call, asked), call.lines, before.generators, swept=swept)
            if asked is None:
                recorded.result = recorded.result, [], []
        except Exception as error:
            if asked is not None:
                raise
            value = _returned(self.function(*call.args, **call.kwargs))  # it may take plain arrays only
            reason = f"it could not be recorded: {error}"
            return Entry(before, call.statics, reason, recordings=recordings, plain=True), lambda _: Outcome(value)
        _returned(recorded.result[0])
        recorded.reason = recorded.reason or before.unfit()
        if recordings > _KEPT:
            recorded.reason = recorded.reason or "something it reads besides its arguments changes from call to call"
        others = list(self._entries.values())
        guards = Guards(self.function, call.statics, before=before)
        entry = entry_for(recorded, call, guards, asked, others, self.backend, self.placement)
        entry.recordings = recordings
        late = recorded.late
        if entry.run is not None:
            run, sources = entry.run, [s.line.value for s in recorded.sources]
            del recorded
            late.settle()  # what f has kept for itself, before a step moves what it depends on
            return entry, lambda step: run(call, step, sources)
        late.settle()
        for o in recorded.observers:
            o.told(*[x.value for x in o.lines])
        result, wrt, gradients = recorded.result
        return entry, lambda step: Outcome(result, _filled(gradients, wrt, step), call.resolved)

    def _eager(self, call: Arguments, asked: Any, entry: Entry, step: OptimizerStep | XlaStep | None) -> Outcome:
        """What f gives by itself."""
        if entry.plain:
            return Outcome(_returned(self.function(*call.args, **call.kwargs)))
        call.lift()
        result = _returned(self._applied(call, asked))
        if asked is None:
            return Outcome(result)
        y = _loss(result)
        _check_scalar(y)
        wrt = call.wanted(asked, y)
        return Outcome(result, _filled(reached(y, wrt), wrt, step), call.resolved)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without garbage collections meanwhile: a recording and its plan make objects by the ten thousands, all of which
    are in use, and are freed without a collection."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:  # of several threads the first one has seen it so
            gc.enable()


def _filled(gradients: list[Any], wrt: Sequence[Tensor], step: OptimizerStep | XlaStep | None) -> list[Any]:
    """The gradients with what stands for one that is absent."""
    return [absent(x.shape, x.dtype, step) if g is None else g for x, g in zip(wrt, gradients, strict=True)]


def _plain(call: Arguments, outcome: Outcome) -> Any:
    """The result with arrays in place of Tensors; that of a run has them already."""
    return outcome.result if outcome.own else call.plain(outcome.result)


def _asked(wrt: Any, args: tuple[Any, ...]) -> Any:
    """What ``wrt`` asks for, as part of a signature."""
    if wrt is None:
        return "closed over"
    if isinstance(wrt, int) or all(isinstance(i, int) for i in wrt):
        numbers = (wrt,) if isinstance(wrt, int) else tuple(wrt)
        if not all(-len(args) <= i < len(args) for i in numbers):
            raise ValueError(f"value_and_grad: wrt={wrt} but the function was called with {len(args)} arguments")
        return wrt if isinstance(wrt, int) else numbers
    if all(isinstance(x, Tensor) for x in wrt):
        return Tensors(wrt)
    if all(isinstance(x, KINDS) for x in wrt):
        return list(wrt)
    raise TypeError(f"value_and_grad: wrt={wrt!r}; give argument numbers, or a list of the Tensors that f reads")


def _check_scalar(y: Tensor) -> None:
    """ValueError for a result that is not one number, TypeError for one that is no floating-point number."""
    if y.size != 1:
        raise ValueError(
            f"gradient: the function's result has shape {y.shape} and is not a scalar; reduce it first, as in y.sum(). "
            "A function of numbers takes arrays of many inputs after it was called with floats once"
        )
    check_cotangent(y, None)


def _returned(result: Any) -> Any:
    """What f returned; TypeError for nothing at all."""
    if result is None:
        raise TypeError(
            "compile: the function returned None, and a replay only computes what is returned; does its return "
            "statement stand there?"
        )
    return result


def _loss(result: Any) -> Tensor:
    """The first number of a result, which is differentiated."""
    leaves = flatten(result)[0]
    return as_result(leaves[0] if leaves else result, "compile")
