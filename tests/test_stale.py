"""Whatever a function reads besides its arguments may change: a compiled function gives what the function gives."""

import array
import collections
import contextvars
import ctypes
import datetime
import gc
import io
import itertools
import os
import pathlib
import queue
import random
import secrets
import subprocess
import sys
import threading
import time
import types
import uuid
import weakref

import numpy as np
import pytest

import autoconv as ac
from autoconv import nn
from autoconv.compiled import compile
from autoconv.program.record import reach
from autoconv.program.record.guards import Guards

X = np.arange(6.0).reshape(2, 3)
SCALE = 2.0
FACTORS = {"a": 2.0}


class Slotted:
    __slots__ = ("gain", "inner")

    def __init__(self, gain=2.0, inner=None):
        self.gain, self.inner = gain, inner


class SlottedChild(Slotted):
    __slots__ = ("more",)


class Plain:
    def __init__(self, **names):
        vars(self).update(names)

    def twice(self, x):
        return x * SCALE


class Settings:
    nested = types.SimpleNamespace(rate=2.0)


class Doubling:
    """A descriptor whose own attribute decides."""

    def __init__(self):
        self.factor = 2.0

    def __get__(self, instance, owner):
        return self.factor


class Described:
    value = Doubling()


def set_global():
    globals()["SCALE"] += 1


# ---- what is watched: (what f reads, f, the change), and the recording is kept while nothing changes


def slots():
    o = Slotted()
    return lambda x: x * o.gain, lambda: setattr(o, "gain", o.gain + 1)


def slots_of_a_base():
    o = SlottedChild()
    o.more = 1.0
    return lambda x: x * o.gain + o.more, lambda: (setattr(o, "gain", o.gain + 1), setattr(o, "more", 3.0))


def a_slot_that_is_filled_later():
    o = SlottedChild()
    return lambda x: x * getattr(o, "more", 1.0), lambda: setattr(o, "more", 5.0)


def slots_behind_slots():
    o = Slotted(inner=Slotted())
    return lambda x: x * o.inner.gain, lambda: setattr(o.inner, "gain", o.inner.gain + 1)


def of_deque():
    d = collections.deque([1.0, 2.0], maxlen=2)
    return lambda x: x * d[0], lambda: d.append(d[-1] + 1)


def of_array():
    a = array.array("d", [2.0])
    return lambda x: x * a[0], lambda: a.__setitem__(0, a[0] + 1)


def of_bytearray():
    b = bytearray(b"ab")
    return lambda x: x * b[0], lambda: b.__setitem__(0, b[0] + 1)


def of_a_growing_bytearray():
    b = bytearray(b"ab")
    return lambda x: x * len(b), lambda: b.extend(b"c")


def of_memoryview():
    b = bytearray(b"ab")
    m = memoryview(b)
    return lambda x: x * m[1], lambda: b.__setitem__(1, b[1] + 1)


def of_ctypes():
    c = ctypes.c_double(2.0)
    return lambda x: x * c.value, lambda: setattr(c, "value", c.value + 1)


def of_a_ctypes_structure():
    class Pair(ctypes.Structure):
        _fields_ = (("a", ctypes.c_double), ("b", ctypes.c_double))

    c = Pair(1.0, 2.0)
    return lambda x: x * c.b, lambda: setattr(c, "b", c.b + 1)


def of_a_context():
    v = contextvars.ContextVar("v", default=2.0)
    return lambda x: x * v.get(), lambda: v.set(v.get() + 1)


def of_an_object_in_a_context():
    v = contextvars.ContextVar("v")
    v.set(Plain(gain=2.0))
    return lambda x: x * v.get().gain, lambda: setattr(v.get(), "gain", v.get().gain + 1)


def of_weakref():
    o = Plain(gain=2.0)
    r = weakref.ref(o)
    return lambda x: x * r().gain, lambda: setattr(o, "gain", o.gain + 1)


def of_a_weakref_that_dies():
    held = [Plain(gain=2.0)]
    r = weakref.ref(held[0])
    return lambda x: x * (1.0 if r() is None else r().gain), held.clear


