"""Fuzz for some minutes with seeds that nobody has run: ``make fuzz MINUTES=30``, or here:

    python -m fuzz --minutes 30             a fresh start, printed, so that the run can be repeated with --start
    python -m fuzz --start 123 --count 50   these seeds
    python -m fuzz --show 123               one program, and what the oracles say of it

Each mismatch is shrunk and printed as a few lines of Python; those that shrink to the same operations are counted
together.  The exit status is 1 if there was a mismatch that ``known.py`` has no reason for.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator

import numpy as np

from .generate import EDITION, program
from .known import accepted, reason
from .oracles import ORACLES, Eager, Mismatch, check
from .program import Program
from .shrink import shrink


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=None, help="how long (default: 1, or until --count is done)")
    parser.add_argument("--count", type=int, default=None, help="how many seeds")
    parser.add_argument("--start", type=int, default=None, help="the first seed (default: a fresh one)")
    parser.add_argument("--show", type=int, default=None, help="print the program of a seed and what is said of it")
    parser.add_argument("--edition", type=int, default=EDITION, help="of --show: the operations that are drawn")
    settings = parser.parse_args()
    warnings.simplefilter("ignore")
    if settings.show is not None:
        return show(settings.show, settings.edition)
    start = secrets.randbelow(2**40) if settings.start is None else settings.start
    minutes = settings.minutes or (1.0 if settings.count is None else float("inf"))
    print(f"seeds from {start}: repeat with python -m fuzz --start {start}", flush=True)
    return report(start, minutes, settings.count)


def report(start: int, minutes: float, count: int | None) -> int:
    """Run, print each new mismatch as it is found, then the sums; 1 if there was any."""
    kinds: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for seed, mismatch in mismatches(start, minutes, count, asked):
        if why := accepted(mismatch):
            reasons[why] += 1
            continue
        small = shrink(mismatch)
        if reason(small):  # shrinking came to another one, which is accepted
            small = mismatch
        kind = f"{small.oracle}: {', '.join(s.operation for s in small.program.steps)}"
        kinds[kind] += 1
        if kinds[kind] == 1:
            print(f"\n# seed {seed}\n{small}", flush=True)
    print(f"\n{asked['programs']} programs, asked: {', '.join(f'{k} {n}' for k, n in asked.items())}")
    for why, n in reasons.most_common():
        print(f"accepted {n}: {why}")
    for kind, n in kinds.most_common():
        print(f"MISMATCH {n}: {kind}")
    print(f"{sum(kinds.values())} mismatches of {len(kinds)} kinds")
    return 1 if kinds else 0


def mismatches(start: int, minutes: float, count: int | None, asked: Counter[str]) -> Iterator[tuple[int, Mismatch]]:
    end = time.monotonic() + 60 * minutes
    seed = start
    while time.monotonic() < end and (count is None or seed < start + count):
        p = program(seed)
        asked["programs"] += 1
        tally(p, asked)
        for mismatch in check(p):
            yield seed, mismatch
        seed += 1


def tally(p: Program, asked: Counter[str]) -> None:
    """Count which oracles are asked of a program."""
    with np.errstate(all="ignore"):
        try:
            results = Eager(p)
            asked["finite"] += results.finite
            for name, _, when in ORACLES:
                asked[name] += when(results)
        except Exception:
            asked["raises"] += 1


def show(seed: int, edition: int) -> int:
    p = program(seed, edition)
    print(p.reproducer())
    found = check(p)
    for mismatch in found:
        print(
            f"# {mismatch.oracle}: {mismatch.says} {'(accepted: ' + why + ')' if (why := accepted(mismatch)) else ''}"
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
