"""What a mistake is: a mutation of the sweep that has a name.  The other files of the bank enter them.

There are kinds, by what goes wrong: the rule of a line (``RuleMistake``), how contributions are added up
(``PathMistake``, ``IncompleteMistake``), or a whole composed operation taken as one step (``CallMistake``).  Each can
be made once, at every single site where that is possible (``injections``), or in a whole sweep (``everywhere`` gives
its rules).

A new mistake is one decorated function, from the site to the wrong rules that are possible there:

    @mistake("sign", "the sign is wrong", "Does the loss grow or fall ..?", "look at differences: ..")
    def _sign(p: Site) -> Variants:
        return {"": lambda g: -p.right(g)} if p.elementwise else {}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ...backward import pull
from ...tape import Tensor
from ..run.calls import Call
from ..run.replay import Rules, Run
from ..run.site import Site

Variants = dict[str, Callable[[Any], Any]]  # label -> wrong rule: from the cotangent g of a line to the contribution
Among = Callable[[Tensor], bool]  # the lines at which a mistake is made


class Injection(NamedTuple):
    """A mistake made once, in one run: the contribution of ``line`` to its operand ``k`` is off by ``delta``.

    k None: the cotangent that the line pulls back is off.  kind: the name of the row, or of the ``call`` that was taken
    as one step: somebody who gets one tanh wrong gets all of them wrong, so such are also tried together.
    """

    mistake: Mistake
    variant: str
    line: Tensor
    k: int | None
    delta: Any
    kind: str = ""
    call: Call | None = None

    @property
    def shown_at(self) -> Tensor:
        """The line that is named to the reader: of a call its output."""
        return self.line if self.call is None else self.call.y

    @property
    def x(self) -> Tensor:
        """The line whose cotangent is off."""
        return self.line if self.k is None else self.line.operands[self.k]

    def rules(self, pull: Rules = pull) -> Rules:
        """The rules of a sweep with this one mistake, the others by ``pull``."""

        def wrong(line: Tensor, g: Any, wanted: tuple[int, ...], recorded: bool) -> list[Any]:
            if line is not self.line:
                return pull(line, g, wanted, recorded)
            if self.k is None:
                return pull(line, g + self.delta, wanted, recorded)
            contributions = pull(line, g, wanted, recorded)
            return [x + self.delta if k == self.k else x for k, x in zip(wanted, contributions, strict=True)]

        return wrong


class Mistake:
    """``says``: what was done; ``nudge``: a question that leads there; ``show``: the right rule; ``rank``: rarity."""

    def __init__(self, name: str, says: str, nudge: str, show: str, rank: int) -> None:
        self.name, self.says, self.nudge, self.show, self.rank = name, says, nudge, show, rank

    def __repr__(self) -> str:
        return f"<mistake {self.name}: {self.says}>"

    def injections(self, run: Run) -> Iterator[Injection]:
        """The mistake at every single site where it can be made."""
        raise NotImplementedError

    def everywhere(self, run: Run, variant: str, among: Among | None = None) -> Rules:
        """The rules of a sweep that makes it at every site (``among``: at those lines that it accepts)."""
        raise NotImplementedError


class RuleMistake(Mistake):
    """A wrong rule: ``variants(site)`` maps labels to functions from the cotangent g to the wrong contribution."""

    variants: Callable[[Site], Variants]

    def injections(self, run: Run) -> Iterator[Injection]:
        for step in run.steps:
            for k, right, _, _ in step.contributions:
                site = run.site(step.line, k)
                for variant, wrong in self.variants(site).items():
                    contribution = wrong(step.cotangent)
                    if contribution is not None and np.shape(contribution) == np.shape(right):
                        yield Injection(self, variant, step.line, k, contribution - right, site.row)

    def table(self, run: Run, variant: str, among: Among | None = None) -> dict[tuple[int, int], Callable[[Any], Any]]:
        """The wrong rules by (id of the line, operand number)."""
        rules = {}
        for step in run.steps:
            if among is None or among(step.line):
                for k, *_ in step.contributions:
                    if wrong := self.variants(run.site(step.line, k)).get(variant):
                        rules[id(step.line), k] = wrong
        return rules

    def everywhere(self, run: Run, variant: str, among: Among | None = None) -> Rules:
        return tabled(self.table(run, variant, among), run)


def tabled(table: dict[tuple[int, int], Callable[[Any], Any]], run: Run) -> Rules:
    """The rules of a sweep with the wrong rules of ``table``; one whose result has no fitting shape is passed over."""

    def rules(line: Tensor, g: Any, wanted: tuple[int, ...], recorded: bool) -> list[Any]:
        wrong = {k: table[id(line), k](g) for k in wanted if (id(line), k) in table}
        fits = lambda k, x: x is not None and np.shape(x) == line.operands[k].shape
        wrong = {k: x for k, x in wrong.items() if fits(k, x)}
        rest = tuple(k for k in wanted if k not in wrong)
        right = dict(zip(rest, run.pull(line, g, rest, recorded), strict=True)) if rest else {}
        return [wrong[k] if k in wrong else right[k] for k in wanted]

    return rules


class PathMistake(Mistake):
    """Contributions left out: of ``count`` to a line, in sweep order, ``kept(count)`` says by label which count."""

    kept: Callable[[int], dict[str, list[int]]]

    def injections(self, run: Run) -> Iterator[Injection]:
        for received in run.received.values():
            total = sum(c for _, _, c in received)
            for variant, indices in self.kept(len(received)).items():
                line, k, _ = received[-1]
                yield Injection(self, variant, line, k, sum(received[i][2] for i in indices) - total)

    def everywhere(self, run: Run, variant: str, among: Among | None = None) -> Rules:
        dropped = set()  # (id of the line, operand number) of contributions that are left out
        for received in run.received.values():
            keep = self.kept(len(received)).get(variant)
            if keep is not None and (among is None or among(received[-1][0])):
                dropped |= {(id(line), k) for i, (line, k, _) in enumerate(received) if i not in keep}

        def rules(line: Tensor, g: Any, wanted: tuple[int, ...], recorded: bool) -> list[Any]:
            contributions = run.pull(line, g, wanted, recorded)
            return [x * 0 if (id(line), k) in dropped else x for k, x in zip(wanted, contributions, strict=True)]

        return rules


class IncompleteMistake(Mistake):
    """A line pushes its gradient on with every contribution it receives: early ones count again and again."""

    def injections(self, run: Run) -> Iterator[Injection]:
        for x, received in run.received.items():
            line = run.by_id[x]
            if len(received) < 2 or line.primitive is None or line is run.wrt:
                continue
            running = np.cumsum([c for _, _, c in received], axis=0)
            yield Injection(self, "every time", line, None, running[:-1].sum(axis=0))
            yield Injection(self, "too early", line, None, running[0] - running[-1])

    def everywhere(self, run: Run, variant: str, among: Among | None = None) -> Rules:
        collected: dict[int, list[Any]] = {}

        def rules(line: Tensor, g: Any, wanted: tuple[int, ...], recorded: bool) -> list[Any]:
            parts = collected.get(id(line), [g])
            running = np.cumsum(parts, axis=0)
            pushed = running.sum(axis=0) if variant == "every time" else running[0]
            contributions = run.pull(line, pushed if line.primitive is not None else g, wanted, recorded)
            for k, x in zip(wanted, contributions, strict=True):
                collected.setdefault(id(line.operands[k]), []).append(x)
            return contributions

        return rules


class CallMistake(Mistake):
    """A call as one step: ``variants(call)`` maps labels to functions from y's cotangent to the wrong one of x."""

    variants: Callable[[Call], Variants]

    def injections(self, run: Run) -> Iterator[Injection]:
        for call in run.calls:
            g, right = run.cotangent[id(call.y)], None
            for variant, wrong in self.variants(call).items():
                contribution = wrong(g)
                if np.shape(contribution) == call.x.shape:
                    line, k = call.readers[-1]
                    right = call.pull(g) if right is None else right
                    yield Injection(self, variant, line, k, contribution - right, call.name, call)

    def everywhere(self, run: Run, variant: str, among: Among | None = None) -> Rules:
        arrived: dict[int, Any] = {}
        fitting = [c for c in run.calls if variant in self.variants(c) and (among is None or among(c.readers[-1][0]))]
        outermost = [c for c in fitting if not any(c.within(other) for other in fitting)]
        chosen = {id(call.y): call for call in outermost}
        silent = {(id(line), k): call for call in chosen.values() for line, k in call.readers}

        def rules(line: Tensor, g: Any, wanted: tuple[int, ...], recorded: bool) -> list[Any]:
            if id(line) in chosen:
                arrived[id(line)] = g
            contributions = run.pull(line, g, wanted, recorded)
            for i, k in enumerate(wanted):
                call = silent.get((id(line), k))
                if call is not None:
                    end, number = call.readers[-1]
                    last = line is end and k == number
                    contributions[i] = (
                        self.variants(call)[variant](arrived[id(call.y)]) if last else contributions[i] * 0
                    )
            return contributions

        return rules


