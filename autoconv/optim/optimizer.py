"""What all optimisers share: gradients in, new parameter values out, and a state that can be saved.

Every optimiser has the same step; a subclass gives its settings, its slots (arrays it keeps for each parameter), the
numbers of its update in step t as plain data (``update``), and the change they make (``updated``).  Defaults and
results are PyTorch's; but a float16 parameter's slots and update are float32, and only its new value is rounded (Adam's
eps of 1e-8 is 0 in float16).  Values are exchanged through ``Tensor.assign``, so that a sweep over lines recorded
before the step is refused.

Settings stand in ``param_groups``, a dict for each group of parameters, as PyTorch has it; ``optimizer.lr`` is that of
the first group, or of the group whose step is being made, and setting it sets it for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from ..arrays import wide
from ..operands import found, numbers, real
from ..shapes import flag, shown
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


class _Setting:
    """A setting as an attribute: read from the group whose step is being made (else the first), and set in all."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, optimizer: Optimizer | None, kind: type) -> Any:
        return self if optimizer is None else optimizer._group[self.name]

    def __set__(self, optimizer: Optimizer, value: Any) -> None:
        for group in optimizer.param_groups:
            group[self.name] = value
            if self.name == "lr":
                group.pop("initial_lr", None)  # a schedule that is made from now on begins here
        optimizer.defaults[self.name] = value


