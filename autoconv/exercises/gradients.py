"""Blanks in gradient arrays: dC/dw beside what it follows from: the gradient that arrives, and what was read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..tape import Tensor
from ..tutor.bank.slips import slips_of
from ..views.equations.terms import Sum
from .equations import spread
from .given import array, program, values
from .run import ScalarRun
from .sheet import Candidate, Part, Prose, Quantity, Sheet

LARGEST = 150  # elements of an array that is written down
MARGIN = 3


def gradients(
    run: ScalarRun, wanted: Sequence[tuple[Tensor, np.ndarray]], count: int, rng: np.random.Generator
) -> Sheet:
    """A sheet of gradient arrays, one tensor after the other at random, until ``count`` blanks can be chosen."""
    candidates: dict[Quantity, Candidate] = {}
    asked: dict[int, Part] = {}
    arriving: dict[int, Tensor] = {}
    needed: dict[int, None] = {}
    listed = program(run)

    def around(parts: Sequence[Part]) -> list[Part]:
        incoming: list[Part] = [array(run, x, True) for x in arriving.values() if id(x) not in asked]
        head: list[Part] = [Prose("Given", "heading"), *values(run, needed), *incoming] if needed or incoming else []
        return [*listed, *head, Prose("Gradients", "heading")]

    sheet = Sheet(
        "Gradient arrays",
        "Fill in the numbered blanks of the gradient arrays from the values and the gradients that are given.",
        [],
        candidates,
        run.exact,
        complete=around,
    )
    order = [wanted[int(k)] for k in rng.permutation(len(wanted))]
    waiting = [(x, places) for x, places in order if x.size <= LARGEST]
    while waiting and (len(asked) < 2 or len(sheet.available()) < count + MARGIN):
        x, places = waiting.pop(0)
        step = _Step(run, x)
        if id(x) in asked or not step.fits:
            continue
        asked[id(x)] = array(run, x, True)
        sheet.parts = [*sheet.parts, asked[id(x)]]
        arriving |= {id(t): t for t in step.targets}
        needed |= step.needed
        candidates.update({q: c for q, c in step.candidates.items() if q[1] in step.scalars[places]})
    return sheet


class _Step:
    """From the gradients of the tensors that read ``x`` to the gradient of x: what is read, and every element's sum."""

    def __init__(self, run: ScalarRun, x: Tensor) -> None:
        self.scalars = run.flat.scalars(x).ravel()
        self.targets: list[Tensor] = []
        self.needed: dict[int, None] = {}
        self.candidates: dict[Quantity, Candidate] = {}
        self.fits = True
        targets: dict[int, Tensor] = {}
        for i in dict.fromkeys(int(s) for s in self.scalars):
            whole = run.context.sum(i)
            targets |= {id(t): t for t in whole.targets if t.size > 1 or not _is_output(run, t)}
            if not i or not self._read(run, whole) or any(t.size > LARGEST for t in targets.values()):
                self.fits = False
                return
            local = [t.local for t in whole.terms]
            upstream = [t.upstream if t.delta else 1 for t in whole.terms]
            says = f"d{run.context.of.text}/d{run.symbols.element(i).text}"
            self.candidates[("gradient", i)] = Candidate(
                whole.total, says, spread(local, upstream), slips_of(whole.total, local, upstream)
            )
        self.targets = list(targets.values())

    def _read(self, run: ScalarRun, whole: Sum) -> bool:
        """Note the values that the local derivatives of an element follow from; False if they are too many."""
        for term in whole.terms:
            partner = term.partner
            read = [partner] if partner else [] if partner == 0 else run.boundary(term.scalar)
            if read is None:
                return False
            self.needed |= dict.fromkeys(read)
        return True


def _is_output(run: ScalarRun, x: Tensor) -> bool:
    return x.size == 1 and int(run.flat.scalars(x).ravel()[0]) == run.context.analysis.output
