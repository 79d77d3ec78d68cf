"""Compiled functions on XLA beside hand-written JAX: one training step, in the same process, in turn.

    python benchmarks/xla.py [--turns 60] [--nets lenet cnn32 resnet20 ...]

The peer is ``entrants/jax_.py``: its convolutions, ``value_and_grad``, jit with donation.  Both begin with the same
parameters, and the first losses must agree before anything is timed.  Printed for each net: medians, their ratio, the
ratio of the fastest steps, the time until the first loss (with compilation), and the memory that XLA has planned for a
step (arguments, results and what lies between, less what is donated).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

sys.path[:0] = [str(Path(__file__).parent / "entrants"), str(Path(__file__).parent)]

import jax  # noqa: E402
import jax_  # noqa: E402
import nets  # noqa: E402
import ours  # noqa: E402

import autoconv as ac  # noqa: E402
from autoconv.xla import library  # noqa: E402


def resnet20() -> nets.Net:
    """ResNet-20 for 32 x 32 images: He et al., 2016, with convolutions of stride 2 between the stages."""
    layers: list[nets.Layer] = []
    before = 3
    for channels, stride in ((16, 1), (32, 2), (64, 2)):
        layers += [nets.Conv(before, channels, (3, 3), stride, padding=1), nets.BatchNorm(channels), nets.ReLU()]
        for _ in range(3):
            layers += [nets.block(channels), nets.ReLU()]
        before = channels
    return nets.Net((32, 32, 3), (*layers, nets.Mean(), nets.Linear(64, 10)), 32)


def on_xla(net: nets.Net, batch: int) -> Callable[[], float]:
    """The step of an ordinary model of modules, compiled for XLA."""
    model, (x, y) = ours.model(net), nets.data(net, batch)
    optimizer = ac.optim.SGD(model.parameters(), lr=nets.RATE)
    program = ac.compile(lambda x, y: ac.losses.cross_entropy(model(x), y), backend="xla")
    return lambda: float(program.step(optimizer, x, y))


class Planned:
    """Keeps what ``jax.jit`` has made inside, to be asked for its memory: (function, the shapes that it was given)."""

    def __init__(self) -> None:
        self.made: list[tuple[Any, Any]] = []
        self._jit = jax.jit

    def __enter__(self) -> Planned:
        def watched(function: Any, **settings: Any) -> Any:
            jitted = self._jit(function, **settings)
            place = len(self.made)
            self.made.append((jitted, None))

            class Watched:
                eval_shape = staticmethod(jitted.eval_shape)

                def __call__(_, *operands: Any) -> Any:  # noqa: N805
                    if self.made[place][1] is None:
                        like = lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype)
                        self.made[place] = jitted, jax.tree.map(like, operands)
                    return jitted(*operands)

            return Watched()

        jax.jit = library.jax.jit = watched
        return self

    def __exit__(self, *error: object) -> None:
        jax.jit = library.jax.jit = self._jit

    def memory(self) -> int:
        """The most bytes of one of the functions."""
        found = [0]
        for jitted, shapes in self.made:
            if shapes is not None:
                with jax.enable_x64(True):
                    said = jitted.lower(*shapes).compile().memory_analysis()
                whole = said.argument_size_in_bytes + said.output_size_in_bytes + said.temp_size_in_bytes
                found.append(whole - said.alias_size_in_bytes)
        return max(found)


def raced(name: str, net: nets.Net, turns: int) -> str:
    firsts, steps, losses, memory = [], [], [], []
    jax.jit(lambda x: x + 1)(1.0).block_until_ready()  # JAX itself is there before anything is timed
    for make in (on_xla, jax_.step):
        with Planned() as planned:
            start = perf_counter()
            step = make(net, net.batch)
            losses.append([step()])
            firsts.append(perf_counter() - start)
            losses[-1] += [step(), step()]
        memory.append(planned.memory())
        steps.append(step)
    if any(abs(a - b) > 2e-3 * max(1, abs(a)) for a, b in zip(*losses, strict=True)):
        sys.exit(f"{name}: the losses differ, nothing is timed: {losses}")
    times: list[list[float]] = [[], []]
    for _ in range(turns):
        for step, taken in zip(steps, times, strict=True):
            start = perf_counter()
            step()
            taken.append(perf_counter() - start)
    ours_, theirs = map(median, times)
    return (
        f"| {name} | {net.batch} | {1e3 * ours_:.2f} | {1e3 * theirs:.2f} | {ours_ / theirs:.2f} | "
        f"{min(times[0]) / min(times[1]):.2f} | {firsts[0]:.1f} | {firsts[1]:.1f} | {memory[0] / memory[1]:.2f} |"
    )


def main() -> None:
    known = {**nets.NETS, "resnet20": resnet20()}
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--turns", type=int, default=60)
    options.add_argument(
        "--nets", nargs="+", choices=known, default=["lenet", "cnn32", "resnet20", "residual", "depthwise", "3-D"]
    )
    asked = options.parse_args()
    print(f"JAX {jax.__version__} on {jax.devices()[0].device_kind}, {asked.turns} steps of each, in turn\n")
    print("| net | batch | XLA ms | JAX ms | ratio | of the fastest | first s | JAX first s | memory |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in asked.nets:
        print(raced(name, known[name], asked.turns), flush=True)


if __name__ == "__main__":
    main()
