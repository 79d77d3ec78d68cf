"""A diagnosis in words: the name, the place and the hints of every mistake in it."""

from __future__ import annotations

import numpy as np

from ...render.text import number
from ...tape import Tape, Tensor
from ..bank import BANK, Mistake
from ..bank.slips import FACTOR
from ..claim.claim import Names
from ..claim.compare import nice
from ..run.replay import Run
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
    diagnosis: Diagnosis, tape: Tape, names: Names, shape: tuple[int, ...], places: np.ndarray, run: Run
) -> list[Finding]:
    """The mistakes of one explanation, each with its place; ``run``: where it was found."""
    told = [_mutation(mutation, tape, names) for mutation in diagnosis.mutations]
    factor = diagnosis.match.factor
    if factor < 0 and not (diagnosis.mutations and abs(factor + 1) > 1e-9):
        told.append(_sign())
    size = abs(factor)
    if abs(size - 1) > 1e-9:
        told.append(_counted(size, run) or _factor(factor if diagnosis.mutations else size, diagnosis.match.noise))
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
    line = tape[mutation.position] if mutation.position >= 0 else None
    nudge, show = _at_hand(m, mutation, line)
    place = where(tape, line, names)
    place = f"at every {mutation.kind}" if mutation.kind else place
    return Finding(
        m.name,
        f"{place}{f'; {mutation.variant}' if mutation.variant else ''}",
        m.says,
        nudge,
        f"Look {place}." if mutation.position >= 0 else "It happens at every such step.",
        show,
    )


# what the derivative of a function is, in terms of its input x and its output y
_DERIVATIVES = {
    "tanh": "tanh' = 1 - y^2", "exp": "exp' = y", "sigmoid": "sigmoid' = y (1 - y)", "sqrt": "sqrt' = 1 / (2 y)",
    "log": "log' = 1 / x", "sin": "sin' = cos x", "cos": "cos' = -sin x", "softplus": "softplus' = sigmoid(x)",
}  # fmt: skip
_OF_FUNCTIONS = {
    "derivative taken at the output", "input where the output belongs", "derivative of a call taken at its output",
    "square in the derivative forgotten", "reciprocal forgotten", "operands swapped",
}  # fmt: skip


def _at_hand(m: Mistake, mutation: Mutation, line: Tensor | None) -> tuple[str, str]:
    """A mistake's nudge and rule, for the function at hand and no other."""
    row = mutation.kind or (line.primitive.name if line is not None and line.primitive is not None else "")
    if m.name == "operands swapped":
        rule = {
            "mul": "d(a b)/da = b", "sub": "d(a - b)/db = -1", "div": "d(a / b)/db = -a / b^2",
            "power": "d(a^n)/da = n a^(n-1)",
        }.get(row)  # fmt: skip
        return (m.nudge if row == "mul" else "Which operand is it that you differentiate by?"), rule or m.show
    if m.name not in _OF_FUNCTIONS or row not in _DERIVATIVES:
        return m.nudge, m.show
    return f"What is the derivative of {row}, and of what is it a formula: the input or the output?", (
        f"with y = {row}(x): {_DERIVATIVES[row]}"
    )


def _counted(factor: float, run: Run) -> Finding | None:
    """A factor that is the number of examples, positions, ..: a mean for a sum, or a sum for a mean."""
    if factor in (2.0, 0.5) and run.squares:
        return None
    number = max(factor, 1 / factor)
    n = round(number)
    if abs(n - number) > 1e-6 * number or n not in run.counts:
        return None if factor in (2.0, 0.5) else _miscounted(factor, run)
    m = BANK["sum instead of mean" if factor > 1 else "mean instead of sum"]
    done = "multiplied" if factor > 1 else "divided"
    return Finding(
        m.name,
        f"{done} by {n:,}, the number of {run.counts[n]}",
        m.says,
        m.nudge,
        f"Count: what is there {n:,} of, and where does your code divide by it?",
        m.show,
    )


def _factor(factor: float, noise: float) -> Finding:
    exact = nice(factor)
    about = "about " if noise else ""
    size = f"{factor:.2g}" if noise else number(float(factor))
    if exact in (2.0, 0.5) and not noise:
        return factor_two(factor)
    return Finding(
        FACTOR,
        "",
        f"every element is {about}{size} times the gradient",
        "Is your loss a sum or a mean? Over how many numbers?",
        "The shape of the gradient is right everywhere, its size is not: look at what multiplies all of it.",
        f"divide by {size}",
    )


def _miscounted(factor: float, run: Run) -> Finding | None:
    """A mean over another number of terms than there are."""
    for right in run.divisors:
        for wrong in run.counts:
            if right != wrong and abs(right / wrong / factor - 1) < 1e-9:
                m = BANK["divided by the wrong count"]
                told = f"by {wrong:,}, the number of {run.counts[wrong]}, where the mean is over {right:,}"
                return Finding(m.name, told, m.says, m.nudge, f"Count the terms of the mean: {right:,}.", m.show)
    return None


def factor_two(factor: float) -> Finding:
    """A factor 2 or 1/2: that of a square, or of a loss with 1/2 in front."""
    return Finding(
        FACTOR_TWO,
        "",
        f"every element is {number(float(abs(factor)))} times the gradient",
        "What is the derivative of a square, and does your loss have a factor 1/2 in front?",
        "Look at the first step of the backward pass: the derivative of the loss.",
        "E = (y - t)^2 has dE/dy = 2 (y - t); E = 1/2 (y - t)^2 has dE/dy = y - t",
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
