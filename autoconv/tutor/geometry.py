"""Right only here?  The same program recorded at another geometry: larger, oblong images and windows that overlap.

With a stride of at least the window nothing overlaps, on a square image rows and columns look alike; a formula can be right
there and wrong anywhere else.  Where the program can be grown, a function or a formula without indices is tried on it.
"""

from __future__ import annotations

import ast
import copy
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ..tape import Tape, Tensor
from .diagnose import REARRANGED
from .fit import Tolerance, equal
from .replay import Study, double
from .verdict import Verdict

if TYPE_CHECKING:
    from .answers import Case

GROWN = (1, 2, 1)  # cells added to the spatial dimensions, so that nothing stays square


class _CannotGrowError(Exception):
    """This program does not fit another geometry."""


def elsewhere(case: Case, tolerance: Tolerance, verdict: Verdict) -> Verdict:
    """``verdict`` (right), or "right only here" if a known mistake explains the claim on a geometry that can tell."""
    formula = case.read.formula
    indexed = formula is not None and any(isinstance(n, ast.Subscript) for n in ast.walk(formula.tree))
    if indexed or case.places.size != case.line.size or not _images(case.tape):
        return verdict
    for overlap in (True, False):
        try:
            other, claimed = _grown_case(case, overlap)
        except (_CannotGrowError, ValueError, IndexError, TypeError):
            continue  # the program, or the claim, is made for this geometry alone
        if equal(claimed, other.truth, tolerance):
            continue
        from .answers import wrong

        found = wrong(other, tolerance)
        named = [m.name for m in found.mistakes]
        if found.kind != "wrong" or REARRANGED in named or not any(m.place for m in found.mistakes):
            continue
        shapes = ", ".join(f"{n} {line.shape}" for n, line in other.inputs.items())
        how = "windows that overlap" if overlap else "another size"
        found.kind, found.gradient, found.claim = "right only here", verdict.gradient, case.read.given
        found.summary = f"it agrees at your geometry, which cannot tell; with {how} ({shapes}) it is not the gradient."
        found.telling_input = {n: line.value for n, line in other.inputs.items()}
        return found
    if verdict.evidence:
        verdict.evidence.append("Tried on a larger, oblong geometry as well, where the program could be grown.")
    return verdict


def _grown_case(case: Case, overlap: bool) -> tuple[Case, np.ndarray]:
    made = grow(case.tape, overlap, np.random.default_rng(3))
    tape = Tape(made[id(case.tape.outputs[0])])
    other = copy.copy(case)
    other.names = copy.copy(case.names)
    other.names.lines = {name: made[id(line)] for name, line in case.names.lines.items()}
    other.names.of = {id(line): name for name, line in other.names.lines.items()}
    other.read = copy.copy(case.read)
    other.read.names = other.names
    other.tape, other.line = tape, made[id(case.line)]
    other.study = Study(tape, other.line)
    other.places, other.shape = np.arange(other.line.size), other.line.shape
    claimed = np.asarray(other.read.evaluate(other.study), dtype=float)
    if claimed.shape != other.shape or not other.study.finite or not np.isfinite(claimed).all():
        raise _CannotGrowError
    other.claimed = claimed
    return other, claimed.ravel()


def _images(tape: Tape) -> dict[int, tuple[int, ...]]:
    """By id of an input: the axes along which windows slide over it."""
    found: dict[int, tuple[int, ...]] = {}
    for line in tape:
        if line.primitive is not None and line.primitive.name == "windows":
            x = line.operands[0]
            while x.primitive is not None and x.primitive.name in ("pad", "reshape", "cast", "identity"):
                x = x.operands[0]
            if x.primitive is None and x.ndim >= len(line.params["axes"]):
                less = 0 if x.ndim == line.operands[0].ndim else 1
                found[id(x)] = tuple(a - less for a in line.params["axes"])
    return found


