"""An optimiser's step as part of the computation, on the gradients that it has just made.

The optimiser describes its update as plain data (``Optimizer.described``): a kind, numbers, slots.  ``UPDATES`` has the
formula of each kind in JAX's arrays, the same as the optimiser's own ``updated``.  The numbers are operands of the
computation, so a schedule changes them without another compilation; which of them are 0 is part of it, since no decay
is another formula than a decay of 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..hooks import watcher
from ..tape import Tensor, _next_serial
from .column import added_in
from .library import jnp
from .placement import Placement
from .resident import DeviceSlots, leave, on_device, untouched

if TYPE_CHECKING:
    from ..optim import Update

Arrays = Sequence[Any]
Moved = tuple[Any, list[Any]]


class Numbers(NamedTuple):
    """The numbers of an update in the parameter's dtype, 1 less each of them, and which are not 0."""

    n: Arrays
    rest: Arrays
    on: Sequence[bool]


def _sgd(p: Any, g: Any, slots: Arrays, by: Numbers) -> Moved:
    rate, decay, momentum, share, _ = by.n
    d = g + decay * p if by.on[1] else g
    if not by.on[2]:
        return p - rate * d, []
    b = slots[0] * momentum + share * d
    return p - rate * (d + momentum * b if by.on[4] else b), [b]


def _adam(p: Any, g: Any, slots: Arrays, by: Numbers) -> Moved:
    rate, inside, _, beta2, root, eps, _ = by.n
    d = g + inside * p if by.on[1] else g
    m, v = slots
    m = m + by.rest[2] * (d - m)
    v = v * beta2 + by.rest[3] * d * d
    kept = p * by.rest[6] if by.on[6] else p
    return kept - rate * m / (jnp.sqrt(v) / root + eps), [m, v]


def _rmsprop(p: Any, g: Any, slots: Arrays, by: Numbers) -> Moved:
    rate, decay, alpha, eps, momentum, _ = by.n
    d = g + decay * p if by.on[1] else g
    v = slots[0] * alpha + by.rest[2] * d * d
    new, variance = [v], v
    if by.on[5]:
        mean = slots[1] + by.rest[2] * (d - slots[1])
        new.append(mean)
        variance = jnp.maximum(v - mean * mean, 0)
    d = d / (jnp.sqrt(variance) + eps)
    if by.on[4]:
        d = slots[-1] * momentum + d
        new.append(d)
    return p - rate * d, new


def _adagrad(p: Any, g: Any, slots: Arrays, by: Numbers) -> Moved:
    rate, decay, eps = by.n
    d = g + decay * p if by.on[1] else g
    s = slots[0] + d * d
    return p - rate * d / (jnp.sqrt(s) + eps), [s]


UPDATES: dict[str, Callable[[Any, Any, Arrays, Numbers], Moved]] = {
    "sgd": _sgd, "adam": _adam, "rmsprop": _rmsprop, "adagrad": _adagrad,
}  # fmt: skip
_SWITCHES = {"sgd": (1, 2, 4), "adam": (1, 6), "rmsprop": (1, 4, 5), "adagrad": (1,)}  # numbers that are asked whether
# they are 0


def numbers_in(dtype: Any, on: tuple[bool, ...], numbers: Any) -> Numbers:
    """The numbers of an update, float64 (n,), for parameters of this dtype."""
    dtype = added_in(dtype)
    each = [numbers[k] for k in range(len(on))]
    return Numbers([x.astype(dtype) for x in each], [(1 - x).astype(dtype) for x in each], on)


def updated(kind: str, p: Any, g: Any, slots: Arrays, by: Numbers) -> Moved:
    """(a parameter's new value, its new slots) for gradient ``g``."""
    dtype = added_in(p.dtype)
    new, kept = UPDATES[kind](p.astype(dtype), g.astype(dtype), slots, by)
    return new.astype(p.dtype), [x.astype(s.dtype) for x, s in zip(kept, slots, strict=True)]


