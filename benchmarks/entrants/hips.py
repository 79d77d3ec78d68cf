"""HIPS autograd: the net written in its NumPy, a convolution as the products of shifted slices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import autograd.numpy as anp
import nets
import numpy as np
from autograd import value_and_grad


def shifted(h: Any, kernel: tuple[int, ...], stride: int, dilation: int) -> list[Any]:
    """h at each offset of the window: one array (N, out.., C) an offset."""
    sides = [(n - (k - 1) * dilation - 1) // stride + 1 for n, k in zip(h.shape[1:-1], kernel, strict=True)]
    return [
        h[(slice(None), *(slice(i * dilation, i * dilation + (n - 1) * stride + 1, stride) for i, n in zip(at, sides)))]  # noqa: B905
        for at in product(*map(range, kernel))
    ]


def convolved(h: Any, kernel: Any, bias: Any, layer: nets.Conv) -> Any:
    if layer.padding:
        h = anp.pad(h, ((0, 0), *[(layer.padding,) * 2] * (h.ndim - 2), (0, 0)), "constant")
    each, parts = layer.c_out // layer.groups, []
    for g in range(layer.groups):
        share = kernel.shape[-2]
        columns = anp.concatenate(
            shifted(h[..., g * share : (g + 1) * share], layer.kernel, layer.stride, layer.dilation), -1
        )
        flat = kernel[..., g * each : (g + 1) * each].reshape((-1, each))
        parts.append(anp.dot(columns.reshape((-1, columns.shape[-1])), flat).reshape((*columns.shape[:-1], each)))
    return anp.concatenate(parts, -1) + bias


def forward(layers: tuple[nets.Layer, ...], h: Any, p: Iterator[Any]) -> Any:
    for layer in layers:
        match layer:
            case nets.Conv():
                h = convolved(h, next(p), next(p), layer)
            case nets.Linear():
                h = anp.dot(h, next(p)) + next(p)
            case nets.ReLU():
                h = anp.maximum(h, np.float32(0))
            case nets.MaxPool(size, stride, 0):
                first, *others = shifted(h, (size,) * (h.ndim - 2), stride or size, 1)
                for other in others:
                    first = anp.maximum(first, other)
                h = first
            case nets.AvgPool(size, stride):
                h = sum(shifted(h, (size,) * (h.ndim - 2), stride, 1)) * np.float32(1 / size ** (h.ndim - 2))
            case nets.Mean():
                h = anp.mean(h, tuple(range(1, h.ndim - 1)))
            case nets.Flatten():
                h = h.reshape((h.shape[0], -1))
            case nets.BatchNorm():
                axes = tuple(range(h.ndim - 1))
                h = (h - anp.mean(h, axes)) / anp.sqrt(anp.var(h, axes) + np.float32(1e-5)) * next(p) + next(p)
            case nets.Residual(inner, shortcut):
                y = forward(inner, h, p)
                h = forward(shortcut, h, p) + y
            case _:
                raise NotImplementedError(f"{type(layer).__name__} is not written for HIPS autograd")
    return h


def step(net: nets.Net, batch: int) -> Callable[[], float]:
    x, y = nets.data(net, batch)
    held = {"p": nets.parameters(net)}

    def loss(p: list[Any]) -> Any:
        h = forward(net.layers, x, iter(p))
        top = anp.max(h, axis=1, keepdims=True)
        return anp.mean(anp.log(anp.sum(anp.exp(h - top), axis=1)) + top[:, 0] - h[np.arange(batch), y])

    both = value_and_grad(loss)

    def one() -> float:
        value, gradients = both(held["p"])
        held["p"] = [(w - net.rate * g).astype(np.float32) for w, g in zip(held["p"], gradients, strict=True)]
        return float(value)

    return one


ENTRANTS = {"HIPS autograd": step}
