"""The nets that are timed, as data: a list of layers each, its parameters, its images,
and how much arithmetic a step is.

Arrays are channels last: images (N, spatial.., C), kernels (kernel.., C_in / groups, C_out), linear weights (in, out).
Each entrant (``entrants/``) builds the same net from this in its own way; ``channels_first`` converts for those that
need it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import numpy as np

RATE = 0.01  # of the plain gradient descent that every step ends with


class Conv(NamedTuple):
    """A convolution with bias; stride, padding and dilation are the same along every axis."""

    c_in: int
    c_out: int
    kernel: tuple[int, ...]
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1


class Linear(NamedTuple):
    n_in: int
    n_out: int


class ReLU(NamedTuple):
    pass


class MaxPool(NamedTuple):
    """Windows of ``size``, side by side."""

    size: int


class AvgPool(NamedTuple):
    size: int
    stride: int


class Mean(NamedTuple):
    """The mean over all positions."""


class Flatten(NamedTuple):
    pass


class BatchNorm(NamedTuple):
    """Normalisation by the batch's own mean and variance, as in training."""

    channels: int


class Residual(NamedTuple):
    """x + inner(x)"""

    inner: tuple[Layer, ...]


Layer = Conv | Linear | ReLU | MaxPool | AvgPool | Mean | Flatten | BatchNorm | Residual


@dataclass(frozen=True)
class Net:
    """An image shape (spatial.., C), the layers, and the batch it is timed with."""

    image: tuple[int, ...]
    layers: tuple[Layer, ...]
    batch: int = 32


