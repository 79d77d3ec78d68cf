"""Composed operations against NumPy and plain loops; their gradients against finite differences."""

import itertools

import numpy as np
import pytest

import autoconv as ac

RNG = np.random.default_rng(0)
A, B, V = RNG.normal(size=(3, 4)), RNG.normal(size=(4, 2)), RNG.normal(size=4)
T = RNG.normal(size=(2, 3, 4))
I = np.array([[0, 2], [1, 1]])

# autoconv's result on a Tensor, NumPy's on the array
LIKE_NUMPY = {
    "reshape": (lambda t: ac.reshape(t, (4, -1)), lambda a: a.reshape(4, -1), T),
    "method reshape": (lambda t: t.reshape(6, 4), lambda a: a.reshape(6, 4), T),
    "transpose": (lambda t: ac.transpose(t, (2, 0, 1)), lambda a: a.transpose(2, 0, 1), T),
    "method transpose": (lambda t: t.transpose(1, 0, 2), lambda a: a.transpose(1, 0, 2), T),
    "T": (lambda t: t.T, lambda a: a.T, T),
    "swapaxes": (lambda t: ac.swapaxes(t, 0, -1), lambda a: a.swapaxes(0, -1), T),
    "moveaxis": (lambda t: ac.moveaxis(t, (0, 1), (-1, 0)), lambda a: np.moveaxis(a, (0, 1), (-1, 0)), T),
    "expand_dims": (lambda t: ac.expand_dims(t, (0, 2)), lambda a: np.expand_dims(a, (0, 2)), A),
    "squeeze": (lambda t: ac.squeeze(t), lambda a: a.squeeze(), A[:, None]),
    "flatten": (lambda t: ac.flatten(t, 1), lambda a: a.reshape(2, 12), T),
    "broadcast_to": (lambda t: ac.broadcast_to(t, (2, 3, 4)), lambda a: np.broadcast_to(a, (2, 3, 4)), A),
    "flip": (lambda t: ac.flip(t, 1), lambda a: np.flip(a, 1), T),
    "rot180": (ac.rot180, lambda a: np.rot90(a, 2), A),
    "roll": (lambda t: ac.roll(t, 2, 1), lambda a: np.roll(a, 2, 1), T),
    "tile": (lambda t: ac.tile(t, (2, 1, 3)), lambda a: np.tile(a, (2, 1, 3)), A),
    "repeat": (lambda t: ac.repeat(t, 2, 1), lambda a: np.repeat(a, 2, 1), T),
    "concat": (lambda t: ac.concat([t, A, t], 1), lambda a: np.concatenate([a, A, a], 1), A),
    "stack": (lambda t: ac.stack([t, A], -1), lambda a: np.stack([a, A], -1), A),
    "split": (lambda t: ac.split(t, 2, -1)[1], lambda a: np.split(a, 2, -1)[1], T),
    "split at": (lambda t: ac.split(t, [1], 0)[1], lambda a: np.split(a, [1], 0)[1], T),
    "pad": (lambda t: ac.pad(t, ((1, 0), (2, 1))), lambda a: np.pad(a, ((1, 0), (2, 1))), A),
    "pad with 5": (lambda t: ac.pad(t, 1, constant_values=5.0), lambda a: np.pad(a, 1, constant_values=5.0), A),
    **{f"pad {mode}": (lambda t, m=mode: ac.pad(t, (1, 2), mode=m), lambda a, m=mode: np.pad(a, (1, 2), mode=m), A)
       for mode in ("edge", "reflect", "symmetric", "wrap")},
    "take": (lambda t: ac.take(t, I, 1), lambda a: np.take(a, I, 1), T),
    "take flat": (lambda t: ac.take(t, I), lambda a: np.take(a, I), T),
    "take_along_axis": (lambda t: ac.take_along_axis(t, np.argsort(A, 1), 1), lambda a: np.sort(a, 1), A),
    "where": (lambda t: ac.where(A > 0, t, 0), lambda a: np.where(A > 0, a, 0), A),
    "clip": (lambda t: ac.clip(t, -0.5, 0.5), lambda a: np.clip(a, -0.5, 0.5), A),
    **{f"index {key!r}": (lambda t, k=key: t[k], lambda a, k=key: a[k], T) for key in (
        1, -1, (0, 1), slice(None, None, -1), (slice(None), slice(1, None), 2), (Ellipsis, 0), (None, 1), [0, 0, 1],
        (slice(None), [0, 2]), ([0, 1], [1, 2]), (np.array([True, False]),),
    )},
    "index with a mask": (lambda t: t[T > 0], lambda a: a[T > 0], T),
    "sum": (lambda t: ac.sum(t, (0, 2), keepdims=True), lambda a: a.sum((0, 2), keepdims=True), T),
    "mean": (lambda t: t.mean(1), lambda a: a.mean(1), T),
    "var": (lambda t: t.var((0, 1), ddof=1), lambda a: a.var((0, 1), ddof=1), T),
    "std": (lambda t: t.std(), lambda a: a.std(), T),
    "max": (lambda t: t.max((0, 2)), lambda a: a.max((0, 2)), T),
    "max of all": (lambda t: t.max(keepdims=True), lambda a: a.max(keepdims=True), T),
    "min": (lambda t: t.min(1, keepdims=True), lambda a: a.min(1, keepdims=True), T),
    "prod": (lambda t: ac.prod(t, 2), lambda a: a.prod(2), T),
    "logsumexp": (lambda t: ac.logsumexp(t, (0, 1)), lambda a: np.log(np.exp(a).sum((0, 1))), T),
    "matmul": (lambda t: t @ B, lambda a: a @ B, A),
    "matmul batched": (lambda t: t @ B, lambda a: a @ B, T),
    "matmul broadcast": (lambda t: A[:2, None, None, :3] @ t, lambda a: A[:2, None, None, :3] @ a, T),
    "matmul vector": (lambda t: t @ V, lambda a: a @ V, T),
    "vector matmul": (lambda t: V @ t, lambda a: V @ a, B),
    "outer": (lambda t: ac.outer(t, V), lambda a: np.outer(a, V), V + 1),
    "tensordot": (lambda t: ac.tensordot(t, T, ([1, 2], [1, 2])), lambda a: np.tensordot(a, T, ([1, 2], [1, 2])), T),
    **{f"einsum {eq}": (lambda t, e=eq, o=o: ac.einsum(e, t, *o), lambda a, e=eq, o=o: np.einsum(e, a, *o), x)
       for eq, x, o in (
        ("ij->ji", A, ()), ("ij->", A, ()), ("ii->i", A[:, :3], ()), ("ii", A[:, :3], ()), ("ij,jk", A, (B,)),
        ("bij,jk,lk->bil", T, (B, A[:, :2])), ("...ij,jk->...ik", T, (B,)),
        ("ij,ij->i", A, (A,)), ("i,j,k->kji", V, (V, V)), ("...->...", T, ()), ("bij,kj->bk", T, (A,)),
        ("ij,k->ik", A, (V,)),
    )},
    "softplus": (ac.softplus, lambda a: np.log1p(np.exp(a)), A),
    "elu": (ac.elu, lambda a: np.where(a > 0, a, np.expm1(a)), A),
    "silu": (ac.silu, lambda a: a / (1 + np.exp(-a)), A),
    "softsign": (ac.softsign, lambda a: a / (1 + np.abs(a)), A),
    "softmax": (lambda t: ac.softmax(t, 0), lambda a: np.exp(a) / np.exp(a).sum(0), A),
    "log_softmax": (ac.log_softmax, lambda a: a - np.log(np.exp(a).sum(-1, keepdims=True)), T),
    "half_squared_error": (lambda t: ac.losses.half_squared_error(t, A + 1),
        lambda a: 0.5 * ((a - A - 1) ** 2).sum(), A),
    "mse": (lambda t: ac.losses.mse(t, A * 2), lambda a: ((a - 2 * A) ** 2).mean(), A),
    "cross_entropy": (lambda t: ac.losses.cross_entropy(t, [0, 3, 1], reduction="none"),
        lambda a: -np.log((np.exp(a) / np.exp(a).sum(1, keepdims=True))[[0, 1, 2], [0, 3, 1]]), A),
    "cross_entropy axis 1": (lambda t: ac.losses.cross_entropy(t, np.ones((2, 4), int), axis=1, reduction="sum"),
        lambda a: (np.log(np.exp(a).sum(1)) - a[:, 1]).sum(), T),
    "cross_entropy of probabilities": (lambda t: ac.losses.cross_entropy(t, np.full((3, 4), 0.25)),
        lambda a: (np.log(np.exp(a).sum(1)) - a.mean(1)).mean(), A),
    "bce_with_logits": (lambda t: ac.losses.bce_with_logits(t, (A > 0) * 1.0),
        lambda a: np.where(A > 0, np.log1p(np.exp(-a)), np.log1p(np.exp(a))).mean(), A),
    "layer_norm": (lambda t: ac.layer_norm(t, V, 2 * V),
        lambda a: (a - a.mean(-1, keepdims=True)) / np.sqrt(a.var(-1, keepdims=True) + 1e-5) * V + 2 * V, T),
    "batch_norm": (lambda t: ac.batch_norm(t, V, 2 * V),
        lambda a: (a - a.mean((0, 1))) / np.sqrt(a.var((0, 1)) + 1e-5) * V + 2 * V, T),
}  # fmt: skip


