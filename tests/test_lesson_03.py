"""Equations 1 to 21 of lesson 3 as properties: loops written from the equations against the tape.

Each is tried at random sizes, channels, kernels, strides and paddings, and once more as the article has it: one
channel, stride 1, no padding.
"""

import numpy as np
import pytest
from helpers.nets_for_lesson_03 import Layer, at, convolve, correlate, draw, fitting, forward, turned

import autoconv as ac


def by_weight(net):
    """The Jacobian of x2 by w2: (i, j, d, m', n', c, d')."""
    o1, b2 = net.value["o1"], net.second.b
    return ac.jacobian(lambda w: ac.conv2d(o1, w, b2, **net.second.settings))(net.second.w)


def by_input(net):
    """The Jacobian of x2 by x1: (i, j, d, i', j', c)."""
    return ac.jacobian(lambda x: ac.conv2d(net.f[0](x), net.second.w, **net.second.settings))(net.value["x1"])


def kernel_gradient(delta, o, layer):
    """Equation 13 in loops."""
    made = np.zeros(layer.w.shape)
    for m, n in np.ndindex(*layer.w.shape[:2]):
        for i, j in np.ndindex(*delta.shape[:2]):
            made[m, n] += np.outer(at(o, *layer.reads(i, j, m, n)), delta[i, j])
    return made


def spread(delta, layer):
    """delta with stride - 1 zeros between its cells."""
    s1, s2 = layer.stride
    made = np.zeros(((delta.shape[0] - 1) * s1 + 1, (delta.shape[1] - 1) * s2 + 1, delta.shape[2]))
    made[::s1, ::s2] = delta
    return made


# ---- the equations


def eq1(net):
    I, K = net.o0[..., 0], net.first.w[:, :, 0, 0]
    assert np.allclose(ac.conv2d(I, K), correlate(I, K))


def eq2(net):
    I, K = net.o0[..., 0], net.first.w[:, :, 0, 0]
    assert np.allclose(ac.conv2d(I, K, padding="full", flip=True), convolve(I, K))
    assert np.allclose(ac.conv2d(I, K, flip=True), fitting(convolve(I, K), K))


def eq3(net):
    I, K = net.o0[..., 0], net.first.w[:, :, 0, 0]
    (H, W), (k1, k2) = I.shape, K.shape
    made = np.zeros((H + k1 - 1, W + k2 - 1))
    for i, j in np.ndindex(*made.shape):
        made[i, j] = sum(at(I, i + m, j + n) * K[-m, -n] for m in range(1 - k1, 1) for n in range(1 - k2, 1))
    assert np.allclose(ac.conv2d(I, K, padding="full", flip=True), made)
    assert np.allclose(ac.conv2d(I, turned(K), padding="full"), made)  # for every kernel, not for symmetric ones


def eq4(net):
    assert np.allclose(net.value["x1"], forward(net.o0, net.first))
    assert np.allclose(net.value["x2"], forward(net.value["o1"], net.second))


def eq5(net):
    layer = Layer(net.first.w[:, :, :1, :1], net.first.b[:1], net.first.stride, net.first.padding)
    made = ac.conv2d(net.o0[..., 0], layer.w[:, :, 0, 0], layer.b[0], **layer.settings)
    assert np.allclose(made, forward(net.o0[..., :1], layer)[..., 0])


def eq6(net):
    flipped = ac.conv2d(net.value["o1"], turned(net.second.w), net.second.b, flip=True, **net.second.settings)
    assert np.allclose(net.value["x2"], flipped)
    o, K = net.value["o1"][..., 0], net.second.w[:, :, 0, 0]
    assert np.allclose(ac.conv2d(o, K), fitting(convolve(o, turned(K)), K))


def eq7(net):
    assert np.allclose(ac.conv2d(net.o0, net.first.w, net.first.b, **net.first.settings), forward(net.o0, net.first))


def eq8(net):
    for x, o in (("x1", "o1"), ("x2", "y")):
        assert np.allclose(net.value[o], net.f[1](net.value[x]))


def eq9(net):
    y = net.value["y"]
    assert np.isclose(net.value["E"], 0.5 * sum((net.t[p] - y[p]) ** 2 for p in np.ndindex(*y.shape)))
    assert np.allclose(net.grad["y"], y - net.t)


def eq10(net):
    rate, made = by_weight(net), np.zeros(net.second.w.shape)
    for i, j, d in np.ndindex(*net.delta2.shape):
        made += net.delta2[i, j, d] * rate[i, j, d]
    assert np.allclose(net.grad["w2"], made)


def eq11(net):
    rate, layer = by_weight(net), net.second
    for place in np.ndindex(*layer.w.shape):  # x is a straight line in each weight: a step of any size shows its slope
        step = np.zeros(layer.w.shape)
        step[place] = 1.0
        moved = forward(net.value["o1"], Layer(layer.w + step, layer.b, layer.stride, layer.padding)) - net.value["x2"]
        assert np.allclose(rate[(..., *place)], moved)


def eq12(net):
    rate = by_weight(net)
    for i, j, d, m, n, d2 in np.ndindex(*net.delta2.shape, *net.second.w.shape[:2], net.delta2.shape[2]):
        met = at(net.value["o1"], *net.second.reads(i, j, m, n))
        assert np.allclose(rate[i, j, d, m, n, :, d2], met if d == d2 else 0)


def eq13(net):
    assert np.allclose(net.grad["w2"], kernel_gradient(net.delta2, net.value["o1"], net.second))
    assert np.allclose(net.grad["w1"], kernel_gradient(net.grad["x1"], net.o0, net.first))


