"""Windows at a site of the sweep: where they lie, and the rules with windows that lie elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from ...functional.axes import POSITION
from ..run.site import Contraction, Site, gather, put, select

Rule = Callable[[Any], Any]


class Sliding:
    """The windows at a site: those that a ``windows`` line puts back, that an ``overlap_add`` line reads again, or
    that a kernel's gradient (``contract``) meets.

    found: whether there are any; the rest is set only then.  axes, window, stride, dilation: as in the line's settings;
    image: what the windows slide over, size: its cells along these axes; counts: how many windows along each.
    """

    def __init__(self, p: Site) -> None:
        self.site = p
        line = p.line if p.row in ("windows", "overlap_add") else _other_windows(p)
        self.found = line is not None
        if line is None:
            return
        self.line = line
        self.axes, self.stride, self.dilation = line.params["axes"], line.params["stride"], line.params["dilation"]
        first, dims = self.axes[0], len(self.axes)
        self.image, frames = (line, line.operands[0]) if p.row == "overlap_add" else (line.operands[0], line)
        self.size = tuple(self.image.shape[a] for a in self.axes)
        self.counts = frames.shape[first : first + dims]
        self.window = frames.shape[first + dims : first + 2 * dims]
        self.contraction = Contraction(p) if p.row == "contract" else None

    @property
    def border(self) -> Any:
        """The padding of the image along all its axes, or None: of a pad line, whose channels may have been grouped."""
        line = self.image
        while line.primitive is not None and line.primitive.name == "reshape":
            below, last = line.operands[0], self.axes[-1] + 1
            if below.shape[:last] != line.shape[:last]:
                return None
            line = below
        return line.params["width"] if line.primitive is not None and line.primitive.name == "pad" else None

    @property
    def across(self) -> tuple[int, ...]:
        """The axes of the windows' cells in the frames."""
        first, dims = self.axes[0], len(self.axes)
        return tuple(range(first + dims, first + 2 * dims))

    def placed(self, chosen: list[Any]) -> Rule:
        """The rule with windows at the cells ``chosen`` (a selection for each dimension, see ``select``)."""
        c = self.contraction
        if c is not None:
            return lambda g: c.product(g, gather(self.image.value, self.axes, chosen))
        if self.site.row == "overlap_add":
            return lambda g: gather(g, self.axes, chosen)
        return lambda g: put(g, self.axes, chosen)

    def moved(self, stride: Any = None, dilation: Any = None, shift: Any = None) -> Rule:
        """The rule with windows at other cells: gathered for a kernel's gradient, put back for the image's."""
        stride, dilation = stride or self.stride, dilation or self.dilation
        shift = shift or (0,) * len(self.axes)
        rows = zip(self.size, self.counts, self.window, stride, dilation, shift, strict=True)
        return self.placed([select(*row) for row in rows])

    def exchanged(self, a: int, b: int) -> Rule | None:
        """The rule of somebody who lets index a of a window run along dimension b, and b along a; None if it cannot."""
        counts = list(self.counts)
        counts[a], counts[b] = counts[b], counts[a]
        rows = zip(self.size, counts, self.window, self.stride, self.dilation, strict=True)
        chosen = [select(*row) for row in rows]
        c, first = self.contraction, self.axes[0]
        if c is not None:
            if POSITION[a] not in c.result or POSITION[b] not in c.result:
                return None
            return lambda g: c.product(g, gather(self.image.value, self.axes, chosen).swapaxes(first + a, first + b))
        if self.site.row == "overlap_add":
            return lambda g: gather(g, self.axes, chosen).swapaxes(first + a, first + b)
        return lambda g: put(g.swapaxes(first + a, first + b), self.axes, chosen)

    @cached_property
    def cells(self) -> list[Any]:
        """For each dimension the cell that tap u of window i reads, (counts, window)."""
        rows = zip(self.counts, self.window, self.stride, self.dilation, strict=True)
        return [s * np.arange(n)[:, None] + d * np.arange(k) for n, k, s, d in rows]

    def writers(self, first: bool, along: tuple[int, ...]) -> Any:
        """1 where a window is the last (first) that writes to the cell, in dimensions ``along``; to go with frames.

        A cell is read by a product of ranges of windows, so the last of all is the last in each dimension, in whichever
        order the loops run.
        """
        mask: Any = np.ones(())
        dims = len(self.axes)
        for d, cells in enumerate(self.cells):
            own = np.ones(cells.shape)
            if d in along:
                chosen = np.full(int(cells.max(initial=0)) + 1, -1)
                for i in range(len(cells))[:: -1 if first else 1]:
                    chosen[cells[i]] = i
                own = (chosen[cells] == np.arange(len(cells))[:, None]).astype(float)
            shape = [1] * (2 * dims)
            shape[d], shape[dims + d] = own.shape
            mask = mask * own.reshape(shape)
        return self.lifted(mask)

    @property
    def line_cells(self) -> Any:
        """For each cell of each frame its flat index in the image; broadcasts to the frames."""
        strides = np.cumprod([1, *self.image.shape[:0:-1]])[::-1]
        dims, first, n = len(self.axes), self.axes[0], self.image.ndim + len(self.axes)
        total = np.zeros(())
        for axis, (size, step) in enumerate(zip(self.image.shape, strides, strict=True)):
            shape = [1] * n
            if axis in self.axes:
                d = axis - first
                shape[axis], shape[axis + dims] = self.counts[d], self.window[d]
                total = total + (step * self.cells[d]).reshape(shape)
            else:
                shape[axis if axis < first else axis + dims] = size
                total = total + (step * np.arange(size)).reshape(shape)
        return total.astype(int)

    def lifted(self, array: Any) -> Any:
        """An array over (counts, window), or over the window alone, with the frames' other axes as 1."""
        dims, rest = len(self.axes), self.image.ndim - self.axes[-1] - 1
        counts = () if array.ndim == 2 * dims else (1,) * dims
        return array.reshape(*(1,) * self.axes[0], *counts, *array.shape, *(1,) * rest)

    @property
    def overlapping(self) -> bool:
        spans = [(k - 1) * d + 1 for k, d in zip(self.window, self.dilation, strict=True)]
        return any(s < span and n > 1 for s, span, n in zip(self.stride, spans, self.counts, strict=True))


def windows_of(x: Any) -> Any:
    """The ``windows`` line that x is, or None."""
    return x if x.primitive is not None and x.primitive.name == "windows" else None


def _other_windows(p: Site) -> Any:
    """The windows that a contraction's other operand is made of, or None."""
    return windows_of(p.line.operands[1 - p.k]) if p.row == "contract" else None


def sliding_of(p: Site) -> Sliding | None:
    """The windows at a site of a convolution, a pooling layer or of windows taken by hand, or None."""
    if not p.inside("conv", "windows", "max_pool", "avg_pool", "lp_pool"):
        return None
    sliding = Sliding(p)
    return sliding if sliding.found else None
