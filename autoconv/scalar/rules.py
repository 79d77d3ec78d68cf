"""The scalar operations: a code for each, and value and local derivatives on Python floats.

They are the rows of ``primitives.py``, every elementwise one of one or two operands that has a gradient, said in
``math``'s words (formulas.py), because a NumPy call on one number costs ten times more.  Where there are no such
words, and where Python's arithmetic refuses (a pole, an overflow, the root of a negative number), the row itself is
asked, and gives the limit of IEEE arithmetic: inf or nan.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..primitives import TABLE
from .blocks import INPUT, Operation
from .formulas import formula, in_python
from .tape import slopes

Rule = Callable[..., tuple[float, ...]]

# The rows that the compiled extension has rules for (native/table.h), by their codes; for others it asks Python.
NATIVE = [
    "add", "sub", "mul", "div", "power", "neg", "abs", "exp", "log", "sqrt", "tanh", "sin", "cos", "maximum", "minimum",
]  # fmt: skip
_OTHERS = [
    row.name
    for row in TABLE.values()
    if row.elementwise and row.differentiable and row.arity in (1, 2) and row.name not in NATIVE
]


def _settings(name: str) -> list[dict[str, Any]]:
    """The params that a row can have on Scalars, one code for each."""
    return [{"ties": "split"}, {"ties": "first"}] if TABLE[name].ties else [{}]


def _operation(name: str, params: dict[str, Any]) -> Operation:
    arity = TABLE[name].arity or 0
    return Operation(name, TABLE[name], params, arity, tuple(range(arity)))


# By code: an input, a Scalar of an older segment, then the rows.
OPERATIONS = [
    INPUT,
    INPUT,
    *[_operation(name, params) for name in (*NATIVE, *_OTHERS) for params in _settings(name)],
]
LEAF, OLDER = 0, 1
CODES = {
    operation.name + ("_first" if operation.params.get("ties") == "first" else ""): code
    for code, operation in enumerate(OPERATIONS)
    if code > OLDER
}
COMPILED = CODES[_OTHERS[0]] if _OTHERS else len(OPERATIONS)  # the first code that the extension has no rule for
ADD, SUB, MUL, DIV, POWER, NEG, ABS = [CODES[name] for name in ("add", "sub", "mul", "div", "power", "neg", "abs")]
MAX, MAX_FIRST, MIN, MIN_FIRST = [CODES[name] for name in ("maximum", "maximum_first", "minimum", "minimum_first")]
CHOOSING = {code for code, o in enumerate(OPERATIONS) if o.primitive and o.primitive.masks}


def _rule(code: int) -> Rule:
    operation = OPERATIONS[code]
    assert operation.primitive is not None
    known = formula(operation.primitive, operation.params)
    return in_python(known, operation.arity) if known else lambda *xs: by_row(code, *xs)


def by_row(code: int, *xs: float) -> tuple[float, ...]:
    """(value, local derivative for each operand) from the row of the table, with IEEE's limits."""
    operation = OPERATIONS[code]
    primitive, params = operation.primitive, operation.params
    assert primitive is not None
    with np.errstate(all="ignore"):
        operands = [np.float64(x) for x in xs]
        y = primitive.forward(*operands, **params)
        found = slopes(primitive, params, np.ones(()), y, operands)
    return float(y), *[float(d) for d in found]


RULES: list[Rule] = [lambda x: (x,)] * 2 + [_rule(code) for code in range(2, len(OPERATIONS))]
_POWER = formula(TABLE["power"], {})
assert _POWER is not None
_POWER_OF_NUMBER = in_python(_POWER, 2, only=0)


def apply(code: int, *xs: float) -> tuple[float, ...]:
    """(value, local derivative for each operand) of operation ``code``."""
    try:
        result = RULES[code](*xs)
    except (ArithmeticError, ValueError, TypeError):  # TypeError: a negative base gave a complex number
        return by_row(code, *xs)
    return result


def power_of_number(x: float, c: float) -> tuple[float, ...]:
    """x**c and its derivative for a number c, whatever the sign of x."""
    try:
        y, dx = _POWER_OF_NUMBER(x, c)
        if type(y) is float:
            return y, dx
    except ArithmeticError:
        pass
    value, dx, _ = by_row(POWER, x, c)
    return value, dx
