"""ONNX's layers: products of matrices, convolution, pooling, normalisation.  Images and kernels are channels first."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .... import functional as f
from .... import primitives as p
from ....shapes import slide
from ...places import numbers, places_of_largest, unpooled
from .elementwise import cast_to
from .known import axis_of, check_room, integers

Operation = Callable[..., Any]
FIRST = "channels_first"


# ---- products


def gemm(
    a: Any,
    b: Any,
    c: Any = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,  # noqa: N803 (ONNX's name)
    transB: int = 0,  # noqa: N803
) -> Any:
    """alpha a b + beta c, a and b transposed where asked; c is broadcast."""
    if a.ndim != 2 or b.ndim != 2:
        raise ValueError(f"Gemm of shapes {a.shape} and {b.shape}; it multiplies matrices")
    y = f.einsum(f"{'ji' if transA else 'ij'},{'kj' if transB else 'jk'}->ik", a, b)
    y = y if alpha == 1 else p.mul(y, alpha)
    if c is None or beta == 0:
        return y
    return p.add(y, c if beta == 1 else p.mul(c, beta))


def matmul(a: Any, b: Any) -> Any:
    """The product of matrices, leading axes broadcast."""
    return f.matmul(a, b)


def einsum(*xs: Any, equation: str) -> Any:
    """Sums of products by letters."""
    return f.einsum(equation, *xs)


# ---- convolution and pooling


def _dims(x: Any) -> int:
    dims = int(x.ndim) - 2
    if dims not in (1, 2, 3):
        raise ValueError(f"an input of shape {x.shape}; one to three spatial dimensions are covered")
    return dims


def _padding(auto_pad: str, pads: Sequence[int] | None, dims: int) -> Any:
    """Padding as autoconv takes it, from ONNX's two attributes: all befores, then all afters."""
    words = {"VALID": "valid", "SAME_UPPER": "same", "SAME_LOWER": "same_lower"}
    if auto_pad in words:
        return words[auto_pad]
    if auto_pad not in ("NOTSET", ""):
        raise ValueError(f"auto_pad {auto_pad!r}; there are NOTSET, {', '.join(words)}")
    widths = (0,) * (2 * dims) if pads is None else integers(pads, "pads")
    if len(widths) != 2 * dims:
        raise ValueError(f"pads {widths} must be two numbers for each of {dims} spatial dimensions")
    return tuple((widths[i], widths[i + dims]) for i in range(dims))


def _check_kernel(w: Any, kernel_shape: Sequence[int] | None) -> None:
    if kernel_shape is not None and tuple(kernel_shape) != w.shape[2:]:
        raise ValueError(f"kernel_shape {tuple(kernel_shape)}, but the kernel has shape {w.shape}")


