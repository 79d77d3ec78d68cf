"""Functions by their definition, at the points where something changes, and the forms that a call may have."""

from itertools import product

import numpy as np
import pytest

import autoconv as ac
from autoconv import losses

RNG = np.random.default_rng(8)
A, T = np.arange(6.0).reshape(2, 3), np.arange(24.0).reshape(2, 3, 4)
inf = np.inf


EDGES = np.array([-inf, -7.0, -3.0, -1.0, -0.5, -0.25, -0.0, 0.0, 0.25, 0.5, 1.0, 3.0, 6.0, 7.0, inf])
PIECES = {  # the function, and its definition
    "relu6": (ac.relu6, lambda x: np.clip(x, 0, 6)),
    "hardsigmoid": (ac.hardsigmoid, lambda x: np.clip(x + 3, 0, 6) / 6),
    "hardtanh": (ac.hardtanh, lambda x: np.clip(x, -1, 1)),
    "hardtanh, bounds": (lambda x: ac.hardtanh(x, -3, 0.25), lambda x: np.clip(x, -3, 0.25)),
    "leaky_relu": (ac.leaky_relu, lambda x: np.where(x > 0, x, 0.01 * x)),
    "hardshrink": (ac.hardshrink, lambda x: np.where(np.abs(x) > 0.5, x, 0)),
    "softshrink": (ac.softshrink, lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0)),
    "threshold": (lambda x: ac.threshold(x, 0.25, 9.0), lambda x: np.where(x > 0.25, x, 9)),
    "softplus, beyond": (lambda x: ac.softplus(x, 2.0, 1.0),
        lambda x: np.where(2 * x > 1, x, np.log1p(np.exp(2 * np.minimum(x, 1))) / 2)),
    "softplus, beyond 1": (lambda x: ac.softplus(x, 1.0, 1.0),
        lambda x: np.where(x > 1, x, np.log1p(np.exp(np.minimum(x, 1))))),
    "elu": (lambda x: ac.elu(x, 2.0), lambda x: np.where(x > 0, x, 2 * np.expm1(np.minimum(x, 0)))),
    "celu": (lambda x: ac.celu(x, 2.0), lambda x: np.where(x > 0, x, 2 * np.expm1(np.minimum(x, 0) / 2))),
    "selu": (ac.selu,
        lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0)))),
    "trunc": (ac.trunc, np.trunc), "ceil": (ac.ceil, np.ceil), "isinf": (ac.isinf, np.isinf),
    "isfinite": (ac.isfinite, np.isfinite),
    "logical_not": (ac.logical_not, np.logical_not), "sign": (ac.sign, np.sign),
    "hypot": (lambda x: ac.hypot(x, 3.0), lambda x: np.hypot(x, 3)),
    "nan_to_num": (ac.nan_to_num, np.nan_to_num),
    "nan_to_num, others": (lambda x: ac.nan_to_num(x, 1.0, 2.0, -3.0),
        lambda x: np.nan_to_num(x, nan=1.0, posinf=2.0, neginf=-3.0)),
    "asinh": (ac.asinh, np.arcsinh), "atan": (ac.atan, np.arctan), "sinh": (ac.sinh, np.sinh),
    "cosh": (ac.cosh, np.cosh),
}  # fmt: skip


@pytest.mark.parametrize("name", PIECES)
def test_functions_in_pieces(name):
    f, definition = PIECES[name]
    with np.errstate(all="ignore"):
        for x in (EDGES, EDGES.astype(np.float32)):
            right = definition(x)
            assert f(ac.tensor(x)).dtype in (x.dtype, right.dtype)
            for found in (f(x), f(ac.tensor(x)).value):
                np.testing.assert_allclose(found, right, rtol=1e-6 if x.dtype == np.float32 else 1e-12, atol=1e-7)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["asinh", "acosh"])
