"""A few models by name, for the command line and the demo; each is built for an image shape and a number of classes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import nn
from .shapes import Shape

Build = Callable[[Shape, int, np.random.Generator], nn.Module]


def cnn(input_shape: Shape, classes: int, rng: np.random.Generator) -> nn.Module:
    """conv, relu, max pool, conv, relu, max pool, linear: the demo's network, for images from about 4x4 on.

    input_shape: (H, W, C); classes: how many numbers come out, logits for ``cross_entropy``; rng: for the initial
    weights.

    >>> model = ac.models.cnn((8, 8, 1), 10, np.random.default_rng(0))
    >>> model(np.zeros((2, *(8, 8, 1)), np.float32)).shape, model.num_parameters()
    ((2, 10), 6090)
    """
    height, width, channels = input_shape
    return nn.Sequential(
        conv1=nn.Conv2d(channels, 16, 3, padding="same", rng=rng),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(16, 32, 3, padding="same", rng=rng),
        relu2=nn.ReLU(),
        pool2=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        linear=nn.Linear(height // 4 * (width // 4) * 32, classes, rng=rng),
    )


def lenet(input_shape: Shape, classes: int, rng: np.random.Generator) -> nn.Module:
    """LeNet-5's layers with relu and max pooling (LeCun et al., 1998), for images from 16x16 on;
    28x28 as MNIST has them.

    input_shape: (H, W, C); classes: how many numbers come out, logits for ``cross_entropy``; rng: for the initial
    weights.

    >>> model = ac.models.lenet((28, 28, 1), 10, np.random.default_rng(0))
    >>> model(np.zeros((2, *(28, 28, 1)), np.float32)).shape, model.num_parameters()
    ((2, 10), 44426)
    """
    height, width, channels = input_shape
    h, w = [(((n - 4) // 2) - 4) // 2 for n in (height, width)]
    if min(h, w) < 1:
        raise ValueError(
            f"lenet: images of {height}x{width} are too small for two 5x5 convolutions and poolings; "
            "use the model 'cnn'"
        )
    return nn.Sequential(
        conv1=nn.Conv2d(channels, 6, 5, rng=rng),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(6, 16, 5, rng=rng),
        relu2=nn.ReLU(),
        pool2=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        linear1=nn.Linear(h * w * 16, 120, rng=rng),
        relu3=nn.ReLU(),
        linear2=nn.Linear(120, 84, rng=rng),
        relu4=nn.ReLU(),
        linear3=nn.Linear(84, classes, rng=rng),
    )


def mlp(input_shape: Shape, classes: int, rng: np.random.Generator) -> nn.Module:
    """One hidden layer of 64 relu units on the flattened image.

    input_shape: (H, W, C); classes: how many numbers come out, logits for ``cross_entropy``; rng: for the initial
    weights.

    >>> model = ac.models.mlp((8, 8, 1), 10, np.random.default_rng(0))
    >>> model(np.zeros((2, *(8, 8, 1)), np.float32)).shape, model.num_parameters()
    ((2, 10), 4810)
    """
    return nn.Sequential(
        flatten=nn.Flatten(),
        hidden=nn.Linear(int(np.prod(input_shape)), 64, rng=rng),
        relu=nn.ReLU(),
        output=nn.Linear(64, classes, rng=rng),
    )


PRESETS: dict[str, Build] = {"cnn": cnn, "lenet": lenet, "mlp": mlp}
