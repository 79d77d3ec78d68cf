"""PyTorch: eager, with channels last in memory, and compiled; the ordinary loop of zero_grad, backward, step."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import nets
import numpy as np
import torch
from torch.nn import functional as f

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))


def attention(h: Any, p: Iterator[Any], heads: int) -> Any:
    parts = f.linear(h, next(p), next(p)).unflatten(-1, (3, heads, -1))
    query, key, value = (parts[:, :, k].transpose(1, 2) for k in range(3))
    y = f.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
    return f.linear(y, next(p), next(p))


def normalised(h: Any, p: Iterator[Any], training: bool) -> Any:
    """By the batch's own statistics, or by those that a new layer has."""
    mean, variance = (None, None) if training else (torch.zeros(h.shape[1]), torch.ones(h.shape[1]))
    return f.batch_norm(h, mean, variance, next(p), next(p), training=training)


def forward(layers: tuple[nets.Layer, ...], h: Any, p: Iterator[Any], dims: int, training: bool = True) -> Any:
    """``dims``: spatial dimensions behind the channels; 0: rows of tokens (N, L, C), or vectors."""
    of = lambda name: getattr(f, f"{name}{dims}d")
    for layer in layers:
        match layer:
            case nets.Conv(_, _, _, stride, padding, dilation, groups):
                h = of("conv")(h, next(p), next(p), stride, padding, dilation, groups)
            case nets.ConvTranspose(_, _, size):
                h = of("conv_transpose")(h, next(p), next(p), size)
            case nets.Linear():
                h = f.linear(h, next(p), next(p))
            case nets.ReLU():
                h = f.relu(h)
            case nets.GELU():
                h = f.gelu(h)
            case nets.Softplus():
                h = f.softplus(h)
            case nets.MaxPool(size, stride, padding):
                h = of("max_pool")(h, size, stride or size, padding)
            case nets.AvgPool(size, stride):
                h = of("avg_pool")(h, size, stride)
            case nets.LpPool(size):
                h = of("lp_pool")(h, 2.0, size)
            case nets.Mean():
                h = h.mean(tuple(range(2, h.ndim)) if dims else 1)
            case nets.Flatten():
                h = h.flatten(1)
            case nets.BatchNorm():
                h = normalised(h, p, training)
            case nets.LayerNorm(channels):
                h = f.layer_norm(h, (channels,), next(p), next(p))
            case nets.Attention(_, heads):
                h = attention(h, p, heads)
            case nets.Swap():
                h = h.transpose(1, 2)
            case nets.Residual(inner, shortcut):
                y = forward(inner, h, p, dims, training)
                h = forward(shortcut, h, p, dims, training) + y
            case nets.Beside(inner):
                h = torch.cat([h, forward(inner, h, p, dims, training)], 1)
    return h


def given(net: nets.Net, batch: int, last: bool) -> tuple[Any, Any, list[Any]]:
    """Images, labels and parameters."""
    dims = net.dims
    if last and dims not in (2, 3):
        raise ValueError("channels_last is for images of two and three dimensions")
    x, y = nets.data(net, batch)
    images, labels = torch.tensor(np.moveaxis(x, -1, 1).copy() if dims else x), torch.tensor(y)
    parameters = [torch.tensor(value) for value in nets.channels_first(net)]
    if last:
        memory = torch.channels_last if dims == 2 else torch.channels_last_3d
        images = images.to(memory_format=memory)
        parameters = [p.to(memory_format=memory) if p.ndim == dims + 2 else p for p in parameters]
    return images, labels, parameters


def loss_of(net: nets.Net, result: Any, images: Any, labels: Any) -> Any:
    return f.mse_loss(result, images) if net.target == "itself" else f.cross_entropy(result, labels)


def step(net: nets.Net, batch: int, last: bool = False, compiled: bool = False) -> Callable[[], float]:
    images, labels, parameters = given(net, batch, last)
    for p in parameters:
        p.requires_grad_()
    optimizer = torch.optim.SGD(parameters, lr=net.rate)
    loss = lambda: loss_of(net, forward(net.layers, images, iter(parameters), net.dims), images, labels)
    run = torch.compile(loss) if compiled else loss

    def one() -> float:
        value = run()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        return value.item()

    return one


def predict(net: nets.Net, batch: int, last: bool = False, compiled: bool = False) -> Callable[[], float]:
    """Inference; a number of the result, to compare."""
    images, _, parameters = given(net, batch, last)
    result = lambda: forward(net.layers, images, iter(parameters), net.dims, training=False)
    run = torch.compile(result) if compiled else result

    def one() -> float:
        with torch.inference_mode():
            return run().flatten()[0].item()

    return one


ENTRANTS = {
    "torch": lambda net, batch: step(net, batch),
    "torch channels_last": lambda net, batch: step(net, batch, last=True),
    "torch compile": lambda net, batch: step(net, batch, compiled=True),
}
PREDICTORS = {
    "torch": lambda net, batch: predict(net, batch),
    "torch channels_last": lambda net, batch: predict(net, batch, last=True),
    "torch compile": lambda net, batch: predict(net, batch, compiled=True),
}
