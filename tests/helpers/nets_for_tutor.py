"""Small random nets on which the tutor's tests plant mistakes: convolutional ones, and MLPs of many kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import autoconv as ac

Net = tuple[Any, dict[str, Any]]


class Parts:
    """Random tensors by name, collected as they are made."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.tensors: dict[str, Any] = {}

    def __call__(self, name: str, *shape: int, scale: float = 1.0) -> Any:
        self.tensors[name] = ac.tensor(scale * self.rng.normal(size=shape), name=name)
        return self.tensors[name]

    def one_hot(self, count: int, classes: int) -> np.ndarray:
        return np.eye(classes)[self.rng.integers(0, classes, count)]

    def labels(self, count: int, classes: int) -> np.ndarray:
        return self.rng.integers(0, classes, count)


# ---- convolutional nets


def conv_net(seed: int, act: Any = ac.relu, pool: Any = ac.max_pool2d, groups: int = 1, **more: Any) -> Net:
    """Two convolutions (the first strided and padded), an activation each, overlapping pooling, a dense layer,
    cross entropy."""
    t = Parts(seed)
    x, w, b = t("x", 2, 7, 7, 2 * groups), t("w", 3, 3, 2, 2 * groups), t("b", 2 * groups)
    w2, b2 = t("w2", 2, 2, 2 * groups, 3), t("b2", 3)
    h = act(ac.conv2d(x, w, b, groups=groups, **({"stride": 2, "padding": 1} | more)))
    h = act(ac.conv2d(h, w2, b2))
    h = ac.flatten(pool(h, 2, stride=1), 1)
    v = t("v", h.shape[1], 3, scale=1 / 3)
    return ac.losses.cross_entropy(h @ v, np.array([0, 2])), t.tensors


def channels_first(seed: int) -> Net:
    """PyTorch's layout, with dilation; the loss is a sum of squares."""
    t = Parts(seed)
    x, w, b = t("x", 2, 2, 7, 8), t("w", 3, 2, 3, 3), t("b", 3)
    h = ac.tanh(ac.conv2d(x, w, b, dilation=2, padding=1, layout="channels_first"))
    return ac.sum(ac.avg_pool2d(h, 2, stride=1, layout="channels_first") ** 2), t.tensors


def winners(seed: int) -> Net:
    """A maximum over kernels, tanh, a dense layer, softmax and half the squared error."""
    t = Parts(seed)
    x, w, v = t("x", 2, 6, 1), t("w", 3, 1, 4), t("v", 4, 3)
    y = ac.softmax(ac.tanh(ac.max(ac.conv1d(x, w), axis=-1)) @ v)
    return ac.losses.half_squared_error(y, np.eye(3)[:2]), t.tensors


def residual_images(seed: int) -> Net:
    """A residual block whose kernel is used twice, a gate for each pixel, leaky units, unevenly folded channels,
    softmax."""
    t = Parts(seed)
    x, w, g, b = t("x", 2, 4, 4, 3), t("w", 3, 3, 3, 3, scale=0.4), t("g", 1, 1, 3, 1), t("b", 3)
    h = x + ac.tanh(ac.conv2d(x, w, b, padding=1))
    h = h + ac.tanh(ac.conv2d(h, w, b, padding=1))
    h = h * ac.sigmoid(ac.conv2d(x, g))
    h = ac.leaky_relu(h, 0.1)
    h = ac.permute_dims(ac.avg_pool2d(h, 2), (0, 3, 1, 2)).reshape(2, 12)
    v, c = t("v", 12, 3), t("c", 3)
    y = ac.softmax(h @ v + c)
    return ac.sum((y - t.one_hot(2, 3)) ** 2), t.tensors


