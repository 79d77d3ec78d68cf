"""Which lines of a tape make one node, at each zoom above the scalars: first in the flow from a tape to its picture.

A zoom is a function from the tape to groups of lines.  At "lines" every line is a group of its own.  At "calls" the
lines of a composed operation or layer are one group: the outermost scope of kind "call" or "layer" around them, except
that a scope which contains layers (a model, a Sequential) is opened, so that its layers are seen.  At "model" only the
outermost model is opened: what it holds directly, layers and further models, are the nodes, with their parameters
inside.  Lines outside any such scope stay lines.  ``open`` opens further boxes: a call or layer into what it consists
of, a row with a definition (maximum) into the lines of that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import Context
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...backward import steps, sweep
from ...shapes import listed
from ...tape import Primitive, Scope, Tape, Tensor, describe, tensor
from ..lines import is_number, is_parameter, serves

BOXES = 40  # of a model, which is opened as far as it has no more
ZOOMS = ("model", "calls", "lines", "scalars")


@dataclass
class Group:
    """The lines of one node: a single line, or those of a scope with the lines that are read from outside.

    ``step`` is the line of a definition that the node shows in place of its line; ``serves`` the last of the forward
    lines whose rules a group of a recorded sweep carries out.
    """

    scope: Scope | None
    lines: list[Tensor]
    outputs: list[Tensor] = field(default_factory=list)
    step: Tensor | None = None
    number: int = 0
    gradient: Any = None
    serves: Tensor | None = None
    title: str = ""

    @property
    def shown(self) -> Tensor:
        """The line that tells primitive, operands and params."""
        return self.lines[-1] if self.step is None else self.step

    @property
    def members(self) -> list[Tensor]:
        """What edges may come from: the lines, or the step and, if it is the last, the line whose value it has."""
        return self.lines if self.step is None else [self.step, *self.outputs]

    def operands(self, owner: Mapping[int, int], number: int) -> list[Tensor]:
        """What a line reads, one entry for each operand; what a scope reads from outside, in the order of first
        reading.
        """
        if self.scope is None and not self.title:
            return list(self.shown.operands)
        read = {id(x): x for line in self.lines for x in line.operands if owner.get(id(x)) != number}
        return list(read.values())


@dataclass(frozen=True)
class Opening:
    """The argument ``open`` of ``ac.graph``: which boxes are opened, by name or Tensor (None and False: none; True:
    all).
    """

    everything: bool | None = None
    names: frozenset[str] = frozenset()
    lines: frozenset[int] = frozenset()

    def scopes(self, tape: Tape) -> Callable[[Scope], bool]:
        """Which scopes are opened: those named (or of a named layer class), and those around what is asked for."""
        if self.everything:
            return lambda scope: True
        found: set[int] = set()
        for line in tape:
            path = line.scope.path if line.scope else ()
            inner = 0
            if line.primitive is not None and line.primitive.definition and self.definition(line, line.primitive):
                inner = len(path)
            for depth, scope in enumerate(path, 1):
                if self.names & {scope.name, *scope.name.split(": ")}:
                    inner = max(inner, depth)
            found.update(id(scope) for scope in path[:inner])
        return lambda scope: id(scope) in found

    def definition(self, line: Tensor, primitive: Primitive, default: bool = False) -> bool:
        if self.everything is not None:
            return self.everything
        return default or primitive.name in self.names or id(line) in self.lines


CLOSED = Opening()


@dataclass(frozen=True)
class Request:
    """The arguments of ``ac.graph``, checked."""

    zoom: str
    names: dict[int, str]
    focus: tuple[Any, ...]
    direction: str
    backward: bool
    fold: bool
    opened: Opening
    twins: dict[int, Tensor] = field(default_factory=dict)
    depth: int | None = None
    scalars: Mapping[str, Any] = field(default_factory=dict)  # variables, for the graph of a Scalar


def opening(open: Any) -> Opening:
    """``open`` as given to ``ac.graph``: None, True, False, a name, a Tensor, or several; TypeError otherwise."""
    if open is None or isinstance(open, bool):
        return Opening(open)
    several = tuple(open) if isinstance(open, set | frozenset) else listed(open)
    given = (open,) if isinstance(open, str | Tensor) else several
    if not all(isinstance(x, str | Tensor) for x in given):
        raise TypeError(
            "graph: open must be True, False, the name of a box (as in open='maximum') or a list of names and "
            f"Tensors; found {open!r}"
        )
    return Opening(
        names=frozenset(x for x in given if isinstance(x, str)),
        lines=frozenset(id(x) for x in given if isinstance(x, Tensor)),
    )


def lines(tape: Tape, opened: Opening = CLOSED) -> list[Group]:
    """Every line by itself."""
    return [Group(None, [line], [line]) for line in tape]


def calls(tape: Tape, opened: Opening = CLOSED) -> list[Group]:
    """Composed operations and layers as one node each."""
    models, wanted = holding_layers(tape), opened.scopes(tape)
    return boxed(tape, lambda scope: id(scope) in models or wanted(scope))


def model(tape: Tape, opened: Opening = CLOSED, depth: int | None = None) -> list[Group]:
    """What the outermost model holds as one node each, with its parameters: at ``depth`` 1 what it holds directly, at 2
    what that holds, and so on; None: 1, but boxes that hold nothing but layers, some with parameters (a stage of a
    ResNet, the features of a VGG), are opened too, level by level, as long as that makes no more than 40 boxes."""
    models, wanted = holding_layers(tape), opened.scopes(tape)
    stages: set[int] = set()

    def at(deep: int) -> list[Group]:
        def opens(scope: Scope) -> bool:
            around = 0 if scope.kind == "call" else sum(s.kind == "layer" for s in scope.path[:-1])
            return wanted(scope) or (id(scope) in models and around < deep) or id(scope) in stages

        return boxed(tape, opens, parameters=True)

    found = at(depth or 1)
    for level in holding_alone(tape, models) if depth is None else ():
        stages |= level
        more = at(1)
        if len(more) > BOXES:
            break
        found = more
    return found


def holding_alone(tape: Tape, models: set[int]) -> list[set[int]]:
    """The ids of the layers that hold two or more layers, parameters among them, and compute nothing else: the
    outermost, those in them, ..."""
    inside: dict[int, list[Scope]] = {}
    scopes = scopes_of(tape)
    for scope in scopes.values():
        if scope.kind == "layer" and scope.parent is not None:
            inside.setdefault(id(scope.parent), []).append(scope)
    bare, trained = set(), set()
    for line in tape:
        if any(is_parameter(x) for x in line.operands) and line.scope is not None:
            trained |= {id(s) for s in line.scope.path}
        around = [s for s in (line.scope.path if line.scope else ()) if s.kind == "layer"]
        if around and line.primitive is not None:
            bare.add(id(around[-1]))
    levels: dict[int, set[int]] = {}
    for key, scope in scopes.items():
        if key in models & trained and key not in bare and len(inside.get(key, ())) > 1:
            levels.setdefault(len(scope.path), set()).add(key)
    return [levels[depth] for depth in sorted(levels)]


def holding_layers(tape: Tape) -> set[int]:
    """The ids of scopes that contain layers."""
    found: set[int] = set()
    for scope in scopes_of(tape).values():
        around = scope.parent if scope.kind == "layer" else None
        while around is not None and id(around) not in found:
            found.add(id(around))
            around = around.parent
    return found


def scopes_of(tape: Tape) -> dict[int, Scope]:
    scopes: dict[int, Scope] = {}
    for line in tape:
        scope = line.scope
        while scope is not None and id(scope) not in scopes:
            scopes[id(scope)] = scope
            scope = scope.parent
    return scopes


def boxed(tape: Tape, opens: Callable[[Scope], bool], parameters: bool = False) -> list[Group]:
    """One group for each outermost scope that is not opened; they stand in the order of their last lines."""
    box = _boxes(tape, opens)
    readers: dict[int, set[int | None]] = {id(y): {None} for y in tape.outputs}
    first: dict[int, int] = {}  # id(line) -> the box that reads it first
    for line in tape:
        scope = box.get(id(line.scope))
        for x in line.operands:
            first.setdefault(id(x), id(scope))
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
            within = inside is not None and line.constant and line.serial > inside.serial
            scope = inside if within or (parameters and is_parameter(line)) else None
            if parameters and is_parameter(line) and len(read_by) > 1 and read_by <= by_id.keys():
                scope = by_id[first[id(line)]]  # shared by several boxes: it is told with the first
                read_by = {id(scope)}
        key = id(scope) if scope else id(line)
        group = groups.pop(key, None) or Group(scope, [])
        groups[key] = group  # entered again: the dictionary keeps the order of last lines
        group.lines.append(line)
        if scope is None or read_by != {id(scope)}:
            group.outputs.append(line)
    return list(groups.values())


def _boxes(tape: Tape, opens: Callable[[Scope], bool]) -> dict[int, Scope | None]:
    """For every scope on the tape, the scope that is drawn as one box around it, or None."""
    box: dict[int, Scope | None] = {}
    for scope in sorted(scopes_of(tape).values(), key=lambda s: s.serial):  # a parent is older than what it contains
        outer = box[id(scope.parent)] if scope.parent else None
        box[id(scope)] = outer or (scope if scope.kind in ("call", "layer") and not opens(scope) else None)
    return box


GROUPS: dict[str, Callable[[Tape, Opening], list[Group]]] = {"model": model, "calls": calls, "lines": lines}


def chains(tape: Tape, named: set[int]) -> list[Group]:
    """What is read once together with its reader, as a neuron's products and sums (its weights among them); ``named``
    are the ids of computed lines that stand for themselves all the same."""
    readers: dict[int, set[int]] = {}
    for line in tape:
        for x in line.operands:
            readers.setdefault(id(x), set()).add(id(line))
    end: dict[int, Tensor] = {}
    inside: dict[int, list[Tensor]] = {}
    by_id = {id(line): line for line in tape}
    for line in reversed(tape):
        read_by = readers.get(id(line), set())
        alone = len(read_by) == 1 and not (line.primitive is not None and id(line) in named)
        end[id(line)] = end[next(iter(read_by))] if alone else by_id[id(line)]
        inside.setdefault(id(end[id(line)]), []).append(line)
    return [Group(None, inside[id(line)][::-1], [line]) for line in tape if id(line) in inside]


def owners(groups: list[Group]) -> dict[int, int]:
    """id(line) -> the number of its group."""
    return {id(line): number for number, group in enumerate(groups) for line in group.members}


def count_edges(groups: list[Group]) -> int:
    """How many edges ``describe`` would make."""
    owner = owners(groups)
    return sum(id(x) in owner for number, group in enumerate(groups) for x in group.operands(owner, number))


# ---- a line with a definition (maximum) opened into the lines of that


def open_definitions(groups: list[Group], opened: Opening) -> list[Group]:
    """The groups with each line that is to be opened replaced by one group for each line of its definition."""
    made: list[Group] = []
    for group in groups:
        line = group.lines[-1]
        primitive = line.primitive
        single = group.scope is None and not group.title
        if single and primitive and primitive.definition and opened.definition(line, primitive):
            made += Context().run(_open, group)  # in a context of its own: nothing is recorded into the reader's scope
        else:
            made.append(group)
    return made


def _open(group: Group) -> list[Group]:
    (line,) = group.lines
    primitive: Any = line.primitive
    stand = [Tensor(x.value.copy()) for x in line.operands]
    result = primitive.definition(*stand, **line.params)
    recorded = [step for step in Tape(result) if step.primitive is not None]
    gradients = _gradients(line)
    real = {id(a): b for a, b in zip(stand, line.operands, strict=True)}
    made = []
    for number, step in enumerate(recorded):
        last = step is result
        step.operands = tuple([real.get(id(x), x) for x in step.operands])
        made.append(
            Group(
                None,
                [line],
                [line] if last else [],
                step,
                len(recorded) - 1 - number,
                line.grad if last else gradients[number],
                group.serves,
            )
        )
    return made


def _gradients(line: Tensor) -> list[Any]:
    """The cotangents of a definition's lines, where its derivatives have no rounding; None if the line has none."""
    primitive: Any = line.primitive
    values = [x.value for x in line.operands]
    placed = primitive.at(*values, **line.params) if primitive.at else values
    shape, dtype = line.shape, line.dtype
    stand = [Tensor(np.array(np.broadcast_to(x, shape), dtype=dtype)) for x in placed]
    result = primitive.definition(*stand, **line.params)
    found = {id(s.line): s.cotangent for s in steps(result, None, line.grad)} if line.grad is not None else {}
    return [found.get(id(step)) for step in Tape(result) if step.primitive is not None]


# ---- the recorded sweep, beside the forward lines


def with_sweep(tape: Tape, request: Request) -> tuple[Tape, Request]:
    """The tape with the recorded sweep behind it, and names for the gradients."""
    (y,) = tape.outputs
    if y.size != 1 or y.constant:
        raise ValueError(
            f"graph: backward=True draws the sweep from a scalar that can be differentiated; found {describe(y)}. "
            "Reduce it first, as in y.sum()"
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


def sweep_groups(tape: Tape, whole: Tape, forward: list[Group], request: Request) -> list[Group]:
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
