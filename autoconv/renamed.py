"""Old spellings of keywords, kept for one version: they work, and say in a DeprecationWarning what to write."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def renamed(**new_names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator for a function whose keyword ``old`` is now called ``new``: ``@renamed(old="new")``.

    ``f(old=value)`` calls ``f(new=value)`` with a DeprecationWarning; signature, help and types name the new keyword
    alone. Raises TypeError if both are given.

    >>> @renamed(window="kernel_size")
    ... def area(kernel_size):
    ...     return kernel_size**2
    >>> area(kernel_size=3)
    9
    """

    def decorate(f: Callable[P, R]) -> Callable[P, R]:
        @wraps(f)
        def call(*args: Any, **kwargs: Any) -> R:
            if kwargs:
                for old, new in new_names.items():
                    if old in kwargs:
                        if new in kwargs:
                            raise TypeError(f"{f.__name__}: {old}= is the old name of {new}=; give {new}= alone")
                        warnings.warn(
                            f"{f.__name__}: {old}= is now called {new}=; the old name goes in the next version",
                            DeprecationWarning,
                            stacklevel=2,
                        )
                        kwargs[new] = kwargs.pop(old)
            return f(*args, **kwargs)

        return call

    return decorate
