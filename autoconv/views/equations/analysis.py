"""The analysed scalar graph that explanations read: cotangents, and which scalars a reader sees as steps.

A reader does not see scalars but elements of tensors, one operation away from each other: a convolution is one step
from input to output, whatever padding, windows and products are inside.  ``Analysis`` marks the scalars at which such a
step ends and follows a scalar forward to them, with its local derivative d step / d scalar on the way.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Protocol
from weakref import WeakValueDictionary

import numpy as np

from ... import arrays
from ...scalar import KINDS, FlatTape, expand
from ...scalar.blocks import SUM, Block
from ...scalar.demand import ScalarGraph
from ...scalar.expand import expansion_size
from ...tape import Scope, Tape, Tensor, describe
from ..element import one_line, resolve

Array = np.ndarray
WRITTEN = 2_000_000  # operands of scalars up to which a tape is expanded; of a larger one scalars are asked for
_recent: WeakValueDictionary[int, Known] = WeakValueDictionary()


def analysed(of: Any, operation: str) -> Known:
    """The Analysis of a scalar output (or of its expansion); one that is still in use is not made again.

    Raises TypeError for what is neither, ValueError for more than one element, RuntimeError if an input was assigned
    since.
    """
    if isinstance(of, FlatTape):
        if not of.blocks or of.output.size != 1:
            raise ValueError(f"{operation}: of= needs the expansion of one number, as in ac.expand(loss)")
        return Analysis(of)
    if not isinstance(of, Tensor):
        raise TypeError(f"{operation}: of= expected a Tensor, found {type(of).__name__}; give the loss, as in of=loss")
    if of.size != 1:
        raise ValueError(
            f"{operation}: {describe(of)} has {of.size} elements; give one number, as in of=y.sum() or of=y[0, 1]"
        )
    tape: Any = Tape(of)  # refuses what was assigned since
    known = _recent.get(id(of))
    if known is None:
        small = expansion_size(tape) <= WRITTEN or of.dtype == object
        known = _recent[id(of)] = Analysis(expand(tape)) if small else Demanded(tape)
    return known


class Way(Protocol):
    """The scalars between one and the ends of the steps that read it."""

    def read(self, i: int) -> list[tuple[int, int]]:
        """(operand number, scalar) for each scalar on the way that ``i`` reads; of a sum the number says nothing."""
        ...

    def __contains__(self, i: int) -> bool: ...


class Known(ABC):
    """What all explanations of one output share; it holds the output, whose id stays its own."""

    graph: FlatTape | ScalarGraph
    output: int

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.of: Tensor = tape.outputs[0]
        self._results: dict[int, Tensor] = {}

    @property
    def numbers(self) -> Mapping[int, int]:
        """id(line) -> its place on the tape."""
        return {id(line): k for k, line in enumerate(self.tape)}

    @abstractmethod
    def element_of(self, line: Tensor, index: tuple[int, ...]) -> int:
        """The scalar at an element of a line."""

    @abstractmethod
    def index_in(self, x: Tensor, i: int) -> int | None:
        """The flat index of scalar ``i`` in a line; None if it is no element of it."""

    def holders(self, tensors: Mapping[int, Tensor], i: int) -> Iterable[Tensor]:
        """Those of the named ``tensors`` that may have scalar ``i``, in the order of the tape."""
        return tensors.values()

    @abstractmethod
    def holds(self, x: Tensor, i: int) -> bool:
        """Whether scalar ``i`` is an element of a line."""

    @abstractmethod
    def same_elements(self, x: Tensor, y: Tensor) -> bool:
        """Whether two lines of one size hold the same scalars, in any order."""

    @abstractmethod
    def cotangent_of(self, i: int) -> Any:
        """d of / d scalar ``i``."""

    @abstractmethod
    def marks(self, tensors: Mapping[int, Tensor]) -> tuple[Any, Any]:
        """By scalar: whether it is an element of one of the named ``tensors``; whether a step ends there.

        A step ends at the output, the elements of named tensors, and what is read elsewhere.
        """

    @abstractmethod
    def forward(self, start: int, stops: Any) -> tuple[Array, Array, Array, Way]:
        """Follow scalar ``start`` to the ends of the steps that read it.

        Returns the scalars there, their local derivatives d end / d start, how many paths lead to each, and the way
        there (for the formulas).  Paths through the scalars of ``stops`` end there.
        """

    def result_of(self, line: Tensor) -> Tensor:
        """The last line of the same call that has the elements of ``line`` in another shape: the call's result."""
        if id(line) not in self._results:
            call, found = self.calls.get(id(line)), line
            same = [x for x in self.tape if self.calls.get(id(x)) is call and x.size == line.size] if call else []
            for x in reversed(same):
                if x is line or self.same_elements(x, line):
                    found = x
                    break
            self._results[id(line)] = found
        return self._results[id(line)]

    def scalar_of(self, thing: Any, operation: str) -> int | None:
        """The scalar that a reader means by ``thing``; None for a tensor that the output was not computed from."""
        line = thing[0] if isinstance(thing, tuple) and thing else thing
        if isinstance(line, KINDS):
            one_line(line, self.tape, operation)
        if not isinstance(line, Tensor):
            raise TypeError(
                f"{operation}: expected an element of a Tensor, as w[0, 0], found {type(line).__name__}; index the "
                "tensor that was recorded"
            )
        root = line
        on_tape = {id(x) for x in self.tape}
        while id(root) not in on_tape and root.operands:
            root = root.operands[0]
        if id(root) not in on_tape:
            if root.constant and root.dtype.kind not in "fO":
                raise TypeError(
                    f"{operation}: {describe(root)} has dtype {root.dtype}; only floating-point tensors have gradients"
                )
            return None
        tensor, places = resolve(thing, self.tape)
        if tensor.constant:
            raise TypeError(
                f"{operation}: {describe(tensor)} is a constant and has no gradient; make it a tensor with "
                "ac.tensor before computing"
            )
        if places.size != 1:
            raise ValueError(
                f"{operation}: {describe(tensor)}: {places.size} elements are meant, one is needed; index it, as "
                f"in w{[0] * tensor.ndim}"
            )
        return self.element_of(tensor, tuple(int(k) for k in np.unravel_index(int(places[0]), tensor.shape)))

    @cached_property
    def calls(self) -> dict[int, Scope]:
        """id(line) -> the composed operation that a reader takes for one step: the outermost call without layers
        inside.
        """
        opened: set[int] = set()
        for line in self.tape:
            for scope in line.scope.path if line.scope else ():
                if scope.kind == "layer":
                    opened.update(id(outer) for outer in scope.path[:-1])
        found = {}
        for line in self.tape:
            for scope in line.scope.path if line.scope else ():
                if scope.kind == "call" and id(scope) not in opened:
                    found[id(line)] = scope
                    break
        return found


