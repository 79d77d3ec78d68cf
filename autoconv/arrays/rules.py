"""A derivative rule made of several elementwise operations, on large arrays: each number is loaded once.

A rule maps a cotangent and the operands to one cotangent for each operand.  It is run block by block, so that what it
computes in between stays in the cache; one that depends only on the order of its two operands is not run at all: it is
the cotangent times one of three numbers, and where that is 0 it is 0 whatever the cotangent is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .fractions import Array, cast, zeros
from .order import order

BLOCK = 1 << 16  # elements taken at a time
Rule = Callable[..., Sequence[Any]]


class Cases(NamedTuple):
    """Numbers for x < y, x = y and x > y; ``nan``: of a NaN and a number the NaN counts as the one that is "more" or
    "less"."""

    less: float
    tie: float
    more: float
    nan: str = "more"


def elementwise(rule: Rule, count: int, g: Array, *operands: Array, by_order: bool = False) -> list[Array]:
    """The ``count`` results of an elementwise rule; ``by_order``: it depends on the order of its two operands alone."""
    if by_order:
        x, y = operands
        return times_cases(g, x, y, cases(rule))
    return in_blocks(rule, count, g, *operands)


@cache
def cases(rule: Rule) -> list[Cases]:
    """What a rule that depends on the order of x and y alone multiplies a cotangent with, for each of its results."""
    x = np.array([-1.0, 0.0, 1.0, np.nan])
    numbers = [slope.tolist() for slope in rule(np.ones(4), x, np.zeros(4))]
    return [Cases(less, tie, more, "more" if nan == more else "less") for less, tie, more, nan in numbers]


def slope(g: Array, x: Array, y: Array, less: float, tie: float, more: float, nan: str = "more") -> Array:
    """g times ``less``, ``tie`` or ``more``, as x < y, x = y or x > y; 0 where that number is 0."""
    if not np.shape(g) == np.shape(x) == np.shape(y):
        g, x, y = np.broadcast_arrays(g, x, y)
    return times_cases(g, x, y, [Cases(less, tie, more, nan)])[0]


TRUE_IN = {  # the cases in which a comparison is true
    (True, False, False): np.less,
    (False, True, False): np.equal,
    (False, False, True): np.greater,
    (True, True, False): np.less_equal,
    (True, False, True): np.not_equal,
    (False, True, True): np.greater_equal,
}


def times_cases(g: Array, x: Array, y: Array, slopes: Sequence[Cases]) -> list[Array]:
    """For each of ``slopes``, g times its number for the order of x and y; 0 where that is 0.

    The cases do not overlap, so the parts c * g where the order is a case with number c are put together bit by bit.
    """
    g = np.asarray(g)
    below, others = np.less(x, y), np.greater_equal(x, y)
    if not np.logical_and.reduce(np.not_equal(below, others), axis=None):  # a NaN is neither: its order decides
        return [_of_nan(g, x, y, cases) for cases in slopes]
    known = {(True, False, False): below, (False, True, True): others}
    made = []
    for cases in slopes:
        numbers = cases[:3]
        parts = []
        for number in sorted({*numbers} - {0}) or [0]:
            place = numbers[0] == number, numbers[1] == number, numbers[2] == number
            if place == (True, True, True):
                parts.append(_multiple(g, number))
                continue
            if place not in known:
                known[place] = TRUE_IN[place](x, y)
            parts.append(chosen(known[place], _multiple(g, number)))
        made.append(_together(parts)[()])  # of no dimension: a number, as NumPy's arithmetic has it
    return made


def _of_nan(g: Array, x: Array, y: Array, cases: Cases) -> Array:
    """The same, where some x or y is NaN."""
    case = order(x, y) if cases.nan == "more" else -order(-np.asarray(x), -np.asarray(y))
    return times_cases(g, case, np.zeros_like(case), [cases])[0]


def _multiple(g: Array, number: float) -> Array:
    return g if number == 1 else np.asarray(g * cast(np.asarray(number), g.dtype))


_WHOLE = {2: np.int16, 4: np.int32, 8: np.int64}  # whole numbers of as many bytes as a floating-point one


def chosen(truth: Any, g: Array) -> Array:
    """g where ``truth`` holds, else 0: its bits, and those of 0 (a product would make NaN of 0 times infinity)."""
    if g.dtype.kind != "f" or g.dtype.itemsize not in _WHOLE:
        return np.where(truth, g, zeros((), g.dtype))
    whole = _WHOLE[g.dtype.itemsize]
    mask = np.asarray(np.negative(np.asarray(truth).view(np.int8)).astype(whole))
    np.bitwise_and(mask, g.view(whole), out=mask)
    return mask.view(g.dtype)


def _together(parts: list[Array]) -> Array:
    """Parts of which each element has at most one that is not 0."""
    first, *rest = parts
    for part in rest:
        if part.dtype.kind != "f" or part.dtype.itemsize not in _WHOLE:
            first = first + part
            continue
        whole = _WHOLE[part.dtype.itemsize]
        first = (first.view(whole) | part.view(whole)).view(part.dtype)
    return first


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
