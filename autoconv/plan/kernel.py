"""A fused kernel: instructions that run as one pass over the batch, block of examples by block of examples.

A program is cut into kernels by its sums over all examples: what reads such a sum has to wait until every block has
added its part.  Within a kernel nothing goes through arrays; from kernel to kernel go its outputs (a value for each
example) and its results (sums over all examples).
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .instructions import Instruction, Registers
from .spacing import bounds, least_of_others


@dataclass
class Result:
    """A sum over all examples: ``rows`` x ``columns`` numbers, each row padded to whole vectors or not.

    ``places``: where in the line each of them stands; None if they stand there in this order.  ``finite``: whether they
    have to be finite, or the run is not to be used.
    """

    line: int
    rows: int
    columns: int
    padded: bool
    shape: tuple[int, ...]
    places: np.ndarray | None = None
    finite: bool = False


@dataclass
class Input:
    """An array that a kernel reads: its line, and which axis counts examples (None: it is the same for all of them).

    ``order``: its axes in the order in which it is read, that of the examples first; (): theirs comes first, the others
    as they are.
    ``places``: it holds places (int64), not numbers.  ``part``: what of it is read; None: all, "first": its first
    number, ("at", axis): what stands at 0 along an axis.  ``persistent``: as the kernel that made it left it (see
    ``Output``).
    """

    line: int
    axis: int | None
    places: bool = False
    part: Any = None
    persistent: bool = False
    order: tuple[int, ...] = ()


@dataclass
class Output:
    """A line of which a kernel writes one value for each example, and which axis counts examples.

    ``order``: the axes in the order in which they stand in memory, that of the examples first.
    ``persistent``: only later kernels read it, so whole cells are written, block by block, and read in the same order
    (run/persistent.py).
    """

    line: int
    axis: int
    persistent: bool = False
    order: tuple[int, ...] = ()


@dataclass
class Kernel:
    """Instructions over virtual registers, the arrays that they read and write, and the sums over examples that they
    make.

    Array numbers count inputs, then outputs, then results.  A *value* is a stretch of registers that were named
    together, from one of ``starts`` to the next; values are what gets memory.  ``cleared``: values whose lanes without
    an example are zero.  With channels in the lanes, ``gaps`` are registers that only fill a row up to a whole vector
    (anything may be written there), and ``repeated`` the first of a whole vector of registers that all hold one number.
    ``blank``: of values with registers that are always zero, their registers, and which of these are; ``finite``: the
    inputs, with their sizes, whose numbers have to be finite, or the run is not to be used (known_zeros.py).
    """

    number: int
    instructions: list[Instruction] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    starts: list[int] = field(default_factory=lambda: [0])
    end: int = 1
    cleared: set[int] = field(default_factory=set)
    gaps: list[np.ndarray] = field(default_factory=list)
    repeated: set[int] = field(default_factory=set)
    blank: dict[int, tuple[Registers, np.ndarray]] = field(default_factory=dict)
    finite: dict[int, int] = field(default_factory=dict)

    def new_value(self, count: int) -> int:
        """The first of ``count`` new registers, a value of their own."""
        first, self.end = self.end, self.end + count
        self.starts.append(first)
        return first

    def values(self, registers: Registers) -> Iterator[int]:
        """The numbers of the values that these registers belong to (0: the zero register alone)."""
        if not registers.size:
            return iter(())
        least, most = bounds(registers)
        if (one := self.value(least)) == self.value(most):
            return iter([one])
        if not least and self.value(least_of_others(registers)) == self.value(most):
            return iter([0, self.value(most)])
        found = np.searchsorted(self.starts, registers.reshape(-1), side="right") - 1
        return iter(np.flatnonzero(np.bincount(found)).tolist())

    def forget(self) -> None:
        """Let go of what only making the plan needed."""
        self.instructions, self.gaps, self.starts, self.blank = [], [], [0], {}

    def value(self, register: int) -> int:
        """The number of the value that a register belongs to."""
        return bisect(self.starts, register) - 1

    def input(self, wanted: Input) -> int:
        """The number of an input array."""
        key = (wanted.line, wanted.axis, wanted.places, wanted.part, wanted.order)
        for i, known in enumerate(self.inputs):
            if (known.line, known.axis, known.places, known.part, known.order) == key:
                return i
        self.inputs.append(wanted)
        return len(self.inputs) - 1
