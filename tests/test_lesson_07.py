"""The facts of lesson 7, outside the notebook: what a training step does, what a dead relu closes,
what the learning rate decides."""

from itertools import pairwise

import numpy as np
import pytest

import autoconv as ac
from autoconv import data, nn, optim, train
from autoconv import render as pictures

SEEDS = range(5)


def small_net(seed, side=None, kernel=None):
    """Random x, k, v and the lesson's small network: conv, relu, max pooling 2, a weighted sum s, C = (s - 1)^2 / 2."""
    rng = np.random.default_rng(seed)
    kernel = kernel or int(rng.integers(2, 4))
    pooled = rng.integers(1, 4, 2) if side is None else np.array([side, side])
    shape = 2 * pooled + kernel - 1
    x = ac.tensor(rng.normal(size=shape), name="x")
    k = ac.tensor(rng.normal(size=(kernel, kernel)), name="k")
    v = ac.tensor(rng.normal(size=pooled), name="v")

    def forward():
        s = (ac.max_pool2d(ac.relu(ac.conv2d(x, k)), 2) * v).sum()
        return (s - 1) ** 2 / 2

    return x, k, v, forward


def by_hand(x, k, v):
    """C, dC/dk and dC/dv in loops of NumPy."""
    size = len(k)
    high, wide = x.shape[0] - size + 1, x.shape[1] - size + 1
    z = np.array([[(x[r : r + size, c : c + size] * k).sum() for c in range(wide)] for r in range(high)])
    a = np.maximum(z, 0)
    p, winners = np.zeros(v.shape), {}
    for r, c in np.ndindex(*v.shape):
        cells = [(2 * r + i, 2 * c + j) for i in range(2) for j in range(2)]
        winners[r, c] = max(cells, key=lambda at: a[at])
        p[r, c] = a[winners[r, c]]
    error = (p * v).sum() - 1
    dk = np.zeros(k.shape)
    for at, (r, c) in winners.items():
        dk += error * v[at] * (z[r, c] > 0) * x[r : r + size, c : c + size]
    return error**2 / 2, dk, error * p


# ---- one step


@pytest.mark.parametrize("seed", SEEDS)
def test_the_update_by_hand_is_the_optimisers(seed):
    x, k, v, forward = small_net(seed)
    eta, momentum = np.random.default_rng(seed).uniform(0.001, 0.1, 2)
    optimizer = optim.SGD([k, v], lr=eta, momentum=momentum)
    hand_k, hand_v, speed_k, speed_v = k.value, v.value, 0.0, 0.0
    for _ in range(4):
        C, dk, dv = by_hand(x.value, hand_k, hand_v)
        optimizer.zero_grad()
        loss = forward()
        loss.backward()
        assert np.isclose(loss.item(), C)
        assert np.allclose(k.grad, dk) and np.allclose(v.grad, dv)
        optimizer.step()
        speed_k, speed_v = momentum * speed_k + dk, momentum * speed_v + dv
        hand_k, hand_v = hand_k - eta * speed_k, hand_v - eta * speed_v
        assert np.allclose(k.value, hand_k) and np.allclose(v.value, hand_v)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_small_step_lowers_the_loss_by_eta_times_the_squared_gradient(seed):
    _, k, v, forward = small_net(seed)
    before, eta = forward(), 1e-6
    grads = ac.sweep(before, [k, v])
    optim.SGD([k, v], lr=eta).step(grads)
    predicted = eta * sum((g**2).sum() for g in grads)
    assert np.isclose(before.item() - forward().item(), predicted, rtol=1e-3, atol=1e-14)


def test_without_zero_grad_the_old_gradient_stays():
    _, k, _, forward = small_net(1)
    loss = forward()
    loss.backward()
    once = k.grad.copy()
    loss.backward()
    assert np.allclose(k.grad, 2 * once)


# ---- a dead relu


