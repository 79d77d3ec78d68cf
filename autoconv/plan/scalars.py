"""``compile`` for functions of numbers: recorded once on Scalars, replayed on other numbers, one input or many.

A call whose numbers are floats (or Scalars) is tried on Scalars first; what returns a Scalar is a function of numbers, and
arrays in the places of its floats are then many inputs at once.  The replay is scalar/replay.py's.  A function that looks
at its numbers (a branch) is recorded anew for every input.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..scalar.floors import KINDS, Scalar, floor
from ..scalar.replay import REFUSED, ScalarProgram, recorded
from ..tape import Tensor
from ..transforms import flatten
from .guards import Guards
from .watch import apart, record

_ARRAYS = (np.ndarray, np.generic)
_KEPT = 64


class ScalarFunction:
    """``function`` as one of numbers; ``known`` once a call has shown that it is."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.known = False
        self.wrt: tuple[Scalar, ...] = ()
        self._last: _Entry | None = None
        self._entries: dict[Any, _Entry] = {}
        self._lock = threading.RLock()

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any], asked: Any = None) -> tuple[Any, Any] | None:
        """(result, gradients ``asked`` for), or None for a call that is not one of numbers."""
        numbers = Numbers(args, kwargs, self.known)
        if not numbers.fit or not numbers.found:
            return None
        key = numbers.key
        entry = self._entries.get(key)
        now = None
        if entry is None or (entry.recording is not None and not entry.guards.hold()):
            with self._lock:
                entry, now = self._entry(numbers)
                while len(self._entries) >= _KEPT:
                    self._entries.pop(next(iter(self._entries)))
                self._entries[key] = entry
        if entry.tensors:
            return None
        self.known, self._last = True, entry
        rows, shape = numbers.rows()
        if entry.recording is not None:
            return self._results(entry.recording, numbers, rows, shape, asked)
        if shape is None:
            return self._results(now or self._itself(numbers, rows), numbers, rows, None, asked)
        each = [self._results(self._itself(numbers, row), numbers, row, None, asked) for row in rows]
        return _stacked([x for x, _ in each], shape), None if asked is None else _stacked([g for _, g in each], shape)

    @property
    def plan(self) -> str:
        """What was decided for the last call."""
        assert self._last is not None
        if self._last.recording is None:
            return f"recorded anew for every input, because {self._last.reason}"
        counts = " and ".join(f"{p.count:,}" for p in self._last.recording.programs)
        way = "the compiled extension" if floor() == "native" else "NumPy, level by level"
        return f"{counts} scalar operations, replayed by {way}: one input, or arrays of many side by side"

    def _entry(self, numbers: Numbers) -> tuple[_Entry, _Recording | None]:
        """Record the function, or find out why that cannot be; the recording holds for this call in any case."""
        guards, kept = Guards(self.function, numbers.statics), numbers.statics
        at = [float(np.ravel(x)[0]) if np.size(x) else 0.5 for x in numbers.found]
        inputs = [Scalar(x) for x in at]
        args, kwargs = numbers.placed(inputs)
        try:
            made = record(lambda: recorded(lambda: self.function(*args, **kwargs), ()), [], guards.generators)
        except Exception as error:
            reason = "it looks at its numbers (a comparison, float(), max()), and may depend on them"
            try:
                tensors = str(error) != REFUSED or _of_tensors(self._called(numbers, at)[0])
            except Exception:
                tensors = True
            return _Entry(guards, kept, None, reason, tensors), None
        reason = made.reason or guards.unfit() or ""
        if _of_tensors(made.result) or not any(isinstance(x, KINDS) for x in flatten(made.result)[0]):
            return _Entry(guards, kept, None, reason, True), None
        recording = _Recording(made.result, inputs)
        return _Entry(Guards(self.function, kept), kept, None if reason else recording, reason), recording

    def _called(self, numbers: Numbers, row: Sequence[float]) -> Any:
        inputs = [Scalar(x) for x in row]
        args, kwargs = numbers.placed(inputs)
        return apart(lambda: (self.function(*args, **kwargs), inputs))

    def _itself(self, numbers: Numbers, row: np.ndarray) -> _Recording:
        """A recording of the function at one input, for this input alone."""
        return _Recording(*self._called(numbers, row.tolist()))

    def _results(
        self, recording: _Recording, numbers: Numbers, rows: np.ndarray, shape: tuple[int, ...] | None, asked: Any
    ) -> tuple[Any, Any]:
        if asked is None:
            return recording.result(recording.values(rows), shape), None
        outside = recording.outside if asked == "closed over" else list(asked) if isinstance(asked, list) else []
        if not recording.programs:
            raise TypeError(
                f"value_and_grad: the function returned a plain number at {rows.tolist()}, whose gradient cannot be known: "
                "float() and the functions of math leave the tape; use x.sin(), x.exp() ..., or return 0 * x for a constant"
            )
        values, slopes = recording.values_and_slopes(rows, outside)
        columns = [x if shape is None else x.reshape(shape) for x in slopes.T]
        columns = [float(x) for x in columns] if shape is None else columns
        result = recording.result(values, shape)
        self.wrt = tuple(outside)
        if outside or isinstance(asked, list):
            return result, columns[len(numbers.found) :]
        if isinstance(asked, tuple):
            return result, tuple(numbers.argument(i, columns) for i in asked)
        return result, numbers.argument(0 if asked == "closed over" else asked, columns)


@dataclass
class _Entry:
    """One structure of arguments: its recording, or the ``reason`` why there is none; ``tensors``: it is not one of numbers."""

    guards: Guards
    kept: list[Any]
    recording: _Recording | None = None
    reason: str = ""
    tensors: bool = False


