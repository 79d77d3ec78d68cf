"""``ac.step``: forward and backward as a list of events, and a walk through them, back and forth.

The forward events are the lines of the tape, the backward ones those of ``autoconv.backward.steps``, the iterator that
``sweep`` runs to its end: there is no second sweep.  A Stepper holds the events and a position: the number of events
that have happened.  It never changes the tape; what is known at a position is rebuilt from the events before it.
``terminal``, ``page`` and ``filmstrip`` show it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from ...backward import Step, check_cotangent, pull, steps
from ...files import save_as
from ...renamed import renamed
from ...render.mathml import mathml
from ...render.text import number, numbers, uniform
from ...scalar import KINDS, Scalar, part_of
from ...shapes import flag, listed
from ...tape import Tape, Tensor, describe
from ..element import one_line
from ..lines import is_number, is_parameter, variables
from ..live.live import Live
from ..live.live import live as live_page
from .condition import condition as parsed
from .condition import locate
from .contributions import contribution_latex, derivative_latex, forward_latex, gradient_symbol, running
from .names import OUTPUT, labels
from .units import Stop, Unit, stops, units

WALKED = 1000  # scalars of a Scalar's program that are walked one by one


@dataclass(frozen=True, eq=False, repr=False)
class Event:
    """One step of the walk; arrays are read-only.

    ``kind``: "input" (an input or constant is given), "forward" (``line`` is computed), "seed" (the sweep starts at the
    output), "accumulate" (``line`` sends ``contribution`` to its operand number ``operand``, which is ``target``), or
    "gradient" (the gradient of an input is complete).  ``before`` (None: nothing yet) and ``after`` are the gradient of
    ``target`` around the event; ``cotangent`` is the gradient of ``line`` that comes in.
    """

    index: int
    kind: str
    line: Tensor
    target: Tensor
    names: Mapping[int, str]
    operand: int | None = None
    cotangent: np.ndarray | None = None
    contribution: np.ndarray | None = None
    before: np.ndarray | None = None
    after: np.ndarray | None = None
    previous: Event | None = field(default=None, repr=False)  # the event before that changed the gradient of ``target``
    arrived: Event | None = field(default=None, repr=False)  # the event that completed ``cotangent``

    @property
    def phase(self) -> str:
        """ "forward" or "backward"."""
        return "forward" if self.kind in ("input", "forward") else "backward"

    @property
    def value(self) -> np.ndarray:
        """The value of the line at work."""
        return self.line.value

    @property
    def operands(self) -> tuple[np.ndarray, ...]:
        """The values that the line at work reads."""
        return tuple(x.value for x in self.line.operands)

    @property
    def opens(self) -> bool:
        """Whether the line is defined by others (maximum, ...) and ``open`` shows them."""
        return self.line.primitive is not None and self.line.primitive.definition is not None

    @property
    def local(self) -> np.ndarray | None:
        """The local derivative d line / d operand, a number for each element, of rows that work element by element."""
        primitive = self.line.primitive
        if self.operand is None or primitive is None or primitive.group != "arithmetic":
            return None
        (slope,) = pull(self.line, np.ones(self.line.shape, self.line.dtype), (self.operand,), False)
        return np.asarray(slope)

    @property
    def local_latex(self) -> str:
        """The local derivative as a formula, from the rule of the line's row; "" where there is none."""
        return "" if self.operand is None else derivative_latex(self.line, self.operand, self.names)

    @property
    def latex(self) -> str:
        """What happens, as a formula with names, and with the run's numbers where they are few."""
        if self.operand is not None:
            return contribution_latex(self.line, self.operand, self.names, self.cotangent, self.contribution)
        if self.kind in ("input", "forward"):
            return forward_latex(self.line, self.names)
        return gradient_symbol(self.target, self.names, self.after)

    @property
    def mathml(self) -> str:
        """``latex`` as a <math> element."""
        return mathml(self.latex, display=True)

    def trail(self, index: Any = ()) -> list[Any]:
        """The gradient of one element of ``target`` from 0 through every term up to this event."""
        return running(self, tuple(int(i) for i in index))

    @property
    def text(self) -> str:
        """The event in one line of plain text; for an imported model with the line of its source."""
        there = self.line.source
        return self._said() + (f"   # {there}" if there else "")

    def _said(self) -> str:
        name = self.names[id(self.target)]
        if self.phase == "forward":
            return f"{name} = {numbers(self.value)}" + (f"   {row_of(self)}" if self.line.primitive else "")
        if self.kind == "seed":
            return f"grad of {name}: {numbers(_known(self.after))}   the sweep starts here"
        if self.kind == "gradient":
            return f"grad of {name} is complete: {numbers(_known(self.after))}"
        return f"grad of {self._moves(name)}   from {source(self)}"

    def _moves(self, name: str) -> str:
        """ "w[0,0]: 0 -> 0.12 -> 0.31" for the element that receives most, "(and 3 more)" if there are others."""
        after = _known(self.after)
        if not after.size:
            return f"{name}: empty"
        given = np.nan_to_num(np.abs(_known(self.contribution).astype(float)), nan=np.inf)
        index = tuple(int(i) for i in np.unravel_index(int(given.argmax()), given.shape))
        where = f"[{','.join(map(str, index))}]" if index else ""
        sums = self.trail(index)
        shown = sums if len(sums) <= 5 else [*sums[:2], "...", *sums[-2:]]
        chain = " -> ".join(x if isinstance(x, str) else "0" if x == 0 else number(x) for x in shown)
        more = f" (and {after.size - 1:,} more)" if after.size > 1 else ""
        return f"{name}{where}: {chain}{more}"

    def open(self) -> Any:
        """The lines of the definition (max is (x + y + |x - y|) / 2) as a Stepper of their own.

        Raises ValueError for a row without a definition.
        """
        return open_definition(self)

    def __repr__(self) -> str:
        return f"<event {self.index} {self.kind}: {self.text}>"


