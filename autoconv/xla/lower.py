"""From a program to a function of JAX's arrays.

``Lowered(program)`` is that function: ``lowered(arguments, tensors)`` computes the program's outputs with ``jax.numpy``
and ``jax.lax``, and may be traced (``jit``, ``vmap``, ``shard_map``, ``jax.export``).  Lines are computed by the column
of the table (``column``), in their order; those that ``patterns`` has recognised in one piece, and what only such a
piece reads is not computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..program.program import Line, Program
from ..tape import Tensor
from . import patterns, tournaments
from .column import ELEMENTWISE, ROWS, refusals
from .library import jax, jnp, lax

_DTYPES = frozenset(
    ["float16", "float32", "float64", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
)


def unfit(program: Program) -> str:
    """Why XLA cannot run a program, in words; "" if it can."""
    for i, line in enumerate(program.lines):
        if line.dtype == object:
            return "it calculates with exact fractions"
        if line.dtype.name not in _DTYPES:
            return f"XLA has no numbers of dtype {line.dtype} (line %{i}, {program.text(i)})"
        if line.primitive is not None and line.primitive.name not in ROWS:
            return f"the row {line.primitive.name} has no cell for XLA (autoconv/xla/column.py)"
    return ""


class Lowered:
    """A program as a function of JAX's arrays.

    ``program``: what is computed.  ``arguments``: the numbers of the program's arguments that it reads; ``tensors``:
    the Tensors that it closes over, in the order in which the function takes their values.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.fused = patterns.find(program) | tournaments.find(program)
        self.order = _needed(program, self.fused)
        lines = [program.lines[i] for i in self.order]
        self.arguments = sorted({x.argument for x in lines if x.argument is not None})
        found = {id(x.tensor): x.tensor for x in lines if x.tensor is not None}
        self.tensors: list[Tensor] = list(found.values())
        self._number = {key: k for k, key in enumerate(found)}

    def __call__(self, arguments: Sequence[Any], tensors: Sequence[Any]) -> tuple[list[Any], Any]:
        """(the outputs, whether the numbers are all such as the rows take).

        arguments: all of the program's, in their order (what it does not read may be None); tensors: the values of
        ``self.tensors``.  The second result is a truth value of the trace, or True where no row could refuse anything:
        where it is False the outputs mean nothing, and NumPy says in its own words what is wrong.
        """
        with refusals() as refused:
            outputs = self.outputs(arguments, tensors)
        if not refused:
            return outputs, True
        wrong = refused[0]
        for condition in refused[1:]:
            wrong = wrong | condition
        return outputs, jnp.logical_not(wrong)

    def outputs(self, arguments: Sequence[Any], tensors: Sequence[Any]) -> list[Any]:
        lines = self.program.lines
        values: dict[int, Any] = {}
        for i in self.order:
            line = lines[i]
            if i in self.fused:
                piece = self.fused[i]
                values[i] = piece.function(*[values[x] for x in piece.operands])
            elif line.primitive is not None:
                divisor = self._repeated(line)
                if divisor is not None:
                    large = not _moderate(lines, divisor)
                    values[i] = _divided(values[line.operands[0]], values[divisor], line, large)
                else:
                    values[i] = computed(line, [self._kept(line, x, values[x]) for x in line.operands])
            elif line.argument is not None:
                values[i] = arguments[line.argument]
            elif line.tensor is not None:
                values[i] = tensors[self._number[id(line.tensor)]]
            else:
                values[i] = _constant(line)
        return [jnp.asarray(values[y], self.program.lines[y].dtype) for y in self.program.outputs]

    def _kept(self, line: Line, x: int, value: Any) -> Any:
        """An operand's array; of a division by large constants one that XLA does not know to be constant: it would
        multiply by reciprocals, which are below the normal numbers and count as 0."""
        name = line.primitive.name if line.primitive is not None else ""
        known = self.program.lines[x].value
        if name != "div" or x != line.operands[1] or known is None or known.dtype.kind != "f":
            return value
        return value if _moderate(self.program.lines, x) else lax.optimization_barrier(jnp.asarray(value))

    def _repeated(self, line: Line) -> int | None:
        """The line with the different divisors of a division, where they are repeated."""
        if line.primitive is None or line.primitive.name != "div" or line.dtype not in (np.float32, np.float64):
            return None
        divisor = self.program.lines[line.operands[1]]
        if divisor.primitive is None or divisor.primitive.name != "broadcast_to" or divisor.dtype != line.dtype:
            return None
        return divisor.operands[0] if self.program.lines[line.operands[0]].dtype == line.dtype else None

    def notes(self) -> list[list[str]]:
        """What became of each line, in words."""
        order = set(self.order)
        notes: list[list[str]] = []
        for i in range(len(self.program.lines)):
            piece = self.fused.get(i)
            said = []
            if piece is not None:
                said.append(f"{piece.text} of {' and '.join(f'%{x}' for x in piece.operands)}")
            elif i not in order:
                said.append("inside a convolution or a tournament")
            notes.append(said)
        return notes


