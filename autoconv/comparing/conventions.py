"""The table of conventions that values depend on: what to try where two runs part, and what it is called.

A row never guesses: it computes what the line would be under the other convention, and counts only if that is what the
other run has.  Rows come in the order in which they are tried; the first that holds is the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations, product
from math import erf, prod, sqrt
from typing import Any

import numpy as np

from ..tape import Array
from .site import Move, Rule, Site, Try, number_of

MOST_ORDERS = 120
MOST_PADS = 60


# ---- single numbers: epsilon, slopes, counts, scales


def constants(site: Site) -> Iterator[Try]:
    """The same line with another constant: one that the other program names, or its inverse."""
    if site.row not in ("add", "sub", "mul", "div", "power", "maximum", "minimum"):
        return
    for k in range(len(site.reads)):
        mine = site.constant(k)
        if mine is None:
            continue
        known = site.constants_there
        for theirs in dict.fromkeys([*known, *[1 / c for c in known if c], *[c * c for c in known]]):
            if theirs != mine:
                operands = [np.full_like(x, theirs, float) if j == k else x for j, x in enumerate(site.operands)]
                name, words = named_constant(site, k, mine, theirs)
                yield Try(name, words, site.result(operands))


def named_constant(site: Site, k: int, mine: float, theirs: float) -> tuple[str, str]:
    """What a constant is called where it stands."""
    row = site.row
    has = f"{site.me} has {mine:g}, {site.you} {theirs:g}"
    readers = {site.side.row(j) for j, reads in enumerate(site.side.operands) if site.i in reads}
    if site.within("leaky", "prelu"):
        return "slope of leaky relu", has
    if site.call[0] in ("elu", "celu", "selu"):
        return "alpha of elu", has
    if row in ("add", "maximum") and (site.within("norm") or readers & {"sqrt", "log"}) and max(mine, theirs) < 0.5:
        return "epsilon", has
    if row == "mul" and site.within("layer_norm", "group_norm", "instance_norm") and max(mine, theirs) < 0.5:
        return "epsilon", has
    if site.within("dropout"):
        return "dropout", f"another probability: {has}"
    if row in ("div", "mul") and mine > 0 and theirs > 0:
        many = mine if row == "div" else 1 / mine
        other = theirs if row == "div" else 1 / theirs
        if min(many, other) > 1 and abs(abs(many - other) - 1) < 1e-6 and _counts(site, max(many, other)):
            less = site.me if many < other else site.you
            return "biased or unbiased variance", f"{less} divides by n - 1 = {min(many, other):g}, the other by n"
        if site.within("avg_pool"):
            return "divisor of average pooling", f"{site.me} divides by {many:g}, {site.you} by {other:g}"
        if _counts(site, many) and _counts(site, other):
            return "reduction", f"{site.me} divides by {many:g}, {site.you} by {other:g}"
        if _is_scale(site, many) or _is_scale(site, other):
            return "scale factor", has
    if row in ("maximum", "minimum"):
        return "bound", has
    return "constant", has


def _counts(site: Site, n: float) -> bool:
    """Whether n is the number of elements that a sum just before the line added up."""
    for k in range(len(site.reads)):
        i, _ = site.moved_from(k)
        if site.side.row(i) in ("sum", "contract", "sum_to"):
            read = site.value(site.side.operands[i][0])
            if abs(read.size - n * site.value(i).size) < 1e-6 * read.size:
                return True
    return False


def _is_scale(site: Site, n: float) -> bool:
    """Whether n is the square root of a size nearby."""
    sizes = {m for i in (*site.reads, *[j for k in site.reads for j in site.side.operands[k]]) for m in site.value(i).shape}
    return any(abs(n * n - m) < 1e-4 * m for m in sizes if m > 1)


def epsilon_outside(site: Site) -> Iterator[Try]:
    """sqrt(v) + eps for sqrt(v + eps)."""
    if site.row != "add" or not (roots := [j for j, r in enumerate(site.side.operands) if site.i in r and site.side.row(j) == "sqrt"]):
        return
    for k in range(2):
        mine = site.constant(k)
        for theirs in site.constants_there if mine is not None else ():
            with np.errstate(all="ignore"):
                value = np.sqrt(site.operands[1 - k]) + theirs
            words = f"{site.me} has sqrt(v + {mine:g}), {site.you} sqrt(v) + {theirs:g}"
            yield Try("epsilon", words, value, roots[0])


def settings(site: Site) -> Iterator[Try]:
    """The same row with the settings of the other's line."""
    for j in site.open_there:
        line = site.other.lines[j]
        if line.primitive is site.primitive and line.params != site.line.params:
            try:
                value = site.result(site.operands, dict(line.params))
            except (ValueError, TypeError, IndexError):
                continue
            changed = [k for k in line.params if line.params[k] != site.line.params.get(k)]
            told = ", ".join(f"{k}={site.line.params.get(k)} in {site.me}, {line.params[k]} in {site.you}" for k in changed)
            yield Try(f"setting of {site.row}", told, value)


