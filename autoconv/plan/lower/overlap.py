"""``overlap_add``: a sum of what falls on the same place, or one more contraction.

The input gradient of a convolution is overlap_add(contract(g, w)).  Instead of computing all frames and adding them up,
each place of the input gathers the products that reach it; which taps of the kernel do is the table of positions read
backwards.
"""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np

from ...program.program import Line
from ...shapes import Shape
from ..contractions import Spaced
from ..instructions import Registers
from ..once import once
from .contraction import Pending, by_channel, copied, gemm, registers_of
from .letters import by_groups, in_groups, in_order
from .lowering import Lowering
from .movement import steps


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
    registers = low.laned(x, axis, kernel)
    return low.add_up(i, _terms(registers, line, _wanted(low, i, line, axis_after)), axis_after, kernel)


def _terms(frames: Registers, line: Line, wanted: np.ndarray) -> list[Registers]:
    """The registers (.., places.., ..) that come to each place, 0 where there are fewer than elsewhere.

    ``frames``: those of the windows (.., positions.., taps.., ..); ``wanted``: which places anybody reads.  Along each
    axis a place is reached by so many windows, with a tap each; what comes to it along all axes are all combinations.
    """
    axes = line.params["axes"]
    first, dims = axes[0], len(axes)
    counts, window = frames.shape[first : first + dims], frames.shape[first + dims : first + 2 * dims]
    stride, dilation = line.params["stride"], line.params["dilation"]
    moves = [_moves(*each) for each in zip(line.params["size"], counts, window, stride, dilation, strict=True)]
    reached = [m.in_turn() for m in moves]
    found = []
    for ranks in product(*[range(tap.shape[1]) for _, tap in reached]):
        at, taps, there = [], [], wanted
        for d, rank in enumerate(ranks):
            along = (*(None,) * d, slice(None), *(None,) * (dims - d - 1))
            frame, tap = (x[:, rank][along] for x in reached[d])
            at.append(frame)
            taps.append(tap)
            there = there & (tap >= 0).reshape((1,) * first + tap.shape + (1,) * (wanted.ndim - first - dims))
        terms = frames[(slice(None),) * first + (*at, *taps)]
        found.append(terms if there.all() else np.where(there, terms, 0))
    return found


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
    counts = tuple([p.sizes[c] for c in position])
    each = p.channelwise(low, channels, "".join(position), k)
    if each is not None and steps(each[0].base.reshape(counts)) is None:
        each = None
    x = [each[0]] if each is not None else registers_of(low, p, g, "".join(position), k)
    if any(steps(part.base.reshape(counts)) is None for part in x):
        x = copied(low, p, g, "".join(position), k)
    of_groups = ("", g + channels) if each is not None else (g, channels)
    w = in_groups(in_order(p.in_w, p.sizes), p.in_w, *of_groups, k)
    by_tap = in_groups(in_order(p.in_w, p.sizes), p.in_w, "", "", taps)[0].step
    size: Shape = line.params["size"]
    wanted = _wanted(low, i, line, axis)
    front = np.moveaxis(wanted, tuple(range(axes[0], axes[0] + dims)), tuple(range(dims)))
    kept = np.any(front.reshape(prod(size), -1), axis=1)
    outer = [*groups[: axes[0]], *[f"{d}" for d in range(dims)], *groups[axes[0] + 2 * dims :]]
    spelt = "".join(outer)
    sizes = {**p.sizes, **{f"{d}": n for d, n in enumerate(size)}, p.n: 1}
    positions = [str(d) for d in range(dims)]
    letters = [p.n, *positions, *g, *channels]
    whole = low.fresh(
        tuple(sizes[c] for c in letters),
        p.kernel,
        None,
        len(g) + len(channels),
        prod([sizes[c] for c in (channels if each is None else g)]),
    )
    whole = whole.transpose([letters.index(c) for c in spelt])
    cells = by_groups(whole, spelt, p.n, g, channels, "".join(positions), sizes=sizes)
    window, stride, dilation = [p.sizes[c] for c in taps], line.params["stride"], line.params["dilation"]
    moves = tuple([_moves(*each) for each in zip(size, counts, window, stride, dilation, strict=True)])
    reached = np.zeros(prod(size), bool)
    for part, (base, step) in enumerate(x):
        weights, of_k = w[part]
        apart = steps(base.reshape(counts))
        assert apart is not None
        for places, used, further, distance in _classes(moves, tuple(apart), kept.tobytes()):
            first = int(base[0]) + further
            reached[places] = True
            taken = (by_tap[used] - by_tap[used[0]])[:, None] + of_k
            moved = distance[:, None] + step
            of_taps, of_windows = Spaced(weights + by_tap[used[0]], taken.ravel()), Spaced(first, moved.ravel())
            if each is not None:
                by_channel(low, p, cells[:, 0, places], of_taps, of_windows, each[1])
            else:
                gemm(low, p, cells[part][:, places], of_taps, of_windows, part)
    if not reached[kept].all():  # nothing comes to some places
        there = reached.reshape(*size, *[1] * (whole.ndim - dims))
        axes = [spelt.index(c) for c in positions]
        whole = np.where(np.moveaxis(there, range(dims), axes), whole, 0)
    return low.place(i, whole.reshape(low.one(line.shape, axis)), axis, p.kernel)


