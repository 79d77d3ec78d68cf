"""What a function reads besides its arguments: a recording holds only while that stays as it was.

Closed-over Tensors are inputs, read anew at each run.  Everything else a function can reach by its closure, its globals or
the attributes of its objects (settings, flags such as ``training``, plain arrays such as running means) is written into the
recording; ``Guards`` remembers it and says whether it is still the same.
"""

from __future__ import annotations

import dis
import functools
import types
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..tape import Tensor

_MISSING = object()
_PLAIN = (int, float, complex, str, bytes, bool, type(None))
_NOTE = "_output_shape"  # what a Module writes down for its repr at each call, and nothing computes with
_DEEP = (list, tuple, dict, set)


class Guards:
    """The state that ``roots`` (a function and its static arguments) can reach, and whether it is unchanged."""

    def __init__(self, *roots: Any) -> None:
        self.generators: list[np.random.Generator] = []
        self._named: list[tuple[Mapping[str, Any], str, Any]] = []
        self._cells: list[tuple[types.CellType, Any]] = []
        self._sizes: list[tuple[Any, list[Any]]] = []
        self._arrays: list[tuple[np.ndarray, bytes]] = []
        self._attributes: list[tuple[dict, int]] = []
        seen: set[int] = set()
        self._kept: list[Any] = []
        waiting = list(roots)
        while waiting:
            x = waiting.pop()
            if isinstance(x, _PLAIN) or id(x) in seen:
                continue
            seen.add(id(x))
            self._kept.append(x)
            waiting.extend(self._within(x))

    def _within(self, x: Any) -> Iterator[Any]:
        """What stands directly inside x, each noted with the place it was found in."""
        if isinstance(x, np.random.Generator):
            self.generators.append(x)
        elif isinstance(x, np.ndarray):
            self._arrays.append((x, x.tobytes()))
        elif isinstance(x, types.FunctionType):
            if x.__module__.split(".")[0] in ("autoconv", "numpy"):
                return
            for cell in x.__closure__ or ():
                try:
                    self._cells.append((cell, cell.cell_contents))
                except ValueError:
                    continue
                yield cell.cell_contents
            for name in _names(x.__code__):
                if name in x.__globals__:
                    yield self._note(x.__globals__, name)
            yield from (x.__defaults__, x.__kwdefaults__)
        elif isinstance(x, types.MethodType):
            yield from (x.__self__, x.__func__)
        elif isinstance(x, functools.partial):
            yield from (x.func, x.args, x.keywords)
        elif isinstance(x, _DEEP):
            items = list(x.items()) if isinstance(x, dict) else list(x)
            self._sizes.append((x, items))
            yield from [part for item in items for part in (item if isinstance(x, dict) else (item,))]
        elif isinstance(x, type):
            if x.__module__.split(".")[0] not in ("autoconv", "numpy", "builtins"):
                plain = [name for name, value in vars(x).items() if isinstance(value, (*_PLAIN, np.ndarray))]
                yield from [self._note(vars(x), name) for name in plain if name[:2] != "__"]
        elif not isinstance(x, types.ModuleType | Tensor) and hasattr(x, "__dict__"):
            yield type(x)
            yield from [self._note(vars(x), name) for name in list(vars(x)) if name != _NOTE]
            self._attributes.append((vars(x), _count(vars(x))))
            for method in ("__call__", "forward"):
                if isinstance(vars(type(x)).get(method), types.FunctionType):
                    yield vars(type(x))[method]

    def _note(self, place: Mapping[str, Any], name: str) -> Any:
        self._named.append((place, name, place[name]))
        return place[name]

    def release(self) -> None:
        """Stop watching the attributes that have just been given another value (by an observer, whose own they are)."""
        self._named = [
            (place, name, value) for place, name, value in self._named if _same(place.get(name, _MISSING), value)
        ]

    def hold(self) -> bool:
        """Whether everything noted is still there and equal."""
        for place, name, value in self._named:
            now = place.get(name, _MISSING)
            if now is not value and not _equal(now, value):
                return False
        for cell, value in self._cells:
            if cell.cell_contents is not value and not _equal(cell.cell_contents, value):
                return False
        for holder, items in self._sizes:
            now = list(holder.items()) if isinstance(holder, dict) else list(holder)
            if len(now) != len(items) or not all(_same(a, b) for a, b in zip(now, items, strict=True)):
                return False
        if any(_count(names) != count for names, count in self._attributes):
            return False
        return all(array.tobytes() == copy for array, copy in self._arrays)


def _count(names: dict) -> int:
    """How many attributes there are: an instance's own may hide one of its class, as ``training`` does."""
    return len(names) - (_NOTE in names)


def _names(code: types.CodeType) -> Iterator[str]:
    """The names that a function and the functions inside it may read from its globals."""
    yield from [x.argval for x in dis.get_instructions(code) if x.opname in ("LOAD_GLOBAL", "LOAD_NAME")]
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _names(inner)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b):
        return all(_same(x, y) for x, y in zip(a, b, strict=True))
    return a is b or _equal(a, b)


def _equal(a: Any, b: Any) -> bool:
    return type(a) is type(b) and isinstance(a, _PLAIN) and (a == b or (a != a and b != b))