def source(event: Event) -> str:
    """The line at work as a reader writes it: "h: add(a, b)", or "add(a, b)" where the row is its name."""
    line, name = event.line, event.names[id(event.line)]
    if line.primitive is None or name == line.primitive.name:
        return row_of(event)
    return f"{name}: {row_of(event)}"


def row_of(event: Event) -> str:
    """The row of the line at work and what it reads: "add(a, b)"; of what is given its name."""
    line, names = event.line, event.names
    if line.primitive is None:
        return names[id(line)]
    read = [uniform(x.value) if is_number(x) else None for x in line.operands]
    shown = [same if same is not None else names[id(x)] for same, x in zip(read, line.operands, strict=True)]
    return f"{line.primitive.name}({', '.join(shown)})"


def events(tape: Tape, sweep: Iterable[Step], names: Mapping[int, str]) -> list[Event]:
    """All events of a walk: the lines of the tape in order, then what the steps of the sweep do.

    A layer's parameter is given where it is first read, and not where it was made, long before.
    """
    made: list[Event] = []
    for line in as_read(tape):
        made.append(Event(len(made), "forward" if line.primitive else "input", line, line, names))
    last: dict[int, Event] = {}

    def add(kind: str, line: Tensor, target: Tensor, **more: Any) -> None:
        event = Event(
            len(made), kind, line, target, names, previous=last.get(id(target)), arrived=last.get(id(line)), **more
        )
        last[id(target)] = event
        made.append(event)

    for step in sweep:
        line, cotangent = step.line, frozen(step.cotangent)
        if id(line) not in last:
            add("seed", line, line, after=cotangent)
        for k, contribution, before, after in step.contributions:
            add(
                "accumulate",
                line,
                line.operands[k],
                operand=k,
                cotangent=cotangent,
                contribution=frozen(contribution),
                before=None if before is None else frozen(before),
                after=frozen(after),
            )
        if line.primitive is None:
            add("gradient", line, line, cotangent=cotangent, after=cotangent)
    return made


def as_read(tape: Tape) -> Iterator[Tensor]:
    """The lines in order, but for parameters, which stand before the first line that reads them."""
    given: set[int] = set()
    for line in tape:
        if is_parameter(line) and not any(line is y for y in tape.outputs):
            continue
        for x in line.operands:
            if is_parameter(x) and id(x) not in given:
                given.add(id(x))
                yield x
        yield line


def frozen(g: Any) -> np.ndarray:
    """A cotangent as a read-only array (a view: the caller's own array, if it is one, stays as it is)."""
    view = np.asarray(g).view()
    view.flags.writeable = False
    return view


