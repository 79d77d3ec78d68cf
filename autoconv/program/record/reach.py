"""What a function can reach: its closure, its globals, the attributes of its objects, each noted where it was found.

The walk goes through what is the user's (owners.py).  Of an object from an installed package only its own attributes
are noted, and of its functions nothing but functions of the user's that they wrap.  Where there is more than ``MOST``
to visit, or something that cannot be watched, ``unwatched`` says so.
"""

from __future__ import annotations

import array
import collections
import contextlib
import functools
import io
import random
import sys
import threading
import types
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import numpy as np

from ...tape import Tensor
from . import effects
from .owners import fixed, foreign, mine

MISSING = object()
MOST = 20_000  # objects to visit; the modules of a ResNet-152 are about 3,000

PLAIN = (int, float, complex, str, bytes, bool, type(None))
NOTE = "_output_shape"  # what a Module writes down for its repr at each call, and nothing computes with
HOLDERS = (list, tuple, dict, set, frozenset, collections.deque, types.MappingProxyType)
_VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))
_BUFFERS = (array.array, bytearray, memoryview)
_GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)
_PROXIES = (weakref.ProxyType, weakref.CallableProxyType)
_SETTLED = ("logging", "re", "typing", "abc", "_abc", "importlib")  # of whose objects no result depends
_NOT_CALLED = ("__init__", "__new__", "__repr__", "__init_subclass__", "__reduce__", "__setattr__")


