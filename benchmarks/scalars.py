"""Scalars beside plain Python floats, micrograd and CasADi, scalar programs, and the expansion of LeNet into scalars.

    python benchmarks/scalars.py [--rounds 5]

An MLP (2-16-16-1, hinge loss over 100 points), a 5x5 convolution and a chain are recorded and differentiated in turn by
the compiled Scalar, the one in Python, micrograd and CasADi where they are installed, and calculated with plain floats;
medians in nanoseconds an operation, and ratios within this run.  The same programs recorded once and run on other
inputs: floats, an array, and 256 arrays at once in float64 and float32.  Then the time and memory of ``expand``,
``sweep`` and ``run``.
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
from functools import partial
from statistics import median
from typing import Any

import numpy as np

import autoconv as ac
from autoconv.scalar import expand, floor, floors, scalar
from autoconv.scalar.replay import ScalarProgram

try:
    from micrograd.engine import Value
except ImportError:
    Value = None
try:
    import casadi
except ImportError:
    casadi = None


def relu(x: Any) -> Any:
    if type(x) is float:
        return x if x > 0 else 0.0
    return casadi.fmax(x, 0) if casadi and type(x) is casadi.SX else x.relu()


def symbol(_: float) -> Any:
    """A CasADi input: its programs are written with symbols, and numbers come at the end."""
    return casadi.SX.sym("x")


def mlp(w: list[Any]) -> Any:
    """Hinge loss of a 2-16-16-1 MLP with the parameters ``w`` over 100 points, with regularisation."""
    draw = random.Random(0)
    points = [(draw.gauss(0, 1), draw.gauss(0, 1)) for _ in range(100)]
    layers, k = [], 0
    for m, n in SIZES:
        layers.append([(w[k + j * (m + 1) : k + j * (m + 1) + m], w[k + j * (m + 1) + m]) for j in range(n)])
        k += n * (m + 1)
    loss: Any = 0.0
    for point in points:
        h: Any = point
        for layer in layers:
            rows = []
            for ws, act in layer:
                for a, x in zip(ws, h):  # noqa: B905
                    act = act + a * x
                rows.append(act if layer is layers[-1] else relu(act))
            h = rows
        loss = loss + relu(h[0] * (-1.0 if point[0] * point[1] > 0 else 1.0) + 1.0) * 0.01
    for v in w:
        loss = loss + v * v * 1e-4
    return loss


def conv(w: list[Any]) -> Any:
    """Squared error of a 3x3 kernel over a 5x5 image."""
    kernel, image = w[:9], w[9:]
    loss: Any = 0.0
    for i in range(3):
        for j in range(3):
            d: Any = -1.0
            for a in range(3):
                for b in range(3):
                    d = d + kernel[3 * a + b] * image[5 * (i + a) + j + b]
            loss = loss + d * d
    return loss


def chain(w: list[Any]) -> Any:
    """c = a * c + b, 5,000 times: as long as micrograd's recursion goes in a large stack."""
    a, b, c = w
    for _ in range(5000):
        c = a * c + b
    return c


def long_chain(w: list[Any]) -> Any:
    """The same 500,000 times."""
    a, b, c = w
    for _ in range(500_000):
        c = a * c + b
    return c


SIZES = ((2, 16), (16, 16), (16, 1))
INPUTS = {mlp: sum((m + 1) * n for m, n in SIZES), conv: 34, chain: 3, long_chain: 3}


def numbers(program: Callable[..., Any]) -> list[float]:
    """The same inputs for every entrant."""
    draw = random.Random(1)
    return [0.999999, 1.000001, 0.5] if INPUTS[program] == 3 else [draw.uniform(-1, 1) for _ in range(INPUTS[program])]


class Counter:
    """Counts the operations of a program."""

    n = 0

    def operation(self, *_: Any) -> Counter:
        Counter.n += 1
        return self

    __add__ = __radd__ = __mul__ = __rmul__ = relu = operation


def operations(program: Callable[..., Any]) -> int:
    Counter.n = 0
    program([Counter() for _ in range(INPUTS[program])])
    return Counter.n


def timed(program: Callable[..., Any], make: Any) -> tuple[float, float, float]:
    """Seconds to record, seconds to sweep, and the value."""
    at = numbers(program)
    start = time.perf_counter()
    inputs = [make(v) for v in at]
    y = program(inputs)
    between = time.perf_counter()
    if make is float:
        return between - start, 0.0, y
    if make is symbol:
        variables = casadi.vertcat(*inputs)
        casadi.gradient(y, variables)
        return between - start, time.perf_counter() - between, float(casadi.Function("f", [variables], [y])(at))
    y.backward()
    return between - start, time.perf_counter() - between, y.data


def bytes_of(program: Callable[..., Any], make: Any) -> float:
    """Memory an operation, recording and gradients, after the sweep."""
    at = numbers(program)
    held = [program([make(v) for v in at]) for _ in range(3)]  # so that no buffer of an earlier run is used again
    for y in held:
        y.backward()
    gc.collect()
    tracemalloc.start()
    inputs = [make(v) for v in at]
    before = tracemalloc.get_traced_memory()[0]
    y = program(inputs)
    y.backward()
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return kept / operations(program)


