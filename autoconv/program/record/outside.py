"""Calls whose result is not decided by what the program holds: clocks, files, the environment, the system's entropy.

Their numbers cannot be watched, so a function that makes such a call is recorded anew every time.  ``calls`` notices
them whoever makes them (an unseeded ``np.random.default_rng()`` asks ``os.urandom``) by Python's profiling hook, which
tells of every call while a function is recorded.
"""

from __future__ import annotations

import builtins
import datetime
import gc
import linecache
import logging
import os
import random
import sys
import threading
import time
import traceback
import types
import warnings
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from ...tape import Primitive
from .owners import fixed, mine

_OS = (
    "urandom getrandom open read pread readv stat lstat fstat access listdir scandir readlink getcwd getcwdb times "
    "getpid getppid getloadavg cpu_count sched_getaffinity get_terminal_size"
)
_TIME = "sleep mktime strptime get_clock_info tzset"  # of no consequence, or the same for the same arguments


def _sources() -> dict[Any, str]:
    """The functions that ask something outside, and their names."""
    found: dict[Any, str] = {np.fromfile: "np.fromfile()", builtins.input: "input()", builtins.open: "open()"}
    for name in _OS.split():
        if isinstance(f := getattr(os, name, None), types.BuiltinFunctionType):
            found[f] = f"os.{name}()"
    for name, f in vars(time).items():
        if isinstance(f, types.BuiltinFunctionType) and name not in _TIME.split():
            found[f] = f"time.{name}()"
    for module, name in (("_posixsubprocess", "fork_exec"), ("_uuid", "generate_time_safe"), ("io", "open_code")):
        if (f := getattr(sys.modules.get(module), name, None)) is not None:
            found[f] = f"{module.strip('_')}.{name}()"
    return found


_BY_NAME: dict[Any, str] = {builtins.globals: "globals()", builtins.eval: "eval()", builtins.exec: "exec()",
    sys._getframe: "sys._getframe()"}  # fmt: skip
_CLOCKS = ("now", "utcnow", "today")
_READS = frozenset(
    ["read", "read1", "readline", "readlines", "readinto", "recv", "recvfrom", "recv_into", "fetchone", "fetchall",
     "fetchmany", "execute", "get", "get_nowait"])  # fmt: skip
_HANDLES = frozenset(["_io", "_socket", "_ssl", "mmap", "sqlite3", "_queue", "select"])
_ENVIRONMENT = frozenset(
    vars(type(os.environ))[name].__code__ for name in ("__getitem__", "__iter__", "__len__", "copy")
)
_SEEDING = random.Random.seed.__code__
# Whoever is at work in these files reads files or the clock for messages and modules, and not for the result.
_BESIDE = frozenset(
    [
        *["<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>", "<frozen zipimport>"],
        *[str(module.__file__) for module in (warnings, linecache, traceback, logging)],
    ]
)


# What a function or the code of one is to a recording.  Of PERHAPS a call decides; BESIDE: so is what it calls itself.
_ORDINARY, _PERHAPS, _BESIDE_IT = range(3)


@cache
def ours(row: Primitive) -> bool:
    """Whether the rules of a row of the table, which a sweep calls, are this package's: they ask nothing outside."""
    rules = row.vjps if isinstance(row.vjps, tuple) else (row.vjps,)
    return all([fixed(getattr(f, "__module__", None)) for f in (*rules, row.definition, row.at) if f is not None])


@cache
def computes(row: Primitive) -> bool:
    """Whether the forward of a row is NumPy's or this package's: it asks nothing outside."""
    return isinstance(row.forward, np.ufunc) or fixed(getattr(row.forward, "__module__", None))