def of_a_weak_dictionary():
    o = Plain(gain=2.0)
    d = weakref.WeakValueDictionary(a=o)
    return lambda x: x * d["a"].gain, lambda: setattr(o, "gain", o.gain + 1)


def of_vars():
    o = Plain(gain=2.0)
    return lambda x: x * vars(o)["gain"], lambda: setattr(o, "gain", o.gain + 1)


def of_vars_of_a_module():
    m = types.ModuleType("mine")
    m.rate = 2.0
    return lambda x: x * vars(m)["rate"], lambda: setattr(m, "rate", m.rate + 1)


def of_getattr_of_a_module():
    m, name = types.ModuleType("mine"), "ra" + "te"
    m.rate = 2.0
    return lambda x: x * getattr(m, name), lambda: setattr(m, "rate", m.rate + 1)


def of_a_method_by_its_name():
    o, name = Plain(), "tw" + "ice"
    return lambda x: getattr(o, name)(x), set_global


def of_a_module_imported_inside():
    m = sys.modules["settings_inside"] = types.ModuleType("settings_inside")
    m.rate = 2.0

    def f(x):
        import settings_inside

        return x * settings_inside.rate

    return f, lambda: setattr(m, "rate", m.rate + 1)


def of_a_name_imported_inside():
    m = sys.modules["settings_inside"] = types.ModuleType("settings_inside")
    m.rate = 2.0

    def f(x):
        from settings_inside import rate

        return x * rate

    return f, lambda: setattr(m, "rate", m.rate + 1)


def of_a_namespace_in_a_class():
    return lambda x: x * Settings.nested.rate, lambda: setattr(Settings.nested, "rate", Settings.nested.rate + 1)


def of_a_descriptor():
    return (
        lambda x: x * Described().value,
        lambda: setattr(vars(Described)["value"], "factor", vars(Described)["value"].factor + 1),
    )


def of_a_bound_builtin():
    d = {"a": 2.0}
    get = d.get
    return lambda x: x * get("a"), lambda: d.update(a=d["a"] + 1)


def of_a_proxy_of_a_dictionary():
    d = {"a": 2.0}
    view = types.MappingProxyType(d)
    return lambda x: x * view["a"], lambda: d.update(a=d["a"] + 1)


def of_a_view_of_a_dictionary():
    d = {"a": 2.0}
    values = d.values()
    return lambda x: x * sum(values), lambda: d.update(b=1.0)


def of_a_subclass_of_dict():
    d = collections.OrderedDict(a=2.0)
    d.gain = 3.0
    return lambda x: x * d["a"] * d.gain, lambda: setattr(d, "gain", d.gain + 1)


def of_a_frozenset():
    o = Plain(gain=2.0)
    s = frozenset([o])
    return lambda x: x * next(iter(s)).gain, lambda: setattr(o, "gain", o.gain + 1)


def of_an_array_of_objects():
    o = Plain(gain=2.0)
    a = np.array([o], dtype=object)
    return lambda x: x * a[0].gain, lambda: setattr(o, "gain", o.gain + 1)


def of_an_array_that_takes_another_shape():
    a = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])

    def transpose():
        a.shape = (9, 1) if a.shape == (3, 3) else (3, 3)

    return lambda x: x * float(a.shape[0]), transpose


def of_an_attribute_of_a_function():
    def helper():
        return helper.gain

    helper.gain = 2.0
    return lambda x: x * helper(), lambda: setattr(helper, "gain", helper.gain + 1)


def of_an_attribute_that_goes():
    o = Plain(gain=2.0)
    return lambda x: x * getattr(o, "gain", 1.0), lambda: vars(o).clear()


def of_threads():
    local = threading.local()
    local.gain = 2.0
    return lambda x: x * local.gain, lambda: setattr(local, "gain", local.gain + 1)


def of_an_event():
    e = threading.Event()
    return lambda x: x * (2.0 if e.is_set() else 3.0), lambda: e.clear() if e.is_set() else e.set()