BANK: dict[str, Mistake] = {}


def enter(kind: type[Mistake], name: str, says: str, nudge: str, show: str, rank: int = 1, **more: Any) -> Mistake:
    """Put a mistake of this kind into the bank."""
    entry = kind(name, says, nudge, show, rank)
    for key, value in more.items():
        setattr(entry, key, value)
    BANK[name] = entry
    return entry


def mistake(name: str, says: str, nudge: str, show: str, rank: int = 1) -> Callable[[Any], Any]:
    """Enter a wrong rule: the decorated function gives its ``variants`` at a site."""
    return lambda variants: enter(RuleMistake, name, says, nudge, show, rank, variants=variants)


def path_mistake(name: str, says: str, nudge: str, show: str, rank: int = 1) -> Callable[[Any], Any]:
    """Enter contributions that are left out: the decorated function says which of them are ``kept``."""
    return lambda kept: enter(PathMistake, name, says, nudge, show, rank, kept=kept)


def call_mistake(name: str, says: str, nudge: str, show: str, rank: int = 1) -> Callable[[Any], Any]:
    """Enter a wrong derivative of a composed operation: the decorated function gives its ``variants`` for a call."""
    return lambda variants: enter(CallMistake, name, says, nudge, show, rank, variants=variants)


def find(name: str) -> Mistake:
    """A mistake by name; ValueError names those there are."""
    if name not in BANK:
        from difflib import get_close_matches

        near = get_close_matches(name, BANK, 3, 0.4)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"the names are {', '.join(BANK)}"
        raise ValueError(f"mistake: there is none called {name!r}; {hint}")
    return BANK[name]
