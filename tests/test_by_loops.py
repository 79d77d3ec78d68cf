"""What reads windows of an image, by plain loops: in one to three dimensions, in either layout, with and without the
axes of the batch and of the channels."""

from itertools import product
from math import ceil, floor, prod

import numpy as np
import pytest

import autoconv as ac
from autoconv import nn

RNG = np.random.default_rng(6)
SPATIAL = {1: (7,), 2: (5, 6), 3: (4, 3, 5)}
INPUTS = [(dims, layout, missing) for dims in (1, 2, 3) for layout in ("channels_last", "channels_first")
          for missing in (0, 1, 2)]  # fmt: skip
every_input = pytest.mark.parametrize(("dims", "layout", "missing"), INPUTS)
# window, stride, (low, high), dilation; the first so many of each, by the number of dimensions
WINDOWS = [
    ((2, 3, 2), (2, 1, 3), ((0, 0), (0, 0), (0, 0)), (1, 1, 1)),
    ((3, 2, 2), (1, 2, 1), ((1, 0), (0, 1), (1, 1)), (1, 2, 1)),
    ((2, 1, 3), (3, 2, 2), ((0, 1), (0, 0), (2, 1)), (2, 1, 2)),
]


def given(batch, layout, missing):
    """A batch (N, *spatial, C) as it is handed over: the first image of it, and the first channel."""
    batch = batch[0] if missing else batch
    if missing == 2:
        return batch[..., 0]
    return batch if layout == "channels_last" else np.moveaxis(batch, -1, 0 if missing else 1)


def padded_cells(move, dims):
    """For each position of the window its cells in the input, those in the padding as well."""
    window, stride, pads, dilation = [part[:dims] for part in move]
    sizes = [(n + sum(pad) - d * (k - 1) - 1) // s + 1 for n, k, s, pad, d
             in zip(SPATIAL[dims], window, stride, pads, dilation, strict=True)]  # fmt: skip
    for place in np.ndindex(*sizes):
        axes = [[i * s - low + u * d for u in range(k)] for i, k, s, (low, _), d
                in zip(place, window, stride, pads, dilation, strict=True)]  # fmt: skip
        yield place, list(product(*axes)), sizes


def by_windows(batch, move, reduce):
    """reduce(the cells that are there, how many there are with the padding) for each image, window and channel."""
    dims = batch.ndim - 2
    y = None
    for place, cells, sizes in padded_cells(move, dims):
        y = np.zeros((len(batch), *sizes, batch.shape[-1])) if y is None else y
        inside = [c for c in cells if all(0 <= i < n for i, n in zip(c, SPATIAL[dims], strict=True))]
        for n, c in np.ndindex(len(batch), batch.shape[-1]):
            y[(n, *place, c)] = reduce(np.array([batch[(n, *cell, c)] for cell in inside]), len(cells))
    return y


def settings_of(move, dims, *names):
    return {k: v[:dims] for k, v in zip(("stride", "padding", "dilation"), move[1:], strict=True) if k in names}


POOLS = {
    "max_pool": ({}, lambda cells, full: cells.max()),
    "avg_pool": ({}, lambda cells, full: cells.sum() / full),
    "avg_pool of what is there": ({"count_include_pad": False}, lambda cells, full: cells.mean()),
    "avg_pool by 7": ({"divisor": 7}, lambda cells, full: cells.sum() / 7),
    **{f"lp_pool {p}": ({"p": p}, lambda cells, full, p=p: np.linalg.norm(cells, p)) for p in (1, 2, 3, np.inf)},
}


@every_input
@pytest.mark.parametrize("name", POOLS)
def test_pools(dims, layout, missing, name):
    more, reduce = POOLS[name]
    pool, dilates = getattr(ac, f"{name.split(' ')[0]}{dims}d"), name == "max_pool"
    batch = RNG.permutation(2 * prod(SPATIAL[dims]) * 3).reshape(2, *SPATIAL[dims], 3) / 8 - 9
    for move in WINDOWS:
        move = move if dilates else (*move[:3], (1, 1, 1))
        settings = settings_of(move, dims, "stride", "padding", *["dilation"] * dilates)
        y = pool(given(batch, layout, missing), move[0][:dims], layout=layout, **settings, **more)
        np.testing.assert_allclose(y, given(by_windows(batch, move, reduce), layout, missing), rtol=1e-12)
    y = pool(given(batch, layout, missing), 2, layout=layout, **more)  # windows side by side
    move = ((2, 2, 2), (2, 2, 2), ((0, 0),) * 3, (1, 1, 1))
    np.testing.assert_allclose(y, given(by_windows(batch, move, reduce), layout, missing), rtol=1e-12)


