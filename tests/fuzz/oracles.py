"""The oracles: each computes a program in another way and says how it differs from eager, "" if it does not.

    eager again       the same bits a second time
    machine           ac.compile: first call, second call (the recording replayed), value and gradient
    numpy plan        the same with AUTOCONV_NATIVE=0
    replay            Tape.run on the same inputs: the same bits
    replay of others  Tape.run on other inputs of the same shapes, against eager there
    scalars           ac.expand: every element a scalar, values and gradient
    jvp               <u, J v> = <J^T u, v>
    differences       the gradient along a direction against central differences
    hessian           u . (H v) = v . (H u)
    second order      a compiled gradient of a gradient against the eager one
    torch             the same program in PyTorch, where it is installed

The first six hold for all numbers.  The others are asked where all results are finite, and the differentials in
float64, where differences have digits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

import autoconv as ac

from . import torch_oracle
from .everyday import JUMPS
from .program import Program
from .rounding import DISTANCE, FEW, MANY, differs, spread


@dataclass(frozen=True)
class Mismatch:
    """``oracle`` differs from eager execution on ``program``."""

    program: Program
    oracle: str
    says: str

    def __str__(self) -> str:
        return f"# {self.oracle}: {self.says}\n{self.program.reproducer()}"


class Eager:
    """What eager execution says of a program: outputs, gradients, and how far rounding could move them."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.function = program.function()
        self.arguments = list(program.inputs.values())
        self.names = [*[f"result {i}" for i in range(len(program.outputs))], *[f"d/d{n}" for n in program.wrt]]
        self.lines, self.results = self.run(self.arguments)
        self.count = FEW  # runs with moved roundings

    def run(self, arguments: list[np.ndarray]) -> tuple[list[Any], list[Any]]:
        """(argument lines, results): the outputs, then the gradients of the first, all recorded on one tape."""
        lines = [ac.tensor(x) if x.dtype.kind == "f" else x for x in arguments]
        y = self.function(*lines)
        outputs = list(y) if isinstance(y, tuple) else [y]
        wrt = [lines[i] for i in self.program.places]
        return lines, [*outputs, *gradients(outputs[0], wrt)]

    @cached_property
    def values(self) -> list[np.ndarray]:
        return [plain(y) for y in self.results]

    @cached_property
    def tape(self) -> list[ac.Tensor]:
        """All lines, those of the gradients among them."""
        lines = [y for y in self.results if isinstance(y, ac.Tensor)]
        return list(ac.Tape(*lines)) if lines else []

    @cached_property
    def runs(self) -> list[list[np.ndarray]]:
        return spread(self.results, self.count)

    @cached_property
    def finite(self) -> bool:
        """All results and inputs finite and of a size whose products are."""
        small = [np.abs(x).max(initial=0) < 1e4 for x in self.arguments]
        return all(small) and all(np.isfinite(x).all() for x in self.values)

    @cached_property
    def smooth(self) -> bool:
        """Finite, float64 throughout: second derivatives and differences have digits."""
        kinds = {np.dtype(np.float64)}
        arrays = [*self.values, *[x for x in self.arguments if x.dtype.kind == "f"]]
        text = self.program.source()
        return self.finite and {x.dtype for x in arrays if x.dtype.kind == "f"} <= kinds and "astype" not in text

    def compare(self, results: list[Any], scale: float = 1.0, more: list[Any] | None = None) -> str:
        """How other results differ; "" if by no more than rounding (and ``more``, for each result)."""
        more = more or [0.0] * len(results)
        for name, y, expected, runs, m in zip(self.names, results, self.values, self.runs, more, strict=True):
            if says := differs(plain(y), expected, runs, scale, m):
                return f"{name}: {says}"
        return ""


def gradients(y: Any, wrt: list[ac.Tensor]) -> list[Any]:
    """The gradients of y as lines of its tape (a Tensor for a seed is recorded)."""
    if still(y) or not wrt:
        return [np.zeros(x.shape, x.dtype) for x in wrt]
    return ac.sweep(y, wrt, ac.tensor(np.ones((), y.dtype)))


def still(y: Any) -> bool:
    """Nothing that can be differentiated leads to y."""
    return not isinstance(y, ac.Tensor) or y.constant


def plain(y: Any) -> np.ndarray:
    return np.asarray(y.value if isinstance(y, ac.Tensor) else y)


def exactly(ys: list[Any], expected: list[Any], names: list[str]) -> str:
    """How bits differ (NaN equal to NaN, -0.0 to 0.0)."""
    for name, y, e in zip(names, ys, expected, strict=True):
        y, e = plain(y), plain(e)
        if y.shape != e.shape or y.dtype != e.dtype or not np.array_equal(y, e, equal_nan=e.dtype.kind == "f"):
            return f"{name}: {y.tolist()}, expected {e.tolist()}"
    return ""


