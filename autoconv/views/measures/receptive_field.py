"""``ac.receptive_field``: which elements of an input one element was computed from, and how much each moves it.

A mask is pulled back along the tape by the rules that pull gradients back: what an element reads is where its gradient
may be, whatever the numbers are.  So the rules are asked with ones in place of the operands, and there is no formula of
kernel sizes and strides; branches, dilation, padding, attention and layers of anybody's own come out right.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ...backward import sweep
from ...primitives import TABLE
from ...render.chart import levels, png
from ...render.element import element_name
from ...render.picture import Picture, document
from ...render.svg import coordinate, rect, text, text_width, tooltip
from ...render.text import cut
from ...tape import Tape, Tensor, describe
from ..element import followed
from ..layers import line_names
from ..lines import is_parameter, variables
from .measured import Measured, table

CAST = TABLE["cast"]
CELLS = 4096  # of a plane, that are drawn one by one
ROWS = 24  # of the way, that are drawn
SIDE = 260.0


@dataclass(frozen=True, repr=False)
class ReceptiveField(Measured):
    """The elements of ``of`` that ``name`` was computed from.

    mask: True for each, in the shape of ``of``.  gradient: d name / d of, summed over the elements that were asked for,
    in that shape (None where nothing can be differentiated).  bounds: (first, last) along each axis; size: how far that
    reaches, last - first + 1.  way: (line, shape, size) for what is read of the layers between, from the
    element back to the input.  axes: those of ``of`` that make a picture.
    """

    name: str
    of: str
    mask: np.ndarray
    gradient: np.ndarray | None
    values: np.ndarray
    way: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    axes: tuple[int, ...]

    @property
    def bounds(self) -> tuple[tuple[int, int], ...]:
        return tuple((int(at.min()), int(at.max())) for at in np.nonzero(self.mask)) if self.mask.any() else ()

    @property
    def size(self) -> tuple[int, ...]:
        return tuple(last - first + 1 for first, last in self.bounds)

    @property
    def count(self) -> int:
        """How many elements it reads."""
        return int(np.count_nonzero(self.mask))

    @property
    def effective(self) -> float:
        """The share of the elements read that carry 95 % of the gradient's size: small where the middle decides."""
        if self.gradient is None or not self.count:
            return float("nan")
        sizes = np.sort(np.abs(np.asarray(self.gradient, dtype=float))[self.mask])[::-1]
        total = sizes.sum()
        if not np.isfinite(total) or not total:
            return float("nan")
        return float(np.searchsorted(np.cumsum(sizes), 0.95 * total) + 1) / self.count

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.mask, dtype=dtype, copy=copy)

    @property
    def records(self) -> list[dict[str, Any]]:
        return [{"line": name, "shape": shape, "reads": size} for name, shape, size in self.way]

    @property
    def text(self) -> str:
        where = ", ".join(f"{first}..{last}" if last > first else str(first) for first, last in self.bounds)
        head = f"{self.name} reads {self.count:,} of {self.mask.size:,} elements of {self.of}"
        rows = [head + (f": [{where}], {_by(self.size)}" if self.bounds else "")]
        if self.effective == self.effective:
            rows.append(f"95 % of its gradient is on {self.effective:.0%} of them")
        if self.count and self.bounds[0][1] > self.bounds[0][0] and 0 not in self.axes:
            rows.append("It reads several examples: a normalisation over the batch does (model.eval() does not)")
        told = [("read of", "shape", "size")] + [(n, str(shape), _by(size)) for n, shape, size in self.way]
        return "\n".join([*rows, *table(told)])

    @property
    def planes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(mask, size of the gradient, values) on the axes of the picture, as (rows, columns), of the first example
        that is read."""
        sizes = np.abs(np.asarray(self.gradient, dtype=float)) if self.gradient is not None else self.mask.astype(float)
        arrays = [self.mask, np.where(np.isfinite(sizes), sizes, 0.0), _plain(self.values)]
        batch = self.mask.ndim > len(self.axes) and 0 not in self.axes
        first = self.bounds[0][0] if self.bounds and batch else 0
        found: list[np.ndarray] = []
        for k, array in enumerate(arrays):
            moved = np.moveaxis(array[first : first + 1] if batch else array, self.axes, range(-len(self.axes), 0))
            rows = moved.reshape(
                -1, *(moved.shape[-2:] if len(self.axes) > 1 else (1, moved.shape[-1] if self.axes else 1))
            )
            found.append(np.asarray(rows.any(0) if k == 0 else rows.sum(0) if k == 1 else rows.mean(0)))
        return found[0], found[1], found[2]

    @property
    def svg(self) -> Picture:
        mask, sizes, values = self.planes
        title = f"What {cut(self.name, 40)} reads of {cut(self.of, 30)}"
        high, wide = mask.shape
        cell = SIDE / max(high, wide)
        parts = [text(16, 26, title, size=14, font_weight="bold")]
        parts.append(text(16, 46, f"{self.count:,} of {self.mask.size:,} elements, {_by(self.size)}", "soft", 11))
        left, top = 16.0, 76.0
        for k, (words, plane) in enumerate((("the elements read", values), ("how much each moves it", sizes))):
            x = left + k * (SIDE + 28)
            parts.append(text(x, top - 8, words, "soft", 11))
            parts.append(_image(plane, x, top, wide * cell, high * cell, words))
            parts.append(rect(x, top, wide * cell, high * cell, "axis", fill_opacity="0"))
            parts += _marked(mask, x, top, cell, fill=not k)
        y = top + high * cell + 26
        told = [("read of", "shape", "size")] + [(cut(n, 30), str(s), _by(r)) for n, s, r in self.way[:ROWS]]
        starts = [16.0, 0.0, 0.0]
        for c in (1, 2):
            starts[c] = starts[c - 1] + max(text_width(row[c - 1], 11) for row in told) + 22
        for i, row in enumerate(told):
            for word, start in zip(row, starts, strict=True):
                parts.append(text(start, y + 16 * i, word, "soft" if not i else "ink", 11))
        if len(self.way) > ROWS:
            parts.append(text(16, y + 16 * len(told), f"... and {len(self.way) - ROWS} more", "soft", 11))
        right = starts[2] + max(text_width(row[2], 11) for row in told)
        width = max(left + 2 * SIDE + 28, right, 16 + text_width(title, 14)) + 16
        return document(width, y + 16 * (len(told) + (len(self.way) > ROWS)) + 6, title, parts)


def _plain(values: np.ndarray) -> np.ndarray:
    found = np.asarray(values, dtype=float)
    return np.where(np.isfinite(found), found, 0.0)


def _by(size: tuple[int, ...]) -> str:
    return "×".join(map(str, size)) or "1"


def _image(plane: np.ndarray, x: float, y: float, width: float, height: float, words: str) -> str:
    step = max(1, -(-max(plane.shape) // 1024))
    data = b64encode(png(levels(plane[::step, ::step], False), int(max(width, height)))).decode()
    return (
        f'<g>{tooltip(words)}<image x="{coordinate(x)}" y="{coordinate(y)}" width="{coordinate(width)}" '
        f'height="{coordinate(height)}" preserveAspectRatio="none" href="data:image/png;base64,{data}"/></g>'
    )


def _marked(mask: np.ndarray, x: float, y: float, cell: float, fill: bool) -> list[str]:
    """The outline of what is read, and each cell of it where those are few."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return []
    parts = []
    if fill and len(rows) <= CELLS:
        for r in np.unique(rows):  # neighbours in one stroke
            at = columns[rows == r]
            for run in np.split(at, np.flatnonzero(np.diff(at) > 1) + 1):
                parts.append(rect(x + run[0] * cell, y + r * cell, len(run) * cell, cell, "right", fill_opacity="0.45"))
    box = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
    parts.append(
        rect(
            x + box[1] * cell, y + box[0] * cell, (box[3] - box[1]) * cell, (box[2] - box[0]) * cell, "second",
            fill_opacity="0", stroke_width="2.2",
        )
    )  # fmt: skip
    return parts


