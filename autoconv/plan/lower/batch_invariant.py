"""Batch-invariant lines: the same for every example, so each lane of a kernel has the same number.

Between two kernels stand a few numbers for each channel: a mean, the root of a variance, what the sweep makes of them.
To call NumPy takes longer than to compute them, and the next kernel would have to wait for it.  So a kernel reads the
sums that earlier kernels made as they are, and repeats the arithmetic on them in its own registers, in every kernel
that reads the line and for every block of examples.  Where that would take longer than NumPy, and is much compared with
the rest of the kernel, the line is left to NumPy.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ...program.program import Line
from ...shapes import broadcast_axes
from ..instructions import Gather, Registers, Splat
from ..kernel import Input
from ..native.instruction_set import OPERATIONS
from ..spacing import in_a_row
from .lowering import Lowering

_CALL = 4000  # vectors that the machine makes while NumPy is called for one line
_START = 16  # vectors that it makes while it turns to the next instruction
_BLOCK = 16  # examples, or so, where the lanes are examples
_PART = 64  # a kernel may derive lines for one such part of its other work, even if NumPy were faster
_SUMS = ("sum", "sum_to")


def share(low: Lowering, i: int, axis: int, kernel: int) -> Registers | None:
    """The registers of line i in ``kernel`` if it is the same for every example along ``axis``, else None."""
    line = low.program.lines[i]
    if i in low.lanes or not line.shape:
        return None
    one = low.one(line.shape, axis)
    if _uniform(line):
        return np.broadcast_to(_spread(low, i, kernel, part="first").reshape(()), one)
    if line.value is not None and (line.value.strides[axis] == 0 or line.shape[axis] == 1):
        return _spread(low, i, kernel, part=("at", axis)).reshape(one)
    if low.examples == 1 and line.shape[axis] == 1 and i in low.numpy and low.axis.get(i) is None:
        low.array(i)  # of one example all is the same for every example: nothing is repeated for it
        return whole(low, i, kernel)
    if line.primitive is None or line.primitive.name != "broadcast_to":
        return None
    x = line.operands[0]
    shape = low.program.lines[x].shape
    q = axis - (len(line.shape) - len(shape))
    if x in low.lanes or x in low.pending or (q >= 0 and shape[q] != 1):
        return None
    low.array(x)
    return np.broadcast_to(whole(low, x, kernel), one)


def whole(low: Lowering, i: int, kernel: int) -> Registers:
    """The registers of all of an array that is there before the kernel: computed in it, or its numbers spread over the
    lanes."""
    if (i, kernel) not in low.whole:
        needed = _worth_deriving(low, i, kernel)
        for x in [i] if needed is None else needed:
            derived = needed is not None and _derivable(low, x)
            low.whole[x, kernel] = (_derived if derived else _numbers)(low, x, kernel)
    return low.whole[i, kernel]


# ---- numbers of an array


def _uniform(line: Line) -> bool:
    """Whether a line is one number, repeated."""
    return line.value is not None and bool(line.value.size) and not any(line.value.strides)


def _numbers(low: Lowering, i: int, kernel: int) -> Registers:
    line = low.program.lines[i]
    if _uniform(line):
        return np.broadcast_to(_spread(low, i, kernel, part="first").reshape(()), line.shape)
    return _spread(low, i, kernel).reshape(line.shape)


def _spread(low: Lowering, i: int, kernel: int, part: Any = None) -> Registers:
    """Registers with the numbers of an array that is there before the kernel (or of a part of it)."""
    if (i, part, kernel) not in low.parts:
        at, line = low.kernels[kernel], low.program.lines[i]
        count = 1 if part == "first" else prod(line.shape) // (line.shape[part[1]] if part else 1)
        if low.channel_lanes and count == 1:
            registers = _repeated(low, kernel)[:1]
        else:
            first = at.new_value(count)
            registers = in_a_row(first, count)
        one = Splat(i, [registers], [], at.input(Input(i, None, part=part)))
        at.instructions.insert(0 if count == 1 else len(at.instructions), one)
        low.parts[i, part, kernel] = registers
    return low.parts[i, part, kernel]


def _repeated(low: Lowering, kernel: int) -> Registers:
    """A vector of registers for one number, which all of them repeat."""
    at = low.kernels[kernel]
    first = at.new_value(low.channel_lanes)
    at.repeated.add(first)
    return in_a_row(first, low.channel_lanes)


# ---- whether it is worth while


def _worth_deriving(low: Lowering, i: int, kernel: int) -> list[int] | None:
    """The lines that line i needs and that are not in the kernel yet, in order; None if it is left to NumPy."""
    if not _derivable(low, i):
        return None
    needed: set[int] = set()
    waiting, vectors, calls = [i], 0, 0
    while waiting:
        x = waiting.pop()
        if x in needed or (x, kernel) in low.whole:
            continue
        needed.add(x)
        vectors += _vectors(low, x)
        if _derivable(low, x):
            calls += 1
            waiting.extend(low.program.lines[x].operands)
    blocks = low.examples if low.channel_lanes else -(-low.examples // _BLOCK)
    derived = low.derived.get(kernel, 0) + vectors
    if vectors * blocks > calls * _CALL and derived * _PART > low.work // (low.channel_lanes or 1):
        return None
    low.derived[kernel] = derived
    return sorted(needed)


def _derivable(low: Lowering, i: int) -> bool:
    """Whether the machine can make line i from its operands: one that would be NumPy's, of a kind that registers can
    do."""
    line = low.program.lines[i]
    if i not in low.numpy or line.primitive is None or 0 in line.shape:
        return False
    name, of_numbers = line.primitive.name, (low.dtype, np.dtype(bool))
    operands = [low.program.lines[x] for x in line.operands]
    if line.dtype not in of_numbers or any(x.dtype not in of_numbers or 0 in x.shape for x in operands):
        return False
    if name == "cast":
        return operands[0].dtype == bool
    return name in {*OPERATIONS, *_SUMS, "concat"} or (line.primitive.moves and len(operands) == 1)


def _vectors(low: Lowering, i: int) -> int:
    """The vectors of work that line i adds to a kernel for each block of examples; 1 if it only moves numbers."""
    line = low.program.lines[i]
    cells = 1 if _uniform(line) else prod(line.shape)
    if _derivable(low, i):
        assert line.primitive is not None
        if line.primitive.name in _SUMS:
            cells = prod(low.program.lines[line.operands[0]].shape)
        elif line.primitive.name not in OPERATIONS:
            return 1
    return _START + -(-cells // (low.channel_lanes or 1))


# ---- arithmetic


def _derived(low: Lowering, i: int, kernel: int) -> Registers:
    """The registers of line i, computed from those of its operands."""
    line = low.program.lines[i]
    assert line.primitive is not None
    name, reads = line.primitive.name, [low.whole[x, kernel] for x in line.operands]
    if name == "cast":
        return reads[0]
    if name in _SUMS:
        return _summed(low, i, line, reads[0], kernel)
    if name == "concat":
        return np.concatenate(reads, axis=line.params["axis"])
    if line.primitive.moves:
        return np.asarray(line.primitive.forward(reads[0], **line.params))
    return _elementwise(low, i, line, reads, kernel)


def _elementwise(low: Lowering, i: int, line: Line, reads: list[Registers], kernel: int) -> Registers:
    """One instruction; a single number is made as a row that repeats it where the lanes are channels
    (``Kernel.repeated``)."""
    assert line.primitive is not None
    if low.channel_lanes and prod(line.shape) == 1:
        out = _repeated(low, kernel)
        registers, reads = out[:1].reshape(line.shape), [np.broadcast_to(x.reshape(-1), out.shape) for x in reads]
    else:
        registers = out = low.fresh(line.shape, kernel)
    low.kernels[kernel].instructions.append(low.elementwise(i, line.primitive.name, out, reads, line.params))
    return registers


def _summed(low: Lowering, i: int, line: Line, registers: Registers, kernel: int) -> Registers:
    assert line.primitive is not None
    whole = line.primitive.name == "sum"
    axes = tuple(line.params["axis"]) if whole else broadcast_axes(line.shape, registers.shape)
    rest = [d for d in range(registers.ndim) if d not in axes]
    table = registers.transpose(*rest, *axes).reshape(prod(line.shape), -1)
    at = low.kernels[kernel]
    out = low.fresh(line.shape, kernel)
    at.instructions.append(Gather(i, [out.reshape(-1)], [table]))
    if not low.channel_lanes or out.size > 1:
        return out
    row = _repeated(low, kernel)
    at.instructions.append(low.elementwise(i, "copy", row, [np.broadcast_to(out.ravel(), row.shape)], {}))
    return row[:1].reshape(line.shape)
