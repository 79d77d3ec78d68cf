"""Convolution in one to three dimensions: pad, windows, contract.  Nothing here has a gradient of its own.

    y[n, i, j, o] = sum_{u, v, c} xpad[n, i * s + u * d, j * s + v * d, c] * w[u, v, c, o] + b[o]

``conv_transpose`` is the adjoint of that map, from y to x: contract, overlap_add, crop.  Axes of the contractions are
letters (``axes``): n batch, xyz positions, ijk window, g group, c the channels summed over, o those made.
"""

from __future__ import annotations

from typing import Any

from .. import primitives as p
from ..shapes import Ints, Layout, Padding, Shape, Slide, per_dimension, slide, transposed_size
from ..tape import Tensor
from .axes import POSITION, WINDOW
from .composed import composed
from .geometry import Images, Kernel, check_channels, check_groups, frames_of, reshaped, zero_pad
from .linalg import same_dtype

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


@composed("x", "kernel", "bias")
def conv1d(
    x: Any,
    kernel: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: int = 1,
    *,
    flip: bool = False,
    layout: str = "channels_last",
) -> Tensor:
    """Cross-correlation of signals with kernels, as every framework's convolution.

        y[n, j, o] = sum over v, c of x[n, j * stride + v * dilation - low, c] * kernel[v, c, o] + bias[o]

    x: (N, W, C_in), without N for one signal, without N and C for one plain signal (with a plain kernel (kW)).
    kernel: (kW, C_in / groups, C_out); bias: (C_out,); y: (N, W', C_out), with

        size' = floor((size + low + high - dilation * (k - 1) - 1) / stride) + 1.

    layout="channels_first": x (N, C_in, W), kernel (C_out, C_in / groups, kW), as PyTorch.
    padding: a number, one for each dimension, (low, high) pairs, "valid", "same" (extra cell at the end), "same_lower"
    or "full"; stride, dilation: a number or one for each dimension; groups: channel blocks that do not see each other;
    flip=True rotates the kernel first: the mathematician's convolution.
    Raises ValueError for shapes that do not fit, TypeError for settings that are not whole numbers.

    >>> ac.conv1d([1.0, 2.0, 4.0, 8.0], [1.0, -1.0])
    array([-1., -2., -4.])
    >>> ac.conv1d([1.0, 2.0, 3.0], [1.0, 1.0], padding="full", flip=True)  # np.convolve
    array([1., 3., 5., 3.])
    """
    return _conv(1, x, kernel, bias, stride, padding, dilation, groups, flip, layout)


@composed("x", "kernel", "bias")
def conv2d(
    x: Any,
    kernel: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: int = 1,
    *,
    flip: bool = False,
    layout: str = "channels_last",
) -> Tensor:
    """Cross-correlation of images with kernels, as every framework's convolution.

        y[n, i, j, o] = sum over u, v, c of
            x[n, i * stride + u * dilation - low, j * stride + v * dilation - low, c] * kernel[u, v, c, o] + bias[o]

    x: (N, H, W, C_in), without N for one image, without N and C for one plain image (with a plain kernel (kH, kW)).
    kernel: (kH, kW, C_in / groups, C_out); bias: (C_out,); y: (N, H', W', C_out), with

        size' = floor((size + low + high - dilation * (k - 1) - 1) / stride) + 1.

    layout="channels_first": x (N, C_in, H, W), kernel (C_out, C_in / groups, kH, kW), as PyTorch.
    padding: a number, one for each dimension, (low, high) pairs, "valid", "same" (extra cell at the end), "same_lower"
    or "full"; stride, dilation: a number or one for each dimension; groups: channel blocks that do not see each other;
    flip=True rotates the kernel first: the mathematician's convolution.
    Raises ValueError for shapes that do not fit, TypeError for settings that are not whole numbers.

    >>> image = ac.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0], [2.0, 0.0, 1.0]])
    >>> kernel = ac.tensor([[1.0, -1.0], [0.5, 2.0]])
    >>> y = ac.conv2d(image, kernel)
    >>> y.value
    array([[1. , 8.5],
           [0. , 0. ]])
    >>> y.sum().backward()
    >>> kernel.grad  # each weight meets the four cells it was laid on
    array([[4., 6.],
           [3., 5.]])
    """
    return _conv(2, x, kernel, bias, stride, padding, dilation, groups, flip, layout)


