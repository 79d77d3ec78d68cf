"""One change of the student's own source with which a gradient is right: which line it is, and what it would be.

Functions are run again with one place of their tree changed (``edits``), their code swapped for the time of one call;
what makes a gradient right at every geometry is offered, and judged again like any answer.  The kinds of edits are
tried in the order of the table, at the statements first on which nothing but wrong gradients depends.

The search may run in the process of the student's file: what it says there are numbers of a place in the table, and
the words are made from the file's text by the process that judges.
"""

from __future__ import annotations

import ast
import copy
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from .asking import Answer, TimeUp, array, ask, backward, deadline, forward, named, quiet, upstream
from .edits import KINDS, Edit, Sites, put
from .layer import Layer, Try
from .source import EFFECTS, Running, Written, functions_of, names_in, numpy_of, plain, reached, running, text_of
from .verdict import Fix

SECONDS = 2.2  # of processor time for searching
TOGETHER = 0.25  # of them for two edits at once
NAMED = 0.5  # of them where every mistake has a name
OFFERS = 6  # that are run through everything
BASES = 6  # edits on top of which a second one is tried
EARLY, LATE = 14, 33  # ranks from which on kinds are tried after those before at all statements
NOTHING = -2.0  # the share of right elements where there are no numbers
SLOW = 0.15  # seconds of one call at a small geometry beyond which nothing is searched

Place = tuple[int, int, int, int]  # number of the function in its file; rank, place and number of the edit


class Row(NamedTuple):
    """One geometry: its number, {gradient: (the right numbers, the size of their terms)}, and whether the functions
    gave no numbers there."""

    index: int
    right: dict[str, tuple[np.ndarray, float]]
    troubled: bool = False


@dataclass
class Sought:
    """What is asked for.  wrong, right: names of gradients; rows: geometries without a kink, at which to search, in
    the order in which they tell most for least; relative: how exactly the right numbers are known; known: those of the
    wrong ones whose mistake has a name already, for which one edit is enough to look for."""

    wrong: list[str]
    right: list[str]
    rows: list[Row]
    relative: float = 1e-6
    known: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """As plain data, for another process."""
        numbers = lambda pair: [list(pair[0].shape), pair[0].ravel().tolist(), pair[1]]
        rows = [[r.index, {g: numbers(pair) for g, pair in r.right.items()}, r.troubled] for r in self.rows]
        return {"wrong": self.wrong, "right": self.right, "rows": rows, "relative": self.relative, "known": self.known}

    @classmethod
    def read(cls, data: dict[str, Any]) -> Sought:
        """The reverse of ``plain``."""
        made = lambda shape, values, size: (np.array(values, dtype=float).reshape(shape), size)
        rows = [Row(i, {g: made(*numbers) for g, numbers in right.items()}, bad) for i, right, bad in data["rows"]]
        return cls(data["wrong"], data["right"], rows, data["relative"], tuple(data["known"]))


@dataclass
class Offer:
    """Edits that together make some gradients right, and what the functions gave with them at each geometry.

    gradients: {name: which of the edits it needs}.
    """

    gradients: dict[str, list[int]]
    places: list[Place]
    answers: list[Answer]
    fixes: list[Fix] = field(default_factory=list)


Mend = Callable[[Sought], list[Offer]]


def same_numbers(claimed: np.ndarray | None, right: np.ndarray, size: float, relative: float) -> bool:
    """Whether a gradient is the right one, as far as a search needs to know."""
    if claimed is None or claimed.shape != right.shape:
        return False
    narrow = {2: 2e-2, 4: 1e-4}.get(claimed.dtype.itemsize, relative)
    with np.errstate(all="ignore"):
        off = np.abs(claimed.astype(float) - right)
        return bool((off <= narrow * (np.abs(right) + 0.1 * np.abs(right).max(initial=0.0)) + 1e-9 * size).all())


# ---- where the functions are written


