"""What is not chosen passes nothing on: a slope is selected and not multiplied, on every floor, to second order.

And the functions that are written stably: right at infinities, at offsets, and where digits would cancel.  The numbers
on the right are from the mathematics, or worked out with mpmath.
"""

import itertools
import os

import numpy as np
import pytest

import autoconv as ac

inf, nan = np.inf, np.nan
f32, f16 = np.float32, np.float16
pytestmark = pytest.mark.filterwarnings("ignore")


def eager(f, x):
    return ac.value_and_grad(f)(x)


def compiled(f, x):
    program = ac.compile(f)
    program.value_and_grad(x, wrt=0)
    return program.value_and_grad(x, wrt=0)


def numpy_plan(f, x):
    before = os.environ.get("AUTOCONV_NATIVE")
    os.environ["AUTOCONV_NATIVE"] = "0"
    try:
        return compiled(f, x)
    finally:
        os.environ.pop("AUTOCONV_NATIVE")
        if before is not None:
            os.environ["AUTOCONV_NATIVE"] = before


def expanded(f, x):
    leaf = ac.tensor(x)
    flat = ac.expand(f(leaf))
    return flat.value[flat.output], flat.sweep()[flat.scalars(leaf)]


def recorded(f, x):
    """The sweep as a tape."""
    leaf = ac.tensor(x)
    y = f(leaf)
    return y.value, ac.sweep(y, [leaf], ac.tensor(np.ones((), y.dtype)))[0].value


FLOORS = [eager, compiled, numpy_plan, expanded, recorded]

SELECTED = {
    "sqrt(relu)": (lambda x: ac.sum(ac.sqrt(ac.relu(x))), [-1.0, 4.0], [0, 0.25]),
    "log(clip)": (lambda x: ac.sum(ac.log(ac.clip(x, 0, 2))), [-1.0, 0.5, 3.0], [0, 2, 0]),
    "sqrt(abs)": (lambda x: ac.sum(ac.sqrt(ac.abs(x))), [0.0, -4.0], [0, -0.25]),
    "sqrt(maximum)": (lambda x: ac.sum(ac.sqrt(ac.maximum(x, 0.0))), [-1.0, 0.0, 4.0], [0, inf, 0.25]),
    "sqrt(minimum)": (lambda x: ac.sum(ac.sqrt(-ac.minimum(x, 0.0, ties="first"))), [1.0, -4.0], [0, -0.25]),
    "sqrt(relus)": (lambda x: ac.sum(ac.sqrt(ac.relu(x) + ac.relu(-x))), [-1.0, 4.0], [-0.5, 0.25]),
    "max_pool2d": (
        lambda x: ac.sum(ac.sqrt(ac.max_pool2d(x[:, None], (2, 1)))), [-1.0, 0.0, 4.0, 1.0], [0, inf, 0.25, 0]
    ),
    "max": (lambda x: ac.sqrt(ac.max(x)), [-1.0, 0.0], [0, inf]),
    "where": (lambda x: ac.sum(ac.where(x > 0, ac.sqrt(ac.maximum(x, 0, ties="first")), 0.0)), [-1.0, 4.0], [0, 0.25]),
    "x ** 0": (lambda x: ac.sum(x**0.0), [inf, -inf, 0.0, 1e-320, 2.0], [0, 0, 0, 0, 0]),
    "x ** tensor 0": (lambda x: ac.sum(x ** ac.zeros_like(x)), [inf, -inf, 0.0, 2.0], [0, 0, 0, 0]),
    "std": (lambda x: ac.std(x), [2.0, 2.0, 2.0], [0, 0, 0]),
    "minimum of nan": (lambda x: ac.minimum(x[0], x[1]), [nan, 1.0], [1, 0]),
    "minimum with nan": (lambda x: ac.minimum(x[0], x[1], ties="first"), [1.0, nan], [0, 1]),
    "maximum of nan": (lambda x: ac.maximum(x[0], x[1]), [nan, 1.0], [1, 0]),
}  # fmt: skip


