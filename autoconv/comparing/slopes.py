"""Where the gradients of two runs part although their values agree: slopes chosen at kinks and ties, gradients cut
off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..tape import Array
from .matching import Match, same, turned
from .result import Difference, where
from .side import Side, largest

OWN, ALL = (
    1e-8,
    1e-11,
)  # of a line's largest gradient, and of all gradients: what rounding may change in double precision


class Gradients:
    """Both sweeps from one random cotangent of the outputs, and the lines of a and b that stand for each other."""

    def __init__(self, match: Match) -> None:
        self.match, self.a, self.b = match, match.a, match.b
        rng = np.random.default_rng(0)
        starts: tuple[list[Array | None], list[Array | None]] = ([], [])
        for i, j in zip(self.a.outputs, self.b.outputs, strict=True):
            y = self.a.values[i]
            axes = turned(y, self.b.values[j], match.slack(i, j))
            start: Any = None
            usable = y.dtype.kind == "f" and axes is not None
            if usable:
                start = np.ones(y.shape) if y.size == 1 else rng.uniform(0.5, 1.5, y.shape)
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
        """Whether nobody asks for the gradient: a leaf that one side has as a plain array, or constants."""
        still = self.a.lines[i].constant, self.b.lines[j].constant
        return any(still) if self.a.is_leaf(i) else all(still)


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
    a, b = gradients.a, gradients.b
    g, h = gradients.at(i, j)
    back = _like_a(gradients, i, j)
    size = max(largest(g), largest(h))
    detail = ""
    if back is None:
        apart = largest(np.sort(g.ravel()) - np.sort(h.ravel()))
    else:
        off = np.abs(g - back) > OWN * size + ALL * gradients.most
        apart = largest(g - back)
        detail = f"the gradient of {_said(a, i)} differs in {np.count_nonzero(off):,} of {off.size:,} elements"
    in_a, in_b = (where(side, next(iter(_readers(side, k)), k)) for side, k in ((a, i), (b, j)))
    first = Difference("gradients", in_a, in_b, apart / size if size else 0.0, detail)
    for which, k in ((0, i), (1, j)):
        attempt = _pooling(gradients, which, k)
        if attempt:
            return first, *attempt
    if not largest(g) or not largest(h):
        cut = "a" if not largest(g) else "b"
        return first, "gradient cut off", f"{cut} passes no gradient on to {_said(a, i)}"
    if back is not None:
        attempt = _kink(gradients, i, g, back)
        if attempt:
            return first, *attempt
        there = np.abs(back) > 1e-6 * largest(back)
        ratios = g[there] / back[there]
        if ratios.size > 2 and np.ptp(ratios) < 1e-8 * abs(ratios[0]):
            return first, "factor of a gradient", f"a's gradient is {ratios[0]:.6g} times b's"
    return first, "", ""


def _like_a(gradients: Gradients, i: int, j: int) -> Array | None:
    """b's gradient of line j with the axes of a's line i; None if no order of the axes makes the lines equal."""
    match = gradients.match
    axes = turned(match.a.values[i], match.b.values[j], match.slack(i, j))
    return None if axes is None else gradients.at(i, j)[1].transpose(np.argsort(axes))


def _said(side: Side, i: int) -> str:
    line = side.lines[i]
    return line.name or f"%{i} ({side.row(i)})"


def _readers(side: Side, i: int) -> list[int]:
    """The lines that read line i, looked through moves; those with a kink first."""
    reached, found = {i}, []
    for k in range(i + 1, len(side.lines)):
        if reached & set(side.operands[k]):
            row = side.lines[k].primitive
            if row is not None and row.group == "wiring" and not row.adds:
                reached.add(k)
            else:
                found.append(k)
    return sorted(found, key=lambda k: (not getattr(side.lines[k].primitive, "masks", False), k))


def _arrived(side: Side, cotangents: dict[int, Array], i: int, readers: list[int]) -> Array | None:
    """The gradient that comes to the one step that reads line i: a line, or the call that holds all that read it."""
    shape = side.values[i].shape
    if len(readers) == 1:
        arrived = cotangents.get(readers[0])
    else:
        around = [side.lines[k].scope for k in readers]
        common = set.intersection(*[set(scope.path) if scope else set() for scope in around])
        calls = [scope for scope in common if scope.kind == "call"]
        if not calls:
            return None
        inner = max(calls, key=lambda scope: scope.serial)
        lines = [k for k, line in enumerate(side.lines) if line.scope is not None and inner in line.scope.path]
        arrived = cotangents.get(lines[-1])
    return arrived if arrived is not None and arrived.shape == shape else None


def _kink(gradients: Gradients, i: int, g: Array, h: Array) -> tuple[str, str] | None:
    """Slopes that differ only where the operand is at one value, or equal to the other operand of its reader."""
    side, x = gradients.a, gradients.a.values[i]
    readers = _readers(side, i)
    off = np.abs(g - h) > OWN * max(largest(g), largest(h)) + ALL * gradients.most
    at = np.unique(x[off])
    if not at.size or not readers:
        return None
    slopes = ""
    arrived = _arrived(side, gradients.of_a, i, readers)
    if arrived is not None:
        with np.errstate(all="ignore"):
            p, q = (np.unique(np.round(part[off] / arrived[off], 6)) for part in (g, h))
        if len(p) == len(q) == 1:
            slopes = f": a has slope {p[0] + 0:g}, b {q[0] + 0:g}"
    name = side.step(readers[0])
    if at.size <= 2 and off.sum() < x.size and set(np.flatnonzero(np.isin(x, at))) >= set(np.flatnonzero(off)):
        points = " and ".join(f"{v:g}" for v in at)
        return "slope at a kink", f"{name} at {points}, which {off.sum():,} of {x.size:,} elements are{slopes}"
    for k in side.operands[readers[0]]:
        y = side.values[k]
        if k != i and y.shape == x.shape and bool(np.all(x[off] == y[off])):
            return "slope at a kink", f"{name} of two equal numbers, in {off.sum():,} of {x.size:,} elements{slopes}"
    return None


# ---- max pooling


def _pooling(gradients: Gradients, which: int, k: int) -> tuple[str, str] | None:
    """The gradient of a max pooling at or behind line k of a side, under the rules for ties that are in use."""
    side = (gradients.a, gradients.b)[which]
    cotangents = (gradients.of_a, gradients.of_b)[which]
    scopes = [
        scope
        for line in (k, *_readers(side, k)[:1])
        for scope in (side.lines[line].scope.path if side.lines[line].scope else ())  # type: ignore[union-attr]
        if scope.name.startswith("max_pool")
    ]
    if not scopes:
        return None
    inside = [n for n, line in enumerate(side.lines) if line.scope is not None and scopes[0] in line.scope.path]
    frames = next((n for n in inside if side.row(n) == "windows"), None)
    arrived = cotangents.get(inside[-1])
    if frames is None or arrived is None:
        return None
    moves, source = [frames], side.operands[frames][0]
    while source in inside and side.row(source) in ("take", "reshape"):
        moves.append(source)
        source = side.operands[source][0]
    pairs = gradients.pairs if which == 0 else {j: i for i, j in gradients.pairs.items()}
    if source not in pairs:
        return None
    i, j = (source, pairs[source]) if which == 0 else (pairs[source], source)
    g, back = gradients.at(i, j)[0], _like_a(gradients, i, j)
    if back is None:
        return None
    if which == 1:  # the same in b's order of the axes
        axes = turned(gradients.a.values[i], gradients.b.values[j], gradients.match.slack(i, j)) or ()
        g, back = g.transpose(axes), back.transpose(axes)
    places: Array = np.arange(side.values[source].size).reshape(side.values[source].shape)
    for n in reversed(moves):
        primitive = side.lines[n].primitive
        others = [side.values[m] for m in side.operands[n][1:]]
        places = np.asarray(primitive.forward(places, *others, **side.lines[n].params))  # type: ignore[union-attr]
    found: dict[str, str] = {}
    for rule, pulled in _rules(side, frames, arrived, places, g.shape):
        for who, gradient in (("a", g), ("b", back)):
            if same(pulled, gradient, OWN * largest(pulled) + ALL * gradients.most):
                found.setdefault(who, rule)
    if len(found) == 2 and found["a"] != found["b"]:
        words = f"where cells of a window are equal, the gradient goes to {found['a']} in a, to {found['b']} in b"
        return "tie rule of pooling", words
    return None


def _rules(
    side: Side, frames: int, arrived: Array, places: Array, shape: tuple[int, ...]
) -> Iterator[tuple[str, Array]]:
    """(rule, the gradient of the pooling's input under it)."""
    axes = side.lines[frames].params["axes"]
    window = [axes[-1] + 1 + n for n in range(len(axes))]
    seen = np.moveaxis(side.values[frames], window, range(-len(axes), 0))
    flat = seen.reshape(*seen.shape[: -len(axes)], -1)
    if arrived.size * flat.shape[-1] != flat.size:
        return
    best = flat == flat.max(-1, keepdims=True)
    last = best[..., ::-1]
    rules = {
        "the first cell in scan order": best & (np.cumsum(best, -1) == 1),
        "the last cell in scan order": (last & (np.cumsum(last, -1) == 1))[..., ::-1],
        "all of them in equal shares": best / best.sum(-1, keepdims=True),
        "each of them in full": best * 1.0,
    }
    if flat.shape[-1] == 4:  # maximum(maximum(a, b), maximum(c, d)), each tie split in half
        halves = best.reshape(*best.shape[:-1], 2, 2)
        pairs = halves.any(-1, keepdims=True)
        share = halves / np.maximum(halves.sum(-1, keepdims=True), 1) * pairs / pairs.sum(-2, keepdims=True)
        rules["pairs, each split in half"] = share.reshape(best.shape)
    for rule, share in rules.items():
        parts = (share * arrived.reshape(*flat.shape[:-1], 1)).reshape(seen.shape)
        pulled = np.zeros(shape)
        np.add.at(pulled.reshape(-1), places.reshape(-1), np.moveaxis(parts, range(-len(axes), 0), window).reshape(-1))
        yield rule, pulled
