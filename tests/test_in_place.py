"""``w -= rate * w.grad`` inside ``no_grad`` is a step, outside it is refused; a parameter is never dropped."""

import numpy as np
import pytest

import autoconv as ac
from autoconv import nn, optim, train

A = np.array([1.0, 2.0, 4.0])

# name: the statement on a Tensor or an array w with an operand b
STEPS = {"+=": "w += b", "-=": "w -= b", "*=": "w *= b", "/=": "w /= b", "**=": "w **= b"}


def run(statement, **names):
    exec(statement, {}, names)
    return names


@pytest.mark.parametrize("b", [2, 0.5, np.array([2.0, 3.0, 0.25]), np.float32(2), ac.tensor([1.0, 2.0, 3.0])], ids=str)
@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_numpys_own(name, b):
    for w, rtol in ((ac.tensor(A), 0), (nn.Parameter(A), 1e-6), (nn.Parameter(A, dtype=float), 0)):
        held, array = w, A.copy()
        with ac.no_grad():
            w = run(STEPS[name], w=w, b=b)["w"]
        array = run(STEPS[name], w=array, b=b.value if isinstance(b, ac.Tensor) else b)["w"]
        assert w is held and w.primitive is None and not w.constant
        np.testing.assert_allclose(w.value, array, rtol=rtol)


def test_matmul_step():
    w, turn = ac.tensor([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.0, 1.0], [-1.0, 0.0]])
    held = w
    with ac.no_grad():
        w @= turn
    assert w is held
    np.testing.assert_array_equal(w.value, [[-2, 1], [-4, 3]])


def test_training_by_hand_as_optim_does_it():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(20, 4)).astype(np.float32), rng.integers(0, 3, 20)
    ours, theirs = (nn.Sequential(nn.Linear(4, 5, rng=1), nn.Tanh(), nn.Linear(5, 3, rng=2)) for _ in range(2))
    optimizer = optim.SGD(theirs.parameters(), lr=0.3)
    for _ in range(5):
        for model in (ours, theirs):
            model.zero_grad()
            ac.losses.cross_entropy(model(x), y).backward()
        with ac.no_grad():
            for p in ours.parameters():
                p -= 0.3 * p.grad
        optimizer.step()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.value, q.value, rtol=1e-6, atol=1e-7)


def test_a_step_on_a_layers_attribute():
    layer = nn.Linear(2, 3, rng=0)
    held, before = layer.weight, layer.weight.numpy()
    layer(np.ones((1, 2), np.float32)).sum().backward()
    with ac.no_grad():
        layer.weight -= 0.5 * layer.weight.grad
    assert layer.weight is held and next(layer.parameters()) is held
    np.testing.assert_allclose(held.value, before - 0.5, rtol=1e-6)
    with pytest.raises(RuntimeError, match=r"with ac.no_grad\(\): w -= "):
        layer.weight -= 0.5 * layer.weight.grad
    assert layer.weight is held


@pytest.mark.parametrize("kind", [RuntimeError, TypeError])
@pytest.mark.parametrize("b", [0.5, A, ac.stop_gradient(ac.tensor(A))], ids=["number", "array", "constant"])
@pytest.mark.parametrize("name", STEPS)
def test_outside_of_no_grad_it_says_what_to_write(name, b, kind):
    for w in (ac.tensor(A, name="w"), nn.Parameter(A, name="w")):
        with pytest.raises(kind, match=r"'w' of shape \(3,\) is changed in place.*no_grad.*w\.assign"):
            run(STEPS[name], w=w, b=b)
        np.testing.assert_array_equal(w.value, A)


def test_what_is_no_step_records_as_before():
    x = ac.tensor(A)
    total = ac.tensor(0.0)
    for k in range(3):
        total += (x * k).sum()  # a sum of losses
    y = x * 2
    y += 1  # a computed line
    counts = ac.tensor([1, 2, 3])
    counts += 1  # a constant
    (total + (y * y).sum()).backward()
    np.testing.assert_array_equal(x.grad, 3 + 4 * (2 * A + 1))
    np.testing.assert_array_equal(counts.value, [2, 3, 4])

    def scaled(v):
        v *= 2.0  # an argument of a derivative
        v -= v.mean()
        return (v * v).sum()

    np.testing.assert_allclose(ac.grad(scaled)(A), 8 * (A - A.mean()))
    np.testing.assert_allclose(ac.compile(scaled).value_and_grad(A)[1], 8 * (A - A.mean()))


def test_a_line_that_read_the_old_value_is_refused():
    w = ac.tensor(A)
    y = (w * w).sum()
    with ac.no_grad():
        w *= 2
    with pytest.raises(RuntimeError, match="given a new value after"):
        y.backward()


WRONG_STEPS = {
    "another shape": (lambda w: run("w += b", w=w, b=np.ones((2, 3))), ValueError, r"shape \(2, 3\)"),
    "text": (lambda w: run("w += b", w=w, b="a"), TypeError, "unsupported operand|can only"),
    "None": (lambda w: run("w -= b", w=w, b=None), TypeError, "unsupported operand"),
}


@pytest.mark.parametrize("name", WRONG_STEPS)
def test_wrong_steps(name):
    step, kind, match = WRONG_STEPS[name]
    w = ac.tensor(A)
    with ac.no_grad(), pytest.raises(kind, match=match):
        step(w)
    np.testing.assert_array_equal(w.value, A)


