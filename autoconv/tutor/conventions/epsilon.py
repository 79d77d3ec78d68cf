"""Another eps: a backward pass that is right for the same normalisation with another small number under the root."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from ... import primitives as p
from ...tape import Tape, Tensor
from ..claim.compare import Tolerance, equal
from ..run.forms import Standardised
from ..run.replay import Change, Run

LARGE = 100_000  # elements on a tape beyond which no other eps is tried
ROUND = [m * 10.0**-e for e in range(1, 13) for m in (1.0, 5.0, 2.0)]
COMMON = [1e-5, 1e-8, 1e-6, 1e-7, 1e-3, 1e-12, 1e-10, 1e-4, 1e-2, 0.0]
HALVINGS = 60


class Asked(Protocol):
    """What is asked about: a tape, one of its lines, and which elements of that line's gradient in a run."""

    @property
    def tape(self) -> Tape: ...

    @property
    def line(self) -> Tensor: ...

    def chosen(self, run: Run) -> Any: ...


def epsilon_of(run: Run) -> float | None:
    """The eps of the first normalisation in a run, or None without one."""
    if not any(_roots(line) for line in run.tape):
        return None
    run = Run(run.tape, None, {line: run.of(line).value for line in run.tape.inputs})  # gamma's path has no norm on it
    return next((call.form.eps for call in run.calls if isinstance(call.form, Standardised)), None)


def with_epsilon(case: Asked, run: Run, eps: float, recorded: float) -> Run:
    """The run with ``eps`` in place of the ``recorded`` one under every root of a normalisation."""
    inputs = {line: run.of(line).value for line in case.tape.inputs}
    return Run(case.tape, case.line, inputs, _replaced(case.tape, eps, recorded))


def moved_roots(case: Asked, run: Run, other: Run) -> float:
    """How far another eps moves the roots of a run: the largest change, as a share of the smaller root."""
    pairs = [(run.of(line).value, other.of(line).value) for line in case.tape if _roots(line)]
    pairs = [(np.asarray(a), np.asarray(b)) for a, b in pairs]
    with np.errstate(all="ignore"):
        return max(float(np.max(np.maximum(a / b, b / a) - 1, initial=0.0)) for a, b in pairs)


def _replaced(tape: Tape, eps: float, recorded: float) -> Change:
    """A change of the constant that is added to a variance before its root is taken."""
    under = {id(line.operands[0]) for line in tape if line.primitive is not None and _roots(line)}

    def change(line: Tensor, operands: list[Tensor]) -> Tensor | None:
        if id(line) not in under or line.primitive is None or line.primitive.name != "add":
            return None
        small = [k for k, x in enumerate(operands) if x.constant]
        if len(small) != 1:
            return None
        k = small[0]
        value = operands[k].value * (eps / recorded) if recorded else np.full(operands[k].shape, eps)
        constant = Tensor(np.asarray(value, dtype=float), constant=True)
        pair = [constant, operands[1]] if k == 0 else [operands[0], constant]
        return p.add(*pair)

    return change


def _roots(line: Tensor) -> bool:
    if line.primitive is None:
        return False
    halves = line.primitive.name == "power" and line.operands[1].constant and line.operands[1].size == 1
    return line.primitive.name == "sqrt" or (halves and abs(float(line.operands[1].value.reshape(()))) == 0.5)


def other_epsilon(case: Asked, runs: list[Run], claimed: list[np.ndarray], tolerance: Tolerance) -> float | None:
    """The eps for which the claim is the gradient in all runs: round ones first, then one that is searched for."""
    recorded = epsilon_of(runs[0])
    if recorded is None or sum(line.size for line in case.tape) > LARGE:
        return None
    gradient = lambda eps, i=0: case.chosen(with_epsilon(case, runs[i], eps, recorded))
    truth = case.chosen(runs[0])
    zero = gradient(1e-14)
    wide = np.array([truth, zero, gradient(1e-3), gradient(1.0)])
    low, high = wide.min(axis=0), wide.max(axis=0)
    spread = 0.5 * (high - low) + np.asarray(tolerance.of(truth, float(np.abs(truth).max(initial=0.0))))
    if not ((claimed[0] >= low - spread) & (claimed[0] <= high + spread)).mean() > 0.6:
        return None
    for eps in dict.fromkeys([*COMMON[:-1], *ROUND, *_between(gradient, claimed[0], truth)]):
        if all(equal(c, gradient(eps, i), tolerance) for i, c in enumerate(claimed)):
            moved = gradient(eps)
            return eps if not equal(moved, truth, tolerance) else None
    return None


def _between(gradient: Callable[..., np.ndarray], claim: np.ndarray, truth: np.ndarray) -> Iterator[float]:
    """The eps at which the element that is furthest off is as claimed, by halving between round ones."""
    at = int(np.argmax(np.abs(claim - truth)))
    powers = [10.0**-e for e in range(14, -1, -1)]
    gaps = [float(gradient(eps)[at] - claim[at]) for eps in powers]
    for i in range(len(powers) - 1):
        if gaps[i] * gaps[i + 1] < 0:
            small, great = powers[i], powers[i + 1]
            for _ in range(HALVINGS):
                middle = float(np.sqrt(small * great))
                small, great = (middle, great) if (gradient(middle)[at] - claim[at]) * gaps[i] > 0 else (small, middle)
            yield float(f"{small:.6g}")
            yield small


def common_epsilons(recorded: float) -> list[float]:
    """Those that people use, without the one that is recorded."""
    return [eps for eps in COMMON[:-1] if abs(eps - recorded) > 1e-3 * recorded]
