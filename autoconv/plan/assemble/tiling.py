"""Tiling: work cut so that what is read again is still in the nearest cache, or in the processor's registers.

``groups`` and ``strips`` cut elementwise instructions that follow one another (strip-mining): all of them run on one
strip of their elements before any runs on the next, so that what one writes the next reads from the nearest cache.
``tiles`` cuts a contraction's results into blocks whose sums stay in the processor's vector registers.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from ..instructions import Instruction, Map
from ..kernel import Kernel

_STRIP = 64  # elements of the first instruction in a strip: a few times so many vectors fit into 32 KB


def groups(kernel: Kernel) -> list[tuple[int, int]]:
    """Stretches (begin, end) of elementwise instructions of which each but the first reads what one before it reads or
    writes."""
    found, begin = [], 0
    touched: set[int] = set()
    for number, one in enumerate([*kernel.instructions, None]):
        large = isinstance(one, Map) and one.writes[0].size > _STRIP
        reads = (
            {v for registers in one.reads for v in kernel.values(registers) if v}
            if one is not None and large
            else set()
        )
        if not touched & reads:
            if number - begin > 1:
                found.append((begin, number))
            begin, touched = number, set()
        if one is not None and large:
            touched |= reads | set(kernel.values(one.writes[0]))
    return found


def strips(kernel: Kernel, begin: int, end: int) -> tuple[list[Instruction], np.ndarray]:
    """The instructions of a group with their elements in the order of the strips, and where in each every strip begins.

    An element belongs to the last of the strips of the elements that it reads; if it reads nothing of the group, its
    place decides.  Within a strip the instructions keep their order.
    """
    strip_of = np.full(kernel.end, -1, np.int32)  # of each register
    group, numbers = [], []
    for one in kernel.instructions[begin:end]:
        latest = np.max([strip_of[registers.ravel()] for registers in one.reads], axis=0)
        strip = np.where(latest < 0, np.arange(len(latest)) // _STRIP, latest)
        order = np.argsort(strip, kind="stable")
        pick = lambda registers, order=order: registers.ravel()[order]
        group.append(replace(one, writes=[pick(one.writes[0])], reads=[pick(registers) for registers in one.reads]))
        strip_of[one.writes[0].ravel()] = strip
        numbers.append(strip[order])
    count = 1 + max(int(strip[-1]) for strip in numbers)
    return group, np.array([np.searchsorted(strip, np.arange(count + 1)) for strip in numbers])


def tiles(
    height: int, width: int, tallest: int, widest: int, vector_registers: int, loads: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """How height x width results are cut into tiles that fit ``vector_registers``: (start, size) of each part of either
    side."""
    tall, wide = _sizes(height, width, tallest, widest, vector_registers, loads)
    return _cut(height, tall), _cut(width, wide)


@cache
def _sizes(height: int, width: int, tallest: int, widest: int, vector_registers: int, loads: int) -> tuple[int, int]:
    """The largest part of either side.

    A step of a tile of i x j costs i * j multiplications, at least 4 (partial sums hide most of their latency), and a
    little for each load.  Besides the results, j operands stay in registers, and one more (``loads``) unless the
    processor multiplies from memory.
    """
    best: tuple[float, int, int] | None = None
    for j in range(1, min(widest, width) + 1):
        wide = _count(width, j)
        for i in range(1, max(1, min(tallest, height, (vector_registers - j - loads) // j)) + 1):
            cost = sum(n * m * (max(h * v, 4) + 0.3 * v + 0.15 * h + 1) for h, n in _count(height, i) for v, m in wide)
            if best is None or cost < best[0]:
                best = (cost, i, j)
    assert best is not None
    return best[1], best[2]


def _cut(length: int, size: int) -> np.ndarray:
    """Parts of about ``size``, none larger, as even as can be: (start, size) of each."""
    count = -(-length // size)
    ends = length * np.arange(count + 1, dtype=np.int64) // count
    return np.stack([ends[:-1], np.diff(ends)], axis=1)


def _count(length: int, size: int) -> list[tuple[int, int]]:
    """The sizes of these parts, and how many there are of each."""
    count = -(-length // size)
    least, larger = divmod(length, count)
    return [(least, count - larger), *[(least + 1, larger)] * (larger > 0)]
