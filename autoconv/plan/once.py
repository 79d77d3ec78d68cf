"""What is worked out once in a plan: results that follow from sizes alone, as of the many layers of one kind in a net.

A program is lowered twice, and a net has the same layer many times over.  What is known is let go of with the plan.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

R = TypeVar("R")

_MISSING = object()
_lock = threading.Lock()
_known: dict[Hashable, Any] = {}
_plans = [0]  # how many are being made: several threads may plan at a time


@contextmanager
def known() -> Iterator[None]:
    """One plan, in which ``once`` remembers."""
    with _lock:
        _plans[0] += 1
    try:
        yield
    finally:
        with _lock:
            _plans[0] -= 1
            if not _plans[0]:
                _known.clear()


def once(f: Callable[..., R]) -> Callable[..., R]:
    """A function of hashable arguments whose result nobody changes: called once for each of them while a plan is made.

    >>> @once
    ... def double(x):
    ...     print("doubled")
    ...     return [2 * x]
    >>> with known():
    ...     double(3), double(3)
    doubled
    ([6], [6])
    """

    @wraps(f)
    def call(*given: Hashable) -> R:
        key = (f, *given)
        found = _known.get(key, _MISSING)
        if found is _MISSING:
            found = f(*given)
            if _plans[0]:
                _known[key] = found
        return found

    return call
