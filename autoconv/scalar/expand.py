"""Expansion: a tensor tape's program run on arrays of *names* (the numbers of scalars) gives the flat scalar tape.

Wiring lines move the names by the row's own forward; where several names meet in one cell the row's adjoint says which,
and they become a sum.  Arithmetic lines make one scalar for each element, ``sum`` one for each result, ``contract`` the
products and their sums; a row with a definition opens into its lines.  The name 0 is the constant zero: what padding
and scattering put there, and what products and sums leave out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

import numpy as np

from ..primitives import TABLE
from ..tape import Primitive, Tape, Tensor, exact, tensor
from .blocks import CONSTANT, INPUT, SUM, Array, Block, Opened, Operation
from .flatten import flatten
from .floors import KINDS, Scalar
from .tape import FlatTape

CAST, CONTRACT, MUL = TABLE["cast"], TABLE["contract"], TABLE["mul"]
LARGEST = np.iinfo(np.int32).max
ROOM = 24_000_000  # operands of scalars, some 30 bytes each, up to which a view that needs them all has them
PRODUCT = Operation("mul", MUL, {}, 2, (0, 1))


class TooManyScalarsError(ValueError):
    """What was asked for needs more scalars than there is room for."""


def carries(line: Tensor) -> bool:
    """Whether a line moves scalars and makes none: wiring that adds nothing, and casts among floats."""
    primitive: Any = line.primitive
    if primitive is CAST:
        return line.dtype.kind in "fO"
    return primitive.group == "wiring" and primitive.differentiable and not primitive.adds


@dataclass(frozen=True)
class Contraction:
    """The products of a contraction by number: those of one result element follow each other.

    ``letters``: of the operands; ``result`` and ``summed``: of the products, in that order; ``size``: of each letter.
    """

    letters: tuple[str, str]
    result: str
    summed: str
    size: Mapping[str, int]

    @classmethod
    def of(cls, line: Tensor) -> Contraction:
        letters, result = line.params["spec"].split("->")
        in_a, in_b = letters.split(",")
        shapes = line.operands[0].shape + line.operands[1].shape
        summed = "".join(c for c in in_a if c in in_b and c not in result)
        return cls((in_a, in_b), result, summed, dict(zip(in_a + in_b, shapes, strict=True)))

    def shape(self, letters: str) -> tuple[int, ...]:
        return tuple(self.size[c] for c in letters)

    @property
    def terms(self) -> int:
        """How many products each element of the result sums."""
        return prod(self.shape(self.summed))

    def others(self, k: int) -> int:
        """In how many products each element of operand ``k`` is a factor."""
        return prod(self.shape(self._free(k)))

    def _free(self, k: int) -> str:
        return "".join(c for c in self.result + self.summed if c not in self.letters[k])

    def factors(self, numbers: Array) -> list[Array]:
        """The flat indices in both operands of the factors of products."""
        every = self.result + self.summed
        at = dict(zip(every, np.unravel_index(numbers, self.shape(every)), strict=True)) if every else {}
        return [self._flat([at[c] for c in own], own, numbers.shape) for own in self.letters]

    def products(self, k: int, elements: Array, others: Array) -> Array:
        """The products (elements, others) of elements of operand ``k``; ``others`` count through the free letters."""
        own, free = self.letters[k], self._free(k)
        at = (
            dict(zip(own, [x[:, None] for x in np.unravel_index(elements, self.shape(own))], strict=True))
            if own
            else {}
        )
        at |= dict(zip(free, np.unravel_index(others, self.shape(free)), strict=True)) if free else {}
        every = self.result + self.summed
        return self._flat([at[c] for c in every], every, (len(elements), len(others)))

    def _flat(self, index: list[Array], letters: str, shape: tuple[int, ...]) -> Array:
        found = np.zeros(shape, np.int64)
        for c, x in zip(letters, index, strict=True):
            found = found * self.size[c] + x
        return found


def expand(y: Tensor | Tape | Scalar) -> FlatTape:
    """The flat scalar tape of a Tensor, of all outputs of a Tape (its ``output`` is then flat), or of a Scalar.

    Every scalar keeps where it came from (``origin``, ``name``), every element of every line its scalar (``scalars``).
    Lines that depend on no input are constants.  Raises ValueError beyond 2,147,483,647 scalars or operands.

    >>> w = ac.tensor([2.0, 3.0], name="w")
    >>> flat = ac.expand(ac.sum(w * w))
    >>> flat.value[flat.output], flat.scalars(w).tolist()
    (np.float64(13.0), [1, 2])
    """
    if not isinstance(y, (Tensor, Tape)):
        if not isinstance(y, KINDS):
            raise TypeError(f"expand: {type(y).__name__} is not recorded; give a Tensor, a Tape or a Scalar")
        return flatten(y)
    tape = y if isinstance(y, Tape) else Tape(y)
    if (size := expansion_size(tape)) > 2 * LARGEST:  # padding, which is left out, is counted here
        raise ValueError(f"expand: {size:,} operands, more than {LARGEST:,}; expand a smaller part or one image")
    return _Expansion(tape, y).done()


def expansion_size(tape: Tape) -> int:
    """How many operands the scalars of an expansion read, from shapes alone (padding counted as well)."""
    live: set[int] = set()
    total = 0
    for line in tape:
        if not any(id(x) in live for x in line.operands):
            live.update(() if line.constant or line.primitive is not None else (id(line),))
            continue
        live.add(id(line))
        primitive: Any = line.primitive
        if primitive is CONTRACT:
            total += 3 * line.size * Contraction.of(line).terms
        elif primitive.adds:
            total += line.operands[0].size
        elif primitive.definition is not None:
            total += line.size * _definition_size(line)
        elif not carries(line):
            total += line.size * len(line.operands)
    return total


def _definition_size(line: Tensor) -> int:
    """How many operands the definition of one element reads, definitions in it opened as well."""
    primitive: Any = line.primitive
    if primitive.definition is None:
        return len(line.operands)
    _, definition = definition_of(primitive, tuple(line.params.items()), len(line.operands))
    return sum(_definition_size(step) for step in definition if step.primitive)


@cache
def definition_of(
    primitive: Primitive, params: tuple[tuple[str, Any], ...], count: int
) -> tuple[tuple[Tensor, ...], Tape]:
    """The variables and the tape of a row's definition, recorded once on scalars."""
    variables = tuple(tensor(0.5) for _ in range(count))
    return variables, Tape(primitive.definition(*variables, **dict(params)))  # type: ignore[misc]


