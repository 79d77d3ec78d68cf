"""Activations, composed of the table's rows; each has the smooth or chosen derivative that its composition gives."""

from __future__ import annotations

from math import pi, sqrt
from typing import Any

from .. import primitives as p
from ..operands import real
from ..shapes import shown, softmax_axes
from ..tape import Tensor
from .composed import composed, operand
from .reduce import largest, logsumexp, nonempty, sum

__all__ = [
    "elu", "gelu", "leaky_relu", "log_softmax", "reciprocal", "relu", "sigmoid", "silu", "softmax", "softplus",
    "softsign", "square",
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
    return p.maximum(0, x, ties="first") + alpha * (p.exp(p.minimum(x, 0, ties="first")) - 1)


@composed("x")
def sigmoid(x: Any) -> Tensor:
    """1 / (1 + e^-x), between 0 and 1; the derivative is y (1 - y).

    Written e^(x - m) / (e^(x - m) + e^-m) with m = max(x, 0) held constant: nothing overflows, the tails keep their
    digits, and m cancels in every derivative.

    >>> ac.sigmoid([-1000.0, 0.0, 1000.0])
    array([0. , 0.5, 1. ])
    """
    m = p.stop_gradient(p.maximum(x, 0))
    e = p.exp(x - m)
    return e / (e + p.exp(-m))


@composed("x")
def silu(x: Any) -> Tensor:
    """x * sigmoid(x), also called swish (Elfwing et al., 2018).

    >>> ac.silu([0.0, 1.0]).round(4)
    array([0.    , 0.7311])
    """
    result: Tensor = x * sigmoid(x)
    return result


@composed("x")
def softplus(x: Any) -> Tensor:
    """ln(1 + e^x), without overflow; the derivative is sigmoid(x).

    >>> ac.softplus([0.0, 1000.0]).round(4)
    array([6.931e-01, 1.000e+03])
    """
    return p.logaddexp(x, 0)


@composed("x")
def softsign(x: Any) -> Tensor:
    """x / (1 + |x|), between -1 and 1; the slope at 0 is 1.

    >>> ac.softsign([-1.0, 0.0, 3.0])
    array([-0.5 ,  0.  ,  0.75])
    """
    result: Tensor = x / (1 + p.abs_(x))
    return result


@composed("x")
def gelu(x: Any, approximate: str = "none") -> Tensor:
    """x * Phi(x), Phi the normal distribution function, by erf.

    approximate="tanh" is the usual approximation x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) (Hendrycks and Gimpel,
    2016).  Raises ValueError for another word.

    >>> ac.gelu([-1.0, 1.0]).round(4)
    array([-0.1587,  0.8413])
    """
    if not isinstance(approximate, str) or approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: approximate={shown(approximate)}; use 'none' or 'tanh'")
    if approximate == "tanh":
        tanh_form: Tensor = x * (1 + p.tanh(sqrt(2 / pi) * (x + 0.044715 * x * x * x))) / 2
        return tanh_form
    result: Tensor = x * (1 + p.erf(x / sqrt(2))) / 2
    return result


@composed("x")
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


@composed("x")
def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """x_i - ln sum_j e^(x_j) along ``axis``, without overflow.  Raises ValueError for an axis that x does not have.

    >>> ac.log_softmax([0.0, 0.0]).round(4)
    array([-0.6931, -0.6931])
    """
    axes = softmax_axes(axis, x.ndim, "log_softmax")
    nonempty(x, axes, "log_softmax")
    result: Tensor = x - logsumexp(x, axes, keepdims=True)
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
