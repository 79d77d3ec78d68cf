"""Terms that padding makes zero: they are left out, of exactly the places where they are zero, and only of finite
numbers."""

from itertools import product

import numpy as np
import pytest
from helpers.plans import at_every_plan
from helpers.random_nets import native

import autoconv as ac
from autoconv.plan.contractions import Dot, Gemm, Outer
from autoconv.plan.kernel import Kernel
from autoconv.plan.lower import contraction, known_zeros
from autoconv.plan.spacing import Spacing, spaced
from autoconv.program.numpy_run import NumpyRun

pytestmark = native
ALL = slice(None)

# spatial sizes, kernel, stride, padding, dilation
GEOMETRIES = [
    ((7, 7), (3, 3), 1, 1, 1),
    ((5, 9), (3, 5), 1, 2, 1),
    ((6, 6), (5, 5), 1, 4, 1),
    ((8, 8), (3, 3), 2, 1, 1),
    ((9, 7), (3, 3), 1, 2, 2),
    ((4, 4), (2, 2), 3, 1, 1),
    ((2, 2), (7, 7), 1, 3, 1),
    ((3, 3), (1, 1), 1, 2, 1),  # places wholly on padding
    ((12,), (5,), 1, 2, 1),
    ((4, 3, 5), (3, 3, 3), 1, 1, 1),
]


def on_image(size, kernel, stride, padding, dilation):
    """Along one axis: (place, tap) whether the tap stands on the image, counted by hand."""
    places = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    return np.array([[0 <= p * stride + t * dilation - padding < size for t in range(kernel)] for p in range(places)])


def net(sizes, kernel, stride, padding, dilation, order, groups=1, channels=(16, 16), examples=3, dtype="float64"):
    """(the loss of a padded convolution, its arguments): images, kernel, bias, upstream."""
    rng = np.random.default_rng(0)
    first = order == "channels_first"
    axes = tuple(range(2, 2 + len(sizes))) if first else tuple(range(1, 1 + len(sizes)))
    counts = [on_image(n, k, stride, padding, dilation).shape[0] for n, k in zip(sizes, kernel, strict=True)]
    shaped = lambda c, spatial: (examples, c, *spatial) if first else (examples, *spatial, c)
    of_kernel = (
        (channels[1], channels[0] // groups, *kernel) if first else (*kernel, channels[0] // groups, channels[1])
    )
    shapes = [shaped(channels[0], sizes), of_kernel, (channels[1],), shaped(channels[1], counts)]
    given = [rng.normal(size=shape).astype(dtype) for shape in shapes]
    conv = {1: ac.conv1d, 2: ac.conv2d, 3: ac.conv3d}[len(axes)]
    settings = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "layout": order}
    return lambda x, w, b, up: ac.sum(ac.tanh(conv(x, w, b, **settings)) * up), given


def as_many_classes_as_there_are(monkeypatch):
    """Neither a class nor a look at the numbers costs anything."""
    for name, value in (("_BEGINNING", 0.0), ("_IN_FLIGHT", 0.0), ("_MOST_CLASSES", 1000), ("_LOOKING", (0.0, 0.0))):
        monkeypatch.setattr(known_zeros, name, value)


@pytest.mark.parametrize("lanes", ["examples", "channels"])
@pytest.mark.parametrize("order", ["channels_last", "channels_first"])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_padded_convolutions_are_what_they_were(geometry, groups, order, lanes, monkeypatch):
    monkeypatch.setenv("AUTOCONV_LANES", lanes)
    as_many_classes_as_there_are(monkeypatch)
    loss, given = net(*geometry, order, groups)
    compiled = ac.compile(loss)
    for _ in range(2):
        value, gradients = compiled.value_and_grad(*given, wrt=(0, 1, 2))
    np.testing.assert_allclose(value, loss(*given), rtol=1e-11)
    for found, right in zip(gradients, ac.grad(loss, argnums=(0, 1, 2))(*given), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-9, atol=1e-11)


def _of_all(on):
    """(place, tap) of all axes together."""
    found = on[0]
    for one in on[1:]:
        found = np.kron(found, one)
    return found


def products_of(monkeypatch, loss, given):
    """Of the first program that is planned: the products of its forward convolution, and of its kernel's gradient."""
    made = []
    at_every_plan(
        monkeypatch,
        lambda native: made.append([one for k in native.lowering.kernels.values() for one in k.instructions]),
    )
    compiled = ac.compile(loss)
    for _ in range(2):
        compiled.value_and_grad(*given, wrt=(1,))
    last = made[-1]
    of_kind = lambda *kinds: sum(one.products() for one in last if isinstance(one, kinds))
    return of_kind(Gemm), of_kind(Dot, Outer)


