"""The classic slips in one sum of products, local derivative times upstream gradient: what each would have led to."""

from __future__ import annotations

from collections.abc import Sequence
from math import isclose, isfinite
from typing import Any

# name -> the nudge
SLIPS = {
    "sign": "Check the signs: where does a minus come in, or two of them?",
    "upstream forgotten": "Something else arrives from the loss: what is each local derivative multiplied with?",
    "local derivative forgotten": "The gradient that arrives is not yet the gradient here: what does this step itself contribute?",
    "only one of the terms": "In how many places is this number used? Every use adds a term.",
    "one term missing": "Count the terms of your sum.",
    "product of sums": "Does each local derivative meet its own upstream gradient, or all of them?",
    "mean instead of sum": "Uses of one number add up; they are not averaged.",
    "signs ignored": "Do all terms count with a plus?",
    "factor": "Your number is right up to a factor: where could it be lost or used twice?",
    "decimal point": "Look at the decimal point.",
}
FACTORS = (2, 3, 4, 6, 9, 16)


def slips_of(truth: Any, local: Sequence[Any], upstream: Sequence[Any]) -> tuple[tuple[str, Any], ...]:
    """(slip, what it leads to) for the sum of local * upstream, those that lead elsewhere than to ``truth``."""
    products = [a * b for a, b in zip(local, upstream, strict=True)]
    several = len(products) > 1
    made = [("upstream forgotten", sum(local)), ("local derivative forgotten", sum(upstream))]
    if several:
        made += [("product of sums", sum(local) * sum(upstream)), ("mean instead of sum", truth / len(products))]
        made.append(("signs ignored", sum(abs(p) for p in products)))
        made += [("only one of the terms", p) for p in products[:12]]
        made += [("one term missing", truth - p) for p in products[:12]]
    found: dict[tuple[str, Any], None] = {}
    for name, x in made:
        if x and isfinite(float(x)) and not isclose(float(x), float(truth), rel_tol=0.02):
            found[name, x] = None
    return tuple(found)


def factor(ratio: float) -> str:
    """The slip that a ratio of answer to truth speaks of, or ""."""
    near = lambda x: isclose(ratio, x, rel_tol=2e-3)
    if near(-1):
        return "sign"
    if any(near(s * f) or near(s / f) for f in FACTORS for s in (1, -1)):
        return "factor"
    return "decimal point" if any(near(10.0**k) for k in (-3, -2, -1, 1, 2, 3)) else ""
