"""What layers keep of a training step: running means and variances of two models, and the conventions behind them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tape import Array
from .result import Difference, Where
from .side import Side, largest

CLOSE = 1e-5  # of the largest element: running statistics are kept in float32


def differing(a: Side, b: Side) -> tuple[Difference, str, str] | None:
    """(the difference, the convention's name, why) for the first buffer that differs after the run; None if none
    does."""
    pairs = _pairs(a, b)
    for name, other in pairs:
        if not _close(a.before[name], b.before[other]):
            return None  # they did not start alike, which the values show
    momenta: dict[str, tuple[float | None, float | None]] = {}
    for name, other in pairs:
        p, q = a.after[name], b.after[other]
        if _close(p, q):
            continue
        apart = largest(p - q) / max(largest(p), largest(q))
        first = Difference(
            "statistics",
            Where(None, "buffer", p.shape, "", "", name),
            Where(None, "buffer", q.shape, "", "", other),
            apart,
        )
        for known, known_other in pairs:
            if known.rpartition(".")[0] == name.rpartition(".")[0] and "mean" in known:
                momenta[name] = _momenta(a, b, known, known_other)
        return first, *_why(a, b, name, other, momenta.get(name, (None, None)))
    return None


def _close(p: Array, q: Array) -> bool:
    return bool(np.all(np.abs(p - q) <= CLOSE * max(largest(p), largest(q))))


def _pairs(a: Side, b: Side) -> list[tuple[str, str]]:
    """Buffers by name, or in order where the names differ and all shapes agree."""
    counted = [{k: v for k, v in side.before.items() if np.asarray(v).ndim} for side in (a, b)]
    if set(counted[0]) == set(counted[1]):
        return [(k, k) for k in counted[0]]
    named = list(zip(counted[0], counted[1], strict=False))
    fits = len(counted[0]) == len(counted[1]) and all(counted[0][p].shape == counted[1][q].shape for p, q in named)
    return named if fits else []


def _momentum(side: Side, name: str) -> float | None:
    for path, module in side.model.named_modules() if side.model else ():
        if path == name.rpartition(".")[0]:
            value: Any = getattr(module, "momentum", None)
            return float(value) if isinstance(value, int | float) else None
    return None


def _momenta(a: Side, b: Side, name: str, other: str) -> tuple[float | None, float | None]:
    """Each side's share of the new batch: as its layer says, or as it follows from the other's."""
    mine = _momentum(a, name)
    ratio = _constant(b.after[other] - b.before[other], a.after[name] - a.before[name])
    theirs = _momentum(b, other) if mine is None or ratio is None else mine * ratio
    return mine, theirs


def _constant(p: Array, q: Array) -> float | None:
    """c with p = c q; None if there is none."""
    there = np.abs(q) > 1e-3 * largest(q)
    if not there.any():
        return None
    ratios = np.asarray(p, float)[there] / np.asarray(q, float)[there]
    c = float(np.median(ratios))
    return c if np.all(np.abs(p - c * q) <= 30 * CLOSE * largest(p)) else None


def _why(a: Side, b: Side, name: str, other: str, momenta: tuple[float | None, float | None]) -> tuple[str, str]:
    mine, theirs = momenta
    ratio = _constant(b.after[other] - b.before[other], a.after[name] - a.before[name])
    if ratio is not None and abs(ratio) < 1e-9:
        return "running statistics", f"b keeps {other} as it was, a moves it"
    if mine is not None and theirs is not None:
        batch_a = (a.after[name] - (1 - mine) * a.before[name]) / mine if mine else None
        batch_b = (b.after[other] - (1 - theirs) * b.before[other]) / theirs if theirs else None
        if batch_a is not None and batch_b is not None:
            k = _constant(batch_b, batch_a)
            said = [] if abs(mine - theirs) < 1e-4 else [f"the new batch has weight {mine:.4g} in a, {theirs:.4g} in b"]
            if k is not None and abs(k - 1) > 1e-4 and "var" in name:
                n = 1 / (1 - k) if k < 1 else k / (k - 1)
                if abs(n - round(n)) < 0.02 * max(1, n / 50):
                    less = ("a", "b")[k < 1]
                    said.append(f"{less} keeps the biased variance (divided by n = {round(n)}), the other by n - 1")
                    return "biased or unbiased variance", "; ".join(said)
            if said and k is not None and abs(k - 1) <= 1e-3:
                word = " (one is 1 minus the other)" if abs(mine + theirs - 1) < 1e-4 else ""
                return "momentum of running statistics", said[0] + word
    if ratio is not None:
        return "momentum of running statistics", f"b moves {other} {ratio:.4g} times as far as a"
    return "", ""
