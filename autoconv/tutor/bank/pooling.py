"""Mistakes in pooling: where in its window the gradient of a pooled value goes, and how much of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import combinations
from math import prod
from typing import Any

import numpy as np

from ..run.site import Site, counts_terms
from .mistake import Variants, mistake
from .sliding import Sliding, windows_of

Share = Callable[[Sliding], Any]


def _pool(kind: str, p: Site) -> Sliding | None:
    return Sliding(p) if p.row == "windows" and p.pooling == kind else None


def _total(s: Sliding, g: Any) -> Any:
    """What arrives at each window: its frame's cotangents together."""
    return g.sum(axis=s.across, keepdims=True)


def _shares(s: Sliding, g: Any, share: Share) -> Any:
    """The windows' cotangents with each window's total shared out anew by ``share`` (over its flattened cells)."""
    return s.site.right(_total(s, g) * share(s))


def _cell(at: int) -> Share:
    """All of it to one cell of the window, by its place in scan order."""

    def share(s: Sliding) -> Any:
        cells = np.zeros(prod(s.window))
        cells[at if at >= 0 else cells.size + at] = 1
        return s.lifted(cells.reshape(s.window))

    return share


def _even(s: Sliding) -> Any:
    return s.lifted(np.full(s.window, 1 / prod(s.window)))


def winners(s: Any, key: Callable[[Any], Any] = np.asarray) -> Any:
    """1 at the cell of each window whose ``key`` is largest, the first of equal ones."""
    dims = len(s.across)
    moved = np.moveaxis(key(s.site.y), s.across, range(-dims, 0))
    flat = moved.reshape(*moved.shape[:-dims], -1)
    won = np.eye(flat.shape[-1])[flat.argmax(-1)].reshape(moved.shape)
    return np.moveaxis(won, range(-dims, 0), s.across)


def tied_cells(s: Sliding) -> Any:
    """1 at every cell of a window that is as large as its largest."""
    return (s.site.y == s.site.y.max(axis=s.across, keepdims=True)).astype(float)


def outer_axes(p: Site) -> list[int]:
    """The axes of the frames that are neither windows nor their cells: examples, channels."""
    s = Sliding(p)
    return [i for i in range(p.y.ndim) if i not in s.axes and i not in s.across and p.y.shape[i] > 1]


def pooled_after(p: Site, change: Callable[[Any], Any], g: Any) -> Any:
    """A pooling layer's gradient with what arrives at the windows changed first."""
    s = Sliding(p)
    return p.right(change(_total(s, g)) * (winners(s) if p.pooling == "max" else _even(s)))


@mistake(
    "pooling gradient spread evenly",
    "the gradient of a maximum was divided among all cells of its window",
    "Which cells of the window change the maximum when they change a little?",
    "only the winning cell receives the gradient, all of it",
)
def _evenly(p: Site) -> Variants:
    s = _pool("max", p)
    return {"": lambda g: _shares(s, g, _even)} if s else {}


@mistake(
    "pooling gradient copied to every cell",
    "every cell of the window received the whole gradient of the pooled value",
    "What is the sum of the gradients in the window, before and after the pooling layer?",
    "the sum over a window is preserved: max sends all of it to the winner, the mean 1/n to each of n cells",
)
def _copied(p: Site) -> Variants:
    s = _pool("max", p) or _pool("avg", p)
    return {"": lambda g: _shares(s, g, lambda s: s.lifted(np.ones(s.window)))} if s else {}


