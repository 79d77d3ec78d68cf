"""An optimiser's step as part of a native call: SGD, Adam and AdamW on the gradients that the call has just made.

The machine writes new parameter arrays where somebody else holds the old ones (who still has the old numbers), else in
place; it changes the optimiser's slots in place, or copies of them where the step may still be taken back; every other optimiser, and a gradient that NumPy
finishes, is left to ``optimizer.step``.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from ..tape import Tensor, tensor

if TYPE_CHECKING:
    from .native_run import NativeRun

_SGD, _ADAM = 1, 2
_ROW = struct.Struct("7q8dq")  # the machine's words for one parameter


class Step:
    """One step of ``optimizer``; ``done`` once the machine has made it, ``put`` then gives the parameters their new values.

    ``careful``: without ``put`` nothing is changed, the optimiser's slots neither.
    """

    def __init__(self, optimizer: Any, careful: bool = False) -> None:
        self.optimizer, self.careful = optimizer, careful
        self.done = False
        self._new: list[tuple[Tensor, np.ndarray]] = []
        self._states: list[dict[str, Any]] = []

    def rows(self, run: NativeRun, results: dict[int, int], arrays: list[np.ndarray]) -> bytes:
        """The machine's instructions; arrays that they need are added to ``arrays``.  Empty if the machine cannot do it.

        ``results``: line -> number of its array among ``arrays``.
        """
        o, params = self.optimizer, self.optimizer.params
        if not _known(o) or not params:
            return b""
        lines, first = run.gradient_lines(len(params)), len(arrays)
        unshared = set() if self.careful else run.unshared
        steps, counts = set(), set()
        for p, line, state in zip(params, lines, o.state, strict=True):
            value = new = p.value
            if id(value) not in unshared:
                if value.dtype != run.dtype or not value.flags.c_contiguous:
                    return b""
                new = np.empty(value.shape, value.dtype)
            slots = dict(state) if state else {**o.slots(p), "step": 0}
            arrays += (value, new)
            if line not in results or (len(slots) > 1 and not self._arrays_of(slots, bool(state), p, arrays)):
                return b""
            steps.add(slots["step"] + 1)
            counts.add(len(slots) - 1)
            self._new.append((p, new))
            self._states.append(slots)
        if len(steps) > 1 or len(counts) > 1:
            return b""
        kind, *numbers = (_sgd if type(o).__name__ == "SGD" else _adam)(o, steps.pop())
        key = (kind, *numbers, first, count := counts.pop())
        if key not in run.rows:  # the same words as in the last step, but where the settings change with every step
            run.rows.clear()
            sizes = [new.size for _, new in self._new]
            run.rows[key] = b"".join(
                _ROW.pack(
                    kind,
                    results[line],
                    at,
                    at + 1,
                    at + 2 if count else -1,
                    at + 3 if count > 1 else -1,
                    n,
                    *numbers,
                    0,
                )
                for line, n, at in zip(lines, sizes, range(first, len(arrays), 2 + count), strict=True)
            )
        return run.rows[key]

    def _arrays_of(self, slots: dict[str, Any], kept: bool, p: Tensor, arrays: list[np.ndarray]) -> bool:
        """Add an optimiser's slots for p to ``arrays``; False if they are not as the machine needs them."""
        for k, x in slots.items():
            if k == "step":
                continue
            if not (x.flags.c_contiguous and x.flags.writeable and x.dtype == p.dtype):
                return False
            if self.careful and kept:
                slots[k] = x = x.copy()
            arrays.append(x)
        return True

    def put(self) -> None:
        """The parameters take their new values; they are then younger than every line that read the old ones."""
        serial = tensor(0).serial
        for (p, new), state, slots in zip(self._new, self.optimizer.state, self._states, strict=True):
            if new is not p.value:
                new.flags.writeable = False
                p.value = new
            p.serial = serial
            state.update(slots, step=slots["step"] + 1)


def _known(optimizer: Any) -> bool:
    """Whether the machine knows the update: one of ours, with nothing of it replaced."""
    kind = type(optimizer)
    ours = kind.__module__.startswith("autoconv.optim") and kind.__name__ in ("SGD", "Adam", "AdamW")
    if not ours or {"step", "updated", "slots"} & set(vars(optimizer)):
        return False
    if kind.__name__ == "SGD":  # the momentum may have been switched on or off since the first step
        return all(bool(optimizer.momentum) == ("momentum_buffer" in state) for state in optimizer.state if state)
    return True


def _sgd(o: Any, t: int) -> tuple[float, ...]:
    share = 1.0 if t == 1 else 1 - o.dampening
    return _SGD, o.lr, o.weight_decay, o.momentum, share, float(o.nesterov), 0.0, 0.0, 0.0


def _adam(o: Any, t: int) -> tuple[float, ...]:
    beta1, beta2 = o.betas
    inside, outside = (0.0, o.lr * o.weight_decay) if o.decoupled else (o.weight_decay, 0.0)
    return _ADAM, o.lr / (1 - beta1**t), inside, beta1, beta2, (1 - beta2**t) ** 0.5, o.eps, outside, 0.0
