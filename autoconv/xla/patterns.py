"""Convolutions among the lines of a program: windows that are contracted, and contractions that are added up.

One product of three operands has three derivatives of one form.  With image x, kernel w and result y of a convolution,
sum over all of x * w * y, each is a linear function of the two others:

    y = contract(windows(x), w)              the convolution
    w = contract(y, windows(x))              its transpose in w: the gradient of a kernel
    x = overlap_add(contract(y, w))          its transpose in x: the gradient of an image, a transposed convolution

So the first is written as ``lax.conv_general_dilated``, and the two others are what ``jax.linear_transpose`` makes of
it; there is no gradient of a convolution here.  Zeros around the image (pad, or crop on the way back) are part of it,
and so are reshapes of axes that are no windows (groups).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod
from typing import Any

from ..program.program import Line, Program
from ..shapes import Shape
from .column import added_in, precise
from .library import jax, jnp, lax


@dataclass(frozen=True)
class Fused:
    """What computes a line from other lines than its operands: ``function(*values of operands)``; ``text`` for the
    plan."""

    operands: tuple[int, ...]
    function: Callable[..., Any]
    text: str


def find(program: Program) -> dict[int, Fused]:
    """The lines that are convolutions, by their numbers."""
    readers: list[int] = [0] * len(program.lines)
    for line in program.lines:
        for x in line.operands:
            readers[x] += 1
    for y in (*program.outputs, *program.checks):
        readers[y] += 1
    found: dict[int, Fused] = {}
    for i, line in enumerate(program.lines):
        name = line.primitive.name if line.primitive is not None else ""
        if name == "contract" and (piece := _of_windows(program, line)):
            found[i] = piece
        elif name == "overlap_add" and (made := _of_frames(program, i, readers)):
            found[made[0]] = made[1]
    return found


# ---- one convolution, in letters


@dataclass(frozen=True)
class Convolution:
    """The axes of image, kernel and result as letters, and how the window moves.

    ``batch`` letters are in image and result, ``inner`` in image and kernel, ``outer`` in kernel and result, ``groups``
    in all three; ``places`` in image (its cells) and result (the positions), ``taps`` in the kernel.
    """

    batch: str
    inner: str
    outer: str
    groups: str
    places: str
    taps: str
    size: dict[str, int]  # of every letter; of places the number of positions
    space: Shape  # the image's cells
    stride: Shape
    dilation: Shape
    padding: tuple[tuple[int, int], ...]

    def apply(self, x: Any, w: Any) -> Any:
        """The convolution of (batch, *space, groups inner) and (*taps, inner, groups outer)."""
        dims = len(self.places)
        space = "xyzuvst"[:dims]
        numbers = ("n" + space + "c", space + "io", "n" + space + "c")
        return lax.conv_general_dilated(
            x, w, self.stride, self.padding, rhs_dilation=self.dilation, dimension_numbers=_numbers(numbers),
            feature_group_count=self.count(self.groups), precision=precise(),
        )  # fmt: skip

    def count(self, letters: str) -> int:
        return prod([self.size[c] for c in letters])

    @property
    def image(self) -> Shape:
        return (self.count(self.batch), *self.space, self.count(self.groups + self.inner))

    @property
    def kernel(self) -> Shape:
        taps = tuple(self.size[c] for c in self.taps)
        return (*taps, self.count(self.inner), self.count(self.groups + self.outer))

    @property
    def result(self) -> Shape:
        places = tuple(self.size[c] for c in self.places)
        return (self.count(self.batch), *places, self.count(self.groups + self.outer))

    # the letters of the three in the order in which ``apply`` has them

    @property
    def of_image(self) -> str:
        return self.batch + self.places + self.groups + self.inner

    @property
    def of_kernel(self) -> str:
        return self.taps + self.inner + self.groups + self.outer

    @property
    def of_result(self) -> str:
        return self.batch + self.places + self.groups + self.outer


def _numbers(order: tuple[str, str, str]) -> Any:
    lhs, rhs, out = order
    space = [c for c in lhs if c not in "nc"]
    return lax.ConvDimensionNumbers(
        (lhs.index("n"), lhs.index("c"), *[lhs.index(c) for c in space]),
        (rhs.index("o"), rhs.index("i"), *[rhs.index(c) for c in space]),
        (out.index("n"), out.index("c"), *[out.index(c) for c in space]),
    )


def _brought(x: Any, letters: str, order: str, shape: Shape) -> Any:
    """An array with axes ``letters`` in the order ``order``, as ``shape``."""
    if letters != order:
        x = jnp.transpose(x, [letters.index(c) for c in order])
    return jnp.reshape(x, shape)


def _back(x: Any, order: str, letters: str, size: Sequence[int]) -> Any:
    """The inverse of ``_brought``; ``size``: of the axes ``letters``."""
    sizes = dict(zip(letters, size, strict=True))
    x = jnp.reshape(x, [sizes[c] for c in order])
    return x if letters == order else jnp.transpose(x, [order.index(c) for c in letters])


def _widened(*arrays: Any) -> tuple[Any, ...]:
    return tuple([x.astype(added_in(x.dtype)) for x in arrays])


# ---- contract(windows(x), w) and contract(y, windows(x))


@dataclass(frozen=True)
class _Windows:
    """Windows of line ``source``: the first of their axes among those of the contraction's operand, the shape of the
    image as the contraction sees it, and the zeros around the source's cells."""

    source: int
    first: int
    shape: Shape  # of the image without the zeros, with the operand's other axes
    window: Shape
    stride: Shape
    dilation: Shape
    padding: tuple[tuple[int, int], ...]


