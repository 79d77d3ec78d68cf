"""One plan for all sizes of a batch: a program that differs from a planned one in nothing but the number of examples.

A plan names the numbers of one example, and a batch is a number of blocks and a remainder.  So the machine code of one
size runs every other size, where the two programs are the same but for the batch: along each axis both have the same
size, or each its number of examples (or, where the batch is merged with another axis, the same multiple of it).  Where
the planned number of examples is the size of something else as well, nothing is shared: it could not be told apart.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import numpy as np

from ...program.program import Line, Program


class Batches:
    """Programs for ``before`` and for ``after`` examples; ``by_numpy``: the lines that NumPy computes in the first."""

    def __init__(self, before: int, after: int, by_numpy: Set[int]) -> None:
        self.before, self.after, self.by_numpy = before, after, by_numpy

    def numbered_as(self, one: Program, other: Program) -> Program | None:
        """The second program with its lines numbered as in the first; None unless they differ in the number of examples
        alone."""
        if min(self.before, self.after) < 2 or self.before == self.after or len(one.lines) != len(other.lines):
            return None
        at = dict(zip(_order(other), _order(one), strict=True))
        lines = [(at[i], line.reading(tuple([at[x] for x in line.operands]))) for i, line in enumerate(other.lines)]
        lines.sort(key=lambda pair: pair[0])
        same = Program([line for _, line in lines], [at[y] for y in other.outputs], [at[y] for y in other.checks])
        return same if self._alike(one, same) else None

    def _alike(self, one: Program, other: Program) -> bool:
        if (one.outputs, one.checks) != (other.outputs, other.checks):
            return False
        planned = {x for i, line in enumerate(one.lines) if i not in self.by_numpy for x in line.operands}
        pairs = enumerate(zip(one.lines, other.lines, strict=True))
        return all(self._lines(mine, theirs, i in planned or i in one.outputs) for i, (mine, theirs) in pairs)

    def _lines(self, one: Line, other: Line, planned: bool) -> bool:
        """``planned``: the machine reads the line, and its numbers if it is a constant may have been looked at."""
        if (one.primitive, one.operands, one.dtype, one.argument) != (
            other.primitive,
            other.operands,
            other.dtype,
            other.argument,
        ):
            return False
        if one.tensor is not other.tensor or not self._settings(one.shape, other.shape):
            return False
        if (one.value is None) != (other.value is None):
            return False
        constant = one.value is not None and other.value is not None
        if planned and constant and not self._constants(one.value, other.value):  # type: ignore[arg-type]
            return False
        return one.params.keys() == other.params.keys() and all(
            self._settings(x, other.params[name]) for name, x in one.params.items()
        )

    def _settings(self, one: Any, other: Any) -> bool:
        if isinstance(one, tuple | list):
            return isinstance(other, type(one)) and len(one) == len(other) and all(map(self._settings, one, other))
        if isinstance(one, slice):
            return isinstance(other, slice) and all(
                map(self._settings, (one.start, one.stop, one.step), (other.start, other.stop, other.step))
            )
        if isinstance(one, np.ndarray):
            return isinstance(other, np.ndarray) and np.array_equal(one, other)
        if isinstance(one, int) and isinstance(other, int) and bool not in (type(one), type(other)):
            return self._sizes(one, other)
        return type(one) is type(other) and bool(one == other)

    def _sizes(self, one: int, other: int) -> bool:
        if one == other:
            return one != self.before
        return one * self.after == other * self.before

    def _constants(self, one: np.ndarray, other: np.ndarray) -> bool:
        """A number that is repeated may be another one (a mean divides by the number of examples), unless one of them
        is 0; all others are the same."""
        if one.strides != other.strides:
            return False
        if one.dtype.kind == "f" and all(x.size and (x == x.flat[0]).all() for x in (one, other)):
            return bool(one.flat[0] == 0) == bool(other.flat[0] == 0)
        return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def _order(program: Program) -> list[int]:
    """The lines without operands in the order in which they are read first (a Tensor that is moved is younger
    afterwards), then the others."""
    lines = program.lines
    read = dict.fromkeys([x for line in lines for x in line.operands if not lines[x].operands])
    sources = [*read, *[i for i, line in enumerate(lines) if not line.operands and i not in read]]
    return [*sources, *[i for i, line in enumerate(lines) if line.operands]]
