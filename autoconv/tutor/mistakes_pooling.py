"""Mistakes in pooling layers: where the gradient of a pooled value goes within its window."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .bank import Ways, mistake
from .mistakes_wiring import Sliding
from .place import Place


def _pool(kind: str, p: Place) -> Sliding | None:
    return Sliding(p) if p.row == "windows" and p.pooling == kind else None


def _shares(s: Sliding, g: Any, share: Callable[[Any], Any]) -> Any:
    """The windows' cotangents with each window's total shared out anew by ``share`` (over its flattened cells)."""
    first, dims = s.axes[0], len(s.axes)
    axes = tuple(range(first + dims, first + 2 * dims))
    total = g.sum(axis=axes, keepdims=True)
    return s.place.right(total * share(s))


def _cell(at: int) -> Callable[[Any], Any]:
    """All of it to one cell of the window, by its place in scan order."""

    def share(s: Sliding) -> Any:
        cells = np.zeros(int(np.prod(s.window)))
        cells[at if at >= 0 else cells.size + at] = 1
        return _lifted(s, cells.reshape(s.window))

    return share


def _lifted(s: Sliding, cells: Any) -> Any:
    rest = s.image.ndim - s.axes[-1] - 1
    return cells.reshape(*(1,) * (s.axes[0] + len(s.axes)), *s.window, *(1,) * rest)


def _best(s: Sliding, sign: int = 1) -> Any:
    """1 at the largest (sign -1: smallest) cell of each window."""
    frames = sign * s.place.y
    first, dims = s.axes[0], len(s.axes)
    axes = tuple(range(first + dims, first + 2 * dims))
    moved = np.moveaxis(frames, axes, range(-dims, 0))
    flat = moved.reshape(*moved.shape[:-dims], -1)
    won = np.eye(flat.shape[-1])[flat.argmax(-1)].reshape(moved.shape)
    return np.moveaxis(won, range(-dims, 0), axes)


@mistake(
    "pooling gradient spread evenly",
    "the gradient of a maximum was divided among all cells of its window",
    "Which cells of the window change the maximum when they change a little?",
    "only the winning cell receives the gradient, all of it",
)
def _evenly(p: Place) -> Ways:
    s = _pool("max", p)
    if s is None:
        return {}
    return {"": lambda g: _shares(s, g, lambda s: _lifted(s, np.full(s.window, 1 / np.prod(s.window))))}


@mistake(
    "pooling gradient copied to every cell",
    "every cell of the window received the whole gradient of the pooled value",
    "What is the sum of the gradients in the window, before and after the pooling layer?",
    "the sum over a window is preserved: max sends all of it to the winner, the mean 1/n to each of n cells",
)
def _copied(p: Place) -> Ways:
    s = _pool("max", p) or _pool("avg", p)
    return {"": lambda g: _shares(s, g, lambda s: _lifted(s, np.ones(s.window)))} if s else {}


@mistake(
    "pooling gradient to the wrong cell",
    "the gradient of the pooled value went to a fixed cell of the window (or to the largest, where the mean was taken)",
    "Did you keep the index of the winner in the forward pass?",
    "max: the winner receives the gradient; mean: each of n cells receives 1/n of it",
)
def _wrong_cell(p: Place) -> Ways:
    s = _pool("max", p) or _pool("avg", p)
    if s is None:
        return {}
    cells = {"first": 0, "last": -1} | ({"middle": int(np.prod(s.window)) // 2} if all(n % 2 for n in s.window) else {})
    made: Ways = {f"the {word} cell": partial(_shares, s, share=_cell(at)) for word, at in cells.items()}
    if p.pooling == "avg":
        made["the largest cell"] = lambda g: _shares(s, g, _best)
    else:
        made["the smallest cell"] = lambda g: _shares(s, g, lambda s: _best(s, -1))
    return made