class Analysis(Known):
    """The analysis of a flat tape: every scalar is there."""

    def __init__(self, flat: FlatTape) -> None:
        tape: Any = flat.tape
        super().__init__(tape)
        self.flat = self.graph = flat
        self.output = int(flat.output.ravel()[0])
        self._places: dict[int, dict[int, int]] = {}

    def element_of(self, line: Tensor, index: tuple[int, ...]) -> int:
        return int(self.flat.scalars(line)[index])

    def index_in(self, x: Tensor, i: int) -> int | None:
        if id(x) not in self._places:
            numbers = self.flat.scalars(x).ravel().tolist()
            self._places[id(x)] = {n: k for k, n in reversed(list(enumerate(numbers)))}
        return self._places[id(x)].get(i)

    def holds(self, x: Tensor, i: int) -> bool:
        return bool((self.flat.places[id(x)] == i).any())

    def same_elements(self, x: Tensor, y: Tensor) -> bool:
        one, other = [np.sort(self.flat.places[id(line)], axis=None) for line in (x, y)]
        return np.array_equal(one, other)

    def cotangent_of(self, i: int) -> Any:
        return self.cotangent.item(i)

    def marks(self, tensors: Mapping[int, Tensor]) -> tuple[Array, Array]:
        named = np.zeros(len(self.flat), bool)
        for x in tensors.values():
            named[self.flat.scalars(x)] = True
        named[0] = False
        return named, self.stops(named)

    @cached_property
    def cotangent(self) -> Array:
        """d of / d scalar for every scalar."""
        return self.flat.sweep()

    @cached_property
    def blocks(self) -> list[tuple[Block, int, int]]:
        """Every block that computes, and where its operands stand."""
        start = self.flat.start
        return [
            (block, int(start[block.first]), int(start[block.first + block.count]))
            for block in self.flat.blocks
            if start[block.first + block.count] > start[block.first]
        ]

    @cached_property
    def by(self) -> Array:
        """The scalar that reads each entry of ``flat.operands``."""
        return np.repeat(np.arange(len(self.flat), dtype=np.int32), np.diff(self.flat.start))

    def each(self, number: Any, dtype: Any = np.int32) -> Array:
        """One number for each scalar: that of its block."""
        counts = [block.count for block in self.flat.blocks]
        return np.repeat(np.array([number(block) for block in self.flat.blocks], dtype), counts)

    @cached_property
    def box(self) -> Array:
        """The serial number of each scalar's call, 0 outside any."""
        calls = self.calls
        return self.each(lambda block: calls[id(block.line)].serial if id(block.line) in calls else 0, np.int64)

    @cached_property
    def layer(self) -> Array:
        """The serial number of the innermost layer around each scalar, 0 outside any."""
        return self.each(lambda block: innermost_layer(block.line), np.int64)

    @cached_property
    def inside(self) -> Array:
        """The scalars that are read only within their own call, or are steps towards an element."""
        flat, box = self.flat, self.box
        outside = np.zeros(len(flat), bool)
        outside[flat.operands[box[flat.operands] != box[self.by]]] = True
        inner = self.each(lambda block: block.inner, bool)
        for names in flat.places.values():  # the only product of a sum is the sum
            inner[names] = False
        return inner | ((box != 0) & ~outside)

    @cached_property
    def chained(self) -> tuple[Array, Array]:
        """Scalars read by one elementwise scalar outside calls, which goes on with their formula; and that reader.

        Two lines of a reader's own formula, as (o - y) ** 2, are one step; so is a layer's product and the bias it
        adds.
        """
        flat, operands, box, layer = self.flat, self.flat.operands, self.box, self.layer
        first, last = np.full(len(flat), -1, np.int32), np.full(len(flat), -1, np.int32)
        last[operands], first[operands[::-1]] = self.by, self.by[::-1]
        plain = self.each(lambda b: b.operation is not SUM and not b.inner and b.operation.arity > 0, bool)
        adding = self.each(adds, bool)
        one = (first == last) & (first >= 0) & plain[last]
        same_layer = (layer == layer[last]) & (layer != 0) & (box[last] == 0) & adding[last]
        return one & (((box == 0) & (box[last] == 0)) | same_layer), last

    def stops(self, named: Array) -> Array:
        """The scalars at which a step ends: the output, the elements of named tensors, and what is read elsewhere."""
        chained, _ = self.chained
        stops = ~(self.inside | chained) | named
        stops[self.output] = True
        return stops

    def forward(self, start: int, stops: Array) -> tuple[Array, Array, Array, Way]:
        flat = self.flat
        live, seen = np.zeros(len(flat), bool), np.zeros(len(flat), bool)
        tangent = arrays.zeros(flat.value.shape, flat.value.dtype)
        paths = np.zeros(len(flat), np.float64)
        live[start], tangent[start], paths[start] = True, 1, 1
        ends: list[Array] = []
        for block, low, high in self.blocks:
            if block.first + block.count <= start or block.line.constant:
                continue
            read = flat.operands[low:high]
            hits = np.flatnonzero(live[read])
            if not hits.size:
                continue
            operation = block.operation
            if operation is not SUM:
                hits = hits[np.isin(hits % operation.arity, operation.passes)]
            if not hits.size:
                continue
            rows, sources = self.by[low:high][hits], read[hits]
            np.add.at(tangent, rows, tangent[sources] * flat.slope[low + hits])
            np.add.at(paths, rows, paths[sources])
            seen[rows] = True
            rows = np.unique(rows)
            stopped = stops[rows]
            live[rows[~stopped]] = True
            ends.append(rows[stopped])
        found = np.unique(np.concatenate(ends)) if ends else np.zeros(0, np.int32)
        seen[start] = True
        return found, tangent[found], paths[found], _Seen(flat, start, seen, stops)


