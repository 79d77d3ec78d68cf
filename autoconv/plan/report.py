"""``program.plan``: what was decided, line by line, for a reader."""

from __future__ import annotations

from collections import Counter

from ..program.program import Program
from .lower.instructions import CLEAR, DOT, GATHER, GEMM, MAP, OUTER, TOTAL, WORDS, Instruction
from .run.native_run import NativeRun
from .run.numpy_run import NumpyRun


def size(count: float, unit: str) -> str:
    """A number with a prefix: 1,536 bytes is "1.54 KB"."""
    for prefix in ("", "K", "M", "G"):
        if count < 1000:
            return f"{count:.3g} {prefix}{unit}"
        count /= 1000
    return f"{count:.3g} T{unit}"


def describe(run: NumpyRun | NativeRun) -> str:
    """The plan of a program, for whoever runs it."""
    notes = _native_notes(run) if isinstance(run, NativeRun) else _numpy_notes(run)
    program = run.program
    rows = []
    for i, line in enumerate(program.lines):
        said = [*notes[i], *(["a result"] if i in program.outputs else [])]
        work = size(program.flops(i), "FLOP") if program.flops(i) else ""
        head = f"%{i:<4} {line.shape!s:24} {size(line.nbytes, 'B'):>8} {work:>11}  {program.text(i)}"
        rows.append(head + (f"   # {'; '.join(said)}" if said else ""))
    total = sum(program.flops(i) for i in range(len(program.lines)))
    return "\n".join([f"{len(program.lines)} lines, {size(total, 'FLOP')}; {_head(run)}", *rows])


def _head(run: NumpyRun | NativeRun) -> str:
    if isinstance(run, NumpyRun):
        return f"at most {size(_peak(run), 'B')} of memory at a time; NumPy runs them in this order"
    memory = sum((a.cells + a.numbers + a.packs) * run.dtype.itemsize for a in run.assembled)
    count = sum(len(s.instructions) for s in run.stages)
    layout = run.layout
    blocks = -(-run.examples // layout.examples)
    threads = min(blocks, run.parts)
    if layout.channels:
        of = f"one example at a time, its channels in {run.lanes} lanes"
    else:
        beside = f", {layout.vectors} vectors side by side" if layout.vectors > 1 else ""
        of = f"{run.examples} examples in {blocks} block{'s' * (blocks > 1)} of {layout.examples}, {run.lanes} lanes{beside}"
    if layout.team > 1:
        shared = f"{layout.team} threads that share {'an example' if layout.channels else 'a block'}"
    else:
        shared = f"{threads} thread{'s' * (threads > 1)}"
    return (
        f"{count} instructions of the native machine ({run.set}) in {len(run.stages)} call{'s' * (len(run.stages) > 1)}, "
        f"{len(run.by_numpy)} lines left to NumPy; {of}, {shared}, "
        f"{size(memory, 'B')} of memory for {'all' if layout.team > 1 else 'each'}"
    )


# ---- NumPy


def _numpy_notes(run: NumpyRun) -> list[list[str]]:
    notes: list[list[str]] = []
    for i, line in enumerate(run.program.lines):
        said = []
        if line.primitive is not None and run.owner[i] != (i,):
            said.append("a view where it can be one")
        elif i in run.over:
            said.append(f"written over %{run.over[i]}")
        if gone := _freed(run, i):
            said.append("then lets go of " + ", ".join(f"%{x}" for x in gone))
        notes.append(said)
    return notes


def _freed(run: NumpyRun, i: int) -> list[int]:
    """The lines whose own memory is let go after line i (not those that another line took over)."""
    taken = set(run.over.values())
    return [
        x
        for x in run.freed[i]
        if run.program.lines[x].primitive is not None and run.owner[x] == (x,) and x not in taken
    ]


def _peak(run: NumpyRun) -> int:
    """The most memory that results of lines need at a time."""
    live = most = 0
    for i, line in enumerate(run.program.lines):
        if line.primitive is not None and run.owner[i] == (i,) and i not in run.over:
            live += line.nbytes
        most = max(most, live)
        live -= sum(run.program.lines[x].nbytes for x in _freed(run, i))
    return most


# ---- the machine


def _native_notes(run: NativeRun) -> list[list[str]]:
    program, named = run.program, run.lowering.named()
    made = {one.line for stage in run.stages for one in stage.instructions}
    notes: list[list[str]] = [[] for _ in program.lines]
    for i, line in enumerate(program.lines):
        if line.primitive is None:
            continue
        if i in run.by_numpy:
            notes[i].append("NumPy")
        elif i in named and i not in made:
            notes[i].append("no instruction: other names for the same cells")
        elif i not in made:
            notes[i].append("part of the line that reads it")
    for stage in run.stages:
        grouped: dict[tuple[int, int], list[Instruction]] = {}
        for one in stage.instructions:
            if one.kind != CLEAR:
                grouped.setdefault((one.line, one.kind), []).append(one)
        for (line_number, _), many in grouped.items():
            notes[line_number].append(_words(program, many))
    return [_counted(many) for many in notes]


def _counted(notes: list[str]) -> list[str]:
    """Each note once, and how many calls it is true of."""
    return [note + (f" ({n} calls)" if n > 1 else "") for note, n in Counter(notes).items()]


def _words(program: Program, many: list[Instruction]) -> str:
    one = many[0]
    if one.kind == MAP:
        return f"elementwise on {one.writes[0].size:,} cells"
    if one.kind == GEMM:
        cells = sum(x.writes[0].size for x in many)
        classes = f" in {len(many)} classes or groups" if len(many) > 1 else ""
        bias = ", starting from the bias" if one.more["bias"] is not None else ""
        relu = ", negative sums stored as 0" if one.more["relu"] else ""
        return f"contract: {cells:,} cells of {len(one.more['sk']):,} products{classes}{bias}{relu}"
    if one.kind == DOT:
        products = one.more["a"].shape[1]
        numbers = sum(len(x.more["a"]) * len(x.more["b"]) for x in many)
        return f"contract and sum over examples: {numbers:,} numbers of {products:,} products of cells"
    if one.kind == OUTER:
        return f"contract and sum over examples: {len(one.more['a'])} x {one.more['b'].shape[1]} numbers, lanes transposed first"
    if one.kind in (GATHER, TOTAL):
        rows, terms = one.reads[0].shape
        return f"{WORDS[one.kind]}: {rows:,} results of {terms:,} cells"
    return WORDS[one.kind]
