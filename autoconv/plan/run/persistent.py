"""Memory that stays with a program: lines that kernels write and only later kernels read, in the machine's own order.

Kernels run one after the other, each over all examples.  So a line needs its memory from the kernel that writes it to
the last one that reads it, and lines that are not needed at the same time share memory: on the way back that of results
which have been read for the last time.  What one program has used the next one takes over, be it the same function for
another number of examples or another function.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from math import prod
from typing import ClassVar, NamedTuple

import numpy as np

from ...program.program import Program
from ..kernel import Input, Kernel

_CACHE_LINE = 64  # bytes
_WASTE = 2  # memory of another program is given back if it is more than so many times what is needed
_LARGE = 1 << 23  # bytes from which on there is room for more examples: what is not touched costs nothing
_FROM_SYSTEM = (
    33 << 20
)  # bytes that the GNU C library takes from the system and not from its heap, to leave a hole there

Arrays = dict[int, np.ndarray]


class Span(NamedTuple):
    """The kernel that writes a line, and the last one that reads it (from 0 on, in the order in which they run)."""

    first: int
    last: int


class Persistent:
    """The lines that kernels write and only later kernels read; ``asked``: those that somebody else reads.

    The memory of the program that ran last is kept for the next run, of this program or of another one.
    """

    _last: ClassVar[weakref.ref[Persistent] | None] = None

    def __init__(self, program: Program, kernels: Sequence[Kernel], asked: set[int]) -> None:
        self._sizes: dict[int, int] = {}  # how many numbers each example has
        self._spans: dict[int, Span] = {}
        self._sums: dict[int, tuple[int, ...]] = {}
        self._spare: list[tuple[np.ndarray, Arrays]] = []
        readers: dict[int, list[Input]] = {}
        last: dict[int, int] = {}
        for k, kernel in enumerate(kernels):
            for x in kernel.inputs:
                readers.setdefault(x.line, []).append(x)
                last[x.line] = k
        for k, kernel in enumerate(kernels):
            for out in kernel.outputs:
                found = readers.get(out.line, [])
                if out.line in asked or any(x.order != out.order or x.places or x.part is not None for x in found):
                    continue
                shape = program.lines[out.line].shape
                self._sizes[out.line] = prod(shape) // shape[out.axis]
                self._spans[out.line] = Span(k, max(k, last.get(out.line, k)))
                out.persistent = True
                for x in found:
                    x.persistent = True
            for result in kernel.results:
                if result.line in readers and result.line not in asked:
                    self._sums[result.line] = result.shape
        always = Span(0, len(kernels))
        self._spans.update(dict.fromkeys(self._sums, always))  # they are small, and an optimiser may look at one

    def for_batch(self) -> Persistent:
        """The same lines for another number of examples, with memory of their own."""
        other = copy(self)
        other._spare = []
        return other

    def __contains__(self, line: int) -> bool:
        return line in self._spans

    @contextmanager
    def memory(self, examples: int, dtype: np.dtype) -> Iterator[Arrays]:
        """Arrays for these lines, ``examples`` rounded up to whole blocks; no other run has them meanwhile."""
        given: list[np.ndarray] = []
        last = Persistent._last() if Persistent._last is not None else None
        if last is not self:
            with suppress(IndexError):
                while last is not None:
                    given.append(last._spare.pop()[0])  # one at a time: what a run of another thread takes is not here
            Persistent._last = weakref.ref(self)
        try:
            memory, arrays = self._spare.pop()
        except IndexError:
            shapes = self._sums | {line: (examples, size) for line, size in self._sizes.items()}
            memory, arrays = overlaid(shapes, self._spans, dtype, given)
        given.clear()
        try:
            yield arrays
        finally:
            if Persistent._last is not None and Persistent._last() is self:
                self._spare.append((memory, arrays))


def overlaid(
    shapes: Mapping[int, tuple[int, ...]],
    spans: Mapping[int, Span],
    dtype: np.dtype,
    given: list[np.ndarray],
) -> tuple[np.ndarray, Arrays]:
    """One piece of memory, and arrays of these shapes in it, each from a cache line on: apart where their spans meet.

    In one piece they are large enough for NumPy to ask for large pages, without which a run that passes over all of
    them spends its time on finding the pages.  ``given``: pieces of which one is taken if it is of a fitting size; else
    they go before new memory comes, and that is for a fourth more, since the next size of the batch may be larger.
    """
    sizes = {i: -(-prod(shape) * dtype.itemsize // _CACHE_LINE) * _CACHE_LINE for i, shape in shapes.items()}
    begins, end = _places(sizes, spans)
    needed = end + _CACHE_LINE
    least = _FROM_SYSTEM if needed > _LARGE else 0
    memory = next((x for x in given if needed <= x.size <= max(_WASTE * needed, least)), None)
    if memory is None:
        given.clear()
        memory = np.empty(max(needed + needed // 4, least) if least else needed, np.uint8)
    skipped = -memory.ctypes.data % _CACHE_LINE
    found = {}
    for i, shape in shapes.items():
        begin = skipped + begins[i]
        found[i] = memory[begin : begin + prod(shape) * dtype.itemsize].view(dtype).reshape(shape)
    return memory, found


def _places(sizes: Mapping[int, int], spans: Mapping[int, Span]) -> tuple[dict[int, int], int]:
    """Where each begins, the first place that is free while it is needed; and the end of all."""
    begins: dict[int, int] = {}
    end = 0
    taken: list[tuple[int, int, int]] = []  # (begin, end, last kernel) of what is needed, by begin
    for i in sorted(sizes, key=lambda i: (spans[i].first, -spans[i].last)):
        taken = [one for one in taken if one[2] >= spans[i].first]
        begin, at = 0, 0
        for at, (low, high, _) in enumerate(taken):  # noqa: B007 (where it is put)
            if begin + sizes[i] <= low:
                break
            begin = max(begin, high)
        else:
            at = len(taken)
        taken.insert(at, (begin, begin + sizes[i], spans[i].last))
        begins[i] = begin
        end = max(end, begin + sizes[i])
    return begins, end
