"""Recording of Scalars: flat segments of rows, and the sweep back over them.

A row is (operation, a, b, d/da, d/db, value) written into one flat list, six places a row; row 0 is empty, and a number
as operand has index 0 and stands in the place of its derivative.  A segment takes the operations of one thread until a
sweep or its limit closes it; a computed Scalar holds its segment, a segment the inputs and older segments it read.  So
what nobody holds any more is freed, segment by segment, and nothing recurses.
"""

from __future__ import annotations

import heapq
import itertools
import sys
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from .rules import CHOOSING, LEAF, OLDER

if TYPE_CHECKING:
    from .scalar import Scalar

WIDTH = 6
LIMIT = (1 << 22) // 24  # rows of 24 bytes in the compiled floor: 4 MB

_next_serial = itertools.count(1).__next__


class Segment:
    """A stretch of recording.  ``count`` rows; no more than ``limit`` (0: closed).

    ``leaves``: (row, input) for each input that was read; ``older``: (row, segment, its row) for each Scalar of an
    older segment; ``grads``: the cotangents of its rows, once a sweep came by.
    """

    __slots__ = ("_places", "count", "extend", "grads", "leaves", "limit", "names", "older", "passed", "rows", "serial")

    def __init__(self, limit: int) -> None:
        self.rows: list[Any] = [LEAF, 0, 0, 0.0, 0.0, 0.0]
        self.extend = self.rows.extend
        self.count, self.limit, self.serial = 1, limit, _next_serial()
        self.passed = False  # by ``release``, because a Scalar held it
        self.leaves: list[tuple[int, Scalar]] = []
        self.older: list[tuple[int, Segment, int]] = []
        self.grads: list[float] = []
        self.names: dict[int, str] = {}
        self._places: dict[tuple[int, int], int] = {}

    def close(self) -> None:
        """Take no more rows, and let the inputs go: they enter the next segment afresh."""
        if not self.limit:
            return
        self.limit = 0
        self._places = {}
        for _, leaf in self.leaves:
            if leaf._home is self:
                leaf._home = NOWHERE

    def enter(self, x: Scalar) -> int:
        """The row of ``x``, which comes from elsewhere, in this segment; written if it is not here yet."""
        row = self.count
        if x._grad is not None:
            self.leaves.append((row, x))
            x._home, x._i = self, row
        else:
            key = (x._home.serial, x._i)
            if key in self._places:
                return self._places[key]
            self._places[key] = row
            self.older.append((row, x._home, x._i))
        self.count = row + 1
        self.extend((LEAF if x._grad is not None else OLDER, 0, 0, 0.0, 0.0, x._v))
        return row

    def ancestors(self, rows: Iterable[int]) -> set[int]:
        """``rows`` and all rows of this segment that they were computed from."""
        marked = set(rows)
        a, b = self.rows[1::WIDTH], self.rows[2::WIDTH]
        for row in range(max(marked, default=0), 0, -1):
            if row in marked:
                marked.add(a[row])
                marked.add(b[row])
        marked.discard(0)
        return marked

    def needed(self, rows: Iterable[int]) -> bytearray:
        """A mark for each row that ``rows`` were computed from."""
        marks = bytearray(self.count)
        for row in self.ancestors(rows):
            marks[row] = 1
        return marks

    def columns(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """Operation, operands, derivatives and value of ``rows``."""
        table = np.array(self.rows, np.float64).reshape(-1, WIDTH)[rows]
        code, a, b = (table[:, k].astype(np.intp) for k in range(3))
        return code, a, b, table[:, 3], table[:, 4], table[:, 5]


NOWHERE = Segment(0)

# (thread, text) while a program is recorded that will run on other inputs: a value that leaves the tape stays the same.
watched: tuple[int, str] | None = None


def watch(text: str | None) -> str | None:
    """Refuse, with ``text``, that values of Scalars leave the tape in this thread; None: allow it.  The text so far."""
    global watched
    before, watched = watched, (threading.get_ident(), text) if text else None
    return before[1] if before else None


def watching() -> bool:
    """Is a program being recorded in this thread?"""
    return watched is not None and watched[0] == threading.get_ident()


def leave() -> None:
    """A value is about to leave the tape.  Raises TypeError while a program is recorded."""
    if watched and watching():
        raise TypeError(watched[1])


class _Thread(threading.local):
    segment = NOWHERE


_thread = _Thread()


def meet(*scalars: Scalar) -> tuple[Segment, list[int]]:
    """This thread's open segment, and the rows in it of the operands of the next operation.

    What a segment reads is closed and older than itself, so that a sweep can go segment by segment.
    """
    segment = _thread.segment
    full = segment.count + len(scalars) >= segment.limit
    for x in scalars:
        if x._grad is None and x._home is not segment:
            x._home.close()
            full = full or x._home.serial > segment.serial
    if full:
        if segment.limit:
            release(segment)
        segment.close()
        segment = _thread.segment = Segment(LIMIT)
    return segment, [x._i if x._home is segment else segment.enter(x) for x in scalars]


def release(segment: Segment) -> None:
    """Let go what the segments that ``segment`` reads hold in vain.

    An expression that was under way when a segment was full ties the next one to it, that one to the one after, and so
    on.  A segment that no Scalar holds any more, only ``segment``, keeps the older ones that the rows read here need.
    One that a Scalar holds is passed by, and looked at again when it is found further below.
    """
    level, first = [segment], True
    while level:
        homes = {entry[1].serial: entry[1] for one in level for entry in one.older}
        rows: dict[int, list[int]] = {serial: [] for serial in homes}
        for one in level:
            for entry in one.older:
                rows[entry[1].serial].append(entry[2])
        alone = [serial for serial, read in rows.items() if _references(homes[serial]) == len(read) + _ALONE]
        for serial in rows.keys() - set(alone):
            homes[serial].passed = True
        for serial in alone:
            if first or homes[serial].passed:
                needed = homes[serial].ancestors(rows[serial])
                homes[serial].older = [entry for entry in homes[serial].older if entry[0] in needed]
                homes[serial].passed = False
        level, first = [homes[serial] for serial in alone if homes[serial].older], False


def _references(x: Any) -> int:
    return sys.getrefcount(x)


_probe = {0: Segment(0)}
_ALONE = _references(_probe[0])  # what is counted for a segment that one dictionary holds


def sweep(segment: Segment, row: int) -> None:
    """Add the derivatives of ``row`` to the gradients of everything it was computed from.

    A row with cotangent 0 passes nothing on (0 times an infinite slope is 0 here).  A sweep that is interrupted has
    added nothing.
    """
    if _thread.segment is segment:  # so that the recording goes with its last Scalar
        _thread.segment = NOWHERE
    waiting = [-segment.serial]
    found: dict[int, tuple[Segment, dict[int, float]]] = {segment.serial: (segment, {row: 1.0})}
    leaves: list[tuple[Any, float]] = []
    segments: list[tuple[Segment, list[float], list[float]]] = []  # with the cotangents before and after
    while waiting:
        segment, seeds = found.pop(-heapq.heappop(waiting))
        segment.close()
        g = pull(segment, seeds)
        leaves += [(leaf, g[k]) for k, leaf in segment.leaves if k < len(g)]
        for k, home, i in segment.older:
            if k < len(g) and g[k]:
                if home.serial not in found:
                    found[home.serial] = home, {}
                    heapq.heappush(waiting, -home.serial)
                there = found[home.serial][1]
                there[i] = there.get(i, 0.0) + g[k]
        before = segment.grads
        after = [a + b for a, b in itertools.zip_longest(before, g, fillvalue=0.0)] if before else g
        segments.append((segment, before, after))
    _accumulate(leaves, segments)


def _accumulate(leaves: list[tuple[Any, float]], segments: list[tuple[Segment, list[float], list[float]]]) -> None:
    """Add to all gradients or, if Ctrl-C comes between, to none."""
    grads = [leaf._grad for leaf, _ in leaves]
    try:
        for leaf, g in leaves:
            leaf._grad += g
        for segment, _, after in segments:
            segment.grads = after
    except BaseException:
        for (leaf, _), grad in zip(leaves, grads, strict=True):
            leaf._grad = grad
        for segment, before, _ in segments:
            segment.grads = before
        raise


def pull(segment: Segment, seeds: dict[int, float]) -> list[float]:
    """The cotangents of a segment's rows up to the last of ``seeds``, by row."""
    last = max(seeds)
    g = [0.0] * (last + 1)
    for row, seed in seeds.items():
        g[row] = seed
    code, a, b, da, db = [segment.rows[WIDTH * last + place :: -WIDTH] for place in range(5)]
    for row, made, i, j, di, dj in zip(range(last, 0, -1), code, a, b, da, db):  # noqa: B905 (row 0 is left out)
        here = g[row]
        if here and made in CHOOSING:  # a slope of 0 is 0 whatever comes down
            g[i] += here * di if di else 0.0
            g[j] += here * dj if dj else 0.0
        elif here:
            g[i] += here * di
            g[j] += here * dj
    g[0] = 0.0
    return g
