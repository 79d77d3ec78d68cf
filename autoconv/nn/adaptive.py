"""Pooling to a given output size; the layers hold settings alone."""

from __future__ import annotations

from typing import Any

from ..functional import adaptive as functional
from ..shapes import listed, parse_layout, shown, whole_number
from ..tape import Tensor
from .module import Layer


class _Adaptive(Layer):
    """Settings checked once; each layer calls the functional operation of its name."""

    dims: int

    def __init__(self, output_size: Any, *, layout: str = "channels_last") -> None:
        name = type(self).__name__
        several = listed(output_size)
        if len(several) not in (1, self.dims):
            raise ValueError(f"{name}: output_size={shown(output_size)} needs one number or {self.dims}")
        for size in several:
            if size is not None:
                whole_number(size, f"{name}: output_size", 1)
        parse_layout(layout, self.dims, name)
        self.output_size, self.layout = output_size, layout

    def extra_repr(self) -> str:
        return f"{self.output_size}" + ("" if self.layout == "channels_last" else f", layout={self.layout!r}")


class AdaptiveAvgPool1d(_Adaptive):
    """The mean of each of ``output_size`` windows that cover (N, W, C), each channel on its own:
    ``ac.adaptive_avg_pool1d``.

    output_size: a number, None for the input's own; layout: as for the functional.  Raises ValueError and
    TypeError for sizes that make no sense.

    >>> nn.AdaptiveAvgPool1d(3)(np.zeros((1, 6, 2))).shape
    (1, 3, 2)
    """

    dims = 1

    def forward(self, x: Any) -> Tensor:
        return functional.adaptive_avg_pool1d(x, self.output_size, layout=self.layout)


class AdaptiveAvgPool2d(_Adaptive):
    """The mean of each of ``output_size`` windows that cover (N, H, W, C), each channel on its own:
    ``ac.adaptive_avg_pool2d``.

    output_size: a number or 2, None for the input's own; layout: as for the functional.  Raises ValueError and
    TypeError for sizes that make no sense.

    >>> nn.AdaptiveAvgPool2d(3)(np.zeros((1, 6, 7, 2))).shape
    (1, 3, 3, 2)
    """

    dims = 2

    def forward(self, x: Any) -> Tensor:
        return functional.adaptive_avg_pool2d(x, self.output_size, layout=self.layout)


class AdaptiveAvgPool3d(_Adaptive):
    """The mean of each of ``output_size`` windows that cover (N, D, H, W, C), each channel on its own:
    ``ac.adaptive_avg_pool3d``.

    output_size: a number or 3, None for the input's own; layout: as for the functional.  Raises ValueError and
    TypeError for sizes that make no sense.

    >>> nn.AdaptiveAvgPool3d(3)(np.zeros((1, 4, 6, 7, 2))).shape
    (1, 3, 3, 3, 2)
    """

    dims = 3

    def forward(self, x: Any) -> Tensor:
        return functional.adaptive_avg_pool3d(x, self.output_size, layout=self.layout)


class AdaptiveMaxPool1d(_Adaptive):
    """The largest cell of each of ``output_size`` windows that cover (N, W, C), each channel on its own:
    ``ac.adaptive_max_pool1d``.

    output_size: a number, None for the input's own; layout: as for the functional.  Raises ValueError and
    TypeError for sizes that make no sense.

    >>> nn.AdaptiveMaxPool1d(3)(np.zeros((1, 6, 2))).shape
    (1, 3, 2)
    """

    dims = 1

    def forward(self, x: Any) -> Tensor:
        return functional.adaptive_max_pool1d(x, self.output_size, layout=self.layout)


class AdaptiveMaxPool2d(_Adaptive):
    """The largest cell of each of ``output_size`` windows that cover (N, H, W, C), each channel on its own:
    ``ac.adaptive_max_pool2d``.

    output_size: a number or 2, None for the input's own; layout: as for the functional.  Raises ValueError and
    TypeError for sizes that make no sense.

    >>> nn.AdaptiveMaxPool2d(3)(np.zeros((1, 6, 7, 2))).shape
    (1, 3, 3, 2)
    """

    dims = 2

    def forward(self, x: Any) -> Tensor:
        return functional.adaptive_max_pool2d(x, self.output_size, layout=self.layout)


class AdaptiveMaxPool3d(_Adaptive):
    """The largest cell of each of ``output_size`` windows that cover (N, D, H, W, C), each channel on its own:
    ``ac.adaptive_max_pool3d``.

    output_size: a number or 3, None for the input's own; layout: as for the functional.  Raises ValueError and
    TypeError for sizes that make no sense.

    >>> nn.AdaptiveMaxPool3d(3)(np.zeros((1, 4, 6, 7, 2))).shape
    (1, 3, 3, 3, 2)
    """

    dims = 3

    def forward(self, x: Any) -> Tensor:
        return functional.adaptive_max_pool3d(x, self.output_size, layout=self.layout)
