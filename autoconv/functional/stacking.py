"""Joining, parting and turning arrays under NumPy's further names, composed of ``concat``, ``split``, ``flip``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import primitives as p
from ..shapes import Ints, Shape, normalize_axis, whole_number, whole_numbers
from ..tape import Tensor
from .array import concat, flip, ravel, reshape, several, split, swapaxes
from .composed import composed, operand
from .spelling import spelled

__all__ = [
    "append", "array_split", "atleast_1d", "atleast_2d", "atleast_3d", "column_stack", "diff", "dstack",
    "fliplr", "flipud", "hsplit", "hstack", "rot90", "unflatten", "unsqueeze", "vsplit", "vstack",
]  # fmt: skip


# ---- joining


def atleast_1d(x: Any) -> Tensor:
    """x, a number as an array of one element.

    >>> ac.atleast_1d(2.0)
    array([2.])
    """
    x = operand(x, "atleast_1d")
    return x if x.ndim else reshape(x, (1,))


def atleast_2d(x: Any) -> Tensor:
    """x, with fewer than two axes as a row.

    >>> ac.atleast_2d([1.0, 2.0])
    array([[1., 2.]])
    """
    x = operand(x, "atleast_2d")
    return x if x.ndim > 1 else reshape(x, (1, x.size))


def atleast_3d(x: Any) -> Tensor:
    """x, with fewer than three axes: (n,) becomes (1, n, 1), (n, m) becomes (n, m, 1).

    >>> ac.atleast_3d([1.0, 2.0]).shape
    (1, 2, 1)
    """
    x = operand(x, "atleast_3d")
    return x if x.ndim > 2 else reshape(x, _three(x.shape))


@spelled
def vstack(xs: Sequence[Any]) -> Tensor:
    """Arrays one below the other: ``concat`` along axis 0, vectors as rows.  Raises ValueError for other widths.

    >>> ac.vstack([[1, 2], [3, 4]])
    array([[1, 2],
           [3, 4]])
    """
    return _joined("vstack", several(xs, "vstack"), lambda shape: shape if len(shape) > 1 else (1, *(shape or (1,))), 0)


@spelled
def hstack(xs: Sequence[Any]) -> Tensor:
    """Arrays side by side: ``concat`` along axis 1, of vectors along axis 0.  Raises ValueError for other heights.

    >>> ac.hstack([[1, 2], [3, 4]])
    array([1, 2, 3, 4])
    """
    parts = several(xs, "hstack")
    return _joined("hstack", parts, lambda shape: shape or (1,), 0 if parts and parts[0].ndim < 2 else 1)


@spelled
def dstack(xs: Sequence[Any]) -> Tensor:
    """Arrays one behind the other: ``concat`` along axis 2.  Raises ValueError for other sizes.

    >>> ac.dstack([[1, 2], [3, 4]])
    array([[[1, 3],
            [2, 4]]])
    """
    return _joined("dstack", several(xs, "dstack"), _three, 2)


@spelled
def column_stack(xs: Sequence[Any]) -> Tensor:
    """Vectors as the columns of a matrix; matrices side by side.  Raises ValueError for other heights.

    >>> ac.column_stack([[1, 2], [3, 4]])
    array([[1, 3],
           [2, 4]])
    """
    return _joined(
        "column_stack", several(xs, "column_stack"), lambda shape: shape if len(shape) > 1 else (*(shape or (1,)), 1), 1
    )


def _three(shape: Shape) -> Shape:
    """A shape with at least three axes, as ``atleast_3d`` has it."""
    return shape if len(shape) > 2 else (*shape, 1) if len(shape) == 2 else (1, *(shape or (1,)), 1)


def _joined(name: str, parts: list[Any], shaped: Callable[[Shape], Shape], axis: int) -> Tensor:
    """Arrays joined in these shapes; ValueError, before anything is recorded, for shapes that do not fit."""
    if not parts:
        raise ValueError(f"{name}: there is nothing to join; give at least one array")
    shapes = [shaped(tuple(x.shape)) for x in parts]
    rests = {(len(shape), *shape[:axis], *shape[axis + 1 :]) for shape in shapes}
    if len(rests) > 1:
        raise ValueError(f"{name}: shapes {' and '.join(str(x.shape) for x in parts)} do not fit together")
    fitted = [x if x.shape == shape else reshape(x, shape) for x, shape in zip(parts, shapes, strict=True)]
    return concat(fitted, axis)


@spelled
def append(x: Any, values: Any, axis: int | None = None) -> Tensor:
    """x with ``values`` behind it along ``axis``; None: both flattened.

    >>> ac.append([1, 2], [3])
    array([1, 2, 3])
    """
    x, values = operand(x, "append: x"), operand(values, "append: values")
    return concat([ravel(x), ravel(values)], 0) if axis is None else concat([x, values], axis)


# ---- parting


@spelled
def array_split(x: Any, sections: int | Sequence[int], axis: int = 0) -> list[Any]:
    """x cut along ``axis`` into ``sections`` parts, the first ones longer by one where they do not come out equal.

    Or before each of the indices given, as ``split``.

    >>> [part.tolist() for part in ac.array_split(np.arange(5), 2)]
    [[0, 1, 2], [3, 4]]
    """
    x = operand(x, "array_split")
    axis = normalize_axis(axis, x.ndim, "array_split")
    if isinstance(sections, Sequence | np.ndarray):
        return split(x, sections, axis)
    number = whole_number(sections, "array_split: sections", 1)
    size, longer = divmod(x.shape[axis], number)
    return split(x, [k * size + min(k, longer) for k in range(1, number)], axis)


@spelled
def vsplit(x: Any, sections: int | Sequence[int]) -> list[Any]:
    """``split`` along axis 0 of an array with two axes or more.

    >>> [part.shape for part in ac.vsplit(np.ones((4, 2)), 2)]
    [(2, 2), (2, 2)]
    """
    return split(_axes(x, 2, "vsplit"), sections, 0)


@spelled
def hsplit(x: Any, sections: int | Sequence[int]) -> list[Any]:
    """``split`` along axis 1, of a vector along axis 0.

    >>> [part.shape for part in ac.hsplit(np.ones((4, 2)), 2)]
    [(4, 1), (4, 1)]
    """
    x = _axes(x, 1, "hsplit")
    return split(x, sections, 0 if x.ndim == 1 else 1)


def _axes(x: Any, least: int, name: str) -> Any:
    """x as an operand of at least so many axes."""
    x = operand(x, name)
    if x.ndim < least:
        raise ValueError(f"{name}: the input has shape {x.shape}; it needs {least} axes or more")
    return x


# ---- turning


def flipud(x: Any) -> Tensor:
    """The rows in reverse order.

    >>> ac.flipud([[1, 2], [3, 4]])
    array([[3, 4],
           [1, 2]])
    """
    return flip(_axes(x, 1, "flipud"), 0)


def fliplr(x: Any) -> Tensor:
    """The columns in reverse order.

    >>> ac.fliplr([[1, 2], [3, 4]])
    array([[2, 1],
           [4, 3]])
    """
    return flip(_axes(x, 2, "fliplr"), 1)


@spelled
def rot90(x: Any, k: int = 1, axes: Ints = (0, 1)) -> Tensor:
    """x turned k times by 90 degrees, from the first of two ``axes`` to the second.

    >>> ac.rot90([[1, 2], [3, 4]])
    array([[2, 4],
           [1, 3]])
    """
    x, turns = _axes(x, 2, "rot90"), whole_number(k, "rot90: k") % 4
    plane = [normalize_axis(i, x.ndim, "rot90") for i in whole_numbers(axes, "rot90: axes")]
    if len(plane) != 2 or plane[0] == plane[1]:
        raise ValueError(f"rot90: axes={axes} must be two of the axes of shape {x.shape}")
    first, second = plane
    if turns == 1:
        return swapaxes(flip(x, second), first, second)
    if turns == 3:
        return flip(swapaxes(x, first, second), second)
    return flip(x, (first, second)) if turns else x


# ---- PyTorch's shapes


@spelled
def unsqueeze(x: Any, axis: int) -> Tensor:
    """x with a new axis of size 1 at the place ``axis`` of the result: ``expand_dims`` for one axis.

    >>> ac.unsqueeze([1, 2], 1).shape
    (2, 1)
    """
    x = operand(x, "unsqueeze")
    at = normalize_axis(axis, x.ndim + 1, "unsqueeze")
    return reshape(x, (*x.shape[:at], 1, *x.shape[at:]))


@spelled
def unflatten(x: Any, axis: int, sizes: Ints) -> Tensor:
    """One axis parted into several: (N, 12) becomes (N, 3, 4) for axis 1 and (3, 4); one size may be -1.

    Raises ValueError for sizes whose product is another.

    >>> ac.unflatten(np.zeros((2, 12)), 1, (3, -1)).shape
    (2, 3, 4)
    """
    x = operand(x, "unflatten")
    at, wanted = normalize_axis(axis, x.ndim, "unflatten"), whole_numbers(sizes, "unflatten: sizes", -1)
    n, known = x.shape[at], 1
    for size in wanted:
        known *= size if size != -1 else 1
    parts = tuple(n // max(known, 1) if size == -1 else size for size in wanted)
    if wanted.count(-1) > 1 or known * (parts[wanted.index(-1)] if -1 in wanted else 1) != n:
        raise ValueError(f"unflatten: axis {at} of shape {x.shape} has {n} elements, not those of {wanted}")
    return reshape(x, (*x.shape[:at], *parts, *x.shape[at + 1 :]))


@composed("x")
def diff(x: Any, n: int = 1, axis: int = -1) -> Tensor:
    """y_i = x_(i + 1) - x_i along ``axis``, n times.

    >>> ac.diff([1.0, 4.0, 9.0])
    array([3., 5.])
    """
    times, at = whole_number(n, "diff: n", 0), normalize_axis(axis, x.ndim, "diff")
    before = (slice(None),) * at
    for _ in range(min(times, x.shape[at])):
        ends = [p.index(x, key=(*before, slice(a, b))) for a, b in ((1, None), (0, -1))]
        x = p.not_equal(*ends) if x.dtype == bool else p.sub(*ends)
    result: Tensor = x
    return result
