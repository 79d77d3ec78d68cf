"""What a reader sees of a line: its numbers, and its formula as text, taken from its row of the table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from ..tape import Primitive

LONGEST = 44  # characters in a label; the tooltip has the whole text
LONGEST_INNER = 26
HANDFUL = 4  # arrays of up to so many elements are written out
_ATOMS = 0xE000  # private-use characters stand for the operands while a template is translated


def number(x: Any) -> str:
    """One element: four significant digits of a float, whole numbers and fractions in full."""
    return f"{x:.4g}" if isinstance(x, float | np.floating) else str(x)


def numbers(array: np.ndarray) -> str:
    """The elements of a small array, else what they have in common, else min .. max (and how many are nan)."""
    if array.size == 0:
        return "empty"
    if array.size <= HANDFUL:
        return re.sub(r"\s+", " ", np.array2string(array, separator=", ", formatter={"all": number}))
    same = uniform(array)
    if same is not None:
        return f"all {same}"
    if array.dtype == bool:
        return f"{np.count_nonzero(array):,} of {array.size:,} True"
    missing = np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)
    known = array[~missing]
    spread = f"{number(known.min())} .. {number(known.max())}"
    return f"{spread}, {np.count_nonzero(missing):,} nan" if missing.any() else spread


def uniform(array: np.ndarray) -> str | None:
    """The number that every element is, or None if they differ (nan equals nan here)."""
    if not array.size:
        return None
    first = array.flat[0]
    same = np.isnan(array).all() if array.dtype.kind == "f" and np.isnan(first) else (array == first).all()
    return number(first) if same else None


def formula(primitive: Primitive, operands: Sequence[str]) -> str:
    """The row's LaTeX formula as readable text: ``add`` of a and b is "a + b", ``exp`` of a "e^a".

    A row that changes no number (its formula is its operand) is written as a call: "broadcast_to(a)".
    """
    given = list(operands) if isinstance(primitive.vjps, tuple) else [", ".join(operands)]
    if primitive.latex == "{0}":
        return f"{primitive.name}({', '.join(operands)})"
    template = readable(primitive.latex, len(given))
    if template == f"|{chr(_ATOMS)}|" and re.fullmatch(r"\([^()]*\)", given[0]):
        given = [given[0][1:-1]]  # the bars are brackets enough
    return template.translate(dict(enumerate(map(parenthesised, given), _ATOMS)))


def inner(text: str) -> str:
    """The formula of a step as another formula quotes it: in brackets, or only hinted at if it is long."""
    if len(text) > LONGEST_INNER:
        return "(…)"
    return text if re.fullmatch(r"\|[^|]*\|", text) else f"({text})"


def parenthesised(operand: str) -> str:
    """Negative numbers and fractions in parentheses, so that "a - (-1)" and "(1/2) · a" read well."""
    return f"({operand})" if re.fullmatch(r"-[\w.].*|\d+/\d+", operand) else operand


_WORDS = {
    "cdot": "·",
    "ge": "≥",
    "le": "≤",
    "ne": "≠",
    "sum": "Σ",
    "top": "ᵀ",
    "textstyle": "",
    "left": "",
    "right": "",
}


@cache
def readable(latex: str, operands: int) -> str:
    """A row's LaTeX template as text, with one private-use character for each operand."""
    text = latex.format(*[chr(_ATOMS + k) for k in range(operands)])
    text = re.sub(r"\\[,;: ]", " ", text).replace(r"\_", "_")
    text = re.sub(r"\\(operatorname|text)\s*\{([^{}]*)\}", r"\2", text)
    text = re.sub(r"\\([A-Za-z]+)", lambda found: _macro(found[1]), text)
    before = None
    while text != before:  # innermost braces first
        before = text
        text = re.sub(r"FRAC\{([^{}]*)\}\{([^{}]*)\}", lambda m: f"{_group(m[1])} / {_group(m[2])}", text)
        text = re.sub(r"√\s*\{([^{}]*)\}", lambda m: f"√{_group(m[1])}", text)
        text = re.sub(r"\^\{ᵀ\}", "ᵀ", text)
        text = re.sub(r"\^\{([^{}]*)\}", lambda m: f"^{_group(m[1])}", text)
        text = re.sub(r"_\{\[?([^{}]*?)\]?\}", lambda m: f"[{m[1].strip() or '…'}]", text)
    return re.sub(r"\s+", " ", text.replace("{", "").replace("}", "")).strip()


def _macro(name: str) -> str:
    return {"frac": "FRAC", "sqrt": "√"}.get(name, _WORDS.get(name, name))


def _group(text: str) -> str:
    return f"({text})" if re.search(r"[ ^/·]", text.strip()) else text


def element_name(name: str, index: Sequence[int], shape: Sequence[int], subscripts: str = "matrix") -> str:
    """One element of a named tensor in text: "w[0,1]", or with subscripts="flat" "w_2" (counted from 1).

    The one element of a 0-d tensor, or of a flat tensor of size 1, has the tensor's name.
    """
    if not shape or (subscripts == "flat" and np.prod(shape) == 1):
        return name
    if subscripts == "flat":
        return f"{name}_{int(np.ravel_multi_index(tuple(index), tuple(shape))) + 1}"
    return f"{name}[{','.join(map(str, index))}]"


def clean(text: str) -> str:
    """Text without characters that XML forbids or that would disturb a label; control characters become their pictures."""
    return "".join(
        c if c.isprintable() else chr(0x2400 + ord(c)) if ord(c) < 32 else "\N{REPLACEMENT CHARACTER}" for c in text
    )


def cut(text: str, length: int) -> str:
    """``text`` of at most ``length`` characters, the last an ellipsis if some are left out."""
    return text if len(text) <= length else text[: length - 1] + "…"


def short(text: str) -> str:
    """``text`` as a label: clean, and not too long."""
    return cut(clean(text), LONGEST)
