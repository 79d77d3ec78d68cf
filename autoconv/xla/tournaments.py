"""Tournaments among the lines of a program: the rounds of adjacent pairs that a maximum over axes is, and its sweep.

Of equal elements the first in C order wins, and NaN wins against everything, in every round; so the whole of a
tournament is a reduction, and the whole of its sweep gives the gradient to the first cell that has the result:

    y = max_k x_k          x_bar_k = y_bar where k = min {j: x_j = y or x_j is NaN}, else 0

Written round by round, XLA computes the rounds again, and what they read, in every piece of the program that reads one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ..program.program import Line, Program
from .library import jnp
from .patterns import Fused

_SLOPES = {  # of the left operand and of the right one: less, tie, more, whom a NaN counts as
    "maximum": ((0.0, 1.0, 1.0, "more"), (1.0, 0.0, 0.0, "more")),
    "minimum": ((1.0, 1.0, 0.0, "less"), (0.0, 0.0, 1.0, "less")),
}


@dataclass(frozen=True)
class _Round:
    """One round along ``axis``: the line whose neighbours are paired, the winners, their operands, and of an odd number
    of elements the last one, that goes through."""

    source: int
    axis: int
    winners: int
    pair: tuple[int, int]
    last: int | None


def find(program: Program) -> dict[int, Fused]:
    """The lines that are results of tournaments or of their sweeps, by their numbers."""
    rounds = {i: made for i in range(len(program.lines)) if (made := _round(program, i)) is not None}
    if not rounds:
        return {}
    readers: list[list[int]] = [[] for _ in program.lines]
    for i, line in enumerate(program.lines):
        for x in dict.fromkeys(line.operands):
            readers[x].append(i)
    found: dict[int, Fused] = {}
    inside: set[int] = set()
    for i in sorted(rounds, reverse=True):
        chain = [] if i in inside else _chain(program, rounds, i)
        if chain:
            inside.update([x.source for x in chain[:-1]])
            found[i] = _result(program, i, chain)
            found.update(_sweeps(program, readers, i, chain))
    return found


def _round(program: Program, i: int) -> _Round | None:
    """The round whose result line i is."""
    line = program.lines[i]
    if line.primitive is None or line.dtype.kind not in "fiu":
        return None
    winners, last = i, None
    if line.primitive.name == "concat" and len(line.operands) == 2:
        winners, last = line.operands
    paired = program.lines[winners]
    if paired.primitive is None or paired.primitive.name not in _SLOPES or paired.params.get("ties") != "first":
        return None
    left, right = [_part(program, x) for x in paired.operands]
    if left is None or right is None or left[:2] != right[:2]:
        return None
    source, axis = left[:2]
    n = program.lines[source].shape[axis]
    if left[2] != slice(0, n - 1, 2) or right[2] != slice(1, n, 2) or (last is None) != (n % 2 == 0):
        return None
    if last is not None and (_part(program, last) != (source, axis, slice(n - 1, n)) or line.params["axis"] != axis):
        return None
    return _Round(source, axis, winners, (paired.operands[0], paired.operands[1]), last)


def _part(program: Program, i: int) -> tuple[int, int, slice] | None:
    """(line, axis, slice) if line i is a slice of another along one axis."""
    line = program.lines[i]
    if line.primitive is None or line.primitive.name != "index":
        return None
    return _sliced(line.operands[0], line.params["key"])


def _sliced(source: int, key: Any) -> tuple[int, int, slice] | None:
    parts = key if isinstance(key, tuple) else (key,)
    if not parts or not all(isinstance(x, slice) for x in parts) or any(x != slice(None) for x in parts[:-1]):
        return None
    return source, len(parts) - 1, parts[-1]


def _chain(program: Program, rounds: dict[int, _Round], result: int) -> list[_Round]:
    """The rounds that lead to a result, the last one first, whole axes of them; none if several are left."""
    kind = _kind(program, rounds[result])
    chain: list[_Round] = []
    at = result
    while at in rounds and _kind(program, made := rounds[at]) == kind:
        begins = not chain or chain[-1].axis != made.axis
        if begins and program.lines[at].shape[made.axis] != 1:
            break
        if begins and any(made.axis == x.axis for x in chain):
            break
        chain.append(made)
        at = made.source
    return chain


def _kind(program: Program, made: _Round) -> str:
    primitive = program.lines[made.winners].primitive
    assert primitive is not None
    return primitive.name


def _result(program: Program, result: int, chain: Sequence[_Round]) -> Fused:
    axes = tuple(dict.fromkeys([x.axis for x in chain]))
    reduced = jnp.max if _kind(program, chain[0]) == "maximum" else jnp.min
    return Fused((chain[-1].source,), lambda x: reduced(x, axes, keepdims=True), "a tournament")


# ---- the sweep


def _sweeps(
    program: Program, readers: list[list[int]], result: int, chain: list[_Round]
) -> Iterator[tuple[int, Fused]]:
    """The cotangents of the tournament's source, and how each comes from that of the result."""
    first = chain[0]
    found = {program.lines[i].operands[0] for i in readers[first.pair[0]] if _name(program.lines[i]) == "slope"}
    for g in sorted(found):
        at: int | None = g
        for made in chain:
            at = None if at is None else _swept(program, readers, at, made)
        if at is not None:
            yield at, Fused((chain[-1].source, result, g), _first(program, chain), "the sweep of a tournament")


