"""Convolution in one to three dimensions: pad, windows, contract.  Nothing here has a gradient of its own.

    y[n, i, j, o] = sum_{u, v, c} xpad[n, i * s + u * d, j * s + v * d, c] * w[u, v, c, o] + b[o]

``conv_transpose`` is the adjoint of that map, from y to x: contract, overlap_add, crop.  Axes of the contractions are
letters: n batch, xyz positions, ijk window, g group, c the channels summed over, o those made.
"""

from __future__ import annotations

from typing import Any

from .. import primitives as p
from ..shapes import Ints, Layout, Padding, Shape, Slide, per_dimension, slide, transposed_size
from .axes import POSITION, WINDOW
from .composed import composed
from .frames import Images, view, zero_pad
from .linalg import same_dtype


class Kernel:
    """A kernel's shape read in its layout: ``window``, ``inner`` and ``outer`` channels; a plain (kH, kW) one has 1 and 1.

    Channels last (*window, inner, outer); channels first (outer, inner, *window).  The inner axis is the one that groups
    divide: the channels read by a convolution, the channels made by a transposed one.
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
                f"{dims + 2 - images.missing} dimensions it needs {needs}; add the axes that are missing, as in x[..., None]"
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


def _groups(images: Images, groups: Any, outer: int, shapes: str) -> int:
    """groups, if it divides the channels; ValueError with the shapes otherwise."""
    (number,) = per_dimension(groups, 1, f"{images.operation}: groups", 1)
    if images.channels % number or outer % number:
        raise ValueError(
            f"{images.operation}: groups={number} must divide the {images.channels} channels of the input and the {outer} of the kernel ({shapes})"
        )
    return number


def check_channels(images: Images, w: Kernel, groups: Any, x: Shape, kernel: Shape) -> int:
    """groups, if input and kernel fit for a convolution; ValueError with the shapes otherwise."""
    number = _groups(images, groups, w.outer, f"input {x}, kernel {kernel}")
    if images.channels != w.inner * number:
        expects = f"{w.inner}" if number == 1 else f"{w.inner} x {number} groups"
        raise ValueError(
            f"{images.operation}: the input has {images.channels} channels (shape {x}), the kernel expects {expects} (shape {kernel}), in layout {images.layout.image}"
        )
    return number


def _check_bias(operation: str, bias: Any, channels: int) -> None:
    if bias is not None and bias.shape != (channels,) and not (channels == 1 and bias.shape == ()):
        raise ValueError(
            f"{operation}: the bias has shape {bias.shape}, it needs ({channels},): one number for each output channel"
        )


def _add_bias(y: Any, bias: Any, layout: Layout) -> Any:
    """y + b[o], one bias for each output channel."""
    if bias is None:
        return y
    return y + p.reshape(bias, shape=(bias.size,) if layout.channels_last else (bias.size,) + (1,) * layout.dims)


def _conv(
    dims: int,
    x: Any,
    kernel: Any,
    bias: Any,
    stride: Ints,
    padding: Padding,
    dilation: Ints,
    groups: int,
    flip: bool,
    layout: str,
) -> Any:
    operation = f"conv{dims}d"
    images = Images(x.shape, dims, layout, operation)
    w = Kernel(kernel.shape, images)
    groups = check_channels(images, w, groups, x.shape, kernel.shape)
    _check_bias(operation, bias, w.outer)
    move = slide(images.spatial, w.window, stride, padding, dilation, operation=operation)

    x, kernel = same_dtype(x, kernel)
    if flip:
        kernel = p.flip(
            kernel, axis=images.layout.kernel_axes if len(kernel.shape) == len(w.shape) else tuple(range(dims))
        )
    y = _cross_correlate(
        zero_pad(images.batch(x), images, move.padding), _shaped(kernel, w.grouped(groups)), images, w, move, groups
    )
    return images.restore(_add_bias(y, bias, images.layout))


def _shaped(x: Any, shape: Shape) -> Any:
    return x if x.shape == shape else p.reshape(x, shape=shape)


def _cross_correlate(padded: Any, kernel: Any, images: Images, w: Kernel, move: Slide, groups: int) -> Any:
    """The contraction of the frames with the kernel, group by group."""
    layout, dims = images.layout, images.layout.dims
    split = "g" * (groups > 1)
    if groups > 1:
        padded = p.reshape(padded, shape=_parted(padded.shape, layout, groups))
    axes = tuple(axis + (groups > 1 and not layout.channels_last) for axis in layout.spatial_axes)
    frames = view(padded, axes, move)
    position, window = POSITION[:dims], WINDOW[:dims]
    reads = "n" + layout.order(position + window, split + "c")
    weighs = window + "c" + split + "o" if layout.channels_last else split + "o" + "c" + window
    makes = "n" + layout.order(position, split + "o")
    y = p.contract(frames, kernel, spec=f"{reads},{weighs}->{makes}")
    return _shaped(y, images.shape(move.output, w.outer))


def _parted(shape: Shape, layout: Layout, groups: int) -> Shape:
    """A batch's shape with its channel axis parted into (groups, channels / groups)."""
    axis = layout.channel_axis
    return (*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :])


