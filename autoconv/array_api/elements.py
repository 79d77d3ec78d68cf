"""Elements: taking them, searching, sorting, and the different ones among them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import functional as ac
from .. import primitives as p
from ..tape import Tensor
from .common import constant, lifted, plain, trained

__all__ = [
    "argmax", "argmin", "argsort", "count_nonzero", "nonzero", "searchsorted", "sort", "take",
    "take_along_axis", "unique_all", "unique_all_result", "unique_counts", "unique_counts_result",
    "unique_inverse", "unique_inverse_result", "unique_values", "where",
]  # fmt: skip


def take(x: Any, indices: Any, /, *, axis: int | None = None) -> Tensor:
    """The slices of x at ``indices`` along ``axis``."""
    return ac.take(x, indices, axis)


def take_along_axis(x: Any, indices: Any, /, *, axis: int = -1) -> Tensor:
    """One choice of index along ``axis`` for each place."""
    return ac.take_along_axis(x, indices, axis)


def where(condition: Any, x1: Any, x2: Any, /) -> Tensor:
    """x1 where the condition holds, x2 elsewhere."""
    if trained(x1, x2):
        return p.where(condition, x1, x2)
    return constant(np.where(condition.value, plain(x1), plain(x2)))


def argmax(x: Any, /, *, axis: int | None = None, keepdims: Any = False) -> Tensor:
    """The index of the largest element."""
    return constant(np.argmax(x.value, axis, keepdims=keepdims))


def argmin(x: Any, /, *, axis: int | None = None, keepdims: Any = False) -> Tensor:
    """The index of the smallest element."""
    return constant(np.argmin(x.value, axis, keepdims=keepdims))


def count_nonzero(x: Any, /, *, axis: Any = None, keepdims: Any = False) -> Tensor:
    """How many elements are not 0."""
    return constant(np.count_nonzero(x.value, axis, keepdims=keepdims))


def nonzero(x: Any, /) -> tuple[Tensor, ...]:
    """The indices of the elements that are not 0, one array for each axis."""
    if not x.ndim:
        raise ValueError("nonzero: a Tensor without axes has no indices; reshape it to (1,) first")
    return tuple(constant(i) for i in np.nonzero(x.value))


def searchsorted(x1: Any, x2: Any, /, *, side: Any = "left", sorter: Any = None) -> Tensor:
    """Where the elements of x2 belong in the sorted x1."""
    return constant(np.searchsorted(x1.value, plain(x2), side, plain(sorter)))


def argsort(x: Any, /, *, axis: int = -1, descending: Any = False, stable: Any = True) -> Tensor:
    """The indices that sort x along ``axis``; equal elements stay in their order."""
    return lifted(ac.argsort(x, axis, descending))


def sort(x: Any, /, *, axis: int = -1, descending: Any = False, stable: Any = True) -> Tensor:
    """x in order along ``axis``."""
    return ac.sort(x, axis, descending)


class unique_all_result(NamedTuple):  # noqa: N801 (the standard's name)
    """What ``unique_all`` returns."""

    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


class unique_counts_result(NamedTuple):  # noqa: N801 (the standard's name)
    """What ``unique_counts`` returns."""

    values: Any
    counts: Any


class unique_inverse_result(NamedTuple):  # noqa: N801 (the standard's name)
    """What ``unique_inverse`` returns."""

    values: Any
    inverse_indices: Any


def unique_all(x: Any, /) -> unique_all_result:
    """The different elements in order, where each stands first, which of them every element is, and how often."""
    _, first, inverse, counts = np.unique(x.value, True, True, True, equal_nan=False)
    values = ac.take(x, first)
    return unique_all_result(values, constant(first), constant(inverse.reshape(x.shape)), constant(counts))


def unique_counts(x: Any, /) -> unique_counts_result:
    """The different elements in order, and how often each is there."""
    every = unique_all(x)
    return unique_counts_result(every.values, every.counts)


def unique_inverse(x: Any, /) -> unique_inverse_result:
    """The different elements in order, and which of them every element is."""
    every = unique_all(x)
    return unique_inverse_result(every.values, every.inverse_indices)


def unique_values(x: Any, /) -> Tensor:
    """The different elements in order."""
    return unique_all(x).values
