"""The table of edits: each kind of change at one place of a function's tree that a slip of the hand is the reverse of.

A kind is a row: its name, what it makes of an expression or of a statement, the question that leads there.  Its rank is
its place in the table: of two edits that both make a gradient right, the one that is further up is told.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Any, NamedTuple

Change = tuple[ast.AST, str, Any]  # an owner, one of its fields, what the field becomes


class Instead(NamedTuple):
    """What stands in the place of one item of a field that is a list."""

    item: ast.AST
    new: tuple[Any, ...]


Function = ast.FunctionDef | ast.Lambda


@dataclass
class Scope:
    """The names of a function: in the order in which they appear.

    names: arguments and what is assigned; loops: variables of loops; strings: keys; attributes: {base: attributes};
    numpy: the name of NumPy; first: of the names, those that come from outside (arguments and what they hold).
    together: names that are unpacked together.
    """

    names: list[str]
    loops: list[str]
    strings: list[str]
    attributes: dict[str, list[str]]
    numpy: str
    first: list[str]
    together: list[set[str]]


@dataclass
class Place:
    """An expression: where it hangs (owner, field, index in a list), what it is used for, and the statement it is of.

    role: "value", "index" (inside of brackets), "bound" (of a slice or range), "test", "target".
    whole: whether it is all of a statement's value, or a term of it.
    """

    node: ast.expr
    owner: ast.AST
    field: str
    index: int | None
    role: str
    whole: bool
    statement: ast.stmt | ast.Lambda
    scope: Scope

    def put(self, new: ast.expr) -> Change:
        if self.index is None:
            return self.owner, self.field, new
        return self.owner, self.field, Instead(self.node, (new,))


@dataclass
class Step:
    """A statement: the list it stands in (owner, field, index), the loops around it, innermost last."""

    node: ast.stmt
    owner: ast.AST
    field: str
    index: int
    around: list[tuple[ast.stmt, ast.AST, str, int]]
    scope: Scope

    @property
    def listed(self) -> list[ast.stmt]:
        return list(getattr(self.owner, self.field))

    def put(self, *new: ast.stmt) -> Change:
        """Other statements in the place of this one."""
        return self.owner, self.field, Instead(self.node, new)


class Edit(NamedTuple):
    """One change of a tree.  rank: the place of its kind in the table; at, number: the place of the function that it
    changes, and which of the changes there; statement: the one that it changes; node: what stands there, new: what
    would; note: for a statement, where else it would stand."""

    kind: str
    rank: int
    at: int
    number: int
    statement: ast.stmt | ast.Lambda
    changes: tuple[Change, ...]
    node: ast.AST
    new: ast.expr | None = None
    note: str = ""

    def apply(self) -> list[Change]:
        """Make the change; what is returned undoes it."""
        before = [(owner, name, getattr(owner, name)) for owner, name, _ in self.changes]
        put(self.changes)
        return before


def put(changes: list[Change] | tuple[Change, ...]) -> None:
    for owner, name, value in changes:
        if isinstance(value, Instead):
            listed = getattr(owner, name)
            value = [x for item in listed for x in (value.new if item is value.item else (item,))]
        setattr(owner, name, value)


@dataclass(frozen=True)
class Kind:
    """name: what the slip is called; of: the expressions (or whole changes) that it makes; hint: the question."""

    name: str
    of: Callable[[Any], Iterator[Any]]
    hint: str
    statements: bool = False


# ---- small trees


def name(text: str) -> ast.expr:
    """A name, or any short expression in Python."""
    return ast.Name(text, ast.Load()) if text.isidentifier() else ast.parse(text, mode="eval").body


def number(value: Any) -> ast.expr:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value < 0:
        return ast.UnaryOp(ast.USub(), ast.Constant(-value))
    return ast.Constant(value)


def binary(left: ast.expr, operator: type[ast.operator], right: ast.expr) -> ast.BinOp:
    return ast.BinOp(left, operator(), right)


def call(text: str, *args: ast.expr, **keywords: ast.expr) -> ast.Call:
    return ast.Call(name(text), list(args), [ast.keyword(k, v) for k, v in keywords.items()])


def axes(values: tuple[int, ...] | int) -> ast.expr:
    if isinstance(values, int):
        return number(values)
    return ast.Tuple([number(v) for v in values], ast.Load())


def called(node: ast.AST) -> str:
    """The last name of what is called: "sum" of np.sum(x) and of x.sum()."""
    if not isinstance(node, ast.Call):
        return ""
    f = node.func
    return f.attr if isinstance(f, ast.Attribute) else f.id if isinstance(f, ast.Name) else ""


def of_module(node: ast.Call, scope: Scope) -> bool:
    """Whether it is np.f(x) or f(x), so that its first argument is what it is of; not x.f()."""
    f = node.func
    if isinstance(f, ast.Name):
        return True
    base = f.value if isinstance(f, ast.Attribute) else None
    while isinstance(base, ast.Attribute):
        base = base.value
    return isinstance(base, ast.Name) and base.id == scope.numpy


def integer(node: ast.AST) -> int | None:
    """The whole number that a constant is, with its sign."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = integer(node.operand)
        return None if inner is None else -inner
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    return None


# ---- expressions


def exchanged_operator(groups: dict[type[ast.operator], tuple[type[ast.operator], ...]]) -> Callable[..., Any]:
    def made(p: Place) -> Iterator[ast.expr]:
        if isinstance(p.node, ast.BinOp):
            for other in groups.get(type(p.node.op), ()):
                yield ast.BinOp(p.node.left, other(), p.node.right)

    return made


def sign(p: Place) -> Iterator[ast.expr]:
    yield from exchanged_operator({ast.Add: (ast.Sub,), ast.Sub: (ast.Add,)})(p)
    if isinstance(p.node, ast.UnaryOp) and isinstance(p.node.op, ast.USub):
        yield p.node.operand
    elif isinstance(p.node, ast.Constant) and isinstance(p.node.value, (int, float)) and p.role == "value":
        if not isinstance(p.node.value, bool) and not isinstance(p.owner, (ast.UnaryOp, ast.Tuple, ast.keyword)):
            yield number(-p.node.value)


def minus(p: Place) -> Iterator[ast.expr]:
    """A minus forgotten."""
    if isinstance(p.node, ast.BinOp) or p.whole or (p.role == "value" and isinstance(p.node, (ast.Call, ast.Name))):
        yield ast.UnaryOp(ast.USub(), p.node)


OPERATORS = exchanged_operator({
    ast.Mult: (ast.Div, ast.Add, ast.MatMult, ast.FloorDiv, ast.Sub), ast.Div: (ast.Mult, ast.FloorDiv, ast.Sub),
    ast.FloorDiv: (ast.Mod, ast.Div, ast.Mult), ast.Mod: (ast.FloorDiv,), ast.Add: (ast.Mult, ast.Div),
    ast.Sub: (ast.Mult, ast.Div), ast.MatMult: (ast.Mult,), ast.Pow: (ast.Mult, ast.Div),
})  # fmt: skip


