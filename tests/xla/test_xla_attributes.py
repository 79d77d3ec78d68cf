"""Running statistics stay on the device between steps: who reads them finds the new ones, who writes is seen."""

import copy
import pickle

import numpy as np
import pytest

import autoconv as ac
from autoconv import checkpoint, nn, optim, train
from autoconv.hooks import keep, move, observe

jax = pytest.importorskip("jax", reason="JAX is not installed; make test-xla has it")

from autoconv.xla.attributes import is_away  # noqa: E402
from autoconv.xla.run import XlaRun  # noqa: E402

RNG = np.random.default_rng(0)
X, Y = RNG.normal(2.0, 3.0, (12, 5)).astype(np.float32), RNG.integers(0, 3, 12)


def net():
    return nn.Sequential(nn.Linear(5, 4, rng=0), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3, rng=1))


def made(model, backend="xla"):
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return optimizer, ac.compile(lambda x, y: ac.losses.cross_entropy(model(x), y), backend=backend)


def trained(backend="xla", steps=3):
    model = net()
    optimizer, program = made(model, backend)
    for _ in range(steps):
        program.step(optimizer, X, Y)
    return model, optimizer, program


def near(a, b):
    np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-5)


def saved(model, tmp_path):
    checkpoint.save(tmp_path / "model.safetensors", model)
    other = net()
    checkpoint.load(tmp_path / "model.safetensors", other)
    return other[1].running_var


READERS = {
    "attribute": lambda m, _: m[1].running_var,
    "getattr": lambda m, _: getattr(m[1], "running_var"),  # noqa: B009
    "vars": lambda m, _: vars(m[1])["running_var"],
    "dict": lambda m, _: m[1].__dict__["running_var"],
    "state_dict": lambda m, _: m.state_dict()["1.running_var"],
    "buffers": lambda m, _: dict(m.named_buffers())["1.running_var"],
    "copy": lambda m, _: copy.copy(m[1]).running_var,
    "deepcopy": lambda m, _: copy.deepcopy(m)[1].running_var,
    "pickle": lambda m, _: pickle.loads(pickle.dumps(m))[1].running_var,
    "checkpoint": saved,
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_whoever_reads_a_running_mean_finds_the_new_one(read, tmp_path):
    model, *_ = trained()
    layer = model[1]
    assert is_away(layer) and isinstance(layer, nn.BatchNorm1d) and type(layer).__name__ == "BatchNorm1d"
    found = read(model, tmp_path)
    assert type(found) is np.ndarray and found.flags.writeable
    near(found, trained("numpy")[0][1].running_var)
    assert type(layer) is nn.BatchNorm1d
    near(layer.running_mean, trained("numpy")[0][1].running_mean)
    assert [name for name in vars(layer) if name in vars(net()[1])] == list(vars(net()[1]))


def written(model, name):
    setattr(model[1], name, np.full(4, 7.0, np.float32))


def written_in_place(model, name):
    getattr(model[1], name)[:] = 7


def written_in_dict(model, name):
    vars(model[1])[name] = np.full(4, 7.0, np.float32)


def loaded(model, name):
    model.load_state_dict({**model.state_dict(), f"1.{name}": np.full(4, 7.0)})


@pytest.mark.parametrize("name", ["running_mean", "running_var"])
@pytest.mark.parametrize("write", [written, written_in_place, written_in_dict, loaded])
def test_what_python_writes_between_two_steps_is_seen(write, name):
    ended = []
    for backend in ("numpy", "xla"):
        model, optimizer, program = trained(backend)
        write(model, name)
        assert (getattr(model[1], name) == 7).all()
        program.step(optimizer, X, Y)
        program.step(optimizer, X + 1, Y)
        ended.append(model.state_dict())
    for key, value in ended[0].items():
        near(ended[1][key], value)


def test_an_attribute_that_is_taken_away_is_gone():
    model, *_ = trained()
    del model[1].running_var
    assert not hasattr(model[1], "running_var") and hasattr(model[1], "running_mean")


def test_who_holds_the_old_numbers_has_them_still():
    """Neither a step nor a copy on the device takes away what somebody has read."""
    model, optimizer, program = trained()
    held = model[1].running_mean
    before = held.copy()
    for _ in range(3):
        program.step(optimizer, X, Y)
        assert (held == before).all()
    assert not np.allclose(model[1].running_mean, before)


def test_evaluation_in_between_reads_them():
    ended = []
    for backend in ("numpy", "xla"):
        model = net()
        optimizer, program = made(model, backend)
        scores = ac.compile(lambda x, model=model: model(x), backend=backend)
        found = []
        for k in range(3):
            program.step(optimizer, X + k, Y)
            away = is_away(model[1])
            model.eval()
            found += [scores(X), model(X).value, model.predict(X)]
            model.train()
            assert away == (backend == "xla")
        ended.append(np.array(found))
    near(*ended)


@pytest.mark.parametrize("other", ["xla", "numpy", "native", "eager"])
def test_two_functions_share_them(other):
    """In turn, on one device and elsewhere: each goes on from what the other has left."""
    ended = []
    for backends in (("numpy", "numpy"), ("xla", other)):
        model = net()
        optimizer, program = made(model, backends[0])
        second = (lambda x, m=model: m(x)) if backends[1] == "eager" else ac.compile(model, backend=backends[1])
        for k in range(3):
            program.step(optimizer, X + k, Y)
            second(X[: 6 + k] * 2)
        ended.append(model.state_dict())
    for key, value in ended[0].items():
        near(ended[1][key], value)


def test_they_stay_while_two_functions_of_xla_share_them(monkeypatch):
    model, optimizer, program = trained()
    second = ac.compile(model, backend="xla")
    second(X)
    program.step(optimizer, X, Y)
    put = []
    monkeypatch.setattr("autoconv.xla.attributes.bring", put.append)
    second(X)
    program.step(optimizer, X, Y)
    second(X)
    assert not put


def test_a_step_is_compiled_once_whoever_reads_in_between(caplog):
    model = net()
    optimizer, program = made(model)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        for _ in range(3):
            program.step(optimizer, X, Y)
            program.step(optimizer, X, Y)
            model[1].running_mean  # noqa: B018
            model[1].running_var = np.ones(4, np.float32)
    said = [x.getMessage() for x in caplog.records if x.getMessage().startswith("Compiling jit(inside)")]
    assert len(said) == 1, said


def test_a_layer_that_is_called_twice_follows_twice():
    ended = []
    for backend in ("numpy", "xla"):
        layer, w = nn.BatchNorm1d(5), nn.Parameter(np.ones(5))
        program = ac.compile(lambda x, a=layer, w=w: ac.sum((a(a(x * w) + 3) * x) ** 2), backend=backend)
        optimizer = optim.SGD([w, *layer.parameters()], lr=1e-3)
        for _ in range(3):
            program.step(optimizer, X)
        ended.append((layer.running_mean, layer.running_var))
    eager = nn.BatchNorm1d(5)
    eager(eager(X) + 3)
    near(ended[0], ended[1])
    assert not np.allclose(ended[1][0], eager.running_mean)


# ---- what ends a step in the middle


def test_numbers_that_are_refused_change_nothing():
    model, optimizer, program = trained()
    before = model.state_dict()
    program.step(optimizer, X, Y)
    model, optimizer, program = trained()
    with pytest.raises(ValueError, match="label"):
        program.step(optimizer, X, Y + 3)
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[key])


