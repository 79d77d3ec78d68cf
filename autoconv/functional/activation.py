"""Activations, composed of the table's rows; each has the smooth or chosen derivative that its composition gives."""

from __future__ import annotations

from math import pi, sqrt
from typing import Any

from .. import primitives as p
from .composed import composed
from .reduce import largest, logsumexp, sum


@composed("x")
def relu(x: Any) -> Any:
    """max(0, x); the slope at 0 is 0 (the tie goes to the constant)."""
    return p.maximum(0, x, ties="first")


@composed("x")
def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """max(0, x) + negative_slope * min(x, 0); the slope at 0 is ``negative_slope``, as in PyTorch."""
    return p.maximum(0, x, ties="first") + negative_slope * p.minimum(x, 0, ties="first")


@composed("x")
def elu(x: Any, alpha: float = 1.0) -> Any:
    """x for x > 0, alpha * (e^x - 1) below (Clevert et al., 2016)."""
    return p.maximum(0, x, ties="first") + alpha * (p.exp(p.minimum(x, 0, ties="first")) - 1)


@composed("x")
def sigmoid(x: Any) -> Any:
    """1 / (1 + e^-x), written e^(x - m) / (e^(x - m) + e^-m) with m = max(x, 0) held constant: nothing overflows, the tails
    keep their digits, and m cancels in every derivative."""
    m = p.stop_gradient(p.maximum(x, 0))
    e = p.exp(x - m)
    return e / (e + p.exp(-m))


@composed("x")
def silu(x: Any) -> Any:
    """x * sigmoid(x), also called swish."""
    return x * sigmoid(x)


@composed("x")
def softplus(x: Any) -> Any:
    """ln(1 + e^x)."""
    return p.logaddexp(x, 0)


@composed("x")
def softsign(x: Any) -> Any:
    """x / (1 + |x|)."""
    return x / (1 + p.abs_(x))


@composed("x")
def gelu(x: Any, approximate: str = "none") -> Any:
    """x * Phi(x), Phi the normal distribution function, by erf; approximate="tanh" is the usual approximation
    x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) (Hendrycks and Gimpel, 2016)."""
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: approximate={approximate!r}; use 'none' or 'tanh'")
    if approximate == "tanh":
        return x * (1 + p.tanh(sqrt(2 / pi) * (x + 0.044715 * x * x * x))) / 2
    return x * (1 + p.erf(x / sqrt(2))) / 2


@composed("x")
def softmax(x: Any, axis: int = -1) -> Any:
    """y_i = e^(x_i - m) / sum_j e^(x_j - m) along ``axis``; m, the largest, is held constant and cancels."""
    e = p.exp(x - largest(x, axis))
    return e / sum(e, axis, keepdims=True)


@composed("x")
def log_softmax(x: Any, axis: int = -1) -> Any:
    """x_i - ln sum_j e^(x_j) along ``axis``, without overflow."""
    return x - logsumexp(x, axis, keepdims=True)


def square(x: Any) -> Any:
    """x * x."""
    return p.mul(x, x)


def reciprocal(x: Any) -> Any:
    """1 / x."""
    return p.div(1, x)
