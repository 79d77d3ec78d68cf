"""A claim that differs from the gradient: by which mistakes, or only by a convention, or by the way it was measured."""

from __future__ import annotations

from typing import Any

import numpy as np

from .case import Case
from .describe import FACTOR_TWO, doubled, findings
from .diagnose import REARRANGED, Found, Search, best
from .differences import Difference, recognise
from .fit import Fit, Tolerance, equal, scale_of
from .pairs import pairs
from .programs import other_forward, other_reduction, tied_fit, with_weights
from .replay import Study, fresh_studies
from .ties import tied_otherwise
from .verdict import Finding, Verdict


def wrong(
    case: Case, tolerance: Tolerance, studies: list[Study] | None = None, claimed: list[np.ndarray] | None = None
) -> Verdict:
    """Why a claim differs from the gradient: ``claimed`` are its values in ``studies`` (the user's own inputs, if not given).

    First what needs no mistake is tried, then the mistakes, one and then two, and at last the measured factor.
    """
    studies, claimed = studies or [case.study], claimed or [case.flat]
    if len(studies) == 1 and (convention := tied_otherwise(studies[0], claimed[0], case.places, tolerance)):
        return right_by_convention(case, convention)
    if not np.any(np.abs(claimed[0]) > tolerance.zero):
        return _nothing(case, studies[0], claimed[0])
    search = Search(studies, claimed, case.places, tolerance)
    found = best([*search.plain(), *search.singles()])
    other = other_forward(case, search, exact=bool(found) and found[0].cost < 3)
    if other and other[1] == Fit() and (not found or found[0].cost >= 1):
        return _for_another_forward(case, other[0], found)
    if reduced := other_reduction(case, found):
        return _for_another_forward(case, reduced, found)
    if studies[0] is case.study and (not found or found[0].fit.slips or found[0].cost >= 2):
        source = recognise(case.tape, case.line, claimed[0], case.truth, case.places, tolerance)
        if source:
            return _measured(case, source)
    if not found:
        for what, made in filter(None, (other, tied_fit(search))):
            return _measured_against(case, what, made, search)
    if not found or found[0].cost > 2.2:
        found = best([*found, *pairs(search)])
    if not found:
        mixed = with_weights(case, search)
        if mixed is not None:
            return mixed
    if not found and 1e-100 < scale_of(search.truth()) < 1e100:  # squares of others are out of range
        found = search.measured()
    if found and not found[0].keys and found[0].fit.noise and found[0].fit.factor == 1:
        return _imprecise(case, found[0].fit.noise)
    return _explained(case, search, found) if found else _unknown(case, search)


def right_by_convention(case: Case, convention: str) -> Verdict:
    """Right, with ties broken in another way than the library's."""
    text = "this is a gradient: it differs from ours only in how ties are broken, and that is a convention."
    return case.verdict("right", text, evidence=[f"Your convention at a tie: {convention}."])


def _measured(case: Case, source: Difference) -> Verdict:
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


def _measured_against(case: Case, what: str, made: Fit, search: Search) -> Verdict:
    """Wrong, and told as the mistakes that remain beside a convention."""
    verdict = _explained(case, search, [Found((), made)])
    verdict.evidence = [f"Compared with the gradient of {what}; that alone would be a convention, not a mistake."]
    return verdict


def _nothing(case: Case, study: Study, claimed: np.ndarray) -> Verdict:
    """Zeros, where the gradient is not: nothing arrived, or nothing moved."""
    here = study is case.study
    source = recognise(case.tape, case.line, claimed, case.truth, case.places, Tolerance()) if here else None
    if source and not case.read.replayable:
        return _measured(case, source)
    cut = Finding(
        "gradient cut off", "", "zero everywhere: nothing of the loss arrives",
        "Is there a place on the way where the gradient stops, or where .grad was never filled?",
        "Follow the gradient down from the loss until it becomes zero.",
        "check for integers, rounding, stop_gradient, and arrays that were overwritten after the forward pass",
    )  # fmt: skip
    example = case.counter_example(claimed, None if here else study)
    return case.verdict("wrong", "you have zeros, the gradient is not zero.", mistakes=[cut], counter_example=example)