def test_a_loss_that_is_not_finite_leaves_them():
    model, optimizer, program = trained()
    before = copy.deepcopy(model).state_dict()
    program.step(optimizer, X, Y)
    model, optimizer, program = trained()
    for _ in range(2):
        _, line = program.step_if_finite(optimizer, X * np.float32(np.nan), Y)
        assert line is not None
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[key])
    assert np.isfinite(program.step(optimizer, X, Y))


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_exception_in_the_computation_leaves_everything_readable(monkeypatch, when):
    model, optimizer, program = trained()
    before = trained()[0].state_dict()
    fetch = XlaRun._fetched

    def ended(*_):
        raise RuntimeError("the device is lost")

    monkeypatch.setattr(XlaRun, "_fetched" if when == "after" else "_operands", ended)
    with pytest.raises(RuntimeError, match="the device is lost"):
        program.step(optimizer, X, Y)
    monkeypatch.undo()
    assert XlaRun._fetched is fetch
    after = model.state_dict()
    for name in ("1.running_mean", "1.running_var"):
        np.testing.assert_array_equal(after[name], before[name])
    assert all(np.isfinite(x).all() for x in after.values())
    assert np.isfinite(program.step(optimizer, X, Y))


def test_an_observer_that_raises_leaves_everything_readable():
    """What comes before it in the function has happened, what comes after it has not."""
    ended = []
    for backend in ("numpy", "xla"):
        before, after, w, told = nn.BatchNorm1d(5), nn.BatchNorm1d(5), nn.Parameter(np.ones(5)), []

        def tell(value, told=told):
            told.append(value)
            if len(told) == 3:
                raise KeyboardInterrupt

        def loss(x, before=before, after=after, w=w, tell=tell):
            y = before(x * w)
            observe(tell, ac.sum(y * x))
            return ac.sum((after(y + 3 * x) ** 2) * x)

        program, optimizer = ac.compile(loss, backend=backend), optim.SGD([w], lr=1e-4)
        program.step(optimizer, X)
        program.step(optimizer, X)
        with pytest.raises(KeyboardInterrupt):
            program.step(optimizer, X)
        program.step(optimizer, X[:7])
        ended.append((before.running_mean, before.running_var, after.running_mean, after.running_var))
        assert np.isfinite(w.value).all()
    near(*ended)
    assert not np.allclose(ended[0][0], ended[0][2])


