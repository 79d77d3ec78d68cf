"""Reductions over axes: sums are the row ``sum``; max, min and prod are tournaments of adjacent pairs; the rest is composed.

Axes: None for all, an int, or a tuple; ``keepdims`` leaves them with size 1, as in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod as product
from typing import Any

import numpy as np

from .. import primitives as p
from ..shapes import Ints, keepdims_shape, normalize_axes
from .array import as_operand
from .composed import composed

Axis = Ints | None


def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """y = sum of x over ``axis``."""
    x = as_operand(x)
    return p.sum_(x, axis=normalize_axes(axis, x.ndim, "sum"), keepdims=keepdims)


@composed("x")
def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """y = (1 / n) sum of x over ``axis``, n the number of elements summed."""
    axes = normalize_axes(axis, x.ndim, "mean")
    total = p.sum_(x, axis=axes, keepdims=keepdims)
    return total / product(x.shape[i] for i in axes)


@composed("x")
def var(x: Any, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Any:
    """y = sum (x - mean)^2 / (n - ddof) over ``axis``; ddof = 0 as in NumPy (PyTorch's default is 1)."""
    axes = normalize_axes(axis, x.ndim, "var")
    n = product(x.shape[i] for i in axes)
    if n <= ddof:
        raise ValueError(
            f"var: {n} elements over axis {axis} of shape {x.shape}; ddof={ddof} needs at least {ddof + 1}"
        )
    deviation = x - p.sum_(x, axis=axes, keepdims=True) / n
    return p.sum_(deviation * deviation, axis=axes, keepdims=keepdims) / (n - ddof)


@composed("x")
def std(x: Any, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Any:
    """The square root of ``var``."""
    return p.sqrt(var(x, axis, keepdims, ddof))


def tournament(combine: Callable[[Any, Any], Any], x: Any, axis: int) -> Any:
    """Combine the elements along ``axis`` in rounds of adjacent pairs, the odd one going through; the axis keeps size 1.

    Pairs are neighbours, so every intermediate result stands for a run of consecutive elements: a rule that prefers the
    left operand at a tie prefers the first element overall.
    """
    before = (slice(None),) * axis
    while (n := x.shape[axis]) > 1:
        left = p.index(x, key=(*before, slice(0, n - 1, 2)))
        right = p.index(x, key=(*before, slice(1, n, 2)))
        winners = combine(left, right)
        x = p.concat(winners, p.index(x, key=(*before, slice(n - 1, n))), axis=axis) if n % 2 else winners
    return x


def _reduce(name: str, combine: Callable[[Any, Any], Any], x: Any, axis: Axis, keepdims: bool) -> Any:
    """A tournament over each axis in turn, the last one first: left of two is then always earlier in C order."""
    axes = normalize_axes(axis, x.ndim, name)
    if not axes:
        return x
    if 0 in [x.shape[i] for i in axes]:
        raise ValueError(f"{name}: shape {x.shape} has no element along axis {axis}, and there is no {name} of nothing")
    shape = keepdims_shape(x.shape, axes) if keepdims else tuple(n for i, n in enumerate(x.shape) if i not in axes)
    for i in sorted(axes, reverse=True):
        x = tournament(combine, x, i)
    return x if x.shape == shape else p.reshape(x, shape=shape)


@composed("x")
def max(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The largest element along ``axis``; the gradient goes to it (to the first of equal ones).  NaN if there is one."""
    return _reduce("max", lambda a, b: p.maximum(a, b, ties="first"), x, axis, keepdims)


@composed("x")
def min(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The smallest element along ``axis``; the gradient goes to it (to the first of equal ones).  NaN if there is one."""
    return _reduce("min", lambda a, b: p.minimum(a, b, ties="first"), x, axis, keepdims)


@composed("x")
def prod(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The product of the elements along ``axis`` (1 for none); its gradient needs no division, so zeros are harmless."""
    axes = normalize_axes(axis, x.ndim, "prod")
    if 0 in [x.shape[i] for i in axes]:
        return p.sum_(x, axis=axes, keepdims=keepdims) + 1  # the empty sum is 0, the empty product 1
    return _reduce("prod", p.mul, x, axis, keepdims)


@composed("x")
def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """y = m + log sum exp(x - m), m = the largest element (held constant: it cancels in the derivative)."""
    m = largest(x, axis)
    total = p.log(sum(p.exp(x - m), axis, keepdims=True)) + m
    axes = normalize_axes(axis, x.ndim, "logsumexp")
    return total if keepdims else p.reshape(total, shape=tuple(n for i, n in enumerate(x.shape) if i not in axes))


def largest(x: Any, axis: Axis) -> Any:
    """The shift that keeps exponentials finite: the largest element along ``axis`` as a constant, 0 where it is infinite."""
    m = p.stop_gradient(max(x, axis, keepdims=True))
    return p.where(p.less(p.abs_(m), np.inf), m, 0)


def argmax(x: Any, axis: int | None = None) -> Any:
    """The index of the largest element, a plain integer array; not differentiable, so not recorded."""
    return np.argmax(getattr(x, "value", x), axis=axis)


def argmin(x: Any, axis: int | None = None) -> Any:
    """The index of the smallest element, a plain integer array; not differentiable, so not recorded."""
    return np.argmin(getattr(x, "value", x), axis=axis)
