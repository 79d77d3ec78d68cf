"""lax's reductions and running reductions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import functional as f
from ... import primitives as p
from ..places import numbers

Operation = Callable[..., Any]
Ints = tuple[int, ...]


def _over(function: Operation) -> Operation:
    """A reduction over axes; over none it changes nothing."""

    def operation(x: Any, axes: Ints) -> Any:
        return function(x, axis=tuple(axes)) if axes else x

    return operation


def _extreme(shared: Operation, empty: Callable[[Any], Any]) -> Operation:
    """The largest or smallest over axes, where equal ones share the gradient; over no elements the end of the range."""

    def operation(x: Any, axes: Ints) -> Any:
        if not axes:
            return x
        if all(x.shape[k] for k in axes):
            return shared(x, axis=tuple(axes))
        return np.full([n for k, n in enumerate(x.shape) if k not in axes], empty(x.dtype), x.dtype)

    return operation


def product(x: Any, axes: Ints) -> Any:
    for axis in sorted(axes, reverse=True):
        x = f.prod(x, axis=axis)
    return x


def lowest(dtype: Any) -> Any:
    return -np.inf if dtype.kind == "f" else False if dtype == bool else np.iinfo(dtype).min


def highest(dtype: Any) -> Any:
    return np.inf if dtype.kind == "f" else True if dtype == bool else np.iinfo(dtype).max


def _place(choose: Operation) -> Operation:
    def operation(x: Any, axes: Ints, index_dtype: Any) -> Any:
        value = numbers(x)
        return choose(value, axis=axes[0]).astype(index_dtype)

    return operation


def _running(function: Operation) -> Operation:
    """A running reduction along an axis, from the end if ``reverse``."""

    def operation(x: Any, axis: int, reverse: bool) -> Any:
        return p.flip(function(p.flip(x, axis=(axis,)), axis), axis=(axis,)) if reverse else function(x, axis)

    return operation


def _folded(combine: Operation) -> Operation:
    """Running results of a row of two operands, in rounds: each joins with the one 1, 2, 4, ... before it."""

    def function(x: Any, axis: int) -> Any:
        before, step = (slice(None),) * axis, 1
        while step < x.shape[axis]:
            left = p.index(x, key=(*before, slice(0, -step)))
            right = p.index(x, key=(*before, slice(step, None)))
            x = p.concat(p.index(x, key=(*before, slice(0, step))), combine(left, right), axis=axis)
            step *= 2
        return x

    return function


OPERATIONS: dict[str, Operation] = {
    "reduce_sum": _over(f.sum), "reduce_max": _extreme(f.amax, lowest), "reduce_min": _extreme(f.amin, highest),
    "reduce_prod": product, "reduce_and": _over(f.all), "reduce_or": _over(f.any), "argmax": _place(np.argmax),
    "argmin": _place(np.argmin), "cumsum": _running(f.cumsum), "cumprod": _running(f.cumprod),
    "cummax": _running(_folded(p.maximum)), "cummin": _running(_folded(p.minimum)),
    "cumlogsumexp": _running(_folded(p.logaddexp)),
}  # fmt: skip
