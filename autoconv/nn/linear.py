"""The fully connected layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..functional.composed import operand
from ..functional.linalg import matmul
from ..operands import generator
from ..shapes import flag, whole_number
from ..tape import Tensor
from .init import Initializer, Rng, fans, he_uniform
from .module import Layer, Parameter


class Linear(Layer):
    """y[.., o] = sum over i of x[.., i] * weight[i, o] + bias[o].

    x: (.., in_features); y: (.., out_features).  weight: (in_features, out_features), the transpose of PyTorch's, so
    that y = x @ weight + bias, as channels-last kernels (kH, kW, C_in, C_out) have it; bias: (out_features,), zero at
    first. rng: a generator or seed for the initial weights, drawn by ``init``.
    Raises ValueError, when called, for an input whose last axis has another size.

    >>> layer = nn.Linear(3, 2)
    >>> layer(np.zeros((5, 3), np.float32)).shape, layer.weight.shape
    ((5, 2), (3, 2))
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        rng: Rng = None,
        init: Initializer = he_uniform,
        dtype: Any = np.float32,
    ) -> None:
        self.in_features = whole_number(in_features, "Linear: in_features", 1)
        self.out_features = whole_number(out_features, "Linear: out_features", 1)
        shape = (self.in_features, self.out_features)
        with_bias = flag(bias, "Linear: bias")
        self.weight = Parameter(init(shape, generator(rng, "Linear: rng"), fans(shape)), dtype=dtype, fans=fans(shape))
        self.bias = Parameter(np.zeros(self.out_features), dtype=dtype) if with_bias else None

    def forward(self, x: Any) -> Tensor:
        x = operand(x, "Linear")
        if not x.ndim or x.shape[-1] != self.in_features:
            raise ValueError(
                f"Linear: the input has shape {x.shape}, its last axis must have {self.in_features} features (weight "
                f"{self.weight.shape}); "
                "put Flatten before the layer, or give it that in_features"
            )
        y = matmul(x, self.weight)
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}" + ("" if self.bias is not None else ", bias=False")