def _known(array: np.ndarray | None) -> np.ndarray:
    return np.zeros(()) if array is None else array


@overload
def step(
    y: Tensor | Scalar,
    wrt: Tensor | Scalar | Sequence[Tensor | Scalar] | None = ...,
    names: Mapping[str, Any] | None = ...,
    cotangent: Any = ...,
    live: Literal[False] = ...,
) -> Stepper: ...
@overload
def step(y: Tensor, *, names: Mapping[str, Any] | None = ..., live: Literal[True]) -> Live: ...
@renamed(seed="cotangent")
def step(
    y: Tensor | Scalar,
    wrt: Tensor | Scalar | Sequence[Tensor | Scalar] | None = None,
    names: Mapping[str, Any] | None = None,
    cotangent: Any = None,
    live: bool = False,
) -> Stepper | Live:
    """A Stepper over the calculation of ``y`` and the sweep back from it.

    wrt: the Tensors whose gradients are asked for (None: everything y was computed from).  names: variables that name
    Tensors without a name, as in ``ac.step(loss, names=locals())``.  cotangent: what the sweep starts from, of y's
    shape (default 1 for a scalar).  live: no recording of the walk, but the page of ``ac.live``, which computes it.
    y may be a Scalar, wrt Scalars; of a program of more than 1,000 scalars the last 1,000 are walked, or those that
    lead from wrt to y (ValueError if these are more).  Raises TypeError for something that cannot be differentiated,
    ValueError without a cotangent for a y that is not a scalar.

        gradient of x += (gradient of line) d line / d x, for each line that reads x, the last line first

    >>> w = ac.tensor(3.0, name="w")
    >>> walk = ac.step(w * w)
    >>> walk.until(w)
    <event 0 input: w = 3>
    >>> walk.breakpoint("grad(w) > 5")
    <event 4 accumulate: grad of w: 0 -> 3 -> 6   from mul(w, w)>
    """
    if not isinstance(y, (Tensor, *KINDS)):
        raise TypeError(
            f"step: expected a Tensor, found {type(y).__name__}; give what was computed, as in ac.step(loss)"
        )
    if flag(live, "step: live"):
        if wrt is not None or cotangent is not None:
            raise ValueError("step: a live page has every gradient, from a cotangent of 1; leave wrt and cotangent out")
        return live_page(y, names=names)
    asked: Any = None if wrt is None else [wrt] if isinstance(wrt, (Tensor, *KINDS)) else list(listed(wrt))
    tape, size = part_of(y, asked, WALKED) if isinstance(y, KINDS) else (Tape(y), 0)
    named = variables(names, "step", tape)
    y = tape.outputs[0]
    if asked is not None and (tape.of_scalars or any(isinstance(x, KINDS) for x in asked)):
        asked = [one_line(x, tape, "step: wrt") for x in asked]
    for x in asked or ():
        if not isinstance(x, Tensor):
            raise TypeError(f"step: wrt must be Tensors, found {type(x).__name__}")
        if x.constant:
            raise TypeError(f"step: {describe(x)} is a constant; only floating-point tensors have a gradient")
    start = check_cotangent(y, cotangent.value if isinstance(cotangent, Tensor) else cotangent)
    if y.constant:
        raise TypeError(
            f"step: {describe(y)} depends on no floating-point tensor; make one with ac.tensor(data), plain arrays "
            "are constants"
        )
    known = labels(tape, named)
    walk = Stepper(tape, events(tape, steps(y, asked, start), known), known, named)
    if size > len(tape):
        which = f"the last {WALKED:,} of" if asked is None else "what leads from wrt to the output, of"
        walk.note = f"Walked here: {which} {size:,} scalars; what these read is given"
    return walk


@dataclass
class State:
    """What is known after ``position`` events: values and gradients by Tensor (gradients as far as they are summed)."""

    position: int = 0
    event: Event | None = None
    values: dict[Tensor, np.ndarray] = field(default_factory=dict)
    gradients: dict[Tensor, np.ndarray] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """One event more."""
        self.position, self.event = event.index + 1, event
        if event.phase == "forward":
            self.values[event.line] = event.value
        elif event.after is not None:
            self.gradients[event.target] = event.after

    def value(self, x: Tensor) -> np.ndarray | None:
        """The value of a line, None while it is not computed."""
        return self.values.get(x)

    def grad(self, x: Tensor) -> np.ndarray | None:
        """The gradient of a line as far as it is summed, None while nothing has arrived."""
        return self.gradients.get(x)


