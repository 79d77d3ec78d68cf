"""Nice numbers: small whole numbers for the inputs and weights of a tape, so that a run can be worked out by hand.

Drawn by seed and mended: everything finite, no tie in a maximum, no relu exactly at 0, no dead gradient; of the runs
that pass, those whose numbers are short come first.  Constants stay; those that are long decimals (random targets)
become small whole numbers as well.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from ..scalar import FlatTape, expand
from ..scalar.blocks import CONSTANT
from ..tape import Tape, Tensor
from ..views.lines import is_number
from .run import ScalarRun, fractions, replayed, rerun

TRIES, KEPT = 40, 10
STEPS = 1500  # small changes of one number, to get rid of ties
_KINKED = {"abs", "sign", "greater", "less", "greater_equal", "less_equal"}
WORK = 30_000_000  # scalars that are calculated in all


def nice_runs(tape: Tape, names: dict[str, Any], rng: np.random.Generator) -> list[ScalarRun]:
    """Runs of ``tape`` at small whole numbers, best first; empty if none could be found."""
    runs: list[tuple[float, int, ScalarRun]] = []
    spent = 0
    for attempt in range(TRIES):
        if len(runs) == KEPT or spent > WORK:
            break
        values, steps = mended(tape, draw(tape, rng, attempt), rng)
        try:
            run = rerun(tape, values, names)
        except (ZeroDivisionError, OverflowError):
            continue
        spent += (steps + 5) * len(run.flat)
        if run.finite and not ties(run.flat, run.gradient) and alive(run):
            runs.append((ugliness(run), attempt, run))
    return [run for _, _, run in sorted(runs, key=lambda entry: entry[:2])]


def draw(tape: Tape, rng: np.random.Generator, attempt: int) -> dict[Tensor, np.ndarray]:
    """Whole numbers for the leaves: at first from -1 to 2, later up to 6; in every third try positive ones only."""
    reach = 1 + min(4, attempt // 6)
    values: dict[Tensor, np.ndarray] = {}
    for line in tape:
        if line.primitive is not None or line.dtype.kind not in "fO":
            continue
        if line.constant and (is_number(line) or _short(line)):
            continue
        low = 1 if attempt % 3 == 2 and not line.constant else -reach
        drawn = rng.integers(low, reach + 2, line.shape)
        rare = rng.random(line.shape) < 0.8  # few zeros: they teach little
        values[line] = np.asarray(np.where((drawn == 0) & rare, rng.integers(1, reach + 2, line.shape), drawn))
    return values


def mended(
    tape: Tape, values: dict[Tensor, np.ndarray], rng: np.random.Generator
) -> tuple[dict[Tensor, np.ndarray], int]:
    """``values`` with single numbers changed by one until no tie is left or the steps are used up; and the steps."""
    lines = replayed(tape, values)
    for line in values:  # data as well
        lines[id(line)].constant = False
    flat = expand(lines[id(tape.outputs[0])])
    numbers = flat.value[flat.inputs].copy()
    place = {int(i): k for k, i in enumerate(flat.inputs)}
    tied = ties(flat, flat.sweep())
    steps = 0
    while tied and steps < STEPS:
        steps += 1
        i = tied[int(rng.integers(len(tied)))]
        while flat.start[i] < flat.start[i + 1]:  # some input that it depends on
            i = int(rng.choice(flat.operands[flat.start[i] : flat.start[i + 1]]))
        if i not in place:
            continue
        tried = numbers.copy()
        tried[place[i]] += rng.choice([-1, 1])
        other = flat.run(tried)
        left = ties(other, other.sweep())
        if len(left) <= len(tied):
            flat, numbers, tied = other, tried, left
    free = {id(lines[id(x)]): x for x in values}
    for block in flat.blocks:
        if id(block.line) in free and not block.operation.arity and block.first in place:
            here = slice(place[block.first], place[block.first] + block.count)
            x = free[id(block.line)]
            values[x] = np.rint(numbers[here]).astype(int).reshape(x.shape)
    return values, steps


def _short(line: Tensor) -> bool:
    """Whether a constant has only numbers that one can calculate with by hand: it stays as it is."""
    exact = fractions(line.value)
    return exact is not None and all(f.denominator <= 10 and abs(f) <= 20 for f in exact.ravel())


def ties(flat: FlatTape, gradient: np.ndarray) -> list[int]:
    """Where a maximum has equal operands, or |.| is at 0: there a slope would be a matter of convention.

    Two losers of a window may be equal: no gradient comes there.
    """
    tied: list[int] = []
    constant = np.zeros(len(flat), bool)
    for block in flat.blocks:
        last = np.arange(block.first, block.first + block.count)
        constant[last] = block.operation is CONSTANT
        if block.opened and block.last and len(block.opened.operands) == 2:
            a, b = (np.ravel(names) for names in block.opened.operands)
            matters = constant[a] | constant[b] | (gradient[last] != 0)
            tied += last[(flat.value[a] == flat.value[b]) & (a != b) & matters].tolist()
        elif not block.opened and block.operation.name in _KINKED:
            low, high = flat.start[block.first], flat.start[block.first + block.count]
            read = [flat.operands[low + k : high : block.operation.arity] for k in range(block.operation.arity)]
            other = flat.value[read[1]] if len(read) == 2 else 0
            tied += last[flat.value[read[0]] == other].tolist()
    return tied


def alive(run: ScalarRun) -> bool:
    """Whether each input and weight has a gradient somewhere, and the loss is not 0."""
    if not run.loss.value.any():
        return False
    return all(np.any(run.gradient[run.flat.scalars(x)] != 0) for x in run.tape.inputs if x.size)


def ugliness(run: ScalarRun) -> float:
    """How long the numbers are: digits of numerators, denominators twice; zeros among the gradients count as well."""
    if not run.exact:
        return float(np.mean(np.abs(np.log10(np.abs(run.gradient[run.gradient != 0].astype(float))))))
    values = [v for v in [*run.flat.value, *run.gradient] if v]
    digits = sum(_digits(v) for v in values) / max(1, len(values))
    dead = np.mean([float(np.mean(run.gradient[run.flat.scalars(x)] == 0)) for x in run.tape.inputs if x.size])
    return digits + 2 * float(dead) + sum(dull(x.value) for x in run.tape.inputs) / max(1, len(run.tape.inputs))


def dull(array: np.ndarray) -> float:
    """How little a small array shows: equal numbers, or the same after turning it by 180 degrees."""
    if array.size < 2:
        return 0.0
    same = 1 - len(np.unique(array)) / min(array.size, 6)
    return 2 * max(0.0, same) + float(np.array_equal(array, np.flip(array)))


def _digits(v: Any) -> float:
    f = Fraction(v)
    return len(str(abs(f.numerator))) + 2 * (len(str(f.denominator)) if f.denominator > 1 else 0)
