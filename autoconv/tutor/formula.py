"""Formulas as text: a strict arithmetic grammar over ``ast``, with names, indices and a few functions; nothing is ever eval'ed.

    "(i[0,0] + i[0,1]) * 2*(o2 - y)"        "conv(i, 2*(o - y))"        "[[1, 2], [3, 4*w[0,1]]]"

Work is bounded before it is done: length, nesting, sizes of results.  Numbers are floats, so 9**9**9 is inf, not a day's work.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

import numpy as np

from ..functional import conv as compositions
from ..functional.activation import sigmoid

LONGEST, NODES, DEEPEST, ELEMENTS, PRODUCTS = 4000, 1500, 60, 1_000_000, 100_000_000

_COUNTS = {"sum": (1, 2), "max": (1, 2), "min": (1, 2), "conv": (2, 2), "full": (2, 2)}
_OPERATORS: dict[type, Any] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
}


class FormulaError(ValueError):
    """What is wrong with a formula, and where."""


class Formula:
    """A parsed formula; call it with the values of its names.  Raises FormulaError with the position of what is not allowed."""

    def __init__(self, text: str) -> None:
        self.text = text
        if len(text) > LONGEST:
            raise FormulaError(f"formula: {len(text):,} characters are more than the {LONGEST:,} allowed")
        try:
            self.tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            at = getattr(error, "offset", None) or 1
            raise FormulaError(_located(text.strip(), at - 1, f"this is not a formula ({error.args[0]})")) from None
        self.text = text.strip()
        if sum(1 for _ in ast.walk(self.tree)) > NODES:
            raise FormulaError(f"formula: more than {NODES} parts; write it shorter, with sum(...) or conv(...)")
        self._check(self.tree, 0)
        self.names = sorted(
            {n.id for n in ast.walk(self.tree) if isinstance(n, ast.Name)}
            - {n.func.id for n in ast.walk(self.tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
        )

    def __call__(self, values: Mapping[str, Any]) -> np.ndarray:
        """The value for these values of the names; FormulaError for unknown names, shapes that do not fit, and too much work."""
        with np.errstate(all="ignore"):
            return np.asarray(self._value(self.tree, values), dtype=float)

    def wrong(self, node: ast.AST, what: str) -> FormulaError:
        return FormulaError(_located(self.text, getattr(node, "col_offset", 0), what))

    def _check(self, node: ast.AST, depth: int) -> None:
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
            if type(node.op) not in _OPERATORS:
                raise self.wrong(node, f"{type(node.op).__name__} is not in the grammar; use + - * / **")
            parts: list[ast.AST] = [node.left, node.right]
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            parts = [node.operand]
        elif isinstance(node, ast.List | ast.Tuple):
            parts = list(node.elts)
        elif isinstance(node, ast.Subscript):
            self._key(node.slice)
            parts = [node.value]
        elif isinstance(node, ast.Call):
            if not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS:
                name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
                raise self.wrong(node, f"there is no function {name!r}; use {', '.join(FUNCTIONS)}")
            for keyword in node.keywords:
                if keyword.arg != "axis" or node.func.id not in ("sum", "max", "min"):
                    raise self.wrong(node, f"{node.func.id} takes no setting {keyword.arg!r}")
                self._axes(keyword.value)
            few, many = _COUNTS.get(node.func.id, (1, 1))
            if not few <= len(node.args) <= many:
                takes = few if few == many else f"{few} or {many}"
                raise self.wrong(node, f"{node.func.id} takes {takes} arguments, found {len(node.args)}")
            parts = list(node.args)
        else:
            kind = type(node).__name__
            raise self.wrong(
                node, f"{kind} is not in the grammar: names, numbers, [indices], + - * / **, and functions"
            )
        for part in parts:
            self._check(part, depth + 1)

    def _key(self, node: ast.AST) -> Any:
        """A subscript as an index: whole numbers, colons, and tuples of them."""
        if isinstance(node, ast.Tuple):
            return tuple(self._key(n) for n in node.elts)
        if isinstance(node, ast.Slice):
            return slice(*[None if n is None else self._whole(n) for n in (node.lower, node.upper, node.step)])
        return self._whole(node)

    def _whole(self, node: ast.AST) -> int:
        sign = -1 if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else 1
        number = node.operand if isinstance(node, ast.UnaryOp) else node
        if not isinstance(number, ast.Constant) or type(number.value) is not int:
            raise self.wrong(node, "an index is a whole number or a slice, as in w[0, 1] or w[:, 1]")
        return sign * number.value

    def _axes(self, node: ast.AST) -> int | tuple[int, ...]:
        return tuple(self._whole(n) for n in node.elts) if isinstance(node, ast.Tuple) else self._whole(node)

    def _value(self, node: ast.AST, values: Mapping[str, Any]) -> Any:
        if isinstance(node, ast.Constant):
            return np.float64(node.value)  # type: ignore[arg-type]
        if isinstance(node, ast.Name):
            if node.id not in values:
                near = get_close_matches(node.id, values, 1)
                known = f"did you mean {near[0]!r}?" if near else f"the tape's names are {', '.join(values) or 'none'}"
                raise self.wrong(node, f"there is no tensor named {node.id!r}; {known}")
            return np.asarray(values[node.id], dtype=float)
        if isinstance(node, ast.UnaryOp):
            value = self._value(node.operand, values)
            return -value if isinstance(node.op, ast.USub) else value
        try:
            return self._composed(node, values)
        except FormulaError:
            raise
        except (ValueError, IndexError, TypeError, ZeroDivisionError) as error:
            raise self.wrong(node, " ".join(str(error).split())) from None

    def _composed(self, node: ast.AST, values: Mapping[str, Any]) -> Any:
        if isinstance(node, ast.BinOp):
            left, right = self._value(node.left, values), self._value(node.right, values)
            if np.prod(np.broadcast_shapes(np.shape(left), np.shape(right)), dtype=float) > ELEMENTS:
                raise self.wrong(node, f"the result would have more than {ELEMENTS:,} elements")
            return _OPERATORS[type(node.op)](left, right)
        if isinstance(node, ast.List | ast.Tuple):
            return np.array([self._value(n, values) for n in node.elts], dtype=float)
        if isinstance(node, ast.Subscript):
            return self._value(node.value, values)[self._key(node.slice)]
        assert isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        name = node.func.id
        arguments = [self._value(n, values) for n in node.args]
        axis = {str(k.arg): self._axes(k.value) for k in node.keywords}
        if name == "sum" and len(node.args) == 2 and not axis:
            arguments, axis = arguments[:1], {"axis": self._axes(node.args[1])}
        return FUNCTIONS[name](*arguments, **axis)


def _located(text: str, at: int, what: str) -> str:
    return f"formula: {what}, at position {at + 1}: {text[max(0, at - 20) : at]} >>> {text[at : at + 30]}"


def _extreme(whole: Callable[..., Any], pairs: Callable[..., Any]) -> Callable[..., Any]:
    """max(x), max(x, axis=0), or the larger of two, element by element."""
    return lambda x, *more, axis=None: pairs(x, *more) if more else whole(x, axis=axis)


def _conv(padding: Any) -> Callable[..., Any]:
    """Cross-correlation without padding (conv) or with every partial overlap (full), in the library's layout."""

    def conv(x: Any, kernel: Any) -> Any:
        if x.size * kernel.size > PRODUCTS:
            raise ValueError(f"conv of {x.size:,} by {kernel.size:,} elements is more than a formula may ask for")
        dims = 1 if kernel.ndim == 1 or (kernel.ndim == 3 and x.ndim <= 3) else 2

        return getattr(compositions, f"conv{dims}d")(x, kernel, padding=padding)

    return conv


def _rot180(kernel: Any) -> Any:
    return np.flip(kernel, (0, 1) if kernel.ndim > 1 else 0)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    "exp": np.exp,
    "log": np.log,
    "tanh": np.tanh,
    "max": _extreme(np.max, np.maximum),
    "min": _extreme(np.min, np.minimum),
    "sum": lambda x, axis=None: np.sum(x, axis=axis),
    "sigmoid": lambda x: sigmoid(np.asarray(x)),
    "conv": _conv(0),
    "rot180": _rot180,
    "full": _conv("full"),
}
