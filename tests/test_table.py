"""Every row of the table, by one loop each: gradients to second order, adjoints exact on integers, exact fractions."""

from fractions import Fraction

import numpy as np
import pytest

import autoconv as ac
from autoconv.backward import derive
from autoconv.gradcheck import adjoint_products
from autoconv.primitives import TABLE
from autoconv.tape import Tensor

ROWS = list(TABLE.values())
RNG = np.random.default_rng(1)
SMOOTH = [row for row in ROWS if row.differentiable]


def floats(operands):
    """Positions of the operands that can be differentiated: the floating-point arrays."""
    return [k for k, x in enumerate(operands) if np.asarray(x).dtype.kind == "f"]


def at(row, operands, params, places):
    """The row as a function of its operands number ``places``, the others fixed."""

    def f(*xs):
        filled = list(operands)
        for k, x in zip(places, xs, strict=True):
            filled[k] = x
        return row(*filled, **params)

    return f


@pytest.mark.parametrize("row", SMOOTH, ids=lambda row: row.name)
def test_gradient_to_second_order(row):
    operands, params = row.example(np.random.default_rng(1))
    places = [k for k in floats(operands) if row.definition or not isinstance(row.vjps, tuple) or row.vjps[k]]
    report = ac.check_grads(at(row, operands, params, places), *[operands[k] for k in places], order=2)
    assert report and report.compared > 0


@pytest.mark.parametrize("row", [row for row in ROWS if not row.differentiable], ids=lambda row: row.name)
def test_rows_without_a_gradient_give_constants(row):
    operands, params = row.example(np.random.default_rng(1))
    y = row(*[ac.tensor(x) for x in operands], **params)
    assert y.constant


@pytest.mark.parametrize(
    ("row", "k"), [(row, k) for row in ROWS for k in row.linear], ids=lambda v: getattr(v, "name", v)
)
def test_adjoint_is_exact_on_integers(row, k):
    """<A x, y> = <x, A* y> for every operand in which a row is linear."""
    rng = np.random.default_rng(2)
    operands, params = row.example(rng)
    whole = [
        rng.choice([-2.0, -1.0, 1.0, 2.0, 4.0], np.shape(x)) if np.asarray(x).dtype.kind == "f" else x for x in operands
    ]
    affine = at(row, whole, params, [k])
    f = lambda x: affine(x) - np.asarray(affine(0 * whole[k]))  # x + b is linear in x up to the constant b
    y = np.asarray(f(whole[k]))
    left, right = adjoint_products(f, whole[k], rng.integers(-3, 4, y.shape))
    assert left == right


# in which operands a row is linear; those of the group wiring in the first
LINEAR = {
    **{row.name: (0,) for row in ROWS if row.group == "wiring" and row.differentiable and row.name != "concat"},
    "add": (0, 1), "sub": (0, 1), "mul": (0, 1), "div": (0,), "neg": (0,), "sum": (0,), "contract": (0, 1),
}  # fmt: skip


def test_which_rows_are_linear():
    assert {row.name: row.linear for row in ROWS if row.linear} == LINEAR


# rows at other settings than those of their example: other axes, and other numbers of them
SETTINGS = [
    ("windows", [(2, 7, 3)], {"axes": (1,), "window": (3,), "stride": (2,), "dilation": (2,)}),
    ("windows", [(5, 4, 6, 2)], {"axes": (0, 1, 2), "window": (2, 3, 2), "stride": (2, 1, 3), "dilation": (1, 1, 2)}),
    ("overlap_add", [(2, 3, 2, 3)], {"axes": (1,), "size": (6,), "stride": (2,), "dilation": (1,)}),
    ("overlap_add", [(2, 2, 2, 2, 3, 2, 2)],
     {"axes": (0, 1, 2), "size": (4, 4, 6), "stride": (2, 1, 3), "dilation": (1, 1, 2)}),
    *[("concat", [(2, 3, 2), (2, 3, 2), (2, 3, 2)], {"axis": axis}) for axis in range(3)],
    *[("sum", [(2, 3, 2)], {"axis": axis, "keepdims": kept}) for axis in ((1,), (0, 1, 2)) for kept in (False, True)],
    *[("contract", [(2, 3), (3, 2)], {"spec": spec}) for spec in ("ab,ba->", "ab,ba->a", "ab,ba->ba", "ab,bc->ca")],
    ("contract", [(2,), (3,)], {"spec": "a,b->ba"}),
    *[("flip", [(2, 3, 2)], {"axis": axis}) for axis in ((0,), (1,), (2,))],
    *[("permute_dims", [(2, 3, 4)], {"axes": axes}) for axes in ((2, 0, 1), (0, 2, 1))],
    *[("index", [(3, 4)], {"key": key}) for key in ((1,), (slice(None), -1), (None, slice(2, 0, -1)))],
    ("scatter", [(3,)], {"key": (slice(None), -1), "shape": (3, 4)}),
    ("broadcast_to", [(3, 1)], {"shape": (3, 2)}), ("sum_to", [(3, 2)], {"shape": (3, 1)}),
]  # fmt: skip
PLACES = [(place, axis) for place in ([1, 1, 0], [[0, 1], [1, 1]]) for axis in (0, 1, 2)]


