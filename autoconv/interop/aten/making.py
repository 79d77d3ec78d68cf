"""ATen's operations that make arrays of nothing but sizes and numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ... import functional as f
from ..places import numbers
from .shape import expand, transpose
from .types import DEFAULT, array

Operation = Callable[..., Any]


def full(size: Sequence[int], value: Any, dtype: Any = None) -> Any:
    kind = dtype or (bool if isinstance(value, bool) else np.int64 if isinstance(value, int) else DEFAULT)
    return np.full(tuple(size), numbers(value), kind)


def full_like(x: Any, value: Any, dtype: Any = None) -> Any:
    return np.full(x.shape, numbers(value), dtype or x.dtype)


def made(value: float) -> Operation:
    def operation(size: Sequence[int], dtype: Any = None) -> Any:
        return np.full(tuple(size), value, dtype or DEFAULT)

    return operation


def like(value: float) -> Operation:
    def operation(x: Any, dtype: Any = None) -> Any:
        return np.full(x.shape, value, dtype or x.dtype)

    return operation


def new(value: float) -> Operation:
    def operation(x: Any, size: Sequence[int], dtype: Any = None) -> Any:
        return np.full(tuple(size), value, dtype or x.dtype)

    return operation


def new_full(x: Any, size: Sequence[int], value: Any, dtype: Any = None) -> Any:
    return np.full(tuple(size), value, dtype or x.dtype)


def arange(start: Any, end: Any = None, step: Any = 1, dtype: Any = None) -> Any:
    """start, start + step, .. below end."""
    start, end = (0, start) if end is None else (start, end)
    whole = all(isinstance(n, int) for n in (start, end, step))
    return np.arange(start, end, step, np.float64 if not whole else np.int64).astype(
        dtype or (np.int64 if whole else DEFAULT)
    )


def linspace(start: float, end: float, steps: int, dtype: Any = None) -> Any:
    """start .. end; each half is counted from its own end, and rounded as PyTorch does: the step, then the result."""
    kind = np.dtype(dtype or DEFAULT)
    rounded = kind if kind.kind == "f" else np.dtype(np.float64)
    a, b = [np.asarray(numbers(x), rounded) for x in (start, end)]
    step = (b - a) / np.asarray(max(steps - 1, 1), rounded)
    k = np.arange(steps)
    wide = [x.astype(np.float64) for x in (a, b, step)]  # what is added is rounded once
    return np.where(k < max(steps // 2, 1), wide[0] + wide[2] * k, wide[1] - wide[2] * (steps - 1 - k)).astype(kind)


def eye(n: int, m: int | None = None, dtype: Any = None) -> Any:
    return np.eye(n, m, dtype=dtype or DEFAULT)


def scalar_tensor(value: Any, dtype: Any = None) -> Any:
    x = array(value)
    return x.astype(dtype) if dtype is not None else x


def one_hot(x: Any, num_classes: int = -1) -> Any:
    """Whole numbers as rows of a unit matrix; the number of classes must be given."""
    if num_classes < 0:
        raise NotImplementedError("one_hot without num_classes gives a shape that depends on the numbers")
    return f.one_hot(x, num_classes, np.int64)


def meshgrid(tensors: Sequence[Any], indexing: str = "ij") -> list[Any]:
    """Each vector spread over the axes of all."""
    shape = [x.size for x in tensors]
    spread = [f.reshape(x, [n if i == k else 1 for i, n in enumerate(shape)]) for k, x in enumerate(tensors)]
    spread = [expand(x, shape) for x in spread]
    return [transpose(x, 0, 1) for x in spread] if indexing == "xy" and len(shape) > 1 else spread


OPERATIONS: dict[str, Operation] = {
    "full": full,
    "full_like": full_like,
    "new_full": new_full,
    "zeros": made(0),
    "ones": made(1),
    "empty": made(0),
    "zeros_like": like(0),
    "ones_like": like(1),
    "empty_like": like(0),
    "new_zeros": new(0),
    "new_ones": new(1),
    "new_empty": new(0),
    "arange": arange,
    "linspace": linspace,
    "eye": eye,
    "scalar_tensor": scalar_tensor,
    "one_hot": one_hot,
    "meshgrid": meshgrid,
}