class Reach:
    """What ``roots`` (a function and its static arguments) can reach, in lists by the way it is compared.

    ``named``: (place, name, value) of globals and attributes; ``fields``: the same of slots, which have no dict;
    ``cells`` of closures; ``sizes`` of (holder, parts); ``arrays`` and ``buffers`` with a copy; ``variables`` of
    contexts; ``weak`` references and whether they are dead; ``counts`` of attributes.  ``visited`` objects; what was
    met of random ``generators`` and ``iterators``; why it is ``unwatched``, or "".  The walk is made again until it
    meets no new name of an attribute; ``before``: a reach of the same roots, whose names it begins with.
    """

    def __init__(self, *roots: Any, before: Reach | None = None) -> None:
        self._used: set[str] = set(before._used if before else ())  # attributes that the functions reached name
        self._computed: bool = before is not None and before._computed  # whether one of them computes such names
        self.skipped: set[str] = set()
        known: Any = None
        while known != (now := (len(self._used), self._computed)):  # a method is reached when something names it
            known = now
            self._walk(roots)
        self.skipped = effects.only_written(self._codes)
        if self.skipped and not self.unwatched:
            self._walk(roots)

    def _walk(self, roots: tuple[Any, ...]) -> None:
        self.generators: list[Any] = []
        self.iterators: list[Any] = []
        self.named: list[tuple[Mapping[str, Any], str, Any]] = []
        self.fields: list[tuple[Any, str, Any]] = []
        self.cells: list[tuple[types.CellType, str, Any]] = []
        self.sizes: list[tuple[Any, tuple[Any, ...]]] = []
        self.arrays: list[tuple[np.ndarray, Any]] = []
        self.buffers: list[tuple[Any, bytes]] = []
        self.variables: list[tuple[ContextVar[Any], Any]] = []
        self.weak: list[tuple[weakref.ref[Any], bool]] = []
        self.counts: list[tuple[dict, int]] = []
        self.unwatched = ""
        self._codes: list[types.CodeType] = []
        self._weakly: set[int] = set()  # ids of what only a weak reference has led to
        kept: list[Any] = []  # so that no id is that of another object while the walk goes on
        seen: set[int] = set()
        waiting = list(roots)
        while waiting:
            x = waiting.pop()
            if isinstance(x, PLAIN) or id(x) in seen:
                continue
            seen.add(id(x))
            kept.append(x)
            if len(kept) > MOST:
                self.unwatched = f"it can reach more than {MOST:,} objects, too many to watch"
                for notes in (self.named, self.fields, self.cells, self.sizes, self.arrays, self.buffers, self.counts):
                    notes.clear()
                break
            waiting.extend(self._within(x))
        self.visited = len(kept)

    def _within(self, x: Any) -> Iterator[Any]:
        """What stands directly inside x, each noted with the place it was found in."""
        if type(x) in _PROXIES:
            self.unwatched = "it reads a weak proxy, whose object may go at any time"
        elif id(x) in self._weakly and (isinstance(x, (Tensor, np.ndarray, *HOLDERS)) or _slots(type(x))):  # type: ignore[arg-type]
            self.unwatched = f"it reads a {type(x).__name__} through a weak reference, and must not hold it"
        elif isinstance(x, _GENERATORS):
            self.generators.append(x)
        elif isinstance(x, np.ndarray):
            self.arrays.append((x, numbers(x)))
            if x.dtype == object:
                yield from x.ravel().tolist()
            yield from self._attributes(x)
        elif isinstance(x, _BUFFERS):
            self.buffers.append((x, bytes(x)))
        elif isinstance(x, types.FunctionType):
            yield from self._function(x)
        elif isinstance(x, types.MethodType):
            yield from (x.__self__, x.__func__)
        elif isinstance(x, (types.BuiltinFunctionType, types.MethodWrapperType)):
            yield x.__self__  # of ``table.get``, say; of a function its module
        elif isinstance(x, functools.partial):
            yield from (x.func, x.args, x.keywords)
        elif isinstance(x, (*HOLDERS, *_VIEWS)):
            parts = parts_of(x)
            if not isinstance(x, (tuple, frozenset)):  # which stay as they are
                self.sizes.append((x, parts))
            yield from parts
            if type(x).__module__ != "builtins":
                yield from self._attributes(x)
        elif isinstance(x, type):
            yield from self._class(x)
        elif isinstance(x, types.ModuleType):
            yield from self._module(x)
        elif isinstance(x, ContextVar):
            self.variables.append((x, content := x.get(MISSING)))
            yield content
        elif isinstance(x, weakref.ref):
            yield from self._weak(x)
        elif isinstance(x, io.IOBase):
            if _readable(x):
                self.iterators.append(x)
        elif isinstance(x, Iterator):
            self.iterators.append(x)
        elif not isinstance(x, Tensor | np.generic):
            yield from self._attributes(x)
            self._buffer(x)

    def _attributes(self, x: Any) -> Iterator[Any]:
        """The attributes of an object: all of them, those in slots as well; of a foreign one the first level alone."""
        kind = type(x)
        module = kind.__module__
        if isinstance(module, str) and module.partition(".")[0] in _SETTLED:
            return
        stranger = foreign(module) and not any(base.__module__.startswith("autoconv") for base in kind.__mro__)
        if not stranger:
            yield kind
            for name in _slots(kind):  # type: ignore[arg-type]
                if name not in self.skipped:
                    value = getattr(x, name, MISSING)
                    self.fields.append((x, name, value))
                    yield value
        if isinstance(x, threading.local):  # its dict is another one in each thread
            for name in {*vars(x), *self._used}:
                self.fields.append((x, name, value := vars(x).get(name, MISSING)))
                yield value
        elif isinstance(attributes := getattr(x, "__dict__", None), dict):
            names = [name for name in list(attributes) if name != NOTE and name not in self.skipped]
            values = [self._note(attributes, name) for name in names]
            # how many there are: an instance's own attribute may hide one of its class, as ``training`` does
            self.counts.append((attributes, len(attributes) - (NOTE in attributes)))
            if not stranger:
                yield from values
            else:
                for value in values:
                    if isinstance(value, np.ndarray):
                        self.arrays.append((value, numbers(value)))
                    elif isinstance(value, (list, dict, set, collections.deque)) and len(value) < MOST:
                        self.sizes.append((value, parts_of(value)))

    def _buffer(self, x: Any) -> None:
        """The bytes of an object that shows them (ctypes, mmap)."""
        with contextlib.suppress(TypeError, ValueError, BufferError, NotImplementedError):
            self.buffers.append((x, bytes(memoryview(x))))

    def _weak(self, x: weakref.ref[Any]) -> Iterator[Any]:
        content = x()
        self.weak.append((x, content is None))
        if content is not None:
            self._weakly.add(id(content))
            yield content

    def _module(self, x: types.ModuleType) -> Iterator[Any]:
        if not mine(x.__name__):
            return
        if self._computed:
            names = {name for name in list(vars(x)) if name[:2] != "__"}
            self.counts.append((vars(x), len(vars(x))))
        else:
            names = self._used & vars(x).keys()
        yield from [self._note(vars(x), name) for name in sorted(names) if name not in self.skipped]

    def _function(self, x: types.FunctionType) -> Iterator[Any]:
        """The closure, the defaults, the attributes and (of a function of the user's) the globals."""
        if foreign(x.__module__):  # a decorator may stand around a function of the user's
            inside = [_content(cell) for cell in x.__closure__ or ()]
            yield from [f for f in (*inside, getattr(x, "__wrapped__", None)) if _mine_to_call(f)]
            return
        self._codes.append(x.__code__)
        for name, cell in zip(x.__code__.co_freevars, x.__closure__ or (), strict=True):
            content = _content(cell)
            if content is not MISSING and name not in self.skipped:
                self.cells.append((cell, name, content))
                yield content
        yield from (x.__defaults__, x.__kwdefaults__)
        if fixed(x.__module__ or ""):
            return
        use = effects.use(x.__code__)
        self._used.update(use.attributes)
        self._computed = self._computed or use.computed
        if use.by_module:
            self.unwatched = f"{x.__name__} looks up modules by their names"
        for name in use.globals:
            if name in x.__globals__ and name not in self.skipped:
                yield self._note(x.__globals__, name)
        package = x.__globals__.get("__package__") or ""
        for name in use.imports:
            found = (sys.modules.get(path) for path in (name, f"{package}.{name}", name.partition(".")[0], package))
            yield from [module for module in found if module is not None]
        if x.__dict__:
            yield from self._attributes(x)

    def _class(self, x: type) -> Iterator[Any]:
        """The attributes of a class and its bases, and the methods that are called."""
        for base in x.__mro__:
            if base.__module__ == "builtins" or foreign(base.__module__):
                continue
            if fixed(base.__module__):
                self._codes += [f.__code__ for f in vars(base).values() if isinstance(f, types.FunctionType)]
                continue
            for name, value in list(vars(base).items()):
                inner = getattr(value, "fget", None) or getattr(value, "__func__", None) or value
                special = name[:2] == "__"
                if isinstance(inner, types.FunctionType):
                    called = self._computed or name in self._used or name == "forward"
                    if (called and not special) or (special and name not in _NOT_CALLED):
                        yield inner
                elif not special and not isinstance(value, _DESCRIPTORS) and name not in self.skipped:
                    yield self._note(vars(base), name)

    def _note(self, place: Mapping[str, Any], name: str) -> Any:
        self.named.append((place, name, place[name]))
        return place[name]

    def release(self, owned: Callable[[Mapping[str, Any], str, Any], bool]) -> None:
        """Forget the attributes (where, name, noted value) for which ``owned`` is true."""
        self.named = [x for x in self.named if not owned(*x)]


