"""Sums, counts, squares and means against exact sums: any dtype, axes, layout and number of terms, on every floor."""

import re
from math import fsum
from pathlib import Path

import numpy as np
import pytest

import autoconv as ac
from autoconv import arrays, checkpoint, losses, nn

f16, f32, f64 = np.float16, np.float32, np.float64
MANY = 1_000_000


def laid_out(x, layout):
    """The same numbers, in memory in another way."""
    if layout == "C":
        return np.ascontiguousarray(x)
    if layout == "F":
        return np.asfortranarray(x)
    if layout == "moved":
        return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 0, -1)), -1, 0)
    if layout == "strided":
        return np.repeat(x, 2, axis=-1)[..., ::2]
    if layout == "reversed":
        return np.ascontiguousarray(x[::-1, :, ::-1])[::-1, :, ::-1]
    wide = np.zeros((*x.shape[:-1], x.shape[-1] + 3), x.dtype)
    wide[..., :-3] = x
    return wide[..., :-3]


LAYOUTS = ["C", "F", "moved", "strided", "reversed", "part"]
AXES = [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2), (-1,), (-3, 1), ()]
SHAPES = [(1, 1, 1), (3, 4, 5), (129, 3, 2), (64, 65, 3), (2, 1001, 2), (5, 3, 1200), (0, 3, 2), (3000, 2, 3)]


@pytest.mark.parametrize("dtype", [f16, f32, f64])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_sum_has_its_digits_over_any_axes(dtype, layout):
    """Of equal signs: within a hundred roundings of the exact sum, whatever the number of terms."""
    rng = np.random.default_rng(0)
    for shape in SHAPES:
        x = laid_out(rng.uniform(0.5, 1.0, shape).astype(dtype), layout)
        for axes in AXES:
            for keepdims in (False, True):
                y = arrays.total(x, axes, keepdims)
                exact = np.sum(x.astype(np.longdouble), axis=axes, keepdims=keepdims)
                assert np.shape(y) == exact.shape and y.dtype == dtype
                roundings = 1 if dtype == f16 else 100
                np.testing.assert_allclose(y.astype(f64), exact.astype(f64), rtol=roundings * np.finfo(dtype).eps)


def test_a_sum_of_no_array_of_floats_is_numpys():
    x = np.arange(600).reshape(200, 3)
    assert arrays.total(x, 0).dtype == x.dtype and (arrays.total(x, 0) == x.sum(0)).all()
    assert arrays.total(x.astype(np.uint8), None) == x.astype(np.uint8).sum()
    exact = arrays.exact(x)
    assert (arrays.total(exact, (0,)) == exact.sum(0)).all() and arrays.total(exact / 7, None) == exact.sum() / 7
    assert arrays.total(np.array([[1, 2], [3, 4]]), [0, 1]) == 10
    assert isinstance(arrays.total(np.ones((1000, 2)), None), np.float64)


@pytest.mark.parametrize("dtype", [f32, f64])
@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan])
def test_a_sum_passes_on_what_is_not_finite(dtype, special):
    x = np.ones((1001, 3), dtype)
    x[700, 1] = special
    np.testing.assert_array_equal(arrays.total(x, 0), [1001, special, 1001])


def test_a_repeated_array_is_summed():
    x = np.broadcast_to(np.array([0.1, 0.2], f32), (MANY, 2))
    np.testing.assert_allclose(arrays.total(x, 0), [1e5, 2e5], rtol=1e-5)


@pytest.mark.parametrize("dtype", [f16, f32, f64])
def test_float16_is_added_in_float32_by_every_row_that_adds(dtype):
    tolerance = {f16: 1e-3, f32: 4e-5, f64: 1e-12}[dtype]
    tenths = np.full((5000, 2), 0.1, dtype)
    right = float(dtype(0.1)) * 5000
    rows = {
        "sum": arrays.total(tenths, 0),
        "sum_to": arrays.sum_to(tenths, (2,)),
        "contract": arrays.contract(tenths, np.ones(5000, dtype), "nc,n->c"),
        "contract, other way": arrays.contract(np.ones((5000, 3), dtype), tenths, "nd,nc->cd"),
        "scatter_add": arrays.scatter_add(tenths, np.ones(5000, int), 0, 3)[1],
        "overlap_add": arrays.overlap_add(np.full((1, 2, 5000), 0.1, dtype), (1,), (5001,), (1,), (1,))[0, 1:3]
        / 2
        * 5000,
    }
    for name, y in rows.items():
        assert y.dtype == dtype, name
        np.testing.assert_allclose(y.astype(f64), right, rtol=tolerance, err_msg=name)