# ---- weights


def other_weights(site: Site) -> Iterator[Try]:
    """Parameters (or stored numbers) of the same size with other values."""
    partners = site.match.partner
    for k in range(len(site.reads)):
        i, _ = site.moved_from(k)
        mine = site.value(i)
        if not site.side.is_leaf(i) or i in partners[site.which] or mine.size < 1 or number_of(site.side, i) is not None:
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
        if not site.side.is_leaf(source):
            continue
        w = site.value(source)
        letters = site.line.params["spec"].split("->")[0].split(",")[k]
        window = [a for a, c in enumerate(letters) if c in "ijk"] if site.within("conv") and w.ndim == len(letters) else []
        axes = window or [a for a, n in enumerate(w.shape) if n > 1]
        for some in _subsets(axes):
            whole = window and list(some) == window
            name = "rotated kernel" if whole else "flipped weight"
            words = f"{site.you} uses the kernel turned by 180 degrees: a true convolution in one, a correlation in the other"
            if not whole:
                words = f"{site.you} reads {_named(site, source)} backwards along {_axes(some)}"
            yield Try(name, words, _with(site, k, moves, np.flip(w, some)))
        for order in list(permutations(range(w.ndim)))[1:MOST_ORDERS]:
            turned = w.transpose(order)
            what = "transposed weight" if turned.shape == w.shape else "layout of the weight"
            words = f"{site.you} has {_named(site, source)} with its axes in the order {order}"
            if turned.shape != w.shape:
                words += ", filled into this shape"
            yield Try(what, words, _with(site, k, moves, turned.reshape(w.shape)))


def _named(site: Site, i: int) -> str:
    return site.side.lines[i].name or "the weight"


def _axes(some: tuple[int, ...]) -> str:
    return f"axis {some[0]}" if len(some) == 1 else f"axes {some}"


def _subsets(axes: list[int]) -> list[tuple[int, ...]]:
    """All that are not empty, the largest first."""
    chosen = [tuple(a for a, yes in zip(axes, bits, strict=True) if yes) for bits in product((True, False), repeat=len(axes))]
    return [some for some in chosen if some][:31]


