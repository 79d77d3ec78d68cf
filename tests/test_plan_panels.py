"""Weights in panels, which many places read: where they stand makes no difference to any number."""

import numpy as np
import pytest
from helpers.assembled import assembled, packings
from helpers.random_nets import native

import autoconv as ac
from autoconv.plan.assemble import by_channels
from autoconv.plan.extension import machine

PRODUCTS = {  # of an image (or rows) and weights, and their shapes
    "convolution of 48 channels": (lambda x, w: ac.conv2d(x, w, padding=1), (3, 11, 12, 8), (3, 3, 8, 48)),
    "a last panel of 8": (lambda x, w: ac.conv2d(x, w), (2, 10, 10, 16), (3, 3, 16, 40)),
    "a rest of a vector": (lambda x, w: ac.conv2d(x, w), (2, 10, 10, 16), (3, 3, 16, 37)),
    "stride and dilation": (lambda x, w: ac.conv2d(x, w, stride=2, dilation=2), (2, 23, 25, 8), (3, 3, 8, 32)),
    "groups": (lambda x, w: ac.conv2d(x, w, groups=2), (2, 12, 12, 16), (3, 3, 8, 64)),
    "channels first": (lambda x, w: ac.conv2d(x, w, layout="channels_first"), (2, 8, 12, 12), (32, 8, 3, 3)),
    "rows": (lambda x, w: x @ w, (3, 70, 65), (65, 128)),
    "turned weights": (lambda x, w: x @ w.T, (3, 70, 65), (128, 65)),
    "one example": (lambda x, w: ac.conv2d(x, w), (1, 14, 14, 16), (3, 3, 16, 64)),
}

COLUMNS = {"a last panel of 8": 40, "a rest of a vector": 37}  # what is no multiple of the lanes stands as it stands


@native
@pytest.mark.parametrize("instructions", ["v4", "v3", "base"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", PRODUCTS)
def test_numbers_are_those_of_rows_as_they_stand(name, dtype, instructions, monkeypatch):
    """The same bits of values and gradients as without panels, in a second step too; and those of double precision."""
    monkeypatch.setenv("AUTOCONV_LANES", "channels")
    monkeypatch.setenv("AUTOCONV_INSTRUCTIONS", instructions)
    lanes = next(lanes for _, bytes_, lanes, *_ in machine().variants() if bytes_ == np.dtype(dtype).itemsize)
    of, *shapes = PRODUCTS[name]
    rng = np.random.default_rng(7)
    x, w = (rng.normal(size=shape).astype(dtype) for shape in shapes)
    made = assembled(monkeypatch)
    f = lambda x, w: ac.sum(ac.tanh(of(x, w)) ** 2)
    found, before = [], 0
    for rows in (by_channels._MANY_ROWS, 1 << 30):
        monkeypatch.setattr(by_channels, "_MANY_ROWS", rows)
        compiled = ac.compile(lambda x, w: f(x, w))
        compiled.value_and_grad(x, w, wrt=(0, 1))
        found.append(compiled.value_and_grad(2 * x, w, wrt=(0, 1)))
        narrow = [one for one in packings(made)[before:] if one.pitch == 16]
        before = len(packings(made))
        assert (len(narrow) > 1) == (rows < 1 << 30) or COLUMNS.get(name, 32) % lanes, narrow
    (value, grads), (plain, plains) = found
    assert np.asarray(value).tobytes() == np.asarray(plain).tobytes()
    for g, p in zip(grads, plains, strict=True):
        assert np.asarray(g).tobytes() == np.asarray(p).tobytes()
    exact = ac.compile(lambda x, w: f(x, w)).value_and_grad(*(a.astype(np.float64) for a in (2 * x, w)), wrt=(0, 1))
    close = {np.float32: 2e-4, np.float64: 1e-11}[dtype]
    np.testing.assert_allclose(np.asarray(value), np.asarray(exact[0]), rtol=close)
    for g, right in zip(grads, exact[1], strict=True):
        np.testing.assert_allclose(np.asarray(g), np.asarray(right), rtol=close, atol=close * np.abs(right).max())


@native
def test_what_few_places_read_is_not_copied(monkeypatch):
    """A dense layer's weights are read once for each example: they are read where they stand."""
    monkeypatch.setenv("AUTOCONV_LANES", "channels")
    made = assembled(monkeypatch)
    rng = np.random.default_rng(3)
    x, w = (rng.normal(size=shape).astype(np.float32) for shape in ((2, 512), (512, 256)))
    ac.compile(lambda x, w: ac.tanh(x @ w))(x, w)
    assert not packings(made)
