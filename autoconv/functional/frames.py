"""im2col and its adjoint: what each position of a sliding window sees, and every frame added back where it was read."""

from __future__ import annotations

from typing import Any

from .. import primitives as p
from ..shapes import Ints, Padding, listed, parse_layout, per_dimension, slide, whole_number
from ..tape import Tensor
from .composed import composed
from .geometry import Images, frames_of, zero_pad

__all__ = ["overlap_add", "windows"]


@composed("x")
def windows(
    x: Any, window: Ints, *, stride: Ints = 1, padding: Padding = 0, dilation: Ints = 1, layout: str = "channels_last"
) -> Tensor:
    """The frames of one to three dimensional images (im2col): what each position of a sliding window sees.

        y[n, i, j, u, v, c] = x[n, i * stride + u * dilation - low, j * stride + v * dilation - low, c]

    and 0 in the padding.  x: (N, H, W, C), (H, W, C) or plain (H, W), likewise in 1 and 3 dimensions; y: (N, H', W',
    kH, kW, C), without the axes that x did not have.  The number of dimensions is that of ``window``.  Settings are
    those of ``conv2d``.  Raises ValueError for a window that does not fit.

    >>> ac.windows([1, 2, 3, 4], (2,))
    array([[1, 2],
           [2, 3],
           [3, 4]])
    """
    dims = _dims_of(window, "windows")
    images = Images(x.shape, dims, layout, "windows")
    move = slide(images.spatial, window, stride, padding, dilation, operation="windows")
    frames = frames_of(zero_pad(images.batch(x), images, move.padding), images.layout.spatial_axes, move)
    if not images.missing:
        return frames
    channel = frames.ndim - 1 if images.layout.channels_last else 1
    return p.reshape(
        frames, shape=tuple(n for i, n in enumerate(frames.shape) if i and not (images.plain and i == channel))
    )


@composed("frames")
def overlap_add(
    frames: Any,
    size: Ints,
    *,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    layout: str = "channels_last",
) -> Tensor:
    """The adjoint of ``windows`` (col2im): every frame's cells added back at the places they were read from.

        x[n, h, w, c] = sum of frames[n, i, j, u, v, c] over i * stride + u * dilation - low = h, and likewise for w

    It is not the inverse of ``windows``: a cell read by several windows collects them all.  frames: (N, H', W', kH, kW,
    C), or without N, or without N and C; ``size``: the spatial size (H, W) of the result.  Raises ValueError if the
    frames are not those of such an input.

    >>> ac.overlap_add(np.ones((3, 2)), (4,))  # how many windows of two read each of four cells
    array([1., 2., 2., 1.])
    """
    dims = _dims_of(size, "overlap_add")
    sizes = per_dimension(size, dims, "overlap_add: size", 1)
    parsed = parse_layout(layout, dims, "overlap_add")
    missing = 2 * dims + 2 - frames.ndim
    if missing not in (0, 1, 2):
        raise ValueError(
            f"overlap_add: frames of shape {frames.shape} do not have {dims} position and {dims} window axes; size was "
            f"{sizes}"
        )
    full = (1,) * min(missing, 1) + frames.shape
    if missing == 2:
        full = (*full, 1) if parsed.channels_last else (full[0], 1, *full[1:])
    axes = parsed.spatial_axes
    counts, window = full[axes[0] : axes[-1] + 1], full[axes[-1] + 1 : axes[-1] + 1 + dims]
    move = slide(sizes, window, stride, padding, dilation, operation="overlap_add")
    if move.output != counts:
        raise ValueError(
            f"overlap_add: size {sizes} with window {window}, stride {move.stride} and padding {move.padding} has "
            f"{move.output} frames, found {counts}"
        )
    padded = tuple(n + low + high for n, (low, high) in zip(sizes, move.padding, strict=True))
    x = p.overlap_add(p.reshape(frames, shape=full), axes=axes, size=padded, stride=move.stride, dilation=move.dilation)
    width = ((0, 0),) * axes[0] + move.padding + ((0, 0),) * (1 if parsed.channels_last else 0)
    x = p.crop(x, width=width) if any(map(any, move.padding)) else x
    if not missing:
        return x
    return p.reshape(
        x, shape=tuple(n for i, n in enumerate(x.shape) if i and not (missing == 2 and i == parsed.channel_axis))
    )


def _dims_of(sizes: Ints, operation: str) -> int:
    """Spatial dimensions by the length of ``sizes`` (a number alone: two)."""
    several = listed(sizes)
    dims = 2 if len(several) == 1 and several[0] is sizes else len(several)
    if dims not in (1, 2, 3):
        raise ValueError(
            f"{operation}: {whole_number(dims, operation)} spatial dimensions; one to three are supported, as in (5,), "
            "(5, 5) or (3, 5, 5)"
        )
    return dims
