"""Answers judged: first the forward against the course's, then each gradient against that of their own forward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..arrays.threads import one_thread
from .asking import Answer, upstream
from .layer import Layer, Try
from .measured import Measured, measured_name
from .mending import ANOTHER, agrees, for_the_course, mend_forward, mend_gradients, two_mistakes
from .naming import Later, describe, name_of
from .relations import Evidence, Named
from .repair import Mend
from .truth import Reference, Truth, right_claim
from .variants import Variant, eps_variant, variants_of
from .verdict import FORWARD, BackwardVerdict, Part

Differences = Callable[[int], Any]  # the gradient of the student's own forward at a geometry, {gradient: array} or None
_BY_DIFFERENCES = 3  # geometries at which an unknown forward is differentiated so
NEITHER = "it is the gradient neither of your forward nor of the course's; look at it again when the forward is right"
HINT_NEITHER = "What does the backward read that the forward kept, and what should that be?"
HINT_FORWARD = "Work the forward out by hand, for one element of the output, at this geometry."


def outputs_of(layer: Layer, cases: list[Try]) -> list[tuple[int, ...]]:
    """The shape of the reference's output at each geometry."""
    return [layer.run(case)[0].shape for case in cases]


@one_thread()
def judge(
    layer: Layer, cases: list[Try], answers: list[Answer], differences: Differences, mend: Mend | None = None
) -> BackwardVerdict:
    """The verdict on what the functions gave at each geometry.

    mend: looks for a change of the functions' source that makes wrong gradients right.
    """
    order = sorted(range(len(cases)), key=lambda i: (cases[i].size, i))
    cases, answers, numbers = [cases[i] for i in order], [answers[i] for i in order], order
    refuses = [c.rest and _refused(a) for c, a in zip(cases, answers, strict=True)]
    rounds = [_rounded(layer, c, a) for c, a in zip(cases, answers, strict=True)]
    kept = [i for i, a in enumerate(answers) if not refuses[i] and not rounds[i] and _reached(a)]
    notes = []
    if any(rounds):
        notes.append("where windows leave a rest of the image, the output has another size; that is not counted")
    if any(refuses) and any(answers[i].trouble is None for i in kept):
        notes.append(
            "at geometries that not everybody demands (a rest of the image, padding, more axes) they refuse; "
            "that is not counted"
        )
    if skipped := sum(not _reached(a) for a in answers):
        notes.append(f"{skipped} geometries were not reached in time")
    cases, answers, numbers = [cases[i] for i in kept], [answers[i] for i in kept], [numbers[i] for i in kept]
    parts: dict[str, Part] = {}
    reference, measured = layer.reference, layer.unknown
    if layer.masked:
        cases, parts[FORWARD] = _drawn(layer, cases, answers)
    elif not layer.unknown and (
        layer.loss or any(a.out is not None or (a.trouble and a.trouble[0] == FORWARD) for a in answers)
    ):
        parts[FORWARD], found = _forward(layer, cases, answers)
        reference, measured = found or layer.reference, found is None
    truths = []
    for index, case, answer in zip(numbers, cases, answers, strict=True):
        shape = None if layer.loss or answer.out is None else answer.out.shape
        dout = lambda own, i=index, s=shape: upstream(i, s if s is not None and s == own else own)
        truths.append(Truth(layer, case, dout, reference))
    by_differences = _own_gradients(cases, answers, numbers, differences) if measured else {}
    later: Later | None = None if mend is None else {}  # a line of the source says more than two mistakes at once
    for gradient in layer.outputs:
        parts[gradient] = (
            _measured(layer, gradient, cases, answers, truths, by_differences)
            if measured
            else _gradient(layer, gradient, cases, answers, truths, later)
        )
        if reference is not layer.reference and not measured and not parts[gradient].right:
            given = [
                i for i, a in enumerate(answers) if a.trouble is None and truths[i].dout.shape == truths[i].out.shape
            ]
            course = [Truth(layer, truths[i].case, lambda _, t=truths[i]: t.dout) for i in given]
            theirs, of_course = [
                _gradient(layer, gradient, [cases[i] for i in given], [answers[i] for i in given], which).right
                for which in ([truths[i] for i in given], course)
            ]
            if of_course and not theirs:
                for_the_course(parts[gradient])
    if reference is not layer.reference and not measured and not parts[FORWARD].right:
        for gradient in layer.outputs:  # what a backward makes of another forward's cache may look like anything
            part = parts[gradient]
            if not part.right and (part.mistake is None or two_mistakes(part)):
                part.mistake, part.says, part.hint = ANOTHER, NEITHER, HINT_NEITHER
    if mend is not None:
        if FORWARD in parts and not parts[FORWARD].right and not layer.masked:
            pairs = zip(numbers, cases, strict=True)
            course = [Truth(layer, c, lambda own, n=n: upstream(n, own)) for n, c in pairs]
            with_course = lambda gradient, changed: _gradient(layer, gradient, cases, changed, course)
            mend_forward(layer, answers, course, numbers, parts, mend, with_course)
        standards = by_differences if measured else dict(enumerate(truths))
        mend_gradients(layer, answers, standards, numbers, parts, mend)
        for gradient, two in (later or {}).items():
            if parts[gradient].mistake is None and (named := two()):
                parts[gradient].mistake, parts[gradient].says, parts[gradient].hint = named
    notes += [layer.remarks[p.mistake] for p in parts.values() if p.mistake and p.mistake in layer.remarks]
    damage = list(dict.fromkeys(pair for a in answers for pair in a.damage))
    notes += list(dict.fromkeys(note for a in answers for note in a.notes))
    return BackwardVerdict(layer.name, parts, damage=damage, notes=list(dict.fromkeys(notes)))


