"""Recording a function for later runs, and noticing what a replay would get wrong.

A replay repeats the lines of the tape on new inputs.  That is not what the function does if it looked at numbers while
it was recorded (``if loss > 1``, ``float(t)``, ``np.asarray(t)``), gave a Tensor a new value, or drew random numbers in
a way that cannot be repeated.  ``record`` finds out, so that such a function is recorded anew at every call.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...hooks import Watcher, differentiating
from ...tape import Tape, Tensor, outside, tensor
from ...transforms import _inside
from ...tree import flatten
from .late import LateLines
from .outside import Calls, computes, ours


@dataclass
class Check:
    """``test`` raises for numbers of ``x`` that are refused."""

    test: Callable[[np.ndarray], None]
    x: Tensor


@dataclass
class Observer:
    """Someone who is told the numbers of ``lines`` at every run."""

    told: Callable[..., None]
    lines: tuple[Tensor, ...]


@dataclass
class Move(Observer):
    """An attribute that ``told`` gives a new value: that of ``new``, which is computed from ``old``, the attribute's
    before, and ``lines``."""

    holder: Any
    name: str
    old: Tensor
    new: Tensor


@dataclass
class Source:
    """A line whose numbers ``make`` gives anew at every run: drawn from a generator, or an attribute of an object."""

    make: Callable[[], np.ndarray]
    line: Tensor
    holder: Any = None
    name: str = ""


@dataclass
class Recorded:
    """One call: what f returned, the serial before its first line, what to do at each run, why a replay would be wrong,
    and the lines whose numbers nobody has computed."""

    result: Any
    start: int
    reason: str | None
    checks: list[Check] = field(default_factory=list)
    observers: list[Observer] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    late: LateLines = field(default_factory=LateLines)


class _Watch(Watcher):
    """What was seen while a function was recorded.  ``generators``: the random generators that it can reach; ``calls``
    looks at what it calls."""

    def __init__(self, generators: list[Any], given: list[np.ndarray], calls: Calls) -> None:
        self.looked: list[Tensor] = []
        self.changed: list[Tensor] = []
        self.checks: list[Check] = []
        self.observers: list[Observer] = []
        self.sources: list[Source] = []
        self.late = LateLines()
        self.elsewhere = False
        self.generators, self._given, self._calls = generators, iter(given), calls
        self._states = _states(generators)

    def read(self, x: Tensor) -> None:
        self.looked.append(x)

    def assigned(self, x: Tensor) -> None:
        self.changed.append(x)

    def later(self, primitive: Any, operands: tuple[Any, ...], params: dict[str, Any], around: Any) -> Any:
        if not computes(primitive):
            return self.late.line(primitive, operands, params, around)
        return self._calls.unseen(self.late.line, primitive, operands, params, around)

    def checked(self, test: Callable[[np.ndarray], None], x: Tensor) -> None:
        self.checks.append(Check(test, x))

    def observed(self, told: Callable[..., None], lines: tuple[Tensor, ...]) -> None:
        self.observers.append(Observer(told, lines))

    def moved(self, holder: Any, name: str, rule: Callable[..., Any], lines: tuple[Tensor, ...]) -> None:
        before = [x.new for x in self.observers if isinstance(x, Move) and x.holder is holder and x.name == name]
        old = before[-1] if before else Tensor(np.array(getattr(holder, name)), constant=True)

        def told(*values: np.ndarray) -> None:
            setattr(holder, name, rule(getattr(holder, name), *values))

        self.observers.append(Move(told, lines, holder, name, old, rule(old, *lines)))

    def drawn(self, rng: np.random.Generator, make: Callable[[], np.ndarray]) -> Any:
        given = next(self._given, None)
        if given is None and not any(g is rng for g in self.generators):
            self.elsewhere = True
            return make()
        elsewhere = self.drew
        line = Tensor(np.array(make() if given is None else given), constant=True)
        self.elsewhere = elsewhere
        self._states = _states(self.generators)
        self.sources.append(Source(make, line))
        return line

    def kept(self, holder: Any, name: str) -> Any:
        given = next(self._given, None)
        line = Tensor(np.array(getattr(holder, name) if given is None else given), constant=True)
        self.sources.append(Source(lambda: getattr(holder, name), line, holder, name))
        return line

    @property
    def drew(self) -> bool:
        """Whether random numbers were drawn in another way than by ``hooks.draw`` from a known generator."""
        return self.elsewhere or _states(self.generators) != self._states


def record(
    f: Callable[[], Any],
    inputs: list[Tensor],
    generators: list[Any],
    given: Sequence[np.ndarray] = (),
    swept: Callable[[Any], Any] | None = None,
) -> Recorded:
    """Call ``f`` apart, and watch it; nobody is told yet what it observed.

    ``inputs``: the Tensors that stand for arguments; ``generators``: the random generators that f can reach; ``given``:
    what an earlier run has drawn, to be used instead of new draws.  ``swept`` makes the recorded result of f's: it
    sweeps from the first number, and of that nothing but the rules of rows can ask anything outside.
    """
    start = tensor(0).serial
    calls = Calls()
    seen = _Watch(generators, list(given), calls)

    def run() -> Any:
        result = calls.run(f)
        if swept is None:
            return result
        first = [x for x in flatten(result)[0][:1] if isinstance(x, Tensor)]
        rows = {line.primitive for line in Tape(*first) if line.primitive is not None}
        return swept(result) if all(map(ours, rows)) else calls.run(lambda: swept(result))

    result = apart(run, seen)
    reason = _reason(seen, {id(x) for x in (*inputs, *[s.line for s in seen.sources])}, start)
    if reason is None and calls.first:
        reason = f"it calls {calls.first}, which may give something else each time"
    return Recorded(result, start, reason, seen.checks, seen.observers, seen.sources, seen.late)


def apart(f: Callable[[], Any], watching: Watcher | None = None) -> Any:
    """``f()`` outside of any scope, derivative or recording that may surround the caller."""

    def run() -> Any:
        _inside.set(False)
        differentiating.set(0)
        return f()

    return outside(run, watching)


def _reason(seen: _Watch, inputs: set[int], start: int) -> str | None:
    if seen.changed:
        return "it gives a Tensor a new value"
    for x in seen.looked:
        if any(id(line) in inputs or line.serial < start for line in Tape(x)):
            what = x.primitive.name if x.primitive else "an input"
            return f"it looks at the numbers of {what} of shape {x.shape} while it runs, and may depend on them"
    return "it draws random numbers, which must be fresh at every call" if seen.drew else None


def _states(generators: list[Any]) -> list[Any]:
    """The states of these generators and of the global ones, to be compared."""
    own = [repr(g.getstate() if isinstance(g, random.Random) else _plain(g)) for g in generators]
    name, keys, *rest = np.random.get_state(legacy=True)
    return [*own, (name, np.asarray(keys).tobytes(), *rest), random.getstate()]


def _plain(g: Any) -> Any:
    """A NumPy generator's state without arrays, whose text would be shortened."""
    state = g.bit_generator.state if isinstance(g, np.random.Generator) else g.get_state(legacy=False)
    return {
        k: {n: np.asarray(x).tolist() for n, x in v.items()} if isinstance(v, dict) else v for k, v in state.items()
    }
