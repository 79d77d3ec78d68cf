"""One call of a compiled function: its signature, its arrays, and the lines that stand for them while f is recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import is_
from typing import Any

import numpy as np

from ..tape import Tape, Tensor, tensor
from ..tree import flatten


class Tensors(tuple):
    """Tensors as part of a signature: the same ones, not equal ones."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tensors) and len(self) == len(other) and all(map(is_, self, other))

    def __hash__(self) -> int:
        return hash(tuple(map(id, self)))


class Call:
    """One call's arguments: their signature, the arrays among them, and, for recording, the lines that stand for these."""

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.args, self.kwargs = args, kwargs
        self.resolved: Any = None
        self.leaves: list[Any]
        self._unflatten: Callable[[Sequence[Any]], Any]
        if not kwargs and all([type(x) is np.ndarray for x in args]):  # the usual call, without the detour
            self.leaves, self._unflatten = list(args), lambda made: (tuple(made), {})
            self.is_array, self.statics = [True] * len(args), []
            self.signature: Any = tuple([_kind(x) for x in args])
            return
        self.leaves, self._unflatten = flatten((args, kwargs))
        self.is_array = [isinstance(x, np.ndarray | np.generic | Tensor) for x in self.leaves]
        self.statics = [x for x, a in zip(self.leaves, self.is_array, strict=True) if not a]
        self.signature = (_structure((args, kwargs)), tuple(map(_kind, self.leaves)))

    @property
    def arrays(self) -> list[np.ndarray]:
        """The arguments that are arrays, in native byte order."""
        found = [x for x, a in zip(self.leaves, self.is_array, strict=True) if a]
        return [_native(x.value if isinstance(x, Tensor) else np.asarray(x)) for x in found]

    def lift(self) -> None:
        """Make a line for each array."""
        self.lines = [tensor(x) for x in self.arrays]
        waiting = iter(self.lines)
        self.lifted = [next(waiting) if a else x for x, a in zip(self.leaves, self.is_array, strict=True)]
        self.placed = self._unflatten(self.lifted)

    def wanted(self, asked: Any, y: Tensor) -> list[Tensor]:
        """The lines whose gradients are asked for; ``resolved`` says where they stand."""
        self.resolved = asked
        if isinstance(asked, Tensors):
            return list(asked)
        if asked == "closed over":
            read = _closed_over(y, self.lines)
            if read:
                return read
            self.resolved = asked = 0
        if not self.args:
            raise ValueError(
                "value_and_grad: the function reads no floating-point Tensor and has no argument to differentiate by"
            )
        leaves = flatten([self.placed[0][i] for i in ((asked,) if isinstance(asked, int) else asked)])[0]
        for x in leaves:
            if not isinstance(x, Tensor):
                raise TypeError(f"value_and_grad: {x!r} cannot be differentiated; pass an array, as in np.array({x!r})")
        return leaves

    def plain(self, result: Any) -> Any:
        """A result with arrays in place of Tensors."""
        leaves, rebuild = flatten(result)
        return rebuild([np.array(x.value)[()] if isinstance(x, Tensor) else x for x in leaves])

    def shaped(self, resolved: Any, gradients: Sequence[Any], own: bool) -> Any:
        """The gradients as arrays of the caller's, in the structure in which they were asked for."""
        arrays = [
            np.array(g.value if isinstance(g, Tensor) else g, order="C", copy=None if own else True) for g in gradients
        ]
        if isinstance(resolved, Tensors | str):
            return arrays
        chosen = self.args[resolved] if isinstance(resolved, int) else tuple(self.args[i] for i in resolved)
        return flatten(chosen)[1](arrays)


def _closed_over(y: Tensor, arguments: list[Tensor]) -> list[Tensor]:
    """The Tensors with a gradient that y depends on and that are no arguments, in the order in which lines read them."""
    known = {id(x) for x in arguments}
    read: dict[int, Tensor] = {}
    for line in Tape(y):
        for x in (*line.operands, line):
            if x.primitive is None and not x.constant and id(x) not in known:
                read.setdefault(id(x), x)
    return list(read.values())


def _structure(tree: Any) -> Any:
    """The nesting of lists, tuples and dicts, as something that can be compared."""
    if isinstance(tree, dict):
        return ("dict", *[(k, _structure(v)) for k, v in tree.items()])
    if isinstance(tree, list | tuple):
        return (type(tree), *map(_structure, tree))
    return None


def _kind(x: Any) -> Any:
    """What of a leaf decides the tape: shape and dtype of an array, the value of anything else."""
    if type(x) is np.ndarray:
        return (False, x.shape, x.dtype if x.dtype.isnative else x.dtype.newbyteorder("="))
    if isinstance(x, Tensor | np.ndarray | np.generic):
        return (isinstance(x, Tensor) and x.constant, x.shape, x.dtype.newbyteorder("="))
    if isinstance(x, int | float | str | bool | bytes | type(None)):
        return (type(x), repr(x))
    return (type(x), id(x))


def _native(x: np.ndarray) -> np.ndarray:
    return x if x.dtype.isnative else x.astype(x.dtype.newbyteorder("="))
