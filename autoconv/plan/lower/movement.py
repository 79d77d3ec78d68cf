"""Movement ops on virtual registers: nothing is moved at run time.

A movement op (a row of the table's group "wiring": reshape, permute_dims, pad, windows, ...) does no arithmetic; it
says which element of the operand stands where.  So its NumPy forward is run once, on an array of register *numbers* of
one example instead of on values, and the result is the registers of the line.  Register 0 always holds zero, so padding
needs no code.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ...program.program import Line
from ...shapes import Shape
from ..spacing import reach, spacing

Registers = np.ndarray


def for_one_example(line: Line, shape: Shape, axis: int, examples: int) -> tuple[dict[str, Any], int] | None:
    """The params of a movement op for one example, and where the example axis is then; None if examples mix.

    ``shape`` is the operand's, with ``examples`` along ``axis``.
    """
    assert line.primitive is not None
    name, params = line.primitive.name, dict(line.params)
    rule = _RULES.get(name)
    if rule is None:
        return None
    moved = rule(params, shape, axis, line.shape, examples)
    return None if moved is None else (params, moved)


def _alone(shape: Shape, axis: int) -> Shape:
    return (*shape[:axis], 1, *shape[axis + 1 :])


def _reshape(params: dict[str, Any], shape: Shape, axis: int, result: Shape, examples: int) -> int | None:
    before = prod(shape[:axis])
    for q, n in enumerate(result):
        if n == examples and prod(result[:q]) == before:
            params["shape"] = _alone(result, q)
            return q
    return None


def _permute(params: dict[str, Any], shape: Shape, axis: int, result: Shape, examples: int) -> int:
    return tuple(params["axes"]).index(axis)


def _flip(params: dict[str, Any], shape: Shape, axis: int, result: Shape, examples: int) -> int | None:
    return None if axis in params["axis"] else axis


def _broadcast(params: dict[str, Any], shape: Shape, axis: int, result: Shape, examples: int) -> int | None:
    q = axis + len(result) - len(shape)
    if result[q] != examples:
        return None
    params["shape"] = _alone(result, q)
    return q


def _pad(params: dict[str, Any], shape: Shape, axis: int, result: Shape, examples: int) -> int | None:
    return axis if tuple(params["width"][axis]) == (0, 0) else None


def _keyed(key: Any, ndim: int, axis: int, examples: int) -> tuple[tuple[Any, ...], int] | None:
    """An index with a part for each of ``ndim`` axes, and where axis ``axis`` is afterwards; None unless all of it is
    taken."""
    parts = list(key) if isinstance(key, tuple) else [key]
    used = sum(k is not None and k is not Ellipsis for k in parts)
    if Ellipsis in parts:
        at = parts.index(Ellipsis)
        parts[at : at + 1] = [slice(None)] * (ndim - used)
    else:
        parts += [slice(None)] * (ndim - used)
    old = new = 0
    for k in parts:
        if k is None:
            new += 1
            continue
        if old == axis:
            if not isinstance(k, slice) or k.indices(examples) != (0, examples, 1):
                return None
            return tuple(parts), new
        old, new = old + 1, new + isinstance(k, slice)
    return None


def _index(params: dict[str, Any], shape: Shape, axis: int, result: Shape, examples: int) -> int | None:
    found = _keyed(params["key"], len(shape), axis, examples)
    if found is None:
        return None
    parts, moved = found
    position = _position(parts, axis)
    params["key"] = (*parts[:position], slice(None), *parts[position + 1 :])
    return moved


def _position(parts: tuple[Any, ...], axis: int) -> int:
    """Where in a spelt-out key axis number ``axis`` stands."""
    old = 0
    for j, k in enumerate(parts):
        if k is None:
            continue
        if old == axis:
            return j
        old += 1
    raise IndexError(axis)


def _scatter(params: dict[str, Any], shape: Shape, axis: int, result: Shape, examples: int) -> int | None:
    for q, n in enumerate(result):
        if n == examples:
            found = _keyed(params["key"], len(result), q, examples)
            if found is not None and found[1] == axis:
                position = _position(found[0], q)
                params["key"] = (*found[0][:position], slice(None), *found[0][position + 1 :])
                params["shape"] = _alone(result, q)
                return q
    return None


def _windows(params: dict[str, Any], shape: Shape, axis: int, result: Shape, examples: int) -> int | None:
    axes = params["axes"]
    return None if axis in axes else axis if axis < axes[0] else axis + len(axes)


_RULES = {
    "reshape": _reshape, "permute_dims": _permute, "flip": _flip, "broadcast_to": _broadcast, "pad": _pad, "crop": _pad,
    "index": _index, "scatter": _scatter, "windows": _windows,
}  # fmt: skip


def steps(registers: Registers) -> list[int] | None:
    """The step along each axis if the registers are evenly spaced (first + sum of i * step), None otherwise."""
    if not registers.size:
        return None
    known = spacing(registers)
    if known is not None:
        return list(known.steps)
    apart = [
        int(registers.take(min(1, n - 1), axis=d).flat[0] - registers.flat[0]) for d, n in enumerate(registers.shape)
    ]
    even = np.full((1,) * registers.ndim, registers.flat[0], registers.dtype)
    for d, (n, step) in enumerate(zip(registers.shape, apart, strict=True)):
        even = even + (np.arange(n, dtype=registers.dtype) * step).reshape((n,) + (1,) * (registers.ndim - d - 1))
    return apart if np.array_equal(even, registers) else None


_TURNS = 4  # so many parts that take turns, along one axis, are known by their own steps


def in_memory(registers: Registers) -> list[int]:
    """The axes from the one with the longest step between neighbours to the shortest.

    Registers that are not evenly spaced are judged along the axes through one in the middle, by the least step there:
    where parts are joined it is longer, between neighbours there may be zeros (padding, dilation), and parts may take
    turns, as those that a pool's windows send back.
    """
    known = spacing(registers)
    if known is not None and reach(known, registers.shape)[0] > 0:
        apart = [abs(step) for step in known.steps]
        return sorted(range(registers.ndim), key=lambda d: -apart[d])
    if not registers.size:
        return list(range(registers.ndim))
    middle = tuple([n // 2 for n in registers.shape])
    if not registers[middle]:
        filled = np.flatnonzero(registers)
        place = int(filled[len(filled) // 2]) if len(filled) else 0
        middle = tuple(map(int, np.unravel_index(place, registers.shape)))

    def step(d: int) -> float:
        through = (*middle[:d], slice(None), *middle[d + 1 :])
        along = registers[through]
        places = np.flatnonzero(along)
        there = along[places].astype(np.int64)
        lags = range(1, min(_TURNS + 1, len(there)))
        apart = [np.abs(there[lag:] - there[:-lag]) / (places[lag:] - places[:-lag]) for lag in lags]
        return float(min(each.min() for each in apart)) if apart else 0.0

    return sorted(range(registers.ndim), key=lambda d: -step(d))
