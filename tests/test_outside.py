"""Calls that ask something outside: the profiling hook in C sees what the one in Python sees."""

import datetime
import logging
import os
import random
import sys
import time

import numpy as np
import pytest

import autoconv as ac
from autoconv.program.record import outside
from autoconv.program.record.outside import Calls, Hook, hook_kind
from autoconv.tape import Primitive

compiled = pytest.mark.skipif(outside._compiled() is None, reason="autoconv.program.record._calls is not built")


@pytest.fixture(params=["0", pytest.param("1", marks=compiled)], ids=["python", "compiled"])
def floor(request, monkeypatch):
    monkeypatch.setenv("AUTOCONV_NATIVE", request.param)
    assert (hook_kind() is Hook) == (request.param == "0")
    return hook_kind()


def raises():
    try:
        logging.getLogger("autoconv_test").isEnabledFor("no level")
    except TypeError:
        return time.time()


def deep(n):
    return deep(n - 1) if n else time.monotonic()


class Reader:
    """Its read is its own: no handle of the system."""

    def read(self):
        return 1


SEEN = {
    "nothing": (lambda: sorted([3, 1, 2]), ""),
    "a clock": (time.time, "time.time()"),
    "a clock below many calls": (lambda: deep(300), "time.monotonic()"),
    "the first of several": (lambda: (os.getpid(), time.time()), "os.getpid()"),
    "the environment": (lambda: os.environ.get("PATH"), "os.environ"),
    "a method of a class": (lambda: datetime.datetime.now(), "datetime.now()"),
    "a file": (lambda: open(os.devnull).close(), "open()"),
    "a seed": (lambda: random.Random(3).random(), ""),
    "no seed": (lambda: random.Random().random(), "random.Random()"),
    "entropy": (lambda: np.random.default_rng(), "os.urandom()"),
    "globals": (lambda: globals(), "globals()"),
    "a method that is called read": (lambda: Reader().read(), ""),
    "a message": (lambda: logging.getLogger("autoconv_test").warning("x"), ""),
    "a message, then a clock": (lambda: (logging.getLogger("autoconv_test").warning("x"), time.time()), "time.time()"),
    "a message that fails, then a clock": (raises, "time.time()"),
}


@pytest.mark.parametrize("name", SEEN)
def test_the_first_call_of_the_kind(name, floor):
    f, expected = SEEN[name]
    calls = Calls()
    calls.run(f)
    assert calls.first == expected


def test_an_error_goes_through_and_the_hook_ends(floor):
    calls = Calls()
    with pytest.raises(ZeroDivisionError):
        calls.run(lambda: 1 / 0)
    assert sys.getprofile() is None and calls.first == ""


def test_a_recording_inside_a_recording(floor):
    inner, outer = Calls(), Calls()
    outer.run(lambda: [inner.run(lambda: len([])), [deep(3)]])
    assert (inner.first, outer.first in ("os.environ", "time.monotonic()")) == ("", True)
    assert sys.getprofile() is None


def test_a_fault_of_what_is_told_is_raised(floor):
    def sort(x):
        raise KeyError("no kind")

    hook = floor(sort, lambda frame, x: False)

    def watched():
        hook.begin()
        deep(0)

    with pytest.raises(KeyError, match="no kind"):
        watched()
    assert sys.getprofile() is None


def test_many_functions_are_told_apart(floor):
    """More than a table of the first size holds."""
    made = [eval(f"lambda: {k}") for k in range(3000)]
    asked = []
    hook = floor(lambda x: asked.append(x) or 0, lambda frame, x: False)
    hook.begin()
    found = sum([f() for _ in range(2) for f in made])
    sys.setprofile(None)
    assert found == 2 * sum(range(3000))
    assert sum(getattr(x, "co_name", "") == "<lambda>" for x in asked) == 3000


def test_a_rule_of_the_users_own_row_is_looked_at(floor):
    """The sweep calls it; what it asks may be another thing each time."""
    slope = lambda g, y, x: g * float(time.time() > 0)
    row = Primitive("doubled", lambda x: 2 * x, (slope,), "2 {0}", "arithmetic", lambda rng: ([rng.normal(size=3)], {}))
    x = np.arange(3.0)
    for f, expected in ((lambda x: ac.sum(row(x)), "time.time()"), (lambda x: ac.sum(x * 2), "")):
        program = ac.compile(f)
        program.value_and_grad(x, wrt=0)
        assert ("recorded anew" in program.plan) == bool(expected) and expected in program.plan


UNSEEN = {
    "what is known to ask nothing": (lambda calls: calls.unseen(time.time), ""),
    "what comes after it": (lambda calls: (calls.unseen(len, []), os.getpid()), "os.getpid()"),
    "what comes before it": (lambda calls: (os.getpid(), calls.unseen(time.time)), "os.getpid()"),
    "what comes after it failed": (lambda calls: (fails(calls), os.getpid()), "os.getpid()"),
}


def fails(calls):
    with pytest.raises(TypeError):
        calls.unseen(len, 3)


@pytest.mark.parametrize("name", UNSEEN)
def test_a_call_that_is_not_looked_at(name, floor):
    f, expected = UNSEEN[name]
    calls = Calls()
    calls.run(lambda: f(calls))
    assert calls.first == expected and sys.getprofile() is None


def test_a_hook_that_another_has_set_stays(floor):
    calls, other = Calls(), lambda frame, event, x: None

    def changes():
        sys.setprofile(other)
        calls.unseen(len, [])
        return sys.getprofile()

    assert calls.run(changes) is other and calls.unseen(sys.getprofile) is None


def test_the_forward_of_the_users_own_row_is_looked_at(floor):
    forward = lambda x: x * float(time.time() > 0)
    row = Primitive("now", forward, (None,), "{0}", "arithmetic", lambda rng: ([rng.normal(size=3)], {}))
    program = ac.compile(lambda x: row(ac.exp(x)))
    program(np.zeros(1 << 15))
    assert "recorded anew" in program.plan and "time.time()" in program.plan