def conv(
    x: Any, w: Any, b: Any = None, *, auto_pad: str = "NOTSET", dilations: Sequence[int] | None = None,
    group: int = 1, kernel_shape: Sequence[int] | None = None, pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Any:  # fmt: skip
    """Cross-correlation of x (N, C, *spatial) with w (M, C / group, *window)."""
    dims = _dims(x)
    _check_kernel(w, kernel_shape)
    convolve = (f.conv1d, f.conv2d, f.conv3d)[dims - 1]
    return convolve(x, w, b, strides or 1, _padding(auto_pad, pads, dims), dilations or 1, group, layout=FIRST)


def conv_transpose(
    x: Any, w: Any, b: Any = None, *, auto_pad: str = "NOTSET", dilations: Sequence[int] | None = None,
    group: int = 1, kernel_shape: Sequence[int] | None = None, output_padding: Sequence[int] | None = None,
    output_shape: Sequence[int] | None = None, pads: Sequence[int] | None = None, strides: Sequence[int] | None = None,
) -> Any:  # fmt: skip
    """The adjoint of a convolution: x (N, C, *spatial) with w (C, M / group, *window)."""
    dims = _dims(x)
    _check_kernel(w, kernel_shape)
    stride, dilation = tuple(strides or (1,) * dims), tuple(dilations or (1,) * dims)
    extra = tuple(output_padding or (0,) * dims)
    sides = zip(x.shape[2:], w.shape[2:], stride, dilation, strict=True)
    full = [s * (n - 1) + d * (k - 1) + 1 for n, k, s, d in sides]
    if output_shape is not None or auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        same = [n * s for n, s in zip(x.shape[2:], stride, strict=True)]
        sizes = same if output_shape is None else list(output_shape)[-dims:]
        less = [n + e - m for n, e, m in zip(full, extra, sizes, strict=True)]
        halves = [(n // 2, n - n // 2) if auto_pad == "SAME_UPPER" else (n - n // 2, n // 2) for n in less]
    else:
        pairs = _padding(auto_pad, pads, dims)
        halves = [(0, 0)] * dims if pairs == "valid" else list(pairs)
    check_room((x.shape[0], *[n + e for n, e in zip(full, extra, strict=True)]), x.dtype, "ConvTranspose")
    transposed = (f.conv_transpose1d, f.conv_transpose2d, f.conv_transpose3d)[dims - 1]
    small = all(e < max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True))
    if small and min(min(pair) for pair in halves) >= 0:
        return transposed(x, w, b, stride, tuple(halves), extra, group, dilation, layout=FIRST)
    y = transposed(x, w, None, stride, 0, 0, group, dilation, layout=FIRST)
    y = f.pad(y, [(0, 0), (0, 0), *[(-low, e - high) for (low, high), e in zip(halves, extra, strict=True)]])
    return y if b is None else p.add(y, f.reshape(b, (-1, *(1,) * dims)))


def max_pool(
    x: Any, *, kernel_shape: Sequence[int], auto_pad: str = "NOTSET", ceil_mode: int = 0,
    dilations: Sequence[int] | None = None, pads: Sequence[int] | None = None, storage_order: int = 0,
    strides: Sequence[int] | None = None, outputs: int,
) -> tuple[Any, ...]:  # fmt: skip
    """The largest cell of each window; and where it is in the flattened input."""
    dims = _dims(x)
    padding, stride, dilation = _padding(auto_pad, pads, dims), strides or 1, dilations or 1
    pool = (f.max_pool1d, f.max_pool2d, f.max_pool3d)[dims - 1]
    y = pool(x, kernel_shape, stride, padding, dilation, ceil_mode=bool(ceil_mode), layout=FIRST)
    if outputs < 2:
        return (y,)
    spatial = x.shape[2:]
    number = np.arange(math.prod(spatial)).reshape(spatial[::-1] if storage_order else spatial)
    images = np.arange(x.shape[0] * x.shape[1]).reshape(*x.shape[:2], *(1,) * dims) * math.prod(spatial)
    through = lambda x: pool(x, kernel_shape, stride, padding, dilation, ceil_mode=bool(ceil_mode), layout=FIRST)
    return y, places_of_largest(through, x, images + (number.T if storage_order else number))


def max_unpool(
    x: Any, places: Any, output_shape: Any = None, *, kernel_shape: Sequence[int], pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Any:  # fmt: skip
    """The other way round MaxPool: 0, but at the places that its second output names, which hold x."""
    dims = _dims(x)
    low_high = _padding("NOTSET", pads, dims)
    moves = zip(x.shape[2:], strides or (1,) * dims, kernel_shape, low_high, strict=True)
    own = (*x.shape[:2], *[(n - 1) * s + k - low - high for n, s, k, (low, high) in moves])
    asked = own if output_shape is None else integers(output_shape, "the output's shape")
    check_room(asked, x.dtype, "MaxUnpool")
    # a place counts through the whole array of the sizes that MaxPool read
    cells = np.unravel_index(np.clip(numbers(places), 0, math.prod(own) - 1), own)
    spatial = tuple(np.minimum(c, n - 1) for c, n in zip(cells[2:], asked[2:], strict=True))
    return unpooled(x, np.ravel_multi_index(spatial, asked[2:]), asked, dims)


def average_pool(
    x: Any, *, kernel_shape: Sequence[int], auto_pad: str = "NOTSET", ceil_mode: int = 0, count_include_pad: int = 0,
    dilations: Sequence[int] | None = None, pads: Sequence[int] | None = None, strides: Sequence[int] | None = None,
) -> Any:  # fmt: skip
    """The mean of each window, of the cells in the input, or in its padding too."""
    dims = _dims(x)
    padding, stride = _padding(auto_pad, pads, dims), strides or 1
    if not dilations or set(dilations) == {1}:
        pool = (f.avg_pool1d, f.avg_pool2d, f.avg_pool3d)[dims - 1]
        return pool(x, kernel_shape, stride, padding, bool(ceil_mode), bool(count_include_pad), layout=FIRST)
    total, move = _windows_sum(x, kernel_shape, stride, padding, dilations, ceil_mode)
    counts: Any = np.ones((1,) * dims)
    for i in range(dims):
        along = np.array(move.counts(i, bool(count_include_pad)), float)
        counts = counts * along.reshape([-1 if k == i else 1 for k in range(dims)])
    return p.div(total, counts.astype(x.dtype))


def _windows_sum(x: Any, window: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: int) -> tuple[Any, Any]:
    """The sum of each window of any dilation, and how it slides."""
    dims = x.ndim - 2
    move = slide(x.shape[2:], window, stride, padding, dilation, ceil_mode=bool(ceil_mode), operation="pooling")
    padded = p.pad(x, width=((0, 0), (0, 0), *move.reach)) if any(map(any, move.reach)) else x
    axes = tuple(range(2, 2 + dims))
    frames = p.windows(padded, axes=axes, window=move.window, stride=move.stride, dilation=move.dilation)
    return f.sum(frames, tuple(range(2 + dims, 2 + 2 * dims))), move


def lp_pool(
    x: Any, *, kernel_shape: Sequence[int], p: int = 2, auto_pad: str = "NOTSET", ceil_mode: int = 0,
    dilations: Sequence[int] | None = None, pads: Sequence[int] | None = None, strides: Sequence[int] | None = None,
) -> Any:  # fmt: skip
    """The p-norm of each window."""
    dims = _dims(x)
    padding, stride = _padding(auto_pad, pads, dims), strides or 1
    if not dilations or set(dilations) == {1}:
        pool = (f.lp_pool1d, f.lp_pool2d, f.lp_pool3d)[dims - 1]
        return pool(x, kernel_shape, p, stride, padding, bool(ceil_mode), layout=FIRST)
    total, _ = _windows_sum(_to_the(x, p), kernel_shape, stride, padding, dilations, ceil_mode)
    return _root(total, p)


def _to_the(x: Any, exponent: float) -> Any:
    return p.mul(x, x) if exponent == 2 else p.power(p.abs_(x), float(exponent))


def _root(total: Any, exponent: float) -> Any:
    """The exponent-th root, with slope 0 at 0."""
    zero = p.equal(total, 0)
    safe = p.where(zero, 1, total)
    return p.where(zero, 0, p.sqrt(safe) if exponent == 2 else p.power(safe, 1 / exponent))


def over_positions(function: Operation) -> Operation:
    """Global pooling: a reduction over all spatial axes, which keep size 1."""

    def operation(x: Any) -> Any:
        if x.ndim < 2:
            raise ValueError(f"an input of shape {x.shape}; it needs a batch and channels")
        return function(x, tuple(range(2, x.ndim)), True)

    return operation


def global_lp_pool(x: Any, *, p: int = 2) -> Any:
    """The p-norm over all positions."""
    return _root(f.sum(_to_the(x, p), tuple(range(2, x.ndim)), True), p)


# ---- normalisation


def _along(q: Any, ndim: int) -> Any:
    """One number for each channel, shaped to stand beside x."""
    return f.reshape(q, (-1, *(1,) * (ndim - 2)))


def batch_normalization(
    x: Any, scale: Any, b: Any, mean: Any, var: Any, *, epsilon: float = 1e-5, momentum: float = 0.9,
    spatial: int = 1, training_mode: int = 0, opset: int, outputs: int,
) -> tuple[Any, ...]:  # fmt: skip
    """Each channel standardised by the stored statistics; in training by the batch's, and the statistics follow.

    Before opset 14 a node with more outputs than one is in training; the outputs beyond the third are saved copies.
    """
    if not (training_mode or (opset < 14 and outputs > 1)):
        if spatial and 2 <= x.ndim <= 5:
            return (f.batch_norm(x, scale, b, mean=mean, var=var, eps=epsilon, layout=FIRST),)
        stored = (mean, var, scale, b)
        mu, variance, weight, bias = [_along(q, x.ndim) for q in stored] if spatial and x.ndim > 1 else stored
        return (p.add(p.mul(p.div(p.sub(x, mu), p.sqrt(p.add(variance, epsilon))), weight), bias),)
    axes = tuple(i for i in range(x.ndim) if i != 1)
    mu = f.mean(x, axes)
    deviation = p.sub(x, _along(mu, x.ndim))
    variance = f.mean(p.mul(deviation, deviation), axes)
    y = p.div(deviation, p.sqrt(p.add(_along(variance, x.ndim), epsilon)))
    y = p.add(p.mul(y, _along(scale, x.ndim)), _along(b, x.ndim))
    running = [p.add(p.mul(old, momentum), p.mul(new, 1 - momentum)) for old, new in ((mean, mu), (var, variance))]
    return (y, *running, mu, variance)[: max(outputs, 1)]


def instance_normalization(x: Any, scale: Any, b: Any, *, epsilon: float = 1e-5) -> Any:
    """Each channel of each example standardised over its positions."""
    return f.group_norm(x, x.shape[1], scale, b, epsilon, layout=FIRST)


def group_normalization(
    x: Any, scale: Any, b: Any, *, num_groups: int, epsilon: float = 1e-5, stash_type: int = 1, opset: int
) -> Any:
    """Groups of channels standardised together; before opset 21 one scale and bias for each group."""
    if opset < 21 and scale.size == num_groups:
        scale, b = [f.repeat(q, x.shape[1] // num_groups, 0) for q in (scale, b)]
    return f.group_norm(x, num_groups, scale, b, epsilon, layout=FIRST)


def layer_normalization(
    x: Any, scale: Any, b: Any = None, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1, outputs: int
) -> tuple[Any, ...]:
    """Each example standardised over the axes from ``axis`` on; and its mean and 1 / standard deviation."""
    first = axis_of(axis, x.ndim, "axis")
    axes = tuple(range(first, x.ndim))
    if outputs < 2 and scale.shape == x.shape[first:] and (b is None or b.shape == scale.shape):
        return (f.layer_norm(x, scale, b, axis=axes, eps=epsilon),)
    wide = cast_to(x, np.float32) if stash_type == 1 and x.dtype == np.float16 else x
    mu = f.mean(wide, axes, True)
    deviation = p.sub(wide, mu)
    inverse = p.div(1, p.sqrt(p.add(f.mean(p.mul(deviation, deviation), axes, True), epsilon)))
    y = p.mul(cast_to(p.mul(deviation, inverse), x.dtype), scale)
    return (y if b is None else p.add(y, b)), mu, inverse


def rms_normalization(x: Any, scale: Any, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1) -> Any:
    """x / sqrt(mean x^2 + epsilon) * scale over the axes from ``axis`` on."""
    axes = tuple(range(axis_of(axis, x.ndim, "axis"), x.ndim))
    wide = cast_to(x, np.float32) if stash_type == 1 and x.dtype == np.float16 else x
    size = p.sqrt(p.add(f.mean(p.mul(wide, wide), axes, True), epsilon))
    return p.mul(cast_to(p.div(wide, size), x.dtype), scale)


def lrn(x: Any, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0) -> Any:
    """x / (bias + alpha / size * the squares of ``size`` neighbouring channels) ^ beta, from floor((size - 1) / 2)
    before to ceil((size - 1) / 2) after."""
    if size % 2 or x.ndim < 3:
        return f.local_response_norm(x, size, alpha, beta, bias, layout=FIRST)
    # an even window has its odd cell after the channel here, before it in PyTorch
    return f.flip(f.local_response_norm(f.flip(x, 1), size, alpha, beta, bias, layout=FIRST), 1)


OPERATIONS: dict[str, Operation] = {
    "Gemm": gemm, "MatMul": matmul, "Einsum": einsum, "Conv": conv, "ConvTranspose": conv_transpose,
    "MaxPool": max_pool, "MaxUnpool": max_unpool, "AveragePool": average_pool, "LpPool": lp_pool,
    "GlobalAveragePool": over_positions(f.mean), "GlobalMaxPool": over_positions(f.max),
    "GlobalLpPool": global_lp_pool, "BatchNormalization": batch_normalization,
    "InstanceNormalization": instance_normalization, "GroupNormalization": group_normalization,
    "LayerNormalization": layer_normalization, "RMSNormalization": rms_normalization, "LRN": lrn,
}  # fmt: skip
