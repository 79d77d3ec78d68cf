"""Batches of which this process reads its own rows: for many hosts, where each has a part of every batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..operands import found
from .batches import Pair, Source, Transform, ahead

Held = Callable[[tuple[int, ...]], slice]


class HeldSource(Source):
    """A Source whose batches have the size of the whole batch, and numbers in the rows that ``held(shape)`` names.

    The other rows are 0 and were not read.  All processes must ask with generators in the same state: the order of the
    examples is then the same everywhere, and the rows of all processes together are the batch.  With a ``transform``,
    which may need the whole batch, all rows are read.
    Raises TypeError for batches that come as they are, which cannot be read in part.

    >>> from autoconv.data.held import HeldSource
    >>> source = HeldSource("train", (np.arange(4.0), np.arange(4)), held=lambda shape: slice(2, 4))
    >>> [(x.tolist(), y.tolist()) for x, y in source.epoch()]
    [([0.0, 0.0, 2.0, 3.0], [0, 0, 2, 3])]
    """

    def __init__(
        self,
        what: str,
        data: Any,
        batch_size: int = 64,
        transform: Transform | None = None,
        dtype: Any = None,
        *,
        held: Held,
    ) -> None:
        super().__init__(what, data, batch_size, transform, dtype)
        if self._arrays is None and not self._rows:
            raise TypeError(
                f"{what}: several hosts need a pair (x, y) of arrays, or rows: something with len and [i], of which "
                f"each reads its own; found {found(data)}, whose batches come as they are"
            )
        self._held = held

    def epoch(self, rng: np.random.Generator | None = None) -> Iterator[Pair]:
        if self._transform is not None:
            return super().epoch(rng)
        return ahead(self._parts(rng))

    def _parts(self, rng: np.random.Generator | None) -> Iterator[Pair]:
        count = len(self._arrays[0]) if self._arrays is not None else len(self._data)
        order = np.arange(count) if rng is None else rng.permutation(count)
        for start in range(0, count, self._size):
            chosen = order[start : start + self._size]
            rows = self._held((len(chosen),))
            x, y = self._read(chosen[rows])
            yield self._cast(*[_spread(part, rows, len(chosen)) for part in (x, y)])

    def _read(self, chosen: np.ndarray) -> Pair:
        if self._arrays is not None:
            return np.array(self._arrays[0][chosen]), np.array(self._arrays[1][chosen])
        rows = [self._pair_of(self._data[int(i)], f"row {i}") for i in chosen]
        return self._joined([x for x, _ in rows], "x"), self._joined([y for _, y in rows], "y")


def _spread(part: np.ndarray, rows: slice, count: int) -> np.ndarray:
    """``part`` in its rows of an array of ``count`` rows."""
    if len(part) == count:
        return part
    whole = np.zeros((count, *part.shape[1:]), part.dtype)
    whole[rows] = part
    return whole
