"""A calculation with its sweep as one program, and which of its lines a reader sees.

The program's arguments are what the reader may change; its outputs are the value and the cotangent of every line of the
tape, so that rewriting it cannot lose one.  Only exact rewrites are made: the page has the numbers of the tape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...backward import check_cotangent, steps
from ...program.program import Program, from_tape
from ...program.rewrite import hoist, simplify
from ...program.slope_of_result import slope_of_result
from ...render.latex import formula
from ...render.text import clean
from ...tape import Tape, Tensor, describe, outside, tensor
from ..graph.zoom import calls, owners
from ..layers import Numbered, layer_path, layer_title, line_names, settings
from ..lines import is_number, is_parameter, subscripts

NUMBERS = 24  # numbers written in a formula that can be changed


@dataclass
class Node:
    """A line that a reader sees: its ``role`` ("parameter", "input", "constant", "number" or "line"), the call that
    made it with its settings, the names of the nodes it reads, and where the program has its value and its gradient
    (-1: nowhere).  ``input``: the number of the argument that it is, or -1."""

    name: str
    line: Tensor
    role: str
    value: int
    grad: int = -1
    input: int = -1
    call: str = ""
    settings: str = ""
    layer: str = ""
    reads: tuple[str, ...] = ()
    flat: bool = False


@dataclass
class Recorded:
    """A program with its arguments (Tensors that can be changed), and the nodes of a page, the output's last."""

    program: Program
    arguments: list[Tensor]
    nodes: list[Node]

    def node(self, line: Tensor) -> int | None:
        """The number of the node of a Tensor, None if it is none."""
        return next((k for k, node in enumerate(self.nodes) if node.line is line), None)


def record(y: Tensor, variables: Mapping[int, str], inputs: Sequence[Tensor] | None) -> Recorded:
    """The program of ``y`` and of the sweep back from it.

    variables: id(tensor) -> its name.  inputs: what may be changed (None: every input, parameter and named constant,
    and the numbers that the calculation itself writes).
    """
    tape = Tape(y)
    names = unique(tape, {k: clean(v) for k, v in line_names(tape, variables).items()})
    chosen = _offered(tape, variables) if inputs is None else list(inputs)
    for k, x in enumerate(x for x in chosen if x.constant and is_number(x) and not (x.name or id(x) in variables)):
        names[id(x)] = free(f"c{k + 1}", names)
    if names[id(y)].startswith("%"):
        names[id(y)] = free("loss", names)
    program, value, grad = with_sweep(tape, chosen)
    return Recorded(program, chosen, _nodes(tape, names, variables, chosen, value, grad))


def with_sweep(tape: Tape, arguments: Sequence[Tensor]) -> tuple[Program, dict[int, int], dict[int, int]]:
    """(a program of the tape and of the sweep back from its one output, id(line) -> the program's line that has its
    value, id(line) -> that of its cotangent), rewritten; ``arguments`` are what it is a function of."""
    (y,) = tape.outputs
    seed = tensor(check_cotangent(y, None))
    cotangents: dict[int, Tensor] = outside(
        lambda: {id(s.line): s.cotangent for s in steps(y, None, seed, recorded=True)}
    )
    swept = [x for x in tape if id(x) in cotangents]
    program = from_tape([*tape, *[cotangents[id(x)] for x in swept]], list(arguments), 0)
    program = simplify(slope_of_result(hoist(simplify(program))))
    value = dict(zip(map(id, tape), program.outputs, strict=False))
    return program, value, dict(zip(map(id, swept), program.outputs[len(tape) :], strict=True))


def _offered(tape: Tape, variables: Mapping[int, str]) -> list[Tensor]:
    """What may be changed: what is no result, if it is differentiable or has a name or is a number of the user's own
    arithmetic, outside of any call."""
    own = {id(x): None for line in tape if line.scope is None for x in line.operands if x.constant and is_number(x)}
    own = dict.fromkeys(list(own)[:NUMBERS])
    found = [x for x in tape if x.primitive is None]
    return [x for x in found if not x.constant or x.name or id(x) in variables or id(x) in own]