class _Recording:
    """A function's result on the Scalars ``inputs``, as programs of these."""

    def __init__(self, result: Any, inputs: list[Scalar]) -> None:
        self._leaves, self._rebuild = flatten(result)
        self._alone = isinstance(result, KINDS)
        self._inputs = inputs
        self._outputs = [x for x in self._leaves if isinstance(x, KINDS)]
        self.programs = [ScalarProgram.of(y, inputs) for y in self._outputs]
        self.outside = self.programs[0].outside if self.programs else []
        self._whole: tuple[list[Scalar], ScalarProgram] | None = None

    def values(self, rows: np.ndarray) -> list[Any]:
        """The numbers among the results, for one row or for each of many."""
        return [p(rows) for p in self.programs]

    def values_and_slopes(self, rows: np.ndarray, outside: list[Scalar]) -> tuple[list[Any], np.ndarray]:
        """``values``, and the derivatives of the first by the inputs, then by the Scalars ``outside``."""
        rest = [p(rows) for p in self.programs[1:]]
        if not outside:
            value, slopes = self.programs[0].value_and_grad(rows)
        else:
            more = np.array([x.data for x in outside], rows.dtype)
            whole = np.concatenate([rows, np.broadcast_to(more, (*rows.shape[:-1], len(more)))], axis=-1)
            value, slopes = self._with(outside).value_and_grad(whole)
        return [value, *rest], slopes

    def _with(self, outside: list[Scalar]) -> ScalarProgram:
        """The program of the first result with more inputs."""
        known = self._whole
        if (
            known is None
            or len(known[0]) != len(outside)
            or any(a is not b for a, b in zip(*(known[0], outside), strict=True))
        ):
            self._whole = known = (outside, ScalarProgram.of(self._outputs[0], [*self._inputs, *outside]))
        return known[1]

    def result(self, values: list[Any], shape: tuple[int, ...] | None) -> Any:
        """The function's result with ``values`` in place of its Scalars."""
        if self._alone:
            return values[0] if shape is None else values[0].reshape(shape)
        waiting = iter(values if shape is None else [v.reshape(shape) for v in values])
        return self._rebuild([next(waiting) if isinstance(x, KINDS) else x for x in self._leaves])


def _of_tensors(result: Any) -> bool:
    """Whether a result holds anything but Scalars and plain numbers."""
    return not all(isinstance(x, (int, float, *KINDS)) for x in flatten(result)[0])


def _stacked(trees: list[Any], shape: tuple[int, ...]) -> Any:
    """Equal structures of numbers, one for each input, as one structure of arrays."""
    parts = [flatten(tree) for tree in trees]
    return parts[0][1]([np.reshape(column, shape) for column in zip(*[leaves for leaves, _ in parts], strict=True)])


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
        alone = not kwargs and not self.statics and not any(isinstance(x, list | tuple | dict) for x in args)
        self.key = len(args) if alone else tuple(key)

    def _read(self, tree: Any, found: list[Any], key: list[Any]) -> None:
        key.append((type(tree), *tree) if isinstance(tree, dict) else (type(tree), len(tree)))
        for x in tree.values() if isinstance(tree, dict) else tree:
            if type(x) is float:
                found.append(x)
                key.append(float)
            elif isinstance(x, list | tuple | dict):
                self._read(x, found, key)
            elif isinstance(x, KINDS):
                found.append(x.data)
                key.append(float)
            elif isinstance(x, (*_ARRAYS, Tensor)):
                self.fit = self.fit and self._arrays and not isinstance(x, Tensor) and x.dtype.kind in "fiub"
                self.several = self.several or isinstance(x, np.ndarray)
                found.append(x)
                key.append(float)
            else:
                self.statics.append(x)
                key.append((type(x), x if isinstance(x, int | str | bytes | type(None)) else id(x)))

    def placed(self, numbers: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with ``numbers`` in the places of those found."""
        waiting = iter(numbers)
        return self._put(self.args, waiting), self._put(self.kwargs, waiting)

    def argument(self, i: int, numbers: Sequence[Any]) -> Any:
        """Argument i with ``numbers`` (one for each number of the call) in its places."""
        i %= len(self.args)
        if self.ends[i] == self.ends[i + 1]:
            raise TypeError(
                f"value_and_grad: argument {i}, {self.args[i]!r}, holds no float to differentiate by; write 2.0, not 2"
            )
        return self._put(self.args[i], iter(numbers[self.ends[i] :]))

    def _put(self, tree: Any, waiting: Iterator[Any]) -> Any:
        if isinstance(tree, dict):
            return {k: self._put(v, waiting) for k, v in tree.items()}
        if isinstance(tree, list | tuple):
            parts = [self._put(v, waiting) for v in tree]
            return parts if isinstance(tree, list) else tuple(parts) if type(tree) is tuple else type(tree)(*parts)
        return next(waiting) if isinstance(tree, (float, *KINDS, *_ARRAYS)) else tree

    def rows(self) -> tuple[np.ndarray, tuple[int, ...] | None]:
        """The inputs as rows (N, n) and the shape they had, or as one row (n,) and None."""
        if not self.several:
            return np.array(self.found, dtype=float), None
        given = [x for x in self.found if isinstance(x, _ARRAYS)]
        dtype = np.float32 if all(x.dtype == np.float32 for x in given) else np.float64
        shape = np.broadcast_shapes(*[x.shape for x in given])
        rows = np.empty((*shape, len(self.found)), dtype)
        for k, x in enumerate(self.found):
            rows[..., k] = x
        return rows.reshape(-1, len(self.found)), shape
