"""A trained table that whole numbers read."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..functional import pick as functional
from ..operands import generator
from ..shapes import whole_number
from ..tape import Tensor
from .init import Rng
from .module import Layer, Parameter


class Embedding(Layer):
    """y[.., :] = weight[indices[..], :]: ``ac.embedding``.

    weight: (num_embeddings, embedding_dim), normally distributed at first; padding_idx: a row that is 0 at first and
    gets no gradient.  rng: a generator or seed.  Raises IndexError, when called, for a row that the table does not
    have.

    >>> nn.Embedding(10, 3, rng=0)(np.array([[1, 2], [4, 9]])).shape
    (2, 2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        rng: Rng = None,
        dtype: Any = np.float32,
    ) -> None:
        self.num_embeddings = whole_number(num_embeddings, "Embedding: num_embeddings", 1)
        self.embedding_dim = whole_number(embedding_dim, "Embedding: embedding_dim", 1)
        self.padding_idx = None if padding_idx is None else whole_number(padding_idx, "Embedding: padding_idx")
        weight = generator(rng, "Embedding: rng").normal(size=(self.num_embeddings, self.embedding_dim))
        if self.padding_idx is not None:
            if not -self.num_embeddings <= self.padding_idx < self.num_embeddings:
                raise ValueError(f"Embedding: padding_idx={padding_idx} for a table of {num_embeddings} rows")
            weight[self.padding_idx] = 0
        self.weight = Parameter(weight, dtype=dtype)

    def forward(self, x: Any) -> Tensor:
        return functional.embedding(x, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