class Calls:
    """``first``: the first call of the kind, in words, that ``run`` saw; "" if there was none."""

    def __init__(self) -> None:
        self.first = ""
        self._known = _sources()
        self._hook: Any = None

    def run(self, f: Callable[[], Any]) -> Any:
        """``f()``, and what it asks outside; what a garbage collection ends meanwhile may ask anything."""
        before: Any = sys.getprofile()
        thread = threading.get_ident()
        hook = self._hook = hook_kind()(self._sort, self._told)

        def collecting(phase: str, info: Any) -> None:
            if threading.get_ident() == thread:
                hook.beside += 1 if phase == "start" else -1

        gc.callbacks.append(collecting)
        hook.begin()
        try:
            return f()
        finally:
            gc.callbacks.remove(collecting)
            if hasattr(before, "enable"):  # Python's own profiler, which is no function
                before.enable()
            else:
                sys.setprofile(before)
            self._hook = None  # it knows this object, and the two would wait for the garbage collection

    def unseen(self, f: Callable[..., Any], *args: Any) -> Any:
        """``f(*args)``, which is known to ask nothing outside: to look at its calls would take as long again."""
        hook: Any = sys.getprofile()
        if hook is None or hook is not self._hook:
            return f(*args)
        sys.setprofile(None)
        try:
            return f(*args)
        finally:
            hook.begin()

    def _sort(self, x: Any) -> int:
        """What calls of a built-in function, or of a function with this code, are."""
        if isinstance(x, types.CodeType):
            if x.co_filename in _BESIDE:
                return _BESIDE_IT
            return _PERHAPS if x in _ENVIRONMENT or x is _SEEDING else _ORDINARY
        known = x in self._known or x in _BY_NAME or x.__name__ in _CLOCKS
        return _PERHAPS if known or (x.__name__ in _READS and _of_handle(x.__self__)) else _ORDINARY

    def _told(self, frame: types.FrameType, x: Any) -> bool:
        """Whether a call of PERHAPS is the first of the kind."""
        if not isinstance(x, types.CodeType):
            self.first = self._called(frame, x)
        elif x in _ENVIRONMENT:
            self.first = "os.environ"
        elif frame.f_locals.get("a") is None:
            self.first = "random.Random()"
        return bool(self.first)

    def _called(self, frame: types.FrameType, f: Any) -> str:
        """What a built-in function asks, in words; "" if it is nothing of the kind."""
        if f in self._known:
            return self._known[f]
        if f in _BY_NAME:
            return _BY_NAME[f] if mine(frame.f_globals.get("__name__")) else ""
        name, owner = f.__name__, f.__self__
        if name in _CLOCKS and isinstance(owner, type) and issubclass(owner, datetime.date):
            return f"{owner.__name__}.{name}()"
        if name in _READS and _of_handle(owner):
            return f"{type(owner).__name__}.{name}()"
        return ""


def _of_handle(x: Any) -> bool:
    """Whether x is of a kind that holds a file, a connection or a queue."""
    return any([kind.__module__ in _HANDLES for kind in type(x).__mro__])


class Hook:
    """Python's profiling hook for one thread: of every call of a function (or code) that ``sort`` has called PERHAPS,
    ``told(frame, function)`` is asked, until it says yes.  ``beside``: how many of the calls that are going on are
    beside the result.

    native/calls.c has the same, for most of the time of a recording would go into this.
    """

    def __init__(self, sort: Callable[[Any], int], told: Callable[[types.FrameType, Any], bool]) -> None:
        self.beside = 0
        self._sort, self._told, self._found = sort, told, False
        self._codes: dict[int, tuple[int, types.CodeType]] = {}  # by id; the object is kept, so that it stays its id

    def begin(self) -> None:
        """Look at the calls of this thread, until ``sys.setprofile`` says otherwise."""
        sys.setprofile(self)

    def __call__(self, frame: types.FrameType, event: str, arg: Any) -> None:
        if event == "c_call":
            looks = not self._found and not self.beside and isinstance(arg, types.BuiltinFunctionType)
            if looks and self._sort(arg) == _PERHAPS:
                self._found = self._told(frame, arg)
        elif event == "call" or (event == "return" and self.beside):
            code = frame.f_code
            if (known := self._codes.get(id(code))) is None:
                self._codes[id(code)] = known = self._sort(code), code
            kind = known[0]
            if kind == _BESIDE_IT:
                self.beside += 1 if event == "call" else -1
            elif kind == _PERHAPS and event == "call" and not self._found and not self.beside:
                self._found = self._told(frame, code)


@cache
def _compiled() -> Any:
    """The compiled extension, None where it was not built."""
    try:
        return import_module("._calls", __package__)
    except ImportError:
        return None


def hook_kind() -> Any:
    """``Hook``, or the compiled one where it was built and is not switched off (``AUTOCONV_NATIVE=0``)."""
    return Hook if _compiled() is None or os.environ.get("AUTOCONV_NATIVE") == "0" else _compiled().Hook
