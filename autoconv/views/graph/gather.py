"""From a request to nodes and edges: the tape (with the recorded sweep), its groups or scalars, slices, folds, and refusals."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...backward import sweep
from ...render.element import resolve
from ...render.node import Edge, Node
from ...render.roles import is_number, serves
from ...scalar import FlatTape, Scalar, expand
from ...tape import Tape, Tensor, tensor
from ...tape import describe as in_words
from . import close
from .definition import open_definitions
from .describe import describe, slice_lines
from .folding import fold_nodes
from .scalars import Scalars
from .selection import ancestors, classes, descendants, slice_of
from .zoom import GROUPS, Group, Opened, count_edges
from .zoom import lines as lines_of

NODES, EDGES = 800, 4000  # more than this is a tangle, whatever the layout
FOLDED = 20_000  # lines of a tape that is folded only to count what that would give
Picture = tuple[tuple[Node, ...], tuple[Edge, ...]]


@dataclass(frozen=True)
class Request:
    """The arguments of ``ac.graph``, checked."""

    zoom: str
    names: dict[int, str]
    focus: tuple[Any, ...]
    direction: str
    backward: bool
    fold: bool
    opened: Opened
    twins: dict[int, Tensor] = field(default_factory=dict)


def gather(y: Tensor | Scalar, request: Request) -> Picture:
    """The nodes and edges of a request; ValueError with counts if there are too many."""
    if isinstance(y, Scalar):
        return _scalars(expand(y), None, None, request)
    tape = Tape(y)
    whole = tape
    if request.backward:
        whole, request = _swept(tape, request)
    if request.zoom == "scalars":
        return _scalars(expand(whole), tape, whole, request)
    return _groups(tape, whole, request)


def _swept(tape: Tape, request: Request) -> tuple[Tape, Request]:
    """The tape with the recorded sweep behind it, and names for the gradients."""
    (y,) = tape.outputs
    if y.size != 1 or y.constant:
        raise ValueError(
            f"graph: backward=True draws the sweep from a scalar that can be differentiated; found {in_words(y)}. Reduce it first, as in y.sum()"
        )
    seed = tensor(np.ones(y.shape), dtype=y.dtype)
    inputs = len(tape.inputs)
    named = [x for x in tape if x.primitive is not None and not x.constant and (x.name or id(x) in request.names)]
    wanted = tape.inputs + [x for x in named if x is not y]
    # In a context of its own: the sweep is recorded even inside no_grad, and into no scope of the reader's.
    gradients: list[Tensor] = Context().run(sweep, y, wanted, seed)
    known = [(x, g) for x, g in zip(wanted, gradients, strict=True) if g is seed or g.primitive is not None]
    reached = [g for g in gradients[:inputs] if g is seed or g.primitive is not None]
    names = dict(request.names)
    of: dict[int, list[str]] = {}
    place = {id(line): i for i, line in enumerate(tape)}
    for x, g in known:
        of.setdefault(id(g), []).append(x.name or names.get(id(x)) or f"%{place[id(x)]}")
    names[id(seed)] = "seed"
    for key, targets in of.items():
        names[key] = f"{'seed: ' if key == id(seed) else ''}grad of {', '.join(targets)}"
    whole = Tape(y, *{id(g): g for g in reached}.values()) if reached else tape
    return whole, replace(request, names=names, twins={id(g): x for x, g in reversed(known)})


# ---- lines, calls, model


def _groups(tape: Tape, whole: Tape, request: Request) -> Picture:
    groups = open_definitions(GROUPS[request.zoom](tape, request.opened), request.opened)
    if whole is not tape:
        groups += _backward(tape, whole, groups, request)
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
        raise ValueError(_refusal(tape, whole, request, nodes, edges))
    found = describe(whole, groups, request.names, kept, request.zoom == "model", request.twins, len(tape))
    if request.fold:
        found = fold_nodes(*found)
        if len(found[0]) > NODES:
            raise ValueError(_refusal(tape, whole, request, len(found[0]), len(found[1])))
    return found


def _backward(tape: Tape, whole: Tape, forward: list[Group], request: Request) -> list[Group]:
    """The groups of the sweep's lines: each by itself, or all that serve one box together."""
    known = {id(line) for line in tape}
    later = [line for line in whole if id(line) not in known and not is_number(line)]
    if request.zoom == "lines":
        return [Group(None, [line], [line], serves=serves(line)) for line in later]
    box = {id(line): number for number, group in enumerate(forward) for line in group.lines}
    made: dict[int, Group] = {}
    readers: dict[int, set[int]] = {id(y): {-1} for y in whole.outputs}
    home: dict[int, int] = {}
    for line in later:
        served = serves(line)
        home[id(line)] = box[id(served)] if served is not None else -2 - len(home)
    for line in later:
        for x in line.operands:
            readers.setdefault(id(x), set()).add(home[id(line)])
    for line in later:
        number = home[id(line)]
        if number not in made:
            served = forward[number].lines[-1] if number >= 0 else None
            name = ""
            if served is not None:
                group = forward[number]
                made_by = group.scope.name if group.scope else served.primitive.name  # type: ignore[union-attr]
                name = f"backward of {served.name or request.names.get(id(served)) or made_by}"
            made[number] = Group(None, [], serves=served, title=name)
        made[number].lines.append(line)
        if readers.get(id(line), {number}) != {number}:
            made[number].outputs.append(line)
    return list(made.values())


