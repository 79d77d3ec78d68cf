"""Mistakes in the movement of numbers, and in pooling: what arrives in the wrong cells.

Windows and their overlaps, strides, dilation, padding, flattening, indexing; and where in its window a pooled value's
gradient goes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import permutations
from typing import Any

import numpy as np

from ...functional.axes import POSITION
from ..run.site import Contraction, Site, gather, put, select
from .mistake import Variants, mistake

_LOOPS = 4000  # windows written one by one


class Sliding:
    """The windows at a site: those a ``windows`` line puts back, or those a kernel's gradient (``contract``) reads.

    found: whether there are any; the rest is set only then.  axes, window, stride, dilation: as in the line's settings;
    image: what the windows slide over, size: its cells along these axes; counts: how many windows along each.
    """

    def __init__(self, p: Site) -> None:
        self.site = p
        line = p.line if p.row == "windows" else p.line.operands[1 - p.k] if p.row == "contract" else None
        self.found = line is not None and line.primitive is not None and line.primitive.name == "windows"
        if not self.found or line is None:
            return
        self.axes, self.window = line.params["axes"], line.params["window"]
        self.stride, self.dilation = line.params["stride"], line.params["dilation"]
        self.image = line.operands[0]
        self.size = tuple(self.image.shape[a] for a in self.axes)
        self.counts = line.shape[self.axes[0] : self.axes[-1] + 1]
        self.contraction = Contraction(p) if p.row == "contract" else None

    def moved(self, stride: Any = None, dilation: Any = None, shift: Any = None) -> Callable[[Any], Any]:
        """The rule with windows at other cells: gathered for a kernel's gradient, put back for the image's."""
        stride, dilation = stride or self.stride, dilation or self.dilation
        shift = shift or (0,) * len(self.axes)
        chosen = [
            select(*row) for row in zip(self.size, self.counts, self.window, stride, dilation, shift, strict=True)
        ]
        c = self.contraction
        if c is None:
            return lambda g: put(g, self.axes, chosen)
        return lambda g: c.product(g, gather(self.image.value, self.axes, chosen))

    @property
    def overlapping(self) -> bool:
        spans = [(k - 1) * d + 1 for k, d in zip(self.window, self.dilation, strict=True)]
        return any(s < span and n > 1 for s, span, n in zip(self.stride, spans, self.counts, strict=True))


def _convolving(p: Site) -> Sliding | None:
    if not p.inside("conv", "windows"):
        return None
    sliding = Sliding(p)
    return sliding if sliding.found else None


@mistake(
    "windows overwritten instead of overlap-added",
    "where windows overlap, the last one replaced the others instead of being added to them",
    "Does a cell that several windows read get one gradient or several?",
    "x_bar[i * s + u] += frame_bar[i, u]: add, do not assign",
)
def _overwritten(p: Site) -> Variants:
    if p.row != "windows":
        return {}
    s = Sliding(p)
    if not s.overlapping or np.prod(s.counts) > _LOOPS:
        return {}
    return {"last": lambda g: _assign(s, g, False), "first": lambda g: _assign(s, g, True)}


def _assign(s: Sliding, g: Any, backwards: bool) -> Any:
    out = np.zeros(s.image.shape)
    first, dims = s.axes[0], len(s.axes)
    places = list(np.ndindex(*s.counts))
    for at in reversed(places) if backwards else places:
        spans = zip(at, s.stride, s.window, s.dilation, strict=True)
        cells = tuple(slice(i * st, i * st + (k - 1) * d + 1, d) for i, st, k, d in spans)
        lead: Any = (slice(None),) * first
        out[lead + cells] = g[lead + at + (slice(None),) * dims]
    return out


@mistake(
    "overlaps averaged",
    "what the windows send to a cell was averaged over the windows instead of added",
    "Does a cell that is read more often matter less?",
    "the gradients of overlapping windows are added",
    rank=2,
)
def _averaged(p: Site) -> Variants:
    if p.row != "windows" or not Sliding(p).overlapping:
        return {}
    return {"": lambda g: p.right(g) / np.maximum(p.right(np.ones_like(g)), 1)}


@mistake(
    "overlapping windows treated as tiles",
    "the windows were treated as tiles that do not overlap",
    "By how many cells does the window move from one output to the next?",
    "window i starts at cell i * stride, not at i * (window size)",
)
def _tiles(p: Site) -> Variants:
    s = Sliding(p)
    if not s.found or not s.overlapping:
        return {}
    variants: Variants = {"spread out": s.moved(stride=s.window)}
    keep = tuple(
        [i for i in range(n) if (i * st) % k == 0] for n, st, k in zip(s.counts, s.stride, s.window, strict=True)
    )
    variants["only every tile"] = _kept(p, s, keep)
    return variants


def _kept(p: Site, s: Sliding, keep: tuple[list[int], ...]) -> Callable[[Any], Any]:
    """The right rule with the cotangents of all other windows set to zero."""

    def wrong(g: Any) -> Any:
        first, mask = s.axes[0], np.ones(g.shape)
        for d, indices in enumerate(keep):
            axis = first + d if s.contraction is None else s.contraction.result.index(POSITION[d])
            line = np.isin(np.arange(g.shape[axis]), indices).astype(float)
            mask = mask * line.reshape([-1 if i == axis else 1 for i in range(g.ndim)])
        return p.right(g * mask)

    return wrong if s.contraction is None or s.contraction.convolution else p.right


def _strided(p: Site) -> Sliding | None:
    s = _convolving(p)
    return s if s and any(x > 1 and n > 1 for x, n in zip(s.stride, s.counts, strict=True)) else None


@mistake(
    "stride not dilated",
    "the gradient was used as if the stride were 1: no gaps between its cells",
    "Which cells of the input did the second output read?",
    "with stride s, put s - 1 zeros between the cells of y_bar first",
)
def _stride(p: Site) -> Variants:
    s = _strided(p)
    return {"": s.moved(stride=(1,) * len(s.axes))} if s else {}


@mistake(
    "dilated by stride",
    "the gradient was spread with s zeros between its cells instead of s - 1, or the kernel was spread by the stride",
    "With stride 2, how many zeros stand between neighbouring gradients?",
    "s - 1 zeros between neighbours: output i belongs to input i * s",
    rank=2,
)
def _by_stride(p: Site) -> Variants:
    s = _convolving(p)
    if s is None:
        return {}
    variants: Variants = {"one zero too many": s.moved(stride=tuple(x + 1 for x in s.stride))}
    if any(x > 1 for x in s.stride):
        variants["kernel instead of gradient"] = s.moved(stride=(1,) * len(s.axes), dilation=s.stride)
    return variants


@mistake(
    "dilation forgotten",
    "the taps of the kernel were taken as neighbours, although the kernel is dilated",
    "How far apart are the cells that neighbouring weights read?",
    "tap u reads cell i * stride + u * dilation",
    rank=2,
)
def _dilation(p: Site) -> Variants:
    s = _convolving(p)
    return {"": s.moved(dilation=(1,) * len(s.axes))} if s and any(d > 1 for d in s.dilation) else {}


def _padded(p: Site) -> tuple[tuple[int, int], ...] | None:
    """The padding in front of a site, or None: of the pad line itself, or of the image a kernel's gradient reads."""
    if p.row == "pad":
        return p.line.params["width"]
    s = _convolving(p)
    if s and s.contraction and s.image.primitive and s.image.primitive.name == "pad":
        return tuple(s.image.params["width"][a] for a in s.axes)
    return None


