"""Products of two operands of each example, as in attention: one call of the machine, the numbers of NumPy."""

from itertools import pairwise

import numpy as np
import pytest
from helpers.random_nets import native

import autoconv as ac
from autoconv.plan.contractions import Dot, Gemm, Outer, Product
from autoconv.plan.run import native_run

RNG = np.random.default_rng(0)

PRODUCTS = {  # spec, sizes of the letters besides the examples n
    "scores of heads": ("nhsd,nhtd->nhst", {"h": 3, "s": 5, "t": 6, "d": 4}),
    "values of heads": ("nhst,nhtd->nhsd", {"h": 2, "s": 5, "t": 7, "d": 20}),
    "heads inside": ("nshd,nthd->nhst", {"h": 3, "s": 4, "t": 17, "d": 5}),
    "matrix and vector": ("nsd,nd->ns", {"s": 5, "d": 18}),
    "two vectors": ("nd,nd->n", {"d": 33}),
    "outer product": ("ni,nj->nij", {"i": 5, "j": 19}),
    "transposed result": ("nsd,ntd->nts", {"s": 16, "t": 3, "d": 8}),
    "no letter summed": ("ngi,ngj->ngij", {"g": 2, "i": 3, "j": 4}),
    "examples last": ("sdn,dtn->stn", {"s": 3, "d": 4, "t": 5}),
}


def operands(spec, sizes, examples, dtype):
    return [
        RNG.normal(size=[examples if c == "n" else sizes[c] for c in one]).astype(dtype)
        for one in spec.split("->")[0].split(",")
    ]


@native
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lanes", ["channels", "examples", ""])
@pytest.mark.parametrize("examples", [1, 3, 16])
@pytest.mark.parametrize("name", PRODUCTS)
def test_products_of_each_example_and_their_gradients(name, examples, lanes, dtype, monkeypatch):
    monkeypatch.setenv("AUTOCONV_LANES", lanes)
    spec, sizes = PRODUCTS[name]
    a, b = operands(spec, sizes, examples, dtype)
    f = lambda a, b: ac.sum(ac.tanh(ac.einsum(spec, ac.tanh(a), ac.tanh(b))) ** 2)
    value, (of_a, of_b) = ac.compile(f).value_and_grad(a, b, wrt=(0, 1))

    x, y = np.tanh(a.astype(float)), np.tanh(b.astype(float))
    z = np.tanh(np.einsum(spec, x, y))
    first, second = spec.split("->")[0].split(",")
    back = 2 * z * (1 - z * z)
    result = spec.split("->")[1]
    wanted_a = np.einsum(f"{result},{second}->{first}", back, y) * (1 - x * x)
    wanted_b = np.einsum(f"{result},{first}->{second}", back, x) * (1 - y * y)
    tight = {"rtol": 2e-4, "atol": 2e-5} if dtype == np.float32 else {"rtol": 1e-10, "atol": 1e-12}
    np.testing.assert_allclose(value, (z * z).sum(), rtol=tight["rtol"])
    np.testing.assert_allclose(of_a, wanted_a, **tight)
    np.testing.assert_allclose(of_b, wanted_b, **tight)


def attention(x, w):
    q, k, v = (ac.reshape(x @ w[i], (x.shape[0], x.shape[1], 2, 8)) for i in range(3))
    scores = ac.softmax(ac.einsum("nshd,nthd->nhst", q, k) * 8**-0.5, axis=-1)
    return ac.sum(ac.reshape(ac.einsum("nhst,nthd->nshd", scores, v), x.shape) ** 2)


