"""Pooling in one to three dimensions: windows, then a tournament, a mean or a norm.  No gradient of its own here either.

Padding is never part of a maximum: a padded cell repeats a real cell of the same window.  An average counts the cells
inside input and padding (or the input alone), never those that ceil_mode lets a window hang over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import primitives as p
from ..shapes import Ints, Padding, Shape, Slide, slide
from .composed import composed
from .frames import Images, view, zero_pad
from .reduce import max as max_over
from .reduce import mean, sum


def clamp(move: Slide, dim: int, operation: str) -> np.ndarray:
    """For each cell of the padded axis the real cell it stands for: itself, or in the padding the nearest cell that the
    same windows read (a whole number of dilations away).  ValueError if a window reads no real cell at all."""
    size, dilation = move.size[dim], move.dilation[dim]
    for number in range(move.output[dim]):
        if not any(0 <= cell < size for cell in move.cells(dim, number)):
            raise ValueError(
                f"{operation}: window number {number} along dimension {dim} would lie in the padding alone (input size {move.size}, window {move.window}, "
                f"padding {move.padding}); there is no maximum of nothing: use less padding"
            )
    low, high = move.reach[dim]
    cells = np.arange(-low, size + high)
    residue = cells % dilation
    last = (size - 1 - residue) // dilation * dilation + residue
    return np.clip(np.where(cells < 0, residue, np.where(cells >= size, last, cells)), 0, size - 1)


def _pool(
    dims: int,
    name: str,
    x: Any,
    window: Ints,
    stride: Ints | None,
    padding: Padding,
    dilation: Ints,
    ceil_mode: bool,
    layout: str,
    reduce: Callable[[Any, Images, Slide], Any],
) -> Any:
    operation = f"{name}{dims}d"
    images = Images(x.shape, dims, layout, operation)
    move = slide(images.spatial, window, stride, padding, dilation, ceil_mode=ceil_mode, operation=operation)
    return images.restore(reduce(x, images, move))


def _window_axes(images: Images) -> Shape:
    first = images.layout.spatial_axes[-1] + 1
    return tuple(range(first, first + images.layout.dims))


def _max(x: Any, images: Images, move: Slide) -> Any:
    maps = [clamp(move, dim, images.operation) if any(reach) else None for dim, reach in enumerate(move.reach)]
    x = images.batch(x)
    for axis, cells in zip(images.layout.spatial_axes, maps, strict=True):
        x = x if cells is None else p.take(x, cells, axis=axis)
    return max_over(view(x, images.layout.spatial_axes, move), _window_axes(images))


def _average(count_include_pad: bool, divisor: int | None) -> Callable[[Any, Images, Slide], Any]:
    def reduce(x: Any, images: Images, move: Slide) -> Any:
        if divisor is not None and not divisor:
            raise ValueError(
                f"{images.operation}: divisor=0; give the number to divide each window's sum by, or None for the number of its cells"
            )
        counts = np.ones(())
        for dim in range(images.layout.dims):
            counts = np.multiply.outer(counts, np.array(move.counts(dim, count_include_pad)))
        if divisor is None and not counts.all():
            raise ValueError(
                f"{images.operation}: a window lies in the padding alone (input size {move.size}, window {move.window}, padding {move.padding}); use less padding"
            )
        frames = view(zero_pad(images.batch(x), images, move.reach), images.layout.spatial_axes, move)
        if divisor is None and counts.size and (counts == np.prod(move.window)).all():
            return mean(frames, _window_axes(images))
        total = sum(frames, _window_axes(images))
        if divisor is not None:
            return total / divisor
        shape = (*move.output, 1) if images.layout.channels_last else move.output
        return total / counts.reshape(shape).astype(total.dtype if total.dtype.kind == "f" else int)

    return reduce


def _norm(power: float) -> Callable[[Any, Images, Slide], Any]:
    def reduce(x: Any, images: Images, move: Slide) -> Any:
        if not power > 0:
            raise ValueError(f"{images.operation}: p={power} must be positive")
        sized = p.abs_(x)
        if power == np.inf:
            return _max(sized, images, move)
        frames = view(
            zero_pad(images.batch(sized if power == 1 else sized**power), images, move.reach),
            images.layout.spatial_axes,
            move,
        )
        total = sum(frames, _window_axes(images))
        some = p.greater(total, 0)  # the slope of an all-zero window is chosen as 0: the norm has a kink there
        return p.where(some, p.where(some, total, 1) ** (1 / power), 0) if power != 1 else total

    return reduce


_SHAPES = """x: (N, *spatial, C), without N for one image, without N and C for one plain image; layout="channels_first":
    (N, C, *spatial).  y: the same with size' = floor((size + low + high - {span} - 1) / stride) + 1 (ceil with
    ceil_mode, but the last window must start inside the input or its low padding).  window: a number or one for each
    dimension; stride None means the window.  Raises ValueError for a window that does not fit."""

_MAX_DOC = """The largest cell of each window: y[n, i, j, c] = max over u, v of x[n, i * stride + u * dilation - low, .., c].

    The gradient goes to the winning cell, the first in scan order among equal ones.  Padded cells never take part.
    """ + _SHAPES.format(span="dilation * (window - 1)")  # fmt: skip

_AVG_DOC = """The mean of each window: y[n, i, j, c] = (1 / count) sum over u, v of x[n, i * stride + u - low, .., c].

    count is the number of cells of the window inside input and padding (count_include_pad=False: inside the input), or
    ``divisor``.
    """ + _SHAPES.format(span="(window - 1)")  # fmt: skip

_LP_DOC = """The p-norm of each window: y = (sum over the window of |x|^p)^(1/p); its slope is 0 where the whole window is 0.

    """ + _SHAPES.format(span="(window - 1)")  # fmt: skip


def _named(f: Any, name: str, doc: str) -> Any:
    f.__name__ = f.__qualname__ = name
    f.__doc__ = doc
    return composed("x")(f)


def _make_max_pool(dims: int) -> Any:
    def max_pool(
        x: Any,
        window: Ints,
        *,
        stride: Ints | None = None,
        padding: Padding = 0,
        dilation: Ints = 1,
        ceil_mode: bool = False,
        layout: str = "channels_last",
    ) -> Any:
        return _pool(dims, "max_pool", x, window, stride, padding, dilation, ceil_mode, layout, _max)

    return _named(max_pool, f"max_pool{dims}d", _MAX_DOC)


def _make_avg_pool(dims: int) -> Any:
    def avg_pool(
        x: Any,
        window: Ints,
        *,
        stride: Ints | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor: int | None = None,
        layout: str = "channels_last",
    ) -> Any:
        return _pool(
            dims, "avg_pool", x, window, stride, padding, 1, ceil_mode, layout, _average(count_include_pad, divisor)
        )

    return _named(avg_pool, f"avg_pool{dims}d", _AVG_DOC)


def _make_lp_pool(dims: int) -> Any:
    def lp_pool(
        x: Any,
        window: Ints,
        p: float = 2,
        *,
        stride: Ints | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        layout: str = "channels_last",
    ) -> Any:
        return _pool(dims, "lp_pool", x, window, stride, padding, 1, ceil_mode, layout, _norm(p))

    return _named(lp_pool, f"lp_pool{dims}d", _LP_DOC)


max_pool1d, max_pool2d, max_pool3d = _make_max_pool(1), _make_max_pool(2), _make_max_pool(3)
avg_pool1d, avg_pool2d, avg_pool3d = _make_avg_pool(1), _make_avg_pool(2), _make_avg_pool(3)
lp_pool1d, lp_pool2d, lp_pool3d = _make_lp_pool(1), _make_lp_pool(2), _make_lp_pool(3)


def _spatial(x: Any, layout: str, operation: str) -> Shape:
    dims = x.ndim - 2
    if dims not in (1, 2, 3):
        raise ValueError(
            f"{operation}: the input has shape {x.shape}; use a batch (N, *spatial, C) with one to three spatial dimensions"
        )
    return Images(x.shape, dims, layout, operation).layout.spatial_axes


@composed("x")
def global_avg_pool(x: Any, *, keepdims: bool = False, layout: str = "channels_last") -> Any:
    """The mean over all positions of each channel: (N, *spatial, C) -> (N, C), or (N, 1, .., C) with keepdims."""
    return mean(x, _spatial(x, layout, "global_avg_pool"), keepdims)


@composed("x")
def global_max_pool(x: Any, *, keepdims: bool = False, layout: str = "channels_last") -> Any:
    """The largest cell of each channel: (N, *spatial, C) -> (N, C), or (N, 1, .., C) with keepdims."""
    return max_over(x, _spatial(x, layout, "global_max_pool"), keepdims)
