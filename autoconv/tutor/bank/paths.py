"""Mistakes in collecting gradients: paths forgotten, nodes left too early; and whole operations taken too simply."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from ...backward import pull
from ...tape import Tape, Tensor
from ..run.calls import Call
from ..run.site import Site
from .mistake import IncompleteMistake, Variants, call_mistake, enter, mistake, path_mistake
from .normalised import weight
from .pooling import OTHER_CELLS, borrowed, winners

_AXES = 4


@path_mistake(
    "only one of several paths",
    "a number that is used in several places received the gradient of one of them alone",
    "Along how many paths does this number reach the loss?",
    "add the contributions of all paths: x_bar = sum over everything that reads x",
)
def _one(count: int) -> dict[str, list[int]]:
    """Only one contribution is kept: the last in sweep order, or the first, or any other."""
    if count < 2:
        return {}
    kept = {"only the last": [count - 1], "only the first": [0]}
    return kept | {f"only number {i + 1}": [i] for i in range(1, min(count - 1, 6))}


@mistake(
    "only the last of several outputs",
    "of several arrays that were put together (the outputs of all time steps) only one received its gradient",
    "Which outputs stand in the loss: that of the last step alone, or all of them?",
    "what arrives at each output is added to what comes back from the steps behind it",
    rank=2,
)
def _last_output(p: Site) -> Variants:
    if p.row != "concat" or p.inside("max", "min", "median") or p.pooling:
        return {}
    last = len(p.line.operands) - 1
    return {
        "the last": lambda g: p.right(g) * (p.k == last),
        "the first": lambda g: p.right(g) * (p.k == 0),
    }


@path_mistake(
    "one path forgotten",
    "one of the paths from this number to the loss was left out",
    "Along how many paths does this number reach the loss? Count them on the graph.",
    "add the contributions of all paths",
    rank=2,
)
def _all_but_one(count: int) -> dict[str, list[int]]:
    """One contribution is forgotten."""
    if not 2 < count <= 8:
        return {}
    return {f"all but number {i + 1}": [j for j in range(count) if j != i] for i in range(count)}


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
def _skipped(call: Call) -> Variants:
    return {"": lambda g: g} if call.x.shape == call.y.shape else {}


@call_mistake(
    "local derivative squared in a call",
    "the derivative of the operation was multiplied in twice",
    "How many times does the chain rule pass through this operation?",
    "x_bar = y_bar * f'(x), once",
)
def _twice(call: Call) -> Variants:
    return {"": lambda g: g * call.diagonal**2} if call.elementwise else {}


@call_mistake(
    "only the diagonal of a Jacobian",
    "each output was taken to depend on the input in the same place alone",
    "If one input of the softmax grows, what do the other outputs do?",
    "softmax: dy_i/dx_j = y_i (1[i = j] - y_j); the gradient is y * (y_bar - sum_j y_bar_j y_j)",
    0,
)
def _diagonal(call: Call) -> Variants:
    if call.elementwise or call.diagonal is None:
        return {}
    return {"": lambda g: g * call.diagonal}


@call_mistake(
    "statistics held constant",
    "a sum over the input (mean, deviation, the denominator of a softmax) was taken for a constant",
    "If one input grows, do the mean and the deviation stay what they were?",
    "the mean and the deviation depend on every input: add the gradients that come back through them",
    2,
)
def _constants(call: Call) -> Variants:
    sums = [line for line in call.lines if _is_sum(line)]
    variants: Variants = {}
    if call.x.shape == call.y.shape and sums:
        variants["all of them"] = partial(_without, call, range(len(sums)))
        if len(sums) > 1 and call.form is None:  # those of a norm have names of their own
            variants |= {f"number {i + 1}": partial(_without, call, [i]) for i in range(len(sums))}
    return variants


def _without(call: Call, cut: Sequence[int], g: Any) -> Any:
    """The call's gradient with nothing coming back through the sums number ``cut``."""
    number = {id(line): i for i, line in enumerate(x for x in Tape(call.isolated[1]) if _is_sum(x))}

    def rules(line: Tensor, g: Any, wanted: tuple[int, ...], recorded: bool) -> list[Any]:
        contributions = pull(line, g, wanted, recorded)
        return [x * 0 for x in contributions] if number.get(id(line)) in cut else contributions

    return call.pull(g, rules=rules)


