"""Images of other sizes: interpolation between cells, and channels dealt out as cells (pixel shuffle).

An interpolation is separable: along each axis y[i] = sum over taps k of weight_k[i] x[cell_k[i]], one tap for the
nearest cell, two for linear, four for cubic.  Cells and weights follow from the sizes alone, so they are constants of
the tape.  The conventions are PyTorch's: cell i of the result has its middle at (i + 1/2) scale - 1/2 of the input, or
the corners' middles coincide (align_corners).
"""

from __future__ import annotations

from math import floor
from typing import Any

import numpy as np

from .. import primitives as p
from ..operands import real
from ..shapes import Ints, Shape, flag, listed, per_dimension, shown, whole_number
from ..tape import Array, Tensor
from .adaptive import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from .composed import composed
from .geometry import Images

__all__ = ["interpolate", "pixel_shuffle", "pixel_unshuffle"]

# mode -> (number of taps, the spatial dimensions it is for); "nearest" modes round, the others weigh
MODES = {
    "nearest": (1, (1, 2, 3)), "nearest-exact": (1, (1, 2, 3)), "area": (0, (1, 2, 3)), "linear": (2, (1, 2, 3)),
    "bilinear": (2, (2,)), "trilinear": (2, (3,)), "cubic": (4, (1, 2, 3)), "bicubic": (4, (2,)),
}  # fmt: skip
CUBIC = -0.75  # the slope at distance 1 of the cubic kernel (Keys, 1981), as PyTorch and OpenCV have it


