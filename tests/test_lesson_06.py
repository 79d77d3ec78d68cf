"""Lesson 6: many channels and many filters (the question about an image (5, 5, 3) and 16 filters (3, 3, 3)),
in plain loops.

One adds over whatever read the number: positions for a weight, filters and windows for a pixel.  And the matrix of the
answer: its transpose is the backward pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autoconv as ac

# (height, width, channels), (kernel height, width), filters, stride, padding
CASES: list[Any] = [
    ((5, 5, 3), (3, 3), 16, 1, 0),  # the question
    ((4, 4, 1), (3, 3), 1, 1, 0),  # the answer
    ((5, 6, 2), (2, 3), 4, 1, 0),
    ((6, 5, 3), (3, 2), 2, 2, 0),
    ((5, 5, 3), (3, 3), 5, 1, 1),
    ((7, 4, 2), (3, 2), 3, 2, 1),
    ((4, 5, 4), (1, 1), 6, 1, 0),
]
for seed in range(4):  # and some at random
    draw = np.random.default_rng(60 + seed).integers
    size = (*draw(3, 8, 2).tolist(), int(draw(1, 5)))
    CASES.append((size, tuple(draw(1, 4, 2).tolist()), int(draw(1, 7)), int(draw(1, 4)), int(draw(0, 3))))
every_case = pytest.mark.parametrize(("shape", "window", "filters", "stride", "padding"), CASES, ids=str)
THE_QUESTION, THE_ANSWER = CASES[:2]


class Layer:
    """One convolution, the gradient G that arrives at its output, and the sweep's gradients."""

    def __init__(self, shape: Any, window: Any, filters: int, stride: int, padding: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.stride, self.padding = stride, padding
        self.x = ac.tensor(rng.integers(-3, 4, shape), dtype=float, name="x")
        self.w = ac.tensor(rng.integers(-3, 4, (*window, shape[2], filters)), dtype=float, name="w")
        self.b = ac.tensor(rng.integers(-3, 4, filters), dtype=float, name="b")
        self.h = ac.conv2d(self.x, self.w, self.b, stride=stride, padding=padding)
        self.G = ac.tensor(rng.integers(-3, 4, self.h.shape), dtype=float, name="G")
        self.L = ac.sum(self.h * self.G)
        self.L.backward()

    def uses(self) -> Any:
        """(i, j, u, v, the pixel's row and column): every meeting of an output position and a weight's place."""
        for i, j in np.ndindex(self.h.shape[:2]):
            for u, v in np.ndindex(self.w.shape[:2]):
                r, c = i * self.stride + u - self.padding, j * self.stride + v - self.padding
                if 0 <= r < self.x.shape[0] and 0 <= c < self.x.shape[1]:
                    yield i, j, u, v, r, c


@every_case
def test_the_questions_formula_for_the_size(shape: Any, window: Any, filters: int, stride: int, padding: int) -> None:
    h, w = ((n - f + 2 * padding) // stride + 1 for n, f in zip(shape[:2], window, strict=True))
    assert Layer(shape, window, filters, stride, padding).h.shape == (h, w, filters)


@every_case
@pytest.mark.parametrize("seed", [0, 1])
def test_forward_and_all_gradients_in_loops(
    shape: Any, window: Any, filters: int, stride: int, padding: int, seed: int
) -> None:
    a = Layer(shape, window, filters, stride, padding, seed)
    x, w, G = a.x.value, a.w.value, a.G.value
    h = np.zeros(a.h.shape) + a.b.value
    dw, dx = np.zeros(w.shape), np.zeros(x.shape)
    for i, j, u, v, r, c in a.uses():
        for k in range(filters):
            for d in range(shape[2]):
                h[i, j, k] += x[r, c, d] * w[u, v, d, k]
                dw[u, v, d, k] += x[r, c, d] * G[i, j, k]  # over positions
                dx[r, c, d] += w[u, v, d, k] * G[i, j, k]  # over positions and filters
    np.testing.assert_array_equal(a.h.value, h)  # whole numbers: exact
    np.testing.assert_array_equal(a.w.grad, dw)
    np.testing.assert_array_equal(a.x.grad, dx)
    np.testing.assert_array_equal(a.b.grad, G.sum(axis=(0, 1)))


@every_case
def test_each_filter_alone_and_then_all_of_them_added(
    shape: Any, window: Any, filters: int, stride: int, padding: int
) -> None:
    a = Layer(shape, window, filters, stride, padding)
    total = np.zeros(shape)
    for k in range(filters):
        alone = ac.conv2d(a.x, a.w.value[..., k : k + 1], stride=stride, padding=padding)
        (dx,) = ac.sweep(alone, [a.x], a.G.value[..., k : k + 1])
        assert dx.shape == shape
        total += dx
    np.testing.assert_array_equal(total, a.x.grad)


def test_the_filters_do_not_meet_in_the_forward_pass_and_the_channels_do_not_in_the_backward_pass() -> None:
    a = Layer(*THE_QUESTION)
    other = a.w.numpy()
    other[..., 3] += 1
    changed = np.any(ac.conv2d(a.x.value, other, a.b.value) != a.h.value, axis=(0, 1))
    assert changed.tolist() == [k == 3 for k in range(16)]
    other = a.w.numpy()
    other[:, :, 1] += 1
    (dx,) = ac.sweep(ac.conv2d(a.x, other), [a.x], a.G.value)
    assert np.any(dx != a.x.grad, axis=(0, 1)).tolist() == [False, True, False]


@every_case
def test_how_often_a_pixel_is_read(shape: Any, window: Any, filters: int, stride: int, padding: int) -> None:
    a = Layer(shape, window, filters, stride, padding)
    counts = np.zeros(shape[:2], int)
    for *_, r, c in a.uses():
        counts[r, c] += 1
    made = ac.uses(a.x, of=a.h)
    np.testing.assert_array_equal(made.counts, np.repeat(counts[..., None], shape[2], axis=2))
    np.testing.assert_array_equal(made.operations, made.counts * filters)
    r, c = np.unravel_index(counts.argmax(), counts.shape)
    assert len(ac.explain(a.x[int(r), int(c), 0], of=a.L, depth=1).terms) == counts.max() * filters


# ---- the matrix


@every_case
def test_the_matrix_and_its_transpose(shape: Any, window: Any, filters: int, stride: int, padding: int) -> None:
    a = Layer(shape, window, filters, stride, padding)
    C = ac.conv_matrix(a.w, shape, stride=stride, padding=padding)
    assert C.shape == (a.h.size, a.x.size)
    entries = np.zeros((*a.h.shape, *shape))
    for i, j, u, v, r, c in a.uses():
        entries[i, j, :, r, c, :] += a.w.value[u, v].T
    np.testing.assert_array_equal(C.value, entries.reshape(C.shape))
    np.testing.assert_array_equal((C.value @ a.x.value.ravel()).reshape(a.h.shape) + a.b.value, a.h.value)
    np.testing.assert_array_equal((C.value.T @ a.G.value.ravel()).reshape(shape), a.x.grad)
    np.testing.assert_array_equal(ac.matrix_view(C).kernel_gradient(a.G.value, a.x.value), a.w.grad)
    np.testing.assert_array_equal(ac.matrix_view(C).T.places, ac.matrix_view(C).places.T)


def test_the_answers_matrix_has_64_entries_of_which_36_are_9_weights() -> None:
    K = ac.tensor(np.arange(1.0, 10.0).reshape(3, 3), name="K")
    C = ac.conv_matrix(K, (4, 4))
    assert C.shape == (4, 16) and C.size == 64 and np.count_nonzero(C.value) == 36
    numbers, counts = np.unique(C.value, return_counts=True)
    assert numbers.tolist() == list(range(10)) and counts.tolist() == [28] + [4] * 9
    rows = [[1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 0, 0, 0, 0, 0], [0, 1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 0, 0, 0, 0],
            [0, 0, 0, 0, 1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 0],
            [0, 0, 0, 0, 0, 1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9]]  # fmt: skip
    np.testing.assert_array_equal(C.value, rows)
    assert C.value.T[5].tolist() == [5, 4, 2, 1]  # a pixel in the middle: the weights in reverse order
    view = ac.matrix_view(C)
    assert np.count_nonzero(view.places >= 0) == 36 and "4 x 16" in view.caption and "<svg" in view.svg
    assert "16 x 4" in view.T.caption


def test_the_kernels_gradient_flows_through_the_matrix_too() -> None:
    rng = np.random.default_rng(0)
    K = ac.tensor(rng.normal(size=(3, 3)), name="K")
    x, G = rng.normal(size=(4, 4)), rng.normal(size=4)
    (through,) = ac.sweep(ac.conv_matrix(K, (4, 4)) @ x.ravel(), [K], G)
    expected = [[np.sum(x[u : u + 2, v : v + 2] * G.reshape(2, 2)) for v in range(3)] for u in range(3)]
    np.testing.assert_allclose(through, expected, atol=1e-13)


# ---- claims: what the asker found, and what goes wrong on the way


def from_filters(w: Any, G: Any, chosen: Any, turn: bool = True) -> Any:
    """sum over the chosen filters of full(G[.., k], rot180(w[:, :, c, k])), without stride and padding."""
    kh, kw, channels, _ = w.shape
    dx = np.zeros((len(G) + kh - 1, G.shape[1] + kw - 1, channels))
    for k in chosen:
        zeros_around = np.pad(G[:, :, k], ((kh - 1, kh - 1), (kw - 1, kw - 1)))
        for i, j, c in np.ndindex(dx.shape):
            kernel = w[::-1, ::-1, c, k] if turn else w[:, :, c, k]
            dx[i, j, c] += np.sum(zeros_around[i : i + kh, j : j + kw] * kernel)
    return dx


# which filters, rotated, the verdict's kind, the mistake's name
CLAIMS = [
    (slice(None), True, "right", ""),
    (slice(0, 1), True, "wrong", "not summed over filters"),
    (slice(-1, None), True, "wrong", "not summed over filters"),
    (slice(None), False, "right for another forward", "kernel not rotated"),
]


@pytest.mark.parametrize(("which", "turn", "kind", "name"), CLAIMS)
@pytest.mark.parametrize("case", [THE_QUESTION, CASES[2]], ids=str)
def test_what_check_says_to_each_attempt(case: Any, which: slice, turn: bool, kind: str, name: str) -> None:
    a = Layer(*case)
    verdict = ac.check(lambda w, G: from_filters(w, G, range(case[2])[which], turn), of=a.L, wrt=a.x)
    found = {m.name for group in [verdict.mistakes, *verdict.alternatives] for m in group}
    assert verdict.kind == kind and (name in found if name else not found)


@pytest.mark.parametrize("case", [THE_QUESTION, CASES[2]], ids=str)
def test_a_mean_over_the_filters_is_named_among_what_it_could_be(case: Any) -> None:
    a = Layer(*case)
    verdict = ac.check(lambda w, G: from_filters(w, G, range(case[2])) / case[2], of=a.L, wrt=a.x)
    found = {m.name for group in [verdict.mistakes, *verdict.alternatives] for m in group}
    assert not verdict and "mean instead of sum" in found


def test_shapes_as_claims() -> None:
    a = Layer(*THE_QUESTION)
    assert ac.check((5, 5, 3), of=a.L, wrt=a.x) and ac.check((3, 3, 3, 16), of=a.L, wrt=a.w)
    for wrong in [(5, 5), (3, 3, 16), (5, 5, 16)]:
        assert not ac.check(wrong, of=a.L, wrt=a.x)
    summed = ac.check(lambda w, G: from_filters(w, G, range(16)).sum(axis=-1), of=a.L, wrt=a.x)
    assert not summed and "(5, 5)" in summed.summary and "(5, 5, 3)" in summed.summary


@pytest.mark.parametrize("batch", [1, 3])
def test_a_batch_adds_for_weights_and_stays_apart_for_images(batch: int) -> None:
    rng = np.random.default_rng(1)
    x = ac.tensor(rng.normal(size=(batch, 5, 5, 3)), name="x")
    w = ac.tensor(rng.normal(size=(3, 3, 3, 4)), name="w")
    b = ac.tensor(rng.normal(size=4), name="b")
    h = ac.conv2d(x, w, b)
    G = rng.normal(size=h.shape)
    dx, dw, db = ac.sweep(h, [x, w, b], G)
    expected = np.zeros(w.shape)
    for n, i, j in np.ndindex(batch, 3, 3):
        expected += x.value[n, i : i + 3, j : j + 3, :, None] * G[n, i, j]
    np.testing.assert_allclose(dw, expected, atol=1e-12)
    np.testing.assert_allclose(db, [G[..., k].sum() for k in range(4)], atol=1e-12)
    for n in range(batch):
        np.testing.assert_allclose(dx[n], from_filters(w.value, G[n], range(4)), atol=1e-12)


@pytest.mark.dear
@pytest.mark.quick(1)
@every_case
def test_the_certificate_holds(shape: Any, window: Any, filters: int, stride: int, padding: int) -> None:
    a = Layer(shape, window, filters, stride, padding)
    for wrt in (a.x, a.w, a.b):
        made = ac.certificate(a.L, wrt)
        assert made and made.closed is not None
