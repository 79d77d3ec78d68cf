"""Rows for which one number stands: in softmax, in normalisations, in sums of rows; the numbers are NumPy's."""

import numpy as np
import pytest
from helpers.assembled import assembled, instructions
from helpers.random_nets import native

import autoconv as ac
from autoconv.plan.native import instruction_set as isa

ROWS = {  # shape of an example, axes along which a number stands for all
    "rows of whole vectors": ((6, 64), (-1,)),
    "rows with a rest": ((5, 37), (-1,)),
    "short rows": ((40, 5), (-1,)),
    "heads": ((3, 7, 50), (-1,)),
    "one row": ((45,), (-1,)),
    "rows of rows": ((4, 3, 33), (-2, -1)),
    "columns": ((33, 20), (-2,)),
}


@native
@pytest.mark.parametrize("instructions", ["v4", "v3", "base"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ROWS)
def test_a_number_for_a_row(name, dtype, instructions, monkeypatch):
    """Differences, products and quotients with special values are those of NumPy, and sums of whole numbers."""
    monkeypatch.setenv("AUTOCONV_LANES", "channels")
    monkeypatch.setenv("AUTOCONV_INSTRUCTIONS", instructions)
    shape, axes = ROWS[name]
    rng = np.random.default_rng(5)
    x = rng.integers(-4, 5, (3, *shape)).astype(dtype)
    x.reshape(3, -1)[1, :4] = np.inf, -0.0, -np.inf, np.nan  # of one example: what is beside it must not see them

    def f(x):
        most, total = (of(x, axes, keepdims=True) for of in (ac.max, ac.sum))
        return x - most, x * total, (x - most) / total, total

    with np.errstate(all="ignore"):
        top, total = (of(x, axis=axes, keepdims=True) for of in (np.max, np.sum))
        expected = x - top, x * total, (x - top) / total, total
        for found, right in zip(ac.compile(f)(x), expected, strict=True):
            np.testing.assert_array_equal(np.asarray(found), right)
    y = rng.normal(size=x.shape).astype(dtype)
    g = ac.grad(lambda y: ac.sum(ac.softmax(y, axes[-1]) ** 2) + ac.sum(ac.exp(y - ac.mean(y, axes, keepdims=True))))
    exact = np.asarray(g(y.astype(np.float64)))
    np.testing.assert_allclose(np.asarray(ac.compile(g)(y)), exact, rtol=1e-4, atol=1e-5)


@native
def test_rows_are_not_gone_through_number_by_number(monkeypatch):
    """Softmax over rows of 49 is made in vectors, but for a maximum's steps and what spreads a number over a vector."""
    monkeypatch.setenv("AUTOCONV_LANES", "channels")
    made = assembled(monkeypatch)
    rng = np.random.default_rng(5)
    x = rng.normal(size=(2, 8, 49, 49)).astype(np.float32)
    ac.compile(lambda x: ac.softmax(x, -1))(x)
    words = instructions(made)
    by_name = {code: name for name, code in isa.OPERATIONS.items()}
    singles = {by_name[w.operation]: w.singles for w in words if w.kind is isa.MAP}
    assert {"sub", "exp", "div"} <= set(singles) and not any(singles[name] for name in ("sub", "exp", "div"))
    assert all(w.rows for w in words if w.kind is isa.GATHER)


REPEATED = {  # shape of x, shapes of what is repeated along it
    "eight channels": ((6, 7, 8), (8,), (7, 8)),
    "three": ((9, 5, 3), (3,), (5, 3)),
    "one": ((9, 13, 1), (1,), (13, 1)),
    "twenty": ((5, 4, 20), (20,), (4, 20)),
    "thirty-three": ((6, 3, 33), (33,), (3, 33)),
    "a hundred": ((5, 4, 100), (100,), (4, 100)),
    "rows of different lengths": ((8, 6, 7), (7,), (6, 7)),
    "fewer results than a vector has lanes": ((1, 2, 3), (3,), (2, 3)),
    "as many as rows": ((2, 40), (40,), (40,)),
}


@native
@pytest.mark.parametrize("examples", [1, 3])
@pytest.mark.parametrize("instructions", ["v4", "v3", "base"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", REPEATED)
def test_rows_that_are_repeated(name, dtype, instructions, examples, monkeypatch):
    """A row beside many, on either side of an operation and both beside each other: bit by bit what NumPy has."""
    monkeypatch.setenv("AUTOCONV_LANES", "channels")
    monkeypatch.setenv("AUTOCONV_INSTRUCTIONS", instructions)
    monkeypatch.setenv("AUTOCONV_THREADS", "2")  # which share an example if there is one
    shape, of_row, of_rows = REPEATED[name]
    rng = np.random.default_rng(3)
    x = rng.normal(size=(examples, *shape)).astype(dtype)
    x.reshape(-1)[:6] = np.inf, -0.0, -np.inf, np.nan, np.finfo(dtype).max, 0
    row, rows = rng.normal(size=(examples, *of_row)).astype(dtype), rng.normal(size=of_rows).astype(dtype)
    row[0, -1] = np.nan

    def f(x, row, rows):
        row = row.reshape(examples, *[1] * (len(shape) - len(of_row)), *of_row)  # of each example another one
        return x - row, row / x, rows * x, (row + rows) - x, (x + x) * row

    with np.errstate(all="ignore"):
        expected = f(x, row, rows)
        for found, right in zip(ac.compile(f)(x, row, rows), expected, strict=True):
            np.testing.assert_array_equal(np.asarray(found), right)


@native
def test_rows_that_are_repeated_are_not_gone_through_number_by_number(monkeypatch):
    """Statistics of 12 channels beside an image: a copy of the row that is longer by a vector, and whole vectors."""
    monkeypatch.setenv("AUTOCONV_LANES", "channels")
    monkeypatch.setenv("AUTOCONV_INSTRUCTIONS", "base")
    made = assembled(monkeypatch)
    rng = np.random.default_rng(5)
    x, row = (rng.normal(size=shape).astype(np.float32) for shape in ((2, 9, 9, 13), (2, 1, 1, 13)))
    ac.compile(lambda x, row: x / row)(x, row)
    words = instructions(made)
    by_name = {number: name for name, number in isa.OPERATIONS.items()}
    sizes = {by_name[w.operation]: (w.count, w.singles) for w in words if w.kind is isa.MAP}
    assert sizes == {"copy": (0, 13 + 3), "div": (-(-9 * 9 * 13 // 4), 0)}  # a vector of SSE has four numbers
