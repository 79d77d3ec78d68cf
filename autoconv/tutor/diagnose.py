"""The search: which mistakes turn the true gradient into exactly what was claimed?

Every mistake of the bank is switched on at one place, then everywhere, then two at a time, and what the sweep then gives is
compared with the claim; a sign, a constant factor and single slips may come on top.  Work is counted in sweeps, not seconds, so
that the same claim always gets the same answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, permutations
from typing import Any, NamedTuple

import numpy as np

from ..tape import Tensor
from .fit import Fit, Tolerance, equal, fit, noisy, scale_of
from .mistakes import BANK, Mistake
from .replay import Study

SINGLES, MOST, LARGE = 6000, 6, 30_000


class Key(NamedTuple):
    """Where a mistake was switched on: its name, the way, and the place (position of the line on the tape, operand; -1: everywhere)."""

    name: str
    way: str
    position: int
    k: int | None


class Found(NamedTuple):
    """One explanation: the mistakes switched on, and how the claim fits what the sweep then gives."""

    keys: tuple[Key, ...]
    fit: Fit

    @property
    def cost(self) -> float:
        rank = sum(BANK[k.name].rank for k in self.keys if k.name in BANK)
        return len(self.keys) + self.fit.cost + 0.01 * rank + 0.001 * any(k.position >= 0 for k in self.keys)


class Search:
    """The candidates of one claim: ``studies`` are the runs at which it has values, ``claimed`` these values, flat."""

    def __init__(
        self, studies: list[Study], claimed: list[np.ndarray], places: np.ndarray, tolerance: Tolerance
    ) -> None:
        self.studies, self.claimed, self.places, self.tolerance = studies, claimed, places, tolerance
        self.blind: set[str] = set()  # mistakes that would not show in these numbers
        self.sweeps = 0
        self.weight = 1 + sum(line.size for line in studies[0].tape) // LARGE  # a large net has fewer sweeps to spend
        self.distinct: list[tuple[Key, Any]] = []
        self._plants: list[dict[Key, Any]] = [{} for _ in studies]

    def chosen(self, gradient: np.ndarray) -> np.ndarray:
        return np.asarray(gradient, dtype=float).ravel()[self.places]

    def truth(self, i: int = 0) -> np.ndarray:
        return self.chosen(self.studies[i].gradient)

    # ---- candidates

    def gradient(self, key: Key, i: int) -> np.ndarray | None:
        """The gradient in run ``i`` with the mistake ``key`` switched on, None if it does not apply there."""
        study = self.studies[i]
        self.sweeps += self.weight
        with np.errstate(all="ignore"):
            if key.position < 0:
                return study.with_rules(BANK[key.name].everywhere(study, key.way))
            if key not in self._plants[i]:
                for other, plant in self.plants(i, BANK[key.name]):
                    self._plants[i][other] = plant
            plant = self._plants[i].get(key)
            if plant is None:
                return None
            x = plant.line if plant.k is None else plant.line.operands[plant.k]
            return study.gradient + study.partial(x, plant.delta)

    def plants(self, i: int, mistake: Mistake) -> Iterator[tuple[Key, Any]]:
        study = self.studies[i]
        with np.errstate(all="ignore"):
            for plant in mistake.plants(study):
                yield Key(mistake.name, plant.way, study.position(plant.line), plant.k), plant

    def matches(self, key: Key) -> Fit | None:
        """How the claim fits the candidate in every run, or None."""
        made = self.gradient(key, 0)
        if made is None:
            return None
        first = self.chosen(made)
        if equal(first, self.truth(), self.tolerance):
            self.blind.add(key.name)
            return None
        self.distinct.append((key, first))
        found = fit(self.claimed[0], first, self.tolerance, first.size)
        if found is None or len(self.studies) == 1:
            return found
        rest = [self.gradient(key, i) for i in range(1, len(self.studies))]
        if any(g is None for g in rest):
            return None
        joined = np.concatenate([first, *[self.chosen(g) for g in rest if g is not None]])
        return fit(np.concatenate(self.claimed), joined, self.tolerance, first.size)

    # ---- the stages

    def plain(self) -> list[Found]:
        """The true gradient up to sign, factor, slips, or a rearrangement of its places."""
        joined = np.concatenate([self.truth(i) for i in range(len(self.studies))])
        claimed = np.concatenate(self.claimed)
        made = fit(claimed, joined, self.tolerance, self.places.size)
        found = [Found((), made)] if made else []
        if self.places.size == self.studies[0].gradient.size > 2:
            for way, move in arrangements(self.studies[0].gradient.shape):
                moved = [np.asarray(move(s.gradient), dtype=float).ravel()[self.places] for s in self.studies]
                if equal(moved[0], self.truth(), self.tolerance):
                    continue
                joined = np.concatenate(moved)
                if (other := fit(claimed, joined, self.tolerance, self.places.size)) and not other.slips:
                    found.append(Found((Key(REARRANGED, way, -1, None),), other))
        return found

    def singles(self) -> list[Found]:
        """One mistake at one place, then everywhere."""
        found: list[Found] = []
        for mistake in sorted(BANK.values(), key=lambda m: m.rank):
            if self.sweeps >= SINGLES:
                break
            ways: dict[str, int] = {}
            for key, plant in self.plants(0, mistake):
                if self.sweeps >= SINGLES:
                    break
                self._plants[0] = {key: plant}  # one at a time: on a large net each holds a large array
                ways[key.way] = ways.get(key.way, 0) + 1
                if made := self.matches(key):
                    found.append(Found((key,), made))
            for way, number in ways.items():
                key = Key(mistake.name, way, -1, None)
                if number > 1 and self.sweeps < SINGLES and (made := self.matches(key)):
                    found.append(Found((key,), made))
        return found if self.chance() < 0.05 else []

    def chance(self) -> float:
        """How many of the candidates would fit some array by accident: few elements with few digits prove nothing."""
        truth = np.concatenate([self.truth(i) for i in range(len(self.studies))])
        scale = scale_of(truth)
        if not scale:
            return 1.0
        share = np.minimum(1.0, self.tolerance.of(truth, scale) / scale)
        return float(4 * len(self.distinct) * np.prod(share[np.abs(truth) > 1e-3 * scale]))

    def measured(self) -> list[Found]:
        """The true gradient, times a constant, with noise."""
        joined = np.concatenate([self.truth(i) for i in range(len(self.studies))])
        made = noisy(np.concatenate(self.claimed), joined)
        return [Found((), made)] if made else []


REARRANGED = "right numbers in the wrong places"


def arrangements(shape: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    """Ways to put the numbers of an array of ``shape`` into other places: reversed axes, other orders of axes."""
    axes = [i for i, n in enumerate(shape) if n > 1]
    for count in range(1, len(axes) + 1):
        for chosen in combinations(axes, count):
            what = "rotating it by 180 degrees" if len(chosen) == 2 else f"reversing axis {', '.join(map(str, chosen))}"
            yield what, lambda g, a=chosen: np.flip(g, a)
    if len(shape) <= 4:
        for order in permutations(range(len(shape))):
            if order == tuple(range(len(shape))):
                continue
            if tuple(shape[i] for i in order) == shape:
                yield f"transposing it to axes {order}", lambda g, o=order: g.transpose(o)
            else:
                yield (
                    f"laying it out in the order of axes {order}",
                    lambda g, o=order: g.transpose(o).reshape(shape),
                )
                yield (
                    f"reading it in the order of axes {order}",
                    lambda g, o=order: g.reshape([shape[i] for i in o]).transpose(np.argsort(o)),
                )


def best(found: list[Found]) -> list[Found]:
    """The explanations that take the fewest mistakes, best first; one for each set of names."""
    if not found:
        return []
    if any(not f.keys and f.fit.factor == -1 for f in found):  # wrong everywhere is wrong at every single place
        found = [f for f in found if [k.name for k in f.keys] != ["sign"]]
    ordered = sorted(found, key=lambda f: f.cost)
    least = len(ordered[0].keys) + ordered[0].fit.cost
    made: dict[Any, Found] = {}
    for f in ordered:
        if len(f.keys) + f.fit.cost <= least + 0.6:
            made.setdefault((tuple(sorted({k.name for k in f.keys})), f.fit.slips), f)
    return list(made.values())[:MOST]


def line_at(study: Study, key: Key) -> Tensor | None:
    """The line of the user's tape at which a mistake was switched on (None: everywhere)."""
    return study.tape[key.position] if key.position >= 0 else None


__all__ = ["REARRANGED", "Found", "Key", "Search", "best", "line_at", "scale_of"]
