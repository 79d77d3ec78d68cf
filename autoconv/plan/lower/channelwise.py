"""Contractions whose groups have one channel each, as a depthwise convolution's: all channels in one instruction.

The letters of the groups are then those of channels c: out[c, j] = sum_k w[c, k] * x[c, j, k].  Registers [c, j, k] are
taken as apart[c] + base[j] + step[k]; with channels in the lanes those of neighbouring channels must stand side by
side, else every group is lowered by itself.
"""

from __future__ import annotations

from math import prod

import numpy as np

from ...program.program import Line
from ..channelwise import ChannelwiseDot
from ..contractions import Spaced, beside
from ..instructions import Registers
from ..kernel import Result
from ..spacing import offsets, positive, spacing
from .letters import by_groups, in_groups, in_order, one_value
from .lowering import Lowering
from .movement import in_memory

Side = tuple[Registers, str, str]  # registers, their letters, and those that only this side and the result have


def possible(g: str, free: str, sizes: dict[str, int]) -> bool:
    """Whether there are several groups, of one channel each."""
    return prod([sizes[c] for c in g]) > 1 and prod([sizes[c] for c in free]) == 1


def registers(
    low: Lowering, i: int, kernel: int, found: Registers, letters: str, groups: tuple[str, str, str, str],
    sizes: dict[str, int],
) -> tuple[Spaced, np.ndarray] | None:  # fmt: skip
    """Registers [c, j, k] as (base[j] + step[k], apart[c]); copied where they are not spaced so, None if channels are
    not innermost in memory.  ``groups``: the letters n, c, j, k."""
    if low.channel_lanes and not _inside(found, letters, groups[1]):
        return None
    made = _split(found, letters, groups, sizes) if one_value(low, kernel, found) else None
    if made is None or (low.channel_lanes and not beside(made[1])):  # two in the middle may be neighbours by accident
        made = _split(low.copy(i, found, kernel), letters, groups, sizes)
        assert made is not None, "a copy's registers are numbered in order"
        assert not low.channel_lanes or beside(made[1]), "a copy's channels stand side by side"
    return made


def _inside(found: Registers, letters: str, channels: str) -> bool:
    """Whether neighbours along the one letter of channels are neighbours in memory."""
    axes = [d for d in in_memory(found) if found.shape[d] > 1]
    many = [c for c in channels if found.shape[letters.index(c)] > 1]
    if len(many) != 1 or not axes or letters[axes[-1]] != many[0]:
        return False
    at = letters.index(many[0])
    middle = [n // 2 for n in found.shape]
    here = int(found[tuple(middle)])
    middle[at] -= 1
    there = int(found[tuple(middle)])
    return not here or not there or here - there == 1


def _split(
    table: np.ndarray, letters: str, groups: tuple[str, str, str, str], sizes: dict[str, int]
) -> tuple[Spaced, np.ndarray] | None:
    n, *rest = groups
    found = spacing(table)
    if found is not None:
        if not positive(table):
            return None
        size, step = dict(zip(letters, table.shape, strict=True)), dict(zip(letters, found.steps, strict=True))
        apart, base, steps = (offsets([size[c] for c in x], [step[c] for c in x]) for x in rest)
        return Spaced(found.first + base, steps), apart
    whole = by_groups(table, letters, n, *rest, sizes=sizes)
    if not whole.all():
        return None
    apart, base, steps = whole[:, 0, 0] - whole[0, 0, 0], whole[0, :, 0], whole[0, 0] - whole[0, 0, 0]
    if not np.array_equal(whole, apart[:, None, None] + base[:, None] + steps):
        return None
    return Spaced(base, steps), apart


def over_examples(
    low: Lowering, i: int, line: Line, sides: list[Side], letters: tuple[str, str, str, str], sizes: dict[str, int],
    kernel: int,
) -> bool:  # fmt: skip
    """result[c, i] = sum over examples and k of a[c, i, k] * b[c, k]; False if the line has no such form.

    ``letters``: n, c, k, and those of the result."""
    n, g, k, result = letters
    if not possible(g, sides[1][2], sizes):
        sides = sides[::-1]
    (of_a, in_a, rows), (of_b, in_b, single) = sides
    if not possible(g, single, sizes):
        return False
    if low.channel_lanes and not (_inside(of_a, in_a, g) and _inside(of_b, in_b, g)):
        return False
    low.clear(i, of_a, kernel)
    low.clear(i, of_b, kernel)
    left = registers(low, i, kernel, of_a, in_a, (n, g, rows, k), sizes)
    right = registers(low, i, kernel, of_b, in_b, (n, g, single, k), sizes)
    assert left is not None and right is not None, "channels stand side by side"
    height, width = (prod([sizes[c] for c in x]) for x in (rows, g))
    places = in_groups(in_order(result, sizes), result, "", rows, g)[0]
    if low.channel_lanes:
        in_rows = places.base[:, None] + places.step
        made = Result(i, height, width, True, line.shape, None if beside(in_rows.reshape(-1)) else in_rows)
    else:
        made = Result(i, 1, prod(line.shape), False, line.shape)
    (a, a_apart), (b, b_apart) = left, right
    number, reads = low.over_examples(i, made, kernel), [a.one, b.one]
    at = low.kernels[kernel]
    at.instructions.append(
        ChannelwiseDot(i, [], reads, number, a=a, a_apart=a_apart, b=b, b_apart=b_apart, places=places)
    )
    return True
