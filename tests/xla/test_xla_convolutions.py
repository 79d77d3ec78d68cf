"""Convolutions of every geometry are recognised among the lines of a program, and so are their gradients."""

from math import prod

import numpy as np
import pytest

import autoconv as ac
from autoconv.program.program import from_tape
from autoconv.program.rewrite import simplify

jax = pytest.importorskip("jax", reason="JAX is not installed; make test-xla has it")

from autoconv.xla.library import wide  # noqa: E402
from autoconv.xla.lower import Lowered  # noqa: E402

CONV = {1: ac.conv1d, 2: ac.conv2d, 3: ac.conv3d}
TRANSPOSED = {1: ac.conv_transpose1d, 2: ac.conv_transpose2d, 3: ac.conv_transpose3d}
# dims, image's sides, kernel's sides, channels in and out, settings
GEOMETRIES = [
    (1, (9,), (3,), (2, 4), {}),
    (1, (12,), (3,), (4, 6), {"stride": 2, "padding": 1, "dilation": 2, "groups": 2}),
    (1, (9,), (1,), (2, 3), {"stride": 2}),
    (2, (7, 8), (3, 2), (3, 4), {"padding": 1}),
    (2, (7, 8), (3, 3), (3, 4), {"padding": "same", "stride": 2}),
    (2, (9, 10), (3, 3), (4, 4), {"stride": (2, 3), "dilation": (2, 1), "groups": 4}),
    (2, (6, 6), (3, 3), (2, 6), {"padding": ((2, 0), (1, 3)), "groups": 2}),
    (2, (6, 6), (3, 3), (2, 2), {"padding": "full", "flip": True}),
    (2, (8, 8), (3, 3), (1, 1), {"stride": 3}),  # the last cells are read by no window
    (3, (5, 6, 4), (2, 3, 2), (2, 3), {"stride": (1, 2, 1), "padding": 1}),
    (3, (5, 5, 5), (3, 3, 3), (2, 4), {"groups": 2, "dilation": (1, 2, 1)}),
]
BACK = [
    (1, (5,), (3,), (2, 4), {"stride": 2, "padding": 1, "output_padding": 1}),
    (2, (4, 5), (3, 2), (4, 6), {"stride": (2, 3), "groups": 2}),
    (2, (4, 4), (3, 3), (3, 2), {"padding": ((1, 0), (2, 1)), "dilation": 2}),
    (2, (4, 4), (2, 2), (3, 2), {"stride": 2}),
    (3, (3, 2, 3), (2, 2, 3), (2, 2), {"stride": 2, "padding": (0, 1, 1)}),
]


def arrays(dims, image, window, channels, settings, transposed, layout):
    rng = np.random.default_rng(prod(image) + dims)
    c_in, c_out = channels
    groups = settings.get("groups", 1)
    x = (2, *image, c_in)
    w = (*window, c_out // groups, c_in) if transposed else (*window, c_in // groups, c_out)
    if layout == "channels_first":
        x = (2, c_in, *image)
        w = (w[-1], w[-2], *window)
    return [ac.tensor(rng.normal(size=shape)) for shape in (x, w)]


def compared(outputs, given):
    """What the program of these lines has become; its numbers must be NumPy's."""
    program = simplify(from_tape(outputs, given, 0))
    lowered = Lowered(program)
    with wide():
        made, _ = jax.jit(lowered)([x.value for x in given], [])
    for got, line in zip(made, outputs, strict=True):
        np.testing.assert_allclose(np.asarray(got), line.value, rtol=1e-11, atol=1e-11)
    lines = [program.lines[i] for i in lowered.order if i not in lowered.fused]
    left = [line.primitive.name for line in lines if line.primitive is not None]
    return sorted(piece.text for piece in lowered.fused.values()), left


def with_gradients(y, wrt):
    """(y, gradients of a sum of squares, gradients of a sum of these gradients' squares)."""
    one = ac.tensor(1.0)  # a Tensor, so that the sweep is recorded
    first = ac.sweep(ac.sum(y * y), wrt, one)
    second = ac.sweep(ac.sum(first[0] ** 2) + ac.sum(first[1] ** 2), wrt, one)
    return [y, *first], second


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("dims", "image", "window", "channels", "settings"), GEOMETRIES)
def test_convolution_and_its_gradients(dims, image, window, channels, settings, layout):
    given = arrays(dims, image, window, channels, settings, False, layout)
    first, second = with_gradients(CONV[dims](*given, layout=layout, **settings), given)
    texts, left = compared(first, given)
    assert texts == ["a convolution", "a convolution's gradient by its kernel", "a transposed convolution"]
    assert not {"windows", "overlap_add", "contract"} & set(left)
    if layout == "channels_last":
        texts, left = compared(second, given)
        assert not {"windows", "overlap_add", "contract"} & set(left)


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("dims", "image", "window", "channels", "settings"), BACK)
def test_transposed_convolution_and_its_gradients(dims, image, window, channels, settings, layout):
    given = arrays(dims, image, window, channels, settings, True, layout)
    first, _ = with_gradients(TRANSPOSED[dims](*given, layout=layout, **settings), given)
    texts, left = compared(first, given)
    assert texts == ["a convolution", "a convolution's gradient by its kernel", "a transposed convolution"]
    assert not {"windows", "overlap_add", "contract"} & set(left)


