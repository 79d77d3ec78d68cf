"""Pooling in one to three dimensions: windows, then a tournament, a mean or a norm.  No gradient of its own here
either.

Padding is never part of a maximum: a padded cell repeats a real cell of the same window.  An average counts the cells
inside input and padding (or the input alone), never those that ceil_mode lets a window hang over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import primitives
from ..operands import real
from ..renamed import renamed
from ..shapes import Ints, Padding, Shape, Slide, slide
from ..tape import Array, Tensor
from .composed import composed
from .geometry import Images, frames_of, zero_pad
from .reduce import max as max_over
from .reduce import mean, nonempty, sum

__all__ = [
    "avg_pool1d", "avg_pool2d", "avg_pool3d", "global_avg_pool", "global_max_pool", "lp_pool1d", "lp_pool2d",
    "lp_pool3d", "max_pool1d", "max_pool2d", "max_pool3d",
]  # fmt: skip


@renamed(window="kernel_size")
@composed("x")
def max_pool1d(
    x: Any,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    *,
    ceil_mode: bool = False,
    layout: str = "channels_last",
) -> Tensor:
    """The largest cell of each window.

        y[n, j, c] = max over v of x[n, j * stride + v * dilation - low, c]

    The gradient goes to the winning cell, the first in scan order among equal ones.  Padded cells never take part.
    x: (N, W, C), without N for one signal, without N and C for one plain signal; layout="channels_first": (N, C, W).
    y: the same with (W'), size' = floor((size + low + high - dilation * (kernel_size - 1) - 1) / stride) + 1
    (ceil with ceil_mode, but the last window must start inside the input or its low padding).
    kernel_size: the window, a number or one for each dimension; stride None means kernel_size.
    padding: a number, one for each dimension, (low, high) pairs, "valid", "same", "same_lower" or "full".
    Raises ValueError for a window that does not fit, TypeError for settings that are not whole numbers.

    >>> x = ac.tensor([1.0, 3.0, 2.0, 2.0])
    >>> y = ac.max_pool1d(x, 2)
    >>> y.value
    array([3., 2.])
    >>> y.sum().backward()
    >>> x.grad  # of equal cells the first one wins
    array([0., 1., 1., 0.])
    """
    return _pool(1, "max_pool", x, kernel_size, stride, padding, dilation, ceil_mode, layout, _max)


@renamed(window="kernel_size")
@composed("x")
def max_pool2d(
    x: Any,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    *,
    ceil_mode: bool = False,
    layout: str = "channels_last",
) -> Tensor:
    """The largest cell of each window.

        y[n, i, j, c] = max over u, v of x[n, i * stride + u * dilation - low, j * stride + v * dilation - low, c]

    The gradient goes to the winning cell, the first in scan order among equal ones.  Padded cells never take part.
    x: (N, H, W, C), without N for one image, without N and C for one plain image; layout="channels_first": (N, C, H,
    W). y: the same with (H', W'), size' = floor((size + low + high - dilation * (kernel_size - 1) - 1) / stride) + 1
    (ceil with ceil_mode, but the last window must start inside the input or its low padding).
    kernel_size: the window, a number or one for each dimension; stride None means kernel_size.
    padding: a number, one for each dimension, (low, high) pairs, "valid", "same", "same_lower" or "full".
    Raises ValueError for a window that does not fit, TypeError for settings that are not whole numbers.

    >>> image = ac.tensor([[1.0, 2.0, 0.0, 0.0], [3.0, 4.0, 0.0, 5.0]])
    >>> y = ac.max_pool2d(image, 2)
    >>> y.value
    array([[4., 5.]])
    >>> y.sum().backward()
    >>> image.grad
    array([[0., 0., 0., 0.],
           [0., 1., 0., 1.]])
    """
    return _pool(2, "max_pool", x, kernel_size, stride, padding, dilation, ceil_mode, layout, _max)


@renamed(window="kernel_size")
@composed("x")
def max_pool3d(
    x: Any,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    *,
    ceil_mode: bool = False,
    layout: str = "channels_last",
) -> Tensor:
    """The largest cell of each window.

        y[n, h, i, j, c] =
            max over t, u, v of x[n, h * stride + t * dilation - low, i * stride + u * dilation - low, j * stride + v *
            dilation - low, c]

    The gradient goes to the winning cell, the first in scan order among equal ones.  Padded cells never take part.
    x: (N, D, H, W, C), without N for one volume, without N and C for one plain volume; layout="channels_first": (N, C,
    D, H, W). y: the same with (D', H', W'), size' = floor((size + low + high - dilation * (kernel_size - 1) - 1) /
    stride) + 1 (ceil with ceil_mode, but the last window must start inside the input or its low padding).
    kernel_size: the window, a number or one for each dimension; stride None means kernel_size.
    padding: a number, one for each dimension, (low, high) pairs, "valid", "same", "same_lower" or "full".
    Raises ValueError for a window that does not fit, TypeError for settings that are not whole numbers.

    >>> ac.max_pool3d(np.arange(8.0).reshape(2, 2, 2), 2)
    array([[[7.]]])
    """
    return _pool(3, "max_pool", x, kernel_size, stride, padding, dilation, ceil_mode, layout, _max)


@renamed(window="kernel_size")
@composed("x", statistics=True)
def avg_pool1d(
    x: Any,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: int | None = None,
    *,
    layout: str = "channels_last",
) -> Tensor:
    """The mean of each window.

        y[n, j, c] = (1 / count) sum over v of x[n, j * stride + v - low, c]

    count is the number of cells of the window inside input and padding (count_include_pad=False: inside the input), or
    ``divisor``.
    x: (N, W, C), without N for one signal, without N and C for one plain signal; layout="channels_first": (N, C, W).
    y: the same with (W'), size' = floor((size + low + high - (kernel_size - 1) - 1) / stride) + 1
    (ceil with ceil_mode, but the last window must start inside the input or its low padding).
    kernel_size: the window, a number or one for each dimension; stride None means kernel_size.
    padding: a number, one for each dimension, (low, high) pairs, "valid", "same", "same_lower" or "full".
    Raises ValueError for a window that does not fit, TypeError for settings that are not whole numbers.

    >>> ac.avg_pool1d([1.0, 3.0, 2.0, 6.0], 2)
    array([2., 4.])
    """
    average = _average(count_include_pad, divisor)
    return _pool(1, "avg_pool", x, kernel_size, stride, padding, 1, ceil_mode, layout, average)


@renamed(window="kernel_size")
@composed("x", statistics=True)
def avg_pool2d(
    x: Any,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: int | None = None,
    *,
    layout: str = "channels_last",
) -> Tensor:
    """The mean of each window.

        y[n, i, j, c] = (1 / count) sum over u, v of x[n, i * stride + u - low, j * stride + v - low, c]

    count is the number of cells of the window inside input and padding (count_include_pad=False: inside the input), or
    ``divisor``.
    x: (N, H, W, C), without N for one image, without N and C for one plain image; layout="channels_first": (N, C, H,
    W). y: the same with (H', W'), size' = floor((size + low + high - (kernel_size - 1) - 1) / stride) + 1
    (ceil with ceil_mode, but the last window must start inside the input or its low padding).
    kernel_size: the window, a number or one for each dimension; stride None means kernel_size.
    padding: a number, one for each dimension, (low, high) pairs, "valid", "same", "same_lower" or "full".
    Raises ValueError for a window that does not fit, TypeError for settings that are not whole numbers.

    >>> ac.avg_pool2d([[1.0, 2.0], [3.0, 4.0]], 2)
    array([[2.5]])
    >>> ac.avg_pool2d([[1.0, 2.0], [3.0, 4.0]], 2, 1, padding=1, count_include_pad=False)[0]
    array([1. , 1.5, 2. ])
    """
    average = _average(count_include_pad, divisor)
    return _pool(2, "avg_pool", x, kernel_size, stride, padding, 1, ceil_mode, layout, average)


@renamed(window="kernel_size")
@composed("x", statistics=True)
def avg_pool3d(
    x: Any,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: int | None = None,
    *,
    layout: str = "channels_last",
) -> Tensor:
    """The mean of each window.

        y[n, h, i, j, c] =
            (1 / count) sum over t, u, v of x[n, h * stride + t - low, i * stride + u - low, j * stride + v - low, c]

    count is the number of cells of the window inside input and padding (count_include_pad=False: inside the input), or
    ``divisor``.
    x: (N, D, H, W, C), without N for one volume, without N and C for one plain volume; layout="channels_first": (N, C,
    D, H, W). y: the same with (D', H', W'), size' = floor((size + low + high - (kernel_size - 1) - 1) / stride) + 1
    (ceil with ceil_mode, but the last window must start inside the input or its low padding).
    kernel_size: the window, a number or one for each dimension; stride None means kernel_size.
    padding: a number, one for each dimension, (low, high) pairs, "valid", "same", "same_lower" or "full".
    Raises ValueError for a window that does not fit, TypeError for settings that are not whole numbers.

    >>> ac.avg_pool3d(np.arange(8.0).reshape(2, 2, 2), 2)
    array([[[3.5]]])
    """
    average = _average(count_include_pad, divisor)
    return _pool(3, "avg_pool", x, kernel_size, stride, padding, 1, ceil_mode, layout, average)


@renamed(window="kernel_size")
@composed("x", statistics=True)
def lp_pool1d(
    x: Any,
    kernel_size: Ints,
    p: float = 2,
    stride: Ints | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    *,
    layout: str = "channels_last",
) -> Tensor:
    """The p-norm of each window; its slope is 0 where the whole window is 0.

        y[n, j, c] = (sum over v of |x[n, j * stride + v - low, c]|^p)^(1/p)

    p: positive, np.inf for the largest size.
    x: (N, W, C), without N for one signal, without N and C for one plain signal; layout="channels_first": (N, C, W).
    y: the same with (W'), size' = floor((size + low + high - (kernel_size - 1) - 1) / stride) + 1
    (ceil with ceil_mode, but the last window must start inside the input or its low padding).
    kernel_size: the window, a number or one for each dimension; stride None means kernel_size.
    padding: a number, one for each dimension, (low, high) pairs, "valid", "same", "same_lower" or "full".
    Raises ValueError for a window that does not fit, TypeError for settings that are not whole numbers.

    >>> ac.lp_pool1d([3.0, 4.0, 5.0, 12.0], 2)
    array([ 5., 13.])
    """
    return _pool(1, "lp_pool", x, kernel_size, stride, padding, 1, ceil_mode, layout, _norm(p))


@renamed(window="kernel_size")
@composed("x", statistics=True)
def lp_pool2d(
    x: Any,
    kernel_size: Ints,
    p: float = 2,
    stride: Ints | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    *,
    layout: str = "channels_last",
) -> Tensor:
    """The p-norm of each window; its slope is 0 where the whole window is 0.

        y[n, i, j, c] = (sum over u, v of |x[n, i * stride + u - low, j * stride + v - low, c]|^p)^(1/p)

    p: positive, np.inf for the largest size.
    x: (N, H, W, C), without N for one image, without N and C for one plain image; layout="channels_first": (N, C, H,
    W). y: the same with (H', W'), size' = floor((size + low + high - (kernel_size - 1) - 1) / stride) + 1
    (ceil with ceil_mode, but the last window must start inside the input or its low padding).
    kernel_size: the window, a number or one for each dimension; stride None means kernel_size.
    padding: a number, one for each dimension, (low, high) pairs, "valid", "same", "same_lower" or "full".
    Raises ValueError for a window that does not fit, TypeError for settings that are not whole numbers.

    >>> ac.lp_pool2d([[3.0, 0.0], [4.0, 0.0]], 2)
    array([[5.]])
    >>> ac.lp_pool2d([[3.0, 0.0], [4.0, 0.0]], 2, p=1)
    array([[7.]])
    """
    return _pool(2, "lp_pool", x, kernel_size, stride, padding, 1, ceil_mode, layout, _norm(p))


@renamed(window="kernel_size")
@composed("x", statistics=True)
def lp_pool3d(
    x: Any,
    kernel_size: Ints,
    p: float = 2,
    stride: Ints | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    *,
    layout: str = "channels_last",
) -> Tensor:
    """The p-norm of each window; its slope is 0 where the whole window is 0.

        y[n, h, i, j, c] =
            (sum over t, u, v of |x[n, h * stride + t - low, i * stride + u - low, j * stride + v - low, c]|^p)^(1/p)

    p: positive, np.inf for the largest size.
    x: (N, D, H, W, C), without N for one volume, without N and C for one plain volume; layout="channels_first": (N, C,
    D, H, W). y: the same with (D', H', W'), size' = floor((size + low + high - (kernel_size - 1) - 1) / stride) + 1
    (ceil with ceil_mode, but the last window must start inside the input or its low padding).
    kernel_size: the window, a number or one for each dimension; stride None means kernel_size.
    padding: a number, one for each dimension, (low, high) pairs, "valid", "same", "same_lower" or "full".
    Raises ValueError for a window that does not fit, TypeError for settings that are not whole numbers.

    >>> ac.lp_pool3d(np.ones((2, 2, 2)), 2, p=3)
    array([[[2.]]])
    """
    return _pool(3, "lp_pool", x, kernel_size, stride, padding, 1, ceil_mode, layout, _norm(p))


@composed("x")
def global_avg_pool(x: Any, *, keepdims: bool = False, layout: str = "channels_last") -> Tensor:
    """The mean over all positions of each channel.

        y[n, c] = (1 / (H W)) sum over i, j of x[n, i, j, c]

    x: (N, *spatial, C) with one to three spatial dimensions (layout="channels_first": (N, C, *spatial)); y: (N, C), or
    (N, 1, .., C) with keepdims.  Raises ValueError for an input without N and C.

    >>> ac.global_avg_pool(np.arange(4.0).reshape(1, 2, 2, 1))
    array([[1.5]])
    """
    return mean(x, _spatial(x, layout, "global_avg_pool"), keepdims)


@composed("x")
def global_max_pool(x: Any, *, keepdims: bool = False, layout: str = "channels_last") -> Tensor:
    """The largest cell of each channel; the gradient goes to it (to the first of equal ones).

        y[n, c] = max over i, j of x[n, i, j, c]

    x: (N, *spatial, C) with one to three spatial dimensions (layout="channels_first": (N, C, *spatial)); y: (N, C), or
    (N, 1, .., C) with keepdims.  Raises ValueError for an input without N and C.

    >>> ac.global_max_pool(np.arange(4.0).reshape(1, 2, 2, 1))
    array([[3.]])
    """
    axes = _spatial(x, layout, "global_max_pool")
    nonempty(x, axes, "global_max_pool")
    return max_over(x, axes, keepdims)


# ---- the maths


def _pool(
    dims: int,
    name: str,
    x: Any,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Padding,
    dilation: Ints,
    ceil_mode: bool,
    layout: str,
    reduce: Callable[[Any, Images, Slide], Tensor],
) -> Tensor:
    operation = f"{name}{dims}d"
    images = Images(x.shape, dims, layout, operation)
    move = slide(images.spatial, kernel_size, stride, padding, dilation, ceil_mode=ceil_mode, operation=operation)
    result: Tensor = images.restore(reduce(x, images, move))
    return result


def _window_axes(images: Images) -> Shape:
    first = images.layout.spatial_axes[-1] + 1
    return tuple(range(first, first + images.layout.dims))


def _max(x: Any, images: Images, move: Slide) -> Tensor:
    maps = [clamp(move, dim, images.operation) if any(reach) else None for dim, reach in enumerate(move.reach)]
    x = images.batch(x)
    for axis, cells in zip(images.layout.spatial_axes, maps, strict=True):
        x = x if cells is None else primitives.take(x, cells, axis=axis)
    return max_over(frames_of(x, images.layout.spatial_axes, move), _window_axes(images))


def _average(count_include_pad: bool, divisor: int | None) -> Callable[[Any, Images, Slide], Tensor]:
    def reduce(x: Any, images: Images, move: Slide) -> Tensor:
        if divisor is not None and not real(divisor, f"{images.operation}: divisor"):
            raise ValueError(
                f"{images.operation}: divisor=0; give the number to divide each window's sum by, or None for the "
                "number of its cells"
            )
        counts = np.ones(())
        for dim in range(images.layout.dims):
            counts = np.multiply.outer(counts, np.array(move.counts(dim, count_include_pad)))
        if divisor is None and not counts.all():
            raise ValueError(
                f"{images.operation}: a window lies in the padding alone (input size {move.size}, window "
                f"{move.window}, padding {move.padding}); use less padding"
            )
        frames = frames_of(zero_pad(images.batch(x), images, move.reach), images.layout.spatial_axes, move)
        if divisor is None and counts.size and (counts == np.prod(move.window)).all():
            return mean(frames, _window_axes(images))
        total = sum(frames, _window_axes(images))
        if divisor is not None:
            return total / divisor
        shape = (*move.output, 1) if images.layout.channels_last else move.output
        return total / counts.reshape(shape).astype(total.dtype if total.dtype.kind == "f" else int)

    return reduce


def _norm(power: float) -> Callable[[Any, Images, Slide], Tensor]:
    def reduce(x: Any, images: Images, move: Slide) -> Tensor:
        if not real(power, f"{images.operation}: p") > 0:
            raise ValueError(f"{images.operation}: p={power} must be positive")
        sized = primitives.abs_(x)
        if power == np.inf:
            return _max(sized, images, move)
        frames = frames_of(
            zero_pad(images.batch(sized if power == 1 else sized**power), images, move.reach),
            images.layout.spatial_axes,
            move,
        )
        total = sum(frames, _window_axes(images))
        none = primitives.equal(total, 0)  # the slope of an all-zero window is chosen as 0: the norm has a kink there
        return primitives.where(none, 0, primitives.where(none, 1, total) ** (1 / power)) if power != 1 else total

    return reduce


def _spatial(x: Any, layout: str, operation: str) -> Shape:
    dims = x.ndim - 2
    if dims not in (1, 2, 3):
        raise ValueError(
            f"{operation}: the input has shape {x.shape}; use a batch (N, *spatial, C) with one to three spatial "
            "dimensions"
        )
    return Images(x.shape, dims, layout, operation).layout.spatial_axes


# ---- checks


def clamp(move: Slide, dim: int, operation: str) -> Array:
    """For each cell of the padded axis the real cell it stands for: itself, or in the padding the nearest cell that the
    same windows read (a whole number of dilations away).  ValueError if a window reads no real cell at all."""
    size, dilation = move.size[dim], move.dilation[dim]
    for number in range(move.output[dim]):
        if not any(0 <= cell < size for cell in move.cells(dim, number)):
            raise ValueError(
                f"{operation}: window number {number} along dimension {dim} would lie in the padding alone (input size "
                f"{move.size}, window {move.window}, "
                f"padding {move.padding}); there is no maximum of nothing: use less padding"
            )
    low, high = move.reach[dim]
    cells = np.arange(-low, size + high)
    residue = cells % dilation
    last = (size - 1 - residue) // dilation * dilation + residue
    return np.clip(np.clip(cells, residue, last), 0, size - 1)  # the second for those that no window reads
