"""``ac.graph``: what is behind a Tensor or Scalar as nodes and edges, ready to look at and to save.

A Graph is a snapshot in plain text and numbers: what is recorded, assigned or swept later does not change it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from ...files import save_as
from ...render.dot import render, source
from ...render.drawing import draw
from ...render.node import Edge, Node
from ...render.notebook import bundle
from ...scalar import KINDS, FlatTape, Scalar, expand, with_names
from ...scalar.expand import ROOM, expansion_size
from ...shapes import choice, flag
from ...tape import Tape, Tensor
from ..element import resolve
from ..lines import serves, variables
from .describe_lines import MANY, compact, describe
from .describe_scalars import Drawn, describe_scalars, fold_scalars
from .fold import classes, fold_nodes
from .page import graph_page
from .refuse import EDGES, NODES, far_too_many_scalars, too_many_lines, too_many_scalars
from .scalars import Scalars
from .selection import DIRECTIONS, ancestors, focused, slice_lines, slice_of
from .tree import Tree, tree
from .zoom import GROUPS, ZOOMS, Request, count_edges, model, open_definitions, opening, sweep_groups, with_sweep

LAYOUTS = ("auto", "dot", "own")
ROWS = 40  # nodes that are told in words


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
    depth: int | None = None,
) -> Graph:
    """The graph of everything ``y`` was computed from.

    y: a Tensor, or a Scalar.  names: variables that name Tensors without a name of their own, as in
    ``ac.graph(loss, names=locals())``; Scalars also in lists, dictionaries and objects.

    zoom: what makes one node.
        "model"    what the model holds, a layer or a further model, with its parameters inside
        "calls"    each outermost composed operation or layer; models are opened to show their layers
        "lines"    each line of ``ac.Tape(y)`` (the default)
        "scalars"  each scalar operation: values and gradients dy/d. in the nodes, local derivatives on the edges, a
                   weight and its uses in one colour (the only zoom of a Scalar)
    focus: draw a slice only, of an element (``w[0, 0]``, or ``(w, (0, 0))``), a Tensor, or a list of them;
        ``direction``: "up" what it was computed from, "down" what was computed from it, "both".
    backward: draw the recorded sweep from y to the inputs beside the forward graph, with what each of its lines serves.
    fold: draw equal structure once, with how often it occurs.
    open: boxes to open, by name or Tensor (True: all): a call or layer into what it consists of, a line with a
        definition such as "maximum" into the lines of that, which is also what scalars do (False: keep them closed).
    depth: at zoom "model", how many levels of models are opened: 1 shows what the outermost holds, 2 what that holds;
        None opens one level, and boxes that hold nothing but blocks.
    layout: "own", which "auto" means too, is ours: the longest path runs straight down, skips and branches beside it,
        parameters at the left of what reads them; "dot" asks the ``dot`` program of Graphviz for the positions
        (RuntimeError if it is missing, fails or is too slow).  Scalars and the sweep always have our own.

    Raises TypeError for other arguments; ValueError for an unknown zoom, direction or layout, for a focus that y does
    not depend on, and for a graph of more than 800 nodes, with the counts of what could be drawn instead.

    >>> x, w = ac.tensor([1.0, 2.0], name="x"), ac.tensor([3.0, 4.0], name="w")
    >>> ac.graph((w * x).sum())
    <Graph of sum () at zoom 'lines': 2 inputs, 2 lines; 3 edges>
    """
    if not isinstance(y, (Tensor, *KINDS)):
        raise TypeError(
            f"graph: expected a Tensor, found {type(y).__name__}; give what was computed, as in ac.graph(loss)"
        )
    if zoom is None:
        zoom = "scalars" if isinstance(y, KINDS) else "lines"
    for what, given, known in (
        ("zoom", zoom, ZOOMS),
        ("direction", direction, DIRECTIONS),
        ("layout", layout, LAYOUTS),
    ):
        choice(given, "graph", what, known)
    flag(backward, "graph: backward")
    flag(fold, "graph: fold")
    if isinstance(y, KINDS) and (zoom != "scalars" or backward):
        raise ValueError(
            "graph: a Scalar has the zoom 'scalars' only, without backward=True; its nodes show the gradients"
        )
    if depth is not None and (zoom != "model" or isinstance(depth, bool) or not isinstance(depth, int) or depth < 1):
        raise ValueError(
            f"graph: depth={depth!r} at zoom {zoom!r}; use a whole number of levels from 1, with zoom='model'"
        )
    chosen = [focus] if focus is not None and not isinstance(focus, list) else focus or []
    request = Request(
        zoom,
        variables(names, "graph", Tape(y) if isinstance(y, Tensor) else ()),
        tuple(chosen),
        direction,
        backward,
        fold,
        opening(open),
        depth=depth,
        scalars=names or {},
    )
    return Graph(*drawn(y, request), zoom=zoom, layout=layout)


@dataclass(frozen=True, repr=False)
class Graph:
    """Nodes in the order of recording and edges in the order of operands; a notebook shows its picture."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    tree: Tree | None
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
        """Write ``.svg``, a page ``.html``, ``.dot`` text, or ``.png`` or ``.pdf`` by the ``dot`` program; returns the
        path.

        The page needs nothing else and loads nothing: drag and wheel or keys move it, boxes open into what they hold
        and close again, a search finds what is inside closed ones, and a box that is pointed at tells its values.
        Scalars, folds and the sweep are shown as they are, without boxes to open.

        Raises ValueError for another ending, RuntimeError if the dot program is needed and missing.  The file is
        complete or not there (or still the old one).
        """
        return save_as(path, {ending: partial(write, self) for ending, write in FORMATS.items()}, "graph")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return bundle(self.text, svg=self.svg, caption=self.text)

    @property
    def text(self) -> str:
        """The graph in words: what each node is, its shapes, and what it was computed from; at most 40 nodes."""
        title = {node.id: node.title for node in self.nodes}
        rows = [repr(self)]
        for node in self.nodes[:ROWS]:
            read = [title.get(edge.source, "?") for edge in self.edges if edge.target == node.id]
            told = [node.formula or node.kind, " ".join(map(str, node.shapes)) if not node.small else ""]
            told += [f"= {node.value}"] if node.value else []
            told += [f"from {', '.join(read)}"] if read and node.kind == "call" else []
            place = f"{node.place} " if node.kind in ("line", "constant") else ""
            rows.append(f"  {place}{node.title}: {'  '.join(filter(None, told))}")
        if len(self.nodes) > ROWS:
            rows.append(f"  ... and {len(self.nodes) - ROWS} more nodes")
        return "\n".join(rows)

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


