"""Whose a module is: Python's and ours, the user's, or an installed package's; guards watch the user's alone."""

from __future__ import annotations

import site
import sys
import sysconfig
import types
from functools import cache
from pathlib import PurePath
from typing import Any

_SITES = ("site-packages", "dist-packages")


def fixed(module: Any) -> bool:
    """Whether a module (its name) is Python's or one of ours: what every function stands on, and nobody's setting.

    >>> fixed("math"), fixed("numpy.linalg"), fixed("__main__")
    (True, True, False)
    """
    top = module.partition(".")[0] if isinstance(module, str) else ""
    return top in ("autoconv", "numpy") or (top in sys.stdlib_module_names and top != "__main__")


def foreign(module: Any) -> bool:
    """Whether a module (its name) belongs to an installed package that is not written for autoconv.

    Such a package is large, knows nothing of what is recorded, and its functions are settled: guards do not walk into
    it.  One whose modules use autoconv (somebody's layers, installed) is watched like the user's own.
    """
    known = sys.modules.get(module) if isinstance(module, str) else None
    if known is None or fixed(module):
        return False
    file = getattr(known, "__file__", None) or next(iter(getattr(known, "__path__", ())), None)
    return isinstance(file, str) and _installed(file) and not _uses_autoconv(module)


def mine(module: Any) -> bool:
    """Whether a module (its name) is the user's, or written for autoconv."""
    return not fixed(module) and not foreign(module)


@cache
def _installed(file: str) -> bool:
    """Whether a file lies where packages are installed."""
    path = PurePath(file)
    return any(part in _SITES for part in path.parts) or any(path.is_relative_to(place) for place in _places())


@cache
def _places() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    found = {paths["purelib"], paths["platlib"], site.getusersitepackages(), *site.getsitepackages()}
    return tuple(x for x in found if x)


@cache
def _uses_autoconv(module: str) -> bool:
    """Whether anything in a module's names is autoconv's."""
    return any(_from_autoconv(x) for x in list(vars(sys.modules[module]).values()))


def _from_autoconv(x: Any) -> bool:
    if isinstance(x, types.ModuleType):
        name = x.__name__
    else:
        name = x.__module__ if isinstance(x, types.FunctionType | type) else type(x).__module__
    return isinstance(name, str) and name.partition(".")[0] == "autoconv"
