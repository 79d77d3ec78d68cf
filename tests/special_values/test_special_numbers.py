"""Every function x dtype x floor at the corners, value and slopes, against mpmath."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf

import autoconv as ac

from . import points, vectors
from .elementwise import FROM_THE_RESULT, ONE, TWO
from .floors import FLOORS, SCALARS, scalar
from .known import KNOWN

ULPS = 8  # of the value, and of how it moves when its argument is rounded
DTYPES = {np.dtype(d).name: d for d in points.DTYPES}


def machine_here() -> bool:
    program = ac.compile(lambda x: ac.sum(x * x))
    program(np.ones(3))
    return "native machine" in str(program.plan)


def wrong(found: Any, right: Any, slack: Any, dtype: Any, at: float = 1.0) -> bool:
    """``found`` is not the number of ``dtype`` nearest to ``right``, within ``ULPS`` of it and of ``slack``.

    At -0.0 a pole's sign is that of IEEE arithmetic, which the reference does not see.
    """
    info = np.finfo(dtype)
    if right is None:
        return False
    right = mpf(right)
    if mp.isnan(right):
        return not np.isnan(found)
    top = mpf(float(info.max))
    if mp.isinf(right) or abs(right) > top * (1 + ULPS * mpf(float(info.eps))):
        return not (np.isinf(found) and (np.sign(found) == int(mp.sign(right)) or (at == 0 and np.signbit(at))))
    if np.isnan(found):
        return True
    if np.isinf(found):
        return abs(right) < top * (1 - ULPS * mpf(float(info.eps)))
    allowed = ULPS * mpf(float(info.eps)) * (abs(right) + slack) + ULPS * mpf(float(info.smallest_subnormal))
    return bool(abs(mpf(float(found)) - right) > allowed)


def exact(x: float) -> Any:
    return mp.nan if np.isnan(x) else mpf(float(x))


def of_one(name: str, x: float) -> tuple[Any, Any]:
    """(value, slope) of a function of one number."""
    _, value, slope, special = ONE[name]
    here = exact(x)
    if mp.isnan(here):
        return (mpf(1) if name == "x ** 0.0" else mp.nan), None
    if here in special:
        return special[here]
    return value(here), slope(here)


@cache
def expected_of_one(name: str, dtype: str) -> list[tuple[Any, Any, Any]]:
    """(value, slope, |x slope|) at each number; the last is how far a rounded argument moves the value."""
    found = []
    for x in points.numbers(DTYPES[dtype]).values():
        value, slope = of_one(name, x)
        moves = mpf(0)
        if slope is not None and not mp.isnan(slope) and np.isfinite(x) and not mp.isinf(slope):
            moves = abs(mpf(x) * slope)
        found.append((value, slope, moves))
    return found


def failures_of_one(name: str, dtype: str, floor: str) -> dict[str, set[str]]:
    numbers = points.numbers(DTYPES[dtype])
    x = np.array(list(numbers.values()), DTYPES[dtype])
    y, (g,) = scalar(name, [x]) if floor == "scalar" else FLOORS[floor](ONE[name][0], [x])
    failed: dict[str, set[str]] = {"value": set(), "slope": set()}
    for i, (value, slope, moves) in enumerate(expected_of_one(name, dtype)):
        place = list(numbers)[i]
        if wrong(y[i], value, moves, DTYPES[dtype], x[i]):
            failed["value"].add(place)
        # a slope is a product: an argument's rounding moves it by as much as x times the slope's own slope
        lost = FROM_THE_RESULT.get(name, lambda _: 0)(exact(x[i])) if np.isfinite(x[i]) else mpf(0)
        if wrong(g[i], slope, steepness(name, x[i]) + lost, DTYPES[dtype], x[i]):
            failed["slope"].add(place)
    return failed


@cache
def steepness(name: str, x: float) -> Any:
    """|x f''(x)|, by a difference of the reference's slopes."""
    here = exact(x)
    if mp.isnan(here) or mp.isinf(here) or here in ONE[name][3] or here == 0:
        return mpf(0)
    step = here * mpf(10) ** -20
    slopes = [ONE[name][2](here + s * step) for s in (1, -1)]
    if None in slopes or any(mp.isinf(s) for s in slopes):
        return mpf(0)
    return abs(here * (slopes[0] - slopes[1]) / (2 * step))


