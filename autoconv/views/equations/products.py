"""Products of a number and symbols, and the rows' rules written in them: the local derivative of a row, simplified.

d row / d operand is read off the row's vjp, recorded once on symbols with cotangent 1: (o - y) ** 2 gives 2(o - y) because
the rule of ``power`` says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

from ...render.latex import ATOM, FACTOR, PRODUCT, SUM, Expression, call, value
from ...tape import Primitive, Tape, Tensor, constant


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
            return value(self.number)
        if self.number == 1 and len(self.factors) == 1:
            return self.factors[0]
        counts = Counter(self.factors)
        parts = [_raised(x, n) for x, n in counts.items()]
        latex, text = r" \, ".join(x.latex for x in parts), " ".join(x.text for x in parts)
        if abs(self.number) == 1:
            sign = "-" if self.number < 0 else ""
            return Expression(sign + latex, sign + text, SUM if sign else PRODUCT)
        first = value(self.number)
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
    "neg": lambda a: Product(-a.number, a.factors),
    "div": _quotient,
    "power": _power,
}


@cache
def rule(primitive: Primitive, params: Any, k: int, count: int, numbers: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The local derivative of a row in operand ``k`` as a tape on scalars: (y, operands, tape), or None for a definition.

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
