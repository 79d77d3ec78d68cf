"""``ac.compile(f, backend="xla")``: the same object with the same numbers, and the parameters stay on the device."""

import copy
import pickle

import numpy as np
import pytest

import autoconv as ac
from autoconv import nn, optim

jax = pytest.importorskip("jax", reason="JAX is not installed; make test-xla has it")

from autoconv.xla.resident import _Away  # noqa: E402
from autoconv.xla.run import XlaRun  # noqa: E402

BACKENDS = ("numpy", "xla")


def on_xla(program):
    return isinstance(program._last.run.planned, XlaRun)


def batch(n=6):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 7, 7, 2)).astype(np.float32), rng.integers(0, 3, n)


def net(dtype=np.float32):
    rng = np.random.default_rng(1)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, rng=rng), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.3, rng=7),
        nn.Flatten(), nn.Linear(36, 3, rng=rng),
    )  # fmt: skip
    for p in model.parameters():
        p.assign(p.value)
    return model


OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01, dampening=0.2),
    "nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: optim.Adam(p, lr=0.01, weight_decay=0.1),
    "adamw": lambda p: optim.AdamW(p, lr=0.01),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
    "adagrad": lambda p: optim.Adagrad(p, lr=0.05, lr_decay=0.1, weight_decay=0.01),
}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_every_optimiser_makes_its_own_step(make, dtype):
    """Seven steps with a rate that changes; then a step of NumPy's, which takes the slots over."""
    start, x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(dtype)
    ended = []
    for backend in BACKENDS:
        w, b = nn.Parameter(start, dtype=dtype), nn.Parameter(start[0], dtype=dtype)
        unread = nn.Parameter([1.0], dtype=dtype)
        optimizer = make([w, unread, b])
        program = ac.compile(lambda x, w=w, b=b: ac.sum((w * x + b) ** 2), backend=backend)
        losses = []
        for k in range(7):
            optimizer.lr = 0.01 * (1 + k % 3)
            losses.append(float(program.step(optimizer, x)))
        if backend == "xla":
            assert on_xla(program) and isinstance(w, _Away) and optimizer.elsewhere is not None
            assert not isinstance(unread, _Away)
        state = optimizer.state_dict()["state"]
        optimizer.step([np.ones_like(start), None, np.ones_like(start[0])])
        losses.append(float(program.step(optimizer, x)))
        slots = [x for one in [*state, *optimizer.state] for k, x in sorted(one.items())]
        ended.append([np.array(losses), w.value, unread.value, b.value, *map(np.asarray, slots)])
    near = {np.float64: 1e-12, np.float32: 1e-5, np.float16: 1e-2}[dtype]
    for a, b in zip(*ended, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=near, atol=near)


def test_a_net_with_running_means_and_dropout():
    x, y = batch()
    ended = []
    for backend in BACKENDS:
        model = net()
        optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        program = ac.compile(lambda x, y, model=model: ac.losses.cross_entropy(model(x), y), backend=backend)
        losses = [float(program.step(optimizer, x, y)) for _ in range(4)]
        losses += [float(program.step(optimizer, x[:4], y[:4]))]  # another size of the batch
        model.eval()
        scores = ac.compile(model, backend=backend)(x)
        state = model.state_dict()
        ended.append([np.array(losses), scores, *[np.asarray(state[k]) for k in sorted(state)]])
    for a, b in zip(*ended, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5)


def trained():
    w = nn.Parameter([1.0, 2.0, 3.0], dtype=float, name="w")
    optimizer = optim.SGD([w], lr=0.1, momentum=0.5)
    program = ac.compile(lambda x: ac.sum((w * x) ** 2), backend="xla")
    return w, optimizer, program


ONE_STEP = [0.8, 1.6, 2.4]  # w - 0.1 * 2 w


def test_parameters_stay_on_the_device_until_they_are_read():
    w, optimizer, program = trained()
    before, x = w.value, np.ones(3)
    assert float(program.step(optimizer, x)) == 14.0
    assert isinstance(w, _Away) and isinstance(w, nn.Parameter) and type(w).__name__ == "Parameter"
    assert (w.shape, w.ndim, w.size, w.dtype, len(w)) == ((3,), 1, 3, np.dtype(float), 3)
    assert isinstance(w, _Away)  # that needed no number
    np.testing.assert_allclose(w.value, ONE_STEP)
    assert not isinstance(w, _Away) and type(w) is nn.Parameter and not w.value.flags.writeable
    assert before.tolist() == [1.0, 2.0, 3.0]  # whoever holds the old numbers has them still
    held = w.value
    program.step(optimizer, x)
    np.testing.assert_allclose(held, ONE_STEP)
    np.testing.assert_allclose(w.value, np.array(ONE_STEP) - 0.1 * (0.5 * 2 * np.array([1, 2, 3]) + 2 * held))


