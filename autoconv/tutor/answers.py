"""A claim that agrees: right here, at fresh inputs, and on a geometry that can tell; or right only here."""

from __future__ import annotations

import numpy as np

from .case import Case
from .claim import enclosed
from .diagnose import Search
from .fit import Tolerance, equal, scale_of
from .replay import Study, fresh_studies
from .simple import other_shape, rule, several, shape
from .ties import tied, tied_otherwise
from .verdict import UNSEEN, Verdict
from .wrong import right_by_convention, wrong

FRESH = 2  # runs at other inputs for a claim that has values there
MEASURED = 1e-3  # relative: what differs by less at fresh inputs is imprecise there, not another formula

__all__ = ["Case", "everywhere", "other_shape", "right", "rule", "several", "shape", "wrong"]


def right(case: Case, tolerance: Tolerance, study: Study | None = None) -> Verdict:
    """The claim agrees: under which conventions, and what these numbers cannot tell."""
    study = (
        study or case.study
    )  # at fresh inputs, where the claim was tried there, only the geometry can hide a mistake
    search = Search([study], [case.chosen(study)], case.places, Tolerance(1e-9))
    if search.weight < 10:
        search.singles()
    evidence = [f"{case.places.size} of {case.places.size} elements agree.", *_conventions(case)]
    if not np.any(case.truth):
        evidence.append("The gradient is zero everywhere here, so many formulas would look right; try other inputs.")
    elif unseen := _cannot_tell(search):
        evidence.append(f"{UNSEEN} whether you would make one of these: {', '.join(unseen)}.")
    if np.any(case.truth) and tolerance.absolute > 1e-9 * scale_of(case.truth):
        evidence.append("Compared to the digits you gave.")
    return case.verdict("right", "this is the gradient.", evidence=evidence)


_TELLING = {
    "kernel not rotated", "kernel gradient reversed", "kernel transposed", "windows overwritten instead of overlap-added",
    "product of sums", "not summed over batch", "not summed over filters", "sum over positions replaced by the last one",
}  # fmt: skip


def _cannot_tell(search: Search) -> list[str]:
    """Classic mistakes that would have led to the very same numbers."""
    seen = {key.name for key, _ in search.distinct}
    return sorted(name for name in search.blind & _TELLING if name not in seen)


def _conventions(case: Case) -> list[str]:
    made = []
    walked = [step.line for step in case.study.steps if step.contributions]
    if calls := {s.name for line in walked if line.scope for s in line.scope.path if s.name.startswith("conv")}:
        turned = any(line.primitive is not None and line.primitive.name == "flip" for line in case.tape)
        kind = "true convolution (the kernel is rotated)" if turned else "cross-correlation (the kernel is not rotated)"
        made.append(f"Convention: {', '.join(sorted(calls))} is a {kind}.")
    if tied(case.study, case.places):
        made.append("There are ties at these inputs; you break them as this library does.")
    return made


def everywhere(case: Case, tolerance: Tolerance, right_here: bool) -> Verdict:
    """A claim with values at other inputs: right there too, right only here, or wrong."""
    read = case.read
    if not right_here:
        fresh, claimed = _tried(case)
        if convention := tied_otherwise(case.study, case.flat, case.places, tolerance):
            agree = [equal(c, case.chosen(s), tolerance) for c, s in zip(claimed, fresh, strict=True)]
            if all(agree):
                return right_by_convention(case, convention)
            return _right_only_here(case, tolerance, fresh, claimed, agree.index(False))
        found = wrong(case, tolerance, [case.study, *fresh], [case.flat, *claimed])
        if found.kind == "unknown" and read.function is not None and enclosed(read.function):
            return wrong(case, tolerance)  # it uses numbers that belong to these inputs alone
        return found
    leaves = {id(case.names.lines[n]) for n in read.reads if n in case.names.lines} & {id(x) for x in case.tape.inputs}
    for only in [None, leaves] if read.function is not None and leaves else [None]:
        fresh, claimed = _tried(case, only)
        off = [_apart(c, case.chosen(s)) for c, s in zip(claimed, fresh, strict=True)]
        agree = [equal(c, case.chosen(s), tolerance) for c, s in zip(claimed, fresh, strict=True)]
        if all(agree) or max(off) < MEASURED:
            return _right_everywhere(case, tolerance, fresh, only, 0.0 if all(agree) else max(off))
        if only is None:
            first, at = (fresh, claimed), agree.index(False)
    if read.function is not None and (outside := enclosed(read.function)):
        made = right(case, tolerance)
        made.evidence.append(
            f"Your function also uses {', '.join(outside)} from outside its arguments, which stays as it is at other inputs: "
            "so only your inputs were compared. Take it as an argument, and the function is tried at others too."
        )
        return made
    return _right_only_here(case, tolerance, *first, at)