def _refusal(tape: Tape, whole: Tape, request: Request, nodes: int, edges: int) -> str:
    """Too much to draw: the counts, and what to do instead with its counts."""
    fitting = []
    for zoom in ("lines", "calls", "model"):
        made = GROUPS[zoom](tape, request.opened)
        if zoom != request.zoom and len(made) <= NODES and count_edges(made) <= EDGES:
            fitting.append(f"zoom={zoom!r} ({len(made):,} nodes)")
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
        f"graph: zoom={request.zoom!r} would draw {nodes:,} nodes and {edges:,} edges for a tape of {len(whole):,} lines; more than "
        f"{NODES:,} nodes or {EDGES:,} edges cannot be read: use {' or '.join([*fitting, 'the graph of an intermediate Tensor'])}, "
        f"as in ac.graph(hidden)"
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


# ---- scalars


def _scalars(flat: FlatTape, tape: Tape | None, whole: Tape | None, request: Request) -> Picture:
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
        chosen = _focus(flat, whole, request.focus)
        selected &= slice_of(flat, chosen, request.direction)
    elif whole is not None:
        # Scalars that no result needs (what a stride skips) are shown where they are inputs, and only there.
        selected &= ancestors(flat, flat.output.ravel()) | unread
    results = set(flat.output.ravel().tolist())
    if request.fold:
        groups = classes(flat)
        count = len(np.unique(groups[selected]))
        if count > NODES:
            raise ValueError(_too_many(flat, tape, whole, scalars, selected, count, request))
        return close.fold(scalars, selected, groups, results, serving)
    count = int(np.count_nonzero(selected))
    if count > NODES:
        raise ValueError(_too_many(flat, tape, whole, scalars, selected, count, request))
    return close.describe(scalars, selected, results, serving)


def _focus(flat: FlatTape, tape: Tape | None, focus: tuple[Any, ...]) -> np.ndarray:
    """The scalars that the focus means."""
    found: list[int] = []
    for thing in focus:
        if tape is not None:
            line, elements = resolve(thing, tape)
            found += flat.scalars(line).ravel()[elements].tolist()
        else:
            mine = [i for i, leaf in flat.leaves.items() if leaf is thing]
            if not mine:
                raise ValueError(f"focus: {thing!r} is not an input of this Scalar; give one that it was computed from")
            found += mine
    return np.array([i for i in found if i], np.int64)


def _too_many(
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
        later = _backward(tape, whole, lines_of(tape), replace(request, zoom="lines")) if whole is not tape else []
        if len(tape) + len(later) <= NODES:
            offers.append(f"zoom='lines' ({len(tape) + len(later):,} nodes)")
    return (
        f"graph: zoom='scalars' would draw {count:,} nodes; more than {NODES:,} cannot be read: "
        f"use {' or '.join(offers) or 'a focus on something smaller'}"
    )
