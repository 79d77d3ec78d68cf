"""fit runs compiled steps: the same training as the loop it stands for, whatever the net,
the optimiser and what goes wrong."""

import numpy as np
import pytest

import autoconv as ac
from autoconv import nn, optim, train
from autoconv.compiled import compile
from autoconv.data import batches
from autoconv.plan import extension

RNG = np.random.default_rng(5)
IMAGES = RNG.normal(size=(50, 8, 8, 2)).astype(np.float32)
LABELS = RNG.integers(0, 3, 50)
NATIVE = extension.machine() is not None


def convolutional(rng):
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, rng=rng), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 3, rng=rng)
    )


def normalised(rng):
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, bias=False, rng=rng), nn.BatchNorm2d(4), nn.Tanh(), nn.Dropout(0.3, rng=rng), nn.Flatten(),
        nn.Linear(144, 3, rng=rng)
    )  # fmt: skip


class Branching(nn.Module):
    """Looks at its numbers: large activations go another way."""

    def __init__(self, rng):
        self.first, self.second = nn.Linear(128, 8, rng=rng), nn.Linear(8, 3, rng=rng)

    def forward(self, x):
        h = self.first(ac.flatten(x, 1))
        h = ac.relu(h) if float(ac.mean(h)) > 0 else ac.tanh(h)
        return self.second(h)


class Cooling(nn.Module):
    """Counts its calls, and computes with the count."""

    def __init__(self, rng):
        self.layer, self.calls = nn.Linear(128, 3, rng=rng), 0

    def forward(self, x):
        self.calls += 1
        return self.layer(ac.flatten(x, 1)) * (1 + 0.9**self.calls)


class Mixed(nn.Module):
    """Parameters of two dtypes."""

    def __init__(self, rng):
        self.first = nn.Linear(128, 8, rng=rng)
        self.second = nn.Linear(8, 3, rng=rng, dtype=np.float64)

    def forward(self, x):
        return self.second(ac.tanh(self.first(ac.flatten(x, 1))))


NETS = [convolutional, normalised, Branching, Cooling, Mixed]
OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.05),
    "momentum": lambda p: optim.SGD(p, lr=0.02, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda p: optim.Adam(p, lr=0.01),
    "adamw": lambda p: optim.AdamW(p, lr=0.01),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.005),
}


def by_hand(model, optimizer, epochs, rng, schedule=None):
    """The loop that fit stands for; the loss of each epoch."""
    losses, generator = [], np.random.default_rng(rng)
    model.train()
    for _ in range(epochs):
        total = 0.0
        for x, y in batches(IMAGES, LABELS, 16, generator):
            loss = ac.losses.cross_entropy(model(x), y)
            optimizer.step(ac.sweep(loss, optimizer.params))
            total += loss.item() * len(x)
        losses.append(total / len(IMAGES))
        if schedule is not None:
            schedule.step()
    return losses


def fitted(model, optimizer, epochs=3, **more):
    return train.fit(
        model, (IMAGES, LABELS), epochs=epochs, batch_size=16, optimizer=optimizer, rng=7, progress=False, **more
    )


@pytest.mark.parametrize("net", NETS, ids=lambda net: net.__name__)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_same_training_as_the_loop(net, name):
    ours, theirs = (net(np.random.default_rng(1)) for _ in range(2))
    mine, other = (OPTIMIZERS[name](m.parameters()) for m in (ours, theirs))
    history = fitted(ours, mine, schedule=optim.StepLR(mine, 2, 0.5))
    expected = by_hand(theirs, other, 3, 7, optim.StepLR(other, 2, 0.5))
    np.testing.assert_allclose(history.loss, expected, rtol=1e-4)
    for key, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[key], value, rtol=2e-3, atol=2e-4)
    for a, b in zip(mine.state, other.state, strict=True):
        assert a["step"] == b["step"] == 12


def test_a_step_is_one_call_of_the_machine(monkeypatch):
    if not NATIVE or "NumPy" in extension.backend():
        pytest.skip("the machine is not in use here")
    made = []
    step = optim.Adam.step
    monkeypatch.setattr(optim.Adam, "step", lambda self, grads: made.append(1) or step(self, grads))
    model = convolutional(0)
    fitted(model, optim.Adam(model.parameters()))
    assert not made


class Counting(nn.Module):
    """Counts its calls, and computes without the count."""

    def __init__(self):
        self.layer, self.calls = nn.Linear(128, 3, rng=0), 0

    def forward(self, x):
        self.calls += 1
        return self.layer(ac.flatten(x, 1))