@pytest.mark.parametrize(("name", "shapes", "params"), SETTINGS, ids=str)
def test_gradient_at_other_settings(name, shapes, params):
    xs = [np.random.default_rng(k).uniform(0.5, 2, shape) for k, shape in enumerate(shapes)]
    assert ac.check_grads(lambda *xs: TABLE[name](*xs, **params), *xs, order=2)


@pytest.mark.parametrize(("places", "axis"), PLACES, ids=str)
def test_gradient_of_what_is_taken_along_an_axis(places, axis):
    places, x = np.array(places), np.random.default_rng(0).normal(size=(2, 2, 2))
    assert ac.check_grads(lambda x: TABLE["take"](x, places, axis=axis), x, order=2)
    taken = np.take(x, places, axis=axis)
    assert ac.check_grads(lambda x: TABLE["scatter_add"](x, places, axis=axis, size=2), taken, order=2)


def as_fractions(x):
    return np.array([Fraction(float(v)).limit_denominator(7) for v in np.ravel(x)], object).reshape(np.shape(x))


EXACT = [row for row in ROWS if not row.irrational]


@pytest.mark.parametrize("row", EXACT, ids=lambda row: row.name)
def test_exact_fractions(row):
    """Fractions in, fractions out, values and gradients equal to the floating-point run."""
    operands, params = row.example(np.random.default_rng(3))
    if row.name == "cast":
        params = {"dtype": np.dtype(object)}
    exact = [as_fractions(x) if np.asarray(x).dtype.kind == "f" else x for x in operands]
    close = [x.astype(float) if x.dtype == object else x for x in exact]
    lines = [ac.tensor(x) for x in exact]
    y = row(*lines, **params)
    expected = np.asarray(row.forward(*close, **({"dtype": np.dtype(float)} if row.name == "cast" else params)))
    np.testing.assert_allclose(y.value.astype(float), expected, rtol=1e-12)
    if not row.differentiable:
        return
    assert all(isinstance(v, Fraction | int) for v in y.value.ravel())
    seed = np.full(y.shape, Fraction(1, 3), object)
    places = floats(operands)
    gradients = ac.sweep(y, [lines[k] for k in places], seed)
    variables = [ac.tensor(x) for x in close]
    params = {"dtype": np.dtype(float)} if row.name == "cast" else params
    approximate = ac.sweep(row(*variables, **params), [variables[k] for k in places], np.full(y.shape, 1 / 3))
    for g, h in zip(gradients, approximate, strict=True):
        assert all(isinstance(v, Fraction | int) for v in g.ravel())
        np.testing.assert_allclose(g.astype(float), h, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("row", [row for row in ROWS if row.irrational], ids=lambda row: row.name)
def test_irrational_rows_refuse_fractions(row):
    operands, params = row.example(np.random.default_rng(3))
    if row.name == "power":  # whose whole exponents keep fractions exact
        return
    with pytest.raises(TypeError, match=f"{row.name}: not defined for exact fractions"):
        row(*[ac.tensor(as_fractions(x)) for x in operands], **params)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_plain_arrays_record_nothing(row):
    operands, params = row.example(np.random.default_rng(4))
    assert not isinstance(row(*operands, **params), Tensor)


@pytest.mark.parametrize("row", SMOOTH, ids=lambda row: row.name)
def test_rules_speak_only_primitives(row):
    """A recorded sweep gives the same numbers as one on plain arrays, and is itself a tape."""
    operands, params = row.example(np.random.default_rng(5))
    lines = [ac.tensor(x) for x in operands]
    wrt = [lines[k] for k in floats(operands) if row.definition or not isinstance(row.vjps, tuple) or row.vjps[k]]
    y = row(*lines, **params)
    seed = np.random.default_rng(6).normal(size=y.shape)
    plain = ac.sweep(y, wrt, seed)
    recorded = ac.sweep(y, wrt, ac.tensor(seed))
    for a, b in zip(plain, recorded, strict=True):
        assert isinstance(b, Tensor)
        np.testing.assert_array_equal(a, b.value)


def test_every_row_has_a_formula_and_a_group():
    for row in ROWS:
        assert row.group in ("arithmetic", "wiring", "sum", "contract")
        assert row.latex.format(*"abc")


TWO_OPERANDS = [name for name, row in ac.TABLE.items() if row.elementwise and len(row.vjps) == 2 and all(row.vjps)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TWO_OPERANDS)
def test_mixed_second_derivatives_are_one_number(name):
    """d/db of the slope to a is d/da of the slope to b, also where an operand is 0 and where the two are tied.

    But 0 ** b has none: d/da a^b = b a^(b - 1) has the slope -inf in b at a = 0, and what is chosen at 0 is finite.
    """
    row = getattr(ac, name, None) or ac.TABLE[name]
    places = [-2.0, -0.5, 0.0, 0.5, 1.0, 3.0]
    asked = 0
    for a, b in [(a, b) for a in places for b in places]:
        with np.errstate(all="ignore"):
            mixed = ac.hessian(lambda z: row(z[0], z[1]))(np.array([a, b]))
        if np.isfinite(mixed).all() and not (name == "power" and a == 0):
            asked += 1
            assert mixed[0, 1] == pytest.approx(mixed[1, 0], rel=1e-12, abs=1e-12), (a, b)
    assert asked >= 12


LARGEST = float(np.finfo(float).max)

# x, y, and what of the cotangent goes to (x, y) in a maximum and in a minimum; a NaN gets all of it
ORDERED = [
    (1.0, 2.0, (0, 1), (1, 0)),
    (2.0, 1.0, (1, 0), (0, 1)),
    (-3.0, -3.0, (0.5, 0.5), (0.5, 0.5)),
    (0.0, -0.0, (0.5, 0.5), (0.5, 0.5)),
    (-np.inf, np.inf, (0, 1), (1, 0)),
    (np.inf, np.inf, (0.5, 0.5), (0.5, 0.5)),
    (LARGEST, -LARGEST, (1, 0), (0, 1)),
    (np.nan, 5.0, (1, 0), (1, 0)),
    (5.0, np.nan, (0, 1), (0, 1)),
]


@pytest.mark.parametrize(("x", "y", "of_maximum", "of_minimum"), ORDERED)
def test_a_definition_by_order_has_its_slopes_at_any_pair(x, y, of_maximum, of_minimum):
    """The rule drawn and stepped through is asked at the operands themselves, not only at -1, 0 and 1 beside 0."""
    for name, expected in (("maximum", of_maximum), ("minimum", of_minimum)):
        rule = derive(TABLE[name], 2, (0, 1), ())
        assert [float(g) for g in rule(np.ones(()), np.float64(x), np.float64(y))] == list(expected), name


# logaddexp at infinities: x, y, and what of the cotangent goes to each
AT_INFINITY = [
    (np.inf, np.inf, (0.5, 0.5)),
    (-np.inf, -np.inf, (0, 0)),
    (np.inf, -np.inf, (1, 0)),
    (-np.inf, np.inf, (0, 1)),
    (np.inf, 3.0, (1, 0)),
    (3.0, -np.inf, (1, 0)),
    (7.0, 7.0, (0.5, 0.5)),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("x", "y", "slopes"), AT_INFINITY)
def test_shares_of_infinities(x, y, slopes):
    xs = [ac.tensor(x), ac.tensor(y)]
    assert [float(g) for g in ac.sweep(ac.logaddexp(*xs), xs)] == list(slopes)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_order_along_an_axis(axis):
    x = np.random.default_rng(0).permutation(24).reshape(2, 3, 4)
    order = TABLE["argsort"](ac.tensor(x), axis=axis).value
    np.testing.assert_array_equal(np.take_along_axis(x, order, axis), np.sort(x, axis))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    "name", [row.name for row in SMOOTH if row.group == "arithmetic" and row.example(RNG)[1] == {}]
)
def test_a_python_number_beside_a_plain_array_has_its_dtype(name, dtype):
    """As in NumPy 2, and as beside a Tensor."""
    operands, row = TABLE[name].example(RNG)[0], TABLE[name]
    if len(operands) != 2:
        return
    x = np.linspace(0.5, 1.5, 4).astype(dtype)
    for given in ((x, 1.25), (2, x), (1.25, x), (x, 2)):
        found = row(*given)
        as_tensors = row(*[ac.tensor(k) if k is x else k for k in given])
        if found.dtype.kind == "f":
            assert found.dtype == as_tensors.dtype == dtype, given
        np.testing.assert_array_equal(found, as_tensors.value)


COMPOSED = ("hypot", "fmod", "fmax", "fmin", "floor_divide", "heaviside", "copysign", "addcdiv", "dist", "logaddexp2")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", [name for name in COMPOSED if hasattr(ac, name)])
def test_and_so_has_one_given_to_a_composed_function(name, dtype):
    x = np.linspace(0.5, 1.5, 4).astype(dtype)
    for given in ((x, 1.25), (2, x)):
        assert getattr(ac, name)(*given).dtype == dtype
        assert getattr(ac, name)(*[ac.tensor(k) if k is x else k for k in given]).dtype == dtype
