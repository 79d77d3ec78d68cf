"""The lines with which what is wrong is right: what a search of the source offers is judged here like any answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ..tutor.bank import BANK
from .asking import Answer
from .layer import Layer
from .naming import ONE_SIGN
from .repair import Mend, Offer, Row, Sought, harmless
from .truth import Standard, Truth, close, right_claim
from .verdict import FORWARD, Fix, Part

ANOTHER = "gradient of another forward"
SAME = "Do your forward and your backward compute the same layer?"
CHANGED = "With the forward changed as it says above"
TELLING = 4  # numbers from which on a geometry tells one change from another
VAGUE = (
    "a constant factor", "factor 2 or 1/2 of the loss", "multiplied by what does not belong here",
    "summed or averaged before it was used", "x where x-hat belongs", "left at zero in places",
)  # fmt: skip
"""Names that say what the numbers are and not what was written: a line of the source says more."""
WIDE = ("local derivative forgotten", "only the diagonal of a Jacobian", "zero everywhere")
"""Names that leave open of which line: one is looked for as long as if there were no name."""
Judged = Callable[[str, list[Answer]], Part]  # a gradient of answers with the course's forward


def mend_gradients(
    layer: Layer,
    answers: list[Answer],
    standards: Mapping[int, Standard],
    numbers: list[int],
    parts: dict[str, Part],
    mend: Mend,
) -> None:
    """Add to each wrong gradient the change of its source with which it is right, if one is found that is none other's
    loss.

    standards: the right numbers, at the positions where they are known.  What comes back is only a suggestion until
    its answers were judged here like any others.
    """
    wrong = [g for g in layer.outputs if not parts[g].right and parts[g].mistake != ANOTHER and parts[g].times[1]]
    plain = [(i, t) for i, t in standards.items() if not t.case.kink]  # what is wrong at equal values alone has no line
    wrong = [g for g in wrong if any(not _right(t, g, answers[i]) for i, t in plain)]
    right = [g for g in layer.outputs if parts[g].right]
    rows, first = list[Row](), list[Row]()
    for i, truth in plain:
        right_there = {g: (truth.gradient(g), truth.size(g)) for g in layer.outputs}
        row = Row(numbers[i], right_there, bool(answers[i].trouble))
        shown = any(not _right(truth, g, answers[i]) and truth.gradient(g).size >= TELLING for g in wrong)
        (first if shown else rows).append(row)
    if not wrong or not first + rows:
        return
    known = tuple(g for g in wrong if parts[g].mistake not in (None, "raises", *WIDE) and not _vague(parts[g]))
    relative = max(truth.relative for truth in standards.values())
    for offer in mend(Sought(wrong, right, first + rows, relative, known)):
        if _offered(offer, answers, standards, numbers, right):
            for gradient in offer.gradients:
                if gradient in wrong and not parts[gradient].fixes:
                    after = [(t, offer.answers[numbers[i]]) for i, t in standards.items()]
                    left = [t.case.words for t, a in after if not _right(t, gradient, a)]
                    _told_by(parts[gradient], [offer.fixes[i] for i in offer.gradients[gradient]], left)


def _right(truth: Standard, gradient: str, answer: Answer) -> bool:
    return right_claim(truth, gradient, answer.gradients.get(gradient))


def _whole(offer: Offer, numbers: list[int]) -> bool:
    """Whether an offer has a line for each of its places, and an answer at each geometry."""
    return 0 < len(offer.fixes) == len(offer.places) and len(offer.answers) > max(numbers)


def for_the_course(part: Part) -> None:
    """Say of a gradient that it is that of the course's forward, and not of the student's."""
    part.mistake, part.says, part.hint = ANOTHER, "it is the gradient of the course's forward, but not of yours", SAME


def _offered(
    offer: Offer, answers: list[Answer], standards: Mapping[int, Standard], numbers: list[int], right: list[str]
) -> bool:
    """Whether with the offered change a gradient is right at every geometry, those that were right still are, and the
    forward is what it was."""
    if not _whole(offer, numbers):
        return False
    for i, truth in standards.items():
        before, after = answers[i], offer.answers[numbers[i]]
        if after.trouble or not harmless(before, after):
            return False  # right at somebody else's cost
        wrong_still = [g for g in (*offer.gradients, *right) if not _right(truth, g, after)]
        if any(not truth.case.kink or _right(truth, g, before) for g in wrong_still):
            return False  # where two competitors are equal, another mistake may remain
    return True


def _vague(part: Part) -> bool:
    said = part.says == ONE_SIGN.says or "It explains" in part.says
    return said or part.mistake in VAGUE or two_mistakes(part)


def two_mistakes(part: Part) -> bool:
    """Whether two mistakes together are told."""
    return " and " in (part.mistake or "") and part.mistake not in BANK


def _told_by(part: Part, fixes: list[Fix], left: list[str]) -> None:
    """The change told: beside a mistake that is named already, or in place of one; left: where it is wrong still."""
    part.fixes, part.left = fixes, left
    if part.mistake is None or _vague(part):
        part.says = ""
        kinds = list(dict.fromkeys(fix.kind for fix in fixes))
        part.mistake, part.hint = " and ".join(kinds), fixes[0].hint


def mend_forward(
    layer: Layer,
    answers: list[Answer],
    truths: list[Truth],
    numbers: list[int],
    parts: dict[str, Part],
    mend: Mend,
    judged: Judged,
) -> None:
    """Add to a wrong forward the change of its source with which it is right at every geometry, if one is found; and
    say of the gradients that are not right what they are with it.

    truths: of the course's forward, at all geometries.  judged: judges a gradient of other answers against them.
    """
    off = lambda i, answer: answer.out is None or not agrees(answer.out, truths[i].out)
    right = [
        g for g in layer.outputs if layer.loss and all(_right(t, g, a) for t, a in zip(truths, answers, strict=True))
    ]
    first, rows = list[Row](), list[Row]()
    for i, (truth, answer) in enumerate(zip(truths, answers, strict=True)):
        there = {FORWARD: (truth.out, float(np.abs(truth.out).max(initial=0.0)))}
        there |= {g: (truth.gradient(g), truth.size(g)) for g in right}
        row = Row(numbers[i], there, answer.out is None)
        (first if off(i, answer) and truth.out.size >= TELLING else rows).append(row)
    for offer in mend(Sought([FORWARD], right, first + rows)):
        if not _whole(offer, numbers):
            continue
        after = [offer.answers[n] for n in numbers]
        if any(off(i, a) or not harmless(answers[i], a, forward=True) for i, a in enumerate(after)):
            continue
        if any(not _right(truths[i], g, a) for g in right for i, a in enumerate(after)):
            continue
        _told_by(parts[FORWARD], offer.fixes, [])
        for gradient in [] if layer.loss else layer.outputs:
            if not parts[gradient].right:
                _with_forward(parts, gradient, judged(gradient, after))
        return


def _with_forward(parts: dict[str, Part], gradient: str, changed: Part) -> None:
    """Say of a gradient that is not right what it is with the forward mended."""
    own = parts[gradient]
    if changed.right:
        if own.mistake is None or not own.mistake.startswith("forward "):  # else there was none
            for_the_course(own)
        own.notes.append(f"{CHANGED}, it is RIGHT")
    elif changed.mistake and own.mistake in (None, ANOTHER):
        changed.notes.append(f"{CHANGED}: there it was judged")
        parts[gradient] = changed


def agrees(out: np.ndarray, wanted: np.ndarray) -> bool:
    """Whether an output is the wanted one; a single number may have any shape."""
    size = float(np.abs(wanted).max(initial=0.0))
    return close(out, wanted, size) or (out.size == wanted.size == 1 and close(out.reshape(wanted.shape), wanted, size))
