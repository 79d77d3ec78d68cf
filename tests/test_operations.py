"""The operations of imported networks against PyTorch's values and gradients (tests/reference), and what else they
promise: the same in both layouts, on recordings of other inputs, in half precision and to second order."""

import sys
from pathlib import Path

import numpy as np
import pytest

import autoconv as ac
from autoconv import nn

FOLDER = Path(__file__).parent / "reference"
sys.path.insert(0, str(FOLDER))
from operations import cases, cotangent  # noqa: E402

sys.path.remove(str(FOLDER))

STORED = np.load(FOLDER / "operations.npz")
OPERANDS = {k.removeprefix("operand/"): STORED[k] for k in STORED.files if k.startswith("operand/")}
ENDS = np.cumsum(STORED["sizes"])
REFERENCE = dict(zip(STORED["names"].tolist(), np.split(STORED["numbers"], ENDS[:-1]), strict=True))
CASES = cases()


def test_every_case_is_stored():
    assert CASES.keys() == REFERENCE.keys()


def expected(name):
    """(value, gradients) of a case."""
    names, numbers = CASES[name][0], REFERENCE[name]
    shape = tuple(int(n) for n in numbers[1 : 1 + int(numbers[0])])
    numbers, parts = numbers[1 + int(numbers[0]) :], []
    for wanted in (shape, *[OPERANDS[k].shape for k in names]):
        size = int(np.prod(wanted, dtype=int))
        parts.append(numbers[:size].reshape(wanted))
        numbers = numbers[size:]
    return parts[0], parts[1:]


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient(name):
    names, f, _ = CASES[name]
    value, gradients = expected(name)
    lines = [ac.tensor(OPERANDS[k]) for k in names]
    with np.errstate(all="ignore"):
        y = f(*lines)
        assert y.shape == value.shape
        # PyTorch's own slope of hardsigmoid is a sixth in single precision
        tolerance = 1e-7 if name == "hardsigmoid" else 1e-12
        np.testing.assert_allclose(y.value, value, rtol=tolerance, atol=1e-13)
        for found, right in zip(ac.sweep(y, lines, cotangent(y.shape)), gradients, strict=True):
            np.testing.assert_allclose(found, right, rtol=tolerance, atol=1e-13)


@pytest.mark.parametrize("name", CASES)
def test_plain_arrays_give_plain_arrays(name):
    names, f, _ = CASES[name]
    with np.errstate(all="ignore"):
        y = f(*[OPERANDS[k] for k in names])
    assert not isinstance(y, ac.Tensor)
    np.testing.assert_allclose(y, expected(name)[0], rtol=1e-7, atol=1e-13)


# ---- both layouts

RNG = np.random.default_rng(1)
IMAGES = RNG.normal(size=(2, 4, 5, 6))  # channels first
LAYOUTS = {
    "adaptive_avg_pool2d": lambda x, k: ac.adaptive_avg_pool2d(x, (2, 3), layout=k),
    "adaptive_max_pool2d": lambda x, k: ac.adaptive_max_pool2d(x, 3, layout=k),
    "interpolate": lambda x, k: ac.interpolate(x, (7, 4), mode="bilinear", layout=k),
    "interpolate, repeated": lambda x, k: ac.interpolate(x, scale_factor=3, layout=k),
    "pixel_shuffle": lambda x, k: ac.pixel_shuffle(x, 2, layout=k),
    "pixel_unshuffle": lambda x, k: ac.pixel_unshuffle(ac.interpolate(x, (4, 4), layout=k), 2, layout=k),
    "group_norm": lambda x, k: ac.group_norm(x, 2, np.arange(4.0), np.ones(4), layout=k),
    "instance_norm": lambda x, k: ac.instance_norm(x, np.arange(4.0), layout=k),
    "local_response_norm": lambda x, k: ac.local_response_norm(x, 3, 1.0, layout=k),
    "prelu": lambda x, k: ac.prelu(x, np.arange(4.0), layout=k),
    "ReflectionPad2d": lambda x, k: nn.ReflectionPad2d((1, 2, 0, 3), layout=k)(x),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_layouts_agree(name):
    f = LAYOUTS[name]
    first = np.asarray(f(IMAGES, "channels_first"))
    last = np.asarray(f(np.moveaxis(IMAGES, 1, -1), "channels_last"))
    np.testing.assert_allclose(np.moveaxis(last, -1, 1), first, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 4)])
