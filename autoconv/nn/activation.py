"""Activations as layers, for Sequential.

``inplace`` is PyTorch's: a Tensor keeps its value, so it changes nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..functional import activation as functional
from ..functional.composed import operand
from ..operands import real
from ..primitives import softsign, tanh
from ..shapes import flag, whole_number
from ..tape import Tensor
from .module import Layer, Parameter


class _InPlace(Layer):
    """An activation without settings but PyTorch's ``inplace``, which changes nothing: a Tensor keeps its value."""

    def __init__(self, inplace: bool = False) -> None:
        flag(inplace, f"{type(self).__name__}: inplace")


class ReLU(_InPlace):
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

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
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
    """ln(1 + e^(beta x)) / beta: ``ac.softplus``; above ``threshold``, if there is one, x itself (PyTorch's is 20).

    >>> nn.Softplus()([0.0, 1000.0]).round(4)
    array([6.931e-01, 1.000e+03])
    """

    def __init__(self, beta: float = 1.0, threshold: float | None = None) -> None:
        self.beta, self.threshold = beta, threshold

    def forward(self, x: Any) -> Tensor:
        return functional.softplus(x, self.beta, self.threshold)

    def extra_repr(self) -> str:
        changed = [f"{k}={getattr(self, k)}" for k, usual in {"beta": 1.0, "threshold": None}.items()
                   if getattr(self, k) != usual]  # fmt: skip
        return ", ".join(changed)


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


class ReLU6(_InPlace):
    """min(max(0, x), 6), with slope 0 at 0 and at 6: ``ac.relu6``.

    >>> nn.ReLU6()([-1.0, 3.0, 7.0])
    array([0., 3., 6.])
    """

    def forward(self, x: Any) -> Tensor:
        return functional.relu6(x)


class SiLU(_InPlace):
    """x * sigmoid(x), also called swish: ``ac.silu``.

    >>> nn.SiLU()([0.0, 1.0]).round(4)
    array([0.    , 0.7311])
    """

    def forward(self, x: Any) -> Tensor:
        return functional.silu(x)


class Hardswish(_InPlace):
    """x * min(max(0, x + 3), 6) / 6: ``ac.hardswish``.

    >>> nn.Hardswish()([0.0, 1.0, 4.0]).round(4)
    array([0.    , 0.6667, 4.    ])
    """

    def forward(self, x: Any) -> Tensor:
        return functional.hardswish(x)


class Hardsigmoid(_InPlace):
    """min(max(0, x + 3), 6) / 6: ``ac.hardsigmoid``.

    >>> nn.Hardsigmoid()([-3.0, 0.0, 4.0])
    array([0. , 0.5, 1. ])
    """

    def forward(self, x: Any) -> Tensor:
        return functional.hardsigmoid(x)


class Mish(_InPlace):
    """x * tanh(softplus(x)): ``ac.mish``.

    >>> nn.Mish()([0.0, 1.0]).round(4)
    array([0.    , 0.8651])
    """

    def forward(self, x: Any) -> Tensor:
        return functional.mish(x)


class SELU(_InPlace):
    """The self-normalising exponential unit: ``ac.selu``.

    >>> nn.SELU()([-1.0, 2.0]).round(4)
    array([-1.1113,  2.1014])
    """

    def forward(self, x: Any) -> Tensor:
        return functional.selu(x)


class LogSigmoid(Layer):
    """ln(1 / (1 + e^-x)): ``ac.log_sigmoid``.

    >>> nn.LogSigmoid()([0.0, 1.0]).round(4)
    array([-0.6931, -0.3133])
    """

    def forward(self, x: Any) -> Tensor:
        return functional.log_sigmoid(x)


class Tanhshrink(Layer):
    """x - tanh x: ``ac.tanhshrink``.

    >>> nn.Tanhshrink()([-1.0, 0.0]).round(4)
    array([-0.2384,  0.    ])
    """

    def forward(self, x: Any) -> Tensor:
        return functional.tanhshrink(x)


class ELU(Layer):
    """x for x > 0, alpha * (e^x - 1) below: ``ac.elu``.

    >>> nn.ELU()([-1.0, 2.0]).round(4)
    array([-0.6321,  2.    ])
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = alpha

    def forward(self, x: Any) -> Tensor:
        return functional.elu(x, self.alpha)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"


class CELU(Layer):
    """x for x > 0, alpha * (e^(x / alpha) - 1) below: ``ac.celu``.

    >>> nn.CELU(2.0)([-1.0, 2.0]).round(4)
    array([-0.7869,  2.    ])
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = alpha

    def forward(self, x: Any) -> Tensor:
        return functional.celu(x, self.alpha)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"