def test_a_model_is_called_once_for_each_size_of_a_batch():
    model = Counting()
    fitted(model, optim.SGD(model.parameters()), epochs=5)
    assert model.calls == 2  # 16, 16, 16 and 2 examples


def test_a_loss_that_is_not_finite_changes_nothing():
    x = IMAGES.copy()
    x[20] = np.inf
    model = normalised(np.random.default_rng(0))
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    program = train._compiled(model, ac.losses.cross_entropy)
    for part in (IMAGES[:16], IMAGES[16:32]):
        assert program.step_if_finite(optimizer, part, LABELS[:16])[1] is None
    before, state = model.state_dict(), optimizer.state_dict()
    for _ in range(2):
        (value, _), line = program.step_if_finite(optimizer, x[16:32], LABELS[16:32])
        assert not np.isfinite(value) and not np.isfinite(line.item()) and len(ac.Tape(line)) > 10
        after, now = model.state_dict(), optimizer.state_dict()
        assert all(np.array_equal(before[k], after[k]) for k in before)
        for a, b in zip(state["state"], now["state"], strict=True):
            assert all(np.array_equal(a[k], b[k]) for k in a)
    assert program.step_if_finite(optimizer, IMAGES[:16], LABELS[:16])[1] is None


def test_training_error_leaves_model_and_optimizer_as_they_were_in_the_loop():
    x = IMAGES.copy()
    x[49] = np.nan
    for net in (convolutional, normalised, Branching):
        model = net(np.random.default_rng(0))
        optimizer = optim.Adam(model.parameters(), lr=0.01)
        with pytest.raises(train.TrainingError, match="an input or constant") as caught:
            train.fit(model, (x, LABELS), epochs=2, batch_size=16, optimizer=optimizer, rng=1, progress=False)
        assert caught.value.line is not None
        assert all(np.isfinite(v).all() for v in model.state_dict().values())
        assert all(np.isfinite(v).all() for s in optimizer.state for k, v in s.items() if k != "step")


def test_the_users_own_step_is_called():
    model = convolutional(0)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    steps, step = [], optimizer.step
    optimizer.step = lambda grads: (steps.append([g.shape for g in grads]), step(grads))
    fitted(model, optimizer, epochs=2)
    assert len(steps) == 8


class Clipped(optim.SGD):
    """A user's optimiser."""

    def updated(self, value, g, state, step):
        return super().updated(value, np.clip(g, -0.01, 0.01), state, step)


def test_the_users_own_optimizer_makes_its_own_updates():
    ours, theirs = convolutional(0), convolutional(0)
    fitted(ours, Clipped(ours.parameters(), lr=0.1))
    by_hand(theirs, Clipped(theirs.parameters(), lr=0.1), 3, 7)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(a.value, b.value, rtol=1e-3, atol=1e-5)


def test_a_loss_of_the_users_own():
    def loss(out, y):
        weights = np.array([0.5, 1.0, 2.0], np.float32)[np.asarray(y)]  # looks at the labels
        return ac.mean(ac.losses.cross_entropy(out, y, reduction="none") * weights)

    model, other = convolutional(0), convolutional(0)
    fitted(model, optim.SGD(model.parameters(), lr=0.1), loss=loss)
    optimizer, generator = optim.SGD(other.parameters(), lr=0.1), np.random.default_rng(7)
    for _ in range(3):
        for x, y in batches(IMAGES, LABELS, 16, generator):
            optimizer.step(ac.sweep(loss(other(x), y), optimizer.params))
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(a.value, b.value, rtol=1e-3, atol=1e-5)


def test_arrays_that_somebody_holds_stay_as_they_were():
    model = convolutional(0)
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    program = compile(lambda x, y: ac.losses.cross_entropy(model(x), y))
    for step in (program.step, program.step_if_finite):
        for _ in range(3):
            held = [(p.value, p.value.copy()) for p in model.parameters()]
            step(optimizer, IMAGES[:16], LABELS[:16])
            assert all(np.array_equal(a, b) for a, b in held)
            assert not any(np.array_equal(p.value, b) for p, (_, b) in zip(model.parameters(), held, strict=True))


def test_evaluation_reads_the_running_means_of_the_moment():
    model = normalised(np.random.default_rng(0))
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    history = fitted(model, optimizer, validation=(IMAGES[:20], LABELS[:20]))
    model.eval()
    expected = ac.losses.cross_entropy(model(IMAGES[:20]), LABELS[:20]).item()
    assert history.validation_loss[-1] == pytest.approx(expected, rel=1e-4)
    assert train.evaluate(model, IMAGES[:20], LABELS[:20]).loss == pytest.approx(expected, rel=1e-4)
