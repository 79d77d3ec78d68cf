"""The rows of the table as formulas on single numbers: value and local derivatives, in Python's words and in C's.

The derivatives are not written here: the row's rule (or the one derived from its definition) is recorded on scalars
with cotangent 1, and the lines of that tape become an expression in a, b (the operands) and y (the result).
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from .. import arrays
from ..backward import derive
from ..tape import Primitive, Tape, Tensor, tensor

Expression = ast.expr


class Formula(NamedTuple):
    """A row on numbers: its value, and dy/da (and dy/db), as expressions in a, b and y."""

    value: Expression
    slopes: tuple[Expression, ...]


def parsed(text: str) -> Expression:
    return ast.parse(text, mode="eval").body


# Values in words that Python and C share; of every other row the name of NumPy's function is looked for in ``math``.
_WORDS: dict[str, Callable[..., str]] = {
    "add": lambda: "a + b",
    "sub": lambda: "a - b",
    "mul": lambda: "a * b",
    "div": lambda: "a / b",
    "power": lambda: "a ** b",
    "neg": lambda: "-a",
    "abs": lambda slope_at_zero=0: "abs(a)",
    "sign": lambda at_zero=0: f"1.0 if a > 0.0 else -1.0 if a < 0.0 else {float(at_zero)} if a == 0.0 else a",
    **{
        name: lambda word=word: f"a {word} b"  # type: ignore[misc]
        for name, word in {
            "greater": ">", "less": "<", "greater_equal": ">=", "less_equal": "<=", "equal": "==", "not_equal": "!=",
        }.items()
    },  # fmt: skip
    "multiply_no_nan": lambda: "0.0 if b == 0.0 else a * b",
    "where": lambda: "b if a else c",
    "identity": lambda: "a",
    "stop_gradient": lambda: "a",
    "maximum": lambda ties="split": f"a if a {'>' if ties == 'split' else '>='} b or a != a else b",
    "minimum": lambda ties="split": f"a if a {'<' if ties == 'split' else '<='} b or a != a else b",
}


def formula(primitive: Primitive, params: Mapping[str, Any]) -> Formula | None:
    """The formula of a row of one or two operands; None if some part of it has no word."""
    operands: list[Expression] = [ast.Name(name) for name in ("a", "b")[: primitive.arity]]
    value = in_words(primitive, params, operands)
    found = None if value is None else slopes(primitive, params, operands)
    return None if value is None or found is None else Formula(value, found)


def in_words(primitive: Primitive, params: Mapping[str, Any], operands: list[Expression]) -> Expression | None:
    """The value of a row for these operands."""
    if primitive.name in _WORDS:
        given = dict(zip("abc", operands, strict=False))
        return _Filled(given).visit(parsed(_WORDS[primitive.name](**params)))
    word = primitive.ufunc.__name__ if primitive.ufunc else ""
    return ast.Call(ast.Name(word), operands, []) if primitive.function and hasattr(math, word) else None


class _Filled(ast.NodeTransformer):
    """An expression with others in place of its names."""

    def __init__(self, given: Mapping[str, Expression]) -> None:
        self.given = given

    def visit_Name(self, node: ast.Name) -> Expression:
        return self.given.get(node.id, node)


def slopes(
    primitive: Primitive, params: Mapping[str, Any], operands: list[Expression]
) -> tuple[Expression, ...] | None:
    """The local derivatives: the row's rule with cotangent 1."""
    count = len(operands)
    if primitive.definition is not None:
        rule = derive(primitive, count, tuple(range(count)), tuple(params.items()))
        if primitive.ties:
            return tuple(_by_order(*cases) for cases in arrays.cases(rule))
        (g, *xs), y, tape = rule.variables, tensor(0.5), rule.tape
    else:
        g, y, *xs = (tensor(0.5) for _ in range(count + 2))
        rules: Any = primitive.vjps
        tape = Tape(*[rule(g, y, *xs, **params) for rule in rules])
    known: dict[int, Expression] = {id(x): name for x, name in zip(xs, operands, strict=True)}
    known |= {id(g): ast.Constant(1.0), id(y): ast.Name("y")}
    for line in tape:
        if id(line) not in known:
            expression = _line(line, known)
            if expression is None:
                return None
            known[id(line)] = expression
    return tuple(known[id(x)] for x in tape.outputs)


def _by_order(less: float, tie: float, more: float, nan: str) -> Expression:
    """One of three numbers, as a < b, a = b or a > b; of a NaN and a number the NaN is the greater or the less."""
    one, other = ("a", "b") if nan == "more" else ("b", "a")  # a NaN on this side decides for "more", or on that
    if tie == more:
        return parsed(f"{more} if a >= b or {one} != {one} else {less}")
    if tie == less:
        return parsed(f"{less} if b >= a or {other} != {other} else {more}")
    if nan == "more":
        return parsed(f"{more} if order(a, b) > 0.0 else {less} if order(a, b) < 0.0 else {tie}")
    return parsed(f"{less} if order(-a, -b) > 0.0 else {more} if order(-a, -b) < 0.0 else {tie}")


