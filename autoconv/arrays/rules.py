"""A derivative rule made of several elementwise operations, on large arrays: each number is loaded once.

A rule maps a cotangent and the operands to one cotangent for each operand.  It is run block by block, so that what it
computes in between stays in the cache; one that depends only on the order of its two operands is not run at all: it is
the cotangent times one of three numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, reduce
from typing import Any

import numpy as np

from .fractions import Array, cast
from .order import order

BLOCK = 1 << 16  # elements taken at a time
Rule = Callable[..., Sequence[Any]]
Cases = tuple[float, float, float]  # numbers for x < y, x = y and x > y


def elementwise(rule: Rule, count: int, g: Array, *operands: Array, by_order: bool = False) -> list[Array]:
    """The ``count`` results of an elementwise rule; ``by_order``: it depends on the order of its two operands alone."""
    if by_order:
        x, y = operands
        return times_cases(g, x, y, cases(rule))
    return in_blocks(rule, count, g, *operands)


@cache
def cases(rule: Rule) -> list[Cases]:
    """What a rule that depends on the order of x and y alone multiplies a cotangent with, for each of its results."""
    return [tuple(slope.tolist()) for slope in rule(np.ones(3), np.array([-1.0, 0.0, 1.0]), np.zeros(3))]


TRUE_IN = {  # the cases in which a comparison is true
    (True, False, False): np.less,
    (False, True, False): np.equal,
    (False, False, True): np.greater,
    (True, True, False): np.less_equal,
    (True, False, True): np.not_equal,
    (False, True, True): np.greater_equal,
}


def times_cases(g: Array, x: Array, y: Array, slopes: Sequence[Cases]) -> list[Array]:
    """For each of ``slopes``, g times its number for the order of x and y, in which a NaN wins as in ``order``.

    sum over the numbers c of c * g * [the order is a case with number c], the truth values taken as 0 and 1.
    """
    below, others = np.less(x, y), np.greater_equal(x, y)
    if not np.logical_and.reduce(np.not_equal(below, others), axis=None):  # a NaN is neither: its order decides
        case = order(x, y)
        return times_cases(g, case, np.zeros_like(case), slopes)
    known = {(True, False, False): below, (False, True, True): others}
    made = []
    for cases in slopes:
        parts = []
        for number in sorted({*cases} - {0}) or [0]:
            place = cases[0] == number, cases[1] == number, cases[2] == number
            if place not in known:
                known[place] = TRUE_IN[place](x, y) if place in TRUE_IN else below | others
            parts.append(cast(np.asarray(known[place]).view(np.int8), g.dtype))
            parts[-1] *= g if number == 1 else g * cast(np.asarray(number), g.dtype)
        made.append(reduce(np.add, parts)[()])  # of no dimension: a number, as NumPy's arithmetic has it
    return made


def in_blocks(f: Callable[..., Sequence[Array]], count: int, *xs: Array) -> list[Array]:
    """The ``count`` results of f, which works element by element, block by block: what it computes in between stays in
    the cache."""
    if xs[-1].size <= BLOCK:  # (of a calculation with one exact fraction, some are Fractions)
        return list(f(*xs))
    reads, writes = [["readonly"]] * len(xs), [["writeonly", "allocate"]] * count
    blocks = np.nditer(
        [*xs, *[None] * count],
        flags=["external_loop", "buffered", "refs_ok"],
        op_flags=reads + writes,  # type: ignore[arg-type]
        op_dtypes=[x.dtype for x in xs] + [xs[0].dtype] * count,
        buffersize=BLOCK,
    )
    with blocks:
        for block in blocks:
            for out, made in zip(block[len(xs) :], f(*block[: len(xs)]), strict=True):
                out[...] = made
        return list(blocks.operands[len(xs) :])
