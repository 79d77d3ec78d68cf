"""Edits of names: one that is taken for another, an attribute, a key, a number in the place of a name."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from itertools import combinations, permutations
from typing import Any

from .trees import Change, Place, Scope, Step, binary, call, called, integer, name, number


def key(p: Place) -> Iterator[ast.expr]:
    if isinstance(p.node, ast.Constant) and isinstance(p.node.value, str) and called(p.owner) != "einsum":
        for other in p.scope.strings:
            if other != p.node.value:
                yield ast.Constant(other)


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
    if a in b.split("_") or b in a.split("_") or a.translate(_SIDES) == b.translate(_SIDES):
        return True
    return (
        (min(len(a), len(b)) > 1 and (a in b or b in a)) or (len(b) > 1 and b[1:] == a) or (len(a) > 1 and a[1:] == b)
    )


_SIDES = str.maketrans("hwijuvrcxy", "HHIIUURRXX")


def attribute(p: Place) -> Iterator[ast.expr]:
    if isinstance(p.node, ast.Attribute) and isinstance(p.node.value, ast.Name) and p.node.value.id != p.scope.numpy:
        for other in p.scope.attributes.get(p.node.value.id, []):
            if other != p.node.attr:
                yield ast.Attribute(p.node.value, other, p.node.ctx)


def named_number(p: Place) -> Iterator[ast.expr]:
    """A number where a name belongs; a name where an attribute does, or the reverse."""
    if isinstance(p.node, ast.Constant) and type(p.node.value) in (int, float):
        for other in p.scope.names:
            yield name(other)
        for other in p.scope.names if p.role == "value" else []:
            yield call(f"{p.scope.numpy}.sum", name(other))
    elif isinstance(p.node, ast.Name) and p.node.id in p.scope.names and isinstance(p.node.ctx, ast.Load):
        for base, held in p.scope.attributes.items():
            for other in held:
                yield ast.Attribute(ast.Name(base, ast.Load()), other, ast.Load())
    elif isinstance(p.node, ast.Attribute) and isinstance(p.node.value, ast.Name) and isinstance(p.node.ctx, ast.Load):
        method = isinstance(p.owner, ast.Call) and p.field == "func"
        if p.node.value.id in p.scope.attributes and not method:
            for other in p.scope.names:
                yield name(other)


def indexed_number(p: Place) -> Iterator[ast.expr]:
    """A number where an element of an array belongs, at an index of the loop."""
    if p.role == "value" and isinstance(p.node, ast.Constant) and type(p.node.value) in (int, float):
        within = [ast.Name(v, ast.Load()) for v in p.scope.loops]
        pairs: list[ast.expr] = [ast.Tuple([a, b], ast.Load()) for a, b in permutations(within, 2)]
        for other in p.scope.names:
            for at in (*within, *pairs, *p.scope.indexed):
                yield ast.Subscript(name(other), copy.deepcopy(at), ast.Load())


def count(p: Place) -> Iterator[ast.expr]:
    """A length, an extent of a shape, the number of all elements or of all but one axis, each in place of another."""
    if called(p.node) == "len" and isinstance(p.node, ast.Call) and len(p.node.args) == 1:
        of: ast.expr = p.node.args[0]
    elif isinstance(p.node, ast.Attribute) and p.node.attr == "size":
        of = p.node.value
    elif isinstance(p.node, ast.Subscript) and isinstance(p.node.value, ast.Attribute) and p.role != "target":
        if p.node.value.attr != "shape":
            return
        of = p.node.value.value
    else:
        return
    own, shape = (
        ast.dump(p.node),
        lambda i: ast.Subscript(ast.Attribute(of, "shape", ast.Load()), number(i), ast.Load()),
    )
    size = ast.Attribute(of, "size", ast.Load())
    for other in (*map(shape, range(4)), size):
        if ast.dump(other) != own:
            yield other
    for one in range(3):
        yield binary(size, ast.FloorDiv, shape(one))


def another_part(p: Place) -> Iterator[ast.expr]:
    """x[i] for a name or for y[j], where the function reads x[i] elsewhere."""
    taken = isinstance(p.node, ast.Subscript) or (isinstance(p.node, ast.Name) and p.node.id in p.scope.names)
    turned = isinstance(p.owner, ast.Attribute) and p.owner.attr == "T"
    if not taken or p.role == "target" or (isinstance(p.owner, (ast.Subscript, ast.Attribute)) and not turned):
        return
    own = ast.dump(p.node)
    for part in p.scope.parts:
        if ast.dump(part) != own:
            yield copy.deepcopy(part)  # the place may lie within the part itself


def renamed(node: Any, old: str, new: str) -> Any:
    """A copy with a name exchanged for another."""
    made = copy.deepcopy(node)
    for at in ast.walk(made):
        if isinstance(at, ast.Name) and at.id == old:
            at.id = new
    return made


def within(near: bool) -> Callable[[Place], Iterator[ast.expr]]:
    """The same wrong name several times in one part of a line: in a call, a slice, a product."""

    def made(p: Place) -> Iterator[ast.expr]:
        if not isinstance(p.node, (ast.Call, ast.Slice, ast.IfExp, ast.BinOp)):
            return
        loads = [n.id for n in ast.walk(p.node) if isinstance(n, ast.Name)]
        for old in dict.fromkeys(loads):
            if loads.count(old) > 1 and old in p.scope.names:
                for new in p.scope.names:
                    if new != old and alike(old, new, p.scope) == near:
                        yield renamed(p.node, old, new)

    return made


def exchanged(s: Step) -> Iterator[Change]:
    """Two names of a line, each in the place of the other; x[0] and x[1]."""
    if not isinstance(s.node, (ast.Assign, ast.AugAssign, ast.Expr, ast.Return)):
        return
    numbered = lambda tree: [n for n in ast.walk(tree) if isinstance(n, ast.Subscript) and integer(n.slice) is not None]
    parts = dict.fromkeys((ast.dump(n.value), integer(n.slice)) for n in numbered(s.node))
    for (base, first), (other, second) in combinations(parts, 2):
        if base == other:
            made = copy.deepcopy(s.node)
            for part in numbered(made):
                if ast.dump(part.value) == base and integer(part.slice) in (first, second):
                    part.slice = number(second if integer(part.slice) == first else first)
            yield s.put(ast.fix_missing_locations(made))
    found = [n.id for n in ast.walk(s.node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]
    for a, b in combinations([n for n in dict.fromkeys(found) if n in s.scope.names], 2):
        made = copy.deepcopy(s.node)
        for at in ast.walk(made):
            if isinstance(at, ast.Name) and isinstance(at.ctx, ast.Load) and at.id in (a, b):
                at.id = b if at.id == a else a
        yield s.put(made)


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
