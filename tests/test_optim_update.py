"""One description of an update: NumPy calculates with its numbers, and the machine makes the kinds it knows from
them."""

import itertools

import numpy as np
import pytest

from autoconv import compile, nn, optim
from autoconv.optim import Update
from autoconv.plan import extension
from autoconv.plan.run.optimizer_step import described

STEPS = 6
SETTINGS = {
    "SGD": {
        "lr": [0.05], "weight_decay": [0, 0.1], "momentum": [0, 0.9], "dampening": [0, 0.3], "nesterov": [False, True],
    },
    "Adam": {"lr": [0.05], "weight_decay": [0, 0.1], "betas": [(0.9, 0.999), (0.0, 0.5)], "eps": [1e-8, 1e-2]},
    "AdamW": {"lr": [0.05], "weight_decay": [0, 0.1], "betas": [(0.8, 0.99)], "eps": [1e-8]},
    "RMSprop": {"lr": [0.05], "weight_decay": [0, 0.1], "alpha": [0.9], "momentum": [0, 0.5],
        "centered": [False, True]},
    "Adagrad": {"lr": [0.05], "weight_decay": [0, 0.1], "lr_decay": [0, 0.2]},
}  # fmt: skip
CASES = [
    (name, dict(zip(values, chosen, strict=True)))
    for name, values in SETTINGS.items()
    for chosen in itertools.product(*values.values())
]
CASES = [(n, s) for n, s in CASES if not s.get("nesterov") or (s["momentum"] and not s["dampening"])]


def steps_of(optimizer_of, by_machine):
    """The parameter and the state after each of some steps of a small regression; the rate changes on the way."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(32, 7)), nn.Parameter(rng.normal(size=(7, 3)), dtype=np.float64)
    optimizer = optimizer_of([w])
    program = compile(lambda x: ((x @ w) ** 2).mean())
    seen = []
    for t in range(STEPS):
        optimizer.lr = 0.05 if t < 4 else 0.02
        if by_machine:
            program.step(optimizer, x)
        else:
            loss = ((x @ w) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        (entry,) = optimizer.state_dict()["state"]
        seen.append((w.numpy(), entry))
    return seen


@pytest.mark.parametrize(("name", "settings"), CASES, ids=lambda v: v if isinstance(v, str) else str([*v.values()]))
def test_the_machine_makes_the_step_that_numpy_makes(name, settings):
    make = lambda params: getattr(optim, name)(params, **settings)
    for (w, state), (expected, kept) in zip(steps_of(make, True), steps_of(make, False), strict=True):
        np.testing.assert_allclose(w, expected, rtol=1e-9, atol=1e-12)
        assert state.keys() == kept.keys()
        for slot in state:
            np.testing.assert_allclose(state[slot], kept[slot], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("name", "settings"), CASES, ids=lambda v: v if isinstance(v, str) else str([*v.values()]))
def test_an_update_is_plain_numbers_and_names_the_slots(name, settings):
    p = nn.Parameter(np.ones(3))
    optimizer = getattr(optim, name)([p], **settings)
    update = optimizer.update(1)
    assert all(isinstance(x, int | float) for x in update.numbers)
    assert set(update.slots) == optimizer.slots(p).keys()
    assert optimizer.described(1) == update


class Slower(optim.SGD):
    """Another default: nothing of the update is replaced."""

    def __init__(self, params):
        super().__init__(params, lr=0.01, momentum=0.9)


class Clipped(optim.Adam):
    def updated(self, value, g, state, step):
        return super().updated(value, np.clip(g, -0.1, 0.1), state, step)


class Halved(optim.SGD):
    """Half of a gradient step; the description is replaced together with what it describes."""

    def update(self, step):
        kind, (rate, *rest), slots = super().update(step)
        return Update(kind, (rate / 2, *rest), slots)


class Sign(optim.Optimizer):
    def updated(self, value, g, state, step):
        return value - self.lr * np.sign(g)


def test_who_replaces_the_update_has_no_description_of_it():
    p = [nn.Parameter(np.ones(3))]
    assert Slower(p).described(1) == optim.SGD(p, lr=0.01, momentum=0.9).described(1)
    assert Halved(p, lr=0.2).described(1).numbers[0] == 0.1
    for optimizer in (Clipped(p), Sign(p, lr=0.1)):
        assert optimizer.described(1) is None
    for part in ("step", "updated", "slots"):
        optimizer = optim.SGD(p)
        setattr(optimizer, part, getattr(optimizer, part))
        assert optimizer.described(1) is None


@pytest.mark.parametrize("make", [Slower, Halved, Clipped, lambda p: Sign(p, lr=0.1)])
def test_a_subclass_steps_alike_in_a_compiled_function(make):
    for (w, _), (expected, _) in zip(steps_of(make, True), steps_of(make, False), strict=True):
        np.testing.assert_allclose(w, expected, rtol=1e-9, atol=1e-12)


def test_a_kind_that_the_machine_does_not_know_is_left_to_the_optimiser():
    p = [nn.Parameter(np.ones(3))]
    assert described(optim.RMSprop(p), 1, [{}]) is None
    assert described(object(), 1, []) is None
    assert described(optim.Adam(p), 1, [{}]) == optim.Adam(p).update(1)


@pytest.mark.skipif(not extension.available(), reason="the native machine is not built here, or switched off")
@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
def test_the_machine_itself_makes_the_known_kinds(kind, monkeypatch):
    """``optimizer.step`` is not called."""
    calls, updated = [], kind.updated
    monkeypatch.setattr(kind, "updated", lambda self, *args: calls.append(1) or updated(self, *args))
    steps_of(kind, True)
    assert not calls
    steps_of(kind, False)
    assert len(calls) == STEPS
