"""A table of special values: kinks, ties, infinities, NaN, empty arrays, 0-d; and maximum, exactly."""

import numpy as np
import pytest

import autoconv as ac

inf, nan = np.inf, np.nan
BIG = np.finfo(float).max

# operation, operands, value, gradients (None: not asked)
CASES = [
    # kinks
    ("abs", [0.0], 0, [0]),
    ("abs", [-3.0], 3, [-1]),
    ("relu", [0.0], 0, [0]),
    ("relu", [-0.5], 0, [0]),
    ("relu", [0.5], 0.5, [1]),
    ("leaky_relu", [0.0], 0, [0.01]),
    ("leaky_relu", [-2.0], -0.02, [0.01]),
    ("elu", [0.0], 0, [1]),
    ("sign", [-0.0], 0, None),
    ("sqrt", [4.0], 2, [0.25]),
    # ties
    ("maximum", [1.0, 1.0], 1, [0.5, 0.5]),
    ("minimum", [1.0, 1.0], 1, [0.5, 0.5]),
    ("maximum", [0.0, -0.0], 0, [0.5, 0.5]),
    # where the definition (x + y + |x - y|) / 2 would fail
    ("maximum", [1.0, -1e20], 1, [1, 0]),
    ("maximum", [-1e20, 1.0], 1, [0, 1]),
    ("minimum", [1.0, 1e20], 1, [1, 0]),
    ("maximum", [1.0, -inf], 1, [1, 0]),
    ("maximum", [inf, 1.0], inf, [1, 0]),
    ("maximum", [inf, inf], inf, [0.5, 0.5]),
    ("maximum", [-inf, -inf], -inf, [0.5, 0.5]),
    ("minimum", [-inf, 3.0], -inf, [1, 0]),
    ("maximum", [BIG, -BIG], BIG, [1, 0]),
    ("maximum", [BIG, BIG], BIG, [0.5, 0.5]),
    ("maximum", [BIG, inf], inf, [0, 1]),
    ("maximum", [0.9 * BIG, BIG], BIG, [0, 1]),
    ("minimum", [-BIG, BIG], -BIG, [1, 0]),
    ("maximum", [nan, 1.0], nan, [1, 0]),
    ("maximum", [1.0, nan], nan, [0, 1]),
    ("maximum", [nan, nan], nan, [0.5, 0.5]),
    # no overflow
    ("sigmoid", [1000.0], 1, [0]),
    ("sigmoid", [-1000.0], 0, [0]),
    ("sigmoid", [0.0], 0.5, [0.25]),
    ("sigmoid", [-40.0], np.exp(-40.0), [np.exp(-40.0)]),
    ("softplus", [1000.0], 1000, [1]),
    ("softplus", [-1000.0], 0, [0]),
    ("softplus", [-50.0], np.exp(-50.0), [np.exp(-50.0)]),
    ("softplus", [0.0], np.log(2), [0.5]),
    ("logaddexp", [1000.0, 1000.0], 1000 + np.log(2), [0.5, 0.5]),
    ("tanh", [inf], 1, [0]),
    ("exp", [-inf], 0, [0]),
    ("expm1", [0.0], 0, [1]),
    ("expm1", [1e-300], 1e-300, [1]),
    ("expm1", [-inf], -1, [0]),
    ("expm1", [inf], inf, [inf]),
    # power at zero, as PyTorch has it
    ("power", [0.0, 2.0], 0, [0, 0]),
    ("power", [0.0, 1.0], 0, [1, 0]),
    ("power", [3.0, 0.0], 1, [0, np.log(3)]),
    ("power", [0.0, 0.0], 1, [0, 0]),
]


@pytest.mark.parametrize(("name", "operands", "value", "gradients"), CASES)
def test_value_and_gradient(name, operands, value, gradients):
    lines = [ac.tensor(x) for x in operands]
    with np.errstate(all="ignore"):
        y = (ac.TABLE.get(name) or getattr(ac, name))(*lines)
        np.testing.assert_allclose(y.value, value, rtol=1e-14)
        if gradients is not None:
            np.testing.assert_allclose(ac.sweep(y, lines), gradients, rtol=1e-14)


def test_slopes_at_a_tie_are_chosen_by_ties():
    for ties, expected in {"split": [0.5, 0.5], "first": [1, 0]}.items():
        for name in ("maximum", "minimum"):
            x, y = ac.tensor(2.0), ac.tensor(2.0)
            assert ac.sweep(getattr(ac, name)(x, y, ties=ties), [x, y]) == expected, (name, ties)