@pytest.mark.parametrize("name", ["max_pool1d", "avg_pool1d", "lp_pool1d"])
def test_the_edges_of_pools(name):
    pool, x = getattr(ac, name), np.arange(1.0, 5.0)
    np.testing.assert_allclose(pool(x, 1), x)
    np.testing.assert_allclose(pool(x, 4, stride=1), [{"m": 4, "a": 2.5, "l": np.sqrt(30)}[name[0]]])
    # a window that skips the padding beside the only cell
    np.testing.assert_array_equal(ac.max_pool1d(np.array([3.0]), 3, stride=1, padding=2, dilation=2), [3])
    for bad in ({"kernel_size": 0}, {"kernel_size": 5}, {"kernel_size": 2, "stride": 0},
                {"kernel_size": 2, "padding": -1}):  # fmt: skip
        with pytest.raises(ValueError, match=name):
            pool(x, **bad)
    for f in (lambda p: ac.lp_pool1d(x, 2, p=p), lambda d: ac.avg_pool1d(x, 2, divisor=d)):
        f(0.5), f(1)
        with pytest.raises(ValueError, match="pool1d"):
            f(0)


@every_input
def test_frames(dims, layout, missing):
    """``windows`` are the cells in order, and ``overlap_add`` puts each back where it was read."""
    batch = RNG.integers(1, 9, (2, *SPATIAL[dims], 3)).astype(float)
    for move in WINDOWS:
        settings = {"layout": layout, **settings_of(move, dims, "stride", "padding", "dilation")}
        x = given(batch, layout, missing)
        frames = ac.windows(x, move[0][:dims], **settings)
        back = np.zeros(batch.shape)
        for place, cells, sizes in padded_cells(move, dims):
            window = move[0][:dims]
            assert frames.size == x.size // prod(SPATIAL[dims]) * prod(sizes) * prod(window)
            for cell, tap in zip(cells, np.ndindex(*window), strict=True):
                there = all(0 <= i < n for i, n in zip(cell, SPATIAL[dims], strict=True))
                at = (*place, *tap)
                key = at if missing == 2 else (..., *at, slice(None)) if layout == "channels_last" else (..., *at)
                seen = batch[(slice(None), *cell)] if there else np.zeros((2, 3))
                np.testing.assert_array_equal(frames[key], given(seen, layout, missing) if missing < 2 else seen[0, 0])
                if there:
                    back[(slice(None), *cell)] += batch[(slice(None), *cell)]
        y = ac.overlap_add(frames, SPATIAL[dims], **settings)
        np.testing.assert_array_equal(y, given(back, layout, missing))