def _refused(answer: Answer) -> bool:
    """Whether a function declined a geometry; an index out of range in the backward is none of that."""
    if answer.trouble is None or answer.trouble[1] != "raises":
        return False
    return answer.trouble[0] == FORWARD or "IndexError" not in answer.trouble[2]


def _rounded(layer: Layer, case: Try, answer: Answer) -> bool:
    """Whether a forward rounds the size of its output up, where the course's formula gives no whole number."""
    if not case.uncovered or answer.out is None:
        return False
    course = layer.run(case)[0].shape
    over = [own - right for own, right in zip(answer.out.shape, course, strict=False)]
    return len(answer.out.shape) == len(course) and set(over) == {0, 1}


def _reached(answer: Answer) -> bool:
    return answer.trouble is None or answer.trouble[1] != "not reached"


def _drawn(layer: Layer, cases: list[Try], answers: list[Answer]) -> tuple[list[Try], Part]:
    """The geometries of dropout with the mask that the student's forward drew, and the judgement of that mask."""
    made, masks = [], []
    for case, answer in zip(cases, answers, strict=True):
        x = case.arrays["x"]
        fits = answer.out is not None and answer.out.shape == x.shape
        masks.append(answer.out / x if fits and answer.out is not None else None)
        made.append(
            replace(case, settings={**case.settings, "mask": np.ones(x.shape) if masks[-1] is None else masks[-1]})
        )
    kept = _masks(cases, answers, masks, lambda p: p)
    if layer.drops and not kept.right:
        dropped = _masks(cases, answers, masks, lambda p: 1 - p)
        return made, dropped if dropped.right else replace(kept, says=kept.says.replace("1/p", "1/(1 - p)"))
    return made, kept


