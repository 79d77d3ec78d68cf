"""What a compiled function reads besides its arguments may change at any time; what it only writes does not matter."""

import itertools
import random
import types

import numpy as np
import pytest

import autoconv as ac
from autoconv import nn
from autoconv.compiled import compile
from autoconv.program.record import effects

X = np.arange(6.0).reshape(2, 3)
SCALE = 2.0
COUNT = 0


class Base:
    offset = 1.0

    def shifted(self, x):
        return x + self.offset


class Model(Base):
    """Settings in every place where Python looks for them."""

    power = 2

    def __init__(self):
        self.gain, self.table, self.switch = 3.0, {"a": [1.0, 2.0]}, np.array([1.0, 2.0, 3.0])

    def __call__(self, x):
        return self.weighed(self.shifted(x)) * self.table["a"][1] + self.switch

    def weighed(self, x):
        return x**self.power * self.gain * SCALE * self.width

    @property
    def width(self):
        return len(self.table)


def set_global(m):
    global SCALE
    SCALE += 1


CHANGES = {
    "an attribute": lambda m: setattr(m, "gain", m.gain + 1),
    "an attribute of the class": lambda m: setattr(type(m), "power", type(m).power + 1),
    "an attribute that hides one of the class": lambda m: setattr(m, "power", 5),
    "an attribute of a base": lambda m: setattr(Base, "offset", Base.offset + 1),
    "a global that a method reads": set_global,
    "an element of a list in a dict": lambda m: m.table["a"].__setitem__(1, 9.0),
    "the length of a dict that a property reads": lambda m: m.table.update(b=[1.0]),
    "an array, in place": lambda m: m.switch.__iadd__(1),
    "an array": lambda m: setattr(m, "switch", np.ones(3)),
    "a method": lambda m: setattr(m, "weighed", lambda x: x * 100),
    "an int for a float": lambda m: setattr(m, "gain", 3),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_noticed(name):
    model = Model()
    program = compile(lambda x: model(x))
    before = [program(X) for _ in range(2)][1]
    np.testing.assert_array_equal(before, np.asarray(model(ac.tensor(X))))
    saved = type(model).power, Base.offset, SCALE
    try:
        CHANGES[name](model)
        expected = np.asarray(model(ac.tensor(X)))
        assert "int" in name or not np.array_equal(before, expected)
        for _ in range(2):
            np.testing.assert_array_equal(program(X), expected)
        assert "recorded anew" not in program.plan
    finally:
        type(model).power, Base.offset, globals()["SCALE"] = saved


def test_a_setting_in_a_module_of_the_users():
    settings = types.ModuleType("settings_of_mine")
    settings.rate = 2.0
    program = compile(lambda x: x * settings.rate)
    assert program(X).tolist() == (X * 2).tolist()
    settings.rate = 5.0
    assert program(X).tolist() == (X * 5).tolist()


class Stateful:
    """Each call is another: ``way`` says how."""

    def __init__(self, way):
        self.way, self.calls, self.log, self.numbers = way, 0, [], itertools.count()
        self.rng, self.dice = np.random.RandomState(1), random.Random(1)

    def __call__(self, x):
        return self.way(self, x)


def counted(self, x):
    self.calls += 1
    return x * self.calls


def logged(self, x):
    self.log.append(1)
    return x * len(self.log)


def swapped(self, x):
    self.calls = 1 - self.calls
    return x if self.calls else -x


STATES = {
    "a counter": counted,
    "a log": logged,
    "a flag": swapped,
    "an iterator": lambda self, x: x * next(self.numbers),
    "a RandomState": lambda self, x: x * self.rng.random_sample(),
    "Python's random": lambda self, x: x * self.dice.random(),
}


@pytest.mark.parametrize("name", STATES)
def test_a_function_that_changes_what_it_reads_is_recorded_every_time(name):
    ours, theirs = Stateful(STATES[name]), Stateful(STATES[name])
    program = compile(lambda x: ours(x))
    for _ in range(6):
        np.testing.assert_array_equal(program(X), np.asarray(theirs(ac.tensor(X))))
    assert "recorded anew" in program.plan


def test_a_lazy_attribute_delays_the_recording_only():
    class Lazy:
        weight = None

        def __call__(self, x):
            if self.weight is None:
                self.weight = ac.tensor(np.ones(3))
            return x * self.weight

    program = compile(Lazy())
    for _ in range(3):
        assert program(X).tolist() == X.tolist()
    assert "recorded anew" not in program.plan


def local_counter():
    count = 0

    def f(x):
        nonlocal count
        count += 1
        return x * 2

    return f, lambda: count


def test_counters_and_logs_that_nobody_reads_do_not_matter():
    f, count = local_counter()
    program = compile(f)
    for _ in range(4):
        assert program(X).tolist() == (2 * X).tolist()
    assert count() == 1


def only_in_attribute(self, x):
    self.calls += 1
    self.log.append(x.shape)
    return x


def in_a_condition(self, x):
    self.calls += 1
    return x if self.calls > 3 else -x


def of_a_global(x):
    global COUNT
    COUNT = COUNT + 1
    return x


def as_an_index(x, xs=(1, 2)):
    global COUNT
    COUNT += 1
    return xs[COUNT] * x


@pytest.mark.parametrize(
    ("f", "written"),
    [(only_in_attribute, {"calls", "log"}), (in_a_condition, set()), (of_a_global, {"COUNT"}), (as_an_index, set()),
     (lambda self, x: self.log[-1] * self.log.append(x), set())],
)  # fmt: skip
def test_names_that_are_only_written(f, written):
    assert effects.only_written([f.__code__]) == written


def test_dropout_and_batch_norm_are_replayed():
    def model():
        rng = np.random.default_rng(4)
        return nn.Sequential(nn.BatchNorm2d(2), nn.Dropout(0.4, rng=rng), nn.Dropout(0.2, rng=rng))

    ours, theirs = model(), model()
    calls = []
    program = compile(lambda x: calls.append(1) or ours(x))
    images = np.random.default_rng(0).normal(size=(4, 5, 5, 2)).astype(np.float32)
    for k in range(5):
        np.testing.assert_allclose(program(images + k), np.asarray(theirs(images + k)), rtol=1e-4, atol=1e-5)
        for a, b in zip(ours[0].named_buffers(), theirs[0].named_buffers(), strict=True):
            np.testing.assert_allclose(a[1], b[1], rtol=1e-5)
    assert len(calls) == 1
    ours.eval(), theirs.eval()
    for k in range(3):
        np.testing.assert_allclose(program(images), np.asarray(theirs(images)), rtol=1e-4, atol=1e-5)
        for m in (ours, theirs):
            m[0].running_mean = m[0].running_mean + k
    assert len(calls) == 2


def test_the_unbiased_variance_is_kept():
    layer = nn.BatchNorm2d(2, momentum=0.25)
    images = np.random.default_rng(0).normal(size=(3, 4, 4, 2)).astype(np.float32)
    compile(lambda x: layer(x))(images)
    np.testing.assert_allclose(layer.running_mean, 0.25 * images.mean((0, 1, 2)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(layer.running_var, 0.75 + 0.25 * images.var((0, 1, 2), ddof=1), rtol=1e-4)


def test_a_generator_made_inside_is_not_replayed():
    f = lambda x: ac.dropout(x, 0.5, rng=np.random.default_rng(3))
    program, expected = compile(f), np.asarray(f(ac.tensor(X)))
    for _ in range(4):
        np.testing.assert_array_equal(program(X), expected)
