"""Mistakes in the movement of numbers: what arrives in the wrong cells.

Windows and their overlaps, strides, dilation, padding, flattening, indexing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import combinations, permutations, product
from typing import Any

import numpy as np

from ...functional.axes import POSITION
from ..run.site import Contraction, Site, gather, select
from .contractions import contraction
from .mistake import Variants, mistake
from .pooling import pooled_after, winners
from .sliding import Sliding, sliding_of, windows_of


@mistake(
    "windows overwritten instead of overlap-added",
    "where windows overlap, the last one replaced the others instead of being added to them",
    "Does a cell that several windows read get one gradient or several?",
    "x_bar[i * s + u] += frame_bar[i, u]: add, do not assign",
)
def _overwritten(p: Site) -> Variants:
    """Cell by cell the last (or first) window that writes there: the whole window, or the winner's cell alone."""
    orders = {"last": False, "first": True}
    if p.row == "contract" and windows_of(p.operand) is not None and not p.operand.constant:
        return _overwritten_by_one_filter(p, orders)
    if p.row != "windows" or not (s := Sliding(p)).overlapping:
        return {}
    dims = tuple(range(len(s.axes)))
    variants: Variants = {word: partial(_assigned, s, first, dims) for word, first in orders.items()}
    if len(dims) > 1:
        for d in dims:
            variants |= {f"{word} along axis {d} alone": partial(_assigned, s, f, (d,)) for word, f in orders.items()}
    if p.pooling == "max":
        variants |= {f"{word}, the winner's cell alone": partial(_written, s, f) for word, f in orders.items()}
    return variants


def _overwritten_by_one_filter(p: Site, orders: dict[str, bool]) -> Variants:
    """``=`` in a loop over windows and filters: besides, one filter overwrites the others."""
    c, s = contraction(p), Sliding(Site(p.operand, 0))
    if c is None or not (letters := c.of_role("filters")) or not c.convolution:
        return {}
    if all(p.y.shape[c.result.index(x)] == 1 for x in letters if x in c.result) or not s.overlapping:
        return {}
    dims = tuple(range(len(s.axes)))

    def wrong(first: bool, g: Any) -> Any:
        return c.only(g, p.other(), letters, 0 if first else -1) * s.writers(first, dims)

    return {f"{word}, by the {word} filter alone": partial(wrong, first) for word, first in orders.items()}


def _assigned(s: Sliding, first: bool, along: tuple[int, ...], g: Any) -> Any:
    return s.site.right(g * s.writers(first, along))


def _written(s: Sliding, first: bool, g: Any) -> Any:
    """The total of each window assigned to its winner's cell, one window after the other."""
    dims, out = len(s.axes), np.zeros(s.image.shape)
    to_end = lambda x: np.moveaxis(x, s.across, range(-dims, 0)).reshape(-1, int(np.prod(s.window)))
    numbers = np.broadcast_to(s.line_cells, g.shape)
    which = to_end(winners(s)).argmax(axis=1)
    places = np.take_along_axis(to_end(numbers), which[:, None], 1).ravel()
    totals = to_end(g).sum(axis=1)
    order = slice(None, None, -1) if first else slice(None)
    out.ravel()[places[order]] = totals[order]  # of equal places the last one stays
    return out


@mistake(
    "overlaps averaged",
    "what the windows send to a cell was averaged over the windows instead of added",
    "Does a cell that is read more often matter less?",
    "the gradients of overlapping windows are added",
    rank=2,
)
def _averaged(p: Site) -> Variants:
    if p.row != "windows" or not Sliding(p).overlapping:
        return {}
    return {"": lambda g: p.right(g) / np.maximum(p.right(np.ones_like(g)), 1)}