def test_inverse_hyperbolic_functions_of_any_size(name, kind):
    x = np.array([10.0**k for k in range(1, 18 if kind == np.float32 else 150)], kind)
    x = np.concatenate([x, 0.999 * x, 1.001 * x]).astype(kind)
    t = ac.tensor(x)
    y, wide = getattr(ac, name)(t), x.astype(np.longdouble)
    np.testing.assert_allclose(y.value, getattr(np, f"arc{name[1:]}")(wide).astype(float), rtol=4 * np.finfo(kind).eps)
    slope = 1 / np.sqrt(wide * wide + (1 if name == "asinh" else -1))
    np.testing.assert_allclose(ac.sweep(y, [t], np.ones_like(x))[0], slope.astype(float), rtol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_functions_of_two_numbers():
    x, y = (
        part.ravel() for part in np.meshgrid([-5.5, -3.0, -0.5, 0.0, 0.5, 2.0, 6.0], [-2.0, -0.75, 0.5, 3.0, np.nan])
    )
    for name in ("fmax", "fmin", "logical_and", "logical_or", "logical_xor", "hypot"):
        for a, b in ((x, y), (y, x)):
            np.testing.assert_allclose(getattr(ac, name)(a, b), getattr(np, name)(a, b), rtol=1e-15, err_msg=name)
    for name in ("fmod", "remainder", "floor_divide"):
        for a, b in ((x, y), (x.astype(int), np.where(y > 0, 3, -2)), (x > 0, np.ones(x.shape, bool))):
            right = getattr(np, name)(a, b)
            found = getattr(ac, name)(a, b)
            np.testing.assert_array_equal(found, right, name)
            assert found.dtype.kind == ("f" if a is x else "i")
    for kind in (bool, int, float):
        a, b = np.array([0, 0, 1, 1], kind), np.array([0, 1, 0, 1], kind)
        for name in ("logical_and", "logical_or", "logical_xor"):
            np.testing.assert_array_equal(getattr(ac, name)(a, b), getattr(np, name)(a, b), name)
    np.testing.assert_array_equal(
        ac.lerp(x[:7], 2 * x[:7], [0, 1, 0.5, 2, -1, 0.25, 1]), x[:7] * [1, 2, 1.5, 3, 0, 1.25, 2]
    )
    np.testing.assert_array_equal(ac.masked_fill(x, x > 0, 9.0), np.where(x > 0, 9, x))


def test_rounding_to_decimals():
    x = np.array(
        [-25.0, -15.0, -2.5, -1.5, -0.5, -0.25, 0.0, 0.125, 0.375, 0.5, 1.5, 2.5, 15.0, 25.0, 35.0, 2.4999, inf, -inf]
    )
    for decimals in range(-2, 4):
        np.testing.assert_allclose(ac.round(x, decimals), np.round(x, decimals), rtol=1e-15)
    np.testing.assert_allclose([ac.round(1.5e-300, 300), ac.round(2.5e300, -300)], [2e-300, 2e300], rtol=1e-15)


@pytest.mark.parametrize("t", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("y", [0.0, 1e-60, 0.25, 1.0])
def test_bce_holds_its_logarithms(y, t):
    """At -100 and above; beyond, and at 0 and 1, the slope is 0."""
    with np.errstate(all="ignore"):
        logs, slopes = np.log([y, 1 - y]), [1 / y if y > 1e-43 else 0, -1 / (1 - y) if y < 1 else 0]
    logs = np.maximum(logs, -100)
    z = ac.tensor([y])
    loss = losses.bce(z, [t], reduction="sum")
    np.testing.assert_allclose(loss.value, -t * logs[0] - (1 - t) * logs[1], rtol=1e-12)
    np.testing.assert_allclose(ac.sweep(loss, [z])[0], [-t * slopes[0] - (1 - t) * slopes[1]], rtol=1e-12)


def test_losses_by_definition():
    y, t, w = RNG.uniform(0.1, 0.9, (3, 4, 2))
    d = y - t
    whole = {"none": lambda x: x, "sum": np.sum, "mean": np.mean}
    table = [
        (losses.mse, d * d, {}), (losses.l1, np.abs(d), {}), (losses.half_squared_error, d * d / 2, {}),
        (losses.smooth_l1, np.abs(d), {"beta": 0}),
        (losses.smooth_l1, np.where(np.abs(d) < 0.25, d * d / 0.5, np.abs(d) - 0.125), {"beta": 0.25}),
        (losses.huber, np.where(np.abs(d) < 0.25, d * d / 2, 0.25 * (np.abs(d) - 0.125)), {"delta": 0.25}),
        (losses.bce, -w * (t * np.log(y) + (1 - t) * np.log(1 - y)), {"weight": w}),
        (losses.bce, -w[:1] * (t * np.log(y) + (1 - t) * np.log(1 - y)), {"weight": w[:1]}),
        (losses.bce_with_logits, -w * (w[0] * t * np.log(1 / (1 + np.exp(-y))) + (1 - t) * np.log(1 / (1 + np.exp(y)))),
         {"weight": w, "pos_weight": w[0]}),
        (losses.kl_div, t * (np.log(t) - y), {}), (losses.kl_div, np.exp(t) * (t - y), {"log_target": True}),
    ]  # fmt: skip
    for f, right, settings in table:
        for reduction, by in whole.items():
            np.testing.assert_allclose(f(y, t, reduction=reduction, **settings), by(right), rtol=1e-12)
        with pytest.raises(ValueError, match="never broadcast"):
            f(y, t[:1], **settings)
    np.testing.assert_allclose(losses.kl_div(y, t, reduction="batchmean"), (t * (np.log(t) - y)).sum() / 4, rtol=1e-12)
    with pytest.raises(ValueError, match="batch"):
        losses.kl_div(np.array(0.5), np.array(0.5), reduction="batchmean")
    for axis in (0, 1, -1, -2):
        for eps in (1e-8, 2.0):
            size = [np.maximum(np.sqrt((z * z).sum(axis)), eps) for z in (y, t)]
            np.testing.assert_allclose(
                losses.cosine_similarity(y, t, axis, eps), (y * t).sum(axis) / size[0] / size[1], rtol=1e-12
            )
    np.testing.assert_array_equal(losses.cosine_similarity(0 * y, t), np.zeros(4))


def test_ignored_labels_need_no_class():
    x = ac.tensor([[2.0], [3.0]])
    loss = losses.cross_entropy(x, [0, -100], ignore_index=-100, reduction="none")
    np.testing.assert_array_equal(loss.value, [0, 0])
    x = np.log([[0.25, 0.75], [0.5, 0.5]])
    for reduction, right in (("none", [-x[0, 1], 0]), ("sum", -x[0, 1]), ("mean", -x[0, 1])):
        np.testing.assert_allclose(losses.nll(x, [1, 7], ignore_index=7, reduction=reduction), right, rtol=1e-12)


def attention(q, k, v, mask, scale):
    scores = q @ np.swapaxes(k, -1, -2) * scale
    scores = np.where(mask, scores, -inf) if mask.dtype == bool else scores + mask
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True) @ v


def test_attention_by_its_definition():
    f = ac.scaled_dot_product_attention
    for rows, columns in ((3, 3), (2, 5), (5, 2), (1, 4)):
        q, k, v = (
            RNG.normal(size=(2, 4, rows, 6)),
            RNG.normal(size=(2, 4, columns, 6)),
            RNG.normal(size=(2, 4, columns, 5)),
        )
        usual, every, lower = 1 / np.sqrt(6), np.ones((rows, columns), bool), np.tri(rows, columns, dtype=bool)
        for mask in (
            every,
            lower,
            RNG.normal(size=(rows, columns)),
            RNG.normal(size=(2, 1, rows, columns)),
            RNG.normal(size=(1, columns)),
        ):
            np.testing.assert_allclose(f(q, k, v, mask), attention(q, k, v, mask, usual), rtol=1e-10)
        np.testing.assert_allclose(f(q, k, v), attention(q, k, v, every, usual), rtol=1e-10)
        np.testing.assert_allclose(f(q, k, v, is_causal=True), attention(q, k, v, lower, usual), rtol=1e-10)
        for scale in (0.0, 0.3, 1.0):
            np.testing.assert_allclose(f(q, k, v, scale=scale), attention(q, k, v, every, scale), rtol=1e-10)
        for heads in (1, 2, 4):
            few = [z[:, :heads] for z in (k, v)]
            many = [np.repeat(z, 4 // heads, 1) for z in few]
            np.testing.assert_allclose(f(q, *few, enable_gqa=True), attention(q, *many, every, usual), rtol=1e-10)
    np.testing.assert_array_equal(f(np.ones((2, 0)), np.ones((3, 0)), np.eye(3)[:, :2] * 3), np.ones((2, 2)))


# ---- chosen places


def test_parts_as_pytorch_cuts_them():
    """``chunk`` makes parts of ceil(n / chunks); a split by size has a smaller last one."""
    for n, number in product(range(8), range(1, 9)):
        x, size = np.arange(n), -(-n // number)
        right = [x[k : k + size] for k in range(0, n, size)] if n else [x]
        assert [p.tolist() for p in ac.chunk(x, number)] == [p.tolist() for p in right]
        if n:
            right = [x[k : k + number].tolist() for k in range(0, n, number)]
            for found in (
                ac.tensor(x).split(number),
                ac.split(x, split_size=number, dim=0),
                ac.split(x, number, dim=0),
            ):
                assert [np.asarray(getattr(p, "value", p)).tolist() for p in found] == right
    for sizes in ([6], [1, 5], [0, 6], [2, 0, 4], [1, 2, 3], [1, 2, 1, 2]):
        for axis in (0, 1, -1):
            x = np.arange(36).reshape(6, 6)
            right = np.split(x, np.cumsum(sizes)[:-1], axis)
            for one, other in zip(ac.tensor(x).split(sizes, axis), right, strict=True):
                np.testing.assert_array_equal(one.value, other)
    for axis in (0, 1, 2, -1, -2, -3):
        for k in range(-T.shape[axis], T.shape[axis]):
            np.testing.assert_array_equal(ac.select(T, axis, k), T.take(k, axis))
            for length in range(T.shape[axis] - k % T.shape[axis] + 1):
                first = k % T.shape[axis]
                np.testing.assert_array_equal(ac.narrow(T, axis, k, length), T.take(range(first, first + length), axis))
        np.testing.assert_array_equal(ac.unbind(T, axis), np.moveaxis(T, axis, 0))
        np.testing.assert_array_equal(ac.tensor(T).unbind(axis)[-1].value, T.take(-1, axis))


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2])
@pytest.mark.parametrize("shorter", [(2, 3, 4), (1, 3, 4), (2, 2, 4), (2, 3, 2), (1, 2, 3)], ids=str)
def test_gather_and_put_cell_by_cell(axis, shorter):
    shape = list(shorter)
    shape[axis] = 5
    places = RNG.integers(-T.shape[axis], T.shape[axis], shape)
    values = RNG.normal(size=shape)
    right, put, added, one = np.zeros(shape), T.copy(), T.copy(), T.copy()
    for cell in np.ndindex(*shape):
        at = list(cell)
        at[axis] = places[cell]
        right[cell] = T[tuple(at)]
        put[tuple(at)], one[tuple(at)] = values[cell], 7
        added[tuple(at)] += values[cell]
    t = ac.tensor(T)
    np.testing.assert_array_equal(ac.gather(T, axis, places), right)
    np.testing.assert_array_equal(t.gather(axis, places).value, right)
    np.testing.assert_array_equal(ac.put_along_axis(T, places, values, axis), put)
    np.testing.assert_array_equal(t.scatter(axis, places, 7.0).value, one)
    np.testing.assert_allclose(t.scatter_add(axis, places, ac.tensor(values)).value, added, rtol=1e-12)
    if all(n == m or n == 1 for k, (n, m) in enumerate(zip(shape, T.shape, strict=True)) if k != axis % 3):
        np.testing.assert_array_equal(ac.take_along_axis(T, places, axis), np.take_along_axis(T, places, axis))
    empty = np.zeros([0 if k == axis % 3 else n for k, n in enumerate(T.shape)], int)
    np.testing.assert_array_equal(ac.put_along_axis(T, empty, np.zeros(empty.shape), axis), T)


def test_rows_of_a_table():
    table, rows = RNG.normal(size=(4, 3)), np.array([[0, 3], [2, 0]])
    for padding in (None, 0, 1, 2, 3, -1, -4):
        w = ac.tensor(table)
        y = ac.embedding(rows, w, padding)
        np.testing.assert_array_equal(y.value, table[rows])
        counts = np.bincount(rows.ravel(), minlength=4)
        if padding is not None:
            counts[padding] = 0
        np.testing.assert_array_equal(ac.sweep(y, [w], np.ones(y.shape))[0], counts[:, None] * np.ones(3))
    for n in (None, 4, 6):
        np.testing.assert_array_equal(ac.one_hot(rows, n), np.eye(n or 4)[rows])
    assert ac.one_hot(rows, 4, dtype=int).dtype == int and ac.one_hot(rows).dtype == float


# ---- forms of one call


def test_forms_of_pytorch():
    for n, axis, keepdim in product(range(1, 6), (0, 1, -1), (False, True)):
        x = RNG.permutation(n * n).reshape(n, n) * 1.0
        at = np.expand_dims(np.take(np.argsort(x, axis), (n - 1) // 2, axis), axis)
        cut = (lambda z: z) if keepdim else (lambda z, axis=axis: z.squeeze(axis))
        for found, places in (
            (ac.median(x, dim=axis, keepdim=keepdim), at),
            (ac.max(x, dim=axis, keepdim=keepdim), np.expand_dims(x.argmax(axis), axis)),
            (ac.min(x, dim=axis, keepdim=keepdim), np.expand_dims(x.argmin(axis), axis)),
        ):
            np.testing.assert_array_equal(found.values, cut(np.take_along_axis(x, places, axis)))
            np.testing.assert_array_equal(found.indices, cut(places))
        for descending in (False, True):
            order = np.argsort(-x if descending else x, axis)
            found = ac.sort(x, dim=axis, descending=descending)
            np.testing.assert_array_equal(found.values, np.take_along_axis(x, order, axis))
            np.testing.assert_array_equal(found.indices, order)
    x = RNG.normal(size=(3, 4))
    for found, right in (
        (ac.sort(x, stable=True).values, np.sort(x, -1)), (ac.max(x, dim=1).values, x.max(1)),
        (ac.median(x, dim=0).values, np.sort(x, 0)[1]),
        (ac.var(x, unbiased=True), x.var(ddof=1)), (ac.std(x, dim=0), x.std(0, ddof=1)),
        (ac.var(x, dim=1, unbiased=False), x.var(1)), (ac.std(x, dim=1, correction=2), x.std(1, ddof=2)),
        (ac.var(x, dim=1, keepdim=True), x.var(1, ddof=1, keepdims=True)), (ac.std(x, unbiased=False), x.std()),
        (ac.var(x, dim=(0, 1), correction=0), x.var()),
        (ac.std(x, dim=1, keepdim=True), x.std(1, ddof=1, keepdims=True)),
    ):  # fmt: skip
        np.testing.assert_allclose(found, right, rtol=1e-12)


def test_forms_of_methods():
    t, v = ac.tensor(T), ac.tensor(A[0])
    shapes = [
        (t.permute(2, 0, 1), (4, 2, 3)), (t.permute((2, 0, 1)), (4, 2, 3)), (t.permute([1, 0, 2]), (3, 2, 4)),
        (v.permute(0), (3,)),
        (t.transpose(), (4, 3, 2)), (t.transpose(2, 0, 1), (4, 2, 3)), (t.transpose((2, 0, 1)), (4, 2, 3)),
        (v.transpose(0), (3,)),
        (t[0].transpose(1, 0), (4, 3)), (t.transpose(dim0=0, dim1=2), (4, 3, 2)), (t.view(6, 4), (6, 4)),
        (t.view((6, 4)), (6, 4)),
        (t.view(-1), (24,)), (t.tile(2, 1), (2, 6, 4)), (t.tile((2, 1)), (2, 6, 4)), (t.tile(2), (2, 3, 8)),
        (t[0].t(), (4, 3)), (v.t(), (3,)),
        (t.expand(5, -1, -1, -1), (5, 2, 3, 4)), (t.expand(2, 3, 4), (2, 3, 4)), (t[:1].expand(6, 3, -1), (6, 3, 4)),
        (t[:, :1].expand((2, 5, 4)), (2, 5, 4)),
        (ac.flatten(t), (24,)), (ac.flatten(t, 1), (2, 12)), (ac.flatten(t, 0, 1), (6, 4)),
        (ac.flatten(t, -2), (2, 12)), (ac.flatten(t, 1, 1), (2, 3, 4)),
        (ac.flatten(ac.tensor(1.0)), (1,)), (ac.unflatten(t, 2, (2, 2)), (2, 3, 2, 2)),
        (ac.unflatten(t, -1, (-1, 1, 2)), (2, 3, 2, 1, 2)),
        (ac.unflatten(t, 0, (2,)), (2, 3, 4)), (ac.unflatten(ac.zeros(0, 2), 0, (-1, 2)), (0, 2, 2)),
        (ac.reshape(t, 6, 4), (6, 4)),
    ]  # fmt: skip
    for k, (y, shape) in enumerate(shapes):
        assert y.shape == shape, k
    np.testing.assert_array_equal(t.flip(0, 1).value, np.flip(T, (0, 1)))
    np.testing.assert_array_equal(t.flip((0, 2)).value, np.flip(T, (0, 2)))
    np.testing.assert_array_equal(t.flip(1).value, np.flip(T, 1))
    np.testing.assert_array_equal(t.flip().value, np.flip(T))
    np.testing.assert_array_equal(t.repeat(2, 1).value, np.repeat(T, 2, 1))
    np.testing.assert_array_equal(t.repeat(2).value, np.repeat(T, 2))
    for bad in (
        lambda: t.transpose(0, 1),
        lambda: t.repeat(2, 1, 1),
        lambda: v.repeat(2, 1),
        lambda: t.view(np.float32),
        lambda: t.sort(),
    ):
        with pytest.raises((ValueError, TypeError), match=r"write|converted|sort"):
            bad()


def test_changes_in_place():
    for name, given, right in (
        ("add_", (A,), A + A), ("sub_", (A,), A - A), ("mul_", (3.0,), 3 * A), ("div_", (2.0,), A / 2),
        ("fill_", (7.0,), 7 + 0 * A),
        ("zero_", (), 0 * A), ("clamp_", (1, 3), np.clip(A, 1, 3)), ("copy_", (A[0],), np.broadcast_to(A[0], (2, 3))),
    ):  # fmt: skip
        t = ac.tensor(A)
        assert getattr(t, name)(*given) is t
        np.testing.assert_array_equal(t.value, right)
    for alpha in (1, 2, -0.5):
        np.testing.assert_array_equal(ac.tensor(A).add_(A + 1, alpha=alpha).value, A + alpha * (A + 1))
        np.testing.assert_array_equal(ac.tensor(A).sub_(A + 1, alpha=alpha).value, A - alpha * (A + 1))
    ac.manual_seed(3)
    drawn = (
        ac.zeros(3).normal_(),
        ac.zeros(3).normal_(5.0, 2.0),
        ac.zeros(3).uniform_(),
        ac.zeros(3).uniform_(-3.0, 5.0),
    )
    source = np.random.default_rng(3)
    right = source.normal(size=3), 5 + 2 * source.normal(size=3), source.random(3), -3 + 8 * source.random(3)
    for y, z in zip(drawn, right, strict=True):
        np.testing.assert_allclose(y.value, z, rtol=1e-12)


def test_nothing_is_drawn_where_nothing_is_dropped():
    source, x = np.random.default_rng(0), ac.tensor(A)
    before = source.bit_generator.state
    assert ac.dropout(x, 0, rng=source) is x and ac.dropout(x, 0.5, False, rng=source) is x
    assert source.bit_generator.state == before
    y = ac.dropout(np.ones(4000), 0.75, rng=source)
    assert set(np.unique(y)) == {0, 4} and 0.2 < (y > 0).mean() < 0.3


def test_a_number_is_one_for_each_of_two_dimensions():
    x = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(ac.windows(x, 2), ac.windows(x, (2, 2)))
    np.testing.assert_array_equal(ac.overlap_add(ac.windows(x[:, :3], 2), 3), [[0, 2, 2], [8, 20, 12], [8, 18, 10]])


def test_what_is_a_constant():
    w = ac.from_numpy(A)
    assert not w.constant and w.data.constant and w.requires_grad and w.is_leaf
    assert not w.requires_grad_(False).requires_grad and w.constant
    w.requires_grad = True
    y = w * ac.tensor(2.0, requires_grad=False)
    assert not w.constant and not y.is_leaf and y._prev == {w} and y._op == "mul"
    with pytest.raises(TypeError, match="floating point"):
        ac.tensor([1, 2]).requires_grad_()


def test_a_transposed_convolution_of_one_cell_is_its_kernel():
    kernel = np.arange(1.0, 4.0)
    np.testing.assert_array_equal(ac.conv_transpose1d(np.array([2.0]), kernel, stride=3), 2 * kernel)
    np.testing.assert_array_equal(ac.conv_matrix(kernel, (1,), stride=3, transpose=True), kernel[:, None])


def test_scores_of_any_size_are_shared():
    q = np.array([[1e5], [-1e5]])
    shares = ac.scaled_dot_product_attention(q, np.array([[1.0], [2.0]]), np.eye(2))
    np.testing.assert_array_equal(shares, [[0, 1], [1, 0]])


def test_an_equation_is_one_call_and_counts_its_operands_from_1():
    t = ac.tensor(A)
    assert [line.scope.name for line in ac.Tape(ac.einsum("ij,ij->i", t, t)) if line.primitive] == ["einsum"]
    with pytest.raises(TypeError, match="einsum: operand 2"):
        ac.einsum("ij,ij->i", t, "a")


@pytest.mark.parametrize("x", [A, ac.tensor(A)], ids=["array", "tensor"])
def test_arguments_too_many_or_twice(x):
    """As Python says it, also of a function between whose operands a setting stands."""
    for given, named in (((x, 0, None, False, 1), {}), ((x, 0), {"axis": 0}), ((x,), {"x": x}), ((), {})):
        with pytest.raises(TypeError, match=r"average\(\)"):
            ac.average(*given, **named)
