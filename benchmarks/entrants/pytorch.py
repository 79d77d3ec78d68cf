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


def forward(layers: tuple[nets.Layer, ...], h: Any, p: Iterator[Any], dims: int) -> Any:
    of = lambda name: getattr(f, f"{name}{dims}d")
    for layer in layers:
        match layer:
            case nets.Conv(_, _, _, stride, padding, dilation, groups):
                h = of("conv")(h, next(p), next(p), stride, padding, dilation, groups)
            case nets.Linear():
                h = f.linear(h, next(p), next(p))
            case nets.ReLU():
                h = f.relu(h)
            case nets.MaxPool(size):
                h = of("max_pool")(h, size)
            case nets.AvgPool(size, stride):
                h = of("avg_pool")(h, size, stride)
            case nets.Mean():
                h = h.mean(tuple(range(2, h.ndim)))
            case nets.Flatten():
                h = h.flatten(1)
            case nets.BatchNorm():
                h = f.batch_norm(h, None, None, next(p), next(p), training=True)
            case nets.Residual(inner):
                h = h + forward(inner, h, p, dims)
    return h


def step(net: nets.Net, batch: int, last: bool = False, compiled: bool = False) -> Callable[[], float]:
    dims = len(net.image) - 1
    if last and dims not in (2, 3):
        raise ValueError("channels_last is for images of two and three dimensions")
    x, y = nets.data(net, batch)
    images, labels = torch.tensor(np.moveaxis(x, -1, 1).copy() if dims else x), torch.tensor(y)
    parameters = [torch.tensor(value) for value in nets.channels_first(net)]
    if last:
        memory = torch.channels_last if dims == 2 else torch.channels_last_3d
        images = images.to(memory_format=memory)
        parameters = [p.to(memory_format=memory) if p.ndim == dims + 2 else p for p in parameters]
    for p in parameters:
        p.requires_grad_()
    optimizer = torch.optim.SGD(parameters, lr=nets.RATE)
    loss = lambda: f.cross_entropy(forward(net.layers, images, iter(parameters), dims), labels)
    run = torch.compile(loss) if compiled else loss

    def one() -> float:
        value = run()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        return value.item()

    return one


ENTRANTS = {
    "torch": lambda net, batch: step(net, batch),
    "torch channels_last": lambda net, batch: step(net, batch, last=True),
    "torch compile": lambda net, batch: step(net, batch, compiled=True),
}