@composed("x", "kernel", "bias")
def conv3d(
    x: Any,
    kernel: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: int = 1,
    *,
    flip: bool = False,
    layout: str = "channels_last",
) -> Tensor:
    """Cross-correlation of volumes with kernels, as every framework's convolution.

        y[n, h, i, j, o] = sum over t, u, v, c of x[n, h * stride + t * dilation - low, i * stride + u * dilation - low,
            j * stride + v * dilation - low, c] * kernel[t, u, v, c, o] + bias[o]

    x: (N, D, H, W, C_in), without N for one volume, without N and C for one plain volume (with a plain kernel
    (kD, kH, kW)).  kernel: (kD, kH, kW, C_in / groups, C_out); bias: (C_out,); y: (N, D', H', W', C_out), with

        size' = floor((size + low + high - dilation * (k - 1) - 1) / stride) + 1.

    layout="channels_first": x (N, C_in, D, H, W), kernel (C_out, C_in / groups, kD, kH, kW), as PyTorch.
    padding: a number, one for each dimension, (low, high) pairs, "valid", "same" (extra cell at the end), "same_lower"
    or "full"; stride, dilation: a number or one for each dimension; groups: channel blocks that do not see each other;
    flip=True rotates the kernel first: the mathematician's convolution.
    Raises ValueError for shapes that do not fit, TypeError for settings that are not whole numbers.

    >>> ac.conv3d(np.ones((1, 4, 5, 6, 2)), np.ones((2, 2, 2, 2, 3))).shape
    (1, 3, 4, 5, 3)
    """
    return _conv(3, x, kernel, bias, stride, padding, dilation, groups, flip, layout)


@composed("x", "kernel", "bias")
def conv_transpose1d(
    x: Any,
    kernel: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: Padding = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
    *,
    layout: str = "channels_last",
) -> Tensor:
    """The adjoint of conv1d with the same kernel, stride, padding and dilation: <conv(x), y> = <x, conv_transpose(y)>.

        y[n, w, o] = sum over j * stride + v * dilation - low = w, and c, of x[n, j, c] * kernel[v, o, c], + bias[o]

    x: (N, W, C_in), also without N, or N and C.  kernel: (kW, C_out / groups, C_in) (channels first
    (C_in, C_out / groups, kW)): that of the convolution from C_out to C_in channels.  bias: (C_out,).
    y: (N, W', C_out), size' = (size - 1) * stride + dilation * (k - 1) + 1 - low - high + output_padding; the cells of
    ``output_padding`` lie at the end.  Raises ValueError for shapes that do not fit.

    >>> ac.conv_transpose1d([1.0, 2.0], [1.0, 10.0, 100.0])
    array([  1.,  12., 120., 200.])
    """
    return _conv_transpose(1, x, kernel, bias, stride, padding, output_padding, dilation, groups, layout)


@composed("x", "kernel", "bias")
def conv_transpose2d(
    x: Any,
    kernel: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: Padding = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
    *,
    layout: str = "channels_last",
) -> Tensor:
    """The adjoint of conv2d with the same kernel, stride, padding and dilation: <conv(x), y> = <x, conv_transpose(y)>.

        y[n, h, w, o] = sum over i * stride + u * dilation - low = h, likewise j, v and w, and c
            of x[n, i, j, c] * kernel[u, v, o, c], + bias[o]

    x: (N, H, W, C_in), also without N, or N and C.  kernel: (kH, kW, C_out / groups, C_in) (channels first
    (C_in, C_out / groups, kH, kW)): that of the convolution from C_out to C_in channels.  bias: (C_out,).
    y: (N, H', W', C_out), size' = (size - 1) * stride + dilation * (k - 1) + 1 - low - high + output_padding; the cells
    of ``output_padding`` lie at the end.  Raises ValueError for shapes that do not fit.

    >>> ac.conv_transpose2d([[1.0, 2.0]], [[1.0, 10.0], [0.0, 100.0]])
    array([[  1.,  12.,  20.],
           [  0., 100., 200.]])
    """
    return _conv_transpose(2, x, kernel, bias, stride, padding, output_padding, dilation, groups, layout)


