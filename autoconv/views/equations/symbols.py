"""Symbols for scalars and for local derivatives: names of elements, formulas of steps, products of slopes along a path.

d row / d operand is read off the row's vjp, recorded once on symbols with cotangent 1: (o - y) ** 2 gives 2(o - y)
because the rule of ``power`` says so.  Where a derivative is a choice (a maximum) or too long to write, it is written d
end / d start; a maximum can be opened into its definition: max(0, z) = (0 + z + |0 - z|) / 2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

from ...render.latex import ATOM, FACTOR, OPEN, PRODUCT, SUM, Expression, element, symbol, value, written
from ...render.text import uniform
from ...scalar.blocks import CONSTANT, Block
from ...scalar.blocks import SUM as ADDED
from ...tape import Primitive, Tape, Tensor, constant
from ..element import followed
from ..layers import layer_names
from ..lines import call, subscripts, weights
from .analysis import Known, Way


@dataclass(frozen=True)
class Product:
    """A number times symbols."""

    number: Any = 1
    factors: tuple[Expression, ...] = ()

    def __mul__(self, other: Product) -> Product:
        return Product(self.number * other.number, self.factors + other.factors)

    @property
    def expression(self) -> Expression:
        """The product written without signs between: 2(o - y), w x."""
        if not self.factors:
            return written(self.number)
        if self.number == 1 and len(self.factors) == 1:
            return self.factors[0]
        counts = Counter(self.factors)
        parts = [_raised(x, n) for x, n in counts.items()]
        latex, text = r" \, ".join(x.latex for x in parts), " ".join(x.text for x in parts)
        if abs(self.number) == 1:
            sign = "-" if self.number < 0 else ""
            return Expression(sign + latex, sign + text, SUM if sign else PRODUCT)
        first = written(self.number)
        tight = "" if text.startswith("(") else " "
        return Expression(rf"{first.latex} \, {latex}", f"{first.text}{tight}{text}", min(first.binds, PRODUCT))


def _raised(x: Expression, n: int) -> Expression:
    if n == 1:
        return x.within(FACTOR)
    base = x.within(ATOM)
    return Expression(f"{base.latex}^{{{n}}}", f"{base.text}^{n}", FACTOR)


def _power(base: Product, exponent: Product) -> Product | None:
    return base if not exponent.factors and exponent.number == 1 else None


def _quotient(a: Product, b: Product) -> Product | None:
    if b.factors or not b.number:
        return None
    exact = isinstance(a.number, int | Fraction) and isinstance(b.number, int | Fraction)
    return Product(Fraction(a.number, b.number) if exact else a.number / b.number, a.factors)


# How products, quotients and powers of products simplify; any other row is written by its own formula.
ALGEBRA: dict[str, Callable[..., Product | None]] = {
    "mul": lambda a, b: a * b,
    "multiply_no_nan": lambda a, b: a * b,
    "neg": lambda a: Product(-a.number, a.factors),
    "div": _quotient,
    "power": _power,
}


@cache
def rule(primitive: Primitive, params: Any, k: int, count: int, numbers: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The local derivative of a row in operand ``k`` as a tape on scalars: (y, operands, tape), or None for a
    definition.

    ``numbers`` has the operands that are written numbers, None for the others.
    """
    vjp: Any = primitive.vjps[k] if isinstance(primitive.vjps, tuple) and primitive.vjps else None
    if vjp is None:
        return None
    operands = [Tensor(np.array(0.5)) if x is None else constant(x) for x in numbers[:count]]
    y = Tensor(np.array(0.5))
    with np.errstate(all="ignore"):
        made = vjp(constant(1.0), y, *operands, **dict(params))
    return y, operands, Tape(made)


def apply(line: Tensor, operands: list[Product]) -> Product:
    simple = ALGEBRA.get(line.primitive.name) if line.primitive else None
    made = simple(*operands) if simple else None
    return made or Product(1, (call(line.primitive, [x.expression for x in operands], line.params),))  # type: ignore[arg-type]


def whole(x: Any) -> Any:
    return int(x) if isinstance(x, float) and x.is_integer() and abs(x) < 1e15 else x


PATHS, LONGEST, NESTED = 4, 12, 3  # paths written out, slopes other than 1 on one, formulas inside a formula
PASSED = 2000  # scalars on paths that are looked at for one derivative
LONG = 40  # characters of a derivative inside a call, which has a shorter name


