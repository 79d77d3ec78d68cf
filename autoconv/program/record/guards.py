"""What a function reads besides its arguments: a recording holds only while that stays as it was.

Closed-over Tensors are inputs, read anew at each run.  Everything else a function can reach by its closure, its globals
or the attributes of its objects (settings, flags such as ``training``, plain arrays such as running means) is written
into the recording; ``Guards`` remembers it and says whether it is still the same.  What the function only writes
(effects.py) is left out.
"""

from __future__ import annotations

import functools
import io
import random
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from operator import getitem, is_
from typing import Any

import numpy as np

from ...tape import Tensor
from . import effects

_MISSING = object()
_PLAIN = (int, float, complex, str, bytes, bool, type(None))
_NOTE = "_output_shape"  # what a Module writes down for its repr at each call, and nothing computes with
_DEEP = (list, tuple, dict, set)
_GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)
_NOT_CALLED = ("__init__", "__new__", "__repr__", "__init_subclass__", "__reduce__", "__setattr__")


class Guards:
    """The state that ``roots`` (a function and its static arguments) can reach, and whether it is unchanged."""

    def __init__(self, *roots: Any) -> None:
        self._used: set[str] = set()  # attributes that the functions reached so far name
        self._codes: list[types.CodeType] = []
        self._skipped: set[str] = set()
        before = -1
        while len(self._used) != before:  # a method is reached when something reached names it
            before = len(self._used)
            self._walk(roots)
        self._skipped = effects.only_written(self._codes)
        if self._skipped:
            self._walk(roots)
        self._group()

    def _group(self) -> None:
        """The noted attributes and the numbers of them side by side, to be compared in one go."""
        self._places = [place for place, _, _ in self._named]
        self._names = [name for _, name, _ in self._named]
        self._values = [value for _, _, value in self._named]
        self._holders = [holder for holder, _ in self._attributes]

    def _walk(self, roots: tuple[Any, ...]) -> None:
        self.generators: list[Any] = []
        self.iterators: list[Any] = []
        self._named: list[tuple[Mapping[str, Any], str, Any]] = []
        self._cells: list[tuple[types.CellType, str, Any]] = []
        self._sizes: list[tuple[Any, int, tuple[Any, ...]]] = []
        self._arrays: list[tuple[np.ndarray, bytes]] = []
        self._attributes: list[tuple[dict, int]] = []
        self._counts: list[int] = []  # of attributes, when they were found right
        self._codes = []
        self._kept: list[Any] = []
        seen: set[int] = set()
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
        if isinstance(x, _GENERATORS):
            self.generators.append(x)
        elif isinstance(x, np.ndarray):
            self._arrays.append((x, x.tobytes()))
        elif isinstance(x, types.FunctionType):
            yield from self._function(x)
        elif isinstance(x, types.MethodType):
            yield from (x.__self__, x.__func__)
        elif isinstance(x, functools.partial):
            yield from (x.func, x.args, x.keywords)
        elif isinstance(x, _DEEP):
            parts = _parts(x)
            if not isinstance(x, tuple):  # which stays as it is
                self._sizes.append((x, len(x), parts))
            yield from parts
        elif isinstance(x, type):
            yield from self._class(x)
        elif isinstance(x, types.ModuleType):
            if not _fixed(x.__name__):
                yield from [self._note(vars(x), name) for name in self._used if name in vars(x)]
        elif isinstance(x, Iterator) and not isinstance(x, io.IOBase):
            self.iterators.append(x)
        elif not isinstance(x, Tensor) and hasattr(x, "__dict__"):
            yield type(x)
            names = [name for name in list(vars(x)) if name != _NOTE and name not in self._skipped]
            yield from [self._note(vars(x), name) for name in names]
            # how many there are: an instance's own attribute may hide one of its class, as ``training`` does
            self._attributes.append((vars(x), len(vars(x)) - (_NOTE in vars(x))))

    def _function(self, x: types.FunctionType) -> Iterator[Any]:
        """The closure, the defaults and (of a function of the user's) the globals."""
        self._codes.append(x.__code__)
        use = effects.use(x.__code__)
        for name, cell in zip(x.__code__.co_freevars, x.__closure__ or (), strict=True):
            try:
                content = cell.cell_contents
            except ValueError:
                continue
            if name not in self._skipped:
                self._cells.append((cell, name, content))
                yield content
        yield from (x.__defaults__, x.__kwdefaults__)
        if _fixed(x.__module__ or ""):
            return
        self._used.update(use.attributes)
        for name in use.globals:
            if name in x.__globals__ and name not in self._skipped:
                yield self._note(x.__globals__, name)

    def _class(self, x: type) -> Iterator[Any]:
        """The plain attributes of a class and its bases, and the methods that are called."""
        for base in x.__mro__:
            if base.__module__ == "builtins":
                continue
            if _fixed(base.__module__):
                self._codes += [f.__code__ for f in vars(base).values() if isinstance(f, types.FunctionType)]
                continue
            for name, value in list(vars(base).items()):
                inner = getattr(value, "fget", None) or getattr(value, "__func__", None) or value
                if isinstance(inner, types.FunctionType):
                    if name in self._used or name == "forward" or (name[:2] == "__" and name not in _NOT_CALLED):
                        yield inner
                elif (
                    isinstance(value, (*_PLAIN, *_DEEP, np.ndarray)) and name[:2] != "__" and name not in self._skipped
                ):
                    yield self._note(vars(base), name)

    def _note(self, place: Mapping[str, Any], name: str) -> Any:
        self._named.append((place, name, place[name]))
        return place[name]

    def release(self, owned: Callable[[Mapping[str, Any], str, Any], bool]) -> None:
        """Stop watching the attributes (where, name, noted value) for which ``owned`` is true."""
        self._named = [x for x in self._named if not owned(*x)]
        self._group()

    def settle(self) -> None:
        """Stop watching the attributes that have just been given another value (by an observer, whose own they are)."""
        self.release(lambda place, name, value: not _same(place.get(name, _MISSING), value))

    def unfit(self) -> str | None:
        """Why what the function reads forbids a replay, if these guards are from before it was called."""
        if self.iterators:
            return f"it reads {self.iterators[0]!r}, which gives something else at each call"
        changed = self.changed()
        return changed and f"it changes {changed} while it runs, and may depend on it"

    def hold(self) -> bool:
        """Whether everything noted is still there and equal."""
        return self.changed() is None

    def changed(self) -> str | None:
        """The first thing that is not what it was, in words."""
        try:
            identical = all(map(is_, map(getitem, self._places, self._names), self._values))
        except KeyError:
            identical = False
        if not identical:
            for place, name, value in self._named:
                if not _same(place.get(name, _MISSING), value):
                    return repr(name)
        for cell, name, value in self._cells:
            if not _same(cell.cell_contents, value):
                return repr(name)
        for holder, size, parts in self._sizes:
            if len(holder) != size:
                return f"the length of a {type(holder).__name__}"
            now = _parts(holder)
            if not all(map(is_, now, parts)) and not all(map(_same, now, parts)):
                return f"what is in a {type(holder).__name__}"
        if self._holders and (counts := list(map(len, self._holders))) != self._counts:
            if [n for n, count in self._attributes if len(n) - (_NOTE in n) != count]:
                return "which attributes there are"
            self._counts = counts
        if self._arrays and any(array.tobytes() != copy for array, copy in self._arrays):
            return "the numbers in a plain array"
        return None


def _fixed(module: str) -> bool:
    """Whether a module is Python's or one of ours: what every function stands on, and nobody's setting."""
    top = module.split(".")[0]
    return top in ("autoconv", "numpy") or top in sys.stdlib_module_names


def _parts(holder: Any) -> tuple[Any, ...]:
    """What a list, tuple or set holds, or a dict's keys and then its values."""
    return (*holder, *holder.values()) if isinstance(holder, dict) else tuple(holder)


def _same(a: Any, b: Any) -> bool:
    """Whether a is b, or an equal plain value of the same type, or a tuple of such."""
    if a is b or type(a) is not type(b):
        return a is b
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    return isinstance(a, _PLAIN) and (a == b or (a != a and b != b))
