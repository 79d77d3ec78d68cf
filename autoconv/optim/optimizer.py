"""What all optimisers share: gradients in, new parameter values out, and a state that can be saved.

Every optimiser has the same step; a subclass gives its settings, its slots (arrays it keeps for each parameter), the
numbers of its update in step t as plain data (``update``), and the change they make (``updated``).  Defaults and
results are PyTorch's; but a float16 parameter's slots and update are float32, and only its new value is rounded (Adam's
eps of 1e-8 is 0 in float16).  Values are exchanged through ``Tensor.assign``, so that a sweep over lines recorded
before the step is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from ..arrays import wide
from ..operands import found, numbers
from ..shapes import shown
from ..tape import Tensor, describe

Slots = dict[str, np.ndarray]

# What an ``Update`` describes: whoever replaces one of these has another update.
_DESCRIBED = frozenset(["step", "updated", "slots"])


class Update(NamedTuple):
    """An optimiser's update in one step as plain data, for whoever makes it elsewhere (see the methods for the
    formulas).

    ``kind`` is the formula, ``numbers`` what stands in it in this step, ``slots`` the arrays it changes, in its order.

    >>> optim.SGD([nn.Parameter([1.0])], lr=0.1).update(1).kind
    'sgd'
    """

    kind: str
    numbers: tuple[float, ...]
    slots: tuple[str, ...] = ()


class Optimizer:
    """The base: ``params`` (Tensors, or (name, Tensor) pairs), checked settings, and one dict of state per parameter.

    >>> model = nn.Linear(2, 1, rng=0)
    >>> optimizer = optim.SGD(model.parameters(), lr=0.1)
    >>> ac.sum(model(np.ones((1, 2), np.float32))).backward()
    >>> optimizer.step()
    >>> model.bias.value
    array([-0.1], dtype=float32)
    >>> optimizer.zero_grad()
    >>> model.bias.grad is None
    True
    """

    settings: tuple[str, ...] = ("lr",)

    def __init__(self, params: Iterable[Any], **settings: Any) -> None:
        if not isinstance(params, Iterable) or isinstance(params, str | bytes | Tensor | np.ndarray):
            raise TypeError(
                f"{type(self).__name__}: params must be parameters, or (name, parameter) pairs, found {found(params)}; "
                "pass model.parameters()"
            )
        self.params = [p[1] if isinstance(p, tuple) and len(p) == 2 else p for p in params]
        self._check_params()
        for name, value in settings.items():
            _check_setting(type(self).__name__, name, value)
            setattr(self, name, value)
        self.state: list[dict[str, Any]] = [{} for _ in self.params]

    lr: float

    def slots(self, p: Tensor) -> Slots:
        """The arrays kept for a parameter, as they are before the first step."""
        return {}

    def update(self, step: int) -> Update | None:
        """The kind of update and its numbers in step number ``step`` (from 1); None: ``updated`` alone knows."""
        return None

    def described(self, step: int) -> Update | None:
        """``update(step)``, or None where a subclass (or this object) has replaced what that describes."""
        if not _DESCRIBED.isdisjoint(vars(self)):
            return None
        for kind in type(self).__mro__:
            if "update" in vars(kind):
                return self.update(step)
            if not _DESCRIBED.isdisjoint(vars(kind)):
                return None
        return None

    def updated(self, value: np.ndarray, g: np.ndarray, state: Slots, step: int) -> np.ndarray:
        """The parameter's new value for gradient ``g`` in step number ``step`` (from 1); ``state`` is changed in
        place."""
        raise NotImplementedError(f"{type(self).__name__} defines no update")

    def step(self, grads: Sequence[np.ndarray | None] | None = None) -> None:
        """Change every parameter by its gradient: ``grads`` in the parameters' order, or each one's ``.grad``.

        A parameter whose gradient is None is left alone.  Raises ValueError for gradients that do not fit, before
        anything is changed.
        """
        if grads is not None and (
            not isinstance(grads, Iterable) or isinstance(grads, str | bytes) or getattr(grads, "ndim", 1) == 0
        ):
            raise TypeError(f"step: the gradients must be a list with one for each parameter, found {found(grads)}")
        given = [p.grad for p in self.params] if grads is None else list(grads)
        if len(given) != len(self.params):
            raise ValueError(
                f"step: {len(given)} gradients for {len(self.params)} parameters; give one for each, or None"
            )
        given = [g if g is None or isinstance(g, Tensor) else numbers(g, "step: a gradient") for g in given]
        for p, g in zip(self.params, given, strict=True):
            if g is not None and g.shape != p.shape:
                raise ValueError(f"step: a gradient of shape {g.shape} for {describe(p)}; the shapes must be equal")
        for p, g, state in zip(self.params, given, self.state, strict=True):
            if g is None:
                continue
            if not state:
                state.update(self.slots(p), step=0)
            state["step"] += 1
            array, dtype = g.value if isinstance(g, Tensor) else np.asarray(g), wide(p.dtype)
            value = p.value.astype(dtype, copy=False)
            p.assign(self.updated(value, array.astype(dtype, copy=False), state, state["step"]))

    def zero_grad(self) -> None:
        """Forget the gradients: ``.grad`` of every parameter becomes None."""
        for p in self.params:
            p.grad = None

    def state_dict(self) -> dict[str, Any]:
        """{"name", "settings", "state": one dict for each parameter with its arrays (copies) and its number of
        steps}."""
        copied = [{k: np.array(v) if isinstance(v, np.ndarray) else v for k, v in s.items()} for s in self.state]
        return {"name": type(self).__name__, "settings": self._settings(), "state": copied}

    def check_state_dict(self, state: Mapping[str, Any]) -> None:
        """ValueError if ``state`` is not that of this kind of optimiser with these parameters."""
        self._restored(state)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over settings and state.  ValueError if they do not fit; the optimiser is then unchanged."""
        restored = self._restored(state)
        for name in self.settings:
            setattr(self, name, getattr(restored, name))
        self.state = restored.state

    def _settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.settings}

    def _restored(self, state: Mapping[str, Any]) -> Optimizer:
        """A new optimiser of the same parameters in that state."""
        mine = type(self).__name__
        if not isinstance(state, Mapping) or state.get("name") != mine:
            other = state.get("name") if isinstance(state, Mapping) else state
            raise ValueError(f"load_state_dict: this is the state of {shown(other)}, the optimiser is {mine}")
        settings, saved = state.get("settings"), state.get("state")
        if not isinstance(settings, Mapping) or set(settings) != set(self.settings):
            raise ValueError(
                f"load_state_dict: the settings of {mine} are {', '.join(self.settings)}; found {shown(settings)}"
            )
        if not isinstance(saved, Sequence) or len(saved) != len(self.params):
            count = len(saved) if isinstance(saved, Sequence) else saved
            raise ValueError(f"load_state_dict: the state is for {count} parameters, {mine} has {len(self.params)}")
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
        made = type(self)(self.params, **values)
        made.state = [_slots(made.slots(p), p, entry) for p, entry in zip(self.params, saved, strict=True)]
        return made

    def _check_params(self) -> None:
        name = type(self).__name__
        if not self.params:
            raise ValueError(
                f"{name}: there are no parameters; pass model.parameters() (an iterator can be used only once)"
            )
        for p in self.params:
            if not isinstance(p, Tensor) or p.primitive is not None or p.constant:
                what = describe(p) if isinstance(p, Tensor) else found(p)
                raise TypeError(
                    f"{name}: {what} is not a parameter; pass nn.Parameter or ac.tensor of floating-point numbers"
                )
        if len({id(p) for p in self.params}) < len(self.params):
            raise ValueError(f"{name}: a parameter was given twice; its step would be made twice")

    def __repr__(self) -> str:
        listed = ", ".join(f"{k}={v}" for k, v in self._settings().items())
        return f"{type(self).__name__}({len(self.params)} parameters, {listed})"