def test_one_image_is_a_batch_of_one(shape):
    x = RNG.normal(size=shape)
    full = x.reshape(1, 5, 6, -1)
    for f in (lambda x: ac.adaptive_avg_pool2d(x, (2, 4)), lambda x: ac.adaptive_max_pool2d(x, 2)):
        y = f(full)
        np.testing.assert_array_equal(f(x), y.reshape(y.shape[1:3] + shape[2:]))


# ---- recordings of other inputs, and derivatives of derivatives

X, Y = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4))
RECORDED = {
    "sort": lambda x: ac.sort(x, 1),
    "sort, descending": lambda x: ac.sort(x, 0, True),
    "topk": lambda x: ac.topk(x, 2)[0],
    "read by an order": lambda x: ac.take_along_axis(x, ac.argsort(x, 0), 0),
    "amax": lambda x: ac.amax(x, 1),
    "cumprod": lambda x: ac.cumprod(x, 1),
    "round": lambda x: x * ac.round(3 * x) + ac.floor(x) * ac.trunc(2 * x),
    "remainder": lambda x: ac.remainder(x, 0.3) * ac.fmod(x, 0.7),
    "truth values": lambda x: ac.where(ac.logical_and(ac.isfinite(x), x > 0), x, -2 * x),
    "any": lambda x: ac.where(ac.any(x > 1, 1, True), x, 3 * x),
    "atan2": lambda x: ac.atan2(x, x + 0.5) + ac.sinh(x) + ac.cosh(x),
    "attention": lambda x: ac.scaled_dot_product_attention(x, 2 * x, x, is_causal=True),
    "norms": lambda x: ac.group_norm(x, 2) * ac.norm(x),
    "hardswish": lambda x: ac.hardswish(2 * x) * ac.mish(x) + ac.hardsigmoid(x) * ac.selu(x),
    "huber": lambda x: ac.huber(x, np.zeros((3, 4)), reduction="none"),
}


