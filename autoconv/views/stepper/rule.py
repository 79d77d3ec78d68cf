"""The formulas of an event: a line with its numbers, and the rule that sends a contribution to an operand.

A rule is not written down a second time: the row's own vjp is recorded on Tensors, and the little tape that results is
read off in the formulas of its rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...backward import pull
from ...render.latex import Expression, call, line_latex, matrix, number, operand, symbol
from ...tape import Tape, Tensor

OUTPUT = -1  # no id of a Tensor
FEW, SMALL = 4, 9  # formulas with numbers: operands, and results, of up to so many elements


def forward_latex(line: Tensor, names: Mapping[int, str]) -> str:
    """name = formula = numbers = value, as far as they are short."""
    parts = [symbol(names[id(line)]).latex]
    if line.primitive is not None:
        parts.append(line_latex(line, names, False))
        if all(x.size <= FEW for x in line.operands):
            parts.append(line_latex(line, names, True))
    if small(line.value):
        parts.append(array_latex(line.value))
    return " = ".join(dict.fromkeys(parts))


def bar(line: Tensor, names: Mapping[int, str]) -> Expression:
    """The cotangent of a line, d output / d line; ``names`` knows the output's name by the key OUTPUT."""
    name, of = symbol(names[id(line)]), symbol(names[OUTPUT])
    return Expression(rf"\frac{{\partial {of.latex}}}{{\partial {name.latex}}}", f"d{of.text}/d{name.text}")


def gradient_symbol(target: Tensor, names: Mapping[int, str], value: np.ndarray | None) -> str:
    """The cotangent of ``target``, with its numbers if they are few."""
    left = bar(target, names).latex
    return left if value is None or not small(value) else f"{left} = {array_latex(value)}"


def contribution_latex(
    line: Tensor, k: int, names: Mapping[int, str], cotangent: Any, contribution: np.ndarray | None
) -> str:
    """What the line adds to the gradient of operand ``k``: the rule with names, with numbers, and the result."""
    target = bar(line.operands[k], names).latex
    parts = [rule(line, k, names, bar(line, names)).latex]
    if contribution is not None and small(contribution):
        if cotangent is not None and np.size(cotangent) == 1 and all(x.size <= 1 for x in line.operands):
            parts.append(rule(line, k, names, value_of(cotangent), numbers=True).latex)
        parts.append(array_latex(contribution))
    return rf"{target} \; \text{{+=}} \; {' = '.join(dict.fromkeys(parts))}"


def derivative_latex(line: Tensor, k: int, names: Mapping[int, str]) -> str:
    """The local derivative with respect to operand ``k`` of a row that works element by element; "" for other rows."""
    if line.primitive is None or line.primitive.group != "arithmetic":
        return ""
    left = rf"\frac{{\partial {symbol(names[id(line)]).latex}}}{{\partial {symbol(names[id(line.operands[k])]).latex}}}"
    if line.primitive.definition is not None:
        return left
    return f"{left} = {rule(line, k, names, Expression('1', '1')).latex}"


def rule(line: Tensor, k: int, names: Mapping[int, str], g: Expression, numbers: bool = False) -> Expression:
    """The row's rule for operand ``k`` as a formula of the cotangent ``g``, the operands and the result."""
    primitive = line.primitive
    if primitive is None:
        return g
    if primitive.definition is not None:  # its rule is the sweep of its definition, which the event opens into
        slope = rf"\frac{{\partial}}{{\partial {symbol(names[id(line.operands[k])]).latex}}} {line_latex(line, names, numbers)}"
        return Expression(rf"{g.latex} \cdot {slope}", f"{g.text} * slope")
    stand_ins = [Tensor(x.value, constant=x.constant) for x in line.operands]
    copy = Tensor(line.value, primitive, tuple(stand_ins), line.params, constant=line.constant)
    seed = Tensor(np.ones(line.shape, line.dtype))
    (made,) = pull(copy, seed, (k,), True)
    known = {id(x): operand(y, names, numbers) for x, y in zip(stand_ins, line.operands, strict=True)}
    known[id(copy)] = operand(line, names, numbers)
    known[id(seed)] = g
    return read_off(made, known, names)


def read_off(y: Tensor, known: dict[int, Expression], names: Mapping[int, str]) -> Expression:
    """The formula of a recorded line in terms of the ``known`` ones, along the tape."""
    if id(y) in known:
        return known[id(y)]
    for line in Tape(y):
        if id(line) not in known:
            if line.primitive is None:
                known[id(line)] = operand(line, names)
            else:
                known[id(line)] = call(line.primitive, [known[id(x)] for x in line.operands], line.params)
    return known[id(y)]


def value_of(array: Any) -> Expression:
    """A number as an expression; negative ones bind as loosely as a sum."""
    shown = Tensor(np.array(array).reshape(()), constant=True)
    return operand(shown, {}, True)


def small(array: Any) -> bool:
    return 0 < np.size(array) <= SMALL and np.ndim(array) <= 2


def array_latex(array: np.ndarray) -> str:
    """A small array as a number or a matrix."""
    return number(array.item()) if array.size == 1 else matrix(np.asarray(array))