@composed("x")
def interpolate(
    x: Any,
    size: Ints | None = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    *,
    layout: str = "channels_last",
) -> Tensor:
    """Images resized, as PyTorch's ``interpolate``.

        y[.., i, ..] = sum over k of weight_k[i] x[.., cell_k[i], ..]     along each spatial axis

    x: (N, *spatial, C) with one to three spatial dimensions; layout="channels_first": (N, C, *spatial).
    size: the spatial size of the result; or scale_factor, of which it is the floor(n * factor); a number, or one for
    each dimension.  mode: "nearest" (cell floor(i scale)), "nearest-exact" (the cell whose middle is nearest),
    "linear" ("bilinear", "trilinear"), "cubic" ("bicubic") or "area" (``adaptive_avg_pool``).  align_corners (linear
    and cubic): scale = (n - 1) / (m - 1) in place of n / m.  recompute_scale_factor: the scale is that of the sizes and
    not the one asked for.  Raises ValueError for another mode, or unless one of size and scale_factor is given.

    >>> ac.interpolate(np.array([[[0.0], [1.0]]]), 4)[0, :, 0]
    array([0., 0., 1., 1.])
    >>> ac.interpolate(np.array([[[0.0], [1.0]]]), 4, mode="linear")[0, :, 0]
    array([0.  , 0.25, 0.75, 1.  ])
    """
    dims = x.ndim - 2
    if dims not in (1, 2, 3):
        raise ValueError(
            f"interpolate: the input has shape {x.shape}; use a batch (N, *spatial, C) of 1 to 3 dimensions"
        )
    images = Images(x.shape, dims, layout, "interpolate")
    taps = _taps(mode, dims)
    sizes, scales = _sizes(images.spatial, size, scale_factor, recompute_scale_factor)
    if align_corners is not None:
        flag(align_corners, "interpolate: align_corners")
        if taps < 2:
            raise ValueError(
                f"interpolate: align_corners={align_corners} has no meaning with mode={mode!r}; leave it out"
            )
    if mode == "area":
        pool = (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[dims - 1]
        return pool(x, sizes, layout=layout)
    dtype = x.dtype if x.dtype.kind == "f" else np.dtype(float)
    for axis, n, m, scale in zip(images.layout.spatial_axes, images.spatial, sizes, scales, strict=True):
        if n == m and (scale in (None, 1.0) or taps == 2 or (mode == "nearest" and dims == 2)):
            continue  # whatever the scale: in these modes PyTorch keeps an axis whose size stays the same
        if taps == 1 and m % n == 0 and scale in (None, n / m):
            x = _repeated(x, m // n, axis)
        elif taps == 1:
            x = p.take(x, nearest_cells(n, m, scale, mode == "nearest-exact", dtype), axis=axis)
        else:
            x = _weighed(x, n, m, scale, bool(align_corners), taps, axis, dtype)
    return x  # type: ignore[no-any-return]


def _taps(mode: Any, dims: int) -> int:
    if not isinstance(mode, str) or mode not in MODES:
        raise ValueError(f"interpolate: mode={shown(mode)}; use one of {', '.join(map(repr, MODES))}")
    taps, dimensions = MODES[mode]
    if dims not in dimensions:
        raise ValueError(
            f"interpolate: mode={mode!r} is for {dimensions[0]} spatial dimensions, the input has {dims}; "
            f"use {'linear' if taps == 2 else 'cubic'!r}"
        )
    return taps


def _sizes(spatial: Shape, size: Any, scale_factor: Any, recompute: Any) -> tuple[Shape, list[float | None]]:
    """The sizes of the result, and for each axis the scale n / m if one was asked for."""
    if recompute is not None:
        flag(recompute, "interpolate: recompute_scale_factor")
    if (size is None) == (scale_factor is None):
        raise ValueError(f"interpolate: size={shown(size)} and scale_factor={shown(scale_factor)}; give one of the two")
    if 0 in spatial:
        raise ValueError(f"interpolate: the input has spatial size {spatial}; there is nothing between its cells")
    dims = len(spatial)
    if size is not None:
        return per_dimension(size, dims, "interpolate: size", 1), [None] * dims
    factors = listed(scale_factor)
    if len(factors) == 1 and (factors[0] is scale_factor or dims == 1):
        factors = factors * dims
    if len(factors) != dims:
        raise ValueError(f"interpolate: scale_factor={shown(scale_factor)} needs one number, or {dims}")
    factors = tuple(float(real(f, "interpolate: scale_factor", above=0)) for f in factors)
    if not np.isfinite(factors).all():
        raise ValueError(f"interpolate: scale_factor={shown(scale_factor)} must be finite")
    sizes = tuple(whole_number(floor(n * f), "interpolate: size") for n, f in zip(spatial, factors, strict=True))
    if 0 in sizes:
        raise ValueError(f"interpolate: scale_factor={shown(scale_factor)} leaves nothing of spatial size {spatial}")
    return sizes, [None if recompute else 1 / f for f in factors]


def _repeated(x: Any, times: int, axis: int) -> Any:
    """Each cell along ``axis`` so many times, without indices: its adjoint is a plain sum."""
    shape = (*x.shape[: axis + 1], 1, *x.shape[axis + 1 :])
    wide = (*x.shape[: axis + 1], times, *x.shape[axis + 1 :])
    return p.reshape(
        p.broadcast_to(p.reshape(x, shape=shape), shape=wide),
        shape=(*x.shape[:axis], x.shape[axis] * times, *x.shape[axis + 1 :]),
    )


def nearest_cells(n: int, m: int, scale: float | None, exact: bool, dtype: Any) -> Array:
    """floor(i scale), or floor((i + 1/2) scale), for i < m; rounded in the images' own precision, as PyTorch does."""
    number: Any = np.float64 if dtype == np.float64 else np.float32
    step = number(n / m if scale is None else scale)
    middle = np.arange(m, dtype=number) + (number(0.5) if exact else number(0))
    cells: Array = np.floor((middle * step).astype(np.float32)).astype(np.intp)
    return np.minimum(cells, n - 1)


def _weighed(x: Any, n: int, m: int, scale: float | None, align_corners: bool, taps: int, axis: int, dtype: Any) -> Any:
    """The sum of ``taps`` neighbouring cells by their weights, beyond the border the border's cell."""
    if align_corners:
        place = np.arange(m) * ((n - 1) / max(m - 1, 1))
    else:
        place = (np.arange(m) + 0.5) * (n / m if scale is None else scale) - 0.5
    if taps == 2:
        place = np.maximum(place, 0)
    cell = np.floor(place)
    t = place - cell
    weights = [1 - t, t] if taps == 2 else [_far(1 + t), _near(t), _near(1 - t), _far(2 - t)]
    total = None
    for k, weight in enumerate(weights, -(taps // 2 - 1)):
        cells = np.clip(cell.astype(np.intp) + k, 0, n - 1)
        term = p.take(x, cells, axis=axis) * weight.astype(dtype).reshape(m, *(1,) * (x.ndim - axis - 1))
        total = term if total is None else total + term
    return total


def _near(t: Array) -> Array:
    """The cubic kernel at distances up to 1."""
    return ((CUBIC + 2) * t - (CUBIC + 3)) * t * t + 1


def _far(t: Array) -> Array:
    """The cubic kernel at distances from 1 to 2."""
    return ((CUBIC * t - 5 * CUBIC) * t + 8 * CUBIC) * t - 4 * CUBIC


# ---- channels as cells


@composed("x")
def pixel_shuffle(x: Any, upscale_factor: int, *, layout: str = "channels_last") -> Tensor:
    """Channels dealt out as cells (Shi et al., 2016): r * r channels become r x r cells of one.

        y[n, h r + i, w r + j, c] = x[n, h, w, c r r + i r + j]

    x: (N, H, W, C r r), without N for one image; y: (N, H r, W r, C).  layout="channels_first": (N, C r r, H, W); the
    channels are read in PyTorch's order in either layout.  Raises ValueError for channels that r * r does not divide.

    >>> ac.pixel_shuffle(np.arange(4.0).reshape(1, 1, 1, 4), 2)[0, :, :, 0]
    array([[0., 1.],
           [2., 3.]])
    """
    images = Images(x.shape, 2, layout, "pixel_shuffle")
    r = whole_number(upscale_factor, "pixel_shuffle: upscale_factor", 1)
    if images.channels % (r * r):
        raise ValueError(
            f"pixel_shuffle: upscale_factor={r} needs channels in groups of {r * r}, the input has {images.channels} "
            f"(shape {x.shape})"
        )
    (h, w), c = images.spatial, images.channels // (r * r)
    last = images.layout.channels_last
    parts = (images.count, h, w, c, r, r) if last else (images.count, c, r, r, h, w)
    # (n, h, i, w, j, c) and (n, c, h, i, w, j)
    x = p.permute_dims(p.reshape(x, shape=parts), axes=(0, 1, 4, 2, 5, 3))
    return images.restore(p.reshape(x, shape=images.shape((h * r, w * r), c)))


@composed("x")
def pixel_unshuffle(x: Any, downscale_factor: int, *, layout: str = "channels_last") -> Tensor:
    """The inverse of ``pixel_shuffle``: r x r cells become r * r channels.

        y[n, h, w, c r r + i r + j] = x[n, h r + i, w r + j, c]

    x: (N, H r, W r, C), without N for one image; y: (N, H, W, C r r).  layout="channels_first": (N, C, H r, W r).
    Raises ValueError for a size that r does not divide.

    >>> ac.pixel_unshuffle(np.arange(4.0).reshape(1, 2, 2, 1), 2)
    array([[[[0., 1., 2., 3.]]]])
    """
    images = Images(x.shape, 2, layout, "pixel_unshuffle")
    r = whole_number(downscale_factor, "pixel_unshuffle: downscale_factor", 1)
    if images.spatial[0] % r or images.spatial[1] % r:
        raise ValueError(f"pixel_unshuffle: downscale_factor={r} does not divide the spatial size {images.spatial}")
    if images.plain:
        raise ValueError(f"pixel_unshuffle: the input has shape {x.shape}; it needs a channel axis for the cells")
    h, w, c = images.spatial[0] // r, images.spatial[1] // r, images.channels
    last = images.layout.channels_last
    parts = (images.count, h, r, w, r, c) if last else (images.count, c, h, r, w, r)
    # (n, h, w, c, i, j) and (n, c, i, j, h, w)
    x = p.permute_dims(p.reshape(x, shape=parts), axes=(0, 1, 3, 5, 2, 4))
    return images.restore(p.reshape(x, shape=images.shape((h, w), c * r * r)))
