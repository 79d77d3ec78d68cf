"""One side of a comparison: a tape, whatever it came from, and its lines' values computed again in double precision.

In double precision the rounding of a float32 run is out of the way: what still differs is another calculation.  How far
rounding itself can move each line is measured: the lines are run once more with a small random error in each.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib import import_module
from typing import Any

import numpy as np

from .. import functional, tree
from ..backward import steps
from ..nn import Module
from ..operands import found
from ..primitives import add, mul, sum_
from ..tape import Array, Tape, Tensor, tensor
from ..tutor.run.replay import replay
from .saved import load_run

MOVED = 2.0**-40  # relative error put into each line; double precision's own is 2**-53
MOST_MOVED = 1e-7  # beyond this a moved line has taken another branch, which says nothing of rounding


class Side:
    """``lines``: those of the tape; ``operands[i]``: the numbers of the lines that line i reads; ``outputs``: numbers.

    ``values[i]``: in double precision; ``rounding[i]``: how far apart two right calculations of line i may be.
    before, after: {name: array} of a model's buffers around the run.
    """

    def __init__(self, tape: Tape, what: str, model: Module | None = None) -> None:
        self.tape, self.what, self.model = tape, what, model
        self.lines = tape.lines
        self.number = {id(line): i for i, line in enumerate(self.lines)}
        self.operands = [tuple(self.number[id(x)] for x in line.operands) for line in self.lines]
        self.outputs = [self.number[id(y)] for y in tape.outputs]
        self.before: dict[str, Array] = {}
        self.after: dict[str, Array] = {}
        self.altered: dict[int, Array] = {}

    def with_line(self, i: int, value: Array) -> Side:
        """The same run where line i is ``value``, and all that follows from it."""
        other = Side(self.tape, self.what, self.model)
        other.before, other.after = self.before, self.after
        other.altered = {**self.altered, i: value}
        return other

    @cached_property
    def values(self) -> list[Array]:
        return self.run({})

    def run(self, given: Mapping[int, Any], moved: float = 0.0) -> list[Array]:
        """The lines' values where those of lines ``given`` (by number) are others."""
        rng = np.random.default_rng(0)

        def change(line: Tensor, operands: list[Tensor]) -> Tensor | None:
            primitive = line.primitive
            if not moved or primitive is None or line.dtype.kind != "f" or primitive.group not in _ROUNDED:
                return None
            value = np.asarray(primitive.forward(*[x.value for x in operands], **line.params))
            if primitive.masks or value.dtype.kind != "f":
                return None
            return Tensor(np.asarray(value * (1 + moved * rng.uniform(-1, 1, value.shape))), constant=True)

        given = {**self.altered, **given}
        again = replay(self.tape, {self.lines[i]: value for i, value in given.items()}, change)
        return [again[id(line)].value for line in self.lines]

    def following(self, given: Mapping[int, Any]) -> dict[int, Array]:
        """The values of the lines that depend on lines ``given``, with these values in their place."""
        reached = set(given)
        known: dict[int, Any] = dict(given)
        for i, operands in enumerate(self.operands):
            if i not in given:
                if any(k in reached for k in operands):
                    reached.add(i)
                else:
                    known[i] = self.values[i]
        values = self.run(known)
        return {i: values[i] for i in sorted(reached)}

    def rounding(self, moved: float) -> list[float]:
        """For each line how far values may be apart by rounding alone, each line's relative error being ``moved``."""
        other = self.run({}, moved)
        bounds = []
        with np.errstate(all="ignore"):
            for value, shaken in zip(self.values, other, strict=True):
                size = largest(value)
                value, shaken = np.asarray(value, float), np.asarray(shaken, float)
                bounds.append(min(8 * largest(shaken - value), MOST_MOVED / MOVED * moved * size) + 100 * moved * size)
        return bounds

    def cotangents(self, start: Sequence[Array | None]) -> dict[int, Array]:
        """By line: the gradient, in double precision, of the sum over the outputs of start * output."""
        again = replay(self.tape, {})
        total: Any = None
        for i, weight in zip(self.outputs, start, strict=True):
            y = again[id(self.lines[i])]
            if weight is None or y.constant:
                continue
            part = sum_(mul(y, weight), axis=tuple(range(y.ndim)))
            total = part if total is None else add(total, part)
        if total is None:
            return {}
        back = {id(again[id(line)]): i for i, line in enumerate(self.lines)}
        with np.errstate(all="ignore"):
            walked = steps(total, None, np.ones(()))
            return {back[id(step.line)]: np.asarray(step.cotangent) for step in walked if id(step.line) in back}

    @cached_property
    def _uses(self) -> dict[int, int]:
        uses: dict[int, int] = {}
        for i, operands in enumerate(self.operands):
            for k in operands:
                uses.setdefault(k, i)
        return uses

    def first_use(self, i: int) -> tuple[int, int]:
        """Where a line is first read: the order of data flow, also for parameters."""
        return self._uses.get(i, len(self.lines)), i

    def is_leaf(self, i: int) -> bool:
        return self.lines[i].primitive is None

    def row(self, i: int) -> str:
        primitive = self.lines[i].primitive
        return "input" if primitive is None else primitive.name

    def scope(self, i: int) -> str:
        """The layers and calls around a line, outermost first."""
        around = self.lines[i].scope
        return " > ".join(scope.name for scope in around.path) if around else ""

    def read_by(self, i: int) -> set[str]:
        """The rows that read a line, looked through moves; "output" if it is one."""
        reached, rows = {i}, {"output"} if i in self.outputs else set()
        for k in range(i + 1, len(self.lines)):
            if reached & set(self.operands[k]):
                primitive = self.lines[k].primitive
                if primitive is not None and primitive.group == "wiring" and not primitive.adds:
                    reached.add(k)
                    rows |= {"output"} if k in self.outputs else set()
                else:
                    rows.add(self.row(k))
        return rows

    @staticmethod
    def is_function(name: str) -> bool:
        """Whether a scope has the name of a composed function of autoconv."""
        return name in _FUNCTIONS

    def step(self, i: int) -> str:
        """What a line belongs to, as a reader calls it: the innermost function of autoconv around it, or its row."""
        return next((name for name in reversed(self.calls(i)) if name in _FUNCTIONS), self.row(i))

    def calls(self, i: int) -> list[str]:
        around = self.lines[i].scope
        return [scope.name for scope in around.path] if around else []


