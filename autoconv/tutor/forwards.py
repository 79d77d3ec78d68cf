"""Right for another forward: the same sweep over a program that differs in a convention; and ties, where both answers are right."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import numpy as np

from .. import primitives as p
from ..backward import pull
from ..tape import Tape, Tensor
from .place import Contraction, Place
from .replay import Change, Study

_TIED = ("maximum", "minimum")


def forwards(tape: Tape) -> Iterator[tuple[str, Change]]:
    """Other forward programs, by what differs: kernels rotated (at one place, everywhere), flattening in another order."""
    turned = [line for line in tape if _kernel(line)]
    alone = [(f", in convolution number {i + 1} alone", [line]) for i, line in enumerate(turned)]
    for where, lines in [("", turned), *(alone if len(turned) > 1 else [])]:
        if lines:
            flipped = any(_reversed(line) for line in lines)
            what = (
                "a cross-correlation (the kernel not rotated)" if flipped else "a true convolution (the kernel rotated)"
            )
            yield f"{what}{where}", _rotate({id(line) for line in lines})
    for line in tape:
        if line.primitive is p.reshape and not line.constant:
            shape = line.operands[0].shape
            lead = 1 if line.ndim > 1 and line.shape[0] == shape[0] else 0
            merged = [i for i in range(lead, len(shape)) if shape[i] > 1]
            if line.ndim == lead + 1 and 2 <= len(merged) <= 4:
                for order in permutations(merged):
                    if order != tuple(merged):
                        axes = list(range(len(shape)))
                        for at, axis in zip(merged, order, strict=True):
                            axes[at] = axis
                        yield f"flattening in the order of axes {tuple(axes)}", _reorder(id(line), tuple(axes))


def _kernel(line: Tensor) -> Contraction | None:
    """The contraction of a convolution whose window is larger than one cell."""
    if line.primitive is not p.contract or line.constant:
        return None
    for k in (0, 1):
        c = Contraction(Place(line, k))
        if c.is_kernel and any(line.operands[k].shape[i] > 1 for i in c.window(c.own)):
            return c
    return None


def _reversed(line: Tensor) -> bool:
    """Whether the kernel of this contraction was rotated before (flip=True)."""
    for x in line.operands:
        while x.primitive in (p.reshape, p.cast):
            x = x.operands[0]
        if x.primitive is p.flip:
            return True
    return False


def _rotate(lines: set[int]) -> Change:
    def change(line: Tensor, operands: list[Tensor]) -> Tensor | None:
        c = _kernel(line) if id(line) in lines else None
        if c is None:
            return None
        k = next(k for k in (0, 1) if Contraction(Place(line, k)).is_kernel)
        made = list(operands)
        made[k] = p.flip(made[k], axis=c.window(c.own))
        return p.contract(*made, **line.params)

    return change


def _reorder(chosen: int, axes: tuple[int, ...]) -> Change:
    def change(line: Tensor, operands: list[Tensor]) -> Tensor | None:
        if id(line) != chosen:
            return None
        return p.reshape(p.permute_dims(operands[0], axes=axes), **line.params)

    return change


# ---- ties


def ties(study: Study) -> list[Tensor]:
    """The lines of the sweep where two competitors are equal, or |.| meets zero: the slope there is a choice."""
    found = []
    for step in study.steps:
        name = step.line.primitive.name if step.line.primitive and step.contributions else ""
        values = [x.value for x in step.line.operands]
        if (name in _TIED and np.any(values[0] == values[1])) or (name == "abs" and np.any(values[0] == 0)):
            found.append(step.line)
    return found


def tie_rules(study: Study) -> Iterator[tuple[str, Any]]:
    """Sweeps that break ties otherwise, by the convention's name."""
    tied = {id(line) for line in ties(study)}
    if not tied:
        return
    for name, weights in _CONVENTIONS.items():
        yield name, _broken(tied, weights)
    yield "evenly among all winners of a window", _shared


_CONVENTIONS = {
    "an even split": (0.5, 0.5),
    "all to the first": (1.0, 0.0),
    "all to the last": (0.0, 1.0),
    "nothing at a tie": (0.0, 0.0),
    "all to each of them": (1.0, 1.0),
}


def _shared(line: Tensor, g: Any, wanted: tuple[int, ...], recorded: bool) -> list[Any]:
    """Max pooling that divides a window's gradient evenly among its equal winners."""
    place = Place(line, 0) if line.primitive is p.windows else None
    if place is None or place.pooling != "max":
        return pull(line, g, wanted, recorded)
    first, dims = line.params["axes"][0], len(line.params["axes"])
    axes = tuple(range(first + dims, first + 2 * dims))
    won = line.value == line.value.max(axis=axes, keepdims=True)
    return [place.right(won * (g.sum(axis=axes, keepdims=True) / won.sum(axis=axes, keepdims=True)))]


def _broken(tied: set[int], weights: tuple[float, float]) -> Any:
    def rules(line: Tensor, g: Any, wanted: tuple[int, ...], recorded: bool) -> list[Any]:
        made = pull(line, g, wanted, recorded)
        if id(line) not in tied or line.primitive is None:
            return made
        if line.primitive.name == "abs":
            at_zero = line.operands[0].value == 0
            return [np.where(at_zero, g * (weights[0] - weights[1]), x) for x in made]
        equal = line.operands[0].value == line.operands[1].value
        return [np.where(equal, g * weights[k], x) for k, x in zip(wanted, made, strict=True)]

    return rules
