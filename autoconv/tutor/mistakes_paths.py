"""Mistakes in collecting gradients: paths forgotten, nodes left too early; and whole operations taken as if they were simple."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from .bank import IncompleteMistake, PathMistake, Ways, call_mistake, enter
from .calls import Call

_AXES = 4


def _one(count: int) -> dict[str, list[int]]:
    """Only one contribution is kept: the last in sweep order, or the first, or any other."""
    if count < 2:
        return {}
    made = {"only the last": [count - 1], "only the first": [0]}
    return made | {f"only number {i + 1}": [i] for i in range(1, min(count - 1, 6))}


def _all_but_one(count: int) -> dict[str, list[int]]:
    """One contribution is forgotten."""
    if not 2 < count <= 8:
        return {}
    return {f"all but number {i + 1}": [j for j in range(count) if j != i] for i in range(count)}


enter(
    PathMistake,
    "only one of several paths",
    "a number that is used in several places received the gradient of one of them alone",
    "Along how many paths does this number reach the loss?",
    "add the contributions of all paths: x_bar = sum over everything that reads x",
    kept=_one,
)
enter(
    PathMistake,
    "one path forgotten",
    "one of the paths from this number to the loss was left out",
    "Along how many paths does this number reach the loss? Count them on the graph.",
    "add the contributions of all paths",
    2,
    kept=_all_but_one,
)
enter(
    IncompleteMistake,
    "a node's gradient pushed on before it was complete",
    "a node passed its gradient on before all contributions had arrived",
    "Had everything that reads this node been handled when you went on to its inputs?",
    "walk back in the reverse order of the recording, so that a node's gradient is complete before it is pulled back",
)


@call_mistake(
    "local derivative forgotten in a call",
    "the gradient was passed through the whole operation as if it changed nothing",
    "Which operation between the loss and this weight has been skipped?",
    "multiply by the derivative of the operation",
)
def _skipped(call: Call) -> Ways:
    return {"": lambda g: g} if call.x.shape == call.y.shape else {}


@call_mistake(
    "local derivative squared in a call",
    "the derivative of the operation was multiplied in twice",
    "How many times does the chain rule pass through this operation?",
    "x_bar = y_bar * f'(x), once",
)
def _twice(call: Call) -> Ways:
    return {"": lambda g: g * call.diagonal**2} if call.elementwise else {}


@call_mistake(
    "only the diagonal of a Jacobian",
    "each output was taken to depend on the input in the same place alone",
    "If one input of the softmax grows, what do the other outputs do?",
    "softmax: dy_i/dx_j = y_i (1[i = j] - y_j); the gradient is y * (y_bar - sum_j y_bar_j y_j)",
    0,
)
def _diagonal(call: Call) -> Ways:
    if call.elementwise or call.diagonal is None:
        return {}
    return {"": lambda g: g * call.diagonal}


@call_mistake(
    "derivative of a call taken at its output",
    "f' was evaluated at the activation f(x) instead of at the pre-activation x",
    "At which number is the derivative of the activation evaluated?",
    "x_bar = y_bar * f'(x), with x what went into f; for the sigmoid that is y (1 - y) with y = sigmoid(x)",
    2,
)
def _at_output(call: Call) -> Ways:
    return {"": lambda g: call.pull(g, at=call.y.value)} if call.elementwise else {}


@call_mistake(
    "half of the sigmoid's derivative",
    "y was written where y (1 - y) belongs, or 1 - y, or x (1 - x)",
    "What is the derivative of the sigmoid, in terms of its output?",
    "sigmoid' = y (1 - y)",
    2,
)
def _half(call: Call) -> Ways:
    if call.name != "sigmoid":
        return {}
    y, x = call.y.value, call.x.value
    return {"y": lambda g: g * y, "1 - y": lambda g: g * (1 - y), "x (1 - x)": lambda g: g * x * (1 - x)}


@call_mistake(
    "gradient of a maximum spread evenly",
    "the gradient of a maximum was divided among everything that took part",
    "Which of them changes the maximum when it changes a little?",
    "only the winner receives the gradient, all of it",
)
def _evenly(call: Call) -> Ways:
    axes = _reduced(call)
    return {"": lambda g: _again(call, g, axes) / np.prod([call.x.shape[a] for a in axes])} if axes else {}


@call_mistake(
    "gradient of a maximum to every competitor",
    "everything that took part in a maximum received its whole gradient",
    "Which of them changes the maximum when it changes a little?",
    "only the winner receives the gradient; the others receive 0",
)
def _everyone(call: Call) -> Ways:
    axes = _reduced(call)
    return {"": lambda g: _again(call, g, axes)} if axes else {}


def _reduced(call: Call) -> tuple[int, ...]:
    """The axes over which a call of max or min reduces, or () for any other call."""
    if call.name not in ("max", "min") or call.x.ndim > _AXES + 2:
        return ()
    best: Any = np.max if call.name == "max" else np.min
    for count in range(1, call.x.ndim + 1):
        for axes in combinations(range(call.x.ndim), count):
            found = best(call.x.value, axis=axes)
            if found.size == call.y.size and np.array_equal(found.ravel(), call.y.value.ravel()):
                return axes
    return ()


def _again(call: Call, g: Any, axes: tuple[int, ...]) -> Any:
    shape = [1 if i in axes else n for i, n in enumerate(call.x.shape)]
    return np.broadcast_to(np.reshape(g, shape), call.x.shape)
