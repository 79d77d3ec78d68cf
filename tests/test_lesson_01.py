"""The facts of lesson 1, outside the notebook: what a tape is, what the sweep adds up, and what the views say of it."""

import numpy as np
import pytest

import autoconv as ac

SEEDS = range(5)


@pytest.mark.parametrize("seed", SEEDS)
def test_product_rule_and_chain_rule(seed):
    """d = a b + a, y = tanh(d / 4): dy/da = (1 - y^2) (b + 1) / 4 and dy/db = (1 - y^2) a / 4."""
    a0, b0 = np.random.default_rng(seed).normal(size=2)
    a, b = ac.tensor(a0, name="a"), ac.tensor(b0, name="b")
    assert np.allclose(ac.sweep(a * b, [a, b]), [b0, a0])
    y = ac.tanh((a * b + a) / 4)
    slope = (1 - np.tanh((a0 * b0 + a0) / 4) ** 2) / 4
    y.backward()
    assert np.allclose([a.grad, b.grad], [slope * (b0 + 1), slope * a0])
    assert len(ac.Tape(y)) == 7  # a, b, a b, + a, the constant 4, / 4, tanh


@pytest.mark.parametrize("seed", SEEDS)
def test_a_number_read_by_many_lines_receives_the_sum(seed):
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=rng.integers(2, 7))
    x = ac.tensor(rng.normal(), name="x")
    y = ac.sum(ac.stack([x * f for f in factors]))
    y.backward()
    assert np.isclose(x.grad, factors.sum())

    assert np.allclose(sorted(term.product for term in ac.explain(x, of=y).terms), sorted(factors))
    found = ac.paths(x, of=y)
    assert found.count == len(factors) == found.open
    assert np.allclose(sorted(path.product for path in found), sorted(factors))

    arrived = [event for event in ac.step(y) if event.kind == "accumulate" and event.target is x]
    assert len(arrived) == len(factors)
    assert np.allclose(np.diff(ac.step(y).trail("x")), [event.contribution for event in arrived])


@pytest.mark.parametrize("n", [0, 1, 10, 300])
def test_a_line_for_each_operation(n):
    y = ac.tensor(1.0)
    for _ in range(n):
        y = ac.sin(y)
    assert len(ac.Tape(y)) == n + 1


@pytest.mark.parametrize("seed", SEEDS)
def test_a_maximum_is_arithmetic(seed):
    p0, q0 = np.random.default_rng(seed).normal(size=2)
    p, q = ac.tensor(p0, name="p"), ac.tensor(q0, name="q")
    m = ac.maximum(p, q)
    by_abs = (p + q + abs(p - q)) / 2
    assert m.item() == max(p0, q0) and np.isclose(by_abs.item(), max(p0, q0))
    assert np.allclose(ac.sweep(m, [p, q]), [p0 > q0, q0 > p0])
    assert np.allclose(ac.sweep(by_abs, [p, q]), [p0 > q0, q0 > p0])
    opened = ac.graph(m, open=True)
    assert [node.kind for node in opened.nodes].count("line") == 5
    assert [node.kind for node in ac.graph(m).nodes].count("line") == 1


def test_convolution_and_pooling_are_not_in_the_table():
    assert not [name for name in ac.TABLE if "conv" in name or "pool" in name or "relu" in name]
    assert {row.group for row in ac.TABLE.values()} == {"arithmetic", "wiring", "sum", "contract"}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_weight_collects_a_contribution_from_each_position(seed):
    """conv, relu, max pooling, sum of squares: of each window of the pool only the winner, if positive,
    sends something back."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 4, 2) * 2
    image = ac.tensor(rng.normal(size=(height + 1, width + 1)), name="image")
    kernel = ac.tensor(rng.normal(size=(2, 2)), name="kernel")
    loss = (ac.max_pool2d(ac.relu(ac.conv2d(image, kernel)), 2) ** 2).sum()
    loss.backward()

    frames = {
        (r, c): image.value[r : r + 2, c : c + 2] for r in range(height) for c in range(width)
    }  # what the kernel saw
    response = {at: (frame * kernel.value).sum() for at, frame in frames.items()}
    expected = np.zeros((2, 2))
    for r in range(0, height, 2):
        for c in range(0, width, 2):
            winner = max([(r + i, c + j) for i in range(2) for j in range(2)], key=response.__getitem__)
            expected += 2 * max(response[winner], 0.0) * frames[winner]
    assert np.allclose(kernel.grad, expected)
    assert len(ac.explain(kernel[1, 0], of=loss).terms) == height * width

    reads = np.zeros(image.shape)
    for r, c in frames:
        reads[r : r + 2, c : c + 2] += 1
    assert np.array_equal(ac.uses(image, of=loss).counts, reads)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_sweep_can_be_swept(seed):
    x0 = np.random.default_rng(seed).normal()
    x = ac.tensor(x0, name="x")
    (slope,) = ac.sweep(ac.tanh(x), [x], ac.tensor(1.0))
    assert np.isclose(slope.item(), 1 - np.tanh(x0) ** 2)
    assert len(ac.Tape(slope)) == 7
    (curvature,) = ac.sweep(slope, [x])
    assert np.isclose(curvature, -2 * np.tanh(x0) * (1 - np.tanh(x0) ** 2))


def test_nothing_is_recorded_in_no_grad_and_a_scope_is_one_box():
    rng = np.random.default_rng(0)
    image, kernel = ac.tensor(rng.normal(size=(5, 5)), name="image"), ac.tensor(rng.normal(size=(2, 2)), name="kernel")
    with ac.no_grad():
        quick = ac.tanh(ac.conv2d(image, kernel))
    assert len(ac.Tape(quick)) == 1 and quick.constant
    with ac.scope("edges"):
        found = ac.relu(ac.conv2d(image, kernel))
    assert np.allclose(ac.relu(ac.conv2d(image, kernel)).value, found.value)
    boxes = [node for node in ac.graph(found.sum(), zoom="calls").nodes if node.kind == "call"]
    assert len(boxes) == 1


def test_a_path_that_was_cut_is_found_by_finite_differences():
    with pytest.raises(AssertionError, match="order 1, argument 0"):
        ac.check_grads(lambda x: (x * ac.stop_gradient(x)).sum(), np.array([1.0, 3.0]), order=1)
