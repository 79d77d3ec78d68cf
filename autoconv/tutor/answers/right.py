"""A claim that agrees with the gradient: here, at fresh inputs, and on another geometry; or right only here.

Numbers can agree by accident.  A function or a formula is therefore tried at fresh random inputs, and then on the same
program recorded with larger, oblong images: a wrong formula is told apart from the gradient where it can be.
"""

from __future__ import annotations

import numpy as np

from ..bank.sliding import sliding_of
from ..claim.case import Case
from ..claim.claim import enclosed
from ..claim.compare import Tolerance, equal, scale_of
from ..conventions.geometry import LARGE, CannotGrowError, grown_case, images_of
from ..conventions.ties import tied, tied_otherwise
from ..run.replay import Run, fresh_runs
from ..run.site import Contraction
from ..search.search import REARRANGED, Search
from ..verdict import UNSEEN, Verdict
from .wrong import right_by_convention, wrong

FRESH = 2  # runs at other inputs for a claim that has values there
MEASURED = 1e-3  # relative: what differs by less at fresh inputs is imprecise there, not another formula


def right(case: Case, tolerance: Tolerance, run: Run | None = None) -> Verdict:
    """The verdict "right": under which conventions, and which classic mistakes these numbers could not have shown.

    run: the run in which those are looked for: a fresh one where the claim was tried there too, for then equal numbers
    at the user's own inputs no longer hide anything.
    """
    run = run or case.run
    search = Search([run], [case.chosen(run)], case.places, Tolerance(1e-9))
    if run.steps and search.weight < 10 and np.any(case.truth):
        search.singles(_TELLING)
    evidence = [f"{case.places.size} of {case.places.size} elements agree.", *_conventions(case)]
    if not np.any(case.truth):
        evidence.append("The gradient is zero everywhere here, so many formulas would look right; try other inputs.")
    elif unseen := sorted({*_cannot_tell(search), *_hidden_by_geometry(run)}):
        evidence.append(f"{UNSEEN} whether you would make one of these: {', '.join(unseen)}.")
    if np.any(case.truth) and case.read.dtype == "float64" and tolerance.largest > 1e-9 * scale_of(case.truth):
        evidence.append("Compared to the digits you gave.")
    return case.verdict("right", "this is the gradient.", evidence=evidence)


# The mistakes that are worth a sentence if these numbers cannot show them.
_TELLING = {
    "kernel not rotated", "kernel gradient reversed", "kernel transposed", "product of sums", "not summed over batch",
    "windows overwritten instead of overlap-added", "not summed over filters",
    "sum over positions replaced by the last one",
}  # fmt: skip


def _cannot_tell(search: Search) -> list[str]:
    """Classic mistakes that would have led to the very same numbers."""
    seen = {mutation.name for mutation, _ in search.distinct}
    return sorted(name for name in search.invisible & _TELLING if name not in seen)


def _hidden_by_geometry(run: Run) -> set[str]:
    """Classic mistakes that no numbers of these shapes show: one example or filter, windows side by side, stride 1."""
    hidden, shown = set[str](), set[str]()
    for step in run.steps:
        for k, *_ in step.contributions:
            site = run.site(step.line, k)
            if s := sliding_of(site):
                if site.row == "windows" and max(s.counts) > 1:
                    (shown if s.overlapping else hidden).add("windows overwritten instead of overlap-added")
                moves = any(x > 1 and n > 1 for x, n in zip(s.stride, s.counts, strict=True))
                (shown if moves else hidden).add("stride not dilated")
            if site.row == "contract" and site.inside("conv"):
                c = Contraction(site)
                sizes = dict(zip(c.result, site.y.shape, strict=True))
                for role in ("batch", "filters"):
                    letters = [x for x in c.of_role(role) if x in sizes]
                    if letters:
                        many = any(sizes[x] > 1 for x in letters)
                        (shown if many else hidden).add(f"not summed over {role}")
    return hidden - shown