class _Seen:
    """The way in a flat tape: a mask of all that was passed."""

    def __init__(self, flat: FlatTape, start: int, seen: Array, stops: Array) -> None:
        self.flat, self.start, self.seen, self.stops = flat, start, seen, stops

    def read(self, i: int) -> list[tuple[int, int]]:
        return [(k, o) for k, o in enumerate(self.flat.read(i)) if o in self]

    def __contains__(self, i: int) -> bool:
        return bool(self.seen[i] and (i == self.start or not self.stops[i]))


class Demanded(Known):
    """The analysis of a tape that is too large to write out: its scalars are asked for, line by line."""

    def __init__(self, tape: Tape) -> None:
        super().__init__(tape)
        self.graph = self.scalars = ScalarGraph(tape)
        self.output = self.scalars.output
        self._marked: dict[tuple[int, frozenset[int]], tuple[Array, Array]] = {}
        self._read: dict[int, tuple[Array, Array, Array, list[tuple[Tensor, Array]]]] = {}
        blocks = self.scalars.blocks
        self.box = np.array([self.calls[id(b.line)].serial if id(b.line) in self.calls else 0 for b in blocks])
        self.layer = np.array([innermost_layer(b.line) for b in blocks])
        self.plain = np.array([b.operation is not SUM and not b.inner and b.operation.arity > 0 for b in blocks])
        self.adds = np.array([adds(b) for b in blocks])

    def element_of(self, line: Tensor, index: tuple[int, ...]) -> int:
        flat = int(np.ravel_multi_index(index, line.shape)) if index else 0
        return int(self.scalars.names(line, np.array([flat]))[0])

    def _reading(self, line: Tensor) -> tuple[Array, Array, Array, list[tuple[Tensor, Array]]]:
        if id(line) not in self._read:
            self._read[id(line)] = self.scalars.reading(line, self.box)
        return self._read[id(line)]

    def index_in(self, x: Tensor, i: int) -> int | None:
        block, element = self.scalars.block(i), self.scalars.element(i)
        if block.inner or id(block.line) not in self.scalars.index:
            return None
        if x is block.line:
            return element
        for holder, at in self._reading(block.line)[3]:
            if holder is x:
                found = np.flatnonzero(at.ravel() == element + 1)
                return int(found[0]) if len(found) else None
        return None

    def places(self, tensors: Mapping[int, Tensor], scalars: Array) -> tuple[Tensor, Array] | None:
        """The tensor that a reader knows elements of one line by, and their flat indices in it, all at once; None where
        they are of several lines, or some are elements of named ``tensors`` that are not their line."""
        graph = self.scalars
        first, last = np.unique(graph.blocks_of(scalars))[[0, -1]]
        block = graph.blocks[first]
        line, at = block.line, scalars - block.first
        if first != last or block.inner or id(line) not in graph.index or int(at.max()) >= block.count:
            return None
        if id(line) in tensors:
            return line, at
        if self.marked(line, frozenset(tensors))[0][at].any():
            return None
        known = self.result_of(line)
        held = next((x for holder, x in self._reading(line)[3] if holder is known), None)
        if known is line or held is None:
            return (line, at) if known is line else None
        where = np.zeros(line.size + 1, np.int64)
        where[held.ravel()[::-1]] = np.arange(known.size)[::-1]  # the first place of each element
        return known, where[at + 1]

    def holders(self, tensors: Mapping[int, Tensor], i: int) -> list[Tensor]:
        line = self.scalars.block(i).line
        if id(line) not in self.scalars.index:
            return []
        found = [line, *[x for x, _ in self._reading(line)[3]]]  # wiring comes after what it moves
        return [x for x in found if id(x) in tensors]

    def holds(self, x: Tensor, i: int) -> bool:
        return self.index_in(x, i) is not None

    def same_elements(self, x: Tensor, y: Tensor) -> bool:
        held = next((at for holder, at in self._reading(y)[3] if holder is x), None)
        return held is not None and np.array_equal(np.sort(held, axis=None), np.arange(1, y.size + 1))

    def cotangent_of(self, i: int) -> Any:
        return self.scalars.cotangent(i)

    def marks(self, tensors: Mapping[int, Tensor]) -> tuple[_Marks, _Marks]:
        return _Marks(self, frozenset(tensors), 0), _Marks(self, frozenset(tensors), 1)

    def marked(self, line: Tensor, tensors: frozenset[int]) -> tuple[Array, Array]:
        """Masks of the elements of a line that makes scalars: which are named, and at which a step ends."""
        key = id(line), tensors
        if key not in self._marked:
            first, last, outside, holders = self._reading(line)
            named = np.full(line.size, id(line) in tensors)
            for holder, at in holders:
                if id(holder) in tensors:
                    named[at[at > 0] - 1] = True
            own = self.scalars.own(line)
            mine, reader = self.scalars.blocks_of(own.first), self.scalars.blocks_of(last)
            one = (first == last) & (last >= 0) & self.plain[reader]
            layer = self.layer[mine]
            same = (layer == self.layer[reader]) & (layer != 0) & (self.box[reader] == 0) & self.adds[reader]
            chained = one & (((self.box[mine] == 0) & (self.box[reader] == 0)) | same)
            inside = (self.box[mine] != 0) & ~outside
            stops = ~(inside | chained) | named
            if own.first <= self.output < own.first + own.count:
                stops[self.output - own.first] = True
            self._marked[key] = named, stops
        return self._marked[key]

    def forward(self, start: int, stops: _Marks) -> tuple[Array, Array, Array, Way]:
        found = self.scalars.walk(start, lambda line: self.marked(line, stops.tensors)[1])
        return found.ends, found.tangent, found.paths, _Edges(found.edges)


