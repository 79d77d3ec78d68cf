"""The machine's instructions as the planner writes them: cells by name, arrays by number; addresses come later.

A ``Stage`` is one native call: instructions over the cells of one example, the arrays it reads and writes, and the sums over
all examples that it makes.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Names = np.ndarray

MAP, GATHER, LOAD, STORE, SPLAT, CHOOSE, PLACE, CLEAR, TOTAL, GEMM, DOT, OUTER, STRIPS = range(1, 14)
WORDS = {
    MAP: "elementwise", GATHER: "add up cells", LOAD: "load examples", STORE: "store examples", SPLAT: "spread numbers",
    CHOOSE: "choose by label", PLACE: "place by label", CLEAR: "clear unused lanes", TOTAL: "sum over examples", GEMM: "contract",
    DOT: "contract over examples", OUTER: "contract over examples, transposed",
}  # fmt: skip
OPERATIONS = {
    name: i
    for i, name in enumerate(
        [
            "copy",
            "add",
            "sub",
            "mul",
            "div",
            "neg",
            "abs",
            "sign",
            "maximum",
            "minimum",
            "greater",
            "less",
            "greater_equal",
            "less_equal",
            "equal",
            "not_equal",
            "where",
            "slope",
            "sqrt",
            "exp",
            "log",
            "log1p",
            "tanh",
            "sin",
            "cos",
            "erf",
            "power",
        ],
        start=1,
    )
}


@dataclass
class Instruction:
    """One instruction: the cells it writes and reads (arrays of names), and what its kind needs besides."""

    kind: int
    writes: list[Names]
    reads: list[Names]
    line: int
    operation: int = 0
    numbers: tuple[float, ...] = ()
    array: int = 0
    more: dict[str, Any] = field(default_factory=dict)


@dataclass
class Result:
    """A sum over all examples: ``rows`` x ``columns`` numbers, each row padded to whole vectors or not.

    ``places``: where in the line each of them stands; None if they stand there in this order.
    """

    line: int
    rows: int
    columns: int
    padded: bool
    shape: tuple[int, ...]
    places: np.ndarray | None = None


@dataclass
class Input:
    """An array that a stage reads: line number, which axis counts examples (None: no such axis), as int64 or as numbers.

    ``kept``: as the stage that made it left it (see ``Output``).
    """

    line: int
    axis: int | None
    places: bool = False
    part: Any = None
    kept: bool = False


@dataclass
class Output:
    """A line of which a stage writes one value for each example, and which axis counts examples.

    ``kept``: only later stages read it, so whole cells are written, block by block, and read again in the same order.
    """

    line: int
    axis: int
    kept: bool = False


@dataclass
class Stage:
    """One native call.  Array numbers count inputs, then outputs, then results.

    With channels in the lanes, ``gaps`` are cells that only fill a row up to a whole vector (anything may be written there),
    and ``spread`` those of which the following cells repeat the number.
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
    spread: set[int] = field(default_factory=set)

    def cells(self, count: int) -> int:
        """The first of ``count`` new cells, a value of their own."""
        first, self.end = self.end, self.end + count
        self.starts.append(first)
        return first

    def values(self, names: Names) -> Iterator[int]:
        """The numbers of the values that these cells belong to (0: the zero cell alone)."""
        if names.size and (one := self._value(names.min())) == self._value(names.max()):
            return iter([one])
        found = np.searchsorted(self.starts, np.unique(names), side="right") - 1
        return iter(np.unique(found).tolist())

    def _value(self, cell: int) -> int:
        return bisect(self.starts, cell) - 1

    def input(self, wanted: Input) -> int:
        """The number of an input array."""
        for i, known in enumerate(self.inputs):
            if (known.line, known.axis, known.places, known.part) == (
                wanted.line,
                wanted.axis,
                wanted.places,
                wanted.part,
            ):
                return i
        self.inputs.append(wanted)
        return len(self.inputs) - 1
