"""A gradient that is a sum of terms, each of them right but counted another number of times.

    a normalisation    x_bar = a D - b M - c V,  D = g / std,  M = mean(g) / std,  V = xhat mean(g xhat) / std
    several paths      x_bar = c_1 P_1 + c_2 P_2 + ..      and what comes through one line, or meets another value there

Right are ones.  The numbers are found by least squares and must be the same at every geometry; in V the deviation, x or
nothing may stand for x-hat, and a power of the standard deviation too many.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np

from ..tape import Tensor
from ..tutor.run.calls import Call
from ..tutor.run.forms import Standardised
from ..tutor.run.replay import Run
from ..tutor.run.site import Contraction
from .relations import Evidence, Named
from .truth import close

Array = np.ndarray
MOSTLY = 0.6  # of the geometries that must be fitted
NUMBERS = 8  # that a geometry must have, so that a fit proves something
STEPS, VALUES = 30, 40  # lines that are looked at alone, values that are tried as a factor
PATHS, LINES = 4, 12  # paths into one line, and lines with several, that are looked at
HINT = "Write down all terms, each with its factor: which of them is yours?"
POWERS = (0, -1, 1, -2, 2)


class Shape(NamedTuple):
    """What stands in the variance's term: in front of the mean, inside of it, and the power of std too many."""

    front: str
    inside: str
    power: int
    axes: tuple[int, ...] = ()  # of the means, if others than the forward's
    mean: int = 0  # the power of std too many in the mean's term
    direct: int = 0  # and in that of x
    gamma: tuple[int, int, int] = (0, 0, 0)  # the power of gamma too many in each term
    late: bool = False  # gamma multiplied in behind the means, where it belongs inside of them


_FACTORS = ("xhat", "x - mean", "x", "1")
SHAPES = sorted(  # the plainest first: x-hat in both places, then another power, then another factor in one of them
    (Shape(*row) for row in product(_FACTORS, _FACTORS, POWERS)),
    key=lambda s: (s.front != "xhat") + (s.inside != "xhat") + (s.power != 0),
)


_PLAIN = SHAPES[0]
SCALED = [
    *[_PLAIN._replace(mean=power) for power in POWERS if power],
    *[_PLAIN._replace(direct=power) for power in POWERS if power],
    *[_PLAIN._replace(gamma=g) for p in (1, -1) for g in ((p, 0, 0), (0, p, 0), (0, 0, p))],
    _PLAIN._replace(late=True),
]


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
    if len(wrong) < 2 or wrong[0].claimed.size < NUMBERS:
        return None
    with np.errstate(all="ignore"):
        run = wrong[0].truth.runs[gradient]
        for position, readers in _meetings(run):
            numbers = _fit(wrong[0].claimed, _contributions(run, position))
            if numbers is None or np.allclose(numbers, numbers[0], rtol=1e-5):
                continue
            if all(_made_of(e, _contributions(e.truth.runs[gradient], position), numbers) for e in plain):
                return _told(numbers, readers)
        return (
            _one_line(gradient, wrong[0], plain)
            or _other_value(gradient, wrong[0], plain)
            or _path_times(gradient, wrong[0], plain)
        )


def _one_line(gradient: str, first: Evidence, plain: list[Evidence]) -> Named | None:
    """What comes through one line counted another number of times, or passed on as it arrives there."""
    for position in _lines(first.truth.runs[gradient]):
        row = row_of(first.truth.runs[gradient], position)
        numbers = _fit(first.claimed, _through(first.truth.runs[gradient], position))
        counted = numbers is not None and numbers[0] != 1
        if (
            numbers is not None
            and counted
            and all(_made_of(e, _through(e.truth.runs[gradient], position), numbers) for e in plain)
        ):
            words = f"what comes through {row} (line {position}) counts {numbers[0]:.6g} times, not once"
            name = "one path forgotten" if numbers[0] == 0 else "a path with a wrong factor"
            return Named(name, words, HINT)
        if all(_skipped(e, e.truth.runs[gradient], position) for e in plain):
            words = f"what arrives at {row} (line {position}) is passed on as if that line were the input itself"
            return Named("local derivative forgotten", words, "Which step between this line and the input is left out?")
    return None


