"""Programs cut into stages by sums over all examples: the same numbers as NumPy,
and little is carried from stage to stage."""

import numpy as np
import pytest
from helpers.random_nets import native, swept

import autoconv as ac
from autoconv import nn, optim
from autoconv.plan.rewrite.factor_sums import factor_sums
from autoconv.plan.run import native_run
from autoconv.program.numpy_run import NumpyRun
from autoconv.program.program import from_tape
from autoconv.program.rewrite import hoist, simplify


def simplified(f, arguments, parameters):
    """The program of f and of its gradients for ``parameters``, simplified as a compiled function's is."""
    return simplify(swept(f, arguments, parameters))


def net(seed, dtype):
    """(f, parameters, shape of one example): blocks of convolution and normalisation, some residual, some pooled."""
    rng = np.random.default_rng(seed)
    parameters = []

    def parameter(*shape, around=0.0):
        parameters.append(ac.tensor((around + rng.normal(size=shape) * 0.3).astype(dtype)))
        return parameters[-1]

    channels, size = int(rng.integers(2, 7)), int(rng.integers(8, 11))
    layers = []
    for _ in range(2):
        w = parameter(3, 3, channels, channels)
        b, gain, shift = parameter(channels), parameter(channels, around=1.0), parameter(channels)
        kind, activation, residual, pooled = rng.integers(3), rng.integers(3), rng.integers(2), rng.integers(3)

        def block(x, w=w, b=b, gain=gain, shift=shift, choice=(kind, activation, residual, pooled)):
            kind, activation, residual, pooled = choice
            y = ac.conv2d(x, w, b, padding=1)
            if kind == 2:
                y = y * gain / ac.sqrt(ac.mean(y * y) + 1) + shift
            elif kind:
                y = ac.layer_norm(y, gain, shift, axis=-1)
            else:
                y = ac.batch_norm(y, gain, shift)
            y = [ac.relu, ac.tanh, lambda y: ac.maximum(y, 0.1 * y)][activation](y)
            y = x + y if residual else y
            return [lambda y: y, lambda y: ac.max_pool2d(y, 2), lambda y: ac.avg_pool2d(y, 2)][pooled](y)

        layers.append(block)
    w = parameter(channels, 3)

    def f(x, labels):
        for layer in layers:
            x = layer(x)
        return ac.losses.cross_entropy(ac.mean(ac.batch_norm(x), axis=(1, 2)) @ w, labels)

    return f, parameters, (size, size, channels)


def data(seed, examples, shape, dtype):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(examples, *shape)).astype(dtype), rng.integers(0, 3, examples)


@native
@pytest.mark.parametrize("lanes", ["examples", "channels"])
@pytest.mark.parametrize("examples", [1, 3, 17, 32])
@pytest.mark.parametrize("seed", range(8))
def test_nets_with_statistics_of_the_batch(seed, examples, lanes, monkeypatch):
    monkeypatch.setenv("AUTOCONV_LANES", lanes)
    dtype = [np.float64, np.float32][seed % 4 == 3]
    f, parameters, shape = net(seed, dtype)
    arguments = data(seed + 100, examples, shape, dtype)
    program = simplified(f, arguments, parameters)
    planned = native_run.plan(program, arguments)
    assert planned is not None and len(planned.native.kernels) > 2
    expected = NumpyRun(program).run(arguments)
    largest = max(np.abs(y).max() for y in expected)
    for _ in range(2):  # the second run is in the memory of the first
        for got, wanted in zip(planned.run(arguments), expected, strict=True):
            atol = 1e-3 * largest if dtype == np.float32 else 1e-9 * largest
            np.testing.assert_allclose(got, wanted, rtol=0, atol=atol)


@native
@pytest.mark.parametrize("lanes", ["examples", "channels"])
def test_what_is_only_other_names_is_not_stored(lanes, monkeypatch):
    monkeypatch.setenv("AUTOCONV_LANES", lanes)
    w = ac.tensor(np.full((3, 3, 2, 2), 0.1))
    x, labels = data(1, 5, (6, 6, 2), np.float64)
    f = lambda x, labels: ac.sum(ac.batch_norm(ac.conv2d(ac.tanh(x), w, padding=1)) ** 3)
    planned = native_run.plan(simplified(f, [x, labels], [w]), [x, labels])
    lines = planned.native.program.lines
    stored = [lines[out.line].primitive.name for kernel in planned.native.kernels for out in kernel.outputs]
    assert len(planned.native.kernels) > 2 and stored
    assert not {"windows", "pad", "reshape", "permute_dims", "broadcast_to", "sub"} & set(stored)


