"""The scalar rules: value and local derivatives of each operation on Python floats.

They are rows of ``primitives.py`` said in ``math``'s words, because a NumPy call on one number costs ten times more; a
test proves each equal to its row, kinks included.  Where Python's arithmetic refuses (a pole, an overflow, the root of a
negative number) the row itself is asked, and gives the limit of IEEE arithmetic: inf or nan.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..primitives import TABLE
from .blocks import INPUT, Operation
from .tape import slopes

Rule = Callable[..., tuple[float, ...]]


def _abs(x: float) -> tuple[float, ...]:
    return abs(x), 1.0 if x > 0 else -1.0 if x < 0 else x * 0.0


def _exp(x: float) -> tuple[float, ...]:
    y = math.exp(x)
    return y, y


def _sqrt(x: float) -> tuple[float, ...]:
    y = math.sqrt(x)
    return y, 0.5 / y


def _tanh(x: float) -> tuple[float, ...]:
    y = math.tanh(x)
    return y, 1.0 - y * y


def _div(x: float, y: float) -> tuple[float, ...]:
    z = x / y
    return z, 1.0 / y, -z / y


def _power(x: float, y: float) -> tuple[float, ...]:
    """x**y for x > 0; elsewhere the row knows."""
    z = x**y
    return z, y * x ** (y - 1.0 if y else 1.0), z * math.log(x)


def _order(x: float, y: float, tie: float) -> float:
    """1 if x is the greater, -1 if y is, ``tie`` if neither; a NaN wins over a number."""
    return float((x > y) - (x < y) + (x != x) - (y != y)) or tie


def _greater(tie: float) -> Rule:
    def rule(x: float, y: float) -> tuple[float, ...]:
        s = _order(x, y, tie)
        return x if s > 0 or x != x else y, (1 + s) / 2, (1 - s) / 2

    return rule


def _smaller(tie: float) -> Rule:
    def rule(x: float, y: float) -> tuple[float, ...]:
        if x != x or y != y:
            raise ArithmeticError("a NaN: the row knows")
        s = _order(y, x, tie)
        return x if s > 0 else y, (1 + s) / 2, (1 - s) / 2

    return rule


# fmt: off
RULES: list[tuple[str, dict[str, Any], Rule]] = [
    ("add",     {},                lambda x, y: (x + y, 1.0, 1.0)),
    ("sub",     {},                lambda x, y: (x - y, 1.0, -1.0)),
    ("mul",     {},                lambda x, y: (x * y, y, x)),
    ("div",     {},                _div),
    ("power",   {},                _power),
    ("neg",     {},                lambda x: (-x, -1.0)),
    ("abs",     {},                _abs),
    ("exp",     {},                _exp),
    ("log",     {},                lambda x: (math.log(x), 1.0 / x)),
    ("sqrt",    {},                _sqrt),
    ("tanh",    {},                _tanh),
    ("sin",     {},                lambda x: (math.sin(x), math.cos(x))),
    ("cos",     {},                lambda x: (math.cos(x), -math.sin(x))),
    ("maximum", {"ties": "split"}, _greater(0.0)),
    ("maximum", {"ties": "first"}, _greater(1.0)),
    ("minimum", {"ties": "split"}, _smaller(0.0)),
    ("minimum", {"ties": "first"}, _smaller(1.0)),
]
# fmt: on

# Codes of a recording: an input, a Scalar of an older segment, then the rules in their order.
LEAF, OLDER = 0, 1
ADD, SUB, MUL, DIV, POWER, NEG, ABS, EXP, LOG, SQRT, TANH, SIN, COS, MAX, MAX_FIRST, MIN, MIN_FIRST = range(2, 19)


def _operation(name: str, params: dict[str, Any]) -> Operation:
    arity = 2 if name in ("add", "sub", "mul", "div", "power", "maximum", "minimum") else 1
    return Operation(name, TABLE[name], params, arity, tuple(range(arity)))


OPERATIONS = [INPUT, INPUT, *[_operation(name, params) for name, params, _ in RULES]]


def apply(code: int, *xs: float) -> tuple[float, ...]:
    """(value, local derivative for each operand) of operation ``code``."""
    try:
        result = RULES[code - 2][2](*xs)
    except (ArithmeticError, ValueError, TypeError):  # TypeError: a negative base gave a complex number
        return by_row(code, *xs)
    return result


def power_of_number(x: float, c: float) -> tuple[float, float]:
    """x**c and its derivative for a number c, whatever the sign of x."""
    try:
        y = x**c
        if type(y) is float:
            return y, c * x ** (c - 1.0 if c else 1.0)
    except ArithmeticError:
        pass
    value, dx, _ = by_row(POWER, x, c)
    return value, dx


def by_row(code: int, *xs: float) -> tuple[float, ...]:
    """The same from the row of the table, with IEEE's limits."""
    primitive, params = TABLE[OPERATIONS[code].name], OPERATIONS[code].params
    with np.errstate(all="ignore"):
        operands = [np.float64(x) for x in xs]
        y = primitive.forward(*operands, **params)
        found = slopes(primitive, params, np.ones(()), y, operands)
    return float(y), *[float(d) for d in found]
