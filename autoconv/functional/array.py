"""Shape, joining and indexing functions with NumPy's names and habits, composed of the wiring rows.

Every function takes Tensors (and records) or plain arrays (and returns plain arrays).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from types import EllipsisType
from typing import Any

import numpy as np

from .. import primitives as p
from ..hooks import check
from ..operands import PYTHONS, OutOfRangeError, as_dtype, found, number_as, numbers, real
from ..rows import common_dtype
from ..shapes import (
    Ints,
    Shape,
    broadcast_shapes,
    listed,
    normalize_axes,
    normalize_axis,
    resolve_reshape,
    shown,
    whole_number,
    whole_numbers,
)
from ..tape import Array, Tensor, constant
from .composed import composed, operand
from .spelling import spelled

__all__ = [
    "astype", "broadcast_to", "clip", "concat", "concatenate", "expand_dims", "flatten", "flip", "moveaxis",
    "pad", "permute_dims", "ravel", "repeat", "reshape", "roll", "rot180", "split", "squeeze",
    "stack", "swapaxes", "take", "take_along_axis", "tile", "transpose",
]  # fmt: skip


def as_indices(x: Any) -> Any:
    """Whole numbers in a dtype that NumPy indexes with: 64 bits are cast down on a 32-bit platform."""
    return x if np.can_cast(x.dtype, np.intp) else astype(x, np.intp)


# ---- shape


@spelled
def reshape(x: Any, shape: Ints, *more: int) -> Tensor:
    """The same elements in C order under a new shape; one size may be -1, and then follows from the others.

    ``reshape(x, (2, 3))`` and ``reshape(x, 2, 3)`` are the same.  Raises ValueError if the number of elements differs,
    TypeError for sizes that are not whole numbers.

    >>> ac.reshape(np.arange(6), (2, -1))
    array([[0, 1, 2],
           [3, 4, 5]])
    """
    x = operand(x, "reshape")
    return p.reshape(x, shape=resolve_reshape(x.shape, (*listed(shape), *more)))


@spelled
def transpose(x: Any, axes: Sequence[int] | None = None, *more: int) -> Tensor:
    """y[i_axes[0], i_axes[1], ...] = x[i_0, i_1, ...]; without ``axes`` the order is reversed.  Also called
    ``permute_dims``.

    With two numbers, ``transpose(x, 0, 1)``, which NumPy does not have, it exchanges these axes, as PyTorch does.
    Raises ValueError unless ``axes`` names every axis of x once.

    >>> ac.transpose(np.ones((2, 3, 4)), (2, 0, 1)).shape
    (4, 2, 3)
    """
    x = operand(x, "transpose")
    if more:
        if len(more) > 1 or axes is None:
            raise TypeError(
                f"transpose: {(axes, *more)} are neither two axes nor a tuple of all; write transpose(x, axes)"
            )
        return swapaxes(x, axes, more[0])  # type: ignore[arg-type]
    order = tuple(reversed(range(x.ndim))) if axes is None else normalize_axes(axes, x.ndim, "transpose")
    if len(order) != x.ndim:
        raise ValueError(f"transpose: axes {listed(axes)} must name each of the {x.ndim} axes of shape {x.shape} once")
    return p.permute_dims(x, axes=order)


permute_dims = transpose


@spelled
def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """x with two axes exchanged: y[.., i, .., j, ..] = x[.., j, .., i, ..].  Raises ValueError for an axis that x does
    not have.

    >>> ac.swapaxes(np.ones((2, 3, 4)), 0, 2).shape
    (4, 3, 2)
    """
    x = operand(x, "swapaxes")
    order = list(range(x.ndim))
    i, j = normalize_axis(axis1, x.ndim, "swapaxes"), normalize_axis(axis2, x.ndim, "swapaxes")
    order[i], order[j] = j, i
    return p.permute_dims(x, axes=tuple(order))


@spelled
def moveaxis(x: Any, source: Ints, destination: Ints) -> Tensor:
    """x with the axes ``source`` moved to ``destination``, the others kept in order.

    Raises ValueError for axes that x does not have, or more of one than of the other.

    >>> ac.moveaxis(np.ones((2, 3, 4, 5)), 1, -1).shape  # channels first to channels last
    (2, 4, 5, 3)
    """
    x = operand(x, "moveaxis")
    here, there = normalize_axes(source, x.ndim, "moveaxis"), normalize_axes(destination, x.ndim, "moveaxis")
    if len(here) != len(there):
        raise ValueError(f"moveaxis: {len(here)} source axes for {len(there)} destinations; name as many of each")
    order = [i for i in range(x.ndim) if i not in here]
    for to, axis in sorted(zip(there, here, strict=True)):
        order.insert(to, axis)
    return p.permute_dims(x, axes=tuple(order))


@spelled
def expand_dims(x: Any, axis: Ints) -> Tensor:
    """x with new axes of size 1 at the positions ``axis`` of the result.  Raises ValueError for a position out of
    range.

    >>> ac.expand_dims(np.ones((28, 28)), (0, -1)).shape  # one grey image as a batch
    (1, 28, 28, 1)
    """
    x = operand(x, "expand_dims")
    ndim = x.ndim + len(listed(axis))
    new = normalize_axes(listed(axis), ndim, "expand_dims")
    old = iter(x.shape)
    return p.reshape(x, shape=tuple(1 if i in new else next(old) for i in range(ndim)))


@spelled
def squeeze(x: Any, axis: Ints | None = None) -> Tensor:
    """x without the axes of size 1, or without those named.  Raises ValueError if a named axis has another size.

    >>> ac.squeeze(np.ones((1, 28, 28, 1)), -1).shape
    (1, 28, 28)
    """
    x = operand(x, "squeeze")
    gone = (
        tuple(i for i, n in enumerate(x.shape) if n == 1) if axis is None else normalize_axes(axis, x.ndim, "squeeze")
    )
    if any(x.shape[i] != 1 for i in gone):
        raise ValueError(f"squeeze: axis {axis} of shape {x.shape} has a size other than 1; reduce or index it instead")
    return p.reshape(x, shape=tuple(n for i, n in enumerate(x.shape) if i not in gone))


@spelled
def ravel(x: Any) -> Tensor:
    """All elements in C order, in one dimension.

    >>> ac.ravel([[1, 2], [3, 4]])
    array([1, 2, 3, 4])
    """
    x = operand(x, "ravel")
    return p.reshape(x, shape=(x.size,))


@spelled
def flatten(x: Any, start_axis: int = 0, end_axis: int = -1) -> Tensor:
    """The axes from ``start_axis`` to ``end_axis`` merged into one: flatten(images, 1) is (N, H * W * C).

    Raises ValueError for an axis that x does not have.

    >>> ac.flatten(np.ones((8, 5, 5, 3)), 1).shape
    (8, 75)
    """
    x = operand(x, "flatten")
    start, end = [normalize_axis(i, max(x.ndim, 1), "flatten") + k for k, i in enumerate((start_axis, end_axis))]
    if start >= end:
        raise ValueError(f"flatten: start_axis={start_axis} lies behind end_axis={end_axis} (shape {x.shape})")
    return p.reshape(x, shape=(*x.shape[:start], int(np.prod(x.shape[start:end], dtype=int)), *x.shape[end:]))


@spelled
def broadcast_to(x: Any, shape: Sequence[int]) -> Tensor:
    """x repeated along new leading axes and axes of size 1 up to ``shape``; its adjoint adds the copies up again.

    Raises ValueError for a shape that x cannot be repeated up to.

    >>> ac.broadcast_to([1, 2], (3, 2))
    array([[1, 2],
           [1, 2],
           [1, 2]])
    """
    x, shape = operand(x, "broadcast_to"), whole_numbers(shape, "broadcast_to: shape", 0)
    fits = len(shape) >= x.ndim and all(n in (1, m) for n, m in zip(reversed(x.shape), reversed(shape), strict=False))
    if not fits:
        raise ValueError(
            f"broadcast_to: shape {x.shape} cannot be repeated up to {shape}; each size must be equal or 1, counted "
            "from the last axis"
        )
    return x if x.shape == shape else p.broadcast_to(x, shape=shape)


@spelled
def flip(x: Any, axis: Ints | None = None) -> Tensor:
    """x in reverse order along ``axis`` (None: every axis): y[i] = x[n - 1 - i].  Raises ValueError for an axis out of
    range.

    >>> ac.flip([1, 2, 3])
    array([3, 2, 1])
    """
    x = operand(x, "flip")
    return p.flip(x, axis=normalize_axes(axis, x.ndim, "flip"))


@spelled
def rot180(kernel: Any) -> Tensor:
    """A kernel rotated by 180 degrees in its first two axes: k'[i, j] = k[H - 1 - i, W - 1 - j].

    conv2d(x, rot180(k)) is the mathematician's convolution with k.  Raises ValueError below two dimensions.

    >>> ac.rot180([[1, 2], [3, 4]])
    array([[4, 3],
           [2, 1]])
    """
    kernel = operand(kernel, "rot180")
    return p.flip(kernel, axis=normalize_axes((0, 1), kernel.ndim, "rot180"))


@spelled
def roll(x: Any, shift: Ints, axis: Ints | None = None) -> Tensor:
    """x moved on by ``shift`` along ``axis``, what falls off the end coming in at the start:
    y[i] = x[(i - shift) mod n].

    axis None: along the flattened x, whose shape comes back, as in NumPy and PyTorch; several axes are rolled one after
    the other, by a shift each or all by one.  Raises ValueError for axes that x does not have, or other numbers of
    shifts.

    >>> ac.roll([1, 2, 3, 4], 1)
    array([4, 1, 2, 3])
    """
    x = operand(x, "roll")
    if axis is None:
        return reshape(roll(ravel(x), shift, 0), x.shape)
    shifts, axes = whole_numbers(shift, "roll: shift"), [normalize_axis(i, x.ndim, "roll") for i in listed(axis)]
    if len(shifts) not in (1, len(axes)):
        raise ValueError(f"roll: {len(shifts)} shifts for {len(axes)} axes; give one for each, or one for all")
    for i, by in zip(axes, shifts * len(axes) if len(shifts) == 1 else shifts, strict=True):
        x = p.take(x, np.roll(np.arange(x.shape[i]), by), axis=i)
    result: Tensor = x
    return result


@spelled
def tile(x: Any, repetitions: Ints) -> Tensor:
    """Copies of x side by side, ``repetitions`` of them along each axis, counted from the last.

    >>> ac.tile([1, 2], 3)
    array([1, 2, 1, 2, 1, 2])
    """
    x = operand(x, "tile")
    counts = whole_numbers(repetitions, "tile: repetitions", 0)
    ndim = max(len(counts), x.ndim)
    shape, counts = (1,) * (ndim - x.ndim) + x.shape, (1,) * (ndim - len(counts)) + counts
    between = reshape(x, tuple(n for size in shape for n in (1, size)))
    repeated = broadcast_to(between, tuple(n for pair in zip(counts, shape, strict=True) for n in pair))
    return reshape(repeated, tuple(c * n for c, n in zip(counts, shape, strict=True)))


@spelled
def repeat(x: Any, repeats: Ints, axis: int | None = None) -> Tensor:
    """Each slice of x along ``axis`` repeated ``repeats`` times in place; None: of the flattened x.

    repeats: a number, or one for each slice.  This is np.repeat and torch.repeat_interleave; what PyTorch calls
    x.repeat is ``tile``.  Raises ValueError for an axis that x does not have, a negative number or another number of
    numbers, TypeError for one that is not whole.

    >>> ac.repeat([[1, 2]], 2, axis=1)
    array([[1, 1, 2, 2]])
    """
    x = operand(x, "repeat")
    x, axis = (ravel(x), 0) if axis is None else (x, normalize_axis(axis, x.ndim, "repeat"))
    times, n = whole_numbers(repeats, "repeat: repeats", 0), x.shape[axis]
    if len(times) not in (1, n):
        raise ValueError(f"repeat: {len(times)} repeats for the {n} slices along axis {axis} of shape {x.shape}")
    return p.take(x, np.repeat(np.arange(n), times[0] if len(times) == 1 else times), axis=axis)


# ---- joining and parting


@spelled
def concat(xs: Sequence[Any], axis: int = 0) -> Tensor:
    """The arrays ``xs`` one after the other along ``axis``; the other sizes must be equal.  Also called
    ``concatenate``.

    Raises ValueError for no arrays, or shapes that differ in another axis.

    >>> ac.concat([[[1, 2]], [[3, 4]]], axis=0)
    array([[1, 2],
           [3, 4]])
    """
    parts = several(xs, "concat")
    if not parts:
        raise ValueError("concat: there is nothing to join; give at least one array")
    axis = normalize_axis(axis, parts[0].ndim, "concat")
    rests = {(*x.shape[:axis], *x.shape[axis + 1 :]) for x in parts}
    if len(rests) > 1 or len({x.ndim for x in parts}) > 1:
        raise ValueError(
            f"concat: shapes {' and '.join(str(x.shape) for x in parts)} differ in an axis other than {axis}"
        )
    dtype = np.result_type(*[x.dtype for x in parts])
    if any(isinstance(x, Tensor) for x in parts):
        parts = [x if isinstance(x, Tensor) else constant(x) for x in parts]
    return p.concat(*[x if x.dtype == dtype else p.cast(x, dtype=dtype) for x in parts], axis=axis)


concatenate = concat


@spelled
def stack(xs: Sequence[Any], axis: int = 0) -> Tensor:
    """Arrays of one shape along a new axis: y[i] = xs[i] for axis 0.  Raises ValueError for shapes that differ.

    >>> ac.stack([[1, 2], [3, 4]], axis=1)
    array([[1, 3],
           [2, 4]])
    """
    parts = several(xs, "stack")
    if not parts:
        raise ValueError("stack: there is nothing to join; give at least one array")
    if len({x.shape for x in parts}) > 1:
        raise ValueError(f"stack: shapes {' and '.join(str(x.shape) for x in parts)} must be equal")
    axis = normalize_axis(axis, parts[0].ndim + 1, "stack")
    return concat([expand_dims(x, axis) for x in parts], axis)


def several(xs: Any, name: str) -> list[Any]:
    """The arrays to be joined: a sequence of them, or an array, whose slices they are."""
    if isinstance(xs, Tensor | np.ndarray) and xs.ndim:
        return [operand(x, f"{name}: xs") for x in xs]
    if not isinstance(xs, Sequence) or isinstance(xs, str | bytes):
        raise TypeError(f"{name}: xs must be a sequence of arrays, found {found(xs)}; as in {name}([x, y])")
    return [operand(x, f"{name}: xs[{i}]") for i, x in enumerate(xs)]


@spelled
def split(x: Any, sections: int | Sequence[int], axis: int = 0) -> list[Any]:
    """x cut along ``axis`` into ``sections`` equal parts, or before each of the indices given.

    Raises ValueError if the parts would not be equal.

    >>> ac.split(np.arange(6), [2, 3])
    [array([0, 1]), array([2]), array([3, 4, 5])]
    """
    x = operand(x, "split")
    axis = normalize_axis(axis, x.ndim, "split")
    n = x.shape[axis]
    if len(cuts := listed(sections)) == 1 and cuts[0] is sections:
        sections = whole_number(sections, "split: sections")
        if sections < 1 or n % sections:
            raise ValueError(
                f"split: {n} elements along axis {axis} do not make {sections} equal parts; give the indices to cut at"
            )
        cuts = tuple(k * (n // sections) for k in range(1, sections))
    cuts = (0, *whole_numbers(cuts, "split: index"), n)
    return [p.index(x, key=(*(slice(None),) * axis, slice(a, b))) for a, b in pairwise(cuts)]


PAD_MODES = {
    "edge": "edge", "replicate": "edge", "reflect": "reflect", "symmetric": "symmetric", "wrap": "wrap",
    "circular": "wrap",
}  # fmt: skip


@spelled
def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: float = 0) -> Tensor:
    """x with (before, after) cells added on each axis: a constant, or cells repeated as np.pad's "edge", "reflect",
    "symmetric" and "wrap" have it (PyTorch's "replicate" and "circular" are "edge" and "wrap").

    pad_width: a number, one (before, after) pair, or one pair for each axis; a negative one takes cells away.  Raises
    ValueError for other widths or modes.

    >>> ac.pad([1, 2, 3], (1, 2))
    array([0, 1, 2, 3, 0, 0])
    >>> ac.pad([1, 2, 3], (-1, 2), mode="reflect")
    array([2, 3, 2, 1])
    """
    x = operand(x, "pad")
    if not isinstance(mode, str) or mode not in ("constant", *PAD_MODES):
        raise ValueError(f"pad: unknown mode {shown(mode)}; use 'constant', {', '.join(map(repr, PAD_MODES))}")
    try:
        widths = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2)).tolist()
    except Exception:
        raise ValueError(
            f"pad: {shown(pad_width)} is not a number, a (before, after) pair, or a pair for each axis of shape "
            f"{x.shape}"
        ) from None
    pairs = [(whole_number(a, "pad: width"), whole_number(b, "pad: width")) for a, b in widths]
    away = tuple((max(-a, 0), max(-b, 0)) for a, b in pairs)
    if any(a + b > n for n, (a, b) in zip(x.shape, away, strict=True)):
        raise ValueError(f"pad: widths {tuple(pairs)} take away more cells than shape {x.shape} has")
    more = tuple((max(a, 0), max(b, 0)) for a, b in pairs)
    if not any(map(any, away)):
        return _padded(x, more, mode, constant_values)
    if mode in ("wrap", "circular"):  # what is left goes round; reflections see the cells that are taken away
        return _padded(p.crop(x, width=away), more, mode, constant_values)
    return p.crop(_padded(x, more, mode, constant_values), width=away)


def _padded(x: Any, pairs: tuple[tuple[int, int], ...], mode: str, constant_values: float) -> Tensor:
    """``pad`` for widths of which none is negative."""
    if mode == "constant":
        real(constant_values, "pad: constant_values")
        padded = p.pad(x, width=pairs)
        return (
            padded if not constant_values else p.where(np.pad(np.ones(x.shape, bool), pairs), padded, constant_values)
        )
    if any(n == 0 and any(pair) for n, pair in zip(x.shape, pairs, strict=True)):
        raise ValueError(
            f"pad: mode {mode!r} repeats cells, and shape {x.shape} has none along an axis to be padded "
            f"({tuple(pairs)}); use mode='constant'"
        )
    for axis, pair in enumerate(pairs):
        if any(pair):
            cells = np.pad(np.arange(x.shape[axis]), pair, mode=PAD_MODES[mode])  # type: ignore[call-overload]
            x = p.take(x, cells, axis=axis)
    result: Tensor = x
    return result


# ---- indexing and choosing


def getitem(x: Any, key: Any) -> Tensor:
    """x[key] as NumPy has it: integers, slices, None, Ellipsis, index arrays and masks."""
    key = np.asarray(numbers(key, "index")) if isinstance(key, list) else key
    if isinstance(key, Tensor | np.ndarray) and key.ndim and key.dtype.kind in "iu" and x.ndim:
        return p.take(x, as_indices(key), axis=0)
    parts = key if isinstance(key, tuple) else (key,)
    parts = tuple(k.value if isinstance(k, Tensor) else k for k in parts)
    if all(
        k is None or k is Ellipsis or (isinstance(k, int | np.integer | slice) and not isinstance(k, bool))
        for k in parts
    ):
        return p.index(x, key=parts)
    try:
        names = np.arange(x.size).reshape(x.shape)[parts]  # ask NumPy which elements the key reads
    except (IndexError, ValueError, TypeError) as error:
        wrong = all(isinstance(k, list | np.ndarray | np.generic | int | slice | EllipsisType | None) for k in parts)
        raise (OutOfRangeError if wrong else TypeError)(
            f"index {shown(key)} of a Tensor of shape {x.shape}: {error}; use integers, slices, None, ..., index "
            "arrays or masks"
        ) from None
    return p.take(reshape(x, -1), names, axis=0)


@spelled
def take(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """The slices of x at ``indices`` (whole numbers, any shape) along ``axis``; None: of the flattened x.

    y[.., *i, ..] = x[.., indices[*i], ..].  The gradient is added up where an index is repeated.  Raises TypeError for
    indices that are not integers, IndexError for one out of range.

    >>> ac.take([10, 20, 30], [[0, 2], [2, 2]])
    array([[10, 30],
           [30, 30]])
    """
    x = operand(x, "take")
    x = ravel(x) if axis is None else x
    indices = _indices(indices, "take")
    axis = 0 if axis is None else normalize_axis(axis, x.ndim, "take")
    return p.take(x, as_indices(indices), axis=axis)


@spelled
def take_along_axis(x: Any, indices: Any, axis: int) -> Tensor:
    """y[.., i, ..] = x[.., indices[.., i, ..], ..]: one choice of index along ``axis`` for each place.

    Raises ValueError for indices of another number of dimensions, IndexError for one out of range.

    >>> scores = np.array([[0.1, 0.9], [0.8, 0.2]])
    >>> ac.take_along_axis(scores, [[1], [0]], 1)
    array([[0.9],
           [0.8]])
    """
    x, indices = operand(x, "take_along_axis"), _indices(indices, "take_along_axis")
    axis = normalize_axis(axis, x.ndim, "take_along_axis")
    rest = [(n, m) for i, (n, m) in enumerate(zip(x.shape, indices.shape, strict=False)) if i != axis]
    if indices.ndim != x.ndim or any(n != m and 1 not in (n, m) for n, m in rest):
        raise ValueError(
            f"take_along_axis: indices of shape {indices.shape} for shape {x.shape}; the sizes must be equal or 1 but "
            f"for axis {axis}"
        )
    check(partial(in_axis, "take_along_axis", axis, x.shape), indices)
    return p.take(ravel(x), flat_places(x.shape, as_indices(indices), axis), axis=0)


def flat_places(shape: Shape, indices: Any, axis: int) -> Any:
    """Where ``indices`` along ``axis`` lie in the flattened array of ``shape``; a recorded line if they are one."""
    n, stride = shape[axis], int(np.prod(shape[axis + 1 :], dtype=int))
    first = np.arange(int(np.prod(shape, dtype=int))).reshape(shape).take([0] if n else [], axis=axis)
    return p.add(p.mul(p.where(p.less(indices, 0), p.add(indices, n), indices), stride), first)


def in_axis(name: str, axis: int, shape: Shape, indices: Array) -> None:
    """IndexError for an index beyond the size of ``axis``."""
    n = shape[axis]
    if indices.size and not -n <= indices.min() <= indices.max() < n:
        raise OutOfRangeError(
            f"{name}: indices {indices.min()} .. {indices.max()} along axis {axis} of shape {shape}; they must be in "
            f"-{n} .. {n - 1}"
        )


def _indices(indices: Any, name: str) -> Any:
    """Whole numbers as a Tensor or an array; no indices at all may be of any dtype."""
    indices = operand(indices, f"{name}: indices")
    if indices.dtype.kind not in "iu":
        raise TypeError(f"{name}: indices must be integers, found dtype {indices.dtype} (shape {indices.shape})")
    return indices


@composed("x")
def clip(x: Any, low: Any = None, high: Any = None) -> Tensor:
    """min(max(x, low), high); the slope is 1 between the bounds, and 0 beyond and at them, as relu's is at 0.

    PyTorch has 0 at a bound for ``clamp`` from version 2.14 on (1 before), and always had for ``hardtanh``.
    low, high: numbers, arrays that broadcast against x, or None for no bound on that side.

    >>> ac.clip([-2.0, 0.5, 3.0], 0, 1)
    array([0. , 0.5, 1. ])
    """
    low, high = _bound(x, low, "clip: low"), _bound(x, high, "clip: high")
    broadcast_shapes(*[np.shape(b) for b in (x, low, high) if b is not None], operation="clip")
    if low is not None:
        x = p.maximum(low, x, ties="first")
    return x if high is None else p.minimum(high, x, ties="first")


def _bound(x: Any, bound: Any, what: str) -> Any:
    if type(bound) in PYTHONS:
        number_as(bound, common_dtype((x, bound)), what)
        return bound
    return None if bound is None else operand(bound, what)


@spelled
def astype(x: Any, dtype: Any) -> Tensor:
    """x in another dtype, by a recorded line; the gradient comes back in x's own.  Raises TypeError for an unknown
    dtype.

    >>> x = ac.tensor([1.0, 2.0], dtype=np.float32)
    >>> y = ac.astype(x, float)
    >>> y.sum().backward()
    >>> y.dtype, x.grad.dtype
    (dtype('float64'), dtype('float32'))
    """
    x = operand(x, "astype")
    dtype = as_dtype(dtype, "astype:")
    return x if x.dtype == dtype else p.cast(x, dtype=dtype)
