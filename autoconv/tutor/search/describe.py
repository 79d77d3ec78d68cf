"""A diagnosis in words: the name, the place and the hints of every mistake in it."""

from __future__ import annotations

import numpy as np

from ...render.text import number
from ...tape import Tape, Tensor
from ..bank import BANK
from ..bank.slips import FACTOR
from ..claim.claim import Names
from ..claim.compare import nice
from ..verdict import Finding
from .search import REARRANGED, Diagnosis, Mutation

FACTOR_TWO = "factor 2 or 1/2 of the loss"
SECOND_BACKWARD = "gradient doubled by a second backward"
SLIP = "an arithmetic slip"
NOISE = "imprecise numbers"


def where(tape: Tape, line: Tensor | None, names: Names) -> str:
    """A place of the tape for a reader: the call, the row, and the name or number of the line."""
    if line is None:
        return "everywhere"
    position = next(i for i, x in enumerate(tape) if x is line)
    known = names.of.get(id(line))
    what = "" if line.primitive is None else line.primitive.name
    call = f" in {line.scope.path[0].name}" if line.scope else ""
    name = known or f"line %{position}"
    return f"at {name}, {what}{call}" if what else f"at {name}"


def findings(
    diagnosis: Diagnosis, tape: Tape, names: Names, shape: tuple[int, ...], places: np.ndarray
) -> list[Finding]:
    """The mistakes of one explanation, each with its place."""
    told = [_mutation(mutation, tape, names) for mutation in diagnosis.mutations]
    factor = diagnosis.match.factor
    if factor < 0 and not (diagnosis.mutations and abs(factor + 1) > 1e-9):
        told.append(_sign())
    size = abs(factor)
    if abs(size - 1) > 1e-9:
        told.append(_factor(factor if diagnosis.mutations else size, diagnosis.match.noise))
    for i in diagnosis.match.slips:
        element = [int(n) for n in np.unravel_index(int(places[i]), shape)]
        told.append(
            Finding(
                SLIP,
                f"element {element}",
                "this element alone does not fit, all others do",
                "Calculate one element again: the numbers of one of them do not fit with the rest.",
                f"Look at element {element}.",
                "",
            )
        )
    if diagnosis.match.noise and not told:
        percent = 100 * diagnosis.match.noise
        told.append(
            Finding(
                NOISE,
                "",
                f"the numbers are right only to about {percent:.2g} %",
                "Where do your numbers lose their digits?",
                "Every element is slightly off.",
                "calculate in double precision",
            )
        )
    return told


def _sign() -> Finding:
    m = BANK["sign"]
    return Finding("sign", "", m.says, m.nudge, "Every element has the wrong sign.", m.show)


def _mutation(mutation: Mutation, tape: Tape, names: Names) -> Finding:
    if mutation.name == REARRANGED:
        return Finding(
            REARRANGED,
            "",
            f"the numbers are those of the gradient after {mutation.variant}",
            "Your numbers are all there. Are they in the right places?",
            "Compare the corners of your array with those of the gradient.",
            "write the index of each element out: which weight does element [0, 0] belong to?",
        )
    m = BANK[mutation.name]
    place = where(tape, tape[mutation.position] if mutation.position >= 0 else None, names)
    place = f"at every {mutation.kind}" if mutation.kind else place
    return Finding(
        m.name,
        f"{place}{f'; {mutation.variant}' if mutation.variant else ''}",
        m.says,
        m.nudge,
        f"Look {place}." if mutation.position >= 0 else "It happens at every such step.",
        m.show,
    )


def _factor(factor: float, noise: float) -> Finding:
    exact = nice(factor)
    about = "about " if noise else ""
    size = f"{factor:.2g}" if noise else number(float(factor))
    if exact in (2.0, 0.5) and not noise:
        return Finding(
            FACTOR_TWO,
            "",
            f"every element is {size} times the gradient",
            "What is the derivative of a square, and does your loss have a factor 1/2 in front?",
            "Look at the first step of the backward pass: the derivative of the loss.",
            "E = (y - t)^2 has dE/dy = 2 (y - t); E = 1/2 (y - t)^2 has dE/dy = y - t",
        )
    return Finding(
        FACTOR,
        "",
        f"every element is {about}{size} times the gradient",
        "Is your loss a sum or a mean? Over how many numbers?",
        "The shape of the gradient is right everywhere, its size is not: look at what multiplies all of it.",
        f"divide by {size}",
    )


def doubled() -> Finding:
    """The other explanation of a factor 2."""
    return Finding(
        SECOND_BACKWARD,
        "",
        "every element is 2 times the gradient",
        "Was backward called twice without clearing .grad in between?",
        "Look at where .grad is set to None.",
        "set w.grad = None (or optimizer.zero_grad()) before every backward",
    )
