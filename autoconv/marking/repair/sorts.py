"""What kind of thing an expression is: an edit is only tried where what it brings in can stand."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from .trees import Edit, called

COUNT, NUMBER, ARRAY, TUPLE, KEYS, TRUTH, OTHER = "count", "number", "array", "tuple", "dict", "bool", "other"
NUMBERS = (COUNT, NUMBER)
ALIKE, COUNTS, TERM = "alike", "counts", "term"
"""What a kind of edit brings in: arrays of one shape with what stands there; counts alone; a term that has to fit."""
_INDICES = ("another slice", "another index", "one more or less")  # kinds that put whole numbers to an index
_FLAT = ("len", "int", "round")  # what they give is a count


def sort_of(value: Any) -> str:
    """What kind of thing a name holds, of an array its shape too: only things of one kind are taken for each other."""
    if isinstance(value, (bool, np.bool_)):
        return TRUTH
    if isinstance(value, (int, np.integer)):
        return COUNT
    if isinstance(value, (float, np.floating)):
        return NUMBER
    if isinstance(value, np.ndarray) or hasattr(value, "detach"):
        return f"{ARRAY} {tuple(value.shape)}"
    if isinstance(value, dict):
        return KEYS
    return TUPLE if isinstance(value, (tuple, list)) else OTHER


def sort(node: ast.AST, sorts: Mapping[str, str]) -> str | None:
    """What an expression is by the names in it; None where they do not tell."""
    of = lambda part: sort(part, sorts)
    match node:
        case ast.Constant(value=bool()):
            return TRUTH
        case ast.Constant(value=int()):
            return COUNT
        case ast.Constant(value=float()):
            return NUMBER
        case ast.Name():
            return sorts.get(node.id, "").partition(" ")[0] or None
        case ast.Attribute(attr="shape"):
            return TUPLE
        case (
            ast.Attribute(attr="size" | "ndim") | ast.Subscript(value=ast.Attribute(attr="shape"), slice=ast.Constant())
        ):
            return COUNT
        case ast.Attribute(attr="T"):
            return ARRAY
        case ast.Call() if called(node) in _FLAT:
            return COUNT
        case ast.UnaryOp(op=ast.USub()):
            return of(node.operand)
        case ast.BinOp(op=ast.MatMult()):
            return ARRAY
        case ast.BinOp():
            return _together(of(node.left), node.op, of(node.right))
    return None


def _together(left: str | None, operator: ast.operator, right: str | None) -> str | None:
    if ARRAY in (left, right):
        return ARRAY
    if left == right == COUNT and isinstance(operator, (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod)):
        return COUNT
    if left in NUMBERS and right in NUMBERS:
        return NUMBER
    return None


def fitting(edit: Edit, sorts: dict[str, str], brings: str) -> bool:
    """Whether what an edit brings in can stand there; brings: one of the words above, "" for anything."""
    if edit.new is None or not sorts:
        return True
    new, kind = edit.new, lambda name: sorts.get(name, "").partition(" ")[0]
    if isinstance(edit.node, ast.Name) and isinstance(new, ast.Name):
        a, b = sorts.get(edit.node.id), sorts.get(new.id)
        if a is None or b is None or (brings == ALIKE and (a != b or not a.startswith(ARRAY))):
            return False
        return a.split()[0] == b.split()[0] or (a in NUMBERS and b in NUMBERS)
    if isinstance(new, ast.BinOp):
        return _worked_out(edit, new, sorts, brings)
    if isinstance(new, ast.Subscript) and isinstance(edit.node, ast.Name) and new.value is edit.node:
        return kind(edit.node.id) in (ARRAY, TUPLE)
    if isinstance(new, ast.Attribute) and isinstance(edit.node, ast.Name):
        return kind(edit.node.id) == ARRAY
    return True


def _worked_out(edit: Edit, new: ast.BinOp, sorts: dict[str, str], brings: str) -> bool:
    """Whether what is put beside an expression, or in its place, is of a kind with it."""
    here = sort(edit.node, sorts) or _stored(edit, sorts)
    own = [side for side in (new.left, new.right) if side is edit.node]
    parts = [side for side in (new.left, new.right) if side is not edit.node]
    brought = [sort(part, sorts) for part in parts]
    named = [what for part, what in zip(parts, brought, strict=True) if isinstance(part, ast.Name)]
    if here in (TUPLE, KEYS) or any(what not in (*NUMBERS, ARRAY, TRUTH) for what in named):
        return False
    if not all(_possible(part, sorts) for part in parts):
        return False
    if brings == TERM and isinstance(new.right, ast.BinOp) and not _adds(edit, new.right, sorts):
        return False
    if brings == COUNTS and (not all(_counted(part, sorts) for part in parts) or _product_of_sizes(here, new)):
        return False
    if edit.kind in _INDICES and not all(what in NUMBERS for what in named):
        return False
    if here == COUNT and any(_of_array(part, sorts) for part in parts):
        return False  # a size is made of sizes
    if isinstance(new.op, ast.MatMult) and any(what in NUMBERS for what in (here, *brought)):
        return False
    if not own and here is not None:
        return sort(new, sorts) in (None, here, *(NUMBERS if here in NUMBERS else ()))
    return True


def _counted(node: ast.expr, sorts: Mapping[str, str]) -> bool:
    return all(sorts.get(n.id) in NUMBERS for n in ast.walk(node) if isinstance(n, ast.Name))


def _product_of_sizes(here: str | None, new: ast.BinOp) -> bool:
    """Whether a size would be multiplied by two of them, which are a number of elements."""
    return here == COUNT and isinstance(new.right, ast.BinOp)


def _stored(edit: Edit, sorts: Mapping[str, str]) -> str | None:
    """What the name holds to which an expression is assigned, alone or as one of several."""
    if not isinstance(edit.statement, ast.Assign):
        return None
    target, value = edit.statement.targets[0], edit.statement.value
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        stored = [t for t, v in zip(target.elts, value.elts, strict=False) if v is edit.node]
    else:
        stored = [target] if value is edit.node else []
    return sort(stored[0], sorts) if stored else None


def _of_array(node: ast.expr, sorts: Mapping[str, str]) -> bool:
    """Whether what is worked out of an array is not one of its sizes."""
    if sort(node, sorts) == COUNT:
        return False
    return any(sorts.get(n.id, "").startswith(ARRAY) for n in ast.walk(node) if isinstance(n, ast.Name))


def _possible(node: ast.expr, sorts: Mapping[str, str]) -> bool:
    """Whether something can be worked out at all: no shape of a number, no element of one, no root of a tuple."""
    for at in ast.walk(node):
        if isinstance(at, ast.Attribute) and sort(at.value, sorts) not in (None, ARRAY, OTHER):
            return False
        if isinstance(at, ast.Subscript) and not _indexable(sort(at.value, sorts), at.slice):
            return False
        operands: Collection[ast.expr] = ()
        if isinstance(at, ast.BinOp):
            operands = (at.left, at.right)
        elif isinstance(at, ast.Compare):
            operands = (at.left, *at.comparators)
        elif isinstance(at, ast.Call) and called(at) == "sqrt":
            operands = at.args
        if any(sort(side, sorts) in (TUPLE, KEYS) for side in operands):
            return False
    return True


def _indexable(held: str | None, index: ast.expr) -> bool:
    return held not in (*NUMBERS, TRUTH) and not (held == TUPLE and isinstance(index, ast.Tuple))


def _adds(edit: Edit, term: ast.BinOp, sorts: dict[str, str]) -> bool:
    """Whether a product of two arrays has a shape that can be added to the array that the statement makes."""
    shapes = [_shape(side, sorts) for side in (term.left, term.right)]
    if None in shapes:
        return False
    one, two = (np.broadcast_to(0.0, shape) for shape in shapes if shape is not None)
    try:
        made = (one @ two if isinstance(term.op, ast.MatMult) else one * two).shape
    except ValueError:
        return False
    targets = edit.statement.targets if isinstance(edit.statement, ast.Assign) else []
    into = _shape(targets[0], sorts) if targets and getattr(edit.statement, "value", None) is edit.node else None
    return into is None or (
        len(made) <= len(into) and all(n in (1, m) for n, m in zip(made[::-1], into[::-1], strict=False))
    )


def _shape(node: ast.expr, sorts: dict[str, str]) -> tuple[int, ...] | None:
    """The shape of an array by its name, or turned over."""
    name = node.value if isinstance(node, ast.Attribute) else node
    what, _, text = sorts.get(name.id, "").partition(" ") if isinstance(name, ast.Name) else ("", "", "")
    if what != ARRAY:
        return None
    shape = tuple(int(n) for n in text.strip("(), ").split(",") if n.strip())
    return shape[::-1] if name is not node else shape