def _explained(case: Case, search: Search, found: list[Found]) -> Verdict:
    """The verdict for explanations that fit."""
    listed = _listed(case, found)
    if listed[0] and listed[0][-1].name == FACTOR_TWO and len(listed[0]) == 1 and found[0].fit.factor > 1:
        listed.insert(1, [doubled()])
    evidence = [_agreement(case, search, found[0])]
    telling, note = _telling(case, search, found) if len(listed) > 1 else (None, "")
    if note:
        evidence.append(note)
    if case.places.size == 1:
        evidence.append("One number is little evidence: claim all elements, or a formula, to be sure.")
    study = search.studies[0]
    return case.verdict(
        "wrong",
        f"this is not the gradient{_how_many(listed)}.",
        mistakes=listed[0],
        alternatives=listed[1:],
        evidence=evidence,
        counter_example=case.counter_example(search.claimed[0], None if study is case.study else study),
        telling_input=telling,
    )


def _listed(case: Case, found: list[Found]) -> list[list[Finding]]:
    """Explanations in words, those that read alike only once."""
    made: dict[Any, list[Finding]] = {}
    for f in found:
        group = findings(f, case.tape, case.names, case.line.shape, case.places)
        made.setdefault(frozenset(m.name for m in group), group)
    return list(made.values())


def _how_many(listed: list[list[Finding]]) -> str:
    if len(listed) > 1:
        return f"; {len(listed)} explanations fit"
    return f"; {len(listed[0])} mistakes together explain it" if len(listed[0]) > 1 else "; one mistake explains it"


def _agreement(case: Case, search: Search, found: Found) -> str:
    n, slips = search.places.size, len(found.fit.slips)
    runs = f" in {len(search.studies)} runs" if len(search.studies) > 1 else ""
    if found.keys and found.keys[0].name == REARRANGED and found.fit == Fit():
        return f"Your numbers match {n} of {n} elements of the gradient after {found.keys[0].way}."
    if found.fit.noise:
        return f"By least squares: what remains is {100 * found.fit.noise:.2g} % of your numbers."
    return f"With {'this' if len(found.keys) < 2 else 'these'} the sweep gives exactly your numbers: {n - slips} of {n} elements match{runs}."


def _telling(case: Case, search: Search, found: list[Found]) -> tuple[dict[str, Any] | None, str]:
    """Inputs at which the explanations differ, or a note that none of this shape does."""
    switched = [f for f in found if len(f.keys) == 1 and f.keys[0].name != REARRANGED]
    if len(switched) < 2:
        return None, ""
    for study in fresh_studies(case.tape, case.line, 1, seed=7):
        other = Search([study], [case.flat], case.places, Tolerance())
        made = [other.gradient(f.keys[0], 0) for f in switched]
        results = [f.fit.factor * other.chosen(g) for f, g in zip(switched, made, strict=True) if g is not None]
        if any(not equal(results[0], r, Tolerance()) for r in results[1:]):
            return {n: study.of(line).value for n, line in case.inputs.items()}, ""
    return None, "No input of these shapes tells them apart."


def _for_another_forward(case: Case, what: str, found: list[Found]) -> Verdict:
    listed = _listed(case, found)
    return case.verdict(
        "right for another forward",
        f"your backward is right for {what}; the forward pass recorded here is another one.",
        alternatives=listed,
        evidence=[f"All {case.places.size} elements match the gradient of that program at these inputs."],
        counter_example=case.counter_example(case.flat),
        hints={
            "nudge": "Compare what your forward pass and this one compute, before comparing gradients.",
            "locate": "Run both forward passes on the same input and compare the first layer's output.",
            "show": f"Yours: {what}.",
        },
    )


def _unknown(case: Case, search: Search) -> Verdict:
    """Nothing fits: how much agrees, and where."""
    claimed, truth = search.claimed[0], search.truth()
    same = np.abs(claimed - truth) <= search.tolerance.of(truth, float(np.abs(truth).max()) if truth.size else 0.0)
    evidence = [f"{int(same.sum())} of {same.size} elements agree."]
    if 0 < same.sum() < same.size:
        off = [
            tuple(int(n) for n in np.unravel_index(int(case.places[i]), case.line.shape)) for i in np.flatnonzero(~same)
        ]
        evidence.append(f"The others: {', '.join(map(str, off[:8]))}{' ...' if len(off) > 8 else ''}.")
    evidence.append(
        "Give the gradients of lines in between as well, in a dict {tensor: array}: then the first wrong step can be named."
    )
    study = search.studies[0]
    return case.verdict(
        "unknown",
        "this is not the gradient, and no mistake I know leads to it.",
        evidence=evidence,
        counter_example=case.counter_example(claimed, None if study is case.study else study),
        hints={"nudge": "Work out a single element by hand first.", "locate": "", "show": ""},
    )
