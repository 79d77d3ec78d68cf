"""The numbers of a page: which fit into it, and how they are stored.

A page has a budget.  If not every number fits, they are rounded to the four digits that pages show; if that is not
enough, no array has more than so many numbers, the largest number of them for which all fit: what calls read and give
first, then the lines inside them, then what only moves elements.  Of an array that is cut, whole pictures are kept (the
first channels, the first kernels), and a single number always is.

Arrays are packed so that a browser unpacks them without a library.  Each is stored plane by plane (all first bytes, all
second bytes, ...), which compresses well; all arrays together are one zlib stream in base64.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from bisect import bisect_left
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ...render.page import planes
from ...render.text import HANDFUL, number, numbers, uniform
from .axes import PLANE, Axes, guessed

DIGITS = 4
LISTED = 4096  # whole numbers, truth values and fractions that are written out
MOST = tuple(int(2 ** (k / 4)) for k in range(96, 23, -1))  # numbers of one array, of which one is chosen
TRIES = 4
SHARES = (1, 16, 128)  # what arrays of each class have of that
FEW = (16, 16, 4)  # and what they always have, where the budget is small
THUMB = 64  # numbers of a picture that is kept of arrays inside calls
PER_NUMBER = 2.6  # characters that a rounded number takes, about


class Pack:
    """The arrays of a page, each stored once; ``add`` gives the number by which the page knows it."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self._arrays: list[np.ndarray] = []
        self._keep: list[Any] = []  # ids stay valid while the arrays live
        self._wanted: list[int] = []
        self._axes: list[Axes] = []
        self._same: list[bool] = []  # whether all elements are the same number

    def add(self, array: Any, wanted: int = 0, axes: Axes | None = None, key: Any = None) -> int:
        """The number of ``array``.

        wanted: its class, 0 for what is kept first, at most 2.  axes: what its axes mean.  key: what it is known by,
        for arrays of which there is a new view each time (default: the array itself).
        """
        key = id(array) if key is None else key
        known = self._numbers.get(key)
        if known is None:
            flat = np.asarray(array)
            content = (flat.shape, flat.dtype.str, flat.tobytes()) if flat.dtype != object else id(array)
            known = self._numbers.setdefault(content, len(self._arrays))
            self._numbers[key] = known
            self._keep.append(array)
            if known == len(self._arrays):
                self._arrays.append(flat)
                self._same.append(_alike(flat))
                self._wanted.append(wanted)
                self._axes.append(axes or guessed(flat.shape))
        if axes is not None and wanted < self._wanted[known]:
            self._axes[known] = axes
        self._wanted[known] = min(wanted, self._wanted[known])
        return known

    def build(self, budget: int | None, long: dict[str, Any]) -> tuple[str, int, bool]:
        """(the base64 stream, how many of its bytes are text, whether numbers were rounded); ``budget``: characters at
        most, where the smallest parts of all arrays fit into it.

        The text is JSON: ``long``, and "arrays", what a page knows of each array besides its numbers, which follow it.
        """
        whole = [_whole(x) for x in self._arrays]
        if budget is None:
            return *self._packed(whole, 0, long), False
        text = len(zlib.compress(json.dumps(long).encode(), 6)) * 4 // 3 + 12 * len(whole)
        room = max(0, budget - text)
        stored = sum(x.size for x in self._arrays if not _listed(x))
        if stored * 12 <= 8 * room:  # exactly, if that may fit
            packed, size = self._packed(whole, 0, long)
            if len(packed) <= budget:
                return packed, size, False
        levels = [(most, PLANE) for most in MOST] + [(MOST[-1], PLANE // 4**k) for k in range(1, 6)]
        known: dict[int, tuple[int, list[tuple[slice, ...]]]] = {}

        def at(level: int) -> tuple[int, list[tuple[slice, ...]]]:
            """(how many numbers, which parts) are kept at a level."""
            if level not in known:
                parts = self._parts(*levels[level])
                known[level] = _count(parts, self._arrays), parts
            return known[level]

        rate = PER_NUMBER
        for _ in range(TRIES):  # the first try tells how well these numbers compress
            chosen = bisect_left(range(len(levels) - 1), -room, key=lambda level, rate=rate: -at(level)[0] * rate)  # type: ignore[misc]
            count, tried = at(chosen)
            packed, size = self._packed(tried, DIGITS, long)
            if len(packed) <= budget and rate != PER_NUMBER:
                break
            rate = 1.02 * max(1, len(packed) - budget + room) / count if count else rate
        if len(packed) > budget:
            packed, size = self._packed(at(len(levels) - 1)[1], DIGITS, long)
        return packed, size, True

    def _parts(self, most: int, picture: int = PLANE) -> list[tuple[slice, ...]]:
        """What is kept of each array where those of the first class have about ``most`` numbers, or one picture."""
        found: list[tuple[slice, ...]] = []
        for array, axes, wanted, same in zip(self._arrays, self._axes, self._wanted, self._same, strict=True):
            allowed = max(FEW[wanted], most // SHARES[wanted])
            shown = min(picture, THUMB if wanted else PLANE) if len(axes.tile) == 2 else 0
            if same:
                found.append((slice(0, 1),) * array.ndim)
            elif array.size <= allowed:
                found.append(_whole(array))
            else:
                found.append(axes.part(array.shape, allowed, shown if axes.others or axes.picture else 0))
        return found

    def _packed(self, parts: Sequence[tuple[slice, ...]], digits: int, long: dict[str, Any]) -> tuple[str, int]:
        stream: list[bytes] = []
        described: list[dict[str, Any]] = []
        at = 0
        for array, axes, part, same in zip(self._arrays, self._axes, parts, self._same, strict=True):
            about: dict[str, Any] = {"shape": array.shape, "tile": axes.tile}
            about |= {"others": axes.others} if axes.others else {}
            about |= {"picture": axes.picture} if axes.picture else {}
            described.append(about)
            if array.size > HANDFUL:
                about["says"] = numbers(array)
            if _listed(array):
                about["list"] = [number(v) for v in array.reshape(-1).tolist()]
                continue
            kept = np.asarray(array[part])
            code, data = _encode(kept, digits)
            if kept.size == 1 < array.size and same:
                about["alike"] = True
            elif kept.shape != array.shape or (array.size and not data):
                about["part"] = kept.shape if data else [0] * array.ndim
            if any(s.step not in (None, 1) for s in part):
                about["every"] = [s.step or 1 for s in part]
            about |= {"code": code, "at": at}
            stream.append(data)
            at += len(data)
        text = json.dumps({**long, "arrays": described}, separators=(",", ":"), allow_nan=False).encode()
        return b64encode(zlib.compress(text + b"".join(stream), 9)).decode(), len(text)


def _alike(array: np.ndarray) -> bool:
    """Whether all elements are the same number, which is then stored once."""
    return array.size > 1 and not _listed(array) and array.dtype.kind == "f" and uniform(array) is not None


def _whole(array: np.ndarray) -> tuple[slice, ...]:
    return (slice(None),) * array.ndim


def _count(parts: Sequence[tuple[slice, ...]], arrays: Sequence[np.ndarray]) -> int:
    """How many numbers the parts have."""
    return sum(
        prod(len(range(*s.indices(n))) for s, n in zip(part, x.shape, strict=True))
        for part, x in zip(parts, arrays, strict=True)
        if not _listed(x)
    )


def _listed(array: np.ndarray) -> bool:
    """Whether an array is written out in the trace: whole numbers, truth values and fractions, which have no packed
    form.
    """
    return array.dtype.kind != "f" and array.size <= LISTED


def _encode(array: np.ndarray, digits: int) -> tuple[str, bytes]:
    """("f4" or "f8", bytes plane by plane) of a numeric array; nothing for others."""
    if array.dtype.kind in "iub":
        return "f8", planes(array.astype("<f8"))
    if array.dtype.kind != "f":
        return "f8", b""
    flat = array.astype("<f8").reshape(-1)
    if digits:
        flat = rounded(flat, digits)
        finite = np.abs(flat[np.isfinite(flat) & (flat != 0)])
        if not finite.size or (finite.max() < 3e38 and finite.min() > 1e-37):
            return "f4", planes(_trim(flat.astype("<f4")))
        return "f8", planes(flat)
    if array.dtype == np.float32:
        return "f4", planes(flat.astype("<f4"))
    return "f8", planes(flat)


def rounded(flat: np.ndarray, digits: int) -> np.ndarray:
    """Every number at ``digits`` significant digits, exactly as ``text.number`` writes it."""
    return np.array([float(f"{x:.{digits}g}") for x in flat.tolist()])


def _trim(flat: np.ndarray) -> np.ndarray:
    """float32 with 14 bits of mantissa: an error below 2^-15, less than half a unit of the fourth digit."""
    bits = flat.view("<u4")
    finite = np.isfinite(flat)
    return np.where(finite, (bits + 0x100) & 0xFFFFFE00, bits).astype("<u4").view("<f4")
