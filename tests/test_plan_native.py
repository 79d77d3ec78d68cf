"""The native machine: the same numbers as NumPy on random nets and geometries, both dtypes,
any batch and number of threads."""

import math

import numpy as np
import pytest
from helpers.random_nets import in_dtype, layouts, native, random_net, swept

import autoconv as ac
from autoconv import nn
from autoconv.compiled import compile
from autoconv.plan.run import native_run
from autoconv.program.numpy_run import NumpyRun
from autoconv.program.rewrite import simplify
from autoconv.program.slope_of_result import slope_of_result


@native
@pytest.mark.parametrize("channels", [False, True, None], ids=["examples", "channels", "chosen"])
@pytest.mark.parametrize("seed", range(60))
def test_random_nets(seed, channels, monkeypatch):
    f, parameters, shape = random_net(seed)
    rng = np.random.default_rng(seed + 1000)
    examples = [1, 3, 8, 16, 37][seed % 5]
    dtype = [np.float32, np.float64][seed % 2]
    in_dtype(parameters, dtype)
    if channels is not None:
        possible = [x for x in layouts(dtype) if x.channels == channels]
        monkeypatch.setattr(native_run, "choose", lambda *_: possible[seed % len(possible)])
    x, labels = rng.normal(size=(examples, *shape)).astype(dtype), rng.integers(0, 3, examples)
    program = simplify(swept(f, [x, labels], parameters))
    planned = native_run.plan(program, [x, labels])
    assert planned is not None
    assert channels in (None, planned.native.layout.channels)
    for got, expected in zip(planned.run([x, labels]), NumpyRun(program).run([x, labels]), strict=True):
        scale = np.abs(expected).max() + 1e-3
        np.testing.assert_allclose(got / scale, expected / scale, atol=5e-4 if dtype == np.float32 else 1e-12)
        assert got.dtype == expected.dtype and got.shape == expected.shape


