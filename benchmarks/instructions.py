"""Where a compiled step spends its time: each kind of instruction of the native machine, and the longest ones.

    CFLAGS=-DTIMED python setup.py build_ext --inplace --force     # in a copy of the tree; without it there is no clock
    AUTOCONV_THREADS=1 python benchmarks/instructions.py resnet20 vgg [--longest 20]

Of each instruction the least of some steps counts, so that it matters little who else uses the machine.  Times are
those of all threads together; contractions with their arithmetic in GFLOP/s.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from time import process_time
from typing import NamedTuple

import nets
import numpy as np

from autoconv.plan.assemble.assemble import Assembled
from autoconv.plan.extension import machine
from autoconv.plan.native import instruction_set as isa
from autoconv.plan.run.native_program import NativeProgram

sys.path.insert(0, str(Path(__file__).parent / "entrants"))
STEPS = 25
OPERATIONS = {code: name for name, code in isa.OPERATIONS.items()}


class Spent(NamedTuple):
    """One instruction: its kernel, what it is and its size in words, seconds, and operations of its products."""

    kernel: int
    kind: str
    size: str
    seconds: float
    operations: int


def spent(kernel: int, assembled: Assembled, seconds: np.ndarray, examples: int) -> list[Spent]:
    """The instructions of a kernel."""
    tables, found = np.frombuffer(assembled.tables, np.int32), []
    rows = np.frombuffer(assembled.code, np.int64).reshape(-1, isa.WIDTH).tolist()
    blocks = -(-examples // assembled.cell)
    for row, time in zip(rows, seconds.tolist(), strict=True):
        words = isa.kind(row).read(row)
        name, operations, size = words.kind.name, 0, f"{getattr(words, 'count', 0):,}"
        if words.kind is isa.MAP:
            name = f"MAP {OPERATIONS[words.operation]}"
        elif words.kind in (isa.GEMM, isa.DOT):
            height, width = (int(tables[at : at + 2 * n][1::2].sum()) for at, n in (
                (words.tall, words.talls), (words.wide, words.wides)))  # fmt: skip
            name += " over examples" if words.flags & isa.GROWS else ""
            size = f"{height:,} x {width:,}, {words.terms:,} terms"
            operations = 2 * assembled.lanes * height * width * words.terms * blocks
        found.append(Spent(kernel, name, size, time, operations))
    return found


def measured(name: str) -> tuple[float, list[Spent]]:
    """(processor seconds of a step, its instructions)."""
    import ours

    made: list[tuple[NativeProgram, list[Assembled]]] = []
    settle = NativeProgram.settle

    def noted(native: NativeProgram) -> None:
        made.append((native, native.assembled))
        settle(native)

    NativeProgram.settle = noted  # type: ignore[method-assign]
    net = nets.named(name)
    step = ours.step(net, net.batch, compiled=True)
    for _ in range(3):
        step()
    native, kernels = made[-1]
    least, best = float("inf"), [np.full(len(a.code) // (8 * isa.WIDTH), np.inf) for a in kernels]
    for one in native.machines:
        machine().spent(one)
    for _ in range(STEPS):
        start = process_time()
        step()
        least = min(least, process_time() - start)
        times = [np.frombuffer(machine().spent(one), np.int64) / 1e9 for one in native.machines]
        best = [np.minimum(*both) for both in zip(best, times, strict=True)]
    each = [spent(k, a, t, native.examples) for k, (a, t) in enumerate(zip(kernels, best, strict=True))]
    return least, [one for many in each for one in many]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="+")
    parser.add_argument("--longest", type=int, default=0, help="how many instructions are listed by themselves")
    given = parser.parse_args()
    if not hasattr(machine(), "spent"):
        sys.exit("the machine has no clock: build it with CFLAGS=-DTIMED")
    for name in given.nets:
        step, found = measured(name)
        whole = sum(one.seconds for one in found)
        print(f"{name}: {step * 1e3:.1f} ms of processor time a step, {whole * 1e3:.1f} ms in instructions")
        kinds: dict[str, list[Spent]] = defaultdict(list)
        for one in found:
            kinds[one.kind].append(one)
        rows = [(kind, len(many), Spent(0, kind, "", sum(x.seconds for x in many), sum(x.operations for x in many)))
                for kind, many in kinds.items()]  # fmt: skip
        for kind, count, all_of in sorted(rows, key=lambda row: -row[2].seconds):
            print(f"  {kind:22} {count:5} {all_of.seconds * 1e3:9.2f} ms {all_of.seconds / whole:6.1%} {rate(all_of)}")
        for one in sorted(found, key=lambda one: -one.seconds)[: given.longest]:
            print(f"    kernel {one.kernel:3} {one.kind:22} {one.size:28} {one.seconds * 1e3:8.3f} ms {rate(one)}")


def rate(one: Spent) -> str:
    return f"{one.operations / one.seconds / 1e9:7.1f} GFLOP/s" if one.operations and one.seconds else ""


if __name__ == "__main__":
    main()