def _windows(program: Program, number: int) -> _Windows | None:
    """The windows that a line is, perhaps reshaped along other axes."""
    line = program.lines[number]
    through = _named(program, number, "reshape")
    inner = program.lines[through] if through is not None else line
    if inner.primitive is None or inner.primitive.name != "windows":
        return None
    axes, dims = inner.params["axes"], len(inner.params["axes"])
    first = _place(inner.shape, line.shape, axes[0], 2 * dims)
    if first is None:
        return None
    source = inner.operands[0]
    padding = ((0, 0),) * dims
    image = program.lines[source]
    shape = (*line.shape[:first], *image.shape[axes[0] : axes[0] + dims], *line.shape[first + 2 * dims :])
    zeros = _zeros(program, source, axes[0], dims)
    if zeros is not None:
        source, padding = zeros
        cells = [n - a - b for n, (a, b) in zip(shape[first : first + dims], padding, strict=True)]
        shape = (*shape[:first], *cells, *shape[first + dims :])
    return _Windows(
        source, first, shape, inner.params["window"], inner.params["stride"], inner.params["dilation"], padding
    )


def _zeros(program: Program, number: int, first: int, dims: int) -> tuple[int, tuple[tuple[int, int], ...]] | None:
    """(what is padded, the zeros along ``dims`` axes from ``first``) if a line is a pad of these axes alone, perhaps
    reshaped along others."""
    line = program.lines[number]
    through = _named(program, number, "reshape")
    inner = program.lines[through] if through is not None else line
    if inner.primitive is None or inner.primitive.name != "pad":
        return None
    start = _place(line.shape, inner.shape, first, dims)
    if start is None:
        return None
    width = [(int(low), int(high)) for low, high in inner.params["width"]]
    if any(any(pair) for d, pair in enumerate(width) if not start <= d < start + dims):
        return None
    return inner.operands[0], tuple(width[start : start + dims])


def _named(program: Program, number: int, name: str) -> int | None:
    """The operand of a line of this name; None if it is another."""
    line = program.lines[number]
    return line.operands[0] if line.primitive is not None and line.primitive.name == name else None


def _place(shape: Shape, other: Shape, first: int, count: int) -> int | None:
    """Where ``count`` axes of ``shape`` from ``first`` stand in ``other``, a reshape of it; None if they do not."""
    before, kept = prod(shape[:first]), shape[first : first + count]
    for start in range(len(other) - count + 1):
        if prod(other[:start]) == before and other[start : start + count] == kept:
            return start
    return None


def _of_windows(program: Program, line: Line) -> Fused | None:
    if line.dtype.kind != "f" or 0 in line.shape:
        return None
    operands, result = line.params["spec"].split("->")
    letters = operands.split(",")
    for k in (0, 1):
        frames = _windows(program, line.operands[k])
        if frames is None or 0 in frames.shape:
            continue
        other = line.operands[1 - k]
        made = _matched(program, line, frames, letters[k], letters[1 - k], result, other)
        if made is not None:
            return made
    return None


