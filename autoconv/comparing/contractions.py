"""Conventions of convolutions and matrix products: weights, the order of what they read, padding."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import numpy as np

from ..tape import Array
from .site import Move, Site, Try, axes_said, number_of, subsets, with_source

MOST_ORDERS = 120
MOST_PADS = 60


# ---- weights


def other_weights(site: Site) -> Iterator[Try]:
    """Parameters (or stored numbers) of the same size with other values."""
    partners = site.match.partner
    for k in range(len(site.reads)):
        i, _ = site.moved_from(k)
        mine = site.value(i)
        if (
            not site.side.is_leaf(i)
            or i in partners[site.which]
            or mine.size < 1
            or number_of(site.side, i) is not None
        ):
            continue
        for j, line in enumerate(site.other.lines):
            theirs = np.asarray(site.other.values[j])
            if line.primitive is None and j not in partners[1 - site.which] and theirs.size == mine.size:
                shaped = _as(theirs, mine.shape)
                value = site.side.following({i: shaped})[site.i]
                name = site.side.lines[i].name or "a constant"
                apart = float(np.max(np.abs(shaped - mine)))
                yield Try("another weight", f"{name} has other numbers in {site.you}, up to {apart:.3g} apart", value)


def _as(x: Array, shape: tuple[int, ...]) -> Array:
    """x in a shape: its axes in another order where that fits, else reshaped."""
    if x.ndim == len(shape):
        for axes in permutations(range(x.ndim)):
            if tuple(x.shape[a] for a in axes) == shape:
                return x.transpose(axes)
    return x.reshape(shape)


def weight_orders(site: Site) -> Iterator[Try]:
    """The weight of a contraction rotated, transposed, or filled in another order."""
    if site.row != "contract":
        return
    for k in range(2):
        source, moves = site.moved_from(k)
        if k != site.weight:
            continue
        w = site.value(source)
        letters = site.line.params["spec"].split("->")[0].split(",")[k]
        window = (
            [a for a, c in enumerate(letters) if c in "ijk"] if site.within("conv") and w.ndim == len(letters) else []
        )
        axes = window or [a for a, n in enumerate(w.shape) if n > 1]
        for some in subsets(axes):
            whole = window and list(some) == window
            name = "rotated kernel" if whole else "flipped weight"
            words = f"{site.you} turns the kernel by 180 degrees: a true convolution in one, a correlation in the other"
            if not whole:
                words = f"{site.you} reads {_named(site, source)} backwards along {axes_said(some)}"
            yield Try(name, words, with_source(site, k, moves, np.flip(w, some)))
        for order in list(permutations(range(w.ndim)))[1:MOST_ORDERS]:
            turned = w.transpose(order)
            what = "transposed weight" if turned.shape == w.shape else "layout of the weight"
            words = f"{site.you} has {_named(site, source)} with its axes in the order {order}"
            if turned.shape != w.shape:
                words += ", filled into this shape"
            yield Try(what, words, with_source(site, k, moves, turned.reshape(w.shape)))


def _named(site: Site, i: int) -> str:
    return site.side.lines[i].name or "the weight"


def transposed_kernels(site: Site) -> Iterator[Try]:
    """The frames of a transposed convolution turned: what a rotated kernel makes of them."""
    if site.row != "overlap_add":
        return
    frames, axes = site.operands[0], site.line.params["axes"]
    window = list(range(axes[-1] + 1, axes[-1] + 1 + len(axes)))
    for some in subsets(window):
        name = "rotated kernel" if list(some) == window else "flipped weight"
        words = f"{site.you} uses the kernel turned round along {len(some)} of its {len(window)} window axes"
        yield Try(name, words, site.result([np.flip(frames, some)]))
    for order in list(permutations(window))[1:]:
        turned = np.moveaxis(frames, window, order)
        if turned.shape == frames.shape:
            yield Try(
                "transposed weight", f"{site.you} has the kernel's window axes in another order", site.result([turned])
            )


# ---- what a contraction reads: order of flattening, channels, padding


def flattening(site: Site) -> Iterator[Try]:
    """Features that were flattened from images in another order of the axes."""
    if site.row != "contract":
        return
    for k in range(2):
        x = site.operands[k]
        if x.ndim != 2 or site.side.is_leaf(site.moved_from(k)[0]):
            continue
        for shape in _shapes_before(site, site.reads[k], x):
            for order in list(permutations(range(1, len(shape))))[1:MOST_ORDERS]:
                value = x.reshape(shape).transpose(0, *order).reshape(x.shape)
                plain = tuple(range(1, len(shape)))
                words = f"{site.me} flattens axes {plain} of shape {shape}, {site.you} in the order {order}"
                if (order[-1] == 1 and order[:-1] == tuple(range(2, len(shape)))) or (
                    order[0] == len(shape) - 1 and order[1:] == tuple(range(1, len(shape) - 1))
                ):
                    words += ": channels last in one, channels first in the other"
                yield Try(
                    "order of flattening",
                    words,
                    site.result([value if j == k else y for j, y in enumerate(site.operands)]),
                )


def _shapes_before(site: Site, i: int, x: Array) -> list[tuple[int, ...]]:
    """Shapes with more axes that the same elements had before they came to be features."""
    shapes: dict[tuple[int, ...], None] = {}
    for _ in range(20):
        reads = [k for k in site.side.operands[i] if site.value(k).size == x.size and not site.side.is_leaf(k)]
        if not reads:
            break
        i = reads[0]
        shape = site.value(i).shape
        if len(shape) > 2 and shape[0] == x.shape[0] and len(shape) < 7:
            shapes[shape] = None
    return list(shapes)


def channels(site: Site) -> Iterator[Try]:
    """What is read with an axis backwards, or with three channels in another order."""
    if site.row not in ("contract", "mul", "add", "sub", "div"):
        return
    for k in range(len(site.reads)):
        source, moves = site.moved_from(k)
        x = site.value(source)
        if x.size < 2 or number_of(site.side, source) is not None or x.ndim > 6:
            continue
        if k == site.weight and (k or not site.side.is_leaf(site.moved_from(1)[0])):
            continue
        for axis, n in enumerate(x.shape):
            orders = list(permutations(range(n)))[1:] if 2 <= n <= 3 else [tuple(range(n))[::-1]] if n > 1 else []
            for order in orders:
                how = f"in the order {order}" if n < 5 else "backwards"
                words = f"{site.you} reads axis {axis} of {_said(site, source)} {how}"
                yield Try("swapped channels", words, with_source(site, k, moves, np.take(x, order, axis)))


def joined(site: Site) -> Iterator[Try]:
    """What is read was joined from the same parts in another order."""
    for k in range(len(site.reads)):
        source, moves = site.moved_from(k)
        if site.side.row(source) != "concat":
            continue
        axis = site.side.lines[source].params["axis"]
        parts = site.side.operands[source]
        places = range(len(parts))
        for order in list(permutations(places))[1:] if len(parts) < 5 else [tuple(places)[::-1]]:
            words = f"{site.you} joins {', '.join(_said(site, parts[p]) for p in order)} in this order (axis {axis})"
            other = np.concatenate([site.value(parts[p]) for p in order], axis)
            yield Try("order of concatenation", words, with_source(site, k, moves, other))


def _said(site: Site, i: int) -> str:
    return site.side.lines[i].name or f"line %{i}"


def padding(site: Site) -> Iterator[Try]:
    """Padding on other sides, or with other cells than zeros."""
    for k in range(len(site.reads)):
        source, moves = site.moved_from(k)
        at = next((m for m, (primitive, _) in enumerate(moves) if primitive.name in ("pad", "crop")), None)
        if at is None:
            continue
        primitive, params = moves[at]
        width = params["width"]
        axes = [a for a, (low, high) in enumerate(width) if low + high]
        theirs = [line.params["width"] for line in site.other.lines if line.primitive is primitive]
        theirs = [other for other in theirs if len(other) == len(width) and other != width]
        named = [tuple(other[a] for a in axes) for other in dict.fromkeys(theirs)]
        for choice in [*named, *_pads([width[a] for a in axes], grow=primitive.name == "pad")]:
            other = list(width)
            for a, pair in zip(axes, choice, strict=True):
                other[a] = pair
            changed = [*moves[:at], (primitive, {"width": tuple(other)}), *moves[at + 1 :]]
            words = f"{site.me} has {pairs_said(width, axes)} (low, high), {site.you} {pairs_said(other, axes)}"
            value = _of_same_shape(site, k, changed, source)
            if value is not None:
                yield Try("padding side", words, value, None, site.moves_at(k)[at])
        for mode in ("reflect", "edge", "symmetric", "wrap") if primitive.name == "pad" else ():
            inner = site.value(source)
            for before, settings_before in moves[:at]:
                inner = before.forward(inner, **settings_before)
            try:
                padded = np.pad(inner, width, mode=mode)
            except ValueError:
                continue
            for after, settings_after in moves[at + 1 :]:
                padded = after.forward(padded, **settings_after)
            word = {"reflect": "reflected cells", "edge": "its border cells"}.get(mode, f"cells of mode {mode!r}")
            value = site.result([padded if j == k else x for j, x in enumerate(site.operands)])
            words = f"{site.me} pads with zeros, {site.you} with {word}"
            yield Try("padding mode", words, value, None, site.moves_at(k)[at])


def geometry(site: Site) -> Iterator[Try]:
    """The other's windows: its padding, stride and dilation, on what this line reads."""
    for k in range(len(site.reads)):
        source, moves = site.moved_from(k)
        mine = {primitive.name: params for primitive, params in moves}
        if "windows" not in mine:
            continue
        for j in site.open_there:
            if site.other.lines[j].primitive is not site.primitive or len(site.other.operands[j]) != len(site.reads):
                continue
            _, other_moves = Site(site.match, 1 - site.which, j).moved_from(k)
            theirs = {primitive.name: params for primitive, params in other_moves}
            try:
                value = with_source(site, k, other_moves, site.value(source))
            except (ValueError, TypeError, IndexError):
                continue
            changed = [
                (name, setting, mine.get(name, {}).get(setting), value_there)
                for name, params in theirs.items()
                for setting, value_there in params.items()
                if mine.get(name, {}).get(setting) != value_there
            ]
            names = [setting for _, setting, *_ in changed]
            name = next((word for word in ("dilation", "stride") if word in names), "padding side")
            if "window" in names or not changed:
                continue
            words = ", ".join(
                f"{_SETTINGS.get(w, w)} is {_short(p)} in {site.me}, {_short(q)} in {site.you}"
                for _, w, p, q in changed
            )
            yield Try(name, words, value, None, site.moves_at(k)[0])


