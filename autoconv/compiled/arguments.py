"""The arguments of one call of a compiled function: the arrays or numbers among them, and the structure around these.

``Arguments``: arrays and Tensors, for a function that is recorded on tensors.  ``Numbers``: floats and Scalars, for a
function of numbers; everything else is static, and part of the structure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from operator import is_, itemgetter
from typing import Any

import numpy as np

from ..scalar.floors import KINDS
from ..tape import Tape, Tensor, tensor
from ..tree import flatten

_ARRAYS = (np.ndarray, np.generic)
_TREES = (list, tuple, dict)
_NUMBERS: tuple[type, ...] = (float, *KINDS, *_ARRAYS)


class Tensors(tuple):
    """Tensors as part of a signature: the same ones, not equal ones."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tensors) and len(self) == len(other) and all(map(is_, self, other))

    def __hash__(self) -> int:
        return hash(tuple(map(id, self)))


class Arguments:
    """One call's arguments: their signature, the arrays among them, and, for recording, the lines that stand for
    these."""

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.args, self.kwargs = args, kwargs
        self.resolved: Any = None
        self.leaves: list[Any]
        self._unflatten: Callable[[Sequence[Any]], Any]
        if not kwargs and all([type(x) is np.ndarray for x in args]):  # the usual call, without the detour
            self.leaves, self._unflatten = list(args), lambda leaves: (tuple(leaves), {})
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
    """The Tensors with a gradient that y depends on and that are no arguments, in the order in which lines read
    them."""
    known = {id(x) for x in arguments}
    read: dict[int, Tensor] = {}
    for line in Tape(y):
        for x in line.operands or (y,):  # a leaf's own place on the tape is that of its last new value
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


# ---- a function of numbers

# Which inputs an ``asked`` gradient is taken by, and what puts the derivatives by them into its structure.
Inputs = Callable[[Any], tuple[tuple[int, ...], Callable[[Sequence[Any]], Any]]]
_first = itemgetter(0)


def by_position(asked: Any) -> tuple[tuple[int, ...], Callable[[Sequence[Any]], Any]]:
    """``Inputs`` for arguments that are floats: argument i is input i."""
    return (asked, tuple) if isinstance(asked, tuple) else ((0 if asked == "closed over" else asked,), _first)


class Numbers:
    """The numbers among the arguments of one call (``found``), and the structure around them (``key``).

    ``several``: there are arrays among them; ``fit``: nothing among the arguments can only be a tensor.
    """

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any], arrays: bool) -> None:
        self.args, self.kwargs = args, kwargs
        self.statics: list[Any] = []
        self.several, self.fit = False, True
        if not kwargs and set(map(type, args)) == {float}:
            self.key: Any = len(args)
            self.found: Sequence[Any] = args
            self.ends: Sequence[int] = range(len(args) + 1)  # where the numbers of each positional argument end
            return
        self._arrays = arrays
        found: list[Any] = []
        key: list[Any] = []
        self.ends = [0]
        for x in args:
            self._read((x,), found, key)
            self.ends.append(len(found))
        self._read(kwargs, found, key)
        self.found = found
        alone = not kwargs and not self.statics and not any(isinstance(x, _TREES) for x in args)
        self.key = len(args) if alone else tuple(key)

    def _read(self, tree: Any, found: list[Any], key: list[Any]) -> None:
        key.append((type(tree), *tree) if isinstance(tree, dict) else (type(tree), len(tree)))
        values = tree.values() if isinstance(tree, dict) else tree
        if set(map(type, values)) == {float}:
            found += values
            key += [float] * len(values)
            return
        for x in values:
            if type(x) is float:
                found.append(x)
                key.append(float)
            elif isinstance(x, _TREES):
                self._read(x, found, key)
            elif isinstance(x, KINDS):
                found.append(x.data)
                key.append(float)
            elif isinstance(x, (*_ARRAYS, Tensor)):
                self.fit = self.fit and self._arrays and not isinstance(x, Tensor) and x.dtype.kind in "fiub"
                self.several = self.several or isinstance(x, np.ndarray)
                found.append(x)
                key.append(float)
            elif isinstance(x, float):  # of a subclass: NumPy's are above
                found.append(x)
                key.append(float)
            else:
                self.statics.append(x)
                key.append((type(x), x if isinstance(x, int | str | bytes | type(None)) else id(x)))

    def placed(self, numbers: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with ``numbers`` in the places of those found."""
        waiting = iter(numbers)
        return self._put(self.args, waiting), self._put(self.kwargs, waiting)

    def inputs(self, asked: Any) -> tuple[tuple[int, ...], Callable[[Sequence[Any]], Any]]:
        """``Inputs`` for arguments of any structure: the numbers in those ``asked`` for, and what puts derivatives in
        their places."""
        which, shaped = by_position(asked)
        arguments = [self.args[i] for i in which]
        spans = [range(self.ends[i % len(self.args)], self.ends[i % len(self.args) + 1]) for i in which]
        for i, x, span in zip(which, arguments, spans, strict=True):
            if not span:
                raise TypeError(
                    f"value_and_grad: argument {i % len(self.args)}, {x!r}, holds no float to differentiate by; "
                    "write 2.0, not 2"
                )
        return tuple(chain.from_iterable(spans)), lambda slopes: shaped(self._put(arguments, iter(slopes)))

    def _put(self, tree: Any, waiting: Iterator[Any]) -> Any:
        if isinstance(tree, dict):
            return {k: self._put(v, waiting) for k, v in tree.items()}
        if isinstance(tree, (list, tuple)):
            alike = set(map(type, tree)) == {float}
            parts = list(islice(waiting, len(tree))) if alike else [self._put(v, waiting) for v in tree]
            return parts if isinstance(tree, list) else tuple(parts) if type(tree) is tuple else type(tree)(*parts)
        return next(waiting) if isinstance(tree, _NUMBERS) else tree

    def rows(self) -> tuple[np.ndarray, tuple[int, ...]]:
        """The inputs as rows (N, n), and the shape of the N that they had."""
        given = [x for x in self.found if isinstance(x, _ARRAYS)]
        dtype = np.float32 if all(x.dtype == np.float32 for x in given) else np.float64
        shape = np.broadcast_shapes(*[x.shape for x in given])
        rows = np.empty((*shape, len(self.found)), dtype)
        for k, x in enumerate(self.found):
            rows[..., k] = x
        return rows.reshape(-1, len(self.found)), shape