def _matched(program: Program, line: Line, frames: _Windows, a: str, b: str, result: str, other: int) -> Fused | None:
    dims, first = len(frames.window), frames.first
    places, taps = a[first : first + dims], a[first + dims : first + 2 * dims]
    rest = a[:first] + a[first + 2 * dims :]
    image = a[:first] + places + a[first + 2 * dims :]
    if len({*a}) < len(a) or len({*b}) < len(b) or any(c not in b and c not in result for c in rest):
        return None
    size = dict(
        zip(a, (*frames.shape[:first], *_counts(frames), *frames.window, *frames.shape[first + dims :]), strict=True)
    )
    size.update(zip(b, program.lines[other].shape, strict=True))
    free = "".join(c for c in b if c not in a)
    if any(c not in result for c in free) or program.lines[other].dtype != line.dtype:
        return None
    if program.lines[frames.source].dtype != line.dtype:
        return None
    groups = "".join(c for c in rest if c in b and c in result)
    mine = "".join(c for c in rest if c not in b)
    shared = "".join(c for c in rest if c in b and c not in result)
    space = frames.shape[first : first + dims]
    forward = _only(places, result, b) and _only(taps, b, result)
    backward = _only(places, b, result) and _only(taps, result, b)
    if not forward and not backward:
        return None
    batch, inner = (mine, shared) if forward else (shared, mine)
    conv = Convolution(
        batch, inner, free, groups, places, taps, size, space, frames.stride, frames.dilation, frames.padding
    )

    def convolved(x: Any, w: Any) -> Any:
        x, w = _widened(x, w)
        x = _brought(jnp.reshape(x, frames.shape), image, conv.of_image, conv.image)
        y = conv.apply(x, _brought(w, b, conv.of_kernel, conv.kernel))
        return _back(y, conv.of_result, result, line.shape).astype(line.dtype)

    def weighed(x: Any, y: Any) -> Any:
        x, y = _widened(x, y)
        x = _brought(jnp.reshape(x, frames.shape), image, conv.of_image, conv.image)
        like = jax.ShapeDtypeStruct(conv.kernel, x.dtype)
        (w,) = jax.linear_transpose(lambda w: conv.apply(x, w), like)(_brought(y, b, conv.of_result, conv.result))
        return _back(w, conv.of_kernel, result, line.shape).astype(line.dtype)

    if forward:
        return Fused((frames.source, other), convolved, "a convolution")
    return Fused((frames.source, other), weighed, "a convolution's gradient by its kernel")


def _only(letters: str, there: str, not_there: str) -> bool:
    return all(c in there and c not in not_there for c in letters)


