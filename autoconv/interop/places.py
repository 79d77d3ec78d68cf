"""What looks at numbers: the places of the largest cells of pooling windows, and cells put back in their places."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import functional as f
from .. import primitives as p
from ..tape import Array, Tensor
from ..transforms import jvp


def numbers(x: Any) -> Array:
    """The numbers of an array or Tensor; a recording that looks at them holds for these alone."""
    return x.value if isinstance(x, Tensor) else np.asarray(x)


def places_of_largest(pool: Callable[[Any], Any], x: Any, number: Array) -> Array:
    """For each window of ``pool`` the number of the cell that won it, the first of equal ones.

    number: that of each cell of x, of a shape that broadcasts to x's.  A pool passes on its winner, so its derivative
    along a direction v is the winner's v: the numbers are read off by moving each cell by its own.

    >>> from autoconv.interop.places import places_of_largest
    >>> x = np.array([[[1.0, 3.0, 2.0, 2.0]]])
    >>> places_of_largest(lambda x: ac.max_pool1d(x, 2, layout="channels_first"), x, np.arange(4)).tolist()
    [[[1, 2]]]
    """
    given = np.asarray(numbers(x), np.float64)
    if not given.size:
        return np.zeros(pool(given).shape, np.int64)
    ranked = np.searchsorted(np.unique(given), given).astype(np.float64)  # whole numbers have no infinities
    _, won = jvp(pool, (ranked,), (np.broadcast_to(number, given.shape).astype(np.float64),))
    return np.rint(won).astype(np.int64)


def unpooled(x: Any, places: Any, shape: tuple[int, ...], dims: int) -> Any:
    """y of ``shape`` (.., *spatial), 0 but for the cells with the numbers ``places``, which hold x.

    x, places: (.., *pooled); cells are counted in each channel, through its ``dims`` spatial axes.  Where several
    places name one cell, the last one's element is there.

    >>> from autoconv.interop.places import unpooled
    >>> unpooled(np.array([[[5.0, 7.0]]]), np.array([[[1, 2]]]), (1, 1, 4), 1).tolist()
    [[[0.0, 5.0, 7.0, 0.0]]]
    """
    channels, cells = math.prod(shape[:-dims]), math.prod(shape[-dims:])
    where = numbers(places).reshape(channels, -1)
    if not where.size:
        return np.zeros(shape, x.dtype)
    if not (where.min() >= 0 and where.max() < cells):
        raise ValueError(f"unpooling: places {where.min()} .. {where.max()} in channels of {cells} cells")
    source = np.full(channels * cells, -1)
    source[(np.arange(channels)[:, None] * cells + where).reshape(-1)] = np.arange(where.size)
    taken = f.take(f.reshape(x, (-1,)), np.maximum(source, 0), 0)
    return f.reshape(p.where(source >= 0, taken, np.zeros((), x.dtype)), shape)
