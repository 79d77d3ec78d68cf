"""Scalar programs: a function of Scalars recorded once, then run on other inputs without Python.

The flat tape of the recording becomes a list of steps on registers for the compiled extension (``native/replay.c``):
one input runs in double precision, many run side by side in vector lanes, in float64 or float32.  Without the
extension the rows of the table run in NumPy, level by level, on all inputs at once; so does a program with a row that
the extension has no rule for.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import recording
from .blocks import CONSTANT, Array
from .expand import expand
from .floors import KINDS, Scalar, native
from .header import FORMS
from .rules import ADD, CODES, COMPILED, MAX_FIRST, MUL, OPERATIONS, SUB
from .tape import FlatTape, slopes

# Steps of native/replay.c that have a number as operand (in a program that the extension runs, no row has these codes).
STEPS = {form: COMPILED + k for k, form in enumerate(FORMS)}
ADD_NUMBER, MUL_NUMBER, SQUARE, RELU = [STEPS[form] for form in ("ADD_NUMBER", "MUL_NUMBER", "SQUARE", "RELU")]
NUMBER_RIGHT, NUMBER_LEFT = (
    {CODES[row]: STEPS[form] for form, (row, side) in FORMS.items() if side == which} for which in ("right", "left")
)
NUMBER_RIGHT |= {SUB: ADD_NUMBER}  # x - c = x + (-c)
NUMBER_LEFT |= {ADD: ADD_NUMBER, MUL: MUL_NUMBER}
POWER_NUMBER = STEPS["POWER_NUMBER"]

DOUBLE, SINGLE = np.dtype(np.float64), np.dtype(np.float32)

REFUSED = (
    "a value was read while a scalar program is recorded (a comparison, bool(), float(), int(), .data or max() of "
    "Scalars): the program would keep this outcome for every other input; write x.maximum(y), x.minimum(y), abs(x) or "
    "x.relu() instead of a branch, or run the function itself"
)
_recording = threading.RLock()


class ScalarProgram:
    """``f`` of ``n_inputs`` Scalars, recorded once.

    ``program(xs)`` is f(*xs) for xs of shape (n_inputs,), and the values (N,) for xs (N, n_inputs);
    ``program.value_and_grad(xs)`` has df/dx_k beside them, in the shape of xs.  float32 inputs run in float32, all
    others in float64.  Scalars that f reads from outside (``outside``) are read anew at each call; no gradient is
    given for them. Raises TypeError if f reads values of its Scalars (a branch would hold for one input only) or
    returns no Scalar.
    """

    def __init__(self, f: Callable[..., Any], n_inputs: int) -> None:
        inputs = [Scalar(0.5) for _ in range(n_inputs)]
        y = recorded(f, inputs)
        if not isinstance(y, KINDS):
            raise TypeError(
                f"ScalarProgram: f returned {type(y).__name__}; it must return one Scalar, computed from its inputs"
            )
        self._plan(y, inputs)

    @classmethod
    def of(cls, y: Scalar, inputs: Sequence[Scalar]) -> ScalarProgram:
        """The program of a recorded Scalar as a function of ``inputs``, Scalars that it was computed from."""
        made = cls.__new__(cls)
        made._plan(y, inputs)
        return made

    def _plan(self, y: Scalar, inputs: Sequence[Scalar]) -> None:
        self.n_inputs = len(inputs)
        flat = expand(y)
        number = {id(x): k for k, x in enumerate(inputs)}
        leaves = flat.inputs.tolist()
        columns = {i: number[id(flat.leaves[i])] for i in leaves if id(flat.leaves[i]) in number}
        shared = {i: flat.leaves[i] for i in leaves if i not in columns}
        self.outside = list(shared.values())
        self.count = flat.count
        known = bool((np.isin(flat.operation, range(COMPILED, len(OPERATIONS)), invert=True)).all())
        self.compiled = native() is not None and known
        self._run: Any = (_Compiled if self.compiled else _Levels)(flat, self.n_inputs, columns, shared)

    def __call__(self, xs: Any) -> Any:
        """f at xs, or at each row of xs.  Raises ValueError for another number of inputs."""
        return self._at(xs, gradient=False)[0]

    def value_and_grad(self, xs: Any) -> tuple[Any, Array]:
        """(f, df/dxs) at xs, or at each row of xs."""
        return self._at(xs, gradient=True)

    def at(
        self, numbers: tuple[Any, ...], wrt: tuple[int, ...] | None = None
    ) -> tuple[float, tuple[float, ...] | None] | None:
        """(f, df/dx_k for k in ``wrt``) at one input, without arrays; None unless ``numbers`` are floats, n_inputs of
        them."""
        return self._run.at(numbers, wrt)

    def _at(self, xs: Any, gradient: bool) -> tuple[Any, Any]:
        given = np.asarray(xs)
        if given.dtype == DOUBLE and given.shape == (self.n_inputs,):
            return self._run(np.ascontiguousarray(given), None, gradient)
        if given.dtype.kind not in "fiub":
            raise TypeError(f"ScalarProgram: inputs of dtype {given.dtype}; give real numbers")
        if given.ndim not in (1, 2) or given.shape[-1] != self.n_inputs:
            raise ValueError(
                f"ScalarProgram: inputs of shape {given.shape}; give ({self.n_inputs},) or (N, {self.n_inputs}), "
                "one number for each argument"
            )
        dtype = SINGLE if given.dtype == SINGLE else DOUBLE
        if given.ndim == 1:
            value, slopes_of_one = self._at(given.astype(DOUBLE), gradient)
            return float(dtype.type(value)), slopes_of_one.astype(dtype, copy=False) if gradient else None
        return self._run(np.ascontiguousarray(given, dtype), len(given), gradient)


def recorded(f: Callable[..., Any], inputs: Sequence[Scalar]) -> Any:
    """f(*inputs), with every value refused that would leave the tape: a TypeError with the text REFUSED."""
    watch = native().watch if native() else recording.watch
    with _recording:
        before = watch(REFUSED)
        try:
            return f(*inputs)
        finally:
            watch(before)


class _Compiled:
    """The program in the extension.  Registers: constants and Scalars from outside, inputs, one for each operation."""

    def __init__(self, flat: FlatTape, n_inputs: int, columns: dict[int, int], shared: dict[int, Scalar]) -> None:
        code, a, b, numbers = _steps(flat)
        constant, steps = _constant(flat), np.flatnonzero(np.diff(flat.start))
        read = np.zeros(len(flat), bool)
        read[a[steps]] = read[b[steps]] = read[flat.output] = True
        kept = np.flatnonzero(read & constant)
        self.constants, self.shared = flat.value[kept].tobytes(), list(shared.values())
        own, known = len(kept), len(kept) + len(shared)
        first = known + n_inputs
        register = np.zeros(len(flat), np.int32)
        register[kept] = np.arange(own)
        register[list(shared)] = np.arange(own, known)
        register[list(columns)] = known + np.array(list(columns.values()), np.int32)
        register[steps] = np.arange(first, first + len(steps))
        operands = (register[side[steps]].tobytes() for side in (a, b))
        self.program = native().Program(
            known,
            n_inputs,
            int(register[flat.output]),
            code[steps].astype(np.uint8).tobytes(),
            *operands,
            numbers[steps].tobytes(),
        )

    def __call__(self, rows: Array, count: int | None, gradient: bool) -> tuple[Any, Array | None]:
        """Values (count,) for rows (count, n_inputs), or (None) one for (n_inputs,); gradients in the shape of
        ``rows``."""
        constants = self._constants()
        gradients = np.empty(rows.shape, rows.dtype) if gradient else None
        if count is None:
            return self.program.run(constants, rows, None, gradients, False), gradients
        values = np.empty(count, rows.dtype)
        self.program.run(constants, rows, values, gradients, rows.itemsize == SINGLE.itemsize)
        return values, gradients

    def at(self, numbers: tuple[Any, ...], wrt: tuple[int, ...] | None) -> Any:
        return self.program.at(self._constants(), numbers, wrt)

    def _constants(self) -> bytes:
        """The numbers of the recording, and those that the Scalars from outside have now."""
        return self.constants + array("d", [x._v for x in self.shared]).tobytes() if self.shared else self.constants


def _constant(flat: FlatTape) -> Array:
    """A mark for each scalar that is a number."""
    return np.array([operation is CONSTANT for operation in flat.operations])[flat.operation]


def _steps(flat: FlatTape) -> tuple[Array, Array, Array, Array]:
    """Code, operands and number of each scalar's step; a constant operand moves into the step where there is a form for
    it."""
    code, start, operands = flat.operation.astype(np.int64), flat.start[:-1], np.append(flat.operands, [0, 0])
    arity = np.diff(flat.start)
    a = np.where(arity > 0, operands[start], 0)
    b = np.where(arity > 1, operands[start + 1], a)
    constant, numbers = _constant(flat), np.zeros(len(flat))
    right, left = (arity > 1) & constant[b], (arity > 1) & constant[a]
    made = code.copy()
    for side, other, forms in ((right, b, NUMBER_RIGHT), (left, a, NUMBER_LEFT)):
        for old, new in forms.items():
            here = side & (code == old)
            numbers[here] = flat.value[other[here]] * (-1.0 if old == SUB and new == ADD_NUMBER else 1.0)
            made[here] = new
    made[(made == POWER_NUMBER) & (numbers == 2)] = SQUARE
    made[left & (code == MAX_FIRST) & (flat.value[a] == 0)] = RELU
    moved = made != code
    a = np.where(moved & left, b, a)
    return made, a, np.where(moved, a, b), numbers


class _Levels:
    """The program in NumPy: operations of one kind and depth together, on all inputs at once, by the rows of the
    table."""

    def __init__(self, flat: FlatTape, n_inputs: int, columns: dict[int, int], shared: dict[int, Scalar]) -> None:
        self.flat, self.n_inputs, self.columns, self.shared = flat, n_inputs, columns, shared
        start, operands, code = flat.start.tolist(), flat.operands.tolist(), flat.operation.tolist()
        depth = [0] * len(flat)
        groups: dict[tuple[int, int], list[int]] = {}
        for i in range(len(flat)):
            reads = operands[start[i] : start[i + 1]]
            if reads:
                depth[i] = 1 + max(depth[j] for j in reads)
                groups.setdefault((depth[i], code[i]), []).append(i)
        self.groups = [(flat.operations[k], np.array(groups[d, k])) for d, k in sorted(groups)]

    def __call__(self, rows: Array, count: int | None, gradient: bool) -> tuple[Any, Array | None]:
        if count is None:
            values, gradients = self(rows[None], 1, gradient)
            return values.item(), gradients[0] if gradients is not None else None
        flat, output = self.flat, int(self.flat.output)
        value = np.repeat(flat.value.astype(rows.dtype)[:, None], count, axis=1)
        for i, x in self.shared.items():
            value[i] = x._v
        for i, k in self.columns.items():
            value[i] = rows[:, k]
        with np.errstate(all="ignore"):
            for operation, which in self.groups:
                primitive: Any = operation.primitive
                value[which] = primitive.forward(*self._operands(value, operation.arity, which), **operation.params)
            if not gradient:
                return value[output], None
            g = np.zeros_like(value)
            g[output] = 1
            for operation, which in reversed(self.groups):
                self._pull(g, value, operation, which)
        gradients = np.zeros_like(rows)
        for i, k in self.columns.items():
            gradients[:, k] += g[i]
        return value[output], gradients

    def at(self, numbers: tuple[Any, ...], wrt: tuple[int, ...] | None) -> Any:
        if len(numbers) != self.n_inputs or not all(type(x) is float for x in numbers):
            return None
        value, gradients = self(np.array(numbers, DOUBLE), None, wrt is not None)
        slopes = None if gradients is None else gradients.ravel().tolist()
        return value, None if slopes is None else tuple(slopes[k] for k in wrt or ())

    def _operands(self, value: Array, arity: int, which: Array) -> list[Array]:
        return [value[self.flat.operands[self.flat.start[which] + k]] for k in range(arity)]

    def _pull(self, g: Array, value: Array, operation: Any, which: Array) -> None:
        """Add to the cotangents of the operands; one that is 0 passes nothing on,
        nor does a slope of 0 that was chosen."""
        here = g[which]
        one = np.ones_like(here)
        found = slopes(
            operation.primitive, operation.params, one, value[which], self._operands(value, operation.arity, which)
        )
        for k, slope in enumerate(found):
            nothing = (here == 0) | (slope == 0) if operation.primitive.masks else here == 0
            passed = np.where(nothing, 0, here * slope)
            np.add.at(g, self.flat.operands[self.flat.start[which] + k], passed)
