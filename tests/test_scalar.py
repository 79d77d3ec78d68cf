"""Scalar: a float that records; its rules are the table's rows; nothing recurses and nothing grows.

Every fact holds on both floors, in Python and compiled; in the tests ``Scalar`` is that of the floor at hand.
"""

import copy
import gc
import itertools
import math
import operator
import pickle
import random
import sys
import threading
import tracemalloc
import weakref
from fractions import Fraction

import numpy as np
import pytest

import autoconv as ac
from autoconv.primitives import TABLE
from autoconv.scalar import Scalar, expand, floor, floors, header, recording, scalar
from autoconv.scalar.recording import Segment
from autoconv.scalar.rules import CODES, OPERATIONS, apply


class InPython:
    Scalar = scalar.Scalar

    def limit(self, rows):
        recording.LIMIT, before = rows, recording.LIMIT
        return before

    def close(self):
        recording._thread.segment.close()

    def segments(self):
        return sum(type(x) is Segment for x in gc.get_objects())


FLOORS = {"python": InPython()} | ({"native": floors.native()} if floors.native() else {})


@pytest.fixture(autouse=True, params=FLOORS)
def ground(request, monkeypatch):
    """The floor that a test runs on."""
    ground = FLOORS[request.param]
    for module in (sys.modules[__name__], ac.scalar):
        monkeypatch.setattr(module, "Scalar", ground.Scalar)
    ground.close()
    before = ground.limit(1000)
    ground.limit(before)
    yield ground
    ground.limit(before)


INF, NAN = math.inf, math.nan
POINTS = [0.7, -1.3, 2.0, 0.0, 1.0, 1e300, -1e300, 1e-300, 800.0, INF, -INF, NAN]


def close(found, expected, tolerance=1e-13):
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=1e-300)


# ---- the rules against the rows


