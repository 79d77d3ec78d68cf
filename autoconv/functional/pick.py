"""Parts of arrays under PyTorch's names, triangles and diagonals, and tables read by whole numbers."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .. import primitives as p
from ..hooks import check
from ..operands import OutOfRangeError, as_dtype, found
from ..shapes import Shape, normalize_axis, shown, whole_number
from ..tape import Array, Tensor
from .array import as_indices, in_axis, reshape, take_along_axis
from .composed import composed, operand, plain
from .linalg import matmul
from .spelling import spelled

__all__ = [
    "bmm", "chunk", "diag", "embedding", "gather", "mm", "narrow", "one_hot", "put_along_axis", "select", "trace",
    "tril", "triu", "unbind",
]  # fmt: skip


# ---- parts along an axis


def _slices(x: Any, axis: int, start: int, end: int) -> Any:
    return p.index(x, key=(*(slice(None),) * axis, slice(start, end)))


@spelled
def chunk(x: Any, chunks: int, axis: int = 0) -> list[Tensor]:
    """x cut into ``chunks`` parts along ``axis`` of size ceil(n / chunks), the last one smaller, perhaps fewer parts.

    Raises ValueError for less than one part, or an axis that x does not have.

    >>> [part.tolist() for part in ac.chunk(np.arange(5), 2)]
    [[0, 1, 2], [3, 4]]
    """
    x = operand(x, "chunk")
    axis = normalize_axis(axis, x.ndim, "chunk")
    number, n = whole_number(chunks, "chunk: chunks", 1), x.shape[axis]
    if not n:
        return [x] * min(number, 1)
    size = -(-n // number)
    return [_slices(x, axis, start, min(start + size, n)) for start in range(0, n, size)]


@spelled
def unbind(x: Any, axis: int = 0) -> list[Tensor]:
    """The slices of x along ``axis``, each without that axis.  Raises ValueError for an axis that x does not have.

    >>> [part.tolist() for part in ac.unbind([[1, 2], [3, 4]], 1)]
    [[1, 3], [2, 4]]
    """
    x = operand(x, "unbind")
    axis = normalize_axis(axis, x.ndim, "unbind")
    return [p.index(x, key=(*(slice(None),) * axis, i)) for i in range(x.shape[axis])]


@spelled
def narrow(x: Any, axis: int, start: int, length: int) -> Tensor:
    """x[start : start + length] along ``axis``.  Raises ValueError for cells that the axis does not have.

    >>> ac.narrow([1, 2, 3, 4], 0, 1, 2)
    array([2, 3])
    """
    x = operand(x, "narrow")
    axis = normalize_axis(axis, x.ndim, "narrow")
    n, first, number = x.shape[axis], whole_number(start, "narrow: start"), whole_number(length, "narrow: length", 0)
    first = first + n if first < 0 else first
    if not 0 <= first <= first + number <= n:
        raise ValueError(f"narrow: start={start}, length={number} along axis {axis} of shape {x.shape}, of size {n}")
    result: Tensor = _slices(x, axis, first, first + number)
    return result


@spelled
def select(x: Any, axis: int, index: int) -> Tensor:
    """x[index] along ``axis``, which goes.  Raises ValueError (an IndexError) for a cell that the axis does not have.

    >>> ac.select([[1, 2], [3, 4]], 1, 0)
    array([1, 3])
    """
    x = operand(x, "select")
    axis = normalize_axis(axis, x.ndim, "select")
    i, n = whole_number(index, "select: index"), x.shape[axis]
    if not -n <= i < n:
        raise OutOfRangeError(f"select: index={i} along axis {axis} of shape {x.shape}; it must be in -{n} .. {n - 1}")
    return p.index(x, key=(*(slice(None),) * axis, i))


# ---- choices for each place


@spelled
def gather(x: Any, axis: int, indices: Any) -> Tensor:
    """y[.., i, ..] = x[.., indices[.., i, ..], ..] along ``axis``, in PyTorch's order of operands.

    indices: whole numbers of as many dimensions as x; along other axes they may be shorter than x, whose further cells
    are not read.  Raises ValueError for indices of another shape, IndexError for one out of range.

    >>> ac.gather([[0.1, 0.9], [0.8, 0.2]], 1, [[1], [0]])
    array([[0.9],
           [0.8]])
    """
    x, indices = operand(x, "gather"), operand(indices, "gather: indices")
    axis = normalize_axis(axis, x.ndim, "gather")
    _same_axes("gather", x, indices, axis)
    check(partial(in_axis, "gather", axis, x.shape), indices)
    return take_along_axis(_cut(x, indices.shape, axis), indices, axis)


def _same_axes(name: str, x: Any, indices: Any, axis: int) -> None:
    """Whether indices are whole numbers that fit in x along the other axes."""
    if indices.dtype.kind not in "iu":
        raise TypeError(f"{name}: indices must be integers, found dtype {indices.dtype} (shape {indices.shape})")
    if indices.ndim != x.ndim or any(
        m > n for i, (n, m) in enumerate(zip(x.shape, indices.shape, strict=True)) if i != axis
    ):
        raise ValueError(
            f"{name}: indices of shape {indices.shape} for shape {x.shape}; they need as many dimensions, and may be "
            f"longer only along axis {axis}"
        )


def _cut(x: Any, shape: Shape, axis: int) -> Any:
    """x without the cells beyond ``shape``, but for ``axis``."""
    key = tuple(slice(None) if i == axis else slice(0, n) for i, n in enumerate(shape))
    whole = all(i == axis or n == m for i, (n, m) in enumerate(zip(x.shape, shape, strict=True)))
    return x if whole else p.index(x, key=key)


@spelled
def put_along_axis(x: Any, indices: Any, values: Any, axis: int, mode: str = "set") -> Tensor:
    """x with y[.., indices[.., i, ..], ..] = values[.., i, ..] along ``axis`` (PyTorch's ``scatter``), or added to it.

    indices: whole numbers (not recorded), of as many dimensions as x; values: of their shape, or one number.
    mode: "set" (of several values for one cell the last), or "add".  What is replaced gets no gradient.
    Raises ValueError for other shapes or modes, IndexError for an index out of range.

    >>> ac.put_along_axis([[1.0, 2.0, 3.0]], [[0, 2]], [[10.0, 30.0]], 1)
    array([[10.,  2., 30.]])
    """
    if not isinstance(mode, str) or mode not in ("set", "add"):
        raise ValueError(f"put_along_axis: mode={shown(mode)}; use 'set' or 'add'")
    x, values = operand(x, "put_along_axis: x"), operand(values, "put_along_axis: values")
    places = plain(indices, "put_along_axis: indices")
    axis = normalize_axis(axis, x.ndim, "put_along_axis")
    _same_axes("put_along_axis", x, places, axis)
    if values.shape not in ((), places.shape):
        raise ValueError(f"put_along_axis: values of shape {values.shape} for indices of shape {places.shape}")
    in_axis("put_along_axis", axis, x.shape, places)
    numbers = _cut(np.arange(x.size).reshape(x.shape), places.shape, axis)
    cells = np.take_along_axis(numbers, places.astype(np.intp), axis).ravel()
    values = p.reshape(values if values.shape else p.broadcast_to(values, shape=places.shape), shape=(places.size,))
    if mode == "add":
        added = p.scatter_add(values, cells, axis=0, size=x.size)
        return p.add(x, p.reshape(added, shape=x.shape))
    writer = np.full(x.size, -1)
    writer[cells] = np.arange(cells.size)
    written = p.take(values, np.maximum(writer, 0), axis=0) if cells.size else np.zeros(x.size, x.dtype)
    result: Tensor = p.where((writer >= 0).reshape(x.shape), p.reshape(written, shape=x.shape), x)
    return result


# ---- triangles and diagonals


@composed("x")
def tril(x: Any, diagonal: int = 0) -> Tensor:
    """The lower triangle of the last two axes: x[i, j] where j <= i + diagonal, else 0.

    Raises ValueError below two dimensions.

    >>> ac.tril([[1, 2], [3, 4]])
    array([[1, 0],
           [3, 4]])
    """
    result: Tensor = p.where(_below(x, diagonal, "tril"), x, 0)
    return result


@composed("x")
def triu(x: Any, diagonal: int = 0) -> Tensor:
    """The upper triangle of the last two axes: x[i, j] where j >= i + diagonal, else 0.

    Raises ValueError below two dimensions.

    >>> ac.triu([[1, 2], [3, 4]])
    array([[1, 2],
           [0, 4]])
    """
    result: Tensor = p.where(_below(x, whole_number(diagonal, "triu: diagonal") - 1, "triu"), 0, x)
    return result


def _below(x: Any, diagonal: int, name: str) -> Array:
    """Which cells of the last two axes lie on or below a diagonal."""
    if x.ndim < 2:
        raise ValueError(f"{name}: the input has shape {x.shape}; a triangle needs two axes")
    below: Array = np.tri(x.shape[-2], x.shape[-1], whole_number(diagonal, f"{name}: diagonal"), dtype=bool)
    return below


@composed("x")
def diag(x: Any, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, x[i, i + diagonal]; of a vector the matrix that has it there, and 0 elsewhere.

    Raises ValueError for more than two dimensions.

    >>> ac.diag([[1, 2], [3, 4]])
    array([1, 4])
    >>> ac.diag([1, 2])
    array([[1, 0],
           [0, 2]])
    """
    k = whole_number(diagonal, "diag: diagonal")
    if x.ndim == 2:
        rows = np.arange(max(-k, 0), max(min(x.shape[0], x.shape[1] - k), max(-k, 0)))
        return p.take(p.reshape(x, shape=(x.size,)), rows * x.shape[1] + rows + k, axis=0)
    if x.ndim != 1:
        raise ValueError(f"diag: the input has shape {x.shape}; use a vector or a matrix")
    n = x.shape[0]
    square = p.where(np.eye(n, dtype=bool), p.broadcast_to(p.reshape(x, shape=(n, 1)), shape=(n, n)), 0)
    low, high = max(-k, 0), max(k, 0)
    result: Tensor = p.pad(square, width=((low, high), (high, low))) if k else square
    return result


@composed("x")
def trace(x: Any, diagonal: int = 0) -> Tensor:
    """The sum of a diagonal of a matrix, x[i, i + diagonal].  Raises ValueError for another number of dimensions.

    >>> ac.trace([[1.0, 2.0], [3.0, 4.0]])
    np.float64(5.0)
    """
    if x.ndim != 2:
        raise ValueError(f"trace: the input has shape {x.shape}; use a matrix")
    return p.sum_(diag(x, diagonal), axis=(0,))


# ---- products of matrices, with the number of axes checked


@spelled
def mm(x: Any, y: Any) -> Tensor:
    """The product of two matrices: ``matmul`` for two dimensions alone.  Raises ValueError for other shapes.

    >>> ac.mm([[1.0, 2.0]], [[3.0], [4.0]])
    array([[11.]])
    """
    return _product("mm", 2, x, y)


@spelled
def bmm(x: Any, y: Any) -> Tensor:
    """The products of a batch of matrices: z[b] = x[b] y[b], (B, n, m) and (B, m, k).  Raises ValueError for other
    shapes.

    >>> ac.bmm(np.ones((4, 2, 3)), np.ones((4, 3, 5))).shape
    (4, 2, 5)
    """
    return _product("bmm", 3, x, y)


def _product(name: str, dims: int, x: Any, y: Any) -> Tensor:
    x, y = operand(x, f"{name}: x"), operand(y, f"{name}: y")
    fits = x.ndim == y.ndim == dims and x.shape[-1] == y.shape[-2] and x.shape[:-2] == y.shape[:-2]
    if not fits:
        needs = "(n, m) and (m, k)" if dims == 2 else "(B, n, m) and (B, m, k)"
        raise ValueError(f"{name}: shapes {x.shape} and {y.shape}; it needs {needs}")
    return matmul(x, y)


# ---- tables


def _in_table(name: str, n: int, indices: Array) -> None:
    """IndexError for a number that is no row of a table of n."""
    if indices.size and not 0 <= indices.min() <= indices.max() < n:
        raise OutOfRangeError(
            f"{name}: indices {indices.min()} .. {indices.max()} for a table of {n}; they must be in 0 .. {n - 1}"
        )


@composed("indices", "weight")
def embedding(indices: Any, weight: Any, padding_idx: int | None = None) -> Tensor:
    """y[.., :] = weight[indices[..], :]: rows of a table; a row's gradient is added up over its uses.

    indices: whole numbers of any shape; weight: (rows, features); padding_idx: a row that gets no gradient.
    Raises TypeError for indices that are not integers, IndexError for a row that the table does not have.

    >>> weight = ac.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> y = ac.embedding([1, 1, 0], weight, padding_idx=0)
    >>> y.sum().backward()
    >>> weight.grad
    array([[0., 0.],
           [2., 2.]])
    """
    if weight.ndim != 2:
        raise ValueError(f"embedding: the weight has shape {weight.shape}; it needs (rows, features)")
    if indices.dtype.kind not in "iu":
        raise TypeError(f"embedding: indices must be integers, found {found(indices)}")
    n = weight.shape[0]
    row = None if padding_idx is None else whole_number(padding_idx, "embedding: padding_idx")
    if row is not None and not -n <= row < n:
        raise OutOfRangeError(f"embedding: padding_idx={row} for a table of {n}; it must be in -{n} .. {n - 1}")
    check(partial(_in_table, "embedding", n), indices)
    y = p.take(weight, as_indices(indices), axis=0)
    if row is None:
        return y
    padding = p.reshape(p.equal(indices, row % n), shape=(*indices.shape, 1))
    return p.where(padding, p.stop_gradient(y), y)


@composed("indices")
def one_hot(indices: Any, num_classes: int | None = None, dtype: Any = float) -> Any:
    """y[.., c] = 1 where c = indices[..], else 0: (.., num_classes) of ``dtype``; without a gradient.

    num_classes None: one more than the largest index, looked up in the numbers.  Raises TypeError for indices that are
    not integers, IndexError for one that is no class.

    >>> ac.one_hot([0, 2], 3)
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    if indices.dtype.kind not in "iu":
        raise TypeError(f"one_hot: indices must be integers, found {found(indices)}")
    number_type = as_dtype(dtype, "one_hot:")
    numbers = plain(indices, "one_hot") if num_classes is None else None
    if numbers is not None and not numbers.size:
        raise ValueError("one_hot: no indices to see the number of classes from; give num_classes")
    n = int(numbers.max()) + 1 if numbers is not None else whole_number(num_classes, "one_hot: num_classes", 1)
    check(partial(_in_table, "one_hot", n), indices)
    return p.cast(p.equal(reshape(indices, (*indices.shape, 1)), np.arange(n)), dtype=number_type)