@pytest.mark.parametrize("name", RECORDED)
def test_a_recording_holds_for_other_inputs(name):
    f = RECORDED[name]
    program = ac.compile(lambda x: ac.sum(f(x) * cotangent(f(X).shape)))
    program.value_and_grad(X)
    for other in (Y, X[::-1].copy()):
        x = ac.tensor(other)
        y = f(x)
        value, gradient = program.value_and_grad(other)
        np.testing.assert_allclose(value, np.sum(y.value * cotangent(y.shape)), rtol=1e-12)
        np.testing.assert_allclose(gradient, ac.sweep(y, [x], cotangent(y.shape))[0], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", sorted(RECORDED.keys() - {"round"}))
def test_gradients_to_second_order(name):
    assert ac.check_grads(RECORDED[name], X, order=2)


@pytest.mark.parametrize("name", ["sort", "cumprod", "attention", "truth values"])
def test_expanded_into_scalars(name):
    x = ac.tensor(X)
    y = RECORDED[name](x)
    flat = ac.expand(y)
    numbers = flat.scalars(y)
    np.testing.assert_allclose(flat.value[numbers], y.value, rtol=1e-12)
    slopes = flat.sweep(cotangent(y.shape).ravel(), of=numbers.ravel())
    np.testing.assert_allclose(slopes[flat.scalars(x)], ac.sweep(y, [x], cotangent(y.shape))[0], rtol=1e-11, atol=1e-14)


# ---- ties, half precision, what is not there


def test_equal_elements():
    x = ac.tensor([2.0, 1.0, 2.0, 2.0])
    values, order = ac.topk(x, 2)
    np.testing.assert_array_equal(order.value, [0, 2])
    np.testing.assert_array_equal(ac.sweep(values, [x], [1.0, 10.0])[0], [1, 0, 10, 0])
    np.testing.assert_array_equal(ac.argsort([np.nan, 1.0, np.nan], descending=True), [0, 2, 1])
    image = ac.tensor(np.ones((3, 3)))
    np.testing.assert_array_equal(
        ac.sweep(ac.adaptive_max_pool2d(image, 2), [image], np.ones((2, 2)))[0], [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
    )


@pytest.mark.parametrize("bound", [-1.0, 1.0])
def test_a_clip_has_slope_0_at_its_bounds(bound):
    for f in (lambda x: ac.clip(x, -1, 1), lambda x: ac.clip(x, np.array([-1.0]), np.array([1.0])), ac.hardtanh):
        x = ac.tensor([bound, 0.999 * bound, 1.001 * bound])
        np.testing.assert_array_equal(ac.sweep(f(x), [x], np.ones(3))[0], [0, 1, 0])


HALF = {
    "group_norm": lambda x: ac.group_norm(x, 2),
    "instance_norm": lambda x: ac.instance_norm(x[None]),
    "adaptive_avg_pool1d": lambda x: ac.adaptive_avg_pool1d(x, 1),
    "cumsum": lambda x: ac.cumsum(x[:1500], 0) / 1000,
    "norm": lambda x: ac.norm(x, axis=0),
    "mse": lambda x: ac.l1(x, np.zeros(x.shape, np.float16)),
}


@pytest.mark.parametrize("name", HALF)
def test_half_precision_adds_up_in_single(name):
    """Sums of squares and of many terms leave float16's range and digits; results do not."""
    x = (400 * RNG.normal(size=(3000, 4)) / 400 + 30).astype(np.float16)
    y = HALF[name](x)
    assert y.dtype == np.float16
    np.testing.assert_allclose(y.astype(float), HALF[name](x.astype(float)), rtol=2e-3, atol=2e-2)


def test_attention_to_nothing_is_0():
    q, k, v = [ac.tensor(RNG.normal(size=(2, 3))) for _ in range(3)]
    y = ac.scaled_dot_product_attention(q, k, v, np.zeros((2, 2), bool))
    np.testing.assert_array_equal(y.value, 0)
    for g in ac.sweep(y, [q, k, v], np.ones((2, 3))):
        np.testing.assert_array_equal(g, 0)


def test_layers_keep_their_state():
    model = nn.Sequential(
        nn.ModuleList([nn.GroupNorm(2, 4), nn.PReLU(4)])[0],
        nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
        nn.PReLU(4),
        nn.AdaptiveAvgPool2d(1),
    )
    x = RNG.normal(size=(2, 5, 5, 4)).astype(np.float32)
    model(x)
    names = set(model.state_dict())
    assert {"0.weight", "1.running_mean", "1.running_var", "2.weight"} <= names
    assert model.num_parameters() == 20
    norm = model[1]
    np.testing.assert_allclose(norm.running_mean, 0.1 * norm_input(model, x).mean((0, 1, 2)), rtol=1e-4, atol=1e-6)
    stored = norm.running_mean.copy()
    model.eval()(x)
    np.testing.assert_array_equal(norm.running_mean, stored)


def norm_input(model, x):
    return model[0](x).value


def test_dropout2d_drops_whole_channels():
    layer = nn.Dropout2d(0.5, rng=0)
    y = layer(np.ones((8, 3, 3, 16))).value
    assert set(np.unique(y)) == {0.0, 2.0}
    assert (y == y[:, :1, :1]).all()
    np.testing.assert_array_equal(layer.eval()(np.ones((1, 2, 2, 3))).value, 1)


REFUSED = {
    "a layer's own name": (lambda: nn.ModuleDict({"forward": nn.ReLU()}), ValueError, "forward_layer"),
    "no module": (lambda: nn.ModuleList([abs]), TypeError, "not a Module"),
    "one module": (lambda: nn.ModuleList(nn.ReLU()), TypeError, "list of them"),
    "groups": (lambda: nn.GroupNorm(3, 4), ValueError, "must divide"),
    "padding": (lambda: nn.ZeroPad2d((1, 2)), ValueError, "left, right, top, bottom"),
    "no size": (lambda: nn.Upsample(), ValueError, "one of the two"),
    "mode": (lambda: nn.Upsample(2, mode="cubist"), ValueError, "'nearest-exact'"),
    "reduction": (lambda: nn.MSELoss(reduction="batchmean"), ValueError, "'mean'"),
    "padding row": (lambda: nn.Embedding(3, 2, 3), ValueError, "3 rows"),
    "a row that is not there": (lambda: nn.Embedding(3, 2)(np.array([3])), IndexError, "0 .. 2"),
    "too many cells taken away": (lambda: ac.pad(np.ones(3), (-2, -2)), ValueError, "take away"),
    "odd halves": (lambda: ac.glu(np.ones(3)), ValueError, "odd size"),
    "two masks": (
        lambda: ac.scaled_dot_product_attention(X, X, X, np.ones((3, 3), bool), is_causal=True),
        ValueError,
        "not both",
    ),
    "a probability above 1": (lambda: ac.bce(np.array([1.5]), np.ones(1)), ValueError, "0 .. 1"),
    "a label that is ignored by nobody": (
        lambda: ac.cross_entropy(X, np.array([0, 1, -100])),
        ValueError,
        "label -100",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    f, kind, text = REFUSED[case]
    with pytest.raises(kind, match=text):
        f()


SQUARE = [[0.0, 1.0, 4.0], [2.0, 5.0, 3.0], [1.0, 1.0, 2.0]]
SAME_SIZE = [  # PyTorch 2.13's values where 1.3 times as large is as large as before: some modes then change nothing
    ("linear", [0.0, 1.0, 4.0], [0, 1, 4]),
    ("nearest", [0.0, 1.0, 4.0], [0, 0, 1]),
    ("nearest-exact", [0.0, 1.0, 4.0], [0, 1, 1]),
    ("bilinear", SQUARE, [0, 1, 4, 2, 5, 3, 1, 1, 2]),
    ("nearest", SQUARE, [0, 1, 4, 2, 5, 3, 1, 1, 2]),
    ("nearest-exact", SQUARE, [0, 1, 1, 2, 5, 5, 2, 5, 5]),
    ("bicubic", SQUARE, [-0.193989, 0.074351, 2.201571, 1.272318, 3.325935, 4.126413, 1.664117, 3.26286, 3.443352]),
]


@pytest.mark.parametrize(("mode", "image", "expected"), SAME_SIZE)
def test_interpolated_to_the_same_size(mode, image, expected):
    y = ac.interpolate(np.array([[image]]), scale_factor=1.3, mode=mode, layout="channels_first")
    np.testing.assert_allclose(np.ravel(y), expected, atol=1e-6)


@pytest.mark.parametrize("sizes", [(-1, 2, 3), (3, 3), (3,), (2, -2), (-2, 2, 3)])
def test_expand_refuses_sizes_that_are_not_there(sizes):
    t = ac.tensor([[1.0], [2.0]])
    with pytest.raises(ValueError, match="expand: shape"):
        t.expand(*sizes)
    np.testing.assert_array_equal(t.expand(2, -1, 3).value, np.broadcast_to(t.value, (2, 2, 3)))
    for given in (t.expand(2, 3), t.expand((2, 3)), t.expand([-1, 3])):
        np.testing.assert_array_equal(given.value, [[1.0] * 3, [2.0] * 3])
