"""What has to be known before an operator can run: shapes, axes, sizes; and what they may ask for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ....files import LARGEST
from ....tape import Array, Tensor

# the numbers of TensorProto.DataType that have arithmetic here
DTYPES: dict[int, Any] = {
    1: np.dtype(np.float32), 2: np.dtype(np.uint8), 3: np.dtype(np.int8), 4: np.dtype(np.uint16),
    5: np.dtype(np.int16), 6: np.dtype(np.int32), 7: np.dtype(np.int64), 9: np.dtype(bool), 10: np.dtype(np.float16),
    11: np.dtype(np.float64), 12: np.dtype(np.uint32), 13: np.dtype(np.uint64),
}  # fmt: skip


def dtype_of(number: int) -> Any:
    """NumPy's dtype for a number of TensorProto.DataType; ValueError for one without arithmetic here.

    >>> from autoconv.interop.onnx.operators.known import dtype_of
    >>> dtype_of(1)
    dtype('float32')
    """
    if number not in DTYPES:
        raise ValueError(
            f"data type {number} of ONNX (text, complex, bfloat16 or one of less than 8 bits) is not covered; "
            "there are float16, float32, float64, bool and the integers of 8 to 64 bits"
        )
    return DTYPES[number]


def known(x: Any, what: str) -> Array:
    """The numbers of ``x``, which decide about shapes: of an array, of an input, or of whole numbers made from those.

    Raises ValueError for what was computed from floating-point inputs: a shape that follows from them is data.
    """
    if not isinstance(x, Tensor):
        return np.asarray(x)
    if x.primitive is not None and not _whole(x):
        raise ValueError(f"{what} depends on the numbers of an input; only what follows from shapes is covered")
    return x.value


def _whole(x: Tensor) -> bool:
    """Whether only whole numbers and truth values lead to x."""
    waiting, seen = [x], {id(x)}
    while waiting:
        line = waiting.pop()
        if line.dtype.kind not in "iub":
            return False
        new = [y for y in line.operands if id(y) not in seen]
        seen.update(map(id, new))
        waiting += new
    return True


def integers(x: Any, what: str) -> tuple[int, ...]:
    """Whole numbers that must be known, from an attribute or an input, as a tuple."""
    values = known(x, what) if x is not None else np.zeros(0, np.int64)
    if values.dtype.kind not in "iu" and values.size:
        raise ValueError(f"{what} must be whole numbers, found dtype {values.dtype}")
    return tuple(int(v) for v in values.reshape(-1))


def integer(x: Any, what: str) -> int:
    """One whole number that must be known."""
    values = integers(x, what)
    if len(values) != 1:
        raise ValueError(f"{what} must be one whole number, found {len(values)}")
    return values[0]


def check_room(shape: Sequence[int], dtype: Any, what: str) -> None:
    """ValueError for an array that a file asks for and no model needs."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if any(n < 0 for n in shape):
        raise ValueError(f"{what}: the sizes {tuple(shape)} must not be negative")
    if size > LARGEST:
        raise ValueError(f"{what}: an array of shape {tuple(shape)} takes {size:,} bytes; more than {LARGEST:,} are "
                         "not made")  # fmt: skip


def axis_of(axis: int, ndim: int, what: str) -> int:
    """An axis counted from the front; ValueError for one that is not there."""
    if not -ndim <= axis < max(ndim, 1):
        raise ValueError(f"{what}: axis {axis} of an input of {ndim} dimensions")
    return axis + ndim if axis < 0 else axis
