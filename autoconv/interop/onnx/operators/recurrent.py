"""ONNX's recurrent layers, unrolled step by step for the length that the input has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .... import functional as f
from .... import primitives as p
from ....tape import scope
from .known import integers

Operation = Callable[..., Any]

# name -> (function of x and its settings, defaults of alpha and beta)
_ACTIVATIONS: dict[str, tuple[Operation, tuple[float, ...]]] = {
    "relu": (f.relu, ()),
    "tanh": (p.tanh, ()),
    "sigmoid": (f.sigmoid, ()),
    "softsign": (p.softsign, ()),
    "softplus": (f.softplus, ()),
    "leakyrelu": (f.leaky_relu, (0.01,)),
    "thresholdedrelu": (lambda x, alpha: p.where(p.greater(x, alpha), x, 0), (1.0,)),
    "elu": (f.elu, (1.0,)),
    "affine": (lambda x, alpha, beta: p.add(p.mul(x, alpha), beta), (1.0, 0.0)),
    "scaledtanh": (lambda x, alpha, beta: p.mul(p.tanh(p.mul(x, beta)), alpha), (1.0, 1.0)),
    "hardsigmoid": (lambda x, alpha, beta: f.clip(p.add(p.mul(x, alpha), beta), 0, 1), (0.2, 0.5)),
}


def _functions(names: Sequence[str], alphas: Sequence[float], betas: Sequence[float]) -> list[Operation]:
    """The activations by name; each takes from the lists of settings as many as it has."""
    given: tuple[Iterator[float], Iterator[float]] = (iter(alphas), iter(betas))
    made = []
    for name in names:
        if name.lower() not in _ACTIVATIONS:
            raise ValueError(f"the activation {name!r} is not covered; there are {', '.join(_ACTIVATIONS)}")
        function, defaults = _ACTIVATIONS[name.lower()]
        settings = [next(values, default) for values, default in zip(given, defaults, strict=False)]
        made.append(_set(function, settings))
    return made


def _set(function: Operation, settings: list[float]) -> Operation:
    return lambda x: function(x, *settings)


def _linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """x weight^T + bias."""
    letters = "abc"[: x.ndim - 1]
    y = f.einsum(f"{letters}i,oi->{letters}o", x, weight)
    return y if bias is None else p.add(y, bias)


def _parts(x: Any, count: int) -> list[Any]:
    """x cut along its last axis."""
    return f.split(x, count, x.ndim - 1)


class _Layer:
    """One direction: the cell's weights, its activations and settings."""

    def __init__(self, r: Any, bias: Any, peepholes: Any, functions: list[Operation], settings: dict[str, Any]) -> None:
        self.r, self.bias, self.peepholes, self.functions = r, bias, peepholes, functions
        self.bound, self.settings = settings.get("clip"), settings

    def limit(self, x: Any) -> Any:
        return x if self.bound is None else f.clip(x, -self.bound, self.bound)

    def act(self, k: int, x: Any) -> Any:
        return self.functions[k](self.limit(x))