def test_scatter_add_at_one_place_a_million_times():
    y = arrays.scatter_add(np.full(MANY, 0.1, f32), np.zeros(MANY, int), 0, 2)
    np.testing.assert_allclose(y, [1e5, 0], rtol=1e-6)


# ---- float16: what is right in the result although a sum, a count or a square is not

hundreds, halves, tens = np.full(2000, 100, f16), np.full(70000, 0.5, f16), np.full(2000, 10, f16)
apart = np.array([[300.0], [-300.0]], f16)
along = np.array([[300, -300, 300, -300]], f16)
images = np.full((1, 32, 32, 1), 100, f16)
keys = np.array([[300.0] * 4, [0.0] * 4], f16)
strip = np.full((1, 1999, 1), 100, f16)  # no two windows of the same size cover it
square, wide = np.array([300, 0], f16), np.array([60000, 0], f16)  # outside the range if squared, if doubled
large = np.array([[60000, 60000], [60000, -60000]], f16)

FLOAT16 = {
    "mean of 2000 hundreds": (lambda x: ac.mean(x), hundreds, 100),
    "mean of 70,000 halves": (lambda x: ac.mean(x), halves, 0.5),
    "mean of 100,000 ones": (lambda x: ac.mean(x), np.ones(100_000, f16), 1),
    "mean over axis 0": (lambda x: ac.mean(x, 0), np.full((70000, 2), 0.5, f16), [0.5, 0.5]),
    "var": (lambda x: ac.var(x), np.array([100, -100, 100, -100], f16), 10000),
    "var, a square outside the range": (lambda x: ac.var(x), np.array([300, -300, 0, 0], f16), 45000),
    "std": (lambda x: ac.std(x), along, 300),
    "std, unbiased": (lambda x: ac.std(x, ddof=1), np.array([300, -300], f16), 300 * 2**0.5),
    "prod": (lambda x: ac.prod(x), np.array([300, 300, 0.01, 0.01], f16), 300**2 * float(f16(0.01)) ** 2),
    "average": (lambda x: ac.average(x, weights=x), np.full(4, 300, f16), 300),
    "norm": (lambda x: ac.norm(x), np.array([300, 400], f16), 500),
    "cumsum": (lambda x: ac.cumsum(x), np.array([-6e4, 6e4, 6e4, -6e4], f16), [-6e4, 0, 6e4, 0]),
    "cumprod": (lambda x: ac.cumprod(x), np.array([2**-8, 512, 512, 2**-8], f16), [2**-8, 2, 1024, 4]),
    "asinh": (lambda x: ac.asinh(x), np.array([300], f16), np.arcsinh([300])),
    "det": (lambda x: ac.det(x), np.array([[2**-20, 0, 0], [0, 6e4, 6e4], [0, 6e4, -6e4]], f16), -2 * 6e4**2 / 2**20),
    "solve": (lambda x: ac.solve(x, np.array([60000, -60000], f16)), large, [0, 1]),
    "inv": (lambda x: ac.inv(x), large, large.astype(f64) / 60000**2 / 2),
    "matrix_power": (lambda x: ac.matrix_power(x, 3), 300 * np.eye(3, k=1, dtype=f16), np.zeros((3, 3))),
    "cosine_similarity": (lambda x: ac.cosine_similarity(x, -x), np.full((1, 4), 300, f16), [-1]),
    "scaled_dot_product_attention": (
        lambda x: ac.scaled_dot_product_attention(x, x[::-1], np.array([[1], [2]], f16)),
        keys,
        [[2], [1.5]],
    ),
    "batch_norm": (lambda x: ac.batch_norm(x), apart, [[1], [-1]]),
    "batch_norm, eps below the range": (lambda x: ac.batch_norm(x, eps=1e-9), np.zeros((2, 1), f16), [[0], [0]]),
    "layer_norm": (lambda x: ac.layer_norm(x), along, [[1, -1, 1, -1]]),
    "layer_norm, eps below the range": (lambda x: ac.layer_norm(x, eps=1e-9), np.zeros((1, 4), f16), np.zeros((1, 4))),
    "group_norm": (lambda x: ac.group_norm(x, 1, eps=1e-9), np.zeros((1, 4), f16), np.zeros((1, 4))),
    "instance_norm": (lambda x: ac.instance_norm(x, eps=1e-9), np.zeros((1, 4, 1), f16), np.zeros((1, 4, 1))),
    "local_response_norm": (
        lambda x: ac.local_response_norm(x, 1, alpha=1.0, beta=0.5, k=0.0),
        np.full((1, 2, 2), 300, f16),
        np.ones((1, 2, 2)),
    ),
    "softmax": (lambda x: ac.softmax(x)[:2], np.zeros(70000, f16), [1 / 70000] * 2),
    "log_softmax": (lambda x: ac.log_softmax(x)[:2], np.zeros(70000, f16), [-np.log(70000)] * 2),
    "logsumexp": (lambda x: ac.logsumexp(x), np.zeros(70000, f16), np.log(70000)),
    "mse": (lambda x: losses.mse(x, np.zeros(2000, f16)), tens, 100),
    "mse, a square outside the range": (lambda x: losses.mse(x, np.zeros(2, f16)), square, 45000),
    "half_squared_error": (lambda x: losses.half_squared_error(x, x * 0, reduction="mean"), tens, 50),
    "half_squared_error, a square outside the range": (
        lambda x: losses.half_squared_error(x, x * 0, reduction="mean"),
        square,
        22500,
    ),
    "cross_entropy": (lambda x: losses.cross_entropy(x, np.zeros(70000, int)), np.zeros((70000, 2), f16), np.log(2)),
    "cross_entropy, a loss outside the range": (
        lambda x: losses.cross_entropy(x, [1, 0]),
        np.array([[60000, -60000], [0, -60000]], f16),
        60000,
    ),
    "l1": (lambda x: losses.l1(x, -x), wide, 60000),
    "smooth_l1": (lambda x: losses.smooth_l1(x, -x), wide, 60000),
    "huber": (lambda x: losses.huber(x, -x), wide, 60000),
    "kl_div": (lambda x: losses.kl_div(x, np.array([4, 0], f16)), np.array([-30000, 0], f16), 2 * (np.log(4) + 30000)),
    "bce": (lambda x: losses.bce(x, np.ones(2, f16), weight=np.array([1000, 1000], f16)), np.array([0, 1], f16), 50000),
    "nll": (lambda x: losses.nll(x, np.zeros(70000, int)), np.full((70000, 2), -1, f16), 1),
    "nll, weighted": (
        lambda x: losses.nll(x, [0, 1], weight=np.array([60000, 60000], f16)),
        np.full((2, 2), -2, f16),
        2,
    ),
    "bce_with_logits": (lambda x: losses.bce_with_logits(x, np.zeros(70000, f16)), np.zeros(70000, f16), np.log(2)),
    "bce_with_logits, weighted": (
        lambda x: losses.bce_with_logits(x, np.zeros(2, f16), weight=np.array([300, 0], f16)),
        square,
        45000,
    ),
    "avg_pool2d": (lambda x: ac.avg_pool2d(x, 32), images, [[[[100]]]]),
    "avg_pool2d, padded": (lambda x: ac.avg_pool2d(x, 34, padding=1, count_include_pad=False), images, [[[[100]]]]),
    "avg_pool2d, divisor": (lambda x: ac.avg_pool2d(x, 32, divisor=2048), images, [[[[50]]]]),
    "adaptive_avg_pool1d": (lambda x: ac.adaptive_avg_pool1d(x, 2), strip, [[[100], [100]]]),
    "adaptive_avg_pool2d": (lambda x: ac.adaptive_avg_pool2d(x, (1, 2)), strip[None], [[[[100], [100]]]]),
    "adaptive_avg_pool3d": (lambda x: ac.adaptive_avg_pool3d(x, (1, 1, 2)), strip[None, None], [[[[[100], [100]]]]]),
    "avg_pool1d": (lambda x: ac.avg_pool1d(x, 1500, divisor=3000), strip, [[[50]]]),
    "avg_pool3d": (lambda x: ac.avg_pool3d(x, (1, 1, 1500), divisor=3000), strip[None, None], [[[[[50]]]]]),
    "lp_pool2d": (lambda x: ac.lp_pool2d(x, 2), np.full((1, 2, 2, 1), 300, f16), [[[[600]]]]),
    "lp_pool3d": (lambda x: ac.lp_pool3d(x, (1, 2, 2)), np.full((1, 1, 2, 2, 1), 300, f16), [[[[[600]]]]]),
    "global_avg_pool": (lambda x: ac.global_avg_pool(x), images, [[100]]),
    "lp_pool1d": (lambda x: ac.lp_pool1d(x, 2), np.array([[[300], [-300]]], f16), [[[300 * 2**0.5]]]),
}


