"""Other spellings of keywords: PyTorch's and NumPy's, in a table.

Every function of this folder takes its own keywords and those of ``KEYWORDS`` that stand for one of them, so that
``ac.sum(x, dim=1, keepdim=True)`` is ``ac.sum(x, axis=1, keepdims=True)``; signatures, help and types name its own.
Where PyTorch's call means something else and can be told apart by its keywords, it is answered as PyTorch does: the
functions of ``torch_forms`` are entered in ``FORMS``.  Second names of whole functions stand in ``aliases``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# fmt: off
# another keyword: what it may be called here, the first of these that the function has
KEYWORDS: dict[str, tuple[str, ...]] = {
    "dim": ("axis",), "dims": ("axis", "axes", "repetitions"), "keepdim": ("keepdims",),
    "start_dim": ("start_axis",), "end_dim": ("end_axis",), "dim0": ("axis1",), "dim1": ("axis2",),
    "axis0": ("axis1",), "axes": ("axis",), "newshape": ("shape",), "size": ("shape",), "shifts": ("shift",),
    "reps": ("repetitions",), "indices_or_sections": ("sections",), "index": ("indices",), "offset": ("diagonal",),
    "k": ("diagonal",), "unbiased": ("correction",), "src": ("values",),
    "min": ("low",), "max": ("high",), "a_min": ("low",), "a_max": ("high",),
    "weight": ("kernel",), "divisor_override": ("divisor",), "value": ("constant_values",),
    "target": ("t", "labels"), "attn_mask": ("mask",), "ord": ("p",),
    "end": ("stop",), "steps": ("num",),
}
# the operands, whatever the others call them
FIRST = ("input", "a", "arr", "array", "ary", "m", "x1", "tensors", "arrays", "tup", "logits", "query", "v")
SECOND = ("other", "b", "x2", "mat2", "vec2", "exponent", "target")
# fmt: on

FORMS: dict[
    str, tuple[frozenset[str], Callable[..., Any]]
] = {}  # name -> (keywords that tell it apart, PyTorch's form)


def form(name: str, *keywords: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """PyTorch's form of the function ``name``, asked for wherever one of ``keywords`` is given."""

    def enter(f: Callable[P, R]) -> Callable[P, R]:
        FORMS[name] = frozenset(keywords), f
        return f

    return enter


def own_keywords(name: str, known: tuple[str, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """``kwargs`` under the names that the function's parameters have here; ``known`` are these, in their order.

    One that is no other spelling of any of them stays, for Python to refuse.  TypeError for two spellings of one.
    """
    made: dict[str, Any] = {}
    for k, value in kwargs.items():
        own = k if k in known else _own(k, known)
        if own in made or (own != k and own in kwargs):
            raise TypeError(f"{name}: {k}= is another name of {own}=; give one of them")
        made[own] = value
    return made


def _own(k: str, known: tuple[str, ...]) -> str:
    for own in KEYWORDS.get(k, ()):
        if own in known:
            return own
    if k in FIRST and known:
        return known[0]
    return known[1] if k in SECOND and len(known) > 1 else k


def asked_otherwise(name: str, kwargs: dict[str, Any]) -> Callable[..., Any] | None:
    """PyTorch's form of a function, if these keywords are PyTorch's and mean something else there."""
    told = FORMS.get(name)
    return told[1] if told and not told[0].isdisjoint(kwargs) else None


def spelled(f: Callable[P, R]) -> Callable[P, R]:
    """A decorator: the function also takes the other spellings of its keywords."""
    code: Any = f.__code__
    known = tuple(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
    here, name = frozenset(known), f.__name__

    @wraps(f)
    def call(*args: Any, **kwargs: Any) -> R:
        if kwargs and not here >= kwargs.keys():
            if (other := asked_otherwise(name, kwargs)) is not None:
                return other(*args, **kwargs)  # type: ignore[no-any-return]
            kwargs = own_keywords(name, known, kwargs)
        return f(*args, **kwargs)

    return call
