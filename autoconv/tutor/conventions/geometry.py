"""The same program recorded at another geometry: larger, oblong images and windows that overlap.

With a stride of at least the window nothing overlaps, and on a square image rows and columns look alike: a formula can
be right there and wrong anywhere else.  Where the program can be grown, a function or a formula without indices is
tried on it.
"""

from __future__ import annotations

import copy
from math import prod
from typing import Any

import numpy as np

from ...functional.axes import BATCH, OUTER
from ...tape import Tape, Tensor
from ..claim.case import Case
from ..run.replay import Run, double
from ..run.site import Site

GROWN = (1, 2, 1)  # cells added to the spatial dimensions, so that nothing stays square
LARGE = 300_000  # elements on a tape beyond which no other geometry is tried


class CannotGrowError(Exception):
    """This program does not fit another geometry."""


def grown_case(case: Case, overlap: bool, deep: bool) -> tuple[Case, np.ndarray]:
    """The same question put to the grown program (see ``grow``), and the claim's numbers there, flat.

    Raises CannotGrowError if the program or the claim does not fit another geometry.
    """
    grown = grow(case.tape, overlap, deep, np.random.default_rng(3))
    tape = Tape(grown[id(case.tape.outputs[0])])
    other = copy.copy(case)
    other.names = copy.copy(case.names)
    other.names.lines = {name: grown[id(line)] for name, line in case.names.lines.items()}
    other.names.of = {id(line): name for name, line in reversed(other.names.lines.items())}  # the first name holds
    other.read = copy.copy(case.read)
    other.read.names = other.names
    other.tape, other.line = tape, grown[id(case.line)]
    other.run = Run(tape, other.line)
    other.places, other.shape = np.arange(other.line.size), other.line.shape
    other.read.shape = other.shape
    claimed = np.asarray(other.read.evaluate(other.run), dtype=float)
    if claimed.shape != other.shape or not other.run.finite or not np.isfinite(claimed).all():
        raise CannotGrowError
    other.claimed = claimed
    return other, claimed.ravel()


def images_of(tape: Tape) -> dict[int, tuple[int, ...]]:
    """By id of an input: the axes along which windows slide over it."""
    images: dict[int, tuple[int, ...]] = {}
    for line in tape:
        if line.primitive is not None and line.primitive.name == "windows":
            x = line.operands[0]
            while x.primitive is not None and x.primitive.name in ("pad", "reshape", "cast", "identity", "take"):
                x = x.operands[0]
            if x.primitive is None and x.ndim >= len(line.params["axes"]):
                less = 0 if x.ndim == line.operands[0].ndim else 1
                images[id(x)] = tuple(a - less for a in line.params["axes"])
    return images


def _doubled(tape: Tape) -> dict[int, list[int]]:
    """By id of a leaf: its axes of size 1 that can become 2: one example, one channel, one filter.

    Examples stay as they are where the tape holds whole numbers, as labels: there would be one for each.
    """
    images = images_of(tape)
    labels = any(x.primitive is None and x.value.dtype.kind in "iu" and not _clamped(x) for x in tape)
    doubled: dict[int, list[int]] = {}
    for line in tape:
        spatial = images.get(id(line), ())
        if line.primitive is None and spatial and line.ndim == len(spatial) + 2:
            rest = [a for a in range(line.ndim) if a not in spatial and line.shape[a] == 1]
            doubled[id(line)] = [a for a in rest if a > 0 or not labels]
        elif line.primitive is not None and line.primitive.name == "contract" and Site(line, 0).inside("conv"):
            for letters, x in zip(line.params["spec"].split("->")[0].split(","), line.operands, strict=True):
                if (
                    x.primitive is None
                    and BATCH not in letters
                    and OUTER in letters
                    and x.shape[letters.index(OUTER)] == 1
                ):
                    doubled.setdefault(id(x), []).append(letters.index(OUTER))
    return doubled


def _strides(tape: Tape) -> list[int]:
    """By how many cells windows move along each dimension, all layers together: images grow by multiples of that."""
    strides = [1, 1, 1]
    for line in tape:
        if line.primitive is not None and line.primitive.name == "windows":
            for i, stride in enumerate(line.params["stride"]):
                strides[i] = min(strides[i] * stride, 8)
    return strides


def _clamped(line: Tensor) -> bool:
    """Whether whole numbers are the cells of a padded axis, the border repeated: 0 0 1 2 3 3."""
    cells = line.value
    return cells.ndim == 1 and np.array_equal(cells, np.clip(_unclamped(cells), 0, cells.max(initial=0)))


def _unclamped(cells: np.ndarray) -> np.ndarray:
    return np.arange(len(cells)) - max(int((cells == 0).sum()) - 1, 0)


