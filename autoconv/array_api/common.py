"""What the functions of this folder have in common: operands with and without a gradient, dtypes, devices."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from ..operands import as_dtype, found
from ..tape import Tensor


def plain(x: Any) -> Any:
    return x.value if isinstance(x, Tensor) else x


def constant(value: Any) -> Any:
    return Tensor(np.array(value), constant=True)


def lifted(y: Any) -> Tensor:
    return y if isinstance(y, Tensor) else constant(y)


def trained(*xs: Any) -> Any:
    """Whether one of these has a gradient."""
    return builtins.any(isinstance(x, Tensor) and not x.constant for x in xs)


def needs_tensors(name: str, *xs: Any) -> None:
    for x in xs:
        if not isinstance(x, Tensor | int | float | np.bool_):
            raise TypeError(f"{name}: the array API computes with Tensors, found {found(x)}; xp.asarray makes one")
    if not builtins.any(isinstance(x, Tensor) for x in xs):
        raise TypeError(f"{name}: one operand must be a Tensor, found {' and '.join(map(found, xs))}")


def known_dtype(dtype: Any, what: str) -> Any:
    return None if dtype is None else as_dtype(dtype, what)


def on_cpu(device: Any, what: str) -> None:
    if device not in (None, "cpu"):
        raise ValueError(f"{what}: device={device!r}; a Tensor is in the memory of the 'cpu'")
