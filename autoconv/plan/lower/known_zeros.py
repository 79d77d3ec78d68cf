"""Known zeros: terms of a contraction that padding makes zero are left out.

At the border of an image some taps of a kernel stand on padding, so their products are zero: 18 % of all products of a
3x3 kernel over 7x7 places.  Places at which the same terms are zero form a class, and each class is a contraction of
its own, over the terms that are left; classes that are too small to pay are joined, and then keep the terms of each.

The rewrite is *guarded*: w * 0 is 0 as long as w is finite.  So the machine looks whether all numbers of w are finite
(``Kernel.finite``), and where w is of each example (a gradient, in a sum over examples) whether the sums are
(``Result.finite``), each of which then has a product with every number of w that was left out elsewhere.  If they are
not, the program runs as it was written.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..contractions import Spaced
from ..instructions import Registers
from ..kernel import Kernel
from ..once import once
from ..spacing import Spacing, positive, spacing
from .lowering import Lowering

_LEAST = 0.02  # the share of the products that has to go
_MOST_CLASSES = 64
_BEGINNING = 1.5  # places that take as long as a class takes besides: its last tile is not full, and reads all weights
_IN_FLIGHT = 6  # vectors of sums that a processor adds to at the same time
_CACHE = 1 << 18  # numbers in the cache that a processor has to itself
_FAR = 4.0  # products of vectors while a vector comes from behind that cache
_LOOKING = 0.25, 1.0  # products of vectors while a number is looked at, from that cache and from behind it
_LANES = 8  # examples in a vector, or more

Part = tuple[Any, Any]  # which places, and which terms
WHOLE: list[Part] = [(slice(None), slice(None))]


def parts(
    low: Lowering, at: Kernel, x: Registers, letters: str, j: str, k: str, results: int, looked: int, each: bool = False
) -> list[Part]:
    """The places, counted along the letters j, and the terms, along k, that contractions have to be made of.

    ``x``: registers, an axis for each of ``letters``; ``results``: how many results a place has; ``looked``: how many
    numbers the machine has to look at then; ``each``: whether these are the sums, so that each term has to be in one.
    """
    found = _zeros(at, x, letters, j + k)
    if found is None:
        return WHOLE
    sizes = [x.shape[letters.index(c)] for c in j + k]
    of_j, of_k = found.shape[: len(j)], found.shape[len(j) :]
    zero = prod(of_j), prod(of_k)  # places and terms that differ along no other axis are alike
    beginning = _beginning(low, results, prod(sizes[len(j) :]))
    made, left = _classes(found.tobytes(), *zero, prod(sizes[: len(j)]) // zero[0], beginning)
    if not _pays(low, left, results * prod(sizes), looked):
        return WHOLE
    made = [(places, used.copy()) for places, used in made]
    for _, used in made:
        used[0] |= not used.any()
    if each:
        largest = max(made, key=lambda part: int(part[0].sum()))
        largest[1][~np.any([used for _, used in made], axis=0)] = True

    def numbers(which: np.ndarray, shape: tuple[int, ...], whole: list[int]) -> np.ndarray:
        return np.flatnonzero(np.broadcast_to(which.reshape(shape), whole))

    return [(numbers(places, of_j, sizes[: len(j)]), numbers(used, of_k, sizes[len(j) :])) for places, used in made]


@once
def _classes(
    zeros: bytes, places: int, terms: int, times: int, beginning: float
) -> tuple[list[tuple[np.ndarray, np.ndarray]], float]:
    """The classes of places, ``times`` for each of ``zeros`` (place, term): which places, and which terms they need;
    and the share of the products that is left."""
    zero = np.frombuffer(zeros, bool).reshape(places, terms)
    first, class_of = _distinct(zero)
    needed, count = ~zero[first], np.bincount(class_of) * times
    groups = _joined(count, needed, beginning)
    made = [(np.isin(class_of, group), needed[group].any(axis=0)) for group in groups]
    return made, sum(int(which.sum()) * int(used.sum()) for which, used in made) / zero.size


def _vectors(low: Lowering, results: int) -> int:
    """How many vectors so many results of a place are."""
    return -(-results // low.channel_lanes) if low.channel_lanes else results


def _beginning(low: Lowering, results: int, terms: int) -> float:
    """How many places take as long as a class takes besides its places."""
    far = low.channel_lanes and results * terms > _CACHE
    return max(_BEGINNING, _IN_FLIGHT / _vectors(low, results)) + (_FAR if far else 0)


def _pays(low: Lowering, left: float, products: int, looked: int) -> bool:
    """Whether it is less to make this share of the products of an example, and to look at so many numbers."""
    times = low.examples / low.channel_lanes if low.channel_lanes else -(-low.examples // _LANES)
    return left <= 1 - _LEAST and (1 - left) * products * times >= looked * _LOOKING[looked > _CACHE]


def split(x: Spaced, part: Part) -> Spaced:
    """Positions at some places, for some terms."""
    places, terms = part
    return Spaced(x.base[places], x.step[terms])


def _zeros(at: Kernel, x: Registers, letters: str, wanted: str) -> np.ndarray | None:
    """Whether registers are always zero, an axis for each of the letters ``wanted``, of size 1 where one moves along no
    padded axis; None if none is zero, or nobody knows."""
    found = spacing(x)
    if found is None or not positive(x):
        return None
    blank = at.blank.get(at.value(found.first))
    if blank is None:
        return None
    registers, empty = blank
    dims = range(empty.ndim)
    # along each axis what is not all zero
    full = [np.asarray(~empty.all(axis=tuple(e for e in dims if e != d))) for d in dims]
    outer = np.asarray(True)
    for one in full:
        outer = outer[..., None] & one
    moves = _moves(registers, found, x.shape)
    if moves is None or not (outer == ~empty).all():
        return None
    begin, steps = moves
    zero = np.zeros((1,) * len(wanted), bool)
    for d in dims:
        if full[d].all():
            continue
        if any(steps[n][d] for n, c in enumerate(letters) if c not in wanted):
            return None
        place = np.full((1,) * len(wanted), begin[d])
        for axis, c in enumerate(wanted):
            if step := steps[letters.index(c)][d]:
                moved = np.arange(x.shape[letters.index(c)]) * step
                place = place + np.expand_dims(moved, [other for other in range(len(wanted)) if other != axis])
        zero = zero | ~full[d][place]
    return zero if zero.any() else None


def _moves(registers: Registers, found: Spacing, shape: tuple[int, ...]) -> tuple[list[int], list[list[int]]] | None:
    """The index in ``registers`` of the first of some registers among them, and by how much it changes along each of
    their axes; None if that is not the same everywhere."""
    known = spacing(registers)
    if known is None:
        return None
    order = sorted(range(registers.ndim), key=lambda d: -known.steps[d])

    def index(distance: int) -> list[int] | None:
        at = [0] * registers.ndim
        for d in order:
            if known.steps[d]:
                at[d], distance = divmod(distance, known.steps[d])
        return None if distance else at

    begin, *steps = [index(distance) for distance in (found.first - known.first, *found.steps)]
    if begin is None or min(found.steps, default=0) < 0 or any(step is None for step in steps):
        return None
    moved = [step for step in steps if step is not None]
    for d, n in enumerate(registers.shape):  # nowhere does it run into the next row
        if begin[d] + sum((m - 1) * step[d] for m, step in zip(shape, moved, strict=True)) >= n:
            return None
    return begin, moved


def _distinct(zero: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the rows that differ one each, and for every row which of them it is like."""
    if zero.shape[1] < 63:
        rows = zero @ (1 << np.arange(zero.shape[1]))
        _, first, like = np.unique(rows, return_index=True, return_inverse=True)
    else:
        rows = np.packbits(zero, axis=1)
        _, first, like = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    return first, like.reshape(-1)


