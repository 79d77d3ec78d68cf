"""The row ``contract``: multiply and sum over named axes, as a (batched) GEMM on operands in the layout that they have.

An operand whose strides are those of a matrix is handed to BLAS as it is; any other (the windows of a convolution,
whose elements overlap in memory) is packed tile by tile.
"""

from __future__ import annotations

from functools import cache, lru_cache
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..shapes import Shape
from .fractions import Array
from .memory import by_stride, memory_order
from .sums import total

TILE = 1 << 18  # elements packed at a time: they stay in the cache until they are multiplied
LONG = 1 << 11  # terms of a small product that BLAS adds one after the other
SMALL = 1 << 9  # numbers of a small product
SMALLEST_GEMM = 1 << 17  # multiplications: fewer are not worth a call of BLAS of their own


def contract(a: Array, b: Array, spec: str) -> Array:
    """Multiply and sum over the letters of ``spec`` that the result does not have, by matrix products.

    Letters are sorted into batch (a, b and result), summed (a and b) and free (one operand and the result); then
    result[batch, free_a, free_b] = sum_k a[batch, free_a, k] * b[batch, k, free_b].  The larger operand, called a, is
    read in its own memory order; where it has to be packed (windows), that is done tile by tile, for many thin images
    position by position (``by_position``).  float16 is multiplied and added in float32, and rounded once.
    """
    dtype = np.result_type(a.dtype, b.dtype)
    if dtype == np.float16:
        return products(a, b.astype(np.float32), spec).astype(dtype)
    return products(a, b, spec)


