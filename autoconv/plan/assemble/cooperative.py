"""Threads that share a block: which instructions may run at the same time, and which are cut into parts.

Where there are fewer blocks than threads, the instructions of a block are sorted into phases.  What stands in one phase needs
nothing that is made there, and overwrites nothing that is read there, so its tasks run in any order on any thread; an
instruction with much to do becomes several tasks, some with little to do that follow from one another become one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from ..lower.instructions import DOT, GATHER, GEMM, MAP, OUTER, TOTAL, Stage

WORK = 23  # the word of a contraction that says how many products of vectors it takes
STORING = 3  # products of vectors that last as long as beginning and storing a result
_LITTLE = 1500  # products of vectors: a smaller part of an instruction is not worth taking
_PIECES = 2  # tasks for each thread that a large instruction becomes: a thread that begins later takes fewer
_SHARED = frozenset([MAP, GATHER, TOTAL, GEMM, DOT, OUTER])  # what the machine does in parts
_OF_CELL = 8  # products of vectors that last as long as one elementwise operation

Rows = list[list[int]]
Memory = Mapping[int, tuple[int, int]]


@dataclass
class _Task:
    """Rows of words that run one after the other, each ``pieces`` times a part of it; the values that they read and write.

    ``alone``: what no other task may touch in the same phase: sums, and memory of an instruction's own.
    """

    pieces: int
    work: int = 0
    rows: Rows = field(default_factory=list)
    reads: set[int] = field(default_factory=set)
    writes: set[int] = field(default_factory=set)
    alone: set[int] = field(default_factory=set)


def shared(
    stage: Stage, rows: Sequence[Rows], written: Sequence[np.ndarray], memory: Memory, threads: int
) -> tuple[Rows, Rows, Rows]:
    """The rows of words in a new order, the phases (first task, how many), and the tasks (from row, to row, part, parts).

    ``rows`` and ``written``: of each instruction the words, and the addresses that it writes to; ``memory``: (address, size)
    of each value, and of what instruction i needs for itself, under the number -1 - i.
    """
    beside = _overlaps(memory)
    tasks: list[_Task] = []
    begins = [0]  # the first task of each phase
    end = max((at + size for at, size in memory.values()), default=1)
    owner = np.full(end, -1)  # the task that wrote to an address
    for number, one in enumerate(stage.instructions):
        reads = {v for names in one.reads for v in stage.values(names) if v}
        writes = {v for names in one.writes for v in stage.values(names) if v}
        alone = {-1 - number} if -1 - number in memory else set()
        if one.kind in (TOTAL, DOT, OUTER) and not one.writes:
            alone.add(stage.end + one.array)
        over = {x for v in (*writes, *alone) for x in beside.get(v, ())}
        needed = {x for v in reads for x in beside[v]} | (over - writes)
        for row in rows[number]:
            mine = set(np.unique(owner[written[number]]).tolist())
            hits = [
                k
                for k, task in enumerate(tasks[begins[-1] :], begins[-1])
                if k in mine or task.writes & needed or task.reads & over or task.alone & (alone | over | needed)
            ]
            work = _work(row)
            pieces = max(1, min(_PIECES * threads, work // _LITTLE)) if row[0] in _SHARED else 1
            if hits and (len(hits) > 1 or pieces > 1 or tasks[hits[0]].pieces > 1):
                begins.append(len(tasks))
                hits = []
            elif not hits and len(tasks) > begins[-1] and tasks[-1].pieces == pieces == 1:
                hits = [len(tasks) - 1] * (tasks[-1].work + work <= _LITTLE)  # many little ones make a task
            at = hits[0] if hits else len(tasks)
            if not hits:
                tasks.append(_Task(pieces))
            task = tasks[at]
            task.rows.append(row)
            task.work += work
            task.reads |= reads
            task.writes |= writes
            task.alone |= alone
            owner[written[number]] = at
    return _in_order(tasks, [*begins, len(tasks)])


def _overlaps(memory: Memory) -> dict[int, list[int]]:
    """For each value those whose memory is partly the same, itself among them."""
    numbers = list(memory)
    at = np.array([memory[v][0] for v in numbers], np.int64)
    end = at + np.array([memory[v][1] for v in numbers], np.int64)
    both = (at[:, None] < end) & (at < end[:, None])
    return {v: [numbers[k] for k in np.flatnonzero(both[i])] for i, v in enumerate(numbers)}


def _work(row: list[int]) -> int:
    """How many products of vectors last about as long as a row of words."""
    kind = row[0]
    if kind in (GEMM, DOT):
        return row[WORK]
    if kind == MAP:
        return _OF_CELL * row[2]
    if kind in (GATHER, TOTAL):
        return row[2] * row[5]
    return row[1] * row[2] if kind == OUTER else row[2]  # OUTER: its lanes become rows


def _in_order(tasks: list[_Task], begins: list[int]) -> tuple[Rows, Rows, Rows]:
    rows: Rows = []
    pieces: Rows = []
    phases: Rows = []
    for begin, end in pairwise(begins):
        phases.append([len(pieces), 0])
        for task in tasks[begin:end]:
            first = len(rows)
            rows += task.rows
            pieces += [[first, len(rows), part, task.pieces] for part in range(task.pieces)]
        phases[-1][1] = len(pieces) - phases[-1][0]
    return rows, phases, pieces
