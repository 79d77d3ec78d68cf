"""The table's column for XLA: every row has a cell, and each computes what NumPy does."""

import numpy as np
import pytest
from helpers.rows import PARAMS, each_with_each, operands_of, special

import autoconv as ac
from autoconv.primitives import TABLE
from autoconv.program.program import from_tape
from autoconv.xla import column

jax = pytest.importorskip("jax", reason="JAX is not installed; make test-xla has it")

from autoconv.xla.library import wide  # noqa: E402
from autoconv.xla.lower import Lowered  # noqa: E402

each = pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.name)
# Numbers below the smallest normal one are 0 on XLA's processors, so there are none here.
SPECIAL = special(1e-30)


def test_every_row_has_one_cell():
    assert {*column.ELEMENTWISE} == {name for name, row in TABLE.items() if row.elementwise}
    assert {*column.FUNCTIONS} == {name for name, row in TABLE.items() if not row.elementwise}


def run(outputs, given, start=0):
    """The values of lines, computed by XLA from those of others."""
    program = from_tape(outputs, given, start)
    lowered = Lowered(program)
    with wide():
        made, fits = jax.jit(lowered)([x.value for x in given], [t.value for t in lowered.tensors])
        assert bool(fits)
        return [np.array(x) for x in made]


def of(row, operands, params):
    """The row's result on XLA, and its line."""
    given = [ac.tensor(x) for x in operands]
    with np.errstate(all="ignore"):
        y = row(*given, **params)
    return run([y], given)[0], y


@each
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_row(row, dtype):
    operands, params = row.example(np.random.default_rng(3))
    operands = [x.astype(dtype) if x.dtype.kind == "f" else x for x in operands]
    found, y = of(row, operands, params)
    assert (found.shape, found.dtype) == (y.shape, y.dtype)
    steps = {"float64": 4e-15, "float32": 2e-6, "float16": 2e-3}[dtype if y.dtype.kind == "f" else "float64"]
    np.testing.assert_allclose(found.astype(float), y.value.astype(float), rtol=steps, atol=steps)


@pytest.mark.parametrize("row", [r for r in TABLE.values() if r.elementwise], ids=lambda row: row.name)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_elementwise_row_of_special_values(row, dtype):
    """Infinities, NaN, zeros of both signs, each with each."""
    found, y = of(row, *each_with_each(row, SPECIAL, dtype))
    np.testing.assert_allclose(found, y.value, rtol=1e-12 if dtype == "float64" else 3e-5, atol=1e-37)


@pytest.mark.parametrize("row", [r for r in TABLE.values() if r.elementwise and r.differentiable], ids=lambda r: r.name)
def test_slopes_of_special_values(row):
    """The gradient that was recorded, of infinities, NaN and ties, as eager has it."""
    operands, params = each_with_each(row, [0.0, 0.5, 1.0, 2.0, 100.0, np.inf, -1.0, -2.0, -np.inf, np.nan])
    given = [ac.tensor(x) for x in operands]
    with np.errstate(all="ignore"):
        y = row(*given, **params)
        wrt = [x for x in given if x.dtype.kind == "f"]
        slopes = ac.sweep(y, wrt, ac.tensor(np.ones(y.shape)))
        found = run(slopes, given)
    for got, slope in zip(found, slopes, strict=True):
        np.testing.assert_allclose(got, slope.value, rtol=1e-11, atol=1e-300)


@pytest.mark.parametrize(("name", "shape", "params"), PARAMS, ids=lambda x: x if isinstance(x, str) else "")
def test_row_with_other_params(name, shape, params):
    found, y = of(TABLE[name], operands_of(name, shape, params), params)
    assert found.shape == y.shape
    np.testing.assert_allclose(found, y.value, rtol=1e-13, atol=1e-13)


PLACES = {
    "once each": [2, 0, 1],
    "a few times": [0, 0, 1, 2, 2],
    "often": [1] * 30 + [0, 2],
    "some never": [2],
    "from the end": [-1, 0, -3],
    "in two axes": [[0, 2], [2, 2]],
}