class _Marks:
    """A mask over the scalars of a graph on demand: which are named (0), or at which a step ends (1)."""

    def __init__(self, known: Demanded, tensors: frozenset[int], which: int) -> None:
        self.known, self.tensors, self.which = known, tensors, which

    def __getitem__(self, i: int) -> bool:
        graph = self.known.scalars
        block = graph.block(i)
        if not i or block.inner or id(block.line) not in graph.index:
            return False
        return bool(self.known.marked(block.line, self.tensors)[self.which][graph.element(i)])


class _Edges:
    """The way in a graph on demand: the edges that a walk took."""

    def __init__(self, edges: list[tuple[Array, Array, Array, Array]]) -> None:
        self.edges = edges

    @cached_property
    def by_target(self) -> tuple[Array, Array, Array]:
        """(targets in order, the source of each, its operand number)."""
        sources, targets, operands = [
            np.concatenate([edge[k] for edge in self.edges] or [np.zeros(0, np.int64)]) for k in range(3)
        ]
        order = np.lexsort((operands, targets))
        return targets[order], sources[order], operands[order]

    @cached_property
    def sources(self) -> Array:
        return np.unique(self.by_target[1])

    def read(self, i: int) -> list[tuple[int, int]]:
        targets, sources, operands = self.by_target
        low, high = np.searchsorted(targets, (i, i + 1))
        return list(zip(operands[low:high].tolist(), sources[low:high].tolist(), strict=True))

    def single(self, at: Array) -> tuple[Array, Array] | None:
        """``read`` of many scalars at once, as arrays, if each of them reads one scalar on the way; else None."""
        targets, sources, operands = self.by_target
        low, high = np.searchsorted(targets, at), np.searchsorted(targets, at, side="right")
        return (operands[low], sources[low]) if (high - low == 1).all() else None

    def __contains__(self, i: int) -> bool:
        at = int(np.searchsorted(self.sources, i))
        return at < len(self.sources) and bool(self.sources[at] == i)


def innermost_layer(line: Tensor) -> int:
    """The serial number of the innermost layer around a line, 0 outside any."""
    return ([s.serial for s in (line.scope.path if line.scope else ()) if s.kind == "layer"] or [0])[-1]


def adds(block: Block) -> bool:
    """Whether a block is elementwise and linear in two operands, as a bias that is added."""
    row = block.operation.primitive
    return row is not None and len(row.linear) == 2 and row.name != "mul" and block.operation is not SUM
