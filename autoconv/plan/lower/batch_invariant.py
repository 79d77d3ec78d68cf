"""Lines that are the same for all examples, in a stage: numbers of an array spread over the lanes, or derived from such cells.

Between two stages stand a few numbers for each channel: a mean, the root of a variance, what the sweep makes of them.  To call
NumPy takes longer than to compute them, and the next stage would have to wait for it.  So a stage takes the sums that earlier
stages made as they are, and the arithmetic is elementwise instructions like all others, written in each stage that reads the
line.  Every block of examples does it once more; where that takes longer than NumPy, and is much beside what stages do, the
line is left to NumPy.
"""

from __future__ import annotations

from collections.abc import Collection
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ...program.program import Line
from ...shapes import broadcast_axes
from .instructions import DOT, GATHER, GEMM, OPERATIONS, OUTER, SPLAT, Input, Instruction, Names, Stage

if TYPE_CHECKING:
    from .lower import Lowering

_CALL = 4000  # vectors that the machine makes while NumPy is called for one line
_START = 16  # vectors that it makes while it turns to the next instruction
_BLOCK = 16  # examples, or so, where the lanes are examples
_SHARE = 64  # a stage may derive this part of what stages do besides, even if NumPy were faster
_WIRING = ("reshape", "permute_dims", "flip", "broadcast_to", "pad", "crop", "index", "scatter", "windows")
_SUMS = ("sum", "sum_to")


def shared(low: Lowering, i: int, axis: int, stage: int) -> Names | None:
    """The cells of line i in ``stage`` if it is the same for every example along ``axis``, else None."""
    line = low.program.lines[i]
    if i in low.lanes or not line.shape:
        return None
    one = low.one(line.shape, axis)
    if _uniform(line):
        return np.broadcast_to(_spread(low, i, stage, part="first").reshape(()), one)
    if line.value is not None and (line.value.strides[axis] == 0 or line.shape[axis] == 1):
        return _spread(low, i, stage, part=("at", axis)).reshape(one)
    if line.primitive is None or line.primitive.name != "broadcast_to":
        return None
    x = line.operands[0]
    shape = low.program.lines[x].shape
    q = axis - (len(line.shape) - len(shape))
    if x in low.lanes or x in low.pending or (q >= 0 and shape[q] != 1):
        return None
    low.array(x)
    return np.broadcast_to(_whole(low, x, stage), one)


def _whole(low: Lowering, i: int, stage: int) -> Names:
    """The cells of all of an array that is there before the stage: derived, or its numbers spread."""
    if (i, stage) not in low.whole:
        way = _way(low, i, stage)
        for x in [i] if way is None else way:
            derived = way is not None and _derivable(low, x)
            low.whole[x, stage] = (_derived if derived else _numbers)(low, x, stage)
    return low.whole[i, stage]


# ---- numbers of an array


def _uniform(line: Line) -> bool:
    """Whether a line is one number, repeated."""
    return line.value is not None and bool(line.value.size) and not any(line.value.strides)


def _numbers(low: Lowering, i: int, stage: int) -> Names:
    line = low.program.lines[i]
    if _uniform(line):
        return np.broadcast_to(_spread(low, i, stage, part="first").reshape(()), line.shape)
    return _spread(low, i, stage).reshape(line.shape)


def _spread(low: Lowering, i: int, stage: int, part: Any = None) -> Names:
    """Cells with the numbers of an array that is there before the stage (or of a part of it)."""
    if (i, part, stage) not in low.parts:
        at, line = low.stages[stage], low.program.lines[i]
        count = 1 if part == "first" else prod(line.shape) // (line.shape[part[1]] if part else 1)
        if low.row and count == 1:
            names = _repeated(low, stage)[:1]
        else:
            first = at.cells(count)
            names = np.arange(first, first + count, dtype=np.int32)
        one = Instruction(SPLAT, [names], [], i, array=at.input(Input(i, None, part=part)))
        at.instructions.insert(0 if count == 1 else len(at.instructions), one)
        low.parts[i, part, stage] = names
    return low.parts[i, part, stage]


def _repeated(low: Lowering, stage: int) -> Names:
    """A row of cells for one number, which all of them repeat."""
    at = low.stages[stage]
    first = at.cells(low.row)
    at.spread.add(first)
    return np.arange(first, first + low.row, dtype=np.int32)


# ---- whether it is worth while


