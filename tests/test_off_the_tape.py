"""A tape is never lost silently: a conversion to plain numbers records, or raises and says what to write; and what
nobody differentiates is read like any array."""

import copy
import json
import math
import pickle
import random
from functools import reduce

import numpy as np
import pytest

import autoconv as ac
from autoconv import nn, optim, train

AT = np.array([0.7, 1.2, 1.9])


def filled(x):
    out = np.zeros(3)
    for i in range(3):
        out[i] = x[i] * x[i]
    return out.sum()


def filled_by_rows(x):
    out = np.zeros((2, 3))
    out[0] = x
    out[1, :] = x * x
    return out.sum()


def added_in_place(x):
    out = np.zeros(3)
    out += x * x
    return out.sum()


def listed(x):
    rows = [x * k for k in range(3)]
    return np.array(rows).sum()


def into_a_buffer(x):
    buffer = np.empty(3)
    np.copyto(buffer, x)
    return buffer.sum()


def by_hand(x):
    """A student's convolution, in a loop over an array of zeros."""
    k, out = np.array([0.5, -1.0]), np.zeros(2)
    for i in range(2):
        out[i] = np.sum(x[i : i + 2] * k)
    return np.sum(out * out)


# a function of three numbers, which NumPy computes of an array; on Tensors it records the same or raises
FUNCTIONS = {
    "array of numbers": lambda x: np.array([x[0], x[1] * x[1]]).sum(),
    "array of arrays": lambda x: np.array([x, x * x]).sum(),
    "array of a comprehension": lambda x: np.array([v * v for v in x]).sum(),
    "array of a list": listed,
    "array of a tuple, in a dtype": lambda x: np.asarray((x, x), dtype=np.float32).sum(),
    "asarray": lambda x: np.sum(np.asarray(x) ** 2),
    "asanyarray, float32": lambda x: np.asanyarray(x, np.float32).sum(),
    "ascontiguousarray": lambda x: np.ascontiguousarray(x).sum(),
    "float64": lambda x: np.float64(x[0]) * 2,
    "mean of a list": lambda x: np.mean([x, x + 2]),
    "sum of a list": lambda x: np.sum([x[0], x[1]]),
    "max of a list": lambda x: np.max([x[0], x[1]]),
    "exp of a list": lambda x: np.exp([x[0], x[1]]).sum(),
    "concatenated lists": lambda x: np.concatenate(([x[0]], [x[1]])).sum(),
    "stacked": lambda x: np.stack([x, x * x]).sum(),
    "vstacked": lambda x: np.vstack([x, x * x]).sum(),
    "hstacked": lambda x: np.hstack([x, x * x]).sum(),
    "column_stack": lambda x: np.column_stack([x, x * x]).sum(),
    "block": lambda x: np.block([x, x * x]).sum(),
    "append": lambda x: np.append(x, x * x).sum(),
    "insert": lambda x: np.insert(x * x, 1, 0.0).sum(),
    "r_": lambda x: np.r_[x[0], x[1] * x[1]].sum(),
    "c_": lambda x: np.c_[x, x * x].sum(),
    "one element after the other": filled,
    "one row after the other": filled_by_rows,
    "added in place": added_in_place,
    "a student's convolution": by_hand,
    "copyto": into_a_buffer,
    "dot of an array": lambda x: np.ones((2, 3)).dot(x).sum(),
    "array @ t": lambda x: (np.ones((2, 3)) @ x).sum(),
    "array * t": lambda x: (np.arange(3.0) * x).sum(),
    "number - t": lambda x: (2.0 - x * x).sum(),
    "np.float64 * t": lambda x: (np.float64(2.0) * x).sum(),
    "clip of an array by t": lambda x: np.arange(3.0).clip(x, 9).sum(),
    "math.exp": lambda x: math.exp(x[0]),
    "math.sin, mapped": lambda x: sum(map(math.sin, [x[0], x[1]])),
    "math.fsum": lambda x: math.fsum(x),
    "math.hypot": lambda x: math.hypot(x[0], x[1]),
    "math.pow": lambda x: math.pow(x[0], 2),
    "float": lambda x: float(x[0]) * 2,
    "int": lambda x: int(x[0]) * x[1],
    "complex": lambda x: abs(complex(x[0])),
    "random.uniform": lambda x: random.Random(0).uniform(x[0], x[1]),
    "sum of generator": lambda x: sum(v * v for v in x),
    "reduce": lambda x: reduce(lambda a, b: a * b, x),
    "vectorize": lambda x: np.vectorize(lambda v: v * v)(x).sum(),
    "frompyfunc": lambda x: np.frompyfunc(lambda v: v * v, 1, 1)(x).sum(),
    "fromiter": lambda x: np.fromiter(x, float).sum(),
    "fromiter of products": lambda x: np.fromiter((v * v for v in x), float).sum(),
    "fromfunction": lambda x: np.fromfunction(lambda i: x * i, (3,)).sum(),
    "piecewise": lambda x: np.piecewise(x, [x > 1, x <= 1], [lambda v: v * v, 0.0]).sum(),
    "select": lambda x: np.select([x > 1], [x * x], 0.0).sum(),
    "where": lambda x: np.where(x > 1, x * x, 0.0).sum(),
    "choose": lambda x: np.choose([0, 1, 0], [x, x * x]).sum(),
    "apply_along_axis": lambda x: np.apply_along_axis(lambda v: v * v, 0, x).sum(),
    "apply_over_axes": lambda x: np.apply_over_axes(np.sum, x, [0]).sum(),
    "interp": lambda x: np.interp(0.5, [0.0, 1.0, 2.0], x),
    "interp at t": lambda x: np.interp(x, [0.0, 3.0], [0.0, 9.0]).sum(),
    "convolve": lambda x: np.convolve(x, [1.0, 2.0]).sum(),
    "polyval": lambda x: np.polyval([1.0, 2.0], x).sum(),
    "polyval of coefficients": lambda x: np.polyval(x, 2.0),
    "trapezoid": lambda x: np.trapezoid(x),
    "gradient": lambda x: np.sum(np.gradient(x)),
    "median": lambda x: np.median(x),
    "average": lambda x: np.average(x, weights=[1.0, 2.0, 3.0]),
    "cov": lambda x: np.sum(np.cov(x, x * x)),
    "norm": lambda x: np.linalg.norm(x),
    "norm of a list": lambda x: np.linalg.norm([x[0], x[1]]),
    "det of a list": lambda x: np.linalg.det([[x[0], 1.0], [1.0, x[1]]]),
    "fft": lambda x: np.abs(np.fft.fft(x)).sum(),
    "random choice": lambda x: np.random.default_rng(0).choice(x),
    "random normal around t": lambda x: np.random.default_rng(0).normal(x).sum(),
    "add.reduce": lambda x: np.add.reduce(x * x),
    "add.accumulate": lambda x: np.add.accumulate(x).sum(),
    "multiply.outer": lambda x: np.multiply.outer(x, x).sum(),
    "maximum.reduce": lambda x: np.maximum.reduce(x),
    "add.reduceat": lambda x: np.add.reduceat(x, [0, 2]).sum(),
    "exp with out": lambda x: np.exp(x, out=np.empty(3)).sum(),
    "add with where": lambda x: np.add(x, 1.0, where=np.array([True, True, True]), out=np.zeros(3)).sum(),
    "sum with out": lambda x: np.sum(x, out=np.zeros(())) * 1.0,
    "einsum": lambda x: np.einsum("i,i->", x, x),
    "array of objects": lambda x: np.array([v * v for v in x], dtype=object).sum(),
    "masked": lambda x: np.ma.masked_array(x, [True, False, False]).sum(),
    "nested lists": lambda x: np.array([[x[0], 1.0], [x[1], 2.0]]).sum(),
    "lexsort and take": lambda x: np.sort(x)[0],
    "tensor of a list": lambda x: ac.sum(ac.tensor([x[0], x[1]])),
    "sum of a nested list": lambda x: ac.sum([[x[0], x[1]]]),
    "memory": lambda x: np.sum(np.frombuffer(memoryview(np.asarray(x)))),
    "json": lambda x: sum(json.loads(json.dumps([float(x[0]), float(x[1])]))),
}  # fmt: skip

