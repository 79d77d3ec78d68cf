"""The compiled machine: whether it is there and switched on, and how many threads it may use."""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from typing import Any

from .native import instruction_set


@cache
def _built() -> tuple[Any, str]:
    """The compiled extension, or None and why."""
    try:
        built = import_module("._machine", __package__)
    except ImportError:
        return None, "is not built (it needs a C compiler when the package is installed)"
    if getattr(built, "instruction_set", None) != instruction_set.DIGEST:
        return None, "was built from another instruction set than this version's; install the package again"
    return built, ""


def machine() -> Any:
    """The compiled extension, or None if it was not built, or not from this instruction set."""
    return _built()[0]


def available() -> bool:
    """Whether programs may run natively: the extension was built and is not switched off."""
    return machine() is not None and os.environ.get("AUTOCONV_NATIVE") != "0"


def backend() -> str:
    """What compiled programs run on, and why, in words."""
    built, reason = _built()
    if built is None:
        return f"NumPy: the extension autoconv.plan._machine {reason}"
    if not available():
        return "NumPy: AUTOCONV_NATIVE=0 turns the native machine off"
    sets = sorted({name for name, *_ in built.variants()})
    return f"native machine, instruction sets {', '.join(sets)}, {threads()} threads"


def threads() -> int:
    """How many threads a program may use: AUTOCONV_THREADS, or the processors this process may run on.

    A batch is cut into as many sums as there are threads (or a multiple), so another number of threads may round a sum
    otherwise in its last bits; with the same number a run has the same bits again, whichever thread does what.
    """
    asked = os.environ.get("AUTOCONV_THREADS", "")
    if asked.isdigit() and int(asked):
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