class XlaStep:
    """One step of ``optimizer``; ``done`` once the device has computed it, ``put`` then counts it.

    ``careful``: the step may still be undone, so the old parameters are kept until ``put``.  ``if_finite``: with a loss
    that is not finite the device leaves parameters and slots as they are.
    """

    def __init__(self, optimizer: Any, if_finite: bool = False) -> None:
        self.optimizer, self.if_finite = optimizer, if_finite
        self.careful = False
        self.done = False
        self.params: Sequence[Tensor] = optimizer.params
        self.places: Sequence[int] = range(len(self.params))  # of ``params`` among the optimiser's
        self._leave: Callable[[], None] | None = None
        self._slots: DeviceSlots | None = None

    def only(self, reached: Sequence[int]) -> None:
        """Step these of the optimiser's parameters (numbers): the loss does not depend on the others, and no step moves
        them."""
        self.params, self.places = [self.optimizer.params[k] for k in reached], tuple(reached)

    def prepared(self, placement: Placement) -> Prepared | None:
        """What the device needs; None for an update that it has no formula for, which NumPy then makes."""
        describe = getattr(self.optimizer, "described", None)  # an optimiser may be anybody's
        held = getattr(self.optimizer, "elsewhere", None)
        if describe is None or not hasattr(self.optimizer, "elsewhere") or not self.params:
            return None
        mine = held.states if held is not None else None
        states = self.optimizer._state
        chosen = [states[k] for k in self.places]
        if mine is not None and [id(x) for x in mine] != [id(x) for x in chosen]:
            self.optimizer.state  # noqa: B018 (reading brings the slots back)
            held = None
        counts = held.counts if held is not None else [x.get("step", 0) for x in chosen]
        updates: dict[int, Update] = {t: describe(t + 1) for t in sorted({*counts})}
        first = updates[counts[0]]
        if any(u is None or u.kind not in UPDATES or u.slots != first.slots for u in updates.values()):
            return None
        if held is not None and held.names != first.slots:
            self.optimizer.state  # noqa: B018
            held = None
        if held is not None and held.placement is placement:
            slots = held.arrays
        else:
            if held is not None:
                self.optimizer.state  # noqa: B018
                held = None
            names = {*first.slots, "step"}
            if any(state.keys() != names for state in chosen if state):  # a setting has changed since the first step
                return None
            slots = []
            for p, state in zip(self.params, chosen, strict=True):
                kept = state or self.optimizer.slots(p)
                if any(np.shape(kept[name]) != p.shape for name in first.slots):
                    return None
                sharding = placement.tensor(p)
                slots.append([placement.put(np.asarray(kept[name]), sharding) for name in first.slots])
        switches = _SWITCHES[first.kind]
        on = tuple([k not in switches or first.numbers[k] != 0 for k in range(len(first.numbers))])
        numbers = np.array([u.numbers for u in updates.values()], np.float64)
        rows = tuple(map(list(updates).index, counts))
        if held is not None and untouched(self.params, held.left):  # as the last step has left them
            params = [x.array for x in held.left]
        else:
            params = [on_device(p, placement, placement.tensor(p)) for p in self.params]
            if len({id(x) for x in params}) < len(params):  # Tensors that share an array: each needs its own
                params = [placement.put(p.value, placement.tensor(p)) for p in self.params]
        return Prepared(first.kind, first.slots, on, params, slots, numbers, rows, counts, chosen)

    def moved(self, prepared: Prepared, params: list[Any], slots: list[list[Any]], placement: Placement) -> None:
        """The device has computed new values: they are the parameters' from now on, unless the step is ``careful``."""
        self.done = True

        def left() -> None:
            there = [leave(p, x, placement, placement.tensor(p)) for p, x in zip(self.params, params, strict=True)]
            self._slots = DeviceSlots(prepared.states, prepared.names, slots, list(prepared.counts), placement, there)
            self.optimizer.elsewhere = self._slots

        if self.careful:
            self._leave = left
        else:
            left()

    def put(self) -> None:
        """The step counts: the parameters are younger than every line that read the old values."""
        if self._leave is not None:
            self._leave()
        serial, watching = _next_serial(), watcher.get()
        for p in self.params:
            if watching is not None:
                watching.assigned(p)
            p.serial = serial
        assert self._slots is not None
        self._slots.counts = [t + 1 for t in self._slots.counts]


class Prepared(NamedTuple):
    """A step's operands on the device: values and slots of each parameter (donated), the update's numbers (``rows``:
    which row is each parameter's), and what names the computation: kind, slots, which numbers are not 0, rows."""

    kind: str
    names: tuple[str, ...]
    on: tuple[bool, ...]
    params: list[Any]
    slots: list[list[Any]]
    numbers: np.ndarray
    rows: tuple[int, ...]
    counts: list[int]
    states: list[dict[str, Any]]
