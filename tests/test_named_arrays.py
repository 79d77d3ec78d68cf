"""Plain arrays given as names=locals() have their names in every view, and in formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autoconv as ac

rng = np.random.default_rng(8)
LABELS = np.array([2, 0, 1, 2])
TARGET = rng.normal(size=(4, 3))
UPSTREAM = rng.normal(size=(2, 3, 5, 5))
SIGNAL = rng.normal(size=(1, 7, 2))


def convolved() -> tuple[Any, Any, dict[str, Any]]:
    w = ac.tensor(rng.normal(size=(5, 3, 2, 2)), name="w")
    y = ac.conv2d(ac.tensor(rng.normal(size=(2, 3, 5, 6)), name="x"), w, layout="channels_first")
    return ac.sum(y.transpose((0, 2, 3, 1))[:, :3] * UPSTREAM), w, {"dout": UPSTREAM}


def squared() -> tuple[Any, Any, dict[str, Any]]:
    w = ac.tensor(rng.normal(size=(2, 3)), name="w")
    return ac.sum((ac.tensor(rng.normal(size=(4, 2)), name="x") @ w - TARGET) ** 2), w, {"t": TARGET}


def plain_input() -> tuple[Any, Any, dict[str, Any]]:
    w = ac.tensor(rng.normal(size=(3, 2, 1)), name="w")
    return ac.sum(ac.conv1d(SIGNAL, w, dilation=2) ** 2), w, {"signal": SIGNAL}


CASES = {"convolved": (convolved, "dout"), "squared": (squared, "t"), "plain input": (plain_input, "signal")}


@pytest.mark.dear
@pytest.mark.parametrize("case", CASES)
def test_every_view_says_the_name(case: str) -> None:
    make, name = CASES[case]
    loss, w, names = make()
    index = (0,) * w.ndim
    views: dict[str, Callable[..., str]] = {
        "explain": lambda n: ac.explain(w[index], of=loss, names=n).text,
        "latex": lambda n: ac.explain(w[index], of=loss, names=n).latex,
        "lines": lambda n: ac.graph(loss, zoom="lines", names=n).dot,
        "calls": lambda n: ac.graph(loss, zoom="calls", names=n).dot,
        "step": lambda n: "\n".join(map(str, ac.step(loss, names=n).events)),
        "check": lambda n: ac.check(np.ones(w.shape), of=loss, wrt=w, names=n).text,
    }
    for what, view in views.items():
        said, unsaid = view(names), view({})
        written = name if what != "latex" else rf"\mathrm{{{name}}}" if len(name) > 1 else name
        assert written in said and f"{written}_{{" not in unsaid and f"{name}[" not in unsaid, what


def test_formulas_take_the_array_with_the_tape_to_other_inputs() -> None:
    loss, w, names = squared()
    claim = "dw[a, b] = sum(n, 2 * x[n, a] * (sum(k, x[n, k] * w[k, b]) - t[n, b]))"
    verdict = ac.check(claim, of=loss, wrt=w, names=names)
    assert verdict.kind == "right" and "2 fresh random inputs" in verdict.text


def test_an_array_named_as_a_cotangent_is_told_apart() -> None:
    x, d = ac.tensor([1.0, 2.0], name="x"), np.array([3.0, 4.0])
    y = ac.exp(x)
    y.name = "y"
    assert ac.explain(x[0], of=ac.sum(y * d), names={"d": d}).text.splitlines() == [
        "dL/dx[0] = y[0] g[0]",
        "         = 2.718·3",
        "         = 8.15485",
        "  with g[...] = dL/dy[...]",
        "  g[0] = d[0] = 3·1 = 3",
    ]


@pytest.mark.parametrize(
    ("names", "named"),
    [
        ({"a": np.array([1.5, 2.5])}, True),
        ({"a": np.array([1.5, 2.5], np.float32)}, True),
        ({"a": np.array([1.5, 9.0])}, False),  # changed since
        ({"a": np.array([[1.5, 2.5]])}, False),  # another shape
        ({"a": np.array([1.5, 2.5]), "b": np.array([1.5, 2.5])}, False),  # which of the two?
        ({"_": np.array([1.5, 2.5])}, False),  # a notebook's history
        ({"a": np.array(["p", "q"])}, False),
        ({"a": [1.5, 2.5]}, False),
    ],
)
def test_only_an_array_with_the_recorded_numbers_has_a_constant(names: dict[str, Any], named: bool) -> None:
    x = ac.tensor([1.0, 2.0], name="x")
    loss = ac.sum(x * np.array([1.5, 2.5]))
    assert ("a[0]" in ac.explain(x[0], of=loss, names=names).text) == named


def test_an_array_under_two_names_has_the_first_and_equal_numbers_stay_numbers() -> None:
    x = ac.tensor([1.0, 2.0], name="x")
    a = np.array([1.5, 2.5])
    assert "a[0]" in ac.explain(x[0], of=ac.sum(x * a), names={"a": a, "b": a}).text
    twos = np.full(2, 2.0)
    assert "twos" not in ac.explain(x[0], of=ac.sum(x * twos), names={"twos": twos}).text


def test_a_formula_may_speak_of_the_array_that_a_tensor_was_made_of() -> None:
    x, d = rng.normal(size=(6, 5)), rng.normal(size=(4, 4))
    image, w = ac.tensor(x), ac.tensor(rng.normal(size=(3, 2)), name="w")
    loss = ac.sum(ac.conv2d(image, w) * d)
    verdict = ac.check("conv(x, d)", of=loss, wrt=w, names={"x": x, "d": d, "image": image})
    assert verdict.kind == "right" and "larger, oblong geometry" in verdict.text and ", x (" not in verdict.text
    assert "g[i,j] x[i,j]" in ac.explain(w[0, 0], of=loss, names={"x": x, "d": d}).text
    assert "g[i,j] image[i,j]" in ac.explain(w[0, 0], of=loss, names={"x": x, "d": d, "image": image}).text
    verdict = ac.check("conv(x, d)", of=loss, wrt=w, names={"x": x + 1, "d": d})
    assert verdict.kind != "right"  # other numbers, another claim


def test_a_formula_with_the_numbers_of_its_layer_is_not_tried_with_another_stride() -> None:
    x, d = ac.tensor(rng.normal(size=(4, 6)), name="x"), rng.normal(size=(2, 3))
    loss = ac.sum(ac.avg_pool2d(x, 2) * d)
    verdict = ac.check("dx[i, j] = d[i//2, j//2] / 4", of=loss, wrt=x, names={"d": d})
    assert verdict.kind == "right", verdict.text
    assert ac.check("dx[i, j] = d[i//2, j//2]", of=loss, wrt=x, names={"d": d}).kind == "wrong"
    image, w = ac.tensor(rng.normal(size=(5, 7)), name="image"), ac.tensor(rng.normal(size=(3, 3)), name="w")
    up = rng.normal(size=(2, 3))
    loss = ac.sum(ac.conv2d(image, w, stride=2) * up)
    for claim in ("conv(image, dilate(up, 2))", "dw[p,q] = sum(i,j, image[2*i+p, 2*j+q] * up[i,j])"):
        assert ac.check(claim, of=loss, wrt=w, names={"up": up}).kind == "right"
    assert ac.check("conv_transpose(up, w, stride=2)", of=loss, wrt=image, names={"up": up}).kind == "right"
