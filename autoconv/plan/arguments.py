"""The numbers among the arguments of a call, and the structure around them: what a function of numbers is recorded for.

Arguments may be floats, Scalars, arrays of many inputs, and nested lists, tuples and dicts of these; everything else in them
is static, and part of the structure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from operator import itemgetter
from typing import Any

import numpy as np

from ..scalar.floors import KINDS
from ..tape import Tensor

_ARRAYS = (np.ndarray, np.generic)
_TREES = (list, tuple, dict)
_NUMBERS: tuple[type, ...] = (float, *KINDS, *_ARRAYS)

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
        """``Inputs`` for arguments of any structure: the numbers in those ``asked`` for, and what puts derivatives in their places."""
        which, shaped = by_position(asked)
        arguments = [self.args[i] for i in which]
        spans = [range(self.ends[i % len(self.args)], self.ends[i % len(self.args) + 1]) for i in which]
        for i, x, span in zip(which, arguments, spans, strict=True):
            if not span:
                raise TypeError(
                    f"value_and_grad: argument {i % len(self.args)}, {x!r}, holds no float to differentiate by; write 2.0, not 2"
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
