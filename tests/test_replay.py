"""Recorded scalar programs: the values and gradients of the function itself at other inputs,
on every floor and vector."""

import itertools
import math
import threading

import numpy as np
import pytest

from autoconv.scalar import Scalar, floors, replay
from autoconv.scalar.replay import ScalarProgram

NATIVE = floors.native()
WAYS = ["levels"] + (["baseline", "avx2", "avx512"] if NATIVE else [])
RNG = np.random.default_rng(11)


@pytest.fixture(autouse=True, params=WAYS)
def way(request, monkeypatch):
    """NumPy, or the extension with one set of vector instructions."""
    if request.param == "levels":
        monkeypatch.setattr(replay, "_Compiled", replay._Levels)
        yield request.param
        return
    before = NATIVE.vectors()
    try:
        NATIVE.vectors(request.param)
    except ValueError:
        pytest.skip(f"this processor has no {request.param}")
    yield request.param
    NATIVE.vectors(before)


def fold(*xs):
    total = xs[0] * 0.5
    for k, (a, b) in enumerate(itertools.pairwise(xs)):
        total = total + a * b if k % 3 else total - (a - b).tanh()
    return total


PROGRAMS = {
    "sums": (lambda x, y: (x + y) * (x - y) + 3 - x + (y - 2) * 4 + -x, 2),
    "quotients": (lambda x, y: x / y + 2 / x + y / 3 + 1 / (x * y), 2),
    "powers": (lambda x, y: x**y + x**2 + y**3 + 2**x + x**-0.5 + y**1, 2),
    "functions": (lambda x, y: x.exp() * y.log() + x.sqrt() + y.sin() * x.cos() + (x * y).tanh() + x.sigmoid(), 2),
    "choices": (
        lambda x, y: (
            x.maximum(y) * 3 + x.minimum(y) + (x - 1).relu() + abs(x - y) + x.maximum(1.2) + y.minimum(0.8, "first")
        ),
        2,
    ),
    "same twice": (lambda x: x * x + x / x + x - x + x.maximum(x) + x**x, 1),
    "one input": (lambda x: x, 1),
    "unused": (lambda x, y: y * 2, 2),
    "long": (fold, 40),
}


