"""ONNX's operators on shapes: views, joining, cutting, padding, and arrays made of nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .... import functional as f
from .... import primitives as p
from ....shapes import broadcast_shapes
from ....tape import Array
from ...imported import Imported, on_model
from .known import axis_of, check_room, dtype_of, integer, integers, known

Operation = Callable[..., Any]


def reshape(x: Any, shape: Any, *, allowzero: int = 0) -> Any:
    """The same elements in another shape; 0 keeps a size (unless allowzero), one -1 follows from the others."""
    sizes = integers(shape, "the shape")
    if not allowzero:
        if any(n == 0 and i >= x.ndim for i, n in enumerate(sizes)):
            raise ValueError(f"the shape {sizes} keeps an axis that an input of shape {x.shape} does not have")
        sizes = tuple(x.shape[i] if n == 0 else n for i, n in enumerate(sizes))
    return f.reshape(x, sizes)


def flatten(x: Any, *, axis: int = 1) -> Any:
    """Two axes: those before ``axis`` as one, and the others as one."""
    cut = axis_of(axis, x.ndim, "axis") if axis != x.ndim else x.ndim
    return f.reshape(x, (math.prod(x.shape[:cut]), math.prod(x.shape[cut:])))


def transpose(x: Any, *, perm: Sequence[int] | None = None) -> Any:
    """The axes in another order, or in the opposite one."""
    return f.transpose(x, perm)


def squeeze(x: Any, axes: Any = None) -> Any:
    """x without axes of size 1: those named, or all."""
    return f.squeeze(x, None if axes is None else integers(axes, "axes"))


def unsqueeze(x: Any, axes: Any) -> Any:
    """x with axes of size 1 at these places of the result."""
    return f.expand_dims(x, integers(axes, "axes"))


def expand(x: Any, shape: Any) -> Any:
    """x broadcast with an array of this shape."""
    together = broadcast_shapes(x.shape, integers(shape, "the shape"), operation="Expand")
    check_room(together, x.dtype, "Expand")
    return f.broadcast_to(x, together)


def tile(x: Any, repeats: Any) -> Any:
    """Copies of x side by side, so many along each axis."""
    counts = integers(repeats, "repeats")
    if len(counts) != x.ndim:
        raise ValueError(f"repeats {counts} must have one number for each axis of shape {x.shape}")
    check_room([n * m for n, m in zip(x.shape, counts, strict=True)], x.dtype, "Tile")
    return f.tile(x, counts)


def shape(x: Any, *, start: int = 0, end: int | None = None) -> Array:
    """The sizes of x from one axis to another, bounds beyond the ends being cut."""
    return np.array(x.shape[start:end], np.int64)


def size(x: Any) -> Array:
    """The number of elements."""
    return np.array(x.size, np.int64)


def concat(*xs: Any, axis: int) -> Any:
    """Arrays one after the other along an axis."""
    return xs[0] if len(xs) == 1 else f.concat(xs, axis_of(axis, xs[0].ndim, "axis"))


def split(x: Any, split: Any = None, *, axis: int = 0, num_outputs: int | None = None, outputs: int) -> tuple[Any, ...]:
    """x cut along an axis into parts of these sizes, or into equal ones, of which the last may be smaller."""
    axis = axis_of(axis, x.ndim, "axis")
    n = x.shape[axis]
    if split is not None:
        sizes = integers(split, "split")
    else:
        number = outputs if num_outputs is None else num_outputs
        each = -(-n // number)
        sizes = tuple(max(min(each, n - each * k), 0) for k in range(number))
    if sum(sizes) != n or min(sizes, default=0) < 0 or len(sizes) < outputs:
        raise ValueError(f"parts of sizes {sizes} do not make {n}, the size of axis {axis} of shape {x.shape}")
    ends = [0, *np.cumsum(sizes).tolist()]
    before = (slice(None),) * axis
    return tuple(p.index(x, key=(*before, slice(a, b))) for a, b in pairwise(ends))


def slice_(x: Any, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> Any:
    """x[.., start:end:step, ..]; bounds count from the end where negative, and are cut at the ends."""
    begin, stop = integers(starts, "starts"), integers(ends, "ends")
    along = tuple(range(len(begin))) if axes is None else integers(axes, "axes")
    by = (1,) * len(begin) if steps is None else integers(steps, "steps")
    if not len(begin) == len(stop) == len(along) == len(by):
        raise ValueError(f"{len(begin)} starts, {len(stop)} ends, {len(along)} axes and {len(by)} steps")
    key = [slice(None)] * x.ndim
    for a, b, axis, step in zip(begin, stop, along, by, strict=True):
        if step == 0:
            raise ValueError("a step of 0")
        place = axis_of(axis, x.ndim, "axes")
        n = x.shape[place]
        a, b = (a + n if a < 0 else a), (b + n if b < 0 else b)
        if step > 0:
            a, b = min(max(a, 0), n), min(max(b, 0), n)
            key[place] = slice(a, max(a, b), step)
        else:
            a, b = min(max(a, -1), n - 1), min(max(b, -1), n - 1)
            key[place] = slice(0, 0) if a <= b else slice(a, None if b < 0 else b, step)
    return x if all(k == slice(None) for k in key) else p.index(x, key=tuple(key))


def pad(
    x: Any, pads: Any, constant_value: Any = None, axes: Any = None, *, mode: str = "constant", value: float = 0.0
) -> Any:
    """x with cells added at both ends of its axes, or cut off where negative: pads (all befores, then all afters)."""
    widths = integers(pads, "pads")
    places = tuple(range(x.ndim)) if axes is None else tuple(axis_of(a, x.ndim, "axes") for a in integers(axes, "axes"))
    if len(widths) != 2 * len(places):
        raise ValueError(f"pads {widths} must be two numbers for each of {len(places)} axes")
    pairs = [(0, 0)] * x.ndim
    for k, axis in enumerate(places):
        pairs[axis] = (widths[k], widths[k + len(places)])
    check_room([max(n + a + b, 0) for n, (a, b) in zip(x.shape, pairs, strict=True)], x.dtype, "Pad")
    if not any(map(any, pairs)):
        return x
    if mode != "constant":
        return f.pad(x, pairs, mode)
    fill = value if constant_value is None else known(constant_value, "the constant value").reshape(-1)[0].item()
    return f.pad(x, pairs, "constant", fill)


def depth_to_space(x: Any, *, blocksize: int, mode: str = "DCR") -> Any:
    """(N, C b^2, H, W) to (N, C, H b, W b), the block's cells before the channels (DCR) or after them (CRD)."""
    n, c, h, w = x.shape
    b = blocksize
    if b < 1 or c % (b * b):
        raise ValueError(f"blocksize {b} does not divide {c} channels")
    if mode == "DCR":
        x = p.permute_dims(p.reshape(x, shape=(n, b, b, c // (b * b), h, w)), axes=(0, 3, 4, 1, 5, 2))
    elif mode == "CRD":
        x = p.permute_dims(p.reshape(x, shape=(n, c // (b * b), b, b, h, w)), axes=(0, 1, 4, 2, 5, 3))
    else:
        raise ValueError(f"mode {mode!r}; the modes are DCR and CRD")
    return p.reshape(x, shape=(n, c // (b * b), h * b, w * b))


def space_to_depth(x: Any, *, blocksize: int, mode: str = "DCR") -> Any:
    """(N, C, H b, W b) to (N, C b^2, H, W)."""
    n, c, h, w = x.shape
    b = blocksize
    if b < 1 or h % b or w % b:
        raise ValueError(f"blocksize {b} does not divide the size {h} x {w}")
    axes = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    x = p.permute_dims(p.reshape(x, shape=(n, c, h // b, b, w // b, b)), axes=axes)
    return p.reshape(x, shape=(n, c * b * b, h // b, w // b))


def identity(x: Any) -> Any:
    """x itself."""
    return x


def dropout(
    model: Imported, x: Any, ratio: Any = None, training_mode: Any = None, *, seed: int | None = None, outputs: int
) -> tuple[Any, ...]:
    """x itself; with ``training_mode`` elements are 0 with probability ``ratio``, and the others scaled up."""
    x = model.held(x)
    rate = 0.5 if ratio is None else float(known(model.held(ratio), "the ratio").reshape(()))
    if training_mode is None or not known(model.held(training_mode), "training_mode").any() or rate == 0:
        return x, np.ones(x.shape, bool)
    if not 0 <= rate < 1:
        raise ValueError(f"the ratio {rate} must be at least 0 and below 1")
    kept = model.draw(lambda rng: rng.random(x.shape) >= rate)
    return p.mul(p.where(kept, x, 0), 1 / (1 - rate)), kept


def dropout_before_12(model: Imported, x: Any, *, ratio: float = 0.5, outputs: int) -> tuple[Any, ...]:
    """x itself: there was no training."""
    x = model.held(x)
    return x, np.ones(x.shape, bool)


def constant_of_shape(shape: Any, *, value: Any = None) -> Array:
    """An array of one number in every cell (0 in float32)."""
    sizes = integers(shape, "the shape")
    fill = np.zeros(1, np.float32) if value is None else np.asarray(value).reshape(-1)
    if fill.size != 1:
        raise ValueError(f"the value must be one number, found {fill.size}")
    check_room(sizes, fill.dtype, "ConstantOfShape")
    return np.full(sizes, fill[0], fill.dtype)


def range_(start: Any, limit: Any, delta: Any) -> Array:
    """start, start + delta, .. before the limit."""
    a, b, step = [known(x, "a bound of the range").reshape(-1)[0] for x in (start, limit, delta)]
    if step == 0:
        raise ValueError("a range with a step of 0")
    with np.errstate(all="ignore"):
        span = (float(b) - float(a)) / float(step)
    if not math.isfinite(span):
        raise ValueError(f"a range from {a} to {b} by {step}")
    count = max(math.ceil(span), 0) if a.dtype.kind == "f" else max(-((int(a) - int(b)) // int(step)), 0)
    check_room((count,), a.dtype, "Range")
    return (a + np.arange(count, dtype=a.dtype) * step).astype(a.dtype)


def one_hot(indices: Any, depth: Any, values: Any, *, axis: int = -1) -> Any:
    """values[1] where the new axis' cell is the index, values[0] elsewhere, and for indices beyond the depth."""
    n = integer(np.asarray(known(depth, "the depth")).astype(np.int64), "the depth")
    check_room((*indices.shape, n), values.dtype, "OneHot")
    place = axis_of(axis, indices.ndim + 1, "axis")
    cells = np.arange(n).reshape(-1, *(1,) * (indices.ndim - place))
    spread = f.expand_dims(indices, place)
    hit = f.logical_or(p.equal(spread, cells), p.equal(spread, cells - n))
    return p.where(hit, p.index(values, key=(1,)), p.index(values, key=(0,)))


def trilu(x: Any, k: Any = None, *, upper: int = 1) -> Any:
    """The upper or lower triangle of the last two axes, from the k-th diagonal on; 0 elsewhere."""
    diagonal = 0 if k is None else integer(k, "k")
    rows, columns = np.ogrid[: x.shape[-2], : x.shape[-1]]
    inside = columns - rows >= diagonal if upper else columns - rows <= diagonal
    return p.where(np.broadcast_to(inside, x.shape), x, np.zeros((), x.dtype))


def eye_like(x: Any, *, dtype: int | None = None, k: int = 0) -> Array:
    """1 on the k-th diagonal, 0 elsewhere, in the shape of x."""
    if x.ndim != 2:
        raise ValueError(f"EyeLike of shape {x.shape}; it needs two dimensions")
    check_room(x.shape, x.dtype, "EyeLike")
    rows, columns = x.shape
    made: Array = np.eye(rows, columns, k, dtype=x.dtype if dtype is None else dtype_of(dtype))
    return made


OPERATIONS: dict[str, Operation] = {
    "Reshape": reshape, "Flatten": flatten, "Transpose": transpose, "Squeeze": squeeze, "Unsqueeze": unsqueeze,
    "Expand": expand, "Tile": tile, "Shape": shape, "Size": size, "Concat": concat, "Split": split, "Slice": slice_,
    "Pad": pad, "DepthToSpace": depth_to_space, "SpaceToDepth": space_to_depth, "Identity": identity,
    "Dropout": on_model(dropout), "Dropout before 12": on_model(dropout_before_12),
    "ConstantOfShape": constant_of_shape, "Range": range_, "OneHot": one_hot, "Trilu": trilu, "EyeLike": eye_like,
}  # fmt: skip
