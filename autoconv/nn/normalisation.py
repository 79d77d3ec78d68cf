"""Normalisation layers with their running statistics, and dropout with its generator."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ..arrays import wide
from ..functional import normalisation as functional
from ..functional.composed import operand
from ..hooks import keep, move
from ..operands import generator, real
from ..shapes import Ints, flag, parse_layout, whole_number, whole_numbers
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
            self._follow(*functional.moments(x, axes), n / (n - 1))
        return y

    def _follow(self, mean: Tensor, var: Tensor, unbiased: float) -> None:
        """Move the running statistics towards those of this batch; ``unbiased`` times var is the unbiased variance."""
        move(self, "running_mean", partial(functional.mixed, self.momentum), mean)
        move(self, "running_var", partial(functional.mixed, self.momentum, unbiased=unbiased), var)

    def extra_repr(self) -> str:
        changed = [f", {k}={getattr(self, k)!r}" for k, v in _USUAL.items() if getattr(self, k) != v]
        return f"{self.num_features}" + "".join(changed) + ("" if self.weight is not None else ", affine=False")


def _mixed_examples(momentum: float, running: Any, batch: Any, unbiased: float = 1) -> Any:
    """The same for the mean over the examples (N, 1, .., C)."""
    return functional.mixed(momentum, running, (batch if unbiased == 1 else unbiased * batch).mean(0))


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


class GroupNorm(Layer):
    """The channels of each example standardised in groups of neighbours: ``ac.group_norm``.

    num_groups must divide num_channels; weight, bias: (num_channels,), at first 1 and 0, absent without ``affine``.
    Raises ValueError, when called, for another number of channels.

    >>> nn.GroupNorm(2, 4)(np.ones((2, 5, 5, 4), np.float32)).shape
    (2, 5, 5, 4)
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        layout: str = "channels_last",
        dtype: Any = np.float32,
    ) -> None:
        self.num_groups = whole_number(num_groups, "GroupNorm: num_groups", 1)
        self.num_channels = whole_number(num_channels, "GroupNorm: num_channels", 1)
        if self.num_channels % self.num_groups:
            raise ValueError(f"GroupNorm: num_groups={num_groups} must divide num_channels={num_channels}")
        self.eps, self.layout = real(eps, "GroupNorm: eps"), layout
        affine = flag(affine, "GroupNorm: affine")
        self.weight = Parameter(np.ones(self.num_channels), dtype=dtype) if affine else None
        self.bias = Parameter(np.zeros(self.num_channels), dtype=dtype) if affine else None

    def forward(self, x: Any) -> Tensor:
        x = operand(x, "GroupNorm")
        axis = functional.channel_axis(x, self.layout, "GroupNorm")
        if x.shape[axis] != self.num_channels:
            raise ValueError(
                f"GroupNorm: the input has {x.shape[axis]} channels (shape {x.shape}), the layer {self.num_channels}"
            )
        return functional.group_norm(x, self.num_groups, self.weight, self.bias, self.eps, layout=self.layout)

    def extra_repr(self) -> str:
        changed = [f", {k}={getattr(self, k)!r}" for k in ("eps", "layout") if getattr(self, k) != _USUAL[k]]
        affine = "" if self.weight is not None else ", affine=False"
        return f"{self.num_groups}, {self.num_channels}" + "".join(changed) + affine


class _InstanceNorm(Layer):
    """What the layers of one to three dimensions share: parameters, and running statistics if they are asked for."""

    running_mean: Array
    running_var: Array
    dims: int

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        layout: str = "channels_last",
        dtype: Any = np.float32,
    ) -> None:
        name = type(self).__name__
        self.num_features = whole_number(num_features, f"{name}: num_features", 1)
        if not 0 <= real(momentum, f"{name}: momentum") <= 1:
            raise ValueError(f"{name}: momentum={momentum} must lie in 0 .. 1")
        parse_layout(layout, self.dims, name)
        self.eps, self.momentum, self.layout = real(eps, f"{name}: eps"), momentum, layout
        affine = flag(affine, f"{name}: affine")
        self.weight = Parameter(np.ones(self.num_features), dtype=dtype) if affine else None
        self.bias = Parameter(np.zeros(self.num_features), dtype=dtype) if affine else None
        self.track_running_stats = flag(track_running_stats, f"{name}: track_running_stats")
        if self.track_running_stats:
            self.register_buffer("running_mean", np.zeros(self.num_features, wide(dtype)))
            self.register_buffer("running_var", np.ones(self.num_features, wide(dtype)))

    def forward(self, x: Any) -> Tensor:
        name = type(self).__name__
        x = operand(x, name)
        if x.ndim != self.dims + 2:
            raise ValueError(f"{name}: the input has shape {x.shape}; it needs a batch of {self.dims + 2} dimensions")
        axis = parse_layout(self.layout, self.dims, name).channel_axis
        if x.shape[axis] != self.num_features:
            raise ValueError(
                f"{name}: the input has {x.shape[axis]} channels (shape {x.shape}), the layer {self.num_features}"
            )
        if self.track_running_stats and not self.training:
            stored = {"mean": keep(self, "running_mean"), "var": keep(self, "running_var")}
            return functional.batch_norm(x, self.weight, self.bias, **stored, eps=self.eps, layout=self.layout)
        y = functional.instance_norm(x, self.weight, self.bias, eps=self.eps, layout=self.layout)
        if self.track_running_stats:
            axes = tuple(i for i in range(1, x.ndim) if i != axis)
            n = x.size // (x.shape[0] * self.num_features)
            mean, var = functional.moments(x, axes)
            move(self, "running_mean", partial(_mixed_examples, self.momentum), mean)
            move(self, "running_var", partial(_mixed_examples, self.momentum, unbiased=n / (n - 1)), var)
        return y

    def extra_repr(self) -> str:
        changed = [f", {k}={getattr(self, k)!r}" for k, v in _USUAL.items() if getattr(self, k) != v]
        tracked = ", track_running_stats=True" if self.track_running_stats else ""
        return (
            f"{self.num_features}" + "".join(changed) + (", affine=True" if self.weight is not None else "") + tracked
        )


