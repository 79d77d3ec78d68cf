"""An optimiser's step as part of a native call, on the gradients that the call has just computed.

The optimiser describes its update (``Optimizer.described``); the machine makes those of the kinds it knows.  Where
somebody else holds a parameter's old array, the machine writes a new one, so that the holder keeps the old numbers;
else it writes in place.  It changes the optimiser's slots in place, or copies of them where the step may still be
undone.  Every other kind of update, and a gradient that NumPy finishes, is left to ``optimizer.step``.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence, Set
from typing import TYPE_CHECKING, Any

import numpy as np

from ...hooks import watcher
from ...tape import Tensor, _next_serial
from ..native import instruction_set as isa
from .native_program import NativeProgram, in_order

if TYPE_CHECKING:
    from ...optim import Update

_KINDS = {"sgd": isa.METHODS["SGD"], "adam": isa.METHODS["ADAM"]}  # of an update
_ROW = struct.Struct("7q8dq")  # the words of UPDATE: seven integers, eight doubles, one that is not used
_NUMBERS = 8  # of an update


class OptimizerStep:
    """One step of ``optimizer``; ``done`` once the machine has computed it, ``put`` then gives the parameters their new
    values.

    ``careful``: without ``put`` nothing is changed, the optimiser's slots neither; if that is for the sake of a loss
    that may not be finite (``if_finite``), the machine may also look at it and then leave everything alone.
    """

    def __init__(self, optimizer: Any, if_finite: bool = False) -> None:
        self.optimizer, self.careful, self.if_finite = optimizer, if_finite, if_finite
        self.done = False
        self.params: Sequence[Tensor] = optimizer.params
        self.state: Sequence[dict[str, Any]] = getattr(optimizer, "state", ())  # an optimiser may be anybody's
        self.repeated, self.count = False, 0  # computed like the one before it (repeated_step.py), with that number
        self._new: list[tuple[Tensor, np.ndarray]] = []
        self.states: list[dict[str, Any]] = []

    def only(self, reached: Sequence[int]) -> None:
        """Step these of the optimiser's parameters (numbers): the loss does not depend on the others, and no step moves
        them."""
        if len(reached) < len(self.params):
            self.params = [self.params[k] for k in reached]
            self.state = [self.state[k] for k in reached] if self.state else ()

    def rows(
        self,
        native: NativeProgram,
        results: dict[int, int],
        arrays: list[np.ndarray],
        owned: Set[int] = frozenset(),
        known_rows: dict[Any, bytes] | None = None,
    ) -> bytes:
        """The machine's UPDATE rows; arrays that they need are added to ``arrays``.  Empty if the machine cannot do it.

        ``results``: line -> number of its array among ``arrays``.  ``owned``: ids of parameters' arrays that nobody
        else holds.  ``known_rows``: those of the last step, which this one replaces unless they are the same.
        """
        o, params = self.optimizer, self.params
        counts = [state.get("step", 0) + 1 for state in self.state]
        updates = {t: described(o, t, self.state) for t in set(counts)}  # one, unless some were absent in some steps
        update = next(iter(updates.values()), None)
        if update is None or any(
            u is None or (u.kind, u.slots) != (update.kind, update.slots) for u in updates.values()
        ):
            return b""
        lines, first, count = native.gradient_lines(len(params)), len(arrays), len(update.slots)
        owned = frozenset() if self.careful else owned
        known_rows = {} if known_rows is None else known_rows
        for p, line, state in zip(params, lines, self.state, strict=True):
            value = new = p.value
            if id(value) not in owned:
                if not in_order(value, native.dtype):
                    return b""
                new = np.empty(value.shape, value.dtype)
            kept = state or {**o.slots(p), "step": 0}
            slots = {name: kept[name] for name in (*update.slots, "step")}
            arrays += (value, new)
            if line not in results or (count and not self._arrays_of(slots, bool(state), p, arrays)):
                return b""
            self._new.append((p, new))
            self.states.append(slots)
        kind, settings = _KINDS[update.kind], {t: padded(u) for t, u in updates.items() if u}
        key = (kind, first, count, *settings.values(), tuple(counts) if len(settings) > 1 else ())
        if key not in known_rows:  # the same words as in the last step, but where the settings change with every step
            known_rows.clear()
            sizes = [new.size for _, new in self._new]
            known_rows[key] = b"".join(
                _ROW.pack(
                    kind,
                    results[line],
                    at,
                    at + 1,
                    at + 2 if count else -1,
                    at + 3 if count > 1 else -1,
                    n,
                    *settings[t],
                    0,
                )
                for line, n, at, t in zip(lines, sizes, range(first, len(arrays), 2 + count), counts, strict=True)
            )
        return known_rows[key]

    def _arrays_of(self, slots: dict[str, Any], kept: bool, p: Tensor, arrays: list[np.ndarray]) -> bool:
        """Add an optimiser's slots for p to ``arrays``; False if they are not as the machine needs them."""
        for k, x in slots.items():
            if k == "step":
                continue
            if not (in_order(x, p.dtype) and x.flags.writeable):
                return False
            if self.careful and kept:
                slots[k] = x = x.copy()
            arrays.append(x)
        return True

    def put(self) -> None:
        """The parameters take their new values; they are then younger than every line that read the old ones."""
        serial = _next_serial()
        watching = watcher.get()
        if self.repeated:
            for p, state in zip(self.params, self.state, strict=True):
                p.serial, state["step"] = serial, self.count
            return
        for (p, new), state, slots in zip(self._new, self.state, self.states, strict=True):
            if watching is not None:
                watching.assigned(p)
            if new is not p._value:
                new.flags.writeable = False
                p._value = new
            p.serial = serial
            state.update(slots, step=slots["step"] + 1)


def described(optimizer: Any, t: int, states: Sequence[dict[str, Any]]) -> Update | None:
    """The update of step t of the parameters in ``states``,
    if it is of a kind that the machine knows and the slots are those it changes; else None."""
    describe = getattr(optimizer, "described", None)  # an optimiser may be anybody's
    update = describe(t) if describe else None
    if update is None or update.kind not in _KINDS:
        return None
    names = {*update.slots, "step"}  # a setting may have changed since the first step, and with it the slots
    return update if all([state.keys() == names for state in states if state]) else None


def padded(update: Update) -> tuple[float, ...]:
    """The numbers of an update as the machine wants them."""
    return (*update.numbers, *[0.0] * (_NUMBERS - len(update.numbers)))