@pytest.mark.parametrize("lanes", ["examples", "channels"])
@pytest.mark.parametrize("geometry", [g for g in GEOMETRIES if g[1] != (1, 1)], ids=str)
def test_the_products_that_are_made_are_those_on_the_image(geometry, lanes, monkeypatch):
    """Counted by hand, place by place and tap by tap, if a class costs nothing besides its products; a result of which
    no product is on the image is made from one."""
    monkeypatch.setenv("AUTOCONV_LANES", lanes)
    as_many_classes_as_there_are(monkeypatch)
    sizes, kernel, *rest = geometry
    on = [on_image(n, k, *rest) for n, k in zip(sizes, kernel, strict=True)]
    right = np.prod([one.sum() for one in on]) * 16 * 16
    every = np.prod([one.size for one in on]) * 16 * 16
    loss, given = net(*geometry, "channels_last", examples=32)
    forward, gradient = products_of(monkeypatch, loss, given)
    whole = _of_all(on)
    worth = right < 0.98 * every
    assert forward == (right + 256 * (~whole.any(axis=1)).sum() if worth else every)
    assert gradient == (right + 256 * (~whole.any(axis=0)).sum() if worth else every)


# first register and steps among those of an array (4, 5), numbered from 10 on; sizes; where they begin and move along
# each axis, or None if somewhere they run into the next row
MOVES = [
    ((10, (5, 1)), (4, 5), ([0, 0], [[1, 0], [0, 1]])),
    ((11, (1,)), (4,), ([0, 1], [[0, 1]])),
    ((11, (1,)), (5,), None),
    ((11, (5, 1)), (4, 4), ([0, 1], [[1, 0], [0, 1]])),
    ((11, (5, 1)), (4, 5), None),
    ((15, (5, 1)), (3, 5), ([1, 0], [[1, 0], [0, 1]])),
    ((10, (10, 2)), (2, 3), ([0, 0], [[2, 0], [0, 2]])),
    ((10, (6,)), (4,), ([0, 0], [[1, 1]])),
    ((11, (6,)), (5,), None),
    ((10, (1, 1)), (3, 3), ([0, 0], [[0, 1], [0, 1]])),
    ((10, (1, 1)), (3, 4), None),
    ((14, (-1,)), (5,), None),
    ((10, (0, 5)), (7, 4), ([0, 0], [[0, 0], [1, 0]])),
]


def padded(mask):
    """A kernel with one value (4, 5), registers from 1 on, of which these are always zero."""
    at = Kernel(1)
    registers = spaced(at.new_value(20), (4, 5), (5, 1))
    at.blank[1] = registers, mask
    return at, registers


def test_what_is_known_to_be_zero():
    """By letters of the places that are read: only where these are evenly spaced, in the rows of what was padded."""
    border = np.zeros((4, 5), bool)
    border[0], border[:, 4] = True, True
    at, registers = padded(border)
    rows = known_zeros._zeros(at, registers, "yx", "yx")
    np.testing.assert_array_equal(rows, border)
    np.testing.assert_array_equal(known_zeros._zeros(at, registers.T, "xy", "xy"), border.T)
    inside = known_zeros._zeros(at, registers[1:, :3], "yx", "yx")
    assert inside is None, "none is zero there"
    assert known_zeros._zeros(at, registers[1:], "yx", "yx").tolist() == [[False] * 4 + [True]] * 3
    assert known_zeros._zeros(at, registers, "yx", "y") is None, "it depends on a letter that is not asked for"
    assert known_zeros._zeros(at, registers.reshape(20), "a", "a") is None, "one row runs into the next"
    assert known_zeros._zeros(at, np.array(registers), "yx", "yx") is None, "not known to be evenly spaced"
    assert known_zeros._zeros(at, np.zeros((4, 5), np.int32), "yx", "yx") is None, "the zero register is no padding"
    alone = np.zeros((4, 5), bool)
    alone[2, 3] = True
    at, registers = padded(alone)
    assert known_zeros._zeros(at, registers, "yx", "yx") is None, "no whole row or column"
    other = spaced(at.new_value(6), (2, 3), (3, 1))
    assert known_zeros._zeros(at, other, "yx", "yx") is None, "of a value that is not padded"


@pytest.mark.parametrize(("found", "sizes", "right"), MOVES, ids=str)
def test_how_registers_move_within_an_array(found, sizes, right):
    registers = spaced(10, (4, 5), (5, 1))
    assert known_zeros._moves(registers, Spacing(*found), sizes) == right


def test_small_classes_are_joined(monkeypatch):
    """A corner of one place would cost more alone than it saves."""
    classes = lambda beginning: len(known_zeros._joined(np.array([100, 10, 10, 1]), terms, beginning))
    terms = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [0, 1, 0, 1], [0, 1, 0, 0]], bool)
    assert classes(0.0) == 4
    assert classes(5.0) == 3
    assert classes(1000.0) == 1


def test_many_classes_are_looked_at_in_groups():
    """A long kernel has a class for every place near the border; those that save least are one class."""
    on = on_image(200, 81, 1, 40, 1)
    groups = known_zeros._joined(np.ones(200, int), on, 0.0)
    assert sorted(c for group in groups for c in group) == list(range(200))
    assert 2 <= len(groups) <= known_zeros._MOST_CLASSES
    needed = sum(len(group) * on[group].any(axis=0).sum() for group in groups)
    assert on.sum() <= needed < 1.01 * on.sum() < 0.91 * on.size


