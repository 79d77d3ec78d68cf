"""Claims that are no mistakes: ties broken otherwise, another forward, finite differences; and right only here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.nets_for_tutor import with_conventions
from helpers.verdicts import names_of

import autoconv as ac
from autoconv.tutor.certificate import certificate
from autoconv.tutor.check import check

THIRD = 1 / 3


# ---- ties


def largest(t: Any) -> Any:
    return ac.max(t)


def rows(t: Any) -> Any:
    return ac.sum(ac.max(t, axis=1) * np.array([1.0, 2.0]))


def rectified(t: Any) -> Any:
    return ac.sum(ac.relu(t))


def absolute(t: Any) -> Any:
    return ac.sum(abs(t))


def pooled(t: Any) -> Any:
    return ac.sum(ac.max_pool2d(t, 2) * 4)


def padded(t: Any) -> Any:
    return ac.sum(ac.max_pool2d(t, 2, padding=1))


ONES = np.ones((2, 2))


@pytest.mark.parametrize(
    ("loss", "at", "claim", "kind"),
    [
        (largest, [2, 2, 2, 1], [1, 0, 0, 0], "right"), (largest, [2, 2, 2, 1], [0, 1, 0, 0], "right"),
        (largest, [2, 2, 2, 1], [0, 0, 1, 0], "right"),
        (largest, [2, 2, 2, 1], [THIRD, THIRD, THIRD, 0], "right"),
        (largest, [2, 2, 2, 1], [0.333, 0.333, 0.333, 0], "right"),
        (largest, [2, 2, 2, 1], [0.5, 0.5, 0, 0], "right"), (largest, [2, 2, 2, 1], [1, 1, 1, 0], "wrong"),
        (largest, [2, 2, 2, 1], [0, 0, 0, 1], "wrong"),
        (largest, [2, 2, 2, 1], [-THIRD, -THIRD, -THIRD, 0], "wrong"), (largest, [5, 5, 5, 5, 5], [0.2] * 5, "right"),
        (largest, [2, 2, 2, 1], [0.7, 0.7, -0.4, 0], "unknown"),
        (rows, [[1, 1, 1], [2, 3, 3]], [[THIRD] * 3, [0, 1, 1]], "right"),
        (rows, [[1, 1, 1], [2, 3, 3]], [[0, 1, 0], [0, 0.5, 1.5]], "right"),
        (rectified, [0, 1, -1, 0], [1, 1, 0, 1], "right"), (rectified, [0, 1, -1, 0], [0.5, 1, 0, 0], "right"),
        (rectified, [0, 1, -1, 0], [2, 1, 0, 2], "unknown"),
        (absolute, [0, 1, -1], [-1, 1, -1], "right"), (absolute, [0, 1, -1], [0.3, 1, -1], "right"),
        (absolute, [0, 1, -1], [1.3, 1, -1], "unknown"),
        (pooled, ONES, ONES, "right"), (pooled, ONES, [[0, 4], [0, 0]], "right"), (pooled, ONES, 4 * ONES, "wrong"),
        (pooled, [[1, 1], [1, 0]], [[4 * THIRD, 4 * THIRD], [4 * THIRD, 0]], "right"),
        (padded, ONES, ONES, "right"), (padded, [[1, 2], [3, 4]], ONES, "right"),
    ],
)  # fmt: skip
def test_a_tie_is_a_convention(loss: Any, at: Any, claim: Any, kind: str) -> None:
    t = ac.tensor(np.array(at, float), name="t")
    verdict = check(np.array(claim, float), of=loss(t), wrt=t)
    assert verdict.kind == kind, verdict.text


def test_a_tie_is_mentioned_only_where_it_matters() -> None:
    rng = np.random.default_rng(0)
    twice = ac.tensor(np.array([[1.0, 2.0], [3.0, 4.0]]), name="t")  # a border repeats cells: that is no tie
    assert "ties" not in check(np.ones((2, 2)), of=padded(twice), wrt=twice).text
    w = ac.tensor(rng.normal(size=(3, 3)), name="w")
    loss = ac.sum(ac.max_pool2d(ac.relu(ac.conv2d(rng.normal(size=(8, 8)), w)), 2))
    loss.backward()
    verdict = check(w.grad, of=loss, wrt=w)  # windows of zeros are tied, and relu stops whatever goes there
    assert verdict.kind == "right" and "ties" not in verdict.text


def test_a_function_that_breaks_ties_otherwise_is_tried_elsewhere_too() -> None:
    t = ac.tensor([2.0, 2.0, 2.0, 1.0], name="t")
    assert check(lambda t: (t == t.max()) / (t == t.max()).sum(), of=largest(t), wrt=t).kind == "right"
    assert check(lambda t: np.array([1, 1, 1, 0]) / 3 * t[0] / 2, of=largest(t), wrt=t).kind != "right"


# ---- another forward


def test_a_loss_that_is_reduced_otherwise() -> None:
    rng = np.random.default_rng(1)
    W, X = rng.normal(size=(4, 3)), rng.normal(size=(7, 4))
    w = ac.tensor(W, name="w")
    total, mean = (lambda w: ac.sum(ac.tanh(X @ w) ** 2)), (lambda w: ac.mean(ac.tanh(X @ w) ** 2))
    per_example = lambda w: ac.sum(ac.tanh(X @ w) ** 2) / 7.0
    for recorded, claimed, n in (
        (mean, total, "sum"),
        (total, mean, "mean over 21"),
        (total, per_example, "mean over 7"),
    ):
        verdict = check(ac.grad(claimed)(W), of=recorded(w), wrt=w)
        assert verdict.kind == "right for another forward" and n in verdict.summary
    assert "a constant factor" in names_of(check(39 * ac.grad(total)(W), of=total(w), wrt=w))


def test_two_conventions_at_once_and_a_sign_on_top() -> None:
    loss, w = with_conventions()
    here = ac.tensor(w, name="w")
    both = ac.grad(lambda w: loss(w, True, (0, 3, 1, 2)))(w)
    verdict = check(both, of=loss(here), wrt=here)
    assert (
        verdict.kind == "right for another forward" and "rotated" in verdict.summary and "flattening" in verdict.summary
    )
    negative = check(-ac.grad(lambda w: loss(w, True))(w), of=loss(here), wrt=here)
    assert [m.name for m in negative.mistakes] == ["sign"] and "true convolution" in negative.text


def test_new_weights_and_weight_decay_are_told_apart_from_gradients() -> None:
    rng = np.random.default_rng(3)
    W = rng.normal(size=(3, 4))
    w = ac.tensor(W, name="w")
    loss = ac.sum(ac.tanh(rng.normal(size=(5, 3)) @ w) ** 2)
    loss.backward()
    stepped = check(W - 0.1 * w.grad, of=loss, wrt=w)
    assert stepped.kind == "wrong" and names_of(stepped) == {"new weights instead of the gradient"}
    decayed = check(w.grad + 0.02 * W, of=loss, wrt=w)
    assert decayed.kind == "right for another forward" and "0.01 * sum(w**2)" in decayed.summary


# ---- finite differences


def smooth(w: Any, dtype: Any = float) -> Any:
    data = np.random.default_rng(4).normal(size=(5, 4)).astype(dtype)
    return ac.mean((ac.tanh(ac.tensor(data) @ w) - dtype(0.3)) ** 2)


def kinked(w: Any, dtype: Any = float) -> Any:
    data = np.random.default_rng(5).normal(size=(3, 4)).astype(dtype)
    return ac.losses.cross_entropy(ac.relu(ac.tensor(data) @ w), np.array([0, 2, 1]))


def difference(loss: Any, w: Any, step: float, sides: tuple[int, int], dtype: Any) -> Any:
    made = np.zeros(w.shape)
    for i in np.ndindex(w.shape):
        values = []
        for side in sides:
            moved = w.astype(dtype)
            moved[i] += dtype(side * step)
            values.append(loss(ac.tensor(moved), dtype).item())
        made[i] = (values[0] - values[1]) / ((sides[0] - sides[1]) * step)
    return made


@pytest.mark.dear
@pytest.mark.quick(2)
@pytest.mark.parametrize("loss", [smooth, kinked])
@pytest.mark.parametrize("sides", [(1, -1), (1, 0), (0, -1)])
@pytest.mark.parametrize(
    ("step", "dtype"),
    [(0.3, float), (0.07, float), (0.02, float), (1e-10, float), (3e-12, float), (1e-13, float), (0.1, np.float32),
        (1e-3, np.float32), (2e-5, np.float32)],
)  # fmt: skip
def test_a_finite_difference_is_the_checkers_fault(loss: Any, sides: Any, step: float, dtype: Any) -> None:
    w = np.random.default_rng(6).normal(size=(4, 3))
    here = ac.tensor(w, name="w")
    verdict = check(difference(loss, w, step, sides, dtype), of=loss(here), wrt=here)
    assert verdict.kind == "checker at fault", verdict.text
    assert not verdict.mistakes


@pytest.mark.dear
def test_noise_alone_accuses_nobody() -> None:
    w = np.random.default_rng(6).normal(size=(4, 3))
    here = ac.tensor(w, name="w")
    loss = smooth(here)
    loss.backward()
    noise = 1 + 0.01 * np.random.default_rng(7).normal(size=w.shape)
    assert check(here.grad * noise, of=loss, wrt=here).kind == "checker at fault"
    assert "about 39" in check(39 * here.grad * noise, of=loss, wrt=here).text
    assert check(lambda w: difference(smooth, w, 1e-5, (1, -1), float), of=loss, wrt=here).kind == "right"


# ---- right only here


def weights_gradient(x: Any, o: Any, w: Any, every: bool) -> Any:
    made, d = np.zeros_like(w), 2 * np.tanh(o) * (1 - np.tanh(o) ** 2)
    for n in range(len(x) if every else 1):
        for i, j in np.ndindex(*o.shape[1:3]):
            made += x[n, i : i + w.shape[0], j : j + w.shape[1], :, None] * d[n, i, j]
    return made


def test_one_example_cannot_tell_whether_all_are_summed() -> None:
    rng = np.random.default_rng(0)
    x, w = ac.tensor(rng.normal(size=(1, 5, 5, 1)), name="x"), ac.tensor(rng.normal(size=(2, 2, 1, 1)), name="w")
    o = ac.conv2d(x, w)
    loss = ac.sum(ac.tanh(o) ** 2)
    assert check(lambda x, o, w: weights_gradient(x, o, w, True), of=loss, wrt=w, names={"o": o}).kind == "right"
    verdict = check(lambda x, o, w: weights_gradient(x, o, w, False), of=loss, wrt=w, names={"o": o})
    assert verdict.kind == "right only here" and "not summed over batch" in names_of(verdict)
    assert verdict.telling_input["x"].shape == (2, 6, 7, 2) and "see .telling_input" in verdict.text


@pytest.mark.parametrize(
    ("formula", "kind"),
    [("full(2*o, rot180(w))", "right"), ("full(2*o, w)", "right only here"), ("full(2*o, w*w)", "right only here"),
        ("full(o*o/2, w)", "right only here"), ("8", "wrong")],
)  # fmt: skip
def test_ones_everywhere_hide_nothing(formula: str, kind: str) -> None:
    x, w = ac.tensor(np.ones((4, 4)), name="x"), ac.tensor(np.ones((2, 2)), name="w")
    o = ac.conv2d(x, w)
    verdict = check(formula, of=ac.sum(o * o), wrt=x, names={"o": o})
    assert verdict.kind == kind and verdict.status == (kind != "right")


def test_a_formula_of_numbers_alone_is_but_these_numbers() -> None:
    u, v = ac.tensor(1.0, name="u"), ac.tensor(2.0, name="v")
    loss = u**2 * v + u
    cases = [
        ("2*u*v + 1", "right"),
        ("2*v + 1", "right only here"),
        ("2*u**2*v + u", "right only here"),
        ("5", "right"),
        ("2.5*2", "right"),
        ("4", "wrong"),
    ]
    for formula, kind in cases:
        assert check(formula, of=loss, wrt=u).kind == kind, formula


# ---- certificates


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    "settings", [{}, {"stride": 2, "padding": 1, "output_padding": 1}, {"stride": 2, "dilation": 2}]
)
@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_certificates_of_transposed_convolutions(settings: Any, layout: str) -> None:
    rng = np.random.default_rng(3)
    last = layout == "channels_last"
    x = ac.tensor(rng.normal(size=(2, 4, 3, 3) if last else (2, 3, 4, 3)), name="x")
    w = ac.tensor(rng.normal(size=(3, 2, 2, 3) if last else (3, 2, 3, 2)), name="w")
    loss = ac.sum(ac.tanh(ac.conv_transpose2d(x, w, layout=layout, **settings)))
    for name in ("x", "w"):
        made = certificate(loss, name)
        assert made and np.allclose(made.closed, made.gradient, rtol=1e-10)


@pytest.mark.dear
def test_a_certificate_at_kinks_and_ties_and_of_padded_pooling() -> None:
    rng = np.random.default_rng(3)
    x = ac.tensor(rng.normal(size=(1, 6, 7, 2)), name="x")
    for pooled in (
        ac.max_pool2d(x, 3, stride=2, padding=1),
        ac.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False),
        ac.max_pool2d(x, 2, ceil_mode=True),
    ):
        made = certificate(ac.sum(ac.tanh(pooled)), x)
        assert made and made.closed is not None and not made.kinks
    tied = ac.tensor(np.array([0.0, 1.0, -1.0, 0.0]), name="t")
    made = certificate(ac.sum(ac.relu(tied) ** 2 + ac.relu(tied)), tied)
    assert made and made.kinks == 2 and "kink or a tie" in made.text
    with pytest.raises(ValueError, match="certificate: wrt"):
        certificate(ac.sum(x), tied)


@pytest.mark.parametrize(
    ("dims", "shape", "said"),
    [
        (2, (4, 5), "valid"), (2, (6, 7), "shape of the output"), (2, (10, 11), "padded image"), (1, (5,), "valid"),
        (3, (2, 2, 2), "shape of the output"),
    ],
)  # fmt: skip
def test_a_plain_image_gets_the_geometry_of_a_wrong_shape(dims: int, shape: tuple[int, ...], said: str) -> None:
    size, window, pad = {1: ((9,), (3,), 0), 2: ((8, 9), (3, 3), 0), 3: ((3, 3, 3), (2, 2, 2), 0)}[dims]
    pad = 1 if said == "padded image" else pad
    x, w = ac.tensor(np.ones(size), name="x"), ac.tensor(np.ones(window), name="w")
    y = getattr(ac, f"conv{dims}d")(x, w, padding=pad)
    verdict = ac.check(np.arange(np.prod(shape), dtype=float).reshape(shape), of=ac.sum(y * y), wrt=x)
    assert verdict.kind == "wrong" and said in verdict.text, verdict.text
