"""Pooling layers; they hold settings alone."""

from __future__ import annotations

from typing import Any

from ..functional import pool as functional
from ..shapes import Ints, Padding, parse_layout, per_dimension, resolve_padding
from .module import Module


class _Pool(Module):
    """Settings checked once, and the functional operation of the class's ``operation`` and ``dims``."""

    dims: int
    operation: str

    def __init__(self, kernel_size: Ints, *, stride: Ints | None, padding: Padding, layout: str, **more: Any) -> None:
        name, dims = type(self).__name__, self.dims
        self.kernel_size = per_dimension(kernel_size, dims, f"{name}: kernel_size", 1)
        self.stride = self.kernel_size if stride is None else per_dimension(stride, dims, f"{name}: stride", 1)
        resolve_padding(padding, (1,) * dims, self.kernel_size, self.stride, (1,) * dims, name)
        parse_layout(layout, dims, name)
        self.settings = {"padding": padding, **more, "layout": layout}

    def forward(self, x: Any) -> Any:
        operation = getattr(functional, f"{self.operation}{self.dims}d")
        return operation(x, self.kernel_size, stride=self.stride, **self.settings)

    def extra_repr(self) -> str:
        usual = {"padding": 0, "dilation": 1, "ceil_mode": False, "count_include_pad": True, "layout": "channels_last"}
        changed = [f", {k}={v!r}" for k, v in self.settings.items() if v != usual[k]]
        stride = f", stride={self.stride}" if self.stride != self.kernel_size else ""
        return f"kernel_size={self.kernel_size}{stride}" + "".join(changed)


class _MaxPool(_Pool):
    operation = "max_pool"

    def __init__(
        self,
        kernel_size: Ints,
        *,
        stride: Ints | None = None,
        padding: Padding = 0,
        dilation: Ints = 1,
        ceil_mode: bool = False,
        layout: str = "channels_last",
    ) -> None:
        per_dimension(dilation, self.dims, f"{type(self).__name__}: dilation", 1)
        super().__init__(
            kernel_size, stride=stride, padding=padding, layout=layout, dilation=dilation, ceil_mode=ceil_mode
        )


class _AvgPool(_Pool):
    operation = "avg_pool"

    def __init__(
        self,
        kernel_size: Ints,
        *,
        stride: Ints | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        layout: str = "channels_last",
    ) -> None:
        more = {"ceil_mode": ceil_mode, "count_include_pad": count_include_pad}
        super().__init__(kernel_size, stride=stride, padding=padding, layout=layout, **more)


class MaxPool1d(_MaxPool):
    """The largest cell of each window of (N, W, C); settings of ``ac.max_pool1d``, stride None means kernel_size."""

    dims = 1


class MaxPool2d(_MaxPool):
    """The largest cell of each window of (N, H, W, C); settings of ``ac.max_pool2d``, stride None means kernel_size."""

    dims = 2


class MaxPool3d(_MaxPool):
    """The largest cell of each window of (N, D, H, W, C); settings of ``ac.max_pool3d``, stride None means kernel_size."""

    dims = 3


class AvgPool1d(_AvgPool):
    """The mean of each window of (N, W, C); settings of ``ac.avg_pool1d``, stride None means kernel_size."""

    dims = 1


class AvgPool2d(_AvgPool):
    """The mean of each window of (N, H, W, C); settings of ``ac.avg_pool2d``, stride None means kernel_size."""

    dims = 2


class AvgPool3d(_AvgPool):
    """The mean of each window of (N, D, H, W, C); settings of ``ac.avg_pool3d``, stride None means kernel_size."""

    dims = 3


class GlobalAvgPool(Module):
    """The mean over all positions of each channel: (N, *spatial, C) -> (N, C)."""

    def __init__(self, *, layout: str = "channels_last") -> None:
        self.layout = layout

    def forward(self, x: Any) -> Any:
        return functional.global_avg_pool(x, layout=self.layout)

    def extra_repr(self) -> str:
        return "" if self.layout == "channels_last" else f"layout={self.layout!r}"
