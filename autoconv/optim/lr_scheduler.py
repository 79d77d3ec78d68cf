"""PyTorch's learning-rate schedules under its names, with its results, each as a closed form of the steps done.

Any of them may be given to ``train.fit``, which takes a step after each epoch, and ``ReduceLROnPlateau`` to a loop of
one's own.  Groups of parameters keep their own first rates.  Each sets the rate, so two of them do not add up, as
PyTorch's do: one after the other is ``SequentialLR``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from math import cos, pi
from typing import Any

from ..operands import found, real
from ..shapes import choice, flag, whole_number, whole_numbers
from .optimizer import Optimizer
from .schedule import CosineLR, Schedule, StepLR
from .schedule import check_optimizer as _check_optimizer

__all__ = [
    "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "ExponentialLR", "LRScheduler", "LambdaLR",
    "LinearLR", "MultiStepLR", "MultiplicativeLR", "OneCycleLR", "PolynomialLR", "ReduceLROnPlateau", "SequentialLR",
    "StepLR",
]  # fmt: skip

LRScheduler = Schedule
CosineAnnealingLR = CosineLR


class MultiStepLR(Schedule):
    """lr = base_lr * gamma ** (how many of the milestones are passed).

    >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
    >>> schedule = optim.lr_scheduler.MultiStepLR(optimizer, [2, 3], gamma=0.5)
    >>> [schedule.rate(epochs) for epochs in range(5)]
    [1.0, 1.0, 0.5, 0.25, 0.25]
    """

    settings = ("milestones", "gamma")
    milestones: tuple[int, ...]
    gamma: float

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1) -> None:
        steps = tuple(sorted(whole_numbers(milestones, "MultiStepLR: milestones", 0)))
        super().__init__(optimizer, milestones=steps, gamma=real(gamma, "MultiStepLR: gamma", low=0))

    def rate(self, epochs: int) -> float:
        return self.base_lr * self.gamma ** bisect_right(list(self.milestones), epochs)


class ExponentialLR(Schedule):
    """lr = base_lr * gamma ** epochs.

    >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
    >>> schedule = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> [schedule.rate(epochs) for epochs in range(3)]
    [1.0, 0.5, 0.25]
    """

    settings = ("gamma",)
    gamma: float

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        super().__init__(optimizer, gamma=real(gamma, "ExponentialLR: gamma", low=0))

    def rate(self, epochs: int) -> float:
        return self.base_lr * self.gamma**epochs


class ConstantLR(Schedule):
    """lr = base_lr * factor for the first ``total_iters`` epochs, then base_lr.

    >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
    >>> schedule = optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=2)
    >>> [schedule.rate(epochs) for epochs in range(4)]
    [0.5, 0.5, 1.0, 1.0]
    """

    settings = ("factor", "total_iters")
    factor: float
    total_iters: int

    def __init__(self, optimizer: Optimizer, factor: float = 1 / 3, total_iters: int = 5) -> None:
        total = whole_number(total_iters, "ConstantLR: total_iters", 0)
        super().__init__(optimizer, factor=_share(factor, "ConstantLR: factor"), total_iters=total)

    def rate(self, epochs: int) -> float:
        return self.base_lr * (self.factor if epochs < self.total_iters else 1.0)


class LinearLR(Schedule):
    """lr = base_lr times a factor that goes from start_factor to end_factor in ``total_iters`` epochs.

    >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
    >>> schedule = optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> [schedule.rate(epochs) for epochs in range(4)]
    [0.5, 0.75, 1.0, 1.0]
    """

    settings = ("start_factor", "end_factor", "total_iters")
    start_factor: float
    end_factor: float
    total_iters: int

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5
    ) -> None:
        first = _share(start_factor, "LinearLR: start_factor")
        if not first:
            raise ValueError("LinearLR: start_factor must be above 0, and at most 1")
        super().__init__(
            optimizer,
            start_factor=first,
            end_factor=_share(end_factor, "LinearLR: end_factor"),
            total_iters=whole_number(total_iters, "LinearLR: total_iters", 1),
        )

    def rate(self, epochs: int) -> float:
        done = min(epochs, self.total_iters) / self.total_iters
        return self.base_lr * (self.start_factor + (self.end_factor - self.start_factor) * done)


class PolynomialLR(Schedule):
    """lr = base_lr * (1 - epochs / total_iters) ** power, 0 from ``total_iters`` epochs on.

    >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
    >>> schedule = optim.lr_scheduler.PolynomialLR(optimizer, total_iters=2, power=2.0)
    >>> [schedule.rate(epochs) for epochs in range(4)]
    [1.0, 0.25, 0.0, 0.0]
    """

    settings = ("total_iters", "power")
    total_iters: int
    power: float

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0) -> None:
        super().__init__(
            optimizer,
            total_iters=whole_number(total_iters, "PolynomialLR: total_iters", 1),
            power=real(power, "PolynomialLR: power", low=0),
        )

    def rate(self, epochs: int) -> float:
        left = 1 - min(epochs, self.total_iters) / self.total_iters
        return float(self.base_lr * left**self.power)


class CosineAnnealingWarmRestarts(Schedule):
    """A cosine from base_lr to eta_min in T_0 epochs, then again from the start, each time T_mult times as long.

    (Loshchilov and Hutter, 2017.)

    >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
    >>> schedule = optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2)
    >>> [round(schedule.rate(epochs), 3) for epochs in range(5)]
    [1.0, 0.5, 1.0, 0.5, 1.0]
    """

    settings = ("T_0", "T_mult", "eta_min")
    T_0: int
    T_mult: int
    eta_min: float

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0) -> None:
        super().__init__(
            optimizer,
            T_0=whole_number(T_0, "CosineAnnealingWarmRestarts: T_0", 1),
            T_mult=whole_number(T_mult, "CosineAnnealingWarmRestarts: T_mult", 1),
            eta_min=real(eta_min, "CosineAnnealingWarmRestarts: eta_min", low=0),
        )

    def rate(self, epochs: int) -> float:
        length, done = self.T_0, epochs
        if self.T_mult == 1:
            done %= length
        while done >= length:
            done -= length
            length *= self.T_mult
        return self.eta_min + (self.base_lr - self.eta_min) * (1 + cos(pi * done / length)) / 2


class OneCycleLR(Schedule):
    """Up from max_lr / div_factor to max_lr in the first pct_start of the steps, then down, far below where it began.

    (Smith and Topin, 2018.)  total_steps, or epochs * steps_per_epoch: after as many steps it ends; a step further is a
    ValueError.  anneal_strategy: "cos" or "linear"; three_phase: down to where it began, then further.  cycle_momentum:
    the momentum (or Adam's first beta) goes the other way, from max_momentum to base_momentum and back.

    >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
    >>> schedule = optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=5, cycle_momentum=False)
    >>> [round(schedule.rate(steps), 3) for steps in range(5)]
    [0.04, 0.95, 0.611, 0.188, 0.0]
    """

    settings = ("max_lr", "total_steps", "pct_start", "anneal_strategy", "cycle_momentum", "base_momentum",
                "max_momentum", "div_factor", "final_div_factor", "three_phase")  # fmt: skip
    max_lr: float
    total_steps: int
    pct_start: float
    anneal_strategy: str
    cycle_momentum: bool
    base_momentum: float
    max_momentum: float
    div_factor: float
    final_div_factor: float
    three_phase: bool

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ) -> None:
        name = "OneCycleLR"
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError(f"{name}: give total_steps, or epochs and steps_per_epoch")
            total_steps = whole_number(epochs, f"{name}: epochs", 1) * whole_number(
                steps_per_epoch, f"{name}: steps_per_epoch", 1
            )
        _check_optimizer(optimizer, name)
        if flag(cycle_momentum, f"{name}: cycle_momentum") and not {"momentum", "betas"} & set(optimizer.settings):
            raise ValueError(f"{name}: {type(optimizer).__name__} has no momentum; write cycle_momentum=False")
        super().__init__(
            optimizer,
            max_lr=real(max_lr, f"{name}: max_lr", above=0),
            total_steps=whole_number(total_steps, f"{name}: total_steps", 1),
            pct_start=_share(pct_start, f"{name}: pct_start"),
            anneal_strategy=choice(anneal_strategy, name, "anneal_strategy", ("cos", "linear")),
            cycle_momentum=cycle_momentum,
            base_momentum=_share(base_momentum, f"{name}: base_momentum"),
            max_momentum=_share(max_momentum, f"{name}: max_momentum"),
            div_factor=real(div_factor, f"{name}: div_factor", above=0),
            final_div_factor=real(final_div_factor, f"{name}: final_div_factor", above=0),
            three_phase=flag(three_phase, f"{name}: three_phase"),
        )

    def _at(self, step: int, low: float, high: float, last: float) -> float:
        """The value after ``step`` steps of a number that goes from low to high and then to ``last``."""
        if step >= self.total_steps:
            raise ValueError(f"OneCycleLR: step {step} of total_steps={self.total_steps}; the cycle is over")
        top = self.pct_start * self.total_steps - 1
        ends = [(top, low, high), (self.total_steps - 1, high, last)]
        if self.three_phase:
            ends = [(top, low, high), (2 * top, high, low), (self.total_steps - 1, low, last)]
        start = 0.0
        for end, a, b in ends:
            if step <= end:
                share = (step - start) / (end - start) if end != start else 0.0
                return b + (a - b) * (1 + cos(pi * share)) / 2 if self.anneal_strategy == "cos" else a + (b - a) * share
            start = end
        return last

    def rate(self, epochs: int) -> float:
        low = self.max_lr / self.div_factor
        return self._at(epochs, low, self.max_lr, low / self.final_div_factor)

    def _set(self, epochs: int) -> None:
        super()._set(epochs)
        if self.cycle_momentum:
            momentum = self._at(epochs, self.max_momentum, self.base_momentum, self.max_momentum)
            for group in self.optimizer.param_groups:
                if "betas" in group:
                    group["betas"] = (momentum, *group["betas"][1:])
                else:
                    group["momentum"] = momentum


class LambdaLR(Schedule):
    """lr = base_lr * lr_lambda(epochs); a list has a function for each group of parameters.

    A function cannot be saved: its state has the epochs alone.

    >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
    >>> schedule = optim.lr_scheduler.LambdaLR(optimizer, lambda epochs: 1 / (1 + epochs))
    >>> [schedule.rate(epochs) for epochs in range(2)]
    [1.0, 0.5]
    """

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]]
    ) -> None:
        self._functions = _functions(type(self).__name__, optimizer, lr_lambda)
        super().__init__(optimizer)

    def rate(self, epochs: int) -> float:
        return self.base_lr * float(self._functions[self._number](epochs))


class MultiplicativeLR(LambdaLR):
    """lr times lr_lambda(epochs) after each epoch: base_lr * lr_lambda(1) * .. * lr_lambda(epochs).

    >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
    >>> schedule = optim.lr_scheduler.MultiplicativeLR(optimizer, lambda epochs: 0.5)
    >>> [schedule.rate(epochs) for epochs in range(3)]
    [1.0, 0.5, 0.25]
    """

    def rate(self, epochs: int) -> float:
        lr = self.base_lr
        for step in range(1, epochs + 1):
            lr *= float(self._functions[self._number](step))
        return lr


def _functions(name: str, optimizer: Any, given: Any) -> list[Callable[[int], float]]:
    several = list(given) if isinstance(given, Sequence) else None
    if isinstance(optimizer, Optimizer):
        several = several or [given] * len(optimizer.param_groups)
        if len(several) != len(optimizer.param_groups):
            raise ValueError(f"{name}: {len(several)} functions for {len(optimizer.param_groups)} groups of parameters")
    if not all(callable(f) for f in several or [given]):
        raise TypeError(f"{name}: lr_lambda must be a function of the epochs done, found {found(given)}")
    return several or [given]


class SequentialLR(Schedule):
    """One schedule after the other: the k-th begins, from its own epoch 0, at the (k - 1)-th milestone.

    >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
    >>> warm = optim.lr_scheduler.ConstantLR(optimizer, factor=0.1, total_iters=2)
    >>> then = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> schedule = optim.lr_scheduler.SequentialLR(optimizer, [warm, then], milestones=[2])
    >>> [round(schedule.rate(epochs), 3) for epochs in range(4)]
    [0.1, 0.1, 1.0, 0.5]
    """

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[Schedule], milestones: Sequence[int]) -> None:
        several = list(schedulers) if isinstance(schedulers, Sequence) else []
        if not several or not all(isinstance(s, Schedule) and s.optimizer is optimizer for s in several):
            raise TypeError("SequentialLR: schedulers must be a list of schedules of this optimiser")
        self._schedulers = several
        self.milestones = whole_numbers(milestones, "SequentialLR: milestones", 1)
        if len(self.milestones) != len(several) - 1 or list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(
                f"SequentialLR: milestones {self.milestones} for {len(several)} schedules; one less is needed, rising"
            )
        super().__init__(optimizer)

    def rate(self, epochs: int) -> float:
        k = bisect_right(list(self.milestones), epochs)
        inner = self._schedulers[k]
        inner._number = self._number
        try:
            return inner.rate(epochs - (self.milestones[k - 1] if k else 0))
        finally:
            inner._number = 0


class ReduceLROnPlateau:
    """The rate times ``factor`` when a measure has not become better for more than ``patience`` steps.

    ``step(measure)``: of a loss (mode="min") or an accuracy ("max").  threshold: by how much it has to be better, as a
    share of the best (threshold_mode="rel") or as a number ("abs"); cooldown: steps after a reduction in which nothing
    is counted; min_lr: no rate falls below it; eps: a smaller change is not made.  Not for ``train.fit``, whose
    schedules know the epochs alone.

    >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
    >>> schedule = optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in (1.0, 1.0, 1.0):
    ...     schedule.step(loss)
    >>> optimizer.lr
    0.5
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        name = "ReduceLROnPlateau"
        _check_optimizer(optimizer, name)
        if not 0 < real(factor, f"{name}: factor") < 1:
            raise ValueError(f"{name}: factor={factor} must be above 0 and below 1")
        self.optimizer, self.factor = optimizer, float(factor)
        self.mode = choice(mode, name, "mode", ("min", "max"))
        self.threshold_mode = choice(threshold_mode, name, "threshold_mode", ("rel", "abs"))
        self.patience = whole_number(patience, f"{name}: patience", 0)
        self.cooldown = whole_number(cooldown, f"{name}: cooldown", 0)
        self.threshold = float(real(threshold, f"{name}: threshold", low=0))
        self.min_lr, self.eps = float(real(min_lr, f"{name}: min_lr", low=0)), float(real(eps, f"{name}: eps", low=0))
        self.best = float("inf") if mode == "min" else -float("inf")
        self.num_bad_epochs = self.cooldown_counter = self.last_epoch = 0

    def step(self, metrics: Any) -> None:
        """One more epoch is done, with this measure."""
        value = float(metrics)
        self.last_epoch += 1
        if self._better(value):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            for group in self.optimizer.param_groups:
                lower = max(group["lr"] * self.factor, self.min_lr)
                if group["lr"] - lower > self.eps:
                    group["lr"] = lower
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0

    def _better(self, value: float) -> bool:
        sign = 1 if self.mode == "min" else -1
        if self.threshold_mode == "rel":
            return sign * value < sign * self.best * (1 - sign * self.threshold)
        return sign * value < sign * self.best - self.threshold

    def get_last_lr(self) -> list[float]:
        """The rate of each group of parameters."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Settings and what was counted, plain numbers."""
        return {k: v for k, v in vars(self).items() if k != "optimizer"}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what ``state_dict`` gave.  ValueError for anything else; the schedule is then unchanged."""
        if not isinstance(state, Mapping) or set(state) != set(self.state_dict()):
            raise ValueError(f"load_state_dict: this is no state of ReduceLROnPlateau: {found(state)}")
        vars(self).update(state)


def _share(value: float, what: str) -> float:
    if not 0 <= real(value, what) <= 1:
        raise ValueError(f"{what} must lie in 0 .. 1, found {value}")
    return float(value)
