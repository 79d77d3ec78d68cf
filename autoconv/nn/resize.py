"""Layers that change the size of images: upsampling, pixel shuffle, padding."""

from __future__ import annotations

from typing import Any

from ..functional import resize as functional
from ..functional.array import pad
from ..functional.composed import operand
from ..functional.geometry import Images
from ..operands import real
from ..shapes import Ints, listed, parse_layout, shown, whole_number
from ..tape import Tensor
from .module import Layer


class Upsample(Layer):
    """Images resized, one to three spatial dimensions: ``ac.interpolate``, whose settings it holds.

    >>> nn.Upsample(scale_factor=2, mode="bilinear")(np.zeros((1, 3, 4, 2))).shape
    (1, 6, 8, 2)
    """

    def __init__(
        self,
        size: Ints | None = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
        *,
        layout: str = "channels_last",
    ) -> None:
        if (size is None) == (scale_factor is None):
            raise ValueError(
                f"Upsample: size={shown(size)} and scale_factor={shown(scale_factor)}; give one of the two"
            )
        if not isinstance(mode, str) or mode not in functional.MODES:
            raise ValueError(f"Upsample: mode={shown(mode)}; use one of {', '.join(map(repr, functional.MODES))}")
        self.settings = {
            "size": size,
            "scale_factor": scale_factor,
            "mode": mode,
            "align_corners": align_corners,
            "recompute_scale_factor": recompute_scale_factor,
            "layout": layout,
        }

    def forward(self, x: Any) -> Tensor:
        return functional.interpolate(x, **self.settings)

    def extra_repr(self) -> str:
        usual = {"mode": "nearest", "layout": "channels_last"}
        return ", ".join(f"{k}={v!r}" for k, v in self.settings.items() if v != usual.get(k))


class PixelShuffle(Layer):
    """(N, H, W, C r r) -> (N, H r, W r, C), channels dealt out as cells: ``ac.pixel_shuffle``.

    >>> nn.PixelShuffle(2)(np.zeros((1, 3, 4, 8))).shape
    (1, 6, 8, 2)
    """

    def __init__(self, upscale_factor: int, *, layout: str = "channels_last") -> None:
        self.upscale_factor = whole_number(upscale_factor, "PixelShuffle: upscale_factor", 1)
        parse_layout(layout, 2, "PixelShuffle")
        self.layout = layout

    def forward(self, x: Any) -> Tensor:
        return functional.pixel_shuffle(x, self.upscale_factor, layout=self.layout)

    def extra_repr(self) -> str:
        return f"{self.upscale_factor}"


class PixelUnshuffle(Layer):
    """(N, H r, W r, C) -> (N, H, W, C r r), the inverse of ``PixelShuffle``: ``ac.pixel_unshuffle``.

    >>> nn.PixelUnshuffle(2)(np.zeros((1, 6, 8, 2))).shape
    (1, 3, 4, 8)
    """

    def __init__(self, downscale_factor: int, *, layout: str = "channels_last") -> None:
        self.downscale_factor = whole_number(downscale_factor, "PixelUnshuffle: downscale_factor", 1)
        parse_layout(layout, 2, "PixelUnshuffle")
        self.layout = layout

    def forward(self, x: Any) -> Tensor:
        return functional.pixel_unshuffle(x, self.downscale_factor, layout=self.layout)

    def extra_repr(self) -> str:
        return f"{self.downscale_factor}"


class _Pad2d(Layer):
    """Cells added around images: (left, right, top, bottom) in PyTorch's order, or one number for all."""

    mode: str
    value: float = 0.0

    def __init__(self, padding: Ints, *, layout: str = "channels_last") -> None:
        name, several = type(self).__name__, listed(padding)
        if len(several) not in (1, 4):
            raise ValueError(f"{name}: padding={shown(padding)} needs one number, or (left, right, top, bottom)")
        parse_layout(layout, 2, name)
        sides = several * 4 if len(several) == 1 else several
        self.padding = tuple(whole_number(n, f"{name}: padding") for n in sides)
        self.layout = layout

    def forward(self, x: Any) -> Tensor:
        x = operand(x, type(self).__name__)
        images = Images(x.shape, 2, self.layout, type(self).__name__)
        left, right, top, bottom = self.padding
        width = images.pad_width(((top, bottom), (left, right)))
        return images.restore(pad(images.batch(x), width, self.mode, self.value))

    def extra_repr(self) -> str:
        return f"{self.padding}" + ("" if self.layout == "channels_last" else f", layout={self.layout!r}")


class ZeroPad2d(_Pad2d):
    """Zeros around (N, H, W, C): ``ac.pad``.

    padding: a number, or (left, right, top, bottom); negative ones take cells away.

    >>> nn.ZeroPad2d((1, 1, 0, 2))(np.zeros((1, 3, 3, 2))).shape
    (1, 5, 5, 2)
    """

    mode = "constant"


class ConstantPad2d(_Pad2d):
    """A number around (N, H, W, C): ``ac.pad``.

    padding: a number, or (left, right, top, bottom); negative ones take cells away.

    >>> nn.ConstantPad2d(1, 7.0)(np.zeros((1, 1))).value
    array([[7., 7., 7.],
           [7., 0., 7.],
           [7., 7., 7.]])
    """

    mode = "constant"

    def __init__(self, padding: Ints, value: float, *, layout: str = "channels_last") -> None:
        super().__init__(padding, layout=layout)
        self.value = real(value, "ConstantPad2d: value")


class ReflectionPad2d(_Pad2d):
    """The cells of (N, H, W, C) mirrored at its borders, which are not repeated: ``ac.pad`` with mode="reflect".

    padding: a number, or (left, right, top, bottom).

    >>> nn.ReflectionPad2d((2, 0, 0, 0))(np.arange(3.0).reshape(1, 3, 1)).value[0, :, 0]
    array([2., 1., 0., 1., 2.])
    """

    mode = "reflect"


class ReplicationPad2d(_Pad2d):
    """The border cells of (N, H, W, C) repeated: ``ac.pad`` with mode="edge".

    padding: a number, or (left, right, top, bottom).

    >>> nn.ReplicationPad2d((2, 0, 0, 0))(np.arange(3.0).reshape(1, 3, 1)).value[0, :, 0]
    array([0., 0., 0., 1., 2.])
    """

    mode = "edge"


class CircularPad2d(_Pad2d):
    """The cells of (N, H, W, C) from the other side: ``ac.pad`` with mode="wrap".

    padding: a number, or (left, right, top, bottom).

    >>> nn.CircularPad2d((2, 0, 0, 0))(np.arange(3.0).reshape(1, 3, 1)).value[0, :, 0]
    array([1., 2., 0., 1., 2.])
    """

    mode = "wrap"