@native
def test_results_are_not_in_memory_that_is_used_again():
    f = lambda x, labels: ac.batch_norm(x) ** 2
    (x, labels), (z, _) = (data(seed, 4, (3, 3, 2), np.float64) for seed in (1, 2))
    planned = native_run.plan(simplified(f, [x, labels], []), [x, labels])
    first = planned.run([x, labels])[0]
    before = first.copy()
    planned.run([z, labels])
    np.testing.assert_array_equal(first, before)


def late(x):
    """Numbers of a channel that are there when all examples have been passed over."""
    return ac.sum(x * x, axis=(0, 1))


PRODUCTS = {
    "a number for each channel": (lambda x, c: ac.sum(ac.tanh(x) * late(x), axis=(0, 1)), 0),
    "one that is there already": (lambda x, c: ac.sum(ac.tanh(x) * c, axis=(0, 1)), 1),
    "one after the other": (lambda x, c: ac.sum(-(ac.tanh(x) * late(x) / late(x)), axis=(0, 1)), 0),
    "with the axes kept": (lambda x, c: ac.sum(-(ac.tanh(x) / late(x)), axis=(0, 1), keepdims=True), 0),
    "twice the same": (lambda x, c: ac.sum((lambda y: y + y)(ac.tanh(x) * late(x)), axis=(0, 1)), 0),
    "of an example": (lambda x, c: ac.sum(x * ac.sum(x, axis=(1, 2), keepdims=True), axis=(1, 2)), 1),
    "different for each term": (lambda x, c: ac.sum(ac.tanh(x) * late(x), axis=2), 1),
    "within a product": (lambda x, c: ac.sum((ac.tanh(x) * late(x)) * x, axis=(0, 1)), 2),
}


def recorded(f, seed):
    """(the program of f(x, c), x (4, 3, 2), c (2,))"""
    rng = np.random.default_rng(seed)
    x, c = rng.normal(size=(4, 3, 2)), rng.normal(size=2) + 3
    start = ac.tensor(0).serial
    lines = [ac.tensor(x), ac.tensor(c)]
    return simplify(from_tape([f(*lines)], lines, start)), x, c


@pytest.mark.parametrize("name", PRODUCTS)
def test_what_is_taken_out_of_a_sum(name):
    """The numbers stay, and so many products and quotients of the size of x are left."""
    f, left = PRODUCTS[name]
    program, x, c = recorded(lambda x, c: f(x, c) * 1.5, seed=5)
    taken = simplify(factor_sums(program))
    assert bool(taken.checks) == (left == 0)
    np.testing.assert_allclose(NumpyRun(taken).run([x, c])[0], NumpyRun(program).run([x, c])[0], rtol=1e-12)
    count = lambda p: sum(
        line.primitive is not None and line.primitive.name in ("mul", "div")
        for line in p.lines
        if line.shape == x.shape
    )
    squares = 1 if name not in ("one that is there already", "of an example") else 0
    assert count(taken) == left + squares


REPEATED = {  # of x (4, 3, 2), c (2,): how many elements the largest result of arithmetic has
    "of two arrays": (lambda x, c: ac.broadcast_to(c, (4, 3, 2)) * ac.broadcast_to(c * c, (4, 3, 2)), 2),
    "of an array and a number": (lambda x, c: 2.0 / ac.broadcast_to(c, (4, 3, 2)), 2),
    "one after the other": (lambda x, c: ac.exp(-ac.broadcast_to(c, (4, 3, 2))) + 1.0, 2),
    "along different axes": (
        lambda x, c: ac.broadcast_to(c, (4, 3, 2)) - ac.broadcast_to(ac.sum(x, axis=(1, 2), keepdims=True), (4, 3, 2)),
        8),
    "of what is not repeated": (lambda x, c: ac.broadcast_to(c, (4, 3, 2)) * x, 24),
    "in another dtype": (lambda x, c: ac.where(ac.broadcast_to(c, (4, 3, 2)) > 3.0, 1.0, 2.0), 2),
}  # fmt: skip


