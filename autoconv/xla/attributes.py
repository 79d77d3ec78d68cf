"""Attributes of objects that stay on the device, as running statistics do, until somebody reads them.

A run that has computed an attribute's new value leaves it where it is: ``vars(holder)`` has a ``There`` in its place,
and the holder is of a class that brings it back for whoever reads, sets or deletes the attribute, asks for ``vars``, or
copies and pickles the holder; all its attributes come back together, and the holder is what it was before.  Nothing
that is on the device here is ever donated: old values stay readable for whoever has them.
"""

from __future__ import annotations

import threading
from functools import cache
from types import GetSetDescriptorType
from typing import Any

import numpy as np

from .library import wide
from .placement import Placement
from .resident import There

_bringing = threading.RLock()


class Away:
    """An object some of whose attributes are on a device, their names in ``away``."""

    __slots__ = ()
    away: frozenset[str]


def _vars(self: Any) -> dict[str, Any]:
    """``__dict__`` of such an object, with everything in it that belongs there."""
    bring(self)
    found: dict[str, Any] = self.__dict__
    return found


def _put_vars(self: Any, value: Any) -> None:
    bring(self)
    self.__dict__ = value


def _reduced(self: Any, protocol: Any) -> Any:
    """``__reduce_ex__``: whoever copies or pickles an object asks for its class."""
    bring(self)
    return self.__reduce_ex__(protocol)


def _attribute(name: str) -> property:
    """An attribute that comes back when it is asked for."""

    def get(self: Any) -> Any:
        bring(self)
        return getattr(self, name)

    def put(self: Any, value: Any) -> None:
        bring(self)
        setattr(self, name, value)

    def drop(self: Any) -> None:
        bring(self)
        delattr(self, name)

    return property(get, put, drop)


@cache
def _away(kind: Any, names: frozenset[str]) -> Any:
    inside: dict[str, Any] = {name: _attribute(name) for name in names}
    inside |= {"__slots__": (), "__dict__": property(_vars, _put_vars), "__reduce_ex__": _reduced, "away": names}
    inside |= {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
    made: Any = type(kind)(kind.__name__, (kind, Away), inside)  # kind first: then the layout is its own
    return made


def _inside(holder: Any) -> dict[str, Any] | None:
    """An object's dictionary as it is, None where it has none."""
    kind: Any = type(holder)
    get = _getter(kind)
    found: dict[str, Any] | None = None if get is None else get(holder)
    return found


@cache
def _getter(kind: Any) -> Any:
    found = [vars(base).get("__dict__") for base in kind.__mro__]
    return next((x.__get__ for x in found if isinstance(x, GetSetDescriptorType)), None)


def is_away(holder: Any) -> bool:
    return issubclass(type(holder), Away)


def bring(holder: Any) -> None:
    """All attributes of the object that are on a device come back."""
    with _bringing:
        if not is_away(holder):
            return
        inside = _inside(holder) or {}
        names = [name for name in holder.away if isinstance(inside.get(name), There)]
        there = [inside[name] for name in names]
        with wide():
            for placement in {id(x.placement): x.placement for x in there}.values():
                mine = [(name, x.array) for name, x in zip(names, there, strict=True) if x.placement is placement]
                values = placement.fetch([array for _, array in mine])
                inside.update({name: value for (name, _), value in zip(mine, values, strict=True)})
        object.__setattr__(holder, "__class__", type(holder).__bases__[0])


def leave_attribute(holder: Any, name: str, array: Any, placement: Placement) -> tuple[dict[str, Any], There] | None:
    """The attribute's numbers are those of a device's array from now on: the object's dictionary, and what stands in
    it.  None for an object that cannot have it there; its attribute is then set at once."""
    kind: Any = type(holder)
    inside = _inside(holder)
    if not (issubclass(kind, Away) and name in kind.away):
        if inside is None or not _may_be_away(holder, name, inside):
            with wide():
                (value,) = placement.fetch([array])
            setattr(holder, name, value)
            return None
        before, kind = (kind.away, kind.__bases__[0]) if issubclass(kind, Away) else (frozenset(), kind)
        object.__setattr__(holder, "__class__", _away(kind, before | {name}))
    assert inside is not None
    inside[name] = there = There(array, placement, None)
    return inside, there


def _may_be_away(holder: Any, name: str, inside: dict[str, Any]) -> bool:
    """Whether the attribute stands in the object's dictionary, and the class is one that can be exchanged."""
    kind: Any = type(holder)
    if issubclass(kind, Away):
        return name in inside
    if name not in inside or any(hasattr(vars(base).get(name), "__set__") for base in kind.__mro__):
        return False
    try:
        object.__setattr__(holder, "__class__", _away(kind, frozenset([name])))
        object.__setattr__(holder, "__class__", kind)
    except Exception:  # a class that allows no subclasses, or of another layout
        return False
    return True


def attribute_on_device(holder: Any, name: str, placement: Placement) -> Any:
    """The attribute's numbers: the device's array if it is there, else NumPy's, as the attribute is."""
    there = attribute_now(holder, name)
    if not isinstance(there, There):
        return np.asarray(there)
    return there.array if there.placement is placement else np.asarray(getattr(holder, name))


def attribute_now(holder: Any, name: str) -> Any:
    """The attribute, or the ``There`` that stands for it: neither changes when a later run moves the attribute."""
    if is_away(holder) and name in holder.away:
        there = (_inside(holder) or {}).get(name)
        if isinstance(there, There):
            return there
    return getattr(holder, name)


def attribute_again(holder: Any, name: str, value: Any) -> None:
    """Give the attribute what ``attribute_now`` has said."""
    if isinstance(value, There):
        getattr(holder, name)
        leave_attribute(holder, name, value.array, value.placement)
    else:
        setattr(holder, name, value)
