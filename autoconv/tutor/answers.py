"""From a claim to a verdict: right, right only here, wrong and why, the checker at fault, another forward, or unknown."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tape import Tape, Tensor
from .claim import Claim, Names
from .describe import FACTOR_TWO, doubled, findings
from .diagnose import REARRANGED, Found, Search, best
from .differences import recognise
from .fit import Fit, Tolerance, equal, scale_of
from .forwards import forwards, tie_rules, ties
from .pairs import pairs
from .replay import Study
from .simple import other_shape, rule, several, shape
from .verdict import CounterExample, Finding, Verdict

__all__ = ["Case", "everywhere", "other_shape", "right", "rule", "several", "shape", "wrong"]


class Case:
    """All that belongs to one question: the tape, what is asked, the claim, and the run at the user's own inputs."""

    def __init__(
        self,
        tape: Tape,
        line: Tensor,
        places: np.ndarray,
        shape: tuple[int, ...],
        names: Names,
        read: Claim,
        study: Study,
    ) -> None:
        self.tape, self.line, self.places, self.shape = tape, line, places, shape
        self.names, self.read, self.study = names, read, study
        self.claimed = np.zeros(shape)

    @property
    def flat(self) -> np.ndarray:
        return self.claimed.ravel()

    @property
    def truth(self) -> np.ndarray:
        return self.chosen(self.study)

    def chosen(self, study: Study) -> np.ndarray:
        """The gradient's elements that were asked for, in another run."""
        return np.asarray(study.gradient, dtype=float).ravel()[self.places]

    @property
    def gradient(self) -> np.ndarray:
        return self.truth.reshape(self.shape)

    @property
    def name(self) -> str:
        return self.names.of.get(id(self.line)) or self.line.name or "the gradient"

    @property
    def inputs(self) -> dict[str, Tensor]:
        """The tape's inputs and parameters by name."""
        free = {id(line) for line in self.tape.inputs}
        return {name: line for name, line in self.names.lines.items() if id(line) in free}

    def verdict(self, kind: str, summary: str, **more: Any) -> Verdict:
        return Verdict(kind, summary, gradient=self.gradient, claim=self.read.given, **more)

    def counter_example(self, claimed: np.ndarray, study: Study | None = None) -> CounterExample | None:
        """The element with the largest difference, and its equation where ``explain`` has one."""
        truth = self.chosen(study or self.study)
        at = int(np.argmax(np.abs(claimed - truth)))
        index = tuple(int(i) for i in np.unravel_index(int(self.places[at]), self.line.shape))
        element = f"{self.name}[{', '.join(map(str, index))}]" if index else self.name
        equation = _equation(self, index) if study is None else ("", "")
        return CounterExample(element, float(claimed[at]), float(truth[at]), *equation)


def _equation(case: Case, index: tuple[int, ...]) -> tuple[str, str]:
    """The gradient of one element as an equation, as text and LaTeX."""
    try:
        from ..views.equations.explain import explain
    except ImportError:
        return "", ""
    names = {name: line for name, line in case.names.lines.items() if not line.name}
    try:
        made = explain((case.line, index), of=case.tape.outputs[0], names=names)
    except (TypeError, ValueError, RuntimeError):
        return "", ""
    text = getattr(made, "text", None) or str(made)
    return (text if len(text) <= 600 else ""), str(getattr(made, "latex", ""))


# ---- right


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
        evidence.append(f"This example cannot show whether you would make one of these: {', '.join(unseen)}.")
    if tolerance.absolute > 1e-9 * scale_of(case.truth):
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
    if calls := {s.name for line in case.tape if line.scope for s in line.scope.path if s.name.startswith("conv")}:
        turned = any(line.primitive is not None and line.primitive.name == "flip" for line in case.tape)
        kind = "true convolution (the kernel is rotated)" if turned else "cross-correlation (the kernel is not rotated)"
        made.append(f"Convention: {', '.join(sorted(calls))} is a {kind}.")
    if ties(case.study):
        made.append("There are ties at these inputs; you break them as this library does.")
    return made


# ---- a function or a formula: here and at fresh inputs


