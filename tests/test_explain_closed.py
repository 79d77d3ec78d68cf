"""ac.explain of a value, and textbook formulas of norms, softmax and losses, against numbers by NumPy alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import autoconv as ac

Array = Any
rng = np.random.default_rng(6)
Z, D, LABELS = rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), np.array([2, 0, 0, 1])
IMAGE, GRAIN = rng.normal(size=(2, 4, 3, 5)), rng.normal(size=(2, 4, 3, 5))
GAMMA, BETA = rng.normal(size=4), rng.normal(size=4)


def soft(z: Array, axis: int = 1) -> Array:
    return np.exp(z) / np.exp(z).sum(axis=axis, keepdims=True)


def norm_ways(x: Array, h: Array, at: tuple[int, ...], axes: tuple[int, ...], eps: float = 1e-5) -> list[float]:
    """What comes by the element itself, by the mean and by the variance."""
    s = np.sqrt(x.var(axis=axes, keepdims=True) + eps)
    hat = (x - x.mean(axis=axes, keepdims=True)) / s
    parts = h / s, -h.mean(axis=axes, keepdims=True) / s, -hat * (h * hat).mean(axis=axes, keepdims=True) / s
    return [float(np.broadcast_to(p, x.shape)[at]) for p in parts]


def image() -> Any:
    return ac.tensor(IMAGE, name="x")


def first(scale: Array) -> Array:
    return scale[:, None, None]


AT = (1, 2, 0, 3)
NORMS: dict[str, tuple[Callable[[Any], Any], Callable[[], list[float]]]] = {
    "batch": (
        lambda x: ac.batch_norm(x, ac.tensor(GAMMA, name="gamma"), ac.tensor(BETA, name="beta"), layout="NCHW"),
        lambda: norm_ways(IMAGE, GRAIN * first(GAMMA), AT, (0, 2, 3)),
    ),
    "batch, channels last, bare": (lambda x: ac.batch_norm(x), lambda: norm_ways(IMAGE, GRAIN, AT, (0, 1, 2))),
    "batch, another eps": (
        lambda x: ac.batch_norm(x, eps=0.3), lambda: norm_ways(IMAGE, GRAIN, AT, (0, 1, 2), 0.3),
    ),
    "layer": (lambda x: ac.layer_norm(x), lambda: norm_ways(IMAGE, GRAIN, AT, (3,))),
    "layer of three axes": (
        lambda x: ac.layer_norm(x, ac.tensor(GRAIN[0], name="w"), axis=(1, 2, 3)),
        lambda: norm_ways(IMAGE, GRAIN * GRAIN[0], AT, (1, 2, 3)),
    ),
    "instance": (
        lambda x: ac.instance_norm(x, ac.tensor(GAMMA), layout="NCHW"),
        lambda: norm_ways(IMAGE, GRAIN * first(GAMMA), AT, (2, 3)),
    ),
    "group": (
        lambda x: ac.group_norm(x, 2, ac.tensor(GAMMA), layout="NCHW"),
        lambda: norm_ways(IMAGE[:, 2:], (GRAIN * first(GAMMA))[:, 2:], (1, 0, 0, 3), (1, 2, 3)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", NORMS)
def test_a_normalisation_opens_into_itself_its_mean_and_its_variance(case: str) -> None:
    net, ways = NORMS[case]
    x = image()
    made = ac.explain(x[AT], of=ac.sum(net(x) * GRAIN))
    closed = made.sum.closed
    assert closed is not None and [p.words for p in closed.parts] == [
        "by its own output",
        "by the mean",
        "by the variance",
    ]
    assert [p.value for p in closed.parts] == pytest.approx(ways(), rel=1e-9)
    assert made.total == pytest.approx(sum(ways()), rel=1e-9)
    text = made.text
    assert "by the variance: -hat(x)[1,2,0,3] mean(" in text and "with hat(x) = (x - mean) / s" in text
    assert "√(var + eps)" in text and "mean" in made.html and r"\hat{x}" in made.latex
    ElementTree.fromstring(made.mathml)


def test_the_scale_of_a_norm_is_a_sum_over_what_it_scales() -> None:
    x, gamma = ac.tensor(Z, name="z"), ac.tensor([1.0, -2.0, 0.5], name="gamma")
    made = ac.explain(gamma[1], of=ac.sum(ac.batch_norm(x, gamma) * D), names={"upstream": D})
    hat = (Z - Z.mean(axis=0)) / np.sqrt(Z.var(axis=0) + 1e-5)
    assert made.total == pytest.approx(float((hat * D)[:, 1].sum()))
    assert made.text.startswith(
        "dL/dgamma[1] = hat(z)[0,1] d[0,1] + hat(z)[1,1] d[1,1] + hat(z)[2,1] d[2,1] + hat(z)[3,1]"
    )


def cross(**settings: Any) -> Callable[[Any], Any]:
    return lambda z: ac.losses.cross_entropy(z, LABELS, **settings)


ONE_HOT = np.eye(3)[LABELS]
SMOOTH = ONE_HOT * 0.8 + 0.2 / 3
WEIGHTED = np.array([1.0, 2.0, 4.0])
LOSSES: dict[str, tuple[Callable[[Any], Any], Array, str]] = {
    "cross-entropy": (cross(), (soft(Z) - ONE_HOT) / 4, "(p[0,2] - 1) / 4"),
    "sum": (cross(reduction="sum"), soft(Z) - ONE_HOT, "p[0,2] - 1"),
    "smoothed": (cross(label_smoothing=0.2), (soft(Z) - SMOOTH) / 4, "(p[0,2] - 0.8667) / 4"),
    "probabilities": (lambda z: ac.losses.cross_entropy(z, SMOOTH), (soft(Z) - SMOOTH) / 4, "(p[0,2] - 0.8667) / 4"),
    "weighted": (
        lambda z: ac.losses.cross_entropy(z, LABELS, WEIGHTED),
        (soft(Z) - ONE_HOT) * WEIGHTED[LABELS][:, None] / WEIGHTED[LABELS].sum(), "0.5 (p[0,2] - 1)",
    ),
    "softmax": (
        lambda z: ac.sum(ac.softmax(z) * D), soft(Z) * (D - (D * soft(Z)).sum(axis=1, keepdims=True)),
        "p[0,2] (d[0,2] - sum(d p))",
    ),
    "log-softmax": (
        lambda z: ac.sum(ac.log_softmax(z) * D), D - soft(Z) * D.sum(axis=1, keepdims=True), "d[0,2] - p[0,2] sum(d)",
    ),
    "binary": (
        lambda z: ac.losses.bce_with_logits(z, ONE_HOT), (1 / (1 + np.exp(-Z)) - ONE_HOT) / 12,
        "(sigmoid(z[0,2]) - 1) / 12",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LOSSES)
def test_a_loss_opens_into_probability_and_label(case: str) -> None:
    net, gradient, formula = LOSSES[case]
    z = ac.tensor(Z, name="z")
    for index in np.ndindex(*Z.shape):
        made = ac.explain(z[index], of=net(z))
        closed = made.sum.closed
        assert closed is not None, index
        assert sum(p.value for p in closed.parts) == pytest.approx(gradient[index], rel=1e-9, abs=1e-15)
    said = ac.explain(z[0, 2], of=net(z))
    words = formula if "weighted" not in case else None
    assert said.text.splitlines()[0] == f"dL/dz[0,2] = {words}" or (words is None and "(p[0,2] - 1)" in said.text)
    assert len([line for line in said.text.splitlines() if line.startswith("  by the")]) >= 1
    ElementTree.fromstring(said.mathml)


def test_a_loss_among_others_keeps_its_formula_in_its_term() -> None:
    z = ac.tensor(Z, name="z")
    made = ac.explain(z[0, 2], of=3 * cross()(z) + ac.sum(z**2))
    assert made.text.splitlines()[0].startswith("dL/dz[0,2] = ((p[0,2] - 1) / 4) d(")
    assert made.total == pytest.approx(3 * (soft(Z) - ONE_HOT)[0, 2] / 4 + 2 * Z[0, 2])


def test_letters_of_formulas_are_no_names_of_the_users() -> None:
    p, h, s = ac.tensor(Z, name="p"), ac.tensor(Z, name="h"), ac.tensor([1.0, 2.0, 3.0], name="s")
    assert "dL/dp[0,2] = (q[0,2] - 1) / 4" in ac.explain(p[0, 2], of=cross()(p)).text
    text = ac.explain(h[0, 0], of=ac.sum(ac.batch_norm(h, s) * D)).text
    assert "(e[0,0] - mean(e) - hat(h)[0,0] mean(e hat(h))) / std" in text and "with e = s d" in text


def test_what_has_no_closed_form_stays_one_step() -> None:
    z = ac.tensor(Z, name="z")
    for loss in (ac.sum(ac.softplus(z) * D), ac.sum(ac.logsumexp(z, axis=1)), ac.sum(z * D)):
        assert ac.explain(z[0, 0], of=loss).sum.closed is None
    ignored = ac.losses.cross_entropy(z, LABELS, ignore_index=2)
    assert ac.explain(z[0, 1], of=ignored).total == 0 and ac.explain(z[0, 1], of=ignored).sum.closed is None


# ---- values


def test_a_value_is_the_sum_of_products_that_it_is() -> None:
    x = ac.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0], [2.0, 0.0, 1.0]], name="x")
    w, b = ac.tensor([[1.0, -1.0], [0.5, 2.0]], name="w"), ac.tensor([0.5], name="b")
    y = ac.conv2d(x, w, b)
    y.name = "y"
    made = ac.explain(y[0, 1])
    assert made.text.splitlines() == [
        "y[0,1] = x[0,1] w[0,0] + x[0,2] w[0,1] + x[1,1] w[1,0] + x[1,2] w[1,1] + b[0]",
        "       = 2·1 + 0·(-1) + 1·0.5 + 3·2 + 0.5",
        "       = 9",
    ]
    assert made.value == 9 and [t.product for t in made.terms] == [2, 0, 0.5, 6, 0.5] and made.name == "y[0,1]"
    ElementTree.fromstring(made.mathml)
    assert r"x_{0,1} \, w_{0,0}" in made.latex and "<math" in made.html and made.markdown.startswith("$$")


def test_levels_below_a_value_and_depth() -> None:
    x, w, v = ac.tensor([1.0, 2.0, 3.0], name="x"), ac.tensor([2.0, -1.0], name="w"), ac.tensor([1.0, 3.0], name="v")
    h = ac.relu(ac.conv1d(x, w))
    y = ac.sum((h * v - 1.0) ** 2)
    h.name, y.name = "h", "y"
    lines = ac.explain(y).text.splitlines()
    assert lines[-1].strip().startswith("%") or "x[" in lines[-1]
    assert any(line.strip().startswith("h[1] = relu(") for line in lines)
    assert len(ac.explain(y, depth=1).text.splitlines()) < len(lines)
    with pytest.raises(ValueError, match="depth"):
        ac.explain(y, depth=0)


def given(data: Any, name: str) -> Any:
    return ac.tensor(data, name=name)


SQUARE, ROW = [[1.0, 4.0], [3.0, 2.0]], [0.0, 1.0]
VALUES: dict[str, tuple[Callable[[], Any], str]] = {
    "max pool": (lambda: ac.max_pool2d(given(SQUARE, "x"), 2), "max(x[0,0], x[0,1], x[1,0], x[1,1])"),
    "mean pool": (lambda: ac.avg_pool2d(given(SQUARE, "x"), 2), "(x[0,0] + x[0,1] + x[1,0] + x[1,1]) / 4"),
    "softmax": (lambda: ac.softmax(given(ROW, "z"))[1], "exp(z[1]) / (exp(z[0]) + exp(z[1]))"),
    "log-softmax": (lambda: ac.log_softmax(given(ROW, "z"))[1], "z[1] - log(exp(z[0]) + exp(z[1]))"),
    "sigmoid": (lambda: ac.sigmoid(given([0.5], "z"))[0], "sigmoid(z[0])"),
    "norm": (
        lambda: ac.batch_norm(given([[1.0], [3.0]], "z"), given([2.0], "g"), given([1.0], "b"))[1, 0],
        "g[0] (z[1,0] - mean) / s + b[0]",
    ),
    "cross-entropy": (
        lambda: ac.losses.cross_entropy(given(SQUARE, "z"), np.array([1, 0])), "-(log p[0,1] + log p[1,0]) / 2",
    ),
    "matrix product": (
        lambda: (given([[1.0, 2.0]], "x") @ given([[3.0], [4.0]], "w"))[0, 0], "x[0,0] w[0,0] + x[0,1] w[1,0]",
    ),
    "groups, channels first": (
        lambda: ac.conv1d(given([SQUARE], "x"), given([[[5.0]], [[6.0]]], "w"), groups=2, layout="NCW")[0, 1, 0],
        "x[0,1,0] w[1,0,0]",
    ),
    "volume": (
        lambda: ac.conv3d(given(np.ones((2, 1, 1)), "x"), given(np.ones((2, 1, 1)), "w"))[0, 0, 0],
        "x[0,0,0] w[0,0,0] + x[1,0,0] w[1,0,0]",
    ),
    "difference": (lambda: given(3.0, "a") - given(2.0, "b") * given(1.0, "c"), "a - b c"),
}  # fmt: skip


@pytest.mark.parametrize("case", VALUES)
def test_the_formula_of_a_value(case: str) -> None:
    make, formula = VALUES[case]
    y = make()
    made = ac.explain(y, depth=1)
    assert made.text.splitlines()[0] == f"L = {formula}", made.text
    assert made.value == y.item() and sum(t.product for t in made.terms) == pytest.approx(y.item())


def test_a_long_value_shows_its_largest_terms_and_where_it_is_saved(tmp_path: Any) -> None:
    x, w = ac.tensor(np.arange(20.0), name="x"), ac.tensor(np.ones(20), name="w")
    y = ac.conv1d(x, w)
    made = ac.explain(y[0])
    assert made.text.splitlines() == [
        "L = x[19] w[19] + x[18] w[18] + x[17] w[17] + x[16] w[16] + ...   (20 terms)",
        "  = 19·1 + 18·1 + 17·1 + 16·1 + ...",
        "  = 190",
        "  1 more term is 0",
    ]
    for ending in (".html", ".md", ".tex", ".txt"):
        assert "19" in made.save(tmp_path / f"value{ending}").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="explain"):
        made.save(tmp_path / "value.doc")


def test_what_is_no_value_is_refused() -> None:
    x = ac.tensor([1.0, 2.0], name="x")
    for thing, kind, words in ((x, ValueError, "2 elements"), (3.0, TypeError, "element of a Tensor")):
        with pytest.raises(kind, match=words):
            ac.explain(thing)
    with pytest.raises(TypeError, match="give the output"):
        ac.explain()
    assert ac.explain(x[0]).text == "x[0] = 1"
