"""Conventions of sums, activations, norms and interpolation: the function that the other run computes instead."""

from __future__ import annotations

from collections.abc import Iterator
from math import erf, prod, sqrt

import numpy as np

from ..tape import Array
from .site import Site, Try, axes_said, number_of, subsets

# ---- sums: which axes, mean or sum


def reduction(site: Site) -> Iterator[Try]:
    """Sum or mean over other axes."""
    after_sum = any(site.side.row(site.moved_from(k)[0]) == "sum" for k in range(len(site.reads)))
    if site.row != "sum" and not (site.row in ("div", "mul") and after_sum):
        return
    for i in site.inputs:
        x = site.value(i)
        if x.ndim > 5 or not x.ndim:
            continue
        mine = _axes_of(site, i)
        for some in subsets(list(range(x.ndim))):
            n = prod(x.shape[a] for a in some)
            for word, value in (("sums", x.sum(some)), ("averages", x.mean(some))):
                yield Try(
                    "reduction",
                    f"{mine}{site.you} {word} over {axes_said(some)} of shape {x.shape}, {n:,} numbers",
                    value,
                )
            if n > 1 and site.within("var", "std", "norm"):
                deviation = x - x.mean(some, keepdims=True)
                for word, m in (("n", n), ("n - 1", n - 1)):
                    name = "biased or unbiased variance"
                    yield Try(
                        name,
                        f"{site.you} has the variance over {axes_said(some)}, divided by {word}",
                        (deviation**2).sum(some) / m,
                    )


def _axes_of(site: Site, i: int) -> str:
    axis = site.line.params.get("axis") if site.row == "sum" else None
    return f"{site.me} sums over {axes_said(tuple(axis))}; " if axis and i in site.reads else ""


# ---- functions of one array


def activations(site: Site) -> Iterator[Try]:
    """The function that the other run computes of the same numbers."""
    here = [(site.side.step(site.i), [site.i], [k for k in site.reads if number_of(site.side, k) is None])]
    for mine, inside, given in [*here, *site.levels]:
        at = inside[-1]
        if not 1 <= len(given) <= 2:
            continue
        for i in given:
            x = site.value(i)
            if x.dtype.kind != "f" or x.size != site.value(at).size or (site.side.is_leaf(i) and len(given) > 1):
                continue
            for name, words, value in _functions(x):
                if not np.array_equal(value, x):
                    yield Try(name, f"{site.you} computes {words}, {site.me} {mine}", value, at, loose=True)