class Hardshrink(Layer):
    """x where |x| > lambd, else 0: ``ac.hardshrink``.

    >>> nn.Hardshrink()([-1.0, 0.5, 2.0])
    array([-1.,  0.,  2.])
    """

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = lambd

    def forward(self, x: Any) -> Tensor:
        return functional.hardshrink(x, self.lambd)

    def extra_repr(self) -> str:
        return f"lambd={self.lambd}"


class Softshrink(Layer):
    """x moved towards 0 by lambd: ``ac.softshrink``.

    >>> nn.Softshrink()([-1.0, 0.25, 2.0])
    array([-0.5,  0. ,  1.5])
    """

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = lambd

    def forward(self, x: Any) -> Tensor:
        return functional.softshrink(x, self.lambd)

    def extra_repr(self) -> str:
        return f"lambd={self.lambd}"


class LogSoftmax(Layer):
    """The logarithm of softmax along ``axis``: ``ac.log_softmax``.

    >>> nn.LogSoftmax()([0.0, 0.0]).round(4)
    array([-0.6931, -0.6931])
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Any) -> Tensor:
        return functional.log_softmax(x, self.axis)

    def extra_repr(self) -> str:
        return f"axis={self.axis}"


class Softmin(Layer):
    """softmax(-x) along ``axis``: ``ac.softmin``.

    >>> nn.Softmin()([0.0, 0.0])
    array([0.5, 0.5])
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Any) -> Tensor:
        return functional.softmin(x, self.axis)

    def extra_repr(self) -> str:
        return f"axis={self.axis}"


class GLU(Layer):
    """The first half along ``axis`` times the sigmoid of the second: ``ac.glu``.

    >>> nn.GLU()([1.0, 2.0, 0.0, 0.0])
    array([0.5, 1. ])
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Any) -> Tensor:
        return functional.glu(x, self.axis)

    def extra_repr(self) -> str:
        return f"axis={self.axis}"


class Softsign(Layer):
    """x / (1 + |x|): ``ac.softsign``.

    >>> nn.Softsign()([-1.0, 3.0])
    array([-0.5 ,  0.75])
    """

    def forward(self, x: Any) -> Tensor:
        return softsign(operand(x, "Softsign"))


class Hardtanh(Layer):
    """x held between min_val and max_val, with slope 0 at both: ``ac.hardtanh``.

    >>> nn.Hardtanh()([-2.0, 0.5, 3.0])
    array([-1. ,  0.5,  1. ])
    """

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        self.min_val, self.max_val = min_val, max_val

    def forward(self, x: Any) -> Tensor:
        return functional.hardtanh(x, self.min_val, self.max_val)

    def extra_repr(self) -> str:
        return f"min_val={self.min_val}, max_val={self.max_val}"


class Threshold(Layer):
    """x where it is above ``threshold``, else ``value``: ``ac.threshold``.

    >>> nn.Threshold(1.0, -1.0)([0.5, 1.0, 2.0])
    array([-1., -1.,  2.])
    """

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        self.threshold, self.value = threshold, value

    def forward(self, x: Any) -> Tensor:
        return functional.threshold(x, self.threshold, self.value)

    def extra_repr(self) -> str:
        return f"threshold={self.threshold}, value={self.value}"


class PReLU(Layer):
    """max(0, x) + weight * min(x, 0), the weight trained, one number or one for each channel: ``ac.prelu``.

    num_parameters: 1 or the number of channels; init: their first value.  layout: which axis the channels are.
    Raises ValueError, when called, for another number of channels.

    >>> nn.PReLU()([-1.0, 2.0]).value
    array([-0.25,  2.  ])
    """

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, *, layout: str = "channels_last", dtype: Any = np.float32
    ) -> None:
        slopes = whole_number(num_parameters, "PReLU: num_parameters", 1)
        self.layout = layout
        self.weight = Parameter(np.full(slopes, real(init, "PReLU: init")), dtype=dtype)

    def forward(self, x: Any) -> Tensor:
        return functional.prelu(x, self.weight, layout=self.layout)

    def extra_repr(self) -> str:
        layout = "" if self.layout == "channels_last" else f", layout={self.layout!r}"
        return f"num_parameters={self.weight.size}{layout}"