def test_second_derivatives_at_smooth_points_of_shifted_formulas():
    """softplus'' = sigmoid' = 1/4 at 0, where the shift by the larger operand has its own kink."""
    second = ac.grad(ac.grad(lambda x: ac.softplus(x)))
    np.testing.assert_allclose(second(0.0), 0.25, rtol=1e-14)
    np.testing.assert_allclose(ac.grad(ac.grad(ac.sigmoid))(0.0), 0, atol=1e-15)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_exact_value_equals_the_definition_where_that_is_exact(name):
    """On small integers and quarters the identity loses nothing, so row and definition agree bit for bit."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(-64, 64, (2, 500)) / 4
    row = ac.TABLE[name]
    for ties in ("split", "first"):
        np.testing.assert_array_equal(row(x, y, ties=ties), row.definition(ac.tensor(x), ac.tensor(y), ties=ties).value)


def test_maximum_of_random_floats_is_the_true_maximum():
    x, y = np.random.default_rng(1).normal(size=(2, 1000)) * 10.0 ** np.random.default_rng(2).integers(-9, 9, (2, 1000))
    np.testing.assert_array_equal(ac.maximum(ac.tensor(x), y).value, np.where(x > y, x, y))


# ---- max pooling and max over axes


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_max_pooling_of_negative_images_with_padding(layout):
    """Padding never takes part: an all-negative image keeps its own cells' maxima,
    and all gradient reaches real cells."""
    x = ac.tensor(-1 - np.random.default_rng(3).random((2, 5, 5, 5)))
    y = ac.max_pool2d(x, 3, stride=2, padding=1, layout=layout)
    assert (y.value < -1).all()
    (g,) = ac.sweep(y, [x], np.ones(y.shape))
    assert g.sum() == y.size


def test_ties_go_to_the_first_cell_in_scan_order():
    x = ac.tensor(np.ones((4, 4)))
    (g,) = ac.sweep(ac.max_pool2d(x, 2), [x], np.arange(1.0, 5.0).reshape(2, 2))
    np.testing.assert_array_equal(g, [[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]])
    (g,) = ac.sweep(ac.max_pool2d(x, 3, stride=1, padding=1), [x], np.ones((4, 4)))
    np.testing.assert_array_equal(g, [[4, 2, 2, 0], [2, 1, 1, 0], [2, 1, 1, 0], [0, 0, 0, 0]])
    for n in range(1, 9):
        line = ac.tensor(np.zeros(n))
        np.testing.assert_array_equal(ac.sweep(ac.max(line), [line])[0], np.eye(n)[0])
        np.testing.assert_array_equal(ac.sweep(ac.min(line), [line])[0], np.eye(n)[0])


def test_dilated_padding_repeats_a_cell_of_the_same_window():
    x = np.array([5.0, -1.0, -2.0, -3.0])
    y = ac.max_pool1d(ac.tensor(x), 2, stride=1, padding=1, dilation=2)
    np.testing.assert_array_equal(y.value, [-1, 5, -1, -2])  # windows {1}, {0,2}, {1,3}, {2}


def test_nan_in_a_window_comes_out_as_nan():
    x = np.zeros((4, 4))
    x[1, 1] = nan
    y = ac.max_pool2d(ac.tensor(x), 2).value
    assert np.isnan(y[0, 0]) and np.isfinite(y).sum() == 3
    assert np.isnan(ac.max(ac.tensor([1.0, nan, 2.0])).value)


def test_lp_pool_of_a_window_of_zeros_has_slope_zero():
    x = ac.tensor(np.zeros((2, 2)))
    y = ac.lp_pool2d(x, 2)
    assert y.item() == 0
    np.testing.assert_array_equal(ac.sweep(y, [x], [[1.0]])[0], np.zeros((2, 2)))


# ---- nothing, and one

EMPTY = [
    (lambda t: ac.sum(t), (0, 3), 0.0),
    (lambda t: ac.sum(t, axis=0), (0, 3), np.zeros(3)),
    (lambda t: ac.prod(t, axis=0), (0, 2), np.ones(2)),
    (lambda t: ac.relu(t), (0, 3), np.zeros((0, 3))),
    (lambda t: ac.conv2d(t, np.ones((3, 3, 2, 4)), padding=1), (0, 5, 5, 2), np.zeros((0, 5, 5, 4))),
    (lambda t: ac.max_pool2d(t, 2), (0, 4, 4, 1), np.zeros((0, 2, 2, 1))),
    (lambda t: ac.avg_pool2d(t, 2), (0, 4, 4, 1), np.zeros((0, 2, 2, 1))),
    (lambda t: t @ np.ones((3, 2)), (0, 3), np.zeros((0, 2))),
    (lambda t: np.ones((2, 0)) @ t, (0, 3), np.zeros((2, 3))),
    (lambda t: ac.softmax(t), (0, 3), np.zeros((0, 3))),
    (lambda t: ac.concat([t, t], 1), (0, 3), np.zeros((0, 6))),
]


@pytest.mark.parametrize(("f", "shape", "expected"), EMPTY)
def test_empty_arrays(f, shape, expected):
    t = ac.tensor(np.ones(shape))
    y = f(t)
    np.testing.assert_array_equal(y.value, expected)
    if not y.constant:
        assert ac.sweep(y, [t], np.ones(y.shape))[0].shape == shape


@pytest.mark.parametrize("f", [ac.sum, ac.mean, ac.max, ac.min, ac.prod, ac.relu, ac.logsumexp, ac.square])
def test_zero_dimensional(f):
    t = ac.tensor(2.0)
    y = f(t)
    assert y.shape == ()
    (g,) = ac.sweep(y, [t])
    assert g.shape == () and g == (4.0 if f is ac.square else 1.0)


def test_max_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"no max of nothing"):
        ac.max(ac.tensor(np.ones((0, 3))), axis=0)