class _Moves:
    """Along one axis: which windows reach each of ``size`` places, with which taps."""

    def __init__(self, size: int, count: int, window: int, stride: int, dilation: int) -> None:
        at = np.arange(size)[:, None] - np.arange(window) * dilation
        self.frame = np.where((at % stride == 0) & (at >= 0) & (at < count * stride), at // stride, -1)
        """Of each place and tap the window that reaches it so, or -1."""
        first = np.where(self.frame >= 0, self.frame, np.iinfo(np.int64).max).min(axis=1, keepdims=True)
        known: dict[bytes, list[int]] = {}
        for place, row in enumerate(np.where(self.frame >= 0, self.frame - first, np.iinfo(np.int64).min)):
            if self.frame[place].max() >= 0:
                known.setdefault(row.tobytes(), []).append(place)
        self.classes = [np.array(places) for places in known.values()]
        """Places that are reached alike: with the same taps, by windows at the same distances."""

    def in_turn(self) -> tuple[np.ndarray, np.ndarray]:
        """Of each place the windows that reach it, in order, and their taps (places, most windows); -1 where there are
        fewer."""
        reaches = self.frame[:, ::-1] >= 0  # from the last tap to the first: windows in order
        rank = np.cumsum(reaches, axis=1) - 1
        most = int(rank.max(initial=0)) + 1
        frame = np.full((len(rank), most), -1)
        tap = frame.copy()
        place, turned = np.nonzero(reaches)
        tap[place, rank[place, turned]] = last = self.frame.shape[1] - 1 - turned
        frame[place, rank[place, turned]] = self.frame[place, last]
        return frame, tap


_moves = once(_Moves)


@once
def _classes(
    moves: tuple[_Moves, ...], apart: Shape, wanted: bytes
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """The places by how they are reached: (places, taps, how far the register at the first tap is from that of the
    first window, and that at each tap from that).

    ``apart``: from one window's register to the next one's along each axis; ``wanted``: which places anybody reads.
    """
    kept, classes = np.frombuffer(wanted, bool), []
    sizes, windows = [len(m.frame) for m in moves], [m.frame.shape[1] for m in moves]
    strides = [prod(sizes[d + 1 :]) for d in range(len(sizes))]
    tap_strides = [prod(windows[d + 1 :]) for d in range(len(windows))]

    def together(parts: list[np.ndarray]) -> np.ndarray:
        """The sums of one number of each part, the last one's running fastest."""
        found = np.zeros(1, np.int64)
        for part in parts:
            found = (found[:, None] + part).ravel()
        return found

    for alike in product(*[m.classes for m in moves]):
        places = together([x * step for x, step in zip(alike, strides, strict=True)])
        taps = [np.flatnonzero(m.frame[x[0]] >= 0) for m, x in zip(moves, alike, strict=True)]
        begin = [m.frame[x, t[0]] for m, x, t in zip(moves, alike, taps, strict=True)]
        first = together([x * step for x, step in zip(begin, apart, strict=True)])
        further = [
            (m.frame[x[0], t] - m.frame[x[0], t[0]]) * step
            for m, x, t, step in zip(moves, alike, taps, apart, strict=True)
        ]
        used = together([t * step for t, step in zip(taps, tap_strides, strict=True)])
        read = kept[places]
        if read.any():
            classes.append((places[read], used, first[read], together(further)))
    return classes
