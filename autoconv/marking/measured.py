"""A forward that is not known: its gradient by differences, and what can be said of another one beside it."""

from __future__ import annotations

import numpy as np

from .layer import Try
from .relations import Named
from .truth import close

MEASURED = 2e-5  # how closely differences agree


class Measured:
    """The right numbers at one geometry by differences of the forward; dout: what arrives there."""

    relative = MEASURED

    def __init__(self, case: Try, dout: np.ndarray, gradients: dict[str, np.ndarray]) -> None:
        self.case, self.dout, self._gradients = case, dout, gradients

    def gradient(self, name: str) -> np.ndarray:
        return self._gradients[name]

    def size(self, name: str) -> float:
        return float(np.abs(self._gradients[name]).max(initial=0.0))

    def agrees(self, name: str, claimed: np.ndarray) -> bool:
        return close(claimed.astype(float), self.gradient(name), self.size(name), MEASURED)


Pair = tuple[np.ndarray, np.ndarray]  # what was claimed, what is right


def measured_name(name: str, of: str, seen: list[tuple[Measured, np.ndarray]]) -> Named | None:
    """The relation that holds at every geometry: nothing computed, a sign or factor, a multiple of the input, places
    that were not reached.

    name: of the gradient; of: of the input that it is of.
    """
    pairs = [(claimed.astype(float), m.gradient(name)) for m, claimed in seen]
    if not any(claimed.any() for claimed, _ in pairs):
        return Named("zero everywhere", "all its elements are zero", "Is anything ever written into this array?")
    inputs = [m.case.arrays[of] * (m.dout.item() if m.dout.size == 1 else 1.0) for m, _ in seen]  # of a loss
    return _multiple(pairs) or _decay(pairs, inputs) or _unreached(pairs)


def _factors(pairs: list[Pair], beside: list[np.ndarray], of: list[np.ndarray]) -> list[float] | None:
    """The numbers c, nearly the same at every geometry, with claimed = beside + c of; None where there are none."""
    found = []
    for (claimed, _), base, array in zip(pairs, beside, of, strict=True):
        norm = float(np.vdot(array, array))
        found.append(float(np.vdot(array, claimed - base)) / norm if norm and array.size > 1 else np.nan)
        made = base + found[-1] * array
        if not close(claimed, made, float(np.abs(base).max() + np.abs(made - base).max()), MEASURED):
            return None
    return found if np.ptp(found) < 1e-4 * abs(found[0]) else None


def _multiple(pairs: list[Pair]) -> Named | None:
    found = _factors(pairs, [np.zeros(right.shape) for _, right in pairs], [right for _, right in pairs])
    if found is None:
        return None
    if abs(found[0] + 1) < 1e-4:
        return Named("sign", "the sign is wrong", "Does the loss grow or fall when this number grows a little?")
    words = f"every element is {found[0]:.5g} times the gradient"
    return Named("a constant factor", words, "What multiplies all of it?")


def _decay(pairs: list[Pair], inputs: list[np.ndarray]) -> Named | None:
    found = _factors(pairs, [right for _, right in pairs], inputs)
    if found is None or abs(found[0]) < 10 * MEASURED:
        return None
    more = found[0] > 0
    words = f"it is the gradient {'and' if more else 'without'} {abs(found[0]):.5g} times its own value"
    name = "weight decay added" if more else "weight decay too small or forgotten"
    return Named(name, words, "Which terms of the loss hold this array itself?")


def _unreached(pairs: list[Pair]) -> Named | None:
    """Every element that is wrong is 0."""
    for claimed, right in pairs:
        if not close(claimed, np.where(claimed == 0, 0, right), float(np.abs(right).max(initial=0.0)), MEASURED):
            return None
    missing = sum(int(((claimed == 0) & (np.abs(right) > 0)).sum()) for claimed, right in pairs)
    words = f"{missing} elements are 0 that should not be; the others are right"
    return Named("left at zero in places", words, "Which elements are 0, and which line should reach them?")