def _masks(cases: list[Try], answers: list[Answer], masks: list[Any], keeping: Callable[[float], float]) -> Part:
    """The judgement of masks; keeping(p): the probability of keeping."""
    good, wrong, geometry = 0, "", ""
    for case, answer, mask in zip(cases, answers, masks, strict=True):
        p = keeping(float(case.settings["p"]))
        scales = {1.0} if case.settings["mode"] == "test" else {0.0, 1 / p}
        found = {1.0} if mask is None else set(np.unique(np.round(mask, 9)))
        if mask is not None and found <= {round(s, 9) for s in scales}:
            good += 1
        elif not wrong:
            geometry = f"{case.words}: {case.text}"
            wrong = "your forward does not multiply by a mask of 0 and 1/p"
            if answer.trouble and answer.out is None:
                wrong = answer.trouble[2]
            elif found <= {0.0, 1.0}:
                wrong = "your forward does not divide by p what it keeps (the course has inverted dropout)"
            elif found <= {0.0, round(1 / (1 - p), 9)}:
                wrong = "your forward takes p for the probability of dropping; in the course it is that of keeping"
            elif case.settings["mode"] == "test":
                wrong = "your forward changes its input in test mode"
    return Part(FORWARD, not wrong, "another forward" if wrong else None, geometry, wrong, times=(good, len(cases)))


# ---- the forward


def _forward(layer: Layer, cases: list[Try], answers: list[Answer]) -> tuple[Part, Reference | None]:
    """(the judgement of the forward, the composition that it is, or None for one that is not known)."""
    made = [(c, a) for c, a in zip(cases, answers, strict=True) if a.out is not None]
    troubled = [
        (c, a)
        for c, a in zip(cases, answers, strict=True)
        if a.out is None and a.trouble and (layer.loss or a.trouble[0] == FORWARD)
    ]
    wanted = {id(c): np.asarray(layer.run(c)[0].value, dtype=float) for c, _ in made}
    right = [c for c, a in made if a.out is not None and agrees(a.out, wanted[id(c)])]
    times = (len(right), len(cases))
    if troubled:
        case, answer = troubled[0]
        assert answer.trouble is not None
        part = Part(FORWARD, False, answer.trouble[1], case.text, answer.trouble[2], times=times)
        return part, layer.reference
    if len(right) == len(made):
        return Part(FORWARD, True, times=times), layer.reference
    first = next(c for c, a in made if a.out is not None and not agrees(a.out, wanted[id(c)]))
    answer_there = next(a for c, a in made if c is first)
    assert answer_there.out is not None
    for variant in [*variants_of(layer), *_scaled(layer, made), *_with_eps(layer, made)]:
        if _fits(layer, variant.reference, made):
            words = f"your forward {variant.said(first)}"
            if variant.benign:
                part = Part(FORWARD, True, says=words, times=(len(made), len(cases)))
            else:
                numbers = _both("the output", answer_there.out, wanted[id(first)])
                part = Part(FORWARD, False, "another forward", f"{first.words}: {first.text}", words, numbers, times)
                part.hint = HINT_FORWARD
            return part, variant.reference
    part = Part(FORWARD, False, None, f"{first.words}: {first.text}", times=times, hint=HINT_FORWARD)
    own = answer_there.out
    if own.shape != wanted[id(first)].shape:
        part.mistake, part.says = (
            "wrong shape",
            f"the output has shape {own.shape}, it should be {wanted[id(first)].shape}",
        )
    elif not np.isfinite(own).all():
        part.mistake, part.says = "not finite", "the output has infinities or nan"
    else:
        part.says = "your forward is another function than the course's, and none that is known here"
        part.numbers = _both("the output", own, wanted[id(first)])
    return part, None


def _with_eps(layer: Layer, made: list[tuple[Try, Answer]]) -> list[Variant]:
    """The normalisation with the eps that comes nearest, found by halving intervals of its logarithm."""
    found = eps_variant(layer)
    small = next(((c, a) for c, a in reversed(made) if a.out is not None and c.words == "a small variance"), None)
    if found is None or small is None:
        return []
    case, out = small[0], small[1].out

    def off(power: float) -> float:
        with np.errstate(all="ignore"):
            value = layer.run(case, found(10.0**power).reference)[0].value
        return float(np.abs(np.asarray(value) - out).max()) if out is not None and out.shape == value.shape else np.inf

    grid = np.linspace(-12, 1, 131)
    best = grid[int(np.argmin([off(p) for p in grid]))]
    low, high = best - 0.1, best + 0.1
    for _ in range(60):
        third = (high - low) / 3
        low, high = (low, high - third) if off(low + third) < off(high - third) else (low + third, high)
    eps = 10.0 ** ((low + high) / 2)
    return [found(float(f"{eps:.3g}")), found(eps)]


