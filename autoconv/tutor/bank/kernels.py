"""Mistakes with kernels and matrices: turned, transposed, or of the other convention; vectors along another axis."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from ...functional.axes import BATCH, POSITION, WINDOW
from ...tape import Tensor
from ..run.site import Site, stored
from .contractions import contraction, product_with
from .mistake import Variants, mistake


def _turned(p: Site, turn: Callable[[Any, Any], Any]) -> Variants:
    """A kernel turned: where it meets the gradient, or where its own gradient lands."""
    c = contraction(p)
    if c is None:
        return {}
    variants: Variants = {}
    if c.has_kernel:
        variants["kernel"] = lambda g: c.product(g, turn(p.other(), c.window(c.others)))
    if c.is_kernel:
        variants["kernel gradient"] = lambda g: turn(p.right(g), c.window(c.own))
    return variants


@mistake(
    "kernel not rotated",
    "the gradient of the input was made with the kernel as it stands, not rotated by 180 degrees",
    "Which output did the left neighbour's weight belong to? Follow one cell of the input.",
    "x_bar = full correlation of y_bar with rot180(w)",
    rank=0,
)
def _not_rotated(p: Site) -> Variants:
    return _flipped(p, "kernel")


def _flipped(p: Site, what: str) -> Variants:
    """A kernel (or its gradient) reversed along all its spatial axes, or along one alone."""
    variants = {k: f for k, f in _turned(p, np.flip).items() if k == what}
    c = contraction(p)
    axes = c.window(c.others if what == "kernel" else c.own) if c is not None and variants else ()
    if len(axes) > 1:
        for number in range(len(axes)):
            one = lambda x, own, number=number: np.flip(x, own[number])
            variants[f"along dimension {number} alone"] = _turned(p, one)[what]
    shape = () if len(axes) != 2 else p.other().shape if what == "kernel" else p.x.shape
    if shape and shape[axes[0]] == shape[axes[1]] > 1:
        for turns in (1, 3):
            quarter = lambda x, own, turns=turns: np.rot90(x, turns, own)
            variants[f"by a quarter turn ({turns})"] = _turned(p, quarter)[what]
    return variants


@mistake(
    "kernel gradient reversed",
    "the numbers of the kernel's gradient are rotated by 180 degrees: each landed at the opposite weight",
    "Which cell of the window does w[0, 0] meet?",
    "w_bar[u, v] = sum_ij x[i + u, j + v] * y_bar[i, j] for a cross-correlation",
    rank=0,
)
def _reversed(p: Site) -> Variants:
    return _flipped(p, "kernel gradient")


@mistake(
    "gradient rotated on its way to the kernel",
    "the gradient of the output was rotated by 180 degrees before it met the image in the kernel's gradient",
    "Which output did the weight make from x[0, 0], and which gradient belongs to that output?",
    "w_bar[u, v] = sum_ij x[i + u, j + v] * y_bar[i, j]: nothing is rotated for a cross-correlation",
    rank=1,
)
def _rotated_upstream(p: Site) -> Variants:
    c = contraction(p)
    if c is None or not c.is_kernel:
        return {}
    positions = tuple(i for i, letter in enumerate(c.result) if c.roles[letter] == "positions")
    variants: Variants = {"": lambda g: p.right(np.flip(g, positions))}
    if p.operand.primitive is not None and p.operand.primitive.name == "flip":
        axes = c.window(c.own)
        variants["and the rotation of the kernel forgotten"] = lambda g: np.flip(p.right(np.flip(g, positions)), axes)
    return variants


@mistake(
    "true convolution mistaken for cross-correlation",
    "the backward pass is that of a convolution with a rotated kernel, "
    "but the forward pass is a cross-correlation (or the other way round)",
    "Does your forward pass rotate the kernel?",
    "rotate in the backward pass of the input exactly if the forward pass did not",
    rank=2,
)
def _convention(p: Site) -> Variants:
    turned = list(_turned(p, np.flip).values())
    return {"": turned[0]} if turned else {}


def _exchanged(i: int, j: int, x: Any, axes: tuple[int, ...]) -> Any:
    return x.swapaxes(i, j)


def _right_exchanged(p: Site, i: int, j: int, g: Any) -> Any:
    return p.right(g).swapaxes(i, j)


@mistake(
    "kernel transposed",
    "rows and columns of the kernel were exchanged",
    "Which index of the kernel runs along the rows?",
    "w[u, v] moves u rows down and v columns to the right, forward and backward",
)
def _transposed(p: Site) -> Variants:
    c = contraction(p)
    if c is None:
        return {}
    names = c.others if c.has_kernel else c.own
    shape = p.other().shape if c.has_kernel else p.x.shape
    variants: Variants = {}
    for i, j in combinations(c.window(names), 2):
        if shape[i] == shape[j]:
            variants |= {f"{k} {i} {j}": f for k, f in _turned(p, partial(_exchanged, i, j)).items()}
    return variants


@mistake(
    "matrix not transposed",
    "two axes of equal size were exchanged: W where its transpose belongs, or the gradient in transposed places",
    "y = x W. Which axis of W does the gradient of y meet?",
    "x_bar = y_bar W^T, W_bar = x^T y_bar",
)
def _matrix(p: Site) -> Variants:
    c = contraction(p)
    if c is None:
        return {}
    variants: Variants = {}
    spatial = set(WINDOW + POSITION + BATCH) if c.convolution else set()
    for what, names, shape in (("factor", c.others, p.other().shape), ("gradient", c.own, p.x.shape)):
        for i, j in combinations(range(len(names)), 2):
            if shape[i] == shape[j] > 1 and not {names[i], names[j]} & spatial:
                label = f"{what}, axes {i} and {j}"
                if what == "factor":
                    variants[label] = partial(product_with, c, p.other().swapaxes(i, j))
                else:
                    variants[label] = partial(_right_exchanged, p, i, j)
    for i, j in combinations(range(len(c.result)), 2):
        if p.y.shape[i] == p.y.shape[j] > 1 and not c.convolution:
            variants[f"what arrives, axes {i} and {j}"] = partial(_arriving_exchanged, p, i, j)
    return variants


def _arriving_exchanged(p: Site, i: int, j: int, g: Any) -> Any:
    return p.right(g.swapaxes(i, j))


@mistake(
    "a vector along the wrong axis",
    "a vector (a bias, gamma) was laid along another axis of the same length, or its gradient summed over other axes",
    "Which axis of the image does this vector have a number for?",
    "name every axis: gamma.reshape(1, C, 1, 1) goes with NCHW, and gamma_bar sums over n, h and w",
)
def _along_another(p: Site) -> Variants:
    variants: Variants = {}
    if p.row == "broadcast_to" and stored(p.operand) and (n := _length(p.x)) and p.y.size > n:
        for axis in [i for i, m in enumerate(p.y.shape) if m == n]:
            rest = tuple(i for i in range(p.y.ndim) if i != axis)
            variants[f"summed over all axes but {axis}"] = partial(_summed_over, p, rest)
    if p.row == "mul" and p.x.shape == p.y.shape:
        vector = _source(p.line.operands[1 - p.k])
        n = _length(vector.value) if stored(vector) else 0
        for axis in [i for i, m in enumerate(p.y.shape) if m == n > 1 and p.y.size > n]:
            laid = vector.value.reshape([-1 if i == axis else 1 for i in range(p.y.ndim)])
            variants[f"the factor along axis {axis}"] = partial(np.multiply, laid)
    return variants


def _summed_over(p: Site, axes: tuple[int, ...], g: Any) -> Any:
    return g.sum(axis=axes).reshape(p.x.shape)


def _length(x: Any) -> int:
    """The length of a vector, whose other axes may have length 1; 0 of anything else."""
    return int(np.size(x)) if np.size(x) == max(np.shape(x), default=0) > 1 else 0


def _source(line: Tensor) -> Tensor:
    while line.primitive is not None and (line.primitive.rearranges or line.primitive.name == "broadcast_to"):
        line = line.operands[0]
    return line
