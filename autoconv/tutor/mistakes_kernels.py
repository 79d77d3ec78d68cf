"""Mistakes with kernels and matrices: turned, transposed, or of the other convention."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from .bank import Ways, mistake
from .mistakes_sums import contraction
from .place import Contraction, Place


def _turned(p: Place, turn: Callable[[Any, Any], Any]) -> Ways:
    """A kernel turned: where it meets the gradient, or where its own gradient lands."""
    c = contraction(p)
    if c is None:
        return {}
    made: Ways = {}
    if c.has_kernel:
        made["kernel"] = lambda g: c.product(g, turn(p.other(), c.window(c.others)))
    if c.is_kernel:
        made["kernel gradient"] = lambda g: turn(p.right(g), c.window(c.own))
    return made


@mistake(
    "kernel not rotated",
    "the gradient of the input was made with the kernel as it stands, not rotated by 180 degrees",
    "Which output did the left neighbour's weight belong to? Follow one cell of the input.",
    "x_bar = full correlation of y_bar with rot180(w)",
    rank=0,
)
def _not_rotated(p: Place) -> Ways:
    return {k: f for k, f in _turned(p, np.flip).items() if k == "kernel"}


@mistake(
    "kernel gradient reversed",
    "the numbers of the kernel's gradient are rotated by 180 degrees: each landed at the opposite weight",
    "Which cell of the window does w[0, 0] meet?",
    "w_bar[u, v] = sum_ij x[i + u, j + v] * y_bar[i, j] for a cross-correlation",
    rank=0,
)
def _reversed(p: Place) -> Ways:
    return {k: f for k, f in _turned(p, np.flip).items() if k == "kernel gradient"}


@mistake(
    "gradient rotated on its way to the kernel",
    "the gradient of the output was rotated by 180 degrees before it met the image in the kernel's gradient",
    "Which output did the weight make from x[0, 0], and which gradient belongs to that output?",
    "w_bar[u, v] = sum_ij x[i + u, j + v] * y_bar[i, j]: nothing is rotated for a cross-correlation",
    rank=1,
)
def _rotated_upstream(p: Place) -> Ways:
    c = contraction(p)
    if c is None or not c.is_kernel:
        return {}
    positions = tuple(i for i, letter in enumerate(c.result) if c.roles[letter] == "positions")
    return {"": lambda g: p.right(np.flip(g, positions))}


@mistake(
    "true convolution mistaken for cross-correlation",
    "the backward pass is that of a convolution with a rotated kernel, but the forward pass is a cross-correlation (or the other way round)",
    "Does your forward pass rotate the kernel?",
    "rotate in the backward pass of the input exactly if the forward pass did not",
    rank=2,
)
def _convention(p: Place) -> Ways:
    turned = list(_turned(p, np.flip).values())
    return {"": turned[0]} if turned else {}


def _exchanged(i: int, j: int, x: Any, axes: tuple[int, ...]) -> Any:
    return x.swapaxes(i, j)


def _product_with(c: Contraction, other: Any, g: Any) -> Any:
    return c.product(g, other)


def _right_exchanged(p: Place, i: int, j: int, g: Any) -> Any:
    return p.right(g).swapaxes(i, j)


@mistake(
    "kernel transposed",
    "rows and columns of the kernel were exchanged",
    "Which index of the kernel runs along the rows?",
    "w[u, v] moves u rows down and v columns to the right, forward and backward",
)
def _transposed(p: Place) -> Ways:
    c = contraction(p)
    if c is None:
        return {}
    names = c.others if c.has_kernel else c.own
    shape = p.other().shape if c.has_kernel else p.x.shape
    made: Ways = {}
    for i, j in combinations(c.window(names), 2):
        if shape[i] == shape[j]:
            made |= {f"{k} {i} {j}": f for k, f in _turned(p, partial(_exchanged, i, j)).items()}
    return made


@mistake(
    "matrix not transposed",
    "two axes of equal size were exchanged: W where its transpose belongs, or the gradient in transposed places",
    "y = x W. Which axis of W does the gradient of y meet?",
    "x_bar = y_bar W^T, W_bar = x^T y_bar",
)
def _matrix(p: Place) -> Ways:
    c = contraction(p)
    if c is None:
        return {}
    made: Ways = {}
    spatial = set("ijkxyzn") if c.convolution else set()
    for what, names, shape in (("factor", c.others, p.other().shape), ("gradient", c.own, p.x.shape)):
        for i, j in combinations(range(len(names)), 2):
            if shape[i] == shape[j] > 1 and not {names[i], names[j]} & spatial:
                label = f"{what}, axes {i} and {j}"
                if what == "factor":
                    made[label] = partial(_product_with, c, p.other().swapaxes(i, j))
                else:
                    made[label] = partial(_right_exchanged, p, i, j)
    return made
