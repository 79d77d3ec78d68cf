"""ATen's recurrent layers, unrolled step by step: what the textbook writes, and nothing hidden."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ... import functional as f
from ... import primitives as p
from ...tape import scope
from ..imported import Imported, on_model
from .layers import dropout, linear
from .shape import cat, select, split, stack, transpose

Operation = Callable[..., Any]


def _lstm_cell(x: Any, state: tuple[Any, ...], weights: Sequence[Any], projection: Any) -> tuple[Any, ...]:
    """i, f, g, o = gates of x and h; c' = f c + i g; h' = o tanh c'."""
    h, c = state
    gates = p.add(x, linear(h, *weights))
    i, forget, g, o = split(gates, gates.shape[-1] // 4, -1)
    c = p.add(p.mul(f.sigmoid(forget), c), p.mul(f.sigmoid(i), p.tanh(g)))
    h = p.mul(f.sigmoid(o), p.tanh(c))
    return (h if projection is None else linear(h, projection)), c


def _gru_cell(x: Any, state: tuple[Any, ...], weights: Sequence[Any], _: Any) -> tuple[Any, ...]:
    """r, z = gates; n = tanh(x_n + r h_n); h' = (h - n) z + n."""
    h = state[0]
    own, other = [split(y, y.shape[-1] // 3, -1) for y in (x, linear(h, *weights))]
    r, z = f.sigmoid(p.add(own[0], other[0])), f.sigmoid(p.add(own[1], other[1]))
    n = p.tanh(p.add(own[2], p.mul(r, other[2])))
    return (p.add(p.mul(p.sub(h, n), z), n),)


def _plain_cell(activation: Callable[[Any], Any]) -> Operation:
    def cell(x: Any, state: tuple[Any, ...], weights: Sequence[Any], _: Any) -> tuple[Any, ...]:
        return (activation(p.add(x, linear(state[0], *weights))),)

    return cell


def _unrolled(name: str, cell: Operation, states: int) -> Operation:
    """A recurrent layer: (input, states, weights, has_biases, layers, dropout, train, bidirectional, batch_first)."""

    def operation(
        model: Imported, x: Any, hidden: Any, params: Sequence[Any], has_biases: bool, num_layers: int, rate: float,
        train: bool, bidirectional: bool, batch_first: bool = False,
    ) -> tuple[Any, ...]:  # fmt: skip
        if not isinstance(has_biases, bool):
            raise NotImplementedError(f"{name}: packed sequences are not covered; give the padded ones")
        starts = list(hidden) if states > 1 else [hidden]
        params = [model.held(w) for w in params]
        directions = 2 if bidirectional else 1
        each = len(params) // (num_layers * directions)
        with scope(name):
            x = transpose(x, 0, 1) if batch_first else x  # time first
            ends: list[list[Any]] = [[] for _ in starts]
            for layer in range(num_layers):
                results = []
                for direction in range(directions):
                    k = layer * directions + direction
                    weights = params[k * each : (k + 1) * each]
                    state = tuple(select(s, 0, k) for s in starts)
                    outputs, state = _steps(cell, x, state, weights, has_biases, direction == 1)
                    results.append(outputs)
                    for end, last in zip(ends, state, strict=True):
                        end.append(last)
                x = results[0] if directions == 1 else cat(results, -1)
                if rate and train and layer < num_layers - 1:
                    x = dropout(model, x, rate, True)
            return transpose(x, 0, 1) if batch_first else x, *[stack(end, 0) for end in ends]

    return on_model(operation)


def _steps(
    cell: Operation, x: Any, state: tuple[Any, ...], weights: Sequence[Any], has_biases: bool, backwards: bool
) -> tuple[Any, tuple[Any, ...]]:
    """One layer in one direction: the outputs of all steps, and the last state."""
    own, other = weights[0], [weights[1]]
    bias = weights[2] if has_biases else None
    other += [weights[3]] if has_biases else []
    used = 4 if has_biases else 2
    projection = weights[used] if len(weights) > used else None
    inputs = linear(x, own, bias)  # of all steps at once
    outputs: list[Any] = []
    order = range(x.shape[0])
    for t in reversed(order) if backwards else order:
        state = cell(select(inputs, 0, t), state, other, projection)
        outputs.append(state[0])
    return stack(outputs[::-1] if backwards else outputs, 0), state


OPERATIONS: dict[str, Operation] = {
    "lstm": _unrolled("lstm", _lstm_cell, 2),
    "gru": _unrolled("gru", _gru_cell, 1),
    "rnn_tanh": _unrolled("rnn", _plain_cell(p.tanh), 1),
    "rnn_relu": _unrolled("rnn", _plain_cell(f.relu), 1),
}
