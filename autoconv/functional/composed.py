"""What makes a function of primitives a composed operation: a scope around its lines, and operands lifted onto the
tape."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np

from .. import primitives as p
from ..arrays import wide
from ..tape import Tensor, constant, scope

P = ParamSpec("P")
R = TypeVar("R")


def composed(*operands: str, statistics: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Record a function's lines in a scope of its name.  ``operands`` names its arrays, in their positions.

    If any of them is a Tensor, plain arrays among them become constants of the tape, so that the whole calculation can
    be drawn and replayed; if none is, everything stays a plain array and nothing is recorded.  Numbers stay numbers.
    Signature, types and docstring are those of the function.

    ``statistics``: the function adds up, counts or squares.  Its float16 operands are cast to float32, and its result
    back to float16 if that is the operands' common dtype: a sum, a count, a square or an eps may lie outside
    float16's range where the result does not.
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
            narrow = statistics and np.float16 in [getattr(x, "dtype", None) for x in lifted.values()]
            after = tuple(args[len(operands) :])

            def calculated() -> R:
                known = {k: in_float32(x) for k, x in lifted.items()} if narrow else lifted
                here = tuple([known[k] for k in operands[: len(args)]])
                kwargs.update((k, known[k]) for k in operands if k in kwargs)
                y = f(*here, *after, **kwargs)  # type: ignore[arg-type]
                if narrow and np.result_type(*dtypes(lifted.values())) == np.float16:
                    return p.cast(y, dtype=np.dtype(np.float16))  # type: ignore[return-value]
                return y

            if not taped:
                return calculated()
            with scope(name):
                return calculated()

        return call

    return decorate


def in_float32(x: Any) -> Any:
    """x, cast if it is float16."""
    return p.cast(x, dtype=wide(x.dtype)) if getattr(x, "dtype", None) == np.float16 else x


def dtypes(operands: Iterable[Any]) -> list[Any]:
    """Of the arrays of floating-point numbers among the operands."""
    return [x.dtype for x in operands if hasattr(x, "dtype") and x.dtype.kind == "f"]