def _with(site: Site, k: int, moves: list[Move], source: Array) -> Array:
    """The line's result where operand k is moved from ``source``."""
    moved = source
    for primitive, params in moves:
        moved = primitive.forward(moved, **params)
    return site.result([moved if j == k else x for j, x in enumerate(site.operands)])


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
                words = f"{site.me} flattens axes {tuple(range(1, len(shape)))} of shape {shape}, {site.you} in the order {order}"
                if order[-1] == 1 and order[:-1] == tuple(range(2, len(shape))) or order[0] == len(shape) - 1 and order[1:] == tuple(range(1, len(shape) - 1)):
                    words += ": channels last in one, channels first in the other"
                yield Try("order of flattening", words, site.result([value if j == k else y for j, y in enumerate(site.operands)]))


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
        if site.row == "contract" and site.side.is_leaf(source) and site.side.lines[source].name and "weight" in str(site.side.lines[source].name):
            continue
        for axis, n in enumerate(x.shape):
            orders = list(permutations(range(n)))[1:] if 2 <= n <= 3 else [tuple(range(n))[::-1]] if n > 1 else []
            for order in orders:
                words = f"{site.you} reads axis {axis} of {_said(site, source)} in the order {order if n < 5 else 'backwards'}"
                yield Try("swapped channels", words, _with(site, k, moves, np.take(x, order, axis)))


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
        for choice in _pads([width[a] for a in axes], grow=primitive.name == "pad"):
            other = list(width)
            for a, pair in zip(axes, choice, strict=True):
                other[a] = pair
            changed = [*moves[:at], (primitive, {"width": tuple(other)}), *moves[at + 1 :]]
            words = f"{site.me} has {_pairs(width, axes)} (low, high), {site.you} {_pairs(other, axes)}"
            value = _of_same_shape(site, k, changed, source)
            if value is not None:
                yield Try("padding side", words, value)
        for mode in ("reflect", "edge", "symmetric", "wrap") if primitive.name == "pad" else ():
            inner = site.value(source)
            for before, settings_before in moves[:at]:
                inner = before.forward(inner, **settings_before)
            try:
                padded = np.pad(inner, width, mode=mode)  # type: ignore[call-overload]
            except ValueError:
                continue
            for after, settings_after in moves[at + 1 :]:
                padded = after.forward(padded, **settings_after)
            word = {"reflect": "reflected cells", "edge": "its border cells"}.get(mode, f"cells of mode {mode!r}")
            value = site.result([padded if j == k else x for j, x in enumerate(site.operands)])
            yield Try("padding mode", f"{site.me} pads with zeros, {site.you} with {word}", value)


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


def _pairs(width: Any, axes: list[int]) -> str:
    distinct = list(dict.fromkeys(tuple(width[a]) for a in axes))
    return str(distinct[0]) if len(distinct) == 1 else str([tuple(width[a]) for a in axes])


def _of_same_shape(site: Site, k: int, moves: list[Move], source: int) -> Array | None:
    try:
        value = _with(site, k, moves, site.value(source))
    except (ValueError, TypeError, IndexError):
        return None
    return value if value.size == site.value(site.i).size else None


# ---- pooling


def average_pooling(site: Site) -> Iterator[Try]:
    """A window's sum divided by all its cells, or by those that lie in the image."""
    if site.row not in ("div", "mul"):
        return
    for k in range(2):
        total, _ = site.moved_from(k)
        if site.side.row(total) != "sum":
            continue
        inner = Site(site.match, site.which, total)
        source, moves = inner.moved_from(0)
        if not any(primitive.name == "windows" for primitive, _ in moves):
            continue
        real = _with(inner, 0, moves, np.ones_like(site.value(source)))
        cells = prod(next(params["window"] for primitive, params in moves if primitive.name == "windows"))
        sums = site.value(total)
        words = f"{{}} divides by the {cells} cells of a window, {{}} by those of them in the image (count_include_pad)"
        name = "divisor of average pooling"
        with np.errstate(all="ignore"):
            yield Try(name, words.format(site.me, site.you), sums / real)
            yield Try(name, words.format(site.you, site.me), sums / cells)


def max_pooling(site: Site) -> Iterator[Try]:
    """Padding of a maximum: zeros that take part, or other sides."""
    name, inside = site.call
    if not name.startswith("max_pool"):
        return
    frames = next((i for i in inside if site.side.row(i) == "windows"), None)
    if frames is None:
        return
    around = Site(site.match, site.which, frames)
    params = dict(around.line.params)
    source, moves = around.reads[0], []
    while site.side.row(source) in ("take", "pad"):
        moves.append(source)
        source = site.side.operands[source][0]
    x, axes = site.value(source), params["axes"]
    grown = [around.operands[0].shape[a] - x.shape[a] for a in axes]
    last = axes[-1] + 1
    for lows in product(*[range(n + 1) for n in grown]):
        width = [(0, 0)] * x.ndim
        for a, low, n in zip(axes, lows, grown, strict=True):
            width[a] = (low, n - low)
        for fill, word in ((0.0, "zeros that take part in the maximum"), (-np.inf, "nothing")):
            padded = np.pad(x, width, constant_values=fill)
            value = around.primitive.forward(padded, **params).max(tuple(range(last, last + len(axes))))
            word_of_side = f", {_pairs(width, list(axes))} cells (low, high)" if any(grown) else ""
            yield Try("padding of max pooling", f"{site.you} pads with {word}{word_of_side}", value, inside[-1])


