"""Mistakes in grouped convolutions: filters, or channels, counted to another group than in the forward pass."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ...functional.axes import GROUP, INNER, OUTER
from ..run.site import Contraction, Site
from .contractions import contraction
from .mistake import Variants, mistake

_WORDS = {OUTER: "filter", INNER: "channel"}


@mistake(
    "groups mixed",
    "filters or channels were counted to another group than in the forward pass",
    "To which group does filter 1 belong, and which channels does that group read?",
    "of G groups of n filters each, filter f belongs to group f // n, and group g reads the channels from g * n_in on",
)
def _mixed(p: Site) -> Variants:
    """The next group's channels; or filters (channels) dealt out to the groups in turn: f % G for f // n."""
    c = contraction(p)
    if c is None or not c.convolution or GROUP not in c.own or p.x.shape[c.own.index(GROUP)] == 1:
        return {}
    at, groups = c.own.index(GROUP), p.x.shape[c.own.index(GROUP)]
    variants: Variants = {}
    for by in (1, -1) if groups > 2 else (1,):
        variants[f"group {by:+d}"] = partial(_next_group, p, c, by, at)
    for letter, word in _WORDS.items():
        sizes = [shape[names.index(letter)] for names, shape in _arrays(p, c) if letter in names and GROUP in names]
        if sizes and max(sizes) > 1:
            variants[f"{word} i in group i % G"] = partial(_dealt, p, c, letter)
    return variants


def _arrays(p: Site, c: Contraction) -> list[tuple[str, tuple[int, ...]]]:
    return [(c.own, p.x.shape), (c.others, p.other().shape), (c.result, p.y.shape)]


def _next_group(p: Site, c: Contraction, by: int, axis: int, g: Any) -> Any:
    """The image, or its gradient, taken from the next group."""
    if c.is_kernel:
        return c.product(g, np.roll(p.other(), by, c.others.index(GROUP)))
    return np.roll(p.right(g), by, axis)


def _dealt(p: Site, c: Contraction, letter: str, g: Any) -> Any:
    """The product with index i of ``letter`` in group i % G, in whichever of the arrays it stands.

    The kernel holds its channels within a group, so that these stay where they are.
    """
    change = lambda x, names: _deal(x, names, letter) if letter in names and GROUP in names else x
    kernel = letter == INNER  # the kernel's channels are those of its own group
    other = p.other() if kernel and c.has_kernel else change(p.other(), c.others)
    made = c.product(change(g, c.result), other)
    return made if kernel and c.is_kernel else _deal(made, c.own, letter, back=True) if letter in c.own else made


def _deal(x: Any, names: str, letter: str, back: bool = False) -> Any:
    """An array whose axes (group, letter) hold index i at (i % G, i // G), where it stood at (i // n, i % n)."""
    axes = (names.index(GROUP), names.index(letter))
    moved = np.moveaxis(x, axes, (-2, -1))
    *rest, groups, each = moved.shape
    made = moved.swapaxes(-2, -1).reshape(moved.shape) if back else moved.reshape(*rest, each, groups).swapaxes(-2, -1)
    return np.moveaxis(made, (-2, -1), axes)
