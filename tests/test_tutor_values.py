"""ac.check without wrt: a claim about a value, and which slip of the forward pass leads to it.

The wrong numbers come from loops and NumPy alone, never from the tutor's own forward passes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers.by_hand_loops import conv_forward, pool_forward

import autoconv as ac
from autoconv import nn

Array = Any
rng = np.random.default_rng(12)
X, W, B = rng.normal(size=(2, 3, 6, 7)), rng.normal(size=(4, 3, 3, 3)), rng.normal(size=4)
SIGNAL, FILTER = rng.normal(size=11), rng.normal(size=4)
INPUTS, WEIGHTS, BIAS = rng.normal(size=(5, 3)), rng.normal(size=(3, 3)), rng.normal(size=3)


def by_hand(x: Array = X, w: Array = W, b: Array = B, stride: int = 2, pad: int = 1) -> Array:
    return conv_forward(x, w, b, stride, pad)


def convolved() -> Any:
    """(N, C, H, W) with stride 2 and padding 1, as the loops have it."""
    x, w, b = ac.tensor(X, name="x"), ac.tensor(W, name="w"), ac.tensor(B, name="b")
    y = ac.conv2d(x, w, b, stride=2, padding=1, layout="channels_first")
    y.name = "y"
    return y


def last(y: Array) -> Array:
    """(N, C, H, W) as (N, H, W, C)."""
    return y.transpose(0, 2, 3, 1)


def convolved_last() -> Any:
    w = ac.tensor(W.transpose(2, 3, 1, 0), name="w")
    return ac.conv2d(ac.tensor(last(X), name="x"), w, ac.tensor(B, name="b"), stride=2, padding=1)


def soft(z: Array, axis: int = 1) -> Array:
    e = np.exp(z)
    return e / e.sum(axis=axis, keepdims=True)


def dense() -> Any:
    x, w, b = ac.tensor(INPUTS, name="x"), ac.tensor(WEIGHTS, name="w"), ac.tensor(BIAS, name="b")
    return ac.softmax(ac.tanh(x @ w + b))


def dense_by_hand(w: Array = WEIGHTS, b: Array = BIAS, act: Callable[..., Array] = np.tanh, out: Any = soft) -> Array:
    return out(act(INPUTS @ w + b))


def slid() -> Any:
    return ac.conv1d(ac.tensor(SIGNAL, name="s"), ac.tensor(FILTER, name="f"), dilation=2)


def slid_by_hand(f: Array = FILTER, dilation: int = 2, stride: int = 1) -> Array:
    n = (len(SIGNAL) - dilation * (len(f) - 1) - 1) // stride + 1
    return np.array([sum(f[k] * SIGNAL[i * stride + k * dilation] for k in range(len(f))) for i in range(n)])


def pooled(mode: str) -> Any:
    pool = ac.max_pool2d if mode == "max" else ac.avg_pool2d
    return pool(ac.tensor(X, name="x"), 2, stride=1, layout="channels_first")


def standardised(ddof: int = 0) -> Array:
    return (INPUTS - INPUTS.mean(axis=0)) / np.sqrt(INPUTS.var(axis=0, ddof=ddof) + 1e-5)


WRONG: dict[str, tuple[Callable[[], Any], Callable[[], Array], list[str]]] = {
    "rotated": (convolved, lambda: by_hand(w=W[:, :, ::-1, ::-1]), ["kernel rotated"]),
    "rotated, channels last": (convolved_last, lambda: last(by_hand(w=W[:, :, ::-1, ::-1])), ["kernel rotated"]),
    "rotated, one dimension": (slid, lambda: slid_by_hand(FILTER[::-1]), ["kernel rotated"]),
    "rows reversed": (convolved, lambda: by_hand(w=W[:, :, ::-1]), ["kernel reversed along one axis"]),
    "transposed": (convolved, lambda: by_hand(w=W.swapaxes(2, 3)), ["kernel transposed"]),
    "first channel": (convolved, lambda: by_hand(X[:, :1], W[:, :1]), ["only the first channel"]),
    "no bias": (convolved, lambda: by_hand(b=0 * B), ["bias forgotten"]),
    "bias for each product": (convolved, lambda: by_hand(b=27 * B), ["bias counted several times"]),
    "bias subtracted": (convolved_last, lambda: last(by_hand(b=-B)), ["bias subtracted"]),
    "stride 1": (convolved, lambda: by_hand(stride=1), ["another stride"]),
    "no padding": (convolved_last, lambda: last(by_hand(pad=0)), ["another padding"]),
    "no dilation": (slid, lambda: slid_by_hand(dilation=1), ["another dilation"]),
    "rotated, no bias": (
        convolved, lambda: by_hand(w=W[:, :, ::-1, ::-1], b=0 * B), ["bias forgotten", "kernel rotated"],
    ),
    "negative": (convolved, lambda: -by_hand(), ["sign"]),
    "three times": (convolved, lambda: 3 * by_hand(), ["factor"]),
    "upside down": (convolved, lambda: by_hand()[:, :, ::-1], ["right numbers in the wrong places"]),
    "no relu": (lambda: ac.relu(convolved()), by_hand, ["relu left out"]),
    "mean for max": (lambda: pooled("max"), lambda: pool_forward(X, 2, 1, "avg"), ["mean of the window"]),
    "max for mean": (lambda: pooled("avg"), lambda: pool_forward(X, 2, 1, "max"), ["largest of the window"]),
    "weights transposed": (dense, lambda: dense_by_hand(w=WEIGHTS.T), ["weights transposed"]),
    "no tanh": (dense, lambda: dense_by_hand(act=lambda z: z), ["tanh left out"]),
    "softmax over examples": (dense, lambda: dense_by_hand(out=lambda z: soft(z, 0)), ["softmax over another axis"]),
    "exp alone": (dense, lambda: dense_by_hand(out=np.exp), ["softmax not normalised"]),
    "dense without bias": (dense, lambda: dense_by_hand(b=0 * BIAS), ["bias forgotten"]),
    "n - 1": (lambda: ac.batch_norm(ac.tensor(INPUTS)), lambda: standardised(1), ["divided by n - 1"]),
    "sum for mean": (
        lambda: ac.losses.mse(convolved(), np.zeros((2, 4, 3, 4))), lambda: (by_hand() ** 2).sum(),
        ["sum instead of mean"],
    ),
    "mean for sum": (lambda: ac.sum(convolved()), lambda: by_hand().mean(), ["mean instead of sum"]),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_value_is_explained_by_its_slip(case: str) -> None:
    net, numbers, names = WRONG[case]
    y = net()
    verdict = ac.check(numbers(), of=y)
    assert verdict.kind == "wrong" and not verdict and verdict.status == 1
    assert sorted(m.name for m in verdict.mistakes) == sorted(names), verdict.text
    assert np.array_equal(verdict.gradient, y.value) and verdict.hints["nudge"]


RIGHT: dict[str, tuple[Callable[[], Any], Callable[[], Array]]] = {
    "convolution": (convolved, by_hand), "channels last": (convolved_last, lambda: last(by_hand())),
    "dense": (dense, dense_by_hand), "signal": (slid, slid_by_hand),
    "pool": (lambda: pooled("max"), lambda: pool_forward(X, 2, 1, "max")),
    "norm": (lambda: ac.batch_norm(ac.tensor(INPUTS)), standardised),
    "four digits": (convolved, lambda: np.round(by_hand(), 4)),
    "one element": (lambda: convolved()[0, 1, 2, 3], lambda: by_hand()[0, 1, 2, 3]),
    "a row": (lambda: convolved()[0, 1, 2], lambda: by_hand()[0, 1, 2]),
    "a loss": (lambda: ac.sum(convolved()), lambda: float(by_hand().sum())),
}  # fmt: skip


@pytest.mark.parametrize("case", RIGHT)
def test_a_right_value_is_right(case: str) -> None:
    net, numbers = RIGHT[case]
    verdict = ac.check(numbers(), of=net())
    assert verdict.kind == "right" and verdict.summary == "this is the value.", verdict.text


@pytest.mark.parametrize(
    ("index", "change", "names"),
    [
        ((0, 1, 1, 2), lambda: by_hand(w=W[:, :, ::-1, ::-1]), {"kernel rotated"}),
        ((1, 3, 1, 1), lambda: by_hand(b=0 * B), {"bias forgotten"}),
        ((0, 2, 1, 1), lambda: by_hand(pad=0), {"another padding"}),
        ((0, 0, 1, 2), lambda: by_hand(stride=1), {"another stride"}),
        ((1, 2, 0, 0), lambda: np.roll(by_hand(), -1, axis=3), {"right numbers in the wrong places"}),
    ],
)
def test_one_number_is_little_evidence(index: tuple[int, ...], change: Callable[[], Array], names: set[str]) -> None:
    verdict = ac.check(float(change()[index]), of=convolved()[index])
    told = {m.name for group in [verdict.mistakes, *verdict.alternatives] for m in group}
    assert verdict.kind == "wrong" and names <= told and "One number is little evidence" in verdict.text
    assert f"Look at y{list(index)}: you have" in verdict.text and "the value is" in verdict.text


@pytest.mark.parametrize(
    ("claim", "kind", "said"),
    [
        ("conv(x, w, b, stride=2, padding=1, layout='NCHW')", "right", "2 fresh random inputs"),
        ("y[n,o,i,j] = b[o] + sum(c,p,q, x[n,c,2*i+p-1,2*j+q-1] * w[o,c,p,q])", "right", "2 fresh random inputs"),
        ("conv(x, w, b, stride=2, padding=1, flip=True, layout='NCHW')", "wrong", "kernel rotated"),
        ("conv(x, w, stride=2, padding=1, layout='NCHW')", "wrong", "in 3 runs"),
        (lambda x, w, b: conv_forward(x, w, b, 2, 1), "right", "The function also agrees"),
        (lambda x, w, b: conv_forward(x, w, 0 * b, 2, 1), "wrong", "bias forgotten"),
        ((2, 4, 3, 4), "right", "the value has the shape"),
        ((2, 4, 6, 7), "wrong", "the stride was 1, where this layer has 2"),
        ((2, 4), "wrong", "Compare the number of axes|How often does the window fit"),
    ],
)
def test_formulas_functions_and_shapes(claim: Any, kind: str, said: str) -> None:
    verdict = ac.check(claim, of=convolved())
    assert verdict.kind == kind and any(words in verdict.text for words in said.split("|")), verdict.text


def test_a_formula_that_is_right_by_accident() -> None:
    x = ac.tensor([2.0, 2.0], name="x")
    verdict = ac.check("2 * x", of=x * x)
    assert verdict.kind == "right only here" and verdict.telling_input is not None and verdict.status != 0


def test_random_numbers_are_unknown_and_a_slip_is_found_where_it_is() -> None:
    y = convolved()
    verdict = ac.check(np.random.default_rng(0).normal(size=y.shape), of=y)
    assert verdict.kind == "unknown" and not verdict.mistakes and verdict.counter_example is not None
    numbers = by_hand()
    numbers[1, 0, 2, 3] += 0.5
    (mistake,) = ac.check(numbers, of=y).mistakes
    assert mistake.name == "arithmetic slip" and mistake.place == "element y[1, 0, 2, 3]"
    numbers += np.random.default_rng(1).normal(size=y.shape) * (np.arange(y.size).reshape(y.shape) % 2)
    assert ac.check(numbers, of=y).kind == "unknown"


def test_what_these_numbers_cannot_show() -> None:
    x = ac.tensor(np.ones((5, 5)), name="x")
    y = ac.conv2d(x, ac.tensor([[1.0, 2.0], [3.0, 4.0]], name="w"))
    verdict = ac.check(np.full((4, 4), 10.0), of=y)
    assert (
        verdict.kind == "right" and "cannot show whether you would" in verdict.text and "kernel rotated" in verdict.text
    )


def test_layers_and_what_is_refused() -> None:
    model = nn.Sequential(nn.Linear(3, 4, rng=rng), nn.ReLU(), nn.Linear(4, 2, rng=rng))
    out = model(ac.tensor(INPUTS.astype(np.float32)))
    first, second = model[0], model[2]
    hidden = np.maximum(INPUTS @ first.weight.value.astype(float) + first.bias.value, 0)
    assert ac.check(hidden @ second.weight.value.astype(float) + second.bias.value, of=out).kind == "right"
    linear = (INPUTS @ first.weight.value.astype(float) + first.bias.value) @ second.weight.value.astype(float)
    names = {m.name for m in ac.check(linear + second.bias.value, of=out).mistakes}
    assert names == {"relu left out"}
    w = ac.tensor([1.0, 2.0], name="w")
    for claim, kind, words in (
        (np.ones(2), TypeError, "with respect to what"), ("sum", ValueError, "rule 'sum' is of a gradient"),
        (None, TypeError, "claim"), (np.nan, ValueError, "nan"), ("w + zz", ValueError, "no tensor named"),
    ):  # fmt: skip
        with pytest.raises(kind, match=words):
            ac.check(claim, of=ac.sum(w * w))
    with pytest.raises(ValueError, match="infinite or nan"), np.errstate(all="ignore"):
        ac.check(1.0, of=ac.sum(w / 0.0))
