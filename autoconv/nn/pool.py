"""Pooling layers; they hold settings alone."""

from __future__ import annotations

from typing import Any

from ..functional import pool as functional
from ..operands import real
from ..renamed import renamed
from ..shapes import Ints, Padding, parse_layout, per_dimension, resolve_padding
from ..tape import Tensor
from .module import Layer


class _Pool(Layer):
    """Settings checked once; each layer calls the functional operation of its name."""

    dims: int

    def __init__(self, kernel_size: Ints, stride: Ints | None, padding: Padding, layout: str, **more: Any) -> None:
        name, dims = type(self).__name__, self.dims
        self.kernel_size = per_dimension(kernel_size, dims, f"{name}: kernel_size", 1)
        self.stride = self.kernel_size if stride is None else per_dimension(stride, dims, f"{name}: stride", 1)
        resolve_padding(padding, (1,) * dims, self.kernel_size, self.stride, (1,) * dims, name)
        parse_layout(layout, dims, name)
        self.settings = {"padding": padding, **more, "layout": layout}

    def extra_repr(self) -> str:
        usual = {
            "padding": 0,
            "dilation": 1,
            "ceil_mode": False,
            "count_include_pad": True,
            "divisor": None,
            "layout": "channels_last",
        }
        changed = [f", {k}={v!r}" for k, v in self.settings.items() if v != usual[k]]
        stride = f", stride={self.stride}" if self.stride != self.kernel_size else ""
        return f"kernel_size={self.kernel_size}{stride}" + "".join(changed)


class MaxPool1d(_Pool):
    """The largest cell of each window of (N, W, C), each channel on its own: ``ac.max_pool1d``.

    kernel_size, stride (None: kernel_size), padding, dilation, ceil_mode, layout: as for ``ac.max_pool1d``.
    Raises ValueError and TypeError for settings that make no sense.

    >>> nn.MaxPool1d(2, 2)(np.zeros((1, 6, 2))).shape
    (1, 3, 2)
    """

    dims = 1

    @renamed(window="kernel_size")
    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Padding = 0,
        dilation: Ints = 1,
        *,
        ceil_mode: bool = False,
        layout: str = "channels_last",
    ) -> None:
        per_dimension(dilation, 1, "MaxPool1d: dilation", 1)
        super().__init__(kernel_size, stride, padding, layout, dilation=dilation, ceil_mode=ceil_mode)

    def forward(self, x: Any) -> Tensor:
        return functional.max_pool1d(x, self.kernel_size, self.stride, **self.settings)


class MaxPool2d(_Pool):
    """The largest cell of each window of (N, H, W, C), each channel on its own: ``ac.max_pool2d``.

    kernel_size, stride (None: kernel_size), padding, dilation, ceil_mode, layout: as for ``ac.max_pool2d``.
    Raises ValueError and TypeError for settings that make no sense.

    >>> nn.MaxPool2d(2, 2)(np.zeros((1, 6, 6, 2))).shape
    (1, 3, 3, 2)
    """

    dims = 2

    @renamed(window="kernel_size")
    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Padding = 0,
        dilation: Ints = 1,
        *,
        ceil_mode: bool = False,
        layout: str = "channels_last",
    ) -> None:
        per_dimension(dilation, 2, "MaxPool2d: dilation", 1)
        super().__init__(kernel_size, stride, padding, layout, dilation=dilation, ceil_mode=ceil_mode)

    def forward(self, x: Any) -> Tensor:
        return functional.max_pool2d(x, self.kernel_size, self.stride, **self.settings)


class MaxPool3d(_Pool):
    """The largest cell of each window of (N, D, H, W, C), each channel on its own: ``ac.max_pool3d``.

    kernel_size, stride (None: kernel_size), padding, dilation, ceil_mode, layout: as for ``ac.max_pool3d``.
    Raises ValueError and TypeError for settings that make no sense.

    >>> nn.MaxPool3d(2, 2)(np.zeros((1, 4, 6, 6, 2))).shape
    (1, 2, 3, 3, 2)
    """

    dims = 3

    @renamed(window="kernel_size")
    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Padding = 0,
        dilation: Ints = 1,
        *,
        ceil_mode: bool = False,
        layout: str = "channels_last",
    ) -> None:
        per_dimension(dilation, 3, "MaxPool3d: dilation", 1)
        super().__init__(kernel_size, stride, padding, layout, dilation=dilation, ceil_mode=ceil_mode)

    def forward(self, x: Any) -> Tensor:
        return functional.max_pool3d(x, self.kernel_size, self.stride, **self.settings)


class AvgPool1d(_Pool):
    """The mean of each window of (N, W, C), each channel on its own: ``ac.avg_pool1d``.

    kernel_size, stride (None: kernel_size), padding, ceil_mode, count_include_pad, divisor, layout: as for
    ``ac.avg_pool1d``.  Raises ValueError and TypeError for settings that make no sense.

    >>> nn.AvgPool1d(2, 2)(np.zeros((1, 6, 2))).shape
    (1, 3, 2)
    """

    dims = 1

    @renamed(window="kernel_size")
    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor: int | None = None,
        *,
        layout: str = "channels_last",
    ) -> None:
        more = {"ceil_mode": ceil_mode, "count_include_pad": count_include_pad, "divisor": divisor}
        super().__init__(kernel_size, stride, padding, layout, **more)

    def forward(self, x: Any) -> Tensor:
        return functional.avg_pool1d(x, self.kernel_size, self.stride, **self.settings)