def work(stages: Collection[Stage]) -> int:
    """How many products and elements a stage makes for each example, on average."""
    count = 0
    for one in (one for stage in stages for one in stage.instructions):
        if one.kind == GEMM:
            count += one.writes[0].size * len(one.more["sk"])
        elif one.kind in (DOT, OUTER):
            a, b = one.more["a"], one.more["b"]
            count += a.size * (len(b) if one.kind == DOT else b.shape[1])
        elif one.writes:
            count += one.writes[0].size
    return count // len(stages)


def _way(low: Lowering, i: int, stage: int) -> list[int] | None:
    """The lines that have no cells in the stage yet and are needed for line i, in order; None if it is not to be derived."""
    if not _derivable(low, i):
        return None
    way: set[int] = set()
    waiting, vectors, calls = [i], 0, 0
    while waiting:
        x = waiting.pop()
        if x in way or (x, stage) in low.whole:
            continue
        way.add(x)
        vectors += _vectors(low, x)
        if _derivable(low, x):
            calls += 1
            waiting.extend(low.program.lines[x].operands)
    blocks = low.examples if low.row else -(-low.examples // _BLOCK)
    derived = low.derived.get(stage, 0) + vectors
    if vectors * blocks > calls * _CALL and derived * _SHARE > low.work // (low.row or 1):
        return None
    low.derived[stage] = derived
    return sorted(way)


def _derivable(low: Lowering, i: int) -> bool:
    """Whether the machine can make line i from its operands: one that would be NumPy's, of a kind that cells can do."""
    line = low.program.lines[i]
    if i not in low.numpy or line.primitive is None or 0 in line.shape:
        return False
    name, of_numbers = line.primitive.name, (low.dtype, np.dtype(bool))
    operands = [low.program.lines[x] for x in line.operands]
    if line.dtype not in of_numbers or any(x.dtype not in of_numbers or 0 in x.shape for x in operands):
        return False
    return name in {*OPERATIONS, *_WIRING, *_SUMS, "concat"} or (name == "cast" and operands[0].dtype == bool)


def _vectors(low: Lowering, i: int) -> int:
    """What line i adds to the work of a stage, for each block of examples; 1 if it is only other names."""
    line = low.program.lines[i]
    cells = 1 if _uniform(line) else prod(line.shape)
    if _derivable(low, i):
        assert line.primitive is not None
        if line.primitive.name in _SUMS:
            cells = prod(low.program.lines[line.operands[0]].shape)
        elif line.primitive.name not in OPERATIONS:
            return 1
    return _START + -(-cells // (low.row or 1))


# ---- arithmetic


def _derived(low: Lowering, i: int, stage: int) -> Names:
    """The cells of line i, made from those of its operands."""
    line = low.program.lines[i]
    assert line.primitive is not None
    name, reads = line.primitive.name, [low.whole[x, stage] for x in line.operands]
    if name == "cast":
        return reads[0]
    if name in _SUMS:
        return _summed(low, i, line, reads[0], stage)
    if name == "concat":
        return np.concatenate(reads, axis=line.params["axis"])
    if name in _WIRING:
        return np.asarray(line.primitive.forward(reads[0], **line.params))
    return _elementwise(low, i, line, reads, stage)


def _elementwise(low: Lowering, i: int, line: Line, reads: list[Names], stage: int) -> Names:
    """One instruction; a single number is made as a row that repeats it where the lanes are channels (see ``Stage``)."""
    assert line.primitive is not None
    if low.row and prod(line.shape) == 1:
        out = _repeated(low, stage)
        made, reads = out[:1].reshape(line.shape), [np.broadcast_to(x.ravel(), out.shape) for x in reads]
    else:
        made = out = low.fresh(line.shape, stage)
    low.stages[stage].instructions.append(low.elementwise(i, line.primitive.name, out, reads, line.params))
    return made


def _summed(low: Lowering, i: int, line: Line, names: Names, stage: int) -> Names:
    assert line.primitive is not None
    whole = line.primitive.name == "sum"
    axes = tuple(line.params["axis"]) if whole else broadcast_axes(line.shape, names.shape)
    rest = [d for d in range(names.ndim) if d not in axes]
    table = names.transpose(*rest, *axes).reshape(prod(line.shape), -1)
    at = low.stages[stage]
    out = low.fresh(line.shape, stage)
    at.instructions.append(Instruction(GATHER, [out.ravel()], [table], i))
    if not low.row or out.size > 1:
        return out
    row = _repeated(low, stage)
    at.instructions.append(low.elementwise(i, "copy", row, [np.broadcast_to(out.ravel(), row.shape)], {}))
    return row[:1].reshape(line.shape)
