"""Scalars as lines: what views and tutor ask of a tensor tape, they can ask of a Scalar's as well.

Every scalar of a recording becomes a Tensor without axes, with the row, the operands and the very value that were
recorded; nothing is computed again.  ``Tape`` of a Scalar is made of all of them (``linked``); ``ScalarLines`` makes
one where it is asked for, so that a program of a million scalars can be looked at in a few places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..tape import Lines, Tape, Tensor, elsewhere
from .blocks import CONSTANT, INPUT, Block, Opened, Origin
from .expand import definition_of
from .flatten import flatten
from .floors import KINDS, Scalar
from .named import named_scalars
from .tape import FlatTape

LARGEST = 1_000_000  # scalars of which all lines are made


def linked(y: Scalar) -> tuple[Tensor, Lines]:
    """The line of ``y``, with all that it was computed from, and a function that finds the lines of other Scalars.

    Raises ValueError beyond ``LARGEST`` scalars.
    """
    flat = flatten(y)
    if len(flat) > LARGEST:
        raise ValueError(
            f"Tape: {len(flat):,} scalars, more than {LARGEST:,}; ac.explain and ac.paths make only the lines that "
            "they show, ac.expand gives all scalars as arrays, and a part of the program has a tape of its own: "
            "ac.Tape(part)"
        )
    return _lines(flat, range(len(flat)))


elsewhere.append((KINDS, linked))


def _lines(flat: FlatTape, kept: Iterable[int]) -> tuple[Tensor, Lines]:
    """The lines of the scalars ``kept``, in order; what they read besides is given: an input with its value."""
    lines: dict[int, Tensor] = {}
    start, operands, codes, values = flat.start.tolist(), flat.operands.tolist(), flat.operation.tolist(), flat.value

    def given(i: int) -> Tensor:
        constant = flat.operations[codes[i]] is CONSTANT
        return Tensor(values[i : i + 1].reshape(()), name=flat.given(i), constant=constant)

    for i in kept:
        operation, read = flat.operations[codes[i]], operands[start[i] : start[i + 1]]
        for o in read:
            if o not in lines:
                lines[o] = given(o)
        if operation.primitive is None:
            lines[i] = given(i)
        else:
            operated = tuple([lines[o] for o in read])
            value = values[i : i + 1].reshape(())
            lines[i] = Tensor(value, operation.primitive, operated, operation.params, name=flat.given(i))
    found = lambda x: [lines[i] for i in flat.numbers_of(x) if i in lines] if isinstance(x, KINDS) else []
    return lines[int(flat.output)], found


def part_of(y: Scalar, wrt: Sequence[Any] | None, most: int) -> tuple[Tape, int]:
    """The tape of ``y``, and how many scalars the program has; of one with more than ``most`` a part is on the tape.

    The part is what leads from ``wrt`` to y, or without them the last ``most``; whatever else these read is given with
    its value.  Raises ValueError where more than ``most`` lead from ``wrt`` to y.
    """
    flat = flatten(y)
    size = len(flat) - 1  # without the zero of padding
    if size <= most:
        return Tape(y), size
    kept: Iterable[int] = range(len(flat) - most, len(flat))
    if wrt is not None:
        reached = {i for x in wrt if isinstance(x, KINDS) for i in flat.numbers_of(x)}
        waiting = list(reached)
        while waiting and len(reached) <= most:
            new = {int(i) for i in flat.readers(waiting.pop())} - reached
            reached |= new
            waiting += new
        if waiting or len(reached) > most:
            raise ValueError(
                f"step: more than {most:,} of the {size:,} scalars of this program lead from what wrt names to the "
                "output, too many to walk one by one; ask for a scalar nearer to the output, step through a part of "
                "the program, as in ac.step(score), or use ac.explain, which opens one level at a time"
            )
        kept = sorted(reached | {int(flat.output)})
    line, lines_of = _lines(flat, kept)
    tape = Tape(line)
    tape.elsewhere.append(lines_of)
    return tape, size


class ScalarLines:
    """The graph of a Scalar's program, of which a line is made where it is asked for.

    ``places`` has the place on ``Tape(y)`` of every line that was made, by its id: scalar i is line i - 1 there.  A
    line here has no operands: who reads whom is asked by number (``read``).
    """

    def __init__(self, flat: FlatTape) -> None:
        self.flat = flat
        self.made: dict[int, Tensor] = {}
        self.places: dict[int, int] = {}
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
            self.made[i], self.places[id(line)] = line, i - 1
        return self.made[i]

    def scalar(self, line: Tensor) -> int:
        """The number of the scalar of a line."""
        return self.places[id(line)] + 1

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
