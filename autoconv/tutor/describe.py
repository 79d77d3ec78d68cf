"""Findings in words: from what the search found to names, places and hints."""

from __future__ import annotations

import numpy as np

from ..render.text import number
from ..tape import Tape, Tensor
from .claim import Names
from .diagnose import REARRANGED, Found, Key
from .fit import nice
from .mistakes import BANK
from .verdict import Finding

FACTOR_TWO = "factor 2 or 1/2 of the loss"
SECOND_BACKWARD = "gradient doubled by a second backward"
FACTOR = "a constant factor"
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


def findings(found: Found, tape: Tape, names: Names, shape: tuple[int, ...], places: np.ndarray) -> list[Finding]:
    """The mistakes of one explanation, each with its place."""
    made = [_switched(key, tape, names) for key in found.keys]
    factor = found.fit.factor
    if factor < 0 and not (found.keys and abs(factor + 1) > 1e-9):
        made.append(_sign())
    size = abs(factor)
    if abs(size - 1) > 1e-9:
        made.append(_factor(factor if found.keys else size, found.fit.noise))
    for i in found.fit.slips:
        element = [int(n) for n in np.unravel_index(int(places[i]), shape)]
        made.append(
            Finding(
                SLIP,
                f"element {element}",
                "this element alone does not fit, all others do",
                "Calculate one element again: the numbers of one of them do not fit with the rest.",
                f"Look at element {element}.",
                "",
            )
        )
    if found.fit.noise and not made:
        percent = 100 * found.fit.noise
        made.append(
            Finding(
                NOISE,
                "",
                f"the numbers are right only to about {percent:.2g} %",
                "Where do your numbers lose their digits?",
                "Every element is slightly off.",
                "calculate in double precision",
            )
        )
    return made


def _sign() -> Finding:
    m = BANK["sign"]
    return Finding("sign", "", m.says, m.nudge, "Every element has the wrong sign.", m.show)


def _switched(key: Key, tape: Tape, names: Names) -> Finding:
    if key.name == REARRANGED:
        return Finding(
            REARRANGED,
            "",
            f"the numbers are those of the gradient after {key.way}",
            "Your numbers are all there. Are they in the right places?",
            "Compare the corners of your array with those of the gradient.",
            "write the index of each element out: which weight does element [0, 0] belong to?",
        )
    m = BANK[key.name]
    place = where(tape, tape[key.position] if key.position >= 0 else None, names)
    place = f"at every {key.kind}" if key.kind else place
    return Finding(
        m.name,
        f"{place}{f'; {key.way}' if key.way else ''}",
        m.says,
        m.nudge,
        f"Look {place}." if key.position >= 0 else "It happens at every such step.",
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
