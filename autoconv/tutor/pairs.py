"""Two mistakes at once, without a sweep for every pair.

The rest of the sweep after the second mistake is linear: what a change delta at line x does to u . gradient is delta . t(x), with
t(x) = dx/dw . u the tangent of x along u.  With a few random directions u every pair costs two inner products, and only the
pairs that pass are swept in full.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backward import pull, steps
from ..tape import Tensor
from .diagnose import Found, Key, Search
from .fit import equal, fit
from .mistakes import BANK
from .replay import Study

DIRECTIONS, FIRST, TRIES = 3, 80, 12_000


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


def pairs(search: Search) -> list[Found]:
    """Two mistakes at two places: the first nearer to the loss, the second anywhere below it."""
    study = search.studies[0]
    if search.places.size < 2 or search.places.size < study.gradient.size:
        return []
    rng = np.random.default_rng(1)
    probes = [rng.normal(size=study.gradient.shape) for _ in range(DIRECTIONS)]
    moved = [tangents(study, u) for u in probes]
    claim = search.claimed[0]
    aims = np.array([claim @ u.ravel() for u in probes])
    ways = _ways(search)
    tries, found = 0, list[Found]()
    for first, result in _distinct(search):
        rules = _rules(study, first)
        walked = list(steps(study.loss, [study.wrt], np.ones(study.loss.shape), rules=rules))
        base = np.array([float(result @ u.ravel()) for u in probes])
        for step in walked:
            for k, *_ in step.contributions:
                x = step.line.operands[k]
                for key, wrong in ways.get((id(step.line), k), ()):
                    if key.name == first.name or key.position == first.position or tries > TRIES:
                        continue
                    tries += 1
                    made = wrong(step.cotangent)
                    right = study.place(step.line, k).right(step.cotangent)
                    if np.shape(made) != np.shape(right):
                        continue
                    delta = made - right
                    got = base + np.array([float(np.vdot(delta, t[id(x)])) for t in moved])
                    if not _proportional(aims, got):
                        continue
                    whole = result + study.partial(x, delta).ravel()
                    if equal(whole, result, search.tolerance) or equal(whole, search.truth(), search.tolerance):
                        continue
                    fitted = fit(claim, whole, search.tolerance, whole.size)
                    if fitted and not fitted.slips and abs(abs(fitted.factor) - 1) < 1e-9:
                        found.append(Found((first, key), fitted))
    return found


def _distinct(search: Search) -> list[tuple[Key, Any]]:
    """The single mistakes that lead to different gradients, the commonest first."""
    kept: list[tuple[Key, Any]] = []
    seen: set[bytes] = set()
    for key, result in sorted(search.distinct, key=lambda pair: (BANK[pair[0].name].rank, pair[0].position)):
        mark = np.round(result / (np.abs(result).max() + 1e-300), 9).tobytes()
        if key.position >= 0 and np.isfinite(result).all() and mark not in seen:
            seen.add(mark)
            kept.append((key, result))
    return kept[:FIRST]


def _ways(search: Search) -> dict[tuple[int, int], list[tuple[Key, Any]]]:
    """The wrong rules of each place, by line and operand."""
    study = search.studies[0]
    made: dict[tuple[int, int], list[tuple[Key, Any]]] = {}
    for mistake in BANK.values():
        ways_of = getattr(mistake, "ways", None)
        if ways_of is None or mistake.rank > 1:
            continue
        for step in study.steps:
            for k, *_ in step.contributions:
                if type(mistake).__name__ != "RuleMistake":
                    continue
                for way, wrong in ways_of(study.place(step.line, k)).items():
                    key = Key(mistake.name, way, study.position(step.line), k)
                    made.setdefault((id(step.line), k), []).append((key, wrong))
    return made


def _rules(study: Study, key: Key) -> Any:
    for plant in BANK[key.name].plants(study):
        if (plant.way, study.position(plant.line), plant.k) == (key.way, key.position, key.k):
            return plant.rules()
    return None


def _proportional(aims: np.ndarray, got: np.ndarray) -> bool:
    """Whether the probes agree, up to a sign."""
    scale = max(float(np.abs(got).max()), float(np.abs(aims).max()), 1e-300)
    return bool((np.abs(aims - got) <= 1e-4 * scale).all() or (np.abs(aims + got) <= 1e-4 * scale).all())
