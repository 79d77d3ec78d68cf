"""Learning-rate schedules: the rate as a function of the number of epochs done, in closed form."""

from __future__ import annotations

from collections.abc import Mapping
from math import cos, isfinite, pi
from typing import Any

from ..operands import real
from ..shapes import shown, whole_number
from .optimizer import Optimizer


def check_optimizer(optimizer: Any, name: str) -> None:
    """TypeError, in the name of a schedule, for what is no optimiser."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{name}: {shown(optimizer)} is not an optimiser; pass the one whose lr shall change")


class Schedule:
    """The base: ``step()`` after each epoch sets the optimiser's ``lr`` to ``rate(epochs done)``.

    ``base_lr`` is the optimiser's rate when the schedule is made.

    >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
    >>> schedule = optim.StepLR(optimizer, step_size=1, gamma=0.5)
    >>> schedule.step()
    >>> optimizer.lr
    0.5
    """

    settings: tuple[str, ...] = ()

    def __init__(self, optimizer: Optimizer, **settings: Any) -> None:
        check_optimizer(optimizer, type(self).__name__)
        self.optimizer = optimizer
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])  # a further schedule begins where the first did, as in PyTorch
        self.base_lrs = [float(group["initial_lr"]) for group in optimizer.param_groups]
        self._number = 0  # of the group whose rate is asked for
        self.epochs = 0
        for name, value in settings.items():
            setattr(self, name, value)
        self._set(0)

    def rate(self, epochs: int) -> float:
        """The learning rate after that many epochs."""
        raise NotImplementedError(f"{type(self).__name__} defines no rate")

    def step(self) -> None:
        """One more epoch is done: the optimiser gets the next rate."""
        self.epochs += 1
        self._set(self.epochs)

    @property
    def base_lr(self) -> float:
        """The first rate, of the first group of parameters, or of the one whose rate is being worked out."""
        return self.base_lrs[self._number]

    @property
    def last_epoch(self) -> int:
        """The number of epochs done, under PyTorch's name."""
        return self.epochs

    def get_last_lr(self) -> list[float]:
        """The rate of each group of parameters."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def _set(self, epochs: int) -> None:
        """Give each group its rate."""
        try:
            for number, group in enumerate(self.optimizer.param_groups):
                self._number = number
                group["lr"] = self.rate(epochs)
        finally:
            self._number = 0

    def state_dict(self) -> dict[str, Any]:
        """{"name", "settings", "base_lr", "epochs"}, plain numbers; a list of rates for several groups."""
        settings = {name: getattr(self, name) for name in self.settings}
        base = self.base_lr if len(self.base_lrs) == 1 else list(self.base_lrs)
        return {"name": type(self).__name__, "settings": settings, "base_lr": base, "epochs": self.epochs}

    def check_state_dict(self, state: Mapping[str, Any]) -> None:
        """ValueError if ``state`` is not that of this kind of schedule."""
        mine = type(self).__name__
        if not isinstance(state, Mapping) or state.get("name") != mine:
            found = state.get("name") if isinstance(state, Mapping) else state
            raise ValueError(f"load_state_dict: this is the state of {found!r}, the schedule is {mine}")
        settings, rate, epochs = state.get("settings"), state.get("base_lr"), state.get("epochs")
        if not isinstance(settings, Mapping) or set(settings) != set(self.settings):
            raise ValueError(
                f"load_state_dict: the settings of {mine} are {', '.join(self.settings)}; found {settings}"
            )
        rates = rate if isinstance(rate, list) else [rate]
        fits = len(rates) == len(self.base_lrs) and all(isinstance(r, float) and isfinite(r) and r >= 0 for r in rates)
        if not fits or type(epochs) is not int or epochs < 0:
            raise ValueError(f"load_state_dict: base_lr={rate!r}, epochs={epochs!r} of {mine} cannot be right")
        if settings:
            groups = [dict(group) for group in self.optimizer.param_groups]  # a trial must not move the rates
            try:
                type(self)(self.optimizer, **settings)
            except TypeError as error:
                raise ValueError(f"load_state_dict: {error}") from None
            finally:
                for group, before in zip(self.optimizer.param_groups, groups, strict=True):
                    group.update(before)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over settings and count of epochs.  ValueError if they do not fit; the schedule is then unchanged."""
        self.check_state_dict(state)
        for name, value in state["settings"].items():
            setattr(self, name, value)
        rate, self.epochs = state["base_lr"], state["epochs"]
        self.base_lrs = list(rate) if isinstance(rate, list) else [rate]

    def __repr__(self) -> str:
        listed = ", ".join(f"{name}={getattr(self, name)}" for name in self.settings)
        return f"{type(self).__name__}({listed}, epochs={self.epochs}, lr={self.optimizer.lr:g})"


class StepLR(Schedule):
    """lr = base_lr * gamma ** floor(epochs / step_size).

    >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
    >>> schedule = optim.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> [schedule.rate(epochs) for epochs in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    settings = ("step_size", "gamma")
    step_size: int
    gamma: float

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        _check_number("StepLR: gamma", gamma)
        super().__init__(optimizer, step_size=whole_number(step_size, "StepLR: step_size", 1), gamma=gamma)

    def rate(self, epochs: int) -> float:
        return self.base_lr * self.gamma ** (epochs // self.step_size)


class CosineLR(Schedule):
    """lr = eta_min + (base_lr - eta_min) * (1 + cos(pi * epochs / T_max)) / 2: PyTorch's CosineAnnealingLR
    (Loshchilov and Hutter, 2017, without restarts).

    >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
    >>> schedule = optim.CosineLR(optimizer, T_max=4)
    >>> [round(schedule.rate(epochs), 3) for epochs in range(5)]
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """

    settings = ("T_max", "eta_min")
    T_max: int
    eta_min: float

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0) -> None:
        _check_number("CosineLR: eta_min", eta_min)
        super().__init__(optimizer, T_max=whole_number(T_max, "CosineLR: T_max", 1), eta_min=eta_min)

    def rate(self, epochs: int) -> float:
        return self.eta_min + (self.base_lr - self.eta_min) * (1 + cos(pi * epochs / self.T_max)) / 2


def _check_number(what: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{what} must be a number, found {shown(value)}")
    if not (isfinite(real(value, what)) and value >= 0):
        raise ValueError(f"{what} must be a finite number of at least 0, found {shown(value)}")
