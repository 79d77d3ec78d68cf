"""ac.compile for functions of numbers: recorded once on Scalars, replayed at one input or at many, on both floors."""

import contextlib
import gc
import itertools
import math
import sys
import threading
import tracemalloc

import numpy as np
import pytest

import autoconv as ac
from autoconv.compiled import compile
from autoconv.scalar import floors, replay

FLOORS = ["levels"] + (["native"] if floors.native() else [])


@pytest.fixture(autouse=True, params=FLOORS)
def floor(request, monkeypatch):
    """The replay in NumPy, and in the extension where it was built."""
    if request.param == "levels":
        monkeypatch.setattr(replay, "_Compiled", replay._Levels)
    return request.param


# f, its arguments, df/d(argument), by hand
FUNCTIONS = {
    "product": (lambda x, y: x * y, (2.0, 5.0), (5.0, 2.0)),
    "quotient": (lambda x, y: x / y - 3, (2.0, 4.0), (0.25, -0.125)),
    "tanh": (lambda x, y: (x * y).tanh(), (0.5, 0.2),
        (0.2 * (1 - math.tanh(0.1) ** 2), 0.5 * (1 - math.tanh(0.1) ** 2))),
    "power": (lambda x, y: x**3 + 2**y, (2.0, 3.0), (12.0, 8 * math.log(2))),
    "choice": (lambda x, y: x.maximum(y) + x.relu(), (3.0, 1.0), (2.0, 0.0)),
    "numpy": (lambda x, y: np.exp(x) * np.sqrt(y), (0.0, 4.0), (2.0, 0.25)),
    "one of two": (lambda x, y: y * 2.0, (1.0, 3.0), (0.0, 2.0)),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_one_input(name):
    f, at, slopes = FUNCTIONS[name]
    program = compile(f)
    expected = float(f(*map(ac.Scalar, at)))
    for _ in range(2):
        assert type(program(*at)) is float
        assert program(*at) == pytest.approx(expected, rel=1e-14)
        value, gradients = program.value_and_grad(*at, wrt=(0, 1))
        assert value == pytest.approx(expected, rel=1e-14)
        assert gradients == pytest.approx(slopes, rel=1e-13)
    assert program.value_and_grad(*at)[1] == pytest.approx(slopes[0])
    assert program.value_and_grad(*at, wrt=-1)[1] == pytest.approx(slopes[1])
    assert "scalar operations" in program.plan


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_many_inputs(name, dtype):
    f, at, _ = FUNCTIONS[name]
    program = compile(f)
    program(*at)
    xs, ys = (np.random.default_rng(k).uniform(0.3, 2, 37).astype(dtype) for k in range(2))
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    values, (dx, dy) = program.value_and_grad(xs, ys, wrt=(0, 1))
    assert values.dtype == dx.dtype == dtype
    for k, (x, y) in enumerate(zip(xs.tolist(), ys.tolist(), strict=True)):
        a, b = ac.Scalar(x), ac.Scalar(y)
        z = f(a, b)
        z.backward()
        np.testing.assert_allclose([values[k], dx[k], dy[k]], [float(z), a.grad, b.grad], rtol=tolerance, atol=1e-6)
    np.testing.assert_array_equal(program(xs, ys), values)


def test_arrays_broadcast_and_odd_arrays_are_converted():
    program = compile(lambda x, y: x * y + x)
    program(1.0, 1.0)
    grid = program(np.arange(3.0)[:, None], np.arange(4.0))
    assert grid.tolist() == [[i * j + i for j in range(4)] for i in range(3)]
    assert program.value_and_grad(np.arange(3.0)[:, None], np.arange(4.0), wrt=1)[1].shape == (3, 4)
    base = np.arange(6.0)
    frozen = base.copy()
    frozen.flags.writeable = False
    for xs in (
        base,
        base[::-1][::-1],
        np.repeat(base, 2)[::2],
        base.astype(">f8"),
        base.astype(int),
        frozen,
        base.astype(np.float16),
    ):
        assert program(xs, 2.0).tolist() == [3 * x for x in range(6)]
    assert program(base[:0], 2.0).shape == (0,)
    assert program(np.float64(2.0), 3.0) == 8
    with pytest.raises(ValueError, match="shape"):
        program(np.ones(2), np.ones(3))
    first = program(base, 2.0)
    program(base + 1, 3.0)
    assert first.tolist() == [3 * x for x in range(6)]


def test_lists_of_numbers_and_static_arguments():
    program = compile(lambda ws, n, sign=1: {"s": sign * sum(w * w for w in ws) ** n, "n": n, "first": ws[0] + 1})
    assert program([1.0, 2.0], 2) == {"s": 25, "n": 2, "first": 2}
    assert program([1.0, 2.0], 1, sign=-1) == {"s": -5, "n": 1, "first": 2}
    assert program.value_and_grad([1.0, 2.0], 2) == ({"s": 25, "n": 2, "first": 2}, [20, 40])
    many = program([np.ones(3), np.arange(3.0)], 1)
    assert many["s"].tolist() == [1, 2, 5]
    with pytest.raises(TypeError, match="holds no float"):
        program.value_and_grad([1.0, 2.0], 2, wrt=1)


def test_recorded_once():
    calls = []
    program = compile(lambda x, y: calls.append(1) or x * y)
    for k in range(5):
        assert program(float(k), 2.0) == 2 * k
    program(np.arange(4.0), np.arange(4.0))
    assert len(calls) == 1


class Length(float):
    pass


def weighed(x, y=3.0, *rest, unit=1.0):
    """x y + the sum of the rest, where a list stands for its sum."""
    total = lambda v: sum(v) if isinstance(v, list) else v
    return (total(x) * total(y) + sum(rest)) * unit


# positional arguments, named ones, the result, its gradients by the first argument and the last
CALLS = {
    "floats": ((2.0, 5.0), {}, 10, 5, 2),
    "other floats": ((3.0, 0.5), {}, 1.5, 0.5, 3),
    "more floats": ((2.0, 5.0, 1.0), {}, 11, 5, 1),
    "one float": ((2.0,), {}, 6, 3, 3),
    "a float and an int": ((2.0, 5), {}, 10, 5, TypeError),
    "a float and a bool": ((2.0, True), {}, 2, 1, TypeError),
    "NumPy's float": ((np.float64(2), 5.0), {}, 10, 5, 2),
    "a float's child": ((2.0, Length(5)), {}, 10, 5, 2),
    "a Scalar": ((ac.Scalar(2.0), 5.0), {}, 10, 5, 2),
    "a name": ((2.0, 5.0), {"unit": 2.0}, 20, 10, 4),
    "two names": ((2.0,), {"unit": 2.0, "y": 4.0}, 16, 8, 8),
    "a list": (([2.0, 1.0], 5.0), {}, 15, [5, 5], 3),
    "a list of all sorts": (([2.0, 1], 5.0), {}, 15, [5, 1], 3),
    "arrays": ((np.array([2.0, 3.0]), 5.0), {}, [10, 15], [5, 5], [2, 3]),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_calls_of_all_kinds_take_turns(name):
    for other in CALLS:
        program = compile(weighed)
        program(1.0, 1.0)
        for args, kwargs, result, first, last in (CALLS[name], CALLS[other], CALLS[name]):
            found = program(*args, **kwargs)
            assert np.array_equal(found, result)
            assert isinstance(result, list) or type(found) is float
            found, slope = program.value_and_grad(*args, **kwargs)
            assert np.array_equal(found, result)
            assert np.array_equal(slope, first)
            if last is TypeError:
                with pytest.raises(TypeError, match="holds no float"):
                    program.value_and_grad(*args, wrt=-1, **kwargs)
            else:
                both = program.value_and_grad(*args, wrt=(0, -1), **kwargs)[1]
                assert all(map(np.array_equal, both, (first, last)))


def test_what_is_asked_for_may_change():
    w = ac.Scalar(4.0)
    program, places = compile(lambda x, y: w * x * y), [0, 1]
    for _ in range(2):
        assert program.value_and_grad(2.0, 5.0) == (40, [10])
        assert program.parameters == (w,)
        assert program.value_and_grad(2.0, 5.0, wrt=places) == (40, (20, 8))
        places.reverse()
        assert program.value_and_grad(2.0, 5.0, wrt=places) == (40, (8, 20))
        places.reverse()
        assert program.parameters == ()
        assert program.value_and_grad(2.0, 5.0, wrt=[w]) == (40, [10])
        assert program.value_and_grad(2.0, 5.0, wrt=-2) == (40, 20)
        for wrong in (2, (0, 2), (-3,)):
            with pytest.raises(ValueError, match="was called with 2 arguments"):
                program.value_and_grad(2.0, 5.0, wrt=wrong)
    pair = (0, 1)
    assert program.value_and_grad(2.0, 5.0, wrt=pair) == (40, (20, 8))
    with pytest.raises(TypeError):
        program.value_and_grad(2.0, 5.0, 1.0, wrt=pair)
    with pytest.raises(ValueError, match="was called with 1 arguments"):
        program.value_and_grad(2.0, wrt=pair)
    assert program.value_and_grad(2.0, 5.0, wrt=pair) == (40, (20, 8))


def test_several_results_of_floats():
    program = compile(lambda x, y: {"product": x * y, "n": 3, "sum": [x + y, x]})
    for _ in range(3):
        assert program(2.0, 5.0) == {"product": 10, "n": 3, "sum": [7, 2]}
        assert program.value_and_grad(3.0, 5.0, wrt=(1, 0)) == ({"product": 15, "n": 3, "sum": [8, 3]}, (3, 5))


def test_settings_may_change_between_calls_with_floats():
    settings = {"scale": 1.0, "signs": [1, 1]}
    program = compile(lambda x, y: (x * settings["signs"][0] + y * settings["signs"][1]) * (1 / settings["scale"]))
    for scale, signs in itertools.product((1.0, 0, 2.0, 4.0), ([1, 1], [1, -1])):
        settings["scale"] = scale
        settings["signs"][:] = signs
        for _ in range(2):
            if scale == 0:
                with pytest.raises(ZeroDivisionError):
                    program(3.0, 2.0)
            else:
                assert program(3.0, 2.0) == (3 + signs[1] * 2) / scale
                assert program.value_and_grad(3.0, 2.0, wrt=1)[1] == signs[1] / scale


@pytest.mark.dear
@pytest.mark.quick(1)
def test_calls_keep_nothing():
    program, held = compile(lambda x, y: (x * y).tanh()), (2.5, 1.5)
    both, floats = (0, 1), [float(k) for k in range(100)]

    def calls():
        for x in floats:
            program(x, held[1])
            program.value_and_grad(x, held[1], wrt=both)
            with contextlib.suppress(ValueError):
                program.value_and_grad(x, held[1], wrt=2)

    calls()
    gc.collect()
    counts = [sys.getrefcount(x) for x in (*floats, *held, both, program)]
    tracemalloc.start()
    sizes = []
    for _ in range(5):
        calls()
        gc.collect()
        sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert [sys.getrefcount(x) for x in (*floats, *held, both, program)] == counts
    assert min(b - a for a, b in itertools.pairwise(sizes)) < 16 * 300  # a float for each call would be more


def branch(x, y):
    return x * y if x > y else x + y


def loop(x, y):
    while float(x) < 10:
        x = x * 2
    return x + y


READING = {
    "branch": (branch, lambda x, y: (x * y, y, x) if x > y else (x + y, 1, 1)),
    "greatest": (lambda x, y: max(x, y) * 3, lambda x, y: (3 * max(x, y), 3 * (x >= y), 3 * (x < y))),
    "a plain number": (lambda x, y: x * y if y.data > 1 else x * 0, lambda x, y: (x * y, y, x) if y > 1 else (0, 0, 0)),
    "loop": (loop, lambda x, y: (x * 2 ** (k := max(0, math.ceil(math.log2(10 / x)))) + y, 2**k, 1)),
}


@pytest.mark.parametrize("name", READING)
def test_a_function_that_looks_at_its_numbers_stays_right(name):
    f, by_hand = READING[name]
    program = compile(f)
    points = list(itertools.product([0.7, 3.0, 11.0], [0.5, 2.0, 4.0]))
    for x, y in points:
        value, dx, dy = by_hand(x, y)
        assert program(x, y) == pytest.approx(value)
        assert program.value_and_grad(x, y, wrt=(0, 1))[1] == pytest.approx((dx, dy))
    xs, ys = np.array(points).T
    values, (dx, dy) = program.value_and_grad(xs, ys, wrt=(0, 1))
    np.testing.assert_allclose(np.stack([values, dx, dy], -1), [by_hand(x, y) for x, y in points])
    assert "looks at its numbers" in program.plan


def test_a_gradient_that_left_the_tape_is_refused():
    program = compile(lambda x: math.sin(x))
    assert program(1.0) == math.sin(1)
    with pytest.raises(TypeError, match="whose gradient cannot be known"):
        program.value_and_grad(1.0)


def test_what_is_read_from_outside_may_change():
    w, scale = ac.Scalar(2.0), [3.0]
    program = compile(lambda x: w * x * scale[0])
    assert program(1.0) == 6
    assert program.value_and_grad(2.0) == (12, [6])
    assert program.parameters == (w,)
    assert program.value_and_grad(2.0, wrt=0) == (12, 6)
    w.data, scale[0] = 5.0, 1.0
    assert program(1.0) == 5
    assert program.value_and_grad(np.array([1.0, 2.0]), wrt=[w])[1][0].tolist() == [1, 2]


class Ramp:
    """Counts its calls, and computes with the count."""

    def __init__(self):
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        return x * self.calls


def test_a_function_that_changes_what_it_reads_is_called_every_time():
    ours, theirs = Ramp(), Ramp()
    program = compile(ours)
    assert [program(float(k)) for k in range(6)] == [theirs(float(k)) for k in range(6)]
    assert "it changes 'calls'" in program.plan


def test_other_functions_of_floats_are_what_they_were():
    program = compile(lambda rate: ac.sum(ac.tensor([1.0, 2.0]) * rate))
    assert [program(2.0), program(3.0)] == [6, 9]
    assert compile(lambda: 3.0)() == 3
    assert compile(lambda x: 2.5)(1.0) == 2.5
    with pytest.raises(ZeroDivisionError):
        compile(lambda x: x / (1 // 0))(2.0)


@pytest.mark.dear
def test_a_scalar_from_outside_is_changed_by_another_thread():
    w, done, wrong = ac.Scalar(1.0), threading.Event(), []
    program = compile(lambda x: w * x)
    program(1.0)

    def change():
        while not done.is_set():
            w.data = 3.0 - w.data  # 1 and 2 in turn

    other = threading.Thread(target=change)
    other.start()
    for k in range(2000):
        value, slopes = program.value_and_grad(float(k), wrt=(0,))
        if value not in (k, 2 * k) or slopes[0] not in (1, 2) or program(float(k)) not in (k, 2 * k):
            wrong.append(k)
    done.set()
    other.join()
    assert not wrong


def test_two_threads_call_one_program():
    program, wrong = compile(lambda x, y: (x * y).tanh() + x), []

    def run(seed):
        for k in range(200):
            x = seed + k / 100
            if abs(program(x, 0.5) - (math.tanh(x * 0.5) + x)) > 1e-12:
                wrong.append(x)

    threads = [threading.Thread(target=run, args=(float(k),)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
