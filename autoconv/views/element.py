"""What a reader asks about: which element of which tape, written as ``w[0, 0]``, as its text, or as (tensor, index).

Written after the recording, ``w[0, 0]`` is a new line that the tape does not have.  It is followed back through
movement operations (indexing, reshaping, transposing) to the tensor that stands on the tape, with those run on the
numbers of its elements.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..primitives import TABLE
from ..render.element import read_element
from ..scalar import KINDS as SCALARS
from ..scalar import FlatTape, called, expand, named_scalars
from ..tape import Tape, Tensor, describe

Output = Tensor | FlatTape


def resolve(thing: Any, tape: Tape) -> tuple[Tensor, np.ndarray]:
    """The line of ``tape`` that ``thing`` belongs to, and the flat indices of the elements that it has of it.

    thing: a Tensor (on the tape: all its elements), an element or part of one, as in ``w[0, 0]`` or ``w[:, 1]``, or a
    pair (tensor, index), as in ``(w, (0, 0))``.  Raises TypeError for anything else, ValueError if it is not of this
    tape.
    """
    key: Any = ()
    if isinstance(thing, tuple) and len(thing) == 2 and isinstance(thing[0], Tensor):
        thing, key = thing
    if tape.of_scalars or isinstance(thing, SCALARS):
        return one_line(thing, tape, "focus"), np.zeros(1, int)
    if not isinstance(thing, Tensor):
        raise TypeError(
            f"focus: expected a Tensor, an element as w[0, 0], or (tensor, index); found {type(thing).__name__}"
        )
    on_tape = {id(line) for line in tape}
    known = followed(thing, lambda x: id(x) in on_tape)
    if known is None:
        outputs = ", ".join(describe(y) for y in tape.outputs)
        raise ValueError(
            f"focus: {describe(thing)} is not on the tape of {outputs}: nothing there was computed from it. "
            "Give a Tensor "
            f"that was read, or an element of one, as in w[0, 0]"
        )
    line, numbers = known
    try:
        found = np.asarray(numbers[key])
    except IndexError as error:
        raise ValueError(f"focus: {describe(thing)} has no element {key}: {error}") from None
    return line, found[found > 0].ravel() - 1


def one_line(thing: Any, tape: Tape, operation: str) -> Tensor:
    """The line of a Scalar on the tape of one (or that line itself).

    Raises TypeError where one of the two is a Scalar and the other is not, ValueError for a Scalar that is not there,
    or that is there with several values.
    """
    if isinstance(thing, Tensor) and any(thing is line for line in tape):
        return thing
    if not tape.of_scalars:
        raise TypeError(
            f"{operation}: a Scalar was asked for, but {describe(tape.outputs[0])} is a Tensor, and neither is "
            "computed from the other; make both of Scalars, or both of Tensors (ac.tensor)"
        )
    if not isinstance(thing, SCALARS):
        raise TypeError(
            f"{operation}: the output is a Scalar, so a Scalar is needed here, found {type(thing).__name__}; give one "
            "that it was computed from"
        )
    found = tape.lines_of(thing)
    if not found:
        raise ValueError(
            f"{operation}: {thing!r} is not on the tape of this output: it was not computed from it (a copy is "
            "another Scalar)"
        )
    if len(found) > 1:
        raise ValueError(
            f"{operation}: {thing!r} was given {len(found)} values while the output was computed, and is an input for "
            "each of them; compute the output again without changing data in between"
        )
    return found[0]


def element_at(at: str, y: Any, names: Mapping[str, Any] | None = None, operation: str = "at") -> Any:
    """What a text as "w1[0,0]" means on the tape of ``y``: (tensor, index), or of a Scalar y the Scalar of that name.

    Raises ValueError as ``parse_at`` does.
    """
    if not isinstance(y, SCALARS):
        return parse_at(at, Tape(y), names, operation)
    flat = expand(y)
    found: dict[str, Any] = {name: leaf for i, leaf in flat.leaves.items() if (name := flat.given(i))}
    found |= {name: x for name, x in reversed(list(named_scalars(names or {}))) if flat.numbers_of(x)}
    name, _ = read_element(at, dict.fromkeys(found, np.zeros(())), operation)
    return found[name]


def followed(line: Tensor, there: Callable[[Tensor], bool]) -> tuple[Tensor, np.ndarray] | None:
    """The nearest tensor that is ``there`` and that ``line`` only moves the elements of; and the number of the element
    at each place of ``line``, counted from 1: number 0 is what padding and scattering put in.  None: there is none.
    """
    chain: list[Tensor] = []
    while not there(line):
        if line.primitive is None or not line.primitive.moves:
            return None
        chain.append(line)
        line = line.operands[0]
    numbers = np.arange(1, line.size + 1).reshape(line.shape)
    for move in reversed(chain):
        if move.primitive is not TABLE["cast"]:
            others = [x.value for x in move.operands[1:]]
            numbers = move.primitive.forward(numbers, *others, **move.params)  # type: ignore[union-attr]
    return line, numbers


def parse_at(
    at: str, tape: Tape, names: Mapping[str, Any] | None = None, operation: str = "at"
) -> tuple[Tensor, tuple[int, ...]]:
    """The tensor and index that a text as "w1[0,0]", "conv1.weight[0, 0, 0, 3]", "%7[1]" or "loss" means; nothing is
    run.

    Names are those of the tensors on the tape, then ``names`` (variables), then line numbers of repr(tape).  Raises
    ValueError with the names there are, or the shape that the index must fit.
    """
    known: dict[str, Tensor] = {f"%{i}": line for i, line in enumerate(tape)}
    known |= {k: x for k, x in (names or {}).items() if isinstance(x, Tensor)}
    known |= {name: line for name, line in called(names or {}, tape.lines_of) if tape.of_scalars}
    known |= {x.name: x for x in reversed(tape) if x.name}
    bare = at.strip()
    if bare in known or bare.removesuffix("[]") in known:  # the tensor itself: its one element
        x = known[bare if bare in known else bare.removesuffix("[]")]
        if x.size == 1:
            return x, (0,) * x.ndim
        at = bare if bare.endswith("[]") else f"{bare}[]"
    name, index = read_element(at, known, operation)
    return known[name], index or ()


def asked(operation: str, y: Any, thing: Any, of: Any) -> tuple[Any, Any]:
    """(what is asked about, the output) of a call of ``explain``, ``paths`` or ``uses``.

    The output comes first, ``explain(loss, w[0, 0])``, or has its name, and then what is asked about stands first,
    ``explain(w[0, 0], of=loss)``.  The other order, which was the rule once, still works with a DeprecationWarning
    where it can be told: where the second was computed from the first, and not the first from the second.
    """
    if of is not None:
        if y is not None and thing is not None:
            raise TypeError(
                f"{operation}: the output was given twice; write {operation}(loss, x) or {operation}(x, of=loss)"
            )
        return (thing if y is None else y), of
    if y is None or thing is None:
        raise TypeError(
            f"{operation}: give the output and what is asked about, as {operation}(loss, x) or {operation}(x, of=loss)"
        )
    if _asks(thing, y) or not _asks(y, thing):
        return thing, y
    warnings.warn(
        f"{operation}: the output comes first, {operation}(loss, x), or by its name, {operation}(x, of=loss)",
        DeprecationWarning,
        stacklevel=3,
    )
    return y, thing


def _asks(thing: Any, of: Any) -> bool:
    """Whether ``of`` was computed from ``thing``, or from the tensor that ``thing`` is an element of."""
    line = thing[0] if isinstance(thing, tuple) and thing else thing
    tape = of.tape if isinstance(of, FlatTape) else Tape(of) if isinstance(of, Tensor) else None
    if not isinstance(line, Tensor) or tape is None:
        return False
    on_tape = {id(x) for x in tape}
    while id(line) not in on_tape and line.primitive is not None and line.primitive.moves:
        line = line.operands[0]
    return id(line) in on_tape