def _rnn_cell(layer: _Layer, x: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
    """h' = f(x + h r)."""
    return (layer.act(0, p.add(x, _linear(state[0], layer.r, layer.bias))),)


def _gru_cell(layer: _Layer, x: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
    """z, r = gates; n = g(x + (r h) R), or g(x + r (h R)); h' = (1 - z) n + z h."""
    h = state[0]
    size = h.shape[-1]
    own = _parts(x, 3)
    if layer.settings["linear_before_reset"]:
        other = _parts(_linear(h, layer.r, layer.bias), 3)
        z, r = layer.act(0, p.add(own[0], other[0])), layer.act(0, p.add(own[1], other[1]))
        n = layer.act(1, p.add(own[2], p.mul(r, other[2])))
    else:
        halves = slice(0, 2 * size), slice(2 * size, None)
        gates, last = [p.index(layer.r, key=(k,)) for k in halves]
        biases = [None, None] if layer.bias is None else [p.index(layer.bias, key=(k,)) for k in halves]
        other = _parts(_linear(h, gates, biases[0]), 2)
        z, r = layer.act(0, p.add(own[0], other[0])), layer.act(0, p.add(own[1], other[1]))
        n = layer.act(1, p.add(own[2], _linear(p.mul(r, h), last, biases[1])))
    return (p.add(p.mul(p.sub(1, z), n), p.mul(z, h)),)


def _lstm_cell(layer: _Layer, x: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
    """i, o, f, c = gates; C = f C + i g(c); h = o h(C); peepholes let i, f and o see C."""
    h, c = state
    i, o, forget, new = _parts(p.add(x, _linear(h, layer.r, layer.bias)), 4)
    seen = [None] * 3 if layer.peepholes is None else _parts(layer.peepholes, 3)
    i = layer.act(0, i if seen[0] is None else p.add(i, p.mul(seen[0], c)))
    if layer.settings["input_forget"]:
        forget = p.sub(1, i)
    else:
        forget = layer.act(0, forget if seen[2] is None else p.add(forget, p.mul(seen[2], c)))
    c = p.add(p.mul(forget, c), p.mul(i, layer.act(1, new)))
    o = layer.act(0, o if seen[1] is None else p.add(o, p.mul(seen[1], c)))
    return p.mul(o, layer.functions[2](c)), c


def _unrolled(
    name: str, cell: Operation, gates: int, usual: Sequence[str], states: Sequence[Any], x: Any, w: Any, r: Any,
    b: Any, lengths: Any, peepholes: Any, settings: dict[str, Any],
) -> tuple[Any, ...]:  # fmt: skip
    """A layer in one or two directions: (all outputs, last h, last c)."""
    directions = {"forward": 1, "reverse": 1, "bidirectional": 2}
    if settings["direction"] not in directions:
        raise ValueError(f"direction {settings['direction']!r}; there are {', '.join(directions)}")
    count, batch_first = directions[settings["direction"]], bool(settings["layout"])
    if x.ndim != 3 or w.ndim != 3 or r.ndim != 3 or w.shape[0] != count or r.shape[0] != count:
        raise ValueError(f"shapes {x.shape}, {w.shape} and {r.shape} for {count} directions")
    hidden = r.shape[2]
    if w.shape[1] != gates * hidden or settings["hidden_size"] not in (None, hidden):
        raise ValueError(f"weights of shapes {w.shape} and {r.shape} for hidden_size {settings['hidden_size']}")
    names = settings["activations"] or list(usual) * count
    if len(names) != len(usual) * count:
        raise ValueError(f"{len(names)} activations; {len(usual)} are needed for each of {count} directions")
    functions = _functions(names, settings["activation_alpha"] or (), settings["activation_beta"] or ())
    with scope(name):
        x = p.permute_dims(x, axes=(1, 0, 2)) if batch_first else x
        steps, batch = x.shape[:2]
        masks = _masks(lengths, steps, batch)
        starts = [
            np.zeros((count, batch, hidden), x.dtype) if s is None else
            p.permute_dims(s, axes=(1, 0, 2)) if batch_first else s for s in states
        ]  # fmt: skip
        results, ends = [], []
        for k in range(count):
            one = (k, slice(None))
            bias = None if b is None else p.index(b, key=one)
            own = None if bias is None else p.index(bias, key=(slice(0, gates * hidden),))
            other = None if bias is None else p.index(bias, key=(slice(gates * hidden, None),))
            seen = None if peepholes is None else p.index(peepholes, key=one)
            layer = _Layer(p.index(r, key=one), other, seen, functions[k * len(usual) : (k + 1) * len(usual)], settings)
            inputs = _linear(x, p.index(w, key=one), own)  # of all steps at once
            state = tuple(p.index(s, key=one) for s in starts)
            backwards = settings["direction"] == "reverse" or k == 1
            outputs: list[Any] = []
            for t in reversed(range(steps)) if backwards else range(steps):
                new = cell(layer, p.index(inputs, key=(t,)), state)
                if masks is None:
                    state, seen_out = new, new[0]
                else:
                    state = tuple(p.where(masks[t], a, old) for a, old in zip(new, state, strict=True))
                    seen_out = p.where(masks[t], new[0], 0)
                outputs.append(seen_out)
            results.append(f.stack(outputs[::-1] if backwards else outputs, 0))
            ends.append(state)
        y = f.stack(results, 1)  # (steps, directions, batch, hidden)
        last = [f.stack([end[i] for end in ends], 0) for i in range(len(starts))]
        if batch_first:
            y, last = p.permute_dims(y, axes=(2, 0, 1, 3)), [p.permute_dims(s, axes=(1, 0, 2)) for s in last]
    return (y, *last)


def _masks(lengths: Any, steps: int, batch: int) -> Any:
    """For each step which sequences still run, (steps, batch, 1); None where all run to the end."""
    if lengths is None:
        return None
    sizes = np.array(integers(lengths, "the sequence lengths"))
    if sizes.shape != (batch,) or sizes.min(initial=0) < 0 or sizes.max(initial=0) > steps:
        raise ValueError(f"sequence lengths {sizes.tolist()[:8]} for {batch} sequences of {steps} steps")
    return None if (sizes == steps).all() else np.arange(steps)[:, None, None] < sizes[None, :, None]


def _check_steps(x: Any) -> None:
    if not min(x.shape, default=0):
        raise ValueError(f"a sequence of shape {x.shape} has no step to take")


def rnn(
    x: Any, w: Any, r: Any, b: Any = None, sequence_lens: Any = None, initial_h: Any = None, *,
    activation_alpha: Any = None, activation_beta: Any = None, activations: Any = None, clip: float | None = None,
    direction: str = "forward", hidden_size: int | None = None, layout: int = 0, outputs: int,
) -> tuple[Any, ...]:  # fmt: skip
    """h' = f(x W + h R + b)."""
    settings = dict(locals())
    _check_steps(x)
    return _unrolled("rnn", _rnn_cell, 1, ("Tanh",), (initial_h,), x, w, r, b, sequence_lens, None, settings)


def gru(
    x: Any, w: Any, r: Any, b: Any = None, sequence_lens: Any = None, initial_h: Any = None, *,
    activation_alpha: Any = None, activation_beta: Any = None, activations: Any = None, clip: float | None = None,
    direction: str = "forward", hidden_size: int | None = None, layout: int = 0, linear_before_reset: int = 0,
    outputs: int,
) -> tuple[Any, ...]:  # fmt: skip
    """Gated recurrent units (Cho et al., 2014)."""
    settings = dict(locals())
    _check_steps(x)
    usual = ("Sigmoid", "Tanh")
    return _unrolled("gru", _gru_cell, 3, usual, (initial_h,), x, w, r, b, sequence_lens, None, settings)


def lstm(
    x: Any, w: Any, r: Any, b: Any = None, sequence_lens: Any = None, initial_h: Any = None, initial_c: Any = None,
    peepholes: Any = None, *, activation_alpha: Any = None, activation_beta: Any = None, activations: Any = None,
    clip: float | None = None, direction: str = "forward", hidden_size: int | None = None, input_forget: int = 0,
    layout: int = 0, outputs: int,
) -> tuple[Any, ...]:  # fmt: skip
    """Long short-term memory (Hochreiter and Schmidhuber, 1997)."""
    settings = dict(locals())
    _check_steps(x)
    usual, starts = ("Sigmoid", "Tanh", "Tanh"), (initial_h, initial_c)
    return _unrolled("lstm", _lstm_cell, 4, usual, starts, x, w, r, b, sequence_lens, peepholes, settings)


OPERATIONS: dict[str, Operation] = {"RNN": rnn, "GRU": gru, "LSTM": lstm}