@mistake(
    "overlapping windows treated as tiles",
    "the windows were treated as tiles side by side: moved by their size, not by the stride",
    "By how many cells does the window move from one output to the next?",
    "window i starts at cell i * stride, not at i * (window size)",
)
def _tiles(p: Site) -> Variants:
    s = Sliding(p)
    if not s.found:
        return {}
    others = [d for d in range(len(s.axes)) if s.stride[d] != s.window[d] and s.counts[d] > 1]
    variants: Variants = {"spread out": s.moved(stride=s.window)} if others else {}
    for d in others if len(s.axes) > 1 else ():
        stride = tuple(k if i == d else x for i, (k, x) in enumerate(zip(s.window, s.stride, strict=True)))
        variants[f"spread out along axis {d} alone"] = s.moved(stride=stride)
    if p.row == "overlap_add" or not s.overlapping:
        return variants
    keep = tuple(
        [i for i in range(n) if (i * st) % k == 0] for n, st, k in zip(s.counts, s.stride, s.window, strict=True)
    )
    variants["only every tile"] = _kept(p, s, keep)
    return variants


def _kept(p: Site, s: Sliding, keep: tuple[list[int], ...]) -> Callable[[Any], Any]:
    """The right rule with the cotangents of all other windows set to zero."""

    def wrong(g: Any) -> Any:
        first, mask = s.axes[0], np.ones(g.shape)
        for d, indices in enumerate(keep):
            axis = first + d if s.contraction is None else s.contraction.result.index(POSITION[d])
            line = np.isin(np.arange(g.shape[axis]), indices).astype(float)
            mask = mask * line.reshape([-1 if i == axis else 1 for i in range(g.ndim)])
        return p.right(g * mask)

    return wrong if s.contraction is None or s.contraction.convolution else p.right


def _strided(p: Site) -> Sliding | None:
    s = sliding_of(p)
    return s if s and any(x > 1 and n > 1 for x, n in zip(s.stride, s.counts, strict=True)) else None


def _stepped(p: Site, several: bool = True) -> dict[int, slice]:
    """The slices with a step of a line that picks cells (``index``) or spreads them (``scatter``), by axis; each stops
    a step behind its last cell.  several: only those that pick more than one."""
    if p.row not in ("index", "scatter") or p.composed:
        return {}
    whole = p.x.shape if p.row == "index" else p.y.shape
    key = p.line.params["key"] if isinstance(p.line.params["key"], tuple) else (p.line.params["key"],)
    if not all(isinstance(k, slice) for k in key):
        return {}
    cells = {i: range(*k.indices(n)) for i, (k, n) in enumerate(zip(key, whole, strict=False))}
    return {
        i: slice(r.start, r.start + len(r) * r.step, r.step)
        for i, r in cells.items()
        if r.step > 1 and len(r) > several
    }


def _elsewhere(p: Site, slices: dict[int, slice]) -> Callable[[Any], Any]:
    """The rule with the cells that ``slices`` pick along their axes; those beyond the end are left out, or zero."""

    def wrong(g: Any) -> Any:
        whole, part = (p.x, p.y) if p.row == "index" else (p.y, p.x)
        rows = []
        for axis, (n, m) in enumerate(zip(whole.shape, part.shape, strict=True)):
            s = slices.get(axis, p.line.params["key"][axis] if axis < len(p.line.params["key"]) else slice(None))
            cells = np.arange(m) * (s.step or 1) + (s.start or 0)
            rows.append((cells[:, None] == np.arange(n)).astype(float))
        for matrix in rows:
            g = np.tensordot(g, matrix, axes=(0, 0 if p.row == "index" else 1))
        return g

    return wrong


