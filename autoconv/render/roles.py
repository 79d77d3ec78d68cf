"""What a line of a tape is to a reader: a parameter, a weight with colours, a written number, a line of the sweep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..tape import Tape, Tensor


def is_parameter(line: Tensor) -> bool:
    """Whether a line is a parameter of a layer: those are of a class of their own."""
    return line.primitive is None and type(line) is not Tensor and not line.constant


def is_number(line: Tensor) -> bool:
    """Whether a constant line is one number, written out at some shape."""
    return line.constant and line.primitive is None and (not line.ndim or not any(line.value.strides))


def serves(line: Tensor) -> Tensor | None:
    """The forward line whose rule a line of a recorded sweep belongs to; None for a forward line."""
    scopes = line.scope.path if line.scope else ()
    return next((scope.of for scope in reversed(scopes) if scope.kind == "backward"), None)


def weights(tape: Tape) -> set[int]:
    """The ids of the inputs whose elements have colours: parameters, and what contractions read as their second operand."""
    found: set[int] = set()
    for line in reversed(tape):
        second = line.operands[1:2] if "spec" in line.params and serves(line) is None else ()
        moved = line.operands[:1] if id(line) in found else ()
        found.update(id(x) for x in (*second, *moved) if x.primitive is None or x.primitive.group == "wiring")
    return {id(x) for x in tape.inputs if x.size > 1 and (id(x) in found or is_parameter(x))}


def variables(names: Mapping[str, Any]) -> dict[int, str]:
    """id(tensor) -> the first variable that holds it; names with a leading underscore (a notebook's history) do not count."""
    found: dict[int, str] = {}
    for name, x in names.items():
        if isinstance(x, Tensor) and not name.startswith("_"):
            found.setdefault(id(x), name)
    return found