def grow(tape: Tape, overlap: bool, deep: bool, rng: np.random.Generator) -> dict[int, Tensor]:
    """The program of ``tape`` on larger images, with fresh numbers.

    ``overlap``: windows move by less than their size; ``deep``: two examples, channels and filters where there is one.
    """
    grown: dict[int, Tensor] = {}
    images, doubled = images_of(tape), _doubled(tape) if deep else {}
    raise_if(deep and not any(doubled.values()))
    strides = _strides(tape)
    changed = False

    def leaf(line: Tensor, shape: tuple[int, ...]) -> Tensor:
        old = double(line.value)
        if old.dtype.kind != "f" or (line.constant and line.size and not any(line.value.strides)):
            if old.dtype.kind != "f" and shape != line.shape:
                raise CannotGrowError
            value = old if shape == line.shape else np.full(shape, old.flat[0])
        else:
            scale = float(np.sqrt(np.mean(old**2))) if old.size else 1.0
            value = rng.normal(size=shape) * (scale or 1.0)
        return Tensor(value, name=line.name, constant=line.constant)

    for line in tape:
        if line.primitive is None:
            shape = list(line.shape)
            for axis, more, moves in zip(images.get(id(line), ()), GROWN, strides, strict=False):
                shape[axis] += more * moves
            for axis in doubled.get(id(line), ()):
                shape[axis] = 2
            grown[id(line)] = leaf(line, tuple(shape))
            continue
        operands = [grown[id(x)] for x in line.operands]
        params = dict(line.params)
        name = line.primitive.name
        if name == "windows" and overlap:
            slower = tuple(max(1, min(s, k - 1)) for s, k in zip(params["stride"], params["window"], strict=True))
            changed, params["stride"] = changed or slower != params["stride"], slower
        elif name == "reshape":
            params["shape"] = regroup(line.operands[0].shape, line.shape, operands[0].shape)
        elif name == "broadcast_to":
            raise_if(any(n > 1 and m != n for n, m in zip(line.operands[0].shape, operands[0].shape, strict=True)))
            params["shape"] = _meets(tape, line, grown)
        elif name == "contract":
            operands = _fitting(line, operands, grown, leaf)
        elif name == "take" and _clamped(line.operands[1]):
            operands[1] = _padded(line, operands[0])
        elif name == "div" and _counts(line):
            axes = line.operands[0].params["axis"]
            number = prod(operands[0].operands[0].shape[a] for a in axes)
            operands[1] = Tensor(np.array(float(number)), constant=True)
        elif line.primitive.group == "arithmetic" and len({x.shape for x in operands}) > 1:
            large = next(x.shape for x, old in zip(operands, line.operands, strict=True) if old.primitive is not None)
            for k, old in enumerate(line.operands):
                if operands[k].shape != large:
                    raise_if(old.primitive is not None)
                    grown[id(old)] = operands[k] = leaf(old, large)
        value = np.asarray(line.primitive.forward(*[x.value for x in operands], **params))
        grown[id(line)] = Tensor(
            value, line.primitive, tuple(operands), params, line.scope, line.name, constant=line.constant
        )
    raise_if(overlap and not changed)
    return grown


def _padded(line: Tensor, x: Tensor) -> Tensor:
    """The clamped cells of an axis that has grown."""
    cells, axis = line.operands[1].value, line.params["axis"]
    more = x.shape[axis] - line.operands[0].shape[axis]
    reach = np.arange(len(cells) + more) + _unclamped(cells)[0]
    return Tensor(np.clip(reach, 0, x.shape[axis] - 1).astype(cells.dtype), constant=True)


def _counts(line: Tensor) -> bool:
    """Whether a division is by the number of terms of the sum before it: a mean."""
    above, below = line.operands
    if above.primitive is None or above.primitive.name != "sum" or not below.constant or below.size != 1:
        return False
    terms = prod(above.operands[0].shape[a] for a in above.params["axis"])
    return float(below.value.reshape(())) == terms


def raise_if(wrong: bool) -> None:
    """CannotGrowError if the program cannot be grown."""
    if wrong:
        raise CannotGrowError


def regroup(old: tuple[int, ...], new: tuple[int, ...], grown: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that a reshape from ``old`` to ``new`` makes of ``grown``: axes are kept, merged, or of size 1."""
    shape: list[int] = []
    i = j = 0
    while i < min(len(old), len(new)) and old[i] == new[i] and len(old) != len(new):
        shape.append(grown[i])
        i = j = i + 1
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
        if any(n == 1 < m for n, m in zip(before, larger, strict=True)):
            raise_if(len(after) != 1 and before != after)
            shape += larger if before == after else [prod(larger)]
        elif [n for n in after if n > 1] == [n for n in before if n > 1]:
            sizes = iter(kept)
            shape += [next(sizes) if n > 1 else 1 for n in after]
        else:
            raise_if(sum(n > 1 for n in after) != 1)
            shape += [prod(kept) if n > 1 else 1 for n in after]
    return tuple(shape)


def _meets(tape: Tape, line: Tensor, grown: dict[int, Tensor]) -> tuple[int, ...]:
    """The shape to broadcast to: that of what the result is combined with."""
    for reader in tape:
        if any(x is line for x in reader.operands):
            for x in reader.operands:
                if x is not line and id(x) in grown:
                    return grown[id(x)].shape
    raise CannotGrowError


def _fitting(line: Tensor, operands: list[Tensor], grown: dict[int, Tensor], leaf: Any) -> list[Tensor]:
    """The operands of a contraction, a weight matrix grown along with what it reads."""
    letters = line.params["spec"].split("->")[0].split(",")
    for k in (0, 1):
        sizes = dict(zip(letters[1 - k], operands[1 - k].shape, strict=True))
        wanted = tuple(sizes.get(c, n) for c, n in zip(letters[k], operands[k].shape, strict=True))
        if wanted != operands[k].shape:
            if line.operands[k].primitive is None:
                grown[id(line.operands[k])] = operands[k] = leaf(line.operands[k], wanted)
            else:
                raise_if(line.operands[1 - k].primitive is not None)
    return operands
