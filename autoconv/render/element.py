"""One element of a named array, written and read: ``w[0,1]``, or counted from 1, ``w_2``.  Nothing that is read is ever
run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

_SLICE = re.compile(r"(-?\d{1,9})?\s*:\s*(-?\d{1,9})?(?:\s*:\s*(-?\d{1,9})?)?")
INDEXED = re.compile(r"(.+)\[(\d+(?:,\d+)*)\]")  # a name that ends in an index, as that of a Scalar in a list
NAMED = 12  # names that an error lists


class Shaped(Protocol):
    """What has elements: a tensor, an array."""

    @property
    def shape(self) -> tuple[int, ...]: ...


def element_name(name: str, index: Sequence[int], shape: Sequence[int], subscripts: str = "matrix") -> str:
    """One element of a named tensor in text: "w[0,1]", or with subscripts="flat" "w_2" (counted from 1).

    The one element of a 0-d tensor, or of a flat tensor of size 1, has the tensor's name.
    """
    if not shape or (subscripts == "flat" and np.prod(shape) == 1):
        return name
    if subscripts == "flat":
        return f"{name}_{int(np.ravel_multi_index(tuple(index), tuple(shape))) + 1}"
    return f"{name}[{','.join(map(str, index))}]"


def read_element(
    text: str, known: Mapping[str, Shaped], operation: str, slices: bool = False
) -> tuple[str, tuple[Any, ...] | None]:
    """The name in ``known`` and the index that a text like "w", "w[0, 1]", "conv1.weight[0,0,0,-1]" or "%7[1]" means.

    The index is None where nothing is in brackets, else one number inside the shape for each axis (the negative ones
    counted from the end); with ``slices`` it may be any that the shape has, as [:, 1].  Raises ValueError, its text
    beginning with ``operation``, for what cannot be read, for a name that is not known, and for an index that does not
    fit.
    """
    written = text.strip()
    if (name := re.sub(r"\s*([,\[\]])\s*", r"\1", written)) in known:
        return name, None
    before, bracket, inside = written.removesuffix("]").rpartition("[")
    name = before.rstrip() if bracket else written
    if not name or ("[" in written) != written.endswith("]") or "]" in inside:
        raise ValueError(
            f"{operation}: cannot read {text!r}; write a name and whole numbers in brackets, as in w1[0,0]"
        )
    if name not in known:
        raise ValueError(f"{operation}: no tensor is called {name!r}; there are {_listed(known)}")
    shape = known[name].shape
    example = f"{name}{[0] * len(shape)}" if shape else name
    parts = [part.strip() for part in inside.split(",")] if inside.strip() else []
    key = tuple(_part(part, slices) for part in parts)
    if None in key:
        raise ValueError(f"{operation}: the index of {text!r} must be whole numbers, as in {example}")
    try:
        np.broadcast_to(False, shape)[key]
        fits = slices or len(key) == len(shape)
    except IndexError:
        fits = False
    if not fits:
        raise ValueError(
            f"{operation}: {name} has shape {shape}; {text!r} is not one element of it: "
            f"give {len(shape)} numbers inside it, as in {example}"
        )
    return name, key if slices else tuple(int(k) % n for k, n in zip(key, shape, strict=True))


def _part(text: str, slices: bool) -> Any:
    """One part of an index; None for what it cannot be."""
    if re.fullmatch(r"[+-]?\d{1,9}", text):
        return int(text)
    if slices and text == "...":
        return Ellipsis
    found = _SLICE.fullmatch(text) if slices else None
    return slice(*(None if x is None else int(x) for x in found.groups())) if found else None


def _listed(known: Mapping[str, Any]) -> str:
    """The names there are: variables and tensors' own, then the numbers of lines."""
    names = [name for name in known if not name.startswith("%")]
    lines = len(known) - len(names)
    some = [*names[:NAMED], *(["..."] if len(names) > NAMED else []), *([f"%0 .. %{lines - 1}"] if lines else [])]
    return ", ".join(some) or "none"
