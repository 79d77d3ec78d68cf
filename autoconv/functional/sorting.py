"""Sorting, and running sums and products.

A sorted array is the array read in another order: the order is a line of its own (the row ``argsort``), which has no
gradient, and the elements carry theirs back to where they stood.  A running sum doubles the stretch that is summed in
each of log2(n) rounds; a running product does the same, so that its gradient needs no division.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import primitives as p
from ..shapes import flag, keepdims_shape, normalize_axes, normalize_axis, whole_number
from ..tape import Tensor
from .array import flat_places, ravel
from .composed import composed
from .reduce import mean

__all__ = ["argsort", "cumprod", "cumsum", "median", "sort", "topk"]


@composed("x")
def argsort(x: Any, axis: int | None = -1, descending: bool = False) -> Any:
    """The indices that sort x along ``axis`` (None: the flattened x): whole numbers, without a gradient.

    Equal elements stay in their order (the sort is stable); NaN counts as larger than every number.  Raises ValueError
    for an axis that x does not have.

    >>> ac.argsort([2.0, 1.0, 2.0])
    array([1, 0, 2])
    >>> ac.argsort([2.0, 1.0, 2.0], descending=True)
    array([0, 2, 1])
    """
    x, axis = (ravel(x), 0) if axis is None else (x, normalize_axis(axis, x.ndim, "argsort"))
    return _order(x, axis, descending)


def _order(x: Any, axis: int, descending: bool) -> Any:
    if not descending:
        return p.argsort(x, axis=axis)
    backwards = p.argsort(p.flip(x, axis=(axis,)), axis=axis)  # from behind, so that the first of equals comes first
    return p.sub(x.shape[axis] - 1, p.flip(backwards, axis=(axis,)))


def _read(x: Any, order: Any, axis: int) -> Any:
    """The elements of x at indices along ``axis``."""
    return p.take(ravel(x), flat_places(x.shape, order, axis), axis=0)


@composed("x")
def sort(x: Any, axis: int | None = -1, descending: bool = False) -> Tensor:
    """x in order along ``axis`` (None: the flattened x); the gradient of each element goes back to where it stood.

    Equal elements stay in their order; NaN counts as larger than every number.  Raises ValueError for an axis that x
    does not have.

    >>> x = ac.tensor([3.0, 1.0, 2.0])
    >>> y = ac.sort(x)
    >>> y.value
    array([1., 2., 3.])
    >>> (y * np.array([1.0, 10.0, 100.0])).sum().backward()
    >>> x.grad
    array([100.,   1.,  10.])
    """
    x, axis = (ravel(x), 0) if axis is None else (x, normalize_axis(axis, x.ndim, "sort"))
    result: Tensor = _read(x, _order(x, axis, descending), axis)
    return result


@composed("x")
def median(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The middle element along ``axis`` (None: of all) in order, of an even number the mean of the two in the middle.

    (PyTorch takes the lower of the two, and so does ``median(x, dim=1)``, which is its call.)  Raises ValueError for no
    elements.

    >>> float(ac.median([3.0, 1.0, 2.0, 10.0]))
    2.5
    """
    shape = keepdims_shape(x.shape, normalize_axes(axis, x.ndim, "median"))
    flat, at = (ravel(x), 0) if axis is None else (x, normalize_axis(axis, x.ndim, "median"))
    n = flat.shape[at]
    if not n:
        raise ValueError(f"median: shape {x.shape} has no element along axis {axis}, and there is no median of nothing")
    order = sort(flat, at)
    middle = p.index(order, key=(*(slice(None),) * at, slice((n - 1) // 2, n // 2 + 1)))
    y = mean(middle, at, keepdims)
    # a NaN stands last, and is the median wherever there is one
    last = p.index(order, key=(*(slice(None),) * at, slice(n - 1, n)))
    last = last if keepdims else p.reshape(last, shape=y.shape)
    y = p.where(p.not_equal(last, last), last, y)
    return p.reshape(y, shape=shape) if keepdims else y


@composed("x")
def topk(x: Any, k: int, axis: int = -1, largest: bool = True) -> tuple[Tensor, Any]:
    """(values, indices) of the k largest (or smallest) elements along ``axis``, in order; of equal ones the first.

    values have a gradient, indices are whole numbers without one.  (PyTorch chooses any of equal ones.)  Raises
    ValueError for a k larger than the axis.

    >>> values, indices = ac.topk([1.0, 3.0, 2.0, 3.0], 2)
    >>> values, indices
    (array([3., 3.]), array([1, 3]))
    """
    axis = normalize_axis(axis, x.ndim, "topk")
    number = whole_number(k, "topk: k", 0)
    if number > x.shape[axis]:
        raise ValueError(f"topk: k={number}, but axis {axis} of shape {x.shape} has {x.shape[axis]} elements")
    order = p.index(_order(x, axis, flag(largest, "topk: largest")), key=(*(slice(None),) * axis, slice(0, number)))
    return _read(x, order, axis), order


# ---- running sums and products


def _scan(combine: Callable[[Any, Any], Any], x: Any, axis: int) -> Any:
    """y[i] = x[0] combined with .. x[i]: in each round with what stands ``step`` before, which stands for as many."""
    before, step, n = (slice(None),) * axis, 1, x.shape[axis]
    while step < n:
        head, earlier, later = [
            p.index(x, key=(*before, slice(a, b))) for a, b in ((0, step), (0, n - step), (step, n))
        ]
        x = p.concat(head, combine(earlier, later), axis=axis)
        step *= 2
    return x


@composed("x", statistics=True)
def cumsum(x: Any, axis: int | None = None) -> Tensor:
    """y_i = x_0 + .. + x_i along ``axis`` (None: of the flattened x).

    Raises ValueError for an axis that x does not have.

    >>> ac.cumsum([1.0, 2.0, 3.0])
    array([1., 3., 6.])
    """
    result: Tensor = _scan(p.add, *_along(x, axis, "cumsum"))
    return result


@composed("x", statistics=True)
def cumprod(x: Any, axis: int | None = None) -> Tensor:
    """y_i = x_0 * .. * x_i along ``axis`` (None: of the flattened x); its gradient needs no division, so zeros are
    harmless.  Raises ValueError for an axis that x does not have.

    >>> ac.cumprod([1.0, 2.0, 3.0])
    array([1., 2., 6.])
    """
    result: Tensor = _scan(p.mul, *_along(x, axis, "cumprod"))
    return result


def _along(x: Any, axis: int | None, name: str) -> tuple[Any, int]:
    """x, flattened if there is no axis, with truth values as whole numbers; and the axis."""
    x = p.cast(x, dtype=np.dtype(int)) if x.dtype == bool else x
    return (ravel(x), 0) if axis is None else (x, normalize_axis(axis, x.ndim, name))