def products(a: Array, b: Array, spec: str) -> Array:
    """``contract`` in the result type of the operands."""
    if b.size > a.size:
        return products(b, a, swapped(spec))
    plan = gemm_axes(spec, a.shape, a.strides, b.shape, b.strides)
    if plan.slide is not None:
        return by_position(a, b, plan, plan.slide)
    batch, rows, terms = len(plan.shape), plan.rows, plan.terms
    left, right = a.transpose(plan.left), matrices(b.transpose(plan.right), batch, plan.summed)
    transposed = plan.transposed  # the rows are innermost in the result, as they are in a
    out = np.empty(
        (*plan.shape, plan.columns, rows) if transposed else (*plan.shape, rows, plan.columns),
        np.result_type(a.dtype, b.dtype),
    )
    result = out.swapaxes(-1, -2) if transposed else out
    multiply = product if terms != 1 else np.multiply  # one term: nothing is summed
    whole = left.size <= TILE or is_matrix(left, batch, plan.free)
    number = 1 if whole else left.shape[plan.tiled]
    step = 1 if whole else max(1, TILE * number // left.size)
    for start in range(0, number, step):
        stop = min(start + step, number)
        key = (*[slice(None)] * plan.tiled, slice(start, stop))
        tile = matrices(left if whole else left[key], batch, plan.free)
        if rows >= terms:
            multiply(tile, right, out=result[..., start * rows // number : stop * rows // number, :])
        else:
            part = right[..., start * terms // number : stop * terms // number, :]
            if start:
                result += product(tile, part)
            else:
                product(tile, part, out=result)
    return out.reshape(plan.sizes).transpose(plan.result)


def product(a: Array, b: Array, out: Array | None = None) -> Array:
    """a @ b.  BLAS adds the terms of vectors and of small matrices one after the other, so many of them are added in
    pieces."""
    *_, rows, terms = a.shape
    columns = b.shape[-1]
    large = rows * columns > SMALL and min(rows, columns) > 1
    if terms < 2 * LONG or large or not rows * columns or np.result_type(a, b).kind != "f":
        return np.matmul(a, b, out=out)
    pieces, end = terms // LONG, terms - terms % LONG
    left = np.moveaxis(a[..., :end].reshape(*a.shape[:-1], pieces, LONG), -2, 0)
    right = np.moveaxis(b[..., :end, :].reshape(*b.shape[:-2], pieces, LONG, columns), -3, 0)
    y = np.asarray(total(np.matmul(left, right), 0))
    if end < terms:
        y = y + np.matmul(a[..., end:], b[..., end:, :])
    if out is not None:
        out[...] = y
    return y if out is None else out


def by_position(a: Array, b: Array, plan: GemmAxes, slide: Slide) -> Array:
    """``contract`` of windows by one GEMM for each of their positions along an axis, with fewer elements packed than
    im2col.

    Tap i of the window at position y reads image row h = y s + i.  What the windows read in a row is packed once, for
    the other taps and channels (k) and the other positions (n): packed[h, k, n].  The windows of one y are then the
    matrix [(i, k), n] without another copy, since row follows row; the matrices of neighbouring y overlap.
    """
    step, line = slide.step, a.transpose([slide.place, slide.tap, *slide.others])
    positions, taps, *rest = line.shape
    lines = (positions - 1) * step + taps
    read = as_strided(line, (lines, *rest), line.strides[1:], writeable=False)
    width = (plan.terms if slide.summed else plan.rows) // positions
    height = plan.rows if slide.summed else plan.terms
    right = matrices(b.transpose(plan.right), int(slide.summed), plan.summed - slide.summed)
    out = np.empty(plan.sizes, np.result_type(a.dtype, b.dtype))
    each = (
        step * prod(rest) + height * plan.columns * slide.summed
    )  # a position's lines, and its product where those are summed
    at_a_time = max(1, (TILE - (taps - step) * prod(rest)) // each)
    for start in range(0, positions, at_a_time):
        stop = min(start + at_a_time, positions)
        packed = np.ascontiguousarray(read[start * step : (stop - 1) * step + taps])
        strides = (step * packed.strides[0], width * packed.itemsize, packed.itemsize)
        frames = as_strided(packed, (stop - start, height, width), strides, writeable=False)
        if slide.summed:
            part = total(np.matmul(frames, right[start:stop]), 0).reshape(plan.sizes)
            np.add(part, out if start else 0, out=out)
        else:
            by_columns = out.reshape(plan.columns, positions, width).swapaxes(0, 1)
            np.matmul(right.T, frames, out=by_columns[start:stop])
        del packed, frames  # before the next are packed
    return out.transpose(plan.result)


@cache
def swapped(spec: str) -> str:
    """``spec`` for the operands the other way round."""
    operands, result = spec.split("->")
    in_a, in_b = operands.split(",")
    return f"{in_b},{in_a}->{result}"


class Slide(NamedTuple):
    """The axes of windows for ``by_position``."""

    place: int  # the positions along which the window slides: outermost of the rows, or of the terms
    tap: int  # the window's own axis there: outermost of the terms, or of the rows
    others: list[int]  # the other taps and channels, then the other positions
    step: int  # lines from one position to the next
    summed: bool  # whether the positions are the terms


class GemmAxes(NamedTuple):
    """A contraction as a GEMM: the operands' axes in the order (batch, rows, terms) and (batch, terms, columns)."""

    left: list[int]
    right: list[int]
    shape: list[int]  # of the batch axes
    free: int  # axes that make the rows
    summed: int  # axes that make the terms
    rows: int
    terms: int
    columns: int
    transposed: bool  # whether rows are innermost in the result
    tiled: int  # the axis of ``left`` along which it is taken tile by tile
    sizes: list[int]  # of the product's axes
    result: list[int]  # the order of those in the result
    slide: Slide | None  # of windows that are multiplied position by position


@lru_cache(maxsize=1024)
def gemm_axes(spec: str, shape_a: Shape, strides_a: Shape, shape_b: Shape, strides_b: Shape) -> GemmAxes:
    """The letters of ``spec`` sorted for operands of these layouts, a the larger one."""
    operands, result = spec.split("->")
    in_a, in_b = operands.split(",")
    size = dict(zip(in_a + in_b, shape_a + shape_b, strict=True))
    order_a, order_b = (
        [in_a[i] for i in by_stride(shape_a, strides_a)],
        [in_b[i] for i in by_stride(shape_b, strides_b)],
    )
    batch = [c for c in order_a if c in in_b and c in result]
    summed = [c for c in order_a if c in in_b and c not in result]
    free_a, free_b = [c for c in order_a if c not in in_b], [c for c in order_b if c not in in_a]
    rows, terms, columns = [prod([size[c] for c in letters]) for letters in (free_a, summed, free_b)]
    slide = None if batch else sliding(in_a, shape_a, strides_a, order_a, free_a, summed, columns)
    if slide is not None:
        letters = free_a if slide.summed else summed
        letters.insert(0, letters.pop(letters.index(in_a[slide.tap])))
    inner = [c for c in order_a if size[c] > 1] if rows >= terms else result
    transposed = bool(inner) and inner[-1] in free_a if slide is None else not slide.summed
    product = batch + (free_b + free_a if transposed else free_a + free_b)
    left = batch + free_a + summed
    tiled = next((c for c in (free_a if rows >= terms else summed) if size[c] > 1), None)
    return GemmAxes(
        left=[in_a.index(c) for c in left],
        right=[in_b.index(c) for c in batch + summed + free_b],
        shape=[size[c] for c in batch],
        free=len(free_a),
        summed=len(summed),
        rows=rows,
        terms=terms,
        columns=columns,
        transposed=transposed,
        tiled=left.index(tiled) if tiled else 0,
        sizes=[size[c] for c in product],
        result=[product.index(c) for c in result],
        slide=slide,
    )


def sliding(
    letters: str, shape: Shape, strides: Shape, order: list[str], free: list[str], summed: list[str], columns: int
) -> Slide | None:
    """The ``Slide`` of an operand that is windows with positions (or images) innermost; None if it is not, or if its
    GEMMs would be too small.

    A tap and its positions walk through the same elements, the positions by ``step`` taps at a time.
    """
    size, stride = dict(zip(letters, shape, strict=True)), dict(zip(letters, strides, strict=True))
    for places, taps in ((free, summed), (summed, free)):
        if len(places) < 2 or order[-1] not in places[1:] or stride[order[-1]] <= 0:
            continue
        place = places[0]
        if size[place] < 2 or prod(shape) // size[place] * columns < SMALLEST_GEMM:
            continue
        for tap in taps:
            step, rest = divmod(stride[place], stride[tap]) if stride[tap] else (0, 0)
            if 0 < step < size[tap] and not rest:
                others = [letters.index(c) for c in (*taps, *places) if c not in (place, tap)]
                return Slide(letters.index(place), letters.index(tap), others, step, places is summed)
    return None


def matrices(x: Array, batch: int, rows: int) -> Array:
    """x as matrices: its first axes stay, ``rows`` axes become one, and those that remain become one.

    A view if x has the strides of matrices, else a copy with the same axis innermost.
    """
    first, end = batch, batch + rows
    shape = (*x.shape[:first], prod(x.shape[first:end]), prod(x.shape[end:]))
    if is_matrix(x, batch, rows) or not x.ndim or memory_order(x)[-1] >= end:
        return x.reshape(shape)
    transposed = x.transpose([*range(first), *range(end, x.ndim), *range(first, end)])
    return transposed.reshape(*shape[:-2], shape[-1], shape[-2]).swapaxes(-1, -2)


def is_matrix(x: Array, batch: int, rows: int) -> bool:
    """Whether x has the strides of (a batch of) matrices as BLAS takes them: one of the two is 1 element, nothing
    overlaps."""
    of_rows, of_columns = common_stride(x, range(batch, batch + rows)), common_stride(x, range(batch + rows, x.ndim))
    if of_rows is None or of_columns is None:
        return False
    (step, length), (other, _) = sorted([of_rows, of_columns])
    return step == x.itemsize and (not other or other >= step * length)


def common_stride(x: Array, axes: range) -> tuple[int, int] | None:
    """(stride in bytes, number of elements) of consecutive axes that can be one axis, None if they cannot."""
    step, length = x.itemsize, 1
    for i in reversed(axes):
        if x.shape[i] == 1:
            continue
        if length > 1 and x.strides[i] != step * length:
            return None
        step = step if length > 1 else x.strides[i]
        length *= x.shape[i]
    return step, length
