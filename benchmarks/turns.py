"""Entrants in turn: each is a process of its own, timed in short slices, so that a noisy machine is noisy for all.

A process prints the losses of its first steps, the seconds that the first one took and its memory, and then the times
of a slice of steps for each line it reads.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import nets

HERE = Path(__file__).parent
MODULES = {
    "autoconv compiled": "ours",
    "autoconv channels_first": "ours",
    "autoconv eager": "ours",
    "torch": "pytorch",
    "torch channels_last": "pytorch",
    "torch compile": "pytorch",
    "jax": "jax_",
    "tinygrad": "tinygrad_",
    "HIPS autograd": "hips",
    "onnxruntime": "onnxruntime_",
}
PREDICTING = [name for name in MODULES if name not in ("tinygrad", "HIPS autograd")]
TRAINING = [name for name in MODULES if name != "onnxruntime"]
STEPS = 6  # before anything is timed: their losses must agree
SLICE = 0.12  # seconds


class Entrant:
    """One process: its name, what it said first, and the times it has measured.

    ``table``: "ENTRANTS", who trains, or "PREDICTORS", who only computes the result.
    """

    def __init__(self, name: str, net: str, batch: int, table: str) -> None:
        self.name, self.times = name, []
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  lives as long as the process
        command = [sys.executable, __file__, name, net, str(batch), table]
        quiet = {"OMP_NUM_THREADS": "2", "JAX_PLATFORMS": "cpu", "DEV": "CPU"}
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=os.environ | quiet,
        )

    def begin(self) -> bool:
        """Wait for its first steps; False if it does not run here (``self.why`` says the reason)."""
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            lines = [
                line for line in self.errors.read().splitlines() if re.match(r"[\w.]*(Error|Exception|Exit)", line)
            ]
            self.why = lines[-1][:160] if lines else f"it stopped with status {self.process.returncode}"
            return False
        said = json.loads(line)
        self.losses, self.first, self.memory = said["losses"], said["first"], said["memory"]
        return True

    def turn(self) -> None:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.times += json.loads(self.process.stdout.readline())

    def end(self) -> None:
        self.process.communicate()


def race(
    net: str, batch: int, names: list[str], slices: int, say: Callable[[str], None] = print, table: str = "ENTRANTS"
) -> list[Entrant]:
    """The entrants that run here, timed in turn.  SystemExit if their first losses (or results) differ.

    Each step may add as much again to the difference: a training amplifies what it is rounded by.
    """
    running: list[Entrant] = []
    for name in names:
        entrant = Entrant(name, net, batch, table)
        if entrant.begin():
            running.append(entrant)
        else:
            say(f"  {name} is left out: {entrant.why}")
    for other in running[1:]:
        expected = running[0].losses
        pairs = enumerate(zip(expected, other.losses, strict=True), 1)
        if any(abs(a - b) > 2e-3 * k * max(1, abs(a)) for k, (a, b) in pairs):
            sys.exit(
                f"{net}, batch {batch}: the losses differ, nothing is timed:"
                f"\n  {running[0].name} {expected}\n  {other.name} {other.losses}"
            )
    for _ in range(slices):
        for entrant in running:
            wait_until_quiet()
            entrant.turn()
    for entrant in running:
        entrant.end()
    return running


def wait_until_quiet(most: float = 3.0) -> None:
    """Wait, at most so many seconds, until nobody works:
    the threads of the last entrant spin for a while after its turn."""
    end = perf_counter() + most
    while perf_counter() < end:
        before = working()
        sleep(0.05)
        if before is None or working() - before < 0.3 * 0.05:
            return


def working() -> float | None:
    """Seconds of work that all processors of this machine have done, where the system says so."""
    file = Path("/proc/stat")
    if not file.exists():
        return None
    user, nice, system, _, _, *more = map(int, file.read_text().split("\n", 1)[0].split()[1:8])
    return (user + nice + system + sum(more)) / os.sysconf("SC_CLK_TCK")


def serve(name: str, net: str, batch: int, table: str) -> None:
    """The process of one entrant."""
    sys.path.insert(0, str(HERE / "entrants"))
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print does not belong to the answers
    make = getattr(import_module(MODULES[name]), table)[name]
    before = peak_memory()
    start = perf_counter()
    step = make(nets.named(net), batch)
    losses = [step()]
    first = perf_counter() - start
    losses += [step() for _ in range(STEPS - 1)]
    peak = peak_memory()
    answer({"losses": losses, "first": first, "memory": [peak, peak - before]}, out)
    for _ in sys.stdin:
        step()
        times: list[float] = []
        end = perf_counter() + SLICE
        while len(times) < 3 or perf_counter() < end:
            start = perf_counter()
            step()
            times.append(perf_counter() - start)
        answer(times, out)


def peak_memory() -> float:
    """The most memory in MB that this process has had; getrusage, where it must do,
    counts the one that started it as well."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)


def answer(value: Any, out: Any) -> None:
    out.write(json.dumps(value) + "\n")
    out.flush()


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
