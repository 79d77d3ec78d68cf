"""Shape, joining and indexing functions with NumPy's names and habits, composed of the wiring rows.

Every function takes Tensors (and records) or plain arrays (and returns plain arrays).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .. import primitives as p
from ..shapes import Ints, normalize_axes, normalize_axis, resolve_reshape, whole_number
from ..tape import Tensor, constant
from .composed import composed


def as_operand(x: Any) -> Any:
    """A Tensor as it is; anything else as a plain array."""
    return x if isinstance(x, Tensor) else np.asarray(x)


# ---- shape


def reshape(x: Any, shape: Ints, *more: int) -> Any:
    """The same elements in C order under a new shape; one size may be -1."""
    x = as_operand(x)
    sizes = (shape, *more) if isinstance(shape, int | np.integer) else tuple(shape)
    return p.reshape(x, shape=resolve_reshape(x.shape, sizes))


def transpose(x: Any, axes: Sequence[int] | None = None) -> Any:
    """y[i_axes[0], i_axes[1], ...] = x[i_0, i_1, ...]; without ``axes`` the order is reversed."""
    x = as_operand(x)
    order = tuple(reversed(range(x.ndim))) if axes is None else normalize_axes(tuple(axes), x.ndim, "transpose")
    if len(order) != x.ndim:
        raise ValueError(
            f"transpose: axes {tuple(axes or ())} must name each of the {x.ndim} axes of shape {x.shape} once"
        )
    return p.permute_dims(x, axes=order)


permute_dims = transpose


def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """x with two axes exchanged."""
    x = as_operand(x)
    order = list(range(x.ndim))
    i, j = normalize_axis(axis1, x.ndim, "swapaxes"), normalize_axis(axis2, x.ndim, "swapaxes")
    order[i], order[j] = j, i
    return p.permute_dims(x, axes=tuple(order))


def moveaxis(x: Any, source: Ints, destination: Ints) -> Any:
    """x with the axes ``source`` moved to ``destination``, the others kept in order."""
    x = as_operand(x)
    here, there = normalize_axes(source, x.ndim, "moveaxis"), normalize_axes(destination, x.ndim, "moveaxis")
    if len(here) != len(there):
        raise ValueError(f"moveaxis: {len(here)} source axes for {len(there)} destinations; name as many of each")
    order = [i for i in range(x.ndim) if i not in here]
    for to, axis in sorted(zip(there, here, strict=True)):
        order.insert(to, axis)
    return p.permute_dims(x, axes=tuple(order))


def expand_dims(x: Any, axis: Ints) -> Any:
    """x with new axes of size 1 at the positions ``axis`` of the result."""
    x = as_operand(x)
    ndim = x.ndim + (len(axis) if isinstance(axis, Sequence) else 1)
    new = normalize_axes(axis, ndim, "expand_dims")
    old = iter(x.shape)
    return p.reshape(x, shape=tuple(1 if i in new else next(old) for i in range(ndim)))


def squeeze(x: Any, axis: Ints | None = None) -> Any:
    """x without the axes of size 1 (or without those named, which must have size 1)."""
    x = as_operand(x)
    gone = (
        tuple(i for i, n in enumerate(x.shape) if n == 1) if axis is None else normalize_axes(axis, x.ndim, "squeeze")
    )
    if any(x.shape[i] != 1 for i in gone):
        raise ValueError(f"squeeze: axis {axis} of shape {x.shape} has a size other than 1; reduce or index it instead")
    return p.reshape(x, shape=tuple(n for i, n in enumerate(x.shape) if i not in gone))


def ravel(x: Any) -> Any:
    """All elements in C order, in one dimension."""
    return reshape(x, -1)


def flatten(x: Any, start_axis: int = 0) -> Any:
    """The axes from ``start_axis`` on merged into one: flatten(images, 1) is (N, H * W * C)."""
    x = as_operand(x)
    start = normalize_axis(start_axis, max(x.ndim, 1), "flatten")
    return p.reshape(x, shape=(*x.shape[:start], int(np.prod(x.shape[start:], dtype=int))))


def broadcast_to(x: Any, shape: Sequence[int]) -> Any:
    """x repeated along new leading axes and axes of size 1 up to ``shape``."""
    x, shape = as_operand(x), tuple(shape)
    fits = len(shape) >= x.ndim and all(n in (1, m) for n, m in zip(reversed(x.shape), reversed(shape), strict=False))
    if not fits:
        raise ValueError(
            f"broadcast_to: shape {x.shape} cannot be repeated up to {shape}; each size must be equal or 1, counted from the last axis"
        )
    return x if x.shape == shape else p.broadcast_to(x, shape=shape)


def flip(x: Any, axis: Ints | None = None) -> Any:
    """x in reverse order along ``axis`` (None: every axis)."""
    x = as_operand(x)
    return p.flip(x, axis=normalize_axes(axis, x.ndim, "flip"))


def rot180(kernel: Any) -> Any:
    """A kernel rotated by 180 degrees in its first two axes: k'[i, j] = k[H - 1 - i, W - 1 - j]."""
    return flip(kernel, (0, 1))