BINARY = {"add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv, "power": operator.pow}
UNARY = {"neg": operator.neg, "abs": abs}


def recorded(name, params, xs):
    """The operation of a row on Scalars."""
    return (BINARY | UNARY)[name](*xs) if name in BINARY | UNARY else getattr(xs[0], name)(*xs[1:], **params)


@pytest.mark.parametrize("name", CODES)
def test_each_rule_is_its_row_kinks_and_limits_included(name):
    code = CODES[name]
    name, params, arity = OPERATIONS[code].name, OPERATIONS[code].params, OPERATIONS[code].arity
    grid = [np.array(p) for p in np.meshgrid(*[POINTS] * arity)]
    with np.errstate(all="ignore"):
        operands = [ac.tensor(g) for g in grid]
        y = TABLE[name](*operands, **params)
        y.backward(np.ones(y.shape))
    for index in np.ndindex(y.shape):
        numbers = [float(g[index]) for g in grid]
        xs = list(map(Scalar, numbers))
        z = recorded(name, params, xs)
        z.backward()
        expected = [y.value[index], *[x.grad[index] for x in operands]]
        close([z.data, *[x.grad for x in xs]], expected)
        close(apply(code, *numbers), expected)
        for k in range(arity) if name in BINARY else ():  # the other operand a number
            xs = [Scalar(x) if j == k else x for j, x in enumerate(numbers)]
            z = recorded(name, params, xs)
            z.backward()
            close([z.data, xs[k].grad], [expected[0], expected[1 + k]])


def test_the_c_of_the_rules_is_what_the_table_gives():
    """Else: python -m autoconv.scalar.header, and build the extension anew."""
    assert header.PATH.read_text() == header.header()


@pytest.mark.parametrize("c", [*POINTS, 3.0, -1.0, -2.0, 1 / 3])
def test_a_power_with_a_number_is_the_row_too(c):
    with np.errstate(all="ignore"):
        t = ac.tensor(POINTS)
        y = t**c
        y.backward(np.ones(y.shape))
    for k, x in enumerate(map(Scalar, POINTS)):
        z = x**c
        z.backward()
        close([z.data, x.grad], [y.value[k], t.grad[k]])


PROGRAMS = {
    "reflected": lambda x, y: 2 - x + 3 * y - 1 / x + 2**y + (4 + x),
    "mixed": lambda x, y: x * y - x / y + x**2 - y**-1 + x**y,
    "unary": lambda x, y: -x + +y + abs(x - y) + (x * y).relu() + (-x).relu(),
    "functions": lambda x, y: x.exp() + y.log() + x.sqrt() + (x * y).tanh() + x.sin() * y.cos() + x.sigmoid(),
    "choices": lambda x, y: x.maximum(y) * 2 + y.minimum(x) * 3 + x.maximum(1) + max(x, y) * min(x, y),
    "sum": lambda x, y: sum([x, y, x * y, 1.5]),
    "numpy": lambda x, y: np.float64(2) * x + y * np.float32(3) + np.int64(1) - x + np.tanh(y) + np.exp(x),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_gradients_of_whole_expressions_are_those_of_finite_differences(program):
    f, at, h = PROGRAMS[program], (1.3, 0.6), 1e-6
    x, y = map(Scalar, at)
    z = f(x, y)
    z.backward()
    value = lambda *a: float(f(*map(Scalar, a)))
    close(x.grad, (value(at[0] + h, at[1]) - value(at[0] - h, at[1])) / (2 * h), 1e-7)
    close(y.grad, (value(at[0], at[1] + h) - value(at[0], at[1] - h)) / (2 * h), 1e-7)


@pytest.mark.parametrize(
    ("f", "at", "expected"),
    [
        (abs, (0.0,), (0.0,)),
        (lambda x: x.relu(), (0.0,), (0.0,)),
        (lambda x, y: x.maximum(y), (2.0, 2.0), (0.5, 0.5)),
        (lambda x, y: x.minimum(y), (2.0, 2.0), (0.5, 0.5)),
        (lambda x, y: x.maximum(y, ties="first"), (2.0, 2.0), (1.0, 0.0)),
        (lambda x, y: x.minimum(y, ties="first"), (2.0, 2.0), (1.0, 0.0)),
        (lambda x, y: x.maximum(y), (1.0, -1e20), (1.0, 0.0)),
        (lambda x, y: x.maximum(y), (INF, INF), (0.5, 0.5)),
        (lambda x: x**0, (0.0,), (0.0,)),
        (lambda x: 1 / x, (0.0,), (-INF,)),
        (lambda x: x**2, (-3.0,), (-6.0,)),
        (lambda x: 0.0**x, (2.0,), (0.0,)),
        (lambda x: x.sigmoid(), (-800.0,), (0.0,)),
    ],
)
def test_slopes_chosen_at_kinks(f, at, expected):
    xs = [Scalar(v) for v in at]
    f(*xs).backward()
    assert [x.grad for x in xs] == list(expected)


def test_values_follow_ieee_arithmetic():
    assert Scalar(1) / 0 == INF
    assert Scalar(0).log() == -INF
    assert Scalar(1000).exp() == INF
    assert math.isnan(Scalar(-1).sqrt())
    assert math.isnan(Scalar(-8) ** (1 / 3))
    assert math.isnan(Scalar(NAN).relu())


# ---- as a float


def test_it_behaves_as_a_float():
    x = Scalar(2.75, name="x")
    assert (float(x), int(x), bool(x), bool(Scalar(0)), f"{x:.1f}") == (2.75, 2, True, False, "2.8")
    assert x == 2.75
    assert x == Scalar(2.75)
    assert x != 2
    assert 2 < x <= 2.75 < Scalar(3)
    assert sorted([Scalar(3), Scalar(1)])[0] == 1
    assert len({x, Scalar(2.75)}) == 2
    assert x != "a"
    assert repr(x) == "Scalar(data=2.75, grad=0.0, name='x')"
    assert (x * 2).operation == "mul"
    assert Scalar(Fraction(1, 4)).data == Scalar(np.float32(0.25)).data == Scalar(Scalar(0.25)).data == 0.25


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_are_inputs_of_their_own(make):
    x = Scalar(3, name="x")
    made = make(x)
    (made * made).backward()
    assert (made.name, made.data, made.grad, x.grad) == ("x", 3, 6, 0)


def test_object_arrays_calculate():
    w = np.array([[Scalar(1), Scalar(2)], [Scalar(3), Scalar(4)]])
    x = np.array([0.5, -1.0])
    y = np.tanh(w @ x + np.ones(2)).sum()
    t = ac.tensor([[1.0, 2], [3, 4]])
    z = ac.tanh(t @ x + np.ones(2)).sum()
    y.backward()
    z.backward()
    close(float(y), float(z))
    close([[s.grad for s in row] for row in w], t.grad)
    assert [float(s) for s in np.ones(2) * w[0, 1]] == [2, 2]


@pytest.mark.parametrize("value", ["3", 1j, None, [1.0], np.ones(2)])
def test_only_real_numbers(value):
    with pytest.raises(TypeError, match="not a real number"):
        Scalar(value)


def test_a_computed_scalar_cannot_be_set_or_copied():
    y = Scalar(1) * 2
    with pytest.raises(TypeError, match="only an input can be given a new value"):
        y.data = 3
    with pytest.raises(TypeError, match="copy float"):
        copy.copy(y)
    with pytest.raises(TypeError):
        y + "a"
    with pytest.raises(ValueError, match="use 'split' or 'first'"):
        y.maximum(1, ties="last")


class Weight(Scalar):
    """A subclass with state of its own."""

    def __init__(self, value, name=None, rate=0.1):
        super().__init__(value, name)
        self.rate = rate


class PythonWeight(scalar.Scalar):
    def __init__(self, value, name=None, rate=0.1):
        super().__init__(value, name)
        self.rate = rate


def test_subclasses_calculate_and_are_copied(ground):
    kind = Weight if issubclass(Weight, ground.Scalar) else PythonWeight
    w, x = kind(3.0, rate=0.5), Scalar(2.0)
    y = (x - w) * w + x / w + w**x + w.maximum(x) - (5 - w)
    y.backward()
    assert y.data == pytest.approx(-3 + 2 / 3 + 9 + 3 - 2)
    assert w.grad == pytest.approx((2 - 6) - 2 / 9 + 6 + 1 + 1)
    assert x.grad == pytest.approx(3 + 1 / 3 + 9 * math.log(3))
    made = pickle.loads(pickle.dumps(kind(4.0, "v", rate=2.0)))
    assert (type(made), made.data, made.name, made.rate) == (kind, 4, "v", 2.0)
    assert copy.copy(w).rate == 0.5


def test_weak_references():
    x = Scalar(1)
    y = x * 2
    seen = [weakref.ref(x), weakref.ref(y)]
    assert [r() for r in seen] == [x, y]
    del y
    assert seen[1]() is None


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda x: x.maximum("a"), TypeError),
        (lambda x: x + 10**400, OverflowError),
        (lambda x: setattr(x, "data", "a"), TypeError),
        (lambda x: setattr(x, "grad", "a"), ValueError),
        (lambda x: delattr(x, "data"), AttributeError),
        (lambda x: x < "a", TypeError),
        (lambda x: pow(x, 2, 5), TypeError),
        (lambda x: type(x)(), TypeError),
        (lambda x: type(x)(1, "a", 2), TypeError),
        (lambda x: type(x)(1, nam="a"), TypeError),
        (lambda x: int(x / 0), OverflowError),
        (lambda x: x // 2, TypeError),
    ],
)
def test_refused_with_the_same_error(act, error):
    x = Scalar(2.0, "x")
    with pytest.raises(error):
        act(x)
    assert (x.data, x.grad, x.name) == (2, 0, "x")


