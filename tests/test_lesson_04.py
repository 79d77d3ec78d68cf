"""Lesson 4: the back-propagation equations of a winner-takes-all network (the decision blog), component by component.

The network is computed a second time in plain loops, from the post's formulas; the gradients of the tape must agree
with its sums over indices.  The post's diagonal derivative of the softmax is wrong, and the tests say when that does
not matter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autoconv as ac

# (kernel elements, frames, kernels, hidden units, classes)
SIZES: list[Any] = [
    (4, 9, 4, 4, 3),
    (9, 4, 2, 5, 3),
    (6, 7, 5, 3, 4),
    (3, 5, 3, 2, 2),
    (1, 6, 2, 3, 5),
    (4, 1, 3, 2, 3),
]
SIZES += [tuple(np.random.default_rng(40 + i).integers(2, 7, 5).tolist()) for i in range(4)]
CASES = [(sizes, seed) for sizes in SIZES for seed in (0, 1)]
every_case = pytest.mark.parametrize(("sizes", "seed"), CASES, ids=str)


class Net:
    """The network of the post on the tape, each quantity by its name there."""

    def __init__(self, sizes: tuple[int, ...], seed: int, kernels: Any = None) -> None:
        window, frames, count, hidden, classes = sizes
        rng = np.random.default_rng(seed)
        t = lambda name, *shape: ac.tensor(rng.normal(size=shape) / np.sqrt(shape[0]), name=name)
        self.F, self.k = t("F", window, frames), t("k", count, window)
        self.w01, self.w12 = t("w01", frames, hidden), t("w12", hidden, classes)
        if kernels is not None:
            self.k = ac.tensor(kernels(self.k.value), name="k")
        self.y = ac.tensor(np.eye(classes)[seed % classes], name="y")
        self.lc = self.k @ self.F
        self.m = ac.max(self.lc, axis=0)
        self.l0 = ac.tanh(self.m)
        self.z1 = self.l0 @ self.w01
        self.l1 = ac.tanh(self.z1)
        self.z2 = self.l1 @ self.w12
        self.l2 = ac.softmax(self.z2)
        self.loss = ac.losses.half_squared_error(self.l2, self.y)
        self.loss.backward()


def forward(F: Any, k: Any, w01: Any, w12: Any, y: Any) -> dict[str, Any]:
    """The post's component formulas, one loop for each sum."""
    window, frames = F.shape
    lc = np.zeros((len(k), frames))
    for j, i in np.ndindex(lc.shape):
        lc[j, i] = sum(k[j, m] * F[m, i] for m in range(window))
    w = [max(range(len(k)), key=lambda j: (lc[j, p], -j)) for p in range(frames)]
    l0 = np.array([np.tanh(lc[w[p], p]) for p in range(frames)])
    l1 = np.array([np.tanh(sum(l0[r] * w01[r, q] for r in range(frames))) for q in range(w01.shape[1])])
    powers = [np.exp(sum(l1[i] * w12[i, n] for i in range(len(l1)))) for n in range(w12.shape[1])]
    l2 = np.array(powers) / sum(powers)
    return {"w": w, "l0": l0, "l1": l1, "l2": l2, "loss": 0.5 * sum((a - b) ** 2 for a, b in zip(l2, y, strict=True))}


def by_hand(net: Net) -> tuple[dict[str, Any], Any]:
    """The same run in loops, and sum_m (l2_m - y_m) dl2_m/dz_s with the whole derivative of the softmax."""
    run = forward(*(t.value for t in (net.F, net.k, net.w01, net.w12, net.y)))
    l2, y = run["l2"], net.y.value
    slope = lambda m, s: l2[m] * ((m == s) - l2[s])
    return run, np.array([sum((l2[m] - y[m]) * slope(m, s) for m in range(len(y))) for s in range(len(y))])


@every_case
def test_the_network_is_the_one_of_the_post(sizes: Any, seed: int) -> None:
    net = Net(sizes, seed)
    run, _ = by_hand(net)
    for name in ("l0", "l1", "l2", "loss"):
        np.testing.assert_allclose(getattr(net, name).value, run[name], rtol=1e-12, atol=1e-14)


@every_case
def test_the_gradient_of_w12(sizes: Any, seed: int) -> None:
    net = Net(sizes, seed)
    run, d = by_hand(net)
    for q, s in np.ndindex(net.w12.shape):
        assert net.w12.grad[q, s] == pytest.approx(run["l1"][q] * d[s], rel=1e-9, abs=1e-13)


@every_case
def test_the_gradient_of_w01(sizes: Any, seed: int) -> None:
    net = Net(sizes, seed)
    run, d = by_hand(net)
    w12, l1 = net.w12.value, run["l1"]
    for r, n in np.ndindex(net.w01.shape):
        back = sum(d[m] * w12[n, m] for m in range(len(d))) * (1 - l1[n] ** 2)
        assert net.w01.grad[r, n] == pytest.approx(run["l0"][r] * back, rel=1e-9, abs=1e-13)