class Symbols:
    """Names and formulas of the scalars of one Analysis, for one set of variables."""

    def __init__(self, analysis: Known, names: Mapping[int, str]) -> None:
        self.analysis, self.names = analysis, names
        self.tensors = {id(x): x for x in analysis.tape if x.name or id(x) in names}
        self.named, self.stops = analysis.marks(self.tensors)
        self.closed: dict[int, Any] = {}  # by serial number of a call: what it computes (``closed``)
        self._uniform: dict[int, bool] = {}
        self._moved: dict[int, tuple[Tensor, np.ndarray] | None] = {}
        self._numbers = analysis.numbers
        self.layers = layer_names(analysis.tape)
        self._subscripts = subscripts(analysis.tape)
        self.coloured = weights(analysis.tape)  # ids of the tensors whose elements have colours

    def block(self, i: int) -> Block:
        return self.analysis.graph.block(i)

    def place(self, i: int) -> tuple[Tensor, tuple[int, ...]]:
        """The tensor that a reader knows scalar ``i`` by, and its index: the first named one that has it, else its own
        line.
        """
        if self.named[i]:
            for x in self.analysis.holders(self.tensors, i):
                flat = self.analysis.index_in(x, i)
                if flat is not None:
                    return x, tuple(int(n) for n in np.unravel_index(flat, x.shape))
        at = self.analysis.graph.origin(i)
        if at.line.constant:
            flat = int(np.ravel_multi_index(at.index, at.line.shape)) if at.index else 0
            x, places = self.recorded(at.line, np.array([flat]))
            return x, tuple(int(n) for n in np.unravel_index(int(places[0]), x.shape))
        known = self.analysis.result_of(at.line)
        if known is not at.line:
            own = self.analysis.element_of(at.line, at.index)  # of a step inside, the element it leads to
            flat = self.analysis.index_in(known, own)
            return known, tuple(int(n) for n in np.unravel_index(flat or 0, known.shape))
        return at.line, at.index

    def recorded(self, x: Tensor, places: np.ndarray) -> tuple[Tensor, np.ndarray]:
        """Elements of a constant, by their flat indices, as those of the named array that it was moved from (padded, in
        windows): images are data, and the tape keeps what became of them."""
        if id(x) not in self._moved:
            found = followed(x, lambda line: id(line) in self.tensors or line.primitive is None) if x.constant else None
            self._moved[id(x)] = found if found and id(found[0]) in self.tensors and found[0] is not x else None
        known = self._moved[id(x)]
        numbers = known[1].ravel()[places] if known else np.zeros(1)
        return (known[0], numbers - 1) if known and numbers.all() else (x, places)

    def padding(self, scalars: np.ndarray) -> np.ndarray:
        """Which scalars are the zeros around a named array of the user's, as a padded image has them."""
        found = np.zeros(len(scalars), bool)
        for k, i in enumerate(scalars.tolist()):
            at = self.analysis.graph.origin(i)
            if not i or not at.line.constant:
                break  # a factor is data everywhere, or nowhere
            flat = int(np.ravel_multi_index(at.index, at.line.shape)) if at.index else 0
            self.recorded(at.line, np.array([flat]))
            known = self._moved[id(at.line)]
            found[k] = known is not None and known[1].ravel()[flat] == 0
        return found

    def flat_index(self, i: int) -> int:
        """The flat index of scalar ``i`` in the tensor it is known by."""
        x, index = self.place(i)
        return int(np.ravel_multi_index(index, x.shape)) if index else 0

    def label(self, x: Tensor) -> str:
        """The name of a tensor: its own, its variable's, one by its layer, or its place on the tape."""
        return x.name or self.names.get(id(x)) or self.layers.get(id(x)) or f"%{self._numbers.get(id(x), '?')}"

    def subscripts(self, x: Tensor) -> str:
        """How the elements of a line of the tape are written: "matrix" or "flat"."""
        return self._subscripts.get(id(x), "matrix")

    def element(self, i: int) -> Expression:
        """Scalar ``i`` as an element of the tensor it is known by; an output without a name is L."""
        if i == self.analysis.output and not self.named[i]:
            return symbol("L")
        line, index = self.place(i)
        return element(self.label(line), index, line.shape, self.subscripts(line))

    def expression(self, i: int, depth: int = NESTED) -> Expression:
        """Scalar ``i`` by name, as the number it is, or by its formula if it is a step inside another formula."""
        graph = self.analysis.graph
        block = self.block(i)
        if i == 0 or self.is_written(i):
            return written(graph.number(i))
        interior = not self.stops[i] and depth and block.operation.arity and block.opened is None
        if not interior:
            return self.element(i)
        operands = self._operands(i)
        return call(self._row(i), [self.expression(o, depth - 1) for o in operands])

    def is_written(self, i: int) -> bool:
        """Whether scalar ``i`` is a constant that somebody wrote as a number (not data)."""
        block = self.block(i)
        if block.operation is not CONSTANT or self.named[i]:
            return False
        key = id(block.line)
        if key not in self._uniform:
            self._uniform[key] = key not in self._numbers or uniform(block.line.value) is not None
        return self._uniform[key]

    def _operands(self, i: int) -> list[int]:
        return self.analysis.graph.read(i)

    # ---- local derivatives

    def slope(self, i: int, k: int) -> Product | None:
        """d scalar i / d its operand number k, from the row's rule; None if the row has a definition instead."""
        block = self.block(i)
        operation = block.operation
        if not operation.arity:
            return Product()  # a sum
        operands = self._operands(i)
        known = tuple(self._number(o) for o in operands)
        try:
            found = rule(self._row(i), tuple(operation.params.items()), k, len(operands), known)
        except TypeError:
            return None
        if found is None:
            return None
        y, variables, tape = found
        products = {id(y): Product(1, (self._result(i, operands),))} if y in set(tape) else {}
        for x, o in zip(variables, operands, strict=True):
            if not x.constant:
                products[id(x)] = Product(1, (self.expression(o),))
        for line in tape:
            if line.constant:
                products[id(line)] = Product(whole(line.item()))
            elif id(line) not in products:
                products[id(line)] = apply(line, [products[id(x)] for x in line.operands])
        return products[id(tape.outputs[0])]

    def _result(self, i: int, operands: list[int]) -> Expression:
        if self.named[i]:
            return self.element(i)
        return call(self._row(i), [self.expression(o) for o in operands])

    def _row(self, i: int) -> Any:
        """The row of the table that a computed scalar is of."""
        return self.block(i).operation.primitive

    def _number(self, i: int) -> Any:
        """The number that stands written at scalar ``i``, or None for a symbol."""
        if self.is_written(i):
            number = self.analysis.graph.number(i)
            return whole(number.item() if isinstance(number, np.generic) else number)
        return None

    def local(self, start: int, end: int, count: float, way: Way) -> Expression:
        """d end / d start in symbols: the product of slopes along each path, summed; or d end / d start if that is too
        long.
        """
        found = self._products(start, end, way) if count <= PATHS else None
        if found:
            merged: dict[tuple[str, ...], Product] = {}
            for product in found:
                key = tuple(x.text for x in product.factors)
                before = merged.get(key)
                merged[key] = Product(product.number + before.number if before else product.number, product.factors)
            parts = [p.expression for p in merged.values() if p.number]
            if len(parts) == 1 and (len(parts[0].text) <= LONG or id(self.block(end).line) not in self.analysis.calls):
                return parts[0]
            if parts and id(self.block(end).line) not in self.analysis.calls:
                inner = [x.within(PRODUCT) for x in parts]
                return Expression(" + ".join(x.latex for x in inner), " + ".join(x.text for x in inner), SUM)
        return self.quotient(start, end)

    def partner(self, start: int, end: int, way: Way) -> int | None:
        """The scalar that ``start`` is multiplied with on its only path to ``end``; 0: none; None: any other path."""
        graph, i, met = self.analysis.graph, end, 0
        for _ in range(LONGEST):
            on_way = way.read(i)
            if len(on_way) != 1:
                return None
            ((k, below),) = on_way
            block = self.block(i)
            if block.inner and "spec" in block.line.params and self._number(other := self._operands(i)[1 - k]) is None:
                if met:  # a product of a contraction
                    return None
                met = other
            elif block.operation is not ADDED:
                operands, rule_ = self._operands(i), self.slope(i, k)
                beside = Product(1, (self.expression(operands[1 - k]),)) if len(operands) == 2 else None
                if rule_ is not None and rule_ == beside:
                    if met:
                        return None
                    met = operands[1 - k]
                elif (graph.slopes_at(i)[k] if rule_ is None or rule_.factors else rule_.number) != 1:
                    return None
            i = below
            if i == start:
                return met
        return None

    def quotient(self, start: int, end: int) -> Expression:
        """d end / d start; for an operation with one result for one operand its name with a prime: relu'(x)."""
        below = self.element(start)
        scope = self.analysis.calls.get(id(self.block(end).line))
        (a, at), (_, to) = self.place(start), self.place(end)
        if scope is not None and at == to and self.block(end).line.size == a.size > 0 and self._alone(scope):
            name = symbol(scope.name)
            return Expression(rf"{name.latex}'\left({below.latex}\right)", f"{name.text}'({below.text})")
        opened = self.block(end).opened
        if opened is not None and self.block(end).last and scope is None and not self.named[end]:
            position = end - self.block(end).first
            above = call(opened.primitive, [self.expression(int(o[position])) for o in opened.operands]).within(OPEN)
        else:
            above = self.element(end)
        return Expression(rf"\frac{{\partial {above.latex}}}{{\partial {below.latex}}}", f"∂{above.text}/∂{below.text}")

    def _alone(self, scope: Any) -> bool:
        """Whether a call works on each element by itself."""
        inside = [x for x in self.analysis.tape if self.analysis.calls.get(id(x)) is scope and x.primitive]
        rows = [x.primitive for x in inside if x.primitive]
        moves = any(row.group != "arithmetic" and row.latex != "{0}" for row in rows)
        return len({x.shape for x in inside}) == 1 and not moves

    def _products(self, start: int, end: int, way: Way) -> list[Product] | None:
        """The product of slopes of each path from ``start`` to ``end``, or None if one is too long or opens a row."""
        found: list[Product] = []
        waiting: list[tuple[int, Product, int]] = [(end, Product(), 0)]
        passed = 0
        while waiting:
            i, so_far, length = waiting.pop()
            if i == start and i != end:
                found.append(so_far)
                continue
            passed += 1
            if length > LONGEST or passed > PASSED or self.block(i).opened is not None:
                return None
            block = self.block(i)
            for k, o in reversed(way.read(i)):
                if not block.operation.arity or k in block.operation.passes:
                    slope = self.slope(i, k)
                    if slope is None:
                        return None
                    waiting.append((o, slope * so_far, length + (slope != Product())))
        return found


