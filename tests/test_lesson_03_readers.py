"""What lesson 3 says besides the equations: slips in print make a difference, pooling's routing,
and the readers' questions."""

import numpy as np
import pytest
from helpers.nets_for_lesson_03 import at, convolve, correlate, draw, fitting, forward, turned

import autoconv as ac

SEEDS = range(100, 104)


# ---- what is printed, or may be read, differs from what is meant: each gives a tensor's name and a
# wrong gradient of it


def limits_one_too_early(net):
    delta, o = net.delta2[:-1, :-1, 0], net.value["o1"][:-1, :-1, 0]
    return "w2", correlate(o, delta)


def delta_lost(net):
    return "w2", correlate(net.value["o1"][..., 0], np.ones(net.delta2.shape[:2]))


def delta_turned_as_drawn(net):
    return "w2", correlate(net.value["o1"][..., 0], turned(net.delta2[..., 0]))


def wrapped_round_the_border(net):
    delta, w, made = net.delta2[..., 0], net.second.w[:, :, 0, 0], np.zeros(net.value["x1"].shape[:2])
    for p, q in np.ndindex(*made.shape):
        for m, n in np.ndindex(*w.shape):
            if p - m < delta.shape[0] and q - n < delta.shape[1]:
                made[p, q] += delta[p - m, q - n] * w[m, n]
    return "x1", made * net.f[2](net.value["x1"])[..., 0]


def last_line_of_21_as_a_convolution(net):
    made = convolve(net.delta2[..., 0], turned(net.second.w[:, :, 0, 0]))
    return "x1", made * net.f[2](net.value["x1"])[..., 0]


def middle_line_of_21(net):
    w = net.second.w[:, :, 0, 0]
    around = np.pad(net.delta2[..., 0], [(k - 1, k - 1) for k in w.shape])
    return "x1", turned(correlate(around, w)) * net.f[2](net.value["x1"])[..., 0]


def slope_of_f_forgotten(net):
    return "x1", convolve(net.delta2[..., 0], net.second.w[:, :, 0, 0])


def a_mean_of_squares(net):
    return "y", ((net.value["y"] - net.t) / net.t.size)[..., 0]


def the_half_forgotten(net):
    return "y", (2 * (net.value["y"] - net.t))[..., 0]


SLIPS = [
    limits_one_too_early,
    delta_lost,
    delta_turned_as_drawn,
    wrapped_round_the_border,
    last_line_of_21_as_a_convolution,
    middle_line_of_21,
    slope_of_f_forgotten,
    a_mean_of_squares,
    the_half_forgotten,
]


@pytest.mark.dear
@pytest.mark.quick(3)
@pytest.mark.parametrize("seed", SEEDS[:2])
@pytest.mark.parametrize("slip", SLIPS, ids=lambda slip: slip.__name__)
def test_a_slip_is_not_the_gradient(slip, seed):
    net = draw(seed, plain=True)
    name, claimed = slip(net)
    gradient = net.grad[name]
    claimed = claimed.reshape(gradient.shape)
    assert not np.allclose(claimed, gradient)
    assert not ac.check(claimed, of=net.tape["E"], wrt=net.tape[name], names=net.tape)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_limits_of_equation_3_matter(seed):
    net = draw(seed, plain=True)
    I, K = net.o0[..., 0], net.first.w[:, :, 0, 0]
    made = np.zeros(tuple(n + k - 1 for n, k in zip(I.shape, K.shape, strict=True)))
    for i, j in np.ndindex(*made.shape):  # as printed: K(-m, -n) for m, n from 0 on
        made[i, j] = sum(at(I, i + m, j + n) * at(K, -m, -n) for m, n in np.ndindex(*K.shape))
    assert not np.allclose(made, convolve(I, K))
    assert np.allclose(made[: I.shape[0], : I.shape[1]], I * K[0, 0])  # only the first term is left


@pytest.mark.parametrize("seed", SEEDS)
def test_flipping_matters_unless_the_kernel_looks_the_same_when_turned(seed):
    net = draw(seed, plain=True)
    I, K = net.o0[..., 0], net.first.w[:, :, 0, 0]
    assert not np.allclose(ac.conv2d(I, K, flip=True), ac.conv2d(I, K))
    assert np.allclose(ac.conv2d(I, K + turned(K), flip=True), ac.conv2d(I, K + turned(K)))


# ---- pooling


