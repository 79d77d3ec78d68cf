"""Normalisation and dropout, composed."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import primitives as p
from ..hooks import draw
from ..operands import found, generator, real
from ..shapes import Ints, Shape, normalize_axes, parse_layout, whole_number
from ..tape import Tensor
from .composed import composed, in_float32, operand
from .geometry import reshaped
from .reduce import mean, sum

__all__ = ["batch_norm", "dropout", "group_norm", "instance_norm", "layer_norm", "local_response_norm"]


def moments(x: Any, axes: Shape) -> tuple[Any, Any]:
    """(mean, biased variance) over ``axes``, with the axes kept: var = mean((x - mean)^2); of float16 in float32."""
    x = in_float32(x)
    mu = mean(x, axes, keepdims=True)
    deviation = x - mu
    return mu, mean(deviation * deviation, axes, keepdims=True)


def mixed(momentum: float, running: Any, batch: Any, unbiased: float = 1) -> Any:
    """(1 - momentum) * running + momentum * batch, of arrays or Tensors (C,) and (1, .., C), in the dtype of running.

    unbiased: by what the statistic of the batch is multiplied first.
    """
    batch = batch if unbiased == 1 else unbiased * batch
    return ((1 - momentum) * running + momentum * batch.reshape(running.shape)).astype(running.dtype)


def standardize(x: Any, mu: Any, variance: Any, weight: Any, bias: Any, eps: float) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias."""
    return standardised(x - mu, variance, weight, bias, eps)


def standardised(deviation: Any, variance: Any, weight: Any, bias: Any, eps: Any) -> Tensor:
    """deviation / sqrt(variance + eps) * weight + bias."""
    y = deviation / p.sqrt(variance + eps)
    y = y if weight is None else y * weight
    result: Tensor = y if bias is None else y + bias
    return result


@composed("x", "weight", "bias", statistics=True)
def batch_norm(
    x: Any,
    weight: Any = None,
    bias: Any = None,
    *,
    mean: Any = None,
    var: Any = None,
    eps: float = 1e-5,
    layout: str = "channels_last",
) -> Tensor:
    """Each channel standardised over the batch and all positions (Ioffe and Szegedy, 2015).

        y[n, .., c] = (x[n, .., c] - mean[c]) / sqrt(var[c] + eps) * weight[c] + bias[c]

    x: (N, *spatial, C) or (N, C); weight, bias: (C,); mean, var: (C,) statistics to use in place of the batch's own
    (biased variance).  layout="channels_first": (N, C, *spatial).
    Raises ValueError for parameters of another length, or a batch with one value per channel.

    >>> ac.batch_norm(np.array([[1.0, 10.0], [3.0, 30.0]]), eps=0.0)
    array([[-1., -1.],
           [ 1.,  1.]])
    """
    axis = channel_axis(x, layout, "batch_norm")
    real(eps, "batch_norm: eps")
    mean, var = [q if q is None else operand(q, f"batch_norm: {k}") for k, q in (("mean", mean), ("var", var))]
    channels = x.shape[axis]
    for name, parameter in {"weight": weight, "bias": bias, "mean": mean, "var": var}.items():
        if parameter is not None and parameter.shape != (channels,):
            raise ValueError(
                f"batch_norm: {name} has shape {parameter.shape}, it needs ({channels},): one number for each channel "
                f"of the input (shape {x.shape})"
            )
    if (mean is None) != (var is None):
        raise ValueError("batch_norm: give both mean and var, or neither")
    along = (channels,) + (1,) * (x.ndim - 1 - axis)
    over = tuple(i for i in range(x.ndim) if i != axis)
    if mean is None and x.size <= channels:
        raise ValueError(
            f"batch_norm: shape {x.shape} has one value for each channel; a variance needs more: use a larger batch or "
            "stored statistics"
        )
    shaped = [None if q is None else p.reshape(q, shape=along) for q in (mean, var, weight, bias)]
    mu, variance = moments(x, over) if mean is None else shaped[:2]
    return standardize(x, mu, variance, shaped[2], shaped[3], eps)


def channel_axis(x: Any, layout: str, operation: str) -> int:
    """The channel axis of a batch of any number of dimensions, or of (N, C)."""
    dims = x.ndim - 2
    if not 0 <= dims <= 3:
        raise ValueError(f"{operation}: the input has shape {x.shape}; use (N, C) or a batch (N, *spatial, C)")
    return parse_layout(layout, max(dims, 1), operation).channel_axis if dims or not _known(layout) else 1


