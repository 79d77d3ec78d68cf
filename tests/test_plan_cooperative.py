"""Threads that share a block: tasks of one phase touch nothing that another of them writes, and the bits are always the same."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from test_plan_native import in_dtype, layouts, random_net, swept

from autoconv.plan.assemble.assemble import IN_MEMORY, IN_SUMS, WIDTH
from autoconv.plan.lower.instructions import (
    CHOOSE,
    CLEAR,
    DOT,
    GATHER,
    GEMM,
    LOAD,
    MAP,
    OUTER,
    PLACE,
    SPLAT,
    STORE,
    TOTAL,
)  # fmt: skip
from autoconv.plan.run import native_run
from autoconv.program.rewrite.passes import simplify

native = pytest.mark.skipif(not native_run.available(), reason="the native machine is not built here, or switched off")
SUMS = 1 << 40  # where the sums begin, beside the addresses of memory


class Reader:
    """What the machine touches when it runs part ``part`` of ``parts`` of a row of words: (addresses read, written)."""

    def __init__(self, assembled):
        self.tables = np.frombuffer(assembled.tables, np.int32).astype(np.int64)
        self.lanes, self.cell = assembled.lanes, assembled.cell

    def table(self, at, count):
        return self.tables[at : at + count]

    def wide(self, addresses, width=None):
        return (np.ravel(addresses)[:, None] + np.arange(width or self.lanes)).ravel()

    def tiles(self, w, part, parts):
        """Which rows and columns of a contraction a part has."""
        tall, wide = self.table(w[14], 2 * w[15]).reshape(-1, 2), self.table(w[16], 2 * w[17]).reshape(-1, 2)
        cut = lambda x: x[len(x) * part // parts : len(x) * (part + 1) // parts]
        tall, wide = (cut(tall), wide) if w[15] > w[17] else (tall, cut(wide))
        return [np.concatenate([np.arange(a, a + n) for a, n in x] or [np.empty(0, int)]) for x in (tall, wide)]

    def contraction(self, w, part, parts):
        i, j = self.tiles(w, part, parts)
        if not len(i) or not len(j):
            return [], []
        rows = [
            self.tables[w[7] + i][:, None] + self.table(w[8], w[1]),
            self.tables[w[9] + j][:, None] + self.table(w[10], w[1]),
        ]
        out = self.tables[w[11] + i][:, None] + self.tables[w[12] + j]
        narrow = w[0] == GEMM  # its first operand is numbers, its result vectors; of DOT it is the other way round
        reads = [self.wide(x, 1 if narrow and k == 0 else None) for k, x in enumerate(rows) if w[2 + k] == IN_MEMORY]
        place = {IN_MEMORY: 0, IN_SUMS: SUMS}[w[4]]
        return reads, [place + self.wide(out, None if narrow else 1)]

    def __call__(self, w, part, parts):
        """Two lists of arrays of addresses."""
        kind, share = w[0], slice(w[2] * part // parts, w[2] * (part + 1) // parts)
        last = share.stop == w[2]
        if kind in (GEMM, DOT):
            return self.contraction(w, part, parts)
        if kind == MAP:
            out, *reads = (self.wide(self.table(w[k], w[2])[share]) for k in (3, 4, 5, 6))
            singles = [self.table(w[k], w[7] if last else 0) for k in (8, 9, 10, 11)]
            return [*reads, *singles[1:]], [out, singles[0]]
        if kind == GATHER:
            place = {IN_MEMORY: 0, IN_SUMS: SUMS}[w[6]]
            of = self.table(w[4], w[2] * w[5]).reshape(-1, w[5])[share]
            singles = [self.table(w[8], w[7] if last else 0), self.table(w[9], w[7] * w[5] if last else 0)]
            return [self.wide(of), singles[1]], [place + self.wide(self.table(w[3], w[2])[share]), place + singles[0]]
        if kind == TOTAL:
            of = self.table(w[4], w[2] * w[5]).reshape(-1, w[5])[share]
            return [self.wide(of)], [SUMS + w[3] + np.arange(w[2])[share]]
        if kind == OUTER:
            rows = np.arange(w[1])[w[1] * part // parts : w[1] * (part + 1) // parts]
            of = self.table(w[3], w[1] * w[2]).reshape(w[1], w[2])[rows]
            return [self.wide(of)], [self.wide(w[5] + rows * self.lanes * w[4], self.lanes * w[4])]
        cells = self.wide(self.table(w[3], w[2]), w[5] if kind == SPLAT else self.cell)
        one = self.wide(self.table(w[5], 1), self.cell)
        return {
            LOAD: ([], [cells]), SPLAT: ([], [cells]), STORE: ([cells], []), CHOOSE: ([cells], [one]),
            PLACE: ([one], [cells]), CLEAR: ([], [cells]),
        }[kind]  # fmt: skip


def planned_for(seed, examples, dtype, layout, monkeypatch):
    f, parameters, shape = random_net(seed)
    in_dtype(parameters, dtype)
    rng = np.random.default_rng(seed)
    arguments = [rng.normal(size=(examples, *shape)).astype(dtype), rng.integers(0, 3, examples)]
    monkeypatch.setattr(native_run, "choose", lambda *_: layout)
    return native_run.plan(simplify(swept(f, arguments, parameters)), arguments), arguments


@native
@pytest.mark.parametrize("channels", [False, True], ids=["examples", "channels"])
@pytest.mark.parametrize("seed", range(12))
def test_tasks_of_a_phase_do_not_meet(seed, channels, monkeypatch):
    monkeypatch.setattr("autoconv.plan.assemble.team._LITTLE", 50)  # so that small nets are cut as large ones are
    possible = [x for x in layouts(np.float32) if x.channels == channels and x.team > 1]
    planned, _ = planned_for(seed, 5, np.float32, possible[seed % len(possible)], monkeypatch)
    cut = 0
    for assembled in planned.assembled:
        touches = Reader(assembled)
        rows = np.frombuffer(assembled.code, np.int64).reshape(-1, WIDTH).tolist()
        tasks = np.frombuffer(assembled.tasks, np.int64).reshape(-1, 4).tolist()
        done = np.zeros(len(rows))
        for first, count in np.frombuffer(assembled.phases, np.int64).reshape(-1, 2).tolist():
            found = []
            for begin, end, part, parts in tasks[first : first + count]:
                each = [touches(rows[k], part, parts) for k in range(begin, end)]
                reads, writes = ({x for pair in each for a in pair[side] for x in a.tolist()} for side in (0, 1))
                found.append((begin, reads, writes))
                done[begin:end] += 1 / parts
                cut += parts > 1
            for (a, reads, writes), (b, others, written) in combinations(found, 2):
                assert not writes & others and not reads & written, (
                    rows[a],
                    rows[b],
                    sorted(writes & others)[:5],
                    sorted(reads & written)[:5],
                )
                assert a == b or not writes & written  # parts of one row may both write a number, and it is the same
        np.testing.assert_allclose(done, 1)
    assert cut > 0


@native
@pytest.mark.parametrize("seed", range(6))
def test_the_bits_do_not_depend_on_how_many_threads_share_a_block(seed, monkeypatch):
    monkeypatch.setattr("autoconv.plan.assemble.team._LITTLE", 50)
    possible = [x for x in layouts(np.float64) if x.team > 1]
    layout = possible[seed % len(possible)]
    examples = layout.examples  # one block: with more, each thread of one's own has sums of its own
    alone, arguments = planned_for(seed, examples, np.float64, replace(layout, team=1), monkeypatch)
    expected = alone.run(arguments)
    several, _ = planned_for(seed, examples, np.float64, layout, monkeypatch)
    for threads in (1, 2, 5):
        several.parts = threads
        for _ in range(20):
            for got, wanted in zip(several.run(arguments), expected, strict=True):
                np.testing.assert_array_equal(got, wanted)