@composed("x", "kernel", "bias")
def conv_transpose3d(
    x: Any,
    kernel: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: Padding = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
    *,
    layout: str = "channels_last",
) -> Tensor:
    """The adjoint of conv3d with the same kernel, stride, padding and dilation: <conv(x), y> = <x, conv_transpose(y)>.

        y[n, d, h, w, o] = sum over g * stride + t * dilation - low = d, likewise i, u and h, j, v and w, and c
            of x[n, g, i, j, c] * kernel[t, u, v, o, c], + bias[o]

    x: (N, D, H, W, C_in), also without N, or N and C.  kernel: (kD, kH, kW, C_out / groups, C_in) (channels first
    (C_in, C_out / groups, kD, kH, kW)): that of the convolution from C_out to C_in channels.  bias: (C_out,).
    y: (N, D', H', W', C_out), size' = (size - 1) * stride + dilation * (k - 1) + 1 - low - high + output_padding; the
    cells of ``output_padding`` lie at the end.  Raises ValueError for shapes that do not fit.

    >>> ac.conv_transpose3d(np.ones((1, 2, 3, 4, 5)), np.ones((2, 2, 2, 6, 5)), stride=2).shape
    (1, 4, 6, 8, 6)
    """
    return _conv_transpose(3, x, kernel, bias, stride, padding, output_padding, dilation, groups, layout)


# ---- the maths


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
) -> Tensor:
    operation = f"conv{dims}d"
    images = Images(x.shape, dims, layout, operation)
    w = Kernel(kernel.shape, images)
    groups = check_channels(images, w, groups, x.shape, kernel.shape)
    _check_bias(operation, bias, w.outer)
    move = slide(images.spatial, w.window, stride, padding, dilation, operation=operation)

    x, kernel = same_dtype(x, kernel)
    if flip:
        plain = len(kernel.shape) == dims
        kernel = p.flip(kernel, axis=tuple(range(dims)) if plain else images.layout.kernel_axes)
    padded = zero_pad(images.batch(x), images, move.padding)
    y = _cross_correlate(padded, reshaped(kernel, w.grouped(groups)), images, w, move, groups)
    result: Tensor = images.restore(_add_bias(y, bias, images.layout))
    return result


def _cross_correlate(padded: Any, kernel: Any, images: Images, w: Kernel, move: Slide, groups: int) -> Tensor:
    """The frames contracted with the kernel, group by group."""
    layout, position, window, split = _letters(images.layout, groups)
    if groups > 1:
        padded = p.reshape(padded, shape=_parted(padded.shape, layout, groups))
    axes = tuple(axis + (groups > 1 and not layout.channels_last) for axis in layout.spatial_axes)
    reads = "n" + layout.order(position + window, split + "c")
    weighs = window + "c" + split + "o" if layout.channels_last else split + "o" + "c" + window
    makes = "n" + layout.order(position, split + "o")
    # two dimensions, channels last, one group: nxyijc,ijco->nxyo
    y = p.contract(frames_of(padded, axes, move), kernel, spec=f"{reads},{weighs}->{makes}")
    result: Tensor = reshaped(y, images.shape(move.output, w.outer))
    return result


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
) -> Tensor:
    operation = f"conv_transpose{dims}d"
    images = Images(x.shape, dims, layout, operation)
    w = Kernel(kernel.shape, images)
    if 0 in images.spatial:
        raise ValueError(f"{operation}: the input has no cell along a spatial dimension (shape {x.shape})")
    groups = check_transposed(images, w, groups, x.shape, kernel.shape)
    channels = w.inner * groups
    _check_bias(operation, bias, channels)
    canvas, move, pairs, extra = canvas_of(images, w, stride, padding, output_padding, dilation)

    x, kernel = same_dtype(x, kernel)
    frames = _spread(images.batch(x), reshaped(kernel, w.grouped(groups)), images, w, channels, groups)
    y = p.overlap_add(frames, axes=images.layout.spatial_axes, size=canvas, stride=move.stride, dilation=move.dilation)
    more = tuple((0, max(0, e - high)) for e, (_, high) in zip(extra, pairs, strict=True))
    less = tuple((low, max(0, high - e)) for e, (low, high) in zip(extra, pairs, strict=True))
    y = zero_pad(y, images, more)
    y = p.crop(y, width=images.pad_width(less)) if any(map(any, less)) else y
    result: Tensor = images.restore(_add_bias(y, bias, images.layout))
    return result