def _known(layout: Any) -> bool:
    """Whether a layout of (N, C), in which nothing depends on it, may be called so."""
    return isinstance(layout, str) and layout in ("channels_last", "channels_first", "NC")


@composed("x", "weight", "bias", statistics=True)
def layer_norm(x: Any, weight: Any = None, bias: Any = None, *, axis: Ints = -1, eps: float = 1e-5) -> Tensor:
    """Each example standardised over its own ``axis`` (the last, or several last ones) (Ba et al., 2016).

        y[.., i] = (x[.., i] - mean[..]) / sqrt(var[..] + eps) * weight[i] + bias[i]

    x: (.., *normalised); weight, bias: of the normalised shape.  Raises ValueError for parameters of another shape.

    >>> ac.layer_norm(np.array([[1.0, 3.0], [10.0, 30.0]]), eps=0.0)
    array([[-1.,  1.],
           [-1.,  1.]])
    """
    if axis is None:
        raise TypeError("layer_norm: axis must be a number or several, found None")
    axes = tuple(sorted(normalize_axes(axis, x.ndim, "layer_norm")))
    real(eps, "layer_norm: eps")
    normalised = tuple(x.shape[a] for a in axes)
    for name, parameter in {"weight": weight, "bias": bias}.items():
        if parameter is not None and parameter.shape != normalised:
            raise ValueError(
                f"layer_norm: {name} has shape {parameter.shape}, it needs {normalised}: the sizes of axes {axes} of "
                f"the input (shape {x.shape})"
            )
    return standardised_over(x, axes, weight, bias, eps)


