"""What the lines of a walk are called: by the user, by their layer, by the call or row that made them."""

from __future__ import annotations

from collections.abc import Mapping

from ...tape import Tape, Tensor
from ..layers import Numbered, layer_path, line_names

OUTPUT = -1  # no id of a Tensor


def labels(tape: Tape, variables: Mapping[int, str]) -> dict[int, str]:
    """id(line) -> its own name, its variable's, one by its layer ("conv1.out"), else by what made it: the call whose
    result it is ("conv2d"), its place in a call ("conv1.conv2d.pad"), its row ("sub"), each with a number behind where
    it is not the first.  Constants, and all lines of a program of scalars, have their place on the tape ("%5").
    OUTPUT -> the name of the tape's output.
    """
    found = line_names(tape, variables)
    if not tape.of_scalars:
        ends = _last_lines(tape)
        numbered = Numbered(found.values())
        for line in tape:
            if found[id(line)].startswith("%") and line.primitive is not None and not line.constant:
                found[id(line)] = numbered(_by_its_call(line, ends))
    return {**found, OUTPUT: found[id(tape.outputs[0])]}


def _last_lines(tape: Tape) -> dict[int, Tensor]:
    """id(scope) -> the last line recorded in it."""
    last: dict[int, Tensor] = {}
    for line in tape:
        for scope in line.scope.path if line.scope and line.primitive is not None else ():
            last[id(scope)] = line
    return last


def _by_its_call(line: Tensor, ends: Mapping[int, Tensor]) -> str:
    path = line.scope.path if line.scope else ()
    calls = [s for s in path if s.kind == "call"]
    outer = next((s for s in calls if ends[id(s)] is line), None)
    row = line.primitive.name if line.primitive is not None else ""
    where = [*layer_path(line.scope)]
    if outer is not None:
        before = calls[: calls.index(outer)][:1]
        return ".".join([*where, *(s.name for s in before), outer.name])
    return ".".join([*where, *(s.name for s in calls[:1]), row])
