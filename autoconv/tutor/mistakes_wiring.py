"""Mistakes in the wiring: windows, strides, padding, flattening, indexing: numbers that arrive in the wrong cells."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import permutations
from typing import Any

import numpy as np

from .bank import Ways, mistake
from .place import Contraction, Place, gather, put, select

_LOOPS = 4000  # windows written one by one


class Sliding:
    """The windows behind a place: those it puts back (``windows`` line), or those a kernel's gradient reads (``contract``)."""

    def __init__(self, p: Place) -> None:
        self.place = p
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


def _convolving(p: Place) -> Sliding | None:
    if not p.inside("conv", "windows"):
        return None
    made = Sliding(p)
    return made if made.found else None


@mistake(
    "windows overwritten instead of overlap-added",
    "where windows overlap, the last one replaced the others instead of being added to them",
    "Does a cell that several windows read get one gradient or several?",
    "x_bar[i * s + u] += frame_bar[i, u]: add, do not assign",
)
def _overwritten(p: Place) -> Ways:
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
def _averaged(p: Place) -> Ways:
    if p.row != "windows" or not Sliding(p).overlapping:
        return {}
    return {"": lambda g: p.right(g) / np.maximum(p.right(np.ones_like(g)), 1)}


@mistake(
    "overlapping windows treated as tiles",
    "the windows were treated as tiles that do not overlap",
    "By how many cells does the window move from one output to the next?",
    "window i starts at cell i * stride, not at i * (window size)",
)
def _tiles(p: Place) -> Ways:
    s = Sliding(p)
    if not s.found or not s.overlapping:
        return {}
    made: Ways = {"spread out": s.moved(stride=s.window)}
    keep = tuple(
        [i for i in range(n) if (i * st) % k == 0] for n, st, k in zip(s.counts, s.stride, s.window, strict=True)
    )
    made["only every tile"] = _kept(p, s, keep)
    return made


def _kept(p: Place, s: Sliding, keep: tuple[list[int], ...]) -> Callable[[Any], Any]:
    """The right rule with the cotangents of all other windows set to zero."""

    def wrong(g: Any) -> Any:
        first, mask = s.axes[0], np.ones(g.shape)
        for d, indices in enumerate(keep):
            axis = first + d if s.contraction is None else s.contraction.result.index("xyz"[d])
            line = np.isin(np.arange(g.shape[axis]), indices).astype(float)
            mask = mask * line.reshape([-1 if i == axis else 1 for i in range(g.ndim)])
        return p.right(g * mask)

    return wrong if s.contraction is None or s.contraction.convolution else p.right


def _strided(p: Place) -> Sliding | None:
    s = _convolving(p)
    return s if s and any(x > 1 and n > 1 for x, n in zip(s.stride, s.counts, strict=True)) else None


@mistake(
    "stride not dilated",
    "the gradient was used as if the stride were 1: no gaps between its cells",
    "Which cells of the input did the second output read?",
    "with stride s, put s - 1 zeros between the cells of y_bar first",
)
def _stride(p: Place) -> Ways:
    s = _strided(p)
    return {"": s.moved(stride=(1,) * len(s.axes))} if s else {}


@mistake(
    "dilated by stride",
    "the gradient was spread with s zeros between its cells instead of s - 1, or the kernel was spread by the stride",
    "With stride 2, how many zeros stand between neighbouring gradients?",
    "s - 1 zeros between neighbours: output i belongs to input i * s",
    rank=2,
)
def _by_stride(p: Place) -> Ways:
    s = _convolving(p)
    if s is None:
        return {}
    made: Ways = {"one zero too many": s.moved(stride=tuple(x + 1 for x in s.stride))}
    if any(x > 1 for x in s.stride):
        made["kernel instead of gradient"] = s.moved(stride=(1,) * len(s.axes), dilation=s.stride)
    return made


@mistake(
    "dilation forgotten",
    "the taps of the kernel were taken as neighbours, although the kernel is dilated",
    "How far apart are the cells that neighbouring weights read?",
    "tap u reads cell i * stride + u * dilation",
    rank=2,
)
def _dilation(p: Place) -> Ways:
    s = _convolving(p)
    return {"": s.moved(dilation=(1,) * len(s.axes))} if s and any(d > 1 for d in s.dilation) else {}