@every_input
@pytest.mark.parametrize("groups", [1, 2])
def test_matrices_of_convolutions(dims, layout, missing, groups):
    """The columns of ``conv_matrix`` are what the convolution, or the transposed one, makes of each input element."""
    if missing == 0 or (missing == 2 and groups > 1):
        return  # a matrix is that of one image
    last = layout == "channels_last"
    read, made = (1, 1) if missing == 2 else (2 * groups, 3 * groups)
    for move, transpose in product(WINDOWS, (False, True)):
        inner, outer = (made // groups, read) if transpose else (read // groups, made)
        w = RNG.integers(1, 9, (*move[0][:dims], inner, outer)).astype(float)
        w = w[..., 0, 0] if missing == 2 else w if last else np.moveaxis(w, (-1, -2), (0, 1))
        settings = {"layout": layout, "groups": groups, **settings_of(move, dims, "stride", "padding", "dilation")}
        if transpose:
            settings["output_padding"] = tuple(max(s, d) - 1 for s, d in zip(move[1], move[3], strict=True))[:dims]
        shape = given(np.zeros((1, *SPATIAL[dims], read)), layout, missing).shape
        f = getattr(ac, f"conv_transpose{dims}d" if transpose else f"conv{dims}d")
        each, full = np.eye(prod(shape)).reshape(-1, *shape), w
        if missing == 2:
            each, full = (each[..., None], w[..., None, None]) if last else (each[:, None], w[None, None])
        columns = f(each, full, **settings).reshape(len(each), -1)
        np.testing.assert_array_equal(ac.conv_matrix(w, shape, transpose=transpose, **settings), columns.T)


def test_the_edges_of_matrices():
    np.testing.assert_array_equal(ac.conv_matrix([[2.0]], (1, 1)), [[2]])
    assert ac.conv_matrix(np.ones(2), (0,), padding=1).shape == (1, 0)
    for kernel, shape in (
        ((2,), (1,)),
        ((2, 2), (2, 1)),
        ((2, 2, 2, 2), (3, 3, 3, 3)),
        ((2,), (2, 2, 2)),
        ((1,), (-1,)),
    ):
        with pytest.raises(ValueError, match=r"conv_matrix|layout"):
            ac.conv_matrix(np.ones(kernel), shape)
    with pytest.raises(ValueError, match="transpose=True"):
        ac.conv_matrix(np.ones(2), (4,), output_padding=1)


# ---- windows that follow from the sizes


def adaptive(x, sizes, reduce):
    for axis, m in enumerate(sizes):
        n = x.shape[axis]
        parts = [x.take(range(floor(i * n / m), ceil((i + 1) * n / m)), axis) for i in range(m)]
        x = np.stack([reduce(part, axis) for part in parts], axis)
    return x


@pytest.mark.parametrize("name", ["avg", "max"])
def test_adaptive_pools(name):
    reduce = {"avg": np.mean, "max": np.max}[name]
    for n, m in product(range(1, 8), range(1, 10)):
        x = RNG.normal(size=n)
        np.testing.assert_allclose(getattr(ac, f"adaptive_{name}_pool1d")(x, m), adaptive(x, (m,), reduce), rtol=1e-12)
    for dims, layout, missing in INPUTS:
        batch = RNG.normal(size=(2, *SPATIAL[dims], 3))
        pool = getattr(ac, f"adaptive_{name}_pool{dims}d")
        for sizes in product((1, 3, None), repeat=dims):
            whole = [n if m is None else m for n, m in zip(SPATIAL[dims], sizes, strict=True)]
            right = np.moveaxis(adaptive(np.moveaxis(batch, 0, -1), whole, reduce), -1, 0)
            found = pool(given(batch, layout, missing), sizes, layout=layout)
            np.testing.assert_allclose(found, given(right, layout, missing), rtol=1e-12)
    for bad in (0, -1, (2, 2), ()):
        with pytest.raises(ValueError, match="output_size"):
            getattr(ac, f"adaptive_{name}_pool1d")(np.ones(3), bad)
    with pytest.raises(ValueError, match="nothing to pool"):
        getattr(ac, f"adaptive_{name}_pool1d")(np.ones(0), 1)


def cubic(d):
    """Keys' kernel with the slope -3/4."""
    d, a = abs(d), -0.75
    return (a + 2) * d**3 - (a + 3) * d**2 + 1 if d <= 1 else a * (d**3 - 5 * d**2 + 8 * d - 4) if d < 2 else 0.0


def interpolated(x, m, mode, align, scale=None):
    """One axis, cell by cell."""
    n, y = len(x), []
    scale = n / m if scale is None else scale
    for i in range(m):
        place = (i * (n - 1) / (m - 1) if m > 1 else 0.0) if align else (i + 0.5) * scale - 0.5
        if mode == "linear":
            y.append(np.interp(place, range(n), x))
        elif mode == "cubic":
            cells = range(floor(place) - 1, floor(place) + 3)
            y.append(sum(cubic(place - c) * x[min(max(c, 0), n - 1)] for c in cells))
        else:
            y.append(x[min(floor(i * scale if mode == "nearest" else (i + 0.5) * scale), n - 1)])
    return np.array(y)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "linear", "cubic"])
