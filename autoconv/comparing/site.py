"""A place where two runs part, as the conventions see it: what is read there, and what an alternative makes of the
rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from ..tape import Array, Primitive
from .matching import Match, turned
from .side import Side, largest

RESIZING = ("reduction", "biased or unbiased variance", "axes of the norm")  # what may change a line's size
LOOSE = 3e-7  # of the largest element: what float32 makes of the constants of a formula
LONGEST = 40  # moves in a row that are looked through
OTHER = ("b", "a")


class Try(NamedTuple):
    """An alternative: what line ``at`` would be (None: the line of the site) under the convention ``name``."""

    name: str
    words: str
    value: Array
    at: int | None = None
    place: int | None = None  # the line to show, where that is another one
    loose: bool = False  # a formula of its own, whose constants the run may have in float32


@dataclass
class Explanation:
    """A convention that was tried and holds: with it line ``at`` of side ``which`` has the numbers of the other's line
    ``partner`` (None: what follows it has).  complete: then the outputs agree as well."""

    name: str
    words: str
    which: int
    at: int
    partner: int | None
    complete: bool
    value: Array
    place: int | None = None
    reach: int = -1


_SPREADING = ("broadcast_to", "cast", "reshape")
Move = tuple[Primitive, dict[str, Any]]


class Site:
    """Line ``i`` of a (which=0) or b (which=1), seen from that side: ``me`` is its name, ``you`` the other's."""

    def __init__(self, match: Match, which: int, i: int) -> None:
        self.match, self.which, self.i = match, which, i
        self.side: Side = (match.a, match.b)[which]
        self.other: Side = (match.b, match.a)[which]
        self.line = self.side.lines[i]
        assert self.line.primitive is not None
        self.primitive: Primitive = self.line.primitive
        self.me, self.you = "ab"[which], OTHER[which]
        self.open_there = [j for j in match.open_lines(1 - which) if not self.other.is_leaf(j)]
        self.reads = self.side.operands[i]

    @property
    def row(self) -> str:
        return self.primitive.name

    def value(self, i: int) -> Array:
        return np.asarray(self.side.values[i])

    @cached_property
    def operands(self) -> list[Array]:
        return [self.value(k) for k in self.reads]

    def result(self, operands: list[Array], params: dict[str, Any] | None = None) -> Array:
        """What the line's row makes of other operands or settings."""
        with np.errstate(all="ignore"):
            return np.asarray(
                self.primitive.forward(*operands, **(dict(self.line.params) if params is None else params))
            )

    def moved_from(self, k: int) -> tuple[int, list[Move]]:
        """(the line that operand k was moved from, the moves between, in order)."""
        moves: list[Move] = []
        i = self.reads[k]
        while len(moves) < LONGEST:
            primitive = self.side.lines[i].primitive
            if primitive is None or primitive.group != "wiring" or primitive.adds or len(self.side.operands[i]) != 1:
                break
            moves.append((primitive, dict(self.side.lines[i].params)))
            i = self.side.operands[i][0]
        return i, moves[::-1]

    def moves_at(self, k: int) -> list[int]:
        """The numbers of the lines that are the moves of ``moved_from``."""
        source, moves = self.moved_from(k)
        lines: list[int] = []
        i = self.reads[k]
        while i != source and len(lines) < len(moves):
            lines.append(i)
            i = self.side.operands[i][0]
        return lines[::-1]

    @property
    def weight(self) -> int | None:
        """Which operand of a contraction is the weight: the one that is given, the second if both are."""
        given = [k for k in range(len(self.reads)) if self.side.is_leaf(self.moved_from(k)[0])]
        return given[-1] if given and self.row == "contract" else None

    def constant(self, k: int) -> float | None:
        """The number that operand k repeats, if it is a constant of the program."""
        i, _ = self.moved_from(k)
        return number_of(self.side, i)

    @cached_property
    def levels(self) -> list[tuple[str, list[int], list[int]]]:
        """The calls around the line, innermost first: name, lines, and what they read from outside, no constants."""
        around = self.line.scope
        found: list[tuple[str, list[int], list[int]]] = []
        for scope in reversed(around.path if around else ()):
            if scope.kind != "call":
                continue
            lines = enumerate(self.side.lines)
            inside = [k for k, line in lines if line.scope is not None and scope in line.scope.path]
            own = set(inside)
            reads = dict.fromkeys(k for i in inside for k in self.side.operands[i] if k not in own)
            given = [k for k in reads if number_of(self.side, k) is None and self.value(k).size > 1]
            found.append((scope.name, inside, given))
        return found

    @cached_property
    def call(self) -> tuple[str, list[int]]:
        """The innermost call around the line: its name and its lines ("" and the line alone, if there is none)."""
        around = self.line.scope
        for scope in reversed(around.path if around else ()):
            if scope.kind == "call":
                inside = [
                    k for k, line in enumerate(self.side.lines) if line.scope is not None and scope in line.scope.path
                ]
                return scope.name, inside
        return "", [self.i]

    def within(self, *words: str) -> bool:
        """Whether a call or layer around the line has one of these words in its name."""
        return any(word in name.lower() for name in self.side.calls(self.i) for word in words)

    @cached_property
    def inputs(self) -> list[int]:
        """What the line reads, looked through moves, and what its call reads: computed or given, never constants."""
        found: dict[int, None] = {}
        inside = set(self.call[1])
        for i in (self.i, *self.call[1]):
            for k in self.side.operands[i]:
                if (k not in inside or i == self.i) and number_of(self.side, k) is None and self.value(k).size > 1:
                    found[k] = None
        for k in range(len(self.reads)):
            i, _ = self.moved_from(k)
            if number_of(self.side, i) is None and self.value(i).size > 1:
                found[i] = None
        return list(found)

    @cached_property
    def constants_there(self) -> list[float]:
        """The numbers that the other program names."""
        found: dict[float, None] = {}
        for j in self.open_there:
            for k in self.other.operands[j]:
                while (not self.other.is_leaf(k) and self.other.lines[k].size == 1) or self.other.row(k) in _SPREADING:
                    k = self.other.operands[k][0]
                number = number_of(self.other, k)
                if number is not None:
                    found[number] = None
        return list(found)[:60]

    # ---- trying

    def hit(self, value: Array, loose: float = 0.0) -> int | None:
        """The other's open line that has the numbers of ``value``."""
        if not np.size(value):
            return None
        numbers = self.match.numbers[1 - self.which]
        bound = self.match.numbers[self.which].bounds[self.i] + loose * largest(value)
        return next(numbers.equal(np.asarray(value), bound, self.open_there), None)

    def follows(self, at: int, value: Array) -> tuple[bool, int | None]:
        """With ``value`` at a line: whether the outputs then agree, and the first open line of the other that is then
        met by a line after it."""
        try:
            later = self.side.following({at: value})
        except (ValueError, TypeError, IndexError, ArithmeticError):
            return False, None
        agree = self._outputs_agree(later)
        met = None
        numbers = self.match.numbers[1 - self.which]
        for k, result in later.items():
            row = self.side.lines[k].primitive
            if k != at and result.size > 2 and row is not None and row.group != "wiring":
                bound = self.match.numbers[self.which].bounds[k]
                met = next(numbers.equal(result, bound, self.open_there), None)
                break
        return agree, met

    @cached_property
    def telling(self) -> bool:
        """Whether outputs that agree show anything: a few numbers that hardly differ may do so by chance."""
        for i, j in zip(self.side.outputs, self.other.outputs, strict=False):
            p, q = self.side.values[i], self.other.values[j]
            if p.size > 2 or (p.size == q.size and np.any(np.abs(p.ravel() - q.ravel()) > 1e-6 * np.abs(p.ravel()))):
                return True
        return False

    def _goes_on_alike(self, at: int, partner: int) -> bool:
        """Whether what follows the two lines is alike: otherwise they may have the same numbers by chance."""
        if self.row == self.other.row(partner):
            return True
        ends = [
            bool(levels) and levels[0][1][-1] == i
            for levels, i in ((self._levels(self.side, at), at), (self._levels(self.other, partner), partner))
        ]
        return all(ends) or bool(self.side.read_by(at) & self.other.read_by(partner))

    @staticmethod
    def _levels(side: Side, i: int) -> list[tuple[str, list[int]]]:
        """The functions of autoconv around a line, with their lines."""
        around = side.lines[i].scope
        return [
            (scope.name, [k for k, x in enumerate(side.lines) if x.scope is not None and scope in x.scope.path])
            for scope in reversed(around.path if around else ())
            if scope.kind == "call" and side.is_function(scope.name)
        ]

    def _outputs_agree(self, later: dict[int, Array]) -> bool:
        pairs = list(zip(self.side.outputs, self.other.outputs, strict=False))
        if len(self.side.outputs) != len(self.other.outputs):
            return False
        for i, j in pairs:
            slack = self.match.slack(i, j) if self.which == 0 else self.match.slack(j, i)
            if turned(later.get(i, self.side.values[i]), self.other.values[j], slack) is None:
                return False
        return True

    def tried(self, attempt: Try) -> Explanation | None:
        """The explanation, if the alternative holds; it must change something."""
        at = self.i if attempt.at is None else attempt.at
        value = np.asarray(attempt.value)
        if not np.isfinite(value).any() or _unchanged(value, self.value(at)):
            return None
        partner = self.hit(value, LOOSE if attempt.loose else 0.0)
        if value.size != self.value(at).size and attempt.name not in RESIZING:
            return None
        if partner is not None and attempt.loose:  # from here on with the other run's own digits
            theirs = np.asarray(self.other.values[partner])
            axes = turned(theirs, value.reshape(self.value(at).shape), 2 * LOOSE * largest(value))
            value = value if axes is None else theirs.transpose(axes)
        if value.shape == self.value(at).shape or value.size == self.value(at).size:
            agree, met = self.follows(at, value.reshape(self.value(at).shape))
        else:
            agree, met = False, None
        if partner is None and met is None and not (agree and self.telling):
            return None
        if partner is not None and met is None and not agree and not self._goes_on_alike(at, partner):
            return None
        reach = max(-1 if partner is None else partner, -1 if met is None else met)
        if partner is None:  # the other's step is one that this run has as well, under another name
            there = self.match.numbers[1 - self.which].equal(value, self.match.numbers[self.which].bounds[at])
            steps = [j for j in there if (row := self.other.lines[j].primitive) is not None and row.group != "wiring"]
            partner = steps[-1] if steps else met
        return Explanation(attempt.name, attempt.words, self.which, at, partner, agree, value, attempt.place, reach)


