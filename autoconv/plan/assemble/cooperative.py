"""Cooperative execution: several threads on one block of examples.

Where there are fewer blocks than threads, the instructions of a block are sorted into phases.  No instruction of a
phase reads or overwrites what another one of the same phase writes, so the phase's tasks run in any order on any
thread.  An instruction with much work becomes several tasks; some with little work, of which one may read what the one
before writes, become one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from ..instructions import Rows
from ..kernel import Kernel
from ..native import instruction_set as isa

_LITTLE = 1500  # products of vectors: a smaller part of an instruction is not worth taking
_PIECES = 2  # tasks for each thread that a large instruction becomes: a thread that begins later takes fewer

Memory = Mapping[int, tuple[int, int]]


@dataclass
class _Task:
    """Rows of words that run in order, in ``pieces`` parts each; the values that they read and write.

    ``exclusive``: what no other task may touch in the same phase: results over examples, and an instruction's scratch
    memory.
    """

    pieces: int
    work: int = 0
    rows: Rows = field(default_factory=list)
    reads: set[int] = field(default_factory=set)
    writes: set[int] = field(default_factory=set)
    exclusive: set[int] = field(default_factory=set)


def phases_of(
    kernel: Kernel,
    rows: Sequence[Rows],
    written: Sequence[np.ndarray | slice],
    touched: Sequence[tuple[set[int], set[int]]],
    memory: Memory,
    threads: int,
) -> tuple[Rows, Rows, Rows]:
    """The rows of words in a new order, the phases and the tasks (as PHASE and TASK of the instruction set).

    ``rows``, ``written`` and ``touched``: of each instruction the words, the addresses that it writes to, and the
    values that it writes and reads; ``memory``: (address, size) of each value, and of instruction i's scratch memory
    under the number -1 - i.
    """
    overlapping = _overlaps(memory)
    tasks: list[_Task] = []
    begins = [0]  # the first task of each phase
    end = max((at + size for at, size in memory.values()), default=1)
    owner = np.full(end, -1, np.int32)  # the task that wrote to an address
    pending: list[tuple[np.ndarray | slice, int]] = []  # what tasks of this phase have written besides, and which
    for number, one in enumerate(kernel.instructions):
        writes, reads = touched[number]
        exclusive = {-1 - number} if -1 - number in memory else set()
        if one.over_examples:
            exclusive.add(kernel.end + one.array)
        over = {x for v in (*writes, *exclusive) for x in overlapping.get(v, ())}
        needed = {x for v in reads for x in overlapping[v]} | (over - writes)
        for row in rows[number]:
            mine: set[int] = set()
            if any([task.writes & over for task in tasks[begins[-1] :]]):
                while pending:
                    addresses, task_number = pending.pop(0)
                    owner[addresses] = task_number
                mine = _different(owner[written[number]])
            hits = [
                k
                for k, task in enumerate(tasks[begins[-1] :], begins[-1])
                if k in mine
                or task.writes & needed
                or task.reads & over
                or task.exclusive & (exclusive | over | needed)
            ]
            kind = isa.kind(row)
            work = kind.work(row)
            pieces = max(1, min(_PIECES * threads, work // _LITTLE)) if kind.divisible else 1
            if hits and (len(hits) > 1 or pieces > 1 or tasks[hits[0]].pieces > 1):
                begins.append(len(tasks))
                pending.clear()
                hits = []
            elif not hits and len(tasks) > begins[-1] and tasks[-1].pieces == pieces == 1:
                hits = [len(tasks) - 1] * (tasks[-1].work + work <= _LITTLE)  # some with little work make a task
            at = hits[0] if hits else len(tasks)
            if not hits:
                tasks.append(_Task(pieces))
            task = tasks[at]
            task.rows.append(row)
            task.work += work
            task.reads |= reads
            task.writes |= writes
            task.exclusive |= exclusive
            pending.append((written[number], at))
    return _in_order(tasks, [*begins, len(tasks)])


def _different(numbers: np.ndarray) -> set[int]:
    """The different numbers, of which none is less than -1."""
    if not numbers.size or (numbers == numbers.flat[0]).all():
        return set(numbers.flat[:1].tolist())
    least, most = int(numbers.min()), int(numbers.max())
    return {n for n in range(least, most + 1) if (numbers == n).any()} if most - least < 8 else set(
        (np.flatnonzero(np.bincount(numbers.reshape(-1) + 1)) - 1).tolist())  # fmt: skip


def _overlaps(memory: Memory) -> dict[int, list[int]]:
    """For each value those whose memory is partly the same, itself among them."""
    numbers = list(memory)
    at = np.array([memory[v][0] for v in numbers], np.int64)
    end = at + np.array([memory[v][1] for v in numbers], np.int64)
    both = (at[:, None] < end) & (at < end[:, None])
    return {v: [numbers[k] for k in np.flatnonzero(both[i])] for i, v in enumerate(numbers)}


def _in_order(tasks: list[_Task], begins: list[int]) -> tuple[Rows, Rows, Rows]:
    rows: Rows = []
    pieces: Rows = []
    phases: Rows = []
    for begin, end in pairwise(begins):
        first_piece = len(pieces)
        for task in tasks[begin:end]:
            rows_of = {"first": len(rows), "end": len(rows) + len(task.rows)}
            rows += task.rows
            pieces += [isa.TASK.row(**rows_of, part=part, parts=task.pieces) for part in range(task.pieces)]
        phases.append(isa.PHASE.row(first=first_piece, count=len(pieces) - first_piece))
    return rows, phases, pieces