def comparison(p: Place) -> Iterator[ast.expr]:
    if isinstance(p.node, ast.Compare) and len(p.node.ops) == 1:
        for other in (ast.Gt, ast.GtE, ast.Lt, ast.LtE, ast.Eq, ast.NotEq):
            if not isinstance(p.node.ops[0], other):
                yield ast.Compare(p.node.left, [other()], p.node.comparators)


def condition(p: Place) -> Iterator[ast.expr]:
    if isinstance(p.node, ast.BoolOp):
        other = ast.And() if isinstance(p.node.op, ast.Or) else ast.Or()
        yield ast.BoolOp(other, p.node.values)
        for i in range(len(p.node.values)):
            rest = p.node.values[:i] + p.node.values[i + 1 :]
            yield rest[0] if len(rest) == 1 else ast.BoolOp(p.node.op, rest)
    if isinstance(p.node, ast.UnaryOp) and isinstance(p.node.op, (ast.Not, ast.Invert)):
        yield p.node.operand
    elif isinstance(p.node, ast.Compare) and p.role != "test":
        yield ast.UnaryOp(ast.Invert(), p.node)
    elif p.role == "test" and isinstance(p.owner, (ast.If, ast.While, ast.IfExp)) and p.field == "test":
        yield ast.UnaryOp(ast.Not(), p.node)


def constant(p: Place) -> Iterator[ast.expr]:
    if not isinstance(p.node, ast.Constant) or isinstance(p.owner, ast.UnaryOp):
        inner = p.node.operand if isinstance(p.node, ast.UnaryOp) else None
        if not isinstance(inner, ast.Constant) or not isinstance(p.node.op, ast.USub):  # type: ignore[attr-defined]
            return
        value = -inner.value if isinstance(inner.value, (int, float)) else None
    else:
        value = p.node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        if isinstance(p.owner, ast.Slice) and p.field == "step":
            return
        for other in dict.fromkeys((value + 1, value - 1, 0, 1, 2, -1, -value, 3, -2)):
            if other != value:
                yield number(other)
        yield number(float(value) / 2) if value % 2 else number(value * 2)
    elif isinstance(value, float):
        for real in dict.fromkeys((-value, value * 2, value / 2, value + 1, value - 1, 1.0, 0.0, value**2)):
            if real != value:
                yield number(real)


def key(p: Place) -> Iterator[ast.expr]:
    if isinstance(p.node, ast.Constant) and isinstance(p.node.value, str) and called(p.owner) != "einsum":
        for other in p.scope.strings:
            if other != p.node.value:
                yield ast.Constant(other)


REDUCED = ("sum", "mean", "max", "min", "argmax", "argmin", "var", "std", "prod", "any", "all", "cumsum", "softmax")
AXES: tuple[tuple[int, ...] | int, ...] = (
    0, 1, -1, 2, 3, (0, 2, 3), (2, 3), (0, 1, 2), (0, 2), (0, 1), (1, 2), (1, 3), (0, 3), (1, 2, 3), (0, 1, 3),
    -2, (-1, -2), (0, 2, 3, 4), (2, 3, 4),
)  # fmt: skip


def axis(p: Place) -> Iterator[ast.expr]:
    if called(p.node) in ("flip", "roll", "concatenate", "expand_dims", "squeeze") and isinstance(p.node, ast.Call):
        yield from _other_axes(p.node)
    if called(p.node) not in REDUCED:
        return
    assert isinstance(p.node, ast.Call)
    given = {k.arg: k.value for k in p.node.keywords}
    held = [k for k in p.node.keywords if k.arg not in ("axis", "keepdims")]
    skip = 1 if of_module(p.node, p.scope) else 0
    positional = p.node.args[skip] if len(p.node.args) > skip else None
    args = p.node.args[:skip] if positional is not None else p.node.args
    at = given.get("axis", positional)
    kept = [ast.keyword("keepdims", given["keepdims"])] if "keepdims" in given else []
    over = [ast.keyword("axis", at)] if at is not None else []
    true = [ast.keyword("keepdims", ast.Constant(True))]
    remake = lambda *keywords: ast.Call(p.node.func, args, [*held, *(k for ks in keywords for k in ks)])  # type: ignore[attr-defined]
    if kept:
        yield remake(over)
    elif at is not None or called(p.node) in ("sum", "mean"):
        yield remake(over, true)
    for other in AXES:
        new = [ast.keyword("axis", axes(other))]
        if at is None or ast.dump(axes(other)) != ast.dump(at):
            yield remake(new, kept)
    if at is not None:
        yield remake(kept)
        for other in AXES[:12]:
            yield remake([ast.keyword("axis", axes(other))], [] if kept else true)


def _other_axes(node: ast.Call) -> Iterator[ast.expr]:
    keywords = [k for k in node.keywords if k.arg not in ("axis", "axes")]
    keep = 2 if called(node) == "roll" else 1
    for other in AXES:
        yield ast.Call(node.func, node.args[:keep], [*keywords, ast.keyword("axis", axes(other))])


def another_name(near: bool) -> Callable[[Place], Iterator[ast.expr]]:
    def made(p: Place) -> Iterator[ast.expr]:
        if not isinstance(p.node, ast.Name) or not isinstance(p.node.ctx, ast.Load) or p.node.id not in p.scope.names:
            return
        for other in p.scope.names:
            if other != p.node.id and alike(p.node.id, other, p.scope) == near:
                yield ast.Name(other, ast.Load())

    return made


def alike(a: str, b: str, scope: Scope) -> bool:
    """Whether two names are easily taken for each other: variables of loops, names that are unpacked together, names
    with H for W, one in the other."""
    if a in scope.loops and b in scope.loops:
        return True
    if any(a in group and b in group for group in scope.together):
        return True
    a, b = a.lower(), b.lower()
    if a == b or a.translate(_SIDES) == b.translate(_SIDES):
        return True
    return min(len(a), len(b)) > 1 and (a in b or b in a) or (len(b) > 1 and b[1:] == a) or (len(a) > 1 and a[1:] == b)


_SIDES = str.maketrans("hwijuvrcxy", "HHIIUURRXX")


def attribute(p: Place) -> Iterator[ast.expr]:
    if isinstance(p.node, ast.Attribute) and isinstance(p.node.value, ast.Name) and p.node.value.id != p.scope.numpy:
        for other in p.scope.attributes.get(p.node.value.id, []):
            if other != p.node.attr:
                yield ast.Attribute(p.node.value, other, p.node.ctx)