def _repeated_steps(p: Site, stepped: dict[int, slice], g: Any) -> Any:
    """Each gradient in all the cells up to the next one."""
    for axis, s in stepped.items():
        places = np.clip((np.arange(p.x.shape[axis]) - s.start) // s.step, 0, g.shape[axis] - 1)
        g = g.take(places, axis)
    return g if g.shape == p.x.shape else None


@mistake(
    "stride not dilated",
    "the gradient was used as if the stride were 1: no gaps between its cells",
    "Which cells of the input did the second output read?",
    "with stride s, put s - 1 zeros between the cells of y_bar first",
)
def _stride(p: Site) -> Variants:
    """In all dimensions or in one; and with the result pushed to where its shape fits: centred, or to the far end."""
    if stepped := _stepped(p):
        one = lambda axes: {i: slice(s.start, s.start + (s.stop - s.start) // s.step, 1) for i, s in axes.items()}
        alone = {f"along axis {i} alone": _elsewhere(p, stepped | one({i: s})) for i, s in stepped.items()}
        return {"": _elsewhere(p, one(stepped)), **(alone if len(alone) > 1 else {})}
    s = _strided(p)
    if s is None:
        return {}
    dims = len(s.axes)
    variants: Variants = {"": s.moved(stride=(1,) * dims)}
    strided = [d for d in range(dims) if s.stride[d] > 1 and s.counts[d] > 1]
    if dims > 1:
        for d in strided:
            variants[f"along axis {d} alone"] = s.moved(
                stride=tuple(1 if i == d else x for i, x in enumerate(s.stride))
            )
    if p.pooling == "max" and p.row == "windows":
        rows = zip(s.size, s.counts, s.window, s.dilation, strict=True)
        chosen = [select(size, n, k, 1, x) for size, n, k, x in rows]
        won = winners(s, lambda _: gather(s.image.value, s.axes, chosen))
        variants["with the winners of the windows there"] = lambda g: s.placed(chosen)(
            g.sum(axis=s.across, keepdims=True) * won
        )
    spans = [n + (k - 1) * x for n, k, x in zip(s.counts, s.window, s.dilation, strict=True)]
    spare = [max(n - span, 0) for n, span in zip(s.size, spans, strict=True)]
    if any(spare) and p.row == "windows":
        variants["centred to make the shape fit"] = s.moved((1,) * dims, shift=tuple(x // 2 for x in spare))
        variants["pushed to the end to make the shape fit"] = s.moved((1,) * dims, shift=tuple(spare))
    return variants


@mistake(
    "stride applied to the gradient again",
    "the backward pass took the stride once more: its windows move over the gradient by s cells, where the gradient "
    "should be spread out by s",
    "Forward, the stride skips cells of the input. What does the backward pass do with the cells skipped?",
    "x_bar[i * s + u] += w[u] y_bar[i]: spread y_bar out, then move by 1",
    rank=2,
)
def _strided_again(p: Site) -> Variants:
    s = _strided(p)
    if s is None or p.row != "windows":
        return {}
    variants: Variants = {}
    for what, real in (("", False), ("over the image without its border", True)):
        border = s.border
        if real and border is None:
            continue
        chosen = []
        for d, (n, k, x, size) in enumerate(zip(s.counts, s.window, s.stride, s.size, strict=True)):
            low, high = border[s.axes[d]] if real and border is not None else (0, 0)
            cells = size - low - high
            pad = max((cells - 1) * x + k - n, 0) // 2
            h = np.arange(size)[None, None, :] - low
            i = h * x + (k - 1 - np.arange(k))[None, :, None] - pad
            chosen.append(((i == np.arange(n)[:, None, None]) & (h >= 0) & (h < cells)).astype(float))
        variants[what] = s.placed(chosen)
    return variants


@mistake(
    "position of the window forgotten",
    "of the window's place in the image and the place within the window only one was used",
    "At which cell of the image does window (i, j) start?",
    "cell (u, v) of window (i, j) is cell (i * s + u, j * s + v) of the image",
)
def _unplaced(p: Site) -> Variants:
    s = sliding_of(p)
    if s is None:
        return {}
    variants: Variants = {"": s.moved(stride=(0,) * len(s.axes))} if max(s.counts) > 1 else {}
    for d in range(len(s.axes) if len(s.axes) > 1 else 0):
        if s.counts[d] > 1:
            alone = tuple(0 if i == d else x for i, x in enumerate(s.stride))
            variants[f"along dimension {d} alone"] = s.moved(stride=alone)
    within = {"the place within the window": s.moved(dilation=(0,) * len(s.axes))} if max(s.window) > 1 else {}
    return variants | within


@mistake(
    "rows and columns exchanged",
    "the row of a window was counted along the columns, and its column along the rows",
    "Which loop variable moves the window down, and which to the right?",
    "window (i, j) starts at row i * s and column j * s",
)
def _exchanged(p: Site) -> Variants:
    s = sliding_of(p)
    variants: Variants = {}
    if s is None:
        return variants
    for a, b in combinations(range(len(s.axes)), 2):
        if rule := s.exchanged(a, b):
            variants[f"dimensions {a} and {b}"] = rule
        if s.counts[a] != s.counts[b] or s.counts[a] == 1:
            continue
        if p.row == "windows" and p.pooling in ("max", "avg"):
            swapped = partial(np.swapaxes, axis1=s.axes[a], axis2=s.axes[b])
            variants[f"of what arrives, dimensions {a} and {b}"] = partial(pooled_after, p, swapped)
        elif s.contraction and {POSITION[a], POSITION[b]} <= set(s.contraction.result):
            axes = [s.contraction.result.index(POSITION[d]) for d in (a, b)]
            variants[f"of what arrives, dimensions {a} and {b}"] = partial(_right_of_swapped, p, axes)
    return variants


def _right_of_swapped(p: Site, axes: list[int], g: Any) -> Any:
    return p.right(g.swapaxes(*axes))


@mistake(
    "dilated by stride",
    "the gradient was not spread with s - 1 zeros behind each cell: with another number, elsewhere, or repeated; "
    "or the kernel was spread by the stride",
    "With stride 2, how many zeros stand between neighbouring gradients?",
    "s - 1 zeros between neighbours: output i belongs to input i * s",
    rank=2,
)
def _by_stride(p: Site) -> Variants:
    if stepped := _stepped(p, several=False):
        late = {i: slice(s.start + s.step - 1, s.stop + s.step - 1, s.step) for i, s in stepped.items()}
        return {"the zeros in front of each": _elsewhere(p, late)} | (
            {"repeated s times, no zeros at all": partial(_repeated_steps, p, stepped)} if p.row == "index" else {}
        )
    s = sliding_of(p)
    if s is None:
        return {}
    variants: Variants = {"one zero too many": s.moved(stride=tuple(x + 1 for x in s.stride))}
    if any(x > 2 for x in s.stride):
        variants["one zero too few"] = s.moved(stride=tuple(max(x - 1, 1) for x in s.stride))
    if any(x > 1 for x in s.stride):
        variants["the zeros in front of each"] = s.moved(shift=tuple(x - 1 for x in s.stride))
        variants["repeated s times, no zeros at all"] = s.placed(_repeats(s, True))
        variants["repeated s times, the last one once"] = s.placed(_repeats(s, False))
        variants["kernel instead of gradient"] = s.moved(stride=(1,) * len(s.axes), dilation=s.stride)
    return variants


def _repeats(s: Sliding, last: bool) -> list[Any]:
    """Where the taps lie if each gradient stands in s neighbouring cells (the last one, unless ``last``, in one)."""
    chosen = []
    for row in zip(s.size, s.counts, s.window, s.stride, s.dilation, strict=True):
        every = [select(*row, shift) for shift in range(row[3])]
        total = sum(every)
        if not last:
            total[-1] = every[0][-1]
        chosen.append(total)
    return chosen


@mistake(
    "dilation forgotten",
    "the taps of the kernel were taken as neighbours, although the kernel is dilated",
    "How far apart are the cells that neighbouring weights read?",
    "tap u reads cell i * stride + u * dilation",
    rank=2,
)
def _dilation(p: Site) -> Variants:
    """In all dimensions or in one."""
    s = sliding_of(p)
    if s is None or all(d == 1 for d in s.dilation):
        return {}
    variants: Variants = {"": s.moved(dilation=(1,) * len(s.axes))}
    for i, d in enumerate(s.dilation):
        if d > 1 and len(s.axes) > 1:
            alone = tuple(1 if i == j else x for j, x in enumerate(s.dilation))
            variants[f"along axis {i} alone"] = s.moved(dilation=alone)
    return variants


def _padded(p: Site) -> tuple[tuple[int, int], ...] | None:
    """The padding in front of a site, or None: of the pad line itself, or of the image a kernel's gradient reads."""
    if p.row == "pad":
        return p.line.params["width"]
    s = sliding_of(p)
    if s and s.contraction and s.border is not None:
        return tuple(s.border[a] for a in s.axes)
    return None


def _shifted(p: Site, shift: tuple[int, ...]) -> Callable[[Any], Any]:
    if p.row != "pad":
        return Sliding(p).moved(shift=shift)
    lows = [low + d for (low, _), d in zip(p.line.params["width"], shift, strict=True)]
    chosen = [select(n, m, 1, 1, 1, low)[:, 0] for n, m, low in zip(p.y.shape, p.x.shape, lows, strict=True)]

    def wrong(g: Any) -> Any:
        for matrix in chosen:
            g = np.tensordot(g, matrix, axes=(0, 1))
        return g

    return wrong


@mistake(
    "padded on one side alone",
    "the gradient was padded for the full correlation on one side alone, so that all of the result is moved",
    "Which outputs did the first cell of the input reach, and how many zeros stand in front of the first of them?",
    "full: k - 1 zeros on either side of y_bar",
    rank=2,
)
def _one_sided(p: Site) -> Variants:
    """The whole gradient of the image moved by the length of the kernel, less one."""
    s = Sliding(p) if p.row == "windows" and p.inside("conv") else None
    if s is None or not s.found or max(s.window) == 1:
        return {}
    spans = [(k - 1) * d for k, d in zip(s.window, s.dilation, strict=True)]
    variants = {
        "in front": s.moved(shift=tuple(-n for n in spans)),
        "behind": s.moved(shift=tuple(spans)),
    }
    for i, n in enumerate(spans if len(spans) > 1 else []):
        alone = [n if at == i else 0 for at in range(len(spans))]
        variants[f"in front, along dimension {i} alone"] = s.moved(shift=tuple(-n for n in alone))
        variants[f"behind, along dimension {i} alone"] = s.moved(shift=tuple(alone))
    return variants


@mistake(
    "padding not cropped",
    "the gradient of the padded image was used from its first cell, border included",
    "Where does the first real cell of the input lie in the padded image?",
    "crop the border off: x_bar[h] = xpad_bar[h + padding]",
)
def _cropped(p: Site) -> Variants:
    width = _padded(p)
    if not width or not any(low for low, _ in width):
        return {}
    sign = -1 if p.row == "pad" else 1
    variants: Variants = {"": _shifted(p, tuple(sign * low for low, _ in width))}
    if any(high > 1 for _, high in width):  # a border of one: told as shifted by one
        variants["cropped at the far end alone"] = _shifted(p, tuple(-sign * high for _, high in width))
    return variants


@mistake(
    "padding shifted by one",
    "the border was cropped one cell too early or too late",
    "Count the cells of the border again: does the first real cell have index padding or padding - 1?",
    "x_bar[h] = xpad_bar[h + padding]",
    rank=2,
)
def _off_by_one(p: Site) -> Variants:
    width = _padded(p)
    variants: Variants = {}
    if not width:
        return _off_without(p)
    axes = [i for i, pair in enumerate(width) if any(pair)]
    for d in (1, -1):
        for which in [axes, *[[a] for a in axes if len(axes) > 1]]:
            shift = tuple(d if i in which else 0 for i in range(len(width)))
            if p.row == "pad" and all(low + s == 0 for (low, _), s in zip(width, shift, strict=True)):
                continue
            variants[f"{shift}"] = _shifted(p, shift)
    return variants


def _off_without(p: Site) -> Variants:
    """The same where nothing was padded: the whole gradient of the image cropped one cell too late or too early."""
    if p.row != "windows" or p.pooling or not p.inside("conv"):
        return {}
    s, variants = Sliding(p), {}
    if s.border is not None:
        return {}
    for d in (1, -1):
        for which in [s.axes, *[(a,) for a in s.axes if len(s.axes) > 1]]:
            label = tuple(d if i in which else 0 for i in range(p.x.ndim))
            variants[f"{label}, without a border"] = s.moved(shift=tuple(-d if a in which else 0 for a in s.axes))
    return variants


@mistake(
    "flattened in another order",
    "the gradient was folded back in another order than the one in which the forward pass flattened",
    "In which order does the forward pass lay the pixels and channels in a row?",
    "fold back with the same order of axes as forward",
)
def _flattened(p: Site) -> Variants:
    if (c := contraction(p)) is not None and c.convolution:
        return _misread(p, c)
    if p.row == "windows" and p.inside("conv"):
        return _columns_misread(p)
    if p.row not in ("reshape", "permute_dims") or p.composed:
        return {}
    if p.row == "permute_dims":
        axes = p.line.params["axes"]
        variants: Variants = {}
        if p.x.shape != p.y.shape or axes != tuple(range(len(axes))):
            variants["reshaped instead of transposed back"] = lambda g: g.reshape(p.x.shape)
        if tuple(p.y.shape[a] for a in axes) == p.x.shape and tuple(np.argsort(axes)) != axes:
            variants["transposed the same way again"] = lambda g: g.transpose(axes)
        return variants
    lead = 0
    while lead < min(p.x.ndim, p.y.ndim) and p.x.shape[lead] == p.y.shape[lead]:
        lead += 1
    merged = [i for i in range(lead, p.x.ndim) if p.x.shape[i] > 1]
    if p.y.ndim >= p.x.ndim or not 2 <= len(merged) <= 4:
        return {}
    return {f"as axes {order}": _folded(p, merged, order) for order in permutations(merged) if order != tuple(merged)}


def _misread(p: Site, c: Contraction) -> Variants:
    """The gradient that arrives at a convolution, reshaped to a matrix (positions, filters) with no axes moved first.

    In memory it lies channels first (examples, filters, positions) or last; each is read as if it were the other, or
    with the filters in front of the examples.
    """
    filters = [i for i, x in enumerate(c.result) if c.roles[x] == "filters"]
    batch = [i for i, x in enumerate(c.result) if c.roles[x] == "batch"]
    positions = [i for i, x in enumerate(c.result) if c.roles[x] == "positions"]
    if not (len(filters) == len(batch) == 1 and positions and len(c.result) == 2 + len(positions)):
        return {}
    if p.y.shape[filters[0]] == 1:
        return {}
    first, last, front = [*batch, *filters, *positions], [*batch, *positions, *filters], [*filters, *batch, *positions]
    behind = [*filters, *positions, *batch]
    named = {
        "filters read as if they were last": (first, last), "filters read as if they were first": (last, first),
        "filters read as if they stood before the examples": (first, front),
        "filters at the end read as if they stood before the examples": (last, front),
        "examples in front read as if they were last": (first, behind),
        "examples behind the filters read as if they were last": (front, behind),
    }  # fmt: skip
    return {label: partial(_reread, p, there, read) for label, (there, read) in named.items()}


MANY = 100_000  # numbers in the windows beyond which orders of columns are not tried: each moves all of them
LAID = (  # the orders in which a product of matrices leaves the columns, and those in which they are read
    ("taps", "examples", "positions"), ("taps", "positions", "examples"), ("examples", "positions", "taps"),
    ("positions", "examples", "taps"),
)  # fmt: skip
READ = (("examples", "taps", "positions"), ("taps", "examples", "positions"), ("taps", "positions", "examples"))


def _columns_misread(p: Site) -> Variants:
    """The columns of an im2col, a matrix of taps (channels and cells of a window) by examples and positions, read in
    another order than the one in which they lie; or, among the taps, channels taken for the faster index."""
    s, n = Sliding(p), p.y.ndim
    cells, places = list(s.across), list(s.axes)
    channels = [i for i in range(n) if i not in cells and i not in places and i > 0]
    if s.axes[0] == 0 or len(channels) != 1:
        return {}
    groups = {"taps": [*channels, *cells], "examples": [0], "positions": places}
    variants: Variants = {}
    if p.y.size > MANY:
        return {}
    for there, read in product(LAID, READ):
        if there != read:
            laid, taken = ([i for name in order for i in groups[name]] for order in (there, read))
            variants[f"{', '.join(there)} read as {', '.join(read)}"] = partial(_reread, p, laid, taken)
    outer = [0, *places]
    orders = {"channels first": [*channels, *cells], "channels last": [*cells, *channels]}
    for (a, lies), (b, taken) in permutations(orders.items(), 2):
        words = f"taps with the {a} read as with the {b}"
        variants[words] = partial(_reread, p, [*outer, *lies], [*outer, *taken])
    return variants


def _reread(p: Site, there: list[int], read: list[int], g: Any) -> Any:
    """The right rule on a gradient whose axes lie in memory in the order ``there``, and are taken for ``read``."""
    laid = g.transpose(there).reshape([g.shape[i] for i in read])
    return p.right(laid.transpose(np.argsort(read)))


def _folded(p: Site, merged: list[int], order: tuple[int, ...]) -> Callable[[Any], Any]:
    """The gradient folded back as if the axes ``merged`` had been laid out in ``order``."""
    axes = list(range(p.x.ndim))
    for at, axis in zip(merged, order, strict=True):
        axes[at] = axis
    return lambda g: g.reshape([p.x.shape[a] for a in axes]).transpose(np.argsort(axes))


@mistake(
    "reversal forgotten",
    "the forward pass reversed an axis (a rotated kernel), the backward pass did not",
    "Where does w[0, 0] stand after the kernel was rotated?",
    "the adjoint of a reversal is the same reversal",
    rank=2,
)
def _reversal(p: Site) -> Variants:
    return {"": lambda g: g} if p.row == "flip" else {}


@mistake(
    "gradient put at the wrong index",
    "the gradient of an element that was picked out was put back one place off",
    "From which index was the value read?",
    "the gradient goes back to the index it was read from",
    rank=3,
)
def _index(p: Site) -> Variants:
    if p.row not in ("index", "take") or p.pooling or p.inside("max", "min", "logsumexp") or p.x.ndim == 0:
        return {}
    axis = p.line.params["axis"] if p.row == "take" else 0
    variants: Variants = {f"{d:+d}": partial(_rolled, p, d, axis) for d in (1, -1)}
    places = p.line.operands[1].value if p.row == "take" else np.zeros(())
    for i, n in enumerate(places.shape if not p.composed or p.inside("embedding") else ()):
        if n <= p.x.shape[axis] and n > 1:
            number = np.arange(n).reshape([-1 if j == i else 1 for j in range(places.ndim)])
            variants[f"the number of the reading, along axis {i}"] = partial(
                _put_at, p, axis, np.broadcast_to(number, places.shape)
            )
    return variants


def _put_at(p: Site, axis: int, places: Any, g: Any) -> Any:
    """What arrives, added up at other places along an axis."""
    out = np.zeros(p.x.shape)
    np.add.at(out, (*(slice(None),) * axis, places), g)
    return out


def _rolled(p: Site, by: int, axis: int, g: Any) -> Any:
    return np.roll(p.right(g), by, axis)


@mistake(
    "repeated index overwritten instead of added",
    "an element that was read several times received only one of the gradients",
    "How often was this element read?",
    "add the gradients of every reading",
    rank=2,
)
def _repeated(p: Site) -> Variants:
    if p.row != "take":
        return {}
    places, axis = p.line.operands[1].value, p.line.params["axis"]
    if len(np.unique(places)) == places.size:
        return {}

    def wrong(first: bool, g: Any) -> Any:
        """Of equal places the last one stays."""
        out, back = np.zeros(p.x.shape), slice(None, None, -1 if first else 1)
        before: tuple[Any, ...] = (slice(None),) * axis
        flat = g.reshape(*g.shape[:axis], places.size, *g.shape[axis + places.ndim :])
        there, taken = (*before, places.ravel()[back]), (*before, back)
        out[there] = flat[taken]
        return out

    return {"": partial(wrong, False), "the first one kept": partial(wrong, True)}
