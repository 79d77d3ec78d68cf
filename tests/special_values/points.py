"""The numbers to ask about, by name, for each dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

DTYPES = (np.float16, np.float32, np.float64)


def numbers(dtype: Any) -> dict[str, float]:
    """Corners of a dtype and common numbers, each exactly representable in it."""
    info = np.finfo(dtype)
    positive = {
        "inf": np.inf,
        "largest": info.max,
        "normal": info.smallest_normal,
        "denormal": info.smallest_subnormal,
        "1e-8": 1e-8,
        "1e-4": 1e-4,
        "0.5": 0.5,
        "1": 1.0,
        "3": 3.0,
        "5.5": 5.5,
        "10": 10.0,
        "30": 30.0,
        "88": 88.0,
        "1e4": 1e4,
        "1e8": 1e8,
    }
    both = {"0": 0.0, "-0": -0.0, "nan": np.nan}
    both |= positive | {f"-{name}": -x for name, x in positive.items()}
    with np.errstate(all="ignore"):
        rounded = {name: float(np.asarray(x).astype(dtype)) for name, x in both.items()}
    return {
        name: x
        for name, x in rounded.items()
        if np.isfinite(x) == np.isfinite(both[name]) and bool(x) == bool(both[name])
    }


PAIRS = ("inf", "-inf", "largest", "-largest", "denormal", "0", "-0", "nan", "1", "-3", "0.5", "2")


def pairs(dtype: Any) -> dict[str, tuple[float, float]]:
    """Pairs of corners, each number with each."""
    known = numbers(dtype) | {"2": 2.0}
    return {f"{a},{b}": (known[a], known[b]) for a in PAIRS for b in PAIRS}


def vectors(dtype: Any) -> dict[str, list[float]]:
    """Arrays with ties, a common offset, infinities, extremes, and more numbers than the dtype can count."""
    info = np.finfo(dtype)
    steps = {"offset 1e4": (1e4, 8.0), "offset 1e6": (1e6, 0.5), "offset 1e8": (1e8, 8.0)}
    cases = {
        "plain": [0.5, -1.0, 2.0, 0.25],
        "ties": [1.0, 1.0, 1.0, 1.0],
        "two ties": [2.0, -1.0, 2.0, 0.5],
        "zeros": [0.0, 0.0, 0.0],
        "minus zeros": [-0.0, 0.0, -0.0],
        "one": [3.0],
        "equal at 1e4": [1e4, 1e4],
        "equal at 1e6": [1e6, 1e6],
        "equal at 1e8": [1e8, 1e8],
        "with inf": [0.0, np.inf],
        "with -inf": [0.0, -np.inf, 1.0],
        "all -inf": [-np.inf, -np.inf],
        "with nan": [0.0, np.nan, 1.0],
        "largest": [float(info.max), float(info.max), 0.0],
        "largest of both signs": [float(info.max), -float(info.max)],
        "denormals": [float(info.smallest_subnormal)] * 3,
        "smallest and 1": [float(info.smallest_normal), 1.0, float(info.smallest_subnormal)],
        "300 and -300": [300.0, -300.0, 300.0, -300.0],
        "1e30s": [1e30, 2e30, 3e30, 4e30],
        "2000 hundreds": [100.0] * 2000,
    }
    if dtype == np.float16:
        cases["70000 halves"] = [0.5] * 70000  # more than it can count to
    cases |= {name: [offset, offset + step, offset + 2 * step] for name, (offset, step) in steps.items()}
    exact = {}
    for name, xs in cases.items():
        with np.errstate(all="ignore"):
            there = np.asarray(xs).astype(dtype).astype(float)
        if np.array_equal(np.isfinite(there), np.isfinite(xs)):
            exact[name] = there.tolist()
    return exact
