"""Changes of an array that somebody makes by mistake before it is used: reversed, rolled, summed, squared, reread.

Each has the name of a mistake, says what was done to an array {a}, and has the changed array.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, permutations
from typing import NamedTuple

import numpy as np

Array = np.ndarray
MOST_AXES = 4

BACKWARD, ROLLED = "an index that runs backward", "the neighbour's numbers"
EXCHANGED, REREAD = "two axes exchanged", "flattened in another order"
REDUCED, FIRST = "summed or averaged before it was used", "an index left at its first value"
BENT, OTHER = "another function of a factor", "another array in the place of a factor"
UPDATED, PADDED = "weights updated before they were used", "padding with other values"
LEFT_OUT, LEFT = "an array left out", "a pass of a loop left out"
TIMES, NORMED = "multiplied by what does not belong here", "scaled before it was used"
GROUPED = "an index of groups"
SWAPPED, BLOCKS = "parts in another order", 4  # up to so many parts of an array
RIGHT_CLASS, OTHERS = "the right class's own term", "the other classes' term"
HINTS = {
    RIGHT_CLASS: "What does the score of the right class do in the loss, and how often?",
    OTHERS: "What does the score of a wrong class do in the loss?",
    SWAPPED: "In which order were these parts put together?",
    GROUPED: "For how many indices has this array a number of its own?",
    BACKWARD: "Which index of the one array goes with which index of the other?",
    ROLLED: "Is the first index 0 in both arrays?",
    EXCHANGED: "In which order do the axes of this array stand?",
    REREAD: "In which order does this array lie in memory, and in which is it read?",
    REDUCED: "Has each element of this array a partner of its own?",
    FIRST: "Which of your loop variables stand in both arrays, and is there one that stands in neither?",
    LEFT: "For which indices does your loop run, and how many elements are there?",
    LEFT_OUT: "Where does this array stand in the forward, and where in your gradient?",
    BENT: "Is this array used as it is?",
    OTHER: "Which array did this one meet in the forward pass?",
    UPDATED: "Are all gradients computed before the first parameter is changed?",
    PADDED: "With what does your forward pad?",
    TIMES: "What multiplies this gradient, and why?",
    NORMED: "Is this array used as it is?",
}


class Change(NamedTuple):
    """One change of an array: the name of the mistake, in words, the changed array."""

    name: str
    says: str
    made: Array


def turned(a: Array, every: bool = False) -> Iterator[Change]:
    """The changes of an array that need no other one."""
    yield from along(a, [i for i, n in enumerate(a.shape) if every or n > 1])
    yield from functions(a)
    yield from orders(a, every)


def along(a: Array, long: list[int]) -> Iterator[Change]:
    for axes in subsets(long):
        where = axes_of(axes)
        yield Change(BACKWARD, f"{{a}} reversed along {where}", np.flip(a, axes))
        for word, reduce in (("sum", np.sum), ("mean", np.mean)):
            reduced = np.broadcast_to(reduce(a, axis=axes, keepdims=True), a.shape)
            yield Change(REDUCED, f"the {word} of {{a}} over {where} in the place of each element", reduced)
        yield Change(BENT, f"{{a}} minus its mean over {where}", a - a.mean(axis=axes, keepdims=True))
        size = np.sqrt((a**2).sum(axis=axes, keepdims=True))
        yield Change(NORMED, f"{{a}} divided by its length along {where}", a / np.where(size == 0, 1, size))
        total = a.sum(axis=axes, keepdims=True)
        yield Change(NORMED, f"{{a}} divided by its sum over {where}", a / np.where(total == 0, 1, total))
    for i in long:
        for by in (1, -1):
            yield Change(ROLLED, f"{{a}} moved by {by:+d} along axis {i}", np.roll(a, by, i))
        for word, at in (("first", 0), ("last", -1)):
            kept = np.repeat(a.take([at], i), a.shape[i], i)
            yield Change(FIRST, f"the {word} of {{a}} along axis {i}, for all of them", kept)
        for n in [n for n in range(2, a.shape[i]) if a.shape[i] % n == 0]:
            in_turn, first = np.tile(np.arange(n), a.shape[i] // n), np.repeat(np.arange(n), a.shape[i] // n)
            for words, index in (("the number of the group", first), ("the number within a group", in_turn)):
                yield Change(GROUPED, f"{{a}} read at {words}, of {n} along axis {i}", a.take(index, i))
        for n in [n for n in range(2, a.shape[i]) if a.shape[i] % n == 0]:
            parts = a.reshape(*a.shape[:i], n, a.shape[i] // n, *a.shape[i + 1 :])
            words = f"{{a}} with axis {i} laid out as ({n}, {a.shape[i] // n}) and read as the other way round"
            yield Change(REREAD, words, parts.swapaxes(i, i + 1).reshape(a.shape))
            for j, k in combinations(range(n if n <= BLOCKS else 0), 2):
                order = [k if m == j else j if m == k else m for m in range(n)]
                words = f"{{a}} with parts {j} and {k} of {n} along axis {i} exchanged"
                yield Change(SWAPPED, words, parts.take(order, i).reshape(a.shape))
        yield Change(REDUCED, f"the running sum of {{a}} along axis {i}", np.cumsum(a, axis=i))
        for word, at in (("first", 0), ("last", -1)):
            kept = np.array(a, dtype=float)
            kept[(slice(None),) * i + (at,)] = 0
            yield Change(LEFT, f"{{a}} with zeros at the {word} index of axis {i}", kept)
    for i, j in combinations(long, 2):
        if a.shape[i] == a.shape[j]:
            yield Change(EXCHANGED, f"{{a}} with axes {i} and {j} exchanged", a.swapaxes(i, j))


def functions(a: Array) -> Iterator[Change]:
    with np.errstate(all="ignore"):
        for words, made in (
            ("0 in the place of {a}", np.zeros(a.shape)),
            ("the square of {a}", a**2),
            ("the size of {a}, without its sign", np.abs(a)),
            ("the sign of {a}", np.sign(a)),
            ("{a} where it is above 0, and 0 elsewhere", np.maximum(a, 0)),
            ("{a} where it is below 0, and 0 elsewhere", np.minimum(a, 0)),
            ("1 where {a} is above 0, and 0 elsewhere", (a > 0).astype(float)),
            ("1 divided by {a}", 1 / a),
            ("1 in the place of {a}", np.ones(a.shape)),
            ("1 minus {a}", 1 - a),
            ("{a} cut off at 1 and -1", np.clip(a, -1, 1)),
            ("the whole numbers of {a}", np.trunc(a)),
            ("the exponential of {a}", np.exp(a)),
            ("the tanh of {a}", np.tanh(a)),
        ):
            if np.isfinite(made).all():
                yield Change(BENT if words[0] != "0" else LEFT_OUT, words, made)


def orders(a: Array, every: bool, parts: bool = True) -> Iterator[Change]:
    """The array laid out in another order of its axes, or (``parts``) of three of them, than it is read in."""
    long = [i for i, n in enumerate(a.shape) if n > 1]
    if (every or len(long) > 1) and a.ndim <= MOST_AXES:
        some = range(a.ndim) if every else long
        for chosen in combinations(some, 3) if parts and a.ndim > 3 else ():
            for there, read in permutations(permutations(chosen), 2):
                words = f"{{a}} with axes {there} in a row, read as axes {read}"
                yield Change(REREAD, words, _reread(a, chosen, there, read))
        for order in permutations(range(a.ndim)):
            if [i for i in order if i in long] == long and not every:
                continue
            words = f"{{a}} read in the order of axes {order}"
            yield Change(REREAD, words, a.reshape([a.shape[i] for i in order]).transpose(np.argsort(order)))
            laid = a.transpose(order).reshape(a.shape)
            yield Change(REREAD, f"{{a}} laid out in the order of axes {order}", laid)


def _reread(a: Array, chosen: tuple[int, ...], there: tuple[int, ...], read: tuple[int, ...]) -> Array:
    """The axes ``chosen`` of an array laid out in the order ``there``, and read in the order ``read``; others stay."""
    kept = [i for i in range(a.ndim) if i not in chosen]
    laid = a.transpose([*kept, *there]).reshape([a.shape[i] for i in (*kept, *read)])
    return laid.transpose(np.argsort([*kept, *read]))


def subsets(axes: list[int]) -> Iterator[tuple[int, ...]]:
    for count in range(1, len(axes) + 1):
        yield from combinations(axes, count)


def axes_of(axes: tuple[int, ...]) -> str:
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"