def index_order(p: Place) -> Iterator[ast.expr]:
    """Two indices of one pair of brackets, two members of a tuple exchanged (also where they are assigned)."""
    if isinstance(p.node, ast.Tuple) and len(p.node.elts) <= 7:
        for i, j in combinations(range(len(p.node.elts)), 2):
            listed = list(p.node.elts)
            listed[i], listed[j] = listed[j], listed[i]
            if ast.dump(listed[i]) != ast.dump(listed[j]):
                yield ast.Tuple(listed, p.node.ctx)


def _indexed(p: Place) -> bool:
    """Whether this is one index in brackets."""
    if p.role != "index" or isinstance(p.node, ast.Tuple) or isinstance(p.owner, ast.Slice):
        return False
    return isinstance(p.owner, (ast.Subscript, ast.Tuple))


def index(p: Place) -> Iterator[ast.expr]:
    """Another index in brackets: a loop's own variable, one further, one back, all of them."""
    if not _indexed(p):
        return
    if isinstance(p.node, ast.Slice):
        if p.node.lower is p.node.upper is p.node.step is None:
            for variable in p.scope.loops:
                yield name(variable)
        return
    if integer(p.node) is not None:
        for variable in p.scope.loops:
            yield name(variable)
    elif not isinstance(p.node, ast.Constant):
        yield binary(p.node, ast.Add, number(1))
        yield binary(p.node, ast.Sub, number(1))
        yield number(0)
    yield ast.Slice()


def worked_out(p: Place) -> Iterator[ast.expr]:
    """An index that is worked out otherwise: more or less by a name, times it, counted from the end."""
    if not _indexed(p) or isinstance(p.node, (ast.Slice, ast.Constant, ast.UnaryOp)):
        return
    for variable in p.scope.names:
        if not (isinstance(p.node, ast.Name) and p.node.id == variable):
            yield binary(p.node, ast.Add, name(variable))
            yield binary(p.node, ast.Sub, name(variable))
            yield binary(p.node, ast.Mult, name(variable))
            yield binary(p.node, ast.FloorDiv, name(variable))
            yield binary(binary(name(variable), ast.Sub, number(1)), ast.Sub, p.node)


def all_indices(p: Place) -> Iterator[ast.expr]:
    """The same slip in all indices of one pair of brackets: turned round, or not; a step of the loop forgotten."""
    if not isinstance(p.node, ast.Subscript) or not isinstance(p.node.slice, ast.Tuple):
        return
    elts = p.node.slice.elts
    changes: list[Callable[[Any], Any]] = [
        lambda e: e.right if isinstance(e, ast.BinOp) else None,
        lambda e: e.left if isinstance(e, ast.BinOp) else None,
        lambda e: binary(e.left.right, type(e.op), e.right) if isinstance(e, ast.BinOp) and isinstance(e.left, ast.BinOp) else None,
        lambda e: binary(e.left.left, type(e.op), e.right) if isinstance(e, ast.BinOp) and isinstance(e.left, ast.BinOp) else None,
    ]  # fmt: skip
    for other in p.scope.names:
        changes.append(
            lambda e, n=other: binary(binary(e.left, ast.Mult, name(n)), type(e.op), e.right)
            if isinstance(e, ast.BinOp) and isinstance(e.left, ast.Name) else None
        )  # fmt: skip
    for change in changes:
        new = [change(e) for e in elts]
        if sum(n is not None for n in new) > 1:
            listed = [n if n is not None else e for n, e in zip(new, elts, strict=True)]
            yield ast.Subscript(p.node.value, ast.Tuple(listed, ast.Load()), p.node.ctx)


def stepped(p: Place) -> Iterator[ast.expr]:
    """A variable of a loop that is not multiplied by the step (or another number)."""
    if isinstance(p.node, ast.Name) and isinstance(p.node.ctx, ast.Load) and p.node.id in p.scope.loops:
        for other in p.scope.names:
            if other not in p.scope.loops:
                yield binary(p.node, ast.Mult, name(other))


def both_stepped(s: Step) -> Iterator[Change]:
    """The same in a whole line."""
    if not isinstance(s.node, (ast.Assign, ast.AugAssign)):
        return
    used = [n.id for n in ast.walk(s.node) if isinstance(n, ast.Name) and n.id in s.scope.loops]
    if len(used) < 2:
        return
    for other in s.scope.names:
        if other not in s.scope.loops:
            for chosen in (tuple(dict.fromkeys(used)), *combinations(dict.fromkeys(used), 2)):
                yield s.put(_Times(set(chosen), other).visit(copy.deepcopy(s.node)))


class _Times(ast.NodeTransformer):
    def __init__(self, names: set[str], other: str) -> None:
        self.names, self.other = names, other

    def visit_Name(self, node: ast.Name) -> ast.expr:  # noqa: N802 (ast's name)
        if node.id in self.names and isinstance(node.ctx, ast.Load):
            made = ast.BinOp(node, ast.Mult(), ast.Name(self.other, ast.Load()))
            return ast.copy_location(ast.fix_missing_locations(ast.copy_location(made, node)), node)
        return node


def brackets(p: Place) -> Iterator[ast.expr]:
    """An index too many or too few."""
    if isinstance(p.node, ast.Subscript):
        inner = p.node.slice
        if isinstance(p.node.ctx, ast.Load):
            yield p.node.value
        if isinstance(inner, ast.Tuple):
            for i in range(len(inner.elts)):
                rest = inner.elts[:i] + inner.elts[i + 1 :]
                yield ast.Subscript(
                    p.node.value, rest[0] if len(rest) == 1 else ast.Tuple(rest, ast.Load()), p.node.ctx
                )
        for variable in p.scope.loops:
            held = list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
            for i in range(len(held) + 1):
                more: list[ast.expr] = [*held[:i], name(variable), *held[i:]]
                yield ast.Subscript(p.node.value, ast.Tuple(more, ast.Load()), p.node.ctx)
    elif isinstance(p.node, ast.Name) and p.role == "value" and p.node.id in p.scope.names:
        for variable in p.scope.loops:
            if variable != p.node.id:
                yield ast.Subscript(p.node, name(variable), ast.Load())


def sliced(p: Place) -> Iterator[ast.expr]:
    """A slice with another bound or step; a bound that is one further or nearer."""
    if not isinstance(p.node, ast.Slice):
        if p.role == "bound" and isinstance(p.owner, ast.Slice):
            yield binary(p.node, ast.Add, number(1))
            yield binary(p.node, ast.Sub, number(1))
        return
    low, high, step = p.node.lower, p.node.upper, p.node.step
    for given in ((None, high, step), (low, None, step), (low, high, None)):
        if given != (low, high, step):
            yield ast.Slice(*given)
    if step is None:
        yield ast.Slice(low, high, number(-1))
        for other in p.scope.names:
            yield ast.Slice(low, high, name(other))
        yield ast.Slice(low, high, number(2))
    if low is None:
        yield ast.Slice(number(1), high, step)
        for other in p.scope.names:
            yield ast.Slice(name(other), high, step)
    if high is None:
        yield ast.Slice(low, number(-1), step)


