"""A claim and a candidate, element by element: equal, up to a sign, a constant factor or a few slips; or noisy."""

from __future__ import annotations

from fractions import Fraction
from math import copysign
from typing import Any, NamedTuple

import numpy as np

SLIPS, SLIPPED = 3, 50  # at most so many slips, and one in so many elements
SIGNIFICANT = 1e-3  # elements smaller than this part of the largest say nothing about a factor


class Tolerance(NamedTuple):
    """Numbers agree within relative * max(|b|, scale / 10) + absolute; a whole array below ``zero`` counts as zero.

    absolute: one number, or one for each element.
    """

    relative: float = 1e-6
    absolute: Any = 0.0
    zero: float = 0.0

    def of(self, b: np.ndarray, scale: float) -> np.ndarray:
        """How far a number may be from each element of b, an array whose largest element is ``scale``."""
        absolute = self.absolute if np.ndim(self.absolute) == 0 or len(b) == len(self.absolute) else self.largest
        return self.relative * np.maximum(np.abs(b), 0.1 * scale) + absolute

    @property
    def largest(self) -> float:
        """The absolute tolerance as one number."""
        return float(np.max(self.absolute, initial=0.0))


class Match(NamedTuple):
    """How a claim agrees with a candidate: claim = factor * candidate, except at ``slips`` (element numbers).

    noise: what remains, relative to the claim, where it agrees by least squares only.
    """

    factor: float = 1.0
    slips: tuple[int, ...] = ()
    noise: float = 0.0

    @property
    def cost(self) -> float:
        """How many further mistakes it takes beside the candidate's own."""
        flipped = abs(self.factor + 1) < 1e-9
        plain = abs(self.factor - 1) < 1e-9
        common = abs(self.factor) in (2.0, 0.5)
        size = 0 if plain or flipped else 1 if common else 1.5
        return (self.factor < 0) + size + len(self.slips) + (0.5 if self.noise else 0)


def scale_of(b: np.ndarray) -> float:
    """The largest absolute value; 0.0 for an empty array."""
    return float(np.abs(b).max()) if b.size else 0.0


def equal(a: np.ndarray, b: np.ndarray, tolerance: Tolerance) -> bool:
    """Whether every element agrees."""
    return bool((np.abs(a - b) <= tolerance.of(b, scale_of(b))).all())


def compare(a: np.ndarray, b: np.ndarray, tolerance: Tolerance, count: int, slips: bool = True) -> Match | None:
    """The simplest way in which claim ``a`` is ``b`` up to sign, factor and slips, or None.

    a, b: flat, of the same length; ``count`` elements in one run, several runs after one another.  A factor needs two
    elements to show (a single number only fits 2 and 1/2), a slip needs three others that agree; there are at most 3
    slips, and one in 50 elements, and none unless ``slips``.
    """
    scale = scale_of(b)
    if not np.isfinite(b).all() or scale <= tolerance.zero:
        return None
    telling = np.abs(b) > SIGNIFICANT * scale
    factor = float(np.median(a[telling] / b[telling]))
    level = float(np.ptp(np.abs(b[telling]))) <= 1e-6 * scale  # any constant array is a multiple of another
    for tried in dict.fromkeys((1.0, -1.0, nice(factor) or factor)):
        if tried == 0:
            continue
        off = np.abs(a - tried * b) > tolerance.of(tried * b, abs(tried) * scale)
        most = min(SLIPS, max(1, count // SLIPPED)) if slips else 0
        if int(off.sum()) > most * (len(a) // count):
            continue
        slipped = sorted({int(i) % count for i in np.flatnonzero(off)})
        agreeing = len({int(i) % count for i in np.flatnonzero(telling)} - set(slipped))
        if slipped and (len(slipped) > most or agreeing < 3):
            continue
        free = tried not in (1.0, -1.0)
        if free and (agreeing < 2 or level) and abs(tried) not in (2.0, 0.5):
            continue
        if free and slipped and agreeing < 4:
            continue
        return Match(tried, tuple(slipped))
    return None


def nice(factor: float) -> float | None:
    """A factor that comes from a mistake: a small whole number, its inverse, or a simple fraction; None for others."""
    if not np.isfinite(factor) or factor == 0:
        return None
    near = Fraction(abs(factor)).limit_denominator(64)
    if min(near.numerator, near.denominator) > 3 or max(near.numerator, near.denominator) > 4096:
        return None
    simple = float(near)
    return copysign(simple, factor) if abs(simple - abs(factor)) <= 1e-5 * abs(factor) else None


def noisy(a: np.ndarray, b: np.ndarray) -> Match | None:
    """A constant factor by least squares, if the residual is small: a claim that was measured, not computed."""
    scale = scale_of(b)
    telling = int((np.abs(b) > 0.05 * scale).sum()) if scale else 0
    if telling < 4:
        return None
    factor = float(np.dot(a, b)) / float(np.dot(b, b))
    noise = float(np.linalg.norm(a - factor * b)) / max(float(np.linalg.norm(a)), 1e-300)
    limit = 0.05 if telling >= 8 else 0.02
    if not noise < limit:
        return None
    return Match(1.0 if abs(factor - 1) <= max(3 * noise, 0.01) else factor, (), noise)