def sources(functions: Mapping[str, Any], layer: Layer) -> tuple[list[Running], str] | None:
    """(the functions that may be changed, the text of their file); None where there are none.

    Nothing is changed in functions that reach outside of themselves.
    """
    starts = [f for f in (functions.get("backward"),) if f is not None]
    main = next((f for f in starts if isinstance(f, type)), None) or plain(starts[0])
    if main is None:
        return None
    members = [f for f in map(plain, vars(main).values()) if f is not None] if isinstance(main, type) else [main]
    if not members:
        return None
    text = text_of(members[0])
    file = functions_of(text)
    if not file:
        return None
    found = reached(starts, members[0].__code__.co_filename)
    if any(EFFECTS & set(names_in(f.__code__)) or _swallows(f) for f in found):
        return None
    made = [r for f in found if (r := running(f, file)) is not None]
    made = [r for r in made if not any(isinstance(n, (ast.Import, ast.ImportFrom)) for n in ast.walk(r.written.node))]
    for r in made:
        quieted(r.written)
    return (made, text) if made else None


def _swallows(function: Any) -> bool:
    """Whether it may catch the end of its time."""
    return bool({"BaseException", "TimeUp", "Thread", "fork"} & set(names_in(function.__code__)))


def quieted(written: Written) -> None:
    """What it prints is left out of a function that runs a thousand times."""
    for node in ast.walk(written.node):
        for name in ("body", "orelse"):
            listed = getattr(node, name, None)
            if isinstance(listed, list):
                for i, statement in enumerate(listed):
                    value = getattr(statement, "value", None)
                    if isinstance(statement, ast.Expr) and isinstance(value, ast.Call):
                        if isinstance(value.func, ast.Name) and value.func.id == "print":
                            listed[i] = ast.copy_location(ast.Pass(), statement)


# ---- running with a change


@contextmanager
def swapped(functions: list[tuple[Any, Any]]) -> Iterator[None]:
    """[(function, code)]: the functions with other codes, for as long as this lasts."""
    before = [(f, f.__code__) for f, _ in functions]
    try:
        for f, code in functions:
            f.__code__ = code
        yield
    finally:
        for f, code in before:
            f.__code__ = code


