"""``ac.break_it``: the tutor's switches used openly: a true and a broken sweep side by side, and the first line where they differ."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, NamedTuple

import numpy as np

from ..backward import steps
from ..render.text import numbers
from ..tape import Tape, Tensor, describe
from .claim import Names
from .describe import where
from .mistakes import BANK, Mistake, find
from .replay import Study


class Row(NamedTuple):
    """One step of both sweeps: the line, and its cotangent by the true and by the broken one (None: it received none)."""

    line: Tensor
    place: str
    true: np.ndarray
    broken: np.ndarray | None

    @property
    def differs(self) -> bool:
        if self.broken is None:
            return bool(np.any(self.true))
        scale = float(np.abs(self.true).max()) if self.true.size else 0.0
        return not np.allclose(self.true, self.broken, rtol=1e-9, atol=1e-12 * max(scale, 1e-300))


class Broken:
    """Both sweeps: ``rows`` from the loss down, ``first`` the first Row that differs (or None), ``true`` and ``broken`` the
    gradients of the inputs by name (or by Tensor), ``mistake``, ``way`` and ``at``: what was switched on, and where;
    ``ways``: the variants that there are."""

    def __init__(self, mistake: Mistake, way: str, ways: list[str], at: str, rows: list[Row], names: Names) -> None:
        self.mistake, self.way, self.ways, self.at, self.rows = mistake, way, ways, at, rows
        leaves = [row for row in rows if row.line.primitive is None]
        key = lambda row: names.of.get(id(row.line)) or row.line
        self.true = {key(row): row.true for row in leaves}
        self.broken = {key(row): np.zeros_like(row.true) if row.broken is None else row.broken for row in leaves}

    @property
    def first(self) -> Row | None:
        return next((row for row in self.rows if row.differs), None)

    @property
    def text(self) -> str:
        """A table of the steps, the first difference marked."""
        way = f"; {self.way}" if self.way else ""
        rows = [f"{self.mistake.name} ({self.at}{way}): {self.mistake.says}"]
        first = self.first
        wide = max(len(row.place) for row in self.rows)
        for row in self.rows:
            mark = ">" if row is first else "*" if row.differs else " "
            told = numbers(row.true) + (f"   broken: {_told(row.broken)}" if row.differs else "")
            rows.append(f"{mark} {row.place:<{wide}}  {told}")
        if first is None:
            rows.append("Nothing differs: at these inputs this mistake does not show.")
        else:
            rows.append(f"The first difference is {first.place}. The right rule: {self.mistake.show}.")
        return "\n".join(rows)

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        first = self.first
        body = []
        for row in self.rows:
            style = ' style="background:#fbe3e0;color:#222"' if row is first else ""
            other = escape(_told(row.broken)) if row.differs else "the same"
            body.append(
                f"<tr{style}><td>{escape(row.place)}</td><td>{escape(numbers(row.true))}</td><td>{other}</td></tr>"
            )
        title = escape(f"{self.mistake.name}: {self.mistake.says}")
        head = "<tr><th>step</th><th>true gradient</th><th>broken</th></tr>"
        return f"<p>{title}</p><table>{head}{''.join(body)}</table>"


def _told(x: np.ndarray | None) -> str:
    return "nothing arrives" if x is None else numbers(x)


def break_it(
    loss: Tensor,
    mistake: str = "kernel not rotated",
    at: Any = None,
    way: str | None = None,
    names: Mapping[str, Any] | None = None,
) -> Broken:
    """Sweep twice, once rightly and once with a mistake, and lay the steps side by side.

    mistake: a name of ``ac.mistakes()``.  at: where it is made: None for everywhere it can be, a Tensor (the line whose
    rule is wrong, or the tensor whose gradient is), or the name of a call, as in "conv2d".  way: which variant, for
    mistakes that have several (default: the first).  names: as in names=locals().
    Raises ValueError for an unknown mistake or way, and where the mistake cannot be made.
    """
    if not isinstance(loss, Tensor) or loss.size != 1 or loss.constant:
        found = describe(loss) if isinstance(loss, Tensor) else type(loss).__name__
        raise ValueError(f"break_it: the loss must be one differentiable number, found {found}")
    entry = find(mistake)
    tape = Tape(loss)
    known = Names(tape, names)
    study = Study(tape, None)
    plants = list(entry.plants(study))
    if not plants:
        raise ValueError(f"break_it: there is no place on this tape where {mistake!r} could be made")
    ways = list(dict.fromkeys(plant.way for plant in plants))
    if way is not None and way not in ways:
        raise ValueError(f"break_it: {mistake!r} has no way {way!r} here; it has {', '.join(map(repr, ways))}")
    chosen = [p for p in plants if at is None or _meant(at, p, study, tape)]
    if not chosen:
        places = dict.fromkeys(where(tape, tape[study.position(p.line)], known) for p in plants)
        raise ValueError(f"break_it: {mistake!r} cannot be made there; it can be made {'; '.join(places)}")
    way = chosen[0].way if way is None else way
    chosen = [p for p in chosen if p.way == way]
    if not chosen:
        raise ValueError(f"break_it: {mistake!r} cannot be made in the way {way!r} at that place")
    rules = entry.everywhere(study, way) if at is None else chosen[0].rules()
    place = "everywhere" if at is None else where(tape, tape[study.position(chosen[0].line)], known)
    with np.errstate(all="ignore"):
        walked = {id(s.line): s.cotangent for s in steps(study.loss, None, np.ones(study.loss.shape), rules=rules)}
    rows = []
    for step in study.steps:
        line = tape[study.position(step.line)]
        rows.append(Row(line, where(tape, line, known).removeprefix("at "), step.cotangent, walked.get(id(step.line))))
    return Broken(entry, way, ways, place, rows, known)


def _meant(at: Any, plant: Any, study: Study, tape: Tape) -> bool:
    """Whether a plant lies at a call's name, at a line, or at the operand that a line reads."""
    if isinstance(at, str):
        return plant.line.scope is not None and at in [s.name for s in plant.line.scope.path]
    if not isinstance(at, Tensor):
        raise TypeError(f"break_it: at must be a Tensor, the name of a call or None; found {type(at).__name__}")
    if id(at) not in study.lines:
        raise ValueError(f"break_it: {describe(at)} is not on the tape of this loss")
    line = study.of(at)
    return plant.line is line or (plant.k is not None and _through(plant.line.operands[plant.k]) is line)


def _through(x: Tensor) -> Tensor:
    """What a reshaped or rotated tensor was before."""
    while x.primitive is not None and x.primitive.rearranges:
        x = x.operands[0]
    return x


class Mistakes(dict[str, str]):
    """{name: what it does}, a table in a notebook."""

    def _repr_html_(self) -> str:
        left = 'style="text-align:left"'
        rows = "".join(
            f"<tr><td {left}>{escape(name)}</td><td {left}>{escape(says)}</td></tr>" for name, says in self.items()
        )
        return f"<table><tr><th {left}>mistake</th><th {left}>what it does</th></tr>{rows}</table>"


def mistakes() -> Mistakes:
    """The names of all mistakes that the tutor knows and can make, and what each one does."""
    return Mistakes({name: m.says for name, m in BANK.items()})
