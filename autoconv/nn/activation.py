"""Activations as layers, for Sequential."""

from __future__ import annotations

from typing import Any

from ..functional import activation as functional
from ..primitives import tanh
from ..tape import Tensor
from .module import Layer


class ReLU(Layer):
    """max(0, x), element by element; the slope at 0 is 0: ``ac.relu``.

    >>> nn.ReLU()([-1.0, 2.0])
    array([0., 2.])
    """

    def forward(self, x: Any) -> Tensor:
        return functional.relu(x)


class LeakyReLU(Layer):
    """x for x > 0, negative_slope * x below: ``ac.leaky_relu``.

    >>> nn.LeakyReLU(0.1)([-1.0, 2.0])
    array([-0.1,  2. ])
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def forward(self, x: Any) -> Tensor:
        return functional.leaky_relu(x, self.negative_slope)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"


class Sigmoid(Layer):
    """1 / (1 + e^-x), between 0 and 1: ``ac.sigmoid``.

    >>> nn.Sigmoid()([-1000.0, 0.0])
    array([0. , 0.5])
    """

    def forward(self, x: Any) -> Tensor:
        return functional.sigmoid(x)


class Tanh(Layer):
    """tanh x, between -1 and 1: ``ac.tanh``.

    >>> nn.Tanh()(ac.tensor([0.0, 1000.0])).value
    array([0., 1.])
    """

    def forward(self, x: Any) -> Tensor:
        return tanh(x)


class Softplus(Layer):
    """ln(1 + e^x): ``ac.softplus``.

    >>> nn.Softplus()([0.0, 1000.0]).round(4)
    array([6.931e-01, 1.000e+03])
    """

    def forward(self, x: Any) -> Tensor:
        return functional.softplus(x)


class GELU(Layer):
    """x * Phi(x), Phi the normal distribution function: ``ac.gelu``; approximate="tanh" for the usual approximation.

    Raises ValueError for another word.

    >>> nn.GELU()([-1.0, 1.0]).round(4)
    array([-0.1587,  0.8413])
    """

    def __init__(self, approximate: str = "none") -> None:
        if approximate not in ("none", "tanh"):
            raise ValueError(f"GELU: approximate={approximate!r}; use 'none' or 'tanh'")
        self.approximate = approximate

    def forward(self, x: Any) -> Tensor:
        return functional.gelu(x, self.approximate)

    def extra_repr(self) -> str:
        return "" if self.approximate == "none" else "approximate='tanh'"


class Softmax(Layer):
    """e^(x_i) / sum over j of e^(x_j) along ``axis``: ``ac.softmax``.

    ``cross_entropy`` wants the logits: leave this layer out there.

    >>> nn.Softmax()([0.0, 0.0])
    array([0.5, 0.5])
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Any) -> Tensor:
        return functional.softmax(x, self.axis)

    def extra_repr(self) -> str:
        return f"axis={self.axis}"