def _swept(program: Program, readers: list[list[int]], g: int, made: _Round) -> int | None:
    """The line with the cotangent of a round's source, for that of its result; None if there is none."""
    wanted: list[int | None] = []
    if made.last is not None:
        h = program.lines[made.winners].shape[made.axis]
        cut = lambda there: lambda x: _sliced(x.operands[0], x.params["key"]) == (x.operands[0], made.axis, there)
        wanted.append(_put(program, readers, _reader(program, readers, g, "index", cut(slice(h, h + 1))), made.last))
        before = _reader(program, readers, g, "index", cut(slice(0, h)))
        if before is None:
            return None
        g = before
    left, right = made.pair
    for operand, slopes in zip(made.pair, _SLOPES[_kind(program, made)], strict=True):

        def fits(x: Line, slopes: Any = slopes) -> bool:
            given = (x.params["less"], x.params["tie"], x.params["more"], x.params.get("nan", "more"))
            return x.operands[:2] == (g, left) and x.operands[2] in (made.winners, right) and given == slopes

        wanted.append(_put(program, readers, _reader(program, readers, g, "slope", fits), operand))
    if any(x is None for x in wanted):
        return None
    return _sum(program, readers, {x for x in wanted if x is not None})


def _put(program: Program, readers: list[list[int]], x: int | None, part: int) -> int | None:
    """The line that puts line x where line ``part`` was taken from."""
    taken = program.lines[part]
    shape, key = program.lines[taken.operands[0]].shape, taken.params["key"]
    fits = lambda y: y.params["key"] == key and tuple(y.params["shape"]) == shape
    return None if x is None else _reader(program, readers, x, "scatter", fits)


def _reader(program: Program, readers: list[list[int]], x: int, name: str, fits: Any) -> int | None:
    return next((i for i in readers[x] if _name(program.lines[i]) == name and fits(program.lines[i])), None)


def _sum(program: Program, readers: list[list[int]], terms: set[int]) -> int | None:
    """The line that is the sum of just these."""
    held, at = set[int](), next(iter(terms))
    while held != terms:
        above = [i for i in readers[at] if _name(program.lines[i]) == "add"]
        if len(above) != 1 or len(readers[at]) != 1:
            return None
        at = above[0]
        held, waiting = set(), [*program.lines[at].operands]
        while waiting:
            x = waiting.pop()
            if x in terms or _name(program.lines[x]) != "add":
                held.add(x)
            else:
                waiting += program.lines[x].operands
        if not held <= terms:
            return None
    return at


def _name(line: Line) -> str:
    return "" if line.primitive is None else line.primitive.name


def _first(program: Program, chain: Sequence[_Round]) -> Any:
    """(the tournament's source, its result, a cotangent g) -> g in the first cell that has the result, else 0."""
    shape = program.lines[chain[-1].source].shape
    axes = tuple(dict.fromkeys([x.axis for x in chain]))  # that of the last rounds decides first
    sizes = [shape[d] for d in axes]
    places: np.ndarray = np.arange(prod(sizes), dtype=np.int32 if prod(sizes) < 1 << 31 else np.int64)
    places = places.reshape(sizes).transpose(np.argsort(axes))
    places = places.reshape([n if d in axes else 1 for d, n in enumerate(shape)])
    none = places.dtype.type(places.size)

    def swept(x: Any, y: Any, g: Any) -> Any:
        wins = (x == y) | (x != x) if x.dtype.kind == "f" else x == y
        first = jnp.min(jnp.where(wins, places, none), axes, keepdims=True)
        return jnp.where(places == first, g, jnp.zeros_like(g))

    return swept
