"""Programs cut into stages by sums over all examples: the same numbers as NumPy, and little is carried from stage to stage."""

import numpy as np
import pytest

import autoconv as ac
from autoconv.plan import native_run
from autoconv.plan.numpy_run import NumpyRun
from autoconv.plan.passes import simplify
from autoconv.plan.program import from_tape
from autoconv.plan.sums import sums
from autoconv.tape import Tensor

native = pytest.mark.skipif(not native_run.available(), reason="the native machine is not built here, or switched off")


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


def swept(f, arguments, parameters):
    start = ac.tensor(0).serial
    lines = [ac.tensor(x) for x in arguments]
    y = f(*lines)
    gradients = ac.sweep(y, parameters, Tensor(np.ones(y.shape, y.dtype), constant=True))
    return simplify(from_tape([y, *gradients], lines, start))


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
    program = swept(f, arguments, parameters)
    planned = native_run.plan(program, arguments)
    assert planned is not None and len(planned.stages) > 2
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
    planned = native_run.plan(swept(f, [x, labels], [w]), [x, labels])
    lines = planned.program.lines
    stored = [lines[out.line].primitive.name for stage in planned.stages for out in stage.outputs]
    assert len(planned.stages) > 2 and stored
    assert not {"windows", "pad", "reshape", "permute_dims", "broadcast_to", "sub"} & set(stored)


@native
def test_results_are_not_in_memory_that_is_used_again():
    f = lambda x, labels: ac.batch_norm(x) ** 2
    (x, labels), (z, _) = (data(seed, 4, (3, 3, 2), np.float64) for seed in (1, 2))
    planned = native_run.plan(swept(f, [x, labels], []), [x, labels])
    first = planned.run([x, labels])[0]
    before = first.copy()
    planned.run([z, labels])
    np.testing.assert_array_equal(first, before)


PRODUCTS = {
    "a number for each channel": (lambda x, c: ac.sum(x * c, axis=(0, 1)), 0),
    "one for all": (lambda x, c: ac.sum(2.0 * (x / 3.0)), 0),
    "along some axes": (lambda x, c: ac.sum(-(x * x / c), axis=0, keepdims=True), 1),
    "a number for each example": (lambda x, c: ac.sum(x * ac.sum(x, axis=(1, 2), keepdims=True), axis=(1, 2)), 0),
    "factors of factors": (lambda x, c: ac.sum((x * c) * (ac.tanh(x) / c), axis=(0, 1)), 1),
    "twice the same": (lambda x, c: ac.sum((lambda y: y + y)(x * c), axis=0), 0),
    "different for each term": (lambda x, c: ac.sum(x * c, axis=2), 1),
    "below the line": (lambda x, c: ac.sum((x * c) / (x * x + 1), axis=(0, 1)), 2),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_what_is_taken_out_of_a_sum(name):
    """The numbers stay, and so many products and quotients of the size of x are left."""
    f, left = PRODUCTS[name]
    rng = np.random.default_rng(5)
    x, c = rng.normal(size=(4, 3, 2)), rng.normal(size=2) + 3
    start = ac.tensor(0).serial
    lines = [ac.tensor(x), ac.tensor(c)]
    program = simplify(from_tape([f(*lines) * 1.5], lines, start))
    taken = simplify(sums(program))
    np.testing.assert_allclose(NumpyRun(taken).run([x, c])[0], NumpyRun(program).run([x, c])[0], rtol=1e-12)
    whole = [line for line in taken.lines if line.shape == x.shape and line.primitive is not None]
    assert sum(line.primitive.name in ("mul", "div") for line in whole) == left


@native
def test_a_batch_normalisation_is_three_calls():
    """The mean; the variance, and what the sweep adds up; the rest."""
    x, labels = data(1, 5, (4, 4, 2), np.float64)
    gain, shift = ac.tensor([1.5, 0.5]), ac.tensor([0.1, 0.2])
    f = lambda x, labels: ac.sum(ac.batch_norm(ac.tanh(x), gain, shift) ** 2)
    planned = native_run.plan(swept(f, [x, labels], [gain, shift]), [x, labels])
    assert len(planned.stages) == 3
