"""Two mistakes at once, without a sweep for every pair.

For mistakes at single places, the first one (nearer to the loss) is swept, and every second one below it is put to the probes:
only the pairs that pass are swept in full.  Mistakes made everywhere are few, and each pair of them is swept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import numpy as np

from ..backward import steps
from .bank import RuleMistake, tabled
from .diagnose import Found, Key, Search
from .fit import Fit, equal, fit
from .mistakes import BANK

FIRST, TRIES, TOGETHER = 80, 12_000, 200
COMMON = 1  # the rank up to which a mistake is taken for one of two

Wrong = Callable[[Any], Any]


def pairs(search: Search) -> list[Found]:
    """Two mistakes, each at a single place or each everywhere, that together give the claim exactly, up to its sign."""
    if search.places.size < 2 or search.places.size < search.studies[0].gradient.size:
        return []
    with np.errstate(all="ignore"):
        return [*_everywhere(search), *_apart(search)]


def _apart(search: Search) -> Iterator[Found]:
    """The first mistake nearer to the loss, the second anywhere below it."""
    study, probes = search.studies[0], search.probes
    ways = _ways(search)
    tries = 0.0
    for first, base in _firsts(search):
        rules = search.planted(first).rules()
        walked = list(steps(study.loss, [study.wrt], np.ones(study.loss.shape), rules=rules))
        result = next((s.cotangent for s in walked if s.line is study.wrt), None)
        for step in walked:
            for k, right, *_ in step.contributions:
                x = step.line.operands[k]
                for key, wrong in ways.get((id(step.line), k), ()):
                    if key.name == first.name or key.position == first.position or tries > TRIES:
                        continue
                    tries += 1 + (search.weight - 1) / 2
                    made = wrong(step.cotangent)
                    if result is None or np.shape(made) != np.shape(right):
                        continue
                    delta = made - right
                    if not probes.exact(base, x, delta):
                        continue
                    whole = search.chosen(result + study.partial(x, delta))
                    if fitted := _exact(search, whole, search.chosen(result)):
                        yield Found((first, key), fitted, len({first, key} & search.hidden))


def _everywhere(search: Search) -> Iterator[Found]:
    study = search.studies[0]
    keys = [k for k in search.groups if BANK[k.name].rank <= COMMON and isinstance(BANK[k.name], RuleMistake)]
    tables = [(key, BANK[key.name].table(study, key.way, search.among(key))) for key in keys]  # type: ignore[attr-defined]
    tried = 0
    for (first, above), (second, below) in combinations(tables, 2):
        if first.name == second.name or not above.keys().isdisjoint(below):
            continue
        tried += 1
        if tried > TOGETHER or search.spent():
            return
        whole = search.chosen(study.with_rules(tabled(above | below)))
        if fitted := _exact(search, whole, search.truth()):
            alone = [search.chosen(study.with_rules(tabled(t))) for t in (above, below)]
            if not any(equal(whole, other, search.tolerance) for other in alone):
                yield Found((first, second), fitted)


def _exact(search: Search, whole: np.ndarray, without: np.ndarray) -> Fit | None:
    """How the claim fits both mistakes together, if it fits up to its sign and the second one shows."""
    if equal(whole, without, search.tolerance) or equal(whole, search.truth(), search.tolerance):
        return None
    fitted = fit(search.claimed[0], whole, search.tolerance, whole.size)
    return fitted if fitted and not fitted.slips and abs(abs(fitted.factor) - 1) < 1e-9 else None


def _firsts(search: Search) -> list[tuple[Key, np.ndarray]]:
    """The single mistakes that lead to different gradients, the commonest first, with what they give along the probes."""

    def order(pair: tuple[Key, np.ndarray]) -> tuple[int, int]:
        return BANK[pair[0].name].rank + 2 * (pair[0] in search.hidden), pair[0].position

    kept: list[tuple[Key, np.ndarray]] = []
    seen: set[bytes] = set()
    for key, got in sorted(search.distinct, key=order):
        mark = np.round(got / (np.abs(got).max() + 1e-300), 9).tobytes()
        if np.isfinite(got).all() and mark not in seen:
            seen.add(mark)
            kept.append((key, got))
    return kept[:FIRST]


def _ways(search: Search) -> dict[tuple[int, int], list[tuple[Key, Wrong]]]:
    """The wrong rules of each place, by line and operand."""
    study = search.studies[0]
    made: dict[tuple[int, int], list[tuple[Key, Wrong]]] = {}
    for mistake in BANK.values():
        if not isinstance(mistake, RuleMistake) or mistake.rank > COMMON:
            continue
        for step in study.steps:
            for k, *_ in step.contributions:
                for way, wrong in mistake.ways(study.place(step.line, k)).items():
                    key = Key(mistake.name, way, study.position(step.line), k)
                    made.setdefault((id(step.line), k), []).append((key, wrong))
    return made
