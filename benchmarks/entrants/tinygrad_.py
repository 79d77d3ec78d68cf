"""tinygrad: the whole step under TinyJit, on the CPU (it calls clang)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import nets
import numpy as np
from tinygrad import Context, Tensor, TinyJit


def forward(layers: tuple[nets.Layer, ...], h: Any, p: Iterator[Any]) -> Any:
    for layer in layers:
        match layer:
            case nets.Conv(_, _, _, stride, padding, dilation, groups):
                h = h.conv2d(next(p), next(p), groups=groups, stride=stride, dilation=dilation, padding=padding)
            case nets.Linear():
                h = h.linear(next(p).T, next(p))
            case nets.ReLU():
                h = h.relu()
            case nets.MaxPool(size, stride, padding):
                h = h.max_pool2d((size,) * (h.ndim - 2), stride or size, padding=padding)
            case nets.AvgPool(size, stride):
                h = h.avg_pool2d((size,) * (h.ndim - 2), stride)
            case nets.Mean():
                h = h.mean(tuple(range(2, h.ndim)))
            case nets.Flatten():
                h = h.flatten(1)
            case nets.BatchNorm():
                axes = (0, *range(2, h.ndim))
                mean, variance = h.mean(axes), h.var(axes, correction=0)
                h = h.batchnorm(next(p), next(p), mean, (variance + 1e-5).rsqrt())
            case nets.Residual(inner, shortcut):
                y = forward(inner, h, p)
                h = forward(shortcut, h, p) + y
            case _:
                raise NotImplementedError(f"{type(layer).__name__} is not written for tinygrad")
    return h


def step(net: nets.Net, batch: int) -> Callable[[], float]:
    x, y = nets.data(net, batch)
    images = Tensor(np.moveaxis(x, -1, 1).copy()).realize()
    labels = Tensor(y.astype(np.int32)).realize()
    parameters = [Tensor(value).realize() for value in nets.channels_first(net)]

    @TinyJit
    def update(images: Any, labels: Any) -> Any:
        with Context(TRAINING=1):
            value = forward(net.layers, images, iter(parameters)).sparse_categorical_crossentropy(labels)
            for p, g in zip(parameters, value.gradient(*parameters), strict=True):
                p.assign(p.detach() - net.rate * g)
            Tensor.realize(value, *parameters)
            return value

    return lambda: update(images, labels).item()


ENTRANTS = {"tinygrad": step}
