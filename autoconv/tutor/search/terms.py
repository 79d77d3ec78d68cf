"""The terms of a normalisation, each counted another number of times, or with another factor in it.

    x_bar = a D - b M - c V        D = g / std,  M = mean(g) / std,  V = xhat mean(g xhat) / std     (run.forms.Terms)

The numbers a, b, c are found by least squares.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from ..run.calls import Call
from ..run.forms import FACTORS, Standardised, Terms
from ..run.replay import Run
from .fitted import Array, Found, solved, telling
from .search import Search

NUMBERS = 8  # that a gradient must have, so that a fit proves something
POWERS = (0, -1, 1, -2, 2)


_PLAIN = Terms()
SHAPES = sorted(  # the plainest first: x-hat in both places, then another power, then another factor in one of them
    (Terms(*row) for row in product(FACTORS, FACTORS, POWERS)),
    key=lambda s: (s.front != "xhat") + (s.inside != "xhat") + (s.variance != 0),
)
SCALED = [
    *[_PLAIN._replace(mean=power) for power in POWERS if power],
    *[_PLAIN._replace(direct=power) for power in POWERS if power],
    *[_PLAIN._replace(gamma=g) for p in (1, -1) for g in ((p, 0, 0), (0, p, 0), (0, 0, p))],
    _PLAIN._replace(late=True),
]
WIDE = 50_000  # elements of a normalisation beyond which no terms are fitted


def norm_of(run: Run) -> tuple[Call, Standardised] | None:
    """The standardisation on the way of the gradient: the longest stretch, for x - mean alone looks like one too."""
    calls = [(call, call.form) for call in run.calls if isinstance(call.form, Standardised)]
    return max(calls, key=lambda pair: len(pair[0].members), default=None)


def parts_of(run: Run, shape: Terms) -> list[Array]:
    """D, -M, -V of one run, carried to the gradient; an empty list where there is no such normalisation."""
    norm = norm_of(run)
    if norm is None:
        return []
    call, n = norm
    gamma = call.scale if call.scale is not None and np.size(call.scale) == np.size(n.x) else None
    output = call.scaled if np.size(call.scaled) == np.size(n.x) else None
    if ((any(shape.gamma) or shape.late) and gamma is None) or ("output" in shape[:2] and output is None):
        return []
    parts = n.terms(run.cotangent[id(call.y)], shape, gamma, output)
    return [run.partial(call.x, p.reshape(call.x.shape)) for p in parts]


def fit_all(claimed: Array, parts: list[Array]) -> Array | None:
    """The numbers of the terms that may make the claim."""
    return solved(np.stack([np.ravel(p) for p in parts], axis=1), np.ravel(claimed)) if parts else None


def counts(numbers: Array) -> bool:
    """Whether numbers may be counts, or quotients of small ones."""
    return bool(np.any(numbers)) and all(
        any(abs(n * d - round(n * d)) < 1e-4 for d in range(1, 97)) and abs(n) < 1e6 for n in numbers
    )


def normalised(search: Search) -> Iterator[Found]:
    """The terms of a normalisation, with other numbers or factors, that give the claim."""
    run, claimed = search.runs[0], search.claimed[0]
    norm = norm_of(run)
    if norm is None or not telling(search) or claimed.size < NUMBERS or np.size(norm[1].x) > WIDE:
        return
    elsewhere = [Terms(axes=other.axes) for other in norm[1].elsewhere]
    for shape in [*SHAPES, *elsewhere, *SCALED]:
        if search.spent(3):
            return
        with np.errstate(all="ignore"):
            parts = parts_of(run, shape)
            numbers = fit_all(claimed, parts)
        if numbers is None or not counts(numbers):
            continue

        def made(other: Run, numbers: Array = numbers, shape: Terms = shape) -> Array | None:
            parts = parts_of(other, shape)
            return sum(n * p for n, p in zip(numbers, parts, strict=True)) if parts else None

        name, words = norm_told(numbers, shape)
        yield Found(name, words, run.position(norm[0].y), made)


def norm_told(numbers: Array, shape: Terms, same: bool = True) -> tuple[str, str]:
    """(name, in words) of terms that count ``numbers`` times.  same: whether these are the same at every geometry."""
    a, b, c = numbers
    if shape.late and a == b == c == 1:
        words = "gamma is multiplied in behind the means, where it belongs inside of them: it differs along their axes"
        return "gamma behind the means", words
    words = f"the terms of x, of the mean and of the variance count {a:.6g}, {b:.6g} and {c:.6g} times, not once"
    words += "" if same else " (at the largest geometry that shows it: the numbers change with the geometry)"
    words = "all three terms are there" if a == b == c == 1 else words
    for place, what in (("in front of the mean", shape.front), ("inside the mean", shape.inside)):
        if what != "xhat":
            words += f"; in the variance's {'the ' * (what == 'output')}{what} stands for x-hat {place}"
    for what, power in (("that of x", shape.direct), ("the mean's", shape.mean)):
        if power:
            words += f"; {what} is {'multiplied' if power > 0 else 'divided'} by the standard deviation too often"
    for what, power in zip(("x", "the mean", "the variance"), shape.gamma, strict=True):
        if power:
            words += f"; gamma stands {'once too often' if power > 0 else 'not at all'} in that of {what}"
    if shape.variance:
        times = "multiplied" if shape.variance > 0 else "divided"
        much = "the standard deviation" if abs(shape.variance) == 1 else "the variance (and eps)"
        words += f"; the variance's is {times} by {much} once too often"
    words += "; gamma is multiplied in behind the means" if shape.late else ""
    name = "a term of the normalisation with a wrong factor"
    if shape.axes:
        words = f"its means run over axes {shape.axes}, not over those of the forward; " + words
        return "normalised over the wrong axis", words
    if any(shape.gamma):
        name = "a factor missing in a term of the normalisation" if min(shape.gamma) < 0 else name
    elif 0 in (a, b, c):
        name = "a term of the normalisation forgotten"
    elif {"x", "x - mean", "output"} & {shape.front, shape.inside}:
        name = "x where x-hat belongs"
    elif min(a, b, c) < 0 < max(a, b, c):
        name = "sign of a term of the normalisation"
    return name, words