def _shifted(p: Site, shift: tuple[int, ...]) -> Callable[[Any], Any]:
    if p.row != "pad":
        return Sliding(p).moved(shift=shift)
    lows = [low + d for (low, _), d in zip(p.line.params["width"], shift, strict=True)]
    chosen = [select(n, m, 1, 1, 1, low)[:, 0] for n, m, low in zip(p.y.shape, p.x.shape, lows, strict=True)]

    def wrong(g: Any) -> Any:
        for matrix in chosen:
            g = np.tensordot(g, matrix, axes=(0, 1))
        return g

    return wrong


@mistake(
    "padding not cropped",
    "the gradient of the padded image was used from its first cell, border included",
    "Where does the first real cell of the input lie in the padded image?",
    "crop the border off: x_bar[h] = xpad_bar[h + padding]",
)
def _cropped(p: Site) -> Variants:
    width = _padded(p)
    if not width or not any(low for low, _ in width):
        return {}
    sign = -1 if p.row == "pad" else 1
    return {"": _shifted(p, tuple(sign * low for low, _ in width))}


@mistake(
    "padding shifted by one",
    "the border was cropped one cell too early or too late",
    "Count the cells of the border again: does the first real cell have index padding or padding - 1?",
    "x_bar[h] = xpad_bar[h + padding]",
    rank=2,
)
def _off_by_one(p: Site) -> Variants:
    width = _padded(p)
    if not width:
        return {}
    variants: Variants = {}
    axes = [i for i, pair in enumerate(width) if any(pair)]
    for d in (1, -1):
        for which in [axes, *[[a] for a in axes if len(axes) > 1]]:
            shift = tuple(d if i in which else 0 for i in range(len(width)))
            if p.row == "pad" and all(low + s == 0 for (low, _), s in zip(width, shift, strict=True)):
                continue
            variants[f"{shift}"] = _shifted(p, shift)
    return variants


