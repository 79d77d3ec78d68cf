"""Lines whose numbers wait: the same shapes, dtypes and numbers as eager lines, whoever reads them and whenever."""

import gc
import weakref

import numpy as np
import pytest

import autoconv as ac
from autoconv import nn, optim
from autoconv.hooks import watcher
from autoconv.operands import as_array
from autoconv.program.record import late
from autoconv.program.record.late import Late
from autoconv.program.record.watch import record
from autoconv.tape import Tensor, outside

RNG = np.random.default_rng(0)


@pytest.fixture
def all_late(monkeypatch):
    """However small a line is, it waits."""
    monkeypatch.setattr(late, "_SMALL", 0)


def recorded(f, *arrays):
    lines = [Tensor(as_array(x), constant=x.dtype.kind != "f") for x in arrays]
    return record(lambda: f(*lines), lines, [])


# ---- every row of the table, by its own example


@pytest.mark.parametrize("name", ac.TABLE)
def test_a_late_line_is_as_the_eager_one(name, all_late):
    row = ac.TABLE[name]
    operands, params = row.example(np.random.default_rng(1))
    arrays = [np.asarray(x) for x in operands]
    for dtype in (np.float64, np.float32, np.float16):
        cast = [x.astype(dtype) if x.dtype.kind == "f" else x for x in arrays]
        given = dict(params, dtype=np.dtype(np.float32)) if name == "cast" else params
        expected = np.asarray(row(*cast, **given))
        made = recorded(lambda *x, given=given: row(*x, **given), *cast).result
        assert (made.shape, made.dtype) == (expected.shape, expected.dtype)
        assert made.constant == row(*[ac.tensor(x) for x in cast], **given).constant
        np.testing.assert_array_equal(made.value, expected)


EXPENSIVE = ("contract", "mul", "overlap_add", "pad", "sum", "concat", "take", "scatter_add", "maximum", "slope")


@pytest.mark.parametrize("name", EXPENSIVE)
def test_what_costs_time_waits(name, all_late):
    operands, params = ac.TABLE[name].example(np.random.default_rng(1))
    made = recorded(lambda *x: ac.TABLE[name](*x, **params), *[np.asarray(x) for x in operands]).result
    assert isinstance(made, Late) and made._numbers is None


# ---- what reads numbers

READS = {
    "a branch": lambda x: x * 2 if (x * x).value.sum() > 0 else x,
    "a number": lambda x: x * float(ac.sum(x * x)),
    "no_grad": lambda x: x * nn.functional.mean(x) if x.ndim > 9 else x + no_grad(x),
    "an index": lambda x: ac.take(x, np.argsort((x * x).value[:, 0]), axis=0),
}


def no_grad(x):
    with ac.no_grad():
        return x * x + 1


@pytest.mark.parametrize("name", READS)
def test_whoever_reads_sees_the_numbers(name, all_late):
    x = RNG.normal(size=(4, 3))
    expected = READS[name](ac.tensor(x)).value
    program = ac.compile(READS[name])
    for _ in range(3):
        np.testing.assert_allclose(program(x), expected, rtol=1e-12)


def test_refusals_are_those_of_eager_lines(all_late):
    cases = [
        (lambda x: ac.reshape(x, (5, 5)), ValueError),
        (lambda x: ac.take(x, np.array([0, 9]), axis=0), IndexError),
        (lambda x: ac.matmul(x, x), ValueError),
        (lambda x: x + np.ones((7, 7)), ValueError),
    ]
    for f, kind in cases:
        said = []
        for call in (lambda f=f: f(ac.tensor(np.ones((4, 3)))), lambda f=f: recorded(f, np.ones((4, 3)))):
            with pytest.raises(kind) as raised:
                call()
            said.append(str(raised.value))
        assert said[0] == said[1]


def test_what_a_function_keeps_has_the_numbers_of_its_call(all_late):
    """Read after a step, which has moved the parameters: those from before the step count."""
    w = nn.Parameter(RNG.normal(size=(3, 2)), dtype=float)
    kept = []

    def loss(x):
        hidden = ac.tanh(x @ w)
        kept.append(hidden)
        return ac.sum(hidden * hidden)

    x = RNG.normal(size=(4, 3))
    expected = np.tanh(x @ w.value)
    ac.compile(loss).step(optim.SGD([w], lr=0.5), x)
    assert not np.allclose(np.tanh(x @ w.value), expected)
    np.testing.assert_allclose(kept[0].value, expected, rtol=1e-12)


def test_a_step_that_is_recorded_anew_moves_by_the_gradients_of_its_own_call(all_late):
    def steps(compiled):
        parameters = [nn.Parameter(np.full(3, 0.5)), nn.Parameter(np.full(3, -0.25))]
        optimizer = optim.SGD(parameters, lr=0.1)

        def loss(x):
            y = ac.sum((parameters[0] * x + parameters[1]) ** 2)
            return y * 2 if float(y) > 1 else y

        program = ac.compile(loss)
        for k in range(5):
            x = np.arange(3.0) + k
            if compiled:
                program.step(optimizer, x)
            else:
                optimizer.step(ac.sweep(loss(ac.tensor(x)), parameters))
        return [p.value for p in parameters]

    for ours, theirs in zip(steps(True), steps(False), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_a_recording_computes_nothing_and_holds_nothing():
    """A large net's first call: no line's numbers are computed while it is recorded, and no line is left."""
    made = []
    before = late.LateLines.line

    def noticed(self, *arguments):
        line = before(self, *arguments)
        if line is not None:
            made.append((weakref.ref(line), line._numbers is None))
        return line

    rng = np.random.default_rng(2)
    model = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, rng=rng), nn.BatchNorm2d(16), nn.ReLU(), nn.GlobalAvgPool())
    x = rng.normal(size=(4, 32, 32, 3)).astype(np.float32)
    program = ac.compile(lambda x: ac.sum(model(x) ** 2))
    late.LateLines.line = noticed
    try:
        program.step(optim.SGD(model.parameters(), lr=0.1), x)
    finally:
        late.LateLines.line = before
    gc.collect()
    assert len(made) > 10 and all(waits for _, waits in made)
    assert not any(ref() is not None for ref, _ in made)


def test_nothing_waits_outside_of_recordings():
    assert watcher.get() is None
    x = ac.tensor(np.ones((300, 300)))
    assert type(x * x) is Tensor
    assert type(outside(lambda: x * x)) is Tensor
