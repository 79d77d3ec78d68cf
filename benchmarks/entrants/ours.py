"""autoconv: an ordinary model of modules, eager or compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nets
import numpy as np

import autoconv as ac
from autoconv import nn


class Mean(nn.Module):
    def forward(self, x: Any) -> Any:
        return ac.mean(x, tuple(range(1, x.ndim - 1)))


class Residual(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        self.inner = inner

    def forward(self, x: Any) -> Any:
        return x + self.inner(x)


def module(layer: nets.Layer, dims: int) -> nn.Module:
    """The module of one layer for images of ``dims`` dimensions."""
    of = lambda name: getattr(nn, f"{name}{dims}d")
    match layer:
        case nets.Conv(c_in, c_out, kernel, stride, padding, dilation, groups):
            settings = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
            return of("Conv")(c_in, c_out, kernel, **settings)
        case nets.Linear(n_in, n_out):
            return nn.Linear(n_in, n_out)
        case nets.ReLU():
            return nn.ReLU()
        case nets.MaxPool(size):
            return of("MaxPool")(size)
        case nets.AvgPool(size, stride):
            return of("AvgPool")(size, stride=stride)
        case nets.Mean():
            return Mean()
        case nets.Flatten():
            return nn.Flatten()
        case nets.BatchNorm(channels):
            return of("BatchNorm")(channels)
        case nets.Residual(inner):
            return Residual(nn.Sequential(*(module(part, dims) for part in inner)))


def model(net: nets.Net, dtype: type = np.float32) -> nn.Module:
    """The net with the parameters that all entrants start from."""
    made = nn.Sequential(*(module(layer, len(net.image) - 1) for layer in net.layers))
    for p, value in zip(made.parameters(), nets.parameters(net), strict=True):
        p.assign(value)
    return made


def step(net: nets.Net, batch: int, compiled: bool) -> Callable[[], float]:
    x, y = nets.data(net, batch)
    net_ = model(net)
    optimizer = ac.optim.SGD(net_.parameters(), lr=nets.RATE)
    loss = lambda x, y: ac.losses.cross_entropy(net_(x), y)
    if compiled:
        program = ac.compile(loss)
        return lambda: float(program.step(optimizer, x, y))

    def one() -> float:
        value = loss(x, y)
        optimizer.step(ac.sweep(value, optimizer.params))
        return value.item()

    return one


ENTRANTS = {
    "autoconv compiled": lambda net, batch: step(net, batch, True),
    "autoconv eager": lambda net, batch: step(net, batch, False),
}
