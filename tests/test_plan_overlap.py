"""What comes to a place of an overlap or a scatter: its registers, in the order of the operand's channels."""

from itertools import product

import numpy as np
import pytest
from helpers.random_nets import native

import autoconv as ac
from autoconv import arrays, nn
from autoconv.plan.assemble import assemble
from autoconv.plan.assemble.by_channels import ByChannels
from autoconv.plan.instructions import Map
from autoconv.plan.lower.labels import _by_place
from autoconv.plan.lower.overlap import _terms
from autoconv.plan.native import instruction_set as isa
from autoconv.primitives import TABLE
from autoconv.program.program import Line

GEOMETRIES = [
    (size, window, stride, dilation)
    for size, window, stride, dilation in product((5, 8), (1, 2, 3), (1, 2, 3), (1, 2))
    if size > (window - 1) * dilation
]


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_the_terms_of_each_place_are_those_that_overlap_add_adds(geometry, dims):
    """The registers of the frames are whole numbers of their own; some of them are 0, and some places are unread."""
    size, window, stride, dilation = geometry
    rng = np.random.default_rng(0)
    count = (size - (window - 1) * dilation - 1) // stride + 1
    shape = (1, *(count,) * dims, *(window,) * dims, 3)
    frames = rng.permutation(np.prod(shape)).reshape(shape) % 97
    params = {"axes": tuple(range(1, 1 + dims)), "size": (size,) * dims, "stride": (stride,) * dims}
    line = Line(
        (1, *(size,) * dims, 3), np.dtype(float), TABLE["overlap_add"], (0,), params | {"dilation": (dilation,) * dims}
    )
    wanted = rng.random((1, *(size,) * dims, 1)) < 0.8
    values = np.concatenate([[0.0], rng.normal(size=96)])
    found = sum(values[terms] for terms in _terms(frames, line, np.broadcast_to(wanted, line.shape)))
    expected = arrays.overlap_add(values[frames], **line.params)
    np.testing.assert_allclose(found, np.where(wanted, expected, 0), atol=1e-12)


def test_the_sources_of_each_place():
    found = np.array(_by_place(np.array([2, 0, 2, -1, 0, 2]), 4))
    assert found.tolist() == [[1, -1, 0, 3], [4, -1, 2, -1], [-1, -1, 5, -1]]


@native
@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_no_elementwise_line_of_a_pooled_net_goes_number_by_number(layout, monkeypatch):
    """Forward values and cotangents have their channels in the same places, however the user calls the axes."""
    monkeypatch.setenv("AUTOCONV_LANES", "channels")
    seen = []
    rows = ByChannels.rows

    def watched(self, number, one):
        found = rows(self, number, one)
        if isinstance(one, Map) and one.writes[0].size >= 512:
            seen.append((found[0][isa.MAP.at["count"]], found[0][isa.MAP.at["singles"]]))
        return found

    monkeypatch.setattr(ByChannels, "rows", watched)
    rng = np.random.default_rng(0)
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1, layout=layout, rng=rng), nn.BatchNorm2d(32, layout=layout), nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1, layout=layout),
        nn.Conv2d(32, 32, 3, padding=1, layout=layout, rng=rng))  # fmt: skip
    shape = (4, 8, 8, 3) if layout == "channels_last" else (4, 3, 8, 8)
    program = ac.compile(lambda x: ac.sum(model(x) ** 2))
    program.value_and_grad(rng.normal(size=shape).astype(np.float32))
    assert len(seen) > 10
    assert sum(singles for _, singles in seen) <= 0.1 * 16 * sum(vectors for vectors, _ in seen)


@native
def test_rows_are_the_same_however_they_are_found(monkeypatch):
    """By the ends of the last axis, where there is much to look at, or step by step: the same numbers come out."""
    results = []
    for few in (1, 1 << 30):
        monkeypatch.setattr(assemble, "FEW", few)
        monkeypatch.setattr("autoconv.plan.assemble.by_channels.FEW", few)
        monkeypatch.setenv("AUTOCONV_LANES", "channels")
        rng = np.random.default_rng(0)
        model = nn.Sequential(
            nn.Conv2d(3, 19, 3, padding=1, rng=rng), nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1),
            nn.Conv2d(19, 37, 3, stride=2, rng=rng), nn.AvgPool2d(3, stride=1, padding=1), nn.Flatten())  # fmt: skip
        program = ac.compile(lambda x, model=model: ac.sum(ac.tanh(model(x))))
        value, gradients = program.value_and_grad(rng.normal(size=(3, 12, 12, 3)).astype(np.float32))
        results.append([value, *gradients])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@native
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 0, 2, 3), (1, 2, 0, 3), (1, 2, 3, 0)])
def test_examples_that_are_laid_over_one_another(order):
    """The axis of the examples is one of the positions or of the cells of the frames: no example is alone."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 3, 2, 2))
    shape = np.transpose(x, order).shape
    size = (shape[0] - 1 + shape[2], shape[1] - 1 + shape[3])
    params = {"axes": (0, 1), "size": size, "stride": (1, 1), "dilation": (1, 1)}
    weights = rng.normal(size=size)
    loss = lambda x: ac.sum(TABLE["overlap_add"](ac.tanh(ac.permute_dims(x, order)), **params) * weights)
    value, (found,) = ac.compile(loss).value_and_grad(x, wrt=(0,))
    expected = np.zeros(size)
    slope = np.zeros(shape)
    bent = np.tanh(np.transpose(x, order))
    for i, j, u, v in np.ndindex(shape):
        expected[i + u, j + v] += bent[i, j, u, v]
        slope[i, j, u, v] = weights[i + u, j + v]
    np.testing.assert_allclose(value, (expected * weights).sum(), rtol=1e-12)
    np.testing.assert_allclose(np.transpose(found, order), slope * (1 - bent**2), rtol=1e-12, atol=1e-14)


@native
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (1, 2, 0)])
@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1), (1, 2)])
def test_windows_over_axes_before_and_after_the_examples(axes, order):
    """The examples stand before, between or behind the axes that the windows move along, or on one of them."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 4, 3))
    window, stride, dilation = (2,) * len(axes), (1,) * len(axes), (1,) * len(axes)
    params = {"axes": axes, "window": window, "stride": stride, "dilation": dilation}
    shape = TABLE["windows"].forward(np.transpose(x, order), **params).shape
    weights = rng.normal(size=shape)
    loss = lambda x: ac.sum(ac.tanh(TABLE["windows"](ac.permute_dims(ac.tanh(x), order), **params)) * weights)
    value, (found,) = ac.compile(loss).value_and_grad(x, wrt=(0,))
    cells = np.transpose(np.tanh(x), order)
    seen = np.lib.stride_tricks.sliding_window_view(cells, window, axes)  # windows behind all other axes
    seen = np.moveaxis(seen, range(-len(axes), 0), range(axes[-1] + 1, axes[-1] + 1 + len(axes)))
    np.testing.assert_allclose(value, (np.tanh(seen) * weights).sum(), rtol=1e-12)
    step = 1e-6
    for at in [(0, 0, 0), (4, 3, 2), (2, 1, 1), (3, 2, 0)]:
        up, down = x.copy(), x.copy()
        up[at], down[at] = x[at] + step, x[at] - step
        slope = (loss(ac.tensor(up)).item() - loss(ac.tensor(down)).item()) / (2 * step)
        np.testing.assert_allclose(found[at], slope, rtol=1e-6, atol=1e-8)
