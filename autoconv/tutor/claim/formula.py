"""Formulas as text: a strict arithmetic grammar over ``ast`` with names, indices, a few functions, and no eval.

    "(i[0,0] + i[0,1]) * 2*(o2 - y)"        "conv(i, 2*(o - y))"        "[[1, 2], [3, 4*w[0,1]]]"

Work is bounded before it is done: length, nesting, and the numbers computed in all.  Numbers are floats, so 9**9**9 is
inf, not a day's work.
"""

from __future__ import annotations

import ast
import unicodedata
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

import numpy as np

from ...functional import conv as compositions
from ...functional.activation import sigmoid
from ...primitives import TABLE

LONGEST, PARTS, DEEPEST = 20_000, 20_000, 60
ELEMENTS, WORK = 1_000_000, 100_000_000  # numbers in one result; numbers computed by the whole formula

__all__ = ["FUNCTIONS", "Formula", "FormulaError"]

_COUNTS = {"sum": (1, 2), "max": (1, 2), "min": (1, 2), "conv": (2, 2), "full": (2, 2)}
_OPERATORS: dict[type, Any] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
}


class Formula:
    """A parsed formula; call it with the values of its names.  Raises FormulaError with the position of an error."""

    def __init__(self, text: str) -> None:
        self.text = " ".join(text.split())  # a formula may run over several lines
        self._work = 0.0
        if len(text) > LONGEST:
            raise FormulaError(f"formula: {len(text):,} characters are more than the {LONGEST:,} allowed")
        if "#" in text:
            raise FormulaError(located(self.text, self.text.index("#"), "there are no comments in a formula"))
        try:
            self.tree = ast.parse(self.text, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            at = (getattr(error, "offset", None) or 1) - 1
            raise FormulaError(located(self.text, at, advice(self.text, at, error))) from None
        if sum(isinstance(n, ast.expr) for n in ast.walk(self.tree)) > PARTS:
            raise FormulaError(f"formula: more than {PARTS:,} parts; write it shorter, with sum(...) or conv(...)")
        self._check(self.tree, 0)
        self.names = sorted(
            {n.id for n in ast.walk(self.tree) if isinstance(n, ast.Name)}
            - {n.func.id for n in ast.walk(self.tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
        )

    def __call__(self, values: Mapping[str, Any]) -> np.ndarray:
        """The value for these values of the names; FormulaError for unknown names, wrong shapes, and too much work."""
        self._work = 0.0
        known = {unicodedata.normalize("NFKC", name): value for name, value in values.items()}  # as ast reads names
        with np.errstate(all="ignore"):
            return np.asarray(self._value(self.tree, known), dtype=float)

    @property
    def whole_numbers(self) -> tuple[int, ...]:
        """The numbers of a formula that is but a pair of brackets with whole numbers, as a shape is written; or ()."""
        parts = self.tree.elts if isinstance(self.tree, ast.Tuple) else []
        numbers = tuple(n.value for n in parts if isinstance(n, ast.Constant) and type(n.value) is int)
        return numbers if len(numbers) == len(parts) else ()

    def wrong(self, node: ast.AST, what: str) -> FormulaError:
        before = self.text.encode()[: getattr(node, "col_offset", 0)]  # ast counts bytes
        return FormulaError(located(self.text, len(before.decode(errors="ignore")), what))

    def spend(self, node: ast.AST, numbers: float, kept: float = 0) -> None:
        """Count ``numbers`` about to be computed, ``kept`` of them as a result; FormulaError if that is too much."""
        self._work += numbers
        if kept > ELEMENTS:
            raise self.wrong(node, f"the result would have more than {ELEMENTS:,} elements")
        if self._work > WORK:
            raise self.wrong(node, f"this formula would compute more than {WORK:,} numbers")

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
            for term in _chain(node):
                if type(term.op) not in _OPERATORS:
                    other = OTHER_OPERATORS.get(type(term.op), type(term.op).__name__)
                    raise self.wrong(term.right, f"{other} is not in the grammar; use + - * / **")
                self._check(term.right, depth + 1)
            parts: list[ast.AST] = [term.left]
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            parts = [node.operand]
        elif isinstance(node, ast.List | ast.Tuple):
            parts = list(node.elts)
        elif isinstance(node, ast.Subscript):
            self.key(node.slice)
            parts = [node.value]
        elif isinstance(node, ast.Call):
            if not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS:
                name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
                raise self.wrong(node, f"there is no function {name[:60]!r}; use {', '.join(FUNCTIONS)}")
            for keyword in node.keywords:
                if keyword.arg != "axis" or node.func.id not in ("sum", "max", "min") or len(node.args) > 1:
                    also = f" beside {len(node.args)} arguments" if keyword.arg == "axis" and len(node.args) > 1 else ""
                    raise self.wrong(node, f"{node.func.id} takes no setting {keyword.arg!r}{also}")
                self._axes(keyword.value)
            few, many = _COUNTS.get(node.func.id, (1, 1))
            if not few <= len(node.args) <= many:
                takes = few if few == many else f"{few} or {many}"
                raise self.wrong(node, f"{node.func.id} takes {takes} arguments, found {len(node.args)}")
            parts = list(node.args)
        else:
            kind = OTHER_PARTS.get(type(node).__name__, type(node).__name__)
            raise self.wrong(
                node, f"{kind} is not in the grammar: names, numbers, [indices], + - * / **, and functions"
            )
        for part in parts:
            self._check(part, depth + 1)

    def key(self, node: ast.AST) -> Any:
        """A subscript as an index: whole numbers, colons, and tuples of them."""
        if isinstance(node, ast.Tuple):
            return tuple(self.key(n) for n in node.elts)
        if isinstance(node, ast.Slice):
            return slice(*[None if n is None else self._whole(n) for n in (node.lower, node.upper, node.step)])
        return self._whole(node)

    def _whole(self, node: ast.AST) -> int:
        sign = -1 if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else 1
        number = node.operand if isinstance(node, ast.UnaryOp) else node
        if not isinstance(number, ast.Constant) or type(number.value) is not int:
            raise self.wrong(node, "an index is a whole number or a slice, as in w[0, 1] or w[:, 1]")
        if number.value > 1 << 31:
            raise self.wrong(node, f"no array has an index {number.value}")
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
                raise self.wrong(node, f"there is no tensor named {node.id[:60]!r}; {known}")
            return np.asarray(values[node.id], dtype=float)
        if isinstance(node, ast.UnaryOp):
            value = self._value(node.operand, values)
            return -value if isinstance(node.op, ast.USub) else value
        if isinstance(node, ast.BinOp):
            return self._sum(node, values)
        try:
            return self._composed(node, values)
        except FormulaError:
            raise
        except (ValueError, IndexError, TypeError, ZeroDivisionError) as error:
            raise self.wrong(node, " ".join(str(error).split())) from None

    def _sum(self, node: ast.BinOp, values: Mapping[str, Any]) -> Any:
        """A chain of operators, from its left end."""
        terms = _chain(node)
        total = self._value(terms[-1].left, values)
        for term in reversed(terms):
            right = self._value(term.right, values)
            try:
                size = float(np.prod(np.broadcast_shapes(np.shape(total), np.shape(right)), dtype=float))
            except ValueError:
                shapes = f"{np.shape(total)} and {np.shape(right)}"
                raise self.wrong(term, f"arrays of shapes {shapes} do not fit together element by element") from None
            self.spend(term, size, size)
            total = _OPERATORS[type(term.op)](total, right)
        return total

    def _composed(self, node: ast.AST, values: Mapping[str, Any]) -> Any:
        if isinstance(node, ast.List | ast.Tuple):
            parts = [self._value(n, values) for n in node.elts]
            if len({np.shape(part) for part in parts}) > 1:
                raise self.wrong(
                    node, f"the rows of an array must have one shape, found {[np.shape(x) for x in parts]}"
                )
            size = float(sum(np.size(part) for part in parts))
            self.spend(node, size, size)
            return np.array(parts, dtype=float)
        if isinstance(node, ast.Subscript):
            return np.asarray(self._value(node.value, values))[self.key(node.slice)]
        assert isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        name = node.func.id
        arguments = [np.asarray(self._value(n, values)) for n in node.args]
        axis = {str(k.arg): self._axes(k.value) for k in node.keywords}
        if name == "sum" and len(node.args) == 2:
            arguments, axis = arguments[:1], {"axis": self._axes(node.args[1])}
        if name in ("conv", "full"):
            self.spend(node, *_products(arguments[0], arguments[1], name == "full"))
        elif len(arguments) == 2:
            size = float(np.prod(np.broadcast_shapes(*[x.shape for x in arguments]), dtype=float))
            self.spend(node, size, size)
        else:
            self.spend(node, arguments[0].size)
        return FUNCTIONS[name](*arguments, **axis)


def _chain(node: ast.BinOp) -> list[ast.BinOp]:
    """a + b - c ... as its operators, the last first: a long sum is no deep nesting."""
    chain = [node]
    while isinstance(chain[-1].left, ast.BinOp):
        chain.append(chain[-1].left)
    return chain


def _products(x: Any, kernel: Any, full: bool) -> tuple[float, float]:
    """How many products a convolution takes, and at most how many numbers it gives."""
    dims = _dims(x, kernel)
    first = 1 if x.ndim == dims + 2 else 0
    sizes, window = x.shape[first : first + dims], kernel.shape[:dims]
    out = float(np.prod([n + (k - 1 if full else 1 - k) for n, k in zip(sizes, window, strict=False)], dtype=float))
    batch = x.shape[0] if first else 1
    filters = kernel.shape[-1] if kernel.ndim > dims else 1
    return max(out, 0.0) * batch * kernel.size, max(out, 0.0) * batch * filters


def _extreme(whole: Callable[..., Any], pairs: Callable[..., Any]) -> Callable[..., Any]:
    """max(x), max(x, axis=0), or the larger of two, element by element."""
    return lambda x, *more, axis=None: pairs(x, *more) if more else whole(x, axis=axis)


def _dims(x: Any, kernel: Any) -> int:
    """Along how many axes a kernel slides: (k,), (k, C, O); (kH, kW), (kH, kW, C, O); (kD, kH, kW, C, O)."""
    if kernel.ndim == 3 and x.ndim == 3:
        return 1 if x.shape[-1] == kernel.shape[1] else 3
    return {1: 1, 3: 1, 5: 3}.get(kernel.ndim, 2)


def _conv(padding: Any) -> Callable[..., Any]:
    """Cross-correlation without padding (conv) or with every partial overlap (full), in the library's layout."""
    return lambda x, kernel: getattr(compositions, f"conv{_dims(x, kernel)}d")(x, kernel, padding=padding)


def _rot180(kernel: Any) -> Any:
    """A kernel turned along all axes along which it slides."""
    if not kernel.ndim:
        raise ValueError("a number cannot be rotated")
    return np.flip(kernel, tuple(range({1: 1, 3: 1, 5: 3}.get(kernel.ndim, 2))))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    **{row.name: row.forward for row in TABLE.values() if row.function},
    "max": _extreme(np.max, np.maximum),
    "min": _extreme(np.min, np.minimum),
    "sum": lambda x, axis=None: np.sum(x, axis=axis),
    "sigmoid": lambda x: sigmoid(np.asarray(x)),
    "conv": _conv(0),
    "rot180": _rot180,
    "full": _conv("full"),
}


# ---- what is said of a text that is no formula


class FormulaError(ValueError):
    """What is wrong with a formula, and where; what is not in the grammar, and what to write instead."""


OTHER_OPERATORS: dict[type, str] = {
    ast.BitXor: "^ (a power is written **)", ast.MatMult: "@", ast.FloorDiv: "//", ast.Mod: "%", ast.LShift: "<<",
    ast.RShift: ">>", ast.BitAnd: "&", ast.BitOr: "|",
}  # fmt: skip
OTHER_PARTS = {
    "Attribute": "a dot (if it belongs to a name, give the tensor a plain one, as in names={'w': layer.weight})",
    "Compare": "a comparison", "IfExp": "if", "BoolOp": "and/or", "ListComp": "a comprehension", "Lambda": "lambda",
    "JoinedStr": "a text", "NamedExpr": ":=", "Starred": "*", "Dict": "{}", "Set": "{}", "UnaryOp": "this sign",
    "Await": "await",
}  # fmt: skip
_LOOKALIKES = {
    "×": "*",
    "·": "*",
    "−": "-",
    "²": "**2",
    "³": "**3",
    "÷": "/",
    "^": "**",
    "…": "all the terms",
    "|": "abs(...)",
}


def advice(text: str, at: int, error: Exception) -> str:
    """Why a text is no formula, and what to write instead where that is clear."""
    sign, reason = text[at : at + 1], str(error.args[0] if error.args else "")
    if isinstance(error, RecursionError | MemoryError):
        return "this is too long a chain of operations; write it shorter, with sum(...) or conv(...)"
    if sign in _LOOKALIKES:
        return f"{sign!r} is not in the grammar; write {_LOOKALIKES[sign]}"
    before = text[:at].rstrip()
    if "decimal literal" in reason or (before and (before[-1].isalnum() or before[-1] in ")]") and sign.isalnum()):
        return "this is not a formula; a product is written with *, as in 2*a"
    if "digits" in reason:
        return "this number is too large"
    if sign == "=":
        return "this is not a formula; give only what stands to the right of ="
    return f"this is not a formula ({reason})" if text else "the formula is empty"


def located(text: str, at: int, what: str) -> str:
    return f"formula: {what}, at position {at + 1}: {text[max(0, at - 20) : at]} >>> {text[at : at + 30]}"