def roll(x: Any, shift: int, axis: int = 0) -> Any:
    """x moved on by ``shift`` along ``axis``, what falls off the end coming in at the start."""
    x = as_operand(x)
    axis = normalize_axis(axis, x.ndim, "roll")
    return p.take(x, np.roll(np.arange(x.shape[axis]), shift), axis=axis)


def tile(x: Any, repetitions: Ints) -> Any:
    """Copies of x side by side, ``repetitions`` of them along each axis."""
    x = as_operand(x)
    counts = tuple(repetitions) if isinstance(repetitions, Sequence) else (repetitions,)
    ndim = max(len(counts), x.ndim)
    shape, counts = (1,) * (ndim - x.ndim) + x.shape, (1,) * (ndim - len(counts)) + counts
    between = reshape(x, tuple(n for size in shape for n in (1, size)))
    repeated = broadcast_to(between, tuple(n for pair in zip(counts, shape, strict=True) for n in pair))
    return reshape(repeated, tuple(c * n for c, n in zip(counts, shape, strict=True)))


def repeat(x: Any, repeats: int, axis: int) -> Any:
    """Each slice of x along ``axis`` repeated ``repeats`` times in place."""
    x = as_operand(x)
    axis = normalize_axis(axis, x.ndim, "repeat")
    return p.take(x, np.repeat(np.arange(x.shape[axis]), whole_number(repeats, "repeat: repeats", 0)), axis=axis)


# ---- joining and parting


def concat(xs: Sequence[Any], axis: int = 0) -> Any:
    """The arrays ``xs`` one after the other along ``axis``; the other sizes must be equal."""
    parts = [as_operand(x) for x in xs]
    if not parts:
        raise ValueError("concat: there is nothing to join; give at least one array")
    axis = normalize_axis(axis, parts[0].ndim, "concat")
    rests = {(*x.shape[:axis], *x.shape[axis + 1 :]) for x in parts}
    if len(rests) > 1 or len({x.ndim for x in parts}) > 1:
        raise ValueError(
            f"concat: shapes {' and '.join(str(x.shape) for x in parts)} differ in an axis other than {axis}"
        )
    dtype = np.result_type(*[x.dtype for x in parts])
    if any(isinstance(x, Tensor) for x in parts):
        parts = [x if isinstance(x, Tensor) else constant(x) for x in parts]
    return p.concat(*[x if x.dtype == dtype else p.cast(x, dtype=dtype) for x in parts], axis=axis)


concatenate = concat


def stack(xs: Sequence[Any], axis: int = 0) -> Any:
    """Arrays of one shape along a new axis."""
    parts = [as_operand(x) for x in xs]
    if len({x.shape for x in parts}) > 1:
        raise ValueError(f"stack: shapes {' and '.join(str(x.shape) for x in parts)} must be equal")
    return concat([expand_dims(x, axis) for x in parts], axis)


