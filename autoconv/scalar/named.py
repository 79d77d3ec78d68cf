"""The names of Scalars: a program keeps them in variables, lists, dictionaries and objects, and that is what they are
called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from .floors import KINDS, Scalar

DEPTH, LOOKED = 8, 1_000_000  # containers within containers, and things looked at in all
PLAIN: tuple[type, ...] = (
    str, bytes, int, float, complex, np.generic, type, ModuleType, FunctionType, MethodType, BuiltinFunctionType,
    type(None),
)  # fmt: skip


def named_scalars(names: Mapping[str, Any]) -> Iterator[tuple[str, Scalar]]:
    """(name, Scalar) for every Scalar that is in ``names`` (as locals() gives them) or in what they hold.

    An element of a list, tuple or array is ``w[0]``, of lists in a list ``w[0,1]``; what a dictionary holds has its
    key for a name, and what an object holds ``model.w[0]``.  Variables come before what containers hold; a leading
    underscore (a notebook's history) does not count.  Nothing is called or changed.
    """
    known = [(name, x) for name, x in names.items() if isinstance(name, str) and not name.startswith("_")]
    yield from ((name, x) for name, x in known if isinstance(x, KINDS))
    met: set[int] = set()
    waiting: list[tuple[str, tuple[int, ...], Any, int]] = [
        (name, (), x, 0) for name, x in reversed(known) if not isinstance(x, (*KINDS, *PLAIN))
    ]
    looked = 0
    while waiting and looked < LOOKED:
        looked += 1
        name, index, x, depth = waiting.pop()
        if isinstance(x, KINDS):
            yield _called(name, index), x
            continue
        if depth > DEPTH or id(x) in met:
            continue
        met.add(id(x))
        waiting += reversed([part for part in _held(name, index, x, depth) if not isinstance(part[2], PLAIN)])


def _called(name: str, index: tuple[int, ...]) -> str:
    return f"{name}[{','.join(map(str, index))}]" if index else name


def _held(name: str, index: tuple[int, ...], x: Any, depth: int) -> Iterator[tuple[str, tuple[int, ...], Any, int]]:
    """What a container or an object of the user's holds, with the name and the index of each."""
    inside = _called(name, index)
    if isinstance(x, np.ndarray):
        if x.dtype == object:
            yield from ((name, (*index, *at), x[at], depth + 1) for at in np.ndindex(*x.shape))
    elif isinstance(x, list | tuple):
        yield from ((name, (*index, k), part, depth + 1) for k, part in enumerate(x))
    elif isinstance(x, Mapping):
        for key, part in x.items():
            if isinstance(key, str) and not key.startswith("_"):
                yield (key if not depth else f"{inside}.{key}"), (), part, depth + 1
            elif isinstance(key, int):
                yield name, (*index, key), part, depth + 1
    elif isinstance(getattr(x, "__dict__", None), dict) and not type(x).__module__.startswith(("autoconv", "numpy")):
        for key, part in list(vars(x).items()):
            if isinstance(key, str) and not key.startswith("_"):
                yield f"{inside}.{key}", (), part, depth + 1