def offset(p: Place) -> Iterator[ast.expr]:
    """A bound of a slice that is a name more, less or times it."""
    if p.role == "bound" and isinstance(p.owner, ast.Slice) and not isinstance(p.node, ast.Slice):
        for other in p.scope.names:
            yield binary(p.node, ast.Add, name(other))
            yield binary(p.node, ast.Sub, name(other))
            yield binary(p.node, ast.Mult, name(other))


def windows(p: Place) -> Iterator[ast.expr]:
    """A window a : a + k (or several in one pair of brackets) that begins elsewhere: both its bounds are other ones."""
    if not isinstance(p.node, ast.Subscript):
        return
    listed = list(p.node.slice.elts) if isinstance(p.node.slice, ast.Tuple) else [p.node.slice]
    opened = [i for i, at in enumerate(listed) if isinstance(at, ast.Slice) and at.lower is None and at.upper is not None]
    for chosen in [*[[i] for i in opened], *([opened] if len(opened) > 1 else [])]:
        for other in p.scope.names:  # the image inside of its padding
            new: list[Any] = list(listed)
            for i in chosen:
                new[i] = ast.Slice(name(other), binary(name(other), ast.Add, new[i].upper), new[i].step)
            inner = ast.Tuple(new, ast.Load()) if isinstance(p.node.slice, ast.Tuple) else new[0]
            yield ast.Subscript(p.node.value, inner, p.node.ctx)
    found = [i for i, at in enumerate(listed) if _window(at)]
    groups = [*[[i] for i in found], *([found] if len(found) > 1 else [])]
    for chosen in groups:
        first: Any = listed[chosen[0]]
        for change in _elsewhere(first.lower, p.scope, len(chosen) > 1):
            new = list(listed)
            for i in chosen:
                at: Any = listed[i]
                low = change(at.lower)
                if low is None:
                    break
                new[i] = ast.Slice(low, binary(low, type(at.upper.op), at.upper.right), at.step)
            else:
                inner = ast.Tuple(new, ast.Load()) if isinstance(p.node.slice, ast.Tuple) else new[0]
                yield ast.Subscript(p.node.value, inner, p.node.ctx)


def _window(at: ast.expr) -> bool:
    if not isinstance(at, ast.Slice) or at.lower is None or not isinstance(at.upper, ast.BinOp):
        return False
    return isinstance(at.upper.op, (ast.Add, ast.Sub)) and ast.dump(at.lower) == ast.dump(at.upper.left)


def _elsewhere(low: ast.expr, scope: Scope, several: bool) -> Iterator[Callable[[Any], ast.expr | None]]:
    yield lambda at: at.left if isinstance(at, ast.BinOp) else None
    for other in scope.names:
        yield lambda at, n=other: binary(at, ast.Mult, name(n))  # type: ignore[misc]
    for sign_, value in ((ast.Add, 1), (ast.Sub, 1)):
        yield lambda at, s=sign_, v=value: binary(at, s, number(v))  # type: ignore[misc]
    for other in scope.names:
        yield lambda at, n=other: binary(at, ast.Sub, name(n))  # type: ignore[misc]
        yield lambda at, n=other: binary(at, ast.Add, name(n))  # type: ignore[misc]
    for inside in sorted({n.id for n in ast.walk(low) if isinstance(n, ast.Name)}):
        for other in scope.names:
            if other != inside:
                yield lambda at, a=inside, b=other: renamed(at, a, b)  # type: ignore[misc]


def renamed(node: Any, old: str, new: str) -> Any:
    """A copy with a name exchanged for another."""
    made = copy.deepcopy(node)
    for at in ast.walk(made):
        if isinstance(at, ast.Name) and at.id == old:
            at.id = new
    return made


def ranged(p: Place) -> Iterator[ast.expr]:
    """A loop that begins, ends or steps elsewhere."""
    if not (isinstance(p.node, ast.Call) and isinstance(p.node.func, ast.Name)) or called(p.node) not in RANGES:
        return
    args = p.node.args
    remake = lambda *new: ast.Call(p.node.func, list(new), [])  # type: ignore[attr-defined]
    if not 1 <= len(args) <= 3:
        return
    start, stop, step = (args[0] if len(args) > 1 else number(0)), args[min(1, len(args) - 1)], args[2:]
    for end in (binary(stop, ast.Add, number(1)), binary(stop, ast.Sub, number(1))):
        yield remake(start, end, *step) if len(args) > 1 else remake(end)
    if isinstance(stop, ast.BinOp) and integer(stop.right) is not None:
        yield remake(start, stop.left, *step) if len(args) > 1 else remake(stop.left)
    if len(args) > 1:
        yield remake(stop)
        yield remake(number(0), stop, *step)
    else:
        yield remake(number(1), stop)
    if step:
        yield remake(start, stop)
    else:
        for other in p.scope.names:
            yield remake(start, stop, name(other))


RANGES = ("range", "xrange", "arange")


def arguments(p: Place) -> Iterator[ast.expr]:
    """Two arguments exchanged; the operands of a product or quotient exchanged."""
    if isinstance(p.node, ast.Call):
        for i, j in combinations(range(len(p.node.args)), 2):
            listed = list(p.node.args)
            listed[i], listed[j] = listed[j], listed[i]
            if ast.dump(listed[i]) != ast.dump(listed[j]):
                yield ast.Call(p.node.func, listed, p.node.keywords)
        f = p.node.func
        if isinstance(f, ast.Attribute) and f.attr in ("dot", "matmul") and len(p.node.args) == 1:
            if not of_module(p.node, p.scope):
                yield ast.Call(ast.Attribute(p.node.args[0], f.attr, ast.Load()), [f.value], [])
    elif isinstance(p.node, ast.BinOp) and isinstance(p.node.op, (ast.Sub, ast.Div, ast.MatMult, ast.Pow, ast.FloorDiv)):
        yield ast.BinOp(p.node.right, p.node.op, p.node.left)
    elif isinstance(p.node, ast.IfExp):
        yield ast.IfExp(p.node.test, p.node.orelse, p.node.body)
    elif isinstance(p.node, ast.List) and 2 <= len(p.node.elts) <= 6:
        for i, j in combinations(range(len(p.node.elts)), 2):
            listed = list(p.node.elts)
            listed[i], listed[j] = listed[j], listed[i]
            yield ast.List(listed, p.node.ctx)


