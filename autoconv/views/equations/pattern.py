"""The sum that a gradient is with its index ranges: what all its terms have in common, found on arrays of scalars.

    sum over i, j of d[i,j] x[i+1,j]

The terms follow one pattern where their elements fill a grid, and what each is multiplied with is an element of one
tensor whose index is linear in the position on that grid.
"""

from __future__ import annotations

import numpy as np

from ...render.latex import Expression, symbol
from ...scalar.blocks import CONSTANT
from ...scalar.blocks import SUM as ADDED
from ...scalar.demand import ScalarGraph
from ...scalar.expand import PRODUCT, Contraction
from ...tape import Tensor
from .analysis import Array, Demanded, Way, _Edges
from .symbols import LONGEST, Product, Symbols


def pattern(symbols: Symbols, start: int, ends: Array, way: Way, cotangent: Expression) -> Expression | None:
    """The sum of ``cotangent`` times what ``start`` is multiplied with on its way to each of ``ends``, with index
    ranges."""
    partners = partners_of(symbols, start, ends, way)
    if partners is not None and (outside := symbols.padding(partners)).any():
        ends, partners = ends[~outside], partners[~outside]
    found = places(symbols, ends) if len(ends) else None
    if found is None or symbols.subscripts(found[0]) == "flat":
        return None
    fitted = ranges(found[1])
    if fitted is None or partners is None:
        return None
    letters, limits = fitted
    parts = [indexed(cotangent.latex, cotangent.text, letters)]
    if partners.any():
        read = places(symbols, partners) if partners.all() else None
        if read is None or symbols.subscripts(read[0]) == "flat":
            return None
        indices = affine(read[1], found[1], letters)
        if indices is None:
            return None
        name = symbol(symbols.label(read[0]))
        parts.append(indexed(name.latex, name.text, indices))
    latex = "".join(rf"\sum_{{{c}={a}}}^{{{b}}} " for c, a, b in limits) + r" \, ".join(x.latex for x in parts)
    where = ", ".join(f"{c}={a}..{b}" for c, a, b in limits)
    return Expression(latex, f"Σ({where}) {' '.join(x.text for x in parts)}")


def tensors_of(symbols: Symbols, scalars: Array) -> list[Tensor]:
    """The tensors that a reader knows ``scalars`` (in order) by, each once."""
    known, found = symbols.analysis, dict[int, Tensor]()
    if not isinstance(known, Demanded):
        return list({id(x): x for x in (symbols.place(i)[0] for i in scalars.tolist())}.values())
    cuts = np.flatnonzero(np.diff(known.scalars.blocks_of(scalars))) + 1
    for part in np.split(scalars, cuts) if len(scalars) else ():
        at = known.places(symbols.tensors, part)
        found.update({id(x): x for x in ([at[0]] if at else [symbols.place(i)[0] for i in part.tolist()])})
    return list(found.values())


def places(symbols: Symbols, scalars: Array) -> tuple[Tensor, Array] | None:
    """The one tensor that ``scalars`` are known by, and their indices in it (n, axes); None if they are of several."""
    known = symbols.analysis
    at = known.places(symbols.tensors, scalars) if isinstance(known, Demanded) else None
    if at is not None:
        x, flat = symbols.recorded(*at)
        return x, np.stack(np.unravel_index(flat, x.shape), axis=-1) if x.ndim else np.zeros((len(flat), 0), np.int64)
    read = [symbols.place(i) for i in scalars.tolist()]
    if len({id(x) for x, _ in read}) != 1:
        return None
    return read[0][0], np.array([index for _, index in read]).reshape(len(read), -1)


def partners_of(symbols: Symbols, start: int, ends: Array, way: Way) -> Array | None:
    """The scalar that ``start`` is multiplied with on its only path to each of ``ends``, 0 where there is none; None
    where there are several, or another path than that."""
    if isinstance(way, _Edges):
        try:
            return _partners_at_once(symbols, start, ends, way)
        except _SeveralKindsError:
            pass
    found: list[int] = []
    for end in ends.tolist():
        partner = symbols.partner(start, end, way)
        if partner is None:
            return None
        found.append(partner)
    return np.array(found)


class _SeveralKindsError(Exception):
    """The paths do not all go through the same lines, or through one that tells its slope for each element only."""


def _partners_at_once(symbols: Symbols, start: int, ends: Array, way: _Edges) -> Array | None:
    graph = symbols.analysis.graph
    assert isinstance(graph, ScalarGraph)
    at, met = ends, np.zeros(len(ends), np.int64)
    for _ in range(LONGEST):
        step = way.single(at)
        if step is None:
            return None
        (ks, below), blocks = step, graph.blocks_of(at)
        block, k = graph.blocks[blocks[0]], int(ks[0])
        if (blocks != blocks[0]).any():
            raise _SeveralKindsError
        if block.operation is not ADDED:
            if (ks != k).any():
                raise _SeveralKindsError
            if block.operation is PRODUCT and block.inner:
                if met.any():
                    return None
                factors = Contraction.of(block.line).factors(at - block.first)
                met = graph.names(block.line.operands[1 - k], factors[1 - k])
                if any(graph.blocks[b].operation is CONSTANT for b in np.unique(graph.blocks_of(met)).tolist()):
                    raise _SeveralKindsError
            elif symbols.slope(int(at[0]), k) != Product():
                raise _SeveralKindsError
        at = below
        if (at == start).any():
            if (at != start).any():
                raise _SeveralKindsError
            return met
    return None


def ranges(places: Array) -> tuple[list[str], list[tuple[str, int, int]]] | None:
    """Letters for the axes along which ``places`` (n, axes) run, numbers for the others, if they fill a whole grid."""
    low, high = places.min(axis=0), places.max(axis=0)
    if np.prod(high - low + 1) != len(places) or len(np.unique(places, axis=0)) != len(places):
        return None
    free = iter("ijklmnpq")
    letters, limits = [], []
    for a, b in zip(low.tolist(), high.tolist(), strict=True):
        letters.append(str(a) if a == b else next(free))
        if a != b:
            limits.append((letters[-1], a, b))
    return letters, limits


def affine(read: Array, places: Array, letters: list[str]) -> list[str] | None:
    """Each column of ``read`` as a constant or as factor * letter + offset of one column of ``places``; None if one is
    not.
    """
    found: list[str] = []
    for column in read.T:
        if (column == column[0]).all():
            found.append(str(column[0]))
            continue
        for letter, other in zip(letters, places.T, strict=True):
            span = other.max() - other.min()
            if not span:
                continue
            low, high = column[np.argmin(other)], column[np.argmax(other)]
            factor, rest = divmod(int(high - low), int(span))
            offset = int(low - factor * other.min())
            if not rest and (column == factor * other + offset).all():
                found.append(_linear(factor, letter, offset))
                break
        else:
            return None
    return found


def _linear(factor: int, letter: str, offset: int) -> str:
    if factor == -1:
        return f"{offset}-{letter}" if offset else f"-{letter}"
    return f"{'' if factor == 1 else factor}{letter}" + (f"{offset:+d}" if offset else "")


def indexed(latex: str, text: str, indices: list[str]) -> Expression:
    joined = ",".join(indices)
    return Expression(f"{latex.strip()}_{{{joined}}}", f"{text}[{joined}]")
