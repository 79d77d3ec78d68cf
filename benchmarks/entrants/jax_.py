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


def attention(h: Any, p: Iterator[Any], heads: int) -> Any:
    n, tokens, channels = h.shape
    parts = (h @ next(p) + next(p)).reshape(n, tokens, 3, heads, channels // heads)
    y = jax.nn.dot_product_attention(parts[:, :, 0], parts[:, :, 1], parts[:, :, 2])
    return y.reshape(h.shape) @ next(p) + next(p)


def normalised(h: Any, axes: tuple[int, ...], gain: Any, shift: Any) -> Any:
    return (h - h.mean(axes, keepdims=True)) / jnp.sqrt(h.var(axes, keepdims=True) + 1e-5) * gain + shift


def transposed(h: Any, kernel: Any, size: int) -> Any:
    """``kernel``: (.., C_out, C_in), of the convolution whose adjoint it is."""
    space = "DHW"[3 - (h.ndim - 2) :]
    numbers = (f"N{space}C", f"{space}IO", f"N{space}C")
    strides = (size,) * (h.ndim - 2)
    return lax.conv_transpose(h, kernel, strides, "VALID", dimension_numbers=numbers, transpose_kernel=True)


def forward(layers: tuple[nets.Layer, ...], h: Any, p: Iterator[Any], training: bool = True) -> Any:
    for layer in layers:
        match layer:
            case nets.Conv(_, _, kernel, stride, padding, dilation, groups):
                space = "DHW"[-len(kernel) :]
                numbers = (f"N{space}C", f"{space}IO", f"N{space}C")
                each = lambda value: (value,) * (h.ndim - 2)  # noqa: B023
                h = lax.conv_general_dilated(
                    h, next(p), each(stride), each((padding, padding)), None, each(dilation), numbers, groups
                ) + next(p)
            case nets.ConvTranspose(_, _, size):
                h = transposed(h, next(p), size) + next(p)
            case nets.Linear():
                h = h @ next(p) + next(p)
            case nets.ReLU():
                h = jnp.maximum(h, 0)
            case nets.GELU():
                h = jax.nn.gelu(h, approximate=False)
            case nets.Softplus():
                h = jax.nn.softplus(h)
            case nets.MaxPool(size, stride, padding):
                if stride or padding:
                    around = [(0, 0), *[(padding, padding)] * (h.ndim - 2), (0, 0)]
                    h = windows(jnp.pad(h, around, constant_values=-jnp.inf), size, stride, -jnp.inf, lax.max)
                else:
                    h = maximum(h, size)
            case nets.AvgPool(size, stride):
                h = windows(h, size, stride, 0.0, lax.add) / size ** (h.ndim - 2)
            case nets.LpPool(size):
                h = jnp.sqrt(windows(h * h, size, size, 0.0, lax.add))
            case nets.Mean():
                h = h.mean(tuple(range(1, h.ndim - 1)))
            case nets.Flatten():
                h = h.reshape(h.shape[0], -1)
            case nets.BatchNorm():
                gain, shift = next(p), next(p)
                whole = normalised(h, tuple(range(h.ndim - 1)), gain, shift) if training else None
                h = h / jnp.sqrt(1 + 1e-5) * gain + shift if whole is None else whole
            case nets.LayerNorm():
                h = normalised(h, (-1,), next(p), next(p))
            case nets.Attention(_, heads):
                h = attention(h, p, heads)
            case nets.Swap():
                h = h.swapaxes(1, 2)
            case nets.Residual(inner, shortcut):
                y = forward(inner, h, p, training)
                h = forward(shortcut, h, p, training) + y
            case nets.Beside(inner):
                h = jnp.concatenate([h, forward(inner, h, p, training)], -1)
    return h


def step(net: nets.Net, batch: int) -> Callable[[], float]:
    x, y = nets.data(net, batch)
    images, labels = jnp.array(x), jnp.array(y.astype(np.int32))
    held = {"p": [jnp.array(value) for value in nets.parameters(net)]}

    def loss(p: list[Any], x: Any, y: Any) -> Any:
        result = forward(net.layers, x, iter(p))
        if net.target == "itself":
            return jnp.mean((result - x) ** 2)
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(result), y[..., None], -1))

    def update(p: list[Any], x: Any, y: Any) -> tuple[Any, list[Any]]:
        value, gradients = jax.value_and_grad(loss)(p, x, y)
        return value, [w - net.rate * g for w, g in zip(p, gradients, strict=True)]

    whole = jax.jit(update, donate_argnums=0)

    def one() -> float:
        value, held["p"] = whole(held["p"], images, labels)
        return float(value)

    return one


def predict(net: nets.Net, batch: int) -> Callable[[], float]:
    """Inference; a number of the result, to compare."""
    images, parameters = jnp.array(nets.data(net, batch)[0]), [jnp.array(value) for value in nets.parameters(net)]
    whole = jax.jit(lambda p, x: forward(net.layers, x, iter(p), training=False))
    return lambda: float(np.asarray(whole(parameters, images)).flat[0])


ENTRANTS = {"jax": step}
PREDICTORS = {"jax": predict}