# the ending of a file -> what is written to it; a new format is one line here and a file in ``render``
FORMATS: dict[str, Callable[[Graph], str | bytes]] = {
    ".html": lambda graph: graph_page(graph),
    ".svg": lambda graph: graph.svg,
    ".dot": lambda graph: graph.dot,
    ".png": lambda graph: render(graph.dot, "png"),
    ".pdf": lambda graph: render(graph.dot, "pdf"),
}


# ---- from a request to nodes and edges: select, fold, describe


def drawn(y: Tensor | Scalar, request: Request) -> tuple[tuple[Node, ...], tuple[Edge, ...], Tree | None]:
    """The nodes and edges of a request, and the tree of boxes that its page opens; ValueError with counts if there are
    too many."""
    if isinstance(y, KINDS):
        return *_scalars(with_names(expand(y), request.scalars), None, None, request), None
    tape = Tape(y)
    whole = tape
    if request.backward:
        whole, request = with_sweep(tape, request)
    if request.zoom == "scalars":
        if (size := expansion_size(whole)) > ROOM:
            raise ValueError(far_too_many_scalars(whole, size, request))
        return *_scalars(expand(whole), tape, whole, request), None
    return _groups(tape, whole, request)


def _groups(tape: Tape, whole: Tape, request: Request) -> tuple[tuple[Node, ...], tuple[Edge, ...], Tree | None]:
    boxes = (
        model(tape, request.opened, request.depth)
        if request.zoom == "model"
        else GROUPS[request.zoom](tape, request.opened)
    )
    groups = open_definitions(boxes, request.opened)
    if whole is not tape:
        groups += sweep_groups(tape, whole, groups, request)
    kept = None
    if request.focus:
        kept = slice_lines(whole, [resolve(x, whole)[0] for x in request.focus], request.direction)
        for line in whole:  # what the sweep's lines serve is shown with them
            served = serves(line) if id(line) in kept else None
            if served is not None:
                kept.add(id(served))
        groups = [g for g in groups if any(id(line) in kept for line in g.lines)]
    nodes, edges = len(groups), count_edges(groups)
    if not request.fold and (nodes > NODES or edges > EDGES):
        raise ValueError(too_many_lines(tape, whole, request, nodes, edges))
    found = describe(whole, groups, request.names, kept, request.zoom == "model", request.twins, len(tape))
    if request.fold:
        found = fold_nodes(*found)
        if len(found[0]) > NODES:
            raise ValueError(too_many_lines(tape, whole, request, len(found[0]), len(found[1])))
    opens = whole is tape and not request.fold
    held = tree(tape, groups, request.names, request.opened, kept, request.zoom == "model") if opens else None
    if len(found[0]) > MANY and whole is tape:
        found = compact(*found), found[1]
        if held is not None:
            small = compact([box.node for box in held.boxes], held.edges)
            held = Tree(tuple(replace(box, node=n) for box, n in zip(held.boxes, small, strict=True)), held.edges)
    return *found, held


