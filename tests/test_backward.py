"""Derivatives of functions, and the gradient check that finds what is wrong and says so."""

import importlib
import threading

import numpy as np
import pytest

import autoconv as ac
from autoconv.gradcheck import GradientError

backward = importlib.import_module("autoconv.backward")

X = np.array([0.5, -1.0, 2.0])


def cubic(x):
    return (x * x * x).sum()


def test_grad_of_plain_arrays_is_a_plain_array():
    g = ac.grad(cubic)(X)
    assert isinstance(g, np.ndarray)
    np.testing.assert_allclose(g, 3 * X**2)
    value, g = ac.value_and_grad(cubic)(X)
    assert value == np.sum(X**3) and not isinstance(value, ac.Tensor)


def test_grad_of_a_tensor_can_be_differentiated_again():
    t = ac.tensor(X)
    g = ac.grad(cubic)(t)
    assert isinstance(g, ac.Tensor)
    g.sum().backward()
    np.testing.assert_allclose(t.grad, 6 * X)


def test_nested_derivatives_do_not_confuse_each_other():
    """Siskind and Pearlmutter's perturbation confusion: d/dx (x * d/dy (x + y)) = 1."""
    assert ac.grad(lambda x: x * ac.grad(lambda y: x + y)(x))(5.0) == 1
    assert ac.grad(lambda x: x * ac.grad(lambda y: x * y)(3.0))(5.0) == 10
    assert ac.grad(ac.grad(ac.grad(lambda x: x**4)))(2.0) == 48


def test_arguments_in_their_structure():
    def f(params, x, scale=1.0):
        return ((x @ params["w"] + params["b"][0]) * scale).sum()

    params = {"w": np.ones((3, 2)), "b": [np.zeros(2)]}
    g = ac.grad(f)(params, X, scale=2.0)
    np.testing.assert_allclose(g["w"], 2 * np.stack([X, X], 1))
    np.testing.assert_allclose(g["b"][0], [2, 2])
    gw, gx = ac.grad(lambda w, x: (w * x).sum(), argnums=(0, 1))(X, 2 * X)
    np.testing.assert_array_equal(gw, 2 * X)
    np.testing.assert_array_equal(gx, X)
    (value, aux), g = ac.value_and_grad(lambda x: (x.sum(), "kept"), has_aux=True)(X)
    assert aux == "kept" and value == X.sum() and (g == 1).all()


def test_vjp_jvp_jacobian_hessian_hvp():
    m = np.random.default_rng(0).normal(size=(4, 3))
    f = lambda x: ac.tanh(m @ x)
    jacobian = (1 - np.tanh(m @ X) ** 2)[:, None] * m
    np.testing.assert_allclose(ac.jacobian(f)(X), jacobian)
    v, u = np.arange(3.0), np.arange(4.0)
    y, dy = ac.jvp(f, X, v)
    np.testing.assert_allclose(dy, jacobian @ v)
    np.testing.assert_allclose(y, np.tanh(m @ X))
    y, pull = ac.vjp(f, X)
    np.testing.assert_allclose(pull(u)[0], u @ jacobian)
    y, dy = ac.jvp(lambda a, b: a * b, (X, 2 * X), (v, u[:3]))
    np.testing.assert_allclose(dy, v * 2 * X + X * u[:3])
    np.testing.assert_allclose(ac.hessian(cubic)(X), np.diag(6 * X))
    np.testing.assert_allclose(ac.hvp(cubic, X, v), 6 * X * v)
    assert ac.jacobian(lambda x: x.reshape(3, 1) * x)(X).shape == (3, 3, 3)


def test_hessian_of_a_small_convolutional_net():
    """Second derivatives through conv, relu and max pooling are symmetric and agree with finite differences."""
    rng = np.random.default_rng(1)
    image = rng.normal(size=(6, 6))

    def loss(k):
        return ac.square(ac.max_pool2d(ac.relu(ac.conv2d(image, k, padding=1)), 2)).sum()

    k = rng.normal(size=(3, 3))
    h = ac.hessian(loss)(k).reshape(9, 9)
    np.testing.assert_allclose(h, h.T)
    ac.check_grads(loss, k, order=2)


def test_backward_adds_to_grad_once_for_each_call():
    x = ac.tensor(3.0, name="x")
    h = x * x
    y = h + h + x
    y.backward()
    assert x.grad == 2 * 2 * 3 + 1 and h.grad == 2 and y.grad == 1
    y.backward()
    assert x.grad == 26
    x.grad = None
    (x * 2.0).backward(np.array(5.0))
    assert x.grad == 10