class Stepper(Sequence[Event]):
    """Events in order, and a position among them: 0 before the first, ``len(stepper)`` after the last.

    As a sequence it is the plain list of all events, whatever the position.
    """

    def __init__(
        self, tape: Tape, made: list[Event], names: Mapping[int, str], variables: Mapping[int, str] | None = None
    ) -> None:
        self.tape, self.events, self.names = tape, made, names
        self.own = {id(x): x.name or (variables or {}).get(id(x), "") for x in tape}  # names that the user gave
        self.own = {key: name for key, name in self.own.items() if name}
        self.position = 0
        self.note = ""  # which part of a large program it is

    def __len__(self) -> int:
        return len(self.events)

    def __getitem__(self, i: Any) -> Any:
        return self.events[i]

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    # ---- walking

    @property
    def event(self) -> Event | None:
        """The event that happened last, None at the start."""
        return self.events[self.position - 1] if self.position else None

    def next(self) -> Event | None:
        """Go on by one event and return it; None at the end."""
        if self.position == len(self):
            return None
        self.position += 1
        return self.event

    def over(self) -> Event | None:
        """Go on to the end of the next call (a convolution, a layer, a line outside any) and return the event there;
        None at the end.  Calls that only move elements are passed over; see ``stops``.
        """
        ends = [stop.last + 1 for stop in self.stops if not stop.unit.quiet] or [len(self)]
        later = [n for n in ends if n > self.position]
        if not later:
            return None
        self.position = later[0]
        return self.event

    def back(self) -> Event | None:
        """Undo the last event; the event before it is returned, None at the start."""
        self.position = max(0, self.position - 1)
        return self.event

    def jump(self, n: int) -> Event | None:
        """Go to where ``n`` events have happened, 0 .. len(stepper); ValueError for another number."""
        if not 0 <= n <= len(self):
            raise ValueError(f"jump: step {n} is not in 0 .. {len(self)}")
        self.position = n
        return self.event

    def until(self, target: Tensor | Scalar | str) -> Event | None:
        """Go on to the next event that computes ``target`` or changes its gradient; None, at the end, if there is none.

        target: a line, one element as ``w[0, 0]``, or a name as "w[0,0]"; contributions of 0 to an element do not
        count.
        """
        line, index = locate(target, self.tape, self.names)
        return self._run(lambda event, state: event.target is line and _changes(event, index))

    def breakpoint(self, condition: str | Callable[[State], Any]) -> Event | None:
        """Go on to the next event after which ``condition`` holds; None, at the end, if it never does.

        condition: a comparison such as "grad(w) > 3", "w[0,0] <= 0.5", "abs(grad(h)) > 1" or "step >= 20" (true if it
        is for any element, false for what is not known yet), or a function of the State.
        """
        holds = parsed(condition, self.tape, self.names) if isinstance(condition, str) else condition
        if not callable(holds):
            raise TypeError(
                f"breakpoint: the condition must be a comparison such as 'step >= 20' or a function, found "
                f"{condition!r}"
            )
        return self._run(lambda event, state: holds(state))

    def _run(self, stops: Callable[[Event, State], Any]) -> Event | None:
        state = self.state
        for event in self.events[self.position :]:
            state.add(event)
            if stops(event, state):
                self.position = state.position
                return event
        self.position = len(self)
        return None

    # ---- what is known

    @property
    def state(self) -> State:
        """What is known at this position."""
        return self.at(self.position)

    def at(self, n: int) -> State:
        """What is known after ``n`` events; ValueError for a number outside 0 .. len(stepper)."""
        if not 0 <= n <= len(self):
            raise ValueError(f"at: step {n} is not in 0 .. {len(self)}")
        state = State()
        for event in self.events[:n]:
            state.add(event)
        return state

    def trail(self, target: Tensor | Scalar | str) -> list[Any]:
        """The gradient of one element (``w[0, 0]`` or "w[0,0]") from 0 through every contribution of the whole walk."""
        line, index = locate(target, self.tape, self.names)
        if index is None and line.size != 1:
            raise ValueError(f"trail: {describe(line)} has {line.size} elements; name one, as in w[0, 0]")
        last = [event for event in self.events if event.phase == "backward" and event.target is line]
        return last[-1].trail(np.unravel_index(index or 0, line.shape)) if last else [0.0]

    # ---- calls

    @cached_property
    def units(self) -> list[Unit]:
        """The lines of the tape as operations: calls, layers, and lines outside any."""
        return units(self.tape, self.names, self.own)

    @cached_property
    def stops(self) -> list[Stop]:
        """The walk at calls: units at work, forward and backward, each some events in a row."""
        return stops(self, self.units)

    # ---- showing

    @cached_property
    def page(self) -> str:
        """The interactive page as HTML, self-contained and offline."""
        from .page import stepper_page

        return stepper_page(self)

    def save(self, path: str | os.PathLike[str], numbers: str = "auto") -> Path:
        """Write the interactive page (``.html``), self-contained and offline; returns the path.

        numbers: "auto" keeps as many numbers as fit into a file of about 400 kB, or of 12 kB for each call, at most
        2 MB: of small tensors all, of large ones the first pictures (channels, kernels); "all" keeps every number.
        Raises ValueError for another ending or word.
        """
        from .page import stepper_page

        write = lambda: stepper_page(self, numbers=numbers)
        return save_as(path, {".html": write, ".htm": write}, "step")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from ...render.notebook import bundle
        from ...render.page import iframe
        from .filmstrip import details, sheet

        latex = (self.event or self.events[-1]).latex
        return bundle(repr(self), html=iframe(self.page) + details(self), svg=sheet(self), latex=latex)

    def __repr__(self) -> str:
        """The position, and the events around it."""
        n, total = self.position, len(self)
        first = max(0, min(n - 4, total - 9))
        y = self.tape.outputs[0]
        head = f"Stepper of {self.names[id(y)]} = {numbers(y.value)}: step {n} of {total}"
        head += f" ({self.note})" if self.note else ""
        width = len(str(total))
        rows = [
            f"{'>' if event.index + 1 == n else ' '} {event.index + 1:>{width}}  {_arrow(event)} {event.text}"
            for event in self.events[first : first + 9]
        ]
        before = [f"  ... {first} before"] if first else []
        after = [f"  ... {total - first - 9} after"] if total > first + 9 else []
        return "\n".join([head, *before, *rows, *after])