@every_case
def test_the_gradient_of_the_kernels(sizes: Any, seed: int) -> None:
    net = Net(sizes, seed)
    run, d = by_hand(net)
    w12, w01, F, l0, l1 = net.w12.value, net.w01.value, net.F.value, run["l0"], run["l1"]
    for i, q in np.ndindex(net.k.shape):
        total = 0.0
        for n, m, p in np.ndindex(len(l1), len(d), len(l0)):
            won = F[q, p] if run["w"][p] == i else 0.0  # the post's script F
            total += d[m] * w12[n, m] * (1 - l1[n] ** 2) * w01[p, n] * (1 - l0[p] ** 2) * won
        assert net.k.grad[i, q] == pytest.approx(total, rel=1e-9, abs=1e-13)


@every_case
def test_the_matrix_product_read_from_the_left_is_the_sweep(sizes: Any, seed: int) -> None:
    net = Net(sizes, seed)
    run, d = by_hand(net)
    np.testing.assert_allclose(net.l2.grad, run["l2"] - net.y.value, atol=1e-13)
    product = d
    np.testing.assert_allclose(net.z2.grad, product, atol=1e-13)
    factors = [
        (net.w12.value.T, net.l1),
        (np.diag(1 - run["l1"] ** 2), net.z1),
        (net.w01.value.T, net.l0),
        (np.diag(1 - run["l0"] ** 2), net.m),
    ]
    for matrix, line in factors:
        product = product @ matrix
        np.testing.assert_allclose(line.grad, product, atol=1e-13)
    for i in range(len(net.k.value)):
        won = np.where(np.array(run["w"]) == i, net.F.value, 0)
        np.testing.assert_allclose(net.k.grad[i], product @ won.T, atol=1e-13)


@every_case
def test_only_the_winner_is_heard(sizes: Any, seed: int) -> None:
    net = Net(sizes, seed)
    run, _ = by_hand(net)
    for i, p in np.ndindex(net.lc.shape):
        assert net.lc.grad[i, p] == (net.m.grad[p] if run["w"][p] == i else 0)
    np.testing.assert_allclose(net.k.grad.sum(axis=0), net.F.value @ net.m.grad, atol=1e-13)  # they share it out
    np.testing.assert_array_equal(net.l0.value, np.tanh(net.lc.value).max(axis=0))  # tanh keeps the order


def test_a_kernel_that_never_wins_has_no_gradient_and_explain_says_why() -> None:
    rng = np.random.default_rng(3)
    frames = rng.uniform(1, 2, (4, 9))
    k = ac.tensor(np.vstack([rng.uniform(0, 1, (3, 4)), -np.ones((1, 4))]), name="k")  # the last one is always negative
    loss = ac.sum(ac.tanh(ac.max(k @ frames, axis=0)))
    loss.backward()
    assert np.all(k.grad[3] == 0) and np.any(k.grad[:3])
    assert "lost every max" in ac.explain(k[3, 0], of=loss).reason


