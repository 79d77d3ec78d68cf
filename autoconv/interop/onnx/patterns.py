"""Several rows that are one standard operator: Conv, ConvTranspose, MaxPool, AveragePool, ReduceMax and ReduceMin.

Each pattern is the same function as its rows, but for the order in which a sum is added up.  It is taken only where
nobody else reads the rows inside it, so a gradient that needs the rounds of a maximum finds them.  Convolution and
average pooling are recognised in float32 and float16 alone: onnxruntime has no kernels for float64 on a processor, and
there the rows' own cells run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ...shapes import spanned
from .cells.contraction import letters
from .cells.wiring import back, padded, wide
from .nodes import Emitter, product
from .sizes import Dim, Merged, Row, Size, known

_CONVOLVED = (np.float32, np.float16)


@dataclass
class Match:
    """What a pattern reads, and what writes it from the names of these."""

    reads: tuple[int, ...]
    write: Callable[[Emitter, list[str]], str]


class Patterns:
    """``match(i)``: the pattern that ends at row i, or None."""

    def __init__(self, program: Merged) -> None:
        self.rows = program.rows
        self.users: list[list[int]] = [[] for _ in program.rows]
        for i, row in enumerate(program.rows):
            for x in row.operands:
                self.users[x].append(i)
        for y in program.outputs:
            self.users[y].append(-1)

    def match(self, i: int) -> Match | None:
        name = self.rows[i].name
        if name == "contract":
            return self.convolution(i)
        if name in ("overlap_add", "crop"):
            return self.transposed(i)
        if name in ("maximum", "minimum", "concat"):
            return self.extreme(i)
        return self.average(i) if name == "sum" else None

    def alone(self, i: int) -> bool:
        """Whether row i has one reader."""
        return len(self.users[i]) == 1

    def of(self, i: int, name: str) -> int | None:
        """Row i's first operand, if that is a row ``name``."""
        x = self.rows[i].operands[0]
        return x if self.rows[x].name == name else None

    # ---- convolution

    def convolution(self, i: int) -> Match | None:
        """contract(windows(pad(x)), kernel): taps summed and positions kept, or (a kernel's gradient) the other way
        round, with stride and dilation exchanged."""
        row = self.rows[i]
        if row.dtype not in _CONVOLVED:
            return None
        texts = letters(row)
        for k in (0, 1):
            frames = self.rows[row.operands[k]]
            if frames.name == "windows" and all(self.rows[x].dtype == row.dtype for x in row.operands):
                found = self._conv(row, frames, texts[k], texts[1 - k], texts[2], row.operands[1 - k])
                if found:
                    return found
        return None

    def _conv(self, row: Row, frames: Row, text: str, other: str, result: str, kernel: int) -> Match | None:
        first, dims = frames.params["axes"][0], len(frames.params["axes"])
        positions, taps = text[first : first + dims], text[first + dims : first + 2 * dims]
        rest = text[:first] + text[first + 2 * dims :]
        stride, dilation = frames.params["stride"], frames.params["dilation"]
        if not (_summed(taps, other, result) and _free(positions, other, result)):
            if not (_summed(positions, other, result) and _free(taps, other, result)):
                return None
            positions, taps, stride, dilation = taps, positions, dilation, stride
        n = [c for c in result if c in rest and c not in other]
        g = [c for c in rest if c in other and c in result]
        c_ = [c for c in rest if c in other and c not in result]
        o = [c for c in result if c in other and c not in text]
        if {*rest} != {*n, *g, *c_} or {*other} != {*g, *o, *c_, *taps}:
            return None
        size: dict[str, Dim] = dict(zip(text, frames.shape, strict=True))
        size.update(zip(other, self.rows[kernel].shape, strict=True))
        source = frames.operands[0]
        pads = [(0, 0)] * dims
        if self.rows[source].name == "pad":
            width = self.rows[source].params["width"]
            inside = range(first, first + dims)
            if all(isinstance(m, int) for pair in width for m in pair) and not any(
                any(pair) for a, pair in enumerate(width) if a not in inside
            ):
                pads = [width[a] for a in inside]
                source = self.rows[source].operands[0]
        cells = self.rows[source].shape[first : first + dims]
        fixed = [*[size[c] for c in (*positions, *taps, *g)], *cells]
        if any(isinstance(m, Size) for m in fixed) or 0 in fixed or 0 in size.values():
            return None
        if None in (product([size[c] for c in n]), product([size[c] for c in c_]), product([size[c] for c in o])):
            return None
        plain = text[:first] + "".join("0123456789"[j] for j in range(dims)) + text[first + 2 * dims :]
        spatial = plain[first : first + dims]
        groups = prod([known(size[c]) for c in g])
        made = [(known(m) + low + high - spanned(known(size[t]), d)) // s + 1
                for m, (low, high), t, s, d in zip(cells, pads, taps, stride, dilation, strict=True)]  # fmt: skip

        def write(e: Emitter, xs: list[str]) -> str:
            shapes = self.rows[source].shape, self.rows[kernel].shape
            x = _brought(e, xs[0], row, plain, shapes[0], [n, [*g, *c_], *[[s] for s in spatial]])
            w = _brought(e, xs[1], row, other, shapes[1], [[*g, *o], c_, *[[t] for t in taps]])
            y = e.node(
                "Conv", x, w, group=groups, strides=tuple(stride), dilations=tuple(dilation),
                kernel_shape=tuple(size[t] for t in taps),
                pads=tuple([low for low, _ in pads] + [high for _, high in pads]),
            )  # fmt: skip
            wanted = [size[p] for p in positions]
            if wanted != made:
                y = e.node("Slice", y, e.ints([0] * dims), e.sizes(wanted), e.ints(range(2, 2 + dims)))
            return _restored(e, y, row, [n, [*g, *o], *[[p] for p in positions]], size, result)

        return Match((source, kernel), write)

    def transposed(self, i: int) -> Match | None:
        """crop(overlap_add(contract(x, kernel))), or without the crop: a transposed convolution, the gradient of a
        convolution by its input."""
        row, last = self.rows[i], i
        cut: Any = None
        if row.name == "crop":
            found = self.of(i, "overlap_add")
            if found is None or not self.alone(found):
                return None
            cut, last = row.params["width"], found
        adding = self.rows[last]
        inner = self.of(last, "contract")
        if row.dtype not in _CONVOLVED or inner is None or not self.alone(inner):
            return None
        contraction = self.rows[inner]
        if any(self.rows[x].dtype != row.dtype for x in contraction.operands):
            return None
        axes = adding.params["axes"]
        first, dims = axes[0], len(axes)
        if cut is not None and (any(isinstance(m, Size) for pair in cut for m in pair)
                                or any(any(pair) for a, pair in enumerate(cut) if a not in axes)):  # fmt: skip
            return None
        texts, result = letters(contraction)[:2], letters(contraction)[2]
        positions, taps = result[first : first + dims], result[first + dims : first + 2 * dims]
        for k in (0, 1):
            text, other = texts[k], texts[1 - k]
            if all(c in text and c not in other for c in positions) and all(c in other and c not in text for c in taps):
                break
        else:
            return None
        x_, w_ = contraction.operands[k], contraction.operands[1 - k]
        rest = [c for c in result if c not in positions + taps]
        n = [c for c in rest if c not in other]
        o = [c for c in rest if c not in text]
        g = [c for c in rest if c in text and c in other]
        c_ = [c for c in text if c in other and c not in result]
        if {*text} != {*n, *g, *c_, *positions} or {*other} != {*g, *c_, *o, *taps}:
            return None
        size: dict[str, Dim] = dict(zip(text, self.rows[x_].shape, strict=True))
        size.update(zip(other, self.rows[w_].shape, strict=True))
        canvas = adding.params["size"]
        fixed = [*[size[c] for c in (*positions, *taps, *g, *c_, *o)], *canvas]
        if any(isinstance(m, Size) for m in fixed) or 0 in fixed or product([size[c] for c in n]) is None:
            return None
        stride, dilation = adding.params["stride"], adding.params["dilation"]
        groups = prod([known(size[c]) for c in g])
        low, high, more = [], [], []
        for j, a in enumerate(axes):
            span = (known(size[positions[j]]) - 1) * stride[j] + spanned(known(size[taps[j]]), dilation[j])
            before, after = cut[a] if cut is not None else (0, 0)
            extra = canvas[j] - span - after
            low.append(before)
            high.append(max(0, -extra))
            more.append(max(0, extra))

        def write(e: Emitter, xs: list[str]) -> str:
            x = _brought(e, xs[0], row, text, self.rows[x_].shape, [n, [*g, *c_], *[[p] for p in positions]])
            w = _brought(e, xs[1], row, other, self.rows[w_].shape, [[*g, *c_], o, *[[t] for t in taps]])
            y = e.node(
                "ConvTranspose", x, w, group=groups, strides=tuple(stride), dilations=tuple(dilation),
                kernel_shape=tuple(size[t] for t in taps), pads=tuple(low + high),
            )  # fmt: skip
            y = padded(e, y, [(0, 0), (0, 0), *[(0, m) for m in more]])
            spatial = "0123456789"[:dims]
            sizes = {**size, **dict(zip(spatial, row.shape[first : first + dims], strict=True))}
            final = result[:first] + spatial + result[first + 2 * dims :]
            return _restored(e, y, row, [n, [*g, *o], *[[p] for p in spatial]], sizes, final)

        return Match((x_, w_), write)

    # ---- pooling

    def extreme(self, i: int) -> Match | None:
        """A tournament along an axis, round by round, is ReduceMax (ReduceMin); one along every axis of a window,
        MaxPool."""
        axes: list[int] = []
        at, name = i, ""
        inside: set[int] = set()
        while (found := self.tournament(at)) is not None:
            x, axis, kind, rounds = found
            if name and (kind != name or not inside.issuperset(self.users[at])):
                break
            axes.append(axis)
            inside |= rounds
            name, at = kind, x
        if not axes:
            return None
        row, frames = self.rows[i], self.rows[at]
        only = inside.issuperset(self.users[at])
        pooled = frames.name == "windows" and only and name == "maximum" and row.dtype.kind == "f"
        if pooled and row.dtype.itemsize <= 8 and (match := self._max_pool(row, frames, sorted(axes))):
            return match
        reduce = "ReduceMax" if name == "maximum" else "ReduceMin"
        return Match((at,), lambda e, xs: e.node(reduce, xs[0], e.ints(sorted(axes)), keepdims=1))

    def tournament(self, i: int) -> tuple[int, int, str, set[int]] | None:
        """(operand, axis, row, rows of the rounds) if row i ends a tournament along that axis whose inner rounds nobody
        else reads."""
        kind, axis, at = "", -1, i
        inner: set[int] = {i}
        while (found := self._round(at)) is not None:
            x, a, name, rows = found
            if (kind and (name, a) != (kind, axis)) or self.rows[i].shape[a] != 1:
                break
            if at != i and any(u not in inner for u in self.users[at]):
                break
            if any(u not in inner | rows for r in rows - {at} for u in self.users[r]):
                break
            inner |= rows | {at}
            kind, axis, at = name, a, x
        return (at, axis, kind, inner) if kind else None

    def _round(self, i: int) -> tuple[int, int, str, set[int]] | None:
        """(what is halved, axis, row, the rows of the round) of one round of adjacent pairs that ends at row i."""
        row, rows = self.rows[i], {i}
        winners, last = i, None
        if row.name == "concat":
            if len(row.operands) != 2:
                return None
            winners, last = row.operands
            rows |= {winners, last}
        won = self.rows[winners]
        if won.name not in ("maximum", "minimum"):
            return None
        left, right = won.operands
        if self.rows[left].name != "index" or self.rows[right].name != "index":
            return None
        x = self.rows[left].operands[0]
        if self.rows[right].operands != (x,):
            return None
        rows |= {left, right}
        axis = len(self.rows[left].params["key"]) - 1 if isinstance(self.rows[left].params["key"], tuple) else -1
        n = self.rows[x].shape[axis] if 0 <= axis < len(self.rows[x].shape) else None
        if not isinstance(n, int) or n < 2 or (n % 2 == 1) != (last is not None):
            return None
        before = (slice(None),) * axis
        keys = [(left, slice(0, n - 1, 2)), (right, slice(1, n, 2))]
        if last is not None:
            if self.rows[last].name != "index" or self.rows[last].operands != (x,) or row.params["axis"] != axis:
                return None
            keys.append((last, slice(n - 1, n)))
        if any(self.rows[k].params["key"] != (*before, key) for k, key in keys):
            return None
        return x, axis, won.name, rows

    def _max_pool(self, row: Row, frames: Row, axes: list[int]) -> Match | None:
        first, dims = frames.params["axes"][0], len(frames.params["axes"])
        rank = len(frames.shape)
        channels = [*range(first), *range(first + dims, rank - dims)]  # the axes of x that no window slides along
        if axes != list(range(first + dims, first + 2 * dims)) or len(channels) != 2:
            return None
        (source,) = frames.operands
        cells = self.rows[source].shape
        if any(isinstance(cells[a], Size) for a in frames.params["axes"]) or 0 in frames.shape:
            return None
        order = [*channels, *frames.params["axes"]]

        def write(e: Emitter, xs: list[str]) -> str:
            x, _ = wide(e, xs[0], row.dtype)
            x = e.node("Transpose", x, perm=tuple(order))
            y = e.node(
                "MaxPool", x, kernel_shape=tuple(frames.params["window"]), strides=tuple(frames.params["stride"]),
                dilations=tuple(frames.params["dilation"]), pads=(0,) * (2 * dims),
            )  # fmt: skip
            y = e.node("Transpose", y, perm=tuple(int(a) for a in np.argsort(order)))
            return back(e, e.reshape(y, row.shape), row.dtype)

        return Match((source,), write)

    def average(self, i: int) -> Match | None:
        """The sum over the windows of an image is its average times the number of cells."""
        row = self.rows[i]
        at = self.of(i, "windows")
        if at is None or not self.alone(at) or row.dtype not in _CONVOLVED:
            return None
        frames = self.rows[at]
        first, dims = frames.params["axes"][0], len(frames.params["axes"])
        rank = len(frames.shape)
        channels = [*range(first), *range(first + dims, rank - dims)]
        axes = row.params["axis"]
        over = sorted(a % rank for a in ((axes,) if isinstance(axes, int) else axes or ()))
        if over != list(range(first + dims, first + 2 * dims)) or len(channels) != 2:
            return None
        (source,) = frames.operands
        cells = self.rows[source].shape
        dilated = any(d != 1 for d in frames.params["dilation"])
        if dilated or any(isinstance(cells[a], Size) for a in frames.params["axes"]) or 0 in frames.shape:
            return None
        order = [*channels, *frames.params["axes"]]

        def write(e: Emitter, xs: list[str]) -> str:
            x, dtype = wide(e, xs[0], row.dtype)
            x = e.node("Transpose", x, perm=tuple(order))
            y = e.node(
                "AveragePool", x, kernel_shape=tuple(frames.params["window"]), strides=tuple(frames.params["stride"]),
                pads=(0,) * (2 * dims),
            )  # fmt: skip
            y = e.node("Mul", y, e.constant(np.array(prod(frames.params["window"]), dtype)))
            y = e.node("Transpose", y, perm=tuple(int(a) for a in np.argsort(order)))
            return back(e, e.reshape(y, row.shape) if row.params.get("keepdims") else y, row.dtype)

        return Match((source,), write)


