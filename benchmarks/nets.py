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

RATE = 0.01  # of the plain gradient descent that every step ends with, unless a net says otherwise


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


class ConvTranspose(NamedTuple):
    """The adjoint of a convolution whose windows of ``size`` stand side by side, with bias."""

    c_in: int
    c_out: int
    size: int
    dims: int = 2


class ReLU(NamedTuple):
    pass


class GELU(NamedTuple):
    pass


class Softplus(NamedTuple):
    pass


class MaxPool(NamedTuple):
    """Windows of ``size``, side by side unless there is a stride."""

    size: int
    stride: int = 0
    padding: int = 0


class AvgPool(NamedTuple):
    size: int
    stride: int


class LpPool(NamedTuple):
    """The root of the sum of squares over windows of ``size``, side by side."""

    size: int


class Mean(NamedTuple):
    """The mean over all positions."""


class Flatten(NamedTuple):
    pass


class BatchNorm(NamedTuple):
    """Normalisation by the batch's own mean and variance, as in training."""

    channels: int


class LayerNorm(NamedTuple):
    """Normalisation of each token by itself."""

    channels: int


class Attention(NamedTuple):
    """Self-attention between all tokens, of ``heads`` heads."""

    channels: int
    heads: int


class Swap(NamedTuple):
    """Tokens and channels change places."""


class Residual(NamedTuple):
    """shortcut(x) + inner(x); without a shortcut x + inner(x)."""

    inner: tuple[Layer, ...]
    shortcut: tuple[Layer, ...] = ()


class Beside(NamedTuple):
    """The channels of x, then those of inner(x)."""

    inner: tuple[Layer, ...]


Layer = (
    Conv | ConvTranspose | Linear | ReLU | GELU | Softplus | MaxPool | AvgPool | LpPool | Mean | Flatten | BatchNorm
    | LayerNorm | Attention | Swap | Residual | Beside
)  # fmt: skip


@dataclass(frozen=True)
class Net:
    """An image shape (spatial.., C), the layers, and the batch it is timed with.

    ``target``: what the result is compared with: "classes" or "pixels" by cross entropy with a label for each image or
    position, "itself" by the mean square of the distance to the image.  ``tokens``: an image (L, C) is a row of tokens,
    whose channels stay last in every layout.
    """

    image: tuple[int, ...]
    layers: tuple[Layer, ...]
    batch: int = 32
    target: str = "classes"
    tokens: bool = False
    rate: float = RATE

    @property
    def dims(self) -> int:
        """The spatial dimensions, 0 of tokens."""
        return 0 if self.tokens else len(self.image) - 1


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