def _conv_transpose(
    dims: int,
    x: Any,
    kernel: Any,
    bias: Any,
    stride: Ints,
    padding: Padding,
    output_padding: Ints,
    dilation: Ints,
    groups: int,
    layout: str,
) -> Any:
    operation = f"conv_transpose{dims}d"
    images = Images(x.shape, dims, layout, operation)
    where = images.layout
    w = Kernel(kernel.shape, images)
    shapes = f"input {x.shape}, kernel {kernel.shape}"
    groups = _groups(images, groups, w.outer, shapes)
    if images.channels != w.outer:
        raise ValueError(
            f"{operation}: the input has {images.channels} channels (shape {x.shape}), the kernel expects {w.outer} (shape {kernel.shape}), in layout {where.image}"
        )
    channels = w.inner * groups
    _check_bias(operation, bias, channels)
    if isinstance(padding, str) and padding != "valid":
        raise ValueError(
            f"{operation}: padding {padding!r} depends on the size of the result; give numbers or (low, high) pairs"
        )
    strides = per_dimension(stride, dims, f"{operation}: stride", 1)
    dilations = per_dimension(dilation, dims, f"{operation}: dilation", 1)
    extra = per_dimension(output_padding, dims, f"{operation}: output_padding", 0)
    if any(e >= max(s, d) for e, s, d in zip(extra, strides, dilations, strict=True)):
        raise ValueError(
            f"{operation}: output_padding {extra} must be smaller than the stride {strides} or the dilation {dilations}"
        )
    canvas = tuple(
        max(0, n - 1) * s + d * (k - 1) + 1
        for n, s, d, k in zip(images.spatial, strides, dilations, w.window, strict=True)
    )
    move = slide(canvas, w.window, strides, 0, dilations, operation=operation)
    pairs = slide(canvas, 1, 1, padding, 1, operation=operation).padding
    size = transposed_size(images.spatial, Slide(canvas, w.window, strides, dilations, pairs, extra, ()), extra)
    if min(size) < 1:
        raise ValueError(f"{operation}: padding {pairs} leaves a result of size {size} ({shapes}); use less padding")

    x, kernel = same_dtype(x, kernel)
    split, position, window = "g" * (groups > 1), POSITION[:dims], WINDOW[:dims]
    batch = images.batch(x)
    if groups > 1:
        batch = p.reshape(batch, shape=_parted(batch.shape, where, groups))
    reads = "n" + where.order(position, split + "c")
    weighs = window + "o" + split + "c" if where.channels_last else split + "c" + "o" + window
    makes = "n" + where.order(position + window, split + "o")
    frames = p.contract(batch, _shaped(kernel, w.grouped(groups)), spec=f"{reads},{weighs}->{makes}")
    spatial = (*images.spatial, *w.window)
    frames = _shaped(
        frames, (images.count, *spatial, channels) if where.channels_last else (images.count, channels, *spatial)
    )
    y = p.overlap_add(frames, axes=where.spatial_axes, size=canvas, stride=move.stride, dilation=move.dilation)
    more = tuple((0, max(0, e - high)) for e, (_, high) in zip(extra, pairs, strict=True))
    less = tuple((low, max(0, high - e)) for e, (low, high) in zip(extra, pairs, strict=True))
    y = zero_pad(y, images, more)
    y = p.crop(y, width=images.pad_width(less)) if any(map(any, less)) else y
    return images.restore(_add_bias(y, bias, where))


