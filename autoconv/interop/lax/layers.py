"""lax's contractions, convolutions and reductions of windows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from string import ascii_letters
from typing import Any

import numpy as np

from ... import functional as f
from ... import primitives as p
from ...functional.reduce import tournament
from ...transforms import vjp
from ..graph import UnsupportedError
from .elementwise import convert_element_type
from .reduce import highest, lowest
from .wiring import dilated, edged

Operation = Callable[..., Any]
Ints = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]


def dot_general(x: Any, y: Any, dimension_numbers: Any, preferred_element_type: Any = None) -> Any:
    """sum over the contracted axes of x y: batch axes first, then x's own, then y's own."""
    (x_summed, y_summed), (x_batch, y_batch) = dimension_numbers
    letters = iter(ascii_letters)
    of_x = [next(letters) for _ in x.shape]
    of_y: list[str] = [""] * y.ndim
    for i, k in (*zip(x_batch, y_batch, strict=True), *zip(x_summed, y_summed, strict=True)):
        of_y[k] = of_x[i]
    own = [k for k, letter in enumerate(of_y) if not letter]
    for k in own:
        of_y[k] = next(letters)
    result = [of_x[i] for i in x_batch]
    result += [letter for i, letter in enumerate(of_x) if i not in (*x_batch, *x_summed)]
    result += [of_y[k] for k in own]
    made = p.contract(x, y, spec=f"{''.join(of_x)},{''.join(of_y)}->{''.join(result)}")
    return _preferred(made, preferred_element_type)


def _preferred(y: Any, dtype: Any) -> Any:
    """y in the dtype that its reader was promised; the numbers of a wider one are kept."""
    if dtype is None or (y.dtype.kind == "f" and np.dtype(dtype).itemsize <= y.dtype.itemsize):
        return y
    return convert_element_type(y, dtype)


_CONVOLUTIONS = {1: f.conv1d, 2: f.conv2d, 3: f.conv3d}


def conv_general_dilated(
    x: Any,
    kernel: Any,
    window_strides: Ints,
    padding: Pairs,
    lhs_dilation: Ints,
    rhs_dilation: Ints,
    dimension_numbers: Any,
    feature_group_count: int,
    batch_group_count: int,
    preferred_element_type: Any = None,
) -> Any:
    """A convolution of one to three dimensions: x with cells of 0 between its own and around it, channels last.

    dimension_numbers: where batch, channels and space stand in x, (output, input channels and space) in the kernel,
    and batch, channels and space in the result.  Batch groups are channel groups of a smaller batch.
    """
    of_x, of_kernel, of_y = dimension_numbers
    dims = len(window_strides)
    if dims not in _CONVOLUTIONS:
        raise UnsupportedError(f"conv_general_dilated: {dims} spatial dimensions; there are convolutions of 1, 2 and 3")
    x = p.permute_dims(x, axes=(of_x[0], *of_x[2:], of_x[1]))
    kernel = p.permute_dims(kernel, axes=(*of_kernel[2:], of_kernel[1], of_kernel[0]))
    x = edged(dilated(x, (1, *lhs_dilation, 1)), ((0, 0), *padding, (0, 0)))
    groups = feature_group_count
    if batch_group_count > 1:
        groups = batch_group_count
        n, *space, channels = x.shape
        parted = p.reshape(x, shape=(groups, n // groups, *space, channels))
        parted = p.permute_dims(parted, axes=(1, *range(2, 2 + dims), 0, 2 + dims))
        x = p.reshape(parted, shape=(n // groups, *space, groups * channels))
    y = _CONVOLUTIONS[dims](x, kernel, stride=tuple(window_strides), dilation=tuple(rhs_dilation), groups=groups)
    places = (of_y[0], *of_y[2:], of_y[1])
    return _preferred(p.permute_dims(y, axes=tuple(map(int, np.argsort(places)))), preferred_element_type)


# ---- windows

_MAX_POOLS = {1: f.max_pool1d, 2: f.max_pool2d, 3: f.max_pool3d}


def reduce_window_max(
    x: Any, window_dimensions: Ints, window_strides: Ints, padding: Pairs, base_dilation: Ints, window_dilation: Ints
) -> Any:
    """The largest of each window, the first of equal ones; a margin is below every number."""
    pooled = _as_pool(x, window_dimensions, window_strides, padding, base_dilation, window_dilation)
    if pooled is not None:
        return pooled
    framed = _framed(x, lowest(x.dtype), window_dimensions, window_strides, padding, base_dilation, window_dilation)
    return _won(partial(p.maximum, ties="first"), framed)


def reduce_window_min(
    x: Any, window_dimensions: Ints, window_strides: Ints, padding: Pairs, base_dilation: Ints, window_dilation: Ints
) -> Any:
    """The smallest of each window, the first of equal ones; a margin is above every number."""
    framed = _framed(x, highest(x.dtype), window_dimensions, window_strides, padding, base_dilation, window_dilation)
    return _won(partial(p.minimum, ties="first"), framed)


def reduce_window_sum(
    x: Any, window_dimensions: Ints, window_strides: Ints, padding: Pairs, base_dilation: Ints, window_dilation: Ints
) -> Any:
    """The sum of each window."""
    return f.sum(_framed(x, 0, window_dimensions, window_strides, padding, base_dilation, window_dilation), axis=-1)


def _as_pool(x: Any, window: Ints, strides: Ints, padding: Pairs, base: Ints, dilation: Ints) -> Any:
    """The layer max pooling, where windows go over the space of images alone and the margins are no wider than it
    takes; None otherwise."""
    dims = x.ndim - 2
    for layout, space in (("channels_last", slice(1, -1)), ("channels_first", slice(2, None))):
        outside = [k for k in range(x.ndim) if k not in range(x.ndim)[space]]
        plain = all(window[k] == strides[k] == 1 and padding[k] == (0, 0) for k in outside)
        narrow = all(2 * max(pair) <= n for pair, n in zip(padding[space], window[space], strict=True))
        usual = set(base) == set(dilation) == {1} and x.dtype.kind == "f" and all(min(pair) >= 0 for pair in padding)
        fits = all(low + n + high >= w for n, (low, high), w in zip(x.shape, padding, window, strict=True))
        if dims in _MAX_POOLS and plain and narrow and usual and fits:
            pool = _MAX_POOLS[dims]
            pairs = tuple(tuple(pair) for pair in padding[space])
            return pool(x, tuple(window[space]), stride=tuple(strides[space]), padding=pairs, layout=layout)
    return None


def _framed(x: Any, margin: Any, window: Ints, strides: Ints, padding: Pairs, base: Ints, dilation: Ints) -> Any:
    """The windows of x, one along the last axis, with ``margin`` around and between the cells of x."""
    spread = edged(dilated(x, base), padding)
    if margin != 0 and spread is not x:
        inside = edged(dilated(np.ones(x.shape, np.int8), base), padding) > 0
        spread = p.where(inside, spread, np.array(margin, x.dtype))
    axes = tuple(range(x.ndim))
    framed = p.windows(spread, axes=axes, window=tuple(window), stride=tuple(strides), dilation=tuple(dilation))
    return p.reshape(framed, shape=(*framed.shape[: x.ndim], prod(window)))


def _won(combine: Operation, framed: Any) -> Any:
    won = tournament(combine, framed, framed.ndim - 1)
    return p.reshape(won, shape=won.shape[:-1])


def select_and_scatter_add(
    source: Any,
    x: Any,
    select_prim: str,
    window_dimensions: Ints,
    window_strides: Ints,
    padding: Pairs,
) -> Any:
    """The adjoint of ``reduce_window_max`` (or min) at x: each window's share goes to the cell that won it."""
    once = (1,) * x.ndim
    pool = reduce_window_max if select_prim == "ge" else reduce_window_min
    moved = partial(
        pool, window_dimensions=window_dimensions, window_strides=window_strides, padding=padding, base_dilation=once,
        window_dilation=once,
    )  # fmt: skip
    _, pull = vjp(moved, x)
    return pull(source)[0]


OPERATIONS: dict[str, Operation] = {
    "dot_general": dot_general, "conv_general_dilated": conv_general_dilated, "reduce_window_max": reduce_window_max,
    "reduce_window_min": reduce_window_min, "reduce_window_sum": reduce_window_sum,
    "select_and_scatter_add": select_and_scatter_add,
}  # fmt: skip
