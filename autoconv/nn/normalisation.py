"""Normalisation layers with their running statistics, and dropout with its generator."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ..arrays import wide
from ..functional import normalisation as functional
from ..functional.composed import operand
from ..hooks import keep, observe
from ..operands import generator, real
from ..shapes import Ints, flag, whole_number, whole_numbers
from ..tape import Array, Tensor
from .init import Rng
from .module import Layer, Parameter


class _BatchNorm(Layer):
    """What the layers of one to three dimensions share: parameters, running statistics, both ways of forward."""

    running_mean: Array
    running_var: Array

    def __init__(self, num_features: int, eps: float, momentum: float, affine: bool, layout: str, dtype: Any) -> None:
        self.num_features = whole_number(num_features, f"{type(self).__name__}: num_features", 1)
        name = type(self).__name__
        affine = flag(affine, f"{name}: affine")
        real(eps, f"{name}: eps")
        if not 0 <= real(momentum, f"{name}: momentum") <= 1:
            raise ValueError(f"{type(self).__name__}: momentum={momentum} must lie in 0 .. 1")
        self.eps, self.momentum, self.layout = eps, momentum, layout
        self.weight = Parameter(np.ones(num_features), dtype=dtype) if affine else None
        self.bias = Parameter(np.zeros(num_features), dtype=dtype) if affine else None
        # a variance of float16 numbers may lie outside float16's range
        self.register_buffer("running_mean", np.zeros(num_features, wide(dtype)))
        self.register_buffer("running_var", np.ones(num_features, wide(dtype)))

    def forward(self, x: Any) -> Tensor:
        stored = {} if self.training else {"mean": keep(self, "running_mean"), "var": keep(self, "running_var")}
        x = operand(x, type(self).__name__)
        axis = functional.channel_axis(x, self.layout, type(self).__name__)
        if x.shape[axis] != self.num_features:
            raise ValueError(
                f"{type(self).__name__}: the input has {x.shape[axis]} channels (shape {x.shape}), the layer "
                f"{self.num_features}"
            )
        y = functional.batch_norm(x, self.weight, self.bias, **stored, eps=self.eps, layout=self.layout)
        if self.training:
            axes, n = tuple(i for i in range(x.ndim) if i != axis), x.size // self.num_features
            observe(partial(self._keep, n / (n - 1)), *functional.moments(x, axes))
        return y

    def _keep(self, unbiased: float, batch_mean: Array, batch_var: Array) -> None:
        self.running_mean = self._mixed(self.running_mean, batch_mean)
        self.running_var = self._mixed(self.running_var, unbiased * batch_var)

    def _mixed(self, running: Array, batch: Array) -> Array:
        mixed = (1 - self.momentum) * running + self.momentum * batch.reshape(running.shape)
        return mixed.astype(running.dtype)

    def extra_repr(self) -> str:
        changed = [f", {k}={getattr(self, k)!r}" for k, v in _USUAL.items() if getattr(self, k) != v]
        return f"{self.num_features}" + "".join(changed) + ("" if self.weight is not None else ", affine=False")


_USUAL = {"eps": 1e-5, "momentum": 0.1, "layout": "channels_last"}


class BatchNorm1d(_BatchNorm):
    """Each channel standardised over the batch and all positions, then scaled and shifted (Ioffe and Szegedy, 2015).

        y[n, .., c] = (x[n, .., c] - mean[c]) / sqrt(var[c] + eps) * weight[c] + bias[c]

    x: (N, C), (N, W, C) or, with layout="channels_first", (N, C, W); weight, bias: (C,), at first 1 and 0.
    Training uses the batch's mean and biased variance, and keeps, as PyTorch does, with the unbiased variance,

        running = (1 - momentum) * running + momentum * batch;

    evaluation uses running_mean and running_var.  ``affine=False`` leaves out weight and bias.
    Raises ValueError for a momentum outside 0 .. 1 and, when called, for another number of channels.

    >>> layer = nn.BatchNorm1d(3)
    >>> layer(np.ones((4, 3), np.float32)).shape, layer.running_mean
    ((4, 3), array([0.1, 0.1, 0.1], dtype=float32))
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        *,
        layout: str = "channels_last",
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, layout, dtype)


