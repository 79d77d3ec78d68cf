"""Claims that come from finite differences: recognised by repeating them, or by the grain of the rounding they are made of.

Nobody is accused because of a difference quotient: if the claim *is* one, the checker is at fault.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..tape import Tape, Tensor
from .fit import Tolerance, scale_of
from .replay import double, replay

STEPS = [1.0, 0.5, 0.25, 0.1, 0.05, *[m * 10.0**-e for e in range(2, 17) for m in (1, 5)]]
PROBED, WHOLE = 5, 400  # elements tried at first, and compared in the end
LARGE = 1_000_000  # elements on a tape beyond which the loss is not run hundreds of times
KINDS = {"central": (1, -1), "forward": (1, 0), "backward": (0, -1)}


class Difference(NamedTuple):
    """A finite difference that gives the claim: which, with which step, in which precision, and what is wrong with it."""

    kind: str
    step: float
    precision: str
    why: str


class Losses:
    """The loss as a function of one element of ``wrt``."""

    def __init__(self, tape: Tape, wrt: Tensor) -> None:
        self.tape, self.wrt, self.known = tape, wrt, dict[tuple[int, float], float]()
        self.origin = double(wrt.value).astype(float)

    def at(self, flat: int, change: float) -> float:
        """The loss with element number ``flat`` changed."""
        if (flat, change) not in self.known:
            moved = self.origin.copy()
            moved.flat[flat] += change
            run = replay(self.tape, {self.wrt: moved})
            self.known[flat, change] = float(run[id(self.tape.outputs[0])].value.reshape(()))
        return self.known[flat, change]

    def quotient(self, flat: int, kind: str, step: float) -> float:
        high, low = KINDS[kind]
        return (self.at(flat, high * step) - self.at(flat, low * step)) / ((high - low) * step)


def recognise(
    tape: Tape, wrt: Tensor, claim: np.ndarray, truth: np.ndarray, places: np.ndarray, tolerance: Tolerance
) -> Difference | None:
    """The finite difference behind ``claim`` (flat, at elements ``places``), if it is one and differs from the gradient."""
    if not claim.size:
        return None
    losses = Losses(tape, wrt)
    off = np.abs(claim - truth)
    if off.max() > 2 * scale_of(truth) + 2 * scale_of(claim) or not np.isfinite(losses.at(0, 0.0)):
        return None
    worst = float(off.max())
    probed = [int(i) for i in np.argsort(-off)[:PROBED]]
    small = sum(line.size for line in tape) <= LARGE
    for kind in KINDS if small else ():
        for step in STEPS:
            if all(_repeats(losses, claim, places, i, kind, step, tolerance, worst) for i in probed):
                spread = np.linspace(0, claim.size - 1, min(claim.size, WHOLE)).astype(int)
                if all(_repeats(losses, claim, places, int(i), kind, step, tolerance, worst) for i in spread):
                    return Difference(kind, step, "float64", _reason(losses, places[probed[0]], step))
    return _integers(losses, claim) or _grain(losses, claim, truth)


def _repeats(
    losses: Losses,
    claim: np.ndarray,
    places: np.ndarray,
    i: int,
    kind: str,
    step: float,
    tolerance: Tolerance,
    off: float,
) -> bool:
    """Whether this difference quotient gives the claim, much closer than the ``off`` that it is to explain."""
    made = losses.quotient(int(places[i]), kind, step)
    noise = 8 * np.finfo(float).eps * max(abs(losses.at(0, 0.0)), 1e-30) / step
    if noise > 0.02 * off:
        return False  # too much rounding to tell: the grain decides
    return bool(abs(made - claim[i]) <= tolerance.relative * max(abs(made), 1e-12) + tolerance.absolute + noise)


def _reason(losses: Losses, flat: int, step: float) -> str:
    small = 1e-6 * max(1.0, abs(float(losses.origin.flat[flat])))
    near = (losses.quotient(flat, "forward", small), losses.quotient(flat, "backward", small))
    if abs(near[0] - near[1]) > 1e-3 * max(abs(near[0]), abs(near[1]), 1e-12):
        return "there is a kink or a tie at this point: the slopes to the left and to the right differ"
    far = [losses.quotient(flat, kind, step) for kind in ("forward", "backward")]
    half = [losses.quotient(flat, kind, step / 2) for kind in ("forward", "backward")]
    bends = [abs(a - b) for a, b in (far, half)]
    if bends[0] and abs(bends[1] / bends[0] - 0.5) > 0.15:
        return "a kink (a relu or a maximum) lies within the step: the difference goes across it"
    return f"the step {step:g} is so large that the curvature of the loss shows"


def _integers(losses: Losses, claim: np.ndarray) -> Difference | None:
    """All zeros, where the input holds whole numbers: a small step on an integer array is cut off to nothing."""
    whole = np.array_equal(losses.origin, np.round(losses.origin))
    if claim.any() or not whole:
        return None
    return Difference(
        "any",
        0.0,
        "integers",
        "the input holds whole numbers: in an integer array a small step is cut off, and nothing moves",
    )


def _grain(losses: Losses, claim: np.ndarray, truth: np.ndarray) -> Difference | None:
    """Rounding noise: with the right step all claimed numbers times it are whole multiples of the loss's last digit."""
    if claim.size < 4 or not np.any(claim) or np.linalg.norm(claim - truth) > 3 * np.linalg.norm(truth):
        return None
    loss = losses.at(0, 0.0)
    for name, kind in (("float32", np.float32), ("float64", np.float64)):
        grain = float(np.spacing(kind(abs(loss) or 1e-30)))
        for step in STEPS:
            for taps, sides in (("forward", 1), ("central", 2)):
                counts = claim * step * sides / grain
                largest = np.abs(counts).max()
                if not 0.9 < largest < 2e4:
                    continue
                quarters = counts * 4  # near a power of two the neighbours may have half or a quarter of the grain
                if (np.abs(quarters - np.round(quarters)) < 0.02).all() and np.abs(
                    claim - truth
                ).max() * step < 8 * grain:
                    why = f"with a step of {step:g} the differences are a few units of {name}'s last digit: rounding, not slope"
                    return Difference(taps, step, name, why)
    return None
