"""Bugs that are an edit of one place in a right function: each is named, and the right functions are right."""

import numpy as np
import pytest
from helpers.students import right
from helpers.students.edited import BUGS, SOURCES, judged

import autoconv as ac


@pytest.mark.parametrize("layer", SOURCES)
def test_the_right_functions_are_right(layer):
    assert judged(layer), judged(layer).text


@pytest.mark.dear
@pytest.mark.quick(4)
@pytest.mark.parametrize(("layer", "text", "instead", "gradient", "name", "phrase"), BUGS)
def test_a_bug_is_named_with_the_words_that_say_which_one(layer, text, instead, gradient, name, phrase):
    part = judged(layer, text, instead)[gradient]
    assert part.mistake == name, part.text
    assert phrase in part.text


@pytest.mark.dear
def test_a_gradient_is_compared_with_the_course_where_the_forward_is_the_courses():
    """The forward takes every window for a square, so that it is another function at one geometry; 2 k is k**2 for
    most of the others."""

    def forward(x, kernel_size, stride):
        k = kernel_size if isinstance(kernel_size, int) else kernel_size[0]
        views = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(2, 3))[:, :, ::stride, ::stride]
        return views.mean(axis=(4, 5)), (x, k, stride)

    def backward(g, cache):
        x, k, s = cache
        dx = np.zeros(x.shape)
        for i in range(g.shape[2]):
            for j in range(g.shape[3]):
                dx[:, :, i * s : i * s + k, j * s : j * s + k] += g[:, :, i : i + 1, j : j + 1] / (2 * k)
        return dx

    part = ac.check_backward(backward, forward, like="tinytorch.avg_pool")["grad_input"]
    assert not part.right
    assert part.mistake == "divided by the wrong count"


@pytest.mark.dear
def test_a_window_counted_by_the_wrong_side_shows_in_the_composed_layer_too():
    """conv, relu and pool in one function: the winner's place divided by the height of the window, not by its width."""

    def forward(x, w, b, conv_param, pool_param):
        a, conv = right.conv_forward_einsum(x, w, b, conv_param)
        out, pool = right.max_pool_forward(np.maximum(a, 0), pool_param)
        return out, (a, conv, pool)

    def backward(side):
        def made(dout, cache):
            a, conv, (image, p) = cache
            dr = np.zeros(image.shape)
            for n, f, i, j in np.ndindex(*dout.shape):
                top, left = i * p["stride"], j * p["stride"]
                window = image[n, f, top : top + p["pool_height"], left : left + p["pool_width"]]
                u, v = divmod(int(window.argmax()), p[side])
                dr[n, f, top + u, left + v] += dout[n, f, i, j]
            return right.conv_backward_einsum(dr * (a > 0), conv)

        return made

    assert ac.check_backward(backward("pool_width"), forward, like="cs231n.conv_relu_pool")
    verdict = ac.check_backward(backward("pool_height"), forward, like="cs231n.conv_relu_pool")
    assert not any(verdict[g].right for g in ("dx", "dw", "db")), verdict.text


@pytest.mark.dear
@pytest.mark.parametrize("written", ["np.sqrt(np.var(x, axis=0, ddof=1) + eps)", "np.sqrt(np.var(x, axis=0)) + eps"])
def test_no_mistake_is_made_up_for_a_backward_that_reads_what_another_forward_kept(written):
    """The course's own formula fed with the deviation of another forward is the gradient of neither; no line of it is
    wrong, and no pair of mistakes has been made."""
    scope = {"np": np}
    exec(
        f"""
def forward(x, gamma, beta, bn_param):
    eps = bn_param.get("eps", 1e-5)
    std = {written}
    xhat = (x - x.mean(axis=0)) / std
    return gamma * xhat + beta, (x - x.mean(axis=0), std, xhat, gamma)
def backward(dout, cache):
    apart, std, xhat, gamma = cache
    d = dout * gamma
    dvar = np.sum(d * apart, axis=0) * -0.5 * std**-3
    dmean = -np.sum(d, axis=0) / std + dvar * np.mean(-2 * apart, axis=0)
    return d / std + dvar * 2 * apart / len(dout) + dmean / len(dout), np.sum(dout * xhat, axis=0), np.sum(dout, axis=0)
""",
        scope,
    )
    v = ac.check_backward(scope["backward"], scope["forward"], like="cs231n.batchnorm")
    assert v["forward"].mistake == "another forward" and v["dgamma"].right and v["dbeta"].right
    assert v["dx"].mistake == "gradient of another forward" and not v["dx"].fixes
    assert "look at it again when the forward is right" in v["dx"].text
