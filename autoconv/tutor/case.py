"""One question put to the tutor: the tape, what is asked, the claim, and the run at the user's own inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tape import Tape, Tensor
from .claim import Claim, Names
from .replay import Study
from .verdict import CounterExample, Verdict

LARGE = 100_000  # elements on a tape beyond which only the first level is written
LONG_EQUATION = 600  # characters beyond which an equation is cut to its first level


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
    """The gradient of one element as an equation, as text and LaTeX: down to the loss, or its first level if that is long."""
    from ..views.equations.explain import explain

    names = {name: line for name, line in case.names.lines.items() if not line.name}
    large = sum(line.size for line in case.tape) > LARGE
    try:
        made = explain((case.line, index), of=case.tape.outputs[0], names=names, depth=1 if large else None)
        if len(made.text) > LONG_EQUATION and not large:
            made = explain((case.line, index), of=case.tape.outputs[0], names=names, depth=1)
    except (TypeError, ValueError, RuntimeError):
        return "", ""
    return (made.text if len(made.text) <= LONG_EQUATION else ""), made.latex
