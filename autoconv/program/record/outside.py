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
from typing import Any

import numpy as np

from .owners import mine

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


class Calls:
    """``first``: the first call of the kind, in words, that ``run`` saw; "" if there was none."""

    def __init__(self) -> None:
        self.first = ""
        self._beside = 0  # how many of the calls that are going on are beside the result
        self._known = _sources()

    def run(self, f: Callable[[], Any]) -> Any:
        """``f()``, and what it asks outside; what a garbage collection ends meanwhile may ask anything."""
        before: Any = sys.getprofile()
        thread = threading.get_ident()

        def collecting(phase: str, info: Any) -> None:
            if threading.get_ident() == thread:
                self._beside += 1 if phase == "start" else -1

        gc.callbacks.append(collecting)
        sys.setprofile(self._see)
        try:
            return f()
        finally:
            gc.callbacks.remove(collecting)
            if hasattr(before, "enable"):  # Python's own profiler, which is no function
                before.enable()
            else:
                sys.setprofile(before)

    def _see(self, frame: types.FrameType, event: str, arg: Any) -> None:
        if event == "c_call":
            if not self.first and not self._beside:
                self.first = self._called(frame, arg)
        elif event == "call":
            if frame.f_code.co_filename in _BESIDE:
                self._beside += 1
            elif not self.first and not self._beside:
                if frame.f_code in _ENVIRONMENT:
                    self.first = "os.environ"
                elif frame.f_code is _SEEDING and frame.f_locals.get("a") is None:
                    self.first = "random.Random()"
        elif event == "return" and frame.f_code.co_filename in _BESIDE:
            self._beside -= 1

    def _called(self, frame: types.FrameType, f: Any) -> str:
        """What a built-in function asks, in words; "" if it is nothing of the kind."""
        if not isinstance(f, types.BuiltinFunctionType):
            return ""
        if f in self._known:
            return self._known[f]
        if f in _BY_NAME:
            return _BY_NAME[f] if mine(frame.f_globals.get("__name__")) else ""
        name, owner = f.__name__, f.__self__
        if name in _CLOCKS and isinstance(owner, type) and issubclass(owner, datetime.date):
            return f"{owner.__name__}.{name}()"
        if name in _READS and type(owner).__module__ in _HANDLES:
            return f"{type(owner).__name__}.{name}()"
        return ""
