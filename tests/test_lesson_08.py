"""The facts of lesson 8, outside the notebook:
each bug written in plain NumPy is what break_it makes and what check names."""

import numpy as np
import pytest

import autoconv as ac
from autoconv import data, nn, optim

SEEDS = range(3)


# ---- the true and the wrong backward passes, in loops that use nothing of the library


def correlate(x, k):
    """What is left when k stands at every place within x."""
    high, wide = (n - m + 1 for n, m in zip(x.shape, k.shape, strict=True))
    return np.array([[(x[r : r + k.shape[0], c : c + k.shape[1]] * k).sum() for c in range(wide)] for r in range(high)])


def full(d, k):
    """Every partial overlap of k with d."""
    return correlate(np.pad(d, [(n - 1, n - 1) for n in k.shape]), k)


def over_windows(d, window, shape, add):
    """Each number of d spread evenly over its window (stride 1), added to what is there or put in its place."""
    out = np.zeros(shape)
    for r, c in np.ndindex(*d.shape):
        part = out[r : r + window, c : c + window]
        part[...] = (part if add else 0) + d[r, c] / window**2
    return out


def kernel_gradient(x, d, size, step):
    """The image against d, whose cells lie ``step`` apart."""
    out = np.zeros((size, size))
    for a, b in np.ndindex(size, size):
        out[a, b] = sum(x[step * r + a, step * c + b] * d[r, c] for r, c in np.ndindex(*d.shape))
    return out


def softmax(s):
    e = np.exp(s - s.max())
    return e / e.sum()


# ---- each bug: a random net, the tensor asked about, its gradient, and the wrong one


def conv_net(rng, act=None, stride=1):
    size = int(rng.integers(2, 4))
    places = rng.integers(3, 5, 2)
    x = ac.tensor(rng.normal(size=stride * (places - 1) + size), name="x")
    k = ac.tensor(rng.normal(size=(size, size)), name="k")
    y = ac.conv2d(x, k, stride=stride)
    if act and (y.value > 0).all():  # nothing is off: there is no mask to miss
        return conv_net(rng, act, stride)
    h = act(y) if act else y
    t = rng.normal(size=h.shape)
    e = t - h
    return x, k, y, h, e, t, (e**2).sum() / 2


def not_rotated(rng):
    x, k, y, _, _, t, C = conv_net(rng)
    d = y.value - t
    return C, "x", x, full(d, k.value[::-1, ::-1]), full(d, k.value), {}


def sign(rng):
    x, k, y, _, e, t, C = conv_net(rng)
    right = correlate(x.value, y.value - t)
    return C, "k", k, right, -right, {"at": e}


def mask_missing(rng):
    x, k, y, h, _, t, C = conv_net(rng, ac.relu)
    d = h.value - t
    return C, "k", k, correlate(x.value, d * (y.value > 0)), correlate(x.value, d), {}


def overwritten(rng):
    window, size = int(rng.integers(2, 4)), int(rng.integers(5, 7))
    x = ac.tensor(rng.normal(size=(size, size)), name="x")
    p = ac.avg_pool2d(x, window, stride=1)
    t = rng.normal(size=p.shape)
    right, wrong = (over_windows(p.value - t, window, x.shape, add) for add in (True, False))
    return ((p - t) ** 2).sum() / 2, "x", x, right, wrong, {"variant": "last"}


def stride_forgotten(rng):
    x, k, y, _, _, t, C = conv_net(rng, stride=2)
    right, wrong = (kernel_gradient(x.value, y.value - t, len(k), step) for step in (2, 1))
    return C, "k", k, right, wrong, {}


def mean_over_batch(rng):
    examples, read, made = rng.integers(3, 6, 3)
    x = ac.tensor(rng.normal(size=(examples, read)), name="x")
    w = ac.tensor(rng.normal(size=(read, made)), name="w")
    y = x @ w
    t = rng.normal(size=y.shape)
    right = x.value.T @ (y.value - t)
    C = ac.losses.half_squared_error(y, t, reduction="sum")
    return C, "w", w, right, right / examples, {"at": y, "variant": "over batch"}


def too_early(rng):
    """u is read by tanh and by the sum; the total at u is pushed on each time that something arrives."""
    n = int(rng.integers(3, 6))
    w, v = ac.tensor(rng.normal(size=n), name="w"), rng.normal(size=n)
    u = w * v
    s = u + ac.tanh(u)
    first = 2 * s.value
    total = first + 2 * s.value * (1 - np.tanh(u.value) ** 2)
    return (s**2).sum(), "w", w, total * v, (first + total) * v, {"variant": "every time"}


