"""Edits of what is worked out: signs, operators, comparisons, numbers, operands too many and factors forgotten."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from itertools import combinations, combinations_with_replacement, permutations
from typing import Any

from .trees import Place, binary, call, called, laid_out_next, name, number


def exchanged_operator(groups: dict[type[ast.operator], tuple[type[ast.operator], ...]]) -> Callable[..., Any]:
    def made(p: Place) -> Iterator[ast.expr]:
        if isinstance(p.node, ast.BinOp):
            for other in groups.get(type(p.node.op), ()):
                yield ast.BinOp(p.node.left, other(), p.node.right)

    return made


def sign(p: Place) -> Iterator[ast.expr]:
    yield from exchanged_operator({ast.Add: (ast.Sub,), ast.Sub: (ast.Add,)})(p)
    if isinstance(p.node, ast.UnaryOp) and isinstance(p.node.op, ast.USub):
        yield from [] if isinstance(p.owner, ast.Slice) else [p.node.operand]
    elif isinstance(p.node, ast.Constant) and isinstance(p.node.value, (int, float)) and p.role == "value":
        yield from [number(-p.node.value)] if isinstance(p.owner, (ast.BinOp, ast.Assign)) else []


def minus(p: Place) -> Iterator[ast.expr]:
    """A minus forgotten."""
    if isinstance(p.node, ast.BinOp) or p.whole or (p.role == "value" and isinstance(p.node, (ast.Call, ast.Name))):
        yield ast.UnaryOp(ast.USub(), p.node)


OPERATORS = exchanged_operator({
    ast.Mult: (ast.Div, ast.Add, ast.MatMult, ast.FloorDiv, ast.Sub), ast.Div: (ast.Mult, ast.FloorDiv, ast.Sub),
    ast.FloorDiv: (ast.Mod, ast.Div, ast.Mult), ast.Mod: (ast.FloorDiv,), ast.Add: (ast.Mult, ast.Div),
    ast.Sub: (ast.Mult, ast.Div), ast.MatMult: (ast.Mult,), ast.Pow: (ast.Mult, ast.Div),
})  # fmt: skip


def comparison(p: Place) -> Iterator[ast.expr]:
    if isinstance(p.node, ast.Compare) and len(p.node.ops) == 1:
        for other in (ast.Gt, ast.GtE, ast.Lt, ast.LtE, ast.Eq, ast.NotEq):
            if not isinstance(p.node.ops[0], other):
                yield ast.Compare(p.node.left, [other()], p.node.comparators)


def condition(p: Place) -> Iterator[ast.expr]:
    if isinstance(p.node, ast.BoolOp):
        other = ast.And() if isinstance(p.node.op, ast.Or) else ast.Or()
        yield ast.BoolOp(other, p.node.values)
        for i in range(len(p.node.values)):
            rest = p.node.values[:i] + p.node.values[i + 1 :]
            yield rest[0] if len(rest) == 1 else ast.BoolOp(p.node.op, rest)
    if isinstance(p.node, ast.UnaryOp) and isinstance(p.node.op, (ast.Not, ast.Invert)):
        yield p.node.operand
    elif isinstance(p.node, ast.Compare) and p.role != "test":
        yield ast.UnaryOp(ast.Invert(), p.node)
    elif p.role == "test" and isinstance(p.owner, (ast.If, ast.While, ast.IfExp)) and p.field == "test":
        yield ast.UnaryOp(ast.Not(), p.node)


def constant(p: Place) -> Iterator[ast.expr]:
    if not isinstance(p.node, ast.Constant) or isinstance(p.owner, ast.UnaryOp):
        inner = p.node.operand if isinstance(p.node, ast.UnaryOp) else None
        if not isinstance(inner, ast.Constant) or not isinstance(p.node.op, ast.USub):  # type: ignore[attr-defined]
            return
        value: Any = -inner.value if isinstance(inner.value, (int, float)) else None
    else:
        value = p.node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        if isinstance(p.owner, ast.Slice) and p.field == "step":
            return
        for other in dict.fromkeys((value + 1, value - 1, 0, 1, 2, -1, -value, 3, -2)):
            if other != value:
                yield number(other)
        yield number(float(value) / 2) if value % 2 else number(value * 2)
        for real in p.scope.numbers if p.role == "value" else ():
            yield number(real)
    elif isinstance(value, float):
        near = (-value, value * 2, value / 2, value + 1, value - 1, 1.0, 0.0, value**2)
        for real in dict.fromkeys((*near, *p.scope.numbers, value * 10, value / 10)):
            if real != value:
                yield number(real)


def _shorter(value: float) -> float:
    return float(f"{value:.6g}")


def other_number(p: Place, times: float) -> Iterator[ast.expr]:
    """A number that is so many times what is written."""
    value: Any = getattr(p.node, "value", None) if isinstance(p.node, ast.Constant) else None
    if type(value) in (int, float) and p.role == "value" and value:
        yield number(_shorter(value * times))


def number_factor(p: Place, times: float) -> Iterator[ast.expr]:
    """What stands somewhere, times a number."""
    if p.role == "value" and isinstance(p.node, (ast.Name, ast.Call, ast.BinOp, ast.Subscript)):
        if isinstance(p.owner, (ast.Attribute, ast.Subscript, ast.Call)) and p.field in ("value", "func"):
            return
        if not isinstance(p.node, ast.Name) or p.node.id in p.scope.names:
            by = round(1 / times) if times else 0
            parts = by > 1 and abs(by * times - 1) < 1e-4
            yield binary(p.node, ast.Div, number(by)) if parts else binary(p.node, ast.Mult, number(_shorter(times)))


def dropped(p: Place) -> Iterator[ast.expr]:
    """An operand too many."""
    if isinstance(p.node, ast.BinOp):
        yield p.node.left
        yield p.node.right
        inner = p.node.left
        while isinstance(inner, ast.BinOp):
            inner = inner.left
            yield inner


def parentheses(p: Place) -> Iterator[ast.expr]:
    n = p.node
    if isinstance(n, ast.BinOp) and isinstance(n.left, ast.BinOp):
        for operator in (n.left.op, ast.Add(), ast.Sub(), ast.Mult(), ast.Div()):
            yield ast.BinOp(n.left.left, operator, ast.BinOp(n.left.right, n.op, n.right))
    if isinstance(n, ast.BinOp) and isinstance(n.right, ast.BinOp):
        yield ast.BinOp(ast.BinOp(n.left, n.op, n.right.left), n.right.op, n.right.right)
    if isinstance(n, ast.BinOp) and isinstance(n.left, ast.UnaryOp):
        yield ast.UnaryOp(n.left.op, ast.BinOp(n.left.operand, n.op, n.right))
    if isinstance(n, ast.UnaryOp) and isinstance(n.operand, ast.BinOp):
        inner = n.operand
        yield ast.BinOp(ast.UnaryOp(n.op, inner.left), inner.op, inner.right)


def bent(p: Place) -> Iterator[ast.expr]:
    """A function forgotten: the square, the root, one minus it, its mask, its derivative, a relu."""
    if p.role != "value" or isinstance(p.node, (ast.Constant, ast.Tuple, ast.Lambda, ast.Compare)):
        return
    if isinstance(p.node, ast.Name) and p.node.id not in p.scope.names:
        return
    if isinstance(p.owner, ast.Attribute):
        return
    n = p.scope.numpy
    yield binary(p.node, ast.Pow, number(2))
    yield binary(number(1), ast.Sub, p.node)
    yield call(f"{n}.sqrt", p.node)
    yield binary(p.node, ast.Mult, binary(number(1), ast.Sub, p.node))
    yield binary(number(1), ast.Sub, binary(p.node, ast.Pow, number(2)))
    yield ast.Compare(p.node, [ast.Gt()], [number(0)])
    yield call(f"{n}.exp", p.node)
    yield call(f"{n}.log", p.node)
    yield call(f"{n}.abs", p.node)
    yield call(f"{n}.sign", p.node)
    yield call(f"{n}.tanh", p.node)
    yield binary(p.node, ast.Pow, number(3))
    yield call(f"{n}.cos", p.node)
    yield call(f"{n}.maximum", p.node, number(0))
    yield ast.Call(ast.Attribute(p.node, "copy", ast.Load()), [], [])
    for helper in p.scope.helpers:
        yield call(helper, p.node)
    if not isinstance(p.node, ast.BinOp):
        yield call(f"{n}.flip", p.node)
        for turned in ("[::-1, ::-1]", "[..., ::-1, ::-1]", "[..., ::-1]", "[::-1]", "[:, ::-1]"):
            yield ast.Subscript(p.node, ast.parse("x" + turned, mode="eval").body.slice, ast.Load())  # type: ignore[attr-defined]


def count_factor(p: Place) -> Iterator[ast.expr]:
    """A number of elements forgotten, the product of two extents."""
    if p.whole and p.role == "value" and not isinstance(p.node, (ast.Tuple, ast.List, ast.Dict)):
        for a, b in combinations(p.scope.names, 2):
            extent = binary(name(a), ast.Mult, name(b))
            yield binary(p.node, ast.Div, extent)
            yield binary(p.node, ast.Mult, extent)


def term_factor(p: Place) -> Iterator[ast.expr]:
    """A factor or divisor of one term forgotten."""
    if p.whole or p.role != "value" or isinstance(p.node, ast.Constant):
        return
    method = laid_out_next(p)
    if method or (isinstance(p.owner, ast.BinOp) and isinstance(p.owner.op, (ast.Add, ast.Sub))):
        for other in p.scope.names:
            yield binary(p.node, ast.Mult, name(other))
            yield binary(p.node, ast.Div, name(other))


def factor(p: Place) -> Iterator[ast.expr]:
    """A factor or divisor forgotten."""
    if not p.whole or p.role != "value" or isinstance(p.node, (ast.Tuple, ast.List, ast.Dict)):
        return
    for other in p.scope.names:
        yield binary(p.node, ast.Mult, name(other))
        yield binary(p.node, ast.Div, name(other))
    for base in p.scope.first[:4]:
        for text in (".shape[0]", ".shape[1]", ".shape[2]", ".shape[3]", ".size"):
            yield binary(p.node, ast.Div, name(base + text))
            yield binary(p.node, ast.Mult, name(base + text))
        yield binary(p.node, ast.Div, call("len", name(base)))
    for other in p.scope.names:
        yield binary(p.node, ast.Div, call(f"{p.scope.numpy}.sqrt", name(other)))
    for part in p.scope.parts:
        yield binary(p.node, ast.Mult, copy.deepcopy(part))
    for value in (2.0, 0.5):
        yield binary(p.node, ast.Mult, number(value))
    for other in p.scope.names:
        yield binary(p.node, ast.Mult, name(f"{other}[:, None]"))
    for other in p.scope.names:
        yield binary(p.node, ast.Mult, ast.Compare(name(other), [ast.Gt()], [number(0)]))
        yield binary(p.node, ast.Mult, binary(number(1), ast.Sub, name(other)))
        yield binary(p.node, ast.MatMult, name(other))


def inner_factor(p: Place) -> Iterator[ast.expr]:
    """The same inside of an expression."""
    if (
        p.role == "value"
        and not p.whole
        and isinstance(p.node, (ast.Name, ast.Subscript, ast.Call, ast.BinOp, ast.Attribute))
    ):
        method = laid_out_next(p)
        if (isinstance(p.owner, (ast.Attribute, ast.Subscript)) and not method) or (
            isinstance(p.node, ast.Name) and p.node.id not in p.scope.names
        ):
            return
        for other in p.scope.names:
            yield binary(p.node, ast.Mult, name(other))
            yield binary(p.node, ast.Div, name(other))
    if p.role == "value" and isinstance(p.node, ast.Constant) and type(p.node.value) in (int, float):
        for other in p.scope.names:
            yield binary(p.node, ast.Mult, call(f"{p.scope.numpy}.sign", name(other)))


def term(p: Place) -> Iterator[ast.expr]:
    """A term forgotten."""
    if p.whole and p.role == "value" and not isinstance(p.node, (ast.Tuple, ast.List, ast.Dict)):
        for other in p.scope.names:
            yield binary(p.node, ast.Add, name(other))
            yield binary(p.node, ast.Sub, name(other))
        yield binary(p.node, ast.Sub, number(1))
        yield binary(p.node, ast.Add, number(1))


ROOTS = ("sqrt", "rsqrt", "power", "pow")


def guarded(p: Place) -> Iterator[ast.expr]:
    """The small number forgotten that keeps a root, a power or a divisor away from zero."""
    power = isinstance(p.owner, ast.BinOp) and (
        (isinstance(p.owner.op, ast.Pow) and p.field == "left")
        or (isinstance(p.owner.op, ast.Div) and p.field == "right")
    )
    root = isinstance(p.owner, ast.Call) and called(p.owner) in ROOTS and p.index in (0, None)
    if p.role != "value" or not (power or root) or isinstance(p.node, ast.Constant):
        return
    for other in p.scope.names:
        if SMALL in other.lower():
            yield binary(p.node, ast.Add, name(other))
    for base, held in p.scope.attributes.items():
        for other in held:
            if SMALL in other.lower():
                yield binary(p.node, ast.Add, name(f"{base}.{other}"))
    for value in p.scope.numbers:
        if 0 < value < 1e-2:
            yield binary(p.node, ast.Add, number(value))


SMALL = "eps"  # in what such a number is called
MIDDLE = ("mean", "mu", "avg", "center", "centre")  # in what a mean is called


def centred(p: Place) -> Iterator[ast.expr]:
    """The mean forgotten that is subtracted."""
    if p.role != "value" or not isinstance(p.node, (ast.Name, ast.Attribute)) or not isinstance(p.owner, ast.BinOp):
        return
    if isinstance(p.owner.op, (ast.Mult, ast.Div)):
        of_self = [f"self.{held}" for held in p.scope.attributes.get("self", [])]
        for other in (*p.scope.names, *of_self):
            if any(word in other.lower() for word in MIDDLE):
                yield binary(p.node, ast.Sub, name(other))


def bare(p: Place) -> Iterator[ast.expr]:
    """A factor or divisor forgotten of a name that stands alone, as a value or a term."""
    if not p.whole or p.role != "value" or isinstance(p.statement, ast.Return):
        return  # what is returned was made elsewhere
    if isinstance(p.node, ast.Name) and p.node.id in p.scope.names:
        for other in p.scope.names:
            yield binary(p.node, ast.Mult, name(other))
            yield binary(p.node, ast.Div, name(other))


def both_axes(p: Place) -> Iterator[ast.expr]:
    """A condition on one axis alone: the same on the other is forgotten."""
    if not isinstance(p.node, ast.Compare) or p.role != "test":
        return
    for pairs in ("hw", "ij", "xy", "rc"):
        other = copy.deepcopy(p.node)
        names = [n for n in ast.walk(other) if isinstance(n, ast.Name)]
        for n in names:
            turned = n.id.translate(str.maketrans(pairs + pairs.upper(), pairs[::-1] + pairs[::-1].upper()))
            n.id = turned if turned in p.scope.names else OPPOSITE.get(n.id, n.id)
        if ast.dump(other) != ast.dump(p.node):
            for operator in (ast.Or(), ast.And()):
                yield ast.BoolOp(operator, [p.node, other])


OPPOSITE = {"height": "width", "width": "height", "rows": "cols", "cols": "rows"}


def product(p: Place) -> Iterator[ast.expr]:
    """A term forgotten that is a product of two names; a name where such a product belongs."""
    if p.role != "value" or isinstance(p.node, (ast.Tuple, ast.List, ast.Dict)) or isinstance(p.owner, ast.Attribute):
        return
    own = p.node.id if isinstance(p.node, ast.Name) else ""
    if own not in p.scope.names and not p.whole:
        return
    for a, b in combinations(p.scope.names, 2) if own in p.scope.names else ():
        if own not in (a, b):
            yield binary(name(a), ast.Mult, name(b))
    for a, b in combinations_with_replacement(p.scope.names, 2):
        yield binary(p.node, ast.Add, binary(name(a), ast.Mult, name(b)))
        yield binary(p.node, ast.Sub, binary(name(a), ast.Mult, name(b)))
    for a, b in permutations(p.scope.names, 2):
        for left, right in ((a, b), (a, f"{b}.T"), (f"{a}.T", b)):
            yield binary(p.node, ast.Add, binary(name(left), ast.MatMult, name(right)))


def indexed_term(p: Place) -> Iterator[ast.expr]:
    """A term forgotten that is an array with an index of the loop."""
    plain = isinstance(p.node, (ast.Name, ast.Subscript, ast.BinOp)) or (isinstance(p.node, ast.Call) and p.whole)
    if p.role != "value" or not plain or isinstance(p.owner, (ast.Attribute, ast.Subscript)):
        return
    for other in p.scope.names:
        for at in p.scope.indexed:
            part = ast.Subscript(name(other), copy.deepcopy(at), ast.Load())
            yield binary(p.node, ast.Add, part)
            yield binary(p.node, ast.Sub, part)


def bound(p: Place) -> Iterator[ast.expr]:
    """A count that is one more or less, or times a name: of a shape, a size, an offset."""
    if p.role in ("value", "bound") and not p.whole and isinstance(p.node, (ast.Name, ast.BinOp)):
        if isinstance(p.node, ast.Name) and p.node.id not in p.scope.names:
            return
        yield binary(p.node, ast.Add, number(1))
        yield binary(p.node, ast.Sub, number(1))
        if isinstance(p.owner, (ast.BinOp, ast.Call)):
            for other in p.scope.names:
                yield binary(p.node, ast.Add, name(other))
                yield binary(p.node, ast.Sub, name(other))