class AvgPool2d(_Pool):
    """The mean of each window of (N, H, W, C), each channel on its own: ``ac.avg_pool2d``.

    kernel_size, stride (None: kernel_size), padding, ceil_mode, count_include_pad, divisor, layout: as for
    ``ac.avg_pool2d``.  Raises ValueError and TypeError for settings that make no sense.

    >>> nn.AvgPool2d(2, 2)(np.zeros((1, 6, 6, 2))).shape
    (1, 3, 3, 2)
    """

    dims = 2

    @renamed(window="kernel_size")
    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor: int | None = None,
        *,
        layout: str = "channels_last",
    ) -> None:
        more = {"ceil_mode": ceil_mode, "count_include_pad": count_include_pad, "divisor": divisor}
        super().__init__(kernel_size, stride, padding, layout, **more)

    def forward(self, x: Any) -> Tensor:
        return functional.avg_pool2d(x, self.kernel_size, self.stride, **self.settings)


class AvgPool3d(_Pool):
    """The mean of each window of (N, D, H, W, C), each channel on its own: ``ac.avg_pool3d``.

    kernel_size, stride (None: kernel_size), padding, ceil_mode, count_include_pad, divisor, layout: as for
    ``ac.avg_pool3d``.  Raises ValueError and TypeError for settings that make no sense.

    >>> nn.AvgPool3d(2, 2)(np.zeros((1, 4, 6, 6, 2))).shape
    (1, 2, 3, 3, 2)
    """

    dims = 3

    @renamed(window="kernel_size")
    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor: int | None = None,
        *,
        layout: str = "channels_last",
    ) -> None:
        more = {"ceil_mode": ceil_mode, "count_include_pad": count_include_pad, "divisor": divisor}
        super().__init__(kernel_size, stride, padding, layout, **more)

    def forward(self, x: Any) -> Tensor:
        return functional.avg_pool3d(x, self.kernel_size, self.stride, **self.settings)


class _LPPool(_Pool):
    """What the layers of one to three dimensions share."""

    def __init__(
        self,
        norm_type: float,
        kernel_size: Ints,
        stride: Ints | None = None,
        ceil_mode: bool = False,
        *,
        layout: str = "channels_last",
    ) -> None:
        self.norm_type = real(norm_type, f"{type(self).__name__}: norm_type", above=0)
        super().__init__(kernel_size, stride, 0, layout, ceil_mode=ceil_mode)

    def extra_repr(self) -> str:
        return f"norm_type={self.norm_type}, {super().extra_repr()}"


class LPPool1d(_LPPool):
    """The p-norm of each window of (N, W, C), each channel on its own: ``ac.lp_pool1d``.

    Settings in PyTorch's order; norm_type: p; the others as for ``ac.lp_pool1d``, stride None being kernel_size.
    Raises ValueError and TypeError for settings that make no sense.

    >>> nn.LPPool1d(2, 2)(np.zeros((1, 6, 2))).shape
    (1, 3, 2)
    """

    dims = 1

    def forward(self, x: Any) -> Tensor:
        return functional.lp_pool1d(x, self.kernel_size, self.norm_type, self.stride, **self.settings)


class LPPool2d(_LPPool):
    """The p-norm of each window of (N, H, W, C), each channel on its own: ``ac.lp_pool2d``.

    Settings in PyTorch's order; norm_type: p; the others as for ``ac.lp_pool2d``, stride None being kernel_size.
    Raises ValueError and TypeError for settings that make no sense.

    >>> nn.LPPool2d(2, 2)(np.zeros((1, 6, 6, 2))).shape
    (1, 3, 3, 2)
    """

    dims = 2

    def forward(self, x: Any) -> Tensor:
        return functional.lp_pool2d(x, self.kernel_size, self.norm_type, self.stride, **self.settings)


class LPPool3d(_LPPool):
    """The p-norm of each window of (N, D, H, W, C), each channel on its own: ``ac.lp_pool3d``.

    Settings in PyTorch's order; norm_type: p; the others as for ``ac.lp_pool3d``, stride None being kernel_size.
    Raises ValueError and TypeError for settings that make no sense.

    >>> nn.LPPool3d(2, 2)(np.zeros((1, 4, 6, 6, 2))).shape
    (1, 2, 3, 3, 2)
    """

    dims = 3

    def forward(self, x: Any) -> Tensor:
        return functional.lp_pool3d(x, self.kernel_size, self.norm_type, self.stride, **self.settings)


class GlobalAvgPool(Layer):
    """The mean over all positions of each channel: (N, *spatial, C) -> (N, C).

    layout="channels_first": (N, C, *spatial) -> (N, C).  Raises ValueError, when called, for an input without N and C.

    >>> nn.GlobalAvgPool()(np.ones((2, 5, 5, 3))).shape
    (2, 3)
    """

    def __init__(self, *, layout: str = "channels_last") -> None:
        self.layout = layout

    def forward(self, x: Any) -> Tensor:
        return functional.global_avg_pool(x, layout=self.layout)

    def extra_repr(self) -> str:
        return "" if self.layout == "channels_last" else f"layout={self.layout!r}"