@pytest.mark.parametrize("floor", ["eager", "plain", "compiled", "numpy plan"])
@pytest.mark.parametrize("name", FLOAT16)
def test_float16_statistics(name, floor, monkeypatch):
    f, x, right = FLOAT16[name]
    if floor == "numpy plan":
        monkeypatch.setenv("AUTOCONV_NATIVE", "0")
    if floor == "eager":
        y = f(ac.tensor(x)).value
    elif floor == "plain":
        y = f(x)
    else:
        program = ac.compile(f)
        program(x)
        y = program(x)
    assert np.asarray(y).dtype == f16
    np.testing.assert_allclose(np.asarray(y, f64), right, rtol=2e-3, atol=1e-7)


def test_hypot_and_acosh_of_float16_are_rounded_once():
    x, y = (10.0 ** np.random.default_rng(0).uniform(-4, 4, (2, 500))).astype(f16)
    right = np.hypot(x.astype(f64), y.astype(f64)).astype(f16)
    assert np.array_equal(ac.hypot(x, y), right) and np.array_equal(ac.hypot(ac.tensor(x), y).value, right)
    z = np.linspace(1, 60000, 500).astype(f16)
    right = np.arccosh(z.astype(f64)).astype(f16)
    assert np.array_equal(ac.acosh(z), right) and np.array_equal(ac.acosh(ac.tensor(z)).value, right)


