"""What is accepted, with the reason; and what fails and is not mended yet.

A REASON is for ever: it says why two right executions differ.  A KNOWN failure is a debt: whoever mends it has to
remove its line, because the test fails as well when it does not fail any more.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

import autoconv as ac

from .oracles import Eager, Mismatch, directions, of_wrt, starting
from .rounding import SUMS
from .shrink import shrink


def beyond_halfway(mismatch: Mismatch) -> bool:
    """A number in the calculation is so large or small that its square leaves the range of its dtype."""
    with np.errstate(all="ignore"):
        eager = Eager(mismatch.program)
        for x in [*eager.arguments, *eager.values, *[line.value for line in eager.tape]]:
            if x.dtype.kind == "f" and x.size:
                size, info = np.abs(x.astype(np.float64)), np.finfo(x.dtype)
                size = size[np.isfinite(size) & (size != 0)]
                if (size > float(info.max) ** 0.5 / 16).any() or (size < float(info.smallest_normal) ** 0.5 * 16).any():
                    return True
    return False


def padded(mismatch: Mismatch) -> bool:
    """Something is padded, and eager multiplies the padding's zeros by an infinity or NaN."""
    source = mismatch.program.source()
    if not any(word in source for word in ("conv", "pad", "pool", "windows")):
        return False
    with np.errstate(all="ignore"):
        eager = Eager(mismatch.program)
        values = [*eager.values, *[line.value for line in eager.tape]]
    return any(np.isnan(x).any() for x in values if x.dtype.kind == "f")


def unread(mismatch: Mismatch) -> bool:
    """An element has no reader on the scalars, and eager multiplies its cotangent 0 by an infinity."""
    with np.errstate(all="ignore"):
        tape = Eager(mismatch.program).tape
        empty = any(0 in line.shape for line in tape)  # a sum over none of it
        return "expected nan" in mismatch.says and (empty or any(leaves_out(line) for line in tape))


def leaves_out(line: ac.Tensor) -> bool:
    """Whether some element of a line's operand is in none of its own: of ``x[0]`` all others."""
    if line.primitive is None or line.primitive.name not in ("index", "take", "crop", "windows"):
        return False
    x, *places = [operand.value for operand in line.operands]
    kept = line.primitive.forward(np.arange(x.size).reshape(x.shape), *places, **line.params)
    return len(np.unique(kept)) < x.size


def fused(mismatch: Mismatch) -> bool:
    """A contraction whose products leave the range: eager has an infinity (or NaN), the machine a finite sum."""
    with np.errstate(all="ignore"):
        tape = Eager(mismatch.program).tape
    beyond = [x for x in tape if x.primitive is not None and x.primitive.name == "contract"]
    return any(not np.isfinite(x.value).all() for x in beyond) and beyond_halfway(mismatch)


def flushed(mismatch: Mismatch) -> bool:
    """ac.compile was asked for XLA, and a number in the calculation, or in that of its slopes, is below the normal
    numbers of its dtype."""
    if os.environ.get("AUTOCONV_BACKEND") != "xla":
        return False
    with np.errstate(all="ignore"):
        eager = Eager(mismatch.program)
        for x in [*eager.arguments, *eager.values, *[line.value for line in eager.tape]]:
            if x.dtype.kind == "f" and ((x != 0) & (np.abs(x) < np.finfo(x.dtype).smallest_normal)).any():
                return True
    return False


def of_a_zero_sum(mismatch: Mismatch) -> bool:
    """An infinity of the other sign, where a sum of products or windows is 0."""
    found, _, expected = mismatch.says.partition(" at ")
    turned = (
        found.endswith((" inf", " -inf")) and "expected " + ("-inf" if found.endswith(" inf") else "inf") in expected
    )
    with np.errstate(all="ignore"):
        tape = Eager(mismatch.program).tape if turned else []
    sums = [x for x in tape if x.primitive is not None and x.primitive.name in SUMS]
    return any((x.value == 0).any() for x in sums)


def tied(mismatch: Mismatch) -> bool:
    """Two numbers that are compared are equal: the function has a kink there, and the slope is a convention."""
    with np.errstate(all="ignore"):
        tape = Eager(mismatch.program).tape
    for line in tape:
        if line.primitive is not None and line.primitive.name == "argsort":
            order = np.sort(line.operands[0].value, axis=line.params["axis"])
            if (np.diff(order, axis=line.params["axis"]) == 0).any():
                return True
        if line.primitive is None or line.primitive.name not in ("maximum", "minimum", "abs"):
            continue
        x, y = [line.operands[0].value, 0.0 if len(line.operands) == 1 else line.operands[1].value]
        if (x == y).any():
            return True
    return False


def held_apart(mismatch: Mismatch) -> bool:
    """A number is held above one that is smaller than the step of a difference, and is itself no larger than a step."""
    with np.errstate(all="ignore"):
        tape = Eager(mismatch.program).tape
    for line in tape:
        if line.primitive is None or line.primitive.name != "maximum":
            continue
        for x, bound in (line.operands, line.operands[::-1]):
            small = (bound.value > 0) & (bound.value < 1e-5) & (np.abs(x.value) < 1e-3)
            if bound.constant and not x.constant and small.any():
                return True
    return False


def power_of_nothing(mismatch: Mismatch) -> bool:
    """A power has a base of 0."""
    with np.errstate(all="ignore"):
        tape = Eager(mismatch.program).tape
    powers = [line for line in tape if line.primitive is not None and line.primitive.name == "power"]
    return any((line.operands[0].value == 0).any() for line in powers)


