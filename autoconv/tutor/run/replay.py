"""A tape run again, line for line, in double precision: on the same inputs, on fresh ones, or with one line changed.

Unlike ``Tape.run`` it keeps scopes and names, so whatever can be asked of the user's tape can be asked of the replay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from ...backward import Step, pull, steps, sweep
from ...tape import Tape, Tensor
from .calls import Call, calls_of, one_step
from .site import Site

Change = Callable[
    [Tensor, list[Tensor]], "Tensor | None"
]  # (line, new operands) -> another result, or None for the same row
# (line, its cotangent, wanted operands, whether to record) -> a contribution for each: see ``backward.pull``
Rules = Callable[[Tensor, Any, tuple[int, ...], bool], list[Any]]


class Run:
    """One run of a loss at one set of inputs: its lines, the true sweep down to ``wrt`` (None: all), and the gradient.

    inputs: {line of the user's tape: value} for those that differ from the tape's own.  change(line, operands) may
    return another result for a line: the program of somebody whose forward differs. of: from a line of the user's tape
    to the same line of this run; position: back, to its place on the tape.  steps: the sweep; cotangent: by id of a
    line; gradient: of ``wrt``, of its shape.  tied: where two competitors are equal (filled by ``ties``).
    """

    def __init__(
        self, tape: Tape, wrt: Tensor | None, inputs: Mapping[Tensor, Any] | None = None, change: Change | None = None
    ) -> None:
        self.tape = tape
        self.lines = replay(tape, inputs or {}, change)
        self.loss = self.lines[id(tape.outputs[0])]
        self.wrt = self.loss if wrt is None else self.lines[id(wrt)]
        self.steps: list[Step] = list(steps(self.loss, None if wrt is None else [self.wrt], np.ones(self.loss.shape)))
        self.cotangent: dict[int, np.ndarray] = {id(s.line): s.cotangent for s in self.steps}
        self.tied: dict[int, tuple[Any, Any, Any]] | None = None
        self._positions: dict[int, int] = {}
        self._sites: dict[tuple[int, int], Site] = {}
        self._pulled: dict[int, list[tuple[Any, dict[int, Any]]]] = {}
        self.gradient: np.ndarray = self.cotangent.get(id(self.wrt), np.zeros(self.wrt.shape))

    def of(self, line: Tensor) -> Tensor:
        return self.lines[id(line)]

    def position(self, line: Tensor) -> int:
        """Where the user's tape has the line that became ``line`` here."""
        if not self._positions:
            self._positions = {id(self.lines[id(old)]): i for i, old in enumerate(self.tape)}
        return self._positions[id(line)]

    def site(self, line: Tensor, k: int) -> Site:
        """The site at operand k of a line; each is made once."""
        key = (id(line), k)
        if key not in self._sites:
            readers = [reader.primitive for reader, *_ in self.received.get(id(line), [])]
            rows = tuple([p.name for p in readers if p is not None])
            self._sites[key] = Site(line, k, rows, self.pull, lambda x: self.reading.get(id(x), []))
        return self._sites[key]

    @property
    def seed(self) -> Any:
        """The cotangent of the loss: with this very array a sweep does only what differs from the true one."""
        return self.steps[0].cotangent if self.steps else np.ones(self.loss.shape)

    def pull(self, line: Tensor, g: Any, wanted: tuple[int, ...], recorded: bool) -> list[Any]:
        """``backward.pull`` that remembers: what the true sweep pulled back at each line, and what was the last."""
        if recorded:
            return pull(line, g, wanted, recorded)
        if not self._pulled:
            for step in self.steps:
                self._pulled[id(step.line)] = [(step.cotangent, {k: c for k, c, *_ in step.contributions})]
        known = self._pulled.setdefault(id(line), [(None, {})])
        found = next((parts for cotangent, parts in known if cotangent is g), None)
        if found is None:
            found = {}
            known[1:] = [(g, found)]
        if missing := tuple(k for k in wanted if k not in found):
            found |= zip(missing, pull(line, g, missing, False), strict=True)
        return [found[k] for k in wanted]

    @cached_property
    def received(self) -> dict[int, list[tuple[Tensor, int, Any]]]:
        """By id of a line: the (reader, operand number, contribution) it received, in the order of the sweep."""
        received: dict[int, list[tuple[Tensor, int, Any]]] = {}
        for step in self.steps:
            for k, contribution, _, _ in step.contributions:
                received.setdefault(id(step.line.operands[k]), []).append((step.line, k, contribution))
        return received

    @cached_property
    def reading(self) -> dict[int, list[Tensor]]:
        """By id of a line: the lines that read it, on the way of the gradient or not."""
        reading: dict[int, list[Tensor]] = {}
        for line in self.lines.values():
            for x in line.operands:
                reading.setdefault(id(x), []).append(line)
        return reading

    def weighed(self, line: Tensor) -> bool:
        """Whether a line is but summed for the loss, as the product of an output with what is to arrive there."""
        return all(reader is self.loss for reader, *_ in self.received.get(id(line), []))

    @cached_property
    def by_id(self) -> dict[int, Tensor]:
        return {id(s.line): s.line for s in self.steps}

    @cached_property
    def calls(self) -> list[Call]:
        return calls_of(Tape(self.loss), self.steps)

    @cached_property
    def one_step(self) -> frozenset[int]:
        return one_step(Tape(self.loss), self.calls)

    @cached_property
    def counts(self) -> dict[int, str]:
        """The numbers that a sum on the way of the gradient may run over, each with what it counts."""
        counts: dict[int, str] = {}
        lines = [step.line for step in self.steps if step.line.ndim > 1] or [step.line for step in self.steps]
        for line in lines:
            counts.setdefault(line.shape[0] if line.ndim else 1, "examples")
        for line in lines:
            inner = line.shape[1:]
            for n in inner:
                counts.setdefault(n, "elements along one axis")
            for part, what in ((inner[1:], "positions"), (inner[:-1], "positions")):
                n = int(np.prod(part))
                counts.setdefault(n, what)
                counts.setdefault(n * line.shape[0] if line.ndim else 1, f"examples and {what}")
            counts.setdefault(int(np.prod(inner)), "elements of one example")
            counts.setdefault(line.size, "elements")
        return {n: what for n, what in counts.items() if n > 1}

    @cached_property
    def divisors(self) -> set[int]:
        """The whole numbers that the loss is divided by on its way: those of its means."""
        found = set()
        for step in self.steps:
            name = step.line.primitive.name if step.line.primitive else ""
            for x in step.line.operands:
                if name in ("div", "mul") and x.constant and x.size and np.ptp(x.value) == 0:
                    value = float(x.value.flat[0])
                    number = value if name == "div" else 1 / value if value else 0.0
                    found |= {round(number)} if abs(number - round(number)) < 1e-9 else set()
        return {n for n in found if n > 1}

    @cached_property
    def squares(self) -> bool:
        """Whether something is squared on the way: only then a factor 2 or 1/2 is that of a square."""
        for step in self.steps:
            line = step.line
            name = line.primitive.name if line.primitive else ""
            if name == "power" or (name == "mul" and line.operands[0] is line.operands[1]):
                return True
        return False

    def partial(self, x: Tensor, delta: Any) -> np.ndarray:
        """What a change ``delta`` of the cotangent of x does to the gradient: the sweep is linear in it."""
        if x is self.wrt:
            return delta
        arrived = [s.cotangent for s in steps(x, [self.wrt], delta) if s.line is self.wrt]
        return arrived[0] if arrived else np.zeros(self.wrt.shape)

    def with_rules(self, rules: Rules) -> np.ndarray:
        """The gradient by a sweep with other rules."""
        walked = steps(self.loss, [self.wrt], self.seed, rules=rules)
        arrived = [s.cotangent for s in walked if s.line is self.wrt]
        return arrived[0] if arrived else np.zeros(self.wrt.shape)

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.loss.value).all() and np.isfinite(self.gradient).all())


