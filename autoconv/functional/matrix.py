"""A convolution written out as what it is: a fully connected layer whose weights are shared, and mostly zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import arrays
from .. import primitives as p
from ..shapes import Ints, Padding, Slide, slide, whole_numbers
from ..tape import Array, Tensor
from .composed import composed
from .conv import canvas_of, check_transposed
from .geometry import Images, Kernel, check_channels

__all__ = ["conv_matrix"]


@composed("kernel")
def conv_matrix(
    kernel: Any,
    input_shape: Sequence[int],
    *,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: int = 1,
    flip: bool = False,
    layout: str = "channels_last",
    transpose: bool = False,
    output_padding: Ints = 0,
) -> Tensor:
    """The matrix C with conv(x, kernel).ravel() = C @ x.ravel() for one image x of ``input_shape``.

        C[r, c] = kernel[u]   where output r reads input c through the cell u of the kernel, else 0

    kernel: (*window, C_in / groups, C_out) with input_shape (*spatial, C_in), or plain (*window) with plain (*spatial),
    in one to three dimensions.  C: (output elements, input elements); every entry is one element of the kernel or 0, so
    the kernel's gradient flows through it, summed over equal entries.  Settings are those of ``conv2d``.
    transpose=True: the matrix of ``conv_transpose2d`` (with its output_padding) for its input x: the transposed matrix
    of the convolution that leads from its output's shape to ``input_shape``.
    Raises ValueError where the convolution would.

    >>> ac.conv_matrix([1.0, 2.0], (4,))
    array([[1., 2., 0., 0.],
           [0., 1., 2., 0.],
           [0., 0., 1., 2.]])
    >>> ac.conv_matrix([1.0, 2.0], (3,), transpose=True)  # takes (3,) to (4,)
    array([[1., 0., 0.],
           [2., 1., 0.],
           [0., 2., 1.],
           [0., 0., 2.]])
    """
    shape = whole_numbers(input_shape, "conv_matrix: input_shape", 0)
    dims = len(shape) if len(kernel.shape) == len(shape) < 4 else len(shape) - 1
    images = Images(shape, dims, layout, "conv_matrix")
    w = Kernel(kernel.shape, images)
    if transpose:
        groups = check_transposed(images, w, groups, shape, kernel.shape)
        whole, move = _read_back(images, w, groups, stride, padding, output_padding, dilation)
        places = weight_places(whole, w, move, groups, flip).T
    else:
        if output_padding != 0:
            raise ValueError("conv_matrix: output_padding belongs to a transposed convolution; add transpose=True")
        groups = check_channels(images, w, groups, shape, kernel.shape)
        move = slide(images.spatial, w.window, stride, padding, dilation, operation="conv_matrix")
        places = weight_places(images, w, move, groups, flip)

    flat = p.reshape(kernel, shape=(kernel.size,))
    entries = p.concat(flat, arrays.zeros((1,), kernel.dtype), axis=0)
    return p.take(entries, places, axis=0)


def _read_back(
    images: Images, w: Kernel, groups: int, stride: Ints, padding: Padding, output_padding: Ints, dilation: Ints
) -> tuple[Images, Slide]:
    """The images that a transposed convolution makes of ``images``, and how the convolution slides back over them."""
    dims, channels = images.layout.dims, w.inner * groups
    canvas, move, pairs, extra = canvas_of(images, w, stride, padding, output_padding, dilation)
    size = tuple(n - low - high + e for n, (low, high), e in zip(canvas, pairs, extra, strict=True))
    made = size if images.plain and channels == 1 else images.shape(size, channels)[1:]
    whole = Images(made, dims, "channels_last" if images.layout.channels_last else "channels_first", "conv_matrix")
    # as much behind as the last window reads
    padded = tuple((low, max(0, n - low - s)) for n, (low, _), s in zip(canvas, pairs, size, strict=True))
    return whole, move._replace(padding=padded, output=images.spatial)


def weight_places(images: Images, w: Kernel, move: Any, groups: int, flip: bool) -> Array:
    """For each (output element, input element) the flat index of the kernel element between them, or the kernel's size
    for none."""
    layout, dims = images.layout, images.layout.dims
    weights = np.arange(np.prod(w.shape)).reshape(w.shape)
    weights = weights if layout.channels_last else np.moveaxis(weights, (1, 0), (-2, -1))
    if flip:
        weights = np.flip(weights, tuple(range(dims)))
    pixels = np.arange(np.prod(images.spatial) * images.channels).reshape(
        images.shape(images.spatial, images.channels)[1:]
    )
    pixels = pixels if layout.channels_last else np.moveaxis(pixels, 0, -1)
    pixels = np.pad(pixels, (*move.padding, (0, 0)), constant_values=-1)
    frames = arrays.windows(pixels, tuple(range(dims)), move.window, move.stride, move.dilation)
    frames = frames[tuple(slice(n) for n in move.output)]
    outputs = np.arange(np.prod(move.output) * w.outer).reshape(images.shape(move.output, w.outer)[1:])
    outputs = outputs if layout.channels_last else np.moveaxis(outputs, 0, -1)

    places = np.full((outputs.size, pixels.max() + 1), weights.size)
    made, read = w.outer // groups, w.inner
    for o in range(w.outer):
        seen = frames[..., o // made * read : (o // made + 1) * read].reshape(outputs[..., o].size, -1)
        row, tap = np.nonzero(seen >= 0)
        places[outputs[..., o].ravel()[row], seen[row, tap]] = weights[..., o].ravel()[tap]
    return places