def grow(tape: Tape, overlap: bool, rng: np.random.Generator) -> dict[int, Tensor]:
    """The program of ``tape`` on larger images, with fresh numbers; ``overlap``: windows move by less than their size."""
    made: dict[int, Tensor] = {}
    images = _images(tape)
    changed = False

    def leaf(line: Tensor, shape: tuple[int, ...]) -> Tensor:
        old = double(line.value)
        if old.dtype.kind != "f" or (line.constant and line.size and not any(line.value.strides)):
            if old.dtype.kind != "f" and shape != line.shape:
                raise _CannotGrowError
            value = old if shape == line.shape else np.full(shape, old.flat[0])
        else:
            scale = float(np.sqrt(np.mean(old**2))) if old.size else 1.0
            value = rng.normal(size=shape) * (scale or 1.0)
        return Tensor(value, name=line.name, constant=line.constant)

    for line in tape:
        if line.primitive is None:
            shape = list(line.shape)
            for axis, more in zip(images.get(id(line), ()), GROWN, strict=False):
                shape[axis] += more
            made[id(line)] = leaf(line, tuple(shape))
            continue
        operands = [made[id(x)] for x in line.operands]
        params = dict(line.params)
        name = line.primitive.name
        if name == "windows" and overlap:
            slower = tuple(max(1, min(s, k - 1)) for s, k in zip(params["stride"], params["window"], strict=True))
            changed, params["stride"] = changed or slower != params["stride"], slower
        elif name == "reshape":
            params["shape"] = regroup(line.operands[0].shape, line.shape, operands[0].shape)
        elif name == "broadcast_to":
            raise_if(any(n > 1 and m != n for n, m in zip(line.operands[0].shape, operands[0].shape, strict=True)))
            params["shape"] = _meets(tape, line, made)
        elif name == "contract":
            operands = _fitting(line, operands, made, leaf)
        elif line.primitive.group == "arithmetic" and len({x.shape for x in operands}) > 1:
            large = next(x.shape for x, old in zip(operands, line.operands, strict=True) if old.primitive is not None)
            for k, old in enumerate(line.operands):
                if operands[k].shape != large:
                    raise_if(old.primitive is not None)
                    made[id(old)] = operands[k] = leaf(old, large)
        value = np.asarray(line.primitive.forward(*[x.value for x in operands], **params))
        made[id(line)] = Tensor(
            value, line.primitive, tuple(operands), params, line.scope, line.name, constant=line.constant
        )
    raise_if(overlap and not changed)
    return made


def raise_if(wrong: bool) -> None:
    """_CannotGrowError if the program cannot be grown."""
    if wrong:
        raise _CannotGrowError


def regroup(old: tuple[int, ...], new: tuple[int, ...], grown: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that a reshape from ``old`` to ``new`` makes of ``grown``: axes are kept, merged, or of size 1."""
    made: list[int] = []
    i = j = 0
    while i < len(old) or j < len(new):
        left, right = [i], [j]
        i, j = i + 1, j + 1
        while (
            prod(old[left[0] : i]) != prod(new[right[0] : j])
            or (i < len(old) and old[i] == 1)
            or (j < len(new) and new[j] == 1)
        ):
            raise_if(i >= len(old) and j >= len(new))
            if j >= len(new) or (i < len(old) and prod(old[left[0] : i]) <= prod(new[right[0] : j])):
                i += 1
            else:
                j += 1
        before, after, larger = old[left[0] : i], new[right[0] : j], grown[left[0] : i]
        kept = [m for n, m in zip(before, larger, strict=True) if n > 1]
        if [n for n in after if n > 1] == [n for n in before if n > 1]:
            sizes = iter(kept)
            made += [next(sizes) if n > 1 else 1 for n in after]
        else:
            raise_if(sum(n > 1 for n in after) != 1)
            made += [prod(kept) if n > 1 else 1 for n in after]
    return tuple(made)


def _meets(tape: Tape, line: Tensor, made: dict[int, Tensor]) -> tuple[int, ...]:
    """The shape to broadcast to: that of what the result is combined with."""
    for reader in tape:
        if any(x is line for x in reader.operands):
            for x in reader.operands:
                if x is not line and id(x) in made:
                    return made[id(x)].shape
    raise _CannotGrowError


def _fitting(line: Tensor, operands: list[Tensor], made: dict[int, Tensor], leaf: Any) -> list[Tensor]:
    """The operands of a contraction, a weight matrix grown along with what it reads."""
    letters = line.params["spec"].split("->")[0].split(",")
    for k in (0, 1):
        sizes = dict(zip(letters[1 - k], operands[1 - k].shape, strict=True))
        wanted = tuple(sizes.get(c, n) for c, n in zip(letters[k], operands[k].shape, strict=True))
        if wanted != operands[k].shape:
            if line.operands[k].primitive is None:
                made[id(line.operands[k])] = operands[k] = leaf(line.operands[k], wanted)
            else:
                raise_if(line.operands[1 - k].primitive is not None)
    return operands
