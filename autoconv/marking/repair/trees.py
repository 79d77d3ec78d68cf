"""Trees of functions: where an expression or a statement hangs, how it is changed, short expressions to put there."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any, NamedTuple

Change = tuple[ast.AST, str, Any]  # an owner, one of its fields, what the field becomes


Function = ast.FunctionDef | ast.Lambda
LAID_OUT = ("reshape", "ravel", "flatten", "dot")  # methods of an array that may have to be another one first


class Instead(NamedTuple):
    """What stands in the place of one item of a field that is a list."""

    item: ast.AST
    new: tuple[Any, ...]


@dataclass
class Scope:
    """The names of a function: in the order in which they appear.

    names: arguments and what is assigned; loops: variables of loops; strings: keys; attributes: {base: attributes};
    numpy: the name of NumPy; first: of the names, those that come from outside (arguments and what they hold).
    together: names that are unpacked together; parts: what is read with brackets, x[i], each once; indexed: what
    stands in brackets with a variable of a loop; numbers: with a point, anywhere in the file; helpers: the file's
    functions of one argument.
    """

    names: list[str]
    loops: list[str]
    strings: list[str]
    attributes: dict[str, list[str]]
    numpy: str
    first: list[str]
    together: list[set[str]]
    parts: list[ast.expr]
    indexed: list[ast.expr]
    numbers: list[float]
    helpers: list[str]


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
        if self.new is not None:
            located(self.new, self.node)
        before = [(owner, name, getattr(owner, name)) for owner, name, _ in self.changes]
        put(self.changes)
        return before


def located(new: ast.expr, old: ast.AST) -> None:
    """Give a new expression the line numbers of the one in whose place it stands."""
    stack: list[ast.AST] = [new]
    while stack:
        node = stack.pop()
        if hasattr(node, "lineno"):
            continue
        if isinstance(node, (ast.expr, ast.keyword)):
            ast.copy_location(node, old)
        stack += ast.iter_child_nodes(node)


def put(changes: list[Change] | tuple[Change, ...]) -> None:
    for owner, name, value in changes:
        if isinstance(value, Instead):
            listed = getattr(owner, name)
            value = [x for item in listed for x in (value.new if item is value.item else (item,))]
        setattr(owner, name, value)


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


def laid_out_next(p: Place) -> bool:
    """Whether an expression is the array of a method that lays it out anew or multiplies it: x of x.reshape(..)."""
    return isinstance(p.owner, ast.Attribute) and p.owner.attr in LAID_OUT
