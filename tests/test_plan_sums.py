"""Gradients of weights as rows of vectors: examples in the lanes are added up in the end, or transposed first."""

import numpy as np
import pytest
from helpers.assembled import instructions
from helpers.plans import at_every_plan

import autoconv as ac
from autoconv.plan import contractions
from autoconv.plan.extension import available

pytestmark = [
    pytest.mark.skipif(not available(), reason="the native machine is not built, or switched off"),
]

# examples, an image (rows, columns, channels), channels of the result, settings
CONVOLUTIONS = {
    "one vector": (32, (6, 5, 3), 16, {}),
    "padding": (32, (7, 6, 4), 24, {"padding": 1}),
    "padding, many places": (32, (17, 16, 4), 24, {"padding": 1}),
    "padding beyond the window": (20, (5, 6, 3), 17, {"padding": 2, "stride": 2}),
    "lanes without an example": (19, (9, 8, 3), 20, {"padding": 1, "stride": 2}),
    "one example": (1, (9, 8, 3), 40, {}),
    "dilation": (35, (9, 8, 2), 33, {"dilation": 2}),
    "more rows than columns": (33, (8, 8, 16), 9, {"padding": 1}),
    "more columns than rows": (33, (6, 6, 1), 30, {"padding": 1}),
    "few columns": (33, (6, 6, 8), 7, {"padding": 1}),
}


def kinds_of(monkeypatch):
    """The names of the instructions of all programs that are planned from now on."""
    rows = []

    def look(native):
        rows.extend(one.kind.name for one in instructions(native.assembled))

    at_every_plan(monkeypatch, look)
    return rows


def by_taps(x, d, window, padding=0, stride=1, dilation=1):
    """w_bar[i, j, c, o] = sum over n, p, q of x[n, p s + i r - m, q s + j r - m, c] d[n, p, q, o]: tap by tap."""
    m, s, r = padding, stride, dilation
    x = np.pad(x.astype(float), ((0, 0), (m, m), (m, m), (0, 0)))
    _, rows, columns, _ = d.shape
    made = np.zeros((*window, x.shape[3], d.shape[3]))
    for i, j in np.ndindex(*window):
        part = x[:, i * r : i * r + rows * s : s, j * r : j * r + columns * s : s][:, :rows, :columns]
        made[i, j] = np.einsum("npqc,npqo->co", part, d.astype(float))
    return made


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
@pytest.mark.parametrize("transposing", [0.0, 3.0, np.inf], ids=["transposed", "as it pays", "added up"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_the_gradient_of_a_kernel(name, transposing, layout, dtype, monkeypatch):
    monkeypatch.setenv("AUTOCONV_LANES", "examples")
    monkeypatch.setattr(contractions, "_TRANSPOSING", transposing)
    if not transposing:
        monkeypatch.setattr(contractions, "_SUM_OF_LANES", np.inf)
    examples, (height, width, channels), out, settings = CONVOLUTIONS[name]
    rng, kinds = np.random.default_rng(3), kinds_of(monkeypatch)
    x = rng.normal(size=(examples, height, width, channels)).astype(dtype)
    w = rng.normal(size=(3, 3, channels, out)).astype(dtype)
    d = rng.normal(size=np.shape(ac.conv2d(x, w, **settings))).astype(dtype)
    turned = {"channels_last": lambda y: y, "channels_first": lambda y: np.ascontiguousarray(np.moveaxis(y, -1, 1))}[
        layout
    ]
    kernel = w if layout == "channels_last" else np.ascontiguousarray(w.transpose(3, 2, 0, 1))
    program = ac.compile(lambda x, w, d: ac.sum(ac.conv2d(x, w, layout=layout, **settings) * d))
    for _ in range(2):
        found = program.value_and_grad(turned(x), kernel, turned(d), wrt=1)[1]
    right = by_taps(x, d, (3, 3), **settings)
    found = found if layout == "channels_last" else found.transpose(2, 3, 1, 0)
    np.testing.assert_allclose(
        found, right, rtol=1e-4 if dtype == np.float32 else 1e-12, atol=np.abs(right).max() * 1e-6
    )
    if name != "few columns" and transposing != 3.0:
        assert ("TRANSPOSE" in kinds) == (transposing == 0) and ("DOT" in kinds) == (transposing > 0)


def test_terms_are_transposed_some_at_a_time(monkeypatch):
    """And each stretch is added to those before it."""
    monkeypatch.setenv("AUTOCONV_LANES", "examples")
    x, w, d = (np.ones(shape, np.float32) for shape in ((16, 20, 20, 4), (3, 3, 4, 32), (16, 18, 18, 32)))
    kinds = kinds_of(monkeypatch)
    program = ac.compile(lambda x, w, d: ac.sum(ac.conv2d(x, w) * d))
    monkeypatch.setattr(contractions, "_TRANSPOSING", 0.0)
    monkeypatch.setattr(contractions, "_TRANSPOSED", 1 << 12)
    for _ in range(2):
        found = program.value_and_grad(x, w, d, wrt=1)[1]
    assert (found == 16 * 18 * 18).all()
    assert kinds.count("TRANSPOSE") > 2


@pytest.mark.parametrize(
    ("rows", "columns", "terms", "transposed"),
    [
        (384, 256, 49, True),
        (150, 16, 100, False),  # numbers that meet one vector each have to be read for every product
        (27, 6, 784, False),  # more than half of a vector would be empty
        (9, 64, 256, False),  # too few rows for what the transposing takes
        (512, 10, 1, True),
    ],
)
def test_what_pays(rows, columns, terms, transposed):
    class At:
        lanes = cell = 16

        @staticmethod
        def pitch(columns):
            return -(-columns // 16) * 16

    whole = (slice(None),) * 3
    spaced = lambda n: contractions.Spaced(np.arange(n), np.arange(terms))
    one = contractions.Outer(0, [], [], 0, a=spaced(rows), b=spaced(columns), parts=[whole])
    assert bool(one.scratch_by_examples(At)) == transposed
