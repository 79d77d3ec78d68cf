"""Expansion into scalars: the tensor sweep's gradients, values that replay,
and every scalar knows where it came from."""

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest

import autoconv as ac
from autoconv.primitives import TABLE
from autoconv.scalar import Scalar, expand

RNG = np.random.default_rng(7)


def check(f, *arrays, tolerance=1e-12):
    """Values, gradients, and both again after a replay on other numbers, against the tensor tape."""
    inputs = [ac.tensor(a) for a in arrays]
    y = f(*inputs)
    seed = np.random.default_rng(3).normal(size=y.shape)
    flat = expand(y)
    assert np.array_equal(flat.value[flat.output], y.value, equal_nan=True)
    again = flat.run(flat.value[flat.inputs])
    np.testing.assert_allclose(again.value, flat.value, rtol=1e-12, atol=1e-14)
    others = [a + 0.01 * RNG.normal(size=a.shape) for a in arrays]
    numbers = flat.value.copy()
    for x, other in zip(inputs, others, strict=True):
        numbers[flat.scalars(x)] = other
    replay = flat.run(numbers[flat.inputs])
    fresh = [ac.tensor(a) for a in others]
    z = f(*fresh)
    np.testing.assert_allclose(replay.value[replay.output], z.value, rtol=tolerance, atol=1e-13)
    for tape, out, leaves in ((flat, y, inputs), (replay, z, fresh)):
        cotangents = tape.sweep(seed)
        for x, own, expected in zip(inputs, leaves, ac.sweep(out, leaves, seed), strict=True):
            assert own.shape == x.shape
            np.testing.assert_allclose(cotangents[flat.scalars(x)], expected, rtol=tolerance, atol=1e-13)
    return flat


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row.differentiable])
def test_every_row_of_the_table(name):
    row = TABLE[name]
    operands, params = row.example(np.random.default_rng(1))
    floating = [k for k, x in enumerate(operands) if np.asarray(x).dtype.kind == "f"]

    def f(*xs):
        given = list(operands)
        for k, x in zip(floating, xs, strict=True):
            given[k] = x
        return row(*given, **params)

    check(f, *[operands[k] for k in floating])


def image(*shape):
    return RNG.normal(size=shape)


LABELS = np.array([1, 0, 2])
COMPOSED = {
    "conv2d": (lambda x, w, b: ac.conv2d(x, w, b, padding=1, stride=2), image(2, 5, 5, 3), image(3, 3, 3, 4), image(4)),
    "conv2d groups dilation": (
        lambda x, w: ac.conv2d(x, w, groups=2, dilation=2),
        image(1, 6, 6, 4),
        image(2, 2, 2, 6),
    ),
    "conv1d channels_first": (
        lambda x, w: ac.conv1d(x, w, layout="channels_first", padding="same"),
        image(2, 3, 7),
        image(4, 3, 3),
    ),
    "conv2d flip": (lambda x, w: ac.conv2d(x, w, flip=True), image(4, 4), image(2, 2)),
    "conv_transpose2d": (
        lambda x, w: ac.conv_transpose2d(x, w, stride=2, padding=1),
        image(1, 3, 3, 2),
        image(3, 3, 4, 2),
    ),
    "1x1 kernel": (lambda x, w: ac.conv2d(x, w), image(2, 3, 3, 1), image(1, 1, 1, 2)),
    "max_pool2d": (lambda x: ac.max_pool2d(x, 3, stride=2, padding=1), image(1, 7, 7, 2)),
    "avg_pool2d": (lambda x: ac.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False), image(1, 7, 7, 2)),
    "lp_pool2d": (lambda x: ac.lp_pool2d(x, 2), image(1, 4, 4, 2)),
    "windows": (lambda x: ac.windows(x, (2, 2), padding=1), image(3, 3)),
    "overlap_add": (lambda x: ac.overlap_add(x, (3, 3)), image(2, 2, 2, 2)),
    "softmax": (ac.softmax, image(3, 4)),
    "cross_entropy": (lambda x: ac.losses.cross_entropy(x, LABELS), image(3, 4)),
    "layer_norm": (lambda x, g, b: ac.layer_norm(x, g, b), image(3, 4), image(4), image(4)),
    "gelu sigmoid softplus": (lambda x: ac.gelu(x) * ac.sigmoid(x) + ac.softplus(x), image(3, 4)),
    "leaky_relu clip": (lambda x: ac.leaky_relu(x) + ac.clip(x, -0.5, 0.5), image(3, 4)),
    "indexing": (lambda x: x[[0, 2, 0]] * x[::2][:, None, :2].sum() + ac.concat((x, x[:1]), axis=0)[:3], image(3, 4)),
    "matmul broadcast": (lambda a, b: a @ b + b[0, 0], image(2, 3, 4), image(4, 5)),
    "outer": (ac.outer, image(3), image(4)),
    "logsumexp var max": (lambda x: ac.logsumexp(x, 1) * ac.var(x, 1) + x.max(axis=1), image(3, 4)),
    "input alone": (lambda x: x, image(2, 2)),
    "scalar": (lambda x: x * x, image()),
    "sum of one and of none": (lambda x: x[:, :1].sum(axis=1) + x[:, :0].sum(axis=1), image(3, 4)),
}