def failures_of_two(name: str, dtype: str, floor: str) -> dict[str, set[str]]:
    pairs = points.pairs(DTYPES[dtype])
    x, y = (np.array(list(c), DTYPES[dtype]) for c in zip(*pairs.values(), strict=True))
    z, slopes = scalar(name, [x, y]) if floor == "scalar" else FLOORS[floor](TWO[name][0], [x, y])
    failed: dict[str, set[str]] = {"value": set(), "slope": set()}
    for i, (a, b) in enumerate(pairs.values()):
        value, *right = TWO[name][1](exact(a), exact(b))
        size = (
            max(abs(mpf(k)) for k in (a, b) if np.isfinite(k))
            if name == "logaddexp" and np.isfinite([a, b]).any()
            else mpf(0)
        )
        place = list(pairs)[i]
        if wrong(z[i], value, size, DTYPES[dtype]):
            failed["value"].add(place)
        if any(wrong(g[i], r, mpf(0), DTYPES[dtype], a) for g, r in zip(slopes, right, strict=True)):
            failed["slope"].add(place)
    return failed


@cache
def expected_of_a_vector(name: str, xs: tuple[float, ...]) -> tuple[Any, Any, Any, Any]:
    numbers = [exact(x) for x in xs] if len(xs) < 100 else [exact(xs[0])] * len(xs)
    _, value, slopes, lost, lost_in_slopes = vectors.ROWS[name]
    y = value(numbers)
    if len(xs) > 100:  # the same number many times
        return (y[:10] if isinstance(y, list) else [y]), [], mpf(0), mpf(0)
    weights = [mpf(i + 1) for i in range(len(xs))]
    finite = not any(mp.isnan(x) or mp.isinf(x) for x in numbers)
    slack = (lost(numbers), lost_in_slopes(numbers)) if finite else (mpf(0), mpf(0))
    right = slopes(numbers, weights)
    return y if isinstance(y, list) else [y], right, *slack


def failures_of_vectors(name: str, dtype: str, floor: str) -> dict[str, set[str]]:
    failed: dict[str, set[str]] = {"value": set(), "slope": set()}
    for place, xs in points.vectors(DTYPES[dtype]).items():
        if (name, place) in vectors.LEFT_RANGE:
            continue
        if len(xs) > 100 and (name not in vectors.LONG or floor == "expanded"):
            continue
        x = np.array(xs, DTYPES[dtype])
        values, slopes, lost, lost_in_slopes = expected_of_a_vector(name, tuple(xs))
        weights = np.arange(1.0, 1 + len(values)) if len(xs) < 100 else None
        y, (g,) = FLOORS[floor](vectors.ROWS[name][0], [x], weights)
        if any(wrong(a, b, lost, DTYPES[dtype]) for a, b in zip(y.ravel()[:10], values, strict=False)):
            failed["value"].add(place)
        if any(wrong(a, b, lost_in_slopes, DTYPES[dtype]) for a, b in zip(g.ravel(), slopes, strict=False)):
            failed["slope"].add(place)
    return failed


KINDS = [(ONE, failures_of_one), (TWO, failures_of_two), (vectors.ROWS, failures_of_vectors)]
# scalars are computed in double precision, the machine leaves halves to NumPy, NumPy's plan is the same for all dtypes
NOT_THERE = {("expanded", "float16"), ("machine", "float16"), ("numpy plan", "float32")}
CASES = [
    (name, dtype, floor, failures)
    for table, failures in KINDS
    for name in table
    for dtype in DTYPES
    for floor in [*FLOORS, *(["scalar"] if name in SCALARS and dtype == "float64" else [])]
    if (floor, dtype) not in NOT_THERE
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "dtype", "floor", "failures"), CASES, ids=[f"{c[0]}-{c[1]}-{c[2]}" for c in CASES])
def test_value_and_slope(name, dtype, floor, failures):
    with np.errstate(all="ignore"):
        found = failures(name, dtype, floor)
    if floor == "machine" and not machine_here():
        floor = "numpy plan"  # there is no other here
    for part, places in found.items():
        known = KNOWN.get((name, part, dtype, floor), set())
        where = f"{part} of {name} in {dtype}, {floor}"
        assert not places - known, f"{where}, is wrong at {sorted(places - known)}"
        assert not known - places, f"{where}, is right now: remove from KNOWN {sorted(known - places)}"