_FUNCTIONS = frozenset(functional._COMPOSED)
_ROUNDED = ("arithmetic", "sum", "contract")


def largest(value: Array) -> float:
    """The largest size among the finite elements; 0 if there are none."""
    sizes = np.abs(np.asarray(value, float)).ravel()
    sizes = sizes[np.isfinite(sizes)]
    return float(sizes.max()) if sizes.size else 0.0


# ---- from what a user gives to sides


def sides_of(a: Any, b: Any, inputs: Sequence[Any], inputs_b: Sequence[Any] | None) -> tuple[Side, Side, list[str]]:
    """Both sides, and what was done to the inputs, in words."""
    notes: list[str] = []
    a, b = _opened(a), _opened(b)
    if inputs_b is None:
        inputs_b = inputs
        last_a, last_b = _channels_last(a), _channels_last(b)
        if None not in (last_a, last_b) and last_a != last_b and any(np.ndim(x) > 2 for x in inputs):
            source, to = (-1, 1) if last_a else (1, -1)
            inputs_b = [np.moveaxis(np.asarray(x), source, to) if np.ndim(x) > 2 else x for x in inputs]
            notes.append(
                f"channels stand {'last' if last_a else 'first'} in a and {'last' if last_b else 'first'} in b: "
                "b got the inputs with their channels moved"
            )
    with _same_draws(a, b):
        return _side(a, inputs, "a"), _side(b, inputs_b, "b"), notes


def _opened(x: Any) -> Any:
    """A model in a file, and a saved run, as what they hold."""
    if isinstance(x, str | os.PathLike):
        if os.fspath(x).lower().endswith(".onnx"):
            return import_module("autoconv").onnx.load(x)
        return load_run(x)
    return x


def _side(x: Any, inputs: Sequence[Any], what: str) -> Side:
    if isinstance(x, Tape | Tensor):
        return Side(x if isinstance(x, Tape) else Tape(x), what)
    if isinstance(x, list | tuple) and x and all(isinstance(y, Tensor) for y in x):
        return Side(Tape(*x), what)
    if not callable(x):
        raise TypeError(
            f"compare: {what} is {found(x)}; give a model, a function, a Tape, an output of a run, or the path of a "
            "saved run or an ONNX file"
        )
    if not inputs:
        raise TypeError(f"compare: {what} is {found(x)}, which needs inputs: compare(a, b, x)")
    arrays = [given if isinstance(given, Tensor) else _lifted(given, k) for k, given in enumerate(inputs)]
    model = x if isinstance(x, Module) else None
    with _restored(model) as state:
        outputs = [y for y in tree.flatten(x(*arrays))[0] if isinstance(y, Tensor)]
        after = {name: np.array(value) for name, value in model.named_buffers()} if model else {}
    if not outputs:
        raise TypeError(f"compare: {what} returned no Tensor; what was computed is not recorded")
    side = Side(Tape(*outputs), what, model)
    side.before, side.after = state, after
    return side


def _lifted(given: Any, k: int) -> Any:
    array = np.asarray(given)
    return tensor(array, name=f"input {k}") if array.dtype.kind in "fiubO" else given


def _channels_last(x: Any) -> bool | None:
    """The layout of a model's layers; None if there are none, or of both kinds."""
    if not isinstance(x, Module):
        return None
    if hasattr(x, "graph"):  # an imported model
        return False
    found_layouts = set()
    for module in x.modules():
        layout = getattr(module, "layout", None) or getattr(module, "settings", {}).get("layout")
        if isinstance(layout, str):
            found_layouts.add(layout == "channels_last" or (layout.endswith("C") and layout != "NC"))
    return found_layouts.pop() if len(found_layouts) == 1 else None


@contextmanager
def _restored(model: Module | None) -> Iterator[dict[str, Array]]:
    """What a run changes in a model is put back after it: buffers, generators, the shapes that its repr shows."""
    if model is None:
        yield {}
        return
    before = {name: np.array(value) for name, value in model.named_buffers()}
    kept = [(m, name, getattr(m, name)) for m in model.modules() for name in (*m._buffers, "_output_shape")]
    try:
        yield before
    finally:
        for module, name, value in kept:
            vars(module)[name] = value


@contextmanager
def _same_draws(*models: Any) -> Iterator[None]:
    """Models that draw random numbers draw the same ones, and go on afterwards as if they had not."""
    generators = [list(dict(m.named_generators()).values()) if isinstance(m, Module) else [] for m in models]
    states = [(g, g.bit_generator.state) for several in generators for g in several]
    try:
        for several in generators:
            for k, g in enumerate(dict.fromkeys(several)):
                g.bit_generator.state = type(g.bit_generator)(k).state
        yield
    finally:
        for g, state in states:
            g.bit_generator.state = state