FUNCTIONS = {
    "batch norm": lambda x, w: ac.sum(ac.batch_norm(x, w, w) ** 3),
    "layer norm": lambda x, w: ac.sum(ac.layer_norm(x, w, axis=-1) ** 3),
    "softmax": lambda x, w: ac.sum(ac.softmax(x * w, axis=1) ** 2),
    "attention": lambda x, w: ac.sum(ac.softmax(ac.einsum("nijc,nklc->nijkl", x, x * w), axis=-1) ** 2),
    "conv transpose": lambda x, w: ac.sum(
        ac.conv_transpose2d(x, ac.reshape(ac.outer(w, w), (1, 1, 3, 3)), stride=2, output_padding=1) ** 2
    ),
    "global pools": lambda x, w: ac.sum(ac.global_max_pool(x) * w + ac.global_avg_pool(x)),
    "where and comparisons": lambda x, w: ac.sum(ac.where(x > w, x * w, ac.minimum(x, 0.3) - 1) / (1 + ac.abs(x))),
    "examples mixed": lambda x, w: ac.sum(ac.flip(x, 0) * x) + ac.sum(x[1:] * x[:-1]) + ac.sum(ac.reshape(x, -1) ** 2),
    "examples in the middle": lambda x, w: ac.sum(ac.moveaxis(x, 0, 2) ** 2 * w),
    "library functions": lambda x, w: ac.sum(
        ac.gelu(x) + ac.sin(x) * ac.cos(w) + ac.log1p(ac.exp(x)) + ac.sqrt(x * x + 1)
    ),
    "powers": lambda x, w: ac.sum((ac.abs(x) + 0.5) ** w + ac.softplus(x)),
    "a product of parameters": lambda x, w: ac.sum(x * ac.sum(ac.outer(w, w), axis=0)),
    "lp pool": lambda x, w: ac.sum(ac.lp_pool2d(x * w, 2, 3, stride=1)),
    "overlapping windows": lambda x, w: ac.sum(
        ac.windows(x, (2, 3), stride=1) * ac.overlap_add(ac.windows(x, (2, 2)), (4, 5))[:, :3, :3, None, None]
    ),
    "standard deviation": lambda x, w: ac.sum(ac.std(x, axis=(1, 2)) * w) + ac.std(x),
    "product": lambda x, w: ac.sum(ac.prod(x, axis=1)) + ac.max(x) - ac.min(x * w),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("examples", [1, 5, 16])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_functions(name, examples, dtype):
    rng = np.random.default_rng(5)
    x, w = rng.normal(size=(examples, 4, 5, 3)).astype(dtype), ac.tensor(rng.uniform(0.5, 1.5, 3).astype(dtype))
    f = FUNCTIONS[name]
    xt = ac.tensor(x)
    y = f(xt, w)
    expected = [y.value, *ac.sweep(y, [xt, w])]
    program = compile(lambda x: f(x, w))
    for _ in range(2):
        value, by_x = program.value_and_grad(x, wrt=0)
        by_w = program.value_and_grad(x, wrt=[w])[1][0]
        for got, e in zip((value, by_x, by_w), expected, strict=True):
            np.testing.assert_allclose(
                got, e, rtol=2e-3 if dtype == np.float32 else 1e-9, atol=2e-4 if dtype == np.float32 else 1e-10
            )


SPECIAL = [
    0.0,
    -0.0,
    np.inf,
    -np.inf,
    np.nan,
    1.0,
    -1.0,
    1e-10,
    -1e-10,
    -0.5,
    20.0,
    -20.0,
    88.7,
    89.0,
    -88.0,
    -103.5,
    -150.0,
    710.0,
    -745.0,
]


@native
@pytest.mark.parametrize("name", ["exp", "log", "log1p", "tanh"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_functions_of_vectors(name, dtype):
    """Within three units in the last place of the true value, over all magnitudes; special values are NumPy's."""
    rng, kind = np.random.default_rng(0), np.finfo(dtype)
    edges = [kind.max, -kind.max, kind.tiny, -kind.tiny, kind.tiny / 8, kind.smallest_subnormal]
    scales = [rng.normal(size=3000) * s for s in (1e-6, 1e-3, 0.1, 1, 10, 80, 600)]
    with np.errstate(all="ignore"):
        x = np.concatenate([SPECIAL, edges, *scales, np.exp(scales[-2] / 2)]).astype(dtype)
        x = np.append(x, np.ones(-len(x) % 37, dtype)).reshape(-1, 37)
        got, true = compile(getattr(ac, name))(x), getattr(np, name)(x.astype(np.longdouble))
        expected = true.astype(dtype)
        np.testing.assert_array_equal(got[~np.isfinite(expected)], expected[~np.isfinite(expected)])
        finite = np.isfinite(expected)
        error = np.abs(got[finite] - true[finite]) / np.spacing(np.abs(expected[finite])).astype(np.longdouble)
    assert error.max() < 3
    np.testing.assert_array_equal(np.signbit(got[0, :2]), np.signbit(expected[0, :2]))


BY_DOUBLE = {  # of x and y in float32, in double precision by the C library
    "erf": (lambda x, y: ac.erf(x) * 1, lambda x, y: math.erf(x)),
    "erfc": (lambda x, y: ac.erfc(x) * 1, lambda x, y: math.erfc(x)),
    "power": (lambda x, y: ac.power(ac.abs(x), y), lambda x, y: abs(x) ** y),
    "whole powers": (lambda x, y: ac.power(x, ac.round(y)), lambda x, y: x ** round(y)),
}


@native
@pytest.mark.parametrize("odd", [(), (0.0, -0.0), (30.0, -np.inf, np.nan)])
@pytest.mark.parametrize("name", BY_DOUBLE)
def test_functions_by_way_of_double_precision(name, odd):
    """Half a unit in the last place where all lanes are ordinary numbers, three (the C library's) where one is not."""
    f, exact = BY_DOUBLE[name]
    rng = np.random.default_rng(2)
    x = rng.uniform(-6, 6, (64, 21)).astype(np.float32)
    y = rng.uniform(0.6, 4.4, x.shape).astype(np.float32)
    x[: len(odd), 0] = odd
    wanted = np.vectorize(exact)(x.astype(np.float64), y.astype(np.float64))
    with np.errstate(all="ignore"):
        found = np.asarray(ac.compile(f)(x, y), np.float64)
        units = np.abs(found - wanted) / np.spacing(np.abs(wanted.astype(np.float32))).astype(np.float64)
    same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    assert np.where(same, 0, units).max() < (3 if len(odd) > 2 else 0.51)
    zeros = wanted == 0
    assert np.array_equal(np.signbit(found[zeros]), np.signbit(wanted[zeros]))


@native
def test_sums_do_not_depend_on_who_adds_them():
    """Whichever thread runs which chunk of a batch, the gradients have the same bits."""
    f, parameters, shape = random_net(5)
    x = np.random.default_rng(0).normal(size=(97, *shape)).astype(np.float32)
    in_dtype(parameters, np.float32)
    program = compile(f)
    labels = np.arange(97) % 3
    first = program.value_and_grad(x, labels, wrt=parameters)
    for _ in range(20):
        again = program.value_and_grad(x, labels, wrt=parameters)
        assert first[0] == again[0] and all(np.array_equal(a, b) for a, b in zip(first[1], again[1], strict=True))


@native
def test_parameters_that_somebody_holds_are_not_written_over():
    w = ac.tensor(np.random.default_rng(0).normal(size=(6, 3)))
    program = compile(lambda x, y: ac.losses.cross_entropy(x @ w, y))
    optimizer = ac.optim.SGD([w], lr=0.1)
    x, y = np.random.default_rng(1).normal(size=(8, 6)), np.arange(8) % 3
    for _ in range(3):
        program.step(optimizer, x, y)
    view, numbers = w.value[1:], w.value[1:].copy()
    recorded = ac.sum(w * w)
    program.step(optimizer, x, y)
    program.step(optimizer, x, y)
    np.testing.assert_array_equal(view, numbers)
    assert not np.array_equal(w.value[1:], numbers) and recorded.item() != ac.sum(w * w).item()


@pytest.mark.parametrize("seed", range(12))
def test_slopes_change_no_number(seed):
    f, parameters, shape = random_net(seed)
    x = np.random.default_rng(seed).normal(size=(2, *shape))
    program = simplify(swept(f, [x, np.array([0, 1])], parameters))
    after = slope_of_result(program)
    assert len(after.lines) <= len(program.lines)
    for a, b in zip(
        NumpyRun(program).run([x, np.array([0, 1])]), NumpyRun(after).run([x, np.array([0, 1])]), strict=True
    ):
        np.testing.assert_array_equal(a, b)


@native
def test_ties_nan_and_infinities():
    f = lambda x: ac.sum(ac.maximum(x, 0) + ac.max_pool1d(x, 2) * 2 + ac.relu(x) + ac.minimum(x, 1, ties="first"))
    x = np.array([[[0.0], [0.0], [1.0], [1.0], [-1.0], [np.inf]], [[np.nan], [1.0], [-0.0], [0.0], [-np.inf], [2.0]]])
    f = lambda x: ac.maximum(x, 0.0) + ac.relu(x) - ac.minimum(x, 1.0, ties="first")
    xt = ac.tensor(x)
    with np.errstate(invalid="ignore"):
        y = f(xt)
        expected = ac.sweep(y, [xt], np.ones(y.shape))[0]
        program = compile(lambda x: ac.sum(f(x)))
        np.testing.assert_array_equal(compile(f)(x), y.value)
        np.testing.assert_array_equal(program.value_and_grad(x, wrt=0)[1], expected)


@pytest.mark.dear
@pytest.mark.quick(1)
@native
@pytest.mark.parametrize(
    "settings",
    [
        {"AUTOCONV_THREADS": "1"},
        {"AUTOCONV_THREADS": "5"},
        {"AUTOCONV_INSTRUCTIONS": "v3"},
        {"AUTOCONV_INSTRUCTIONS": "base"},
        {"AUTOCONV_NATIVE": "0"},
        {"AUTOCONV_LANES": "examples"},
        {"AUTOCONV_LANES": "channels"},
        {"AUTOCONV_LANES": "channels", "AUTOCONV_INSTRUCTIONS": "v3"},
        {"AUTOCONV_LANES": "channels", "AUTOCONV_INSTRUCTIONS": "base"},
    ],
    ids=str,
)
def test_threads_and_instruction_sets(settings, run_python):
    """Each in a process of its own, since the choice is made once;
    the sums print with the digits that all must share."""
    code = (
        "import numpy as np, autoconv as ac; from autoconv.compiled import compile; from autoconv import models\n"
        "m = models.cnn((12, 12, 2), 4, np.random.default_rng(0)); rng = np.random.default_rng(1)\n"
        "x, y = rng.normal(size=(83, 12, 12, 2)).astype('f4'), rng.integers(0, 4, 83)\n"
        "p = compile(lambda x, y: ac.losses.cross_entropy(m(x), y)); o = ac.optim.SGD(m.parameters(), lr=0.1)\n"
        "print(*[f'{p.step(o, x, y):.4f}' for _ in range(4)])"
    )
    assert run_python("-c", code, **settings) == run_python("-c", code)


@native
def test_two_python_threads_share_one_program():
    from concurrent.futures import ThreadPoolExecutor

    w = ac.tensor(np.random.default_rng(0).normal(size=(30, 40)).astype(np.float32))
    program = compile(lambda x: ac.tanh(x @ w))
    xs = [np.random.default_rng(k).normal(size=(64, 30)).astype(np.float32) for k in range(8)]
    with ThreadPoolExecutor(4) as pool:
        for x, y in zip(xs * 5, pool.map(program, xs * 5), strict=True):
            np.testing.assert_allclose(y, np.tanh(x @ w.value), rtol=1e-4, atol=1e-5)


@native
def test_the_plan_says_what_the_machine_does():
    f, parameters, shape = random_net(3)
    program = compile(f)
    x = np.random.default_rng(0).normal(size=(20, *shape))
    program.value_and_grad(x, np.zeros(20, int), wrt=parameters)
    assert "native machine" in program.plan and "contract" in program.plan and "lanes" in program.plan


OPTIMIZERS = {
    "sgd": lambda p: ac.optim.SGD(p, lr=0.05),
    "sgd with decay": lambda p: ac.optim.SGD(p, lr=0.05, weight_decay=0.1),
    "momentum": lambda p: ac.optim.SGD(p, lr=0.05, momentum=0.9, dampening=0.3, weight_decay=0.01),
    "nesterov": lambda p: ac.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "adam": lambda p: ac.optim.Adam(p, lr=0.01, weight_decay=0.1),
    "adamw": lambda p: ac.optim.AdamW(p, lr=0.01, betas=(0.8, 0.99)),
    "rmsprop": lambda p: ac.optim.RMSprop(p, lr=0.01, momentum=0.5),
    "adagrad": lambda p: ac.optim.Adagrad(p, lr=0.01),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_optimizers(name, layout):
    """Four steps with the machine and four without leave the same parameters and the same state."""
    rng = np.random.default_rng(0)
    shape = (9, 9, 3) if layout == "channels_last" else (3, 9, 9)
    x, y = rng.normal(size=(21, *shape)), rng.integers(0, 4, 21)
    build = lambda: nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1, layout=layout, rng=1, dtype=np.float64), nn.Tanh(),
        nn.AvgPool2d(2, layout=layout),
        nn.Flatten(), nn.Linear(80, 4, rng=2, dtype=np.float64),
    )  # fmt: skip
    ours, theirs = build(), build()
    optimizers = [OPTIMIZERS[name](m.parameters()) for m in (ours, theirs)]
    program = compile(lambda x, y: ac.losses.cross_entropy(ours(x), y))
    before = [p.value.copy() for p in ours.parameters()]
    held = [p.value for p in ours.parameters()]
    for _ in range(4):
        got = program.step(optimizers[0], x, y)
        loss = ac.losses.cross_entropy(theirs(x), y)
        optimizers[1].step(ac.sweep(loss, optimizers[1].params))
        assert np.isclose(got, loss.item(), rtol=1e-9)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(a.value, b.value, rtol=1e-9, atol=1e-12)
    for a, b in zip(*[o.state_dict()["state"] for o in optimizers], strict=True):
        assert a.keys() == b.keys() and a["step"] == 4
        for key in a:
            np.testing.assert_allclose(a[key], b[key], rtol=1e-8, atol=1e-12)
    for a, b in zip(held, before, strict=True):
        np.testing.assert_array_equal(a, b)  # who held the old arrays still has the old numbers


@native
def test_a_bad_label_moves_no_parameter():
    w = ac.tensor(np.ones((3, 2)))
    program = compile(lambda x, y: ac.losses.cross_entropy(x @ w, y))
    optimizer = ac.optim.SGD([w], lr=0.1)
    x = np.random.default_rng(0).normal(size=(4, 3))
    program.step(optimizer, x, np.array([0, 1, 0, 1]))
    before = w.value
    with pytest.raises(ValueError, match="out of range"):
        program.step(optimizer, x, np.array([0, 1, 2, 1]))
    assert w.value is before
