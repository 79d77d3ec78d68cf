"""What ATen's operations share: dtypes as PyTorch brings them together, which is not NumPy's way (integers meet
floating point in its dtype), and settings that stand for every axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import primitives as p
from ...operands import numbers
from ...tape import Tensor

FIRST = "channels_first"
DEFAULT = np.dtype(np.float32)  # what an integer becomes where a floating-point result is needed

_ORDER = "bif"  # categories of dtypes; unsigned integers count as integers


def array(x: Any) -> Any:
    """A Tensor as it is; a number or array as an array, a Python number in PyTorch's dtype for it."""
    if isinstance(x, Tensor | np.ndarray):
        return x
    if isinstance(x, bool):
        return np.array(x)
    if isinstance(x, int):
        return np.array(x, np.int64)
    return np.array(x, DEFAULT) if isinstance(x, float) else numbers(x, "aten")


def cast(x: Any, dtype: Any) -> Any:
    """x in ``dtype``; x itself if it has it."""
    if dtype is None or x.dtype == dtype:
        return x
    return p.cast(x, dtype=np.dtype(dtype))


def floating(x: Any) -> Any:
    """x in floating point: whole numbers and truth values in the default dtype."""
    x = array(x)
    return x if x.dtype.kind in "fO" else cast(x, DEFAULT)


def common(xs: Sequence[Any]) -> Any:
    """The dtype in which PyTorch computes with arrays and Python numbers together.

    The category (bool, integer, floating point) is the highest of all; arrays with axes decide the dtype if they have
    it, then arrays without axes, then Python numbers, by the default dtype.

    >>> from autoconv.interop.aten.types import common
    >>> common([np.ones(2, int), np.ones(2, np.float32)]), common([np.ones(2, np.float32), 2.5])
    (dtype('float32'), dtype('float32'))
    >>> common([np.ones(2, int), 0.5]), common([np.ones(2, np.float32), np.ones((), np.float64)])
    (dtype('float32'), dtype('float32'))
    """
    groups: list[list[Any]] = [[], [], []]
    for x in xs:
        if isinstance(x, bool | np.bool_):
            groups[2].append(np.dtype(bool))
        elif isinstance(x, int | float):
            groups[2].append(DEFAULT if isinstance(x, float) else np.dtype(np.int64))
        else:
            groups[0 if x.ndim else 1].append(x.dtype)
    if any(dtype == object for group in groups for dtype in group):
        return np.dtype(object)
    found: Any = None
    for group in groups:
        for category in _ORDER:
            inside = [dtype for dtype in group if _category(dtype) == category]
            if inside and (found is None or _ORDER.index(category) > _ORDER.index(_category(found))):
                found = np.result_type(*inside)
    return found


def _category(dtype: Any) -> str:
    return "i" if dtype.kind == "u" else str(dtype.kind)


def matched(*xs: Any) -> list[Any]:
    """Arrays in the common dtype; Python numbers stay, where they do not decide it."""
    dtype = common(xs)
    matched: list[Any] = []
    for x in xs:
        if isinstance(x, Tensor | np.ndarray | np.generic):
            matched.append(cast(x, dtype))
        else:
            matched.append(np.array(x, dtype))
    return matched


def each_axis(x: Any, dims: int) -> Any:
    """One number, or one for each dimension; PyTorch lets a list of one stand for all."""
    if isinstance(x, int):
        return x
    return int(x[0]) if len(x) == 1 else tuple(x)