@mistake(
    "flattened in another order",
    "the gradient was folded back in another order than the one in which the forward pass flattened",
    "In which order does the forward pass lay the pixels and channels in a row?",
    "fold back with the same order of axes as forward",
)
def _flattened(p: Site) -> Variants:
    if p.row not in ("reshape", "permute_dims") or p.composed:
        return {}
    if p.row == "permute_dims":
        axes = p.line.params["axes"]
        variants: Variants = {}
        if p.x.shape != p.y.shape or axes != tuple(range(len(axes))):
            variants["reshaped instead of transposed back"] = lambda g: g.reshape(p.x.shape)
        if tuple(p.y.shape[a] for a in axes) == p.x.shape and tuple(np.argsort(axes)) != axes:
            variants["transposed the same way again"] = lambda g: g.transpose(axes)
        return variants
    lead = 0
    while lead < min(p.x.ndim, p.y.ndim) and p.x.shape[lead] == p.y.shape[lead]:
        lead += 1
    merged = [i for i in range(lead, p.x.ndim) if p.x.shape[i] > 1]
    if p.y.ndim >= p.x.ndim or not 2 <= len(merged) <= 4:
        return {}
    return {f"as axes {order}": _folded(p, merged, order) for order in permutations(merged) if order != tuple(merged)}


def _folded(p: Site, merged: list[int], order: tuple[int, ...]) -> Callable[[Any], Any]:
    """The gradient folded back as if the axes ``merged`` had been laid out in ``order``."""
    axes = list(range(p.x.ndim))
    for at, axis in zip(merged, order, strict=True):
        axes[at] = axis
    return lambda g: g.reshape([p.x.shape[a] for a in axes]).transpose(np.argsort(axes))


@mistake(
    "reversal forgotten",
    "the forward pass reversed an axis (a rotated kernel), the backward pass did not",
    "Where does w[0, 0] stand after the kernel was rotated?",
    "the adjoint of a reversal is the same reversal",
    rank=2,
)
def _reversal(p: Site) -> Variants:
    return {"": lambda g: g} if p.row == "flip" else {}


@mistake(
    "gradient put at the wrong index",
    "the gradient of an element that was picked out was put back one place off",
    "From which index was the value read?",
    "the gradient goes back to the index it was read from",
    rank=3,
)
def _index(p: Site) -> Variants:
    if p.row not in ("index", "take") or p.pooling or p.inside("max", "min", "logsumexp") or p.x.ndim == 0:
        return {}
    axis = p.line.params["axis"] if p.row == "take" else 0
    return {f"{d:+d}": partial(_rolled, p, d, axis) for d in (1, -1)}


def _rolled(p: Site, by: int, axis: int, g: Any) -> Any:
    return np.roll(p.right(g), by, axis)


@mistake(
    "repeated index overwritten instead of added",
    "an element that was read several times received only one of the gradients",
    "How often was this element read?",
    "add the gradients of every reading",
    rank=2,
)
def _repeated(p: Site) -> Variants:
    if p.row != "take":
        return {}
    places, axis = p.line.operands[1].value, p.line.params["axis"]
    if len(np.unique(places)) == places.size:
        return {}

    def wrong(g: Any) -> Any:
        out = np.zeros(p.x.shape)
        key: Any = (*(slice(None),) * axis, places)
        out[key] = g
        return out

    return {"": wrong}


# ---- pooling: where the gradient of a pooled value goes within its window


def _pool(kind: str, p: Site) -> Sliding | None:
    return Sliding(p) if p.row == "windows" and p.pooling == kind else None


def _shares(s: Sliding, g: Any, share: Callable[[Any], Any]) -> Any:
    """The windows' cotangents with each window's total shared out anew by ``share`` (over its flattened cells)."""
    first, dims = s.axes[0], len(s.axes)
    axes = tuple(range(first + dims, first + 2 * dims))
    total = g.sum(axis=axes, keepdims=True)
    return s.site.right(total * share(s))


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
    frames = sign * s.site.y
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
def _evenly(p: Site) -> Variants:
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
def _copied(p: Site) -> Variants:
    s = _pool("max", p) or _pool("avg", p)
    return {"": lambda g: _shares(s, g, lambda s: _lifted(s, np.ones(s.window)))} if s else {}


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
    cells = {"first": 0, "last": -1} | ({"middle": int(np.prod(s.window)) // 2} if all(n % 2 for n in s.window) else {})
    variants: Variants = {f"the {word} cell": partial(_shares, s, share=_cell(at)) for word, at in cells.items()}
    if p.pooling == "avg":
        variants["the largest cell"] = lambda g: _shares(s, g, _best)
    else:
        variants["the smallest cell"] = lambda g: _shares(s, g, lambda s: _best(s, -1))
    return variants
