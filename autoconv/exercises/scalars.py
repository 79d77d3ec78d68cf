"""A Scalar's recording as a tape of 0-d Tensors, so that one kind of tape is enough for exercises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..scalar import Scalar, expand
from ..tape import Tensor, constant, tensor


def as_tensor(y: Scalar, names: Mapping[str, Any]) -> tuple[Tensor, dict[str, Any], dict[int, Tensor]]:
    """The same calculation on Tensors, with names for its lines, and id(input Scalar) -> its Tensor."""
    flat = expand(y)
    made: list[Tensor] = []
    inputs: dict[int, Tensor] = {}
    called = {id(x): name for name, x in reversed(list(names.items())) if isinstance(x, Scalar)}
    for i in range(len(flat)):
        row = flat[i]
        primitive = flat.operations[int(flat.operation[i])].primitive
        leaf = flat.leaves.get(i)
        if primitive is not None:
            line = primitive(*[made[k] for k in row.operands], **row.params)
            line.name = flat.names.get(i)
        elif leaf is not None:
            line = tensor(float(row.value), name=getattr(leaf, "name", None) or called.get(id(leaf)))
            inputs[id(leaf)] = line
        else:
            line = constant(float(row.value))
        made.append(line)
    return made[int(flat.output)], {}, inputs
