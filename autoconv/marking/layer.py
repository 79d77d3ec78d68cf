"""A layer of a course, described once: its forward as a composition, the geometries to try, how it is called.

The reference is written in autoconv's own calls, in the course's layout.  Its gradient is the sweep's; no layer
here has a gradient of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..tape import Tensor

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Try:
    """One set of inputs: ``arrays`` by name (floating-point ones have gradients), and the layer's ``settings``.

    words: the geometry in a phrase.  rest: outside of what every course demands (the windows do not cover the
    image), so
    that a function may refuse it.  kink: "pool" or "relu" where two competitors are equal, so that the slope is a
    choice.  uncovered: the windows leave a rest of the image, so that a course's formula for the size of the output
    gives no whole number.
    """

    words: str
    arrays: Arrays
    settings: Mapping[str, Any] = field(default_factory=dict)
    rest: bool = False
    kink: str = ""
    uncovered: bool = False

    @property
    def size(self) -> int:
        return sum(array.size for array in self.arrays.values())

    @property
    def text(self) -> str:
        """Shapes and settings, as in "x (1, 1, 3, 3), w (1, 1, 2, 2), stride 1"."""
        shapes = [f"{name} {array.shape}" for name, array in self.arrays.items()]
        return ", ".join([*shapes, *[f"{k} {v}" for k, v in self.settings.items() if not isinstance(v, dict)]])


@dataclass(frozen=True)
class Call:
    """How a course calls a forward and a backward function: the names of arguments and results, in their order.

    forward, backward: names among the layer's inputs and settings, "dout", "cache", "out", and the ``groups``: settings
    that are handed over in one dict, {group: {key in the dict: setting}}.  result: what forward returns; gradients:
    what
    backward returns.  fixed: arguments that are always the same.  cached: what the course's forward keeps, for a
    backward that is given alone.  torch:
    whether the arrays are handed over as torch tensors.  ahead, back: replace all of this for courses of classes:
    ahead(functions, values) -> (out, cache), back(functions, values) -> gradients, where one function or class stands
    for both; classes: it is a class; says: its signature in words.
    """

    forward: tuple[str, ...] = ()
    backward: tuple[str, ...] = ("dout", "cache")
    result: tuple[str, ...] = ("out", "cache")
    gradients: tuple[str, ...] = ()
    groups: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    cached: tuple[str, ...] = ()
    torch: bool = False
    ahead: Callable[..., Any] | None = None
    back: Callable[..., Any] | None = None
    classes: bool = False
    says: str = ""

    def alone(self, functions: Mapping[str, Any]) -> bool:
        """Whether one function or class stands for both, so that ``ahead`` and ``back`` know how to use it."""
        return self.ahead is not None and functions.get("forward") is functions.get("backward")

    def values(self, case: Try) -> dict[str, Any]:
        """Every argument that can be asked for, as fresh copies."""
        values: dict[str, Any] = {name: array.copy() for name, array in case.arrays.items()}
        values |= {k: dict(v) if isinstance(v, dict) else v for k, v in case.settings.items()}
        for group, keys in self.groups.items():
            values[group] = {key: values[name] for key, name in keys.items() if name in values}
        return {k: dict(v) if isinstance(v, dict) else v for k, v in self.fixed.items()} | values


@dataclass(frozen=True)
class Layer:
    """name: as in "cs231n.conv".  functions: the names of the forward and the backward function (or of the class) in a
    student's file.  reference(**arrays, **settings) -> Tensor.  outputs: {gradient: input}.  tries: the geometries.
    variants: {what is said of it: another forward}.  all_tied: whether every tied maximum may receive the whole
    gradient.
    loss: the one function returns (loss, gradient ...).  masked: the forward is random; its mask is read off its
    output.
    unknown: there is no reference, only the student's forward.
    drops: the setting p may be the probability of dropping as well as that of keeping.
    remarks: {mistake: what of the course's editions whoever marks should know}.
    editions: [(words, changes)]: what is different in the edition whose docstring of the forward has these words.
    """

    name: str
    functions: tuple[str, ...]
    reference: Callable[..., Tensor]
    outputs: Mapping[str, str]
    tries: Callable[[], list[Try]]
    call: Call
    layout: str = ""
    variants: Mapping[str, Callable[..., Tensor]] = field(default_factory=dict)
    all_tied: bool = False
    loss: bool = False
    masked: bool = False
    unknown: bool = False
    drops: bool = False
    remarks: Mapping[str, str] = field(default_factory=dict)
    editions: tuple[tuple[str, Mapping[str, Any]], ...] = ()

    def edition(self, docstring: str | None) -> Layer:
        """The layer as the edition of the course has it that handed out a forward with this docstring."""
        found = [changes for words, changes in self.editions if words in " ".join((docstring or "").split())]
        return replace(self, **found[0]) if found else self

    @property
    def signature(self) -> str:
        """The course's own calls in a line."""
        made = ", ".join(self.outputs)
        if self.loss:
            return f"{self.functions[0]}({', '.join(self.call.forward)}) -> loss, {made}"
        if self.call.says:
            pair = f"forward({', '.join(self.call.forward)}) -> out, cache; backward(dout, cache) -> {made}"
            return f"{self.call.says}; or functions {pair}"
        forward = f"{self.functions[0]}({', '.join(self.call.forward)}) -> {', '.join(self.call.result)}"
        return f"{forward}; {self.functions[1]}({', '.join(self.call.backward)}) -> {made}"

    def run(self, case: Try, reference: Callable[..., Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """(output, inputs by name) of the reference, or another forward, on fresh leaves in double precision."""
        leaves: dict[str, Any] = {}
        for name, array in case.arrays.items():
            leaves[name] = Tensor(array.astype(float), name=name) if array.dtype.kind == "f" else array
        made = (reference or self.reference)(**leaves, **case.settings)
        return made, {name: leaf for name, leaf in leaves.items() if isinstance(leaf, Tensor)}


def plain(value: Any) -> Any:
    """The array in a Tensor of somebody's own, which hands it out as ``numpy()`` or holds it as ``data``."""
    if isinstance(value, (np.ndarray, np.generic, int, float, list, tuple)):
        return value
    if callable(getattr(value, "numpy", None)):
        return value.numpy()
    held = getattr(value, "data", None)
    return held if isinstance(held, np.ndarray) else value


def seeded(*numbers: int) -> np.random.Generator:
    """The source of a geometry's numbers: the same in every run, so that a verdict can be repeated."""
    return np.random.default_rng([20, *numbers])


def rows(table: Iterator[tuple[Any, ...]] | list[tuple[Any, ...]], make: Callable[..., Try]) -> list[Try]:
    """A table of geometries as tries: make(rng, *row) for each row."""
    return [make(seeded(i), *row) for i, row in enumerate(table)]