class _Expansion:
    """The flat tape under construction: its structure grows line by line, its numbers are filled in at the end."""

    def __init__(self, tape: Tape, y: Tensor | Tape) -> None:
        self.tape, self.y = tape, y
        self.operations: dict[Any, tuple[int, Operation]] = {}
        self.codes: list[Array] = []
        self.arity: list[Array] = []
        self.operands: list[Array] = []
        self.blocks: list[Block] = []
        self.leaves: list[tuple[slice, Any]] = []
        self.numbers: dict[Any, int] = {}
        self.size = self.reads = 0
        self.exact = any(line.dtype == object for line in tape)
        zero = Tensor(np.zeros(()), constant=True)
        self.leaf(zero, CONSTANT)

    def done(self) -> FlatTape:
        places: dict[int, Array] = {}
        live: set[int] = set()
        for line in self.tape:
            operands = [places[id(x)] for x in line.operands]
            if any(id(x) in live for x in line.operands):
                live.add(id(line))
                places[id(line)] = self.line(line, line, operands)
            else:
                known = line.constant or line.primitive is not None
                places[id(line)] = self.leaf(line, CONSTANT if known else INPUT)
                live.update(() if known else (id(line),))
        outputs = [places[id(x)] for x in self.tape.outputs]
        joined = np.concatenate(self.operands)
        dtype = object if self.exact else np.float64
        flat = FlatTape(
            operations=[operation for _, operation in self.operations.values()],
            operation=np.concatenate(self.codes),
            start=np.concatenate([[0], *self.arity]).cumsum(dtype=np.int32),
            operands=joined,
            slope=np.zeros(joined.size, dtype),
            value=np.zeros(self.size, dtype),
            output=outputs[0] if isinstance(self.y, Tensor) else np.concatenate([o.ravel() for o in outputs]),
            blocks=self.blocks,
            tape=self.tape,
            places=places,
        )
        for where, numbers in self.leaves:
            flat.value[where] = exact(numbers) if self.exact else numbers
        flat.fill(recorded=True)
        return flat

    # ---- one line of a tensor tape, or of a definition on arrays of names

    def line(self, line: Tensor, origin: Tensor, operands: list[Array], **more: Any) -> Array:
        """The names of the elements of ``line``'s result; ``origin`` is the recorded line it belongs to."""
        primitive: Any = line.primitive
        if primitive is CAST and carries(line):
            return operands[0]
        if primitive.adds:
            return self.added(line, operands[0])
        if primitive is CONTRACT:
            return self.contracted(line, *operands)
        if primitive.definition is not None:
            return self.opened(line, origin, operands)
        if line.dtype.kind in "iu" and primitive.group == "wiring" and not primitive.differentiable:
            return self.leaf(line, CONSTANT)  # an order of elements: cells are read as they were recorded
        if primitive is not CAST and carries(line):
            moved = [
                names if k == 0 or not isinstance(primitive.vjps, tuple) or primitive.vjps[k] else x.value
                for k, (names, x) in enumerate(zip(operands, line.operands, strict=True))
            ]
            return np.asarray(primitive.forward(*moved, **line.params))
        return self.elementwise(primitive, line.params, origin, operands, **more)

    def elementwise(
        self, primitive: Primitive, params: Mapping[str, Any], origin: Tensor, operands: list[Array], **more: Any
    ) -> Array:
        """One scalar for each element."""
        rules: Any = () if primitive is CAST else primitive.vjps
        passes = tuple(k for k, rule in enumerate(rules) if rule)
        operation = self.operation(primitive.name, primitive, params, len(operands), passes)
        columns = np.stack([names.ravel() for names in operands], axis=-1)
        names = self.block(operation, columns.ravel(), np.full(len(columns), len(operands), np.int32), origin, **more)
        return names.reshape(operands[0].shape)

    def opened(self, line: Tensor, origin: Tensor, operands: list[Array]) -> Array:
        """The lines of a definition, element by element; the last one has the row's exact value."""
        primitive: Any = line.primitive
        variables, definition = definition_of(primitive, tuple(line.params.items()), len(operands))
        shape, flat = operands[0].shape, tuple(names.ravel() for names in operands)
        opened = Opened(primitive, line.params, flat, variables, definition)
        names: dict[int, Any] = {id(x): n for x, n in zip(variables, flat, strict=True)}
        for step in definition:
            if id(step) in names:
                continue
            if step.primitive is None:
                names[id(step)] = np.broadcast_to(self.constant(step), flat[0].shape)
            else:
                last = step is definition.outputs[0]
                about = {"inner": not last or line is not origin, "opened": opened, "step": step, "last": last}
                names[id(step)] = self.line(step, origin, [names[id(x)] for x in step.operands], **about)
        return names[id(definition.outputs[0])].reshape(shape)

    def added(self, line: Tensor, names: Array) -> Array:
        """A row that adds: its adjoint, run on the cells of the result, tells where each element goes."""
        primitive: Any = line.primitive
        cells = np.arange(line.size, dtype=np.int32).reshape(line.shape)
        goes = primitive.vjps[0](cells, line.value, *[x.value for x in line.operands], **line.params)
        return self.sums(line, names.ravel(), np.asarray(goes).ravel())

    def sums(self, line: Tensor, terms: Array, cells: Array) -> Array:
        """The terms of each cell of ``line`` summed: zeros left out, a lone term as it is, none is zero."""
        kept = terms != 0
        if not kept.all():
            terms, cells = terms[kept], cells[kept]
        if (cells[1:] < cells[:-1]).any():
            order = np.argsort(cells, kind="stable")
            terms, cells = terms[order], cells[order]
        counts = np.bincount(cells, minlength=line.size).astype(np.int32)
        result = np.zeros(line.size, np.int32)
        several = counts > 1
        lone = np.repeat(~several, counts)
        result[cells[lone]] = terms[lone]
        if several.any():
            every = bool(several.all())
            elements = None if every else np.flatnonzero(several).astype(np.int32)
            result[several] = self.block(
                self.operation("sum", SUM), terms if every else terms[~lone], counts[several], line, elements
            )
        return result.reshape(line.shape)

    def contracted(self, line: Tensor, a: Array, b: Array) -> Array:
        """Products over all letters, those with a zero left out, and their sums over the letters the result lacks."""
        letters, result = line.params["spec"].split("->")
        in_a, in_b = letters.split(",")
        summed = "".join(c for c in in_a if c in in_b and c not in result)
        size = dict(zip(in_a + in_b, a.shape + b.shape, strict=True))
        full = tuple(size[c] for c in result + summed)
        left, right = [
            np.broadcast_to(_spread(names, own, result + summed), full).ravel() for names, own in ((a, in_a), (b, in_b))
        ]
        terms = full[len(result) :]
        cells = np.repeat(np.arange(line.size, dtype=np.int32), np.prod(terms, dtype=int))
        kept = (left != 0) & (right != 0)
        if not kept.all():
            left, right, cells = left[kept], right[kept], cells[kept]
        operation = self.operation("mul", MUL, {}, 2, (0, 1))
        columns = np.stack([left, right], axis=-1).ravel()
        single = np.prod(terms, dtype=int) == 1
        products = self.block(operation, columns, np.full(len(left), 2, np.int32), line, cells, inner=not single)
        return self.sums(line, products, cells)

    # ---- blocks

    def operation(self, name: str, primitive: Any, params: Any = None, arity: int = 0, passes: Any = ()) -> Operation:
        """One Operation for each name and params."""
        key = (name, repr(params))
        if key not in self.operations:
            made = primitive if isinstance(primitive, Operation) else Operation(name, primitive, params, arity, passes)
            self.operations[key] = len(self.operations), made
        return self.operations[key][1]

    def block(
        self,
        operation: Operation,
        operands: Array,
        arity: Array,
        line: Tensor,
        elements: Array | None = None,
        **more: Any,
    ) -> Array:
        """Append scalars of one operation and return their names."""
        first, count = self.size, len(arity)
        self.reads += operands.size
        if max(first + count, self.reads) > LARGEST:
            raise ValueError(f"expand: more than {LARGEST:,} scalars or operands; expand a smaller part or one image")
        code = next(k for k, o in self.operations.values() if o is operation)
        self.codes.append(np.full(count, code, np.uint16))
        self.arity.append(arity)
        self.operands.append(operands.astype(np.int32, copy=False))
        self.blocks.append(Block(operation, first, count, line, elements, **more))
        self.size += count
        return np.arange(first, first + count, dtype=np.int32)

    def leaf(self, line: Tensor, operation: Operation) -> Array:
        """The scalars of an input or a constant."""
        names = self.block(
            self.operation(operation.name, operation), np.zeros(0, np.int32), np.zeros(line.size, np.int32), line
        )
        self.leaves.append((slice(self.size - line.size, self.size), line.value.ravel()))
        return names.reshape(line.shape)

    def constant(self, line: Tensor) -> int:
        """The one scalar for a number that stands in a definition."""
        number = line.item()
        if number not in self.numbers:
            self.numbers[number] = int(self.leaf(line, CONSTANT))
        return self.numbers[number]


def _spread(names: Array, letters: str, onto: str) -> Array:
    """names with its axes in the order of ``onto``, and an axis of size 1 for each letter it lacks."""
    moved = names.transpose([letters.index(c) for c in onto if c in letters])
    return moved.reshape([moved.shape[_position(onto, letters, c)] if c in letters else 1 for c in onto])


def _position(onto: str, letters: str, c: str) -> int:
    return [x for x in onto if x in letters].index(c)