def _lines(run: Run) -> list[int]:
    """The positions of the lines on the way, but for the last and the first, that are no mere moves."""
    inner = [s.line for s in run.steps if s.line is not run.wrt and s.line is not run.loss]
    return [run.position(x) for x in inner if x.primitive is not None and x.primitive.group != "wiring"][:STEPS]


def row_of(run: Run, position: int) -> str:
    line = list(run.tape)[position]
    return line.primitive.name if line.primitive else line.name or "input"


def line_at(run: Run, position: int) -> Tensor | None:
    """The line at a position of the tape; None where the tape is shorter, as one with a line for each class is."""
    tape = list(run.tape)
    return run.lines[id(tape[position])] if position < len(tape) else None


def _through(run: Run, position: int) -> list[Array]:
    line = line_at(run, position)
    if line is None:
        return []
    part = run.partial(line, run.cotangent.get(id(line), np.zeros(line.shape)))
    return [part, run.gradient - part]


def _skipped(e: Evidence, run: Run, position: int) -> bool:
    line = line_at(run, position)
    if line is None or line.shape != run.wrt.shape or id(line) not in run.cotangent:
        return False
    part, rest = _through(run, position)
    return close(e.claimed, rest + run.cotangent[id(line)], float(np.abs(part).max(initial=0.0)))


def _other_value(gradient: str, first: Evidence, plain: list[Evidence]) -> Named | None:
    """A product in whose gradient the value of another line stands for the factor."""
    run = first.truth.runs[gradient]
    values = [i for i, line in enumerate(run.tape) if line.size > 1][:VALUES]
    for step in run.steps:
        row = step.line.primitive.name if step.line.primitive else ""
        if row not in ("mul", "contract") or len(step.line.operands) != 2:
            continue
        position = run.position(step.line)
        for k, *_ in step.contributions:
            for value in values:
                fits = lambda e, p=position, k=k, v=value: _with_value(e, e.truth.runs[gradient], p, k, v)
                if fits(first) and all(fits(e) for e in plain):
                    words = f"in the gradient of {row} (line {position}) the value of "
                    words += f"{row_of(run, value)} (line {value}) stands for the factor"
                    return Named("another array in the place of a factor", words, "Which two arrays meet there?")
    return None


def _path_times(gradient: str, first: Evidence, plain: list[Evidence]) -> Named | None:
    """One of several paths multiplied or divided by the value of a line: a factor too many, or one forgotten."""
    run = first.truth.runs[gradient]
    values = [i for i, line in enumerate(run.tape) if line.shape == first.claimed.shape and not line.constant][:VALUES]
    words = {-1: "divided", 1: "multiplied"}
    for position, readers in _meetings(run):
        for k, value, power in product(range(len(readers)), values, words):
            fits = lambda e, at=(position, k, value, power): _with_factor(e, e.truth.runs[gradient], *at)
            if fits(first) and all(fits(e) for e in plain):
                by = f"{words[power]} by the value of {row_of(run, value)} (line {value})"
                return Named("a path with a wrong factor", f"the path through {readers[k]} is {by}", HINT)
    return None


def _with_factor(e: Evidence, run: Run, position: int, k: int, value: int, power: int) -> bool:
    parts, line = _contributions(run, position), line_at(run, value)
    if line is None or len(parts) <= k + 1 or line.shape != e.claimed.shape:
        return False
    found = sum(parts) + parts[k] * (line.value**power - 1)
    return bool(np.isfinite(found).all()) and close(e.claimed, np.asarray(found), float(np.abs(found).max(initial=0.0)))


def _with_value(e: Evidence, run: Run, position: int, k: int, value: int) -> bool:
    line, other = line_at(run, position), line_at(run, value)
    if line is None or other is None or len(line.operands) != 2:
        return False
    factor = line.operands[1 - k]
    if other.shape != factor.shape or other is factor or id(line) not in run.cotangent:
        return False
    g, site = run.cotangent[id(line)], run.site(line, k)
    made = g * other.value if site.row == "mul" else Contraction(site).product(g, other.value)
    if np.shape(made) != line.operands[k].shape:
        return False
    found = run.gradient + run.partial(line.operands[k], made - site.right(g))
    return close(e.claimed, found, float(np.abs(found).max(initial=0.0)))


# ---- several paths


