"""ATen's reductions: sums, means, variances, extremes, norms, softmax, and what runs along an axis."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import functional as f
from ... import primitives as p
from ...tape import Tensor
from .elementwise import sub, true
from .shape import axis_of, gather
from .types import cast, floating

Operation = Callable[..., Any]


def axes_of(x: Any, dim: Any) -> tuple[int, ...]:
    """The axes of a reduction: all for None and for an empty list."""
    if dim is None or (not isinstance(dim, int) and len(dim) == 0):
        return tuple(range(x.ndim))
    named = [dim] if isinstance(dim, int) else dim
    return tuple(sorted(axis_of(int(d), x.ndim) for d in named)) if x.ndim else ()


def _kept(y: Any, x: Any, axes: tuple[int, ...], keepdim: bool) -> Any:
    """A result with its axes kept, or without them."""
    return y if keepdim else f.reshape(y, tuple(n for i, n in enumerate(x.shape) if i not in axes))


def sum_(x: Any, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    """The sum; of whole numbers and truth values in int64."""
    x = cast(x, dtype or (np.int64 if x.dtype.kind in "biu" else None))
    return f.sum(x, axes_of(x, dim), keepdim)


def mean(x: Any, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    return f.mean(cast(x, dtype), axes_of(x, dim), keepdim)


def var(x: Any, dim: Any = None, correction: Any = 1, keepdim: bool = False) -> Any:
    """The mean squared deviation, the sum divided by n - correction."""
    return _variance(x, dim, 1 if correction is None else correction, keepdim)


def var_dim(x: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False) -> Any:
    return _variance(x, dim, int(unbiased), keepdim)


def var_all(x: Any, unbiased: bool = True) -> Any:
    return _variance(x, None, int(unbiased), False)


def _variance(x: Any, dim: Any, correction: Any, keepdim: bool) -> Any:
    axes = axes_of(x, dim)
    n = math.prod(x.shape[a] for a in axes)
    deviation = p.sub(x, f.mean(x, axes, True))
    total = f.sum(p.mul(deviation, deviation), axes, keepdim)
    with np.errstate(divide="ignore", invalid="ignore"):
        return p.div(total, float(max(n - correction, 0)))


def std(x: Any, dim: Any = None, correction: Any = 1, keepdim: bool = False) -> Any:
    return _root(_variance(x, dim, 1 if correction is None else correction, keepdim))


def std_dim(x: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False) -> Any:
    return _root(_variance(x, dim, int(unbiased), keepdim))


def std_all(x: Any, unbiased: bool = True) -> Any:
    return _root(_variance(x, None, int(unbiased), False))


def _root(x: Any) -> Any:
    """The square root with slope 0 at 0."""
    zero = p.equal(x, 0)
    return p.where(zero, 0, p.sqrt(p.where(zero, 1, x)))


def var_mean(x: Any, dim: Any = None, correction: Any = 1, keepdim: bool = False) -> tuple[Any, Any]:
    return var(x, dim, correction, keepdim), mean(x, dim, keepdim)


def std_mean(x: Any, dim: Any = None, correction: Any = 1, keepdim: bool = False) -> tuple[Any, Any]:
    return std(x, dim, correction, keepdim), mean(x, dim, keepdim)


def prod(x: Any, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    x = cast(x, dtype or (np.int64 if x.dtype.kind in "biu" else None))
    return f.prod(x, axes_of(x, dim), keepdim)


def evenly(largest: bool) -> Operation:
    """amax and amin: of elements that are equally large, each has an equal part of the slope."""
    extreme = f.max if largest else f.min

    def operation(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
        axes = axes_of(x, dim)
        if x.dtype.kind != "f":
            return extreme(x, axes, keepdim)
        top = _still(extreme(x, axes, True))
        chosen = p.equal(x, top)
        finite = p.where(p.less(p.abs_(x), np.inf), x, 0)
        excess = p.where(chosen, p.sub(finite, _still(finite)), 0)  # 0, with the slope of x
        count = f.sum(cast(chosen, x.dtype), axes, True)
        return _kept(p.add(top, p.div(f.sum(excess, axes, True), f.clip(count, 1, None))), x, axes, keepdim)

    return operation


def _still(x: Any) -> Any:
    return p.stop_gradient(x) if isinstance(x, Tensor) else x


def indexed(largest: bool) -> Operation:
    """max and min along one axis: (values, places); the first of equal elements has the slope."""
    extreme, place = (f.max, f.argmax) if largest else (f.min, f.argmin)

    def operation(x: Any, dim: int, keepdim: bool = False) -> tuple[Any, Any]:
        axis = axis_of(dim, x.ndim)
        if not x.ndim:
            return x, np.array(0)
        return extreme(x, axis, keepdim), Later(lambda: _placed(place(x, axis), axis, keepdim))

    return operation


def _placed(places: Any, axis: int, keepdim: bool) -> Any:
    return np.expand_dims(places, axis) if keepdim else places


class Later:
    """The second of two results, worked out when somebody asks for it: a place is often left unread, and looking for it
    means looking at the numbers, which a replay cannot repeat."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def now(self) -> Any:
        return self._make()


def getitem(parts: Any, k: Any) -> Any:
    """One of several results."""
    part = parts[k]
    return part.now() if isinstance(part, Later) else part