# ---- other holders


def test_another_dtype_is_recorded_anew():
    model, _, program = trained()
    model.double()
    program.step(optim.SGD(model.parameters(), lr=0.1), X.astype(float), Y)
    assert model[1].running_mean.dtype == np.float64
    model[1].running_mean = np.zeros(4, np.float16)
    program.step(optim.SGD(model.parameters(), lr=0.1), X.astype(float), Y)
    assert (model[1].running_mean.dtype, model[1].running_var.dtype) == (np.float16, np.float64)


class Slotted:
    __slots__ = ("__dict__", "_total")

    @property
    def total(self):
        return self._total

    @total.setter
    def total(self, value):
        self._total = np.array(value)


class Plain:
    pass


class Final:
    def __init_subclass__(cls):
        raise TypeError("no subclasses")


@pytest.mark.parametrize("kind", [Plain, Slotted, Final])
@pytest.mark.parametrize("backend", ["numpy", "xla"])
def test_any_object_may_hold_what_follows(kind, backend):
    """A total that is in the object's dictionary stays away; behind a property, or of a class that allows no
    subclasses, it is put at once."""
    holder = kind()
    holder.total = np.zeros(2)

    def f(x):
        move(holder, "total", lambda total, x: total + x, x)
        return x * 2

    program = ac.compile(f, backend=backend)
    for k in range(4):
        np.testing.assert_array_equal(program(np.array([1.0, k])), [2, 2 * k])
        assert is_away(holder) == (kind is Plain and backend == "xla")
    np.testing.assert_array_equal(holder.total, [4, 6])
    assert type(holder) is kind
    f(np.array([1.0, 1.0]))
    np.testing.assert_array_equal(holder.total, [5, 7])


def test_what_keep_reads_is_what_move_has_left():
    holder = Plain()
    holder.scale = np.ones(())

    def f(x):
        y = x * keep(holder, "scale")
        move(holder, "scale", lambda scale, y: scale + y, ac.sum(y))
        return y

    program = ac.compile(f, backend="xla")
    assert [float(program(np.ones(1))[0]) for _ in range(4)] == [1.0, 2.0, 4.0, 8.0]
    holder.scale = np.array(0.5)
    assert [float(program(np.ones(1))[0]) for _ in range(2)] == [0.5, 1.0]


def test_fit_puts_the_last_good_ones_back():
    """After a batch of NaN the model has the means that it had before it, as with any other backend."""
    data = [(X, Y), (X + 1, Y), (np.full_like(X, np.nan), Y), (X, Y)]
    ended = []
    for backend in ("numpy", "xla"):
        model = net()
        optimizer = optim.SGD(model.parameters(), lr=0.05)
        with pytest.raises(train.TrainingError):
            train.fit(model, data, epochs=1, backend=backend, optimizer=optimizer, progress=False)
        ended.append(model.state_dict())
    for key, value in ended[0].items():
        near(ended[1][key], value)


def test_the_dictionary_may_be_exchanged():
    model, optimizer, program = trained()
    layer = model[1]
    layer.__dict__ = {**vars(trained("numpy")[0][1]), "running_mean": np.zeros(4, np.float32)}
    assert type(layer) is nn.BatchNorm1d and (layer.running_mean == 0).all()
    optimizer, program = made(model)
    assert np.isfinite(program.step(optimizer, X, Y)) and (layer.running_mean != 0).all()


def test_one_of_many_parameters_may_get_a_new_value_between_two_steps():
    """The others are as the last step has left them, and so are all slots."""
    ended = []
    for backend in ("numpy", "xla"):
        model, optimizer, program = trained(backend)
        for k, p in enumerate(model.parameters()):
            p.assign(np.full(p.shape, 0.1 * (k + 1)))
            program.step(optimizer, X, Y)
            program.step(optimizer, X, Y)
        ended.append(model.state_dict())
    for key, value in ended[0].items():
        near(ended[1][key], value)
