"""Is the gradient right?  Finite differences to any order, and the adjoint test for linear maps.

The oracle of the tests, and of anyone who writes a row or a composition.  A difference is named, never just "False":
the argument, the element, both numbers and the step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .backward import sweep
from .functional.reduce import sum
from .operands import generator, numbers, real
from .shapes import shown, whole_number
from .tape import Tensor, tensor
from .transforms import grad


@dataclass(frozen=True)
class Difference:
    """One element at which the sweep and the finite difference were compared."""

    order: int
    argument: int
    index: tuple[int, ...]
    gradient: float
    finite_difference: float
    step: float
    tolerance: float
    slopes: tuple[float, float]

    @property
    def error(self) -> float:
        return abs(self.gradient - self.finite_difference)

    @property
    def wrong(self) -> bool:
        return not self.error <= self.tolerance

    def __str__(self) -> str:
        where = f"argument {self.argument}" + (f", element [{', '.join(map(str, self.index))}]" if self.index else "")
        text = (
            f"order {self.order}, {where}: the sweep gives {self.gradient:.12g}, "
            f"the central difference with step {self.step:.3g} gives "
            f"{self.finite_difference:.12g}; they differ by {self.error:.3g}, more than {self.tolerance:.3g}"
        )
        left, right = self.slopes
        if abs(left - right) > 0.01 * max(abs(left), abs(right), 1e-3):
            text += (
                f" (the slopes to the left, {left:.6g}, and to the right, {right:.6g}, differ: "
                "a kink may lie within the step, move the point)"
            )
        return text


@dataclass(frozen=True)
class Report:
    """What ``check_grads`` compared; true if everything agreed."""

    compared: int
    order: int
    worst: Difference | None

    def __bool__(self) -> bool:
        return self.worst is None or not self.worst.wrong

    def __str__(self) -> str:
        if self and self.worst is None:
            return "nothing to compare: the arguments have no elements"
        if self:
            largest = self.worst.error  # type: ignore[union-attr]
            return f"{self.compared} elements agree to order {self.order}; the largest difference is {largest:.3g}"
        return str(self.worst)


class GradientError(AssertionError):
    """A gradient that finite differences contradict; ``report`` has the numbers."""

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report


def check_grads(
    f: Callable[..., Any],
    *args: Any,
    order: int = 2,
    step: float = 1e-3,
    rtol: float = 1e-6,
    atol: float = 1e-8,
    elements: int = 200,
    seed: int = 0,
) -> Report:
    """Compare the derivatives of f at ``args`` with finite differences, up to ``order``;
    GradientError names the worst element.

    For a random cotangent v, d/dx_i sum(v * f(x)) by the sweep against the five-point central difference (8 (phi(h) -
    phi(-h)) - (phi(2h) - phi(-2h))) / 12 h, in float64, h = step * max(1, |x_i|) (Fornberg, 1988); the second order
    does the same to the gradient, and so on.  At most ``elements`` elements of an argument are tried, drawn with
    ``seed``.  f must be smooth within two steps of the point.  Raises TypeError for arguments that are not floating
    point.

    >>> bool(ac.check_grads(lambda x: ac.sum(x * ac.sin(x)), np.array([0.3, 1.2])))
    True
    >>> ac.check_grads(lambda x: ac.sum(ac.stop_gradient(x) * x), np.array([0.5]))
    Traceback (most recent call last):
        ...
    autoconv.gradcheck.GradientError: order 2, argument 0, element [0]: the sweep gives 0, the central difference ...
    """
    if not callable(f):
        raise TypeError(f"check_grads: the function must be callable, found {shown(f)}")
    whole_number(order, "check_grads: order", 1)
    whole_number(elements, "check_grads: elements", 1)
    real(step, "check_grads: step", above=0)
    real(rtol, "check_grads: rtol", low=0)
    real(atol, "check_grads: atol", low=0)
    rng = generator(seed, "check_grads: seed")
    arrays = [x.value if isinstance(x, Tensor) else numbers(x, "check_grads: an argument") for x in args]
    points = [x.astype(float) if x.dtype.kind == "f" else _not_float(x) for x in arrays]
    found: list[Difference] = []
    g = f
    for level in range(1, order + 1):
        phi = _weighted(g, points, rng)
        found += _compare(phi, points, level, step, rtol, atol, elements, rng)
        g = _all_gradients(phi, len(points))
    ranked = sorted(found, key=lambda d: (d.wrong, d.error / d.tolerance if np.isfinite(d.error) else np.inf))
    report = Report(len(found), order, ranked[-1] if ranked else None)
    if not report:
        raise GradientError(report)
    return report


def _not_float(x: Any) -> Any:
    raise TypeError(
        f"check_grads: an argument has dtype {np.asarray(x).dtype}; "
        "finite differences need floating point: convert it, as in x.astype(float)"
    )


def _weighted(f: Callable[..., Any], points: list[Any], rng: np.random.Generator) -> Callable[..., Any]:
    """phi(x) = sum over all outputs of v * f(x), v random and fixed."""
    outputs = f(*points)
    weights = [rng.uniform(0.5, 1.5, np.shape(y)) for y in (outputs if isinstance(outputs, tuple) else (outputs,))]

    def phi(*xs: Any) -> Any:
        ys = f(*xs)
        total: Any = 0.0
        for y, v in zip(ys if isinstance(ys, tuple) else (ys,), weights, strict=True):
            total = total + sum(y * v)
        return total

    return phi


def _all_gradients(phi: Callable[..., Any], count: int) -> Callable[..., Any]:
    return lambda *xs: tuple(grad(phi, argnums=tuple(range(count)))(*xs))


def _compare(
    phi: Callable[..., Any],
    points: list[Any],
    order: int,
    step: float,
    rtol: float,
    atol: float,
    elements: int,
    rng: np.random.Generator,
) -> list[Difference]:
    gradients = _all_gradients(phi, len(points))(*points)
    scale = max([float(np.abs(g).max()) for g in gradients if g.size], default=0.0)
    found = []
    for number, (x, gradient) in enumerate(zip(points, gradients, strict=True)):
        tried = range(x.size) if x.size <= elements else np.sort(rng.choice(x.size, elements, replace=False))
        for flat in tried:
            index = tuple(map(int, np.unravel_index(flat, x.shape)))
            h = step * max(1.0, abs(float(x[index])))

            def at(multiple: int, number: int = number, index: tuple[int, ...] = index, h: float = h) -> float:
                moved = [p.copy() for p in points]
                moved[number][index] += multiple * h
                return float(np.asarray(phi(*moved)))

            near, far, middle = (at(1), at(-1)), (at(2), at(-2)), at(0)
            difference = (8 * (near[0] - near[1]) - (far[0] - far[1])) / (12 * h)
            slopes = ((middle - near[1]) / h, (near[0] - middle) / h)
            tolerance = atol + rtol * max(abs(difference), scale)
            found.append(Difference(order, number, index, float(gradient[index]), difference, h, tolerance, slopes))
    return found


def adjoint_products(f: Callable[..., Any], x: Any, y_bar: Any) -> tuple[Any, Any]:
    """(<A x, y_bar>, <x, A* y_bar>) for a linear map A = f and its adjoint, the sweep: equal,
    and exactly so on integers.

    Unlike finite differences this test has no step and no rounding (Claerbout, "Earth soundings analysis", 1992).
    """
    line = x if isinstance(x, Tensor) else tensor(np.asarray(x, dtype=float))
    y = f(line)
    (x_bar,) = sweep(y, [line], np.asarray(y_bar))
    return np.sum(y.value * np.asarray(y_bar)), np.sum(line.value * x_bar)
