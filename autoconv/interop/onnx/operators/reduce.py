"""ONNX's reductions.  Axes are an attribute, or an input from opset 13 (ReduceSum) or 18 on; none named: all."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .... import functional as f
from .... import primitives as p
from .known import axis_of, integers

Operation = Callable[..., Any]


def over(function: Operation, empty: float | None = None) -> Operation:
    """A reduction by ``function(x, axes, keepdims)``, in the dtype of x; ``empty``: the result of no elements."""

    def operation(x: Any, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Any:
        named = integers(axes, "axes")
        if not named and noop_with_empty_axes:
            along: tuple[int, ...] = ()
        else:
            along = tuple(sorted(axis_of(a, x.ndim, "axes") for a in named)) if named else tuple(range(x.ndim))
        if empty is not None and not math.prod(x.shape[a] for a in along):
            shape = [1 if a in along else n for a, n in enumerate(x.shape) if keepdims or a not in along]
            return np.full(shape, _within(empty, x.dtype), x.dtype)
        y = function(x, along, bool(keepdims))
        return y if y.dtype == x.dtype else p.cast(y, dtype=x.dtype)

    return operation


def _within(number: float, dtype: Any) -> Any:
    """An infinity, or the end of an integer's range."""
    if dtype.kind == "f" or math.isfinite(number):
        return number
    if dtype.kind == "b":
        return number > 0
    return np.iinfo(dtype).max if number > 0 else np.iinfo(dtype).min


def l1(x: Any, axes: Any, keepdims: bool) -> Any:
    """sum |x|."""
    return f.sum(p.abs_(x), axes, keepdims)


def root(x: Any) -> Any:
    """The square root, with slope 0 at 0."""
    zero = p.equal(x, 0)
    return p.where(zero, 0, p.sqrt(p.where(zero, 1, x)))


def l2(x: Any, axes: Any, keepdims: bool) -> Any:
    """sqrt(sum x^2), with slope 0 where all is 0."""
    return root(f.sum(p.mul(x, x), axes, keepdims))


def log_sum(x: Any, axes: Any, keepdims: bool) -> Any:
    """ln sum x."""
    return p.log(f.sum(x, axes, keepdims))


def sum_square(x: Any, axes: Any, keepdims: bool) -> Any:
    """sum x^2."""
    return f.sum(p.mul(x, x), axes, keepdims)


def lp_normalization(x: Any, *, axis: int = -1, p: int = 2) -> Any:
    """x divided by its norm along an axis; 0 where the norm is 0."""
    from .... import primitives

    if p not in (1, 2):
        raise ValueError(f"p={p}; the norms are 1 and 2")
    along = (axis_of(axis, x.ndim, "axis"),)
    norm = (l1 if p == 1 else l2)(x, along, True)
    zero = primitives.equal(norm, 0)
    return primitives.where(zero, 0, primitives.div(x, primitives.where(zero, 1, norm)))


def mean_variance(x: Any, *, axes: Any = (0, 2, 3)) -> Any:
    """(x - mean) / (standard deviation + 1e-9) over axes, as the standard writes it."""
    along = tuple(axis_of(a, x.ndim, "axes") for a in axes)
    deviation = p.sub(x, f.mean(x, along, True))
    return p.div(deviation, p.add(root(f.mean(p.mul(deviation, deviation), along, True)), 1e-9))


OPERATIONS: dict[str, Operation] = {
    "ReduceSum": over(f.sum), "ReduceMean": over(f.mean), "ReduceMax": over(f.max, -math.inf),
    "ReduceMin": over(f.min, math.inf), "ReduceProd": over(f.prod, 1), "ReduceL1": over(l1), "ReduceL2": over(l2),
    "ReduceLogSum": over(log_sum), "ReduceLogSumExp": over(f.logsumexp, -math.inf), "ReduceSumSquare": over(sum_square),
    "LpNormalization": lp_normalization, "MeanVarianceNormalization": mean_variance,
}  # fmt: skip
