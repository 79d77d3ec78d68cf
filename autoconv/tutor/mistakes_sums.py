"""Mistakes in sums and contractions: what is summed over, and what meets what."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import numpy as np

from ..tape import Tensor
from .bank import Ways, mistake
from .place import Contraction, Place, stored

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


def contraction(p: Place) -> Contraction | None:
    return Contraction(p) if p.row == "contract" else None


def _broadcast_roles(p: Place) -> dict[str, tuple[int, ...]]:
    """The axes along which a broadcast operand (a bias) was repeated, by role."""
    if p.row != "broadcast_to":
        return {}
    new = p.y.ndim - p.x.ndim
    axes = tuple(range(new)) + tuple(new + i for i, n in enumerate(p.x.shape) if n == 1 and p.y.shape[new + i] != 1)
    last = -1 if p.inside("conv") else p.y.ndim - 1
    made: dict[str, tuple[int, ...]] = {}
    for axis in axes:
        role = "batch" if axis == 0 and p.y.ndim > 1 else "channels" if axis == last > 0 else "positions"
        made[role] = (*made.get(role, ()), axis)
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
    if c := contraction(p):
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
    "not summed over batch",
    "only one example of the batch was used",
    "How many examples does the loss sum over?",
    "every example contributes: w_bar = sum over n",
)
def _batch(p: Place) -> Ways:
    return _one_index(p, lambda r: r == "batch")


@mistake(
    "bias not summed over positions",
    "the bias received the gradient of one position instead of the sum over all of them",
    "How many outputs does one bias move?",
    "b_bar[o] = sum over n, i, j of y_bar[n, i, j, o]",
)
def _bias(p: Place) -> Ways:
    if not _is_bias(p):
        return {}
    roles = _broadcast_roles(p)
    return _one_index(p, lambda r: r != "batch" or len(roles) == 1)


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
    """Whether this is the broadcast of a stored vector that is added, one number for each channel or unit."""
    if (
        "mul" in p.readers
        or "div" in p.readers
        or p.row != "broadcast_to"
        or not stored(p.operand)
        or p.x.size != max(p.x.shape, default=0)
    ):
        return False
    return 0 in _broadcast_roles(p).get("batch", ())


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
    return _one_index(p, lambda r: r in ("channels", "groups")) if not _is_bias(p) else {}


@mistake(
    "product of sums",
    "the sum of the inputs was multiplied with the sum of the gradients, where the gradient is the sum of their products",
    "Does each input meet the gradient of its own output, or of every output?",
    "sum_p (x_p * d_p), not (sum_p x_p) * (sum_p d_p)",
    rank=0,
)
def _product_of_sums(p: Place) -> Ways:
    c = contraction(p)
    if c is None:
        axes = _broadcast_roles(Place(p.operand, 0)).popitem()[1] if p.row == "mul" and _repeated(p.operand) else ()
        return {"over the copies": partial(_factors_summed, p, axes)} if axes else {}
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
    if c := contraction(p):
        sizes = _sizes(p, c)
        return {f"over {role}": partial(_divided, p, prod(sizes[x] for x in s)) for role, s in _subsets(c).items()}
    if p.row == "broadcast_to":
        return {
            f"over {role}": partial(_divided, p, prod(p.y.shape[a] for a in axes))
            for role, axes in _broadcast_roles(p).items()
        }
    return {"over all": partial(_divided, p, p.x.size // max(p.y.size, 1))} if p.row == "sum" and p.y.size else {}


def _repeated(x: Tensor) -> bool:
    return x.primitive is not None and x.primitive.name == "broadcast_to"


def _factors_summed(p: Place, axes: tuple[int, ...], g: Any) -> Any:
    """What sums to (sum g) (sum b) over the copies of a factor a of a * b: the same share at each of them."""
    total = g.sum(axis=axes, keepdims=True) * p.other().sum(axis=axes, keepdims=True)
    return np.broadcast_to(total / prod(g.shape[a] for a in axes), g.shape)


def _divided(p: Place, count: int, g: Any) -> Any:
    return p.right(g) / count
