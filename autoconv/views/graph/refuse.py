"""Too much to draw: the refusal, with the counts of what could be drawn instead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ...scalar import FlatTape
from ...scalar.demand import ScalarGraph
from ...tape import Tape, Tensor
from .describe_lines import describe
from .fold import classes, fold_nodes
from .scalars import Scalars
from .selection import ancestors, descendants
from .zoom import GROUPS, Request, count_edges, sweep_groups
from .zoom import lines as lines_of

NODES, EDGES = 800, 4000  # more than this is a tangle, whatever the layout
FOLDED = 20_000  # lines of a tape that is folded only to count what that would give


def too_many_lines(tape: Tape, whole: Tape, request: Request, nodes: int, edges: int) -> str:
    """Too much to draw: the counts, and what to do instead with its counts."""
    fitting = []
    for other in ("lines", "calls", "model"):
        groups = GROUPS[other](tape, request.opened)
        if other != request.zoom and len(groups) <= NODES and count_edges(groups) <= EDGES:
            fitting.append(f"zoom={other!r} ({len(groups):,} nodes)")
    if not request.fold and len(whole) <= FOLDED:
        folded = fold_nodes(*describe(whole, GROUPS[request.zoom](tape, request.opened), request.names))
        if len(folded[0]) <= NODES:
            fitting.append(f"fold=True ({len(folded[0]):,} nodes)")
    computed = [line for line in tape if line.primitive is not None and not line.constant]
    line, count = _largest(computed, _ancestors_up_to_limit)
    if line is not None:
        at = next(i for i, x in enumerate(tape) if x is line)
        fitting.append(f"a slice, as in focus=ac.Tape(y)[{at}], direction='up' ({count:,} lines)")
    return (
        f"graph: zoom={request.zoom!r} would draw {nodes:,} nodes and {edges:,} edges for a tape of {len(whole):,} "
        "lines; more than "
        f"{NODES:,} nodes or {EDGES:,} edges cannot be read: use "
        f"{' or '.join([*fitting, 'the graph of an intermediate Tensor'])}, "
        f"as in ac.graph(hidden)"
    )


def too_many_scalars(
    flat: FlatTape,
    tape: Tape | None,
    whole: Tape | None,
    scalars: Scalars,
    selected: np.ndarray,
    count: int,
    request: Request,
) -> str:
    """Too many scalars: the counts of the fold, of slices that can be drawn, and of the next zoom up."""
    offers = []
    groups = classes(flat) if flat.blocks or len(flat) <= FOLDED else np.arange(len(flat))

    def offer(words: str, mask: np.ndarray, unit: str = "nodes") -> bool:
        shown = int(np.count_nonzero(mask))
        folded = len(np.unique(groups[mask]))
        if shown <= NODES or folded <= NODES:
            how = "" if shown <= NODES else f"{', ' if words else ''}fold=True"
            offers.append(f"{words}{how} ({min(shown, folded) if how else shown:,} {unit})")
        return shown <= NODES

    if not request.fold:
        offer("", selected)
    if not request.focus:
        example = next(iter(scalars.weights), int(flat.inputs[0]) if flat.inputs.size else 0)
        offer(
            f"the slice focus={scalars.title(example)}, direction='down'",
            descendants(flat, np.array([example])) & selected,
        )
        lines = [
            x
            for x in tape or ()
            if x.primitive is not None and not x.constant and x.primitive.group != "wiring" and x.size
        ]
        first = lambda x: ancestors(flat, flat.scalars(x).ravel()[:1]) & selected
        line, _ = _largest(lines, lambda x: int(np.count_nonzero(first(x))))
        if line is not None and tape is not None:
            at = next(i for i, x in enumerate(tape) if x is line)
            offer(f"the slice focus=(ac.Tape(y)[{at}], {(0,) * line.ndim}), direction='up'", first(line))
    if tape is not None and whole is not None:
        later = sweep_groups(tape, whole, lines_of(tape), replace(request, zoom="lines")) if whole is not tape else []
        if len(tape) + len(later) <= NODES:
            offers.append(f"zoom='lines' ({len(tape) + len(later):,} nodes)")
    return (
        f"graph: zoom='scalars' would draw {count:,} nodes; more than {NODES:,} cannot be read: "
        f"use {' or '.join(offers) or 'a focus on something smaller'}"
    )


def far_too_many_scalars(whole: Tape, size: int, request: Request) -> str:
    """More scalars than could be counted one by one: their number from shapes alone, and zooms that can be drawn."""
    offers = []
    for zoom in ("lines", "calls", "model"):
        groups = GROUPS[zoom](whole, request.opened)
        if len(groups) <= NODES and count_edges(groups) <= EDGES:
            offers.append(f"zoom={zoom!r} ({len(groups):,} nodes)")
    return (
        f"graph: zoom='scalars' would draw a part of {ScalarGraph(whole).size:,} nodes with {size:,} operands; more "
        f"than {NODES:,} nodes cannot be read: use {' or '.join([*offers, 'the graph of an intermediate Tensor'])}, "
        "or a smaller image"
    )


def _ancestors_up_to_limit(line: Tensor) -> int:
    """How many lines a line was computed from, itself included; not counted on beyond what can be drawn."""
    seen, waiting = {id(line)}, [line]
    while waiting and len(seen) <= NODES:
        for x in waiting.pop().operands:
            if id(x) not in seen:
                seen.add(id(x))
                waiting.append(x)
    return len(seen)


def _largest(lines: list[Tensor], count: Callable[[Tensor], int]) -> tuple[Tensor | None, int]:
    """About the last line whose slice can be drawn, by halving, and its count."""
    low, high, found = 0, len(lines), (None, 0)  # type: int, int, tuple[Tensor | None, int]
    while low < high:
        middle = (low + high) // 2
        size = count(lines[middle])
        if size <= NODES:
            low, found = middle + 1, (lines[middle], size)
        else:
            high = middle
    return found