class Bench:
    """The functions at the geometries of a search, their forward run once: a backward is run with each change."""

    def __init__(self, layer: Layer, cases: list[Try], functions: Mapping[str, Any], sought: Sought) -> None:
        self.layer, self.functions, self.sought = layer, functions, sought
        self.cases = cases
        self._kept: dict[int, Any] = {}

    def gradients(self, row: Row) -> dict[str, np.ndarray | None]:
        """What backward gives at a geometry, from fresh copies of what it is given."""
        layer, case = self.layer, self.cases[row.index]
        values = layer.call.values(case)
        if layer.loss:
            made = self.functions["backward"](*[values[name] for name in layer.call.forward])
            return named(tuple(made[1:]) if len(made) > 2 else made[1], layer.outputs, [])
        if self.functions.get("forward") is not None:
            out, cache = self._forward(row, values)
            values |= {"out": out, "cache": cache}
        else:
            kept = tuple(values[name] for name in layer.call.cached)
            values["cache"] = kept[0] if len(kept) == 1 else kept
            out = None
        shape = next(iter(self._shape(row, out)))
        values["dout"] = upstream(row.index, shape)
        return named(backward(layer.call, self.functions, values), layer.outputs, [])

    def _forward(self, row: Row, values: dict[str, Any]) -> Any:
        kept = self._kept.get(row.index)
        if kept is None:
            kept = self._kept[row.index] = forward(self.layer.call, self.functions, values)
        try:
            return copy.deepcopy(kept)
        except Exception:
            self._kept[row.index] = None
            return forward(self.layer.call, self.functions, values)

    def _shape(self, row: Row, out: Any) -> Iterator[tuple[int, ...]]:
        if out is not None:
            yield array(out, "forward returns", []).shape
        yield self.shapes[row.index]

    shapes: list[tuple[int, ...]] = []  # noqa: RUF012 (replaced, never changed)


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

    def __init__(self, bench: Bench, made: list[Running], text: str, end: float, asked: Asked) -> None:
        self.asked = asked  # the functions at every geometry, with edits
        self.before: list[Answer] | None = None
        self.bench, self.made, self.end = bench, made, end
        self.sought = bench.sought
        self.numpy = numpy_of(text)
        self.sites = {id(r): Sites(r.written.node, self.numpy, r.written.members) for r in made}
        self.sorts: dict[int, dict[str, str]] = {}
        self.limit = 1.0
        self.first: dict[str, float] = {}
        self.near: dict[str, list[Tried]] = {}
        self.runs = 0
        self.whole = False  # every wrong gradient must be right at once

    def begun(self) -> bool:
        """Run the functions as they are: what their names hold, how long it takes; False where nothing can be tried."""
        codes = {id(r.function.__code__): r for r in self.made}
        seen: dict[int, dict[str, str]] = {}

        def look(frame: Any, event: str, _: Any) -> None:
            found = codes.get(id(frame.f_code))
            if event == "return" and found is not None:
                held = seen.setdefault(id(found), {})
                for name, value in frame.f_locals.items():
                    held[name] = sort_of(value)

        row = max(self.sought.rows[:4], key=lambda r: sum(a.size for a, _ in r.right.values()))
        before = sys.getprofile()
        try:
            with deadline(1.0):
                for _ in range(2):
                    started = time.perf_counter()
                    self.bench.gradients(row)
                    spent = time.perf_counter() - started
        except (Exception, TimeUp):
            spent = 0.0
        if spent > SLOW:
            return False
        self.limit = max(0.05, 20 * spent)
        try:
            sys.setprofile(look)
            with deadline(1.0):
                self.bench.gradients(row)
        except (Exception, TimeUp):
            pass
        finally:
            sys.setprofile(before)
        self.sorts = seen
        self.made = [r for r in self.made if id(r) in seen]
        for gradient in self.sought.wrong:
            self.first[gradient] = self.tried((), gradient, self.sought.rows[0])[1]
        return bool(self.made)

    def given(self, changed: tuple[tuple[Running, Any], ...], row: Row) -> dict[str, np.ndarray | None] | None:
        """The gradients at one geometry with other codes; None where there are none."""
        try:
            with swapped([(r.function, code) for r, code in changed]), deadline(self.limit):
                return self.bench.gradients(row)
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
        for runner, edit in self.candidates(open_):
            if not open_ or time.thread_time() > self.end:
                break
            if time.thread_time() > known_end and set(open_) <= set(self.sought.known):
                break
            self._one((), runner, edit, open_, found)
        self.end = end
        for gradient in [] if self.whole else [g for g in open_ if g not in self.sought.known]:
            bases = sorted(self.near.get(gradient, []), key=lambda t: (-t.passed, -t.share))[:BASES]
            for base in bases:
                if gradient in open_ and time.thread_time() < self.end:
                    self._second(base, gradient, found)
                    if any(gradient in f.gradients for f in found):
                        open_.remove(gradient)
        return found

    def _second(self, base: Tried, gradient: str, found: list[Any]) -> None:
        """A second edit on top of one that helped."""
        (runner, edit), = base.edits
        left = (self.end - time.thread_time()) / 2
        end, self.end = self.end, time.thread_time() + left
        undo = edit.apply()
        code = runner.compiled()
        try:
            if code is None:
                return
            sites = self.sites
            self.sites = dict(sites) | {id(runner): Sites(runner.written.node, self.numpy, runner.written.members)}
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
        undo = edit.apply()
        try:
            code = runner.compiled()
        finally:
            put(undo[::-1])
        if code is None:
            return
        self.runs += 1
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
                if not base and (passed or part > max(self.first.get(gradient, 0.0), 0.0) + 1e-9):
                    self.near.setdefault(gradient, []).append(Tried(passed, part, both))
            if not right or (self.whole and len(right) < len(open_)):
                return
        if right and self._others_hold(changed) and self._harmless(both):
            found.append(Found(list(right), both, clear))
            for gradient in right:
                open_.remove(gradient)

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
        return len(after) == len(self.before) and all(map(harmless, self.before, after))

    def candidates(self, open_: list[str], late: bool = True) -> Iterator[tuple[Running, Edit]]:
        """The edits in the order in which they are tried."""
        main = self.made[0]
        first, second = statements_of(main.written.node, list(self.bench.layer.outputs), open_, self.sought.right)
        parts: list[tuple[Running, Callable[[Any], bool]]] = []
        if first is None or second is None:
            parts = [(r, lambda s: True) for r in self.made]
        else:
            parts.append((main, lambda s: id(s) in first))
            parts.append((main, lambda s: id(s) in second))
            parts += [(r, lambda s: True) for r in self.made[1:]]
        spans = [range(EARLY), range(EARLY, LATE), *([range(LATE, len(KINDS))] if late else [])]
        for span in spans:
            for runner, chosen in parts:
                sorts = self.sorts.get(id(runner), {})
                for rank in span:
                    for edit in self.sites[id(runner)].edits(rank, chosen):
                        if fitting(edit, sorts):
                            yield runner, edit