@pytest.mark.parametrize("name", COMPOSED)
def test_composed_operations(name):
    check(*COMPOSED[name])


def test_a_recorded_sweep_expands_too():
    x, w = ac.tensor(image(1, 5, 5, 2)), ac.tensor(image(3, 3, 2, 2))
    g = ac.grad(lambda w: ac.max_pool2d(ac.conv2d(x, w, padding=1), 2).sum())(w)
    again = ac.grad(lambda x: (ac.grad(lambda x: (ac.tanh(x) * x[:1]).sum())(x) ** 2).sum())
    t = ac.tensor(image(3, 2))
    for y, leaves in ((g, (x, w)), (again(t), (t,))):
        flat = expand(y)
        seed = RNG.normal(size=y.shape)
        assert np.array_equal(flat.value[flat.output], y.value)
        for leaf, expected in zip(leaves, ac.sweep(y, leaves, seed), strict=True):
            found = flat.sweep(seed)[flat.scalars(leaf)] if id(leaf) in flat.places else np.zeros(leaf.shape)
            np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)


# ---- structure: who reads whom


def test_a_convolution_as_scalars():
    x, w = ac.tensor(np.arange(9.0).reshape(3, 3), name="x"), ac.tensor([[1.0, 2], [3, 4]], name="w")
    flat = expand(ac.conv2d(x, w))
    assert [flat[int(i)].operation for i in flat.output.ravel()] == ["sum"] * 4
    terms = [flat[i] for i in flat[int(flat.output[0, 1])].operands]
    assert [tuple(map(flat.name, term.operands)) for term in terms] == [
        ("x[0,1]", "w[0,0]"),
        ("x[0,2]", "w[0,1]"),
        ("x[1,1]", "w[1,0]"),
        ("x[1,2]", "w[1,1]"),
    ]
    assert [term.slopes for term in terms] == [(1, 1), (2, 2), (3, 4), (4, 5)]
    assert (flat.inputs.size, flat.count) == (13, 4 * (4 + 3))
    w00, centre = flat.scalars(w)[0, 0], flat.scalars(x)[1, 1]
    assert flat.readers(w00).size == flat.readers(centre).size == 4


def test_scalars_in_an_array_are_convolved_as_the_tensor_is():
    a, b = image(4, 4), image(2, 2)
    x, w = [np.array([[Scalar(v) for v in row] for row in m]) for m in (a, b)]
    t, u = ac.tensor(a), ac.tensor(b)
    found, expected = ac.conv2d(x, w, padding=1), ac.conv2d(t, u, padding=1)
    (found * found).sum().backward()
    (expected * expected).sum().backward()
    np.testing.assert_allclose(found.astype(float), expected.value, rtol=1e-12)
    np.testing.assert_allclose([[s.grad for s in row] for row in x], t.grad, rtol=1e-12)
    np.testing.assert_allclose([[s.grad for s in row] for row in w], u.grad, rtol=1e-12)


def test_terms_of_a_padded_layer():
    x, w = ac.tensor(image(5, 5, 3), name="x"), ac.tensor(image(3, 3, 3, 16), name="w")
    flat = expand(ac.conv2d(x, w))
    readers = lambda i: flat.readers(int(i)).size
    assert (
        readers(flat.scalars(w)[0, 0, 0, 0]),
        readers(flat.scalars(x)[0, 0, 0]),
        readers(flat.scalars(x)[2, 2, 0]),
    ) == (9, 16, 144)
    padded = expand(ac.conv2d(x, w, padding=1))
    assert padded.readers(0).size == 0
    assert padded[int(padded.output[0, 0, 0])].operands.__len__() == 2 * 2 * 3
    assert padded.sweep()[0] == 0


def test_maximum_opens_into_its_definition_with_the_exact_value():
    x, y = ac.tensor([1.0, 2.0, np.inf, 3.0]), ac.tensor([-1e20, 2.0, np.inf, -np.inf])
    z = ac.maximum(x, y)
    flat = expand(z)
    last = flat[int(flat.output[0])]
    total, half = flat[last.operands[0]], flat[last.operands[1]]
    assert (last.operation, last.value, total.operation, half.value) == ("div", 1, "add", 2)
    assert [flat[i].operation for i in total.operands] == ["add", "abs"]
    assert flat[flat[total.operands[1]].operands[0]].operation == "sub"
    origins = [flat.origin(i) for i in (last.number, total.number)]
    assert [(o.line, o.index, o.inner, o.opened.name) for o in origins] == [
        (z, (0,), False, "maximum"),
        (z, (0,), True, "maximum"),
    ]
    g = flat.sweep()
    assert g[flat.scalars(x)].tolist() == [1, 0.5, 0.5, 1]
    assert g[flat.scalars(y)].tolist() == [0, 0.5, 0.5, 0]
    again = flat.run(flat.value[flat.inputs])
    assert again.value[again.output].tolist() == [1, 2, np.inf, 3]


