"""ONNX's attention and rotary positions (opset 23 and later)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .... import functional as f
from .... import primitives as p
from .elementwise import cast_to
from .known import dtype_of

Operation = Callable[..., Any]


def _heads(x: Any, count: int | None, what: str) -> Any:
    """(N, L, heads E) as (N, heads, L, E); four axes as they are."""
    if x.ndim == 4:
        return x
    if x.ndim != 3 or not count or x.shape[2] % count:
        raise ValueError(f"Attention: {what} of shape {x.shape} and {count} heads; it needs (N, heads, L, E), or "
                         "(N, L, heads E) and the number of heads")  # fmt: skip
    n, length, width = x.shape
    return p.permute_dims(f.reshape(x, (n, length, count, width // count)), axes=(0, 2, 1, 3))


def attention(
    q: Any, k: Any, v: Any, attn_mask: Any = None, past_key: Any = None, past_value: Any = None,
    nonpad_kv_seqlen: Any = None, *, is_causal: int = 0, kv_num_heads: int | None = None, left_window_size: int = -1,
    q_num_heads: int | None = None, qk_matmul_output_mode: int = 0, right_window_size: int = -1,
    scale: float | None = None, softcap: float = 0.0, softmax_precision: int | None = None, outputs: int,
) -> tuple[Any, ...]:  # fmt: skip
    """softmax(q k^T scale + mask) v, of a query that sees nothing 0; the keys and values with those of the past before
    them; and the scores, at the stage of ``qk_matmul_output_mode``: as products, with softcap, with the mask, weights.
    """
    flat = q.ndim == 3
    q, k, v = _heads(q, q_num_heads, "Q"), _heads(k, kv_num_heads, "K"), _heads(v, kv_num_heads, "V")
    if past_key is not None and past_value is not None:
        k, v = f.concat([past_key, k], 2), f.concat([past_value, v], 2)
    present = k, v
    if q.shape[1] != k.shape[1]:
        k, v = [f.repeat(x, q.shape[1] // x.shape[1], 1) for x in (k, v)]
    root = np.asarray(math.sqrt(1 / math.sqrt(q.shape[3]) if scale is None else scale), q.dtype)
    products = f.matmul(p.mul(q, root), p.permute_dims(p.mul(k, root), axes=(0, 1, 3, 2)))
    capped = p.mul(p.tanh(p.div(products, softcap)), softcap) if softcap else products
    seen = _seen(q, k, past_key, nonpad_kv_seqlen, bool(is_causal), left_window_size, right_window_size)
    masked = capped
    if attn_mask is not None:
        truth = attn_mask.dtype == bool
        short = k.shape[2] - attn_mask.shape[-1]  # keys of which the mask does not speak are not seen
        widths = [*[(0, 0)] * (attn_mask.ndim - 1), (0, short)]
        numbers = p.where(attn_mask, np.zeros((), q.dtype), np.asarray(-np.inf, q.dtype)) if truth else attn_mask
        masked = p.add(masked, f.pad(numbers, widths, "constant", -np.inf) if short else numbers)
    if seen is not None:
        masked = p.where(np.broadcast_to(seen, masked.shape), masked, np.asarray(-np.inf, q.dtype))
    wide = masked if softmax_precision is None else cast_to(masked, dtype_of(softmax_precision))
    blind = p.equal(f.max(p.stop_gradient(wide), -1, True), -np.inf)
    weights = p.where(blind, np.zeros((), wide.dtype), f.softmax(p.where(blind, np.zeros((), wide.dtype), wide), -1))
    weights = cast_to(weights, q.dtype)
    y = f.matmul(weights, v)
    if flat:
        y = f.reshape(p.permute_dims(y, axes=(0, 2, 1, 3)), (y.shape[0], y.shape[2], -1))
    return (y, *present, (products, capped, masked, weights)[qk_matmul_output_mode])[: max(outputs, 1)]


def _seen(q: Any, k: Any, past_key: Any, valid: Any, causal: bool, left: int, right: int) -> Any:
    """Which keys a query may read, by their places alone: (L, S), or (N, 1, L, S) where the batch has lengths.

    Query l stands at place ``before + l``: after the past, or at the end of the ``valid`` keys of its example.
    """
    seen: Any = None
    place = np.arange(q.shape[2])[:, None]
    keys = np.arange(k.shape[2])
    lengths = None
    if valid is not None:
        lengths = f.reshape(valid, (-1, 1, 1, 1))
        seen = p.less(keys, lengths)
    before: Any = past_key.shape[2] if past_key is not None else 0
    if lengths is not None and past_key is None:
        before = p.sub(lengths, q.shape[2])
    ahead = p.sub(keys - place, before)  # how far a key stands after its query
    for holds, limit in ((causal, 0), (right >= 0, right)):
        if holds:
            seen = _both(seen, p.less_equal(ahead, limit))
    return _both(seen, p.greater_equal(ahead, -left)) if left >= 0 else seen


def _both(a: Any, b: Any) -> Any:
    return b if a is None else f.logical_and(a, b)


def rotary_embedding(
    x: Any, cos_cache: Any, sin_cache: Any, position_ids: Any = None, *, interleaved: int = 0,
    num_heads: int | None = None, rotary_embedding_dim: int = 0,
) -> Any:  # fmt: skip
    """Pairs of features turned by the angle of their place: (a, b) to (a cos - b sin, a sin + b cos).

    A pair is the k-th feature of each half, or two neighbours (``interleaved``); features beyond
    ``rotary_embedding_dim`` stay.
    """
    flat, shape = x.ndim == 3, x.shape
    x = _heads(x, num_heads, "X")
    width = rotary_embedding_dim or x.shape[3]
    cos, sin = [c if position_ids is None else f.take(c, position_ids, 0) for c in (cos_cache, sin_cache)]
    cos, sin = [f.expand_dims(c, 1) for c in (cos, sin)]
    first, second = (slice(0, width, 2), slice(1, width, 2)) if interleaved else (
        slice(0, width // 2), slice(width // 2, width))  # fmt: skip
    a, b = [p.index(x, key=(*(slice(None),) * 3, part)) for part in (first, second)]
    turned = [p.sub(p.mul(cos, a), p.mul(sin, b)), p.add(p.mul(sin, a), p.mul(cos, b))]
    y = f.reshape(f.stack(turned, -1), (*x.shape[:3], width)) if interleaved else f.concat(turned, -1)
    if width < x.shape[3]:
        y = f.concat([y, p.index(x, key=(*(slice(None),) * 3, slice(width, None)))], -1)
    return f.reshape(p.permute_dims(y, axes=(0, 2, 1, 3)), shape) if flat else y


OPERATIONS: dict[str, Operation] = {"Attention": attention, "RotaryEmbedding": rotary_embedding}