_DESCRIPTORS = (types.MemberDescriptorType, types.GetSetDescriptorType, property, staticmethod, classmethod)


@functools.lru_cache(maxsize=4096)
def _slots(kind: Any) -> tuple[str, ...]:
    """The names of a class's slots, where it is the user's."""
    return tuple(
        name
        for base in kind.__mro__
        if mine(base.__module__)
        for name, x in vars(base).items()
        if isinstance(x, types.MemberDescriptorType)
    )


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING


def _mine_to_call(f: Any) -> bool:
    """Whether this is a function of the user's, or a method of an object of theirs."""
    return isinstance(f, types.FunctionType | types.MethodType) and mine(f.__module__)


def _readable(x: io.IOBase) -> bool:
    """Whether reading a file may give something else each time."""
    try:
        return x is not sys.stdin and x.readable() and not x.writable()
    except ValueError:  # it is closed
        return False


def parts_of(holder: Any) -> tuple[Any, ...]:
    """What a list, tuple, set or deque holds, or a dict's keys and then its values."""
    if isinstance(holder, (dict, types.MappingProxyType)):
        return (*holder, *holder.values())
    return tuple(holder)


def numbers(x: np.ndarray) -> tuple[Any, ...]:
    """An array's numbers, to be compared."""
    return x.shape, x.dtype, x.tobytes()