def _counts(frames: _Windows) -> Shape:
    """The positions along each axis."""
    dims, first = len(frames.window), frames.first
    cells = [n + low + high for n, (low, high) in zip(frames.shape[first : first + dims], frames.padding, strict=True)]
    moves = zip(cells, frames.window, frames.stride, frames.dilation, strict=True)
    return tuple([(n - (k - 1) * d - 1) // s + 1 for n, k, s, d in moves])


# ---- overlap_add(contract(y, w))


_MOST_SUMMANDS = 16  # more convolutions would be no gain


def _of_frames(program: Program, number: int, readers: Sequence[int]) -> tuple[int, Fused] | None:
    """The number of the line that the transposed convolutions make (a crop of it, where nobody reads the margin), and
    what makes it: frames that are a sum of several contractions are as many convolutions."""
    line = program.lines[number]
    if line.dtype.kind != "f" or 0 in line.shape:
        return None
    end, padding = _margin(program, number, readers, line.params["axes"][0], len(line.params["axes"]))
    pieces = [_of_product(program, line, x, end, padding) for x in _summands(program, line.operands[0])]
    operands: list[int] = []
    functions = []
    for piece in pieces:
        if piece is None:
            return None
        operands += piece.operands
        functions.append(piece.function)

    def added(*values: Any) -> Any:
        parts = [f(*values[2 * k : 2 * k + 2]) for k, f in enumerate(functions)]
        return reduce(operator.add, parts).astype(line.dtype)

    text = "a transposed convolution" if len(pieces) == 1 else f"{len(pieces)} transposed convolutions, added up,"
    return end, Fused(tuple(operands), added, text)


def _summands(program: Program, number: int) -> list[int]:
    """The lines that a line is the sum of: itself, unless it is a sum."""
    found: list[int] = []
    waiting = [number]
    while waiting:
        x = waiting.pop()
        line = program.lines[x]
        if line.primitive is not None and line.primitive.name == "add" and len(found) + len(waiting) < _MOST_SUMMANDS:
            waiting += reversed(line.operands)
        else:
            found.append(x)
    return found


def _of_product(program: Program, line: Line, x: int, end: int, padding: tuple[tuple[int, int], ...]) -> Fused | None:
    """The transposed convolution that an overlap_add (``line``) of line x is, if x is a contraction (or a reshape of
    one); ``padding``: what line ``end`` leaves out of it."""
    through = _named(program, x, "reshape")
    product = program.lines[through if through is not None else x]
    if product.primitive is None or product.primitive.name != "contract" or 0 in product.shape:
        return None
    axes, dims = line.params["axes"], len(line.params["axes"])
    first = _place(program.lines[x].shape, product.shape, axes[0], 2 * dims)
    if first is None or any(program.lines[o].dtype != line.dtype for o in product.operands):
        return None
    operands, result = product.params["spec"].split("->")
    letters = operands.split(",")
    places, taps = result[first : first + dims], result[first + dims : first + 2 * dims]
    if len({*letters[0]}) < len(letters[0]) or len({*letters[1]}) < len(letters[1]):
        return None
    for k in (0, 1):
        y, w = letters[k], letters[1 - k]
        if not (_only(places, y, w) and _only(taps, w, y)):
            continue
        batch = "".join(c for c in y if c not in w and c not in places)
        groups = "".join(c for c in y if c in w and c in result)
        outer = "".join(c for c in y if c in w and c not in result)
        inner = "".join(c for c in w if c not in y and c not in taps)
        if any(c not in result for c in batch + inner):
            return None
        size = dict(zip(result, product.shape, strict=True))
        size.update(zip(y, program.lines[product.operands[k]].shape, strict=True))
        whole, stride, dilation = (line.params[name] for name in ("size", "stride", "dilation"))
        space = tuple([n - low - high for n, (low, high) in zip(whole, padding, strict=True)])
        moves = zip(whole, [size[c] for c in taps], stride, dilation, strict=True)
        counts = [(n - (k - 1) * d - 1) // s + 1 for n, k, s, d in moves]
        if min(space) < 1 or counts != [size[c] for c in places]:
            return None
        conv = Convolution(batch, inner, outer, groups, places, taps, size, space, stride, dilation, padding)
        image = result[:first] + places + result[first + 2 * dims :]
        sizes = (*product.shape[:first], *space, *product.shape[first + 2 * dims :])
        order = product.operands[k], product.operands[1 - k]
        return Fused(order, _spread(conv, y, w, image, sizes, program.lines[end]), "a transposed convolution")
    return None


def _spread(conv: Convolution, y: str, w: str, image: str, sizes: Shape, made: Line) -> Callable[..., Any]:
    """The transpose in the image, of arrays with axes ``y`` and ``w``; ``image``, of these ``sizes``: its axes before
    the line ``made`` shapes them."""

    def spread(result: Any, kernel: Any) -> Any:
        result, kernel = _widened(result, kernel)
        kernel = _brought(kernel, w, conv.of_kernel, conv.kernel)
        like = jax.ShapeDtypeStruct(conv.image, result.dtype)
        transposed = jax.linear_transpose(lambda x: conv.apply(x, kernel), like)
        (x,) = transposed(_brought(result, y, conv.of_result, conv.result))
        return jnp.reshape(_back(x, conv.of_image, image, sizes), made.shape)

    return spread


def _margin(
    program: Program, number: int, readers: Sequence[int], first: int, dims: int
) -> tuple[int, tuple[tuple[int, int], ...]]:
    """The crop that alone reads an overlap_add (perhaps reshaped along other axes), and what it cuts off; else the line
    itself, and nothing."""
    line = program.lines[number]
    shape, at, start = line.shape, number, first
    none = (number, ((0, 0),) * dims)
    for _ in range(2):
        if readers[at] != 1:
            return none
        reader = next((i for i in range(at + 1, len(program.lines)) if at in program.lines[i].operands), None)
        if reader is None:  # an output reads it
            return none
        after = program.lines[reader]
        assert after.primitive is not None
        if after.primitive.name == "reshape" and at == number:
            place = _place(shape, after.shape, start, dims)
            if place is None:
                return none
            at, shape, start = reader, after.shape, place
            continue
        if after.primitive.name == "crop":
            width = [(int(low), int(high)) for low, high in after.params["width"]]
            if any(any(pair) for d, pair in enumerate(width) if not start <= d < start + dims):
                return none
            return reader, tuple(width[start : start + dims])
        return none
    return none