class InstanceNorm1d(_InstanceNorm):
    """Each channel of each example of (N, W, C) standardised over its positions: ``ac.instance_norm``.

    Settings in PyTorch's order: num_features, eps, momentum, affine (off), track_running_stats (off; on, evaluation
    uses running means over the examples).  Raises ValueError, when called, for another number of channels.

    >>> nn.InstanceNorm1d(3)(np.ones((2, 5, 3), np.float32)).shape
    (2, 5, 3)
    """

    dims = 1


class InstanceNorm2d(_InstanceNorm):
    """Each channel of each example of (N, H, W, C) standardised over its positions: ``ac.instance_norm``.

    Settings in PyTorch's order: num_features, eps, momentum, affine (off), track_running_stats (off; on, evaluation
    uses running means over the examples).  Raises ValueError, when called, for another number of channels.

    >>> nn.InstanceNorm2d(3)(np.ones((2, 5, 5, 3), np.float32)).shape
    (2, 5, 5, 3)
    """

    dims = 2


class InstanceNorm3d(_InstanceNorm):
    """Each channel of each example of (N, D, H, W, C) standardised over its positions: ``ac.instance_norm``.

    Settings in PyTorch's order: num_features, eps, momentum, affine (off), track_running_stats (off; on, evaluation
    uses running means over the examples).  Raises ValueError, when called, for another number of channels.

    >>> nn.InstanceNorm3d(3)(np.ones((2, 4, 5, 5, 3), np.float32)).shape
    (2, 4, 5, 5, 3)
    """

    dims = 3


class LocalResponseNorm(Layer):
    """Each channel divided by the activity of its neighbours, of AlexNet: ``ac.local_response_norm``.

    >>> nn.LocalResponseNorm(5)(np.ones((2, 5, 5, 8))).shape
    (2, 5, 5, 8)
    """

    def __init__(
        self,
        size: int,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 1.0,
        *,
        layout: str = "channels_last",
    ) -> None:
        self.size = whole_number(size, "LocalResponseNorm: size", 1)
        numbers = {"alpha": alpha, "beta": beta, "k": k}
        self.settings: dict[str, Any] = {
            **{name: real(x, f"LocalResponseNorm: {name}") for name, x in numbers.items()},
            "layout": layout,
        }

    def forward(self, x: Any) -> Tensor:
        return functional.local_response_norm(x, self.size, **self.settings)

    def extra_repr(self) -> str:
        return f"{self.size}"


class Dropout2d(Layer):
    """In training each channel of each image is zero throughout with probability p and the others are divided by 1 - p.

    p: from 0 to below 1, else ValueError; rng: a generator, a seed, or None (Tompson et al., 2015).
    x: (N, H, W, C), or (N, C, H, W) with layout="channels_first".

    >>> layer = nn.Dropout2d(0.5, rng=0)
    >>> layer(np.ones((1, 2, 2, 3))).value[0, 0]
    array([[2., 0., 0.],
           [2., 0., 0.]])
    """

    def __init__(
        self, p: float = 0.5, inplace: bool = False, *, rng: Rng = None, layout: str = "channels_last"
    ) -> None:
        if not 0 <= real(p, "Dropout2d: p") < 1:
            raise ValueError(f"Dropout2d: p={p} must be at least 0 and below 1")
        axis = parse_layout(layout, 2, "Dropout2d").channel_axis
        self.p, self.layout, self.axis = p, layout, axis
        self.rng = generator(rng, "Dropout2d: rng")

    def forward(self, x: Any) -> Tensor:
        x = operand(x, "Dropout2d")
        if x.ndim != 4:
            raise ValueError(f"Dropout2d: the input has shape {x.shape}; it needs a batch of images")
        if not self.training or not self.p:
            return x  # type: ignore[no-any-return]
        shape = tuple(n if i in (0, self.axis) else 1 for i, n in enumerate(x.shape))
        kept = functional.dropout(np.ones(shape, x.dtype), self.p, rng=self.rng, training=True)
        result: Tensor = x * kept
        return result

    def extra_repr(self) -> str:
        return f"p={self.p}" + ("" if self.layout == "channels_last" else f", layout={self.layout!r}")


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

    def __init__(self, p: float = 0.5, inplace: bool = False, *, rng: Rng = None) -> None:
        if not 0 <= real(p, "Dropout: p") < 1:
            raise ValueError(f"Dropout: p={p} must be at least 0 and below 1")
        self.p = p
        self.rng = generator(rng, "Dropout: rng")

    def forward(self, x: Any) -> Tensor:
        return functional.dropout(x, self.p, rng=self.rng, training=self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"
