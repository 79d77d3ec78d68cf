"""Wrong gradients calculated by plain NumPy, each with one classic bug, and the name that ``check`` has for it.

The backward passes are those of ``by_hand_images`` and ``by_hand_mlps``, which know nothing of the library or of its
bank of mistakes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers.by_hand_images import image_backward, image_data, signal_backward, signal_data
from helpers.by_hand_mlps import norm_backward, norm_data, word_backward, word_data

import autoconv as ac

Arrays = dict[str, np.ndarray]


def tensors(d: Arrays, names: str) -> dict[str, Any]:
    return {name: ac.tensor(d[name], name=name) for name in names}


def image_net(d: Arrays, pool: Any = ac.max_pool2d) -> tuple[Any, dict[str, Any]]:
    t = tensors(d, "xwbvc")
    h = pool(ac.relu(ac.conv2d(t["x"], t["w"], t["b"], stride=2, padding=1)), 2, stride=1)
    y = ac.softmax(ac.flatten(h, 1) @ t["v"] + t["c"])
    return ac.losses.half_squared_error(y, d["t"]), t


def signal_net(d: Arrays) -> tuple[Any, dict[str, Any]]:
    t = tensors(d, "xwbk")
    settings = {"padding": 2, "dilation": 2, "groups": 2, "flip": True, "layout": "channels_first"}
    h = ac.tanh(ac.conv1d(t["x"], t["w"], t["b"], **settings)) + t["x"]
    p = ac.avg_pool1d(h, 3, stride=2, layout="channels_first")
    return ac.sum((p * t["k"].reshape(4, 1)) ** 2), t


def word_net(d: Arrays) -> tuple[Any, dict[str, Any]]:
    t = tensors(d, "ewbgv")
    x = ac.take(t["e"], d["ids"], axis=0)
    m = ac.tanh(x @ t["w"] + t["b"]) * ac.sigmoid(x @ t["g"]) + x
    y = ac.softmax(ac.tanh(m @ t["w"] + t["b"]) @ t["v"])
    return ac.sum((y - d["t"]) ** 2) / 2, t


def norm_net(d: Arrays) -> tuple[Any, dict[str, Any]]:
    t = tensors(d, "xwbsvu")
    z = t["x"] @ t["w"] + t["b"]
    centred = z - ac.mean(z, axis=1, keepdims=True)
    n = centred / ac.sqrt(ac.mean(centred**2, axis=1, keepdims=True) + 0.1)
    h = ac.leaky_relu(n * t["s"], 0.2)
    r = ac.permute_dims(h.reshape(5, 2, 3), (0, 2, 1)).reshape(5, 6) @ t["v"]
    c = r**3 / 10 + r / (1 + t["u"] ** 2)
    return ac.losses.cross_entropy(c, d["label"], reduction="sum"), t


Model = tuple[Callable[[int], Arrays], Callable[[Arrays, str], Arrays], Callable[[Arrays], Any]]
MODELS: dict[str, Model] = {
    "images": (image_data, image_backward, image_net),
    "averages": (
        image_data,
        lambda d, bug: image_backward(d, bug, "avg"),
        lambda d: image_net(d, ac.avg_pool2d),
    ),
    "signal": (signal_data, signal_backward, signal_net),
    "words": (word_data, word_backward, word_net),
    "norm": (norm_data, norm_backward, norm_net),
}

# model: {bug: the name of the mistake}
# fmt: off
BUGS = {
    "images": {
        "factor 2": "factor 2 or 1/2 of the loss",
        "sign of the loss": "sign",
        "output for difference": "one side of a difference forgotten",
        "softmax diagonal": "only the diagonal of a Jacobian",
        "softmax skipped": "local derivative forgotten in a call",
        "dv last example": "not summed over batch",
        "dv product of sums": "product of sums",
        "dv mean over batch": "mean instead of sum",
        "dc not summed over batch": "not summed over batch",
        "df only one class": "not summed over filters",
        "upstream forgotten at the dense layer": "upstream gradient forgotten",
        "flattened channels first": "flattened in another order",
        "pool as tiles": "overlapping windows treated as tiles",
        "pool evenly": "pooling gradient spread evenly",
        "pool copied": "pooling gradient copied to every cell",
        "pool first cell": "pooling gradient to the wrong cell",
        "pool smallest cell": "pooling gradient to the wrong cell",
        "pool overwritten": "windows overwritten instead of overlap-added",
        "mask missing": "activation mask missing",
        "mask inverted": "activation mask inverted",
        "mask of the gradient": "relu applied to the gradient",
        "value for upstream": "a forward value where the upstream gradient belongs",
        "db last position": "bias not summed over positions",
        "db mean over positions": "mean instead of sum",
        "db first example": "not summed over batch",
        "dw last position": "sum over positions replaced by the last one",
        "kernel rotated": "kernel not rotated",
        "kernel transposed": "kernel transposed",
        "dx only one filter": "not summed over filters",
        "windows overwritten": "windows overwritten instead of overlap-added",
        "stride not dilated": "stride not dilated",
        "windows as tiles": "overlapping windows treated as tiles",
        "kernel spread by the stride": "dilated by stride",
        "dw rotated": "kernel gradient reversed",
        "dw from the rotated gradient": "gradient rotated on its way to the kernel",
        "dw transposed": "kernel transposed",
        "dw product of sums over positions": "product of sums",
        "dw first example": "not summed over batch",
        "dw stride forgotten": "stride not dilated",
        "dw from the unpadded image": "padding not cropped",
        "dw mean over positions": "mean instead of sum",
        "dw doubled": "gradient doubled by a second backward",
        "padding not cropped": "padding not cropped",
        "padding cropped one late": "padding shifted by one",
    },
    "averages": {
        "pool as tiles": "overlapping windows treated as tiles",
        "pool copied": "pooling gradient copied to every cell",
        "pool first cell": "pooling gradient to the wrong cell",
        "pool winner instead of mean": "pooling gradient to the wrong cell",
        "pool overwritten": "windows overwritten instead of overlap-added",
        "mask missing": "activation mask missing",
    },
    "signal": {
        "factor 1/2": "factor 2 or 1/2 of the loss",
        "average: not divided": "pooling gradient copied to every cell",
        "average: overwritten": "windows overwritten instead of overlap-added",
        "average: middle cell": "pooling gradient to the wrong cell",
        "tanh forgotten": "local derivative forgotten",
        "tanh squared": "local derivative squared",
        "dk: last position": "broadcast not summed",
        "db: mean over positions": "mean instead of sum",
        "kernel not reversed": "kernel not rotated",
        "dw not reversed back": "reversal forgotten",
        "dx: first filter of a group": "not summed over filters",
        "dilation forgotten": "dilation forgotten",
        "dilation forgotten in dw": "dilation forgotten",
        "not cropped": "padding not cropped",
        "cropped one early": "padding shifted by one",
        "residual forgotten": "only one of several paths",
        "only the residual": "only one of several paths",
    },
    "words": {
        "factor 2": "factor 2 or 1/2 of the loss",
        "factor 1/2": "factor 2 or 1/2 of the loss",
        "sign of the loss": "sign",
        "softmax diagonal": "only the diagonal of a Jacobian",
        "softmax skipped": "local derivative forgotten in a call",
        "dv product of sums": "product of sums",
        "dv mean": "mean instead of sum",
        "dv last example": "not summed over batch",
        "dv upstream forgotten": "upstream gradient forgotten",
        "dv output for upstream": "a forward value where the upstream gradient belongs",
        "doubled": "gradient doubled by a second backward",
        "dh only one class": "not summed over filters",
        "tanh forgotten": "local derivative forgotten",
        "tanh squared": "local derivative squared",
        "tanh unsquared": "square in the derivative forgotten",
        "tanh at output": "derivative taken at the output",
        "tanh of the input": "input where the output belongs",
        "tanh: upstream forgotten": "upstream gradient forgotten",
        "w not transposed": "matrix not transposed",
        "product swapped": "operands swapped",
        "gate: factor forgotten": "local derivative forgotten",
        "sigmoid is y": "half of the sigmoid's derivative",
        "sigmoid is 1 - y": "half of the sigmoid's derivative",
        "sigmoid forgotten": "local derivative forgotten in a call",
        "dg transposed": "matrix not transposed",
        "shortcut forgotten": "one path forgotten",
        "only the shortcut": "only one of several paths",
        "gate path forgotten": "one path forgotten",
        "w: only the second use": "only one of several paths",
        "w: only the first use": "only one of several paths",
        "b: last example": "not summed over batch",
        "b: mean": "mean instead of sum",
        "b: sign": "sign",
        "embedding overwritten": "repeated index overwritten instead of added",
        "embedding one row off": "gradient put at the wrong index",
        "pushed on too early": "a node's gradient pushed on before it was complete",
    },
    "norm": {
        "target forgotten": "target forgotten",
        "softmax taken twice": "derivative of the output multiplied in again",
        "sigmoid's derivative on top": "derivative of the output multiplied in again",
        "exponent kept up": "power rule: exponent not brought down",
        "exponent not lowered": "power rule: exponent not lowered",
        "cube forgotten": "local derivative forgotten",
        "reciprocal forgotten": "reciprocal forgotten",
        "only the cube": "only one of several paths",
        "denominator not squared": "quotient rule: denominator not squared",
        "quotient's sign": "sign",
        "quotient: only the last example": "not summed over batch",
        "square not differentiated": "local derivative forgotten",
        "folded as it lay": "flattened in another order",
        "leak forgotten": "the slope of another activation",
        "leaky mask missing": "local derivative forgotten in a call",
        "scale: mean": "mean instead of sum",
        "scale: product of sums": "product of sums",
        "mean and deviation held constant": "statistics held constant",
        "norm skipped": "local derivative forgotten in a call",
        "b: first example": "not summed over batch",
        "dw: sign": "sign",
    },
}
# fmt: on
# Bugs whose numbers are also those of another mistake, which is named first: the same factor, or the same sum
# cut short.
TIED = {
    ("images", "dv mean over batch"),
    ("images", "dw doubled"),
    ("words", "doubled"),
    ("signal", "dk: last position"),
    ("signal", "dw not reversed back"),
}  # fmt: skip
ROWS = [(model, bug) for model, bugs in BUGS.items() for bug in bugs]


def differs(true: np.ndarray, wrong: np.ndarray) -> bool:
    return true.shape == wrong.shape and not np.allclose(true, wrong, rtol=1e-4, atol=1e-6 * np.abs(true).max())


@pytest.mark.quick(1)
@pytest.mark.parametrize("model", MODELS)
def test_the_backward_passes_by_hand_are_right_without_a_bug(model: str) -> None:
    data, backward, net = MODELS[model]
    d = data(9)
    loss, inputs = net(d)
    loss.backward()
    for name, gradient in backward(d, "").items():
        np.testing.assert_allclose(gradient, inputs[name].grad, rtol=1e-10, atol=1e-12)
        verdict = ac.check(gradient, of=loss, wrt=inputs[name])
        assert verdict.kind == "right" and not verdict.mistakes


def a_wrong_gradient(model: str, bug: str) -> tuple[Any, Any, np.ndarray]:
    """(loss, tensor, wrong gradient) at a random seed, of a random tensor that the bug reaches."""
    data, backward, net = MODELS[model]
    rng = np.random.default_rng(zlib.crc32(f"{model} {bug}".encode()))
    for _ in range(20):
        d = data(int(rng.integers(10_000)))
        true, wrong = backward(d, ""), backward(d, bug)
        reached = [name for name in true if differs(true[name], wrong[name]) and np.any(wrong[name])]
        if reached:
            loss, inputs = net(d)
            name = reached[rng.integers(len(reached))]
            return loss, inputs[name], wrong[name]
    raise AssertionError(f"{bug!r} changes nothing in {model!r}")


@pytest.mark.dear
@pytest.mark.quick(3)
@pytest.mark.parametrize(("model", "bug"), ROWS)
def test_a_bug_made_by_hand_is_named(model: str, bug: str) -> None:
    loss, tensor, wrong = a_wrong_gradient(model, bug)
    verdict = ac.check(wrong, of=loss, wrt=tensor)
    name = BUGS[model][bug]
    first = {m.name for m in verdict.mistakes}
    others = {m.name for group in verdict.alternatives for m in group}
    if (model, bug) in TIED or verdict.kind == "right for another forward":
        assert name in first | others, verdict.text
    else:
        assert name in first and len(first) == 1, verdict.text
