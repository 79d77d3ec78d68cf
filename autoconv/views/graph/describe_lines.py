"""Groups of lines as nodes and edges, in words and numbers: the zooms above the scalars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ...render.latex import formula, inner
from ...render.node import Edge, Node
from ...render.svg import PALETTE, element_colours
from ...render.text import numbers, uniform
from ...tape import Tape, Tensor
from ..layers import deed, held, layer_names, layer_title, passes, settings, verb
from ..lines import is_parameter, serves, weights
from .zoom import Group, owners

MANY = 120  # boxes, more than which are drawn as cards


def describe(
    tape: Tape,
    groups: list[Group],
    names: Mapping[int, str],
    kept: set[int] | None = None,
    model: bool = False,
    twins: Mapping[int, Tensor] | None = None,
    forward: int | None = None,
) -> tuple[tuple[Node, ...], tuple[Edge, ...]]:
    """The nodes and edges of ``groups``; ``names`` maps id(tensor) to the name of its variable.

    kept: the ids of the lines of a slice; groups without any of them are left out, and edges from others.  model: show
    the parameters of each group.  twins: id(gradient in a recorded sweep) -> the tensor it is of, whose colours it has.
    forward: how many lines of the tape are not of the sweep that is drawn beside it (default: all).
    """
    place = {id(line): i for i, line in enumerate(tape)}
    words = Words(tape, names, place, model)
    words.forward = len(place) if forward is None else forward
    words.weights |= {key for key, x in (twins or {}).items() if id(x) in words.weights}
    chosen = [g for g in groups if kept is None or any(id(line) in kept for line in g.lines)]
    owner = owners(chosen)
    ids = [f"n{place[id(g.lines[-1])]}{f's{g.number}' if g.number else ''}" for g in chosen]
    nodes, edges = [], []
    for number, group in enumerate(chosen):
        operands = group.operands(owner, number)
        read = [x for x in operands if id(x) in owner and (kept is None or id(x) in kept or group.step is not None)]
        nodes.append(words.node(group, ids[number], operands))
        for k, x in enumerate(operands):
            shared = model and is_parameter(x) and id(x) in owner and chosen[owner[id(x)]].scope is not None
            if any(x is r for r in read) and not shared:
                edges.append(Edge(ids[owner[id(x)]], ids[number], k, x.shape, kink(group, k), _colour(words, x)))
    return tuple(nodes), tuple(edges)


def compact(nodes: Sequence[Node], edges: Sequence[Edge]) -> tuple[Node, ...]:
    """The lines and calls of a large graph as cards of one line, chains of them standing on each other; what a card
    leaves out its tooltip tells."""
    reads: dict[str, int] = {}
    for edge in edges:
        reads[edge.target] = reads.get(edge.target, 0) + 1
    return tuple(
        replace(
            node,
            card=True,
            what=node.what or (node.kind == "call" and node.settings) or node.formula,
            passes=node.passes or reads.get(node.id) == 1,
        )
        if node.kind in ("line", "call")
        else node
        for node in nodes
    )


def sweepable(tape: Tape) -> set[int]:
    """The ids of the lines that a sweep from the outputs reaches; ``stop_gradient`` and integers cut off others."""
    reached = {id(y) for y in tape.outputs if not y.constant}
    for line in reversed(tape):
        if id(line) in reached:
            reached.update(id(x) for x in line.operands if not x.constant)
    return reached


def kink(group: Group, k: int) -> str:
    """The slope chosen where operand ``k`` meets a kink, if it does: the params of the line tell it."""
    line = group.shown
    if group.scope is not None or group.title or "slope_at_zero" not in line.params:
        return ""
    ties = int(np.count_nonzero(line.operands[k].value == 0))
    times = f" ({ties:,} ties)" if ties > 1 else " (tie)"
    return f"slope {line.params['slope_at_zero']} at 0{times}" if ties else ""


def _colour(words: Words, x: Tensor) -> str:
    """The colour of an edge from a weight of one element."""
    return PALETTE[0] if x.size == 1 and id(x) in words.weights else ""


class Words:
    """What is said of one group."""

    def __init__(self, tape: Tape, names: Mapping[int, str], place: Mapping[int, int], model: bool) -> None:
        self.names, self.place, self.model = names, place, model
        self.results, self.reached = {id(y) for y in tape.outputs}, sweepable(tape)
        self.weights = weights(tape)
        self.steps: dict[int, str] = {}
        self.layers = layer_names(tape)
        self.forward = len(place)
        self.counted: set[int] = set()  # parameters that were told

    def called(self, x: Tensor) -> str:
        """How formulas speak of x: by name, number, or place on the tape; a step inside a definition by "…"."""
        same = uniform(x.value) if x.primitive is None and x.constant else None
        known = x.name or self.names.get(id(x)) or same or self.steps.get(id(x)) or self.layers.get(id(x))
        return known or (f"%{self.place[id(x)]}" if id(x) in self.place else "(…)")

    def gradient(self, line: Tensor) -> str:
        if line.grad is not None:
            return numbers(line.grad)
        return "not computed yet" if id(line) in self.reached else "none reaches it"

    def node(self, group: Group, id_: str, operands: list[Tensor]) -> Node:
        last, shown = group.lines[-1], (group.outputs or [group.shown])[:3]
        line = group.shown
        served = group.serves if group.serves is not None else serves(last)
        backward = self.place[id(last)] >= self.forward
        named = (last.name or self.names.get(id(last)) or "") if group.outputs or group.step is None else ""
        value = "; ".join(numbers(x.value) for x in shown)
        if group.title:
            value = "; ".join(f"{self.called(x)}: {numbers(x.value)}" for x in shown)
        gradient: str | None = "; ".join(self.gradient(x) for x in shown)
        if group.step is not None:
            gradient = numbers(group.gradient) if group.gradient is not None else self.gradient(last)
        if backward or all(x.constant for x in shown):
            gradient = None
        note = ", ".join(f"{k}={v}" for k, v in line.params.items())
        texts = [self.called(x) for x in operands]
        if group.title:
            kind, text, fallback, note = "call", "", group.title, ""
        elif group.scope is not None:
            # what flows first, as in the call that was written, whatever its lines read first
            given = [self.called(x) for x in sorted(operands, key=is_parameter)]
            text = f"{verb(group.scope, group.lines)}({', '.join(given)})"
            kind, fallback, note = "call", group.scope.name, ""
        elif line.primitive is not None:
            kind, text, fallback = "line", formula(line.primitive, texts), line.primitive.name
            if group.step is not None:
                self.steps[id(line)] = inner(text)
        elif last.constant:
            same = uniform(last.value)
            kind, text, fallback = "constant", "", same or "constant"
            value = "" if same and not named else value
        else:
            kind, text, fallback = "input", "", "input"
        card = self.model and group.scope is not None and not backward
        lines_inside = group.lines if card else ()
        shapes = tuple(x.shape for x in group.outputs) or (last.shape,)
        rows = held(group.scope, lines_inside) if card and group.scope is not None else ()
        read = {id(x): x for line in lines_inside for x in line.operands if is_parameter(x)}
        fresh = [x for key, x in read.items() if key not in self.counted]
        self.counted |= read.keys()
        title = group.title or named or (layer_title(group.scope) if group.scope else fallback)
        what = deed(group.scope, lines_inside) if not rows else ""
        if card and group.scope is not None and group.scope.kind == "call" and title != group.scope.name:
            what = f"{group.scope.name} {what}".strip()
        what += (", " if what else "") + "weights as before" if len(fresh) < len(read) else ""
        output = any(id(x) in self.results for x in group.lines) and bool(group.outputs)
        what += f" = {value}" if output and last.size == 1 else ""
        return Node(
            id=id_,
            kind=kind,
            operation=fallback if kind in ("line", "call") else kind,
            title=title,
            formula=text,
            shapes=shapes,
            value=value,
            gradient=gradient,
            output=output,
            lines=tuple(self.place[id(x)] for x in group.lines),
            count=sum(x.primitive is not None for x in group.lines) if kind == "call" else 1,
            note=note,
            colours=tuple(element_colours(last.size)) if id(last) in self.weights and last.size <= 25 else (),
            part="backward" if backward else "forward",
            serves=self.place.get(id(served)) if served is not None else None,
            settings=settings(group.lines) if group.scope is not None and not backward else "",
            parameters=sum(x.size for x in fresh),
            weight=id(last) in self.weights or is_parameter(last),
            card=card or (self.model and kind == "line"),
            what=what.strip() if card else f"{text}{what}" if self.model and kind == "line" else "",
            inside=rows if len(rows) > 1 else (),
            passes=card and len(shapes) == 1 and not rows and passes(group.lines, operands, shapes[0]),
        )
