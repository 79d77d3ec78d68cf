"""Compiled functions: the numbers of f itself, whatever the function, the arguments and what changes between calls."""

import numpy as np
import pytest

import autoconv as ac
from autoconv import models, nn
from autoconv.compiled import compile
from autoconv.hooks import observe
from autoconv.primitives import TABLE
from autoconv.program.numpy_run import NumpyRun
from autoconv.program.program import from_tape
from autoconv.program.rewrite import drop, fold, share, simplify, skip
from autoconv.tape import Tensor
from autoconv.transforms import flatten

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 8, 8, 2)).astype(np.float32)
LABELS = np.array([0, 2, 1, 2])


def net(**more):
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, rng=1, **more), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 3, rng=2)
    )


def recorded(row):
    """A row's example, swept: its program, its arguments."""
    operands, params = row.example(np.random.default_rng(1))
    start = ac.tensor(0).serial
    lines = [ac.tensor(x) for x in operands]
    y = row(*lines, **params)
    wanted = [x for x in lines if not x.constant] if row.differentiable else []
    seed = Tensor(np.ones(y.shape, y.dtype), constant=True)
    outputs = [y, *[g for x in wanted if not y.constant for g in ac.sweep(y, [x], seed)]]
    return from_tape(outputs, lines, start), [x.value for x in lines], [g.value for g in outputs]


@pytest.mark.parametrize("rewrite", [drop, skip, fold, share, simplify], ids=lambda f: f.__name__)
@pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.name)
def test_a_pass_changes_no_number(rewrite, row):
    program, arguments, expected = recorded(row)
    before = NumpyRun(program).run(arguments)
    after = NumpyRun(rewrite(program)).run(arguments)
    for a, b, c in zip(before, after, expected, strict=True):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, c)


def test_passes_do_what_they_say():
    start = ac.tensor(0).serial
    x = ac.tensor([1.0, 2.0])
    y = ac.stop_gradient(ac.exp(x)) + ac.exp(x) * (ac.tensor(2.0) * ac.tensor(3.0))
    program = simplify(from_tape([y], [x], start))
    assert [line.primitive.name for line in program.lines if line.primitive] == [
        "exp",
        "broadcast_to",
        "mul",
        "add",
    ] or [line.primitive.name for line in program.lines if line.primitive] == ["exp", "mul", "add"]


FUNCTIONS = {
    "elementwise": lambda x: ac.tanh(x) * ac.exp(-x) + ac.sigmoid(x),
    "several results": lambda x: {"a": x * 2, "b": [ac.sum(x), 5]},
    "reductions": lambda x: ac.max(x, axis=-1) + ac.mean(x, axis=-1) - ac.logsumexp(x, axis=-1),
    "reshape of the argument": lambda x: ac.reshape(x, -1),
    "the argument": lambda x: x,
    "numpy functions": lambda x: np.sum(np.exp(x) * np.arange(2.0, dtype=np.float32)),
    "no line": lambda x: 3.0,
    "wiring": lambda x: ac.concat([ac.flip(x, 1), ac.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0)))[:, 1:-1]], axis=-1),
    "pools": lambda x: ac.avg_pool2d(x, 3, stride=2, padding=1) + ac.max_pool2d(x, 3, stride=2, padding=1),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int64, bool])
def test_numbers_are_those_of_the_function(name, dtype):
    f = FUNCTIONS[name]
    x = (X * (2 if dtype == np.float16 else 3)).astype(dtype)
    try:
        expected = f(ac.tensor(x))
    except TypeError:
        with pytest.raises(TypeError):
            compile(f)(x)
        return
    flat = lambda tree: [np.asarray(leaf) for leaf in flatten(tree)[0]]
    program = compile(f)
    for _ in range(2):
        for a, b in zip(flat(program(x)), flat(expected), strict=True):
            assert a.dtype == b.dtype or not b.shape
            np.testing.assert_allclose(a, b, rtol=2e-5 if dtype != np.float16 else 2e-2, atol=1e-6)