def test_both_floors_give_the_same_bits():
    draw = random.Random(5)
    at = [draw.uniform(0.1, 2) for _ in range(6)]
    steps = [*PROGRAMS.values(), *STEPS]
    results = []
    for kind in (scalar.Scalar, Scalar):
        pick = random.Random(9)
        xs = [kind(v) for v in at]
        y = sum(pick.choice(steps)(pick.choice(xs), pick.choice(xs)) for _ in range(60))
        y.backward()
        results.append([y.data, *[x.grad for x in xs]])
    assert results[0] == results[1]


def test_the_floor_can_be_chosen(run_python):
    code = "import autoconv as ac; print(ac.scalar.floor(), ac.Scalar.__module__)"
    printed = run_python("-c", code, AUTOCONV_NATIVE="0")
    assert printed == "python: the extension is switched off by AUTOCONV_NATIVE=0 autoconv.scalar\n"
    assert floor() == "native" or floor().startswith("python: ")


# ---- gradients add up, and inputs change


def test_gradients_add_over_calls_and_can_be_reset():
    x = Scalar(3)
    y = x * x
    z = y * 2
    z.backward()
    assert (x.grad, y.grad, z.grad) == (12, 2, 1)
    y.backward()
    assert (x.grad, y.grad, z.grad) == (18, 3, 1)
    x.grad = y.grad = 0
    (z + y).backward()
    assert (x.grad, y.grad, z.grad) == (18, 3, 2)
    lone = Scalar(1)
    lone.backward()
    assert lone.grad == 1


