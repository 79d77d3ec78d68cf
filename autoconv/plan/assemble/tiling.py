"""Elementwise instructions that follow one another, done strip by strip: what one writes the next reads from the nearest cache.

Every element of a group gets a time: that of the latest element that it reads, or, for one that reads nothing of the group, by
its place.  All elements of one time make a strip; within it the instructions keep their order.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..lower.instructions import MAP, Instruction, Stage

_STRIP = 64  # elements of the first instruction in a strip: a few times so many vectors fit into 32 KB


def groups(stage: Stage) -> list[tuple[int, int]]:
    """Stretches (begin, end) of elementwise instructions of which each but the first reads what one before it reads or writes."""
    found, begin = [], 0
    touched: set[int] = set()
    for number, one in enumerate([*stage.instructions, None]):
        large = one is not None and one.kind == MAP and one.writes[0].size > _STRIP
        reads = {v for names in one.reads for v in stage.values(names) if v} if one is not None and large else set()
        if not touched & reads:
            if number - begin > 1:
                found.append((begin, number))
            begin, touched = number, set()
        if one is not None and large:
            touched |= reads | set(stage.values(one.writes[0]))
    return found


def strips(stage: Stage, begin: int, end: int) -> tuple[list[Instruction], np.ndarray]:
    """The instructions of a group with their elements in the order of the strips, and where in each every strip begins."""
    time = np.full(stage.end, -1, np.int32)
    group, times = [], []
    for one in stage.instructions[begin:end]:
        latest = np.max([time[names.ravel()] for names in one.reads], axis=0)
        mine = np.where(latest < 0, np.arange(len(latest)) // _STRIP, latest)
        order = np.argsort(mine, kind="stable")
        pick = lambda names, order=order: names.ravel()[order]
        group.append(replace(one, writes=[pick(one.writes[0])], reads=[pick(names) for names in one.reads]))
        time[one.writes[0].ravel()] = mine
        times.append(mine[order])
    count = 1 + max(int(mine[-1]) for mine in times)
    return group, np.array([np.searchsorted(mine, np.arange(count + 1)) for mine in times])
