"""One run of a loss as an exercise sees it: all its scalars with value, local derivatives and gradient.

In exact fractions where the arithmetic allows it.  A loss recorded in Scalars is asked for its tape
(``Tape``) first, so that one kind of tape is enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from .. import arrays
from ..scalar import FlatTape, expand
from ..scalar.blocks import CONSTANT, INPUT, SUM
from ..tape import Tape, Tensor
from ..tutor.run.replay import replay
from ..views.equations.analysis import Analysis
from ..views.equations.terms import Context
from ..views.lines import is_number, variables

LARGEST_DENOMINATOR = 10_000  # of a number that stands in a program, as 1/9 in a mean


class ScalarRun:
    """A loss at one set of inputs, scalar by scalar.

    flat: its scalars, with values and local derivatives; gradient: dL/d(each of them), in the same order; context:
    their names, and the sums that ``ac.explain`` writes.  exact: whether all numbers are exact fractions.
    """

    def __init__(
        self, loss: Tensor, names: Mapping[str, Any], flat: FlatTape | None = None, nice: bool = False
    ) -> None:
        self.loss, self.names, self.nice = loss, dict(names), nice
        self.flat = flat or expand(loss)
        self.exact = self.flat.value.dtype == object
        known = Analysis(self.flat)
        self.context = Context(known, variables(names, "exercise", known.tape))
        self.symbols = self.context.symbols
        self.gradient: np.ndarray = known.cotangent

    @property
    def tape(self) -> Tape:
        return self.context.analysis.tape

    @property
    def finite(self) -> bool:
        """Whether what was computed is finite; constants may be infinite (to be compared with)."""
        if self.exact:
            return True
        values = [
            self.flat.value[block.first : block.first + block.count]
            for block in self.flat.blocks
            if not block.line.constant
        ]
        return bool(all(np.isfinite(v).all() for v in values) and np.isfinite(self.gradient).all())

    def boundary(self, end: int, most: int = 64) -> list[int] | None:
        """The elements that the step to scalar ``end`` reads, from which its slopes follow; None if too many."""
        flat, read, waiting, met = self.flat, dict[int, None](), [end], {end}
        while waiting:
            i = waiting.pop()
            for o in flat.operands[flat.start[i] : flat.start[i + 1]].tolist():
                if o in met or not o:
                    continue
                met.add(o)
                block = self.symbols.block(o)
                if (not block.operation.arity and block.operation is not SUM) or self.symbols.stops[o]:
                    if not (block.operation is CONSTANT and is_number(block.line)):
                        read[o] = None
                else:
                    waiting.append(o)
            if len(read) > most or len(met) > 50 * most:
                return None
        return sorted(read)


def replayed(tape: Tape, values: Mapping[Tensor, Any]) -> dict[int, Tensor]:
    """The lines of ``tape`` again in floats, by id, on other ``values`` of its leaves, with all that views read."""
    lines = replay(tape, {line: np.asarray(v, dtype=float) for line, v in values.items()})
    for old in tape:
        new = lines[id(old)]
        new.subscripts = old.subscripts
        if is_number(old) and old.ndim:  # one number, written out: without copies, which is how views know it
            new._value = np.broadcast_to(new.value.flat[0] if new.size else np.zeros(()), old.shape)
    return lines


def rerun(tape: Tape, values: Mapping[Tensor, Any], names: Mapping[str, Any]) -> ScalarRun:
    """A run on other ``values`` of the leaves, in fractions where it can be.

    Raises ZeroDivisionError where the program divides by zero.
    """
    lines = replayed(tape, values)
    leaves = {id(lines[id(line)]): arrays.exact(v) for line, v in values.items()}
    named = {n: lines[id(x)] if isinstance(x, Tensor) and id(x) in lines else x for n, x in names.items()}
    loss = lines[id(tape.outputs[0])]
    flat = expand(loss)
    return ScalarRun(loss, named, exactly(flat, leaves) or flat)


def exactly(flat: FlatTape, leaves: Mapping[int, np.ndarray]) -> FlatTape | None:
    """The same calculation in fractions, or None where a row (exp, a root) or a number of the program has none."""
    value, slope = np.zeros(len(flat), object), np.zeros(len(flat.operands), object)
    fixed = np.zeros(len(flat), bool)
    placed: dict[int, Any] = {}
    opened = None
    for block in flat.blocks:
        here = slice(block.first, block.first + block.count)
        low, high = int(flat.start[block.first]), int(flat.start[block.first + block.count])
        operation = block.operation
        if operation in (INPUT, CONSTANT):
            known = leaves.get(id(block.line))
            given = fractions(block.line.value) if known is None else known
            if given is None:
                return None
            value[here] = given.ravel()
            fixed[here] = operation is CONSTANT
            continue
        if operation is SUM:
            value[here] = np.add.reduceat(value[flat.operands[low:high]], flat.start[here] - low)
            slope[low:high] = Fraction(1)
            continue
        primitive: Any = operation.primitive
        read = [flat.operands[low + k : high : operation.arity] for k in range(operation.arity)]
        try:
            if block.opened is not opened:
                opened = block.opened
                placed = opened.placed(value) if opened and opened.primitive.at else {}
            xs = [value[names] for names in read]
            row, operands, params = primitive, xs, operation.params
            if block.opened and block.last:
                row, params = block.opened.primitive, block.opened.params
                operands = [value[names] for names in block.opened.operands]
            y = value[here] = arrays.exact(row.forward(*operands, **_exact_params(params)))
            if placed:
                step: Any = block.step
                xs, y = [placed[id(x)] for x in step.operands], placed[id(step)]
            for k in operation.passes:
                if not fixed[read[k]].all():
                    one = arrays.exact(np.ones(block.count, int))
                    slope[low + k : high : operation.arity] = primitive.vjps[k](one, y, *xs, **operation.params)
        except (TypeError, AttributeError):  # no such function of a fraction
            return None
        if not all(isinstance(v, Fraction | int) for v in value[here]):
            return None
    slope[fixed[flat.operands]] = Fraction(0)
    return replace(flat, value=value, slope=slope)


def _exact_params(params: Mapping[str, Any]) -> dict[str, Any]:
    return {k: np.dtype(object) if k == "dtype" and np.dtype(v).kind == "f" else v for k, v in params.items()}


def fractions(array: np.ndarray) -> np.ndarray | None:
    """The numbers of a program as fractions (0.1111 is 1/9), or None if one has no small denominator."""
    if array.dtype == object:
        return arrays.exact(array)
    near = [
        Fraction(float(v)).limit_denominator(LARGEST_DENOMINATOR) if np.isfinite(v) else None for v in array.ravel()
    ]
    exact = np.empty(array.size, object)
    for k, (f, v) in enumerate(zip(near, array.ravel().tolist(), strict=True)):
        if f is None or abs(float(f) - v) > 1e-7 * min(1.0, abs(v) or 1.0):
            return None
        exact[k] = f
    return exact.reshape(array.shape)
