"""What is said of a text that is no formula: where it goes wrong, and what to write instead."""

from __future__ import annotations

import ast

__all__ = ["OTHER_OPERATORS", "OTHER_PARTS", "SIGNS", "FormulaError", "advice", "located"]


class FormulaError(ValueError):
    """What is wrong with a formula, and where; what is not in the grammar, and what to write instead."""


OTHER_OPERATORS: dict[type, str] = {
    ast.BitXor: "^ (a power is written **)", ast.MatMult: "@ (a matrix product is written matmul(a, b))",
    ast.LShift: "<<", ast.RShift: ">>", ast.BitAnd: "&", ast.BitOr: "|",
}  # fmt: skip
OTHER_PARTS = {
    "Attribute": "a dot (if it belongs to a name, give the tensor a plain one, as in names={'w': layer.weight}; "
    "w.T is transpose(w))",
    "Compare": "a comparison", "IfExp": "if", "BoolOp": "and/or", "ListComp": "a comprehension", "Lambda": "lambda",
    "JoinedStr": "a text", "NamedExpr": ":=", "Starred": "*", "Dict": "{}", "Set": "{}", "UnaryOp": "this sign",
    "Await": "await",
}  # fmt: skip
SIGNS = {"Σ": "a sum is written sum(i, x[i])", "∑": "a sum is written sum(i, x[i])"}  # signs that are no functions
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
        return (
            "this is not a formula; give only what stands to the right of =, or name the axes on its left, as in "
            "dw[i, j] = ..."
        )
    return f"this is not a formula ({reason})" if text else "the formula is empty"


def located(text: str, at: int, what: str) -> str:
    return f"formula: {what}, at position {at + 1}: {text[max(0, at - 20) : at]} >>> {text[at : at + 30]}"
