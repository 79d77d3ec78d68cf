"""``compile`` for functions of numbers: recorded once on Scalars, replayed on other numbers, one input or many.

A call whose numbers are floats (or Scalars) is tried on Scalars first; what returns a Scalar is a function of numbers,
and arrays in the places of its floats are then many inputs at once.  The replay is scalar/replay.py's.  A function that
looks at its numbers (a branch) is recorded anew for every input.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..program.record.guards import Guards
from ..program.record.watch import apart, record
from ..scalar.floors import KINDS, Scalar
from ..scalar.replay import REFUSED, ScalarProgram, recorded
from ..tree import flatten
from .arguments import Inputs, Numbers, by_position

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

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any], asked: Any = None) -> tuple[Any, Any] | None:
        """(result, gradients ``asked`` for), or None for a call that is not one of numbers."""
        last = self._last
        if last is not None and last.recording is not None and last.floats and not kwargs and last.guards.hold():
            # The usual call, floats in the places of the last one's: the recording itself sees whether they are.
            found = self._at(last.recording, args, asked, by_position)
            if found is not None:
                return found
        return self._by_structure(Numbers(args, kwargs, self.known), asked)

    def _by_structure(self, numbers: Numbers, asked: Any) -> tuple[Any, Any] | None:
        """A call of any kind: by the recording for its structure, which is made if there is none that holds."""
        if not numbers.fit or not numbers.found:
            return None
        entry = self._entries.get(numbers.key)
        now = None
        if entry is None or (
            (entry.recording is not None or (entry.failed and self.known)) and not entry.guards.hold()
        ):
            with self._lock:
                entry, now = self._entry(numbers)
                while len(self._entries) >= _KEPT:
                    self._entries.pop(next(iter(self._entries)))
                self._entries[numbers.key] = entry
        if entry.tensors:
            return None
        self.known, self._last = True, entry
        if not numbers.several:
            row = tuple(map(float, numbers.found))
            return self._at(entry.recording or now or self._itself(numbers, row), row, asked, numbers.inputs)
        rows, shape = numbers.rows()
        if entry.recording is not None:
            return self._lanes(entry.recording, numbers, rows, shape, asked)
        each: list[Any] = [self._at(self._itself(numbers, x), tuple(x), asked, numbers.inputs) for x in rows.tolist()]
        return _stacked([x for x, _ in each], shape), None if asked is None else _stacked([g for _, g in each], shape)

    @property
    def plan(self) -> str:
        """What was decided for the last call."""
        assert self._last is not None
        if self._last.recording is None:
            return f"recorded anew for every input, because {self._last.reason}"
        counts = " and ".join(f"{p.count:,}" for p in self._last.recording.programs)
        compiled = all(p.compiled for p in self._last.recording.programs)
        way = "the compiled extension" if compiled else "NumPy, level by level"
        return f"{counts} scalar operations, replayed by {way}: one input, or arrays of many side by side"

    def _entry(self, numbers: Numbers) -> tuple[_Entry, _Recording | None]:
        """Record the function, or find out why that cannot be; the recording holds for this call in any case."""
        kept = tuple(numbers.statics)
        guards = Guards(self.function, kept)
        at = [float(np.ravel(x)[0]) if np.size(x) else 0.5 for x in numbers.found]
        inputs = [Scalar(x) for x in at]
        args, kwargs = numbers.placed(inputs)
        try:
            traced = record(lambda: recorded(lambda: self.function(*args, **kwargs), ()), [], guards.generators)
        except Exception as error:
            reason = "it looks at its numbers (a comparison, float(), max()), and may depend on them"
            try:
                tensors = str(error) != REFUSED or _of_tensors(self._called(numbers, at)[0])
            except Exception:
                tensors = True
            return _Entry(guards, kept, None, reason, tensors, failed=tensors), None
        reason = traced.reason or guards.unfit() or ""
        if _of_tensors(traced.result) or not any(isinstance(x, KINDS) for x in flatten(traced.result)[0]):
            return _Entry(guards, kept, None, reason, True), None
        recording = _Recording(traced.result, inputs)
        floats = isinstance(numbers.key, int)
        return _Entry(
            Guards(self.function, kept, before=guards), kept, None if reason else recording, reason, floats=floats
        ), recording

    def _called(self, numbers: Numbers, row: Sequence[float]) -> Any:
        inputs = [Scalar(x) for x in row]
        args, kwargs = numbers.placed(inputs)
        return apart(lambda: (self.function(*args, **kwargs), inputs))

    def _itself(self, numbers: Numbers, row: Sequence[float]) -> _Recording:
        """A recording of the function at one input, for this input alone."""
        return _Recording(*self._called(numbers, row))

    def _at(
        self, recording: _Recording, numbers: tuple[Any, ...], asked: Any, inputs: Inputs
    ) -> tuple[Any, Any] | None:
        """(result, gradients) at one input; None unless ``numbers`` are floats, as many as were recorded."""
        if asked is None:
            return recording.at(numbers)
        outside, wrt, shaped = recording.wanted(asked, inputs)
        found = recording.at(numbers, wrt, outside)
        if found is None:
            return None
        self.wrt = tuple(outside)
        return found[0], shaped(found[1])

    def _lanes(
        self, recording: _Recording, numbers: Numbers, rows: np.ndarray, shape: tuple[int, ...], asked: Any
    ) -> tuple[Any, Any]:
        """(results, gradients) at many inputs, each number an array of the given shape."""
        if asked is None:
            return recording.result([x.reshape(shape) for x in recording.values(rows)]), None
        outside, wrt, shaped = recording.wanted(asked, numbers.inputs)
        values, slopes = recording.values_and_slopes(rows, outside)
        self.wrt = tuple(outside)
        result = recording.result([x.reshape(shape) for x in values])
        return result, shaped([slopes[:, k].reshape(shape) for k in wrt])


@dataclass
class _Entry:
    """One structure of arguments: its recording, or the ``reason`` why there is none.

    ``tensors``: it is not one of numbers; ``failed``: because it raised, and where it has been one before, that may
    pass; ``floats``: the arguments are the numbers, by position.
    """

    guards: Guards
    kept: tuple[Any, ...]
    recording: _Recording | None = None
    reason: str = ""
    tensors: bool = False
    failed: bool = False
    floats: bool = False


class _Recording:
    """A function's result on the Scalars ``inputs``, as programs of these."""

    def __init__(self, result: Any, inputs: list[Scalar]) -> None:
        self._leaves, self._rebuild = flatten(result)
        self._alone = isinstance(result, KINDS)
        self._inputs = inputs
        self._outputs = [x for x in self._leaves if isinstance(x, KINDS)]
        self.programs = [ScalarProgram.of(y, inputs) for y in self._outputs]
        self.outside = self.programs[0].outside if self.programs else []
        self._whole: tuple[Sequence[Scalar], ScalarProgram] | None = None

    def wanted(
        self, asked: Any, inputs: Inputs
    ) -> tuple[list[Scalar], tuple[int, ...], Callable[[Sequence[Any]], Any]]:
        """The Scalars from outside and the ``inputs`` (those outside come last) for a gradient, and its structure."""
        outside = asked if isinstance(asked, list) else self.outside if asked == "closed over" else []
        if outside or isinstance(asked, list):
            first = len(self._inputs)
            return outside, tuple(range(first, first + len(outside))), list
        return outside, *inputs(asked)

    def at(self, numbers: tuple[Any, ...], wrt: tuple[int, ...] | None = None, outside: Sequence[Scalar] = ()) -> Any:
        """(result, derivatives of its first number by the inputs ``wrt``) at one input; the Scalars ``outside`` come
        last in it.

        None unless ``numbers`` are floats, as many as were recorded.
        """
        if not self.programs:
            if wrt is not None:
                raise TypeError(
                    f"value_and_grad: the function returned a plain number at {list(numbers)}, whose gradient cannot "
                    "be known: float() and the functions of math leave the tape; use x.sin(), x.exp() ..., or "
                    "return 0 * x for a constant"
                )
            return self.result([]), None
        if outside:
            found = self._with(outside).at((*numbers, *[x.data for x in outside]), wrt)
        else:
            found = self.programs[0].at(numbers, wrt)
        if found is None or self._alone:
            return found
        value, slopes = found
        return self.result([value, *[p.at(numbers)[0] for p in self.programs[1:]]]), slopes  # type: ignore[index]

    def values(self, rows: np.ndarray) -> list[Any]:
        """The numbers among the results, for each of many inputs."""
        return [p(rows) for p in self.programs]

    def values_and_slopes(self, rows: np.ndarray, outside: Sequence[Scalar]) -> tuple[list[Any], np.ndarray]:
        """``values``, and the derivatives of the first by the inputs, then by the Scalars ``outside``."""
        rest = [p(rows) for p in self.programs[1:]]
        if not outside:
            value, slopes = self.programs[0].value_and_grad(rows)
        else:
            more = np.array([x.data for x in outside], rows.dtype)
            whole = np.concatenate([rows, np.broadcast_to(more, (*rows.shape[:-1], len(more)))], axis=-1)
            value, slopes = self._with(outside).value_and_grad(whole)
        return [value, *rest], slopes

    def _with(self, outside: Sequence[Scalar]) -> ScalarProgram:
        """The program of the first result with more inputs."""
        known = self._whole
        if (
            known is None
            or len(known[0]) != len(outside)
            or any(a is not b for a, b in zip(*(known[0], outside), strict=True))
        ):
            self._whole = known = (outside, ScalarProgram.of(self._outputs[0], [*self._inputs, *outside]))
        return known[1]

    def result(self, values: Sequence[Any]) -> Any:
        """The function's result with ``values`` in place of its Scalars."""
        waiting = iter(values)
        return self._rebuild([next(waiting) if isinstance(x, KINDS) else x for x in self._leaves])


def _of_tensors(result: Any) -> bool:
    """Whether a result holds anything but Scalars and plain numbers."""
    return not all(isinstance(x, (int, float, *KINDS)) for x in flatten(result)[0])


def _stacked(trees: list[Any], shape: tuple[int, ...]) -> Any:
    """Equal structures of numbers, one for each input, as one structure of arrays."""
    parts = [flatten(tree) for tree in trees]
    return parts[0][1]([np.reshape(column, shape) for column in zip(*[leaves for leaves, _ in parts], strict=True)])
