"""Scalars as lines: what views and tutor ask of a tensor tape, they can ask of a Scalar's as well.

Every scalar of a recording becomes a Tensor without axes, with the row, the operands and the very value that were
recorded; nothing is computed again.  ``Tape`` of a Scalar is made of all of them (``linked``); ``ScalarLines`` makes
one where it is asked for, so that a program of a million scalars can be looked at in a few places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..tape import Tape, Tensor, elsewhere
from .blocks import CONSTANT, INPUT, Block, Opened, Origin
from .expand import definition_of
from .flatten import flatten
from .floors import KINDS, Scalar
from .named import named_scalars
from .tape import FlatTape

LARGEST = 1_000_000  # scalars of which all lines are made


def linked(y: Scalar) -> tuple[Tensor, Callable[[Any], list[Tensor]]]:
    """The line of ``y``, with all that it was computed from, and a function that finds the lines of other Scalars.

    Raises ValueError beyond ``LARGEST`` scalars.
    """
    flat = flatten(y)
    if len(flat) > LARGEST:
        raise ValueError(
            f"Tape: {len(flat):,} scalars, more than {LARGEST:,}; ac.explain and ac.paths make only the lines that they "
            "show, ac.expand gives all scalars as arrays, and a part of the program has a tape of its own: "
            "ac.Tape(part)"
        )
    lines: list[Tensor] = []
    start, operands, values = flat.start.tolist(), flat.operands.tolist(), flat.value
    for i, code in enumerate(flat.operation.tolist()):
        operation = flat.operations[code]
        read = tuple([lines[o] for o in operands[start[i] : start[i + 1]]])
        value, constant = values[i : i + 1].reshape(()), operation is CONSTANT
        lines.append(Tensor(value, operation.primitive, read, operation.params, None, flat.given(i), constant))
    return lines[int(flat.output)], lambda x: [lines[i] for i in flat.numbers_of(x)] if isinstance(x, KINDS) else []


elsewhere.append((KINDS, linked))


class ScalarLines:
    """The graph of a Scalar's program, of which a line is made where it is asked for.

    ``numbers`` has the number of every line that was made, by its id.  A line here has no operands: who reads whom
    is asked by number (``read``).
    """

    def __init__(self, flat: FlatTape) -> None:
        self.flat = flat
        self.made: dict[int, Tensor] = {}
        self.numbers: dict[int, int] = {}
        self.output = int(flat.output.ravel()[0])
        self.tape = _Made(self)

    def line(self, i: int) -> Tensor:
        """The line of scalar ``i``."""
        if i not in self.made:
            flat = self.flat
            operation = flat.operations[int(flat.operation[i])]
            value = flat.value[i : i + 1].reshape(())
            line = Tensor(
                value, operation.primitive, (), operation.params, None, flat.given(i), constant=operation is CONSTANT
            )
            self.made[i], self.numbers[id(line)] = line, i
        return self.made[i]

    def lines_of(self, x: Any) -> list[Tensor]:
        """The lines of a Scalar; none for one that is not of this program."""
        return [self.line(i) for i in self.flat.numbers_of(x)] if isinstance(x, KINDS) else []

    @property
    def size(self) -> int:
        return len(self.flat)

    def block(self, i: int) -> Block:
        operation = self.flat.operations[int(self.flat.operation[i])]
        row, opened = operation.primitive, None
        if row is not None and row.definition is not None:
            read = tuple([np.array([o]) for o in self.flat.read(i)])
            variables, definition = definition_of(row, tuple(operation.params.items()), len(read))
            opened = Opened(row, operation.params, read, variables, definition)
        kind = operation if operation.primitive is not None else CONSTANT if operation is CONSTANT else INPUT
        return Block(kind, i, 1, self.line(i), opened=opened, last=opened is not None)

    def origin(self, i: int) -> Origin:
        return Origin(self.line(i), (), (), False)

    def read(self, i: int) -> list[int]:
        return self.flat.read(i)

    def slopes_at(self, i: int) -> list[Any]:
        return self.flat.slopes_at(i)

    def number(self, i: int) -> Any:
        return self.flat.number(i)


class _Made(Tape):
    """The lines that were made so far, in order: those that somebody asked for or gave a name."""

    def __init__(self, program: ScalarLines) -> None:
        self.program = program
        for i in [i for i in [*program.flat.leaves, *program.flat.names] if program.flat.given(i)]:
            program.line(i)
        self.outputs = (program.line(program.output),)

    @property
    def lines(self) -> list[Tensor]:  # type: ignore[override]
        return [line for _, line in sorted(self.program.made.items())]

    @property
    def of_scalars(self) -> bool:
        return True

    def lines_of(self, x: Any) -> list[Tensor]:
        return self.program.lines_of(x)


def called(names: Mapping[str, Any], lines_of: Callable[[Any], list[Tensor]]) -> Iterator[tuple[str, Tensor]]:
    """(name, line) for the Scalars that ``names`` hold, of those that have lines."""
    for name, x in named_scalars(names):
        for line in lines_of(x):
            yield name, line


def with_names(flat: FlatTape, names: Mapping[str, Any] | None) -> FlatTape:
    """A Scalar's flat tape whose scalars without a name have those of ``names``."""
    found = {i: name for name, x in reversed(list(named_scalars(names or {}))) for i in flat.numbers_of(x)}
    return flat.renamed(found)