def biased(seed, bias):
    """A convolution with a bias, relu, a weighted sum with positive weights; some pixels are 0."""
    rng = np.random.default_rng(seed)
    size, count = int(rng.integers(2, 4)), int(rng.integers(2, 5))
    image = rng.normal(size=(count + size - 1,) * 2) * (rng.random((count + size - 1,) * 2) > 0.3)
    w, b = ac.tensor(rng.normal(size=(size, size)), name="w"), ac.tensor(bias, name="b")
    z = ac.conv2d(ac.tensor(image, name="i"), w) + b
    weights = rng.uniform(1, 2, (count, count))
    return image, z, w, b, weights


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("bias", [0.1, -100.0])
def test_open_and_closed_paths_are_counted(seed, bias):
    """A path for each position: closed where the pixel is 0, then where the relu is off;
    the others are the gradient."""
    image, z, w, _, weights = biased(seed, bias)
    loss = (ac.relu(z) * weights).sum()
    count = len(weights)
    pixels, on = image[:count, :count], z.value > 0  # what w[0, 0] meets
    found = ac.paths(w[0, 0], of=loss, limit=count**2)
    assert found.count == count**2
    assert found.open == ((pixels != 0) & on).sum()
    assert found.closed.get("conv2d", 0) == (pixels == 0).sum()
    assert found.closed.get("relu", 0) == ((pixels != 0) & ~on).sum()
    assert np.isclose(found.total, (pixels * on * weights).sum())
    if bias < -10:
        assert found.open == 0 and all(path.product == 0 for path in found)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_dead_relu_has_no_gradient_and_says_why(seed):
    _, z, w, b, weights = biased(seed, -100.0)
    loss = (ac.relu(z) * weights).sum()
    loss.backward()
    assert not w.grad.any() and not b.grad.any()
    assert "inactive relu" in ac.explain(b, of=loss).reason
    leaking = (ac.leaky_relu(z) * weights).sum()
    assert np.allclose(ac.sweep(leaking, [b])[0], 0.01 * weights.sum())
    assert ac.paths(b, of=leaking).open > 0


@pytest.mark.parametrize("seed", range(3))
def test_training_does_not_wake_a_dead_kernel(seed):
    x, y = data.digits("train")
    model = digit_net(seed)
    dead = int(np.random.default_rng(seed).integers(4))
    model.conv.bias.assign(np.where(np.arange(4) == dead, -100.0, model.conv.bias.value))
    start = model.conv.weight.value
    train.fit(model, (x[:64], y[:64]), epochs=2, optimizer=optim.SGD(model.parameters(), lr=0.1), progress=False)
    moved = np.abs(model.conv.weight.value - start).max(axis=(0, 1, 2))
    assert moved[dead] == 0 and np.all(np.delete(moved, dead) > 0)
    assert model.conv.bias.value[dead] == -100


# ---- many steps


def digit_net(seed):
    rng = np.random.default_rng(seed)
    return nn.Sequential(
        conv=nn.Conv2d(1, 4, 3, rng=rng, dtype=float),
        relu=nn.ReLU(),
        pool=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        linear=nn.Linear(36, 10, rng=rng, dtype=float),
    )


@pytest.mark.parametrize("eta", [0.05, 0.5, 0.9, 1.1])
def test_the_learning_rate_on_a_square(eta):
    """w <- w - eta 2 w = (1 - 2 eta) w: it converges for 0 < eta < 1."""
    w = ac.tensor(1.0, name="w")
    optimizer = optim.SGD([w], lr=eta)
    for n in range(1, 8):
        optimizer.step(ac.sweep(w * w, [w]))
        assert np.isclose(w.item(), (1 - 2 * eta) ** n)
    assert (abs(w.item()) < 1) == (eta < 1)


@pytest.mark.parametrize("seed", range(3))
def test_the_digits_are_learned_and_the_record_shows_each_step(seed):
    digits, held_out = data.digits("train"), data.digits("test")
    model = digit_net(seed)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with ac.record_training(model, optimizer) as recording:
        history = train.fit(
            model, digits, validation=held_out, epochs=5, batch_size=32, optimizer=optimizer, rng=seed, progress=False
        )
    assert history.loss[1] < history.loss[0] and history.validation_accuracy[-1] > 0.7
    for earlier, later in pairwise(recording[:6]):
        for name, weight in earlier.weights.items():
            assert np.allclose(later.weights[name], weight - 0.1 * earlier.gradients[name])

    result = train.evaluate(model, *held_out)
    wrong = int((result.predictions != held_out.y).sum())
    assert np.trace(result.confusion) == len(held_out.y) - wrong
    assert np.array_equal(result.confusion.sum(axis=1), np.bincount(held_out.y, minlength=10))
    shown = pictures.misread(held_out.x, held_out.y, result.predictions, most=1000)
    assert shown.count("read as") == wrong
