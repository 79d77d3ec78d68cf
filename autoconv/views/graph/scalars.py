"""What a reader wants to know of the scalars of a flat tape, for the scalar zoom.

``Scalars`` gathers what is known of every scalar of a flat tape: its name, its formula, what it was an element of, its
local derivatives.  ``describe_scalars`` makes nodes and edges of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from ...render.element import element_name
from ...render.latex import formula, inner
from ...render.svg import PALETTE
from ...render.text import number
from ...scalar import FlatTape
from ...scalar.blocks import Block, Opened
from ...scalar.tape import slopes
from ...tape import Primitive, Tensor
from ..lines import subscripts, weights
from .selection import written


class Scalars:
    """What a reader wants to know of each scalar of ``flat``; ``names`` maps id(tensor) to the name of its variable.

    ``y`` are the scalars of the result whose gradient is shown (None: there is none).  ``twins`` maps the id of a
    gradient in a recorded sweep to the tensor whose gradient it is, and whose colours it has.
    """

    def __init__(
        self,
        flat: FlatTape,
        names: Mapping[int, str],
        y: np.ndarray | None,
        opens: Callable[[Tensor, Primitive], bool],
        twins: Mapping[int, Tensor] | None = None,
    ) -> None:
        self.flat, self.names, self.opens, self.twins = flat, names, opens, twins or {}
        self.gradient = flat.sweep(of=y) if y is not None else None
        self.number = {id(line): i for i, line in enumerate(flat.tape or ())}
        self._texts: dict[int, str] = {}
        self._subscripts = subscripts(flat.tape) if flat.tape is not None else {}
        self._subscripts = subscripts(flat.tape) if flat.tape is not None else {}
        self._alias()

    def _alias(self) -> None:
        """For every scalar the line and element it is known by: the first named line that has it, else where it was
        made.
        """
        flat = self.flat
        self.line = np.full(len(flat), -1, np.int64)
        self.element = np.zeros(len(flat), np.int64)
        lines = list(flat.tape or ())
        for named in (True, False):
            for i, line in enumerate(lines):
                if bool(self.name_of(line)) is not named:
                    continue
                scalars = flat.places[id(line)].ravel()
                fresh = np.flatnonzero((self.line[scalars] < 0) & (scalars > 0))
                self.line[scalars[fresh]] = i
                self.element[scalars[fresh]] = fresh

    def name_of(self, line: Tensor) -> str:
        return line.name or self.names.get(id(line)) or ""

    @cached_property
    def blocks(self) -> np.ndarray:
        """The number of the block of each scalar."""
        found = np.zeros(len(self.flat), np.int64)
        for k, block in enumerate(self.flat.blocks):
            found[block.first : block.first + block.count] = k
        return found

    def block(self, i: int) -> Block | None:
        return self.flat.blocks[self.blocks[i]] if self.flat.blocks else None

    def shape(self, i: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(index, shape) of the element that scalar ``i`` is, or is a step towards."""
        block = self.block(i)
        if block is None:
            return (), ()
        line, element = block.line, i - block.first
        if block.elements is not None:
            element = int(block.elements[element])
        result = int(self.flat.places[id(line)].ravel()[element]) if id(line) in self.flat.places else i
        if self.line[result] >= 0 and self.flat.tape is not None:
            known = self.flat.tape[int(self.line[result])]
            if known.size == line.size:
                line, element = known, int(self.element[result])
        return tuple(int(k) for k in np.unravel_index(element, line.shape)), line.shape

    def known(self, i: int) -> bool:
        """Whether the scalar is an element of a line, or a Scalar, and not a step towards one."""
        return self.flat.tape is None or bool(self.line[i] >= 0)

    def title(self, i: int) -> str:
        """Its name as an element; of a step, its formula."""
        if self.flat.tape is None:
            return self.flat.name(i)
        if self.line[i] < 0:
            return self.formula(i) or self.flat.name(i)
        line = self.flat.tape[int(self.line[i])]
        index = tuple(int(k) for k in np.unravel_index(int(self.element[i]), line.shape))
        return element_name(
            self.name_of(line) or f"%{self.line[i]}", index, line.shape, self._subscripts.get(id(line), "matrix")
        )

    def formula(self, i: int) -> str:
        """The row's formula on its operands; a sum tells how many terms it has."""
        if i not in self._texts:
            self._texts[i] = self._formula(i)
        return self._texts[i]

    def _formula(self, i: int) -> str:
        read, closed = self.operands(i), self.closed(i)
        operation = self.flat.operations[int(self.flat.operation[i])]
        if not read:
            return ""
        if operation.name == "sum" and closed is None:
            return f"Σ of {len(read)}"
        return formula(closed.primitive if closed else operation.primitive, [self.called(k) for k in read])  # type: ignore[arg-type]

    def operation(self, i: int) -> str:
        closed = self.closed(i)
        return closed.primitive.name if closed else self.flat.operations[int(self.flat.operation[i])].name

    def called(self, i: int) -> str:
        """How another formula speaks of it."""
        if i == 0 or (self.flat.operation[i] == self._constant and not self.known_name(i)):
            return plain(self.flat.value[i])
        if self.known(i):
            return self.title(i)
        return inner(self.formula(i))

    def known_name(self, i: int) -> str:
        return (
            self.name_of(self.flat.tape[int(self.line[i])]) if self.flat.tape is not None and self.line[i] >= 0 else ""
        )

    @cached_property
    def _constant(self) -> int:
        return next(k for k, o in enumerate(self.flat.operations) if o.name == "constant")

    # ---- operands and local derivatives

    def closed(self, i: int) -> Opened | None:
        """The definition whose result this is, if it is not opened."""
        block = self.block(i)
        opened = block.opened if block else None
        return None if opened is None or self.opens(block.line, opened.primitive) else opened  # type: ignore[union-attr]

    @cached_property
    def hidden(self) -> np.ndarray:
        """A mask of what is not drawn: numbers written in the program, and the steps inside what is not opened."""
        mask = written(self.flat)
        for block in self.flat.blocks:
            if block.opened and not block.last and not self.opens(block.line, block.opened.primitive):
                mask[block.first : block.first + block.count] = True
        return mask

    def operands(self, i: int) -> list[int]:
        opened = self.closed(i)
        if opened is None:
            return self.flat.operands[self.flat.start[i] : self.flat.start[i + 1]].tolist()
        return [int(names[i - self.block(i).first]) for names in opened.operands]  # type: ignore[union-attr]

    def slopes(self, i: int) -> list[str]:
        """The local derivative towards each operand: "" where there is none, with "tie" where it was chosen."""
        operation = self.flat.operations[int(self.flat.operation[i])]
        read, opened = self.operands(i), self.closed(i)
        if opened is not None:
            values = [self.flat.value[k] for k in read]
            one = np.ones((), self.flat.value.dtype)
            found = [plain(s) for s in slopes(opened.primitive, opened.params, one, self.flat.value[i], values)]
        else:
            known = self.flat.slope[self.flat.start[i] : self.flat.start[i + 1]].tolist()
            passes = operation.passes if operation.name != "sum" else range(len(read))
            found = [plain(s) if k in passes else "" for k, s in enumerate(known)]
            found = [f"{text} (tie)" if text and self.tie(i, k) else text for k, text in enumerate(found)]
        return ["" if self.flat.operation[x] == self._constant else text for x, text in zip(read, found, strict=True)]

    def columns(self, group: np.ndarray) -> list[tuple[np.ndarray, np.ndarray | None, bool]]:
        """(scalars read, slopes or None, whether they may stand at a kink) for each operand of scalars of one
        operation.

        All terms of sums are one such column.
        """
        flat, opened = self.flat, self.closed(int(group[0]))
        operation = flat.operations[int(flat.operation[group[0]])]
        start = flat.start[group]
        if opened is not None:
            own = group - self.block(int(group[0])).first  # type: ignore[union-attr]
            read = [names[own] for names in opened.operands]
            one = np.ones(len(group)).astype(flat.value.dtype)
            found = slopes(opened.primitive, opened.params, one, flat.value[group], [flat.value[x] for x in read])
            return [(x, np.asarray(slope), False) for x, slope in zip(read, found, strict=True)]
        if operation.name == "sum":
            counts = flat.start[group + 1] - start
            within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
            places = np.repeat(start, counts) + within
            return [(flat.operands[places], flat.slope[places], False)]
        tied = "slope_at_zero" in operation.params
        columns = [start + k for k in range(operation.arity)]
        return [
            (flat.operands[at], flat.slope[at] if k in operation.passes else None, tied) for k, at in enumerate(columns)
        ]

    def tie(self, i: int, k: int) -> bool:
        """Whether operand ``k`` stands at a kink, where the slope is chosen: the params of its line say so."""
        params = self.flat.operations[int(self.flat.operation[i])].params
        return "slope_at_zero" in params and bool(self.flat.value[self.flat.operands[int(self.flat.start[i]) + k]] == 0)

    # ---- colours

    @cached_property
    def weights(self) -> dict[int, str]:
        """The colours of weights: scalar -> colour, by the flat index of each in its tensor."""
        found: dict[int, str] = {}
        tape = self.flat.tape
        coloured = weights(tape) if tape is not None else set()
        for line in tape or ():
            if id(line) in coloured:
                scalars = self.flat.places[id(line)].ravel().tolist()
                found.update((i, PALETTE[k % len(PALETTE)]) for k, i in enumerate(scalars))
        for line in tape or ():
            if id(line) in self.twins and id(self.twins[id(line)]) in coloured:
                scalars = self.flat.places[id(line)].ravel().tolist()
                for k, i in enumerate(scalars):
                    found.setdefault(i, PALETTE[k % len(PALETTE)])
        return found

    def colour(self, i: int) -> str:
        return self.weights.get(i, "")


def plain(x: Any) -> str:
    """A number as a reader expects it: no minus sign on zero."""
    return "0" if x == 0 else number(x)
