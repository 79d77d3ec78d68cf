"""``ac.paths``: the paths from one number to the output, the product of slopes along each, and what closes the others.

A path is open if no slope on it is 0, and closed if one is, as by a relu whose input is negative: the active and
inactive paths of the literature.

There may be far too many to list.  They are counted by one pass over the tape, forwards and backwards; only the largest
are walked: a bound on what each scalar can still reach says where to go on, so that they come in order of size.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any, overload

import numpy as np

from ... import arrays
from ...render.notebook import bundle
from ...render.text import clean
from ...render.text import number as short_number
from ...scalar import FlatTape, Scalar
from ...scalar.blocks import SUM
from ...scalar.demand import PASSED
from ...scalar.expand import TooManyScalarsError, expansion_size
from ...scalar.tape import slopes
from ...tape import Tensor
from ..element import asked
from ..lines import variables
from .analysis import Analysis, Array, Demanded, Known
from .of_scalars import OfScalars, analysed_output
from .symbols import Symbols

TIMES = 10  # a share from here on is written as a factor: terms nearly cancel
WORK = 20_000  # scalars that a search for the largest paths may look at


@dataclass(frozen=True)
class Path:
    """The elements along one path, the slope of each step, their product, its share of the gradient, and what closes
    it.

    ``share`` is product / gradient, nan where the gradient is 0 to rounding; ``size`` is |product| / (the sum of
    |product| over all paths), from 0 to 1.  ``closed_by`` is the call or row with the first slope of 0, None for an
    open path.
    """

    elements: tuple[str, ...]
    slopes: tuple[Any, ...]
    product: Any
    share: float
    closed_by: str | None
    size: float = float("nan")

    @property
    def part(self) -> str:
        """Its share of the gradient, or what closes it; its size among all paths where they cancel."""
        if self.closed_by:
            return f"closed by {self.closed_by}"
        if self.share != self.share:
            return f"{self.size:.1%} of all sizes"
        return f"{self.share:.1%}" if abs(self.share) < TIMES else f"{self.share:,.0f} times the gradient"

    def __repr__(self) -> str:
        return f"{short_number(self.product)}  ({self.part})  {' -> '.join(self.elements)}"


@dataclass(frozen=True)
class Paths:
    """``paths`` are all of them if there are at most ``limit``, else the largest; ``count`` is how many there are.

    ``closed`` says how many have a slope of 0, by what closes them first: a relu, a max; ``open`` is the rest.  Counts
    are exact up to 2**53.  ``total`` is the gradient; ``cancels``: products cancel, and it is their rounding.
    """

    name: str
    of: str
    paths: tuple[Path, ...]
    count: float
    closed: Mapping[str, float]
    total: Any
    cancels: bool = False

    @property
    def open(self) -> float:
        return self.count - sum(self.closed.values())

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Any:
        return iter(self.paths)

    def __getitem__(self, k: int) -> Path:
        return self.paths[k]

    @property
    def heading(self) -> str:
        shown = "" if len(self.paths) in (0, self.count) else f"; the {len(self.paths)} largest"
        closed = "".join(f", {many(n)} closed by {what}" for what, n in self.closed.items())
        return (
            f"{many(self.count)} path{'s' if self.count != 1 else ''} from {self.name} to {self.of}: "
            f"{many(self.open)} open{closed}{shown}"
        )

    def __repr__(self) -> str:
        left = f" (what is left, {self.total:.1g}, is rounding)" if self.total else ""
        if self.cancels:
            rest = f"the gradient, d{self.of}/d{self.name}, is 0: the paths cancel{left}"
        elif isinstance(self.total, float):
            rest = f"the gradient, d{self.of}/d{self.name}, is {self.total:.6g}"
        else:
            rest = f"the gradient is {self.total}"
        return "\n".join([self.heading, *[f"  {p!r}" for p in self.paths], rest])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return bundle(repr(self), html=self.html)

    @property
    def html(self) -> str:
        """The paths as a table."""
        rows = "".join(
            f"<tr><td>{escape(short_number(p.product))}</td><td>{escape(p.part)}</td>"
            f'<td style="text-align:left">{escape(clean(" → ".join(p.elements)))}</td></tr>'
            for p in self.paths
        )
        head = '<tr><th>product</th><th>share</th><th style="text-align:left">path</th></tr>'
        return f"<p>{escape(clean(self.heading))}</p><table>{head}{rows}</table>"


@overload
def paths(
    of: Tensor | Scalar | FlatTape, thing: Any, /, limit: int = 10, names: Mapping[str, Any] | None = None
) -> Paths: ...
@overload
def paths(
    thing: Any, /, *, of: Tensor | Scalar | FlatTape, limit: int = 10, names: Mapping[str, Any] | None = None
) -> Paths: ...
@overload
def paths(
    *, thing: Any, of: Tensor | Scalar | FlatTape, limit: int = 10, names: Mapping[str, Any] | None = None
) -> Paths: ...
def paths(
    y: Any = None,
    thing: Any = None,
    limit: int = 10,
    names: Mapping[str, Any] | None = None,
    *,
    of: Tensor | Scalar | FlatTape | None = None,
) -> Paths:
    """The paths from an element ``thing`` to the output ``y``: the gradient is the sum of their products of slopes.

        d y / d x = sum over the paths x -> t1 -> .. -> y of (d t1 / d x) .. (d y / d tn)

    Called as ``paths(y, w[0, 0])``, or as ``paths(w[0, 0], of=y)``.  A step is one operation on one element; a maximum
    is one step, however it is defined.

    y: a tensor with one element (or its ``ac.expand``), or a Scalar.  thing: an element, as ``w[0, 0]``, or a Scalar.
    limit: how many are listed, the largest products first.  names: variables that name tensors without a name, as
    locals(). Raises TypeError and ValueError as ``ac.explain`` does, ValueError for a limit below 1.

    >>> x, w = ac.tensor([1.0, 2.0], name="x"), ac.tensor(3.0, name="w")
    >>> ac.paths((w * x).sum(), w)
    2 paths from w to L: 2 open
      2  (66.7%)  w -> %3[1] -> L
      1  (33.3%)  w -> %3[0] -> L
    the gradient, dL/dw, is 3
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise ValueError(f"paths: limit={limit!r}; use a whole number from 1")
    variables(names, "paths")  # refuses what is no mapping
    thing, output = asked("paths", y, thing, of)
    known = analysed_output(output, "paths")
    named = variables(names, "paths", known.tape)
    symbols = Symbols(known, named)
    start = known.scalar_of(thing, "paths")
    if start is None:
        line = thing[0] if isinstance(thing, tuple) else thing
        return Paths(line.name or "x", symbols.element(known.output).text, (), 0, {}, 0.0)
    edges = _edges(known, symbols, start)
    total = known.cotangent_of(start)
    first = edges.number(start)
    behind, ahead, open_behind = edges.paths_from(first), edges.paths_on(), edges.paths_from(first, only_open=True)
    count = float(behind[edges.output])
    closed: dict[str, float] = {}
    dead = np.flatnonzero((edges.slope == 0) & (open_behind[edges.source] > 0) & (ahead[edges.target] > 0))
    for k in dead.tolist():
        what = closer(symbols, edges.scalar(edges.target[k]))
        closed[what] = closed.get(what, 0.0) + float(open_behind[edges.source[k]] * ahead[edges.target[k]])
    every = count <= limit
    found = edges.largest(first, limit, every)
    sizes = float(edges.sizes_from(first)[edges.output])
    # each of n steps of a path is rounded; what is left of products that cancel is below that
    rounding = 4 * len(known.tape) * float(np.finfo(known.of.dtype).eps) if known.of.dtype.kind == "f" else 0.0
    cancels = bool(np.isfinite(sizes) and sizes > 0 and abs(float(total)) <= rounding * sizes)
    listed = tuple(_path(symbols, edges, steps, None if cancels else total, sizes) for steps in found)
    ends = symbols.element(start).text, symbols.element(known.output).text
    return Paths(*ends, listed, count, closed, total, cancels)