@pytest.mark.parametrize("case", LIKE_NUMPY)
def test_like_numpy(case):
    f, expected, x = LIKE_NUMPY[case]
    y = f(ac.tensor(x))
    assert isinstance(y, ac.Tensor)
    np.testing.assert_allclose(y.value, expected(x), rtol=1e-12, atol=1e-14)
    assert y.shape == np.shape(expected(x))
    ac.check_grads(f, x, order=1)
    if not case.startswith(("index", "method", "T")):
        plain = f(x)
        assert not isinstance(plain, ac.Tensor)
        np.testing.assert_allclose(plain, y.value, rtol=1e-13, atol=1e-14)


def test_gelu_by_its_definition():
    """x Phi(x), Phi by the error function: values of Abramowitz and Stegun, table 26.1."""
    np.testing.assert_allclose(
        ac.gelu(np.array([0.0, 1.0, -2.0])), [0, 0.841344746068543, -2 * 0.022750131948179], rtol=1e-12
    )
    np.testing.assert_allclose(ac.gelu(A, approximate="tanh"), ac.gelu(A), atol=2e-3)
    ac.check_grads(ac.gelu, A)


# ---- convolution and pooling by plain loops


def loop_conv(x, w, stride, pads, dilation, groups=1):
    """Cross-correlation of (N, *spatial, C) with (*window, C / groups, O) by nested loops."""
    x = np.pad(x, [(0, 0), *pads, (0, 0)])
    window, read, made = w.shape[:-2], w.shape[-2], w.shape[-1] // groups
    size = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[1:-1], window, stride, dilation, strict=True)]
    y = np.zeros((len(x), *size, w.shape[-1]))
    for place in itertools.product(*map(range, size)):
        for tap in itertools.product(*map(range, window)):
            cell = tuple(p * s + t * d for p, s, t, d in zip(place, stride, tap, dilation, strict=True))
            for o in range(w.shape[-1]):
                g = o // made
                y[(slice(None), *place, o)] += (
                    x[(slice(None), *cell, slice(g * read, (g + 1) * read))] @ w[(*tap, slice(None), o)]
                )
    return y


