"""What a flat tape consists of: operations, the blocks that the lines of a tensor tape became, and what a reader asks
for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import arrays
from ..backward import derive
from ..primitives import TABLE
from ..tape import Primitive, Scope, Tape, Tensor, exact

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Operation:
    """What a scalar did: a row of the table with its params; or "input", "constant" and "sum" (of any number of terms).

    ``passes`` lists the operands that receive a gradient.
    """

    name: str
    primitive: Primitive | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    arity: int = 0
    passes: tuple[int, ...] = ()


INPUT, CONSTANT, SUM = Operation("input"), Operation("constant"), Operation("sum", TABLE["sum"])


@dataclass(frozen=True, eq=False)
class Opened:
    """An elementwise line with a definition: the names of its operands, and the definition's tape on one element
    each."""

    primitive: Primitive
    params: Mapping[str, Any]
    operands: tuple[Array, ...]
    variables: tuple[Tensor, ...]
    definition: Tape

    def placed(self, value: Array) -> dict[int, Any]:
        """The definition's numbers where it is differentiated without rounding (``Primitive.at``)."""
        at: Any = self.primitive.at
        given = at(*[value[names] for names in self.operands], **self.params)
        numbers: dict[int, Any] = {id(x): v for x, v in zip(self.variables, given, strict=True)}
        for line in self.definition:
            primitive: Any = line.primitive
            if primitive:
                operands = [numbers[id(x)] for x in line.operands]
                numbers[id(line)] = primitive.forward(*operands, **line.params)
            elif id(line) not in numbers:
                numbers[id(line)] = exact(line.value) if value.dtype == object else line.value
        return numbers

    def passed(self, g: Array, value: Array) -> list[Array]:
        """Of a row that chooses by the order of its operands: what each of them gets of the cotangents ``g``."""
        params = tuple(self.params.items())
        rule = derive(self.primitive, len(self.operands), tuple(range(len(self.operands))), params)
        return arrays.elementwise(rule, len(self.operands), g, *[value[names] for names in self.operands], by_order=True)


@dataclass(frozen=True, eq=False)
class Block:
    """Scalars ``first`` to ``first + count - 1``: one operation on independent operands, all from the tensor ``line``.

    ``elements`` has the flat index in ``line`` that each one belongs to (None: in order).  ``inner`` scalars are steps
    towards an element (a product of a contraction, a line of a definition), not the element itself.  ``opened`` and
    ``step`` say of which definition, and which line of it; ``last`` is its result, which has the row's exact value.
    """

    operation: Operation
    first: int
    count: int
    line: Tensor
    elements: Array | None = None
    inner: bool = False
    opened: Opened | None = None
    step: Tensor | None = None
    last: bool = False


@dataclass(frozen=True)
class Origin:
    """Where a scalar came from: the tensor (or input Scalar), the index in it, the scopes around, outermost first.

    ``inner``: a step towards that element; ``opened``: the row whose definition it is a line of.
    """

    line: Any
    index: tuple[int, ...]
    scopes: tuple[Scope, ...]
    inner: bool
    opened: Primitive | None = None


@dataclass(frozen=True)
class FlatScalar:
    """One scalar of the tape with all that is known of it (``tape[i]``)."""

    number: int
    operation: str
    params: Mapping[str, Any]
    operands: tuple[int, ...]
    slopes: tuple[Any, ...]
    value: Any
    name: str