def _summed(text: str, other: str, result: str) -> bool:
    return all(c in other and c not in result for c in text)


def _free(text: str, other: str, result: str) -> bool:
    return all(c not in other and c in result for c in text)


def _brought(e: Emitter, x: str, row: Row, text: str, shape: tuple[Dim, ...], blocks: list[list[str]]) -> str:
    """x with its axes in the order of ``blocks`` of letters, each block one axis; in the dtype of the calculation."""
    x, _ = wide(e, x, row.dtype)
    order = [c for block in blocks for c in block]
    size = dict(zip(text, shape, strict=True))
    x = e.node("Transpose", x, perm=tuple(text.index(c) for c in order))
    return e.reshape(x, [product([size[c] for c in block]) for block in blocks], tuple(size[c] for c in order))


def _restored(e: Emitter, y: str, row: Row, blocks: list[list[str]], size: dict[str, Dim], result: str) -> str:
    """A result, each axis of which is a block of letters, with its letters apart again and in the order of
    ``result``."""
    order = [c for block in blocks for c in block]
    if any(len(block) != 1 for block in blocks):
        y = e.reshape(y, tuple(size[c] for c in order))
    y = e.node("Transpose", y, perm=tuple(order.index(c) for c in result))
    return back(e, y, row.dtype)
