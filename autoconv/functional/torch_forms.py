"""PyTorch's form of functions whose name and arguments mean something else in NumPy.

Positional calls are NumPy's.  Where a keyword that only PyTorch has (``dim``, ``keepdim``, ``unbiased``, ...) tells the
call apart, it is answered as PyTorch answers it: ``x.max(1)`` are the values, ``x.max(dim=1)`` is the pair (values,
indices).  ``spelling.FORMS`` holds these functions by name; what only renames a keyword needs no form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..shapes import listed, normalize_axis, whole_number
from ..tape import Tensor
from . import array, pick, reduce, sorting
from .composed import operand
from .spelling import form

__all__ = ["ValuesAndIndices"]


class ValuesAndIndices(NamedTuple):
    """What PyTorch returns for max, min, median and sort along ``dim``: the elements, and where they stood.

    >>> values, indices = ac.max([[1.0, 3.0], [4.0, 2.0]], dim=1)
    >>> values, indices
    (array([3., 4.]), array([1, 0]))
    """

    values: Tensor
    indices: Any


@form("max", "dim", "keepdim")
def max_(input: Any, dim: int, keepdim: bool = False) -> ValuesAndIndices:
    return ValuesAndIndices(reduce.max(input, dim, keepdim), reduce.argmax(input, dim, keepdim))


@form("min", "dim", "keepdim")
def min_(input: Any, dim: int, keepdim: bool = False) -> ValuesAndIndices:
    return ValuesAndIndices(reduce.min(input, dim, keepdim), reduce.argmin(input, dim, keepdim))


@form("sort", "dim", "stable")
def sort(input: Any, dim: int = -1, descending: bool = False, stable: bool = True) -> ValuesAndIndices:
    order = sorting.argsort(input, dim, descending)
    return ValuesAndIndices(array.take_along_axis(input, order, dim), order)


@form("median", "dim", "keepdim")
def median(input: Any, dim: int, keepdim: bool = False) -> ValuesAndIndices:
    x = operand(input, "median")
    axis = normalize_axis(dim, x.ndim, "median")
    middle = whole_number((x.shape[axis] - 1) // 2, "median: the number of elements", 0)
    order = pick.narrow(sorting.argsort(x, axis), axis, middle, 1)
    values = array.take_along_axis(x, order, axis)
    return ValuesAndIndices(*[z if keepdim else array.squeeze(z, axis) for z in (values, order)])


@form("var", "dim", "keepdim", "unbiased")
def var(input: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False, correction: int = 1) -> Tensor:
    return reduce.var(input, dim, keepdim, correction if unbiased else 0)


@form("std", "dim", "keepdim", "unbiased")
def std(input: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False, correction: int = 1) -> Tensor:
    return reduce.std(input, dim, keepdim, correction if unbiased else 0)


@form("split", "dim", "split_size", "split_size_or_sections")
def split(tensor: Any, split_size: int | Sequence[int] = 0, dim: int = 0, **more: Any) -> list[Any]:
    """Parts of ``split_size`` elements, the last one smaller, or of the sizes listed."""
    given = more.pop("split_size_or_sections", split_size)
    if more:
        raise TypeError(f"split: got an unexpected keyword argument {next(iter(more))!r}")
    x = operand(tensor, "split")
    axis = normalize_axis(dim, x.ndim, "split")
    n = x.shape[axis]
    several = len(listed(given)) != 1 or listed(given)[0] is not given
    sizes = [whole_number(s, "split: split_size", 0 if several else 1) for s in listed(given)]
    if not several:
        sizes = [min(sizes[0], n - at) for at in range(0, n, sizes[0])]
    if sum(sizes) != n:
        raise ValueError(f"split: sizes {tuple(sizes)} for {n} elements along axis {dim}")
    ends = [sum(sizes[: k + 1]) for k in range(len(sizes))]
    return array.split(x, ends[:-1], axis)


@form("transpose", "dim0", "dim1", "axis0", "axis1")
def transpose(input: Any, dim0: int, dim1: int) -> Tensor:
    return array.swapaxes(input, dim0, dim1)
