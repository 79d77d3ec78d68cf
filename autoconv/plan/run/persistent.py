"""Persistent buffers: lines that only later kernels read, in the machine's own order and in memory that is reused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod

import numpy as np

from ...program.program import Program
from ..kernel import Input, Kernel


class Persistent:
    """The lines that kernels write and only later kernels read; ``asked``: those that somebody else reads."""

    def __init__(self, program: Program, kernels: Sequence[Kernel], asked: set[int]) -> None:
        self._sizes: dict[int, int] = {}  # how many numbers each example has
        self._sums: dict[int, tuple[int, ...]] = {}
        self._spare: list[dict[int, np.ndarray]] = []
        readers: dict[int, list[Input]] = {}
        for kernel in kernels:
            for x in kernel.inputs:
                readers.setdefault(x.line, []).append(x)
        for kernel in kernels:
            for out in kernel.outputs:
                found = readers.get(out.line, [])
                if out.line in asked or any(x.axis != out.axis or x.places or x.part is not None for x in found):
                    continue
                shape = program.lines[out.line].shape
                self._sizes[out.line] = prod(shape) // shape[out.axis]
                out.persistent = True
                for x in found:
                    x.persistent = True
            for result in kernel.results:
                if result.line in readers and result.line not in asked:
                    self._sums[result.line] = result.shape

    def __contains__(self, line: int) -> bool:
        return line in self._sizes or line in self._sums

    @contextmanager
    def memory(self, examples: int, dtype: np.dtype) -> Iterator[dict[int, np.ndarray]]:
        """Arrays for these lines, ``examples`` rounded up to whole blocks; no other run has them meanwhile."""
        try:
            arrays = self._spare.pop()
        except IndexError:
            shapes = self._sums | {line: (examples, size) for line, size in self._sizes.items()}
            arrays = {line: np.empty(shape, dtype) for line, shape in shapes.items()}
        try:
            yield arrays
        finally:
            self._spare.append(arrays)
