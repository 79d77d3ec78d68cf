"""Edits of statements: = for +=, a line in the wrong loop, too many, or too early."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from itertools import permutations
from typing import Any

from .trees import Change, Step, binary, call, name


def assigned(s: Step) -> Iterator[Change]:
    n = s.node
    if (
        isinstance(n, ast.Assign)
        and len(n.targets) == 1
        and isinstance(n.targets[0], (ast.Subscript, ast.Name, ast.Attribute))
    ):
        for operator in (ast.Add, ast.Sub, ast.Mult):
            yield s.put(_at(ast.AugAssign(n.targets[0], operator(), n.value), n))
        if isinstance(n.value, ast.BinOp) and ast.unparse(n.value.left) == ast.unparse(n.targets[0]):
            yield s.put(_at(ast.AugAssign(n.targets[0], n.value.op, n.value.right), n))  # x = x + y is another array
    elif isinstance(n, ast.AugAssign):
        yield s.put(_at(ast.Assign([n.target], n.value, None), n))
        for other in (ast.Sub, ast.Add, ast.Mult, ast.Div):
            if not isinstance(n.op, other):
                yield s.put(_at(ast.AugAssign(n.target, other(), n.value), n))


def anew(s: Step) -> Iterator[Change]:
    """x /= y, which changes the array that others hold, as x = x / y."""
    n = s.node
    if isinstance(n, ast.AugAssign):
        read = copy.deepcopy(n.target)
        read.ctx = ast.Load()
        yield s.put(ast.fix_missing_locations(_at(ast.Assign([n.target], ast.BinOp(read, n.op, n.value), None), n)))


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
        yield from _outside(s)
    if isinstance(s.node, (ast.Assign, ast.AugAssign, ast.Expr)):
        yield from _inside(s)


def _outside(s: Step) -> Iterator[Any]:
    loop, owner, where, at = s.around[-1]
    if s.owner is not loop or s.field != "body":
        return
    rest = s.listed
    del rest[s.index]
    inside: Change = (loop, "body", rest or [ast.Pass()])
    levels = [(loop, owner, where, at)]
    if len(s.around) > 1 and owner is s.around[-2][0]:
        levels.append(s.around[-2])
    for outer, over, field, place in levels:
        listed = list(getattr(over, field))
        if s.index == len(rest):
            behind = [*listed[: place + 1], s.node, *listed[place + 1 :]]
            yield inside, (over, field, behind), f"behind the loop of line {outer.lineno}"
        if s.index == 0 and not isinstance(s.node, ast.Return):
            front = [*listed[:place], s.node, *listed[place:]]
            yield inside, (over, field, front), f"in front of the loop of line {outer.lineno}"


def _inside(s: Step) -> Iterator[Any]:
    listed = s.listed
    rest: Change = (s.owner, s.field, listed[: s.index] + listed[s.index + 1 :])
    before: Any = listed[s.index - 1] if s.index else None
    for _ in range(3):  # into it, and into the loop that it ends with
        if not isinstance(before, ast.For):
            break
        yield rest, (before, "body", [*before.body, s.node]), f"in the loop of line {before.lineno}, at its end"
        before = before.body[-1]
    after: Any = listed[s.index + 1] if s.index + 1 < len(listed) else None
    for _ in range(3):
        if not isinstance(after, ast.For):
            break
        yield rest, (after, "body", [s.node, *after.body]), f"in the loop of line {after.lineno}, at its beginning"
        after = after.body[0]


def carried(s: Step) -> Iterator[Change]:
    """What each pass of a loop should hand on to the next, which begins as another name's array: the product of two."""
    if not isinstance(s.node, ast.For):
        return
    stored = {n.id for n in ast.walk(s.node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    inside = {n.id for part in s.node.body for n in ast.walk(part) if isinstance(n, ast.Name)} - stored
    last = s.node.body[-1]
    for begin in s.listed[: s.index]:
        target = begin.targets[0] if isinstance(begin, ast.Assign) else None
        if not isinstance(target, ast.Name) or target.id not in inside or not _borrowed(begin.value):  # type: ignore[attr-defined]
            continue
        for a, b in permutations(s.scope.names, 2):
            for operator, other in ((ast.MatMult, f"{b}.T"), (ast.MatMult, b), (ast.Mult, b)):
                new = _at(ast.Assign([target], binary(name(a), operator, name(other)), None), last)
                yield s.node, "body", [*s.node.body, ast.fix_missing_locations(new)]


def _borrowed(value: ast.expr) -> bool:
    """Whether this is a name, or a copy of one."""
    copied = isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == "copy"
    return isinstance(value.func.value if copied else value, ast.Name)  # type: ignore[attr-defined]


def reordered(s: Step) -> Iterator[Any]:
    """Two statements in the other order; one that stands a few lines too early or too late."""
    listed = s.listed
    for far in range(1, 6):
        to = s.index + far
        fixed = (ast.Return, ast.FunctionDef)
        if to < len(listed) and not isinstance(listed[to], fixed) and not isinstance(s.node, fixed):
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


def unconditional(s: Step) -> Iterator[Change]:
    if isinstance(s.node, ast.If) and not any(isinstance(x, ast.Return) for x in s.node.body):
        yield s.put(*s.node.body)
        if s.node.orelse:
            yield s.put(*s.node.orelse)
            yield s.put(*s.node.body, *s.node.orelse)
