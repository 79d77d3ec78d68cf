"""The geometries that are tried, smallest ideas first: each row shows mistakes that others hide.

Where all sizes are alike, a function that tells axes by their sizes takes one for another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .layer import Try, rows

# words, examples, channels, height, width, filters, kernel height and width, stride, padding, dilation
CONV = [
    ("one window", 1, 1, 3, 3, 1, 3, 3, 1, 0, 1),
    ("windows side by side", 1, 1, 4, 4, 1, 2, 2, 2, 0, 1),
    ("overlapping windows", 1, 1, 3, 4, 1, 2, 2, 1, 0, 1),
    ("several examples", 3, 1, 3, 3, 1, 2, 2, 1, 0, 1),
    ("several channels", 1, 3, 3, 3, 1, 2, 2, 1, 0, 1),
    ("several filters", 1, 1, 3, 3, 3, 2, 2, 1, 0, 1),
    ("padding 1", 1, 1, 3, 3, 1, 3, 3, 1, 1, 1),
    ("padding 2", 1, 2, 3, 4, 2, 3, 3, 1, 2, 1),
    ("an image and a kernel that are not square", 2, 2, 4, 6, 3, 2, 3, 1, 0, 1),
    ("padding 1 and several of everything", 2, 3, 5, 5, 4, 3, 3, 1, 1, 1),
    ("as many of everything", 3, 3, 3, 3, 3, 2, 2, 1, 0, 1),
    ("as many of everything, with padding", 3, 3, 3, 3, 3, 3, 3, 1, 1, 1),
    ("stride 2 and windows side by side", 2, 3, 4, 6, 2, 2, 2, 2, 0, 1),
    ("stride 2 and padding 1", 2, 2, 5, 7, 3, 3, 3, 2, 1, 1),
    ("a stride larger than the kernel", 2, 2, 5, 8, 3, 2, 2, 3, 0, 1),
]
CONV_REST = [("a rest that no window covers", 2, 2, 6, 8, 3, 3, 3, 2, 0, 1)]
CONV_DILATED = [
    ("dilation 2", 1, 2, 5, 6, 3, 2, 2, 1, 0, 2),
    ("dilation 2, stride 2 and padding 1", 2, 2, 6, 8, 3, 2, 2, 2, 1, 2),
]
# words, examples, channels, length, filters, kernel length, stride, padding
CONV_1D = [
    ("one window", 1, 1, 3, 1, 3, 1, 0),
    ("windows side by side", 1, 1, 4, 1, 2, 2, 0),
    ("overlapping windows", 1, 1, 5, 1, 3, 1, 0),
    ("several examples", 3, 1, 4, 1, 2, 1, 0),
    ("several channels", 1, 3, 4, 1, 2, 1, 0),
    ("several filters", 1, 1, 4, 3, 2, 1, 0),
    ("several of everything", 2, 3, 6, 4, 3, 1, 0),
    ("as many of everything", 3, 3, 3, 3, 2, 1, 0),
    ("padding 1", 1, 2, 4, 2, 3, 1, 1),
    ("as many of everything, with padding", 3, 3, 3, 3, 3, 1, 1),
    ("stride 2 and padding 1", 2, 3, 7, 2, 3, 2, 1),
    ("a stride larger than the kernel", 2, 2, 8, 3, 2, 3, 0),
]
# words, examples, channels, height, width, window height and width, stride
POOL = [
    ("one window", 1, 1, 2, 2, 2, 2, 2),
    ("windows side by side", 1, 1, 4, 4, 2, 2, 2),
    ("overlapping windows", 1, 1, 3, 4, 2, 2, 1),
    ("several examples", 3, 1, 4, 4, 2, 2, 2),
    ("several channels", 1, 3, 4, 4, 2, 2, 2),
    ("an image and a window that are not square", 2, 3, 4, 6, 2, 3, 1),
    ("overlapping windows and several of everything", 2, 3, 5, 6, 3, 3, 1),
    ("as many of everything", 3, 3, 3, 3, 2, 2, 1),
    ("overlapping windows with stride 2", 2, 3, 5, 7, 3, 3, 2),
    ("a stride larger than the window", 2, 3, 5, 8, 2, 2, 3),
]
POOL_REST = [("a rest that no window covers", 2, 2, 5, 7, 2, 2, 2)]


def distinct(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Numbers of both signs of which no two are near each other: no kink is near, whatever is compared."""
    n = int(np.prod(shape))
    values = (np.arange(n) - (n - 1) / 2 + 0.3 * rng.uniform(-1, 1, n)) / max(1.0, n / 4)
    return rng.permutation(values).reshape(shape)