def many(count: float) -> str:
    """A count that may be astronomical."""
    return f"{int(count):,}" if count < 1e15 else f"about {count:.2g}"


def closer(symbols: Symbols, scalar: int) -> str:
    """The call or row that a scalar belongs to, with its layer."""
    block = symbols.block(scalar)
    scope = symbols.analysis.calls.get(id(block.line))
    path = block.line.scope.path if block.line.scope else ()
    layers = [s.name for s in path if s.kind == "layer"]
    row = block.opened.primitive.name if block.opened else block.operation.name
    name = scope.name if scope else row
    return f"{name} in {layers[-1]}" if layers and layers[-1] != name else name


def _path(symbols: Symbols, edges: Edges, steps: list[int], total: Any, sizes: float) -> Path:
    """A path from the numbers of its edges; ``total``: the gradient, None where it is only rounding."""
    taken = [edges.slope.item(k) for k in steps]
    product: Any = 1
    for slope in taken:
        product = product * slope
    ends = [*edges.source[steps], edges.target[steps[-1]]] if steps else []
    scalars = [edges.scalar(i) for i in ends]
    seen: list[str] = []
    for i in scalars:
        inner = symbols.block(i).inner and symbols.block(i).opened is None
        within = isinstance(symbols.analysis, OfScalars) and i != scalars[0] and not symbols.stops[i]  # of one step
        if not (inner or within):
            seen.append(symbols.element(i).text)
    closing = next((closer(symbols, edges.scalar(edges.target[k])) for k in steps if edges.slope.item(k) == 0), None)
    share = float(product) / float(total) if total else float("nan") if product else 0.0
    size = abs(float(product)) / sizes if sizes else 0.0
    return Path(tuple(seen), tuple(taken), product, share, closing, size)


