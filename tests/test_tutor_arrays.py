"""Wrong gradients that were made by NumPy loops, as numbers alone: named by what was done, and never called right.

At first sight, before the tutor was changed for them, 67 % of the arrays of ``by_loops`` were named, and of those of
``by_loops_more`` 86 %; then of those of ``by_loops_last`` 90 %.
"""

from __future__ import annotations

import numpy as np
import pytest
from helpers.students import by_loops_last, by_loops_more  # noqa: F401 (they enter their layers)
from helpers.students.by_loops import LAYERS, WRONGS
from helpers.students.unseen.hands import named_alone

import autoconv as ac

NAMED = 0.85  # of the arrays of each part


@pytest.mark.quick(4)
@pytest.mark.parametrize("name", LAYERS)
def test_the_right_loops_are_right(name):
    for gradient, claimed, loss, tensor in LAYERS[name].claims():
        verdict = ac.check(claimed, of=loss, wrt=tensor)
        assert verdict.kind == "right", (gradient, verdict.text)


@pytest.mark.dear
@pytest.mark.quick(1)
@pytest.mark.parametrize("part", range(8))
def test_most_wrong_arrays_are_named(part):
    some = WRONGS[part::20]  # the others are for whoever changes the tutor
    named, others = named_alone((wrong.label, wrong.words, LAYERS[wrong.layer].claims(wrong)) for wrong in some)
    assert named >= NAMED * (named + len(others)) - 1, others


def scrambled(rng, true, x):
    """Arrays that have nothing to do with a gradient."""
    size = np.abs(true).max()
    return {
        "normal": rng.normal(size=true.shape) * size,
        "noise": true + 0.3 * size * rng.normal(size=true.shape),
        "half of it": np.where(rng.random(true.shape) < 0.5, true, rng.normal(size=true.shape) * size),
        "rows": np.broadcast_to(rng.normal(size=true.shape[-1:]), true.shape) * size,
        "of x": np.sin(7 * x) + x**3,
    }


@pytest.mark.dear
@pytest.mark.quick(1)
@pytest.mark.parametrize(
    "name", ["conv1d", "elu", "rnn", "embedding", "batch_norm by hand", "l2 normalise", "residual"]
)
def test_arrays_that_nothing_leads_to_are_unknown(name):
    rng = np.random.default_rng(len(name))
    for gradient, claimed, loss, tensor in LAYERS[name].claims():
        if claimed.size < 8:
            continue
        for what, array in scrambled(rng, claimed, tensor.value).items():
            verdict = ac.check(array, of=loss, wrt=tensor)
            assert verdict.kind == "unknown" and not verdict.mistakes, (gradient, what, verdict.text)


# what the tutor finds without planting a mistake: (claimed from g, x, y and the right gradient, its name)
X = np.random.default_rng(3).normal(size=(4, 5))
G = np.random.default_rng(4).normal(size=(4, 5))
Y = np.tanh(X)
SLOPE = 1 - Y**2
FITTED = {
    "the sigmoid's slope": (lambda: G / (2 + np.exp(X) + np.exp(-X)), "the slope of another activation"),
    "another number on each side": (lambda: G * np.where(X > 0, 0.3, 2.0), "the slope of another activation"),
    "the value": (lambda: G * (1 + Y), "a value instead of the derivative"),
    "g with its columns reversed": (lambda: G[:, ::-1] * SLOPE, "an index that runs backward"),
    "g centred": (lambda: (G - G.mean(0)) * SLOPE, "another function of a factor"),
    "all of it by its rows": (lambda: np.broadcast_to((G * SLOPE).sum(0), (4, 5)), "summed over an index that stays"),
}


@pytest.mark.parametrize("what", FITTED)
def test_what_is_fitted_has_its_name(what):
    claimed, name = FITTED[what]
    x = ac.tensor(X, name="x")
    verdict = ac.check(claimed(), of=ac.sum(ac.tanh(x) * G), wrt=x)
    assert verdict.kind == "wrong" and verdict.mistakes[0].name == name, verdict.text


def test_a_mask_of_another_threshold_is_told_with_the_numbers_it_lies_between():
    x = ac.tensor(X, name="x")
    verdict = ac.check(G * (X > 0.5), of=ac.sum(ac.relu(x) * G), wrt=x)
    below, above = X[X < 0.5].max(), X[X > 0.5].min()
    assert verdict.mistakes[0].name == "a mask with another threshold"
    assert f"from {below:.4g} to {above:.4g}" in verdict.text, verdict.text


def test_a_normalisation_written_by_hand_with_gamma_in_front_has_its_terms():
    rng = np.random.default_rng(0)
    x, gamma, g = ac.tensor(rng.normal(size=(6, 4)), name="x"), rng.normal(size=4), rng.normal(size=(6, 4))
    far = x - ac.mean(x, axis=0)
    loss = ac.sum(gamma * far / ac.sqrt(ac.mean(far * far, axis=0) + 1e-5) * g)
    std = np.sqrt(x.value.var(0) + 1e-5)
    hat = (x.value - x.value.mean(0)) / std
    h = g * gamma
    right = (h - h.mean(0) - hat * (h * hat).mean(0)) / std
    assert ac.check(right, of=loss, wrt=x).kind == "right"
    verdict = ac.check((h - h.mean(0) - 3 * hat * (h * hat).mean(0)) / std, of=loss, wrt=x)
    assert verdict.mistakes[0].name == "a term of the normalisation with a wrong factor", verdict.text