def _padded(p: Place) -> tuple[tuple[int, int], ...] | None:
    """The padding in front of a place, if there is any: of the pad line itself, or of the image a kernel's gradient reads."""
    if p.row == "pad":
        return p.line.params["width"]
    s = _convolving(p)
    if s and s.contraction and s.image.primitive and s.image.primitive.name == "pad":
        return tuple(s.image.params["width"][a] for a in s.axes)
    return None


def _shifted(p: Place, shift: tuple[int, ...]) -> Callable[[Any], Any]:
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
def _cropped(p: Place) -> Ways:
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
def _off_by_one(p: Place) -> Ways:
    width = _padded(p)
    if not width:
        return {}
    made: Ways = {}
    axes = [i for i, pair in enumerate(width) if any(pair)]
    for d in (1, -1):
        for which in [axes, *[[a] for a in axes if len(axes) > 1]]:
            shift = tuple(d if i in which else 0 for i in range(len(width)))
            if p.row == "pad" and all(low + s == 0 for (low, _), s in zip(width, shift, strict=True)):
                continue
            made[f"{shift}"] = _shifted(p, shift)
    return made


@mistake(
    "flattened in another order",
    "the gradient was folded back in another order than the one in which the forward pass flattened",
    "In which order does the forward pass lay the pixels and channels in a row?",
    "fold back with the same order of axes as forward",
)
def _flattened(p: Place) -> Ways:
    if p.row not in ("reshape", "permute_dims") or p.composed:
        return {}
    if p.row == "permute_dims":
        axes = p.line.params["axes"]
        made: Ways = {}
        if p.x.shape != p.y.shape or axes != tuple(range(len(axes))):
            made["reshaped instead of transposed back"] = lambda g: g.reshape(p.x.shape)
        if tuple(p.y.shape[a] for a in axes) == p.x.shape and tuple(np.argsort(axes)) != axes:
            made["transposed the same way again"] = lambda g: g.transpose(axes)
        return made
    lead = 0
    while lead < min(p.x.ndim, p.y.ndim) and p.x.shape[lead] == p.y.shape[lead]:
        lead += 1
    merged = [i for i in range(lead, p.x.ndim) if p.x.shape[i] > 1]
    if p.y.ndim >= p.x.ndim or not 2 <= len(merged) <= 4:
        return {}
    return {f"as axes {order}": _folded(p, merged, order) for order in permutations(merged) if order != tuple(merged)}


def _folded(p: Place, merged: list[int], order: tuple[int, ...]) -> Callable[[Any], Any]:
    """The gradient folded back as if the axes ``merged`` had been laid out in ``order``."""
    axes = list(range(p.x.ndim))
    for place, axis in zip(merged, order, strict=True):
        axes[place] = axis
    return lambda g: g.reshape([p.x.shape[a] for a in axes]).transpose(np.argsort(axes))


@mistake(
    "reversal forgotten",
    "the forward pass reversed an axis (a rotated kernel), the backward pass did not",
    "Where does w[0, 0] stand after the kernel was rotated?",
    "the adjoint of a reversal is the same reversal",
    rank=2,
)
def _reversal(p: Place) -> Ways:
    return {"": lambda g: g} if p.row == "flip" else {}


@mistake(
    "gradient put at the wrong index",
    "the gradient of an element that was picked out was put back one place off",
    "From which index was the value read?",
    "the gradient goes back to the index it was read from",
    rank=3,
)
def _index(p: Place) -> Ways:
    if p.row not in ("index", "take") or p.pooling or p.inside("max", "min", "logsumexp") or p.x.ndim == 0:
        return {}
    axis = p.line.params["axis"] if p.row == "take" else 0
    return {f"{d:+d}": partial(_rolled, p, d, axis) for d in (1, -1)}


def _rolled(p: Place, by: int, axis: int, g: Any) -> Any:
    return np.roll(p.right(g), by, axis)


@mistake(
    "repeated index overwritten instead of added",
    "an element that was read several times received only one of the gradients",
    "How often was this element read?",
    "add the gradients of every reading",
    rank=2,
)
def _repeated(p: Place) -> Ways:
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