def test_a_new_value_is_seen_by_what_follows_only():
    x = Scalar(2)
    y = x * x
    x.data -= 1.5
    z = x * x
    z.backward()
    assert (z.data, x.grad) == (0.25, 1)
    y.backward()
    assert (y.data, x.grad) == (4, 5)


def power_of_two(x, times):
    for _ in range(times):
        x = x * x
    return x


# f and df/dx at 2, by hand: results read by the next operation, once or twice, and by others after it
READERS = [
    (lambda x: power_of_two(x, 3), 8 * 2.0**7),
    (lambda x: (y := x * x) + (z := y + y) * y - z, 4 + 8 * 2.0**3 - 8),  # x^2 + 2x^4 - 2x^2
    (lambda x: (y := x * x) - y, 0.0),
    (lambda x: (y := x * x) / y, 0.0),
    (lambda x: (y := x * x) * (y * y), 6 * 2.0**5),
    (lambda x: 3 - (5 - (x * 2 - 1)), 2.0),
    (lambda x: (y := x * x).maximum(y) + (x * 0 + y) * x, 4 + 12.0),
    (lambda x: (x * x).relu().relu() * (-(x * x)).relu(), 0.0),
]


@pytest.mark.parametrize(("f", "slope"), READERS)
def test_gradients_are_added_up_over_all_readers(f, slope, ground):
    for n in (1 << 17, 4):
        ground.limit(n)
        for kind in (scalar.Scalar, Scalar):
            x = kind(2.0)
            f(x).backward()
            assert x.grad == slope


def test_zero_cotangent_passes_nothing_on():
    x = Scalar(0)
    (x.sqrt() * 0).backward()
    assert x.grad == 0


# ---- segments


STEPS = [lambda a, b: (a * b).tanh(), lambda a, b: a - b, lambda a, b: (a + 0.5).relu(), lambda a, b: (2 - a) * 0.3]


def random_program(seed, inputs):
    draw = random.Random(seed)
    known = list(inputs)
    for _ in range(300):
        known.append(draw.choice(STEPS)(draw.choice(known), draw.choice(known[-20:] + inputs)))
    return sum(known[-30:])


@pytest.mark.parametrize("limit", [4, 5, 17, 64])
def test_a_calculation_over_many_segments_is_the_same(limit, ground):
    results = []
    for n in (1 << 17, limit):
        ground.limit(n)
        Scalar(0).exp().backward()  # closes the segment at hand
        inputs = [Scalar(v) for v in (0.3, -0.7, 1.1)]
        y = random_program(1, inputs)
        y.backward()
        flat = expand(y)
        results.append((y.data, [x.grad for x in inputs], flat.value.tolist(), flat.sweep()[flat.inputs].tolist()))
        assert flat.inputs.size == 3
        close(sorted(results[-1][3]), sorted(results[-1][1]))
    assert results[0][0] == results[1][0]
    assert sorted(results[0][2]) == sorted(results[1][2])
    close(results[0][1], results[1][1])


@pytest.mark.quick(0)
def test_a_chain_of_a_million_operations():
    a, b, c0 = Scalar(1.0), Scalar(0.5), Scalar(2.0)
    c, n = c0, 500_000
    for _ in range(n):
        c = a * c + b
    c.backward()
    assert c.data == 2 + n / 2
    assert (c0.grad, b.grad) == (1, n)
    assert a.grad == sum(2 + k / 2 for k in range(n))
    del c


@pytest.mark.quick(0)
def test_a_hundred_thousand_sweeps_in_a_chain_are_freed(ground):
    x = Scalar(1.0)
    y = x
    for _ in range(100_000):
        y = y + 1.0
        if y.data % 3 == 0:
            ground.close()
    y.backward()
    assert x.grad == 1
    del y


