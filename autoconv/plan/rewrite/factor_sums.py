"""Factor sums: what is the same for all terms of a sum is taken out of it, sum(c * x) = c * sum(x).

The sweep through a normalisation adds up products with numbers of a channel, and some of these numbers wait for other
sums over all examples.  Without them a sum needs nothing but the example's own values: several sums become one, and the
program has fewer kernels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...primitives import TABLE
from ...program.program import Line, Program, keep
from ...program.rewrite import rewrite
from ...shapes import Shape, broadcast_axes

_DEEPEST = 16  # products of products
Factor = tuple[str, int | None]  # what is done with the sum, and the line that is the other operand


@rewrite(exact=False, why="c * (x + y) is rounded otherwise than c * x + c * y")
def factor_sums(program: Program) -> Program:
    """Every sum of a product with factors that are the same for all its terms becomes the product of a sum.

    A sum that is a result stays: the machine makes it as it is, and an optimiser's step can follow in the same call.
    """
    results = set(program.outputs)
    readers = [0] * len(program.lines)
    for i in range(len(program.lines) - 1, -1, -1):
        line = program.lines[i]
        if i in results and line.primitive is not None and line.primitive.name == "reshape":
            results.update(line.operands)
        for x in line.operands:
            readers[x] += 1
    lines: list[Line] = []
    at: list[int] = []
    once: set[int] = set()
    for i, old in enumerate(program.lines):
        line = replace(old, operands=tuple([at[x] for x in old.operands]))
        adds = line.primitive is not None and line.primitive.name in ("sum", "sum_to") and line.dtype.kind == "f"
        if adds and i not in results:
            at.append(_Sum(lines, once, line).taken_apart())
        else:
            lines.append(line)
            at.append(len(lines) - 1)
        if readers[i] == 1 and i not in program.outputs:
            once.add(at[-1])
    return keep(Program(lines, [at[y] for y in program.outputs]))


@dataclass
class _Sum:
    """``line``, to be added to ``lines``; ``once``: lines that only one other reads."""

    lines: list[Line]
    once: set[int]
    line: Line

    def __post_init__(self) -> None:
        self.shape = self.lines[self.line.operands[0]].shape
        whole = self.line.primitive is not None and self.line.primitive.name == "sum"
        axes = self.line.params["axis"] if whole else broadcast_axes(self.line.shape, self.shape)
        self.axes = tuple(axes)

    def taken_apart(self) -> int:
        """The number of the line that stands for the sum."""
        base, factors = self._factors(self.line.operands[0], 0)
        if all(name == "neg" for name, _ in factors):  # no product to be saved
            return self._add(self.line)
        product = self._add(replace(self.line, operands=(base,)))
        for name, other in factors:
            operands = (
                (product,) if name == "neg" else (product, product) if other is None else (product, self._spread(other))
            )
            product = self._row(name, self.line.shape, operands)
        return product

    def _factors(self, x: int, depth: int) -> tuple[int, list[Factor]]:
        """Line x as a line times factors that are the same for all terms."""
        line = self.lines[x]
        if line.primitive is None or line.shape != self.shape or line.dtype != self.line.dtype or depth > _DEEPEST:
            return x, []
        name, operands = line.primitive.name, line.operands
        if name == "neg":
            base, found = self._factors(operands[0], depth + 1)
            return base, [*found, ("neg", None)]
        if name == "add" and operands[0] == operands[1]:
            base, found = self._factors(operands[0], depth + 1)
            return base, [*found, ("add", None)]
        if name not in ("mul", "div"):
            return x, []
        a, b = operands
        if self._same(b):
            base, found = self._factors(a, depth + 1)
            return base, [*found, (name, b)]
        if name == "mul" and self._same(a):
            base, found = self._factors(b, depth + 1)
            return base, [*found, (name, a)]
        if x not in self.once or a == b:
            return x, []
        left, found = self._factors(a, depth + 1)
        right, more = self._factors(b, depth + 1) if name == "mul" else (b, [])
        if not found and not more:
            return x, []
        return self._row(name, line.shape, (left, right)), [*found, *more]

    def _same(self, x: int) -> bool:
        """Whether line x repeats its numbers along the axes that are summed."""
        line = self.lines[x]
        if line.shape != self.shape:
            return False
        if line.value is not None:
            return bool(line.value.size) and not any(line.value.strides)
        if line.primitive is None or line.primitive.name != "broadcast_to":
            return False
        return all(n == 1 for d, n in enumerate(self._aligned(line.operands[0])) if d in self.axes)

    def _aligned(self, x: int) -> Shape:
        shape = self.lines[x].shape
        return (1,) * (len(self.shape) - len(shape)) + shape

    def _spread(self, x: int) -> int:
        """The numbers of line x in the shape of the sum."""
        line, shape = self.lines[x], self.line.shape
        if line.value is not None:
            value = line.value[tuple([slice(0, 1)] * line.value.ndim)].reshape(())
            return self._add(Line(shape, line.dtype, value=TABLE["broadcast_to"].forward(value, shape)))
        source, sizes = line.operands[0], self._aligned(line.operands[0])
        if self.line.params.get("keepdims") is False:
            sizes = tuple([n for d, n in enumerate(sizes) if d not in self.axes])
        else:
            sizes = sizes[len(sizes) - len(shape) :]
        return self._row("broadcast_to", shape, (self._row("reshape", sizes, (source,), shape=sizes),), shape=shape)

    def _row(self, name: str, shape: Shape, operands: tuple[int, ...], /, **params: object) -> int:
        row = TABLE[name]
        return self._add(
            Line(shape, self.line.dtype, primitive=row, operands=operands, params=params, scope=self.line.scope)
        )

    def _add(self, line: Line) -> int:
        self.lines.append(line)
        return len(self.lines) - 1