def receptive_field(y: Tensor, of: Any = None, *, names: Mapping[str, Any] | None = None) -> ReceptiveField:
    """Which elements of ``of`` the element ``y`` was computed from, and how much each moves it.

    y: an element, as ``hidden[0, 3, 3, 1]``, a part, or a whole Tensor (then what any element of it reads).  of: the
    input, or any Tensor in between; a plain array that was given to a model, too.  Default: the one input that is no
    parameter.  names: variables that name Tensors, as in ``names=locals()``.

    An element x_i is read where y would depend on it for some numbers: m(x_i) = 1 if a way leads from y back to x_i.
    Where positions are computed (a sort, an index), everything that could be there counts as read.  The gradient
    dy/dx, of the run's own numbers, tells how much each counts (the effective receptive field, Luo et al., 2016).

    Raises TypeError for what is no Tensor, ValueError if ``y`` was not computed from ``of``, or if ``of`` is left out
    and there is not exactly one input.

    >>> x = ac.tensor(np.zeros((1, 9, 9, 1)), name="x")
    >>> kernel = ac.tensor(np.ones((3, 3, 1, 1)), name="kernel")
    >>> h = ac.max_pool2d(ac.conv2d(x, kernel), 2)
    >>> found = ac.receptive_field(h[0, 1, 1, 0], of=x)
    >>> found.bounds, found.size, found.count
    (((0, 0), (2, 5), (2, 5), (0, 0)), (1, 4, 4, 1), 16)
    """
    if isinstance(y, tuple) and len(y) == 2 and isinstance(y[0], Tensor):
        y = y[0][y[1]]
    if not isinstance(y, Tensor):
        raise TypeError(
            f"receptive_field: expected a Tensor or an element of one, as in y[0, 3, 3, 1]; found {type(y).__name__}"
        )
    tape = Tape(y)
    x = _source(tape, y, of)
    called = variables(names, "receptive_field", tape)
    named = line_names(tape, called)
    masks = reads(tape, y, x)
    if id(x) not in masks:
        raise ValueError(f"receptive_field: {describe(y)} was not computed from {describe(x)}; give one that it reads")
    gradient = None
    if y.dtype.kind in "fO" and not y.constant and not x.constant:
        (gradient,) = sweep(y, [x], np.ones(y.shape, y.dtype))
    return ReceptiveField(
        _asked(y, named),
        named[id(x)],
        masks[id(x)],
        gradient,
        x.value,
        tuple(_way(tape, x, masks, named)),
        _axes(tape, x),
    )