def first(y, layout, dims):
    """A channels-last batch in ``layout``."""
    return np.moveaxis(y, -1, 1) if layout != "channels_last" else y


GEOMETRIES = [
    (1, (3,), (1,), ((0, 0),), (1,), 1), (1, (4,), (2,), ((2, 1),), (2,), 2),
    (2, (3, 2), (2, 1), ((1, 0), (2, 2)), (1, 2), 1),
    (2, (2, 2), (1, 3), ((0, 1), (1, 1)), (2, 1), 3), (2, (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    (3, (2, 1, 3), (1, 2, 2), ((0, 0), (1, 0), (1, 1)), (1, 1, 1), 2),
]  # fmt: skip


@pytest.mark.parametrize(("dims", "window", "stride", "pads", "dilation", "groups"), GEOMETRIES)
@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_convolution_and_its_transpose(dims, window, stride, pads, dilation, groups, layout):
    rng = np.random.default_rng(dims)
    x = rng.integers(-4, 5, (2, *(7, 6, 5)[:dims], 2 * groups)).astype(float)
    w = rng.integers(-4, 5, (*window, 2, 3 * groups)).astype(float)
    settings = {"stride": stride, "padding": pads, "dilation": dilation, "groups": groups, "layout": layout}
    conv, transpose = getattr(ac, f"conv{dims}d"), getattr(ac, f"conv_transpose{dims}d")
    kernel = w if layout == "channels_last" else np.moveaxis(w, (-1, -2), (0, 1))
    image = ac.tensor(first(x, layout, dims))
    y = conv(image, kernel, **settings)
    np.testing.assert_array_equal(y.value, first(loop_conv(x, w, stride, pads, dilation, groups), layout, dims))

    # conv_transpose is the adjoint: the same as the gradient of the convolution's input
    g = rng.integers(-4, 5, y.shape).astype(float)
    size = list(x.shape[1:-1])
    reached = [
        (c - 1) * s + d * (k - 1) + 1 - sum(p)
        for c, s, d, k, p in zip(
            np.shape(loop_conv(x, w, stride, pads, dilation, groups))[1:-1], stride, dilation, window, pads, strict=True
        )
    ]
    extra = tuple(n - r for n, r in zip(size, reached, strict=True))
    back = transpose(g, kernel, output_padding=extra, **settings)
    np.testing.assert_array_equal(back, ac.sweep(y, [image], g)[0])
    ac.check_grads(lambda k: conv(image.value, k, **settings), kernel, order=1)


def test_flip_is_the_mathematicians_convolution():
    x, w = RNG.normal(size=(5, 6)), RNG.normal(size=(3, 2))
    expected = sum(w[i, j] * np.pad(x, [(i, 2 - i), (j, 1 - j)]) for i in range(3) for j in range(2))
    np.testing.assert_allclose(ac.conv2d(x, w, padding="full", flip=True), expected)
    np.testing.assert_allclose(ac.conv1d(x[0], w[0], padding="full", flip=True), np.convolve(x[0], w[0]))


PADDINGS = {"valid": (0, 0), "full": (3, 3), "same": (1, 2), "same_lower": (2, 1), 2: (2, 2), ((1, 3),): (1, 3)}


@pytest.mark.parametrize("padding", PADDINGS)
def test_padding_words(padding):
    x, w = RNG.normal(size=9), RNG.normal(size=4)
    np.testing.assert_allclose(ac.conv1d(x, w, padding=padding), np.correlate(np.pad(x, PADDINGS[padding]), w))


@pytest.mark.parametrize("n", range(1, 8))
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_padding_gives_ceil_of_size_over_stride(n, stride):
    assert ac.conv1d(np.ones(n), np.ones(3), padding="same", stride=stride).shape == (-(-n // stride),)


def test_unbatched_and_plain_images():
    x, w = RNG.normal(size=(6, 5, 2)), RNG.normal(size=(3, 3, 2, 4))
    np.testing.assert_array_equal(ac.conv2d(x, w), ac.conv2d(x[None], w)[0])
    np.testing.assert_array_equal(
        ac.conv2d(x[..., 0], w[..., 0, 0]), ac.conv2d(x[None, ..., :1], w[..., :1, :1])[0, ..., 0]
    )
    np.testing.assert_array_equal(ac.max_pool2d(x[..., 0], 2), ac.max_pool2d(x, 2)[..., 0])
    np.testing.assert_array_equal(
        ac.avg_pool2d(x.transpose(2, 0, 1), 2, layout="NCHW"), ac.avg_pool2d(x, 2).transpose(2, 0, 1)
    )


def loop_pool(x, reduce, window, stride, pads, ceil):
    """Pooling of a plain image by loops over the cells that really exist."""
    sizes = []
    for n, k, s, (low, high) in zip(x.shape, window, stride, pads, strict=True):
        free = n + low + high - k
        out = (-(-free // s) if ceil else free // s) + 1
        sizes.append(out - 1 if (out - 1) * s >= n + low else out)
    y = np.zeros(sizes)
    for place in np.ndindex(*sizes):
        starts = [p * s - low for p, s, (low, _) in zip(place, stride, pads, strict=True)]
        cells = x[tuple(slice(max(0, a), max(0, a + k)) for a, k in zip(starts, window, strict=True))]
        padded = np.prod(
            [min(a + k, n + high) - a for a, k, n, (_, high) in zip(starts, window, x.shape, pads, strict=True)]
        )
        y[place] = reduce(cells, padded)
    return y


POOLS = {
    "max": (ac.max_pool2d, {}, lambda cells, padded: cells.max()),
    "average": (ac.avg_pool2d, {}, lambda cells, padded: cells.sum() / padded),
    "average of the input": (ac.avg_pool2d, {"count_include_pad": False}, lambda cells, padded: cells.mean()),
    "divisor": (ac.avg_pool2d, {"divisor": 7}, lambda cells, padded: cells.sum() / 7),
    "2-norm": (ac.lp_pool2d, {}, lambda cells, padded: np.sqrt((cells**2).sum())),
    "3-norm": (ac.lp_pool2d, {"p": 3}, lambda cells, padded: (np.abs(cells) ** 3).sum() ** (1 / 3)),
}


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize(
    ("window", "stride", "pads"),
    [
        ((2, 3), (2, 2), ((0, 0), (0, 0))),
        ((3, 2), (2, 3), ((1, 0), (1, 1))),
        ((3, 3), (3, 2), ((1, 1), (0, 2))),
        ((2, 2), (3, 3), ((0, 1), (1, 0))),
    ],
)
def test_pooling(kind, ceil, window, stride, pads):
    pool, settings, reduce = POOLS[kind]
    x = RNG.permutation(63).reshape(9, 7) / 8.0 - 4
    f = lambda t: pool(t, window, stride=stride, padding=pads, ceil_mode=ceil, **settings)
    np.testing.assert_allclose(f(x), loop_pool(x, reduce, window, stride, pads, ceil), rtol=1e-13)
    ac.check_grads(f, x, order=1)


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_global_pooling(layout):
    x = RNG.normal(size=(2, 3, 4, 5))
    axes = (1, 2) if layout == "channels_last" else (2, 3)
    np.testing.assert_allclose(ac.global_avg_pool(x, layout=layout), x.mean(axes))
    np.testing.assert_allclose(ac.global_max_pool(x, layout=layout, keepdims=True), x.max(axes, keepdims=True))


def test_frames_and_their_adjoint():
    x = np.arange(20.0).reshape(4, 5)
    frames = ac.windows(x, (2, 3))
    np.testing.assert_array_equal(frames, np.lib.stride_tricks.sliding_window_view(x, (2, 3)))
    uses = ac.overlap_add(np.ones_like(frames), (4, 5))
    np.testing.assert_array_equal(uses, np.outer([1, 2, 2, 1], [1, 2, 3, 2, 1]))
    thrice = np.stack([np.ones_like(frames)] * 3, -1)  # channels, without a batch
    np.testing.assert_array_equal(ac.overlap_add(thrice, (4, 5)), np.stack([uses] * 3, -1))
    twice = np.stack([np.ones_like(frames)] * 2)[..., None]
    np.testing.assert_array_equal(ac.overlap_add(twice, (4, 5)), np.stack([uses] * 2)[..., None])
    batch = RNG.integers(-3, 4, (2, 6, 5, 3)).astype(float)
    settings = {"stride": (2, 1), "padding": ((1, 0), (2, 1)), "dilation": (1, 2)}
    for layout in ("channels_last", "channels_first"):
        image = first(batch, layout, 2)
        seen = ac.windows(image, (2, 3), layout=layout, **settings)
        g = RNG.integers(-3, 4, seen.shape).astype(float)
        assert (seen * g).sum() == (image * ac.overlap_add(g, (6, 5), layout=layout, **settings)).sum()


@pytest.mark.parametrize(("dims", "window", "stride", "pads", "dilation", "groups"), GEOMETRIES)
@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
@pytest.mark.parametrize("flip", [False, True])
def test_convolution_as_a_matrix(dims, window, stride, pads, dilation, groups, layout, flip):
    rng = np.random.default_rng(dims)
    x = rng.integers(-4, 5, (*(7, 6, 5)[:dims], 2 * groups)).astype(float)
    w = rng.integers(-4, 5, (*window, 2, 3 * groups)).astype(float)
    if layout == "channels_first":
        x, w = np.moveaxis(x, -1, 0), np.moveaxis(w, (-1, -2), (0, 1))
    settings = {
        "stride": stride,
        "padding": pads,
        "dilation": dilation,
        "groups": groups,
        "layout": layout,
        "flip": flip,
    }
    image, kernel = ac.tensor(x), ac.tensor(w)
    y = getattr(ac, f"conv{dims}d")(image, kernel, **settings)
    shared = ac.tensor(w)
    matrix = ac.conv_matrix(shared, x.shape, **settings)
    np.testing.assert_array_equal((matrix @ x.ravel()).value, y.value.ravel())
    g = rng.integers(-3, 4, y.shape).astype(float)
    dx, dw = ac.sweep(y, [image, kernel], g)
    np.testing.assert_array_equal(matrix.value.T @ g.ravel(), dx.ravel())
    np.testing.assert_array_equal(ac.sweep(matrix @ x.ravel(), [shared], g.ravel())[0], dw)


def test_the_4_by_16_matrix_of_a_plain_kernel():
    k = np.arange(1.0, 10.0).reshape(3, 3)
    c = ac.conv_matrix(k, (4, 4))
    row = [1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9]
    np.testing.assert_array_equal(c, [np.roll(row + [0] * 5, shift) for shift in (0, 1, 4, 5)])


def test_dropout_keeps_the_mean_and_the_generator_decides():
    x = ac.tensor(np.ones((200, 200)))
    y = ac.dropout(x, 0.25, rng=np.random.default_rng(7))
    np.testing.assert_array_equal(y.value, ac.dropout(x, 0.25, rng=np.random.default_rng(7)).value)
    assert set(np.unique(y.value)) == {0, 1 / 0.75}
    assert abs(y.value.mean() - 1) < 0.02
    np.testing.assert_array_equal(ac.sweep(y.sum(), [x])[0], y.value)
    assert ac.dropout(x, 0.25, rng=np.random.default_rng(7), training=False) is x


def test_seed_example_of_a_learner():
    """i (3x3) * w1 (2x2) = o1, o1 * w2 = o2, C = (o2 - y)^2: dC/dw1[0,0] is the sum of products,
    not the product of sums."""
    i, w1, w2 = (
        ac.tensor(RNG.normal(size=(3, 3))),
        ac.tensor(RNG.normal(size=(2, 2))),
        ac.tensor(RNG.normal(size=(2, 2))),
    )
    o2 = ac.conv2d(ac.conv2d(i, w1), w2)
    loss = ((o2 - 0.5) ** 2).sum()
    loss.backward()
    d = w2.value * 2 * (o2.item() - 0.5)
    x = i.value
    np.testing.assert_allclose(
        w1.grad[0, 0], x[0, 0] * d[0, 0] + x[0, 1] * d[0, 1] + x[1, 0] * d[1, 0] + x[1, 1] * d[1, 1]
    )


def test_softmax_of_a_single_number_is_one():
    assert ac.softmax(ac.tensor(3.0)).item() == ac.softmax(3.0, axis=0) == 1.0
    assert ac.log_softmax(ac.tensor(3.0)).item() == 0.0
    assert ac.logsumexp(ac.tensor(3.0), axis=-1).item() == ac.logsumexp(3.0) == 3.0
    assert ac.grad(ac.softmax)(3.0) == 0.0
    with pytest.raises(ValueError, match="softmax: axis 1 of an input of 0 dimensions"):
        ac.softmax(ac.tensor(3.0), axis=1)


def test_a_number_among_tensors_takes_their_dtype():
    t = ac.tensor([1.0, 2.0], dtype=np.float32)
    assert ac.outer(t, 2.0).value.tolist() == [[2.0], [4.0]]
    assert ac.outer(t, 2.0).dtype == ac.outer(3, t).dtype == np.float32
    y = ac.conv2d(ac.tensor(np.ones((3, 3), np.float32)), np.ones((2, 2), np.float32), 0.5)
    assert y.value.tolist() == [[4.5, 4.5], [4.5, 4.5]]
    assert y.dtype == np.float32
    assert [part.value.tolist() for part in ac.split(t, np.int64(2))] == [[1.0], [2.0]]


def cross_entropy_by_definition(x, target, weight, smooth, ignored, axis, reduction):
    """One example after the other: -sum_c w_c q_c log p_c, q the label's distribution, dealt out by ``smooth``."""
    x, classes = np.moveaxis(x, axis, -1), x.shape[axis]
    w = np.ones(classes) if weight is None else weight
    soft = target.dtype.kind == "f"
    target = np.moveaxis(target, axis, -1) if soft else target
    losses, shares = np.zeros(x.shape[:-1]), np.zeros(x.shape[:-1])
    for i in np.ndindex(*x.shape[:-1]):
        if not soft and target[i] == ignored:
            continue
        q = target[i] if soft else np.eye(classes)[target[i]]
        q = q * (1 - smooth) + smooth / classes
        logs = x[i] - np.log(np.exp(x[i]).sum())
        losses[i] = -sum(w[c] * q[c] * logs[c] for c in range(classes))
        shares[i] = 1 if soft else w[target[i]]
    if reduction == "none":
        return losses
    return losses.sum() / (shares.sum() if reduction == "mean" else 1)


@pytest.mark.parametrize("axis", [1, -1])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smooth", [0.0, 0.25])
@pytest.mark.parametrize("kind", ["labels", "some ignored", "probabilities"])
@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 4), (2, 3, 2, 2)])
def test_cross_entropy_by_its_definition(shape, kind, smooth, weighted, axis):
    rng = np.random.default_rng(len(shape))
    x = rng.normal(size=shape)
    classes = shape[axis]
    rest = [n for i, n in enumerate(shape) if i != axis % len(shape)]
    target = rng.integers(0, classes, rest)
    if kind == "probabilities":
        target = np.exp(rng.normal(size=shape))
        target /= target.sum(axis, keepdims=True)
    ignored = 1 if kind == "some ignored" else None
    weight = rng.uniform(0.5, 2, classes) if weighted else None
    for reduction in ("mean", "sum", "none"):
        settings = {"axis": axis, "label_smoothing": smooth, "ignore_index": ignored, "reduction": reduction}
        found = ac.losses.cross_entropy(x, target, weight, **settings)
        expected = cross_entropy_by_definition(x, target, weight, smooth, ignored, axis, reduction)
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["floor_divide", "fmod", "remainder"])
def test_whole_parts_of_multiples_are_numpys(name, dtype):
    """k / 10 by 1 / 10 and the like, where a rounding decides between two whole numbers."""
    rng = np.random.default_rng(0)
    units = np.array([0.1, 0.3, 0.7, 1 / 3, 1, 7])
    x = (rng.integers(-1000, 1000, 5000) * rng.choice(units, 5000)).astype(dtype)
    y = (rng.choice(units, 5000) * rng.choice([-1, 1], 5000)).astype(dtype)
    np.testing.assert_array_equal(getattr(ac, name)(ac.tensor(x), y).value, getattr(np, name)(x, y))


@pytest.mark.parametrize("norm", [ac.layer_norm, lambda x, eps: ac.group_norm(x, 1, eps=eps)], ids=["layer", "group"])
@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e25), (np.float64, 1e200)])
def test_eps_is_nothing_beside_large_numbers(dtype, size, norm):
    """However their squares are kept within the range of the dtype."""
    x = np.random.default_rng(0).normal(size=(3, 5))
    expected = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)
    np.testing.assert_allclose(norm((x * size).astype(dtype), eps=0.5), expected, rtol=1e-5)


@pytest.mark.parametrize("leading", [(), (2,), (2, 3), (2, 3, 4)], ids=str)
def test_attention_to_no_keys_is_nothing(leading):
    """As the sum over no keys, whatever stands in front."""
    query, key, value = (np.ones((*leading, *tail)) for tail in ((4, 5), (0, 5), (0, 6)))
    found = ac.nn.functional.scaled_dot_product_attention(query, key, value)
    np.testing.assert_array_equal(found, np.zeros((*leading, 4, 6)))