def _conventions(case: Case) -> list[str]:
    """The conventions under which the claim is right: rotated kernels or not, ties."""
    sentences = []
    walked = [step.line for step in case.run.steps if step.contributions]
    if calls := {s.name for line in walked if line.scope for s in line.scope.path if s.name.startswith("conv")}:
        turned = any(line.primitive is not None and line.primitive.name == "flip" for line in case.tape)
        kind = "true convolution (the kernel is rotated)" if turned else "cross-correlation (the kernel is not rotated)"
        sentences.append(f"Convention: {', '.join(sorted(calls))} is a {kind}.")
    if tied(case.run, case.places):
        sentences.append("There are ties at these inputs; you break them as this library does.")
    return sentences


# ---- at fresh inputs


def everywhere(case: Case, tolerance: Tolerance, right_here: bool) -> Verdict:
    """A claim that has values at other inputs as well: right there too, right only here, or wrong."""
    read = case.read
    if not right_here:
        fresh, claimed = _tried(case)
        if convention := tied_otherwise(case.run, case.flat, case.places, tolerance):
            agree = [equal(c, case.chosen(run), tolerance) for c, run in zip(claimed, fresh, strict=True)]
            if all(agree):
                return right_by_convention(case, convention)
            return _right_only_here(case, tolerance, fresh, claimed, agree.index(False))
        verdict = wrong(case, tolerance, [case.run, *fresh], [case.flat, *claimed])
        if verdict.kind == "unknown" and read.function is not None and enclosed(read.function):
            return wrong(case, tolerance)  # it uses numbers that belong to these inputs alone
        return verdict
    leaves = {id(x) for n in read.reads for x in case.names.lines_of(n)} & {id(x) for x in case.tape.inputs}
    for only in [None, leaves] if read.function is not None and leaves else [None]:
        fresh, claimed = _tried(case, only)
        off = [_apart(c, case.chosen(run)) for c, run in zip(claimed, fresh, strict=True)]
        agree = [equal(c, case.chosen(run), tolerance) for c, run in zip(claimed, fresh, strict=True)]
        if all(agree) or max(off) < MEASURED:
            return _right_everywhere(case, tolerance, fresh, only, 0.0 if all(agree) else max(off))
        if only is None:
            first, at = (fresh, claimed), agree.index(False)
    if read.function is not None and (outside := enclosed(read.function)):
        verdict = right(case, tolerance)
        verdict.evidence.append(
            f"Your function also uses {', '.join(outside)} from outside its arguments, which stays as it is at other "
            "inputs: so only your inputs were compared. "
            "Take it as an argument, and the function is tried at others too."
        )
        return verdict
    return _right_only_here(case, tolerance, *first, at)


def _apart(claimed: np.ndarray, truth: np.ndarray) -> float:
    return float(np.abs(claimed - truth).max()) / max(scale_of(truth), 1e-300) if truth.size else 0.0


def _tried(case: Case, only: set[int] | None = None) -> tuple[list[Run], list[np.ndarray]]:
    """Runs at fresh inputs at which the claim has finite values, and these values, flat."""
    values: dict[int, np.ndarray] = {}

    def suits(run: Run) -> bool:
        claimed = np.asarray(case.read.evaluate(run), dtype=float)
        if claimed.size != case.places.size:
            raise ValueError(f"check: the claim has shape {claimed.shape} at other inputs, and {case.shape} here")
        values[id(run)] = claimed.ravel()
        return bool(np.isfinite(claimed).all())

    fresh = fresh_runs(case.tape, case.line, FRESH, only=only, suits=suits)
    return fresh, [values[id(run)] for run in fresh]


