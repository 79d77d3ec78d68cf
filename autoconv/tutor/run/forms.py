"""What a call computes, read from its numbers: a standardisation, or a softmax; with the gradients of either.

    standardised    y = (x - mean) / sqrt(var + eps)         x_bar = (g - mean(g) - y mean(g y)) / sqrt(var + eps)
    softmax         y = exp(x) / sum exp(x)                   x_bar = y (g - sum(g y))

The means and sums run over ``axes`` of ``shape``, the shape in which the call adds up (a group norm reshapes first).
y may be multiplied by a scale that is one number for each mean (gamma, written in front of the division).
Nothing depends on how the call was written: layer, batch, group and instance norm, by a function or by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from ...tape import Tensor

Array = Any
_CLOSE = 1e-7
MOST_AXES = 4


class Terms(NamedTuple):
    """What stands in the three terms of a standardisation's gradient, where that differs from what belongs there.

        x_bar = D - M - V,      D = g / std,      M = mean(g) / std,      V = front mean(g inside) / std

    front, inside: one of ``FACTORS``, x-hat where it is right.  variance, mean, direct: the power of std too many in V,
    M and D.  gamma: the power of gamma too many in D, M and V; late: it is multiplied in behind the means, where it
    belongs inside of them.  axes: those of the means, if others than the forward's.
    """

    front: str = "xhat"
    inside: str = "xhat"
    variance: int = 0
    mean: int = 0
    direct: int = 0
    gamma: tuple[int, int, int] = (0, 0, 0)
    late: bool = False
    axes: tuple[int, ...] = ()


FACTORS = ("xhat", "x - mean", "x", "1", "output")


class Standardised:
    """y = (x - mean) / std along ``axes`` of ``shape``: hat = y, deviation = x - mean, var and eps as found.

    scale: what y is multiplied with, one number for each mean.
    """

    def __init__(self, x: Array, shape: tuple[int, ...], axes: tuple[int, ...], eps: float, scale: Array = 1.0) -> None:
        self.shape, self.axes, self.eps, self.scale = shape, axes, eps, scale
        self.given = np.shape(x)
        self.x = np.reshape(x, shape)
        self.deviation = self.x - self.mean(self.x)
        self.var = self.mean(self.deviation**2)
        self.std = np.sqrt(self.var + eps)
        self.hat = self.deviation / self.std
        self.count = int(np.prod([shape[a] for a in axes]))

    def mean(self, g: Array) -> Array:
        return np.mean(g, axis=self.axes, keepdims=True)

    def arriving(self, g: Array) -> Array:
        """The gradient of x-hat, in ``shape``, for g that of y."""
        return np.reshape(g, self.shape) * self.scale

    def gradient(self, g: Array, first: float = 1, second: float = 1, hat: Array = None, std: Array = None) -> Array:
        """The gradient with its mean term times ``first`` and its variance term times ``second``."""
        hat, std = self.hat if hat is None else hat, self.std if std is None else std
        h = self.arriving(g)
        return np.reshape((h - first * self.mean(h) - second * hat * self.mean(h * hat)) / std, np.shape(g))

    def terms(self, g: Array, what: Terms, gamma: Array = None, output: Array = None) -> list[Array]:
        """[D, -M, -V] of ``what`` for g, the gradient of y, which add up to that of x; of its shape ``shape``.

        gamma: what y is multiplied with by the line behind; output: what becomes of y after that, the layer's output.
        """
        h = self.arriving(g)
        gamma = np.ones(()) if gamma is None else np.reshape(gamma, self.shape)
        d, m, v = (h * gamma**power for power in ((-1, -1, -1) if what.late else what.gamma))
        factor = {"xhat": self.hat, "x - mean": self.deviation, "x": self.x, "1": np.ones(())}
        factor |= {} if output is None else {"output": np.reshape(output, self.shape)}
        mean = (lambda a: np.mean(a, axis=what.axes, keepdims=True)) if what.axes else self.mean
        variance = factor[what.front] * mean(v * factor[what.inside]) * self.std ** (what.variance - 1.0)
        parts = [d * self.std ** (what.direct - 1.0), -mean(m) * self.std ** (what.mean - 1.0), -variance]
        parts = [gamma * part for part in parts] if what.late else parts
        return [np.broadcast_to(part, self.shape) for part in parts]

    @cached_property
    def refined(self) -> Standardised:
        """The same, its shape split wherever that of x is: a group as its channels, rows and columns."""
        shape, start = _split(self.shape, self.given)
        owner = np.searchsorted(np.array(start), np.arange(len(shape)), side="right") - 1
        axes = tuple(i for i, own in enumerate(owner) if int(own) in self.axes)
        if shape == self.shape:
            return self
        scale = np.reshape(np.broadcast_to(self.scale, self.shape), shape)
        return Standardised(np.reshape(self.x, self.given), shape, axes, self.eps, scale)

    @cached_property
    def elsewhere(self) -> list[Standardised]:
        """The same along other axes, as many of them."""
        others = other_axes(self.shape, self.axes)
        return [Standardised(self.x, self.shape, axes, self.eps, self.scale) for axes in others]


class Softmax:
    """y = softmax of x along ``axes`` of ``shape``, or (``log``) its logarithm."""

    def __init__(self, x: Array, shape: tuple[int, ...], axes: tuple[int, ...], log: bool) -> None:
        self.shape, self.axes, self.log = shape, axes, log
        self.x = np.reshape(x, shape)
        self.exp = np.exp(self.x - self.x.max(axis=axes, keepdims=True))
        self.y = self.exp / self.sum(self.exp)

    def sum(self, g: Array) -> Array:
        return np.sum(g, axis=self.axes, keepdims=True)

    def gradient(self, g: Array, y: Array = None, sum: Any = None) -> Array:
        """The gradient with other probabilities, or sums over other axes."""
        y, add = self.y if y is None else y, self.sum if sum is None else sum
        h = np.reshape(g, self.shape)
        return np.reshape(h - y * add(h) if self.log else y * (h - add(h * y)), np.shape(g))

    def shaped(self, f: Callable[[Array], Array]) -> Callable[[Array], Array]:
        """f of an array of this shape, for one of as many numbers in another shape."""
        return lambda g: np.reshape(f(np.reshape(g, self.shape)), np.shape(g))

    @cached_property
    def elsewhere(self) -> list[Softmax]:
        """The same along other axes, as many of them."""
        return [Softmax(self.x, self.shape, axes, self.log) for axes in other_axes(self.shape, self.axes)]


def _split(shape: tuple[int, ...], other: tuple[int, ...]) -> tuple[tuple[int, ...], list[int]]:
    """(the coarsest shape that both can be read from, where each axis of ``shape`` begins in it); ``shape`` where an
    axis of one crosses two of the other."""
    made: list[int] = []
    start: list[int] = []
    rest = [n for n in other if n > 1]
    for n in shape:
        start.append(len(made))
        left = n
        while left > 1 and rest:
            part = rest.pop(0)
            if left % part == 0:
                made.append(part)
                left //= part
            elif part % left == 0:
                made.append(left)
                rest.insert(0, part // left)
                left = 1
            else:
                return shape, list(range(len(shape)))
        if left > 1 or len(made) == start[-1]:
            made.append(left)
    return tuple(made), start


def other_axes(shape: tuple[int, ...], axes: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Other choices of axes longer than 1: as many as ``axes``, part of them, all others, or of four or less any."""
    long = [i for i, n in enumerate(shape) if n > 1]
    own = [i for i in axes if i in long]
    choices = [*combinations(long, len(axes)), tuple(i for i in long if i not in axes)]
    choices += [c for count in range(1, len(own)) for c in combinations(own, count)]
    if len(long) <= MOST_AXES:
        choices += [c for count in range(1, len(long) + 1) for c in combinations(long, count)]
    return [c for c in dict.fromkeys(choices) if c and set(c) != set(axes)]