def opened(symbols: Symbols, end: int, operand: int) -> Expression:
    """The definition of the row whose result is scalar ``end``, and its slope in the scalar ``operand``, in numbers."""
    block = symbols.block(end)
    about: Any = block.opened
    position = end - block.first
    names = [int(o[position]) for o in about.operands]
    formulas = {id(x): symbols.expression(o) for x, o in zip(about.variables, names, strict=True)}
    for line in about.definition:
        if line.primitive is None:
            formulas.setdefault(id(line), written(line.item()))
        else:
            formulas[id(line)] = call(line.primitive, [formulas[id(x)] for x in line.operands])
    whole, row = (
        formulas[id(about.definition.outputs[0])],
        call(about.primitive, [formulas[id(x)] for x in about.variables]),
    )
    paths = _slopes_along(symbols, end, operand)
    total = sum(_product(path) for path in paths)
    parts = [[value(x).within(PRODUCT) for x in path if x != 1] or [value(1)] for path in paths]
    latex = " + ".join(r" \cdot ".join(x.latex for x in path) for path in parts)
    text = " + ".join("·".join(x.text for x in path) for path in parts)
    by, result = symbols.element(operand), value(total)
    return Expression(
        rf"{row.latex} = {whole.latex}, \quad \frac{{\partial}}{{\partial {by.latex}}} = {latex} = {result.latex}",
        f"{row.text} = {whole.text}; d/d{by.text} = {text} = {result.text}",
        SUM,
    )


def _product(path: list[Any]) -> Any:
    made: Any = 1
    for slope in path:
        made = made * slope
    return made


def _slopes_along(symbols: Symbols, end: int, operand: int) -> list[list[Any]]:
    """The slopes along each path from ``operand`` to ``end`` inside one definition."""
    graph, about = symbols.analysis.graph, symbols.block(end).opened
    found: list[list[Any]] = []
    waiting: list[tuple[int, list[Any]]] = [(end, [])]
    while waiting:
        i, so_far = waiting.pop()
        if i == operand:
            found.append(so_far)
        elif symbols.block(i).opened is about:
            for o, slope in zip(graph.read(i), graph.slopes_at(i), strict=True):
                waiting.append((o, [*so_far, slope]))
    return found
