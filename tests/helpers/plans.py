"""Plans of small programs, run and compared with NumPy, and what they are made of."""

from collections import Counter

import numpy as np
import pytest

from autoconv.plan.instructions import Clear
from autoconv.plan.native.instruction_set import OPERATIONS
from autoconv.plan.run import native_run
from autoconv.program.numpy_run import NumpyRun
from autoconv.program.rewrite import simplify

from .random_nets import swept

LANES = ["examples", "channels"]
OTHERS = ("Load", "Store", "Splat", "Clear", "Total")  # of which a plan has what its kernels ask for


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def recorded(f, arguments, parameters=()):
    """The program of f (a number) and of its gradients for the parameters and the arguments, line by line."""
    lines = []

    def kept(*given):
        lines.extend(x for x in given if x.dtype.kind == "f")
        return f(*given)

    wanted = list(parameters)
    return swept(lambda *given: (kept(*given), wanted.extend(lines))[0], arguments, wanted)


def agree(got, wanted):
    assert np.shape(got) == wanted.shape and np.asarray(got).dtype == wanted.dtype
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-11 * (1 + np.abs(wanted).max(initial=0)))


def plan(f, arguments, lanes, parameters=(), beyond=False):
    """The plan of f and its gradients, after two runs with the numbers of NumPy.

    ``beyond``: whether these are NumPy's own, since a label was out of range or a guard did not hold; None: either.
    """
    program = recorded(f, arguments, parameters)
    with pytest.MonkeyPatch.context() as at:
        at.setenv("AUTOCONV_LANES", lanes)
        planned = native_run.plan(simplify(program), arguments)
    assert planned is not None and planned.native.layout.channels == (lanes == "channels")
    for kernel in planned.native.kernels:
        cleared = [int(x) for one in kernel.instructions if isinstance(one, Clear) for x in one.writes[0].ravel()]
        assert len(set(cleared)) == len(cleared) and 0 not in cleared
    assert all(kernel.number % 2 for kernel in planned.native.kernels), "NumPy's turns have the even numbers"
    expected = NumpyRun(program).run(arguments)
    for _ in range(2):  # the second run is in the memory of the first
        for got, wanted in zip(planned.run(arguments), expected, strict=True):
            agree(got, wanted)
    assert beyond is None or ("_plain" in vars(planned)) == beyond
    return planned.native


def of_numpy(native):
    """The rows of NumPy's lines."""
    return sorted(native.program.lines[i].primitive.name for i in native.by_numpy)


def made_of(native):
    """How many instructions there are of each kind, but for those that any plan has; of the elementwise ones copies are
    a kind of their own."""
    kinds = Counter()
    for one in [one for kernel in native.kernels for one in kernel.instructions]:
        kind = type(one).__name__
        if kind == "Map" and one.operation == OPERATIONS["copy"]:
            kinds["copy"] += 1
        elif kind not in OTHERS:
            kinds[kind] += 1
    return dict(kinds)


def at_every_plan(monkeypatch, look):
    """Have ``look`` called with every native program that is planned from now on."""
    init = native_run.NativeRun.__init__

    def noted(self, original, native, costs):
        look(native)
        init(self, original, native, costs)

    monkeypatch.setattr(native_run.NativeRun, "__init__", noted)
