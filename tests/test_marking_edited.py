"""Bugs that are an edit of one place in a right function: each is named, and the right functions are right."""

import pytest
from helpers.students.edited import BUGS, SOURCES, judged

import autoconv as ac


@pytest.mark.parametrize("layer", SOURCES)
def test_the_right_functions_are_right(layer):
    assert judged(layer), judged(layer).text


@pytest.mark.quick(4)
@pytest.mark.parametrize(("layer", "text", "instead", "gradient", "name", "phrase"), BUGS)
def test_a_bug_is_named_with_the_words_that_say_which_one(layer, text, instead, gradient, name, phrase):
    part = judged(layer, text, instead)[gradient]
    assert part.mistake == name, part.text
    assert phrase in part.text


def test_a_gradient_is_compared_with_the_course_where_the_forward_is_the_courses():
    """The forward takes every window for a square, so that it is another function at one geometry; 2 k is k**2 for
    most of the others."""
    import numpy as np

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