# ---- other executions of the same lines


def eager_again(eager: Eager) -> str:
    return exactly(eager.run(eager.arguments)[1], eager.values, eager.names)


def compiled(eager: Eager) -> str:
    """Value and gradient, first and second call; then the value alone, which is another plan."""
    program = ac.compile(eager.function)
    for call in ("first call", "second call"):
        if says := eager.compare(value_and_grad(eager, program)):
            return f"{call}, {says}"
    for call in ("first call", "second call"):
        y = program(*eager.arguments)
        outputs = list(y) if isinstance(y, tuple) else [y]
        if says := eager.compare([*outputs, *eager.values[len(outputs) :]]):
            return f"without a gradient, {call}, {says}"
    return ""


def value_and_grad(eager: Eager, program: Any) -> list[Any]:
    if not eager.program.wrt or still(eager.results[0]):
        y = program(*eager.arguments)
        return [*(y if isinstance(y, tuple) else [y]), *eager.values[len(eager.program.outputs) :]]
    y, slopes = program.value_and_grad(*eager.arguments, wrt=eager.program.places)
    return [*(y if isinstance(y, tuple) else [y]), *slopes]


@contextmanager
def numpy_floor() -> Iterator[None]:
    """Plans that are made inside run in NumPy."""
    before = os.environ.get("AUTOCONV_NATIVE")
    os.environ["AUTOCONV_NATIVE"] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ["AUTOCONV_NATIVE"]
        else:
            os.environ["AUTOCONV_NATIVE"] = before


def numpy_plan(eager: Eager) -> str:
    with numpy_floor():
        return compiled(eager)


def tape_of(eager: Eager) -> tuple[ac.Tape, list[int]]:
    """The tape of all results that are lines, and their numbers."""
    # a constant, as an argmax is, was computed beside the tape; ac.compile notices that it was
    which = [i for i, y in enumerate(eager.results) if isinstance(y, ac.Tensor) and y.primitive is not None]
    return ac.Tape(*[eager.results[i] for i in which]), which


def replay(eager: Eager) -> str:
    tape, which = tape_of(eager)
    if not which:
        return ""
    given = {x: x.value for x in tape.inputs}
    return exactly(list(tape.run(given)), [eager.results[i] for i in which], [eager.names[i] for i in which])


def replay_of_others(eager: Eager) -> str:
    """The tape is valid for all inputs of its shapes."""
    tape, which = tape_of(eager)
    if not which:
        return ""
    rng = np.random.default_rng(0)
    others = [rng.permutation(x.ravel()).reshape(x.shape) if x.dtype.kind == "f" else x for x in eager.arguments]
    try:
        _, expected = eager.run(others)
    except ValueError:  # a matrix that is singular there
        return ""
    given = {line: x for line, x in zip(eager.lines, others, strict=True) if isinstance(line, ac.Tensor)}
    given = {line: given.get(line, line.value) for line in tape.inputs}
    return exactly(list(tape.run(given)), [expected[i] for i in which], [eager.names[i] for i in which])


def scalars(eager: Eager) -> str:
    """Every element a scalar of its own, with a local derivative for each operand."""
    y = eager.results[0]
    flat = ac.expand(y)
    slopes = flat.sweep()
    value = flat.value[flat.scalars(y)].astype(y.dtype)
    n = len(eager.program.outputs)
    results = [value, *eager.values[1:n], *of_lines(eager, flat, slopes)]
    if not eager.compare(results):
        return ""
    # the paths of a scalar are added one by one, where eager adds them line by line: g + g - g - g, not 2 (g - g)
    order = [float(np.finfo(x.dtype).eps) * x for x in of_lines(eager, flat, roundings(flat))]
    return eager.compare(results, more=[*[0.0] * n, *order])


def of_lines(eager: Eager, flat: Any, numbers: np.ndarray) -> list[np.ndarray]:
    """The numbers of the scalars of each input in ``wrt``; zeros where the result does not read them."""
    found = []
    for line in [eager.lines[i] for i in eager.program.places]:
        try:
            found.append(numbers[flat.scalars(line)].astype(line.dtype))
        except KeyError:
            found.append(np.zeros(line.shape, line.dtype))
    return found


def roundings(flat: Any) -> np.ndarray:
    """For every scalar how many eps its cotangent may be off by: of the sum over its paths of the absolute product of
    slopes (infinite ones left out) 8, and one for each reader; and what the readers are off by."""
    sizes, off = np.zeros((2, len(flat)))
    sizes[flat.output] = 1
    slopes = np.where(np.isfinite(flat.slope), np.abs(flat.slope), 0)
    readers = np.bincount(flat.operands, minlength=len(flat))
    for i in reversed(range(len(flat))):
        if sizes[i]:
            off[i] += (8 + readers[i]) * sizes[i]
            read = slice(flat.start[i], flat.start[i + 1])
            np.add.at(sizes, flat.operands[read], sizes[i] * slopes[read])
            np.add.at(off, flat.operands[read], off[i] * slopes[read])
    return off


