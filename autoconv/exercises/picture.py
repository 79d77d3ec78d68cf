"""Blanks in the graph: values and gradients of scalars as numbered boxes, in the whole graph or in a slice of it.

In a slice down from an element every reader is there, so that gradients follow from the local derivatives on the edges.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from ..render.drawing import draw
from ..render.node import Edge, Node
from ..tape import Tensor
from ..tutor.bank.slips import slips_of
from ..views.graph.graph import Graph, graph
from .equations import spread
from .given import gradient_cell, program, value_cell
from .run import ScalarRun
from .sheet import Blanked, Candidate, Cell, Picture, Prose, Quantity, Sheet, shown

NODES = (60, 150, 400)  # boxes of a picture: such as a student can follow, or else more
SLICES, WORK = 16, 1_000_000  # that are tried, and scalars that are gone through for them


def pictured(
    run: ScalarRun, wanted: Sequence[tuple[Tensor, np.ndarray]], count: int, rng: np.random.Generator
) -> Sheet | None:
    """A sheet with one graph of scalars: the whole one, or the slice with most gradients; None if all are too large."""
    best: tuple[tuple[int, int], Sheet] | None = None
    drawn = list(_graphs(run, wanted, rng))
    for low, high in pairwise((0, *NODES)):
        if best is not None and best[0][1] == count:
            break
        for drawing in drawn:
            if low < len(drawing.nodes) <= high:
                sheet = _sheet(run, drawing)
                there = sheet.available()
                different = {shown(sheet.candidates[q].value) for q in there if q[0] == "gradient"}
                quality = min(len(different), count), min(len(there), count)
                if best is None or quality > best[0]:
                    best = quality, sheet
    return best[1] if best else None


def _graphs(run: ScalarRun, wanted: Sequence[tuple[Tensor, np.ndarray]], rng: np.random.Generator) -> Iterator[Graph]:
    """The whole graph if it can be drawn, and slices from elements chosen at random, one of each tensor in turn."""
    if len(run.flat) < 20 * NODES[-1] and (whole := _drawn(run)):
        yield whole
        if len(whole.nodes) <= NODES[0]:
            return
    places = [
        (turn, k, int(p)) for k, (_, chosen) in enumerate(wanted) for turn, p in enumerate(rng.permutation(chosen)[:9])
    ]
    for _, k, p in sorted(places)[: min(SLICES, 1 + WORK // len(run.flat))]:
        x = wanted[k][0]
        if run.gradient[run.flat.scalars(x).ravel()[p]]:
            drawing = _drawn(run, focus=(x, np.unravel_index(p, x.shape)), direction="down")
            if drawing:
                yield drawing


def _drawn(run: ScalarRun, **focus: Any) -> Graph | None:
    try:
        drawing = graph(run.loss, zoom="scalars", names=run.names, open=False, layout="own", **focus)
    except ValueError:  # too many scalars to draw
        return None
    return drawing if 2 < len(drawing.nodes) <= NODES[-1] else None


def _sheet(run: ScalarRun, drawing: Graph) -> Sheet:
    """The numbers of a graph's boxes, and which of them follow from the others."""
    scalar = {node.id: int(node.id[1:]) for node in drawing.nodes}
    readers: dict[str, list[tuple[int, Edge]]] = {}
    slopes: dict[int, Cell] = {}
    coverable: set[Quantity] = set()
    inside = {node.id: not node.note for node in drawing.nodes}
    for n, edge in enumerate(drawing.edges):
        if not edge.slope:
            continue
        quantity = ("slope", scalar[edge.source], scalar[edge.target], edge.operand)
        slopes[n] = Cell(quantity, _slope(run, scalar[edge.source], scalar[edge.target], edge))
        readers.setdefault(edge.source, []).append((n, edge))
        if inside[edge.target]:
            coverable.add(quantity)
    candidates: dict[Quantity, Candidate] = {}
    numbers: dict[str, tuple[Cell | None, Cell | None]] = {}
    for node in drawing.nodes:
        i = scalar[node.id]
        up = gradient_cell(run, i) if node.gradient is not None else None
        numbers[node.id] = value_cell(run, i), up
        if node.kind == "scalar" and inside[node.id]:
            candidates["value", i] = Candidate(run.flat.value[i], f"the value of {node.title}", _rounding(run, i))
        if up is not None and node.id in readers:
            local = [slopes[n].value for n, _ in readers[node.id]]
            above = [run.gradient[scalar[edge.target]] for _, edge in readers[node.id]]
            says = f"d{run.context.of.text}/d({node.title})"
            candidates[up.quantity] = Candidate(up.value, says, spread(local, above), slips_of(up.value, local, above))
    picture = Picture(drawing.nodes, drawing.edges, numbers, slopes, "The graph of an exercise")
    listed = program(run)
    return Sheet(
        "A graph with blanks",
        "Every box has its value (=) and the gradient of the loss in it (∂); local derivatives stand on the edges. "
        "Fill in the numbered blanks.",
        [picture],
        candidates,
        run.exact,
        complete=lambda parts: [*listed, Prose("The graph", "heading")],
        coverable=coverable,
    )


def _slope(run: ScalarRun, source: int, target: int, edge: Edge) -> Any:
    """The local derivative on an edge, exact where the run is; of a closed definition as the picture has it."""
    flat = run.flat
    first, last = int(flat.start[target]), int(flat.start[target + 1])
    at = first + edge.operand
    if run.symbols.block(target).opened is None and at < last and int(flat.operands[at]) == source:
        return flat.slope[at]
    text = edge.slope.partition(" ")[0]
    return Fraction(text) if run.exact else float(text)


def _rounding(run: ScalarRun, i: int) -> float:
    """By how much a value moves if what it was computed from is rounded to four digits."""
    flat = run.flat
    here = slice(int(flat.start[i]), int(flat.start[i + 1]))
    moves = [abs(float(s) * float(flat.value[o])) for s, o in zip(flat.slope[here], flat.operands[here], strict=True)]
    return 1e-3 * sum(moves)


def svg(picture: Picture, blanked: Blanked) -> str:
    """The picture with its blanks as numbered boxes; what is hidden stands in no tooltip either."""
    written = lambda cell: blanked.written(cell).text if cell else None
    nodes: list[Node] = []
    for node in picture.nodes:
        value, gradient = picture.numbers[node.id]
        nodes.append(replace(node, value=written(value) or "", gradient=written(gradient)))
    edges = []
    for n, edge in enumerate(picture.edges):
        cell = picture.slopes.get(n)
        rest = edge.slope.partition(" ")[2]
        edges.append(replace(edge, slope=f"{blanked.written(cell).text} {rest}".strip()) if cell else edge)
    drawn = draw(tuple(nodes), tuple(edges), picture.title, "own")
    return re.sub(r'<text ([^>]*?)x="([\d.]+)" y="([\d.]+)"([^>]*)>([①-⑳]|\[\d+\])([^<]*)</text>', _boxed, drawn)


def _boxed(blank: re.Match[str]) -> str:
    """A blank with a frame around it."""
    x, y, words = float(blank[2]), float(blank[3]), blank[5]
    width = 24 if len(words) == 1 else 8 * len(words)
    where = f'x="{x - 3:g}" y="{y - 10.5:g}" width="{width}" height="13.5"'
    frame = f'<rect class="ac-constant" {where} rx="2" stroke-width="1"/>'
    return frame + blank[0]