def test_every_function_of_statistics_has_a_float16_row():
    rooms = (Path(ac.__file__).parent / "functional").rglob("*.py")
    known = {name for room in rooms for name in re.findall(r"statistics=True\)\ndef (\w+)", room.read_text())}
    rows = {row.partition(",")[0].partition(" ")[0] for row in FLOAT16}
    assert "mean" in known and known - rows == {"hypot", "acosh"}  # in range, but rounded once: the test above


SLOPES = {
    "mean": (lambda x: ac.mean(x), halves, 1 / 70000),
    "mse": (lambda x: losses.mse(x, np.zeros(2000, f16)), tens, 2 * 10 / 2000),
    "std": (lambda x: ac.std(x), along, along / 1200),
    "logsumexp": (lambda x: ac.logsumexp(x), np.zeros(70000, f16), 1 / 70000),
    "lp_pool1d": (
        lambda x: ac.sum(ac.lp_pool1d(x, 2)),
        np.array([[[300], [-300]]], f16),
        [[[0.5**0.5], [-(0.5**0.5)]]],
    ),
    "avg_pool2d": (lambda x: ac.sum(ac.avg_pool2d(x, 32)), images, 1 / 1024),
}


@pytest.mark.parametrize("name", SLOPES)
def test_float16_slopes(name):
    f, x, right = SLOPES[name]
    for slope in (ac.grad(f)(x), ac.compile(f).value_and_grad(x, wrt=0)[1]):
        assert slope.dtype == f16
        np.testing.assert_allclose(slope.astype(f64), np.broadcast_to(right, x.shape), rtol=3e-3, atol=6e-8)


def test_the_result_has_the_operands_common_dtype():
    x, w = np.ones((4, 3), f16), np.ones(3, f32)
    assert ac.layer_norm(x, w).dtype == f32 and ac.layer_norm(x, w.astype(f16)).dtype == f16
    assert ac.batch_norm(ac.tensor(x), mean=np.zeros(3, f32), var=np.ones(3, f32)).dtype == f16
    assert losses.mse(ac.tensor(x), np.ones((4, 3))).dtype == f64
    assert losses.cross_entropy(ac.tensor(x), np.zeros(4, int), reduction="none").dtype == f16


def test_float32_records_no_casts():
    x = ac.tensor(np.ones((4, 3), f32))
    for y in (ac.mean(x), ac.std(x), ac.batch_norm(x), losses.mse(x, x * 2)):
        assert "cast" not in [line.primitive.name for line in ac.Tape(y) if line.primitive]


def test_a_batch_norm_layer_of_float16_keeps_its_statistics_in_float32(tmp_path):
    layer = nn.BatchNorm1d(1, dtype=f16)
    assert layer(apart).dtype == f16
    np.testing.assert_allclose(layer.running_var, 0.9 + 0.1 * 180000, rtol=1e-6)
    layer.eval()
    np.testing.assert_allclose(layer(apart).value.astype(f64), apart / np.sqrt(18000.9), rtol=1e-3)
    assert layer(apart).dtype == f16


def test_a_checkpoint_with_float16_statistics_is_widened(tmp_path):
    old = nn.BatchNorm1d(2, dtype=f16)
    old.running_mean, old.running_var = np.array([1, 2], f16), np.array([3, 4], f16)
    checkpoint.save(tmp_path / "old.safetensors", old)
    new = nn.BatchNorm1d(2, dtype=f16)
    checkpoint.load(tmp_path / "old.safetensors", new)
    assert new.running_mean.dtype == new.running_var.dtype == f32
    assert new.running_var.tolist() == [3, 4]


