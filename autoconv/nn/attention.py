"""Attention with several heads."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from .. import primitives as p
from ..functional.array import reshape, swapaxes
from ..functional.attention import attention_shares
from ..functional.composed import operand
from ..functional.linalg import matmul
from ..functional.normalisation import dropout as drop
from ..functional.reduce import mean
from ..operands import found, generator, real
from ..shapes import flag, whole_number
from ..tape import Tensor
from .init import Initializer, Rng, fans, glorot_uniform
from .linear import Linear
from .module import Module, Parameter


class MultiheadAttention(Module):
    """Attention in ``num_heads`` parts of the features, each with projections of its own (Vaswani et al., 2017).

        head_h = softmax(q_h k_h^T / sqrt(E / heads) + mask) v_h,   y = (head_1 .. head_H) out_proj

    with q, k, v = query, key, value times the three blocks of in_proj_weight, (E, 3 E), the transpose of PyTorch's, as
    ``Linear`` has it.  query: (L, N, E), key and value: (S, N, E), with ``batch_first`` (N, L, E) and (N, S, E), or
    without N.  Called, it returns (y, weights): weights (N, L, S), the mean over the heads unless
    ``average_attn_weights=False``, None with ``need_weights=False``.  attn_mask: (L, S), or one for each head and
    example, (N heads, L, S): True (or -inf) where nothing is read, as PyTorch's module has it, other numbers are added;
    key_padding_mask: (N, S), True for keys that do not count.  Raises ValueError where num_heads does not divide
    embed_dim, and for shapes that do not fit.

    >>> layer = nn.MultiheadAttention(4, 2, batch_first=True, rng=0)
    >>> x = np.ones((2, 3, 4), np.float32)
    >>> y, weights = layer(x, x, x)
    >>> y.shape, weights.shape
    ((2, 3, 4), (2, 3, 3))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        *,
        batch_first: bool = False,
        rng: Rng = None,
        init: Initializer = glorot_uniform,
        dtype: Any = np.float32,
    ) -> None:
        name = "MultiheadAttention"
        self.embed_dim = whole_number(embed_dim, f"{name}: embed_dim", 1)
        self.num_heads = whole_number(num_heads, f"{name}: num_heads", 1)
        if self.embed_dim % self.num_heads:
            raise ValueError(f"{name}: num_heads={num_heads} must divide embed_dim={embed_dim}")
        if not 0 <= real(dropout, f"{name}: dropout") < 1:
            raise ValueError(f"{name}: dropout={dropout} must be at least 0 and below 1")
        self.dropout, self.batch_first = float(dropout), flag(batch_first, f"{name}: batch_first")
        self.rng = generator(rng, f"{name}: rng")
        with_bias, shape = flag(bias, f"{name}: bias"), (self.embed_dim, 3 * self.embed_dim)
        self.in_proj_weight = Parameter(init(shape, self.rng, fans(shape)), dtype=dtype)
        self.in_proj_bias = Parameter(np.zeros(shape[1]), dtype=dtype) if with_bias else None
        self.out_proj = Linear(self.embed_dim, self.embed_dim, with_bias, rng=self.rng, dtype=dtype)

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Any]:
        x = [operand(z, f"MultiheadAttention: {k}") for k, z in (("query", query), ("key", key), ("value", value))]
        several = self._checked(x)
        if not several:
            x = [reshape(z, (1, *z.shape)) for z in x]
        elif not self.batch_first:
            x = [swapaxes(z, 0, 1) for z in x]
        e, heads = self.embed_dim, self.num_heads
        parts = []
        for i, z in enumerate(x):
            z = matmul(z, self.in_proj_weight[:, i * e : (i + 1) * e])
            z = z if self.in_proj_bias is None else z + self.in_proj_bias[i * e : (i + 1) * e]
            parts.append(swapaxes(reshape(z, (*z.shape[:2], heads, e // heads)), 1, 2))  # (N, heads, L, E / heads)
        q, k, v = parts
        scores = matmul(q * (1 / sqrt(e // heads)), swapaxes(k, -1, -2))
        n, rows, columns = scores.shape[0], scores.shape[2], scores.shape[3]
        if is_causal and attn_mask is None:
            attn_mask = ~np.tri(rows, columns, dtype=bool)
        scores = _masked(scores, attn_mask, (n, heads, rows, columns), "attn_mask")
        if key_padding_mask is not None:
            padding = operand(key_padding_mask, "MultiheadAttention: key_padding_mask")
            padding = reshape(padding, (1, *padding.shape)) if padding.ndim == 1 else padding
            if padding.shape != (n, columns):
                raise ValueError(
                    f"MultiheadAttention: key_padding_mask of shape {padding.shape}; it needs ({n}, {columns})"
                )
            scores = _masked(scores, reshape(padding, (n, 1, 1, columns)), scores.shape, "key_padding_mask")
        shares = attention_shares(scores)
        read = drop(shares, self.dropout, self.training, rng=self.rng)
        y = self.out_proj(reshape(swapaxes(matmul(read, v), 1, 2), (n, rows, e)))
        weights = (mean(read, 1) if average_attn_weights else read) if need_weights else None
        if not several:
            return y[0], None if weights is None else weights[0]
        return (y if self.batch_first else swapaxes(y, 0, 1)), weights

    def _checked(self, x: list[Any]) -> bool:
        """Whether there is a batch; ValueError for inputs that do not fit each other or the layer."""
        shapes, batch = [z.shape for z in x], 0 if self.batch_first else 1
        fits = len({len(s) for s in shapes}) == 1 and len(shapes[0]) in (2, 3) and {s[-1] for s in shapes} == {
            self.embed_dim}  # fmt: skip
        if fits and len(shapes[0]) == 3:
            fits = len({s[batch] for s in shapes}) == 1
        if not fits or shapes[1][:-1] != shapes[2][:-1]:
            layout = "(N, L, E), (N, S, E)" if self.batch_first else "(L, N, E), (S, N, E)"
            raise ValueError(
                f"MultiheadAttention: query {shapes[0]}, key {shapes[1]}, value {shapes[2]}; they need {layout} with E="
                f"{self.embed_dim} (batch_first={self.batch_first})"
            )
        return len(shapes[0]) == 3

    def extra_repr(self) -> str:
        return f"{self.embed_dim}, num_heads={self.num_heads}"


def _masked(scores: Any, mask: Any, shape: tuple[int, ...], name: str) -> Any:
    """Scores with a mask: -inf where truth values are True; numbers are added."""
    if mask is None:
        return scores
    mask = operand(mask, f"MultiheadAttention: {name}")
    n, heads, rows, columns = shape
    if mask.ndim == 3 and mask.shape == (n * heads, rows, columns):
        mask = reshape(mask, shape)
    elif mask.shape not in ((rows, columns), (n, 1, 1, columns)):
        raise ValueError(
            f"MultiheadAttention: {name} of shape {mask.shape}; it needs {(rows, columns)} or "
            f"{(n * heads, rows, columns)}"
        )
    if mask.dtype.kind not in "fb":
        raise TypeError(f"MultiheadAttention: {name} must be truth values or numbers to add, found {found(mask)}")
    return p.where(mask, -np.inf, scores) if mask.dtype == bool else scores + mask
