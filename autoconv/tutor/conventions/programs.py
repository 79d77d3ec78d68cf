"""Claims that are right for another program: another forward pass, reduction or tie, or weights mixed in.

First whether the claim is the gradient of such a program, and then the programs: the same sweep over a tape that
differs in a convention (a rotated kernel, another order of flattening), and other ways to reduce the loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, permutations
from math import prod

import numpy as np

from ... import primitives as p
from ...tape import Tape, Tensor
from ..claim.case import Case
from ..claim.compare import Match, compare, equal, scale_of
from ..run.replay import Change, Run
from ..run.site import Contraction, Site, stored
from ..search.search import Diagnosis, Search
from ..verdict import Finding, Verdict
from .forwards import is_bias
from .ties import tie_rules

DECAY, RATE = 1.0, 10.0  # the largest weight decay and learning rate that are believed
BIASES = 60  # more of them are not taken away one by one
LARGE = 300_000  # elements on a tape beyond which pairs of other forwards are not tried


def other_forward(case: Case, search: Search, exact: bool) -> tuple[str, Match] | None:
    """The program under which the claim is right, or (unless ``exact``) right up to a sign and a factor."""
    changes = list(forwards(case.tape))
    several = [] if exact or sum(line.size for line in case.tape) > LARGE else combined(changes)
    for what, change in [*changes, *several, *subtracted(case.tape)]:
        match = _fitting(case, search, change, exact)
        if match is None:
            continue
        reduced = next((text for text, factor in reductions(case.tape) if abs(match.factor / factor - 1) < 1e-6), "")
        if reduced and match.factor not in _ORDINARY:
            return f"{what}, and {reduced}", Match()
        return what, match
    return None


def _fitting(case: Case, search: Search, change: Change, exact: bool) -> Match | None:
    """How the claim fits the gradient of the changed program in all runs."""
    gradients = []
    for run, claimed in zip(search.runs, search.claimed, strict=True):
        other = Run(case.tape, case.line, {line: run.of(line).value for line in case.tape.inputs}, change)
        if other.gradient.shape != run.gradient.shape:
            return None
        gradients.append(case.chosen(other))
        if exact and not equal(claimed, gradients[-1], search.tolerance):
            return None
    if all(equal(c, m, search.tolerance) for c, m in zip(search.claimed, gradients, strict=True)):
        return Match()
    match = compare(np.concatenate(search.claimed), np.concatenate(gradients), search.tolerance, case.places.size)
    return match if match and not match.slips else None


_ORDINARY = (1.0, -1.0, 2.0, 0.5, -2.0, -0.5)  # factors with other causes than a mean in place of a sum


def other_reduction(case: Case, diagnoses: list[Diagnosis]) -> str:
    """The loss whose gradient this is, if it differs from the recorded one in mean and sum alone."""
    plain = next(
        (f.match.factor for f in diagnoses if not f.mutations and not f.match.slips and not f.match.noise), 1.0
    )
    if plain in _ORDINARY:
        return ""
    return next((what for what, factor in reductions(case.tape) if abs(plain / factor - 1) < 1e-6), "")


def tied_fit(search: Search) -> tuple[str, Match] | None:
    """A sign or a factor on top of another way to break ties."""
    if len(search.runs) == 1:
        for convention, rules in tie_rules(search.runs[0]):
            tied = search.chosen(search.runs[0].with_rules(rules))
            match = compare(search.claimed[0], tied, search.tolerance, tied.size) if np.any(tied) else None
            if match and not match.slips:
                return f"this program with its ties broken otherwise ({convention})", match
    return None


def with_weights(case: Case, search: Search) -> Verdict | None:
    """claim = a gradient + b w: the weights after a step, or the gradient with the penalty of weight decay in it."""
    run = search.runs[0]
    w, truth, claim = search.chosen(run.wrt.value), search.truth(), search.claimed[0]
    if len(search.runs) > 1 or claim.size < 6:
        return None
    (a, b), *_ = np.linalg.lstsq(np.stack([truth, w], axis=1), claim, rcond=None)
    if not equal(claim, a * truth + b * w, search.tolerance) or abs(a) * scale_of(truth) < 1e-9 * scale_of(claim):
        return None
    if abs(b - 1) < 1e-6 and -RATE <= a < 0:
        finding = Finding(
            "new weights instead of the gradient", "",
            f"the numbers are {case.name} - {-a:.4g} times the gradient: the weights after a step",
            "Is it the gradient that you have, or what becomes of the weights?",
            "Subtract the old weights from your numbers.",
            f"the gradient is (old - new) / {-a:.4g}",
        )  # fmt: skip
        return case.verdict("wrong", "this is not the gradient, but the new weights.", mistakes=[finding])
    if abs(a - 1) < 1e-6 and 0 < b <= DECAY:
        penalty = f"{b / 2:.4g} * sum({case.name}**2)"
        text = f"your backward is right for a loss with {penalty} added (weight decay); this loss has no such term."
        return case.verdict("right for another forward", text, hints={"nudge": "Which terms does the loss have?"})
    return None


# ---- the other programs


def forwards(tape: Tape) -> Iterator[tuple[str, Change]]:
    """Other forward programs, by what differs: kernels rotated (one of them, or all), flattening in another order."""
    turned = [line for line in tape if _kernel(line)]
    single = [(f", in convolution number {i + 1} alone", [line]) for i, line in enumerate(turned)]
    for where, lines in [("", turned), *(single if len(turned) > 1 else [])]:
        if lines:
            flipped = any(_reversed(line) for line in lines)
            what = (
                "a cross-correlation (the kernel not rotated)" if flipped else "a true convolution (the kernel rotated)"
            )
            yield f"{what}{where}", _rotate({id(line) for line in lines})
    for line in tape:
        if line.primitive is p.reshape and not line.constant:
            shape = line.operands[0].shape
            lead = 1 if line.ndim > 1 and line.shape[0] == shape[0] else 0
            merged = [i for i in range(lead, len(shape)) if shape[i] > 1]
            if line.ndim == lead + 1 and 2 <= len(merged) <= 4:
                for order in permutations(merged):
                    if order != tuple(merged):
                        axes = list(range(len(shape)))
                        for at, axis in zip(merged, order, strict=True):
                            axes[at] = axis
                        yield f"flattening in the order of axes {tuple(axes)}", _reorder(id(line), tuple(axes))


def subtracted(tape: Tape) -> Iterator[tuple[str, Change]]:
    """The programs that subtract a bias: each, and all."""
    found = {
        id(line): k
        for line in tape
        if line.primitive is p.add and not line.constant
        for k in (1, 0)
        if is_bias(line.operands[k]) and not stored(line.operands[1 - k])
    }
    if 0 < len(found) <= BIASES:
        yield "a forward pass that subtracts every bias" if len(found) > 1 else _SUBTRACTS, _subtract(found)
        for line, k in found.items() if len(found) > 1 else ():
            yield _SUBTRACTS, _subtract({line: k})


_SUBTRACTS = "a forward pass that subtracts the bias"


def _subtract(chosen: dict[int, int]) -> Change:
    def change(line: Tensor, operands: list[Tensor]) -> Tensor | None:
        k = chosen.get(id(line))
        return None if k is None else p.sub(operands[1 - k], operands[k])

    return change


def _kernel(line: Tensor) -> Contraction | None:
    """The contraction of a convolution whose window is larger than one cell."""
    if line.primitive is not p.contract or line.constant:
        return None
    for k in (0, 1):
        c = Contraction(Site(line, k))
        if c.is_kernel and any(line.operands[k].shape[i] > 1 for i in c.window(c.own)):
            return c
    return None


def _reversed(line: Tensor) -> bool:
    """Whether the kernel of this contraction was rotated before (flip=True)."""
    for x in line.operands:
        while x.primitive in (p.reshape, p.cast):
            x = x.operands[0]
        if x.primitive is p.flip:
            return True
    return False


def _rotate(lines: set[int]) -> Change:
    def change(line: Tensor, operands: list[Tensor]) -> Tensor | None:
        c = _kernel(line) if id(line) in lines else None
        if c is None:
            return None
        k = next(k for k in (0, 1) if Contraction(Site(line, k)).is_kernel)
        turned = list(operands)
        turned[k] = p.flip(turned[k], axis=c.window(c.own))
        return p.contract(*turned, **line.params)

    return change


def _reorder(chosen: int, axes: tuple[int, ...]) -> Change:
    def change(line: Tensor, operands: list[Tensor]) -> Tensor | None:
        if id(line) != chosen:
            return None
        return p.reshape(p.permute_dims(operands[0], axes=axes), **line.params)

    return change


def combined(changes: list[tuple[str, Change]]) -> Iterator[tuple[str, Change]]:
    """Two differences at once, of different kinds."""
    for (one, first), (two, second) in combinations(changes, 2):
        if one.startswith("flattening") != two.startswith("flattening"):

            def both(line: Tensor, operands: list[Tensor], a: Change = first, b: Change = second) -> Tensor | None:
                changed = a(line, operands)
                return b(line, operands) if changed is None else changed

            yield f"{one}, and {two}", both


def reductions(tape: Tape) -> Iterator[tuple[str, float]]:
    """Other ways to reduce the loss (a mean for a sum, a sum for a mean), and by what factor the gradient differs."""
    line, sizes, constants = tape.outputs[0], list[int](), list[float]()
    while line.primitive is not None:
        name, through = line.primitive.name, line.operands[0]
        if name in ("div", "mul") and line.size == 1:
            k = 0 if name == "mul" and line.operands[0].constant else 1
            if not line.operands[k].constant:
                break
            number, through = float(line.operands[k].value.reshape(())), line.operands[1 - k]
            constants.append(number if name == "div" else 1 / number if number else 0.0)
        elif name == "sum":
            sizes += [through.shape[a] for a in line.params["axis"]]
        elif not line.primitive.rearranges:
            break
        line = through
    counts = sorted({1, *sizes[:1], prod(sizes)})  # a sum, a mean over the examples, a mean over all
    here = next((n for n in reversed(counts) if n > 1 and any(abs(c - n) < 1e-6 * n for c in constants)), 1)
    recorded = f"here it is a mean over {here:,}" if here > 1 else "here it is a sum"
    for n in counts:
        if n != here:
            what = f"a loss that is the mean over {n:,} terms" if n > 1 else "a loss that is the sum of its terms"
            yield f"{what} ({recorded})", here / n