def split(x: Any, sections: int | Sequence[int], axis: int = 0) -> list[Any]:
    """x cut along ``axis`` into ``sections`` equal parts, or before each of the indices given."""
    x = as_operand(x)
    axis = normalize_axis(axis, x.ndim, "split")
    n = x.shape[axis]
    if isinstance(sections, int):
        if sections < 1 or n % sections:
            raise ValueError(
                f"split: {n} elements along axis {axis} do not make {sections} equal parts; give the indices to cut at"
            )
        sections = list(range(n // sections, n, n // sections))
    cuts = [0, *sections, n]
    return [p.index(x, key=(*(slice(None),) * axis, slice(a, b))) for a, b in pairwise(cuts)]


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: float = 0) -> Any:
    """x with (before, after) cells added on each axis: a constant, or cells repeated as np.pad's "edge", "reflect",
    "symmetric" and "wrap" have it."""
    x = as_operand(x)
    try:
        pairs = [
            (whole_number(a, "pad: width", 0), whole_number(b, "pad: width", 0))
            for a, b in np.broadcast_to(pad_width, (x.ndim, 2)).tolist()
        ]
    except ValueError as error:
        raise ValueError(
            f"pad: {pad_width!r} is not one (before, after) pair for each axis of shape {x.shape}: {error}"
        ) from None
    if mode == "constant":
        padded = p.pad(x, width=tuple(pairs))
        return (
            padded if not constant_values else p.where(np.pad(np.ones(x.shape, bool), pairs), padded, constant_values)
        )
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        raise ValueError(f"pad: unknown mode {mode!r}; use 'constant', 'edge', 'reflect', 'symmetric' or 'wrap'")
    for axis, pair in enumerate(pairs):
        if any(pair):
            x = p.take(x, np.pad(np.arange(x.shape[axis]), pair, mode=mode), axis=axis)  # type: ignore[call-overload]
    return x


# ---- indexing and choosing


def getitem(x: Any, key: Any) -> Any:
    """x[key] as NumPy has it: integers, slices, None, Ellipsis, index arrays and masks."""
    key = np.asarray(key) if isinstance(key, list) else key
    if isinstance(key, Tensor | np.ndarray) and key.ndim and key.dtype.kind in "iu":
        return p.take(x, key, axis=0)
    parts = key if isinstance(key, tuple) else (key,)
    parts = tuple(k.value if isinstance(k, Tensor) else k for k in parts)
    if all(
        k is None or k is Ellipsis or (isinstance(k, int | np.integer | slice) and not isinstance(k, bool))
        for k in parts
    ):
        return p.index(x, key=parts)
    names = np.arange(x.size).reshape(x.shape)[parts]  # ask NumPy which elements the key reads
    return p.take(reshape(x, -1), names, axis=0)


def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """The slices of x at ``indices`` (any shape) along ``axis``; None: of the flattened x."""
    x = ravel(x) if axis is None else as_operand(x)
    indices = as_operand(indices)
    if indices.dtype.kind not in "iu":
        raise TypeError(f"take: indices must be integers, found dtype {indices.dtype}")
    axis = 0 if axis is None else normalize_axis(axis, x.ndim, "take")
    return p.take(x, indices, axis=axis)


def take_along_axis(x: Any, indices: Any, axis: int) -> Any:
    """y[.., i, ..] = x[.., indices[.., i, ..], ..]: one choice of index along ``axis`` for each place."""
    x, indices = as_operand(x), as_operand(indices)
    names = np.take_along_axis(np.arange(x.size).reshape(x.shape), np.asarray(indices), axis)
    return p.take(ravel(x), names, axis=0)


where = p.where


@composed("x")
def clip(x: Any, low: Any = None, high: Any = None) -> Any:
    """min(max(x, low), high); the slope is 1 where x is left as it is, the ends included, as in PyTorch."""
    if low is not None:
        x = p.maximum(x, low, ties="first")
    return x if high is None else p.minimum(x, high, ties="first")


def zeros_like(x: Any) -> np.ndarray:
    """A plain array of zeros of x's shape and dtype."""
    return np.zeros(x.shape, x.dtype)


def ones_like(x: Any) -> np.ndarray:
    """A plain array of ones of x's shape and dtype."""
    return np.ones(x.shape, x.dtype)


def astype(x: Any, dtype: Any) -> Any:
    """x in another dtype, by a recorded line; the gradient comes back in x's own."""
    x = as_operand(x)
    return x if x.dtype == np.dtype(dtype) else p.cast(x, dtype=np.dtype(dtype))
