"""Losses, composed; ``reduction`` is "mean", "sum" or "none" (one loss for each element or example)."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .. import primitives as p
from ..hooks import check
from ..shapes import Shape, normalize_axis, shown
from ..tape import Array, Tensor
from .activation import beyond as _beyond
from .activation import log_softmax as _log_softmax
from .array import as_indices
from .composed import composed
from .reduce import mean, sum

__all__ = ["bce_with_logits", "cross_entropy", "half_squared_error", "mse", "nll"]


def _reduced(loss: Any, reduction: str) -> Tensor:
    if reduction == "none":
        result: Tensor = loss
        return result
    return mean(loss) if reduction == "mean" else sum(loss)


def _check(operation: str, reduction: str, y: Any, t: Any) -> None:
    if not isinstance(reduction, str) or reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{operation}: reduction={shown(reduction)}; use 'mean', 'sum' or 'none'")
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


@composed("logits", "labels", statistics=True)
def cross_entropy(logits: Any, labels: Any, *, reduction: str = "mean", axis: int = -1) -> Tensor:
    """-log softmax(logits)[label], over the class ``axis``.

    logits: (N, classes) (or (.., classes)); labels: (N,) whole numbers in 0 .. classes - 1, or probabilities of the
    logits' shape.  reduction: "mean", "sum" or "none" (one loss for each example).  The gradient is (softmax - one_hot)
    / N.  Raises TypeError for labels that are not integers, ValueError for labels out of range or of another shape.

    >>> logits = ac.tensor([[0.0, 0.0], [0.0, 0.0]])
    >>> loss = ac.losses.cross_entropy(logits, [0, 1])
    >>> round(float(loss), 4)
    0.6931
    >>> loss.backward()
    >>> logits.grad
    array([[-0.25,  0.25],
           [ 0.25, -0.25]])
    """
    return _nll("cross_entropy", _log_softmax, logits, labels, reduction, axis)


@composed("log_probabilities", "labels", statistics=True)
def nll(log_probabilities: Any, labels: Any, *, reduction: str = "mean", axis: int = -1) -> Tensor:
    """-log_probabilities[label], over the class ``axis``: cross_entropy for logarithms that are already normalised.

    log_probabilities: (N, classes) (or (.., classes)); labels and reduction as for ``cross_entropy``, and so the
    errors.

    >>> float(ac.losses.nll(np.log([[0.5, 0.5], [0.25, 0.75]]), [0, 0], reduction="sum").round(4))
    2.0794
    """
    return _nll("nll", lambda x, axis: x, log_probabilities, labels, reduction, axis)


def _nll(operation: str, normalise: Any, x: Any, labels: Any, reduction: str, axis: int) -> Tensor:
    if not isinstance(reduction, str) or reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{operation}: reduction={shown(reduction)}; use 'mean', 'sum' or 'none'")
    if not x.ndim:
        raise ValueError(f"{operation}: the input has shape {x.shape}; it needs a class axis")
    axis = normalize_axis(axis, x.ndim, operation)
    if labels.dtype.kind == "f" and labels.shape == x.shape:
        return _reduced(-sum(p.multiply_no_nan(normalise(x, axis=axis), labels), axis), reduction)
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
    classes = x.shape[axis]
    check(partial(_in_range, operation, classes, x.shape), labels)
    logs = normalise(x, axis=axis)
    if axis != x.ndim - 1:
        logs = p.permute_dims(logs, axes=(*[i for i in range(x.ndim) if i != axis], axis))
    flat = p.reshape(logs, shape=(logs.size,))
    places = p.add(p.reshape(labels, shape=(labels.size,)), np.arange(labels.size) * classes)
    return _reduced(-p.reshape(p.take(flat, as_indices(places), axis=0), shape=rest), reduction)


def _in_range(operation: str, classes: int, shape: Shape, labels: Array) -> None:
    """ValueError for a label that is no class; ``shape`` is that of the input."""
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        bad = labels.ravel()[np.argmax((labels < 0) | (labels >= classes))]
        raise ValueError(
            f"{operation}: label {bad} is out of range for {classes} classes (0 .. {classes - 1}; input shape {shape})"
        )


@composed("logits", "t", statistics=True)
def bce_with_logits(logits: Any, t: Any, *, reduction: str = "mean") -> Tensor:
    """-t log sigmoid(z) - (1 - t) log(1 - sigmoid(z)), for logits z and targets t in [0, 1].

    Written (1 - t) max(z, 0) + t max(-z, 0) + log(1 + e^-|z|), in which nothing cancels; a logit of infinite size has
    loss 0 if its target is the one that it is sure of.

    logits, t: of one shape; reduction: "mean", "sum" or "none" (their shape).  The gradient is (sigmoid(z) - t) / n.
    Raises ValueError for shapes that differ or another reduction.

    >>> float(ac.losses.bce_with_logits([0.0, 0.0], [0.0, 1.0]).round(4))
    0.6931
    """
    _check("bce_with_logits", reduction, logits, t)
    above = p.multiply_no_nan(p.maximum(logits, 0, ties="first"), 1 - t)
    below = p.multiply_no_nan(p.maximum(0, -logits, ties="first"), t)
    return _reduced(above + below + _beyond(logits), reduction)
