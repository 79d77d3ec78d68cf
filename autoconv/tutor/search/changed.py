"""One array is not what it should be, where it is used in the backward pass; the rules themselves are right.

what arrives       at one line is reversed, summed, bent, read in another order  (see ``changes``)
a kept array       the factor of a product is
what is picked     the elements that an index picks are wrong, all others right; or those alone are right
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from ...tape import Tensor
from ..run.replay import Run
from ..run.site import carried, unmoved
from .changes import OTHERS, RIGHT_CLASS, Change, turned
from .fitted import Array, Found, line_at, moved, said, telling, with_factor
from .search import Search

STEPS = 30  # lines that are looked at
SMALL, TRY = 2_000, 0.02  # elements beyond which an array is not changed; the sweeps that a change counts as
_ONE = np.ones(1)


def arriving(search: Search) -> Iterator[Found]:
    """What arrives at one line is not what should arrive there; the rules before and behind it are right."""
    run = search.runs[0]
    if not telling(search):
        return
    inner = [s.line for s in run.steps if s.line is not run.loss]
    for line in [x for x in inner if 1 < x.size <= SMALL and x.ndim][:STEPS]:
        arrives = run.cotangent[id(line)]
        for change in turned(arrives):
            if search.spent(TRY):
                return
            if not search.probes.exact(search.probes.base, line, change.made - arrives, _ONE):
                continue
            position = run.position(line)
            words = f"it is the gradient for {change.says.format(a=f'what arrives at {said(run, position)}')}"

            def made(other: Run, position: int = position, says: str = change.says) -> Array | None:
                line = line_at(other, position)
                if line is None or id(line) not in other.cotangent:
                    return None
                arrives = other.cotangent[id(line)]
                same = next((c for c in turned(arrives, every=True) if c.says == says), None)
                return None if same is None else moved(other, (line, same.made - arrives))

            yield Found(change.name, words, position, made)


def kept(search: Search) -> Iterator[Found]:
    """The factor of a product is not the array that it was in the forward pass."""
    run = search.runs[0]
    if not telling(search):
        return
    for step in run.steps:
        row = step.line.primitive.name if step.line.primitive else ""
        if row not in ("mul", "contract") or len(step.line.operands) != 2 or step.line.size > SMALL:
            continue
        position = run.position(step.line)
        for k, *_ in step.contributions:
            factor = step.line.operands[1 - k]
            if factor.size > SMALL or (factor.constant and row == "mul" and run.weighed(step.line)):
                continue
            for source in dict.fromkeys([unmoved(factor)[0], factor]) if not factor.constant else [factor]:
                for change in turned(source.value.astype(float)) if 1 < source.size <= SMALL else ():
                    if search.spent(TRY):
                        return
                    other = _with_change(run, step.line, k, source, change)
                    if other is None or not search.probes.exact(search.probes.base, *other, _ONE):
                        continue
                    of = f"{said(run, run.position(source))}, in the gradient of {said(run, position)}"
                    words = f"it is the gradient for {change.says.format(a=of)}"
                    at = (position, k, source is factor, change.says)
                    yield Found(change.name, words, position, partial(_made_with, at))


def _with_change(run: Run, line: Tensor, k: int, source: Tensor, change: Change) -> tuple[Tensor, Array] | None:
    """(line, by how much its cotangent changes) where the array that the factor of a product comes from is changed."""
    factor = line.operands[1 - k]
    moves = [] if source is factor else unmoved(factor)[1]
    return with_factor(run, line, k, carried(change.made, moves))


def _made_with(at: tuple[int, int, bool, str], run: Run) -> Array | None:
    position, k, itself, says = at
    line = line_at(run, position)
    if line is None or len(line.operands) != 2:
        return None
    factor = line.operands[1 - k]
    source = factor if itself else unmoved(factor)[0]
    same = next((c for c in turned(source.value.astype(float), every=True) if c.says == says), None)
    return None if same is None else moved(run, _with_change(run, line, k, source, same))


# ---- what an index picks


def picked(search: Search) -> Iterator[Found]:
    """All elements but those that an index of the forward picks are right; or those alone."""
    run, claimed = search.runs[0], search.claimed[0]
    truth = run.gradient.ravel()
    right = np.abs(claimed - truth) <= search.tolerance.of(truth, float(np.abs(truth).max(initial=0.0)))
    for step in run.steps:
        line = step.line
        if line.primitive is None or line.primitive.name != "take" or not _plain(run, line):
            continue
        there = run.partial(line, np.ones(line.shape)).ravel() > 0
        for where, name, words in (
            (there, RIGHT_CLASS, "are wrong, all others are right"),
            (~there, OTHERS, "are right, the others are not"),
        ):
            telling = where & ((truth != 0) | (claimed != 0))
            if right[~where].all() and (truth[~where] != 0).sum() > 1 < telling.sum() and not right[telling].any():
                says = f"the elements that the index picks (those of the right class) {words}"
                made = claimed.reshape(run.gradient.shape)
                yield Found(name, says, run.position(line), partial(_only_here, run, made))


def _only_here(run: Run, made: Array, other: Run) -> Array | None:
    return made if other is run else None


def _plain(run: Run, line: Tensor) -> bool:
    """Whether a line picks elements of the tensor asked about itself, in the user's own program."""
    if run.site(line, 0).composed:
        return False
    x = line.operands[0]
    while x is not run.wrt and x.primitive is not None and x.primitive.rearranges:
        x = x.operands[0]
    return x is run.wrt
