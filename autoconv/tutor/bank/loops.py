"""Mistakes of the loops in which a backward pass is written: left too early, or only their last pass kept.

What is summed over is told by ``contractions``; here are the loops that fill an array: for every example, window,
filter or channel.  A return inside such a loop leaves zeros everywhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from ..run.site import Site, stored
from .contractions import contraction
from .mistake import Variants, mistake
from .sliding import sliding_of

_AXES = 5


@mistake(
    "loop left too early",
    "only one pass of a loop filled the gradient, and the rest of it stayed zero: a return inside the loop, "
    "or an array made anew in each pass",
    "How many elements of your gradient are zero, and which ones?",
    "return after the loops, not inside; make the array of zeros before the first of them",
)
def _left(p: Site) -> Variants:
    """Only the first (or last) example, channel or filter of a tensor, or window of a layer, has a gradient."""
    variants: Variants = {}
    if p.operand.primitive is None and p.operand.ndim <= _AXES:
        for axes in _subsets([i for i, n in enumerate(p.x.shape) if n > 1]):
            for word, at in (("first", 0), ("last", -1)):
                variants[f"only the {word} along axis {_list(axes)}"] = partial(_one_pass, p.right, axes, at)
    c = contraction(p)
    if c is not None and c.convolution:
        letters = [x for x in c.result if p.y.shape[c.result.index(x)] > 1]
        for chosen in _subsets(letters):
            if all(x in c.summed for x in chosen):
                continue  # a sum over one index: told as such
            for word, at in (("first", 0), ("last", -1)):
                names = " and ".join(dict.fromkeys(c.roles[x] for x in chosen))
                label = f"only the {word} of {names} ({''.join(chosen)})"
                axes = tuple(c.result.index(x) for x in chosen)
                variants[label] = _only_arriving(p.right, axes, at)
    elif p.row == "broadcast_to" and stored(p.operand) and p.y.ndim <= _AXES:
        copies = [i for i in range(p.y.ndim) if i < p.y.ndim - p.x.ndim or p.x.shape[i + p.x.ndim - p.y.ndim] == 1]
        for axes in _subsets([i for i in range(p.y.ndim) if p.y.shape[i] > 1]):
            if set(axes) & set(copies) and not set(axes) <= set(copies):  # a sum over one index is told as such
                for word, at in (("first", 0), ("last", -1)):
                    variants[f"only the {word} along axes {_list(axes)} of what arrives"] = _only_arriving(
                        p.right, axes, at
                    )
    elif p.row == "take" and p.y.ndim <= _AXES and not p.inside("max", "nll"):
        for axes in _subsets([i for i in range(p.y.ndim) if p.y.shape[i] > 1]):
            for word, at in (("first", 0), ("last", -1)):
                variants[f"only the {word} along axes {_list(axes)} of what arrives"] = _only_arriving(
                    p.right, axes, at
                )
    elif p.row == "windows" and (s := sliding_of(p)) is not None and p.pooling:
        outer = [i for i in range(p.y.ndim) if i not in s.across and p.y.shape[i] > 1]
        for group in _subsets(outer):
            if any(i in s.axes for i in group):
                for word, at in (("first", 0), ("last", -1)):
                    variants[f"only the {word} window along axis {_list(group)}"] = _only_arriving(p.right, group, at)
    return variants


@mistake(
    "a pass of a loop left out",
    "the first or the last pass of a loop was left out: range(n - 1), or range(1, n)",
    "For which indices does your loop run, and how many outputs are there?",
    "range(n) runs over 0, 1, .., n - 1: all of them",
    rank=2,
)
def _left_out(p: Site) -> Variants:
    """All but the first (or last) example, filter, window, or row of a window's taps; nothing where there is one."""
    variants: Variants = {}
    c = contraction(p)
    axes: list[tuple[int, str]] = []
    leaf = p.operand.primitive is None and p.x.ndim <= _AXES
    for i in range(p.x.ndim) if leaf else c.window(c.own) if c is not None and c.is_kernel else ():
        for word, at in (("first", 0), ("last", -1)):
            variants[f"all but the {word} of the result, axis {i}"] = partial(_result_without, p, i, at)
    if c is not None and c.convolution:
        axes = [(i, c.roles[x]) for i, x in enumerate(c.result) if c.roles[x] != "window"]
    elif c is not None:
        axes = [(c.result.index(x), c.roles[x]) for x in c.shared]
    elif p.row == "windows" and p.pooling and (s := sliding_of(p)) is not None:
        kinds = dict.fromkeys(s.axes, "windows") | dict.fromkeys(s.across, "a window's cells")
        axes = [(i, kinds.get(i, "axis")) for i in range(p.y.ndim)]
    elif p.row == "windows" and p.inside("conv") and (s := sliding_of(p)) is not None:
        axes = [(i, "taps") for i in s.across]
    elif (p.row == "broadcast_to" and stored(p.operand)) or (p.row == "take" and not p.inside("max", "nll")):
        axes = [(i, "what arrives") for i in range(p.y.ndim)]
    for i, what in axes:
        for word, at in (("first", 0), ("last", -1)):
            variants[f"all but the {word} of {what}, axis {i}"] = partial(_without, p, i, at)
    if p.row == "windows" and p.pooling and (s := sliding_of(p)) is not None and len(s.across) > 1:
        for word, at in (("first", 0), ("last", -1)):
            variants[f"all but the {word} cell of a window"] = partial(_without_cell, p, s.across, at)
            variants[f"all but the {word} of a window's rows and columns"] = partial(_without_edges, p, s.across, at)
    return variants


def _without_cell(p: Site, across: tuple[int, ...], at: int, g: Any) -> Any:
    kept = np.array(g)
    kept[tuple(at if i in across else slice(None) for i in range(g.ndim))] = 0
    return p.right(kept)


def _without_edges(p: Site, across: tuple[int, ...], at: int, g: Any) -> Any:
    kept = np.array(g)
    for i in across:
        kept[(slice(None),) * i + (at,)] = 0
    return p.right(kept)


def _without(p: Site, axis: int, at: int, g: Any) -> Any:
    kept = np.array(g)
    kept[(slice(None),) * axis + (at,)] = 0
    return p.right(kept)


def _result_without(p: Site, axis: int, at: int, g: Any) -> Any:
    right = np.array(p.right(g))
    right[(slice(None),) * axis + (at,)] = 0
    return right


def _list(axes: tuple[int, ...]) -> str:
    return " and ".join(map(str, axes))


def _subsets(axes: list[Any]) -> Iterator[tuple[Any, ...]]:
    for count in range(1, len(axes) + 1):
        yield from combinations(axes, count)


def _kept(x: Any, axes: tuple[int, ...], at: int) -> Any:
    """x with zeros everywhere but at index ``at`` (0 or -1) of ``axes``."""
    kept = np.zeros(x.shape)
    key = tuple((slice(at, None) if at else slice(0, 1)) if i in axes else slice(None) for i in range(x.ndim))
    kept[key] = x[key]
    return kept


def _one_pass(right: Callable[[Any], Any], axes: tuple[int, ...], at: int, g: Any) -> Any:
    kept = _kept(right(g), axes, at)
    return kept if kept.any() else None  # nothing left is no pass of a loop


def _only_arriving(right: Callable[[Any], Any], axes: tuple[int, ...], at: int) -> Callable[[Any], Any]:
    return lambda g: right(_kept(g, axes, at))
