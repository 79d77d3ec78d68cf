"""Claims that are right for another program: another forward, a loss reduced otherwise, ties broken otherwise, weights mixed in."""

from __future__ import annotations

import numpy as np

from .case import Case
from .diagnose import Found, Search
from .fit import Fit, equal, fit, scale_of
from .forwards import combined, forwards, reductions
from .replay import Change, Study
from .ties import tie_rules
from .verdict import Finding, Verdict

LARGE = 300_000  # elements on a tape beyond which pairs of other forwards are not tried


def other_forward(case: Case, search: Search, exact: bool) -> tuple[str, Fit] | None:
    """The program under which the claim is right, or (unless ``exact``) right up to a sign and a factor."""
    changes = list(forwards(case.tape))
    several = [] if exact or sum(line.size for line in case.tape) > LARGE else combined(changes)
    for what, change in [*changes, *several]:
        made = _fitting(case, search, change, exact)
        if made is None:
            continue
        reduced = next((text for text, factor in reductions(case.tape) if abs(made.factor / factor - 1) < 1e-6), "")
        if reduced and made.factor not in _ORDINARY:
            return f"{what}, and {reduced}", Fit()
        return what, made
    return None


def _fitting(case: Case, search: Search, change: Change, exact: bool) -> Fit | None:
    """How the claim fits the gradient of the changed program in all runs."""
    made = []
    for study, claimed in zip(search.studies, search.claimed, strict=True):
        other = Study(case.tape, case.line, {line: study.of(line).value for line in case.tape.inputs}, change)
        if other.gradient.shape != study.gradient.shape:
            return None
        made.append(case.chosen(other))
        if exact and not equal(claimed, made[-1], search.tolerance):
            return None
    if all(equal(c, m, search.tolerance) for c, m in zip(search.claimed, made, strict=True)):
        return Fit()
    found = fit(np.concatenate(search.claimed), np.concatenate(made), search.tolerance, case.places.size)
    return found if found and not found.slips else None


_ORDINARY = (1.0, -1.0, 2.0, 0.5, -2.0, -0.5)  # factors with other causes than a mean in place of a sum


def other_reduction(case: Case, found: list[Found]) -> str:
    """The loss whose gradient this is, if it differs from the recorded one in mean and sum alone."""
    plain = next((f.fit.factor for f in found if not f.keys and not f.fit.slips and not f.fit.noise), 1.0)
    if plain in _ORDINARY:
        return ""
    return next((what for what, factor in reductions(case.tape) if abs(plain / factor - 1) < 1e-6), "")


def tied_fit(search: Search) -> tuple[str, Fit] | None:
    """A sign or a factor on top of another way to break ties."""
    if len(search.studies) == 1:
        for convention, rules in tie_rules(search.studies[0]):
            tied = search.chosen(search.studies[0].with_rules(rules))
            made = fit(search.claimed[0], tied, search.tolerance, tied.size) if np.any(tied) else None
            if made and not made.slips:
                return f"this program with its ties broken otherwise ({convention})", made
    return None


def with_weights(case: Case, search: Search) -> Verdict | None:
    """claim = a gradient + b w: the weights after a step, or the gradient with the penalty of weight decay in it."""
    study = search.studies[0]
    w, truth, claim = search.chosen(study.wrt.value), search.truth(), search.claimed[0]
    if len(search.studies) > 1 or claim.size < 4:
        return None
    (a, b), *_ = np.linalg.lstsq(np.stack([truth, w], axis=1), claim, rcond=None)
    if not equal(claim, a * truth + b * w, search.tolerance) or abs(a) * scale_of(truth) < 1e-9 * scale_of(claim):
        return None
    if abs(b - 1) < 1e-6 and a < 0:
        finding = Finding(
            "new weights instead of the gradient", "", f"the numbers are {case.name} - {-a:.4g} times the gradient: the weights after a step",
            "Is it the gradient that you have, or what becomes of the weights?", "Subtract the old weights from your numbers.",
            f"the gradient is (old - new) / {-a:.4g}",
        )  # fmt: skip
        return case.verdict("wrong", "this is not the gradient, but the new weights.", mistakes=[finding])
    if abs(a - 1) < 1e-6:
        text = f"your backward is right for a loss with {b / 2:.4g} * sum({case.name}**2) added (weight decay); this loss has no such term."
        return case.verdict("right for another forward", text, hints={"nudge": "Which terms does the loss have?"})
    return None
