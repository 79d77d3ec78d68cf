"""Lines that no one but the machine reads stay between its calls as its cells are, and their memory stays for the next run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod

import numpy as np

from ...program.program import Program
from ..lower.instructions import Input, Stage


class Kept:
    """The lines of ``stages`` that later stages alone read, ``asked`` being those that somebody else reads."""

    def __init__(self, program: Program, stages: Sequence[Stage], asked: set[int]) -> None:
        self._cells: dict[int, int] = {}  # how many numbers each example has
        self._sums: dict[int, tuple[int, ...]] = {}
        self._spare: list[dict[int, np.ndarray]] = []
        readers: dict[int, list[Input]] = {}
        for stage in stages:
            for x in stage.inputs:
                readers.setdefault(x.line, []).append(x)
        for stage in stages:
            for out in stage.outputs:
                found = readers.get(out.line, [])
                if out.line in asked or any(x.axis != out.axis or x.places or x.part is not None for x in found):
                    continue
                shape = program.lines[out.line].shape
                self._cells[out.line] = prod(shape) // shape[out.axis]
                out.kept = True
                for x in found:
                    x.kept = True
            for result in stage.results:
                if result.line in readers and result.line not in asked:
                    self._sums[result.line] = result.shape

    def __contains__(self, line: int) -> bool:
        return line in self._cells or line in self._sums

    @contextmanager
    def memory(self, examples: int, dtype: np.dtype) -> Iterator[dict[int, np.ndarray]]:
        """Arrays for these lines, ``examples`` rounded up to whole blocks; no other run has them meanwhile."""
        try:
            arrays = self._spare.pop()
        except IndexError:
            shapes = self._sums | {line: (examples, size) for line, size in self._cells.items()}
            arrays = {line: np.empty(shape, dtype) for line, shape in shapes.items()}
        try:
            yield arrays
        finally:
            self._spare.append(arrays)
