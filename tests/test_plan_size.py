"""What a plan may cost: time that is small and known from the shapes, however large an example is; and empty arrays."""

import time
from pathlib import Path

import numpy as np
import pytest

import autoconv as ac
from autoconv.plan.extension import available

native = pytest.mark.skipif(not available(), reason="the native machine is not built, or switched off")


def chain(x):
    for _ in range(10):
        x = ac.tanh(x * 1.5 + 0.1)
    return x


def image(x):
    return ac.reshape(x, (x.shape[0], 1024, x.shape[1] // 1024, 1))


KERNEL = np.full((3, 3, 1, 1), 0.1, np.float32)
LARGE = {  # of x (examples, elements)
    "one sum": lambda x: ac.sum(x),
    "a sum of products": lambda x: ac.sum(ac.exp(x) * x),
    "sums of rows": lambda x: ac.sum(ac.reshape(x, (x.shape[0], -1, 1024)) ** 2, axis=2),
    "sums of columns": lambda x: ac.sum(ac.reshape(x, (x.shape[0], -1, 1024)) ** 2, axis=1),
    "sums of a few": lambda x: ac.sum(ac.reshape(x, (x.shape[0], -1, 4)) ** 2, axis=1),
    "a chain": chain,
    "a convolution": lambda x: ac.relu(ac.conv2d(image(x), KERNEL, padding=1)),
    "a pooling": lambda x: ac.max_pool2d(image(x), 2),
    "a maximum": lambda x: ac.max(x, axis=1),
}


@pytest.mark.dear
@native
@pytest.mark.parametrize("elements", [1 << 20, 1 << 22])
@pytest.mark.parametrize("name", LARGE)
def test_planning_for_large_examples_takes_no_time(name, elements, monkeypatch):
    """Seconds of processor time at most, not minutes, and the numbers are eager's; with the gradient up to 2**20."""
    from autoconv.compiled import replay

    spent = []
    planned = replay._planned

    def timed(*arguments):
        start = time.process_time()
        made = planned(*arguments)
        spent.append(time.process_time() - start)
        return made

    monkeypatch.setattr(replay, "_planned", timed)
    x = np.random.default_rng(0).normal(size=(1, elements)).astype(np.float32)
    f = LARGE[name]
    program = ac.compile(f)
    y = program(x)
    np.testing.assert_allclose(y, f(x), rtol=1e-4, atol=1e-5)  # a chain makes a rounding 1.5**10 times as large
    if elements == 1 << 20:
        ac.compile(lambda x: ac.sum(f(x))).value_and_grad(x, wrt=0)
    assert spent and max(spent) < 5, spent


@native
def test_windows_that_overlap_make_no_example_large():
    """The frames of 32 channels of 32 x 32 have more numbers than a line may; they are names, or part of a sum."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 32, 32, 32)).astype(np.float32)
    kernels = [ac.tensor(rng.normal(size=(3, 3, 32, 32)).astype(np.float32) * 0.05) for _ in range(2)]

    def f(x):
        for k in kernels:
            x = ac.relu(ac.conv2d(x, k, padding=1))
        return ac.sum(x)

    program = ac.compile(f)
    program.value_and_grad(x)
    assert str(program.plan).count("# NumPy") <= 4


@native
def test_what_layers_have_in_common_goes_with_the_plan(monkeypatch):
    """It is worked out once for two layers alike, and nothing of it stays."""
    from autoconv.plan import once
    from autoconv.plan.lower import overlap

    made = []
    classes = overlap._classes
    monkeypatch.setattr(overlap, "_classes", lambda *given: made.append(found := classes(*given)) or found)
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(3, 7, 7, 4)), ac.tensor(rng.normal(size=(3, 3, 4, 4)))
    f = lambda x: ac.sum(ac.tanh(ac.conv2d(ac.tanh(ac.conv2d(x, kernel, padding=1)), kernel, padding=1)))
    ac.compile(f).value_and_grad(x, wrt=0)
    assert len(made) > len({id(one) for one in made}) > 0
    assert not once._known


COMPILED_AND_DROPPED = """
import gc, os
import numpy as np
import autoconv as ac
from autoconv import nn, optim
from autoconv.tape import Tensor

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def one(k):
    c = 3 + k % 10
    wide = 8 * (1 + k % 3)
    layers = nn.Conv2d(2, c, 3), nn.BatchNorm2d(c), nn.ReLU(), nn.Flatten(), nn.Linear(8 * wide * c, 3)
    model = nn.Sequential(*layers)
    x = np.ones((4, 10, wide + 2, 2), np.float32)
    program, optimizer = ac.compile(lambda x: ac.mean(model(x) ** 2)), optim.Adam(model.parameters())
    for _ in range(2):
        program.step(optimizer, x)

one(0)
gc.collect()
before, lines = resident(), sum(isinstance(x, Tensor) for x in gc.get_objects())
for k in range(50):
    one(k)
gc.collect()
print(resident() - before, sum(isinstance(x, Tensor) for x in gc.get_objects()) - lines)
"""


@native
@pytest.mark.quick(0)
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not say how much memory is resident")
def test_fifty_nets_compiled_and_dropped_leave_nothing(run_python):
    """Neither lines of their tapes nor more than 50 MB, of which the allocator may keep some."""
    grown, lines = map(int, run_python("-c", COMPILED_AND_DROPPED).split())
    assert lines <= 0 and grown < 50e6


@native
@pytest.mark.parametrize("most", [0, 30, 200, 1000])
def test_what_is_beyond_the_registers_of_a_plan_is_numpys(most, monkeypatch):
    """The first lines are the machine's and the rest NumPy's, with the same numbers."""
    from autoconv.plan.lower import lower

    monkeypatch.setattr(lower, "_MOST_REGISTERS", most)
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(3, 6, 6, 2)), ac.tensor(rng.normal(size=(3, 3, 2, 4)))
    f = lambda x: ac.sum(ac.tanh(ac.max_pool2d(ac.relu(ac.conv2d(x, w, padding=1)), 2)) ** 2)
    value, (of_x,) = ac.compile(f).value_and_grad(x, wrt=(0,))
    np.testing.assert_allclose(value, f(x), rtol=1e-12)
    np.testing.assert_allclose(of_x, ac.grad(f, argnums=(0,))(x)[0], rtol=1e-10, atol=1e-13)