# ---- differentials


def directions(eager: Eager, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=np.shape(eager.program.inputs[n])) for n in eager.program.wrt]


def of_wrt(eager: Eager) -> Callable[..., Any]:
    """The first result as a function of the inputs in ``wrt`` alone."""

    def f(*moved: Any) -> Any:
        given = dict(zip(eager.program.wrt, moved, strict=True))
        y = eager.function(*[given.get(n, x) for n, x in eager.program.inputs.items()])
        return y[0] if isinstance(y, tuple) else y

    return f


def starting(eager: Eager) -> tuple[np.ndarray, ...]:
    return tuple(eager.program.inputs[n] for n in eager.program.wrt)


def near(a: float, b: float, scale: float, eager: Eager) -> bool:
    """Equal but for rounding, whose size the four moved runs of the gradients tell.

    A moved run that leaves the domain ((-3) ** 2.0000001 is NaN) tells of no size: what it says is left out.
    """
    n = len(eager.program.outputs)
    moved = [np.abs(r - e).sum() for e, runs in zip(eager.values[n:], eager.runs[n:], strict=True) for r in runs]
    noise = sum(size for size in moved if not np.isnan(size))
    return abs(a - b) <= 1e-9 * scale + 1e3 * noise + 1e-12


def jvp(eager: Eager) -> str:
    v = directions(eager, 1)
    x = starting(eager)
    _, forward = ac.jvp(of_wrt(eager), x if len(x) > 1 else x[0], tuple(v) if len(x) > 1 else v[0])
    slopes = eager.values[len(eager.program.outputs) :]
    backward = sum(float((g * d).sum()) for g, d in zip(slopes, v, strict=True))
    scale = sum(float(np.abs(g * d).sum()) for g, d in zip(slopes, v, strict=True))
    forward = float(plain(forward))
    return "" if near(forward, backward, scale, eager) else f"J v = {forward!r}, gradient . v = {backward!r}"


def differences(eager: Eager) -> str:
    """Central differences with three steps; where these or the two sides disagree is a kink, and nothing is said."""
    if not continuous(eager):
        return ""
    f, x = of_wrt(eager), starting(eager)
    v = directions(eager, 2)
    slopes = eager.values[len(eager.program.outputs) :]
    expected = sum(float((g * d).sum()) for g, d in zip(slopes, v, strict=True))
    scale = sum(float(np.abs(g * d).sum()) for g, d in zip(slopes, v, strict=True)) + abs(float(eager.values[0])) + 1e-3
    found, here = [], float(eager.values[0])
    for h in (1e-5, 2.5e-6, 1e-6):
        up, down = (float(plain(f(*[a + s * h * d for a, d in zip(x, v, strict=True)]))) for s in (1, -1))
        found.append((up - down) / (2 * h))
    if abs(up + down - 2 * here) > 5e-5 * scale * h:
        return ""  # the two sides have slopes of their own: a kink
    uncertain = max(found) - min(found)
    if not np.isfinite(uncertain) or uncertain > 1e-5 * scale:
        return ""
    if uncertain > 0.05 * max(map(abs, found)) + 1e-6 * (1 + abs(here)):
        return ""  # a step is longer than the function is straight: 1/x within 1e-6 of 0
    return (
        ""
        if abs(found[1] - expected) <= 1e-4 * scale + 20 * uncertain
        else f"differences {found}, gradient {expected!r}"
    )


def continuous(eager: Eager) -> bool:
    """Nothing is chosen at a single point (==, or a number as a condition), and no gradient is held back on purpose."""
    source = eager.program.source()
    conditions = [s.operands[0] for s in eager.program.steps if s.operation == "ac.where"]
    compared = {s.result for s in eager.program.steps if s.operation in ("<", "<=", ">", ">=")}
    held = any(w in source for w in ("stop_gradient", "ac.sign("))
    jumps = {f"ac.{name}" for name in JUMPS.split()} & {s.operation for s in eager.program.steps}
    return not held and not jumps and set(conditions) <= compared


def flat_function(eager: Eager) -> tuple[Callable[[Any], Any], np.ndarray]:
    """The first result as a function of one long vector, the inputs end to end; and that vector."""
    x = starting(eager)
    ends = np.cumsum([0, *[a.size for a in x]])

    def g(z: Any) -> Any:
        return of_wrt(eager)(*[ac.reshape(z[i:j], a.shape) for a, i, j in zip(x, ends, ends[1:], strict=False)])

    return g, np.concatenate([a.ravel() for a in x])


