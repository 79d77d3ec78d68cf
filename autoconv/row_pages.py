"""A page for each row of the table: what ``help(ac.exp)`` shows, made of the row itself when somebody asks for it.

A row has its own ``__doc__``, ``__name__`` and ``__signature__``: formula, shapes, derivative (the text of its rules),
kinks (from the table's list) and an example.  Nothing is worked out before it is read.
"""

from __future__ import annotations

import ast
import linecache
import re
import sys
from collections.abc import Callable
from functools import cache
from inspect import Parameter, Signature, signature
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from . import primitives
from .tape import Array, Primitive


def page(row: Primitive) -> str:
    """The page of a row: signature, formula, shapes, derivative, kinks, example.

    >>> print(page(ac.TABLE["exp"]).splitlines()[0])
    exp(a): the row 'exp' of the table.
    """
    listed = ", ".join(str(p).replace("*, ", "") for p in row_signature(row).parameters.values())
    parts = [f"{row.name}({listed}): the row {row.name!r} of the table.", "", *_formula(row), *_shapes(row)]
    parts += ["", *_derivative(row)]
    if chosen := kinks(row.name):
        parts += ["", f"Kink{chosen}"]
    return "\n".join([*parts, "", *example(row)])


def row_signature(row: Primitive) -> Signature:
    """The operands by position, the settings by keyword, as the row's rules or its definition name them."""
    rule = _first_rule(row)
    if rule is None:
        count = len(row.vjps) if isinstance(row.vjps, tuple) else 1
        operands = [Parameter(name, Parameter.POSITIONAL_ONLY) for name in "abcdef"[:count]]
        return Signature([*operands, *_settings(row, count)])
    named = [p.replace(annotation=Parameter.empty) for p in signature(rule).parameters.values()]
    given = named[0 if rule is row.definition else 2 :]
    if any(p.kind is Parameter.VAR_POSITIONAL for p in given):
        return Signature(given)
    count = len(row.vjps) if isinstance(row.vjps, tuple) and row.vjps else _count_operands(row)
    operands = [p.replace(kind=Parameter.POSITIONAL_ONLY) for p in given[:count]]
    return Signature([*operands, *[p.replace(kind=Parameter.KEYWORD_ONLY) for p in given[count:]]])


def kinks(name: str) -> str:
    """What is chosen where the row has no derivative, from the list at the top of the table; "" for a smooth one."""
    listed = (primitives.__doc__ or "").partition("Kinks")[2]
    before = ""
    for head, text in re.findall(r"^    (\S.*?)  +(\S.*)$", listed, re.M):
        said = before if text == "the same" else text
        words = re.split(r"[^\w]+", head.replace("division", "div"))
        if name in words or ("comparisons" in words and name in _COMPARISONS):
            where = re.search(r"\bat .*", head)
            return f" {where[0]}: {said}" if where else f": {said}"
        before = said
    return ""


_COMPARISONS = ("greater", "less", "greater_equal", "less_equal", "equal", "not_equal")


def example(row: Primitive) -> list[str]:
    """Lines of a session that calls the row, with what Python answers."""
    exported = vars(sys.modules[__package__]).get(row.name) is row
    call = f"ac.{row.name}" if exported else f"ac.TABLE[{row.name!r}]"
    operands, params = row.example(np.random.default_rng(0))
    settings = "".join(f", {k}={v!r}" for k, v in params.items() if not isinstance(v, np.dtype))
    settings += "".join(f", dtype=np.{v}" for v in params.values() if isinstance(v, np.dtype))
    if row.group == "arithmetic":
        where = ([True, False], [0.5, 2.0], [1.0, 4.0])
        numbers = where if row.name == "where" else ([0.5, 2.0], [1.0, 2.0], [1.0, 1.0])
        chosen = list(numbers[: len(operands)])
        lines = [f">>> {call}({', '.join(map(repr, chosen))}{settings})"]
        return lines + repr(row(*[np.asarray(x) for x in chosen], **params)).splitlines()
    shown = [_written(x) for x in operands]
    result = row(*operands, **params)
    return [f">>> {call}({', '.join(shown)}{settings}).shape", repr(np.shape(result))]


def _written(x: Array) -> str:
    """An operand of an example: small whole numbers are written out, others are ones of that shape."""
    return f"np.array({x.tolist()})" if x.dtype.kind in "iu" else f"np.ones({x.shape})"


# ---- the parts of a page


