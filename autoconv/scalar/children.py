"""What a Scalar was computed from, one step at a time, under micrograd's names: ``_prev``, ``_op`` and ``label``.

With them micrograd's ``trace`` and ``draw_dot`` run on Scalars as they are written.  The tape is flat, so the nodes are
made when somebody asks: inputs are the Scalars themselves, everything between is a ``Node``, the same one for the same
place of the tape.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .tape import FlatTape

SYMBOLS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "power": "**", "neg": "-"}  # of rows, as micrograd has them


class Node:
    """A computed number between the inputs and the Scalar that was asked.

    ``data``: its value; ``grad``: the share of that Scalar's ``grad`` that flows back to it; ``_prev``: what it was
    computed from; ``_op``: by what; ``label``: its name.
    """

    __slots__ = ("__weakref__", "_from", "_i")

    def __init__(self, origin: Ancestry, i: int) -> None:
        self._from, self._i = origin, i

    @property
    def data(self) -> float:
        return float(self._from.flat.value[self._i])

    @property
    def grad(self) -> float:
        return float(self._from.gradients[self._i])

    @property
    def label(self) -> str:
        return self._from.flat.names.get(self._i) or ""

    @property
    def _op(self) -> str:
        name = self._from.flat.operations[self._from.flat.operation[self._i]].name
        return SYMBOLS.get(name, "" if name == "constant" else name)

    @property
    def _prev(self) -> set[Any]:
        return self._from.read(self._i)

    def __repr__(self) -> str:
        return f"Node(data={self.data!r}, grad={self.grad!r})"


class Ancestry:
    """The nodes behind one Scalar."""

    def __init__(self, y: Any) -> None:
        from .flatten import flatten

        self.flat: FlatTape = flatten(y)
        self.seed = float(y.grad)
        self.nodes: dict[int, Any] = dict(self.flat.leaves)

    def read(self, i: int) -> set[Any]:
        """The nodes that number ``i`` reads."""
        return {self.nodes.setdefault(k, Node(self, k)) for k in self.flat.read(i) if k}

    @cached_property
    def gradients(self) -> np.ndarray:
        """What flows from the last number to each."""
        gradients = np.zeros(len(self.flat))
        gradients[-1] = self.seed
        for i in range(len(self.flat) - 1, 0, -1):
            for k, slope in zip(self.flat.read(i), self.flat.slopes_at(i), strict=True):
                if slope:  # a slope of 0 passes nothing on, whatever arrives
                    gradients[k] += gradients[i] * slope
        return gradients


def _previous(x: Any) -> set[Any]:
    """What this was computed from: inputs as Scalars, the rest as nodes."""
    if x._place is None:
        return set()
    ancestry = Ancestry(x)
    return ancestry.read(len(ancestry.flat) - 1)


def _symbol(x: Any) -> str:
    """What made it: "+", "*", ...; "" for an input."""
    return "" if x._place is None else SYMBOLS.get(x.operation, x.operation)


def _set_label(x: Any, label: str) -> None:
    x.name = label


PROPERTIES = {
    "_prev": property(_previous, doc=_previous.__doc__),
    "_op": property(_symbol, doc=_symbol.__doc__),
    "label": property(lambda x: x.name or "", _set_label, doc="The name, under micrograd's name for it."),
}
