"""The wiring rows on plain arrays: pad and crop, scatter, windows and overlap-add."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np

from ..shapes import Shape, spanned
from .fractions import Array, zeros
from .memory import memory_order, zeros_as
from .sums import SHORT, wide

Key = Any

FEW = 16  # channels: fewer are too short a run of neighbouring cells


def interior(shape: Shape, width: tuple[tuple[int, int], ...]) -> Key:
    """The slices of ``shape`` that leave ``width`` = (low, high) cells out on each axis."""
    return tuple(slice(low, n - high) for n, (low, high) in zip(shape, width, strict=True))


def pad(x: Array, width: tuple[tuple[int, int], ...]) -> Array:
    shape = tuple(n + low + high for n, (low, high) in zip(x.shape, width, strict=True))
    return scatter(x, interior(shape, width), shape)


def crop(x: Array, width: tuple[tuple[int, int], ...]) -> Array:
    return x[interior(x.shape, width)]


def scatter(x: Array, key: Key, shape: Shape) -> Array:
    """Zeros of ``shape`` with x at ``key`` (which names no element twice)."""
    out = zeros_as(x, shape)
    out[key] = x
    return out


def scatter_add(x: Array, indices: Array, axis: int, size: int) -> Array:
    """Zeros with x added at ``indices`` along ``axis``; an index named twice receives both.

    They are added one after the other: in float32 for float16, and in float64 where an index is named often.
    """
    dtype = wide(x.dtype)
    if dtype == np.float32 and indices.size > SHORT and np.bincount(indices.ravel() % size).max() > SHORT:
        dtype = np.dtype(np.float64)
    out = zeros((*x.shape[:axis], size, *x.shape[axis + indices.ndim :]), dtype)
    places: Key = (*(slice(None),) * axis, indices)
    np.add.at(out, places, x.astype(dtype, copy=False))
    return out.astype(x.dtype, copy=False)


def windows(x: Array, axes: Shape, window: Shape, stride: Shape, dilation: Shape) -> Array:
    """A view of x through sliding windows: ``axes`` (consecutive) become (*counts, *window).

    Many images of few channels are first brought into an order with the images innermost, if they are not: the frames,
    and all that is made of them, then consist of long runs of neighbouring cells.
    """
    if prod(x.shape[axes[-1] + 1 :]) < FEW <= prod(x.shape[: min(axes[0], 1)]) and memory_order(x)[-1]:
        x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 0, -1)), -1, 0)
    frames = framed(x, axes, window, stride, dilation)
    frames.flags.writeable = False
    return frames


def framed(x: Array, axes: Shape, window: Shape, stride: Shape, dilation: Shape) -> Array:
    """``windows`` of x where it lies."""
    first, end = axes[0], axes[-1] + 1
    steps = x.strides[first:end]
    counts = [
        (n - spanned(k, d)) // s + 1 for n, k, s, d in zip(x.shape[first:end], window, stride, dilation, strict=True)
    ]
    shape = (*x.shape[:first], *counts, *window, *x.shape[end:])
    jumps = [step * s for step, s in zip(steps, stride, strict=True)]
    taps = [step * d for step, d in zip(steps, dilation, strict=True)]
    return np.lib.stride_tricks.as_strided(x, shape, (*x.strides[:first], *jumps, *taps, *x.strides[end:]))


def overlap_add(frames: Array, axes: Shape, size: Shape, stride: Shape, dilation: Shape) -> Array:
    """The adjoint of ``windows``: each frame's cells added back to where they were read, in zeros of ``size`` along
    ``axes``.

    Windows that do not overlap are written through the view.  Others are added tap by tap for all positions at once;
    along the last axis position by position where that makes longer runs of neighbouring cells (few channels,
    innermost).  float16 is added in float32.
    """
    if frames.dtype == np.float16:
        return overlap_add(frames.astype(np.float32), axes, size, stride, dilation).astype(np.float16)
    first, dims = axes[0], len(axes)
    counts, window = frames.shape[first : first + dims], frames.shape[first + dims : first + 2 * dims]
    before, rest = (slice(None),) * first, frames.shape[first + 2 * dims :]
    one_tap: Key = (*before, *(slice(None),) * dims, *(0,) * dims)
    out = zeros_as(frames[one_tap], (*frames.shape[:first], *size, *rest))
    if all([s >= spanned(k, d) for k, s, d in zip(window, stride, dilation, strict=True)]):
        framed(out, axes, window, stride, dilation)[...] = frames
        return out
    by_position = prod(rest) < FEW and dilation[-1] == 1 and memory_order(frames)[-1] >= first + dims
    for *taps, last in product(*map(range, window[:-1]), range(counts[-1] if by_position else window[-1])):
        reached = [reach(*row) for row in zip(taps, dilation, counts[:-1], stride, strict=False)]
        if by_position:
            reached.append(slice(last * stride[-1], last * stride[-1] + window[-1]))
            seen: Key = (*before, *(slice(None),) * (dims - 1), last, *taps)
        else:
            reached.append(reach(last, dilation[-1], counts[-1], stride[-1]))
            seen = (*before, *(slice(None),) * dims, *taps, last)
        place: Key = (*before, *reached)
        out[place] += frames[seen]
    return out


def reach(tap: int, dilation: int, count: int, stride: int) -> slice:
    """The cells that one tap of a window reads at all its ``count`` positions."""
    start = tap * dilation
    return slice(start, start + (count - 1) * stride + 1 if count else start, stride)