def arg(function: Operation) -> Operation:
    def operation(x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
        if dim is None:
            return function(x).reshape((1,) * x.ndim) if keepdim else function(x)
        return _placed(function(x, axis_of(dim, x.ndim)), axis_of(dim, x.ndim), keepdim)

    return operation


def any_(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    return f.max(true(x), axes_of(x, dim), keepdim)


def all_(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    return f.min(true(x), axes_of(x, dim), keepdim)


def vector_norm(x: Any, ord: float = 2, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    """(sum |x|^ord)^(1/ord); slope 0 where all are 0."""
    x = cast(x, dtype)
    axes = axes_of(x, dim)
    if ord in (math.inf, -math.inf):
        return evenly(ord > 0)(p.abs_(x), axes, keepdim)
    if ord == 0:
        return f.sum(cast(p.not_equal(x, 0), x.dtype), axes, keepdim)
    if ord == 1:
        return f.sum(p.abs_(x), axes, keepdim)
    if ord == 2:
        return _root(f.sum(p.mul(x, x), axes, keepdim))
    total = f.sum(p.power(p.abs_(x), float(ord)), axes, keepdim)
    zero = p.equal(total, 0)
    return p.where(zero, 0, p.power(p.where(zero, 1, total), 1 / ord))


def norm(x: Any, p: Any = 2, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    return vector_norm(x, 2 if p is None else p, dim, keepdim, dtype)


def cdist(x: Any, y: Any, p: float = 2, compute_mode: Any = None) -> Any:
    """d[.., i, j] = |x[.., i, :] - y[.., j, :]|, the p-norm."""
    return vector_norm(sub(f.expand_dims(x, -2), f.expand_dims(y, -3)), p, -1)


def linalg_norm(x: Any, ord: Any = None, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    """The 2-norm of vectors, the Frobenius norm of matrices; other norms of matrices are not covered."""
    axes = axes_of(x, dim)
    if ord in (None, "fro") or len(axes) == 1:
        return vector_norm(x, 2 if ord in (None, "fro") else ord, axes, keepdim, dtype)
    raise NotImplementedError(f"linalg_norm with ord={ord!r} of a matrix is not covered; use 'fro'")


def softmax(x: Any, dim: int, dtype: Any = None) -> Any:
    x = floating(cast(x, dtype if isinstance(dtype, np.dtype) else None))
    return f.softmax(x, axis_of(dim, x.ndim)) if x.ndim else x * 0 + 1


def log_softmax(x: Any, dim: int, dtype: Any = None) -> Any:
    x = floating(cast(x, dtype if isinstance(dtype, np.dtype) else None))
    return f.log_softmax(x, axis_of(dim, x.ndim)) if x.ndim else x * 0


def logsumexp(x: Any, dim: Any, keepdim: bool = False) -> Any:
    return f.logsumexp(floating(x), axes_of(x, dim), keepdim)


def cumsum(x: Any, dim: int, dtype: Any = None) -> Any:
    x = cast(x, dtype or (np.int64 if x.dtype.kind in "biu" else None))
    return f.cumsum(x, axis_of(dim, x.ndim))


def sort(x: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> tuple[Any, Any]:
    """(values, places) along an axis; equal elements keep their order."""
    axis = axis_of(dim, x.ndim)
    places = f.argsort(x, axis, descending)
    return gather(x, axis, places), places


def sort_stable(x: Any, stable: bool = False, dim: int = -1, descending: bool = False) -> tuple[Any, Any]:
    return sort(x, dim, descending)


def topk(x: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> tuple[Any, Any]:
    """(values, places) of the k largest along an axis, the largest first."""
    return f.topk(x, k, axis_of(dim, x.ndim), largest)


OPERATIONS: dict[str, Operation] = {
    "operator.getitem": getitem,
    "sum": sum_,
    "mean": mean,
    "prod": prod,
    "prod.dim_int": prod,
    "var": var,
    "var.dim": var_dim,
    "var.default": var_all,
    "std": std,
    "std.dim": std_dim,
    "std.default": std_all,
    "var_mean": var_mean,
    "var_mean.correction": var_mean,
    "std_mean": std_mean,
    "amax": evenly(True),
    "amin": evenly(False),
    "max": evenly(True),
    "min": evenly(False),
    "max.dim": indexed(True),
    "min.dim": indexed(False),
    "argmax": arg(f.argmax),
    "argmin": arg(f.argmin),
    "any": any_,
    "all": all_,
    "linalg_vector_norm": vector_norm,
    "linalg_norm": linalg_norm,
    "norm": norm,
    "cdist": cdist,
    "_cdist_forward": cdist,
    "frobenius_norm": lambda x, dim=None, keepdim=False: vector_norm(x, 2, dim, keepdim),
    "softmax": softmax,
    "_softmax": softmax,
    "log_softmax": log_softmax,
    "_log_softmax": log_softmax,
    "logsumexp": logsumexp,
    "cumsum": cumsum,
    "sort": sort,
    "sort.stable": sort_stable,
    "topk": topk,
    "argsort": lambda x, dim=-1, descending=False: f.argsort(x, axis_of(dim, x.ndim), descending),
    "cosine_similarity": lambda x, y, dim=1, eps=1e-8: f.cosine_similarity(x, y, dim, eps),
}
