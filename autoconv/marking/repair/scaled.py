"""Numbers that a factor or a term may be: three tries at a place tell what hundreds of names there would."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from .sorts import NUMBERS
from .source import Written
from .trees import Edit, Instead, binary, called, number

TRIES = {"factor": (0.5, 2.0, 3.0), "term": (-1.0, 1.0, 2.0)}
NEAR = 1e-4  # how closely numbers of single precision lie on a line
_OPERATORS = {ast.Mult: "factor", ast.Div: "factor", ast.Add: "term", ast.Sub: "term"}
Given = Callable[[Edit], "dict[str, np.ndarray | None] | None"]  # the numbers with an edit


class Added(NamedTuple):
    """A number that an edit puts to an expression.  sort: "factor" or "term"; divides: whether it is a divisor."""

    sort: str
    divides: bool


def number_added(edit: Edit, sorts: dict[str, str], steady: set[str]) -> Added | None:
    """What an edit adds, if it is a number, and the same in all passes; steady: names that are stored once."""
    new = edit.new
    if not isinstance(new, ast.BinOp) or new.left is not edit.node or type(new.op) not in _OPERATORS:
        return None
    if not _is_number(new.right, sorts, steady):
        return None
    return Added(_OPERATORS[type(new.op)], isinstance(new.op, ast.Div))


def _is_number(node: ast.expr, sorts: dict[str, str], steady: set[str]) -> bool:
    numbers = lambda *nodes: all(_is_number(n, sorts, steady) for n in nodes)
    match node:
        case ast.Constant():
            return isinstance(node.value, (int, float))
        case ast.Name():
            return node.id in steady and sorts.get(node.id) in NUMBERS
        case ast.BinOp():
            return numbers(node.left, node.right)
        case ast.UnaryOp():
            return numbers(node.operand)
        case ast.Compare():
            return numbers(node.left, *node.comparators)
        case ast.Attribute(attr="size") | ast.Subscript(value=ast.Attribute(attr="shape")):
            return all(n.id in steady for n in ast.walk(node) if isinstance(n, ast.Name))
        case ast.Call(args=[ast.Name() as of]) if called(node) == "len":
            return of.id in steady
        case ast.Call(args=[of]) if called(node) == "sqrt":
            return numbers(of)
    return False


def steady_names(written: Written) -> set[str]:
    """The names of a function that hold one thing from beginning to end: stored once, and not in a loop."""
    stored, inside = list[str](), set[str]()
    for at in ast.walk(written.node):
        if isinstance(at, ast.arg):
            stored.append(at.arg)
        elif isinstance(at, ast.Name) and not isinstance(at.ctx, ast.Load):
            stored.append(at.id)
        elif isinstance(at, (ast.For, ast.While, ast.comprehension)):
            inside |= {n.id for n in ast.walk(at) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return {one for one in stored if stored.count(one) == 1} - inside


def instead(edit: Edit, added: Added, value: float) -> Edit:
    """The edit with another number in the place of the one that it adds."""
    operator = ast.Mult if added.sort == "factor" else ast.Add
    new = binary(edit.node, operator, number(value))  # type: ignore[arg-type]
    ((owner, field, put),) = edit.changes
    there = put._replace(new=(new,)) if isinstance(put, Instead) else new
    return edit._replace(changes=((owner, field, there),), new=new)


class Numbers:
    """What is known of each place: for which gradients some number there may be what is missing.

    Where a gradient lies on a line in the number c, as it does at three values of it, A(c) = A(c0) + (c - c0) * D, the
    right one lies on that line or no number is what is missing.
    """

    def __init__(self, before: dict[str, np.ndarray | None], right: dict[str, np.ndarray], given: Given) -> None:
        self.before, self.right, self.given = before, right, given
        self.known: dict[tuple[int, str], tuple[dict[str, bool], bool]] = {}

    def may_mend(self, edit: Edit, added: Added, gradients: Sequence[str]) -> bool:
        """Whether one of the gradients may be right with a number there."""
        key = (id(edit.node), added.sort)
        if key not in self.known:
            self.known[key] = self._asked(edit, added)
        may, whole = self.known[key]
        if whole and added.divides:
            return False  # a quotient is no whole number
        return any(may.get(g, True) for g in gradients)

    def _asked(self, edit: Edit, added: Added) -> tuple[dict[str, bool], bool]:
        """({gradient: whether a number may be what is missing}, whether only whole numbers can stand there)."""
        tries = TRIES[added.sort]
        made = [self.given(instead(edit, added, value)) for value in tries]
        if None in made:
            return {}, all(one is None for one in made)
        may = {}
        for gradient, right in self.right.items():
            arrays = [self.before.get(gradient), *[one.get(gradient) for one in made if one is not None]]
            may[gradient] = on_a_line(arrays, (1.0 if added.sort == "factor" else 0.0, *tries), right)
        return may, False


def on_a_line(arrays: Sequence[np.ndarray | None], at: Sequence[float], right: np.ndarray) -> bool:
    """Whether a number may lead to the right array, of which arrays[i] is what at[i] leads to: True where these lie on
    no line."""
    if any(a is None for a in arrays) or len({a.shape for a in arrays if a is not None}) != 1:
        return True
    made = [np.asarray(a, dtype=float) for a in arrays]
    with np.errstate(all="ignore"):
        slope = (made[-1] - made[0]) / (at[-1] - at[0])
        size = max(float(np.abs(a).max(initial=0.0)) for a in made)
        off = [np.abs(a - made[0] - (c - at[0]) * slope).max(initial=0.0) for a, c in zip(made, at, strict=True)]
    if not np.isfinite(size) or not max(off) <= NEAR * size:
        return True
    if made[0].shape != right.shape:
        return False  # no number changes a shape
    lacks, steepness = right - made[0], float(np.vdot(slope, slope))
    if not steepness:
        return bool(np.abs(lacks).max(initial=0.0) <= NEAR * size)
    left = lacks - float(np.vdot(slope, lacks)) / steepness * slope
    return bool(np.abs(left).max(initial=0.0) <= 10 * NEAR * max(size, float(np.abs(right).max(initial=0.0))))
