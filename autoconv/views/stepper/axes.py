"""What the axes of an array mean: rows and columns of a picture, channels, kernels, images.

Nothing is guessed where a convolution or pooling says it: the geometry of its windows (``window_geometry``) tells which
axis of its input, kernel and output is which, and lines that keep their axes (arithmetic, padding, joining) hand that
on.  Elsewhere two neighbouring axes of one size are a picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any

from ...tape import Tape, Tensor
from ..lines import is_parameter
from ..window_geometry import WindowGeometry

KEEPS = {"pad", "crop", "concat", "flip", "slice", "take", "index", "sum", "mean", "max", "broadcast_to", "cast"}
PLANE = 4096  # numbers of a picture that is always kept whole
PICTURED = 5  # rows and columns from which an input is an image


@dataclass(frozen=True)
class Axes:
    """``tile``: the axes of a picture, rows then columns (one: a row; none: a number); ``others``: (axis, its name)
    for each other axis longer than 1, the outermost first.  ``picture``: "grey" or "colour" for an image."""

    tile: tuple[int, ...]
    others: tuple[tuple[int, str], ...] = ()
    picture: str = ""

    def part(self, shape: Sequence[int], most: int, picture: int = PLANE) -> tuple[slice, ...]:
        """What of an array is kept so that it has about ``most`` numbers: of images and channels the first.

        picture: one picture is kept whole in any case, if it has at most so many numbers; of a larger one every second
        row and column, or every third, ...  0: its corner is kept.
        """
        plane = [axis for axis in range(len(shape)) if axis in self._plane]
        step = 1
        if picture:
            while prod(-(-shape[axis] // step) for axis in plane if axis in self.tile) > picture:
                step += 1
        steps = [step if axis in self.tile else 1 for axis in range(len(shape))]
        kept = [-(-n // step) for n, step in zip(shape, steps, strict=True)]
        images = [axis for axis, name in self.others if name == "image"]
        if images and prod(kept) > most:
            kept[images[0]] = 1
        free = [axis for axis in range(len(shape)) if axis not in plane and axis not in images]
        while prod(kept) > most and (any(kept[axis] > 1 for axis in free) or not picture):
            longest = max(free, key=lambda axis: kept[axis], default=0)
            if not free or kept[longest] == 1:
                longest = max(range(len(shape)), key=lambda axis: kept[axis])
            if kept[longest] == 1:
                break
            kept[longest] = max(1, kept[longest] // 2, most * kept[longest] // prod(kept))
        return tuple(slice(0, min(n, k * step), step) for n, k, step in zip(shape, kept, steps, strict=True))

    @property
    def _plane(self) -> set[int]:
        """The axes of one picture; of a colour image with its three channels."""
        colours = {axis for axis, name in self.others if name == "channel" and self.picture == "colour"}
        return {*self.tile, *colours}


def axes_of(tape: Tape, pictures: Sequence[WindowGeometry]) -> dict[int, Axes]:
    """id(line) -> its axes, for every line of the tape."""
    known: dict[int, Axes] = {}
    for picture in pictures:
        for line, made in _told(picture):
            known.setdefault(id(line), made)
    for line in tape:
        known.update({id(x): made for x, made in _transposed(line)})
    lines = list(tape)
    for line in lines:  # on to what is computed, then back to what it was computed from
        if id(line) not in known and _keeps(line):
            source = next((x for x in line.operands if id(x) in known and x.ndim == line.ndim), None)
            if source is not None:
                known[id(line)] = _of(known[id(source)], line)
    for line in reversed(lines):
        for x in line.operands if id(line) in known and _keeps(line) else ():
            if id(x) not in known and x.ndim == line.ndim:
                known[id(x)] = _of(known[id(line)], x)
    for line in lines:
        known.setdefault(id(line), guessed(line.shape, is_parameter(line)))
        if line.primitive is None and not line.constant and not is_parameter(line):
            known[id(line)] = _pictured(known[id(line)], line)
    return known


def guessed(shape: Sequence[int], kernel: bool = False) -> Axes:
    """Axes of an array of which nothing is known: two neighbours of one size are a picture, else the last two.

    kernel: whether it is a layer's, whose channels are (in, out) behind a window and (out, in) before it.
    """
    long = [axis for axis, n in enumerate(shape) if n > 1]
    if len(long) < 3:
        return Axes(tuple(long))
    square = next(((a, b) for a, b in pairwise(long) if shape[a] == shape[b] and b == a + 1), None)
    tile = square or (long[-2], long[-1])
    names = {axis: f"axis {axis}" for axis in long if axis not in tile}
    if kernel and len(shape) == 4:
        names |= {2: "in", 3: "out"} if tile[0] == 0 else {0: "out", 1: "in"}
    return Axes(tile, tuple((axis, names[axis]) for axis in long if axis not in tile))


def _keeps(line: Tensor) -> bool:
    row = line.primitive
    return row is not None and (row.group == "arithmetic" or row.name in KEEPS)


def _of(axes: Axes, line: Tensor) -> Axes:
    """The same axes, those left out that are of length 1 here."""
    longer = lambda axis: line.shape[axis] > 1
    return Axes(tuple(a for a in axes.tile if longer(a)), tuple((a, name) for a, name in axes.others if longer(a)))


def _told(p: WindowGeometry) -> Iterator[tuple[Tensor, Axes]]:
    channels = "channel"
    read, made, weight = p.read, p.made, p.weight
    place = lambda space: [("depth", *space[0]), ("row", *space[1]), ("column", *space[2])]
    yield p.input, _named(p.input, [("image", *read["n"]), *place(read["space"]), _both(channels, read, "c", "g")])
    if p.kernel is not None:
        inner = [*place(weight["space"]), ("in", *weight["c"]), _both("out", weight, "o", "g")]
        yield p.kernel, _named(p.kernel, inner)
    last = _both(channels, made, "o", "g") if "o" in made else (channels, *made["c"])
    yield p.output, _named(p.output, [("image", *made["n"]), *place(made["space"]), last])


def _both(name: str, sizes: Any, inner: str, outer: str) -> tuple[str, int, int]:
    """An axis that is divided into groups, as one."""
    size, step = sizes[inner]
    groups, far = sizes.get(outer, (1, 0))
    return (name, size * groups, step if size > 1 else far)


def _named(line: Tensor, dims: Sequence[tuple[str, int, int]]) -> Axes:
    """Axes by the distance of neighbours along them."""
    found: dict[str, int] = {}
    for axis, n in enumerate(line.shape):
        step = prod(line.shape[axis + 1 :])
        name = next((name for name, size, far in dims if n > 1 and size > 1 and far == step), None)
        if name is not None:
            found[name] = axis
    tile = [found[name] for name in ("row", "column") if name in found]
    if len(tile) < 2:  # along one dimension channels stand below each other
        tile = [found[name] for name in ("channel", "in", "out") if name in found][: 2 - len(tile)] + tile
    rest = [(axis, name) for name, axis in found.items() if axis not in tile]
    order = ["image", "in", "depth", "channel", "out"]
    left = [(axis, f"axis {axis}") for axis, n in enumerate(line.shape) if n > 1 and axis not in found.values()]
    return Axes(tuple(tile), tuple(sorted(rest, key=lambda item: order.index(item[1]))) + tuple(left))


def _transposed(line: Tensor) -> Iterator[tuple[Tensor, Axes]]:
    """The kernel of a transposed convolution, whose axes ``overlap_add`` tells."""
    row, scope = line.primitive, line.scope
    if row is None or row.name != "overlap_add" or scope is None:
        return
    call = next((s for s in scope.path if s.kind == "call" and s.name.startswith("conv_transpose")), None)
    dims = len(line.params["axes"])
    kernel = _kernel_of(line, dims)
    if call is None or kernel is None:
        return
    last = line.params["axes"][0] == 1
    space = range(dims) if last else range(2, 2 + dims)
    outer, inner = (dims, dims + 1) if last else (1, 0)
    long = lambda axes: [a for a in axes if kernel.shape[a] > 1]
    named = [(inner, "in"), (outer, "out")]
    tile = tuple(long(space)[-2:])
    rest = [(a, "depth") for a in long(space)[:-2]] + [(a, name) for a, name in named if kernel.shape[a] > 1]
    yield kernel, Axes(tile, tuple(rest))


def _kernel_of(line: Tensor, dims: int) -> Tensor | None:
    """The second operand of the contraction that an ``overlap_add`` reads, down to what is given."""
    at: Tensor | None = line
    while at is not None and (at.primitive is None or at.primitive.name != "contract"):
        at = at.operands[0] if at.operands and at.primitive is not None else None
    found = at.operands[1] if at is not None and len(at.operands) > 1 else None
    while found is not None and found.primitive is not None and found.operands:
        found = found.operands[0]
    return found if found is not None and found.ndim == dims + 2 else None


def _pictured(axes: Axes, line: Tensor) -> Axes:
    """An input of one or three channels as an image."""
    channels = [line.shape[axis] for axis, name in axes.others if name == "channel"]
    large = len(axes.tile) == 2 and all(line.shape[axis] >= PICTURED for axis in axes.tile)
    known = all(name in ("image", "channel") for _, name in axes.others)
    if not large or not known or channels not in ([], [3]):
        return axes
    return Axes(axes.tile, axes.others, "colour" if channels else "grey")
