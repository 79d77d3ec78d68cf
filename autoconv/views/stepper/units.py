"""The walk at calls: which lines are one unit (conv2d, relu, a layer), and which events are one stop of the walk.

A unit is what a reader calls one operation: the outermost call around its lines, a layer that holds nothing else, or a
line outside any.  A stop is a unit at work, forward or backward: events that follow each other.  Units that only move
elements (a reshape between two layers) are ``quiet``: a walk passes over them, and whoever asks for them finds them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...render.latex import formula
from ...render.text import numbers
from ...tape import Scope, Tape, Tensor
from ..graph.zoom import Group, boxed, chains, holding_layers, owners
from ..layers import layer_path, settings
from ..lines import is_number, is_parameter

if TYPE_CHECKING:
    from .stepper import Event, Stepper

SINGLE = (
    160  # lines of a tape of scalars that are units of their own; of a longer one what is read once joins its reader
)


@dataclass(eq=False)
class Unit:
    """Some lines as one operation: ``name`` as a reader knows it, ``call`` what is called, the layers around
    (``path``).

    ``kind``: "call", or "input" for what is given.  ``output`` is its last line; ``reads`` are the numbers of the units
    that it reads, ``given`` the parameters that it alone brings with it.
    """

    kind: str
    name: str
    call: str
    path: tuple[str, ...]
    lines: list[Tensor]
    output: Tensor
    says: str = ""
    quiet: bool = False
    reads: list[int] = field(default_factory=list)
    given: list[Tensor] = field(default_factory=list)

    @property
    def title(self) -> str:
        """What it is called with the layers around it: "layer1.0.conv1: conv2d", "o1: conv2d"."""
        where = ".".join(self.path)
        first = self.name if not where or self.name.startswith(where) else f"{where}.{self.name}"
        return first if not self.call or self.call == first.rpartition(".")[2] else f"{first}: {self.call}"


@dataclass(frozen=True, eq=False)
class Stop:
    """A unit at work, "forward" or "backward": the events number ``first`` to ``last`` (both counted from 0) of the
    walk.
    """

    unit: Unit
    phase: str
    first: int
    last: int

    def results(self, stepper: Stepper) -> list[Event]:
        """The events with what comes out: the unit's result, or the gradients that it sends to what it read."""
        events = stepper.events[self.first : self.last + 1]
        if self.phase == "forward":
            return [e for e in events if e.line is self.unit.output]
        read = {id(x) for line in self.unit.lines for x in line.operands} - {id(x) for x in self.unit.lines}
        kept = [e for e in events if id(e.target) in read and e.kind == "accumulate"] or events
        return list({id(e.target): e for e in kept}.values())

    def text(self, stepper: Stepper) -> str:
        """What happens, in one line of plain text."""
        title, results = self.unit.title, self.results(stepper)
        if self.phase == "forward":
            says = f"   {self.unit.says}" if self.unit.says else ""
            return f"{title} = {numbers(self.unit.output.value)}{says}"
        shown = [f"grad of {stepper.names[id(e.target)]}: {numbers(e.after)}" for e in results if e.after is not None]
        return f"backward of {title}   {', '.join(shown)}"


def units(tape: Tape, names: Mapping[int, str], own: Mapping[int, str]) -> list[Unit]:
    """The units of a tape, inputs before their first reader.

    names: id(line) -> what each is called.  own: id(line) -> a name that the user gave it.
    """
    groups = [g for g in _groups(tape, own) if any(x.primitive is not None for x in g.lines)]
    owner = owners(groups)
    found: list[Unit] = []
    number: dict[int, int] = {}  # id(line) -> its unit
    for group in groups:
        made = [x for x in group.lines if x.primitive is not None]
        inside = {id(x) for x in group.lines}
        read = list({id(x): x for line in made for x in line.operands if id(x) not in inside}.values())
        for x in read:
            if x.primitive is None and id(x) not in number and not x.constant and not is_parameter(x):
                number[id(x)] = len(found)
                found.append(Unit("input", names[id(x)], "", (), [x], x, quiet=True))
        unit = _unit(group, made, names, own)
        unit.reads = list(dict.fromkeys(number[id(x)] for x in read if id(x) in number))
        unit.given = [x for x in read if id(x) not in number and not is_number(x) and x.primitive is None]
        unit.quiet = _quiet(made, read, unit, tape, own)
        for line in group.lines:
            number[id(line)] = len(found)
        found.append(unit)
    assert all(id(x) in owner for unit in found if unit.kind == "call" for x in unit.lines)
    return found


