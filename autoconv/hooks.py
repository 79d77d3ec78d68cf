"""What a recording that is to be replayed has to know besides its lines.

A replay repeats the lines on new inputs; it does not call the function again.  So whoever looks at numbers, checks
them, keeps something of them or draws random ones says so here, and a ``Watcher`` (of ``ac.compile``) can take it into
account.  Without a watcher each of these does the plain thing at once.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import numpy as np


class Recorded:
    """What a recording consists of: a value with a line behind it.  The one kind is ``Tensor``, which stands above
    this file."""

    __slots__ = ("_value",)
    _value: np.ndarray


# Inside a derivative the serial of its first line, outside of any 0: what is younger is being differentiated.
differentiating: ContextVar[int] = ContextVar("autoconv_differentiating", default=0)


class Watcher:
    """Is told what happens to Tensors while a function is recorded; this one lets everything happen."""

    def read(self, x: Any) -> None:
        """Someone other than the engine looks at the numbers of ``x``."""

    def assigned(self, x: Any) -> None:
        """``x`` was given a new value."""

    def later(self, primitive: Any, operands: tuple[Any, ...], params: dict[str, Any], around: Any) -> Any:
        """The line of a primitive whose numbers are computed when somebody reads them; None: they are computed now."""

    def checked(self, test: Callable[[np.ndarray], None], x: Any) -> None:
        """``test`` has passed the numbers of ``x``."""

    def observed(self, told: Callable[..., None], lines: tuple[Any, ...]) -> None:
        """``told`` wants the numbers of ``lines``."""
        told(*[x.value for x in lines])

    def moved(self, holder: Any, name: str, rule: Callable[..., Any], lines: tuple[Any, ...]) -> None:
        """The attribute ``name`` of ``holder``, an array, becomes ``rule(it, lines)``."""
        setattr(holder, name, rule(getattr(holder, name), *[x.value for x in lines]))

    def drawn(self, rng: np.random.Generator, make: Callable[[], np.ndarray]) -> Any:
        """``make`` draws an array from ``rng``."""
        return make()

    def kept(self, holder: Any, name: str) -> Any:
        """The attribute ``name`` of ``holder``, an array, is part of the calculation."""
        return getattr(holder, name)


_NOBODY = Watcher()
watcher: ContextVar[Watcher | None] = ContextVar("autoconv_watcher", default=None)


def check(test: Callable[[np.ndarray], None], x: Any) -> None:
    """``test`` raises if the numbers of ``x`` (array or Tensor) are refused: now, and at every replay."""
    watching = watcher.get()
    test(x._value if isinstance(x, Recorded) else x)
    if watching is not None and isinstance(x, Recorded):
        watching.checked(test, x)


def observe(told: Callable[..., None], *lines: Any) -> None:
    """Call ``told`` with the values of ``lines`` (arrays): at once, and after every replay.

    For what a layer keeps from the numbers that pass through it, as running means, without looking at them itself.
    What ``told`` changes is read by ``keep``, or not at all.
    """
    if not all(isinstance(x, Recorded) for x in lines):
        told(*[x._value if isinstance(x, Recorded) else x for x in lines])
    else:
        (watcher.get() or _NOBODY).observed(told, lines)


def move(holder: Any, name: str, rule: Callable[..., Any], *lines: Any) -> None:
    """The array in attribute ``name`` of ``holder`` becomes ``rule(it, *values of lines)``: at once, and after every
    replay.

    For what follows the numbers that pass through, as running means do.  rule: a function of arrays and of Tensors
    alike, which looks at no numbers; it may be recorded, and computed where the lines are.  The attribute is then read
    by ``keep``, or not at all.
    """
    if not all(isinstance(x, Recorded) for x in lines):
        values = [x._value if isinstance(x, Recorded) else np.asarray(x) for x in lines]
        setattr(holder, name, rule(getattr(holder, name), *values))
    else:
        (watcher.get() or _NOBODY).moved(holder, name, rule, lines)


def draw(rng: np.random.Generator, make: Callable[[], np.ndarray]) -> Any:
    """``make()``, an array drawn from ``rng``; drawn afresh at every replay."""
    return (watcher.get() or _NOBODY).drawn(rng, make)


def keep(holder: Any, name: str) -> Any:
    """The array in attribute ``name`` of ``holder``, read anew at every replay: a running mean, say."""
    return (watcher.get() or _NOBODY).kept(holder, name)
