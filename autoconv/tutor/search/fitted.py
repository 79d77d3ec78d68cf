"""Gradients that no single mistake of the bank leads to, and that are yet right but for one path, factor or term.

    several paths      x_bar = c_1 P_1 + c_2 P_2 + ..     at one line that several others read
    one line           what comes through it counts another number of times, or is passed on as it arrives
    another value      a product in whose gradient the value of another line stands for the factor
    a factor           one of several paths multiplied or divided by a value, or by 1 minus it

The numbers are found by least squares.  What is found is a function of the run, so that it can be tried in another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from ...tape import Tensor
from ..run.replay import Run
from ..run.site import Contraction, carried, unmoved
from .changes import OTHER, TIMES
from .search import Search

Array = Any
FEW = 3  # different numbers that a gradient must have, so that it proves something that they are met
BEYOND = 3  # different equations that a fit must have beyond the numbers it finds
STEPS, VALUES = 30, 40  # lines that are looked at alone, values that are tried as a factor
PATHS, LINES = 4, 12  # paths into one line, and lines with several, that are looked at
PATH = "a path with a wrong factor"
FORGOTTEN = "one path forgotten"


class Found(NamedTuple):
    """What was found: its name, in words, the line that it is about, and what it makes of another run (None: nothing
    like it is there)."""

    name: str
    says: str
    position: int
    made: Callable[[Run], Array | None]


def found(search: Search) -> Iterator[Found]:
    """The paths and factors that give the claim in the search's first run, the plainest first."""
    if telling(search):
        for way in (_several, _one_line, _other_value, _times):
            yield from way(search)


def holds(search: Search, one: Found) -> bool:
    """Whether what was found gives the claim in all runs of a search."""
    return all(_holds(search, one, i) for i in range(len(search.runs)))


def telling(search: Search) -> bool:
    """Whether the claim is of a whole gradient, with enough different numbers to prove anything."""
    claimed = search.claimed[0]
    if claimed.size < FEW or claimed.size != search.runs[0].gradient.size:
        return False
    scale = max(float(np.abs(claimed).max()), 1e-300)
    return claimed.size > 1000 or len(np.unique(np.round(claimed / scale, 6))) >= FEW


def _holds(search: Search, one: Found, i: int = 0) -> bool:
    made = one.made(search.runs[i])
    return made is not None and equal_to(search, made, i)


def equal_to(search: Search, made: Array, i: int = 0) -> bool:
    flat = np.asarray(made, dtype=float).ravel()
    claimed = search.claimed[i]
    return bool(np.isfinite(flat).all()) and bool(
        (np.abs(flat - claimed) <= search.tolerance.of(claimed, float(np.abs(flat).max(initial=0.0)))).all()
    )


def row_of(run: Run, position: int) -> str:
    line = list(run.tape)[position]
    return line.primitive.name if line.primitive else line.name or "input"


def line_at(run: Run, position: int) -> Tensor | None:
    """The line at a position of the tape; None where the tape is shorter, as one with a line for each class is."""
    tape = list(run.tape)
    return run.lines[id(tape[position])] if position < len(tape) else None


def said(run: Run, position: int) -> str:
    return f"{row_of(run, position)} (line {position})"


# ---- several paths


def _several(search: Search) -> Iterator[Found]:
    run = search.runs[0]
    for position, readers in meetings(run):
        numbers = fit(search.claimed[0], contributions(run, position))
        if numbers is None or np.allclose(numbers, numbers[0], rtol=1e-5):
            continue

        def made(other: Run, position: int = position, numbers: Array = numbers) -> Array | None:
            parts = contributions(other, position)
            return sum(n * p for n, p in zip(numbers, parts, strict=True)) if len(parts) == len(numbers) else None

        counts = [f"that through {row} {n:.6g} times" for n, row in zip(numbers, readers, strict=False)]
        words = f"of the paths from one number to the result, {', '.join(counts)}; each counts once"
        off = [n for n in numbers[:-1] if n != 1]
        name = FORGOTTEN if 0 in off else "sign of one path" if all(abs(n) == 1 for n in numbers) else PATH
        yield Found(name, words, position, made)


def meetings(run: Run) -> Iterator[tuple[int, list[str]]]:
    """(position, the rows that read it) of each line that receives several contributions, the nearest to wrt first."""
    lines = [(x, parts) for x, parts in run.received.items() if 1 < len(parts) <= PATHS]
    for x, parts in lines[::-1][:LINES]:
        rows = [line.primitive.name if line.primitive else "" for line, *_ in parts]
        yield run.position(run.by_id[x]), rows


