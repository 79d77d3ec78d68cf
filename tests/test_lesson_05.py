"""Lesson 5: delta back through pooling and convolution layers (De Jun Huang, Learning Day 55), in plain loops.

Each loop says what the article says: hand delta out in its window, or put zeros around (and between) delta and slide
the rotated kernel over it.  The tape must give the same numbers for any size, stride, padding and channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import autoconv as ac

SEEDS = [0, 1]


def drawn(seed: int, pool: bool = False) -> Any:
    """A case at random, of the kind of those in the tables below."""
    rng = np.random.default_rng(100 + seed)
    window, stride = tuple(rng.integers(1, 4, 2).tolist()), tuple(rng.integers(1, 4, 2).tolist())
    shape = (*(rng.integers(4, 9, 2)).tolist(), int(rng.integers(1, 4)))
    if pool:
        return shape, window, stride, int(rng.integers(0, min(window)))
    return shape, window, int(rng.integers(1, 4)), stride, tuple(rng.integers(0, 3, 2).tolist())


# ---- pooling

# (height, width, channels), window, stride, padding
POOLS: list[Any] = [
    ((4, 4, 1), (2, 2), (2, 2), 0),
    ((6, 4, 3), (2, 2), (2, 2), 0),
    ((5, 5, 2), (3, 3), (2, 2), 0),
    ((6, 7, 2), (3, 2), (1, 2), 0),
    ((7, 5, 1), (2, 3), (3, 1), 0),
    ((5, 6, 2), (3, 3), (2, 2), 1),
    ((4, 7, 1), (2, 3), (1, 1), 1),
]
POOLS += [drawn(seed, pool=True) for seed in range(4)]
every_pool = pytest.mark.parametrize("case", POOLS, ids=str)
every_seed = pytest.mark.parametrize("seed", SEEDS)


def windows(shape: Any, window: Any, stride: Any, padding: int) -> Iterator[tuple[Any, list[tuple[int, int]]]]:
    """((i, j, c), the real cells of that window): those in the padding are left out."""
    out = [(n + 2 * padding - u) // s + 1 for n, u, s in zip(shape[:2], window, stride, strict=True)]
    for i, j, c in np.ndindex(*out, shape[2]):
        cells = [
            (i * stride[0] + u - padding, j * stride[1] + v - padding)
            for u in range(window[0])
            for v in range(window[1])
        ]
        yield (i, j, c), [(h, w) for h, w in cells if 0 <= h < shape[0] and 0 <= w < shape[1]]


def pooled(name: str, shape: Any, window: Any, stride: Any, padding: int, seed: int, **more: Any) -> tuple[Any, ...]:
    """(a, delta, output, upsampled by the sweep)."""
    rng = np.random.default_rng(seed)
    a = ac.tensor(rng.normal(size=shape), name="a")
    y = getattr(ac, name)(a, window, stride=stride, padding=padding, **more)
    delta = rng.normal(size=y.shape)
    (upsampled,) = ac.sweep(y, [a], delta)
    return a.value, delta, y.value, upsampled


@every_pool
@every_seed
def test_average_pooling_splits_each_value_evenly(case: Any, seed: int) -> None:
    shape, window, _, _ = case
    for padding_counts in (True, False):
        a, delta, y, upsampled = pooled("avg_pool2d", *case, seed, count_include_pad=padding_counts)
        expected = np.zeros(shape)
        for (i, j, c), cells in windows(*case):
            count = window[0] * window[1] if padding_counts else len(cells)
            assert y[i, j, c] == pytest.approx(sum(a[h, w, c] for h, w in cells) / count)
            for h, w in cells:
                expected[h, w, c] += delta[i, j, c] / count
        np.testing.assert_allclose(upsampled, expected, atol=1e-13)


@every_pool
@every_seed
def test_max_pooling_sends_all_of_it_to_the_recorded_cell(case: Any, seed: int) -> None:
    a, delta, y, upsampled = pooled("max_pool2d", *case, seed)
    expected = np.zeros(a.shape)
    for (i, j, c), cells in windows(*case):
        h, w = max(cells, key=lambda cell: a[cell[0], cell[1], c])
        assert y[i, j, c] == a[h, w, c]
        expected[h, w, c] += delta[i, j, c]
    np.testing.assert_allclose(upsampled, expected, atol=1e-13)


@every_pool
@every_seed
def test_the_sum_of_delta_is_preserved(case: Any, seed: int) -> None:
    _, window, _, padding = case
    _, delta, _, by_max = pooled("max_pool2d", *case, seed)
    _, _, _, by_real = pooled("avg_pool2d", *case, seed, count_include_pad=False)
    _, _, _, by_all = pooled("avg_pool2d", *case, seed)
    np.testing.assert_allclose(by_max.sum(axis=(0, 1)), delta.sum(axis=(0, 1)), atol=1e-12)  # in every channel
    np.testing.assert_allclose(by_real.sum(axis=(0, 1)), delta.sum(axis=(0, 1)), atol=1e-12)
    kept = sum(delta[at] * len(cells) / (window[0] * window[1]) for at, cells in windows(*case))
    assert by_all.sum() == pytest.approx(kept)  # what goes to padding that counts is lost
    if not padding:
        assert by_all.sum() == pytest.approx(delta.sum())


@every_seed
def test_average_pooling_is_a_convolution_with_a_fixed_kernel(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, delta = rng.normal(size=(6, 6)), rng.normal(size=(3, 3))
    W = ac.conv_matrix(np.full((2, 2), 0.25), (6, 6), stride=2)
    tiles = a.reshape(3, 2, 3, 2)
    np.testing.assert_allclose((W @ a.ravel()).reshape(3, 3), tiles.mean(axis=(1, 3)))
    np.testing.assert_allclose((W.T @ delta.ravel()).reshape(6, 6), np.kron(delta, np.ones((2, 2))) / 4)
    assert np.all((W != 0).sum(axis=0) == 1)  # one term in every sum of W^T delta


@every_seed
def test_the_slope_of_the_activation_stands_between_pooling_and_convolution(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, w = ac.tensor(rng.normal(size=(7, 7)), name="x"), ac.tensor(rng.normal(size=(2, 2)), name="w")
    slopes = {
        ac.relu: lambda z: 1.0 * (z > 0),
        ac.tanh: lambda z: 1 - np.tanh(z) ** 2,
        ac.sigmoid: lambda z: 1 / (2 + np.exp(z) + np.exp(-z)),
    }
    for act, slope in slopes.items():
        z = ac.conv2d(x, w)
        y = ac.avg_pool2d(act(z), 2)
        delta = rng.normal(size=y.shape)
        (at_z,) = ac.sweep(y, [z], delta)
        np.testing.assert_allclose(at_z, np.kron(delta, np.ones((2, 2))) / 4 * slope(z.value), atol=1e-13)


# ---- convolution

# (height, width, channels), (kernel height, width), filters, stride, padding
CONVS: list[Any] = [
    ((3, 3, 1), (2, 2), 1, (1, 1), (0, 0)),
    ((6, 5, 2), (3, 2), 3, (1, 1), (0, 0)),
    ((7, 7, 1), (3, 3), 2, (2, 2), (0, 0)),
    ((8, 6, 2), (3, 3), 2, (2, 2), (0, 0)),  # the last row is never read
    ((7, 9, 1), (2, 3), 2, (3, 2), (0, 0)),
    ((5, 6, 2), (3, 3), 2, (1, 1), (1, 1)),
    ((6, 7, 1), (3, 2), 2, (2, 3), (2, 1)),
    ((4, 5, 3), (1, 3), 2, (2, 1), (0, 2)),
]
CONVS += [drawn(seed) for seed in range(6)]
every_conv = pytest.mark.parametrize("case", CONVS, ids=str)


def convolved(shape: Any, window: Any, filters: int, stride: Any, padding: Any, seed: int) -> tuple[Any, ...]:
    """(x, w, delta, dL/dx, dL/dw), the gradients by the sweep."""
    rng = np.random.default_rng(seed)
    x = ac.tensor(rng.normal(size=shape), name="x")
    w = ac.tensor(rng.normal(size=(*window, shape[2], filters)), name="w")
    y = ac.conv2d(x, w, stride=stride, padding=padding)
    delta = rng.normal(size=y.shape)
    return x.value, w.value, delta, *ac.sweep(y, [x, w], delta)


def dilate(delta: Any, stride: Any) -> Any:
    """stride - 1 zeros between the cells."""
    wide = np.zeros((stride[0] * (len(delta) - 1) + 1, stride[1] * (delta.shape[1] - 1) + 1, delta.shape[2]))
    for i, j in np.ndindex(delta.shape[:2]):
        wide[i * stride[0], j * stride[1]] = delta[i, j]
    return wide


def around(delta: Any, window: Any) -> Any:
    """Zeros around delta, one less than the kernel has cells."""
    h, w = window[0] - 1, window[1] - 1
    out = np.zeros((len(delta) + 2 * h, delta.shape[1] + 2 * w, delta.shape[2]))
    out[h : h + len(delta), w : w + delta.shape[1]] = delta
    return out


@every_conv
@every_seed
def test_zero_padded_delta_against_the_rotated_kernel(case: Any, seed: int) -> None:
    shape, window, _, stride, padding = case
    _, w, delta, x_bar, _ = convolved(*case, seed)
    zeros_around = around(dilate(delta, stride), window)
    padded = np.zeros((shape[0] + 2 * padding[0], shape[1] + 2 * padding[1], shape[2]))  # what was never read stays 0
    kh, kw = window
    for i, j in np.ndindex(len(zeros_around) - kh + 1, zeros_around.shape[1] - kw + 1):
        for u, v, c, o in np.ndindex(*w.shape):
            padded[i, j, c] += zeros_around[i + u, j + v, o] * w[kh - 1 - u, kw - 1 - v, c, o]
    cropped = padded[padding[0] : padding[0] + shape[0], padding[1] : padding[1] + shape[1]]
    np.testing.assert_allclose(x_bar, cropped, atol=1e-12)


@every_conv
@every_seed
def test_the_kernels_gradient_is_the_image_against_the_dilated_delta(case: Any, seed: int) -> None:
    shape, _, _, stride, padding = case
    x, w, delta, _, w_bar = convolved(*case, seed)
    padded = np.zeros((shape[0] + 2 * padding[0], shape[1] + 2 * padding[1], shape[2]))
    padded[padding[0] : padding[0] + shape[0], padding[1] : padding[1] + shape[1]] = x
    wide = dilate(delta, stride)
    for u, v, c, o in np.ndindex(*w.shape):
        seen = padded[u : u + len(wide), v : v + wide.shape[1], c]
        assert w_bar[u, v, c, o] == pytest.approx(np.sum(seen * wide[..., o]), abs=1e-12)


@every_conv
def test_the_transposed_matrix_chooses_the_weights_by_itself(case: Any) -> None:
    shape, _, _, stride, padding = case
    _, w, delta, x_bar, _ = convolved(*case, 4)
    C = ac.conv_matrix(w, shape, stride=stride, padding=padding)
    np.testing.assert_allclose((C.T @ delta.ravel()).reshape(shape), x_bar, atol=1e-12)


@every_conv
def test_without_padding_the_sum_of_delta_is_multiplied_by_the_sum_of_the_kernel(case: Any) -> None:
    _, w, delta, x_bar, _ = convolved(*case[:4], (0, 0), 5)
    assert x_bar.sum() == pytest.approx(sum(delta[..., o].sum() * w[..., o].sum() for o in range(w.shape[-1])))


# ---- the slips that one makes on the way, and their names


def spread(a: Any, delta: Any, share: Any, add: bool, window: int, stride: int) -> Any:
    out = np.zeros(a.shape)
    for i, j in np.ndindex(delta.shape):
        at = slice(i * stride, i * stride + window), slice(j * stride, j * stride + window)
        out[at] = (out[at] if add else 0) + share(a[at]) * delta[i, j]
    return out


def evenly(cells: Any) -> Any:
    return np.full(cells.shape, 1 / cells.size)


def everywhere(cells: Any) -> Any:
    return np.ones(cells.shape)


# pooling, window, stride, how a window shares, whether windows are added, the mistake's name ("" for none)
POOL_CLAIMS = [
    ("avg_pool2d", 2, 2, evenly, True, ""),
    ("avg_pool2d", 3, 1, evenly, True, ""),
    ("avg_pool2d", 2, 2, everywhere, True, "pooling gradient copied to every cell"),
    ("max_pool2d", 2, 2, evenly, True, "pooling gradient spread evenly"),
    ("max_pool2d", 2, 2, everywhere, True, "pooling gradient copied to every cell"),
    ("avg_pool2d", 3, 2, evenly, False, "windows overwritten instead of overlap-added"),
    ("avg_pool2d", 3, 1, evenly, False, "windows overwritten instead of overlap-added"),
]


@pytest.mark.parametrize(("pool", "window", "stride", "share", "add", "name"), POOL_CLAIMS)
@every_seed
def test_check_names_the_slips_of_pooling(
    pool: str, window: int, stride: int, share: Any, add: bool, name: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    a = ac.tensor(rng.normal(size=(7, 7)), name="a")
    y = getattr(ac, pool)(a, window, stride=stride)
    delta = ac.tensor(rng.normal(size=y.shape), name="delta")
    verdict = ac.check(lambda a, delta: spread(a, delta, share, add, window, stride), of=ac.sum(delta * y), wrt=a)
    found = {m.name for group in [verdict.mistakes, *verdict.alternatives] for m in group}
    assert (verdict.kind == "right") if not name else (verdict.kind == "wrong" and name in found)


def back(w: Any, delta: Any, low: int, size: int, zeros: int, turn: bool = True) -> Any:
    """The loop of the lesson for one channel, with ``zeros`` between the cells of delta, cropped from cell ``low``."""
    k = len(w)
    wide = around(dilate(delta[..., None], (zeros + 1, zeros + 1)), w.shape)[..., 0]
    kernel = w[::-1, ::-1] if turn else w
    full = np.zeros((size + 2 * k, size + 2 * k))
    for i, j in np.ndindex(len(wide) - k + 1, len(wide) - k + 1):
        full[i, j] = np.sum(wide[i : i + k, j : j + k] * kernel)
    return full[low : low + size, low : low + size]


# stride, padding, zeros between, cropped from, kernel rotated, the mistake's name ("" for none)
CONV_CLAIMS = [
    (1, 0, 0, 0, True, ""),
    (2, 0, 1, 0, True, ""),
    (2, 1, 1, 1, True, ""),
    (3, 1, 2, 1, True, ""),
    (1, 0, 0, 0, False, "kernel not rotated"),
    (2, 0, 0, 0, True, "stride not dilated"),
    (2, 0, 2, 0, True, "dilated by stride"),
    (1, 1, 0, 0, True, "padding not cropped"),
    (1, 1, 0, 2, True, "padding shifted by one"),
]


@pytest.mark.parametrize(("stride", "padding", "zeros", "low", "turn", "name"), CONV_CLAIMS)
@every_seed
def test_check_names_the_slips_of_convolution(
    stride: int, padding: int, zeros: int, low: int, turn: bool, name: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x, w = ac.tensor(rng.normal(size=(7, 7)), name="x"), ac.tensor(rng.normal(size=(3, 3)), name="w")
    y = ac.conv2d(x, w, stride=stride, padding=padding)
    delta = ac.tensor(rng.normal(size=y.shape), name="delta")
    verdict = ac.check(lambda w, delta: back(w, delta, low, 7, zeros, turn), of=ac.sum(delta * y), wrt=x)
    found = {m.name for group in [verdict.mistakes, *verdict.alternatives] for m in group}
    assert (verdict.kind == "right") if not name else (not verdict and name in found)


def test_a_border_that_was_kept_is_told_by_its_shape() -> None:
    rng = np.random.default_rng(0)
    x, w = ac.tensor(rng.normal(size=(6, 6)), name="x"), ac.tensor(rng.normal(size=(3, 3)), name="w")
    y = ac.conv2d(x, w, padding=1)
    delta = ac.tensor(rng.normal(size=y.shape), name="delta")
    verdict = ac.check(lambda w, delta: back(w, delta, 0, 8, 0), of=ac.sum(delta * y), wrt=x)
    assert not verdict and [m.name for m in verdict.mistakes] == ["padding not cropped"]
    assert "(6, 6)" in verdict.summary and "(8, 8)" in verdict.summary


@pytest.mark.parametrize("case", CONVS[::3], ids=str)
def test_the_certificate_holds_for_convolutions(case: Any) -> None:
    shape, window, filters, stride, padding = case
    rng = np.random.default_rng(7)
    x = ac.tensor(rng.normal(size=shape), name="x")
    w = ac.tensor(rng.normal(size=(*window, shape[2], filters)), name="w")
    loss = ac.sum(ac.conv2d(x, w, stride=stride, padding=padding) ** 2)
    for wrt in (x, w):
        made = ac.certificate(loss, wrt)
        assert made and made.closed is not None


@pytest.mark.quick(1)
@pytest.mark.parametrize("name", ["avg_pool2d", "max_pool2d"])
@pytest.mark.parametrize("case", POOLS[::2], ids=str)
def test_the_certificate_holds_for_pooling(name: str, case: Any) -> None:
    shape, window, stride, padding = case
    rng = np.random.default_rng(8)
    a = ac.tensor(rng.permutation(np.prod(shape)).reshape(shape) / 10, name="a")  # no ties
    made = ac.certificate(ac.sum(getattr(ac, name)(a, window, stride=stride, padding=padding) ** 2), a)
    assert made and (padding or made.closed is not None)
