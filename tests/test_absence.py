"""What the loss does not depend on has no gradient: a step leaves it alone, who asks for its gradient gets zeros."""

import gc
import weakref

import numpy as np
import pytest

import autoconv as ac
from autoconv import nn, optim, train
from autoconv.backward import derive

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(6, 3)), RNG.normal(size=(6, 2))

SETTINGS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.3}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.2}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.3, "nesterov": True}),
    ("Adam", {"lr": 0.1}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.3}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.3}),
    ("RMSprop", {"lr": 0.1, "momentum": 0.5, "weight_decay": 0.3}),
    ("RMSprop", {"lr": 0.1, "centered": True}),
    ("Adagrad", {"lr": 0.1, "weight_decay": 0.3}),
]


class Net:
    """y = tanh(x a) b, and parameters c (3, 2) and d (2,) that are read as the case says; ``on`` is a switch."""

    def __init__(self):
        rng = np.random.default_rng(1)
        shapes = {"a": (3, 4), "b": (4, 2), "c": (3, 2), "d": (2,)}
        self.on = True
        for name, shape in shapes.items():
            setattr(self, name, nn.Parameter(rng.normal(size=shape), dtype=float))

    @property
    def parameters(self):
        return [self.a, self.b, self.c, self.d]

    def body(self, x):
        return ac.tanh(x @ self.a) @ self.b


def unused(net, x):
    return net.body(x)


def switched(net, x):
    return net.body(x) + (x @ net.c if net.on else 0.0)


def behind_stop_gradient(net, x):
    return net.body(x) + ac.stop_gradient(x @ net.c + net.d)


def by_batch_size(net, x):
    return net.body(x) + (x @ net.c if x.shape[0] > 4 else 0.0)


def shared(net, x):
    return ac.tanh(x @ net.a) @ net.b + ac.tanh((x + 1) @ net.a) @ net.b


def none_at_all(net, x):
    return x[:, :2] * 2.0


def a_comparison(net, x):
    return net.body(x) + ac.where(x @ net.c > 0, 1.0, 2.0)


def looks_at_numbers(net, x):
    return net.body(x) if float(ac.sum(x)) < 1e9 else net.body(x) + net.d


def zero_times(net, x):
    return net.body(x) + 0.0 * (x @ net.c)


# case: (function, the names of what it leaves alone in the turns that are even and odd)
CASES = {
    "unused": (unused, "cd", "cd"),
    "switched off and on": (switched, "d", "cd"),
    "stop_gradient": (behind_stop_gradient, "cd", "cd"),
    "by size of the batch": (by_batch_size, "d", "cd"),
    "shared": (shared, "cd", "cd"),
    "all unused": (none_at_all, "abcd", "abcd"),
    "compared": (a_comparison, "cd", "cd"),
    "recorded anew": (looks_at_numbers, "cd", "cd"),
    "a gradient of zero is one": (zero_times, "d", "d"),
}


@pytest.fixture(params=["native", "numpy"])
def floor(request, monkeypatch):
    monkeypatch.setenv("AUTOCONV_NATIVE", "1" if request.param == "native" else "0")


def loss_of(f, net, x):
    return ac.sum((f(net, x) - Y[: x.shape[0]]) ** 2)


@pytest.mark.parametrize(("name", "settings"), SETTINGS, ids=lambda v: v if isinstance(v, str) else str([*v.values()]))
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("finite", [False, True])
def test_a_step_moves_what_the_loss_depends_on(case, name, settings, finite, floor):
    f, even, odd = CASES[case]
    ours, theirs = Net(), Net()
    mine, other = (getattr(optim, name)(n.parameters, **settings) for n in (ours, theirs))
    program = ac.compile(lambda x: loss_of(f, ours, x))
    step = program.step_if_finite if finite else program.step
    turns = [0, 0, 0, 1, 1, 1, 0, 1, 0]
    for turn in turns:
        ours.on = theirs.on = not turn
        x = X[:4] if turn and case == "by size of the batch" else X
        before = {n: getattr(ours, n).numpy() for n in "abcd"}
        step(mine, x)
        other.zero_grad()
        loss_of(f, theirs, ac.tensor(x)).backward()
        other.step()
        for n in "abcd":
            p, q = getattr(ours, n), getattr(theirs, n)
            np.testing.assert_allclose(p.value, q.value, rtol=1e-9, atol=1e-12)
            if n in (odd if turn else even):
                np.testing.assert_array_equal(p.value, before[n])
    for s, t in zip(mine.state, other.state, strict=True):
        assert s.keys() == t.keys() and s.get("step") == t.get("step")
        for slot in s:
            np.testing.assert_allclose(s[slot], t[slot], rtol=1e-8, atol=1e-12)


