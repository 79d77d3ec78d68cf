"""The optimisers: SGD, Adam, AdamW, RMSprop, Adagrad, with PyTorch's defaults and results.

In the formulas p is the parameter, g its gradient, t the number of the step, from 1.  ``update`` gives the numbers of
step t; ``updated`` calculates with these, and so does the machine, so both make the same step.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..tape import Tensor
from .optimizer import Optimizer, Slots, Update, zeros


class SGD(Optimizer):
    """Gradient descent: p -= lr * d, with d = g + weight_decay * p, and with momentum

    b = momentum * b + (1 - dampening) * d (b = d at first), d = b, or with Nesterov's look ahead d + momentum * b.

    >>> w = nn.Parameter([1.0, 2.0], dtype=float)
    >>> optim.SGD([w], lr=0.1).step([np.array([1.0, -1.0])])
    >>> w.value.round(4)
    array([0.9, 2.1])
    """

    settings = ("lr", "momentum", "dampening", "weight_decay", "nesterov")
    momentum: float
    dampening: float
    weight_decay: float
    nesterov: bool

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov
        )
        if nesterov and (not momentum > 0 or dampening != 0):
            raise ValueError(
                f"SGD: nesterov needs momentum > 0 and dampening = 0; found momentum={momentum}, dampening={dampening}"
            )

    def slots(self, p: Tensor) -> Slots:
        return {"momentum_buffer": zeros(p)} if self.momentum else {}

    def update(self, step: int) -> Update:
        """Kind sgd: rate, decay, momentum, the share of d that enters b, and whether to look ahead (0 or 1)."""
        share = 1.0 if step == 1 else 1 - self.dampening
        numbers = (self.lr, self.weight_decay, self.momentum, share, float(self.nesterov))
        return Update("sgd", numbers, ("momentum_buffer",) if self.momentum else ())

    def updated(self, value: np.ndarray, g: np.ndarray, state: Slots, step: int) -> np.ndarray:
        rate, decay, momentum, share, ahead = self.update(step).numbers
        d = g + decay * value if decay else g
        if momentum:
            share = share if "momentum_buffer" in state else 1.0  # momentum since this step only
            b = state.setdefault("momentum_buffer", np.zeros_like(value))
            b *= momentum
            b += share * d
            d = d + momentum * b if ahead else b
        return value - rate * d


class Adam(Optimizer):
    """p -= lr * m' / (sqrt(v') + eps), with running means m of d and v of d^2 and m' = m / (1 - beta1^t),
    v' = v / (1 - beta2^t);
    d = g + weight_decay * p (Kingma and Ba, 2015).

    >>> w = nn.Parameter([1.0, 2.0], dtype=float)
    >>> optim.Adam([w], lr=0.1).step([np.array([1.0, -1.0])])
    >>> w.value.round(4)
    array([0.9, 2.1])
    """

    settings = ("lr", "betas", "eps", "weight_decay")
    decoupled = False
    betas: tuple[float, float]
    eps: float
    weight_decay: float

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def slots(self, p: Tensor) -> Slots:
        return {"exp_avg": zeros(p), "exp_avg_sq": zeros(p)}

    def update(self, step: int) -> Update:
        """Kind adam: lr / (1 - beta1^t), decay in d, the betas, sqrt(1 - beta2^t), eps, and the decay of p itself."""
        beta1, beta2 = self.betas
        inside, outside = (0.0, self.lr * self.weight_decay) if self.decoupled else (self.weight_decay, 0.0)
        numbers = (self.lr / (1 - beta1**step), inside, beta1, beta2, (1 - beta2**step) ** 0.5, self.eps, outside)
        return Update("adam", numbers, ("exp_avg", "exp_avg_sq"))

    def updated(self, value: np.ndarray, g: np.ndarray, state: Slots, step: int) -> np.ndarray:
        rate, inside, beta1, beta2, root, eps, outside = self.update(step).numbers
        d = g + inside * value if inside else g
        m, v = state["exp_avg"], state["exp_avg_sq"]
        m += (1 - beta1) * (d - m)
        v *= beta2
        v += (1 - beta2) * d * d
        kept = value * (1 - outside) if outside else value
        return kept - rate * m / (np.sqrt(v) / root + eps)


class AdamW(Adam):
    """Adam whose weight decay is no part of the gradient:
    p *= 1 - lr * weight_decay first (Loshchilov and Hutter, 2019).

    >>> w = nn.Parameter([1.0, 2.0], dtype=float)
    >>> optim.AdamW([w], lr=0.1, weight_decay=0.1).step([np.array([1.0, -1.0])])
    >>> w.value.round(4)
    array([0.89, 2.08])
    """

    decoupled = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)


class RMSprop(Optimizer):
    """p -= lr * b, b = momentum * b + d / (sqrt(v) + eps),
    v a running mean of d^2 (centered: less the square of that of d);
    d = g + weight_decay * p (Hinton, lecture 6e, 2012).

    >>> w = nn.Parameter([1.0, 2.0], dtype=float)
    >>> optim.RMSprop([w], lr=0.1).step([np.array([1.0, -1.0])])
    >>> w.value.round(4)
    array([0., 3.])
    """

    settings = ("lr", "alpha", "eps", "weight_decay", "momentum", "centered")
    alpha: float
    eps: float
    weight_decay: float
    momentum: float
    centered: bool

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum, centered=centered
        )

    def slots(self, p: Tensor) -> Slots:
        return {name: zeros(p) for name in self._names()}

    def _names(self) -> tuple[str, ...]:
        return ("square_avg", *["grad_avg"] * self.centered, *["momentum_buffer"] * bool(self.momentum))

    def update(self, step: int) -> Update:
        """Kind rmsprop: rate, decay, alpha, eps, momentum, and whether to centre (0 or 1)."""
        numbers = (self.lr, self.weight_decay, self.alpha, self.eps, self.momentum, float(self.centered))
        return Update("rmsprop", numbers, self._names())

    def updated(self, value: np.ndarray, g: np.ndarray, state: Slots, step: int) -> np.ndarray:
        rate, decay, alpha, eps, momentum, centered = self.update(step).numbers
        d = g + decay * value if decay else g
        v = state["square_avg"]
        v *= alpha
        v += (1 - alpha) * d * d
        variance = v
        if centered:
            state["grad_avg"] += (1 - alpha) * (d - state["grad_avg"])
            variance = np.maximum(v - state["grad_avg"] ** 2, 0)  # rounding may leave less than 0
        d = d / (np.sqrt(variance) + eps)
        if momentum:
            b = state.setdefault("momentum_buffer", np.zeros_like(value))
            b *= momentum
            b += d
            d = b
        return value - rate * d


class Adagrad(Optimizer):
    """p -= lr / (1 + (t - 1) * lr_decay) * d / (sqrt(s) + eps), s the sum of all d^2 so far; d = g + weight_decay * p
    (Duchi et al., 2011).

    >>> w = nn.Parameter([1.0, 2.0], dtype=float)
    >>> optim.Adagrad([w], lr=0.1).step([np.array([1.0, -1.0])])
    >>> w.value.round(4)
    array([0.9, 2.1])
    """

    settings = ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")
    lr_decay: float
    weight_decay: float
    initial_accumulator_value: float
    eps: float

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
        )

    def slots(self, p: Tensor) -> Slots:
        return {"sum": np.full_like(zeros(p), self.initial_accumulator_value)}

    def update(self, step: int) -> Update:
        """Kind adagrad: lr / (1 + (t - 1) * lr_decay), decay, eps."""
        rate = self.lr / (1 + (step - 1) * self.lr_decay)
        return Update("adagrad", (rate, self.weight_decay, self.eps), ("sum",))

    def updated(self, value: np.ndarray, g: np.ndarray, state: Slots, step: int) -> np.ndarray:
        rate, decay, eps = self.update(step).numbers
        d = g + decay * value if decay else g
        state["sum"] += d * d
        return value - rate * d / (np.sqrt(state["sum"]) + eps)
