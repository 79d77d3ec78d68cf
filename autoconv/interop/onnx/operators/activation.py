"""ONNX's activations.  Slopes at kinks are those of autoconv's functions: 0 for relu at 0, and at both ends of a
clip."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .... import functional as f
from .... import primitives as p
from .known import axis_of

Operation = Callable[..., Any]


def leaky_relu(x: Any, *, alpha: float = 0.01) -> Any:
    """x above 0, alpha x below."""
    return f.leaky_relu(x, alpha)


def prelu(x: Any, slope: Any) -> Any:
    """x above 0, slope x below; the slope is broadcast against x."""
    return p.add(p.maximum(0, x, ties="first"), p.mul(slope, p.minimum(x, 0, ties="first")))


def thresholded_relu(x: Any, *, alpha: float = 1.0) -> Any:
    """x above alpha, else 0."""
    return p.where(p.greater(x, alpha), x, 0)


def elu(x: Any, *, alpha: float = 1.0) -> Any:
    """x above 0, alpha (e^x - 1) below."""
    return f.elu(x, alpha)


def selu(x: Any, *, alpha: float = 1.67326319217681884765625, gamma: float = 1.05070102214813232421875) -> Any:
    """gamma times x above 0, gamma alpha (e^x - 1) below."""
    return p.mul(f.elu(x, alpha), gamma)


def celu(x: Any, *, alpha: float = 1.0) -> Any:
    """x above 0, alpha (e^(x / alpha) - 1) below."""
    return f.celu(x, alpha)


def hard_sigmoid(x: Any, *, alpha: float = 0.2, beta: float = 0.5) -> Any:
    """alpha x + beta between 0 and 1."""
    return f.clip(p.add(p.mul(x, alpha), beta), 0, 1)


def gelu(x: Any, *, approximate: str = "none") -> Any:
    """x times the normal distribution function of x, or its approximation with tanh."""
    return f.gelu(x, approximate)


def swish(x: Any, *, alpha: float = 1.0) -> Any:
    """x sigmoid(alpha x)."""
    return p.mul(x, f.sigmoid(x if alpha == 1 else p.mul(x, alpha)))


def shrink(x: Any, *, bias: float = 0.0, lambd: float = 0.5) -> Any:
    """x + bias below -lambd, x - bias above lambd, 0 between."""
    low, high = p.less(x, -lambd), p.greater(x, lambd)
    return p.where(low, p.add(x, bias), p.where(high, p.sub(x, bias), 0))


def along(function: Operation) -> Operation:
    """Softmax and its like: along one axis; before opset 13 over all axes from ``axis`` (then 1) on together."""

    def operation(x: Any, *, axis: int | None = None, opset: int) -> Any:
        if opset >= 13:
            return function(x, axis_of(-1 if axis is None else axis, x.ndim, "axis")) if x.ndim else function(x, 0)
        first = axis_of(1 if axis is None else axis, x.ndim + 1, "axis") if x.ndim != axis else x.ndim
        if first == x.ndim - 1:
            return function(x, first)
        flat = f.reshape(x, (math.prod(x.shape[:first]), math.prod(x.shape[first:])))
        return f.reshape(function(flat, 1), x.shape)

    return operation


def _hardmax(x: Any, axis: int) -> Any:
    """1 for the first of the largest along an axis, 0 for the others; without a slope."""
    place = np.expand_dims(f.argmax(x, axis), axis)
    cells = np.arange(x.shape[axis]).reshape(-1, *(1,) * (x.ndim - axis - 1))
    return (place == cells).astype(x.dtype)


def one(function: Operation) -> Operation:
    """An activation without settings."""

    def operation(x: Any) -> Any:
        return function(x)

    return operation


OPERATIONS: dict[str, Operation] = {
    "Relu": one(f.relu), "LeakyRelu": leaky_relu, "PRelu": prelu, "ThresholdedRelu": thresholded_relu, "Elu": elu,
    "Selu": selu, "Celu": celu, "Softplus": one(f.softplus), "Softsign": one(p.softsign), "Sigmoid": one(f.sigmoid),
    "Tanh": one(p.tanh), "HardSigmoid": hard_sigmoid, "HardSwish": one(f.hardswish), "Mish": one(f.mish),
    "Gelu": gelu, "Swish": swish, "Shrink": shrink, "Softmax": along(f.softmax), "LogSoftmax": along(f.log_softmax),
    "Hardmax": along(_hardmax),
}  # fmt: skip
