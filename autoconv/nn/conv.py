"""Convolution layers and their transposes, in one to three dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..functional import conv as functional
from ..shapes import Ints, Padding, Shape, parse_layout, per_dimension, resolve_padding, whole_number
from .init import Initializer, Rng, fans, he_uniform
from .module import Module, Parameter


class _Conv(Module):
    """What convolutions and their transposes share: settings checked once, a kernel and a bias."""

    dims: int
    transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        *,
        stride: Ints = 1,
        padding: Padding = 0,
        dilation: Ints = 1,
        groups: int = 1,
        bias: bool = True,
        layout: str = "channels_last",
        rng: Rng = None,
        init: Initializer = he_uniform,
        dtype: Any = np.float32,
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
        self.layout = layout
        last = parse_layout(layout, dims, name).channels_last
        shape, fan = self._kernel(last)
        self.weight = Parameter(init(shape, rng, fan), dtype=dtype)
        self.bias = Parameter(np.zeros(self.out_channels), dtype=dtype) if bias else None

    def _kernel(self, channels_last: bool) -> tuple[Shape, tuple[int, int]]:
        """The kernel's shape in the layout, and (fan_in, fan_out); a transpose holds its adjoint's kernel, fans swapped."""
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

    def forward(self, x: Any) -> Any:
        kind = "conv_transpose" if self.transposed else "conv"
        return getattr(functional, f"{kind}{self.dims}d")(x, self.weight, self.bias, **self._settings())

    def extra_repr(self) -> str:
        ones = (1,) * self.dims
        usual = {"stride": ones, "padding": 0, "dilation": ones, "groups": 1, "layout": "channels_last"}
        settings = self._settings() | {"bias": self.bias is not None}
        changed = [f", {k}={v!r}" for k, v in settings.items() if v != (usual | {"output_padding": 0, "bias": True})[k]]
        return f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}" + "".join(changed)


_DOC = """{what}

    x: {images}, or {first} with layout="channels_first".  weight, in the same layout: {kernel}; bias: (C_out,), zero
    at first.  Settings are those of ``ac.{function}``.  Raises ValueError and TypeError for settings that make no sense.
    """


def _documented(cls: type[_Conv]) -> type[_Conv]:
    spatial, window = ", ".join("DHW"[-cls.dims :]), ", ".join(f"k{axis}" for axis in "DHW"[-cls.dims :])
    name = f"{'conv_transpose' if cls.transposed else 'conv'}{cls.dims}d"
    inner, outer = ("C_out / groups", "C_in") if cls.transposed else ("C_in / groups", "C_out")
    cls.__doc__ = _DOC.format(
        what=f"{'The adjoint of a convolution' if cls.transposed else 'Convolution (cross-correlation)'} over {cls.dims} spatial dimension{'s' if cls.dims > 1 else ''}.",
        images=f"(N, {spatial}, C_in)",
        first=f"(N, C_in, {spatial})",
        kernel=f"({window}, {inner}, {outer}), channels first ({outer}, {inner}, {window})",
        function=name,
    )
    return cls


class _ConvTranspose(_Conv):
    transposed = True

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Ints, *, output_padding: Ints = 0, **settings: Any
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, **settings)
        per_dimension(output_padding, self.dims, f"{type(self).__name__}: output_padding", 0)
        self.output_padding = output_padding

    def _settings(self) -> dict[str, Any]:
        return super()._settings() | {"output_padding": self.output_padding}


@_documented
class Conv1d(_Conv):
    dims = 1


@_documented
class Conv2d(_Conv):
    dims = 2


@_documented
class Conv3d(_Conv):
    dims = 3


@_documented
class ConvTranspose1d(_ConvTranspose):
    dims = 1


@_documented
class ConvTranspose2d(_ConvTranspose):
    dims = 2


@_documented
class ConvTranspose3d(_ConvTranspose):
    dims = 3