def standardised_over(x: Any, axes: Shape, weight: Any, bias: Any, eps: float) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias with the moments over ``axes``, whatever the size of the numbers."""
    mu = mean(x, axes, keepdims=True)
    deviation = x - mu
    scale = inverse_size(deviation, axes)
    scaled = deviation * scale
    return standardised(scaled, mean(scaled * scaled, axes, keepdims=True), weight, bias, eps * scale * scale)


def inverse_size(deviation: Any, axes: Shape) -> Any:
    """1 / mean |deviation| where squares may leave the range of the dtype, else 1; a constant, since it cancels."""
    if deviation.dtype.kind != "f":  # exact fractions have no range to leave
        return 1
    constant = p.stop_gradient(deviation)
    size = mean(p.abs_(constant), axes, keepdims=True)
    digits = np.finfo(deviation.dtype).maxexp // 4
    return 1 / p.where(p.greater(size, 2.0**digits), size, 1)


@composed("x", "weight", "bias", statistics=True)
def group_norm(
    x: Any,
    num_groups: int,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    *,
    layout: str = "channels_last",
) -> Tensor:
    """The channels of each example standardised in ``num_groups`` groups of neighbours (Wu and He, 2018).

        y[n, .., c] = (x[n, .., c] - mean[n, g]) / sqrt(var[n, g] + eps) * weight[c] + bias[c],  g the group of c

    x: (N, *spatial, C) or (N, C); weight, bias: (C,).  layout="channels_first": (N, C, *spatial).
    Raises ValueError for a number of groups that does not divide the channels, or parameters of another length.

    >>> ac.group_norm(np.array([[1.0, 3.0, 10.0, 30.0]]), 2, eps=0.0)
    array([[-1.,  1., -1.,  1.]])
    """
    axis = channel_axis(x, layout, "group_norm")
    number = whole_number(num_groups, "group_norm: num_groups", 1)
    channels = x.shape[axis]
    if channels % number:
        raise ValueError(
            f"group_norm: num_groups={number} must divide the {channels} channels of the input (shape {x.shape})"
        )
    return _grouped("group_norm", x, number, axis, weight, bias, eps)


@composed("x", "weight", "bias", statistics=True)
def instance_norm(
    x: Any,
    weight: Any = None,
    bias: Any = None,
    *,
    eps: float = 1e-5,
    layout: str = "channels_last",
) -> Tensor:
    """Each channel of each example standardised over its positions (Ulyanov et al., 2016).

        y[n, .., c] = (x[n, .., c] - mean[n, c]) / sqrt(var[n, c] + eps) * weight[c] + bias[c]

    x: (N, *spatial, C); weight, bias: (C,).  layout="channels_first": (N, C, *spatial).  (With stored
    statistics it is ``batch_norm``.)  Raises ValueError for parameters of another length, or a single position.

    >>> ac.instance_norm(np.array([[[1.0], [3.0]], [[10.0], [30.0]]]), eps=0.0)[..., 0]
    array([[-1.,  1.],
           [-1.,  1.]])
    """
    axis = channel_axis(x, layout, "instance_norm")
    if x.ndim < 3 or x.size <= x.shape[0] * x.shape[axis]:
        raise ValueError(
            f"instance_norm: shape {x.shape} has one value for each channel of an example; a variance needs more "
            "positions, or stored statistics"
        )
    return _grouped("instance_norm", x, x.shape[axis], axis, weight, bias, eps)


def _grouped(name: str, x: Any, groups: int, axis: int, weight: Any, bias: Any, eps: float) -> Tensor:
    """Each example standardised over all positions and the channels of a group; parameters for each channel."""
    real(eps, f"{name}: eps")
    channels = x.shape[axis]
    for k, parameter in {"weight": weight, "bias": bias}.items():
        if parameter is not None and parameter.shape != (channels,):
            raise ValueError(
                f"{name}: {k} has shape {parameter.shape}, it needs ({channels},): one number for each channel of the "
                f"input (shape {x.shape})"
            )
    shape = (*x.shape[:axis], groups, channels // groups, *x.shape[axis + 1 :])
    along = (groups, channels // groups) + (1,) * (x.ndim - 1 - axis)
    over = tuple(i for i in range(1, len(shape)) if i != axis)
    weight, bias = [None if q is None else p.reshape(q, shape=along) for q in (weight, bias)]
    result: Tensor = reshaped(standardised_over(p.reshape(x, shape=shape), over, weight, bias, eps), x.shape)
    return result


@composed("x", statistics=True)
def local_response_norm(
    x: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0, *, layout: str = "channels_last"
) -> Tensor:
    """Each channel divided by the activity of its neighbours, of AlexNet (Krizhevsky et al., 2012).

        y[.., c] = x[.., c] / (k + alpha / size * sum over ``size`` channels d around c of x[.., d]^2) ^ beta

    From c - size // 2 to c + (size - 1) // 2, channels that do not exist being 0; alpha is divided by size, as in
    PyTorch.  x: (N, *spatial, C), or (N, C, *spatial) with layout="channels_first".  Raises ValueError for a size
    below 1.

    >>> ac.local_response_norm(np.array([[1.0, 2.0, 2.0]]), 3, alpha=3.0, beta=0.5, k=0.0).round(4)
    array([[0.4472, 0.6667, 0.7071]])
    """
    axis = channel_axis(x, layout, "local_response_norm")
    n = whole_number(size, "local_response_norm: size", 1)
    for name, number in {"alpha": alpha, "beta": beta, "k": k}.items():
        real(number, f"local_response_norm: {name}")
    width = ((0, 0),) * axis + ((n // 2, (n - 1) // 2),) + ((0, 0),) * (x.ndim - axis - 1)
    neighbours = p.windows(p.pad(x * x, width=width), axes=(axis,), window=(n,), stride=(1,), dilation=(1,))
    activity = k + alpha / n * sum(neighbours, axis + 1)
    result: Tensor = x / activity**beta
    return result


@composed("x")
def dropout(x: Any, p: float = 0.5, training: bool = True, *, rng: np.random.Generator | None = None) -> Tensor:
    """x with each element zero with probability ``p`` and the others divided by 1 - p, drawn from ``rng``; x itself
    when not training (Srivastava et al., 2014).

    rng None: the generator of ``ac.manual_seed``, or an unseeded one.  Raises ValueError for p outside [0, 1).

    >>> ac.dropout(np.ones(6), 0.5, rng=np.random.default_rng(0))
    array([2., 0., 0., 0., 2., 2.])
    """
    if not 0 <= real(p, "dropout: p") < 1:
        raise ValueError(f"dropout: p={p} must be at least 0 and below 1")
    if not training or p == 0:
        return x  # type: ignore[no-any-return]
    source = generator(None, "dropout: rng") if rng is None else rng
    if not isinstance(source, np.random.Generator):
        raise TypeError(
            f"dropout: rng must be a generator of random numbers, found {found(rng)}; make one with "
            "np.random.default_rng(seed)"
        )
    shape, dtype = x.shape, x.dtype
    if dtype == object:
        raise TypeError("dropout: not defined for exact fractions (dtype object); use floating-point numbers")
    result: Tensor = x * draw(source, lambda: ((source.random(shape) >= p).astype(dtype) / (1 - p)).astype(dtype))
    return result
