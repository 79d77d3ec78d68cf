"""Factor sums: a factor that would have to be waited for is taken out of a sum over the examples,
sum(c * x) = c * sum(x).

The sweep through a normalisation adds up products with numbers of a channel that are themselves made of sums over all
examples.  As it is written, the batch has to be passed over once more for such a sum; with the factor outside, it is
added up where x is at hand, and the program has a kernel less.

The rewrite is *guarded*.  In floating point both forms round alike, and differ by no more than the order of a sum may
change, as long as neither leaves the range of normal numbers.  So the magnitudes are added up as well, a = sum(|x|),
and what the factors make of a, one after the other, has to stay within bounds that are known when planning:

    a <= largest / 16,    smallest normal / eps * 2**20 <= a |c| <= largest / 16    (or a = 0, or c = 0)

Then no product and no partial sum of the original overflows, what its products lose by underflow is below the rounding
of the sum, and infinities and NaN do not occur.  ``Program.checks`` holds a line that is 0 if all of this is so, else
NaN; the machine looks at it before anything else is changed, and if it is NaN the program runs as it was written.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from ...primitives import TABLE
from ...program.program import Line, Program, keep
from ...program.rewrite import rewrite
from ...shapes import Shape, broadcast_axes
from ...tape import Primitive

_DEEPEST = 16  # products of products
_ROOM = 16  # how far below the largest number everything stays
_ABOVE = 2.0**20  # how far above the smallest normal one, times the digits of a number
_SUMS = ("sum", "sum_to")
Factor = tuple[str, int | None]  # what is done with the sum, and the line that is the other operand

guard = Primitive("guard", lambda x: x, (None,), "", "sum", lambda rng: ([], {}))
"""Its operand, one number, where the machine looks at it: a row of plans alone."""


@rewrite(
    exact=False, why="sum(|x|), times the factors, stays between bounds of the dtype, or the program runs as it was"
)
def factor_sums(program: Program) -> Program:
    """Every sum over examples of a product with factors that are there later becomes the product of a sum.

    A sum that is a result stays: the machine makes it as it is, and an optimiser's step can follow in the same call.
    """
    results = set(program.outputs)
    for i, line in reversed([*enumerate(program.lines)]):
        if i in results and line.primitive is not None and line.primitive.name == "reshape":
            results.update(line.operands)
    new = _Factored([], [], [])
    at: list[int] = []
    for i, old in enumerate(program.lines):
        line = old.reading(tuple([at[x] for x in old.operands]))
        adds = line.primitive is not None and line.primitive.name in _SUMS and line.dtype in (np.float32, np.float64)
        at.append(new.sum(line) if adds and i not in results else new.add(line))
    return keep(Program(new.lines, [at[y] for y in program.outputs], new.guarded()))


def summed_axes(line: Line, shape: Shape) -> Shape:
    """The axes of the operand (of this shape) that a sum adds up."""
    assert line.primitive is not None
    if line.primitive.name == "sum":
        return tuple(line.params["axis"])
    return tuple(broadcast_axes(line.shape, shape))


@cache
def _adds_up_examples(spec: str) -> bool:
    """Whether a contraction adds up along the first axis of an operand."""
    operands, result = spec.split("->")
    return any([x[:1] not in result for x in operands.split(",") if x])


@dataclass
class _Factored:
    """The lines so far; of each the number of sums over the first axis that one has to wait for; for each factored sum
    the line that is 0 or NaN; and the constants that these lines need."""

    lines: list[Line]
    waits: list[int]
    checks: list[int]
    numbers: dict[Hashable, int] = field(default_factory=dict)

    def add(self, line: Line) -> int:
        """The number of a new line."""
        name = None if line.primitive is None else line.primitive.name
        waits = 0
        for x in line.operands:
            if self.waits[x] > waits:
                waits = self.waits[x]
        if name in _SUMS:
            waits += 0 in summed_axes(line, self.lines[line.operands[0]].shape)
        elif name == "contract":
            waits += _adds_up_examples(line.params["spec"])
        self.waits.append(waits)
        self.lines.append(line)
        return len(self.lines) - 1

    def sum(self, line: Line) -> int:
        """The number of the line that stands for a sum."""
        x = line.operands[0]
        axes = summed_axes(line, self.lines[x].shape)
        base, factors = self._factors(line, axes) if 0 in axes else (x, [])
        if all(other is None for _, other in factors):
            return self.add(line)
        product = self.add(replace(line, operands=(base,)))
        size = self.add(replace(line, operands=(self._row("abs", base),)))
        self._check(size, None, None)
        for name, other in factors:
            if other is None:
                product = self._row(name, product, *([product] if name == "add" else []))
                size = size if name == "neg" else self._row("add", size, size)
                continue
            spread = self._spread(other, line, axes)
            product = self._row(name, product, spread)
            before, size = size, self._row("abs", self._row(name, size, spread))
            self._check(size, before, spread if name == "mul" else None)
        return product

    def guarded(self) -> list[int]:
        """The one line to look at, if a sum was factored."""
        totals = [self._row("sum", x, shape=(), axis=tuple(range(len(self.lines[x].shape)))) for x in self.checks]
        for dtype in {self.lines[x].dtype for x in totals}:
            same = [x for x in totals if self.lines[x].dtype == dtype]
            while len(same) > 1:
                same.append(self._row("add", same.pop(0), same.pop(0)))
            totals = [*[x for x in totals if self.lines[x].dtype != dtype], *same]
        return [self.add(replace(self.lines[x], primitive=guard, operands=(x,), params={})) for x in totals]

    def _factors(self, line: Line, axes: Shape) -> tuple[int, list[Factor]]:
        """The summed line as a line times factors that are the same for all terms and there later, the first one first.

        Factors are taken out only from outside, so that what is left is what the program calculates anyway; and only
        as many as it takes to have what is left earlier.
        """
        x, factors = line.operands[0], list[Factor]()
        found = [(x, factors)]
        shape = self.lines[x].shape
        for _ in range(_DEEPEST):
            inner = self.lines[x]
            if inner.primitive is None or inner.shape != shape or inner.dtype != line.dtype:
                break
            name, operands = inner.primitive.name, inner.operands
            if name == "neg" or (name == "add" and operands[0] == operands[1]):
                x, factors = operands[0], [(name, None), *factors]
                continue
            if name == "mul" and self._same(operands[0], shape, axes):
                operands = operands[1], operands[0]
            if name not in ("mul", "div") or not self._same(operands[1], shape, axes):
                break
            x, factors = operands[0], [(name, operands[1]), *factors]
            found.append((x, factors))
        return min(found, key=lambda one: self.waits[one[0]])

    def _same(self, x: int, shape: Shape, axes: Shape) -> bool:
        """Whether line x repeats its numbers along the axes that are summed."""
        line = self.lines[x]
        if line.shape != shape or line.primitive is None or line.primitive.name != "broadcast_to":
            return False
        return all(n == 1 for d, n in enumerate(self._aligned(x)) if d in axes)

    def _aligned(self, x: int) -> Shape:
        """The shape of what line x repeats, with as many axes as line x."""
        line = self.lines[x]
        shape = self.lines[line.operands[0]].shape
        return (1,) * (len(line.shape) - len(shape)) + shape

    def _spread(self, x: int, line: Line, axes: Shape) -> int:
        """The numbers that line x repeats, in the shape of a sum over ``axes`` that ``line`` is."""
        sizes = self._aligned(x)
        assert line.primitive is not None
        if line.primitive.name == "sum_to":
            sizes = sizes[len(sizes) - len(line.shape) :]
        elif not line.params.get("keepdims"):
            sizes = tuple([n for d, n in enumerate(sizes) if d not in axes])
        shaped = self._row("reshape", self.lines[x].operands[0], shape=sizes)
        return self._row("broadcast_to", shaped, shape=line.shape)

    def _check(self, size: int, before: int | None, factor: int | None) -> None:
        """Note a line that is 0 where ``size`` is within the bounds, NaN elsewhere.

        0 is within them if the size ``before`` or the ``factor`` was 0.
        """
        shape, dtype = self.lines[size].shape, self.lines[size].dtype
        info = np.finfo(dtype)

        def number(value: float) -> int:
            key = repr(value), shape, dtype
            if key not in self.numbers:
                self.numbers[key] = self.add(Line(shape, dtype, value=np.broadcast_to(np.array(value, dtype), shape)))
            return self.numbers[key]

        checked = size
        if before is not None:
            small = number(np.nan)
            for zero in [before, *([] if factor is None else [factor])]:
                small = self._row("where", self._row("equal", zero, number(0.0)), number(1.0), small)
            least = float(info.smallest_normal / info.eps) * _ABOVE
            checked = self._row("where", self._row("greater_equal", size, number(least)), size, small)
        fits = self._row("less_equal", checked, number(float(info.max) / _ROOM))
        self.checks.append(self._row("where", fits, number(0.0), number(np.nan)))

    def _row(self, name: str, *operands: int, **params: object) -> int:
        """A line of the table."""
        row, like = TABLE[name], self.lines[operands[-1]]
        shape: object = params.get("shape", like.shape)
        if name == "sum":
            shape = params.pop("shape")
        dtype = np.dtype(bool) if name in ("equal", "greater_equal", "less_equal") else like.dtype
        return self.add(Line(shape, dtype, primitive=row, operands=operands, params=params, scope=like.scope))  # type: ignore[arg-type]