def form_of(x: Array, y: Array, lines: list[Tensor]) -> Standardised | Softmax | None:
    """The form in which ``lines`` make y of x, arrays of one shape; None if it is neither."""
    if np.shape(x) != np.shape(y) or not np.size(x):
        return None
    tried: dict[tuple[tuple[int, ...], tuple[int, ...]], None] = {}
    for line in lines:
        if line.primitive is not None and line.primitive.name == "sum" and not line.constant:
            shape = line.operands[0].shape
            if int(np.prod(shape)) == np.size(x):
                tried[shape, tuple(line.params["axis"])] = None
    with np.errstate(all="ignore"):
        for shape, axes in tried:
            if form := _standardised(x, y, shape, axes, lines) or _softmax(x, y, shape, axes):
                return form
    return None


def _standardised(
    x: Array, y: Array, shape: tuple[int, ...], axes: tuple[int, ...], lines: list[Tensor]
) -> Standardised | None:
    plain = Standardised(x, shape, axes, 0.0)
    hat = np.reshape(y, shape)
    slope = plain.mean(hat * plain.deviation) / plain.var
    if plain.count < 2 or not np.isfinite(slope).all() or not _same(hat, plain.deviation * slope):
        return None
    eps = _eps(1 / slope**2, plain)
    if eps is not None and (slope > 0).all():
        return Standardised(x, shape, axes, eps)
    for line in lines:  # another scale for each: then one of the lines is the standard deviation
        if line.size == plain.var.size and line.primitive is not None and line.primitive.name in ("sqrt", "power"):
            value = np.reshape(line.value, plain.var.shape)
            for std in (value, 1 / value):
                eps = _eps(std**2, plain) if (std > 0).all() else None
                if eps is not None and not any(_is(plain.deviation / std, x) for x in lines):
                    return Standardised(x, shape, axes, eps, slope * std)
    return None


def _is(array: Array, line: Tensor) -> bool:
    return line.size == array.size and _same(np.reshape(line.value, array.shape), array)


def _eps(squares: Array, plain: Standardised) -> float | None:
    """The eps that the squares of the deviations have in common, beside the variance."""
    eps = squares - plain.var
    if np.ptp(eps) > _CLOSE * float(plain.var.max()) and np.ptp(eps) > 1e-3 * np.abs(eps).max():
        return None
    value = float(np.median(eps))
    return value if value > 1e-14 * float(plain.var.max()) else 0.0


def _softmax(x: Array, y: Array, shape: tuple[int, ...], axes: tuple[int, ...]) -> Softmax | None:
    for log in (False, True):
        form = Softmax(x, shape, axes, log)
        if _same(np.reshape(y, shape), np.log(form.y) if log else form.y):
            return form
    return None


def _same(a: Array, b: Array) -> bool:
    return bool(np.isfinite(a).all() and np.isfinite(b).all() and np.abs(a - b).max() <= _CLOSE * np.abs(b).max())