def _arrow(event: Event) -> str:
    return "v" if event.phase == "forward" else "^"


def _changes(event: Event, index: int | None) -> bool:
    """Whether an event at its target says something about the element ``index``."""
    if index is None or event.contribution is None:
        return True
    return bool(event.contribution.reshape(-1)[index] != 0)


def open_definition(event: Event) -> Stepper:
    """The definition of the event's line on the line's own operands, walked forward and backward.

    The result keeps the row's exact value, and the slopes are those of the library, taken where the definition does not
    round (``Primitive.at``): both tapes are the same program, so their lines correspond one to one.
    """
    line, primitive = event.line, event.line.primitive
    if primitive is None or primitive.definition is None:
        raise ValueError(
            f"open: {describe(line)} is not defined by other lines; only rows with a definition open (see Event.opens)"
        )
    names = [event.names[id(x)] for x in line.operands]
    values = [x.value for x in line.operands]
    real = [Tensor(v.view(), name=name) for v, name in zip(values, names, strict=True)]
    with np.errstate(all="ignore"):
        shown = Tape(primitive.definition(*real, **line.params))
    shown.outputs[0]._value = line.value
    moved = shown
    if primitive.at is not None:
        at = primitive.at(*values, **line.params)
        placed = [Tensor(np.array(np.broadcast_to(v, line.shape), dtype=line.dtype)) for v in at]
        moved = Tape(primitive.definition(*placed, **line.params))
        real_of = {id(a): b for a, b in zip(moved, shown, strict=True)}
    else:
        real_of = {id(a): a for a in shown}
    cotangent = np.ones(line.shape, line.dtype) if event.cotangent is None else event.cotangent
    walked = [Step(real_of[id(s.line)], s.cotangent, s.contributions) for s in steps(moved.outputs[0], None, cotangent)]
    known = labels(shown, {})
    known[id(shown.outputs[0])] = event.names[id(line)]
    known[OUTPUT] = event.names[OUTPUT]
    return Stepper(shown, events(shown, walked, known), known)