def by_hand(f, xs):
    scalars = [Scalar(float(x)) for x in xs]
    y = f(*scalars)
    y.backward()
    return float(y), [x.grad for x in scalars]


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("count", [1, 7, 16, 37])
def test_many_inputs_and_one_as_the_function_itself(name, count):
    f, n = PROGRAMS[name]
    program = ScalarProgram(f, n)
    xs = RNG.uniform(0.3, 2, (count, n))
    expected = [by_hand(f, x) for x in xs]
    values, grads = program.value_and_grad(xs)
    np.testing.assert_allclose(values, [v for v, _ in expected], rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(grads, [g for _, g in expected], rtol=1e-11, atol=1e-12)
    assert np.array_equal(program(xs), values)
    value, grad = program.value_and_grad(xs[0])
    assert isinstance(value, float)
    assert grad.shape == (n,)
    np.testing.assert_allclose(value, expected[0][0], rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(grad, expected[0][1], rtol=1e-11, atol=1e-12)
    assert program(xs[0]) == value


@pytest.mark.parametrize("name", PROGRAMS)
def test_single_precision(name):
    f, n = PROGRAMS[name]
    program = ScalarProgram(f, n)
    xs = RNG.uniform(0.3, 2, (21, n)).astype(np.float32)
    values, grads = program.value_and_grad(xs)
    assert (values.dtype, grads.dtype) == (np.float32, np.float32)
    expected = [by_hand(f, x) for x in xs]
    np.testing.assert_allclose(values, [v for v, _ in expected], rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(grads, [g for _, g in expected], rtol=2e-4, atol=2e-4)
    assert program.value_and_grad(xs[3])[1].dtype == np.float32


LIMITS = [0.0, -0.0, 1.0, -1.5, math.inf, -math.inf, math.nan, 1e200]


@pytest.mark.parametrize(
    "f",
    [
        lambda x, y: x.relu() + y * 0,
        lambda x, y: x.maximum(y),
        lambda x, y: x.minimum(y, ties="first"),
        lambda x, y: x.maximum(y, ties="first") * 1.0,
        lambda x, y: x / y,
        lambda x, y: abs(x) + abs(y),
        lambda x, y: x.sqrt() * 0 + y,
        lambda x, y: x.log() * y,
        lambda x, y: x**y,
        lambda x, y: x**2 - y,
    ],
)
def test_limits_and_kinks(f):
    xs = np.array([(a, b) for a in LIMITS for b in LIMITS])
    expected = [by_hand(f, x) for x in xs]
    program = ScalarProgram(f, 2)
    values, grads = program.value_and_grad(xs)
    np.testing.assert_allclose(values, [v for v, _ in expected], rtol=1e-12)
    np.testing.assert_allclose(grads, [g for _, g in expected], rtol=1e-12)
    for x, (value, grad) in zip(xs, expected, strict=True):
        found = program.value_and_grad(x)
        np.testing.assert_allclose([found[0], *found[1]], [value, *grad], rtol=1e-12)


def test_sigmoid_does_not_overflow_where_it_was_not_recorded():
    program = ScalarProgram(lambda x: x.sigmoid(), 1)
    values, grads = program.value_and_grad(np.array([[-800.0], [800.0], [0.0], [40.0]]))
    np.testing.assert_allclose(values, [0, 1, 0.5, 1], atol=1e-15)
    np.testing.assert_allclose(grads[:, 0], [0, 0, 0.25, 4.248354255291589e-18], rtol=1e-12)


@pytest.mark.parametrize(
    "f",
    [
        lambda x, y: x if x > y else y,
        lambda x, y: max(x, y),
        lambda x, y: x * 2 if x == 1 else y,
        lambda x, y: x * float(y),
        lambda x, y: x * y.data,
        lambda x, y: x and y,
        lambda x, y: x * int(y),
        lambda x, y: x * math.sin(y),
        lambda x, y: sorted([x, y])[0],
        lambda x, y: setattr(x, "data", 1.0) or x * y,
    ],
)
def test_a_program_that_reads_values_is_refused(f):
    with pytest.raises(TypeError, match="a value was read while a scalar program is recorded"):
        ScalarProgram(f, 2)
    assert Scalar(2) > 1  # and only while it is recorded


def test_other_threads_may_compare_meanwhile():
    seen = []

    def f(x):
        other = threading.Thread(target=lambda: seen.append(Scalar(2) > 1))
        other.start()
        other.join()
        return x * x

    assert ScalarProgram(f, 1)([3.0]) == 9
    assert seen == [True]


def test_scalars_from_outside_are_read_anew():
    w, b = Scalar(2.0), Scalar(1.0)
    program = ScalarProgram(lambda x: w * x + b * x * x, 1)
    assert program([3.0]) == 15
    w.data, b.data = 5.0, 0.0
    assert program([3.0]) == 15
    assert program.value_and_grad([[1.0], [2.0]])[1].tolist() == [[5], [5]]
    assert ScalarProgram(lambda x: w, 1)([0.0]) == 5


class Weight(float):
    pass


def test_one_input_as_floats():
    w = Scalar(3.0)
    program = ScalarProgram(lambda x, y: w * x * y + x * x, 2)
    for weight in (3.0, 5.0):
        w.data = weight
        value, dx, dy = 10 * weight + 4, 5 * weight + 4, 2 * weight
        for wrt, slopes in (
            (None, None),
            ((), ()),
            ((0, 1), (dx, dy)),
            ((1,), (dy,)),
            ((-1, 0, -1), (dy, dx, dy)),
        ):
            found = program.at((2.0, 5.0), wrt)
            assert found == (value, slopes)
            assert all(type(x) is float for x in (found[0], *(found[1] or ())))
    for k in (2, -3, 1 << 40):
        with pytest.raises(IndexError):
            program.at((2.0, 5.0), (0, k))
    for xs in ((2, 5.0), (2.0, True), (np.float64(2), 5.0), (2.0, Weight(5)), (2.0, None), (2.0,), (2.0, 5.0, 1.0), ()):
        assert program.at(xs) is None
        assert program.at(xs, (0, 1)) is None
    assert program.at((2.0, 5.0)) == (54, None)


@pytest.mark.parametrize(
    ("xs", "error", "text"),
    [
        (np.zeros(3), ValueError, r"inputs of shape \(3,\); give \(2,\) or \(N, 2\)"),
        (np.zeros((2, 3)), ValueError, "shape"),
        (1.0, ValueError, "shape"),
        (np.zeros(2, complex), TypeError, "complex128"),
        (["a", "b"], TypeError, "real numbers"),
    ],
)
def test_bad_inputs(xs, error, text):
    program = ScalarProgram(lambda x, y: x * y, 2)
    with pytest.raises(error, match=text):
        program(xs)


def test_all_kinds_of_arrays():
    program = ScalarProgram(lambda x, y: x * y + x, 2)
    base = np.arange(24.0).reshape(4, 6)
    for xs in (base[:, ::3], base.T[:2].T, base[:, :2][::-1], base[:, :2].astype(int), base[:0, :2]):
        assert program(xs).tolist() == [a * b + a for a, b in xs.tolist()]
    frozen = np.array([2.0, 3.0])
    frozen.setflags(write=False)
    assert program(frozen) == program([2, 3]) == program(np.array([2, 9, 3.0])[::2]) == 8


@pytest.mark.parametrize("result", [1.0, None, [Scalar(1)]])
def test_a_function_must_return_a_scalar(result):
    with pytest.raises(TypeError, match="must return one Scalar"):
        ScalarProgram(lambda x: result, 1)


def test_two_threads_run_one_program():
    program = ScalarProgram(fold, 40)
    xs = RNG.uniform(0.3, 2, (64, 40))
    expected = program.value_and_grad(xs)
    wrong = []

    def run():
        for _ in range(20):
            found = program.value_and_grad(xs)
            if not all(map(np.array_equal, found, expected)):
                wrong.append(found)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
