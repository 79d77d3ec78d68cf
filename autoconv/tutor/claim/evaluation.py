"""A formula worked out: each operation counted before it is done, index sums in pieces that fit.

A letter is an array of its indices along an axis of its own, counted from the right, so that NumPy's broadcasting
multiplies out what a sum runs over.  Outside a tensor there is 0: sum(i, j, d[i, j] * w[a - i, b - j]) needs no limits.
"""

from __future__ import annotations

import ast
import unicodedata
from collections.abc import Mapping
from difflib import get_close_matches
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from .functions import FUNCTIONS
from .letters import Binding, Head, binding, chain, factors_of, names_of
from .words import FormulaError

if TYPE_CHECKING:
    from .formula import Formula

ELEMENTS, WORK = 1_000_000, 100_000_000  # numbers in one result; numbers computed by the whole formula
OPERATORS: dict[type, Any] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.mod,
}
_JOINED: dict[str, Any] = {"sum": np.add, "mean": np.add, "max": np.maximum, "min": np.minimum}
Scope = dict[str, np.ndarray]  # letter -> its indices, of shape (n, 1, .., 1)


class Evaluation:
    """One evaluation of a formula at these ``values`` of its names."""

    def __init__(self, formula: Formula, values: Mapping[str, Any]) -> None:
        self.formula = formula
        self.values = {unicodedata.normalize("NFKC", name): value for name, value in values.items()}  # as ast reads
        self._work = 0.0
        self._kept: dict[int, Any] = {}

    def whole(self, shape: tuple[int, ...] | None) -> Any:
        """The value of the formula; of one with letters on its left, an array of ``shape``."""
        left = self.formula.left
        if left is None:
            return self.value(self.formula.tree, {})
        if shape is None or len(left) != len(shape):
            asked = "a number" if not shape else f"{len(shape)} axes (shape {shape})"
            raise FormulaError(
                f"formula: {len(left)} letter{'s' * (len(left) > 1)} on the left, [{', '.join(left)}], and what is "
                f"asked about has {asked}; give one letter for each axis"
            )
        self.spend(self.formula.tree, 0, prod(map(float, shape)))
        scope: Scope = {}
        for letter, size in zip(reversed(left), reversed(shape), strict=True):
            scope[letter] = _along(len(scope), 0, size)
        return np.broadcast_to(self.value(self.formula.tree, scope), shape)

    def spend(self, node: ast.AST, numbers: float, kept: float = 0) -> None:
        """Count ``numbers`` about to be computed, ``kept`` of them as a result; FormulaError if that is too much."""
        self._work += numbers
        if kept > ELEMENTS:
            raise self.formula.wrong(
                node, f"the result would have {_counted(kept)} elements, more than the {ELEMENTS:,} allowed"
            )
        if self._work > WORK:
            raise self.formula.wrong(
                node, f"this formula would compute {_counted(self._work)} numbers, more than the {WORK:,} allowed"
            )

    # ---- expressions

    def value(self, node: ast.AST, scope: Scope) -> Any:
        """The value of an expression; with letters in scope, one number for each place of them."""
        if scope and not self._open(node, scope):
            return self._apart(node)
        if isinstance(node, ast.Constant):
            return np.float64(node.value)  # type: ignore[arg-type]
        if isinstance(node, ast.Name):
            return scope[node.id] if node.id in scope else self._named(node)
        if isinstance(node, ast.UnaryOp):
            value = self.value(node.operand, scope)
            return -value if isinstance(node.op, ast.USub) else value
        if isinstance(node, ast.BinOp):
            return self._chained(node, scope)
        try:
            return self._composed(node, scope)
        except FormulaError:
            raise
        except (ValueError, IndexError, TypeError, ZeroDivisionError, OverflowError) as error:
            raise self.formula.wrong(node, " ".join(str(error).split())) from None

    def _open(self, node: ast.AST, scope: Scope) -> bool:
        """Whether the value of an expression depends on letters in scope."""
        key = ~id(node)
        if key not in self._kept:
            self._kept[key] = names_of(node) if not isinstance(node, ast.Name) else {node.id}
        return not self._kept[key].isdisjoint(scope)

    def _apart(self, node: ast.AST) -> Any:
        """A part of an index sum that has no letter in it: one number, worked out once."""
        value = np.asarray(self._once(node))
        if value.ndim:
            what = node.id if isinstance(node, ast.Name) else "this"
            letters = ", ".join("ijklmn"[: value.ndim])
            raise self.formula.wrong(
                node,
                f"{what} has shape {value.shape}; in an index sum give it an index for each axis, as in "
                f"{node.id if isinstance(node, ast.Name) else '(...)'}[{letters}]",
            )
        return value

    def _once(self, node: ast.AST) -> Any:
        if id(node) not in self._kept:
            self._kept[id(node)] = self.value(node, {})
        return self._kept[id(node)]

    def _named(self, node: ast.Name) -> np.ndarray:
        if node.id not in self.values:
            near = get_close_matches(node.id, self.values, 1)
            known = f"did you mean {near[0]!r}?" if near else f"the tape's names are {', '.join(self.values) or 'none'}"
            letter = (
                f"; if it is the letter of an index, sum over it, as in sum({node.id}, ...), or name it on the left, "
                f"as in dw[{node.id}] = ..."
                if node.id in self._letters
                else ""
            )
            raise self.formula.wrong(node, f"there is no tensor named {node.id[:60]!r}; {known}{letter}")
        return np.asarray(self.values[node.id], dtype=float)

    @property
    def _letters(self) -> set[str]:
        """The names that stand in brackets."""
        brackets = [n.slice for n in ast.walk(self.formula.tree) if isinstance(n, ast.Subscript)]
        return set[str]().union(*map(names_of, brackets))

    def _chained(self, node: ast.BinOp, scope: Scope) -> Any:
        """A chain of operators, from its left end."""
        terms = chain(node)
        total = self.value(terms[-1].left, scope)
        for term in reversed(terms):
            right = self.value(term.right, scope)
            try:
                size = float(np.prod(np.broadcast_shapes(np.shape(total), np.shape(right)), dtype=float))
            except ValueError:
                shapes = f"{np.shape(total)} and {np.shape(right)}"
                raise self.formula.wrong(
                    term, f"arrays of shapes {shapes} do not fit together element by element"
                ) from None
            self.spend(term, size, size)
            total = OPERATORS[type(term.op)](total, right)
        return total

    def _composed(self, node: ast.AST, scope: Scope) -> Any:
        if isinstance(node, ast.List | ast.Tuple):
            if scope:
                raise self.formula.wrong(node, "there is no array inside an index sum: one number for each place")
            parts = [self.value(n, {}) for n in node.elts]
            if len({np.shape(part) for part in parts}) > 1:
                raise self.formula.wrong(
                    node, f"the rows of an array must have one shape, found {[np.shape(x) for x in parts]}"
                )
            size = float(sum(np.size(part) for part in parts))
            self.spend(node, size, size)
            return np.array(parts, dtype=float)
        if isinstance(node, ast.Subscript):
            return self._element(node, scope)
        assert isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        bound = binding(node)
        if bound is not None:
            return self._index_sum(node, bound, scope)
        function = FUNCTIONS[node.func.id]
        if scope and function.cost is not None and not (node.func.id in ("max", "min") and len(node.args) == 2):
            raise self.formula.wrong(
                node, f"{node.func.id} is of whole arrays; inside an index sum use it without the letters of the sum"
            )
        arguments = [np.asarray(self.value(n, scope)) for n in node.args[: function.arrays]]
        given = {str(k.arg): self._setting(k.value) for k in node.keywords}
        for name, setting in zip(function.placed, node.args[function.arrays :], strict=False):
            given[name] = self._setting(setting)
        if function.cost is not None:
            self.spend(node, *function.cost(*[x.shape for x in arguments], **given))
        else:
            size = float(np.prod(np.broadcast_shapes(*[x.shape for x in arguments]), dtype=float))
            self.spend(node, size, size)
        return function.call(*arguments, **given)

    def _setting(self, node: ast.AST) -> Any:
        """A setting: whole numbers, words, or the name of a whole number."""
        if isinstance(node, ast.Tuple | ast.List):
            return tuple(self._setting(part) for part in node.elts)
        if isinstance(node, ast.Constant) and type(node.value) in (str, bool):
            return node.value
        if isinstance(node, ast.Name):
            given = self._named(node)
            if given.size > 8 or not np.all(np.isfinite(given)) or np.any(given != np.floor(given)):
                raise self.formula.wrong(node, f"{node.id} is not a whole number; a setting must be one")
            return int(given) if not given.ndim else tuple(int(n) for n in given.ravel())
        return self.formula.whole(node)

    # ---- elements and sums over letters

    def _element(self, node: ast.Subscript, scope: Scope) -> Any:
        """An element or a part of an array; at letters, the elements at their places, and 0 outside of the array."""
        inside = node.slice
        base = np.asarray(self._once(node.value))
        parts = list(inside.elts) if isinstance(inside, ast.Tuple) else [inside]
        if not any(isinstance(n, ast.Name) for n in ast.walk(inside)):
            return base[self.formula.key(inside)]
        if any(isinstance(part, ast.Slice) for part in parts) or len(parts) != base.ndim:
            raise self.formula.wrong(
                node, f"shape {base.shape} needs {base.ndim} indices, found {len(parts)}; give one for each axis"
            )
        places = [self._whole(part, self.value(part, scope)) for part in parts]
        size = float(np.prod(np.broadcast_shapes(*[x.shape for x in places]), dtype=float))
        self.spend(node, size, size)
        within: Any = np.ones((), bool)
        for place, n in zip(places, base.shape, strict=True):
            within = within & (place >= 0) & (place < n)
        if not base.size:
            return np.zeros(within.shape)
        clipped = [np.clip(place, 0, n - 1) for place, n in zip(places, base.shape, strict=True)]
        return np.where(within, base[tuple(clipped)], 0.0)

    def _whole(self, node: ast.AST, value: Any) -> np.ndarray:
        given = np.asarray(value, dtype=float)
        if not np.isfinite(given).all() or (given != np.floor(given)).any() or np.abs(given).max(initial=0) > 1 << 62:
            raise self.formula.wrong(node, "an index must be a whole number; i//2 rounds down, i/2 does not")
        return given.astype(np.int64)

    def _index_sum(self, node: ast.Call, bound: Binding, scope: Scope) -> Any:
        """The sum (mean, max, min) of ``bound.body`` over its letters, one number for each place of ``scope``."""
        assert isinstance(node.func, ast.Name)
        limits = {head.letter: self._limits(node, head, bound.body) for head in bound.heads}
        count = prod(max(0, high - low) for low, high in limits.values())
        around = prod(float(len(x)) for x in scope.values())
        if count * around > WORK:
            self.spend(node, count * around)  # says so, and raises
        if not count:
            if node.func.id not in ("sum", "mean"):
                raise self.formula.wrong(node, f"the {node.func.id} of no numbers")
            return np.float64(0)
        own: Scope = {}
        for letter, (low, high) in limits.items():
            own[letter] = _along(len(scope) + len(own), low, high)
        total = self._pieces(node, bound.body, scope, own)
        return total / count if node.func.id == "mean" else total

    def _pieces(self, node: ast.Call, body: ast.expr, scope: Scope, own: Scope) -> Any:
        """The sum over ``own``, in halves of the longest letter where the whole would not fit."""
        assert isinstance(node.func, ast.Name)
        joined = _JOINED[node.func.id]
        sizes = [len(x) for x in (scope | own).values()]
        longest = max(own, key=lambda letter: len(own[letter]))
        if prod(map(float, sizes)) > ELEMENTS and len(own[longest]) > 1:
            half = len(own[longest]) // 2
            parts = [own | {longest: part} for part in (own[longest][:half], own[longest][half:])]
            return joined(*[self._pieces(node, body, scope, part) for part in parts])
        value = np.asarray(self.value(body, scope | own))
        shape = [1] * len(scope) + [len(x) for x in own.values()]
        full = np.broadcast_shapes(value.shape, tuple(reversed(shape)))
        self.spend(node, float(np.prod(full, dtype=float)))
        axes = tuple(range(len(full) - len(shape), len(full) - len(scope)))
        return joined.reduce(np.broadcast_to(value, full), axis=axes)

    def _limits(self, node: ast.Call, head: Head, body: ast.expr) -> tuple[int, int]:
        """From where to where a letter runs: as written, or over the axis that it is the whole index of.

        Where there are several, a product is 0 outside the shortest; of anything else the user must say.
        """
        assert isinstance(node.func, ast.Name)
        if head.high is not None:
            low = 0 if head.low is None else self._limit(head.low)
            return low, self._limit(head.high) + head.closed
        sizes: dict[int, str] = {}
        met: set[int] = set()
        for part in ast.walk(body):
            if isinstance(part, ast.Subscript):
                parts = list(part.slice.elts) if isinstance(part.slice, ast.Tuple) else [part.slice]
                at = [a for a, x in enumerate(parts) if isinstance(x, ast.Name) and x.id == head.letter]
                if at:
                    shape = np.shape(self._once(part.value))
                    met.add(id(part))
                    sizes |= {shape[a]: ast.unparse(part.value)[:40] for a in at if a < len(shape)}
        letter = head.letter
        if len(sizes) > 1 and not (node.func.id == "sum" and factors_of(body) >= met):
            said = " and ".join(f"{n} places of {what}" for n, what in sizes.items())
            raise self.formula.wrong(
                node, f"the letter {letter} runs over {said}; say how far, as in sum({letter} < {min(sizes)}, ...)"
            )
        if not sizes:
            raise self.formula.wrong(
                node,
                f"how far does the letter {letter} run? No tensor has it as its whole index; say "
                f"sum({letter} < 3, ...)",
            )
        return 0, min(sizes)

    def _limit(self, node: ast.expr) -> int:
        value = np.asarray(self._once(node))
        if value.ndim or not np.isfinite(value) or value != np.floor(value):
            raise self.formula.wrong(node, "a limit of a sum is a whole number")
        return int(value)


def _along(axis: int, low: int, high: int) -> np.ndarray:
    """The indices low .. high - 1 along an axis counted from the right."""
    return np.arange(low, high, dtype=float).reshape((-1,) + (1,) * axis)


def _counted(n: float) -> str:
    return f"{n:,.0f}" if n < 1e15 else f"{n:.3g}"
