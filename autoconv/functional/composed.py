"""What makes a function of primitives a composed operation: a scope around its lines, and operands lifted onto the
tape."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np

from ..tape import Tensor, constant, scope

P = ParamSpec("P")
R = TypeVar("R")


def composed(*operands: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Record a function's lines in a scope of its name.  ``operands`` names its arrays, in their positions.

    If any of them is a Tensor, plain arrays among them become constants of the tape, so that the whole calculation can
    be drawn and replayed; if none is, everything stays a plain array and nothing is recorded.  Numbers stay numbers.
    Signature, types and docstring are those of the function.
    """

    def decorate(f: Callable[P, R]) -> Callable[P, R]:
        name = f.__name__

        @wraps(f)
        def call(*args: Any, **kwargs: Any) -> R:
            named = dict(zip(operands, args, strict=False))
            named.update((k, kwargs[k]) for k in operands if k in kwargs)
            taped = any(isinstance(x, Tensor) for x in named.values())
            lift = constant if taped else np.asarray
            lifted = {
                k: lift(x)
                if isinstance(x, np.ndarray | np.generic | list | tuple) or (not taped and isinstance(x, int | float))
                else x
                for k, x in named.items()
            }
            args = tuple(lifted[k] for k in operands[: len(args)]) + args[len(operands) :]
            kwargs.update((k, lifted[k]) for k in operands if k in kwargs)
            if not taped:
                return f(*args, **kwargs)
            with scope(name):
                return f(*args, **kwargs)

        return call

    return decorate
