"""``ac.compare``: two runs, the first line where they part, and why."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import Any

import numpy as np

from ..operands import found
from .conventions import TABLE
from .matching import Match, distance, turned
from .result import Comparison, Difference, where
from .side import MOVED, Side, sides_of
from .site import Explanation, Site, number_of
from .slopes import Gradients, explained
from .statistics import differing

SITES = 4  # of each side at which conventions are tried
FURTHER = 12  # differences that are looked for behind the first


def compare(a: Any, b: Any, *inputs: Any, inputs_b: Sequence[Any] | None = None, gradients: bool = True) -> Comparison:
    """The first line where two runs part, how far, and why, where a convention explains it.

    a, b: models (of autoconv or imported), functions, Tapes, outputs of runs, files of ``ac.save_run``, or .onnx files.
    inputs: what both are called with; inputs_b: what b is called with instead.  Where a's images have their channels
    last and b's first, or the other way round, b's inputs are turned.  gradients: compare these too, where the values
    agree (of a random weighting of the outputs, by every input and parameter).
    Lines are matched by their numbers, whatever their shape and order, so the two may be written in different ways.
    All is computed again in double precision: rounding is no difference.  A convention is named only if the line,
    computed
    under it, has the other run's numbers.  Models are left as they were: running statistics and generators too.
    The result is true if nothing differs.  Raises TypeError for what cannot be run, and what the models raise.

    >>> x = np.array([[1.0, 2.0, 4.0]])
    >>> result = ac.compare(lambda x: ac.layer_norm(x), lambda x: ac.layer_norm(x, eps=1e-3), x)
    >>> bool(result), result.convention, result.first.a.scope
    (False, 'epsilon', 'layer_norm')
    >>> print(result.why)
    a has 1e-05, b 0.001
    """
    if inputs_b is not None and not isinstance(inputs_b, list | tuple):
        raise TypeError(f"compare: inputs_b must be a list of b's inputs, found {found(inputs_b)}")
    one, other, notes = sides_of(a, b, inputs, inputs_b)
    moved = _moved(one, other, notes)
    _same_numbers(one, other)
    match = Match(one, other, moved)
    result = Comparison(lines=(len(one.lines), len(other.lines)), notes=notes)
    result.distance = max([_apart(match, i, j) for i, j in zip(one.outputs, other.outputs, strict=False)], default=0.0)
    if not match.agree:
        _values(match, result)
        return result
    if _dtype(match, result):
        return result
    if gradients:
        sweeps = Gradients(match)
        pair = sweeps.first()
        if pair is not None:
            result.first, result.convention, result.why = explained(sweeps, *pair)
            return result
    kept = differing(one, other)
    if kept is not None:
        result.first, result.convention, result.why = kept
    return result


def _moved(a: Side, b: Side, notes: list[str]) -> float:
    """The relative error that may separate two right runs: that of the narrower dtype, where their numbers are given in
    two."""
    widths = [
        {line.dtype for line in side.lines if line.primitive is None and line.dtype.kind == "f" and line.size > 1}
        for side in (a, b)
    ]
    coarse = [max((np.finfo(dtype).eps for dtype in several), default=0.0) for several in widths]
    if not all(coarse) or coarse[0] == coarse[1]:
        return MOVED
    which = int(coarse[1] > coarse[0])
    narrow = widths[which]
    notes.append(
        f"{'ab'[which]}'s numbers are given in {max(narrow, key=lambda d: np.finfo(d).eps)}, the other's "
        "in a wider dtype: they are compared up to its rounding"
    )
    return float(max(coarse))


def _same_numbers(a: Side, b: Side) -> None:
    """A number that one program has in float32 and the other in float64 (1e-3, sqrt(2)) is the same number."""
    for side, there in ((a, b), (b, a)):
        wide = {
            number_of(there, j)
            for j, line in enumerate(there.lines)
            if line.primitive is None and line.dtype == np.float64
        }
        for i, line in enumerate(side.lines):
            number = number_of(side, i) if line.dtype.kind == "f" and line.dtype != np.float64 else None
            if number is not None:
                with np.errstate(over="ignore"):
                    full = [c for c in wide if c is not None and float(line.dtype.type(c)) == number and c != number]
                if full:
                    side.altered[i] = np.full(line.shape, full[0])
    for side in (a, b):
        vars(side).pop("values", None)


def _apart(match: Match, i: int, j: int) -> float:
    p, q = match.a.values[i], match.b.values[j]
    axes = turned(p, q, match.slack(i, j))
    if axes is not None:
        return distance(p.transpose(axes), q)
    if p.shape == q.shape:
        return distance(p, q)
    return distance(np.sort(p.ravel()), np.sort(q.ravel())) if p.size == q.size else float("inf")


# ---- values


def _values(match: Match, result: Comparison) -> None:
    """Fill in where the values part and why; what is explained is put right, and the search goes on behind it."""
    if len(match.a.outputs) != len(match.b.outputs):
        detail = f"a has {len(match.a.outputs)} outputs, b {len(match.b.outputs)}"
        result.first = Difference("outputs", None, None, float("inf"), detail)
        return
    while not match.agree:
        fronts = match.frontier(0)[:SITES], match.frontier(1)[:SITES]
        found_here = _explanation(match, fronts)
        if result.first is None:
            result.first = _first(match, fronts, found_here)
        if found_here is None:
            break
        if not result.convention:
            result.convention, result.why = found_here.name, found_here.words
        else:
            side = (match.a, match.b)[found_here.which]
            result.further.append((found_here.name, found_here.words, where(side, found_here.at)))
        if len(result.further) >= FURTHER:
            return
        sides = [match.a, match.b]
        fits = np.asarray(found_here.value).size == sides[found_here.which].values[found_here.at].size
        if not fits:
            result.tested = "with this the line there has the other run's numbers, in another shape"
            return
        shape = sides[found_here.which].values[found_here.at].shape
        sides[found_here.which] = sides[found_here.which].with_line(found_here.at, found_here.value.reshape(shape))
        match = Match(sides[0], sides[1], match.moved)
    result.complete = match.agree and bool(result.convention)
    result.tested = (
        f"with {'all this' if result.further else 'this'} the outputs agree"
        if result.complete
        else "with this the lines there agree; behind them the runs part again, which is not explained"
    )


def _first(match: Match, fronts: tuple[list[int], list[int]], why: Explanation | None) -> Difference:
    """The place to look at: the lines of the explanation, or the first open line of each side."""
    places: list[int | None] = [front[0] if front else None for front in fronts]
    if why is not None:
        mine, theirs = places[why.which], places[1 - why.which]
        if why.place is not None:
            places[why.which] = why.place
        elif mine is None or not _close_by(match, why.which, mine, why.at):
            places[why.which] = why.at
        if theirs is None or (why.partner is not None and why.partner < theirs):
            places[1 - why.which] = why.partner
    elif places[0] is None and places[1] is None:
        k = match.outputs.index(False)
        y, z = match.a.outputs[k], match.b.outputs[k]
        p, q = match.a.values[y], match.b.values[z]
        told = "both have the same numbers, in another order"
        if p.size != q.size:
            told = f"a's has shape {p.shape}, b's {q.shape}"
        return Difference("outputs", where(match.a, y), where(match.b, z), _apart(match, y, z), told)
    else:
        places[1] = _counterpart(match, places[0], fronts[1])
        k = match.outputs.index(False)  # a side without an open line goes on to an output of its own
        places = [side.outputs[k] if i is None else i for i, side in zip(places, (match.a, match.b), strict=True)]
    i, j = places[0], places[1]
    return Difference(
        "values",
        None if i is None else where(match.a, i),
        None if j is None else where(match.b, j),
        *_how_far(match, i, j),
    )


def _close_by(match: Match, which: int, i: int, at: int) -> bool:
    """Whether line i stands before ``at`` in the same innermost call or layer, or is it."""
    lines = (match.a, match.b)[which].lines
    return i == at or (i < at and lines[i].scope is lines[at].scope)


def _explanation(match: Match, fronts: tuple[list[int], list[int]]) -> Explanation | None:
    """The first convention that holds; one with which the outputs agree goes before others at the same lines."""
    partial: Explanation | None = None
    for pair in zip_longest(*fronts):
        sites = [Site(match, which, i) for which, i in enumerate(pair) if i is not None]
        for rule in TABLE.values():
            for attempt in chain.from_iterable(((site, t) for t in rule(site)) for site in sites):
                holds = attempt[0].tried(attempt[1])
                if holds is not None and holds.complete:
                    return holds
                if holds is not None and (partial is None or _goes_further(holds, partial)):
                    partial = holds
        if partial is not None:
            return partial
    return None


def _goes_further(this: Explanation, that: Explanation) -> bool:
    """Whether it makes more of the other run right: of two that hold, a later line there."""
    return this.which == that.which and this.reach > that.reach


def _counterpart(match: Match, i: int | None, there: list[int]) -> int | None:
    """b's first line that does what a's line i does, or its first."""
    if i is None or not there:
        return there[0] if there else None
    row, shape = match.a.row(i), match.a.values[i].size
    return min(there, key=lambda j: (match.b.row(j) != row, match.b.values[j].size != shape, j))


def _how_far(match: Match, i: int | None, j: int | None) -> tuple[float, str]:
    if i is None or j is None:
        return float("inf"), "the other run has no such step"
    p, q = np.asarray(match.a.values[i], float), np.asarray(match.b.values[j], float)
    if p.size != q.size or not p.size:
        return float("inf"), f"there a has {p.size:,} numbers, b {q.size:,}"
    if p.shape != q.shape:
        p, q = np.sort(p.ravel()), np.sort(q.ravel())
    with np.errstate(all="ignore"):
        off = np.abs(p - q)
    k = int(np.nanargmax(off)) if not np.isnan(off).all() else 0
    place = tuple(map(int, np.unravel_index(k, p.shape)))
    return distance(p, q), f"at {list(place)} a has {p.flat[k]:.7g}, b {q.flat[k]:.7g}"


# ---- precision


def _dtype(match: Match, result: Comparison) -> bool:
    """Whether the recorded outputs differ more than their own precision allows, because one side left it on the way."""
    a, b = match.a, match.b
    for i, j in zip(a.outputs, b.outputs, strict=True):
        p, q = a.lines[i].value, b.lines[j].value
        if p.dtype.kind != "f" or q.dtype.kind != "f":
            continue
        axes = turned(a.values[i], b.values[j], match.slack(i, j)) or tuple(range(p.ndim))
        apart = distance(p.astype(float).transpose(axes), q.astype(float))
        own = max(np.finfo(p.dtype).eps, np.finfo(q.dtype).eps)
        narrow = [_first_narrow(side, own) for side in (a, b)]
        if p.dtype != q.dtype:
            result.notes.append(f"a gives {p.dtype}, b {q.dtype}; they are compared up to the rounding of the narrower")
        if apart > 16 * own and (narrow[0] is None) != (narrow[1] is None):
            which = 0 if narrow[0] is not None else 1
            side, k = ((a, b)[which], narrow[which])
            assert k is not None
            partner = match.partner[which].get(k)
            here = where(side, k)
            there = None if partner is None else where((b, a)[which], partner)
            dtype = side.lines[k].dtype
            result.distance = apart
            in_a, in_b = (here, there) if which == 0 else (there, here)
            result.first = Difference("dtype", in_a, in_b, apart)
            result.convention = "dtype"
            result.why = f"{'ab'[which]} computes in {dtype} from here on, {'ba'[which]} does not"
            return True
    return False


def _first_narrow(side: Side, eps: float) -> int | None:
    """The first line whose dtype has fewer digits than the outputs have."""
    return next(
        (
            i
            for i, line in enumerate(side.lines)
            if line.primitive is not None and line.dtype.kind == "f" and np.finfo(line.dtype).eps > eps
        ),
        None,
    )
