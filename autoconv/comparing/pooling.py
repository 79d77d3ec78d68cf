"""Conventions of pooling: the divisor of a mean, what pads a maximum, which of the two it is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod

import numpy as np

from .contractions import pairs_said
from .site import Site, Try, with_source


def average_pooling(site: Site) -> Iterator[Try]:
    """A window's sum divided by all its cells, or by those that lie in the image."""
    if site.row not in ("div", "mul"):
        return
    for k in range(2):
        total, _ = site.moved_from(k)
        if site.side.row(total) != "sum":
            continue
        inner = Site(site.match, site.which, total)
        source, moves = inner.moved_from(0)
        if not any(primitive.name == "windows" for primitive, _ in moves):
            continue
        real = with_source(inner, 0, moves, np.ones_like(site.value(source)))
        cells = prod(next(params["window"] for primitive, params in moves if primitive.name == "windows"))
        sums = site.value(total)
        words = f"{{}} divides by the {cells} cells of a window, {{}} by those of them in the image (count_include_pad)"
        name = "divisor of average pooling"
        with np.errstate(all="ignore"):
            yield Try(name, words.format(site.me, site.you), sums / real)
            yield Try(name, words.format(site.you, site.me), sums / cells)


def max_pooling(site: Site) -> Iterator[Try]:
    """Padding of a maximum: zeros that take part, or other sides."""
    inside = next((lines for name, lines, _ in site.levels if name.startswith("max_pool")), [])
    frames = next((i for i in inside if site.side.row(i) == "windows"), None)
    if frames is None:
        return
    around = Site(site.match, site.which, frames)
    params = dict(around.line.params)
    source, moves = around.reads[0], []
    while site.side.row(source) in ("take", "pad"):
        moves.append(source)
        source = site.side.operands[source][0]
    x, axes = site.value(source), params["axes"]
    grown = [around.operands[0].shape[a] - x.shape[a] for a in axes]
    last = axes[-1] + 1
    if not any(grown):
        return
    for lows in product(*[range(n + 1) for n in grown]):
        width = [(0, 0)] * x.ndim
        for a, low, n in zip(axes, lows, grown, strict=True):
            width[a] = (low, n - low)
        for fill, word in ((0.0, "zeros that take part in the maximum"), (-np.inf, "nothing")):
            padded = np.pad(x, width, constant_values=fill)
            value = around.primitive.forward(padded, **params).max(tuple(range(last, last + len(axes))))
            cells = pairs_said(width, list(axes))
            yield Try(
                "padding of max pooling", f"{site.you} pads with {word}, {cells} cells (low, high)", value, inside[-1]
            )


def pooling_kind(site: Site) -> Iterator[Try]:
    """The maximum of a window in place of its mean, or the other way round."""
    pools = ((name, lines) for name, lines, _ in site.levels if name.startswith(("max_pool", "avg_pool", "lp_pool")))
    around, pooled = next(pools, ("", []))
    for i in [i for i in pooled if site.side.row(i) == "windows"][-1:]:
        axes = site.side.lines[i].params["axes"]
        seen, last = site.value(i), axes[-1] + 1
        over = tuple(range(last, last + len(axes)))
        for word, value in (
            ("the largest", seen.max(over)),
            ("the mean", seen.mean(over)),
            ("the sum", seen.sum(over)),
        ):
            yield Try(
                "kind of pooling", f"{site.me} has {around}, {site.you} takes {word} of a window", value, pooled[-1]
            )