VALUE = [
    "w.value -= g", "w.value += 1", "w.value *= 2", "w.value /= 2", "w.value **= 2", "w.value[0] = 1",
    "w.value[0] -= 1",
    "w.value[:] = g", "w.value[i + 1] = 2", "w.value[-1] = 2", "w.value[i:2] = 2", "w.value[i, ...] += 1",
    "w.value[1:] *= 2", "w.value[i] = 3", "w.value[[0, 1]] += 1", "w.value[...] = 0",
]  # fmt: skip


@pytest.mark.parametrize("statement", VALUE)
def test_the_value_in_place_says_assign(statement):
    code = compile(f"def step(w, g, i):\n    {statement}", "<step>", "exec")
    names = {}
    exec(code, names)
    for w in (ac.tensor(A), nn.Parameter(A, dtype=float)):
        for _ in range(12):
            with pytest.raises(ValueError, match=r"w\.assign\(w\.value - \.\.\.\)"):
                names["step"](w, A, 0)
        np.testing.assert_array_equal(w.value, A)


def test_the_value_is_a_plain_array_to_who_reads_it():
    w, i = ac.tensor(A), 0
    for _ in range(12):
        assert type(w.value) is np.ndarray and type(w.value.T) is np.ndarray and type(w.value + 1) is np.ndarray
        assert 0 < w.value[i] < w.value[i + 1] and not w.value.flags.writeable
    kept, several = {}, [0, 1]
    for _ in range(12):
        kept[i] = w.value
        kept["sum"] = w.value + 1
        several[i + 1] = w.value
        a = b = w.value
        kept["a"] = c = w.value
        kept[i, n] = (w.value, (n := 2))[0] if (n := 2) else None
        several[0:1] = [w.value]
        total = np.zeros(3)
        total[...] += w.value
        total += w.value
        for x in (*kept.values(), several[1], several[0], a, b, c, total):
            assert type(x) is np.ndarray
    w.value = w.value - 1
    np.testing.assert_array_equal(w.value, A - 1)


# ---- a parameter is never dropped

ONES = np.ones((2, 3), np.float32)
TAKEN = {
    "array": (lambda: 2 * ONES, 12),
    "float64": (lambda: 2.0 * ONES.astype(float), 12),
    "whole numbers": (lambda: np.full((2, 3), 3), 18),
    "lists": (lambda: [[1, 2, 3], [4, 5, 6]], 21),
    "Tensor": (lambda: ac.tensor(ONES), 6),
    "constant": (lambda: ac.stop_gradient(ac.tensor(ONES) * 5), 30),
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_parameter_takes_over_an_array(name):
    make, total = TAKEN[name]
    layer = nn.Linear(2, 3, rng=0)
    held, given = layer.weight, make()
    layer.weight = given
    assert layer.weight is held and held.dtype == np.float32 and len(list(layer.parameters())) == 2
    assert held.value.sum() == total
    if isinstance(given, np.ndarray):
        given[:] = 100
        assert held.value.sum() == total  # a copy


REFUSED = {
    "another shape": (lambda w: np.ones((3, 2)), ValueError, r"shape \(2, 3\).*\(3, 2\)"),
    "one number": (lambda w: 1.0, ValueError, r"shape \(\)"),
    "None": (lambda w: None, TypeError, "would drop.*del"),
    "text": (lambda w: "ones", TypeError, "would drop"),
    "function": (lambda w: np.ones, TypeError, "would drop"),
    "dict": (lambda w: {}, TypeError, "would drop"),
    "computed line": (lambda w: w - 0.1 * w, TypeError, "computed line.*no_grad"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_drop_a_parameter_is_refused(name):
    make, kind, match = REFUSED[name]
    layer = nn.Linear(2, 3, rng=0)
    held, before = layer.weight, layer.weight.numpy()
    with pytest.raises(kind, match=match):
        layer.weight = make(held)
    with pytest.raises(kind, match=match):
        setattr(layer, "weight", make(held))  # noqa: B010
    assert layer.weight is held and len(list(layer.parameters())) == 2
    np.testing.assert_array_equal(held.value, before)


def test_parameters_and_modules_may_be_exchanged():
    model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.ReLU())
    layer, other = model[0], nn.Parameter(np.zeros((2, 3)))
    layer.weight = other
    assert next(model.parameters()) is other and other.name.endswith("weight")

    class Net(nn.Module):
        def __init__(self):
            self.body, self.act, self.heads = nn.Linear(2, 2, rng=0), nn.ReLU(), [nn.Linear(2, 1, rng=0)]

    net = Net()
    net.body = nn.Linear(2, 4, rng=0)
    net.act = ac.tanh  # it holds no parameters
    net.heads = [nn.Linear(4, 1, rng=0), nn.Linear(4, 2, rng=0)]
    assert net.num_parameters() == 12 + 5 + 10
    for name, value in {"body": np.ones(2), "heads": [], "act": None}.items():
        if name == "act":
            net.act = value
            continue
        with pytest.raises(TypeError, match=r"with parameters|would drop"):
            setattr(net, name, value)
    del net.body
    net.body = None  # taken away on purpose
    assert net.num_parameters() == 15


def test_a_training_of_an_assigned_parameter_moves_it():
    layer = nn.Linear(4, 3, rng=0)
    layer.weight = np.zeros((4, 3))
    x, y = np.eye(4, dtype=np.float32)[[0, 1, 2, 3] * 4], np.array([0, 1, 2, 0] * 4)
    train.fit(layer, (x, y), epochs=3, optimizer=optim.SGD(layer.parameters(), lr=0.5), progress=False)
    assert np.abs(layer.weight.value).max() > 0.1
