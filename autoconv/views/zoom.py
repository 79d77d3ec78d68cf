"""Which lines of a tape make one node, at each zoom; and the nodes and edges that follow.

A zoom is a function from the tape to groups of lines.  At "lines" every line is a group of its own.  At "calls" the lines
of a composed operation or layer are one group: the outermost scope of kind "call" or "layer" around them, except that a
scope which contains layers (a model, a Sequential) is opened, so that its layers are seen.  Lines outside any such scope
stay lines.  Coarser and finer zooms (the model, the scalars) are further entries of ``ZOOMS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..tape import Scope, Tape, Tensor
from .text import formula, numbers, uniform


@dataclass(frozen=True)
class Node:
    """One box of a graph, in plain text and numbers.

    ``kind`` is "input" (inputs and parameters), "constant", "line" or "call"; ``lines`` are the places on the tape that
    it stands for, as ``repr(ac.Tape(y))`` numbers them, the same at every zoom.  ``gradient`` is None where there can be
    none.  ``count`` is the number of primitive lines inside a call.
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

    @property
    def place(self) -> str:
        """How formulas refer to the node's result if it has no name: its place on the tape."""
        return f"%{self.lines[-1]}"

    @property
    def rows(self) -> list[tuple[str, str]]:
        """(key, text) of what stands below the title, line by line; the formula has no key."""
        number = self.kind == "constant" and not self.value and self.shapes == ((),)
        shapes = "" if number else ", ".join(map(str, self.shapes))
        found = [("", self.formula), ("shape", shapes), ("value", self.value), ("grad", self.gradient or "")]
        if self.kind == "call":
            found.append(("lines", f"{self.count:,}"))
        return [(key, words) for key, words in found if words]


@dataclass(frozen=True)
class Edge:
    """``target`` reads ``source`` as its operand number ``operand``, counted from 0; ``shape`` is that of the array read."""

    source: str
    target: str
    operand: int
    shape: tuple[int, ...]


@dataclass
class Group:
    """The lines of one node: a single line, or those of a scope with the lines that are read from outside."""

    scope: Scope | None
    lines: list[Tensor]
    outputs: list[Tensor] = field(default_factory=list)

    def operands(self, owner: Mapping[int, int], number: int) -> list[Tensor]:
        """What a line reads, one entry for each operand; what a scope reads from outside, in the order of first reading."""
        if self.scope is None:
            return list(self.lines[0].operands)
        read = {id(x): x for line in self.lines for x in line.operands if owner[id(x)] != number}
        return list(read.values())


def lines(tape: Tape) -> list[Group]:
    """Every line by itself."""
    return [Group(None, [line], [line]) for line in tape]


def calls(tape: Tape) -> list[Group]:
    """Composed operations and layers as one node each; groups stand in the order of their last lines."""
    box = _boxes(tape)
    readers: dict[int, set[int | None]] = {id(y): {None} for y in tape.outputs}
    for line in tape:
        scope = box.get(id(line.scope))
        for x in line.operands:
            readers.setdefault(id(x), set()).add(id(scope) if scope else None)
    by_id = {id(scope): scope for scope in box.values() if scope}

    groups: dict[int, Group] = {}
    for line in tape:
        scope = box.get(id(line.scope))
        read_by = readers[id(line)]
        if line.primitive is None:
            # A constant written inside a call ("0" in relu) belongs to it; one handed to it (labels) was there before.
            (only,) = read_by if len(read_by) == 1 else (None,)
            inside = by_id.get(only) if only is not None else None
            scope = inside if inside and line.constant and line.serial > inside.serial else None
        key = id(scope) if scope else id(line)
        group = groups.pop(key, None) or Group(scope, [])
        groups[key] = group  # entered again: the dictionary keeps the order of last lines
        group.lines.append(line)
        if scope is None or read_by != {id(scope)}:
            group.outputs.append(line)
    return list(groups.values())