def _apart(claimed: np.ndarray, truth: np.ndarray) -> float:
    return float(np.abs(claimed - truth).max()) / max(scale_of(truth), 1e-300) if truth.size else 0.0


def _tried(case: Case, only: set[int] | None = None) -> tuple[list[Study], list[np.ndarray]]:
    """Runs at fresh inputs at which the claim has finite values, and these values, flat."""
    values: dict[int, np.ndarray] = {}

    def suits(study: Study) -> bool:
        made = np.asarray(case.read.evaluate(study), dtype=float)
        if made.size != case.places.size:
            raise ValueError(f"check: the claim has shape {made.shape} at other inputs, and {case.shape} here")
        values[id(study)] = made.ravel()
        return bool(np.isfinite(made).all())

    fresh = fresh_studies(case.tape, case.line, FRESH, only=only, suits=suits)
    return fresh, [values[id(study)] for study in fresh]


def _right_everywhere(
    case: Case, tolerance: Tolerance, fresh: list[Study], only: set[int] | None, off: float
) -> Verdict:
    """Right here and at fresh inputs (within ``off``): what is left is the geometry."""
    made = right(case, tolerance, fresh[0] if fresh else None)
    changed = "" if only is None else f" of {', '.join(n for n, x in case.inputs.items() if id(x) in only)}"
    kept = "" if only is None else "; the other inputs, which it does not take, were kept"
    if not fresh:
        made.evidence.append("No fresh inputs were found at which it could be tried.")
    elif off:
        made.evidence.append(
            f"At {len(fresh)} fresh random inputs it agrees to about {off:.0e}: as finite differences or few digits would."
        )
    else:
        made.evidence.append(f"The {case.read.kind} also agrees at {len(fresh)} fresh random inputs{changed}{kept}.")
    from .geometry import elsewhere

    return elsewhere(case, tolerance, made)


def _right_only_here(
    case: Case, tolerance: Tolerance, fresh: list[Study], claimed: list[np.ndarray], at: int
) -> Verdict:
    """Right by accident: at fresh inputs it is not the gradient."""
    found = wrong(
        case, tolerance, [fresh[at], *fresh[:at], *fresh[at + 1 :]], [claimed[at], *claimed[:at], *claimed[at + 1 :]]
    )
    if found.kind != "wrong":
        agreeing = int(
            (np.abs(claimed[at] - case.chosen(fresh[at])) <= tolerance.of(claimed[at], scale_of(claimed[at]))).sum()
        )
        found.evidence = [f"All {case.places.size} elements agree at your inputs, {agreeing} at those below."]
        found.hints = {
            "nudge": "What is special about your numbers: equal ones, ones and zeros, symmetry?",
            "locate": "Put the input below in, and calculate one element by hand.",
            "show": "",
        }
    found.kind = "right only here"
    found.summary = (
        f"the numbers agree at your inputs, but the {case.read.kind} is not the gradient: at other inputs it is wrong."
    )
    found.telling_input = {n: fresh[at].of(line).value for n, line in case.inputs.items()}
    return found