@native
def test_attention_is_one_call_without_numpy(monkeypatch):
    monkeypatch.setenv("AUTOCONV_LANES", "channels")
    w = [ac.tensor(RNG.normal(size=(16, 16)).astype(np.float32) * 0.3, name=f"w{i}") for i in range(3)]
    x = RNG.normal(size=(4, 6, 16)).astype(np.float32)
    program = ac.compile(lambda x: attention(x, w))
    value, gradients = program.value_and_grad(x, wrt=w)
    expected = attention(ac.tensor(x), w)
    np.testing.assert_allclose(value, expected.value, rtol=1e-5)
    for ours, theirs in zip(gradients, ac.sweep(expected, w), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)
    assert "contract each example" in program.plan and "# NumPy" not in program.plan
    assert " in 1 call" in program.plan


# ---- which layout is taken


def net(*widths, side=1, kernel=1, batch=8):
    """Convolutions and the loss; (function, arguments)."""
    weights = [ac.tensor(RNG.normal(size=(kernel, kernel, a, b)).astype(np.float32) * 0.1) for a, b in pairwise(widths)]
    x = RNG.normal(size=(batch, side, side, widths[0])).astype(np.float32)

    def f(x):
        for w in weights:
            x = ac.relu(ac.conv2d(x, w, padding=kernel // 2))
        return ac.sum(x * x)

    return f, weights, x


CHOSEN = {  # measured both ways on two cores (Zen 4) with AUTOCONV_LANES: which one took less time
    "wide layers, one position": (net(1024, 2048, 2048, batch=32), False),
    "wide layers, few examples": (net(1024, 2048, 2048, batch=4), False),
    "one image": (net(16, 32, 32, side=16, kernel=3, batch=1), True),
    "an MLP": (net(64, 64, 64, batch=128), False),
    "few channels, many examples": (net(1, 6, 6, side=12, kernel=5, batch=64), False),
    "large images": (net(16, 16, 16, side=64, kernel=3, batch=4), True),
}


@native
@pytest.mark.parametrize("name", CHOSEN)
def test_the_layout_is_the_one_that_was_measured_to_be_faster(name, monkeypatch):
    monkeypatch.delenv("AUTOCONV_LANES", raising=False)
    (f, weights, x), channels = CHOSEN[name]
    program = ac.compile(f)
    program.value_and_grad(x, wrt=weights)
    assert ("its channels in" in program.plan) == channels


def test_what_a_block_streams_is_weights_and_sums():
    base, step = np.arange(6), np.arange(5)
    gemm = Gemm(0, [np.ones((6, 2), np.int32)], [], 0, weight_base=base, weight_step=step, x_base=base[:2], x_step=step)
    from autoconv.plan.contractions import Spaced

    rows, columns = Spaced(base, step), Spaced(base[:3], step)
    assert gemm.streams() == 30
    assert Dot(0, [], [], 0, a=rows, b=columns).streams() == 2 * 6 * 3
    assert Outer(0, [], [], 0, a=rows, b=columns, parts=[]).streams() == 2 * 6 * 3
    assert Product(0, [np.ones((6, 3), np.int32)], [], a=rows, b=columns).streams() == 0


@native
def test_a_kernel_that_is_full_is_followed_by_another(monkeypatch):
    from autoconv.plan.lower import lowering

    w = ac.tensor(RNG.normal(size=(3, 3, 4, 4)) * 0.3)
    x = RNG.normal(size=(2, 9, 9, 4))

    def f(x):
        for _ in range(4):
            x = ac.tanh(ac.conv2d(x, w, padding=1)) + x
        return ac.sum(x * x)

    whole = ac.compile(f).value_and_grad(x, wrt=[w])
    monkeypatch.setattr(lowering, "_FULL", 3000)
    made = []
    before = native_run.NativeProgram
    monkeypatch.setattr(native_run, "NativeProgram", lambda *a: made.append(before(*a)) or made[-1])
    parts = ac.compile(f).value_and_grad(x, wrt=[w])
    assert len(made[-1].kernels) > 2
    np.testing.assert_allclose(parts[0], whole[0], rtol=1e-12)
    np.testing.assert_allclose(parts[1][0], whole[1][0], rtol=1e-9)
