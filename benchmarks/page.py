"""The size of the stepper's page against the size of the tape.

    python benchmarks/page.py

For each net: lines of the tape, events, how many numbers the tape and its gradients hold, the page with what fits into
its budget and with every number, the notebook's bundle, and the time it takes to make the page.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

import autoconv as ac
from autoconv.views.stepper.page import html, trace
from autoconv.views.stepper.stepper import step


def chain(layers: int) -> ac.Tensor:
    """A row of small convolutions and relus on one 8x8 image."""
    rng = np.random.default_rng(0)
    y = ac.tensor(rng.normal(size=(8, 8)), name="image")
    for i in range(layers):
        y = ac.relu(ac.conv2d(y, ac.tensor(rng.normal(size=(3, 3)), name=f"w{i}"), padding=1))
    return ac.sum(y)


def lenet() -> ac.Tensor:
    """LeNet-5 on one 28x28 image."""
    rng = np.random.default_rng(0)
    model = ac.models.lenet((28, 28, 1), 10, rng)
    image = ac.tensor(rng.random((1, 28, 28, 1)).astype("f4"), name="image")
    return ac.losses.cross_entropy(model(image), np.array([3]))


def nets() -> Iterator[tuple[str, Callable[[], ac.Tensor]]]:
    for layers in (1, 4, 16, 64):
        yield f"{layers} layers", lambda layers=layers: chain(layers)
    yield "lenet", lenet


def main() -> None:
    print(
        f"{'net':<10} {'lines':>6} {'events':>7} {'numbers':>9} {'page kB':>8} {'all kB':>8} {'cell kB':>8} {'ms':>6}"
    )
    for name, make in nets():
        stepper = step(make())
        numbers = sum(line.size for line in stepper.tape) + sum(
            x.size for x in stepper.at(len(stepper)).gradients.values()
        )
        start = time.perf_counter()
        page = stepper.page
        took = (time.perf_counter() - start) * 1000
        every = html(trace(stepper, None), "")
        cell = sum(map(len, stepper._repr_mimebundle_().values()))
        print(
            f"{name:<10} {len(stepper.tape):>6,} {len(stepper):>7,} {numbers:>9,} {len(page) / 1000:>8.1f} "
            f"{len(every) / 1000:>8.1f} {cell / 1000:>8.1f} {took:>6.0f}"
        )


if __name__ == "__main__":
    main()
