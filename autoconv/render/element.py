"""Which element of a tape a reader means by ``w[0, 0]``.

Written after the recording, ``w[0, 0]`` is a new line that the tape does not have.  It is followed back through wiring
(indexing, reshaping, transposing) to the tensor that stands on the tape, with the wiring run on the numbers of its elements.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..primitives import TABLE
from ..tape import Tape, Tensor, describe


def resolve(thing: Any, tape: Tape) -> tuple[Tensor, np.ndarray]:
    """The line of ``tape`` that ``thing`` belongs to, and the flat indices of the elements that it has of it.

    thing: a Tensor (on the tape: all its elements), an element or part of one, as in ``w[0, 0]`` or ``w[:, 1]``, or a pair
    (tensor, index), as in ``(w, (0, 0))``.  Raises TypeError for anything else, ValueError if it is not of this tape.
    """
    key: Any = ()
    if isinstance(thing, tuple) and len(thing) == 2 and isinstance(thing[0], Tensor):
        thing, key = thing
    if not isinstance(thing, Tensor):
        raise TypeError(
            f"focus: expected a Tensor, an element as w[0, 0], or (tensor, index); found {type(thing).__name__}"
        )
    on_tape = {id(line) for line in tape}
    line, chain = thing, list[Tensor]()
    while id(line) not in on_tape:
        if line.primitive is None or not line.primitive.moves:
            outputs = ", ".join(describe(y) for y in tape.outputs)
            raise ValueError(
                f"focus: {describe(thing)} is not on the tape of {outputs}: nothing there was computed from it. Give a Tensor "
                f"that was read, or an element of one, as in w[0, 0]"
            )
        chain.append(line)
        line = line.operands[0]
    # Number 0 is what padding and scattering put in, so elements count from 1 here.
    numbers = np.arange(1, line.size + 1).reshape(line.shape)
    for move in reversed(chain):
        if move.primitive is not TABLE["cast"]:
            numbers = move.primitive.forward(numbers, *[x.value for x in move.operands[1:]], **move.params)  # type: ignore[union-attr]
    try:
        found = np.asarray(numbers[key])
    except IndexError as error:
        raise ValueError(f"focus: {describe(thing)} has no element {key}: {error}") from None
    return line, found[found > 0].ravel() - 1