class Recorded(Run):
    """The recorded run itself with its gradient, and no more: of a tape that is too large to run again and search.

    gradient: of ``wrt``, where it is known already.
    """

    def __init__(self, tape: Tape, wrt: Tensor, gradient: np.ndarray | None = None) -> None:
        self.tape, self.loss, self.wrt = tape, tape.outputs[0], wrt
        self.lines = {id(line): line for line in tape}
        self.steps, self.cotangent, self.tied = [], {}, None
        self._positions, self._sites, self._pulled = {}, {}, {}
        if gradient is not None:
            self.gradient = gradient
            return
        with np.errstate(all="ignore"):
            (self.gradient,) = sweep(self.loss, [wrt], np.ones(self.loss.shape, self.loss.dtype))


def replay(tape: Tape, inputs: Mapping[Tensor, Any], change: Change | None = None) -> dict[int, Tensor]:
    """The lines of ``tape`` again, by id of the old line, in float64; ``inputs``: other values, of any lines."""
    again: dict[int, Tensor] = {}
    given = {id(line): value for line, value in inputs.items()}
    with np.errstate(all="ignore"):
        for line in tape:
            if line.primitive is None or id(line) in given:
                value = double(given.get(id(line), line.value))
                again[id(line)] = Tensor(value, name=line.name, constant=line.constant)
                continue
            operands = [again[id(x)] for x in line.operands]
            other = change(line, operands) if change else None
            if other is None:
                params = dict(line.params)
                if line.primitive.name == "cast" and np.dtype(params["dtype"]).kind in "fO":
                    params["dtype"] = np.dtype(float)
                result = np.asarray(line.primitive.forward(*[x.value for x in operands], **params))
                other = Tensor(
                    result, line.primitive, tuple(operands), params, line.scope, line.name, constant=line.constant
                )
            again[id(line)] = other
    return again


