"""Tiles of contractions, whatever their rows look like, and the memory that kernels pass on: exact on whole numbers."""

import numpy as np
import pytest
from helpers.random_nets import native

import autoconv as ac
from autoconv.plan.run.persistent import Span, overlaid

# (channels in, channels out, image, window, further settings): rows of weight gradients that stand alike over two tiles
# (16 channels), or do not (3 or 5 channels in, dilation), of one vector and of several, with short and with long sums
CONVOLUTIONS = {
    "alike": (16, 16, (24, 24), (3, 3), {"padding": 1}),
    "short sums": (16, 16, (9, 9), (3, 3), {"padding": 1}),
    "three channels": (3, 16, (24, 25), (3, 3), {"padding": 1}),
    "apart": (5, 16, (47, 49), (3, 2), {"stride": 2, "dilation": 2}),
    "a gap at the end": (16, 13, (24, 24), (3, 3), {}),
    "two vectors": (16, 32, (24, 24), (3, 3), {"padding": 1}),
    "pointwise": (40, 16, (23, 24), (1, 1), {}),
    "groups": (32, 32, (24, 24), (3, 3), {"padding": 1, "groups": 2}),
    "one dimension": (16, 16, (700,), (5,), {}),
}


@native
@pytest.mark.parametrize("instructions", ["v4", "v3", "base"])
@pytest.mark.parametrize("lanes", ["channels", "examples"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_gradients_of_convolutions(name, lanes, instructions, monkeypatch):
    monkeypatch.setenv("AUTOCONV_LANES", lanes)
    monkeypatch.setenv("AUTOCONV_INSTRUCTIONS", instructions)
    c_in, c_out, image, window, settings = CONVOLUTIONS[name]
    rng = np.random.default_rng(7)
    whole = lambda *shape: rng.integers(-3, 4, shape).astype(np.float32)
    conv = ac.conv1d if len(image) == 1 else ac.conv2d
    x, w = whole(3, *image, c_in), whole(*window, c_in // settings.get("groups", 1), c_out)
    f = lambda x, w: ac.sum(conv(x, w, **settings) * weights)
    weights = 1.0
    weights = whole(*conv(ac.tensor(x), ac.tensor(w), **settings).shape)
    compiled = ac.compile(ac.value_and_grad(f, (0, 1)))
    loss, found = compiled(x, w)
    exact, expected = ac.value_and_grad(f, (0, 1))(x.astype(np.float64), w.astype(np.float64))
    assert float(loss) == float(exact)
    for one, right in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(right))


# (channels in, channels out, image, window, further settings): sums of more terms than a stretch has, over several rows
# of tiles, with whole vectors of results side by side, and with a last vector that overlaps or stands for itself
LONG_SUMS = {
    "whole vectors": (48, 64, (11, 12), (3, 3), {"padding": 1}),
    "four columns of tiles and a rest": (40, 336, (9, 9), (3, 3), {}),
    "a vector that overlaps": (40, 37, (9, 10), (3, 3), {}),
    "a short vector": (70, 5, (12, 12), (2, 2), {"stride": 2}),
    "one place": (64, 48, (3, 3), (3, 3), {}),
    "groups": (160, 64, (8, 8), (2, 2), {"groups": 2}),
    "pointwise": (600, 32, (5, 5), (1, 1), {}),
}


@native
@pytest.mark.parametrize("instructions", ["v4", "v3", "base"])
@pytest.mark.parametrize("lanes", ["channels", "examples"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", LONG_SUMS)
def test_long_sums(name, dtype, lanes, instructions, monkeypatch):
    """The bias counts once, and what is less than 0 becomes 0 when all terms are there."""
    monkeypatch.setenv("AUTOCONV_LANES", lanes)
    monkeypatch.setenv("AUTOCONV_INSTRUCTIONS", instructions)
    c_in, c_out, image, window, settings = LONG_SUMS[name]
    rng = np.random.default_rng(8)
    whole = lambda *shape: rng.integers(-3, 4, shape).astype(dtype)
    x, w, bias = whole(3, *image, c_in), whole(*window, c_in // settings.get("groups", 1), c_out), whole(c_out)
    f = lambda x, w, bias: ac.relu(ac.conv2d(x, w, bias, **settings))
    found = np.asarray(ac.compile(f)(x, w, bias))
    expected = np.asarray(f(*[v.astype(np.float64) for v in (x, w, bias)]))
    np.testing.assert_array_equal(found, expected)
    assert (expected == 0).any() and (expected > 0).any()
    got = ac.compile(ac.grad(lambda x: ac.sum(f(x, w, bias))))(x)
    np.testing.assert_array_equal(np.asarray(got), ac.grad(lambda x: ac.sum(f(x, w, bias)))(x.astype(np.float64)))


@native
@pytest.mark.parametrize("instructions", ["v4", "v3", "base"])
@pytest.mark.parametrize("parts", ["1", "2", "3"])
@pytest.mark.parametrize("momentum", [0.0, 0.5])
@pytest.mark.parametrize("window", [(3, 3), (1, 1)])
def test_gradients_that_stand_by_columns(window, momentum, parts, instructions, monkeypatch):
    """Channels first a kernel is (C_out, C_in, ..): its gradient is collected and the parameter moved by columns."""
    monkeypatch.setenv("AUTOCONV_LANES", "channels")
    monkeypatch.setenv("AUTOCONV_INSTRUCTIONS", instructions)
    monkeypatch.setenv("AUTOCONV_THREADS", parts)
    rng = np.random.default_rng(9)
    whole = lambda *shape: rng.integers(-3, 4, shape).astype(np.float32)
    # more rows than are transposed at a time, and columns that are no whole vectors
    x, first, second = whole(2, 33, 7, 8), whole(37, 33, *window), whole(16, 37, *window)

    def loss(x, first, second):
        y = ac.conv2d(x, first, layout="channels_first")
        return ac.sum(ac.conv2d(ac.relu(y), second, layout="channels_first"))

    found = ac.compile(ac.grad(loss, (1, 2)))(x, first, second)
    expected = ac.grad(loss, (1, 2))(*[v.astype(np.float64) for v in (x, first, second)])
    for one, right in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(right))
    moved = []
    for compiled in (True, False):
        params = [ac.tensor(first, name="first"), ac.tensor(second, name="second")]
        of = lambda x, params=params: loss(x, *params)
        steps = ac.optim.SGD(params, lr=2.0**-12, momentum=momentum)
        program = ac.compile(of)
        for _ in range(3):
            if compiled:
                program.step(steps, x)
            else:
                steps.step(ac.sweep(of(x), params))
        moved.append([np.asarray(p.value) for p in params])
    for one, right in zip(*moved, strict=True):
        np.testing.assert_allclose(one, right, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(6))
def test_arrays_share_memory_only_where_they_are_not_needed_at_the_same_time(seed, dtype):
    """Kernel after kernel writes its arrays, and each has its own numbers until the last kernel that reads it."""
    rng, kernels = np.random.default_rng(seed), 12
    shapes: dict[int, tuple[int, ...]] = {3: (2, 5), 8: (7,), 9: (0, 4), 11: (1,), 4: (16, 16)}
    shapes |= {20 + n: tuple(rng.integers(1, 40, 2).tolist()) for n in range(30)}
    firsts = {n: int(rng.integers(kernels)) for n in shapes}
    spans = {n: Span(first, int(rng.integers(first, kernels))) for n, first in firsts.items()}
    memory, arrays = overlaid(shapes, spans, np.dtype(dtype), [])
    assert {n: (x.shape, x.dtype) for n, x in arrays.items()} == {n: (s, dtype) for n, s in shapes.items()}
    assert all(x.flags.c_contiguous and (x.size == 0 or x.ctypes.data % 64 == 0) for x in arrays.values())
    for k in range(kernels):
        for n, x in arrays.items():
            if spans[n].first == k:
                x[...] = n
        assert all((x == n).all() for n, x in arrays.items() if spans[n].first <= k <= spans[n].last)
    assert memory.nbytes < sum(x.nbytes for x in arrays.values())


def test_memory_of_another_size_is_taken_over():
    """Unless it is too small or far too large; then it goes first."""
    spans = {0: Span(0, 1), 1: Span(0, 1)}
    for size, same in ((100, True), (60, True), (20, False), (101, False)):
        before, _ = overlaid({0: (100, 64), 1: (100, 64)}, spans, np.dtype(np.float32), [])
        given = [before]
        memory, _ = overlaid({0: (size, 64), 1: (size, 64)}, spans, np.dtype(np.float32), given)
        assert (memory is before) == same
        assert same or not given


def test_large_memory_has_room_for_more_examples():
    """A fourth, of which nothing is touched before it is needed: the next sizes of a growing batch move in."""
    spans, shapes = {0: Span(0, 1)}, lambda n: {0: (n, 1 << 14)}
    for n in (200, 700):  # rows of 64 KB
        memory, _ = overlaid(shapes(n), spans, np.dtype(np.float32), [])
        larger, arrays = overlaid(shapes(n + n // 5), spans, np.dtype(np.float32), [memory])
        assert larger is memory and arrays[0].shape == (n + n // 5, 1 << 14)
