"""How large the terms of a gradient are: what a zero, and the rounding of a sum that cancels, is measured against.

    M[x] = sum over every path from x to the loss of the product of the absolute local derivatives along it

A bias before a batch norm has the gradient 0: what a program calculates is the rounding of a sum of terms of size M.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...backward import pull, steps
from ...tape import Tensor
from .replay import Run
from .site import Contraction, Site

UNITS = 64  # of the last digit of M, that rounding may leave


def term_sizes(run: Run) -> np.ndarray:
    """M for every element of ``run.wrt``."""

    def absolute(line: Tensor, g: Any, wanted: tuple[int, ...], recorded: bool) -> list[Any]:
        g = np.abs(g)
        made = []
        for k in wanted:
            site = Site(line, k)
            if site.row == "contract":
                made.append(Contraction(site).product(g, np.abs(site.other())))
            elif site.elementwise:
                made.append(g * np.abs(site.slope))
            else:
                made.append(np.abs(pull(line, g, (k,), recorded)[0]))
        return made

    with np.errstate(all="ignore"):
        walked = steps(run.loss, [run.wrt], np.ones(run.loss.shape), rules=absolute)
        arrived = [s.cotangent for s in walked if s.line is run.wrt]
    return np.asarray(arrived[0], dtype=float) if arrived else np.zeros(run.wrt.shape)


def rounding_of(run: Run, precision: str = "float64") -> np.ndarray:
    """How far rounding in numbers of a precision may carry each element of the gradient."""
    unit = float(np.finfo(precision if precision in ("float16", "float32") else "float64").eps)
    sizes = UNITS * unit * term_sizes(run)
    return np.where(np.isfinite(sizes), sizes, 0.0)
