"""What the lanes of a vector hold: examples of a block, or channels of one example; chosen by shape for each program.

With examples in the lanes, stride, dilation, padding and groups cost nothing, but there must be many examples.
Channels in the lanes want many channels, and pay where examples are few, or too large for a block of them to stay in
the cache.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

from ..extension import machine
from ..instructions import Instruction
from ..lower.lowering import Lowering

_OF_CHANNELS = 1.07  # what channels in the lanes cost besides: rows have ragged ends
_CROWDED = 1.2  # what it costs when the values of a block do not fit the cache that a processor has to itself
_CACHE = 1 << 20
_FAR = 1 << 23  # bytes of a block from which on its cells come from memory
_CELLS = 18, 4.5  # bytes of cells that come from the cache behind that one, and from memory, for a product of vectors
_WAKING = 1.1  # what it costs to have more than one thread
_SHARED = 0.75  # how much of a thread's time goes into work where threads share a block
_WORTH_SHARING = 20_000  # products of vectors: for less, threads would meet more often than they work
_SHARED_CACHE = 1 << 25  # that of all processors together
_FROM_CACHE, _FROM_MEMORY = 12, 3  # bytes that come from there, and from memory, while a product of vectors is made
# what a product of vectors of so many bytes costs: a wider one has more memory to walk through
_OF_WIDTH = {16: 1.03, 32: 1.06, 64: 1.25}
_IN_HALVES = 1.17  # and if the processor takes it in two halves, as many take the widest


@dataclass(frozen=True)
class VectorLayout:
    """What a vector holds: ``lanes`` examples, or (``channels``) as many cells of one example; for processors with
    ``set``.

    A cell holds ``vectors`` of examples side by side.  ``vector_registers``: how many the processor has.  ``threads``:
    how many threads share a block (cooperative.py); 1 if each has its own.
    """

    channels: bool
    set: str
    lanes: int
    vector_registers: int
    vectors: int = 1
    threads: int = 1

    @property
    def examples(self) -> int:
        """How many examples a block has."""
        return 1 if self.channels else self.lanes * self.vectors


@dataclass(frozen=True)
class Estimate:
    """What a program costs in each layout, but for the number of its examples.

    ``costs``: (layout, products of vectors for a block of examples, numbers in the largest value of a block);
    ``bytes_`` of a number; ``moved``: bytes that instructions read and write for an example, of the cells that they
    compute with one by one.
    """

    examples: int
    bytes_: int
    moved: int
    costs: tuple[tuple[VectorLayout, float, int], ...]


def estimate(lowering: Lowering) -> Estimate:
    """The costs of a program that was lowered for examples in the lanes: for each layout the products of vectors for a
    block of examples (as if a cell were one vector), or for one example."""
    bytes_ = lowering.dtype.itemsize
    variants = [v for v in machine().variants() if v[1] == bytes_]
    variants = [v for v in variants if v[0] == variants[0][0]]  # the best instruction set comes first
    instructions = [one for kernel in lowering.kernels.values() for one in kernel.instructions]
    largest = max([one.writes[0].size for one in instructions if one.writes], default=0)
    streamed = _streamed(instructions, bytes_)
    costs = []
    for set_, _, lanes, vector_registers, halved in variants:
        for channels, vectors in ((False, 1), (False, 2), (False, 4), (True, 1)):
            layout = VectorLayout(channels, set_, lanes, vector_registers, vectors)
            cost = sum([one.vectors(layout) for one in instructions])
            cost *= (
                (_OF_CHANNELS if channels else vectors) * _OF_WIDTH[lanes * bytes_] * (_IN_HALVES if halved else 1.0)
            )
            costs.append((layout, cost + streamed, largest * layout.examples))
    moved = sum([x.size for one in instructions for x in (*one.writes, *one.reads)])
    return Estimate(lowering.examples, bytes_, moved * bytes_, tuple(costs))


def choose(given: Estimate, parts: int) -> VectorLayout:
    """The layout with the least time for the busiest of ``parts`` threads, estimated by the products of vectors that it
    takes.

    Estimated, not measured: the layout decides how sums are rounded, and the same run must have the same bits again.
    """
    forced = os.environ.get("AUTOCONV_LANES")
    best: tuple[float, VectorLayout] | None = None
    for layout, of_block, largest in given.costs:
        if forced in ("examples", "channels") and layout.channels != (forced == "channels"):
            continue
        cost, blocks = of_block, ceil(given.examples / layout.examples)
        alive = 3 * largest * given.bytes_
        if alive > _CACHE:
            cost = cost * _CROWDED + given.moved * layout.examples / _CELLS[alive >= _FAR]
        if blocks < parts and cost * blocks > _WORTH_SHARING:
            layout = replace(layout, threads=parts)
            cost *= blocks / (parts * _SHARED)
        else:
            cost *= ceil(blocks / min(parts, blocks))
        if min(parts, blocks) > 1 or layout.threads > 1:
            cost *= _WAKING
        if best is None or cost < best[0]:
            best = (cost, layout)
    assert best is not None
    return best[1]


def _streamed(instructions: Sequence[Instruction], bytes_: int) -> float:
    """What it costs that a block reads all weights, and reads and writes all sums over examples, in products of
    vectors; 0 if they stay in the cache that a processor has to itself."""
    moved = bytes_ * sum([one.streams() for one in instructions])
    return 0.0 if moved <= _CACHE else moved / (_FROM_CACHE if moved <= _SHARED_CACHE else _FROM_MEMORY)