def text_images(seed: int) -> Net:
    """Words looked up, a convolution over time, the largest of each feature, a quotient of two units, a cubic loss."""
    t = Parts(seed)
    e, w, b = t("e", 5, 3), t("w", 3, 3, 4), t("b", 4)
    ids = np.array([[0, 2, 2, 4, 1, 2], [3, 0, 1, 1, 4, 0]])
    h = ac.conv1d(ac.take(e, ids, axis=0), w, b, padding=1)
    h = ac.max(ac.relu(h), axis=1)
    v, u = t("v", 4, 3), t("u", 4, 3, scale=0.3)
    y = (h @ v) / (2 + ac.exp(h @ u))
    return ac.sum(ac.log(1 + y * y)) + ac.sum((y - t.rng.normal(size=(2, 3))) ** 3) + y[0, 1] * y[1, 2], t.tensors


def normalised_images(seed: int) -> Net:
    """Convolution of a plain image's batch, length-normalised pixels, scale and shift for each channel,
    log of a softmax."""
    t = Parts(seed)
    x, w, s, m = t("x", 2, 6, 6, 2), t("w", 3, 3, 2, 3), t("s", 3), t("m", 4, 4, 1)
    h = ac.conv2d(x, w)
    h = h / ac.sqrt(ac.sum(h * h, axis=-1, keepdims=True) + 0.5) * s
    h = ac.max_pool2d(h * m, 3, stride=2, padding=1)
    v = t("v", 12, 4)
    p = ac.softmax(ac.flatten(h, 1) @ v)
    return -ac.sum(t.one_hot(2, 4) * ac.log(p)), t.tensors


def group_normalised(seed: int) -> Net:
    """Channels first: batch norm after a convolution, a group norm written out, a padded mean, a dense layer."""
    t = Parts(seed)
    x, w, s, b = t("x", 3, 2, 6, 5), t("w", 4, 2, 3, 3), t("s", 4), t("b", 4)
    h = ac.batch_norm(ac.conv2d(x, w, layout="channels_first"), s, b, layout="channels_first")
    h = ac.reshape(ac.tanh(h), (3, 2, 24))
    far = h - ac.mean(h, axis=2, keepdims=True)
    h = far / ac.sqrt(ac.mean(far * far, axis=2, keepdims=True) + 1e-3)
    h = ac.reshape(h * np.linspace(0.5, 2, 24), (3, 4, 4, 3))
    h = ac.avg_pool2d(h, 2, padding=1, count_include_pad=False, layout="channels_first")
    v = t("v", 24, 3, scale=0.3)
    return ac.losses.cross_entropy(ac.flatten(h, 1) @ v, np.array([0, 2, 1])), t.tensors


# ---- MLPs


def mlp(seed: int, act: Any = ac.tanh) -> Net:
    """Two dense layers with biases, softmax, half the squared error; the weights are square."""
    t = Parts(seed)
    x, w, b, v = t("x", 4, 3), t("w", 3, 3), t("b", 3), t("v", 3, 3)
    y = ac.softmax(act(x @ w + b) @ v)
    return ac.sum((y - t.rng.normal(size=(4, 3))) ** 2) / 2, t.tensors


def mlp_words(seed: int) -> Net:
    """Words looked up, a tanh unit times a gate plus a shortcut, the same layer once more, cross entropy."""
    t = Parts(seed)
    e, w, b, g, v = t("e", 5, 4), t("w", 4, 4), t("b", 4), t("g", 4, 4), t("v", 4, 3)
    x = ac.take(e, np.array([2, 0, 2, 3, 1, 0]), axis=0)
    h = ac.tanh(x @ w + b) * ac.sigmoid(x @ g) + x
    return ac.losses.cross_entropy(ac.tanh(h @ w + b) @ v, t.labels(6, 3)), t.tensors


def mlp_sequence(seed: int) -> Net:
    """A layer on every step of a sequence, to and fro, layer norm, two heads folded, the largest over time,
    a binary loss."""
    t = Parts(seed)
    x, w, b, s = t("x", 3, 4, 3), t("w", 3, 4), t("b", 4), t("s", 4)
    h = ac.relu(x @ w + b)
    h = ac.layer_norm(h + ac.flip(ac.tanh(h), 1) / 2, s)
    h = ac.permute_dims(h.reshape(3, 4, 2, 2), (0, 2, 1, 3)).reshape(3, 2, 8)
    v = t("v", 8, 3)
    z = ac.max(h @ v, axis=1)
    return ac.losses.bce_with_logits(z, t.one_hot(3, 3)), t.tensors