REFUSED = (TypeError, ValueError, BufferError)
CALLS = {
    "grad": lambda f: ac.grad(f)(AT),
    "grad of a Tensor": lambda f: ac.grad(f)(ac.tensor(AT)).value,
    "value_and_grad": lambda f: ac.value_and_grad(f)(AT)[1],
    "vjp": lambda f: ac.vjp(f, AT)[1](np.array(1.0))[0],
    "jacobian": lambda f: ac.jacobian(f)(AT),
    "jvp": lambda f: np.stack([ac.jvp(f, AT, row)[1] for row in np.eye(3)]),
    "gradient of a gradient's argument": lambda f: ac.grad(lambda x: f(x) + 0 * ac.grad(f)(x).sum())(AT),
    "compile": lambda f: ac.compile(f).value_and_grad(AT, wrt=0)[1],
    "compile, closed over": lambda f: ac.compile(lambda: f(LEAF)).value_and_grad()[1][0],
}
LEAF = ac.tensor(AT)


SECOND = {
    "hessian": lambda f: ac.hessian(f)(AT),
    "hvp": lambda f: ac.hvp(f, AT, np.ones(3)),
    "jvp of a gradient": lambda f: ac.jvp(ac.grad(f), AT, np.ones(3))[1],
    "check_grads": lambda f: ac.check_grads(f, AT),
}