def _is_sum(line: Tensor) -> bool:
    return line.primitive is not None and line.primitive.name == "sum" and not line.constant


@call_mistake(
    "derivative of a call taken at its output",
    "f' was evaluated at the activation f(x) instead of at the pre-activation x",
    "At which number is the derivative of the activation evaluated?",
    "x_bar = y_bar * f'(x), with x what went into f; for the sigmoid that is y (1 - y) with y = sigmoid(x)",
    2,
)
def _at_output(call: Call) -> Variants:
    return {"": lambda g: call.pull(g, at=call.y.value)} if call.elementwise else {}


@call_mistake(
    "derivative of a call taken at the gradient",
    "f' was evaluated at the gradient that arrives (the error), instead of at the pre-activation",
    "At which number is the derivative of the activation evaluated?",
    "x_bar = y_bar * f'(x), with x what went into f in the forward pass",
)
def _at_gradient(call: Call) -> Variants:
    if not call.elementwise:
        return {}
    variants: Variants = {"": lambda g: call.pull(g, at=g), "alone": lambda g: call.pull(np.ones(call.y.shape), at=g)}
    if call.name == "sigmoid":
        variants["as the output"] = lambda g: g * g * (1 - g)
    return variants


@call_mistake(
    "half of the sigmoid's derivative",
    "y was written where y (1 - y) belongs, or 1 - y, or x (1 - x)",
    "What is the derivative of the sigmoid, in terms of its output?",
    "sigmoid' = y (1 - y)",
    2,
)
def _half(call: Call) -> Variants:
    if call.name != "sigmoid":
        return {}
    y, x = call.y.value, call.x.value
    return {"y": lambda g: g * y, "1 - y": lambda g: g * (1 - y), "x (1 - x)": lambda g: g * x * (1 - x)}


@call_mistake(
    "derivative of the output multiplied in again",
    "y - t was multiplied by the derivative of the softmax (or sigmoid) once more, or divided by it",
    "Is y - t the gradient before the softmax (or sigmoid), or after it?",
    "softmax with cross entropy, and sigmoid with its own: the gradient before the softmax is y - t, nothing else",
    2,
)
def _again_output(call: Call) -> Variants:
    y = call.probabilities
    if y is None:
        return {}
    variants: Variants = {
        "diagonal": lambda g: call.pull(g) * y * (1 - y),
        "divided": lambda g: call.pull(g) / (y * (1 - y)),
        "by the probabilities": lambda g: call.pull(g) * y,
        "divided by the probabilities": lambda g: call.pull(g) / y,
    }
    if call.name == "cross_entropy":
        variants["all of it"] = lambda g: _through_softmax(y, call.pull(g))
        variants["skipped"] = lambda g: _skip_softmax(call, g)
    return variants


@call_mistake(
    "target forgotten",
    "the output itself stands where output minus target belongs",
    "What would the gradient be if every output were right?",
    "E = 1/2 (y - t)^2, and cross entropy after a softmax: y - t, which is 0 where the output is right",
    0,
)
def _untargeted(call: Call) -> Variants:
    y = call.probabilities
    return {"": lambda g: y * weight(call, g)} if y is not None else {}


def _through_softmax(y: Any, d: Any) -> Any:
    return y * (d - (d * y).sum(axis=-1, keepdims=True))


def _skip_softmax(call: Call, g: Any) -> Any:
    """-t / y, the gradient after the softmax, of w (y - t)."""
    y = call.probabilities
    return (call.pull(g) - y * weight(call, g)) / y