@pytest.mark.parametrize("floor", FLOORS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", SELECTED)
def test_the_loser_gets_nothing(name, floor):
    f, x, slopes = SELECTED[name]
    np.testing.assert_array_equal(floor(f, np.array(x))[1], slopes)


@pytest.mark.parametrize("name", ["sqrt(relu)", "sqrt(relus)", "log(clip)", "sqrt(minimum)"])
def test_to_second_order(name):
    f, x, _ = SELECTED[name]
    second = ac.hessian(f)(np.array(x))
    expected = {
        "sqrt(relu)": [0, -1 / 32],
        "sqrt(relus)": [-1 / 4, -1 / 32],
        "log(clip)": [0, -4, 0],
        "sqrt(minimum)": [0, -1 / 32],
    }[name]
    np.testing.assert_allclose(second, np.diag(expected))


def test_what_where_does_not_choose_gets_nothing_on_scalars():
    x = ac.tensor([0.0])
    y = ac.sum(ac.tanh(ac.where(np.array([False]), x, np.array([nan]))))
    flat = ac.expand(y)
    assert flat.sweep()[flat.scalars(x)].tolist() == [0]


@pytest.mark.parametrize(
    "f", [lambda x: x.relu().sqrt(), lambda x: x.maximum(0.0).sqrt(), lambda x: abs(x + 3.0).sqrt()]
)
def test_scalars(f):
    x = ac.Scalar(-3.0)
    f(x).backward()
    program = ac.compile(f)
    program.value_and_grad(-3.0)
    assert [x.grad, program.value_and_grad(-3.0)[1], ac.expand(f(x)).sweep()[1]] == [0, 0, 0]


def test_power_at_zero():
    assert ac.grad(lambda y: 0.0**y)(-1.0) == -inf
    hessian = ac.hessian(lambda v: v[0] ** v[1])(np.array([2.0, 0.0]))
    np.testing.assert_allclose(hessian, [[0, 0.5], [0.5, np.log(2) ** 2]])


VALUES = {
    "sigmoid": (ac.sigmoid, {inf: (1, 0), -inf: (0, 0), 0.0: (0.5, 0.25), -88.0: (6.054601895401186e-39,) * 2}),
    "softplus": (ac.softplus, {inf: (inf, 1), -inf: (0, 0), 0.0: (np.log(2), 0.5)}),
    "log_sigmoid": (
        ac.log_sigmoid,
        {inf: (0, 0), -inf: (-inf, 1), 88.0: (-6.054601895401186e-39, 6.054601895401186e-39)},
    ),
    "silu": (ac.silu, {inf: (inf, 1), -inf: (0, 0), 0.0: (0, 0.5)}),
    "softsign": (
        ac.softsign,
        {inf: (1, 0), -inf: (-1, 0), 1e8: (1 - 1e-8, 9.9999998e-17), -1e4: (-1e4 / 10001, 1 / 10001**2)},
    ),
    "gelu": (
        ac.gelu,
        {inf: (inf, 1), -inf: (0, 0), -10.0: (-7.619853024160526e-23, -7.618400104e-22), 1.7e308: (1.7e308, 1)},
    ),
    "gelu tanh": (
        lambda x: ac.gelu(x, approximate="tanh"),
        {inf: (inf, 1), -inf: (0, 0), -5.5: (-5.92764026e-9, -4.67655281e-8), 3e38: (3e38, 1)}
        | {-10.0: (-1.20409235e-37, -2.75763806e-36)},
    ),
    "elu": (ac.elu, {-1e-8: (-9.99999995e-9, 1 - 1e-8), inf: (inf, 1), -inf: (-1, 0)}),
}


@pytest.mark.parametrize("dtype", [np.float64, f32])
@pytest.mark.parametrize("floor", FLOORS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", VALUES)
def test_activations(name, floor, dtype):
    f, cases = VALUES[name]
    cases = {x: y for x, y in cases.items() if abs(x) < 3.4e38 or dtype is np.float64 or np.isinf(x)}
    x = np.array(list(cases), dtype)
    g = floor(lambda x: ac.sum(f(x)), x)[1]
    rtol = 2e-7 if dtype is np.float64 else 2e-5
    np.testing.assert_allclose(ac.TABLE["identity"](f(x)), [y for y, _ in cases.values()], rtol=rtol)
    np.testing.assert_allclose(g, [d for _, d in cases.values()], rtol=rtol)


@pytest.mark.parametrize("floor", FLOORS, ids=lambda f: f.__name__)
def test_binary_cross_entropy_at_infinities_and_far_logits(floor):
    z = np.array([inf, inf, -inf, -inf, 30.0, 88.0, 0.0])
    t = np.array([0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.25])
    right = [inf, 0, 0, inf, 9.357622968839737e-14, 6.054601895401186e-39, np.log(2)]
    np.testing.assert_allclose(ac.losses.bce_with_logits(z, t, reduction="none"), right, rtol=1e-14)
    slopes = floor(lambda z: ac.losses.bce_with_logits(z, t, reduction="sum"), z)[1]
    np.testing.assert_allclose(slopes, [1, 0, 0, -1, -9.357622968839299e-14, -6.054601895401186e-39, 0.25], rtol=1e-13)


LOGSUMEXP = [
    ([-inf, -inf], -inf, [0, 0]),
    ([0.0, inf], inf, [0, 1]),
    ([0.0, -inf], 0, [1, 0]),
    ([0.0, 0.0], np.log(2), [0.5, 0.5]),
    ([1e8, 1e8], 1e8 + np.log(2), [0.5, 0.5]),
]


@pytest.mark.parametrize("floor", FLOORS, ids=lambda f: f.__name__)
@pytest.mark.parametrize(("x", "value", "slopes"), LOGSUMEXP)
def test_logsumexp(x, value, slopes, floor):
    y, g = floor(lambda x: ac.logsumexp(x), np.array(x))
    np.testing.assert_allclose(y, value, rtol=1e-15)
    np.testing.assert_allclose(g, slopes, rtol=1e-14)


@pytest.mark.parametrize("offset", [0, 1e4, 1e6, 1e7, 1e8])
@pytest.mark.parametrize("floor", FLOORS, ids=lambda f: f.__name__)
def test_cross_entropy_of_equal_logits(floor, offset):
    y, g = floor(lambda x: ac.losses.cross_entropy(x, np.array([0])), np.full((1, 2), offset, f32))
    np.testing.assert_allclose(y, np.log(2), rtol=1e-6)
    np.testing.assert_allclose(g, [[-0.5, 0.5]], rtol=1e-6)


@pytest.mark.parametrize("floor", FLOORS, ids=lambda f: f.__name__)
def test_a_class_of_weight_0_may_have_any_logit(floor):
    y, g = floor(lambda x: ac.losses.cross_entropy(x, np.array([[0.0, 1.0]])), np.array([[-inf, 1.0]]))
    assert y == 0
    assert g.tolist() == [[0, 0]]


def test_xlogy():
    x, y = np.array([0.0, 0.0, 2.0, 0.0]), np.array([0.0, inf, 3.0, nan])
    np.testing.assert_allclose(ac.xlogy(x, y), [0, 0, 2 * np.log(3), nan])
    dx, dy = ac.grad(lambda x, y: ac.sum(ac.xlogy(x, y)), (0, 1))(x[:3], y[:3])
    np.testing.assert_allclose(dx, [0, inf, np.log(3)])
    np.testing.assert_allclose(dy, [0, 0, 2 / 3])


def test_nan_stays_in_a_norm():
    assert np.isnan(ac.lp_pool1d(np.array([nan, 1.0]), 2)).all()


ROWS = [name for name, row in ac.TABLE.items() if row.group == "arithmetic" and any(row.vjps) and name != "slope"]


@pytest.mark.parametrize("name", ROWS)
def test_a_slope_pushed_forward_is_the_one_pulled_back(name):
    """The rule is linear in the cotangent, and its own rule knows it, also where the rule selects: x**0 at 0."""
    row, points = ac.TABLE[name], [0.0, -0.0, 1.0, -1.0, 2.0, -3.0, 0.5, inf, -inf, nan]
    for at in itertools.product(points, repeat=len(row.vjps)):
        for i in (i for i, rule in enumerate(row.vjps) if rule is not None):

            def f(x, i=i, at=at):
                return row(*at[:i], x, *at[i + 1 :])

            pushed, pulled = ac.jvp(f, at[i], 1.0)[1], ac.grad(f)(at[i])
            assert np.array_equal(pushed, pulled, equal_nan=True), (at, i)


@pytest.mark.parametrize("shapes", [[(5, 2), (5, 1), (5, 1)], [(2,), (5, 1), (1, 2)], [(), (3,), ()], [(3,), (), ()]])
@pytest.mark.parametrize("cases", [(0.0, 0.5, 1.0), (2.0, 2.0, 2.0), (0.0, 1.0, 1.0)])
def test_a_slope_of_plain_arrays_that_broadcast(shapes, cases):
    """Whichever operand is repeated: as of arrays written out."""
    rng, settings = np.random.default_rng(0), dict(zip(("less", "tie", "more"), cases, strict=True))
    for nan in (False, True):
        g, x, y = (np.round(rng.normal(size=shape)) for shape in shapes)
        x = x * np.nan if nan else x
        expected = [
            c if c == 0 else float(g) * c
            for g, x, y in np.nditer([g, x, y])
            for c in [cases[0] if x < y else cases[1] if x == y else cases[2]]
        ]
        found = ac.slope(g, x, y, **settings)
        assert np.shape(found) == np.broadcast_shapes(*shapes)
        np.testing.assert_array_equal(np.ravel(found), expected)
