"""What the lanes of a vector are: examples of a block, or channels of one example; chosen by shape for each program.

Examples in the lanes make stride, dilation, padding and groups free, and want many examples; channels in the lanes want many
channels, and few examples or values too large for a block of examples to stay in the cache.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from math import ceil
from time import perf_counter
from typing import Any

import numpy as np

from .by_examples import ByExamples
from .instructions import DOT, GEMM, OUTER, Input, Instruction, Stage
from .lower import Lowering

_OF_CHANNELS = 1.2  # what channels in the lanes cost besides: weights are read for each example, rows have ragged ends
_CROWDED = 1.5  # what it costs when the values of a block do not fit the cache that a processor has to itself
_CACHE = 1 << 20
_WAKING = 1.1  # what it costs to have more than one thread


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
    """The layout with the least time for its busiest thread, judged by the products of vectors that it takes."""
    bytes_, examples = lowering.dtype.itemsize, lowering.examples
    kinds = [k for k in machine().kernels() if k[1] == bytes_]
    kinds = [k for k in kinds if k[0] == kinds[0][0]]
    forced = os.environ.get("AUTOCONV_LANES")
    written = [one.writes[0].size for s in lowering.stages.values() for one in s.instructions if one.writes]
    largest = bytes_ * max(written, default=0)
    best: tuple[float, Layout] | None = None
    for set_, _, lanes, registers in kinds:
        each = _relative_time(bytes_, lanes, kinds[-1][2]) * (
            1 + lanes * bytes_ / 512
        )  # and more memory to walk through
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


def _relative_time(bytes_: int, lanes: int, least: int) -> float:
    """What a vector of so many lanes costs beside one of the fewest lanes: 1, 2 or 4, so that noise does not change a plan."""
    measured = seconds_of_a_product(bytes_, lanes) / seconds_of_a_product(bytes_, least)
    return 1.0 if measured < 1.4 else 2.0 if measured < 2.8 else 4.0


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


@cache
def seconds_of_a_product(bytes_: int, lanes: int) -> float:
    """The time of one product of a number and a vector of so many lanes in a contraction, measured once in a process."""
    stage = Stage(1)
    x = np.arange(stage.cells(256), 257, dtype=np.int32).reshape(16, 16)
    out = np.arange(stage.cells(128), 385, dtype=np.int32).reshape(8, 16)
    more = {"sb": np.zeros(8, int), "sk": np.arange(16), "vb": x[:, 0], "vk": np.arange(16), "bias": None}
    stage.inputs.append(Input(0, None))
    stage.instructions += [Instruction(GEMM, [out], [x.ravel()], 0, more=more)] * 20
    run = ByExamples(stage, lanes, 16).machine(machine().Machine, bytes_, 1).run
    weights = [np.ones(64, np.float32 if bytes_ == 4 else np.float64)]
    times = []
    for _ in range(
        200
    ):  # about a millisecond: longer than another process keeps the processor, or the clock needs to rise
        start = perf_counter()
        run(weights, lanes, 1, b"")
        times.append(perf_counter() - start)
    return min(times) / (20 * 8 * 16 * 16)
