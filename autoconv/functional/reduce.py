"""Reductions over axes: sums are the row ``sum``; max, min and prod are tournaments of adjacent pairs; the rest is
composed.

Axes: None for all, an int, or a tuple; ``keepdims`` leaves them with size 1, as in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod as product
from typing import Any

import numpy as np

from .. import primitives
from .. import primitives as p
from ..operands import real
from ..shapes import Ints, Shape, flag, keepdims_shape, normalize_axes, normalize_axis, softmax_axes, whole_number
from ..tape import Tensor, constant
from .composed import composed, operand, plain
from .spelling import spelled

__all__ = [
    "all", "amax", "amin", "any", "argmax", "argmin", "average", "count_nonzero", "logsumexp", "max", "mean", "min",
    "norm", "prod", "ptp", "std", "sum", "var",
]  # fmt: skip

Axis = Ints | None


@spelled
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
def var(x: Any, axis: Axis = None, keepdims: bool = False, ddof: int = 0, correction: int | None = None) -> Tensor:
    """y = sum (x - mean)^2 / (n - ddof) over ``axis``; ddof = 0 as in NumPy (PyTorch's default is 1).

    axis, keepdims: as for ``sum``; correction: PyTorch's name of ddof.  Raises ValueError for ddof or fewer elements.

    >>> float(ac.var([1.0, 2.0, 3.0, 4.0]))
    1.25
    """
    ddof = _one_name(ddof, correction, "var")
    axes, n = _degrees(x, axis, ddof, "var")
    deviation = x - p.sum_(x, axis=axes, keepdims=True) / n
    result: Tensor = p.sum_(deviation * deviation, axis=axes, keepdims=keepdims) / (n - ddof)
    return result


@composed("x", statistics=True)
def std(x: Any, axis: Axis = None, keepdims: bool = False, ddof: int = 0, correction: int | None = None) -> Tensor:
    """The square root of ``var``; where all elements are equal its slope is chosen as 0, as in PyTorch.

    axis, keepdims, ddof, correction: as for ``var``.  Raises ValueError for ddof or fewer elements.

    >>> float(ac.std([1.0, 3.0]))
    1.0
    """
    ddof = _one_name(ddof, correction, "std")
    _degrees(x, axis, ddof, "std")
    v = var(x, axis, keepdims, ddof)
    flat = p.equal(v, 0)
    return p.where(flat, 0, p.sqrt(p.where(flat, 1, v)))


def _one_name(ddof: int, correction: int | None, name: str) -> int:
    """ddof, or correction if it was given."""
    if correction is None:
        return ddof
    if whole_number(ddof, f"{name}: ddof") != 0:
        raise ValueError(f"{name}: ddof={ddof} and correction={correction} are two names of one setting; give one")
    return whole_number(correction, f"{name}: correction")


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


@composed("x")
def amax(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element along ``axis``; equal ones share the gradient evenly, as in PyTorch's ``amax``.

    axis, keepdims: as for ``sum``.  Raises ValueError for no elements.

    >>> x = ac.tensor([1.0, 5.0, 5.0])
    >>> ac.amax(x).backward()
    >>> x.grad
    array([0. , 0.5, 0.5])
    """
    return _shared("amax", max, x, axis, keepdims)


@composed("x")
def amin(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element along ``axis``; equal ones share the gradient evenly, as in PyTorch's ``amin``.

    axis, keepdims: as for ``sum``.  Raises ValueError for no elements.

    >>> ac.amin([[3.0, 1.0], [2.0, 4.0]], axis=1)
    array([1., 2.])
    """
    return _shared("amin", min, x, axis, keepdims)


def _shared(name: str, extreme: Callable[..., Any], x: Any, axis: Axis, keepdims: bool) -> Tensor:
    """The extreme as a constant, plus the mean of what is equal to it, minus itself: 0, with the slopes."""
    axes = normalize_axes(axis, x.ndim, name)
    nonempty(x, axes, name)
    top = p.stop_gradient(extreme(x, axes, keepdims=True))
    gone = tuple(n for i, n in enumerate(x.shape) if i not in axes)
    if x.dtype.kind not in "fO":
        return top if keepdims else p.reshape(top, shape=gone)
    equal = p.equal(x, top)
    count = p.cast(p.sum_(p.cast(equal, dtype=np.dtype(int)), axis=axes, keepdims=True), dtype=x.dtype)
    itself = x if x.dtype == object else p.where(p.less(p.abs_(x), np.inf), x, 0)  # an infinity stays one
    own = p.where(equal, x - p.stop_gradient(itself), 0)
    result: Tensor = top + p.sum_(own, axis=axes, keepdims=True) / p.where(p.equal(count, 0), 1, count)
    return result if keepdims else p.reshape(result, shape=gone)


@composed("x", statistics=True)
def norm(x: Any, p: float = 2, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """(sum |x|^p)^(1 / p) over ``axis``; the slope where it is 0 is chosen as 0, as in PyTorch.

    p: inf for the largest, -inf for the smallest |x| (equal ones share the gradient), 0 for the number of elements
    that are not 0.  Of all elements as one vector, if there is no axis.  axis, keepdims: as for ``sum``.

    >>> [float(ac.norm([3.0, -4.0], p)) for p in (2, 1, np.inf)]
    [5.0, 7.0, 4.0]
    """
    real(p, "norm: p")
    axes = normalize_axes(axis, x.ndim, "norm")
    if x.dtype.kind != "f":
        x = _floating(x, "norm")
    if p in (np.inf, -np.inf):
        nonempty(x, axes, "norm")
        return _shared("norm", max if p == np.inf else min, primitives.abs_(x), axes, keepdims)
    if p == 0:
        return primitives.sum_(primitives.cast(primitives.not_equal(x, 0), dtype=x.dtype), axis=axes, keepdims=keepdims)
    if p == 1:
        return primitives.sum_(primitives.abs_(x), axis=axes, keepdims=keepdims)
    total = primitives.sum_(x * x if p == 2 else primitives.abs_(x) ** float(p), axis=axes, keepdims=keepdims)
    none = primitives.equal(total, 0)
    safe = primitives.where(none, 1, total)
    return primitives.where(none, 0, primitives.sqrt(safe) if p == 2 else safe ** (1 / float(p)))


def _floating(x: Any, name: str) -> Any:
    if x.dtype == object:
        raise TypeError(f"{name}: not defined for exact fractions (dtype object); use floating-point numbers")
    return p.cast(x, dtype=np.dtype(float))


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


@composed("x")
def any(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Whether some element along ``axis`` is not 0 (False for none); a truth value, without a gradient.

    axis, keepdims: as for ``sum``.

    >>> ac.any([[0, 1], [0, 0]], axis=1)
    array([ True, False])
    """
    return p.greater(_count(x, normalize_axes(axis, x.ndim, "any"), keepdims), 0)


@composed("x")
def all(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Whether no element along ``axis`` is 0 (True for none); a truth value, without a gradient.

    axis, keepdims: as for ``sum``.

    >>> ac.all([[0, 1], [2, 1]], axis=1)
    array([False,  True])
    """
    axes = normalize_axes(axis, x.ndim, "all")
    return p.equal(_count(x, axes, keepdims), product(x.shape[i] for i in axes))


def _count(x: Any, axes: Shape, keepdims: bool) -> Any:
    """How many elements are not 0."""
    return p.sum_(p.cast(p.not_equal(x, 0), dtype=np.dtype(int)), axis=axes, keepdims=keepdims)


@spelled
def count_nonzero(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """How many elements along ``axis`` are not 0; whole numbers, without a gradient.

    axis, keepdims: as for ``sum``.

    >>> ac.count_nonzero([[0, 1], [2, 1]], axis=0)
    array([1, 2])
    """
    x = operand(x, "count_nonzero")
    return _count(x, normalize_axes(axis, x.ndim, "count_nonzero"), flag(keepdims, "count_nonzero: keepdims"))


@composed("x")
def ptp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element along ``axis`` less the smallest.

    axis, keepdims: as for ``sum``.  Raises ValueError for no elements.

    >>> ac.ptp([1.0, 5.0, 2.0])
    np.float64(4.0)
    """
    axes = normalize_axes(axis, x.ndim, "ptp")
    nonempty(x, axes, "ptp")
    result: Tensor = max(x, axes, keepdims) - min(x, axes, keepdims)
    return result


@composed("x", "weights", statistics=True)
def average(x: Any, axis: Axis = None, weights: Any = None, keepdims: bool = False) -> Tensor:
    """y = sum weights x / sum weights over ``axis``; without weights the mean.

    weights: of x's shape, or of the size of one ``axis``.  Raises ValueError for another shape.

    >>> ac.average([1.0, 3.0], weights=[3.0, 1.0])
    np.float64(1.5)
    """
    if weights is None:
        return mean(x, axis, keepdims)
    axes = normalize_axes(axis, x.ndim, "average")
    if weights.shape != x.shape:
        if len(axes) != 1 or weights.shape != (x.shape[axes[0]],):
            raise ValueError(f"average: weights of shape {weights.shape} for shape {x.shape} and axis {axis}")
        weights = p.reshape(weights, shape=tuple(n if i in axes else 1 for i, n in enumerate(x.shape)))
        weights = p.broadcast_to(weights, shape=x.shape)
    total = p.sum_(x * weights, axis=axes, keepdims=keepdims)
    result: Tensor = total / p.sum_(weights, axis=axes, keepdims=keepdims)
    return result


@spelled
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The index of the largest element, whole numbers; not differentiable, so of a Tensor it is a constant.

    axis: None for all (an index into the flattened x), or a number.  Raises ValueError for no elements.

    >>> ac.argmax([[1.0, 3.0], [4.0, 2.0]], axis=1)
    array([1, 0])
    """
    return _chosen(np.argmax, x, axis, keepdims, "argmax")


@spelled
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The index of the smallest element, whole numbers; not differentiable, so of a Tensor it is a constant.

    axis: None for all (an index into the flattened x), or a number.  Raises ValueError for no elements.

    >>> ac.argmin([[1.0, 3.0], [4.0, 2.0]], axis=1)
    array([0, 1])
    """
    return _chosen(np.argmin, x, axis, keepdims, "argmin")


def _chosen(choose: Callable[..., Any], x: Any, axis: int | None, keepdims: bool, name: str) -> Any:
    """The choice among the elements of an array, of which there has to be one."""
    array = plain(x, name)
    axis = None if axis is None else normalize_axis(axis, array.ndim, name)
    nonempty(array, normalize_axes(axis, array.ndim, name), name)
    places = choose(array, axis, keepdims=flag(keepdims, f"{name}: keepdims"))
    return constant(places, name) if isinstance(x, Tensor) else places
