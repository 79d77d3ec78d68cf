"""ceil_mode by its formula: ceil((n + low + high - span) / stride) + 1 windows, without those that would start beyond
the input and its low padding (PyTorch's rule), also where the window is larger than the padded input."""

import itertools
from math import ceil

import numpy as np
import pytest

import autoconv as ac
from autoconv import nn

POOLS = {
    "max": lambda cells, count, p: max(cells),
    "avg": lambda cells, count, p: sum(cells) / count,
    "lp": lambda cells, count, p: sum(abs(c) ** p for c in cells) ** (1 / p),
}


def by_hand(kind, x, k, s, pad):
    """The windows of a row of numbers one by one, or None where there is none."""
    n = len(x)
    count = ceil((n + 2 * pad - k) / s) + 1
    if (count - 1) * s >= n + pad:
        count -= 1
    if count < 1:
        return None
    made = []
    for i in range(count):
        start = i * s - pad
        cells = [x[j] for j in range(max(start, 0), min(start + k, n))]
        made.append(POOLS[kind](cells, min(start + k, n + pad) - start, 2))
    return made


@pytest.mark.parametrize("kind", POOLS)
def test_one_dimension(kind):
    tried = larger = 0
    for n, k, s, pad in itertools.product(range(1, 7), range(1, 8), range(1, 6), range(3)):
        if pad > k // 2:
            continue
        x = np.arange(1.0, n + 1)
        right, f = by_hand(kind, x.tolist(), k, s, pad), getattr(ac, f"{kind}_pool1d")
        call = lambda x: f(x, k, stride=s, padding=pad, ceil_mode=True)  # noqa: B023
        tried, larger = tried + 1, larger + (k > n + 2 * pad and right is not None)
        if right is None:
            with pytest.raises(ValueError, match="larger than the padded input"):
                call(x)
        else:
            np.testing.assert_allclose(call(x), right, rtol=1e-14, err_msg=str((n, k, s, pad)))
            np.testing.assert_allclose(call(ac.tensor(x)).value, right, rtol=1e-14)
    assert tried > 400 and larger > 50


@pytest.mark.dear
@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_a_window_larger_than_the_input(kind, dims):
    shape = (2, *(2, 3, 2)[:dims], 2)  # numbers that lie apart: a maximum has a kink where two are close
    x = np.random.default_rng(0).permutation(np.linspace(1, 2, np.prod(shape))).reshape(shape)
    f = lambda x: getattr(ac, f"{kind}_pool{dims}d")(x, 4, stride=3, ceil_mode=True)
    axes = tuple(range(1, dims + 1))
    cells = {"max": x.max(axes), "avg": x.mean(axes), "lp": np.sqrt((x**2).sum(axes))}[kind]
    np.testing.assert_allclose(f(x).reshape(cells.shape), cells, rtol=1e-14)
    loss = lambda x: ac.sum(f(x) ** 2)
    assert ac.check_grads(loss, x)
    program, gradient = ac.compile(loss), ac.grad(loss)(x)
    for _ in range(3):
        value, compiled = program.value_and_grad(x)
        np.testing.assert_allclose(value, (cells**2).sum(), rtol=1e-13)
        np.testing.assert_allclose(compiled, gradient, rtol=1e-13)
    layer = getattr(nn, {"max": "MaxPool", "avg": "AvgPool", "lp": "LPPool"}[kind] + f"{dims}d", None)
    if layer is not None and kind != "lp":
        np.testing.assert_allclose(layer(4, 3, ceil_mode=True)(x).value, f(x))


def test_the_reported_case():
    assert ac.max_pool1d(ac.tensor([0.0, 1.0]), 3, ceil_mode=True).value.tolist() == [1.0]
    x = ac.tensor([0.0, 1.0])
    ac.sum(ac.max_pool1d(x, 3, ceil_mode=True)).backward()
    assert x.grad.tolist() == [0.0, 1.0]


def test_the_mean_of_a_window_over_the_edge_counts_the_cells_inside():
    assert ac.avg_pool1d(ac.tensor([1.0, 3.0]), 3, ceil_mode=True).value.tolist() == [2.0]
    assert ac.avg_pool1d(ac.tensor([1.0, 3.0]), 5, padding=1, ceil_mode=True).value.tolist() == [1.0]  # 0 1 3 0
