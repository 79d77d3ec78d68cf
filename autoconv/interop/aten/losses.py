"""ATen's losses; ``reduction`` is 0 for none, 1 for the mean, 2 for the sum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import functional as f
from ... import primitives as p
from .reduce import log_softmax
from .shape import expand
from .types import cast

Operation = Callable[..., Any]


def reduced(loss: Any, reduction: int) -> Any:
    return loss if reduction == 0 else f.mean(loss) if reduction == 1 else f.sum(loss)


def mse(x: Any, target: Any, reduction: int = 1) -> Any:
    d = p.sub(x, target)
    return reduced(p.mul(d, d), reduction)


def l1(x: Any, target: Any, reduction: int = 1) -> Any:
    return reduced(p.abs_(p.sub(x, target)), reduction)


def huber(x: Any, target: Any, reduction: int = 1, delta: float = 1.0) -> Any:
    """d^2 / 2 where |d| is at most delta, delta (|d| - delta / 2) beyond."""
    d = p.sub(x, target)
    size = p.abs_(d)
    loss = p.where(p.less_equal(size, delta), p.mul(p.mul(d, d), 0.5), p.mul(p.sub(size, delta / 2), delta))
    return reduced(loss, reduction)


def smooth_l1(x: Any, target: Any, reduction: int = 1, beta: float = 1.0) -> Any:
    """huber with delta = beta, divided by beta; l1 for beta 0."""
    return l1(x, target, reduction) if beta == 0 else p.div(huber(x, target, reduction, beta), beta)


def soft_margin(x: Any, target: Any, reduction: int = 1) -> Any:
    return reduced(f.softplus(p.mul(p.neg(x), target)), reduction)


def binary_cross_entropy(x: Any, target: Any, weight: Any = None, reduction: int = 1) -> Any:
    """-t log x - (1 - t) log(1 - x), each logarithm at least -100."""
    logs = [p.maximum(p.log(x), -100.0, ties="first"), p.maximum(p.log1p(p.neg(x)), -100.0, ties="first")]
    loss = p.neg(p.add(p.mul(target, logs[0]), p.mul(p.sub(1, target), logs[1])))
    return reduced(loss if weight is None else p.mul(loss, weight), reduction)


def bce_with_logits(x: Any, target: Any, weight: Any = None, pos_weight: Any = None, reduction: int = 1) -> Any:
    """-w (pos t log s(x) + (1 - t) log(1 - s(x))), s the sigmoid."""
    if pos_weight is None:
        loss = f.bce_with_logits(x, target, reduction="none")
    else:
        seen = p.mul(p.mul(target, pos_weight), f.log_sigmoid(x))
        loss = p.neg(p.add(seen, p.mul(p.sub(1, target), f.log_sigmoid(p.neg(x)))))
    return reduced(loss if weight is None else p.mul(loss, weight), reduction)


def kl_div(x: Any, target: Any, reduction: int = 1, log_target: bool = False) -> Any:
    """t (log t - x), 0 where t is 0."""
    loss = p.mul(p.exp(target), p.sub(target, x)) if log_target else p.sub(p.xlogy(target, target), p.mul(target, x))
    return reduced(loss, reduction)


def nll(logs: Any, target: Any, weight: Any = None, reduction: int = 1, ignore_index: int = -100) -> Any:
    """-weight[t] logs[.., t] over the class axis (1, or 0 of a single example); the mean is over the weights used."""
    return _chosen(logs, target, weight, reduction, ignore_index, 0.0)


def cross_entropy(
    x: Any, target: Any, weight: Any = None, reduction: int = 1, ignore_index: int = -100, label_smoothing: float = 0.0
) -> Any:
    """nll of log_softmax; targets may be probabilities of x's shape."""
    axis = 1 if x.ndim > 1 else 0
    logs = log_softmax(x, axis)
    if target.dtype.kind == "f":
        classes = x.shape[axis]
        if label_smoothing:
            target = p.add(p.mul(target, 1 - label_smoothing), label_smoothing / classes)
        terms = p.mul(logs, target)
        if weight is not None:
            terms = p.mul(terms, _along(weight, axis, x))
        loss = p.neg(f.sum(terms, axis))
        return p.div(f.sum(loss), max(loss.size, 1)) if reduction == 1 else reduced(loss, reduction)
    return _chosen(logs, target, weight, reduction, ignore_index, label_smoothing)


def _along(weight: Any, axis: int, x: Any) -> Any:
    return f.reshape(weight, (*(1,) * axis, -1, *(1,) * (x.ndim - axis - 1)))


def _chosen(logs: Any, target: Any, weight: Any, reduction: int, ignore_index: int, smoothing: float) -> Any:
    axis = 1 if logs.ndim > 1 else 0
    classes = logs.shape[axis]
    spread = f.reshape(target, (*target.shape[:axis], 1, *target.shape[axis:]))
    shape = (*(1,) * axis, classes, *(1,) * (logs.ndim - axis - 1))
    hot = p.equal(expand(spread, logs.shape), expand(np.arange(classes).reshape(shape), logs.shape))
    kept = cast(p.not_equal(target, ignore_index), logs.dtype)
    w = np.ones(classes, logs.dtype) if weight is None else weight
    scale = f.sum(p.where(hot, expand(_along(w, axis, logs), logs.shape), 0), axis) if weight is not None else kept
    scale = p.mul(scale, kept)
    loss = p.neg(p.mul(f.sum(p.where(hot, logs, 0), axis), scale))
    if smoothing:
        weighted = logs if weight is None else p.mul(logs, _along(w, axis, logs))
        smooth = p.neg(p.mul(f.sum(weighted, axis), kept))
        loss = p.add(p.mul(loss, 1 - smoothing), p.mul(smooth, smoothing / classes))
    return p.div(f.sum(loss), f.sum(scale)) if reduction == 1 else reduced(loss, reduction)


OPERATIONS: dict[str, Operation] = {
    "mse_loss": mse,
    "l1_loss": l1,
    "huber_loss": huber,
    "smooth_l1_loss": smooth_l1,
    "soft_margin_loss": soft_margin,
    "binary_cross_entropy": binary_cross_entropy,
    "binary_cross_entropy_with_logits": bce_with_logits,
    "kl_div": kl_div,
    "nll_loss": nll,
    "nll_loss_nd": nll,
    "nll_loss2d": nll,
    "cross_entropy_loss": cross_entropy,
}