WRONG = {"infinite": np.inf, "minus infinity": -np.inf, "no number": np.nan}


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("lanes", ["examples", "channels"])
@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("of", [1, 3], ids=["kernel", "upstream"])
@pytest.mark.parametrize("relu", [False, True], ids=["", "relu"])
def test_0_times_infinity_is_what_it_is_by_definition(of, what, relu, lanes, monkeypatch):
    """Wherever the number stands: where padding meets it the result is NaN, as in eager code."""
    monkeypatch.setenv("AUTOCONV_LANES", lanes)
    as_many_classes_as_there_are(monkeypatch)
    plain = []
    run = NumpyRun.run
    monkeypatch.setattr(NumpyRun, "run", lambda self, arguments: plain.append(1) or run(self, arguments))
    _, given = net((5, 5), (3, 3), 1, 1, 1, "channels_last", examples=8, dtype="float32")
    last = ac.relu if relu else lambda y: y
    loss = lambda x, w, b, up: ac.sum(last(ac.conv2d(x, w, b, padding=1)) * up)
    compiled = ac.compile(loss)
    for _ in range(2):
        compiled.value_and_grad(*given, wrt=(0, 1, 2))
    plain.clear()
    compiled.value_and_grad(*given, wrt=(0, 1, 2))
    assert not plain, "finite numbers are the machine's"
    places = list(product(range(3), range(3))) if of == 1 else [(0, 0), (0, 2), (2, 2), (4, 4)]
    for place in places:
        numbers = [x.copy() for x in given]
        at = (*place, 3, 5) if of == 1 else (1, *place, 5)
        numbers[of][at] = WRONG[what]
        value, gradients = compiled.value_and_grad(*numbers, wrt=(0, 1, 2))
        right = ac.value_and_grad(loss, argnums=(0, 1, 2))(*numbers)
        for a, b in zip([value, *gradients], [right[0], *right[1]], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3)  # NaN where NaN, infinite where infinite
    assert plain


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("lanes", ["examples", "channels"])
def test_a_step_with_an_infinite_gradient_moves_what_eager_code_moves(lanes, monkeypatch):
    """The machine's update is not made from sums of which terms were left out."""
    monkeypatch.setenv("AUTOCONV_LANES", lanes)
    as_many_classes_as_there_are(monkeypatch)
    _, (x, w, _b, up) = net((5, 5), (3, 3), 1, 1, 1, "channels_last", examples=8, dtype="float32")
    loss = lambda w, x, up: ac.sum(ac.conv2d(x, w, padding=1) * up)
    bad = up.copy()
    bad[2, 0, 0, 7] = np.inf
    moved = []
    for compiled in (True, False):
        kernel = ac.tensor(w.copy())
        optimizer = ac.optim.SGD([kernel], 0.01)
        step = ac.compile(lambda x, up, kernel=kernel: loss(kernel, x, up))
        for scale in (up, up, up, bad):
            if compiled:
                step.step(optimizer, x, scale)
            else:
                optimizer.zero_grad()
                loss(kernel, x, scale).backward()
                optimizer.step()
        moved.append(kernel.value.copy())
    assert np.isnan(moved[1][..., 7]).any()
    np.testing.assert_allclose(*moved, rtol=1e-3, atol=1e-4)


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("lanes", ["examples", "channels"])
def test_an_infinite_gradient_that_meets_nothing_but_padding(lanes, monkeypatch):
    """No product with it need be made; the gradient of the kernel is NaN all the same."""
    monkeypatch.setenv("AUTOCONV_LANES", lanes)
    as_many_classes_as_there_are(monkeypatch)
    _, (x, w, b, up) = net((3, 3), (1, 1), 1, 2, 1, "channels_last", examples=8, dtype="float32")
    loss = lambda x, w, b, up: ac.sum(ac.conv2d(x, w, b, padding=2) * up)
    compiled = ac.compile(loss)
    for _ in range(2):
        compiled.value_and_grad(x, w, b, up, wrt=(1,))
    up[3, 0, 6, 5] = np.inf
    _, (found,) = compiled.value_and_grad(x, w, b, up, wrt=(1,))
    assert np.isnan(found[..., 5]).all() and np.isfinite(np.delete(found, 5, axis=-1)).all()


def test_what_is_no_padding_is_not_left_out(monkeypatch):
    """Zeros that are numbers of the batch stay: another batch has others there."""
    monkeypatch.setenv("AUTOCONV_LANES", "channels")
    seen = []
    parts = known_zeros.parts
    monkeypatch.setattr(contraction.known_zeros, "parts", lambda *a: seen.append(parts(*a)) or seen[-1])
    rng = np.random.default_rng(0)
    w = rng.normal(size=(3, 3, 16, 16))
    compiled = ac.compile(lambda x: ac.sum(ac.tanh(ac.conv2d(x, w))))
    for x in (np.zeros((4, 6, 6, 16)), rng.normal(size=(4, 6, 6, 16)), rng.normal(size=(4, 6, 6, 16))):
        found = compiled(x)
    np.testing.assert_allclose(found, np.sum(np.tanh(ac.conv2d(x, w))), rtol=1e-12)
    assert seen and all(part is known_zeros.WHOLE for part in seen)
