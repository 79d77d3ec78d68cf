"""Conventions that are single numbers: epsilon, slopes, counts, scales; and settings of a row."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .site import Site, Try


def constants(site: Site) -> Iterator[Try]:
    """The same line with another constant: one that the other program names, or its inverse."""
    if site.row not in ("add", "sub", "mul", "div", "power", "maximum", "minimum"):
        return
    for k in range(len(site.reads)):
        mine = site.constant(k)
        if mine is None:
            continue
        known = site.constants_there
        for theirs in dict.fromkeys([*known, *[1 / c for c in known if c], *[c * c for c in known]]):
            if theirs != mine and theirs != _NEUTRAL.get(site.row) and (theirs or site.row not in ("mul", "div")):
                operands = [np.full_like(x, theirs, float) if j == k else x for j, x in enumerate(site.operands)]
                name, words = named_constant(site, k, mine, theirs)
                yield Try(name, words, site.result(operands))


_NEUTRAL = {"add": 0.0, "sub": 0.0, "mul": 1.0, "div": 1.0, "power": 1.0}  # with which the step would not be there


def named_constant(site: Site, k: int, mine: float, theirs: float) -> tuple[str, str]:
    """What a constant is called where it stands."""
    row = site.row
    has = f"{site.me} has {mine:g}, {site.you} {theirs:g}"
    readers = {site.side.row(j) for j, reads in enumerate(site.side.operands) if site.i in reads}
    if site.within("leaky", "prelu"):
        return "slope of leaky relu", has
    if site.call[0] in ("elu", "celu", "selu"):
        return "alpha of elu", has
    if row in ("add", "maximum") and (site.within("norm") or readers & {"sqrt", "log"}) and max(mine, theirs) < 0.5:
        return "epsilon", has
    if row == "mul" and site.within("layer_norm", "group_norm", "instance_norm") and max(mine, theirs) < 0.5:
        return "epsilon", has
    if site.within("dropout"):
        return "dropout", f"another probability: {has}"
    if row in ("div", "mul") and mine > 0 and theirs > 0:
        many = mine if row == "div" else 1 / mine
        other = theirs if row == "div" else 1 / theirs
        if min(many, other) > 1 and abs(abs(many - other) - 1) < 1e-6 and counts(site, max(many, other)):
            less = site.me if many < other else site.you
            return "biased or unbiased variance", f"{less} divides by n - 1 = {min(many, other):g}, the other by n"
        if site.within("avg_pool"):
            return "divisor of average pooling", f"{site.me} divides by {many:g}, {site.you} by {other:g}"
        if counts(site, many) and counts(site, other):
            return "reduction", f"{site.me} divides by {many:g}, {site.you} by {other:g}"
        if is_scale(site, many) or is_scale(site, other):
            return "scale factor", has
    if row in ("maximum", "minimum"):
        return "bound", has
    return "constant", has


def counts(site: Site, n: float) -> bool:
    """Whether n is the number of elements that a sum just before the line added up."""
    for k in range(len(site.reads)):
        i, _ = site.moved_from(k)
        if site.side.row(i) in ("sum", "contract", "sum_to"):
            read = site.value(site.side.operands[i][0])
            if abs(read.size - n * site.value(i).size) < 1e-6 * read.size:
                return True
    return False


def is_scale(site: Site, n: float) -> bool:
    """Whether n is the square root of a size nearby."""
    sources = [site.moved_from(k)[0] for k in range(len(site.reads))]
    sizes = {m for i in (*sources, *[j for i in sources for j in site.side.operands[i]]) for m in site.value(i).shape}
    return any(abs(n * n - m) < 1e-4 * m for m in sizes if m > 1)


def epsilon_outside(site: Site) -> Iterator[Try]:
    """sqrt(v) + eps for sqrt(v + eps)."""
    if site.row != "add" or not (
        roots := [j for j, r in enumerate(site.side.operands) if site.i in r and site.side.row(j) == "sqrt"]
    ):
        return
    for k in range(2):
        mine = site.constant(k)
        for theirs in site.constants_there if mine is not None else ():
            with np.errstate(all="ignore"):
                value = np.sqrt(site.operands[1 - k]) + theirs
            words = f"{site.me} has sqrt(v + {mine:g}), {site.you} sqrt(v) + {theirs:g}"
            yield Try("epsilon", words, value, roots[0])


def settings(site: Site) -> Iterator[Try]:
    """The same row with the settings of the other's line."""
    for j in site.open_there:
        line = site.other.lines[j]
        if line.primitive is site.primitive and line.params != site.line.params:
            try:
                value = site.result(site.operands, dict(line.params))
            except (ValueError, TypeError, IndexError):
                continue
            changed = [k for k in line.params if line.params[k] != site.line.params.get(k)]
            told = ", ".join(
                f"{k}={site.line.params.get(k)} in {site.me}, {line.params[k]} in {site.you}" for k in changed
            )
            yield Try(f"setting of {site.row}", told, value)
