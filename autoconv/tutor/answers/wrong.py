"""A claim that differs from the gradient: by which mistakes, or only by a convention, or by the way it was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..bank import BANK
from ..claim.case import Case
from ..claim.compare import Match, Tolerance, equal, scale_of
from ..conventions.epsilon import common_epsilons, epsilon_of, moved_roots, other_epsilon, with_epsilon
from ..conventions.programs import other_forward, other_reduction, tied_fit, with_weights
from ..conventions.ties import all_to_each, tied_otherwise
from ..evidence.differences import FiniteDifference, recognise
from ..run.replay import Run, fresh_runs
from ..search.changed import arriving, kept, picked
from ..search.changes import HINTS
from ..search.describe import FACTOR_TWO, doubled, factor_two, findings, where
from ..search.fitted import Found, found, holds, telling
from ..search.search import CANCELLING, REARRANGED, SCALARS, SEARCHED, Diagnosis, Search, best, pairs
from ..search.slopes import HINTS as OF_SLOPES
from ..search.slopes import slopes, two_sided
from ..search.terms import normalised
from ..verdict import ONE_NUMBER, Finding, Verdict
from .places import grouped

ANOTHER_EPS = "another eps"
UNPLANTED = (normalised, slopes, found, arriving, kept, picked)  # ways to explain a claim without planting a mistake
SIDES = ("only one of several paths", "one path forgotten")  # inside of an activation: one of its two sides
REACH = 10  # times as far as its roots, a wrong gradient of a normalisation may be moved by another eps
NOISE = 0.02  # up to which numbers beside the gradient are called imprecise, and not wrong


def wrong(
    case: Case, tolerance: Tolerance, runs: list[Run] | None = None, claimed: list[np.ndarray] | None = None
) -> Verdict:
    """Why a claim differs from the gradient: ``claimed`` are its values, flat, in ``runs`` (default: the user's own).

    What needs no mistake is tried first (ties, zeros, another eps, another forward or reduction, finite differences),
    then one mistake, then one with another eps, then paths and factors that are fitted, then two mistakes, then weights
    mixed into the claim, and at last a measured factor.
    """
    runs, claimed = runs or [case.run], claimed or [case.flat]
    if len(runs) == 1:
        if convention := tied_otherwise(runs[0], claimed[0], case.places, tolerance):
            return right_by_convention(case, convention)
        everything = all_to_each(runs[0])
        if everything and equal(claimed[0], runs[0].with_rules(everything).ravel()[case.places], tolerance):
            return _all_to_each(case)
    if not np.any(np.abs(claimed[0]) > tolerance.zero):
        return _nothing(case, runs[0], claimed[0], tolerance)
    if (eps := other_epsilon(case, runs, claimed, tolerance)) is not None:
        return _for_another_epsilon(case, eps)
    search = Search(runs, claimed, case.places, tolerance, not case.read.replayable)
    diagnoses = best([*search.plain(), *search.singles()])
    other = other_forward(case, search, exact=bool(diagnoses) and diagnoses[0].cost < 3)
    if other and other[1] == Match() and (not diagnoses or diagnoses[0].cost >= 1):
        return _for_another_forward(case, other[0], diagnoses)
    if reduced := other_reduction(case, diagnoses):
        return _for_another_forward(case, reduced, diagnoses)
    if runs[0] is case.run and (not diagnoses or diagnoses[0].match.slips or diagnoses[0].cost >= 2):
        source = recognise(case.tape, case.line, claimed[0], case.truth, case.places, tolerance)
        if source:
            return _finite_difference(case, source)
    if not diagnoses:
        for what, match in filter(None, (other, tied_fit(search))):
            return _beside_a_convention(case, what, match, search)
        if (found := _beside_another_epsilon(case, search)) is not None:  # a wrong verdict is false
            return found
    inner = bool(diagnoses) and diagnoses[0].hidden and diagnoses[0].mutations[0].name in SIDES
    if (not diagnoses or inner) and (one := _first_fitted(search, (two_sided,) if inner else UNPLANTED)):
        return _fitted(case, search, one)
    if not diagnoses or diagnoses[0].cost > 2.2:
        diagnoses = best([*diagnoses, *([] if search.accidental() else pairs(search))])
    if not diagnoses:
        mixed = with_weights(case, search)
        if mixed is not None:
            return mixed
    if not diagnoses and 1e-100 < scale_of(search.truth()) < 1e100:  # squares of others are out of range
        diagnoses = search.measured()
    if diagnoses and not diagnoses[0].mutations and diagnoses[0].match.noise and diagnoses[0].match.factor == 1:
        noise = diagnoses[0].match.noise
        return _imprecise(case, noise) if noise <= NOISE else _unknown(case, search, noise)
    return _explained(case, search, diagnoses) if diagnoses else _unknown(case, search)


def _all_to_each(case: Case) -> Verdict:
    """Every tied competitor got everything: that is no convention, for it is no subgradient."""
    m = BANK["every tied maximum gets everything"]
    finding = Finding(m.name, "", m.says, m.nudge, "Look at the windows with two equal largest cells.", m.show)
    example = case.counter_example(case.flat)
    return case.verdict("wrong", "this is not a gradient.", mistakes=[finding], counter_example=example)


def _for_another_epsilon(case: Case, eps: float) -> Verdict:
    """Right for the normalisation with another eps."""
    recorded = epsilon_of(case.run) or 0.0
    text = f"your numbers are the gradient with eps = {eps:.6g} in the normalisation; here eps is {recorded:.6g}."
    finding = Finding(
        ANOTHER_EPS, f"{eps:.6g}", f"eps is {eps:.6g} in your numbers and {recorded:.6g} in the recorded forward pass",
        "Which eps stands under the root, in your forward pass and in this one?",
        "Compare the eps of both forward passes.", "the same eps forward and backward",
    )  # fmt: skip
    evidence = [f"All {case.places.size} elements match the gradient of that program at these inputs."]
    return case.verdict("right for another forward", text, mistakes=[finding], evidence=evidence)


def _beside_another_epsilon(case: Case, search: Search) -> Verdict | None:
    """One mistake in a program with another of the eps that people use."""
    recorded = epsilon_of(search.runs[0])
    if recorded is None or search.weight > 1 or len(search.runs) > 1:
        return None
    for eps in common_epsilons(recorded):
        run = with_epsilon(case, search.runs[0], eps, recorded)
        moved = Search([run], search.claimed, case.places, search.tolerance, search.slips)
        share = REACH * moved_roots(case, search.runs[0], run)
        singles = moved.these(search, search.near(share)) if share < 0.5 else moved.singles()
        diagnoses = [d for d in best([*moved.plain(), *singles]) if not d.match.slips and d.cost < 2]
        if diagnoses:
            verdict = _explained(case, moved, diagnoses)
            verdict.evidence.insert(
                0, f"Compared with eps = {eps:.6g} in the normalisation (here it is {recorded:.6g})."
            )
            return verdict
    return None


def without_search(case: Case, tolerance: Tolerance) -> Verdict:
    """Why a claim on a large tape differs from the gradient, as far as the two arrays tell."""
    search = Search([case.run], [case.flat], case.places, tolerance)
    diagnoses = best(search.plain()) if np.any(case.flat) else []
    if not diagnoses and np.any(case.flat) and 1e-100 < scale_of(search.truth()) < 1e100:
        diagnoses = search.measured()
    if diagnoses and diagnoses[0].match.noise and diagnoses[0].match.factor == 1:
        return _imprecise(case, diagnoses[0].match.noise)
    if diagnoses:
        return _explained(case, search, diagnoses)
    verdict = _unknown(case, search)
    size = sum(line.size for line in case.tape)
    verdict.summary = "this is not the gradient; the calculation is too large to search for the mistake."
    if size > SEARCHED:
        told = f"elements, and up to {SEARCHED:,} are searched: claim one layer alone, or use a smaller image."
    else:
        told = f"scalars, and up to {SCALARS:,} are searched: claim the gradient of a part of the program, as of=score."
    verdict.evidence.append(f"Its tape has {size:,} {told}")
    return verdict


def right_by_convention(case: Case, convention: str) -> Verdict:
    """Right, with ties broken in another way than the library's."""
    text = "this is a gradient: it differs from ours only in how ties are broken, and that is a convention."
    return case.verdict("right", text, evidence=[f"Your convention at a tie: {convention}."])


def _finite_difference(case: Case, source: FiniteDifference) -> Verdict:
    """A finite difference: the claim says nothing about anybody's derivation."""
    text = f"your numbers are {source.text}, and these are not reliable here; the gradient may well be right."
    return case.verdict("checker at fault", text, evidence=[f"{source.why[0].upper()}{source.why[1:]}."])


def _imprecise(case: Case, noise: float) -> Verdict:
    """The gradient with noise: nobody is accused of that."""
    text = f"your numbers follow the gradient, each off by about {100 * noise:.2g} %: too imprecise for a verdict."
    why = (
        "Finite differences with a bad step, single precision, or few digits look like that; a wrong formula does not."
    )
    return case.verdict("checker at fault", text, evidence=[why, "Calculate in double precision, by the formula."])


def _beside_a_convention(case: Case, what: str, match: Match, search: Search) -> Verdict:
    """Wrong, and told as the mistakes that remain beside a convention."""
    verdict = _explained(case, search, [Diagnosis((), match)])
    verdict.evidence = [f"Compared with the gradient of {what}; that alone would be a convention, not a mistake."]
    return verdict


def _nothing(case: Case, run: Run, claimed: np.ndarray, tolerance: Tolerance) -> Verdict:
    """Zeros, where the gradient is not: nothing arrived, or what arrived cancels."""
    here = run is case.run
    cut = Finding(
        "gradient cut off", "", "zero everywhere: nothing of the loss arrives",
        "Is there a place on the way where the gradient stops, or where .grad was never filled?",
        "Follow the gradient down from the loss until it becomes zero.",
        "check for integers, rounding, stop_gradient, and arrays that were overwritten after the forward pass",
    )  # fmt: skip
    evidence = []
    if case.line.size and np.array_equal(case.line.value, np.round(case.line.value)):
        evidence.append(
            "If they come from finite differences: an array of whole numbers cuts a small step off, and nothing moves."
        )
    example = case.counter_example(claimed, None if here else run)
    telling = [[cut]]
    search = Search([run], [claimed], case.places, tolerance)
    cancelling = search.cancelling(CANCELLING) if np.any(case.chosen(run)) else []
    told = [findings(d, case.tape, case.names, case.line.shape, case.places, run) for d in cancelling]
    telling = [*told[:1], [cut]] if np.any(claimed) else [[cut], *told[:1]]  # rounding is left where terms cancel
    return case.verdict(
        "wrong",
        "you have zeros, the gradient is not zero.",
        mistakes=telling[0],
        alternatives=telling[1:],
        evidence=evidence,
        counter_example=example,
    )


def _explained(case: Case, search: Search, diagnoses: list[Diagnosis]) -> Verdict:
    """The verdict for explanations that fit."""
    listed = _listed(case, diagnoses, search.runs[0])
    if factor := _doubled_or_halved(diagnoses):
        others = [] if any(m.name == FACTOR_TWO for group in listed for m in group) else [[factor_two(factor)]]
        listed[1:1] = [*others, *([[doubled()]] if abs(factor) == 2 else [])]
    evidence = [_agreement(case, search, diagnoses[0])]
    telling, note = _telling(case, search, diagnoses) if len(listed) > 1 else (None, "")
    if note:
        evidence.append(note)
    if case.places.size == 1:
        evidence.append(ONE_NUMBER)
    run = search.runs[0]
    return case.verdict(
        "wrong",
        f"this is not the gradient{_how_many(listed)}.",
        mistakes=listed[0],
        alternatives=listed[1:],
        evidence=evidence,
        counter_example=case.counter_example(search.claimed[0], None if run is case.run else run),
        telling_input=telling,
    )


def _first_fitted(search: Search, ways: tuple[Callable[[Search], Iterator[Found]], ...]) -> Found | None:
    """The plainest of what is no planted mistake and gives the claim in all runs."""
    if not telling(search):
        return None
    with np.errstate(all="ignore"):
        return next((one for way in ways for one in way(search) if holds(search, one)), None)


def _fitted(case: Case, search: Search, one: Found) -> Verdict:
    """The verdict for a path, factor, array or term that was fitted."""
    run = search.runs[0]
    place = where(case.tape, case.tape[one.position], case.names)
    m = BANK.get(one.name)
    nudge = (
        m.nudge
        if m
        else (HINTS | OF_SLOPES).get(one.name, "Write down all terms, each with its factor: which of them is yours?")
    )
    finding = Finding(one.name, place, one.says, nudge, f"Look {place}.", m.show if m else "")
    n = search.places.size
    return case.verdict(
        "wrong",
        "this is not the gradient; one mistake explains it.",
        mistakes=[finding],
        evidence=[f"With this the sweep gives exactly your numbers: {n} of {n} elements match."],
        counter_example=case.counter_example(search.claimed[0], None if run is case.run else run),
    )


def _listed(case: Case, diagnoses: list[Diagnosis], run: Run) -> list[list[Finding]]:
    """Explanations in words, those that read alike only once."""
    by_names: dict[Any, list[Finding]] = {}
    for diagnosis in diagnoses:
        group = findings(diagnosis, case.tape, case.names, case.line.shape, case.places, run)
        by_names.setdefault(frozenset(m.name for m in group), group)
    return list(by_names.values())


def _doubled_or_halved(diagnoses: list[Diagnosis]) -> float:
    """2 or 1/2 (or their negatives) if the claim is the gradient times that and nothing else, or 0.0."""
    plain = [d.match.factor for d in diagnoses if not d.mutations and not d.match.slips]
    return next((factor for factor in plain if abs(factor) in (2.0, 0.5)), 0.0)


def _how_many(listed: list[list[Finding]]) -> str:
    """How many explanations there are, or mistakes in the only one."""
    if len(listed) > 1:
        return f"; {len(listed)} explanations fit"
    return f"; {len(listed[0])} mistakes together explain it" if len(listed[0]) > 1 else "; one mistake explains it"


def _agreement(case: Case, search: Search, diagnosis: Diagnosis) -> str:
    """How closely the claim agrees with the gradient of the wrong sweep."""
    n, slips = search.places.size, len(diagnosis.match.slips)
    runs = f" in {len(search.runs)} runs" if len(search.runs) > 1 else ""
    if diagnosis.mutations and diagnosis.mutations[0].name == REARRANGED and diagnosis.match == Match():
        return f"Your numbers match {n} of {n} elements of the gradient after {diagnosis.mutations[0].variant}."
    if diagnosis.match.noise:
        return f"By least squares: what remains is {100 * diagnosis.match.noise:.2g} % of your numbers."
    these = "this" if len(diagnosis.mutations) < 2 else "these"
    return f"With {these} the sweep gives exactly your numbers: {n - slips} of {n} elements match{runs}."


def _telling(case: Case, search: Search, diagnoses: list[Diagnosis]) -> tuple[dict[str, Any] | None, str]:
    """Inputs at which the explanations differ, or a note that none of this shape does."""
    single = [d for d in diagnoses if len(d.mutations) == 1 and d.mutations[0].name != REARRANGED]
    if len(single) < 2:
        return None, ""
    for run in fresh_runs(case.tape, case.line, 1, seed=7):
        other = Search([run], [case.flat], case.places, Tolerance())
        gradients = [other.gradient(d.mutations[0], 0) for d in single]
        results = [d.match.factor * other.chosen(g) for d, g in zip(single, gradients, strict=True) if g is not None]
        if any(not equal(results[0], r, Tolerance()) for r in results[1:]):
            return {n: run.of(line).value for n, line in case.inputs.items()}, ""
    return None, "No input of these shapes tells them apart."


def _for_another_forward(case: Case, what: str, diagnoses: list[Diagnosis]) -> Verdict:
    """The gradient of another program than the recorded one; mistakes that lead there too are the alternatives."""
    listed = _listed(case, diagnoses, case.run)
    return case.verdict(
        "right for another forward",
        f"this is not the gradient of the recorded forward pass; your backward is right for {what}.",
        mistakes=listed[0] if listed else None,
        alternatives=listed[1:],
        evidence=[f"All {case.places.size} elements match the gradient of that program at these inputs."],
        counter_example=case.counter_example(case.flat),
        hints={
            "nudge": "Compare what your forward pass and this one compute, before comparing gradients.",
            "locate": "Run both forward passes on the same input and compare the first layer's output.",
            "show": f"Yours: {what}.",
        },
    )


def _unknown(case: Case, search: Search, noise: float = 0.0) -> Verdict:
    """Nothing fits: how much agrees, and where."""
    claimed, truth = search.claimed[0], search.truth()
    same = np.abs(claimed - truth) <= search.tolerance.of(truth, float(np.abs(truth).max()) if truth.size else 0.0)
    evidence = [f"{int(same.sum())} of {same.size} elements agree."]
    if 0 < same.sum() < same.size:
        off = [
            tuple(int(n) for n in np.unravel_index(int(case.places[i]), case.line.shape)) for i in np.flatnonzero(~same)
        ]
        where = grouped(same, claimed, case) if case.places.size == case.line.size else ""
        evidence.append(where or f"The others: {', '.join(map(str, off[:8]))}{' ...' if len(off) > 8 else ''}.")
    if noise:
        evidence.append(f"They follow the gradient, each off by about {100 * noise:.2g} %: a small term may be wrong.")
    evidence.append(
        "Give the gradients of lines in between as well, in a dict {tensor: array}: "
        "then the first wrong step can be named."
    )
    run = search.runs[0]
    return case.verdict(
        "unknown",
        "this is not the gradient, and no mistake I know leads to it.",
        evidence=evidence,
        counter_example=case.counter_example(claimed, None if run is case.run else run),
        hints={"nudge": "Work out a single element by hand first.", "locate": "", "show": ""},
    )
