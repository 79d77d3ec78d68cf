"""Training: it learns, it can be interrupted, a NaN names its line, memory stays flat, threads do not meet."""

import gc
import threading
import tracemalloc

import numpy as np
import pytest

import autoconv as ac
from autoconv import checkpoint, data, nn, optim, train

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] > 0).astype(np.int64)


def mlp(seed=0):
    rng = np.random.default_rng(seed)
    return nn.Sequential(nn.Linear(4, 8, rng=rng), nn.ReLU(), nn.Dropout(0.1, rng=rng), nn.Linear(8, 2, rng=rng))


def fit(model, epochs=3, **more):
    optimizer = more.pop("optimizer", None) or optim.Adam(model.parameters(), lr=0.05)
    settings = {"batch_size": 16, "rng": 0, "progress": False} | more
    return train.fit(model, (X, Y), epochs=epochs, optimizer=optimizer, **settings)


def test_a_small_cnn_reads_the_digits():
    rng = np.random.default_rng(0)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, rng=rng), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 10, rng=rng)
    )
    optimizer = optim.Adam(model.parameters(), lr=5e-3)
    history = train.fit(
        model, data.digits("train"), validation=data.digits("test"), epochs=6, batch_size=32, optimizer=optimizer,
        rng=0, progress=False
    )  # fmt: skip
    assert len(history) == 6
    assert history.validation_accuracy[-1] > 0.95
    assert history.loss[-1] < history.loss[0] / 4
    assert history.lr == [5e-3] * 6


def test_evaluate_counts_and_leaves_modes_alone():
    model = nn.Sequential(nn.Linear(4, 2, rng=0), nn.Dropout(0.5, rng=0))
    model[1].training = False
    found = train.evaluate(model, X, Y, batch_size=7)
    scores = X @ model[0].weight.value + model[0].bias.value
    expected = scores.argmax(1)
    assert np.array_equal(found.predictions, expected)
    assert found.accuracy == pytest.approx((expected == Y).mean())
    shifted = np.exp(scores - scores.max(1, keepdims=True))
    assert found.loss == pytest.approx(
        -np.log(shifted / shifted.sum(1, keepdims=True))[np.arange(60), Y].mean(), rel=1e-5
    )
    assert found.confusion.tolist() == [[np.sum((t == Y) & (expected == p)) for p in (0, 1)] for t in (0, 1)]
    assert [m.training for m in model.modules()] == [True, True, False]
    assert all(p.grad is None for p in model.parameters())


def test_a_regression_has_no_accuracy():
    model = nn.Linear(4, 1, rng=0)
    target = X[:, :1].astype(np.float32)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    history = train.fit(
        model, (X, target), validation=(X, target), epochs=20, optimizer=optimizer, loss=ac.losses.mse, rng=0,
        progress=False
    )  # fmt: skip
    assert [*history.accuracy, *history.validation_accuracy] == [None] * 40
    assert history.validation_loss[-1] < 0.1 * history.validation_loss[0]
    assert train.evaluate(model, X, target, loss=ac.losses.mse).confusion is None


