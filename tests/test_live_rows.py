"""The table's column for JavaScript, run by node: every row has a cell, and each computes what NumPy does."""

import base64
import zlib

import numpy as np
import pytest
from helpers.rows import PARAMS, each_with_each, operands_of, special

import autoconv as ac
from autoconv.primitives import TABLE
from autoconv.program.program import from_tape
from autoconv.views.live import column
from autoconv.views.live.encode import keys

each = pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.name)
SPECIAL = special(1e-300)


def test_every_row_has_one_cell():
    assert {*column.ELEMENTWISE} == {name for name, row in TABLE.items() if row.elementwise}
    assert {*column.FUNCTIONS} == {name for name, row in TABLE.items() if not row.elementwise}
    script = column.engine()
    for name in TABLE:
        assert script.count(f"ROWS.{name} = ") == 1, name


def in_javascript(node, row, operands, params):
    """The row's result in node, and in NumPy."""
    given = [ac.tensor(x) for x in operands]
    with np.errstate(all="ignore"):
        y = row(*given, **params)
    return node.run(from_tape([y], given, 0), [x.value for x in given])[0], y


@each
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_row(node, row, dtype):
    for seed in range(3):
        operands, params = row.example(np.random.default_rng(seed))
        operands = [x.astype(dtype) if x.dtype.kind == "f" else x for x in operands]
        found, y = in_javascript(node, row, operands, params)
        assert found.shape == y.shape
        steps = {"float64": 4e-15, "float32": 4e-7, "float16": 2e-3}[dtype if y.dtype.kind == "f" else "float64"]
        np.testing.assert_allclose(found, y.value.astype(float), rtol=steps, atol=steps)


@each
def test_row_reads_views(node, row):
    """Operands that do not lie in order: turned and flipped before the row reads them."""
    operands, params = row.example(np.random.default_rng(5))
    given = [ac.tensor(np.ascontiguousarray(x.T[..., ::-1])) for x in operands]
    y = row(*[ac.flip(x, -1).T for x in given], **params)
    found = node.run(from_tape([y], given, 0), [x.value for x in given])[0]
    np.testing.assert_allclose(found, y.value.astype(float), rtol=4e-15, atol=4e-15)


@pytest.mark.parametrize("row", [r for r in TABLE.values() if r.elementwise], ids=lambda row: row.name)
def test_elementwise_row_of_special_values(node, row):
    """Infinities, NaN, zeros of both signs, each with each."""
    found, y = in_javascript(node, row, *each_with_each(row, SPECIAL))
    np.testing.assert_allclose(found, y.value.astype(float), rtol=1e-13, atol=1e-300)


@pytest.mark.parametrize(("name", "shape", "params"), PARAMS, ids=lambda x: x if isinstance(x, str) else "")
def test_row_with_other_params(node, name, shape, params):
    found, y = in_javascript(node, TABLE[name], operands_of(name, shape, params), params)
    np.testing.assert_allclose(found, y.value, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("dtype", ["int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "bool"])
def test_whole_numbers(node, dtype):
    """Arithmetic, comparison and casts of whole numbers, which wrap around as NumPy's do (of up to 32 bits)."""
    x = ac.tensor(np.array([0, 1, 1, 3, 100, 127]).astype(dtype))
    y = ac.tensor(np.array([1, 1, 0, 2, 7, 1]).astype(dtype))
    with np.errstate(all="ignore"):
        made = [x + y, x * y, x > y, x == y, ac.maximum(x, y), x.sum()]
        made += [ac.astype(x, float) / 2, ac.astype(ac.astype(x, float) - 2.5, "int32")]
        made += [] if dtype == "bool" else [x - y, TABLE["remainder"](x, y)]
    found = node.run(from_tape(made, [x, y], 0), [x.value, y.value])
    for got, line in zip(found, made, strict=True):
        np.testing.assert_array_equal(got, line.value.astype(float))


@pytest.mark.parametrize("function", ["erf", "erfc"])
def test_error_function_has_its_digits(node, function):
    """Against the C library's, from the series to the far tail."""
    x = np.concatenate([np.linspace(-7, 7, 2801), np.linspace(7, 26, 200), [1e-9, 1e-300]])
    found, y = in_javascript(node, TABLE[function], [x], {})
    np.testing.assert_allclose(found, y.value, rtol=2e-14)


def test_where_the_elements_of_a_key_lie():
    """Start and step along each axis, None for a new one, as NumPy's own indexing says."""
    assert keys((slice(None, None, 2), 3), (4, 5)) == {"keys": [[0, 0, 2], [1, 3, None]]}
    assert keys((Ellipsis, None, -1), (4, 5)) == {"keys": [[0, 0, 1], [None, 0, 0], [1, 4, None]]}
    assert keys(np.array([True, False]), (2, 2))["cells"].tolist() == [0, 1]


def test_an_index_out_of_range_is_said(node):
    x, i = ac.tensor([1.0, 2.0]), ac.tensor(np.array([1]))
    program = from_tape([ac.take(x, i, axis=0)], [x, i], 0)
    assert node.run(program, [x.value, np.array([-2])])[0].tolist() == [1.0]
    with pytest.raises(RuntimeError, match="no place 2 among 2"):
        node.run(program, [x.value, np.array([2])])


STREAMS = {
    "nothing": b"",
    "one byte": b"a",
    "a text": b"so much depends upon a red wheel barrow " * 3,
    "one byte again and again": bytes(100_000),
    "noise": np.random.default_rng(0).bytes(70_000),
    "numbers": np.random.default_rng(1).normal(size=20_000).round(2).tobytes(),
}


@pytest.mark.parametrize("data", STREAMS)
def test_streams_are_unpacked(node, data):
    """As zlib packs them: stored, with fixed codes, with codes of their own."""
    data = STREAMS[data]
    for level, strategy in (
        (0, zlib.Z_DEFAULT_STRATEGY),
        (9, zlib.Z_FIXED),
        (9, zlib.Z_DEFAULT_STRATEGY),
        (1, zlib.Z_RLE),
    ):
        packing = zlib.compressobj(level, strategy=strategy)
        packed = base64.b64encode(packing.compress(data) + packing.flush()).decode()
        job = {"lines": [["array", 0, "u1", [len(data)]]], "inputs": [], "outputs": [0], "arrays": [["u1", len(data)]]}
        ((shape, found),) = node.ask({**job, "packed": packed})
        assert shape == [len(data)]
        assert np.frombuffer(base64.b64decode(found), "<f8").astype("u1").tobytes() == data
