"""The slope of another function, where a step works element by element: an activation, as a row or as a call.

    x_bar = g s(x, y)      s: the slope of a known function, a value in its place, two numbers, or a mask

with s found from the numbers; a mask may have any threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ...tape import Tensor
from ..run.calls import WRITTEN
from ..run.replay import Run
from .fitted import Found, contributed, line_at, said, solved
from .search import Search

Array = Any
Slope = Callable[[Array, Array], Array]  # of x and y
ANOTHER = "the slope of another activation"
THRESHOLD = "a mask with another threshold"
VALUE = "a value instead of the derivative"
STEPS = 20  # that are looked at


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


SLOPES: dict[str, Callable[[Array], Array]] = {
    "the sigmoid": lambda x: _sigmoid(x) * (1 - _sigmoid(x)),
    "the tanh": lambda x: 1 - np.tanh(x) ** 2,
    "the softplus": _sigmoid,
    "the silu": lambda x: _sigmoid(x) * (1 + x * (1 - _sigmoid(x))),
    "the elu": lambda x: np.where(x > 0, 1, np.exp(x)),
    "the exponential": np.exp,
    "the square": lambda x: 2 * x,
    "the sine": np.cos,
    "the logarithm": lambda x: 1 / x,
    "x / (1 + |x|)": lambda x: 1 / (1 + np.abs(x)) ** 2,
}
_VALUES: dict[str, Slope] = {
    "the input x": lambda x, y: x,
    "the output y": lambda x, y: y,
    "1 - y": lambda x, y: 1 - y,
    "1 + y": lambda x, y: 1 + y,
    "y (1 + y)": lambda x, y: y * (1 + y),
    "y (1 - y)": lambda x, y: y * (1 - y),
    "1 - y^2": lambda x, y: 1 - y**2,
    "y^2": lambda x, y: y**2,
    "x (1 - x)": lambda x, y: x * (1 - x),
    "1 - x^2": lambda x, y: 1 - x**2,
    "e^-x": lambda x, y: np.exp(-x),
    "y / x": lambda x, y: y / x,
    "1 - y / x": lambda x, y: 1 - y / x,
    "y + y / x (1 - y)": lambda x, y: y + y / x * (1 - y),
}


HINTS = {
    ANOTHER: "Which slope has the forward on each side of 0, and in between?",
    THRESHOLD: "Which elements of the input change the output?",
    VALUE: "What is the derivative of the forward, worked out?",
}


class _Step(NamedTuple):
    """A step that works element by element, from x to y: its name, its slope."""

    x: Tensor
    y: Tensor
    name: str
    slope: Array


def _steps(run: Run) -> Iterator[_Step]:
    for call in run.calls:
        if call.x.shape == call.y.shape and call.x.size > 1 and call.elementwise and not _weighed(run, call.y):
            name = said(run, run.position(call.y)) if call.name == WRITTEN else call.name
            yield _Step(call.x, call.y, name, call.pull(np.ones(call.y.shape)))
    for step in run.steps:
        line, primitive = step.line, step.line.primitive
        varying = [k for k, x in enumerate(line.operands) if not x.constant]
        if primitive is None or not primitive.elementwise or len(varying) != 1 or not primitive.bends:
            continue
        x = line.operands[varying[0]]
        if varying[0] not in primitive.linear and x.shape == line.shape and x.size > 1:
            yield _Step(x, line, said(run, run.position(line)), run.site(line, varying[0]).slope)


def _weighed(run: Run, y: Tensor) -> bool:
    """Whether y is a product with constants that is but summed for the loss."""
    return run.weighed(y) and y.primitive is not None and y.primitive.name == "mul"


def slopes(search: Search) -> Iterator[Found]:
    """The steps whose slope is another one in the claim."""
    run = search.runs[0]
    for number, step in enumerate(_steps(run)):
        if number >= STEPS or id(step.y) not in run.cotangent:
            continue
        with np.errstate(all="ignore"):
            yield from _two_sided(search, step)
            yield from _known(search, step)
            yield from _threshold(search, step)


def two_sided(search: Search) -> Iterator[Found]:
    """Those alone whose slope is one number for positive inputs, and another for negative."""
    for number, step in enumerate(_steps(search.runs[0])):
        if number < STEPS and id(step.y) in search.runs[0].cotangent:
            yield from _two_sided(search, step)


def _known(search: Search, step: _Step) -> Iterator[Found]:
    run, g = search.runs[0], search.runs[0].cotangent[id(step.y)]
    at = run.position(step.x), run.position(step.y)
    for words, of in _functions(step):
        made = of(step.x.value, step.y.value)
        delta = g * (made - step.slope)
        if not np.isfinite(delta).all() or np.allclose(made, step.slope, rtol=1e-9, atol=1e-12):
            continue
        if search.probes.exact(search.probes.base, step.x, delta, np.ones(1)):
            name = VALUE if words in _VALUES else ANOTHER
            says = f"the slope of {step.name} is {'' if words in _VALUES else 'that of '}{words} in your numbers"
            yield Found(name, says, at[1], partial(_with_slope, at, of))


def _functions(step: _Step) -> Iterator[tuple[str, Slope]]:
    known = {words: partial(_of_input, slope) for words, slope in SLOPES.items()} | _VALUES
    yield from known.items()
    for words, slope in known.items():
        yield f"{words} where the input is negative, and 1 elsewhere", partial(_below, slope)


def _of_input(slope: Callable[[Array], Array], x: Array, y: Array) -> Array:
    return slope(x)


def _below(slope: Slope, x: Array, y: Array) -> Array:
    return np.where(x > 0, 1, slope(x, y))


def _sides(above: float, below: float, x: Array, y: Array) -> Array:
    return np.where(x > 0, above, below)


def _beyond(c: float, on: bool, size: float, x: Array, y: Array) -> Array:
    return size * ((x < c) if on else (x > c))


def _with_slope(at: tuple[int, int], of: Slope, run: Run) -> Array | None:
    x, y = (line_at(run, i) for i in at)
    step = next((s for s in _steps(run) if s.x is x and s.y is y), None)
    if step is None or id(step.y) not in run.cotangent:
        return None
    with np.errstate(all="ignore"):
        change = run.cotangent[id(step.y)] * (of(step.x.value, step.y.value) - step.slope)
        return run.gradient + run.partial(step.x, change)


def _two_sided(search: Search, step: _Step) -> Iterator[Found]:
    """One number for positive inputs, another for negative."""
    run, g = search.runs[0], search.runs[0].cotangent[id(step.y)]
    on = step.x.value > 0
    if on.all() or not on.any():
        return
    columns = np.stack([np.ravel(run.partial(step.x, g * side)) for side in (on, ~on)], axis=1)
    rest = run.gradient - run.partial(step.x, g * step.slope)
    numbers = solved(columns, search.claimed[0] - rest.ravel())
    if numbers is None or np.allclose(numbers, numbers[0]):
        return
    above, below = numbers
    words = f"the slope of {step.name} is {above:.6g} for positive and {below:.6g} for negative "
    at = run.position(step.x), run.position(step.y)
    made = partial(_with_slope, at, partial(_sides, above, below))
    yield Found(ANOTHER, words + "inputs in your numbers", at[1], made)


def _threshold(search: Search, step: _Step) -> Iterator[Found]:
    """What arrives, where the input is above some number, or below it: any number is tried, for the probes add up."""
    run, g = search.runs[0], search.runs[0].cotangent[id(step.y)]
    size = float(np.abs(step.slope).max(initial=0.0))
    if not np.isin(step.slope, (0, size)).all():
        return  # no mask
    order = np.argsort(step.x.value, axis=None, kind="stable")
    shares, right = (contributed(search, step.x, g * s) for s in (size, step.slope))  # (directions, elements)
    if shares is None or right is None:
        return
    base = search.probes.base - right.sum(axis=1)
    below = np.cumsum(shares[:, order], axis=1)
    total = shares.sum(axis=1, keepdims=True)
    scale = np.abs(search.probes.aims)[:, None] + np.abs(shares).sum(axis=1, keepdims=True)
    values = step.x.value.ravel()[order]
    for words, made, on in (("above", total - below, False), ("below", below, True)):
        off = np.abs(base[:, None] + made - search.probes.aims[:, None])
        for i in np.flatnonzero((off <= 1e-5 * scale).all(axis=0))[:3]:
            if i + 1 >= values.size or values[i] == values[i + 1]:
                continue
            c = float(values[i] + values[i + 1]) / 2
            at = run.position(step.x), run.position(step.y)
            says = f"what arrives at {step.name} is let through where the input is {words} some number "
            says += f"from {values[i]:.4g} to {values[i + 1]:.4g}"
            yield Found(THRESHOLD, says, at[1], partial(_with_slope, at, partial(_beyond, c, on, size)))
