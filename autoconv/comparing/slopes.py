"""Where the gradients of two runs part although their values agree: slopes chosen at kinks and ties, gradients cut off."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..tape import Array
from .matching import Match, same, turned
from .result import Difference, where
from .side import Side, largest

OWN, ALL = 1e-8, 1e-11  # of a line's largest gradient, and of all gradients: what rounding may change in double precision


class Gradients:
    """Both sweeps from one random cotangent of the outputs, and the lines of a and b that stand for each other."""

    def __init__(self, match: Match) -> None:
        self.match, self.a, self.b = match, match.a, match.b
        rng = np.random.default_rng(0)
        starts: tuple[list[Array | None], list[Array | None]] = ([], [])
        for i, j in zip(self.a.outputs, self.b.outputs, strict=True):
            y = self.a.values[i]
            axes = turned(y, self.b.values[j], match.slack(i, j))
            usable = y.dtype.kind == "f" and axes is not None
            start = (np.ones(y.shape) if y.size == 1 else rng.uniform(0.5, 1.5, y.shape)) if usable else None
            starts[0].append(start)
            starts[1].append(None if start is None or axes is None else start.transpose(axes))
        self.of_a, self.of_b = self.a.cotangents(starts[0]), self.b.cotangents(starts[1])
        self.most = max([largest(g) for g in (*self.of_a.values(), *self.of_b.values())], default=0.0)
        self.pairs = dict(_pairs(match))

    def differ(self, i: int, j: int) -> bool:
        """Whether a's line i and b's line j have other gradients (in whatever order)."""
        g, h = self.at(i, j)
        slack = OWN * max(largest(g), largest(h)) + ALL * self.most
        return not same(np.sort(g.ravel()), np.sort(h.ravel()), slack)

    def at(self, i: int, j: int) -> tuple[Array, Array]:
        nothing = np.zeros(self.a.values[i].shape)
        g = self.of_a.get(i, nothing)
        return g, self.of_b.get(j, np.zeros(self.b.values[j].shape))

    def first(self) -> tuple[int, int] | None:
        """The first pair, on the way back, whose gradients differ; None if those of all inputs and parameters agree."""
        leaves = [(i, j) for i, j in self.pairs.items() if self.a.is_leaf(i) and not self._still(i, j)]
        if not any(self.differ(i, j) for i, j in leaves):
            return None
        for i in sorted(self.pairs, reverse=True):
            if not self._still(i, self.pairs[i]) and self.differ(i, self.pairs[i]):
                return i, self.pairs[i]
        return None

    def _still(self, i: int, j: int) -> bool:
        return self.a.lines[i].constant and self.b.lines[j].constant


def _pairs(match: Match) -> Iterator[tuple[int, int]]:
    """(line of a, line of b) with the same numbers; where several have them, in order, if there are as many in both."""
    groups: dict[int, tuple[list[int], list[int]]] = {}
    for which, side in enumerate((match.a, match.b)):
        for i in range(len(side.lines)):
            row = side.lines[i].primitive
            if row is not None and row.group == "wiring" and not row.adds:
                continue
            key = match.partner[0].get(i) if which == 0 else i
            if which == 1:
                back = match.partner[1].get(i)
                key = None if back is None else match.partner[0].get(back)
            if key is not None:
                groups.setdefault(key, ([], []))[which].append(i)
    for mine, theirs in groups.values():
        by_name = {match.b.lines[j].name: j for j in theirs if match.b.lines[j].name}
        named = [(i, by_name[match.a.lines[i].name]) for i in mine if match.a.lines[i].name in by_name]
        if len(named) == len(mine):
            yield from named
        elif len(mine) == len(theirs):
            yield from zip(sorted(mine, key=match.a.first_use), sorted(theirs, key=match.b.first_use), strict=True)


def explained(gradients: Gradients, i: int, j: int) -> tuple[Difference, str, str]:
    """(the difference, the convention's name, why) for a's line i and b's line j, whose gradients differ."""
    match, a, b = gradients.match, gradients.a, gradients.b
    g, h = gradients.at(i, j)
    reader = _reader(a, gradients, i)
    other = _reader(b, gradients, j)
    size = max(largest(g), largest(h))
    axes = turned(a.values[i], b.values[j], match.slack(i, j))
    apart = float("nan")
    detail = ""
    if axes is not None:
        back = h.transpose(np.argsort(axes))
        off = np.abs(g - back) > OWN * size + ALL * gradients.most
        apart = largest(g - back) / size if size else 0.0
        detail = f"the gradient of {_said(a, i)} differs in {np.count_nonzero(off):,} of {off.size:,} elements"
    else:
        apart = largest(np.sort(g.ravel()) - np.sort(h.ravel())) / size if size else 0.0
    first = Difference("gradients", where(a, i if reader is None else reader), where(b, j if other is None else other), apart, detail)
    if i not in gradients.of_a or j not in gradients.of_b or not largest(g) or not largest(h):
        cut = "a" if not largest(g) else "b"
        return first, "gradient cut off", f"{cut} passes no gradient on to {_said(a, i)}"
    if axes is not None and reader is not None:
        back = h.transpose(np.argsort(axes))
        for attempt in (_pooling(a, gradients, i, reader, g, back), _kink(a, gradients, i, reader, g, back)):
            if attempt:
                return first, *attempt
    if axes is not None:
        back = h.transpose(np.argsort(axes))
        there = np.abs(back) > 1e-6 * largest(back)
        ratios = g[there] / back[there]
        if ratios.size > 2 and np.ptp(ratios) < 1e-8 * abs(ratios[0]):
            return first, "factor of a gradient", f"a's gradient is {ratios[0]:.6g} times b's"
    return first, "", ""


def _said(side: Side, i: int) -> str:
    line = side.lines[i]
    return line.name or f"%{i} ({side.row(i)})"


def _reader(side: Side, gradients: Gradients, i: int) -> int | None:
    """The line that reads line i, looked through moves: the first one that is computed."""
    reached = {i}
    for k in range(i + 1, len(side.lines)):
        if reached & set(side.operands[k]):
            row = side.lines[k].primitive
            if row is not None and row.group == "wiring" and not row.adds:
                reached.add(k)
            else:
                return k
    return None


def _kink(side: Side, gradients: Gradients, i: int, reader: int, g: Array, h: Array) -> tuple[str, str] | None:
    """Slopes that differ only where the operand is at one value, or equal to the other operand of its reader."""
    x = side.values[i]
    off = np.abs(g - h) > OWN * max(largest(g), largest(h)) + ALL * gradients.most
    at = np.unique(x[off])
    if not at.size:
        return None
    everywhere = [np.isin(x, at).sum() == off.sum() or not np.any(off & ~np.isin(x, at))]
    arrived = gradients.of_a.get(reader)
    slopes = ""
    if arrived is not None and arrived.shape == x.shape:
        with np.errstate(all="ignore"):
            p, q = np.unique(np.round(g[off] / arrived[off], 6)), np.unique(np.round(h[off] / arrived[off], 6))
        if len(p) == len(q) == 1:
            slopes = f": a has slope {p[0] + 0:g}, b {q[0] + 0:g}"
    calls = side.calls(reader)
    name = calls[-1] if calls else side.row(reader)
    if at.size <= 2 and off.sum() < x.size and everywhere[0]:
        points = " and ".join(f"{v:g}" for v in at)
        return "slope at a kink", f"{name} at {points}, where {off.sum():,} of {x.size:,} elements are{slopes}"
    for k in side.operands[reader]:
        y = side.values[k]
        if k != i and y.shape == x.shape and bool(np.all(x[off] == y[off])):
            return "slope at a kink", f"{name} of two equal numbers, in {off.sum():,} of {x.size:,} elements{slopes}"
    return None


def _pooling(side: Side, gradients: Gradients, i: int, reader: int, g: Array, h: Array) -> tuple[str, str] | None:
    """The gradient of a max pooling under the rules for ties that are in use."""
    name = next((c for c in reversed(side.calls(reader)) if c.startswith("max_pool")), "")
    frames = next((k for k in range(i + 1, reader + 1) if side.row(k) == "windows"), None)
    if not name or frames is None:
        return None
    scope = next(s for s in side.lines[reader].scope.path if s.name == name)  # type: ignore[union-attr]
    inside = [k for k, line in enumerate(side.lines) if line.scope is not None and scope in line.scope.path]
    arrived = gradients.of_a.get(inside[-1])
    primitive, params = side.lines[frames].primitive, dict(side.lines[frames].params)
    axes = params["axes"]
    windows = np.arange(axes[-1] + 1, axes[-1] + 1 + len(axes))
    x = side.values[side.operands[frames][0]]
    if arrived is None or primitive is None or x.shape != g.shape:
        return None
    seen = np.moveaxis(side.values[frames], windows, range(-len(axes), 0))
    flat = seen.reshape(*seen.shape[: -len(axes)], -1)
    best = flat == flat.max(-1, keepdims=True)
    first = np.cumsum(best, -1) == 1
    rules = {
        "the first cell in scan order": best & first,
        "the last cell in scan order": best & (np.cumsum(best[..., ::-1], -1) == 1)[..., ::-1],
        "all winners alike (each a share)": best / best.sum(-1, keepdims=True),
        "all winners in full": best * 1.0,
    }
    ends: dict[str, str] = {}
    for rule, share in rules.items():
        parts = share * arrived.reshape(*flat.shape[:-1], 1)
        parts = np.moveaxis(parts.reshape(seen.shape), range(-len(axes), 0), windows)
        pulled = np.zeros(x.shape)
        index = np.broadcast_to(np.arange(x.size).reshape(x.shape), x.shape)
        places = np.asarray(primitive.forward(index, **params))
        np.add.at(pulled.reshape(-1), places.reshape(-1), parts.reshape(-1))
        for who, gradient in (("a", g), ("b", h)):
            if same(pulled, gradient, OWN * largest(pulled) + ALL * gradients.most):
                ends.setdefault(who, rule)
    if len(ends) == 2 and ends["a"] != ends["b"]:
        return "tie rule of pooling", f"where cells of a window are equal, the gradient goes to {ends['a']} in a, to {ends['b']} in b"
    return None
