"""Slips on paper: what mistakes of the bank lead to in one sum of products that somebody works out by hand.

    x_bar = sum_k local_k * upstream_k          with a local derivative and an upstream gradient for each use k of x

A slip on paper is the mistake of a sweep, under the same name; its nudge speaks of the sum, which the reader has before
them. Three slips happen on paper alone, where a sweep has nothing to get wrong: signs ignored, a constant factor, the
decimal point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import isclose, isfinite
from typing import Any, NamedTuple

from .mistake import BANK, Mistake

FACTOR = "a constant factor"
FACTORS = (2, 3, 4, 6, 9, 16)  # and their inverses: what numbers are multiplied with by mistake
SHOWN = 12  # terms of a sum of which each alone, or all but each, is tried


class Terms(NamedTuple):
    """The sum of products on paper, term by term, and what it comes to."""

    total: Any
    local: Sequence[Any]
    upstream: Sequence[Any]

    @property
    def products(self) -> list[Any]:
        return [a * b for a, b in zip(self.local, self.upstream, strict=True)]


class Slip(NamedTuple):
    """A slip: its name, a nudge, and the wrong results it may lead to (none: it is told from a ratio)."""

    name: str
    nudge: str
    leads_to: Callable[[Terms], Iterable[Any]] = lambda terms: ()


SLIPS: dict[str, Slip] = {}


def on_paper(mistake: Mistake | str, nudge: str) -> Callable[[Any], Any]:
    """Enter a slip: the decorated function gives the results it may lead to; its name is that of the bank's mistake."""
    name = mistake if isinstance(mistake, str) else mistake.name

    def enter(leads_to: Callable[[Terms], Iterable[Any]]) -> Any:
        SLIPS[name] = Slip(name, nudge, leads_to)
        return leads_to

    return enter


@on_paper(
    BANK["upstream gradient forgotten"],
    "Something else arrives from the loss: what is each local derivative multiplied with?",
)
def _upstream(terms: Terms) -> Iterable[Any]:
    return [sum(terms.local)]


@on_paper(
    BANK["local derivative forgotten"],
    "The gradient that arrives is not yet the gradient here: what does this step itself contribute?",
)
def _local(terms: Terms) -> Iterable[Any]:
    return [sum(terms.upstream)]


@on_paper(BANK["product of sums"], "Does each local derivative meet its own upstream gradient, or all of them?")
def _product_of_sums(terms: Terms) -> Iterable[Any]:
    return [sum(terms.local) * sum(terms.upstream)]


@on_paper(BANK["mean instead of sum"], "Uses of one number add up; they are not averaged.")
def _mean(terms: Terms) -> Iterable[Any]:
    return [terms.total / len(terms.local)] if terms.local else []


@on_paper("signs ignored", "Do all terms count with a plus?")
def _signs_ignored(terms: Terms) -> Iterable[Any]:
    return [sum(abs(product) for product in terms.products)] if len(terms.local) > 1 else []


@on_paper(BANK["only one of several paths"], "In how many places is this number used? Every use adds a term.")
def _one_path(terms: Terms) -> Iterable[Any]:
    return terms.products[:SHOWN]


@on_paper(BANK["one path forgotten"], "Count the terms of your sum.")
def _path_forgotten(terms: Terms) -> Iterable[Any]:
    return [terms.total - product for product in terms.products[:SHOWN]]


for _name, _nudge in {
    BANK["sign"].name: "Check the signs: where does a minus come in, or two of them?",
    FACTOR: "Your number is right up to a factor: where could it be lost or used twice?",
    "decimal point": "Look at the decimal point.",
}.items():
    SLIPS[_name] = Slip(_name, _nudge)

# Key files of version 0.1 know these by other names.
FORMER = {
    "upstream forgotten": BANK["upstream gradient forgotten"].name,
    "only one of the terms": BANK["only one of several paths"].name,
    "one term missing": BANK["one path forgotten"].name,
    "factor": FACTOR,
}


def slips_of(total: Any, local: Sequence[Any], upstream: Sequence[Any]) -> tuple[tuple[str, Any], ...]:
    """(name of a slip, what it leads to) for total = sum of local * upstream, without those that lead to ``total``."""
    terms = Terms(total, local, upstream)
    found: dict[tuple[str, Any], None] = {}
    for slip in SLIPS.values():
        for x in slip.leads_to(terms):
            if x and isfinite(float(x)) and not isclose(float(x), float(total), rel_tol=0.02):
                found[slip.name, x] = None
    return tuple(found)


def slip_of_ratio(ratio: float) -> str:
    """The slip that a ratio of answer to truth speaks of, or ""."""
    near = lambda x: isclose(ratio, x, rel_tol=2e-3)
    if near(-1):
        return BANK["sign"].name
    if any(near(s * f) or near(s / f) for f in FACTORS for s in (1, -1)):
        return FACTOR
    return "decimal point" if any(near(10.0**k) for k in (-3, -2, -1, 1, 2, 3)) else ""
