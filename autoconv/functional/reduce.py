"""Reductions over axes: sums are the row ``sum``; max, min and prod are tournaments of adjacent pairs; the rest is
composed.

Axes: None for all, an int, or a tuple; ``keepdims`` leaves them with size 1, as in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod as product
from typing import Any

import numpy as np

from .. import primitives as p
from ..shapes import Ints, Shape, flag, keepdims_shape, normalize_axes, normalize_axis, softmax_axes, whole_number
from ..tape import Tensor
from .composed import composed, operand, plain

__all__ = ["argmax", "argmin", "logsumexp", "max", "mean", "min", "prod", "std", "sum", "var"]

Axis = Ints | None


def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """y = sum of x over ``axis``; every element gets the gradient of its sum.

    axis: None for all, a number or a tuple; keepdims leaves the axes with size 1.  Raises ValueError for an axis out of
    range.

    >>> ac.sum([[1.0, 2.0], [3.0, 4.0]], axis=0)
    array([4., 6.])
    """
    x = operand(x, "sum")
    return p.sum_(x, axis=normalize_axes(axis, x.ndim, "sum"), keepdims=flag(keepdims, "sum: keepdims"))


@composed("x", statistics=True)
def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """y = (1 / n) sum of x over ``axis``, n the number of elements summed.

    axis, keepdims: as for ``sum``.  Raises ValueError for an axis out of range.

    >>> ac.mean([[1.0, 2.0], [3.0, 4.0]], axis=1)
    array([1.5, 3.5])
    """
    axes = normalize_axes(axis, x.ndim, "mean")
    total = p.sum_(x, axis=axes, keepdims=keepdims)
    result: Tensor = total / product(x.shape[i] for i in axes)
    return result


@composed("x", statistics=True)
def var(x: Any, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Tensor:
    """y = sum (x - mean)^2 / (n - ddof) over ``axis``; ddof = 0 as in NumPy (PyTorch's default is 1).

    axis, keepdims: as for ``sum``.  Raises ValueError for ddof or fewer elements.

    >>> float(ac.var([1.0, 2.0, 3.0, 4.0]))
    1.25
    """
    axes, n = _degrees(x, axis, ddof, "var")
    deviation = x - p.sum_(x, axis=axes, keepdims=True) / n
    result: Tensor = p.sum_(deviation * deviation, axis=axes, keepdims=keepdims) / (n - ddof)
    return result


@composed("x", statistics=True)
def std(x: Any, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Tensor:
    """The square root of ``var``; where all elements are equal its slope is chosen as 0, as in PyTorch.

    axis, keepdims, ddof: as for ``var``.  Raises ValueError for ddof or fewer elements.

    >>> float(ac.std([1.0, 3.0]))
    1.0
    """
    _degrees(x, axis, ddof, "std")
    v = var(x, axis, keepdims, ddof)
    flat = p.equal(v, 0)
    return p.where(flat, 0, p.sqrt(p.where(flat, 1, v)))


def _degrees(x: Any, axis: Axis, ddof: int, name: str) -> tuple[Shape, int]:
    """The axes of a variance, and the number of elements over them, which has to be larger than ``ddof``."""
    axes = normalize_axes(axis, x.ndim, name)
    n = product(x.shape[i] for i in axes)
    if n <= whole_number(ddof, f"{name}: ddof"):
        raise ValueError(
            f"{name}: {n} elements over axis {axis} of shape {x.shape}; ddof={ddof} needs at least {ddof + 1}"
        )
    return axes, n


def tournament(combine: Callable[[Any, Any], Any], x: Any, axis: int) -> Tensor:
    """Combine the elements along ``axis`` in rounds of adjacent pairs, the odd one going through; the axis keeps size
    1.

    Pairs are neighbours, so every intermediate result stands for a run of consecutive elements: a rule that prefers the
    left operand at a tie prefers the first element overall.
    """
    before = (slice(None),) * axis
    while (n := x.shape[axis]) > 1:
        left = p.index(x, key=(*before, slice(0, n - 1, 2)))
        right = p.index(x, key=(*before, slice(1, n, 2)))
        winners = combine(left, right)
        x = p.concat(winners, p.index(x, key=(*before, slice(n - 1, n))), axis=axis) if n % 2 else winners
    result: Tensor = x
    return result


def _reduce(name: str, combine: Callable[[Any, Any], Any], x: Any, axis: Axis, keepdims: bool) -> Tensor:
    """A tournament over each axis in turn, the last one first: left of two is then always earlier in C order."""
    axes = normalize_axes(axis, x.ndim, name)
    if not axes:
        result: Tensor = x
        return result
    nonempty(x, axes, name)
    shape = keepdims_shape(x.shape, axes) if keepdims else tuple(n for i, n in enumerate(x.shape) if i not in axes)
    for i in sorted(axes, reverse=True):
        x = tournament(combine, x, i)
    return x if x.shape == shape else p.reshape(x, shape=shape)


def nonempty(x: Any, axes: Shape, name: str) -> None:
    """ValueError where there is no element along one of ``axes``."""
    if 0 in [x.shape[i] for i in axes]:
        raise ValueError(f"{name}: shape {x.shape} has no element along axis {axes}, and there is no {name} of nothing")


@composed("x")
def max(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element along ``axis``; the gradient goes to it (to the first of equal ones).  NaN if there is one.

    A tournament of ``maximum``, round by round.  axis, keepdims: as for ``sum``.  Raises ValueError for no elements.

    >>> x = ac.tensor([1.0, 5.0, 5.0])
    >>> ac.max(x).backward()
    >>> x.grad
    array([0., 1., 0.])
    """
    return _reduce("max", lambda a, b: p.maximum(a, b, ties="first"), x, axis, keepdims)


@composed("x")
def min(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element along ``axis``; the gradient goes to it (to the first of equal ones).  NaN if there is one.

    A tournament of ``minimum``, round by round.  axis, keepdims: as for ``sum``.  Raises ValueError for no elements.

    >>> ac.min([[3.0, 1.0], [2.0, 4.0]], axis=1)
    array([1., 2.])
    """
    return _reduce("min", lambda a, b: p.minimum(a, b, ties="first"), x, axis, keepdims)


@composed("x", statistics=True)
def prod(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The product of the elements along ``axis`` (1 for none); its gradient needs no division, so zeros are harmless.

    axis, keepdims: as for ``sum``.  Raises ValueError for an axis out of range.

    >>> x = ac.tensor([2.0, 0.0, 5.0])
    >>> ac.prod(x).backward()
    >>> x.grad
    array([ 0., 10.,  0.])
    """
    axes = normalize_axes(axis, x.ndim, "prod")
    if 0 in [x.shape[i] for i in axes]:
        return p.sum_(x, axis=axes, keepdims=keepdims) + 1  # the empty sum is 0, the empty product 1
    return _reduce("prod", p.mul, x, axis, keepdims)


@composed("x", statistics=True)
def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """y = m + log sum exp(x - m), m = the largest element (held constant: it cancels in the derivative, the softmax).

    Of infinities: all -inf is -inf without a slope; one inf is inf, and has all of it.

    axis, keepdims: as for ``sum``.  Raises ValueError for no elements.

    >>> ac.logsumexp([1000.0, 1000.0]).round(3)
    np.float64(1000.693)
    """
    axes = softmax_axes(axis, x.ndim, "logsumexp")
    nonempty(x, axes, "logsumexp")
    top = max(x, axes, keepdims=True)
    finite = p.less(p.abs_(top), np.inf)
    m = p.stop_gradient(p.where(finite, top, 0))
    total = p.log(sum(p.exp(p.where(finite, x, 0) - m), axes, keepdims=True)) + m
    total = p.where(finite, total, p.maximum(-np.inf, top, ties="first"))  # no slope if all are -inf
    return total if keepdims else p.reshape(total, shape=tuple(n for i, n in enumerate(x.shape) if i not in axes))


def largest(x: Any, axis: Axis) -> Tensor:
    """The shift that keeps exponentials finite: the largest element along ``axis`` as a constant, 0 where it is
    infinite."""
    m = p.stop_gradient(max(x, axis, keepdims=True))
    return p.where(p.less(p.abs_(m), np.inf), m, 0)


def argmax(x: Any, axis: int | None = None) -> Any:
    """The index of the largest element, a plain integer array; not differentiable, so not recorded.

    axis: None for all (an index into the flattened x), or a number.  Raises ValueError for no elements.

    >>> ac.argmax(ac.tensor([[1.0, 3.0], [4.0, 2.0]]), axis=1)
    array([1, 0])
    """
    return np.argmax(*_chosen(x, axis, "argmax"))


def argmin(x: Any, axis: int | None = None) -> Any:
    """The index of the smallest element, a plain integer array; not differentiable, so not recorded.

    axis: None for all (an index into the flattened x), or a number.  Raises ValueError for no elements.

    >>> ac.argmin(ac.tensor([[1.0, 3.0], [4.0, 2.0]]), axis=1)
    array([0, 1])
    """
    return np.argmin(*_chosen(x, axis, "argmin"))


def _chosen(x: Any, axis: int | None, name: str) -> tuple[Any, int | None]:
    """The array and the axis of a choice among its elements, of which there has to be one."""
    x = plain(x, name)
    axis = None if axis is None else normalize_axis(axis, x.ndim, name)
    nonempty(x, normalize_axes(axis, x.ndim, name), name)
    return x, axis