def _source(tape: Tape, y: Tensor, of: Any) -> Tensor:
    """The line that ``of`` means on the tape."""
    if isinstance(of, Tensor):
        if not any(line is of for line in tape):
            raise ValueError(
                f"receptive_field: {describe(y)} was not computed from {describe(of)}; give a Tensor that it reads, as "
                "in ac.receptive_field(y[0, 0], of=x)"
            )
        return of
    leaves = [line for line in tape if line.primitive is None]
    if of is None:
        found = [line for line in leaves if not line.constant and not is_parameter(line)]
        what = "inputs that are no parameters"
    elif isinstance(of, np.ndarray):
        found = [x for x in leaves if x.shape == of.shape and np.array_equal(x.value, of.astype(x.dtype))]
        what = "inputs with the numbers of this array"
    else:
        raise TypeError(f"receptive_field: of must be a Tensor that y was computed from; found {type(of).__name__}")
    if len(found) != 1:
        listed = ", ".join(describe(line) for line in found[:6]) or "none"
        raise ValueError(f"receptive_field: there are {len(found)} {what} ({listed}); say which, as in of=x")
    return found[0]


def reads(tape: Tape, y: Tensor, x: Tensor) -> dict[int, np.ndarray]:
    """id(line) -> which of its elements ``y`` reads, for every line between ``x`` and ``y``."""
    leads = {id(x)}
    for line in tape:
        if any(id(k) in leads for k in line.operands):
            leads.add(id(line))
    masks = {id(y): np.ones(y.shape, bool)} if id(y) in leads else {}
    for line in reversed(tape):
        if id(line) in masks and line is not x:
            for k, operand in enumerate(line.operands):
                if id(operand) in leads:
                    new = _pulled(line, k, masks[id(line)])
                    masks[id(operand)] = masks[id(operand)] | new if id(operand) in masks else new
    return masks


