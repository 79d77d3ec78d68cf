"""A program run forwards again, in double precision, with one line changed: what somebody else may have computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ... import primitives as p
from ...tape import Tape, Tensor
from .replay import double

Array = np.ndarray
# (line, its operands, all values so far by id) -> the line's other value, or None for its own
Change = Callable[[Tensor, list[Array], dict[int, Array]], "Array | None"]


def ran(tape: Tape, inputs: Mapping[int, Any], change: Change | None = None) -> Array:
    """The output of the tape in double precision, with other values of inputs (by id) and one change."""
    return all_values(tape, inputs, change)[id(tape.outputs[0])]


def all_values(tape: Tape, inputs: Mapping[int, Any], change: Change | None = None) -> dict[int, Array]:
    """The values of all lines by id, likewise.

    A change of geometry is followed as far as the rows allow; raises ValueError or IndexError where they do not.
    """
    values: dict[int, Array] = {}
    with np.errstate(all="ignore"):
        for line in tape:
            if line.primitive is None or id(line) in inputs:
                values[id(line)] = double(inputs.get(id(line), line.value))
                continue
            operands = [values[id(x)] for x in line.operands]
            other = change(line, operands, values) if change else None
            values[id(line)] = _forward(line, operands, values) if other is None else np.asarray(other)
    return values


def _forward(line: Tensor, operands: list[Array], values: dict[int, Array]) -> Array:
    row, params = line.primitive, dict(line.params)
    assert row is not None
    if row is p.cast and np.dtype(params["dtype"]).kind in "fO":
        return operands[0].astype(float)
    changed = any(a.shape != x.shape for a, x in zip(operands, line.operands, strict=True))
    if changed and row is p.reshape:
        return operands[0].reshape(_followed(line.operands[0].shape, line.shape, operands[0].shape))
    if changed and row is p.broadcast_to:
        return operands[0]
    if changed and row.elementwise:  # what was spread over the old shape is spread anew
        spread = [x.primitive is p.broadcast_to for x in line.operands]
        operands = [
            values[id(x.operands[0])] if wide else a for a, x, wide in zip(operands, line.operands, spread, strict=True)
        ]
        operands = [_one(a) if x.constant else a for a, x in zip(operands, line.operands, strict=True)]
    return np.asarray(row.forward(*operands, **params))


def _one(a: Array) -> Array:
    """A constant of equal numbers as one of them, which fits every shape."""
    return a.reshape(-1)[:1].reshape(()) if a.size and np.ptp(a) == 0 else a


def _followed(old: tuple[int, ...], new: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that a reshape of old to new makes of ``shape``: only axes of size 1 come and go; ValueError if not."""
    kept = [n for n, was in zip(shape, old, strict=True) if was != 1]
    if [n for n in old if n != 1] != [n for n in new if n != 1]:
        raise ValueError("a reshape that merges axes does not follow another geometry")
    return tuple(kept.pop(0) if n != 1 else 1 for n in new)
