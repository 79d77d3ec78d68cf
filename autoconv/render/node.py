"""Node and Edge: what a graph consists of at every zoom, in plain text and numbers."""

from __future__ import annotations

from dataclasses import dataclass

from .grid import Place


@dataclass(frozen=True)
class Node:
    """One box of a graph, in plain text and numbers.

    ``kind`` is "input" (inputs and parameters), "constant", "line", "call" or "scalar"; ``lines`` are the places on the
    tape that it stands for, as ``repr(ac.Tape(y))`` numbers them, and ``elements`` the flat indices in the last of
    those (empty: all of them): the same at every zoom.  ``gradient`` is None where there can be none.  ``count`` is the
    number of primitive lines inside a call, or of equal structures that were folded into this one.  ``colours`` are
    those of its elements where they are weights.  ``paths`` is the number of contributions that its gradient is the sum
    of.  ``settings`` tells the window of a convolution or pooling.  ``part`` is "backward" for a line of the sweep, and
    ``serves`` then the place of the forward line whose rule it is.  ``parameters`` is the number of trained elements
    inside; ``operation`` the row, call or layer; ``caption`` and
    ``cell`` say in which block a scalar is drawn, and where.  ``weight`` is True of a parameter, and of what a
    contraction reads as its weights.  At the zoom of models a box is a ``card``: ``what`` it does in words, and the
    layers that it holds as ``inside``, each (name, what it does, shape, parameters).  ``passes`` is True of a card that
    gives on what it reads in the same shape (an activation, a normalisation).
    """

    id: str
    kind: str
    title: str
    formula: str
    shapes: tuple[tuple[int, ...], ...]
    value: str
    gradient: str | None
    output: bool
    lines: tuple[int, ...]
    count: int = 1
    note: str = ""
    elements: tuple[int, ...] = ()
    colours: tuple[str, ...] = ()
    paths: int = 1
    part: str = "forward"
    serves: int | None = None
    parameters: int = 0
    operation: str = ""
    caption: str = ""
    cell: Place | None = None
    settings: str = ""
    weight: bool = False
    card: bool = False
    what: str = ""
    inside: tuple[tuple[str, str, str, str], ...] = ()
    passes: bool = False

    @property
    def place(self) -> str:
        """How formulas refer to the node's result if it has no name: its place on the tape."""
        return f"%{self.lines[-1]}" if self.lines else ""

    @property
    def small(self) -> bool:
        """Whether it is a scalar: those are many, so their boxes are small."""
        return self.elements != () and self.shapes == ((),)

    @property
    def rows(self) -> list[tuple[str, str]]:
        """(key, text) of what stands below the title, line by line; the formula has no key."""
        if self.kind == "scalar":
            found = [("", self.formula), ("=", self.value), ("∂", self.gradient or "")]
            return [(key, words) for key, words in found if words]
        number = self.kind == "constant" and not self.value and self.shapes == ((),)
        shapes = "" if number else ", ".join(map(str, self.shapes))
        found = [("", self.formula), ("shape", shapes), ("value", self.value), ("grad", self.gradient or "")]
        if self.settings:
            found.insert(1, ("window", self.settings))
        if self.parameters:
            found.append(("param", f"{self.parameters:,}"))
        if self.kind == "call":
            found.append(("lines", f"{self.count:,}"))
        return [(key, words) for key, words in found if words]


@dataclass(frozen=True)
class Edge:
    """``target`` reads ``source`` as its operand number ``operand``, counted from 0; ``shape`` is that of the array
    read.

    ``slope`` is the local derivative d target / d source where it is one number (or the smallest .. largest of a fold),
    or the slope chosen at a tie; ``count`` how many edges were folded into this one.
    """

    source: str
    target: str
    operand: int
    shape: tuple[int, ...]
    slope: str = ""
    colour: str = ""
    count: int = 1