def hessian(eager: Eager) -> str:
    g, z = flat_function(eager)
    u, v = np.random.default_rng(3).normal(size=(2, z.size))
    line = ac.tensor(z)
    hu, hv = ac.hvp(g, line, u), ac.hvp(g, line, v)
    if not (np.isfinite(plain(hu)).all() and np.isfinite(plain(hv)).all()):
        same = np.array_equal(np.isfinite(plain(hu)), np.isfinite(plain(hv)))
        return "" if same else f"H u = {hu}, H v = {hv}"
    # what rounding can do to the two: 1 - y of a saturated softmax has few digits, and each loses others
    sides = [ac.sum(hu * v), ac.sum(hv * u)]
    a, b = (float(plain(side)) for side in sides)
    moved_a, moved_b = (np.asarray(runs) for runs in spread(sides, eager.count))
    noise = float(np.abs(moved_a - a).max() + np.abs(moved_b - b).max())
    size = float(np.abs(plain(hu) * v).sum() + np.abs(plain(hv) * u).sum())
    far = abs(a - b) > 1e-9 * size + 1e-10 + DISTANCE * noise
    return f"v . H u = {a!r}, u . H v = {b!r}, to within {DISTANCE * noise:.2g}" if far else ""


def second_order(eager: Eager) -> str:
    """A gradient is a program too: compiled, differentiated again, and compared with eager."""
    g, z = flat_function(eager)
    v = np.random.default_rng(4).normal(size=z.size)

    def along(z: Any) -> Any:
        return ac.sum(ac.grad(g)(z) * v)

    line = ac.tensor(z)
    y = along(line)
    if still(y):
        return ""
    expected = [y, *ac.sweep(y, [line], ac.tensor(np.ones(())))]
    if not all(np.isfinite(plain(e)).all() for e in expected):
        return ""
    runs = spread(expected, eager.count)
    program = ac.compile(along)
    for call in ("first call", "second call"):
        value, slope = program.value_and_grad(z, wrt=0)
        for name, a, e, r in zip(("value", "gradient"), (value, slope), expected, runs, strict=True):
            if says := differs(plain(a), plain(e), r, 4.0):
                return f"{call}, {name}: {says}"
    return ""


def torch(eager: Eager) -> str:
    return torch_oracle.compare(eager)


def always(eager: Eager) -> bool:
    return True


def scalar_sized(eager: Eager) -> bool:
    """Halves are computed by scalars in double precision, and large programs take long."""
    dtypes = {x.dtype for x in [*eager.values, *eager.arguments] if x.dtype.kind == "f"}
    if still(eager.results[0]):
        return False
    tape = list(ac.Tape(eager.results[0]))
    return (
        np.dtype(np.float16) not in dtypes
        and "astype" not in eager.program.source()
        and sum(y.size for y in tape) < 5000
    )


def differentiable(eager: Eager) -> bool:
    return eager.smooth and bool(eager.program.wrt) and not still(eager.results[0])


# name, what it does, where it is asked
ORACLES: list[tuple[str, Callable[[Eager], str], Callable[[Eager], bool]]] = [
    ("eager again", eager_again, always),
    ("machine", compiled, always),
    ("numpy plan", numpy_plan, always),
    ("replay", replay, always),
    ("replay of others", replay_of_others, always),
    ("scalars", scalars, scalar_sized),
    ("jvp", jvp, differentiable),
    ("differences", differences, differentiable),
    ("hessian", hessian, differentiable),
    ("second order", second_order, differentiable),
    ("torch", torch, torch_oracle.knows),
]


def answer(oracle: Callable[[Eager], str], eager: Eager) -> str:
    try:
        return oracle(eager)
    except Exception as error:
        return f"raises {type(error).__name__}: {error}"


def check(program: Program, only: str | None = None) -> list[Mismatch]:
    """Every oracle (or ``only`` one) on a program.  An exception that eager does not raise is a mismatch as well."""
    with np.errstate(all="ignore"):
        try:
            eager = Eager(program)
            eager.values, eager.runs  # noqa: B018
        except Exception as error:
            # the generator asked the same of plain values, so the gradient has raised
            return (
                [Mismatch(program, "gradient", f"raises {type(error).__name__}: {error}")]
                if only in (None, "gradient")
                else []
            )
        found = []
        for name, oracle, asked in ORACLES:
            if only not in (None, name) or not asked(eager):
                continue
            says = answer(oracle, eager)
            if says and eager.count == FEW:
                eager.count = MANY
                del eager.runs
                says = answer(oracle, eager)
            if says:
                found.append(Mismatch(program, name, says))
        return found
