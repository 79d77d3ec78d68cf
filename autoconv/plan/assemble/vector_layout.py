"""What the lanes of a vector are: examples of a block, or channels of one example; chosen by shape for each program.

Examples in the lanes make stride, dilation, padding and groups free, and want many examples; channels in the lanes want many
channels, and few examples or values too large for a block of examples to stay in the cache.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cache
from math import ceil
from typing import Any

from ..lower.instructions import DOT, GEMM, OUTER
from ..lower.lower import Lowering

_OF_CHANNELS = 1.2  # what channels in the lanes cost besides: weights are read for each example, rows have ragged ends
_CROWDED = 1.5  # what it costs when the values of a block do not fit the cache that a processor has to itself
_CACHE = 1 << 20
_WAKING = 1.1  # what it costs to have more than one thread
_SHARED = 0.75  # how much of a thread's time goes into work where threads share a block
_WORTH_SHARING = 20_000  # products of vectors: for less, threads would meet more often than they work
_ALONE = 1.0  # what a vector of weights' products costs besides where weights meet one vector of examples, and not four
_WALK = 512  # bytes: a vector of any width is one operation, and a wider one has more memory to walk through


@cache
def machine() -> Any:
    """The compiled extension, or None if it was not built."""
    try:
        from .. import _machine  # type: ignore[attr-defined]
    except ImportError:
        return None
    return _machine


@dataclass(frozen=True)
class Layout:
    """What the lanes of a vector are: ``lanes`` examples, or (``channels``) as many cells of one example; for which processor.

    A cell holds ``vectors`` of examples side by side.  ``team``: how many threads share a block; 1 if each has its own.
    """

    channels: bool
    set: str
    lanes: int
    registers: int
    vectors: int = 1
    team: int = 1

    @property
    def examples(self) -> int:
        """How many examples a block has."""
        return 1 if self.channels else self.lanes * self.vectors


def choose(lowering: Lowering, parts: int) -> Layout:
    """The layout with the least time for its busiest thread, judged by the products of vectors that it takes.

    It is counted, not measured: the layout decides how sums are rounded, and the same run must have the same bits again.
    """
    bytes_ = lowering.dtype.itemsize
    kinds = [k for k in machine().kernels() if k[1] == bytes_]
    kinds = [k for k in kinds if k[0] == kinds[0][0]]
    forced = os.environ.get("AUTOCONV_LANES")
    written = [one.writes[0].size for s in lowering.stages.values() for one in s.instructions if one.writes]
    largest = bytes_ * max(written, default=0)
    best: tuple[float, Layout] | None = None
    for set_, _, lanes, registers in kinds:
        for channels, vectors in ((False, 1), (False, 2), (False, 4), (True, 1)):
            if forced in ("examples", "channels") and channels != (forced == "channels"):
                continue
            layout = Layout(channels, set_, lanes, registers, vectors)
            cost, blocks = _products(lowering, layout), ceil(lowering.examples / layout.examples)
            cost *= _OF_CHANNELS if channels else vectors * (1 + lanes * bytes_ / _WALK)
            if 3 * largest * layout.examples > _CACHE:
                cost *= _CROWDED
            if blocks < parts and cost * blocks > _WORTH_SHARING:
                layout = replace(layout, team=parts)
                cost *= blocks / (parts * _SHARED)
            else:
                cost *= ceil(blocks / min(parts, blocks))
            if min(parts, blocks) > 1 or layout.team > 1:
                cost *= _WAKING
            if best is None or cost < best[0]:
                best = (cost, layout)
    assert best is not None
    return best[1]


def _products(lowering: Lowering, layout: Layout) -> float:
    """Products of vectors for a block of examples (as if a cell were one vector), or for one example."""
    count = 0.0
    lanes, vectors = layout.lanes, layout.vectors
    rows = (lambda n: ceil(n / lanes)) if layout.channels else (lambda n: n)
    waits = lambda width: 1.0 if layout.channels else 1 + _ALONE * (1 / min(4, width * vectors) - 1 / 4)
    for stage in lowering.stages.values():
        for one in stage.instructions:
            if one.kind == GEMM:
                height, width = one.writes[0].shape
                count += rows(height) * width * len(one.more["sk"]) * waits(width)
            elif one.kind in (DOT, OUTER):
                a = one.more["a"]
                width = len(one.more["b"]) if one.kind == DOT else one.more["b"].shape[1]
                count += len(a) * rows(width) * a.shape[1] * (1.0 if one.kind == DOT else waits(1))
            elif one.writes:
                count += 1 + one.writes[0].size // 4 if layout.channels else one.writes[0].size
    return count
