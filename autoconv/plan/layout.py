"""What the lanes of a vector are: examples of a block, or channels of one example; chosen by shape for each program.

Examples in the lanes make stride, dilation, padding and groups free, and want many examples; channels in the lanes want many
channels, and few examples or values too large for a block of examples to stay in the cache.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from math import ceil
from typing import Any

from .instructions import DOT, GEMM, OUTER
from .lower import Lowering

_OF_CHANNELS = 1.2  # what channels in the lanes cost besides: weights are read for each example, rows have ragged ends
_CROWDED = 1.5  # what it costs when the values of a block do not fit the cache that a processor has to itself
_CACHE = 1 << 20
_WAKING = 1.1  # what it costs to have more than one thread
_WALK = 512  # bytes: a vector of any width is one operation, and a wider one has more memory to walk through


@cache
def machine() -> Any:
    """The compiled extension, or None if it was not built."""
    try:
        from . import _machine  # type: ignore[attr-defined]
    except ImportError:
        return None
    return _machine


@dataclass(frozen=True)
class Layout:
    """What the lanes of a vector are: ``lanes`` examples, or (``channels``) as many cells of one example; for which processor."""

    channels: bool
    set: str
    lanes: int
    registers: int


def choose(lowering: Lowering, parts: int) -> Layout:
    """The layout with the least time for its busiest thread, judged by the products of vectors that it takes.

    It is counted, not measured: the layout decides how sums are rounded, and the same run must have the same bits again.
    """
    bytes_, examples = lowering.dtype.itemsize, lowering.examples
    kinds = [k for k in machine().kernels() if k[1] == bytes_]
    kinds = [k for k in kinds if k[0] == kinds[0][0]]
    forced = os.environ.get("AUTOCONV_LANES")
    written = [one.writes[0].size for s in lowering.stages.values() for one in s.instructions if one.writes]
    largest = bytes_ * max(written, default=0)
    best: tuple[float, Layout] | None = None
    for set_, _, lanes, registers in kinds:
        each = 1 + lanes * bytes_ / _WALK
        blocks = ceil(examples / lanes)
        time = ceil(blocks / min(parts, blocks)) * _products(lowering, None) * each
        other = ceil(examples / min(parts, examples)) * _products(lowering, lanes) * each * _OF_CHANNELS
        for channels, cost in ((False, time), (True, other)):
            if min(parts, examples if channels else blocks) > 1:
                cost *= _WAKING
            if 3 * largest * (1 if channels else lanes) > _CACHE:
                cost *= _CROWDED
            if forced in ("examples", "channels") and channels != (forced == "channels"):
                continue
            if best is None or cost < best[0]:
                best = (cost, Layout(channels, set_, lanes, registers))
    assert best is not None
    return best[1]


def _products(lowering: Lowering, lanes: int | None) -> int:
    """Products of vectors for a block of examples (lanes: None) or, with so many channels in the lanes, for one example."""
    count = 0
    rows = lambda n: n if lanes is None else ceil(n / lanes)
    for stage in lowering.stages.values():
        for one in stage.instructions:
            if one.kind == GEMM:
                height, width = one.writes[0].shape
                count += rows(height) * width * len(one.more["sk"])
            elif one.kind in (DOT, OUTER):
                a = one.more["a"]
                width = len(one.more["b"]) if one.kind == DOT else one.more["b"].shape[1]
                count += len(a) * rows(width) * a.shape[1]
            elif one.writes:
                count += one.writes[0].size if lanes is None else 1 + one.writes[0].size // 4
    return count
