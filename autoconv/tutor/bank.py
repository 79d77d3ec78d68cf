"""What a mistake is: a named wrong variant of the sweep.  The bank is filled by the ``mistakes_*`` files, one entry per mistake.

Three kinds, by what they get wrong: the rule of a line (``RuleMistake``), how contributions are collected (``PathMistake``), or a
whole composed operation taken as one step (``CallMistake``).  Each can list the single places at which it applies
(``plants``) and give the rules of a sweep that makes it everywhere (``everywhere``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..backward import pull
from ..tape import Tensor
from .calls import Call
from .place import Place
from .replay import Study

Rules = Callable[[Tensor, Any, tuple[int, ...], bool], list[Any]]
Ways = dict[str, Callable[[Any], Any]]
Among = Callable[[Tensor], bool]


class Plant(NamedTuple):
    """A mistake made once: at ``line`` the contribution to operand ``k`` is off by ``delta`` (k None: what the line pushes on).

    ``kind`` is what the line is to a reader, a row or a call: who gets one tanh wrong gets all of them wrong.
    """

    mistake: Mistake
    way: str
    line: Tensor
    k: int | None
    delta: Any
    kind: str = ""
    call: Call | None = None

    @property
    def place(self) -> Tensor:
        """The line that a reader is shown: of a call its last."""
        return self.line if self.call is None else self.call.y

    @property
    def x(self) -> Tensor:
        """The line whose cotangent is off."""
        return self.line if self.k is None else self.line.operands[self.k]

    def rules(self) -> Rules:
        """The rules of a sweep with this one mistake."""

        def wrong(line: Tensor, g: Any, wanted: tuple[int, ...], recorded: bool) -> list[Any]:
            if line is not self.line:
                return pull(line, g, wanted, recorded)
            if self.k is None:
                return pull(line, g + self.delta, wanted, recorded)
            made = pull(line, g, wanted, recorded)
            return [x + self.delta if k == self.k else x for k, x in zip(wanted, made, strict=True)]

        return wrong


class Mistake:
    """``says``: what was done; ``nudge``: a question that leads there; ``show``: the right rule; ``rank``: rarer is larger."""

    def __init__(self, name: str, says: str, nudge: str, show: str, rank: int) -> None:
        self.name, self.says, self.nudge, self.show, self.rank = name, says, nudge, show, rank

    def __repr__(self) -> str:
        return f"<mistake {self.name}: {self.says}>"

    def plants(self, study: Study) -> Iterator[Plant]:
        """The mistake at every single place where it can be made."""
        raise NotImplementedError

    def everywhere(self, study: Study, way: str, among: Among | None = None) -> Rules:
        """The rules of a sweep that makes it at every place (``among``: at those lines that it accepts)."""
        raise NotImplementedError


class RuleMistake(Mistake):
    """A wrong rule: ``ways(place)`` maps labels to functions from the cotangent g to the wrong contribution."""

    ways: Callable[[Place], Ways]

    def plants(self, study: Study) -> Iterator[Plant]:
        for step in study.steps:
            for k, right, _, _ in step.contributions:
                place = study.place(step.line, k)
                for way, wrong in self.ways(place).items():
                    made = wrong(step.cotangent)
                    if np.shape(made) == np.shape(right):
                        yield Plant(self, way, step.line, k, made - right, place.row)

    def table(self, study: Study, way: str, among: Among | None = None) -> dict[tuple[int, int], Callable[[Any], Any]]:
        """The wrong rules by line and operand."""
        made = {}
        for step in study.steps:
            if among is None or among(step.line):
                for k, *_ in step.contributions:
                    if wrong := self.ways(study.place(step.line, k)).get(way):
                        made[id(step.line), k] = wrong
        return made

    def everywhere(self, study: Study, way: str, among: Among | None = None) -> Rules:
        return tabled(self.table(study, way, among))


def tabled(table: dict[tuple[int, int], Callable[[Any], Any]]) -> Rules:
    """The rules of a sweep with the wrong rules of ``table``; one whose result has no fitting shape is passed over."""

    def rules(line: Tensor, g: Any, wanted: tuple[int, ...], recorded: bool) -> list[Any]:
        wrong = {k: table[id(line), k](g) for k in wanted if (id(line), k) in table}
        wrong = {k: made for k, made in wrong.items() if np.shape(made) == line.operands[k].shape}
        rest = tuple(k for k in wanted if k not in wrong)
        right = dict(zip(rest, pull(line, g, rest, recorded), strict=True)) if rest else {}
        return [wrong[k] if k in wrong else right[k] for k in wanted]

    return rules


class PathMistake(Mistake):
    """Contributions wrongly collected: ``kept(count)`` maps labels to which contributions of a line count, in sweep order."""

    kept: Callable[[int], dict[str, list[int]]]

    def plants(self, study: Study) -> Iterator[Plant]:
        for received in study.received.values():
            total = sum(c for _, _, c in received)
            for way, indices in self.kept(len(received)).items():
                line, k, _ = received[-1]
                yield Plant(self, way, line, k, sum(received[i][2] for i in indices) - total)

    def everywhere(self, study: Study, way: str, among: Among | None = None) -> Rules:
        dropped = set()
        for received in study.received.values():
            keep = self.kept(len(received)).get(way)
            if keep is not None and (among is None or among(received[-1][0])):
                dropped |= {(id(line), k) for i, (line, k, _) in enumerate(received) if i not in keep}

        def rules(line: Tensor, g: Any, wanted: tuple[int, ...], recorded: bool) -> list[Any]:
            made = pull(line, g, wanted, recorded)
            return [x * 0 if (id(line), k) in dropped else x for k, x in zip(wanted, made, strict=True)]

        return rules


class IncompleteMistake(Mistake):
    """A line pushes its gradient on every time it receives a contribution, so early contributions count again and again."""

    def plants(self, study: Study) -> Iterator[Plant]:
        for x, received in study.received.items():
            line = study.by_id[x]
            if len(received) < 2 or line.primitive is None or line is study.wrt:
                continue
            running = np.cumsum([c for _, _, c in received], axis=0)
            yield Plant(self, "every time", line, None, running[:-1].sum(axis=0))
            yield Plant(self, "too early", line, None, running[0] - running[-1])

    def everywhere(self, study: Study, way: str, among: Among | None = None) -> Rules:
        collected: dict[int, list[Any]] = {}

        def rules(line: Tensor, g: Any, wanted: tuple[int, ...], recorded: bool) -> list[Any]:
            parts = collected.get(id(line), [g])
            running = np.cumsum(parts, axis=0)
            pushed = running.sum(axis=0) if way == "every time" else running[0]
            made = pull(line, pushed if line.primitive is not None else g, wanted, recorded)
            for k, x in zip(wanted, made, strict=True):
                collected.setdefault(id(line.operands[k]), []).append(x)
            return made

        return rules


class CallMistake(Mistake):
    """A composed operation taken as one step: ``ways(call)`` maps labels to functions from the output's cotangent to the input's."""

    ways: Callable[[Call], Ways]

    def plants(self, study: Study) -> Iterator[Plant]:
        for call in study.calls:
            g = study.cotangent[id(call.y)]
            for way, wrong in self.ways(call).items():
                made = wrong(g)
                if np.shape(made) == call.x.shape:
                    line, k = call.readers[-1]
                    yield Plant(self, way, line, k, made - call.pull(g), call.name, call)

    def everywhere(self, study: Study, way: str, among: Among | None = None) -> Rules:
        arrived: dict[int, Any] = {}
        fitting = [c for c in study.calls if way in self.ways(c) and (among is None or among(c.readers[-1][0]))]
        outermost = [c for c in fitting if not any(c.within(other) for other in fitting)]
        chosen = {id(call.y): call for call in outermost}
        silent = {(id(line), k): call for call in chosen.values() for line, k in call.readers}

        def rules(line: Tensor, g: Any, wanted: tuple[int, ...], recorded: bool) -> list[Any]:
            if id(line) in chosen:
                arrived[id(line)] = g
            made = pull(line, g, wanted, recorded)
            for i, k in enumerate(wanted):
                call = silent.get((id(line), k))
                if call is not None:
                    end, number = call.readers[-1]
                    last = line is end and k == number
                    made[i] = self.ways(call)[way](arrived[id(call.y)]) if last else made[i] * 0
            return made

        return rules


BANK: dict[str, Mistake] = {}


def enter(kind: type[Mistake], name: str, says: str, nudge: str, show: str, rank: int = 1, **more: Any) -> Mistake:
    """Put a mistake of this kind into the bank."""
    made = kind(name, says, nudge, show, rank)
    for key, value in more.items():
        setattr(made, key, value)
    BANK[name] = made
    return made


def mistake(name: str, says: str, nudge: str, show: str, rank: int = 1) -> Callable[[Any], Any]:
    """Enter a wrong rule: the decorated function is its ``ways``."""
    return lambda ways: enter(RuleMistake, name, says, nudge, show, rank, ways=ways)


def call_mistake(name: str, says: str, nudge: str, show: str, rank: int = 1) -> Callable[[Any], Any]:
    """Enter a wrong derivative of a composed operation: the decorated function is its ``ways``."""
    return lambda ways: enter(CallMistake, name, says, nudge, show, rank, ways=ways)


def find(name: str) -> Mistake:
    """A mistake by name; ValueError names those there are."""
    if name not in BANK:
        from difflib import get_close_matches

        near = get_close_matches(name, BANK, 3, 0.4)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"the names are {', '.join(BANK)}"
        raise ValueError(f"mistake: there is none called {name!r}; {hint}")
    return BANK[name]