@pytest.mark.dear
@pytest.mark.quick(1)
def test_nothing_grows_in_a_training_loop():
    w = [Scalar(0.1 * k) for k in range(12)]
    inputs = [Scalar(0.5), Scalar(-0.25)]

    def step():
        h = [(w[3 * k] * inputs[0] + w[3 * k + 1] * inputs[1] + w[3 * k + 2]).tanh() for k in range(3)]
        loss = (h[0] * w[9] + h[1] * w[10] + h[2] * w[11] - 1) ** 2
        for p in w:
            p.grad = 0
        loss.backward()
        for p in w:
            p.data -= 0.01 * p.grad

    tracemalloc.start()
    for k in range(1000):
        step()
        if k == 299:
            gc.collect()
            early = tracemalloc.get_traced_memory()[0]
    gc.collect()
    late = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert late - early < 50_000  # a step that stays behind costs 5,000 bytes, 700 of them 3.5 million


def test_a_result_that_is_held_until_the_next_one_is_there_keeps_only_its_own(ground):
    """Each recording begins in the segment in which the one before has ended."""
    ground.limit(50)
    Scalar(0).exp().backward()  # closes the segment at hand
    a, b = Scalar(0.5), Scalar(0.25)
    last = None
    before = ground.segments()
    for _ in range(40):
        t = a
        for _ in range(70):
            t = t * a + b
        last = t
    assert ground.segments() - before <= 9  # three for a recording
    last.backward()
    assert abs(a.grad - 1) < 1e-9  # of t = t a + b at its fixed point: t / (1 - a)


@pytest.mark.dear
def test_results_that_nobody_holds_are_freed_without_a_sweep(ground):
    ground.limit(100)
    w = [Scalar(k) for k in range(5)]
    base = w[0] * w[1]
    base.exp().backward()
    gc.collect()
    before = ground.segments()
    for _ in range(1000):
        float(sum((x * base for x in w), w[0]))
    assert ground.segments() - before <= 4


