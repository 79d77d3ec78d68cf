"""Sums and their like along axes, running sums, differences."""

from __future__ import annotations

from math import prod as prod_of
from typing import Any

import numpy as np

from .. import functional as ac
from ..shapes import normalize_axes, normalize_axis
from ..tape import Tensor
from .common import constant, known_dtype, trained
from .dtypes import bool
from .elementwise import not_equal, subtract

__all__ = [
    "all", "any", "cumulative_prod", "cumulative_sum", "diff", "max", "mean", "min", "prod", "std", "sum", "var",
]  # fmt: skip


def _cast(x: Any, dtype: Any, what: str) -> Any:
    return x if dtype is None else ac.astype(x, known_dtype(dtype, what))


def sum(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: Any = False) -> Tensor:
    """The sum along ``axis``; whole numbers are added in a wide dtype."""
    if not trained(x):
        return constant(np.sum(x.value, axis, known_dtype(dtype, "sum: dtype"), keepdims=keepdims))
    return ac.sum(_cast(x, dtype, "sum: dtype"), axis, keepdims)


def prod(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: Any = False) -> Tensor:
    """The product along ``axis``; whole numbers are multiplied in a wide dtype."""
    if not trained(x):
        return constant(np.prod(x.value, axis, known_dtype(dtype, "prod: dtype"), keepdims=keepdims))
    return ac.prod(_cast(x, dtype, "prod: dtype"), axis, keepdims)


def max(x: Any, /, *, axis: Any = None, keepdims: Any = False) -> Tensor:
    """The largest element along ``axis``."""
    return ac.max(x, axis, keepdims) if trained(x) else constant(np.max(x.value, axis, keepdims=keepdims))


def min(x: Any, /, *, axis: Any = None, keepdims: Any = False) -> Tensor:
    """The smallest element along ``axis``."""
    return ac.min(x, axis, keepdims) if trained(x) else constant(np.min(x.value, axis, keepdims=keepdims))


def mean(x: Any, /, *, axis: Any = None, keepdims: Any = False) -> Tensor:
    """The mean along ``axis``."""
    return ac.mean(x, axis, keepdims) if trained(x) else constant(np.mean(x.value, axis, keepdims=keepdims))


def var(x: Any, /, *, axis: Any = None, correction: float = 0.0, keepdims: Any = False) -> Tensor:
    """The mean of the squared distances from the mean, with n - correction in place of n."""
    if not trained(x):
        return constant(np.var(x.value, axis, ddof=correction, keepdims=keepdims))
    return ac.var(x, axis, keepdims) * _corrected(x, axis, correction)


def std(x: Any, /, *, axis: Any = None, correction: float = 0.0, keepdims: Any = False) -> Tensor:
    """The square root of ``var``."""
    if not trained(x):
        return constant(np.std(x.value, axis, ddof=correction, keepdims=keepdims))
    return ac.std(x, axis, keepdims) * np.sqrt(_corrected(x, axis, correction)).item()


def _corrected(x: Any, axis: Any, correction: float) -> float:
    """n / (n - correction), where n elements are taken together."""
    n = prod_of([x.shape[i] for i in normalize_axes(axis, x.ndim, "var")])
    return float(n / (n - correction)) if n != correction else float("nan")


def all(x: Any, /, *, axis: Any = None, keepdims: Any = False) -> Tensor:
    """Whether no element along ``axis`` is 0."""
    return constant(np.all(x.value, axis, keepdims=keepdims))


def any(x: Any, /, *, axis: Any = None, keepdims: Any = False) -> Tensor:
    """Whether some element along ``axis`` is not 0."""
    return constant(np.any(x.value, axis, keepdims=keepdims))


def cumulative_sum(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: Any = False) -> Tensor:
    """Running sums along ``axis``, with a 0 before them if ``include_initial``."""
    return _running("cumulative_sum", ac.cumsum, np.cumsum, x, axis, dtype, include_initial)


def cumulative_prod(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: Any = False) -> Tensor:
    """Running products along ``axis``, with a 1 before them if ``include_initial``."""
    return _running("cumulative_prod", ac.cumprod, np.cumprod, x, axis, dtype, include_initial)


def _running(name: str, ours: Any, numpys: Any, x: Any, axis: int | None, dtype: Any, initial: Any) -> Tensor:
    if axis is None and x.ndim != 1:
        raise ValueError(f"{name}: shape {x.shape} has {x.ndim} axes; name the one with axis=")
    at = normalize_axis(0 if axis is None else axis, x.ndim, name)
    dtype = known_dtype(dtype, f"{name}: dtype")
    y: Tensor = ours(_cast(x, dtype, name), at) if trained(x) else constant(numpys(x.value, at, dtype))
    if not initial:
        return y
    first = np.full((*x.shape[:at], 1, *x.shape[at + 1 :]), name == "cumulative_prod", y.dtype)
    return ac.concat([first, y], at)


def diff(x: Any, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Tensor:
    """The differences of neighbours along ``axis``, n times over, with arrays put before and behind it first."""
    at = normalize_axis(axis, x.ndim, "diff")
    parts = [part for part in (prepend, x, append) if part is not None]
    x = ac.concat(parts, at) if len(parts) > 1 else x
    for _ in range(n):
        before, behind = ([slice(None)] * x.ndim for _ in range(2))
        before[at], behind[at] = slice(None, -1), slice(1, None)
        x = (not_equal if x.dtype == bool else subtract)(x[tuple(behind)], x[tuple(before)])
    return x
