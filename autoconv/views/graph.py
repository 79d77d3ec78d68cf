"""``ac.graph``: the tape behind a Tensor as nodes and edges, ready to look at and to save.

A Graph is a snapshot in plain text and numbers: what is recorded, assigned or swept later does not change it.
"""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..tape import Tape, Tensor
from .dot import render, source
from .drawing import draw
from .zoom import ZOOMS, Edge, Group, Node, count_edges, describe

NODES, EDGES = 800, 4000  # more than this is a tangle, whatever the layout
LAYOUTS = ("auto", "dot", "own")


def graph(y: Tensor, zoom: str = "lines", names: Mapping[str, Any] | None = None, *, layout: str = "auto") -> Graph:
    """The graph of everything ``y`` was computed from.

    y: a Tensor.  zoom: "lines" (one node for each line of ``ac.Tape(y)``) or "calls" (one node for each outermost
    composed operation or layer; a model is opened to show its layers).  names: variables that name Tensors without a name
    of their own, as in ``ac.graph(loss, names=locals())``.  layout: "own" is ours; "dot" asks the ``dot`` program of
    Graphviz for the positions; "auto" is "dot" where it is installed and not too slow for this graph.

    Raises TypeError if y is not a Tensor, ValueError for an unknown zoom or layout and for a graph of more than 800 nodes.
    """
    if not isinstance(y, Tensor):
        raise TypeError(
            f"graph: expected a Tensor, found {type(y).__name__}; give what was computed, as in ac.graph(loss)"
        )
    if zoom not in ZOOMS:
        raise ValueError(f"graph: unknown zoom {zoom!r}; use one of {', '.join(map(repr, ZOOMS))}")
    if layout not in LAYOUTS:
        raise ValueError(f"graph: unknown layout {layout!r}; use one of {', '.join(map(repr, LAYOUTS))}")
    if names is not None and not isinstance(names, Mapping):
        raise TypeError(f"graph: names must map names to Tensors, as locals() does; found {type(names).__name__}")
    tape = Tape(y)
    groups = ZOOMS[zoom](tape)
    check_size(tape, zoom, groups)
    nodes, edges = describe(tape, groups, variables(names or {}))
    return Graph(nodes, edges, zoom, layout)


def check_size(tape: Tape, zoom: str, groups: list[Group]) -> None:
    """ValueError if there is too much to draw, with the counts and what to do instead."""
    nodes, edges = len(groups), count_edges(groups)
    if nodes <= NODES and edges <= EDGES:
        return
    others = {name: make(tape) for name, make in ZOOMS.items() if name != zoom}
    fitting = [
        f"zoom={name!r} ({len(made):,} nodes)"
        for name, made in others.items()
        if len(made) <= NODES and count_edges(made) <= EDGES
    ]
    raise ValueError(
        f"graph: zoom={zoom!r} would draw {nodes:,} nodes and {edges:,} edges for a tape of {len(tape):,} lines; more than "
        f"{NODES:,} nodes or {EDGES:,} edges cannot be read: use {' or '.join([*fitting, 'the graph of an intermediate Tensor'])}, "
        f"as in ac.graph(hidden)"
    )


def variables(names: Mapping[str, Any]) -> dict[int, str]:
    """id(tensor) -> the first variable that holds it; names with a leading underscore (a notebook's history) do not count."""
    found: dict[int, str] = {}
    for name, x in names.items():
        if isinstance(x, Tensor) and not name.startswith("_"):
            found.setdefault(id(x), name)
    return found


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
            for kind in ("input", "constant", "line", "call")
            if counts[kind]
        ]
        results = [f"{node.title} {', '.join(map(str, node.shapes))}" for node in self.nodes if node.output]
        edges = f"{len(self.edges)} edge{'s' if len(self.edges) != 1 else ''}"
        return f"<Graph of {' -> '.join(results)} at zoom {self.zoom!r}: {', '.join(kinds)}; {edges}>"


def replace_file(path: Path, content: bytes) -> None:
    """Write a file in one piece: to a temporary file beside it, which then takes its name."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