def share(claimed: np.ndarray | None, right: np.ndarray, size: float) -> float:
    """The share of elements that are right; -1 for another shape."""
    if claimed is None or claimed.shape != right.shape or not right.size:
        return -1.0
    with np.errstate(all="ignore"):
        off = np.abs(claimed.astype(float) - right) <= 1e-6 * (np.abs(right) + 1e-9 * size)
    return float(off.mean())


def sort_of(value: Any) -> str:
    """What kind of thing a name holds: only things of one sort are taken for each other."""
    if isinstance(value, (bool, np.bool_)):
        return "bool"
    if isinstance(value, (int, np.integer)):
        return "number"
    if isinstance(value, (float, np.floating)):
        return "number"
    if isinstance(value, np.ndarray) or hasattr(value, "detach"):
        return "array"
    if isinstance(value, (tuple, list)):
        return "tuple"
    return "other"


def fitting(edit: Edit, sorts: dict[str, str]) -> bool:
    """Whether the names that an edit brings in hold something that can stand there."""
    if edit.new is None or not sorts:
        return True
    if isinstance(edit.node, ast.Name) and isinstance(edit.new, ast.Name):
        a, b = sorts.get(edit.node.id), sorts.get(edit.new.id)
        return a is not None and a == b
    if isinstance(edit.new, ast.BinOp):
        for side in (edit.new.left, edit.new.right):
            if isinstance(side, ast.Name) and side is not edit.node:
                sort = sorts.get(side.id)
                if sort not in ("number", "array", "bool") or (sort == "array" and KINDS[edit.rank].name == "another index"):
                    return False
        if KINDS[edit.rank].name in ("another slice", "another index", "one more or less"):
            sides = (edit.new.left, edit.new.right)
            if any(isinstance(s, ast.Name) and s is not edit.node and sorts.get(s.id) != "number" for s in sides):
                return False
    if isinstance(edit.new, ast.Subscript) and isinstance(edit.node, ast.Name) and edit.new.value is edit.node:
        return sorts.get(edit.node.id) in ("array", "tuple")
    if isinstance(edit.new, ast.Attribute) and isinstance(edit.node, ast.Name):
        return sorts.get(edit.node.id) == "array"
    return True


def statements_of(
    node: Any, outputs: list[str], wrong: list[str], right: list[str]
) -> tuple[set[int] | None, set[int] | None]:
    """(ids of the statements on which nothing but wrong gradients depends, of those on which wrong ones depend too).

    None where a function does not end in one tuple of its gradients.
    """
    returns = [n for n in ast.walk(node) if isinstance(n, ast.Return)]
    if not isinstance(node, ast.FunctionDef) or len(returns) != 1 or not isinstance(returns[0].value, ast.Tuple):
        return None, None
    elements = returns[0].value.elts
    if len(elements) == len(outputs) + 1:
        elements = elements[1:]  # of a loss
    if len(elements) != len(outputs):
        return None, None
    flows = list(_flows(node, set()))
    of = {g: _reaching(flows, names_of(e)) for g, e in zip(outputs, elements, strict=True)}
    bad = set().union(*[of[g] for g in wrong])
    good = set().union(*[of[g] for g in right]) if right else set()
    last = id(returns[0])
    return (bad - good) | {last}, bad & good


def names_of(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} - _MODULES


_ALL = "*"
_MODULES = frozenset(("np", "numpy", "range", "len", "int", "enumerate", "zip"))
Flow = tuple[int, set[str], set[str]]  # a statement, the names that it writes, those that it reads