def of_a_global():
    return lambda x: x * SCALE, set_global


def of_a_default():
    def f(x, factors=[2.0]):  # noqa: B006 (this is the case)
        return x * factors[0]

    return f, lambda: f.__defaults__[0].__setitem__(0, f.__defaults__[0][0] + 1)


WATCHED = {f.__name__.removeprefix("of_").replace("_", " "): f for f in [
    slots, slots_of_a_base, a_slot_that_is_filled_later, slots_behind_slots, of_deque, of_array, of_bytearray,
    of_a_growing_bytearray, of_memoryview, of_ctypes, of_a_ctypes_structure, of_a_context, of_an_object_in_a_context,
    of_weakref, of_a_weakref_that_dies, of_a_weak_dictionary, of_vars, of_vars_of_a_module, of_getattr_of_a_module,
    of_a_method_by_its_name, of_a_module_imported_inside, of_a_name_imported_inside, of_a_namespace_in_a_class,
    of_a_descriptor, of_a_bound_builtin, of_a_proxy_of_a_dictionary, of_a_view_of_a_dictionary, of_a_subclass_of_dict,
    of_a_frozenset, of_an_array_of_objects, of_an_array_that_takes_another_shape, of_an_attribute_of_a_function,
    of_an_attribute_that_goes, of_threads, of_an_event, of_a_global, of_a_default,
]}  # fmt: skip


@pytest.mark.parametrize("what", WATCHED)
@pytest.mark.parametrize("argument", [X, 0.75], ids=["tensor", "scalar"])
def test_a_change_is_noticed_and_nothing_else_is(what, argument):
    f, change = WATCHED[what]()
    calls = []
    program = compile(lambda x: calls.append(1) or f(x))
    for turn in range(3):
        if turn:
            change()
        expected = np.asarray(f(ac.tensor(argument)))
        for _ in range(3):
            np.testing.assert_array_equal(program(argument), expected)
    assert "recorded anew" not in program.plan
    assert len(calls) <= 6  # at most twice for each state: a function that is new is tried as one of numbers


# ---- what is asked outside: recorded at every call, and the plan says why


def of_a_file(tmp_path):
    file = tmp_path / "rate.txt"
    file.write_text("2.0")
    return file, lambda: file.write_text(str(float(file.read_text()) + 1))


def opened(tmp_path):
    file, change = of_a_file(tmp_path)

    def f(x):
        with open(file) as handle:
            return x * float(handle.read())

    return f, change


def by_path(tmp_path):
    file, change = of_a_file(tmp_path)
    return lambda x: x * float(file.read_text()), change


def by_numpy(tmp_path):
    file = tmp_path / "rate.npy"
    np.save(file, np.array(2.0))
    return lambda x: x * float(np.load(file)), lambda: np.save(file, np.load(file) + 1)


def from_file(tmp_path):
    file = tmp_path / "rate.bin"
    np.array([2.0]).tofile(file)
    return lambda x: x * float(np.fromfile(file)[0]), lambda: (np.fromfile(file) + 1).tofile(file)


def whether_there_is_a_file(tmp_path):
    return lambda x: x * (2.0 if os.path.exists(tmp_path / "a") else 1.0), lambda: (tmp_path / "a").touch()


def list_of_files(tmp_path):
    names = itertools.count()
    return lambda x: x * len(os.listdir(tmp_path)), lambda: (tmp_path / str(next(names))).touch()


def environment(tmp_path):
    os.environ["AUTOCONV_TEST_RATE"] = "2"
    return lambda x: x * float(os.environ["AUTOCONV_TEST_RATE"]), more_in_the_environment


def more_in_the_environment():
    os.environ["AUTOCONV_TEST_RATE"] = str(float(os.environ["AUTOCONV_TEST_RATE"]) + 1)


def getenv(tmp_path):
    os.environ["AUTOCONV_TEST_RATE"] = "2"
    return lambda x: x * float(os.getenv("AUTOCONV_TEST_RATE")), more_in_the_environment


