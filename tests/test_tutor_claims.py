"""What ac.check takes for a claim, in which nets, and what it says of things that are no claims."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import autoconv as ac
from autoconv.tutor.check import check

RNG = np.random.default_rng(5)
X, W = RNG.normal(size=(6, 7)), RNG.normal(size=(3, 2))
x, w = ac.tensor(X, name="x"), ac.tensor(W, name="w")
o = ac.conv2d(x, w)
LOSS = ac.sum(ac.tanh(o) ** 2)


def by_loops(x: Any, w: Any, o: Any) -> Any:
    """The kernel's gradient, written as people write it."""
    made, d = np.zeros((3, 2)), 2 * np.tanh(o) * (1 - np.tanh(o) ** 2)
    for i, j in np.ndindex(4, 6):
        made += d[i, j] * x[i : i + 3, j : j + 2]
    return made


TRUE = by_loops(X, W, o.value)
FORMULA = "conv(x, 2*tanh(o)*(1-tanh(o)**2))"


class Arraylike:
    """As the tensors of other libraries: no array, but it can become one."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.value, dtype)

    def __call__(self) -> None:
        raise AssertionError("a tensor is not a function")


def changes_its_arguments(x: Any, w: Any, o: Any) -> Any:
    made = by_loops(x, w, o)
    x *= 0
    return made


@pytest.mark.parametrize(
    ("claim", "kind"),
    [
        (TRUE, "right"), (TRUE.tolist(), "right"), (tuple(map(tuple, TRUE)), "right"),
        (TRUE.astype(np.float32), "right"),
        (TRUE.astype(np.float16), "right"), (ac.tensor(TRUE), "right"), (TRUE.astype(object), "right"),
        (Arraylike(TRUE), "right"),
        ([[Fraction(float(v)) for v in row] for row in TRUE], "right"), (TRUE.astype(np.longdouble), "right"),
        (TRUE.round(2), "right"),
        (TRUE.round(1), "right"), (TRUE.round(1) + 0.2, "unknown"), (np.ma.masked_array(TRUE, mask=False), "right"),
        ((3, 2), "right"), ((np.int64(3), np.int64(2)), "right"), ((2, 3), "wrong"), ("(3, 2)", "right"),
        ("(3, 3)", "wrong"),
        ("sum", "right"), (" Sum. ", "right"), ("average", "wrong"), ("Same for all.", "wrong"),
        (FORMULA, "right"), (f"-{FORMULA}", "wrong"), (str(TRUE.tolist()), "right"),
        (by_loops, "right"), (lambda o, x, w: by_loops(x, w, o), "right"),
        (lambda *, w, o, x: by_loops(x, w, o), "right"),
        (lambda x, o, eps=1e-9: by_loops(x, None, o), "right"), (lambda **k: by_loops(k["x"], k["w"], k["o"]), "right"),
        (eval("lambda x, w, o, /: by_loops(x, w, o)", globals()), "right"),
        (lambda x, w, o: by_loops(x, w, o).tolist(), "right"),
        (lambda x, o: ac.conv2d(x, 2 * ac.tanh(o) * (1 - ac.tanh(o) ** 2)), "right"), (changes_its_arguments, "right"),
        (lambda: TRUE, "right"), (lambda w: by_loops(X, w, o.value), "right"), (lambda: -TRUE, "wrong"),
        (lambda w: -TRUE, "wrong"),
        (1e305 * TRUE, "wrong"), (TRUE[::-1], "wrong"),
    ],
)  # fmt: skip
def test_every_kind_of_claim(claim: Any, kind: str) -> None:
    verdict = check(claim, of=LOSS, wrt=w, names={"o": o})
    assert verdict.kind == kind, verdict.text
    assert bool(verdict) == (kind == "right") == (verdict.status == 0)


@pytest.mark.parametrize(
    ("claim", "error", "text"),
    [
        (None, TypeError, "no claim"), ({1, 2}, TypeError, "no claim"), (TRUE + 1j, TypeError, "complex"),
        (TRUE.astype(str), TypeError, "<U"),
        ([[1, 2], [3]], TypeError, "array of numbers"), (object(), TypeError, "array of numbers"),
        (max, TypeError, "lambda"),
        (np.sin, TypeError, "lambda"), (np.ma.masked_array(TRUE, mask=TRUE > 0), ValueError, "masked"),
        (1.0, ValueError, "one number"),
        (TRUE * np.nan, ValueError, r"nan at element \[0, 0\]"), (lambda x: None, ValueError, "return"),
        (lambda x: "a", ValueError, "found str"),
        (lambda w: w * np.inf, ValueError, "infinite"), ("log(-x[0:3,0:2]**2)", ValueError, "nan"),
        (lambda x: x[9], ValueError, "IndexError"),
        ("rubbish", ValueError, "no tensor named 'rubbish'"), ("what is this", ValueError, "rules in a word"),
        ({}, ValueError, "empty dict"),
    ],
)  # fmt: skip
def test_what_is_no_claim(claim: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        check(claim, of=LOSS, wrt=w)


@pytest.mark.parametrize("text", ["w[0, 1]", "w[-3, -1]", "w[0]", "w[:, 1]", "w[1:, :]", "w"])
def test_elements_and_parts_by_name(text: str) -> None:
    part = eval(text, {"w": TRUE})
    assert check(part, of=LOSS, wrt=text).kind == "right"
    assert check(-part, of=LOSS, wrt=text).kind == "wrong"


def test_names_must_be_names() -> None:
    with pytest.raises(TypeError, match="the key 1"):
        check(TRUE, of=LOSS, wrt=w, names={1: o})
    with pytest.raises(TypeError, match="whole numbers have no gradient"):
        check([1, 1], of=ac.sum(ac.tensor([1, 2])), wrt="n")


def test_a_name_that_two_tensors_carry_means_neither() -> None:
    a, b = ac.tensor([1.0, 2.0], name="w"), ac.tensor([3.0, 4.0], name="w")
    loss = ac.sum(a * b)
    for claim, wrt in (("w", a), ("2*w", a), (lambda w: w, a), ([3.0, 4.0], "w"), (3.0, "w[0]")):
        with pytest.raises(ValueError, match="several tensors are named 'w'"):
            check(claim, of=loss, wrt=wrt)
    assert check("w", of=loss, wrt=a, names={"w": b}).kind == "right"
    assert check(lambda **k: k["v"], of=loss, wrt=a, names={"v": b}).kind == "right"
    assert check([3.0, 4.0], of=loss, wrt=a).kind == "right"


def test_a_number_alone_is_never_a_finite_difference_by_accident() -> None:
    for value in (-3.0, 0.7, 1.75, 12.0):
        assert check(value, of=LOSS, wrt=w[0, 0]).kind == "unknown"


# ---- gradients of size 1e-300 or 1e150, zero everywhere, of constants


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e20, 1e150])
def test_sizes_do_not_matter(scale: float) -> None:
    here = ac.tensor(W, name="w")
    loss = ac.sum(ac.tanh(ac.conv2d(x, here)) ** 2) * scale
    assert check(scale * TRUE, of=loss, wrt=here).kind == "right"
    assert [m.name for m in check(-scale * TRUE, of=loss, wrt=here).mistakes] == ["sign"]
    assert check(scale * RNG.normal(size=(3, 2)), of=loss, wrt=here).kind == "unknown"


def test_a_gradient_that_is_zero() -> None:
    dead = ac.tensor(-np.abs(X), name="dead")
    loss = ac.sum(ac.relu(dead))
    assert "zero everywhere" in check(np.zeros((6, 7)), of=loss, wrt=dead).text
    assert check(lambda dead: 1.0 * (dead > 0), of=loss, wrt=dead).kind == "right"
    verdict = check("max(dead, 0) * 0", of=loss, wrt=dead)
    assert verdict.kind == "right only here" and verdict.counter_example.gradient == 1
    idle = ac.tensor([1.0, 2.0], name="idle")
    assert check([0.0, 0.0], of=loss + ac.sum(idle * 0.0), wrt=idle).kind == "right"


# ---- layouts, dimensions, options


@pytest.mark.parametrize(
    ("operation", "image", "kernel", "settings", "spatial"),
    [
        (ac.conv2d, (2, 3, 6, 5), (4, 3, 3, 2), {"layout": "channels_first"}, (2, 3)),
        (ac.conv1d, (2, 9, 3), (4, 3, 5), {"stride": 2}, (0,)),
        (ac.conv3d, (1, 4, 5, 4, 2), (2, 3, 2, 2, 2), {}, (0, 1, 2)),
        (ac.conv2d, (2, 6, 5, 4), (3, 2, 2, 6), {"groups": 2}, (0, 1)),
        (ac.conv2d, (2, 8, 9, 2), (3, 2, 2, 3), {"dilation": 2}, (0, 1)),
        (ac.conv2d, (1, 6, 7, 2), (3, 3, 2, 3), {"padding": "same"}, (0, 1)),
        (ac.conv_transpose2d, (2, 4, 3, 3), (3, 2, 2, 3), {"stride": 2}, (0, 1)),
    ],
)  # fmt: skip
def test_every_convolution(operation: Any, image: Any, kernel: Any, settings: Any, spatial: Any) -> None:
    rng = np.random.default_rng(2)
    x, w = rng.normal(size=image), rng.normal(size=kernel)
    here, there = ac.tensor(x, name="x"), ac.tensor(w, name="w")
    loss = ac.sum(ac.tanh(operation(here, there, **settings)) ** 2)
    loss.backward()
    assert check(here.grad, of=loss, wrt=here).kind == check(there.grad, of=loss, wrt=there).kind == "right"
    assert [m.name for m in check(-there.grad, of=loss, wrt=there).mistakes] == ["sign"]
    turned = check(np.flip(there.grad, spatial), of=loss, wrt=there)
    named = {m.name for group in [turned.mistakes, *turned.alternatives] for m in group}
    assert not turned and named & {"kernel gradient reversed", "right numbers in the wrong places"}


@pytest.mark.parametrize("form", [lambda g: g.astype(float), lambda g: g, lambda g: [float(f"{v:.4g}") for v in g]])
def test_what_the_tape_makes_of_it_in_its_own_precision_is_right(form):
    """Of a saturated tanh little is left in single precision: 1 - tanh(x)**2 is a difference of two numbers near 1."""
    x = ac.tensor(np.array([0.3, -6.5, 7.25, 8.0, 12.0], dtype=np.float32))
    loss = ac.sum(ac.tanh(x) * np.array([1.0, 2.0, -1.0, 3.0, 2.0], dtype=np.float32))
    ac.backward(loss)
    exact = np.array([1.0, 2.0, -1.0, 3.0, 2.0]) / np.cosh(x.value.astype(float)) ** 2
    assert np.abs(x.grad - exact).max() < 1e-6 and (np.abs(x.grad - exact) > 2e-3 * np.abs(exact)).any()
    for claim in (form(x.grad), exact):
        assert check(claim, of=loss, wrt=x)
    for factor in (-1.0, 1.5, 0.0):
        assert not check(np.asarray(form(x.grad)) * factor, of=loss, wrt=x)
    assert not check(form(x.grad)[::-1], of=loss, wrt=x)