def _boxes(tape: Tape) -> dict[int, Scope | None]:
    """For every scope on the tape, the scope that is drawn as one box around it, or None."""
    scopes: dict[int, Scope] = {}
    for line in tape:
        scope = line.scope
        while scope is not None and id(scope) not in scopes:
            scopes[id(scope)] = scope
            scope = scope.parent
    opened: set[int] = set()
    for scope in scopes.values():
        around = scope.parent if scope.kind == "layer" else None
        while around is not None and id(around) not in opened:
            opened.add(id(around))
            around = around.parent
    box: dict[int, Scope | None] = {}
    for scope in sorted(scopes.values(), key=lambda s: s.serial):  # a parent is older than what it contains
        outer = box[id(scope.parent)] if scope.parent else None
        box[id(scope)] = outer or (scope if scope.kind in ("call", "layer") and id(scope) not in opened else None)
    return box


ZOOMS: dict[str, Callable[[Tape], list[Group]]] = {"lines": lines, "calls": calls}


def count_edges(groups: list[Group]) -> int:
    """How many edges ``describe`` would make."""
    owner = owners(groups)
    return sum(len(group.operands(owner, number)) for number, group in enumerate(groups))


def owners(groups: list[Group]) -> dict[int, int]:
    """id(line) -> the number of its group."""
    return {id(line): number for number, group in enumerate(groups) for line in group.lines}


def describe(tape: Tape, groups: list[Group], names: Mapping[int, str]) -> tuple[tuple[Node, ...], tuple[Edge, ...]]:
    """The nodes and edges of ``groups``; ``names`` maps id(tensor) to the name of its variable."""
    place = {id(line): i for i, line in enumerate(tape)}
    owner = owners(groups)
    ids = [f"n{place[id(group.lines[-1])]}" for group in groups]
    results, reached = {id(y) for y in tape.outputs}, sweepable(tape)

    def called(x: Tensor) -> str:
        """How formulas speak of x: by name, by number, or by its place on the tape."""
        same = uniform(x.value) if x.primitive is None and x.constant else None
        return x.name or names.get(id(x)) or same or f"%{place[id(x)]}"

    nodes, edges = [], []
    for number, group in enumerate(groups):
        operands = group.operands(owner, number)
        nodes.append(_node(group, ids[number], [called(x) for x in operands], results, reached, names, place))
        edges += [Edge(ids[owner[id(x)]], ids[number], k, x.shape) for k, x in enumerate(operands)]
    return tuple(nodes), tuple(edges)


def sweepable(tape: Tape) -> set[int]:
    """id(line) of every line that a sweep from the outputs comes to; ``stop_gradient`` and integers cut the others off."""
    reached = {id(y) for y in tape.outputs if not y.constant}
    for line in reversed(tape):
        if id(line) in reached:
            reached.update(id(x) for x in line.operands if not x.constant)
    return reached


def _gradient(line: Tensor, reached: set[int]) -> str:
    if line.grad is not None:
        return numbers(line.grad)
    return "not computed yet" if id(line) in reached else "none reaches it"


def _node(
    group: Group,
    id_: str,
    operands: list[str],
    results: set[int],
    reached: set[int],
    names: Mapping[int, str],
    place: Mapping[int, int],
) -> Node:
    last, shown = group.lines[-1], group.outputs[:3]
    named = last.name or names.get(id(last)) or ""
    value = "; ".join(numbers(x.value) for x in shown)
    gradient: str | None = "; ".join(_gradient(x, reached) for x in shown)
    note = ", ".join(f"{k}={v}" for k, v in last.params.items())
    if all(x.constant for x in shown):
        gradient = None
    if group.scope is not None:
        kind, text, fallback = "call", f"{group.scope.name}({', '.join(operands)})", group.scope.name
        note = ""
    elif last.primitive is not None:
        kind, text, fallback = "line", formula(last.primitive, operands), last.primitive.name
    elif last.constant:
        same = uniform(last.value)
        kind, text, fallback = "constant", "", same or "constant"
        value = "" if same and not named else value
    else:
        kind, text, fallback = "input", "", "input"
    return Node(
        id=id_,
        kind=kind,
        title=named or fallback,
        formula=text,
        shapes=tuple(x.shape for x in group.outputs),
        value=value,
        gradient=gradient,
        output=any(id(x) in results for x in group.lines),
        lines=tuple(place[id(x)] for x in group.lines),
        count=sum(x.primitive is not None for x in group.lines),
        note=note,
    )