def mlp_arithmetic(seed: int) -> Net:
    """Units written out: a sigmoid of exponentials, a softmax by hand, a quotient, a power, a root,
    and an element picked."""
    t = Parts(seed)
    x, w, b, v, k = t("x", 4, 3), t("w", 3, 4), t("b", 4), t("v", 4, 3), t("k", 4, 1)
    h = 1 / (1 + ac.exp(-(x @ w + b)))
    h = h / ac.sqrt(1 + ac.sum(h**2, axis=1, keepdims=True)) * k
    e = ac.exp(h @ v)
    p = e / ac.sum(e, axis=1, keepdims=True)
    far = (x @ w) - t.rng.normal(size=(4, 4))
    loss = ac.sum((p - t.one_hot(4, 3)) ** 2) - ac.sum(ac.log(p[1])) + ac.sum(ac.abs(far)) / 5
    return loss + ac.mean(h) ** 3, t.tensors


def mlp_deep(seed: int) -> Net:
    """Four relu layers with one shared weight, a maximum of two units, the mean of the squares."""
    t = Parts(seed)
    x, w, u, b, v = t("x", 5, 4), t("w", 4, 4), t("u", 4, 4), t("b", 4), t("v", 4, 2)
    h = ac.relu(x @ w + b)
    h = ac.relu(h @ u) + h
    h = ac.maximum(h @ w, h @ u)
    y = ac.sigmoid(h @ v)
    return ac.losses.mse(y, t.one_hot(5, 2)), t.tensors


def recurrent(seed: int, signal: bool = False) -> Net:
    """Three steps of a recurrence, over columns that a convolution of a signal made or over plain numbers; the squares
    of all its states."""
    t = Parts(seed)
    w, u, b = t("w", 2, 3), t("u", 3, 3), t("b", 3)
    x = ac.conv1d(t("x", 1, 5, 2), t("k", 3, 2, 2))[0] if signal else t("x", 3, 2)
    h, states = np.zeros((1, 3)), []
    for i in range(3):
        h = ac.tanh(x[i : i + 1] @ w + h @ u + b)
        states.append(h)
    return ac.sum((ac.concat(states, axis=0) - t.rng.normal(size=(3, 3))) ** 2), t.tensors


NETS: dict[str, Callable[[int], Net]] = {
    "relu": conv_net,
    "sigmoid": lambda s: conv_net(s, ac.sigmoid, ac.avg_pool2d, stride=1),
    "groups": lambda s: conv_net(s, ac.tanh, ac.max_pool2d, 2),
    "true convolution": lambda s: conv_net(s, flip=True),
    "channels first": channels_first,
    "winners": winners,
    "residual": residual_images,
    "text": text_images,
    "normalised": normalised_images,
    "norms": group_normalised,
    "steps": lambda s: recurrent(s, signal=True),
    "mlp tanh": mlp,
    "mlp relu": lambda s: mlp(s, ac.relu),
    "mlp sigmoid": lambda s: mlp(s, ac.sigmoid),
    "mlp words": mlp_words,
    "mlp sequence": mlp_sequence,
    "mlp arithmetic": mlp_arithmetic,
    "mlp deep": mlp_deep,
    "mlp steps": recurrent,
}


def with_conventions() -> tuple[Any, np.ndarray]:
    """(loss of a kernel, with the convolution's convention and the flattening left open; the kernel)."""
    rng = np.random.default_rng(0)
    x, w, v = rng.normal(size=(2, 5, 5, 2)), rng.normal(size=(3, 3, 2, 2)), rng.normal(size=(18, 2))

    def loss(w: Any, flip: bool = False, order: Any = (0, 1, 2, 3)) -> Any:
        h = ac.transpose(ac.tanh(ac.conv2d(x, w, flip=flip)), order)
        return ac.sum((ac.flatten(h, 1) @ v) ** 2)

    return loss, w