def diagonal(rng):
    s = ac.tensor(rng.normal(size=rng.integers(3, 6)), name="s")
    t = np.eye(s.size)[0]
    p = softmax(s.value)
    jacobian = np.diag(p) - np.outer(p, p)
    right, wrong = jacobian.T @ (p - t), np.diag(jacobian) * (p - t)
    return ac.losses.half_squared_error(ac.softmax(s), t, reduction="sum"), "s", s, right, wrong, {}


BUGS = {
    "kernel not rotated": not_rotated,
    "sign": sign,
    "activation mask missing": mask_missing,
    "windows overwritten instead of overlap-added": overwritten,
    "stride not dilated": stride_forgotten,
    "mean instead of sum": mean_over_batch,
    "a node's gradient pushed on before it was complete": too_early,
    "only the diagonal of a Jacobian": diagonal,
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("mistake", BUGS)
def test_break_it_makes_the_bug(mistake, seed):
    loss, name, wrt, right, wrong, where = BUGS[mistake](np.random.default_rng(seed))
    broken = ac.break_it(loss, mistake, **where)
    assert np.allclose(ac.sweep(loss, [wrt])[0], right)
    assert np.allclose(broken.true[name], right)
    assert np.allclose(broken.broken[name], wrong) and not np.allclose(right, wrong)
    differing = [row.differs for row in broken.rows]
    assert broken.first is broken.rows[differing.index(True)]


@pytest.mark.quick(3)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("mistake", BUGS)
def test_check_names_the_bug_and_passes_the_right_gradient(mistake, seed):
    loss, _, wrt, right, wrong, _ = BUGS[mistake](np.random.default_rng(seed + 100))
    verdict = ac.check(wrong, of=loss, wrt=wrt)
    named = {finding.name for group in [verdict.mistakes, *verdict.alternatives] for finding in group}
    assert not verdict and mistake in named
    assert ac.check(right, of=loss, wrt=wrt)
    assert mistake in ac.mistakes()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_first_line_that_differs_is_the_one_below_the_wrong_rule(seed):
    rng = np.random.default_rng(seed)
    *_, y, h, _, t, C = conv_net(rng, ac.relu)
    first = ac.break_it(C, "activation mask missing").first
    assert first.line is y
    assert np.allclose(first.true, (h.value - t) * (y.value > 0)) and np.allclose(first.broken, h.value - t)


@pytest.mark.parametrize("seed", SEEDS)
def test_means_do_not_see_a_forgotten_rotation(seed):
    _, _, _, right, wrong, _ = not_rotated(np.random.default_rng(seed))
    assert np.isclose(right.sum(), wrong.sum()) and not np.allclose(right, wrong)


@pytest.mark.parametrize("seed", SEEDS)
def test_two_mistakes_at_once_are_both_named(seed):
    loss, _, wrt, _, wrong, _ = mask_missing(np.random.default_rng(seed))
    verdict = ac.check(-wrong, of=loss, wrt=wrt)
    assert {"activation mask missing", "sign"} <= {finding.name for finding in verdict.mistakes}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_second_backward_doubles(seed):
    loss, _, w, right, _, _ = mean_over_batch(np.random.default_rng(seed))
    loss.backward()
    assert ac.check(w.grad, of=loss, wrt=w).kind == "right"
    loss.backward()
    assert np.allclose(w.grad, 2 * right)
    verdict = ac.check(w.grad, of=loss, wrt=w)
    named = {finding.name for group in [verdict.mistakes, *verdict.alternatives] for finding in group}
    assert verdict.kind == "wrong" and "gradient doubled by a second backward" in named


# ---- the loop


@pytest.mark.parametrize("eta", [0.05, 0.1, 0.2])
def test_without_zero_grad_a_weight_swings_for_ever(eta):
    """w^2: with zero_grad it comes to rest, without it is an oscillation that keeps its size."""
    paths = {}
    for zero in (True, False):
        w, path = ac.tensor(1.0, name="w"), []
        optimizer = optim.SGD([w], lr=eta)
        for _ in range(200):
            if zero:
                optimizer.zero_grad()
            (w * w).backward()
            optimizer.step()
            path.append(w.item())
        paths[zero] = np.abs(path[-50:]).max()
    assert paths[True] < 1e-4 and paths[False] > 0.9


def test_the_mode_decides_whether_the_companions_count():
    x, _ = data.digits("train")
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10, rng=0), nn.BatchNorm1d(10), nn.Dropout(0.5, rng=0))
    answer = lambda others: model(x[[0, *others]]).value[0]
    model.train()
    assert not np.allclose(answer([1, 2, 3]), answer([4, 5, 6]))
    model.eval()
    assert np.allclose(answer([1, 2, 3]), answer([4, 5, 6]))


def test_a_sweep_over_a_loss_of_yesterday_is_refused():
    w = ac.tensor(2.0, name="w")
    loss = w * w
    loss.backward()
    optim.SGD([w], lr=0.1).step()
    with pytest.raises(RuntimeError, match="given a new value"):
        loss.backward()