def _names(row: Primitive) -> list[str]:
    return [p.name for p in row_signature(row).parameters.values() if p.kind is not Parameter.KEYWORD_ONLY]


def _formula(row: Primitive) -> list[str]:
    names = _names(row)
    try:
        latex = row.latex.format(*names)
    except IndexError:
        latex = row.latex
    computed = f", computed by np.{row.forward.__name__}" if isinstance(row.forward, np.ufunc) else ""
    return [f"    y = {latex}{computed}", ""]


def _shapes(row: Primitive) -> list[str]:
    names = _names(row)
    if row.group == "arithmetic":
        if len(names) == 1:
            return [f"{names[0]}: an array, number or Tensor of any shape; y has it too, element by element."]
        return [
            f"{', '.join(names)}: arrays, numbers or Tensors of shapes that broadcast; y has the shape they broadcast "
            "to,",
            "element by element.  Raises ValueError for shapes that do not broadcast.",
        ]
    operands, params = row.example(np.random.default_rng(0))
    shapes = " and ".join(str(np.shape(x)) for x in operands)
    settings = ", ".join(f"{k}={v!r}" for k, v in params.items())
    given = f" with {settings}" if settings else ""
    return [
        f"{_GROUPS.get(row.group, '')}  Operands of shape {shapes}{given} give y of shape",
        f"{np.shape(row(*operands, **params))}.  Settings are taken as they are: axes count from 0, sizes are tuples.",
    ]


_GROUPS = {
    "wiring": "A movement: only who reads whom; cells that meet are added.",
    "sum": "A sum over axes.",
    "contract": "Products, summed over named axes.",
}


def _derivative(row: Primitive) -> list[str]:
    names = _names(row)
    if row.definition is not None:
        text = _source(row.definition)
        said = f" y = {text}" if text else ""
        return [f"Derivative: that of its definition{said}."]
    if not row.differentiable:
        return ["Derivative: none; the result is a constant of the tape."]
    if not isinstance(row.vjps, tuple):
        return [f"Derivative (g the cotangent of y): for all operands, {_source(row.vjps) or 'one rule'}."]
    lines = ["Derivative (g the cotangent of y):"]
    for name, rule in zip(names, row.vjps, strict=False):
        lines.append(f"    {name}: {'none' if rule is None else _source(rule) or 'by its rule'}")
    return lines


def _first_rule(row: Primitive) -> Callable[..., Any] | None:
    if row.definition is not None:
        return row.definition
    if not isinstance(row.vjps, tuple):
        return row.vjps
    return next((rule for rule in row.vjps if rule is not None), None)


def _count_operands(row: Primitive) -> int:
    return len(row.example(np.random.default_rng(0))[0])


def _settings(row: Primitive, count: int) -> list[Parameter]:
    """The settings of a row without rules, from what it computes with."""
    try:
        given = list(signature(row.forward).parameters.values())[count:]
    except (TypeError, ValueError):  # NumPy's own functions do not all say
        return []
    if isinstance(row.forward, np.ufunc):
        return []
    return [p.replace(kind=Parameter.KEYWORD_ONLY, annotation=Parameter.empty) for p in given]


# ---- the text of a rule


def _source(rule: Callable[..., Any]) -> str:
    """The expression of a lambda as it is written in the table; for a function the first line of its docstring."""
    if not isinstance(rule, FunctionType):
        return ""
    if rule.__name__ != "<lambda>":
        return (rule.__doc__ or rule.__name__).split(";")[0].split(", ")[0].rstrip(".")
    code = rule.__code__
    candidates = _lambdas(code.co_filename).get(code.co_firstlineno, [])
    same = [body for body, compiled in candidates if _alike(compiled, code)] or [body for body, _ in candidates][:1]
    return same[0] if same else ""


def _alike(a: CodeType, b: CodeType) -> bool:
    told = ("co_code", "co_consts", "co_names", "co_varnames")
    return all(getattr(a, name) == getattr(b, name) for name in told)


@cache
def _lambdas(path: str) -> dict[int, list[tuple[str, CodeType]]]:
    """The lambdas of a file by their first line: (expression, compiled)."""
    found: dict[int, list[tuple[str, CodeType]]] = {}
    text = "".join(linecache.getlines(path))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Lambda):
            whole = compile(ast.Expression(node), path, "eval")
            code = next(part for part in whole.co_consts if isinstance(part, CodeType))
            found.setdefault(node.lineno, []).append((ast.unparse(node.body), code))
    return found