class BatchNorm2d(_BatchNorm):
    """Each channel standardised over the batch and all positions, then scaled and shifted (Ioffe and Szegedy, 2015).

        y[n, .., c] = (x[n, .., c] - mean[c]) / sqrt(var[c] + eps) * weight[c] + bias[c]

    x: (N, H, W, C), or (N, C, H, W) with layout="channels_first"; weight, bias: (C,), at first 1 and 0.
    Training uses the batch's mean and biased variance, and keeps, as PyTorch does, with the unbiased variance,

        running = (1 - momentum) * running + momentum * batch;

    evaluation uses running_mean and running_var.  ``affine=False`` leaves out weight and bias.
    Raises ValueError for a momentum outside 0 .. 1 and, when called, for another number of channels.

    >>> layer = nn.BatchNorm2d(3)
    >>> layer(np.ones((4, 5, 5, 3), np.float32)).shape, layer.running_mean
    ((4, 5, 5, 3), array([0.1, 0.1, 0.1], dtype=float32))
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        *,
        layout: str = "channels_last",
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, layout, dtype)


class BatchNorm3d(_BatchNorm):
    """Each channel standardised over the batch and all positions, then scaled and shifted (Ioffe and Szegedy, 2015).

        y[n, .., c] = (x[n, .., c] - mean[c]) / sqrt(var[c] + eps) * weight[c] + bias[c]

    x: (N, D, H, W, C), or (N, C, D, H, W) with layout="channels_first"; weight, bias: (C,), at first 1 and 0.
    Training uses the batch's mean and biased variance, and keeps, as PyTorch does, with the unbiased variance,

        running = (1 - momentum) * running + momentum * batch;

    evaluation uses running_mean and running_var.  ``affine=False`` leaves out weight and bias.
    Raises ValueError for a momentum outside 0 .. 1 and, when called, for another number of channels.

    >>> layer = nn.BatchNorm3d(3)
    >>> layer(np.ones((4, 2, 5, 5, 3), np.float32)).shape, layer.running_mean
    ((4, 2, 5, 5, 3), array([0.1, 0.1, 0.1], dtype=float32))
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        *,
        layout: str = "channels_last",
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, layout, dtype)


class LayerNorm(Layer):
    """Each example standardised over its own last axes, then scaled and shifted (Ba et al., 2016).

        y[.., i] = (x[.., i] - mean[..]) / sqrt(var[..] + eps) * weight[i] + bias[i]

    normalized_shape: the sizes of those axes, or the last one's; weight, bias: of that shape, at first 1 and 0.
    Raises ValueError, when called, for an input whose last axes have other sizes.

    >>> nn.LayerNorm(2, eps=0.0)(np.array([[1.0, 3.0]])).value
    array([[-1.,  1.]])
    """

    def __init__(
        self, normalized_shape: Ints, eps: float = 1e-5, affine: bool = True, *, dtype: Any = np.float32
    ) -> None:
        self.normalized_shape = whole_numbers(normalized_shape, "LayerNorm: normalized_shape", 1)
        self.eps = real(eps, "LayerNorm: eps")
        affine = flag(affine, "LayerNorm: affine")
        self.weight = Parameter(np.ones(self.normalized_shape), dtype=dtype) if affine else None
        self.bias = Parameter(np.zeros(self.normalized_shape), dtype=dtype) if affine else None

    def forward(self, x: Any) -> Tensor:
        x, n = operand(x, "LayerNorm"), len(self.normalized_shape)
        if x.shape[-n:] != self.normalized_shape:
            raise ValueError(f"LayerNorm: the input has shape {x.shape}, its last axes must be {self.normalized_shape}")
        return functional.layer_norm(x, self.weight, self.bias, axis=tuple(range(-n, 0)), eps=self.eps)

    def extra_repr(self) -> str:
        eps = f", eps={self.eps}" if self.eps != 1e-5 else ""
        return f"{self.normalized_shape}{eps}" + ("" if self.weight is not None else ", affine=False")


class Dropout(Layer):
    """In training each element is zero with probability p and the others are divided by 1 - p; in evaluation x itself.

    p: from 0 to below 1, else ValueError; rng: the generator (shared with whoever else draws from it), a seed, or None
    (Srivastava et al., 2014).

    >>> layer = nn.Dropout(0.5, rng=0)
    >>> layer(np.ones(6)).value
    array([2., 0., 0., 0., 2., 2.])
    >>> layer.eval()(np.ones(6)).value
    array([1., 1., 1., 1., 1., 1.])
    """

    def __init__(self, p: float = 0.5, *, rng: Rng = None) -> None:
        if not 0 <= real(p, "Dropout: p") < 1:
            raise ValueError(f"Dropout: p={p} must be at least 0 and below 1")
        self.p = p
        self.rng = generator(rng, "Dropout: rng")

    def forward(self, x: Any) -> Tensor:
        return functional.dropout(x, self.p, rng=self.rng, training=self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"
