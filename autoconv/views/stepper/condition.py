"""Elements and conditions as a reader writes them: ``w[0,0]``, ``grad(w) > 3``.  Nothing here is ever evaluated as
code.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...render.element import read_element
from ...tape import Tape, Tensor, describe
from ..element import resolve

Element = tuple[Tensor, int | None]  # a line, and the flat index of one element or None for all

_COMPARE = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|inf|nan)$")
_CALL = re.compile(r"(grad|value|abs)\s*\((.*)\)$")


def locate(x: Any, tape: Tape, names: Mapping[int, str]) -> Element:
    """What ``x`` means on the tape: a line, one element of a line (``w[0, 0]``), or the name of either.

    Raises TypeError for something else, ValueError if it is not there or has more than one element.
    """
    if isinstance(x, str):
        return _named(x, tape, names)
    line, elements = resolve(x, tape)
    if x is line or tape.of_scalars:
        return line, None
    if len(elements) != 1:
        raise ValueError(f"step: this is {len(elements)} elements of {describe(line)}; name one, or the whole tensor")
    return line, int(elements[0])


def _named(text: str, tape: Tape, names: Mapping[int, str]) -> Element:
    known = {f"%{i}": line for i, line in enumerate(tape)}
    known = {names[id(line)]: line for line in reversed(tape)} | known  # the first of equal names
    name, index = read_element(text, known, "step")
    line = known[name]
    return line, None if index is None else int(np.ravel_multi_index(index, line.shape)) if index else 0


Reader = Callable[[Any], Any]


def condition(text: str, tape: Tape, names: Mapping[int, str]) -> Callable[[Any], bool]:
    """A comparison ``left < right`` as a function of a State; sides are numbers, ``step``, ``w``, ``w[0,0]``,
    ``value(w)``, ``grad(w)`` and ``abs(...)`` of those.

    It holds if it does for any element, and never for what is not known yet.  Raises ValueError for anything else.
    """
    parts = re.split(r"(<=|>=|==|!=|<|>)", text)
    if len(parts) != 3:
        raise ValueError(
            f"step: {text!r} is not one comparison; write it as in grad(w) > 3, w[0,0] <= 0.5 or abs(grad(w)) > 1"
        )
    left, right = (_side(part.strip(), tape, names) for part in (parts[0], parts[2]))
    compare = _COMPARE[parts[1]]

    def holds(state: Any) -> bool:
        a, b = left(state), right(state)
        return a is not None and b is not None and bool(np.any(compare(a, b)))

    return holds


def _side(text: str, tape: Tape, names: Mapping[int, str]) -> Reader:
    if _NUMBER.match(text):
        number = float(text)
        return lambda state: number
    if text == "step":
        return lambda state: state.position
    called = _CALL.match(text)
    if called and called[1] == "abs":
        inner = _side(called[2].strip(), tape, names)
        return lambda state: None if inner(state) is None else np.abs(inner(state))
    line, index = _named(called[2] if called else text, tape, names)
    gradient = bool(called) and called[1] == "grad"  # type: ignore[index]

    def read(state: Any) -> Any:
        known = (state.gradients if gradient else state.values).get(line)
        return known if known is None or index is None else known.reshape(-1)[index]

    return read
