"""Index sums as textbooks write them: which letters a sum runs over, and which stand on the left of the equation.

    sum(i, j, x[i, j] * d[i, j])      sum(i < 3, x[2*i + p])      dw[p, q] = sum(i, j, x[i + p, j + q] * d[i, j])

A letter stands for the indices of an axis.  In the brackets of a tensor and in the arithmetic of its sum it is the
letter; before brackets a name is always a tensor, so that ``sum(i, i[i])`` sums the tensor i.
"""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

__all__ = ["Binding", "Head", "binding", "chain", "factors_of", "left_side", "names_of"]

REDUCING = ("sum", "mean", "max", "min")
_LEFT = re.compile(r"^\s*([^\W\d][\w./∂ ]*)\[\s*([^\[\]]*)\]\s*$")


class Head(NamedTuple):
    """A letter, and its limits where they are written: ``low`` <= letter < ``high`` (``closed``: <= high)."""

    letter: str
    low: ast.expr | None = None
    high: ast.expr | None = None
    closed: bool = False


class Binding(NamedTuple):
    """The letters that a sum (mean, max, min) runs over, and what is summed."""

    heads: list[Head]
    body: ast.expr

    @property
    def letters(self) -> set[str]:
        return {head.letter for head in self.heads}

    @property
    def limits(self) -> list[ast.expr]:
        return [x for head in self.heads for x in (head.low, head.high) if x is not None]


def binding(node: ast.AST) -> Binding | None:
    """The index sum that a call is, or None for any other: sum(x), sum(x, 0), max(x, y)."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in REDUCING:
        return None
    if len(node.args) < 2 or node.keywords:
        return None
    *before, body = node.args
    before = [x for first in before for x in (first.elts if isinstance(first, ast.Tuple) else [first])]
    heads = [head for head in map(_head, before) if head is not None]
    if len(heads) != len(before) or not heads:
        return None
    limited = any(head.high is not None for head in heads)
    letters = {head.letter for head in heads}
    if not limited and (_axis(body) or (node.func.id in ("max", "min") and not letters & _indexing(body))):
        return None
    return Binding(heads, body)


def _head(node: ast.expr) -> Head | None:
    """i, i < 3, i <= n, 1 <= i < 3."""
    if isinstance(node, ast.Name):
        return Head(node.id)
    if not isinstance(node, ast.Compare) or not all(isinstance(op, ast.Lt | ast.LtE) for op in node.ops):
        return None
    parts = [node.left, *node.comparators]
    if len(parts) == 2 and isinstance(parts[0], ast.Name):
        return Head(parts[0].id, None, parts[1], isinstance(node.ops[0], ast.LtE))
    if len(parts) == 3 and isinstance(parts[1], ast.Name) and isinstance(node.ops[0], ast.LtE):
        return Head(parts[1].id, parts[0], parts[2], isinstance(node.ops[1], ast.LtE))
    return None


def _axis(node: ast.expr) -> bool:
    """Whether an argument is an axis, as in sum(x, 0): whole numbers alone."""
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    numbers = [x.operand if isinstance(x, ast.UnaryOp) else x for x in parts]
    return all(isinstance(x, ast.Constant) and type(x.value) is int for x in numbers)


def _indexing(node: ast.expr) -> set[str]:
    """The names that stand in brackets behind a tensor, anywhere in an expression."""
    return {
        name.id
        for part in ast.walk(node)
        if isinstance(part, ast.Subscript)
        for name in ast.walk(part.slice)
        if isinstance(name, ast.Name)
    }


def chain(node: ast.BinOp) -> list[ast.BinOp]:
    """a + b - c ... as its operators, the last first: a long sum is no deep nesting."""
    found = [node]
    while isinstance(found[-1].left, ast.BinOp):
        found.append(found[-1].left)
    return found


def names_of(node: ast.AST, bound: frozenset[str] = frozenset()) -> set[str]:
    """The names in an expression that are no letters of a sum around them: tensors, numbers, and free letters."""
    if isinstance(node, ast.Name):
        return set() if node.id in bound else {node.id}
    if isinstance(node, ast.Subscript):
        base = {node.value.id} if isinstance(node.value, ast.Name) else names_of(node.value, bound)
        return base | names_of(node.slice, bound)
    if isinstance(node, ast.BinOp):
        terms = chain(node)
        return names_of(terms[-1].left, bound).union(*[names_of(term.right, bound) for term in terms])
    if isinstance(node, ast.Call):
        found = binding(node)
        if found is not None:
            inner = names_of(found.body, bound | found.letters)
            return inner.union(*[names_of(x, bound) for x in found.limits])
        parts: list[ast.AST] = [*node.args, *[k.value for k in node.keywords]]
    else:
        parts = list(ast.iter_child_nodes(node))
    return set[str]().union(*[names_of(part, bound) for part in parts])


def factors_of(node: ast.expr) -> set[int]:
    """The ids of the elements (x[i, j]) that a product is 0 without: its factors, also inside a sum that is one."""
    found, waiting = set[int](), [node]
    while waiting:
        part = waiting.pop()
        if isinstance(part, ast.Subscript):
            found.add(id(part))
        elif isinstance(part, ast.BinOp) and isinstance(part.op, ast.Mult | ast.Div):
            waiting += [part.left, part.right] if isinstance(part.op, ast.Mult) else [part.left]
        elif isinstance(part, ast.UnaryOp):
            waiting.append(part.operand)
        elif isinstance(part, ast.Call) and (inner := binding(part)) and ast.unparse(part.func) == "sum":
            waiting.append(inner.body)
    return found


def left_side(text: str) -> tuple[str, list[str], str] | None:
    """(what stands before the brackets, the letters in them, the right side) of "dw[i, j] = ..."; None without one.

    Only brackets with names are a left side: "x = 3" is none.
    """
    left, equals, right = text.partition("=")
    found = _LEFT.match(left)
    if not equals or found is None or right.startswith("="):
        return None
    letters = [letter.strip() for letter in found[2].split(",")]
    return (found[1].strip(), letters, right.strip()) if all(x.isidentifier() for x in letters) else None
