"""Evenly spaced numbers as strided views: virtual registers and addresses of whole arrays, without listing them.

Most registers of a kernel are named in a row, and movement ops only look at them in other orders.  So they are views of
one array that holds 0, 1, 2, ...: NumPy moves such a view without touching a number, and its first number and its steps
are seen from its strides (``spacing``).  What is no longer evenly spaced (padding, joined parts) is an ordinary array,
of which everything here is true as well, only by looking at all numbers.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import NamedTuple

import numpy as np

from ..shapes import Shape

_FIRST = 1 << 16  # numbers that are written at once
_ROOM, _MOST = 8, 1 << 25  # an array has room for so many times what is wanted, but for no more than so many
_TYPE = np.dtype(np.int32)
_SIZE = _TYPE.itemsize


class Spacing(NamedTuple):
    """Number ``first`` + the sum over the axes of index times step stands at an index."""

    first: int
    steps: tuple[int, ...]


class _Numbers:
    """The arrays 0, 1, 2, ... that views lie in: the longest, and shorter ones that views still hold."""

    def __init__(self) -> None:
        self._longest: weakref.ref[np.ndarray] | None = None
        self._filled = 0  # how many numbers of it are written: memory that is not touched costs nothing
        self._kept: list[np.ndarray | None] = []
        self._known: dict[int, weakref.ref[np.ndarray]] = {}  # by id
        self._lock = threading.Lock()  # several threads may plan at a time

    def upto(self, count: int) -> np.ndarray:
        """An array with at least so many numbers; it is there as long as somebody looks at it."""
        with self._lock:
            return self._upto(count)

    def _upto(self, count: int) -> np.ndarray:
        longest = self._longest() if self._longest is not None else None
        if longest is not None and count <= self._filled:
            return longest
        if longest is None or len(longest) < count:
            longest = np.empty(max(_FIRST, count + count // 2, min(_ROOM * count, _MOST)), _TYPE)
            self._longest, self._filled = (ref := weakref.ref(longest)), 0
            self._known = {id(longest): ref, **{n: old for n, old in self._known.items() if old() is not None}}
            self._kept = [longest for _ in self._kept]
        longest.flags.writeable = True
        end = min(len(longest), max(_FIRST, count + count // 8))
        if not self._filled:
            longest[:_FIRST] = np.arange(_FIRST, dtype=_TYPE)
        for first in range(max(self._filled, _FIRST), end, _FIRST):
            last = min(first + _FIRST, end)
            np.add(longest[: last - first], first, out=longest[first:last])
        longest.flags.writeable = False
        self._filled = end
        return longest

    @contextmanager
    def kept(self) -> Iterator[None]:
        """What one plan needs is made once."""
        with self._lock:
            self._kept.append(self._longest() if self._longest is not None else None)
        try:
            yield
        finally:
            with self._lock:
                self._kept.pop()

    def hold(self, x: np.ndarray) -> bool:
        """Whether x is a view of one of them."""
        base = x.base
        while base is not None:
            found = self._known.get(id(base))
            if found is not None and found() is base:  # else something lies where one of them lay
                return True
            base = getattr(base, "base", None)  # views of views, by ``as_strided``
        return False


_numbers = _Numbers()
kept = _numbers.kept


def spaced(first: int, shape: Shape, steps: Sequence[int]) -> np.ndarray:
    """The numbers first + sum of i_d * steps[d], none negative."""
    if 0 in shape:
        return np.empty(shape, _TYPE)
    end = first + 1
    for n, step in zip(shape, steps, strict=True):
        if step > 0:
            end += (n - 1) * step
    return np.ndarray(shape, _TYPE, _numbers.upto(end), first * _SIZE, [step * _SIZE for step in steps])


def in_a_row(first: int, count: int) -> np.ndarray:
    """The numbers first, first + 1, ..."""
    return spaced(first, (count,), (1,))


def spacing(x: np.ndarray) -> Spacing | None:
    """First number and steps of evenly spaced numbers; None unless x is a view that is known to be so."""
    if x.base is None or not _numbers.hold(x) or not x.size:
        return None
    steps = tuple([0 if n == 1 else stride // _SIZE for n, stride in zip(x.shape, x.strides)])  # noqa: B905 (often)
    return Spacing(x.item(0), steps)


def bounds(x: np.ndarray) -> tuple[int, int]:
    """The least and the greatest of these numbers."""
    found = spacing(x)
    return (int(x.min()), int(x.max())) if found is None else reach(found, x.shape)


def least_of_others(x: np.ndarray) -> int:
    """The least of the numbers that are not 0, of which there is one."""
    return int(np.min(x, where=x != 0, initial=np.iinfo(_TYPE).max))


def reach(found: Spacing, shape: Shape) -> tuple[int, int]:
    """The least and the greatest number of a spacing."""
    least = most = found.first
    for n, step in zip(shape, found.steps, strict=True):
        if step > 0:
            most += (n - 1) * step
        else:
            least += (n - 1) * step
    return least, most


def positive(x: np.ndarray) -> bool:
    """Whether no number is 0."""
    found = spacing(x)
    return bool(x.all()) if found is None else reach(found, x.shape)[0] > 0


def offsets(sizes: Sequence[int], steps: Sequence[int]) -> np.ndarray:
    """sum of i_d * steps[d] for each index, the last axis running fastest."""
    found = np.zeros(1, np.int64)
    for n, step in zip(sizes, steps, strict=True):
        found = (found[:, None] + np.arange(n) * step).ravel()
    return found


def at(x: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The numbers at these places of x, which are counted along its axes, the last one running fastest."""
    if not len(places):
        return np.empty(0, _TYPE)
    found = spacing(x)
    if found is None:
        return np.asarray(x.reshape(-1)[places])
    if x.flags.c_contiguous:
        return np.asarray(found.first + places)
    numbers, rest = np.full(len(places), found.first, np.int64), np.asarray(places)
    for n, step in zip(reversed(x.shape), reversed(found.steps), strict=True):
        if step:
            numbers += rest % n * step
        rest = rest // n
    return numbers


def ascending(x: np.ndarray) -> list[int] | None:
    """The order of its axes in which these numbers, read along them, ascend; None if there is none, or nobody knows."""
    found = spacing(x)
    if found is None:
        return None
    order = sorted(range(x.ndim), key=lambda d: (x.shape[d] > 1, -found.steps[d]))
    inside = 0
    for d in reversed(order):
        if x.shape[d] > 1 and found.steps[d] <= inside:
            return None
        inside += (x.shape[d] - 1) * found.steps[d]
    return order


def run(x: np.ndarray) -> slice | None:
    """The numbers as a slice, where they are one after the other, in whatever order; None if nobody knows."""
    if ascending(x) is None:
        return None
    least, most = bounds(x)
    return slice(least, most + 1) if most - least + 1 == x.size else None


def distinct(x: np.ndarray) -> int:
    """How many different numbers there are."""
    found = spacing(x)
    if found is not None:
        kept = [d for d in range(x.ndim) if found.steps[d]]
        one = x[tuple([slice(None) if d in kept else 0 for d in range(x.ndim)])]
        if one.ndim == 0 or ascending(one) is not None:
            return prod(one.shape)
    least, most = bounds(x)
    seen = np.zeros(most - least + 1, bool)
    seen[x - least] = True
    return int(np.count_nonzero(seen))
