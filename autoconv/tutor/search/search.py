"""The search: which mistakes turn the true gradient into exactly what was claimed?

A mistake of the bank is a mutation of the sweep: one rule, or one sum, is another.  The search makes a mutation, runs
the sweep with it, and compares the gradient that comes out with the claim, element by element; a sign, a constant
factor and a few slips in single elements may come on top.  It does so in stages, from few mistakes to more:

    plain      no mistake: the true gradient up to a sign, a factor, slips, or in another order of its elements
    singles    one mistake: at one site, at all operands of one line, at all lines of one kind, everywhere
    pairs      two mistakes, each at one site, or each everywhere
    measured   no mistake: the true gradient with noise

A sweep for each mutation would be too slow.  ``Probes`` tell for little more than an inner product which mutations
cannot lead to the claim, and only the others are swept.  Work is counted in sweeps and not in seconds, so that a claim
always gets the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import cached_property
from itertools import combinations, islice, permutations
from math import comb
from typing import Any, NamedTuple

import numpy as np

from ...backward import steps
from ...tape import Tensor
from ..bank import BANK, Mistake
from ..bank.mistake import Among, CallMistake, Injection, RuleMistake, tabled
from ..claim.compare import Match, Tolerance, compare, equal, noisy, ruled_out, scale_of
from ..run.replay import Run
from .probes import DENSE, Probes

SWEEPS = 6000  # that one search may run
SAMPLE = 1000  # elements by which most other orders of a gradient are ruled out
MOST = 6  # explanations that are told
SCALARS = 1_000  # lines of one number each beyond which a tape is neither run again nor searched
SEARCHED = 2_000_000  # elements on a tape beyond which it is not searched: about 100 bytes each would be held
LARGE = 30_000  # elements on a tape for which a sweep counts once more
REARRANGED = "right numbers in the wrong places"
CANCELLING = ("upstream gradient forgotten", "product of sums")  # after them a softmax or a norm lets nothing through
_ALL = -1  # as a position: every line; as an operand: every operand of the line

# of pairs: first mistakes, second ones put to the probes, pairs made everywhere
FIRST, TRIES, TOGETHER = 150, 25_000, 200
COMMON = 1  # the rank up to which a mistake is taken for one of two
WAYS = 4  # variants of one mistake at one site that are taken for one of two
ALONE = {  # mistakes that are not taken for one of two
    "loop left too early", "a pass of a loop left out", "the neighbour's gradient",
    "an earlier value instead of the factor", "an index left at its first value", "another function of a factor",
}  # fmt: skip

Wrong = Callable[[Any], Any]  # from the cotangent of a line to the wrong contribution to one operand


class Mutation(NamedTuple):
    """A mistake of the bank and where it is made; the same in every run of a tape.

    name, variant: the mistake, and which of its variants.  position, k: the line, by its position on the user's tape,
    and its operand; of a mistake in a whole call the call's last line, and the position of its input.  position -1: at
    every line, or at those of a ``kind`` (the name of a row or of a call); k -1: at every operand of the line.
    """

    name: str
    variant: str
    position: int
    k: int | None
    kind: str = ""


class Diagnosis(NamedTuple):
    """One explanation of a claim: the mutations made, and how the claim matches the gradient they lead to.

    hidden: how many of them lie inside a call that a reader takes as one step, so that they are less likely to be
    meant.
    """

    mutations: tuple[Mutation, ...]
    match: Match
    hidden: int = 0

    @property
    def cost(self) -> float:
        """How unlikely it is: the number of mistakes; then how rare they are and how special their sites."""
        rank = sum(BANK[m.name].rank if m.name in BANK else 1.5 for m in self.mutations)
        at_one_line = 0.001 * any(m.position >= 0 for m in self.mutations)
        return len(self.mutations) + self.match.cost + 0.01 * rank + at_one_line + 0.02 * self.hidden


class Search:
    """The search for one claim.

    runs: those at which the claim has values, claimed: these values, flat, of the elements ``places`` of the gradient.
    slips: whether single elements may be off (never in what a function or a formula computes).
    What it finds on its way: invisible, the names of mistakes that change nothing in these numbers; distinct, the
    mutations at single sites that do, with what each gives along the probes; groups, those made at more than one site;
    hidden, those inside a call that a reader takes as one step.
    """

    def __init__(
        self,
        runs: list[Run],
        claimed: list[np.ndarray],
        places: np.ndarray,
        tolerance: Tolerance,
        slips: bool = True,
    ) -> None:
        self.runs, self.claimed, self.places, self.tolerance, self.slips = runs, claimed, places, tolerance, slips
        self.weight = 1 + sum(line.size for line in runs[0].tape) // LARGE  # a large net has fewer sweeps to spend
        self.sweeps = 0.0
        self.invisible: set[str] = set()
        self.distinct: list[tuple[Mutation, np.ndarray]] = []
        self.groups: dict[Mutation, np.ndarray] = {}
        self.hidden: set[Mutation] = set()
        self._injections: dict[tuple[int, str], dict[Mutation, Injection]] = {}

    @cached_property
    def probes(self) -> Probes:
        return Probes(self.runs[0], self.claimed[0], self.places, self.tolerance)

    @cached_property
    def factors(self) -> np.ndarray:
        """The factors that may come on top of a mistake: 1, 2, and the numbers of examples, positions, ..; and 1/n."""
        counts = np.array([1.0, 2.0, *self.runs[0].counts])
        return np.unique([*counts, *1 / counts])

    def plain_factor(self, factor: float) -> bool:
        """Whether a factor on top of a mistake is one of ``factors``, up to its sign; any other proves nothing."""
        return bool(np.isclose(self.factors, abs(factor), rtol=1e-6, atol=0).any())

    def chosen(self, gradient: np.ndarray) -> np.ndarray:
        """The elements of a gradient that were claimed, flat."""
        return np.asarray(gradient, dtype=float).ravel()[self.places]

    def truth(self, i: int = 0) -> np.ndarray:
        """The true values of what was claimed in run ``i``."""
        return self.chosen(self.runs[i].gradient)

    def spent(self, sweeps: float = 1.0) -> bool:
        """Count work; whether the search has done all it may."""
        self.sweeps += sweeps * self.weight
        return self.sweeps >= SWEEPS

    # ---- one mutation

    def gradient(self, mutation: Mutation, i: int) -> np.ndarray | None:
        """The gradient that a mutation leads to in run ``i``; None if it cannot be made there."""
        run, mistake = self.runs[i], BANK[mutation.name]
        with np.errstate(all="ignore"):
            if mutation.position < 0 or mutation.k == _ALL:
                return run.with_rules(mistake.everywhere(run, mutation.variant, self.among(mutation, i)))
            injection = self.injection(mutation, i)
            return None if injection is None else run.gradient + run.partial(injection.x, injection.delta)

    def injection(self, mutation: Mutation, i: int = 0) -> Any:
        """What a mutation at one site does in run ``i`` (an Injection), or None."""
        if (i, mutation.name) not in self._injections:
            if self.weight > 1:
                self._injections.clear()  # on a large net each holds a large array
            self._injections[i, mutation.name] = dict(self.injections(i, BANK[mutation.name]))
        return self._injections[i, mutation.name].get(mutation)

    def injections(self, i: int, mistake: Mistake) -> Iterator[tuple[Mutation, Injection]]:
        """A mistake at every single site of run ``i`` where it can be made."""
        run = self.runs[i]
        with np.errstate(all="ignore"):
            for injection in mistake.injections(run):
                k = injection.k if injection.call is None else run.position(injection.call.x)
                yield Mutation(mistake.name, injection.variant, run.position(injection.shown_at), k), injection

    def among(self, mutation: Mutation, i: int = 0) -> Among | None:
        """Which lines of run ``i`` a mutation at more than one site means (None: all)."""
        run = self.runs[i]
        if mutation.k == _ALL:
            return lambda line: run.position(line) == mutation.position
        if not mutation.kind:
            return None
        if isinstance(BANK[mutation.name], CallMistake):
            ends = {id(c.readers[-1][0]) for c in run.calls if c.name == mutation.kind}
            return lambda line: id(line) in ends
        return lambda line: line.primitive is not None and line.primitive.name == mutation.kind

    def through_probes(self, mutation: Mutation, injection: Injection) -> Match | None:
        """How the claim matches a mutation at one site, or None; a sweep is run only if the probes let it through."""
        along = self.probes.base + self.probes.moved(injection.x, injection.delta)
        if self.probes.unchanged(along):
            self.invisible.add(mutation.name)
            return None
        self.distinct.append((mutation, along))
        if not self.probes.fits(along) or self.spent():
            return None
        self._injections[0, mutation.name] = {mutation: injection}
        match = self.match(mutation)
        self._injections.pop((0, mutation.name), None)  # a search at another input may have cleared it
        return match

    def match(self, mutation: Mutation) -> Match | None:
        """How the claim matches the gradient that a mutation leads to in every run; None if it does not."""
        gradient = self.gradient(mutation, 0)
        if gradient is None:
            return None
        first = self.chosen(gradient)
        if mutation.position < 0 or mutation.k == _ALL:
            with np.errstate(all="ignore"):
                self.groups[mutation] = self.probes.rows @ first
        if equal(first, self.truth(), self.tolerance):
            return None
        match = compare(self.claimed[0], first, self.tolerance, first.size, self.slips)
        if match is None or len(self.runs) == 1:
            return match
        rest = [self.gradient(mutation, i) for i in range(1, len(self.runs))]
        if any(g is None for g in rest):
            return None
        joined = np.concatenate([first, *[self.chosen(g) for g in rest if g is not None]])
        return compare(np.concatenate(self.claimed), joined, self.tolerance, first.size, self.slips)

    # ---- the stages

    def plain(self) -> list[Diagnosis]:
        """The true gradient up to a sign, a factor and slips, or with its elements in another order."""
        joined = np.concatenate([self.truth(i) for i in range(len(self.runs))])
        claimed = np.concatenate(self.claimed)
        match = compare(claimed, joined, self.tolerance, self.places.size, self.slips)
        diagnoses = [Diagnosis((), match)] if match else []
        if self.places.size == self.runs[0].gradient.size > 2:
            some, scale = self.places[:: self.places.size // SAMPLE + 1], scale_of(self.truth())
            for order, move in arrangements(self.runs[0].gradient.shape):
                arranged = np.asarray(move(self.runs[0].gradient))
                sample = np.asarray(arranged[np.unravel_index(some, arranged.shape)], dtype=float)
                if ruled_out(self.claimed[0][:: self.places.size // SAMPLE + 1], sample, self.tolerance, scale):
                    continue
                moved = [np.asarray(move(run.gradient), dtype=float).ravel()[self.places] for run in self.runs]
                if equal(moved[0], self.truth(), self.tolerance):
                    continue
                match = compare(claimed, np.concatenate(moved), self.tolerance, self.places.size, False)
                if match and not match.slips:
                    diagnoses.append(Diagnosis((Mutation(REARRANGED, order, _ALL, None),), match))
        return diagnoses

    def singles(self, only: Collection[str] | None = None) -> list[Diagnosis]:
        """One mistake: at one site, at all operands of one line, at all lines of one kind, everywhere.

        A claim that is right is only put to the probes, to see which mistakes (of ``only`` those) would be invisible.
        """
        diagnoses: list[Diagnosis] = []
        wrong = not equal(self.claimed[0], self.truth(), self.tolerance)
        one_step = self.runs[0].one_step
        for mistake in sorted(BANK.values(), key=lambda m: m.rank):
            if only is not None and mistake.name not in only:
                continue
            made: list[tuple[Mutation, Injection, int]] = []
            for mutation, injection in self.injections(0, mistake):
                if self.spent(0.1):
                    break
                hidden = int(injection.call is None and id(injection.line) in one_step)
                self.hidden |= {mutation} if hidden else set()
                if match := self.through_probes(mutation, injection):
                    diagnoses.append(Diagnosis((mutation,), match, hidden))
                made.append((mutation, injection._replace(delta=None), hidden))
            if not wrong:
                continue
            for mutation, hidden in groups_of(made):
                if self.spent():
                    break
                self.hidden |= {mutation} if hidden else set()
                if match := self.match(mutation):
                    diagnoses.append(Diagnosis((mutation,), match, hidden))
        return [d for d in diagnoses if self.plain_factor(d.match.factor) and self.chance(d.match) < 0.05]

    def near(self, share: float) -> list[Mutation]:
        """The mutations of ``singles`` that lead to within this share of the claim, at the elements that are probes."""
        made = [*self.distinct, *self.groups.items()]
        if not made or not len(self.probes.rows[DENSE:]):
            return [mutation for mutation, _ in made]
        led = np.array([along[DENSE:] for _, along in made])
        factors = (*self.factors, *-self.factors)
        with np.errstate(all="ignore"):
            off = [np.abs(self.probes.aims[DENSE:] - factor * led).max(axis=1) for factor in factors]
        close = np.min(off, axis=0) <= share * scale_of(self.claimed[0])
        return [mutation for (mutation, _), fits in zip(made, close, strict=True) if fits]

    def these(self, before: Search, mutations: list[Mutation]) -> list[Diagnosis]:
        """Those ``mutations`` of a search ``before``, in another run of its tape, that lead to the claim."""
        diagnoses: list[Diagnosis] = []
        for mutation in mutations:
            if self.spent():
                break
            if match := self.match(mutation):
                diagnoses.append(Diagnosis((mutation,), match, int(mutation in before.hidden)))
        return [d for d in diagnoses if self.plain_factor(d.match.factor) and before.chance(d.match) < 0.05]

    def cancelling(self, names: Collection[str]) -> list[Diagnosis]:
        """Single mistakes of ``names`` after which nothing arrives: all terms cancel."""
        found = []
        for name in names:
            made = [(m, i._replace(delta=None), int(m in self.hidden)) for m, i in self.injections(0, BANK[name])]
            for mutation, hidden in [*[(m, hidden) for m, _, hidden in made], *groups_of(made)]:
                gradient = None if self.spent() else self.gradient(mutation, 0)
                if gradient is not None and scale_of(self.chosen(gradient)) <= 1e-9 * scale_of(self.truth()):
                    found.append(Diagnosis((mutation,), Match(), hidden))
        return sorted(found, key=lambda d: d.cost)

    def chance(self, match: Match) -> float:
        """How many of the mutations tried would match a random array: few elements with few digits prove nothing.

            mutations * (ways to choose the slips) * product over elements of the share of numbers that count as equal

        where a slip leaves an element out of the product, and a free factor one more, for it is chosen to make that one
        agree.  Of a claim in whole numbers, where a factor is taken on top of a mistake, as many count as equal as
        small ones fall on each other.
        """
        truth = np.concatenate([self.truth(i) for i in range(len(self.runs))])
        if not truth.any():  # no gradient arrives: only the claim says how large numbers are here
            truth = np.concatenate(self.claimed)
        scale = scale_of(truth)
        if not scale:
            return 1.0
        least = self.whole_numbers() if match.factor != 1 else 0.0
        share = np.clip(self.tolerance.of(truth, scale) / scale, least, 1.0)[np.abs(truth) > 1e-3 * scale]
        free = len(match.slips) + (abs(match.factor) not in (1.0, 2.0, 0.5))
        choices = float(comb(self.places.size, len(match.slips)))
        with np.errstate(all="ignore"):
            return float(4 * len(self.distinct) * choices * np.prod(np.sort(share)[free:]))

    def whole_numbers(self) -> float:
        """The share of whole numbers up to the claim's largest that are equal: 1 / (2 * largest + 1); 0 for others."""
        claimed = np.concatenate(self.claimed)
        whole = np.array_equal(claimed, np.rint(claimed))
        return 1 / (2 * float(np.abs(claimed).max(initial=0.0)) + 1) if whole else 0.0

    def accidental(self) -> bool:
        """Whether two mistakes together are bound to be found for a claim of this kind: few small whole numbers.

        pairs of mutations * product over elements of the share of numbers that are equal
        """
        return 2 * len(self.distinct) ** 2 * self.whole_numbers() ** self.claimed[0].size > 0.05

    def measured(self) -> list[Diagnosis]:
        """The true gradient, times a constant, with noise."""
        joined = np.concatenate([self.truth(i) for i in range(len(self.runs))])
        match = noisy(np.concatenate(self.claimed), joined)
        return [Diagnosis((), match)] if match else []