def tangents(eager: Eager, v: list[np.ndarray]) -> list[tuple[int, np.ndarray]]:
    """(place, tangent along v) of each line that is computed from ``wrt``."""
    x = starting(eager)
    lines = [(k, y) for k, y in enumerate(ac.Tape(of_wrt(eager)(*map(ac.tensor, x)))) if y.primitive is not None]
    moving = [k for k, y in lines if y.dtype.kind == "f" and not y.constant]
    one = len(x) == 1
    of = lambda k: lambda *moved: list(ac.Tape(of_wrt(eager)(*moved)))[k]
    return [(k, np.asarray(ac.jvp(of(k), x[0] if one else x, v[0] if one else tuple(v))[1])) for k in moving]


def endless(mismatch: Mismatch) -> bool:
    """A tangent on the way is infinite or NaN, though the result and its gradient are finite."""
    with np.errstate(all="ignore"):
        eager = Eager(mismatch.program)
        return not all(np.isfinite(t).all() for _, t in tangents(eager, directions(eager, 1)))


def unmoved(mismatch: Mismatch) -> bool:
    """A number on the way has a tangent, and a step of a difference along it is less than its rounding."""
    with np.errstate(all="ignore"):
        eager = Eager(mismatch.program)
        v = directions(eager, 2)
        lines = list(ac.Tape(of_wrt(eager)(*map(ac.tensor, starting(eager)))))
        steps = [(np.abs(lines[k].value), np.abs(t) * 1e-5) for k, t in tangents(eager, v)]
    return any(((step > 0) & (step < np.finfo(float).eps * value)).any() for value, step in steps)


# oracle, when, why both are right
REASONS: list[tuple[str, Callable[[Mismatch], bool], str]] = [
    (
        "scalars",
        beyond_halfway,
        "a scalar keeps its local derivative as a number: g * b * x^(b - 1) is then g * (b * x^(b - 1)), and of three "
        "factors two may overflow or underflow in one order and not in the other",
    ),
    (
        "machine",
        fused,
        "a contraction adds up products that are not rounded first (fused multiply-add, as in BLAS), in an order of "
        "its own: a product or partial sum beyond the largest number may be met by a term of the other sign",
    ),
    (
        "machine",
        flushed,
        "XLA's processors have 0 for every number below the normal ones (flush to zero), NumPy has subnormal numbers",
    ),
    (
        "differences",
        beyond_halfway,
        "a number so small or large that a function of it changes by all its size within the step of a difference: 1/x "
        "at 1e-154",
    ),
    (
        "differences",
        tied,
        "at a tie the slope is a convention (half to each, or all to the first), which no difference of values shows: "
        "max(min(x, 0), min(y, 0)) at 0 is constant along (1, -1), and its gradient (1/2, 0) is not",
    ),
    (
        "differences",
        unmoved,
        "a number is rounded by more than the step of a difference moves it: the probability 1 - 1e-14, whose "
        "logarithm of the rest has a slope of its own",
    ),
    (
        "differences",
        held_apart,
        "a length of 0 is held above 1e-8, as a cosine is where an operand is 0: the slope there holds within 1e-8, "
        "and a difference takes longer steps",
    ),
    (
        "jvp",
        endless,
        "a slope on the way is infinite, and a later one is 0: forward the tangent is inf * 0 = nan, backward the "
        "cotangent 0 never asks for the infinite slope (x ** 0.5 ** 0.0 at 0)",
    ),
    (
        "hessian",
        beyond_halfway,
        "a number so small or large that its curvature (1/x for a length x) leaves the range in one direction",
    ),
    (
        "hessian",
        power_of_nothing,
        "0 ** b has no mixed derivative: that of b a^(b - 1) in b is -inf at a = 0, and what is chosen at 0 is finite",
    ),
    (
        "scalars",
        of_a_zero_sum,
        "a sum of one product is that product as a scalar, which may be -0.0, where eager adds it to 0: an infinity "
        "that comes of it has the other sign",
    ),
    (
        "scalars",
        padded,
        "padding is no scalar: products with its zeros are left out of the expansion, where eager has 0 * inf = nan",
    ),
    (
        "scalars",
        unread,
        "an element that no result reads has no path on scalars, where eager (as PyTorch) has a cotangent 0 times inf",
    ),
]

# (seed, edition, oracle): the kind of fault.  "machine" is only asked where the native machine is built.
KNOWN: dict[tuple[int, int, str], str] = {}

# (seed, edition) beyond the first 300 that once found a fault
FOUND: tuple[tuple[int, int], ...] = (
    *((476, 1), (665, 1), (864, 1), (1000399, 1)),
    *((442412367902, 2), (68832962883, 2), (1088034738663, 2), (718999968854, 2)),
    *((512104568213, 2), (269275508338, 2), (698497560641, 2), (135420282217, 2)),
    *((264978626096, 2), (694817360055, 2)),
)


def accepted(mismatch: Mismatch) -> str:
    """The reason for which this mismatch is accepted; "" if there is none.

    A reason has to hold for the smallest form of the mismatch too: what else stood in the program is no excuse.
    """
    return reason(shrink(mismatch, 4.0)) if reason(mismatch) else ""


def reason(mismatch: Mismatch) -> str:
    return next((why for oracle, when, why in REASONS if oracle == mismatch.oracle and when(mismatch)), "")
