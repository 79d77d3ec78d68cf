"""The search for one edit, or two, that makes a gradient right at every geometry, within a time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any, NamedTuple

import numpy as np

from ..asking import Answer, TimeUp, deadline
from .depends import kept_only, packed
from .running import Bench, swapped
from .scaled import Numbers, number_added, steady_names
from .sorts import fitting, sort_of
from .sought import Row, harmless, same_numbers, share
from .source import Running
from .table import KINDS, LAST, SOON, THEN, Sites
from .trees import Edit, put

SECONDS = 3.0  # of processor time for searching
TOGETHER = 0.25  # of them for two edits at once
NAMED = 0.5  # of them where every mistake has a name
ALONE = 0.6  # seconds for one edit that does what two do
BASES = 6  # edits on top of which a second one is tried
SLOW = 0.15  # seconds of one call at a small geometry beyond which nothing is searched
NOTHING = -2.0  # the share of right elements where there are no numbers


@dataclass
class Tried:
    """How far an edit came: rows that were right from the first on, the share of right elements where it failed."""

    passed: int
    share: float
    edits: tuple[tuple[Running, Edit], ...]


class Found(NamedTuple):
    """Edits with which some gradients are right; clear: wherever the functions gave no numbers they give some now."""

    gradients: list[str]
    edits: tuple[tuple[Running, Edit], ...]
    clear: bool


Asked = Callable[[tuple[tuple[Running, Edit], ...]], list[Answer]]


class Search:
    """The edits that make wrong gradients right, within a time."""

    def __init__(self, bench: Bench, made: list[Running], end: float, asked: Asked) -> None:
        self.asked = asked  # the functions at every geometry, with edits
        self.before: list[Answer] | None = None
        self.bench, self.made, self.end = bench, made, end
        self.sought = bench.sought
        self.sites = {id(r): Sites(r.written) for r in made}
        self.sorts: dict[int, dict[str, str]] = {}
        self.limit = 1.0
        self.first: dict[str, float] = {}
        self.near: dict[str, list[Tried]] = {}
        self.whole = False  # every wrong gradient must be right at once
        self.unclear: dict[str, Found] = {}  # what makes a gradient right where there are numbers, and an error stays
        self.ahead: list[Running] = []  # what the forward runs and the backward does not: it makes the cache
        self.steady = {id(r): steady_names(r.written) for r in made}
        self.numbers: dict[int, Numbers | None] = {}  # of the functions that run once

    def begun(self) -> bool:
        """Run the functions as they are: what their names hold, how long it takes; False where nothing can be tried."""
        codes = {id(r.function.__code__): r for r in self.made}
        seen: dict[int, dict[str, str]] = {}
        runs = dict[int, int]()

        def look(frame: Any, event: str, _: Any) -> None:
            found = codes.get(id(frame.f_code))
            if event == "return" and found is not None:
                runs[id(found)] = runs.get(id(found), 0) + 1
                held = seen.setdefault(id(found), {})
                for name, value in frame.f_locals.items():
                    held[name] = sort_of(value)

        row = max(self.sought.rows[:4], key=lambda r: sum(a.size for a, _ in r.right.values()))
        try:
            with deadline(1.0, processor=True):
                for _ in range(2):
                    started = time.thread_time()
                    self.bench.gradients(row)
                    spent = time.thread_time() - started
        except (Exception, TimeUp):
            spent = 0.0
        if spent > SLOW:
            return False
        self.limit = max(0.05, 20 * spent)
        _watched(look, lambda: self.bench.gradients(row))
        back = set(seen)
        runs.clear()
        _watched(look, lambda: self.bench.gradients(row, anew=True))
        self.sorts, self.once = seen, {which for which, times in runs.items() if times == 1}
        self.ahead = [r for r in self.made if id(r) in set(seen) - back]
        self.made = [r for r in self.made if id(r) in back]
        for gradient in self.sought.wrong:
            self.first[gradient] = self.tried((), gradient, self.sought.rows[0])[1]
        return bool(self.made)

    def given(self, changed: tuple[tuple[Running, Any], ...], row: Row) -> dict[str, np.ndarray | None] | None:
        """The gradients at one geometry with other codes; None where there are none."""
        try:
            anew = any(r is one for r, _ in changed for one in self.ahead)
            with swapped([(r.function, code) for r, code in changed]), deadline(self.limit, processor=True):
                return self.bench.gradients(row, anew)
        except (Exception, TimeUp, SystemExit):
            return None

    def compared(self, claimed: Any, gradient: str, row: Row) -> tuple[bool, float]:
        """(right, share of right elements) of one gradient at one geometry."""
        if claimed is None:
            return False, NOTHING
        right, size = row.right[gradient]
        if same_numbers(claimed.get(gradient), right, size, self.sought.relative):
            return True, 1.0
        return False, share(claimed.get(gradient), right, size)

    def tried(self, changed: tuple[tuple[Running, Any], ...], gradient: str, row: Row) -> tuple[bool, float]:
        return self.compared(self.given(changed, row), gradient, row)

    def run(self) -> list[Found]:
        """Single edits, and two where no single one is found; the order of the table decides."""
        wrong = self.sought.wrong
        itself = [g for g in wrong if any(not r.troubled and not self.tried((), g, r)[0] for r in self.sought.rows)]
        open_, found = list(itself), list[Found]()
        end, self.end = self.end, time.thread_time() + (self.end - time.thread_time()) * (1 - TOGETHER)
        known_end = time.thread_time() + (end - time.thread_time()) * NAMED
        if not open_:  # they are only not there at some geometries
            open_, self.whole = list(wrong), True
        tries = self.candidates(open_)
        for runner, edit in tries:
            self._one((), runner, edit, open_, found)
            if not open_ or time.thread_time() > self.end:
                break
            if time.thread_time() > known_end and set(open_) <= set(self.sought.known):
                break
        for gradient in list(open_):
            if gradient in open_ and (one := self.unclear.get(gradient)):
                found.append(one)
                open_[:] = [g for g in open_ if g not in one.gradients]
        if not open_ and len(found) > 1 and not self.whole:
            found = self._alone(tries, itself) or found
        self.end = end
        for gradient in [] if self.whole else [g for g in open_ if g not in self.sought.known]:
            bases = sorted(self.near.get(gradient, []), key=lambda t: (-t.passed, -t.share))[:BASES]
            for base in bases:
                if gradient in open_ and time.thread_time() < self.end:
                    self._second(base, gradient, found)
                    if any(gradient in f.gradients for f in found):
                        open_.remove(gradient)
        return found

    def _alone(self, tries: Iterator[tuple[Running, Edit]], wrong: list[str]) -> list[Found]:
        """The one edit, of those that were not tried yet, that does what several did."""
        end, found, open_ = min(self.end, time.thread_time() + ALONE), list[Found](), list(wrong)
        self.whole = True
        for runner, edit in tries:
            self._one((), runner, edit, open_, found)
            if found or time.thread_time() > end:
                break
        self.whole = False
        return found

    def _second(self, base: Tried, gradient: str, found: list[Any]) -> None:
        """A second edit on top of one that helped."""
        ((runner, edit),) = base.edits
        left = (self.end - time.thread_time()) / 2
        end, self.end = self.end, time.thread_time() + left
        undo = edit.apply()
        code = runner.compiled()
        try:
            if code is None:
                return
            sites = self.sites
            self.sites = dict(sites) | {id(runner): Sites(runner.written)}
            open_ = [gradient]
            for other, second in self.candidates(open_, late=False):
                if time.thread_time() > self.end or not open_:
                    break
                self._one(((runner, code, edit),), other, second, open_, found)
            self.sites = sites
        finally:
            put(undo[::-1])
            self.end = end

    def _one(self, base: Any, runner: Running, edit: Edit, open_: list[str], found: list[Any]) -> None:
        """Try one edit; what it makes right leaves ``open_``."""
        code = changed_code(runner, edit)
        if code is None:
            return
        held = {id(r): (r, c) for r, c, _ in base}
        held[id(runner)] = (runner, code)
        changed = tuple(held.values())
        both = (*[(r, e) for r, _, e in base], (runner, edit))
        right, clear = list(open_), True
        for passed, row in enumerate(self.sought.rows):
            claimed = self.given(changed, row)
            if claimed is None and row.troubled and not self.whole:
                clear = False
                continue
            for gradient in list(right):
                ok, part = self.compared(claimed, gradient, row)
                if ok:
                    continue
                right.remove(gradient)
                plain = not base and KINDS[edit.rank].turn < LAST  # nothing is built up out of what was put in
                if plain and (passed or part > max(self.first.get(gradient, 0.0), 0.0) + 1e-9):
                    self.near.setdefault(gradient, []).append(Tried(passed, part, both))
            if not right or (self.whole and len(right) < len(open_)):
                return
        if not clear:
            right = [g for g in right if g not in self.unclear]
        if right and self._others_hold(changed) and self._harmless(both):
            if not clear and not base:
                self.unclear |= {g: Found(right, both, clear) for g in right}
                return
            for gradient in right:
                open_.remove(gradient)
            before = {g for one in found for g in one.gradients}
            right += [g for g in self.sought.wrong if g in before and self._holds(changed, g)]
            found[:] = [one for one in found if not set(one.gradients) <= set(right)]  # one edit does what they did
            found.append(Found(right, both, clear))

    def _holds(self, changed: Any, gradient: str) -> bool:
        """Whether a gradient is right at every geometry."""
        return all(self.tried(changed, gradient, row)[0] for row in self.sought.rows if not row.troubled)

    def _others_hold(self, changed: Any) -> bool:
        """Whether what was right before is right still."""
        rows = [row for row in self.sought.rows if not row.troubled][:3]
        given = [(row, self.given(changed, row)) for row in rows] if self.sought.right else []
        return all(self.compared(claimed, g, row)[0] for g in self.sought.right for row, claimed in given)

    def _harmless(self, both: tuple[tuple[Running, Edit], ...]) -> bool:
        """Whether nothing goes wrong with the edits that went well before, such as an input that is changed."""
        if self.before is None:
            self.before = self.asked(())
        after = self.asked(both)
        return len(after) == len(self.before) and all(
            harmless(b, a, self.sought.forward) for b, a in zip(self.before, after, strict=True)
        )

    def candidates(self, open_: list[str], late: bool = True) -> Iterator[tuple[Running, Edit]]:
        """The edits in the order in which they are tried."""
        main = self.made[0]
        suspect = self.bench.suspect(main.written.node, open_, self.sought.right)
        parts: list[tuple[Running, Callable[[Any], bool]]] = []
        if suspect is None:
            parts = [(r, lambda s: True) for r in self.made]
        else:
            parts += [(main, lambda s, chosen=chosen: id(s) in chosen) for chosen in suspect]  # type: ignore[misc]
            parts += [(r, lambda s: True) for r in self.made[1:]]
        suspects, others = (parts[:1], parts[1:]) if suspect is not None else (parts, [])
        kept = [(r, kept_only(r.written.node)) for r in self.ahead]
        ahead: Any = [(r, lambda s, ids=ids: id(s) in ids) for r, ids in kept]
        packing = [(r, ids & packed(r.written.node)) for r, ids in kept]
        packs: Any = [(r, lambda s, ids=ids: id(s) in ids) for r, ids in packing]
        turns = [(SOON, suspects), (SOON, others), (SOON, packs), (SOON, ahead), (THEN, suspects)]
        turns += (
            [(THEN, ahead), (LAST, suspects), (THEN, others), (LAST, ahead), (LAST, others)]
            if late
            else [(THEN, others)]
        )
        for turn, where in turns:
            for runner, chosen in where:
                sorts = self.sorts.get(id(runner), {})
                for rank in (rank for rank, kind in enumerate(KINDS) if kind.turn == turn):
                    if KINDS[rank].fitted:
                        yield from ((runner, edit) for edit in self._fitted(runner, rank, chosen, open_) if late)
                        continue
                    allowed = (lambda s: True) if KINDS[rank].everywhere else chosen
                    for edit in self.sites[id(runner)].edits(rank, allowed):
                        if fitting(edit, sorts, KINDS[rank].brings) and (
                            turn != LAST or self._may(runner, edit, sorts, open_)
                        ):
                            yield runner, edit

    def _may(self, runner: Running, edit: Edit, sorts: dict[str, str], open_: list[str]) -> bool:
        """Whether an edit that puts a number somewhere may make something right: a few tries tell it of all numbers."""
        added = number_added(edit, sorts, self.steady[id(runner)]) if id(runner) in self.once else None
        if added is None:
            return True
        if id(runner) not in self.numbers:
            row = next((r for r in self.sought.rows if not r.troubled), None)
            before = None if row is None else self.given((), row)

            def given(one: Edit) -> dict[str, np.ndarray | None] | None:
                code = changed_code(runner, one)
                return None if code is None or row is None else self.given(((runner, code),), row)

            right = {} if row is None else {g: right for g, (right, _) in row.right.items()}
            self.numbers[id(runner)] = None if before is None else Numbers(before, right, given)
        known = self.numbers[id(runner)]
        return known is None or known.may_mend(edit, added, open_)

    def _fitted(self, runner: Running, rank: int, chosen: Callable[[Any], bool], open_: list[str]) -> Iterator[Edit]:
        """Edits that multiply by the number with which a wrong gradient comes right, where it depends on it by a line:
        what is missing is then a multiple of what twice as much adds."""
        sites, row = self.sites[id(runner)], self.sought.rows[0]
        before, known = self.given((), row) or {}, sites.scope.numbers
        for at in sites.fitted(rank, chosen):
            doubled = sites.times(rank, at, 2.0)
            code = None if doubled is None else changed_code(runner, doubled)
            after = None if code is None else self.given(((runner, code),), row)
            for gradient in list(open_) if after else []:
                value = factor_of(before.get(gradient), (after or {}).get(gradient), row.right[gradient][0], known)
                edit = None if value is None else sites.times(rank, at, value)
                if edit is not None:
                    yield edit


def changed_code(runner: Running, edit: Edit) -> CodeType | None:
    """The code of a function with an edit."""
    undo = edit.apply()
    try:
        return runner.compiled()
    finally:
        put(undo[::-1])


PLAIN = 4  # digits that a number has which nobody meant
NEAR = 2e-5  # how closely it is worked out


def factor_of(once: np.ndarray | None, twice: np.ndarray | None, right: np.ndarray, known: list[float]) -> float | None:
    """The factor of a part of a gradient with which it is right: a number with few digits, one of the file's (known),
    or the reverse of such a one."""
    if once is None or twice is None or not once.shape == twice.shape == right.shape or right.size < PLAIN:
        return None
    with np.errstate(all="ignore"):
        adds, lacks = twice.astype(float) - once, right - once.astype(float)
        size = float(np.vdot(adds, adds))
        more = float(np.vdot(adds, lacks)) / size if size else np.nan
        if not np.isfinite(more) or np.abs(lacks - more * adds).max() > NEAR * np.abs(lacks).max():
            return None
    value = 1 + more
    if abs(value) < 1e-6:
        return None
    short = [(float(f"{value:.{digits}g}"), float(f"{1 / value:.{digits}g}")) for digits in range(1, PLAIN)]
    meant = [made for pair in short for made in (pair[0], 1 / pair[1])]
    meant += [made for number in known if number for made in (number, 1 / number)]
    return next((made for made in meant if abs(made - value) <= NEAR * abs(made)), None)


def _watched(look: Callable[..., None], run: Callable[[], Any]) -> None:
    """Run something, whatever comes of it, and look at every call that ends."""
    before = sys.getprofile()
    try:
        sys.setprofile(look)
        with deadline(1.0, processor=True):
            run()
    except (Exception, TimeUp):
        pass
    finally:
        sys.setprofile(before)