def test_interpolation(mode):
    for n, m, align in product(range(1, 6), range(1, 9), (None, False, True)):
        if align is not None and "nearest" in mode:
            continue
        x = RNG.normal(size=n)
        found = ac.interpolate(x[None, :, None], m, mode=mode, align_corners=align)[0, :, 0]
        np.testing.assert_allclose(found, interpolated(x, m, mode, align), rtol=1e-10, atol=1e-12)
    for n, factor in product((2, 5), (0.5, 0.7, 1.5, 2.0, 2.6)):
        x, m = RNG.normal(size=n), floor(n * factor)
        for again, scale in ((None, 1 / factor), (False, 1 / factor), (True, n / m)):
            settings = {"scale_factor": factor, "mode": mode, "recompute_scale_factor": again}
            found = ac.interpolate(x[None, :, None], **settings)[0, :, 0]
            np.testing.assert_allclose(found, interpolated(x, m, mode, False, scale), rtol=1e-6, atol=1e-6)


def test_interpolation_along_each_axis():
    for dims, mode in ((2, "bilinear"), (3, "trilinear"), (2, "bicubic"), (1, "area"), (2, "area"), (3, "area")):
        batch, sizes = RNG.normal(size=(2, *SPATIAL[dims], 3)), (9, 2, 5)[:dims]
        right = batch
        for axis, m in enumerate(sizes, 1):
            word = {"bilinear": "linear", "trilinear": "linear", "bicubic": "cubic"}.get(mode)
            one = lambda x, m=m, word=word: interpolated(x, m, word, False) if word else adaptive(x, (m,), np.mean)
            right = np.apply_along_axis(one, axis, right)
        for layout in ("channels_last", "channels_first"):
            found = ac.interpolate(given(batch, layout, 0), sizes, mode=mode, layout=layout)
            np.testing.assert_allclose(found, given(right, layout, 0), rtol=1e-10, atol=1e-12)
    x = np.ones((1, 4, 4, 1))
    assert ac.interpolate(x, scale_factor=0.25).shape == (1, 1, 1, 1)
    for bad in ({"size": 0}, {"scale_factor": 0.24}, {"scale_factor": 0}, {"scale_factor": np.inf}, {"size": (1, 2, 3)},
                {"scale_factor": (1, 2, 3)}, {}, {"size": 2, "scale_factor": 2}, {"size": 2, "mode": "linear3"},
                {"size": 2, "mode": "trilinear"}, {"size": 2, "align_corners": False},
                {"size": 2, "mode": "area", "align_corners": True}):  # fmt: skip
        with pytest.raises(ValueError, match="interpolate"):
            ac.interpolate(x, **bad)
    for shape in ((4, 4), (1, 2, 2, 2, 2, 1), (1, 0, 4, 1)):
        with pytest.raises(ValueError, match="interpolate"):
            ac.interpolate(np.ones(shape), 2)


@pytest.mark.parametrize("missing", [0, 1])
@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_pixel_shuffle(layout, missing):
    for r in (1, 2, 3):
        many = RNG.normal(size=(2, 2, 3, 2 * r * r))
        few = np.zeros((2, 2 * r, 3 * r, 2))
        for n, h, w, c, i, j in np.ndindex(2, 2, 3, 2, r, r):
            few[n, h * r + i, w * r + j, c] = many[n, h, w, c * r * r + i * r + j]
        many, few = given(many, layout, missing), given(few, layout, missing)
        np.testing.assert_array_equal(ac.pixel_shuffle(many, r, layout=layout), few)
        np.testing.assert_array_equal(ac.pixel_unshuffle(few, r, layout=layout), many)
    image = given(np.zeros((1, 4, 6, 4)), layout, missing)
    for f, r in ((ac.pixel_shuffle, 3), (ac.pixel_shuffle, 0), (ac.pixel_unshuffle, 4), (ac.pixel_unshuffle, 3),
                 (ac.pixel_unshuffle, 0)):  # fmt: skip
        with pytest.raises(ValueError, match="pixel"):
            f(image, r, layout=layout)