def everywhere(case: Case, fresh: list[Study], tolerance: Tolerance, right_here: bool) -> Verdict:
    """A claim with values at other inputs: right there too, right only here, or wrong."""
    claimed = [case.flat]
    for study in fresh:
        made = np.asarray(case.read.evaluate(study), dtype=float)
        if made.size != case.places.size:
            raise ValueError(f"check: the claim has shape {made.shape} at other inputs, and {case.shape} here")
        claimed.append(made.ravel())
    agree = [equal(c, case.chosen(s), tolerance) for c, s in zip(claimed[1:], fresh, strict=True)]
    if right_here and all(agree):
        made_right = right(case, tolerance, fresh[0] if fresh else None)
        made_right.evidence.append(f"The formula also agrees at {len(fresh)} fresh random inputs.")
        from .geometry import elsewhere

        return elsewhere(case, tolerance, made_right)
    if not right_here:
        return wrong(case, tolerance, [case.study, *fresh], claimed)
    found = wrong(case, tolerance, fresh, claimed[1:])
    at = next(i for i, ok in enumerate(agree) if not ok)
    values = {n: fresh[at].of(line).value for n, line in case.inputs.items()}
    found.kind = "right only here"
    found.summary = (
        "the numbers agree at your inputs, but the formula is not the gradient: at other inputs it is wrong."
    )
    found.telling_input = found.telling_input or values
    return found


# ---- wrong


def wrong(
    case: Case, tolerance: Tolerance, studies: list[Study] | None = None, claimed: list[np.ndarray] | None = None
) -> Verdict:
    """Why a claim differs from the gradient."""
    studies, claimed = studies or [case.study], claimed or [case.flat]
    for convention, rules in tie_rules(case.study):
        tied = case.study.with_rules(rules).ravel()[case.places]
        if equal(claimed[0], tied, tolerance):
            text = "this is a gradient: it differs from ours only in how ties are broken, and that is a convention."
            return case.verdict("right", text, evidence=[f"Your convention at a tie: {convention}."])
    if not np.any(np.abs(claimed[0]) > tolerance.zero):
        return _nothing(case)
    search = Search(studies, claimed, case.places, tolerance)
    found = best([*search.plain(), *search.singles()])
    other = _other_forward(case, studies, claimed, tolerance)
    if other and (not found or found[0].cost >= 1):
        return _for_another_forward(case, other, found)
    if not found or found[0].fit.slips or found[0].cost >= 2:
        source = recognise(case.tape, case.line, claimed[0], case.truth, case.places, tolerance)
        if source and not case.read.replayable:
            how = "a" if source.kind == "any" else f"a {source.kind}"
            step = f" with step {source.step:g}" if source.step else ""
            text = f"your numbers are {how} finite difference{step} ({source.precision}), and that is not reliable here; the gradient may well be right."
            return case.verdict("checker at fault", text, evidence=[f"{source.why[0].upper()}{source.why[1:]}."])
    if not found or found[0].cost > 2.2:
        found = best([*found, *pairs(search)])
    found = found or search.measured()
    return _explained(case, search, found) if found else _unknown(case, search)


def _nothing(case: Case) -> Verdict:
    """Zeros, where the gradient is not: nothing arrived, or nothing moved."""
    source = recognise(case.tape, case.line, case.flat, case.truth, case.places, Tolerance())
    if source and not case.read.replayable:
        text = "your numbers are finite differences on whole numbers, and those are not reliable; the gradient may well be right."
        return case.verdict("checker at fault", text, evidence=[f"{source.why[0].upper()}{source.why[1:]}."])
    cut = Finding(
        "gradient cut off", "", "zero everywhere: nothing of the loss arrives",
        "Is there a place on the way where the gradient stops, or where .grad was never filled?",
        "Follow the gradient down from the loss until it becomes zero.",
        "check for integers, rounding, stop_gradient, and arrays that were overwritten after the forward pass",
    )  # fmt: skip
    example = case.counter_example(case.flat)
    return case.verdict("wrong", "you have zeros, the gradient is not zero.", mistakes=[cut], counter_example=example)


def _explained(case: Case, search: Search, found: list[Found]) -> Verdict:
    """The verdict for explanations that fit."""
    listed = [findings(f, case.tape, case.names, case.line.shape, case.places) for f in found]
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
    from .replay import fresh_studies

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


# ---- another forward, or nothing


def _other_forward(case: Case, studies: list[Study], claimed: list[np.ndarray], tolerance: Tolerance) -> str:
    """The convention under which the claim is right, or ""."""
    for what, change in forwards(case.tape):
        fits = True
        for study, values in zip(studies, claimed, strict=True):
            inputs = {line: study.of(line).value for line in case.tape.inputs}
            other = Study(case.tape, case.line, inputs, change)
            if other.gradient.shape != study.gradient.shape or not equal(values, case.chosen(other), tolerance):
                fits = False
                break
        if fits:
            return what
    return ""


def _for_another_forward(case: Case, what: str, found: list[Found]) -> Verdict:
    listed = [findings(f, case.tape, case.names, case.line.shape, case.places) for f in found]
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
