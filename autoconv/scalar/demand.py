"""The scalar graph on demand: what ``expand`` would write out of a tensor tape, asked for scalar by scalar.

The scalars have numbers in the order of an expansion, but nothing is written: a line's first number follows from shapes
alone, and who an element is, what it reads and who reads it is found by running the one line in question on arrays of
positions, or from the letters of a contraction.  So the memory is that of a few lines, whatever the tape holds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from heapq import heappop, heappush
from typing import Any, NamedTuple
from weakref import proxy

import numpy as np

from ..backward import steps
from ..tape import Tape, Tensor
from .blocks import CONSTANT, INPUT, SUM, Array, Block, Operation, Origin
from .expand import CONTRACT, PRODUCT, Contraction, TooManyScalarsError, carries, expand
from .tape import FlatTape, slopes

KEPT = 64 << 20  # bytes of positions of lines that are kept
PASSED = 4_000_000  # scalars that one walk may pass


class Elements(NamedTuple):
    """Elements of one line that a walk has reached: flat indices in order, d element / d start, and paths to each."""

    at: Array
    tangent: Array
    paths: Array


class Walk(NamedTuple):
    """A walk from one scalar to the ends of the steps that read it: those, and the edges (source, target, operand,
    slope), those of one line after those of the lines that it reads."""

    ends: Array
    tangent: Array
    paths: Array
    edges: list[tuple[Array, Array, Array, Array]]


class _Names:
    """What a definition reads, by element: what an ``Opened`` holds as an array where all is written out."""

    def __init__(self, graph: ScalarGraph, line: Tensor, template: FlatTape, scalar: int) -> None:
        self.graph = proxy(graph)  # which has the block that has this
        self.line, self.template, self.scalar = line, template, scalar

    def __getitem__(self, element: int) -> int:
        return self.graph.named(self.line, self.template, self.scalar, element)


class ScalarGraph:
    """The scalars of a tape of one number, by the numbers they would have in its expansion (padding left in).

    Every line of the tape has a stretch of numbers: a scalar for each element, or for each step of a definition, the
    products of a contraction and then their sums.  Wiring has none: its elements are those of what it moves.
    """

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.index = {id(line): i for i, line in enumerate(tape)}
        self.readers: dict[int, list[int]] = {}
        self.blocks: list[Block] = [Block(CONSTANT, 0, 1, Tensor(np.zeros(()), constant=True))]
        self._own: dict[int, list[Block]] = {}
        self._templates: dict[Any, FlatTape] = {}
        self._full: dict[int, Array | None] = {}  # a mask of the elements that are not the constant zero; None: all
        self._counts: dict[int, Any] = {}  # of sums and contractions: how many terms each element has
        self._moved: OrderedDict[int, Array] = OrderedDict()
        self._live: set[int] = set()
        self._size = 1
        for i, line in enumerate(tape):
            for x in {id(x) for x in line.operands}:
                self.readers.setdefault(x, []).append(i)
            self._place(line)
        self._numbers: dict[Any, int] = {}
        self._firsts = [block.first for block in self.blocks]
        self._starts = np.array(self._firsts)
        self.output = int(self.names(tape.outputs[0], np.zeros(1, np.int64))[0]) if tape.outputs[0].size else 0

    # ---- the numbers of a line, from its shapes

    def _place(self, line: Tensor) -> None:
        primitive, key = line.primitive, id(line)
        self._full[key] = None
        if not any(id(x) in self._live for x in line.operands):
            known = line.constant or primitive is not None
            self._own[key] = [self._block(CONSTANT if known else INPUT, line.size, line)]
            self._live.update(() if known else (key,))
            return
        self._live.add(key)
        self._own[key] = []
        if carries(line):
            self._full[key] = self._carried(line)
        elif primitive.adds:  # type: ignore[union-attr]
            self._own[key] = [self._block(SUM, line.size, line)]
            cells, full = self._goes(line), self._full[id(line.operands[0])]
            reached = cells.ravel() if full is None else cells.ravel()[full.ravel()]
            self._counts[key] = np.bincount(reached, minlength=line.size)
        elif primitive is CONTRACT:
            self._contracted(line)
        else:
            template = self._template(line)
            about: dict[int, Any] = {id(None): None}
            for b in self._steps(template):
                if id(b.opened) not in about:
                    read: Any = tuple(_Names(self, line, template, int(o[0])) for o in b.opened.operands)  # type: ignore[union-attr]
                    about[id(b.opened)] = replace(b.opened, operands=read)  # type: ignore[type-var]
                more = {"inner": b.inner, "opened": about[id(b.opened)], "step": b.step, "last": b.last}
                self._own[key].append(self._block(b.operation, line.size, line, **more))
        if key in self._counts and not np.all(self._counts[key]):
            self._full[key] = np.broadcast_to(self._counts[key], line.size).reshape(line.shape) > 0

    def _block(self, operation: Operation, count: int, line: Tensor, **more: Any) -> Block:
        self.blocks.append(Block(operation, self._size, count, line, **more))
        self._size += count
        return self.blocks[-1]

    def _carried(self, line: Tensor) -> Array | None:
        """Which elements of a wiring line are not the zero of padding."""
        masks = [self._full[id(x)] for x in line.operands]
        every = [np.broadcast_to(True, x.shape) if m is None else m for m, x in zip(masks, line.operands, strict=True)]
        found = self._run(line, every)
        return None if found.all() else found

    def _run(self, line: Tensor, arrays: list[Array]) -> Array:
        """A wiring line on other arrays than its operands' values."""
        primitive: Any = line.primitive
        if not isinstance(primitive.vjps, tuple) or len(arrays) == 1:
            moved = list(arrays)
        else:
            rest = zip(line.operands[1:], arrays[1:], primitive.vjps[1:], strict=True)
            moved = [arrays[0], *[a if rule else x.value for x, a, rule in rest]]
        return np.asarray(moved[0] if primitive.name == "cast" else primitive.forward(*moved, **line.params))

    def _goes(self, line: Tensor) -> Array:
        """Of a row that adds: the cell that each element of its operand goes to."""
        cells = np.arange(line.size, dtype=np.int32).reshape(line.shape)
        primitive: Any = line.primitive
        return np.asarray(primitive.vjps[0](cells, line.value, *[x.value for x in line.operands], **line.params))

    def _contracted(self, line: Tensor) -> None:
        known = Contraction.of(line)
        products = self._block(PRODUCT, line.size * known.terms, line, inner=known.terms != 1)
        self._own[id(line)] = [products] if known.terms == 1 else [products, self._block(SUM, line.size, line)]
        a, b = [self._full[id(x)] for x in line.operands]
        if a is None and b is None:
            self._counts[id(line)] = np.int64(known.terms)
            return
        if a is not None and b is not None:
            counts = np.asarray(CONTRACT.forward(a.astype(np.float32), b.astype(np.float32), **line.params))
        else:
            mask, own = (a, known.letters[0]) if a is not None else (b, known.letters[1])
            assert mask is not None
            counts = mask.sum(axis=tuple(own.index(c) for c in known.summed), dtype=np.int64)
            kept = "".join(c for c in own if c in known.result)
            order = sorted(range(len(kept)), key=lambda i: known.result.index(kept[i]))
            spread = [known.size[c] if c in kept else 1 for c in known.result]
            counts = np.broadcast_to(counts.transpose(order).reshape(spread), line.shape)
        self._counts[id(line)] = counts.ravel().astype(np.int64)

    def _template(self, line: Tensor) -> FlatTape:
        """The expansion of one element of an elementwise line."""
        constants = tuple(id(x) in self._live for x in line.operands)
        same = tuple(_number_of(line, x) for x in line.operands)
        key = (line.primitive, repr(dict(line.params)), constants, same)
        if key not in self._templates:
            self._templates[key] = self.expanded(line, np.zeros(1, np.int64))
        return self._templates[key]

    def expanded(self, line: Tensor, elements: Array) -> FlatTape:
        """The expansion of some elements of an elementwise line: its own scalars with their values and slopes."""
        made: dict[int, Tensor] = {}
        for x in line.operands:
            if id(x) not in made:
                made[id(x)] = Tensor(
                    picked(x.value, elements), constant=id(x) not in self._live or x.dtype.kind not in "fO"
                )
        operands = tuple(made[id(x)] for x in line.operands)
        part = Tensor(picked(line.value, elements), line.primitive, operands, line.params, constant=line.constant)
        return expand(Tape(part))

    # ---- who is who

    @property
    def size(self) -> int:
        """How many scalars there are."""
        return self._size

    def own(self, line: Tensor) -> Block:
        """The block of the elements of a line that makes scalars."""
        return self._own[id(line)][-1]

    def names(self, line: Tensor, elements: Array) -> Array:
        """The scalars of elements of a line of the tape; 0 for the zeros of padding."""
        elements = np.asarray(elements, np.int64)
        own, key = self._own[id(line)], id(line)
        if not own:
            return self._carried_names(line, elements)
        found = own[-1].first + elements
        if key not in self._counts:
            return found
        counts = np.broadcast_to(self._counts[key], line.size)[elements]
        if (counts < 2).any():
            found = np.where(counts == 0, 0, found)
            if own[-1].operation is SUM:
                for k in np.flatnonzero(counts == 1).tolist():
                    found[k] = self._terms(line, int(elements[k]))[0]
        return found

    def _carried_names(self, line: Tensor, elements: Array) -> Array:
        at = picked(self._positions(line), elements)
        found, low = np.zeros(elements.shape, np.int64), 0
        for x in line.operands:
            mine = (at > low) & (at <= low + x.size)
            if mine.any():
                found[mine] = self.names(x, at[mine].astype(np.int64) - 1 - low)
            low += x.size
        return found

    def _positions(self, line: Tensor) -> Array:
        """Of a wiring line: the position of each element in its operands, from 1; 0 for padding."""
        key = id(line)
        if key in self._moved:
            self._moved.move_to_end(key)
            return self._moved[key]
        low, arrays = 1, []
        for x in line.operands:
            arrays.append(np.arange(low, low + x.size, dtype=np.int32).reshape(x.shape))
            low += x.size
        self._moved[key] = self._run(line, arrays)
        while len(self._moved) > 1 and sum(_bytes(a) for a in self._moved.values()) > KEPT:
            self._moved.popitem(last=False)
        return self._moved[key]

    def scalars(self, line: Tensor) -> Array:
        """The scalar at each element of a line, in its shape."""
        return self.names(line, np.arange(line.size)).reshape(line.shape)

    def block(self, i: int) -> Block:
        return self.blocks[bisect_right(self._firsts, i) - 1]

    def blocks_of(self, scalars: Any) -> Any:
        """The number of the block of each scalar."""
        return np.searchsorted(self._starts, scalars, side="right") - 1

    def element(self, i: int) -> int:
        """The flat index, in its line, of the element that scalar ``i`` is or leads to."""
        block = self.block(i)
        if block.operation is PRODUCT:
            return (i - block.first) // Contraction.of(block.line).terms
        return i - block.first

    def origin(self, i: int) -> Origin:
        """Where scalar ``i`` came from."""
        block = self.block(i)
        shape = block.line.shape
        index = tuple(int(k) for k in np.unravel_index(self.element(i), shape)) if shape else ()
        scopes = block.line.scope.path if block.line.scope else ()
        return Origin(block.line, index, scopes, block.inner, block.opened.primitive if block.opened else None)

    def _terms(self, line: Tensor, element: int) -> Array:
        """The scalars that one sum adds, zeros left out."""
        if line.primitive is CONTRACT:
            known = Contraction.of(line)
            numbers = np.arange(element * known.terms, (element + 1) * known.terms)
            full = np.ones(known.terms, bool)
            for x, at in zip(line.operands, known.factors(numbers), strict=True):
                mask = self._full[id(x)]
                full &= True if mask is None else picked(mask, at)
            return self._own[id(line)][0].first + numbers[full]
        x = line.operands[0]
        found = self.names(x, np.flatnonzero(self._goes(line).ravel() == element))
        return found[found != 0]

    # ---- one scalar

    def read(self, i: int) -> list[int]:
        """The scalars that scalar ``i`` reads, in the order of its operands."""
        block = self.block(i)
        if block.operation is SUM:
            return self._terms(block.line, self.element(i)).tolist()
        if block.operation is PRODUCT:
            places = Contraction.of(block.line).factors(np.array([i - block.first]))
            return [int(self.names(x, at)[0]) for x, at in zip(block.line.operands, places, strict=True)]
        if not block.operation.arity:
            return []
        template, own = self._template(block.line), self._own[id(block.line)]
        b = self._steps(template)[own.index(block)]
        operands = template.operands[template.start[b.first] :][: b.operation.arity].tolist()
        return [self.named(block.line, template, o, i - block.first) for o in operands]

    def _steps(self, part: FlatTape) -> list[Block]:
        return [b for b in part.blocks if b.operation.arity]

    def named(self, line: Tensor, template: FlatTape, o: int, element: int) -> int:
        """The number here of scalar ``o`` of the expansion of one element."""
        b = template.blocks[bisect_right(template._firsts, o) - 1]
        if b.operation.arity:
            return self._own[id(line)][self._steps(template).index(b)].first + element
        k = self._operand(template, b)
        return self._constant(b.line) if k is None else int(self.names(line.operands[k], np.array([element]))[0])

    @staticmethod
    def _operand(part: FlatTape, block: Block) -> int | None:
        """Which operand of the line a leaf of its expansion is; None for a number of its definition."""
        line: Any = part.tape and part.tape.outputs[0]
        return next((k for k, x in enumerate(line.operands) if x is block.line), None)

    def _constant(self, line: Tensor) -> int:
        number = line.item()
        if number not in self._numbers:
            self._numbers[number] = self._block(CONSTANT, 1, line).first
            self._firsts.append(self._numbers[number])
        return self._numbers[number]

    def number(self, i: int) -> Any:
        """The value of scalar ``i``."""
        block = self.block(i)
        if not block.inner:
            return np.float64(picked(block.line.value, self.element(i)))
        if block.operation is PRODUCT:
            a, b = self.read(i)
            return self.number(a) * self.number(b)
        part = self.expanded(block.line, np.array([i - block.first]))
        return part.value[self._steps(part)[self._own[id(block.line)].index(block)].first]

    def slopes_at(self, i: int) -> list[Any]:
        """The local derivatives of scalar ``i``, one for each that it reads."""
        block = self.block(i)
        if block.operation is SUM:
            return [1.0] * len(self.read(i))
        if block.operation is PRODUCT:
            a, b = self.read(i)
            varies = [id(x) in self._live for x in block.line.operands]
            return [self.number(b) if varies[0] else 0.0, self.number(a) if varies[1] else 0.0]
        if not block.operation.arity:
            return []
        part = self.expanded(block.line, np.array([i - block.first]))
        return part.slopes_at(self._steps(part)[self._own[id(block.line)].index(block)].first)

    @cached_property
    def _swept(self) -> Mapping[int, Array]:
        """The cotangents of the lines that have scalars, by id of the line: one sweep over arrays."""
        y = self.tape.outputs[0]
        with np.errstate(all="ignore"):
            return {id(s.line): s.cotangent for s in steps(y, None, np.ones(y.shape, y.dtype)) if self._own[id(s.line)]}

    def cotangent(self, i: int) -> Any:
        """d output / d scalar ``i``, of an element."""
        line = self.block(i).line
        found = self._swept.get(id(line))
        return 0.0 if found is None else float(picked(found, self.element(i))) + 0.0  # no -0

    # ---- who reads

    def reading(self, line: Tensor, box: Array) -> tuple[Array, Array, Array, list[tuple[Tensor, Array]]]:
        """Who reads the elements of a line: (the first reader, the last, whether one is outside),
        and its other holders.

        ``box``: a number for each block; a reader is outside if its block has another.  A holder is a wiring line, with
        the element (from 1; 0: none) that each of its places holds.
        """
        first, last = np.full(line.size, np.iinfo(np.int64).max), np.full(line.size, -1)
        outside = np.zeros(line.size, bool)
        mine = box[self.blocks_of(self._own[id(line)][-1].first)]
        held = {id(line): np.arange(1, line.size + 1, dtype=np.int32).reshape(line.shape)}
        holders: list[tuple[Tensor, Array]] = []

        def record(elements: Array, low: Array, high: Array) -> None:
            if len(low) and low.min() == low.max() and high.min() == high.max():
                first[elements] = np.minimum(first[elements], low[0])
                last[elements] = np.maximum(last[elements], high[0])
                outside[elements] |= box[self.blocks_of(low[0])] != mine
                return
            np.minimum.at(first, elements, low)
            np.maximum.at(last, elements, high)
            outside[elements] |= box[self.blocks_of(low)] != mine

        waiting = list(self.readers.get(id(line), []))
        done: set[int] = set()
        while waiting:
            i = heappop(waiting)
            if i in done:
                continue
            done.add(i)
            reader = self.tape[i]
            here = self._read_by(reader, held, record)
            if here is not None:
                held[id(reader)] = here
                holders.append((reader, here))
                for j in self.readers.get(id(reader), []):
                    heappush(waiting, j)
        return first, last, outside, holders

    def _read_by(self, reader: Tensor, held: Mapping[int, Array], record: Any) -> Array | None:
        """Record what one line reads of what is held; of wiring (and lone terms), what it holds itself."""
        key = id(reader)
        if not self._own[key]:
            none = lambda x: np.broadcast_to(np.int32(0), x.shape)
            return self._run(reader, [held.get(id(x), none(x)) for x in reader.operands])
        lone = None
        for k, x in enumerate(reader.operands):
            if id(x) not in held:
                continue
            at = held[id(x)].ravel()
            places = np.flatnonzero(at)
            elements = at[places] - 1
            if reader.primitive is CONTRACT:
                count, example = self._products_of(reader, k)
                count, example = count[places], example[places]
                some = count > 0
                low = self._own[key][0].first + example[some]
                record(elements[some], low, low + (count[some] > 1))
                alone = self._counts[key]
                if self._own[key][-1].operation is SUM and not np.all(np.asarray(alone) != 1):
                    continue
            elif reader.primitive.adds:  # type: ignore[union-attr]
                cells = self._goes(reader).ravel()[places]
                counts = self._counts[key][cells]
                summed = counts > 1
                names = self._own[key][0].first + cells[summed].astype(np.int64)
                record(elements[summed], names, names)
                if (counts == 1).any():
                    lone = np.zeros(reader.size, np.int32) if lone is None else lone
                    lone[cells[counts == 1]] = elements[counts == 1] + 1
            else:
                template = self._template(reader)
                for own, b in zip(self._own[key], self._steps(template), strict=True):
                    low_ = int(template.start[b.first])
                    for o in template.operands[low_ : low_ + b.operation.arity].tolist():
                        leaf = template.blocks[bisect_right(template._firsts, o) - 1]
                        if not leaf.operation.arity and self._operand(template, leaf) == _number_of(reader, x):
                            record(elements, own.first + places, own.first + places)
        return None if lone is None else lone.reshape(reader.shape)

    def _products_of(self, line: Tensor, k: int) -> tuple[Array, Array]:
        """For each element of operand ``k`` of a contraction: how many products it is part of,
        and which if it is one."""
        known, x, partner = Contraction.of(line), line.operands[k], line.operands[1 - k]
        count = self._readings(line, k)
        example = np.zeros(x.size, np.int64)
        mask, alone = self._full[id(partner)], np.flatnonzero(count == 1)
        if len(alone):
            numbers = known.products(k, alone, np.arange(known.others(k)))
            first = 0 if mask is None else picked(mask, known.factors(numbers)[1 - k]).argmax(axis=-1)
            example[alone] = numbers[np.arange(len(alone)), first]
        return count, example

    def _readings(self, line: Tensor, k: int) -> Array:
        """In how many products each element of operand ``k`` of a contraction is, those with a zero left out."""
        known, x = Contraction.of(line), line.operands[k]
        mask, (own, other) = self._full[id(line.operands[1 - k])], known.letters[:: 1 - 2 * k]
        if mask is None:
            count = np.broadcast_to(np.int64(known.others(k)), x.shape)
        else:
            shared = [c for c in other if c in own]
            sums = mask.sum(axis=tuple(i for i, c in enumerate(other) if c not in own), dtype=np.int64)
            sums = np.asarray(sums).transpose(sorted(range(len(shared)), key=lambda i: own.index(shared[i])))
            count = np.broadcast_to(sums.reshape([known.size[c] if c in shared else 1 for c in own]), x.shape)
        full = self._full[id(x)]
        return (count if full is None else count * full).ravel()

    def uses(self, scalars: Array, framed: set[int]) -> tuple[Array, Array]:
        """How often elements are read: by scalar operations (or held by the output, if it only moves them), and by the
        operands with ids ``framed``, place by place."""
        known, back = np.unique(scalars, return_inverse=True)
        lines = {id(block.line) for block in (self.blocks[k] for k in np.unique(self.blocks_of(known)).tolist())}
        operations, places = np.zeros(len(known), np.int64), np.zeros(len(known), np.int64)

        def add(total: Array, names: Array, number: Any) -> None:
            at = np.minimum(np.searchsorted(known, names), len(known) - 1)
            hit = known[at] == names
            total += np.bincount(at[hit], np.broadcast_to(number, names.shape)[hit], len(known)).astype(np.int64)

        for line in self.tape:
            own, key = self._own[id(line)], id(line)
            read = [(k, x) for k, x in enumerate(line.operands) if id(x) in lines]
            if not read or (own and own[0].operation in (INPUT, CONSTANT)):
                continue
            if not own:
                lines.add(key)
            for k, x in read if own else ():
                names = self.names(x, np.arange(x.size))
                if id(x) in framed:
                    add(places, names, 1)
                if line.primitive is CONTRACT:
                    add(operations, names, self._readings(line, k))
                elif line.primitive.adds:  # type: ignore[union-attr]
                    several = self._counts[key] > 1
                    add(operations, names, several[self._goes(line).ravel()])
                    if not several.all():
                        lines.add(key)  # a lone term is handed on
                elif k == _number_of(line, x):
                    template = self._template(line)
                    leaves = {b.first for b in template.blocks if self._operand(template, b) == k}
                    add(operations, names, sum(o in leaves for o in template.operands.tolist()))
        for y in self.tape.outputs:
            if not self._own[id(y)] and id(y) in lines:  # moved alone: the result holds the elements themselves
                names = self.names(y, np.arange(y.size))
                for total in (operations, places) if id(y) in framed else (operations,):
                    add(total, names, 1)
        return operations[back].reshape(scalars.shape), places[back].reshape(scalars.shape)

    # ---- a walk

    def walk(self, start: int, stops: Any, closed: bool = False) -> Walk:
        """Follow scalar ``start`` to the ends of the steps that read it; ``stops(line)`` masks the ends among a line's
        elements.  ``closed``: a row with a definition is one step from each operand.

        Raises TooManyScalarsError beyond ``PASSED`` scalars.
        """
        line = self.block(start).line
        live = {id(line): Elements(np.array([self.element(start)]), np.ones(1), np.ones(1))}
        found: list[tuple[Array, Array, Array]] = []
        edges: list[tuple[Array, Array, Array, Array]] = []
        waiting = list(self.readers.get(id(line), []))
        done: set[int] = set()
        passed = 0
        while waiting:
            i = heappop(waiting)
            reader = self.tape[i]
            if i in done or reader.constant:
                continue
            done.add(i)
            here: Elements | None
            if not self._own[id(reader)]:
                here = self._moved_on(reader, live)
            else:
                here, ended = self._stepped(reader, live, stops, edges, PASSED - passed, closed)
                found.append(ended)
                passed = sum(len(e[0]) for e in edges)
            if here is not None and len(here.at):
                live[id(reader)] = here
                for j in self.readers.get(id(reader), []):
                    heappush(waiting, j)
        parts = [np.concatenate([f[k] for f in found]) if found else np.zeros(0) for k in range(3)]
        order = np.argsort(parts[0], kind="stable")
        return Walk(parts[0][order].astype(np.int64), parts[1][order], parts[2][order], edges)

    def _moved_on(self, reader: Tensor, live: Mapping[int, Elements]) -> Elements:
        arrays, tangents, paths, low = [], [], [], 1
        for x in reader.operands:
            if id(x) in live:
                at, tangent, count = live[id(x)]
                places = np.zeros(x.size, np.int32)
                places[at] = np.arange(low, low + len(at))
                arrays.append(places.reshape(x.shape))
                tangents.append(tangent)
                paths.append(count)
                low += len(at)
            else:
                arrays.append(np.broadcast_to(np.int32(0), x.shape))
        moved = self._run(reader, arrays).ravel()
        hits = np.flatnonzero(moved)
        source = moved[hits] - 1
        return Elements(hits, np.concatenate(tangents)[source], np.concatenate(paths)[source])

    def _stepped(
        self, reader: Tensor, live: Mapping[int, Elements], stops: Any, edges: list[Any], left: int, closed: bool
    ) -> tuple[Elements | None, tuple[Array, Array, Array]]:
        """One line that computes: its elements that go on, and those at which a step ends."""
        if reader.primitive is CONTRACT:
            made = self._multiplied(reader, live, edges, left)
        elif reader.primitive.adds:  # type: ignore[union-attr]
            at, tangent, paths = live[id(reader.operands[0])]
            cells = picked(self._goes(reader), at).astype(np.int64)
            made = self._summed(reader, self.names(reader.operands[0], at), cells, tangent, paths, edges)
        elif closed and reader.primitive.definition is not None:  # type: ignore[union-attr]
            made = self._in_one_step(reader, live, edges, left)
        else:
            made = self._elementwise(reader, live, edges, left)
        if not len(made.at):
            return None, (np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
        stopped = stops(reader)[made.at]
        if reader.primitive.adds:  # type: ignore[union-attr]
            stopped &= self._counts[id(reader)][made.at] > 1  # a lone term is no scalar of its own
        ends = self.names(reader, made.at[stopped]), made.tangent[stopped], made.paths[stopped]
        return Elements(*[x[~stopped] for x in made]), ends

    def _summed(
        self, line: Tensor, names: Array, cells: Array, tangent: Array, paths: Array, edges: list[Any]
    ) -> Elements:
        several = np.broadcast_to(self._counts[id(line)], line.size)[cells] > 1
        targets = self._own[id(line)][-1].first + cells[several]
        zeros, ones = np.broadcast_to(np.int64(0), targets.shape), np.broadcast_to(1.0, targets.shape)
        edges.append((names[several], targets, zeros, ones))
        return _joined(cells, tangent, paths)

    def _multiplied(self, line: Tensor, live: Mapping[int, Elements], edges: list[Any], left: int) -> Elements:
        known, own = Contraction.of(line), self._own[id(line)]
        parts: list[tuple[Array, Array, Array]] = []
        for k, x in enumerate(line.operands):
            if id(x) not in live:
                continue
            at, tangent, paths = live[id(x)]
            count = known.others(k)
            if len(at) * count > left:
                raise TooManyScalarsError(f"{len(at) * count:,} products of {line.primitive.name} alone")  # type: ignore[union-attr]
            numbers = known.products(k, at, np.arange(count)).ravel()
            partner = line.operands[1 - k]
            there = known.factors(numbers)[1 - k]
            mask = self._full[id(partner)]
            kept = slice(None) if mask is None else picked(mask, there)
            factor = picked(partner.value, there).astype(float)
            many = lambda v, n=count: np.repeat(v, n)
            sources = many(self.names(x, at))[kept]
            edges.append((sources, own[0].first + numbers[kept], np.broadcast_to(k, sources.shape), factor[kept]))
            parts.append((numbers[kept], (many(tangent) * factor)[kept], many(paths)[kept]))
        numbers, tangent, paths = _joined(*[np.concatenate([p[j] for p in parts]) for j in range(3)])
        if known.terms == 1:
            return Elements(numbers, tangent, paths)
        return self._summed(line, own[0].first + numbers, numbers // known.terms, tangent, paths, edges)

    def _elementwise(self, line: Tensor, live: Mapping[int, Elements], edges: list[Any], left: int) -> Elements:
        known = [(k, live[id(x)]) for k, x in enumerate(line.operands) if id(x) in live]
        at = np.unique(np.concatenate([e.at for _, e in known]))
        if len(at) > left:
            raise TooManyScalarsError(f"{len(at):,} elements of one line")
        part = self.expanded(line, at)
        size = len(part)
        tangent, paths, alive = np.zeros(size), np.zeros(size), np.zeros(size, bool)
        names = np.zeros(size, np.int64)
        for b in part.blocks:
            k = None if b.operation.arity else self._operand(part, b)
            if k is None:
                continue
            names[b.first : b.first + b.count] = self.names(line.operands[k], at)
            e = live.get(id(line.operands[k]))
            if e is not None:
                here = b.first + np.searchsorted(at, e.at)
                tangent[here], paths[here], alive[here] = e.tangent, e.paths, True
        own = self._own[id(line)]
        for mine, b in zip(own, self._steps(part), strict=True):
            rows = np.arange(b.first, b.first + b.count)
            names[rows] = mine.first + at
            start = int(part.start[b.first])
            for k in b.operation.passes:
                places = start + k + b.operation.arity * np.arange(b.count)
                sources = part.operands[places]
                hit = alive[sources]
                tangent[rows[hit]] += tangent[sources[hit]] * part.slope[places[hit]]
                paths[rows[hit]] += paths[sources[hit]]
                slope = part.slope[places[hit]]
                edges.append((names[sources[hit]], names[rows[hit]], np.broadcast_to(k, slope.shape), slope))
                alive[rows[hit]] = True
        last = self._steps(part)[-1]
        rows = np.arange(last.first, last.first + last.count)
        rows = rows[alive[rows]]
        return Elements(at[rows - last.first], tangent[rows], paths[rows])

    def _in_one_step(self, line: Tensor, live: Mapping[int, Elements], edges: list[Any], left: int) -> Elements:
        """A row with a definition, by the slopes of its rule."""
        known = [(k, live[id(x)]) for k, x in enumerate(line.operands) if id(x) in live]
        at = np.unique(np.concatenate([e.at for _, e in known]))
        if len(at) > left:
            raise TooManyScalarsError(f"{len(at):,} elements of one line")
        xs = [picked(x.value, at).astype(float) for x in line.operands]
        with np.errstate(all="ignore"):
            y, one = picked(line.value, at).astype(float), np.ones(len(at))
            found: Any = list(slopes(line.primitive, line.params, one, y, xs))  # type: ignore[arg-type]
        tangent, paths = np.zeros(len(at)), np.zeros(len(at))
        for k, e in known:
            here = np.searchsorted(at, e.at)
            slope = np.broadcast_to(found[k], at.shape)[here]
            tangent[here] += e.tangent * slope
            paths[here] += e.paths
            targets = self.own(line).first + e.at
            edges.append((self.names(line.operands[k], e.at), targets, np.broadcast_to(k, targets.shape), slope))
        return Elements(at, tangent, paths)


def _joined(at: Array, tangent: Array, paths: Array) -> Elements:
    """What arrives at the same element added up."""
    found, back = np.unique(at, return_inverse=True)
    sums = [np.zeros(len(found)), np.zeros(len(found))]
    for total, terms in zip(sums, (tangent, paths), strict=True):
        np.add.at(total, back.ravel(), terms)
    return Elements(found, *sums)


def _number_of(line: Tensor, operand: Tensor) -> int:
    """The first place at which a line reads an operand."""
    return next(k for k, x in enumerate(line.operands) if x is operand)


def picked(a: Array, flat: Any) -> Any:
    """The elements at flat indices of an array, which may be a view that no copy is made of."""
    return a[np.unravel_index(flat, a.shape)] if a.ndim else np.broadcast_to(a, np.shape(flat))


def _bytes(a: Array) -> int:
    """The memory behind an array, which may be a view."""
    while isinstance(a.base, np.ndarray):
        a = a.base
    return a.nbytes