# ---- statistics of what stands around


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_local_response_norm(layout):
    for shape, size in product(((2, 5), (2, 3, 5), (1, 2, 2, 4)), range(1, 8)):
        x, c = RNG.normal(size=shape), shape[-1]
        sums = [
            sum(x[..., d] ** 2 for d in range(max(0, k - size // 2), min(c, k + (size - 1) // 2 + 1))) for k in range(c)
        ]
        right = x / (2 + 0.5 / size * np.stack(sums, -1)) ** 0.3
        put = lambda y: y if layout == "channels_last" else np.moveaxis(y, -1, 1)
        np.testing.assert_allclose(
            ac.local_response_norm(put(x), size, 0.5, 0.3, 2, layout=layout), put(right), rtol=1e-12
        )
    with pytest.raises(ValueError, match="size"):
        ac.local_response_norm(x, 0)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_running_variances_are_unbiased(count):
    x = RNG.normal(size=(count, 3))
    layer = nn.BatchNorm1d(3, momentum=0.25)
    layer(x)
    np.testing.assert_allclose(layer.running_mean, 0.25 * x.mean(0), rtol=1e-6)
    np.testing.assert_allclose(layer.running_var, 0.75 + 0.25 * x.var(0, ddof=1), rtol=1e-6)


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
@pytest.mark.parametrize("spatial", [(), (2,), (2, 3), (1, 2, 3)], ids=str)
def test_norms_of_channels(spatial, layout):
    """Batch, group and instance norm with weights, on each number of dimensions."""
    x, weight, bias = RNG.normal(size=(3, *spatial, 4)), RNG.normal(size=4), RNG.normal(size=4)
    put = lambda y: y if layout == "channels_last" else np.moveaxis(y, -1, 1)
    positions = tuple(range(1, x.ndim - 1))

    def standard(y, axes):
        return (y - y.mean(axes, keepdims=True)) / np.sqrt(y.var(axes, keepdims=True) + 0.125)

    right = standard(x, (0, *positions)) * weight + bias
    np.testing.assert_allclose(ac.batch_norm(put(x), weight, bias, eps=0.125, layout=layout), put(right), rtol=1e-10)
    right = (x - bias) / np.sqrt(weight**2 + 0.125) * weight + bias
    found = ac.batch_norm(put(x), weight, bias, mean=bias, var=weight**2, eps=0.125, layout=layout)
    np.testing.assert_allclose(found, put(right), rtol=1e-10)
    for groups in (1, 2, 4) if spatial else (1, 2):
        parts = x.reshape(*x.shape[:-1], groups, 4 // groups)
        right = standard(parts, (*positions, x.ndim)).reshape(x.shape) * weight + bias
        np.testing.assert_allclose(
            ac.group_norm(put(x), groups, weight, bias, 0.125, layout=layout), put(right), rtol=1e-9
        )
    for bad in (0, 3, 5):
        with pytest.raises(ValueError, match="num_groups"):
            ac.group_norm(put(x), bad, layout=layout)
    if spatial:
        right = standard(x, positions) * weight + bias
        np.testing.assert_allclose(
            ac.instance_norm(put(x), weight, bias, eps=0.125, layout=layout), put(right), rtol=1e-10
        )
    one = put(x[:1, ..., :][(slice(None), *(slice(0, 1),) * len(spatial))])
    for f in (ac.batch_norm, ac.instance_norm):
        with pytest.raises(ValueError, match="one value"):
            f(one, layout=layout)
    for f in (ac.batch_norm, lambda x, *p, **k: ac.group_norm(x, 2, *p, **k), ac.layer_norm):
        for wrong in (np.ones(3), np.ones((1, 4)), np.ones(())):
            for parameters in ((wrong,), (None, wrong)):
                with pytest.raises(ValueError, match="shape"):
                    f(x, *parameters)


def test_layer_norm_over_several_axes():
    x = RNG.normal(size=(2, 3, 4))
    for axis in (-1, 0, 1, (1, 2), (-1, -2), (0, 2), (0, 1, 2)):
        axes = tuple(sorted(np.atleast_1d(axis) % 3))
        shape = [x.shape[i] for i in axes]
        weight, bias = RNG.normal(size=(2, *shape))
        if axes == tuple(range(3 - len(axes), 3)):
            right = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 0.5) * weight + bias
            np.testing.assert_allclose(ac.layer_norm(x, weight, bias, axis=axis, eps=0.5), right, rtol=1e-10)
        right = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
        np.testing.assert_allclose(ac.layer_norm(x, axis=axis), right, rtol=1e-10)