def test_gradients_of_parameters_arguments_and_given_tensors():
    model = net()
    f = lambda x, y: ac.losses.cross_entropy(model(x), y)
    program = compile(f)
    xt = ac.tensor(X)
    loss = f(xt, LABELS)
    expected = ac.sweep(loss, list(model.parameters()))
    value, gradients = program.value_and_grad(X, LABELS)
    assert np.isclose(value, loss.item(), rtol=1e-6) and program.parameters == tuple(model.parameters())
    for g, e in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(g, e, rtol=1e-4, atol=1e-6)
    last = list(model.parameters())[-1]
    np.testing.assert_allclose(program.value_and_grad(X, LABELS, wrt=[last])[1][0], expected[-1], rtol=1e-4, atol=1e-6)
    by_x = program.value_and_grad(X, LABELS, wrt=0)[1]
    np.testing.assert_allclose(by_x, ac.sweep(loss, [xt])[0], rtol=1e-4, atol=1e-6)
    assert compile(lambda p: ac.sum(p["a"] * p["b"])).value_and_grad({"a": np.ones(2), "b": np.full(2, 3.0)})[1][
        "a"
    ].tolist() == [3, 3]


def test_parameters_are_read_anew_after_every_step():
    models_ = [net(), net()]
    programs = [compile(lambda x, y, m=m: ac.losses.cross_entropy(m(x), y)) for m in models_]
    optimizers = [ac.optim.Adam(m.parameters(), lr=0.01) for m in models_]
    for _ in range(4):
        got = programs[0].step(optimizers[0], X, LABELS)
        loss = ac.losses.cross_entropy(models_[1](X), LABELS)
        optimizers[1].step(ac.sweep(loss, list(models_[1].parameters())))
        assert np.isclose(got, loss.item(), rtol=1e-4)
    for a, b in zip(models_[0].parameters(), models_[1].parameters(), strict=True):
        np.testing.assert_allclose(a.value, b.value, rtol=1e-3, atol=1e-5)


def test_labels_are_inputs_and_checked_again():
    model = net()
    program = compile(lambda x, y: ac.losses.cross_entropy(model(x), y))
    for labels in ([0, 0, 0, 0], [2, 1, 0, 1], np.array([1, 1, 2, 2], np.uint8)):
        expected = ac.losses.cross_entropy(model(X), np.asarray(labels)).item()
        assert np.isclose(program(X, np.asarray(labels)), expected, rtol=1e-5)
    for bad in ([0, 0, 0, 3], [-1, 0, 0, 0]):
        with pytest.raises(ValueError, match="out of range for 3 classes"):
            program(X, np.array(bad))
    with pytest.raises(ValueError, match="labels of shape"):
        program(X, np.array([1, 2]))


