"""Pooling to a given output size in one to three dimensions: the windows follow from the sizes, as in PyTorch.

Output cell i of m stands for the input cells floor(i n / m) .. ceil((i + 1) n / m) - 1 of n.  Where m divides n those
are the windows of an ordinary pooling; where it does not, neighbouring windows share a cell or differ in length, and
the cells are gathered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import primitives as p
from ..shapes import Shape, listed, shown, slide, whole_number
from ..tape import Array, Tensor
from .composed import composed
from .geometry import Images, frames_of
from .reduce import max as max_over
from .reduce import mean, sum

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d",
    "adaptive_max_pool3d",
]  # fmt: skip

Sizes = Any  # a number or None, or one of these for each dimension


@composed("x", statistics=True)
def adaptive_avg_pool1d(x: Any, output_size: Sizes, *, layout: str = "channels_last") -> Tensor:
    """The mean of each of ``output_size`` windows that cover the input.

        y[n, j, c] = mean of x[n, floor(j W / W') .. ceil((j + 1) W / W') - 1, c]

    x: (N, W, C), without N for one signal, without N and C for one plain signal; layout="channels_first": (N, C, W).
    y: the same with W' = output_size; None leaves the size as it is.  Raises ValueError for a size below 1.

    >>> ac.adaptive_avg_pool1d([1.0, 2.0, 3.0, 4.0, 5.0], 2)
    array([2., 4.])
    """
    return _pooled(1, "adaptive_avg_pool", x, output_size, layout, mean, _mean_of)


@composed("x", statistics=True)
def adaptive_avg_pool2d(x: Any, output_size: Sizes, *, layout: str = "channels_last") -> Tensor:
    """The mean of each of H' x W' windows that cover the input.

        y[n, i, j, c] = mean of x[n, floor(i H / H') .. ceil((i + 1) H / H') - 1, likewise for j, c]

    x: (N, H, W, C), without N for one image, without N and C for one plain image; layout="channels_first": (N, C, H,
    W).  output_size: a number, or (H', W'), None leaving a size as it is.  Raises ValueError for a size below 1.

    >>> ac.adaptive_avg_pool2d(np.arange(6.0).reshape(2, 3), (1, 2))
    array([[2., 3.]])
    """
    return _pooled(2, "adaptive_avg_pool", x, output_size, layout, mean, _mean_of)


@composed("x", statistics=True)
def adaptive_avg_pool3d(x: Any, output_size: Sizes, *, layout: str = "channels_last") -> Tensor:
    """The mean of each of D' x H' x W' windows that cover the input, as ``adaptive_avg_pool2d`` has them.

    x: (N, D, H, W, C), without N for one volume, without N and C for one plain volume; layout="channels_first": (N, C,
    D, H, W).  output_size: a number, or (D', H', W'), None leaving a size as it is.  Raises ValueError for a size
    below 1.

    >>> ac.adaptive_avg_pool3d(np.ones((1, 4, 5, 6, 2)), (2, None, 1)).shape
    (1, 2, 5, 1, 2)
    """
    return _pooled(3, "adaptive_avg_pool", x, output_size, layout, mean, _mean_of)


@composed("x")
def adaptive_max_pool1d(x: Any, output_size: Sizes, *, layout: str = "channels_last") -> Tensor:
    """The largest cell of each of ``output_size`` windows that cover the input.

        y[n, j, c] = max of x[n, floor(j W / W') .. ceil((j + 1) W / W') - 1, c]

    The gradient goes to the winning cell, the first in scan order among equal ones.  x, output_size: as for
    ``adaptive_avg_pool1d``.  Raises ValueError for a size below 1.

    >>> ac.adaptive_max_pool1d([1.0, 2.0, 3.0, 4.0, 5.0], 2)
    array([3., 5.])
    """
    return _pooled(1, "adaptive_max_pool", x, output_size, layout, max_over, _max_of)


@composed("x")
def adaptive_max_pool2d(x: Any, output_size: Sizes, *, layout: str = "channels_last") -> Tensor:
    """The largest cell of each of H' x W' windows that cover the input.

        y[n, i, j, c] = max of x[n, floor(i H / H') .. ceil((i + 1) H / H') - 1, likewise for j, c]

    The gradient goes to the winning cell, the first in scan order among equal ones.  x, output_size: as for
    ``adaptive_avg_pool2d``.  Raises ValueError for a size below 1.

    >>> ac.adaptive_max_pool2d(np.arange(6.0).reshape(2, 3), (1, 2))
    array([[4., 5.]])
    """
    return _pooled(2, "adaptive_max_pool", x, output_size, layout, max_over, _max_of)


@composed("x")
def adaptive_max_pool3d(x: Any, output_size: Sizes, *, layout: str = "channels_last") -> Tensor:
    """The largest cell of each of D' x H' x W' windows that cover the input, as ``adaptive_max_pool2d`` has them.

    The gradient goes to the winning cell, the first in scan order among equal ones.  x, output_size: as for
    ``adaptive_avg_pool3d``.  Raises ValueError for a size below 1.

    >>> ac.adaptive_max_pool3d(np.arange(8.0).reshape(2, 2, 2), 1)
    array([[[7.]]])
    """
    return _pooled(3, "adaptive_max_pool", x, output_size, layout, max_over, _max_of)


def _pooled(
    dims: int,
    name: str,
    x: Any,
    output_size: Sizes,
    layout: str,
    over: Callable[[Any, Shape], Tensor],
    gathered: Callable[[Any, list[Array], Shape], Tensor],
) -> Tensor:
    """``over`` the windows where they are alike, else what ``gathered`` makes of the cells of each."""
    operation = f"{name}{dims}d"
    images = Images(x.shape, dims, layout, operation)
    sizes = output_sizes(output_size, images.spatial, operation)
    x, axes = images.batch(x), images.layout.spatial_axes
    alike = [n % m == 0 for n, m in zip(images.spatial, sizes, strict=True)]
    if all(alike):
        window = tuple(n // m for n, m in zip(images.spatial, sizes, strict=True))
        frames = frames_of(x, axes, slide(images.spatial, window, None, operation=operation))
        first = axes[-1] + 1
        return images.restore(over(frames, tuple(range(first, first + dims))))
    counts: list[Array] = []
    for axis, n, m in reversed(list(zip(axes, images.spatial, sizes, strict=True))):
        cells, count = window_cells(n, m)
        x = p.take(x, cells, axis=axis)  # the axis becomes (windows, cells of a window)
        counts.insert(0, count)
    return images.restore(gathered(x, counts, tuple(axes[0] + 2 * i + 1 for i in range(dims))))


def output_sizes(output_size: Any, spatial: Shape, operation: str) -> Shape:
    """The sizes asked for, those of None being the input's.  ValueError for a size below 1, or an input of size 0."""
    several = listed(output_size)
    if len(several) == 1 and several[0] is output_size:
        several = several * len(spatial)
    if len(several) != len(spatial):
        raise ValueError(
            f"{operation}: output_size={shown(output_size)} needs one number or {len(spatial)}, one for each spatial "
            "dimension (None: the input's size)"
        )
    if 0 in spatial:
        raise ValueError(f"{operation}: the input has spatial size {spatial}; there is nothing to pool")
    return tuple(
        n if m is None else whole_number(m, f"{operation}: output_size", 1)
        for m, n in zip(several, spatial, strict=True)
    )


def window_cells(n: int, m: int) -> tuple[Array, Array]:
    """The cells of each of m windows over n cells, (m, longest), a shorter window's last cell repeated; their counts.

    A repeated cell stands behind the one that it repeats, so a maximum never finds it first.
    """
    first = np.arange(m) * n // m
    end = -(-(np.arange(m) + 1) * n // m)
    cells = first[:, None] + np.arange((end - first).max())
    return np.minimum(cells, end[:, None] - 1), end - first


def _mean_of(x: Any, counts: list[Array], axes: Shape) -> Tensor:
    """The mean over the first ``counts`` cells along each of ``axes`` (each count one for a window)."""
    for axis, count in zip(axes, counts, strict=True):
        cells, after = np.arange(x.shape[axis]), (1,) * (x.ndim - axis - 1)
        if (count < len(cells)).any():
            x = p.where((cells < count[:, None]).reshape(*count.shape, len(cells), *after), x, 0)
    number: Array = np.ones(())
    for count in counts:
        number = np.multiply.outer(number, count)
    total = sum(x, axes)
    number = number.reshape(*number.shape, *(1,) * (total.ndim - (axes[0] - 1) - number.ndim))
    result: Tensor = total / number.astype(total.dtype if total.dtype.kind == "f" else int)
    return result


def _max_of(x: Any, counts: list[Array], axes: Shape) -> Tensor:
    """The largest of all the cells gathered: those that repeat others change nothing."""
    return max_over(x, axes)