@mistake(
    "pooling gradient to the wrong cell",
    "the gradient of the pooled value went to a fixed cell of the window (or to the largest, where the mean was taken)",
    "Did you keep the index of the winner in the forward pass?",
    "max: the winner receives the gradient; mean: each of n cells receives 1/n of it",
)
def _wrong_cell(p: Site) -> Variants:
    s = _pool("max", p) or _pool("avg", p)
    if s is None:
        return {}
    cells = {"first": 0, "last": -1} | ({"middle": prod(s.window) // 2} if all(n % 2 for n in s.window) else {})
    variants: Variants = {f"the {word} cell": partial(_shares, s, share=_cell(at)) for word, at in cells.items()}
    if p.pooling == "avg":
        variants["the largest cell"] = lambda g: _shares(s, g, winners)
        variants["to each cell in proportion to its value"] = partial(_shares, s, share=_proportional)
        return variants
    variants |= {f"to {words}": partial(_shares, s, share=share) for words, share in OTHER_CELLS.items()}
    variants["the smallest cell"] = partial(_shares, s, share=lambda s: winners(s, np.negative))
    variants["the cell of largest size, its sign ignored"] = partial(_shares, s, share=lambda s: winners(s, np.abs))
    for a, b in combinations(range(len(s.window)), 2):
        if s.window[a] != s.window[b]:
            continue
        swapped = lambda s, a=a, b=b: winners(s).swapaxes(s.across[a], s.across[b])
        variants[f"the winner's row and column exchanged ({a}, {b})"] = partial(_shares, s, share=swapped)
    for d in range(len(s.window)):
        for word, by in (("behind", 1), ("in front of", -1)):
            shift = tuple(by if i == d else 0 for i in range(len(s.window)))
            variants[f"the cell {word} the winner along dimension {d}"] = s.moved(shift=shift)
    for axis in outer_axes(p):
        what = "example" if axis == 0 and s.axes[0] > 0 else "channel"
        variants[f"the winner of the first {what}"] = partial(_shares, s, share=partial(borrowed, axis))
        variants[f"only where it is the largest of every {what}"] = partial(_shares, s, share=partial(_champions, axis))
    return variants


def _ranked(s: Sliding) -> Any:
    """For each cell its place among those of its window by size, 0 for the smallest."""
    dims = len(s.across)
    moved = np.moveaxis(s.site.y, s.across, range(-dims, 0))
    order = moved.reshape(*moved.shape[:-dims], -1).argsort(-1).argsort(-1).reshape(moved.shape)
    return np.moveaxis(order, range(-dims, 0), s.across)


def _proportional(s: Sliding) -> Any:
    total = s.site.y.sum(axis=s.across, keepdims=True)
    return s.site.y / np.where(total == 0, 1, total)


def _exponential(s: Sliding) -> Any:
    e = np.exp(s.site.y - s.site.y.max(axis=s.across, keepdims=True))
    return e / e.sum(axis=s.across, keepdims=True)


def _up_to(s: Sliding, won: Any) -> Any:
    """1 at the cells of each window up to the winner, in scan order."""
    dims = len(s.across)
    moved = np.moveaxis(won, s.across, range(-dims, 0))
    flat = moved.reshape(*moved.shape[:-dims], -1)
    before = np.cumsum(flat[..., ::-1], axis=-1)[..., ::-1].reshape(moved.shape)
    return np.moveaxis(before, range(-dims, 0), s.across)


def _line_of_winner(at: int, s: Sliding) -> Any:
    """Every cell of the winner's row (at -1: the last axis of the window is summed), or of its column (at 0)."""
    won = winners(s)
    return np.broadcast_to(won.max(axis=s.across[at], keepdims=True), won.shape)


def _first_of_line(at: int, s: Sliding) -> Any:
    """The first cell of the winner's row (at -1), or of its column (at 0): one of its two indices was lost."""
    line = np.array(_line_of_winner(at, s))
    first = np.arange(s.site.y.shape[s.across[at]]) == 0
    return line * first.reshape([-1 if i == s.across[at] else 1 for i in range(line.ndim)])


def _largest_along(at: int, s: Sliding) -> Any:
    """The largest cell of each row of a window (at -1: its last axis is searched), or of each column (at 0)."""
    return (s.site.y == s.site.y.max(axis=s.across[at], keepdims=True)).astype(float)


def _largest_of_all(s: Sliding) -> Any:
    y = s.site.y
    return winners(s) * (y == y.max(axis=(*s.axes, *s.across), keepdims=True))


OTHER_CELLS: dict[str, Share] = {
    "the second largest cell": lambda s: (_ranked(s) == prod(s.window) - 2).astype(float),
    "the two largest cells": lambda s: (_ranked(s) >= prod(s.window) - 2).astype(float),
    "the cell in the middle by size": lambda s: (_ranked(s) == prod(s.window) // 2).astype(float),
    "every cell above the mean of its window": lambda s: (
        s.site.y >= s.site.y.mean(axis=s.across, keepdims=True)
    ).astype(float),
    "every cell but the winner": lambda s: 1 - winners(s),
    "every cell up to the winner": lambda s: _up_to(s, winners(s)),
    "the largest cell of each row": lambda s: (s.site.y == s.site.y.max(axis=s.across[-1], keepdims=True)).astype(
        float
    ),
    "the largest cell of each column": lambda s: (s.site.y == s.site.y.max(axis=s.across[0], keepdims=True)).astype(
        float
    ),
    "every cell in the winner's row": partial(_line_of_winner, -1),
    "every cell in the winner's column": partial(_line_of_winner, 0),
    "the first cell of the winner's row": partial(_first_of_line, -1),
    "the first cell of the winner's column": partial(_first_of_line, 0),
    "each cell in proportion to its value": _proportional,
    "each cell by the softmax of the window": _exponential,
    "the winner, only where it is the largest of all windows": _largest_of_all,
}


def borrowed(axis: int, s: Sliding) -> Any:
    """The winners of the first channel (or example) for all of them."""
    won = winners(s)
    return np.repeat(won.take([0], axis), won.shape[axis], axis)


def _champions(axis: int, s: Sliding) -> Any:
    """The winners that are the largest of all channels (or examples) as well."""
    y = s.site.y
    return winners(s) * (y == y.max(axis=(axis, *s.across), keepdims=True))


@mistake(
    "every tied maximum gets everything",
    "each cell that ties for the maximum received the whole gradient: no subgradient, for the weights of one window "
    "must sum to 1",
    "When both of two equal cells grow by 1, by how much does their maximum grow?",
    "at a tie give everything to one of the winners, or share it out: the weights are >= 0 and sum to 1",
    rank=0,
)
def _all_tied(p: Site) -> Variants:
    s = _pool("max", p)
    if s is None or tied_cells(s).sum() == prod(s.site.y.shape) // prod(s.window):
        return {}
    return {"": partial(_shares, s, share=tied_cells)}


@mistake(
    "the pooled value instead of its mask",
    "the value of the winning cell was multiplied in, where its mask (1 at the winner) belongs",
    "By how much does the maximum grow when the winner grows by 1?",
    "d max / d winner = 1: the mask, not the value",
)
def _valued(p: Site) -> Variants:
    s = _pool("max", p)
    if s is None:
        return {}
    largest = lambda s: s.site.y.max(axis=s.across, keepdims=True)
    return {
        "at the winner": partial(_shares, s, share=lambda s: winners(s) * s.site.y),
        "in every cell of the window": partial(_shares, s, share=lambda s: largest(s) * s.lifted(np.ones(s.window))),
        "the cell's own value in every cell": partial(_shares, s, share=lambda s: s.site.y),
        "the value alone, without what arrives": lambda g: s.site.right(winners(s) * s.site.y),
    }


@mistake(
    "both pooling branches run",
    "the gradient of max pooling and that of average pooling were added up",
    "Which lines of your function run when the mode is 'max'?",
    "elif mode == 'average': one branch or the other",
    rank=0,
)
def _both(p: Site) -> Variants:
    if s := _pool("max", p):
        return {"": partial(_shares, s, share=lambda s: winners(s) + _even(s))}
    if s := _pool("avg", p):
        return {"": partial(_shares, s, share=lambda s: winners(s) + _even(s))}
    return {}


@mistake(
    "divided by the wrong count",
    "the gradient of a mean was divided by another number than that of the terms of the mean",
    "Over how many numbers does one mean run?",
    "each of the n terms of a mean receives y_bar / n",
    rank=0,
)
def _count(p: Site) -> Variants:
    """At the division of an average: by the number of windows, one side of the window, the cells of the image."""
    if p.pooling is None and p.k == 0 and counts_terms(p.line):
        return _count_of_axes(p)
    if p.row != "div" or p.pooling != "avg" or p.k or windows_of(_summed(p)) is None:
        return {}
    s = Sliding(Site(_summed(p), 0))
    n = prod(s.window)
    whole = {
        "the number of windows": prod(s.counts),
        "one side of the window": s.window[0],
        "the two sides added": sum(s.window),
        "the number of cells of the image": prod(s.size),
        "the square of the number of cells": n * n,
    }
    variants: Variants = {f"by {what}": partial(_by, count) for what, count in whole.items() if count != n}
    divisors = {
        "by the whole window, also where it hangs over": np.full(s.counts, n),
        "by the cells inside the image alone": _inside(s, True),
        "by the cells inside the padded image": _inside(s, False),
    }
    for what, counts in divisors.items():
        array = counts.reshape(*(1,) * s.axes[0], *counts.shape, *(1,) * (p.y.ndim - s.axes[0] - counts.ndim))
        if not np.array_equal(np.broadcast_to(array, p.y.shape), np.broadcast_to(p.other(), p.y.shape)):
            variants[what] = partial(_by, array)
    return variants


def _count_of_axes(p: Site) -> Variants:
    """At any other mean: by the length of one axis, by that of all of them, or by one of those of the mean too few."""
    shape = _summed(p).shape
    right = int(p.other().flat[0])
    sizes = {n: f"by the length of axis {i}, {n}" for i, n in reversed([*enumerate(shape)])}
    sizes.setdefault(int(np.prod(shape)), f"by the number of all elements, {int(np.prod(shape))}")
    return {words: partial(_by, n) for n, words in sizes.items() if n not in (1, right)}


def _summed(p: Site) -> Any:
    """What the sum in front of a division runs over."""
    line = p.operand
    while line.primitive is not None and line.primitive.rearranges:
        line = line.operands[0]
    return line.operands[0] if line.primitive is not None and line.primitive.name == "sum" else line


def _by(count: Any, g: Any) -> Any:
    return g / count


def _inside(s: Sliding, real: bool) -> Any:
    """For each window how many of its cells lie in the image (``real``), or in the image with its padding."""
    line = s.image
    width = [(0, 0)] * len(s.axes)
    if line.primitive is not None and line.primitive.name == "pad":
        width = [line.params["width"][a] for a in s.axes]
    counts = np.ones(())
    for cells, size, (low, high) in zip(s.cells, s.size, width, strict=True):
        # windows that hang over are recorded as padding at the end, which exceeds that at the beginning
        bounds = (low, size - high) if real else (0, size - max(high - low, 0))
        counts = np.multiply.outer(counts, ((cells >= bounds[0]) & (cells < bounds[1])).sum(axis=1))
    return np.maximum(counts, 1)