@pytest.mark.parametrize(("window", "stride"), [(2, 2), (3, 1), (2, 1), (3, 2)])
@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_of_pooling_goes_to_the_winner_or_to_all(window, stride, seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 9, (7, 7, 2)).astype(float)  # with ties: the first in reading order wins
    size = (7 - window) // stride + 1
    delta = rng.normal(size=(size, size, 2))
    routed, shared = np.zeros(image.shape), np.zeros(image.shape)
    for i, j, c in np.ndindex(size, size, 2):
        top, left = i * stride, j * stride
        block = image[top : top + window, left : left + window, c]
        m, n = np.unravel_index(block.argmax(), block.shape)
        routed[top + m, left + n, c] += delta[i, j, c]
        shared[top : top + window, left : left + window, c] += delta[i, j, c] / window**2
    for pool, expected in ((ac.max_pool2d, routed), (ac.avg_pool2d, shared)):
        x = ac.tensor(image)
        ac.sum(pool(x, window, stride=stride) * delta).backward()
        assert np.allclose(x.grad, expected)
        assert np.isclose(x.grad.sum(), delta.sum())


# ---- the readers' questions


@pytest.mark.parametrize("seed", range(6))
def test_the_gradient_of_a_bias_is_the_sum_of_delta(seed):
    net = draw(seed)
    for b, x in (("b1", "x1"), ("b2", "x2")):
        assert np.allclose(net.grad[b], [net.grad[x][..., d].sum() for d in range(net.grad[b].size)])
    one_each = ac.tensor(np.zeros(net.t.shape))  # one bias for each position, as the index of b_ij would have it
    x2 = ac.conv2d(net.value["o1"], net.second.w, net.second.b, **net.second.settings) + one_each
    ac.losses.half_squared_error(net.f[0](x2), net.t).backward()
    assert np.allclose(one_each.grad, net.delta2)


@pytest.mark.parametrize(
    ("depth", "size", "filters", "window"), [(3, 32, 6, 5), (2, 9, 4, 3), (5, 7, 1, 2), (1, 8, 3, 4)]
)
def test_kernels_of_different_depth(depth, size, filters, window):
    rng = np.random.default_rng(depth)
    x = ac.tensor(rng.normal(size=(depth, size, size)))
    w = ac.tensor(rng.normal(size=(filters, depth, window, window)))
    made = ac.conv2d(x, w, layout="channels_first")
    out = size - window + 1
    assert made.shape == (filters, out, out)
    delta = rng.normal(size=made.shape)
    ac.sum(made * delta).backward()
    by_kernel, by_input = np.zeros(w.shape), np.zeros(x.shape)
    for d, c, m, n in np.ndindex(filters, depth, window, window):
        by_kernel[d, c, m, n] = (x.value[c, m : m + out, n : n + out] * delta[d]).sum()  # nothing is added over d
        by_input[c, m : m + out, n : n + out] += w.value[d, c, m, n] * delta[d]  # every kernel has read channel c
    assert np.allclose(w.grad, by_kernel)
    assert np.allclose(x.grad, by_input)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_an_output_and_a_pixel_that_it_never_saw_do_not_meet(flip, seed):
    rng = np.random.default_rng(seed)
    I, W = rng.normal(size=(3, 3)), rng.normal(size=(2, 2))
    w = ac.tensor(W)
    delta = ac.tensor(rng.normal(size=(2, 2)))
    ac.sum(ac.conv2d(I, w, flip=flip) * delta).backward()
    met = [[I[m : m + 2, n : n + 2] for n in range(2)] for m in range(2)]
    expected = np.array([[(met[m][n] * delta.value).sum() for n in range(2)] for m in range(2)])
    assert np.allclose(w.grad, turned(expected) if flip else expected)  # turned as a whole
    for pixel in ((0, 0), (0, 1), (0, 2), (1, 0), (2, 0)):  # D4's window does not hold them
        other = I.copy()
        other[pixel] += 1.0
        rate = [ac.grad(lambda v, image=image: ac.conv2d(image, v, flip=flip)[1, 1])(W) for image in (I, other)]
        assert np.array_equal(*rate)
    assert not np.allclose(w.grad, fitting(convolve(I, delta.value), delta.value))  # what the drawing shows


@pytest.mark.parametrize("seed", range(6))
def test_the_gradient_is_subtracted_not_put_in_place(seed):
    net = draw(seed)
    slope = (net.grad["w2"] ** 2).sum()

    def error(w):
        x2 = ac.conv2d(net.value["o1"], w, net.second.b, **net.second.settings)
        return float(ac.losses.half_squared_error(net.f[0](x2), net.t))

    rate = 1e-6
    fall = error(net.second.w) - error(net.second.w - rate * net.grad["w2"])
    assert fall == pytest.approx(rate * slope, rel=1e-2)


@pytest.mark.parametrize("seed", range(6))
def test_a_true_convolution_learns_the_turned_kernel(seed):
    net = draw(seed)
    w = ac.tensor(net.second.w[::-1, ::-1].copy())
    x2 = ac.conv2d(net.value["o1"], w, net.second.b, flip=True, **net.second.settings)
    assert np.allclose(x2.value, forward(net.value["o1"], net.second))
    ac.losses.half_squared_error(net.f[0](x2), net.t).backward()
    assert np.allclose(w.grad, net.grad["w2"][::-1, ::-1])
