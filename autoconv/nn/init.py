"""Initial weights: zero mean, and a variance that keeps the signal's size from layer to layer.

An initialiser is called ``init(shape, rng, fans)`` and returns an array; write your own in the same form.  ``rng`` is a
``np.random.Generator``, a seed, or None for an unseeded one; ``fans`` = (fan_in, fan_out), None for those of ``shape``.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod, sqrt

import numpy as np

from ..operands import generator
from ..shapes import Shape
from ..tape import Array

Rng = np.random.Generator | int | None
Fans = tuple[int, int]
Initializer = Callable[[Shape, Rng, Fans], Array]


def fans(shape: Shape, channels_last: bool = True) -> Fans:
    """(fan_in, fan_out): how many inputs one output reads, and how many outputs one input reaches.

    Channels last: (*window, C_in / groups, C_out) and Linear's (in, out); channels first: (C_out, C_in / groups,
    *window). fan_in = prod(window) * C_in / groups, fan_out = prod(window) * C_out.  ValueError for fewer than two
    dimensions.

    >>> nn.init.fans((3, 3, 8, 16))
    (72, 144)
    """
    if len(shape) < 2:
        raise ValueError(
            f"fans: a weight of shape {shape} has no inputs and outputs; it needs two dimensions or more: (*window, "
            "in, out)"
        )
    window = prod(shape[:-2] if channels_last else shape[2:])
    inner, outer = shape[-2:] if channels_last else (shape[1], shape[0])
    return window * inner, window * outer


def glorot_uniform(shape: Shape, rng: Rng = None, fans: Fans | None = None) -> Array:
    """Uniform in +-sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010), for tanh and sigmoid.

    shape: of the weight; rng: a generator, a seed or None; fans: (fan_in, fan_out), None for those of the shape.

    >>> bool(abs(nn.init.glorot_uniform((50, 100), 0)).max() <= 0.2)  # sqrt(6 / 150)
    True
    """
    return _uniform(shape, rng, 2 / _total(shape, fans))


def glorot_normal(shape: Shape, rng: Rng = None, fans: Fans | None = None) -> Array:
    """Normal with variance 2 / (fan_in + fan_out) (Glorot and Bengio, 2010).

    shape: of the weight; rng: a generator, a seed or None; fans: (fan_in, fan_out), None for those of the shape.

    >>> float(nn.init.glorot_normal((50, 150), 0).std().round(2))  # sqrt(2 / 200)
    0.1
    """
    return _normal(shape, rng, 2 / _total(shape, fans))


def he_uniform(shape: Shape, rng: Rng = None, fans: Fans | None = None) -> Array:
    """Uniform in +-sqrt(6 / fan_in) (He et al., 2015), for ReLU; the layers' default.

    shape: of the weight; rng: a generator, a seed or None; fans: (fan_in, fan_out), None for those of the shape.

    >>> bool(abs(nn.init.he_uniform((150, 50), 0)).max() <= 0.2)  # sqrt(6 / 150)
    True
    """
    return _uniform(shape, rng, 2 / _inputs(shape, fans))


def he_normal(shape: Shape, rng: Rng = None, fans: Fans | None = None) -> Array:
    """Normal with variance 2 / fan_in (He et al., 2015), for ReLU.

    shape: of the weight; rng: a generator, a seed or None; fans: (fan_in, fan_out), None for those of the shape.

    >>> float(nn.init.he_normal((200, 50), 0).std().round(2))  # sqrt(2 / 200)
    0.1
    """
    return _normal(shape, rng, 2 / _inputs(shape, fans))


def zeros(shape: Shape, rng: Rng = None, fans: Fans | None = None) -> Array:
    """All zero: for biases, and to see why weights are not initialised so.

    shape: of the weight; rng: a generator, a seed or None; fans: (fan_in, fan_out), None for those of the shape.

    >>> nn.init.zeros((2,))
    array([0., 0.])
    """
    return np.zeros(shape)


_fans_of = fans


def _inputs(shape: Shape, fans: Fans | None) -> int:
    return max(1, (fans or _fans_of(shape))[0])


def _total(shape: Shape, fans: Fans | None) -> int:
    return max(1, sum(fans or _fans_of(shape)))


def _uniform(shape: Shape, rng: Rng, variance: float) -> Array:
    limit = sqrt(3 * variance)
    return generator(rng, "rng").uniform(-limit, limit, shape)


def _normal(shape: Shape, rng: Rng, variance: float) -> Array:
    return generator(rng, "rng").normal(0, sqrt(variance), shape)
