"""Kinds of mistakes: what the right rule was fed with, how often a term counts, a size, a mask.

Each row is a backward written by hand with one mistake; the name is that of the kind, and a phrase says which one.
"""

import numpy as np
import pytest
from helpers.students import right as r

import autoconv as ac


def affine(change):
    """The dense layer's three gradients, changed: change(x, w, b, dout, dx, dw, db) -> the same three."""

    def backward(dout, cache):
        x, w, b = cache
        return change(x, w, b, dout, *r.affine_backward(dout, cache))

    return "cs231n.affine", r.affine_forward, backward


def relu(change):
    return "cs231n.relu", lambda x: (np.maximum(x, 0), x), change


def norm(change):
    """Batch norm in its three terms: change(g / std, mean(g) / std, xhat mean(g xhat) / std, std) -> dx."""

    def forward(x, gamma, beta, _):
        std = np.sqrt(x.var(axis=0) + 1e-5)
        hat = (x - x.mean(axis=0)) / std
        return gamma * hat + beta, (hat, gamma, std)

    def backward(dout, cache):
        hat, gamma, std = cache
        g = dout * gamma
        dx = change(g / std, g.mean(axis=0) / std, hat * (g * hat).mean(axis=0) / std, std)
        return dx, (dout * hat).sum(axis=0), dout.sum(axis=0)

    return "cs231n.batchnorm", forward, backward


def pool(weights):
    """Max pooling with other weights in a window: weights(windows, flat along their last axis) -> what each gets."""

    def backward(dout, cache):
        x, p = cache
        views = r._pool_views(x, p)
        flat = views.reshape(*views.shape[:4], -1)
        return r._put(x, p, (weights(flat) * dout[..., None]).reshape(views.shape))

    return "cs231n.max_pool", r.max_pool_forward, backward


def loss(change):
    def softmax_loss(x, y):
        value, dx = r.softmax_loss(x, y)
        return value, change(x, y, dx)

    return "cs231n.softmax_loss", None, softmax_loss


def of(like, forward, backward):
    return like, lambda x: (forward(x), x), backward


def rows(change):
    return lambda x, y, d: change(d.copy(), x, y, np.arange(len(x)))


def columns_of_labels(d, x, y, n):
    d[n, y] += 1 / len(x)
    d[:, y] -= 1 / len(x)
    return d


def of_the_largest(d, x, y, n):
    d[n, y] += 1 / len(x)
    d[n, x.argmax(axis=1)] -= 1 / len(x)
    return d


NORMALISE = (lambda x: x / ac.sqrt(ac.sum(x * x, axis=1, keepdims=True)), lambda x: x / length(x))


def length(x):
    return np.sqrt((x * x).sum(axis=1, keepdims=True))


def projected(d, x):
    return x * (d * x).sum(axis=1, keepdims=True) / length(x) ** 3


KINDS = [  # (the pair of functions), gradient, name, words
    (affine(lambda x, w, b, d, dx, dw, db: (d @ (w - 0.1 * dw).T.reshape(w.shape[::-1]), dw, db)), "dx",
     "weights updated before they were used", "rate 0.1"),
    (affine(lambda x, w, b, d, dx, dw, db: (dx, x.reshape(len(x), -1).T @ d**2, db)), "dw",
     "local derivative squared|another function of a factor", ""),
    (affine(lambda x, w, b, d, dx, dw, db: (dx, x.reshape(len(x), -1).T @ d[:, ::-1], db)), "dw",
     "right numbers in the wrong places", "reversing axis 1"),
    (affine(lambda x, w, b, d, dx, dw, db: (dx, dw / np.linalg.norm(dw), db)), "dw",
     "divided by its own size", "its length"),
    (affine(lambda x, w, b, d, dx, dw, db: (dx, dw * min(1, 0.5 / np.linalg.norm(dw)), db)), "dw",
     "gradient clipped", "0.5"),
    (affine(lambda x, w, b, d, dx, dw, db: (dx, w - 0.01 * dw, db)), "dw",
     "a step instead of the gradient", "-0.01 times"),
    (affine(lambda x, w, b, d, dx, dw, db: (dx, np.round(dw, 2), db)), "dw", "rounded", "2 decimals"),
    (affine(lambda x, w, b, d, dx, dw, db: (dx, dw + b, db)), "dw", "added what does not belong here", "b along axis"),
    (affine(lambda x, w, b, d, dx, dw, db: (dx, dw, db * d.shape[1])), "db", "added up several times", "loop"),
    (relu(lambda d, x: d * (x > 1)), "dx", "a mask with another threshold", "above"),
    (relu(lambda d, x: d * ((x > 0) & (x < 1))), "dx", "a mask with another threshold", "either side"),
    (relu(lambda d, x: d * np.tanh(x).clip(0) ** 0 / (1 + np.exp(-x))), "dx", "the slope of another activation",
     "softplus"),
    (norm(lambda d, m, v, std: d + d - m - v), "dx", "a term of the normalisation with a wrong factor", "2, 1 and 1"),
    (norm(lambda d, m, v, std: -m - v), "dx", "a term of the normalisation forgotten", "0, 1 and 1"),
    (norm(lambda d, m, v, std: d - m - v / std), "dx", "a term of the normalisation with a wrong factor",
     "divided by the standard deviation"),
    (pool(lambda flat: flat >= flat.mean(axis=-1, keepdims=True)), "dx", "pooling gradient to the wrong cell",
     "above the mean"),
    (pool(lambda flat: flat < flat.max(axis=-1, keepdims=True)), "dx", "pooling gradient to the wrong cell",
     "but the winner"),
    (loss(rows(columns_of_labels)), "dx", "target in the wrong place or size", "every class that occurs"),
    (loss(rows(of_the_largest)), "dx", "target in the wrong place or size", "largest score"),
    (of(*NORMALISE, lambda d, x: d / length(x) - projected(d, x) / 4), "dx", "a path with a wrong factor", "0.25"),
]  # fmt: skip


