"""Formulas as text: a strict arithmetic grammar over ``ast`` with names, indices, a few functions, and no eval.

    "(i[0,0] + i[0,1]) * 2*(o2 - y)"        "conv(i, 2*(o - y), stride=2)"        "[[1, 2], [3, 4*w[0,1]]]"
    "dw[p, q] = sum(i, j, x[i + p, j + q] * d[i, j])"

Here a text is read and everything refused that is not in the grammar; ``evaluation`` works it out, with bounds on the
work.  Numbers are floats, so 9**9**9 is inf, not a day's work.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import numpy as np

from .evaluation import OPERATORS, Evaluation
from .functions import FUNCTIONS
from .letters import binding, chain, left_side, names_of
from .words import OTHER_OPERATORS, OTHER_PARTS, SIGNS, FormulaError, advice, located

LONGEST, PARTS, DEEPEST = 20_000, 20_000, 60

__all__ = ["FUNCTIONS", "Formula", "FormulaError"]


class Formula:
    """A parsed formula; call it with the values of its names.  Raises FormulaError with the position of an error.

    text: what stands on the right of an equals sign, or all of it; left: the letters on its left, as in "dw[i, j] =",
    which are the axes of the result; names: the tensors and numbers it reads.
    """

    def __init__(self, text: str) -> None:
        self.text = " ".join(text.split())  # a formula may run over several lines
        self.left: list[str] | None = None
        if len(text) > LONGEST:
            raise FormulaError(f"formula: {len(text):,} characters are more than the {LONGEST:,} allowed")
        if "#" in text:
            raise FormulaError(located(self.text, self.text.index("#"), "there are no comments in a formula"))
        equation = left_side(self.text)
        if equation is not None:
            name, self.left, self.text = equation
            twice = next((x for x in self.left if self.left.count(x) > 1), None)
            if twice:
                raise FormulaError(
                    f"formula: {name}[{', '.join(self.left)}] has the letter {twice} twice; one for each axis"
                )
        try:
            self.tree = ast.parse(self.text, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            at = (getattr(error, "offset", None) or 1) - 1
            raise FormulaError(located(self.text, at, advice(self.text, at, error))) from None
        if sum(isinstance(n, ast.expr) for n in ast.walk(self.tree)) > PARTS:
            raise FormulaError(f"formula: more than {PARTS:,} parts; write it shorter, with sum(...) or conv(...)")
        self._check(self.tree, 0, frozenset(self.left or ()))
        self.names = sorted(names_of(self.tree, frozenset(self.left or ())))

    def __call__(self, values: Mapping[str, Any], shape: tuple[int, ...] | None = None) -> np.ndarray:
        """The value for these values of the names; FormulaError for unknown names, wrong shapes, and too much work.

        shape: that of the result of an equation with letters on its left, which says how far they run.
        """
        with np.errstate(all="ignore"):
            return np.asarray(Evaluation(self, values).whole(shape), dtype=float)

    @property
    def whole_numbers(self) -> tuple[int, ...]:
        """The numbers of a formula that is but a pair of brackets with whole numbers, as a shape is written; or ()."""
        parts = self.tree.elts if isinstance(self.tree, ast.Tuple) else []
        numbers = tuple(n.value for n in parts if isinstance(n, ast.Constant) and type(n.value) is int)
        return numbers if len(numbers) == len(parts) else ()

    @property
    def indexed(self) -> bool:
        """Whether it speaks of single elements by their number, as w[0, 1], and so of one geometry alone."""
        brackets = [n.slice for n in ast.walk(self.tree) if isinstance(n, ast.Subscript)]
        return any(not any(isinstance(n, ast.Name) for n in ast.walk(inside)) for inside in brackets)

    @property
    def measured(self) -> bool:
        """Whether numbers of one geometry are written in it: a stride in an index, i//2, a limit, a setting."""
        calls = [n for n in ast.walk(self.tree) if isinstance(n, ast.Call)]
        inside: list[ast.AST] = [n.slice for n in ast.walk(self.tree) if isinstance(n, ast.Subscript)]
        inside += [limit for bound in map(binding, calls) if bound for limit in bound.limits]
        inside += [k.value for call in calls for k in call.keywords if k.arg not in ("axis", "keepdims", "layout")]
        for call in calls:
            if isinstance(call.func, ast.Name) and call.func.id in ("dilate", "pad"):
                inside += call.args[1:]
        return any(isinstance(n, ast.Constant) for part in inside for n in ast.walk(part))

    def wrong(self, node: ast.AST, what: str) -> FormulaError:
        before = self.text.encode()[: getattr(node, "col_offset", 0)]  # ast counts bytes
        return FormulaError(located(self.text, len(before.decode(errors="ignore")), what))

    # ---- the grammar

    def _check(self, node: ast.AST, depth: int, letters: frozenset[str]) -> None:
        """FormulaError for anything that is not in the grammar, before a single number is computed."""
        if depth > DEEPEST:
            raise self.wrong(node, f"brackets nested more than {DEEPEST} deep")
        if isinstance(node, ast.Constant):
            if type(node.value) not in (int, float):
                raise self.wrong(node, f"{node.value!r} is not a number")
            if type(node.value) is int and abs(node.value) >= 1 << 1000:
                raise self.wrong(node, "this number is too large")
            return
        if isinstance(node, ast.Name):
            return
        if isinstance(node, ast.BinOp):
            for term in chain(node):
                if type(term.op) not in OPERATORS:
                    other = OTHER_OPERATORS.get(type(term.op), type(term.op).__name__)
                    raise self.wrong(term.right, f"{other} is not in the grammar; use + - * / ** // %")
                self._check(term.right, depth + 1, letters)
            parts: list[ast.AST] = [term.left]
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            parts = [node.operand]
        elif isinstance(node, ast.List | ast.Tuple):
            parts = list(node.elts)
        elif isinstance(node, ast.Subscript):
            parts = [node.value, *self._indices(node.slice)]
        elif isinstance(node, ast.Call):
            bound = binding(node)
            if bound is not None:
                self._check_letters(node, bound.heads, letters)
                letters |= bound.letters
                parts = [bound.body, *bound.limits]
            else:
                parts = self._arguments(node)
        else:
            kind = OTHER_PARTS.get(type(node).__name__, type(node).__name__)
            raise self.wrong(
                node, f"{kind} is not in the grammar: names, numbers, [indices], + - * / ** // %, and functions"
            )
        for part in parts:
            self._check(part, depth + 1, letters)

    def _check_letters(self, node: ast.Call, heads: Any, letters: frozenset[str]) -> None:
        seen = set(letters)
        for head in heads:
            if head.letter in seen:
                raise self.wrong(node, f"the letter {head.letter} is in use already; take another for this sum")
            seen.add(head.letter)

    def _arguments(self, node: ast.Call) -> list[ast.AST]:
        """The arguments of a call that are expressions; its name, number of arguments and settings are checked."""
        if not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS:
            name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
            instead = SIGNS.get(name) or f"use {', '.join(FUNCTIONS)}"
            raise self.wrong(node, f"there is no function {name[:60]!r}; {instead}")
        name, takes, given = node.func.id, FUNCTIONS[node.func.id], len(node.args)
        for keyword in node.keywords:
            twice = keyword.arg in takes.placed[: given - takes.arrays] if given > takes.arrays else False
            beside = keyword.arg in takes.settings and (twice or (name in ("max", "min") and given > 1))
            if keyword.arg not in takes.settings or beside:
                also = f" beside {given} arguments" if beside else ""
                others = f"; it takes {', '.join(takes.settings)}" if takes.settings and not also else ""
                raise self.wrong(node, f"{name} takes no setting {str(keyword.arg)[:60]!r}{also}{others}")
            self._check_setting(keyword.value)
        least = takes.least - sum(k.arg in takes.placed for k in node.keywords)
        if not least <= given <= takes.most:
            number = takes.least if takes.least == takes.most else f"{takes.least} to {takes.most}"
            raise self.wrong(node, f"{name} takes {number} arguments, found {given}")
        for setting in node.args[takes.arrays :]:
            self._check_setting(setting)
        return list(node.args[: takes.arrays])

    def _check_setting(self, node: ast.AST) -> None:
        """A setting is a whole number, several of them in brackets, a word, True or False, or the name of a number."""
        if isinstance(node, ast.Tuple | ast.List):
            for part in node.elts:
                self._check_setting(part)
        elif not isinstance(node, ast.Name) and not (
            isinstance(node, ast.Constant) and type(node.value) in (str, bool)
        ):
            self.whole(node, "a setting is a whole number or several, as in stride=2 or axis=(1, 2)")

    def _indices(self, node: ast.AST) -> list[ast.AST]:
        """The indices in brackets that are expressions; whole numbers and slices are checked."""
        parts = list(node.elts) if isinstance(node, ast.Tuple) else [node]
        open_ = [part for part in parts if any(isinstance(n, ast.Name) for n in ast.walk(part))]
        for part in open_:
            if isinstance(part, ast.Slice | ast.List | ast.Tuple):
                raise self.wrong(part, "an index is a whole number, a slice of them, or an expression with letters")
        if not open_:
            self.key(node)
        return [part for part in parts if not isinstance(part, ast.Slice)] if open_ else []

    def key(self, node: ast.AST) -> Any:
        """A subscript without names as an index: whole numbers, colons, and tuples of them."""
        if isinstance(node, ast.Tuple):
            return tuple(self.key(n) for n in node.elts)
        if isinstance(node, ast.Slice):
            return slice(*[None if n is None else self.whole(n) for n in (node.lower, node.upper, node.step)])
        return self.whole(node)

    def whole(
        self, node: ast.AST, what: str = "an index is a whole number or a slice, as in w[0, 1] or w[:, 1]"
    ) -> int:
        sign = -1 if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else 1
        number = node.operand if isinstance(node, ast.UnaryOp) else node
        if not isinstance(number, ast.Constant) or type(number.value) is not int:
            raise self.wrong(node, what)
        if number.value > 1 << 31:
            raise self.wrong(node, f"no array has an index {number.value}")
        return sign * number.value
