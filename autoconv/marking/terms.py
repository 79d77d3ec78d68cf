"""A gradient that is a sum of terms, each of them right but counted another number of times, at every geometry.

    a normalisation    x_bar = a D - b M - c V,  D = g / std,  M = mean(g) / std,  V = xhat mean(g xhat) / std
    several paths      x_bar = c_1 P_1 + c_2 P_2 + ..      and what comes through one line, or meets another value there
    what arrives       at one line is reordered, reversed, summed or bent, before the right rules go on with it

Right are ones.  The tutor finds them at one geometry (``tutor.search.fitted``); here they must hold at every one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ..tutor.run.forms import Terms
from ..tutor.search.changed import arriving
from ..tutor.search.changes import HINTS
from ..tutor.search.fitted import Array, Found, found, holds
from ..tutor.search.search import Search
from ..tutor.search.terms import NUMBERS, SCALED, SHAPES, counts, fit_all, norm_of, norm_told, parts_of
from .fed import telling
from .relations import Evidence, Named, searched
from .truth import close

MOSTLY = 0.6  # of the geometries that must be fitted
HINT = "Write down all terms, each with its factor: which of them is yours?"


def terms(gradient: str, seen: list[Evidence]) -> Named | None:
    """The same wrong numbers of terms at every geometry without a kink, or None."""
    plain = [e for e in seen if not e.truth.case.kink]
    wrong = sorted((e for e in plain if not e.right), key=lambda e: -e.claimed.size)
    if len(wrong) < 2 or wrong[0].claimed.size < NUMBERS:
        return None
    with np.errstate(all="ignore"):
        return _normalised(gradient, wrong, plain)


def paths(gradient: str, seen: list[Evidence]) -> Named | None:
    """One line of the forward whose paths count wrongly, the same way at every geometry without a kink."""
    plain = [e for e in seen if not e.truth.case.kink]
    wrong = sorted((e for e in plain if not e.right), key=lambda e: -e.claimed.size)
    return _first(gradient, wrong, plain, found) if len(wrong) > 1 else None


def inside(gradient: str, seen: list[Evidence]) -> Named | None:
    """The change of what arrives at one line after which the right rules give the claim."""
    plain = [e for e in seen if not e.truth.case.kink]
    wrong = sorted((e for e in plain if not e.right), key=telling)
    return _first(gradient, wrong, plain, arriving) if len(plain) > 1 and wrong else None


def _first(
    gradient: str, wrong: list[Evidence], plain: list[Evidence], way: Callable[[Search], Iterator[Found]]
) -> Named | None:
    """The first that gives the claim where it is wrong for the first time, and at every other geometry."""
    with np.errstate(all="ignore"):
        search = searched(wrong[0], gradient)
        for one in way(search):
            if holds(search, one) and all(_is(e, one.made(e.truth.runs[gradient])) for e in plain):
                return Named(one.name, one.says, HINTS.get(one.name, HINT))
    return None


def _is(e: Evidence, made: Array | None) -> bool:
    if made is None:
        return e.right
    made = np.asarray(made)
    return bool(np.isfinite(made).all()) and close(e.claimed, made, float(np.abs(made).max(initial=0.0)))


def _normalised(gradient: str, wrong: list[Evidence], plain: list[Evidence]) -> Named | None:
    norm = norm_of(wrong[0].truth.runs[gradient])
    if norm is None:
        return None
    telling = [e for e in wrong if e.claimed.size >= NUMBERS]
    elsewhere = [Terms(axes=other.axes) for other in norm[1].elsewhere]
    for shape in [*SHAPES, *elsewhere, *SCALED]:
        first = _numbers(telling[0], gradient, shape)
        if first is None:
            continue
        numbers = [first, *[_numbers(e, gradient, shape) for e in telling[1:]]]
        kept = [n for n in numbers if n is not None]
        if len(kept) < 2 or len(kept) < MOSTLY * len(telling):
            continue
        if shape == SHAPES[0] and all(np.allclose(n, n[0], rtol=1e-5) for n in kept):
            return None  # a factor of all of it
        same = bool(np.ptp(kept, axis=0).max() < 1e-4) and len(kept) == len(telling)
        same = same and all(_is(e, _made(parts_of(e.truth.runs[gradient], shape), kept[0])) for e in plain)
        if same or shape.axes or all(counts(n) for n in kept):
            return Named(*norm_told(kept[0], shape, same), HINT)
    return None


def _numbers(e: Evidence, gradient: str, shape: Terms) -> Array | None:
    """The numbers with which the terms make the claim at one geometry."""
    parts = parts_of(e.truth.runs[gradient], shape)
    numbers = fit_all(e.claimed, parts)
    made = _made(parts, numbers) if numbers is not None else None
    if numbers is None or made is None:
        return None
    return numbers if close(e.claimed, made, max(float(np.abs(p).max()) for p in parts)) else None


def _made(parts: list[Array], numbers: Array) -> Array | None:
    return np.asarray(sum(n * p for n, p in zip(numbers, parts, strict=True))) if parts else None
