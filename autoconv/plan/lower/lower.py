"""From lines to instructions: what treats all examples alike goes to the machine, the rest to NumPy.

Lines are taken in order.  A line goes to the first kernel in which its operands can be had: registers of the same
kernel as they are, what is cheap computed again there (``rematerialise``, ``batch_invariant``), everything else through
its array.

A plan names the numbers of an example in ranges, but looks at every row of a convolution, which takes a part of a
microsecond for each; so lines with very large examples are left to NumPy, and that is seen from their shapes, before
anything is named (``_too_large``).
"""

from __future__ import annotations

from collections.abc import Set
from math import prod
from typing import NamedTuple

import numpy as np

from ...program.program import Line, Program
from ...shapes import Shape, broadcast_axes
from ..instructions import Registers, Total
from ..kernel import Result
from ..native.instruction_set import OPERATIONS
from . import contraction, labels, overlap
from .batch_invariant import share, whole
from .lowering import Lowering
from .rematerialise import rematerialise

_MOST_REGISTERS = 1 << 25  # a larger plan would take longer to make than NumPy takes to run
_LARGEST_EXAMPLE = 1 << 20  # rows that a line may have for each example; vectors would not gain what planning takes
_MOST_TERMS = 1 << 18  # of each example in one sum, which the machine adds one after the other, and NumPy in pairs
_ROW = 16  # numbers of a row, on average, above which these count and not the rows


class Kernels(NamedTuple):
    """What is known of a program's kernels before it is lowered: (line, kernel) of what they ``load``, and how many
    products and elements one makes for each example, on average (``work``)."""

    loads: Set[tuple[int, int]]
    work: int


UNKNOWN = Kernels(frozenset(), 0)


def lower(
    program: Program,
    examples: int,
    dtype: np.dtype,
    channel_lanes: int = 0,
    before: Kernels = UNKNOWN,
    each_alone: bool = True,
) -> Lowering:
    """The kernels of a program for batches of ``examples``; the lines that no kernel holds are left to NumPy.

    ``channel_lanes``: 0 for examples in the lanes; otherwise the lanes of a vector that channels fill.  ``before``: of
    the program lowered without knowing what its kernels load and how much they do.  ``each_alone``: see ``Lowering``.
    """
    low = Lowering(program, examples, dtype, channel_lanes, *before, (share, rematerialise), each_alone)
    large = _too_large(program, examples)
    for i, line in enumerate(program.lines):
        if line.primitive is None:
            low.ready[i] = 0
            batch = line.argument is not None and bool(line.shape) and line.shape[0] == examples
            low.axis[i] = 0 if batch else None
        elif i in large or not large.isdisjoint(line.operands) or not _lower(low, i, line):
            low.by_numpy(i, line)
    for y in (*program.outputs, *program.checks):
        low.array(y)
    return low


def _too_large(program: Program, examples: int) -> set[int]:
    """The lines whose examples have more rows (along their last axis) than a plan should name: they and what reads them
    are left to NumPy.

    A movement op names nothing: its result may be larger (windows overlap), unless it moves what is too large already.
    So may that of a contraction, sixteen times: the gradient of windows is no array, but part of the sum it goes into.
    Where there is such a line NumPy takes part anyway, and takes what is a part of its size as well.
    """
    return _larger(program, examples, _LARGEST_EXAMPLE) and _larger(program, examples, _LARGEST_EXAMPLE >> 4)


def _larger(program: Program, examples: int, most: int) -> set[int]:
    large: set[int] = set()
    for i, line in enumerate(program.lines):
        sums = line.primitive is not None and line.primitive.name == "contract"
        row = min(line.shape[-1], _ROW) if line.shape[:1] == (examples,) and line.shape[1:] else 1
        if prod(line.shape) <= (most << 4 if sums else most) * row * examples or examples not in line.shape:
            continue
        moves = line.primitive is not None and line.primitive.group == "wiring" and line.primitive.moves
        if line.value is None and (not moves or not large.isdisjoint(line.operands)):
            large.add(i)
    return large


