"""Edits of calls: axes, arguments, transposes and reshapes, einsum, a function for another, a sum forgotten."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import combinations, permutations

from .trees import Place, axes, binary, call, called, integer, laid_out_next, name, number, of_module

REDUCED = ("sum", "mean", "max", "min", "argmax", "argmin", "var", "std", "prod", "any", "all", "cumsum", "softmax")


AXES: tuple[tuple[int, ...] | int, ...] = (
    0, 1, -1, 2, 3, (0, 2, 3), (2, 3), (0, 1, 2), (0, 2), (0, 1), (1, 2), (1, 3), (0, 3), (1, 2, 3), (0, 1, 3),
    -2, (-1, -2), (0, 2, 3, 4), (2, 3, 4),
)  # fmt: skip


def axis(p: Place) -> Iterator[ast.expr]:
    if isinstance(p.node, ast.Tuple) and isinstance(p.owner, ast.Assign) and p.node.elts:
        if all(integer(e) is not None for e in p.node.elts):  # kept under a name
            yield from (axes(other) for other in AXES if ast.dump(axes(other)) != ast.dump(p.node))
        return
    if called(p.node) in ("flip", "roll", "concatenate", "expand_dims", "squeeze") and isinstance(p.node, ast.Call):
        yield from _other_axes(p.node)
    if called(p.node) not in REDUCED:
        return
    assert isinstance(p.node, ast.Call)
    given = {k.arg: k.value for k in p.node.keywords}
    held = [k for k in p.node.keywords if k.arg not in ("axis", "keepdims")]
    skip = 1 if of_module(p.node, p.scope) else 0
    positional = p.node.args[skip] if len(p.node.args) > skip else None
    args = p.node.args[:skip] if positional is not None else p.node.args
    at = given.get("axis", positional)
    kept = [ast.keyword("keepdims", given["keepdims"])] if "keepdims" in given else []
    over = [ast.keyword("axis", at)] if at is not None else []
    true = [ast.keyword("keepdims", ast.Constant(True))]
    remake = lambda *keywords: ast.Call(p.node.func, args, [*held, *(k for ks in keywords for k in ks)])
    if kept:
        yield remake(over)
    elif at is not None or called(p.node) in ("sum", "mean"):
        yield remake(over, true)
    for other in AXES:
        new = [ast.keyword("axis", axes(other))]
        if at is None or ast.dump(axes(other)) != ast.dump(at):
            yield remake(new, kept)
    if at is not None:
        yield remake(kept)
    for other in AXES[:12]:
        yield remake([ast.keyword("axis", axes(other))], [] if kept else true)


def _other_axes(node: ast.Call) -> Iterator[ast.expr]:
    keywords = [k for k in node.keywords if k.arg not in ("axis", "axes")]
    keep = 2 if called(node) == "roll" else 1
    for other in AXES:
        yield ast.Call(node.func, node.args[:keep], [*keywords, ast.keyword("axis", axes(other))])


ORDERED = (ast.Sub, ast.Div, ast.MatMult, ast.Pow, ast.FloorDiv)  # whose operands are not to be exchanged


def arguments(p: Place) -> Iterator[ast.expr]:
    """Two arguments exchanged; the operands of a product or quotient exchanged."""
    if isinstance(p.node, ast.Call):
        for i, j in combinations(range(len(p.node.args)), 2):
            listed = list(p.node.args)
            listed[i], listed[j] = listed[j], listed[i]
            if ast.dump(listed[i]) != ast.dump(listed[j]):
                yield ast.Call(p.node.func, listed, p.node.keywords)
        f = p.node.func
        single = isinstance(f, ast.Attribute) and f.attr in ("dot", "matmul") and len(p.node.args) == 1
        if single and isinstance(f, ast.Attribute) and not of_module(p.node, p.scope):
            yield ast.Call(ast.Attribute(p.node.args[0], f.attr, ast.Load()), [f.value], [])
    elif isinstance(p.node, ast.BinOp) and isinstance(
        p.node.op, (ast.Sub, ast.Div, ast.MatMult, ast.Pow, ast.FloorDiv)
    ):
        yield ast.BinOp(p.node.right, p.node.op, p.node.left)
    elif isinstance(p.node, ast.IfExp):
        yield ast.IfExp(p.node.test, p.node.orelse, p.node.body)
    elif isinstance(p.node, ast.List) and 2 <= len(p.node.elts) <= 6:
        for i, j in combinations(range(len(p.node.elts)), 2):
            listed = list(p.node.elts)
            listed[i], listed[j] = listed[j], listed[i]
            yield ast.List(listed, p.node.ctx)


def laid_out(p: Place) -> Iterator[ast.expr]:
    """x.reshape(..).transpose(..), both in another order."""
    outer = p.node
    if called(outer) != "transpose" or not isinstance(outer, ast.Call) or not isinstance(outer.func, ast.Attribute):
        return
    inner = outer.func.value
    if called(inner) != "reshape" or not isinstance(inner, ast.Call) or not (2 <= len(inner.args) <= 4):
        return
    if len(outer.args) != len(inner.args):
        return
    for sizes in permutations(inner.args):
        made = ast.Call(inner.func, list(sizes), inner.keywords)
        for order in permutations(range(len(sizes))):
            turned = [number(i) for i in order]
            yield ast.Call(ast.Attribute(made, "transpose", ast.Load()), turned, [])


def transposed(p: Place) -> Iterator[ast.expr]:
    """A transpose too many, too few, or of other axes; a reshape in another order."""
    if isinstance(p.node, ast.Attribute) and p.node.attr == "T":
        yield p.node.value
        return
    what = called(p.node)
    if what in ("transpose", "reshape", "moveaxis", "swapaxes", "permute") and isinstance(p.node, ast.Call):
        skip = 1 if of_module(p.node, p.scope) else 0
        rest = p.node.args[skip:]
        together = len(rest) == 1 and isinstance(rest[0], (ast.Tuple, ast.List))
        listed = list(rest[0].elts) if together else list(rest)  # type: ignore[attr-defined]
        if 2 <= len(listed) <= 6:
            for order in list(permutations(listed))[1:]:
                new = [ast.Tuple(list(order), ast.Load())] if together else list(order)
                yield ast.Call(p.node.func, [*p.node.args[:skip], *new], p.node.keywords)
    if p.role == "value" and isinstance(p.node, (ast.Name, ast.Subscript, ast.Call, ast.BinOp, ast.Attribute)):
        method = laid_out_next(p)
        if method or not isinstance(p.owner, (ast.Attribute, ast.Subscript)):
            yield ast.Attribute(p.node, "T", ast.Load())


def extent(p: Place) -> Iterator[ast.expr]:
    """A length in a shape that is that of two axes laid together."""
    if not isinstance(p.node, ast.Name) or p.role != "value" or p.node.id not in p.scope.names:
        return
    if isinstance(p.owner, ast.Tuple) or called(p.owner) == "reshape":
        for other in p.scope.names:
            if other != p.node.id:
                yield binary(p.node, ast.Mult, name(other))
                yield binary(p.node, ast.FloorDiv, name(other))


GROUPS = (
    ("sum", "mean", "max", "min", "prod"), ("argmax", "argmin"), ("maximum", "minimum", "multiply"), ("var", "std"),
    ("zeros_like", "ones_like", "empty_like"), ("zeros", "ones", "empty"), ("triu", "tril"),
    ("exp", "log", "sqrt", "square", "abs", "sign"),
    ("tanh", "cosh", "sinh", "exp"), ("dot", "multiply", "outer", "matmul"), ("flipud", "fliplr", "flip"),
    ("floor", "ceil", "round"), ("repeat", "tile"), ("add", "subtract"), ("sin", "cos"), ("hstack", "vstack"),
    ("diag", "diagflat"), ("logical_and", "logical_or"), ("nanmax", "max"),
)  # fmt: skip


def function(p: Place) -> Iterator[ast.expr]:
    if not isinstance(p.node, ast.Call):
        return
    what = called(p.node)
    for group in GROUPS:
        if what in group:
            for other in group:
                if other != what:
                    f = p.node.func
                    new: ast.expr = (
                        ast.Attribute(f.value, other, ast.Load()) if isinstance(f, ast.Attribute) else name(other)
                    )
                    yield ast.Call(new, p.node.args, p.node.keywords)


def evened(p: Place) -> Iterator[ast.expr]:
    """Widths of a pad that all lie on one side, (0, 2 k), shared between the two."""
    if called(p.node) != "pad" or not isinstance(p.node, ast.Call) or len(p.node.args) < 2:
        return
    widths = p.node.args[1]
    if not isinstance(widths, (ast.Tuple, ast.List)):
        return
    half = {i: _half(whole) for i, at in enumerate(widths.elts) if (whole := _one_side(at))}
    for chosen in [*[[i] for i in half], *([list(half)] if len(half) > 1 else [])]:
        new = [ast.Tuple([half[i], half[i]], ast.Load()) if i in chosen else at for i, at in enumerate(widths.elts)]
        held = [p.node.args[0], ast.Tuple(new, ast.Load()), *p.node.args[2:]]
        yield ast.Call(p.node.func, held, p.node.keywords)


def _one_side(at: ast.expr) -> ast.expr | None:
    """What stands beside a 0 in a pair."""
    if not isinstance(at, ast.Tuple) or len(at.elts) != 2:
        return None
    rest = [e for e in at.elts if integer(e) != 0]
    return rest[0] if len(rest) == 1 else None


def _half(whole: ast.expr) -> ast.expr:
    if (value := integer(whole)) is not None and value % 2 == 0:
        return number(value // 2)
    if isinstance(whole, ast.BinOp) and isinstance(whole.op, ast.Mult) and 2 in map(integer, (whole.left, whole.right)):
        return whole.right if integer(whole.left) == 2 else whole.left
    return ast.BinOp(whole, ast.FloorDiv(), number(2))


def wrapper(p: Place) -> Iterator[ast.expr]:
    """A call that is one too many: f(x) is x."""
    if isinstance(p.node, ast.Call) and p.role in ("value", "bound", "index", "test"):
        if of_module(p.node, p.scope) and p.node.args:
            yield p.node.args[0]
        elif isinstance(p.node.func, ast.Attribute) and not of_module(p.node, p.scope):
            yield p.node.func.value
    elif isinstance(p.node, ast.IfExp):
        yield p.node.body
        yield p.node.orelse


def argument(p: Place) -> Iterator[ast.expr]:
    """An argument too many."""
    if isinstance(p.node, ast.Call):
        for i in range(len(p.node.keywords)):
            yield ast.Call(p.node.func, p.node.args, p.node.keywords[:i] + p.node.keywords[i + 1 :])
        if len(p.node.args) > of_module(p.node, p.scope):
            yield ast.Call(p.node.func, p.node.args[:-1], p.node.keywords)


def reduced(p: Place) -> Iterator[ast.expr]:
    """A sum or mean forgotten."""
    if p.role == "value" and (p.whole or isinstance(p.node, ast.BinOp)) and not isinstance(p.node, ast.Tuple):
        for what in ("sum", "mean"):
            for over in (None, *AXES[:12]):
                for kept in (True, False):
                    keywords = {} if over is None else {"axis": axes(over)}
                    keywords |= {"keepdims": ast.Constant(True)} if kept else {}
                    yield call(f"{p.scope.numpy}.{what}", p.node, **keywords)


def letters(p: Place) -> Iterator[ast.expr]:
    """The letters of an einsum: two exchanged, one for another, one too many or too few, operands exchanged."""
    if called(p.owner) != "einsum" or not isinstance(p.node, ast.Constant) or not isinstance(p.node.value, str):
        return
    text = p.node.value
    known = sorted(set(text) - set(",->. "))
    parts = text.replace("->", ",").split(",")
    if "->" not in text or len(parts) > 5:
        return

    def joined(changed: list[str]) -> ast.expr:
        return ast.Constant(",".join(changed[:-1]) + "->" + changed[-1])

    for i, part in enumerate(parts):
        for a, b in combinations(range(len(part)), 2):
            listed = list(part)
            listed[a], listed[b] = listed[b], listed[a]
            yield joined([*parts[:i], "".join(listed), *parts[i + 1 :]])
        for a in range(len(part)):
            for other in known:
                if other != part[a]:
                    yield joined([*parts[:i], part[:a] + other + part[a + 1 :], *parts[i + 1 :]])
    for i, j in combinations(range(len(parts) - 1), 2):
        listed = list(parts)
        listed[i], listed[j] = listed[j], listed[i]
        yield joined(listed)
    out = parts[-1]
    if len(out) <= 4:
        for order in permutations(out):
            yield joined([*parts[:-1], "".join(order)])