# ---- float32: long sums, above all over leading axes


@pytest.mark.parametrize("spec", ["nc,n->c", "n,nc->c", "n,n->", "nc,nd->cd", "ncd,nd->c"])
@pytest.mark.parametrize("n", [50_176, MANY])
def test_a_contraction_over_many_terms(spec, n):
    size = {"n": n, "c": 2, "d": 3}
    a, b = (np.full([size[c] for c in letters], 0.1, f32) for letters in spec.split("->")[0].split(","))
    right = float(f32(0.1)) ** 2 * n * (3 if spec.startswith("ncd") else 1)
    for y in both(lambda a, b: ac.einsum(spec, a, b), a, b):
        np.testing.assert_allclose(y, right, rtol=5e-5)


def both(f, *arguments):
    """The value of f, eager and by its second compiled call."""
    program = ac.compile(f)
    program(*arguments)
    return [f(*[ac.tensor(x) for x in arguments]).value, program(*arguments)]


@pytest.mark.parametrize("n", [1000, 50_176, MANY])
@pytest.mark.parametrize("axis", [0, None])
def test_a_float32_mean_of_many(n, axis):
    x = np.full((n, 2), 0.1, f32)
    for y in both(lambda x: ac.mean(x, axis=axis), x):
        np.testing.assert_allclose(y, 0.1, rtol=5e-6)
    for y in both(lambda x: ac.mean(x * x, axis=axis), x):
        np.testing.assert_allclose(y, 0.01, rtol=5e-6)


def test_float32_sums_of_many_random_numbers_are_those_of_fsum():
    x = np.random.default_rng(0).uniform(size=(MANY, 2)).astype(f32)
    right = [fsum(x[:, k].tolist()) for k in range(2)]
    for y in both(lambda x: ac.sum(x, axis=0), x):
        np.testing.assert_allclose(y, right, rtol=3e-6)


@pytest.mark.parametrize("n", [50_176, MANY])
def test_the_gradient_of_a_broadcast_bias(n):
    rows = np.zeros((n, 2), f32)

    def f(b, x):
        return ac.sum((b + x) * f32(0.1))

    b = np.zeros(2, f32)
    program = ac.compile(f)
    program.value_and_grad(b, rows, wrt=0)
    for slope in (ac.grad(f)(b, rows), program.value_and_grad(b, rows, wrt=0)[1]):
        np.testing.assert_allclose(slope, n / 10, rtol=1e-5)


def test_the_bias_of_a_convolution_under_a_mean():
    x, w = np.random.default_rng(0).normal(size=(64, 28, 28, 1)).astype(f32), np.ones((3, 3, 1, 4), f32)

    def f(b, x):
        return ac.mean(ac.conv2d(x, w, b, padding=1))

    b = np.zeros(4, f32)
    program = ac.compile(f)
    program.value_and_grad(b, x, wrt=0)
    for slope in (ac.grad(f)(b, x), program.value_and_grad(b, x, wrt=0)[1]):
        np.testing.assert_allclose(slope, 0.25, rtol=1e-5)


@pytest.mark.dear
def test_batch_norm_of_many_positions():
    x = (0.1 + 1e-3 * np.random.default_rng(0).normal(size=(16, 256, 256, 3))).astype(f32)
    exact = x.astype(f64)
    right = (exact - exact.mean((0, 1, 2))) / np.sqrt(exact.var((0, 1, 2)) + 1e-5)
    for y in both(ac.batch_norm, x):
        np.testing.assert_allclose(y, right, atol=3e-5)


@pytest.mark.parametrize(("dtype", "size"), [(f32, 1e30), (f32, 1e12), (f64, 1e200), (f32, 1.0)])
def test_layer_norm_of_numbers_whose_squares_leave_the_range(dtype, size):
    x = np.array([[1, 2, 3, 4]], dtype) * dtype(size)
    right = np.array([[-3, -1, 1, 3]]) / 5**0.5
    weights = np.array([[1, 2, 4, 8]], dtype)
    d = np.array([1.0, 2.0, 4.0, 8.0])
    y = right[0]
    width = size * 1.25**0.5
    slopes = (d - d.mean() - y * (d * y).mean()) / width
    for made in both(ac.layer_norm, x):
        np.testing.assert_allclose(made, right, rtol=1e-5)
    slope = ac.grad(lambda x: ac.sum(ac.layer_norm(x) * weights))(x)
    np.testing.assert_allclose(slope[0] * width, slopes * width, rtol=2e-4)
