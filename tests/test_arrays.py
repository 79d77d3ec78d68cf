"""The NumPy forwards of the table's rows: the same numbers for every order of the axes in memory and every size of the pieces."""

from fractions import Fraction

import numpy as np
import pytest

import autoconv as ac
from autoconv import arrays
from autoconv.arrays import contraction, memory, wiring


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
    monkeypatch.setattr(contraction, "PIECE", int(rng.choice([1, 7, 40, 1 << 18])))
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


@pytest.mark.parametrize("ties", ["first", "split"])
def test_the_rule_of_maximum_is_the_same_in_blocks(ties, monkeypatch):
    values = [-np.inf, -1e20, -1.0, -0.0, 0.0, 1.0, 1e20, np.inf, np.nan]
    a, b = (np.ascontiguousarray(v) for v in np.meshgrid(values, values))
    slope = {"first": 1.0, "split": 0.5}[ties]
    wins = np.where((a > b) | (np.isnan(a) & ~np.isnan(b)), 1.0, np.where((a == b) | np.isnan(a), slope, 0.0))
    for block in (1 << 16, 5):
        monkeypatch.setattr(memory, "BLOCK", block)
        x, y = ac.tensor(a), ac.tensor(b)
        to_x, to_y = ac.sweep(ac.maximum(x, y, ties=ties), [x, y], seed=np.full(a.shape, 2.0))
        np.testing.assert_array_equal(to_x, 2 * wins)
        np.testing.assert_array_equal(to_y, 2 - 2 * wins)


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
