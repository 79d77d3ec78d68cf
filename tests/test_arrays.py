"""The NumPy forwards of the table's rows: the same numbers for every order of the axes in memory and every size
of the pieces."""

from fractions import Fraction

import numpy as np
import pytest

import autoconv as ac
from autoconv import arrays
from autoconv.arrays import contraction, memory, rules, wiring


def laid_out(rng, shape, dtype="f8"):
    """Whole numbers in an array of any order in memory, now and then with steps, reversed, repeated or overlapping."""
    order = rng.permutation(len(shape))
    x = rng.integers(-4, 5, [shape[i] for i in order]).astype(dtype).transpose(np.argsort(order).tolist())
    kind = rng.integers(5) if shape and dtype == "f8" else 0
    if kind == 1:
        return np.repeat(x, 2, axis=0)[::2]
    if kind == 2:
        return np.flip(x, -1)
    if kind == 3:
        return np.broadcast_to(x[:1] if shape[0] else x, shape)
    if kind == 4:
        steps = [8 * int(n) for n in rng.integers(0, 4, len(shape))]
        return np.lib.stride_tricks.as_strided(rng.integers(-4, 5, 99 + 4 * sum(shape)).astype(dtype), shape, steps)
    return x


@pytest.mark.parametrize("seed", range(300))
def test_contract_is_einsum(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    monkeypatch.setattr(contraction, "TILE", int(rng.choice([1, 7, 40, 1 << 18])))
    monkeypatch.setattr(contraction, "SMALLEST_GEMM", int(rng.choice([0, 1 << 17])))
    contraction.gemm_axes.cache_clear()
    ends = np.cumsum(rng.integers(0, 4, 4))
    letters = "".join(rng.permutation(list("abcdefghijklmnop")))
    batch, summed, free_a, free_b = (letters[i:j] for i, j in zip([0, *ends[:-1]], ends, strict=True))
    size = {c: int(rng.choice([0, 1, 2, 3, 4], p=[0.02, 0.2, 0.3, 0.3, 0.18])) for c in letters}
    terms = ["".join(rng.permutation(list(t))) for t in (batch + summed + free_a, batch + summed + free_b)]
    result = "".join(rng.permutation(list(batch + free_a + free_b)))
    dtype = "i8" if seed % 5 == 0 else "f8"
    a, b = (laid_out(rng, [size[c] for c in term], dtype) for term in terms)
    spec = f"{','.join(terms)}->{result}"
    np.testing.assert_array_equal(arrays.contract(a, b, spec), np.einsum(spec, a, b))


@pytest.mark.parametrize("piece", [1, 300, 1 << 18])
@pytest.mark.parametrize("dtype", ["f4", "i8", object])
@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("stride", "dilation"), [((1, 1), (1, 1)), ((2, 1), (1, 2)), ((3, 2), (2, 1))])
def test_frames_are_multiplied_position_by_position(piece, dtype, layout, stride, dilation, monkeypatch):
    """Forward and weight gradient of a convolution of many thin images; few channels in either layout."""
    monkeypatch.setattr(contraction, "TILE", piece)
    monkeypatch.setattr(contraction, "SMALLEST_GEMM", 0)
    contraction.gemm_axes.cache_clear()
    rng = np.random.default_rng(piece)
    last = layout == "channels_last"
    x = rng.integers(-4, 5, (17, 9, 8, 2) if last else (17, 2, 9, 8))
    frames = arrays.windows(x.astype(dtype), (1, 2) if last else (2, 3), (3, 2), stride, dilation)
    kernel = rng.integers(-4, 5, (3, 2, 2, 5) if last else (5, 2, 3, 2)).astype(dtype)
    forward = "nxyijc,ijco->nxyo" if last else "ncxyij,ocij->noxy"
    y = arrays.contract(frames, kernel, forward)
    np.testing.assert_array_equal(y.astype("f8"), np.einsum(forward, frames.astype("f8"), kernel.astype("f8")))
    back = "nxyo,nxyijc->ijco" if last else "noxy,ncxyij->ocij"
    g = rng.integers(-4, 5, y.shape).astype(dtype)
    w = arrays.contract(g, frames, back)
    np.testing.assert_array_equal(w.astype("f8"), np.einsum(back, g.astype("f8"), frames.astype("f8")))
    assert y.dtype == w.dtype == np.dtype(dtype)


def test_frames_of_many_images_are_not_written_out():
    """10 MB of frames are multiplied through a copy of a part of what they read."""
    import tracemalloc

    frames = arrays.windows(np.ones((64, 32, 32, 1), "f4"), (1, 2), (7, 7), (1, 1), (1, 1))
    kernel = np.ones((7, 7, 1, 8), "f4")
    tracemalloc.start()
    y = arrays.contract(frames, kernel, "nxyijc,ijco->nxyo")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (y == 49).all() and peak < y.nbytes + 4 * contraction.TILE + (1 << 16)


