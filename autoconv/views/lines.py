"""What a line of a tape is to a reader: its role (parameter, weight, written number, line of the sweep), its name, its
formula.

The formulas are those of ``render.latex``, which knows rows and texts; here they are filled with the lines of a tape.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from ..render import latex
from ..render.latex import Expression, matrix, symbol, value
from ..render.text import number, uniform
from ..scalar import called
from ..tape import Tape, Tensor, setting

ENTRIES = 16  # arrays of up to so many numbers are written out as a matrix


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
    """The ids of the inputs whose elements have colours: parameters, and what contractions read as their second
    operand.
    """
    found: set[int] = set()
    for line in reversed(tape):
        second = line.operands[1:2] if "spec" in line.params and serves(line) is None else ()
        moved = line.operands[:1] if id(line) in found else ()
        found.update(id(x) for x in (*second, *moved) if x.primitive is None or x.primitive.group == "wiring")
    return {id(x) for x in tape.inputs if x.size > 1 and (id(x) in found or is_parameter(x))}


def variables(names: Mapping[str, Any] | None, what: str, lines: Iterable[Tensor] = ()) -> dict[int, str]:
    """id(tensor) -> the first variable that holds it; names with a leading underscore (a notebook's history) do not
    count.  Of ``lines`` (a tape), inputs and constants have the name of the plain array that they were made of, and of
    a Scalar's tape the lines of the Scalars, which may be in lists, dictionaries and objects as well.
    TypeError, in the name of ``what``, for names that are no mapping.
    """
    if names is None:
        return {}
    if not isinstance(names, Mapping):
        raise TypeError(f"{what}: names must map names to Tensors, as locals() does; found {type(names).__name__}")
    found: dict[int, str] = {}
    for name, x in names.items():
        if isinstance(x, Tensor) and isinstance(name, str) and not name.startswith("_"):
            found.setdefault(id(x), name)
    if isinstance(lines, Tape) and lines.of_scalars:
        for name, line in called(names, lines.lines_of):
            found.setdefault(id(line), name)
    for name, line in recorded_arrays(names, lines):
        found.setdefault(id(line), name)
    return found


def variable_of(x: Any, names: Mapping[str, Any] | None) -> str | None:
    """The first variable that holds ``x`` itself."""
    return next((n for n, y in (names or {}).items() if y is x and isinstance(n, str) and not n.startswith("_")), None)


def recorded_arrays(names: Mapping[str, Any], lines: Iterable[Tensor]) -> list[tuple[str, Tensor]]:
    """(name of a plain array, input or constant among ``lines`` that was made of it), in the order of the lines.

    A recording keeps a copy, so shape and numbers are what is compared: an array that was changed since, or is not the
    only one with these numbers, has no line; nor has one of equal numbers, which are written as that number.
    """
    arrays: dict[tuple[int, ...], list[tuple[str, Any]]] = {}
    for name, x in names.items():
        if isinstance(x, np.ndarray) and x.size > 1 and isinstance(name, str) and not name.startswith("_"):
            arrays.setdefault(x.shape, []).append((name, x))
    found: list[tuple[str, Tensor]] = []
    for line in lines if arrays else ():
        if line.primitive is not None or line.shape not in arrays:
            continue
        if uniform(line.value) is not None:
            continue
        same = [(name, x) for name, x in arrays[line.shape] if _same(x, line.value)]
        if same and len({id(x) for _, x in same}) == 1:
            found.append((same[0][0], line))
    return found


def _same(x: np.ndarray, value: np.ndarray) -> bool:
    """Whether an array holds the numbers of a recorded one; that may have been rounded to a narrower type."""
    if x.dtype.kind not in "fiubO":
        return False
    try:
        return bool(np.array_equal(x, value) or np.array_equal(x.astype(value.dtype), value))
    except (TypeError, ValueError, OverflowError):
        return False


# ---- names


def subscripts(tape: Tape) -> dict[int, str]:
    """id(line) -> "flat" for the lines whose elements are counted from 1, as w_2; all others have a "matrix" index,
    w[0,1].

    ``ac.tensor(..., subscripts="flat")`` says so of an input; what is computed from flat tensors alone (and constants)
    is flat.
    """
    if not any(line.subscripts == "flat" for line in tape):
        return {}
    flat: dict[int, str] = {}
    for line in tape:
        read = [x for x in line.operands if not x.constant or id(x) in flat]
        derived = bool(read) and all(id(x) in flat for x in read)
        if line.subscripts == "flat" or (line.subscripts is None and derived):
            flat[id(line)] = "flat"
    return flat


# ---- formulas

call = partial(latex.call, setting=setting)


def line_latex(line: Tensor, names: Mapping[int, str], numbers: bool = False) -> str:
    """The formula of a line from its row: operands by name (``names`` maps id(tensor) to it), or the run's own numbers.

    An operand that has no name is a box.  Params are added where they matter.  A line without a primitive is its name
    or its number.
    """
    if line.primitive is None:
        return operand(line, names, numbers).latex
    return call(line.primitive, [operand(x, names, numbers) for x in line.operands], line.params).latex


def operand(x: Tensor, names: Mapping[int, str], numbers: bool = False) -> Expression:
    """One operand: its name, or its numbers; a constant that is one number is always that number."""
    known = names.get(id(x)) or x.name
    same = uniform(x.value) if x.primitive is None and x.constant and not x.name else None
    if same is not None:
        return value(x.value.flat[0])
    if numbers and x.size == 1:
        return value(x.value.flat[0])
    if numbers and x.ndim in (1, 2) and 0 < x.size <= ENTRIES:
        return Expression(matrix(x.value), " ".join(map(number, x.value.ravel())))
    return symbol(known) if known else Expression(r"\square ", "□")