def _right_everywhere(case: Case, tolerance: Tolerance, fresh: list[Run], only: set[int] | None, off: float) -> Verdict:
    """Right here and at fresh inputs, there within ``off``: what is left to try is another geometry."""
    verdict = right(case, tolerance, fresh[0] if fresh else None)
    changed = "" if only is None else f" of {', '.join(n for n, x in case.inputs.items() if id(x) in only)}"
    kept = "" if only is None else "; the other inputs, which it does not take, were kept"
    if not fresh:
        verdict.evidence.append("No fresh inputs were found at which it could be tried.")
    elif off:
        verdict.evidence.append(
            f"At {len(fresh)} fresh random inputs it agrees to about {off:.0e}: "
            "as finite differences or few digits would."
        )
    else:
        verdict.evidence.append(f"The {case.read.kind} also agrees at {len(fresh)} fresh random inputs{changed}{kept}.")
    return _elsewhere(case, tolerance, verdict)


def _right_only_here(case: Case, tolerance: Tolerance, fresh: list[Run], claimed: list[np.ndarray], at: int) -> Verdict:
    """Right by accident: in fresh run number ``at`` the claim is not the gradient."""
    runs = [fresh[at], *fresh[:at], *fresh[at + 1 :]]
    verdict = wrong(case, tolerance, runs, [claimed[at], *claimed[:at], *claimed[at + 1 :]])
    if verdict.kind != "wrong":
        agreeing = int(
            (np.abs(claimed[at] - case.chosen(fresh[at])) <= tolerance.of(claimed[at], scale_of(claimed[at]))).sum()
        )
        verdict.evidence = [f"All {case.places.size} elements agree at your inputs, {agreeing} at those below."]
        verdict.hints = {
            "nudge": "What is special about your numbers: equal ones, ones and zeros, symmetry?",
            "locate": "Put the input below in, and calculate one element by hand.",
            "show": "",
        }
    verdict.kind = "right only here"
    verdict.summary = (
        f"the numbers agree at your inputs, but the {case.read.kind} is not the gradient: at other inputs it is wrong."
    )
    verdict.telling_input = {n: fresh[at].of(line).value for n, line in case.inputs.items()}
    return verdict


# ---- on another geometry


def _elsewhere(case: Case, tolerance: Tolerance, verdict: Verdict) -> Verdict:
    """``verdict`` (right), or "right only here" if a known mistake explains the claim on a geometry that can tell."""
    formula = case.read.formula
    indexed = formula is not None and formula.indexed
    large = sum(line.size for line in case.tape) > LARGE
    if indexed or large or case.places.size != case.line.size or not images_of(case.tape):
        return verdict
    agreed = differs = ""
    measured = formula is not None and formula.measured  # its windows are those of this layer
    for overlap, deep in ((True, True), (False, True), (True, False), (False, False)):
        if overlap and measured:
            continue
        try:
            other, claimed = grown_case(case, overlap, deep)
        except (CannotGrowError, ValueError, IndexError, TypeError):
            continue  # the program, or the claim, is made for this geometry alone
        shapes = ", ".join(f"{n} {line.shape}" for n, line in other.inputs.items())
        if equal(claimed, other.truth, tolerance):
            agreed = agreed or shapes
            continue
        elsewhere = wrong(other, tolerance)
        named = [m.name for m in elsewhere.mistakes]
        if elsewhere.kind != "wrong" or REARRANGED in named or not any(m.place for m in elsewhere.mistakes):
            differs = differs or (shapes if not overlap else "")  # a stride written into the claim is no mistake
            continue
        how = "with windows that overlap" if overlap else "at another size"
        elsewhere.kind, elsewhere.gradient, elsewhere.claim = "right only here", verdict.gradient, case.read.given
        elsewhere.summary = f"it agrees at your geometry, which cannot tell; {how} ({shapes}) it is not the gradient."
        elsewhere.telling_input = {n: line.value for n, line in other.inputs.items()}
        return elsewhere
    if differs:
        verdict.evidence.append(f"It is made for this geometry: with {differs} it is not the gradient.")
    elif agreed:
        verdict.evidence = [e for e in verdict.evidence if not e.startswith(UNSEEN)]
        verdict.evidence.append(f"Right on a larger, oblong geometry as well ({agreed}).")
    return verdict
