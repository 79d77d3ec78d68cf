"""Other forwards than the course's: what a student's forward may compute instead, each with the words for it.

A variant is a composition like the reference, so the gradient of *their* forward is the sweep's as well.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

import numpy as np

from .. import functional as F
from ..tape import Tensor
from .layer import Layer, Try

Reference = Callable[..., Tensor]
EPS = "eps"  # under this name a layer's variants hold the layer with any eps


class Variant(NamedTuple):
    """``words`` after "your forward" (with {n} for ``number``'s); benign: a choice, not an error."""

    words: str
    reference: Reference
    number: Callable[[Try], Any] | None = None
    benign: bool = False

    def said(self, case: Try) -> str:
        return self.words.format(n=self.number(case)) if self.number else self.words


def variants_of(layer: Layer) -> list[Variant]:
    """The named variants of a layer, and those of any: a sign, a mean for a sum."""
    rows = [(words, v) for words, v in layer.variants.items() if words != EPS]
    named = [v if isinstance(v, Variant) else Variant(words, v) for words, v in rows]
    reference = layer.reference
    return [
        *named,
        Variant("gives the negative of what it should", lambda **k: -reference(**k)),
        Variant("cuts off what is negative (a relu that does not belong here)", lambda **k: F.relu(reference(**k))),
    ]


def of_conv(reference: Reference, x: str, w: str, b: str, order: str, last: bool) -> dict[str, Any]:
    """The variants of a convolution with the kernel's axes in ``order`` ("OIHW" or "HWIO")."""
    rows, columns, inputs = order.index("H"), order.index("W"), order.index("I")
    sizes = lambda case: dict(zip(order, case.arrays[w].shape, strict=True))

    def kernel(change: Callable[[Any], Any]) -> Reference:
        return lambda **k: reference(**(k | {w: change(k[w])}))

    def biased(letters: str) -> Variant:
        count = lambda case: prod(sizes(case)[c] for c in letters)
        factor = lambda k: prod(k[w].shape[order.index(c)] for c in letters)
        what = {"HWI": "for every product of a window", "I": "for every channel", "HW": "for every cell of the kernel"}
        return Variant(
            f"counts the bias {{n}} times: once {what[letters]}, not once for the window",
            lambda **k: reference(**(k | {b: k[b] * factor(k)})), count,
        )  # fmt: skip

    def swapped(k: Any) -> Any:
        if k.shape[rows] != k.shape[columns]:
            raise ValueError("only a square kernel can be transposed")
        return F.swapaxes(k, rows, columns)

    def channel(at: int) -> Callable[[Any], Any]:
        def kept(k: Any) -> Any:
            mask = np.zeros(k.shape[inputs])
            mask[at] = 1
            return k * mask.reshape([-1 if i == inputs else 1 for i in range(k.ndim)])

        return kept

    made: dict[str, Any] = {
        "rotates the kernel by 180 degrees (a true convolution, where the course has a cross-correlation)": kernel(
            lambda k: F.flip(k, (rows, columns))
        ),
        "reverses the kernel's rows": kernel(lambda k: F.flip(k, (rows,))),
        "reverses the kernel's columns": kernel(lambda k: F.flip(k, (columns,))),
        "exchanges the kernel's rows and columns": kernel(swapped),
        "reads only the first channel": kernel(channel(0)),
        "reads only the last channel": kernel(channel(-1)),
        "divides by the number of products of a window": lambda **k: reference(
            **(k | {w: k[w] * (1 / prod(k[w].shape[order.index(c)] for c in "HWI"))})
        ),
        "ignores the padding": lambda **k: reference(**(k | {"pad": 0})) if k.get("pad") else reference(**k),
        "ignores the stride": lambda **k: reference(**(k | {"stride": 1})),
    }
    if b:
        made["leaves the bias out"] = lambda **k: reference(**(k | {b: k[b] * 0.0}))
        made["subtracts the bias"] = lambda **k: reference(**(k | {b: -k[b]}))
        made |= {f"bias {letters}": biased(letters) for letters in ("HWI", "I", "HW")}
    return made


def of_pool(reference: Reference, others: dict[str, Any]) -> dict[str, Any]:
    """The variants of pooling: another choice from the window."""
    return {f"takes {what} of a window": other for what, other in others.items()}


def of_norm(
    normalise: Callable[..., Tensor], scale: str, shift: str, reference: Reference, default: float = 1e-5
) -> dict[str, Any]:
    """The variants of a normalisation: normalise(x, eps=, ddof=, std=, scale=, shift=, **settings)."""
    made: dict[str, Any] = {EPS: lambda eps: with_eps(normalise, eps, default)}
    for eps in (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-9, 1e-10, 1e-12, 0.0):
        if eps != default:
            made[f"eps {eps:g}"] = with_eps(normalise, eps, default)
    made["divides the variance by n - 1, where the course divides by n"] = lambda **k: normalise(**k, ddof=1)
    made["adds eps to the standard deviation, not to the variance"] = lambda **k: normalise(**k, outside=True)
    made["divides by the variance, not by its square root"] = lambda **k: normalise(**k, power=1.0)
    made["does not divide by the standard deviation"] = lambda **k: normalise(**k, power=0.0)
    if scale:
        made[f"leaves {scale} out"] = lambda **k: reference(**(k | {scale: k[scale] * 0.0 + 1.0}))
        made[f"leaves {shift} out"] = lambda **k: reference(**(k | {shift: k[shift] * 0.0}))
        made[f"exchanges {scale} and {shift}"] = lambda **k: reference(**(k | {scale: k[shift], shift: k[scale]}))
        made[f"scales by 1 + {scale}"] = lambda **k: reference(**(k | {scale: k[scale] + 1.0}))
    return made


def with_eps(normalise: Reference, eps: float, default: float) -> Variant:
    """A normalisation with another eps: a choice, not an error."""
    words = f"adds eps = {eps:g} to the variance, where the course adds {default:g}"
    return Variant(words, lambda **k: normalise(**(k | {"eps": eps})), benign=True)


def eps_variant(layer: Layer) -> Callable[[float], Variant] | None:
    """The layer with any eps; None for a layer that has none."""
    found: Any = layer.variants.get(EPS)
    return found


def normalised(
    x: Any, axes: tuple[int, ...], eps: float, *, ddof: int = 0, outside: bool = False, power: float = 0.5
) -> Tensor:
    """x standardised over ``axes``: (x - mean) / (var + eps)**power, its variance divided by n - ddof."""
    n = prod(x.shape[a] for a in axes)
    deviation = x - F.mean(x, axis=axes, keepdims=True)
    var = F.sum(deviation * deviation, axis=axes, keepdims=True) * (1 / max(n - ddof, 1))
    if outside:
        return deviation / (F.sqrt(var) + eps)
    return deviation / F.sqrt(var + eps) if power == 0.5 else deviation / (var + eps) ** power
