"""One plan for all sizes of a batch: a program that differs from a planned one in the number of examples at most.

A plan names the numbers of one example, and a batch is a number of blocks and a remainder.  So the machine code of one
size runs every other size, where the two programs are the same but for the batch.  The plan knows of each line that it
names numbers of, or reads, along which axis examples are counted (``Axes``): along this axis each program has its
number of examples, along the others both have the same sizes.  So it does not matter whether the planned number of
examples is the size of something else as well: what does not follow the batch shows.  Of lines that are part of others,
or that NumPy computes, every size is the same in both programs or the same multiple of the number of examples.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from typing import Any

import numpy as np

from ...program.program import Line, Program
from ...shapes import Shape
from ..kernel import Kernel
from ..lower.lowering import Lowering


class Axes:
    """What the plan of a program takes for granted: ``of[i]``, the axes along which it counts examples in line i (None
    among them: it takes the line as it is), ``planned[i]``, whether it may have looked at the numbers of a constant.
    """

    def __init__(self, program: Program, taken: Iterable[tuple[int, int | None]], by_numpy: Set[int]) -> None:
        found: dict[int, set[int | None]] = {}
        for i, axis in taken:
            found.setdefault(i, set()).add(axis)
        self.of = [tuple(found.get(i, ())) for i in range(len(program.lines))]
        self.planned = [i in program.outputs for i in range(len(program.lines))]
        for i, line in enumerate(program.lines):
            for x in line.operands if i not in by_numpy else ():
                self.planned[x] = True


def axes_of(lowering: Lowering, kernels: Sequence[Kernel]) -> Axes:
    """The axes of examples as these kernels of a program take them."""
    taken: list[tuple[int, int | None]] = [*lowering.along()]
    for x in [x for kernel in kernels for x in kernel.inputs]:
        if x.part != "first":
            taken.append((x.line, x.axis if x.part is None else x.part[1]))
    return Axes(lowering.program, taken, lowering.numpy)


class Batches:
    """Programs for ``before`` and for ``after`` examples; ``axes``: as the plan of the first one takes them."""

    def __init__(self, before: int, after: int, axes: Axes) -> None:
        self.before, self.after, self.axes = before, after, axes

    def numbered_as(self, one: Program, other: Program) -> Program | None:
        """The second program with its lines numbered as in the first, the same object where they are equal; None unless
        they differ in the number of examples alone."""
        if len(one.lines) != len(other.lines) or (self.before != self.after and min(self.before, self.after) < 2):
            return None  # one example alone is repeated where others are added up
        theirs, mine = _order(other), _order(one)
        at = [0] * len(mine)
        for i, j in zip(theirs, mine, strict=True):
            at[i] = j
        if one.outputs != [at[y] for y in other.outputs] or one.checks != [at[y] for y in other.checks]:
            return None
        lines = list(one.lines)
        for i, line in enumerate(other.lines):
            found = self._line(at[i], lines[at[i]], line, tuple([at[x] for x in line.operands]))
            if found is None:
                return None
            lines[at[i]] = found
        return Program(lines, one.outputs, one.checks)

    def _line(self, i: int, one: Line, other: Line, operands: tuple[int, ...]) -> Line | None:
        """The second line, which reads ``operands``, as line i of the first program; None if it is another one."""
        if (
            one.primitive is not other.primitive
            or one.operands != operands
            or one.dtype != other.dtype
            or one.argument != other.argument
            or one.tensor is not other.tensor
            or (one.value is None) != (other.value is None)
        ):
            return None
        same = one.shape == other.shape
        for axis in self.axes.of[i]:
            if not (same if axis is None else self._counted(one.shape, other.shape, axis)):
                return None
        if not same and not self._settings(one.shape, other.shape):
            return None
        if one.value is not None and other.value is not None:
            if self.axes.planned[i] and not _constants(one.value, other.value):
                return None
            return one if same and _equal(one.value, other.value) else other
        mine, theirs = one.params, other.params
        if same and not (mine or theirs):
            return one
        if mine.keys() != theirs.keys() or not all([self._settings(x, theirs[name]) for name, x in mine.items()]):
            return None
        return one if same and _identical(mine, theirs) else other.reading(operands)

    def _counted(self, one: Shape, other: Shape, axis: int) -> bool:
        """Whether these shapes are the same but for the examples, which are counted along this axis."""
        counts = one[axis] == self.before and other[axis] == self.after
        return counts and one[:axis] == other[:axis] and one[axis + 1 :] == other[axis + 1 :]

    def _settings(self, one: Any, other: Any) -> bool:
        if one is other:
            return True
        if isinstance(one, tuple | list):
            if type(one) is not type(other) or len(one) != len(other):
                return False
            for x, y in zip(one, other, strict=True):
                if type(x) is int is type(y):  # most of them, without the detour
                    if x != y and x * self.after != y * self.before:
                        return False
                elif not self._settings(x, y):
                    return False
            return True
        if isinstance(one, slice):
            return isinstance(other, slice) and all(
                map(self._settings, (one.start, one.stop, one.step), (other.start, other.stop, other.step))
            )
        if isinstance(one, np.ndarray):
            return isinstance(other, np.ndarray) and np.array_equal(one, other)
        if isinstance(one, int) and isinstance(other, int) and bool not in (type(one), type(other)):
            return one == other or one * self.after == other * self.before
        return type(one) is type(other) and bool(one == other)


def _identical(one: Any, other: Any) -> bool:
    """Whether params that are the same but for the batch have the very same values; not of every kind one can tell."""
    try:
        return bool(one == other)
    except ValueError:  # arrays among them
        return False


def _constants(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether a plan for the first may read the second: the numbers are the same, however often they are repeated.

    One number that is repeated may also be another one for another size of the batch (a mean divides by the number of
    examples), unless one of the two is 0.
    """
    if one.strides != other.strides:
        return False
    mine, theirs = _once(one), _once(other)
    if one.dtype.kind == "f" and all(x.size and (x == x.flat[0]).all() for x in (mine, theirs)):
        return bool(mine.flat[0] == 0) == bool(theirs.flat[0] == 0)
    return np.array_equal(mine, theirs, equal_nan=one.dtype.kind == "f")


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether constants of one shape are the same, zeros of the same sign."""
    if one.strides != other.strides:
        return False
    mine, theirs = _once(one), _once(other)
    if one.dtype.kind != "f":
        return np.array_equal(mine, theirs)
    return np.array_equal(mine, theirs, equal_nan=True) and np.array_equal(np.signbit(mine), np.signbit(theirs))


def _once(x: np.ndarray) -> np.ndarray:
    """The numbers without those that are repeated along an axis."""
    return x[tuple([slice(0, 1) if step == 0 else slice(None) for step in x.strides])]


def _order(program: Program) -> list[int]:
    """The lines without operands in the order in which they are read first (a Tensor that is moved is younger
    afterwards), then the others."""
    lines = program.lines
    read = dict.fromkeys([x for line in lines for x in line.operands if not lines[x].operands])
    sources = [*read, *[i for i, line in enumerate(lines) if not line.operands and i not in read]]
    return [*sources, *[i for i, line in enumerate(lines) if line.operands]]
