"""What arrives at a line on the way is not what should arrive there: ``fed``, one step further in.

    claimed = the gradient's own rules, fed at one line of the forward with change(cotangent of that line)

Someone who writes a backward pass step by step keeps an array for each step, and reorders, sums, reverses or bends one
of them.  The lines before and after it are right, so that this is one change of one array at every geometry.
"""

from __future__ import annotations

import numpy as np

from ..tape import Tensor
from ..tutor.claim.compare import Tolerance
from ..tutor.run.replay import Run
from ..tutor.search.probes import Probes
from .fed import HINTS, Change, telling, turned
from .relations import Evidence, Named
from .terms import line_at, row_of
from .truth import close

Array = np.ndarray
LINES, LARGE = 30, 2_000  # lines that are looked at, elements beyond which a line is not
_ONE = np.ones(1)


def inside(gradient: str, seen: list[Evidence]) -> Named | None:
    """The change of what arrives at one line after which the right rules give the claim, at every geometry without a
    kink."""
    plain = [e for e in seen if not e.truth.case.kink]
    wrong = sorted((e for e in plain if not e.right), key=telling)
    if len(plain) < 2 or not wrong or sum(e.claimed.size for e in wrong) < 6:
        return None
    first = wrong[0]
    run = first.truth.runs[gradient]
    claimed = first.claimed.astype(float).ravel()
    probes = Probes(run, claimed, np.arange(claimed.size), Tolerance(1e-4 if first.claimed.itemsize < 8 else 1e-6))
    for line in _lines(run):
        arrives = run.cotangent[id(line)]
        for change in turned(arrives):
            if not probes.exact(probes.base, line, change.made - arrives, _ONE):
                continue
            position = run.position(line)
            if all(_holds(e, gradient, position, change) for e in [first, *[o for o in plain if o is not first]]):
                whose = f"what arrives at {row_of(run, position)} (line {position})"
                return Named(change.name, f"it is the gradient for {change.says.format(a=whose)}", HINTS[change.name])
    return None


def _lines(run: Run) -> list[Tensor]:
    inner = [s.line for s in run.steps if s.line is not run.wrt and s.line is not run.loss]
    return [x for x in inner if 1 < x.size <= LARGE and x.ndim][:LINES]


def _holds(e: Evidence, gradient: str, position: int, change: Change) -> bool:
    run = e.truth.runs[gradient]
    line = line_at(run, position)
    if line is None or id(line) not in run.cotangent:
        return e.right
    arrives = run.cotangent[id(line)]
    same = next((c for c in turned(arrives, every=True) if c.says == change.says), None)
    if same is None:
        return e.right
    found = run.gradient + run.partial(line, same.made - arrives)
    return bool(np.isfinite(found).all()) and close(e.claimed, found, float(np.abs(found).max(initial=0.0)))
