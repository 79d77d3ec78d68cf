"""The courses whose functions can be marked: facts of their layouts, signatures and names, no code of theirs."""

from __future__ import annotations

from textwrap import wrap

from ..layer import Layer
from . import cmu11785, cs231n, deeplearning, minitorch, needle, npfl138, tinytorch

ROOMS = (cs231n, deeplearning, needle, cmu11785, minitorch, tinytorch, npfl138)
LAYERS: dict[str, Layer] = {layer.name: layer for room in ROOMS for layer in room.LAYERS}


class Courses(dict[str, str]):
    """{name: signature and layout}; printed as a table of at most 100 columns."""

    def __repr__(self) -> str:
        width = max(map(len, self), default=0) + 2
        rows = []
        for name, text in self.items():
            first, *more = wrap(text, 100 - width)
            rows += [f"{name:<{width}}{first}", *[" " * width + row for row in more]]
        return "\n".join(rows)


def courses() -> Courses:
    """The layers of courses that ``ac.check_backward(like=...)`` and ``autoconv mark`` know, by name.

    Each with the signature of its functions and its layout.

    >>> ac.courses()["cs231n.relu"]
    'relu_forward(x) -> out, cache; relu_backward(dout, cache) -> dx; rows are examples'
    """
    return Courses({n: f"{la.signature}; {la.layout}" if la.layout else la.signature for n, la in LAYERS.items()})


def find(name: str) -> Layer:
    """A layer by its name; ValueError names those there are."""
    if name not in LAYERS:
        from difflib import get_close_matches

        near = get_close_matches(name, LAYERS, 3, 0.5)
        known = f"did you mean {' or '.join(map(repr, near))}?" if near else "ac.courses() lists them"
        raise ValueError(f"check_backward: no course has {name!r}; {known}")
    return LAYERS[name]
