"""Off the tape: when a Tensor may become a plain array or number, and when that would lose a gradient without a word.

The rule is the table "Off the tape" of the README.  Constants have nothing to lose; inputs and parameters keep their
gradient, unless a derivative is being taken with respect to them; a computed line gives its numbers to who asks for
exactly them (``asking``), and a line of a derivative to nobody.  ``t.value`` always is the array.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any, NoReturn

import numpy as np

from .asking import asks_for_array, asks_for_number, asks_to_compare, reads
from .hooks import differentiating
from .tape import Array, Tensor, describe, recording


def guarded(x: Tensor) -> bool:
    """Whether a conversion of ``x`` to plain numbers could lose a gradient: the rule above.

    Constants have none, inside ``no_grad`` nobody wants one, and inputs and parameters keep theirs, unless a derivative
    is being taken with respect to them.
    """
    if x.constant or (x.primitive is None and not _differentiated(x)):
        return False
    return recording()


def _differentiated(x: Tensor) -> bool:
    """Whether ``x`` is a line of a derivative that is being taken."""
    first = differentiating.get()
    return 0 < first <= x.serial


def _ask_for_array(x: Tensor, frame: FrameType) -> None:
    """Raise TypeError unless ``frame`` asks for the array of ``x`` alone, outside of a derivative."""
    if not reads(frame) and (_differentiated(x) or not asks_for_array(x, frame)):
        _refuse_to_leave(x, "an array")


def _ask_for_number(x: Tensor, frame: FrameType) -> None:
    """Raise TypeError unless ``frame`` asks for the number of ``x`` alone; inside a derivative, to compare it."""
    if not reads(frame) and not (asks_to_compare if _differentiated(x) else asks_for_number)(frame):
        _refuse_to_leave(x, "a number")


def _refuse_to_leave(x: Tensor, what: str) -> NoReturn:
    raise TypeError(
        f"{describe(x)} has a gradient, which would be lost where it becomes {what}. Record on: ac.stack([...]) for "
        "np.array([...]) and for out[i] = t, ac.exp(t) for math.exp(t) and so on, ac.matmul or @ for a.dot(t). Or take "
        "the numbers by name, through which no gradient flows: t.value, or t.item() for one number"
    )


def _array(self: Tensor, dtype: Any = None, copy: bool | None = None) -> Array:
    """np.asarray(t): the value (read-only, and off the tape), where no gradient is lost by it without a word.

    Raises TypeError for a line with a gradient inside a derivative, and for a computed one wherever the caller does
    not ask for exactly its array, as in ``np.array([t, t])`` or in somebody's loop.
    """
    if guarded(self):
        _ask_for_array(self, sys._getframe(1))
    return np.array(self.value, dtype=dtype, copy=copy)


def _float(self: Tensor) -> float:
    """The one element; see ``_ask_for_number``."""
    if guarded(self):
        _ask_for_number(self, sys._getframe(1))
    return float(self.item())


def _int(self: Tensor) -> int:
    """The one element without its fraction; see ``_ask_for_number``."""
    if guarded(self):
        _ask_for_number(self, sys._getframe(1))
    return int(self.item())


def bind() -> None:
    """Attach the conversions to Tensor."""
    for name, method in {"__array__": _array, "__float__": _float, "__int__": _int}.items():
        setattr(Tensor, name, method)


bind()
