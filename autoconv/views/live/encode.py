"""A program as the data of a page: its lines as JSON, its numbers as one compressed stream.

An array is stored in the smallest dtype that holds its numbers exactly, plane by plane (all first bytes, all second
bytes, ...), which compresses well.  An array of one number repeated is that number.
"""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...program.program import Line, Program
from ...render.page import planes
from ...shapes import Shape

# kind and size of a dtype -> its name in a page; there is no float128, and no object
_DTYPES = {"f8", "f4", "f2", "b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"}
_WHOLE = ("u1", "i1", "u2", "i2", "i4")
_PATIENT = 2_000_000  # bytes: of more, the last few percent of compression would take many seconds
_EXACT = 2**53  # whole numbers up to this one are floating-point numbers


def dtype_name(dtype: np.dtype) -> str:
    """ "f4" for float32, "b1" for bool, ...; TypeError for exact fractions and others that a page does not know."""
    name = f"{dtype.kind}{dtype.itemsize}"
    if name not in _DTYPES:
        what = "exact fractions" if dtype == object else f"dtype {dtype}"
        raise TypeError(f"live: a page does not calculate with {what}; use float64 or float32")
    return name


class Numbers:
    """The arrays of a page; ``add`` gives the number by which it knows one, ``packed`` all of them."""

    def __init__(self) -> None:
        self.described: list[tuple[str, int]] = []  # (dtype, count)
        self._stream: list[bytes] = []
        self._known: dict[tuple[str, bytes], int] = {}
        self.nbytes = 0

    def add(self, array: np.ndarray) -> int:
        """The number of the array with these elements, in C order."""
        flat = np.ascontiguousarray(array).reshape(-1)
        name, stored = _smallest(flat)
        key = name, stored.tobytes()
        if key not in self._known:
            self._known[key] = len(self.described)
            self.described.append((name, flat.size))
            self._stream.append(planes(stored))
            self.nbytes += stored.nbytes
        return self._known[key]

    def packed(self) -> str:
        """One zlib stream in base64."""
        level = 9 if self.nbytes <= _PATIENT else 1
        return b64encode(zlib.compress(b"".join(self._stream), level)).decode()


def _smallest(flat: np.ndarray) -> tuple[str, np.ndarray]:
    """The array in the smallest dtype that has its numbers exactly."""
    name = dtype_name(flat.dtype)
    if name == "b1":
        return "u1", flat.astype("u1")
    if flat.dtype.kind in "iu":
        low, high = (int(flat.min()), int(flat.max())) if flat.size else (0, 0)
        if max(-low, high) > _EXACT:
            raise ValueError(f"live: a whole number of {max(-low, high):,} is beyond 2^53, the largest that a page has")
        small = next((w for w in _WHOLE if np.iinfo(w).min <= low and high <= np.iinfo(w).max), "f8")
        return small, flat.astype(f"<{small}")
    if name == "f2" or (name == "f8" and np.array_equal(flat.astype("f4").astype("f8"), flat, equal_nan=True)):
        return "f4", flat.astype("<f4")
    return name, flat.astype(f"<{name}")


def encoded(program: Program, numbers: Numbers) -> list[list[Any]]:
    """The lines as a page has them (see static/program.js); their arrays go into ``numbers``."""
    return [_line(line, program.lines, numbers) for line in program.lines]


def _line(line: Line, lines: Sequence[Line], numbers: Numbers) -> list[Any]:
    about = [dtype_name(line.dtype), list(line.shape)]
    if line.argument is not None:
        return ["argument", line.argument, *about]
    if line.primitive is None:
        value = line.tensor.value if line.tensor is not None else line.value
        assert value is not None
        if value.size and _uniform(value):
            return ["number", _json(value.flat[0]), *about]
        return ["array", numbers.add(value), *about]
    first = lines[line.operands[0]].shape if line.operands else ()
    params = _params(line, first)
    return [line.primitive.name, list(line.operands), *about, *([params] if params else [])]


def _uniform(value: np.ndarray) -> bool:
    if value.size == 1 or not any(value.strides):
        return True
    first = value.flat[0]
    zeros_of_two_signs = first == 0 and value.dtype.kind == "f" and np.signbit(value).any()
    return bool((value == first).all() and not zeros_of_two_signs)


def _params(line: Line, operand: Shape) -> dict[str, Any]:
    """The params that JavaScript reads; shapes and dtypes stand with the line."""
    params = {k: v for k, v in line.params.items() if k not in ("shape", "dtype", "keepdims")}
    if "key" in params:
        params |= keys(params.pop("key"), operand if line.primitive.name == "index" else line.shape)  # type: ignore[union-attr]
    return {k: _json(v) for k, v in params.items()}


def keys(key: Any, shape: Shape) -> dict[str, Any]:
    """A key as ``keys``: [axis, start, step] for each of its parts (step null: one place; axis null: a new axis).

    Where it is more than whole numbers and slices, ``cells``: the places of the elements it names, in C order.
    """
    parts = key if isinstance(key, tuple) else (key,)
    plain = lambda x: x is None or x is Ellipsis or isinstance(x, slice | int | np.integer)
    if not all(plain(x) and not isinstance(x, bool) for x in parts):
        return {"cells": np.arange(int(np.prod(shape))).reshape(shape)[key].reshape(-1)}
    rest = len(shape) - sum(x is not None and x is not Ellipsis for x in parts)
    whole = [slice(None)] * rest
    at = next((i for i, x in enumerate(parts) if x is Ellipsis), len(parts))
    found: list[list[int | None]] = []
    axis = 0
    for x in (*parts[:at], *whole, *parts[at + 1 :]):
        if x is None:
            found.append([None, 0, 0])
            continue
        n = shape[axis]
        if isinstance(x, slice):
            start, _, step = x.indices(n)
            found.append([axis, start, step])
        else:
            found.append([axis, int(x) % n if n else 0, None])
        axis += 1
    return {"keys": found}


def _json(x: Any) -> Any:
    """A param as JSON; what JSON has no number for is its word in JavaScript."""
    if isinstance(x, Mapping):
        return {k: _json(v) for k, v in x.items()}
    if isinstance(x, np.ndarray):
        return _json(x.tolist())
    if isinstance(x, list | tuple):
        return [_json(v) for v in x]
    if isinstance(x, np.generic):
        x = x.item()
    if isinstance(x, float) and not np.isfinite(x):
        return "NaN" if x != x else "Infinity" if x > 0 else "-Infinity"
    if isinstance(x, float) and x == 0 and np.signbit(x):
        return "-0"
    return int(x) if isinstance(x, bool) else x