# What a number among the settings must be, where that is more than "not negative".
_BELOW_ONE = {"alpha": "at least 0 and at most 1", "betas": "at least 0 and below 1"}


def _check_setting(optimizer: str, name: str, value: Any) -> None:
    """TypeError for what is not a number (a pair of numbers, a yes or no), ValueError for one that makes no sense."""
    if name in ("nesterov", "centered"):
        if not isinstance(value, bool):
            raise TypeError(f"{optimizer}: {name}={shown(value)} must be True or False")
        return
    several: Any = value if name == "betas" else (value,)
    if name == "betas" and not (isinstance(value, tuple) and len(value) == 2):
        raise TypeError(f"{optimizer}: betas={shown(value)} must be a pair of numbers, as in (0.9, 0.999)")
    for number in several:
        if isinstance(number, bool) or not isinstance(number, int | float | np.floating):
            raise TypeError(f"{optimizer}: {name}={shown(value)} must be a number")
        huge = isinstance(number, int) and abs(number) >= 2**1000
        fits = not huge and isfinite(number) and (number >= 0 or name == "dampening")
        if not fits or (name == "betas" and number >= 1) or (name == "alpha" and number > 1):
            raise ValueError(
                f"{optimizer}: {name}={shown(value)} must be {_BELOW_ONE.get(name, 'a finite number of at least 0')}"
            )


def zeros(p: Tensor) -> np.ndarray:
    """A slot for p before the first step: float32 for a float16 parameter."""
    return np.zeros_like(p.value, dtype=wide(p.dtype))


def _slots(expected: Slots, p: Tensor, entry: Any) -> dict[str, Any]:
    """A copy of one parameter's saved state; ValueError unless it is empty or has the slots and shapes of
    ``expected``."""
    if not isinstance(entry, Mapping) or (entry and set(entry) != {"step", *expected}):
        has = ", ".join(map(str, entry)) if isinstance(entry, Mapping) else shown(entry)
        needed = ", ".join(["step", *expected])
        raise ValueError(f"load_state_dict: the state of {describe(p)} has {has}; it needs {needed}, or nothing")
    if not entry:
        return {}
    step = entry["step"]
    if isinstance(step, bool) or not isinstance(step, int) or step < 0:
        raise ValueError(f"load_state_dict: step={step!r} of {describe(p)} must be a whole number of at least 0")
    for name in expected:
        value = np.asarray(entry[name])
        if value.shape != p.shape or value.dtype.kind not in "fiO":
            raise ValueError(
                f"load_state_dict: {name} of {describe(p)} has shape {value.shape} and dtype {value.dtype}"
            )
    return {**{name: np.array(entry[name], dtype=slot.dtype) for name, slot in expected.items()}, "step": step}