def compare(rounds: int) -> list[dict[str, Any]]:
    """Print record and backward times of all, interleaved; returns them as rows
    {program, entrant, record, backward} in ns."""
    entrants = {"plain floats": float} | ({"compiled": floors.native().Scalar} if floors.native() else {})
    entrants |= {"in Python": scalar.Scalar} | ({"micrograd": Value} if Value else {})
    entrants |= {"CasADi": symbol} if casadi else {}
    recursive = ("micrograd", "CasADi")  # the long chain is too deep or too slow for them
    rows: list[dict[str, Any]] = []
    print(f"autoconv.scalar.floor(): {floor()}" + ("" if Value else "; micrograd is not installed"))
    print(
        f"{'program':12}{'operations':>11}  {'entrant':13}"
        f"{'record':>9}{'backward':>10}{'record':>10}{'both':>13}{'memory':>9}"
    )
    print(f"{'':12}{'':11}  {'':13}{'ns':>9}{'ns':>10}{'/ floats':>10}{'/ micrograd':>13}{'bytes':>9}   an operation")
    for program in (mlp, conv, chain, long_chain):
        count = operations(program)
        present = {name: make for name, make in entrants.items() if program is not long_chain or name not in recursive}
        found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in present}
        for _ in range(rounds):
            for name, make in present.items():
                gc.collect()
                runs = [timed(program, make) for _ in range(max(1, 20_000 // count))]
                found[name].append(tuple(median(part) for part in zip(*runs)))  # type: ignore[arg-type]  # noqa: B905
        values = [runs[0][2] for runs in found.values()]
        if max(values) - min(values) > 1e-9 * abs(values[0]):
            raise SystemExit(f"{program.__name__}: the values differ: {values}")
        spent = {name: [median(run[k] for run in runs) / count * 1e9 for k in (0, 1)] for name, runs in found.items()}
        for name, (record, back) in spent.items():
            floats = f"{record / spent['plain floats'][0]:10.2f}"
            peer = f"{sum(spent[name]) / sum(spent['micrograd']):13.4f}" if "micrograd" in spent else f"{'':13}"
            traced = name not in ("plain floats", "CasADi")
            memory = f"{bytes_of(program, present[name]):9.0f}" if traced else ""
            rows.append({"program": program.__name__, "entrant": name, "record": record, "backward": back})
            print(f"{program.__name__:12}{count:11,}  {name:13}{record:9.1f}{back:10.1f}{floats}{peer}{memory}")
    return rows


def replays(rounds: int) -> None:
    """Print the times of recorded programs on new inputs: floats given to ``ac.compile``'s function, and arrays."""
    print(
        f"\n{'program':12}{'operations':>11}{'compiled, floats':>20}{'one input':>20}"
        f"{'256 in float64':>20}{'256 in float32':>20}"
    )
    print(f"{'':12}{'':11}" + f"{'value':>10}{'+ grad':>10}" * 4 + "   ns an operation and input")
    for program in (mlp, conv, chain, long_chain):
        run = ScalarProgram(lambda *w: program(list(w)), INPUTS[program])  # noqa: B023
        at = np.array(numbers(program))
        many = at + 1e-3 * np.random.default_rng(0).normal(size=(256 if run.count < 1e5 else 64, len(at)))
        compiled, floats = ac.compile(lambda *w: program(list(w))), at.tolist()  # noqa: B023
        wrt = tuple(range(len(at)))
        calls: list[tuple[Callable[[], Any], int]] = [
            (lambda: compiled(*floats), 1),  # noqa: B023
            (lambda: compiled.value_and_grad(*floats, wrt=wrt), 1),  # noqa: B023
        ]
        for xs in (at, many, many.astype(np.float32)):
            count = len(xs) if xs.ndim == 2 else 1
            calls += [(partial(run, xs), count), (partial(run.value_and_grad, xs), count)]
        shown = ""
        for call, count in calls:
            call()
            times = []
            for _ in range(max(rounds, min(200, 2_000_000 // run.count)) if floors.native() else 1):
                start = time.perf_counter()
                call()
                times.append(time.perf_counter() - start)
            shown += f"{median(times) / run.count / count * 1e9:10.2f}"
        print(f"{program.__name__:12}{run.count:11,}{shown}")


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


def main(rounds: int) -> list[dict[str, Any]]:
    """All of it, in a thread with a large stack, because micrograd's sort is recursive;
    returns the rows of ``compare``."""
    rows: list[dict[str, Any]] = []

    def run() -> None:
        rows.extend(compare(rounds))
        replays(rounds)
        expansion(rounds)

    limit, stack = sys.getrecursionlimit(), threading.stack_size(1 << 29)
    sys.setrecursionlimit(10**7)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    sys.setrecursionlimit(limit)
    threading.stack_size(stack)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    main(parser.parse_args().rounds)