def contributions(run: Run, position: int) -> list[Array]:
    """What each path into a line does to the gradient; last, what does not pass there."""
    line = line_at(run, position)
    if line is None:
        return []
    parts = [run.partial(line, c) for _, _, c in run.received.get(id(line), [])]
    return [*parts, run.gradient - sum(parts)]


def fit(claimed: Array, parts: list[Array]) -> Array | None:
    """The numbers of terms that may make the claim; the last one, what is left of the gradient, counts once."""
    columns = np.stack([np.ravel(p) for p in parts[:-1]], axis=1)
    numbers = solved(columns, np.ravel(claimed) - np.ravel(parts[-1]))
    return None if numbers is None else np.append(numbers, 1.0)


def solved(columns: Array, aim: Array) -> Array | None:
    """The numbers of columns that add up to ``aim``, if there are enough different equations to prove anything."""
    unknown = columns.shape[1]
    if not np.isfinite(columns).all() or len(columns) < unknown + BEYOND:
        return None
    size = np.abs(columns).max(axis=0)
    if not size.all():
        return None
    rows = np.round(np.column_stack([columns / size, aim / max(float(np.abs(aim).max()), 1e-300)]), 6)
    if len(columns) < 1000 and len(np.unique(rows, axis=0)) < unknown + BEYOND:
        return None
    if np.linalg.matrix_rank(columns / size, tol=1e-7) < unknown:
        return None
    found, *_ = np.linalg.lstsq(columns / size, aim, rcond=None)
    return plain(found / size)


def contributed(search: Search, x: Tensor, delta: Array) -> Array | None:
    """What each element of a change of the cotangent of x adds along each direction of the probes."""
    tangents = search.probes.tangents.get(id(x))
    return None if tangents is None else tangents * np.ravel(delta)


def plain(numbers: Array) -> Array:
    """Numbers without the rounding of a fit."""
    near = np.array([float(f"{n:.10g}") if abs(n) > 1e-7 else 0.0 for n in numbers])
    whole = np.round(near * 12) / 12
    return np.where(np.abs(near - whole) < 1e-6, whole, near)


# ---- one line


def _one_line(search: Search) -> Iterator[Found]:
    run = search.runs[0]
    for position in _lines(run):
        numbers = fit(search.claimed[0], _through(run, position))
        if numbers is not None and numbers[0] != 1:
            words = f"what comes through {said(run, position)} counts {numbers[0]:.6g} times, not once"
            yield Found(FORGOTTEN if numbers[0] == 0 else PATH, words, position, _counted(position, numbers[0]))
        words = f"what arrives at {said(run, position)} is passed on as if that line were the input itself"
        yield Found("local derivative forgotten", words, position, _skipped(position))


def _lines(run: Run) -> list[int]:
    """The positions of the lines on the way, but for the last and the first, that are no mere moves."""
    inner = [s.line for s in run.steps if s.line is not run.wrt and s.line is not run.loss]
    return [run.position(x) for x in inner if x.primitive is not None and x.primitive.group != "wiring"][:STEPS]


def _through(run: Run, position: int) -> list[Array]:
    """[what comes through a line, the rest]"""
    line = line_at(run, position)
    if line is None:
        return []
    part = run.partial(line, run.cotangent.get(id(line), np.zeros(line.shape)))
    return [part, run.gradient - part]


def _counted(position: int, number: float) -> Callable[[Run], Array | None]:
    def made(run: Run) -> Array | None:
        parts = _through(run, position)
        return number * parts[0] + parts[1] if parts else None

    return made


def _skipped(position: int) -> Callable[[Run], Array | None]:
    def made(run: Run) -> Array | None:
        line = line_at(run, position)
        if line is None or line.shape != run.wrt.shape or id(line) not in run.cotangent:
            return None
        return _through(run, position)[1] + run.cotangent[id(line)]

    return made


# ---- another value