def _unchanged(p: Array, q: Array) -> bool:
    return p.shape == q.shape and bool(np.allclose(p, q, rtol=1e-13, atol=0, equal_nan=True))


def number_of(side: Side, i: int) -> float | None:
    """The number that a constant leaf is, or repeats in each element; None for anything else."""
    line, value = side.lines[i], np.asarray(side.values[i])
    if line.primitive is not None or not line.constant or not value.size or value.dtype.kind not in "fiu":
        return None
    first = value.flat[0]
    return float(first) if value.size == 1 or (bool((value == first).all()) and line.name is None) else None


# ---- what rules have in common


def axes_said(some: tuple[int, ...]) -> str:
    return f"axis {some[0]}" if len(some) == 1 else f"axes {some}"


def subsets(axes: list[int]) -> list[tuple[int, ...]]:
    """All that are not empty, the largest first."""
    chosen = [
        tuple(a for a, yes in zip(axes, bits, strict=True) if yes) for bits in product((True, False), repeat=len(axes))
    ]
    return [some for some in chosen if some][:31]


def with_source(site: Site, k: int, moves: list[Move], source: Array) -> Array:
    """The line's result where operand k is moved from ``source``."""
    moved = source
    for primitive, params in moves:
        moved = primitive.forward(moved, **params)
    return site.result([moved if j == k else x for j, x in enumerate(site.operands)])


Rule = Callable[[Site], Iterator[Try]]
