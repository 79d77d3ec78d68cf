"""The time of ``ac.explain`` on LeNet-5 with one 28x28 image: its expansion, one equation after it, and its views.

    python benchmarks/explain.py

The aim is an explanation in under 0.2 s once the tape is expanded.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import autoconv as ac
from autoconv.views.equations.analysis import analysed
from autoconv.views.equations.explain import explain
from autoconv.views.equations.paths import paths


def seconds(f: Callable[[], Any], repeats: int = 5) -> float:
    """The median time of ``f``."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        f()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main() -> None:
    rng = np.random.default_rng(0)
    model = ac.models.lenet((28, 28, 1), 10, rng)
    image = ac.tensor(rng.normal(size=(1, 28, 28, 1)), dtype=np.float32, name="x")
    loss = ac.losses.cross_entropy(model(image), np.array([3]))

    start = time.perf_counter()
    known = analysed(ac.expand(loss), "benchmark")
    expansion = time.perf_counter() - start
    print(f"expansion: {len(known.flat):,} scalars in {expansion:.3f} s, {len(known.flat) / expansion:,.0f} scalars/s")

    weights = dict(model.named_parameters())
    asked = {name: x[(0,) * x.ndim] for name, x in weights.items()} | {"x (centre)": image[0, 14, 14, 0]}
    start = time.perf_counter()
    first = explain(asked["x (centre)"], of=loss)
    first_text = first.text
    print(
        f"first explain with its text ({len(first_text):,} characters), expansion included: "
        f"{time.perf_counter() - start:.3f} s"
    )
    print(f"{'element':18} {'terms':>6} {'explain':>9} {'text':>9} {'html':>9}")
    for name, element in asked.items():
        made = explain(element, of=loss)
        alone = seconds(lambda element=element: explain(element, of=loss).terms)
        text = seconds(lambda element=element: explain(element, of=loss).text)
        html = seconds(lambda element=element: explain(element, of=loss).html)
        print(f"{name:18} {len(made.terms):6} {alone:8.3f}s {text:8.3f}s {html:8.3f}s")
    weight = asked["conv1.weight"]
    print(f"paths (10 largest of {paths(weight, of=loss).count:,.0f}): {seconds(lambda: paths(weight, of=loss)):.3f} s")


if __name__ == "__main__":
    main()