def differences(f):
    """df/dx of a function of an array, from its values alone."""
    steps = 1e-6 * np.eye(3)
    return np.array([(np.asarray(f(AT + h)) - np.asarray(f(AT - h))) / 2e-6 for h in steps], float).ravel()


def expected(name):
    """The gradient that NumPy's own function has; None where it takes no plain arrays either, or no double."""
    if name in ("array of objects", "asanyarray, float32", "array of a tuple, in a dtype"):
        return None  # whose values are too coarse, or no array
    return differences(FUNCTIONS[name])


def said(error):
    """What an error says, and those that it came from (NumPy puts its own before ours)."""
    texts = []
    while error is not None:
        texts.append(str(error))
        error = error.__cause__ or error.__context__
    return " ".join(texts)


def remedied(error):
    text = said(error)
    return any(word in text for word in ("t.value", "use ac.", "use t", "ac.stack", "ac.sum", "not a Tensor", "write "))


def outcome(call):
    """(what a call returns, False), or (None, True) for one that is refused with a remedy."""
    try:
        return call(), False
    except REFUSED as error:
        if not remedied(error):
            raise
        return None, True


@pytest.mark.quick(2)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_it_records_or_raises(name, call):
    found, refused = outcome(lambda: CALLS[call](FUNCTIONS[name]))
    if refused:
        return
    wanted = expected(name)
    assert wanted is not None, "it must raise"
    np.testing.assert_allclose(np.asarray(found).ravel(), wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("call", SECOND)
@pytest.mark.parametrize("name", ["array of numbers", "one element after the other", "math.exp", "float", "asarray"])
def test_second_derivatives_raise_as_well(name, call):
    with pytest.raises(REFUSED) as caught:
        SECOND[call](FUNCTIONS[name])
    assert remedied(caught.value)


@pytest.mark.parametrize("name", ["array of numbers", "one element after the other", "math.exp", "float", "asarray"])
def test_training_raises_as_well(name):
    class Net(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(3, 2, rng=0)

        def forward(self, x):
            return self.layer(x) * FUNCTIONS[name](self.layer.weight[:, 0])

    model, data = Net(), (np.ones((4, 3), np.float32), np.zeros(4, int))
    with pytest.raises(REFUSED) as caught:
        train.fit(model, data, epochs=1, optimizer=optim.SGD(model.parameters(), lr=0.1), progress=False)
    assert remedied(caught.value)


ASKED = ("asarray", "ascontiguousarray", "float", "int", "complex", "asanyarray, float32", "json", "memory")


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in ASKED])
def test_a_computed_line_records_or_raises(name):
    x = ac.tensor(AT)
    y, refused = outcome(lambda: FUNCTIONS[name](x * 1.0))
    if refused:
        return
    assert isinstance(y, ac.Tensor)
    y.backward()
    np.testing.assert_allclose(x.grad, expected(name), rtol=1e-4, atol=1e-6)