def _pulled(line: Tensor, k: int, mask: np.ndarray) -> np.ndarray:
    """Which elements of operand ``k`` the elements ``mask`` of a line read."""
    primitive: Any = line.primitive
    operand = line.operands[k]
    if primitive.elementwise or primitive is CAST or (primitive.view and not primitive.differentiable):
        return mask
    rules = primitive.vjps
    if isinstance(rules, tuple) and rules[k] is None:  # a position or an order that was computed
        return np.full(operand.shape, bool(mask.any()))
    g = mask.astype(np.float64)
    stand = [np.broadcast_to(np.ones((), float), x.shape) if x.dtype.kind in "fO" else x.value for x in line.operands]
    y = np.broadcast_to(np.zeros((), float), line.shape)
    pulled = rules(g, y, *stand, **line.params)[k] if callable(rules) else rules[k](g, y, *stand, **line.params)
    return np.asarray(pulled) != 0


def _asked(y: Tensor, named: Mapping[int, str]) -> str:
    """What was asked about: a tensor, an element of one, or a part."""

    def known_by(line: Tensor) -> bool:
        """Whether a reader knows the line: it is computed, has a name, or is what a call gave."""
        computed = line.primitive is None or not line.primitive.moves
        return computed or not named.get(id(line), "%").startswith("%") or line.scope is not y.scope

    found = followed(y, known_by)
    if found is None or y.primitive is None:
        return named[id(y)]
    line, numbers = found
    known = numbers.ravel()
    if line is y or known.size == line.size:
        return named.get(id(y), "y")
    if known.size == 1 and known[0]:
        return element_name(
            named.get(id(line), "y"), list(map(int, np.unravel_index(int(known[0]) - 1, line.shape))), line.shape
        )
    return f"{known.size} elements of {named.get(id(line), 'y')}"


def _way(
    tape: Tape, x: Tensor, masks: Mapping[int, np.ndarray], named: Mapping[int, str]
) -> list[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    """(name, shape, size of what is read) of the lines that have names, from the element back to the input."""
    found = []
    for line in reversed(tape):
        if id(line) in masks and masks[id(line)].any() and (line is x or not named[id(line)].startswith("%")):
            at = np.nonzero(masks[id(line)])
            found.append((named[id(line)], line.shape, tuple(int(i.max() - i.min()) + 1 for i in at)))
    return found


def _axes(tape: Tape, x: Tensor) -> tuple[int, ...]:
    """The axes of ``x`` along which windows move, at most the last two; else those that look like an image's."""
    for line in tape:
        if line.primitive is TABLE["windows"]:
            source, shift = line.operands[0], 0
            while source is not x and source.primitive is not None and source.primitive.moves:
                below = source.operands[0]
                if source.primitive is TABLE["reshape"] and prod(source.shape[:1]) == 1:
                    shift += source.ndim - below.ndim if source.shape[1:][: below.ndim] == below.shape else 0
                source = below
            axes = tuple(a - min(shift, 1) for a in line.params["axes"])
            if source is x and all(0 <= a < x.ndim for a in axes):
                return axes[-2:]
    if x.ndim < 3:
        return tuple(range(x.ndim))
    return (0, 1) if x.ndim == 3 and x.shape[-1] <= 4 else (x.ndim - 2, x.ndim - 1) if x.ndim == 3 else (1, 2)