def lenet(image: int = 28) -> Net:
    """LeNet-5: LeCun, Bottou, Bengio, Haffner, 1998, with relu and maximum."""
    side = (image // 2 - 4) // 2
    linear = (Linear(16 * side * side, 120), ReLU(), Linear(120, 84), ReLU(), Linear(84, 10))
    first = (Conv(1, 6, (5, 5), padding=2), ReLU(), MaxPool(2), Conv(6, 16, (5, 5)), ReLU(), MaxPool(2), Flatten())
    return Net((image, image, 1), first + linear, 64)


def plain(image: int, depth: int) -> Net:
    """``depth`` convolutions of 16 channels, a mean and a linear layer: to see how time grows."""
    body: tuple[Layer, ...] = (Conv(3, 16, (3, 3), padding=1), ReLU())
    body += (Conv(16, 16, (3, 3), padding=1), ReLU()) * (depth - 1)
    return Net((image, image, 3), (*body, Mean(), Linear(16, 10)), 8)


def block(channels: int) -> Residual:
    conv = Conv(channels, channels, (3, 3), padding=1)
    return Residual((conv, BatchNorm(channels), ReLU(), conv, BatchNorm(channels)))


# fmt: off
NETS = {
    "lenet": lenet(),
    "cnn32": Net((32, 32, 3), (
        Conv(3, 32, (3, 3), padding=1), ReLU(), Conv(32, 32, (3, 3), padding=1), ReLU(), MaxPool(2),
        Conv(32, 64, (3, 3), padding=1), ReLU(), MaxPool(2), Flatten(), Linear(4096, 10))),
    "1-D": Net((256, 4), (
        Conv(4, 16, (9,), padding=4), ReLU(), MaxPool(2), Conv(16, 32, (5,), padding=2), ReLU(), MaxPool(2),
        Conv(32, 32, (3,)), ReLU(), Flatten(), Linear(1984, 10))),
    "3-D": Net((14, 14, 14, 1), (
        Conv(1, 8, (3, 3, 3)), ReLU(), MaxPool(2), Conv(8, 16, (3, 3, 3)), ReLU(), Flatten(), Linear(1024, 10)), 16),
    "odd": Net((33, 29, 5), (
        Conv(5, 15, (3, 3), padding=1, groups=5), ReLU(),
        Conv(15, 21, (3, 5), stride=2, dilation=2, padding=2, groups=3),
        ReLU(), AvgPool(3, 2), Conv(21, 13, (3, 3)), ReLU(), Flatten(), Linear(312, 7))),
    "depthwise": Net((32, 32, 3), (
        Conv(3, 16, (3, 3), padding=1), ReLU(), Conv(16, 16, (3, 3), padding=1, groups=16), ReLU(),
        Conv(16, 32, (1, 1)),
        ReLU(), Conv(32, 32, (3, 3), stride=2, padding=1, groups=32), ReLU(), Conv(32, 48, (1, 1)), ReLU(), Mean(),
        Linear(48, 10))),
    "residual": Net((16, 16, 3), (
        Conv(3, 16, (3, 3), padding=1), BatchNorm(16), ReLU(), block(16), ReLU(), MaxPool(2), block(16), ReLU(), Mean(),
        Linear(16, 10))),
    "mlp": Net((784,), (Linear(784, 256), ReLU(), Linear(256, 128), ReLU(), Linear(128, 10)), 128),
}
# fmt: on


def named(name: str) -> Net:
    """A net of the table, or "image 64" or "depth 8" of the growing ones."""
    kind, _, size = name.partition(" ")
    if not size:
        return NETS[name]
    return plain(int(size), 2) if kind == "image" else plain(16, int(size))


def shapes(
    layers: tuple[Layer, ...], shape: tuple[int, ...]
) -> Iterator[tuple[Layer, tuple[int, ...], tuple[int, ...]]]:
    """Each layer in order, residual ones unfolded, with the shapes (spatial.., C) that go in and come out."""
    for layer in layers:
        before = shape
        match layer:
            case Conv():
                reach = [(k - 1) * layer.dilation + 1 for k in layer.kernel]
                sides = [(n + 2 * layer.padding - r) // layer.stride + 1 for n, r in zip(shape, reach, strict=False)]
                shape = (*sides, layer.c_out)
            case Linear():
                shape = (layer.n_out,)
            case MaxPool():
                shape = (*(n // layer.size for n in shape[:-1]), shape[-1])
            case AvgPool():
                shape = (*((n - layer.size) // layer.stride + 1 for n in shape[:-1]), shape[-1])
            case Mean():
                shape = shape[-1:]
            case Flatten():
                shape = (prod(shape),)
            case Residual():
                yield from shapes(layer.inner, shape)
        yield layer, before, shape


def parameters(net: Net) -> list[np.ndarray]:
    """Weight and bias of each layer in order, float32, the same for every entrant."""
    rng, found = np.random.default_rng(0), []
    for layer, _, _ in shapes(net.layers, net.image):
        match layer:
            case Conv() | Linear():
                conv = isinstance(layer, Conv)
                shape = (*layer.kernel, layer.c_in // layer.groups, layer.c_out) if conv else tuple(layer)
                found.append((rng.normal(size=shape) * np.sqrt(2 / prod(shape[:-1]))).astype(np.float32))
                found.append(np.zeros(shape[-1], np.float32))
            case BatchNorm():
                found += [np.ones(layer.channels, np.float32), np.zeros(layer.channels, np.float32)]
    return found


def data(net: Net, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """(images (N, spatial.., C) float32, labels (N,) int64)."""
    rng = np.random.default_rng(1)
    classes = [layer.n_out for layer in net.layers if isinstance(layer, Linear)][-1]
    return rng.normal(size=(batch, *net.image)).astype(np.float32), rng.integers(0, classes, batch)


def channels_first(net: Net, arrays: list[np.ndarray] | None = None) -> list[np.ndarray]:
    """The parameters (or ``arrays`` of their shapes, such as gradients) in the places that channels first has for them.

    Arrays (N, C, spatial..), kernels (C_out, C_in / groups, kernel..), linear weights (out, in), those after a Flatten
    with their rows in the order of an image with channels first.
    """
    given, found, image = iter(parameters(net) if arrays is None else arrays), [], ()
    for layer, before, _ in shapes(net.layers, net.image):
        match layer:
            case Flatten():
                image = before
            case Conv():
                found += [np.moveaxis(next(given), (-1, -2), (0, 1)).copy(), next(given)]
            case Linear():
                weight = next(given)
                if image:
                    weight = np.moveaxis(weight.reshape(*image, -1), -2, 0).reshape(weight.shape)
                    image = ()
                found += [weight.T.copy(), next(given)]
            case BatchNorm():
                found += [next(given), next(given)]
    return found


def operations(net: Net, batch: int) -> int:
    """Floating-point operations of the products of one step: forward,
    and twice as many back (once at the first layer)."""
    counted, total = 0, 0
    for layer, _, after in shapes(net.layers, net.image):
        match layer:
            case Conv():
                products = prod(after) * prod(layer.kernel) * layer.c_in // layer.groups
            case Linear():
                products = prod(layer)
            case _:
                continue
        total += products * (3 if counted else 2)
        counted += 1
    return 2 * total * batch