def conv_tries(
    table: list[tuple[Any, ...]],
    *,
    last: bool = False,
    kernel: str = "OIHW",
    square: bool = False,
    bias: Callable[[int], tuple[int, ...]] | None = lambda n: (n,),
    names: tuple[str, ...] = ("x", "w", "b"),
    settings: tuple[str, ...] = ("stride", "pad"),
    only: Callable[..., bool] = lambda **_: True,
    resting: bool = False,
) -> list[Try]:
    """A table of convolutions as tries: images NCHW or (``last``) NHWC, the kernel's axes in the order ``kernel``."""

    def make(rng: Any, words: str, n: int, c: int, h: int, w: int, f: int, a: int, b: int, *rest: int) -> Try:
        stride, pad, dilation = rest
        image = (n, h, w, c) if last else (n, c, h, w)
        shape = tuple({"O": f, "I": c, "H": a, "W": a if square else b}[axis] for axis in kernel)
        arrays = {names[0]: rng.normal(size=image), names[1]: rng.normal(size=shape)}
        if bias:
            arrays[names[2]] = rng.normal(size=bias(f))
        given = {"stride": stride, "pad": pad, "dilation": dilation}
        wide = a if square else b
        uncovered = any((size + 2 * pad - (k - 1) * dilation - 1) % stride for size, k in ((h, a), (w, wide)))
        beyond = uncovered and resting
        return Try(words, arrays, {k: v for k, v in given.items() if k in settings}, rest=beyond, uncovered=beyond)

    chosen = [
        row for row in table
        if only(stride=row[8], pad=row[9], dilation=row[10], kernel=row[6:8])
        and (("dilation" in settings) or row[10] == 1)
    ]  # fmt: skip
    return rows(chosen, make)


def conv1d_tries(
    table: list[tuple[Any, ...]],
    *,
    names: tuple[str, ...] = ("A", "W", "b"),
) -> list[Try]:
    """A table of convolutions of signals (N, C, L) with kernels (out, in, k); without a bias for two names."""

    def make(rng: Any, words: str, n: int, c: int, length: int, f: int, k: int, stride: int, pad: int) -> Try:
        shapes = [(n, c, length), (f, c, k), (f,)]
        arrays = {name: rng.normal(size=shape) for name, shape in zip(names, shapes, strict=False)}
        return Try(words, arrays, {"stride": stride, "pad": pad})

    return rows(table, make)


def pool_tries(
    table: list[tuple[Any, ...]],
    *,
    last: bool = False,
    square: bool = False,
    name: str = "x",
    settings: Callable[[int, int, int], dict[str, Any]],
    only: Callable[..., bool] = lambda **_: True,
    ties: bool = True,
    resting: bool = False,
) -> list[Try]:
    """A table of pooling as tries, and one with ties in windows that do not overlap."""

    def make(rng: Any, words: str, n: int, c: int, h: int, w: int, a: int, b: int, stride: int) -> Try:
        b = a if square else b
        image = distinct(rng, *((n, h, w, c) if last else (n, c, h, w)))
        uncovered = bool((h - a) % stride or (w - b) % stride)
        beyond = uncovered and resting
        return Try(words, {name: image}, settings(a, b, stride), rest=beyond, uncovered=beyond)

    made = rows([row for row in table if only(window=row[5:7], stride=row[7])], make)
    if ties and only(window=(2, 2), stride=2):
        values = np.array([[3.0, 3, 1, 2], [0, 3, 2, 2], [1, 0, 4, 4], [1, 1, 4, 4]])
        shape = (1, 4, 4, 1) if last else (1, 1, 4, 4)
        made.append(Try("equal values in a window", {name: values.reshape(shape)}, settings(2, 2, 2), kink="pool"))
    return made
