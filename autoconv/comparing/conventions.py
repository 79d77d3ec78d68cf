"""The table of conventions that values depend on: what to try where two runs part, and what it is called.

A row never guesses: it computes what the line would be under the other convention, and counts only if that is what the
other run has.  Rows come in the order in which they are tried; the first that holds is the answer.
"""

from __future__ import annotations

from collections.abc import Iterator

from .contractions import (
    channels,
    flattening,
    geometry,
    joined,
    other_weights,
    padding,
    transposed_kernels,
    weight_orders,
)
from .functions import activations, normalising, reduction, resizing
from .numbers import constants, counts, epsilon_outside, is_scale, settings
from .pooling import average_pooling, max_pooling, pooling_kind
from .site import Rule, Site, Try, number_of

# ---- steps that only one side takes


def left_out(site: Site) -> Iterator[Try]:
    """The line, or the call around it, is not there in the other run: what it reads goes on unchanged."""
    name, inside = site.call
    for k, i in enumerate(site.reads):
        if site.value(i).size != site.value(site.i).size or number_of(site.side, i) is not None:
            continue
        if (
            site.side.is_leaf(i)
            and site.side.lines[i].name
            and len(site.reads) > 1
            and i not in site.side.outputs
            and "input" not in str(site.side.lines[i].name)
        ):
            continue
        what, words = _named_step(site, k)
        yield Try(what, words, site.value(i).reshape(site.value(site.i).shape))
    if name:
        out = inside[-1]
        for i in site.inputs:
            if site.value(i).shape == site.value(out).shape and i not in inside:
                yield Try(
                    _STEPS.get(name, "a step left out"),
                    f"{site.me} has {name} here, {site.you} has not",
                    site.value(i),
                    out,
                )


_STEPS = {"dropout": "dropout", "batch_norm": "norm left out", "relu": "activation left out"}


def _named_step(site: Site, k: int) -> tuple[str, str]:
    here = f"{site.me} has %s here, {site.you} has not"
    if site.within("dropout"):
        return "dropout", f"{site.me} drops (it is in training), {site.you} does not"
    rest = [j for j in range(len(site.reads)) if j != k]
    if rest:
        source, _ = site.moved_from(rest[0])
        name = site.side.lines[source].name or ""
        if site.row == "add" and site.side.is_leaf(source) and not site.side.lines[source].constant:
            return "missing bias", here % (f"the bias {name}" if name else "a bias")
        number = number_of(site.side, source)
        if number is not None and site.row in ("mul", "div"):
            factor = number if site.row == "mul" else 1 / number
            if counts(site, number) or counts(site, factor and 1 / factor):
                return "reduction", f"{site.me} averages (it divides by {1 / factor:g}), {site.you} sums"
            root = 1 / factor if factor < 1 else factor
            word = f"{factor:g}" + (f" = 1/sqrt({root * root:g})" if factor < 1 and is_scale(site, root) else "")
            return "scale factor", here % f"the factor {word}"
    if site.row == "where":
        return "mask left out", f"{site.me} masks ({site.side.step(site.i)}), {site.you} does not"
    if site.row in ("maximum", "minimum", "tanh"):
        return "activation left out", here % site.side.step(site.i)
    step = site.side.step(site.i)
    return "a step left out", here % (site.row if step == site.row else f"{site.row} (in {step})")


TABLE: dict[str, Rule] = {
    "constants": constants,
    "epsilon outside the root": epsilon_outside,
    "training or evaluation": normalising,
    "divisor of average pooling": average_pooling,
    "padding of max pooling": max_pooling,
    "kind of pooling": pooling_kind,
    "steps left out": left_out,
    "functions": activations,
    "reductions": reduction,
    "interpolation": resizing,
    "weights": other_weights,
    "order of flattening": flattening,
    "order of concatenation": joined,
    "channels": channels,
    "order of weights": weight_orders,
    "kernels of transposed convolutions": transposed_kernels,
    "windows": geometry,
    "padding": padding,
    "settings": settings,
}
