"""ATen's pooling and resizing of images (N, C, *spatial)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ... import functional as f
from ..places import places_of_largest, unpooled
from .reduce import Later
from .types import FIRST, each_axis

Operation = Callable[..., Any]


def max_pool(dims: int) -> Operation:
    function = getattr(f, f"max_pool{dims}d")

    def operation(
        x: Any, kernel: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
    ) -> Any:
        window, stride, padding, dilation = [each_axis(n, dims) for n in (kernel, stride or kernel, padding, dilation)]
        return function(x, window, stride, padding, dilation, ceil_mode=ceil_mode, layout=FIRST)

    return operation


def with_places(dims: int) -> Operation:
    """max_pool with the place of each winner among the cells of its channel, looked up when it is asked for."""
    pool = max_pool(dims)

    def operation(x: Any, *args: Any, **settings: Any) -> tuple[Any, Any]:
        return pool(x, *args, **settings), Later(lambda: _places(lambda x: pool(x, *args, **settings), x, dims))

    return operation


def adaptive_with_places(dims: int) -> Operation:
    pool = adaptive("adaptive_max_pool", dims)

    def operation(x: Any, output_size: Any) -> tuple[Any, Any]:
        return pool(x, output_size), Later(lambda: _places(lambda x: pool(x, output_size), x, dims))

    return operation


def _places(pool: Operation, x: Any, dims: int) -> Any:
    spatial = x.shape[-dims:]
    return places_of_largest(pool, x, np.arange(math.prod(spatial)).reshape(spatial))


def max_unpool(x: Any, places: Any, output_size: Sequence[int], *_: Any, **__: Any) -> Any:
    """The other way: 0, but at the places of max_pool, which hold x."""
    size = tuple(int(n) for n in output_size)
    return unpooled(x, places, (*x.shape[: -len(size)], *size), len(size))


def avg_pool(dims: int) -> Operation:
    function = getattr(f, f"avg_pool{dims}d")

    def operation(
        x: Any, kernel: Any, stride: Any = (), padding: Any = 0, ceil_mode: bool = False,
        count_include_pad: bool = True, divisor_override: int | None = None,
    ) -> Any:  # fmt: skip
        window, stride, padding = [each_axis(n, dims) for n in (kernel, stride or kernel, padding)]
        return function(x, window, stride, padding, ceil_mode=ceil_mode, count_include_pad=count_include_pad,
                        divisor=divisor_override, layout=FIRST)  # fmt: skip

    return operation


def adaptive(word: str, dims: int) -> Operation:
    function = getattr(f, f"{word}{dims}d")

    def operation(x: Any, output_size: Any) -> Any:
        size = (output_size,) * dims if isinstance(output_size, int) else tuple(output_size)
        return function(x, size * dims if len(size) == 1 else size, layout=FIRST)

    return operation


def resize(mode: str, aligned: bool) -> Operation:
    """upsample_*: to a size, or by factors; ``aligned``: whether the operation has an align_corners before them."""

    def operation(x: Any, size: Any = None, *more: Any, **settings: Any) -> Any:
        align, *rest = more if aligned and more else (settings.get("align_corners") if aligned else None, *more)
        factors = settings.get("scale_factors", rest[0] if rest else None)
        return _resized(x, mode, size, factors, align)

    return operation


def _resized(x: Any, mode: str, size: Any, factors: Any, align: bool | None) -> Any:
    size = None if size is None else tuple(int(n) for n in size)
    factors = None if size is not None or factors is None else tuple(float(s) for s in factors)
    return f.interpolate(x, size, factors, mode, align, layout=FIRST)


OPERATIONS: dict[str, Operation] = {
    **{f"max_pool{n}d": max_pool(n) for n in (1, 2, 3)},
    **{f"max_pool{n}d_with_indices": with_places(n) for n in (1, 2, 3)},
    **{f"avg_pool{n}d": avg_pool(n) for n in (1, 2, 3)},
    **{f"adaptive_avg_pool{n}d": adaptive("adaptive_avg_pool", n) for n in (1, 2, 3)},
    **{f"_adaptive_avg_pool{n}d": adaptive("adaptive_avg_pool", n) for n in (2, 3)},
    **{f"adaptive_max_pool{n}d": adaptive_with_places(n) for n in (1, 2, 3)},
    "max_unpool2d": max_unpool,
    "max_unpool3d": max_unpool,
    "upsample_nearest1d": resize("nearest", False),
    "upsample_nearest2d": resize("nearest", False),
    "upsample_nearest3d": resize("nearest", False),
    "_upsample_nearest_exact1d": resize("nearest-exact", False),
    "_upsample_nearest_exact2d": resize("nearest-exact", False),
    "_upsample_nearest_exact3d": resize("nearest-exact", False),
    "upsample_linear1d": resize("linear", True),
    "upsample_bilinear2d": resize("bilinear", True),
    "upsample_trilinear3d": resize("trilinear", True),
    "upsample_bicubic2d": resize("bicubic", True),
}
