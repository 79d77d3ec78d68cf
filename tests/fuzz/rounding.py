"""How far two executions of the same operations may differ: the lines of the tape run again with every rounding moved.

Each line of a recorded program (its gradient's lines among them) is computed again, several times, from the moved
operands, and its result is moved up or down by a half to a whole of what its rounding may be:

    movements of data, comparisons, maxima        not at all: they are exact
    + - * / and square roots                      1 eps of the result
    exp, tanh, erf, powers ...                    4 eps of the result (what libraries promise)
    sums and contractions of n terms              n eps of the sum of magnitudes: their order is free
    lines of constants alone                      not at all: an exponent 2 - 1 is 1

What the runs spread over is what rounding can do to this program on these numbers, kinks and cancellations included;
an executor may be at four times that distance.  Four runs tell nearly always; whoever seems to differ is judged by
``MANY`` (a cancellation that decides a maximum falls to one side in all of four runs once in eight times), of which
each leaves some lines as they are (where a variance is exactly 0 or not decides all that follows).  Where the
runs differ in kind (finite, inf, -inf, nan), rounding decides the kind, and any is right; everywhere else the kind must
be exactly eager's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import autoconv as ac

SUMS = {"sum", "sum_to", "contract", "overlap_add", "scatter_add"}
EXACT = {"identity", "stop_gradient", "reshape", "permute_dims", "flip", "broadcast_to", "pad", "crop", "index"}
EXACT |= {"scatter", "take", "windows", "concat", "neg", "abs", "sign", "order", "where", "maximum", "minimum"}
EXACT |= {"greater", "less", "greater_equal", "less_equal", "equal", "not_equal"}
ONE_ROUNDING = {"add", "sub", "mul", "div", "sqrt", "cast"}
FEW, MANY, DISTANCE = 4, 64, 4
# of the lines of each run beyond the few: a mean of equal numbers may be exact, and the next one not
UNMOVED = 0.0, 0.5, 0.75, 0.9


def spread(results: Sequence[Any], count: int = FEW) -> list[list[np.ndarray]]:
    """For each result, its values in ``count`` runs with moved roundings; plain arrays stay as they are."""
    lines = [y for y in results if isinstance(y, ac.Tensor)]
    tape = list(ac.Tape(*lines)) if lines else []
    runs: list[list[np.ndarray]] = []
    for run in range(count):
        rng = np.random.default_rng(run)
        known: dict[ac.Tensor, np.ndarray] = {}
        moving: set[ac.Tensor] = set()  # what an input leads to, also where it has no gradient (tanh of a whole part)
        for line in tape:
            if line.primitive is None:
                known[line] = line.value
                moving |= set() if line.constant else {line}
                continue
            if not moving.isdisjoint(line.operands):
                moving.add(line)
            operands = [known.get(x, x.value) for x in line.operands]
            y = np.asarray(line.primitive.forward(*operands, **line.params))
            known[line] = move(line.primitive.name, line.params, y, operands, line, rng, run) if line in moving else y
        runs.append([np.asarray(known[y]) if isinstance(y, ac.Tensor) else np.asarray(y) for y in results])
    return [list(values) for values in zip(*runs, strict=True)]


def move(
    name: str, params: Mapping[str, Any], y: np.ndarray, operands: list[Any], line: ac.Tensor, rng: Any, run: int
) -> np.ndarray:
    """``y`` with its rounding moved."""
    if name in EXACT or y.dtype.kind != "f" or (run >= FEW and rng.random() < UNMOVED[run % 4]):
        return y
    info = np.finfo(y.dtype)
    random = rng.choice([-1.0, 1.0], y.shape) * rng.uniform(0.5, 1, y.shape)
    if name not in SUMS:
        eps = info.eps * (1 if name in ONE_ROUNDING else 4)
        wide = y.astype(np.float64)
        # a logarithm of a sum may be near 0 by cancellation, with the rounding of its operands
        size = np.abs(wide) if name != "logaddexp" else np.maximum(np.abs(operands[0]), np.abs(operands[1]))
        moved = wide + random * (eps * size + float(info.smallest_subnormal) * (wide != 0))
        moved = np.clip(moved, -float(info.max), float(info.max)).astype(y.dtype)
        return np.where(np.isfinite(y), moved, y)
    forward = line.primitive.forward  # type: ignore[union-attr]
    numbers = [isinstance(x, np.ndarray) and x.dtype.kind == "f" for x in operands]
    terms = forward(*[np.ones_like(x) if k else x for x, k in zip(operands, numbers, strict=True)], **params)
    finite = [np.where(np.isfinite(x), x, 0) if k else x for x, k in zip(operands, numbers, strict=True)]
    wide = [x.astype(np.float64) if k else x for x, k in zip(finite, numbers, strict=True)]
    sizes = [np.abs(x) if k else x for x, k in zip(wide, numbers, strict=True)]
    size = np.asarray(forward(*sizes, **params), np.float64)
    terms = np.asarray(terms, np.float64)
    roundings = np.maximum(terms - 1, 0) + (name == "contract")
    moved = y.astype(np.float64) + random * roundings * info.eps * size
    moved = np.where(np.isfinite(y), np.clip(moved, -float(info.max), float(info.max)), y).astype(y.dtype)
    # terms that cancel but for their rounding: an order that loses the small ones leaves nothing at all, one that adds
    # them last leaves just those
    cancelled = (roundings * info.eps * size > np.abs(moved)) & np.isfinite(y)
    if cancelled.any():
        small = [small_ones(x, info.eps) if k else x for x, k in zip(wide, numbers, strict=True)]
        small[1:] = wide[1:] if rng.random() < 0.5 else small[1:]
        left = np.asarray(forward(*small, **params)).astype(y.dtype) if rng.random() < 0.5 else y.dtype.type(0)
        moved = np.where(cancelled & (rng.random(y.shape) < 0.25), left, moved)
    # a sum that is 0 has the sign that its order gives it, or that of the 0 it began with: then all have the same
    signed = np.abs(moved) if run % 4 == 1 else np.where(rng.random(y.shape) < 0.5, -moved, moved)
    moved = np.where((moved == 0) & (terms > 0), signed, moved)
    # partial sums that may overflow in one order and not in another
    open_ = (size > float(info.max)) & (terms > 1)
    kinds = np.array([np.nan, np.inf, -np.inf, 0], y.dtype)
    if run < FEW:
        return np.where(open_, kinds[run], moved)
    # one of them may overflow where another does not: a maximum of both is then decided by the order of either
    other = kinds[rng.integers(4, size=y.shape)]
    return np.where(open_ & (rng.random(y.shape) < 0.75), other, moved)


def small_ones(x: np.ndarray, eps: float) -> np.ndarray:
    """Those of x that are lost beside its largest, 0 for the others."""
    size = np.abs(x)
    return np.where(size < eps * size.max(initial=0), x, 0)


def differs(y: Any, expected: Any, runs: Sequence[np.ndarray], scale: float = 1.0, more: Any = 0.0) -> str:
    """How ``y`` differs from ``expected`` by more than rounding (and ``more``); "" if it does not."""
    y, expected = np.asarray(y), np.asarray(expected)
    if y.shape != expected.shape:
        return f"shape {y.shape}, expected {expected.shape}"
    if y.dtype != expected.dtype:
        return f"dtype {y.dtype}, expected {expected.dtype}"
    if expected.dtype.kind != "f":
        same = y == expected
        for other in runs:
            same |= other != expected
        return "" if same.all() else f"{y.tolist()}, expected {expected.tolist()}"
    info = np.finfo(expected.dtype)
    kinds = [kind(x) for x in runs]
    sure = np.ones(expected.shape, bool)
    for k in kinds:
        sure &= k == kind(expected)
    wrong = sure & (kind(y) != kind(expected))
    exact = expected.astype(np.float64)
    with np.errstate(all="ignore"):
        noise = np.max([np.abs(x.astype(np.float64) - exact) for x in runs], axis=0)
        allowed = scale * (DISTANCE * noise + 4 * float(info.eps) * np.abs(exact)) + 4 * float(info.smallest_subnormal)
        allowed = allowed + more
        wrong |= sure & np.isfinite(expected) & (np.abs(y.astype(np.float64) - exact) > allowed)
    if not wrong.any():
        return ""
    at = tuple(int(i) for i in np.argwhere(wrong)[0])
    return f"{y[at]!s} at {at}, expected {expected[at]!s} within {allowed[at]:.2g} ({wrong.sum()} of {wrong.size})"


def kind(x: np.ndarray) -> np.ndarray:
    """0 finite, 1 inf, -1 -inf, 2 nan."""
    return np.where(np.isnan(x), 2, np.where(np.isinf(x), np.sign(x), 0))
