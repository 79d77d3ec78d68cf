"""Arrays for a page: packed numbers that a browser unpacks without a library.

Each array is stored plane by plane (all first bytes, all second bytes, ...), which compresses well; all arrays together are one
zlib stream in base64.  If that is too long, numbers are rounded to the four digits that pages show; if it still is, the largest
arrays are described instead.
"""

from __future__ import annotations

import zlib
from base64 import b64encode
from typing import Any

import numpy as np

from ...render.text import number, numbers

DIGITS = 4
LISTED = 4096


class Pack:
    """The arrays of a page, each stored once; ``add`` gives the number by which the page knows it."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self._arrays: list[np.ndarray] = []
        self._keep: list[Any] = []  # ids stay valid while the arrays live
        self._wanted: list[int] = []

    def add(self, array: Any, wanted: int = 0) -> int:
        """The number of ``array``; those with smaller ``wanted`` are kept first."""
        known = self._numbers.get(id(array))
        if known is None:
            flat = np.asarray(array)
            content = (flat.shape, flat.dtype.str, flat.tobytes()) if flat.dtype != object else id(array)
            known = self._numbers.setdefault(content, len(self._arrays))
            self._numbers[id(array)] = known
            self._keep.append(array)
            if known == len(self._arrays):
                self._arrays.append(flat)
                self._wanted.append(wanted)
        self._wanted[known] = min(wanted, self._wanted[known])
        return known

    def described(self) -> list[dict[str, Any]]:
        """What a page knows of each array besides its packed numbers."""
        return [
            {"shape": list(x.shape), "code": "f8", "at": 1_000_000}
            | ({"list": [number(v) for v in x.reshape(-1).tolist()]} if _listed(x) else {})
            for x in self._arrays
        ]

    def build(self, budget: int | None, text: bytes = b"") -> tuple[list[dict[str, Any]], str, bool]:
        """(a description of each array, the base64 stream, whether numbers were rounded); ``budget``: characters at most.

        ``text`` (JSON of what is long and repeats itself) goes first into the stream and counts as well.
        """
        order = sorted(range(len(self._arrays)), key=lambda i: (self._wanted[i], self._arrays[i].size, i))
        hopeless = set[int]()  # beyond these the numbers cannot fit, however well they compress
        if budget is not None:
            ends = np.cumsum([self._arrays[i].size for i in order])
            hopeless = {i for i, end in zip(order, ends, strict=True) if end > 8 * budget}
        for digits in (0, DIGITS):
            coded = [("f8", b"") if i in hopeless else _encode(x, digits) for i, x in enumerate(self._arrays)]
            sizes = [len(zlib.compress(data, 6)) * 4 // 3 if data else 0 for _, data in coded]
            room = None if budget is None else budget - len(zlib.compress(text, 9)) * 4 // 3
            if room is None or (not hopeless and sum(sizes) <= room):
                kept = set(order)
                break
        else:
            kept, used = set(), 0
            for i in order:
                if room is not None and used + sizes[i] <= room:
                    kept.add(i)
                    used += sizes[i]
        stream, described = [text], self.described()
        at = len(text)
        for i, about in enumerate(described):
            code, data = coded[i]
            about.pop("code"), about.pop("at")
            if "list" not in about and i in kept and data:
                about |= {"code": code, "at": at}
                stream.append(data)
                at += len(data)
            elif "list" not in about:
                about["says"] = numbers(self._arrays[i])
        packed = b64encode(zlib.compress(b"".join(stream), 9)).decode()
        return described, packed, digits > 0


def _listed(array: np.ndarray) -> bool:
    """Whether an array is written out in the trace: whole numbers, truth values and fractions, which have no packed form."""
    return array.dtype.kind != "f" and array.size <= LISTED


def _encode(array: np.ndarray, digits: int) -> tuple[str, bytes]:
    """("f4" or "f8" or "i4", bytes plane by plane) of a numeric array; nothing for others."""
    if array.dtype.kind in "iub":
        return "f8", _planes(array.astype("<f8")) if array.size > LISTED else b""
    if array.dtype.kind != "f":
        return "f8", b""
    flat = array.astype("<f8").reshape(-1)
    if digits:
        flat = rounded(flat, digits)
        finite = np.abs(flat[np.isfinite(flat) & (flat != 0)])
        if not finite.size or (finite.max() < 3e38 and finite.min() > 1e-37):
            return "f4", _planes(_trim(flat.astype("<f4")))
        return "f8", _planes(flat)
    if array.dtype == np.float32:
        return "f4", _planes(flat.astype("<f4"))
    return "f8", _planes(flat)


def rounded(flat: np.ndarray, digits: int) -> np.ndarray:
    """Every number at ``digits`` significant digits, exactly as ``text.number`` writes it."""
    return np.array([float(f"{x:.{digits}g}") for x in flat.tolist()])


def _trim(flat: np.ndarray) -> np.ndarray:
    """float32 with 14 bits of mantissa: an error below 2^-15, less than half a unit of the fourth digit."""
    bits = flat.view("<u4")
    finite = np.isfinite(flat)
    return np.where(finite, (bits + 0x100) & 0xFFFFFE00, bits).astype("<u4").view("<f4")


def _planes(flat: np.ndarray) -> bytes:
    size = flat.dtype.itemsize
    return flat.reshape(-1).view(np.uint8).reshape(-1, size).T.tobytes()
