"""New arrays of given shapes: constants, as PyTorch creates them; inputs are made by ``ac.tensor``."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import functional as ac
from .. import primitives as p
from ..operands import as_array
from ..tape import Tensor
from .common import constant, known_dtype, lifted, on_cpu, trained

__all__ = [
    "arange", "asarray", "empty", "empty_like", "eye", "full", "full_like", "linspace", "meshgrid", "ones",
    "ones_like", "tril", "triu", "zeros", "zeros_like",
]  # fmt: skip


def asarray(obj: Any, /, *, dtype: Any = None, device: Any = None, copy: Any = None) -> Tensor:
    """A constant of nested lists, numbers or an array; a Tensor as it is, with its gradient, unless ``copy`` or
    ``dtype`` ask for another one.

    Raises ValueError for copy=False of anything but a Tensor of that dtype: a Tensor owns its memory.
    """
    on_cpu(device, "asarray")
    dtype = known_dtype(dtype, "asarray: dtype")
    if isinstance(obj, Tensor):
        same = dtype is None or obj.dtype == dtype
        if copy is False and not same:
            raise ValueError(f"asarray: copy=False, but {obj.dtype} becomes {dtype} only by a copy")
        moved = obj if same else obj.astype(dtype)
        return p.identity(moved) if copy else moved
    if copy is False:
        raise ValueError("asarray: copy=False, but a Tensor owns its memory; leave copy out")
    return Tensor(as_array(obj, dtype, "asarray"), constant=True)


def _made(name: str, value: Any, device: Any) -> Tensor:
    on_cpu(device, name)
    return constant(value)


def arange(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Evenly spaced numbers from ``start`` (0, if there is no ``stop``) up to but without ``stop``."""
    start, stop = (0, start) if stop is None else (start, stop)
    return _made("arange", np.arange(start, stop, step, dtype=known_dtype(dtype, "arange: dtype")), device)


def empty(shape: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """An array that is to be filled: of zeros, since nothing here is left undefined."""
    return _made("empty", np.zeros(shape, known_dtype(dtype, "empty: dtype") or float), device)


def empty_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """``empty`` with the shape of x, and its dtype."""
    return _made("empty_like", np.zeros(x.shape, known_dtype(dtype, "empty_like: dtype") or x.dtype), device)


def eye(n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Any = None, device: Any = None) -> Tensor:
    """Ones on the k-th diagonal, zeros elsewhere."""
    return _made("eye", np.eye(n_rows, n_cols, k, known_dtype(dtype, "eye: dtype") or float), device)


def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """``fill_value`` everywhere, in its dtype unless another is given."""
    return _made("full", np.full(shape, fill_value, known_dtype(dtype, "full: dtype")), device)


def full_like(x: Any, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """``full`` with the shape of x, and its dtype."""
    return _made("full_like", np.full(x.shape, fill_value, known_dtype(dtype, "full_like: dtype") or x.dtype), device)


def linspace(
    start: Any, stop: Any, /, num: int, *, dtype: Any = None, device: Any = None, endpoint: Any = True
) -> Tensor:
    """``num`` evenly spaced numbers from ``start`` to ``stop``, which is one of them unless ``endpoint`` is False."""
    values = np.linspace(start, stop, num, endpoint=endpoint, dtype=known_dtype(dtype, "linspace: dtype"))
    return _made("linspace", values, device)


def ones(shape: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Ones."""
    return _made("ones", np.ones(shape, known_dtype(dtype, "ones: dtype") or float), device)


def ones_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """``ones`` with the shape of x, and its dtype."""
    return _made("ones_like", np.ones(x.shape, known_dtype(dtype, "ones_like: dtype") or x.dtype), device)


def zeros(shape: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Zeros."""
    return _made("zeros", np.zeros(shape, known_dtype(dtype, "zeros: dtype") or float), device)


def zeros_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """``zeros`` with the shape of x, and its dtype."""
    return _made("zeros_like", np.zeros(x.shape, known_dtype(dtype, "zeros_like: dtype") or x.dtype), device)


def meshgrid(*arrays: Any, indexing: str = "xy") -> list[Tensor]:
    """Each vector spread over the grid that all of them span; "xy": the first along axis 1, "ij": along axis 0."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing={indexing!r}; use 'xy' or 'ij'")
    n = len(arrays)
    places = [i if indexing == "ij" or n < 2 or i > 1 else 1 - i for i in range(n)]
    shape = [0] * n
    for x, place in zip(arrays, places, strict=True):
        shape[place] = x.size
    return [
        ac.broadcast_to(ac.reshape(x, tuple(x.size if i == place else 1 for i in range(n))), tuple(shape))
        for x, place in zip(arrays, places, strict=True)
    ]


def tril(x: Any, /, *, k: int = 0) -> Tensor:
    """Zeros above the k-th diagonal."""
    return lifted(ac.tril(x, k)) if trained(x) else constant(np.tril(x.value, k))


def triu(x: Any, /, *, k: int = 0) -> Tensor:
    """Zeros below the k-th diagonal."""
    return lifted(ac.triu(x, k)) if trained(x) else constant(np.triu(x.value, k))
