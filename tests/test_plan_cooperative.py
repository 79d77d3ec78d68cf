"""Threads that share a block: tasks of one phase touch nothing that another of them writes,
and the bits are always the same."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from helpers.assembled import rows
from helpers.random_nets import in_dtype, layouts, native, random_net, swept

from autoconv.plan.native import instruction_set as isa
from autoconv.plan.run import native_run
from autoconv.program.rewrite import simplify

SUMS = 1 << 40  # where the sums begin, beside the addresses of memory


class Reader:
    """What the machine touches when it runs part ``part`` of ``parts`` of a row of words: (addresses read, written)."""

    def __init__(self, assembled):
        self.tables = np.frombuffer(assembled.tables, np.int32).astype(np.int64)
        self.assembled, self.lanes, self.cell = assembled, assembled.lanes, assembled.cell

    def table(self, at, count):
        return self.tables[at : at + count]

    def wide(self, addresses, width=None):
        return (np.ravel(addresses)[:, None] + np.arange(width or self.lanes)).ravel()

    def tiles(self, w, part, parts):
        """Which rows and columns of a contraction a part has."""
        tall, wide = self.table(w.tall, 2 * w.talls).reshape(-1, 2), self.table(w.wide, 2 * w.wides).reshape(-1, 2)
        cut = lambda x: x[len(x) * part // parts : len(x) * (part + 1) // parts]
        tall, wide = (cut(tall), wide) if w.talls > w.wides else (tall, cut(wide))
        return [np.concatenate([np.arange(a, a + n) for a, n in x] or [np.empty(0, int)]) for x in (tall, wide)]

    def contraction(self, w, part, parts):
        i, j = self.tiles(w, part, parts)
        if not len(i) or not len(j):
            return [], []
        left = self.tables[w.left_base + i][:, None] + self.table(w.left_step, w.terms)
        right = self.tables[w.right_base + j][:, None] + self.table(w.right_step, w.terms)
        out = self.tables[w.out_row + i][:, None] + self.tables[w.out_column + j]
        narrow = w.kind is isa.GEMM  # its left operand is numbers, its result vectors; of DOT it is the other way round
        reads = [self.wide(left, 1 if narrow else None)] if w.left == isa.IN_MEMORY else []
        reads += [self.wide(right)] if w.right == isa.IN_MEMORY else []
        place = {isa.IN_MEMORY: 0, isa.IN_SUMS: SUMS}[w.out]
        return reads, [place + self.wide(out, None if narrow else 1)]

    def lanewise(self, w, part, parts):
        """Lanes whose results nobody reads are left out: those of gaps, and those beyond a result's row."""
        tall, at = self.table(w.tall, 2 * w.talls).reshape(-1, 2), self.table(w.vector_at, w.vectors)
        cut = lambda x: x[len(x) * part // parts : len(x) * (part + 1) // parts]
        tall, at = (tall, cut(at)) if w.talls < w.vectors else (cut(tall), at)
        if not len(tall) or not len(at):
            return [], []
        i = np.concatenate([np.arange(a, a + n) for a, n in tall])
        lanes = at[:, None] + np.arange(self.lanes)
        left = self.tables[w.left_base + i][:, None] + self.table(w.left_step, w.terms)
        right = self.tables[w.right_base] + self.table(w.right_step, w.terms)
        out = self.tables[w.out_row + i][:, None, None] + lanes
        if w.out == isa.IN_MEMORY:
            gaps = [self.assembled.where[g].ravel() for g in self.assembled.kernel.gaps]
            wanted = np.isin(out, np.concatenate([np.empty(0, int), *gaps]), invert=True)
        else:
            number = np.searchsorted(self.assembled.sums, out.flat[0], side="right") - 1
            columns = self.assembled.kernel.results[number].columns
            wanted = (out - self.assembled.sums[number]) % self.assembled.pitch(columns) < columns
        reads = [(left[:, :, None, None] + lanes)[np.broadcast_to(wanted[:, None], (*left.shape, *lanes.shape))]]
        if w.right == isa.IN_MEMORY:
            reads.append(
                (right[:, None, None] + lanes)[np.broadcast_to(wanted.any(axis=0), (len(right), *lanes.shape))]
            )
        return reads, [{isa.IN_MEMORY: 0, isa.IN_SUMS: SUMS}[w.out] + out.ravel()]

    def __call__(self, row, part, parts):
        """Two lists of arrays of addresses."""
        kind = isa.kind(row)
        w = kind.read(row)
        if kind in (isa.GEMM, isa.DOT):
            return self.contraction(w, part, parts)
        if kind is isa.LANEWISE:
            return self.lanewise(w, part, parts)
        share = slice(w.count * part // parts, w.count * (part + 1) // parts)
        last = share.stop == w.count
        if kind is isa.MAP:
            vectors = ((w.out, w.out_at), (w.x, w.x_at), (w.y, w.y_at), (w.z, w.z_at))
            out, *reads = (self.wide(first + self.table(at, w.count)[share]) for at, first in vectors)
            at_singles = (w.single_out, w.single_x, w.single_y, w.single_z)
            singles = [self.table(at, w.singles if last else 0) for at in at_singles]
            return [*reads, *singles[1:]], [out, singles[0]]
        if kind is isa.GATHER:
            place = {isa.IN_MEMORY: 0, isa.IN_SUMS: SUMS}[w.place]
            of = w.x_at + self.table(w.x, w.count * w.terms).reshape(-1, w.terms)[share]
            count = w.singles if last else 0
            out, single = self.table(w.out, w.count)[share], self.table(w.single_out, count)
            return [self.of_results(of, out, w.place), self.table(w.single_x, count * w.terms)], [
                place + self.wide(out),
                place + single,
            ]
        if kind is isa.TOTAL:
            of = self.table(w.x, w.count * w.terms).reshape(-1, w.terms)[share]
            return [self.wide(of)], [SUMS + w.out + np.arange(w.count)[share]]
        if kind is isa.TRANSPOSE:
            of = self.table(w.x, w.count * w.columns).reshape(w.count, w.columns)[share]
            rows = np.arange(w.count)[share]
            return [self.wide(of)], [self.wide(w.out + rows * self.lanes * w.pitch, self.lanes * w.pitch)]
        if kind is isa.SPLAT:
            return [], [self.wide(self.table(w.out, w.count), w.width)]
        if kind in (isa.LOAD, isa.STORE) and w.beside:  # a run of numbers, without a table
            run = [(w.out if kind is isa.LOAD else w.x) + np.arange(w.count)]
            return ([], run) if kind is isa.LOAD else (run, [])
        one = 1 if kind in (isa.CHOOSE, isa.PLACE) else w.count  # of the side that is a single cell
        x = self.wide(self.table(w.x, one if kind is isa.PLACE else w.count), self.cell) if hasattr(w, "x") else []
        out = (
            self.wide(self.table(w.out, one if kind is isa.CHOOSE else w.count), self.cell) if hasattr(w, "out") else []
        )
        return [x] if len(x) else [], [out] if len(out) else []

    def of_results(self, of, out, place):
        """What a sum of rows reads, without the lanes whose results are gaps: what stands there is nobody's."""
        gaps = [self.assembled.where[g].ravel() for g in self.assembled.kernel.gaps]
        if place != isa.IN_MEMORY or not gaps or not len(out):
            return self.wide(of)
        lanes = np.arange(self.lanes)
        read = np.isin(out[:, None] + lanes, np.concatenate(gaps), invert=True)
        return (of[:, :, None] + lanes)[np.broadcast_to(read[:, None, :], (*of.shape, self.lanes))]


def planned_for(seed, examples, dtype, layout, monkeypatch):
    f, parameters, shape = random_net(seed)
    in_dtype(parameters, dtype)
    rng = np.random.default_rng(seed)
    arguments = [rng.normal(size=(examples, *shape)).astype(dtype), rng.integers(0, 3, examples)]
    monkeypatch.setattr(native_run, "choose", lambda *_: layout)
    return native_run.plan(simplify(swept(f, arguments, parameters)), arguments), arguments


@pytest.mark.quick(2)
@native
@pytest.mark.parametrize("channels", [False, True], ids=["examples", "channels"])
@pytest.mark.parametrize("seed", range(12))
def test_tasks_of_a_phase_do_not_meet(seed, channels, monkeypatch):
    monkeypatch.setattr(
        "autoconv.plan.assemble.cooperative._LITTLE", 50
    )  # so that small nets are cut as large ones are
    possible = [x for x in layouts(np.float32) if x.channels == channels and x.threads > 1]
    planned, _ = planned_for(seed, 5, np.float32, possible[seed % len(possible)], monkeypatch)
    cut = 0
    for assembled in planned.native.assembled:
        touches = Reader(assembled)
        code, tasks = rows(assembled.code), rows(assembled.tasks, isa.TASK.width)
        done = np.zeros(len(code))
        for first, count in rows(assembled.phases, isa.PHASE.width):
            found = []
            for begin, end, part, parts in tasks[first : first + count]:
                each = [touches(code[k], part, parts) for k in range(begin, end)]
                reads, writes = ({x for pair in each for a in pair[side] for x in a.tolist()} for side in (0, 1))
                found.append((begin, reads, writes))
                done[begin:end] += 1 / parts
                cut += parts > 1
            for (a, reads, writes), (b, others, written) in combinations(found, 2):
                assert not writes & others and not reads & written, (
                    code[a],
                    code[b],
                    sorted(writes & others)[:5],
                    sorted(reads & written)[:5],
                )
                assert a == b or not writes & written  # parts of one row may both write a number, and it is the same
        np.testing.assert_allclose(done, 1)
    assert cut > 0


@native
@pytest.mark.parametrize("seed", range(6))
def test_the_bits_do_not_depend_on_how_many_threads_share_a_block(seed, monkeypatch):
    monkeypatch.setattr("autoconv.plan.assemble.cooperative._LITTLE", 50)
    possible = [x for x in layouts(np.float64) if x.threads > 1]
    layout = possible[seed % len(possible)]
    examples = layout.examples  # one block: with more, each thread of one's own has sums of its own
    alone, arguments = planned_for(seed, examples, np.float64, replace(layout, threads=1), monkeypatch)
    expected = alone.run(arguments)
    several, _ = planned_for(seed, examples, np.float64, layout, monkeypatch)
    for threads in (1, 2, 5):
        several.native.parts = threads
        for _ in range(20):
            for got, wanted in zip(several.run(arguments), expected, strict=True):
                np.testing.assert_array_equal(got, wanted)
