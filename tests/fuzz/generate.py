"""A program for a seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import autoconv as ac

from . import values
from .program import Program, Step

Shape = tuple[int, ...]
EDITION = 2
LIMIT = 1500  # elements of a value, so that a case takes milliseconds


class RefusedError(Exception):
    """The operation that was drawn does not take these operands."""


class Builder:
    """A program that grows: ``known`` has the value of every name, computed as it is drawn, which gives the shapes."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.kind = self.pick(*values.KINDS)
        self.dtype = np.dtype(self.pick(np.float64, np.float64, np.float32, np.float32, np.float16))
        self.inputs: dict[str, np.ndarray] = {}
        self.known: dict[str, np.ndarray] = {}
        self.steps: list[Step] = []
        self.wrt: list[str] = []

    # ---- choices

    def pick(self, *choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def whole(self, low: int, high: int) -> int:
        """A number from low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def size(self) -> int:
        """An axis: often small, sometimes 1, seldom 0."""
        return self.pick(0, 1, 1, 2, 2, 3, 3, 4, 5, 7) if self.chance(0.15) else self.pick(1, 2, 2, 3, 3, 4, 5)

    def shape(self, ndim: int | None = None) -> Shape:
        return tuple(self.size() for _ in range(self.whole(0, 3) if ndim is None else ndim))

    # ---- values

    def new(self, shape: Shape, kind: str | None = None, dtype: Any = None, constant: bool | None = None) -> str:
        """A new input of floating-point numbers, differentiated in unless ``constant``."""
        dtype = self.dtype if dtype is None else dtype
        if dtype == self.dtype and self.chance(0.05):
            dtype = np.dtype(self.pick(np.float32, np.float64))
        name = self.enter(values.draw(self.rng, shape, dtype, kind or self.kind))
        if not (self.chance(0.2) if constant is None else constant):
            self.wrt.append(name)
        return name

    def enter(self, x: np.ndarray) -> str:
        name = f"x{len(self.inputs)}"
        self.inputs[name] = self.known[name] = np.asarray(x)  # a random number alone is none
        return name

    def some(self, ndim: int | None = None, at_least: int = 0) -> str:
        """A floating-point value: mostly one that is there already (so values are used again), else a new one."""
        fitting = [
            name
            for name, x in self.known.items()
            if x.dtype.kind == "f" and (x.ndim == ndim or (ndim is None and x.ndim >= at_least))
        ]
        if fitting and self.chance(0.85):
            late = fitting[-2:] if self.chance(0.75) else fitting
            return self.pick(*late)
        return self.new(self.shape(self.whole(at_least, 3) if ndim is None else ndim))

    def of(self, name: str) -> np.ndarray:
        return self.known[name]

    def axis(self, name: str) -> int:
        n = self.of(name).ndim
        if n == 0:
            raise RefusedError
        return self.whole(-n, n - 1)

    def fitting(self, shape: Shape) -> Shape:
        """A shape that broadcasts against ``shape``: some axes 1, some leading ones left out or added."""
        new = tuple(1 if self.chance(0.25) else n for n in shape)
        if self.chance(0.3):
            new = new[self.whole(0, len(new)) :]
        return (self.size(), *new) if self.chance(0.05) and len(new) < 4 else new

    # ---- steps

    def step(self, operation: str, *operands: str, **params: Any) -> str:
        """Add a line, after computing it once on plain arrays; RefusedError if autoconv refuses it."""
        step = Step(f"v{len(self.steps)}", operation, operands, params)
        names: dict[str, Any] = {
            "ac": ac,
            "np": np,
            **{n: ac.tensor(self.known[n]) for n in operands if n in self.known},
        }
        try:
            with np.errstate(all="ignore"):
                y = eval(step.text(), names)
        except (ValueError, TypeError, IndexError) as error:
            raise RefusedError(str(error)) from error
        y = np.asarray(y.value if isinstance(y, ac.Tensor) else y)
        if y.size > LIMIT:
            raise RefusedError("too large")
        self.steps.append(step)
        self.known[step.result] = y
        return step.result


def program(seed: int, edition: int = EDITION) -> Program:
    """The program of a seed; the same for ever, as long as autoconv accepts the same calls.

    New operations are a new edition: with an earlier one a seed that once found a fault finds it again.
    """
    from . import everyday  # noqa: F401  (it enters the second edition)
    from .operations import OPERATIONS

    build = Builder(seed)
    draws: list[Callable[[Builder], str]] = [f for f, weight, e in OPERATIONS if e <= edition for _ in range(weight)]
    build.new(build.shape(), constant=False)
    wanted = build.whole(2, 9)
    for _ in range(6 * wanted):
        kept = len(build.steps), dict(build.inputs), dict(build.known), list(build.wrt)
        try:
            build.pick(*draws)(build)
        except RefusedError:
            build.steps, build.inputs, build.known, build.wrt = build.steps[: kept[0]], kept[1], kept[2], kept[3]
        if len(build.steps) >= wanted:
            break
    return finish(build)


def finish(build: Builder) -> Program:
    """A scalar of the last floating-point value comes first; then up to two more results, as they are."""
    results = [s.result for s in build.steps if build.of(s.result).dtype.kind == "f"]
    last = results[-1] if results else build.wrt[0]
    more = [s.result for s in build.steps[-3:] if build.chance(0.25)][:2]
    try:
        scalar = reduced(build, last)
    except RefusedError:
        scalar = build.step("ac.sum", last)
    return tidy(Program(build.inputs, tuple(build.steps), (scalar, *more), tuple(build.wrt)))


def reduced(build: Builder, name: str) -> str:
    """One number of an array, in a way whose gradient is not everywhere the same."""
    x = build.of(name)
    way = build.pick("sum", "square", "weights", "mean", "tanh", "max", "logsumexp")
    if way == "sum" or x.size == 0:
        return build.step("ac.sum", name)
    if way == "square":
        return build.step("ac.sum", build.step("*", name, name))
    if way == "weights":
        return build.step("ac.sum", build.step("*", name, build.new(x.shape, "plain", x.dtype, constant=True)))
    if way == "tanh":
        return build.step("ac.sum", build.step("ac.tanh", name))
    return build.step(f"ac.{way}", name)


def tidy(program: Program) -> Program:
    """Without the lines and inputs that no result reads."""
    needed, steps = set(program.outputs), []
    for step in reversed(program.steps):
        if step.result in needed:
            needed.update(step.operands)
            steps.append(step)
    inputs = {name: x for name, x in program.inputs.items() if name in needed}
    return Program(inputs, tuple(reversed(steps)), program.outputs, tuple(n for n in program.wrt if n in needed))
