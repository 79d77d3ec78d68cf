"""Activations, composed of the table's rows; each has the smooth or chosen derivative that its composition gives."""

from __future__ import annotations

from math import pi, sqrt
from typing import Any

import numpy as np

from .. import primitives as p
from ..operands import real
from ..shapes import shown, softmax_axes
from ..tape import Tensor
from .array import clip
from .composed import composed, operand
from .reduce import largest, nonempty, sum

__all__ = [
    "elu", "gelu", "leaky_relu", "log_sigmoid", "log_softmax", "reciprocal", "relu", "sigmoid", "silu", "softmax",
    "softplus", "square",
]  # fmt: skip


@composed("x")
def relu(x: Any) -> Tensor:
    """max(0, x); the slope at 0 is 0 (the tie goes to the constant).

    >>> x = ac.tensor([-1.0, 0.0, 2.0])
    >>> ac.relu(x).sum().backward()
    >>> x.grad
    array([0., 0., 1.])
    """
    return p.maximum(0, x, ties="first")


@composed("x")
def leaky_relu(x: Any, negative_slope: float = 0.01) -> Tensor:
    """max(0, x) + negative_slope * min(x, 0); the slope at 0 is ``negative_slope``, as in PyTorch.

    >>> ac.leaky_relu([-1.0, 2.0], 0.1)
    array([-0.1,  2. ])
    """
    real(negative_slope, "leaky_relu: negative_slope")
    return p.maximum(0, x, ties="first") + negative_slope * p.minimum(x, 0, ties="first")


@composed("x")
def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """x for x > 0, alpha * (e^x - 1) below (Clevert et al., 2016); the slope at 0 is ``alpha``.

    >>> ac.elu([-1.0, 2.0]).round(4)
    array([-0.6321,  2.    ])
    """
    real(alpha, "elu: alpha")
    return p.maximum(0, x, ties="first") + alpha * p.expm1(p.minimum(x, 0, ties="first"))


@composed("x")
def sigmoid(x: Any) -> Tensor:
    """1 / (1 + e^-x), between 0 and 1; the derivative is y (1 - y).

    Written with e^-|x|: nothing overflows, both tails keep their digits, and the two sides meet smoothly at 0.

    >>> ac.sigmoid([-1000.0, 0.0, 1000.0])
    array([0. , 0.5, 1. ])
    """
    result: Tensor = p._logistic(_numbers(x))
    return result


@composed("x")
def silu(x: Any) -> Tensor:
    """x * sigmoid(x), also called swish (Elfwing et al., 2018).

    >>> ac.silu([0.0, 1.0]).round(4)
    array([0.    , 0.7311])
    """
    return _gated(x, p._logistic(clip(x, -_SATURATED, _SATURATED)))


def _gated(x: Any, share: Any) -> Tensor:
    """x times a share of it; 0 where the share is 0, even of an infinite x.

    The share is that of x held within the numbers for which it still changes: beyond, its slope is 0.
    """
    return p.multiply_no_nan(x, share)


_SATURATED = 1000.0  # e^-1000 is 0 in every dtype


@composed("x")
def softplus(x: Any) -> Tensor:
    """ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|), without overflow; the derivative is sigmoid(x).

    >>> ac.softplus([0.0, 1000.0]).round(4)
    array([6.931e-01, 1.000e+03])
    """
    x = _numbers(x)
    return p.maximum(x, 0, ties="first") + beyond(x)


@composed("x")
def log_sigmoid(x: Any) -> Tensor:
    """ln(1 / (1 + e^-x)) = -softplus(-x), with the digits of both tails; the derivative is sigmoid(-x).

    >>> ac.log_sigmoid([-1000.0, 0.0, 1.0]).round(4)
    array([-1.000e+03, -6.931e-01, -3.133e-01])
    """
    return p.minimum(0, x, ties="first") - beyond(x)


def _numbers(x: Any) -> Any:
    """Truth values as the numbers 0 and 1."""
    return p.cast(x, dtype=np.dtype(float)) if x.dtype == bool else x


def beyond(x: Any) -> Tensor:
    """ln(1 + e^-|x|): how far softplus is above max(x, 0); it counts the x of 0 to the right."""
    return p.log1p(p.exp(-p.abs_(x, slope_at_zero=1)))


@composed("x")
def gelu(x: Any, approximate: str = "none") -> Tensor:
    """x * Phi(x), Phi the normal distribution function, by erfc.

    approximate="tanh" is the usual approximation x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) (Hendrycks and Gimpel,
    2016).  Raises ValueError for another word.

    >>> ac.gelu([-1.0, 1.0]).round(4)
    array([-0.1587,  0.8413])
    """
    if not isinstance(approximate, str) or approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: approximate={shown(approximate)}; use 'none' or 'tanh'")
    if approximate == "tanh":
        u = clip(x, -30.0, 30.0)
        return _gated(x, p._logistic(sqrt(8 / pi) * (u + 0.044715 * u * u * u)))  # (1 + tanh u) / 2 is sigmoid(2 u)
    return _gated(x / 2, p.erfc(clip(x, -40.0, 40.0) / -sqrt(2)))


@composed("x", statistics=True)
def softmax(x: Any, axis: int = -1) -> Tensor:
    """y_i = e^(x_i - m) / sum_j e^(x_j - m) along ``axis``; m, the largest, is held constant and cancels.

    The result is positive and sums to 1 along ``axis``.  Raises ValueError for an axis that x does not have.

    >>> ac.softmax([0.0, 0.0, 1000.0])
    array([0., 0., 1.])
    """
    axes = softmax_axes(axis, x.ndim, "softmax")
    nonempty(x, axes, "softmax")
    e = p.exp(x - largest(x, axes))
    return e / sum(e, axes, keepdims=True)


@composed("x", statistics=True)
def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """(x_i - m) - ln sum_j e^(x_j - m) along ``axis``, m the largest, held constant.

    Raises ValueError for an axis that x does not have.

    >>> ac.log_softmax([0.0, 0.0]).round(4)
    array([-0.6931, -0.6931])
    """
    axes = softmax_axes(axis, x.ndim, "log_softmax")
    nonempty(x, axes, "log_softmax")
    d = x - largest(x, axes)
    result: Tensor = d - p.log(sum(p.exp(d), axes, keepdims=True))
    return result


def square(x: Any) -> Tensor:
    """x * x.

    >>> ac.square(3.0)
    np.float64(9.0)
    """
    x = operand(x, "square")
    return p.mul(x, x)


def reciprocal(x: Any) -> Tensor:
    """1 / x; infinite at 0, as IEEE arithmetic has it.

    >>> ac.reciprocal(4.0)
    np.float64(0.25)
    """
    return p.div(1, operand(x, "reciprocal"))