def test_a_frozen_parameter_is_not_the_optimisers(floor):
    net = Net()
    optimizer = optim.AdamW([net.b, net.d], lr=0.1, weight_decay=0.5)
    program = ac.compile(lambda x: loss_of(unused, net, x))
    a, b, d = net.a.numpy(), net.b.numpy(), net.d.numpy()
    for _ in range(4):
        program.step(optimizer, X)
    np.testing.assert_array_equal(net.a.value, a)
    np.testing.assert_array_equal(net.d.value, d)
    assert not np.any(net.b.value == b) and optimizer.state[1] == {}


def test_what_is_switched_off_stands_still_and_goes_on_where_it_was():
    """SGD with momentum 0.9 on c alone: steps of 0.1, 0.19; off; then 0.1 * (0.9 * 1.9 + 1)."""
    net, on = nn.Parameter([0.0], dtype=float), nn.Parameter([0.0], dtype=float)
    switch = [True]
    program = ac.compile(lambda x: ac.sum(on * x + (net * x if switch[0] else 0.0)))
    optimizer = optim.SGD([on, net], lr=0.1, momentum=0.9)
    seen = []
    for switch[0] in (True, True, False, False, True):
        program.step(optimizer, np.ones(1))
        seen.append(net.value.item())
    np.testing.assert_allclose(seen, [-0.1, -0.29, -0.29, -0.29, -0.561], rtol=1e-12)


def test_fit_leaves_an_unused_head_alone(floor):
    class WithHead(nn.Module):
        def __init__(self):
            self.a, self.head = nn.Linear(4, 3, rng=0), nn.Linear(4, 3, rng=1)

        def forward(self, x):
            return self.a(x)

    model = WithHead()
    weight, bias, a = model.head.weight.numpy(), model.head.bias.numpy(), model.a.weight.numpy()
    optimizer = optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    data = np.ones((10, 4), np.float32), np.zeros(10, int)
    train.fit(model, data, epochs=4, batch_size=4, optimizer=optimizer, progress=False)
    np.testing.assert_array_equal(model.head.weight.value, weight)
    np.testing.assert_array_equal(model.head.bias.value, bias)
    assert not np.array_equal(model.a.weight.value, a)


@pytest.mark.parametrize("f", [unused, behind_stop_gradient, none_at_all, looks_at_numbers])
def test_who_asks_for_its_gradient_gets_zeros(f, floor):
    net = Net()
    expected = ac.sweep(loss_of(f, net, ac.tensor(X)), net.parameters)
    program = ac.compile(lambda x: loss_of(f, net, x))
    optimizer = optim.SGD(net.parameters, lr=0.0)
    for _ in range(3):  # a step and a gradient share a recording
        program.step(optimizer, X)
        found = program.value_and_grad(X, wrt=net.parameters)[1]
        assert [g.dtype for g in found] == [np.dtype(float)] * 4
        for g, h in zip(found, expected, strict=True):
            np.testing.assert_allclose(g, h, rtol=1e-12)
        assert not found[2].any() and found[2].shape == (3, 2) and found[3].shape == (2,)
        found[2][...] = 1.0  # the caller's own


def test_an_argument_that_is_not_read_has_a_gradient_of_zeros():
    f = lambda x, y: ac.sum(x * x)
    program = ac.compile(f)
    for _ in range(3):
        gx, gy = program.value_and_grad(X, Y, wrt=(0, 1))[1]
        np.testing.assert_array_equal(gx, 2 * X)
        np.testing.assert_array_equal(gy, np.zeros_like(Y))
    np.testing.assert_array_equal(ac.grad(f, argnums=1)(X, Y), np.zeros_like(Y))
    assert ac.value_and_grad(f, argnums=1)(X, Y)[1].shape == Y.shape