def in_environment(tmp_path):
    os.environ.pop("AUTOCONV_TEST_RATE", None)
    return (
        lambda x: x * (2.0 if "AUTOCONV_TEST_RATE" in os.environ else 1.0),
        lambda: os.environ.update(AUTOCONV_TEST_RATE="3"),
    )


def working_directory(tmp_path):
    names = itertools.count()

    def move():
        (there := tmp_path / ("a" * next(names) + "b")).mkdir()
        os.chdir(there)

    return lambda x: x * len(os.getcwd()), move


def by_globals(tmp_path):
    name = "SCA" + "LE"
    return lambda x: x * globals()[name], set_global


def by_eval(tmp_path):
    text = "SCALE"
    return lambda x: x * eval(text), set_global


def by_the_table_of_modules(tmp_path):
    return lambda x: x * sys.modules[__name__].FACTORS["a"], lambda: FACTORS.update(a=FACTORS["a"] + 1)


def a_stream(tmp_path):
    state = {"at": 0}
    stream = io.StringIO("123456789" * 20)

    def f(x):
        stream.seek(state["at"])
        return x * float(stream.read(1))

    return f, lambda: state.update(at=state["at"] + 1)


def a_process(tmp_path):
    file, change = of_a_file(tmp_path)
    return lambda x: x * float(subprocess.run(["cat", str(file)], capture_output=True).stdout), change


def a_weak_proxy(tmp_path):
    o = Plain(gain=2.0)
    p = weakref.proxy(o)
    return lambda x: x * p.gain + 0.0 * len([o]), lambda: setattr(o, "gain", o.gain + 1)


def a_weakly_held_array(tmp_path):
    a = np.array([2.0])
    r = weakref.ref(a)
    keep = [a]
    return lambda x: x * r()[0], lambda: keep[0].__iadd__(1)


OUTSIDE = {f.__name__.replace("_", " "): f for f in [
    opened, by_path, by_numpy, from_file, whether_there_is_a_file, list_of_files, environment, getenv, in_environment,
    working_directory, by_globals, by_eval, by_the_table_of_modules, a_stream, a_process, a_weak_proxy,
    a_weakly_held_array,
]}  # fmt: skip


