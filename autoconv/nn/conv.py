"""Convolution layers and their transposes, in one to three dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..functional import conv as functional
from ..functional.array import pad
from ..functional.composed import operand
from ..functional.geometry import Images
from ..operands import generator
from ..shapes import Ints, Padding, Shape, choice, flag, parse_layout, per_dimension, resolve_padding, whole_number
from ..tape import Tensor
from .init import Initializer, Rng, fans, he_uniform
from .module import Layer, Parameter

PADDING_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


class _Conv(Layer):
    """What convolutions and their transposes share: settings checked once, a kernel and a bias."""

    dims: int
    transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints,
        padding: Padding,
        dilation: Ints,
        groups: int,
        bias: bool,
        layout: str,
        rng: Rng,
        init: Initializer,
        dtype: Any,
        padding_mode: str = "zeros",
    ) -> None:
        name, dims = type(self).__name__, self.dims
        self.in_channels = whole_number(in_channels, f"{name}: in_channels", 1)
        self.out_channels = whole_number(out_channels, f"{name}: out_channels", 1)
        self.kernel_size = per_dimension(kernel_size, dims, f"{name}: kernel_size", 1)
        self.stride = per_dimension(stride, dims, f"{name}: stride", 1)
        self.dilation = per_dimension(dilation, dims, f"{name}: dilation", 1)
        self.groups = whole_number(groups, f"{name}: groups", 1)
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ValueError(
                f"{name}: groups={groups} must divide in_channels={in_channels} and out_channels={out_channels}"
            )
        resolve_padding(padding, (1,) * dims, self.kernel_size, self.stride, self.dilation, name)
        self.padding = padding
        self.padding_mode = choice(padding_mode, name, "padding_mode", PADDING_MODES)
        self.layout = layout
        last = parse_layout(layout, dims, name).channels_last
        shape, fan = self._kernel(last)
        with_bias = flag(bias, f"{name}: bias")
        self.weight = Parameter(init(shape, generator(rng, f"{name}: rng"), fan), dtype=dtype, fans=fan)
        self.bias = Parameter(np.zeros(self.out_channels), dtype=dtype) if with_bias else None

    def _kernel(self, channels_last: bool) -> tuple[Shape, tuple[int, int]]:
        """The kernel's shape in the layout, and (fan_in, fan_out); a transpose holds its adjoint's kernel, fans
        swapped."""
        read, made = (self.out_channels, self.in_channels) if self.transposed else (self.in_channels, self.out_channels)
        channels = (read // self.groups, made)
        shape = (*self.kernel_size, *channels) if channels_last else (*reversed(channels), *self.kernel_size)
        fan = fans(shape, channels_last)
        return shape, (fan[1] // self.groups, fan[0] * self.groups) if self.transposed else fan

    def _settings(self) -> dict[str, Any]:
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
            "layout": self.layout,
        }

    def _padded(self, x: Any) -> tuple[Any, dict[str, Any]]:
        """The input, padded unless with zeros, and the settings of the convolution that is left."""
        if self.padding_mode == "zeros":
            return x, self._settings()
        x = operand(x, type(self).__name__)
        images = Images(x.shape, self.dims, self.layout, type(self).__name__)
        pairs = resolve_padding(
            self.padding, images.spatial, self.kernel_size, self.stride, self.dilation, type(self).__name__
        )
        padded = pad(images.batch(x), images.pad_width(pairs), PADDING_MODES[self.padding_mode])
        return images.restore(padded), self._settings() | {"padding": 0}

    def extra_repr(self) -> str:
        ones = (1,) * self.dims
        usual = {"stride": ones, "padding": 0, "dilation": ones, "groups": 1, "layout": "channels_last"}
        settings = self._settings() | {"bias": self.bias is not None, "padding_mode": self.padding_mode}
        usual |= {"output_padding": 0, "bias": True, "padding_mode": "zeros"}
        changed = [f", {k}={v!r}" for k, v in settings.items() if v != usual[k]]
        return f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}" + "".join(changed)


class _ConvTranspose(_Conv):
    transposed = True

    def _take_output_padding(self, output_padding: Ints) -> None:
        per_dimension(output_padding, self.dims, f"{type(self).__name__}: output_padding", 0)
        self.output_padding = output_padding

    def _settings(self) -> dict[str, Any]:
        return super()._settings() | {"output_padding": self.output_padding}


class Conv1d(_Conv):
    """Convolution (cross-correlation) of signals over 1 spatial dimension, with a bias for each channel made:
    ``ac.conv1d``.

    x: (N, W, C_in), or (N, C_in, W) with layout="channels_first".  weight, in the same layout:
    (kW, C_in / groups, C_out), channels first (C_out, C_in / groups, kW); bias: (C_out,), zero at first.
    kernel_size, stride, padding, dilation, groups: as for ``ac.conv1d``, in PyTorch's order; rng: a generator or seed
    for the initial weights, drawn by ``init``.  padding_mode: "zeros", or cells of
    the input: "reflect", "replicate", "circular".  Raises ValueError and TypeError for settings that make no sense.

    >>> nn.Conv1d(2, 8, 5, 2)(np.zeros((4, 100, 2), np.float32)).shape
    (4, 48, 8)
    """

    dims = 1

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Padding = 0,
        dilation: Ints = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        layout: str = "channels_last",
        rng: Rng = None,
        init: Initializer = he_uniform,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            layout,
            rng,
            init,
            dtype,
            padding_mode,
        )

    def forward(self, x: Any) -> Tensor:
        x, settings = self._padded(x)
        return functional.conv1d(x, self.weight, self.bias, **settings)


class Conv2d(_Conv):
    """Convolution (cross-correlation) of images over 2 spatial dimensions, with a bias for each channel made:
    ``ac.conv2d``.

    x: (N, H, W, C_in), or (N, C_in, H, W) with layout="channels_first".  weight, in the same layout:
    (kH, kW, C_in / groups, C_out), channels first (C_out, C_in / groups, kH, kW); bias: (C_out,), zero at first.
    kernel_size, stride, padding, dilation, groups: as for ``ac.conv2d``, in PyTorch's order; rng: a generator or seed
    for the initial weights, drawn by ``init``.  padding_mode: "zeros", or cells of
    the input: "reflect", "replicate", "circular".  Raises ValueError and TypeError for settings that make no sense.

    >>> nn.Conv2d(1, 8, 3, 2, 1)(np.zeros((4, 28, 28, 1), np.float32)).shape
    (4, 14, 14, 8)
    """

    dims = 2

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Padding = 0,
        dilation: Ints = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        layout: str = "channels_last",
        rng: Rng = None,
        init: Initializer = he_uniform,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            layout,
            rng,
            init,
            dtype,
            padding_mode,
        )

    def forward(self, x: Any) -> Tensor:
        x, settings = self._padded(x)
        return functional.conv2d(x, self.weight, self.bias, **settings)


class Conv3d(_Conv):
    """Convolution (cross-correlation) of volumes over 3 spatial dimensions, with a bias for each channel made:
    ``ac.conv3d``.

    x: (N, D, H, W, C_in), or (N, C_in, D, H, W) with layout="channels_first".  weight, in the same layout:
    (kD, kH, kW, C_in / groups, C_out), channels first (C_out, C_in / groups, kD, kH, kW); bias: (C_out,), zero at
    first. kernel_size, stride, padding, dilation, groups: as for ``ac.conv3d``, in PyTorch's order; rng: a generator or
    seed for the initial weights, drawn by ``init``.  padding_mode: "zeros", or cells of
    the input: "reflect", "replicate", "circular".  Raises ValueError and TypeError for settings that make no sense.

    >>> nn.Conv3d(1, 2, 3, padding=1)(np.zeros((1, 4, 8, 8, 1), np.float32)).shape
    (1, 4, 8, 8, 2)
    """

    dims = 3

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Padding = 0,
        dilation: Ints = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        layout: str = "channels_last",
        rng: Rng = None,
        init: Initializer = he_uniform,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            layout,
            rng,
            init,
            dtype,
            padding_mode,
        )

    def forward(self, x: Any) -> Tensor:
        x, settings = self._padded(x)
        return functional.conv3d(x, self.weight, self.bias, **settings)


class ConvTranspose1d(_ConvTranspose):
    """The adjoint of a convolution over 1 spatial dimension, for upsampling signals: ``ac.conv_transpose1d``.

    x: (N, W, C_in), or (N, C_in, W) with layout="channels_first".  weight, in the same layout:
    (kW, C_out / groups, C_in), channels first (C_in, C_out / groups, kW); bias: (C_out,), zero at first.
    kernel_size, stride, padding, output_padding, groups, dilation: as for ``ac.conv_transpose1d``, in PyTorch's order;
    rng: a generator or seed for the initial weights, drawn by ``init``.
    Raises ValueError and TypeError for settings that make no sense.

    >>> nn.ConvTranspose1d(2, 8, 3, 2)(np.zeros((4, 10, 2), np.float32)).shape
    (4, 21, 8)
    """

    dims = 1

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Padding = 0,
        output_padding: Ints = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Ints = 1,
        *,
        layout: str = "channels_last",
        rng: Rng = None,
        init: Initializer = he_uniform,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, layout, rng, init, dtype
        )
        self._take_output_padding(output_padding)

    def forward(self, x: Any) -> Tensor:
        return functional.conv_transpose1d(x, self.weight, self.bias, **self._settings())


class ConvTranspose2d(_ConvTranspose):
    """The adjoint of a convolution over 2 spatial dimensions, for upsampling images: ``ac.conv_transpose2d``.

    x: (N, H, W, C_in), or (N, C_in, H, W) with layout="channels_first".  weight, in the same layout:
    (kH, kW, C_out / groups, C_in), channels first (C_in, C_out / groups, kH, kW); bias: (C_out,), zero at first.
    kernel_size, stride, padding, output_padding, groups, dilation: as for ``ac.conv_transpose2d``, in PyTorch's order;
    rng: a generator or seed for the initial weights, drawn by ``init``.
    Raises ValueError and TypeError for settings that make no sense.

    >>> nn.ConvTranspose2d(8, 1, 2, 2)(np.zeros((4, 7, 7, 8), np.float32)).shape
    (4, 14, 14, 1)
    """

    dims = 2

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Padding = 0,
        output_padding: Ints = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Ints = 1,
        *,
        layout: str = "channels_last",
        rng: Rng = None,
        init: Initializer = he_uniform,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, layout, rng, init, dtype
        )
        self._take_output_padding(output_padding)

    def forward(self, x: Any) -> Tensor:
        return functional.conv_transpose2d(x, self.weight, self.bias, **self._settings())


class ConvTranspose3d(_ConvTranspose):
    """The adjoint of a convolution over 3 spatial dimensions, for upsampling volumes: ``ac.conv_transpose3d``.

    x: (N, D, H, W, C_in), or (N, C_in, D, H, W) with layout="channels_first".  weight, in the same layout:
    (kD, kH, kW, C_out / groups, C_in), channels first (C_in, C_out / groups, kD, kH, kW); bias: (C_out,), zero at
    first. kernel_size, stride, padding, output_padding, groups, dilation: as for ``ac.conv_transpose3d``, in PyTorch's
    order; rng: a generator or seed for the initial weights, drawn by ``init``.
    Raises ValueError and TypeError for settings that make no sense.

    >>> nn.ConvTranspose3d(1, 2, 2, 2)(np.zeros((1, 2, 2, 2, 1), np.float32)).shape
    (1, 4, 4, 4, 2)
    """

    dims = 3

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Padding = 0,
        output_padding: Ints = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Ints = 1,
        *,
        layout: str = "channels_last",
        rng: Rng = None,
        init: Initializer = he_uniform,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, layout, rng, init, dtype
        )
        self._take_output_padding(output_padding)

    def forward(self, x: Any) -> Tensor:
        return functional.conv_transpose3d(x, self.weight, self.bias, **self._settings())
