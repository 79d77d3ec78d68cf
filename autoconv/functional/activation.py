"""Activations, composed of the table's rows; each has the smooth or chosen derivative that its composition gives."""

from __future__ import annotations

from math import pi, sqrt
from typing import Any

import numpy as np

from .. import primitives as p
from ..operands import real
from ..shapes import normalize_axis, shown, softmax_axes
from ..tape import Tensor
from .array import clip
from .composed import composed, operand
from .geometry import reshaped
from .normalisation import channel_axis
from .reduce import largest, nonempty, sum
from .spelling import spelled

__all__ = [
    "celu", "elu", "gelu", "glu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "log_sigmoid",
    "log_softmax", "mish", "prelu", "reciprocal", "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softmin",
    "softplus", "softshrink", "square", "tanhshrink", "threshold",
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
def celu(x: Any, alpha: float = 1.0) -> Tensor:
    """x for x > 0, alpha * (e^(x / alpha) - 1) below (Barron, 2017); smooth, so the slope at 0 is 1.

    Raises ValueError for alpha = 0.

    >>> ac.celu([-1.0, 2.0], 2.0).round(4)
    array([-0.7869,  2.    ])
    """
    if not real(alpha, "celu: alpha"):
        raise ValueError("celu: alpha=0 divides x by nothing; use a number that is not 0")
    return p.maximum(0, x, ties="first") + alpha * p.expm1(p.minimum(x, 0, ties="first") / alpha)


@composed("x")
def selu(x: Any) -> Tensor:
    """lambda x for x > 0, lambda alpha (e^x - 1) below, with the two numbers that keep mean 0 and variance 1.

    Klambauer et al., "Self-normalizing neural networks", 2017.  The slope at 0 is lambda alpha, as in PyTorch.

    >>> ac.selu([-1.0, 2.0]).round(4)
    array([-1.1113,  2.1014])
    """
    below = _SELU_ALPHA * p.expm1(p.minimum(x, 0, ties="first"))
    result: Tensor = _SELU_LAMBDA * (p.maximum(0, x, ties="first") + below)
    return result


_SELU_ALPHA, _SELU_LAMBDA = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


@composed("x", "weight")
def prelu(x: Any, weight: Any, *, layout: str = "channels_last") -> Tensor:
    """max(0, x) + weight[c] * min(x, 0), a slope for each channel, or one for all (He et al., 2015).

    x: (N, *spatial, C), or of any shape with a weight of one number; weight: (C,) or (1,).  The slope at 0 is the
    weight, as in PyTorch.  layout="channels_first": (N, C, *spatial).  Raises ValueError for a weight of another shape.

    >>> ac.prelu([[-1.0, -1.0], [2.0, 2.0]], [0.1, 0.5])
    array([[-0.1, -0.5],
           [ 2. ,  2. ]])
    """
    if weight.ndim > 1 or (weight.size != 1 and weight.ndim != 1):
        raise ValueError(f"prelu: weight has shape {weight.shape}; it needs one number, or one for each channel: (C,)")
    if weight.size == 1:
        weight = reshaped(weight, ())
    else:
        axis = channel_axis(x, layout, "prelu")
        if weight.size != x.shape[axis]:
            raise ValueError(
                f"prelu: weight has shape {weight.shape}, it needs (1,) or ({x.shape[axis]},): one number for each "
                f"channel of the input (shape {x.shape})"
            )
        weight = reshaped(weight, (weight.size,) + (1,) * (x.ndim - 1 - axis))
    result: Tensor = p.maximum(0, x, ties="first") + weight * p.minimum(x, 0, ties="first")
    return result


# ---- piecewise linear: the slope at a bound is 0, as it is at relu's


@composed("x")
def hardtanh(x: Any, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """x held between min_val and max_val; the slope is 0 at both, as in PyTorch.

    Raises ValueError for min_val above max_val.

    >>> x = ac.tensor([-2.0, -1.0, 0.5, 1.0])
    >>> ac.hardtanh(x).sum().backward()
    >>> x.grad
    array([0., 0., 1., 0.])
    """
    if real(min_val, "hardtanh: min_val") > real(max_val, "hardtanh: max_val"):
        raise ValueError(f"hardtanh: min_val={min_val} is above max_val={max_val}; give the lower bound first")
    return clip(x, min_val, max_val)


@composed("x")
def relu6(x: Any) -> Tensor:
    """min(max(0, x), 6), of MobileNet (Howard et al., 2017); the slope is 0 at 0 and at 6.

    >>> ac.relu6([-1.0, 3.0, 7.0])
    array([0., 3., 6.])
    """
    return clip(x, 0, 6)


@composed("x")
def hardsigmoid(x: Any) -> Tensor:
    """min(max(0, x + 3), 6) / 6, a sigmoid of three straight pieces; the slope is 0 at -3 and at 3.

    >>> ac.hardsigmoid([-3.0, 0.0, 4.0])
    array([0. , 0.5, 1. ])
    """
    result: Tensor = clip(x + 3, 0, 6) / 6
    return result


@composed("x")
def hardswish(x: Any) -> Tensor:
    """x * hardsigmoid(x), of MobileNetV3 (Howard et al., 2019); the slope is 0 at -3 and 1 at 3, as in PyTorch.

    >>> ac.hardswish([-3.0, 0.0, 1.0, 4.0]).round(4)
    array([0.    , 0.    , 0.6667, 4.    ])
    """
    return _gated(x, clip(x + 3, 0, 6) / 6)


@composed("x")
def hardshrink(x: Any, lambd: float = 0.5) -> Tensor:
    """x where |x| > lambd, else 0; the slope is 0 at both ends.

    >>> ac.hardshrink([-1.0, 0.5, 2.0])
    array([-1.,  0.,  2.])
    """
    real(lambd, "hardshrink: lambd")
    result: Tensor = p.where(p.less_equal(p.abs_(x), lambd), 0, x)
    return result


@composed("x")
def softshrink(x: Any, lambd: float = 0.5) -> Tensor:
    """max(0, x - lambd) + min(0, x + lambd): x moved towards 0 by lambd; the slope is 0 at both ends.

    Raises ValueError for a negative lambd.

    >>> ac.softshrink([-1.0, 0.25, 2.0])
    array([-0.5,  0. ,  1.5])
    """
    real(lambd, "softshrink: lambd", low=0)
    return p.maximum(0, x - lambd, ties="first") + p.minimum(0, x + lambd, ties="first")


@composed("x")
def threshold(x: Any, threshold: float, value: float) -> Tensor:
    """x where x > threshold, else ``value``; the slope is 0 at the threshold.

    >>> ac.threshold([0.5, 1.0, 2.0], 1.0, -1.0)
    array([-1., -1.,  2.])
    """
    real(threshold, "threshold: threshold"), real(value, "threshold: value")
    result: Tensor = p.where(p.less_equal(x, threshold), value, x)
    return result


# ---- smooth


@composed("x")
def tanhshrink(x: Any) -> Tensor:
    """x - tanh x.

    >>> ac.tanhshrink([-1.0, 0.0]).round(4)
    array([-0.2384,  0.    ])
    """
    result: Tensor = x - p.tanh(x)
    return result


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
def mish(x: Any) -> Tensor:
    """x * tanh(softplus(x)) (Misra, 2019).

    >>> ac.mish([0.0, 1.0]).round(4)
    array([0.    , 0.8651])
    """
    u = clip(x, -_SATURATED, _SATURATED)
    return _gated(x, p.tanh(p.maximum(u, 0, ties="first") + beyond(u)))


@composed("x")
def glu(x: Any, axis: int = -1) -> Tensor:
    """a * sigmoid(b), a and b the first and the second half of x along ``axis`` (Dauphin et al., 2016).

    Raises ValueError for an axis of odd size.

    >>> ac.glu([1.0, 2.0, 0.0, 0.0])
    array([0.5, 1. ])
    """
    axis = normalize_axis(axis, x.ndim, "glu")
    n = x.shape[axis]
    if n % 2:
        raise ValueError(f"glu: axis {axis} of shape {x.shape} has odd size {n}; it needs two halves")
    before = (slice(None),) * axis
    share = p._logistic(_numbers(p.index(x, key=(*before, slice(n // 2, n)))))
    result: Tensor = p.index(x, key=(*before, slice(0, n // 2))) * share
    return result


@composed("x")
def softplus(x: Any, beta: float = 1.0, threshold: float | None = None) -> Tensor:
    """ln(1 + e^(beta x)) / beta = max(x, 0) + ln(1 + e^-|beta x|) / beta, without overflow; the slope is
    sigmoid(beta x).

    threshold: where beta x is above it, x itself (PyTorch's is 20, to save an exponential; here nothing is cut off
    unless asked).  Raises ValueError for a beta that is not above 0.

    >>> ac.softplus([0.0, 1000.0]).round(4)
    array([6.931e-01, 1.000e+03])
    """
    real(beta, "softplus: beta", above=0)
    if threshold is not None:
        real(threshold, "softplus: threshold")
    x = _numbers(x)
    u = x if beta == 1 else beta * x
    y: Tensor = p.maximum(u, 0, ties="first") + beyond(u)
    y = y if beta == 1 else y / beta
    return y if threshold is None else p.where(p.greater(u, threshold), x, y)


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


@composed("x")
def softmin(x: Any, axis: int = -1) -> Tensor:
    """softmax(-x): the smallest has the largest share.  Raises ValueError for an axis that x does not have.

    >>> ac.softmin([0.0, 0.0, 1000.0])
    array([0.5, 0.5, 0. ])
    """
    axes = softmax_axes(axis, x.ndim, "softmin")
    nonempty(x, axes, "softmin")
    return softmax(-_numbers(x), axis)


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


@spelled
def square(x: Any) -> Tensor:
    """x * x.

    >>> ac.square(3.0)
    np.float64(9.0)
    """
    x = operand(x, "square")
    return p.mul(x, x)


@spelled
def reciprocal(x: Any) -> Tensor:
    """1 / x; infinite at 0, as IEEE arithmetic has it.

    >>> ac.reciprocal(4.0)
    np.float64(0.25)
    """
    return p.div(1, operand(x, "reciprocal"))
