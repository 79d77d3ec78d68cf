"""Pictures, walks and equations of a tape.  Views read, they never write: each is a snapshot in plain data.

In the order in which data passes through:

    lines            what a line is to a reader: its role, its name, its formula
    element          which element of which tape is meant by ``w[0, 0]``, or by its text
    window_geometry  where the windows of a convolution or pooling lie, told from its recorded lines
    graph            ``ac.graph``: select, fold, describe, draw
    live             ``ac.live``: the page in which the calculation runs
    stepper          ``ac.step``: events, and a walk through them; its terminal, pages and pictures;
                     ``ac.record_training``
    equations        ``ac.explain``, ``ac.paths``, ``ac.uses``, and the matrix of a convolution
    measures         ``ac.receptive_field``, ``ac.gradient_flow``, ``ac.memory``

How things look (formulas, SVG, layouts, pages) stands below, in ``render``.
"""

from __future__ import annotations

import warnings
from typing import Any


def __getattr__(name: str) -> Any:
    """``views.pictures``, which is ``autoconv.render`` now."""
    if name != "pictures":
        raise AttributeError(f"module 'autoconv.views' has no attribute {name!r}")
    from .. import render

    warnings.warn("views.pictures: use `from autoconv import render`", DeprecationWarning, stacklevel=2)
    return render
