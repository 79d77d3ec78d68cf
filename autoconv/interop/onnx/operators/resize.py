"""ONNX's Resize and Upsample: along each axis a choice of cells, or a weighted sum of neighbouring ones.

Where cell i of the result lies among the n cells of the input (its coordinate x), which cells are read and with which
weights, is worked out on the side; the tape holds one ``take``, or a few products with fixed weights, for each axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .... import functional as f
from .... import primitives as p
from ....tape import Array
from .elementwise import cast_to
from .known import axis_of, check_room, integers, known

Operation = Callable[..., Any]


def resize(
    x: Any, roi: Any = None, scales: Any = None, sizes: Any = None, *, antialias: int = 0,
    axes: Sequence[int] | None = None, coordinate_transformation_mode: str = "half_pixel",
    cubic_coeff_a: float = -0.75, exclude_outside: int = 0, extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: str = "stretch", mode: str = "nearest", nearest_mode: str = "round_prefer_floor",
) -> Any:  # fmt: skip
    """x with other sizes along its axes: by ``scales`` (size floor(n * scale)) or to ``sizes``.

    tf_crop_and_resize: only of the region ``roi`` (all starts, then all ends, as shares of n - 1), of which cells
    outside the input are ``extrapolation_value``.
    """
    if mode not in ("nearest", "linear", "cubic"):
        raise ValueError(f"mode {mode!r}; the modes are nearest, linear and cubic")
    along = tuple(range(x.ndim)) if axes is None else tuple(axis_of(a, x.ndim, "axes") for a in axes)
    given = None if scales is None else known(scales, "the scales")
    if given is not None and given.size:
        factors = _factors(given.reshape(-1), along)
        lengths = [int(np.floor(np.float32(x.shape[a]) * np.float32(s))) for a, s in zip(along, factors, strict=True)]
    elif sizes is not None:
        lengths = list(integers(sizes, "the sizes"))
        if len(lengths) != len(along) or min([x.shape[a] for a in along], default=1) < 1:
            raise ValueError(f"sizes {lengths} for {len(along)} axes of shape {x.shape}")
        factors = [m / x.shape[a] for m, a in zip(lengths, along, strict=True)]
        if keep_aspect_ratio_policy != "stretch":
            factor = (min if keep_aspect_ratio_policy == "not_larger" else max)(factors)
            factors = [factor] * len(along)
            lengths = [math.floor(factor * x.shape[a] + 0.5) for a in along]
    else:
        raise ValueError("Resize needs scales or sizes")
    cropped = coordinate_transformation_mode == "tf_crop_and_resize"
    regions = _regions(roi, len(along)) if cropped else [None] * len(along)
    outside: Any = False
    check_room([dict(zip(along, lengths, strict=True)).get(i, n) for i, n in enumerate(x.shape)], x.dtype, "Resize")
    dtype = x.dtype
    for axis, m, scale, region in zip(along, lengths, factors, regions, strict=True):
        n = x.shape[axis]
        if n == m and scale == 1 and region in (None, (0.0, 1.0)):
            continue
        if region is None:
            place = _coordinates(coordinate_transformation_mode, n, m, scale)
        else:
            place = np.linspace(region[0], region[1], m) * (n - 1) if m > 1 else np.array([sum(region) / 2 * (n - 1)])
            beyond = (place < 0) | (place > n - 1)
            outside = outside | beyond.reshape(-1, *(1,) * (x.ndim - axis - 1))
        if mode == "nearest":
            x = _chosen(x, axis, _nearest(nearest_mode, place, n))
        else:
            x = _weighed(x, axis, place, scale if antialias else 1.0, mode, cubic_coeff_a, bool(exclude_outside))
    if np.any(outside):
        x = p.where(np.broadcast_to(outside, x.shape), np.asarray(extrapolation_value, x.dtype), x)
    return cast_to(x if dtype.kind == "f" or mode == "nearest" else f.round(x), dtype)


def upsample(x: Any, scales: Any, *, mode: str = "nearest") -> Any:
    """x with floor(n * scale) cells along each axis; cell i lies at i / scale."""
    return resize(x, None, scales, mode=mode if mode != "bilinear" else "linear", nearest_mode="floor",
                  coordinate_transformation_mode="asymmetric")  # fmt: skip


def _factors(scales: Array, along: Sequence[int]) -> list[float]:
    if len(scales) != len(along) or not (np.isfinite(scales) & (scales > 0)).all():
        raise ValueError(f"scales {scales.tolist()[:8]} must be {len(along)} positive numbers")
    return [float(s) for s in scales]


def _regions(roi: Any, count: int) -> list[Any]:
    """(start, end) for each axis."""
    given = np.zeros(0) if roi is None else known(roi, "the region").astype(float).reshape(-1)
    if given.size != 2 * count or not np.isfinite(given).all():
        raise ValueError(f"tf_crop_and_resize needs a region of {2 * count} numbers, found {given.size}")
    return [(float(a), float(b)) for a, b in zip(given[:count], given[count:], strict=True)]


def _coordinates(mode: str, n: int, m: int, scale: float) -> Array:
    """Where each of the m cells lies among the n."""
    i = np.arange(m, dtype=float)
    if mode == "align_corners":
        # the standard's own data divide by n * scale - 1, which need not be whole
        return i * ((n - 1) / (n * scale - 1)) if m > 1 and n * scale > 1 else i * 0
    if mode == "asymmetric":
        return i / scale
    if mode == "tf_half_pixel_for_nn":
        return (i + 0.5) / scale
    place = (i + 0.5) / scale - 0.5
    if mode == "half_pixel":
        return place
    if mode == "pytorch_half_pixel":
        return place if m > 1 else i * 0
    if mode == "half_pixel_symmetric":
        return n / 2 * (1 - m / (scale * n)) + place
    raise ValueError(f"coordinate_transformation_mode {mode!r} is not covered")


def _nearest(mode: str, place: Array, n: int) -> Array:
    """The one cell that is read."""
    rules: dict[str, Callable[[Array], Array]] = {
        "round_prefer_floor": lambda x: np.ceil(x - 0.5),
        "round_prefer_ceil": lambda x: np.floor(x + 0.5),
        "floor": np.floor,
        "ceil": np.ceil,
    }
    if mode not in rules:
        raise ValueError(f"nearest_mode {mode!r}; the modes are {', '.join(rules)}")
    return np.clip(rules[mode](place), 0, n - 1).astype(np.intp)


def _chosen(x: Any, axis: int, cells: Array) -> Any:
    """x at these cells; where each stands equally often in a row, without indices: its adjoint is a plain sum."""
    n, m = x.shape[axis], len(cells)
    if m % n == 0 and np.array_equal(cells, np.repeat(np.arange(n), m // n)):
        before, after = x.shape[: axis + 1], x.shape[axis + 1 :]
        spread = p.broadcast_to(p.reshape(x, shape=(*before, 1, *after)), shape=(*before, m // n, *after))
        return p.reshape(spread, shape=(*x.shape[:axis], m, *after))
    return p.take(x, cells, axis=axis)


def _weighed(x: Any, axis: int, place: Array, scale: float, mode: str, a: float, inside_only: bool) -> Any:
    """The weighted sum of the cells around each place; beyond the border the border's cell, or none.

    scale below 1 (antialias): the weights are spread over 1 / scale as many cells.
    """
    n, m = x.shape[axis], len(place)
    reach, scale = (1 if mode == "linear" else 2), min(scale, 1.0)
    start = math.floor(-reach / scale) + 1
    taps = np.arange(start, 2 - start)
    check_room((m, len(taps)), float, "Resize")
    base = np.floor(place)
    distance = np.abs(taps - (place - base)[:, None]) * scale
    weights = np.clip(1 - distance, 0, 1) if mode == "linear" else _cubic(distance, a)
    cells = base[:, None].astype(np.intp) + taps
    if inside_only:
        weights = np.where((cells >= 0) & (cells < n), weights, 0)
    if inside_only or scale < 1:
        weights = weights / weights.sum(axis=1, keepdims=True)
    cells = np.clip(cells, 0, n - 1)
    kind = x.dtype if x.dtype.kind == "f" else np.dtype(np.float32)
    after = (1,) * (x.ndim - axis - 1)
    total = None
    for k in range(len(taps)):
        if weights[:, k].any():
            term = p.mul(p.take(x, cells[:, k], axis=axis), weights[:, k].astype(kind).reshape(m, *after))
            total = term if total is None else p.add(total, term)
    return total


def _cubic(d: Array, a: float) -> Array:
    """The cubic kernel (Keys, 1981) at these distances."""
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def resize_10(x: Any, scales: Any, *, mode: str = "nearest") -> Any:
    """Resize of opset 10, which is Upsample."""
    return upsample(x, scales, mode=mode)


OPERATIONS: dict[str, Operation] = {"Resize": resize, "Resize before 11": resize_10, "Upsample": upsample}