def pooling_kind(site: Site) -> Iterator[Try]:
    """The maximum of a window in place of its mean, or the other way round."""
    name, inside = site.call
    frames = [i for i in inside if site.side.row(i) == "windows"]
    around = next((n for n in site.side.calls(site.i) if n.startswith(("max_pool", "avg_pool", "lp_pool"))), "")
    if not around:
        return
    if not frames:
        frames = [i for i in range(site.i) if site.side.row(i) == "windows" and around in site.side.calls(i)][-1:]
    scope = next(s for s in site.line.scope.path if s.name == around)  # type: ignore[union-attr]
    pooled = [i for i, line in enumerate(site.side.lines) if line.scope is not None and scope in line.scope.path]
    for i in frames[-1:]:
        axes = site.side.lines[i].params["axes"]
        seen, last = site.value(i), axes[-1] + 1
        over = tuple(range(last, last + len(axes)))
        for word, value in (("the largest", seen.max(over)), ("the mean", seen.mean(over)), ("the sum", seen.sum(over))):
            yield Try("kind of pooling", f"{site.me} has {around}, {site.you} takes {word} of a window", value, pooled[-1])


# ---- sums: which axes, mean or sum


def reduction(site: Site) -> Iterator[Try]:
    """Sum or mean over other axes."""
    after_sum = any(site.side.row(site.moved_from(k)[0]) == "sum" for k in range(len(site.reads)))
    if site.row != "sum" and not (site.row in ("div", "mul") and after_sum):
        return
    for i in site.inputs:
        x = site.value(i)
        if x.ndim > 5 or not x.ndim:
            continue
        mine = _axes_of(site, i)
        for some in _subsets(list(range(x.ndim))):
            n = prod(x.shape[a] for a in some)
            for word, value in (("sums", x.sum(some)), ("averages", x.mean(some))):
                yield Try("reduction", f"{mine}{site.you} {word} over {_axes(some)} of shape {x.shape}, {n:,} numbers", value)
            if n > 1:
                deviation = x - x.mean(some, keepdims=True)
                for word, m in (("n", n), ("n - 1", n - 1)):
                    name = "biased or unbiased variance" if site.within("var", "std", "norm") else "reduction"
                    yield Try(name, f"{site.you} has the variance over {_axes(some)}, divided by {word}", (deviation**2).sum(some) / m)


def _axes_of(site: Site, i: int) -> str:
    axis = site.line.params.get("axis") if site.row == "sum" else None
    return f"{site.me} sums over {_axes(tuple(axis))}; " if axis and i in site.reads else ""


# ---- functions of one array


def activations(site: Site) -> Iterator[Try]:
    """The function that the other run computes of the same numbers."""
    mine = site.call[0] or site.row
    for i in site.inputs:
        x = site.value(i)
        if x.dtype.kind != "f":
            continue
        at = max((k for k in site.call[1] if site.value(k).size == x.size), default=site.i)
        for name, words, value in _functions(x):
            yield Try(name, f"{site.you} computes {words}, {site.me} {mine}", value, at)