def _flows(node: ast.AST, around: set[str]) -> Iterator[Flow]:
    """What each statement writes and reads; what ends a pass of a loop writes ``_ALL``, which everything depends on."""
    for name in ("body", "orelse"):
        for s in getattr(node, name, []) if isinstance(getattr(node, name, []), list) else []:
            if isinstance(s, (ast.For, ast.While, ast.If, ast.With)):
                head = names_of(s.iter) | names_of(s.target) if isinstance(s, ast.For) else set()
                head |= names_of(s.test) if isinstance(s, (ast.While, ast.If)) else set()
                written = names_of(s.target) if isinstance(s, ast.For) else set()
                inner = list(_flows(s, around | head))
                yield id(s), written.union(*[w for _, w, _ in inner]), head | around
                yield from inner
            elif isinstance(s, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
                targets = s.targets if isinstance(s, ast.Assign) else [s.target]
                written = set().union(*[_written(t) for t in targets])
                yield id(s), written, names_of(s) | around
            elif isinstance(s, ast.FunctionDef):
                inside = [n for n in ast.walk(s) if isinstance(n, ast.stmt)]
                for n in inside:
                    yield id(n), {s.name}, names_of(s) | around
            elif isinstance(s, (ast.Break, ast.Continue)):
                yield id(s), {_ALL}, around
            else:
                names = names_of(s)
                yield id(s), names, names | around


def _written(target: ast.AST) -> set[str]:
    if isinstance(target, (ast.Subscript, ast.Attribute, ast.Starred)):
        return _written(target.value)
    if isinstance(target, (ast.Tuple, ast.List)):
        return set().union(*[_written(t) for t in target.elts])
    return {target.id} if isinstance(target, ast.Name) else set()


def _reaching(flows: list[Flow], names: set[str]) -> set[int]:
    """The statements that a result with these names depends on."""
    known, found = {*names, _ALL}, set()
    changed = True
    while changed:
        changed = False
        for statement, written, read in flows:
            if statement not in found and written & known:
                found.add(statement)
                known |= read
                changed = True
    return found


# ---- the search, and its result


def can_search() -> bool:
    """Whether a change that would run for ever can be stopped."""
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


def mended(
    layer: Layer,
    cases: list[Try],
    functions: Mapping[str, Any],
    shapes: list[Any],
    sought: Sought,
    seconds: float = SECONDS,
) -> list[Offer]:
    """What makes the wrong gradients right, each with the answers at every geometry.

    A fault of the search itself costs the suggestion, not the verdict (under AUTOCONV_STRICT it raises).
    """
    try:
        return _mended(layer, cases, functions, shapes, sought, seconds)
    except Exception:
        if os.environ.get("AUTOCONV_STRICT") == "1":
            raise
        return []


def _mended(
    layer: Layer, cases: list[Try], functions: Mapping[str, Any], shapes: list[Any], sought: Sought, seconds: float
) -> list[Offer]:
    if seconds <= 0 or not sought.wrong or not sought.rows or not can_search():
        return []
    end = time.thread_time() + seconds
    found = sources(functions, layer)
    if found is None:
        return []
    made, text = found
    bench = Bench(layer, cases, functions, sought)
    bench.shapes = shapes
    offers = []
    with quiet():
        silent = [(r.function, code) for r in made if (code := r.compiled()) is not None]
        with swapped(silent):
            asked = lambda both: _answers(layer, cases, functions, shapes, both)
            search = Search(bench, made, text, end, asked)
            if not search.begun():
                return []
            for gradients, both in combined(search.run(), sought)[:OFFERS]:
                if answers := _answers(layer, cases, functions, shapes, both):
                    places = [(r.written.number, e.rank, e.at, e.number) for r, e in both]
                    offers.append(Offer(gradients, places, answers, in_words(text, places)))
    return offers


def harmless(before: Answer, after: Answer) -> bool:
    """Whether an answer with a change has no fault that it had not without."""
    if after.trouble and not before.trouble:
        return False
    changes = lambda answer: {note for note in answer.notes if note.startswith("backward changes")}
    return not (set(after.damage) - set(before.damage)) and not changes(after) - changes(before)


def combined(found: list[Found], sought: Sought) -> list[tuple[dict[str, list[int]], tuple[tuple[Running, Edit], ...]]]:
    """What was found for each gradient, all of it together first; then one by one.

    Where an error keeps all gradients from being computed, each needs what removes it besides its own.
    """
    made: list[tuple[dict[str, list[int]], tuple[tuple[Running, Edit], ...]]] = []
    if len(found) > 1 or any(g not in f.gradients for f in found for g in sought.wrong):
        edits = tuple(pair for f in found for pair in f.edits)
        starts = list(accumulate([0, *[len(f.edits) for f in found]]))
        own = [list(range(starts[i], starts[i + 1])) for i in range(len(found))]
        troubled = any(row.troubled for row in sought.rows)
        clearing = [i for f, at in zip(found, own, strict=True) if f.clear and troubled for i in at]
        of = {g: sorted({*at, *clearing}) for f, at in zip(found, own, strict=True) for g in f.gradients}
        of |= {g: clearing for g in sought.wrong if g not in of and clearing}
        made.append((of, edits))
    made += [({g: list(range(len(f.edits))) for g in f.gradients}, f.edits) for f in found]
    return made


def _answers(layer: Layer, cases: list[Try], functions: Any, shapes: Any, both: Any) -> list[Answer]:
    """The functions asked again at every geometry, with the edits made."""
    undo, codes = [], {}
    try:
        for runner, edit in both:
            undo = [*edit.apply()[::-1], *undo]
        for runner, _ in both:
            codes[id(runner)] = (runner.function, runner.compiled())
    finally:
        put(undo)
    if any(code is None for _, code in codes.values()):
        return []
    with swapped(list(codes.values())):
        return ask(layer, cases, functions, 5.0, shapes)


def in_words(text: str, places: list[Place]) -> list[Fix]:
    """Edits as lines of a file; [] for numbers that are none of it."""
    file, fixes = functions_of(text), []
    undo: list[Any] = []
    numpy = numpy_of(text)
    for written in file:
        quieted(written)
    for number, rank, at, count in places:
        if not 0 <= number < len(file):
            return []
        written = file[number]
        edit = Sites(written.node, numpy, written.members).edit(rank, at, count)
        if edit is None:
            return []
        fixes.append(fix_of(edit, written.lines))
        undo = [*edit.apply()[::-1], *undo]
    return fixes


def fix_of(edit: Edit, lines: list[str]) -> Fix:
    """An edit in words: the line as it stands, and as it is right."""
    kind, hint = edit.kind, KINDS[edit.rank].hint
    if edit.note:
        line = edit.statement.lineno
        return Fix(line, kind, _short(lines[line - 1]), f"the same line {edit.note}", hint)
    line = getattr(edit.node, "lineno", edit.statement.lineno)
    written = lines[line - 1]
    if edit.new is None:
        before = ast.unparse(edit.statement).splitlines()[0]
        owner, name, new = edit.changes[-1]
        old = getattr(owner, name)
        if kind == "a condition too many":
            return Fix(line, kind, _short(written), "what stands under it, without this condition", hint)
        made = next((s for s in new if not any(s is o for o in old)), None) if isinstance(new, list) else new.new[0]
        if made is None or isinstance(made, ast.Pass):
            return Fix(line, kind, _short(before), "nothing: without this line", hint)
        return Fix(line, kind, _short(written), _short(ast.unparse(made).splitlines()[0]), hint)
    return Fix(line, kind, _short(written), _short(_replaced(edit, lines, line)), hint)


def _replaced(edit: Edit, lines: list[str], line: int) -> str:
    """The line with an expression replaced, in the hand of whoever wrote it where that can be kept."""
    node: Any = edit.node
    assert edit.new is not None
    text = ast.unparse(edit.new)
    undo = edit.apply()
    try:
        whole = ast.unparse(edit.statement).splitlines()
    finally:
        put(undo[::-1])
    if node.end_lineno != node.lineno:
        return whole[0] if len(whole) == 1 or not isinstance(edit.statement, ast.Lambda) else text
    content = lines[line - 1].encode()
    tail = content[node.end_col_offset :].decode()
    head = content[: node.col_offset].decode()
    for inner in (text, f"({text})"):
        made = (head + inner + tail).strip()
        for rest in ("", " pass"):
            try:
                parsed = ast.parse(made + rest).body
            except SyntaxError:
                continue
            if len(parsed) == 1 and ast.unparse(parsed[0]).splitlines()[0] == whole[0]:
                return made
    return whole[0] if len(whole[0]) < 200 else f"{head.strip()}{text}{tail}"


def _short(line: str) -> str:
    line = " ".join(line.split())
    return line if len(line) <= 160 else f"{line[:157]}..."
