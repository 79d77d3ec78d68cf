"""How arrays lie in memory: the order of their axes, zeros and copies in that order.

What is computed element by element keeps the order of its operands (NumPy's "K"), so one decision where frames are made
(``wiring.windows``) reaches everything that follows, and the sweep.
"""

from __future__ import annotations

import ctypes
import sys
from math import inf

import numpy as np

from ..shapes import Shape
from .fractions import Array, exact

_KEPT = 1 << 28  # bytes of freed memory that stay with the process
_TRIM_THRESHOLD = -1  # in malloc.h of the GNU C library


def _keep_freed_pages() -> None:
    """Have the C library keep the pages of freed arrays for the next: a step of training would fetch thousands of them
    anew.

    Having seen one large array come and go (it is never touched), it takes arrays up to that size from its heap; how
    much of that it keeps is a setting of the GNU C library (mallopt), which others do without.
    """
    np.empty(31 << 20, np.uint8)
    if sys.platform == "linux":
        try:
            ctypes.CDLL(None).mallopt(_TRIM_THRESHOLD, _KEPT)
        except (AttributeError, OSError):
            return


_keep_freed_pages()


def memory_order(x: Array) -> list[int]:
    """The axes of x from the outermost to the innermost in memory."""
    return by_stride(x.shape, x.strides)


def by_stride(shape: Shape, strides: Shape) -> list[int]:
    """Axes from the largest stride to the smallest; those that make no step, of size 1 or repeated, come first."""
    steps = [-abs(step) if step and n > 1 else -inf for n, step in zip(shape, strides, strict=True)]
    return sorted(range(len(steps)), key=steps.__getitem__)


def ordered_as(g: Array, x: Array) -> Array:
    """g, copied if x is stored without gaps in another order of its axes: what is computed from both then runs through
    both alike."""
    if x.ndim < 2 or g.strides == x.strides or 0 in g.strides:
        return g
    order = memory_order(x)
    if order == memory_order(g) or not x.transpose(order).flags.c_contiguous:
        return g
    copy = np.empty_like(x, dtype=g.dtype)
    copy[...] = g
    return copy


def zeros_as(x: Array, shape: Shape) -> Array:
    """Zeros of x's dtype, in memory in the order of x's axes."""
    return exact(np.zeros(shape, int)) if x.dtype == object else np.zeros_like(x, shape=shape)
