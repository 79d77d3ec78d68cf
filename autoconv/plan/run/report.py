"""The native machine's plan in words: what each line became, for whoever runs it."""

from __future__ import annotations

from collections import Counter

from ...program.report import report, size
from ..instructions import Clear, Instruction
from .native_program import NativeProgram


def describe(native: NativeProgram) -> str:
    """The plan of a program, line by line."""
    return report(native.program, _head(native), _notes(native))


def _head(native: NativeProgram) -> str:
    memory = sum((a.cells + a.numbers + a.packs) * native.dtype.itemsize for a in native.assembled)
    count = sum(len(k.instructions) for k in native.kernels)
    layout = native.layout
    blocks = -(-native.examples // layout.examples)
    threads = min(blocks, native.parts)
    if layout.channels:
        of = f"one example at a time, its channels in {layout.lanes} lanes"
    else:
        beside = f", {layout.vectors} vectors side by side" if layout.vectors > 1 else ""
        plural = "s" * (blocks > 1)
        of = f"{native.examples} examples in {blocks} block{plural} of {layout.examples}, {layout.lanes} lanes{beside}"
    if layout.threads > 1:
        shared = f"{layout.threads} threads that share {'an example' if layout.channels else 'a block'}"
    else:
        shared = f"{threads} thread{'s' * (threads > 1)}"
    kernels = len(native.kernels)
    return (
        f"{count} instructions of the native machine ({layout.set}) in {kernels} call{'s' * (kernels > 1)}, "
        f"{len(native.by_numpy)} lines left to NumPy; {of}, {shared}, "
        f"{size(memory, 'B')} of memory for {'all' if layout.threads > 1 else 'each'}"
    )


def _notes(native: NativeProgram) -> list[list[str]]:
    """What became of each line."""
    program, in_registers = native.program, native.lowering.in_registers()
    written = {one.line for kernel in native.kernels for one in kernel.instructions}
    notes: list[list[str]] = [[] for _ in program.lines]
    for i, line in enumerate(program.lines):
        if line.primitive is None:
            continue
        if i in native.by_numpy:
            notes[i].append("NumPy")
        elif i in in_registers and i not in written:
            notes[i].append("no instruction: other names for the same cells")
        elif i not in written:
            notes[i].append("part of the line that reads it")
    for kernel in native.kernels:
        alike: dict[tuple[int, type[Instruction]], list[Instruction]] = {}
        for one in kernel.instructions:
            if not isinstance(one, Clear):
                alike.setdefault((one.line, type(one)), []).append(one)
        for (line_number, _), many in alike.items():
            notes[line_number].append(many[0].described(many))
    return [_counted(many) for many in notes]


def _counted(notes: list[str]) -> list[str]:
    """Each note once, and how many calls it is true of."""
    return [note + (f" ({n} calls)" if n > 1 else "") for note, n in Counter(notes).items()]