@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (6, 7)])
@pytest.mark.parametrize("window", [(2, 2), (3, 2), (1, 3)])
def test_kernels_times_frames_is_a_convolution(shape: tuple[int, int], window: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    image, k = rng.normal(size=shape), rng.normal(size=(3, window[0] * window[1]))
    out = tuple(n - u + 1 for n, u in zip(shape, window, strict=True))
    F = np.zeros((k.shape[1], out[0] * out[1]))
    for p, (i, j) in enumerate(np.ndindex(*out)):
        F[:, p] = image[i : i + window[0], j : j + window[1]].ravel()
    np.testing.assert_array_equal(ac.windows(image, window).reshape(len(F.T), -1).T, F)
    h = ac.conv2d(image[..., None], k.T.reshape(*window, 1, 3))
    np.testing.assert_allclose(h.reshape(-1, 3).T, k @ F, atol=1e-12)


# ---- the derivative of the softmax, written as a diagonal


def diagonal(net: Net) -> Any:
    """What arrives at z2 by the post: the error times sigma' = l2 (1 - l2), place by place."""
    l2 = net.l2.value
    return (l2 - net.y.value) * l2 * (1 - l2)


@every_case
def test_what_the_diagonal_leaves_out(sizes: Any, seed: int) -> None:
    net = Net(sizes, seed)
    p, e = net.l2.value, net.l2.value - net.y.value
    missing = [-p[m] * sum(p[s] * e[s] for s in range(len(p)) if s != m) for m in range(len(p))]
    np.testing.assert_allclose(diagonal(net) + missing, net.z2.grad, atol=1e-13)
    assert np.abs(missing).max() > 1e-4  # wherever there is an error at all, something is missing


CLAIMS: dict[str, Any] = {
    "z2": lambda l2, y: (l2 - y) * l2 * (1 - l2),
    "w12": lambda l1, l2, y: np.outer(l1, (l2 - y) * l2 * (1 - l2)),
    "w01": lambda l0, l1, l2, y, w12: np.outer(l0, ((l2 - y) * l2 * (1 - l2)) @ w12.T * (1 - l1**2)),
    "k": lambda F, lc, l0, l1, l2, y, w01, w12: (
        np.eye(len(lc))[lc.argmax(axis=0)].T
        * (((l2 - y) * l2 * (1 - l2)) @ w12.T * (1 - l1**2) @ w01.T * (1 - l0**2))
        @ F.T
    ),
}


@pytest.mark.quick(2)
@pytest.mark.parametrize("sizes", SIZES[:3])
@pytest.mark.parametrize("wrt", CLAIMS)
def test_check_finds_the_diagonal(sizes: Any, wrt: str) -> None:
    net = Net(sizes, 0)
    verdict = ac.check(CLAIMS[wrt], of=net.loss, wrt=getattr(net, wrt), names=vars(net))
    assert verdict.kind == "wrong"
    assert [m.name for m in verdict.mistakes] == ["only the diagonal of a Jacobian"]


@pytest.mark.parametrize("sizes", SIZES[:3])
def test_a_chain_of_claims_departs_where_the_diagonal_is(sizes: Any) -> None:
    net = Net(sizes, 1)
    claims = {net.l2: net.l2.value - net.y.value, net.z2: diagonal(net)}
    claims[net.l1] = claims[net.z2] @ net.w12.value.T
    verdict = ac.check(claims, of=net.loss, names=vars(net))
    assert not verdict and "departs at z2" in verdict.summary


@every_case
def test_with_a_sigmoid_for_each_output_the_diagonal_is_all(sizes: Any, seed: int) -> None:
    net = Net(sizes, seed)
    each = ac.sigmoid(net.z2)
    loss = ac.losses.half_squared_error(each, net.y)
    (at_z2,) = ac.sweep(loss, [net.z2])
    s = 1 / (1 + np.exp(-net.z2.value))
    np.testing.assert_allclose(at_z2, (s - net.y.value) * s * (1 - s), atol=1e-13)


@pytest.mark.parametrize("seed", range(6))
def test_with_two_classes_the_diagonal_is_half(seed: int) -> None:
    net = Net((4, 5, 3, 3, 2), seed)
    np.testing.assert_allclose(2 * diagonal(net), net.z2.grad, rtol=1e-10)


@every_case
def test_with_cross_entropy_the_diagonal_is_right_for_the_true_class_alone(sizes: Any, seed: int) -> None:
    net = Net(sizes, seed)
    (at_z2,) = ac.sweep(-ac.sum(net.y * ac.log(net.l2)), [net.z2])
    p, y = net.l2.value, net.y.value
    by_diagonal = -y / p * p * (1 - p)
    np.testing.assert_allclose(at_z2, p - y, atol=1e-13)
    np.testing.assert_allclose(at_z2[y == 1], by_diagonal[y == 1], atol=1e-13)
    assert np.all(by_diagonal[y == 0] == 0) and np.all(at_z2[y == 0] > 0)


@pytest.mark.parametrize("classes", [2, 3, 4, 7])
def test_with_the_squared_error_the_diagonal_is_enough_only_without_an_error(classes: int) -> None:
    # nothing missing means sum over s != m of a_s = 0 for all m, with a = l2 e; that system has the solution 0 alone
    assert abs(np.linalg.det(np.ones((classes, classes)) - np.eye(classes))) > 0.5


# ---- ties, and the certificate


@pytest.mark.parametrize("seed", range(3))
def test_a_tie_goes_to_the_first_and_an_even_split_is_a_convention(seed: int) -> None:
    net = Net(SIZES[1], seed, kernels=lambda k: np.stack([k[0], k[0], k[1]]))
    assert np.any(net.k.grad[0]) and not np.any(net.k.grad[1])
    shared = net.k.grad.copy()
    shared[:2] = net.k.grad[0] / 2
    verdict = ac.check(shared, of=net.loss, wrt=net.k)
    assert verdict and "convention" in verdict.summary


@pytest.mark.quick(2)
@pytest.mark.parametrize("wrt", ["k", "w01", "w12", "F"])
@pytest.mark.parametrize("sizes", SIZES[:2])
def test_the_certificate_holds(sizes: Any, wrt: str) -> None:
    net = Net(sizes, 5)
    made = ac.certificate(net.loss, getattr(net, wrt))
    assert made
    np.testing.assert_allclose(made.gradient, getattr(net, wrt).grad)
