"""``w -= rate * w.grad``: what the in-place operators of a Tensor do.

A line of the tape never changes: on a computed Tensor ``y += z`` records a new line, to which Python binds the name.
Inside ``no_grad`` an input or parameter takes the new value itself (``Tensor.assign``), so that everyone who holds it
sees the step, as in PyTorch.  Outside, a step in plain numbers is refused: the name would come to stand for a computed
line, and the parameter would stay where it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import primitives as p
from ..hooks import differentiating, watcher
from ..tape import Array, Tensor, describe, recording
from . import linalg

_OPERATIONS: dict[str, tuple[str, Callable[..., Any]]] = {
    "__iadd__": ("+", p.add), "__isub__": ("-", p.sub), "__imul__": ("*", p.mul), "__itruediv__": ("/", p.div),
    "__ipow__": ("**", p.power), "__imatmul__": ("@", lambda a, b: linalg.matmul(a, b)),
}  # fmt: skip


class InPlaceError(RuntimeError, TypeError):
    """An input or parameter changed in place where its lines are recorded: PyTorch's RuntimeError, and a TypeError as
    other operations that a Tensor does not have."""


def _in_place(sign: str, operation: Callable[..., Any]) -> Callable[[Tensor, Any], Any]:
    def change(x: Tensor, other: Any) -> Any:
        if not p._is_operand(other):
            return NotImplemented
        if x.primitive is not None or x.constant:
            return operation(x, other)
        if not recording():
            _step(x, sign, operation(x, other).value)
            return x
        accumulates = isinstance(other, Tensor) and not other.constant  # total += loss
        if accumulates or differentiating.get() or watcher.get() is not None:
            return operation(x, other)
        raise InPlaceError(
            f"{describe(x)} is changed in place by {sign}= while its lines are recorded; write 'with ac.no_grad(): "
            f"w {sign}= ...' for a step of training, w.assign(...) for a new value, or y = x {sign} ... for a new line"
        )

    return change


def _step(x: Tensor, sign: str, new: Array) -> None:
    """Give x the value ``new``; refuse what NumPy's in-place operators refuse."""
    if not np.can_cast(new.dtype, x.dtype, "same_kind"):
        raise TypeError(
            f"{describe(x)} of dtype {x.dtype} cannot hold the result of {sign}=, of dtype {new.dtype}; make it with "
            "dtype=float"
        )
    if new.shape != x.shape:
        raise ValueError(
            f"{describe(x)} cannot hold the result of {sign}=, of shape {new.shape}; the shapes must be equal"
        )
    x.assign(new)


def bind() -> None:
    """Attach the operators to Tensor."""
    for name, (sign, operation) in _OPERATIONS.items():
        setattr(Tensor, name, _in_place(sign, operation))


bind()