def _fits(layer: Layer, reference: Reference, made: list[tuple[Try, Answer]]) -> bool:
    """Whether a composition is what the forward computed at every geometry."""
    for case, answer in made:
        try:
            with np.errstate(all="ignore"):
                out = np.asarray(layer.run(case, reference)[0].value, dtype=float)
        except (ValueError, TypeError, IndexError):
            return False
        if answer.out is None or not agrees(answer.out, out):
            return False
    return bool(made)


def _scaled(layer: Layer, made: list[tuple[Try, Answer]]) -> list[Variant]:
    """The reference times the factor that the first geometries suggest."""
    for case, answer in made:
        wanted = np.asarray(layer.run(case)[0].value, dtype=float)
        if answer.out is not None and answer.out.shape == wanted.shape and np.abs(wanted).max(initial=0) > 0:
            factor = float(np.vdot(wanted, answer.out) / np.vdot(wanted, wanted))
            if factor and np.isfinite(factor) and abs(factor - 1) > 1e-9:
                words = f"gives {factor:.6g} times what it should"
                return [Variant(words, lambda factor=factor, **k: layer.reference(**k) * factor)]
    return []


# ---- the gradients


def _gradient(
    layer: Layer,
    name: str,
    cases: list[Try],
    answers: list[Answer],
    truths: list[Truth],
    later: Later | None = None,
) -> Part:
    """One gradient against the sweep of the forward that the student has; later: see ``name_of``."""
    seen: list[tuple[Try, Answer, Truth, np.ndarray | None, bool]] = []
    for case, answer, truth in zip(cases, answers, truths, strict=True):
        claimed = answer.gradients.get(name)
        seen.append((case, answer, truth, claimed, claimed is not None and right_claim(truth, name, claimed)))
    good = sum(right for *_, right in seen)
    part = Part(name, good == len(seen) > 0, times=(good, len(seen)))
    if part.right:
        return part
    if not seen:
        part.says = "nothing could be tried"
        return part
    case, answer, truth, claimed, _ = next(row for row in seen if not row[-1])
    part.geometry = f"{case.words}: {case.text}"
    words = [c.words for c, *_, right in seen if right]
    part.where = f"{', '.join(words[:4])}{', ..' if len(words) > 4 else ''}" if words else ""
    evidence = [
        Evidence(t, c, r, a.gradients) for _, a, t, c, r in seen if c is not None and c.shape == t.gradient(name).shape
    ]
    unusable = _unusable(name, answer, truth, claimed)
    usable = [e for e in evidence if np.isfinite(e.claimed).all()]
    shown = any(not e.right and not e.truth.case.kink for e in usable)
    named = name_of(layer, name, usable, later) if unusable is None or shown else None
    if unusable is not None and named is None:
        part.mistake, part.says, part.hint = unusable
        return part
    if named is not None:
        part.mistake, part.says, part.hint = named
    if claimed is not None and claimed.shape == truth.gradient(name).shape:
        part.numbers = _both(name, claimed, truth.gradient(name))
    if not part.hint:
        part.hint = "Work one element out by hand at this geometry: which outputs does it reach, and how?"
    return part


def _unusable(name: str, answer: Answer, truth: Truth, claimed: np.ndarray | None) -> Named | None:
    """What keeps a gradient from being compared at all."""
    if claimed is None:
        if answer.trouble:
            where, kind, words = answer.trouble
            hint = "Read the line that is named: what are the shapes there?" if kind == "raises" else ""
            return Named(kind if where == "backward" else f"forward {kind}", words, hint)
        return Named("returns None", f"{name} is None", "Is it computed and returned?")
    wanted = truth.gradient(name).shape
    if claimed.shape != wanted:
        words = f"it has shape {claimed.shape}; a gradient has the shape of what it is of, {wanted}"
        if 0 in claimed.shape and truth.case.settings.get("pad") == 0:
            words += ". With padding 0 the slice [pad:-pad] is [0:0], which is empty"
        return Named("wrong shape", words, "Which shape does the input have?")
    if not np.isfinite(claimed).all():
        return Named("not finite", "it has infinities or nan", "Where is something divided by zero?")
    return None


