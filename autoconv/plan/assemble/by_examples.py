"""Kernels with the examples in the lanes: a cell holds one number of each example of a block, in whole vectors.

Stride, dilation, padding and groups cost nothing here, since every access is one whole vector, whatever its place.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..instructions import Instruction, Registers, Rows
from ..kernel import Kernel
from ..native import instruction_set as isa
from .assemble import Assembled
from .tiling import groups, strips
from .vector_layout import VectorLayout


class ByExamples(Assembled):
    """A kernel whose cells hold one number of each example of a block, in one vector or several side by side."""

    def __init__(self, kernel: Kernel, layout: VectorLayout) -> None:
        self.cell = layout.lanes * layout.vectors
        self.beside = np.arange(layout.vectors) * layout.lanes  # where in a cell each of its vectors begins
        super().__init__(kernel, layout)

    def vectors(self, addresses: np.ndarray) -> np.ndarray:
        """The addresses of all vectors of cells at these addresses, those of a cell one after the other."""
        found = addresses[..., None] + self.beside
        return found.reshape(*addresses.shape[:-1], addresses.shape[-1] * len(self.beside))

    def terms(self, registers: Registers) -> np.ndarray:
        """What is added up for each vector of a result, of which ``registers`` (results, terms) are the terms."""
        rows, terms = registers.shape
        return (self.addresses_of(registers)[:, None, :] + self.beside[:, None]).reshape(rows * len(self.beside), terms)

    def rows(self, number: int, one: Instruction) -> Rows:
        return one.by_examples(self, number)

    def scratch_size(self, one: Instruction) -> int:
        return one.scratch_by_examples(self)

    def together(self) -> list[tuple[int, int]]:
        """Elementwise instructions that are done strip by strip."""
        return groups(self.kernel)

    def written(self) -> Iterator[list[int]]:
        """The words of all instructions, those of a group in strips."""
        end_of = dict(self.together())
        number = 0
        while number < len(self.kernel.instructions):
            if number in end_of:
                group, ends = strips(self.kernel, number, end_of[number])
                sizes = {"count": len(group), "strips": ends.shape[1] - 1}
                yield isa.STRIPS.row(**sizes, ends=self.table(ends * len(self.beside)))
            else:
                group = [self.kernel.instructions[number]]
            for one in group:
                yield from self.rows(number, one)
            number = end_of.get(number, number + 1)