def _meetings(run: Run) -> Iterator[tuple[int, list[str]]]:
    """(position, the rows that read it) of each line that receives several contributions, the nearest to wrt first."""
    found = [(x, parts) for x, parts in run.received.items() if 1 < len(parts) <= PATHS]
    for x, parts in found[::-1][:LINES]:
        rows = [line.primitive.name if line.primitive else "" for line, *_ in parts]
        yield run.position(run.by_id[x]), rows


def _contributions(run: Run, position: int) -> list[Array]:
    """What each path into a line does to the gradient; last, what does not pass there."""
    line = line_at(run, position)
    if line is None:
        return []
    parts = [run.partial(line, c) for _, _, c in run.received.get(id(line), [])]
    return [*parts, run.gradient - sum(parts)]


def _made_of(e: Evidence, parts: list[Array], numbers: Array) -> bool:
    if len(parts) != len(numbers):
        return e.right
    made = sum(n * p for n, p in zip(numbers, parts, strict=True))
    return close(e.claimed, np.asarray(made), max(float(np.abs(p).max(initial=0.0)) for p in parts))


def _fit(claimed: Array, parts: list[Array]) -> Array | None:
    """The numbers of terms that make the claim; the last one, what is left of the gradient, counts once."""
    rest = parts[-1]
    size = max(float(np.abs(p).max(initial=0.0)) for p in parts)
    columns = np.stack([p.ravel() for p in parts[:-1]], axis=1)
    found, *_ = np.linalg.lstsq(columns, (claimed - rest).ravel(), rcond=1e-9)
    numbers = np.append(_plain(found), 1.0)
    made = sum(n * p for n, p in zip(numbers, parts, strict=True))
    return numbers if close(claimed, np.asarray(made), size) else None


def _plain(numbers: Array) -> Array:
    """Numbers without the rounding of a fit."""
    return np.array([float(f"{n:.10g}") if abs(n) > 1e-7 else 0.0 for n in numbers])


def _told(numbers: Array, readers: list[str]) -> Named:
    counts = [f"that through {row} {n:.6g} times" for n, row in zip(numbers, readers, strict=False)]
    words = f"of the paths from one number to the result, {', '.join(counts)}; each counts once"
    name = "a path with a wrong factor"
    if any(n == 0 for n in numbers[:-1]):
        name = "one path forgotten"
    elif all(abs(n) == 1 for n in numbers):
        name = "sign of one path"
    return Named(name, words, "Along how many paths does this number reach the result, and with which sign?")


# ---- a normalisation


def _norm_of(run: Run) -> tuple[Call, Standardised] | None:
    """The standardisation on the way of the gradient: the longest stretch, for x - mean alone looks like one too."""
    found = [(call, call.form) for call in run.calls if isinstance(call.form, Standardised)]
    return max(found, key=lambda pair: len(pair[0].members), default=None)


def _normalised(gradient: str, wrong: list[Evidence], plain: list[Evidence]) -> Named | None:
    found = _norm_of(wrong[0].truth.runs[gradient])
    if found is None:
        return None
    telling = [e for e in wrong if e.claimed.size >= NUMBERS]
    elsewhere = [Shape("xhat", "xhat", 0, other.axes) for other in found[1].elsewhere]
    for shape in [*SHAPES, *elsewhere, *SCALED]:
        numbers = [_fit_all(telling[0].claimed, _parts(telling[0].truth.runs[gradient], shape))]
        if numbers[0] is None:
            continue
        numbers += [_fit_all(e.claimed, _parts(e.truth.runs[gradient], shape)) for e in telling[1:]]
        kept = [n for n in numbers if n is not None]
        if len(kept) < 2 or len(kept) < MOSTLY * len(telling):
            continue
        if shape == SHAPES[0] and all(np.allclose(n, n[0], rtol=1e-5) for n in kept):
            return None  # a factor of all of it
        same = bool(np.ptp(kept, axis=0).max() < 1e-4) and len(kept) == len(telling)
        same = same and all(_made_of(e, _parts(e.truth.runs[gradient], shape), kept[0]) for e in plain)
        if same or shape.axes or all(_counted(n) for n in kept):
            return _norm_told(kept[0], shape, same)
    return None


def _counted(numbers: Array) -> bool:
    """Whether numbers that differ from geometry to geometry may be counts, or quotients of small ones."""
    return all(abs(n * d - round(n * d)) < 1e-4 for n in numbers for d in [_denominator(n)]) and bool(numbers.any())


