"""The table of edits: each kind of change at one place of a function's tree that a slip of the hand is the reverse of.

A kind is a row: its name, what it makes of an expression or of a statement, the question that leads there.  Its rank is
its place in the table: of two edits that both make a gradient right, the one that is further up is told.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .arithmetic import (
    OPERATORS,
    bare,
    bent,
    both_axes,
    bound,
    centred,
    comparison,
    condition,
    constant,
    count_factor,
    dropped,
    factor,
    guarded,
    indexed_term,
    inner_factor,
    minus,
    number_factor,
    other_number,
    parentheses,
    product,
    sign,
    term,
    term_factor,
)
from .calls import argument, arguments, axis, evened, extent, function, laid_out, letters, reduced, transposed, wrapper
from .indices import (
    RANGES,
    all_indices,
    backwards,
    both_stepped,
    brackets,
    index,
    index_order,
    offset,
    padded,
    ranged,
    sliced,
    stepped,
    taps_stepped,
    widened,
    windows,
    worked_out,
)
from .names import (
    another_name,
    another_part,
    attribute,
    count,
    exchanged,
    indexed_number,
    key,
    named_number,
    renaming,
    within,
)
from .sorts import ALIKE, COUNTS, TERM
from .source import Written
from .statements import anew, assigned, carried, moved, removed, reordered, repeated, unconditional
from .trees import Edit, Function, Place, Scope, Step, called

SOON, THEN, LAST = range(3)  # a turn: one is tried at the statements at hand before the next is


@dataclass(frozen=True)
class Kind:
    """turn: when it is tried, those that many hands make and that cost few tries first (LAST builds up something new);
    name: what the slip is called; of: the expressions (or whole changes) that it makes; hint: the question;
    brings: what can stand there (see ``sorts``).
    everywhere: it gives the same numbers in another array, so that a forward's result stays what it is; fitted: what
    it makes is of a number that is worked out from the gradient."""

    turn: int
    name: str
    of: Callable[..., Iterator[Any]]
    hint: str
    statements: bool = False
    brings: str = ""
    everywhere: bool = False
    fitted: bool = False


# fmt: off
KINDS = (
    #     turn  name                              what it makes                hint
    Kind(SOON, "assigned in the place of added",  assigned,            "Is this written once, or added to?", True),
    Kind(SOON, "changed in place",                anew,                "Who else holds this?", True, everywhere=True),
    Kind(SOON, "added once where an index repeats", repeated,       "Does += add twice where an index is twice?", True),
    Kind(SOON, "another sign",                    sign,                "Which sign does this term have?"),
    Kind(SOON, "another comparison",              comparison,          "When exactly does this condition hold?"),
    Kind(SOON, "an operand too many",             dropped,             "Does every operand here belong here?"),
    Kind(SOON, "another operator",                OPERATORS,           "Are these two multiplied, divided or added?"),
    Kind(SOON, "a call too many",                 wrapper,             "Does this call belong here?"),
    Kind(SOON, "another function",                function,            "Is this the function that belongs here?"),
    Kind(SOON, "a statement too many",            removed,             "Does this line belong here?", True),
    Kind(SOON, "another key",                     key,                 "Is this the right key?"),
    Kind(SOON, "another name",                    attribute,           "Is this the right attribute?"),
    Kind(SOON, "indices in another order",        index_order,         "In which order do these stand?"),
    Kind(SOON, "another name",                    another_name(True),  "Is each name here the right one?"),
    Kind(SOON, "another name",                    renaming(True),      "Is each name here the right one?", True),
    Kind(SOON, "another name",                    within(True),        "Is each name here the right one?"),
    Kind(SOON, "another name",                    another_name(False), "Is each name here right?", brings=ALIKE),
    Kind(SOON, "two names exchanged",             exchanged,           "Is each name here the right one?", True),
    Kind(SOON, "another count",                   count,               "How many are these, and of what?"),
    Kind(SOON, "another number",                  constant,            "Is this number the right one?"),
    Kind(THEN, "another index",                   index,               "Which element is read or written here?"),
    Kind(THEN, "a statement in the wrong loop",   moved,               "How often should this line run?", True),
    Kind(THEN, "another condition",               condition,           "When exactly does this condition hold?"),
    Kind(THEN, "a condition too many",            unconditional,       "Does this belong under a condition?", True),
    Kind(THEN, "an argument too many",            argument,            "Does each argument belong here?"),
    Kind(THEN, "another loop",                    backwards,           "In which order do the passes run?"),
    Kind(THEN, "another loop",                    ranged,              "Where does this loop begin and end?"),
    Kind(THEN, "a step forgotten",                stepped,             "How far does this move in each pass?"),
    Kind(THEN, "a step forgotten",                both_stepped,        "How far does this move in each pass?", True),
    Kind(THEN, "a step forgotten",                taps_stepped,        "How far apart are the windows?", True),
    Kind(THEN, "another axis",                    axis,                "Over which axes is this, and do they stay?"),
    Kind(THEN, "operands in another order",       arguments,           "In which order do these stand?"),
    Kind(THEN, "another slice",                   windows,             "Where does this slice begin and end?"),
    Kind(THEN, "another index",                   all_indices,         "Which element is read or written here?"),
    Kind(THEN, "another slice",                   widened,             "Which cells does a window cover?"),
    Kind(THEN, "a transpose too many or too few", transposed,          "What shape has each array here, axis by axis?"),
    Kind(THEN, "a term forgotten",                guarded,             "What keeps this away from zero?"),
    Kind(THEN, "a term forgotten",                centred,             "From where is this measured?"),
    Kind(THEN, "a condition forgotten",           both_axes,           "Does this hold for rows and for columns?"),
    Kind(THEN, "a factor forgotten",              bare,                "What multiplies this, by the chain rule?"),
    Kind(THEN, "another count",                   extent,              "How many are these, of what?", brings=COUNTS),
    Kind(THEN, "parentheses",                     parentheses,         "In which order is this worked out?"),
    Kind(THEN, "another slice",                   sliced,              "Where does this slice begin and end?"),
    Kind(THEN, "padded on one side alone",        evened,              "How many zeros stand on each side?"),
    Kind(THEN, "letters of an einsum",            letters,             "Which letter belongs to which axis?"),
    Kind(THEN, "a minus forgotten",               minus,               "Which sign does this term have?"),
    Kind(THEN, "statements in another order",     reordered,           "When does this line have to run?", True),
    Kind(THEN, "a statement forgotten",           carried,             "What does one pass hand on to the next?", True),
    Kind(THEN, "another number",                  other_number,        "Is this number the right one?", fitted=True),
    Kind(LAST, "another name",                    another_name(False), "Is each name here the right one?"),
    Kind(LAST, "a name in the place of another",  named_number,        "Is this the value that belongs here?"),
    Kind(LAST, "a name in the place of another",  another_part,        "Is this the value that belongs here?"),
    Kind(LAST, "a name in the place of another",  indexed_number,      "Is this the value that belongs here?"),
    Kind(LAST, "brackets",                        brackets,            "Which indices does this array have?"),
    Kind(LAST, "a function forgotten",            bent,                "Is this used as it is?"),
    Kind(LAST, "a factor forgotten",              factor,              "What multiplies this, by the chain rule?"),
    Kind(LAST, "a factor forgotten",              term_factor,         "What multiplies this, by the chain rule?"),
    Kind(LAST, "a factor forgotten",              count_factor,        "Over how many is this?", brings=COUNTS),
    Kind(LAST, "laid out in another order",       laid_out,            "In which order do the axes lie in memory?"),
    Kind(LAST, "another name",                    renaming(False),     "Is each name here the right one?", True),
    Kind(LAST, "a sum forgotten",                 reduced,             "Over what is this added up?"),
    Kind(LAST, "a term forgotten",                term,                "Are all terms here?"),
    Kind(LAST, "another index",                   worked_out,          "Which element is read or written here?"),
    Kind(LAST, "a factor forgotten",              inner_factor,        "What multiplies this, by the chain rule?"),
    Kind(LAST, "one more or less",                bound,               "Is this count right?"),
    Kind(LAST, "another slice",                   offset,              "Where does this slice begin and end?"),
    Kind(LAST, "a term forgotten",                product,             "Are all terms here?", brings=TERM),
    Kind(LAST, "a term forgotten",                indexed_term,        "Are all terms here?"),
    Kind(LAST, "a factor forgotten",              number_factor,       "What multiplies this?", fitted=True),
    Kind(LAST, "not cropped",                     padded,              "Which shape should this have?"),
)
# fmt: on


_OF_ARRAYS = frozenset(("shape", "T", "size", "ndim", "dtype"))


class Sites:
    """The places of a function at which something may be changed: the same ones for the same text."""

    def __init__(self, written: Written) -> None:
        self.node = node = written.node
        self.scope = scope_of(node, written.numpy)
        self.scope.strings += [key for key in written.keys if key not in self.scope.strings]
        self.scope.numbers += written.numbers
        self.scope.helpers += written.helpers
        if written.members:
            held = self.scope.attributes.setdefault("self", [])
            held += [name for name in written.members if name not in held]
        self.places = list(_places(node, self.scope))
        self.steps = list(_steps(node, self.scope))

    def edits(self, rank: int, chosen: Callable[[Any], bool] = lambda statement: True) -> Iterator[Edit]:
        """The edits of one kind, at the statements that are chosen."""
        kind = KINDS[rank]
        sites: Any = [] if kind.fitted else self.steps if kind.statements else self.places
        for at, site in enumerate(sites):
            statement = site.node if isinstance(site, Step) else site.statement
            if chosen(statement):
                for number, made in enumerate(kind.of(site)):
                    yield _edit(kind, rank, at, number, site, made)

    def edit(self, rank: int, at: int, number: int) -> Edit | None:
        """The one edit that these numbers say, if there is one."""
        if not 0 <= rank < len(KINDS):
            return None
        sites: Any = self.steps if KINDS[rank].statements else self.places
        if not 0 <= at < len(sites):
            return None
        if KINDS[rank].fitted:
            return self.times(rank, at, number / UNIT)
        for i, made in enumerate(KINDS[rank].of(sites[at])):
            if i == number:
                return _edit(KINDS[rank], rank, at, number, sites[at], made)
        return None

    def fitted(self, rank: int, chosen: Callable[[Any], bool] = lambda statement: True) -> Iterator[int]:
        """The places that a kind may multiply by a number."""
        for at, place in enumerate(self.places):
            if chosen(place.statement) and next(KINDS[rank].of(place, 2.0), None) is not None:
                yield at

    def times(self, rank: int, at: int, value: float) -> Edit | None:
        """The edit that multiplies what stands at a place by a number."""
        for made in KINDS[rank].of(self.places[at], value):
            return _edit(KINDS[rank], rank, at, round(value * UNIT), self.places[at], made)
        return None


UNIT = 10**9  # a number that an edit is fitted with is told as so many parts


def _edit(kind: Kind, rank: int, at: int, number: int, site: Any, made: Any) -> Edit:
    if isinstance(site, Place):
        change = site.put(made)
        return Edit(kind.name, rank, at, number, site.statement, (change,), site.node, made)
    note = made[-1] if isinstance(made[-1], str) and not isinstance(made[0], ast.AST) else ""
    parts = made[:-1] if note else made
    changes = parts if isinstance(parts[0], tuple) else (parts,)
    return Edit(kind.name, rank, at, number, site.node, tuple(changes), site.node, None, note)


def scope_of(node: Function, numpy: str) -> Scope:
    """The names in a function."""
    taken = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    names, loops, strings = list(taken), [], []
    attributes: dict[str, list[str]] = {}
    for at in ast.walk(node):
        if isinstance(at, ast.Name) and isinstance(at.ctx, ast.Store):
            names.append(at.id)
        elif isinstance(at, ast.arg):
            names.append(at.arg)
        elif isinstance(at, (ast.For, ast.comprehension)):
            loops += [n.id for n in ast.walk(at.target) if isinstance(n, ast.Name)]
        elif isinstance(at, ast.Subscript) and isinstance(at.slice, ast.Constant) and isinstance(at.slice.value, str):
            strings.append(at.slice.value)
        elif isinstance(at, ast.Attribute) and isinstance(at.value, ast.Name) and at.value.id != numpy:
            attributes.setdefault(at.value.id, []).extend([] if at.attr in _OF_ARRAYS else [at.attr])
    unpacked = [
        n.id for at in ast.walk(node) if isinstance(at, ast.Assign) and isinstance(at.value, (ast.Name, ast.Attribute))
        for target in at.targets for n in ast.walk(target) if isinstance(n, ast.Name)
    ]  # fmt: skip
    together = [
        {n.id for n in ast.walk(at) if isinstance(n, ast.Name)} for at in ast.walk(node)
        if isinstance(at, ast.Tuple) and isinstance(at.ctx, ast.Store)
    ]  # fmt: skip
    parts: dict[str, ast.expr] = {
        ast.dump(at): at for at in ast.walk(node)
        if isinstance(at, ast.Subscript) and isinstance(at.ctx, ast.Load) and isinstance(at.value, ast.Name)
    }  # fmt: skip
    once = lambda found: list(dict.fromkeys(found))
    first = [n for n in once([*taken, *unpacked]) if n not in ("self", "cache", "ctx")]
    indexed = {
        ast.dump(at.slice): at.slice for at in ast.walk(node) if isinstance(at, ast.Subscript)
        and any(isinstance(n, ast.Name) and n.id in loops for n in ast.walk(at.slice))
    }  # fmt: skip
    return Scope(
        [n for n in once(names) if n not in ("self", "cls", "_")], once(loops), once(strings),
        {k: once(v) for k, v in attributes.items()}, numpy, first, together, list(parts.values())[:20],
        list(indexed.values())[:6], [], [],
    )  # fmt: skip


def _steps(node: Function, scope: Scope) -> Iterator[Step]:
    def inside(owner: ast.AST, name: str, around: list[Any]) -> Iterator[Step]:
        for i, statement in enumerate(getattr(owner, name)):
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                continue
            yield Step(statement, owner, name, i, around, scope)
            for inner in ("body", "orelse"):
                if isinstance(getattr(statement, inner, None), list):
                    loop = isinstance(statement, (ast.For, ast.While)) and inner == "body"
                    yield from inside(statement, inner, [*around, (statement, owner, name, i)] if loop else around)

    if isinstance(node, ast.FunctionDef):
        yield from inside(node, "body", [])


def _places(node: Function, scope: Scope) -> Iterator[Place]:
    """The expressions of a function from top to bottom, outer before inner."""
    if isinstance(node, ast.Lambda):
        yield from _within(node, "body", None, node.body, "value", True, node, scope)
        return
    for step in _steps(node, scope):
        s = step.node
        for name, value in ast.iter_fields(s):
            if isinstance(s, (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assert, ast.Raise)):
                continue
            role = {"test": "test", "targets": "target", "target": "target", "iter": "bound"}.get(name, "value")
            whole = name == "value"
            if isinstance(value, ast.expr):
                yield from _within(s, name, None, value, role, whole, s, scope)
            elif isinstance(value, list):
                for i, item in enumerate(value):
                    if isinstance(item, ast.expr):
                        yield from _within(s, name, i, item, role, whole, s, scope)


def _within(
    owner: ast.AST, name: str, index: int | None, node: ast.expr, role: str, whole: bool, statement: Any, scope: Scope
) -> Iterator[Place]:
    yield Place(node, owner, name, index, role, whole, statement, scope)
    for field_name, value in ast.iter_fields(node):
        inner, still = role, False
        if isinstance(node, ast.Subscript):
            inner = "index" if field_name == "slice" else "value" if role != "target" else role
        elif isinstance(node, ast.Slice) or called(node) in RANGES:
            inner = "bound"
        elif isinstance(node, (ast.Call, ast.IfExp)) and role == "target":
            inner = "value"
        elif isinstance(node, ast.Compare):
            inner = "value" if role == "value" else role
        if whole and isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
            still = True  # a term
        if whole and isinstance(node, (ast.Tuple, ast.UnaryOp)):
            still = True
        if whole and isinstance(node, ast.BinOp) and field_name != "op":
            still = still or (isinstance(node.left, ast.BinOp) and field_name == "left")
        if isinstance(value, ast.expr):
            yield from _within(node, field_name, None, value, inner, still, statement, scope)
        elif isinstance(value, list):
            for i, item in enumerate(value):
                if isinstance(item, ast.expr):
                    yield from _within(node, field_name, i, item, inner, still, statement, scope)
                elif isinstance(item, ast.keyword):
                    yield from _within(item, "value", None, item.value, inner, False, statement, scope)
                elif isinstance(item, ast.comprehension):
                    yield from _within(item, "iter", None, item.iter, "bound", False, statement, scope)
