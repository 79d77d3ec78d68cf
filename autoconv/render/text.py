"""Numbers and names as a reader sees them: short, clean, and of a bounded length."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

LONGEST = 44  # characters in a label; the tooltip has the whole text
EXACT = {8: 8, 4: 6}  # by bytes of a float: significant digits up to which a constant is written in full
HANDFUL = 4  # arrays of up to so many elements are written out


def number(x: Any) -> str:
    """One element: four significant digits of a float, whole numbers and fractions in full."""
    return f"{x:.4g}" if isinstance(x, float | np.floating) else str(x)


def written(x: Any) -> str:
    """A number of a program: in full if it takes few digits (1.0001, 0.044715), else with four significant digits, or
    as many more as tell it from a whole number.

    >>> written(0.044715), written(2 / 3), written(1 + 1e-5 / 3)
    ('0.044715', '0.6667', '1.000003')
    """
    short = number(x)
    if not isinstance(x, float | np.floating) or not np.isfinite(x):
        return short
    most = EXACT.get(x.nbytes, 4) if isinstance(x, np.floating) else EXACT[8]
    for digits in range(4, most + 1):
        text = f"{x:.{digits}g}"
        if type(x)(text) == x:
            return text
    nearest = round(float(x))
    if float(short) != nearest:
        return short
    longer = (f"{x:.{digits}g}" for digits in range(5, 18))
    return next((text for text in longer if float(text) != nearest), short)


def numbers(array: np.ndarray) -> str:
    """The elements of a small array, else what they have in common, else min .. max (and how many are nan)."""
    if array.size == 0:
        return "empty"
    if array.size <= HANDFUL:
        array = array if array.ndim <= 2 else array.squeeze()  # brackets around one element tell nothing
        return re.sub(r"\s+", " ", np.array2string(array, separator=", ", formatter={"all": number}))
    same = uniform(array)
    if same is not None:
        return f"all {same}"
    if array.dtype == bool:
        return f"{np.count_nonzero(array):,} of {array.size:,} True"
    low, high = array.min(), array.max()
    if array.dtype.kind != "f" or not np.isnan(low):
        return f"{number(low)} .. {number(high)}"
    missing = np.isnan(array)
    known = array[~missing]
    return f"{number(known.min())} .. {number(known.max())}, {np.count_nonzero(missing):,} nan"


def uniform(array: np.ndarray) -> str | None:
    """The number that every element is, or None if they differ (nan equals nan here)."""
    if not array.size:
        return None
    first, last = array.flat[0], array.flat[-1]
    if first != last and first == first:  # most arrays are told apart at once
        return None
    same = np.isnan(array).all() if array.dtype.kind == "f" and np.isnan(first) else (array == first).all()
    return written(first) if same else None


def clean(text: str) -> str:
    """Text without what XML forbids or what would disturb a label; control characters become their pictures."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else chr(0x2400 + ord(c)) if ord(c) < 32 else "\N{REPLACEMENT CHARACTER}" for c in text
    )


def cut(text: str, length: int) -> str:
    """``text`` of at most ``length`` characters, the last an ellipsis if some are left out."""
    return text if len(text) <= length else text[: length - 1] + "…"


def cut_path(text: str, length: int) -> str:
    """A name of at most ``length`` characters; of a dotted one, as model.layers[0].w[1], the end is what tells it from
    others, so the ellipsis stands first."""
    if len(text) <= length or "." not in text:
        return cut(text, length)
    end = text[len(text) - length + 1 :]
    whole = end[end.find(".") + 1 :]
    return "…" + (whole if 2 * len(whole) > length else end)


def counted(count: int, word: str) -> str:
    """A number and what it counts: "1 second", "2 seconds"."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def short(text: str) -> str:
    """``text`` as a label: clean, and not too long."""
    return cut(clean(text), LONGEST)
