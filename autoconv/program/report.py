"""A program line by line, for a reader: what it computes, how large that is, and what an exit decided about it."""

from __future__ import annotations

from collections.abc import Sequence

from .program import Program


def size(count: float, unit: str) -> str:
    """A number with a prefix: ``size(1536, "B")`` is "1.54 KB"."""
    for prefix in ("", "K", "M", "G"):
        if count < 1000:
            return f"{count:.3g} {prefix}{unit}"
        count /= 1000
    return f"{count:.3g} T{unit}"


def report(program: Program, head: str, notes: Sequence[Sequence[str]]) -> str:
    """The lines of a program with ``notes`` on each, under a head line with the work of all."""
    rows = []
    for i, line in enumerate(program.lines):
        said = [*notes[i], *(["a result"] if i in program.outputs else [])]
        work = size(program.flops(i), "FLOP") if program.flops(i) else ""
        row = f"%{i:<4} {line.shape!s:24} {size(line.nbytes, 'B'):>8} {work:>11}  {program.text(i)}"
        rows.append(row + (f"   # {'; '.join(said)}" if said else ""))
    total = sum(program.flops(i) for i in range(len(program.lines)))
    return "\n".join([f"{len(program.lines)} lines, {size(total, 'FLOP')}; {head}", *rows])
