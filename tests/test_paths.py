"""ac.paths, ac.uses and ac.matrix_view against counts and numbers worked out by hand or by other means."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest

import autoconv as ac
from autoconv.views.equations.matrix import matrix_view
from autoconv.views.equations.paths import paths
from autoconv.views.equations.uses import uses


def test_paths_of_two_convolutions():
    """i 3x3 = 1 .. 9, both kernels 2x2: a weight of the first goes by 4 ways, with products i_k w2_k."""
    i = ac.tensor(np.arange(1.0, 10).reshape(3, 3), name="i")
    w1, w2 = ac.tensor(np.ones((2, 2)), name="w1"), ac.tensor([[1.0, -1], [2, 0.5]], name="w2")
    o1 = ac.conv2d(i, w1)
    o2 = ac.conv2d(o1, w2)
    o1.name, o2.name = "o1", "o2"
    found = paths(w1[0, 0], of=o2[0, 0])
    assert found.count == found.open == 4 and len(found) == 4 and not found.closed
    assert [p.product for p in found] == [8, 2.5, -2, 1]
    assert found[0].elements == ("w1[0,0]", "o1[1,0]", "o2[0,0]")
    assert [p.share for p in found] == pytest.approx([8 / 9.5, 2.5 / 9.5, -2 / 9.5, 1 / 9.5])
    assert "84.2%" in repr(found) and "<table>" in found.html


def test_closed_paths_say_what_closed_them():
    x = ac.tensor([[1.0, -2.0], [3.0, 4.0]], name="x")
    w = ac.tensor(1.0, name="w")
    loss = ac.max_pool2d(ac.relu(x * w), 2).sum()
    found = paths(w, of=loss)
    assert found.count == 4 and found.open == 1 and found.total == 4
    assert dict(found.closed) == {"relu": 1, "max_pool2d": 2}
    assert sorted(p.closed_by or "" for p in found) == ["", "max_pool2d", "max_pool2d", "relu"]


def all_paths(flat, start):
    """Every product of slopes by enumeration, rows with a definition closed, in plain Python."""
    found, waiting = [], [(start, 1.0)]
    output = int(flat.output)
    while waiting:
        i, product = waiting.pop()
        if i == output:
            found.append(product)
            continue
        for j in flat.readers(i).tolist():
            low, high = flat.start[j], flat.start[j + 1]
            places = [k for k in range(low, high) if flat.operands[k] == i]
            slope = float(flat.slope[places[0]])
            waiting.append((j, product * slope))
    return sorted(found, key=abs, reverse=True)


def test_the_largest_paths_come_first_and_the_count_is_right():
    rng = np.random.default_rng(4)
    x, w = ac.tensor(rng.normal(size=(4, 4)), name="x"), ac.tensor(rng.normal(size=(2, 2)), name="w")
    y = ac.conv2d(ac.tanh(ac.conv2d(x, w)), rng.normal(size=(2, 2)))
    loss = (ac.sin(y) * ac.exp(y)).sum()
    flat = ac.expand(loss)
    start = int(flat.scalars(w)[0, 0])
    every = all_paths(flat, start)
    found = paths(w[0, 0], of=loss, limit=7)
    assert found.count == len(every) and len(found) == 7
    assert [p.product for p in found] == pytest.approx(every[:7])
    assert all(abs(a.product) >= abs(b.product) for a, b in pairwise(found))
    whole = paths(w[0, 0], of=loss, limit=len(every))
    assert sum(p.product for p in whole) == pytest.approx(whole.total) and sum(p.share for p in whole) == pytest.approx(
        1
    )


def test_paths_too_many_to_list_are_counted():
    x = ac.tensor(0.5, name="x")
    y = x
    for _ in range(200):
        y = y * 0.5 + y * 0.25
    found = paths(x, of=y, limit=2)
    assert found.count == pytest.approx(2.0**200) and len(found) == 2
    assert found[0].product == pytest.approx(0.5**200) and "about 1.6e+60 paths" in repr(found)


def test_paths_where_there_are_none_and_errors():
    x, y = ac.tensor([1.0, 2.0], name="x"), ac.tensor(2.0, name="y")
    assert paths(y, of=x.sum()).count == 0
    assert paths(x[0], of=x[1:].sum()).count == 0
    for limit in (0, True, 2.5):
        with pytest.raises(ValueError, match="limit"):
            paths(x[0], of=x.sum(), limit=limit)


@pytest.mark.parametrize(
    "settings", [{}, {"stride": 2}, {"dilation": 2}, {"padding": 1}, {"stride": (2, 3), "padding": "same"}], ids=str
)
@pytest.mark.parametrize("channels", [0, 3])
def test_uses_are_overlap_add_of_ones(settings, channels):
    shape = (7, 8, channels) if channels else (7, 8)
    kernel = np.ones((3, 2, channels, 4) if channels else (3, 2))
    x = ac.tensor(np.ones(shape), name="x")
    frames = ac.windows(np.ones(shape), (3, 2), **settings)
    expected = ac.overlap_add(np.ones_like(frames), (7, 8), **settings)
    made = uses(x, of=ac.conv2d(x, kernel, **settings).sum())
    np.testing.assert_array_equal(made.counts, expected)
    np.testing.assert_array_equal(made.operations, expected * (4 if channels else 1))
    back = ac.overlap_add(ac.windows(x.value * 5, (3, 2), **settings), (7, 8), **settings)
    np.testing.assert_array_equal(back, 5 * expected)
    assert "not the inverse" in repr(made).replace("\n", " ") and "<table" in made.html


def test_uses_of_a_small_image_weight_and_bias():
    x, w = ac.tensor(np.ones((4, 4)), name="x"), ac.tensor(np.ones((3, 3)), name="w")
    b = ac.tensor(np.zeros(1), name="b")
    y = ac.conv2d(x, w, b)
    assert repr(uses(x, of=y)).splitlines()[:5] == [
        "uses of x, shape (4, 4):",
        "1 2 2 1",
        "2 4 4 2",
        "2 4 4 2",
        "1 2 2 1",
    ]
    assert uses(w, of=y).counts.tolist() == [[4] * 3] * 3
    assert np.asarray(uses(b, of=y)).tolist() == [4]
    assert uses(x, of=ac.max_pool2d(x, 3, stride=1)).counts.tolist() == [
        [1, 2, 2, 1],
        [2, 4, 4, 2],
        [2, 4, 4, 2],
        [1, 2, 2, 1],
    ]
    with pytest.raises(ValueError, match="was not computed from"):
        uses(ac.tensor(1.0), of=y)
    with pytest.raises(TypeError, match="must be a Tensor"):
        uses(1.0, of=y)


CASES = [
    ((5, 5), (3, 3), {}),
    ((5, 6), (2, 3), {"stride": 2, "padding": 1}),
    ((6, 6), (2, 2), {"dilation": 2, "flip": True}),
    ((4, 4, 2), (3, 3, 2, 3), {"padding": "same"}),
    ((2, 4, 4), (3, 2, 2, 2), {"layout": "channels_first"}),
    ((4, 4, 4), (2, 2, 2, 6), {"groups": 2}),
]


@pytest.mark.parametrize(("shape", "kernel", "settings"), CASES, ids=str)
def test_the_matrix_is_the_convolution(shape, kernel, settings):
    rng = np.random.default_rng(3)
    x, w = (
        ac.tensor(rng.integers(-4, 5, shape), dtype=float),
        ac.tensor(rng.integers(-4, 5, kernel), dtype=float, name="w"),
    )
    matrix = ac.conv_matrix(w, shape, **settings)
    view = matrix_view(matrix)
    y = ac.conv2d(x, w, **settings)
    delta = rng.integers(-4, 5, y.shape).astype(float)
    dx, dw = ac.sweep(y, [x, w], delta)
    np.testing.assert_array_equal(matrix.value @ x.value.ravel(), y.value.ravel())
    np.testing.assert_array_equal(matrix.value.T @ delta.ravel(), dx.ravel())
    np.testing.assert_array_equal(view.kernel_gradient(delta, x.value), dw)
    (through,) = ac.sweep(matrix @ x.reshape((x.size,)), [w], delta.ravel())
    np.testing.assert_array_equal(through, dw)  # the same tape: the gradient flows through the matrix
    weights = np.append(w.value.ravel(), 0)
    np.testing.assert_array_equal(weights[view.places], matrix.value)
    np.testing.assert_array_equal(view.T.places, view.places.T)
    root = ElementTree.fromstring(view.svg)
    cells = [node for node in root.iter() if node.tag.endswith("}g")]
    assert len(cells) == np.count_nonzero(view.places >= 0)
    assert "rotated by 180" in view.html and repr(view).startswith("<MatrixView of C")


def test_a_column_of_the_matrix_is_the_rotated_kernel():
    w = ac.tensor(np.arange(1.0, 10).reshape(3, 3), name="w")
    view = matrix_view(ac.conv_matrix(w, (5, 5)))
    middle = view.places[:, 12]
    np.testing.assert_array_equal(middle.reshape(3, 3), np.arange(9).reshape(3, 3)[::-1, ::-1])
    assert repr(view).splitlines()[1].split()[:6] == ["w[0,0]", "w[0,1]", "w[0,2]", ".", ".", "w[1,0]"]


def test_equal_colours_are_equal_weights():
    w = ac.tensor([[1.0, 2], [3, 4]], name="<w>")
    svg = matrix_view(ac.conv_matrix(w, (3, 3))).svg
    assert "<w>" not in svg
    cells = [node for node in ElementTree.fromstring(svg).iter() if node.tag.endswith("}g")]
    shades = [node[1].get("fill") for node in cells]
    assert len(set(shades)) == 4 and all(shades.count(shade) == 4 for shade in shades)


def test_matrix_view_refuses_with_the_remedy():
    for wrong in (np.eye(3), ac.tensor(np.eye(3)), 3):
        with pytest.raises(TypeError, match="conv_matrix"):
            matrix_view(wrong)
    with pytest.raises(ValueError, match="cannot be told apart"):
        matrix_view(ac.conv_matrix(ac.tensor(np.ones((3, 3))), (20, 20)))


TRANSPOSED = [
    ((4,), (3,), {}),
    ((3, 4), (2, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
    ((3, 2, 4), (2, 2, 3, 4), {"stride": (2, 1), "dilation": (1, 2)}),
    ((4, 3, 2), (4, 1, 3, 2), {"groups": 2, "stride": 3, "padding": ((0, 1), (1, 0)), "layout": "channels_first"}),
    ((2, 3, 2, 1), (2, 2, 2, 2, 1), {"dilation": 3, "output_padding": 2}),
]


@pytest.mark.parametrize(("shape", "kernel", "settings"), TRANSPOSED, ids=str)
def test_the_matrix_of_a_transposed_convolution(shape, kernel, settings):
    rng = np.random.default_rng(3)
    x, w = (ac.tensor(rng.integers(-4, 5, n), dtype=float) for n in (shape, kernel))
    dims = len(kernel) if len(kernel) == len(shape) and len(shape) < 3 else len(shape) - 1
    y = getattr(ac, f"conv_transpose{dims}d")(x, w, **settings)
    matrix = ac.conv_matrix(w, shape, transpose=True, **settings)
    assert matrix.shape == (y.size, x.size)
    np.testing.assert_array_equal(matrix.value @ x.value.ravel(), y.value.ravel())
    delta = rng.integers(-4, 5, y.shape).astype(float)
    (through,) = ac.sweep(matrix @ x.reshape((x.size,)), [w], delta.ravel())
    np.testing.assert_array_equal(through, ac.sweep(y, [w], delta)[0])
    view = matrix_view(matrix)
    np.testing.assert_array_equal(view.kernel_gradient(delta, x.value), through)


def test_transposed_matrices_show_what_they_are():
    w = ac.tensor([[1.0, 2], [3, 4]], name="w")
    back = matrix_view(ac.conv_matrix(w, (2, 2), transpose=True))
    there = ac.conv_matrix(w, (3, 3))
    np.testing.assert_array_equal(back.places, matrix_view(there.T).places)
    np.testing.assert_array_equal(back.places, matrix_view(there).T.places)
    as_it_stands, rotated = "read a row, it is the kernel as it stands", "read a row, it is the kernel rotated"
    assert as_it_stands in matrix_view(there).html and rotated in back.html
    assert rotated in matrix_view(ac.conv_matrix(w, (3, 3), flip=True)).html
    with pytest.raises(ValueError, match="transpose=True"):
        ac.conv_matrix(w, (3, 3), output_padding=1)
    with pytest.raises(ValueError, match="output_padding"):
        ac.conv_matrix(w, (3, 3), output_padding=1, transpose=True)


def ones_added(shape, window, **settings):
    frames = ac.windows(np.ones(shape), window, **settings)
    return ac.overlap_add(np.ones(frames.shape), shape[2:] if "layout" in settings else shape, **settings)


@pytest.mark.parametrize("settings", [{}, {"stride": 2}, {"padding": 1, "stride": (2, 3)}, {"dilation": 2}], ids=str)
@pytest.mark.parametrize("shape", [(6, 7), (2, 3, 6, 7)], ids=str)
def test_uses_of_windows_alone_and_with_channels_first(shape, settings):
    settings = settings | ({"layout": "channels_first"} if len(shape) == 4 else {})
    x = ac.tensor(np.ones(shape), name="x")
    expected = ones_added(shape, (3, 2), **settings)
    frames = ac.windows(x, (3, 2), **settings)
    for y in (frames, frames.reshape((-1,)), ac.sum(frames * 2.0), ac.exp(frames)):
        np.testing.assert_array_equal(uses(x, of=y).counts, expected)
    of_frames = uses(frames, of=ac.sum(frames * 2.0))
    assert of_frames.counts.shape == frames.shape and (of_frames.counts == 1).all()
    written = [" ".join(map(str, row)) for row in expected.reshape((-1, 6, 7))[0].astype(int).tolist()]
    assert repr(uses(x, of=frames)).splitlines()[-7:-1] == written


@pytest.mark.parametrize(
    ("made", "grid"),
    [
        (lambda x, w: ac.conv2d(x, w, layout="channels_first"), (5, 6)),
        (lambda x, w: ac.max_pool2d(x, 2, layout="channels_first"), (5, 6)),
        (lambda x, w: ac.conv_transpose2d(x, ac.tensor(np.ones((3, 2, 3, 3))), layout="channels_first"), (5, 6)),
    ],
)
def test_grids_are_the_images_whatever_the_layout(made, grid):
    x, w = ac.tensor(np.ones((2, 3, 5, 6)), name="x"), ac.tensor(np.ones((4, 3, 3, 2)), name="w")
    y = made(x, w)
    assert all(plane.shape == grid for _, plane in uses(x, of=y).planes)
    if any(line is w for line in ac.Tape(y)):
        assert all(plane.shape == (3, 2) for _, plane in uses(w, of=y).planes)


def test_shares_where_paths_cancel_or_nearly_do():
    a = ac.tensor(1.5, name="a")
    z = ac.tensor(np.random.default_rng(2).normal(size=(5, 2)), name="z")
    gone = paths(z[0, 0], of=ac.sum(ac.batch_norm(z)))
    assert gone.cancels and "is 0: the paths cancel" in repr(gone) and "of all sizes" in repr(gone)
    assert all(np.isnan(p.share) for p in gone) and 0 < sum(p.size for p in gone) < 1
    assert sum(p.size for p in paths(z[0, 0], of=ac.sum(ac.batch_norm(z)), limit=1000)) == pytest.approx(1)
    exact = paths(a, of=a * 3.0 - a * 3.0)
    assert exact.cancels and [p.size for p in exact] == [0.5, 0.5]
    near = paths(a, of=a * 1000.0 - a * 999.0)
    assert not near.cancels and [p.part for p in near] == ["1,000 times the gradient", "-999 times the gradient"]
    plain = paths(a, of=a * 3.0 + a)
    assert [p.part for p in plain] == ["75.0%", "25.0%"]
    assert not paths(a, of=(a + a * 2.0) * 0.0).cancels


def test_a_volume_is_shown_plane_by_plane_and_a_signal_as_a_row():
    volume = ac.tensor(np.ones((1, 2, 3, 4, 5)), name="v")
    shown = uses(volume, of=ac.max_pool3d(volume, (2, 1, 2), stride=1, layout="channels_first"))
    edge, middle = [1, 2, 2, 2, 1], [2, 4, 4, 4, 2]
    assert [plane[0].tolist() for _, plane in shown.planes] == [edge, middle, edge, edge]  # the first four of six
    signal = ac.tensor(np.ones((2, 3, 6)), name="s")
    y = ac.conv1d(signal, np.ones((1, 3, 3)), layout="channels_first")
    assert [plane.tolist() for _, plane in uses(signal, of=y).planes] == [[[1, 2, 3, 3, 2, 1]]]