def _spread(batch: Any, kernel: Any, images: Images, w: Kernel, channels: int, groups: int) -> Tensor:
    """The frame that each input cell adds to the result: the kernel, weighted by the cell, group by group."""
    layout, position, window, split = _letters(images.layout, groups)
    if groups > 1:
        batch = p.reshape(batch, shape=_parted(batch.shape, layout, groups))
    reads = "n" + layout.order(position, split + "c")
    weighs = window + "o" + split + "c" if layout.channels_last else split + "c" + "o" + window
    makes = "n" + layout.order(position + window, split + "o")
    # two dimensions, channels last, one group: nxyc,ijoc->nxyijo
    frames = p.contract(batch, kernel, spec=f"{reads},{weighs}->{makes}")
    result: Tensor = reshaped(frames, images.shape((*images.spatial, *w.window), channels))
    return result


def _letters(layout: Layout, groups: int) -> tuple[Layout, str, str, str]:
    """(layout, positions, window, "g" where there are groups): the letters of a contraction's axes."""
    return layout, POSITION[: layout.dims], WINDOW[: layout.dims], "g" * (groups > 1)


def _parted(shape: Shape, layout: Layout, groups: int) -> Shape:
    """A batch's shape with its channel axis parted into (groups, channels / groups)."""
    axis = layout.channel_axis
    return (*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :])


def _add_bias(y: Any, bias: Any, layout: Layout) -> Any:
    """y + b[o], one bias for each output channel."""
    if bias is None:
        return y
    return y + p.reshape(bias, shape=(bias.size,) if layout.channels_last else (bias.size,) + (1,) * layout.dims)


def canvas_of(
    images: Images, w: Kernel, stride: Ints, padding: Padding, output_padding: Ints, dilation: Ints
) -> tuple[Shape, Slide, tuple[tuple[int, int], ...], Shape]:
    """(size on which the frames are added up, their slide over it, padding to crop, output padding), all checked."""
    operation, dims = images.operation, images.layout.dims
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
    sizes = zip(images.spatial, strides, dilations, w.window, strict=True)
    canvas = tuple(max(0, n - 1) * s + d * (k - 1) + 1 for n, s, d, k in sizes)
    move = slide(canvas, w.window, strides, 0, dilations, operation=operation)
    pairs = slide(canvas, 1, 1, padding, 1, operation=operation).padding
    size = transposed_size(images.spatial, Slide(canvas, w.window, strides, dilations, pairs, extra, ()), extra)
    if min(size) < 1:
        raise ValueError(
            f"{operation}: padding {pairs} leaves a result of size {size} (input size {images.spatial}, window "
            f"{w.window}); use less padding"
        )
    return canvas, move, pairs, extra


# ---- checks


def check_transposed(images: Images, w: Kernel, groups: Any, x: Shape, kernel: Shape) -> int:
    """groups, if input and kernel fit for a transposed convolution; ValueError with the shapes otherwise."""
    number = check_groups(images, groups, w.outer, f"input {x}, kernel {kernel}")
    if images.channels != w.outer:
        raise ValueError(
            f"{images.operation}: the input has {images.channels} channels (shape {x}), the kernel expects {w.outer} "
            f"(shape {kernel}), in layout {images.layout.image}"
        )
    return number


def _check_bias(operation: str, bias: Any, channels: int) -> None:
    if bias is not None and bias.shape != (channels,) and not (channels == 1 and bias.shape == ()):
        raise ValueError(
            f"{operation}: the bias has shape {bias.shape}, it needs ({channels},): one number for each output channel"
        )