def _functions(x: Array) -> Iterator[tuple[str, str, Array]]:
    with np.errstate(all="ignore"):
        low, high = np.minimum(x, 0), np.maximum(x, 0)
        sigmoid = 1 / (1 + np.exp(-x))
        phi = 0.5 * (1 + np.vectorize(erf, otypes=[float])(x / sqrt(2))) if x.size < 200_000 else sigmoid
        tanh_form = 0.5 * (1 + np.tanh(sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
        yield "exact or approximate gelu", "gelu by the error function", x * phi
        yield "exact or approximate gelu", "gelu by its tanh approximation", x * tanh_form
        yield "exact or approximate gelu", "gelu by sigmoid(1.702 x)", x / (1 + np.exp(-1.702 * x))
        for slope in (0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 1 / 5.5):
            yield "slope of leaky relu", f"leaky relu with slope {slope:g}", high + slope * low
        relu6 = np.clip(x + 3, 0, 6)
        alpha, scale = 1.6732632423543772, 1.0507009873554805
        activation = "another activation"
        yield activation, "relu", high
        yield activation, "relu6", np.minimum(high, 6)
        yield activation, "sigmoid", sigmoid
        yield activation, "tanh", np.tanh(x)
        yield activation, "silu", x * sigmoid
        yield activation, "hardswish", x * relu6 / 6
        yield activation, "hardsigmoid", relu6 / 6
        yield activation, "hardsigmoid with slope 0.2", np.clip(0.2 * x + 0.5, 0, 1)
        yield activation, "elu", high + np.expm1(low)
        yield activation, "selu", scale * (high + alpha * np.expm1(low))
        yield activation, "softplus", np.logaddexp(x, 0)
        yield activation, "mish", x * np.tanh(np.logaddexp(x, 0))
        yield activation, "abs", np.abs(x)
        yield activation, "hardtanh", np.clip(x, -1, 1)
        yield activation, "softsign", x / (1 + np.abs(x))
        for axis in range(x.ndim):
            e = np.exp(x - x.max(axis, keepdims=True))
            share = e / e.sum(axis, keepdims=True)
            yield "axis of softmax", f"softmax over axis {axis} of shape {x.shape}", share
            yield "axis of softmax", f"log softmax over axis {axis} of shape {x.shape}", np.log(share)


def normalising(site: Site) -> Iterator[Try]:
    """Batch statistics in place of stored ones, or statistics over other axes, of a norm."""
    name, inside = site.call
    norm = [
        scope
        for scope in (site.line.scope.path if site.line.scope else ())
        if scope.kind == "call" and "norm" in scope.name
    ]
    if norm:
        lines = enumerate(site.side.lines)
        inside = [k for k, line in lines if line.scope is not None and norm[0] in line.scope.path]
    elif name:
        return
    own = set(inside)
    divisions = [k for k in inside if site.side.row(k) == "div" and site.value(k).ndim > 1]
    if not divisions:
        return
    size = site.value(divisions[-1]).size
    reads = dict.fromkeys(i for k in inside for i in site.side.operands[k] if (norm and i not in own) or not norm)
    counted = any(site.side.row(k) == "sum" for k in inside)
    sums = [site.side.lines[k] for k in inside if site.side.row(k) == "sum"]
    axes = {tuple(np.atleast_1d(line.params["axis"]).tolist()) for line in sums if line.params["axis"] is not None}
    own_eps = [
        n for k in inside if site.side.row(k) in ("add", "mul")
        for j in site.side.operands[k] if (n := number_of(site.side, j)) is not None and 0 < n < 0.1
    ]  # fmt: skip
    small = {c for c in (*site.constants_there, 1e-5) if 0 <= c < 0.1}
    for i in reads:
        x = site.value(i)
        if x.size != size or not 2 <= x.ndim <= 5 or (site.side.is_leaf(i) and number_of(site.side, i) is not None):
            continue
        for some in subsets(list(range(x.ndim))):
            deviation = x - x.mean(some, keepdims=True)
            variance = (deviation**2).mean(some, keepdims=True)
            for eps in small:
                with np.errstate(all="ignore"):
                    value = (deviation / np.sqrt(variance + eps)).reshape(site.value(divisions[-1]).shape)
                if counted and own_eps and some in axes:  # too small a difference for a line of its own
                    yield Try("epsilon", f"{site.me} has {own_eps[0]:g}, {site.you} {eps:g}", value, divisions[-1])
                elif counted:
                    words = f"{site.you} normalises over {axes_said(some)} of shape {x.shape}"
                    yield Try("axes of the norm", words, value, divisions[-1])
                else:
                    words = f"{site.me} uses stored statistics (evaluation), {site.you} those of the batch (training)"
                    yield Try("training or evaluation", words, value, divisions[-1])


def resizing(site: Site) -> Iterator[Try]:
    """Interpolation with the corners aligned or not, and the nearest cell rounded in another way."""
    _, inside = site.call
    target = site.value(inside[-1])
    if not site.within("interpol", "resize", "upsampl", "nearest", "linear", "grid"):
        return
    for i in site.inputs:
        x = site.value(i)
        if x.ndim != target.ndim or x.ndim < 3 or x.shape == target.shape:
            continue
        axes = [a for a in range(x.ndim) if x.shape[a] != target.shape[a]]
        for word, weights in _WEIGHTS.items():
            value = x
            for a in axes:
                value = np.moveaxis(np.tensordot(weights(x.shape[a], target.shape[a]), value, (1, a)), 0, a)
            kind = "mode of nearest" if word.startswith("nearest") else "align_corners"
            yield Try(kind, f"{site.you} interpolates {word}", value, inside[-1], loose=True)


def _linear(at: Array, n: int) -> Array:
    low = np.clip(np.floor(at), 0, n - 1).astype(int)
    share = np.clip(at - low, 0, 1)
    weights = np.zeros((len(at), n))
    weights[np.arange(len(at)), low] += 1 - share
    weights[np.arange(len(at)), np.minimum(low + 1, n - 1)] += share
    return weights


def _nearest(at: Array, n: int) -> Array:
    return np.eye(n)[np.clip(at, 0, n - 1).astype(int)]


def _half(n: int, m: int) -> Array:
    return (np.arange(m) + 0.5) * n / m - 0.5


_WEIGHTS = {
    "linearly, align_corners=False": lambda n, m: _linear(np.maximum(_half(n, m), 0), n),
    "linearly, align_corners=True": lambda n, m: _linear(np.arange(m) * (n - 1) / max(m - 1, 1), n),
    "linearly, from the first corner (asymmetric)": lambda n, m: _linear(np.arange(m) * n / m, n),
    "nearest, rounded down": lambda n, m: _nearest(np.floor(np.arange(m) * n / m), n),
    "nearest, by the cells' centres": lambda n, m: _nearest(np.floor(_half(n, m) + 0.5), n),
    "nearest, corners aligned": lambda n, m: _nearest(np.floor(np.arange(m) * (n - 1) / max(m - 1, 1) + 0.5), n),
    "nearest, rounded up": lambda n, m: _nearest(np.ceil(np.arange(m) * n / m), n),
}
