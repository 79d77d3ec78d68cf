"""A program for every size of the batch: three recordings with different batches, merged into one.

A line's shape and params are whole numbers that either stay as they are or grow evenly with the batch (``Size``); a
constant is an array, one number repeated (1 / N of a mean), an array that repeats itself along the batch (a mask), or
an arithmetic progression along one axis (the places of labels).  Two recordings decide what the numbers are, the third
proves it.  Whatever depends on the batch in another way is refused, with the line named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...program.program import Line, Program

BATCH = "batch"  # what the size is called in the file


@dataclass(frozen=True)
class Size:
    """base + times * batch, a whole number that is known when the file is run; ``times`` is not 0."""

    base: int
    times: int

    def __str__(self) -> str:
        product = BATCH if self.times == 1 else f"{self.times}*{BATCH}"
        return product if not self.base else f"{product} {'+' if self.base > 0 else '-'} {abs(self.base)}"

    def __add__(self, other: Any) -> Any:
        if isinstance(other, Size):
            return _size(self.base + other.base, self.times + other.times)
        return _size(self.base + other, self.times) if isinstance(other, int) else NotImplemented

    __radd__ = __add__

    def __neg__(self) -> Any:
        return _size(-self.base, -self.times)

    def __sub__(self, other: Any) -> Any:
        return self + (-other)

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __mul__(self, other: Any) -> Any:
        return _size(self.base * other, self.times * other) if isinstance(other, int) else NotImplemented

    __rmul__ = __mul__


Dim = int | Size
Dims = tuple[Dim, ...]


def known(n: Dim) -> int:
    """A size that is known when the file is written."""
    assert isinstance(n, int), f"{n} depends on the batch"
    return n


def _size(base: int, times: int) -> Dim:
    return Size(base, times) if times else base


@dataclass(frozen=True)
class Fill:
    """One number everywhere: ``base + times * batch``, or 1 over that (``inverse``), in an array of a shape with a
    dynamic size or with a dynamic number."""

    base: float
    times: float
    inverse: bool = False


@dataclass(frozen=True, eq=False)
class Repeated:
    """``part``, with size 1 along the axes that depend on the batch, repeated along these."""

    part: np.ndarray


@dataclass(frozen=True, eq=False)
class Ramp:
    """first + k * step for place k along ``axis``, the only one whose size depends on the batch."""

    axis: int
    first: np.ndarray
    step: np.ndarray


@dataclass
class Row:
    """A line of the merged program; ``value`` is an array, a ``Fill``, ``Repeated`` or a ``Ramp`` for a constant."""

    shape: Dims
    line: Line
    params: dict[str, Any]
    value: Any = None

    @property
    def name(self) -> str:
        """The primitive's name, or "" for a line that has none."""
        return self.line.primitive.name if self.line.primitive is not None else ""

    @property
    def dtype(self) -> np.dtype:
        return self.line.dtype

    @property
    def operands(self) -> tuple[int, ...]:
        return self.line.operands


@dataclass
class Merged:
    """Rows in the order of the program, and the numbers of those that are wanted."""

    rows: list[Row]
    outputs: list[int]


def merged(programs: Sequence[Program], batches: Sequence[int], operation: str) -> Merged:
    """The program for every batch, from one recording (a fixed size) or from three with these ``batches``.

    Raises ValueError that names the line which depends on the batch in another way than by a whole multiple.
    """
    first = programs[0]
    if len(programs) == 1:
        rows = [Row(x.shape, x, dict(x.params), x.value) for x in first.lines]
        return Merged(rows, list(first.outputs))
    merger = _Merger(tuple(batches), operation)
    for other, batch in zip(programs[1:], batches[1:], strict=True):
        _check_alike(first, other, batches[0], batch, operation)
    rows = []
    for number, lines in enumerate(zip(*[p.lines for p in programs], strict=True)):
        merger.at = first.text(number)
        rows.append(merger.row(lines))
    return Merged(rows, list(first.outputs))


def _check_alike(a: Program, b: Program, n: int, m: int, operation: str) -> None:
    for number, (x, y) in enumerate(zip(a.lines, b.lines, strict=False)):
        if (x.primitive, x.operands, x.argument, id(x.tensor)) != (y.primitive, y.operands, y.argument, id(y.tensor)):
            raise ValueError(
                f"{operation}: line {number} is {a.text(number)} for a batch of {n}, and {b.text(number)} for one of "
                f"{m}: what is calculated depends on the size of the batch; {FIXED}"
            )
    if len(a.lines) != len(b.lines) or a.outputs != b.outputs:
        raise ValueError(
            f"{operation}: {len(a.lines)} lines for a batch of {n}, {len(b.lines)} for one of {m}: what is calculated "
            f"depends on the size of the batch; {FIXED}"
        )


FIXED = "pass batch_axis=None for a file with the sizes of the example inputs"