def unique(tape: Tape, names: dict[int, str]) -> dict[int, str]:
    """The names, each for one line only: "w", and "w_2" for another line of that name."""
    numbered = Numbered()
    return {id(line): numbered(names[id(line)]) for line in tape}


def free(name: str, names: Mapping[int, str]) -> str:
    """``name``, with a prime for each other line that is called so."""
    while name in names.values():
        name += "'"
    return name


def _nodes(
    tape: Tape,
    names: Mapping[int, str],
    variables: Mapping[int, str],
    chosen: Sequence[Tensor],
    value: Mapping[int, int],
    grad: Mapping[int, int],
) -> list[Node]:
    arguments = {id(x): k for k, x in enumerate(chosen)}
    groups = list(calls(tape))
    owner = owners(groups)
    last = {k: group.lines[-1] for k, group in enumerate(groups)}
    shown = {id(x) for x in chosen} | {id(tape.outputs[0])}
    shown |= {id(x) for x in last.values() if x.primitive is not None and not x.constant}
    shown |= {id(x) for x in tape if (x.name or id(x) in variables) and not x.constant}
    flat = subscripts(tape)

    def reads(line: Tensor) -> tuple[str, ...]:
        group = groups[owner[id(line)]]
        read = {id(x): x for member in group.lines for x in member.operands if owner[id(x)] != owner[id(line)]}
        found = {names[id(y)]: None for x in read.values() if id(y := shown_of(x)) in shown}
        return tuple(found)

    def shown_of(x: Tensor) -> Tensor:
        return x if id(x) in shown else last[owner[id(x)]]

    found = []
    for line in (x for x in tape if id(x) in shown):
        group = groups[owner[id(line)]]
        node = Node(names[id(line)], line, _role(line), value[id(line)], grad.get(id(line), -1))
        node.input, node.flat = arguments.get(id(line), -1), id(line) in flat
        node.layer = ".".join(layer_path(line.scope)) if line.scope else ""
        if node.role == "number":
            reader = next(x for x in tape if any(o is line for o in x.operands))
            node.settings = _written(reader, names)
        if line.primitive is not None:
            node.call = layer_title(group.scope) if group.scope else line.primitive.name
            node.settings, node.reads = settings(group.lines), reads(line)
            if group.scope is None and line.primitive.elementwise:
                node.settings = _written(line, names)
        found.append(node)
    return found


def _written(line: Tensor, names: Mapping[int, str]) -> str:
    """The formula of a line in the names of its operands."""
    assert line.primitive is not None
    return formula(line.primitive, [names[id(x)] for x in line.operands])


def _role(line: Tensor) -> str:
    if line.primitive is not None:
        return "line"
    if line.constant:
        return "number" if is_number(line) else "constant"
    return "parameter" if is_parameter(line) else "input"


def check_inputs(inputs: Any, tape: Tape) -> list[Tensor] | None:
    """What the caller wants to be changeable, as Tensors of the tape that are no results; None: whatever can be."""
    if inputs is None:
        return None
    given = list(inputs.values()) if isinstance(inputs, Mapping) else inputs
    if isinstance(given, Tensor):
        given = [given]
    if not isinstance(given, Sequence) or isinstance(given, str) or not all(isinstance(x, Tensor) for x in given):
        raise TypeError(
            f"live: inputs must be Tensors, or a dict of them by name; found {type(inputs).__name__}: as in "
            "inputs={'image': x, 'label': t}"
        )
    on_tape = {id(x) for x in tape}
    for x in given:
        if x.primitive is not None:
            raise ValueError(f"live: {describe(x)} is computed ({x.primitive.name}); only what is given can be changed")
        if id(x) not in on_tape:
            raise ValueError(f"live: the output does not depend on {describe(x)}; leave it out of inputs")
    parameters = [x for x in tape.inputs if id(x) not in {id(g) for g in given}]
    return [*given, *parameters]


def memory(program: Program) -> int:
    """Bytes that the lines of a program have in a page, if each has its own."""
    return sum(int(np.prod(line.shape)) * line.dtype.itemsize for line in program.lines if line.primitive is not None)
