"""A convolution written out as what it is: a fully connected layer whose weights are shared, and mostly zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import arrays
from .. import primitives as p
from ..shapes import Ints, Padding, slide, whole_numbers
from ..tape import Array, Tensor
from .composed import composed
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
) -> Tensor:
    """The matrix C with conv(x, kernel).ravel() = C @ x.ravel() for one image x of ``input_shape``.

    kernel: (*window, C_in / groups, C_out) with input_shape (*spatial, C_in), or plain (*window) with plain (*spatial),
    in one to three dimensions.  C: (output elements, input elements); every entry is one element of the kernel or 0, so
    the kernel's gradient flows through it, summed over equal entries.  Settings are those of ``conv2d``.
    Raises ValueError where the convolution would.

    >>> ac.conv_matrix([1.0, 2.0], (4,))
    array([[1., 2., 0., 0.],
           [0., 1., 2., 0.],
           [0., 0., 1., 2.]])
    """
    shape = whole_numbers(input_shape, "conv_matrix: input_shape", 0)
    dims = len(kernel.shape) if len(kernel.shape) == len(shape) and len(shape) < 3 else len(shape) - 1
    images = Images(shape, dims, layout, "conv_matrix")
    w = Kernel(kernel.shape, images)
    groups = check_channels(images, w, groups, shape, kernel.shape)
    move = slide(images.spatial, w.window, stride, padding, dilation, operation="conv_matrix")

    flat = p.reshape(kernel, shape=(kernel.size,))
    entries = p.concat(flat, arrays.zeros((1,), kernel.dtype), axis=0)
    return p.take(entries, weight_places(images, w, move, groups, flip), axis=0)


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
    outputs = np.arange(np.prod(move.output) * w.outer).reshape(images.shape(move.output, w.outer)[1:])
    outputs = outputs if layout.channels_last else np.moveaxis(outputs, 0, -1)

    places = np.full((outputs.size, pixels.max() + 1), weights.size)
    made, read = w.outer // groups, w.inner
    for o in range(w.outer):
        seen = frames[..., o // made * read : (o // made + 1) * read].reshape(outputs[..., o].size, -1)
        row, tap = np.nonzero(seen >= 0)
        places[outputs[..., o].ravel()[row], seen[row, tap]] = weights[..., o].ravel()[tap]
    return places
