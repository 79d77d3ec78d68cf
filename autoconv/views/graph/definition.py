"""A line with a definition (maximum) opened into the lines of that, at the zooms where a node is a line."""

from __future__ import annotations

from contextvars import Context
from typing import Any

import numpy as np

from ...backward import steps
from ...tape import Tape, Tensor
from .zoom import Group, Opened


def open_definitions(groups: list[Group], opened: Opened) -> list[Group]:
    """The groups with each line that is to be opened replaced by one group for each line of its definition."""
    made: list[Group] = []
    for group in groups:
        line = group.lines[-1]
        primitive = line.primitive
        single = group.scope is None and not group.title
        if single and primitive and primitive.definition and opened.definition(line, primitive):
            made += Context().run(_open, group)  # in a context of its own: nothing is recorded into the reader's scope
        else:
            made.append(group)
    return made


def _open(group: Group) -> list[Group]:
    (line,) = group.lines
    primitive: Any = line.primitive
    stand = [Tensor(x.value.copy()) for x in line.operands]
    result = primitive.definition(*stand, **line.params)
    recorded = [step for step in Tape(result) if step.primitive is not None]
    gradients = _gradients(line)
    real = {id(a): b for a, b in zip(stand, line.operands, strict=True)}
    made = []
    for number, step in enumerate(recorded):
        last = step is result
        step.operands = tuple([real.get(id(x), x) for x in step.operands])
        made.append(
            Group(
                None,
                [line],
                [line] if last else [],
                step,
                len(recorded) - 1 - number,
                line.grad if last else gradients[number],
                group.serves,
            )
        )
    return made


def _gradients(line: Tensor) -> list[Any]:
    """The cotangents of a definition's lines, where its derivatives have no rounding; None if the line has none."""
    primitive: Any = line.primitive
    values = [x.value for x in line.operands]
    placed = primitive.at(*values, **line.params) if primitive.at else values
    shape, dtype = line.shape, line.dtype
    stand = [Tensor(np.array(np.broadcast_to(x, shape), dtype=dtype)) for x in placed]
    result = primitive.definition(*stand, **line.params)
    found = {id(s.line): s.cotangent for s in steps(result, None, line.grad)} if line.grad is not None else {}
    return [found.get(id(step)) for step in Tape(result) if step.primitive is not None]