@pytest.mark.parametrize("name", REPEATED)
def test_arithmetic_before_numbers_are_repeated(name):
    f, elements = REPEATED[name]
    program, x, c = recorded(f, seed=6)
    made = simplify(hoist(program))
    np.testing.assert_array_equal(NumpyRun(made).run([x, c])[0], NumpyRun(program).run([x, c])[0])
    rows = [line for line in made.lines if line.primitive is not None and line.primitive.group == "arithmetic"]
    assert max(np.prod(line.shape, dtype=int) for line in rows) == elements


@native
def test_a_batch_normalisation_is_three_calls():
    """The mean; the variance, and what the sweep adds up; the rest."""
    x, labels = data(1, 5, (4, 4, 2), np.float64)
    gain, shift = ac.tensor([1.5, 0.5]), ac.tensor([0.1, 0.2])
    f = lambda x, labels: ac.sum(ac.batch_norm(ac.tanh(x), gain, shift) ** 2)
    planned = native_run.plan(simplified(f, [x, labels], [gain, shift]), [x, labels])
    assert len(planned.native.kernels) == 3


def grouped(x):
    """Normalised over positions and over the channels of each half."""
    n, height, width, channels = x.shape
    y = ac.layer_norm(ac.reshape(x, (n, height * width, 2, channels // 2)), axis=(1, 3))
    return ac.reshape(y, x.shape)


EVERY = (0, 1, 2)
BETWEEN = {  # what is done between two convolutions of 4 channels
    "batch norm": lambda y: ac.relu(ac.batch_norm(y)),
    "twice": lambda y: ac.batch_norm(ac.tanh(ac.batch_norm(y))),
    "each position": lambda y: y - ac.mean(y, axis=0),
    "one number for all": lambda y: y / ac.sqrt(ac.mean(y * y) + 1),
    "layer norm": lambda y: ac.layer_norm(y, axis=-1),
    "group norm": lambda y: grouped(ac.batch_norm(y)),
    "a clipped deviation": lambda y: y / ac.clip(ac.sqrt(ac.mean(y * y, axis=EVERY) + 0.1), 0.2, 0.8),
    "a softmax of the means": lambda y: y * ac.softmax(ac.mean(y, axis=EVERY)),
    "channels in pairs": lambda y: y / (1 + ac.reshape(
        ac.sum(ac.reshape(ac.mean(y * y, axis=EVERY), (2, 2)), axis=0, keepdims=True) * np.ones((2, 1), y.dtype), (4,)
    )),
    "the sum of all channels": lambda y: y / ac.sqrt(ac.sum(ac.mean(y * y, axis=EVERY)) + 1),
    "where it is large": lambda y: ac.where(ac.mean(y, axis=EVERY) > 0.1, y, 0.5 * y),
    "channels exchanged": lambda y: y - ac.flip(ac.mean(y, axis=EVERY), axis=0),
    "repeated by hand": lambda y: y / ac.sqrt(ac.broadcast_to(ac.mean(y * y, axis=EVERY), y.shape) + 1),
    "a bias from the batch": lambda y: ac.conv2d(y, np.full((1, 1, 4, 4), 0.5, y.dtype),
        ac.tanh(ac.mean(y, axis=EVERY))),
}  # fmt: skip


def between(name, dtype):
    """(f, parameters): a convolution, what stands between, a convolution and a loss."""
    rng = np.random.default_rng(7)
    parameters = [ac.tensor((rng.normal(size=(3, 3, 4, 4)) * 0.3).astype(dtype)) for _ in range(2)]
    parameters += [ac.tensor(rng.normal(size=shape).astype(dtype)) for shape in ((4,), (4, 3))]

    def f(x, labels):
        y = BETWEEN[name](ac.conv2d(x, parameters[0], parameters[2], padding=1))
        return ac.losses.cross_entropy(ac.mean(ac.conv2d(y, parameters[1]), axis=(1, 2)) @ parameters[3], labels)

    return f, parameters


def waited_for(planned):
    """The lines that NumPy computes from what a stage made, for another stage to read."""
    lines = planned.native.program.lines
    made = {x.line for kernel in planned.native.kernels for x in (*kernel.results, *kernel.outputs)}
    late = set()
    for i in sorted(planned.native.by_numpy):
        if any(x in made or x in late for x in lines[i].operands):
            late.add(i)
    read = {x.line for kernel in planned.native.kernels for x in kernel.inputs}
    return [planned.native.program.text(i) for i in sorted(late & read)]


@pytest.mark.quick(2)
@native
@pytest.mark.parametrize("lanes", ["examples", "channels"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", BETWEEN)
def test_no_stage_waits_for_numpy(name, dtype, lanes, monkeypatch):
    monkeypatch.setenv("AUTOCONV_LANES", lanes)
    f, parameters = between(name, dtype)
    for examples in (1, 3, 17, 32):
        arguments = data(examples, examples, (6, 6, 4), dtype)
        program = simplified(f, arguments, parameters)
        planned = native_run.plan(program, arguments)
        # 144 numbers for each of 32 examples take two lanes longer than they take NumPy
        assert waited_for(planned) == [] or (name == "each position" and planned.native.layout.lanes < 4)
        expected = NumpyRun(program).run(arguments)
        largest = max(np.abs(y).max() for y in expected)
        for got, wanted in zip(planned.run(arguments), expected, strict=True):
            atol = 1e-4 * largest if dtype == np.float32 else 1e-11 * largest
            np.testing.assert_allclose(got, wanted, rtol=0, atol=atol)


@native
def test_what_takes_the_machine_longer_is_left_to_numpy():
    """Thousands of numbers once more for each of a hundred blocks of examples, beside hardly anything else."""
    f = lambda x, labels: ac.sum(ac.batch_norm(x) ** 3)
    x, labels = data(2, 1600, (2000,), np.float32)
    planned = native_run.plan(simplified(f, [x, labels], []), [x, labels])
    assert waited_for(planned)


@native
@pytest.mark.parametrize("lanes", ["examples", "channels"])
def test_running_statistics_of_compiled_steps(lanes, monkeypatch):
    """0.9 of the old and 0.1 of the batch's, the variance unbiased; they are observed when the last stage is done."""
    monkeypatch.setenv("AUTOCONV_LANES", lanes)
    first, second = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    optimizer = optim.SGD([*first.parameters(), *second.parameters()], lr=0.0)
    program = ac.compile(lambda x: ac.mean(second(ac.tanh(first(x))) ** 3))
    expected = [(np.zeros(3), np.ones(3))] * 2
    for seed in (1, 2, 3):
        x = np.random.default_rng(seed).normal(1, 2, size=(5, 4, 4, 3)).astype(np.float32)
        program.step(optimizer, x)
        y = x.astype(np.float64)
        for k, (mean, var) in enumerate(expected):
            mu, variance = y.mean(axis=EVERY), y.var(axis=EVERY)
            expected[k] = 0.9 * mean + 0.1 * mu, 0.9 * var + 0.1 * variance * 80 / 79
            y = np.tanh((y - mu) / np.sqrt(variance + 1e-5))
    for layer, (mean, var) in zip((first, second), expected, strict=True):
        np.testing.assert_allclose(layer.running_mean, mean, atol=1e-5)
        np.testing.assert_allclose(layer.running_var, var, rtol=1e-5)


@native
def test_a_plan_says_what_numpy_does():
    f, parameters = between("batch norm", np.float32)
    arguments = data(1, 5, (6, 6, 4), np.float32)
    program = simplified(f, arguments, parameters)
    head, *lines = native_run.plan(program, arguments).describe().splitlines()
    assert ", 2 lines left to NumPy;" in head  # where labels stand, and the mean of the loss
    assert sum("# NumPy" in line for line in lines) == 2
    (root,) = [line for line in lines if " sqrt(" in line]
    assert root.endswith("# elementwise on 4 cells (2 calls)")  # to normalise, and in the sweep


@native
def test_the_slopes_of_a_clip_are_the_machine_s():
    x, labels = data(1, 5, (4, 4, 2), np.float64)
    f = lambda x, labels: ac.sum(ac.clip(ac.tanh(3 * x * w), -0.5, 0.9) ** 2)
    w = ac.tensor([1.5, 0.5])
    program = simplified(f, [x, labels], [w])
    planned = native_run.plan(program, [x, labels])
    assert len(planned.native.kernels) == 1
    y = np.tanh(3 * x * w.value)
    inside = (y > -0.5) & (y < 0.9)
    slope = (2 * y * (1 - y * y) * 3 * x * inside).sum(axis=EVERY)
    np.testing.assert_allclose(planned.run([x, labels])[1], slope, rtol=1e-12)
