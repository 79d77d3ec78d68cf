"""autoconv: an ordinary model of modules, eager or compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nets
import numpy as np

import autoconv as ac
from autoconv import nn


class Mean(nn.Module):
    def __init__(self, layout: str) -> None:
        self.layout = layout

    def forward(self, x: Any) -> Any:
        first = 2 if self.layout == "channels_first" else 1
        return ac.mean(x, tuple(range(first, first + x.ndim - 2)))


class Residual(nn.Module):
    def __init__(self, inner: nn.Module, shortcut: nn.Module) -> None:
        self.inner, self.shortcut = inner, shortcut

    def forward(self, x: Any) -> Any:
        return self.shortcut(x) + self.inner(x)


class Beside(nn.Module):
    def __init__(self, inner: nn.Module, layout: str) -> None:
        self.inner, self.layout = inner, layout

    def forward(self, x: Any) -> Any:
        return ac.concat([x, self.inner(x)], 1 if self.layout == "channels_first" else -1)


class Swap(nn.Module):
    def forward(self, x: Any) -> Any:
        return ac.permute_dims(x, (0, 2, 1))


class Attention(nn.Module):
    def __init__(self, channels: int, heads: int) -> None:
        self.channels, self.heads = channels, heads
        self.into, self.out = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)

    def forward(self, x: Any) -> Any:
        n, tokens, _ = x.shape
        parts = ac.reshape(self.into(x), (n, tokens, 3, self.heads, self.channels // self.heads))
        query, key, value = (ac.permute_dims(parts[:, :, k], (0, 2, 1, 3)) for k in range(3))
        y = ac.permute_dims(ac.scaled_dot_product_attention(query, key, value), (0, 2, 1, 3))
        return self.out(ac.reshape(y, x.shape))


def module(layer: nets.Layer, dims: int, layout: str) -> nn.Module:
    """The module of one layer for images of ``dims`` dimensions."""
    of = lambda name, *given, **settings: getattr(nn, f"{name}{dims}d")(*given, layout=layout, **settings)
    all_of = lambda layers: nn.Sequential(*(module(part, dims, layout) for part in layers))
    match layer:
        case nets.Conv(c_in, c_out, kernel, stride, padding, dilation, groups):
            settings = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
            return of("Conv", c_in, c_out, kernel, **settings)
        case nets.ConvTranspose(c_in, c_out, size):
            return of("ConvTranspose", c_in, c_out, size, stride=size)
        case nets.Linear(n_in, n_out):
            return nn.Linear(n_in, n_out)
        case nets.ReLU():
            return nn.ReLU()
        case nets.GELU():
            return nn.GELU()
        case nets.Softplus():
            return nn.Softplus()
        case nets.MaxPool(size, stride, padding):
            return of("MaxPool", size, stride=stride or size, padding=padding)
        case nets.AvgPool(size, stride):
            return of("AvgPool", size, stride=stride)
        case nets.LpPool(size):
            return of("LPPool", 2, size)
        case nets.Mean():
            return Mean(layout if dims else "channels_last")
        case nets.Flatten():
            return nn.Flatten()
        case nets.BatchNorm(channels):
            return of("BatchNorm", channels)
        case nets.LayerNorm(channels):
            return nn.LayerNorm(channels)
        case nets.Attention(channels, heads):
            return Attention(channels, heads)
        case nets.Swap():
            return Swap()
        case nets.Residual(inner, shortcut):
            return Residual(all_of(inner), all_of(shortcut) if shortcut else nn.Identity())
        case nets.Beside(inner):
            return Beside(all_of(inner), layout)


def model(net: nets.Net, layout: str = "channels_last") -> nn.Module:
    """The net with the parameters that all entrants start from."""
    made = nn.Sequential(*(module(layer, net.dims, layout) for layer in net.layers))
    first = nets.channels_first(net) if layout == "channels_first" and net.dims else None
    for p, value in zip(made.parameters(), first or nets.parameters(net), strict=True):
        # linear weights are (in, out) in both layouts here; channels first they come as PyTorch has them
        p.assign(value.T if first and value.ndim == 2 else value)
    return made


def loss(net: nets.Net, made: nn.Module, layout: str = "channels_last") -> Callable[[Any, Any], Any]:
    """(images, labels) -> the loss."""
    if net.target == "itself":
        return lambda x, y: ac.losses.mse(made(x), x)
    axis = 1 if layout == "channels_first" and net.dims else -1
    return lambda x, y: ac.losses.cross_entropy(made(x), y, axis=axis)


def placed(net: nets.Net, x: np.ndarray, layout: str) -> np.ndarray:
    return np.moveaxis(x, -1, 1).copy() if layout == "channels_first" and net.dims else x


def step(net: nets.Net, batch: int, compiled: bool, layout: str = "channels_last") -> Callable[[], float]:
    x, y = nets.data(net, batch)
    x, net_ = placed(net, x, layout), model(net, layout)
    optimizer = ac.optim.SGD(net_.parameters(), lr=net.rate)
    of = loss(net, net_, layout)
    if compiled:
        program = ac.compile(of)
        return lambda: float(program.step(optimizer, x, y))

    def one() -> float:
        value = of(x, y)
        optimizer.step(ac.sweep(value, optimizer.params))
        return value.item()

    return one


def predict(net: nets.Net, batch: int, compiled: bool, layout: str = "channels_last") -> Callable[[], float]:
    """Inference; a number of the result, to compare."""
    x, net_ = placed(net, nets.data(net, batch)[0], layout), model(net, layout).eval()
    program = ac.compile(net_) if compiled else net_
    return lambda: float(np.asarray(program(x)).flat[0])


ENTRANTS = {
    "autoconv compiled": lambda net, batch: step(net, batch, True),
    "autoconv channels_first": lambda net, batch: step(net, batch, True, "channels_first"),
    "autoconv eager": lambda net, batch: step(net, batch, False),
}
PREDICTORS = {
    "autoconv compiled": lambda net, batch: predict(net, batch, True),
    "autoconv channels_first": lambda net, batch: predict(net, batch, True, "channels_first"),
    "autoconv eager": lambda net, batch: predict(net, batch, False),
}
