"""Whole numbers beside arrays of integers: compared exactly; in arithmetic never wrapped (NumPy 2's rules)."""

import operator

import numpy as np
import pytest

import autoconv as ac

INTEGERS = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]
CONSTANTS = [-(10**400), -(2**63) - 1, -(2**63), -129, -128, -1, 0, 1, 127, 128, 255, 256, 300, 2**31, 2**32, 2**53 + 1]
CONSTANTS += [2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**400]
COMPARISONS = ["gt", "lt", "ge", "le", "eq", "ne"]


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("name", COMPARISONS)
def test_a_comparison_with_a_whole_number_is_exact(name, dtype):
    compare, info = getattr(operator, name), np.iinfo(dtype)
    values = [info.min, 0, 1, info.max - 1, info.max]
    x = np.array(values, dtype)
    for c in CONSTANTS:
        right = [compare(v, c) for v in values]
        assert compare(ac.tensor(x), c).value.tolist() == right, c
        assert compare(c, ac.tensor(x)).value.tolist() == [compare(c, v) for v in values], c
        row = {"gt": ac.greater, "lt": ac.less, "ge": ac.greater_equal, "le": ac.less_equal, "eq": ac.equal}.get(name)
        if row is not None:
            assert row(x, c).tolist() == right, c


@pytest.mark.parametrize("name", COMPARISONS)
@pytest.mark.parametrize("left", INTEGERS)
@pytest.mark.parametrize("right", INTEGERS)
def test_integers_of_two_dtypes_are_compared_exactly(name, left, right):
    compare = getattr(operator, name)
    a, b = [
        [int(np.iinfo(d).min), 0, 1, 2**7 - 1, int(np.iinfo(d).max) - 1, int(np.iinfo(d).max)] for d in (left, right)
    ]
    table = compare(ac.tensor(np.array(a, left)[:, None]), ac.tensor(np.array(b, right))).value
    assert table.tolist() == [[compare(x, y) for y in b] for x in a]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_floating_point_number_against_one_beyond_its_range(dtype):
    x = ac.tensor(np.array([-np.inf, -1, 0, np.inf], dtype))
    assert (x < 10**400).value.tolist() == [True, True, True, False]  # of infinities NumPy says the same
    assert (x > -(10**400)).value.tolist() == [False, True, True, True]


@pytest.mark.parametrize("compiled", [False, True])
def test_comparisons_compiled(compiled):
    f = lambda x: ac.sum(ac.where(x > -1, 1.0, 0.0))
    program = ac.compile(f) if compiled else f
    for _ in range(3):
        assert float(program(np.arange(3, dtype=np.uint8))) == 3.0


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("c", [-(10**400), -(2**63) - 1, 2**64, 10**400])
@pytest.mark.parametrize("name", ["add", "sub", "mul", "maximum", "minimum"])
def test_arithmetic_with_a_whole_number_beyond_the_range_overflows(name, c, dtype):
    x = np.array([1, 2], dtype)
    for operands in ((ac.tensor(x), c), (c, ac.tensor(x)), (x, c)):
        with pytest.raises(OverflowError, match=name):
            ac.TABLE[name](*operands)


def test_arithmetic_never_wraps_a_constant():
    with pytest.raises(OverflowError, match=r"add.*300.*int8.*astype"):
        ac.tensor(np.array([1], np.int8)) + 300
    with pytest.raises(OverflowError, match=r"sub.*-1.*uint8"):
        ac.tensor(np.array([1], np.uint8)) - -1
    with pytest.raises(OverflowError, match=r"where.*256.*uint8"):
        ac.where(np.array([True]), ac.tensor(np.array([1], np.uint8)), 256)
    with pytest.raises(OverflowError, match=r"mul.*401 digits.*float64.*astype"):
        ac.tensor([1.0]) * 10**400
    assert (ac.tensor(np.array([1], np.int8)) + 100).value.tolist() == [101]
    assert (ac.tensor(np.array([1], np.int8)) + 100).dtype == np.int8
    assert (ac.tensor(np.array([1], np.int8)) + np.array([300])).value.tolist() == [301]
    assert (ac.tensor(np.array([True])) + 1).dtype == np.int_