@pytest.mark.parametrize("places", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("still", [True, False], ids=["constant", "argument"])
def test_places_along_an_axis(places, still):
    """take and scatter_add, of places that never change and of such as are given at each run."""
    i, rng = np.array(places), np.random.default_rng(0)
    x, g = ac.tensor(rng.normal(size=(2, 3, 4))), ac.tensor(rng.normal(size=(2, *i.shape, 4)))
    places = i if still else ac.tensor(i)
    made = [ac.take(x, places, axis=1), TABLE["scatter_add"](g, places, axis=1, size=3)]
    for got, line in zip(run(made, [x, g] if still else [x, g, places]), made, strict=True):
        np.testing.assert_allclose(got, line.value, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("dtype", ["int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "bool"])
def test_whole_numbers(dtype):
    """Arithmetic, comparison and casts of whole numbers, which wrap around as NumPy's do."""
    x = ac.tensor(np.array([0, 1, 1, 3, 100, 127]).astype(dtype))
    y = ac.tensor(np.array([1, 1, 0, 2, 7, 1]).astype(dtype))
    with np.errstate(all="ignore"):
        made = [x + y, x * y, x > y, x == y, ac.maximum(x, y), x.sum()]
        made += [ac.astype(x, float) / 2, ac.astype(ac.astype(x, float) - 2.5, "int32"), x / ac.maximum(y, 1)]
        made += [] if dtype == "bool" else [x - y, TABLE["remainder"](x, y), x**2]
    for got, line in zip(run(made, [x, y]), made, strict=True):
        assert got.dtype == line.dtype
        np.testing.assert_array_equal(got, line.value)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "of",
    [
        lambda d: d,
        ac.sqrt,
        lambda d: ac.sqrt(d) + 1e-5,
        lambda d: ac.maximum(d, ac.sqrt(d)),
        lambda d: ac.reshape(ac.sqrt(ac.reshape(d, (1, 10))) + d, (10,)),
        lambda d: np.minimum(d.value, 7),
    ],
    ids=["numbers", "roots", "roots and more", "the larger", "roots and numbers", "small constants"],
)
def test_division_by_repeated_numbers(of, dtype):
    """A row of divisors, as normalisations have it: the largest numbers, infinities and zeros among them."""
    big = np.finfo(dtype).max
    divisors = np.array([big, big / 2, big**0.5, 2.0, 0.0, -0.0, np.inf, np.nan, 1e-30, -3.0], dtype)
    x = np.repeat(np.array([big, big / 3, 0.0, 1.0, np.inf, -3.0, np.nan, 1e-20], dtype)[:, None], 10, 1)
    given = [ac.tensor(x), ac.tensor(divisors)]
    with np.errstate(all="ignore"):
        y = given[0] / of(given[1])
        expected = y.value
    np.testing.assert_allclose(run([y], given)[0], expected, rtol=4e-16 if dtype == "float64" else 3e-7, atol=1e-37)


def test_float16_is_added_up_in_float32():
    x = ac.tensor(np.full(5000, 0.1, np.float16))
    ones = ac.tensor(np.ones(5000, np.float16))
    made = [
        x.sum(),
        TABLE["contract"](x, ones, spec="a,a->"),
        TABLE["sum_to"](ac.reshape(x, (50, 100)), shape=(1, 100)),
    ]
    for got, line in zip(run(made, [x, ones]), made, strict=True):
        np.testing.assert_array_equal(got, line.value)


@pytest.mark.parametrize("large", [np.float32(3e38), np.full(5, 2e38, np.float32), np.float32([3e38, 9, 3, 1, 1e38])])
def test_division_by_large_constants(large):
    """Their reciprocals are below the normal numbers, and no multiplication by them does."""
    x = np.float32([3e38, 1e38, -2e30, np.inf, 0])
    program = ac.compile(lambda x: x / large, backend="xla")
    np.testing.assert_allclose(program(x), x.astype(float) / large, rtol=1e-6)