def _groups(tape: Tape, own: Mapping[int, str]) -> list[Group]:
    if not any(x.ndim for x in tape) and not any(x.scope for x in tape):
        return chains(tape, set(own)) if len(tape) > SINGLE else [Group(None, [x], [x]) for x in tape]
    opened = holding_layers(tape) | _of_several_calls(tape)
    return boxed(tape, lambda scope: id(scope) in opened)


def _of_several_calls(tape: Tape) -> set[int]:
    """The ids of the layers that hold several calls."""
    calls: dict[int, set[int]] = {}
    for line in tape:
        path = line.scope.path if line.scope and line.primitive is not None else ()
        layer = next((k for k in range(len(path) - 1, -1, -1) if path[k].kind == "layer"), None)
        below = [s for s in path[layer + 1 :] if s.kind == "call"] if layer is not None else []
        if layer is not None and below:
            calls.setdefault(id(path[layer]), set()).add(id(below[0]))
    return {key for key, inner in calls.items() if len(inner) > 1}


def _unit(group: Group, made: list[Tensor], names: Mapping[int, str], own: Mapping[int, str]) -> Unit:
    output = made[-1]
    scope = group.scope
    path = layer_path(scope or output.scope)
    call = _call(scope, made)
    name = own.get(id(output)) or (".".join(path) if scope is not None and scope.kind == "layer" and path else "")
    says = settings(group.lines) if scope is not None else ""
    if scope is None and len(made) == 1 and output.primitive is not None:
        says = formula(output.primitive, [_read(x, names) for x in output.operands])
    if not name:
        name = names[id(output)] if scope is None or scope.kind != "layer" else scope.name.partition(": ")[0]
    return Unit("call", name, call, path, group.lines, output, says)


def _read(x: Tensor, names: Mapping[int, str]) -> str:
    return f"{x.value.flat[0]:g}" if is_number(x) and x.dtype.kind in "fiu" and x.size else names[id(x)]


def _call(scope: Scope | None, made: Sequence[Tensor]) -> str:
    """What is called: of a layer its one call, else its class."""
    if scope is None:
        last = made[-1].primitive
        return last.name if last is not None and len(made) == 1 else f"{len(made)} lines"
    if scope.kind == "call":
        return scope.name
    depth = len(scope.path)
    inner = {id(x.scope.path[depth]): x.scope.path[depth].name for x in made if x.scope and len(x.scope.path) > depth}
    loose = [x for x in made if x.scope is scope and x.primitive is not None and x.primitive.group != "wiring"]
    if len(inner) == 1 and not loose:
        return next(iter(inner.values()))
    return scope.name.partition(": ")[2] or _class(made)


def _class(made: Iterable[Tensor]) -> str:
    rows = [x.primitive.name for x in made if x.primitive is not None and x.primitive.group != "wiring"]
    return "linear" if rows[:1] == ["contract"] and set(rows[1:]) <= {"add"} else ", ".join(dict.fromkeys(rows))


def _quiet(made: list[Tensor], read: list[Tensor], unit: Unit, tape: Tape, own: Mapping[int, str]) -> bool:
    moves = all(x.primitive is None or x.primitive.group == "wiring" for x in made)
    joined = sum(not x.constant for x in read) > 1
    return moves and not joined and id(unit.output) not in own and not any(unit.output is y for y in tape.outputs)


def stops(stepper: Stepper, found: Sequence[Unit]) -> list[Stop]:
    """The stops of a walk in order: every event belongs to one, what is given to the unit that reads it next."""
    number = {id(x): k for k, unit in enumerate(found) for x in unit.lines}
    for k, unit in enumerate(found):
        for x in unit.given:
            number.setdefault(id(x), k)
    wanted: list[tuple[int, str]] = []
    for event in stepper:
        wanted.append((_unit_of(event, number), event.phase))
    for i in range(len(wanted) - 2, -1, -1):  # a constant, a parameter: with what comes after
        if stepper[i].kind == "input" and found[wanted[i][0]].kind != "input":
            later = wanted[i + 1]
            wanted[i] = later if later[1] == "forward" else wanted[i]
    for i in range(1, len(wanted)):  # a gradient that is complete: with what completed it
        if stepper[i].kind == "gradient" and wanted[i - 1][1] == "backward":
            wanted[i] = wanted[i - 1]
    made: list[tuple[int, str, int, int]] = []
    for i, (which, phase) in enumerate(wanted):
        joins = bool(made) and made[-1][:2] == (which, phase)
        first = made.pop()[2] if joins else i
        made.append((which, phase, first, i))
    return [Stop(found[which], phase, first, last) for which, phase, first, last in made]


def _unit_of(event: Event, number: Mapping[int, int]) -> int:
    return number.get(id(event.line), 0)
