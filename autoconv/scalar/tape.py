"""The flat scalar tape: recorded arithmetic as arrays of operation, operands, local derivative and value.

Scalar number i did ``operation[i]`` on the scalars ``operands[start[i]:start[i + 1]]``, with d i / d operand in the
same places of ``slope``; operands have smaller numbers.  Both a Scalar's recording (``recording.py``) and a tensor
tape (``expand.py``) come in this form, so graph, equation and stepper need one form only.  No rule is written here:
values and slopes are those of the rows of ``primitives.py``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from .. import arrays
from ..backward import pull
from ..tape import Primitive, Tape, Tensor
from .blocks import CONSTANT, INPUT, SUM, Array, Block, FlatScalar, Opened, Operation, Origin

SHOWN, MENTIONED = 12, 4  # scalars at either end of a tape that is printed, and operands of each


@dataclass(frozen=True, eq=False, repr=False)
class FlatTape:
    """The flat form of a recorded calculation; ``output`` has the number of each scalar of its result.

    ``operations[operation[i]]`` is the Operation of scalar i.  Scalar 0 is the constant zero (of every padding).  With
    ``blocks`` (an expanded tensor tape) sweep and run go block by block in NumPy, without them scalar by scalar.
    """

    operations: list[Operation]
    operation: Array
    start: Array
    operands: Array
    slope: Array
    value: Array
    output: Array
    blocks: list[Block] = field(default_factory=list)
    tape: Tape | None = None
    places: Mapping[int, Array] = field(default_factory=dict)
    leaves: Mapping[int, Any] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)

    # ---- the calculation

    def sweep(self, seed: Any = 1.0, of: Any = None) -> Array:
        """The cotangents of all scalars, by number, for ``seed`` at the scalars ``of`` (default: the output).

        x_bar = sum over the scalars y that read x of y_bar * dy/dx; constants get 0.
        """
        of = self.output if of is None else np.asarray(of)
        g = arrays.zeros(self.value.shape, self.value.dtype)
        np.add.at(g, of.ravel(), np.broadcast_to(arrays.cast(np.asarray(seed), g.dtype), of.shape).ravel())
        with np.errstate(all="ignore"):
            if self.blocks:
                reached = np.zeros(len(self), bool)
                reached[of] = True
                g = self._sweep_blocks(g, reached)
            else:
                g = self._sweep_scalars(g)
        g[self._of(CONSTANT)] = 0
        return g

    def _sweep_blocks(self, g: Array, reached: Array) -> Array:
        """Block by block; one that no gradient reaches is left alone, so that its infinite slopes do no harm."""
        fixed = np.zeros(len(self), bool)
        fixed[self._of(CONSTANT)] = True
        for block in reversed(self.blocks):
            operation, low, high = block.operation, *self._span(block)
            if block.line.constant or not reached[block.first : block.first + block.count].any():
                continue
            here = g[block.first : block.first + block.count]
            if operation is SUM:
                counts = np.diff(self.start[block.first : block.first + block.count + 1])
                np.add.at(g, self.operands[low:high], np.repeat(here, counts))
                reached[self.operands[low:high]] = True
            chooses = block.opened if block.opened and block.opened.primitive.ties else None
            if chooses and block.last:
                for names, passed in zip(chooses.operands, chooses.passed(here, self.value), strict=True):
                    np.add.at(g, names, passed)
                    reached[names] = True
            for k in operation.passes:
                if chooses and block.step is not None and any(block.step.operands[k] is x for x in chooses.variables):
                    continue  # the operands have their part already
                places = slice(low + k, high, operation.arity)
                if fixed[self.operands[places]].all():
                    continue
                np.add.at(g, self.operands[places], self._passed(block, k, here))
                reached[self.operands[places]] = True
        return g

    def _passed(self, block: Block, k: int, g: Array) -> Array:
        """What operand k of a block's scalars gets of their cotangents; a row that chooses is asked itself."""
        operation, low, high = block.operation, *self._span(block)
        primitive: Any = operation.primitive
        if block.opened or not primitive.selects:
            return np.asarray(g * self.slope[low + k : high : operation.arity])
        xs = [self.value[self.operands[low + j : high : operation.arity]] for j in range(operation.arity)]
        y = self.value[block.first : block.first + block.count]
        return np.asarray(primitive.vjps[k](g, y, *xs, **operation.params))

    def _sweep_scalars(self, g: Array) -> Array:
        cotangent, start = g.tolist(), self.start.tolist()
        operands, slope, operation = self.operands.tolist(), self.slope.tolist(), self.operation.tolist()
        chooses = [o.primitive is not None and o.primitive.masks for o in self.operations]
        for i in range(len(cotangent) - 1, -1, -1):
            here = cotangent[i]
            for k in range(start[i], start[i + 1]):
                if slope[k] or not chooses[operation[i]]:
                    cotangent[operands[k]] += here * slope[k]
        return np.array(cotangent, g.dtype)

    def run(self, numbers: Any) -> FlatTape:
        """The same calculation for other ``numbers`` at ``inputs``: a tape with new values and slopes.

        Raises ValueError for another count of numbers.
        """
        if np.shape(numbers) != self.inputs.shape:
            raise ValueError(
                f"run: {np.size(numbers)} numbers for {self.inputs.size} inputs; give one for each, "
                "in the order of tape.inputs"
            )
        value, slope = self.value.copy(), self.slope.copy()
        value[self.inputs] = numbers
        made = replace(self, value=value, slope=slope)
        made.fill(recorded=False)
        return made

    def fill(self, recorded: bool) -> None:
        """Compute values and slopes from the leaves by the rows' own forward and rules; the slope towards a constant is
        0.

        With ``recorded`` the elements of a line take the value that it was recorded with.
        """
        fixed = np.zeros(len(self), bool)
        fixed[self._of(CONSTANT)] = True
        with np.errstate(all="ignore"):
            if self.blocks:
                self._fill_blocks(recorded, fixed)
            else:
                self._fill_scalars()
        self.slope[fixed[self.operands]] = 0

    def _fill_blocks(self, recorded: bool, fixed: Array) -> None:
        opened: Opened | None = None
        placed: dict[int, Any] = {}
        for block in self.blocks:
            if block.operation in (INPUT, CONSTANT):
                continue
            if block.opened is not opened:
                opened = block.opened
                placed = opened.placed(self.value) if opened and opened.primitive.at else {}
            self._fill_block(block, placed, recorded, fixed)

    def _fill_block(self, block: Block, placed: dict[int, Any], recorded: bool, fixed: Array) -> None:
        operation, low, high = block.operation, *self._span(block)
        here = slice(block.first, block.first + block.count)
        if recorded and not block.inner:
            given = block.line.value.ravel()
            self.value[here] = given if block.elements is None else given[block.elements]
        if operation is SUM:
            if not (recorded and not block.inner):
                terms = self.value[self.operands[low:high]]
                self.value[here] = np.add.reduceat(terms, self.start[here] - low)
            self.slope[low:high] = 1
            return
        primitive: Any = operation.primitive
        xs = [self.value[self.operands[low + k : high : operation.arity]] for k in range(operation.arity)]
        if not recorded or block.inner:
            if block.opened and block.last:
                row, operands = block.opened.primitive, [self.value[names] for names in block.opened.operands]
                self.value[here] = row.forward(*operands, **block.opened.params)
            else:
                self.value[here] = primitive.forward(*xs, **operation.params)
        y = self.value[here]
        if placed:
            step: Any = block.step
            xs, y = [placed[id(x)] for x in step.operands], placed[id(step)]
        one = arrays.cast(np.ones(block.count), self.value.dtype)
        for k in operation.passes:
            towards = slice(low + k, high, operation.arity)
            if not fixed[self.operands[towards]].all():  # a fraction has no logarithm, for the slope of an exponent
                self.slope[towards] = primitive.vjps[k](one, y, *xs, **operation.params)

    def _fill_scalars(self) -> None:
        start, one = self.start.tolist(), np.ones((), self.value.dtype)
        for i, code in enumerate(self.operation.tolist()):
            operation = self.operations[code]
            primitive = operation.primitive
            if primitive is None:
                continue
            here = slice(start[i], start[i + 1])
            xs = self.value[self.operands[here]]
            y = self.value[i] = primitive.forward(*xs, **operation.params)
            self.slope[here] = slopes(primitive, operation.params, one, y, xs)

    def _span(self, block: Block) -> tuple[int, int]:
        return int(self.start[block.first]), int(self.start[block.first + block.count])

    # ---- looking at it

    def __len__(self) -> int:
        return len(self.operation)

    @property
    def size(self) -> int:
        """How many scalars there are."""
        return len(self)

    def __repr__(self) -> str:
        def row(i: int) -> str:
            x = self[i]
            read = f"({', '.join(map(self.name, x.operands[:MENTIONED]))}{', ...' * (len(x.operands) > MENTIONED)})"
            return f"{x.name:<14} {x.value!s:<24} {x.operation}{read if x.operands else ''}"

        some = range(len(self)) if len(self) <= 2 * SHOWN else [*range(SHOWN), *range(len(self) - SHOWN, len(self))]
        rows = [row(i) for i in some]
        if len(rows) < len(self):
            rows.insert(SHOWN, f"... {len(self) - 2 * SHOWN:,} more scalars ...")
        return "\n".join([f"FlatTape of {len(self):,} scalars, {len(self.operands):,} operands", *rows])

    def __getitem__(self, i: int) -> FlatScalar:
        """Scalar number ``i``: its operation, operands, local derivatives, value and name."""
        i = range(len(self))[i]
        low, high = self.start[i], self.start[i + 1]
        operation = self.operations[self.operation[i]]
        operands, slope = tuple(self.operands[low:high].tolist()), tuple(self.slope[low:high].tolist())
        return FlatScalar(
            i,
            operation.name,
            operation.params,
            operands,
            slope,
            self.value.item(i),
            self.name(i),
        )

    @cached_property
    def inputs(self) -> Array:
        """The numbers of the scalars whose gradient may be asked for and that nothing computed."""
        return self._of(INPUT)

    @property
    def count(self) -> int:
        """How many scalar operations it took; a sum of n terms is n - 1 of them."""
        arity = np.diff(self.start)
        summed = np.isin(self.operation, [k for k, o in enumerate(self.operations) if o is SUM])
        return int(np.count_nonzero(arity) + np.sum(arity[summed] - 2))

    def read(self, i: int) -> list[int]:
        """The scalars that scalar ``i`` reads, in the order of its operands."""
        return self.operands[self.start[i] : self.start[i + 1]].tolist()

    def slopes_at(self, i: int) -> list[Any]:
        """The local derivatives of scalar ``i``, one for each that it reads."""
        return self.slope[self.start[i] : self.start[i + 1]].tolist()

    def number(self, i: int) -> Any:
        """The value of scalar ``i``."""
        return self.value[i]

    def block(self, i: int) -> Block:
        """The block of scalar ``i`` of an expanded tensor tape."""
        return self.blocks[bisect_right(self._firsts, i) - 1]

    def readers(self, i: int) -> Array:
        """The numbers of the scalars that have scalar ``i`` as an operand, once for each time."""
        order, ends = self._readers
        return order[ends[i] : ends[i + 1]]

    @cached_property
    def _readers(self) -> tuple[Array, Array]:
        by = np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.start))
        order = np.argsort(self.operands, kind="stable")
        return by[order], np.searchsorted(self.operands[order], np.arange(len(self) + 1))

    def scalars(self, x: Tensor) -> Array:
        """The number of the scalar at each element of ``x``, in x's shape.  Raises KeyError for a foreign tensor."""
        if id(x) not in self.places:
            raise KeyError(
                f"scalars: a tensor of shape {x.shape} that is not on this tape; ask for one that the output depends on"
            )
        return self.places[id(x)]

    def numbers_of(self, x: Any) -> list[int]:
        """The numbers of a Scalar: none if it is not on this tape; several for an input that was given new values."""
        if x._place is None:
            return self._inputs.get(id(x), [])
        segment, row = x._place
        places = self.places.get(segment.serial, ())
        found = int(places[row]) if row < len(places) else 0
        return [found] if found else []

    @cached_property
    def _inputs(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for i, leaf in self.leaves.items():
            found.setdefault(id(leaf), []).append(i)
        return found

    def given(self, i: int) -> str | None:
        """The name that scalar ``i`` of a Scalar's tape was given."""
        return self.names.get(i) or getattr(self.leaves.get(i), "name", None)

    def renamed(self, names: Mapping[int, str]) -> FlatTape:
        """The same tape; what has no name of its own is called as ``names`` say."""
        own = {i: name for i in [*self.leaves, *self.names] if (name := self.given(i))}
        return replace(self, names={**names, **own})

    def origin(self, i: int) -> Origin:
        """Where scalar ``i`` came from."""
        if not self.blocks or not i:
            return Origin(self.leaves.get(i), (), (), False)
        block = self.block(i)
        element = i - block.first if block.elements is None else int(block.elements[i - block.first])
        index = tuple(int(k) for k in np.unravel_index(element, block.line.shape))
        scopes = block.line.scope.path if block.line.scope else ()
        return Origin(block.line, index, scopes, block.inner, block.opened.primitive if block.opened else None)

    @cached_property
    def _firsts(self) -> list[int]:
        return [block.first for block in self.blocks]

    @cached_property
    def _numbers(self) -> dict[int, int]:
        return {id(line): k for k, line in enumerate(self.tape or ())}

    def name(self, i: int) -> str:
        """``w[0,1]`` for an element of a named tensor, ``%7[0,1]`` for line 7 of the tensor tape, else ``%i``."""
        if i == 0:
            return "0"
        at = self.origin(i)
        if not self.blocks:
            return self.given(i) or f"%{i}"
        if at.line.name is None and id(at.line) not in self._numbers:  # a number that stands in a definition
            return f"{self.value[i]}"
        label = at.line.name or f"%{self._numbers[id(at.line)]}"
        return label + (f"[{','.join(map(str, at.index))}]" if at.index else "") + ("'" if at.inner else "")

    def _of(self, operation: Operation) -> Array:
        codes = [k for k, o in enumerate(self.operations) if o is operation]
        return np.flatnonzero(np.isin(self.operation, codes))


def slopes(primitive: Primitive, params: Mapping[str, Any], g: Any, y: Any, xs: Any) -> list[Any]:
    """The local derivatives of one row at numbers: its rules with cotangent ``g`` = 1, or those of its definition."""
    line = Tensor(np.asarray(y), primitive, tuple(Tensor(np.asarray(x)) for x in xs), params)
    return pull(line, g, tuple(range(len(xs))), recorded=False)
