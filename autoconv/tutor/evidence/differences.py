"""Claims that come from finite differences: recognised by repeating them, or by the grain of their rounding.

Nobody is accused because of a difference quotient: if the claim *is* one, the checker is at fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ...tape import Tape, Tensor
from ..claim.compare import Tolerance, scale_of
from ..run.replay import double, replay

STEPS = [1.0, 0.5, 0.25, 0.1, 0.05, *[m * 10.0**-e for e in range(2, 17) for m in (1, 5)]]
SEARCHED = [
    *[2.0 ** (-e / 4) for e in range(-4, 20)],
    *[2.0**-e for e in range(5, 24)],
]  # between two of these the step is searched for by halving
PROBED, WHOLE = 5, 400  # elements tried at first, and compared in the end
SOUGHT, HALVINGS = 3, 50  # elements for which a step is searched, and how closely
LARGE, SMALL = 1_000_000, 100_000  # elements on a tape up to which the loss is run hundreds, thousands of times
KINDS = {"central": (1, -1), "forward": (1, 0), "backward": (0, -1)}
PRECISIONS = {"float64": 2.0**-52, "float32": 2.0**-23}  # the distance from 1 to the next number


class FiniteDifference(NamedTuple):
    """A finite difference that gives the claim: its kind ("": any), step (0: any), precision, and ``why`` it is off."""

    kind: str
    step: float
    precision: str
    why: str

    @property
    def text(self) -> str:
        """The difference in words."""
        about = "" if self.kind else "about "
        step = f" with step {about}{self.step:.3g}" if self.step else ""
        return f"{self.kind} finite differences{step} ({self.precision})".lstrip()


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
        """(L(w + h) - L(w - h)) / 2h, or one side of it."""
        high, low = KINDS[kind]
        return (self.at(flat, high * step) - self.at(flat, low * step)) / ((high - low) * step)


def recognise(
    tape: Tape, wrt: Tensor, claim: np.ndarray, truth: np.ndarray, places: np.ndarray, tolerance: Tolerance
) -> FiniteDifference | None:
    """The finite difference behind ``claim`` (flat, at elements ``places``), if it is one and off the gradient."""
    if not claim.size:
        return None
    losses = Losses(tape, wrt)
    off = np.abs(claim - truth)
    if off.max() > 2 * scale_of(truth) + 2 * scale_of(claim) or not np.isfinite(losses.at(0, 0.0)):
        return None
    if sum(line.size for line in tape) <= LARGE:
        probed = [int(i) for i in np.argsort(-off, kind="stable")[:PROBED]]
        spread = [int(i) for i in np.linspace(0, claim.size - 1, min(claim.size, WHOLE)).astype(int)]
        for kind, step, precision, searched in _candidates(losses, claim, places, probed[:SOUGHT]):
            test = _Repeats(losses, claim, places, kind, step, PRECISIONS[precision], tolerance, float(off.max()))
            if all(test(i) for i in probed) and all(test(i) for i in spread) and not test.accident(spread, searched):
                return _named(losses, test, places[probed[0]], kind, step, precision, probed)
    return _grain(losses, claim, truth)


def _candidates(
    losses: Losses, claim: np.ndarray, places: np.ndarray, worst: list[int]
) -> Iterator[tuple[str, float, str, bool]]:
    """Steps people use, and then (the last item is True) those at which one of the worst elements is as claimed."""
    for precision in PRECISIONS:
        for kind in KINDS:
            for step in STEPS:
                yield kind, step, precision, False
    if claim.size < 3 or sum(line.size for line in losses.tape) > SMALL:
        return
    for i in worst:
        for kind in KINDS:
            for step in _solutions(losses, int(places[i]), float(claim[i]), kind):
                for precision in PRECISIONS:
                    yield kind, float(f"{step:.3g}"), precision, True
                    yield kind, step, precision, True


def _solutions(losses: Losses, flat: int, wanted: float, kind: str) -> Iterator[float]:
    """Steps at which the quotient of one element is ``wanted``."""
    gaps = [losses.quotient(flat, kind, step) - wanted for step in SEARCHED]
    for at, before in enumerate(gaps[:-1]):
        wide, narrow = SEARCHED[at], SEARCHED[at + 1]
        if before * gaps[at + 1] < 0:
            for _ in range(HALVINGS):
                middle = (wide + narrow) / 2
                gap = losses.quotient(flat, kind, middle) - wanted
                wide, narrow = (middle, narrow) if gap * before > 0 else (wide, middle)
            yield narrow


class _Repeats:
    """Whether a difference quotient gives element i of the claim, much closer than the error ``off`` to explain."""

    def __init__(
        self,
        losses: Losses,
        claim: np.ndarray,
        places: np.ndarray,
        kind: str,
        step: float,
        eps: float,
        tolerance: Tolerance,
        off: float,
    ) -> None:
        self.losses, self.claim, self.places, self.kind, self.step = losses, claim, places, kind, step
        self.tolerance = tolerance
        self.noise = 8 * eps * max(abs(losses.at(0, 0.0)), 1e-30) / step
        self.told = self.noise <= 0.02 * off  # otherwise too much is rounding, and the grain decides

    def __call__(self, i: int) -> bool:
        if not self.told:
            return False
        quotient = self.losses.quotient(int(self.places[i]), self.kind, self.step)
        return bool(abs(quotient - self.claim[i]) <= self.near(quotient))

    def near(self, quotient: float) -> float:
        """How close is close enough."""
        return self.tolerance.relative * max(abs(quotient), 1e-12) + self.tolerance.largest + self.noise

    def accident(self, elements: list[int], searched: bool) -> bool:
        """Whether some step of those tried might fit any numbers: few elements with few digits prove nothing."""
        scale = scale_of(self.claim)
        shares = sorted(min(1.0, 2 * self.near(float(self.claim[i])) / scale) for i in set(elements)) if scale else []
        proof = shares[1:] if searched else shares  # one element was spent on the step
        return 500 * float(np.prod(proof)) > 1e-2 if proof else True


def _named(
    losses: Losses, test: _Repeats, flat: int, kind: str, step: float, precision: str, probed: list[int]
) -> FiniteDifference:
    """The difference with its reason; a step that makes no difference is not named."""
    test.step = step / 8
    any_step = all(test(i) for i in probed)
    return FiniteDifference(kind, 0.0 if any_step else step, precision, _reason(losses, int(flat), step))


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
    return f"the step {step:.3g} is so large that the curvature of the loss shows"


def _grain(losses: Losses, claim: np.ndarray, truth: np.ndarray) -> FiniteDifference | None:
    """Rounding noise: with the right step all claimed numbers times it are whole multiples of the loss's last digit.

    By accident that happens to few different numbers at most: each has a small chance, and all steps are tried.
    """
    if claim.size < 4 or not np.any(claim) or np.linalg.norm(claim - truth) > 3 * np.linalg.norm(truth):
        return None
    loss = losses.at(0, 0.0)
    different = np.unique(np.abs(claim[claim != 0]))
    for parts in (1, 4):  # the neighbours of a power of two have a finer grain
        for name, kind in (("float32", np.float32), ("float64", np.float64)):
            if not float(np.finfo(kind).tiny) < abs(loss) < float(np.finfo(kind).max):
                continue
            grain = float(np.spacing(kind(abs(loss))))
            for step in sorted(STEPS):  # ten times the step would fit as well
                if np.abs(claim - truth).max() * step < 64 * grain and _whole(parts * different * step / grain, name):
                    units = f"a few units of {name}'s last digit"
                    why = f"with so small a step the differences are {units}: rounding, not slope"
                    return FiniteDifference("", 10.0 ** round(np.log10(step)), name, why)
    return None


def _whole(counts: np.ndarray, precision: str) -> bool:
    """Whether these are whole numbers, or halves for steps to both sides, and that by no accident."""
    counts = 2 * counts
    if not 1.8 < counts.max() < 0.01 / PRECISIONS[precision]:
        return False
    near = np.maximum(1e-9, 4 * PRECISIONS[precision] * counts)
    accident = 300 * float(np.prod(np.minimum(1.0, 2 * near)))
    return accident < 1e-3 and bool((np.abs(counts - np.round(counts)) <= near).all())