def _scalars(flat: FlatTape, tape: Tape | None, whole: Tape | None, request: Request) -> Drawn:
    outputs = flat.scalars(tape.outputs[0]) if tape is not None else flat.output
    differentiable = tape is None or (not tape.outputs[0].constant and outputs.size == 1)
    scalars = Scalars(
        flat,
        request.names,
        outputs if differentiable else None,
        lambda line, primitive: request.opened.definition(line, primitive, default=True),
        request.twins,
    )
    serving = {}
    if whole is not None and tape is not None and whole is not tape:
        place = {id(line): i for i, line in enumerate(whole)}
        known = {id(line) for line in tape}
        own = {id(block.line) for block in flat.blocks if block.count}
        made = [id(line) in own for line in whole]
        for i, line in enumerate(whole):
            if id(line) not in known:
                served = serves(line)
                while served is not None and served.operands and not made[place[id(served)]]:
                    served = served.operands[0]  # wiring makes no scalars: its sums stand with what it moved
                serving[i] = place[id(served)] if served is not None else -1
    selected = ~scalars.hidden
    unread = np.zeros(len(flat), bool)
    unread[flat.inputs] = True
    if request.focus:
        chosen = focused(flat, whole, request.focus)
        selected &= slice_of(flat, chosen, request.direction)
    elif whole is not None:
        # Scalars that no result needs (what a stride skips) are shown where they are inputs, and only there.
        selected &= ancestors(flat, flat.output.ravel()) | unread
    results = set(flat.output.ravel().tolist())
    if request.fold:
        groups = classes(flat)
        count = len(np.unique(groups[selected]))
        if count > NODES:
            raise ValueError(too_many_scalars(flat, tape, whole, scalars, selected, count, request))
        return fold_scalars(scalars, selected, groups, results, serving)
    count = int(np.count_nonzero(selected))
    if count > NODES:
        raise ValueError(too_many_scalars(flat, tape, whole, scalars, selected, count, request))
    return describe_scalars(scalars, selected, results, serving)