_SETTINGS = {"width": "padding"}


def _short(setting: Any) -> str:
    """Padding without the axes that have none."""
    if isinstance(setting, tuple) and setting and isinstance(setting[0], tuple):
        return str(tuple(pair for pair in setting if any(pair)))
    return "none" if setting is None else str(setting)


def _pads(pairs: list[tuple[int, int]], grow: bool) -> Iterator[tuple[tuple[int, int], ...]]:
    """Other (low, high): the same rule along each axis first, then each axis on its own."""
    count = 0
    for shift in (1, -1, 2, -2, 3, -3):
        moved = tuple((low + shift, high - shift) for low, high in pairs)
        if all(low >= 0 and high >= 0 for low, high in moved):
            yield moved
    if grow:
        for less, more in ((1, 0), (0, 1), (2, 0), (0, 2), (-1, 0), (0, -1)):
            moved = tuple((low - less, high - more) for low, high in pairs)
            if all(low >= 0 and high >= 0 for low, high in moved):
                yield moved
    for axis, (low, high) in enumerate(pairs):
        for shift in (1, -1):
            if low + shift >= 0 and high - shift >= 0 and count < MOST_PADS:
                count += 1
                yield tuple((low + shift, high - shift) if a == axis else p for a, p in enumerate(pairs))


def pairs_said(width: Any, axes: list[int]) -> str:
    distinct = list(dict.fromkeys(tuple(width[a]) for a in axes))
    return str(distinct[0]) if len(distinct) == 1 else str([tuple(width[a]) for a in axes])


def _of_same_shape(site: Site, k: int, moves: list[Move], source: int) -> Array | None:
    try:
        value = with_source(site, k, moves, site.value(source))
    except (ValueError, TypeError, IndexError):
        return None
    return value if value.size == site.value(site.i).size else None
