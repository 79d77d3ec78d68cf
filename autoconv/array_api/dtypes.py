"""The dtypes, and what can be asked of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import functional as ac
from .. import primitives as p
from ..operands import as_dtype
from ..tape import Tensor
from .common import on_cpu

__all__ = [
    "astype",
    "bool",
    "can_cast",
    "finfo",
    "finfo_object",
    "float32",
    "float64",
    "iinfo",
    "iinfo_object",
    "int8",
    "int16",
    "int32",
    "int64",
    "isdtype",
    "result_type",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
]  # fmt: skip


bool = np.dtype(np.bool_)
int8, int16, int32, int64 = (np.dtype(f"int{n}") for n in (8, 16, 32, 64))
uint8, uint16, uint32, uint64 = (np.dtype(f"uint{n}") for n in (8, 16, 32, 64))
float32, float64 = np.dtype(np.float32), np.dtype(np.float64)


def astype(x: Any, dtype: Any, /, *, copy: Any = True, device: Any = None) -> Tensor:
    """x in another dtype; a floating-point number becomes a whole one without a gradient."""
    on_cpu(device, "astype")
    dtype = as_dtype(dtype, "astype: dtype")
    if x.dtype == dtype:
        return p.identity(x) if copy else x
    return ac.astype(x, dtype)


def can_cast(from_: Any, to: Any, /) -> Any:
    """Whether values of one dtype (or array) fit another dtype by the standard's promotion."""
    source = from_.dtype if isinstance(from_, Tensor) else from_
    return np.can_cast(source, to)


class finfo_object(NamedTuple):  # noqa: N801 (the standard's name)
    """The limits of a floating-point dtype."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: Any


class iinfo_object(NamedTuple):  # noqa: N801 (the standard's name)
    """The limits of a whole-number dtype."""

    bits: int
    max: int
    min: int
    dtype: Any


def _dtype_of(type: Any) -> Any:
    return type.dtype if isinstance(type, Tensor) else as_dtype(type, "dtype")


def finfo(type: Any, /) -> finfo_object:
    """bits, eps, max, min, smallest_normal and dtype of a floating-point dtype, or of an array's."""
    i = np.finfo(_dtype_of(type))
    return finfo_object(i.bits, float(i.eps), float(i.max), float(i.min), float(i.smallest_normal), i.dtype)


def iinfo(type: Any, /) -> iinfo_object:
    """bits, max, min and dtype of a whole-number dtype, or of an array's."""
    i = np.iinfo(_dtype_of(type))
    return iinfo_object(i.bits, int(i.max), int(i.min), i.dtype)


def isdtype(dtype: Any, kind: Any) -> Any:
    """Whether a dtype is of a kind: "bool", "signed integer", "unsigned integer", "integral", "real floating",
    "complex floating", "numeric", another dtype, or one of several."""
    return np.isdtype(dtype, kind)


def result_type(*arrays_and_dtypes: Any) -> Any:
    """The dtype to which these are promoted."""
    return np.result_type(*[x.dtype if isinstance(x, Tensor) else x for x in arrays_and_dtypes])