def _denominator(n: float) -> int:
    return next((d for d in range(1, 97) if abs(n * d - round(n * d)) < 1e-4), 1)


def _parts(run: Run, shape: Shape) -> list[Array]:
    """D, -M, -V of one run, carried to the gradient; an empty list where there is no normalisation."""
    found = _norm_of(run)
    if found is None:
        return []
    call, n = found
    h = np.reshape(run.cotangent[id(call.y)], n.shape)
    gamma = np.ones(())
    if any(shape.gamma) or shape.late:
        if call.scale is None or np.size(call.scale) != h.size:
            return []
        gamma = np.reshape(call.scale, n.shape)
    d, m, v = (h * gamma**power for power in ((-1, -1, -1) if shape.late else shape.gamma))
    mean = (lambda a: np.mean(a, axis=shape.axes, keepdims=True)) if shape.axes else n.mean
    factor = {"xhat": n.hat, "x - mean": n.deviation, "x": n.x, "1": np.ones(())}
    variance = factor[shape.front] * mean(v * factor[shape.inside]) * n.std ** (shape.power - 1.0)
    parts = [d * n.std ** (shape.direct - 1.0), -mean(m) * n.std ** (shape.mean - 1.0), -variance]
    parts = [gamma * p for p in parts] if shape.late else parts
    return [run.partial(call.x, np.broadcast_to(p, n.shape).reshape(call.x.shape)) for p in parts]


def _fit_all(claimed: Array, parts: list[Array]) -> Array | None:
    if not parts:
        return None
    columns = np.stack([p.ravel() for p in parts], axis=1)
    if not np.isfinite(columns).all() or np.linalg.matrix_rank(columns) < len(parts):
        return None
    found, *_ = np.linalg.lstsq(columns, claimed.ravel(), rcond=None)
    numbers = _plain(found)
    made = sum(n * p for n, p in zip(numbers, parts, strict=True))
    return numbers if close(claimed, np.asarray(made), max(float(np.abs(p).max()) for p in parts)) else None


def _norm_told(numbers: Array, shape: Shape, same: bool) -> Named:
    a, b, c = numbers
    words = f"the terms of x, of the mean and of the variance count {a:.6g}, {b:.6g} and {c:.6g} times, not once"
    words += "" if same else " (at the largest geometry that shows it: the numbers change with the geometry)"
    words = "all three terms are there" if a == b == c == 1 else words
    for place, what in (("in front of the mean", shape.front), ("inside the mean", shape.inside)):
        if what != "xhat":
            words += f"; in the variance's {what} stands for x-hat {place}"
    for what, power in (("that of x", shape.direct), ("the mean's", shape.mean)):
        if power:
            words += f"; {what} is {'multiplied' if power > 0 else 'divided'} by the standard deviation too often"
    for what, power in zip(("x", "the mean", "the variance"), shape.gamma, strict=True):
        if power:
            words += f"; gamma stands {'once too often' if power > 0 else 'not at all'} in that of {what}"
    if shape.power:
        times = "multiplied" if shape.power > 0 else "divided"
        much = "the standard deviation" if abs(shape.power) == 1 else "the variance (and eps)"
        words += f"; the variance's is {times} by {much} once too often"
    name = "a term of the normalisation with a wrong factor"
    if shape.late:
        words = "gamma is multiplied in behind the means, where it belongs inside of them: it differs along their axes"
        return Named("gamma behind the means", words, "Over what are the means taken: over dout, or over gamma dout?")
    if shape.axes:
        words = f"its means run over axes {shape.axes} of {{shape}}, not over those of the forward; " + words
        return Named("normalised over the wrong axis", words.replace(" of {shape}", ""), HINT)
    if any(shape.gamma):
        name = "a factor missing in a term of the normalisation" if min(shape.gamma) < 0 else name
    elif 0 in (a, b, c):
        name = "a term of the normalisation forgotten"
    elif "x" in (shape.front, shape.inside) or "x - mean" in (shape.front, shape.inside):
        name = "x where x-hat belongs"
    elif min(a, b, c) < 0 < max(a, b, c):
        name = "sign of a term of the normalisation"
    return Named(name, words, HINT)
