"""Steps of training that repeat the one before: whatever happens between two of them,
the numbers are those of the loop."""

import numpy as np
import pytest

import autoconv as ac
from autoconv import nn, optim
from autoconv.compiled import compile

RNG = np.random.default_rng(0)
X, LABELS = RNG.normal(size=(6, 5, 5, 2)), np.array([0, 2, 1, 1, 0, 2])
OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.2),
    "adam": lambda p: optim.Adam(p, lr=0.05),
}


def net(dtype=np.float64):
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, rng=0, dtype=dtype), nn.Tanh(), nn.Flatten(), nn.Linear(27, 3, rng=1, dtype=dtype)
    )


def unowned(p):
    """A value that is a view of another array."""
    whole = np.concatenate([p.value.ravel(), [1.0]])
    p._value = whole[:-1].reshape(p.shape)
    p.value.flags.writeable = False


def other_order(p):
    p._value = np.asfortranarray(p.value)
    p.value.flags.writeable = False


def half(optimizer):
    optimizer.updated = lambda value, g, state, step: value * 0.5


def without_momentum(optimizer):
    if hasattr(optimizer, "momentum"):
        optimizer.momentum = 0


BETWEEN = {
    "nothing": lambda model, optimizer: None,
    "another rate": lambda model, optimizer: setattr(optimizer, "lr", optimizer.lr * 0.7),
    "assigned": lambda model, optimizer: model[0].bias.assign(np.ones(3)),
    "all assigned": lambda model, optimizer: [p.assign(p.value * 0.9) for p in model.parameters()],
    "a view": lambda model, optimizer: unowned(model[3].weight),
    "another order": lambda model, optimizer: other_order(model[3].weight),
    "state loaded": lambda model, optimizer: optimizer.load_state_dict(optimizer.state_dict()),
    "state forgotten": lambda model, optimizer: optimizer.state.__setitem__(slice(None),
        [{} for _ in optimizer.params]),
    "one state loaded": lambda model, optimizer: optimizer.state[0].update(
        {k: v * 2 for k, v in optimizer.state[0].items() if k != "step"}
    ),
    "another update": lambda model, optimizer: half(optimizer),
    "momentum switched off": lambda model, optimizer: without_momentum(optimizer),
    "a flag": lambda model, optimizer: setattr(model[1], "training", False),
}  # fmt: skip


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("finite", [False, True])
def test_between_two_steps(between, name, finite):
    ours, theirs = net(), net()
    mine, other = (OPTIMIZERS[name](m.parameters()) for m in (ours, theirs))
    program = compile(lambda x, y: ac.losses.cross_entropy(ours(x), y))
    for turn in range(8):
        if turn in (3, 4, 6):
            for m, o in ((ours, mine), (theirs, other)):
                BETWEEN[between](m, o)
        n = 4 if turn == 5 else 6
        found = program.step_if_finite(mine, X[:n], LABELS[:n])[0] if finite else program.step(mine, X[:n], LABELS[:n])
        loss = ac.losses.cross_entropy(theirs(X[:n]), LABELS[:n])
        other.step(ac.sweep(loss, other.params))
        np.testing.assert_allclose(found, loss.item(), rtol=1e-9)
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            np.testing.assert_allclose(a.value, b.value, rtol=1e-8, atol=1e-11)
    for a, b in zip(mine.state, other.state, strict=True):
        assert a.keys() == b.keys() and a["step"] == b["step"]


def test_who_holds_an_array_keeps_its_numbers():
    model = net()
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    program = compile(lambda x, y: ac.losses.cross_entropy(model(x), y))
    held = []
    for turn in range(10):
        if turn % 3 == 2:
            arrays = [p.value for p in model.parameters()] if turn % 2 else [model[0].weight.value[1:]]
            held.append((arrays, [a.copy() for a in arrays]))
        program.step(optimizer, X, LABELS)
    for arrays, copies in held:
        for a, b in zip(arrays, copies, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_result_shows_the_parameters_from_before_the_step():
    w = ac.tensor(RNG.normal(size=(50, 3)))
    program = compile(lambda x, y: (ac.losses.cross_entropy(x @ w, y), w, ac.sum(w * w)))
    optimizer = optim.SGD([w], lr=0.5)
    for _ in range(4):
        before = w.numpy()
        _, shown, squares = program.step(optimizer, X.reshape(6, 50), LABELS)
        np.testing.assert_array_equal(shown, before)
        np.testing.assert_allclose(squares, (before**2).sum())
        assert not np.array_equal(w.value, before)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("examples", [1, 6])
def test_a_loss_that_is_not_finite_moves_nothing(bad, name, examples):
    model = net(np.float32)
    optimizer = OPTIMIZERS[name](model.parameters())
    program = compile(lambda x, y: ac.losses.cross_entropy(model(x), y))
    x, y = X[:examples].astype(np.float32), LABELS[:examples]
    for _ in range(3):
        assert program.step_if_finite(optimizer, x, y)[1] is None
    before, state = model.state_dict(), optimizer.state_dict()["state"]
    spoilt = x.copy()
    spoilt[0, 1, 1, 0] = bad
    weight = model[3].weight.value
    if bad == np.inf:
        model[3].weight.assign(np.full(weight.shape, np.inf))
        before = model.state_dict()
    for _ in range(2):
        loss, line = program.step_if_finite(optimizer, spoilt, y)
        assert line is not None and not np.isfinite(loss)
        for key, value in model.state_dict().items():
            np.testing.assert_array_equal(value, before[key])
        for a, b in zip(optimizer.state_dict()["state"], state, strict=True):
            assert a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)
    model[3].weight.assign(weight)
    assert program.step_if_finite(optimizer, x, y)[1] is None
    assert optimizer.state[0]["step"] == 4


def test_a_loss_that_is_finished_elsewhere():
    """The logarithm of a negative loss is NaN, whatever the machine has found finite."""
    w = ac.tensor(np.ones((50, 3)))
    program = compile(lambda x, shift: ac.log(ac.mean((x @ w) ** 2) - shift))
    optimizer = optim.SGD([w], lr=1e-3)
    x = X.reshape(6, 50)
    with np.errstate(all="ignore"):
        for turn in range(6):
            before = w.numpy()
            bad = turn in (3, 4)
            _, line = program.step_if_finite(optimizer, x, np.array(1e9 if bad else 0.0))
            assert (line is not None) == bad == np.array_equal(w.value, before)


def test_two_programs_and_two_optimizers_of_the_same_parameters():
    ours, theirs = net(), net()
    programs = [compile(lambda x, y, k=k: ac.losses.cross_entropy(ours(x), y) * k) for k in (1.0, 0.5)]
    mine, other = ([OPTIMIZERS[name](m.parameters()) for name in OPTIMIZERS] for m in (ours, theirs))
    for turn in range(12):
        k, n = turn % 2, turn // 2 % 3
        programs[k].step(mine[n], X, LABELS)
        loss = ac.losses.cross_entropy(theirs(X), LABELS) * (1.0, 0.5)[k]
        other[n].step(ac.sweep(loss, other[n].params))
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            np.testing.assert_allclose(a.value, b.value, rtol=1e-8, atol=1e-11)


def test_a_line_recorded_before_a_repeated_step_is_refused():
    model = net()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    program = compile(lambda x, y: ac.losses.cross_entropy(model(x), y))
    for _ in range(4):
        program.step(optimizer, X, LABELS)
    loss = ac.losses.cross_entropy(model(X), LABELS)
    program.step(optimizer, X, LABELS)
    with pytest.raises(RuntimeError, match="given a new value"):
        loss.backward()