@pytest.mark.parametrize("count", [1, 3, 16, 20])
@pytest.mark.parametrize("channels", [1, 3, 17])
@pytest.mark.parametrize(
    ("stride", "dilation"), [((1, 1), (1, 1)), ((2, 3), (1, 1)), ((1, 2), (2, 1)), ((4, 5), (1, 2))]
)
def test_windows_and_overlap_add_do_not_depend_on_the_order_in_memory(count, channels, stride, dilation):
    rng = np.random.default_rng(count)
    x = laid_out(rng, (count, 9, 8, channels), "i8").astype("f4")
    settings = ((1, 2), (2, 3), stride, dilation)
    frames = arrays.windows(x, *settings)
    naive = np.empty(frames.shape)
    for i, j, u, v in np.ndindex(*frames.shape[1:5]):
        naive[:, i, j, u, v] = x[:, i * stride[0] + u * dilation[0], j * stride[1] + v * dilation[1]]
    np.testing.assert_array_equal(frames, naive)
    assert not frames.flags.writeable

    g = laid_out(rng, frames.shape, "i8").astype("f4")
    back = arrays.overlap_add(g, (1, 2), (9, 8), stride, dilation)
    assert np.sum(back * x.astype("f8")) == np.sum(g * naive)


def test_frames_of_many_thin_images_have_the_images_innermost():
    x = np.zeros((wiring.FEW, 5, 5, 2), "f4")
    assert memory.memory_order(arrays.windows(x, (1, 2), (2, 2), (1, 1), (1, 1)))[-1] == 0


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2"])
@pytest.mark.parametrize("ties", ["first", "split"])
def test_the_rule_of_maximum_and_minimum_for_every_pair_of_numbers(ties, dtype):
    values = np.array([-np.inf, -1e4, -1.0, -0.0, 0.0, 1.0, 1e4, np.inf, np.nan], dtype)
    for kept in (values, values[:-1]):  # with a NaN and without
        a, b = (np.ascontiguousarray(v) for v in np.meshgrid(kept, kept))
        slope = {"first": 1.0, "split": 0.5}[ties]
        tie = np.where((a == b) | (np.isnan(a) & np.isnan(b)), slope, 0.0)
        x, y = ac.tensor(a), ac.tensor(b)
        for f, a_wins in ((ac.maximum, (a > b) | (np.isnan(a) & ~np.isnan(b))), (ac.minimum, None)):
            wins = tie + (a_wins if a_wins is not None else (a < b) | (np.isnan(a) & ~np.isnan(b)))
            to_x, to_y = ac.sweep(f(x, y, ties=ties), [x, y], cotangent=np.full(a.shape, 2.0, dtype))
            np.testing.assert_array_equal(to_x, 2 * wins)
            np.testing.assert_array_equal(to_y, 2 - 2 * wins)
            assert to_x.dtype == to_y.dtype == np.dtype(dtype)


def test_the_maximum_with_a_number_is_that_of_numpy():
    values = np.array([-np.inf, -1.0, -0.0, 0.0, 1.0, np.inf, np.nan])
    x = np.asfortranarray(np.stack([values] * 3))
    for f in (np.maximum, np.minimum):
        for number in values:
            wide = np.broadcast_to(number, x.shape)
            for pair in ((wide, x), (x, wide), (wide, wide), (x, number), (number, x)):
                made, expected = arrays.extreme(f, *pair), f(*pair)
                np.testing.assert_array_equal(made, expected)
                assert made.strides == expected.strides and (np.signbit(made) == np.signbit(expected)).all()
    assert arrays.extreme(np.maximum, 2.0, np.array(1.0)) == arrays.extreme(np.maximum, np.array(1.0), 2.0) == 2.0


def test_a_rule_that_follows_from_a_definition_is_the_same_in_blocks(monkeypatch):
    a, b = np.random.default_rng(0).normal(size=(2, 7, 9))
    x, y = ac.tensor(a), ac.tensor(b)
    whole = ac.sweep(ac.logaddexp(x, y), [x, y], cotangent=np.ones(a.shape))
    monkeypatch.setattr(rules, "BLOCK", 5)
    np.testing.assert_array_equal(ac.sweep(ac.logaddexp(x, y), [x, y], cotangent=np.ones(a.shape)), whole)
    np.testing.assert_allclose(whole[0], 1 / (1 + np.exp(b - a)))


def test_sign_and_order_of_every_kind_of_number():
    x = np.array([-np.inf, -2.0, -0.0, 0.0, 3.0, np.inf, np.nan])
    for at_zero in (-1, 0, 1):
        expected = [-1, -1, at_zero, at_zero, 1, 1, np.nan]
        np.testing.assert_array_equal(arrays.sign(x, at_zero), expected)
    np.testing.assert_array_equal(arrays.order(x, np.zeros(7)), [-1, -1, 0, 0, 1, 1, 1])
    half = np.array([Fraction(-1, 2), Fraction(0), Fraction(1, 2)], object)
    assert arrays.sign(half, 1).tolist() == [-1, 1, 1] and arrays.order(half, half[::-1]).tolist() == [-1, 0, 1]


def test_a_sweep_holds_no_cotangent_that_was_used():
    """A chain of 60 lines of 1 MB each: the tape holds them, the sweep adds no more than a few."""
    import tracemalloc

    x = ac.tensor(np.ones(1 << 17))
    y = x
    for _ in range(60):
        y = ac.tanh(y)
    total = y.sum()
    tracemalloc.start()
    ac.sweep(total, [x])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20