NO_RESULTS = {
    "None": (lambda a: None, "return statement"),
    "text": (lambda a: "x", "'x' \\(str\\)"),
    "a pair": (lambda a: (a, a), "has_aux"),
    "a list": (lambda a: [a], "list"),
    "a dict": (lambda a: {"y": a}, "dict"),
    "a whole number": (lambda a: 3, "3 \\(int\\)"),
    "yes or no": (lambda a: True, "True \\(bool\\)"),
    "a NumPy integer": (lambda a: np.int64(3), "int64"),
    "an array of integers": (lambda a: np.arange(3), "ndarray"),
    "a complex number": (lambda a: 1j, "complex"),
}


@pytest.mark.parametrize("what", NO_RESULTS)
@pytest.mark.parametrize("derivative", [ac.grad, ac.value_and_grad, ac.jacobian, lambda f: lambda x: ac.vjp(f, x)])
def test_what_is_no_result_to_differentiate(what, derivative):
    f, says = NO_RESULTS[what]
    with pytest.raises(TypeError, match=says):
        derivative(f)(np.ones(1))


def test_a_floating_point_number_is_a_constant():
    assert ac.grad(lambda a: 3.0)(1.0) == 0 and ac.grad(lambda a: np.float32(3.0))(1.0) == 0


@pytest.mark.parametrize("argument", [1.0, np.ones(2)])
def test_a_compiled_function_without_a_return(argument):
    def forgets(x):
        x * 2

    program = ac.compile(forgets)
    for call in (program, program.value_and_grad, program):
        with pytest.raises(TypeError, match="return"):
            call(argument)
    with pytest.raises(TypeError, match="return"):
        program.step(optim.SGD([nn.Parameter([1.0])]), np.ones(2))


def test_a_part_of_a_result_may_be_none():
    program = ac.compile(lambda x: (x * 2, None))
    for _ in range(2):
        assert program(np.ones(1))[1] is None


# ---- a new value


def test_value_is_set_as_assign_does():
    w = nn.Parameter([1.0, 2.0])
    y = ac.sum(w * w)
    new = np.array([3.0, 4.0])
    w.value = new
    new[0] = 9.0
    assert w.value.tolist() == [3.0, 4.0] and w.value.dtype == np.float32 and not w.value.flags.writeable
    with pytest.raises(RuntimeError, match="new value"):
        y.backward()
    with pytest.raises(ValueError, match="shape"):
        w.value = np.ones(3)
    with pytest.raises(TypeError, match="computed"):
        y.value = 1.0
    assert w.value.tolist() == [3.0, 4.0]
    ac.sum(w * w).backward()
    assert w.grad.tolist() == [6.0, 8.0]


def test_a_function_that_sets_a_value_is_recorded_every_time():
    w = ac.tensor([1.0])

    def f(x):
        w.value = w.value + 1
        return ac.sum(x * w)

    program = ac.compile(f)
    assert [program(np.ones(1)).item() for _ in range(4)] == [2.0, 3.0, 4.0, 5.0]


# ---- nothing of the user's is kept


@pytest.mark.parametrize("compiled", [False, True])
def test_a_derived_rule_keeps_nothing_of_the_callers_tape(compiled):
    derive.cache_clear()  # the rule of maximum is derived inside the caller's scopes, once
    model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.ReLU(), nn.Linear(4, 2, rng=1))
    alive = []

    def f(x):
        with ac.scope("mine", of=x):
            y = model(x)
            z = ac.max(y, axis=1)
            alive.extend(weakref.ref(line) for line in ac.Tape(z))
            return ac.sum(z)

    if compiled:
        program = ac.compile(f)
        program.step(optim.SGD(model.parameters(), lr=0.1), np.ones((2, 3), np.float32))
        del program
    else:
        f(ac.tensor(np.ones((2, 3)))).backward()
    parameters = {id(p) for p in model.parameters()}
    gc.collect()
    left = [x for ref in alive if (x := ref()) is not None and id(x) not in parameters]
    assert not left and len(alive) > 8


def test_a_rule_derived_without_recording_is_a_rule_all_the_same():
    derive.cache_clear()
    x = ac.tensor([1.0, -1.0])
    y = ac.sum(ac.relu(x))
    with ac.no_grad():
        assert ac.sweep(y, [x])[0].tolist() == [1.0, 0.0]