class _Merger:
    """Three of everything made one; ``at`` is the line at work, for errors."""

    def __init__(self, batches: tuple[int, ...], operation: str) -> None:
        self.batches, self.operation, self.at = batches, operation, ""

    def row(self, lines: tuple[Line, ...]) -> Row:
        first = lines[0]
        shape = self.whole([x.shape for x in lines])
        params = {k: self.whole([x.params[k] for x in lines]) for k in first.params}
        values = [x.value for x in lines if x.value is not None]
        value = self.constant(values, shape) if values else None
        return Row(shape, first, params, value)

    def refuse(self, what: str) -> ValueError:
        return ValueError(
            f"{self.operation}: {what} in {self.at}, with batches of {', '.join(map(str, self.batches))}; a size must "
            f"be a fixed number plus a whole multiple of the batch; {FIXED}"
        )

    def whole(self, found: Sequence[Any]) -> Any:
        """Whole numbers, slices of them and nested tuples of these, as one."""
        first = found[0]
        if isinstance(first, tuple | list):
            if len({len(x) for x in found}) > 1:
                raise self.refuse(f"the number of sizes changes: {' / '.join(map(str, found))}")
            return tuple(self.whole(parts) for parts in zip(*found, strict=True))
        if isinstance(first, slice):
            return slice(*[self.whole([getattr(x, k) for x in found]) for k in ("start", "stop", "step")])
        if all(type(x) is type(first) and bool(np.all(x == first)) for x in found):
            return first
        if not all(isinstance(x, int | np.integer) for x in found):
            raise self.refuse(f"a setting changes: {' / '.join(map(str, found))}")
        (a, b, c), (n, m, k) = map(int, found), self.batches
        times, rest = divmod(b - a, m - n)
        if rest or a + times * (k - n) != c:
            raise self.refuse(f"a size is {a} / {b} / {c}")
        return _size(a - times * n, times)

    def constant(self, arrays: Sequence[np.ndarray], shape: Dims) -> Any:
        first = arrays[0]
        if all(x.shape == first.shape and _equal(x, first) for x in arrays):
            return first
        if all(x.size and _equal(x, np.broadcast_to(x.flat[0], x.shape)) for x in arrays):
            return self.fill([float(x.flat[0]) for x in arrays], first.dtype)
        axes = [i for i, n in enumerate(shape) if isinstance(n, Size)]
        part = first[tuple(slice(0, 1) if i in axes else slice(None) for i in range(first.ndim))]
        if axes and all(x.size and _equal(x, np.broadcast_to(part, x.shape)) for x in arrays):
            return Repeated(np.array(part))
        if len(axes) == 1:
            found = [_ramp(x, axes[0]) for x in arrays]
            ramps = [x for x in found if x is not None]
            first_ = ramps[0] if len(ramps) == len(found) else None
            if first_ and all(_equal(x.first, first_.first) and _equal(x.step, first_.step) for x in ramps):
                return first_
        raise ValueError(
            f"{self.operation}: a constant array of shape {tuple(map(str, shape))} has numbers for the example batch "
            f"alone ({self.at}); make it an input, or {FIXED}"
        )

    def fill(self, numbers: Sequence[float], dtype: np.dtype) -> Fill:
        if numbers[0] == numbers[1] == numbers[2] or all(x != x for x in numbers):
            return Fill(numbers[0], 0.0)
        close = 1e-12 if dtype.itemsize > 4 or dtype.kind != "f" else 2e-6 if dtype.itemsize == 4 else 2e-3
        n, m, k = self.batches
        for inverse in (False, True):
            with np.errstate(divide="ignore", invalid="ignore"):
                a, b, c = [float(np.divide(1.0, x)) if inverse else x for x in numbers]
            times = (b - a) / (m - n)
            if np.isfinite(times) and abs(a + times * (k - n) - c) <= close * abs(c):
                base = a - times * n
                return Fill(_snapped(base, close * abs(c)), _snapped(times, close * abs(c)), inverse)
        raise self.refuse(f"the number {' / '.join(map(str, numbers))}")


def _snapped(x: float, error: float) -> float:
    """The whole number that x is but for the rounding of the recorded ones."""
    return float(round(x)) if abs(x - round(x)) <= 10 * error + 1e-12 else x


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))


def _ramp(x: np.ndarray, axis: int) -> Ramp | None:
    """x as an arithmetic progression along ``axis``, exactly, if it is one."""
    if x.shape[axis] < 2 or x.dtype.kind not in "iuf":
        return None
    y = np.moveaxis(x, axis, 0)
    with np.errstate(invalid="ignore", over="ignore"):
        step = np.asarray(y[1] - y[0], x.dtype)
        places = np.arange(x.shape[axis]).astype(x.dtype).reshape((-1,) + (1,) * (y.ndim - 1))
        same = _equal(y[0] + places * step, y)
    return Ramp(axis, np.array(y[0]), step) if same else None