def _functions(x: Array) -> Iterator[tuple[str, str, Array]]:
    with np.errstate(all="ignore"):
        low, high = np.minimum(x, 0), np.maximum(x, 0)
        sigmoid = 1 / (1 + np.exp(-x))
        phi = 0.5 * (1 + np.vectorize(erf, otypes=[float])(x / sqrt(2))) if x.size < 200_000 else sigmoid
        tanh_form = 0.5 * (1 + np.tanh(sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
        yield "exact or approximate gelu", "gelu by the error function", x * phi
        yield "exact or approximate gelu", "gelu by its tanh approximation", x * tanh_form
        yield "exact or approximate gelu", "gelu by sigmoid(1.702 x)", x / (1 + np.exp(-1.702 * x))
        for slope in (0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 1 / 5.5):
            yield "slope of leaky relu", f"leaky relu with slope {slope:g}", high + slope * low
        relu6 = np.clip(x + 3, 0, 6)
        alpha, scale = 1.6732632423543772, 1.0507009873554805
        activation = "another activation"
        yield activation, "relu", high
        yield activation, "relu6", np.minimum(high, 6)
        yield activation, "sigmoid", sigmoid
        yield activation, "tanh", np.tanh(x)
        yield activation, "silu", x * sigmoid
        yield activation, "hardswish", x * relu6 / 6
        yield activation, "hardsigmoid", relu6 / 6
        yield activation, "hardsigmoid with slope 0.2", np.clip(0.2 * x + 0.5, 0, 1)
        yield activation, "elu", high + np.expm1(low)
        yield activation, "selu", scale * (high + alpha * np.expm1(low))
        yield activation, "softplus", np.logaddexp(x, 0)
        yield activation, "mish", x * np.tanh(np.logaddexp(x, 0))
        yield activation, "abs", np.abs(x)
        yield activation, "hardtanh", np.clip(x, -1, 1)
        yield activation, "softsign", x / (1 + np.abs(x))
        for axis in range(x.ndim):
            e = np.exp(x - x.max(axis, keepdims=True))
            share = e / e.sum(axis, keepdims=True)
            yield "axis of softmax", f"softmax over axis {axis} of shape {x.shape}", share
            yield "axis of softmax", f"log softmax over axis {axis} of shape {x.shape}", np.log(share)


def normalising(site: Site) -> Iterator[Try]:
    """Batch statistics in place of stored ones, or statistics over other axes, of a norm."""
    name, inside = site.call
    norm = [scope for scope in (site.line.scope.path if site.line.scope else ()) if scope.kind == "call" and "norm" in scope.name]
    if norm:
        lines = enumerate(site.side.lines)
        inside = [k for k, line in lines if line.scope is not None and norm[0] in line.scope.path]
    elif name:
        return
    own = set(inside)
    divisions = [k for k in inside if site.side.row(k) == "div" and site.value(k).ndim > 1]
    if not divisions:
        return
    size = site.value(divisions[-1]).size
    reads = dict.fromkeys(i for k in inside for i in site.side.operands[k] if norm and i not in own or not norm)
    counted = any(site.side.row(k) == "sum" for k in inside)
    small = {c for c in (*site.constants_there, 1e-5) if 0 <= c < 0.1}
    for i in reads:
        x = site.value(i)
        if x.size != size or not 2 <= x.ndim <= 5 or site.side.is_leaf(i) and number_of(site.side, i) is not None:
            continue
        for some in _subsets(list(range(x.ndim))):
            deviation = x - x.mean(some, keepdims=True)
            variance = (deviation**2).mean(some, keepdims=True)
            for eps in small:
                with np.errstate(all="ignore"):
                    value = (deviation / np.sqrt(variance + eps)).reshape(site.value(divisions[-1]).shape)
                if counted:
                    words = f"{site.you} normalises over {_axes(some)} of shape {x.shape}"
                    yield Try("axes of the norm", words, value, divisions[-1])
                else:
                    words = f"{site.me} uses stored statistics (evaluation), {site.you} those of the batch (training)"
                    yield Try("training or evaluation", words, value, divisions[-1])


def resizing(site: Site) -> Iterator[Try]:
    """Interpolation with the corners aligned or not, and the nearest cell rounded in another way."""
    name, inside = site.call
    target = site.value(inside[-1])
    if not site.within("interpol", "resize", "upsampl", "nearest", "linear", "grid"):
        return
    for i in site.inputs:
        x = site.value(i)
        if x.ndim != target.ndim or x.ndim < 3 or x.shape == target.shape:
            continue
        axes = [a for a in range(x.ndim) if x.shape[a] != target.shape[a]]
        for word, weights in _WEIGHTS.items():
            value = x
            for a in axes:
                value = np.moveaxis(np.tensordot(weights(x.shape[a], target.shape[a]), value, (1, a)), 0, a)
            kind = "mode of nearest" if word.startswith("nearest") else "align_corners"
            yield Try(kind, f"{site.you} interpolates {word}", value, inside[-1])


def _linear(at: Array, n: int) -> Array:
    low = np.clip(np.floor(at), 0, n - 1).astype(int)
    share = np.clip(at - low, 0, 1)
    weights = np.zeros((len(at), n))
    weights[np.arange(len(at)), low] += 1 - share
    weights[np.arange(len(at)), np.minimum(low + 1, n - 1)] += share
    return weights


def _nearest(at: Array, n: int) -> Array:
    return np.eye(n)[np.clip(at, 0, n - 1).astype(int)]


def _half(n: int, m: int) -> Array:
    return (np.arange(m) + 0.5) * n / m - 0.5


_WEIGHTS = {
    "linearly, align_corners=False": lambda n, m: _linear(np.maximum(_half(n, m), 0), n),
    "linearly, align_corners=True": lambda n, m: _linear(np.arange(m) * (n - 1) / max(m - 1, 1), n),
    "linearly, from the first corner (asymmetric)": lambda n, m: _linear(np.arange(m) * n / m, n),
    "nearest, rounded down": lambda n, m: _nearest(np.floor(np.arange(m) * n / m), n),
    "nearest, by the cells' centres": lambda n, m: _nearest(np.floor(_half(n, m) + 0.5), n),
    "nearest, corners aligned": lambda n, m: _nearest(np.floor(np.arange(m) * (n - 1) / max(m - 1, 1) + 0.5), n),
    "nearest, rounded up": lambda n, m: _nearest(np.ceil(np.arange(m) * n / m), n),
}


# ---- steps that only one side takes


def left_out(site: Site) -> Iterator[Try]:
    """The line, or the call around it, is not there in the other run: what it reads goes on unchanged."""
    name, inside = site.call
    for k, i in enumerate(site.reads):
        if site.value(i).size != site.value(site.i).size or number_of(site.side, i) is not None:
            continue
        if site.side.is_leaf(i) and site.side.lines[i].name and len(site.reads) > 1 and i not in site.side.outputs and "input" not in str(site.side.lines[i].name):
            continue
        what, words = _named_step(site, k)
        yield Try(what, words, site.value(i).reshape(site.value(site.i).shape))
    if name:
        out = inside[-1]
        for i in site.inputs:
            if site.value(i).shape == site.value(out).shape and i not in inside:
                yield Try(_STEPS.get(name, "a step left out"), f"{site.me} has {name} here, {site.you} has not", site.value(i), out)


_STEPS = {"dropout": "dropout", "batch_norm": "norm left out", "relu": "activation left out"}


def _named_step(site: Site, k: int) -> tuple[str, str]:
    here = f"{site.me} has %s here, {site.you} has not"
    if site.within("dropout"):
        return "dropout", f"{site.me} drops (it is in training), {site.you} does not"
    rest = [j for j in range(len(site.reads)) if j != k]
    if rest:
        source, _ = site.moved_from(rest[0])
        name = site.side.lines[source].name or ""
        if site.row == "add" and site.side.is_leaf(source) and not site.side.lines[source].constant:
            return "missing bias", here % (f"the bias {name}" if name else "a bias")
        number = number_of(site.side, source)
        if number is not None and site.row in ("mul", "div"):
            factor = number if site.row == "mul" else 1 / number
            if _counts(site, number) or _counts(site, factor and 1 / factor):
                return "reduction", f"{site.me} averages (it divides by {1 / factor:g}), {site.you} sums"
            root = 1 / factor if factor < 1 else factor
            word = f"1/sqrt({root * root:g})" if factor < 1 and _is_scale(site, root) else f"{factor:g}"
            return "scale factor", here % f"the factor {word}"
    if site.row in ("maximum", "minimum", "tanh"):
        return "activation left out", here % (site.call[0] or site.row)
    return "a step left out", here % f"{site.row}{f' (in {site.call[0]})' if site.call[0] else ''}"


TABLE: dict[str, Rule] = {
    "constants": constants,
    "epsilon outside the root": epsilon_outside,
    "training or evaluation": normalising,
    "divisor of average pooling": average_pooling,
    "padding of max pooling": max_pooling,
    "kind of pooling": pooling_kind,
    "functions": activations,
    "reductions": reduction,
    "weights": other_weights,
    "order of flattening": flattening,
    "order of weights": weight_orders,
    "channels": channels,
    "padding": padding,
    "interpolation": resizing,
    "steps left out": left_out,
    "settings": settings,
}