# ---- asked for in so many words, outside of a derivative


class Held:
    pass


HELD, Y = Held(), ac.tensor(AT) * 2.0
HELD.y = Y


def given(y):
    return y


# fmt: off
NAMED = {
    "a name": lambda: np.asarray(Y),
    "a name, in a dtype": lambda: np.asarray(Y, dtype=float),
    "array": lambda: np.array(Y),
    "ascontiguousarray": lambda: np.ascontiguousarray(Y),
    "a call's result": lambda: np.asarray(given(Y)),
    "a result of lists": lambda: np.asarray(ac.stack([Y, Y])[0], float),
    "an attribute": lambda: np.asarray(HELD.y),
    "an element of a dict": lambda: np.asarray({"y": Y}["y"]),
    "on the way into a method": lambda: np.asarray(given(Y)).copy(),
    "in an argument": lambda: given(np.asarray(Y)),
    "in a comprehension": lambda: [np.asarray(y) for y in (Y, Y)][1],
    "mapped": lambda: next(iter(list(map(np.asarray, (Y,))))),
    "either": lambda: np.asarray(AT if HELD is None else Y),
    "or": lambda: np.asarray(None or Y),
    "value": lambda: Y.value,
    "numpy": lambda: Y.numpy(),
    "to_numpy": lambda: Y.to_numpy(),
    "in no_grad": lambda: without_lines(lambda: np.array([Y[0], Y[1], Y[2]])),
    "of stop_gradient": lambda: np.array([ac.stop_gradient(y) for y in Y]),
}
ONE = {
    "float": lambda y: float(y),
    "int": lambda y: int(y) + 0.4,
    "item": lambda y: y.item(),
    "round": lambda y: round(float(y), 1),
    "an element": lambda y: float(Y[0]),
    "two in one line": lambda y: float(y) + float(y) - float(y),
    "format": lambda y: float(f"{y:.3f}"),
    "percent": lambda y: float("%.3f" % y),  # noqa: UP031
    "percent of two": lambda y: float(("%.3f %d" % (y, 1))[:5]),  # noqa: UP031
    "mapped": lambda y: sum(map(float, [y])),
    "a question of math": lambda y: 1.4 * (math.isclose(y, 1.4) and not math.isnan(y) and math.isfinite(y)),
    "key": lambda y: float(max([y], key=float)),
    "str.format": lambda y: float("{:.2f}".format(y)),  # noqa: UP032
    "complex": lambda y: complex(y).real,
    "value": lambda y: y.value,
    "tolist": lambda y: np.asarray(y).tolist(),
}
# fmt: on


def without_lines(f):
    with ac.no_grad():
        return f()


@pytest.mark.parametrize("name", NAMED)
def test_who_names_the_array_gets_it(name):
    for _ in range(20):  # Python rewrites instructions that run often
        np.testing.assert_array_equal(NAMED[name](), 2 * AT)


@pytest.mark.parametrize("name", ONE)
def test_who_names_the_number_gets_it(name):
    for _ in range(20):
        assert ONE[name](Y[0]) == pytest.approx(1.4)


