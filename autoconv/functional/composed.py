"""What makes a function of primitives a composed operation: a scope around its lines, and operands lifted onto the
tape."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np

from .. import primitives as p
from ..arrays import wide
from ..operands import PYTHONS, number_as, numbers
from ..rows import common_dtype
from ..shapes import flag
from ..tape import Array, Tensor, constant, within
from .spelling import asked_otherwise, own_keywords

P = ParamSpec("P")
R = TypeVar("R")

COUNTS = ("labels", "indices")  # operands whose whole numbers stay whole, whatever the dtype of the others


def composed(*operands: str, statistics: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Record a function's lines in a scope of its name.  ``operands`` names its arrays, in the order of its parameters.

    If any of them is a Tensor, plain arrays among them become constants of the tape, so that the whole calculation can
    be drawn and replayed; if none is, everything stays a plain array and nothing is recorded.  A Python number is of
    the dtype of the Tensor or array beside it.  None is left where it is the default.  Signature, types and docstring
    are those of the function, which also takes the other spellings of its keywords (``spelling``).  Raises TypeError
    for an operand that is no array of numbers (``operands.numbers``).

    ``statistics``: the function adds up, counts or squares.  Its float16 operands are cast to float32, and its result
    back to float16 if that is the operands' common dtype: a sum, a count, a square or an eps may lie outside
    float16's range where the result does not.
    """

    def decorate(f: Callable[P, R]) -> Callable[P, R]:
        name, count = f.__name__, len(operands)
        names, defaults = _parameters(f)
        optional = {k for k in operands if defaults.get(k, ...) is None}
        leading, positional = names[:count] == list(operands), f.__code__.co_argcount
        known, here = tuple(names), frozenset(names)
        flags = [(i, k) for i, k in enumerate(names) if isinstance(defaults.get(k), bool)]

        def lift(x: Any, k: str, first: Tensor | None, beside: Any) -> Any:
            if isinstance(x, Tensor) or (x is None and k in optional):
                return x
            if beside is not None and type(x) in PYTHONS and k not in COUNTS:
                x = number_as(x, common_dtype((beside, x)), f"{name}: {k}")
            return numbers(x, f"{name}: {k}") if first is None else constant(x, f"{name}: {k}")

        @wraps(f)
        def call(*args: Any, **kwargs: Any) -> R:
            if kwargs and not here >= kwargs.keys():
                if (other := asked_otherwise(name, kwargs)) is not None:
                    return other(*args, **kwargs)  # type: ignore[no-any-return]
                kwargs = own_keywords(name, known, kwargs)
            if not leading:  # a setting stands between the operands: everything by its name
                if len(args) > positional or not kwargs.keys().isdisjoint(names[: len(args)]):
                    return f(*args, **kwargs)  # raises TypeError, as Python words it
                args, kwargs = (), {**dict(zip(names, args, strict=False)), **kwargs}
            given = [*args[:count], *[kwargs[k] for k in operands if k in kwargs]] if kwargs else args[:count]
            first = next((x for x in given if isinstance(x, Tensor)), None)
            beside = first if first is not None else next((x for x in given if _has_dtype(x)), None)
            lifted = [lift(x, k, first, beside) for k, x in zip(operands, args, strict=False)]
            settings = args[count:]
            if kwargs:
                kwargs.update((k, lift(kwargs[k], k, first, beside)) for k in operands if k in kwargs)
            for i, k in flags:
                if i < len(args):
                    flag(args[i], f"{name}: {k}")
                elif k in kwargs:
                    flag(kwargs[k], f"{name}: {k}")
            run: Callable[..., R] = f
            if statistics:
                dtypes = [x.dtype for x in (*lifted, *[kwargs[k] for k in operands if k in kwargs]) if x is not None]
                if np.float16 in dtypes:
                    run = partial(_in_float32, f, operands, dtypes)
            if first is None:
                return run(*lifted, *settings, **kwargs)
            return within(name, run, *lifted, *settings, **kwargs)

        return call

    return decorate


def _has_dtype(x: Any) -> bool:
    """Whether x is an array that says of what dtype a Python number beside it is."""
    return isinstance(x, np.ndarray) and x.dtype.kind in "biuf"


def _in_float32(
    f: Callable[..., Any], operands: tuple[str, ...], dtypes: Iterable[Any], *args: Any, **kwargs: Any
) -> Any:
    """f with its float16 operands cast to float32, and its result back if no operand was wider."""
    args = (*[in_float32(x) for x in args[: len(operands)]], *args[len(operands) :])
    y = f(*args, **{k: in_float32(x) if k in operands else x for k, x in kwargs.items()})
    floats = [dtype for dtype in dtypes if dtype.kind == "f"]
    return p.cast(y, dtype=np.dtype(np.float16)) if np.result_type(*floats) == np.float16 else y


def in_float32(x: Any) -> Any:
    """x, cast if it is float16."""
    return p.cast(x, dtype=wide(x.dtype)) if getattr(x, "dtype", None) == np.float16 else x


def _parameters(f: Any) -> tuple[list[str], dict[str, Any]]:
    """A function's parameters in order, and their defaults (``inspect`` takes longer to import than this module)."""
    positional, code = f.__defaults__ or (), f.__code__
    names = list(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
    last = names[code.co_argcount - len(positional) : code.co_argcount]
    return names, {**dict(zip(last, positional, strict=True)), **(f.__kwdefaults__ or {})}


def operand(x: Any, what: str) -> Any:
    """A Tensor as it is; anything else as a plain array of numbers.  ``what``: whose operand, for the error message."""
    return x if isinstance(x, Tensor) else numbers(x, what)


def plain(x: Any, what: str) -> Array:
    """The array of a Tensor, or of anything that can be an operand."""
    return x.value if isinstance(x, Tensor) else numbers(x, what)
