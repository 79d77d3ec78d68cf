"""The analysed scalar graph that explanations read: cotangents, and which scalars a reader sees as steps.

A reader does not see scalars but elements of tensors, one operation away from each other: a convolution is one step
from input to output, whatever padding, windows and products are inside.  ``Analysis`` marks the scalars at which such a
step ends and follows a scalar forward to them, with its local derivative d step / d scalar on the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from ... import arrays
from ...scalar import FlatTape, expand
from ...scalar.blocks import SUM, Block
from ...tape import Scope, Tape, Tensor, describe
from ..element import resolve

Array = np.ndarray
_recent: WeakValueDictionary[int, Analysis] = WeakValueDictionary()


def analysed(of: Any, operation: str) -> Analysis:
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
        known = _recent[id(of)] = Analysis(expand(tape))
    return known


class Analysis:
    """The flat tape of one output with what all its explanations share; it holds the output, whose id stays its own."""

    def __init__(self, flat: FlatTape) -> None:
        self.flat = flat
        tape: Any = flat.tape
        self.tape: Tape = tape
        self.of: Tensor = self.tape.outputs[0]
        self.output = int(flat.output.ravel()[0])

    def scalar_of(self, thing: Any, operation: str) -> int | None:
        """The scalar that a reader means by ``thing``; None for a tensor that the output was not computed from."""
        line = thing[0] if isinstance(thing, tuple) and thing else thing
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
        return int(self.flat.scalars(tensor).ravel()[places[0]])

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

    @cached_property
    def box(self) -> Array:
        """The serial number of each scalar's call, 0 outside any."""
        calls = self.calls
        return self.each(lambda block: calls[id(block.line)].serial if id(block.line) in calls else 0, np.int64)

    @cached_property
    def layer(self) -> Array:
        """The serial number of the innermost layer around each scalar, 0 outside any."""
        inner = lambda line: [s.serial for s in (line.scope.path if line.scope else ()) if s.kind == "layer"]
        return self.each(lambda block: (inner(block.line) or [0])[-1], np.int64)

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
        adds = self.each(lambda b: b.operation.primitive is not None and len(b.operation.primitive.linear) == 2
                         and b.operation.name != "mul" and b.operation is not SUM, bool)  # fmt: skip
        one = (first == last) & (first >= 0) & plain[last]
        same_layer = (layer == layer[last]) & (layer != 0) & (box[last] == 0) & adds[last]
        return one & (((box == 0) & (box[last] == 0)) | same_layer), last

    def stops(self, named: Array) -> Array:
        """The scalars at which a step ends: the output, the elements of named tensors, and what is read elsewhere."""
        chained, _ = self.chained
        stops = ~(self.inside | chained) | named
        stops[self.output] = True
        return stops

    def forward(self, start: int, stops: Array) -> tuple[Array, Array, Array, Array]:
        """Follow scalar ``start`` to the ends of the steps that read it.

        Returns the scalars there, their local derivatives d end / d start, how many paths lead to each, and a mask of
        all that was passed (for the formulas).  Paths through the scalars of ``stops`` end there.
        """
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
        return found, tangent[found], paths[found], seen


def named_scalars(flat: FlatTape, names: Mapping[int, str]) -> tuple[Array, dict[int, Tensor]]:
    """Which scalars are elements of a tensor with a name (its own, or one in ``names``), and id -> those tensors."""
    named = np.zeros(len(flat), bool)
    tensors = {id(x): x for x in flat.tape or () if x.name or id(x) in names}
    for x in tensors.values():
        named[flat.scalars(x)] = True
    named[0] = False
    return named, tensors
