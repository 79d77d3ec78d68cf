"""Scalars against micrograd, and the expansion of LeNet into scalars.

    python benchmarks/scalar.py [--rounds 5]

Records and differentiates an MLP (2-16-16-1, hinge loss over 100 points), a 5x5 convolution and a chain, in turn with
micrograd where that is installed (pip install micrograd), with Python's garbage collector as it is and switched off, and
prints medians in nanoseconds an operation and their ratio.  Then the time and memory of ``expand``, ``sweep`` and ``run``.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

import autoconv as ac
from autoconv.scalar import Scalar, expand

try:
    from micrograd.engine import Value
except ImportError:
    Value = None


def mlp(make: Callable[[float], Any]) -> Any:
    """Hinge loss of a 2-16-16-1 MLP over 100 points, with regularisation."""
    draw = random.Random(0)
    points = [(draw.gauss(0, 1), draw.gauss(0, 1)) for _ in range(100)]
    layers = [
        [([make(draw.uniform(-1, 1)) for _ in range(m)], make(0.0)) for _ in range(n)]
        for m, n in ((2, 16), (16, 16), (16, 1))
    ]
    loss = make(0.0)
    for point in points:
        h: Any = point
        for layer in layers:
            last = layer is layers[-1]
            h = [act if last else act.relu() for act in (sum((w * x for w, x in zip(ws, h)), b) for ws, b in layer)]  # noqa: B905
        loss = loss + (h[0] * (-1.0 if point[0] * point[1] > 0 else 1.0) + 1.0).relu() * 0.01
    for layer in layers:
        for ws, _ in layer:
            for w in ws:
                loss = loss + w * w * 1e-4
    return loss


def conv(make: Callable[[float], Any]) -> Any:
    """Squared error of a 3x3 kernel over a 5x5 image."""
    draw = random.Random(0)
    kernel, image = [[make(draw.gauss(0, 1)) for _ in range(n)] for n in (9, 25)]
    loss = make(0.0)
    for i in range(3):
        for j in range(3):
            d = sum((kernel[3 * a + b] * image[5 * (i + a) + j + b] for a in range(3) for b in range(3)), make(-1.0))
            loss = loss + d * d
    return loss


def chain(make: Callable[[float], Any]) -> Any:
    """c = a * c + b, 5,000 times: as long as micrograd's recursion goes in a large stack."""
    a, b, c = make(0.999999), make(1.000001), make(0.5)
    for _ in range(5000):
        c = a * c + b
    return c


class Counter:
    """Counts the operations of a program."""

    n = 0

    def operation(self, *_: Any) -> Counter:
        Counter.n += 1
        return self

    __add__ = __radd__ = __mul__ = __rmul__ = relu = operation


def timed(program: Callable[..., Any], make: Any) -> tuple[float, float, float]:
    """Seconds to record, seconds to sweep, and the value."""
    start = time.perf_counter()
    y = program(make)
    between = time.perf_counter()
    y.backward()
    return between - start, time.perf_counter() - between, y.data


def compare(rounds: int) -> None:
    """Print record and backward times of both, interleaved."""
    entrants = {"autoconv": Scalar} | ({"micrograd": Value} if Value else {})
    if not Value:
        print("micrograd is not installed: ours alone is timed")
    print(f"{'program':24}{'operations':>11}  {'entrant':10}{'record':>9}{'backward':>10}   ns an operation")
    for program, collecting in ((mlp, True), (mlp, False), (conv, True), (chain, True)):
        Counter.n = 0
        program(lambda value: Counter())
        found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in entrants}
        for _ in range(rounds):
            for name, make in entrants.items():
                gc.collect()
                if not collecting:
                    gc.disable()
                repeats = max(1, 20_000 // Counter.n)
                runs = [timed(program, make) for _ in range(repeats)]
                gc.enable()
                found[name].append(tuple(median(part) for part in zip(*runs)))  # type: ignore[arg-type]  # noqa: B905
        values = [runs[0][2] for runs in found.values()]
        if max(values) - min(values) > 1e-9 * abs(values[0]):
            raise SystemExit(f"{program.__name__}: the values differ: {values}")
        totals = {}
        for name, runs in found.items():
            record, back = (median(run[k] for run in runs) / Counter.n * 1e9 for k in (0, 1))
            totals[name] = record + back
            label = program.__name__ + ("" if collecting else " (collector off)")
            print(f"{label:24}{Counter.n:11,}  {name:10}{record:9.0f}{back:10.0f}")
        if Value:
            print(f"{'':24}{'':11}  ratio     {totals['micrograd'] / totals['autoconv']:9.1f}")


def lenet() -> Any:
    """Squared error of LeNet-5 on one 28x28 image."""
    rng = np.random.default_rng(0)
    shapes = {"w1": (5, 5, 1, 6), "b1": (6,), "w2": (5, 5, 6, 16), "b2": (16,), "w3": (400, 120), "b3": (120,)}
    shapes |= {"w4": (120, 84), "b4": (84,), "w5": (84, 10), "b5": (10,)}
    w = {name: ac.tensor(rng.uniform(-0.1, 0.1, shape), name=name) for name, shape in shapes.items()}
    x = ac.tensor(rng.normal(size=(28, 28, 1)), name="x")
    h = ac.max_pool2d(ac.relu(ac.conv2d(x, w["w1"], w["b1"], padding=2)), 2)
    h = ac.max_pool2d(ac.relu(ac.conv2d(h, w["w2"], w["b2"])), 2).reshape(400)
    h = ac.relu(ac.relu(h @ w["w3"] + w["b3"]) @ w["w4"] + w["b4"])
    d = h @ w["w5"] + w["b5"] - np.eye(10)[3]
    return (d * d).sum()


def expansion(rounds: int) -> None:
    """Print time and memory of the scalar form of LeNet."""
    y = lenet()
    times: dict[str, list[float]] = {"expand": [], "sweep": [], "run": []}
    for _ in range(rounds):
        start = time.perf_counter()
        flat = expand(y)
        times["expand"].append(time.perf_counter() - start)
        start = time.perf_counter()
        flat.sweep()
        times["sweep"].append(time.perf_counter() - start)
        start = time.perf_counter()
        flat.run(flat.value[flat.inputs])
        times["run"].append(time.perf_counter() - start)
    tracemalloc.start()
    flat = expand(y)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    spent = "   ".join(f"{name} {median(t) * 1e3:.1f} ms" for name, t in times.items())
    print(f"\nLeNet-5, one image: {flat.count:,} scalar operations, {len(flat):,} scalars   {spent}")
    rate = flat.count / median(times["expand"]) / 1e6
    print(f"{rate:.1f} million operations expanded a second   memory {kept / 1e6:.0f} MB, at most {peak / 1e6:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    compare(rounds)
    expansion(rounds)


if __name__ == "__main__":  # in a thread with a large stack, because micrograd's sort is recursive
    sys.setrecursionlimit(10**7)
    threading.stack_size(1 << 29)
    thread = threading.Thread(target=main)
    thread.start()
    thread.join()
