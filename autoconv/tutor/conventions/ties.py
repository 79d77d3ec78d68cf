"""Ties: two competitors are equal, or |.| meets zero.  The slope there is a choice, so every choice is right.

A tournament of maxima is followed cell by cell, for what counts are the different cells: a window at a border may hold
one cell twice, which is no tie, and three equal cells share evenly only if each gets a third.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...backward import pull
from ...tape import Tape, Tensor
from ..claim.compare import Tolerance, equal
from ..run.replay import Rules, Run

LARGE = 300_000  # elements on a tape beyond which only the named conventions are tried
CHOICES = 80  # random ways to break all ties that are tried for a claim that breaks each in its own way

Weights = Callable[[Tensor], "tuple[Any, Any]"]  # the shares of the left and right operand at a tie


def tied(run: Run, places: np.ndarray) -> bool:
    """Whether something is tied in this run and another choice there would change the gradient."""
    gradient = run.gradient.ravel()[places]
    return any(not np.array_equal(run.with_rules(rules).ravel()[places], gradient) for _, rules in tie_rules(run))


def tie_rules(run: Run) -> Iterator[tuple[str, Rules]]:
    """Sweeps that break ties otherwise, by the convention's name: weights >= 0 that sum to 1 over equal cells.

    A unit that is cut off at a constant (relu at 0) has a choice of its own, beside that of competing cells.
    """
    tied = _competition(run)
    if not tied:
        return
    lines = {id(line): line for line in Tape(run.loss) if id(line) in tied}
    kinks = {i: _at_constant(line) for i, line in lines.items()}
    ways: list[tuple[str, float | None]] = [("", None)]
    if any(kinks.values()):
        ways += [(", nothing for a unit cut off at its kink", 0.0), (", everything for a unit at its kink", 1.0)]
    for kink, share in ways:
        for name, weights in [("evenly among all winners", None), *_CONVENTIONS.items()]:

            def chosen(line: Tensor, weights: Any = weights, share: Any = share) -> tuple[Any, Any]:
                if share is not None and kinks[id(line)]:
                    return (share, share)
                return tied[id(line)][1:] if weights is None else weights

            yield f"{name}{kink}", broken(tied, chosen)


def _at_constant(line: Tensor) -> bool:
    """Whether a maximum is one with a constant, as relu's with 0."""
    return line.primitive is not None and line.primitive.ties and any(x.constant for x in line.operands)


_CONVENTIONS = {
    "an even split at every comparison": (0.5, 0.5),
    "all to the first": (1.0, 0.0),
    "all to the last": (0.0, 1.0),
}


def all_to_each(run: Run) -> Rules | None:
    """The sweep in which every tied competitor receives everything, or None without ties: no subgradient."""
    tied = _competition(run)
    return broken(tied, lambda line: (1.0, 1.0)) if tied else None


def tied_otherwise(run: Run, claimed: np.ndarray, places: np.ndarray, tolerance: Tolerance) -> str:
    """The convention at ties that gives ``claimed``, or ""."""
    for convention, rules in tie_rules(run):
        if equal(claimed, run.with_rules(rules).ravel()[places], tolerance):
            return convention
    return "each in its own way" if _mixed(run, claimed, places, tolerance) else ""


def _mixed(run: Run, claimed: np.ndarray, places: np.ndarray, tolerance: Tolerance) -> bool:
    """Whether ``claimed`` is a gradient that breaks each tie in its own way."""
    ties = _competition(run)
    if places.size < 2 and sum(int(np.sum(mask)) for mask, _, _ in ties.values()) != 1:
        return False  # one number between the extremes of many choices says nothing
    chosen = lambda gradient: gradient.ravel()[places]
    return mixture(
        run,
        claimed,
        chosen(run.gradient),
        lambda rules: chosen(run.with_rules(rules)),
        tolerance,
        places.size if places.size > 1 else None,
    )


