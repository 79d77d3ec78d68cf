"""Plant faults one after the other in a copy of the tree and say which the tests notice.

    python -m mutation                      40 faults, 10 of each room
    python -m mutation --count 8 --seed 3   other ones
    python -m mutation --rooms optim        one room only
    python -m mutation --list               the faults, without a run

A fault is noticed when a test of the room fails (or hangs).  The exit status is 1 if more than ``--allow`` are not.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .mutants import Mutant, by_hand, drawn

TREE = Path(__file__).resolve().parent.parent.parent

# room: its files, and the tests that speak about them, quick ones first
ROOMS: dict[str, tuple[list[str], list[str]]] = {
    "primitives": (
        ["autoconv/primitives.py", "autoconv/primitives/*.py"],
        ["test_table.py", "test_special_values.py", "test_backward.py", "test_expand.py", "special_values", "fuzz"],
    ),
    "passes": (
        ["autoconv/program/rewrite.py", "autoconv/plan/rewrite/*.py", "autoconv/**/lower/*.py"],
        [
            "test_plan_corpus.py",
            "test_rewrites.py",
            "test_plan_results.py",
            "test_plan_zeros.py",
            "test_plan_sums.py",
            "test_plan.py",
            "test_plan_kernels.py",
            "test_plan_repeat.py",
            "fuzz",
            "test_plan_native.py",
            "test_plan_cooperative.py",
            "test_plan_overlap.py",
            "test_plan_size.py",
            "test_plan_letters.py",
            "test_plan_exact.py",
            "test_plan_layout.py",
            "test_plan_rows.py",
            "test_plan_attention.py",
        ],
    ),
    "functional": (
        ["autoconv/functional/*.py"],
        [
            "test_functional.py",
            "test_defaults.py",
            "test_limits.py",
            "test_definitions.py",
            "test_like_numpy.py",
            "test_by_loops.py",
            "test_operations.py",
            "test_names.py",
            "test_special_values.py",
            "test_errors.py",
            "test_oracles.py",
            "test_nn.py",
            "test_in_place.py",
            "test_off_the_tape.py",
            "test_dot_limits.py",
            "test_ceil_mode.py",
            "test_slopes.py",
            "test_whole_numbers.py",
            "fuzz",
            "special_values",
        ],
    ),
    "optim": (
        ["autoconv/optim/*.py"],
        [
            "test_optim.py",
            "test_optim_update.py",
            "test_checkpoint.py",
            "test_train.py",
            "test_compile_inputs.py",
            "test_fit.py",
            "test_names.py",
        ],
    ),
}

# room, file (or pattern), text, fault: kinds that have been found before, planted again
HAND: list[tuple[str, str, str, str]] = [
    ("primitives", "autoconv/primitives*", "lambda g, y, a: g * (1 - y * y),", "lambda g, y, a: g * (1 + y * y),"),
    ("functional", "autoconv/functional/*.py", "difference * difference / 2", "difference * difference"),
]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m mutation", description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=40, help="how many faults, over all rooms (default 40)")
    parser.add_argument("--seed", type=int, default=0, help="which ones")
    parser.add_argument("--rooms", nargs="*", choices=list(ROOMS), default=list(ROOMS))
    parser.add_argument("--allow", type=int, default=2, help="how many may stay unnoticed (default 2)")
    parser.add_argument("--list", action="store_true", help="print the faults and stop")
    settings = parser.parse_args()
    each = -(-settings.count // len(settings.rooms))
    planned = [(room, m) for room in settings.rooms for m in of_room(room, each, settings.seed)][: settings.count]
    if settings.list:
        print("\n".join(f"{room:11} {m}" for room, m in planned))
        return 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        unnoticed = run(copy(Path(folder)), planned)
    print(f"\n{len(planned) - len(unnoticed)} of {len(planned)} noticed")
    for room, mutant in unnoticed:
        print(f"NOT NOTICED {room}: {mutant}")
    return 1 if len(unnoticed) > settings.allow else 0


def of_room(room: str, count: int, seed: int) -> list[Mutant]:
    """The hand-written faults of a room, filled up with drawn ones."""
    hand = [by_hand(TREE, file, old, new) for where, file, old, new in HAND if where == room][:count]
    return hand + drawn(TREE, ROOMS[room][0], count - len(hand), seed)


def copy(folder: Path) -> Path:
    """The package with its compiled parts, and the tests, in a folder of their own."""
    tree = folder / "tree"
    tree.mkdir()
    unwanted = shutil.ignore_patterns("__pycache__", "build", ".*")
    for name in ("autoconv", "tests", "benchmarks", "docs"):
        shutil.copytree(TREE / name, tree / name, ignore=unwanted)
    for name in ("setup.cfg", "pyproject.toml", "README.md"):
        shutil.copy(TREE / name, tree / name)
    return tree


def run(tree: Path, planned: list[tuple[str, Mutant]]) -> list[tuple[str, Mutant]]:
    """Plant, test, take back; those that no test noticed.  RuntimeError if the tests fail without a fault."""
    limits = {}
    for room in dict(planned):
        failed, seconds = tested(tree, room, 3600)
        if failed:
            raise RuntimeError(f"the tests of {room} fail without a fault: {failed}")
        limits[room] = 120 + 5 * seconds
        print(f"{room}: its tests take {seconds:.0f} s when nothing is wrong", flush=True)
    unnoticed = []
    for room, mutant in planned:
        original = mutant.plant(tree)
        try:
            failed, seconds = tested(tree, room, limits[room])
        finally:
            (tree / mutant.file).write_text(original)
        print(f"{'noticed' if failed else 'NOT NOTICED':11} {seconds:4.0f} s  {mutant}\n{'':20}{failed}", flush=True)
        if not failed:
            unnoticed.append((room, mutant))
    return unnoticed


def tested(tree: Path, room: str, limit: float) -> tuple[str, float]:
    """The first failure of a room's tests ("" if there is none; a hang beyond ``limit`` s), and how long it took."""
    names = [name for name in ROOMS[room][1] if (tree / "tests" / name).exists()]
    if not names:
        raise RuntimeError(f"none of the tests of {room} is there: {ROOMS[room][1]}")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tree), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    environment["PYTHONDONTWRITEBYTECODE"] = "1"  # a fault of the same second and length would meet the old bytecode
    begun = time.monotonic()
    settings = ["-x", "-q", "-rfE", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *settings, *[f"tests/{n}" for n in names]]
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, text=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        return "hangs", time.monotonic() - begun
    seconds = time.monotonic() - begun
    if done.returncode == 0:
        return "", seconds
    lines = [text for text in done.stdout.splitlines() if text.startswith(("FAILED", "ERROR"))]
    return (lines or [f"exit status {done.returncode}: {done.stderr[-200:]}"])[0][:150], seconds


if __name__ == "__main__":
    sys.exit(main())