def laid_out(p: Place) -> Iterator[ast.expr]:
    """x.reshape(..).transpose(..), both in another order."""
    outer = p.node
    if called(outer) != "transpose" or not isinstance(outer, ast.Call) or not isinstance(outer.func, ast.Attribute):
        return
    inner = outer.func.value
    if called(inner) != "reshape" or not isinstance(inner, ast.Call) or not (2 <= len(inner.args) <= 4):
        return
    if len(outer.args) != len(inner.args):
        return
    for sizes in permutations(inner.args):
        made = ast.Call(inner.func, list(sizes), inner.keywords)
        for order in permutations(range(len(sizes))):
            turned = [number(i) for i in order]
            yield ast.Call(ast.Attribute(made, "transpose", ast.Load()), turned, [])


def transposed(p: Place) -> Iterator[ast.expr]:
    """A transpose too many, too few, or of other axes; a reshape in another order."""
    if isinstance(p.node, ast.Attribute) and p.node.attr == "T":
        yield p.node.value
        return
    what = called(p.node)
    if what in ("transpose", "reshape", "moveaxis", "swapaxes", "permute") and isinstance(p.node, ast.Call):
        skip = 1 if of_module(p.node, p.scope) else 0
        rest = p.node.args[skip:]
        together = len(rest) == 1 and isinstance(rest[0], (ast.Tuple, ast.List))
        listed = list(rest[0].elts) if together else list(rest)  # type: ignore[attr-defined]
        if 2 <= len(listed) <= 6:
            for order in list(permutations(listed))[1:]:
                new = [ast.Tuple(list(order), ast.Load())] if together else list(order)
                yield ast.Call(p.node.func, [*p.node.args[:skip], *new], p.node.keywords)
    elif p.role == "value" and isinstance(p.node, (ast.Name, ast.Subscript, ast.Call, ast.BinOp, ast.Attribute)):
        if not (isinstance(p.owner, ast.Attribute) or isinstance(p.owner, ast.Subscript)):
            yield ast.Attribute(p.node, "T", ast.Load())


GROUPS = (
    ("sum", "mean", "max", "min", "prod"), ("argmax", "argmin"), ("maximum", "minimum", "multiply"), ("var", "std"),
    ("zeros_like", "ones_like", "empty_like"), ("zeros", "ones", "empty"), ("exp", "log", "sqrt", "square", "abs", "sign"),
    ("tanh", "cosh", "sinh", "exp"), ("dot", "multiply", "outer", "matmul"), ("flipud", "fliplr", "flip"),
    ("floor", "ceil", "round"), ("repeat", "tile"), ("add", "subtract"), ("sin", "cos"), ("hstack", "vstack"),
    ("triu", "tril"), ("diag", "diagflat"), ("logical_and", "logical_or"), ("nanmax", "max"),
)  # fmt: skip


def function(p: Place) -> Iterator[ast.expr]:
    if not isinstance(p.node, ast.Call):
        return
    what = called(p.node)
    for group in GROUPS:
        if what in group:
            for other in group:
                if other != what:
                    f = p.node.func
                    new: ast.expr = (
                        ast.Attribute(f.value, other, ast.Load()) if isinstance(f, ast.Attribute) else name(other)
                    )
                    yield ast.Call(new, p.node.args, p.node.keywords)


def wrapper(p: Place) -> Iterator[ast.expr]:
    """A call that is one too many: f(x) is x."""
    if isinstance(p.node, ast.Call) and p.role in ("value", "bound", "index", "test"):
        if of_module(p.node, p.scope) and p.node.args:
            yield p.node.args[0]
        elif isinstance(p.node.func, ast.Attribute) and not of_module(p.node, p.scope):
            yield p.node.func.value
    elif isinstance(p.node, ast.IfExp):
        yield p.node.body
        yield p.node.orelse


def argument(p: Place) -> Iterator[ast.expr]:
    """An argument too many."""
    if isinstance(p.node, ast.Call):
        for i in range(len(p.node.keywords)):
            yield ast.Call(p.node.func, p.node.args, p.node.keywords[:i] + p.node.keywords[i + 1 :])
        if len(p.node.args) > 1:
            yield ast.Call(p.node.func, p.node.args[:-1], p.node.keywords)


def named_number(p: Place) -> Iterator[ast.expr]:
    """A number where a name belongs; a name where an attribute does, or the reverse."""
    if isinstance(p.node, ast.Constant) and type(p.node.value) in (int, float):
        for other in p.scope.names:
            yield name(other)
    elif isinstance(p.node, ast.Name) and p.node.id in p.scope.names and isinstance(p.node.ctx, ast.Load):
        for base, held in p.scope.attributes.items():
            for other in held:
                yield ast.Attribute(ast.Name(base, ast.Load()), other, ast.Load())
    elif isinstance(p.node, ast.Attribute) and isinstance(p.node.value, ast.Name) and isinstance(p.node.ctx, ast.Load):
        if p.node.value.id in p.scope.attributes and not (isinstance(p.owner, ast.Call) and p.field == "func"):
            for other in p.scope.names:
                yield name(other)


def dropped(p: Place) -> Iterator[ast.expr]:
    """An operand too many."""
    if isinstance(p.node, ast.BinOp):
        yield p.node.left
        yield p.node.right
        inner = p.node.left
        while isinstance(inner, ast.BinOp):
            inner = inner.left
            yield inner


def parentheses(p: Place) -> Iterator[ast.expr]:
    n = p.node
    if isinstance(n, ast.BinOp) and isinstance(n.left, ast.BinOp):
        for operator in (n.left.op, ast.Add(), ast.Sub(), ast.Mult(), ast.Div()):
            yield ast.BinOp(n.left.left, operator, ast.BinOp(n.left.right, n.op, n.right))
    if isinstance(n, ast.BinOp) and isinstance(n.right, ast.BinOp):
        yield ast.BinOp(ast.BinOp(n.left, n.op, n.right.left), n.right.op, n.right.right)
    if isinstance(n, ast.BinOp) and isinstance(n.left, ast.UnaryOp):
        yield ast.UnaryOp(n.left.op, ast.BinOp(n.left.operand, n.op, n.right))
    if isinstance(n, ast.UnaryOp) and isinstance(n.operand, ast.BinOp):
        inner = n.operand
        yield ast.BinOp(ast.UnaryOp(n.op, inner.left), inner.op, inner.right)


