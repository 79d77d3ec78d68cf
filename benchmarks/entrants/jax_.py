"""JAX: the whole step, update included, under jit with its parameters donated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import nets
import numpy as np
from jax import lax


def windows(h: Any, size: int, stride: int, start: float, combine: Any) -> Any:
    dims = h.ndim - 2
    return lax.reduce_window(h, start, combine, (1, *[size] * dims, 1), (1, *[stride] * dims, 1), "VALID")


def maximum(h: Any, size: int) -> Any:
    """Maximum over windows side by side, as a reshape: faster here than reduce_window and its gradient."""
    sides = [n // size for n in h.shape[1:-1]]
    h = h[(slice(None), *(slice(n * size) for n in sides))]
    split = h.reshape(h.shape[0], *(m for n in sides for m in (n, size)), h.shape[-1])
    return split.max(axis=tuple(range(2, 2 * len(sides) + 1, 2)))


def forward(layers: tuple[nets.Layer, ...], h: Any, p: Iterator[Any]) -> Any:
    for layer in layers:
        match layer:
            case nets.Conv(_, _, kernel, stride, padding, dilation, groups):
                space = "DHW"[-len(kernel) :]
                numbers = (f"N{space}C", f"{space}IO", f"N{space}C")
                each = lambda value: (value,) * (h.ndim - 2)  # noqa: B023
                h = lax.conv_general_dilated(
                    h, next(p), each(stride), each((padding, padding)), None, each(dilation), numbers, groups
                ) + next(p)
            case nets.Linear():
                h = h @ next(p) + next(p)
            case nets.ReLU():
                h = jnp.maximum(h, 0)
            case nets.MaxPool(size):
                h = maximum(h, size)
            case nets.AvgPool(size, stride):
                h = windows(h, size, stride, 0.0, lax.add) / size ** (h.ndim - 2)
            case nets.Mean():
                h = h.mean(tuple(range(1, h.ndim - 1)))
            case nets.Flatten():
                h = h.reshape(h.shape[0], -1)
            case nets.BatchNorm():
                axes = tuple(range(h.ndim - 1))
                h = (h - h.mean(axes)) / jnp.sqrt(h.var(axes) + 1e-5) * next(p) + next(p)
            case nets.Residual(inner):
                h = h + forward(inner, h, p)
    return h


def step(net: nets.Net, batch: int) -> Callable[[], float]:
    x, y = nets.data(net, batch)
    images, labels = jnp.array(x), jnp.array(y.astype(np.int32))
    held = {"p": [jnp.array(value) for value in nets.parameters(net)]}

    def loss(p: list[Any], x: Any, y: Any) -> Any:
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(forward(net.layers, x, iter(p))), y[:, None], 1))

    def update(p: list[Any], x: Any, y: Any) -> tuple[Any, list[Any]]:
        value, gradients = jax.value_and_grad(loss)(p, x, y)
        return value, [w - nets.RATE * g for w, g in zip(p, gradients, strict=True)]

    whole = jax.jit(update, donate_argnums=0)

    def one() -> float:
        value, held["p"] = whole(held["p"], images, labels)
        return float(value)

    return one


ENTRANTS = {"jax": step}