def _other_value(search: Search) -> Iterator[Found]:
    """A product in whose gradient the value of another line stands for the factor."""
    run = search.runs[0]
    values = [i for i, line in enumerate(run.tape) if line.size > 1][:VALUES]
    for step in run.steps:
        row = step.line.primitive.name if step.line.primitive else ""
        if row not in ("mul", "contract") or len(step.line.operands) != 2:
            continue
        position = run.position(step.line)
        for k, *_ in step.contributions:
            for value in values:
                change = _changed(run, position, k, value)
                if change is None or not search.probes.exact(search.probes.base, *change, np.ones(1)):
                    continue
                words = f"in the gradient of {said(run, position)} "
                words += f"the value of {said(run, value)} stands for the factor"

                def made(other: Run, at: tuple[int, int, int] = (position, k, value)) -> Array | None:
                    return moved(other, _changed(other, *at))

                yield Found(OTHER, words, position, made)


def moved(run: Run, change: tuple[Tensor, Array] | None) -> Array | None:
    return None if change is None else run.gradient + run.partial(*change)


def _changed(run: Run, position: int, k: int, value: int) -> tuple[Tensor, Array] | None:
    """(line, by how much its cotangent changes) with the value of another line for the factor of a product."""
    line, other = line_at(run, position), line_at(run, value)
    if line is None or other is None or len(line.operands) != 2:
        return None
    factor, moves = unmoved(line.operands[1 - k])
    if other.shape == line.operands[1 - k].shape and other is not line.operands[1 - k]:
        return with_factor(run, line, k, other.value)
    if other.shape != factor.shape or other is factor:
        return None
    return with_factor(run, line, k, carried(other.value, moves))


def with_factor(run: Run, line: Tensor, k: int, factor: Array) -> tuple[Tensor, Array] | None:
    if np.shape(factor) != line.operands[1 - k].shape or id(line) not in run.cotangent:
        return None
    g, site = run.cotangent[id(line)], run.site(line, k)
    made = g * factor if site.row == "mul" else Contraction(site).product(g, factor)
    return (line.operands[k], made - site.right(g)) if np.shape(made) == line.operands[k].shape else None


# ---- a factor too many


_FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "divided by the value": lambda v: 1 / v,
    "multiplied by the value": lambda v: v,
    "divided by the square of the value": lambda v: 1 / v**2,
    "multiplied by the square of the value": lambda v: v**2,
    "divided by 1 minus the value": lambda v: 1 / (1 - v),
    "multiplied by 1 minus the value": lambda v: 1 - v,
    "cut off where the value is below 0, by the value": lambda v: v > 0,
    "cut off where the value is above 0, by the value": lambda v: v < 0,
}


def _times(search: Search) -> Iterator[Found]:
    """One of several paths, or all of it, multiplied or divided by the value of a line: a factor too many, or one
    forgotten."""
    run, claimed = search.runs[0], search.claimed[0].reshape(search.runs[0].gradient.shape)
    values = [(i, v) for i, x in enumerate(run.tape) if (v := _beside(run, i)) is not None and not x.constant][:VALUES]
    for position, readers in [*meetings(run), (None, ["all of it"])]:
        parts = contributions(run, position) if position is not None else [run.gradient]
        for k, (value, v), words in product(range(len(readers)), values, _FUNCTIONS):
            off = parts[k] * (_FUNCTIONS[words](v) - 1)
            if not _near(search, run.gradient + off, claimed):
                continue
            of = f"{words} of {said(run, value)}"
            says = f"all of the gradient is {of}" if position is None else f"the path through {readers[k]} is {of}"
            at = (position, k, value, words)
            name = TIMES if position is None else PATH
            yield Found(name, says, value if position is None else position, partial(_multiplied, at))


def _near(search: Search, made: Array, claimed: Array) -> bool:
    return equal_to(search, made) if np.isfinite(made).all() and np.shape(made) == np.shape(claimed) else False


def _multiplied(at: tuple[int | None, int, int, str], run: Run) -> Array | None:
    position, k, value, words = at
    v = _beside(run, value)
    parts = [run.gradient] if position is None else contributions(run, position)
    if v is None or len(parts) <= k or (position is not None and len(parts) == k + 1):
        return None
    with np.errstate(all="ignore"):
        return run.gradient + parts[k] * (_FUNCTIONS[words](v) - 1)


def _beside(run: Run, value: int) -> Array | None:
    """The value of a line as it goes with the gradient: of its shape, with axes of 1, or one for each example."""
    line, shape = line_at(run, value), run.wrt.shape
    if line is None or line.size < 2 or line is run.loss:
        return None
    if line.ndim == len(shape) and all(n in (1, m) for n, m in zip(line.shape, shape, strict=True)):
        return line.value
    if line.ndim == 1 < len(shape) and line.size == shape[0]:
        return line.value.reshape(-1, *(1,) * (len(shape) - 1))
    return None
