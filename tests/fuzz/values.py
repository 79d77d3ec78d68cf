"""Numbers to compute with: plain ones, and the corners of a dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

KINDS = ("plain", "plain", "small whole", "ties", "special", "finite extremes")


def corners(dtype: Any, infinite: bool = True) -> list[float]:
    """Zeros of both signs, the smallest and largest numbers of a dtype, ones and neighbours, infinities, NaN."""
    info = np.finfo(dtype)
    denormal, normal, largest = info.smallest_subnormal, info.smallest_normal, info.max
    finite = [0.0, -0.0, 1.0, -1.0, 1 + info.eps, 0.5, 2.0, denormal, -denormal, normal, -normal, largest, -largest]
    finite += [largest / 2, np.sqrt(largest), -np.sqrt(largest), np.sqrt(normal), 1 / info.eps]
    return [float(x) for x in finite + ([np.inf, -np.inf, np.nan] if infinite else [])]


def draw(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any, kind: str) -> np.ndarray:
    """Numbers of one kind.  Floating-point dtypes only; ``whole`` draws integers."""
    if kind == "small whole":
        return rng.integers(-3, 4, shape).astype(dtype)
    plain = rng.normal(size=shape)
    if kind == "ties":
        return (np.round(plain) / 2).astype(dtype)
    if kind in ("special", "finite extremes"):
        chosen = rng.choice(corners(dtype, kind == "special"), shape)
        return np.where(rng.random(shape) < 0.3, chosen, plain).astype(dtype)
    return plain.astype(dtype)


def whole(rng: np.random.Generator, shape: tuple[int, ...], low: int, high: int, dtype: Any = np.int64) -> np.ndarray:
    """Integers from low to high - 1."""
    return rng.integers(low, high, shape).astype(dtype)
