"""Numbers that stay on the device: those of Tensors, and an optimiser's slots, until somebody reads them.

A step of training leaves the new parameters where it has computed them.  The Tensor is then of a class that has no
array: whoever reads its value, by whatever way, brings it back, and the Tensor is what it was before.  Shape and dtype
are known without that.  A value that was brought back, or that was there first, is still on the device for the next
run, as long as it is the Tensor's value (arrays of Tensors never change).
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from functools import cache
from operator import is_
from typing import Any

import numpy as np

from ..hooks import Recorded
from ..operands import Size
from ..shapes import Shape
from ..tape import Tensor
from .library import wide
from .placement import Placement

_slot: Any = Recorded.__dict__["_value"]  # where a Tensor's array is, or what stands there meanwhile


class There:
    """A Tensor's array on a device, and whose it is."""

    __slots__ = ("array", "placement", "sharding")

    def __init__(self, array: Any, placement: Placement, sharding: Any) -> None:
        self.array, self.placement, self.sharding = array, placement, sharding


class _Away:
    """What is different for a Tensor whose numbers are on a device."""

    __slots__ = ()

    @property
    def _value(self) -> np.ndarray:
        return _back(self)

    @_value.setter
    def _value(self, value: np.ndarray) -> None:
        _settled(self, value)

    @property
    def shape(self) -> Shape:
        return tuple(_slot.__get__(self).array.shape)

    @property
    def ndim(self) -> int:
        return int(_slot.__get__(self).array.ndim)

    @property
    def size(self) -> Size:
        return Size(_slot.__get__(self).array.size)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(_slot.__get__(self).array.dtype)

    # whoever copies a Tensor asks for its class first

    def _leaf_copy(self) -> Any:
        _back(self)
        return self._leaf_copy()

    def __reduce__(self) -> Any:
        _back(self)
        return self.__reduce__()

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        _back(self)
        return self.__deepcopy__(memo)


@cache
def _away(kind: type) -> type:
    names = {"__slots__": (), "__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
    return type(kind.__name__, (_Away, kind), names)


def _settled(x: Any, value: np.ndarray) -> None:
    x.__class__ = type(x).__mro__[2]
    _slot.__set__(x, value)


def _back(x: Any) -> np.ndarray:
    """The Tensor's array, which is its value from now on."""
    there = _slot.__get__(x)
    with wide():
        (value,) = there.placement.fetch([there.array])
    value.flags.writeable = False
    _settled(x, value)
    _remember(value, there)
    return value


# ---- arrays of Tensors that are also on a device

_known: dict[int, tuple[weakref.ref[np.ndarray], There]] = {}


def _remember(value: np.ndarray, there: There) -> None:
    key = id(value)
    _known[key] = weakref.ref(value, lambda _: _known.pop(key, None)), there


def leave(x: Tensor, array: Any, placement: Placement, sharding: Any = None) -> There:
    """The Tensor's numbers are those of a device's array from now on."""
    if not isinstance(x, _Away):
        x.__class__ = _away(type(x))  # type: ignore[arg-type]
    there = There(array, placement, sharding)
    _slot.__set__(x, there)
    return there


def untouched(tensors: Sequence[Tensor], there: Sequence[There]) -> bool:
    """Whether the Tensors' numbers are still those that ``leave`` has left for each."""
    return len(tensors) == len(there) and all(map(is_, map(_slot.__get__, tensors), there))


def on_device(x: Tensor, placement: Placement, sharding: Any = None) -> Any:
    """The Tensor's numbers as an array of the device, which is only read (or donated, and then left again)."""
    if isinstance(x, _Away):
        there = _slot.__get__(x)
        if there.placement is placement and there.sharding == sharding and not there.array.is_deleted():
            return there.array
    value = x._value
    known = _known.get(id(value))
    if known is not None and known[0]() is value:
        there = known[1]
        if there.placement is placement and there.sharding == sharding and not there.array.is_deleted():
            return there.array
    array = placement.put(value, sharding)
    _remember(value, There(array, placement, sharding))
    return array


# ---- an optimiser's slots


class DeviceSlots:
    """An optimiser's slots on a device; ``bring`` puts them into its state, which asks for that when it is read.

    states: the state of each parameter that was stepped; arrays: for each the slots ``names``; counts: its steps;
    left: where the parameters themselves were left by that step.
    """

    def __init__(
        self, states: Sequence[dict[str, Any]], names: tuple[str, ...], arrays: list[list[Any]], counts: list[int],
        placement: Placement, left: Sequence[There] = (),
    ) -> None:  # fmt: skip
        self.states, self.names, self.arrays, self.counts = states, names, arrays, counts
        self.placement, self.left = placement, left

    def bring(self) -> None:
        flat = [x for several in self.arrays for x in several]
        with wide():
            values = iter(self.placement.fetch(flat))
        for state, count in zip(self.states, self.counts, strict=True):
            state.update({name: next(values) for name in self.names}, step=count)
