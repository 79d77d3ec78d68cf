"""Recording a function for later runs, and noticing what a replay would get wrong.

A replay repeats the lines of the tape on new inputs.  That is not what the function does if it looked at numbers while it
was recorded (``if loss > 1``, ``float(t)``, ``np.asarray(t)``), gave a Tensor a new value, or drew random numbers.
``record`` finds out, so that such a function is recorded anew at every call.
"""

from __future__ import annotations

import contextvars
import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import primitives, tape
from ..functional import loss
from ..tape import Tape, Tensor, tensor

_slot = vars(Tensor)[
    "value"
]  # where a Tensor keeps its array; the property below stands in front of it while recording
_recording = threading.RLock()
_SHAPE_ONLY = {"record", "shape", "ndim", "size", "dtype", "__init__"}  # what tape.py reads whatever the numbers are


@dataclass
class LabelCheck:
    """Whole numbers in 0 .. classes - 1, which a loss has checked: to be checked again on other inputs."""

    labels: Tensor
    classes: int


@dataclass
class Watch:
    """What was seen: Tensors whose numbers were read, those that were assigned to, and checks on labels."""

    read: list[Tensor] = field(default_factory=list)
    assigned: list[Tensor] = field(default_factory=list)
    checks: list[LabelCheck] = field(default_factory=list)


@contextmanager
def watching() -> Iterator[Watch]:
    """Notice, in this thread, every look at a Tensor's numbers other than the engine's own."""
    seen, thread = Watch(), threading.get_ident()

    def get(self: Tensor) -> Any:
        if threading.get_ident() == thread:
            frame = sys._getframe(1)
            while frame.f_code.co_name in ("<listcomp>", "<genexpr>") and frame.f_back:
                frame = frame.f_back
            code = frame.f_code
            if code.co_filename == loss.__file__ and code.co_name == "_nll":
                seen.checks.append(LabelCheck(self, frame.f_locals["x"].shape[frame.f_locals["axis"]]))
            elif code.co_filename != primitives.__file__ and not (
                code.co_filename == tape.__file__ and code.co_name in _SHAPE_ONLY
            ):
                seen.read.append(self)
        return _slot.__get__(self)

    def put(self: Tensor, value: np.ndarray) -> None:
        if threading.get_ident() == thread and sys._getframe(1).f_code.co_name != "__init__":
            seen.assigned.append(self)
        _slot.__set__(self, value)

    with _recording:
        Tensor.value = property(get, put)  # type: ignore[assignment, misc]
        try:
            yield seen
        finally:
            Tensor.value = _slot  # type: ignore[misc]


@dataclass
class Recorded:
    """One call: what f returned, the serial before its first line, the checks to redo, and why a replay would be wrong."""

    result: Any
    start: int
    checks: list[LabelCheck]
    reason: str | None
    observers: list[Observer] = field(default_factory=list)


@dataclass
class Observer:
    """Someone who is told the numbers of ``lines`` at every run."""

    told: Callable[..., None]
    lines: tuple[Tensor, ...]


_observers: contextvars.ContextVar[list[Observer] | None] = contextvars.ContextVar("autoconv_observers", default=None)


def observe(told: Callable[..., None], *lines: Tensor) -> None:
    """Call ``told`` with the values of ``lines`` (arrays): at once, or, inside ``compile``, after each run.

    For what a layer keeps from the numbers that pass through it, as running means, without looking at them itself.  What
    ``told`` changes must not be read where it is observed: training keeps the means, evaluation reads them.
    """
    waiting = _observers.get()
    if waiting is None:
        told(*[x.value for x in lines])
    else:
        waiting.append(Observer(told, lines))


def record(f: Callable[[], Any], inputs: list[Tensor], generators: list[Any]) -> Recorded:
    """Call ``f`` outside of any scope or derivative that may surround the caller, and watch it.

    ``inputs``: the Tensors that stand for arguments; ``generators``: the random generators f can reach.
    """
    start = tensor(0).serial
    before = _states(generators)
    observers: list[Observer] = []

    def observed() -> Any:
        _observers.set(observers)
        return f()

    with watching() as seen:
        result = contextvars.Context().run(observed)
    known = {id(x) for x in inputs}
    looked = [x for x in seen.read if any(_is_input(line, known, start) for line in Tape(x))]
    reason = None
    if seen.assigned:
        reason = "it gives a Tensor a new value"
    elif looked:
        what = looked[0].primitive.name if looked[0].primitive else "an input"
        reason = f"it looks at the numbers of {what} of shape {looked[0].shape} while it runs, and may depend on them"
    elif _states(generators) != before:
        reason = "it draws random numbers, which must be fresh at every call"
    if reason:
        for o in observers:
            o.told(*[x.value for x in o.lines])
    return Recorded(result, start, seen.checks, reason, observers)


def _is_input(line: Tensor, known: set[int], start: int) -> bool:
    return id(line) in known or line.serial < start


def _states(generators: list[Any]) -> list[str]:
    return [repr(g.bit_generator.state) for g in generators] + [repr(np.random.get_state()), repr(random.getstate())]