def test_definitions_inside_definitions_are_exact_too():
    x, y = ac.tensor([1000.0, 0.0]), ac.tensor([-1e20, 0.0])
    flat = expand(ac.logaddexp(x, y))
    assert flat.run(flat.value[flat.inputs]).value[flat.output].tolist() == [1000, np.log(2)]
    g = flat.sweep()
    assert g[flat.scalars(x)].tolist() == [1, 0.5]
    assert g[flat.scalars(y)].tolist() == [0, 0.5]


def test_what_is_cut_gets_no_gradient():
    x = ac.tensor([0.0, 4.0])
    with np.errstate(divide="ignore"):
        y = ac.stop_gradient(ac.log(x)) + ac.where(x > 1, x, -x)
    flat = expand(y.sum())
    assert flat.sweep()[flat.scalars(x)].tolist() == [-1, 1]
    replay = flat.run([2.0, 0.5])
    np.testing.assert_allclose(replay.value[replay.output], 2 - 0.5)


def test_scalars_know_where_they_came_from():
    x, w = ac.tensor(image(4, 4), name="x"), ac.tensor(image(2, 2), name="w")
    with ac.scope("layer", kind="layer"):
        y = ac.relu(ac.conv2d(x, w))
    flat = expand(y.sum())
    result, product = (
        flat.origin(int(i)) for i in (flat.scalars(y)[1, 2], flat[int(flat.readers(flat.scalars(w)[0, 1])[0])].number)
    )
    assert (result.line, result.index) == (y.operands[0] if y.primitive.group == "wiring" else y, (1, 2))
    assert [s.name for s in result.scopes] == ["layer", "relu"]
    assert [s.name for s in product.scopes] == ["layer", "conv2d"]
    assert product.inner
    assert not result.inner
    assert flat.name(int(flat.scalars(w)[0, 1])) == "w[0,1]"
    for line in flat.tape:
        found = flat.value[flat.scalars(line)]
        np.testing.assert_array_equal(found, line.value)
        for index in list(np.ndindex(line.shape))[:3]:
            i = int(flat.scalars(line)[index])
            at = flat.origin(i)
            assert i == 0 or flat.places[id(at.line)][at.index] == i
    with pytest.raises(KeyError, match="not on this tape"):
        flat.scalars(ac.tensor(1.0))
    with pytest.raises(ValueError, match="2 numbers for 20 inputs"):
        flat.run([1, 2])


def test_several_outputs_and_scalars():
    x = ac.tensor([1.0, 2.0])
    flat = expand(ac.Tape(x * 2, x.sum()))
    assert flat.value[flat.output].tolist() == [2, 4, 3]
    s = Scalar(2.0)
    assert expand(s * s).sweep()[1] == 4


def test_exact_fractions_stay_exact():
    x = ac.tensor([[Fraction(k + 3 * i, 3) for k in range(3)] for i in range(3)])
    w = ac.tensor([[Fraction(1, 7), Fraction(2, 5)], [Fraction(-1, 2), Fraction(3)]])
    y = ac.max_pool2d(ac.conv2d(x, w), 2).sum() / 3
    flat = expand(y)
    expected = ac.sweep(y, [x, w])
    g = flat.sweep(Fraction(1))
    assert [g[flat.scalars(t)].tolist() for t in (x, w)] == [e.tolist() for e in expected]
    assert all(type(v) is Fraction for v in g[flat.inputs])


def test_lenet_in_scalars():
    shapes = [(5, 5, 1, 6), (6,), (5, 5, 6, 16), (16,), (400, 120), (120,), (120, 84), (84,), (84, 10), (10,)]
    p = [ac.tensor(RNG.uniform(-0.1, 0.1, s)) for s in shapes]
    x = ac.tensor(image(28, 28, 1))
    h = ac.max_pool2d(ac.relu(ac.conv2d(x, p[0], p[1], padding=2)), 2)
    h = ac.max_pool2d(ac.relu(ac.conv2d(h, p[2], p[3])), 2).reshape(400)
    h = ac.relu(ac.relu(h @ p[4] + p[5]) @ p[6] + p[7]) @ p[8] + p[9]
    loss = ac.losses.half_squared_error(h, np.eye(10)[3])
    tracemalloc.start()
    flat = expand(loss)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6
    products = 6 * (28 * 5 - 6) ** 2 + 1600 * 150 + 400 * 120 + 120 * 84 + 84 * 10
    biases, maxima = 4704 + 1600 + 120 + 84 + 10, 4704 + 1600 + 204 + 3 * (6 * 14 * 14 + 16 * 25)
    sums = products - (4704 + 1600 + 120 + 84 + 10)
    assert flat.count == products + sums + biases + 5 * maxima + 10 + 10 + 10 + 9
    g = flat.sweep()
    for t, expected in zip([*p, x], ac.sweep(loss, [*p, x]), strict=True):
        np.testing.assert_allclose(g[flat.scalars(t)], expected, rtol=1e-10, atol=1e-14)