def test_a_loss_in_a_log_and_a_condition():
    w, seen = nn.Parameter([2.0, -1.0], dtype=float), []
    for _ in range(3):
        loss = ac.sum(w * w)
        seen.append(float(loss))
        w.grad = None
        loss.backward()
        with ac.no_grad():
            w -= 0.1 * w.grad
    np.testing.assert_allclose(seen, [5 * 0.64**k for k in range(3)])

    def kink(x):
        return x * 2 if float(x) > 0 else -x

    assert ac.grad(kink)(3.0) == 2 and ac.grad(kink)(-3.0) == -1
    assert ac.grad(lambda x: x * x if math.isfinite(x) and ("%.1f" % x, f"{x:.1f}") == ("3.0", "3.0") else x)(3.0) == 6  # noqa: UP031
    with pytest.raises(TypeError, match=r"t\.item\(\)"):
        ac.grad(lambda x: x * float(x))(3.0)
    assert ac.grad(lambda x: x * x.item())(3.0) == 3


def test_a_closed_over_input_is_not_being_differentiated():
    w = ac.tensor(AT)
    np.testing.assert_array_equal(ac.grad(lambda x: (x * np.asarray(w)).sum())(AT), AT)
    with pytest.raises(TypeError, match="has a gradient"):
        ac.compile(lambda x: (x * np.array([w[0], w[1], w[2]])).sum()).value_and_grad(AT)


# ---- read like any array: inputs, parameters and constants, by whoever reads


def test_inputs_and_constants_are_arrays_to_everyone():
    leaf, parameter = ac.tensor(AT), nn.Parameter(AT)
    for x in (leaf, parameter, ac.stop_gradient(leaf * 2), without_lines(lambda: leaf * 2), ac.tensor([1, 2, 3])):
        for made in (np.array([x, x])[0], np.stack([np.asarray(x)])[0], list(map(float, x))):
            np.testing.assert_array_equal(made, x.value)
        out = np.zeros(3)
        out[0], out[1:] = x[0].value, x.value[1:]
        np.testing.assert_array_equal(np.ones((2, 3)).dot(x), np.ones((2, 3)).dot(x.value))
        assert len(x) == 3 and np.isfinite(x).all() and [v.item() for v in x] == x.value.tolist()


def test_copies():
    leaf = ac.tensor(AT, name="x")
    y = leaf * 2
    for copied in (copy.copy(leaf), copy.deepcopy(leaf), pickle.loads(pickle.dumps(leaf))):
        assert copied is not leaf and copied.name == "x" and not np.shares_memory(copied.value, leaf.value)
        np.testing.assert_array_equal(copied.value, AT)
    assert copy.copy(y) is y  # a line never changes, and its copy stands on the same tape
    copy.copy(y).sum().backward()
    np.testing.assert_array_equal(leaf.grad, [2, 2, 2])
    for refused in (copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"stands on a tape; copy its t\.value"):
            refused(y)
    constant = ac.stop_gradient(y)
    np.testing.assert_array_equal(copy.deepcopy(constant).value, 2 * AT)
    assert pickle.loads(pickle.dumps(constant)).constant


class Plotter:
    """What matplotlib does with what it is given: ``to_numpy`` where there is one, then NumPy's conversions."""

    def plot(self, x):
        x = x.to_numpy() if hasattr(x, "to_numpy") else np.atleast_1d(x)
        return np.asarray(copy.copy(x), float)


def test_a_library_that_asks_for_to_numpy():
    for x in (ac.tensor(AT), ac.tensor(AT) * 1, nn.Parameter(AT)):
        np.testing.assert_allclose(Plotter().plot(x), AT, rtol=1e-6)


def test_numpy_testing_reads_computed_lines():
    np.testing.assert_allclose([Y[0], Y[1], Y[2]], 2 * AT)
    np.testing.assert_array_equal(Y, 2 * AT)
    assert [Y[0], Y[1]] == [pytest.approx(1.4), pytest.approx(2.4)]