def bent(p: Place) -> Iterator[ast.expr]:
    """A function forgotten: the square, the root, one minus it, its mask, its derivative."""
    if p.role != "value" or isinstance(p.node, (ast.Constant, ast.Tuple, ast.Lambda, ast.Compare)):
        return
    if isinstance(p.node, ast.Name) and p.node.id not in p.scope.names:
        return
    if isinstance(p.owner, ast.Attribute):
        return
    n = p.scope.numpy
    yield binary(p.node, ast.Pow, number(2))
    yield binary(number(1), ast.Sub, p.node)
    yield call(f"{n}.sqrt", p.node)
    yield binary(p.node, ast.Mult, binary(number(1), ast.Sub, p.node))
    yield binary(number(1), ast.Sub, binary(p.node, ast.Pow, number(2)))
    yield ast.Compare(p.node, [ast.Gt()], [number(0)])
    yield call(f"{n}.exp", p.node)
    yield call(f"{n}.log", p.node)
    yield call(f"{n}.abs", p.node)
    yield call(f"{n}.sign", p.node)
    yield call(f"{n}.tanh", p.node)
    yield binary(p.node, ast.Pow, number(3))
    yield call(f"{n}.cos", p.node)
    yield ast.Call(ast.Attribute(p.node, "copy", ast.Load()), [], [])
    if not isinstance(p.node, ast.BinOp):
        yield call(f"{n}.flip", p.node)
        for turned in ("[::-1, ::-1]", "[..., ::-1, ::-1]", "[..., ::-1]", "[::-1]", "[:, ::-1]"):
            yield ast.Subscript(p.node, ast.parse("x" + turned, mode="eval").body.slice, ast.Load())  # type: ignore[attr-defined]


def reduced(p: Place) -> Iterator[ast.expr]:
    """A sum or mean forgotten."""
    if p.role == "value" and (p.whole or isinstance(p.node, ast.BinOp)) and not isinstance(p.node, ast.Tuple):
        for what in ("sum", "mean"):
            for over in (None, *AXES[:12]):
                for kept in (True, False):
                    keywords = {} if over is None else {"axis": axes(over)}
                    keywords |= {"keepdims": ast.Constant(True)} if kept else {}
                    yield call(f"{p.scope.numpy}.{what}", p.node, **keywords)


def padded(p: Place) -> Iterator[ast.expr]:
    """A pad that was not cut off again: [..., p:-p, p:-p] or the same without a last axis."""
    if p.role == "value" and p.whole and isinstance(p.node, (ast.Name, ast.Call)):
        for one in p.scope.names:
            for text in ("[:, :, {0}:-{0}, {0}:-{0}]", "[:, {0}:-{0}, {0}:-{0}, :]", "[{0}:-{0}, {0}:-{0}]"):
                made: Any = ast.parse("x" + text.format(one), mode="eval").body
                yield ast.Subscript(p.node, made.slice, ast.Load())


def term_factor(p: Place) -> Iterator[ast.expr]:
    """A factor or divisor of one term forgotten."""
    if p.whole or p.role != "value" or isinstance(p.node, ast.Constant):
        return
    if isinstance(p.owner, ast.BinOp) and isinstance(p.owner.op, (ast.Add, ast.Sub)):
        for other in p.scope.names:
            yield binary(p.node, ast.Mult, name(other))
            yield binary(p.node, ast.Div, name(other))


def factor(p: Place) -> Iterator[ast.expr]:
    """A factor or divisor forgotten."""
    if not p.whole or p.role != "value" or isinstance(p.node, (ast.Tuple, ast.List, ast.Dict)):
        return
    for other in p.scope.names:
        yield binary(p.node, ast.Mult, name(other))
        yield binary(p.node, ast.Div, name(other))
    for base in p.scope.first[:4]:
        for text in (".shape[0]", ".shape[1]", ".shape[2]", ".shape[3]", ".size"):
            yield binary(p.node, ast.Div, name(base + text))
            yield binary(p.node, ast.Mult, name(base + text))
        yield binary(p.node, ast.Div, call("len", name(base)))
    for other in p.scope.names:
        yield binary(p.node, ast.Div, call(f"{p.scope.numpy}.sqrt", name(other)))
    for value in (2.0, 0.5):
        yield binary(p.node, ast.Mult, number(value))
    for other in p.scope.names:
        yield binary(p.node, ast.Mult, ast.Compare(name(other), [ast.Gt()], [number(0)]))
        yield binary(p.node, ast.Mult, binary(number(1), ast.Sub, name(other)))
        yield binary(p.node, ast.MatMult, name(other))


def inner_factor(p: Place) -> Iterator[ast.expr]:
    """The same inside of an expression."""
    if p.role == "value" and not p.whole and isinstance(p.node, (ast.Name, ast.Subscript, ast.Call, ast.BinOp, ast.Attribute)):
        if isinstance(p.owner, (ast.Attribute, ast.Subscript)) or (
            isinstance(p.node, ast.Name) and p.node.id not in p.scope.names
        ):
            return
        for other in p.scope.names:
            yield binary(p.node, ast.Mult, name(other))
            yield binary(p.node, ast.Div, name(other))


def term(p: Place) -> Iterator[ast.expr]:
    """A term forgotten."""
    if p.whole and p.role == "value" and not isinstance(p.node, (ast.Tuple, ast.List, ast.Dict)):
        for other in p.scope.names:
            yield binary(p.node, ast.Add, name(other))
            yield binary(p.node, ast.Sub, name(other))
        yield binary(p.node, ast.Sub, number(1))
        yield binary(p.node, ast.Add, number(1))


def bound(p: Place) -> Iterator[ast.expr]:
    """A count that is one more or less, or times a name: of a shape, a size, an offset."""
    if p.role in ("value", "bound") and not p.whole and isinstance(p.node, (ast.Name, ast.BinOp)):
        if isinstance(p.node, ast.Name) and p.node.id not in p.scope.names:
            return
        yield binary(p.node, ast.Add, number(1))
        yield binary(p.node, ast.Sub, number(1))
        if isinstance(p.owner, (ast.BinOp, ast.Call)):
            for other in p.scope.names:
                yield binary(p.node, ast.Add, name(other))
                yield binary(p.node, ast.Sub, name(other))


def letters(p: Place) -> Iterator[ast.expr]:
    """The letters of an einsum: two exchanged, one for another, one too many or too few, operands exchanged."""
    if called(p.owner) != "einsum" or not isinstance(p.node, ast.Constant) or not isinstance(p.node.value, str):
        return
    text = p.node.value
    known = sorted(set(text) - set(",->. "))
    parts = text.replace("->", ",").split(",")
    if "->" not in text or len(parts) > 5:
        return

    def joined(changed: list[str]) -> ast.expr:
        return ast.Constant(",".join(changed[:-1]) + "->" + changed[-1])

    for i, part in enumerate(parts):
        for a, b in combinations(range(len(part)), 2):
            listed = list(part)
            listed[a], listed[b] = listed[b], listed[a]
            yield joined([*parts[:i], "".join(listed), *parts[i + 1 :]])
        for a in range(len(part)):
            for other in known:
                if other != part[a]:
                    yield joined([*parts[:i], part[:a] + other + part[a + 1 :], *parts[i + 1 :]])
    for i, j in combinations(range(len(parts) - 1), 2):
        listed = list(parts)
        listed[i], listed[j] = listed[j], listed[i]
        yield joined(listed)
    out = parts[-1]
    if len(out) <= 4:
        for order in permutations(out):
            yield joined([*parts[:-1], "".join(order)])


