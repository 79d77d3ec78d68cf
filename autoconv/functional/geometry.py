"""The geometry of a call: what convolution and pooling know of their images and kernels before any arithmetic.

``Images`` brings one image, a plain matrix or a batch to the batched form (N, H, W, C) or (N, C, H, W) and back;
``Kernel`` reads a kernel's shape in its layout; ``frames_of`` slides a window over a batch.
"""

from __future__ import annotations

from typing import Any

from .. import primitives as p
from ..shapes import Layout, Shape, Slide, parse_layout, per_dimension
from ..tape import Tensor


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

    def restore(self, y: Tensor) -> Tensor:
        if not self.missing:
            return y
        channel = self.layout.channel_axis
        return p.reshape(y, shape=tuple(n for i, n in enumerate(y.shape) if i and not (self.plain and i == channel)))

    def pad_width(self, pairs: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        """Padding pairs for the spatial axes as pairs for all axes of a batch."""
        first = self.layout.spatial_axes[0]
        after = 1 if self.layout.channels_last else 0
        return ((0, 0),) * first + pairs + ((0, 0),) * after


class Kernel:
    """A kernel's shape read in its layout: ``window``, ``inner`` and ``outer`` channels; a plain (kH, kW) one has 1 and
    1.

    Channels last (*window, inner, outer); channels first (outer, inner, *window).  The inner axis is the one that
    groups divide: the channels read by a convolution, the channels made by a transposed one.
    """

    def __init__(self, shape: Shape, images: Images) -> None:
        layout: Layout = images.layout
        dims, last = layout.dims, layout.channels_last
        if images.plain and len(shape) == dims:
            self.shape: Shape = (*shape, 1, 1) if last else (1, 1, *shape)
        elif not images.plain and len(shape) == dims + 2:
            self.shape = shape
        else:
            axes = "(*window, C_in / groups, C_out)" if last else "(C_out, C_in / groups, *window)"
            needs = f"{dims}: a plain kernel for a plain image" if images.plain else f"{dims + 2}: {axes}"
            raise ValueError(
                f"{images.operation}: the kernel has {len(shape)} dimensions (shape {shape}), but with an input of "
                f"{dims + 2 - images.missing} dimensions it needs {needs}; add the axes that are missing, as in x[..., "
                "None]"
            )
        self.window: Shape = self.shape[:dims] if last else self.shape[2:]
        self.inner, self.outer = (self.shape[-2], self.shape[-1]) if last else (self.shape[1], self.shape[0])
        self.channels_last = last

    def grouped(self, groups: int) -> Shape:
        """The kernel's shape with its outer axis parted into (groups, outer / groups)."""
        if groups == 1:
            return self.shape
        parted = (groups, self.outer // groups)
        return (*self.shape[:-1], *parted) if self.channels_last else (*parted, *self.shape[1:])


def zero_pad(x: Any, images: Images, pairs: tuple[tuple[int, int], ...]) -> Any:
    """A batch with zeros around its spatial axes (and no line where there are none)."""
    return p.pad(x, width=images.pad_width(pairs)) if any(map(any, pairs)) else x


def frames_of(padded: Any, axes: Shape, move: Slide) -> Tensor:
    """What each position of the window sees of an already padded batch: (N, H', W', kH, kW, C), the row ``windows``."""
    return p.windows(padded, axes=axes, window=move.window, stride=move.stride, dilation=move.dilation)


def reshaped(x: Any, shape: Shape) -> Any:
    """x under ``shape`` (and no line where it has it)."""
    return x if x.shape == shape else p.reshape(x, shape=shape)


def check_groups(images: Images, groups: Any, outer: int, shapes: str) -> int:
    """groups, if it divides the channels; ValueError with the shapes otherwise."""
    (number,) = per_dimension(groups, 1, f"{images.operation}: groups", 1)
    if images.channels % number or outer % number:
        raise ValueError(
            f"{images.operation}: groups={number} must divide the {images.channels} channels of the input and the "
            f"{outer} of the kernel ({shapes})"
        )
    return number


def check_channels(images: Images, w: Kernel, groups: Any, x: Shape, kernel: Shape) -> int:
    """groups, if input and kernel fit for a convolution; ValueError with the shapes otherwise."""
    number = check_groups(images, groups, w.outer, f"input {x}, kernel {kernel}")
    if images.channels != w.inner * number:
        expects = f"{w.inner}" if number == 1 else f"{w.inner} x {number} groups"
        raise ValueError(
            f"{images.operation}: the input has {images.channels} channels (shape {x}), the kernel expects {expects} "
            f"(shape {kernel}), in layout {images.layout.image}"
        )
    return number