_CONV_DOC = """Cross-correlation of {dims}-dimensional images with kernels, as every framework's convolution.

        y[n, {ij}, o] = sum over {uv}, c of x[n, {read}, c] * kernel[{uv}, c, o] + bias[o]

    x: (N, {S}, C_in), without N for one image, without N and C for one plain image (with a plain kernel ({k})).
    kernel: ({k}, C_in / groups, C_out); bias: (C_out,); y: (N, {S2}, C_out), with

        size' = floor((size + low + high - dilation * (k - 1) - 1) / stride) + 1.

    layout="channels_first": x (N, C_in, {S}), kernel (C_out, C_in / groups, {k}), as PyTorch.
    padding: a number, one for each dimension, (low, high) pairs, "valid", "same" (extra cell at the end), "same_lower" or
    "full"; stride, dilation: a number or one for each dimension; groups: channel blocks that do not see each other;
    flip=True rotates the kernel first: the mathematician's convolution.
    Raises ValueError for shapes that do not fit, TypeError for settings that are not whole numbers.
    """

_TRANSPOSE_DOC = """The adjoint of conv{dims}d with the same kernel, stride, padding and dilation: <conv(x), y> = <x, conv_transpose(y)>.

    x: (N, {S}, C_in), also without N, or N and C.  kernel: ({k}, C_out / groups, C_in) (channels first
    (C_in, C_out / groups, {k})): that of the convolution from C_out to C_in channels.  bias: (C_out,).
    y: (N, {S2}, C_out), size' = (size - 1) * stride + dilation * (k - 1) + 1 - low - high + output_padding; the cells of
    ``output_padding`` lie at the end.  Raises ValueError for shapes that do not fit.
    """


def _documented(template: str, dims: int) -> str:
    pick = lambda *names: ", ".join(names[-dims:])
    read = ", ".join(f"{i} * stride + {u} * dilation - low" for i, u in zip("hij"[-dims:], "tuv"[-dims:], strict=True))
    return template.format(
        dims=dims,
        ij=pick("h", "i", "j"),
        uv=pick("t", "u", "v"),
        S=pick("D", "H", "W"),
        S2=pick("D'", "H'", "W'"),
        k=pick("kD", "kH", "kW"),
        read=read,
    )


def _make_conv(dims: int) -> Any:
    def conv(
        x: Any,
        kernel: Any,
        bias: Any = None,
        *,
        stride: Ints = 1,
        padding: Padding = 0,
        dilation: Ints = 1,
        groups: int = 1,
        flip: bool = False,
        layout: str = "channels_last",
    ) -> Any:
        return _conv(dims, x, kernel, bias, stride, padding, dilation, groups, flip, layout)

    conv.__name__ = conv.__qualname__ = f"conv{dims}d"
    conv.__doc__ = _documented(_CONV_DOC, dims)
    return composed("x", "kernel", "bias")(conv)


def _make_conv_transpose(dims: int) -> Any:
    def conv_transpose(
        x: Any,
        kernel: Any,
        bias: Any = None,
        *,
        stride: Ints = 1,
        padding: Padding = 0,
        output_padding: Ints = 0,
        dilation: Ints = 1,
        groups: int = 1,
        layout: str = "channels_last",
    ) -> Any:
        return _conv_transpose(dims, x, kernel, bias, stride, padding, output_padding, dilation, groups, layout)

    conv_transpose.__name__ = conv_transpose.__qualname__ = f"conv_transpose{dims}d"
    conv_transpose.__doc__ = _documented(_TRANSPOSE_DOC, dims)
    return composed("x", "kernel", "bias")(conv_transpose)


conv1d, conv2d, conv3d = _make_conv(1), _make_conv(2), _make_conv(3)
conv_transpose1d, conv_transpose2d, conv_transpose3d = (
    _make_conv_transpose(1),
    _make_conv_transpose(2),
    _make_conv_transpose(3),
)