def normed(c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1, dims: int = 2) -> tuple[Layer, ...]:
    return (Conv(c_in, c_out, (kernel,) * dims, stride, kernel // 2, groups=groups), BatchNorm(c_out))


def basic(c_in: int, c_out: int, stride: int = 1) -> tuple[Layer, ...]:
    """A basic block: He, Zhang, Ren, Sun, 2016."""
    shortcut = () if c_in == c_out and stride == 1 else normed(c_in, c_out, 1, stride)
    return (Residual((*normed(c_in, c_out, 3, stride), ReLU(), *normed(c_out, c_out, 3)), shortcut), ReLU())


def stage(blocks: int, c_in: int, c_out: int, stride: int) -> tuple[Layer, ...]:
    return (*basic(c_in, c_out, stride), *basic(c_out, c_out) * (blocks - 1))


def separable(c_in: int, c_out: int, stride: int = 1) -> tuple[Layer, ...]:
    """Depthwise, then pointwise: Howard et al., 2017."""
    return (*normed(c_in, c_in, 3, stride, c_in), ReLU(), *normed(c_in, c_out, 1), ReLU())


def transformer(channels: int, heads: int, blocks: int) -> tuple[Layer, ...]:
    """Blocks with the normalisation in front: Vaswani et al., 2017, Xiong et al., 2020."""
    dense = (LayerNorm(channels), Linear(channels, 4 * channels), GELU(), Linear(4 * channels, channels))
    return (Residual((LayerNorm(channels), Attention(channels, heads))), Residual(dense)) * blocks


def mixer(tokens: int, channels: int, blocks: int) -> tuple[Layer, ...]:
    """Dense layers over tokens, then over channels, in turn: Tolstikhin et al., 2021."""
    across = (LayerNorm(channels), Swap(), Linear(tokens, 2 * tokens), GELU(), Linear(2 * tokens, tokens), Swap())
    each = (LayerNorm(channels), Linear(channels, 2 * channels), GELU(), Linear(2 * channels, channels))
    return (Residual(across), Residual(each)) * blocks


def unet(c_in: int, widths: tuple[int, ...]) -> tuple[Layer, ...]:
    """Down through ``widths`` and up again, each level beside what came back: Ronneberger, Fischer, Brox, 2015."""
    width, *deeper = widths
    double = (*normed(c_in, width, 3), ReLU(), *normed(width, width, 3), ReLU())
    if not deeper:
        return double
    inner = (MaxPool(2), *unet(width, tuple(deeper)), ConvTranspose(deeper[0], width, 2))
    return (*double, Beside(inner), *normed(2 * width, width, 3), ReLU())


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
    "alexnet": Net((64, 64, 3), (
        Conv(3, 64, (5, 5), 2, 2), ReLU(), MaxPool(3, 2), Conv(64, 192, (5, 5), padding=2), ReLU(), MaxPool(3, 2),
        Conv(192, 384, (3, 3), padding=1), ReLU(), Conv(384, 256, (3, 3), padding=1), ReLU(),
        Conv(256, 256, (3, 3), padding=1), ReLU(), MaxPool(3, 2), Flatten(),
        Linear(2304, 1024), ReLU(), Linear(1024, 1024), ReLU(), Linear(1024, 10)), rate=1e-4),
    "resnet18": Net((224, 224, 3), (
        *normed(3, 64, 7, 2), ReLU(), MaxPool(3, 2, 1), *stage(2, 64, 64, 1), *stage(2, 64, 128, 2),
        *stage(2, 128, 256, 2), *stage(2, 256, 512, 2), Mean(), Linear(512, 1000)), 1),
    "transformer": Net((64, 32), (Linear(32, 128), *transformer(128, 4, 2), LayerNorm(128), Mean(), Linear(128, 10)),
                       16, tokens=True),
    "autoencoder": Net((32, 32, 3), (
        Conv(3, 16, (3, 3), padding=1), Softplus(), AvgPool(2, 2), Conv(16, 32, (3, 3), padding=1), Softplus(),
        LpPool(2), Conv(32, 32, (3, 3), padding=1), Softplus(), ConvTranspose(32, 16, 2), Softplus(),
        ConvTranspose(16, 3, 2)), target="itself"),
    "mobilenet": Net((32, 32, 3), (
        *normed(3, 32, 3), ReLU(), *separable(32, 64), *separable(64, 128, 2), *separable(128, 128),
        *separable(128, 256, 2), *separable(256, 256), Mean(), Linear(256, 10))),
    "resnet20": Net((32, 32, 3), (
        *normed(3, 16, 3), ReLU(), *stage(3, 16, 16, 1), *stage(3, 16, 32, 2), *stage(3, 32, 64, 2), Mean(),
        Linear(64, 10))),
    "vgg": Net((32, 32, 3), (
        *normed(3, 32, 3), ReLU(), *normed(32, 32, 3), ReLU(), MaxPool(2), *normed(32, 64, 3), ReLU(),
        *normed(64, 64, 3), ReLU(), MaxPool(2), *normed(64, 128, 3), ReLU(), *normed(128, 128, 3), ReLU(), MaxPool(2),
        Flatten(), Linear(2048, 128), ReLU(), Linear(128, 10)), 64),
    "audio": Net((1024, 1), (
        *normed(1, 16, 9, 4, dims=1), ReLU(), *normed(16, 32, 5, 2, dims=1), ReLU(), *normed(32, 64, 5, 2, dims=1),
        ReLU(), *normed(64, 64, 3, dims=1), ReLU(), Mean(), Linear(64, 12)), 16),
    "mixer": Net((64, 48), (Linear(48, 64), *mixer(64, 64, 4), LayerNorm(64), Mean(), Linear(64, 10)), tokens=True),
    "unet": Net((64, 64, 3), (*unet(3, (16, 32, 64)), Conv(16, 4, (1, 1))), 4, "pixels"),
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
            case ConvTranspose():
                shape = (*(n * layer.size for n in shape[:-1]), layer.c_out)
            case Linear():
                shape = (*shape[:-1], layer.n_out)
            case MaxPool(size, stride, padding):
                shape = (*((n + 2 * padding - size) // (stride or size) + 1 for n in shape[:-1]), shape[-1])
            case AvgPool():
                shape = (*((n - layer.size) // layer.stride + 1 for n in shape[:-1]), shape[-1])
            case LpPool():
                shape = (*(n // layer.size for n in shape[:-1]), shape[-1])
            case Mean():
                shape = shape[-1:]
            case Flatten():
                shape = (prod(shape),)
            case Swap():
                shape = shape[::-1]
            case Residual():
                inner = list(shapes(layer.inner, shape))
                yield from inner
                yield from shapes(layer.shortcut, shape)
                shape = inner[-1][2]
            case Beside():
                inner = list(shapes(layer.inner, shape))
                yield from inner
                shape = (*shape[:-1], shape[-1] + inner[-1][2][-1])
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
            case ConvTranspose(c_in, c_out, size, dims):
                shape = (*(size,) * dims, c_out, c_in)
                found.append((rng.normal(size=shape) * np.sqrt(2 / c_in)).astype(np.float32))
                found.append(np.zeros(c_out, np.float32))
            case Attention(channels):
                for n_out in (3 * channels, channels):  # queries, keys and values side by side; what comes out
                    found.append((rng.normal(size=(channels, n_out)) / np.sqrt(channels)).astype(np.float32))
                    found.append(np.zeros(n_out, np.float32))
            case BatchNorm(channels) | LayerNorm(channels):
                found += [np.ones(channels, np.float32), np.zeros(channels, np.float32)]
    return found


def data(net: Net, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """(images (N, spatial.., C) float32, labels (N,) or (N, spatial..) int64)."""
    rng = np.random.default_rng(1)
    *places, classes = list(shapes(net.layers, net.image))[-1][2]
    return rng.normal(size=(batch, *net.image)).astype(np.float32), rng.integers(0, classes, (batch, *places))


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
            case Conv() | ConvTranspose():
                found += [np.moveaxis(next(given), (-1, -2), (0, 1)).copy(), next(given)]
            case Attention():
                found += [next(given).T.copy(), next(given), next(given).T.copy(), next(given)]
            case Linear():
                weight = next(given)
                if image:
                    weight = np.moveaxis(weight.reshape(*image, -1), -2, 0).reshape(weight.shape)
                    image = ()
                found += [weight.T.copy(), next(given)]
            case BatchNorm() | LayerNorm():
                found += [next(given), next(given)]
    return found


def operations(net: Net, batch: int) -> int:
    """Floating-point operations of the products of one step: forward,
    and twice as many back (once at the first layer)."""
    counted, total = 0, 0
    for layer, before, after in shapes(net.layers, net.image):
        match layer:
            case Conv():
                products = prod(after) * prod(layer.kernel) * layer.c_in // layer.groups
            case ConvTranspose():
                products = prod(after) * layer.c_in
            case Linear():
                products = prod(before) * layer.n_out
            case Attention():
                products = prod(before) * (4 * layer.channels + 2 * before[0])
            case _:
                continue
        total += products * (3 if counted else 2)
        counted += 1
    return 2 * total * batch