# ---- statements


def assigned(s: Step) -> Iterator[Change]:
    n = s.node
    if isinstance(n, ast.Assign) and len(n.targets) == 1 and isinstance(n.targets[0], (ast.Subscript, ast.Name, ast.Attribute)):
        for operator in (ast.Add, ast.Sub, ast.Mult):
            yield s.put(_at(ast.AugAssign(n.targets[0], operator(), n.value), n))
    elif isinstance(n, ast.AugAssign):
        yield s.put(_at(ast.Assign([n.target], n.value, None), n))
        for other in (ast.Sub, ast.Add, ast.Mult, ast.Div):
            if not isinstance(n.op, other):
                yield s.put(_at(ast.AugAssign(n.target, other(), n.value), n))


def repeated(s: Step) -> Iterator[Change]:
    """x[i] += y with an array i, which adds once where an index comes several times."""
    n = s.node
    if isinstance(n, ast.AugAssign) and isinstance(n.op, ast.Add) and isinstance(n.target, ast.Subscript):
        at = n.target.slice
        listed = at.elts if isinstance(at, ast.Tuple) else [at]
        if any(isinstance(e, ast.Slice) and (e.lower or e.upper or e.step) for e in listed):
            return
        whole = [call("slice", ast.Constant(None)) if isinstance(e, ast.Slice) else e for e in listed]
        indices = ast.Tuple(whole, ast.Load()) if isinstance(at, ast.Tuple) else whole[0]
        made = ast.Expr(call(f"{s.scope.numpy}.add.at", n.target.value, indices, n.value))
        yield s.put(ast.fix_missing_locations(_at(made, n)))


def _at(new: ast.stmt, old: ast.AST) -> ast.stmt:
    return ast.copy_location(new, old)


def moved(s: Step) -> Iterator[Any]:
    """Out of the loop that it stands in, behind it or in front; into the loop before it or after it."""
    if s.around and not isinstance(s.node, (ast.Break, ast.Continue)):
        loop, owner, where, at = s.around[-1]
        if s.owner is loop and s.field == "body":
            rest = s.listed
            del rest[s.index]
            inside: Change = (loop, "body", rest or [ast.Pass()])
            outside = list(getattr(owner, where))
            if s.index == len(rest):
                yield inside, (owner, where, [*outside[: at + 1], s.node, *outside[at + 1 :]]), f"behind the loop of line {loop.lineno}"
                if len(s.around) > 1:
                    upper, over, of, place = s.around[-2]
                    if owner is upper:
                        outer = list(getattr(over, of))
                        yield inside, (over, of, [*outer[: place + 1], s.node, *outer[place + 1 :]]), f"behind the loop of line {upper.lineno}"
            if s.index == 0 and not isinstance(s.node, ast.Return):
                yield inside, (owner, where, [*outside[:at], s.node, *outside[at:]]), f"in front of the loop of line {loop.lineno}"
                if len(s.around) > 1:
                    upper, over, of, place = s.around[-2]
                    if owner is upper:
                        outer = list(getattr(over, of))
                        yield inside, (over, of, [*outer[:place], s.node, *outer[place:]]), f"in front of the loop of line {upper.lineno}"
    if isinstance(s.node, (ast.Assign, ast.AugAssign, ast.Expr)):
        listed = s.listed
        if s.index and isinstance(listed[s.index - 1], ast.For):
            before: Any = listed[s.index - 1]
            rest = listed[: s.index] + listed[s.index + 1 :]
            for _ in range(3):  # into it, and into the loop that it ends with
                yield (s.owner, s.field, rest), (before, "body", [*before.body, s.node]), f"in the loop of line {before.lineno}, at its end"
                if not isinstance(before.body[-1], ast.For):
                    break
                before = before.body[-1]
        if s.index + 1 < len(listed) and isinstance(listed[s.index + 1], ast.For):
            after: Any = listed[s.index + 1]
            rest = listed[: s.index] + listed[s.index + 1 :]
            for _ in range(3):
                yield (s.owner, s.field, rest), (after, "body", [s.node, *after.body]), f"in the loop of line {after.lineno}, at its beginning"
                if not isinstance(after.body[0], ast.For):
                    break
                after = after.body[0]


def reordered(s: Step) -> Iterator[Change]:
    """Two statements in the other order; one that stands a few lines too early or too late."""
    listed = s.listed
    for far in range(1, 6):
        to = s.index + far
        if to < len(listed) and not isinstance(listed[to], (ast.Return, ast.FunctionDef)):
            if not isinstance(s.node, (ast.Return, ast.FunctionDef)):
                new = list(listed)
                new.insert(to, new.pop(s.index))
                yield (s.owner, s.field, new), f"behind line {listed[to].end_lineno}"
                if far > 1:
                    new = list(listed)
                    new.insert(s.index, new.pop(to))
                    yield (s.owner, s.field, new), f"behind line {listed[to].lineno}"


def removed(s: Step) -> Iterator[Change]:
    if isinstance(s.node, (ast.Assign, ast.AugAssign, ast.Expr, ast.Continue, ast.Break)):
        yield s.put(_at(ast.Pass(), s.node))
    if isinstance(s.node, ast.Break):
        yield s.put(_at(ast.Continue(), s.node))
    if isinstance(s.node, ast.Continue):
        yield s.put(_at(ast.Break(), s.node))
    if isinstance(s.node, ast.Return) and s.around:
        yield s.put(_at(ast.Pass(), s.node))