@pytest.mark.quick(2)
@pytest.mark.parametrize(("pair", "gradient", "name", "words"), KINDS)
def test_each_kind_is_named_and_said(pair, gradient, name, words):
    like, forward, backward = pair
    part = ac.check_backward(backward, forward, like=like, repair=0)[gradient]
    assert part.mistake in name.split("|") and words in part.says, part.text


def test_a_division_by_an_output_that_is_0_is_no_relation():
    """dout / 0 is infinite, and beside it every number would agree."""
    part = ac.check_backward(lambda d, x: d * np.cos(5 * x), like="cs231n.relu")["dx"]
    assert not part.right and part.mistake is None, part.text


@pytest.mark.dear
def test_a_backward_that_draws_again_is_no_change_of_the_cache():
    rng = np.random.default_rng(0)
    v = ac.check_backward(lambda d, x: d * (x > 0) * (rng.random(x.shape) < 0.5) * 2, like="cs231n.relu")
    assert v.damage and v.damage[0][0] == "gives other numbers each time", v.text


@pytest.mark.dear
def test_padding_with_other_numbers_in_the_backward_pass_alone_is_said():
    def backward(dout, cache):
        x, w, b, p = cache
        pad = ((0, 0), (0, 0), (p["pad"],) * 2, (p["pad"],) * 2)
        dx, _, db = r.conv_backward_einsum(dout, cache)
        _, dw, _ = r.conv_backward_einsum(dout, (np.pad(x, pad, mode="edge"), w, b, {**p, "pad": 0}))
        return dx, dw, db

    part = ac.check_backward(backward, r.conv_forward_einsum, like="cs231n.conv")["dw"]
    assert part.mistake == "padding with other values" and "edge" in part.says, part.text


def test_a_value_of_another_line_in_a_product_is_said():
    like = lambda c, f: ac.sigmoid(f) * c + ac.tanh(f)

    def backward(dout, cache):
        c, f = cache
        s = 1 / (1 + np.exp(-f))
        out = s * c + np.tanh(f)
        return dout * s, dout * (out * s * (1 - s) + 1 - np.tanh(f) ** 2)  # the new state where the old one belongs

    forward = lambda c, f: (c / (1 + np.exp(-f)) + np.tanh(f), (c, f))
    rng = np.random.default_rng(0)
    inputs = [tuple(rng.normal(size=(2, n, 3))) for n in (2, 4)]
    part = ac.check_backward(backward, forward, like=like, inputs=inputs)["df"]
    assert part.mistake == "a later value instead of the factor", part.text


@pytest.mark.dear
def test_under_an_unknown_forward_a_geometry_with_several_channels_is_differentiated():
    """At one channel a mean over the channels changes nothing; it was called right when only such were looked at."""
    share = lambda dx: np.broadcast_to(dx.mean(axis=1, keepdims=True), dx.shape).copy()
    forward = lambda x, p: ((made := r.max_pool_forward(x, p))[0] ** 3, made[1])

    def backward(dout, cache):
        x, p = cache
        top = r._pool_views(x, p).max(axis=(4, 5))
        return share(r.max_pool_backward_first(3 * top**2 * dout, cache))

    v = ac.check_backward(backward, forward, like="cs231n.max_pool")
    assert not v["dx"].right, v.text