def test_two_threads_are_as_one_after_the_other():
    def train(seed, out):
        draw = random.Random(seed)
        w = [Scalar(draw.random()) for _ in range(6)]
        for _ in range(200):
            loss = sum((p * draw.random() - q) ** 2 for p, q in itertools.pairwise(w))
            loss.backward()
            for p in w:
                p.data, p.grad = p.data - 0.01 * p.grad, 0
        out[seed] = [p.data for p in w]

    alone, together = {}, {}
    for seed in (1, 2):
        train(seed, alone)
    threads = [threading.Thread(target=train, args=(seed, together)) for seed in (1, 2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert alone == together


# ---- the flat tape of a Scalar


def test_the_flat_tape_of_a_scalar():
    x, y = Scalar(2, name="x"), Scalar(3, name="y")
    z = 1 - x * y
    z.name = "z"
    flat = expand(z)
    assert [(s.name, s.operation, s.operands, s.slopes, s.value) for s in (flat[i] for i in range(1, len(flat)))] == [
        ("x", "input", (), (), 2),
        ("y", "input", (), (), 3),
        ("%3", "mul", (1, 2), (3, 2), 6),
        ("%4", "constant", (), (), 1),
        ("z", "sub", (4, 3), (0, -1), -5),
    ]
    assert flat.count == 2
    assert flat.sweep()[flat.inputs].tolist() == [-3, -2]
    other = flat.run([5, 7])
    assert (other.value[-1], other.sweep()[other.inputs].tolist()) == (-34, [-7, -5])
    assert flat.readers(1).tolist() == [3]
    assert expand(x).sweep()[1] == 1


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_flat_tape_replays_on_new_inputs(program):
    x, y = Scalar(1.3), Scalar(0.6)
    flat = expand(PROGRAMS[program](x, y))
    order = [flat.leaves[i] for i in flat.inputs]
    a, b = Scalar(1.2), Scalar(0.7)  # on the same side of every comparison that Python makes
    z = PROGRAMS[program](a, b)
    z.backward()
    again = flat.run([1.2 if leaf is x else 0.7 for leaf in order])
    close(again.value[again.output], z.data, 1e-12)
    close(again.sweep()[again.inputs], [a.grad if leaf is x else b.grad for leaf in order], 1e-12)


# ---- code written for micrograd (Karpathy, 2020): only its import is changed


class Module:
    def zero_grad(self):
        for p in self.parameters():
            p.grad = 0

    def parameters(self):
        return []


class Neuron(Module):
    def __init__(self, nin, nonlin=True):
        self.w = [Scalar(random.uniform(-1, 1)) for _ in range(nin)]
        self.b = Scalar(0)
        self.nonlin = nonlin

    def __call__(self, x):
        act = sum((wi * xi for wi, xi in zip(self.w, x, strict=True)), self.b)
        return act.relu() if self.nonlin else act

    def parameters(self):
        return [*self.w, self.b]


class Layer(Module):
    def __init__(self, nin, nout, **kwargs):
        self.neurons = [Neuron(nin, **kwargs) for _ in range(nout)]

    def __call__(self, x):
        out = [n(x) for n in self.neurons]
        return out[0] if len(out) == 1 else out

    def parameters(self):
        return [p for n in self.neurons for p in n.parameters()]


class MLP(Module):
    def __init__(self, nin, nouts):
        sz = [nin, *nouts]
        self.layers = [Layer(sz[i], sz[i + 1], nonlin=i != len(nouts) - 1) for i in range(len(nouts))]

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

    def parameters(self):
        return [p for layer in self.layers for p in layer.parameters()]


def test_a_micrograd_training_loop_runs():
    random.seed(1337)
    rng = np.random.default_rng(1337)
    X = rng.normal(size=(40, 2))
    y = np.where(X[:, 0] * X[:, 1] > 0, 1, -1)
    model = MLP(2, [8, 8, 1])
    layers = [
        (ac.tensor([[w.data for w in n.w] for n in layer.neurons]), ac.tensor([n.b.data for n in layer.neurons]))
        for layer in model.layers
    ]

    def loss():
        inputs = [list(map(Scalar, xrow)) for xrow in X]
        scores = list(map(model, inputs))
        losses = [(1 + -yi * scorei).relu() for yi, scorei in zip(y, scores, strict=True)]
        data_loss = sum(losses) * (1.0 / len(losses))
        reg_loss = 1e-4 * sum(p * p for p in model.parameters())
        accuracy = [(yi > 0) == (scorei.data > 0) for yi, scorei in zip(y, scores, strict=True)]
        return data_loss + reg_loss, sum(accuracy) / len(accuracy)

    for k in range(30):
        total, acc = loss()
        model.zero_grad()
        total.backward()
        if k == 0:
            h = ac.tensor(X)
            for i, (w, b) in enumerate(layers):
                h = h @ w.T + b
                h = ac.relu(h) if i < 2 else h
            expected = ac.relu(1 - y * h[:, 0]).mean() + 1e-4 * sum((p * p).sum() for pair in layers for p in pair)
            expected.backward()
            close(total.data, expected.item())
            grads = [g for w, b in layers for row, c in zip(w.grad, b.grad, strict=True) for g in (*row, c)]
            np.testing.assert_allclose([p.grad for p in model.parameters()], grads, atol=1e-15)
            first = total.data
        learning_rate = 1.0 - 0.9 * k / 100
        for p in model.parameters():
            p.data -= 0.5 * learning_rate * p.grad
    assert total.data < first / 2
    assert acc > 0.85


@pytest.mark.parametrize("before", [0, 1])
def test_an_interrupted_sweep_in_python_adds_nothing_and_can_be_repeated(ground, monkeypatch, before):
    """Interrupted in each of its segments in turn; Ctrl-C does not come between inside the compiled floor."""
    if ground is not FLOORS["python"]:
        pytest.skip("compiled")
    ground.limit(3)  # rows of a segment
    real = recording.pull
    x, y = scalar.Scalar(1.5), scalar.Scalar(-0.5)
    z = x * y + x
    for _ in range(4):
        z = z * x + y
    for _ in range(before):
        z.backward()
    start = [x.grad, y.grad, z.grad]
    segments = 0
    for at in range(100):
        count = 0

        def pull(*arguments, at=at):
            nonlocal count
            count += 1
            if count - 1 == at:
                raise KeyboardInterrupt
            return real(*arguments)

        monkeypatch.setattr(recording, "pull", pull)
        try:
            z.backward()
        except KeyboardInterrupt:
            segments += 1
            assert [x.grad, y.grad, z.grad] == start
        else:
            break
    monkeypatch.setattr(recording, "pull", real)
    assert segments > 1
    x1, y1 = scalar.Scalar(1.5), scalar.Scalar(-0.5)
    z1 = x1 * y1 + x1
    for _ in range(4):
        z1 = z1 * x1 + y1
    for _ in range(before + 1):
        z1.backward()
    assert [x.grad, y.grad] == pytest.approx([x1.grad, y1.grad], rel=1e-14)