def best(diagnoses: list[Diagnosis]) -> list[Diagnosis]:
    """The explanations that take the fewest mistakes, best first; one for each set of names."""
    if not diagnoses:
        return []
    if any(not d.mutations and d.match.factor == -1 for d in diagnoses):
        # a sign that is wrong everywhere is also a sign that is wrong at any one site on the way
        diagnoses = [d for d in diagnoses if [m.name for m in d.mutations] != ["sign"]]
    ordered = sorted(diagnoses, key=lambda d: d.cost)
    least = len(ordered[0].mutations) + ordered[0].match.cost
    by_names: dict[Any, Diagnosis] = {}
    for d in ordered:
        if len(d.mutations) + d.match.cost <= least + 0.6:
            by_names.setdefault((tuple(sorted({m.name for m in d.mutations})), d.match.slips), d)
    return list(by_names.values())[:MOST]


def groups_of(made: list[tuple[Mutation, Injection, int]]) -> Iterator[tuple[Mutation, int]]:
    """(mutation at more than one site, whether hidden): at all operands of a line, all lines of a kind, everywhere.

    made: the mutations at single sites of one mistake, each with whether it is hidden.  A group that has the same sites
    as one before it is left out.
    """
    by_variant: dict[str, list[tuple[Mutation, Injection, int]]] = {}
    for row in made:
        by_variant.setdefault(row[0].variant, []).append(row)
    for rows in by_variant.values():
        groups: dict[Mutation, list[tuple[Mutation, int]]] = {}
        for mutation, injection, hidden in rows:
            of = [Mutation(mutation.name, mutation.variant, _ALL, None)]
            if injection.kind:
                of.append(Mutation(mutation.name, mutation.variant, _ALL, None, injection.kind))
            if isinstance(injection.mistake, RuleMistake):
                of.append(Mutation(mutation.name, mutation.variant, mutation.position, _ALL))
            for group in of:
                groups.setdefault(group, []).append((mutation, hidden))
        seen: set[frozenset[Mutation]] = set()
        for group, members in groups.items():
            sites = frozenset(mutation for mutation, _ in members)
            if len(members) > 1 and sites not in seen:
                seen.add(sites)
                yield group, int(any(hidden for _, hidden in members))


