"""Where a claim departs from the gradient, as a place instead of a list of elements: a window, a row, the border."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from ..bank.pooling import winners
from ..bank.sliding import Sliding
from ..claim.case import Case
from ..run.site import Site


def grouped(same: np.ndarray, claimed: np.ndarray, case: Case) -> str:
    """A sentence on where the elements lie that do not agree, or ""; same: which do, flat."""
    shape = case.line.shape
    off = ~same.reshape(shape)
    if (told := _block(off, "They differ")) and off.mean() < 0.9:
        return told
    if same.sum() > 1 and (told := _block(~off, "They agree")):
        zero = ", everything else is zero" if not claimed.reshape(shape)[off].any() else ""
        return f"{told[:-1]}{zero}."
    return _about_winners(off, case)


def _block(marked: np.ndarray, they: str) -> str:
    """Elements that fill a block: an index of some axes, or a range of it; "" if they do not."""
    if not marked.any() or marked.ndim == 0:
        return ""
    axes = [i for i in range(marked.ndim) if marked.shape[i] > 1]
    for count in range(1, len(axes) + 1):
        for chosen in combinations(axes, count):
            rest = tuple(i for i in range(marked.ndim) if i not in chosen)
            places = np.argwhere(marked.any(axis=rest))
            low, high = places.min(axis=0), places.max(axis=0)
            if np.prod(high - low + 1) * 2 > np.prod([marked.shape[a] for a in chosen]):
                continue
            inside = np.zeros(marked.shape, dtype=bool)
            spans = dict(zip(chosen, zip(low, high, strict=True), strict=True))
            inside[
                tuple(slice(spans[i][0], spans[i][1] + 1) if i in spans else slice(None) for i in range(marked.ndim))
            ] = 1
            if marked[inside].mean() >= 0.75:
                words = [_span(a, int(a0), int(a1), marked.shape[a]) for a, (a0, a1) in spans.items()]
                return f"{they} in one place alone: {' and '.join(words)}."
    return ""


def _span(axis: int, low: int, high: int, size: int) -> str:
    last = ", the last" if low == high == size - 1 else ""
    return f"axis {axis} at {low}{last}" if low == high else f"axis {axis} at {low} to {high}"


def _about_winners(off: np.ndarray, case: Case) -> str:
    """Whether all that differs lies beside the winners of a pooling layer, or at them."""
    for step in case.run.steps:
        for k, *_ in step.contributions:
            site = Site(step.line, k)
            if site.row == "windows" and site.pooling == "max" and site.operand is case.run.wrt:
                won = site.right(winners(Sliding(site))) > 0
                if not (off & won).any():
                    return "They differ beside the winners of the windows alone: where the gradient is 0."
                if not (off & ~won).any():
                    return "They differ at the winners of the windows alone."
    return ""
