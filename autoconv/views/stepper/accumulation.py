"""One element of a gradient, followed through the products it is summed from: 0 -> 0.12 -> 0.31.

A contraction sends its operand one array, but each element of it is a sum over positions: those terms are shown one by one.
Lines that only move elements (reshape, flip, ...) are looked through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...backward import pull

if TYPE_CHECKING:
    from .trace import Event

Index = tuple[int, ...]


def running(event: Event, index: Index) -> list[Any]:
    """The gradient of ``event.target[index]`` from 0 through every term up to this event; each event ends on its exact sum."""
    chain: list[Event] = []
    at: Event | None = event
    while at is not None:
        if at.kind in ("seed", "accumulate"):
            chain.append(at)
        at = at.previous
    sums: list[Any] = [0.0]
    for part in reversed(chain):
        so_far = sums[-1]
        for term in terms(part, index)[:-1]:
            so_far = so_far + term
            sums.append(so_far)
        if part.after is not None:
            sums.append(one(part.after, index))
    return sums


def terms(event: Event, index: Index) -> list[Any]:
    """What one event adds to ``event.target[index]``, term by term."""
    found: list[Any] = []
    waiting = [(event, index)]
    while waiting:
        e, i = waiting.pop()
        if e.contribution is None:
            if e.after is not None:
                found.append(one(e.after, i))
            continue
        if e.line.primitive is not None and e.line.primitive.group == "contract":
            found += products(e, i)
            continue
        came = origin(e, i)
        if came is None:
            found.append(one(e.contribution, i))
            continue
        at = e.arrived  # the events that made this line's cotangent, the last first: the stack turns them round
        while at is not None:
            if at.kind != "gradient":
                waiting.append((at, came))
            at = at.previous
    return found


def products(event: Event, index: Index) -> list[Any]:
    """The terms of a contraction's contribution to one element: cotangent times the other operand, in scan order."""
    operands, result = event.line.params["spec"].split("->")
    letters, k = operands.split(","), event.operand or 0
    fixed = dict(zip(letters[k], index, strict=True))
    summed = [c for c in dict.fromkeys(result + letters[1 - k]) if c not in fixed]

    def part(array: Any, spec: str) -> Any:
        cut = array[tuple(fixed.get(c, slice(None)) for c in spec)]
        free = [c for c in spec if c not in fixed]
        ordered = np.transpose(cut, [free.index(c) for c in summed if c in free])
        return ordered[tuple(slice(None) if c in free else None for c in summed)]

    both = part(event.cotangent, result) * part(event.line.operands[1 - k].value, letters[1 - k])
    return np.ravel(both).tolist()


def origin(event: Event, index: Index) -> Index | None:
    """The element of the line's cotangent that this element of the contribution is, if the line only moves elements."""
    line, g, k = event.line, event.cotangent, event.operand
    if line.primitive is None or line.primitive.group != "wiring" or g is None or k is None:
        return None
    if "dtype" in line.params:
        return index
    names = np.arange(1, g.size + 1, dtype=float).reshape(g.shape)
    (moved,) = pull(line, names, (k,), False)
    moved = np.asarray(moved)
    present = moved[moved > 0]
    if len(present) != g.size or not np.array_equal(np.sort(present), names.reshape(-1)) or not moved[index]:
        return None
    return tuple(int(n) for n in np.unravel_index(int(moved[index]) - 1, g.shape))


def one(array: np.ndarray, index: Index) -> Any:
    """One element as a Python number (or an exact fraction)."""
    found = array[index]
    return found.item() if isinstance(found, np.generic) else found
