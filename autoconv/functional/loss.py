"""Losses, composed; ``reduction`` is "mean", "sum" or "none" (one loss for each element or example)."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .. import primitives as p
from ..hooks import check
from ..operands import real
from ..shapes import Shape, broadcast_shapes, normalize_axis, shown, whole_number
from ..tape import Array, Tensor
from .activation import beyond as _beyond
from .activation import log_softmax as _log_softmax
from .array import as_indices
from .composed import composed
from .reduce import mean, norm, sum

__all__ = [
    "bce", "bce_with_logits", "cosine_similarity", "cross_entropy", "half_squared_error", "huber", "kl_div", "l1",
    "mse", "nll", "smooth_l1",
]  # fmt: skip


def _reduced(loss: Any, reduction: str) -> Tensor:
    if reduction == "none":
        result: Tensor = loss
        return result
    return mean(loss) if reduction == "mean" else sum(loss)


def _known(operation: str, reduction: Any, *more: str) -> None:
    words = ("mean", "sum", "none", *more)
    if not isinstance(reduction, str) or reduction not in words:
        raise ValueError(f"{operation}: reduction={shown(reduction)}; use {', '.join(map(repr, words))}")


def _check(operation: str, reduction: str, y: Any, t: Any) -> None:
    _known(operation, reduction)
    if np.shape(y) != np.shape(t):
        raise ValueError(
            f"{operation}: the prediction has shape {np.shape(y)}, the target {np.shape(t)}; they must be equal "
            "(targets are never broadcast)"
        )


@composed("y", "t", statistics=True)
def half_squared_error(y: Any, t: Any, *, reduction: str = "sum") -> Tensor:
    """E = 1/2 sum (t - y)^2; the gradient by y is y - t.

    y, t: predictions and targets of one shape; reduction: "sum" (one number), "mean" or "none" (y's shape).
    Raises ValueError for shapes that differ or another reduction.

    >>> ac.losses.half_squared_error([1.0, 2.0], [0.0, 4.0])
    np.float64(2.5)
    """
    _check("half_squared_error", reduction, y, t)
    difference = t - y
    return _reduced(difference * difference / 2, reduction)


@composed("y", "t", statistics=True)
def mse(y: Any, t: Any, *, reduction: str = "mean") -> Tensor:
    """The mean of (y - t)^2; the gradient by y is 2 (y - t) / n.

    y, t: predictions and targets of one shape; reduction: "mean", "sum" or "none" (y's shape).
    Raises ValueError for shapes that differ or another reduction.

    >>> ac.losses.mse([1.0, 2.0], [0.0, 4.0])
    np.float64(2.5)
    """
    _check("mse", reduction, y, t)
    difference = y - t
    return _reduced(difference * difference, reduction)


@composed("y", "t", statistics=True)
def l1(y: Any, t: Any, *, reduction: str = "mean") -> Tensor:
    """The mean of |y - t|; the slope where they are equal is 0.

    y, t: predictions and targets of one shape; reduction: "mean", "sum" or "none" (y's shape).
    Raises ValueError for shapes that differ or another reduction.

    >>> ac.losses.l1([1.0, 2.0], [0.0, 4.0])
    np.float64(1.5)
    """
    _check("l1", reduction, y, t)
    return _reduced(p.abs_(y - t), reduction)


@composed("y", "t", statistics=True)
def smooth_l1(y: Any, t: Any, *, beta: float = 1.0, reduction: str = "mean") -> Tensor:
    """The mean of d^2 / (2 beta) where d = |y - t| is below beta, else of d - beta / 2 (Girshick, 2015).

    y, t: predictions and targets of one shape; beta = 0 is ``l1``; reduction: "mean", "sum" or "none" (y's shape).
    Raises ValueError for shapes that differ, a negative beta or another reduction.

    >>> ac.losses.smooth_l1([0.5, 3.0], [0.0, 0.0], reduction="none")
    array([0.125, 2.5  ])
    """
    _check("smooth_l1", reduction, y, t)
    width = float(real(beta, "smooth_l1: beta", low=0))
    d = p.abs_(y - t)
    if not width:
        return _reduced(d, reduction)
    near = p.minimum(d, width, ties="first")
    return _reduced(near * near / (2 * width) + (d - near), reduction)


@composed("y", "t", statistics=True)
def huber(y: Any, t: Any, *, delta: float = 1.0, reduction: str = "mean") -> Tensor:
    """The mean of d^2 / 2 where d = |y - t| is at most delta, else of delta (d - delta / 2) (Huber, 1964).

    y, t: predictions and targets of one shape; reduction: "mean", "sum" or "none" (y's shape).
    Raises ValueError for shapes that differ, a delta that is not above 0 or another reduction.

    >>> ac.losses.huber([0.5, 3.0], [0.0, 0.0], delta=2.0, reduction="none")
    array([0.125, 4.   ])
    """
    _check("huber", reduction, y, t)
    width = float(real(delta, "huber: delta", above=0))
    d = p.abs_(y - t)
    near = p.minimum(d, width, ties="first")
    return _reduced(near * near / 2 + width * (d - near), reduction)


@composed("log_q", "t", statistics=True)
def kl_div(log_q: Any, t: Any, *, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """The mean of t (log t - log_q), the divergence of a distribution q from t; 0 where t is 0.

    log_q: logarithms of probabilities; t: probabilities, or their logarithms with log_target; of one shape.
    reduction: "mean" (over all elements), "batchmean" (the sum by the size of axis 0, as the definition has it), "sum"
    or "none".  Raises ValueError for shapes that differ or another reduction.

    >>> ac.losses.kl_div(np.log([[0.5, 0.5]]), [[1.0, 0.0]], reduction="batchmean").round(4)
    np.float64(0.6931)
    """
    _known("kl_div", reduction, "batchmean")
    _check("kl_div", "none", log_q, t)
    gap = p.multiply_no_nan(t - log_q, p.exp(t)) if log_target else p.xlogy(t, t) - p.multiply_no_nan(log_q, t)
    loss: Tensor = gap
    if reduction != "batchmean":
        return _reduced(loss, reduction)
    if not loss.ndim or not loss.shape[0]:
        raise ValueError(f"kl_div: reduction='batchmean' needs a batch, the input has shape {loss.shape}")
    result: Tensor = _reduced(loss, "sum") / loss.shape[0]
    return result


@composed("logits", "labels", "weight", statistics=True)
def cross_entropy(
    logits: Any,
    labels: Any,
    weight: Any = None,
    *,
    reduction: str = "mean",
    axis: int = -1,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log softmax(logits)[label], over the class ``axis``.

    logits: (N, classes) (or (.., classes)); labels: (N,) whole numbers in 0 .. classes - 1, or probabilities of the
    logits' shape.  reduction: "mean", "sum" or "none" (one loss for each example).  The gradient is (softmax - one_hot)
    / N.

    weight: (classes,), of each class; the mean is then weighted as well.  ignore_index: a label of examples that do not
    count.  label_smoothing: the share of a label that is dealt out over all classes.  (As in PyTorch, whose axis is 1
    and ignore_index -100.)  Raises TypeError for labels that are not integers, ValueError for labels out of range or of
    another shape.

    >>> logits = ac.tensor([[0.0, 0.0], [0.0, 0.0]])
    >>> loss = ac.losses.cross_entropy(logits, [0, 1])
    >>> round(float(loss), 4)
    0.6931
    >>> loss.backward()
    >>> logits.grad
    array([[-0.25,  0.25],
           [ 0.25, -0.25]])
    """
    if not 0 <= real(label_smoothing, "cross_entropy: label_smoothing") <= 1:
        raise ValueError(f"cross_entropy: label_smoothing={label_smoothing} must lie in 0 .. 1")
    smooth = float(label_smoothing)
    return _nll("cross_entropy", _log_softmax, logits, labels, weight, reduction, axis, ignore_index, smooth)


@composed("log_probabilities", "labels", "weight", statistics=True)
def nll(
    log_probabilities: Any,
    labels: Any,
    weight: Any = None,
    *,
    reduction: str = "mean",
    axis: int = -1,
    ignore_index: int | None = None,
) -> Tensor:
    """-log_probabilities[label], over the class ``axis``: cross_entropy for logarithms that are already normalised.

    log_probabilities: (N, classes) (or (.., classes)); labels, weight, reduction and ignore_index as for
    ``cross_entropy``, and so the errors.

    >>> float(ac.losses.nll(np.log([[0.5, 0.5], [0.25, 0.75]]), [0, 0], reduction="sum").round(4))
    2.0794
    """
    logs = lambda x, axis: x
    return _nll("nll", logs, log_probabilities, labels, weight, reduction, axis, ignore_index, 0.0)


def _nll(
    operation: str,
    normalise: Any,
    x: Any,
    labels: Any,
    weight: Any,
    reduction: str,
    axis: int,
    ignore_index: Any,
    smooth: float,
) -> Tensor:
    _known(operation, reduction)
    if not x.ndim:
        raise ValueError(f"{operation}: the input has shape {x.shape}; it needs a class axis")
    axis = normalize_axis(axis, x.ndim, operation)
    classes = x.shape[axis]
    if weight is not None and weight.shape != (classes,):
        raise ValueError(f"{operation}: weight has shape {weight.shape}, it needs ({classes},): one for each class")
    ignored = None if ignore_index is None else whole_number(ignore_index, f"{operation}: ignore_index")
    if labels.dtype.kind == "f" and labels.shape == x.shape:
        return _reduced(_of_probabilities(normalise(x, axis=axis), labels, weight, axis, smooth), reduction)
    rest = (*x.shape[:axis], *x.shape[axis + 1 :])
    if labels.dtype.kind not in "iu":
        raise TypeError(
            f"{operation}: labels must be integers (dtype {labels.dtype}, shape {labels.shape}), or probabilities of "
            f"shape {x.shape}"
        )
    if labels.shape != rest:
        raise ValueError(
            f"{operation}: labels of shape {labels.shape} for an input of shape {x.shape}; one label for each example "
            f"needs shape {rest}"
        )
    check(partial(_in_range, operation, classes, x.shape, ignored), labels)
    counts = None if ignored is None else p.not_equal(labels, ignored)
    labels = labels if counts is None else p.where(counts, labels, 0)
    logs = normalise(x, axis=axis)
    if axis != x.ndim - 1:
        logs = p.permute_dims(logs, axes=(*[i for i in range(x.ndim) if i != axis], axis))
    flat = p.reshape(logs, shape=(logs.size,))
    places = p.add(p.reshape(labels, shape=(labels.size,)), np.arange(labels.size) * classes)
    loss = -p.reshape(p.take(flat, as_indices(places), axis=0), shape=rest)
    of_label = None if weight is None else p.take(weight, as_indices(labels), axis=0)
    loss = loss if of_label is None else loss * of_label
    if smooth:
        every = -sum(logs if weight is None else logs * weight, -1)
        loss = (1 - smooth) * loss + every * (smooth / classes)
    if counts is not None:
        loss = p.where(counts, loss, 0)
    if reduction != "mean" or (counts is None and of_label is None):
        return _reduced(loss, reduction)
    share = p.where(counts, 1.0 if of_label is None else of_label, 0.0) if counts is not None else of_label
    return sum(loss) / p.cast(sum(share), dtype=loss.dtype)


def _of_probabilities(logs: Any, t: Any, weight: Any, axis: int, smooth: float) -> Any:
    """The loss of each example whose label is a distribution."""
    classes = logs.shape[axis]
    t = t if not smooth else t * (1 - smooth) + smooth / classes
    if weight is not None:
        t = t * p.reshape(weight, shape=(classes,) + (1,) * (logs.ndim - 1 - axis))
    return -sum(p.multiply_no_nan(logs, t), axis)


def _in_range(operation: str, classes: int, shape: Shape, ignored: int | None, labels: Array) -> None:
    """ValueError for a label that is no class and not ``ignored``; ``shape`` is that of the input."""
    labels = labels if ignored is None else labels[labels != ignored]
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        bad = labels.ravel()[np.argmax((labels < 0) | (labels >= classes))]
        raise ValueError(
            f"{operation}: label {bad} is out of range for {classes} classes (0 .. {classes - 1}; input shape {shape})"
        )


@composed("y", "t", "weight", statistics=True)
def bce(y: Any, t: Any, weight: Any = None, *, reduction: str = "mean") -> Tensor:
    """-t log y - (1 - t) log(1 - y), for probabilities y and targets t in [0, 1].

    ``bce_with_logits`` keeps more digits.
    A logarithm is held at -100 or above, as in PyTorch: beyond, and at y = 0 and y = 1, its slope is 0.
    y, t: of one shape; weight: factors that broadcast to it; reduction: "mean", "sum" or "none" (y's shape).
    Raises ValueError for shapes that differ, a y outside [0, 1] or another reduction.

    >>> float(ac.losses.bce([0.5, 0.5], [0.0, 1.0]).round(4))
    0.6931
    """
    _check("bce", reduction, y, t)
    _weighing("bce", weight, y)
    check(_probabilities, y)
    loss = -p.multiply_no_nan(_held_log(y), t) - p.multiply_no_nan(_held_log(1 - y), 1 - t)
    return _reduced(loss if weight is None else loss * weight, reduction)


def _held_log(y: Any) -> Any:
    none = p.equal(y, 0)
    return p.maximum(-100.0, p.where(none, -np.inf, p.log(p.where(none, 1, y))), ties="first")


def _probabilities(y: Array) -> None:
    """ValueError for a number that is no probability."""
    if y.size and not ((y >= 0) & (y <= 1) | (y != y)).all():
        raise ValueError(f"bce: the predictions must lie in 0 .. 1, found {y.min()} .. {y.max()}; of logits use "
                         "bce_with_logits")  # fmt: skip


def _weighing(operation: str, weight: Any, y: Any, name: str = "weight") -> None:
    """ValueError for factors that do not broadcast to the shape of the prediction."""
    if weight is not None and broadcast_shapes(weight.shape, y.shape, operation=operation) != y.shape:
        raise ValueError(f"{operation}: {name} has shape {weight.shape}, the prediction {y.shape}")


@composed("logits", "t", "weight", "pos_weight", statistics=True)
def bce_with_logits(
    logits: Any, t: Any, weight: Any = None, pos_weight: Any = None, *, reduction: str = "mean"
) -> Tensor:
    """-t log sigmoid(z) - (1 - t) log(1 - sigmoid(z)), for logits z and targets t in [0, 1].

    Written (1 - t) max(z, 0) + t max(-z, 0) + log(1 + e^-|z|), in which nothing cancels; a logit of infinite size has
    loss 0 if its target is the one that it is sure of.

    logits, t: of one shape; weight: factors of the loss, pos_weight: of its first term, that broadcast to it;
    reduction: "mean", "sum" or "none" (their shape).  The gradient is (sigmoid(z) - t) / n.
    Raises ValueError for shapes that differ or another reduction.

    >>> float(ac.losses.bce_with_logits([0.0, 0.0], [0.0, 1.0]).round(4))
    0.6931
    """
    _check("bce_with_logits", reduction, logits, t)
    _weighing("bce_with_logits", weight, logits)
    _weighing("bce_with_logits", pos_weight, logits, "pos_weight")
    above = p.multiply_no_nan(p.maximum(logits, 0, ties="first"), 1 - t)
    positive = t if pos_weight is None else pos_weight * t
    below = p.multiply_no_nan(p.maximum(0, -logits, ties="first"), positive)
    beyond = _beyond(logits)
    loss = above + below + (beyond if pos_weight is None else (1 - t + positive) * beyond)
    return _reduced(loss if weight is None else loss * weight, reduction)


@composed("x", "y", statistics=True)
def cosine_similarity(x: Any, y: Any, axis: int = 1, eps: float = 1e-8) -> Tensor:
    """sum x y / (max(|x|, eps) max(|y|, eps)) along ``axis``: the cosine of the angle between vectors.

    Raises ValueError for shapes that do not broadcast, or an axis that they do not have.

    >>> ac.cosine_similarity([[1.0, 0.0]], [[1.0, 1.0]]).round(4)
    array([0.7071])
    """
    shape = broadcast_shapes(x.shape, y.shape, operation="cosine_similarity")
    least = float(real(eps, "cosine_similarity: eps"))
    axis = normalize_axis(axis, len(shape), "cosine_similarity")
    x, y = [q if q.shape == shape else p.broadcast_to(q, shape=shape) for q in (x, y)]
    of_x, of_y = [p.maximum(least, norm(q, 2, axis), ties="first") for q in (x, y)]
    result: Tensor = sum(x * y, axis) / (of_x * of_y)
    return result