def test_one_image_without_channels():
    x, w = (ac.tensor(np.random.default_rng(0).normal(size=shape)) for shape in ((6, 7), (3, 2)))
    first, _ = with_gradients(ac.conv2d(x, w, padding=1), [x, w])
    assert "a convolution" in compared(first, [x, w])[0]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_in_other_dtypes(dtype):
    x, w = arrays(2, (6, 6), (3, 3), (3, 4), {}, False, "channels_last")
    given = [ac.astype(t, dtype).value for t in (x, w)]
    given = [ac.tensor(value) for value in given]
    y = ac.conv2d(*given, padding=1)
    outputs = [y, *ac.sweep(y, given, ac.tensor(np.ones(y.shape, dtype)))]
    program = simplify(from_tape(outputs, given, 0))
    with wide():
        made, _ = jax.jit(Lowered(program))([t.value for t in given], [])
    for got, line in zip(made, outputs, strict=True):
        assert got.dtype == line.dtype
        step = {"float32": 2e-6, "float16": 2e-3}[dtype]
        np.testing.assert_allclose(np.asarray(got), line.value, rtol=step, atol=step * abs(line.value).max())


def test_what_is_no_convolution_is_computed_line_by_line():
    """Windows that somebody reads, windows that are squared, a contraction over the positions alone."""
    rng = np.random.default_rng(0)
    x, w = ac.tensor(rng.normal(size=(2, 6, 6, 3))), ac.tensor(rng.normal(size=(3, 3, 3, 4)))
    frames = ac.windows(x, (3, 3))
    contract = ac.TABLE["contract"]
    made = [
        contract(frames, w, spec="nxyijc,ijcd->nxyd"),
        frames,
        contract(frames, frames, spec="nxyijc,nxyijc->nc"),
        contract(frames, ac.tensor(rng.normal(size=(4, 4))), spec="nxyijc,xy->nijc"),
        contract(frames, ac.tensor(rng.normal(size=(3, 4))), spec="nxyijc,ix->nyjc"),
    ]
    compared(made, [x, w])


def test_an_overlap_add_larger_than_its_windows_reach():
    y, w = (ac.tensor(np.random.default_rng(0).normal(size=shape)) for shape in ((2, 3, 4), (2, 4, 5)))
    frames = ac.TABLE["contract"](y, w, spec="nxc,icd->nxid")
    for size in (4, 5, 9):
        made = ac.TABLE["overlap_add"](frames, axes=(1,), size=(size,), stride=(1,), dilation=(1,))
        compared([made], [y, w])


def test_ties_of_a_maximum_go_to_the_first_in_scan_order():
    """Windows with equal cells, NaN and infinities, with padding and overlap: value and slope as eager has them."""
    rng = np.random.default_rng(1)
    x = rng.integers(0, 3, (2, 7, 7, 2)).astype(float)
    x[0, 2, 3, 0], x[1, 1, 1, 1], x[1, 4, 4, 0], x[0, 5, 5, 1] = np.nan, np.inf, -np.inf, np.nan
    t = ac.tensor(x)
    for settings in ({"stride": 2}, {"stride": 1, "padding": 1}, {"stride": 3}, {"stride": 2, "ceil_mode": True}):
        y = ac.max_pool2d(t, 3, **settings)
        g = rng.normal(size=y.shape)
        compared([y, *ac.sweep(y, [t], ac.tensor(g))], [t])