@call_mistake(
    "gradient of a maximum spread evenly",
    "the gradient of a maximum was divided among everything that took part",
    "Which of them changes the maximum when it changes a little?",
    "only the winner receives the gradient, all of it",
)
def _evenly(call: Call) -> Variants:
    axes = _reduced(call)
    return {"": lambda g: _again(call, g, axes) / np.prod([call.x.shape[a] for a in axes])} if axes else {}


@call_mistake(
    "gradient of a maximum to every competitor",
    "everything that took part in a maximum received its whole gradient",
    "Which of them changes the maximum when it changes a little?",
    "only the winner receives the gradient; the others receive 0",
)
def _everyone(call: Call) -> Variants:
    axes = _reduced(call)
    return {"": lambda g: _again(call, g, axes)} if axes else {}


def _reduced(call: Call) -> tuple[int, ...]:
    """The axes over which a call of max or min reduces, or () for any other call, and inside a pooling layer."""
    path = call.lines[0].scope.path if call.lines[0].scope else ()
    pooled = any("pool" in scope.name and not scope.name.startswith("global") for scope in path)
    if call.name not in ("max", "min") or pooled or call.x.ndim > _AXES + 2:
        return ()
    best: Any = np.max if call.name == "max" else np.min
    for count in range(1, call.x.ndim + 1):
        for axes in combinations(range(call.x.ndim), count):
            reduced = best(call.x.value, axis=axes)
            if reduced.size == call.y.size and np.array_equal(reduced.ravel(), call.y.value.ravel()):
                return axes
    return ()


def _again(call: Call, g: Any, axes: tuple[int, ...]) -> Any:
    shape = [1 if i in axes else n for i, n in enumerate(call.x.shape)]
    return np.broadcast_to(np.reshape(g, shape), call.x.shape)


@call_mistake(
    "gradient of a maximum to the wrong element",
    "the gradient of a maximum went to another element than the winner",
    "Which element is the largest, and is its index the one that you keep?",
    "only the winner receives the gradient, all of it",
)
def _elsewhere(call: Call) -> Variants:
    axes = _reduced(call)
    if not axes:
        return {}
    frames = Frames(call.x.value if call.name == "max" else -call.x.value, axes)
    shares = {f"to {words}": share for words, share in OTHER_CELLS.items()}
    shares |= {
        "the smallest": lambda s: winners(s, np.negative),
        "the one of largest size": lambda s: winners(s, np.abs),
    }
    shares |= {f"the {word}": partial(frames.cell, at) for word, at in (("first", 0), ("last", -1))}
    for axis in [i for i, n in enumerate(call.x.shape) if n > 1 and i not in axes]:
        shares[f"the winner of the first along axis {axis}"] = partial(borrowed, axis)
        shares[f"the winner of the sum over axis {axis}"] = partial(frames.of_sum, axis)
    return {words: partial(_shared, call, axes, frames, share) for words, share in shares.items()}


def _shared(call: Call, axes: tuple[int, ...], frames: Frames, share: Any, g: Any) -> Any:
    return _again(call, g, axes) * share(frames)


class Frames:
    """The elements over which a maximum is taken, as the one window of each of its results (see ``pooling``)."""

    def __init__(self, x: Any, axes: tuple[int, ...]) -> None:
        self.y, self.across, self.axes = x, axes, ()
        self.site, self.window = self, tuple(x.shape[a] for a in axes)

    def cell(self, at: int, _: Any = None) -> Any:
        cells = np.zeros(int(np.prod(self.window)))
        cells[at] = 1
        shape = [1 if i not in self.across else n for i, n in enumerate(self.y.shape)]
        return np.broadcast_to(cells.reshape(shape), self.y.shape)

    def of_sum(self, axis: int, _: Any = None) -> Any:
        return winners(Frames(np.broadcast_to(self.y.sum(axis=axis, keepdims=True), self.y.shape), self.across))
