"""Why a gradient, or a term of it, is zero: what stands on every way from a scalar to the output."""

from __future__ import annotations

from collections import Counter

import numpy as np

from ...primitives import TABLE
from ...scalar.blocks import CONSTANT
from ...tape import Tensor
from .analysis import Array
from .terms import Sum, Term

MOST, SAMPLED, NEAR = 64, 6, 12  # elements looked at for a gradient; zero terms looked at, and elements for each
CHOICES = {"where": "not chosen by where"}


def zeros(whole: Sum) -> str:
    """How many terms of a sum are 0, and why, as of those that are looked at; "" where none is, or all are."""
    none = [term for term in whole.terms if term.product == 0]
    if not none or len(none) == len(whole.terms):
        return ""
    causes: Counter[str] = Counter()
    for k in np.unique(np.linspace(0, len(none) - 1, min(SAMPLED, len(none))).astype(int)).tolist():
        term = none[k]
        if term.local == 0:
            causes[cause(whole, term)] += 1
        elif term.opened is not None:
            causes.update(dict.fromkeys(follow(term.opened, NEAR), 1))
    why = "; ".join(words for words, _ in causes.most_common())
    return f"{len(none):,} of {len(whole.terms):,} terms {'are' if len(none) > 1 else 'is'} 0" + (
        f": {why}" if why else ""
    )


def reason(whole: Sum) -> str | None:
    """The reason of a zero gradient in words, or None for a gradient that is not zero."""
    products = np.array([t.product for t in whole.terms])
    cancels = products.size > 1 and products.dtype != object and _cancels(whole, products)
    if whole.total != 0 and not cancels:
        return None
    if not whole.terms:
        return unread(whole)
    if products.any():
        return (
            f"terms that cancel: the {np.count_nonzero(products)} that are not 0 sum to "
            f"{'0' if whole.total == 0 else '0 to rounding'}"
        )
    causes = follow(whole)
    parts = [f"{words} ({count:,}x)" if count > 1 else words for words, count in causes.most_common()]
    return "; ".join(parts) or "no path: every way to the output is cut"


def _cancels(whole: Sum, products: Array) -> bool:
    spread = float(np.abs(products).sum())
    eps = float(np.finfo(whole.context.analysis.of.dtype).eps) if whole.context.analysis.of.dtype.kind == "f" else 0.0
    return np.isfinite(spread) and spread > 0 and abs(float(whole.total)) <= eps * spread


def unread(whole: Sum) -> str:
    """Why no step reads a scalar: cut off on purpose, multiplied with padding only, or left out by stride or index."""
    known = whole.context.analysis
    read_by: set[Tensor] = set()
    wired: set[Tensor] = set()
    for line in known.tape:
        if line.primitive and any(known.holds(x, whole.scalar) for x in line.operands):
            (wired if line.primitive.group == "wiring" else read_by).add(line)
    cut = [line for line in wired | read_by if line.constant]
    if cut:
        names = sorted({line.primitive.name for line in cut if line.primitive})
        return f"no path: cut by {', '.join(names)}, which passes no gradient"
    if any("spec" in line.params for line in read_by):
        return "meets only padding: every product it is part of has a 0 from outside the input"
    if whole.scalar == whole.context.analysis.output:
        return "no path"
    skipped = any(line.primitive is TABLE["windows"] and not known.holds(line, whole.scalar) for line in wired)
    return "never read: the stride skips it" if skipped else "never read: no index, slice or window has it"


def follow(whole: Sum, most: int = MOST) -> Counter[str]:
    """What stops each way from the scalar on, counted; at most ``most`` elements are looked at."""
    causes: Counter[str] = Counter()
    waiting, met = [whole], {whole.scalar}
    while waiting and len(met) <= most:
        here = waiting.pop()
        products = [t.product for t in here.terms]
        if any(products):
            causes["terms that cancel"] += 1
        elif not here.terms and here.scalar != here.context.analysis.output:
            causes[unread(here)] += 1
        else:
            for term in here.terms:
                if term.local == 0:
                    causes[cause(here, term)] += 1
                elif term.opened is not None and term.scalar not in met and term.upstream == 0:
                    met.add(term.scalar)
                    waiting.append(term.opened)
    return causes


def cause(whole: Sum, term: Term) -> str:
    """Why one local derivative is zero, told by the rows on its way."""
    context = whole.context
    scope = context.analysis.calls.get(id(context.symbols.block(term.scalar).line))
    name = scope.name if scope else context.symbols.block(term.scalar).operation.name
    way = _between(whole, term)
    steps = [(i, context.symbols.block(i)) for i in way if i != whole.scalar]  # which may be a maximum itself
    opened = [(block.opened, i - block.first, block.last) for i, block in steps if block.opened]
    for definition, place, last in opened:
        rivals = (
            [int(names[place]) for names in definition.operands if int(names[place]) not in way] if definition else []
        )
        if last and any(context.symbols.block(o).operation is CONSTANT for o in rivals):
            row = name if scope else definition.primitive.name if definition else name
            return f"inactive {row}: its operand lies on the flat side"
    if opened:
        return f"lost every max: another element won in {name}"
    rows = {context.symbols.block(i).operation.primitive for i in way} - {None}
    chosen = [CHOICES[row.name] for row in rows if row and row.name in CHOICES]
    if chosen and len(rows) == len(chosen):
        return chosen[0]
    curved = [row for row in rows if row and row.differentiable and not row.linear]
    ways = whole.paths.item(term.k)
    if curved and (scope or ways == 1):  # x / x is flat, and not for being saturated
        return f"saturated: the slope of {name} is 0 to rounding"
    return "terms that cancel" if ways > 1 else f"multiplied by 0 in {name}"


def _between(whole: Sum, term: Term) -> set[int]:
    """The scalars on the ways of one term, the start included."""
    found, waiting = {term.scalar}, [term.scalar]
    while waiting and len(found) < 10_000:
        i = waiting.pop()
        for _, o in whole.way.read(i):
            if o not in found:
                found.add(o)
                if o != whole.scalar:
                    waiting.append(o)
    return found
