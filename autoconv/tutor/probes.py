"""Probes: whether a mistake could lead to a claim, asked for little more than an inner product.

The sweep below a mistake is linear: a change delta of the cotangent of line x moves u . gradient by delta . t(x), where
t(x) = dx/dw . u is the tangent of x along u.  With the tangents along a few directions u, found once, a mistake that cannot
explain the claim is passed over without a sweep, and only those that may are swept in full.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backward import pull, steps
from ..tape import Tensor
from .fit import SIGNIFICANT, Tolerance, scale_of
from .replay import Study

DENSE, SINGLE = 3, 6  # directions over all elements, and over one element each
_PLAIN = (1.0, -1.0, 2.0, -2.0, 0.5, -0.5)
_ROUNDING = 1e-11  # what is left where a change cancels the true gradient
SLACK = 20  # a probe is a sieve: it may let through, but must not hold back


def tangents(study: Study, direction: np.ndarray) -> dict[int, np.ndarray]:
    """dx/dw . direction for every line x of the sweep, by id: the vjp of each rule's vjp (a rule is linear in its cotangent)."""
    found = {id(study.wrt): np.asarray(direction, dtype=float)}
    for step in reversed(study.steps):
        line, total = step.line, None
        for k, *_ in step.contributions:
            moved = found.get(id(line.operands[k]))
            if moved is None:
                continue
            g = Tensor(np.zeros(line.shape))
            (contribution,) = pull(line, g, (k,), True)
            if contribution is g:
                part = moved
            else:
                parts = [s.cotangent for s in steps(contribution, [g], moved) if s.line is g]
                part = parts[0] if parts else np.zeros(line.shape)
            total = part if total is None else total + part
        if total is not None and line is not study.wrt:
            found[id(line)] = total
    return found


class Probes:
    """Directions in the space of the gradient, and what a claim (or any wrong sweep) gives along them.

    places: the elements that were claimed.  The first ``DENSE`` directions tell any two gradients apart; the others are single
    elements, mostly such at which the claim is wrong: there a mistake has to explain it, a slip elsewhere may stay.
    """

    def __init__(self, study: Study, claim: np.ndarray, places: np.ndarray, tolerance: Tolerance) -> None:
        self.study, self.tolerance = study, tolerance
        rng = np.random.default_rng(1)
        truth = np.asarray(study.gradient, dtype=float).ravel()[places]
        off = np.flatnonzero(np.abs(claim - truth) > tolerance.of(truth, scale_of(truth)))
        telling = off[np.abs(claim[off]) > SIGNIFICANT * scale_of(claim)]
        others = [rng.permutation(part) for part in (telling, off, places.size)]
        order = list(dict.fromkeys(np.concatenate(others)))[:SINGLE]
        rows = [rng.normal(size=places.size) for _ in range(DENSE)]
        rows += [np.eye(1, places.size, int(i)).ravel() for i in order]
        self.rows = np.array(rows)
        self.aims = self.rows @ claim
        self.base = self.rows @ truth
        self._tangents = []
        for row in rows:
            direction = np.zeros(study.gradient.size)
            direction[places] = row
            self._tangents.append(tangents(study, direction.reshape(study.gradient.shape)))
        self._truth = scale_of(truth)
        self._size = np.maximum(np.abs(self.aims), max(scale_of(claim), tolerance.zero))
        self._absolute = tolerance.absolute * np.abs(self.rows).sum(axis=1)

    def moved(self, x: Tensor, delta: Any) -> np.ndarray:
        """What a change of the cotangent of x adds along each direction."""
        return np.array([np.vdot(delta, t[id(x)]) if id(x) in t else 0.0 for t in self._tangents])

    def unchanged(self, got: np.ndarray) -> bool:
        """Whether a wrong sweep gives what the true one gives."""
        limit = 0.1 * self.tolerance.relative * self._truth + _ROUNDING * np.abs(self.base)
        return bool((np.abs(got - self.base) <= limit)[:DENSE].all())

    def fits(self, got: np.ndarray) -> bool:
        """Whether a wrong sweep may be the claim, up to a sign, a factor and slips."""
        if not np.isfinite(got).all():
            return False
        a, b = self.aims[DENSE:], got[DENSE:]
        limit = self._limits(got)[DENSE:]
        telling = np.abs(b) > SIGNIFICANT * max(scale_of(b), 1e-300)
        free = a[telling] / b[telling] if len(b) > 1 else ()
        least = min(3, len(b))
        return any((np.abs(a - f * b) <= limit * max(1.0, abs(f))).sum() >= least for f in (*_PLAIN, *free))

    def exact(self, base: np.ndarray, x: Tensor, delta: Any) -> bool:
        """Whether a change of the cotangent of x, on top of what gives ``base``, may lead to the claim, up to its sign."""
        signs = [1.0, -1.0]
        for i, t in enumerate(self._tangents):
            if id(x) not in t:
                return False
            got = float(base[i] + np.vdot(delta, t[id(x)]))
            limit = SLACK * (self.tolerance.relative * max(abs(got), self._size[i]) + self._absolute[i])
            limit += _ROUNDING * (abs(base[i]) + abs(got - base[i]))
            signs = [sign for sign in signs if abs(self.aims[i] - sign * got) <= limit]
            if not signs:
                return False
        return True

    def _limits(self, got: np.ndarray) -> np.ndarray:
        """How far a probe of the claim may be from one of a candidate."""
        size = np.maximum(np.abs(got), self._size)
        rounding = _ROUNDING * (np.abs(self.base) + np.abs(got - self.base))
        return SLACK * (self.tolerance.relative * size + self._absolute) + rounding
