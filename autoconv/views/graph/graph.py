"""``ac.graph``: what is behind a Tensor or Scalar as nodes and edges, ready to look at and to save.

A Graph is a snapshot in plain text and numbers: what is recorded, assigned or swept later does not change it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ...files import replace_file
from ...render.dot import render, source
from ...render.drawing import draw
from ...render.node import Edge, Node
from ...render.roles import variables
from ...scalar import Scalar
from ...tape import Tensor
from .gather import Request, gather
from .selection import DIRECTIONS
from .zoom import ZOOMS, wish

LAYOUTS = ("auto", "dot", "own")


def graph(
    y: Tensor | Scalar,
    zoom: str | None = None,
    names: Mapping[str, Any] | None = None,
    *,
    focus: Any = None,
    direction: str = "both",
    backward: bool = False,
    fold: bool = False,
    open: Any = None,
    layout: str = "auto",
) -> Graph:
    """The graph of everything ``y`` was computed from.

    y: a Tensor, or a Scalar.  names: variables that name Tensors without a name of their own, as in
    ``ac.graph(loss, names=locals())``.

    zoom: what makes one node.
        "model"    what the model holds, a layer or a further model, with its parameters inside
        "calls"    each outermost composed operation or layer; models are opened to show their layers
        "lines"    each line of ``ac.Tape(y)`` (the default)
        "scalars"  each scalar operation: values and gradients dy/d. in the nodes, local derivatives on the edges, a
                   weight and its uses in one colour (the only zoom of a Scalar)
    focus: draw a slice only, of an element (``w[0, 0]``, or ``(w, (0, 0))``), a Tensor, or a list of them; ``direction``:
        "up" what it was computed from, "down" what was computed from it, "both".
    backward: draw the recorded sweep from y to the inputs beside the forward graph, with what each of its lines serves.
    fold: draw equal structure once, with how often it occurs.
    open: boxes to open, by name or Tensor (True: all): a call or layer into what it consists of, a line with a definition
        such as "maximum" into the lines of that, which is also what scalars do (False: keep them closed).
    layout: "own" is ours; "dot" asks the ``dot`` program of Graphviz for the positions; "auto" is "dot" where it is
        installed and not too slow for this graph, else "own" (with a RuntimeWarning if it was tried).  Scalars and the sweep
        always have our own.

    Raises TypeError for other arguments; ValueError for an unknown zoom, direction or layout, for a focus that y does not
    depend on, and for a graph of more than 800 nodes, with the counts of what could be drawn instead.
    """
    if not isinstance(y, Tensor | Scalar):
        raise TypeError(
            f"graph: expected a Tensor, found {type(y).__name__}; give what was computed, as in ac.graph(loss)"
        )
    zoom = zoom or ("scalars" if isinstance(y, Scalar) else "lines")
    for what, given, known in (
        ("zoom", zoom, ZOOMS),
        ("direction", direction, DIRECTIONS),
        ("layout", layout, LAYOUTS),
    ):
        if given not in known:
            raise ValueError(f"graph: unknown {what} {given!r}; use one of {', '.join(map(repr, known))}")
    if names is not None and not isinstance(names, Mapping):
        raise TypeError(f"graph: names must map names to Tensors, as locals() does; found {type(names).__name__}")
    if isinstance(y, Scalar) and (zoom != "scalars" or backward):
        raise ValueError(
            "graph: a Scalar has the zoom 'scalars' only, without backward=True; its nodes show the gradients"
        )
    chosen = [focus] if focus is not None and not isinstance(focus, list) else focus or []
    request = Request(zoom, variables(names or {}), tuple(chosen), direction, backward, fold, wish(open))
    nodes, edges = gather(y, request)
    return Graph(nodes, edges, zoom, layout)


@dataclass(frozen=True, repr=False)
class Graph:
    """Nodes in the order of recording and edges in the order of operands; a notebook shows its picture."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    zoom: str
    layout: str = "auto"

    @cached_property
    def svg(self) -> str:
        """The picture as SVG text, self-contained, for light and dark pages."""
        return draw(self.nodes, self.edges, repr(self), self.layout)

    @cached_property
    def dot(self) -> str:
        """The graph in Graphviz's DOT language."""
        return source(self.nodes, self.edges)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write ``.svg`` or ``.dot`` text, or ``.png`` or ``.pdf`` by the ``dot`` program; returns the path.

        Raises ValueError for another ending, RuntimeError if the dot program is needed and missing.  The file is
        complete or not there (or still the old one).
        """
        path = Path(path)
        ending = path.suffix.lower()
        if ending == ".svg":
            content = self.svg.encode()
        elif ending == ".dot":
            content = self.dot.encode()
        elif ending in (".png", ".pdf"):
            content = render(self.dot, ending[1:])
        else:
            raise ValueError(f"graph: cannot save {path.name!r}; the name must end in .svg, .dot, .png or .pdf")
        replace_file(path, content)
        return path

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"image/svg+xml": self.svg, "text/plain": repr(self)}

    def __repr__(self) -> str:
        counts = Counter(node.kind for node in self.nodes)
        kinds = [
            f"{counts[kind]} {kind}{'s' if counts[kind] != 1 else ''}"
            for kind in ("input", "constant", "line", "call", "scalar")
            if counts[kind]
        ]
        results = [
            f"{node.title} {', '.join(map(str, node.shapes))}"
            for node in self.nodes
            if node.output and node.part == "forward"
        ]
        edges = f"{len(self.edges)} edge{'s' if len(self.edges) != 1 else ''}"
        what = " -> ".join(results) if len(results) < 5 else f"{len(results)} results"
        return f"<Graph of {what or 'a slice'} at zoom {self.zoom!r}: {', '.join(kinds)}; {edges}>"