def test_progress_shows_loss_and_accuracy(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")  # tqdm cuts a line that is wider than the terminal
    fit(mlp(), 2, progress=True, validation=(X, Y))
    shown = capsys.readouterr().err
    assert "epoch 2/2" in shown
    assert "val acc" in shown
    fit(mlp(), 2)
    assert capsys.readouterr().err == ""


class Broken(nn.Module):
    """Takes the logarithm of a negative number from call number ``at`` on."""

    def __init__(self, at):
        self.layer, self.calls, self.at = nn.Linear(4, 2, rng=0), 0, at

    def forward(self, x):
        self.calls += 1
        y = self.layer(x)
        return ac.log(y * y + 1) if self.calls < self.at else ac.log(y * 0 - 1)


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize(("at", "epochs"), [(1, 0), (3, 0), (6, 1)])
def test_a_nan_names_the_first_line_and_keeps_the_last_good_weights(at, epochs):
    model = Broken(at)
    seen = [model.layer.weight.value]
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    step = optimizer.step
    optimizer.step = lambda grads: (seen.append(model.layer.weight.value), step(grads))
    text = r"first line that is not finite is %\d+: log \(Broken\), shape \(16, 2\), with 32 of 32"
    with pytest.raises(train.TrainingError, match=text) as caught:
        fit(model, 5, optimizer=optimizer)
    assert caught.value.line.primitive.name == "log"
    assert len(caught.value.history) == epochs
    assert np.array_equal(model.layer.weight.value, seen[-1])  # those of the last finite loss


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value", "ignore:divide by zero")
def test_diverging_weights_and_nan_data_are_named():
    model = nn.Linear(4, 2, rng=0)
    with pytest.raises(train.TrainingError, match="try a smaller learning rate"):
        fit(model, 50, optimizer=optim.SGD(model.parameters(), lr=1e38))
    assert np.isfinite(model.weight.value).all()
    broken = nn.Linear(4, 2, rng=0)
    broken.weight.assign(np.full((4, 2), np.inf))
    with pytest.raises(train.TrainingError, match=r"is %\d+: parameter weight, shape \(4, 2\), with 8 of 8"):
        fit(broken)
    x = X.copy()
    x[3] = np.nan
    with pytest.raises(train.TrainingError, match="an input or constant"):
        train.fit(model, (x, Y), epochs=1, optimizer=optim.SGD(model.parameters()), progress=False)


class Interrupting(nn.Module):
    """A model that is interrupted, as by Ctrl-C, in call number ``at``."""

    def __init__(self, at):
        self.layer, self.calls, self.at = nn.Linear(4, 2, rng=0), 0, at

    def forward(self, x):
        self.calls += 1
        if self.calls == self.at:
            raise KeyboardInterrupt
        return self.layer(x)


def test_ctrl_c_keeps_the_best_weights():
    weights, scores = [], []
    for at in (9, 18, 20):  # 4 training batches and 4 of validation in each epoch: epochs 2, 3 and 3
        model = Interrupting(at)
        rates = iter([0.2, 50.0, 50.0])
        optimizer = optim.SGD(model.parameters(), lr=next(rates))
        schedule = optim.StepLR(optimizer, 1, 100.0)  # the second epoch is far too fast
        history = fit(model, 9, optimizer=optimizer, schedule=schedule, validation=(X, Y))
        assert history.interrupted
        assert len(history) == len(history.validation_loss) == (1 if at == 9 else 2)
        model.at = -1
        found = train.evaluate(model, X, Y)
        assert found.accuracy == pytest.approx(max(history.validation_accuracy))
        assert found.accuracy == pytest.approx(history.validation_accuracy[history.best_epoch])
        weights.append(model.layer.weight.value)
        scores.append(found.loss)
    assert np.isfinite(scores).all()
    assert np.array_equal(weights[1], weights[2])


def test_ctrl_c_in_the_first_epoch_keeps_what_there_is():
    model = Interrupting(3)
    history = fit(model, 2)
    assert history.interrupted
    assert len(history) == 0
    assert np.isfinite(model.layer.weight.value).all()


def test_what_fit_refuses(tmp_path):
    model = mlp()
    optimizer = optim.SGD(model.parameters())
    before = model.state_dict()
    for settings, error, text in [
        ({"train": (X, Y[:5])}, ValueError, r"x has shape \(60, 4\) and y \(5,\)"),
        ({"train": (X[:0], Y[:0])}, ValueError, "at least one"),
        ({"train": X}, TypeError, r"a pair \(x, y\)"),
        ({"validation": (X, Y[:5])}, ValueError, "validation"),
        ({"train": (X, Y + 1)}, ValueError, "label 2 is out of range"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"epochs": -1}, ValueError, "epochs"),
        ({"resume": True}, ValueError, "needs checkpoint="),
        ({"resume": tmp_path / "none"}, checkpoint.CheckpointError, "No such file"),
    ]:
        with pytest.raises(error, match=text):
            train.fit(model, **({"train": (X, Y), "epochs": 1, "optimizer": optimizer, "progress": False} | settings))
    checkpoint.save(tmp_path / "c", model, optimizer, rng=np.random.default_rng(0))
    with pytest.raises(checkpoint.CheckpointError, match="holds no history"):
        fit(model, optimizer=optimizer, resume=tmp_path / "c")
    assert all(np.array_equal(v, before[k]) for k, v in model.state_dict().items())


@pytest.mark.quick(0)
def test_memory_is_flat_over_a_thousand_steps():
    model = nn.Sequential(nn.Conv2d(1, 2, 3, rng=0), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(2, 3, rng=0))
    x, y = RNG.normal(size=(1000, 4, 4, 1)).astype(np.float32), RNG.integers(0, 3, 1000)
    optimizer = optim.Adam(model.parameters())

    def steps(n):
        train.fit(model, (x[:n], y[:n]), epochs=1, batch_size=1, optimizer=optimizer, rng=0, progress=False)

    steps(10)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        steps(200)
        gc.collect()  # empties Python's lists of spare tuples
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        steps(1000)
        peak = tracemalloc.get_traced_memory()[1]
        garbage = gc.collect()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
        gc.enable()
    assert garbage < 100  # none from a step
    assert after - before < 50_000  # 50 bytes a step: less than one line
    assert peak - before < 1_000_000


def test_two_threads_train_as_one_after_the_other():
    def run(seed, results):
        model = mlp(seed)
        results[seed] = (fit(model, 8, rng=seed, validation=(X, Y)), model.state_dict())

    alone, together = {}, {}
    for seed in (1, 2):
        run(seed, alone)
    threads = [threading.Thread(target=run, args=(seed, together)) for seed in (1, 2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for seed in (1, 2):
        assert alone[seed][0] == together[seed][0]
        assert all(np.array_equal(v, together[seed][1][k]) for k, v in alone[seed][1].items())
