"""Images and their frames: what convolution and pooling share.

``Images`` brings one image, a plain matrix or a batch to the batched form (N, H, W, C) or (N, C, H, W) and back;
``windows`` and ``overlap_add`` are the public im2col and its adjoint.
"""

from __future__ import annotations

from typing import Any

from .. import primitives as p
from ..shapes import Ints, Layout, Padding, Shape, Slide, parse_layout, per_dimension, slide, whole_number
from .composed import composed


class Images:
    """One operation's input: batched (N, *spatial, C), unbatched (*spatial, C), or plain (*spatial) for one grey image.

    (Channels first: (N, C, *spatial), (C, *spatial).)  ``batch(x)`` gives it all axes, ``restore(y)`` takes away those
    that the user's input did not have.
    """

    def __init__(self, shape: Shape, dims: int, layout: str, operation: str) -> None:
        self.operation = operation
        self.layout: Layout = parse_layout(layout, dims, operation)
        self.missing = dims + 2 - len(shape)
        if self.missing not in (0, 1, 2):
            raise ValueError(
                f"{operation}: the input has {len(shape)} dimensions (shape {shape}); "
                f"use {self.layout.image}, or leave out N, or both N and C for one plain image"
            )
        channel = () if self.missing == 2 else shape[-1:] if self.layout.channels_last else shape[-dims - 1 : -dims]
        spatial = shape[-dims:] if self.missing == 2 or not self.layout.channels_last else shape[-dims - 1 : -1]
        self.spatial: Shape = tuple(spatial)
        self.channels: int = channel[0] if channel else 1
        self.count: int = 1 if self.missing else shape[0]

    @property
    def plain(self) -> bool:
        """Whether the input is one image without a channel axis."""
        return self.missing == 2

    def shape(self, spatial: Shape, channels: int) -> Shape:
        """The batched shape for these sizes."""
        return (self.count, *spatial, channels) if self.layout.channels_last else (self.count, channels, *spatial)

    def batch(self, x: Any) -> Any:
        return p.reshape(x, shape=self.shape(self.spatial, self.channels)) if self.missing else x

    def restore(self, y: Any) -> Any:
        if not self.missing:
            return y
        channel = self.layout.channel_axis
        return p.reshape(y, shape=tuple(n for i, n in enumerate(y.shape) if i and not (self.plain and i == channel)))

    def pad_width(self, pairs: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        """Padding pairs for the spatial axes as pairs for all axes of a batch."""
        first = self.layout.spatial_axes[0]
        after = 1 if self.layout.channels_last else 0
        return ((0, 0),) * first + pairs + ((0, 0),) * after


def zero_pad(x: Any, images: Images, pairs: tuple[tuple[int, int], ...]) -> Any:
    """A batch with zeros around its spatial axes (and no line where there are none)."""
    return p.pad(x, width=images.pad_width(pairs)) if any(map(any, pairs)) else x


def view(x: Any, axes: Shape, move: Slide) -> Any:
    """The row ``windows`` on an already padded input."""
    return p.windows(x, axes=axes, window=move.window, stride=move.stride, dilation=move.dilation)


@composed("x")
def windows(
    x: Any, window: Ints, *, stride: Ints = 1, padding: Padding = 0, dilation: Ints = 1, layout: str = "channels_last"
) -> Any:
    """The frames of one to three dimensional images (im2col): what each position of a sliding window sees.

        y[n, i, j, u, v, c] = x[n, i * stride + u * dilation - low, j * stride + v * dilation - low, c]     (0 in the padding)

    x: (N, H, W, C), (H, W, C) or plain (H, W), likewise in 1 and 3 dimensions; y: (N, H', W', kH, kW, C), without the axes
    that x did not have.  The number of dimensions is that of ``window``.  Raises ValueError for a window that does not fit.
    """
    dims = _dims_of(window, "windows")
    images = Images(x.shape, dims, layout, "windows")
    move = slide(images.spatial, window, stride, padding, dilation)
    frames = view(zero_pad(images.batch(x), images, move.padding), images.layout.spatial_axes, move)
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
) -> Any:
    """The adjoint of ``windows`` (col2im): every frame's cells added back at the places they were read from.

        x[n, h, w, c] = sum of frames[n, i, j, u, v, c] over i * stride + u * dilation - low = h, and likewise for w

    It is not the inverse of ``windows``: a cell read by several windows collects them all.  frames: (N, H', W', kH, kW, C),
    or without N, or without N and C; ``size``: the spatial size (H, W) of the result.  Raises ValueError if the frames are
    not those of such an input.
    """
    dims = _dims_of(size, "overlap_add")
    sizes = per_dimension(size, dims, "overlap_add: size", 1)
    parsed = parse_layout(layout, dims, "overlap_add")
    missing = 2 * dims + 2 - frames.ndim
    if missing not in (0, 1, 2):
        raise ValueError(
            f"overlap_add: frames of shape {frames.shape} do not have {dims} position and {dims} window axes; size was {sizes}"
        )
    full = (1,) * min(missing, 1) + frames.shape
    if missing == 2:
        full = (*full, 1) if parsed.channels_last else (full[0], 1, *full[1:])
    axes = parsed.spatial_axes
    counts, window = full[axes[0] : axes[-1] + 1], full[axes[-1] + 1 : axes[-1] + 1 + dims]
    move = slide(sizes, window, stride, padding, dilation, operation="overlap_add")
    if move.output != counts:
        raise ValueError(
            f"overlap_add: size {sizes} with window {window}, stride {move.stride} and padding {move.padding} has {move.output} frames, found {counts}"
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
    dims = 2 if not isinstance(sizes, tuple | list) else len(sizes)
    if dims not in (1, 2, 3):
        raise ValueError(
            f"{operation}: {whole_number(dims, operation)} spatial dimensions; one to three are supported, as in (5,), (5, 5) or (3, 5, 5)"
        )
    return dims
