"""Small random nets on which the tutor's tests plant mistakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import autoconv as ac


def conv_net(
    seed: int, act: Any = ac.relu, pool: Any = ac.max_pool2d, groups: int = 1, **more: Any
) -> tuple[Any, dict[str, Any]]:
    """Two convolutions (the first strided and padded), an activation each, overlapping pooling, a dense layer, cross entropy."""
    rng = np.random.default_rng(seed)
    t = lambda name, *shape: ac.tensor(rng.normal(size=shape), name=name)
    x, w, b = t("x", 2, 7, 7, 2 * groups), t("w", 3, 3, 2, 2 * groups), t("b", 2 * groups)
    w2, b2 = t("w2", 2, 2, 2 * groups, 3), t("b2", 3)
    h = act(ac.conv2d(x, w, b, groups=groups, **({"stride": 2, "padding": 1} | more)))
    h = act(ac.conv2d(h, w2, b2))
    h = ac.flatten(pool(h, 2, stride=1), 1)
    v = ac.tensor(rng.normal(size=(h.shape[1], 3)) / 3, name="v")
    return ac.losses.cross_entropy(h @ v, np.array([0, 2])), {"x": x, "w": w, "b": b, "w2": w2, "b2": b2, "v": v}


def mlp(seed: int, act: Any = ac.tanh) -> tuple[Any, dict[str, Any]]:
    """Two dense layers with biases, softmax, half the squared error; the weights are square."""
    rng = np.random.default_rng(seed)
    t = lambda name, *shape: ac.tensor(rng.normal(size=shape), name=name)
    x, w, b, v = t("x", 4, 3), t("w", 3, 3), t("b", 3), t("v", 3, 3)
    y = ac.softmax(act(x @ w + b) @ v)
    return ac.sum((y - rng.normal(size=(4, 3))) ** 2) / 2, {"x": x, "w": w, "b": b, "v": v}


def channels_first(seed: int) -> tuple[Any, dict[str, Any]]:
    """PyTorch's layout, with dilation."""
    rng = np.random.default_rng(seed)
    t = lambda name, *shape: ac.tensor(rng.normal(size=shape), name=name)
    x, w, b = t("x", 2, 2, 7, 8), t("w", 3, 2, 3, 3), t("b", 3)
    h = ac.tanh(ac.conv2d(x, w, b, dilation=2, padding=1, layout="channels_first"))
    return ac.sum(ac.avg_pool2d(h, 2, stride=1, layout="channels_first") ** 2), {"x": x, "w": w, "b": b}


def winners(seed: int) -> tuple[Any, dict[str, Any]]:
    """A maximum over kernels, tanh, a dense layer, softmax and half the squared error."""
    rng = np.random.default_rng(seed)
    t = lambda name, *shape: ac.tensor(rng.normal(size=shape), name=name)
    x, w, v = t("x", 2, 6, 1), t("w", 3, 1, 4), t("v", 4, 3)
    y = ac.softmax(ac.tanh(ac.max(ac.conv1d(x, w), axis=-1)) @ v)
    return ac.losses.half_squared_error(y, np.eye(3)[:2]), {"x": x, "w": w, "v": v}


NETS: dict[str, Callable[[int], tuple[Any, dict[str, Any]]]] = {
    "relu, max pooling": conv_net,
    "sigmoid, average pooling": lambda s: conv_net(s, ac.sigmoid, ac.avg_pool2d, stride=1),
    "tanh, groups": lambda s: conv_net(s, ac.tanh, ac.max_pool2d, 2),
    "mlp, tanh": mlp,
    "mlp, relu": lambda s: mlp(s, ac.relu),
    "mlp, sigmoid": lambda s: mlp(s, ac.sigmoid),
    "true convolution": lambda s: conv_net(s, flip=True),
    "channels first, dilation": channels_first,
    "winner takes all": winners,
}