@pytest.mark.parametrize("what", OUTSIDE)
@pytest.mark.parametrize("argument", [X, 0.75], ids=["tensor", "scalar"])
def test_what_cannot_be_watched_is_asked_at_every_call(what, argument, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    f, change = OUTSIDE[what](tmp_path)
    program = compile(f)
    for turn in range(7):
        if turn % 2:
            change()
        np.testing.assert_array_equal(program(argument), np.asarray(f(ac.tensor(argument))))
        assert "recorded anew" in program.plan
    monkeypatch.delenv("AUTOCONV_TEST_RATE", raising=False)


def unseeded():
    return float(np.random.default_rng().random())


FRESH = {
    "default_rng()": unseeded,
    "RandomState()": lambda: float(np.random.RandomState().random_sample()),
    "a bit generator": lambda: float(np.random.Generator(np.random.PCG64()).random()),
    "np.random": lambda: float(np.random.rand()),
    "random": random.random,
    "SystemRandom": lambda: random.SystemRandom().random(),
    "Random()": lambda: random.Random().random(),
    "os.urandom": lambda: os.urandom(8)[0] / 255 + os.urandom(1)[0],
    "secrets": lambda: float(secrets.randbits(40)),
    "uuid4": lambda: float(uuid.uuid4().int % 10**9),
    "uuid1": lambda: float(uuid.uuid1().time % 10**12),
    "time": time.time,
    "time_ns": lambda: float(time.time_ns() % 10**12),
    "perf_counter": time.perf_counter,
    "monotonic": lambda: float(time.monotonic_ns() % 10**12),
    "process_time": lambda: float(time.process_time_ns()),
    "datetime.now": lambda: datetime.datetime.now().timestamp(),
    "datetime.now of a subclass": lambda: type("Mine", (datetime.datetime,), {}).now().timestamp(),
    "dropout with a new generator": lambda: float(
        np.asarray(ac.dropout(np.ones(200), 0.5, rng=np.random.default_rng())).sum()
    ),
}


@pytest.mark.parametrize("what", FRESH)
def test_a_source_of_fresh_numbers_is_asked_at_every_call(what):
    make = FRESH[what]
    program = compile(lambda x: x * make())
    seen = [float(np.sum(program(X))) for _ in range(12) if time.sleep(1e-6) is None]
    assert len(set(seen)) > 6
    assert "recorded anew" in program.plan


def test_days_and_lines_of_the_user(monkeypatch):
    program = compile(lambda x: x * float(datetime.date.today().toordinal()))
    for _ in range(2):
        assert program(np.ones(1))[0] == datetime.date.today().toordinal()
        assert "date.today()" in program.plan
    monkeypatch.setattr(sys, "stdin", io.StringIO("2\n3\n4\n5\n6\n"))
    program = compile(lambda x: x * float(input()))
    assert [program(np.ones(1))[0] for _ in range(5)] == [2, 3, 4, 5, 6]


@pytest.mark.dear
def test_what_a_garbage_collection_ends_is_not_the_functions():
    """Someone else's object, in a circle, asks for the process and the time at its end."""

    class Asking:
        def __init__(self):
            self.itself = self

        def __del__(self):
            os.getpid()
            time.time()

    def f(x):
        Asking()
        gc.collect()
        return x * 2

    program = compile(f)
    for _ in range(3):
        np.testing.assert_array_equal(program(X), X * 2)
    assert "recorded anew" not in program.plan
    program = compile(lambda x: f(x) * os.getpid())  # and what it asks itself is seen after one
    assert program(X)[0, 1] == 2 * os.getpid()
    assert "os.getpid" in program.plan


def test_a_seeded_generator_inside_is_settled():
    program = compile(lambda x: x * np.random.default_rng(3).random())
    expected = X * np.random.default_rng(3).random()
    for _ in range(3):
        np.testing.assert_array_equal(program(X), expected)
    assert "recorded anew" not in program.plan


def test_what_is_read_from_a_queue():
    q = queue.Queue()
    program = compile(lambda x: x * q.get())
    for k in range(5):
        q.put(float(k))
        assert program(np.ones(1))[0] == k


def test_messages_and_imports_are_no_source(caplog):
    import logging
    import warnings

    log = logging.getLogger("autoconv_test")

    def f(x):
        import colorsys  # noqa: F401 (its file is read, once)

        log.warning("x")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("a message shows a line of a file", stacklevel=1)
        return x * 2

    sys.modules.pop("colorsys", None)
    program = compile(f)
    with pytest.warns(UserWarning, match="a line"):
        program(X)
    assert "recorded anew" not in program.plan


def test_a_profiler_goes_on_after_a_recording():
    import cProfile

    seen = []
    watch = lambda frame, event, arg: seen.append(event)
    sys.setprofile(watch)
    try:
        compile(lambda x: x * 2)(X)
        assert sys.getprofile() is watch and seen
    finally:
        sys.setprofile(None)
    with cProfile.Profile() as profile:
        compile(lambda x: x * time.time())(X)
        sorted([3, 1, 2])
    assert any("sorted" in str(entry.code) for entry in profile.getstats())


# ---- foreign packages

LIBRARY = """
class Node:
    def __init__(self, number):
        self.number, self.next, self.training, self.table = number, None, True, {"a": [1.0]}

    def forward(self, x):
        return x * len(NODES)

NODES = [Node(k) for k in range(5000)]
for k, node in enumerate(NODES):
    node.next = NODES[(7 * k + 1) % 5000]

def tanh(x):
    return NODES[0].forward(x)

def wraps(f):
    def wrapped(*args):
        assert NODES
        return f(*args)
    return wrapped
"""


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A package with 5,000 objects in cycles, where packages are installed."""
    home = tmp_path / "lib" / "site-packages"
    (home / "manythings").mkdir(parents=True)
    (home / "manythings" / "__init__.py").write_text(LIBRARY)
    (home / "mylayers").mkdir()
    (home / "mylayers" / "__init__.py").write_text(
        "import autoconv as ac\nGAIN = 2.0\ndef layer(x):\n    return ac.tanh(x) * GAIN\n"
    )
    monkeypatch.syspath_prepend(str(home))
    import manythings

    yield manythings
    for name in ("manythings", "mylayers"):
        sys.modules.pop(name, None)


def test_guards_do_not_walk_into_an_installed_package(library):
    node, functions, method = library.NODES[0], [library.tanh], library.NODES[1].forward
    for f in [
        lambda x: x * (2 if node.training else 1),
        lambda x: x * len(functions),
        lambda x: x if x is not None else library.tanh(x),
        lambda x: x if x is not None else method(x),
        lambda x: x if x is not None else getattr(library, "ta" + "nh")(x),
    ]:
        guards = Guards(f)
        assert guards.visited < 30 and guards.unfit() is None
        program = compile(f)
        for _ in range(2):
            program(X)
        assert "recorded anew" not in program.plan


def test_the_own_attributes_of_a_foreign_object_are_watched(library):
    node = library.NODES[0]
    program = compile(lambda x: x * (2.0 if node.training else 1.0) * len(node.table))
    assert program(X).tolist() == (2 * X).tolist()
    node.training = False
    assert program(X).tolist() == X.tolist()
    node.table["b"] = 1
    assert program(X).tolist() == (2 * X).tolist()


def test_a_foreign_decorator_is_seen_through(library):
    settings = {"gain": 2.0}
    f = library.wraps(lambda x: x * settings["gain"])
    program = compile(lambda x: f(x))
    for gain in (2.0, 3.0, 4.0):
        settings["gain"] = gain
        np.testing.assert_array_equal(program(X), X * gain)
    assert "recorded anew" not in program.plan


def test_an_installed_package_that_uses_autoconv_is_watched(library):
    import mylayers

    program = compile(lambda x: mylayers.layer(x))
    for mylayers.GAIN in (2.0, 3.0):
        np.testing.assert_allclose(program(X), np.tanh(X) * mylayers.GAIN)


def test_a_subclass_of_a_foreign_class_is_the_users(library):
    class Mine(library.Node):
        pass

    mine = Mine(1)
    mine.settings = {"gain": [2.0]}
    program = compile(lambda x: x * mine.settings["gain"][0])
    for gain in (2.0, 5.0):
        mine.settings["gain"][0] = gain
        np.testing.assert_array_equal(program(X), X * gain)
    assert Guards(lambda x: mine).visited < 50


def test_too_much_to_watch_is_recorded_every_time(monkeypatch):
    monkeypatch.setattr(reach, "MOST", 500)
    nodes = [Plain(number=k) for k in range(2000)]
    for k, node in enumerate(nodes):
        node.next = nodes[(7 * k + 1) % 2000]
    f = lambda x: x * float(nodes[1999].number)
    guards = Guards(f)
    assert guards.visited == 501 and guards.hold()
    program = compile(f)
    for k in (1999, 5, 6, 7, 8, 9):
        nodes[1999].number = k
        np.testing.assert_array_equal(program(X), X * float(k))
        assert "recorded anew" in program.plan and "500 objects" in program.plan


def test_a_large_net_is_watched():
    """As many modules as a ResNet-152 has are well below the limit."""
    model = nn.Sequential(*[nn.Sequential(nn.Linear(2, 2, rng=0), nn.BatchNorm2d(2), nn.ReLU()) for _ in range(156)])
    guards = Guards(lambda x: model(x))
    assert guards.visited < reach.MOST / 4 and guards.unfit() is None


# ---- copies


def test_a_compiled_function_is_not_copied():
    import copy
    import pickle

    program = compile(pathlib.Path)
    for way in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"ac\.compile"):
            way(program)