def renaming(near: bool) -> Callable[[Step], Iterator[Change]]:
    """The same wrong name at several places of one line."""

    def made(s: Step) -> Iterator[Change]:
        if not isinstance(s.node, (ast.Assign, ast.AugAssign, ast.Expr, ast.Return)):
            return
        loads = [n.id for n in ast.walk(s.node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]
        for old in dict.fromkeys(loads):
            if loads.count(old) > 1 and old in s.scope.names:
                for new in s.scope.names:
                    if new != old and alike(old, new, s.scope) == near:
                        yield s.put(renamed(s.node, old, new))

    return made


def unconditional(s: Step) -> Iterator[Change]:
    if isinstance(s.node, ast.If) and not any(isinstance(x, ast.Return) for x in s.node.body):
        yield s.put(*s.node.body)
        if s.node.orelse:
            yield s.put(*s.node.orelse)
            yield s.put(*s.node.body, *s.node.orelse)


# fmt: off
KINDS = (
    #     name                              what it makes                hint
    Kind("assigned in the place of added",  assigned,            "Is this written once or added to several times?", True),
    Kind("added once where an index repeats", repeated,          "Does += add twice where an index comes twice?", True),
    Kind("another sign",                    sign,                "Which sign does this term have?"),
    Kind("another comparison",              comparison,          "When exactly does this condition hold?"),
    Kind("an operand too many",             dropped,             "Does every operand here belong here?"),
    Kind("another operator",                OPERATORS,           "Are these two multiplied, divided or added?"),
    Kind("another function",                function,            "Is this the function that belongs here?"),
    Kind("another key",                     key,                 "Is this the right key?"),
    Kind("another name",                    attribute,           "Is this the right attribute?"),
    Kind("indices in another order",        index_order,         "In which order do these stand?"),
    Kind("another name",                    another_name(True),  "Is each name here the one that belongs here?"),
    Kind("another name",                    renaming(True),      "Is each name here the one that belongs here?", True),
    Kind("a statement too many",            removed,             "Does this line belong here?", True),
    Kind("another number",                  constant,            "Is this number the right one?"),
    Kind("another index",                   index,               "Which element is read or written here?"),
    Kind("a statement in the wrong loop",   moved,               "How often should this line run?", True),
    Kind("another condition",               condition,           "When exactly does this condition hold?"),
    Kind("a condition too many",            unconditional,       "Does this belong under a condition?", True),
    Kind("a call too many",                 wrapper,             "Does this call belong here?"),
    Kind("an argument too many",            argument,            "Does each argument belong here?"),
    Kind("another loop",                    ranged,              "Where does this loop begin and end?"),
    Kind("a step forgotten",                stepped,             "By how much does this move from one pass to the next?"),
    Kind("a step forgotten",                both_stepped,        "By how much does this move from one pass to the next?", True),
    Kind("another axis",                    axis,                "Over which axes is this taken, and do they stay?"),
    Kind("operands in another order",       arguments,           "In which order do these stand?"),
    Kind("another slice",                   windows,             "Where does this slice begin and end?"),
    Kind("another index",                   all_indices,         "Which element is read or written here?"),
    Kind("a transpose too many or too few", transposed,          "What shape has each array here, axis by axis?"),
    Kind("parentheses",                     parentheses,         "In which order is this worked out?"),
    Kind("another slice",                   sliced,              "Where does this slice begin and end?"),
    Kind("letters of an einsum",            letters,             "Which letter belongs to which axis?"),
    Kind("a minus forgotten",               minus,               "Which sign does this term have?"),
    Kind("statements in another order",     reordered,           "When does this line have to run?", True),
    Kind("another name",                    another_name(False), "Is each name here the one that belongs here?"),
    Kind("a name in the place of another",  named_number,        "Is this the value that belongs here?"),
    Kind("brackets",                        brackets,            "Which indices does this array have?"),
    Kind("a function forgotten",            bent,                "Is this used as it is?"),
    Kind("a factor forgotten",              factor,              "What multiplies this, by the chain rule?"),
    Kind("a factor forgotten",              term_factor,         "What multiplies this, by the chain rule?"),
    Kind("laid out in another order",       laid_out,            "In which order do the axes lie in memory?"),
    Kind("another name",                    renaming(False),     "Is each name here the one that belongs here?", True),
    Kind("a sum forgotten",                 reduced,             "Over what is this added up?"),
    Kind("a term forgotten",                term,                "Are all terms here?"),
    Kind("another index",                   worked_out,          "Which element is read or written here?"),
    Kind("a factor forgotten",              inner_factor,        "What multiplies this, by the chain rule?"),
    Kind("one more or less",                bound,               "Is this count right?"),
    Kind("another slice",                   offset,              "Where does this slice begin and end?"),
    Kind("not cropped",                     padded,              "Which shape should this have?"),
)
# fmt: on


# ---- all of them, at all places


class Sites:
    """The places of a function at which something may be changed: the same ones for the same text."""

    def __init__(self, node: Function, numpy: str, members: list[str]) -> None:
        self.node = node
        self.scope = scope_of(node, numpy)
        if members:
            held = self.scope.attributes.setdefault("self", [])
            held += [name for name in members if name not in held]
        self.places = list(_places(node, self.scope))
        self.steps = list(_steps(node, self.scope))

    def edits(self, rank: int, chosen: Callable[[Any], bool] = lambda statement: True) -> Iterator[Edit]:
        """The edits of one kind, at the statements that are chosen."""
        kind = KINDS[rank]
        for at, site in enumerate(self.steps if kind.statements else self.places):
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
        for i, made in enumerate(KINDS[rank].of(sites[at])):
            if i == number:
                return _edit(KINDS[rank], rank, at, number, sites[at], made)
        return None


def _edit(kind: Kind, rank: int, at: int, number: int, site: Any, made: Any) -> Edit:
    if isinstance(site, Place):
        change = site.put(_located(made, site.node))
        return Edit(kind.name, rank, at, number, site.statement, (change,), site.node, made)
    note = made[-1] if isinstance(made[-1], str) and not isinstance(made[0], ast.AST) else ""
    parts = made[:-1] if note else made
    changes = parts if isinstance(parts[0], tuple) else (parts,)
    return Edit(kind.name, rank, at, number, site.node, tuple(changes), site.node, None, note)


def _located(new: ast.expr, old: ast.AST) -> ast.expr:
    """A new expression with the line numbers of the one in whose place it stands."""
    stack: list[ast.AST] = [new]
    while stack:
        node = stack.pop()
        if hasattr(node, "lineno"):
            continue
        if isinstance(node, (ast.expr, ast.keyword)):
            ast.copy_location(node, old)
        stack += ast.iter_child_nodes(node)
    return new


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
            if at.attr not in ("shape", "T", "size", "ndim", "dtype"):
                attributes.setdefault(at.value.id, []).append(at.attr)
    unpacked = [
        n.id for at in ast.walk(node) if isinstance(at, ast.Assign) and isinstance(at.value, (ast.Name, ast.Attribute))
        for target in at.targets for n in ast.walk(target) if isinstance(n, ast.Name)
    ]  # fmt: skip
    together = [
        {n.id for n in ast.walk(at) if isinstance(n, ast.Name)} for at in ast.walk(node)
        if isinstance(at, ast.Tuple) and isinstance(at.ctx, ast.Store)
    ]  # fmt: skip
    once = lambda found: list(dict.fromkeys(found))
    first = [n for n in once([*taken, *unpacked]) if n not in ("self", "cache", "ctx")]
    return Scope(
        [n for n in once(names) if n not in ("self", "cls", "_")], once(loops), once(strings),
        {k: once(v) for k, v in attributes.items()}, numpy, first, together,
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
