"""Linear algebra and shapes: products over axes, joining, repeating, moving."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from .. import functional as ac
from ..tape import Tensor
from .common import constant, lifted, needs_tensors, plain, trained

__all__ = [
    "broadcast_arrays", "broadcast_to", "concat", "expand_dims", "flip", "matmul", "matrix_transpose",
    "moveaxis", "permute_dims", "repeat", "reshape", "roll", "squeeze", "stack", "tensordot", "tile", "unstack",
    "vecdot",
]  # fmt: skip


# ---- linear algebra


def matmul(x1: Any, x2: Any, /) -> Tensor:
    """The matrix product over the last two axes."""
    needs_tensors("matmul", x1, x2)
    return lifted(ac.matmul(x1, x2)) if trained(x1, x2) else constant(np.matmul(x1.value, x2.value))


def matrix_transpose(x: Any, /) -> Tensor:
    """The last two axes exchanged."""
    if x.ndim < 2:
        raise ValueError(f"matrix_transpose: shape {x.shape} has fewer than two axes")
    return ac.swapaxes(x, -1, -2)


def tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Tensor:
    """The sum of products over ``axes``, as many or as named."""
    if trained(x1, x2):
        return lifted(ac.tensordot(x1, x2, axes))
    return constant(np.tensordot(x1.value, x2.value, axes))


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Tensor:
    """The sum of products along one axis."""
    if not -builtins.min(x1.ndim, x2.ndim) <= axis < 0:
        raise ValueError(f"vecdot: axis={axis}, counted from the end, for shapes {x1.shape} and {x2.shape}")
    if x1.shape[axis] != x2.shape[axis]:
        raise ValueError(
            f"vecdot: {x1.shape[axis]} and {x2.shape[axis]} numbers along axis {axis}; they must be as many"
        )
    if trained(x1, x2):
        return ac.sum(ac.mul(x1, x2), axis)
    product = np.multiply(x1.value, x2.value)
    return constant(np.sum(product, axis, product.dtype))


# ---- shapes


def broadcast_arrays(*arrays: Any) -> list[Tensor]:
    """Each array repeated to the shape that all of them have together."""
    shape = np.broadcast_shapes(*[x.shape for x in arrays])
    return [broadcast_to(x, shape) for x in arrays]


def broadcast_to(x: Any, /, shape: Any) -> Tensor:
    """x repeated along axes of size 1 and new leading ones."""
    return ac.broadcast_to(x, tuple(shape))


def concat(arrays: Any, /, *, axis: int | None = 0) -> Tensor:
    """The arrays one after the other along ``axis``; None: flattened."""
    parts = list(arrays) if axis is not None else [ac.reshape(x, (-1,)) for x in arrays]
    return ac.concat(parts, 0 if axis is None else axis)


def expand_dims(x: Any, /, axis: int) -> Tensor:
    """x with a new axis of size 1."""
    if not isinstance(axis, tuple) and not -x.ndim - 1 <= axis <= x.ndim:
        raise IndexError(f"expand_dims: axis {axis} for {x.ndim} axes; use {-x.ndim - 1} .. {x.ndim}")
    return ac.expand_dims(x, axis)


def flip(x: Any, /, *, axis: Any = None) -> Tensor:
    """x in reverse order along ``axis``; None: along all."""
    return ac.flip(x, axis)


def moveaxis(x: Any, source: Any, destination: Any, /) -> Tensor:
    """Axes moved to other places, the rest in their order."""
    return ac.moveaxis(x, source, destination)


def permute_dims(x: Any, /, axes: Any) -> Tensor:
    """The axes in another order."""
    return ac.transpose(x, tuple(axes))


def repeat(x: Any, repeats: Any, /, *, axis: int | None = None) -> Tensor:
    """Each slice along ``axis`` so many times, one number for all or one for each; None: of the flattened x."""
    return ac.repeat(x, plain(repeats), axis)


def reshape(x: Any, /, shape: Any, *, copy: Any = None) -> Tensor:
    """The same elements in another shape; -1 for the size that follows from the others."""
    return ac.reshape(x, tuple(shape))


def roll(x: Any, /, shift: Any, *, axis: Any = None) -> Tensor:
    """Elements moved along ``axis``, from the end back to the beginning; None: of the flattened x."""
    return ac.roll(x, shift, axis)


def squeeze(x: Any, /, axis: Any) -> Tensor:
    """x without the axes of size 1 that are named."""
    return ac.squeeze(x, axis)


def stack(arrays: Any, /, *, axis: int = 0) -> Tensor:
    """The arrays side by side along a new axis."""
    return ac.stack(list(arrays), axis)


def tile(x: Any, repetitions: Any, /) -> Tensor:
    """Whole copies of x side by side."""
    return ac.tile(x, tuple(repetitions))


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices of x along ``axis``."""
    return tuple(ac.unbind(x, axis))