def _both(what: str, claimed: np.ndarray, right: np.ndarray) -> str:
    if claimed.shape != right.shape or not right.size:
        return ""
    at, yours, wanted = describe(claimed, right)
    place = f"{what}{list(at)}" if at else what
    return f"There {place} is {yours:.6g} for you; it should be {wanted:.6g}"


# ---- a forward that is not known: its gradient by differences


def _own_gradients(
    cases: list[Try], answers: list[Answer], numbers: list[int], differences: Differences
) -> dict[int, Measured]:
    """{position: the gradients there} by differences of the student's forward, at a few geometries.

    They are the smallest, and small ones with several of everything: one channel hides what goes wrong with two.
    """
    found: dict[int, Measured] = {}
    usable = [i for i, a in enumerate(answers) if a.out is not None and not cases[i].kink]  # by size
    several = lambda i: -sum(n > 1 for a in cases[i].arrays.values() for n in a.shape)
    for i in dict.fromkeys([*usable[:1], *sorted(usable, key=several)[:2], *usable[1:]]):
        out = answers[i].out
        if out is None or len(found) >= _BY_DIFFERENCES:
            continue
        if (made := differences(numbers[i])) is not None:
            found[i] = Measured(cases[i], upstream(numbers[i], out.shape), made)
    return dict(sorted(found.items()))


def _measured(
    layer: Layer,
    name: str,
    cases: list[Try],
    answers: list[Answer],
    truths: list[Truth],
    own: dict[int, Measured],
) -> Part:
    """One gradient against differences of the student's own forward, which is not the course's.

    Where it computes what the course's does, the gradient is compared with the course's first.
    """
    if not own:
        return _gradient(layer, name, cases, answers, truths)
    outs = [(a.out, t.out) for a, t in zip(answers, truths, strict=True)]
    alike = [i for i, (made, right) in enumerate(outs) if made is not None and agrees(made, right)]
    if not layer.unknown and alike:
        there = [cases[i] for i in alike], [answers[i] for i in alike], [truths[i] for i in alike]
        part = _gradient(layer, name, *there)
        if not part.right:
            return part
    right, wrong = 0, None
    for i, standard in own.items():
        claimed = answers[i].gradients.get(name)
        if claimed is not None and standard.agrees(name, claimed):
            right += 1
        elif wrong is None:
            wrong = i
    part = Part(name, wrong is None, times=(right, len(own)))
    if wrong is None:
        part.says = "the gradient of your own forward, by differences"
        part.says += "" if layer.unknown else "; that forward is another function than the course's"
        return part
    part.geometry = f"{cases[wrong].words}: {cases[wrong].text}"
    claimed = answers[wrong].gradients.get(name)
    if (found := _unusable(name, answers[wrong], truths[wrong], claimed)) is not None:  # judged by its shape alone
        part.mistake, part.says, part.hint = found
        return part
    assert claimed is not None
    part.numbers = _both(name, claimed, own[wrong].gradient(name))
    if layer.unknown:
        claims = [(standard, answers[i].gradients.get(name)) for i, standard in own.items()]
        seen = [(m, c) for m, c in claims if c is not None and c.shape == m.gradient(name).shape]
        if len(seen) == len(own) and (told := measured_name(name, layer.outputs[name], seen)):
            part.mistake, part.says, part.hint = told
        return part
    course = _gradient(layer, name, cases, answers, truths)
    if course.right:
        part.mistake = ANOTHER
        part.says = "it is the gradient of the course's forward, but not of yours, which is another function"
        part.hint = "Do forward and backward compute the same layer?"
    elif course.mistake:
        part.mistake, part.says, part.hint = course.mistake, course.says, course.hint
    return part