def mixture(
    run: Run,
    claimed: np.ndarray,
    start: np.ndarray,
    swept: Callable[[Rules], np.ndarray],
    tolerance: Tolerance,
    size: int | None = None,
) -> bool:
    """Whether ``claimed`` is a mixture of gradients (``swept`` by other rules, ``start`` by this library's) that break
    ties in their own ways.

    The gradients of random ways span what choices can reach; that says something only if it is less than all arrays of
    ``size`` elements (None: it is asked all the same).
    """
    tied = _competition(run)
    if not tied or sum(line.size for line in run.tape) > LARGE:
        return False
    rng = np.random.default_rng(0)
    rows, idle = list[np.ndarray](), 0
    while len(rows) < CHOICES and idle < 12:
        chosen = {i: rng.integers(0, 2, mask.shape).astype(float) for i, (mask, _, _) in tied.items()}
        rows.append(swept(broken(tied, lambda line, c=chosen: (c[id(line)], 1 - c[id(line)]))) - start)  # type: ignore[misc]
        rank = np.linalg.matrix_rank(np.array(rows))
        idle = 0 if rank == len(rows) else idle + 1
        if size is not None and rank >= min(size, CHOICES - 1):
            return False
    moves = np.array(rows)
    wanted = claimed - start
    weights = np.linalg.lstsq(moves.T, wanted, rcond=None)[0]
    low, high = np.minimum(moves.min(axis=0), 0), np.maximum(moves.max(axis=0), 0)
    slack = 1e-6 * float(np.abs(start).max() + np.abs(moves).max())
    inside = bool((wanted >= low - slack).all() and (wanted <= high + slack).all())
    return inside and equal(start + weights @ moves, claimed, tolerance)


def _competition(run: Run) -> dict[int, tuple[Any, Any, Any]]:
    """By id of a tied line: where it is tied, and the shares of left and right if all winners get the same.

    Every element carries the number of the cell it came from and how many equal cells it has beaten.
    """
    if run.tied is not None:
        return run.tied
    ties: dict[int, tuple[Any, Any, Any]] = {}
    if any(_equal_somewhere(line) for line in Tape(run.loss)):
        cells: dict[int, Any] = {}
        counts: dict[int, Any] = {}
        total = 1.0
        for line in Tape(run.loss):
            name = line.primitive.name if line.primitive else ""
            cells[id(line)], counts[id(line)] = np.arange(total, total + line.size).reshape(line.shape), None
            total += line.size
            if name == "abs" and np.any(line.operands[0].value == 0):
                ties[id(line)] = (line.operands[0].value == 0, 0.5, 0.5)
            elif line.primitive is not None and line.primitive.group == "wiring" and not line.primitive.adds:
                cells[id(line)] = _moved(line, [cells[id(x)] for x in line.operands])
                beaten = [counts[id(x)] for x in line.operands]
                if any(c is not None for c in beaten):
                    full = [np.ones(x.shape) if c is None else c for c, x in zip(beaten, line.operands, strict=True)]
                    counts[id(line)] = _moved(line, full)
            elif line.primitive is not None and line.primitive.ties:
                left, right = line.operands
                a, b = (1.0 if counts[id(x)] is None else counts[id(x)] for x in (left, right))
                same = left.value == right.value
                tied = same & (cells[id(left)] != cells[id(right)])
                first = (left.value > right.value) if name == "maximum" else (left.value < right.value)
                cells[id(line)] = np.where(first | same, cells[id(left)], cells[id(right)])
                counts[id(line)] = np.where(tied, a + b, np.where(first | same, a, b))
                if tied.any():
                    ties[id(line)] = (tied, a / (a + b), b / (a + b))
    run.tied = ties
    return ties


def _equal_somewhere(line: Tensor) -> bool:
    name = line.primitive.name if line.primitive else ""
    if line.primitive is not None and line.primitive.ties:
        return bool(np.any(line.operands[0].value == line.operands[1].value))
    return name == "abs" and bool(np.any(line.operands[0].value == 0))


def _moved(line: Tensor, values: list[Any]) -> Any:
    """A wiring line applied to numbers that go with the elements; operands of whole numbers (indices) stay."""
    assert line.primitive is not None
    operands = [x.value if x.value.dtype.kind in "biu" else v for x, v in zip(line.operands, values, strict=True)]
    return np.asarray(line.primitive.forward(*operands, **line.params), dtype=float)


def broken(tied: dict[int, tuple[Any, Any, Any]], weights: Weights) -> Rules:
    """The rules of a sweep that breaks the ties by ``weights``."""

    def rules(line: Tensor, g: Any, wanted: tuple[int, ...], recorded: bool) -> list[Any]:
        contributions = pull(line, g, wanted, recorded)
        if id(line) not in tied or line.primitive is None:
            return contributions
        at, shares = tied[id(line)][0], weights(line)
        if line.primitive.name == "abs":
            return [np.where(at, g * (shares[0] - shares[1]), x) for x in contributions]
        return [np.where(at, g * shares[k], x) for k, x in zip(wanted, contributions, strict=True)]

    return rules