def test_odd_arguments_are_converted_or_recorded_for_themselves():
    program = compile(lambda x: ac.sum(ac.tanh(x) * x, axis=(1, 2)))
    reference = np.sum(np.tanh(X) * X, axis=(1, 2))
    frozen = X.copy()
    frozen.flags.writeable = False
    for x in (X, np.asfortranarray(X), X[::-1][::-1], X.astype(">f4"), frozen, ac.tensor(X), np.repeat(X, 2, 0)[::2]):
        np.testing.assert_allclose(program(x), reference, rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(
        program(X.astype(np.float64)), np.sum(np.tanh(X.astype(float)) * X, axis=(1, 2)), rtol=1e-12
    )
    np.testing.assert_allclose(program(X[:3]), reference[:3], rtol=2e-5, atol=1e-6)
    assert program(X[:0]).shape == (0, 2)
    bad = X.copy()
    bad[1, 2, 3, 0] = np.nan
    assert np.isnan(program(bad)[1, 0]) and np.isnan(program(bad)).sum() == 1
    with pytest.raises(TypeError):
        program(np.array(["a"]))


def test_static_arguments_are_part_of_the_signature():
    program = compile(lambda x, power, scale=1.0: x**power * scale)
    assert program(np.array([3.0]), 2).tolist() == [9] and program(np.array([3.0]), 3).tolist() == [27]
    assert program(np.array([3.0]), 2, scale=0.5).tolist() == [4.5]


def test_a_function_that_looks_at_numbers_is_recorded_every_time():
    branch = compile(lambda x: x * 2 if float(ac.sum(x)) > 0 else -x)
    assert branch(np.ones(2)).tolist() == [2, 2] and branch(-np.ones(2)).tolist() == [1, 1]
    assert "looks at the numbers" in branch.plan
    loop = compile(lambda x: x[ac.argmax(x)] * 2)
    assert loop(np.array([1.0, 5.0])) == 10 and loop(np.array([7.0, 5.0])) == 14


def test_dropout_draws_fresh_numbers_and_the_same_as_without_compile():
    ours, theirs = nn.Dropout(0.5, rng=3), nn.Dropout(0.5, rng=3)
    program = compile(lambda x: ours(x) * 1)
    for _ in range(3):
        np.testing.assert_array_equal(program(X), theirs(X).value)
    ours.eval()
    np.testing.assert_array_equal(program(X), X)


def test_what_a_function_reads_besides_its_arguments_may_change():
    model, scale, data = nn.BatchNorm2d(2), [2.0], np.ones(2, np.float32)
    program = compile(lambda x: model(x) * scale[0] + data)
    check = lambda: np.testing.assert_allclose(
        program(X), (model.eval()(X) * scale[0] + data).value, rtol=1e-5, atol=1e-6
    )
    model.eval()
    check()
    model.running_mean = np.array([3.0, -1.0], np.float32)
    check()
    scale[0] = 5.0
    check()
    data[1] = 7.0
    check()
    model.weight.assign([2.0, 3.0])
    check()


def test_batch_norm_keeps_its_running_statistics():
    ours, theirs = nn.BatchNorm2d(2), nn.BatchNorm2d(2)
    program = compile(lambda x: ours(x))
    for k in range(3):
        np.testing.assert_allclose(program(X + k), theirs(X + k).value, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours.running_mean, theirs.running_mean, rtol=1e-6)


def test_results_are_the_callers_own():
    program = compile(lambda x: (x, ac.reshape(x, -1)))
    x = np.arange(4.0)
    a, b = program(x)
    a[0] = b[1] = 9
    assert x.tolist() == [0, 1, 2, 3] and program(x)[1].tolist() == [0, 1, 2, 3]


def test_inside_a_derivative_it_is_the_function_itself():
    program = compile(lambda x: ac.sum(x * x))
    program(np.ones(3))
    assert ac.grad(program)(np.arange(3.0)).tolist() == [0, 2, 4]
    with ac.no_grad():
        assert program(np.ones(3)) == 3


def test_errors_are_those_of_the_function():
    with pytest.raises(TypeError, match="pass the function itself"):
        compile(3)
    with pytest.raises(ValueError, match="not a scalar"):
        compile(lambda x: x).value_and_grad(np.ones(2))
    with pytest.raises(ValueError, match="kernel expects"):
        compile(lambda x: ac.conv2d(x, np.ones((3, 3, 5, 1), np.float32)))(X)


def test_the_plan_is_words():
    program = compile(lambda x, y: ac.losses.cross_entropy(models.mlp((8, 8, 2), 3, np.random.default_rng(0))(x), y))
    assert "before the first call" in program.plan
    program.value_and_grad(X, LABELS, wrt=0)
    assert "FLOP" in program.plan and "cross" not in program.plan.splitlines()[0]


class Running(nn.Module):
    """Keeps a running mean of what passes through, the way a normalisation layer may."""

    def __init__(self):
        self.register_buffer("mean", np.zeros(2, np.float32))

    def keep(self, batch):
        self.mean = (0.9 * self.mean + 0.1 * batch).astype(np.float32)

    def forward(self, x):
        m = ac.mean(x, (0, 1, 2))
        observe(self.keep, m)
        return x - m


def test_observers_are_told_at_every_run():
    ours, theirs, recordings = Running(), Running(), []
    program = compile(lambda x: recordings.append(1) or ac.sum(ours(x) ** 2))
    for k in range(4):
        np.testing.assert_allclose(program(X + k), ac.sum(theirs(X + k) ** 2).value, rtol=1e-4)
        np.testing.assert_allclose(ours.mean, theirs.mean, rtol=1e-5, atol=1e-6)
    assert len(recordings) <= 2 and "recorded anew" not in program.plan


def test_a_refused_call_leaves_no_trace():
    w = ac.tensor(np.ones((3, 2)))
    program = compile(lambda x, y: ac.losses.cross_entropy(x @ w, y))
    with pytest.raises(ValueError, match="out of range"):
        program(np.ones((2, 3)), np.array([0, 5]))
    assert np.isclose(program(np.ones((2, 3)), np.array([0, 1])), np.log(2)) and "recorded anew" not in program.plan


changing = 0


def test_attributes_are_not_mistaken_for_globals():
    """A global that has the name of an attribute may change without another recording."""
    global changing
    recordings = []
    holder = type("Holder", (), {"changing": 2.0})
    program = compile(lambda x: recordings.append(1) or x * holder.changing)
    for value in range(5):
        changing = value
        program(np.ones(2))
    assert len(recordings) == 1
    holder.changing = 3.0
    assert changing == 4 and program(np.ones(2)).tolist() == [3, 3]