def double(value: Any) -> np.ndarray:
    """Floats and exact fractions as float64; integers and booleans as they are."""
    array = np.asarray(value)
    return array.astype(float) if array.dtype.kind in "fO" else array.copy()


def fresh_inputs(
    tape: Tape, rng: np.random.Generator, spread: float | None = None, only: set[int] | None = None
) -> dict[Tensor, np.ndarray]:
    """Other values for the inputs of ``tape``: at the scale of the old ones, or near them (relative ``spread``).

    Nothing is left of equal numbers, symmetric kernels and whole numbers.
    """
    values = {}
    for line in tape.inputs:
        if only is not None and id(line) not in only:
            continue
        old = double(line.value)
        if spread is None:
            scale = float(np.sqrt(np.mean(old**2))) if old.size else 0.0
            values[line] = rng.normal(size=line.shape) * (scale if np.isfinite(scale) and scale > 0 else 1.0)
        else:
            values[line] = old * (1 + spread * rng.uniform(-1, 1, line.shape)) + 1e-3 * rng.uniform(0, 1, line.shape)
    return values


def fresh_runs(
    tape: Tape,
    wrt: Tensor,
    count: int,
    seed: int = 0,
    only: set[int] | None = None,
    suits: Callable[[Run], bool] = lambda run: True,
) -> list[Run]:
    """``count`` runs at fresh inputs where everything is finite and the gradient is not zero (fewer if there are none).

    ``only``: the ids of the inputs that change (None: all); ``suits``: what else a run must fulfil.
    """
    runs: list[Run] = []
    rng = np.random.default_rng(seed)
    for attempt in range(6 * count):
        with np.errstate(all="ignore"):  # a run that is not finite is not taken
            run = Run(tape, wrt, fresh_inputs(tape, rng, None if attempt < 3 * count else 0.3, only))
        if run.finite and np.any(run.gradient) and suits(run):
            runs.append(run)
        if len(runs) == count:
            break
    return runs