def kernels_of(low: Lowering) -> Kernels:
    """What the next lowering of the same program knows beforehand."""
    kernels = low.kernels.values()
    products = sum(one.products() for kernel in kernels for one in kernel.instructions)
    return Kernels(low.loads(), products // len(kernels))


def _lower(low: Lowering, i: int, line: Line) -> bool:
    """Write line i for the machine; False if NumPy has to do it."""
    assert line.primitive is not None
    name = line.primitive.name
    if line.dtype not in (low.dtype, np.dtype(bool)) or 0 in line.shape:
        return False
    if low.most > _MOST_REGISTERS:
        return False
    if name == "contract":
        return contraction.lower(low, i, line)
    if name == "overlap_add":
        return overlap.overlap(low, i, line)
    if name == "take":
        return labels.take(low, i, line)
    if name == "scatter_add":
        return labels.scatter_add(low, i, line)
    if name in ("sum", "sum_to"):
        return _sum(low, i, line)
    if name == "guard":
        return _guard(low, i, line)
    if name in OPERATIONS:
        return _map(low, i, line, name)
    if name == "cast" and low.program.lines[line.operands[0]].dtype == bool:
        return _alias(low, i, line)
    return (name == "concat" and _concat(low, i, line)) or (line.primitive.group == "wiring" and _wiring(low, i, line))


def _map(low: Lowering, i: int, line: Line, name: str) -> bool:
    axis = low.example_axis(*line.operands)
    if axis is None or line.shape[axis : axis + 1] != (low.examples,):
        return False
    if name == "add" and contraction.with_bias(low, i, line):
        return True
    if name == "maximum" and contraction.with_relu(low, i, line):
        return True
    kernel = low.kernel_for(*line.operands)
    registers = low.arithmetic(i, line, axis, kernel)
    return registers is not None and low.place(i, registers, axis, kernel)


def _alias(low: Lowering, i: int, line: Line) -> bool:
    found = low.operand(i, line)
    return found is not None and low.place(i, *found)


def _wiring(low: Lowering, i: int, line: Line) -> bool:
    assert line.primitive is not None
    x = line.operands[0]
    if i in low.lanes:  # placed by the ``scatter_add`` that it reads
        return True
    axis = low.example_axis(x)
    if axis is None:
        return False
    moved = low.for_one(i, axis)
    if moved is None:
        return labels.merges(low, i, line, x, axis)
    if line.primitive.name == "reshape" and x in low.pending and contraction.reshaped(low, i, x, line, moved[1]):
        return True
    kernel = low.kernel_for(x)
    there = low.moved(i, line, low.laned(x, axis, kernel), axis, kernel)
    return there is not None and low.place(i, there, moved[1], kernel)


def _concat(low: Lowering, i: int, line: Line) -> bool:
    axis = low.example_axis(*line.operands)
    if axis is None or line.params["axis"] == axis:
        return False
    kernel = low.kernel_for(*line.operands)
    found = [low.registers(x, axis, kernel) for x in line.operands]
    if any(x is None for x in found):
        return False
    return low.place(i, np.concatenate(found, axis=line.params["axis"]), axis, kernel)  # type: ignore[arg-type]


def _sum(low: Lowering, i: int, line: Line) -> bool:
    assert line.primitive is not None
    x = line.operands[0]
    shape = low.program.lines[x].shape
    summed = line.primitive.name == "sum"
    axes = tuple(line.params["axis"]) if summed else broadcast_axes(line.shape, shape)
    if prod([shape[d] for d in axes if d != low.example_axis(x)]) > _MOST_TERMS:
        return False
    found = low.operand(i, line)
    if found is None:
        return False
    registers, axis, kernel = found
    rest = [d for d in range(len(shape)) if d not in axes and d != axis]
    table = registers.transpose(*rest, *[d for d in range(len(shape)) if d not in rest])
    table = table.reshape(prod([shape[d] for d in rest]), -1)
    if axis in axes:
        low.clear(i, registers, kernel)
        return _total(low, i, line, table, kernel)
    left = _axis_after_sum(line, shape, axes, axis)
    first = registers[tuple([slice(0, 1) if d in axes else slice(None) for d in range(len(shape))])]
    out = low.fresh(first.shape, kernel, first if low.channel_lanes else None)
    low.gather(i, out, table.reshape(*out.shape, -1), kernel)
    return low.place(i, out.reshape(low.one(line.shape, left)), left, kernel)


def _guard(low: Lowering, i: int, line: Line) -> bool:
    """A number that is 0 or NaN, where the machine looks at it: as a sum over all examples that leaves it as it is."""
    x = line.operands[0]
    kernel = low.open(low.array(x) + 1)
    return _total(low, i, line, whole(low, x, kernel).reshape(1, 1), kernel)


def _total(low: Lowering, i: int, line: Line, table: Registers, kernel: int) -> bool:
    """Each row of the table added up, over the examples as well."""
    number = low.over_examples(i, Result(i, 1, len(table), False, line.shape), kernel)
    low.kernels[kernel].instructions.append(Total(i, [], [table], number))
    return True


def _axis_after_sum(line: Line, shape: Shape, axes: Shape, axis: int) -> int:
    """Where the example axis is after a sum over other axes.

    ``sum_to`` leaves out leading axes alone, whatever else it adds up: what it sums further in stays with size 1.
    """
    assert line.primitive is not None
    if line.primitive.name == "sum_to":
        return axis - (len(shape) - len(line.shape))
    return axis if line.params.get("keepdims") else axis - sum(d < axis for d in axes)