def _edges(known: Known, symbols: Symbols, start: int) -> Edges:
    """All steps of a tape that is written out, or those behind ``start``; ValueError with their number if too many."""
    if isinstance(known, Analysis):
        return Edges.written(known)
    if isinstance(known, OfScalars):
        return Edges.of_scalars(known)
    assert isinstance(known, Demanded)
    try:
        return Edges.behind(known, start)
    except TooManyScalarsError as error:
        raise ValueError(
            f"paths: more than {PASSED:,} steps between scalars lead from {symbols.element(start).text} to "
            f"{symbols.element(known.output).text} ({error}; {expansion_size(known.tape):,} in the whole calculation), "
            "too many to follow all ways at once: ask for an element nearer to the output, give a smaller image, or "
            "use ac.explain, which opens one level at a time"
        ) from None


class Edges:
    """Who reads whom, scalar by scalar, in the order of the tape; a row with a definition is one step from each
    operand.  Scalars have numbers of their own here, in ``scalars`` those of the graph (None: the same).
    """

    def __init__(
        self, size: int, output: int, scalars: Array | None, sources: list[Any], targets: list[Any], taken: list[Any]
    ) -> None:
        self.size, self.output, self.scalars = size, output, scalars
        self.groups = np.cumsum([0, *[len(s) for s in sources]]).tolist()
        join = lambda parts, dtype: np.concatenate(parts) if parts else np.zeros(0, dtype)
        self.source: Array = join(sources, np.int32)
        self.target: Array = join(targets, np.int32)
        self.slope: Array = join(taken, float)

    def scalar(self, i: Any) -> int:
        """The scalar of the graph that has number ``i`` here."""
        return int(i if self.scalars is None else self.scalars[i])

    def number(self, scalar: int) -> int:
        """The number here of a scalar of the graph."""
        return scalar if self.scalars is None else int(np.searchsorted(self.scalars, scalar))

    @classmethod
    def behind(cls, known: Demanded, start: int) -> Edges:
        """The edges on the ways from one scalar to the output, which are asked for line by line."""
        nowhere = lambda line: np.broadcast_to(False, line.size)
        edges = known.scalars.walk(start, nowhere, closed=True).edges
        ends = np.array([start, known.output])
        scalars = np.unique(np.concatenate([ends, *[e[0] for e in edges], *[e[1] for e in edges]]))
        numbered = [np.searchsorted(scalars, e[k]).astype(np.int32) for k in (0, 1) for e in edges]
        output = int(np.searchsorted(scalars, known.output))
        taken = [e[3] for e in edges]
        return cls(len(scalars), output, scalars, numbered[: len(edges)], numbered[len(edges) :], taken)

    @classmethod
    def written(cls, known: Analysis) -> Edges:
        """All edges of a tape that is written out."""
        flat = known.flat
        sources: list[Any] = []
        targets: list[Any] = []
        taken: list[Any] = []
        for block, low, high in known.blocks:
            if block.line.constant or (block.opened is not None and not block.last):
                continue
            here = np.arange(block.first, block.first + block.count, dtype=np.int32)
            if block.opened is not None:
                opened = block.opened
                xs = [flat.value[names] for names in opened.operands]
                one = arrays.cast(np.ones(block.count), flat.value.dtype)
                with np.errstate(all="ignore"):
                    for names, slope in zip(
                        opened.operands, slopes(opened.primitive, opened.params, one, flat.value[here], xs), strict=True
                    ):
                        sources.append(names)
                        targets.append(here)
                        taken.append(np.broadcast_to(slope, here.shape))
            elif block.operation is SUM:
                sources.append(flat.operands[low:high])
                targets.append(known.by[low:high])
                taken.append(flat.slope[low:high])
            else:
                for k in block.operation.passes:
                    sources.append(flat.operands[low + k : high : block.operation.arity])
                    targets.append(here)
                    taken.append(flat.slope[low + k : high : block.operation.arity])
        return cls(len(flat), known.output, None, sources, targets, taken)

    @classmethod
    def of_scalars(cls, known: OfScalars) -> Edges:
        """All edges of a Scalar's program."""
        source, target, slope, ends = known.edges
        parts = [np.split(x, ends[:-1]) for x in (source, target, slope)]
        return cls(len(known.flat), known.output, None, *parts)

    def paths_from(self, start: int, only_open: bool = False) -> Array:
        """How many paths lead from ``start`` to each scalar."""
        count = np.zeros(self.size)
        count[start] = 1
        for low, high in zip(self.groups, self.groups[1:], strict=False):
            step = count[self.source[low:high]]
            if step.any():
                kept = step * (self.slope[low:high] != 0) if only_open else step
                np.add.at(count, self.target[low:high], kept)
        return count

    def sizes_from(self, start: int) -> Array:
        """The sum of |product of slopes| over the paths from ``start`` to each scalar."""
        size = np.zeros(self.size)
        size[start] = 1
        with np.errstate(all="ignore"):
            for low, high in zip(self.groups, self.groups[1:], strict=False):
                step = size[self.source[low:high]]
                if step.any():
                    slope = np.abs(self.slope[low:high]).astype(float)
                    np.add.at(size, self.target[low:high], np.where(step == 0, 0.0, step * slope))
        return size

    def paths_on(self) -> Array:
        """How many paths lead from each scalar on to the output."""
        count = np.zeros(self.size)
        count[self.output] = 1
        for low, high in zip(reversed(self.groups[:-1]), reversed(self.groups[1:]), strict=True):
            step = count[self.target[low:high]]
            if step.any():
                np.add.at(count, self.source[low:high], step)
        return count

    @cached_property
    def reach(self) -> Array:
        """The largest size of a product of slopes on a path from each scalar to the output; -1 where there is none."""
        best = np.full(self.size, -1.0)
        best[self.output] = 1
        for low, high in zip(reversed(self.groups[:-1]), reversed(self.groups[1:]), strict=True):
            ahead = best[self.target[low:high]]
            if (ahead >= 0).any():
                size = np.abs(self.slope[low:high]).astype(float)
                np.maximum.at(best, self.source[low:high], np.where(ahead >= 0, ahead * np.nan_to_num(size), -1.0))
        return best

    @cached_property
    def readers(self) -> tuple[Array, Array]:
        order = np.argsort(self.source, kind="stable")
        return order, np.searchsorted(self.source[order], np.arange(self.size + 1))

    def largest(self, start: int, limit: int, closed_too: bool) -> list[list[int]]:
        """The numbers of the edges of the largest paths, in order of size, closed ones last if asked for."""
        order, ends = self.readers
        found: list[list[int]] = []
        queue: list[tuple[float, int, int, float, Any]] = []
        if self.reach[start] >= 0:
            queue.append((-float(self.reach[start]), 0, start, 1.0, None))
        tie = looked = 0
        while queue and len(found) < limit and looked < WORK:
            bound, _, i, size, taken = heapq.heappop(queue)
            if bound == 0 and not closed_too:
                break
            if i == self.output:
                steps: list[int] = []
                while taken is not None:
                    taken, k = taken
                    steps.append(k)
                found.append(steps[::-1])
                continue
            for k in order[ends[i] : ends[i + 1]].tolist():
                looked += 1
                ahead = float(self.reach[self.target[k]])
                if ahead < 0:
                    continue
                on = size * abs(float(self.slope.item(k)))
                bound = on * ahead
                if bound == 0 and not closed_too:
                    continue
                tie += 1
                heapq.heappush(queue, (-bound if bound == bound else 0.0, -tie, int(self.target[k]), on, (taken, k)))
        return found
