"""The search: which mistakes turn the true gradient into exactly what was claimed?

Every mistake of the bank is switched on at one place, at all places of one kind, everywhere, and then two at a time, and what the
sweep then gives is compared with the claim; a sign, a constant factor and single slips may come on top.  Probes pass over what
cannot fit.  Work is counted in sweeps, not seconds, so that the same claim always gets the same answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import combinations, permutations
from math import comb
from typing import Any, NamedTuple

import numpy as np

from ..tape import Tensor
from .bank import Among, CallMistake, Plant, RuleMistake
from .fit import Fit, Tolerance, equal, fit, noisy, scale_of
from .mistakes import BANK, Mistake
from .probes import Probes
from .replay import Study

SINGLES, MOST, LARGE = 6000, 6, 30_000
_EVERYWHERE = -1


class Key(NamedTuple):
    """Where a mistake was switched on: its name, the way, and the place (position of the line on the tape, operand).

    position -1: at every place, or at those lines that are a ``kind`` (a row or a call); k -1: at every operand of the line.
    """

    name: str
    way: str
    position: int
    k: int | None
    kind: str = ""


class Found(NamedTuple):
    """One explanation: the mistakes switched on, and how the claim fits what the sweep then gives."""

    keys: tuple[Key, ...]
    fit: Fit
    hidden: int = 0  # how many of them lie inside an operation that a reader takes as one step

    @property
    def cost(self) -> float:
        rank = sum(BANK[k.name].rank if k.name in BANK else 1.5 for k in self.keys)
        places = 0.001 * any(k.position >= 0 for k in self.keys)
        return len(self.keys) + self.fit.cost + 0.01 * rank + places + 0.02 * self.hidden


class Search:
    """The candidates of one claim: ``studies`` are the runs at which it has values, ``claimed`` these values, flat."""

    def __init__(
        self, studies: list[Study], claimed: list[np.ndarray], places: np.ndarray, tolerance: Tolerance
    ) -> None:
        self.studies, self.claimed, self.places, self.tolerance = studies, claimed, places, tolerance
        self.blind: set[str] = set()  # mistakes that would not show in these numbers
        self.sweeps = 0.0
        self.weight = 1 + sum(line.size for line in studies[0].tape) // LARGE  # a large net has fewer sweeps to spend
        self.distinct: list[tuple[Key, np.ndarray]] = []  # with what each gives along the probes
        self.hidden: set[Key] = set()  # mistakes inside an operation that a reader takes as one step
        self.groups: list[Key] = []  # the mistakes made at more than one place
        self._plants: dict[tuple[int, str], dict[Key, Plant]] = {}

    @cached_property
    def probes(self) -> Probes:
        return Probes(self.studies[0], self.claimed[0], self.places, self.tolerance)

    def chosen(self, gradient: np.ndarray) -> np.ndarray:
        return np.asarray(gradient, dtype=float).ravel()[self.places]

    def truth(self, i: int = 0) -> np.ndarray:
        return self.chosen(self.studies[i].gradient)

    def spent(self, sweeps: float = 1.0) -> bool:
        """Count work; whether the search has done all it may."""
        self.sweeps += sweeps * self.weight
        return self.sweeps >= SINGLES

    # ---- candidates

    def gradient(self, key: Key, i: int) -> np.ndarray | None:
        """The gradient in run ``i`` with the mistake ``key`` switched on, None if it does not apply there."""
        study, mistake = self.studies[i], BANK[key.name]
        with np.errstate(all="ignore"):
            if key.position < 0 or key.k == _EVERYWHERE:
                return study.with_rules(mistake.everywhere(study, key.way, self.among(key, i)))
            plant = self.planted(key, i)
            return None if plant is None else study.gradient + study.partial(plant.x, plant.delta)

    def planted(self, key: Key, i: int = 0) -> Any:
        """The Plant of ``key`` in run ``i``, or None."""
        if (i, key.name) not in self._plants:
            if self.weight > 1:
                self._plants.clear()  # on a large net each holds a large array
            self._plants[i, key.name] = dict(self.plants(i, BANK[key.name]))
        return self._plants[i, key.name].get(key)

    def among(self, key: Key, i: int = 0) -> Among | None:
        """The lines of run ``i`` at which ``key`` is switched on (None: all)."""
        study = self.studies[i]
        if key.k == _EVERYWHERE:
            return lambda line: study.position(line) == key.position
        if not key.kind:
            return None
        if isinstance(BANK[key.name], CallMistake):
            ends = {id(c.readers[-1][0]) for c in study.calls if c.name == key.kind}
            return lambda line: id(line) in ends
        return lambda line: line.primitive is not None and line.primitive.name == key.kind

    def plants(self, i: int, mistake: Mistake) -> Iterator[tuple[Key, Plant]]:
        study = self.studies[i]
        with np.errstate(all="ignore"):
            for plant in mistake.plants(study):
                k = plant.k if plant.call is None else study.position(plant.call.x)
                yield Key(mistake.name, plant.way, study.position(plant.place), k), plant

    def sieved(self, key: Key, plant: Plant) -> Fit | None:
        """How the claim fits a mistake made once, or None; a sweep is run only if the probes let it through."""
        got = self.probes.base + self.probes.moved(plant.x, plant.delta)
        if self.probes.unchanged(got):
            self.blind.add(key.name)
            return None
        self.distinct.append((key, got))
        if not self.probes.fits(got) or self.spent():
            return None
        self._plants[0, key.name] = {key: plant}
        made = self.matches(key)
        self._plants.pop((0, key.name), None)  # a search at another input may have cleared it
        return made

    def matches(self, key: Key) -> Fit | None:
        """How the claim fits the candidate in every run, or None."""
        made = self.gradient(key, 0)
        if made is None:
            return None
        first = self.chosen(made)
        if equal(first, self.truth(), self.tolerance):
            return None
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
        """One mistake at one place, at a whole line, at all lines of a kind, everywhere."""
        found: list[Found] = []
        wrong = not equal(self.claimed[0], self.truth(), self.tolerance)
        closed = [call.members for call in self.studies[0].calls if call.closed]
        for mistake in sorted(BANK.values(), key=lambda m: m.rank):
            planted: list[tuple[Key, Plant, int]] = []
            for key, plant in self.plants(0, mistake):
                if self.spent(0.1):
                    break
                hidden = int(plant.call is None and any(id(plant.line) in members for members in closed))
                self.hidden |= {key} if hidden else set()
                if made := self.sieved(key, plant):
                    found.append(Found((key,), made, hidden))
                planted.append((key, plant._replace(delta=None), hidden))
            if not wrong:
                continue
            for key, hidden in several(planted):
                if self.spent():
                    break
                self.groups.append(key)
                if made := self.matches(key):
                    found.append(Found((key,), made, hidden))
        return [f for f in found if self.chance(f.fit) < 0.05]

    def chance(self, fitted: Fit) -> float:
        """How many of the candidates would fit some array in this way by accident: few elements with few digits prove nothing.

        A factor is a choice that makes one element fit, a slip one that leaves an element out.
        """
        truth = np.concatenate([self.truth(i) for i in range(len(self.studies))])
        truth = (
            truth if truth.any() else np.concatenate(self.claimed)
        )  # where no path is open, what was claimed says how large
        scale = scale_of(truth)
        if not scale:
            return 1.0
        share = np.minimum(1.0, self.tolerance.of(truth, scale) / scale)[np.abs(truth) > 1e-3 * scale]
        free = len(fitted.slips) + (abs(fitted.factor) not in (1.0, 2.0, 0.5))
        choices = comb(self.places.size, len(fitted.slips))
        return float(4 * len(self.distinct) * choices * np.prod(np.sort(share)[free:]))

    def measured(self) -> list[Found]:
        """The true gradient, times a constant, with noise."""
        joined = np.concatenate([self.truth(i) for i in range(len(self.studies))])
        made = noisy(np.concatenate(self.claimed), joined)
        return [Found((), made)] if made else []


REARRANGED = "right numbers in the wrong places"


def several(planted: list[tuple[Key, Plant, int]]) -> Iterator[tuple[Key, int]]:
    """The ways to make a mistake at more than one place: at all operands of a line, at all lines of a kind, everywhere.

    Which of these are the same places as another is not asked twice.
    """
    ways: dict[str, list[tuple[Key, Plant, int]]] = {}
    for row in planted:
        ways.setdefault(row[0].way, []).append(row)
    for rows in ways.values():
        groups: dict[Key, list[tuple[Key, int]]] = {}
        for key, plant, hidden in rows:
            names = [Key(key.name, key.way, _EVERYWHERE, None)]
            if plant.kind:
                names.append(Key(key.name, key.way, _EVERYWHERE, None, plant.kind))
            if isinstance(plant.mistake, RuleMistake):
                names.append(Key(key.name, key.way, key.position, _EVERYWHERE))
            for name in names:
                groups.setdefault(name, []).append((key, hidden))
        seen: set[frozenset[Key]] = set()
        for name, members in groups.items():
            places = frozenset(key for key, _ in members)
            if len(members) > 1 and places not in seen:
                seen.add(places)
                yield name, int(all(hidden for _, hidden in members))


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