def arrangements(shape: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    """(in words, function): ways to put an array's elements in another order: axes reversed, axes exchanged."""
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


# ---- two mistakes at once, without a sweep for every pair


def pairs(search: Search) -> list[Diagnosis]:
    """Two mistakes, each at a single site or each everywhere, that together give the claim exactly, up to its sign.

    At single sites the first one (nearer to the loss) is swept, every second one below it is put to the probes, and
    only the pairs that pass are swept to the end.  Mistakes made everywhere are few, and each pair of them is swept.
    """
    if search.places.size < 2 or search.places.size < search.runs[0].gradient.size:
        return []
    with np.errstate(all="ignore"):
        return [*_pairs_everywhere(search), *_pairs_of_sites(search)]


def _pairs_of_sites(search: Search) -> Iterator[Diagnosis]:
    """The first mistake nearer to the loss, the second below it, in the sweep that the first has already changed."""
    run, probes = search.runs[0], search.probes
    below = _wrong_rules(search)
    tries = 0.0
    for first, along in _firsts(search):
        injection = search.injection(first)
        swept = list(steps(run.loss, [run.wrt], run.seed, rules=injection.rules(run.pull)))
        above = _readers(run, injection.line)
        gradient = next((s.cotangent for s in swept if s.line is run.wrt), None)
        for step in swept:
            if id(step.line) in above:
                continue
            for k, right, *_ in step.contributions:
                x = step.line.operands[k]
                for second, wrong in below.get((id(step.line), k), ()):
                    if second.name == first.name or second.position == first.position or tries > TRIES:
                        continue
                    tries += 2 * search.weight - 1
                    contribution = wrong(step.cotangent)
                    if gradient is None or np.shape(contribution) != np.shape(right):
                        continue
                    delta = contribution - right
                    if not probes.exact(along, x, delta, search.factors):
                        continue
                    both = search.chosen(gradient + run.partial(x, delta))
                    if match := _exact(search, both, search.chosen(gradient)):
                        yield Diagnosis((first, second), match, len({first, second} & search.hidden))


def _readers(run: Run, line: Tensor) -> set[int]:
    """By id the lines that depend on a line, and itself: a mistake at one of these is nearer to the loss."""
    above = {id(line)}
    for step in reversed(run.steps):
        if any(id(x) in above for x in step.line.operands):
            above.add(id(step.line))
    return above


def _pairs_everywhere(search: Search) -> Iterator[Diagnosis]:
    """Two mistakes in different rules, each made at all sites of its group."""
    run = search.runs[0]
    tables = []
    for mutation in search.groups:
        mistake = BANK[mutation.name]
        if isinstance(mistake, RuleMistake) and mistake.rank <= COMMON:
            tables.append((mutation, mistake.table(run, mutation.variant, search.among(mutation))))
    tried = 0
    for (first, one), (second, other) in combinations(tables, 2):
        if first.name == second.name or not one.keys().isdisjoint(other):
            continue
        tried += 1
        if tried > TOGETHER or search.spent():
            return
        both = search.chosen(run.with_rules(tabled(one | other, run)))
        if match := _exact(search, both, search.truth()):
            singly = [search.chosen(run.with_rules(tabled(table, run))) for table in (one, other)]
            if not any(equal(both, gradient, search.tolerance) for gradient in singly):
                yield Diagnosis((first, second), match)


def _exact(search: Search, both: np.ndarray, first: np.ndarray) -> Match | None:
    """How the claim matches two mistakes together, up to its sign; None if the ``first`` alone gives the same."""
    if equal(both, first, search.tolerance) or equal(both, search.truth(), search.tolerance):
        return None
    match = compare(search.claimed[0], both, search.tolerance, both.size, False)
    return match if match and not match.slips and search.plain_factor(match.factor) else None


def _firsts(search: Search) -> list[tuple[Mutation, np.ndarray]]:
    """The mutations at single sites that lead to different gradients, commonest first, with their probes."""

    def order(pair: tuple[Mutation, np.ndarray]) -> tuple[int, int]:
        return max(BANK[pair[0].name].rank, 1) + 2 * (pair[0] in search.hidden), pair[0].position

    kept: list[tuple[Mutation, np.ndarray]] = []
    seen: set[bytes] = set()
    ways: dict[tuple[str, int, int | None], int] = {}
    for mutation, along in sorted(search.distinct, key=order):
        mark = np.round(along / (np.abs(along).max() + 1e-300), 9).tobytes()
        way = (mutation.name, mutation.position, mutation.k)
        if mutation.name in ALONE or ways.get(way, 0) >= WAYS:
            continue
        if np.isfinite(along).all() and mark not in seen:
            ways[way] = ways.get(way, 0) + 1
            seen.add(mark)
            kept.append((mutation, along))
    return kept[: FIRST if search.weight == 1 else max(15, 3 * FIRST // search.weight)]


def _wrong_rules(search: Search) -> dict[tuple[int, int], list[tuple[Mutation, Wrong]]]:
    """The wrong rules of each site, by line and operand."""
    run = search.runs[0]
    rules: dict[tuple[int, int], list[tuple[Mutation, Wrong]]] = {}
    for mistake in BANK.values():
        if not isinstance(mistake, RuleMistake) or mistake.rank > COMMON or mistake.name in ALONE:
            continue
        for step in run.steps:
            for k, *_ in step.contributions:
                for variant, wrong in islice(mistake.variants(run.site(step.line, k)).items(), WAYS):
                    mutation = Mutation(mistake.name, variant, run.position(step.line), k)
                    rules.setdefault((id(step.line), k), []).append((mutation, wrong))
    return rules
