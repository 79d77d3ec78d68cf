"""Which passes of a loop count: the gradient as a sum over the passes, each of them taken or left out.

    claimed = sum over i of m_i (the gradient of what arrives at index i alone),    m_i = 0 or 1, not all of them 1

for the positions of the windows together, or for one axis of what arrives.  The numbers m are found by least squares at
each geometry; that they come out as zeros and ones proves it, for there are fewer of them than numbers in the claim.
And a constant of the forward that the backward has forgotten: the gradient of the program without it.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from ..tape import Tensor
from ..tutor.run.replay import Run
from ..tutor.search.fitted import row_of
from .relations import Evidence, Named
from .truth import close

Array = np.ndarray
MOST, SPARE = 36, 3  # passes that are told apart, numbers that a claim must have beyond them
SPATIAL = {3: ((2,), (1,)), 4: ((2, 3), (1, 2))}  # axes of positions, by the number of axes of what arrives
CONSTANTS = 12  # of the forward that are taken away


def passes(gradient: str, seen: list[Evidence]) -> Named | None:
    """The passes that were left out, at every geometry without a kink that tells."""
    plain = [e for e in seen if not e.truth.case.kink]
    wrong = [e for e in plain if not e.right]
    if not wrong or wrong[0].truth.dout.ndim < 2:
        return None
    dims = wrong[0].truth.dout.ndim
    for axes in dict.fromkeys([*SPATIAL.get(dims, ()), *[(i,) for i in range(dims)]]):
        telling: list[tuple[Evidence, Array]] = []
        for e in sorted(wrong, key=lambda e: -e.claimed.size):
            if (found := _counted(e, gradient, axes)) is None:
                continue
            telling.append((e, found))
            if not _taken(found):
                break
        if len(telling) > 1 and _taken(telling[-1][1]) and 2 * len(telling) >= len(wrong):
            e, counts = telling[0]
            out = [", ".join(map(str, at)) for at in zip(*np.nonzero(counts == 0), strict=True)]
            where = f"axis {axes[0]}" if len(axes) == 1 else f"axes {' and '.join(map(str, axes))}"
            words = f"what arrives at some indices of {where} is left out: of {counts.shape} at {e.truth.case.words}, "
            words += "; ".join(f"({at})" for at in out[:6]) + (", .." if len(out) > 6 else "")
            return Named("a pass of a loop left out", words, "For which indices does your loop run?")
    return _without_constant(gradient, plain)


def _counted(e: Evidence, gradient: str, axes: tuple[int, ...]) -> Array | None:
    """How often each pass counts; an empty array where the claim is no such sum, None where it cannot be told."""
    shape = tuple(e.truth.dout.shape[a] for a in axes)
    n = int(np.prod(shape))
    if not 1 < n <= MOST or e.claimed.size < n + SPARE:
        return None
    columns = []
    for at in product(*map(range, shape)):
        kept = np.zeros(e.truth.dout.shape)
        key = tuple(at[axes.index(i)] if i in axes else slice(None) for i in range(kept.ndim))
        kept[key] = e.truth.dout[key]
        columns.append(e.truth.fed(gradient, kept).ravel())
    made = np.stack(columns, axis=1)
    if np.linalg.matrix_rank(made) < n:
        return None
    counts, *_ = np.linalg.lstsq(made, e.claimed.ravel().astype(float), rcond=None)
    whole = np.round(counts)
    fits = close(e.claimed.ravel(), made @ whole, float(np.abs(made).max(initial=0.0)))
    return whole.reshape(shape) if fits else np.zeros(0)


def _taken(counts: Array) -> bool:
    return bool(counts.size and np.isin(counts, (0, 1)).all() and not counts.all())


# ---- constants


def _without_constant(gradient: str, plain: list[Evidence]) -> Named | None:
    """The gradient of the program without one of its constants: a mask, a scale, an offset."""
    tapes = [e.truth.runs[gradient].tape for e in plain]
    if sum(e.claimed.size for e in plain) < MOST // 4 or len({len(list(tape)) for tape in tapes}) != 1:
        return None
    found = [(i, k) for i, line in enumerate(tapes[0]) if (k := _constant(line)) is not None]
    for position, k in found[:CONSTANTS]:
        if all(_gives(e, gradient, position, k) for e in plain):
            row = row_of(plain[0].truth.runs[gradient], position)
            words = f"it is the gradient of the forward without the constant at {row} (line {position})"
            return Named("a constant of the forward forgotten", words, "Which numbers stand in the forward, and where?")
    return None


def _constant(line: Tensor) -> int | None:
    """The operand of a sum or product that stays when its constant is taken away."""
    if line.primitive is None or line.constant or line.primitive.name not in ("add", "sub", "mul", "div"):
        return None
    k = next((k for k, x in enumerate(line.operands) if x.constant), None)
    if k is None or (k == 0 and line.primitive.name in ("sub", "div")) or line.operands[1 - k].shape != line.shape:
        return None
    return 1 - k


def _gives(e: Evidence, gradient: str, position: int, k: int) -> bool:
    run = e.truth.runs[gradient]
    chosen = list(run.tape)[position]
    leaf = e.truth.leaves[e.truth.layer.outputs[gradient]]
    inputs = {line: run.of(line).value for line in run.tape.inputs}
    other = Run(run.tape, leaf, inputs, lambda line, operands: operands[k] if line is chosen else None)
    return close(e.claimed, other.gradient, float(np.abs(other.gradient).max(initial=0.0)))
