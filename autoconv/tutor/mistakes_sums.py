"""Mistakes in sums and contractions: what is summed over, what meets what, and how the kernel is turned."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import combinations
from math import prod
from typing import Any

import numpy as np

from .bank import Ways, mistake
from .place import Contraction, Place

_SUM = "the gradient of something used in many places is the sum over all of them"


def _subsets(c: Contraction) -> dict[str, list[str]]:
    """The sums of a contraction's gradient worth telling apart: by role, and all together."""
    roles = sorted(dict.fromkeys(c.roles[x] for x in c.summed), key=lambda role: role != "positions")
    made = {role: c.of_role(role) for role in roles}
    if len(roles) > 1:
        made["all"] = c.summed
    return made


def _sizes(p: Place, c: Contraction) -> dict[str, int]:
    return dict(zip(c.result + c.others, p.y.shape + p.other().shape, strict=True))


def _contraction(p: Place) -> Contraction | None:
    return Contraction(p) if p.row == "contract" else None


def _broadcast_roles(p: Place) -> dict[str, tuple[int, ...]]:
    """The axes along which a broadcast operand (a bias) was repeated, by role."""
    if p.row != "broadcast_to":
        return {}
    new = p.y.ndim - p.x.ndim
    axes = tuple(range(new)) + tuple(new + i for i, n in enumerate(p.x.shape) if n == 1 and p.y.shape[new + i] != 1)
    made: dict[str, tuple[int, ...]] = {}
    if axes and axes[0] == 0 and p.y.ndim > 1:
        made["batch"] = axes[:1]
    if rest := tuple(a for a in axes if a or p.y.ndim == 1):
        made["positions"] = rest
    if len(made) > 1:
        made["all"] = axes
    return made


def _cut(p: Place, axes: tuple[int, ...], at: int) -> Callable[[Any], Any]:
    """The right rule, fed with the cotangent at one index of ``axes`` and zeros elsewhere."""

    def wrong(g: Any) -> Any:
        kept = np.zeros_like(g)
        key = tuple(
            (slice(at, None) if at == -1 else slice(at, at + 1)) if i in axes else slice(None) for i in range(g.ndim)
        )
        kept[key] = g[key]
        return p.right(kept)

    return wrong


def _one_index(p: Place, wanted: Callable[[str], bool]) -> Ways:
    """Ways in which only the last or first index of a summed role takes part."""
    made: Ways = {}
    if c := _contraction(p):
        for role, letters in _subsets(c).items():
            if wanted(role):
                for word, at in (("last", -1), ("first", 0)):
                    made[f"only the {word} of {role}"] = partial(c.only, other=p.other(), letters=letters, at=at)
    for role, axes in _broadcast_roles(p).items():
        if wanted(role):
            for word, at in (("last", -1), ("first", 0)):
                made[f"only the {word} of {role}"] = _cut(p, axes, at)
    return made


@mistake(
    "sum over positions replaced by the last one",
    "only one position was used, where the gradient is the sum over all positions at which the weight was used",
    "At how many positions of the image was this weight used?",
    _SUM + ": do you write = where += belongs?",
)
def _last(p: Place) -> Ways:
    return {k: v for k, v in _one_index(p, lambda r: r == "positions").items() if not _is_bias(p)}


@mistake(
    "bias not summed over positions",
    "the bias received the gradient of one position instead of the sum over all of them",
    "How many outputs does one bias move?",
    "b_bar[o] = sum over n, i, j of y_bar[n, i, j, o]",
)
def _bias(p: Place) -> Ways:
    return _one_index(p, lambda r: r in ("positions", "all")) if _is_bias(p) else {}


@mistake(
    "broadcast not summed",
    "what was repeated forward was not summed backward",
    "Forward, one number was copied to many places. What does the backward pass do with copies?",
    "the adjoint of a copy to many places is the sum over these places",
    rank=2,
)
def _broadcast(p: Place) -> Ways:
    return _one_index(p, lambda r: True) if p.row == "broadcast_to" and not _is_bias(p) else {}


def _is_bias(p: Place) -> bool:
    return p.row == "broadcast_to" and p.inside("conv")


@mistake(
    "not summed over batch",
    "only one example of the batch was used",
    "How many examples does the loss sum over?",
    "every example contributes: w_bar = sum over n",
)
def _batch(p: Place) -> Ways:
    return _one_index(p, lambda r: r == "batch")


@mistake(
    "not summed over filters",
    "only one filter (output) was pulled back to the input",
    "How many filters read this cell of the input?",
    "x_bar = sum over all filters o of what filter o sends back",
)
def _filters(p: Place) -> Ways:
    return _one_index(p, lambda r: r == "filters")


@mistake(
    "not summed over channels",
    "only one channel took part in the sum",
    "Over which channels does the sum run?",
    "every channel that read the value sends a gradient back: add them",
)
def _channels(p: Place) -> Ways:
    return _one_index(p, lambda r: r in ("channels", "groups") or r.startswith("axis"))


@mistake(
    "product of sums",
    "the sum of the inputs was multiplied with the sum of the gradients, where the gradient is the sum of their products",
    "Does each input meet the gradient of its own output, or of every output?",
    "sum_p (x_p * d_p), not (sum_p x_p) * (sum_p d_p)",
    rank=0,
)
def _product_of_sums(p: Place) -> Ways:
    c = _contraction(p)
    if c is None:
        return {}
    made: Ways = {}
    for role, letters in _subsets(c).items():
        if both := [x for x in letters if x in c.shared]:
            made[f"over {role}"] = partial(c.sums, other=p.other(), letters=both)
    return made


@mistake(
    "mean instead of sum",
    "a mean was taken where the gradient is a sum",
    "Does a weight that is used twice as often move the loss less?",
    _SUM + ", not divided by their number",
)
def _mean(p: Place) -> Ways:
    if c := _contraction(p):
        sizes = _sizes(p, c)
        return {f"over {role}": partial(_divided, p, prod(sizes[x] for x in s)) for role, s in _subsets(c).items()}
    if p.row == "broadcast_to":
        return {
            f"over {role}": partial(_divided, p, prod(p.y.shape[a] for a in axes))
            for role, axes in _broadcast_roles(p).items()
        }
    return {"over all": partial(_divided, p, p.x.size // max(p.y.size, 1))} if p.row == "sum" and p.y.size else {}


def _divided(p: Place, count: int, g: Any) -> Any:
    return p.right(g) / count


def _turned(p: Place, turn: Callable[[Any, Any], Any]) -> Ways:
    """A kernel turned: where it meets the gradient, or where its own gradient lands."""
    c = _contraction(p)
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
    c = _contraction(p)
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
    c = _contraction(p)
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
