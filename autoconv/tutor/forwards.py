"""Right for another forward: the same sweep over a program that differs in a convention, or a loss that is reduced otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, permutations
from math import prod

from .. import primitives as p
from ..tape import Tape, Tensor
from .place import Contraction, Place
from .replay import Change


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


def combined(changes: list[tuple[str, Change]]) -> Iterator[tuple[str, Change]]:
    """Two differences at once, of different kinds."""
    for (one, first), (two, second) in combinations(changes, 2):
        if one.startswith("flattening") != two.startswith("flattening"):

            def both(line: Tensor, operands: list[Tensor], a: Change = first, b: Change = second) -> Tensor | None:
                made = a(line, operands)
                return b(line, operands) if made is None else made

            yield f"{one}, and {two}", both


def reductions(tape: Tape) -> Iterator[tuple[str, float]]:
    """Other ways to reduce the loss, and how many times its gradient they give: a mean where it is a sum, a sum where it is a mean."""
    line, sizes, constants = tape.outputs[0], list[int](), list[float]()
    while line.primitive is not None:
        name, through = line.primitive.name, line.operands[0]
        if name in ("div", "mul") and line.size == 1:
            k = 0 if name == "mul" and line.operands[0].constant else 1
            if not line.operands[k].constant:
                break
            number, through = float(line.operands[k].value.reshape(())), line.operands[1 - k]
            constants.append(number if name == "div" else 1 / number if number else 0.0)
        elif name == "sum":
            sizes += [through.shape[a] for a in line.params["axis"]]
        elif not line.primitive.rearranges:
            break
        line = through
    counts = sorted({1, *sizes[:1], prod(sizes)})  # a sum, a mean over the examples, a mean over all
    here = next((n for n in reversed(counts) if n > 1 and any(abs(c - n) < 1e-6 * n for c in constants)), 1)
    recorded = f"here it is a mean over {here:,}" if here > 1 else "here it is a sum"
    for n in counts:
        if n != here:
            what = f"a loss that is the mean over {n:,} terms" if n > 1 else "a loss that is the sum of its terms"
            yield f"{what} ({recorded})", here / n