def test_what_the_output_does_not_depend_on_gets_zeros():
    x, z = ac.tensor(X), ac.tensor(np.ones((2, 2)))
    _, gz = ac.sweep((x * 2).sum(), [x, z])
    np.testing.assert_array_equal(gz, np.zeros((2, 2)))
    np.testing.assert_array_equal(ac.grad(lambda x: 1.0)(X), np.zeros(3))


def test_gradients_of_intermediate_lines():
    x = ac.tensor(X)
    h = ac.exp(x)
    y = (h * h).sum()
    np.testing.assert_allclose(ac.sweep(y, [h])[0], 2 * np.exp(X))


def test_check_grads_names_the_element_both_numbers_and_the_step(monkeypatch):
    wrong = ac.TABLE["tanh"]
    monkeypatch.setitem(wrong.__dict__, "vjps", (lambda g, y, a: g * (1 - y),))
    with pytest.raises(GradientError) as caught:
        ac.check_grads(lambda x: ac.tanh(x), np.array([[0.1, 0.2], [0.3, 1.5]]), order=1)
    worst = caught.value.report.worst
    text = str(caught.value)
    assert worst.wrong and f"[{worst.index[0]}, {worst.index[1]}]" in text
    for number in (f"{worst.gradient:.12g}", f"{worst.finite_difference:.12g}", f"{worst.step:.3g}"):
        assert number in text
    assert not caught.value.report


def test_check_grads_finds_errors_of_the_second_order_only(monkeypatch):
    """A gradient whose value is right but which is cut from the tape fails at order 2, and only there."""
    monkeypatch.setitem(ac.TABLE["exp"].__dict__, "vjps", (lambda g, y, a: g * ac.stop_gradient(y),))
    assert ac.check_grads(ac.exp, X, order=1)
    with pytest.raises(GradientError, match="order 2"):
        ac.check_grads(ac.exp, X, order=2)


def test_check_grads_suspects_a_kink():
    with pytest.raises(GradientError, match="a kink may lie within the step"):
        ac.check_grads(ac.abs, np.array([1e-4]), order=1)
    with pytest.raises(TypeError, match=r"int\d\d"):
        ac.check_grads(ac.abs, np.array([1, 2]))


# ---- a sweep that is interrupted


def everything(y):
    return [None if line.grad is None else line.grad.copy() for line in ac.Tape(y)]


def same(one, other):
    return all((a is None and b is None) or np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, ValueError])
@pytest.mark.parametrize("before", [0, 1])
def test_an_interrupted_backward_adds_nothing_and_can_be_repeated(monkeypatch, error, before):
    """It is interrupted in the rule of each line in turn; ``before``: sweeps that have already been added."""
    a, b = ac.tensor([1.0, 2.0], name="a"), ac.tensor([3.0, 5.0], name="b")
    y = ac.sum(ac.exp(a * b) * a + ac.tanh(b * a))
    lines = len(ac.Tape(y))
    y.backward()
    once = everything(y)
    for x in ac.Tape(y):
        x.grad = None
    for _ in range(before):
        y.backward()
    start = everything(y)
    real = backward.pull
    for at in range(lines):
        count = 0

        def pull(*arguments, at=at):
            nonlocal count
            count += 1
            if count - 1 == at:
                raise error
            return real(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(backward, "pull", pull)
            try:
                y.backward()
            except error:
                assert same(everything(y), start)
            else:
                assert at >= count > 0
                break
    else:
        y.backward()
    assert same(everything(y), [None if g is None else g * (before + 1) for g in once])


def test_an_interrupt_while_gradients_are_put_in_their_places():
    class Line:
        """Its ``.grad`` cannot be assigned ``when`` the time has come."""

        def __init__(self, when=-1):
            self.values, self.when = [np.array(1.0)], when

        @property
        def grad(self):
            return self.values[-1]

        @grad.setter
        def grad(self, value):
            self.when -= 1
            if self.when == -1:
                raise KeyboardInterrupt
            self.values.append(value)

    lines = [Line(), Line(), Line(0), Line()]
    with pytest.raises(KeyboardInterrupt):
        backward._accumulate([(line, np.array(2.0)) for line in lines])
    assert [float(line.grad) for line in lines] == [1, 1, 1, 1]
    backward._accumulate([(line, np.array(2.0)) for line in lines])
    assert [float(line.grad) for line in lines] == [3, 3, 3, 3]


def test_threads_that_sweep_over_one_tape_lose_nothing():
    x = ac.tensor(np.arange(1000.0))
    y = ac.sum(ac.exp(x * 1e-3) * x)
    y.backward()
    once = x.grad.copy()
    x.grad = None
    threads = [threading.Thread(target=lambda: [y.backward() for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_allclose(x.grad, 80 * once, rtol=1e-13)
