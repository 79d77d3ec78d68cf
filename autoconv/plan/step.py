"""An optimiser's step as part of a native call: SGD, Adam and AdamW on the gradients that the call has just made.

The machine writes new parameter arrays (the old ones stay as they were for whoever holds them) and changes the optimiser's
slots in place; every other optimiser, and a gradient that NumPy finishes, is left to ``optimizer.step``.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from ..tape import Tensor, tensor

if TYPE_CHECKING:
    from .native_run import NativeRun

_SGD, _ADAM = 1, 2


class Step:
    """One step of ``optimizer``; ``done`` once the machine has made it, ``put`` then gives the parameters their new values."""

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer
        self.done = False
        self._new: list[tuple[Tensor, np.ndarray]] = []
        self._states: list[dict[str, Any]] = []

    def rows(self, run: NativeRun, results: dict[int, int], arrays: list[np.ndarray]) -> bytes:
        """The machine's instructions; arrays that they need are added to ``arrays``.  Empty if the machine cannot do it.

        ``results``: line -> number of its array among ``arrays``.
        """
        o, params = self.optimizer, self.optimizer.params
        lines = [_unshaped(run, line) for line in run.program.outputs[len(run.program.outputs) - len(params) :]]
        known = type(o).__module__.startswith("autoconv.optim") and type(o).__name__ in ("SGD", "Adam", "AdamW")
        if not known or not params or not all(line in results for line in lines):
            return b""
        if any(p.dtype != run.dtype for p in params):
            return b""
        made = b""
        for p, line, state in zip(params, lines, o.state, strict=True):
            slots = dict(state) if state else {**o.slots(p), "step": 0}
            t = slots["step"] + 1
            names = [k for k in slots if k != "step"]
            if not all(
                slots[k].flags.c_contiguous and slots[k].flags.writeable and slots[k].dtype == p.dtype for k in names
            ):
                return b""
            new = np.empty(p.shape, p.dtype)
            at = len(arrays)
            arrays += [p.value, new, *[slots[k] for k in names]]
            places = [at + 2 + k if k < len(names) else -1 for k in range(2)]
            self._new.append((p, new))
            self._states.append(slots)
            kind, numbers = _sgd(o, t) if type(o).__name__ == "SGD" else _adam(o, t)
            made += struct.pack("7q", kind, results[line], at, at + 1, *places, p.size) + struct.pack(
                "8d", *numbers, *(0.0,) * (8 - len(numbers))
            )
            made += struct.pack("q", 0)
        return made

    def put(self) -> None:
        """The parameters take their new values; they are then younger than every line that read the old ones."""
        serial = tensor(0).serial
        for (p, new), state, slots in zip(self._new, self.optimizer.state, self._states, strict=True):
            new.flags.writeable = False
            p.value, p.serial = new, serial
            state.update(slots, step=slots["step"] + 1)


def _unshaped(run: NativeRun, line: int) -> int:
    """The line whose numbers, in the same order, this one has under another shape."""
    lines = run.program.lines
    while (primitive := lines[line].primitive) is not None and primitive.name == "reshape":
        line = lines[line].operands[0]
    return line


def _sgd(o: Any, t: int) -> tuple[int, list[float]]:
    share = 1.0 if t == 1 else 1 - o.dampening
    return _SGD, [o.lr, o.weight_decay, o.momentum, share, float(o.nesterov)]


def _adam(o: Any, t: int) -> tuple[int, list[float]]:
    beta1, beta2 = o.betas
    inside, outside = (0.0, o.lr * o.weight_decay) if o.decoupled else (o.weight_decay, 0.0)
    return _ADAM, [o.lr / (1 - beta1**t), inside, beta1, beta2, (1 - beta2**t) ** 0.5, o.eps, outside]