def _joined(count: np.ndarray, terms: np.ndarray, beginning: float) -> list[list[int]]:
    """Classes, of which so many places need these ``terms`` (class, term), joined as long as it saves work."""
    groups = [[c] for c in range(len(count))]
    terms, alike = np.unique(terms, axis=1, return_counts=True)  # terms that the same classes need count together
    if len(groups) > _MOST_CLASSES:  # those that save least are one
        saved = np.argsort(-count * (terms @ alike)).tolist()
        few = len(groups) - _MOST_CLASSES + 1
        groups = [saved[:few], *[[c] for c in saved[few:]]]
    count = np.array([count[group].sum() for group in groups])
    needs = np.array([terms[group].any(axis=0) for group in groups])
    while len(groups) > 1:
        gain = _gain(count, needs, alike, beginning)
        one, other = np.unravel_index(int(gain.argmax()), gain.shape)
        if gain[one, other] < 0:
            break
        groups[one] += groups[other]
        count[one] += count[other]
        needs[one] |= needs[other]
        del groups[other]
        count, needs = np.delete(count, other), np.delete(needs, other, axis=0)
    return groups


def _gain(count: np.ndarray, needs: np.ndarray, alike: np.ndarray, beginning: float) -> np.ndarray:
    """What is saved by joining every two classes: each by itself, and both together."""
    cost = (count + beginning) * (needs @ alike)
    together = ((needs[:, None] | needs) @ alike) * (count[:, None] + count + beginning)
    gain = np.asarray(cost[:, None] + cost - together)
    np.fill_diagonal(gain, -1)
    return gain