def eq14(net):
    layer, o = net.second, net.value["o1"]
    dilated = spread(net.delta2, layer)
    (p1, p2), (k1, k2) = layer.padding, layer.w.shape[:2]
    padded = np.pad(o, ((p1, p1), (p2, p2), (0, 0)))[: dilated.shape[0] + k1 - 1, : dilated.shape[1] + k2 - 1]
    for c, d in np.ndindex(*layer.w.shape[2:]):
        delta = dilated[..., d]
        assert np.allclose(net.grad["w2"][:, :, c, d], fitting(convolve(padded[..., c], turned(delta)), delta))


def eq15(net):
    def error(x1):
        return 0.5 * ((net.t - net.f[1](forward(net.f[1](x1), net.second))) ** 2).sum()

    assert np.allclose(net.grad["x2"], net.delta2)
    for place in np.ndindex(*net.value["x1"].shape):
        step = np.zeros(net.value["x1"].shape)
        step[place] = 1e-6
        slope = (error(net.value["x1"] + step) - error(net.value["x1"] - step)) / 2e-6
        assert np.isclose(net.grad["x1"][place], slope, rtol=1e-4, atol=1e-7)


def eq16(net):
    rate, layer, made = by_input(net), net.second, np.zeros(net.value["x1"].shape)
    k1, k2 = layer.w.shape[:2]
    for p, q in np.ndindex(*made.shape[:2]):
        for i, j in np.ndindex(*net.delta2.shape[:2]):  # Q: where the window over (i, j) holds (p, q)
            top, left = layer.reads(i, j, 0, 0)
            if top <= p < top + k1 and left <= q < left + k2:
                made[p, q] += np.tensordot(net.delta2[i, j], rate[i, j, :, p, q], 1)
            else:
                assert not rate[i, j, :, p, q].any()
    assert np.allclose(net.grad["x1"], made)


def readers(net, p, q):
    """(m, n, i, j): output (i, j) reads (p, q) with weight (m, n); i = p - m for stride 1 and no padding."""
    layer = net.second
    for m, n in np.ndindex(*layer.w.shape[:2]):
        (i, beside), (j, below) = (
            divmod(x + pad - k, s) for x, pad, k, s in zip((p, q), layer.padding, (m, n), layer.stride, strict=True)
        )
        if not beside and not below and 0 <= i < net.delta2.shape[0] and 0 <= j < net.delta2.shape[1]:
            yield m, n, i, j


def eq17(net):
    rate, made = by_input(net), np.zeros(net.value["x1"].shape)
    for p, q in np.ndindex(*made.shape[:2]):
        for _, _, i, j in readers(net, p, q):
            made[p, q] += np.tensordot(net.delta2[i, j], rate[i, j, :, p, q], 1)
    assert np.allclose(net.grad["x1"], made)


def eq18(net):
    rate, x1 = by_input(net), net.value["x1"]
    for place in np.ndindex(*x1.shape):
        step = np.zeros(x1.shape)
        step[place] = 1e-6
        higher, lower = (forward(net.f[1](x1 + sign * step), net.second) for sign in (1, -1))
        assert np.allclose(rate[(..., *place)], (higher - lower) / 2e-6, rtol=1e-4, atol=1e-7)


def eq19(net):
    rate, slope = by_input(net), net.f[2](net.value["x1"])
    met = np.zeros(rate.shape, bool)
    for p, q in np.ndindex(*slope.shape[:2]):
        for m, n, i, j in readers(net, p, q):
            assert np.allclose(rate[i, j, :, p, q], net.second.w[m, n].T * slope[p, q])
            met[i, j, :, p, q] = True
    assert not rate[~met].any()  # every other output does not move


def eq20(net):
    slope, made = net.f[2](net.value["x1"]), np.zeros(net.value["x1"].shape)
    for p, q in np.ndindex(*made.shape[:2]):
        for m, n, i, j in readers(net, p, q):
            made[p, q] += net.second.w[m, n] @ net.delta2[i, j] * slope[p, q]
    assert np.allclose(net.grad["x1"], made)


def eq21(net):
    layer, (H, W) = net.second, net.value["x1"].shape[:2]
    (p1, p2), (k1, k2) = layer.padding, layer.w.shape[:2]
    dilated = spread(net.delta2, layer)
    high = [n + 2 * p - k + 1 - d for n, p, k, d in zip((H, W), (p1, p2), (k1, k2), dilated.shape, strict=False)]
    around = np.pad(dilated, ((k1 - 1, k1 - 1 + high[0]), (k2 - 1, k2 - 1 + high[1]), (0, 0)))
    made = np.zeros((H, W, layer.w.shape[2]))
    for c, d in np.ndindex(*layer.w.shape[2:]):
        made[..., c] += correlate(around[..., d], turned(layer.w[:, :, c, d]))[p1 : p1 + H, p2 : p2 + W]
    assert np.allclose(net.grad["x1"], made * net.f[2](net.value["x1"]))


EQUATIONS = [eq1, eq2, eq3, eq4, eq5, eq6, eq7, eq8, eq9, eq10, eq11, eq12, eq13, eq14, eq15, eq16, eq17, eq18, eq19,
    eq20, eq21]  # fmt: skip


@pytest.mark.parametrize("seed", range(9))
@pytest.mark.parametrize("equation", EQUATIONS, ids=lambda equation: equation.__name__)
def test_equation(equation, seed):
    equation(draw(seed))


@pytest.mark.parametrize("equation", EQUATIONS, ids=lambda equation: equation.__name__)
def test_equation_as_the_article_has_it(equation):
    equation(draw(100, plain=True))
