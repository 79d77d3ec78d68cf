"""One question put to the tutor: what is asked about (``target``), and all that belongs to it (``Case``)."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ...tape import Tape, Tensor, describe
from ..run.replay import Run
from ..verdict import CounterExample, Verdict
from .claim import Claim, Names

LARGE = 100_000  # elements on a tape beyond which only the first level is written
TERMS = 300  # of a sum beyond which it is not written out
LONG_EQUATION = 600  # characters beyond which an equation is cut to its first level


class Case:
    """All that belongs to one question: what is asked about, the claim, and the run at the user's own inputs.

    places: the flat indices of the elements of ``line`` that were asked for; shape: theirs.  claimed: the claim's
    numbers at the user's own inputs, of that shape.  output: what was asked, as it was given (a Tensor, a Scalar).
    """

    def __init__(
        self,
        tape: Tape,
        line: Tensor,
        places: np.ndarray,
        shape: tuple[int, ...],
        names: Names,
        read: Claim,
        run: Run,
        output: Any = None,
    ) -> None:
        self.output: Any = tape.outputs[0] if output is None else output
        self.tape, self.line, self.places, self.shape = tape, line, places, shape
        self.names, self.read, self.run = names, read, run
        self.claimed = np.zeros(shape)

    @property
    def flat(self) -> np.ndarray:
        return self.claimed.ravel()

    @property
    def truth(self) -> np.ndarray:
        return self.chosen(self.run)

    def chosen(self, run: Run) -> np.ndarray:
        """The gradient's elements that were asked for, in another run."""
        return np.asarray(run.gradient, dtype=float).ravel()[self.places]

    @property
    def gradient(self) -> np.ndarray:
        return self.truth.reshape(self.shape)

    @property
    def name(self) -> str:
        return self.names.of.get(id(self.line)) or self.line.name or "the gradient"

    @property
    def inputs(self) -> dict[str, Tensor]:
        """The tape's inputs and parameters by name, each by its first."""
        free = {id(line) for line in self.tape.inputs}
        of = self.names.of
        return {k: x for k, x in self.names.lines.items() if id(x) in free and of.get(id(x), k) == k}

    def verdict(self, kind: str, summary: str, **more: Any) -> Verdict:
        return Verdict(kind, summary, gradient=self.gradient, claim=self.read.given, **more)

    def counter_example(self, claimed: np.ndarray, run: Run | None = None) -> CounterExample | None:
        """The element with the largest difference, and its equation where ``explain`` has one."""
        truth = self.chosen(run or self.run)
        at = int(np.argmax(np.abs(claimed - truth)))
        index = tuple(int(i) for i in np.unravel_index(int(self.places[at]), self.line.shape))
        element = f"{self.name}[{', '.join(map(str, index))}]" if index else self.name
        equation = _equation(self, index) if run is None else ("", "")
        return CounterExample(element, float(claimed[at]), float(truth[at]), *equation)


def _equation(case: Case, index: tuple[int, ...]) -> tuple[str, str]:
    """The gradient of one element as an equation, as text and LaTeX; only its first level if the whole is long."""
    from ...views.equations.explain import explain

    if case.tape.of_scalars:
        return _equation_of_scalar(case)
    if _terms(case) > TERMS:
        return "", ""
    names = {name: line for name, line in case.names.lines.items() if not line.name}
    large = sum(line.size for line in case.tape) > LARGE
    try:
        explanation = explain((case.line, index), of=case.tape.outputs[0], names=names, depth=1 if large else None)
        if len(explanation.text) > LONG_EQUATION and not large:
            explanation = explain((case.line, index), of=case.tape.outputs[0], names=names, depth=1)
    except (TypeError, ValueError, RuntimeError):
        return "", ""
    return (explanation.text if len(explanation.text) <= LONG_EQUATION else ""), explanation.latex


def _equation_of_scalar(case: Case) -> tuple[str, str]:
    """The same where the output is a Scalar, whose program may be large: by the place of the line."""
    from ...views.equations.explain import explain_line

    place = next(i for i, line in enumerate(case.tape) if line is case.line)
    for depth in (None, 1):
        explanation = explain_line(case.output, place, case.names.given, depth)
        if len(explanation.text) <= LONG_EQUATION:
            return explanation.text, explanation.latex
    return "", explanation.latex


def _terms(case: Case) -> int:
    """How many terms the sum has that is the gradient of one element."""
    count = 0
    for reader, k, _ in case.run.received.get(id(case.run.wrt), []):
        if reader.primitive is not None and reader.primitive.name == "contract":
            left, result = reader.params["spec"].split("->")
            letters = left.split(",")
            sizes = {
                c: n
                for part, x in zip(letters, reader.operands, strict=True)
                for c, n in zip(part, x.shape, strict=True)
            }
            count += prod(sizes[c] for c in {*result, *letters[1 - k]} - {*letters[k]})
        else:
            count += reader.size // max(reader.operands[k].size, 1)
    return count


def target(wrt: Any, tape: Tape) -> tuple[Tensor, np.ndarray, tuple[int, ...]]:
    """The line asked about, the flat indices of the elements meant, and their shape."""
    on_tape = {id(line) for line in tape}
    if isinstance(wrt, Tensor) and id(wrt) in on_tape:
        line, places, shape = wrt, np.arange(wrt.size), wrt.shape
    else:
        from ...views.element import resolve

        try:
            line, places = resolve(wrt, tape)
        except (TypeError, ValueError) as error:
            raise type(error)(str(error).replace("focus:", "check: wrt:", 1)) from None
        shape = wrt.shape if isinstance(wrt, Tensor) else (() if places.size == 1 else places.shape)
    if line.constant:
        raise TypeError(f"check: {describe(line)} is a constant; it has no gradient")
    return line, places, shape
