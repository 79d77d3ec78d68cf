"""Claims that need no search: shapes, rules in a word, arrays of another shape, and several cotangents at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations, permutations
from math import prod
from typing import Any

import numpy as np

from ...backward import steps
from ...tape import Tape, Tensor, as_array
from ..bank import BANK
from ..claim.case import Case
from ..claim.claim import Names
from ..claim.compare import Tolerance, equal
from ..conventions.shapes import geometry_of
from ..conventions.ties import mixture
from ..run.replay import Run
from ..verdict import Finding, Verdict

WRONG_SHAPE = "wrong shape"
MOST_COMPARED = 2**20  # elements of an array of another shape of which sums and cuts are tried
MOST_BORDERS = 10_000  # places at which a border may have to be cropped
_SHAPE_RULE = "the gradient has one number for each number of w: always w's own shape"


def shape(case: Case) -> Verdict:
    """A claimed shape: the gradient has the shape of what it is taken with respect to."""
    if tuple(case.read.given) == case.shape:
        return case.verdict("right", f"the gradient has the shape {case.shape} of {case.name}.")
    return case.verdict(
        "wrong",
        f"the gradient has shape {case.shape}, not {case.read.given}.",
        mistakes=[_shape_finding(case, case.read.given)],
    )


def _shape_finding(case: Case, claimed: tuple[int, ...]) -> Finding:
    return Finding(
        WRONG_SHAPE, "", f"you have shape {tuple(claimed)}, {case.name} has {case.shape}",
        "How many numbers can you turn, and how many answers does that make?",
        f"Compare the number of axes: {len(claimed)} against {len(case.shape)}.", _SHAPE_RULE,
    )  # fmt: skip


def rule(case: Case) -> Verdict:
    """A rule in a word: every element the same; or what is done with the contributions of many uses."""
    word = case.read.given.strip().lower()
    if word == "same for all":
        spread = float(np.ptp(case.truth)) if case.truth.size else 0.0
        if spread <= 1e-9 * max(float(np.abs(case.truth).max()), 1e-300):
            return case.verdict("right", f"all {case.truth.size} elements are {case.truth[0]:.6g}.")
        return case.verdict(
            "wrong",
            f"the elements differ: they run from {case.truth.min():.6g} to {case.truth.max():.6g}.",
            hints={
                "nudge": "Do all elements meet the same numbers on their way to the loss?",
                "locate": "",
                "show": "",
            },
        )
    divided = _means(case)
    if not divided:
        note = (
            f"each element of {case.name} reaches the loss in a single place: its gradient is neither a sum nor a mean."
        )
        return case.verdict(
            "wrong",
            note,
            hints={"nudge": "In how many places is one element used?", "locate": "", "show": ""},
        )
    if word == "sum":
        return case.verdict(
            "right",
            f"{case.name} is used {divided[0]} times, and its gradient is the sum of what comes back from each use.",
        )
    m = BANK["mean instead of sum"]
    finding = Finding(m.name, "", m.says, m.nudge, f"Count the uses: {divided[0]}.", m.show)
    return case.verdict(
        "wrong",
        f"the gradient is a sum over {divided[0]} uses; their mean would be {divided[0]} times too small.",
        mistakes=[finding],
        evidence=[
            "If the loss is itself a mean over examples, its 1/n already stands in what comes back from each use."
        ],
    )


def _means(case: Case) -> list[int]:
    """For each sum in the gradient of what was asked, nearest to it: over how many terms it runs (1s left out)."""
    run, x, counts = case.run, case.run.wrt, list[int]()
    received = run.received.get(id(x), [])
    while len(received) == 1 and received[0][0].primitive is not None and received[0][0].primitive.rearranges:
        x = received[0][0]
        received = run.received.get(id(x), [])
    for reader, k, right in received:
        variants = BANK["mean instead of sum"].variants(run.site(reader, k))  # type: ignore[attr-defined]
        for wrong in variants.values():
            mean = wrong(run.cotangent[id(reader)])
            counts.append(round(float(np.abs(right).max() / np.abs(mean).max())) if np.any(mean) else 1)
    return sorted((c for c in [*counts, len(received)] if c > 1), reverse=True)


def other_shape(case: Case, claimed: np.ndarray, tolerance: Tolerance) -> Verdict:
    """An array of another shape: right numbers laid out otherwise, not yet summed or cropped, or just another shape."""
    truth, text = case.gradient, f"the gradient has shape {case.shape}, yours {claimed.shape}"
    finding = _shape_finding(case, claimed.shape)
    if claimed.size == truth.size:
        squeezed = tuple(n for n in claimed.shape if n > 1) == tuple(n for n in case.shape if n > 1)
        if squeezed and equal(claimed.ravel(), truth.ravel(), tolerance):
            note = (
                f"the numbers are right; only axes of size 1 differ (yours {claimed.shape}, {case.name} {case.shape})."
            )
            return case.verdict("right", note)
        for order in permutations(range(truth.ndim)) if truth.ndim <= 5 else ():
            if equal(claimed.ravel(), truth.transpose(order).ravel(), tolerance):
                says = f"the numbers are right, in the order of axes {order} of the gradient"
                moved = Finding(
                    "right numbers in the wrong places", "", says, "In which order do you count the axes?",
                    "Compare the shapes.", _SHAPE_RULE,
                )  # fmt: skip
                return case.verdict("wrong", f"{text}: transposed.", mistakes=[moved])
    told = geometry_of(case.run, claimed.shape) if case.run.steps and case.shape == case.line.shape else ""
    evidence = [f"Of the shape {claimed.shape}: {told}."] if told else []
    if claimed.size > MOST_COMPARED:
        return case.verdict("wrong", f"{text}.", mistakes=[finding], evidence=evidence)
    for axes in [c for n in range(1, claimed.ndim + 1) for c in combinations(range(claimed.ndim), n)]:
        total = claimed.sum(axis=axes)
        if total.size == truth.size and equal(total.ravel(), truth.ravel(), tolerance):
            m = BANK["broadcast not summed"]
            unsummed = Finding(
                m.name, "", f"{m.says}: sum over axes {axes}", m.nudge, f"Axes {axes} are too many.", m.show
            )
            return case.verdict("wrong", f"{text}; summed over axes {axes} it is right.", mistakes=[unsummed])
    if claimed.ndim == truth.ndim and all(a >= b for a, b in zip(claimed.shape, truth.shape, strict=True)):
        borders = [a - b + 1 for a, b in zip(claimed.shape, truth.shape, strict=True)]
        for low in np.ndindex(*borders) if prod(borders) <= MOST_BORDERS else ():
            cut = claimed[tuple(slice(i, i + n) for i, n in zip(low, truth.shape, strict=True))]
            if equal(cut.ravel(), truth.ravel(), tolerance):
                m = BANK["padding not cropped"]
                border = Finding(m.name, f"from cell {low}", m.says, m.nudge, "Look at the border.", m.show)
                return case.verdict("wrong", f"{text}; with its border cropped it is right.", mistakes=[border])
    return case.verdict("wrong", f"{text}.", mistakes=[finding], evidence=evidence)


def several_cotangents(
    claims: Mapping[Any, Any], tape: Tape, names: Names, ask: Callable[[Any, Any], Verdict]
) -> Verdict:
    """Cotangents of several lines, from the loss down: the first wrong one names the step where the claim departs."""
    position = {id(line): i for i, line in enumerate(tape)}
    asked: list[tuple[Tensor, Any]] = []
    for key, value in claims.items():
        line = names.lines.get(key) if isinstance(key, str) else key
        line = next(iter(tape.lines_of(line)), line) if tape.of_scalars else line
        if not isinstance(line, Tensor) or id(line) not in position:
            raise ValueError(
                f"check: {key!r} is not a tensor of this tape; the names are {', '.join(names.lines) or 'none'}"
            )
        asked.append((line, value))
    if not asked:
        raise ValueError("check: an empty dict claims nothing; give {tensor: array}")
    asked.sort(key=lambda pair: -position[id(pair[0])])
    told: list[str] = []
    tied = False
    for line, value in asked:
        name = names.of.get(id(line)) or f"line %{position[id(line)]}"
        verdict = ask(value, line)
        if not verdict:
            before = f" {', '.join(told)} above it {'are' if len(told) > 1 else 'is'} right." if told else ""
            verdict.summary = f"the claim departs at {name}: {verdict.summary}"
            verdict.evidence.insert(0, f"The first line, from the loss down, that does not agree is {name}.{before}")
            return verdict
        told.append(name)
        tied = tied or any("convention at a tie" in sentence for sentence in verdict.evidence)
    if tied and not _together(asked, tape):
        m = BANK["every tied maximum gets everything"]
        finding = Finding(m.name, "", m.says, m.nudge, "Look at elements that are equal.", m.show)
        text = "each of them alone may be right, for ties are broken by convention; together they share out too much."
        return Verdict("wrong", text, mistakes=[finding], claim=claims)
    return Verdict("right", f"all {len(asked)} cotangents agree: {', '.join(told)}.", claim=claims)


def _together(asked: list[tuple[Tensor, Any]], tape: Tape) -> bool:
    """Whether one way to break the ties gives all the claimed cotangents at once: a mixture of such ways."""
    run = Run(tape, None)
    flat = lambda at: np.concatenate([np.ravel(at.get(id(run.of(x)), np.zeros(x.shape))) for x, _ in asked])
    claimed = np.concatenate([np.ravel(np.asarray(as_array(value), dtype=float)) for _, value in asked])

    def swept(rules: Any) -> np.ndarray:
        walked = steps(run.loss, None, np.ones(run.loss.shape), rules=rules)
        return flat({id(s.line): s.cotangent for s in walked})

    return mixture(run, claimed, flat(run.cotangent), swept, Tolerance())
