"""The walk of a tape as a list of events: every line, then every contribution of the sweep.

The backward events are those of ``autoconv.backward.steps``, the iterator that ``sweep`` runs to its end: there is no second
sweep.  ``stepper`` walks through them, ``page`` and ``filmstrip`` show them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...backward import Step, pull
from ...render.mathml import mathml
from ...render.text import number, numbers
from ...tape import Tape, Tensor
from .accumulation import running
from .rule import OUTPUT, contribution_latex, derivative_latex, forward_latex, gradient_symbol


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
        """The local derivative d line / d operand, one number for each element, for rows that work element by element."""
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
        """The event in one line of plain text."""
        name = self.names[id(self.target)]
        if self.phase == "forward":
            return f"{name} = {numbers(self.value)}" + (f"   {source(self)}" if self.line.primitive else "")
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
        from .stepper import open_definition

        return open_definition(self)

    def __repr__(self) -> str:
        return f"<event {self.index} {self.kind}: {self.text}>"


def source(event: Event) -> str:
    """The line at work as a reader writes it: "add(%3, b)"."""
    line, names = event.line, event.names
    if line.primitive is None:
        return names[id(line)]
    return f"{names[id(line)]}: {line.primitive.name}({', '.join(names[id(x)] for x in line.operands)})"


def events(tape: Tape, sweep: Iterable[Step], names: Mapping[int, str]) -> list[Event]:
    """All events of a walk: the lines of the tape in order, then what the steps of the sweep do."""
    made: list[Event] = []
    for line in tape:
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


def labels(tape: Tape, variables: Mapping[int, str]) -> dict[int, str]:
    """id(line) -> its own name, or its variable's, or its place on the tape; OUTPUT -> that of the tape's output."""
    found = {id(line): line.name or variables.get(id(line)) or f"%{i}" for i, line in enumerate(tape)}
    return {**found, OUTPUT: found[id(tape.outputs[0])]}


def frozen(g: Any) -> np.ndarray:
    """A cotangent as a read-only array (a view: the caller's own array, if it is one, stays as it is)."""
    view = np.asarray(g).view()
    view.flags.writeable = False
    return view


def _known(array: np.ndarray | None) -> np.ndarray:
    return np.zeros(()) if array is None else array
