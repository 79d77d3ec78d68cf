"""What the table's wiring rows do to a plain array: zeros, windows, overlap-add, scatter and contraction in NumPy.

NumPy functions only, each the forward of one row of ``primitives.py``; they work for every dtype, exact fractions included.
"""

from __future__ import annotations

from itertools import product
from math import erf as _erf
from math import prod
from typing import Any

import numpy as np

from .shapes import Shape, broadcast_axes, spanned

Array = np.ndarray
Key = Any


def zeros(shape: Shape, dtype: Any) -> Array:
    """Zeros that stay exact: in an object array they are fractions."""
    return exact(np.zeros(shape, int)) if dtype == object else np.zeros(shape, dtype)


def exact(x: Any) -> Array:
    """An object array in which every Python number has become an exact Fraction (so that 1 / 2 stays 1/2)."""
    from fractions import Fraction  # here, because it takes longer to import than all of autoconv
    from numbers import Rational

    convert = np.frompyfunc(lambda v: Fraction(v) if isinstance(v, Rational | float) else v, 1, 1)
    return np.asarray(convert(np.asarray(x, object)), object)


def cast(x: Array, dtype: Any) -> Array:
    if dtype == object and x.dtype != object:
        return exact(x)
    return np.asarray(x).astype(dtype)


def sign(x: Array, at_zero: int = 0) -> Array:
    s = np.asarray(np.sign(x))
    if at_zero:
        np.putmask(s, np.equal(x, 0), at_zero)
    return s


def order(x: Array, y: Array) -> Array:
    """1 where x > y, -1 where x < y, 0 at a tie.  A NaN wins over a number, as it does in np.maximum."""
    x, y = np.asarray(x), np.asarray(y)
    result = np.greater(x, y).astype(np.int8) - np.less(x, y).astype(np.int8)
    if x.dtype.kind == "f" and (np.isnan(x).any() or np.isnan(y).any()):
        result = result + np.isnan(x) - np.isnan(y)
    return cast(result, x.dtype)


def erf(x: Array) -> Array:
    """The error function, element by element through the C library's (NumPy has none)."""
    x = np.asarray(x)
    if x.dtype == object:
        raise TypeError("erf of exact fractions")
    return np.asarray(np.frompyfunc(_erf, 1, 1)(x)).astype(x.dtype)


def sum_to(x: Array, shape: Shape) -> Array:
    """Sum x over the axes along which ``shape`` broadcasts to it."""
    return np.reshape(np.sum(x, axis=broadcast_axes(shape, x.shape)), shape)


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
    out = zeros(shape, x.dtype)
    out[key] = x
    return out


def scatter_add(x: Array, indices: Array, axis: int, size: int) -> Array:
    """Zeros with x added at ``indices`` along ``axis``; an index named twice receives both."""
    out = zeros((*x.shape[:axis], size, *x.shape[axis + indices.ndim :]), x.dtype)
    places: Key = (*(slice(None),) * axis, indices)
    np.add.at(out, places, x)
    return out


def windows(x: Array, axes: Shape, window: Shape, stride: Shape, dilation: Shape) -> Array:
    """A view of x through sliding windows: ``axes`` (consecutive) become (*counts, *window)."""
    first, end = axes[0], axes[-1] + 1
    steps = x.strides[first:end]
    counts = [
        (n - spanned(k, d)) // s + 1 for n, k, s, d in zip(x.shape[first:end], window, stride, dilation, strict=True)
    ]
    shape = (*x.shape[:first], *counts, *window, *x.shape[end:])
    jumps = [step * s for step, s in zip(steps, stride, strict=True)]
    taps = [step * d for step, d in zip(steps, dilation, strict=True)]
    return np.lib.stride_tricks.as_strided(
        x, shape, (*x.strides[:first], *jumps, *taps, *x.strides[end:]), writeable=False
    )


def overlap_add(frames: Array, axes: Shape, size: Shape, stride: Shape, dilation: Shape) -> Array:
    """The adjoint of ``windows``: each frame's cells added back to where they were read, in zeros of ``size`` along ``axes``.

    Tap by tap for all positions at once; along the last axis position by position where that makes longer runs of
    neighbouring cells (few channels behind it).
    """
    first, dims = axes[0], len(axes)
    counts, window = frames.shape[first : first + dims], frames.shape[first + dims : first + 2 * dims]
    out = zeros((*frames.shape[:first], *size, *frames.shape[first + 2 * dims :]), frames.dtype)
    before = (slice(None),) * first
    by_position = prod(frames.shape[first + 2 * dims :]) < 16 and dilation[-1] == 1
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


def contract(a: Array, b: Array, spec: str) -> Array:
    """Multiply and sum over the letters of ``spec`` that the result does not have, by one matrix product.

    Letters are sorted into batch (a, b and result), summed (a and b) and free (one operand and the result); then
    result[batch, free_a, free_b] = sum_k a[batch, free_a, k] * b[batch, k, free_b].
    """
    operands, result = spec.split("->")
    in_a, in_b = operands.split(",")
    batch = [c for c in in_a if c in in_b and c in result]
    summed = [c for c in in_a if c in in_b and c not in result]
    free_a = [c for c in in_a if c not in in_b]
    free_b = [c for c in in_b if c not in in_a]
    size = dict(zip(in_a + in_b, a.shape + b.shape, strict=True))
    left = matrix(a, [in_a.index(c) for c in batch], [in_a.index(c) for c in free_a], [in_a.index(c) for c in summed])
    right = matrix(b, [in_b.index(c) for c in batch], [in_b.index(c) for c in summed], [in_b.index(c) for c in free_b])
    made = batch + free_a + free_b
    product_ = np.reshape(np.matmul(left, right), [size[c] for c in made])
    return product_.transpose([made.index(c) for c in result])


def matrix(x: Array, batch: list[int], rows: list[int], columns: list[int]) -> Array:
    """x as matrices (batch..., rows, columns), copied (if at all) with the longer run of neighbouring cells innermost."""
    shape = x.shape

    def flat(outer: list[int], inner: list[int]) -> Array:
        return x.transpose([*batch, *outer, *inner]).reshape(
            *[prod([shape[i] for i in batch])] * bool(batch),
            prod([shape[i] for i in outer]),
            prod([shape[i] for i in inner]),
        )

    if run(x, columns) >= run(x, rows):
        return flat(rows, columns)
    return flat(columns, rows).swapaxes(-1, -2)


def run(x: Array, axes: list[int]) -> int:
    """How many cells the trailing ``axes`` of a strided array walk through at one even step; a whole array in order counts fully."""
    length, step = 1, 0
    for i in reversed(axes):
        if x.shape[i] == 1:
            continue
        if step and x.strides[i] != step * length:
            break
        step = step or x.strides[i]
        length *= x.shape[i]
    return length