def _line(line: Tensor, known: Mapping[int, Expression]) -> Expression | None:
    """One line of a rule's tape, with what is known calculated and factors of 1 left out."""
    if line.primitive is None:
        return ast.Constant(float(line.value))
    operands = [known[id(x)] for x in line.operands]
    numbers: list[Any] = [x.value if isinstance(x, ast.Constant) else None for x in operands]
    name = line.primitive.name
    if all(x is not None for x in numbers):
        return ast.Constant(float(line.primitive.forward(*[np.float64(x) for x in numbers], **line.params)))
    if (name == "mul" and 1.0 in numbers) or (name == "div" and numbers[1] == 1.0):
        return operands[1] if numbers[0] == 1.0 else operands[0]
    if name == "multiply_no_nan" and 1.0 in numbers:
        return operands[1] if numbers[0] == 1.0 else operands[0]
    if name == "mul" and -1.0 in numbers:
        return ast.UnaryOp(ast.USub(), operands[1] if numbers[0] == -1.0 else operands[0])
    return in_words(line.primitive, line.params, operands)


# ---- in Python


def order(x: float, y: float) -> int:
    """1 if x is the greater, -1 if y is, 0 if neither; a NaN wins over a number."""
    return (x > y) - (x < y) + (x != x) - (y != y)


def in_python(made: Formula, arity: int, only: int | None = None) -> Callable[..., tuple[float, ...]]:
    """The function from operands to (value, *slopes); ``only``: the slope of this operand alone."""
    wanted = made.slopes if only is None else made.slopes[only : only + 1]
    result = ", ".join(["y", *map(ast.unparse, wanted)])
    source = f"def rule({', '.join('ab'[:arity])}):\n    y = {ast.unparse(made.value)}\n    return {result}\n"
    names: dict[str, Any] = {**{k: v for k, v in vars(math).items() if callable(v)}, "order": order}
    exec(compile(source, "<the table>", "exec"), names)
    rule: Callable[..., tuple[float, ...]] = names["rule"]
    return rule


# ---- in C

_C_WORDS: dict[type, str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<=",
    ast.Eq: "==", ast.NotEq: "!=", ast.Or: "||",
}  # fmt: skip


def in_c(x: Expression) -> str:
    """The expression in C: operands A, B (a number: C) and result Y are macros of whoever includes it, F(name) a
    function of the number type T."""
    text = _c(x)
    return text[1:-1] if isinstance(x, ast.BinOp | ast.Compare | ast.BoolOp | ast.IfExp) and text[0] == "(" else text


def _c(x: Expression) -> str:
    match x:
        case ast.Name(id=name):
            return name.upper()
        case ast.Constant(value=float(number)):
            return str(int(number)) if number.is_integer() else f"(T){number!r}"
        case ast.UnaryOp(operand=operand):
            return f"-{_c(operand)}"
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return f"F(pow)({in_c(left)}, {in_c(right)})"
        case ast.BinOp(left=left, op=op, right=right) | ast.Compare(left=left, ops=[op], comparators=[right]):
            return f"({_c(left)} {_C_WORDS[type(op)]} {_c(right)})"
        case ast.BoolOp(op=op, values=values):
            open_ = [x for x in values if any(isinstance(part, ast.Name) for part in ast.walk(x))]  # 0 != 0 is settled
            return f"({f' {_C_WORDS[type(op)]} '.join(map(_c, open_))})" if len(open_) > 1 else _c(open_[0])
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return f"({_c(test)} ? {_c(body)} : {_c(orelse)})"
        case ast.Call(func=ast.Name(id="order"), args=args):
            return f"ORDER({', '.join(map(in_c, args))})"
        case ast.Call(func=ast.Name(id=name), args=args):
            return f"F({'fabs' if name == 'abs' else name})({', '.join(map(in_c, args))})"
    raise TypeError(f"no C for {ast.unparse(x)}")


def reads(x: Expression) -> set[str]:
    """The names in an expression."""
    return {node.id for node in ast.walk(x) if isinstance(node, ast.Name)} & {"a", "b", "y"}


def filled(made: Formula, **given: str) -> Formula:
    """A formula with other names (or a number) for its operands."""
    names = {name: parsed(other) for name, other in given.items()}
    return Formula(_Filled(names).visit(_copy(made.value)), tuple(_Filled(names).visit(_copy(x)) for x in made.slopes))


def _copy(x: Expression) -> Expression:
    return parsed(ast.unparse(x))