class Optimizer:
    """The base: ``params``, checked settings, and one dict of state per parameter.

    params: Tensors, (name, Tensor) pairs, or groups with settings of their own, {"params": [...], "lr": 0.01}.

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
    lr: float

    def __init_subclass__(cls) -> None:
        for name in cls.settings:
            setattr(cls, name, _Setting(name))

    def __init__(self, params: Iterable[Any], **settings: Any) -> None:
        name = type(self).__name__
        if not isinstance(params, Iterable) or isinstance(params, str | bytes | Tensor | np.ndarray | Mapping):
            raise TypeError(
                f"{name}: params must be parameters, (name, parameter) pairs or groups of them, found {found(params)}; "
                "pass model.parameters()"
            )
        given = list(params)
        groups = given if given and all(isinstance(g, Mapping) for g in given) else [{"params": given}]
        for k, value in settings.items():
            _check_setting(name, k, value)
        self.defaults = settings
        self.param_groups: list[dict[str, Any]] = []
        self.params: list[Tensor] = []
        self.elsewhere: Any = None  # whoever has the slots on a device: ``bring`` puts them into the state
        self._state: list[dict[str, Any]] = []
        for group in groups:
            self.add_param_group(group)
        self._group = self.param_groups[0]

    @property
    def state(self) -> list[dict[str, Any]]:
        """One dict for each parameter: its slots, and its number of steps as "step".  Slots that a device has come
        back when this is read."""
        if self.elsewhere is not None:
            held, self.elsewhere = self.elsewhere, None
            held.bring()
        return self._state

    @state.setter
    def state(self, state: list[dict[str, Any]]) -> None:
        self.elsewhere, self._state = None, state

    def __getstate__(self) -> dict[str, Any]:
        self.state  # noqa: B018 (reading brings the slots back)
        return vars(self)

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """More parameters, with settings of their own where ``group`` has them: {"params": [...], "lr": 0.01}."""
        name = type(self).__name__
        if not isinstance(group, Mapping) or "params" not in group:
            raise TypeError(f"{name}: a group must be a dict with params, found {found(group)}")
        own = {k: value for k, value in group.items() if k not in ("params", "name", "initial_lr")}
        for k, value in own.items():
            if k not in self.settings:
                raise TypeError(f"{name}: a group has the setting {k!r}; there are {', '.join(self.settings)}")
            _check_setting(name, k, value)
        several = [group["params"]] if isinstance(group["params"], Tensor) else list(group["params"])
        several = [p[1] if isinstance(p, tuple) and len(p) == 2 else p for p in several]
        self._check_params(several)
        self.params += several
        self.state += [{} for _ in several]
        self.param_groups.append({**self.defaults, **own, "params": several})

    def _alike(self) -> bool:
        """Whether all groups have the same settings."""
        first = self.param_groups[0]
        return all(all(group[k] == first[k] for k in self.settings) for group in self.param_groups[1:])

    def slots(self, p: Tensor) -> Slots:
        """The arrays kept for a parameter, as they are before the first step."""
        return {}

    def update(self, step: int) -> Update | None:
        """The kind of update and its numbers in step number ``step`` (from 1); None: ``updated`` alone knows."""
        return None

    def described(self, step: int) -> Update | None:
        """``update(step)``, or None where a subclass (or this object) has replaced what that describes, or groups of
        parameters have settings of their own."""
        if not _DESCRIBED.isdisjoint(vars(self)) or not self._alike():
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
        groups = [group for group in self.param_groups for _ in group["params"]]
        try:
            for group, p, g, state in zip(groups, self.params, given, self.state, strict=True):
                if g is None:
                    continue
                self._group = group
                if not state:
                    state.update(self.slots(p), step=0)
                state["step"] += 1
                array, dtype = g.value if isinstance(g, Tensor) else np.asarray(g), wide(p.dtype)
                value = p.value.astype(dtype, copy=False)
                p.assign(self.updated(value, array.astype(dtype, copy=False), state, state["step"]))
        finally:
            self._group = self.param_groups[0]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients: ``.grad`` of every parameter becomes None, or 0 where there is one (set_to_none=False).

        What has no gradient is left alone by a step; what has one of 0 moves by its momentum and decay.
        """
        keep = not flag(set_to_none, "zero_grad: set_to_none")
        for p in self.params:
            p.grad = np.zeros_like(p.grad) if keep and p.grad is not None else None

    def state_dict(self) -> dict[str, Any]:
        """{"name", "settings", "state": one dict for each parameter with its arrays (copies) and its number of
        steps}; several groups of parameters have a list of settings, each with its number of parameters, "count"."""
        copied = [{k: np.array(v) if isinstance(v, np.ndarray) else v for k, v in s.items()} for s in self.state]
        return {"name": type(self).__name__, "settings": self._settings(), "state": copied}

    def check_state_dict(self, state: Mapping[str, Any]) -> None:
        """ValueError if ``state`` is not that of this kind of optimiser with these parameters."""
        self._restored(state)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over settings and state.  ValueError if they do not fit; the optimiser is then unchanged."""
        restored = self._restored(state)
        for group, other in zip(self.param_groups, restored.param_groups, strict=True):
            group.update({name: other[name] for name in self.settings})
        self.defaults, self.state = dict(restored.defaults), restored.state

    def _settings(self) -> Any:
        """The settings of all parameters, or a list of those of each group."""
        each = [{name: group[name] for name in self.settings} for group in self.param_groups]
        if len(each) == 1:
            return each[0]
        return [{**one, "count": len(g["params"])} for one, g in zip(each, self.param_groups, strict=True)]

    def _restored(self, state: Mapping[str, Any]) -> Optimizer:
        """A new optimiser of the same parameters in that state."""
        mine = type(self).__name__
        if not isinstance(state, Mapping) or state.get("name") != mine:
            other = state.get("name") if isinstance(state, Mapping) else state
            raise ValueError(f"load_state_dict: this is the state of {shown(other)}, the optimiser is {mine}")
        settings, saved = state.get("settings"), state.get("state")
        several: list[Any] = settings if isinstance(settings, list) else [settings]
        counts = [len(group["params"]) for group in self.param_groups]
        for one in several:
            if not isinstance(one, Mapping) or set(one) - {"count"} != set(self.settings):
                raise ValueError(
                    f"load_state_dict: the settings of {mine} are {', '.join(self.settings)}; found {shown(one)}"
                )
        if [one.get("count", len(self.params)) for one in several] != counts:
            raise ValueError(
                f"load_state_dict: the state is for groups of {[one.get('count') for one in several]} parameters, "
                f"{mine} has {counts}"
            )
        if not isinstance(saved, Sequence) or len(saved) != len(self.params):
            count = len(saved) if isinstance(saved, Sequence) else saved
            raise ValueError(f"load_state_dict: the state is for {count} parameters, {mine} has {len(self.params)}")
        values = [
            {k: tuple(v) if isinstance(v, list) else v for k, v in one.items() if k != "count"} for one in several
        ]
        made = type(self)(self.param_groups[0]["params"], **values[0])
        for group, one in zip(self.param_groups[1:], values[1:], strict=True):
            type(self)(group["params"], **one)  # checks what stands between settings, as nesterov without momentum
            made.add_param_group({**one, "params": group["params"]})
        made.state = [_slots(made.slots(p), p, entry) for p, entry in zip(self.params, saved, strict=True)]
        return made

    def _check_params(self, several: list[Any]) -> None:
        name = type(self).__name__
        if not several:
            raise ValueError(
                f"{name}: there are no parameters; pass model.parameters() (an iterator can be used only once)"
            )
        for p in several:
            if isinstance(p, Tensor) and p.primitive is None and p.constant and p.dtype.kind == "f":
                raise TypeError(
                    f"{name}: {describe(p)} has requires_grad=False; pass those that are trained: "
                    "[p for p in model.parameters() if p.requires_grad]"
                )
            if not isinstance(p, Tensor) or p.primitive is not None or p.constant:
                what = describe(p) if isinstance(p, Tensor) else found(p)
                raise TypeError(
                    f"{name}: {what} is not a parameter; pass nn.Parameter or ac.tensor of floating-point numbers"
                )
        if len({id(p) for p in (*self.params, *several)}) < len(self.params) + len(several):
            raise ValueError(f"{name}: a parameter was given twice; its step would be made twice")

    def __repr__(self) -> str:
        listed = [
            f"{len(g['params'])} parameters, {', '.join(f'{k}={g[k]}' for k in self.settings)}"
            for g in self.param_groups
        ]
        return f"{type(self).__name__}({'; '.join(listed)})"


setattr(Optimizer, "lr", _Setting("lr"))  # noqa: B010 (the class declares a number for the type checker)


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
        fits = isfinite(real(number, f"{optimizer}: {name}")) and (number >= 0 or name == "dampening")
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
