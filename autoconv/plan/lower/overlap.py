"""``overlap_add``: a sum of what falls on the same place, or one more contraction.

The input gradient of a convolution is overlap_add(contract(g, w)).  Instead of computing all frames and adding them up,
each place of the input gathers the products that reach it; which taps of the kernel do is the table of positions read
backwards.
"""

from __future__ import annotations

from math import prod

import numpy as np

from ... import arrays
from ...program.program import Line
from ...shapes import Shape
from ..instructions import Registers
from .contraction import Pending, by_groups, gemm, registers_of
from .lowering import Lowering


def overlap(low: Lowering, i: int, line: Line) -> bool:
    """An ``overlap_add`` line: as a contraction if its frames are one that waits for its reader, else as a sum."""
    assert line.primitive is not None
    x = line.operands[0]
    axis = low.example_axis(x)
    axes = line.params["axes"]
    if axis is None or axes[0] <= axis < axes[0] + 2 * len(axes):
        return False
    axis_after = axis if axis < axes[0] else axis - len(axes)
    if (
        x in low.pending
        and len(low.readers[x]) == 1
        and x not in low.program.outputs
        and _as_contraction(low, i, line, low.pending[x], axis_after)
    ):
        del low.pending[x]
        return True
    kernel = low.kernel_for(x)
    registers = low.registers(x, axis, kernel)
    if registers is None:
        return False
    shape = low.one(line.shape, axis_after)
    targets = _frames_of(np.arange(prod(shape)).reshape(shape), line, registers.shape)
    wanted = _wanted(low, i, line, axis_after).ravel()[targets.ravel()] & (registers.ravel() != 0)
    return low.collect(i, targets.ravel()[wanted], registers.ravel()[wanted], shape, axis_after, kernel)


def _frames_of(places: np.ndarray, line: Line, frames: Shape) -> np.ndarray:
    axes = line.params["axes"]
    window = frames[axes[-1] + 1 : axes[-1] + 1 + len(axes)]
    return arrays.windows(places, axes, window, line.params["stride"], line.params["dilation"])


def _wanted(low: Lowering, i: int, line: Line, axis: int) -> np.ndarray:
    """Which places of one example anybody reads: those that a crop keeps, if a crop is the only reader."""
    wanted = np.zeros(low.one(line.shape, axis), bool)
    reader = low.program.lines[low.readers[i][0]] if len(low.readers[i]) == 1 and i not in low.program.outputs else None
    if (
        reader is not None
        and reader.primitive is not None
        and reader.primitive.name == "crop"
        and not any(reader.params["width"][axis])
    ):
        wanted[tuple(slice(a, n - b) for n, (a, b) in zip(wanted.shape, reader.params["width"], strict=True))] = True
    else:
        wanted[...] = True
    return wanted


def _axes_as_letters(p: Pending) -> list[str] | None:
    """The letters of the contraction that make up each axis of the frames."""
    rest, axes = list(p.result), []
    for size in p.shape:
        group = ""
        while rest and prod([p.sizes[c] for c in group]) < size:
            group += rest.pop(0)
        if prod([p.sizes[c] for c in group]) != size:
            return None
        axes.append(group)
    return axes if not rest else None


def _as_contraction(low: Lowering, i: int, line: Line, p: Pending, axis: int) -> bool:
    """overlap_add(contraction): each place c gathers, over the taps t that reach it, sum_k w[g, t, c, k] * x[g, q(t),
    k].

    Places that are reached through the same taps, at the same distances, form a class: one Gemm for each.
    """
    groups = list(p.result) if p.shape == tuple(p.sizes[c] for c in p.result) else _axes_as_letters(p)
    if groups is None or p.bias is not None or p.relu:
        return False
    g, free, j, k = p.letters()
    axes = line.params["axes"]
    dims = len(axes)
    position, tap = groups[axes[0] : axes[0] + dims], groups[axes[0] + dims : axes[0] + 2 * dims]
    if (
        sorted("".join(position)) != sorted(j)
        or not all(len(c) == 1 and c in free for c in tap)
        or not all(len(c) == 1 for c in position)
    ):
        return False
    taps, channels = "".join(tap), "".join(c for c in free if c not in tap)
    x = registers_of(low, p, g, "".join(position), k)
    w = np.arange(prod([p.sizes[c] for c in p.in_w])).reshape([p.sizes[c] for c in p.in_w])
    w = by_groups(w, p.in_w, "", g, taps, channels, k, sizes=p.sizes)
    size: Shape = line.params["size"]
    spatial = np.arange(prod(size)).reshape(size)
    reach = arrays.windows(
        spatial, tuple(range(dims)), tuple(p.sizes[c] for c in taps), line.params["stride"], line.params["dilation"]
    )
    reach = reach.reshape(len(x[0]), len(w[0]))
    wanted = _wanted(low, i, line, axis)
    front = np.moveaxis(wanted, tuple(range(axes[0], axes[0] + dims)), tuple(range(dims)))
    kept = np.any(front.reshape(prod(size), -1), axis=1)
    outer = [*groups[: axes[0]], *[f"{d}" for d in range(dims)], *groups[axes[0] + 2 * dims :]]
    spelt = "".join(outer)
    sizes = {**p.sizes, **{f"{d}": n for d, n in enumerate(size)}, p.n: 1}
    positions = [str(d) for d in range(dims)]
    letters = [p.n, *positions, *g, *channels]
    whole = low.fresh(
        tuple(sizes[c] for c in letters), p.kernel, None, len(g) + len(channels), prod([sizes[c] for c in channels])
    )
    whole = whole.transpose([letters.index(c) for c in spelt])
    cells = by_groups(whole, spelt, p.n, g, channels, "".join(positions), sizes=sizes)
    registers = np.zeros(int(whole.max()) + 1, np.int32)
    for part in range(len(x)):
        base = x[part][:, 0]
        step = x[part][0] - x[part][0, 0]
        for places, used, first, distance in _classes(reach, base, prod(size), np.asarray(kept)):
            out = cells[part][:, places]
            registers[out] = out
            sb = w[part, used[0], :, 0]
            sk = (w[part, used, 0] - w[part, used[0], 0, 0]).ravel()
            gemm(low, p, out, (sb, sk), (first, (distance[:, None] + step).ravel()), part)
    return low.place(i, registers[whole].reshape(low.one(line.shape, axis)), axis, p.kernel)


def _classes(
    reach: np.ndarray, base: Registers, places: int, kept: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray, Registers, Registers]]:
    """The places by how they are reached: (places, taps, register at the first tap, each tap's distance from that)."""
    none = np.iinfo(np.int64).max
    table = np.full((places, reach.shape[1]), none)
    for t in range(reach.shape[1]):
        table[reach[:, t], t] = base
    hit = table != none
    rows = np.flatnonzero(hit.any(1) & kept)
    table, hit = table[rows], hit[rows]
    first = table[np.arange(len(rows)), hit.argmax(1)]
    relative = np.where(hit, table - first[:, None], none)
    kinds, which = np.unique(relative, axis=0, return_inverse=True)
    which = which.ravel()
    found = []
    for number, kind in enumerate(kinds):
        used, members = np.flatnonzero(kind != none), np.flatnonzero(which == number)
        found.append((rows[members], used, first[members], kind[used]))
    return found
