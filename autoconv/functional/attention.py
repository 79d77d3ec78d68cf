"""Attention: each query reads the values by how well it fits their keys."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from .. import primitives as p
from ..operands import found, real
from ..shapes import broadcast_shapes
from ..tape import Tensor
from .array import repeat, swapaxes
from .composed import composed
from .linalg import matmul
from .reduce import largest, sum

__all__ = ["scaled_dot_product_attention"]


@composed("query", "key", "value", "mask", statistics=True)
def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    mask: Any = None,
    *,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """y = softmax(scale * query key^T + mask) value (Vaswani et al., 2017).

        s[.., l, k] = scale * sum_e query[.., l, e] key[.., k, e] + mask[.., l, k]
        y[.., l, v] = sum_k softmax_k(s[.., l, :]) value[.., k, v]

    query: (.., L, E); key: (.., S, E); value: (.., S, V); y: (.., L, V); leading axes broadcast.
    mask: numbers that are added, or truth values (True: is read), of a shape that broadcasts to (.., L, S).  A query
    that may read nothing gets 0, as in PyTorch.  is_causal: query l reads keys 0 .. l.  scale None: 1 / sqrt(E).
    enable_gqa: (.., heads, L, E) queries share fewer heads of keys and values.  Raises ValueError for shapes that do
    not fit, or a mask besides is_causal.

    >>> q = np.array([[1.0, 0.0]])
    >>> ac.scaled_dot_product_attention(q, np.eye(2), np.array([[1.0], [0.0]]), scale=1.0).round(4)
    array([[0.7311]])
    """
    name = "scaled_dot_product_attention"
    _check(name, query, key, value)
    if mask is not None and is_causal:
        raise ValueError(f"{name}: give a mask or is_causal=True, not both; a causal mask is np.tri(L, S, dtype=bool)")
    if scale is not None:
        real(scale, f"{name}: scale")
    if mask is not None and mask.dtype.kind not in "fb":
        raise TypeError(f"{name}: the mask must be floating-point numbers or truth values, found {found(mask)}")
    if enable_gqa:
        key, value = [_shared(name, query, x) for x in (key, value)]
    rows, columns, size = query.shape[-2], key.shape[-2], query.shape[-1]
    leading = broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2], operation=name)
    if mask is not None and broadcast_shapes(mask.shape, (*leading, rows, columns), operation=name) != (
        *leading, rows, columns,
    ):  # fmt: skip
        raise ValueError(f"{name}: the mask has shape {mask.shape}, the scores {(*leading, rows, columns)}")
    factor = float(scale) if scale is not None else 1 / sqrt(size) if size else 1.0
    scores = matmul(query * factor, swapaxes(key, -1, -2))
    if is_causal:
        mask = np.tri(rows, columns, dtype=bool)
    if mask is not None:
        scores = p.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    return matmul(attention_shares(scores), value)


def attention_shares(scores: Any) -> Any:
    """softmax along the last axis, but 0 throughout where every score is -inf."""
    if not scores.shape[-1]:
        return scores
    e = p.exp(scores - largest(scores, -1))
    total = sum(e, -1, keepdims=True)
    return e / p.where(p.equal(total, 0), 1, total)


def _check(name: str, query: Any, key: Any, value: Any) -> None:
    """ValueError unless queries fit keys, and keys values."""
    shapes = f"query {query.shape}, key {key.shape}, value {value.shape}"
    for k, x in {"query": query, "key": key, "value": value}.items():
        if x.ndim < 2 or x.dtype.kind != "f":
            raise (ValueError if x.ndim < 2 else TypeError)(
                f"{name}: the {k} must be floating-point numbers with two axes or more, found {found(x)}"
            )
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise ValueError(f"{name}: {shapes}; they need (.., L, E), (.., S, E) and (.., S, V)")


def _shared(name: str, query: Any, x: Any) -> Any:
    """Heads of keys or values repeated until there are as many as of queries."""
    if query.ndim < 3 or x.ndim < 3 or not x.shape[-3] or query.shape[-3] % x.shape[-3]:
        raise ValueError(
            f"{name}: enable_gqa with queries of shape {query.shape} and keys or values of shape {x.shape}; the heads "
            "(axis -3) of the queries must be a multiple of the others"
        )
    times = query.shape[-3] // x.shape[-3]
    return x if times == 1 else repeat(x, times, axis=x.ndim - 3)
