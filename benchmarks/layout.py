"""How long the layout of graphs takes, against their number of nodes.

    python benchmarks/layout.py

Scalars: a 3x3 convolution, relu, 2x2 max pooling and a sum, of growing images, opened down to single operations and
placed on their grids.  Lines: chains with skips, by the layered layout.  Only the layout is timed, in seconds, the best
of three; ``ac.graph`` itself refuses to draw more than 800 nodes.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

import autoconv as ac
from autoconv.render.drawing import size
from autoconv.render.layout import layered
from autoconv.render.scene import arrange
from autoconv.views.graph.describe_scalars import describe_scalars
from autoconv.views.graph.scalars import Scalars


def best(run: Callable[[], object], times: int = 3) -> float:
    found = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found)


def scalars(side: int) -> tuple[int, int, float]:
    """(nodes, edges, seconds) for an image of ``side`` x ``side``."""
    rng = np.random.default_rng(0)
    x, kernel = ac.tensor(rng.normal(size=(side, side)), name="x"), ac.tensor(rng.normal(size=(3, 3)), name="kernel")
    y = ac.max_pool2d(ac.relu(ac.conv2d(x, kernel)), 2).sum()
    flat = ac.expand(y)
    known = Scalars(flat, {}, flat.output, lambda line, primitive: True)
    nodes, edges = describe_scalars(known, ~known.hidden, set(), {})
    sizes = [size(node) for node in nodes]
    return len(nodes), len(edges), best(lambda: arrange(nodes, edges, sizes))


def chain(count: int) -> tuple[int, int, float]:
    """(nodes, edges, seconds) for ``count`` boxes in a row, each of which also reads one up to 40 before it."""
    rng = np.random.default_rng(0)
    edges = [(i, i + 1) for i in range(count - 1)]
    edges += [(max(0, v - 1 - int(rng.integers(40))), v) for v in range(1, count)]
    return count, len(edges), best(lambda: layered([(120, 60)] * count, edges))


if __name__ == "__main__":
    print(f"{'':10} {'nodes':>7} {'edges':>7} {'seconds':>8}")
    for side in (8, 10, 12, 14, 16):
        print("{:10} {:7,} {:7,} {:8.3f}".format("scalars", *scalars(side)))
    for count in (100, 200, 400, 800):
        print("{:10} {:7,} {:7,} {:8.3f}".format("lines", *chain(count)))
