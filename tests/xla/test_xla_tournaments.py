"""Maxima over axes and their sweeps in one piece: the numbers of the rounds, ties, NaN and infinities included."""

import numpy as np
import pytest

import autoconv as ac
from autoconv import nn

pytest.importorskip("jax", reason="JAX is not installed; make test-xla has it")

RESULT, SWEEP = "a tournament", "the sweep of a tournament"

CASES = {  # function, and what is recognised of it and its gradient
    "windows side by side": (lambda w: ac.max_pool2d(w, 2), [RESULT, SWEEP]),
    "windows that overlap": (lambda w: ac.max_pool2d(w, 3, stride=2), [RESULT, SWEEP]),
    "padding, unlike sides": (lambda w: ac.max_pool2d(w, (5, 3), stride=1, padding=1), [RESULT, SWEEP]),
    "dilation": (lambda w: ac.max_pool2d(w, 2, stride=1, dilation=3), [RESULT, SWEEP]),
    "an axis": (lambda w: ac.max(w, axis=1), [RESULT, SWEEP]),
    "axes apart": (lambda w: ac.min(w, axis=(0, 3), keepdims=True), [RESULT, SWEEP]),
    "all": (lambda w: ac.max(w), [RESULT, SWEEP]),
    "the first axis first": (lambda w: ac.max(ac.max(w, axis=1, keepdims=True), axis=2), [RESULT, SWEEP]),
    "a maximum of minima": (lambda w: ac.max(ac.min(w, axis=2), axis=1), [RESULT, SWEEP, RESULT, SWEEP]),
    "others read the source": (lambda w: ac.max(w, axis=(1, 2), keepdims=True) * w, [RESULT]),
    "two of one source": (lambda w: ac.max(w, axis=2) - ac.min(w, axis=2), [RESULT, RESULT, SWEEP]),
    "pairs, and no whole axis": (lambda w: ac.maximum(w[:, 0:5:2], w[:, 1:6:2], ties="first"), []),
    "ties that are split": (lambda w: ac.maximum(w[:, :, 0:1:2], w[:, :, 1:2:2]), []),
}


def numbers(kind, dtype):
    """Gaussians; whole numbers with many ties; with NaN and infinities among them."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(3, 7, 6, 2))
    if kind != "gaussian":
        x = np.round(x) + 0.0
    if kind == "special":
        x[rng.random(x.shape) < 0.1] = np.nan
        x[rng.random(x.shape) < 0.1] = np.inf
        x[rng.random(x.shape) < 0.1] = -np.inf
        x[1] = -np.inf
    return x.astype(dtype)


def result_and_gradient(f, x, backend):
    """f(x), and the gradient of sum f(x) c, of which NaN in f makes nothing."""
    w = nn.Parameter(x, dtype=x.dtype)
    shape = f(w).shape
    c = np.random.default_rng(1).integers(1, 9, shape).astype(x.dtype)

    def g():
        y = f(w)
        return ac.sum(ac.where(np.zeros(shape, bool), y, c * y)), y

    program = ac.compile(g, backend=backend)
    (_, y), (gradient,) = program.value_and_grad(wrt=[w])
    return y, gradient, program


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("kind", ["gaussian", "ties", "special"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("case", CASES)
def test_the_first_of_the_largest_has_the_gradient(case, dtype, kind):
    f, recognised = CASES[case]
    x = numbers(kind, dtype)
    y, gradient, program = result_and_gradient(f, x, "xla")
    expected_y, expected, _ = result_and_gradient(f, x, "numpy")
    np.testing.assert_array_equal(y, expected_y)
    if case == "others read the source":  # products, and sums in another order
        np.testing.assert_allclose(gradient, expected, rtol=2e-2 if dtype == np.float16 else 1e-5)
    else:  # small whole numbers that are added up
        np.testing.assert_array_equal(gradient, expected)
    fused = program.recording.run.planned.lowered.fused
    assert sorted(x.text for x in fused.values()) == sorted(recognised)


def test_by_hand():
    """Of equal ones the first in C order, over whichever axis a round went first."""
    x = np.array([[1.0, 5.0, 5.0], [5.0, 0.0, np.nan], [np.nan, 2.0, 3.0]])
    for rows, first in (([0, 1], (1, 2)), ([0], (0, 1)), ([0, 1, 2], (1, 2)), ([2, 0], (0, 0))):
        w = nn.Parameter(x[rows], dtype=float)
        program = ac.compile(lambda w=w: ac.max(w), backend="xla")
        _, (gradient,) = program.value_and_grad()
        expected = np.zeros((len(rows), 3))
        expected[first] = 1
        np.testing.assert_array_equal(gradient, expected)


def test_gradients_of_gradients():
    x = numbers("ties", float)
    ended = []
    for backend in ("numpy", "xla"):
        w = nn.Parameter(x, dtype=float)
        inner = ac.grad(lambda w: ac.sum(ac.max_pool2d(w, 3, stride=2) ** 3))
        program = ac.compile(lambda w=w, inner=inner: ac.sum(inner(w) ** 2), backend=backend)
        ended.append(program.value_and_grad()[1][0])
    np.testing.assert_allclose(*ended, rtol=1e-12)


def test_the_plan_says_so():
    program = ac.compile(lambda x: ac.max_pool2d(x, 2), backend="xla")
    program(np.ones((1, 4, 4, 1)))
    assert "a tournament of %" in program.plan and "inside a convolution or a tournament" in program.plan
    assert "of them convolutions" not in program.plan