READERS = {
    "value": lambda w: w.value,
    "numpy": lambda w: w.numpy(),
    "array": lambda w: np.asarray(w.value),
    "eager": lambda w: (w * 1.0).value,
    "copy": lambda w: copy.copy(w).value,
    "deepcopy": lambda w: copy.deepcopy(w).value,
    "pickle": lambda w: pickle.loads(pickle.dumps(w)).value,
    "other program": lambda w: ac.compile(lambda: w * 1.0, backend="xla")(),
    "native program": lambda w: ac.compile(lambda: w * 1.0)(),
    "printed": lambda w: eval(repr(w).replace("tensor(", "np.array(").replace(", name='w'", "")),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_whoever_reads_a_parameter_finds_its_numbers(read):
    w, optimizer, program = trained()
    program.step(optimizer, np.ones(3))
    np.testing.assert_allclose(read(w), ONE_STEP)
    np.testing.assert_allclose(w.value, ONE_STEP)


def test_a_new_value_is_taken_over():
    w, optimizer, program = trained()
    for value in ([5.0, 5.0, 5.0], [1.0, 2.0, 3.0]):
        program.step(optimizer, np.ones(3))
        w.assign(value)
        assert float(program(np.ones(3))) == np.sum(np.square(value))


def test_optimisers_are_copied_and_saved_with_their_slots():
    _, optimizer, program = trained()
    program.step(optimizer, np.ones(3))
    for made in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        assert made.state[0]["step"] == 1
        np.testing.assert_allclose(made.state[0]["momentum_buffer"], [2.0, 4.0, 6.0])
    program.step(optimizer, np.ones(3))
    saved = optimizer.state_dict()
    _, other, _ = trained()
    other.load_state_dict(saved)
    assert other.state[0]["step"] == 2
    program.step(optimizer, np.ones(3))
    optimizer.load_state_dict(saved)
    assert optimizer.state[0]["step"] == 2


def test_a_sweep_over_a_line_from_before_the_step_is_refused():
    w, optimizer, program = trained()
    old = ac.sum(w * w)
    program.step(optimizer, np.ones(3))
    with pytest.raises(RuntimeError, match="was given a new value"):
        ac.sweep(old, [w])


def test_a_loss_that_is_not_finite_changes_nothing():
    w, optimizer, program = trained()
    program.step(optimizer, np.ones(3))
    value, loss = program.step_if_finite(optimizer, np.array([1.0, np.nan, 1.0]))
    assert np.isnan(value) and loss is not None
    np.testing.assert_allclose(w.value, ONE_STEP)
    assert optimizer.state[0]["step"] == 1
    np.testing.assert_allclose(optimizer.state[0]["momentum_buffer"], [2.0, 4.0, 6.0])
    value, loss = program.step_if_finite(optimizer, np.ones(3))
    assert loss is None and optimizer.state[0]["step"] == 2


def test_a_place_that_is_not_there_raises_as_eager_does():
    table = nn.Parameter(np.arange(6.0).reshape(3, 2), dtype=float)
    optimizer = optim.SGD([table], lr=0.1)
    program = ac.compile(lambda i: ac.sum(ac.take(table, i, axis=0) ** 2), backend="xla")
    assert float(program.step(optimizer, np.array([0, -1]))) == 0 + 1 + 16 + 25
    before = table.value.copy()
    for call in (program, lambda i: program.step(optimizer, i), program.value_and_grad):
        with pytest.raises(IndexError, match="out of bounds"):
            call(np.array([0, 3]))
    assert (table.value == before).all()


def test_refused_numbers_are_refused_in_the_functions_words():
    model, (x, y) = net(), batch()
    program = ac.compile(lambda x, y: ac.losses.cross_entropy(model(x), y), backend="xla")
    program(x, y)
    eager = pytest.raises(ValueError, match="label")
    with eager as found:
        ac.losses.cross_entropy(model(x), y + 3)
    with pytest.raises(ValueError, match="label") as said:
        program(x, y + 3)
    assert str(said.value) == str(found.value)


def test_the_processes_own_switch_for_64_bits_stays():
    assert not jax.config.jax_enable_x64
    program = ac.compile(lambda x: x * 2 + 1, backend="xla")
    assert program(np.array([1.0, 1e-9])).dtype == np.float64
    assert jax.numpy.ones(1).dtype == np.float32 and not jax.config.jax_enable_x64


def test_what_xla_has_no_numbers_for_is_left_to_numpy():
    from fractions import Fraction

    program = ac.compile(lambda x: ac.sum(x * x), backend="xla")
    assert program(np.array([Fraction(1, 3), Fraction(2, 3)], object)) == Fraction(5, 9)
    assert "exact fractions" in program.plan
    row = ac.Primitive("twice", lambda a: a + a, (lambda g, y, a: g + g,), "2 {0}", "arithmetic", lambda rng: ([], {}))
    program = ac.compile(lambda x: ac.sum(row(x)), backend="xla")
    value, (gradient,) = program.value_and_grad(np.array([1.0, 2.0]), wrt=(0,))
    assert (float(value), gradient.tolist()) == (6.0, [2.0, 2.0])
    assert program.plan.startswith("left to NumPy, because the row twice has no cell for XLA")


def test_results_are_the_callers_own():
    program = ac.compile(lambda x: (x, x + 1, x[0]), backend="xla")
    given = np.arange(3.0)
    for result in program(given)[:2]:
        result[0] = 9
    assert given.tolist() == [0.0, 1.0, 2.0]
    assert [np.asarray(x).tolist() for x in program(given)] == [[0.0, 1.0, 2.0], [1.0, 2.0, 3.0], 0.0]


def test_the_plan_says_what_was_recognised():
    model, (x, y) = net(), batch()
    program = ac.compile(lambda x, y: ac.losses.cross_entropy(model(x), y), backend="xla")
    program.value_and_grad(x, y)
    assert f"XLA (JAX {jax.__version__}) on cpu" in program.plan
    assert "# a convolution of" in program.plan and "# inside a convolution" in program.plan


def test_the_environment_names_the_backend(monkeypatch):
    monkeypatch.setenv("AUTOCONV_BACKEND", "xla")
    program = ac.compile(lambda x: x * 2)
    assert program(np.ones(2)).tolist() == [2.0, 2.0] and on_xla(program)
    assert ac.compile(lambda x: x, backend="numpy").backend == "numpy"


def test_functions_of_numbers_stay_scalars():
    program = ac.compile(lambda x, y: x * y + x, backend="xla")
    assert program(0.5, 2.0) == 1.5
    assert program(np.linspace(0.0, 1.0, 3), 2.0).tolist() == [0.0, 1.5, 3.0]
    assert "scalar operations" in program.plan