def computed(line: Line, operands: Sequence[Any]) -> Any:
    """One line's array."""
    assert line.primitive is not None
    name, dtype = line.primitive.name, line.dtype
    if name in ELEMENTWISE and dtype.kind == "f":  # of whole numbers: in the dtype of the result, as NumPy does it
        operands = [x.astype(dtype) if x.dtype.kind in "iu" else x for x in operands]
    with jax.named_scope(line.scope.replace(" > ", "/")) if line.scope else _NOWHERE:
        made = ROWS[name](*operands, **line.params)
    return made if made.dtype == dtype else made.astype(dtype)


def _divided(x: Any, s: Any, line: Line, large: bool) -> Any:
    """x / s with s repeated: x times 1 / s, one division for each different s.  (XLA makes that of it as well, and has
    0 for 1e38 / 1e38.)

    Where s may be so ``large`` that 1 / s would be below the normal numbers, both are first made smaller by the same
    power of 2.
    """
    if not large:
        return x * jnp.broadcast_to(1 / s, line.shape)
    small = np.array(2.0 ** -(np.finfo(line.dtype).maxexp // 2), line.dtype)
    scale = jnp.where(jnp.abs(s) > 1 / small, small, np.ones((), line.dtype))
    wide = lambda a: jnp.broadcast_to(a, line.shape)
    return x * wide(scale) * wide(1 / (s * scale))


def _moderate(lines: Sequence[Line], i: int) -> bool:
    """Whether a line's numbers are known to have a normal reciprocal unless they are infinite or nearly 0: roots, as
    the divisors of normalisations are, and constants; also with something added to them."""
    line = lines[i]
    if line.primitive is None:
        value = line.value
        return value is not None and bool((np.abs(value) <= 2.0 ** (np.finfo(line.dtype).maxexp // 2)).all())
    if line.primitive.name in ("reshape", "broadcast_to", "permute_dims", "add", "maximum"):
        return all(_moderate(lines, x) for x in line.operands)
    return line.primitive.name == "sqrt"


class _Nowhere:
    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...


_NOWHERE = _Nowhere()


def _constant(line: Line) -> Any:
    """A constant: one number that stands for all cells is written once."""
    assert line.value is not None
    if line.value.size > 1 and not any(line.value.strides):
        return jnp.full(line.shape, line.value.flat[0], line.dtype)
    return np.ascontiguousarray(line.value).reshape(line.shape)


def _needed(program: Program, fused: dict[int, patterns.Fused]) -> list[int]:
    """The lines that have to be computed, in their order; what only a piece of several lines reads is not."""
    needed: set[int] = set()
    waiting = [*program.outputs, *program.checks]
    while waiting:
        i = waiting.pop()
        if i not in needed:
            needed.add(i)
            waiting += fused[i].operands if i in fused else program.lines[i].operands
    return sorted(needed)
