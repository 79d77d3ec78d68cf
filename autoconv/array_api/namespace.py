"""What there is (the standard's inspection), and what an array has to have: its namespace and operators."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ..functional.methods import UFUNCS
from ..operands import found
from ..tape import Tensor
from .common import lifted, on_cpu
from .dtypes import bool, float32, float64, int8, int16, int32, int64, isdtype, uint8, uint16, uint32, uint64
from .elementwise import (
    bitwise_and,
    bitwise_invert,
    bitwise_left_shift,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    floor_divide,
    remainder,
)

VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12")


class _Info:
    """What the standard lets one ask of this namespace."""

    def capabilities(self) -> dict[str, Any]:
        """Masks as indices, and shapes that depend on numbers, are there; arrays have up to 64 axes."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """The memory of the processor."""
        return "cpu"

    def devices(self) -> list[str]:
        """The memory of the processor alone."""
        return ["cpu"]

    def default_dtypes(self, *, device: Any = None) -> dict[str, Any]:
        """The dtypes that functions choose by themselves."""
        on_cpu(device, "default_dtypes")
        return {"real floating": float64, "integral": np.dtype(int), "indexing": np.dtype(np.intp)}

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, Any]:
        """The dtypes, or those of a kind, as of ``isdtype``."""
        on_cpu(device, "dtypes")
        every = {d.name: d for d in (bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64)}
        return {name: d for name, d in every.items() if kind is None or isdtype(d, kind)}


def __array_namespace_info__() -> _Info:
    """What this namespace has: capabilities, devices, dtypes."""
    return _Info()


# ---- what an array has


def _array_namespace(x: Tensor, /, *, api_version: str | None = None) -> Any:
    """This module: the names of the array API standard; ValueError for a version that it does not follow."""
    if api_version is not None and api_version not in VERSIONS:
        raise ValueError(f"__array_namespace__: api_version={api_version!r}; use one of {', '.join(VERSIONS)}, or None")
    return sys.modules[__package__]


def _operator(operation: Callable[..., Any], kinds: str, *, reflected: builtins.bool = False) -> Any:
    """An operator between Tensors of these kinds of dtypes, arrays and Python numbers; it refuses others."""

    def of_two(x: Tensor, other: Any) -> Any:
        if not isinstance(other, Tensor | int | float | np.ndarray | np.generic):
            return NotImplemented
        second = lifted(np.asarray(other)) if isinstance(other, np.ndarray | np.generic) else other
        for one in (x, second):
            if isinstance(one, Tensor) and one.dtype.kind not in kinds:
                raise TypeError(f"{operation.__name__}: not defined for {found(one)}")
        return operation(second, x) if reflected else operation(x, second)

    return of_two


def bind() -> None:
    """Attach to Tensor what the standard wants of an array and no other file gives it."""
    attributes: dict[str, Any] = {
        "__array_namespace__": _array_namespace,
        "__invert__": lambda x: bitwise_invert(x),
    }
    bits, numbers = "iub", "iuf"
    for name, ufunc, operation, kinds in (
        ("floordiv", np.floor_divide, floor_divide, numbers), ("mod", np.remainder, remainder, numbers),
        ("and", np.bitwise_and, bitwise_and, bits), ("or", np.bitwise_or, bitwise_or, bits),
        ("xor", np.bitwise_xor, bitwise_xor, bits), ("lshift", np.left_shift, bitwise_left_shift, "iu"),
        ("rshift", np.right_shift, bitwise_right_shift, "iu"),
    ):  # fmt: skip
        both = attributes[f"__{name}__"] = _operator(operation, kinds)
        back = attributes[f"__r{name}__"] = _operator(operation, kinds, reflected=True)
        UFUNCS.setdefault(ufunc, lambda x, y, both=both, back=back: both(x, y) if isinstance(x, Tensor) else back(y, x))
    for name, attribute in attributes.items():
        setattr(Tensor, name, attribute)


bind()
