"""Probes: whether a mutation could lead to a claim, for little more than an inner product.

A sweep is linear in its cotangents.  If a mutation changes the cotangent of line x by delta, then the gradient g of w
changes by (dx/dw)^T delta, and along a direction u by

    u . (change of g) = delta . t(x)        with the tangent t(x) = (dx/dw) u

The tangents along a few directions are found once, by one forward sweep each.  After that a mutation that cannot
explain the claim is passed over for the price of one inner product a direction, and only those that may are swept to
the end.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...backward import pull, steps
from ...tape import Tensor
from ..claim.compare import SIGNIFICANT, Tolerance, scale_of
from ..run.replay import Run

DENSE, SINGLE = 3, 6  # directions over all elements, and over one element each
_PLAIN = (1.0, -1.0, 2.0, -2.0, 0.5, -0.5)
_ROUNDING = 1e-11  # what is left where a change cancels the true gradient
SLACK = 20  # a probe is a sieve: it may let through, but must not hold back


def tangents(run: Run, direction: np.ndarray) -> dict[int, np.ndarray]:
    """(dx/dw) direction for every line x of the sweep, by id: rules are linear in g, so it is the vjp of their vjp."""
    tangent = {id(run.wrt): np.asarray(direction, dtype=float)}
    for step in reversed(run.steps):
        line, total = step.line, None
        for k, *_ in step.contributions:
            moved = tangent.get(id(line.operands[k]))
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
        if total is not None and line is not run.wrt:
            tangent[id(line)] = total
    return tangent


class Probes:
    """Directions in the space of the gradient, and what a claim (or the gradient of any wrong sweep) gives along them.

    claim: flat, its elements at ``places`` of the gradient.  rows: the directions, (directions, elements); aims: the
    claim along them, base: the true gradient along them.  The first ``DENSE`` directions are random and tell any two
    gradients apart; the others are single elements, mostly such at which the claim is wrong: a mutation has to explain
    those, a slip elsewhere may stay.
    """

    def __init__(self, run: Run, claim: np.ndarray, places: np.ndarray, tolerance: Tolerance) -> None:
        self.run, self.tolerance = run, tolerance
        rng = np.random.default_rng(1)
        truth = np.asarray(run.gradient, dtype=float).ravel()[places]
        off = np.flatnonzero(np.abs(claim - truth) > tolerance.of(truth, scale_of(truth)))
        telling = off[np.abs(claim[off]) > SIGNIFICANT * scale_of(claim)]
        others = [rng.permutation(part) for part in (telling, off, places.size)]
        order = list(dict.fromkeys(np.concatenate(others)))[:SINGLE]
        rows = [rng.normal(size=places.size) for _ in range(DENSE)]
        rows += [np.eye(1, places.size, int(i)).ravel() for i in order]
        self.rows = np.array(rows)
        self.aims = self.rows @ claim
        self.base = self.rows @ truth
        found = []
        for row in rows:
            direction = np.zeros(run.gradient.size)
            direction[places] = row
            found.append(tangents(run, direction.reshape(run.gradient.shape)))
        # by id of a line its tangents, a row for each direction: one product with a change gives all inner products
        self.tangents = {i: np.array([np.ravel(t[i]) for t in found]) for i in found[0]}
        self._truth = scale_of(truth)
        self._size = np.maximum(np.abs(self.aims), max(scale_of(claim), tolerance.zero))
        self._absolute = (tolerance.absolute * np.abs(self.rows)).sum(axis=1)

    def moved(self, x: Tensor, delta: Any) -> np.ndarray:
        """What a change ``delta`` of the cotangent of x adds along each direction."""
        t = self.tangents.get(id(x))
        return np.zeros(len(self.rows)) if t is None else np.einsum("ij,j", t, np.ravel(delta))

    def unchanged(self, got: np.ndarray) -> bool:
        """Whether a wrong sweep gives what the true one gives: ``got`` is what it gives along the directions."""
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

    def exact(self, base: np.ndarray, x: Tensor, delta: Any, factors: np.ndarray) -> bool:
        """Whether a change of the cotangent of x, on top of ``base``, may lead to the claim, times one of ``factors``
        or its negative."""
        if id(x) not in self.tangents:
            return False
        flat, signed = np.ravel(delta), np.concatenate([factors, -factors])
        for i, tangent in enumerate(self.tangents[id(x)]):
            got = float(base[i] + np.einsum("i,i", tangent, flat))  # one thread: BLAS waits for its others
            limit = SLACK * (self.tolerance.relative * max(abs(got), self._size[i]) + self._absolute[i])
            limit += _ROUNDING * (abs(base[i]) + abs(got - base[i]))
            signed = signed[np.abs(self.aims[i] - signed * got) <= limit * np.maximum(1.0, np.abs(signed))]
            if not len(signed):
                return False
        return True

    def _limits(self, got: np.ndarray) -> np.ndarray:
        """How far the claim may be from a wrong sweep along each direction."""
        size = np.maximum(np.abs(got), self._size)
        rounding = _ROUNDING * (np.abs(self.base) + np.abs(got - self.base))
        return SLACK * (self.tolerance.relative * size + self._absolute) + rounding
